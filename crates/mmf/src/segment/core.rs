//! What all objects of a segment rest on: the view, who takes part, and who is alive.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::layout::{
    Claim, HEADER_LEN, LAST_GENERATION, PLACE_LEN, PLACES_MAX, PLACES_USED_AT, Phase, Place,
};
use super::steps::step;
use crate::access::{Access, ReadWrite};
use crate::error::{Error, ErrorKind, Operation};
use crate::memory::SharedMemory;
use crate::sys::liveness::{self, HeldSlots, ProcessHandle, ProcessState, SlotClaimer, Slots};
use crate::sys::wait::SegmentObjects;
use crate::sys::{Claimed, ProcessIdentity};
use crate::view::View;

/// The bits of a token that say the place.
const PLACE_BITS: u32 = 9;

/// One `Segment`, shared by its clones and by all its objects.
#[derive(Debug)]
pub(crate) struct Core<A: Access = ReadWrite> {
    pub(crate) view: View<A>,
    pub(crate) memory: SharedMemory<A>,
    pub(crate) family: SegmentObjects,
    pub(crate) presence: Slots,
    /// As the header said when it was checked. Never read again: a peer may change it.
    pub(crate) places: u32,
    pub(crate) start: u64,
    /// How long the segment is, as far as is known here: see `Core::follow`.
    pub(crate) len: AtomicU64,
    /// Who this is; an observer is nobody.
    pub(crate) member: Option<Member>,
}

/// A participant: this process, by one of its segments.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) token: u32,
    claim: Claim,
    forks: u32,
    view: View<ReadWrite>,
    /// Taken when it is left. None if the kernel does not hold the place.
    hold: Option<HeldSlots>,
}

impl Member {
    pub(crate) fn place(&self) -> u32 {
        place_of(self.token)
    }
}

pub(crate) fn place_of(token: u32) -> u32 {
    token & PLACES_MAX
}

pub(crate) fn generation_of(token: u32) -> u32 {
    token >> PLACE_BITS
}

/// What is known of a participant.
#[derive(Debug)]
pub(crate) enum Standing {
    /// It has left, or died; its token will not come back.
    Gone,
    /// It lives, as far as can be told. It may be possible to wait for its end.
    Present(Option<ProcessHandle>),
}

pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(0)
}

pub(crate) fn time_of(nanoseconds: u64) -> Option<SystemTime> {
    if nanoseconds == 0 { None } else { UNIX_EPOCH.checked_add(Duration::from_nanos(nanoseconds)) }
}

