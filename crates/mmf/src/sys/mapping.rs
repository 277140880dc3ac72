//! The address range in which an object is mapped: the part that is the same on every system.

use std::ptr::NonNull;

use super::{Copying, system};

/// An address range in which an object is mapped. It is unmapped when it is dropped.
#[derive(Debug)]
pub(crate) struct Mapping {
    /// The start of a page (Unix) or of an allocation (Windows).
    base: NonNull<u8>,
    /// The distance in bytes from `base` to the first byte that was requested.
    slack: usize,
    /// The distance in bytes from `base` to the end of what was requested; 0 for a mapping of nothing.
    whole: usize,
    copying: Copying,
}

// SAFETY: the address range belongs to the process, so any thread may use and unmap it. No field refers to a
// thread.
unsafe impl Send for Mapping {}
// SAFETY: `&Mapping` provides only addresses and system calls on them, and the kernel synchronises the
// latter.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Takes over `whole` bytes at `base`, which the system has mapped and which only this value unmaps.
    pub(super) fn new(base: NonNull<u8>, slack: usize, whole: usize) -> Self {
        Mapping { base, slack, whole, copying: Copying::Guarded }
    }

    /// Sets how its bytes are copied.
    #[cfg_attr(windows, allow(dead_code))]
    pub(super) fn with_copying(mut self, copying: Copying) -> Self {
        // Not by struct update, which would copy the fields and drop, hence unmap, `self`.
        self.copying = copying;
        self
    }

    /// Returns a mapping of nothing, which a view of an empty file has.
    pub(crate) fn empty() -> Self {
        Mapping::new(NonNull::dangling(), 0, 0)
    }

    /// Returns how its bytes are copied, which was decided when it was mapped.
    pub(crate) fn copying(&self) -> Copying {
        self.copying
    }

    /// Returns the address of the first byte that was requested.
    pub(crate) fn address(&self) -> *mut u8 {
        self.base.as_ptr().wrapping_add(self.slack)
    }

    /// Returns the distance from the start of the mapping to [`Mapping::address`].
    #[cfg_attr(windows, allow(dead_code))]
    pub(super) fn slack(&self) -> usize {
        self.slack
    }

    /// Returns the start and the length of the whole mapping, or `None` for a mapping of nothing.
    pub(super) fn whole(&self) -> Option<(NonNull<u8>, usize)> {
        (self.whole > 0).then_some((self.base, self.whole))
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let Some((base, len)) = self.whole() else { return };
        // SAFETY: `new` took over exactly this range, nothing else unmaps it, and every holder of an address
        // in it borrows this value.
        unsafe { system::mapping::unmap(base, len) };
    }
}
