//! The creation of a segment in a region of zeros, including a takeover after a creator has died.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicU64, fence};
use std::time::{Duration, Instant};

use zerocopy::IntoBytes;

use super::core::{Core, index, now};
use super::layout::{
    ALIGN, CREATOR, CREATOR_AT, CREATOR_NAMESPACES_AT, CREATOR_STARTED_AT, FINGERPRINT, HEADER_LEN, Header,
    LAST_GENERATION, MAGIC, Phase, SLOT_LEN, SLOTS_MAX, STATE_AT, SlotState, VERSION, has_signs, layout_fits,
    state,
};
use super::steps::step;
use crate::access::{Access, ReadWrite};
use crate::error::{Error, ErrorKind, Operation};
use crate::memory::SharedMemory;
use crate::options::Disposition;
use crate::sys::liveness::{self, ProcessState, Slots};
use crate::sys::wait::SegmentObjects;
use crate::sys::{Claimed, ObjectName, ProcessIdentity};
use crate::view::View;

/// The number of slots unless the options set another one.
const DEFAULT_SLOTS: u32 = 64;
/// How long an opener waits for a creator unless the options say otherwise.
const READY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a segment without a living creator is left to another creator before an opener reports the death.
/// A creator that takes over starts at once.
const TAKEOVER_DELAY: Duration = Duration::from_millis(250);

/// The cure for damage, as the end of a sentence.
pub(super) const INSPECT_HINT: &str = ": `mmf inspect` shows what can still be read";

/// The parameters of creating or opening a segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parameters {
    pub(super) operation: Operation,
    pub(super) slots: u32,
    pub(super) deadline: Instant,
}

impl Parameters {
    pub(super) fn new(
        operation: Operation,
        slots: Option<u32>,
        within: Option<Duration>,
    ) -> Result<Self, Error> {
        let slots = slots.unwrap_or(DEFAULT_SLOTS);
        if slots == 0 || slots > SLOTS_MAX {
            let detail =
                format!("a segment has slots for 1 to {SLOTS_MAX} participants, and {slots} were requested");
            return Err(Error::new(operation, ErrorKind::TooLarge).with_detail(detail));
        }
        let now = Instant::now();
        // (A deadline that overflows is far in the future.)
        let far = now + Duration::from_secs(1 << 30);
        let deadline = now.checked_add(within.unwrap_or(READY_TIMEOUT)).unwrap_or(far);
        Ok(Parameters { operation, slots, deadline })
    }

    /// Returns the end of the header and the slots, where the directory starts.
    pub(super) fn start(self) -> u64 {
        HEADER_LEN + u64::from(self.slots) * SLOT_LEN
    }
}

/// A region that is a segment or is to become one.
pub(super) struct SegmentRegion<'m, A: Access> {
    memory: &'m SharedMemory<A>,
    pub(super) view: View<A>,
    parameters: Parameters,
}

/// How far the creation has progressed.
enum Progress {
    Ready,
    /// No process has started to create it; or the region is not a segment and starts with zeros.
    Blank,
    /// A process is creating the segment.
    UnderWay,
    /// The creator has died.
    Died,
}

impl<'m, A: Access> SegmentRegion<'m, A> {
    pub(super) fn new(memory: &'m SharedMemory<A>, parameters: Parameters) -> Result<Self, Error> {
        let region = SegmentRegion { memory, view: memory.view()?, parameters };
        let needed = HEADER_LEN + SLOT_LEN;
        if (region.view.len() as u64) < needed {
            let detail =
                format!("the region has {} bytes, and a segment at least {needed}", region.view.len());
            let kind = if parameters.operation == Operation::Create {
                ErrorKind::TooSmall
            } else {
                ErrorKind::NotASegment
            };
            return Err(region.fail(kind).with_detail(detail));
        }
        Ok(region)
    }

    pub(super) fn fail(&self, kind: ErrorKind) -> Error {
        self.memory.right().name_it(Error::new(self.parameters.operation, kind))
    }

    fn kernel_slots(&self) -> Slots {
        // (On Windows, `is_held` is never called on it: the names of slots depend on the identity, which only
        // a complete segment has.)
        Slots::new(&SegmentObjects::new(None, None, [0; 16]))
    }

