//! The participant that acquired an object, and whether the calling process still is that participant.

use crate::error::Error;
use crate::raw;
use crate::segment::core::Core;
use crate::segment::layout::END_PANICKED;
use crate::segment::owners::record_damage;
use crate::segment::world::{LockContext, WaitWord};

/// A participant that has acquired an object. Its id is only available in the process that acquired the
/// object: after a `fork` the child has copies of the guards, but the locks stay the parent's.
///
/// (It contains nothing but the id. A guard is moved between two locked instructions, and a guard that is
/// written to the stack in parts and read back in one piece costs as much as the lock itself.)
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner {
    id: u32,
}

impl Owner {
    /// Returns the participant of the calling process.
    #[allow(clippy::inline_always, reason = "the guard has to stay in registers")]
    #[inline(always)]
    pub(super) fn new(core: &Core) -> Result<Self, Error> {
        Ok(Owner { id: core.me()? })
    }

    /// Returns the participant id without a check. This is for the operation that acquires: no fork can come
    /// in between.
    #[allow(clippy::inline_always, reason = "the guard has to stay in registers")]
    #[inline(always)]
    pub(super) fn id(self) -> u32 {
        self.id
    }

    /// Returns the participant id, or `None` in a forked copy of the owner. This is for destructors: a copy
    /// releases nothing.
    #[allow(clippy::inline_always, reason = "the guard has to stay in registers")]
    #[inline(always)]
    pub(super) fn here(self, core: &Core) -> Option<u32> {
        core.is_here().then_some(self.id)
    }

    /// Returns the participant id, or an error in a forked copy of the owner. This is for the methods of
    /// guards.
    #[inline]
    pub(super) fn check(self, core: &Core) -> Result<u32, Error> {
        if core.is_here() { Ok(self.id) } else { Err(core.forked()) }
    }

    /// Declares consistent the data of a lock that this participant owns.
    pub(super) fn declare_consistent(self, core: &Core, lock: &WaitWord) -> Result<(), Error> {
        let me = self.check(core)?;
        raw::mutex::mark_consistent(&LockContext::new(core), lock, me).map(drop)
    }

    /// Gives up a lock that this participant owns.
    pub(super) fn give_up(self, core: &Core, lock: &WaitWord) -> Result<(), Error> {
        let me = self.check(core)?;
        raw::mutex::finish(&LockContext::new(core), lock, me).map(drop)
    }

    /// Marks the data of a lock as damaged by a panic of the owner, which may have left a change half done.
    /// `head` is the offset of the lock's head.
    pub(super) fn mark_panicked(self, core: &Core, lock: &WaitWord, head: u64) {
        // If the pages are gone, there is nothing to mark.
        let _ = raw::mutex::mark_damaged(&LockContext::new(core), lock, self.id);
        let _ = record_damage(core, head, self.id, END_PANICKED);
    }
}
