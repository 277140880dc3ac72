//! Event counts. Their states are at the top of `raw/event_count.rs`.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use super::WaitError;
use super::mutex::shape;
use crate::error::{Error, Operation};
use crate::raw::event_count;
use crate::segment::core::Core;
use crate::segment::label::Label;
use crate::segment::types::ObjectKind;
use crate::segment::world::{LockContext, WaitWord};

/// A counter of notifications that processes wait on. [`Segment::event_count`](crate::Segment::event_count)
/// creates or opens it.
///
/// Every waiter receives every notification, and none between examining the data and blocking is missed: read
/// the count, examine the data, and wait until the count has changed.
///
/// ```
/// let segment = mmf::Segment::create("doc-event-count", 64 * 1024)?;
/// let changed = segment.event_count("changed")?;
/// let seen = changed.count()?;
/// // … examine the data; meanwhile, in another process:
/// changed.notify()?;
/// // … and block until there are more notifications than were seen.
/// assert_eq!(changed.wait_past(seen)?, seen + 1);
/// # Ok::<(), mmf::Error>(())
/// ```
#[derive(Debug)]
pub struct EventCount {
    core: Arc<Core>,
    word: WaitWord,
    label: Label,
}

impl EventCount {
    pub(crate) fn create_or_open(core: &Arc<Core>, name: &str) -> Result<Self, Error> {
        let at = core.find_or_create(name, &shape::<()>(ObjectKind::EventCount))?;
        let (word, label) = (WaitWord::bare(core, at)?, Label::new(ObjectKind::EventCount, name));
        Ok(EventCount { core: Arc::clone(core), word, label })
    }

    /// Returns the number of notifications so far. It wraps around after 2³² of them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`](crate::ErrorKind::Fault).
    pub fn count(&self) -> Result<u32, Error> {
        self.word.word.get().load(SeqCst)
    }

    /// Counts one more notification and wakes all waiters.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`](crate::ErrorKind::Fault).
    pub fn notify(&self) -> Result<(), Error> {
        event_count::notify(&LockContext::new(&self.core), &self.word)
    }

    /// Blocks while the count is `seen`, and returns the new count.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`](crate::ErrorKind::Fault).
    pub fn wait_past(&self, seen: u32) -> Result<u32, Error> {
        Ok(self.wait_until(seen, None)?)
    }

    /// Blocks while the count is `seen`, for at most `timeout`, and returns the new count.
    ///
    /// # Errors
    ///
    /// [`WaitError::TimedOut`]; those of [`wait_past`](EventCount::wait_past), in [`WaitError::Failed`].
    pub fn wait_past_timeout(&self, seen: u32, timeout: Duration) -> Result<u32, WaitError> {
        self.wait_until(seen, Instant::now().checked_add(timeout))
    }

    /// Blocks while the count is `seen`, until `deadline` at the latest, and returns the new count.
    ///
    /// # Errors
    ///
    /// [`WaitError::TimedOut`]; those of [`wait_past`](EventCount::wait_past), in [`WaitError::Failed`].
    pub fn wait_past_deadline(&self, seen: u32, deadline: Instant) -> Result<u32, WaitError> {
        self.wait_until(seen, Some(deadline))
    }

    fn wait_until(&self, seen: u32, deadline: Option<Instant>) -> Result<u32, WaitError> {
        let context = LockContext::until(&self.core, Operation::Wait, deadline);
        event_count::wait_past(&context, &self.word, seen)
            .map_err(|error| WaitError::new(&self.core, &self.label, error))
    }
}
