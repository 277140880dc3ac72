//! Descriptors over sockets.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use crate::sys::{Failure, Reason};

/// The byte that accompanies a descriptor, as the kernel requires.
const COMPANION: u8 = b'm';

pub(crate) fn send(socket: BorrowedFd<'_>, fd: BorrowedFd<'_>) -> Result<(), Failure> {
    // A closed connection is an error, not a signal that kills this process. On other systems Rust programs
    // ignore that signal by default.
    #[cfg(target_os = "linux")]
    const FLAGS: SendFlags = SendFlags::NOSIGNAL;
    #[cfg(not(target_os = "linux"))]
    const FLAGS: SendFlags = SendFlags::empty();
    let fds = [fd];
    let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut message = SendAncillaryBuffer::new(&mut room);
    if !message.push(SendAncillaryMessage::ScmRights(&fds)) {
        return Err(Failure::new(Reason::Other));
    }
    loop {
        match sendmsg(socket, &[IoSlice::new(&[COMPANION])], &mut message, FLAGS) {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Receives the descriptor that accompanies the next byte, or `None` if anything else arrives. Surplus
/// descriptors are closed.
pub(crate) fn receive(socket: BorrowedFd<'_>) -> Result<Option<OwnedFd>, Failure> {
    // Otherwise a child that another thread starts now would inherit the descriptor. macOS has no such flag.
    #[cfg(target_os = "linux")]
    const FLAGS: RecvFlags = RecvFlags::CMSG_CLOEXEC;
    #[cfg(not(target_os = "linux"))]
    const FLAGS: RecvFlags = RecvFlags::empty();
    // Room for more than one, so that surplus descriptors are detected and closed.
    let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
    let mut messages = RecvAncillaryBuffer::new(&mut room);
    let mut byte = [0];
    let received = loop {
        match recvmsg(socket, &mut [IoSliceMut::new(&mut byte)], &mut messages, FLAGS) {
            Ok(received) => break received,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    };
    let mut fds: Vec<OwnedFd> = Vec::new();
    for message in messages.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights);
        }
    }
    // The system has closed the descriptors that did not fit.
    let is_cut = received.flags.contains(ReturnFlags::CTRUNC);
    #[cfg(not(target_os = "linux"))]
    for fd in &fds {
        rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::CLOEXEC)?;
    }
    if received.bytes == 1 && fds.len() == 1 && !is_cut && byte[0] == COMPANION {
        return Ok(fds.pop());
    }
    dispose(fds);
    Ok(None)
}

/// Whether a descriptor refers to memory: a file in a kernel file system that has no disk and no server. A
/// file of any other file system can block forever, even when only its length is queried, since the sender
/// may serve that file system.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn is_memory(fd: BorrowedFd<'_>) -> bool {
    // Only files of tmpfs and hugetlbfs, including memfds, have seals, and this query is not forwarded to any
    // file system.
    rustix::fs::fcntl_get_seals(fd).is_ok()
}

/// Whether a descriptor refers to memory. Shared memory objects that are not files have no type.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn is_memory(fd: BorrowedFd<'_>) -> bool {
    use rustix::fs::{FileType, fstat};
    fstat(fd).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Unknown)
}

/// Whether closing a descriptor may wait for a file system. It does not for memory, nor for objects without a
/// path (sockets, pipes).
fn may_block(fd: BorrowedFd<'_>) -> bool {
    use std::os::fd::AsRawFd;
    let path = rustix::fs::readlink(format!("/proc/self/fd/{}", fd.as_raw_fd()), Vec::new());
    !is_memory(fd) && path.map_or(cfg!(target_os = "linux"), |path| path.as_bytes().starts_with(b"/"))
}

/// Closes unsolicited descriptors, those that may block on a thread of their own.
pub(crate) fn dispose(fds: Vec<OwnedFd>) {
    use std::mem::ManuallyDrop;
    use std::os::fd::AsFd;
    let (unknown, _): (Vec<_>, Vec<_>) = fds.into_iter().partition(|fd| may_block(fd.as_fd()));
    if unknown.is_empty() {
        return;
    }
    // Without a thread they stay open, which is the lesser evil.
    let unknown = ManuallyDrop::new(unknown);
    let close = move || drop(ManuallyDrop::into_inner(unknown));
    let _ = std::thread::Builder::new().name("mmf-close".to_owned()).spawn(close);
}
