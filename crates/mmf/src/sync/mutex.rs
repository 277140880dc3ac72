//! A mutex around a value. The state table is at the top of `raw/mutex.rs`.
#![allow(unsafe_code, reason = "the door to `&mut T`, whose promise is the user's")]

use core::fmt;
use core::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use super::error::{LockError, lock_error, owner_died};
use super::owner::Owner;
use super::value;
use crate::error::{Error, Operation};
use crate::raw::mutex::{DONE, OWNER};
use crate::raw::{self, Acquired, BlockingMode};
use crate::segment::core::{Core, index};
use crate::segment::directory::Shape;
use crate::segment::label::Label;
use crate::segment::layout::{END_PANICKED, VALUE};
use crate::segment::owners::record_damage;
use crate::segment::types::{ObjectKind, SharedType};
use crate::segment::world::{LockContext, WaitWord};

/// A mutex around a `T` in a segment: by [`Segment::mutex`](crate::Segment::mutex).
///
/// One atomic instruction locks it and one unlocks it, if nobody else wants it. Nobody starves: who has span for a microsecond in vain
/// asks for its turn, and newcomers let it pass. If its owner dies, the next one gets [`LockError::OwnerDied`] *with* the guard.
///
/// ```
/// use mmf::sync::LockError;
///
/// let segment = mmf::Segment::create("doc-mutex", 64 * 1024)?;
/// let account = segment.mutex::<[i64; 2]>("account")?;
/// let mut guard = match account.lock() {
///     Ok(guard) => guard,
///     Err(LockError::OwnerDied(owner)) => {
///         // It may have taken here and not yet given there.
///         let mut guard = owner.into_guard();
///         let [_, there] = guard.get()?;
///         guard.set(&[-there, there])?;
///         guard.declare_consistent()?;
///         guard
///     }
///     Err(error) => return Err(error.into()),
/// };
/// let [here, there] = guard.get()?;
/// guard.set(&[here - 5, there + 5])?;
/// # Ok::<(), mmf::Error>(())
/// ```
#[derive(Debug)]
pub struct Mutex<T: SharedType> {
    core: Arc<Core>,
    lock: WaitWord,
    at: u64,
    label: Label,
    value: PhantomData<fn() -> T>,
}

/// The right to the value of a [`Mutex`], until it is dropped.
#[must_use = "it unlocks when it is dropped"]
pub struct MutexGuard<'m, T: SharedType> {
    mutex: &'m Mutex<T>,
    owner: Owner,
    /// Whether this thread was panicking when it locked.
    panicking: bool,
}

impl<T: SharedType> Mutex<T> {
    pub(crate) fn make(core: &Arc<Core>, name: &str) -> Result<Self, Error> {
        let at = core.find_or_make(name, &shape::<T>(ObjectKind::Mutex))?;
        let lock = WaitWord::with_head(core, at)?;
        let label = Label::new(ObjectKind::Mutex, name);
        Ok(Mutex { core: Arc::clone(core), lock, at, label, value: PhantomData })
    }

    /// Locks it; waits as long as it takes.
    ///
    /// # Errors
    ///
    /// - [`LockError::OwnerDied`]: you have it, but look at the data first.
    /// - [`LockError::NotRecoverable`]: somebody gave it up for good.
    /// - [`LockError::Failed`]: the memory is gone; or this process was forked from the one that opened the segment.
    #[inline]
    pub fn lock(&self) -> Result<MutexGuard<'_, T>, LockError<MutexGuard<'_, T>>> {
        self.acquire(None, BlockingMode::Block)
    }

    /// Locks it, if nobody has it.
    ///
    /// # Errors
    ///
    /// As [`lock`](Mutex::lock), and [`LockError::WouldBlock`], which says who has it.
    #[inline]
    pub fn try_lock(&self) -> Result<MutexGuard<'_, T>, LockError<MutexGuard<'_, T>>> {
        self.acquire(None, BlockingMode::Try)
    }

