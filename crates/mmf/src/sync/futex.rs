//! A word of shared memory on which locks can be built.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use super::WaitError;
use super::mutex::shape;
use crate::error::{Error, ErrorKind, Operation};
use crate::raw::waiters;
use crate::segment::core::Core;
use crate::segment::label::Label;
use crate::segment::layout::fingerprint;
use crate::segment::steps::step;
use crate::segment::types::ObjectKind;
use crate::segment::world::{WaitWord, until_recheck};
use crate::sys::Woken;
use crate::sys::wait::{SegmentObjects, Waker};
use crate::view::View;

/// A 32-bit word in shared memory that processes wait on: a base for locks and other primitives.
///
/// In a segment it is an object like the others ([`Segment::futex`](crate::Segment::futex)). In a plain
/// [`View`] it takes eight bytes that the user chooses ([`Futex::at`]). All accesses are sequentially
/// consistent.
///
/// For example, a mutex whose word is 0 if it is free, 1 if it is locked, and 2 if it is locked and there may
/// be waiters:
///
/// ```
/// use mmf::sync::Futex;
/// use mmf::{Error, SharedMemory};
///
/// fn lock(futex: &Futex) -> Result<(), Error> {
///     if futex.compare_exchange(0, 1)?.is_ok() {
///         return Ok(());
///     }
///     while futex.swap(2)? != 0 {
///         futex.wait(2)?; // blocks while it is 2
///     }
///     Ok(())
/// }
///
/// fn unlock(futex: &Futex) -> Result<(), Error> {
///     if futex.swap(0)? == 2 {
///         futex.wake_one()?;
///     }
///     Ok(())
/// }
///
/// let view = SharedMemory::create("doc-futex", 4096)?.view()?;
/// let futex = Futex::at(&view, 64, "doc-futex lock")?;
/// lock(&futex)?;
/// unlock(&futex)?;
/// # Ok::<(), mmf::Error>(())
/// ```
///
/// (If its owner dies, this mutex stays locked. [`Mutex`](super::Mutex) does not.)
#[derive(Debug)]
pub struct Futex {
    word: WaitWord,
    home: Home,
}

/// Where a futex is.
#[derive(Debug)]
enum Home {
    Segment(Arc<Core>, Label),
    View(Box<str>),
}

impl Futex {
    pub(crate) fn create_or_open(core: &Arc<Core>, name: &str) -> Result<Self, Error> {
        let at = core.find_or_create(name, &shape::<()>(ObjectKind::Futex))?;
        let word = WaitWord::bare(core, at)?.without_miss_count();
        Ok(Futex { word, home: Home::Segment(Arc::clone(core), Label::new(ObjectKind::Futex, name)) })
    }

