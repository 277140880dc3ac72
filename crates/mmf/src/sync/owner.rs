//! The participant that acquired a lock, and whether the calling process still is that participant.

use crate::error::Error;
use crate::segment::core::Core;

/// A participant that has acquired something. Its token can only be had in the process that acquired it: after a `fork`, the child has a copy of
/// each guard, but the lock is its parent's.
///
/// (No more than the token: guards are moved about between two locked instructions, and what is written there in parts and read back in one
/// piece costs as much as the lock.)
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner {
    token: u32,
}

impl Owner {
    /// This process's participant.
    #[allow(clippy::inline_always, reason = "the guard is to stay in registers")]
    #[inline(always)]
    pub(super) fn new(core: &Core) -> Result<Self, Error> {
        Ok(Owner { token: core.me()? })
    }

    /// The token, in the operation that acquires: no fork can come between.
    #[allow(clippy::inline_always, reason = "the guard is to stay in registers")]
    #[inline(always)]
    pub(super) fn token(self) -> u32 {
        self.token
    }

    /// The token, unless this process is a forked copy of the one that acquired it. For destructors: a copy has nothing to release.
    #[allow(clippy::inline_always, reason = "the guard is to stay in registers")]
    #[inline(always)]
    pub(super) fn here(self, core: &Core) -> Option<u32> {
        core.is_here().then_some(self.token)
    }

    /// The token, or an error in a forked copy of the process that acquired it. For whatever a guard is asked to do.
    #[inline]
    pub(super) fn check(self, core: &Core) -> Result<u32, Error> {
        if core.is_here() { Ok(self.token) } else { Err(core.forked()) }
    }
}