    /// Locks it; waits no longer than this.
    ///
    /// # Errors
    ///
    /// As [`lock`](Mutex::lock), and [`LockError::TimedOut`].
    pub fn lock_timeout(&self, time: Duration) -> Result<MutexGuard<'_, T>, LockError<MutexGuard<'_, T>>> {
        self.acquire(Instant::now().checked_add(time), BlockingMode::Block)
    }

    /// Locks it; waits no longer than until then.
    ///
    /// # Errors
    ///
    /// As [`lock`](Mutex::lock), and [`LockError::TimedOut`].
    pub fn lock_deadline(
        &self,
        deadline: Instant,
    ) -> Result<MutexGuard<'_, T>, LockError<MutexGuard<'_, T>>> {
        self.acquire(Some(deadline), BlockingMode::Block)
    }

    /// Tries the fast path, without setting anything up for the slow one.
    #[allow(
        clippy::inline_always,
        reason = "a locked instruction waits for all stores before it, so the guard is to stay in registers"
    )]
    #[inline(always)]
    fn acquire(
        &self,
        deadline: Option<Instant>,
        patience: BlockingMode,
    ) -> Result<MutexGuard<'_, T>, LockError<MutexGuard<'_, T>>> {
        let owner = Owner::new(&self.core).map_err(LockError::Failed)?;
        if raw::mutex::lock_fast(&self.lock, owner.token()) {
            return Ok(self.guard(owner));
        }
        self.acquire_slow(owner, deadline, patience)
    }

    #[cold]
    #[inline(never)]
    fn acquire_slow(
        &self,
        owner: Owner,
        deadline: Option<Instant>,
        patience: BlockingMode,
    ) -> Result<MutexGuard<'_, T>, LockError<MutexGuard<'_, T>>> {
        let context = LockContext::until(&self.core, Operation::Acquire, deadline);
        match raw::mutex::lock_slow(&context, &self.lock, owner.token(), 0, patience) {
            Ok(Acquired::Clean) => Ok(self.guard(owner)),
            Ok(got) => Err(owner_died(&self.core, &self.label, self.at, self.guard(owner), got)),
            Err(why) => Err(lock_error(&self.core, &self.label, why, self.holder())),
        }
    }

    /// The token of who holds it; 0 if nobody does.
    fn holder(&self) -> u32 {
        let word = self.lock.word.get().load(SeqCst).unwrap_or(0);
        if word & OWNER == DONE { 0 } else { word & OWNER }
    }

    #[allow(clippy::inline_always, reason = "as for `acquire`")]
    #[inline(always)]
    fn guard(&self, owner: Owner) -> MutexGuard<'_, T> {
        MutexGuard { mutex: self, owner, panicking: std::thread::panicking() }
    }
}

pub(super) fn shape<T: SharedType>(kind: ObjectKind) -> Shape {
    const { assert!(align_of::<T>() <= 64, "objects in a segment are aligned to 64 bytes at most") };
    let described = T::description();
    let value_offset = u32::try_from(VALUE).unwrap_or(0);
    Shape { kind, object_len: VALUE + described.size, value_offset, described, count: 0 }
}

