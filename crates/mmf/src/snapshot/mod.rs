//! Images of regions on disk: saving, loading and restoring.
//!
//! [`SharedMemory::save`](crate::SharedMemory::save) writes an image, [`load`](crate::SharedMemory::load)
//! creates a region from one, and [`restore`](crate::SharedMemory::restore) copies one into an existing
//! region.
//!
//! Bytes go through one bounded buffer. Where the system can copy them by the region's descriptor
//! (`sys::disk::Direct`, Linux), it does: that is faster than copying through views, ranges that were never
//! written stay untouched, and truncation by a peer is a short count instead of a fault. Elsewhere, and where
//! a descriptor turns out not to work, bytes are copied through views.
//!
//! Holes are detected twice: ranges that were never written according to the system are not read, and blocks
//! that were read and are zero are not written.

mod bytes;
mod load;
mod pieces;
mod save;

use core::fmt;
use core::ops::ControlFlow;
use std::path::Path;

use crate::error::{Error, ErrorKind, Operation};
use crate::sys::{self, Failure, Reason};

/// The number of bytes that are copied at a time. It fits the caches of most processors, and makes the cost
/// of calls small.
pub(in crate::snapshot) const PIECE: usize = 1 << 20;

/// The progress of a copy: see [`SharedMemory::save_with`](crate::SharedMemory::save_with).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Progress {
    pub(crate) done: u64,
    pub(crate) total: u64,
    pub(crate) holes: u64,
}

impl Progress {
    /// Returns the number of bytes that have been copied or found to be holes.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.done
    }

    /// Returns the total number of bytes to copy.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Returns how many of the bytes that are [`done`](Progress::done) were holes or zeros, which cost almost
    /// nothing.
    #[must_use]
    pub fn holes(&self) -> u64 {
        self.holes
    }
}

/// The result of a copy between a region and a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct CopyStats {
    pub(crate) len: u64,
    pub(crate) holes: u64,
}

impl CopyStats {
    /// Returns the length of the file in bytes.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "an image is never empty")]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Returns how many bytes are zero and were left as holes.
    #[must_use]
    pub fn holes(&self) -> u64 {
        self.holes
    }
}

impl fmt::Display for CopyStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes, {} of them holes", self.len, self.holes)
    }
}

/// What to do if a file already exists where a region is to be saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IfExists {
    /// Replaces it in one step when the new file is complete.
    Replace,
    /// Keeps it, and fails with [`ErrorKind::AlreadyExists`].
    Keep,
}

/// Counts the copied bytes and reports them to the caller's function, which can cancel the copy.
pub(in crate::snapshot) struct Watch<'a> {
    progress: Progress,
    listener: &'a mut dyn FnMut(Progress) -> ControlFlow<()>,
    operation: Operation,
    path: &'a Path,
}

impl<'a> Watch<'a> {
    pub(in crate::snapshot) fn new(
        operation: Operation,
        path: &'a Path,
        total: u64,
        listener: &'a mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Self {
        Watch { progress: Progress { done: 0, total, holes: 0 }, listener, operation, path }
    }

    pub(in crate::snapshot) fn tell(&mut self) -> Result<(), Error> {
        match (self.listener)(self.progress) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => {
                Err(Error::new(self.operation, ErrorKind::Cancelled).with_path(self.path))
            }
        }
    }

    /// Counts bytes that were copied, and how many of them were holes.
    pub(in crate::snapshot) fn count(&mut self, bytes: u64, holes: u64) {
        self.progress.done += bytes;
        self.progress.holes += holes;
    }

    pub(in crate::snapshot) fn copied(&self) -> CopyStats {
        CopyStats { len: self.progress.done, holes: self.progress.holes }
    }
}

/// Builds the error for a failed call on a file.
pub(in crate::snapshot) fn file_error(operation: Operation, path: &Path, failure: Failure) -> Error {
    let error = Error::from_system(operation, failure).with_path(path);
    if failure.reason != Reason::WrongKind {
        return error;
    }
    let error = error.with_kind(ErrorKind::NotAFile);
    match sys::disk::what_else(path, operation != Operation::Save) {
        // A saved file replaces the existing one, so either the link or its target would be lost.
        Some(link @ "symbolic link") => {
            error.with_detail(format!("it is a {link}: give the path of its target"))
        }
        Some(what) => error.with_detail(format!("it is a {what}: give the path of a file")),
        None => error,
    }
}

/// Allocates the buffer that all bytes go through.
pub(in crate::snapshot) fn buffer(operation: Operation) -> Result<Vec<u8>, Error> {
    // `vec!` would end the process if the allocation failed.
    let mut probe: Vec<u8> = Vec::new();
    probe.try_reserve_exact(PIECE).map_err(|_| Error::new(operation, ErrorKind::OutOfMemory))?;
    probe.resize(PIECE, 0);
    Ok(probe)
}
