//! Names that are held when the process exits.
//!
//! A value that is never dropped (a static, or whatever lives when `std::process::exit` is called) would leave its name to the next
//! process that asks. So an exit handler releases what is still held. It does what dropping does and nothing else: the
//! memory stays mapped, so threads that still run are not disturbed.
//!
//! What was shared by a fork is left alone: a child that goes on without the parent (a daemon) uses the same open file
//! description, and the parent's exit must not take the name away from it.

use std::collections::BTreeMap;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, Once, PoisonError, TryLockError};

use super::chain;
use super::forks;
use super::memory::ObjectId;
use super::name::ObjectName;
use super::named;

/// A name that is to be released.
struct Held {
    name: ObjectName,
    identity: ObjectId,
    /// By [`forks::fork_epoch`].
    process: u32,
    /// How often this process had forked when it was opened.
    forks: u32,
}

/// By descriptor. An entry is taken out before its descriptor is closed, so each of them is open.
static HELD: Mutex<BTreeMap<RawFd, Held>> = Mutex::new(BTreeMap::new());

/// How often this process has forked, or was about to.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// Has a name released when this process exits, until `forget` is called; false if that cannot be had.
pub(super) fn remember(fd: BorrowedFd<'_>, name: &ObjectName, identity: ObjectId, process: u32) -> bool {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        chain::stay_loaded();
        // SAFETY: the handler only adds to an atomic, which is allowed at any time.
        let _ = unsafe { libc::pthread_atfork(Some(before_fork), None, None) };
        // SAFETY: a function that can be called at exit: it takes no lock that it might have to wait for.
        let _ = unsafe { libc::atexit(at_exit) };
    });
    let held = Held { name: name.clone(), identity, process, forks: FORKS.load(Ordering::Relaxed) };
    // In a child that was forked while another thread had the lock, it is never released. Then there is no release at exit.
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

/// Undoes what `remember` has said true to, in the same process.
pub(super) fn forget(fd: BorrowedFd<'_>) {
    HELD.lock().unwrap_or_else(PoisonError::into_inner).remove(&fd.as_raw_fd());
}

extern "C" fn before_fork() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

extern "C" fn at_exit() {
    // If a signal handler exits in the middle of `remember`, waiting would be for good.
    let Ok(all) = HELD.try_lock() else { return };
    let (process, forks) = (forks::fork_epoch(), FORKS.load(Ordering::Relaxed));
    for (fd, held) in all.iter().filter(|(_, held)| held.process == process && held.forks == forks) {
        // SAFETY: the descriptor of an entry is open, and stays so while this has the lock.
        let fd = unsafe { BorrowedFd::borrow_raw(*fd) };
        named::release(fd, &held.name, held.identity);
    }
}
