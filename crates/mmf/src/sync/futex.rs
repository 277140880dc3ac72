//! A word to build one's own locks on.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Instant;

use super::mutex::shape;
use crate::error::{Error, Operation};
use crate::raw::waiters;
use crate::segment::core::Core;
use crate::segment::layout::fingerprint;
use crate::segment::types::ObjectKind;
use crate::segment::world::{WaitWord, until_recheck};
use crate::sys::Woken;
use crate::sys::wait::{SegmentObjects, Waker};
use crate::view::View;

/// A word of 32 bits in shared memory that can be slept on, and what it takes to wake those who sleep: for locks of one's own.
///
/// In a segment it is an object like others ([`Segment::futex`](crate::Segment::futex)); in a plain [`View`] it takes eight bytes of
/// the user's choice ([`Futex::at`]).
///
/// A lock with two states, 0 free and 1 taken, and 2 for taken with somebody waiting:
///
/// ```
/// use mmf::sync::Futex;
/// use mmf::{Error, SharedMemory};
///
/// fn lock(cell: &Futex) -> Result<(), Error> {
///     if cell.compare_exchange(0, 1)?.is_ok() {
///         return Ok(());
///     }
///     while cell.swap(2)? != 0 {
///         cell.wait(2, None)?; // while it is 2; and then look again
///     }
///     Ok(())
/// }
///
/// fn unlock(cell: &Futex) -> Result<(), Error> {
///     if cell.swap(0)? == 2 {
///         cell.wake_one()?;
///     }
///     Ok(())
/// }
///
/// let view = SharedMemory::create("doc-cell", 4096)?.view()?;
/// let cell = Futex::at(&view, 64, "doc-cell lock")?;
/// lock(&cell)?;
/// unlock(&cell)?;
/// # Ok::<(), mmf::Error>(())
/// ```
///
/// (If its owner dies, this lock stays taken for ever: that is what [`Mutex`](super::Mutex) is for.)
#[derive(Debug)]
pub struct Futex {
    word: WaitWord,
    /// A segment's objects keep their segment.
    _core: Option<Arc<Core>>,
}

impl Futex {
    pub(crate) fn make(core: &Arc<Core>, name: &str) -> Result<Self, Error> {
        let at = core.find_or_make(name, &shape::<()>(ObjectKind::Futex))?;
        Ok(Futex { word: WaitWord::bare(core, at)?.without_miss_count(), _core: Some(Arc::clone(core)) })
    }

    /// The cell at `offset` in a view: four bytes for the word, four that count who waits. All processes use the same bytes and the same
    /// `name`. (On Windows it names the kernel object in the session by which sleepers are woken, and which only programs of this user can open.)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OutOfBounds`](crate::ErrorKind::OutOfBounds), [`ErrorKind::Misaligned`](crate::ErrorKind::Misaligned): the offset is
    /// a multiple of four.
    pub fn at(view: &View, offset: usize, name: &str) -> Result<Self, Error> {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&fingerprint(0, 0, 0, 0, name).to_le_bytes());
        id[8..].copy_from_slice(&fingerprint(1, 0, 0, 0, name).to_le_bytes());
        let waker = Waker::new(&SegmentObjects::new(None, None, id), offset as u64)
            .map_err(|failure| Error::from_system(Operation::Object, failure))?;
        Ok(Futex { word: WaitWord::at(view, offset, waker)?, _core: None })
    }

    /// The word.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`](crate::ErrorKind::Fault), as the others. All accesses are sequentially consistent.
    #[inline]
    pub fn load(&self) -> Result<u32, Error> {
        self.word.word.get().load(SeqCst)
    }

    /// Stores a value.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`](crate::ErrorKind::Fault).
    #[inline]
    pub fn store(&self, value: u32) -> Result<(), Error> {
        self.word.word.get().store(value, SeqCst)
    }

    /// Stores a value and gives the former one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`](crate::ErrorKind::Fault).
    #[inline]
    pub fn swap(&self, value: u32) -> Result<u32, Error> {
        self.word.word.get().swap(value, SeqCst)
    }

    /// Stores `new` if the word is `current`. The inner result is `Ok` with the former value if it was, `Err` with what was there
    /// instead.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`](crate::ErrorKind::Fault).
    #[inline]
    pub fn compare_exchange(&self, current: u32, new: u32) -> Result<Result<u32, u32>, Error> {
        self.word.word.get().compare_exchange(current, new, SeqCst, SeqCst)
    }

    /// Adds, wrapping around, and gives the former value.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`](crate::ErrorKind::Fault).
    #[inline]
    pub fn fetch_add(&self, value: u32) -> Result<u32, Error> {
        self.word.word.get().fetch_add(value, SeqCst)
    }

    /// Sleeps while the word is `expected`: until somebody wakes, or for no reason, but at most 50 ms, so that a waker who died does no harm. So
    /// look again, and wait again. `false` if the deadline has passed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`](crate::ErrorKind::Fault).
    pub fn wait(&self, expected: u32, deadline: Option<Instant>) -> Result<bool, Error> {
        let Some(longest) = until_recheck(deadline) else { return Ok(false) };
        let WaitWord { word, waker, .. } = &self.word;
        let outcome =
            waiters::wait(&self.word, expected, || Ok(waker.wait(word.address(), expected, longest, None)))?;
        match outcome {
            Some(Ok(Woken::TimedOut)) => Ok(until_recheck(deadline).is_some()),
            None | Some(Ok(_)) => Ok(true),
            Some(Err(failure)) => {
                // If the page is gone, this access reports it.
                word.get().load(SeqCst)?;
                Err(Error::from_system(Operation::Wait, failure))
            }
        }
    }

    /// Wakes one who sleeps.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`](crate::ErrorKind::Fault).
    pub fn wake_one(&self) -> Result<(), Error> {
        self.word.wake(false)
    }

    /// Wakes all who sleep.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`](crate::ErrorKind::Fault).
    pub fn wake_all(&self) -> Result<(), Error> {
        self.word.wake(true)
    }
}
