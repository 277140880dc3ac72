//! Waiting for a word of shared memory to change until another process wakes the waiter.
//!
//! `WaitOnAddress` does not cross processes, so a waiter blocks on a semaphore: a kernel object with a name of its own in the namespace of the
//! segment's region. Each participant that uses the word has the semaphore open, so it lives as long as any of them does. Waiters are
//! counted beside the word, and a waker releases as many.
//!
//! Any process of the session can list names and create objects. So a name tells nothing about other names (`SegmentObjects::name`), an existing object is
//! believed only if a participant may have created it (`grants`), and without a semaphore the waiter looks at the word again and
//! again.

use std::hash::Hasher;
#[allow(deprecated, reason = "see `SegmentObjects::name`")]
use std::hash::SipHasher;
use std::os::windows::io::{AsHandle, BorrowedHandle, OwnedHandle};
use std::time::Duration;

use windows_sys::Win32::Foundation as win;

use super::grants::{self, Expected, Verdict};
use super::liveness::ProcessHandle;
use super::memory::Object;
use super::name::ObjectName;
use super::security::Protection;
use super::{LastError, account, api, descriptor};
use crate::sys::{Failure, RawSecurity, Woken};

/// The most that a semaphore counts: more than there can be waiters who are alive.
const MOST: i32 = 1 << 20;
/// The most that are woken at once, whatever a peer has written to the count of sleepers.
const MOST_AT_ONCE: i32 = 1 << 14;
/// How many handles can be waited for at once.
pub(crate) const MAX_WORDS: usize = 64;
/// How long a sleep may go on after a change if there is no semaphore: in `Global\`, a user without the privilege to make one.
const POLL: Duration = Duration::from_millis(5);

/// What the kernel objects of one segment have in common: where their names are, and who may open them.
#[derive(Clone, Debug)]
pub(crate) struct SegmentObjects {
    beside: Option<ObjectName>,
    id: [u8; 16],
    protection: Protection,
    belief: Belief,
}

/// Which existing objects are used.
#[derive(Clone, Debug)]
enum Belief {
    All,
    /// Those that a user may have created who may write the region.
    Region(Expected),
    OwnUser,
}

impl SegmentObjects {
    pub(crate) fn new(object: Option<&Object>, name: Option<&ObjectName>, id: [u8; 16]) -> Self {
        let (protection, belief) = match (object.map(Object::raw_security), name) {
            (Some(Ok(RawSecurity::Descriptor(bytes))), Some(name)) => {
                // Strangers can create nothing in a private namespace.
                let expected =
                    if name.private_namespace().is_some() { None } else { Expected::of_region(&bytes) };
                let user = account::user().ok();
                let made = grants::for_objects(&bytes, user.as_deref());
                (Protection::Descriptor(made), expected.map_or(Belief::All, Belief::Region))
            }
            // A process that cannot see the region's grants gives its objects to its own user, and cannot judge those of others.
            (_, Some(_)) => (Protection::CurrentUser, Belief::All),
            // A region without a name grants nothing to anybody, since it is handed over; these objects have to be opened by name.
            (_, None) => (Protection::CurrentUser, Belief::OwnUser),
        };
        SegmentObjects { beside: name.cloned(), id, protection, belief }
    }

    /// The name of one of them: a keyed hash, so a process that cannot read the region cannot tell the name of one object from that of another.
    #[allow(deprecated, reason = "`DefaultHasher` has neither keys nor an algorithm that is promised")]
    pub(super) fn name(&self, kind: char, number: u64) -> Result<ObjectName, Failure> {
        let key = |half: &[u8]| half.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let (first, second) = self.id.split_at(8);
        let half = |which: u8| {
            let mut hasher = SipHasher::new_with_keys(key(first), key(second));
            hasher.write(&number.to_le_bytes());
            hasher.write(&[u8::try_from(kind).unwrap_or(0), which]);
            hasher.finish()
        };
        let text = format!("mmf.{:016x}{:016x}", half(0), half(1));
        match &self.beside {
            Some(name) => Ok(name.beside(&text)),
            None => ObjectName::new(false, &text),
        }
    }

    pub(super) fn protection(&self) -> &Protection {
        &self.protection
    }

