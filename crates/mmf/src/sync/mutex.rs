//! A mutex around a value. The states of its lock word are at the top of `raw/mutex.rs`.
#![allow(unsafe_code, reason = "references into the segment, for which the user vouches")]

use core::fmt;
use core::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use super::error::{LockResult, lock_error, owner_died};
use super::owner::Owner;
use super::value::GuardedValue;
use crate::error::{Error, Operation};
use crate::raw::mutex::{DONE, OWNER};
use crate::raw::{self, Acquired, BlockingMode};
use crate::segment::core::Core;
use crate::segment::directory::Shape;
use crate::segment::label::Label;
use crate::segment::layout::VALUE;
use crate::segment::types::{ObjectKind, SharedType};
use crate::segment::world::{LockContext, WaitWord};

/// A mutex around a `T` in a segment. [`Segment::mutex`](crate::Segment::mutex) creates or opens it.
///
/// Without contention, acquiring and releasing take one atomic instruction each. The lock is starvation-free:
/// a waiter that has spun for about a microsecond sets the queue bit, and later arrivals yield to it. If the
/// owner dies, the next one receives the guard in [`LockError::OwnerDied`](super::LockError::OwnerDied).
///
/// ```
/// use mmf::sync::LockError;
///
/// let segment = mmf::Segment::create("doc-mutex", 64 * 1024)?;
/// let account = segment.mutex::<[i64; 2]>("account")?;
/// let mut guard = match account.lock() {
///     Ok(guard) => guard,
///     Err(LockError::OwnerDied(owner)) => {
///         // The previous owner may have debited one side and not yet credited the other.
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

/// Exclusive access to the value of a [`Mutex`]. Dropping it releases the lock.
#[must_use = "dropping the guard releases the lock at once"]
pub struct MutexGuard<'m, T: SharedType> {
    mutex: &'m Mutex<T>,
    owner: Owner,
    /// Whether the thread was panicking already when it acquired the lock.
    panicking: bool,
}

impl<T: SharedType> Mutex<T> {
    pub(crate) fn create_or_open(core: &Arc<Core>, name: &str) -> Result<Self, Error> {
        let at = core.find_or_create(name, &shape::<T>(ObjectKind::Mutex))?;
        let lock = WaitWord::with_head(core, at)?;
        let label = Label::new(ObjectKind::Mutex, name);
        Ok(Mutex { core: Arc::clone(core), lock, at, label, value: PhantomData })
    }

    /// Acquires the lock. Blocks until it is free.
    ///
    /// # Errors
    ///
    /// - [`LockError::OwnerDied`](super::LockError::OwnerDied): the lock is acquired, but the data may be
    ///   inconsistent.
    /// - [`LockError::NotRecoverable`](super::LockError::NotRecoverable): an owner gave the lock up.
    /// - [`LockError::Failed`](super::LockError::Failed): the region's pages are gone, or this process was
    ///   forked from the one that opened the segment.
    #[inline]
    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        self.acquire(None, BlockingMode::Block)
    }

    /// Acquires the lock if it is free. Does not block.
    ///
    /// # Errors
    ///
    /// Those of [`lock`](Mutex::lock), and [`LockError::WouldBlock`](super::LockError::WouldBlock), which
    /// names the process that holds the lock.
    #[inline]
    pub fn try_lock(&self) -> LockResult<MutexGuard<'_, T>> {
        self.acquire(None, BlockingMode::Try)
    }

    /// Acquires the lock. Blocks for at most `timeout`.
    ///
    /// # Errors
    ///
    /// Those of [`lock`](Mutex::lock), and [`LockError::TimedOut`](super::LockError::TimedOut).
    pub fn lock_timeout(&self, timeout: Duration) -> LockResult<MutexGuard<'_, T>> {
        self.acquire(Instant::now().checked_add(timeout), BlockingMode::Block)
    }

    /// Acquires the lock. Blocks until `deadline` at the latest.
    ///
    /// # Errors
    ///
    /// Those of [`lock`](Mutex::lock), and [`LockError::TimedOut`](super::LockError::TimedOut).
    pub fn lock_deadline(&self, deadline: Instant) -> LockResult<MutexGuard<'_, T>> {
        self.acquire(Some(deadline), BlockingMode::Block)
    }

    /// Tries the fast path before it sets up anything for the slow one.
    #[allow(
        clippy::inline_always,
        reason = "a locked instruction waits for all stores before it, so the guard has to stay in registers"
    )]
    #[inline(always)]
    fn acquire(&self, deadline: Option<Instant>, mode: BlockingMode) -> LockResult<MutexGuard<'_, T>> {
        let owner = Owner::new(&self.core).map_err(super::LockError::Failed)?;
        if raw::mutex::lock_fast(&self.lock, owner.id()) {
            return Ok(self.guard(owner));
        }
        self.acquire_slow(owner, deadline, mode)
    }

    #[cold]
    #[inline(never)]
    fn acquire_slow(
        &self,
        owner: Owner,
        deadline: Option<Instant>,
        mode: BlockingMode,
    ) -> LockResult<MutexGuard<'_, T>> {
        let context = LockContext::until(&self.core, Operation::Acquire, deadline);
        match raw::mutex::lock_slow(&context, &self.lock, owner.id(), 0, mode) {
            Ok(Acquired::Clean) => Ok(self.guard(owner)),
            Ok(acquired) => Err(owner_died(&self.core, &self.label, self.at, self.guard(owner), acquired)),
            Err(error) => Err(lock_error(&self.core, &self.label, error, self.holder())),
        }
    }

    /// Returns the participant id of the owner, or 0 if the lock is free.
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

