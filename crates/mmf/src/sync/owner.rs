//! Who acquired something, and what errors call it.

use crate::access::Access;
use crate::error::{Error, ErrorKind, Operation};
use crate::segment::core::Core;
use crate::segment::types::ObjectKind;
use crate::sys::presence;

/// A participant that has acquired something. Its token can only be had in the process that acquired it: after a `fork`, the child has a copy of
/// each guard, but the lock is its parent's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner {
    token: u32,
    forks: u32,
}

impl Owner {
    /// This process's participant.
    #[inline]
    pub(super) fn new(core: &Core) -> Result<Self, Error> {
        Ok(Owner { token: core.me()?, forks: presence::forks() })
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
    pub(super) fn here(self) -> Option<u32> {
        (self.forks == presence::forks()).then_some(self.token)
    }

    /// The token, or an error in a forked copy of the process that acquired it. For whatever a guard is asked to do.
    #[inline]
    pub(super) fn check(self, core: &Core) -> Result<u32, Error> {
        self.here().ok_or_else(
            #[cold]
            || core.forked(),
        )
    }
}

/// What an error about an object calls it.
#[derive(Debug)]
pub(crate) struct Label {
    kind: ObjectKind,
    name: Box<str>,
}

impl Label {
    pub(crate) fn new(kind: ObjectKind, name: &str) -> Self {
        Label { kind, name: name.into() }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// An error whose message is what `say` makes of the object's kind and name and the segment's name.
    pub(crate) fn error<A: Access>(
        &self,
        core: &Core<A>,
        operation: Operation,
        kind: ErrorKind,
        say: impl FnOnce(&str) -> String,
    ) -> Error {
        let sentence = say(&self.phrase(core));
        core.fail(operation, kind).with_object(&self.name).with_sentence(sentence)
    }

    /// For example: the mutex "counter" in "Local\plant".
    pub(crate) fn phrase<A: Access>(&self, core: &Core<A>) -> String {
        let kind = match self.kind {
            ObjectKind::AutoEvent | ObjectKind::ManualEvent => "event".to_owned(),
            kind => kind.to_string(),
        };
        format!("the {kind} {:?} in {}", self.name, core.called())
    }
}
