//! Named shared memory: pagefile-backed file mappings on Windows, with the same API on Unix.
//!
//! One process creates a shared memory region under a name, others open it by that name, and all of them read
//! and write the same bytes at memory speed. On top of that the crate has typed objects and locks that
//! survive the death of their owners.
//!
//! ```
//! use mmf::SharedMemory;
//!
//! // One process creates the region …
//! let memory = SharedMemory::create("lib-telemetry", 64 * 1024)?;
//! let view = memory.view()?;
//! view.write_all_at(b"hello", 0)?;
//!
//! // … and another one opens it. The length comes from the system.
//! let memory = SharedMemory::open_read_only("lib-telemetry")?;
//! let mut bytes = [0; 5];
//! memory.view()?.read_exact_at(&mut bytes, 0)?; // a View<ReadOnly> has no write_all_at
//! assert_eq!(&bytes, b"hello");
//! # Ok::<(), mmf::Error>(())
//! ```
//!
//! # Where to find what
//!
//! | task | items |
//! | --- | --- |
//! | create or open a region | [`SharedMemory`], [`OpenOptions`] |
//! | name it, and know what other languages call it | [`Name`], [`ToName`] |
//! | read and write | [`View`]: copies, typed values, [atomics](view::Atomic), a [`Cursor`](view::Cursor) |
//! | share typed objects and locks | [`Segment`], [`sync`] |
//! | handle errors | [`Error`], [`ErrorKind`], [`error`] |
//! | find out why something was refused, or whether it will be | [`diagnosis`]: [`Error::diagnosis`], [`OpenOptions::check_open`] |
//! | decide who may open a region | [`security`]: [`OpenOptions::security`] |
//! | refuse regions that an unexpected user created | [`OpenOptions::expect_owner`], [`security::BoundaryDescriptor`] |
//! | see which regions exist, and which processes use them | [`inspect`]: [`inspect::list()`], [`SharedMemory::holders`] |
//! | let a region grow | [`OpenOptions::capacity`], [`SharedMemory::grow`], [`View::refresh`] |
//! | map a file | [`file::FileOptions`], [`View::flush_all`] |
//! | save a region to a file and load it again | [`snapshot`] |
//! | use large pages, or the RAM of a NUMA node | [`pages`]: [`OpenOptions::large_pages`], [`OpenOptions::numa_node`] |
//! | give a region without a name to another process | [`handoff`] |
//! | convert from and to handles and descriptors | [`os`] |
//! | work beside other signal handlers | [`faults`] |
//!
//! # Guarantees
//!
//! - **Every byte belongs to the program.** There is no header, and no additional file. Regions that other
//!   programs create can be opened, and other programs can open the regions of this crate.
//! - **Other processes are not trusted.** They may write anything at any time, or take pages away. This never
//!   causes undefined behaviour in a safe function: an access to a page that is gone returns
//!   [`ErrorKind::Fault`]. References into a region require `unsafe`.
//! - **Nothing is left behind.** The region and its name are removed with the last holder, even if that
//!   process is killed. (On Linux, a name whose holders were all killed can no longer be opened, and its
//!   memory is freed by the next process that opens the name or creates any region.)
//! - **Access is in the type.** A region that was opened read-only has no methods that write, and the system
//!   refuses to map it for writing.
//!
//! # Signals and exceptions
//!
//! Faults in shared memory are caught where they happen, and no other faults are. On Windows this is done by
//! structured exception handling of the copy routines alone, which no other handler can replace. On Unix a
//! handler for `SIGSEGV` and `SIGBUS` is installed when the first view is mapped; it passes on every fault
//! that is not this crate's. If a program installs another handler *later*, this crate detects that when it
//! next maps a view, and reinstalls its own in front. [`faults`] has functions that query and repair this,
//! and copies that need no handler.
#![deny(unsafe_code)]

mod access;
mod codes;
pub mod diagnosis;
pub mod error;
mod escape;
pub mod faults;
pub mod file;
pub mod handoff;
mod holders;
pub mod inspect;
mod list;
mod memory;
mod name;
mod options;
pub mod os;
pub mod pages;
mod raw;
mod right;
pub mod security;
mod segment;
#[cfg(feature = "serde")]
mod serialize;
pub mod snapshot;
pub mod sync;
#[allow(unsafe_code)]
mod sys;
pub mod view;

pub use access::{CopyOnWrite, ReadOnly, ReadWrite};
pub use error::{Error, ErrorKind, Result};
pub use memory::SharedMemory;
pub use name::{Name, Namespace, ToName};
pub use options::{Disposition, OpenOptions};
/// Not part of the API: it is there for the tests alone.
#[cfg(feature = "__test-hooks")]
#[doc(hidden)]
pub mod __test_hooks {
    pub use crate::segment::steps::{report_at, stop_at};
}
pub use segment::{Segment, SegmentOptions, SharedType};
pub use view::View;

#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/permissions.md")]
struct Permissions;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/handoff.md")]
struct HandOff;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/locks.md")]
struct Locks;
