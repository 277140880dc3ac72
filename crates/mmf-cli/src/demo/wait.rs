//! Waiting for the other process: with little delay if it is quick, without using a core if it is not.

use std::thread;
use std::time::{Duration, Instant};

/// How often a wait polls before it yields: about 50 microseconds, the time of a piece.
const SPINS: u32 = 2000;
/// How long a wait yields before it sleeps between polls.
const YIELD_TIME: Duration = Duration::from_millis(20);
const SLEEP: Duration = Duration::from_millis(1);

/// The pauses between polls.
#[derive(Debug, Default)]
pub(super) struct Waiter {
    rounds: u32,
    since: Option<Instant>,
}

impl Waiter {
    /// Pauses. Returns whether the wait is long, so that the caller has time to check other things.
    pub(super) fn pause(&mut self) -> bool {
        self.rounds = self.rounds.saturating_add(1);
        if self.rounds < SPINS {
            std::hint::spin_loop();
            return false;
        }
        if self.since.get_or_insert_with(Instant::now).elapsed() < YIELD_TIME {
            thread::yield_now();
            return self.rounds % 64 == 0;
        }
        thread::sleep(SLEEP);
        true
    }
}
