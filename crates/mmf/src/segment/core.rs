//! What all objects of a segment rest on: the view, the slot of this process, and the liveness of other
//! participants.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::layout::{
    HEADER_LEN, LAST_GENERATION, Phase, SLOT_LEN, SLOTS_MAX, SLOTS_USED_AT, Slot, SlotState,
};
use super::steps::step;
use crate::access::{Access, ReadWrite};
use crate::error::{Error, ErrorKind, Operation};
use crate::memory::SharedMemory;
use crate::sys::liveness::{self, HeldSlots, ProcessHandle, ProcessState, SlotClaimer, Slots};
use crate::sys::wait::SegmentObjects;
use crate::sys::{Claimed, ProcessIdentity};
use crate::view::View;

/// The bits of a participant id that are its slot.
const SLOT_BITS: u32 = 9;

/// What the clones of one `Segment` and all its objects share.
#[derive(Debug)]
pub(crate) struct Core<A: Access = ReadWrite> {
    pub(crate) view: View<A>,
    pub(crate) memory: SharedMemory<A>,
    pub(crate) objects: SegmentObjects,
    pub(crate) kernel_slots: Slots,
    /// As the header had it when it was checked. Never read again: a peer may change it.
    pub(crate) slots: u32,
    pub(crate) start: u64,
    /// The length of the segment as far as this process knows it: see `Core::follow`.
    pub(crate) len: AtomicU64,
    /// `None` for an observer.
    pub(crate) member: Option<Member>,
}

/// This process as a participant.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) id: u32,
    slot_state: SlotState,
    forks: u32,
    view: View<ReadWrite>,
    /// Dropped when the participant leaves. `None` if the kernel does not hold the slot.
    hold: Option<HeldSlots>,
}

impl Member {
    pub(crate) fn slot(&self) -> u32 {
        slot_of(self.id)
    }
}

pub(crate) fn slot_of(id: u32) -> u32 {
    id & SLOTS_MAX
}

pub(crate) fn generation_of(id: u32) -> u32 {
    id >> SLOT_BITS
}

/// Whether a participant is alive.
#[derive(Debug)]
pub(crate) enum Standing {
    /// It has left or died. Its id never comes back.
    Gone,
    /// It is alive as far as this process can tell. A waiter may be able to block on its end.
    Present(Option<ProcessHandle>),
}

pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(0)
}

pub(crate) fn time_of(nanoseconds: u64) -> Option<SystemTime> {
    if nanoseconds == 0 { None } else { UNIX_EPOCH.checked_add(Duration::from_nanos(nanoseconds)) }
}

