//! What is in a segment: who takes part, which objects there are, and what state they are in.

use std::sync::atomic::Ordering::SeqCst;
use std::time::SystemTime;

use super::Segment;
use super::core::{Standing, index, place_of, time_of};
use super::directory::Entry;
use super::layout::{Head, Header, LockHead, PUBLISHED, Phase, READER_STEP, READERS};
use super::types::{ObjectKind, TypeDescription};
use crate::access::Access;
use crate::error::Error;
use crate::sync::raw::mutex::{DAMAGED, DONE, TOKEN};
use crate::sync::raw::rwlock;

/// A process, as a segment knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessInfo {
    /// Its number. It says little by itself: numbers are used again.
    pub id: u32,
    /// When it was started, in the system's own count; 0 if unknown. With the number it tells one process from another.
    pub started: u64,
}

/// A participant.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ParticipantInfo {
    /// What it is called in lock words; no later participant has the same.
    pub token: u32,
    /// Its process.
    pub process: ProcessInfo,
    /// Since when it takes part.
    pub joined: Option<SystemTime>,
    /// Whether it lives, as far as can be told.
    pub alive: bool,
}

/// An object.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ObjectInfo {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: ObjectKind,
    /// The type of its value, as whoever made it described it.
    pub described: TypeDescription,
    /// Where it starts in the segment.
    pub offset: u64,
    /// How long it is.
    pub len: u64,
    /// When it was made.
    pub made_at: Option<SystemTime>,
    /// The token of who made it.
    pub made_by: u32,
    /// What it is doing.
    pub state: ObjectState,
}

/// What an object is doing. By the time that this is read it may be doing something else.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ObjectState {
    /// Of a mutex.
    Mutex(LockState),
    /// Of a reader-writer lock.
    RwLock {
        /// The writer's side.
        writer: LockState,
        /// Tokens of those who read, and how many readers each has.
        readers: Vec<(u32, u64)>,
    },
    /// Of a latest value.
    Latest {
        /// The writer's token, if there is one.
        writer: Option<u32>,
        /// How many values were published.
        published: u64,
    },
    /// Of an event.
    Event {
        /// Whether it is set.
        set: bool,
        /// How many wait; see [`LockState::waiters`].
        waiters: u32,
    },
    /// Of a once.
    Once {
        /// Whether it is initialised.
        done: bool,
        /// Who is initialising it.
        lock: LockState,
    },
    /// Of a notify or a cell: its word.
    Word {
        /// What it is.
        value: u32,
        /// How many wait; see [`LockState::waiters`].
        waiters: u32,
    },
    /// Of something that this version does not know, or that makes no sense.
    Unknown,
}

/// Who has a lock.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LockState {
    /// The owner's token, if there is one.
    pub owner: Option<u32>,
    /// Since when, at the latest: from when somebody had to wait for it. None if nobody had.
    pub since: Option<SystemTime>,
    /// How many wait. Those who were killed while they waited stay counted.
    pub waiters: u32,
    /// Whether an owner has died and nobody has declared the data consistent since.
    pub damaged: bool,
    /// Whether it was given up for good.
    pub abandoned: bool,
    /// Who died last with it, if anybody did.
    pub died: Option<ProcessInfo>,
}

/// All of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SegmentInfo {
    /// The version of the format.
    pub version: u32,
    /// Its length in bytes.
    pub len: u64,
    /// How many of them are used.
    pub used: u64,
    /// When it was made.
    pub made_at: Option<SystemTime>,
    /// How many participants there can be.
    pub places: u32,
    /// Those who take part, and those who have died and whose place nobody has needed yet.
    pub participants: Vec<ParticipantInfo>,
    /// The objects, in the order in which they were made.
    pub objects: Vec<ObjectInfo>,
}

impl SegmentInfo {
    /// The participant with this token, if it is there still.
    #[must_use]
    pub fn participant(&self, token: u32) -> Option<&ParticipantInfo> {
        self.participants.iter().find(|participant| participant.token == token)
    }
}

