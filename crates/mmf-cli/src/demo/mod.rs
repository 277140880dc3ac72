//! `mmf demo`: a file, a named memory, two processes; and what else it could have gone through.
//!
//! `control` is what the processes say to each other, `parent` and `child` are the two sides, `report` is what is printed.

mod child;
mod control;
mod parent;
mod report;
mod wait;

use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use mmf::{ErrorKind, Name, SharedMemory, View};
use sha2::{Digest, Sha256};

use crate::args::Demo;
use crate::output::{Failure, Output};
use control::{Answer, Control, Task};
use parent::{Lap, Peer};
use report::{Report, Times};

pub(crate) use child::run as peer;

/// How much is written or read at a time, in all three ways. Through memory, 64 KiB to 2 MiB make no difference.
const PIECE: usize = 1 << 20;
/// A file goes through in parts of this length, so that buffers need little memory beside the file's own, and any file fits
/// the address space of a 32-bit process. Much larger than caches, so that the parts are as slow as the whole.
const LAP: usize = 128 << 20;
/// How often a file of one part is sent each way: the shorter, the more often. A longer one gives steady figures by itself.
const ROUNDS: std::ops::RangeInclusive<u64> = 5..=25;
/// A demo that is over by then needs no progress bar.
const PATIENCE: Duration = Duration::from_millis(700);

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

pub(crate) fn run(args: &Demo, output: Output) -> Result<(), Failure> {
    let own = || {
        std::env::current_exe().map_err(|e| Failure::io("find this program's own file", &e, "name a file"))
    };
    let path = args.file.clone().map_or_else(own, Ok)?;
    let program = args.peer.clone().map_or_else(own, Ok)?;
    let mut file = Source::open(path)?;
    // The default would end this process at once, and leave to others what it should clean up itself.
    ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::Relaxed)).map_err(|error| {
        Failure::new("Io", format!("cannot listen for Ctrl-C: {error}; run it elsewhere"))
    })?;

    let name = Name::new(&format!("mmf-demo-{}-{:08x}", process::id(), random() & 0xffff_ffff))?;
    let control_name = Name::new(&format!("{}-control", name.text()))?;
    let mut report = Report::new(&file, &name, &control_name);
    output.say(report.file_lines())?;

    // Declared before the peer, and so dropped after it: the last holder takes the names along.
    let data = SharedMemory::create(&name, file.len).map_err(|error| file.too_large(error))?;
    let control_memory = SharedMemory::create(&control_name, control::LEN)?;
    let control = Control::new(control_memory.view()?);
    report.made(data.len(), control_memory.len());
    output.say(report.made_lines())?;

    let mut peer = Peer::start(&program, &name, &control_name, control, &INTERRUPTED)?;
    let hello = peer.hello()?;
    report.opened(peer.id(), &hello);
    output.say(report.opened_lines())?;

    let bar = Bar::new(file.len, output);
    let answer = share(&mut file, &data, &mut peer, &bar, &mut report);
    bar.clear();
    let answer = answer?;
    report.compared(&answer)?;
    output.say(report.digest_lines())?;
    peer.end()?;
    drop(control_memory);
    drop(data);
    report.gone(&[&name, &control_name]);
    output.print(&report.document(), report.end_lines())
}

/// Sends all parts of the file all ways.
fn share(
    file: &mut Source,
    data: &SharedMemory,
    peer: &mut Peer,
    bar: &Bar,
    report: &mut Report,
) -> Result<Answer, Failure> {
    peer.connect()?;
    let mut sha = Sha256::new();
    let lap_len = usize::try_from(file.len).unwrap_or(LAP).min(LAP);
    let mut buffer = fresh_buffer(lap_len)?;
    let rounds = rounds(file.len);
    let mut offset = 0;
    loop {
        let len = lap_len.min(usize::try_from(file.len - offset).unwrap_or(LAP));
        let source = &mut buffer[..len];
        file.read(source)?;
        let view: View = data.view_at(offset, len)?;
        let lap = Lap { offset, source, view: &view };
        let time = |peer: &mut Peer, task, fresh| {
            let time = peer.transfer(task, fresh, &lap);
            bar.advance(len);
            time
        };
        let mut first = [Duration::ZERO; 3];
        for (way, first) in Way::ALL.into_iter().zip(&mut first) {
            *first = time(peer, way.task(), true)?;
        }
        let answer = peer.look(&lap, || sha.update(lap.source))?;
        bar.advance(len);
        // In turns, so that what else the machine does meets all of them.
        let mut again = [const { Vec::new() }; 3];
        for _ in 0..rounds {
            for (way, again) in Way::ALL.into_iter().zip(&mut again) {
                again.push(time(peer, way.task(), false)?);
            }
        }
        let times = Times { first, again: again.map(median) };
        report.add(&times);
        offset += len as u64;
        if offset == file.len {
            report.digested(sha.finalize().into());
            return Ok(answer);
        }
    }
}

