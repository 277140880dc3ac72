//! Calls to the kernel for a mapping and its pages.

use std::ptr::NonNull;

use rustix::io::Errno;
use rustix::mm::{Advice, MsyncFlags};

use super::memory::page_size;
use super::{limits, pages};
use crate::sys::{Failure, Mapping, Reason};

/// Unmaps a range.
///
/// # Safety
///
/// `mmap` returned this range, and no address in it is used from here on.
pub(in crate::sys) unsafe fn unmap(base: NonNull<u8>, len: usize) {
    // SAFETY: the contract of this function.
    let result = unsafe { rustix::mm::munmap(base.as_ptr().cast(), len) };
    debug_assert!(result.is_ok(), "munmap: {result:?}");
}

impl Mapping {
    /// Advises the kernel to use huge pages. The kernel may ignore it.
    pub(super) fn advise_large_pages(&self) {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Some((base, len)) = self.whole() {
            // SAFETY: the range is this mapping, and the advice changes no byte of it.
            let _ = unsafe { rustix::mm::madvise(base.as_ptr().cast(), len, Advice::LinuxHugepage) };
        }
    }

    /// Returns how many of its bytes are in large pages now.
    pub(crate) fn large_bytes(&self) -> Result<u64, Failure> {
        self.whole().map_or(Ok(0), |(base, _)| pages::large_bytes(base.as_ptr().addr()))
    }

    /// Returns the node whose RAM holds a byte, or `None` if no RAM holds it now.
    pub(crate) fn node_of(&self, offset: usize) -> Result<Option<u32>, Failure> {
        pages::node_of(self.address().wrapping_add(offset))
    }

    /// Returns the start and the length of the pages that hold `len` bytes at `offset`.
    fn pages(&self, offset: usize, len: usize) -> (*mut std::ffi::c_void, usize) {
        let into = (self.slack() + offset) % page_size();
        (self.address().wrapping_add(offset).wrapping_sub(into).cast(), len + into)
    }

    /// Writes changed pages to the file behind the object, if there is one.
    pub(crate) fn flush(&self, offset: usize, len: usize) -> Result<(), Failure> {
        let (start, len) = self.pages(offset, len);
        // SAFETY: the pages are part of this mapping, and the call changes no byte of them.
        unsafe { rustix::mm::msync(start, len, MsyncFlags::SYNC) }.map_err(out_of_pages)
    }

    /// Advises the kernel to bring the pages into RAM ahead of their use. The kernel may ignore it.
    pub(crate) fn prefetch(&self, offset: usize, len: usize) -> Result<(), Failure> {
        let (start, len) = self.pages(offset, len);
        // SAFETY: the pages are part of this mapping, and the advice changes no byte of them.
        unsafe { rustix::mm::madvise(start, len, Advice::WillNeed) }.map_err(out_of_pages)
    }

    /// Locks the pages in RAM.
    pub(crate) fn lock(&self, offset: usize, len: usize) -> Result<(), Failure> {
        let (start, len) = self.pages(offset, len);
        // SAFETY: the pages are part of this mapping, and locking changes no byte of them.
        unsafe { rustix::mm::mlock(start, len) }.map_err(|errno| limits::locking_failed(errno, len))
    }

    /// Undoes `lock`.
    pub(crate) fn unlock(&self, offset: usize, len: usize) -> Result<(), Failure> {
        let (start, len) = self.pages(offset, len);
        // SAFETY: the pages are part of this mapping, and unlocking changes no byte of them.
        unsafe { rustix::mm::munlock(start, len) }.map_err(out_of_pages)
    }
}

/// Translates `ENOMEM` and `EAGAIN`, which these calls return for a limit on locked memory and for pages that
/// a peer has truncated.
fn out_of_pages(errno: Errno) -> Failure {
    match errno {
        Errno::NOMEM | Errno::AGAIN => Failure { reason: Reason::NoMemory, ..errno.into() },
        _ => errno.into(),
    }
}
