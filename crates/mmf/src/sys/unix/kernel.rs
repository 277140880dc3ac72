//! Copies made by the kernel, which returns an error where an instruction of this process would raise a signal.
//!
//! `process_vm_readv` and `process_vm_writev` on the calling process: they act on mapped pages, whatever object is behind them,
//! honour the protection of the pages, and need no descriptor and no signal handler. (*Not* `pread` and `pwrite` on the object:
//! those know nothing of private pages, and writing behind the end of an object that a peer has cut would lengthen it.)

use core::sync::atomic::{AtomicU8, Ordering};

use libc::{c_int, iovec};
use rustix::io::Errno;

use super::fault;
use crate::sys::Stopped;
use crate::sys::guard::Caught;

#[derive(Clone, Copy)]
enum Direction {
    Read,
    Write,
}

/// Copies out of shared memory.
///
/// # Safety
///
/// `dst` is valid to write for `len` bytes. (`src` need not be valid: the kernel looks.)
pub(crate) unsafe fn read(dst: *mut u8, src: *const u8, len: usize) -> Result<(), Stopped> {
    // SAFETY: exactly this function's contract.
    unsafe { copy(Direction::Read, dst, src.cast_mut(), len) }
}

/// Copies into shared memory.
///
/// # Safety
///
/// `src` is valid to read for `len` bytes, and the bytes at `dst`, where they are mapped for writing, may be overwritten.
pub(crate) unsafe fn write(dst: *mut u8, src: *const u8, len: usize) -> Result<(), Stopped> {
    // SAFETY: exactly this function's contract; the private side is only read.
    unsafe { copy(Direction::Write, src.cast_mut(), dst, len) }
}

/// Sets shared bytes.
///
/// # Safety
///
/// As [`write()`].
pub(crate) unsafe fn fill(dst: *mut u8, byte: u8, len: usize) -> Result<(), Stopped> {
    let bytes = [byte; 4096];
    let mut done = 0;
    while done < len {
        let piece = bytes.len().min(len - done);
        // SAFETY: a part of what the caller allows, from a buffer of ours.
        unsafe { write(dst.wrapping_add(done), bytes.as_ptr(), piece) }?;
        done += piece;
    }
    Ok(())
}

/// # Safety
///
/// As [`read`] or [`write()`], with `shared` the source or the destination.
unsafe fn copy(direction: Direction, private: *mut u8, shared: *mut u8, len: usize) -> Result<(), Stopped> {
    let mut done = 0;
    while done < len {
        let rest = len - done;
        let ours = iovec { iov_base: private.wrapping_add(done).cast(), iov_len: rest };
        let theirs = iovec { iov_base: shared.wrapping_add(done).cast(), iov_len: rest };
        // The thread's id, which stands for its process: the first thread, whose id is the process's, may have ended.
        // SAFETY: it has no requirements.
        let thread = unsafe { libc::syscall(libc::SYS_gettid) };
        let thread = libc::pid_t::try_from(thread).unwrap_or(0);
        let copied = match direction {
            // SAFETY: the private side is valid for what is left, by this function's contract; the kernel checks the other one.
            Direction::Read => unsafe { libc::process_vm_readv(thread, &ours, 1, &theirs, 1, 0) },
            // SAFETY: the same; and the caller allows to overwrite the other one.
            Direction::Write => unsafe { libc::process_vm_writev(thread, &ours, 1, &theirs, 1, 0) },
        };
        match usize::try_from(copied) {
            // It stops before the first page that cannot be accessed; the next call says so.
            Ok(copied) if copied > 0 => done += copied,
            _ => match Errno::from_io_error(&std::io::Error::last_os_error()) {
                Some(Errno::INTR | Errno::AGAIN) => {}
                Some(Errno::FAULT) | None => {
                    let code = libc::SIGBUS.unsigned_abs();
                    let address = shared.addr() + done;
                    return Err(Stopped::Fault(Caught { address, code, detail: fault::FOUND_BY_THE_KERNEL }));
                }
                Some(errno) => return Err(Stopped::Refused(errno.into())),
            },
        }
    }
    Ok(())
}

/// Whether the system makes such copies: a filter of system calls may forbid them. Asked once; filters only become stricter,
/// and a later refusal is an error of the copy.
pub(crate) fn is_available() -> bool {
    const UNKNOWN: u8 = 2;
    static KNOWN: AtomicU8 = AtomicU8::new(UNKNOWN);
    match KNOWN.load(Ordering::Relaxed) {
        UNKNOWN => {
            let (from, mut to): (c_int, c_int) = (1, 0);
            // SAFETY: two variables of the same size.
            let copied = unsafe { read((&raw mut to).cast(), (&raw const from).cast(), size_of::<c_int>()) };
            let available = copied.is_ok() && to == from;
            KNOWN.store(u8::from(available), Ordering::Relaxed);
            available
        }
        known => known == 1,
    }
}
