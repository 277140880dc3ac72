//! The right to a shared memory region: what its views keep alive.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, ErrorKind, Operation};
use crate::name::Name;
use crate::sys::{Failure, Object};

/// A handle of a region, and what this process knows about the region.
#[derive(Debug)]
pub(crate) struct Right {
    pub(crate) object: Object,
    pub(crate) name: Option<Name>,
    /// The path of the file, if the region is one; empty if the file was not opened by its path.
    pub(crate) file: Option<PathBuf>,
    /// Why its pages are not the large ones that were preferred.
    pub(crate) refusal: Option<Arc<Error>>,
    /// The length that the system has reported last.
    known_len: AtomicU64,
}

impl Right {
    pub(crate) fn new(
        object: Object,
        name: Option<Name>,
        file: Option<PathBuf>,
        refusal: Option<Arc<Error>>,
        known_len: u64,
    ) -> Self {
        Right { object, name, file, refusal, known_len: AtomicU64::new(known_len) }
    }

    /// Returns the right to the same region by another handle.
    pub(crate) fn with_object(&self, object: Object) -> Self {
        let known_len = self.known_len.load(Ordering::Relaxed);
        Right::new(object, self.name.clone(), self.file.clone(), self.refusal.clone(), known_len)
    }

    /// Asks the system for the length.
    pub(crate) fn len(&self) -> Result<u64, Failure> {
        let len = self.object.len()?;
        self.known_len.store(len, Ordering::Relaxed);
        Ok(len)
    }

    /// Returns the length, or the one reported last if the system does not answer.
    pub(crate) fn len_or_known(&self) -> u64 {
        self.len().unwrap_or_else(|_| self.known_len.load(Ordering::Relaxed))
    }

    /// Returns the error for a failed call on this region.
    pub(crate) fn error(&self, operation: Operation, failure: Failure) -> Error {
        self.name_it(Error::from_system(operation, failure))
    }

    /// Returns the error for a failed call that needs storage.
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
