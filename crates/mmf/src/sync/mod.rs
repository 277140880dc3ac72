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
//! | a [`Once`] half initialised | the next one initialises it |
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
//! After [`LockError::OwnerDied`] the data may be half changed. Look at them, mend them, and say [`MutexGuard::declare_consistent`]; or say
//! [`MutexGuard::give_up`], and everybody gets [`LockError::Abandoned`] from then on. If the guard is dropped without either, the next one is
//! told the same again. A guard that is dropped by a panic leaves the same mark, for the same reason.
//!
//! # Peers
//!
//! Whoever may write to the segment may break its locks: that can give you nonsense, wake you for nothing, or let you wait until your deadline. It is
//! never undefined behaviour; what is copied out is yours. `&mut T` into the memory is the one thing that trusts all peers to keep to the locks, and so it
//! is `unsafe`.
//!
//! Guards can be sent to other threads: a lock belongs to a participant, not to a thread. (So a thread that locks what its own process has locked
//! waits for it, also if it is itself.)

mod event;
mod latest;
mod mutex;
mod notify;
mod once;
pub(crate) mod raw;
#[cfg(test)]
mod raw_tests;
mod rwlock;
pub(crate) mod scene;
mod value;
mod wait_cell;

pub use event::Event;
pub use latest::{Latest, LatestWriter};
pub use mutex::{Mutex, MutexGuard};
pub use notify::Notify;
pub use once::Once;
pub use rwlock::{ReadGuard, RwLock, WriteGuard};
pub use wait_cell::WaitCell;

use core::fmt;
use std::time::SystemTime;

use self::raw::{Got, Refused};
use crate::access::Access;
use crate::error::{Error, ErrorKind, Operation};
use crate::segment::ProcessInfo;
use crate::segment::core::{Core, generation_of, index, now, place_of, time_of};
use crate::segment::layout::LockHead;

/// Why there is no plain guard.
#[non_exhaustive]
pub enum LockError<G> {
    /// An owner died with the lock. You have it now; the data may be half changed.
    OwnerDied(OwnerDied<G>),
    /// After a death somebody has given the lock up for good.
    Abandoned(Error),
    /// Somebody has it, and you did not want to wait.
    WouldBlock(Error),
    /// The deadline has passed.
    TimedOut(Error),
    /// The memory is gone, or makes no sense.
    Failed(Error),
}

/// The lock of an owner who died, and who that was.
#[must_use = "dropping it unlocks, and leaves the data marked as damaged"]
pub struct OwnerDied<G> {
    guard: G,
    /// Apart, since every locking gives a result that has room for it.
    died: Box<Died>,
}

/// Who died with a lock.
#[derive(Clone, Debug, Default)]
struct Died {
    process: Option<ProcessInfo>,
    since: Option<SystemTime>,
    noticed: Option<SystemTime>,
}

impl<G> OwnerDied<G> {
    /// The guard, to look at the data and to mend them.
    pub fn into_guard(self) -> G {
        self.guard
    }

    /// The process that died; none if that cannot be found out any more.
    pub fn process(&self) -> Option<&ProcessInfo> {
        self.died.process.as_ref()
    }

    /// Since when it had the lock, at the latest: from when somebody had to wait for it. (The exact time would cost every locking as much as
    /// the lock itself.) None if nobody had to.
    pub fn since(&self) -> Option<SystemTime> {
        self.died.since
    }

    /// When its death was noticed.
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
                let who = owner
                    .process()
                    .map_or_else(|| "a process".to_owned(), |who| format!("process {}", who.id));
                Error::new(Operation::Acquire, ErrorKind::Damaged).with_detail(format!(
                    "{who} died with the lock, and the data may be half changed: handle LockError::OwnerDied"
                ))
            }
            LockError::Abandoned(error)
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
            LockError::Abandoned(error) => f.debug_tuple("Abandoned").field(error).finish(),
            LockError::WouldBlock(error) => f.debug_tuple("WouldBlock").field(error).finish(),
            LockError::TimedOut(error) => f.debug_tuple("TimedOut").field(error).finish(),
            LockError::Failed(error) => f.debug_tuple("Failed").field(error).finish(),
        }
    }
}

impl<G> fmt::Display for LockError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockError::OwnerDied(owner) => {
                f.write_str("the lock was got, but ")?;
                match owner.process() {
                    Some(process) => write!(f, "process {}", process.id)?,
                    None => f.write_str("a process")?,
                }
                f.write_str(" died with it: the data may be half changed; mend them and declare them consistent, or give the lock up")
            }
            LockError::Abandoned(error)
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

/// Why a lock was not got, in words.
pub(crate) fn refused<A: Access>(core: &Core<A>, operation: Operation, why: &Refused<Error>) -> Error {
    match why {
        Refused::WouldBlock(token) => {
            let error = core.fail(operation, ErrorKind::Busy);
            match process_of(core, *token) {
                Some(process) => error.with_detail(format!("process {} has it", process.id)),
                None => error.with_detail("somebody else has it"),
            }
        }
        Refused::Deadline => core.fail(operation, ErrorKind::TimedOut),
        Refused::Done => core.fail(operation, ErrorKind::Abandoned),
        Refused::TooMany => core
            .fail(operation, ErrorKind::LimitReached)
            .with_detail("about a thousand threads of one participant can use one lock at a time"),
        Refused::Fault(_) => core.fail(operation, ErrorKind::Fault),
    }
}

fn lock_error<G, A: Access>(core: &Core<A>, why: Refused<Error>) -> LockError<G> {
    let error = |why| refused(core, Operation::Acquire, &why);
    match why {
        Refused::Fault(error) => LockError::Failed(error),
        Refused::WouldBlock(_) => LockError::WouldBlock(error(why)),
        Refused::Deadline => LockError::TimedOut(error(why)),
        Refused::Done => LockError::Abandoned(error(why)),
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
        .then_some(ProcessInfo { id: claim.process(), started: record.started })
}

/// Who died with a lock whose head is at `head`, as was written down when it was found dead. (`write`: also who only counts as dead, because it
/// panicked; and what somebody who has found out later than us has overwritten.)
fn who_died(core: &Core, head: u64, got: Got, write: bool) -> Result<Option<Died>, Error> {
    let mut record = core.view.read::<LockHead>(index(head))?;
    match got {
        Got::Clean => return Ok(None),
        Got::OwnerDied(token)
            if write && (record.dead_token != token || core.me().is_ok_and(|me| me == token)) =>
        {
            write_down_death(core, head, token)?;
            record = core.view.read::<LockHead>(index(head))?;
        }
        Got::Damaged | Got::OwnerDied(_) => {}
    }
    let process = ProcessInfo { id: record.dead_process, started: record.dead_started };
    Ok(Some(Died {
        process: (process.id != 0).then_some(process),
        since: time_of(record.dead_since),
        noticed: time_of(record.dead_noticed),
    }))
}

fn write_down_death(core: &Core, head: u64, token: u32) -> Result<(), Error> {
    let at = index(head);
    let record = core.view.read::<LockHead>(at)?;
    let since = if record.since_token == token { record.since } else { 0 };
    let (id, started) = process_of(core, token).map_or((0, 0), |process| (process.id, process.started));
    core.view.write(at + 12, &token)?;
    core.view.write(at + 24, &[id, 0])?;
    core.view.write(at + 32, &[started, now(), since])
}
