//! Descriptors in and out.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use crate::access::{Access, mode};
use crate::error::{Error, ErrorKind, Operation};
use crate::memory::SharedMemory;
use crate::sys::{Object, socket};

/// Descriptors for [`SharedMemory`].
pub trait SharedMemoryExt: Sized {
    /// Takes over a descriptor: of a shared memory object, a `memfd`, or a file that can be mapped. One that can write and is taken
    /// to be read only loses that on Linux (but not if it is another user's object without a name).
    ///
    /// For a raw descriptor, make an [`OwnedFd`] of it first; that is where its `unsafe` belongs.
    ///
    /// # Errors
    ///
    /// It is checked before it is trusted, and closed if it does not do:
    /// [`ErrorKind::NotSharedMemory`] if it is something else (a pipe, a directory),
    /// [`ErrorKind::NotWritable`] or
    /// [`ErrorKind::PermissionDenied`] if it does not have the rights of the type,
    /// [`ErrorKind::TooSmall`] if it has no bytes.
    ///
    /// ```
    /// use mmf::os::unix::SharedMemoryExt;
    /// use mmf::{ReadOnly, SharedMemory};
    ///
    /// let memory = SharedMemory::anonymous(4096)?;
    /// memory.view()?.write(&7u32, 0)?;
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

    /// Sends it over a Unix domain socket: one byte, `m`, with the descriptor (`SCM_RIGHTS`). The receiver gets the rights of this
    /// memory, whatever user it is; this process may let go at once.
    ///
    /// # Errors
    ///
    /// What the system says about the socket: for example that the other end is closed.
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

    /// Receives what [`send_over`](SharedMemoryExt::send_over) sends. Waits for it, unless the socket is one that does not.
    ///
    /// Only memory is accepted: objects of `/dev/shm` and other `tmpfs`, of `hugetlbfs`, and `memfd`s. A file could be on a file system
    /// that the sender serves itself (FUSE), where each use of it blocks for as long as the sender likes. A sender that is
    /// trusted that far can send files, too, to [`receive_file_over`](SharedMemoryExt::receive_file_over).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidTicket`] if something else comes, or the other end is closed: a byte is lost then, and descriptors that
    /// came are closed. [`ErrorKind::NotSharedMemory`] if it is not memory. Otherwise as [`from_fd`](SharedMemoryExt::from_fd).
    fn receive_over(socket: impl AsFd) -> Result<Self, Error>;

    /// The same, and what is received may be any file that can be mapped: from a sender that is trusted not to block this
    /// process.
    ///
    /// # Errors
    ///
    /// As [`receive_over`](SharedMemoryExt::receive_over).
    fn receive_file_over(socket: impl AsFd) -> Result<Self, Error>;
}

impl<A: Access> SharedMemoryExt for SharedMemory<A> {
    fn from_fd(fd: OwnedFd) -> Result<Self, Error> {
        let object =
            Object::from_owned(fd, mode::<A>()).map_err(|f| Error::from_system(Operation::Adopt, f))?;
        Ok(SharedMemory::from_object(object, None))
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
        // Before anything is asked of it.
        if !socket::is_memory(fd.as_fd()) {
            socket::dispose(vec![fd]);
            let error = Error::new(Operation::Receive, ErrorKind::NotSharedMemory);
            return Err(error.with_detail(
                "it may be a file, which can block without end; if the sender is trusted, receive_file_over accepts it",
            ));
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
            .with_detail("what came over the socket is no memory, or the other end is closed")
    })
}

fn received<A: Access>(fd: OwnedFd) -> Result<SharedMemory<A>, Error> {
    let object = Object::from_owned(fd, mode::<A>());
    let object = object.map_err(|failure| Error::from_system(Operation::Receive, failure))?;
    Ok(SharedMemory::from_object(object, None))
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
