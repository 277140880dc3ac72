//! A reader-writer lock around a value. The states of its words are at the top of `raw/rwlock.rs` and
//! `raw/mutex.rs`.
#![allow(unsafe_code, reason = "references into the segment, for which the user vouches")]

use core::fmt;
use core::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use super::error::{LockError, LockResult, lock_error, owner_died};
use super::owner::Owner;
use super::value::GuardedValue;
use crate::error::{Error, Operation};
use crate::raw::mutex::{DONE, OWNER};
use crate::raw::rwlock::{self as algorithm, Participant, Readers, Words};
use crate::raw::{Acquired, BlockingMode};
use crate::segment::core::{Core, index, slot_of};
use crate::segment::directory::Shape;
use crate::segment::label::Label;
use crate::segment::layout::{DRAIN, READER_STEP, READERS};
use crate::segment::types::{ObjectKind, SharedType};
use crate::segment::world::{LockContext, WaitWord};
use crate::view::AtomicAt;

/// A reader-writer lock around a `T` in a segment. [`Segment::rwlock`](crate::Segment::rwlock) creates or
/// opens it.
///
/// Readers of different processes do not contend: each process counts its readers in a cache line of its own.
/// A writer waits for the readers that came before it, and a reader waits for at most one writer, so neither
/// side starves.
///
/// If a writer dies, every later reader and writer receives its guard in [`LockError::OwnerDied`], until a
/// writer declares the data consistent or gives the lock up. The death of a reader is not reported, because a
/// reader changes nothing.
///
/// ```
/// let segment = mmf::Segment::create("doc-rwlock", 64 * 1024)?;
/// let limits = segment.rwlock::<[f64; 2]>("limits")?;
/// limits.write()?.set(&[0.5, 9.5])?;
/// assert_eq!(limits.read()?.get()?, [0.5, 9.5]);
/// # Ok::<(), mmf::Error>(())
/// ```
#[derive(Debug)]
pub struct RwLock<T: SharedType> {
    core: Arc<Core>,
    lock: WaitWord,
    drain: WaitWord,
    /// The slot of this participant, and the word that counts its readers.
    slot: u32,
    own: AtomicAt<u64>,
    at: u64,
    label: Label,
    value: PhantomData<fn() -> T>,
}

/// Shared access to the value of an [`RwLock`]. Dropping it releases the lock.
#[must_use = "dropping the guard releases the lock at once"]
pub struct RwLockReadGuard<'l, T: SharedType> {
    lock: &'l RwLock<T>,
    owner: Owner,
}

/// Exclusive access to the value of an [`RwLock`]. Dropping it releases the lock.
#[must_use = "dropping the guard releases the lock at once"]
pub struct RwLockWriteGuard<'l, T: SharedType> {
    lock: &'l RwLock<T>,
    owner: Owner,
    /// Whether the thread was panicking already when it acquired the lock.
    panicking: bool,
}

fn value_offset(core: &Core) -> u64 {
    READERS + u64::from(core.slots) * READER_STEP
}

#[inline]
fn participant(id: u32) -> Participant {
    Participant { id, slot: slot_of(id) }
}

impl<T: SharedType> RwLock<T> {
    pub(crate) fn create_or_open(core: &Arc<Core>, name: &str) -> Result<Self, Error> {
        const { assert!(align_of::<T>() <= 64, "objects in a segment are aligned to 64 bytes at most") };
        let described = T::description();
        let value_offset = value_offset(core);
        let shape = Shape {
            kind: ObjectKind::RwLock,
            object_len: value_offset + described.size,
            value_offset: u32::try_from(value_offset).unwrap_or(0),
            described,
            count: core.slots,
        };
        let at = core.find_or_create(name, &shape)?;
        let lock = WaitWord::with_head(core, at)?;
        let drain = WaitWord::bare(core, at + DRAIN)?;
        let slot = slot_of(core.me()?);
        let own = AtomicAt::new(&core.view, index(at + READERS + u64::from(slot) * READER_STEP))?;
        let label = Label::new(ObjectKind::RwLock, name);
        Ok(RwLock { core: Arc::clone(core), lock, drain, slot, own, at, label, value: PhantomData })
    }