/// An offset that was checked against the length of a view. (What does not fit is past the end of every view.)
pub(crate) fn index(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

/// Which process a participant is, as far as it has written that down.
pub(crate) fn participant(claim: Claim, record: &Place) -> ProcessIdentity {
    let id = claim.process();
    if claim.phase() != Phase::Present {
        // What stands beside the claim is of a former one. Not even the pid namespace is known, so the number means nothing.
        return ProcessIdentity { id, ..ProcessIdentity::default() };
    }
    let Place { started, pid_namespace, time_namespace, .. } = *record;
    ProcessIdentity { id, started, pid_namespace, time_namespace }
}

fn place_at(place: u32) -> usize {
    index(HEADER_LEN + u64::from(place) * PLACE_LEN)
}

impl<A: Access> Core<A> {
    pub(crate) fn fail(&self, operation: Operation, kind: ErrorKind) -> Error {
        self.memory.right().name_it(Error::new(operation, kind))
    }

    /// What errors about its objects call the segment.
    pub(crate) fn called(&self) -> String {
        match self.fail(Operation::Object, ErrorKind::Other).name() {
            // As it is: {:?} would double the backslash that people are to compare.
            Some(name) => format!("\"{}\"", name.replace('\0', "\\0")),
            None => "a segment without a name".to_owned(),
        }
    }

    /// What stands in a place. Torn if somebody is about to come in; the claim is whole.
    pub(crate) fn place(&self, place: u32) -> Result<(Claim, Place), Error> {
        let claim = Claim(self.view.atomic_u64(place_at(place))?.load(SeqCst)?);
        Ok((claim, self.view.read::<Place>(place_at(place))?))
    }

    /// How many places were ever in use, as far as they can be.
    pub(crate) fn places_used(&self) -> Result<u32, Error> {
        Ok(self.view.atomic_u32(index(PLACES_USED_AT))?.load(SeqCst)?.min(self.places))
    }

    /// The token of this process; none of an observer, and none in a forked copy of the process that has it.
    pub(crate) fn own_token(&self) -> Option<u32> {
        self.member
            .as_ref()
            .filter(|member| member.forks == liveness::fork_epoch())
            .map(|member| member.token)
    }

    /// Whether a participant is still there.
    pub(crate) fn standing(&self, token: u32) -> Result<Standing, Error> {
        if self.own_token() == Some(token) {
            return Ok(Standing::Present(None));
        }
        let place = place_of(token);
        if place >= self.places || generation_of(token) == 0 {
            return Ok(Standing::Gone);
        }
        let (claim, record) = self.place(place)?;
        if claim.generation() != generation_of(token) {
            return Ok(Standing::Gone);
        }
        Ok(self.standing_of(place, claim, &record))
    }

    pub(crate) fn standing_of(&self, place: u32, claim: Claim, record: &Place) -> Standing {
        if matches!(claim.phase(), Phase::Free | Phase::Retired) {
            return Standing::Gone;
        }
        if self.own_token().is_some_and(|own| place_of(own) == place) {
            return Standing::Present(None);
        }
        let held = if claim.kernel() { self.is_held(place) } else { None };
        if held == Some(false) {
            return if self.can_trust() { Standing::Gone } else { Standing::Present(None) };
        }
        match liveness::process_state(&participant(claim, record), held == Some(true)) {
            ProcessState::Ended => Standing::Gone,
            ProcessState::Alive(watch) => Standing::Present(watch),
            ProcessState::Unknown => Standing::Present(None),
        }
    }

    fn is_held(&self, place: u32) -> Option<bool> {
        self.presence.is_held(&self.memory.right().object, place)
    }

    /// Whether the kernel's answer "nobody holds it" can be believed: not if it says so of this very process, whose
    /// place it holds. Then all of them may have been restored from a checkpoint that had no such locks.
    fn can_trust(&self) -> bool {
        match &self.member {
            // (A forked child holds nothing itself.)
            Some(member) if member.hold.is_some() && self.own_token().is_some() => {
                self.is_held(member.place()) != Some(false)
            }
            _ => true,
        }
    }

    /// Whether it has left or died. What cannot be told counts as there.
    pub(crate) fn is_gone(&self, token: u32) -> bool {
        matches!(self.standing(token), Ok(Standing::Gone))
    }
}

impl Core<ReadWrite> {
    /// Who this is, if the process still is the one that opened the segment.
    #[inline]
    pub(crate) fn me(&self) -> Result<u32, Error> {
        match &self.member {
            Some(member) if member.forks == liveness::fork_epoch() => Ok(member.token),
            _ => Err(self.forked()),
        }
    }

    /// Whether this is the process that joined, and no forked copy of it.
    #[allow(clippy::inline_always, reason = "it is asked between two locked instructions")]
    #[inline(always)]
    pub(crate) fn is_here(&self) -> bool {
        matches!(&self.member, Some(member) if member.forks == liveness::fork_epoch())
    }

    /// Of what only the participant may do whose process this one was forked from.
    #[cold]
    pub(crate) fn forked(&self) -> Error {
        let sentence = format!(
            "this process was forked from the one that opened {}, whose locks and writers belong to its parent: \
             open the segment again in this process",
            self.called()
        );
        self.fail(Operation::Acquire, ErrorKind::Unsupported).with_sentence(sentence)
    }

    /// Becomes a participant.
    pub(crate) fn join(&mut self, operation: Operation) -> Result<(), Error> {
        let right = self.memory.right();
        let claimer = self.presence.claimer(&right.object).map_err(|failure| {
            let error = right.error(operation, failure);
            if error.kind() == ErrorKind::LimitReached {
                error.with_detail(
                    "joining a segment takes one descriptor for a moment, and there is none left: close some, or raise the limit (ulimit -n)",
                )
            } else {
                error
            }
        })?;
        // Those that have left first, so that one who has died can still be asked about as long as possible. And once more, since one who
        // leaves frees the place in two steps.
        let mut joined = None;
        'joining: for (take_dead, without_kernel) in
            [(false, false), (true, false), (true, false), (false, true), (true, true)]
        {
            for place in 0..self.places {
                joined = self.try_join(&claimer, place, take_dead, without_kernel)?;
                if joined.is_some() {
                    break 'joining;
                }
            }
        }
        let Some((place, claim)) = joined else {
            let detail = format!(
                "all {} places for participants are taken: end some, or make it with more (SegmentOptions::participants)",
                self.places
            );
            return Err(self.fail(operation, ErrorKind::Full).with_detail(detail));
        };
        let word = self.view.atomic_u64(place_at(place))?;
        let hold = if claim.kernel() {
            let kept = claimer.keep().map_err(|failure| {
                self.memory.right().error(operation, failure).with_detail(
                    "the page of addresses by which the kernel knows that this participant lives cannot be mapped",
                )
            });
            if kept.is_err() {
                let left = Claim::new(0, claim.generation(), false, Phase::Free);
                let _ = word.compare_exchange(claim.0, left.0, SeqCst, SeqCst);
            }
            Some(kept?)
        } else {
            None
        };
        let who = liveness::identity();
        let record = [who.started, now(), who.pid_namespace, who.time_namespace];
        self.view.write(&record, place_at(place) + 8)?;
        let present = claim.with_phase(Phase::Present);
        if word.compare_exchange(claim.0, present.0, SeqCst, SeqCst)?.is_err() {
            let detail = format!("place {place} was taken away from this participant while it joined");
            return Err(self.fail(operation, ErrorKind::Corrupted).with_detail(detail));
        }
        step("join: present");
        self.member = Some(Member {
            token: (claim.generation() << PLACE_BITS) | place,
            claim: present,
            forks: liveness::fork_epoch(),
            view: self.view.clone(),
            hold,
        });
        Ok(())
    }

    /// Claims a place, if it is free; also one of the dead, if `take_dead`. `without_kernel`: also if the kernel could hold it and does not,
    /// because there is a lock in the way that nobody in this segment answers for.
    fn try_join(
        &self,
        claimer: &SlotClaimer,
        place: u32,
        take_dead: bool,
        without_kernel: bool,
    ) -> Result<Option<(u32, Claim)>, Error> {
        let (former, record) = self.place(place)?;
        let free = match former.phase() {
            Phase::Free => true,
            Phase::Retired => false,
            _ => take_dead && matches!(self.standing_of(place, former, &record), Standing::Gone),
        };
        if !free {
            return Ok(None);
        }
        let word = self.view.atomic_u64(place_at(place))?;
        if former.generation() >= LAST_GENERATION {
            let retired = Claim::new(0, former.generation(), false, Phase::Retired);
            // Whoever was faster has done the same.
            let _ = word.compare_exchange(former.0, retired.0, SeqCst, SeqCst)?;
            return Ok(None);
        }
        let claimed = claimer.claim(place);
        let may = match claimed {
            Claimed::Held | Claimed::Impossible => true,
            Claimed::Obstructed | Claimed::Taken => without_kernel,
        };
        if !may {
            return Ok(None);
        }
        step("join: place held by the kernel, not claimed yet");
        let generation = former.generation() + 1;
        let claim = Claim::new(std::process::id(), generation, claimed == Claimed::Held, Phase::Joining);
        if word.compare_exchange(former.0, claim.0, SeqCst, SeqCst)?.is_err() {
            claimer.release(place);
            return Ok(None);
        }
        step("join: joining");
        let used = self.view.atomic_u32(index(PLACES_USED_AT))?;
        used.fetch_max(place + 1, SeqCst)?;
        Ok(Some((place, claim)))
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // A forked child has a copy of this, but is not who it is about.
        if self.forks != liveness::fork_epoch() {
            return;
        }
        if let Ok(word) = self.view.atomic_u64(place_at(self.place())) {
            let left = Claim::new(0, generation_of(self.token), false, Phase::Free);
            // If it is another one, a peer has overwritten it: then it is not ours to change.
            let _ = word.compare_exchange(self.claim.0, left.0, SeqCst, SeqCst);
        }
        step("leave: free, and the kernel not told yet");
        self.hold = None;
    }
}