    /// Whether a participant may have created the object that has one of these names. The handle has `READ_CONTROL`.
    fn is_believed(&self, handle: BorrowedHandle<'_>) -> bool {
        let own;
        let expected = match &self.belief {
            Belief::All => return true,
            Belief::Region(expected) => expected,
            Belief::OwnUser => {
                let Ok(user) = account::user() else { return false };
                own = Expected::of_user(user, super::security::OWN_RIGHTS_TO_WAIT);
                &own
            }
        };
        match descriptor::of(handle).map(|bytes| expected.judge(&bytes)) {
            Ok(Verdict::Fits) => true,
            Ok(Verdict::OwnedBy(sid)) => {
                // A user whom the list does not name may write the region as a member of a group.
                account::user().is_ok_and(|user| user == sid) || expected.creators().any(account::is_group)
            }
            Ok(Verdict::GrantsMore) | Err(_) => false,
        }
    }
}

/// What sleepers on one word are woken by.
#[derive(Debug)]
pub(crate) struct Waker {
    semaphore: Option<OwnedHandle>,
}

/// What [`wait_any`] is to look at.
pub(crate) type Watched<'a> = (&'a Waker, *const u8, u32);

impl Waker {
    /// Opens the semaphore of this number, or creates it.
    #[allow(clippy::unnecessary_wraps, reason = "as elsewhere")]
    pub(crate) fn new(family: &SegmentObjects, number: u64) -> Result<Self, Failure> {
        let name = family.name('b', number)?;
        Ok(Waker { semaphore: open_or_create(family, &name) })
    }

