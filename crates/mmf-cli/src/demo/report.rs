//! What happened, for people and for programs.

use std::fmt::Write;
use std::process;
use std::time::Duration;

use mmf::{ErrorKind, Name, SharedMemory};
use serde_json::{Value, json};

use super::control::{Answer, Hello};
use super::{Source, Way, rounds};
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
        self.peer_len = hello.data_len;
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

    pub(super) fn headline(&self) -> String {
        format!("Sharing {}\n", self.path)
    }

    pub(super) fn made_lines(&self) -> String {
        let Report { name, control, .. } = self;
        let id = process::id();
        format!(
            "process {id:<8} made      {name}\n{:26}{} ({} bytes)\n{:16} and      {control}\n{:26}{}",
            "",
            size::show(self.made),
            self.made,
            "",
            "",
            size::show(self.control_made),
        )
    }

    pub(super) fn opened_lines(&self) -> String {
        format!("process {:<8} opened    both by name, the first one read-only", self.peer)
    }

    pub(super) fn digest_lines(&self) -> String {
        let hex = hex(&self.digest);
        format!(
            "process {:<8} wrote     {} of the file\nprocess {:<8} read      the same: SHA-256\n{:26}{}\n{:26}{}\n",
            process::id(),
            size::show(self.len),
            self.peer,
            "",
            &hex[..32],
            "",
            &hex[32..],
        )
    }

    pub(super) fn end_lines(&self) -> String {
        let Times { first, again } = &self.times;
        let mut text = format!("{:18} {:^26} {:^26}\n", "", "first time", "again");
        for (way, title) in Way::ALL.into_iter().zip(["shared memory", "pipe", "TCP on loopback"]) {
            let (first, again) = (first[way as usize], again[way as usize]);
            let _ = writeln!(
                text,
                "{title:18} {:>12} {:>13} {:>12} {:>13}",
                show_time(first),
                self.show_speed(first),
                show_time(again),
                self.show_speed(again)
            );
        }
        text
    }

    #[allow(clippy::cast_precision_loss, reason = "it is rounded to three digits")]
    fn speed(&self, time: Duration) -> f64 {
        self.len as f64 / time.as_secs_f64().max(1e-9) / 1e9
    }

    fn show_speed(&self, time: Duration) -> String {
        format!("{:.2} GB/s", self.speed(time))
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
            "processes": { "parent": process::id(), "child": self.peer },
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

fn ratio(of: Duration, to: Duration) -> String {
    format!("{:.1}", of.as_secs_f64() / to.as_secs_f64().max(1e-9))
}

fn show_time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds >= 1.0 { format!("{seconds:.3} s") } else { format!("{:.3} ms", seconds * 1e3) }
}
