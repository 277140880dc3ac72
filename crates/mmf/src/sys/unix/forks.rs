//! Forks of this process: detecting them, and keeping them away from descriptors that must not be inherited.
//!
//! A child inherits a copy of everything, including values that stand for its parent: participants, guards,
//! and cached facts about "this process". State that belongs to one process alone is therefore kept in a page
//! that the kernel clears in every child with memory of its own (`MADV_WIPEONFORK`), even in one that a
//! bare `clone` has created, which calls no fork handlers.

use std::sync::Once;
#[cfg(any(target_os = "linux", target_os = "android"))]
use std::sync::atomic::Ordering::{Acquire, Release};
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use std::time::{Duration, Instant};

/// The state that a child does not inherit. It is a static, so that a lock reads it by a single load, and
/// occupies whole pages. (ARM64 has kernels with pages of up to 64 KiB.)
#[derive(Debug)]
#[cfg_attr(target_arch = "aarch64", repr(C, align(65536)))]
#[cfg_attr(not(target_arch = "aarch64"), repr(C, align(4096)))]
struct Own {
    /// Not 0 after [`track_forks`], and different from the epochs of all processes that this one descends
    /// from.
    epoch: AtomicU32,
    /// The state of `remembered`: 0 empty, 1 being written, 2 valid.
    state: AtomicU32,
    remembered: [AtomicU64; 3],
}

impl Own {
    const fn new() -> Self {
        Own {
            epoch: AtomicU32::new(0),
            state: AtomicU32::new(0),
            remembered: [AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0)],
        }
    }
}

static OWN: Own = Own::new();
/// Whether the kernel clears [`OWN`] in children. Linux before 4.14 and other systems do not; a fork handler
/// does it there.
static IS_CLEARED: AtomicBool = AtomicBool::new(false);
/// Inherited by children, so that their epochs are greater.
static LAST_EPOCH: AtomicU32 = AtomicU32::new(0);

/// The number of threads that no fork may interrupt, and the number of threads that are about to fork.
static OPENERS: AtomicU32 = AtomicU32::new(0);
static FORKING: AtomicU32 = AtomicU32::new(0);
/// The longest time for which each side waits for the other. Opening takes microseconds. The limit only
/// matters for a fork in a signal handler that has interrupted an opener of the same thread, and for fork
/// handlers of other libraries that wait for an opener.
const LONGEST: Duration = Duration::from_secs(1);

/// Returns the epoch of this process, which differs from those of all processes that it descends from. Valid
/// after [`track_forks`].
#[inline]
pub(crate) fn fork_epoch() -> u32 {
    OWN.epoch.load(Relaxed)
}

/// Initialises [`fork_epoch`].
pub(crate) fn track_forks() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        super::chain::stay_loaded();
        IS_CLEARED.store(clear_in_children(), Relaxed);
        // SAFETY: the handlers only access atomics and sleep, which POSIX permits in the child of a
        // multi-threaded process. `stay_loaded` above pins the library, so their code stays mapped.
        let _ = unsafe { libc::pthread_atfork(Some(before_fork), Some(in_parent), Some(in_child)) };
    });
    if OWN.epoch.load(Relaxed) == 0 {
        let next = LAST_EPOCH.fetch_add(1, Relaxed) + 1;
        // Another thread may have stored an epoch first.
        let _ = OWN.epoch.compare_exchange(0, next, Relaxed, Relaxed);
    }
}

/// Asks the kernel to clear [`OWN`] in every child.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn clear_in_children() -> bool {
    let (address, len) = ((&raw const OWN).cast_mut().cast(), size_of::<Own>());
    // SAFETY: the range is exactly this static: its alignment is that of a page, or the kernel refuses, and
    // the check makes its size a multiple of one. This process keeps the contents. A child finds zeros, which
    // are valid for atomics.
    len % super::memory::page_size() == 0
        && unsafe { rustix::mm::madvise(address, len, rustix::mm::Advice::LinuxWipeOnFork) }.is_ok()
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn clear_in_children() -> bool {
    false
}

fn wait_until_zero(count: &AtomicU32) {
    let begun = Instant::now();
    while count.load(SeqCst) != 0 && begun.elapsed() < LONGEST {
        std::thread::sleep(Duration::from_micros(50));
    }
}

extern "C" fn before_fork() {
    FORKING.fetch_add(1, SeqCst);
    wait_until_zero(&OPENERS);
}

extern "C" fn in_parent() {
    FORKING.fetch_sub(1, SeqCst);
}

extern "C" fn in_child() {
    // The threads that the counters stand for do not exist in the child.
    FORKING.store(0, SeqCst);
    OPENERS.store(0, SeqCst);
    // Needed where the kernel does not clear the page.
    OWN.state.store(0, Relaxed);
    OWN.epoch.store(0, Relaxed);
}

/// Blocks `fork` in this process while it exists, but not a bare `clone`.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[derive(Debug)]
pub(super) struct NoFork {
    epoch: u32,
}

#[cfg(any(target_os = "linux", target_os = "android"))]
impl NoFork {
    pub(super) fn begin() -> Self {
        track_forks();
        wait_until_zero(&FORKING);
        OPENERS.fetch_add(1, SeqCst);
        // A fork may have begun meanwhile.
        while FORKING.load(SeqCst) != 0 {
            OPENERS.fetch_sub(1, SeqCst);
            let begun = Instant::now();
            wait_until_zero(&FORKING);
            OPENERS.fetch_add(1, SeqCst);
            if begun.elapsed() >= LONGEST {
                break;
            }
        }
        NoFork { epoch: fork_epoch() }
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
impl Drop for NoFork {
    fn drop(&mut self) {
        if self.epoch == fork_epoch() {
            OPENERS.fetch_sub(1, SeqCst);
        }
    }
}

/// Returns the facts about this process that `find` determines, which are cached.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn remember(find: impl FnOnce() -> [u64; 3]) -> [u64; 3] {
    track_forks();
    let own = &OWN;
    if own.state.load(Acquire) == 2 {
        return [0, 1, 2].map(|at: usize| own.remembered[at].load(Relaxed));
    }
    let found = find();
    let first = || own.state.compare_exchange(0, 1, Relaxed, Relaxed).is_ok();
    if IS_CLEARED.load(Relaxed) && first() {
        for (word, value) in own.remembered.iter().zip(found) {
            word.store(value, Relaxed);
        }
        own.state.store(2, Release);
    }
    found
}

#[cfg(all(test, target_os = "linux"))]
mod tests;
