//! What is in a segment: who takes part, which objects there are, and what state they are in.
//!
//! Who looks wants to know most of all when something is wrong. So whatever makes no sense is noted as damage, and the rest is shown.

use core::fmt;
use core::mem::offset_of;
use std::collections::BTreeSet;
use std::sync::atomic::Ordering::SeqCst;
use std::time::SystemTime;

use super::Segment;
use super::core::{Core, Standing, index, participant, place_of, time_of};
use super::layout::{
    ALIGN, END_AT, END_DIED, END_PANICKED, HEAD_LEN, HEADER_LEN, Header, LAST_GENERATION, LEN_AT, LockHead,
    PLACE_LEN, PLACES_USED_AT, PUBLISHED, Phase, READER_STEP, READERS,
};
use super::making::{Plan, Site};
use super::salvage::{self, Found};
use super::stage::SegmentStage;
use super::types::{ObjectKind, TypeDescription};
use crate::access::Access;
use crate::error::{Error, ErrorKind, Operation};
use crate::memory::SharedMemory;
use crate::raw::mutex::{DAMAGED, DONE, OWNER};
use crate::raw::rwlock;
use crate::sys::{ProcessIdentity, liveness};

const PLACES_AT: u64 = offset_of!(Header, places) as u64;
const START_AT: u64 = offset_of!(Header, start) as u64;

/// A process, as a segment knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessInfo {
    /// Its number. It says little by itself: numbers are used again.
    pub id: u32,
    /// When it was started, in the system's own count; 0 if unknown. With the number it tells one process from another.
    pub started: u64,
    /// The pid namespace in which `id` is its number, by its inode (Linux); None if it is not known, or there are none.
    pub pid_namespace: Option<u64>,
}

impl From<ProcessIdentity> for ProcessInfo {
    fn from(process: ProcessIdentity) -> Self {
        let ProcessIdentity { id, started, pid_namespace, .. } = process;
        ProcessInfo { id, started, pid_namespace: Some(pid_namespace).filter(|inode| *inode != 0) }
    }
}

impl ProcessInfo {
    /// Whether its number is known to belong to another pid namespace than this process's (Linux): then the number means nothing
    /// here, and may be that of an unrelated process.
    #[must_use]
    pub fn is_in_other_pid_namespace(&self) -> bool {
        let here = liveness::identity().pid_namespace;
        self.pid_namespace.is_some_and(|theirs| here != 0 && here != theirs)
    }

    /// What its program's file is called, if it still runs and this user may know.
    ///
    /// On Linux, of another user's process, it is what the process calls itself. On macOS it may be another process that has got the number since.
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
    /// Whether the kernel holds its slot: then `alive` is certain, and it is dead as soon as its process is. Without, its process is
    /// asked about by its number, and counts as alive unless it is known to have ended; see `docs/segment.md`.
    pub held_by_kernel: bool,
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
    OnceLock {
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
    /// Since when it has held the lock, at the latest: when another participant first had to wait for it since it was acquired. None if none
    /// had to.
    pub since: Option<SystemTime>,
    /// How many wait. Those who were killed while they waited stay counted.
    pub waiters: u32,
    /// Whether an owner has died and nobody has declared the data consistent since.
    pub damaged: bool,
    /// Whether it was given up for good.
    pub abandoned: bool,
    /// The owner that died holding it, if that was the last to leave the data damaged.
    pub died: Option<ProcessInfo>,
    /// The owner of which a thread panicked while holding it, if that was the last to leave the data damaged. It may still be running.
    pub panicked: Option<ProcessInfo>,
}

/// Something in a segment that makes no sense, as a peer may have left it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// Where, in bytes from the start of the segment.
    pub offset: u64,
    /// In which entry of the directory, counted from 1; None if it is in front of the directory. What cannot be told apart counts as one.
    pub entry: Option<usize>,
    /// What is there, and what should be.
    pub what: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.entry {
            Some(entry) => write!(f, "byte {}, entry {entry} of the directory: {}", self.offset, self.what),
            None => write!(f, "byte {}: {}", self.offset, self.what),
        }
    }
}

