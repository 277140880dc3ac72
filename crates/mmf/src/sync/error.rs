//! The errors of locks: what happened, which process is involved, and the guard where there is one.

use core::fmt;
use std::time::SystemTime;

use crate::access::Access;
use crate::error::{Error, ErrorKind, Operation};
use crate::raw::{AcquireError, Acquired};
use crate::segment::ProcessInfo;
use crate::segment::core::{Core, index, time_of};
use crate::segment::label::Label;
use crate::segment::layout::{END_DIED, END_PANICKED, LockHead};
use crate::segment::owners::{describe_owner, record_damage};

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
pub(super) fn refused<A: Access>(
    core: &Core<A>,
    label: &Label,
    operation: Operation,
    why: &AcquireError<Error>,
    holder: u32,
) -> Error {
    let error = |kind, say: &dyn Fn(&str) -> String| label.error(core, operation, kind, say);
    match why {
        AcquireError::WouldBlock(0) => error(ErrorKind::Busy, &|lock| {
            format!("{lock} went to others at each of many attempts; try again")
        }),
        AcquireError::WouldBlock(token) => {
            error(ErrorKind::Busy, &|lock| format!("{lock} is held by {}", describe_owner(core, *token)))
        }
        AcquireError::TimedOut if holder == 0 => error(ErrorKind::TimedOut, &|lock| {
            format!("timed out waiting for {lock}, which no process holds any more; try again")
        }),
        AcquireError::TimedOut => error(ErrorKind::TimedOut, &|lock| {
            format!("timed out waiting for {lock}: it is held by {}", describe_owner(core, holder))
        }),
        AcquireError::Done => error(ErrorKind::NotRecoverable, &|lock| {
            format!(
                "{lock} was given up for good after an owner had died holding it: \
                 end all programs that use the segment and create it anew"
            )
        }),
        AcquireError::TooManyReaders => error(ErrorKind::LimitReached, &|lock| {
            format!(
                "{lock} is in use by too many threads of this process: \
                 about a thousand threads of one participant can use a lock at a time"
            )
        }),
        AcquireError::Fault(fault) => {
            let error = core.fail(operation, ErrorKind::Fault);
            match fault.diagnosis() {
                Some(diagnosis) => error.with_diagnosis(diagnosis.clone()),
                None => error,
            }
        }
    }
}

pub(super) fn lock_error<G, A: Access>(
    core: &Core<A>,
    label: &Label,
    why: AcquireError<Error>,
    holder: u32,
) -> LockError<G> {
    let error = |why| refused(core, label, Operation::Acquire, &why, holder);
    match why {
        AcquireError::Fault(error) => LockError::Failed(error),
        AcquireError::WouldBlock(_) => LockError::WouldBlock(error(why)),
        AcquireError::TimedOut => LockError::TimedOut(error(why)),
        AcquireError::Done => LockError::NotRecoverable(error(why)),
        AcquireError::TooManyReaders => LockError::Failed(error(why)),
    }
}

/// What is told with a lock whose head is at `head`, about the owner that left it damaged.
pub(super) fn owner_died<G>(core: &Core, label: &Label, head: u64, guard: G, got: Acquired) -> LockError<G> {
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
fn who_died(core: &Core, head: u64, got: Acquired) -> Result<Died, Error> {
    let mut record = core.view.read::<LockHead>(index(head))?;
    // (Another participant that noticed a death later than this one may have overwritten it.)
    if let Acquired::OwnerDied(token) = got {
        if record.dead_token != token {
            record_damage(core, head, token, END_DIED)?;
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
