//! Events. Their states are at the top of `raw/event.rs`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::WaitError;
use super::mutex::shape;
use crate::error::{Error, ErrorKind, Operation};
use crate::raw::{BlockingMode, Context, event, waiters};
use crate::segment::core::Core;
use crate::segment::label::Label;
use crate::segment::types::ObjectKind;
use crate::segment::world::{LockContext, WaitWord, until_recheck};
use crate::sys::Woken;
use crate::sys::wait::{MAX_WORDS, wait_any};

/// An event that processes set and wait for.
///
/// [`Segment::auto_reset_event`](crate::Segment::auto_reset_event) creates or opens one that releases a
/// single waiter and resets itself, [`Segment::manual_reset_event`](crate::Segment::manual_reset_event) one
/// that releases all waiters and stays set until it is reset.
///
/// ```
/// use std::time::Duration;
///
/// use mmf::sync::WaitError;
///
/// let segment = mmf::Segment::create("doc-event", 64 * 1024)?;
/// let ready = segment.auto_reset_event("ready")?;
/// ready.set()?; // in one process
/// ready.wait_timeout(Duration::from_secs(5))?; // in another one
/// // It has reset itself.
/// assert!(matches!(ready.wait_timeout(Duration::ZERO), Err(WaitError::TimedOut(_))));
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
    pub(crate) fn create_or_open(core: &Arc<Core>, name: &str, auto: bool) -> Result<Self, Error> {
        let kind = if auto { ObjectKind::AutoResetEvent } else { ObjectKind::ManualResetEvent };
        let at = core.find_or_create(name, &shape::<()>(kind))?;
        let (word, label) = (WaitWord::new(core, at)?, Label::new(kind, name));
        Ok(Event { core: Arc::clone(core), word, label, auto })
    }

    /// Sets the event. Wakes one waiter, or all of them if the event is a manual-reset one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`].
    pub fn set(&self) -> Result<(), Error> {
        event::set(&LockContext::new(&self.core), &self.word, !self.auto)
    }

    /// Resets the event, and returns whether it was set.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`].
    pub fn reset(&self) -> Result<bool, Error> {
        event::reset(&LockContext::new(&self.core), &self.word)
    }

    /// Returns whether the event is set. Does not reset it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`].
    pub fn is_set(&self) -> Result<bool, Error> {
        event::take(&LockContext::new(&self.core), &self.word, false)
    }

    /// Blocks until the event is set.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`].
    pub fn wait(&self) -> Result<(), Error> {
        Ok(self.wait_until(None)?)
    }

    /// Blocks until the event is set, for at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`WaitError::TimedOut`]; those of [`wait`](Event::wait), in [`WaitError::Failed`].
    pub fn wait_timeout(&self, timeout: Duration) -> Result<(), WaitError> {
        self.wait_until(Instant::now().checked_add(timeout))
    }

    /// Blocks until the event is set or `deadline` has passed.
    ///
    /// # Errors
    ///
    /// [`WaitError::TimedOut`]; those of [`wait`](Event::wait), in [`WaitError::Failed`].
    pub fn wait_deadline(&self, deadline: Instant) -> Result<(), WaitError> {
        self.wait_until(Some(deadline))
    }

    fn wait_until(&self, deadline: Option<Instant>) -> Result<(), WaitError> {
        let context = LockContext::until(&self.core, Operation::Wait, deadline);
        event::wait(&context, &self.word, self.auto, BlockingMode::Block)
            .map_err(|error| WaitError::new(&self.core, &self.label, error))
    }

    /// Blocks until one of `events` is set, and returns the index of the first one that is. An auto-reset
    /// event is reset only if its index is returned.
    ///
    /// The events can be of different segments.
    ///
    /// ```
    /// use mmf::sync::Event;
    ///
    /// let segment = mmf::Segment::create("doc-event-any", 64 * 1024)?;
    /// let (data, stop) = (segment.auto_reset_event("data")?, segment.manual_reset_event("stop")?);
    /// stop.set()?;
    /// assert_eq!(Event::wait_any(&[&data, &stop])?, 1);
    /// # Ok::<(), mmf::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`]; [`ErrorKind::LimitReached`] if `events` is empty or contains more than 64 events
    /// (Unix: 128).
    pub fn wait_any(events: &[&Event]) -> Result<usize, Error> {
        Ok(Event::wait_any_until(events, None)?)
    }

    /// Blocks like [`wait_any`](Event::wait_any), for at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`WaitError::TimedOut`]; those of [`wait_any`](Event::wait_any), in [`WaitError::Failed`].
    pub fn wait_any_timeout(events: &[&Event], timeout: Duration) -> Result<usize, WaitError> {
        Event::wait_any_until(events, Instant::now().checked_add(timeout))
    }

    /// Blocks like [`wait_any`](Event::wait_any), until `deadline` at the latest.
    ///
    /// # Errors
    ///
    /// [`WaitError::TimedOut`]; those of [`wait_any`](Event::wait_any), in [`WaitError::Failed`].
    pub fn wait_any_deadline(events: &[&Event], deadline: Instant) -> Result<usize, WaitError> {
        Event::wait_any_until(events, Some(deadline))
    }

    fn wait_any_until(events: &[&Event], deadline: Option<Instant>) -> Result<usize, WaitError> {
        let new = |kind, sentence: String| Error::new(Operation::Wait, kind).with_sentence(sentence);
        if events.is_empty() || events.len() > MAX_WORDS {
            let sentence =
                format!("cannot wait for {} events: wait_any takes 1 to {MAX_WORDS} of them", events.len());
            return Err(WaitError::Failed(new(ErrorKind::LimitReached, sentence)));
        }
        Event::take_or_block(events, deadline).map_err(WaitError::Failed)?.ok_or_else(|| {
            let sentence = match events {
                [event] => format!("timed out waiting for {}", event.label.phrase(&event.core)),
                _ => format!("timed out waiting for one of {} events", events.len()),
            };
            WaitError::TimedOut(new(ErrorKind::TimedOut, sentence))
        })
    }

    /// Resets and returns the first event that is set, or blocks. Returns `None` if the deadline has passed.
    fn take_or_block(events: &[&Event], deadline: Option<Instant>) -> Result<Option<usize>, Error> {
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
                // A process that sets an event after this check sees that there is a waiter.
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
