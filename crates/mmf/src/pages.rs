//! The pages of a region: those that are requested, and those that it has.
//!
//! [`LargePages`] is an option of [`OpenOptions`](crate::OpenOptions::large_pages), and [`Pages`] what
//! [`SharedMemory::pages`](crate::SharedMemory::pages) returns. `docs/performance.md` has figures, and
//! `docs/platforms.md` what each system requires.

use crate::sys;

/// Whether a region is to have large pages: see
/// [`OpenOptions::large_pages`](crate::OpenOptions::large_pages).
///
/// A large page takes one entry in the page tables and in the processor's TLB where many ordinary pages take
/// many, so random access to a large region is faster. In return, memory is used in whole large pages, which
/// stay in RAM.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LargePages {
    /// Ordinary pages.
    #[default]
    Off,
    /// Large pages if the system has them, otherwise ordinary ones.
    /// [`SharedMemory::pages`](crate::SharedMemory::pages) returns which, and
    /// [`SharedMemory::large_pages_refused`](crate::SharedMemory::large_pages_refused) why.
    Preferred,
    /// Large pages, or an error.
    Required,
}

/// The pages of a region: returned by [`SharedMemory::pages`](crate::SharedMemory::pages).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Pages {
    /// Ordinary pages.
    Ordinary {
        /// The size of a page in bytes.
        size: u64,
    },
    /// Large pages only.
    Large {
        /// The size of a page in bytes.
        size: u64,
    },
    /// Ordinary pages, which the system replaces by large ones where it can (Linux, "transparent huge
    /// pages"). [`View::large_page_bytes`](crate::View::large_page_bytes) returns how many it has replaced.
    Advised {
        /// The size of a large page in bytes.
        size: u64,
    },
}

impl Pages {
    /// Returns the size of a large page if some or all pages are large.
    #[must_use]
    pub fn large_size(self) -> Option<u64> {
        match self {
            Pages::Ordinary { .. } => None,
            Pages::Large { size } | Pages::Advised { size } => Some(size),
        }
    }

    pub(crate) fn from_system(pages: sys::Pages) -> Self {
        match pages {
            sys::Pages::Ordinary => Pages::Ordinary { size: sys::page_sizes().0 },
            sys::Pages::Large(size) => Pages::Large { size },
            sys::Pages::Advised(size) => Pages::Advised { size },
        }
    }
}
