//! Access in types: what a memory or a view allows.

use core::fmt::Debug;

use crate::sys::Mode;

/// Bytes can be read. There is no method that writes, and the system would not let it.
///
/// Each of these does not compile:
///
/// ```compile_fail,E0599
/// # fn no(view: mmf::View<mmf::ReadOnly>) {
/// view.fill(0, 0..10);
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
/// ```compile_fail,E0277
/// # fn no(from: mmf::View<mmf::ReadWrite>, to: mmf::View<mmf::ReadOnly>) {
/// from.copy_to(0..10, &to, 0);
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadOnly {}

/// Bytes can be read and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadWrite {}

/// Bytes can be read and written, but nobody else sees what is written: each page is copied when this process first changes it,
/// for the one view that changes it. The file stays as it is. For [files](crate::OpenOptions::file) only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyOnWrite {}

/// [`ReadOnly`], [`ReadWrite`] or [`CopyOnWrite`]: what a [`SharedMemory`](crate::SharedMemory) or a [`View`](crate::View)
/// allows.
///
/// The system enforces the same: a handle opened for [`ReadOnly`] cannot map memory for writing.
pub trait Access: sealed::Sealed + Debug + 'static {
    /// Whether what is written reaches the memory itself.
    const WRITABLE: bool;
}

/// An access by which bytes can be written through a view: [`ReadWrite`], and [`CopyOnWrite`] for this process alone.
#[diagnostic::on_unimplemented(message = "a view that is `{Self}` cannot be written")]
pub trait Writable: Access {}

impl Access for ReadOnly {
    const WRITABLE: bool = false;
}

impl Access for ReadWrite {
    const WRITABLE: bool = true;
}

impl Access for CopyOnWrite {
    const WRITABLE: bool = false;
}

impl Writable for ReadWrite {}
impl Writable for CopyOnWrite {}

/// The same for the system.
pub(crate) fn mode<A: Access>() -> Mode {
    match (A::WRITABLE, A::COPIES) {
        (true, _) => Mode::Write,
        (false, true) => Mode::Copy,
        (false, false) => Mode::Read,
    }
}

/// Whether pages are copied for this process when it writes to them.
pub(crate) fn is_private<A: Access>() -> bool {
    A::COPIES
}

mod sealed {
    pub trait Sealed {
        /// Whether what is written is written to copies.
        const COPIES: bool = false;
    }
    impl Sealed for super::ReadOnly {}
    impl Sealed for super::ReadWrite {}
    impl Sealed for super::CopyOnWrite {
        const COPIES: bool = true;
    }
}
