//! Notifications, counted.
//!
//! | from | to | by | then |
//! | --- | --- | --- | --- |
//! | *n* | *n* + 1 | who notifies | wakes all |
//! | *n* | *n* | who has seen *n* sleeps | |
//!
//! **Who dies where.** *Counted, and nobody woken yet*: the others see another count when their slice is over.

use super::{Patience, Refused, Rounds, Slept, World};

/// Counts one more.
pub fn notify<W: World>(world: &W, word: &W::Word) -> Result<(), W::Fault> {
    world.add(word, 1)?;
    world.step("notify: counted, and nobody woken yet");
    world.wake(word, true)
}

/// Waits until there are others than `seen`; gives how many there are.
pub fn wait_past<W: World>(world: &W, word: &W::Word, seen: u32) -> Result<u32, Refused<W::Fault>> {
    let mut rounds = Rounds::default();
    loop {
        let now = world.load(word)?;
        if now != seen {
            return Ok(now);
        }
        rounds.again(world, Patience::Wait, 0)?;
        if world.sleep(word, seen, 0)? == Slept::Deadline {
            // It may have been in the last moment.
            let now = world.load(word)?;
            return if now == seen { Err(Refused::Deadline) } else { Ok(now) };
        }
    }
}
