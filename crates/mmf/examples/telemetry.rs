//! Telemetry: one process publishes poses, any number of others read the latest one, and none of them ever waits for another.
//!
//! ```text
//! cargo run -p mmf --example telemetry publish     in one terminal
//! cargo run -p mmf --example telemetry             in others
//! mmf inspect telemetry                            who takes part, and how many values there were
//! ```

use std::thread::sleep;
use std::time::Duration;

use mmf::{Disposition, Segment, SharedType};
use zerocopy::{FromBytes, Immutable, IntoBytes};

#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Pose {
    x: f32,
    y: f32,
    heading: f32,
}

impl SharedType for Pose {
    const NAME: &'static str = "telemetry.Pose";
    const VERSION: u32 = 1;
}

fn main() -> Result<(), mmf::Error> {
    match std::env::args().nth(1).as_deref() {
        Some("publish") => publish(),
        _ => show(),
    }
}

fn publish() -> Result<(), mmf::Error> {
    let (segment, how) = Segment::open_or_create("telemetry", 64 * 1024)?;
    println!("{}", if how == Disposition::Created { "publishing" } else { "publishing again" });
    let mut writer = segment.latest::<Pose>("pose")?.writer()?;
    for step in 0_u16.. {
        let heading = f32::from(step % 360);
        let (y, x) = heading.to_radians().sin_cos();
        writer.publish(&Pose { x, y, heading })?;
        sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Read-only: this process could not disturb the writer if it wanted to.
fn show() -> Result<(), mmf::Error> {
    let segment = Segment::open_read_only("telemetry")?;
    let poses = segment.find_latest::<Pose>("pose")?;
    for _ in 0..20 {
        match poses.read_numbered()? {
            Some((number, pose)) => println!("{number}: {pose:?}"),
            None => println!("nothing yet"),
        }
        sleep(Duration::from_millis(200));
    }
    Ok(())
}
