//! Rights to shared memory objects, and their mappings.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::OnceLock;

use rustix::fs::{FileType, fstat};
use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, MsyncFlags, ProtFlags};

use super::name::ObjectName;
use super::security::{self, Protection};
use super::{fault, named, sight};
use crate::sys::{Attempt, Failure, Reason, Shown};

/// The right to a shared memory object: a descriptor.
#[derive(Debug)]
pub(crate) struct Object {
    fd: OwnedFd,
    writable: bool,
    /// The name that goes with the last holder, and the process that counts as the holder: after a fork, the child's copy of
    /// this value is not another holder.
    held: Option<(ObjectName, rustix::process::Pid)>,
}

impl Object {
    /// Makes a memory of `len` zero bytes.
    pub(crate) fn create(
        name: Option<&ObjectName>,
        len: u64,
        protection: &Protection,
    ) -> Result<Attempt<Self>, Failure> {
        let Some(name) = name else {
            let fd = named::anonymous(len, protection)?;
            return Ok(Attempt::Done(Object { fd, writable: true, held: None }));
        };
        Ok(match named::create(name, len, protection)? {
            Attempt::Done(fd) => Attempt::Done(Object { fd, writable: true, held: holder(name) }),
            Attempt::Again => Attempt::Again,
        })
    }

    /// Opens what has this name, to read or also to write.
    pub(crate) fn open(name: &ObjectName, writable: bool) -> Result<Attempt<Self>, Failure> {
        Ok(match named::open(name, writable)? {
            Attempt::Done((fd, ours)) => {
                Attempt::Done(Object { fd, writable, held: if ours { holder(name) } else { None } })
            }
            Attempt::Again => Attempt::Again,
        })
    }

    /// Takes a descriptor that came from elsewhere, if it is what it should be.
    pub(crate) fn from_owned(fd: OwnedFd, writable: bool) -> Result<Self, Failure> {
        let kind = FileType::from_raw_mode(fstat(&fd)?.st_mode);
        // (Where shared memory objects are no files, they have no type.)
        if !matches!(kind, FileType::RegularFile | FileType::Unknown) {
            return Err(Failure::new(Reason::WrongKind));
        }
        let mode = rustix::fs::fcntl_getfl(&fd)? & rustix::fs::OFlags::RWMODE;
        let (reads, writes) = (mode != rustix::fs::OFlags::WRONLY, mode != rustix::fs::OFlags::RDONLY);
        if !reads {
            return Err(Failure::new(Reason::Denied));
        }
        if writable && !writes {
            return Err(Failure::new(Reason::ReadOnly));
        }
        let (fd, name) = named::adopt(fd, writable)?;
        // What is taken to be read only is so from here on, wherever it is handed on to. (Another user's object without a name
        // cannot be opened anew; then the descriptor stays what it is.)
        let fd = if !writable && writes && name.is_none() { named::narrowed(&fd).unwrap_or(fd) } else { fd };
        let object = Object { fd, writable, held: name.as_ref().and_then(holder) };
        if object.len()? == 0 { Err(Failure::new(Reason::NotReady)) } else { Ok(object) }
    }

    /// Its length in bytes, now: on Unix a peer can change it.
    pub(crate) fn len(&self) -> Result<u64, Failure> {
        Ok(u64::try_from(fstat(&self.fd)?.st_size).unwrap_or(0))
    }

    /// What it says about who may open it.
    pub(crate) fn shown(&self) -> Result<Shown, Failure> {
        security::of(&self.fd)
    }

    /// The same memory, with the right to read only.
    pub(crate) fn narrow(&self) -> Result<Self, Failure> {
        let name = self.held.as_ref().map(|(name, _)| name);
        let fd = named::reopen_read_only(self.fd.as_fd(), name)?;
        Ok(Object { fd, writable: false, held: name.and_then(holder) })
    }

    /// Maps `len` bytes from `offset` on. The caller has checked that they are inside.
    pub(crate) fn map(&self, offset: u64, len: usize) -> Result<Mapping, Failure> {
        fault::install()?;
        let slack = usize::try_from(offset % page_size() as u64).unwrap_or(0);
        let whole = len.checked_add(slack).ok_or(Failure::new(Reason::TooLarge))?;
        let protection = if self.writable { ProtFlags::READ | ProtFlags::WRITE } else { ProtFlags::READ };
        // SAFETY: a null hint lets the kernel choose the place, so nothing that is mapped already is touched.
        let base = unsafe {
            rustix::mm::mmap(
                ptr::null_mut(),
                whole,
                protection,
                MapFlags::SHARED,
                &self.fd,
                offset - slack as u64,
            )
        };
        let base = base.map_err(|errno| match errno {
            // The address space is full, or never had so much.
            Errno::NOMEM => Failure { reason: Reason::TooLarge, ..errno.into() },
            _ => errno.into(),
        })?;
        let base = NonNull::new(base.cast::<u8>()).ok_or(Failure::new(Reason::Other))?;
        Ok(Mapping { base, slack, whole })
    }

