//! Waiting for the other process: at once if it is quick, without burning a core if it is not.

use std::thread;
use std::time::{Duration, Instant};

/// How often it looks before it lets others run: some 50 microseconds, the time that a piece takes.
const SPINS: u32 = 2000;
/// After this long it sleeps between two looks.
const EAGER: Duration = Duration::from_millis(20);
const NAP: Duration = Duration::from_millis(1);

/// What to do between two looks.
#[derive(Debug, Default)]
pub(super) struct Waiter {
    rounds: u32,
    since: Option<Instant>,
}

impl Waiter {
    /// Lets a moment pass. Says whether this is a long wait, in which there is time to look at other things.
    pub(super) fn pause(&mut self) -> bool {
        self.rounds = self.rounds.saturating_add(1);
        if self.rounds < SPINS {
            std::hint::spin_loop();
            return false;
        }
        if self.since.get_or_insert_with(Instant::now).elapsed() < EAGER {
            thread::yield_now();
            return self.rounds % 64 == 0;
        }
        thread::sleep(NAP);
        true
    }
}
