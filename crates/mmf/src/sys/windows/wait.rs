//! Sleeping on a word of shared memory until another process wakes it.
//!
//! `WaitOnAddress` does not cross processes, so what sleeps is woken by a semaphore: a kernel object with a name made of the segment's
//! random identity and a number, in the same namespace and with the same grants as the segment. Whoever knows of the word has the
//! semaphore open, so it lives as long as anybody does. Who waits is counted beside the word; who wakes releases as many.

use std::os::windows::io::{AsHandle, BorrowedHandle, OwnedHandle};
use std::time::Duration;

use super::api;
use super::memory::Object;
use super::name::ObjectName;
use super::presence::Watch;
use super::security::Protection;
use crate::sys::{Failure, Shown, Woken};

/// The most that a semaphore counts: more than there can be waiters who are alive.
const MOST: i32 = 1 << 20;
/// The most that are woken at once, whatever a peer has written to the count of sleepers.
const MOST_AT_ONCE: i32 = 1 << 14;
/// How many handles can be waited for at once.
pub(crate) const MOST_WORDS: usize = 64;
/// How long a sleep may go on after a change if there is no semaphore: in `Global\`, a user without the privilege to make one.
const POLL: Duration = Duration::from_millis(5);

/// What the kernel objects of one segment have in common: where their names are, and who may open them.
#[derive(Clone, Debug)]
pub(crate) struct Family {
    beside: Option<ObjectName>,
    id: [u8; 16],
    protection: Protection,
}

impl Family {
    pub(crate) fn new(object: Option<&Object>, name: Option<&ObjectName>, id: [u8; 16]) -> Self {
        let protection = match (object.map(Object::shown), name) {
            (Some(Ok(Shown::Descriptor(bytes))), Some(_)) => Protection::Descriptor(for_waiting(bytes)),
            // A memory without a name grants nothing to anybody, since it is handed over; these have to be opened. And who may not see
            // the segment's grants gives what he makes to his own user.
            _ => Protection::CurrentUser,
        };
        Family { beside: name.cloned(), id, protection }
    }

    /// The name of one of them.
    pub(super) fn name(&self, kind: char, number: u64) -> Result<ObjectName, Failure> {
        let id: String = self.id.iter().map(|byte| format!("{byte:02x}")).collect();
        let text = format!("mmf.{id}.{kind}.{number:x}");
        match &self.beside {
            Some(name) => Ok(name.beside(&text)),
            None => ObjectName::new(false, &text),
        }
    }

    pub(super) fn protection(&self) -> &Protection {
        &self.protection
    }
}

/// The rights to a section, as those to an event or a semaphore that belongs to it: who may read may wait, who may write may wake.
fn for_waiting(mut descriptor: Vec<u8>) -> Vec<u8> {
    const MAP_WRITE: u32 = 2;
    const MAP_READ: u32 = 4;
    const GENERIC: u32 = 0xf000_0000;
    // SYNCHRONIZE and the right to change the state; who may do all with a section may do all with these.
    const WAIT: u32 = 0x10_0000;
    const WAKE: u32 = 0x10_0003;
    const STANDARD: u32 = 0x1f_0000;
    let long = |bytes: &[u8], at: usize| {
        bytes.get(at..).and_then(|rest| rest.first_chunk()).map(|bytes| u32::from_le_bytes(*bytes))
    };
    let short = |bytes: &[u8], at: usize| {
        bytes
            .get(at..)
            .and_then(|rest| rest.first_chunk())
            .map(|bytes| usize::from(u16::from_le_bytes(*bytes)))
    };
    // A self-relative descriptor has the place of its access list at 16; a list the number of its entries at 4; an entry its kind at
    // 0, its length at 2 and its mask at 4.
    let Some(list) = long(&descriptor, 16).and_then(|at| usize::try_from(at).ok()).filter(|at| *at != 0)
    else {
        return descriptor;
    };
    let entries = short(&descriptor, list + 4).unwrap_or(0);
    let mut at = list + 8;
    for _ in 0..entries {
        let (Some(mask), Some(len)) = (long(&descriptor, at + 4), short(&descriptor, at + 2)) else { break };
        let mut new = mask & (STANDARD | GENERIC);
        if mask & MAP_READ != 0 {
            new |= WAIT | 1;
        }
        if mask & MAP_WRITE != 0 {
            new |= WAKE;
        }
        descriptor[at + 4..at + 8].copy_from_slice(&new.to_le_bytes());
        at += len.max(8);
    }
    descriptor
}

/// What sleepers on one word are woken by.
#[derive(Debug)]
pub(crate) struct Bell {
    semaphore: Option<OwnedHandle>,
}

/// What [`wait_any`] is to look at.
pub(crate) type Watched<'a> = (&'a Bell, *const u8, u32);