impl<A: Access> Segment<A> {
    /// Looks at all of it. Nothing is changed by looking.
    ///
    /// ```
    /// let segment = mmf::Segment::create("doc-segment-inspected", 64 * 1024)?;
    /// let state = segment.mutex::<u64>("state")?;
    /// let guard = state.lock()?;
    /// let info = segment.inspect()?;
    /// assert_eq!(info.objects[0].name, "state");
    /// assert_eq!(info.participants[0].process.id, std::process::id());
    /// # drop(guard);
    /// # Ok::<(), mmf::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`](crate::ErrorKind::Fault); [`ErrorKind::Damaged`](crate::ErrorKind::Damaged) if the directory makes no sense.
    pub fn inspect(&self) -> Result<SegmentInfo, Error> {
        let header = self.core.view.read::<Header>(0)?;
        let mut objects = Vec::new();
        self.core.each(|entry| {
            let state = self.state_of(&entry)?;
            objects.push(ObjectInfo {
                name: entry.name,
                kind: entry.shape.kind,
                described: entry.shape.described,
                offset: entry.at,
                len: entry.shape.object_len,
                made_at: time_of(entry.made_at),
                made_by: entry.made_by,
                state,
            });
            Ok(None::<()>)
        })?;
        Ok(SegmentInfo {
            version: header.version,
            len: self.core.len,
            used: header.end.min(self.core.len),
            made_at: time_of(header.made_at),
            places: self.core.places,
            participants: self.participants()?,
            objects,
        })
    }

    /// Who takes part, and who has died and whose place nobody has needed yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`](crate::ErrorKind::Fault).
    pub fn participants(&self) -> Result<Vec<ParticipantInfo>, Error> {
        let mut found = Vec::new();
        for place in 0..self.core.places_used()? {
            let (claim, record) = self.core.place(place)?;
            if matches!(claim.phase(), Phase::Free | Phase::Retired) {
                continue;
            }
            let standing = self.core.standing_of(place, claim, &record);
            found.push(ParticipantInfo {
                token: (claim.generation() << 9) | place,
                process: ProcessInfo { id: claim.process(), started: record.started },
                joined: time_of(record.joined),
                alive: matches!(standing, Standing::Present(_)),
            });
        }
        Ok(found)
    }

    fn state_of(&self, entry: &Entry) -> Result<ObjectState, Error> {
        let view = &self.core.view;
        let least = size_of::<LockHead>().min(size_of::<Head>()) as u64;
        if entry.shape.object_len < least {
            return Ok(ObjectState::Unknown);
        }
        let head = view.read::<LockHead>(index(entry.at))?;
        let owner = |word: u32| Some(word & TOKEN).filter(|token| !matches!(*token, 0 | DONE));
        let lock = LockState {
            owner: owner(head.word),
            since: time_of(head.since).filter(|_| owner(head.word) == Some(head.since_token)),
            waiters: head.waiters,
            damaged: head.word & DAMAGED != 0 && head.word & TOKEN != DONE,
            abandoned: head.word & TOKEN == DONE,
            died: (head.dead_token != 0)
                .then_some(ProcessInfo { id: head.dead_process, started: head.dead_started }),
        };
        Ok(match entry.shape.kind {
            ObjectKind::Mutex => ObjectState::Mutex(lock),
            ObjectKind::Once => {
                ObjectState::Once { done: lock.abandoned, lock: LockState { abandoned: false, ..lock } }
            }
            ObjectKind::RwLock => {
                let mut readers = Vec::new();
                for place in 0..self.core.places_used()?.min(entry.shape.count) {
                    let offset = index(entry.at + READERS + u64::from(place) * READER_STEP);
                    let word = view.atomic_u64(offset)?.load(SeqCst)?;
                    let token = rwlock::token_of(word);
                    if rwlock::is_in(word) > 0 && place_of(token) == place && !self.core.is_gone(token) {
                        readers.push((token, rwlock::is_in(word)));
                    }
                }
                ObjectState::RwLock { writer: lock, readers }
            }
            ObjectKind::Latest => ObjectState::Latest {
                writer: lock.owner,
                published: view.atomic_u64(index(entry.at + PUBLISHED))?.load(SeqCst)?,
            },
            ObjectKind::AutoEvent | ObjectKind::ManualEvent => {
                ObjectState::Event { set: head.word != 0, waiters: head.waiters }
            }
            ObjectKind::Notify | ObjectKind::Cell => {
                ObjectState::Word { value: head.word, waiters: head.waiters }
            }
            ObjectKind::Unknown(_) => ObjectState::Unknown,
        })
    }
}
