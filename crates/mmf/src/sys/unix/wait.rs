//! Blocking on a word of shared memory until another process wakes the waiter.
//!
//! Linux uses a shared futex, which the kernel identifies by the file of the region and not by addresses of
//! the process. The kernel reads the word. If its page is gone, the kernel returns an error, so no access
//! faults here. Other systems poll at intervals of at most a millisecond.

use std::time::Duration;

#[cfg(any(target_os = "linux", target_os = "android"))]
use rustix::io::Errno;

use super::memory::Object;
use super::name::ObjectName;
use crate::sys::{Failure, Woken};

/// A process whose end can be waited for. This system has none, so waiters poll the process.
#[derive(Debug)]
pub(crate) struct ProcessHandle(std::convert::Infallible);

/// The poll interval of systems that have no means to wake a waiter.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const POLL: Duration = Duration::from_millis(1);

/// The common properties of the kernel objects of one segment. There are no such objects on this system.
#[derive(Clone, Debug)]
pub(crate) struct SegmentObjects;

impl SegmentObjects {
    pub(crate) fn new(_: Option<&Object>, _: Option<&ObjectName>, _: [u8; 16]) -> Self {
        SegmentObjects
    }
}

/// Wakes the waiters of one word. The address of the word suffices on this system.
#[derive(Debug)]
pub(crate) struct Waker;

/// A word for [`wait_any`]: its waker, address and expected value.
pub(crate) type Watched<'a> = (&'a Waker, *const u8, u32);

impl Waker {
    #[allow(clippy::unnecessary_wraps, reason = "other systems can fail")]
    pub(crate) fn new(_: &SegmentObjects, _: u64) -> Result<Self, Failure> {
        Ok(Waker)
    }

    /// Blocks while the word at this address is `expected`, for at most `longest`. The address is in a
    /// mapping and a multiple of four. Only the kernel accesses it.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(crate) fn wait(
        &self,
        address: *const u8,
        expected: u32,
        longest: Duration,
        _: Option<&ProcessHandle>,
    ) -> Result<Woken, Failure> {
        let longest = Timespec::new(longest);
        let (address, time) = (address.cast::<u32>(), &raw const longest);
        // SAFETY: the kernel reads the word itself and returns an error if it cannot; `time` points to a live
        // `Timespec`; `FUTEX_WAIT` ignores the other arguments.
        let result = unsafe { libc::syscall(libc::SYS_futex, address, libc::FUTEX_WAIT, expected, time) };
        outcome(result)
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(crate) fn wait(
        &self,
        _: *const u8,
        _: u32,
        longest: Duration,
        _: Option<&ProcessHandle>,
    ) -> Result<Woken, Failure> {
        std::thread::sleep(longest.min(POLL));
        Ok(if longest <= POLL { Woken::TimedOut } else { Woken::Early })
    }

    /// Wakes one or all waiters of this address.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(crate) fn wake(&self, address: *const u8, all: bool, _: u32) -> Result<(), Failure> {
        let most = if all { i32::MAX } else { 1 };
        // SAFETY: the kernel uses the address only as a key, or returns an error; `FUTEX_WAKE` ignores the
        // other arguments.
        let result = unsafe { libc::syscall(libc::SYS_futex, address.cast::<u32>(), libc::FUTEX_WAKE, most) };
        if result < 0 { Err(last_error().into()) } else { Ok(()) }
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    #[allow(clippy::unnecessary_wraps, reason = "other systems can fail")]
    pub(crate) fn wake(&self, _: *const u8, _: bool, _: u32) -> Result<(), Failure> {
        Ok(())
    }
}

/// Blocks while each of these words has its expected value, for at most `longest`.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn wait_any(words: &[Watched<'_>], longest: Duration) -> Result<Woken, Failure> {
    /// `struct futex_waitv` of linux/futex.h.
    #[repr(C)]
    struct Waiter {
        expected: u64,
        address: u64,
        flags: u32,
        reserved: u32,
    }
    /// A word of 32 bits. Without the private flag it is shared between processes.
    const FUTEX2_SIZE_U32: u32 = 2;
    let waiters: Vec<Waiter> = words
        .iter()
        .map(|(_, address, expected)| Waiter {
            expected: u64::from(*expected),
            address: address.addr() as u64,
            flags: FUTEX2_SIZE_U32,
            reserved: 0,
        })
        .collect();
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let now = Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0));
    let until = Timespec::new(now.saturating_add(longest));
    let (list, time) = (waiters.as_ptr(), &raw const until);
    // SAFETY: the list and the time live during the call; the kernel reads the words itself and returns an
    // error if it cannot.
    let result = unsafe {
        libc::syscall(libc::SYS_futex_waitv, list, waiters.len(), 0_u32, time, libc::CLOCK_MONOTONIC)
    };
    if result < 0 && last_error() == Errno::NOSYS {
        // Before Linux 5.16 this call is missing: waits for one word, and returns soon to check the others.
        let Some((waker, address, expected)) = words.first() else { return Ok(Woken::TimedOut) };
        let short = longest.min(Duration::from_millis(1));
        let woken = waker.wait(*address, *expected, short, None)?;
        return Ok(if woken == Woken::TimedOut && short < longest { Woken::Early } else { woken });
    }
    outcome(if result < 0 { result } else { 0 })
}

/// The maximum number of words of [`wait_any`].
pub(crate) const MAX_WORDS: usize = 128;

#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[allow(clippy::unnecessary_wraps, reason = "other systems can fail")]
pub(crate) fn wait_any(_: &[Watched<'_>], longest: Duration) -> Result<Woken, Failure> {
    std::thread::sleep(longest.min(POLL));
    Ok(if longest <= POLL { Woken::TimedOut } else { Woken::Early })
}

/// `struct __kernel_timespec`, which 64-bit kernels use.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[repr(C)]
struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}

#[cfg(any(target_os = "linux", target_os = "android"))]
impl Timespec {
    fn new(time: Duration) -> Self {
        // The kernel refuses times that are far greater.
        const MOST: u64 = 1 << 32;
        Timespec {
            seconds: i64::try_from(time.as_secs().min(MOST)).unwrap_or(0),
            nanoseconds: i64::from(time.subsec_nanos()),
        }
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn last_error() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn outcome(result: libc::c_long) -> Result<Woken, Failure> {
    if result >= 0 {
        return Ok(Woken::Early);
    }
    match last_error() {
        Errno::AGAIN => Ok(Woken::Changed),
        Errno::TIMEDOUT => Ok(Woken::TimedOut),
        Errno::INTR => Ok(Woken::Early),
        errno => Err(errno.into()),
    }
}
