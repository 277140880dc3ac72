//! Hands a region without a name to a child process, or to any other process: one line on each side.
//!
//! ```no_run
//! use std::process::Command;
//!
//! use mmf::SharedMemory;
//! use mmf::handoff::CommandExt;
//!
//! // The parent gives the region a label, for this child alone …
//! let frames = SharedMemory::anonymous(64 << 20)?;
//! let child = Command::new("worker").hand_off("frames", &frames)?.spawn()?;
//!
//! // … by which the child receives it.
//! let frames = mmf::handoff::receive("frames")?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The receiver has the access with which the region was handed off: a `SharedMemory<ReadOnly>` can only be
//! [received read-only](receive_read_only). The region lives as long as any process holds it, so the giver
//! may drop it or end at once. No other process receives it, not even one that is started at the same time. A
//! child can hand off what it has received. A [`Ticket`] passes a region to a process that is already
//! running.
//!
//! # What the child finds
//!
//! The environment variable `MMF_HANDOFF_` and the label contains fields separated by colons. The first field
//! is the version, 1. `docs/handoff.md` shows how programs in C, C# and Python read it.
//!
//! | system | value | how the region is passed |
//! | --- | --- | --- |
//! | Unix | `1:fd:NUMBER:DEVICE:INODE:LENGTH:rw` | the child inherits the descriptor, which is marked for that only in the child, between fork and exec |
//! | Windows | `1:parcel:NAME:LENGTH:rw` | once the child runs, the handle is duplicated into it; a small named section, whose name cannot be guessed, contains its value |
//!
//! Inherited handles would be simpler on Windows, but *every* child that any thread starts at that moment
//! inherits an inheritable handle, unless the child has a list of handles. The standard library has no such
//! list yet.
//!
//! # What is checked
//!
//! What arrives is not trusted. It has to be the object that the giver meant, shared memory and not an
//! executable image, of the stated length, and with the stated access. A value that is forged, malformed or
//! out of date is an [`ErrorKind::InvalidTicket`], and never yields a handle of something else.

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

/// The prefix of the environment variables; the label follows.
pub const VARIABLE: &str = "MMF_HANDOFF_";

/// The longest label, in bytes.
const LONGEST_LABEL: usize = 64;

/// The labels, in capitals, whose regions this process has received. The environment still contains them, and
/// must not be changed while other threads could read it.
static RECEIVED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Extends [`Command`] to hand regions to its children.
pub trait CommandExt {
    /// Hands a region to the next child of this command, under a label.
    ///
    /// A label is 1 to 64 letters, digits, `_` and `-`. Two labels that differ only in case are the same.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidName`]: the text is not a valid label, or was used before for this command.
    /// Otherwise those of the system: for example, that the process has too many descriptors.
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

/// A command whose next child receives regions: returned by [`CommandExt::hand_off`].
#[derive(Debug)]
#[must_use = "no region is handed over before spawn is called"]
pub struct HandoffCommand<'a> {
    command: &'a mut Command,
    parcels: Vec<(String, system::Parcel)>,
}

impl HandoffCommand<'_> {
    /// Hands off one more region.
    ///
    /// # Errors
    ///
    /// Those of [`CommandExt::hand_off`].
    pub fn hand_off<A: Access>(mut self, label: &str, memory: &SharedMemory<A>) -> Result<Self, Error> {
        let label = check_label(label, Operation::HandOff)?;
        let variable = format!("{VARIABLE}{label}");
        if self.parcels.iter().any(|(used, _)| used.eq_ignore_ascii_case(&variable)) {
            let detail = format!("the label \"{label}\" is used twice: give each region its own");
            return Err(Error::new(Operation::HandOff, ErrorKind::InvalidName).with_detail(detail));
        }
        let parcel = system::Parcel::new(self.command, memory)?;
        self.parcels.push((variable, parcel));
        Ok(self)
    }

    /// Starts the child by [`Command::spawn`]. From then on the child holds the regions, even if this process
    /// ends.
    ///
    /// The command itself stays as it was: a child that it starts afterwards receives no region.
    ///
    /// # Errors
    ///
    /// Those of [`Command::spawn`]. If a region cannot be handed off, the child is killed and the error is
    /// returned.
    pub fn spawn(self) -> io::Result<Child> {
        // The child has no use for the variables of regions that this process has received, or that have one
        // of these labels in another case.
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
                // The child is of no use without the region.
                let _ = child.kill();
                let _ = child.wait();
                return Err(error.into());
            }
        }
        Ok(child)
    }

    /// Starts the child and waits until it ends, like [`Command::status`].
    ///
    /// # Errors
    ///
    /// Those of [`spawn`](HandoffCommand::spawn).
    pub fn status(self) -> io::Result<ExitStatus> {
        self.spawn()?.wait()
    }
}

