//! The report on one name.

use super::facts::Question;
use super::finding::{Diagnosis, Severity};
use super::gather;
use crate::error::{Error, Operation};
use crate::holders::Holders;
use crate::name::{Name, ToName};
use crate::options::OpenOptions;
use crate::security::{Account, Security};
use crate::sys::{NameProbe, NameState};

/// A report on a name, made without opening the region for use: see [`examine`].
#[derive(Clone, Debug)]
pub struct NameReport {
    name: Name,
    probe: NameProbe,
    security: Option<Security>,
    diagnosis: Diagnosis,
}

impl NameReport {
    /// Returns the name that was examined.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Returns the type of the object that has the name: "shared memory", or for example "event" or
    /// "directory". `None` if no object has it, or if the type is unknown.
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

    /// Returns whether an object has the name.
    #[must_use]
    pub fn exists(&self) -> bool {
        !matches!(self.probe.state, NameState::Nothing | NameState::NoPlace)
    }

    /// Returns whether the region is stale: all its holders were killed, and the next open removes it
    /// (Linux).
    #[must_use]
    pub fn is_stale(&self) -> bool {
        matches!(self.probe.state, NameState::Stale { .. })
    }

    /// Returns the length in bytes, if known.
    #[must_use]
    pub fn len(&self) -> Option<u64> {
        self.probe.len
    }

    /// Returns whether the region exists but has no length yet, because its creator has not finished.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self.probe.state, NameState::Unfinished { .. })
    }

    /// Returns the owner, if known.
    #[must_use]
    pub fn owner(&self) -> Option<Account> {
        self.security.as_ref()?.owner()
    }

    /// Returns the access rights, if known.
    #[must_use]
    pub fn security(&self) -> Option<&Security> {
        self.security.as_ref()
    }

    /// Returns whether this process may read the region, according to the system.
    #[must_use]
    pub fn may_read(&self) -> bool {
        self.probe.may_read
    }

    /// Returns whether this process may write to the region, according to the system.
    #[must_use]
    pub fn may_write(&self) -> bool {
        self.probe.may_write
    }

    /// Returns the processes that hold the region, as far as they are visible (Linux). The search happens in
    /// this call: it examines every process of this user, and takes some milliseconds.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) on Windows and macOS, if no object has the
    /// name, and where there is no `/proc`.
    pub fn holders(&self) -> Result<Holders, Error> {
        Holders::of(self.probe.identity).map_err(|error| error.with_subject(&self.name))
    }

    /// Returns what prevents opening the region for reading and writing, and what to do about it.
    pub fn diagnosis(&self) -> &Diagnosis {
        &self.diagnosis
    }

    /// Returns whether the diagnosis contains a warning or an error.
    #[must_use]
    pub fn is_troubled(&self) -> bool {
        self.diagnosis.findings().iter().any(|finding| finding.severity() > Severity::Note)
    }
}

/// Examines a name: the object that has it, its length, owner and access rights, and what prevents this
/// process from using it. Nothing is opened for use or changed.
///
/// # Errors
///
/// The errors of [`Name::new`].
///
/// ```
/// let memory = mmf::SharedMemory::create("doc-examine-frames", 4096)?;
/// let report = mmf::diagnosis::examine("doc-examine-frames")?;
/// assert!(report.exists() && report.may_write());
/// assert_eq!(report.owner(), memory.security()?.owner());
/// # Ok::<(), mmf::Error>(())
/// ```
pub fn examine(name: impl ToName) -> Result<NameReport, Error> {
    let name = name.to_name()?;
    let options = OpenOptions::new();
    let question = Question { operation: Operation::Open, name: &name, write: true, options: &options };
    let (facts, diagnosis) = gather::study(question);
    Ok(NameReport { probe: facts.here, security: facts.security, diagnosis, name })
}
