//! Named shared memory: pagefile-backed memory-mapped files on Windows, with the same API on Unix.
//!
//! A process makes a block of memory with a name, others open it by that name, and all see the same bytes at memory speed.
//!
//! ```
//! use mmf::SharedMemory;
//!
//! // in one process
//! let memory = SharedMemory::create("lib-telemetry", 64 * 1024)?;
//! let view = memory.view()?;
//! view.write_all_at(b"hello", 0)?;
//!
//! // in another one
//! let memory = SharedMemory::open_read_only("lib-telemetry")?; // the size is discovered
//! let mut bytes = [0; 5];
//! memory.view()?.read_exact_at(&mut bytes, 0)?; // write_at does not exist on View<ReadOnly>
//! assert_eq!(&bytes, b"hello");
//! # Ok::<(), mmf::Error>(())
//! ```
//!
//! # The map
//!
//! | you want to | look at |
//! | --- | --- |
//! | make, open, or either | [`SharedMemory`], [`OpenOptions`] |
//! | know what may be a name, and what other languages call it | [`Name`] |
//! | read and write | [`View`]: copies, typed values, [atomics](Atomic), a [`Cursor`] |
//! | know what went wrong and what to do | [`Error`], [`ErrorKind`], [`Fault`] |
//! | say who may open | [`Security`], [`Principal`] |
//! | know why it was refused, or whether it will be | [`Diagnosis`]: [`Error::diagnosis`], [`OpenOptions::check_open`] |
//! | refuse what strangers made | [`OpenOptions::expect_owner`], [`BoundaryDescriptor`] |
//! | see what is there | [`list()`], [`examine`], [`environment()`] |
//! | let memory grow | [`OpenOptions::capacity`], [`SharedMemory::grow`], [`View::refresh`] |
//! | use a file as memory | [`OpenOptions::file`], [`FileOptions`], [`View::flush_all`] |
//! | use large pages, or the RAM of a node | [`OpenOptions::large_pages`], [`Pages`], [`OpenOptions::numa_node`] |
//! | give memory to a child, or to any process, without a name | [`handoff`] |
//! | save memory into a file and get it back | [`SharedMemory::save`], [`SharedMemory::load`], [`SharedMemory::restore`] |
//! | share typed objects and locks that survive their owners | [`Segment`], [`sync`] |
//! | pass handles and descriptors | [`os`] |
//! | know whether faults are caught, in a process with other signal handlers | [`faults`] |
//!
//! # What holds for all of it
//!
//! - **The bytes are yours.** Byte 0 of a memory is byte 0 of what you put there: no header, no file beside it. Whatever
//!   other programs have made opens, and they open what you make.
//! - **Peers are not trusted.** They may write anything at any time, or take pages away. No safe call is undefined behaviour
//!   then; a page that is gone is an [`ErrorKind::Fault`]. References into the memory need `unsafe` and a promise.
//! - **Nothing is left behind.** The memory and its name go with the last holder, killed ones included. (On Linux the name of
//!   killed holders is gone for all who ask, and its memory is freed by the next who asks, or who makes something.)
//! - **Rights are types.** What is opened read-only has no methods to write, and the system would not let it.
//!
//! # Signals and exceptions
//!
//! Faults are caught where they happen and nowhere else. On Windows by structured exception handling of the copy routines
//! alone, which no other handler can replace. On Unix by a handler for `SIGSEGV` and `SIGBUS`, installed when the first view
//! is mapped, which passes on whatever is not this library's. If a program installs another handler *later*, the library
//! notices when it next maps a view and reinstalls its own in front; [`faults`] has the question, the cure, and copies that
//! need no handler.
#![deny(unsafe_code)]

mod access;
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
#[doc(hidden)]
pub use segment::steps::{notice_at as __notice_at, stop_at as __stop_at};
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
