//! Telemetry: one process publishes a pose, and any number of processes read it without write access.
//!
//! ```text
//! cargo run --example telemetry write
//! cargo run --example telemetry
//! mmf inspect example-telemetry --watch
//! ```

use std::time::Duration;

use mmf::{Error, Segment};

const NAME: &str = "example-telemetry";

fn main() -> Result<(), Error> {
    if std::env::args().nth(1).as_deref() == Some("write") { write() } else { read() }
}

fn write() -> Result<(), Error> {
    let segment = Segment::create(NAME, 64 * 1024)?;
    let mut pose = segment.latest::<[f32; 3]>("pose")?.acquire_writer()?;
    for step in 0..100_u8 {
        let turn = f32::from(step) / 10.0;
        pose.publish(&[turn.cos(), turn.sin(), turn])?;
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn read() -> Result<(), Error> {
    let segment = Segment::open_read_only(NAME)?;
    let pose = segment.find_latest::<[f32; 3]>("pose")?;
    for _ in 0..10 {
        if let Some(pose) = pose.read_numbered()? {
            let (number, [x, y, heading]) = (pose.number, pose.value);
            println!("{number}: {x:.2} {y:.2} {heading:.2}");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}
