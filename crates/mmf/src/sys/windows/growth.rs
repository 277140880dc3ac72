//! Reserved sections, which are larger than their committed part: querying that part, and committing more.
//!
//! A page that is committed through any view is committed in the section, for all views of all processes, and
//! stays committed. The committed part is always the start of the section: growing commits the pages that
//! follow. `VirtualQuery` reports whether the page at an address is committed and how far that state extends,
//! and visits every page up to there. Therefore the query is made in windows, which are small views for this
//! purpose alone, from the end of the part that this process already knows. So the known part costs nothing,
//! a section that has not grown costs one window, and new pages are visited once.

use std::os::windows::io::BorrowedHandle;
use std::sync::atomic::{AtomicU64, Ordering};

use windows_sys::Win32::Foundation as win;
use windows_sys::Win32::System::Memory::{FILE_MAP_READ, FILE_MAP_WRITE, MEM_COMMIT};

use super::limits::granularity;
use super::{LastError, api, limits, mapping};
use crate::sys::{Failure, Mapping, Reason};

/// The largest window. Each window is twice as large as the previous one.
const MAX_WINDOW: u64 = 64 << 20;
const PAGE: u64 = 4096;
/// How much is committed in one step, if the address space has room for a view of it.
const STEP: u64 = 1 << 30;

/// The end of the committed part of a section, as far as this process knows it. It never decreases.
#[derive(Debug, Default)]
pub(super) struct Extent(AtomicU64);

impl Clone for Extent {
    fn clone(&self) -> Self {
        Extent(AtomicU64::new(self.0.load(Ordering::Relaxed)))
    }
}

impl Extent {
    /// Returns the length of the committed part of a section of `size` bytes.
    pub(super) fn committed(&self, section: BorrowedHandle<'_>, size: u64) -> Result<u64, Failure> {
        let mut end = self.0.load(Ordering::Relaxed);
        let mut window = granularity();
        while end < size {
            let view = match Window::new(section, FILE_MAP_READ, end, window.min(size - end)) {
                Ok(view) => view,
                // There may be room for a smaller window.
                Err(_) if window > granularity() => {
                    window = granularity();
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let pages = api::virtual_query(view.address())?;
            if pages.State != MEM_COMMIT {
                break;
            }
            let further = pages.RegionSize as u64;
            end += further;
            if further < view.len {
                break;
            }
            window = (window * 2).min(MAX_WINDOW);
        }
        // The result for the last window may extend to the end of its last page.
        let end = end.min(size);
        Ok(self.0.fetch_max(end, Ordering::Relaxed).max(end))
    }

    /// Commits the pages up to `to` bytes, which are inside the section, unless they are committed.
    pub(super) fn commit(&self, section: BorrowedHandle<'_>, size: u64, to: u64) -> Result<(), Failure> {
        let mut end = self.committed(section, size)?;
        let to = to.checked_next_multiple_of(PAGE).unwrap_or(to).min(size);
        if to <= end {
            return Ok(());
        }
        // Checked first, because a commit in several steps could otherwise fail halfway.
        if let Ok(commit) = limits::commit() {
            if to - end > commit.left {
                return Err(Failure::new(Reason::NoMemory).with_figure(commit.left));
            }
        }
        let mut step = STEP;
        while end < to {
            let len = step.min(to - end);
            // Wine does not record a commit that extends to the end of a view. So the view is longer than the
            // commit, and the last page of the section is committed separately.
            let reach = (len + granularity()).min(size - end);
            let view = match Window::new(section, FILE_MAP_READ | FILE_MAP_WRITE, end, reach) {
                Ok(view) => view,
                Err(_) if step > granularity() => {
                    step /= 2;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let len = if reach == len && len > PAGE { len - PAGE } else { len };
            let len = usize::try_from(len).map_err(|_| Failure::new(Reason::TooLarge))?;
            // SAFETY: the pages belong to the view of the window, which is writable.
            unsafe { api::virtual_alloc_commit(view.address(), len) }
                .map_err(|error| out_of_commit(error, len as u64, limits::commit().ok()))?;
            end += len as u64;
            self.0.fetch_max(end.min(size), Ordering::Relaxed);
        }
        Ok(())
    }
}

/// Translates the error of a commit of `len` bytes. If the system has that many bytes left, another limit was
/// reached, such as that of a job, and what it leaves is unknown.
fn out_of_commit(error: LastError, len: u64, commit: Option<limits::Commit>) -> Failure {
    let codes = [win::ERROR_COMMITMENT_LIMIT, win::ERROR_NOT_ENOUGH_MEMORY, win::ERROR_OUTOFMEMORY];
    if !codes.contains(&error.0) {
        return error.into();
    }
    let failure = Failure { reason: Reason::NoMemory, ..error.into() };
    match commit {
        Some(commit) if commit.left < len => failure.with_figure(commit.left),
        _ => failure,
    }
}

/// A view for a query or a commit.
struct Window {
    mapping: Mapping,
    /// The length from the requested offset on.
    len: u64,
}

impl Window {
    fn new(section: BorrowedHandle<'_>, access: u32, offset: u64, len: u64) -> Result<Self, LastError> {
        let aligned = usize::try_from(len).ok().and_then(|len| mapping::aligned(offset, len));
        let (start, slack, whole) = aligned.ok_or(LastError(win::ERROR_NOT_ENOUGH_MEMORY))?;
        let base = api::map_view_of_file(section, access, start, whole)?;
        Ok(Window { mapping: Mapping::new(base, slack, whole), len })
    }

    fn address(&self) -> *mut u8 {
        self.mapping.address()
    }
}

#[cfg(test)]
mod tests;
