//! The count of waiters: no wake-up is lost because a waker counted no waiter, with a futex and with a
//! semaphore.
//!
//! In the other models a wake-up always enters the kernel. This one checks the step before that.

use std::cell::Cell;

use loom::sync::atomic::AtomicU32;
use loom::sync::atomic::Ordering::SeqCst;
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use crate::context::{Died, model, ordered};
use crate::raw::waiters::{WaiterCount, wait, wake};

/// The kernel object that waiters block on.
#[derive(Clone, Copy, Debug)]
enum Kernel {
    /// It compares the word before it blocks (Linux).
    Futex,
    /// It counts the wake-ups that no waiter has taken yet (Windows).
    Semaphore,
}

const KERNELS: [Kernel; 2] = [Kernel::Futex, Kernel::Semaphore];

#[derive(Debug)]
struct Word {
    word: AtomicU32,
    waiters: AtomicU32,
    kernel: Kernel,
    wakeups: Mutex<u32>,
    blocked: Condvar,
}

impl Word {
    fn new(kernel: Kernel) -> Arc<Self> {
        Arc::new(Word {
            word: AtomicU32::new(0),
            waiters: AtomicU32::new(0),
            kernel,
            wakeups: Mutex::new(0),
            blocked: Condvar::new(),
        })
    }

    fn block(&self, expected: u32) {
        let mut wakeups = self.wakeups.lock().expect("loom's locks are not poisoned");
        match self.kernel {
            Kernel::Futex => {
                if ordered(|| self.word.load(SeqCst)) == expected {
                    drop(self.blocked.wait(wakeups).expect("loom's locks are not poisoned"));
                }
            }
            Kernel::Semaphore => {
                while *wakeups == 0 {
                    wakeups = self.blocked.wait(wakeups).expect("loom's locks are not poisoned");
                }
                *wakeups -= 1;
            }
        }
    }

    fn unblock(&self, all: bool, waiters: u32) {
        let mut wakeups = self.wakeups.lock().expect("loom's locks are not poisoned");
        match self.kernel {
            Kernel::Futex => {}
            // The count never exceeds the number of waiters: dead waiters take no wake-ups.
            Kernel::Semaphore if all => *wakeups = waiters.max(*wakeups),
            Kernel::Semaphore => *wakeups = (*wakeups + 1).min(waiters.max(*wakeups)),
        }
        if all {
            self.blocked.notify_all();
        } else {
            self.blocked.notify_one();
        }
    }
}

/// A participant, and the number of steps before it dies; `None` if it does not.
struct Actor {
    word: Arc<Word>,
    steps: Cell<Option<u32>>,
}

impl Actor {
    fn new(word: &Arc<Word>, steps: Option<u32>) -> Self {
        Actor { word: Arc::clone(word), steps: Cell::new(steps) }
    }

    fn live(&self) -> Result<(), Died> {
        match self.steps.get() {
            None => Ok(()),
            Some(0) => Err(Died),
            Some(left) => {
                self.steps.set(Some(left - 1));
                Ok(())
            }
        }
    }

    /// Takes one ticket, waiting until there is one.
    fn take(&self) -> Result<(), Died> {
        loop {
            let now = self.load()?;
            if now == 0 {
                wait(self, 0, || {
                    self.live()?;
                    self.word.block(0);
                    self.live()
                })?;
                continue;
            }
            self.live()?;
            if ordered(|| self.word.word.compare_exchange(now, now - 1, SeqCst, SeqCst)).is_ok() {
                return Ok(());
            }
        }
    }

    /// Adds tickets and wakes.
    fn give(&self, tickets: u32, all: bool) -> Result<(), Died> {
        self.live()?;
        ordered(|| self.word.word.fetch_add(tickets, SeqCst));
        wake(self, |waiters| {
            self.word.unblock(all, waiters);
            Ok(())
        })
    }
}

impl WaiterCount for Actor {
    type Fault = Died;

    fn load(&self) -> Result<u32, Died> {
        self.live()?;
        Ok(ordered(|| self.word.word.load(SeqCst)))
    }

    fn waiters(&self) -> Result<u32, Died> {
        self.live()?;
        Ok(ordered(|| self.word.waiters.load(SeqCst)))
    }

    fn add_waiters(&self, change: u32) -> Result<(), Died> {
        self.live()?;
        ordered(|| self.word.waiters.fetch_add(change, SeqCst));
        Ok(())
    }

    fn step(&self, _: &'static str) {}
}

/// Starts two participants that take a ticket, the first of which dies after `dies` steps.
fn two(word: &Arc<Word>, dies: Option<u32>) -> [thread::JoinHandle<()>; 2] {
    [dies, None].map(|steps| {
        let actor = Actor::new(word, steps);
        thread::spawn(move || assert!(actor.take().is_ok() || steps.is_some()))
    })
}

#[test]
fn a_waker_sees_the_waiter_or_the_waiter_sees_the_change() {
    for kernel in KERNELS {
        model(None, move || {
            let word = Word::new(kernel);
            let waiter = Actor::new(&word, None);
            let waiter = thread::spawn(move || waiter.take().expect("it does not die"));
            Actor::new(&word, None).give(1, false).expect("it does not die");
            waiter.join().expect("no assertion failed");
            assert_eq!(word.waiters.load(SeqCst), 0);
        });
    }
}

#[test]
fn a_wake_of_all_reaches_two_waiters() {
    for kernel in KERNELS {
        model(Some(3), move || {
            let word = Word::new(kernel);
            let waiters = two(&word, None);
            Actor::new(&word, None).give(2, true).expect("it does not die");
            waiters.into_iter().for_each(|waiter| waiter.join().expect("no assertion failed"));
        });
    }
}

#[test]
fn two_wakes_of_one_reach_two_waiters() {
    for kernel in KERNELS {
        model(Some(2), move || {
            let word = Word::new(kernel);
            let waiters = two(&word, None);
            for _ in 0..2 {
                Actor::new(&word, None).give(1, false).expect("it does not die");
            }
            waiters.into_iter().for_each(|waiter| waiter.join().expect("no assertion failed"));
        });
    }
}

/// A waiter that dies while it is counted costs system calls and loses no wake-up.
#[test]
fn a_waiter_dies_at_any_step() {
    for kernel in KERNELS {
        for step in 0..8 {
            model(Some(2), move || {
                let word = Word::new(kernel);
                let waiters = two(&word, Some(step));
                Actor::new(&word, None).give(2, true).expect("it does not die");
                waiters.into_iter().for_each(|waiter| waiter.join().expect("no assertion failed"));
            });
        }
    }
}
