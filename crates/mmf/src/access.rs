//! Access in types: what a memory or a view allows.

use core::fmt::Debug;

/// Bytes can be read. There is no method that writes, and the system would not let it.
///
/// Each of these does not compile:
///
/// ```compile_fail,E0599
/// # fn no(view: mmf::View<mmf::ReadOnly>) {
/// view.fill(0, 10, 0);
/// # }
/// ```
/// ```compile_fail,E0599
/// # fn no(view: mmf::View<mmf::ReadOnly>) {
/// view.atomic_u32(0).unwrap().store(1, std::sync::atomic::Ordering::Release);
/// # }
/// ```
/// ```compile_fail,E0599
/// # fn no(view: mmf::View<mmf::ReadOnly>) {
/// std::io::Write::write(&mut view.cursor(), b"no");
/// # }
/// ```
/// ```compile_fail,E0308
/// # fn no(from: mmf::View<mmf::ReadWrite>, to: mmf::View<mmf::ReadOnly>) {
/// from.copy_to(0, &to, 0, 10);
/// # }
/// ```
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