    /// Another descriptor with the same rights; of a named object, another holder.
    pub(crate) fn to_owned_fd(&self) -> Result<OwnedFd, Failure> {
        match &self.held {
            Some(_) => named::reopen(self.fd.as_fd(), self.writable),
            None => Ok(rustix::io::fcntl_dupfd_cloexec(&self.fd, 3)?),
        }
    }

    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        if let Some((name, process)) = &self.held {
            if *process == rustix::process::getpid() {
                named::release(self.fd.as_fd(), name);
            }
        }
    }
}

#[allow(clippy::unnecessary_wraps, reason = "the value of a field")]
fn holder(name: &ObjectName) -> Option<(ObjectName, rustix::process::Pid)> {
    Some((name.clone(), rustix::process::getpid()))
}

/// An address range in which a memory is mapped, until it is dropped.
#[derive(Debug)]
pub(crate) struct Mapping {
    /// The start of a page.
    base: NonNull<u8>,
    /// Bytes from there to the first one that was asked for.
    slack: usize,
    /// Bytes from `base` to the last one that was asked for.
    whole: usize,
}

// SAFETY: a mapping is an address range, and belongs to the process, not to a thread.
unsafe impl Send for Mapping {}
// SAFETY: its methods only ask the kernel, which synchronises itself.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// The first byte that was asked for.
    pub(crate) fn address(&self) -> *mut u8 {
        // SAFETY: `slack` is less than `whole`, the length of the mapping.
        unsafe { self.base.as_ptr().add(self.slack) }
    }

    /// The pages that hold `len` bytes at `offset`.
    fn pages(&self, offset: usize, len: usize) -> (*mut std::ffi::c_void, usize) {
        let into = (self.slack + offset) % page_size();
        (self.address().wrapping_add(offset).wrapping_sub(into).cast(), len + into)
    }

    /// Writes to the file behind the memory, if there is one.
    pub(crate) fn flush(&self, offset: usize, len: usize) -> Result<(), Failure> {
        let (start, len) = self.pages(offset, len);
        // SAFETY: the pages are part of this mapping; the call changes nothing in it.
        unsafe { rustix::mm::msync(start, len, MsyncFlags::SYNC) }.map_err(out_of_pages)
    }

    /// Brings the pages into memory ahead of their use. A wish: the system may not follow it.
    pub(crate) fn prefetch(&self, offset: usize, len: usize) -> Result<(), Failure> {
        let (start, len) = self.pages(offset, len);
        // SAFETY: the pages are part of this mapping; this advice changes nothing in it.
        unsafe { rustix::mm::madvise(start, len, Advice::WillNeed) }.map_err(out_of_pages)
    }

    /// Keeps the pages in RAM.
    pub(crate) fn lock(&self, offset: usize, len: usize) -> Result<(), Failure> {
        let (start, len) = self.pages(offset, len);
        // SAFETY: the pages are part of this mapping; locking changes nothing in it.
        unsafe { rustix::mm::mlock(start, len) }.map_err(|errno| sight::locking_failed(errno, len))
    }

    /// Ends what `lock` asked for.
    pub(crate) fn unlock(&self, offset: usize, len: usize) -> Result<(), Failure> {
        let (start, len) = self.pages(offset, len);
        // SAFETY: the pages are part of this mapping; unlocking changes nothing in it.
        unsafe { rustix::mm::munlock(start, len) }.map_err(out_of_pages)
    }
}

/// These calls say "no memory" for a limit on locked memory, or for pages that a peer has cut off.
fn out_of_pages(errno: Errno) -> Failure {
    match errno {
        Errno::NOMEM | Errno::AGAIN => Failure { reason: Reason::NoMemory, ..errno.into() },
        _ => errno.into(),
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: this is the range that mmap gave, and whoever holds an address in it has borrowed this value.
        let result = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), self.whole) };
        debug_assert!(result.is_ok(), "munmap: {result:?}");
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Errno::from_io_error(&error).map_or(Failure::new(Reason::Other), Failure::from)
    }
}

/// The size of a page in bytes.
fn page_size() -> usize {
    static SIZE: OnceLock<usize> = OnceLock::new();
    *SIZE.get_or_init(rustix::param::page_size)
}
