//! The errors of locks and waits: what happened, which process is involved, and the guard where there is one.

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

/// The result of acquiring a lock whose guard is `G`.
pub type LockResult<G> = Result<G, LockError<G>>;

/// An error of acquiring a lock.
///
/// Because the error can contain the guard, it borrows the lock. In a function that returns a `Box<dyn
/// Error>`, convert it first: `lock().map_err(mmf::Error::from)?`.
#[non_exhaustive]
pub enum LockError<G> {
    /// The lock is acquired, but a previous owner died or panicked while it held the lock. The data may be
    /// inconsistent.
    OwnerDied(OwnerDied<G>),
    /// An owner gave the lock up, because the data could not be repaired.
    NotRecoverable(Error),
    /// Another owner holds the lock, and the operation does not block. The error names the process.
    WouldBlock(Error),
    /// The deadline passed. The error names the process that holds the lock.
    TimedOut(Error),
    /// The operation failed: the region's pages are gone, for example.
    Failed(Error),
}

/// An error of waiting until a deadline.
///
/// ```
/// use std::time::Duration;
///
/// use mmf::sync::WaitError;
///
/// let segment = mmf::Segment::create("doc-wait-error", 64 * 1024)?;
/// let ready = segment.auto_reset_event("ready")?;
/// match ready.wait_timeout(Duration::from_millis(1)) {
///     Ok(()) => println!("ready"),
///     Err(WaitError::TimedOut(_)) => println!("not yet"),
///     Err(error) => return Err(error.into()),
/// }
/// # Ok::<(), mmf::Error>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum WaitError {
    /// The deadline passed. The error names the object.
    TimedOut(Error),
    /// The operation failed: the region's pages are gone, for example.
    Failed(Error),
}

impl WaitError {
    /// Converts the error of waiting for an object of a segment.
    pub(super) fn new(core: &Core, label: &Label, error: AcquireError<Error>) -> Self {
        match error {
            AcquireError::Fault(error) => WaitError::Failed(error),
            AcquireError::TimedOut => {
                WaitError::TimedOut(label.error(core, Operation::Wait, ErrorKind::TimedOut, |object| {
                    format!("timed out waiting for {object}")
                }))
            }
            other => WaitError::Failed(acquire_error(core, label, Operation::Wait, other, 0)),
        }
    }
}

impl fmt::Display for WaitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WaitError::TimedOut(error) | WaitError::Failed(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for WaitError {}

/// Returns the error that a [`WaitError`] contains. That of [`WaitError::TimedOut`] is of the kind
/// [`TimedOut`](ErrorKind::TimedOut).
impl From<WaitError> for Error {
    fn from(error: WaitError) -> Self {
        match error {
            WaitError::TimedOut(error) | WaitError::Failed(error) => error,
        }
    }
}

/// The guard of a lock whose data may be inconsistent, and what is known about the owner that left it so.
#[must_use = "dropping it releases the lock and leaves the data marked as damaged"]
pub struct OwnerDied<G> {
    guard: G,
    /// Boxed, because every result of acquiring a lock has room for it.
    damage: Box<LockDamage>,
}

/// How a previous owner left the data of a lock damaged.
#[derive(Clone, Debug, Default)]
struct LockDamage {
    /// For example: the mutex "counter" in "Local\plant".
    lock: String,
    name: String,
    /// The name of the region, if it has one.
    region: Option<String>,
    process: Option<ProcessInfo>,
    panicked: bool,
    held_since: Option<SystemTime>,
    detected: Option<SystemTime>,
}

impl LockDamage {
    /// Describes the cause. For example: its previous owner (process 7) died holding it.
    fn cause(&self) -> String {
        match (&self.process, self.panicked) {
            (Some(process), true) => format!("a thread of process {} panicked while holding it", process.id),
            (None, true) => "a thread of an unknown process panicked while holding it".to_owned(),
            (Some(process), false) => format!("its previous owner (process {}) died holding it", process.id),
            (None, false) => "a previous owner died holding it".to_owned(),
        }
    }
}

impl<G> OwnerDied<G> {
    /// Returns the guard, to inspect and repair the data.
    pub fn into_guard(self) -> G {
        self.guard
    }

    /// Returns the process that died, or the one whose thread [panicked](OwnerDied::panicked); `None` if it
    /// is no longer known.
    pub fn process(&self) -> Option<&ProcessInfo> {
        self.damage.process.as_ref()
    }

    /// Returns whether a thread of the owner panicked and dropped the guard while it unwound. The process may
    /// still be running, and may be the calling one.
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
        self.damage.panicked
    }

    /// Returns a time at which the owner already held the lock: when another participant first had to wait
    /// for it. `None` if no participant had to. (To record the exact time would cost as much as the lock
    /// itself.)
    pub fn held_since(&self) -> Option<SystemTime> {
        self.damage.held_since
    }

    /// Returns the time at which the death or the panic was detected.
    pub fn detected(&self) -> Option<SystemTime> {
        self.damage.detected
    }
}