    /// Sleeps until it is woken or the process that is watched ends, for no longer than said. The caller has counted himself, and has
    /// seen after that that the word is what he expects.
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
    pub(crate) fn wake(&self, _: *const u8, all: bool, sleepers: u32) -> Result<(), Failure> {
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

/// `None` if there cannot be one, or if the one that exists is not believed.
fn open_or_create(family: &SegmentObjects, name: &ObjectName) -> Option<OwnedHandle> {
    // Twice: another participant may create it in between.
    for _ in 0..2 {
        match api::open_semaphore(name) {
            Ok(handle) => return family.is_believed(handle.as_handle()).then_some(handle),
            Err(LastError(win::ERROR_FILE_NOT_FOUND)) => {}
            Err(_) => return None,
        }
        let made = super::security::with_attributes_to_wait(family.protection(), |attributes| {
            // SAFETY: the attributes are valid during this call.
            unsafe { api::create_semaphore(attributes, MOST, name) }
        });
        match made {
            Ok((handle, true)) => return Some(handle),
            // It may be one whose list does not grant everything, as the call wants.
            Ok((_, false)) | Err(LastError(win::ERROR_ACCESS_DENIED)) => {}
            Err(_) => return None,
        }
    }
    None
}

/// Raises the count; says what it was. None if it is as high as it can be: more than there can be sleepers.
fn release(semaphore: &OwnedHandle, count: i32) -> Result<Option<i32>, Failure> {
    match api::release_semaphore(semaphore.as_handle(), count) {
        Ok(before) => Ok(Some(before)),
        Err(error) if error.0 == win::ERROR_TOO_MANY_POSTS => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Sleeps until one of these is woken, for no longer than said. The caller has counted himself at each.
pub(crate) fn wait_any(words: &[Watched<'_>], longest: Duration) -> Result<Woken, Failure> {
    let handles: Option<Vec<_>> =
        words.iter().map(|(waker, ..)| Some(waker.semaphore.as_ref()?.as_handle())).collect();
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

    fn waker(number: u64) -> Waker {
        let mut id = [0x5a; 16];
        id[..4].copy_from_slice(&std::process::id().to_le_bytes());
        Waker::new(&SegmentObjects::new(None, None, id), number).expect("a waker")
    }

    /// As `sync` sleeps: counted, then looked, then asleep.
    fn sleep(waker: &Waker, word: &AtomicU32, waiters: &AtomicU32, expected: u32) {
        waiters.fetch_add(1, SeqCst);
        if word.load(SeqCst) == expected {
            let slept = waker.wait(word.as_ptr().cast(), expected, LONG, None).expect("a sleep");
            assert!(!matches!(slept, Woken::TimedOut), "a wake-up was lost");
        }
        waiters.fetch_sub(1, SeqCst);
    }

    fn count(waker: &Waker) -> i32 {
        let mut count = 0;
        while matches!(waker.wait(std::ptr::null(), 0, Duration::ZERO, None), Ok(Woken::Early)) {
            count += 1;
        }
        count
    }

    #[test]
    fn there_are_never_more_wakeups_than_sleepers() {
        let waker = waker(1);
        for (all, sleepers, left) in [(false, 1, 1), (false, 5, 5), (true, 5, 5), (true, 1, 1)] {
            for _ in 0..100 {
                waker.wake(std::ptr::null(), all, sleepers).expect("it wakes");
            }
            assert_eq!(count(&waker), left, "{all} {sleepers}");
        }
        // What is there counts; what a peer has written is no more than is released at once.
        waker.wake(std::ptr::null(), true, 3).expect("it wakes");
        waker.wake(std::ptr::null(), true, 7).expect("it wakes");
        assert_eq!(count(&waker), 7);
        waker.wake(std::ptr::null(), true, u32::MAX).expect("it wakes");
        waker.wake(std::ptr::null(), true, u32::MAX).expect("it wakes");
        assert_eq!(count(&waker), MOST_AT_ONCE);
    }

    #[test]
    fn a_semaphore_of_a_stranger_is_not_used() {
        use windows_sys::Win32::Security::SECURITY_ATTRIBUTES;
        let mut id = [0x5b; 16];
        id[..4].copy_from_slice(&std::process::id().to_le_bytes());
        let family = SegmentObjects::new(None, None, id);
        // A process creates it first, with rights for everyone.
        let name = family.name('b', 1).expect("a name");
        let list = descriptor::from_sddl("D:(A;;GA;;;WD)").expect("a descriptor");
        let mut words = descriptor::words(&list).expect("a descriptor");
        let attributes = SECURITY_ATTRIBUTES {
            nLength: 0,
            lpSecurityDescriptor: words.as_mut_ptr().cast(),
            bInheritHandle: 0,
        };
        // SAFETY: the attributes are valid during this call.
        let squatted = unsafe { api::create_semaphore(&attributes, MOST, &name) }.expect("a semaphore");
        assert!(squatted.1);
        let waker = Waker::new(&family, 1).expect("a waker");
        assert!(waker.semaphore.is_none(), "a stranger's semaphore is used");
        // Without one, a waiter looks again soon.
        waker.wake(std::ptr::null(), true, 1).expect("it wakes");
        assert_eq!(waker.wait(std::ptr::null(), 0, LONG, None), Ok(Woken::Early));
        drop(squatted);
        let (ours, second) =
            (Waker::new(&family, 1).expect("a waker"), Waker::new(&family, 1).expect("a waker"));
        assert!(ours.semaphore.is_some() && second.semaphore.is_some(), "another participant's is used");
    }

    #[test]
    fn everybody_hears_of_every_change() {
        for dead in [0, 2] {
            let (waker, word, waiters) = (waker(2), AtomicU32::new(0), AtomicU32::new(dead));
            let heard = AtomicU32::new(0);
            thread::scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(|| {
                        for step in 0..1000 {
                            while word.load(SeqCst) == step {
                                sleep(&waker, &word, &waiters, step);
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
                        waker.wake(word.as_ptr().cast(), true, sleepers).expect("it wakes");
                    }
                    while heard.load(SeqCst) < 3 * step {
                        thread::yield_now();
                    }
                }
            });
            assert!(count(&waker) <= 5);
        }
    }

    #[test]
    fn nobody_sleeps_while_there_is_something_to_take() {
        for dead in [0, 2] {
            let (waker, word, waiters) = (waker(3), AtomicU32::new(0), AtomicU32::new(dead));
            let (taken, over) = (AtomicU32::new(0), AtomicU32::new(0));
            thread::scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(|| {
                        while over.load(SeqCst) == 0 {
                            match word.load(SeqCst) {
                                0 => sleep(&waker, &word, &waiters, 0),
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
                            waker.wake(word.as_ptr().cast(), false, sleepers).expect("it wakes");
                        }
                    }
                    while taken.load(SeqCst) < 4 * round {
                        thread::yield_now();
                    }
                }
                // For all of them to see that it is over, there is something to take for each.
                over.store(1, SeqCst);
                word.store(3, SeqCst);
                waker.wake(word.as_ptr().cast(), true, 3 + dead).expect("it wakes");
            });
            assert!(count(&waker) <= 5);
        }
    }
}
