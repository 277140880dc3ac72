//! HandoffCommand memory to a child process, or to any other, without a name: one line on each side.
//!
//! ```no_run
//! use std::process::Command;
//!
//! use mmf::SharedMemory;
//! use mmf::handoff::CommandExt;
//!
//! // The parent gives the memory a label, for this child alone …
//! let frames = SharedMemory::anonymous(64 << 20)?;
//! let child = Command::new("worker").hand_off("frames", &frames)?.spawn()?;
//!
//! // … by which the child receives it.
//! let frames = mmf::handoff::receive("frames")?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The receiver gets the rights that the memory was given with: what is handed on as `SharedMemory<ReadOnly>` can only be
//! [received read-only](receive_read_only). The memory lives as long as anybody holds it, so the giver may let go or end at once.
//! No other process gets it, also none that is started at the same moment. A child can hand on what it has received. To processes
//! that run already, a [`Ticket`] goes by whatever way there is.
//!
//! # What the child finds
//!
//! The environment variable `MMF_HANDOFF_` and the label holds fields with colons in between; the first is the version, 1.
//! `docs/handoff.md` shows how programs in C, C# and Python read it.
//!
//! | system | value | how it gets there |
//! | --- | --- | --- |
//! | Unix | `1:fd:NUMBER:DEVICE:INODE:LENGTH:rw` | the child inherits the descriptor: only in the child, between fork and exec, it is told to stay open |
//! | Windows | `1:parcel:NAME:LENGTH:rw` | once the child runs, the handle is duplicated into it; a small named section, whose name nobody can guess, tells its number |
//!
//! Inheriting handles would be simpler on Windows, but whatever is inheritable is inherited by *every* child that any thread
//! starts at that moment, unless a list of handles limits it; and the standard library offers no such list yet.
//!
//! # What is checked
//!
//! What arrives is not trusted: it must be the object that the giver meant, a memory and no executable image, as long as it says,
//! with the rights that it claims. A value that is forged, garbled or out of date is an
//! [`ErrorKind::InvalidTicket`], never somebody else's handle.

mod note;
#[cfg(unix)]
#[path = "unix.rs"]
mod system;
#[cfg(windows)]
#[path = "windows.rs"]
mod system;
mod ticket;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Mutex, PoisonError};

use crate::access::{Access, ReadOnly, ReadWrite, writes_through};
use crate::error::{Error, ErrorKind, Operation};
use crate::memory::SharedMemory;

use note::Note;
pub use ticket::Ticket;

/// What the names of the environment variables start with; the label follows.
pub const VARIABLE: &str = "MMF_HANDOFF_";

/// The longest label, in bytes.
const LONGEST_LABEL: usize = 64;

/// Labels, in capitals, whose memory this process has received. The environment still names it, and may not be changed while
/// other threads could read it.
static RECEIVED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Hands regions to the children of a [`Command`].
pub trait CommandExt {
    /// Gives a memory to the next child of this command, under a label.
    ///
    /// A label is 1 to 64 letters, digits, `_` and `-`. Two labels that differ only in upper and lower case are the same.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidName`]: the label is none, or is used twice. Otherwise what the system says: for example that there
    /// are too many descriptors.
    fn hand_off<A: Access>(
        &mut self,
        label: &str,
        memory: &SharedMemory<A>,
    ) -> Result<HandoffCommand<'_>, Error>;
}

impl CommandExt for Command {
    fn hand_off<A: Access>(
        &mut self,
        label: &str,
        memory: &SharedMemory<A>,
    ) -> Result<HandoffCommand<'_>, Error> {
        HandoffCommand { command: self, parcels: Vec::new() }.hand_off(label, memory)
    }
}

/// A command whose next child gets memory: see [`CommandExt::hand_off`].
#[derive(Debug)]
#[must_use = "nothing is handed over until it spawns"]
pub struct HandoffCommand<'a> {
    command: &'a mut Command,
    parcels: Vec<(String, system::Parcel)>,
}

impl HandoffCommand<'_> {
    /// Gives it one more memory.
    ///
    /// # Errors
    ///
    /// As [`CommandExt::hand_off`].
    pub fn hand_off<A: Access>(mut self, label: &str, memory: &SharedMemory<A>) -> Result<Self, Error> {
        let label = check_label(label, Operation::HandOff)?;
        let variable = format!("{VARIABLE}{label}");
        if self.parcels.iter().any(|(used, _)| used.eq_ignore_ascii_case(&variable)) {
            let detail = format!("the label \"{label}\" is used twice; give each memory another one");
            return Err(Error::new(Operation::HandOff, ErrorKind::InvalidName).with_detail(detail));
        }
        let parcel = system::Parcel::new(self.command, memory)?;
        self.parcels.push((variable, parcel));
        Ok(self)
    }

    /// Starts the child: [`Command::spawn`]. The memories are its own from then on, whatever becomes of this process.
    ///
    /// The command itself stays as it was: a child that it starts afterwards gets nothing.
    ///
    /// # Errors
    ///
    /// As [`Command::spawn`]; and if the memories cannot be handed over, in which case the child is ended again.
    pub fn spawn(self) -> io::Result<Child> {
        // What this process was given itself and is of no use to the child: what has been received, and what has one of these
        // labels in other letters.
        let received = RECEIVED.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (name, _) in std::env::vars_os() {
            let Some(label) = name.to_str().and_then(|name| name.strip_prefix(VARIABLE)) else { continue };
            let is_given_anew =
                |(variable, _): &(String, _)| variable[VARIABLE.len()..].eq_ignore_ascii_case(label);
            if received.contains(&label.to_ascii_uppercase()) || self.parcels.iter().any(is_given_anew) {
                self.command.env_remove(name);
            }
        }
        for (variable, parcel) in &self.parcels {
            self.command.env(variable, parcel.note().to_string());
        }
        let spawned = self.command.spawn();
        for (variable, _) in &self.parcels {
            self.command.env_remove(variable);
        }
        let mut child = spawned?;
        for (_, parcel) in &self.parcels {
            if let Err(error) = parcel.deliver(&child) {
                // It can be of no use without.
                let _ = child.kill();
                let _ = child.wait();
                return Err(error.into());
            }
        }
        Ok(child)
    }

    /// Starts the child and waits for its end: [`Command::status`].
    ///
    /// # Errors
    ///
    /// As [`spawn`](HandoffCommand::spawn).
    pub fn status(self) -> io::Result<ExitStatus> {
        self.spawn()?.wait()
    }
}

