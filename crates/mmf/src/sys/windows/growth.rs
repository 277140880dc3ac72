//! Sections that are reserved for more than they have: how much of one is committed, and committing more.
//!
//! What is committed through any view is committed in the section, for all views of all processes, and stays so. It is always
//! the section's start: growing commits what follows. The system says of an address whether its page is committed, and how
//! far the same goes on; answering it looks at every page up to there. So it is asked in windows, small views made for the
//! question alone, from the place up to which this process knows it already. What has been known costs nothing, what nobody
//! has grown costs one window, and what has been added costs what it takes to look at its pages once.

use std::os::windows::io::BorrowedHandle;
use std::sync::atomic::{AtomicU64, Ordering};

use windows_sys::Win32::Foundation as win;
use windows_sys::Win32::System::Memory::{FILE_MAP_READ, FILE_MAP_WRITE, MEM_COMMIT};

use super::memory::{Mapping, granularity};
use super::{LastError, api, limits};
use crate::sys::{Failure, Reason};

/// The largest window. Each is twice as large as the one before.
const MOST: u64 = 64 << 20;
const PAGE: u64 = 4096;
/// How much is committed at once, where the address space has room for it.
const PIECE: u64 = 1 << 30;

/// Up to where a section is committed, as this process has learnt it. It never becomes less.
#[derive(Debug, Default)]
pub(super) struct Extent(AtomicU64);

impl Clone for Extent {
    fn clone(&self) -> Self {
        Extent(AtomicU64::new(self.0.load(Ordering::Relaxed)))
    }
}

impl Extent {
    /// How many bytes from the start on are committed now, of a section of `size` bytes.
    pub(super) fn committed(&self, section: BorrowedHandle<'_>, size: u64) -> Result<u64, Failure> {
        let mut end = self.0.load(Ordering::Relaxed);
        let mut window = granularity();
        while end < size {
            let view = match Window::new(section, FILE_MAP_READ, end, window.min(size - end)) {
                Ok(view) => view,
                // There may be room for a smaller one.
                Err(_) if window > granularity() => {
                    window = granularity();
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let pages = api::query_pages(view.address())?;
            if pages.State != MEM_COMMIT {
                break;
            }
            let further = pages.RegionSize as u64;
            end += further;
            if further < view.len {
                break;
            }
            window = (window * 2).min(MOST);
        }
        // The system's answer for the last window may go to the end of its last page.
        let end = end.min(size);
        Ok(self.0.fetch_max(end, Ordering::Relaxed).max(end))
    }

    /// Commits what is missing up to `to` bytes, which is inside the section.
    pub(super) fn commit(&self, section: BorrowedHandle<'_>, size: u64, to: u64) -> Result<(), Failure> {
        let mut end = self.committed(section, size)?;
        let to = to.checked_next_multiple_of(PAGE).unwrap_or(to).min(size);
        if to <= end {
            return Ok(());
        }
        // Asked first: what is committed piece by piece could otherwise fail in the middle.
        if let Ok(commit) = limits::commit() {
            if to - end > commit.left {
                return Err(Failure::new(Reason::NoMemory).with_figure(commit.left));
            }
        }
        let mut piece = PIECE;
        while end < to {
            let len = piece.min(to - end);
            // Wine forgets what is committed up to the very end of a view: so the view is longer than that, and the section's last
            // page is committed by itself.
            let reach = (len + granularity()).min(size - end);
            let view = match Window::new(section, FILE_MAP_READ | FILE_MAP_WRITE, end, reach) {
                Ok(view) => view,
                Err(_) if piece > granularity() => {
                    piece /= 2;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let len = if reach == len && len > PAGE { len - PAGE } else { len };
            let len = usize::try_from(len).map_err(|_| Failure::new(Reason::TooLarge))?;
            // SAFETY: the pages are those of the window's own view, which nobody else knows.
            unsafe { api::commit(view.address(), len) }
                .map_err(|error| out_of_commit(error, len as u64, limits::commit().ok()))?;
            end += len as u64;
            self.0.fetch_max(end.min(size), Ordering::Relaxed);
        }
        Ok(())
    }
}

/// Why so many bytes were not committed. If the system has as many left, the limit is another one, such as that of a job, and
/// what is left of that is not known.
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

/// A view that is only made to ask or to commit.
struct Window {
    mapping: Mapping,
    /// From the place that was asked for.
    len: u64,
}

impl Window {
    fn new(section: BorrowedHandle<'_>, access: u32, offset: u64, len: u64) -> Result<Self, LastError> {
        let too_large = LastError(win::ERROR_NOT_ENOUGH_MEMORY);
        let slack = offset % granularity();
        let whole = usize::try_from(slack + len).map_err(|_| too_large)?;
        let base = api::map(section, access, offset - slack, whole)?;
        let slack = usize::try_from(slack).map_err(|_| too_large)?;
        Ok(Window { mapping: Mapping::new(base, slack, whole), len })
    }

    fn address(&self) -> *mut u8 {
        self.mapping.address()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_the_system_is_named_only_if_it_is_reached() {
        let commit = |left| Some(limits::Commit { left, limit: 1 << 30 });
        let full = LastError(win::ERROR_COMMITMENT_LIMIT);
        let reason = |failure: Failure| (failure.reason, failure.figure);
        assert_eq!(reason(out_of_commit(full, 8192, commit(4096))), (Reason::NoMemory, Some(4096)));
        assert_eq!(reason(out_of_commit(full, 8192, commit(8192))), (Reason::NoMemory, None));
        assert_eq!(reason(out_of_commit(full, 8192, None)), (Reason::NoMemory, None));
        let denied = LastError(win::ERROR_ACCESS_DENIED);
        assert_eq!(reason(out_of_commit(denied, 8192, commit(0))), (Reason::Denied, None));
    }
}
