//! What happened, for people and for programs.

use std::fmt::Write;
use std::process;
use std::time::Duration;

use mmf::{ErrorKind, Name, SharedMemory};
use serde_json::{Value, json};

use super::control::{Answer, Hello};
use super::{PIECE, Source, Way, rounds};
use crate::output::Failure;
use crate::size;

/// How long each [`Way`] took.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Times {
    /// Through and into memory that nobody has touched before.
    pub(super) first: [Duration; 3],
    /// Through and into the same memory once more.
    pub(super) again: [Duration; 3],
}

/// What is known so far.
#[derive(Debug)]
pub(super) struct Report {
    path: String,
    len: u64,
    name: Name,
    control: Name,
    made: u64,
    control_made: u64,
    peer: u64,
    peer_len: u64,
    peer_bits: u64,
    digest: [u8; 32],
    looked: Duration,
    times: Times,
    left: Vec<String>,
}

impl Report {
    pub(super) fn new(file: &Source, name: &Name, control: &Name) -> Self {
        Report {
            path: file.path.display().to_string(),
            len: file.len,
            name: name.clone(),
            control: control.clone(),
            made: 0,
            control_made: 0,
            peer: 0,
            peer_len: 0,
            peer_bits: 0,
            digest: [0; 32],
            looked: Duration::ZERO,
            times: Times::default(),
            left: Vec::new(),
        }
    }

    pub(super) fn made(&mut self, data: u64, control: u64) {
        (self.made, self.control_made) = (data, control);
    }

    pub(super) fn opened(&mut self, id: u32, hello: &Hello) {
        // A process may know itself by another number than the one that its parent knows.
        self.peer = if hello.process == 0 { id.into() } else { hello.process };
        (self.peer_len, self.peer_bits) = (hello.data_len, hello.bits);
    }

    pub(super) fn add(&mut self, lap: &Times) {
        for way in Way::ALL {
            self.times.first[way as usize] += lap.first[way as usize];
            self.times.again[way as usize] += lap.again[way as usize];
        }
    }

    pub(super) fn digested(&mut self, digest: [u8; 32]) {
        self.digest = digest;
    }

    /// Compares what the second process has seen with what the first one has sent.
    pub(super) fn compared(&mut self, answer: &Answer) -> Result<(), Failure> {
        self.looked = Duration::from_nanos(answer.nanoseconds);
        if answer.digest == self.digest {
            return Ok(());
        }
        let message = format!(
            "the second process saw other bytes in \"{}\" than were written: its SHA-256 is {}, and should be {}",
            self.name,
            hex(&answer.digest),
            hex(&self.digest)
        );
        Err(Failure::new("Demo", message))
    }

    /// Looks whether the names are gone.
    pub(super) fn gone(&mut self, names: &[&Name]) {
        for name in names {
            match SharedMemory::open_read_only(*name) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                _ => self.left.push(name.to_string()),
            }
        }
    }

    pub(super) fn file_lines(&self) -> String {
        let Report { path, len, .. } = self;
        let bytes = if *len < 1024 { String::new() } else { format!(" ({len} bytes)") };
        format!("file       {path}\n           {}{bytes}", size::show(*len))
    }

    pub(super) fn made_lines(&self) -> String {
        let [data, control] = [&self.name, &self.control].map(ToString::to_string);
        let widest = data.len().max(control.len());
        format!(
            "process 1  id {}, this one; made two memories:\n             {data:widest$}  {}\n             {control:widest$}  {}",
            process::id(),
            size::show(self.made),
            size::show(self.control_made),
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
            "process 1  wrote the file into the first memory\n\
             process 2  read it there, and answered through the second memory:\n\
             SHA-256    {}\n           \
             which is what process 1 has computed, too",
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
             First time: the memory and the buffer are new, and the system has yet to find\n\
             pages for them. A program that keeps its memory pays that once.",
            size::show(PIECE as u64),
        );
        match self.left.as_slice() {
            [] => text.push_str("\nNothing is left behind: both names are gone."),
            left => {
                let _ = write!(text, "\nStill there, so somebody else has them open: {}", left.join(", "));
            }
        }
        text
    }

    #[allow(clippy::cast_precision_loss, reason = "it is rounded to three digits")]
    fn speed(&self, time: Duration) -> f64 {
        self.len as f64 / time.as_secs_f64().max(1e-9) / 1e9
    }

    pub(super) fn document(&self) -> Value {
        let Times { first, again } = &self.times;
        let figures =
            |time: Duration| json!({ "seconds": time.as_secs_f64(), "gb_per_second": self.speed(time) });
        let way = |way: Way| json!({ "first": figures(first[way as usize]), "again": figures(again[way as usize]) });
        json!({
            "file": self.path,
            "length": self.len,
            "sha256": hex(&self.digest),
            "memory": { "name": self.name.to_string(), "length": self.made, "seen_length": self.peer_len },
            "control": { "name": self.control.to_string(), "length": self.control_made },
            "processes": {
                "parent": { "id": process::id(), "bits": usize::BITS },
                "child": { "id": self.peer, "bits": self.peer_bits },
            },
            "rounds": rounds(self.len),
            "sha256_seconds": self.looked.as_secs_f64(),
            "transfers": {
                "memory": way(Way::Memory),
                "pipe": way(Way::Pipe),
                "tcp": way(Way::Tcp),
            },
            "left_behind": self.left,
        })
    }
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
