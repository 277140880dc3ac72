//! One name, looked at from all sides.

use super::facts::Question;
use super::finding::{Diagnosis, Severity};
use super::gather;
use crate::error::{Error, Operation};
use crate::holders::Holders;
use crate::name::{Name, ToName};
use crate::options::OpenOptions;
use crate::security::{Account, Security};
use crate::sys::{NameProbe, NameState};

/// What can be learnt about a name without opening what has it: see [`examine`].
#[derive(Clone, Debug)]
pub struct NameReport {
    name: Name,
    probe: NameProbe,
    security: Option<Security>,
    diagnosis: Diagnosis,
}

impl NameReport {
    /// The name that was looked at.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// What has the name: "shared memory", or for example "event" or "directory". None if nothing has it, or if it cannot
    /// be learnt.
    #[must_use]
    pub fn kind(&self) -> Option<&str> {
        match &self.probe.state {
            NameState::Nothing | NameState::Hidden | NameState::NoPlace => None,
            NameState::Other(kind) => Some(kind),
            NameState::Memory
            | NameState::Unfinished { .. }
            | NameState::Stale { .. }
            | NameState::Strangers
            | NameState::Linked => Some("shared memory"),
        }
    }

    /// Whether something has the name.
    #[must_use]
    pub fn exists(&self) -> bool {
        !matches!(self.probe.state, NameState::Nothing | NameState::NoPlace)
    }

    /// Whether all its holders were killed: it is about to go (Linux).
    #[must_use]
    pub fn is_stale(&self) -> bool {
        matches!(self.probe.state, NameState::Stale { .. })
    }

    /// Its length in bytes, if it can be learnt.
    #[must_use]
    pub fn len(&self) -> Option<u64> {
        self.probe.len
    }

    /// Whether it exists without a byte: its maker is not done.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self.probe.state, NameState::Unfinished { .. })
    }

    /// Whose it is, if it can be learnt.
    #[must_use]
    pub fn owner(&self) -> Option<Account> {
        self.security.as_ref()?.owner()
    }

    /// Who may do what with it, if it can be learnt.
    #[must_use]
    pub fn security(&self) -> Option<&Security> {
        self.security.as_ref()
    }

    /// Whether this process may read it: asked of the system itself.
    #[must_use]
    pub fn may_read(&self) -> bool {
        self.probe.may_read
    }

    /// Whether this process may write it: asked of the system itself.
    #[must_use]
    pub fn may_write(&self) -> bool {
        self.probe.may_write
    }

    /// The processes that hold it, as far as they can be seen (Linux): asked when this is called, of what was found under the
    /// name. It looks into every process of this user, and takes some milliseconds.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) on Windows and macOS, where nothing has the name, and where there is
    /// no `/proc`.
    pub fn holders(&self) -> Result<Holders, Error> {
        Holders::of(self.probe.identity).map_err(|error| error.with_subject(&self.name))
    }

    /// What stands in the way of opening it to read and write, and what to do about it.
    pub fn diagnosis(&self) -> &Diagnosis {
        &self.diagnosis
    }

    /// Whether anything stands in the way.
    #[must_use]
    pub fn is_troubled(&self) -> bool {
        self.diagnosis.findings().iter().any(|finding| finding.severity() > Severity::Note)
    }
}

/// Looks at a name from all sides: what has it, how long it is, whose it is, who may do what, and what stands in the way of
/// this process. Nothing is opened for use or changed.
///
/// # Errors
///
/// What [`Name::new`] says about the name.
///
/// ```
/// let memory = mmf::SharedMemory::create("doc-examine-frames", 4096)?;
/// let examination = mmf::diagnosis::examine("doc-examine-frames")?;
/// assert!(examination.exists() && examination.may_write());
/// assert_eq!(examination.owner(), memory.security()?.owner());
/// # Ok::<(), mmf::Error>(())
/// ```
pub fn examine(name: impl ToName) -> Result<NameReport, Error> {
    let name = name.to_name()?;
    let options = OpenOptions::new();
    let question = Question { operation: Operation::Open, name: &name, write: true, options: &options };
    let (facts, diagnosis) = gather::study(question);
    Ok(NameReport { probe: facts.here, security: facts.security, diagnosis, name })
}