impl Bell {
    /// Opens the semaphore of this number, or makes it.
    #[allow(clippy::unnecessary_wraps, reason = "as elsewhere")]
    pub(crate) fn new(family: &Family, number: u64) -> Result<Self, Failure> {
        let name = family.name('b', number)?;
        let semaphore = match api::open_semaphore(&name) {
            Ok(handle) => Some(handle),
            Err(_) => super::security::with_attributes_to_wait(family.protection(), |attributes| {
                // SAFETY: the attributes are valid during this call.
                unsafe { api::create_semaphore(attributes, MOST, &name) }
            })
            .ok(),
        };
        Ok(Bell { semaphore })
    }

    /// Sleeps until it is rung or the process that is watched ends, for no longer than said. The caller has counted himself, and has
    /// seen after that that the word is what he expects.
    pub(crate) fn wait(
        &self,
        _: *const u8,
        _: u32,
        longest: Duration,
        watch: Option<&Watch>,
    ) -> Result<Woken, Failure> {
        let Some(semaphore) = &self.semaphore else { return wait_without(longest) };
        let watched = watch.map(Watch::as_handle);
        let handles: Vec<BorrowedHandle<'_>> = [semaphore.as_handle()].into_iter().chain(watched).collect();
        wait_for(&handles, longest)
    }

    /// Wakes one of so many sleepers, or all of them. The caller has changed the word before he looked how many there are.
    ///
    /// The semaphore is not left with a higher count than there are sleepers. Those who were killed asleep stay counted and never take what is
    /// released for them, so otherwise the count would go up with each call, and later sleepers would be woken for nothing as often.
    ///
    /// No wake-up is lost by that. Whoever has to hear of the change has looked at the word before it, so he had counted himself before and is
    /// one of `sleepers`; and he takes one from the count at most, since when he looks again he sees the change. So as many as there are
    /// sleepers are enough for all of them, whatever these were released for. (Who comes later, has seen the change, and is given one all the same is
    /// as awake as the one that it was for would be. If all were to hear of the change, that one hears of it a slice later; but that is so with
    /// any count, since a semaphore does not know whom it was released for.)
    pub(crate) fn ring(&self, _: *const u8, all: bool, sleepers: u32) -> Result<(), Failure> {
        let Some(semaphore) = &self.semaphore else { return Ok(()) };
        let sleepers = i32::try_from(sleepers).unwrap_or(MOST).clamp(1, MOST_AT_ONCE);
        match release(semaphore, 1)? {
            // There were enough already. (If it cannot be taken back, somebody else has taken it.)
            Some(before) if before >= sleepers => {
                api::wait_for_any(&[semaphore.as_handle()], 0)?;
            }
            Some(before) if all && before + 1 < sleepers => {
                release(semaphore, sleepers - before - 1)?;
            }
            _ => {}
        }
        Ok(())
    }
}

