//! Notifications, counted.
//!
//! | from | to | by | then |
//! | --- | --- | --- | --- |
//! | *n* | *n* + 1 | who notifies | wakes all |
//! | *n* | *n* | who has seen *n* sleeps | |
//!
//! **Who dies where.** *Counted, and nobody woken yet*: the others see another count when their slice is over.

use super::{AcquireError, BlockingMode, Context, Retries, WaitOutcome};

/// Counts one more.
pub fn notify<C: Context>(cx: &C, word: &C::Word) -> Result<(), C::Fault> {
    cx.add(word, 1)?;
    cx.step("notify: counted, and nobody woken yet");
    cx.wake(word, true)
}

/// Waits until there are others than `seen`; gives how many there are.
pub fn wait_past<C: Context>(cx: &C, word: &C::Word, seen: u32) -> Result<u32, AcquireError<C::Fault>> {
    let mut retries = Retries::default();
    loop {
        let now = cx.load(word)?;
        if now != seen {
            return Ok(now);
        }
        retries.count(cx, BlockingMode::Block, 0)?;
        if cx.wait(word, seen, 0)? == WaitOutcome::TimedOut {
            // It may have been in the last moment.
            let now = cx.load(word)?;
            return if now == seen { Err(AcquireError::TimedOut) } else { Ok(now) };
        }
    }
}