    fn progress(&self) -> Result<Progress, Error> {
        let now = self.view.atomic_u32(index(STATE_AT))?.load(SeqCst)?;
        match now {
            state::READY => return Ok(Progress::Ready),
            state::BROKEN => {
                return Err(self
                    .fail(ErrorKind::Corrupted)
                    .with_detail("it was declared broken: end all programs that use it and create it anew"));
            }
            state::RAW | state::CREATING => {}
            other => {
                let detail = format!("invalid state {other:#x} in its header");
                return Err(if has_signs(&self.view.read::<Header>(0)?) {
                    self.fail(ErrorKind::Corrupted).with_detail(detail + INSPECT_HINT)
                } else {
                    self.fail(ErrorKind::NotASegment).with_detail(detail)
                });
            }
        }
        let magic = self.view.read::<[u8; 8]>(0)?;
        if magic != MAGIC && magic != [0; 8] {
            let detail = format!("it starts with {magic:02x?}");
            return Err(self.fail(ErrorKind::NotASegment).with_detail(detail));
        }
        if now == state::RAW {
            if let Some(at) = self.unlike_raw()? {
                let detail = format!(
                    "the region starts with zeros, but byte {at} is not zero, as it would be before the \
                     creation of a segment: \
                     open it as a SharedMemory"
                );
                return Err(self.fail(ErrorKind::NotASegment).with_detail(detail));
            }
        }
        let slot_state = SlotState(self.view.atomic_u64(index(CREATOR_AT))?.load(SeqCst)?);
        if slot_state.phase() == Phase::Free {
            return Ok(if now == state::RAW { Progress::Blank } else { Progress::UnderWay });
        }
        Ok(if self.creator_is_alive(slot_state)? { Progress::UnderWay } else { Progress::Died })
    }

    /// Returns the offset of a byte in the header that is not zero, although according to the state no
    /// creator has started to write.
    pub(super) fn unlike_raw(&self) -> Result<Option<usize>, Error> {
        let bytes = self.view.read::<Header>(0)?;
        // A creator changes the state from *raw* before it writes anything else. If the state is still *raw*,
        // all bytes were read before that.
        fence(SeqCst);
        if self.view.atomic_u32(index(STATE_AT))?.load(SeqCst)? != state::RAW {
            return Ok(None);
        }
        Ok(is_blank(&bytes).err())
    }

    /// Returns the process in the creator's slot, as far as it has been recorded: of a process that has just
    /// taken the slot, only the id is known.
    pub(super) fn creator(&self, slot_state: SlotState) -> Result<ProcessIdentity, Error> {
        let id = slot_state.process();
        if slot_state.phase() != Phase::Present {
            return Ok(ProcessIdentity { id, ..ProcessIdentity::default() });
        }
        let started = self.view.read::<u64>(index(CREATOR_STARTED_AT))?;
        let [pid_namespace, time_namespace] = self.view.read::<[u64; 2]>(index(CREATOR_NAMESPACES_AT))?;
        Ok(ProcessIdentity { id, started, pid_namespace, time_namespace })
    }

    pub(super) fn creator_is_alive(&self, slot_state: SlotState) -> Result<bool, Error> {
        if slot_state.phase() == Phase::Free {
            return Ok(false);
        }
        let object = &self.memory.right().object;
        let held = if slot_state.kernel() { self.kernel_slots().is_held(object, CREATOR) } else { None };
        if held == Some(false) {
            return Ok(false);
        }
        let life = liveness::process_state(&self.creator(slot_state)?, held == Some(true));
        Ok(!matches!(life, ProcessState::Ended))
    }

