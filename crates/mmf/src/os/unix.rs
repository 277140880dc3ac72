//! Regions from descriptors, as descriptors, and over sockets.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use crate::access::{Access, mode};
use crate::error::{Error, ErrorKind, Operation};
use crate::memory::SharedMemory;
use crate::sys::{Object, socket};

/// Conversions between [`SharedMemory`] and descriptors.
pub trait SharedMemoryExt: Sized {
    /// Takes ownership of a descriptor of a shared memory object, a `memfd`, or a file that can be mapped.
    ///
    /// On Linux a writable descriptor that is taken as read-only loses the right to write, except for an
    /// unnamed object of another user. To pass a raw descriptor, convert it into an [`OwnedFd`] first, which
    /// is the `unsafe` step.
    ///
    /// # Errors
    ///
    /// The descriptor is checked before it is used, and closed if it is unsuitable:
    ///
    /// - [`ErrorKind::NotSharedMemory`]: it refers to something else, such as a pipe or a directory.
    /// - [`ErrorKind::NotWritable`], [`ErrorKind::PermissionDenied`]: it lacks the rights of the type.
    /// - [`ErrorKind::TooSmall`]: it has no bytes.
    ///
    /// ```
    /// use mmf::os::unix::SharedMemoryExt;
    /// use mmf::{ReadOnly, SharedMemory};
    ///
    /// let memory = SharedMemory::anonymous(4096)?;
    /// memory.view()?.write(&7u32, 0)?;
    /// let descriptor = memory.to_fd()?; // sent to another process, which then calls:
    /// let memory = SharedMemory::<ReadOnly>::from_fd(descriptor)?;
    /// assert_eq!(memory.view()?.read::<u32>(0)?, 7);
    /// # Ok::<(), mmf::Error>(())
    /// ```
    fn from_fd(fd: OwnedFd) -> Result<Self, Error>;

    /// Returns a new descriptor with the same rights. It is close-on-exec.
    ///
    /// On Linux a descriptor of a *named* region is a holder of its own: the name stays while it is open. If
    /// it is the last holder and is merely closed, the next process that opens the name removes it.
    /// [`from_fd`](SharedMemoryExt::from_fd) turns it into a holder that removes the name itself.
    ///
    /// # Errors
    ///
    /// The errors of the system, for example that the process has too many open files.
    fn to_fd(&self) -> Result<OwnedFd, Error>;

    /// Sends the region over a Unix domain socket: one byte, `m`, with the descriptor (`SCM_RIGHTS`).
    ///
    /// The receiver has the rights of this handle, whatever its user is. This process may drop the handle at
    /// once.
    ///
    /// # Errors
    ///
    /// The errors of the socket, for example that the other end is closed.
    ///
    /// ```
    /// use std::os::unix::net::UnixStream;
    ///
    /// use mmf::SharedMemory;
    /// use mmf::os::unix::SharedMemoryExt;
    ///
    /// let (giver, receiver) = UnixStream::pair()?;
    /// SharedMemory::anonymous(4096)?.send_over(&giver)?;
    /// let memory = <SharedMemory>::receive_over(&receiver)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn send_over(&self, socket: impl AsFd) -> Result<(), Error>;

    /// Receives a region that [`send_over`](SharedMemoryExt::send_over) sends. Blocks, unless the socket is
    /// non-blocking.
    ///
    /// Only shared memory is accepted: objects of `/dev/shm` and other `tmpfs`, of `hugetlbfs`, and `memfd`s.
    /// A file could be on a file system that the sender serves itself (FUSE), where the sender can block each
    /// access for any time. [`receive_file_over`](SharedMemoryExt::receive_file_over) accepts files from a
    /// sender that is trusted not to do so.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::InvalidTicket`]: something else arrived, or the other end is closed. A byte is lost
    ///   then, and received descriptors are closed.
    /// - [`ErrorKind::NotSharedMemory`]: the descriptor is not one of shared memory.
    /// - The errors of [`from_fd`](SharedMemoryExt::from_fd).
    fn receive_over(socket: impl AsFd) -> Result<Self, Error>;

    /// Receives like [`receive_over`](SharedMemoryExt::receive_over), and accepts any file that can be
    /// mapped.
    ///
    /// Use it only with a sender that is trusted not to block this process.
    ///
    /// # Errors
    ///
    /// Those of [`receive_over`](SharedMemoryExt::receive_over).
    fn receive_file_over(socket: impl AsFd) -> Result<Self, Error>;
}

impl<A: Access> SharedMemoryExt for SharedMemory<A> {
    fn from_fd(fd: OwnedFd) -> Result<Self, Error> {
        let object = Object::from_owned(fd, mode::<A>());
        object.and_then(SharedMemory::from_object).map_err(|f| Error::from_system(Operation::Adopt, f))
    }

    fn to_fd(&self) -> Result<OwnedFd, Error> {
        self.right().object.to_owned_fd().map_err(|f| self.right().error(Operation::Adopt, f))
    }

    fn send_over(&self, socket: impl AsFd) -> Result<(), Error> {
        let fail = |failure| self.right().error(Operation::HandOff, failure);
        let fd = self.right().object.to_owned_fd().map_err(fail)?;
        socket::send(socket.as_fd(), fd.as_fd()).map_err(fail)
    }

    fn receive_over(socket: impl AsFd) -> Result<Self, Error> {
        let fd = descriptor_from(socket.as_fd())?;
        // Checked before any other call on the descriptor, which could block.
        if !socket::is_memory(fd.as_fd()) {
            socket::dispose(vec![fd]);
            let error = Error::new(Operation::Receive, ErrorKind::NotSharedMemory);
            return Err(error
                .with_detail("it may be a file, which can block for ever; receive_file_over accepts files"));
        }
        received(fd)
    }

    fn receive_file_over(socket: impl AsFd) -> Result<Self, Error> {
        received(descriptor_from(socket.as_fd())?)
    }
}

fn descriptor_from(socket: BorrowedFd<'_>) -> Result<OwnedFd, Error> {
    let received = socket::receive(socket);
    let fd = received.map_err(|failure| Error::from_system(Operation::Receive, failure))?;
    fd.ok_or_else(|| {
        Error::new(Operation::Receive, ErrorKind::InvalidTicket)
            .with_detail("no region came over the socket, or the other end is closed")
    })
}

fn received<A: Access>(fd: OwnedFd) -> Result<SharedMemory<A>, Error> {
    let object = Object::from_owned(fd, mode::<A>());
    object
        .and_then(SharedMemory::from_object)
        .map_err(|failure| Error::from_system(Operation::Receive, failure))
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
