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

mod event;
mod event_count;
mod futex;
mod latest;
mod mutex;
mod once_lock;
mod owner;
mod rwlock;
mod value;

pub use event::Event;
pub use event_count::EventCount;
pub use futex::Futex;
pub use latest::{Latest, LatestWriter};
pub use mutex::{Mutex, MutexGuard};
pub use once_lock::OnceLock;
pub use rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use core::fmt;
use core::mem::offset_of;
use std::time::SystemTime;

pub(crate) use self::owner::Label;
use crate::access::Access;
use crate::error::{Error, ErrorKind, Operation};
use crate::raw::{Got, Refused};
use crate::segment::ProcessInfo;
use crate::segment::core::{Core, generation_of, index, now, participant, place_of, time_of};
use crate::segment::layout::{END_DIED, END_PANICKED, LockHead};

/// Why there is no plain guard. With `?` in a function that returns a `Box<dyn Error>`: `lock().map_err(mmf::Error::from)?`.
#[non_exhaustive]
pub enum LockError<G> {
    /// The lock is acquired, but a previous owner died holding it, or panicked; the data may be inconsistent.
    OwnerDied(OwnerDied<G>),
    /// After that, an owner gave the lock up for good.
    NotRecoverable(Error),
    /// Another owner holds it, and the caller did not want to wait. The error says which process.
    WouldBlock(Error),
    /// The deadline has passed. The error says which process holds the lock.
    TimedOut(Error),
    /// The memory is gone, or makes no sense.
    Failed(Error),
}

/// A lock whose previous owner died holding it, or panicked, and who that was.
#[must_use = "dropping it unlocks, and leaves the data marked as damaged"]
pub struct OwnerDied<G> {
    guard: G,
    /// Apart, since every locking gives a result that has room for it.
    died: Box<Died>,
}

/// How a lock was left damaged.
#[derive(Clone, Debug, Default)]
struct Died {
    /// For example: the mutex "counter" in "Local\plant".
    lock: String,
    name: String,
    /// The region's, if it has one.
    region: Option<String>,
    process: Option<ProcessInfo>,
    panicked: bool,
    since: Option<SystemTime>,
    noticed: Option<SystemTime>,
}

impl Died {
    /// "its previous owner (process 7) died holding it".
    fn how(&self) -> String {
        match (&self.process, self.panicked) {
            (Some(process), true) => format!("a thread of process {} panicked while holding it", process.id),
            (None, true) => {
                "a thread of a process that is no longer known panicked while holding it".to_owned()
            }
            (Some(process), false) => format!("its previous owner (process {}) died holding it", process.id),
            (None, false) => "a previous owner died holding it".to_owned(),
        }
    }
}

impl<G> OwnerDied<G> {
    /// The guard, to inspect the data and to repair it.
    pub fn into_guard(self) -> G {
        self.guard
    }

    /// The process that died, or of which a thread [panicked](OwnerDied::panicked); none if that can no longer be found out.
    pub fn process(&self) -> Option<&ProcessInfo> {
        self.died.process.as_ref()
    }

    /// Whether the owner did not die: a thread of it panicked and dropped the guard while it unwound. Its process may still be running, and
    /// may be this one.
    ///
    /// ```
    /// use mmf::sync::LockError;
    ///
    /// let segment = mmf::Segment::create("doc-owner-panicked", 64 * 1024)?;
    /// let mutex = segment.mutex::<u64>("state")?;
    /// std::thread::scope(|scope| {
    ///     let thread = scope.spawn(|| {
    ///         let _guard = mutex.lock();
    ///         panic!("with the lock");
    ///     });
    ///     assert!(thread.join().is_err());
    /// });
    /// let Err(LockError::OwnerDied(owner)) = mutex.lock() else { unreachable!() };
    /// assert!(owner.panicked());
    /// assert_eq!(owner.process().map(|process| process.id), Some(std::process::id()));
    /// # Ok::<(), mmf::Error>(())
    /// ```
    pub fn panicked(&self) -> bool {
        self.died.panicked
    }

