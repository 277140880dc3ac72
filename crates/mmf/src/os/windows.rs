//! Conversion of regions to and from handles.

use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, OwnedHandle, RawHandle};

use crate::access::{Access, mode};
use crate::error::{Error, Operation};
use crate::memory::SharedMemory;
use crate::sys::Object;

/// Conversions between [`SharedMemory`] and handles.
pub trait SharedMemoryExt: Sized {
    /// Takes over a handle of a section (file mapping object). A handle with write access that is opened as
    /// [`ReadOnly`](crate::ReadOnly) loses that access.
    ///
    /// To pass a raw handle, convert it into an [`OwnedHandle`] first, which is the `unsafe` step.
    ///
    /// # Errors
    ///
    /// The handle is checked, and closed if the check fails:
    ///
    /// - [`ErrorKind::NotSharedMemory`](crate::ErrorKind::NotSharedMemory) if the object is of another type,
    ///   or an executable image;
    /// - [`ErrorKind::NotWritable`](crate::ErrorKind::NotWritable) or
    ///   [`ErrorKind::PermissionDenied`](crate::ErrorKind::PermissionDenied) if the handle lacks the rights
    ///   of the access `A`.
    ///
    /// ```
    /// use mmf::os::windows::SharedMemoryExt;
    /// use mmf::{ReadOnly, SharedMemory};
    ///
    /// let memory = SharedMemory::anonymous(4096)?;
    /// memory.view()?.write(&7u32, 0)?;
    /// let handle = memory.to_handle()?; // to be passed to another program, which takes it over:
    /// let memory = SharedMemory::<ReadOnly>::from_handle(handle)?;
    /// assert_eq!(memory.view()?.read::<u32>(0)?, 7);
    /// # Ok::<(), mmf::Error>(())
    /// ```
    fn from_handle(handle: OwnedHandle) -> Result<Self, Error>;

    /// Returns a new handle of the section, with the same rights. Children do not inherit it.
    ///
    /// For a mapped file, this creates a section of the current length of the file. (The borrowed handle that
    /// [`AsHandle`] returns is that of the file.)
    ///
    /// # Errors
    ///
    /// The errors of the system, for example that it has no memory left.
    fn to_handle(&self) -> Result<OwnedHandle, Error>;
}

impl<A: Access> SharedMemoryExt for SharedMemory<A> {
    fn from_handle(handle: OwnedHandle) -> Result<Self, Error> {
        let object = Object::from_owned(handle, mode::<A>());
        object.and_then(SharedMemory::from_object).map_err(|f| Error::from_system(Operation::Adopt, f))
    }

    fn to_handle(&self) -> Result<OwnedHandle, Error> {
        self.right().object.to_owned_handle().map_err(|f| self.right().error(Operation::Adopt, f))
    }
}

impl<A: Access> AsHandle for SharedMemory<A> {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.right().object.as_handle()
    }
}

impl<A: Access> AsRawHandle for SharedMemory<A> {
    fn as_raw_handle(&self) -> RawHandle {
        self.as_handle().as_raw_handle()
    }
}
