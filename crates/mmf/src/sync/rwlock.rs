//! A reader-writer lock around a value. The state tables are at the top of `raw/rwlock.rs` and `raw/mutex.rs`.
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
use crate::raw::rwlock::{self as algorithm, Participant, Readers, Words};
use crate::raw::{self, Acquired, BlockingMode};
use crate::segment::core::{Core, index, place_of};
use crate::segment::directory::Shape;
use crate::segment::label::Label;
use crate::segment::layout::{DRAIN, END_PANICKED, READER_STEP, READERS};
use crate::segment::owners::record_damage;
use crate::segment::types::{ObjectKind, SharedType};
use crate::segment::world::{LockContext, WaitWord};
use crate::view::AtomicAt;

/// A reader-writer lock around a `T` in a segment: by [`Segment::rwlock`](crate::Segment::rwlock).
///
/// Readers of different processes do not get in each other's way: each process counts its own, in a cache line of its own. A writer waits for the
/// readers that came before it, and readers wait for one writer at most; so neither side starves the other.
///
/// If a writer dies, everybody gets [`LockError::OwnerDied`] *with* the guard, readers too, until a writer has declared the data consistent
/// or given the lock up. Dead readers are got over silently: they have changed nothing.
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
    /// This participant's, and its word for its readers.
    place: u32,
    own: AtomicAt<u64>,
    at: u64,
    label: Label,
    value: PhantomData<fn() -> T>,
}

/// The right to read the value of an [`RwLock`], until it is dropped.
#[must_use = "it unlocks when it is dropped"]
pub struct RwLockReadGuard<'l, T: SharedType> {
    lock: &'l RwLock<T>,
    owner: Owner,
}

/// The right to the value of an [`RwLock`], until it is dropped.
#[must_use = "it unlocks when it is dropped"]
pub struct RwLockWriteGuard<'l, T: SharedType> {
    lock: &'l RwLock<T>,
    owner: Owner,
    /// Whether this thread was panicking when it locked.
    panicking: bool,
}

fn value_offset(core: &Core) -> u64 {
    READERS + u64::from(core.places) * READER_STEP
}

#[inline]
fn me(token: u32) -> Participant {
    Participant { id: token, slot: place_of(token) }
}

