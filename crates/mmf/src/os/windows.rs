//! Handles in and out.

use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, OwnedHandle, RawHandle};

use crate::access::{Access, mode};
use crate::error::{Error, Operation};
use crate::memory::SharedMemory;
use crate::sys::Object;

/// Handles for [`SharedMemory`].
pub trait SharedMemoryExt: Sized {
    /// Takes over a handle of a section (file mapping object). One that can write and is taken to be read only loses that.
    ///
    /// For a raw handle, make an [`OwnedHandle`] of it first; that is where its `unsafe` belongs.
    ///
    /// # Errors
    ///
    /// It is checked before it is trusted, and closed if it does not do:
    /// [`ErrorKind::NotSharedMemory`](crate::ErrorKind::NotSharedMemory) if it is another kind of object, or an executable
    /// image; [`ErrorKind::NotWritable`](crate::ErrorKind::NotWritable) or
    /// [`ErrorKind::PermissionDenied`](crate::ErrorKind::PermissionDenied) if it does not have the rights of the type.
    ///
    /// ```
    /// use mmf::os::windows::SharedMemoryExt;
    /// use mmf::{ReadOnly, SharedMemory};
    ///
    /// let memory = SharedMemory::anonymous(4096)?;
    /// memory.view()?.write(&7u32, 0)?;
    /// let handle = memory.to_handle()?; // to be given to somebody, who then says:
    /// let memory = SharedMemory::<ReadOnly>::from_handle(handle)?;
    /// assert_eq!(memory.view()?.read::<u32>(0)?, 7);
    /// # Ok::<(), mmf::Error>(())
    /// ```
    fn from_handle(handle: OwnedHandle) -> Result<Self, Error>;

    /// A new handle of the section, with the same rights. Children do not inherit it. (Of a memory over a file, a section of what the
    /// file has now; the borrowed handle that [`AsHandle`] gives is the file's.)
    ///
    /// # Errors
    ///
    /// What the system says: for example that it has no memory left.
    fn to_handle(&self) -> Result<OwnedHandle, Error>;
}

impl<A: Access> SharedMemoryExt for SharedMemory<A> {
    fn from_handle(handle: OwnedHandle) -> Result<Self, Error> {
        let object =
            Object::from_owned(handle, mode::<A>()).map_err(|f| Error::from_system(Operation::Adopt, f))?;
        Ok(SharedMemory::from_object(object, None))
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
