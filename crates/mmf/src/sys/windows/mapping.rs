//! Views of sections: their alignment, and the calls for their pages.

use std::ptr::NonNull;

use windows_sys::Win32::Foundation as win;
use windows_sys::Win32::System::Memory::MEM_FREE;

use super::api;
use super::limits::granularity;
use crate::sys::{Failure, Mapping, Reason};

/// Unmaps a view.
///
/// # Safety
///
/// `MapViewOfFile` returned this address, and no address of the view is used any more.
pub(in crate::sys) unsafe fn unmap(base: NonNull<u8>, _len: usize) {
    // SAFETY: the contract of this function is that of the call.
    let result = unsafe { api::unmap_view_of_file(base) };
    debug_assert!(result.is_ok(), "UnmapViewOfFile: {result:?}");
}

impl Mapping {
    /// Returns how many of its bytes are in large pages now.
    pub(crate) fn large_bytes(&self) -> Result<u64, Failure> {
        let Some((_, len)) = self.whole() else { return Ok(0) };
        // One view never mixes large and small pages.
        let first = api::query_working_set(self.address())?;
        Ok(if first.is_large() { len as u64 } else { 0 })
    }

    /// Returns the node whose RAM holds a byte, or `None` if no RAM holds it now.
    pub(crate) fn node_of(&self, offset: usize) -> Result<Option<u32>, Failure> {
        let page = api::query_working_set(self.address().wrapping_add(offset))?;
        Ok(page.is_valid().then(|| page.node()))
    }

    /// Writes the pages to the file, if the region has one.
    pub(crate) fn flush(&self, offset: usize, len: usize) -> Result<(), Failure> {
        Ok(api::flush_view_of_file(self.address().wrapping_add(offset), len)?)
    }

    /// Asks the system to bring the pages into RAM before they are used. The system may ignore this.
    pub(crate) fn prefetch(&self, offset: usize, len: usize) -> Result<(), Failure> {
        Ok(api::prefetch_virtual_memory(self.address().wrapping_add(offset), len)?)
    }

    /// Locks the pages in RAM.
    pub(crate) fn lock(&self, offset: usize, len: usize) -> Result<(), Failure> {
        api::virtual_lock(self.address().wrapping_add(offset), len).map_err(|error| match error.0 {
            win::ERROR_WORKING_SET_QUOTA | win::ERROR_NOT_ENOUGH_QUOTA | win::ERROR_NO_SYSTEM_RESOURCES => {
                let failure = Failure { reason: Reason::Limit, ..error.into() };
                api::get_process_working_set_size().map_or(failure, |least| failure.with_figure(least))
            }
            _ => error.into(),
        })
    }

    /// Unlocks pages that [`lock`](Mapping::lock) has locked.
    pub(crate) fn unlock(&self, offset: usize, len: usize) -> Result<(), Failure> {
        Ok(api::virtual_unlock(self.address().wrapping_add(offset), len)?)
    }
}

/// Extends a range of a section so that a view of it can start at its offset. Returns the offset, the
/// distance from there to the start of the range, and the length. Returns `None` if the view would be longer
/// than the address space.
pub(super) fn aligned(offset: u64, len: usize) -> Option<(u64, usize, usize)> {
    let slack = offset % granularity();
    let slack_len = usize::try_from(slack).ok()?;
    Some((offset - slack, slack_len, len.checked_add(slack_len)?))
}

/// Returns the length of the longest view that fits into the free address space of this process.
pub(super) fn largest_free_range() -> usize {
    let granularity = usize::try_from(granularity()).unwrap_or(1 << 16);
    let (mut at, mut largest) = (0_usize, 0);
    // (The query fails beyond the last address.)
    while let Ok(pages) = api::virtual_query(core::ptr::without_provenance(at)) {
        let Some(end) = at.checked_add(pages.RegionSize) else { break };
        if pages.State == MEM_FREE {
            let start = at.checked_next_multiple_of(granularity).unwrap_or(end);
            largest = largest.max(end.saturating_sub(start));
        }
        at = end;
    }
    largest
}

#[cfg(test)]
mod tests;
