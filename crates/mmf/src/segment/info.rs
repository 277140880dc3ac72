//! The values that an inspection returns. `inspect` and `salvage` read them.

use core::fmt;
use core::num::NonZero;
use std::time::SystemTime;

use super::types::{ObjectKind, TypeDescription};
use crate::sys::{ProcessIdentity, liveness};

/// The number by which lock words identify a participant of a segment.
///
/// It is unique within the segment: no later participant has the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(transparent))]
pub struct ParticipantId(NonZero<u32>);

impl ParticipantId {
    /// Returns `None` for 0, which no participant has.
    pub(crate) fn new(id: u32) -> Option<Self> {
        NonZero::new(id).map(ParticipantId)
    }

    /// Returns the number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for ParticipantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A process, as a segment records it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ProcessInfo {
    /// The process id. It identifies the process only together with `started`, because ids are reused.
    pub id: u32,
    /// The start time of the process in the system's own units; 0 if unknown.
    pub started: u64,
    /// The inode of the pid namespace in which `id` is valid (Linux); `None` if it is unknown or the system
    /// has none.
    pub pid_namespace: Option<u64>,
}

impl From<ProcessIdentity> for ProcessInfo {
    fn from(process: ProcessIdentity) -> Self {
        let ProcessIdentity { id, started, pid_namespace, .. } = process;
        ProcessInfo { id, started, pid_namespace: Some(pid_namespace).filter(|inode| *inode != 0) }
    }
}

impl ProcessInfo {
    /// Returns whether the process is known to be in another pid namespace than the caller (Linux). Its id is
    /// then meaningless to the caller, and may be that of an unrelated process.
    #[must_use]
    pub fn is_in_other_pid_namespace(&self) -> bool {
        let here = liveness::identity().pid_namespace;
        self.pid_namespace.is_some_and(|theirs| here != 0 && here != theirs)
    }

    /// Returns the file name of the process's program, if the process still runs and this user may see it.
    ///
    /// For another user's process on Linux, it is the name that the process has set for itself. On macOS it
    /// may belong to a later process with the same id.
    ///
    /// ```
    /// let segment = mmf::Segment::create("doc-segment-program", 64 * 1024)?;
    /// for participant in segment.participants()? {
    ///     println!("{}: {:?}", participant.process.id, participant.process.program());
    /// }
    /// # Ok::<(), mmf::Error>(())
    /// ```
    #[must_use]
    pub fn program(&self) -> Option<String> {
        if self.is_in_other_pid_namespace() {
            return None;
        }
        liveness::program(self.id, self.started)
    }
}

/// A participant of a segment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ParticipantInfo {
    /// The number by which lock words identify it.
    pub id: ParticipantId,
    /// Its process.
    pub process: ProcessInfo,
    /// When it joined.
    #[cfg_attr(feature = "serde", serde(serialize_with = "super::time::serialize"))]
    pub joined_at: Option<SystemTime>,
    /// Whether it is alive, as far as the caller can tell.
    pub alive: bool,
    /// Whether the kernel holds its slot. Then `alive` is certain, and becomes false as soon as the process
    /// ends. Otherwise the process is looked up by its id, and counts as alive unless it is known to have
    /// ended; see `docs/segment.md`.
    pub held_by_kernel: bool,
}

/// An object of a segment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ObjectInfo {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: ObjectKind,
    /// The type of its value, as its creator described it.
    pub value_type: TypeDescription,
    /// Its offset in the segment.
    pub offset: u64,
    /// Its length in bytes.
    #[cfg_attr(feature = "serde", serde(rename = "length"))]
    pub len: u64,
    /// When it was created.
    #[cfg_attr(feature = "serde", serde(serialize_with = "super::time::serialize"))]
    pub created_at: Option<SystemTime>,
    /// The participant that created it.
    pub created_by: Option<ParticipantId>,
    /// Its state.
    pub state: ObjectState,
}

/// The state of an object at the time of the sample. It may have changed since.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(untagged))]
#[non_exhaustive]
pub enum ObjectState {
    /// The state of a mutex.
    #[non_exhaustive]
    Mutex {
        /// The lock.
        lock: LockState,
    },
    /// The state of a reader-writer lock.
    #[non_exhaustive]
    RwLock {
        /// The lock, as writers hold it.
        lock: LockState,
        /// The participants that hold it for reading.
        readers: Vec<Readers>,
    },
    /// The state of a latest value.
    #[non_exhaustive]
    Latest {
        /// The participant that holds the writer, if one does.
        writer: Option<ParticipantId>,
        /// The number of values published so far.
        published: u64,
    },
    /// The state of an event.
    #[non_exhaustive]
    Event {
        /// Whether it is set.
        set: bool,
        /// The number of waiters; see [`LockState::waiters`].
        waiters: u32,
    },
    /// The state of a once lock.
    #[non_exhaustive]
    OnceLock {
        /// Whether its value is initialized.
        initialized: bool,
        /// The lock that the initializing participant holds.
        lock: LockState,
    },
    /// The state of an event count or a futex.
    #[non_exhaustive]
    Word {
        /// The count of the event count, or the word of the futex.
        value: u32,
        /// The number of waiters; see [`LockState::waiters`].
        waiters: u32,
    },
    /// The state of an object that this version does not know, or a damaged state.
    Unknown,
}

