//! How much memory the system still promises, and the size of large pages.

use super::api;
use crate::sys::{Failure, Reason};

/// Memory that the system has promised and can promise, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Commit {
    /// What it can promise at all: RAM and page files, or less if this process is held to less.
    pub(crate) limit: u64,
    /// What it can promise now.
    pub(crate) left: u64,
}

pub(crate) fn commit() -> Result<Commit, Failure> {
    let status = api::memory_status()?;
    // Wine answers with zeros while another thread asks for the first time.
    if status.ullTotalPageFile == 0 {
        return Err(Failure::new(Reason::Other));
    }
    Ok(Commit { limit: status.ullTotalPageFile, left: status.ullAvailPageFile })
}

/// What the length of memory in large pages must be a multiple of; `None` where there are no large pages.
pub(crate) fn large_page_minimum() -> Option<u64> {
    match api::large_page_minimum() {
        0 => None,
        len => Some(len as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_is_left_than_there_is() {
        let commit = commit().unwrap();
        assert!(commit.left > 0 && commit.left <= commit.limit, "{commit:?}");
    }

    #[test]
    fn large_pages_are_larger_than_small_ones() {
        if let Some(len) = large_page_minimum() {
            let small = u64::from(api::system_info().dwPageSize);
            assert!(len.is_power_of_two() && len > small, "{len}");
        }
    }
}
