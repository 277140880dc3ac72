//! Pictures of memory on disk: saving, loading, restoring.
//!
//! Bytes go through one bounded buffer. Where the system copies them out of a memory and into it by its descriptor
//! (`sys::disk::Direct`, Linux), it does: that is faster than by views, what was never written stays untouched, and what a peer
//! cuts off is an answer instead of a fault. Elsewhere, and wherever a descriptor turns out not to do, they go through views.
//!
//! Holes are looked for twice: where the system says that nothing was ever written, nothing is read; and what was read and is
//! zero is not written.

mod bytes;
mod load;
mod pieces;
mod save;

use core::fmt;
use core::ops::ControlFlow;
use std::path::Path;

use crate::error::{Error, ErrorKind, Operation};
use crate::sys::{self, Failure, Reason};

/// How much is read and written at a time: fits the caches of most processors, and makes calls that are worth it.
pub(in crate::snapshot) const PIECE: usize = 1 << 20;

/// How far a copy is: see [`SharedMemory::save_with`](crate::SharedMemory::save_with).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    pub(crate) done: u64,
    pub(crate) total: u64,
    pub(crate) holes: u64,
}

impl Progress {
    /// Bytes that have been copied, or found to be holes.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.done
    }

    /// All bytes that there are to copy.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// How many of the bytes that are [`done`](Progress::done) were holes or zeros, which cost next to nothing.
    #[must_use]
    pub fn holes(&self) -> u64 {
        self.holes
    }
}

/// What was copied between a memory and a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CopyStats {
    pub(crate) len: u64,
    pub(crate) holes: u64,
}

impl CopyStats {
    /// The bytes of the file.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "a picture is never empty")]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// How many of them are zero and have not been written, but left as a hole.
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

/// What to do if there is a file already where a memory is to be saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IfExists {
    /// Put the new file in its place, in one step, when it is complete.
    Replace,
    /// Leave it, and fail as [`ErrorKind::AlreadyExists`].
    Keep,
}

/// Counts, tells, and hears whether to go on.
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

    /// So much has been done, and so much of it were holes.
    pub(in crate::snapshot) fn count(&mut self, bytes: u64, holes: u64) {
        self.progress.done += bytes;
        self.progress.holes += holes;
    }

    pub(in crate::snapshot) fn copied(&self) -> CopyStats {
        CopyStats { len: self.progress.done, holes: self.progress.holes }
    }
}

/// What the system said about a file.
pub(in crate::snapshot) fn file_error(operation: Operation, path: &Path, failure: Failure) -> Error {
    let error = Error::from_system(operation, failure).with_path(path);
    if failure.reason != Reason::WrongKind {
        return error;
    }
    let error = error.with_kind(ErrorKind::NotAFile);
    match sys::disk::what_else(path, operation != Operation::Save) {
        // What is saved takes the place of what is there; a link would go, or what it leads to.
        Some(link @ "symbolic link") => error.with_detail(format!("it is a {link}: name what it leads to")),
        Some(what) => error.with_detail(format!("it is a {what}: give the path of a file")),
        None => error,
    }
}

/// The buffer that all bytes go through.
pub(in crate::snapshot) fn buffer(operation: Operation) -> Result<Vec<u8>, Error> {
    // Asked for in vain, `vec!` would end the process.
    let mut probe: Vec<u8> = Vec::new();
    probe.try_reserve_exact(PIECE).map_err(|_| Error::new(operation, ErrorKind::OutOfMemory))?;
    probe.resize(PIECE, 0);
    Ok(probe)
}