/// The readers that one participant has in a reader-writer lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Readers {
    /// The participant.
    pub participant: ParticipantId,
    /// The number of its threads that hold the lock.
    pub count: u64,
}

/// The state of a lock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct LockState {
    /// The participant that holds the lock, if one does.
    pub owner: Option<ParticipantId>,
    /// A time at which the owner already held the lock: when another participant first blocked on it. `None`
    /// if none did.
    #[cfg_attr(feature = "serde", serde(serialize_with = "super::time::serialize"))]
    pub held_since: Option<SystemTime>,
    /// The number of waiters. A waiter that is killed stays counted.
    pub waiters: u32,
    /// Whether an owner died or panicked, and no later one has declared the data consistent.
    pub inconsistent: bool,
    /// Whether an owner has given the lock up permanently.
    pub not_recoverable: bool,
    /// The owner that died holding the lock, if it was the last one to leave the data inconsistent.
    pub dead_owner: Option<ProcessInfo>,
    /// The owner one of whose threads panicked while holding the lock, if it was the last one to leave the
    /// data inconsistent. The process may still be running.
    pub panicked_owner: Option<ProcessInfo>,
}

/// A part of a segment that is not as the format requires, as a peer may have left it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Damage {
    /// Its offset in the segment.
    pub offset: u64,
    /// The number of the directory entry that it is in, counted from 1; `None` if it is in front of the
    /// directory. A stretch in which entries cannot be distinguished counts as one entry.
    pub entry: Option<usize>,
    /// What was found, and what was expected.
    pub description: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Damage { offset, entry, description } = self;
        match entry {
            Some(entry) => write!(f, "byte {offset}, entry {entry} of the directory: {description}"),
            None => write!(f, "byte {offset}: {description}"),
        }
    }
}

/// A snapshot of a segment: its participants, its objects and their states.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct SegmentInfo {
    /// Whether it is ready, was declared broken, or is damaged.
    pub stage: SegmentStage,
    /// The version of its format.
    pub version: u32,
    /// Its length in bytes.
    #[cfg_attr(feature = "serde", serde(rename = "length"))]
    pub len: u64,
    /// The number of bytes that are in use.
    pub used: u64,
    /// When it was created.
    #[cfg_attr(feature = "serde", serde(serialize_with = "super::time::serialize"))]
    pub created_at: Option<SystemTime>,
    /// The number of slots, which is the largest number of participants at a time.
    pub slots: u32,
    /// The participants, including those that have died and whose slots have not been reused yet.
    pub participants: Vec<ParticipantInfo>,
    /// The objects, in the order of their creation.
    pub objects: Vec<ObjectInfo>,
    /// What is not as the format requires. If there is any damage, the other fields hold what can still be
    /// read; and as long as the head of an object is damaged, the objects behind it cannot be found by name.
    pub damage: Vec<Damage>,
    /// Whether the segment has more than is listed here. An inspection reads 16,384 entries of the directory,
    /// and lists at most 1,024 cases of damage and 65,536 readers of locks. Objects that are not listed can
    /// still be found by name.
    pub truncated: bool,
}

impl SegmentInfo {
    /// Returns the participant with this id, if it has not left.
    #[must_use]
    pub fn participant(&self, id: ParticipantId) -> Option<&ParticipantInfo> {
        self.participants.iter().find(|participant| participant.id == id)
    }
}

/// How far the creation of a segment in a region has progressed, as its first bytes show it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum SegmentStage {
    /// The region holds something else.
    NotASegment,
    /// The first bytes of the region are all zero. A plain region can look like that, and so does a segment
    /// whose creator has not started.
    Blank,
    /// A process is creating the segment, or has died doing so. In the latter case,
    /// [`open_or_create`](crate::Segment::open_or_create) creates it anew.
    #[non_exhaustive]
    Creating {
        /// The process that creates it.
        creator: ProcessInfo,
        /// Whether that process is alive, as far as the caller can tell.
        alive: bool,
    },
    /// The segment can be used.
    Ready,
    /// The segment was declared broken, which is permanent.
    Broken,
    /// The region was a segment: its state is invalid, but other parts of its header identify it as one.
    Damaged,
}
