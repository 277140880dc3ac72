//! A counter that two processes change under a mutex. Start the example twice, and kill one of the processes:
//! each holds the lock most of the time.
//!
//! ```text
//! cargo run --example shared_state
//! mmf inspect example-shared-state
//! ```

use std::time::Duration;

use mmf::sync::LockError;
use mmf::{Error, Segment};

fn main() -> Result<(), Error> {
    let (segment, disposition) = Segment::open_or_create("example-shared-state", 64 * 1024)?;
    println!("process {}: {disposition:?}", std::process::id());
    let counter = segment.mutex::<u64>("counter")?;
    for _ in 0..20 {
        let mut guard = match counter.lock() {
            Ok(guard) => guard,
            Err(LockError::OwnerDied(owner)) => {
                println!("{owner:?}");
                let mut guard = owner.into_guard();
                // A counter is consistent at every moment, so there is nothing to repair.
                guard.declare_consistent()?;
                guard
            }
            Err(error) => return Err(error.into()),
        };
        let value = guard.update(|value| {
            *value += 1;
            *value
        })?;
        println!("{value}");
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}