    #[inline]
    fn words(&self) -> Words<'_, WaitWord> {
        Words { lock: &self.lock, drain: &self.drain }
    }

    #[inline]
    fn owner<G>(&self) -> Result<Owner, LockError<G>> {
        Owner::new(&self.core).map_err(LockError::Failed)
    }

    #[inline]
    fn context(&self, deadline: Option<Instant>) -> LockContext<'_> {
        LockContext::until(&self.core, Operation::Acquire, deadline).with_readers(
            self.at + READERS,
            self.slot,
            &self.own,
        )
    }

    /// Acquires the lock for reading. Blocks while a writer holds it.
    ///
    /// # Errors
    ///
    /// - [`LockError::OwnerDied`]: the lock is acquired, but a writer died or panicked, and the data may be
    ///   inconsistent.
    /// - [`LockError::NotRecoverable`]: a writer gave the lock up.
    /// - [`LockError::Failed`]: the region's pages are gone, or this process was forked from the one that
    ///   opened the segment.
    #[inline]
    pub fn read(&self) -> LockResult<RwLockReadGuard<'_, T>> {
        self.acquire_read(None, BlockingMode::Block)
    }

    /// Acquires the lock for reading if no writer holds it. Does not block.
    ///
    /// # Errors
    ///
    /// Those of [`read`](RwLock::read), and [`LockError::WouldBlock`], which names the process that holds the
    /// lock.
    pub fn try_read(&self) -> LockResult<RwLockReadGuard<'_, T>> {
        self.acquire_read(None, BlockingMode::Try)
    }

    /// Acquires the lock for reading. Blocks for at most `timeout`.
    ///
    /// # Errors
    ///
    /// Those of [`read`](RwLock::read), and [`LockError::TimedOut`].
    pub fn read_timeout(&self, timeout: Duration) -> LockResult<RwLockReadGuard<'_, T>> {
        self.acquire_read(Instant::now().checked_add(timeout), BlockingMode::Block)
    }

    /// Acquires the lock for reading. Blocks until `deadline` at the latest.
    ///
    /// # Errors
    ///
    /// Those of [`read`](RwLock::read), and [`LockError::TimedOut`].
    pub fn read_deadline(&self, deadline: Instant) -> LockResult<RwLockReadGuard<'_, T>> {
        self.acquire_read(Some(deadline), BlockingMode::Block)
    }

    #[inline]
    fn acquire_read(
        &self,
        deadline: Option<Instant>,
        mode: BlockingMode,
    ) -> LockResult<RwLockReadGuard<'_, T>> {
        let owner = self.owner()?;
        match algorithm::read(&self.context(deadline), self.words(), participant(owner.id()), mode) {
            Ok(acquired) => self.result(RwLockReadGuard { lock: self, owner }, acquired),
            Err(error) => Err(lock_error(&self.core, &self.label, error, self.writer())),
        }
    }

    /// Acquires the lock for writing. Blocks until it is free.
    ///
    /// # Errors
    ///
    /// - [`LockError::OwnerDied`]: the lock is acquired, but a previous writer died or panicked, and the data
    ///   may be inconsistent.
    /// - [`LockError::NotRecoverable`]: a writer gave the lock up.
    /// - [`LockError::Failed`]: the region's pages are gone, or this process was forked from the one that
    ///   opened the segment.
    #[inline]
    pub fn write(&self) -> LockResult<RwLockWriteGuard<'_, T>> {
        self.acquire_write(None, BlockingMode::Block)
    }

    /// Acquires the lock for writing if it is free. Does not block.
    ///
    /// # Errors
    ///
    /// Those of [`write`](RwLock::write), and [`LockError::WouldBlock`], which names a process that holds the
    /// lock.
    pub fn try_write(&self) -> LockResult<RwLockWriteGuard<'_, T>> {
        self.acquire_write(None, BlockingMode::Try)
    }

    /// Acquires the lock for writing. Blocks for at most `timeout`.
    ///
    /// # Errors
    ///
    /// Those of [`write`](RwLock::write), and [`LockError::TimedOut`].
    pub fn write_timeout(&self, timeout: Duration) -> LockResult<RwLockWriteGuard<'_, T>> {
        self.acquire_write(Instant::now().checked_add(timeout), BlockingMode::Block)
    }

    /// Acquires the lock for writing. Blocks until `deadline` at the latest.
    ///
    /// # Errors
    ///
    /// Those of [`write`](RwLock::write), and [`LockError::TimedOut`].
    pub fn write_deadline(&self, deadline: Instant) -> LockResult<RwLockWriteGuard<'_, T>> {
        self.acquire_write(Some(deadline), BlockingMode::Block)
    }

    #[inline]
    fn acquire_write(
        &self,
        deadline: Option<Instant>,
        mode: BlockingMode,
    ) -> LockResult<RwLockWriteGuard<'_, T>> {
        let owner = self.owner()?;
        match algorithm::write(&self.context(deadline), self.words(), participant(owner.id()), mode) {
            Ok(acquired) => {
                let panicking = std::thread::panicking();
                self.result(RwLockWriteGuard { lock: self, owner, panicking }, acquired)
            }
            Err(error) => Err(lock_error(&self.core, &self.label, error, self.holder())),
        }
    }

    #[inline]
    fn result<G>(&self, guard: G, acquired: Acquired) -> LockResult<G> {
        if acquired == Acquired::Clean {
            Ok(guard)
        } else {
            Err(owner_died(&self.core, &self.label, self.at, guard, acquired))
        }
    }

    /// Returns the participant id of the writer, or 0 if there is none.
    fn writer(&self) -> u32 {
        let word = self.lock.word.get().load(SeqCst).unwrap_or(0);
        if word & OWNER == DONE { 0 } else { word & OWNER }
    }

    /// Returns the participant id of the writer or of one of the readers, or 0 if the lock is free.
    #[cold]
    fn holder(&self) -> u32 {
        let context = self.context(None);
        let reader = |slot| {
            let word = context.readers_load(slot).unwrap_or(0);
            let id = algorithm::participant_of(word);
            let reads = algorithm::active(word) > 0 && context.owns_slot(id, slot);
            (reads && !self.core.is_gone(id)).then_some(id)
        };
        match self.writer() {
            0 => (0..context.slots().unwrap_or(0)).find_map(reader).unwrap_or(0),
            writer => writer,
        }
    }
}