impl<G> fmt::Debug for OwnerDied<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnerDied").field("damage", &self.damage).finish_non_exhaustive()
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
                "{} was acquired, but {}; the data may be inconsistent: \
                 repair it and call declare_consistent(), or call give_up()",
                owner.damage.lock,
                owner.damage.cause()
            ),
            LockError::NotRecoverable(error)
            | LockError::WouldBlock(error)
            | LockError::TimedOut(error)
            | LockError::Failed(error) => error.fmt(f),
        }
    }
}

impl<G> core::error::Error for LockError<G> {}

/// Drops the guard, if the error contains one. The data stays marked as damaged.
impl<G> From<LockError<G>> for Error {
    fn from(error: LockError<G>) -> Self {
        match error {
            LockError::OwnerDied(owner) => {
                let LockDamage { lock, name, region, .. } = &*owner.damage;
                let sentence = format!(
                    "the data of {lock} may be inconsistent, because {}: handle LockError::OwnerDied, \
                     which contains the guard, repair the data, and call declare_consistent() or give_up()",
                    owner.damage.cause()
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

/// Returns the error for a lock or object that was not acquired. `holder` is the participant that holds it
/// where `error` does not name one; 0 if it is free.
pub(super) fn acquire_error<A: Access>(
    core: &Core<A>,
    label: &Label,
    operation: Operation,
    error: AcquireError<Error>,
    holder: u32,
) -> Error {
    let new = |kind, sentence: &dyn Fn(&str) -> String| label.error(core, operation, kind, sentence);
    match error {
        AcquireError::WouldBlock(0) => new(ErrorKind::Busy, &|lock| {
            format!("{lock} was taken by other owners at each of many attempts; try again")
        }),
        AcquireError::WouldBlock(owner) => {
            new(ErrorKind::Busy, &|lock| format!("{lock} is held by {}", describe_owner(core, owner)))
        }
        AcquireError::TimedOut if holder == 0 => new(ErrorKind::TimedOut, &|lock| {
            format!("timed out waiting for {lock}, which no process holds any more; try again")
        }),
        AcquireError::TimedOut => new(ErrorKind::TimedOut, &|lock| {
            format!("timed out waiting for {lock}, which is held by {}", describe_owner(core, holder))
        }),
        AcquireError::Done => new(ErrorKind::NotRecoverable, &|lock| {
            format!(
                "{lock} was given up because its data could not be repaired: \
                 end all programs that use the segment and create it anew"
            )
        }),
        AcquireError::TooManyReaders => new(ErrorKind::LimitReached, &|lock| {
            format!(
                "{lock} is in use by too many threads of this process: \
                 about a thousand threads of one participant can use a lock at a time"
            )
        }),
        AcquireError::Fault(error) => error,
    }
}

/// Returns the error for a lock that was not acquired.
pub(super) fn lock_error<G, A: Access>(
    core: &Core<A>,
    label: &Label,
    error: AcquireError<Error>,
    holder: u32,
) -> LockError<G> {
    let variant = match &error {
        AcquireError::WouldBlock(_) => LockError::WouldBlock,
        AcquireError::TimedOut => LockError::TimedOut,
        AcquireError::Done => LockError::NotRecoverable,
        AcquireError::TooManyReaders | AcquireError::Fault(_) => LockError::Failed,
    };
    variant(acquire_error(core, label, Operation::Acquire, error, holder))
}

/// Returns the error that contains `guard`, with the record of the owner that left the data damaged. `head`
/// is the offset of the lock's head.
pub(super) fn owner_died<G>(
    core: &Core,
    label: &Label,
    head: u64,
    guard: G,
    acquired: Acquired,
) -> LockError<G> {
    match read_damage(core, head, acquired) {
        Ok(damage) => {
            let region = core.fail(Operation::Acquire, ErrorKind::Corrupted).name().map(str::to_owned);
            let (lock, name) = (label.phrase(core), label.name().to_owned());
            let damage = LockDamage { lock, name, region, ..damage };
            LockError::OwnerDied(OwnerDied { guard, damage: Box::new(damage) })
        }
        Err(error) => LockError::Failed(error),
    }
}

/// Reads the record of the owner that died or panicked.
fn read_damage(core: &Core, head: u64, acquired: Acquired) -> Result<LockDamage, Error> {
    let mut record = core.view.read::<LockHead>(index(head))?;
    if let Acquired::OwnerDied(owner) = acquired {
        // A participant that detected a later death may have overwritten the record.
        if record.dead_owner != owner {
            record_damage(core, head, owner, END_DIED)?;
            record = core.view.read::<LockHead>(index(head))?;
        }
    }
    let process = ProcessInfo { id: record.dead_process, started: record.dead_started, pid_namespace: None };
    Ok(LockDamage {
        process: (process.id != 0).then_some(process),
        panicked: record.end == END_PANICKED,
        held_since: time_of(record.dead_since),
        detected: time_of(record.dead_detected),
        ..LockDamage::default()
    })
}
