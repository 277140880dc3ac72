//! Locks, events and latest values in shared memory, which survive the processes that use them.
//!
//! All of them are made or found by a [`Segment`](crate::Segment). State lies in the shared memory and the fast path is one atomic
//! instruction; who has to wait spins for a moment (100 looks, a microsecond or a few) and then sleeps in the kernel: on a futex (Linux), on
//! a semaphore that belongs to the segment (Windows), or by looking every millisecond (elsewhere). After half of the spins in vain it asks for its
//! turn, so that nobody who locks again and again keeps others out.
//!
//! # When a process dies
//!
//! | it had | the others |
//! | --- | --- |
//! | a [`Mutex`], or an [`RwLock`] to write | the next one gets the guard as [`LockError::OwnerDied`], with who it was |
//! | an [`RwLock`] to read | the writer goes on |
//! | the writer's side of a [`Latest`] | readers have the last whole value; the next writer goes on |
//! | a [`OnceLock`] half initialised | the next one initialises it |
//! | a place in a queue | the others go on |
//!
//! On Windows that is noticed at once where the process can be waited for, else and elsewhere within 100 ms of waiting: who sleeps looks every
//! 50 ms whether the others are still there, and the rest is for looking and for getting the processor. (On a machine that has more to do than
//! it can, add what anything has to wait there.)
//!
//! On Windows and Linux the kernel holds something for each participant, and there and on macOS its process is known by id and start: it is
//! never told by the process id alone, which another process may have got. One that lives never counts as dead, not even where it is hidden
//! from whoever asks (Linux: `hidepid`).
//!
//! # Damaged data
//!
//! After [`LockError::OwnerDied`] the data may be half changed. Inspect and repair it, then call [`MutexGuard::declare_consistent`]; or call
//! [`MutexGuard::give_up`], and every later attempt to lock returns [`LockError::NotRecoverable`]. If the guard is dropped without either, the next owner is
//! notified again. A guard that is dropped while its thread panics leaves the same mark, for the same reason: [`OwnerDied::panicked`] tells the
//! two apart, since the process of that thread may well be running.
//!
//! # Peers
//!
//! A process that may write to the segment may break its locks: a peer can give you nonsense, wake you for nothing, or let you wait until your deadline. It
//! is never undefined behaviour; what is copied out is yours. `&mut T` into the memory is the one thing that trusts all peers to keep to the locks, and so it
//! is `unsafe`. A process that may only read can do nothing to a lock; on Linux it may delay some wake-ups, as `docs/safety.md` says.
//!
//! Guards can be sent to other threads: a lock belongs to a participant, not to a thread. (So a thread that locks what its own process has locked
//! waits for it, also if it is itself. The error of a `try_lock` or of a deadline says so: "held by this process itself".)
//!
//! # Fork
//!
//! After a `fork` without `exec`, the locks and writers of the parent stay the parent's. The child has copies of its guards, [`LatestWriter`]s and
//! half-initialised [`OnceLock`]s: dropping them does nothing there, and each of their methods returns an error of the kind
//! [`Unsupported`](ErrorKind::Unsupported), as locking and making objects do, until the child opens the segment again. What belongs to nobody works
//! in the child, too: reading a [`Latest`] or an initialised [`OnceLock`], and [`Event`], [`EventCount`] and [`Futex`]. (Linux since 4.14: after each
//! `fork` and `clone` that gives the child memory of its own. Elsewhere `pthread_atfork` tells of a fork, and a bare system call goes unnoticed.)
//!
//! # `?` with other errors
//!
//! A [`LockError`] contains the guard, and borrows the lock with it. So `lock()?` works in functions that return [`Error`], and not in those that
//! return a `Box<dyn Error>` or the like, unless the guard is dropped first:
//!
//! ```
//! fn count(segment: &mmf::Segment) -> Result<u64, Box<dyn std::error::Error>> {
//!     let counter = segment.mutex::<u64>("counter")?;
//!     let mut guard = counter.lock().map_err(mmf::Error::from)?;
//!     Ok(guard.update(|value| *value += 1).and_then(|()| guard.get())?)
//! }
//! # let segment = mmf::Segment::create("doc-sync-boxed", 64 * 1024)?;
//! # assert_eq!(count(&segment).unwrap(), 1);
//! # Ok::<(), mmf::Error>(())
//! ```

mod error;
mod event;
mod event_count;
mod futex;
mod latest;
mod mutex;
mod objects;
mod once_lock;
mod owner;
mod rwlock;
mod value;

pub use error::{LockError, LockResult, OwnerDied, WaitError};
pub use event::Event;
pub use event_count::EventCount;
pub use futex::Futex;
pub use latest::{Latest, LatestWriter, Published};
pub use mutex::{Mutex, MutexGuard};
pub use once_lock::OnceLock;
pub use rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