    /// Returns the futex at `offset` in a view: four bytes for the word, and four that count the waiters.
    ///
    /// All processes use the same bytes and the same `name`. (On Windows it names the kernel object that
    /// wakes waiters. The object belongs to the session, and only programs of this user can open it.)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OutOfBounds`]; [`ErrorKind::Misaligned`] if the offset is not a multiple of four.
    pub fn at(view: &View, offset: usize, name: &str) -> Result<Self, Error> {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&fingerprint(0, 0, 0, 0, name).to_le_bytes());
        id[8..].copy_from_slice(&fingerprint(1, 0, 0, 0, name).to_le_bytes());
        let waker = Waker::new(&SegmentObjects::new(None, None, id), offset as u64)
            .map_err(|failure| Error::from_system(Operation::Object, failure))?;
        Ok(Futex { word: WaitWord::at(view, offset, waker)?, home: Home::View(name.into()) })
    }

    /// Returns the word.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`].
    #[inline]
    pub fn load(&self) -> Result<u32, Error> {
        self.word.word.get().load(SeqCst)
    }

    /// Stores `value` into the word. Wakes no waiter.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`].
    #[inline]
    pub fn store(&self, value: u32) -> Result<(), Error> {
        self.word.word.get().store(value, SeqCst)
    }

    /// Stores `value` into the word and returns the previous value.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`].
    #[inline]
    pub fn swap(&self, value: u32) -> Result<u32, Error> {
        self.word.word.get().swap(value, SeqCst)
    }

    /// Stores `new` into the word if it is `current`. The inner result is `Ok` with the previous value if it
    /// was `current`, and `Err` with the previous value otherwise.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`].
    #[inline]
    pub fn compare_exchange(&self, current: u32, new: u32) -> Result<Result<u32, u32>, Error> {
        self.word.word.get().compare_exchange(current, new, SeqCst, SeqCst)
    }

    /// Adds `value` to the word, wrapping around, and returns the previous value.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`].
    #[inline]
    pub fn fetch_add(&self, value: u32) -> Result<u32, Error> {
        self.word.word.get().fetch_add(value, SeqCst)
    }

    /// Blocks while the word is `expected`, and returns the value that it has instead.
    ///
    /// A return means that the word was seen to have changed, and nothing else: as with C++'s
    /// `std::atomic::wait`, a wake-up after which the word is `expected` (a spurious one, for example) does
    /// not end the wait. A process that changes the word wakes the waiters with [`wake_one`](Futex::wake_one)
    /// or [`wake_all`](Futex::wake_all). If it dies in between, the waiters see the change within 50 ms,
    /// because they check the word that often. If the word changes and changes back, a waiter may not see it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`].
    pub fn wait(&self, expected: u32) -> Result<u32, Error> {
        Ok(self.wait_until(expected, None)?)
    }

    /// Blocks like [`wait`](Futex::wait), for at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`WaitError::TimedOut`]; those of [`wait`](Futex::wait), in [`WaitError::Failed`].
    pub fn wait_timeout(&self, expected: u32, timeout: Duration) -> Result<u32, WaitError> {
        self.wait_until(expected, Instant::now().checked_add(timeout))
    }

    /// Blocks like [`wait`](Futex::wait), until `deadline` at the latest.
    ///
    /// # Errors
    ///
    /// [`WaitError::TimedOut`]; those of [`wait`](Futex::wait), in [`WaitError::Failed`].
    pub fn wait_deadline(&self, expected: u32, deadline: Instant) -> Result<u32, WaitError> {
        self.wait_until(expected, Some(deadline))
    }

    fn wait_until(&self, expected: u32, deadline: Option<Instant>) -> Result<u32, WaitError> {
        let mut woken = false;
        loop {
            let now = self.load().map_err(WaitError::Failed)?;
            if now != expected {
                return Ok(now);
            }
            if woken {
                step("futex: woken, and the word is unchanged");
            }
            let Some(longest) = until_recheck(deadline) else { return Err(self.timed_out()) };
            woken = self.block_once(expected, longest).map_err(WaitError::Failed)? == Woken::Early;
        }
    }

    fn block_once(&self, expected: u32, longest: Duration) -> Result<Woken, Error> {
        let WaitWord { word, waker, .. } = &self.word;
        let block = || Ok(waker.wait(word.address(), expected, longest, None));
        waiters::wait(&self.word, expected, block)?.unwrap_or(Ok(Woken::Changed)).or_else(|failure| {
            // If the page is gone, the load returns the better error.
            word.get().load(SeqCst)?;
            Err(Error::from_system(Operation::Wait, failure))
        })
    }

    #[cold]
    fn timed_out(&self) -> WaitError {
        WaitError::TimedOut(match &self.home {
            Home::Segment(core, label) => label.error(core, Operation::Wait, ErrorKind::TimedOut, |futex| {
                format!("timed out waiting for {futex}")
            }),
            Home::View(name) => {
                let sentence = format!("timed out waiting for the futex {name:?}");
                Error::new(Operation::Wait, ErrorKind::TimedOut).with_object(name).with_sentence(sentence)
            }
        })
    }

    /// Wakes one waiter.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`].
    pub fn wake_one(&self) -> Result<(), Error> {
        self.word.wake(false)
    }

    /// Wakes all waiters.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`].
    pub fn wake_all(&self) -> Result<(), Error> {
        self.word.wake(true)
    }
}
