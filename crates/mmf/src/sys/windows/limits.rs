//! The commit limit of the system, the size of large pages, and the granularity of views.

use std::sync::OnceLock;

use super::api;
use crate::sys::{Failure, Reason};

/// The commit limit: how much memory the system can promise, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Commit {
    /// The limit itself: RAM and page files, or less if this process is restricted further.
    pub(crate) limit: u64,
    /// The part of the limit that is not committed.
    pub(crate) left: u64,
}

/// Queries the commit limit.
pub(crate) fn commit() -> Result<Commit, Failure> {
    let status = api::global_memory_status()?;
    // Wine returns zeros while another thread makes the first query.
    if status.ullTotalPageFile == 0 {
        return Err(Failure::new(Reason::Other));
    }
    Ok(Commit { limit: status.ullTotalPageFile, left: status.ullAvailPageFile })
}

/// Returns the size of a large page, of which the length of a region in large pages is a multiple, or `None`
/// where there are no large pages.
pub(crate) fn large_page_minimum() -> Option<u64> {
    match api::get_large_page_minimum() {
        0 => None,
        len => Some(len as u64),
    }
}

/// Returns the allocation granularity, of which the offsets of views are multiples: 64 KiB on every version
/// of Windows so far.
pub(super) fn granularity() -> u64 {
    static GRANULARITY: OnceLock<u64> = OnceLock::new();
    *GRANULARITY.get_or_init(|| u64::from(api::get_system_info().dwAllocationGranularity))
}

#[cfg(test)]
mod tests;