fn rounds(len: u64) -> u64 {
    let lap = LAP as u64;
    if len > lap { 1 } else { (lap / len.max(1)).clamp(*ROUNDS.start(), *ROUNDS.end()) }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// What the bytes can go through.
#[derive(Clone, Copy, Debug)]
enum Way {
    Memory,
    Pipe,
    Tcp,
}

impl Way {
    const ALL: [Way; 3] = [Way::Memory, Way::Pipe, Way::Tcp];

    fn task(self) -> Task {
        match self {
            Way::Memory => Task::Memory,
            Way::Pipe => Task::Pipe,
            Way::Tcp => Task::Tcp,
        }
    }
}

/// The file.
struct Source {
    path: PathBuf,
    file: File,
    len: u64,
}

impl Source {
    fn open(path: PathBuf) -> Result<Self, Failure> {
        let fail = |kind, path: &Path, why: &str| {
            Failure::new(kind, format!("cannot share \"{}\": {why}; choose another file", path.display()))
        };
        let shown = format!("\"{}\"", path.display());
        let file =
            File::open(&path).map_err(|e| Failure::io(format!("open {shown}"), &e, "check the path"))?;
        let data = file.metadata().map_err(|e| Failure::io(format!("examine {shown}"), &e, ""))?;
        if !data.is_file() {
            return Err(fail("Io", &path, "this is not a file"));
        }
        if data.len() == 0 {
            return Err(fail(
                "ZeroLength",
                &path,
                "the file is empty, and a shared memory has at least one byte",
            ));
        }
        Ok(Source { path, file, len: data.len() })
    }

    fn read(&mut self, to: &mut [u8]) -> Result<(), Failure> {
        for piece in to.chunks_mut(PIECE) {
            if INTERRUPTED.load(Ordering::Relaxed) {
                return Err(Failure::interrupted());
            }
            let shown = self.path.display();
            self.file.read_exact(piece).map_err(|e| {
                Failure::io(format!("read \"{shown}\""), &e, "if it is changing, try again later")
            })?;
        }
        Ok(())
    }

    /// The library knows the memory; that it is about a file is known here.
    fn too_large(&self, error: mmf::Error) -> Failure {
        let kind = error.kind();
        let failure = Failure::from(error);
        if matches!(kind, ErrorKind::OutOfMemory | ErrorKind::TooLarge) {
            let (shown, size) = (self.path.display(), crate::size::show(self.len));
            failure.with(&format!(
                "; \"{shown}\" has {size}, and all of it goes into memory: choose a smaller file"
            ))
        } else {
            failure
        }
    }
}

/// A buffer of zeros, with pages that nobody has touched yet (if it is large enough to have its own).
fn fresh_buffer(len: usize) -> Result<Vec<u8>, Failure> {
    // Asked for in vain, `vec!` would end the process.
    let mut probe: Vec<u8> = Vec::new();
    probe.try_reserve_exact(len).map_err(|_| {
        let size = crate::size::show(len as u64);
        Failure::new(
            "OutOfMemory",
            format!("cannot get a buffer of {size}: there is not enough memory; end what holds it"),
        )
    })?;
    // Looked at, so that the compiler does not leave out what seems to be of no use.
    drop(std::hint::black_box(probe));
    Ok(vec![0; len])
}

/// A number that nobody else will think of.
fn random() -> u64 {
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u128(std::time::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_nanos()));
    hasher.finish()
}

/// How far it is, on a terminal, if it takes long. Moved only between transfers, never within one.
struct Bar {
    bar: ProgressBar,
    started: Instant,
    wanted: bool,
}

impl Bar {
    fn new(len: u64, output: Output) -> Self {
        // Once to look, and each way once and then in rounds.
        let all = len * (1 + 3 * (1 + rounds(len)));
        let bar = ProgressBar::with_draw_target(Some(all), ProgressDrawTarget::hidden());
        let style = ProgressStyle::with_template("  {bar:48} {percent:>3} %  {eta} left");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
        let wanted = !output.json && std::io::stderr().is_terminal();
        Bar { bar, started: Instant::now(), wanted }
    }

    fn advance(&self, bytes: usize) {
        if self.wanted && self.bar.is_hidden() && self.started.elapsed() > PATIENCE {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.bar.inc(bytes as u64);
    }

    fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
