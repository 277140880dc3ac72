//! Events. The state table is at the top of `raw/event.rs`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::error::refused;
use super::mutex::shape;
use crate::error::{Error, ErrorKind, Operation};
use crate::raw::{AcquireError, BlockingMode, Context, event, waiters};
use crate::segment::core::Core;
use crate::segment::label::Label;
use crate::segment::types::ObjectKind;
use crate::segment::world::{LockContext, WaitWord, until_recheck};
use crate::sys::Woken;
use crate::sys::wait::{MAX_WORDS, wait_any};

/// Something that happens, and that others sleep until: by [`Segment::event`](crate::Segment::event), which resets itself when one
/// who waits has got it, or by [`Segment::manual_reset_event`](crate::Segment::manual_reset_event), which stays set until it is reset.
///
/// ```
/// use std::time::Duration;
///
/// let segment = mmf::Segment::create("doc-event", 64 * 1024)?;
/// let go = segment.auto_reset_event("go")?;
/// go.set()?; // in one process
/// assert!(go.wait_timeout(Duration::from_secs(5))?); // in another one
/// assert!(!go.wait_timeout(Duration::ZERO)?); // it has reset itself
/// # Ok::<(), mmf::Error>(())
/// ```
#[derive(Debug)]
pub struct Event {
    core: Arc<Core>,
    word: WaitWord,
    label: Label,
    auto: bool,
}

impl Event {
    pub(crate) fn make(core: &Arc<Core>, name: &str, auto: bool) -> Result<Self, Error> {
        let kind = if auto { ObjectKind::AutoResetEvent } else { ObjectKind::ManualResetEvent };
        let at = core.find_or_make(name, &shape::<()>(kind))?;
        let (word, label) = (WaitWord::new(core, at)?, Label::new(kind, name));
        Ok(Event { core: Arc::clone(core), word, label, auto })
    }

    /// Sets it, and wakes: one who waits, or all of them if it is a manual one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`].
    pub fn set(&self) -> Result<(), Error> {
        event::set(&LockContext::new(&self.core), &self.word, !self.auto)
    }

    /// Resets it; says whether it was set.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`].
    pub fn reset(&self) -> Result<bool, Error> {
        event::reset(&LockContext::new(&self.core), &self.word)
    }

    /// Whether it is set.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`].
    pub fn is_set(&self) -> Result<bool, Error> {
        event::take(&LockContext::new(&self.core), &self.word, false)
    }

    /// Sleeps until it is set.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`].
    pub fn wait(&self) -> Result<(), Error> {
        self.wait_for(None).map(drop)
    }

    /// Sleeps until it is set, no longer than this; says whether it was.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`].
    pub fn wait_timeout(&self, time: Duration) -> Result<bool, Error> {
        self.wait_for(Instant::now().checked_add(time))
    }

    /// Sleeps until it is set, no longer than until then; says whether it was.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`].
    pub fn wait_deadline(&self, deadline: Instant) -> Result<bool, Error> {
        self.wait_for(Some(deadline))
    }

    fn wait_for(&self, deadline: Option<Instant>) -> Result<bool, Error> {
        let context = LockContext::until(&self.core, Operation::Wait, deadline);
        match event::wait(&context, &self.word, self.auto, BlockingMode::Block) {
            Ok(()) => Ok(true),
            Err(AcquireError::TimedOut) => Ok(false),
            Err(AcquireError::Fault(error)) => Err(error),
            Err(other) => Err(refused(&self.core, &self.label, Operation::Wait, &other, 0)),
        }
    }

    /// Sleeps until one of several is set, of the same segment or of different ones; says which: the first of them in this order.
    /// `None` if the deadline passes. Only the one that is told is reset.
    ///
    /// ```
    /// use mmf::sync::Event;
    ///
    /// let segment = mmf::Segment::create("doc-event-any", 64 * 1024)?;
    /// let (data, stop) = (segment.auto_reset_event("data")?, segment.manual_reset_event("stop")?);
    /// stop.set()?;
    /// assert_eq!(Event::wait_any(&[&data, &stop], None)?, Some(1));
    /// # Ok::<(), mmf::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`]; [`ErrorKind::LimitReached`] for more than 64 of them (Linux: 128), or none.
    pub fn wait_any(events: &[&Event], deadline: Option<Instant>) -> Result<Option<usize>, Error> {
        if events.is_empty() || events.len() > MAX_WORDS {
            let sentence = format!(
                "cannot wait for {} events at once: wait_any takes 1 to {MAX_WORDS} of them here",
                events.len()
            );
            return Err(Error::new(Operation::Wait, ErrorKind::LimitReached).with_sentence(sentence));
        }
        let mut unwoken = false;
        loop {
            if let Some(which) = Event::take_any(events)? {
                if unwoken {
                    LockContext::new(&events[which].core).missed_wake(&events[which].word)?;
                }
                return Ok(Some(which));
            }
            let Some(longest) = until_recheck(deadline) else { return Ok(None) };
            let woken = waiters::counted(events.iter().map(|event| &event.word), || {
                // A process that sets one of them after this loop sees that this one waits.
                for event in events {
                    if event.is_set()? {
                        return Ok(Woken::Changed);
                    }
                }
                let words: Vec<_> =
                    events.iter().map(|event| (&event.word.waker, event.word.word.address(), 0)).collect();
                wait_any(&words, longest)
                    .map_err(|failure| events[0].core.memory.right().error(Operation::Wait, failure))
            })?;
            unwoken = woken == Woken::TimedOut;
        }
    }

    fn take_any(events: &[&Event]) -> Result<Option<usize>, Error> {
        for (which, event) in events.iter().enumerate() {
            if event::take(&LockContext::new(&event.core), &event.word, event.auto)? {
                return Ok(Some(which));
            }
        }
        Ok(None)
    }
}