/// Converts an offset into an index of a view. (An offset that does not fit is past the end of every view.)
pub(crate) fn index(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

/// Returns the process of a participant, as far as it has been recorded.
pub(crate) fn participant(slot_state: SlotState, record: &Slot) -> ProcessIdentity {
    let id = slot_state.process();
    if slot_state.phase() != Phase::Present {
        // The record beside the slot state is that of the previous participant. Without the pid namespace,
        // the id means nothing.
        return ProcessIdentity { id, ..ProcessIdentity::default() };
    }
    let Slot { started, pid_namespace, time_namespace, .. } = *record;
    ProcessIdentity { id, started, pid_namespace, time_namespace }
}

fn slot_at(slot: u32) -> usize {
    index(HEADER_LEN + u64::from(slot) * SLOT_LEN)
}

impl<A: Access> Core<A> {
    pub(crate) fn fail(&self, operation: Operation, kind: ErrorKind) -> Error {
        self.memory.right().name_it(Error::new(operation, kind))
    }

    /// Returns the segment's name as errors quote it.
    pub(crate) fn quoted_name(&self) -> String {
        match self.fail(Operation::Object, ErrorKind::Other).name() {
            // Verbatim: {:?} would double the backslash, and users compare the name with their own.
            Some(name) => format!("\"{}\"", name.replace('\0', "\\0")),
            None => "an unnamed segment".to_owned(),
        }
    }

    /// Returns the state of a slot and the record beside it. The record is torn while a participant joins;
    /// the state never is.
    pub(crate) fn slot(&self, slot: u32) -> Result<(SlotState, Slot), Error> {
        let slot_state = SlotState(self.view.atomic_u64(slot_at(slot))?.load(SeqCst)?);
        Ok((slot_state, self.view.read::<Slot>(slot_at(slot))?))
    }

    /// Returns the number of slots that were ever used, at most the number of slots.
    pub(crate) fn slots_used(&self) -> Result<u32, Error> {
        Ok(self.view.atomic_u32(index(SLOTS_USED_AT))?.load(SeqCst)?.min(self.slots))
    }

    /// Returns the participant id of this process. `None` for an observer, and in a forked copy of the
    /// process that joined.
    pub(crate) fn own_id(&self) -> Option<u32> {
        self.member.as_ref().filter(|member| member.forks == liveness::fork_epoch()).map(|member| member.id)
    }

    /// Returns whether the participant with this id is alive.
    pub(crate) fn standing(&self, id: u32) -> Result<Standing, Error> {
        if self.own_id() == Some(id) {
            return Ok(Standing::Present(None));
        }
        let slot = slot_of(id);
        if slot >= self.slots || generation_of(id) == 0 {
            return Ok(Standing::Gone);
        }
        let (slot_state, record) = self.slot(slot)?;
        if slot_state.generation() != generation_of(id) {
            return Ok(Standing::Gone);
        }
        Ok(self.standing_of(slot, slot_state, &record))
    }

    pub(crate) fn standing_of(&self, slot: u32, slot_state: SlotState, record: &Slot) -> Standing {
        if matches!(slot_state.phase(), Phase::Free | Phase::Retired) {
            return Standing::Gone;
        }
        if self.own_id().is_some_and(|own| slot_of(own) == slot) {
            return Standing::Present(None);
        }
        let held = if slot_state.kernel() { self.is_held(slot) } else { None };
        if held == Some(false) {
            return if self.can_trust() { Standing::Gone } else { Standing::Present(None) };
        }
        match liveness::process_state(&participant(slot_state, record), held == Some(true)) {
            ProcessState::Ended => Standing::Gone,
            ProcessState::Alive(watch) => Standing::Present(watch),
            ProcessState::Unknown => Standing::Present(None),
        }
    }

    fn is_held(&self, slot: u32) -> Option<bool> {
        self.kernel_slots.is_held(&self.memory.right().object, slot)
    }

    /// Returns whether to believe the kernel that no process holds a slot. Not if it reports the same of this
    /// process's own slot: then all of them may have been restored from a checkpoint without such locks.
    fn can_trust(&self) -> bool {
        match &self.member {
            // (A forked child holds nothing itself.)
            Some(member) if member.hold.is_some() && self.own_id().is_some() => {
                self.is_held(member.slot()) != Some(false)
            }
            _ => true,
        }
    }

    /// Returns whether the participant has left or died. If this process cannot tell, it counts as alive.
    pub(crate) fn is_gone(&self, id: u32) -> bool {
        matches!(self.standing(id), Ok(Standing::Gone))
    }
}

impl Core<ReadWrite> {
    /// Returns the participant id of this process, or an error in a forked copy of the process that joined.
    #[inline]
    pub(crate) fn me(&self) -> Result<u32, Error> {
        match &self.member {
            Some(member) if member.forks == liveness::fork_epoch() => Ok(member.id),
            _ => Err(self.forked()),
        }
    }

    /// Returns whether this is the process that joined, and not a forked copy of it.
    #[allow(clippy::inline_always, reason = "it is asked between two locked instructions")]
    #[inline(always)]
    pub(crate) fn is_here(&self) -> bool {
        matches!(&self.member, Some(member) if member.forks == liveness::fork_epoch())
    }

    /// Returns the error for a forked child that does what only its parent may do.
    #[cold]
    pub(crate) fn forked(&self) -> Error {
        let sentence = format!(
            "this process was forked from the one that opened {}, whose locks and writers belong to its \
             parent: \
             open the segment again in this process",
            self.quoted_name()
        );
        self.fail(Operation::Acquire, ErrorKind::Unsupported).with_sentence(sentence)
    }

    /// Becomes a participant.
    pub(crate) fn join(&mut self, operation: Operation) -> Result<(), Error> {
        let right = self.memory.right();
        let claimer = self.kernel_slots.claimer(&right.object).map_err(|failure| {
            let error = right.error(operation, failure);
            if error.kind() == ErrorKind::LimitReached {
                error.with_detail(
                    "joining a segment takes one descriptor for a moment, and none is left: close some, or \
                     raise the \
                     limit (ulimit -n)",
                )
            } else {
                error
            }
        })?;
        // Free slots first, so that a dead participant can be identified as long as possible. Then once more,
        // because a participant that leaves frees its slot in two steps.
        let mut joined = None;
        'joining: for (take_dead, without_kernel) in
            [(false, false), (true, false), (true, false), (false, true), (true, true)]
        {
            for slot in 0..self.slots {
                joined = self.try_join(&claimer, slot, take_dead, without_kernel)?;
                if joined.is_some() {
                    break 'joining;
                }
            }
        }
        let Some((slot, slot_state)) = joined else {
            let detail = format!(
                "all {} slots are taken: end some participants, or create the segment with more slots \
                 (SegmentOptions::participants)",
                self.slots
            );
            return Err(self.fail(operation, ErrorKind::Full).with_detail(detail));
        };
        let word = self.view.atomic_u64(slot_at(slot))?;
        let hold = if slot_state.kernel() {
            let kept = claimer.keep().map_err(|failure| {
                self.memory.right().error(operation, failure).with_detail(
                    "the page by which the kernel shows that this participant is alive cannot be mapped",
                )
            });
            if kept.is_err() {
                let left = SlotState::new(0, slot_state.generation(), false, Phase::Free);
                let _ = word.compare_exchange(slot_state.0, left.0, SeqCst, SeqCst);
            }
            Some(kept?)
        } else {
            None
        };
        let who = liveness::identity();
        let record = [who.started, now(), who.pid_namespace, who.time_namespace];
        self.view.write(&record, slot_at(slot) + 8)?;
        let present = slot_state.with_phase(Phase::Present);
        if word.compare_exchange(slot_state.0, present.0, SeqCst, SeqCst)?.is_err() {
            let detail = format!("slot {slot} was overwritten while this participant joined");
            return Err(self.fail(operation, ErrorKind::Corrupted).with_detail(detail));
        }
        step("join: present");
        self.member = Some(Member {
            id: (slot_state.generation() << SLOT_BITS) | slot,
            slot_state: present,
            forks: liveness::fork_epoch(),
            view: self.view.clone(),
            hold,
        });
        Ok(())
    }

    /// Takes the slot if it is free, or, with `take_dead`, if its participant has died. With
    /// `without_kernel`, it is taken even if the kernel could hold it and does not, because a lock is in the
    /// way that belongs to no participant.
    fn try_join(
        &self,
        claimer: &SlotClaimer,
        slot: u32,
        take_dead: bool,
        without_kernel: bool,
    ) -> Result<Option<(u32, SlotState)>, Error> {
        let (former, record) = self.slot(slot)?;
        let free = match former.phase() {
            Phase::Free => true,
            Phase::Retired => false,
            _ => take_dead && matches!(self.standing_of(slot, former, &record), Standing::Gone),
        };
        if !free {
            return Ok(None);
        }
        let word = self.view.atomic_u64(slot_at(slot))?;
        if former.generation() >= LAST_GENERATION {
            let retired = SlotState::new(0, former.generation(), false, Phase::Retired);
            // If another process was faster, it has done the same.
            let _ = word.compare_exchange(former.0, retired.0, SeqCst, SeqCst)?;
            return Ok(None);
        }
        let claimed = claimer.claim(slot);
        let may = match claimed {
            Claimed::Held | Claimed::Impossible => true,
            Claimed::Obstructed | Claimed::Taken => without_kernel,
        };
        if !may {
            return Ok(None);
        }
        step("join: slot held by the kernel, not claimed yet");
        let generation = former.generation() + 1;
        let slot_state =
            SlotState::new(std::process::id(), generation, claimed == Claimed::Held, Phase::Joining);
        if word.compare_exchange(former.0, slot_state.0, SeqCst, SeqCst)?.is_err() {
            claimer.release(slot);
            return Ok(None);
        }
        step("join: joining");
        let used = self.view.atomic_u32(index(SLOTS_USED_AT))?;
        used.fetch_max(slot + 1, SeqCst)?;
        Ok(Some((slot, slot_state)))
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // A forked child has a copy of this, but the slot is its parent's.
        if self.forks != liveness::fork_epoch() {
            return;
        }
        if let Ok(word) = self.view.atomic_u64(slot_at(self.slot())) {
            let left = SlotState::new(0, generation_of(self.id), false, Phase::Free);
            // If the state is another one, a peer has overwritten it, and it is left alone.
            let _ = word.compare_exchange(self.slot_state.0, left.0, SeqCst, SeqCst);
        }
        step("leave: free, and the kernel not told yet");
        self.hold = None;
    }
}
