//! The results, as text and as JSON.

use std::fmt::Write;
use std::process;
use std::time::Duration;

use mmf::{ErrorKind, Name, SharedMemory};
use serde::Serialize;

use super::control::{Answer, Hello};
use super::plan::{PIECE, Source, Way, rounds};
use crate::output::Failure;
use crate::size;

/// The time of each [`Way`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Times {
    /// With a region and a buffer whose pages were untouched.
    pub(super) first: [Duration; 3],
    /// With the same region and buffer once more.
    pub(super) again: [Duration; 3],
}

/// The results so far.
#[derive(Debug)]
pub(super) struct Report {
    path: String,
    len: u64,
    name: Name,
    control: Name,
    created_len: u64,
    control_len: u64,
    peer: u64,
    peer_len: u64,
    peer_bits: u64,
    digest: [u8; 32],
    digest_time: Duration,
    times: Times,
    left_over: Vec<String>,
}

impl Report {
    pub(super) fn new(file: &Source, name: &Name, control: &Name) -> Self {
        Report {
            path: file.path.display().to_string(),
            len: file.len,
            name: name.clone(),
            control: control.clone(),
            created_len: 0,
            control_len: 0,
            peer: 0,
            peer_len: 0,
            peer_bits: 0,
            digest: [0; 32],
            digest_time: Duration::ZERO,
            times: Times::default(),
            left_over: Vec::new(),
        }
    }

    pub(super) fn set_created(&mut self, data: u64, control: u64) {
        (self.created_len, self.control_len) = (data, control);
    }

    pub(super) fn set_opened(&mut self, id: u32, hello: &Hello) {
        // A process can have another id in its own namespace than in its parent's.
        self.peer = if hello.process == 0 { id.into() } else { hello.process };
        (self.peer_len, self.peer_bits) = (hello.data_len, hello.bits);
    }

    pub(super) fn add(&mut self, part: &Times) {
        for way in Way::ALL {
            self.times.first[way as usize] += part.first[way as usize];
            self.times.again[way as usize] += part.again[way as usize];
        }
    }

    pub(super) fn set_digest(&mut self, digest: [u8; 32]) {
        self.digest = digest;
    }

    /// Compares the digest of the second process with that of the first.
    pub(super) fn compare(&mut self, answer: &Answer) -> Result<(), Failure> {
        self.digest_time = Duration::from_nanos(answer.nanoseconds);
        if answer.digest == self.digest {
            return Ok(());
        }
        let message = format!(
            "the second process read other bytes from \"{}\" than were written: \
             its SHA-256 is {}, expected {}",
            self.name,
            hex(&answer.digest),
            hex(&self.digest)
        );
        Err(Failure::new("demo", message))
    }