/// A label as variables have it.
fn check_label(label: &str, operation: Operation) -> Result<&str, Error> {
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !label.is_empty() && label.len() <= LONGEST_LABEL && label.bytes().all(is_fit) {
        return Ok(label);
    }
    let detail = format!(
        "\"{}\" is no label: use 1 to {LONGEST_LABEL} letters, digits, '_' and '-'",
        label.escape_default()
    );
    Err(Error::new(operation, ErrorKind::InvalidName).with_detail(detail))
}

/// Receives a memory that the process was started with, to read and write it. Each can be received once.
///
/// # Errors
///
/// - [`ErrorKind::NotFound`]: nothing was handed over under this label; or it has been received already.
/// - [`ErrorKind::NotWritable`]: it was handed over for reading only; [`receive_read_only`] would do.
/// - [`ErrorKind::InvalidTicket`]: what was handed over is not what it says, or whoever should have handed it over has ended
///   before.
pub fn receive(label: &str) -> Result<SharedMemory<ReadWrite>, Error> {
    receive_as(label)
}

/// Receives a memory that the process was started with, to read it.
///
/// # Errors
///
/// As [`receive`], but for [`ErrorKind::NotWritable`].
pub fn receive_read_only(label: &str) -> Result<SharedMemory<ReadOnly>, Error> {
    receive_as(label)
}

fn receive_as<A: Access>(label: &str) -> Result<SharedMemory<A>, Error> {
    let operation = Operation::Receive;
    let label = check_label(label, operation)?;
    let fail = |kind, detail: String| Err(Error::new(operation, kind).with_detail(detail));
    // (It is not about a name.)
    let missing = |sentence: String| Err(Error::new(operation, ErrorKind::NotFound).with_sentence(sentence));
    let Some(value) = variable(label) else {
        return missing(match &labels()[..] {
            [] => format!(
                "cannot receive \"{label}\": nothing was handed to this process; \
                 its parent has to start it with .hand_off(\"{label}\", &memory)"
            ),
            there => format!(
                "cannot receive \"{label}\": nothing of this label was handed to this process; there is {}",
                there.join(", ")
            ),
        });
    };
    let note: Note = match value.to_str().and_then(|text| text.parse().ok()) {
        Some(note) => note,
        None => {
            let detail =
                format!("the variable {VARIABLE}{label} is garbled; nobody should set it but hand_off");
            return fail(ErrorKind::InvalidTicket, detail);
        }
    };
    // Under the lock to its end, so that no two threads take the same.
    let mut received = RECEIVED.lock().unwrap_or_else(PoisonError::into_inner);
    let key = label.to_ascii_uppercase();
    if received.contains(&key) {
        return missing(format!("\"{label}\" has been received already: keep it, or clone it"));
    }
    if writes_through::<A>() && !note.writable {
        let detail = "it was handed over for reading only: use receive_read_only, or hand it over writable";
        return fail(ErrorKind::NotWritable, detail.to_owned());
    }
    let memory = system::take(&note, Origin::Environment)?;
    received.insert(key);
    Ok(memory)
}

/// Where a note was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Origin {
    /// It may be there before the memory is; and it may have been meant for the process that has started this one.
    Environment,
    /// It was given out when the memory had been handed over, and to this process.
    Ticket,
}

/// The value of a label's variable, in whatever letters that is written: Windows does not tell them apart.
fn variable(label: &str) -> Option<OsString> {
    std::env::var_os(format!("{VARIABLE}{label}")).or_else(|| {
        let is_it =
            |name: &str| name.strip_prefix(VARIABLE).is_some_and(|text| text.eq_ignore_ascii_case(label));
        std::env::vars_os().find_map(|(name, value)| name.to_str().is_some_and(is_it).then_some(value))
    })
}

/// The labels of the memories that this process was started with, received or not.
///
/// ```
/// for label in mmf::handoff::labels() {
///     println!("{label}");
/// }
/// ```
#[must_use]
pub fn labels() -> Vec<String> {
    let labels = std::env::vars_os().filter_map(|(name, _)| {
        let label = name.to_str()?.strip_prefix(VARIABLE)?.to_owned();
        check_label(&label, Operation::Receive).is_ok().then_some(label)
    });
    let mut labels: Vec<String> = labels.collect();
    labels.sort_unstable();
    labels
}