    /// Since when it had held the lock, at the latest: when another participant first had to wait for it. (The exact time would cost every
    /// locking as much as the lock itself.) None if none had to.
    pub fn since(&self) -> Option<SystemTime> {
        self.died.since
    }

    /// When its death or panic was noticed.
    pub fn noticed(&self) -> Option<SystemTime> {
        self.died.noticed
    }
}

impl<G> fmt::Debug for OwnerDied<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnerDied").field("died", &self.died).finish_non_exhaustive()
    }
}

impl<G> LockError<G> {
    /// What happened, without the guard (which is dropped): for `?`.
    fn into_error(self) -> Error {
        match self {
            LockError::OwnerDied(owner) => {
                let Died { lock, name, region, .. } = &*owner.died;
                let sentence = format!(
                    "the value of {lock} may be inconsistent, because {}: handle LockError::OwnerDied, which has \
                     the guard, repair the value and call declare_consistent(), or call give_up()",
                    owner.died.how()
                );
                let error = Error::new(Operation::Acquire, ErrorKind::Corrupted);
                let error = region.iter().fold(error, |error, region| error.with_subject(region));
                error.with_object(name).with_sentence(sentence)
            }
            LockError::NotRecoverable(error)
            | LockError::WouldBlock(error)
            | LockError::TimedOut(error)
            | LockError::Failed(error) => error,
        }
    }
}

impl<G> fmt::Debug for LockError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockError::OwnerDied(owner) => f.debug_tuple("OwnerDied").field(owner).finish(),
            LockError::NotRecoverable(error) => f.debug_tuple("NotRecoverable").field(error).finish(),
            LockError::WouldBlock(error) => f.debug_tuple("WouldBlock").field(error).finish(),
            LockError::TimedOut(error) => f.debug_tuple("TimedOut").field(error).finish(),
            LockError::Failed(error) => f.debug_tuple("Failed").field(error).finish(),
        }
    }
}

impl<G> fmt::Display for LockError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockError::OwnerDied(owner) => write!(
                f,
                "{} was acquired, but {}; the data may be inconsistent: repair it and call declare_consistent(), \
                 or call give_up()",
                owner.died.lock,
                owner.died.how()
            ),
            LockError::NotRecoverable(error)
            | LockError::WouldBlock(error)
            | LockError::TimedOut(error)
            | LockError::Failed(error) => error.fmt(f),
        }
    }
}

impl<G> core::error::Error for LockError<G> {}

/// Drops the guard of [`LockError::OwnerDied`], if it is that: the data stay marked as damaged.
impl<G> From<LockError<G>> for Error {
    fn from(error: LockError<G>) -> Self {
        error.into_error()
    }
}

/// Why a lock was not acquired, in words. `holder` is who holds it where `why` does not say so: 0 if nobody does.
pub(crate) fn refused<A: Access>(
    core: &Core<A>,
    label: &Label,
    operation: Operation,
    why: &Refused<Error>,
    holder: u32,
) -> Error {
    let error = |kind, say: &dyn Fn(&str) -> String| label.error(core, operation, kind, say);
    match why {
        Refused::WouldBlock(0) => error(ErrorKind::Busy, &|lock| {
            format!("{lock} went to others at each of many attempts; try again")
        }),
        Refused::WouldBlock(token) => {
            error(ErrorKind::Busy, &|lock| format!("{lock} is held by {}", who(core, *token)))
        }
        Refused::Deadline if holder == 0 => error(ErrorKind::TimedOut, &|lock| {
            format!("timed out waiting for {lock}, which no process holds any more; try again")
        }),
        Refused::Deadline => error(ErrorKind::TimedOut, &|lock| {
            format!("timed out waiting for {lock}: it is held by {}", who(core, holder))
        }),
        Refused::Done => error(ErrorKind::NotRecoverable, &|lock| {
            format!(
                "{lock} was given up for good after an owner had died holding it: \
                 end all programs that use the segment and create it anew"
            )
        }),
        Refused::TooMany => error(ErrorKind::LimitReached, &|lock| {
            format!(
                "{lock} is in use by too many threads of this process: \
                 about a thousand threads of one participant can use a lock at a time"
            )
        }),
        Refused::Fault(fault) => {
            let error = core.fail(operation, ErrorKind::Fault);
            match fault.diagnosis() {
                Some(diagnosis) => error.with_diagnosis(diagnosis.clone()),
                None => error,
            }
        }
    }
}