/// Raises the count; says what it was. None if it is as high as it can be: more than there can be sleepers.
fn release(semaphore: &OwnedHandle, count: i32) -> Result<Option<i32>, Failure> {
    match api::release_semaphore(semaphore.as_handle(), count) {
        Ok(before) => Ok(Some(before)),
        Err(error) if error.0 == windows_sys::Win32::Foundation::ERROR_TOO_MANY_POSTS => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Sleeps until one of these is rung, for no longer than said. The caller has counted himself at each.
pub(crate) fn wait_any(words: &[Watched<'_>], longest: Duration) -> Result<Woken, Failure> {
    let handles: Option<Vec<_>> =
        words.iter().map(|(bell, ..)| Some(bell.semaphore.as_ref()?.as_handle())).collect();
    match handles {
        Some(handles) if !handles.is_empty() => wait_for(&handles, longest),
        _ => wait_without(longest),
    }
}

#[allow(clippy::unnecessary_wraps, reason = "one of the ways of waiting")]
fn wait_without(longest: Duration) -> Result<Woken, Failure> {
    std::thread::sleep(longest.min(POLL));
    Ok(if longest <= POLL { Woken::TimedOut } else { Woken::Early })
}

fn wait_for(handles: &[BorrowedHandle<'_>], longest: Duration) -> Result<Woken, Failure> {
    // Rounded up, so as not to wake before the time and find that there is some left.
    let milliseconds = longest.as_nanos().div_ceil(1_000_000);
    // (All ones would be for ever.)
    let milliseconds = u32::try_from(milliseconds).unwrap_or(u32::MAX - 1).min(u32::MAX - 1);
    Ok(if api::wait_for_any(handles, milliseconds)? { Woken::Early } else { Woken::TimedOut })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;
    use std::sync::atomic::Ordering::SeqCst;
    use std::thread;

    use super::*;

    /// So long does nobody sleep in vain.
    const LONG: Duration = Duration::from_secs(30);

    fn bell(number: u64) -> Bell {
        let mut id = [0x5a; 16];
        id[..4].copy_from_slice(&std::process::id().to_le_bytes());
        Bell::new(&Family::new(None, None, id), number).expect("a bell")
    }

    /// As `sync` sleeps: counted, then looked, then asleep.
    fn sleep(bell: &Bell, word: &AtomicU32, waiters: &AtomicU32, expected: u32) {
        waiters.fetch_add(1, SeqCst);
        if word.load(SeqCst) == expected {
            let slept = bell.wait(word.as_ptr().cast(), expected, LONG, None).expect("a sleep");
            assert!(!matches!(slept, Woken::TimedOut), "a wake-up was lost");
        }
        waiters.fetch_sub(1, SeqCst);
    }

    fn count(bell: &Bell) -> i32 {
        let mut count = 0;
        while matches!(bell.wait(std::ptr::null(), 0, Duration::ZERO, None), Ok(Woken::Early)) {
            count += 1;
        }
        count
    }

    #[test]
    fn there_are_never_more_wakeups_than_sleepers() {
        let bell = bell(1);
        for (all, sleepers, left) in [(false, 1, 1), (false, 5, 5), (true, 5, 5), (true, 1, 1)] {
            for _ in 0..100 {
                bell.ring(std::ptr::null(), all, sleepers).expect("it rings");
            }
            assert_eq!(count(&bell), left, "{all} {sleepers}");
        }
        // What is there counts; what a peer has written is no more than is released at once.
        bell.ring(std::ptr::null(), true, 3).expect("it rings");
        bell.ring(std::ptr::null(), true, 7).expect("it rings");
        assert_eq!(count(&bell), 7);
        bell.ring(std::ptr::null(), true, u32::MAX).expect("it rings");
        bell.ring(std::ptr::null(), true, u32::MAX).expect("it rings");
        assert_eq!(count(&bell), MOST_AT_ONCE);
    }

    #[test]
    fn everybody_hears_of_every_change() {
        for dead in [0, 2] {
            let (bell, word, waiters) = (bell(2), AtomicU32::new(0), AtomicU32::new(dead));
            let heard = AtomicU32::new(0);
            thread::scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(|| {
                        for step in 0..1000 {
                            while word.load(SeqCst) == step {
                                sleep(&bell, &word, &waiters, step);
                            }
                            heard.fetch_add(1, SeqCst);
                            // So that nobody comes meanwhile who takes what is for the others.
                            while heard.load(SeqCst) < 3 * (step + 1) {
                                thread::yield_now();
                            }
                        }
                    });
                }
                for step in 1..=1000 {
                    // Some are awake, some asleep, and some between looking and sleeping.
                    while step % 4 != 0 && waiters.load(SeqCst) < dead + step % 4 {
                        thread::yield_now();
                    }
                    word.store(step, SeqCst);
                    let sleepers = waiters.load(SeqCst);
                    if sleepers > 0 {
                        bell.ring(word.as_ptr().cast(), true, sleepers).expect("it rings");
                    }
                    while heard.load(SeqCst) < 3 * step {
                        thread::yield_now();
                    }
                }
            });
            assert!(count(&bell) <= 5);
        }
    }

    #[test]
    fn nobody_sleeps_while_there_is_something_to_take() {
        for dead in [0, 2] {
            let (bell, word, waiters) = (bell(3), AtomicU32::new(0), AtomicU32::new(dead));
            let (taken, over) = (AtomicU32::new(0), AtomicU32::new(0));
            thread::scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(|| {
                        while over.load(SeqCst) == 0 {
                            match word.load(SeqCst) {
                                0 => sleep(&bell, &word, &waiters, 0),
                                there => {
                                    if word.compare_exchange(there, there - 1, SeqCst, SeqCst).is_ok() {
                                        taken.fetch_add(1, SeqCst);
                                    }
                                }
                            }
                        }
                    });
                }
                for round in 1..=500 {
                    for _ in 0..4 {
                        word.fetch_add(1, SeqCst);
                        let sleepers = waiters.load(SeqCst);
                        if sleepers > 0 {
                            bell.ring(word.as_ptr().cast(), false, sleepers).expect("it rings");
                        }
                    }
                    while taken.load(SeqCst) < 4 * round {
                        thread::yield_now();
                    }
                }
                // For all of them to see that it is over, there is something to take for each.
                over.store(1, SeqCst);
                word.store(3, SeqCst);
                bell.ring(word.as_ptr().cast(), true, 3 + dead).expect("it rings");
            });
            assert!(count(&bell) <= 5);
        }
    }
}
