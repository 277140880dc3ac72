//! A value that is initialised once. The state table is at the top of `raw/once_lock.rs`.

use core::marker::PhantomData;
use std::sync::Arc;

use super::error::refused;
use super::mutex::shape;
use super::owner::Owner;
use crate::error::{Error, Operation};
use crate::raw::{AcquireError, once_lock};
use crate::segment::core::{Core, index};
use crate::segment::label::Label;
use crate::segment::layout::VALUE;
use crate::segment::steps::step;
use crate::segment::types::{ObjectKind, SharedType};
use crate::segment::world::{LockContext, WaitWord};

/// A `T` that one process initialises and all find: by [`Segment::once`](crate::Segment::once).
///
/// If the process that is initialising it dies, or its closure panics or fails, the next one initialises it.
///
/// ```
/// let segment = mmf::Segment::create("doc-once", 64 * 1024)?;
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
    pub(crate) fn make(core: &Arc<Core>, name: &str) -> Result<Self, Error> {
        let at = core.find_or_make(name, &shape::<T>(ObjectKind::OnceLock))?;
        let lock = WaitWord::with_head(core, at)?;
        let label = Label::new(ObjectKind::OnceLock, name);
        Ok(OnceLock { core: Arc::clone(core), lock, at, label, value: PhantomData })
    }

    /// The value, if it is initialised.
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

    /// The value; initialises it if nobody has. Who comes meanwhile waits.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`](crate::ErrorKind::Fault).
    pub fn get_or_init(&self, init: impl FnOnce() -> T) -> Result<T, Error> {
        self.get_or_try_init(|| Ok(init()))
    }

    /// The same with an initialisation that can fail: then nothing is initialised, and the next one tries.
    ///
    /// # Errors
    ///
    /// That of `init`; [`ErrorKind::Fault`](crate::ErrorKind::Fault).
    pub fn get_or_try_init<E: From<Error>>(&self, init: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        if let Some(value) = self.get()? {
            return Ok(value);
        }
        let context = LockContext::new(&self.core);
        let owner = Owner::new(&self.core)?;
        match once_lock::begin(&context, &self.lock, owner.token()) {
            Ok(true) => {}
            Ok(false) => return Ok(self.core.view.read(index(self.at + VALUE))?),
            Err(AcquireError::Fault(error)) => return Err(error.into()),
            Err(other) => {
                return Err(refused(&self.core, &self.label, Operation::Acquire, &other, 0).into());
            }
        }
        let unlock = Unlock { once: self, owner };
        step("once: initialising");
        let value = init()?;
        // (It may have forked, and this may be the child: then the parent initialises it.)
        let me = owner.check(&self.core)?;
        self.core.view.write(&value, index(self.at + VALUE))?;
        step("once: written, and not done yet");
        std::mem::forget(unlock);
        once_lock::finish(&context, &self.lock, me)?;
        Ok(value)
    }
}

/// Lets the next one try, if initialising panics or fails.
struct Unlock<'o, T: SharedType> {
    once: &'o OnceLock<T>,
    owner: Owner,
}

impl<T: SharedType> Drop for Unlock<'_, T> {
    fn drop(&mut self) {
        let Some(me) = self.owner.here(&self.once.core) else { return };
        let _ = once_lock::cancel(&LockContext::new(&self.once.core), &self.once.lock, me);
    }
}
