//! What all objects of a segment rest on: the view, who takes part, and who is alive.

use std::sync::Arc;
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
use crate::sys::presence::{self, Life, Presence, Watch};
use crate::sys::wait::Family;
use crate::view::View;

/// The bits of a token that say the place.
const PLACE_BITS: u32 = 9;

/// One `Segment`, shared by its clones and by all its objects.
#[derive(Debug)]
pub(crate) struct Core<A: Access = ReadWrite> {
    pub(crate) view: View<A>,
    pub(crate) memory: SharedMemory<A>,
    pub(crate) family: Family,
    pub(crate) presence: Arc<Presence>,
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
    presence: Arc<Presence>,
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
    Present(Option<Watch>),
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
        self.member.as_ref().filter(|member| member.forks == presence::forks()).map(|member| member.token)
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
        let started = match claim.phase() {
            Phase::Free | Phase::Retired => return Standing::Gone,
            Phase::Joining => 0,
            Phase::Present => record.started,
        };
        let namespace =
            if claim.phase() == Phase::Present { record.namespace } else { presence::this_namespace() };
        let own = self.member.as_ref().is_some_and(|member| member.place() == place);
        if claim.kernel() && !own && self.presence.is_claimed(place) == Some(false) {
            return Standing::Gone;
        }
        match presence::life(claim.process(), started, namespace) {
            Life::Ended => Standing::Gone,
            Life::Alive(watch) => Standing::Present(watch),
            Life::Unknown => Standing::Present(None),
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
            Some(member) if member.forks == presence::forks() => Ok(member.token),
            _ => Err(self.forked()),
        }
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
        presence::notice_forks();
        // Those that have left first, so that one who has died can still be asked about as long as possible. And once more, since who
        // looks at a place of the kernel's may be in the way for an instant.
        for take_dead in [false, true, true] {
            for place in 0..self.places {
                if self.try_join(place, take_dead)? {
                    return Ok(());
                }
            }
        }
        let detail = format!(
            "all {} places for participants are taken: end some, or make it with more (OpenOptions::participants)",
            self.places
        );
        Err(self.fail(operation, ErrorKind::Full).with_detail(detail))
    }

    fn try_join(&mut self, place: u32, take_dead: bool) -> Result<bool, Error> {
        let (former, record) = self.place(place)?;
        let free = match former.phase() {
            Phase::Free => true,
            Phase::Retired => false,
            _ => take_dead && matches!(self.standing_of(place, former, &record), Standing::Gone),
        };
        if !free {
            return Ok(false);
        }
        let word = self.view.atomic_u64(place_at(place))?;
        if former.generation() >= LAST_GENERATION {
            let retired = Claim::new(0, former.generation(), false, Phase::Retired);
            // Whoever was faster has done the same.
            let _ = word.compare_exchange(former.0, retired.0, SeqCst, SeqCst)?;
            return Ok(false);
        }
        let kernel = self.presence.claim(place);
        if kernel == Some(false) {
            return Ok(false);
        }
        step("join: place held by the kernel, not claimed yet");
        let generation = former.generation() + 1;
        let claim = Claim::new(std::process::id(), generation, kernel == Some(true), Phase::Joining);
        if word.compare_exchange(former.0, claim.0, SeqCst, SeqCst)?.is_err() {
            self.presence.release(place);
            return Ok(false);
        }
        step("join: joining");
        let used = self.view.atomic_u32(index(PLACES_USED_AT))?;
        used.fetch_max(place + 1, SeqCst)?;
        let record = [presence::started(), now(), presence::this_namespace()];
        self.view.write(place_at(place) + 8, &record)?;
        word.store(claim.with_phase(Phase::Present).0, SeqCst)?;
        step("join: present");
        let token = (generation << PLACE_BITS) | place;
        self.member = Some(Member {
            token,
            claim: claim.with_phase(Phase::Present),
            forks: presence::forks(),
            view: self.view.clone(),
            presence: Arc::clone(&self.presence),
        });
        Ok(true)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // A forked child has a copy of this, but is not who it is about.
        if self.forks != presence::forks() {
            return;
        }
        if let Ok(word) = self.view.atomic_u64(place_at(self.place())) {
            let left = Claim::new(0, generation_of(self.token), false, Phase::Free);
            // If it is another one, a peer has overwritten it: then it is not ours to change.
            let _ = word.compare_exchange(self.claim.0, left.0, SeqCst, SeqCst);
        }
        step("leave: free, and the kernel not told yet");
        self.presence.release(self.place());
    }
}