    /// Waits until the segment is ready.
    pub(super) fn wait(&self) -> Result<(), Error> {
        let begun = Instant::now();
        loop {
            let progress = self.progress()?;
            let died = match progress {
                Progress::Ready => return Ok(()),
                Progress::Blank | Progress::UnderWay => false,
                Progress::Died => true,
            };
            let now = Instant::now();
            if died {
                // Once more: it may have become ready since the first check, and its creator may have left.
                if matches!(self.progress()?, Progress::Ready) {
                    return Ok(());
                }
                // Another process may be about to take over, so an opener gives it a moment.
                if now.duration_since(begun) >= TAKEOVER_DELAY || now >= self.parameters.deadline {
                    let detail = "its creator died before it was ready: use open_or_create, which creates \
                        it anew, or start the creator again";
                    return Err(self.fail(ErrorKind::NotReady).with_detail(detail));
                }
            } else if now >= self.parameters.deadline && matches!(progress, Progress::Blank) {
                let detail = "its first bytes are all zero: if the region is not meant to be a segment, \
                    open it as a SharedMemory; \
                              if its creator has not started yet, start it, or use open_or_create";
                return Err(self.fail(ErrorKind::NotReady).with_detail(detail));
            } else if now >= self.parameters.deadline {
                let detail = "another process is creating it and has not finished within ready_timeout: \
                    try again, or look for a \
                              creator that hangs";
                return Err(self.fail(ErrorKind::NotReady).with_detail(detail));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Returns the length of the view, after extending it to at least `len` bytes if that is possible: it may
    /// have been mapped before the segment grew.
    pub(super) fn reaches(&self, len: u64) -> Result<u64, Error> {
        let known = self.view.len() as u64;
        if len <= known { Ok(known) } else { Ok(self.view.refresh()? as u64) }
    }

    /// Checks the header against the length of the view.
    pub(super) fn check(&self) -> Result<Core<A>, Error> {
        let header = self.view.read::<Header>(0)?;
        if header.magic != MAGIC {
            let detail = format!("it starts with {:02x?}", header.magic);
            return Err(if has_signs(&header) {
                self.fail(ErrorKind::Corrupted).with_detail(detail + INSPECT_HINT)
            } else {
                self.fail(ErrorKind::NotASegment).with_detail(detail)
            });
        }
        if (header.version, header.fingerprint) != (VERSION, FINGERPRINT) {
            let detail = format!(
                "its format is version {} ({:#018x}), and this library supports version {VERSION} \
                 ({FINGERPRINT:#018x}): \
                 build both programs with the same version",
                header.version, header.fingerprint
            );
            return Err(self.fail(ErrorKind::NotASegment).with_detail(detail));
        }
        let slots = header.slots;
        let there = self.reaches(header.len)?;
        let fits = layout_fits(&header) && header.len >= header.start && header.len <= there;
        if !fits {
            let detail = format!(
                "its header describes {} bytes, {slots} participants from byte {} and objects from byte \
                 {}, in a region of \
                 {there} bytes{INSPECT_HINT}",
                header.len, header.participants, header.start,
            );
            return Err(self.fail(ErrorKind::Corrupted).with_detail(detail));
        }
        Ok(self.core(slots, header.len, header.id))
    }

    /// Returns the core of a segment. The caller has checked these values against the view.
    pub(super) fn core(&self, slots: u32, len: u64, id: [u8; 16]) -> Core<A> {
        let right = self.memory.right();
        let name = self.object_name();
        let objects = SegmentObjects::new(Some(&right.object), name.as_ref(), id);
        let kernel_slots = Slots::new(&objects);
        Core {
            view: self.view.clone(),
            memory: self.memory.clone(),
            objects,
            kernel_slots,
            slots,
            start: HEADER_LEN + u64::from(slots) * SLOT_LEN,
            len: AtomicU64::new(len),
            member: None,
        }
    }

    fn object_name(&self) -> Option<ObjectName> {
        self.memory.name().and_then(|name| name.object_name(self.parameters.operation, None).ok())
    }
}

impl SegmentRegion<'_, ReadWrite> {
    /// Creates the segment unless another process does.
    pub(super) fn create(&self) -> Result<Disposition, Error> {
        if matches!(self.progress()?, Progress::Ready) {
            return Ok(Disposition::Opened);
        }
        let len = self.view.len() as u64 & !(ALIGN - 1);
        let start = self.parameters.start();
        if len < start {
            let detail = format!(
                "{} participants alone take {start} of its {len} bytes: request a longer region, or fewer \
                 participants",
                self.parameters.slots
            );
            return Err(self.fail(ErrorKind::TooSmall).with_detail(detail));
        }
        let begun = Instant::now();
        loop {
            match self.progress()? {
                Progress::Ready => return Ok(Disposition::Opened),
                Progress::Blank | Progress::UnderWay | Progress::Died => {}
            }
            if let Some(disposition) = self.try_create(len)? {
                return Ok(disposition);
            }
            if Instant::now() >= self.parameters.deadline && begun.elapsed() >= TAKEOVER_DELAY {
                let detail =
                    "another process is creating it and has not finished within ready_timeout: try again";
                return Err(self.fail(ErrorKind::NotReady).with_detail(detail));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Creates the segment unless another process is creating it or has been faster; in both cases it returns
    /// `None` at once, so that the caller's deadline holds whatever a peer writes.
    fn try_create(&self, len: u64) -> Result<Option<Disposition>, Error> {
        let word = self.view.atomic_u64(index(CREATOR_AT))?;
        let former = SlotState(word.load(SeqCst)?);
        if self.creator_is_alive(former)? {
            return Ok(None);
        }
        let right = self.memory.right();
        let claimer = self.kernel_slots().claimer(&right.object);
        let claimer = claimer.map_err(|failure| right.error(self.parameters.operation, failure))?;
        let claimed = if cfg!(unix) { claimer.claim(CREATOR) } else { Claimed::Impossible };
        if claimed == Claimed::Taken {
            return Ok(None);
        }
        let generation = if former.generation() >= LAST_GENERATION { 1 } else { former.generation() + 1 };
        let slot_state =
            SlotState::new(std::process::id(), generation, claimed == Claimed::Held, Phase::Joining);
        if word.compare_exchange(former.0, slot_state.0, SeqCst, SeqCst)?.is_err() {
            return Ok(None);
        }
        // Another process may have finished between the check and taking the slot.
        let disposition = if matches!(self.progress()?, Progress::Ready) {
            Disposition::Opened
        } else {
            step("create: claimed");
            let who = liveness::identity();
            let written = self
                .view
                .write(&who.started, index(CREATOR_STARTED_AT))
                .and_then(|()| {
                    let namespaces = [who.pid_namespace, who.time_namespace];
                    self.view.write(&namespaces, index(CREATOR_NAMESPACES_AT))
                })
                .and_then(|()| word.store(slot_state.with_phase(Phase::Present).0, SeqCst))
                .and_then(|()| self.write(former != SlotState(0), len));
            if let Err(error) = written {
                let _ = self.set_state(state::BROKEN);
                return Err(error);
            }
            Disposition::Created
        };
        word.store(slot_state.with_phase(Phase::Free).0, SeqCst)?;
        claimer.release(CREATOR);
        Ok(Some(disposition))
    }

    fn set_state(&self, value: u32) -> Result<(), Error> {
        self.view.atomic_u32(index(STATE_AT))?.store(value, SeqCst)
    }

    /// Writes the header and makes the segment ready. The caller holds the creator's slot.
    fn write(&self, begun_before: bool, len: u64) -> Result<(), Error> {
        self.set_state(state::CREATING)?;
        step("create: creating");
        let start = self.parameters.start();
        if begun_before {
            // The creator that died here may have written anything. (Objects are zeroed when they are
            // created.)
            self.view.fill(0, 0..8)?;
            self.view.fill(0, index(HEADER_LEN)..index(start))?;
        }
        let id = liveness::random()
            .map_err(|failure| self.memory.right().error(self.parameters.operation, failure))?;
        let participants = u32::try_from(HEADER_LEN).unwrap_or(0);
        let head = [VERSION];
        self.view.write(&head, 8)?;
        self.view.write(&[FINGERPRINT, len], 16)?;
        self.view.write(&id, 32)?;
        self.view.write(&[participants, self.parameters.slots, 0, 0], 64)?;
        self.view.write(&[start, start], 80)?;
        self.view.write(&[0_u32; 2], 96)?;
        self.view.write(&now(), 104)?;
        self.view.write(&MAGIC, 0)?;
        step("create: written, and not ready yet");
        self.set_state(state::READY)?;
        step("create: ready");
        Ok(())
    }
}

/// Returns the offset of a byte that is not zero, apart from the creator's own slot, as an error.
fn is_blank(header: &Header) -> Result<(), usize> {
    let creator = index(CREATOR_AT)..index(CREATOR_STARTED_AT) + 8;
    let namespaces = index(CREATOR_NAMESPACES_AT)..index(CREATOR_NAMESPACES_AT) + 16;
    let expected = |at: &usize| creator.contains(at) || namespaces.contains(at);
    let found = header.as_bytes().iter().enumerate().find(|(at, byte)| **byte != 0 && !expected(at));
    found.map_or(Ok(()), |(at, _)| Err(at))
}
