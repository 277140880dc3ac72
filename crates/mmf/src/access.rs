//! Access in types: what a region or a view allows.

use core::fmt::Debug;

use crate::sys::Mode;

/// Read access. A view with it has no methods that write, and the system refuses to map the region for
/// writing.
///
/// None of these compiles:
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReadOnly {}

/// Read and write access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReadWrite {}

/// Read access, and write access to private copies: the first write to a page copies it, for the view that
/// writes. No other process sees the copy, and the file stays as it is. Only
/// [files](crate::file::FileOptions) can be opened with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CopyOnWrite {}

/// What a [`SharedMemory`](crate::SharedMemory) or a [`View`](crate::View) allows: [`ReadOnly`],
/// [`ReadWrite`] or [`CopyOnWrite`].
///
/// The system enforces the same: a handle opened for [`ReadOnly`] cannot be mapped for writing. The trait is
/// sealed.
pub trait Access: sealed::Sealed + Debug + 'static {
    /// Whether bytes can be written through views of this access: true exactly for the types that are
    /// [`Writable`].
    const WRITABLE: bool;
}

/// An access whose views can be written: [`ReadWrite`], and [`CopyOnWrite`], which writes to private copies.
#[diagnostic::on_unimplemented(message = "a view that is `{Self}` cannot be written")]
pub trait Writable: Access {}

impl Access for ReadOnly {
    const WRITABLE: bool = false;
}

impl Access for ReadWrite {
    const WRITABLE: bool = true;
}

impl Access for CopyOnWrite {
    const WRITABLE: bool = true;
}

impl Writable for ReadWrite {}
impl Writable for CopyOnWrite {}

/// Returns the mode by which `sys` knows the access.
pub(crate) fn mode<A: Access>() -> Mode {
    match (A::WRITABLE, A::COPIES) {
        (true, false) => Mode::Write,
        (_, true) => Mode::Copy,
        (false, false) => Mode::Read,
    }
}

/// Returns whether writes reach the region, and so other processes.
pub(crate) fn writes_through<A: Access>() -> bool {
    A::WRITABLE && !A::COPIES
}

/// Returns whether pages are copied for this process when it writes to them.
pub(crate) fn is_private<A: Access>() -> bool {
    A::COPIES
}

mod sealed {
    pub trait Sealed {
        /// Whether writes go to private copies of the pages.
        const COPIES: bool = false;
    }
    impl Sealed for super::ReadOnly {}
    impl Sealed for super::ReadWrite {}
    impl Sealed for super::CopyOnWrite {
        const COPIES: bool = true;
    }
}
