//! Locks, events and other synchronization objects in shared memory that survive the processes that use them.
//!
//! | object | for |
//! | --- | --- |
//! | [`Mutex`], [`RwLock`] | data that several processes change |
//! | [`Latest`] | the newest value of one writer; readers need no write access |
//! | [`Event`], [`EventCount`] | waiting until another process has done something |
//! | [`OnceLock`] | a value that one process initialises |
//! | [`Futex`] | building primitives of your own |
//!
//! A [`Segment`](crate::Segment) creates and opens them by name and type. Their state is in the shared
//! memory. Without contention, an operation takes one or a few atomic instructions. A waiter spins 100 times,
//! for one or a few microseconds, and then blocks in the kernel: on a futex (Linux), on a semaphore that
//! belongs to the segment (Windows), or by polling every millisecond (elsewhere). Locks are starvation-free:
//! after half of the spins a waiter sets the queue bit, and later arrivals yield to it.
//!
//! # Timeouts
//!
//! Each operation `op` that blocks has two more forms: `op_timeout` takes a
//! [`Duration`](std::time::Duration), and `op_deadline` an [`Instant`](std::time::Instant). Timing out is an
//! error value of its own, [`LockError::TimedOut`] or [`WaitError::TimedOut`], and both convert to an
//! [`Error`](crate::Error) of the kind [`TimedOut`](crate::ErrorKind::TimedOut). No operation reports a
//! spurious wake-up as success.
//!
//! # When a process dies
//!
//! | it held | the other processes |
//! | --- | --- |
//! | a [`Mutex`], or an [`RwLock`] for writing | the next owner receives [`LockError::OwnerDied`], which names the process |
//! | an [`RwLock`] for reading | a waiting writer continues |
//! | the writer of a [`Latest`] | readers see the last complete value; the next writer continues after it |
//! | a [`OnceLock`] during initialisation | the next caller initialises it |
//! | a position in a queue of waiters | the other waiters continue |
//!
//! A waiter detects a death within 100 ms: a blocked waiter checks every 50 ms whether the other processes
//! are alive, and the rest is for the check and for scheduling. On Windows it detects the death at once if it
//! may wait for the process. (On an overloaded machine, add the time that any thread waits there to be
//! scheduled.)
//!
//! On Windows and Linux, the kernel holds an object for each participant, which disappears with its process.
//! There and on macOS, a process is identified by its id and its start time. Death is never inferred from the
//! process id alone, because ids are reused. A live process is never taken for dead, even if it is hidden
//! from the process that asks (`hidepid` on Linux).
//!
//! # Damaged data
//!
//! After [`LockError::OwnerDied`] the data may be inconsistent. Inspect and repair it, then call
//! [`MutexGuard::declare_consistent`]. Or call [`MutexGuard::give_up`]: every later attempt to acquire the
//! lock then returns [`LockError::NotRecoverable`]. If the guard is dropped without either, the next owner
//! receives the error again.
//!
//! A guard that is dropped while its thread panics leaves the data marked in the same way, for the same
//! reason. [`OwnerDied::panicked`] distinguishes the two cases, because the process of that thread may still
//! be running.
//!
//! # Hostile peers
//!
//! A process that may write to the segment can break its locks: it can store invalid values, cause spurious
//! wake-ups, and keep a waiter waiting until its deadline. It cannot cause undefined behaviour, and values
//! that were copied out belong to the caller. Only a reference into the shared memory relies on all peers to
//! respect the locks, and therefore requires `unsafe`. A process that may only read the segment cannot affect
//! a lock. On Linux it can delay some wake-ups (see `docs/safety.md`).
//!
//! # Threads
//!
//! A lock belongs to a participant, not to a thread, so guards can be sent to other threads. A thread that
//! acquires a lock that its own process holds waits for it, even if it holds the lock itself. The error of a
//! `try_lock` or of a deadline then reports "held by this process itself".
//!
//! # Fork
//!
//! After a `fork` without `exec`, the locks and writers of the parent stay the parent's. The child has copies
//! of its guards, of its [`LatestWriter`]s and of [`OnceLock`]s during initialisation. Dropping a copy does
//! nothing. Its methods return an error of the kind [`Unsupported`](crate::ErrorKind::Unsupported) until the
//! child opens the segment again, and so do acquiring locks and creating objects. Operations without an owner
//! work in the child: reading a [`Latest`] or an initialised [`OnceLock`], and the operations of [`Event`],
//! [`EventCount`] and [`Futex`].
//!
//! On Linux since 4.14, the library detects each `fork` and `clone` that gives the child an address space of
//! its own. Elsewhere it relies on `pthread_atfork`, and does not detect a bare system call.
//!
//! # `?` with other errors
//!
//! A [`LockError`] contains the guard and therefore borrows the lock. `lock()?` works in functions that
//! return [`Error`](crate::Error). In those that return a `Box<dyn Error>` or the like, drop the guard first:
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
