//! The cost of a hand-off: from the start of a child to its first read, compared with a plain start of the
//! same program.

use std::io::{self, Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mmf::SharedMemory;
use mmf::handoff::{self, CommandExt};

const LEN: u64 = 1 << 20;
const ROUNDS: usize = 300;

/// Runs the child: it reports as soon as it has read a value, or at once.
///
/// # Errors
///
/// Fails if there is nothing to read.
pub fn child(how: &str, name: Option<String>) -> io::Result<()> {
    let value = match (how, name) {
        ("handed", None) => handoff::receive("frames")?.view()?.read(0)?,
        ("named", Some(name)) => SharedMemory::open(&*name)?.view()?.read(0)?,
        _ => 7_u8,
    };
    let mut output = io::stdout();
    output.write_all(&[value])?;
    output.flush()
}

fn command(how: &str, name: Option<&str>) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--child", how]).args(name).stdin(Stdio::null()).stdout(Stdio::piped());
    Ok(command)
}

/// Returns a command that starts its children as a hand-off does: on Unix it runs code between fork and exec,
/// so that the standard library cannot use `posix_spawn`.
#[cfg_attr(windows, allow(unused_mut))]
fn by_fork(mut command: Command) -> Command {
    #[cfg(unix)]
    // SAFETY: the closure does nothing, so it is async-signal-safe.
    unsafe {
        std::os::unix::process::CommandExt::pre_exec(&mut command, || Ok(()));
    }
    command
}

/// Returns the time from the start to the report.
fn time(start: impl FnOnce() -> io::Result<Child>) -> io::Result<Duration> {
    let before = Instant::now();
    let mut child = start()?;
    let mut word = [0];
    let output = child.stdout.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
    output.read_exact(&mut word)?;
    let time = before.elapsed();
    if word != [7] || !child.wait()?.success() {
        return Err(io::Error::other("the child read another value"));
    }
    Ok(time)
}

/// Prints the times of all sides, which take turns, and the differences.
///
/// # Errors
///
/// Fails if a child cannot be started.
pub fn compare() -> io::Result<()> {
    let memory = SharedMemory::anonymous(LEN)?;
    memory.view()?.write(&7_u8, 0)?;
    let name = format!("mmf-bench-{}", std::process::id());
    let named = SharedMemory::create(&*name, LEN)?;
    named.view()?.write(&7_u8, 0)?;
    let mut times = [const { Vec::new() }; 4];
    for _ in 0..ROUNDS {
        times[0].push(time(|| command("plain", None)?.spawn())?);
        times[1].push(time(|| by_fork(command("plain", None)?).spawn())?);
        times[2].push(time(|| command("handed", None)?.hand_off("frames", &memory)?.spawn())?);
        times[3].push(time(|| command("named", Some(&name))?.spawn())?);
    }
    println!("\nfrom the start of a child to its first read, in microseconds\n");
    println!("{:>26} {:>8} {:>8} {:>12}", "", "best", "median", "difference");
    let mut plain = None;
    let sides = ["plain, nothing to read", "plain, by fork (Unix)", "handed over", "by name"];
    for (what, times) in sides.iter().zip(&mut times) {
        times.sort_unstable();
        let [best, median] = [0, ROUNDS / 2].map(|at| times[at].as_secs_f64() * 1e6);
        let plain = *plain.get_or_insert(median);
        println!("{what:>26} {best:>8.0} {median:>8.0} {:>12.0}", median - plain);
    }
    Ok(())
}
