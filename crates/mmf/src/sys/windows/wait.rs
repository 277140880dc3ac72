//! Blocking on a word of shared memory until another process wakes the waiter.
//!
//! `WaitOnAddress` does not cross processes, so a waiter blocks on a semaphore: a kernel object with a name
//! of its own in the namespace of the segment's region. Each participant that uses the word has the semaphore
//! open, so it lives as long as any of them does. Waiters are counted beside the word, and a participant that
//! wakes them releases the semaphore as many times.
//!
//! An existing semaphore that is not trusted (see [`SegmentObjects`]) is not used. Without a semaphore, the
//! waiter polls the word.

use std::os::windows::io::{AsHandle, BorrowedHandle, OwnedHandle};
use std::time::Duration;

use windows_sys::Win32::Foundation as win;

use super::liveness::ProcessHandle;
use super::name::ObjectName;
pub(crate) use super::segment_objects::SegmentObjects;
use super::{LastError, api, security};
use crate::sys::{Failure, Woken};

/// The maximum count of a semaphore: more than there can be live waiters.
const MAX_COUNT: i32 = 1 << 20;
/// The maximum number of waiters that one call wakes, whatever count of waiters a peer has written.
const MAX_WOKEN: i32 = 1 << 14;
/// The maximum number of words that one call can wait for: `MAXIMUM_WAIT_OBJECTS`.
pub(crate) const MAX_WORDS: usize = 64;
/// The polling interval without a semaphore, such as in `Global\` for a user without the privilege to create
/// one.
const POLL: Duration = Duration::from_millis(5);

/// The semaphore that the waiters of one word block on, if there is one.
#[derive(Debug)]
pub(crate) struct Waker {
    semaphore: Option<OwnedHandle>,
}

/// A word for [`wait_any`]: its waker, its address, and the expected value.
pub(crate) type Watched<'a> = (&'a Waker, *const u8, u32);

impl Waker {
    /// Opens or creates the semaphore of this number.
    #[allow(clippy::unnecessary_wraps, reason = "as elsewhere")]
    pub(crate) fn new(objects: &SegmentObjects, number: u64) -> Result<Self, Failure> {
        let name = objects.name('b', number)?;
        Ok(Waker { semaphore: open_or_create(objects, &name) })
    }

    /// Blocks until the waiter is woken or the watched process ends, for at most `longest`. The caller has
    /// incremented the count of waiters, and has then found the expected value in the word.
    pub(crate) fn wait(
        &self,
        _: *const u8,
        _: u32,
        longest: Duration,
        watch: Option<&ProcessHandle>,
    ) -> Result<Woken, Failure> {
        let Some(semaphore) = &self.semaphore else { return wait_without(longest) };
        let watched = watch.map(ProcessHandle::as_handle);
        let handles: Vec<BorrowedHandle<'_>> = [semaphore.as_handle()].into_iter().chain(watched).collect();
        wait_for(&handles, longest)
    }

    /// Wakes one of `waiters` waiters, or all of them. The caller has changed the word, and has then loaded
    /// the count of waiters.
    ///
    /// The count of the semaphore never exceeds the number of waiters afterwards. A waiter that was killed
    /// while it was blocked stays counted and never takes the wake-up that is released for it. Without this
    /// bound the count would grow with each call, and each excess wake-up would be a spurious one for a later
    /// waiter.
    ///
    /// The bound loses no wake-up. A waiter that must be notified of the change has read the word before the
    /// change. So it had incremented the count before, and is one of `waiters`. It takes at most one wake-up,
    /// because it finds the change when it reads the word again. So as many wake-ups as there are waiters
    /// suffice for all of them, also if earlier calls released some of them. (A later waiter, which has read
    /// the change, may take a wake-up that was meant for an earlier one. If one waiter is to be woken, the
    /// later one is as good. If all are, the earlier one is notified a recheck interval later; no bound could
    /// prevent that, because a semaphore does not distinguish its waiters.)
    pub(crate) fn wake(&self, _: *const u8, all: bool, waiters: u32) -> Result<(), Failure> {
        let Some(semaphore) = &self.semaphore else { return Ok(()) };
        let waiters = i32::try_from(waiters).unwrap_or(MAX_COUNT).clamp(1, MAX_WOKEN);
        match release(semaphore, 1)? {
            // The count was high enough before. (If the wake-up cannot be taken back, a waiter has taken it.)
            Some(previous) if previous >= waiters => {
                api::wait_for_multiple_objects(&[semaphore.as_handle()], 0)?;
            }
            Some(previous) if all && previous + 1 < waiters => {
                release(semaphore, waiters - previous - 1)?;
            }
            _ => {}
        }
        Ok(())
    }
}

/// Opens or creates the semaphore of this name. Returns `None` if it cannot be created, or if the existing
/// one is not trusted.
fn open_or_create(objects: &SegmentObjects, name: &ObjectName) -> Option<OwnedHandle> {
    // Two attempts, because another participant may create it between opening and creating.
    for _ in 0..2 {
        match api::open_semaphore(name.as_wide()) {
            Ok(handle) => return objects.trusts(handle.as_handle()).then_some(handle),
            Err(LastError(win::ERROR_FILE_NOT_FOUND)) => {}
            Err(_) => return None,
        }
        let created = security::with_attributes_to_wait(objects.protection(), |attributes| {
            api::create_semaphore(attributes, MAX_COUNT, name.as_wide())
        });
        match created {
            Ok((handle, true)) => return Some(handle),
            // Access is denied for an existing semaphore whose list does not grant all rights, which the call
            // requests.
            Ok((_, false)) | Err(LastError(win::ERROR_ACCESS_DENIED)) => {}
            Err(_) => return None,
        }
    }
    None
}

/// Raises the count and returns the previous one, or `None` if it would exceed the maximum, which is more
/// than there can be waiters.
fn release(semaphore: &OwnedHandle, count: i32) -> Result<Option<i32>, Failure> {
    match api::release_semaphore(semaphore.as_handle(), count) {
        Ok(previous) => Ok(Some(previous)),
        Err(error) if error.0 == win::ERROR_TOO_MANY_POSTS => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Blocks until a waiter of one of the words is woken, for at most `longest`. The caller has incremented the
/// count of each word.
pub(crate) fn wait_any(words: &[Watched<'_>], longest: Duration) -> Result<Woken, Failure> {
    let handles: Option<Vec<_>> =
        words.iter().map(|(waker, ..)| Some(waker.semaphore.as_ref()?.as_handle())).collect();
    match handles {
        Some(handles) if !handles.is_empty() => wait_for(&handles, longest),
        _ => wait_without(longest),
    }
}

/// Waits without a semaphore: until the next poll.
#[allow(clippy::unnecessary_wraps, reason = "as `wait_for`")]
fn wait_without(longest: Duration) -> Result<Woken, Failure> {
    std::thread::sleep(longest.min(POLL));
    Ok(if longest <= POLL { Woken::TimedOut } else { Woken::Early })
}

/// Blocks until one of the handles is signalled.
fn wait_for(handles: &[BorrowedHandle<'_>], longest: Duration) -> Result<Woken, Failure> {
    // Rounded up, so that the waiter does not wake shortly before its deadline and has to wait again.
    let milliseconds = longest.as_nanos().div_ceil(1_000_000);
    // (The largest value would mean no limit.)
    let milliseconds = u32::try_from(milliseconds).unwrap_or(u32::MAX - 1).min(u32::MAX - 1);
    Ok(if api::wait_for_multiple_objects(handles, milliseconds)? { Woken::Early } else { Woken::TimedOut })
}

#[cfg(test)]
mod tests;