/// All of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SegmentInfo {
    /// Whether it is ready, or was declared broken.
    pub stage: SegmentStage,
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
    /// What makes no sense. If there is something, what else is shown is what could still be read; and while a head in the directory is
    /// damaged, objects behind it cannot be found by name.
    pub damage: Vec<Damage>,
    /// Whether the directory goes on behind the last object and the last damage listed here: 16,384 entries are read, and then no more than
    /// 1,024 cases of damage and 65,536 readers of locks are listed. What is not listed can still be found by its name.
    pub truncated: bool,
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
    /// What makes no sense is in [`SegmentInfo::damage`], and no error.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`].
    pub fn inspect(&self) -> Result<SegmentInfo, Error> {
        self.core.inspect()
    }

    /// Looks at all of a segment without taking part in it or waiting for it, even if it can no longer be opened because its header is damaged, or it
    /// was declared broken.
    ///
    /// ```
    /// # let segment = mmf::Segment::create("doc-segment-from-outside", 64 * 1024)?;
    /// # let _ = segment.auto_reset_event("go")?;
    /// let memory = mmf::SharedMemory::open_read_only("doc-segment-from-outside")?;
    /// let info = mmf::Segment::inspect_memory(&memory)?;
    /// for damage in &info.damage {
    ///     println!("damaged: {damage}");
    /// }
    /// println!("{} objects", info.objects.len());
    /// # assert!(info.objects.len() == 1 && info.damage.is_empty());
    /// # Ok::<(), mmf::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::NotASegment`]: nothing shows that it is or was one, or its format is of another version.
    /// - [`ErrorKind::NotReady`]: it is not made yet; see [`stage_of`](Segment::stage_of).
    /// - [`ErrorKind::Fault`].
    pub fn inspect_memory(memory: &SharedMemory<A>) -> Result<SegmentInfo, Error> {
        Site::new(memory, Plan::new(Operation::Open, None, None)?)?.salvage()?.inspect()
    }

    /// How far a memory is on the way to being a segment. Looks at its first bytes, and does not wait.
    ///
    /// ```
    /// use mmf::inspect::SegmentStage;
    /// use mmf::{Segment, SharedMemory};
    ///
    /// let memory = SharedMemory::anonymous(64 * 1024)?;
    /// assert_eq!(Segment::stage_of(&memory)?, SegmentStage::Blank);
    /// let segment = Segment::create_in(&memory)?;
    /// assert_eq!(Segment::stage_of(&memory)?, SegmentStage::Ready);
    /// # drop(segment);
    /// # Ok::<(), mmf::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As mapping a [`view`](SharedMemory::view), and [`ErrorKind::Fault`].
    pub fn stage_of(memory: &SharedMemory<A>) -> Result<SegmentStage, Error> {
        match Site::new(memory, Plan::new(Operation::Open, None, None)?) {
            Ok(site) => site.stage(),
            // It is too short.
            Err(error) if error.kind() == ErrorKind::NotASegment => Ok(SegmentStage::NotASegment),
            Err(error) => Err(error),
        }
    }

    /// Who takes part, and who has died and whose place nobody has needed yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`].
    pub fn participants(&self) -> Result<Vec<ParticipantInfo>, Error> {
        self.core.participants(&mut Vec::new())
    }
}

/// How many readers of locks are listed in all: each object may have as many as there are participants.
const MOST_READERS: usize = 1 << 16;

/// What has been found out and listed so far.
struct Listed {
    /// Tokens. Whether a participant is alive takes a system call, so it is asked once for each and not for each of its locks.
    alive: BTreeSet<u32>,
    readers: usize,
}