/// Returns the shape of an object whose value follows a lock head.
pub(super) fn shape<T: SharedType>(kind: ObjectKind) -> Shape {
    const { assert!(align_of::<T>() <= 64, "objects in a segment are aligned to 64 bytes at most") };
    let described = T::description();
    let value_offset = u32::try_from(VALUE).unwrap_or(0);
    Shape { kind, object_len: VALUE + described.size, value_offset, described, count: 0 }
}

impl<T: SharedType> MutexGuard<'_, T> {
    #[inline]
    fn value(&self) -> GuardedValue<'_, T> {
        GuardedValue::new(&self.mutex.core, self.owner, self.mutex.at + VALUE)
    }

    /// Copies the value out of the segment.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`](crate::ErrorKind::Fault).
    #[inline]
    pub fn get(&self) -> Result<T, Error> {
        self.value().get()
    }

    /// Copies `value` into the segment.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`](crate::ErrorKind::Fault).
    #[inline]
    pub fn set(&mut self, value: &T) -> Result<(), Error> {
        self.value().set(value)
    }

    /// Copies the value out, applies `change` to the copy, and copies it back.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`](crate::ErrorKind::Fault).
    pub fn update<R>(&mut self, change: impl FnOnce(&mut T) -> R) -> Result<R, Error> {
        self.value().update(change)
    }

    /// Fills `bytes` with the bytes of the value that start at `offset` in it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OutOfBounds`](crate::ErrorKind::OutOfBounds),
    /// [`ErrorKind::Fault`](crate::ErrorKind::Fault).
    pub fn read_exact_at(&self, bytes: &mut [u8], offset: usize) -> Result<(), Error> {
        self.value().read_exact_at(bytes, offset)
    }

    /// Copies all of `bytes` into the value, starting at `offset` in it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OutOfBounds`](crate::ErrorKind::OutOfBounds),
    /// [`ErrorKind::Fault`](crate::ErrorKind::Fault).
    pub fn write_all_at(&mut self, bytes: &[u8], offset: usize) -> Result<(), Error> {
        self.value().write_all_at(bytes, offset)
    }

    /// Returns a mutable reference to the value in the segment.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OutOfBounds`](crate::ErrorKind::OutOfBounds) if the view does not contain the value any
    /// more.
    ///
    /// # Safety
    ///
    /// While the reference is used, the caller guarantees for all processes:
    ///
    /// - They access the value only while they hold this lock. None of them is hostile.
    /// - They do not take its pages away. (On Unix, a process that shortens the region does. An access to
    ///   such a page ends the process.)
    pub unsafe fn value_mut_unchecked(&mut self) -> Result<&mut T, Error> {
        // SAFETY: this guard holds the lock, and the caller guarantees that all processes respect it. The
        // reference borrows the guard mutably.
        unsafe { self.value().as_mut() }
    }

    /// Returns a reference to the value in the segment.
    ///
    /// # Errors
    ///
    /// Those of [`value_mut_unchecked`](MutexGuard::value_mut_unchecked).
    ///
    /// # Safety
    ///
    /// As [`value_mut_unchecked`](MutexGuard::value_mut_unchecked).
    pub unsafe fn value_ref_unchecked(&self) -> Result<&T, Error> {
        // SAFETY: as in `value_mut_unchecked`. The methods that write through this guard borrow it mutably.
        unsafe { self.value().as_ref() }
    }

    /// Declares the data consistent, after an owner died or panicked.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`](crate::ErrorKind::Fault).
    pub fn declare_consistent(&mut self) -> Result<(), Error> {
        self.owner.declare_consistent(&self.mutex.core, &self.mutex.lock)
    }

    /// Gives the lock up because the data cannot be repaired.
    ///
    /// From now on, every attempt to acquire it returns
    /// [`LockError::NotRecoverable`](super::LockError::NotRecoverable). Waiters return at once.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`](crate::ErrorKind::Fault).
    pub fn give_up(self) -> Result<(), Error> {
        self.owner.give_up(&self.mutex.core, &self.mutex.lock)
    }

    /// Releases the lock after the fast path has failed. `panicked`: the owner may have left a change half
    /// done.
    #[cold]
    #[inline(never)]
    fn unlock_slow(&self, me: u32, panicked: bool) {
        let Mutex { core, lock, at, .. } = self.mutex;
        if panicked {
            self.owner.mark_panicked(core, lock, *at);
        }
        // If the pages are gone, there is nothing to release. If a peer has overwritten the word, it is not
        // this owner's any more.
        let _ = raw::mutex::unlock_slow(&LockContext::new(core), lock, me, false);
    }
}

impl<T: SharedType> Drop for MutexGuard<'_, T> {
    #[allow(clippy::inline_always, reason = "as for `acquire`")]
    #[inline(always)]
    fn drop(&mut self) {
        let Some(me) = self.owner.here(&self.mutex.core) else { return };
        let panicked = !self.panicking && std::thread::panicking();
        if panicked || !raw::mutex::unlock_fast(&self.mutex.lock, me) {
            self.unlock_slow(me, panicked);
        }
    }
}

impl<T: SharedType> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MutexGuard").finish_non_exhaustive()
    }
}
