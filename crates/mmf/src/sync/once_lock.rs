//! A value that is initialised once. The states of its word are at the top of `raw/once_lock.rs`.

use core::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use super::WaitError;
use super::error::acquire_error;
use super::mutex::shape;
use super::owner::Owner;
use crate::error::{Error, Operation};
use crate::raw::mutex::{DONE, OWNER};
use crate::raw::{AcquireError, once_lock};
use crate::segment::core::{Core, index};
use crate::segment::label::Label;
use crate::segment::layout::VALUE;
use crate::segment::steps::step;
use crate::segment::types::{ObjectKind, SharedType};
use crate::segment::world::{LockContext, WaitWord};

/// A `T` that one process initialises and all processes read.
/// [`Segment::once_lock`](crate::Segment::once_lock) creates or opens it.
///
/// If the process that initialises it dies, or its closure panics or fails, the next one initialises it.
///
/// ```
/// let segment = mmf::Segment::create("doc-once-lock", 64 * 1024)?;
/// let epoch = segment.once_lock::<u64>("epoch")?;
/// assert_eq!(epoch.get()?, None);
/// assert_eq!(epoch.get_or_init(|| 1234)?, 1234);
/// assert_eq!(epoch.get_or_init(|| 5678)?, 1234);
/// # Ok::<(), mmf::Error>(())
/// ```
#[derive(Debug)]
pub struct OnceLock<T: SharedType> {
    core: Arc<Core>,
    lock: WaitWord,
    at: u64,
    label: Label,
    value: PhantomData<fn() -> T>,
}

impl<T: SharedType> OnceLock<T> {
    pub(crate) fn create_or_open(core: &Arc<Core>, name: &str) -> Result<Self, Error> {
        let at = core.find_or_create(name, &shape::<T>(ObjectKind::OnceLock))?;
        let lock = WaitWord::with_head(core, at)?;
        let label = Label::new(ObjectKind::OnceLock, name);
        Ok(OnceLock { core: Arc::clone(core), lock, at, label, value: PhantomData })
    }

    /// Returns the value, or `None` if it is not initialised yet. Does not block.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`](crate::ErrorKind::Fault).
    #[inline]
    pub fn get(&self) -> Result<Option<T>, Error> {
        if !once_lock::is_done(&LockContext::new(&self.core), &self.lock)? {
            return Ok(None);
        }
        self.core.view.read(index(self.at + VALUE)).map(Some)
    }

    /// Returns the value, and initialises it with `init` if no process has. Blocks while another thread or
    /// process initialises it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`](crate::ErrorKind::Fault).
    pub fn get_or_init(&self, init: impl FnOnce() -> T) -> Result<T, Error> {
        self.get_or_try_init(|| Ok(init()))
    }

    /// Returns the value like [`get_or_init`](OnceLock::get_or_init). Blocks for at most `timeout`, not
    /// counting `init`.
    ///
    /// # Errors
    ///
    /// [`WaitError::TimedOut`]; those of [`get_or_init`](OnceLock::get_or_init), in [`WaitError::Failed`].
    pub fn get_or_init_timeout(&self, timeout: Duration, init: impl FnOnce() -> T) -> Result<T, WaitError> {
        self.get_or_init_until(Instant::now().checked_add(timeout), || Ok(init()), |error| error)
    }

    /// Returns the value like [`get_or_init`](OnceLock::get_or_init). Blocks until `deadline` at the latest,
    /// not counting `init`.
    ///
    /// # Errors
    ///
    /// [`WaitError::TimedOut`]; those of [`get_or_init`](OnceLock::get_or_init), in [`WaitError::Failed`].
    pub fn get_or_init_deadline(&self, deadline: Instant, init: impl FnOnce() -> T) -> Result<T, WaitError> {
        self.get_or_init_until(Some(deadline), || Ok(init()), |error| error)
    }

    /// Returns the value, and initialises it with `init` if no process has. Blocks while another thread or
    /// process initialises it. If `init` fails, the value stays uninitialised, and the next caller
    /// initialises it.
    ///
    /// # Errors
    ///
    /// That of `init`; [`ErrorKind::Fault`](crate::ErrorKind::Fault).
    pub fn get_or_try_init<E: From<Error>>(&self, init: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.get_or_init_until(None, init, |error| Error::from(error).into())
    }

    /// Returns the value like [`get_or_try_init`](OnceLock::get_or_try_init). Blocks for at most `timeout`,
    /// not counting `init`.
    ///
    /// # Errors
    ///
    /// That of `init`; those of [`get_or_init_timeout`](OnceLock::get_or_init_timeout).
    pub fn get_or_try_init_timeout<E: From<WaitError>>(
        &self,
        timeout: Duration,
        init: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        self.get_or_init_until(Instant::now().checked_add(timeout), init, E::from)
    }

    /// Returns the value like [`get_or_try_init`](OnceLock::get_or_try_init). Blocks until `deadline` at the
    /// latest, not counting `init`.
    ///
    /// # Errors
    ///
    /// That of `init`; those of [`get_or_init_deadline`](OnceLock::get_or_init_deadline).
    pub fn get_or_try_init_deadline<E: From<WaitError>>(
        &self,
        deadline: Instant,
        init: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        self.get_or_init_until(Some(deadline), init, E::from)
    }

    fn get_or_init_until<E>(
        &self,
        deadline: Option<Instant>,
        init: impl FnOnce() -> Result<T, E>,
        convert: impl Fn(WaitError) -> E,
    ) -> Result<T, E> {
        let failed = |error| convert(WaitError::Failed(error));
        if let Some(value) = self.get().map_err(failed)? {
            return Ok(value);
        }
        let context = LockContext::until(&self.core, Operation::Acquire, deadline);
        let owner = Owner::new(&self.core).map_err(failed)?;
        match once_lock::begin(&context, &self.lock, owner.id()) {
            Ok(true) => {}
            Ok(false) => return self.core.view.read(index(self.at + VALUE)).map_err(failed),
            Err(error) => return Err(convert(self.error(error))),
        }
        let release = ReleaseOnDrop { once: self, owner };
        step("once: initialising");
        let value = init()?;
        // `init` may have forked, and this may be the child. Then the parent initialises the value.
        let me = owner.check(&self.core).map_err(failed)?;
        self.core.view.write(&value, index(self.at + VALUE)).map_err(failed)?;
        step("once: written, and not done yet");
        std::mem::forget(release);
        once_lock::finish(&context, &self.lock, me).map_err(failed)?;
        Ok(value)
    }

    fn error(&self, error: AcquireError<Error>) -> WaitError {
        let timed_out = matches!(error, AcquireError::TimedOut);
        let owner = self.lock.word.get().load(SeqCst).unwrap_or(0) & OWNER;
        let holder = if owner == DONE { 0 } else { owner };
        let error = acquire_error(&self.core, &self.label, Operation::Acquire, error, holder);
        if timed_out { WaitError::TimedOut(error) } else { WaitError::Failed(error) }
    }
}

/// Releases the lock if the closure panics or fails, so that the next caller initialises the value.
struct ReleaseOnDrop<'o, T: SharedType> {
    once: &'o OnceLock<T>,
    owner: Owner,
}

impl<T: SharedType> Drop for ReleaseOnDrop<'_, T> {
    fn drop(&mut self) {
        let Some(me) = self.owner.here(&self.once.core) else { return };
        let _ = once_lock::cancel(&LockContext::new(&self.once.core), &self.once.lock, me);
    }
}
