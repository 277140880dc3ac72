//! Notifications. The state table is at the top of `raw/event_count.rs`.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Instant;

use super::error::refused;
use super::mutex::shape;
use crate::error::{Error, Operation};
use crate::raw::{AcquireError, event_count};
use crate::segment::core::Core;
use crate::segment::label::Label;
use crate::segment::types::ObjectKind;
use crate::segment::world::{LockContext, WaitWord};

/// A count of notifications: by [`Segment::notify`](crate::Segment::notify). For "sleep until another process did something", where
/// everybody who waits is to know, and nothing that happens between a look and the sleep may be missed.
///
/// ```
/// let segment = mmf::Segment::create("doc-notify", 64 * 1024)?;
/// let changed = segment.event_count("changed")?;
/// let seen = changed.count()?;
/// // … look at what may have changed; meanwhile, in another process:
/// changed.notify()?;
/// // … and now sleep until there is more than what was seen.
/// assert_eq!(changed.wait_past(seen, None)?, Some(seen + 1));
/// # Ok::<(), mmf::Error>(())
/// ```
#[derive(Debug)]
pub struct EventCount {
    core: Arc<Core>,
    word: WaitWord,
    label: Label,
}

impl EventCount {
    pub(crate) fn make(core: &Arc<Core>, name: &str) -> Result<Self, Error> {
        let at = core.find_or_make(name, &shape::<()>(ObjectKind::EventCount))?;
        let (word, label) = (WaitWord::bare(core, at)?, Label::new(ObjectKind::EventCount, name));
        Ok(EventCount { core: Arc::clone(core), word, label })
    }

    /// How many notifications there were so far (it starts again after four billions).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`](crate::ErrorKind::Fault).
    pub fn count(&self) -> Result<u32, Error> {
        self.word.word.get().load(SeqCst)
    }

    /// Counts one more, and wakes all who wait.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`](crate::ErrorKind::Fault).
    pub fn notify(&self) -> Result<(), Error> {
        event_count::notify(&LockContext::new(&self.core), &self.word)
    }

    /// Sleeps until there are others than `seen`; gives how many there are. `None` if the deadline passes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`](crate::ErrorKind::Fault).
    pub fn wait_past(&self, seen: u32, deadline: Option<Instant>) -> Result<Option<u32>, Error> {
        let context = LockContext::until(&self.core, Operation::Wait, deadline);
        match event_count::wait_past(&context, &self.word, seen) {
            Ok(now) => Ok(Some(now)),
            Err(AcquireError::TimedOut) => Ok(None),
            Err(AcquireError::Fault(error)) => Err(error),
            Err(other) => Err(refused(&self.core, &self.label, Operation::Wait, &other, 0)),
        }
    }
}
