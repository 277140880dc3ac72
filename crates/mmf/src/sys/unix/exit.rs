//! Releasing names when the process exits.
//!
//! A value that is never dropped (a static, or any value that is alive when `std::process::exit` is called)
//! would leave its name behind. So an exit handler releases the names that are still held. It does what
//! dropping does and no more: the region stays mapped, so running threads are not disturbed.
//!
//! Objects that a fork has shared are left alone: a child that outlives the parent (a daemon) uses the same
//! open file description, and the parent's exit must not release its name.

use std::collections::BTreeMap;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, Once, PoisonError, TryLockError};

use super::chain;
use super::forks;
use super::name::ObjectName;
use super::named;
use super::object_id::ObjectId;

/// A name to release.
struct Held {
    name: ObjectName,
    identity: ObjectId,
    /// The epoch of the process, see [`forks::fork_epoch`].
    process: u32,
    /// The number of forks before the object was opened.
    forks: u32,
}

/// The names by descriptor. An entry is removed before its descriptor is closed, so the descriptor of every
/// entry is open.
static HELD: Mutex<BTreeMap<RawFd, Held>> = Mutex::new(BTreeMap::new());

/// The number of forks that this process has begun.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// Registers a name to be released at exit, unless `forget` is called before. Returns false if that is not
/// possible.
pub(super) fn remember(fd: BorrowedFd<'_>, name: &ObjectName, identity: ObjectId, process: u32) -> bool {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        chain::stay_loaded();
        // SAFETY: the handler only increments an atomic, which is async-signal-safe, and `stay_loaded` keeps
        // its code mapped.
        let _ = unsafe { libc::pthread_atfork(Some(before_fork), None, None) };
        // SAFETY: `at_exit` never waits for a lock, and `stay_loaded` keeps its code mapped.
        let _ = unsafe { libc::atexit(at_exit) };
    });
    let held = Held { name: name.clone(), identity, process, forks: FORKS.load(Ordering::Relaxed) };
    // In a child that was forked while another thread held the lock, the lock is never released. Then nothing
    // is released at exit.
    for _ in 0..1000 {
        match HELD.try_lock() {
            Ok(mut all) => {
                all.insert(fd.as_raw_fd(), held);
                return true;
            }
            Err(TryLockError::Poisoned(_)) => return false,
            Err(TryLockError::WouldBlock) => std::thread::yield_now(),
        }
    }
    false
}

/// Undoes a successful `remember` of the same process.
pub(super) fn forget(fd: BorrowedFd<'_>) {
    HELD.lock().unwrap_or_else(PoisonError::into_inner).remove(&fd.as_raw_fd());
}

extern "C" fn before_fork() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

extern "C" fn at_exit() {
    // If a signal handler exits in the middle of `remember`, blocking would never end.
    let Ok(all) = HELD.try_lock() else { return };
    let (process, forks) = (forks::fork_epoch(), FORKS.load(Ordering::Relaxed));
    for (fd, held) in all.iter().filter(|(_, held)| held.process == process && held.forks == forks) {
        // SAFETY: the descriptor of an entry is open (see `HELD`), and cannot be removed and closed while
        // this holds the lock.
        let fd = unsafe { BorrowedFd::borrow_raw(*fd) };
        named::release(fd, &held.name, held.identity);
    }
}