impl<T: SharedType> RwLock<T> {
    pub(crate) fn make(core: &Arc<Core>, name: &str) -> Result<Self, Error> {
        const { assert!(align_of::<T>() <= 64, "objects in a segment are aligned to 64 bytes at most") };
        let described = T::description();
        let value_offset = value_offset(core);
        let shape = Shape {
            kind: ObjectKind::RwLock,
            object_len: value_offset + described.size,
            value_offset: u32::try_from(value_offset).unwrap_or(0),
            described,
            count: core.places,
        };
        let at = core.find_or_make(name, &shape)?;
        let lock = WaitWord::with_head(core, at)?;
        let drain = WaitWord::bare(core, at + DRAIN)?;
        let place = place_of(core.me()?);
        let own = AtomicAt::new(&core.view, index(at + READERS + u64::from(place) * READER_STEP))?;
        let label = Label::new(ObjectKind::RwLock, name);
        Ok(RwLock { core: Arc::clone(core), lock, drain, place, own, at, label, value: PhantomData })
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
            self.place,
            &self.own,
        )
    }

    /// Locks it to read; waits as long as it takes.
    ///
    /// # Errors
    ///
    /// - [`LockError::OwnerDied`]: you may read, but a writer has died and the data may be half changed.
    /// - [`LockError::NotRecoverable`]: somebody gave it up for good.
    /// - [`LockError::Failed`]: the memory is gone; or this process was forked from the one that opened the segment.
    #[inline]
    pub fn read(&self) -> Result<RwLockReadGuard<'_, T>, LockError<RwLockReadGuard<'_, T>>> {
        self.read_for(None, BlockingMode::Block)
    }

    /// Locks it to read, if no writer has it.
    ///
    /// # Errors
    ///
    /// As [`read`](RwLock::read), and [`LockError::WouldBlock`], which says who has it.
    pub fn try_read(&self) -> Result<RwLockReadGuard<'_, T>, LockError<RwLockReadGuard<'_, T>>> {
        self.read_for(None, BlockingMode::Try)
    }

    /// Locks it to read; waits no longer than this.
    ///
    /// # Errors
    ///
    /// As [`read`](RwLock::read), and [`LockError::TimedOut`].
    pub fn read_timeout(
        &self,
        time: Duration,
    ) -> Result<RwLockReadGuard<'_, T>, LockError<RwLockReadGuard<'_, T>>> {
        self.read_for(Instant::now().checked_add(time), BlockingMode::Block)
    }

    /// Locks it to read; waits no longer than until then.
    ///
    /// # Errors
    ///
    /// As [`read`](RwLock::read), and [`LockError::TimedOut`].
    pub fn read_deadline(
        &self,
        deadline: Instant,
    ) -> Result<RwLockReadGuard<'_, T>, LockError<RwLockReadGuard<'_, T>>> {
        self.read_for(Some(deadline), BlockingMode::Block)
    }

    #[inline]
    fn read_for(
        &self,
        deadline: Option<Instant>,
        patience: BlockingMode,
    ) -> Result<RwLockReadGuard<'_, T>, LockError<RwLockReadGuard<'_, T>>> {
        let owner = self.owner()?;
        match algorithm::read(&self.context(deadline), self.words(), me(owner.token()), patience) {
            Ok(got) => self.told(RwLockReadGuard { lock: self, owner }, got),
            Err(why) => Err(lock_error(&self.core, &self.label, why, self.writer())),
        }
    }

    /// Locks it to write; waits as long as it takes.
    ///
    /// # Errors
    ///
    /// - [`LockError::OwnerDied`]: you have it, but look at the data first.
    /// - [`LockError::NotRecoverable`]: somebody gave it up for good.
    /// - [`LockError::Failed`]: the memory is gone; or this process was forked from the one that opened the segment.
    #[inline]
    pub fn write(&self) -> Result<RwLockWriteGuard<'_, T>, LockError<RwLockWriteGuard<'_, T>>> {
        self.write_for(None, BlockingMode::Block)
    }

    /// Locks it to write, if nobody has it.
    ///
    /// # Errors
    ///
    /// As [`write`](RwLock::write), and [`LockError::WouldBlock`], which says who has it.
    pub fn try_write(&self) -> Result<RwLockWriteGuard<'_, T>, LockError<RwLockWriteGuard<'_, T>>> {
        self.write_for(None, BlockingMode::Try)
    }

    /// Locks it to write; waits no longer than this.
    ///
    /// # Errors
    ///
    /// As [`write`](RwLock::write), and [`LockError::TimedOut`].
    pub fn write_timeout(
        &self,
        time: Duration,
    ) -> Result<RwLockWriteGuard<'_, T>, LockError<RwLockWriteGuard<'_, T>>> {
        self.write_for(Instant::now().checked_add(time), BlockingMode::Block)
    }

    /// Locks it to write; waits no longer than until then.
    ///
    /// # Errors
    ///
    /// As [`write`](RwLock::write), and [`LockError::TimedOut`].
    pub fn write_deadline(
        &self,
        deadline: Instant,
    ) -> Result<RwLockWriteGuard<'_, T>, LockError<RwLockWriteGuard<'_, T>>> {
        self.write_for(Some(deadline), BlockingMode::Block)
    }

    #[inline]
    fn write_for(
        &self,
        deadline: Option<Instant>,
        patience: BlockingMode,
    ) -> Result<RwLockWriteGuard<'_, T>, LockError<RwLockWriteGuard<'_, T>>> {
        let owner = self.owner()?;
        match algorithm::write(&self.context(deadline), self.words(), me(owner.token()), patience) {
            Ok(got) => {
                self.told(RwLockWriteGuard { lock: self, owner, panicking: std::thread::panicking() }, got)
            }
            Err(why) => Err(lock_error(&self.core, &self.label, why, self.holder())),
        }
    }

    #[inline]
    fn told<G>(&self, guard: G, got: Acquired) -> Result<G, LockError<G>> {
        if got == Acquired::Clean {
            Ok(guard)
        } else {
            Err(owner_died(&self.core, &self.label, self.at, guard, got))
        }
    }

    /// The token of the writer; 0 if there is none.
    fn writer(&self) -> u32 {
        let word = self.lock.word.get().load(SeqCst).unwrap_or(0);
        if word & OWNER == DONE { 0 } else { word & OWNER }
    }

    /// The token of the writer, or of one of the readers; 0 if there are none.
    #[cold]
    fn holder(&self) -> u32 {
        let context = self.context(None);
        let reader = |place| {
            let word = context.readers_load(place).unwrap_or(0);
            let token = algorithm::participant_of(word);
            let is_in = algorithm::active(word) > 0 && context.owns_slot(token, place);
            (is_in && !self.core.is_gone(token)).then_some(token)
        };
        match self.writer() {
            0 => (0..context.slots().unwrap_or(0)).find_map(reader).unwrap_or(0),
            writer => writer,
        }
    }

    /// Where the value is, if this is still the process that has the lock.
    #[inline]
    fn value_at(&self, owner: Owner) -> Result<u64, Error> {
        owner.check(&self.core)?;
        Ok(self.at + value_offset(&self.core))
    }

    #[inline]
    fn get(&self, owner: Owner) -> Result<T, Error> {
        self.core.view.read(index(self.value_at(owner)?))
    }
}