/// Returns the label if it is valid.
fn check_label(label: &str, operation: Operation) -> Result<&str, Error> {
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !label.is_empty() && label.len() <= LONGEST_LABEL && label.bytes().all(is_fit) {
        return Ok(label);
    }
    let detail = format!(
        "invalid label \"{}\": use 1 to {LONGEST_LABEL} letters, digits, '_' and '-'",
        label.escape_default()
    );
    Err(Error::new(operation, ErrorKind::InvalidName).with_detail(detail))
}

/// Receives a region that was handed off to this process when it was started, for reading and writing. Each
/// region can be received once.
///
/// # Errors
///
/// - [`ErrorKind::NotFound`]: no region was handed off under this label, or it has been received already.
/// - [`ErrorKind::NotWritable`]: it was handed off read-only; [`receive_read_only`] succeeds.
/// - [`ErrorKind::InvalidTicket`]: the region is not what the variable states, or its giver ended before the
///   hand-off.
pub fn receive(label: &str) -> Result<SharedMemory<ReadWrite>, Error> {
    receive_as(label)
}

/// Receives a region that was handed off to this process when it was started, for reading.
///
/// # Errors
///
/// Those of [`receive`] except [`ErrorKind::NotWritable`].
pub fn receive_read_only(label: &str) -> Result<SharedMemory<ReadOnly>, Error> {
    receive_as(label)
}

fn receive_as<A: Access>(label: &str) -> Result<SharedMemory<A>, Error> {
    let operation = Operation::Receive;
    let label = check_label(label, operation)?;
    let fail = |kind, detail: String| Err(Error::new(operation, kind).with_detail(detail));
    // (The error is not about the name of a region.)
    let missing = |sentence: String| Err(Error::new(operation, ErrorKind::NotFound).with_sentence(sentence));
    let Some(value) = variable(label) else {
        return missing(match &labels()[..] {
            [] => format!(
                "cannot receive \"{label}\": no region was handed to this process; \
                 its parent has to start it with .hand_off(\"{label}\", &memory)"
            ),
            there => format!(
                "cannot receive \"{label}\": no region with this label was handed to this process; \
                 there is {}",
                there.join(", ")
            ),
        });
    };
    let note: Note = match value.to_str().and_then(|text| text.parse().ok()) {
        Some(note) => note,
        None => {
            let detail = format!("the variable {VARIABLE}{label} is malformed; only hand_off may set it");
            return fail(ErrorKind::InvalidTicket, detail);
        }
    };
    // The lock is held to the end, so that no two threads take the same region.
    let mut received = RECEIVED.lock().unwrap_or_else(PoisonError::into_inner);
    let key = label.to_ascii_uppercase();
    if received.contains(&key) {
        return missing(format!("\"{label}\" has been received already: keep it, or clone it"));
    }
    if writes_through::<A>() && !note.writable {
        let detail = "it was handed over read-only: use receive_read_only, or hand it over writable";
        return fail(ErrorKind::NotWritable, detail.to_owned());
    }
    let memory = system::take(&note, Origin::Environment)?;
    received.insert(key);
    Ok(memory)
}

/// Where a note was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Origin {
    /// The environment. The note may be there before the region is, and it may have been meant for the
    /// process that has started this one.
    Environment,
    /// A ticket. It was issued after the hand-off, and for this process.
    Ticket,
}

/// Returns the value of a label's variable in any letter case, because Windows ignores the case of variables.
fn variable(label: &str) -> Option<OsString> {
    std::env::var_os(format!("{VARIABLE}{label}")).or_else(|| {
        let is_it =
            |name: &str| name.strip_prefix(VARIABLE).is_some_and(|text| text.eq_ignore_ascii_case(label));
        std::env::vars_os().find_map(|(name, value)| name.to_str().is_some_and(is_it).then_some(value))
    })
}

/// Returns the labels of the regions that were handed off to this process when it was started, received or
/// not.
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
