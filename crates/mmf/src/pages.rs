//! What memory is made of: the wish for large pages, and what was obtained.

use crate::sys;

/// Whether a memory is to be made of large pages: see [`OpenOptions::large_pages`](crate::OpenOptions::large_pages).
///
/// A large page needs one entry where many ordinary ones would be, in the page tables and in the processor's buffers for them; so
/// access all over a large memory is faster. The price: whole large pages, in RAM for good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LargePages {
    /// Ordinary pages.
    #[default]
    Off,
    /// Large pages if they are to be had, else ordinary ones. [`SharedMemory::pages`](crate::SharedMemory::pages) says which
    /// it was, and [`SharedMemory::large_pages_refused`](crate::SharedMemory::large_pages_refused) why.
    Preferred,
    /// Large pages, or an error.
    Required,
}

/// What the pages of a memory are: see [`SharedMemory::pages`](crate::SharedMemory::pages).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Pages {
    /// Ordinary ones, of so many bytes.
    Ordinary {
        /// The size of a page.
        size: u64,
    },
    /// Large ones, all of them.
    Large {
        /// The size of a page.
        size: u64,
    },
    /// Ordinary ones, in whose place the system puts large ones where it can (Linux, "transparent huge pages"). How many there are
    /// says [`View::large_page_bytes`](crate::View::large_page_bytes).
    Advised {
        /// The size of a large page.
        size: u64,
    },
}

impl Pages {
    /// The size of a large page, if they are large, all or some.
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