impl Listed {
    fn is_alive<A: Access>(&mut self, core: &Core<A>, token: u32) -> bool {
        // It may have joined since. (For any other token its slot says that it is gone, without a system call.)
        self.alive.contains(&token) || (!core.is_gone(token) && self.alive.insert(token))
    }
}

impl<A: Access> Core<A> {
    fn inspect(&self) -> Result<SegmentInfo, Error> {
        let mut header = self.view.read::<Header>(0)?;
        if self.follow()? != header.len {
            // It may have become longer since the header was read.
            header = self.view.read::<Header>(0)?;
            let _ = self.follow()?;
        }
        let stage = salvage::stage(&header);
        let mut damage = self.damaged_header(&header);
        let participants = self.participants(&mut damage)?;
        let alive: BTreeSet<u32> = participants.iter().filter(|one| one.alive).map(|one| one.token).collect();
        let mut listed = Listed { alive, readers: 0 };
        let mut objects = Vec::new();
        let end = self.checked_end(header.end);
        let complete = salvage::walk(
            &self.view,
            self.start..end.unwrap_or(self.len()),
            end.is_some(),
            &mut damage,
            |found, damage| {
                let at = found.at + HEAD_LEN;
                let state = self.state_of(&found, at, &mut listed).unwrap_or_else(|what| {
                    damage.push(Damage { offset: at, entry: Some(found.entry), what });
                    ObjectState::Unknown
                });
                objects.push(ObjectInfo {
                    name: found.name,
                    kind: ObjectKind::of(found.head.kind),
                    described: TypeDescription {
                        name: found.type_name.into(),
                        version: found.head.version,
                        size: found.head.size,
                        align: found.head.align,
                    },
                    offset: at,
                    len: found.head.object_len,
                    made_at: time_of(found.head.made_at),
                    made_by: found.head.made_by,
                    state,
                });
            },
        );
        Ok(SegmentInfo {
            stage,
            version: header.version,
            len: self.len(),
            used: end.unwrap_or(self.len()),
            made_at: time_of(header.made_at),
            places: self.places,
            participants,
            objects,
            damage,
            truncated: !complete || listed.readers > MOST_READERS,
        })
    }

    fn checked_end(&self, end: u64) -> Option<u64> {
        (self.start..=self.len()).contains(&end).then_some(end).filter(|end| end % ALIGN == 0)
    }

    /// What the header says otherwise than what this one goes by, which was checked or found out.
    fn damaged_header(&self, header: &Header) -> Vec<Damage> {
        let mut damage = salvage::damaged_header(header);
        let mut wrong = |offset, what| damage.push(Damage { offset, entry: None, what });
        if header.len != self.len() {
            wrong(LEN_AT, format!("its length is {}, where it has {}", header.len, self.len()));
        }
        if header.places != self.places {
            let what = format!("places for {} participants, where there are {}", header.places, self.places);
            wrong(PLACES_AT, what);
        }
        if header.places_used > self.places {
            let what = format!("{} places in use, of {}", header.places_used, self.places);
            wrong(PLACES_USED_AT, what);
        }
        if self.checked_end(header.end).is_none() {
            let what = format!(
                "its directory ends at {}, where that is a multiple of {ALIGN} from {} to {}",
                header.end,
                self.start,
                self.len()
            );
            wrong(END_AT, what);
        }
        if header.start != self.start {
            let what = format!("its directory starts at {}, where it is at {}", header.start, self.start);
            wrong(START_AT, what);
        }
        damage
    }

