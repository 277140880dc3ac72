//! Copies made by the kernel, which returns an error where an instruction of this process would raise a
//! signal.
//!
//! `process_vm_readv` and `process_vm_writev` on the calling process act on mapped pages, whatever object is
//! behind them, respect page protection, and need neither a descriptor nor a signal handler. `pread` and
//! `pwrite` on the object would not suffice: they ignore private pages, and a write beyond the end of a
//! truncated object would extend it.

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
/// `dst` is valid to write for `len` bytes. `src` may be invalid: the kernel checks it.
pub(crate) unsafe fn read(dst: *mut u8, src: *const u8, len: usize) -> Result<(), Stopped> {
    // SAFETY: the contract of this function.
    unsafe { copy(Direction::Read, dst, src.cast_mut(), len) }
}

/// Copies into shared memory.
///
/// # Safety
///
/// `src` is valid to read for `len` bytes, and the bytes at `dst`, as far as they are mapped for writing, may
/// be overwritten.
pub(crate) unsafe fn write(dst: *mut u8, src: *const u8, len: usize) -> Result<(), Stopped> {
    // SAFETY: the contract of this function. The call only reads the private side, so the cast to a mutable
    // pointer permits no write.
    unsafe { copy(Direction::Write, src.cast_mut(), dst, len) }
}

/// Fills shared memory with a byte.
///
/// # Safety
///
/// As [`write()`].
pub(crate) unsafe fn fill(dst: *mut u8, byte: u8, len: usize) -> Result<(), Stopped> {
    let bytes = [byte; 4096];
    let mut done = 0;
    while done < len {
        let piece = bytes.len().min(len - done);
        // SAFETY: a part of the range that the caller permits, from a local buffer of at least `piece` bytes.
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
        // The id of this thread stands for its process; the first thread, which has the id of the process,
        // may have ended.
        // SAFETY: `gettid` has no requirements.
        let thread = unsafe { libc::syscall(libc::SYS_gettid) };
        let thread = libc::pid_t::try_from(thread).unwrap_or(0);
        let copied = match direction {
            // SAFETY: the private side is valid to write for the rest, by this function's contract, and the
            // kernel checks the shared side.
            Direction::Read => unsafe { libc::process_vm_readv(thread, &ours, 1, &theirs, 1, 0) },
            // SAFETY: as above, and the caller permits overwriting the shared side.
            Direction::Write => unsafe { libc::process_vm_writev(thread, &ours, 1, &theirs, 1, 0) },
        };
        match usize::try_from(copied) {
            // The copy stops before the first inaccessible page, and the next call reports it.
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

/// Whether the system permits such copies, which a system call filter may forbid. Tested once: filters only
/// become stricter, and a later refusal is an error of the copy.
pub(crate) fn is_available() -> bool {
    const UNKNOWN: u8 = 2;
    static KNOWN: AtomicU8 = AtomicU8::new(UNKNOWN);
    match KNOWN.load(Ordering::Relaxed) {
        UNKNOWN => {
            let (from, mut to): (c_int, c_int) = (1, 0);
            // SAFETY: source and destination are two live variables of the same size.
            let copied = unsafe { read((&raw mut to).cast(), (&raw const from).cast(), size_of::<c_int>()) };
            let available = copied.is_ok() && to == from;
            KNOWN.store(u8::from(available), Ordering::Relaxed);
            available
        }
        known => known == 1,
    }
}
