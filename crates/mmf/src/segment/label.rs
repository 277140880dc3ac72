//! The words that errors use for an object of a segment.

use super::core::Core;
use super::types::ObjectKind;
use crate::access::Access;
use crate::error::{Error, ErrorKind, Operation};

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
            ObjectKind::AutoResetEvent | ObjectKind::ManualResetEvent => "event".to_owned(),
            kind => kind.to_string(),
        };
        format!("the {kind} {:?} in {}", self.name, core.called())
    }
}