/// A participant in words, as the holder of something.
pub(crate) fn who<A: Access>(core: &Core<A>, token: u32) -> String {
    let own = core.own_token();
    let process = process_of(core, token);
    let itself =
        own == Some(token) || own.is_some_and(|own| process.is_some() && process == process_of(core, own));
    match process {
        _ if itself => format!("this process itself (process {})", std::process::id()),
        Some(process) => format!("process {}", process.id),
        None => "a participant of which no more is known".to_owned(),
    }
}

fn lock_error<G, A: Access>(core: &Core<A>, label: &Label, why: Refused<Error>, holder: u32) -> LockError<G> {
    let error = |why| refused(core, label, Operation::Acquire, &why, holder);
    match why {
        Refused::Fault(error) => LockError::Failed(error),
        Refused::WouldBlock(_) => LockError::WouldBlock(error(why)),
        Refused::Deadline => LockError::TimedOut(error(why)),
        Refused::Done => LockError::NotRecoverable(error(why)),
        Refused::TooMany => LockError::Failed(error(why)),
    }
}

/// The process of a participant, if its place still says so.
pub(crate) fn process_of<A: Access>(core: &Core<A>, token: u32) -> Option<ProcessInfo> {
    let place = place_of(token);
    if token == 0 || place >= core.places {
        return None;
    }
    let (claim, record) = core.place(place).ok()?;
    (claim.generation() == generation_of(token) && claim.process() != 0)
        .then(|| participant(claim, &record).into())
}

/// What is told with a lock whose head is at `head`, about the owner that left it damaged.
fn owner_died<G>(core: &Core, label: &Label, head: u64, guard: G, got: Got) -> LockError<G> {
    match who_died(core, head, got) {
        Ok(died) => {
            let region = core.fail(Operation::Acquire, ErrorKind::Corrupted).name().map(str::to_owned);
            let named = Died { lock: label.phrase(core), name: label.name().to_owned(), region, ..died };
            LockError::OwnerDied(OwnerDied { guard, died: Box::new(named) })
        }
        Err(error) => LockError::Failed(error),
    }
}

/// Who died with a lock whose head is at `head`, or panicked, as was written down then.
fn who_died(core: &Core, head: u64, got: Got) -> Result<Died, Error> {
    let mut record = core.view.read::<LockHead>(index(head))?;
    // (Another participant that noticed a death later than this one may have overwritten it.)
    if let Got::OwnerDied(token) = got {
        if record.dead_token != token {
            write_down_end(core, head, token, END_DIED)?;
            record = core.view.read::<LockHead>(index(head))?;
        }
    }
    let process = ProcessInfo { id: record.dead_process, started: record.dead_started, pid_namespace: None };
    Ok(Died {
        process: (process.id != 0).then_some(process),
        panicked: record.end == END_PANICKED,
        since: time_of(record.dead_since),
        noticed: time_of(record.dead_noticed),
        ..Died::default()
    })
}

/// Writes down how an owner left the data damaged: it died, or it panicked.
pub(crate) fn write_down_end(core: &Core, head: u64, token: u32, end: u16) -> Result<(), Error> {
    let at = index(head);
    let record = core.view.read::<LockHead>(at)?;
    let since = if record.since_is_of(token) { record.since } else { 0 };
    let (id, started) = process_of(core, token).map_or((0, 0), |process| (process.id, process.started));
    core.view.write(&token, at + offset_of!(LockHead, dead_token))?;
    core.view.write(&id, at + offset_of!(LockHead, dead_process))?;
    core.view.write(&end, at + offset_of!(LockHead, end))?;
    core.view.write(&[started, now(), since], at + offset_of!(LockHead, dead_started))
}
