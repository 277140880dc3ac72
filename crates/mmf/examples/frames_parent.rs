//! Shares a frame buffer (3840 x 2160 pixels of four bytes) with a worker that draws into it. The region has
//! no name, so no other process can find it. The two programs agree only on the label.
//!
//! ```text
//! cargo build --examples
//! cargo run --example frames_parent                  the worker is frames_worker.rs
//! cc -O2 -o worker crates/mmf/examples/frames_worker.c
//! cargo run --example frames_parent ./worker         … or the same in C
//! ```

use std::error::Error;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use mmf::SharedMemory;
use mmf::handoff::CommandExt;

const WIDTH: usize = 3840;
const HEIGHT: usize = 2160;

fn main() -> Result<(), Box<dyn Error>> {
    let worker = match std::env::args_os().nth(1) {
        Some(path) => PathBuf::from(path),
        None => {
            std::env::current_exe()?.with_file_name(format!("frames_worker{}", std::env::consts::EXE_SUFFIX))
        }
    };
    let frames = SharedMemory::anonymous((WIDTH * HEIGHT * 4) as u64)?;
    let start = Instant::now();
    let status = Command::new(&worker).hand_off("frames", &frames)?.status()?;
    if !status.success() {
        return Err(format!("{} ended with {status}", worker.display()).into());
    }
    let time = start.elapsed();
    let view = frames.view()?;
    for (x, y) in [(0, 0), (1234, 567), (WIDTH - 1, HEIGHT - 1)] {
        let pixel = view.read::<[u8; 4]>((y * WIDTH + x) * 4)?;
        println!("pixel {x}, {y}: {pixel:02x?}");
        let [low_x, low_y] = [x, y].map(|number| number.to_le_bytes()[0]);
        if pixel != [low_x, low_y, low_x ^ low_y, 0xff] {
            return Err("the worker has drawn something else".into());
        }
    }
    println!("{} bytes drawn by another process in {time:.0?}, start and end included", view.len());
    Ok(())
}
