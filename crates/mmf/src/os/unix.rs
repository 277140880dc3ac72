//! Descriptors in and out.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use crate::access::Access;
use crate::error::{Error, Operation};
use crate::memory::SharedMemory;
use crate::sys::Object;

/// Descriptors for [`SharedMemory`].
pub trait SharedMemoryExt: Sized {
    /// Takes over a descriptor: of a shared memory object, a `memfd`, or a file that can be mapped.
    ///
    /// For a raw descriptor, make an [`OwnedFd`] of it first; that is where its `unsafe` belongs.
    ///
    /// # Errors
    ///
    /// It is checked before it is trusted, and closed if it does not do:
    /// [`ErrorKind::NotSharedMemory`](crate::ErrorKind::NotSharedMemory) if it is something else (a pipe, a directory),
    /// [`ErrorKind::NotWritable`](crate::ErrorKind::NotWritable) or
    /// [`ErrorKind::PermissionDenied`](crate::ErrorKind::PermissionDenied) if it does not have the rights of the type,
    /// [`ErrorKind::TooSmall`](crate::ErrorKind::TooSmall) if it has no bytes.
    ///
    /// ```
    /// use mmf::os::unix::SharedMemoryExt;
    /// use mmf::{ReadOnly, SharedMemory};
    ///
    /// let memory = SharedMemory::anonymous(4096)?;
    /// memory.view()?.write(0, &7u32)?;
    /// let descriptor = memory.to_fd()?; // to be sent to somebody, who then says:
    /// let memory = SharedMemory::<ReadOnly>::from_fd(descriptor)?;
    /// assert_eq!(memory.view()?.read::<u32>(0)?, 7);
    /// # Ok::<(), mmf::Error>(())
    /// ```
    fn from_fd(fd: OwnedFd) -> Result<Self, Error>;

    /// A new descriptor with the same rights. It is closed on `exec`.
    ///
    /// On Linux a descriptor of a *named* memory is a holder of its own: the name stays as long as it is open. If it is the last
    /// holder and is merely closed, the next who asks for the name removes it; [`from_fd`](SharedMemoryExt::from_fd) makes a
    /// holder of it that does so itself.
    ///
    /// # Errors
    ///
    /// What the system says: for example that the process has too many.
    fn to_fd(&self) -> Result<OwnedFd, Error>;
}

impl<A: Access> SharedMemoryExt for SharedMemory<A> {
    fn from_fd(fd: OwnedFd) -> Result<Self, Error> {
        let object =
            Object::from_owned(fd, A::WRITABLE).map_err(|f| Error::from_system(Operation::Adopt, f))?;
        Ok(SharedMemory::from_object(object, None))
    }

    fn to_fd(&self) -> Result<OwnedFd, Error> {
        self.right().object.to_owned_fd().map_err(|f| self.right().error(Operation::Adopt, f))
    }
}

impl<A: Access> AsFd for SharedMemory<A> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.right().object.as_fd()
    }
}

impl<A: Access> AsRawFd for SharedMemory<A> {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}