impl<T: SharedType> MutexGuard<'_, T> {
    /// Where the value is, if this is still the process that has the lock.
    #[inline]
    fn value_at(&self) -> Result<u64, Error> {
        self.owner.check(&self.mutex.core)?;
        Ok(self.mutex.at + VALUE)
    }

    /// Copies the value out.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`](crate::ErrorKind::Fault).
    #[inline]
    pub fn get(&self) -> Result<T, Error> {
        self.mutex.core.view.read(index(self.value_at()?))
    }

    /// Copies a value in.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`](crate::ErrorKind::Fault).
    #[inline]
    pub fn set(&mut self, value: &T) -> Result<(), Error> {
        self.mutex.core.view.write(value, index(self.value_at()?))
    }

    /// Copies the value out, lets it be changed, and copies it in.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`](crate::ErrorKind::Fault).
    pub fn update<R>(&mut self, change: impl FnOnce(&mut T) -> R) -> Result<R, Error> {
        let mut value = self.get()?;
        let result = change(&mut value);
        self.set(&value)?;
        Ok(result)
    }

    /// Copies bytes of the value out, from `offset` in it on.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OutOfBounds`](crate::ErrorKind::OutOfBounds), [`ErrorKind::Fault`](crate::ErrorKind::Fault).
    pub fn read_exact_at(&self, bytes: &mut [u8], offset: usize) -> Result<(), Error> {
        self.mutex.core.view.subview(index(self.value_at()?), size_of::<T>())?.read_exact_at(bytes, offset)
    }

    /// Copies bytes into the value, from `offset` in it on.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OutOfBounds`](crate::ErrorKind::OutOfBounds), [`ErrorKind::Fault`](crate::ErrorKind::Fault).
    pub fn write_all_at(&mut self, bytes: &[u8], offset: usize) -> Result<(), Error> {
        self.mutex.core.view.subview(index(self.value_at()?), size_of::<T>())?.write_all_at(bytes, offset)
    }

    /// The value where it lies.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OutOfBounds`](crate::ErrorKind::OutOfBounds), if the segment were no longer what it was.
    ///
    /// # Safety
    ///
    /// For as long as the reference is used, you promise for all processes:
    ///
    /// - All peers touch the value only while they have this lock; none of them is hostile.
    /// - Nobody takes the pages away (Unix: makes the memory shorter). Touching such a page ends the process.
    pub unsafe fn value_mut_unchecked(&mut self) -> Result<&mut T, Error> {
        // SAFETY: the lock is ours, and all others keep to it: the caller's promise. The reference borrows the guard.
        unsafe { value::as_mut(&self.mutex.core.view, self.value_at()?) }
    }

    /// The value where it lies, to read.
    ///
    /// # Errors
    ///
    /// As [`as_mut`](MutexGuard::as_mut).
    ///
    /// # Safety
    ///
    /// As [`as_mut`](MutexGuard::as_mut).
    pub unsafe fn value_ref_unchecked(&self) -> Result<&T, Error> {
        // SAFETY: as in `as_mut`; and who writes through this guard borrows it mutably.
        unsafe { value::as_ref(&self.mutex.core.view, self.value_at()?) }
    }

    /// Says that the data are as they should be, after an owner had died.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`](crate::ErrorKind::Fault).
    pub fn declare_consistent(&mut self) -> Result<(), Error> {
        let me = self.owner.check(&self.mutex.core)?;
        raw::mutex::mark_consistent(&self.context(), &self.mutex.lock, me).map(drop)
    }

    /// Gives the lock up for good, because the data cannot be mended: everybody gets [`LockError::NotRecoverable`] from now on, those who
    /// wait at once.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`](crate::ErrorKind::Fault).
    pub fn give_up(self) -> Result<(), Error> {
        let me = self.owner.check(&self.mutex.core)?;
        raw::mutex::finish(&self.context(), &self.mutex.lock, me).map(drop)
    }

    #[inline]
    fn context(&self) -> LockContext<'_> {
        LockContext::new(&self.mutex.core)
    }

    /// `damaged`: half of a change may have been made.
    #[cold]
    #[inline(never)]
    fn unlock_slow(&self, me: u32, damaged: bool) {
        if damaged {
            let _ = raw::mutex::mark_damaged(&self.context(), &self.mutex.lock, me);
            let _ = record_damage(&self.mutex.core, self.mutex.at, me, END_PANICKED);
        }
        // If the memory is gone there is nothing to unlock; if a peer has overwritten the word, it is not ours any more.
        let _ = raw::mutex::unlock_slow(&self.context(), &self.mutex.lock, me, false);
    }
}

impl<T: SharedType> Drop for MutexGuard<'_, T> {
    #[allow(clippy::inline_always, reason = "as for `acquire`")]
    #[inline(always)]
    fn drop(&mut self) {
        let Some(me) = self.owner.here(&self.mutex.core) else { return };
        let damaged = !self.panicking && std::thread::panicking();
        if damaged || !raw::mutex::unlock_fast(&self.mutex.lock, me) {
            self.unlock_slow(me, damaged);
        }
    }
}

impl<T: SharedType> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MutexGuard").finish_non_exhaustive()
    }
}
