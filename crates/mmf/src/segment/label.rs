//! The description of an object in errors.

use super::core::Core;
use super::types::ObjectKind;
use crate::access::Access;
use crate::error::{Error, ErrorKind, Operation};

/// The kind and the name of an object.
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

    /// Returns an error about the object. `sentence` receives its [`phrase`](Label::phrase).
    pub(crate) fn error<A: Access>(
        &self,
        core: &Core<A>,
        operation: Operation,
        kind: ErrorKind,
        sentence: impl FnOnce(&str) -> String,
    ) -> Error {
        let sentence = sentence(&self.phrase(core));
        core.fail(operation, kind).with_object(&self.name).with_sentence(sentence)
    }

    /// Returns the object's kind and name and the segment's name. For example: the mutex "counter" in
    /// "Local\plant".
    pub(crate) fn phrase<A: Access>(&self, core: &Core<A>) -> String {
        let kind = match self.kind {
            ObjectKind::AutoResetEvent | ObjectKind::ManualResetEvent => "event".to_owned(),
            ObjectKind::Latest => "latest value".to_owned(),
            kind => kind.to_string(),
        };
        format!("the {kind} {:?} in {}", self.name, core.quoted_name())
    }
}