impl<T: SharedType> RwLockReadGuard<'_, T> {
    #[inline]
    fn value(&self) -> GuardedValue<'_, T> {
        let core = &self.lock.core;
        GuardedValue::new(core, self.owner, self.lock.at + value_offset(core))
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

    /// Fills `bytes` with the bytes of the value that start at `offset` in it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OutOfBounds`](crate::ErrorKind::OutOfBounds),
    /// [`ErrorKind::Fault`](crate::ErrorKind::Fault).
    pub fn read_exact_at(&self, bytes: &mut [u8], offset: usize) -> Result<(), Error> {
        self.value().read_exact_at(bytes, offset)
    }

    /// Returns a reference to the value in the segment.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OutOfBounds`](crate::ErrorKind::OutOfBounds) if the view does not contain the value any
    /// more.
    ///
    /// # Safety
    ///
    /// As [`MutexGuard::value_mut_unchecked`](super::MutexGuard::value_mut_unchecked): all processes
    /// respect the lock, and none of them takes the pages away.
    pub unsafe fn value_ref_unchecked(&self) -> Result<&T, Error> {
        // SAFETY: a process that respects the lock does not write while there are readers. The caller
        // guarantees that all processes do.
        unsafe { self.value().as_ref() }
    }
}

impl<T: SharedType> RwLockWriteGuard<'_, T> {
    #[inline]
    fn value(&self) -> GuardedValue<'_, T> {
        let core = &self.lock.core;
        GuardedValue::new(core, self.owner, self.lock.at + value_offset(core))
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
    /// As [`MutexGuard::value_mut_unchecked`](super::MutexGuard::value_mut_unchecked): all processes
    /// respect the lock, and none of them takes the pages away.
    pub unsafe fn value_mut_unchecked(&mut self) -> Result<&mut T, Error> {
        // SAFETY: this guard holds the lock, and the caller guarantees that all processes respect it. The
        // reference borrows the guard mutably.
        unsafe { self.value().as_mut() }
    }

    /// Declares the data consistent, after a writer died or panicked.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`](crate::ErrorKind::Fault).
    pub fn declare_consistent(&mut self) -> Result<(), Error> {
        self.owner.declare_consistent(&self.lock.core, &self.lock.lock)
    }

    /// Gives the lock up because the data cannot be repaired.
    ///
    /// From now on, every attempt to acquire it returns [`LockError::NotRecoverable`]. Waiters return at
    /// once.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`](crate::ErrorKind::Fault).
    pub fn give_up(self) -> Result<(), Error> {
        self.owner.give_up(&self.lock.core, &self.lock.lock)
    }

    #[cold]
    fn mark_panicked(&self) {
        self.owner.mark_panicked(&self.lock.core, &self.lock.lock, self.lock.at);
    }
}

impl<T: SharedType> Drop for RwLockReadGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        let Some(me) = self.owner.here(&self.lock.core) else { return };
        // If the pages are gone, there is nothing to release.
        let _ = algorithm::read_unlock(&self.lock.context(None), self.lock.words(), participant(me));
    }
}

impl<T: SharedType> Drop for RwLockWriteGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        let Some(me) = self.owner.here(&self.lock.core) else { return };
        if !self.panicking && std::thread::panicking() {
            self.mark_panicked();
        }
        // If the pages are gone, there is nothing to release. If a peer has overwritten the word, it is not
        // this owner's any more.
        let _ = algorithm::write_unlock(&self.lock.context(None), self.lock.words(), participant(me));
    }
}

impl<T: SharedType> fmt::Debug for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RwLockReadGuard").finish_non_exhaustive()
    }
}

impl<T: SharedType> fmt::Debug for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RwLockWriteGuard").finish_non_exhaustive()
    }
}