impl<T: SharedType> RwLockReadGuard<'_, T> {
    /// Copies the value out.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`](crate::ErrorKind::Fault).
    #[inline]
    pub fn get(&self) -> Result<T, Error> {
        self.lock.get(self.owner)
    }

    /// Copies bytes of the value out, from `offset` in it on.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OutOfBounds`](crate::ErrorKind::OutOfBounds), [`ErrorKind::Fault`](crate::ErrorKind::Fault).
    pub fn read_exact_at(&self, bytes: &mut [u8], offset: usize) -> Result<(), Error> {
        let value = self.lock.core.view.subview(index(self.lock.value_at(self.owner)?), size_of::<T>())?;
        value.read_exact_at(bytes, offset)
    }

    /// The value where it lies.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OutOfBounds`](crate::ErrorKind::OutOfBounds), if the segment were no longer what it was.
    ///
    /// # Safety
    ///
    /// As [`MutexGuard::as_mut`](super::MutexGuard::as_mut): all peers keep to the lock, and nobody takes the pages away.
    pub unsafe fn value_ref_unchecked(&self) -> Result<&T, Error> {
        // SAFETY: whoever keeps to the lock does not write while there are readers: the caller's promise.
        unsafe { value::as_ref(&self.lock.core.view, self.lock.value_at(self.owner)?) }
    }
}

impl<T: SharedType> RwLockWriteGuard<'_, T> {
    /// Copies the value out.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`](crate::ErrorKind::Fault).
    #[inline]
    pub fn get(&self) -> Result<T, Error> {
        self.lock.get(self.owner)
    }

    /// Copies a value in.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`](crate::ErrorKind::Fault).
    #[inline]
    pub fn set(&mut self, value: &T) -> Result<(), Error> {
        self.lock.core.view.write(value, index(self.lock.value_at(self.owner)?))
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
        let value = self.lock.core.view.subview(index(self.lock.value_at(self.owner)?), size_of::<T>())?;
        value.read_exact_at(bytes, offset)
    }

    /// Copies bytes into the value, from `offset` in it on.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OutOfBounds`](crate::ErrorKind::OutOfBounds), [`ErrorKind::Fault`](crate::ErrorKind::Fault).
    pub fn write_all_at(&mut self, bytes: &[u8], offset: usize) -> Result<(), Error> {
        let value = self.lock.core.view.subview(index(self.lock.value_at(self.owner)?), size_of::<T>())?;
        value.write_all_at(bytes, offset)
    }

    /// The value where it lies.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OutOfBounds`](crate::ErrorKind::OutOfBounds), if the segment were no longer what it was.
    ///
    /// # Safety
    ///
    /// As [`MutexGuard::as_mut`](super::MutexGuard::as_mut): all peers keep to the lock, and nobody takes the pages away.
    pub unsafe fn value_mut_unchecked(&mut self) -> Result<&mut T, Error> {
        // SAFETY: the lock is ours, and all others keep to it: the caller's promise. The reference borrows the guard.
        unsafe { value::as_mut(&self.lock.core.view, self.lock.value_at(self.owner)?) }
    }

    /// Says that the data are as they should be, after an owner had died.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`](crate::ErrorKind::Fault).
    pub fn declare_consistent(&mut self) -> Result<(), Error> {
        let me = self.owner.check(&self.lock.core)?;
        raw::mutex::mark_consistent(&self.lock.context(None), &self.lock.lock, me).map(drop)
    }

    /// Gives the lock up for good, because the data cannot be mended: everybody gets [`LockError::NotRecoverable`] from now on, those who
    /// wait at once.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`](crate::ErrorKind::Fault).
    pub fn give_up(self) -> Result<(), Error> {
        let me = self.owner.check(&self.lock.core)?;
        raw::mutex::finish(&self.lock.context(None), &self.lock.lock, me).map(drop)
    }

    /// Half of a change may have been made.
    #[cold]
    fn mark_as_damaged(&self, me: u32) {
        let _ = raw::mutex::mark_damaged(&self.lock.context(None), &self.lock.lock, me);
        let _ = record_damage(&self.lock.core, self.lock.at, me, END_PANICKED);
    }
}

impl<T: SharedType> Drop for RwLockReadGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        let Some(token) = self.owner.here(&self.lock.core) else { return };
        // If the memory is gone there is nothing to unlock.
        let _ = algorithm::read_unlock(&self.lock.context(None), self.lock.words(), me(token));
    }
}

impl<T: SharedType> Drop for RwLockWriteGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        let Some(token) = self.owner.here(&self.lock.core) else { return };
        if !self.panicking && std::thread::panicking() {
            self.mark_as_damaged(token);
        }
        // If the memory is gone there is nothing to unlock; if a peer has overwritten the word, it is not ours any more.
        let _ = algorithm::write_unlock(&self.lock.context(None), self.lock.words(), me(token));
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
