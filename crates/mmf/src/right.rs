//! The right to a shared memory region: what its views keep alive.

use std::path::PathBuf;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Operation};
use crate::name::Name;
use crate::sys::{Failure, Object};

/// What views keep alive.
#[derive(Debug)]
pub(crate) struct Right {
    pub(crate) object: Object,
    pub(crate) name: Option<Name>,
    /// The file, where it was opened by its path, or that it is one.
    pub(crate) file: Option<PathBuf>,
    /// Why its pages are not the large ones that were preferred.
    pub(crate) refusal: Option<Arc<Error>>,
}

impl Right {
    /// What the system said about a call on this memory.
    pub(crate) fn error(&self, operation: Operation, failure: Failure) -> Error {
        self.name_it(Error::from_system(operation, failure))
    }

    /// The same, of a call that wants room for bytes.
    pub(crate) fn storage(&self, operation: Operation, failure: Failure) -> Error {
        let error = Error::from_system(operation, failure);
        let full = self.file.is_some() && error.kind() == ErrorKind::OutOfMemory;
        self.name_it(if full { error.with_kind(ErrorKind::StorageFull) } else { error })
    }

    pub(crate) fn name_it(&self, error: Error) -> Error {
        match (&self.name, &self.file) {
            (Some(name), _) => error.with_subject(name),
            (None, Some(path)) if !path.as_os_str().is_empty() => error.with_subject(&path.display()),
            _ => error,
        }
    }
}