    fn participants(&self, damage: &mut Vec<Damage>) -> Result<Vec<ParticipantInfo>, Error> {
        let mut found = Vec::new();
        for place in 0..self.places_used()? {
            let (claim, record) = self.place(place)?;
            let known = match claim.phase() {
                Phase::Free => continue,
                // For good, since it has no generations left.
                Phase::Retired if claim.process() == 0 && claim.generation() >= LAST_GENERATION => continue,
                Phase::Retired => false,
                Phase::Joining | Phase::Present => claim.process() != 0 && claim.generation() != 0,
            };
            if !known {
                let offset = HEADER_LEN + u64::from(place) * PLACE_LEN;
                let what = format!(
                    "place {place} for participants is claimed by {:#018x}, which is nobody",
                    claim.0
                );
                damage.push(Damage { offset, entry: None, what });
                continue;
            }
            let standing = self.standing_of(place, claim, &record);
            found.push(ParticipantInfo {
                token: (claim.generation() << 9) | place,
                process: participant(claim, &record).into(),
                joined: time_of(record.joined),
                alive: matches!(standing, Standing::Present(_)),
                held_by_kernel: claim.kernel(),
            });
        }
        Ok(found)
    }

    /// What an object is doing, or why that cannot be told.
    fn state_of(&self, found: &Found, at: u64, listed: &mut Listed) -> Result<ObjectState, String> {
        let kind = ObjectKind::of(found.head.kind);
        // What the heads of the objects, the counts of a latest and the readers of an rwlock need.
        let count = u64::from(found.head.count);
        let needed = match kind {
            ObjectKind::RwLock => READERS + count * READER_STEP,
            _ => size_of::<LockHead>() as u64,
        };
        if found.head.object_len < needed {
            return Err(format!(
                "its object has {} bytes, where a {kind} has {needed}",
                found.head.object_len
            ));
        }
        self.read_state(kind, found.head.count, at, listed).map_err(|error| error.to_string())
    }

    fn read_state(
        &self,
        kind: ObjectKind,
        count: u32,
        at: u64,
        listed: &mut Listed,
    ) -> Result<ObjectState, Error> {
        let view = &self.view;
        let head = view.read::<LockHead>(index(at))?;
        let owner = |word: u32| Some(word & OWNER).filter(|token| !matches!(*token, 0 | DONE));
        let ended = |end| {
            (head.dead_token != 0 && head.end == end).then_some(ProcessInfo {
                id: head.dead_process,
                started: head.dead_started,
                pid_namespace: None,
            })
        };
        let lock = LockState {
            owner: owner(head.word),
            since: time_of(head.since)
                .filter(|_| owner(head.word).is_some_and(|owner| head.since_is_of(owner))),
            waiters: head.waiters,
            damaged: head.word & DAMAGED != 0 && head.word & OWNER != DONE,
            abandoned: head.word & OWNER == DONE,
            died: ended(END_DIED),
            panicked: ended(END_PANICKED),
        };
        Ok(match kind {
            ObjectKind::Mutex => ObjectState::Mutex(lock),
            ObjectKind::OnceLock => {
                ObjectState::OnceLock { done: lock.abandoned, lock: LockState { abandoned: false, ..lock } }
            }
            ObjectKind::RwLock => {
                let mut readers = Vec::new();
                for place in 0..self.places_used()?.min(count) {
                    let offset = index(at + READERS + u64::from(place) * READER_STEP);
                    let word = view.atomic_u64(offset)?.load(SeqCst)?;
                    let token = rwlock::participant_of(word);
                    if rwlock::active(word) > 0 && place_of(token) == place && listed.is_alive(self, token) {
                        listed.readers += 1;
                        if listed.readers > MOST_READERS {
                            break;
                        }
                        readers.push((token, rwlock::active(word)));
                    }
                }
                ObjectState::RwLock { writer: lock, readers }
            }
            ObjectKind::Latest => ObjectState::Latest {
                writer: lock.owner,
                published: view.atomic_u64(index(at + PUBLISHED))?.load(SeqCst)?,
            },
            ObjectKind::AutoResetEvent | ObjectKind::ManualResetEvent => {
                ObjectState::Event { set: head.word != 0, waiters: head.waiters }
            }
            ObjectKind::EventCount | ObjectKind::Cell => {
                ObjectState::Word { value: head.word, waiters: head.waiters }
            }
            ObjectKind::Unknown(_) => ObjectState::Unknown,
        })
    }
}