    /// Finds names that still exist.
    pub(super) fn find_left_over(&mut self, names: &[&Name]) {
        for name in names {
            match SharedMemory::open_read_only(*name) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                _ => self.left_over.push(name.to_string()),
            }
        }
    }

    pub(super) fn file_lines(&self) -> String {
        let Report { path, len, .. } = self;
        let bytes = if *len < 1024 { String::new() } else { format!(" ({len} bytes)") };
        format!("file       {path}\n           {}{bytes}", size::show(*len))
    }

    pub(super) fn created_lines(&self) -> String {
        let [data, control] = [&self.name, &self.control].map(ToString::to_string);
        let widest = data.len().max(control.len());
        format!(
            "process 1  id {}, this one; created two regions:\n\
             {:13}{data:widest$}  {}\n\
             {:13}{control:widest$}  {}",
            process::id(),
            "",
            size::show(self.created_len),
            "",
            size::show(self.control_len),
        )
    }

    pub(super) fn opened_lines(&self) -> String {
        let width = match self.peer_bits {
            bits if bits == u64::from(usize::BITS) => String::new(),
            bits => format!(" ({bits}-bit)"),
        };
        format!("process 2  id {}{width}; opened both by name, the first one read-only", self.peer)
    }

    pub(super) fn digest_lines(&self) -> String {
        format!(
            "process 1  wrote the file into the first region\n\
             process 2  read it there and reported through the second region:\n\
             SHA-256    {}\n           \
             which equals the digest that process 1 computed",
            hex(&self.digest),
        )
    }

    pub(super) fn end_lines(&self) -> String {
        let Times { first, again } = &self.times;
        let mut text = format!("\n{:18} {:>11} {:>14} {:>15}\n", "", "time", "speed", "first time");
        for (way, title) in Way::ALL.into_iter().zip(["shared memory", "pipe", "TCP on loopback"]) {
            let (first, again) = (first[way as usize], again[way as usize]);
            let speed = format!("{:.2} GB/s", self.speed(again));
            let _ =
                writeln!(text, "{title:18} {:>11} {speed:>14} {:>15}", show_time(again), show_time(first));
        }
        let times_as_fast = |way: Way| {
            let seconds = |way: Way| again[way as usize].as_secs_f64().max(1e-9);
            format!("{:.1} times as fast", seconds(way) / seconds(Way::Memory))
        };
        let _ = writeln!(
            text,
            "\nShared memory is {} as the pipe\nand {} as TCP.",
            times_as_fast(Way::Pipe),
            times_as_fast(Way::Tcp)
        );
        let rounds = match rounds(self.len) {
            1 => String::new(),
            rounds => format!("\nThe times are medians of {rounds}."),
        };
        let _ = writeln!(
            text,
            "\nTimed: from a buffer of process 1 until the last byte is in one of process 2, in\n\
             pieces of {}. Reading the file and SHA-256 are not part of it.{rounds}\n\
             First time: the region and the buffer are new, and the system still has to\n\
             provide their pages. A program that keeps its region pays that once.",
            size::show(PIECE as u64),
        );
        match self.left_over.as_slice() {
            [] => text.push_str("\nNothing is left over: both names are gone."),
            left => {
                let _ =
                    write!(text, "\nStill existing, so another process has them open: {}", left.join(", "));
            }
        }
        text
    }

    #[allow(clippy::cast_precision_loss, reason = "rounded to three digits")]
    fn speed(&self, time: Duration) -> f64 {
        self.len as f64 / time.as_secs_f64().max(1e-9) / 1e9
    }

    pub(super) fn document(&self) -> Document<'_> {
        let Times { first, again } = &self.times;
        let figures =
            |time: Duration| Figures { seconds: time.as_secs_f64(), gb_per_second: self.speed(time) };
        let way =
            |way: Way| Transfer { first: figures(first[way as usize]), again: figures(again[way as usize]) };
        Document {
            file: &self.path,
            length: self.len,
            sha256: hex(&self.digest),
            region: Region { name: self.name.to_string(), length: self.created_len },
            seen_length: self.peer_len,
            control: Region { name: self.control.to_string(), length: self.control_len },
            processes: Processes {
                parent: Process { id: process::id().into(), bits: usize::BITS.into() },
                child: Process { id: self.peer, bits: self.peer_bits },
            },
            rounds: rounds(self.len),
            sha256_seconds: self.digest_time.as_secs_f64(),
            transfers: Transfers { memory: way(Way::Memory), pipe: way(Way::Pipe), tcp: way(Way::Tcp) },
            left_over: &self.left_over,
        }
    }
}

/// The JSON document.
#[derive(Serialize)]
pub(super) struct Document<'r> {
    file: &'r str,
    length: u64,
    sha256: String,
    region: Region,
    seen_length: u64,
    control: Region,
    processes: Processes,
    rounds: u64,
    sha256_seconds: f64,
    transfers: Transfers,
    left_over: &'r [String],
}

#[derive(Serialize)]
struct Region {
    name: String,
    length: u64,
}

#[derive(Serialize)]
struct Processes {
    parent: Process,
    child: Process,
}

#[derive(Serialize)]
struct Process {
    id: u64,
    bits: u64,
}

#[derive(Serialize)]
struct Transfers {
    memory: Transfer,
    pipe: Transfer,
    tcp: Transfer,
}

#[derive(Serialize)]
struct Transfer {
    first: Figures,
    again: Figures,
}

#[derive(Serialize)]
struct Figures {
    seconds: f64,
    gb_per_second: f64,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn show_time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds >= 1.0 { format!("{seconds:.3} s") } else { format!("{:.3} ms", seconds * 1e3) }
}
