//! Samples of a segment: its participants, its objects and their states.
//!
//! An inspection matters most when something is wrong. So it records invalid parts as damage and goes on
//! behind them.

use core::mem::offset_of;
use std::collections::BTreeSet;
use std::sync::atomic::Ordering::SeqCst;

use super::Segment;
use super::core::{Core, Standing, index, participant, slot_of, time_of};
use super::creation::{Parameters, SegmentRegion};
use super::info::{
    Damage, LockState, ObjectInfo, ObjectState, ParticipantId, ParticipantInfo, ProcessInfo, Readers,
    SegmentInfo, SegmentStage,
};
use super::layout::{
    ALIGN, END_AT, END_DIED, END_PANICKED, HEAD_LEN, HEADER_LEN, Header, LAST_GENERATION, LEN_AT, LockHead,
    PUBLISHED, Phase, READER_STEP, READERS, SLOT_LEN, SLOTS_USED_AT,
};
use super::salvage::{self, Found};
use super::types::{ObjectKind, TypeDescription};
use crate::access::Access;
use crate::error::{Error, ErrorKind, Operation};
use crate::memory::SharedMemory;
use crate::raw::mutex::{DAMAGED, DONE, OWNER};
use crate::raw::rwlock;

const SLOTS_AT: u64 = offset_of!(Header, slots) as u64;
const START_AT: u64 = offset_of!(Header, start) as u64;

impl<A: Access> Segment<A> {
    /// Returns a snapshot of the segment. Changes nothing.
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
    /// Invalid parts are listed in [`SegmentInfo::damage`]; they are not errors.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`].
    pub fn inspect(&self) -> Result<SegmentInfo, Error> {
        self.core.inspect()
    }

    /// Returns a snapshot of a segment without joining it or waiting for it, even if it can no longer be
    /// opened because its header is damaged or it was declared broken.
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
    /// - [`ErrorKind::NotASegment`]: nothing shows that the region is or was a segment, or its format has
    ///   another version.
    /// - [`ErrorKind::NotReady`]: the segment is not created yet; see [`stage_of`](Segment::stage_of).
    /// - [`ErrorKind::Fault`].
    pub fn inspect_memory(memory: &SharedMemory<A>) -> Result<SegmentInfo, Error> {
        SegmentRegion::new(memory, Parameters::new(Operation::Open, None, None)?)?.salvage()?.inspect()
    }

    /// Returns how far the creation of a segment in `memory` has progressed. Reads the first bytes and does
    /// not wait.
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
    /// Those of mapping a [`view`](SharedMemory::view), and [`ErrorKind::Fault`].
    pub fn stage_of(memory: &SharedMemory<A>) -> Result<SegmentStage, Error> {
        match SegmentRegion::new(memory, Parameters::new(Operation::Open, None, None)?) {
            Ok(region) => region.stage(),
            // The region is too short.
            Err(error) if error.kind() == ErrorKind::NotASegment => Ok(SegmentStage::NotASegment),
            Err(error) => Err(error),
        }
    }

    /// Returns the participants, including those that have died and whose slots have not been reused yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`].
    pub fn participants(&self) -> Result<Vec<ParticipantInfo>, Error> {
        self.core.participants(&mut Vec::new())
    }
}

/// The limit of the readers listed for all locks together: each lock may have as many as there are
/// participants.
const MOST_READERS: usize = 1 << 16;

/// What has been determined and listed so far.
struct Listed {
    /// Participant ids. Checking whether a participant is alive takes a system call, so it is done once for
    /// each participant and not for each of its locks.
    alive: BTreeSet<u32>,
    readers: usize,
}

impl Listed {
    fn is_alive<A: Access>(&mut self, core: &Core<A>, id: u32) -> bool {
        // It may have joined since. (The slot of any other id shows without a system call that its
        // participant is gone.)
        self.alive.contains(&id) || (!core.is_gone(id) && self.alive.insert(id))
    }
}

