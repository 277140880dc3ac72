use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;

use super::super::descriptor;
use super::super::self_relative::SelfRelative;
use super::*;

/// A wait of this length means that a wake-up was lost.
const LONG: Duration = Duration::from_secs(30);

fn waker(number: u64) -> Waker {
    let mut id = [0x5a; 16];
    id[..4].copy_from_slice(&std::process::id().to_le_bytes());
    Waker::new(&SegmentObjects::new(None, None, id), number).expect("a waker")
}

/// Waits as `raw::waiters` does: increments the count, reads the word, and blocks.
fn wait_while(waker: &Waker, word: &AtomicU32, waiters: &AtomicU32, expected: u32) {
    waiters.fetch_add(1, SeqCst);
    if word.load(SeqCst) == expected {
        let woken = waker.wait(word.as_ptr().cast(), expected, LONG, None).expect("a wait");
        assert!(!matches!(woken, Woken::TimedOut), "a wake-up was lost");
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
fn there_are_never_more_wakeups_than_waiters() {
    let waker = waker(1);
    for (all, waiters, left) in [(false, 1, 1), (false, 5, 5), (true, 5, 5), (true, 1, 1)] {
        for _ in 0..100 {
            waker.wake(std::ptr::null(), all, waiters).expect("it wakes");
        }
        assert_eq!(count(&waker), left, "{all} {waiters}");
    }
    // Pending wake-ups count, and a count that a peer has written is bounded.
    waker.wake(std::ptr::null(), true, 3).expect("it wakes");
    waker.wake(std::ptr::null(), true, 7).expect("it wakes");
    assert_eq!(count(&waker), 7);
    waker.wake(std::ptr::null(), true, u32::MAX).expect("it wakes");
    waker.wake(std::ptr::null(), true, u32::MAX).expect("it wakes");
    assert_eq!(count(&waker), MAX_WOKEN);
}

#[test]
fn a_foreign_semaphore_is_not_used() {
    let mut id = [0x5b; 16];
    id[..4].copy_from_slice(&std::process::id().to_le_bytes());
    let objects = SegmentObjects::new(None, None, id);
    // Another process creates it first and grants all rights to everyone.
    let name = objects.name('b', 1).expect("a name");
    let list = descriptor::from_sddl("D:(A;;GA;;;WD)").expect("a descriptor");
    let list = SelfRelative::new(&list).expect("a descriptor");
    let attributes = api::SecurityAttributes::self_relative(&list);
    let squatted = api::create_semaphore(&attributes, MAX_COUNT, name.as_wide()).expect("a semaphore");
    assert!(squatted.1);
    let waker = Waker::new(&objects, 1).expect("a waker");
    assert!(waker.semaphore.is_none(), "a foreign semaphore is used");
    // Without a semaphore, a waiter polls.
    waker.wake(std::ptr::null(), true, 1).expect("it wakes");
    assert_eq!(waker.wait(std::ptr::null(), 0, LONG, None), Ok(Woken::Early));
    drop(squatted);
    let (ours, second) =
        (Waker::new(&objects, 1).expect("a waker"), Waker::new(&objects, 1).expect("a waker"));
    assert!(
        ours.semaphore.is_some() && second.semaphore.is_some(),
        "the semaphore of another participant is not used"
    );
}

#[test]
fn every_waiter_is_notified_of_every_change() {
    for dead in [0, 2] {
        let (waker, word, waiters) = (waker(2), AtomicU32::new(0), AtomicU32::new(dead));
        let notified = AtomicU32::new(0);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for step in 0..1000 {
                        while word.load(SeqCst) == step {
                            wait_while(&waker, &word, &waiters, step);
                        }
                        notified.fetch_add(1, SeqCst);
                        // Until then this thread must not wait again and take a wake-up of the others.
                        while notified.load(SeqCst) < 3 * (step + 1) {
                            thread::yield_now();
                        }
                    }
                });
            }
            for step in 1..=1000 {
                // Some threads are running, some are blocked, and some are between reading the word and
                // blocking.
                while step % 4 != 0 && waiters.load(SeqCst) < dead + step % 4 {
                    thread::yield_now();
                }
                word.store(step, SeqCst);
                let counted = waiters.load(SeqCst);
                if counted > 0 {
                    waker.wake(word.as_ptr().cast(), true, counted).expect("it wakes");
                }
                while notified.load(SeqCst) < 3 * step {
                    thread::yield_now();
                }
            }
        });
        assert!(count(&waker) <= 5);
    }
}

#[test]
fn no_waiter_blocks_while_the_word_is_not_zero() {
    for dead in [0, 2] {
        let (waker, word, waiters) = (waker(3), AtomicU32::new(0), AtomicU32::new(dead));
        let (taken, over) = (AtomicU32::new(0), AtomicU32::new(0));
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while over.load(SeqCst) == 0 {
                        match word.load(SeqCst) {
                            0 => wait_while(&waker, &word, &waiters, 0),
                            value => {
                                if word.compare_exchange(value, value - 1, SeqCst, SeqCst).is_ok() {
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
                    let counted = waiters.load(SeqCst);
                    if counted > 0 {
                        waker.wake(word.as_ptr().cast(), false, counted).expect("it wakes");
                    }
                }
                while taken.load(SeqCst) < 4 * round {
                    thread::yield_now();
                }
            }
            // One value for each thread, so that all of them see the end.
            over.store(1, SeqCst);
            word.store(3, SeqCst);
            waker.wake(word.as_ptr().cast(), true, 3 + dead).expect("it wakes");
        });
        assert!(count(&waker) <= 5);
    }
}
