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

/// A descriptor needs a byte to go with.
const COMPANION: u8 = b'm';

pub(crate) fn send(socket: BorrowedFd<'_>, fd: BorrowedFd<'_>) -> Result<(), Failure> {
    // Who has hung up is an error, not a signal that ends this process. (Elsewhere Rust programs ignore that signal.)
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

/// The descriptor that comes with the next byte; none if something else comes. Those that are too many are closed.
pub(crate) fn receive(socket: BorrowedFd<'_>) -> Result<Option<OwnedFd>, Failure> {
    // Otherwise a child that another thread starts at this moment would get it. (macOS has no such flag.)
    #[cfg(target_os = "linux")]
    const FLAGS: RecvFlags = RecvFlags::CMSG_CLOEXEC;
    #[cfg(not(target_os = "linux"))]
    const FLAGS: RecvFlags = RecvFlags::empty();
    // Room for some more than one, so that they can be told and closed.
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
    // Some did not fit: the system has closed those.
    let is_cut = received.flags.contains(ReturnFlags::CTRUNC);
    #[cfg(not(target_os = "linux"))]
    for fd in &fds {
        rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::CLOEXEC)?;
    }
    let fd = if received.bytes == 1 && fds.len() == 1 && !is_cut { fds.pop() } else { None };
    Ok(fd.filter(|_| byte[0] == COMPANION))
}