impl<A: Access> Core<A> {
    fn inspect(&self) -> Result<SegmentInfo, Error> {
        let mut header = self.view.read::<Header>(0)?;
        if self.follow()? != header.len {
            // The segment may have become longer since the header was read.
            header = self.view.read::<Header>(0)?;
            let _ = self.follow()?;
        }
        let stage = salvage::stage(&header);
        let mut damage = self.damaged_header(&header);
        let participants = self.participants(&mut damage)?;
        let alive: BTreeSet<u32> =
            participants.iter().filter(|one| one.alive).map(|one| one.id.get()).collect();
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
                    damage.push(Damage { offset: at, entry: Some(found.entry), description: what });
                    ObjectState::Unknown
                });
                objects.push(ObjectInfo {
                    name: found.name,
                    kind: ObjectKind::of(found.head.kind),
                    value_type: TypeDescription {
                        name: found.type_name.into(),
                        version: found.head.version,
                        size: found.head.size,
                        align: found.head.align,
                    },
                    offset: at,
                    len: found.head.object_len,
                    created_at: time_of(found.head.created_at),
                    created_by: ParticipantId::new(found.head.created_by),
                    state,
                });
            },
        );
        Ok(SegmentInfo {
            stage,
            version: header.version,
            len: self.len(),
            used: end.unwrap_or(self.len()),
            created_at: time_of(header.created_at),
            slots: self.slots,
            participants,
            objects,
            damage,
            truncated: !complete || listed.readers > MOST_READERS,
        })
    }

    fn checked_end(&self, end: u64) -> Option<u64> {
        (self.start..=self.len()).contains(&end).then_some(end).filter(|end| end % ALIGN == 0)
    }

    /// Returns where the header contradicts the values that this inspection uses, which were checked or
    /// salvaged.
    fn damaged_header(&self, header: &Header) -> Vec<Damage> {
        let mut damage = salvage::damaged_header(header);
        let mut wrong = |offset, what| damage.push(Damage { offset, entry: None, description: what });
        if header.len != self.len() {
            wrong(LEN_AT, format!("its length is {}, expected {}", header.len, self.len()));
        }
        if header.slots != self.slots {
            let what = format!("it has {} slots, expected {}", header.slots, self.slots);
            wrong(SLOTS_AT, what);
        }
        if header.slots_used > self.slots {
            let what = format!("{} slots in use, but it has {}", header.slots_used, self.slots);
            wrong(SLOTS_USED_AT, what);
        }
        if self.checked_end(header.end).is_none() {
            let what = format!(
                "its directory ends at {}, expected a multiple of {ALIGN} from {} to {}",
                header.end,
                self.start,
                self.len()
            );
            wrong(END_AT, what);
        }
        if header.start != self.start {
            let what = format!("its directory starts at {}, expected {}", header.start, self.start);
            wrong(START_AT, what);
        }
        damage
    }

    fn participants(&self, damage: &mut Vec<Damage>) -> Result<Vec<ParticipantInfo>, Error> {
        let mut found = Vec::new();
        for slot in 0..self.slots_used()? {
            let (slot_state, record) = self.slot(slot)?;
            let known = match slot_state.phase() {
                Phase::Free => continue,
                // Retired: the slot has no generations left.
                Phase::Retired if slot_state.process() == 0 && slot_state.generation() >= LAST_GENERATION => {
                    continue;
                }
                Phase::Retired => false,
                Phase::Joining | Phase::Present => slot_state.process() != 0 && slot_state.generation() != 0,
            };
            let id = ParticipantId::new((slot_state.generation() << 9) | slot).filter(|_| known);
            let Some(id) = id else {
                let offset = HEADER_LEN + u64::from(slot) * SLOT_LEN;
                let what = format!(
                    "the state of slot {slot} is {:#018x}, which no participant writes",
                    slot_state.0
                );
                damage.push(Damage { offset, entry: None, description: what });
                continue;
            };
            let standing = self.standing_of(slot, slot_state, &record);
            found.push(ParticipantInfo {
                id,
                process: participant(slot_state, &record).into(),
                joined_at: time_of(record.joined),
                alive: matches!(standing, Standing::Present(_)),
                held_by_kernel: slot_state.kernel(),
            });
        }
        Ok(found)
    }

    /// Returns the state of an object, or a description of why it cannot be read.
    fn state_of(&self, found: &Found, at: u64, listed: &mut Listed) -> Result<ObjectState, String> {
        let kind = ObjectKind::of(found.head.kind);
        // The bytes that the head of a lock, the counts of a latest value and the readers of an rwlock take.
        let count = u64::from(found.head.count);
        let needed = match kind {
            ObjectKind::RwLock => READERS + count * READER_STEP,
            _ => size_of::<LockHead>() as u64,
        };
        if found.head.object_len < needed {
            return Err(format!(
                "its object has {} bytes, and a {kind} needs {needed}",
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
        let owner = |word: u32| Some(word & OWNER).filter(|id| !matches!(*id, 0 | DONE));
        let ended = |end| {
            (head.dead_owner != 0 && head.end == end).then_some(ProcessInfo {
                id: head.dead_process,
                started: head.dead_started,
                pid_namespace: None,
            })
        };
        let lock = LockState {
            owner: owner(head.word).and_then(ParticipantId::new),
            held_since: time_of(head.since)
                .filter(|_| owner(head.word).is_some_and(|owner| head.since_is_of(owner))),
            waiters: head.waiters,
            inconsistent: head.word & DAMAGED != 0 && head.word & OWNER != DONE,
            not_recoverable: head.word & OWNER == DONE,
            dead_owner: ended(END_DIED),
            panicked_owner: ended(END_PANICKED),
        };
        Ok(match kind {
            ObjectKind::Mutex => ObjectState::Mutex { lock },
            ObjectKind::OnceLock => ObjectState::OnceLock {
                initialized: lock.not_recoverable,
                lock: LockState { not_recoverable: false, ..lock },
            },
            ObjectKind::RwLock => {
                let mut readers = Vec::new();
                for slot in 0..self.slots_used()?.min(count) {
                    let offset = index(at + READERS + u64::from(slot) * READER_STEP);
                    let word = view.atomic_u64(offset)?.load(SeqCst)?;
                    let id = rwlock::participant_of(word);
                    if rwlock::active(word) > 0 && slot_of(id) == slot && listed.is_alive(self, id) {
                        listed.readers += 1;
                        if listed.readers > MOST_READERS {
                            break;
                        }
                        let count = rwlock::active(word);
                        readers
                            .extend(ParticipantId::new(id).map(|participant| Readers { participant, count }));
                    }
                }
                ObjectState::RwLock { lock, readers }
            }
            ObjectKind::Latest => ObjectState::Latest {
                writer: lock.owner,
                published: view.atomic_u64(index(at + PUBLISHED))?.load(SeqCst)?,
            },
            ObjectKind::AutoResetEvent | ObjectKind::ManualResetEvent => {
                ObjectState::Event { set: head.word != 0, waiters: head.waiters }
            }
            ObjectKind::EventCount | ObjectKind::Futex => {
                ObjectState::Word { value: head.word, waiters: head.waiters }
            }
            ObjectKind::Unknown(_) => ObjectState::Unknown,
        })
    }
}
