//! Access in types: what a memory or a view allows.

use core::fmt::Debug;

/// Bytes can be read. There is no method that writes, and the system would not let it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadOnly {}

/// Bytes can be read and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadWrite {}

/// [`ReadOnly`] or [`ReadWrite`]: what a [`SharedMemory`](crate::SharedMemory) or a [`View`](crate::View) allows.
///
/// The system enforces the same: a handle opened for [`ReadOnly`] cannot map memory for writing.
pub trait Access: sealed::Sealed + Debug + 'static {
    /// Whether writing is allowed.
    const WRITABLE: bool;
}

impl Access for ReadOnly {
    const WRITABLE: bool = false;
}

impl Access for ReadWrite {
    const WRITABLE: bool = true;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::ReadOnly {}
    impl Sealed for super::ReadWrite {}
}
