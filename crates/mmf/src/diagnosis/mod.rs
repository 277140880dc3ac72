//! Why something was refused, and whether it would be: found out without changing anything.
//!
//! `facts` asks the system, `rules` make findings of facts (and of nothing else, so recorded facts test them), `cause` says
//! them in words. An [`Error`] carries what was found; [`OpenOptions::check_open`](crate::OpenOptions::check_open)
//! and its like ask before anything is done; [`examine`] and [`environment()`] are for tools such as `mmf doctor`.

mod cause;
mod environment;
mod facts;
mod name_report;
mod remedy;
mod rules;
mod words;

use core::fmt;

use crate::error::{Error, ErrorKind, Operation};
use crate::name::Proposal;
use crate::security::Account;
use crate::sys::{self, Failure, Reason, Space};

pub use cause::Cause;
pub use environment::{
    Action, BackingStore, Capability, Environment, Privilege, PrivilegeState, environment,
};
pub(crate) use facts::{Question, ask, explain, explain_delay, is_there};
pub use name_report::{NameReport, examine};
pub use remedy::Remedy;

/// How much a [`Finding`] matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Good to know.
    Note,
    /// It works, but may not for long.
    Warning,
    /// It does not work.
    Error,
}

/// One thing that was found out: a cause, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub(crate) severity: Severity,
    pub(crate) cause: Cause,
    pub(crate) remedies: Vec<Remedy>,
    pub(crate) kind: Option<ErrorKind>,
}

impl Finding {
    pub(crate) fn new(severity: Severity, cause: Cause) -> Self {
        let kind = (severity == Severity::Error).then(|| cause.kind());
        Finding { severity, cause, remedies: Vec::new(), kind }
    }

    pub(crate) fn error(cause: Cause) -> Self {
        Finding::new(Severity::Error, cause)
    }

    pub(crate) fn note(cause: Cause) -> Self {
        Finding::new(Severity::Note, cause)
    }

    /// The kind of the error, where it is not the one that the cause usually has.
    pub(crate) fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.kind = Some(kind);
        self
    }

    pub(crate) fn cure(mut self, remedy: Remedy) -> Self {
        self.remedies.push(remedy);
        self
    }

    /// How much it matters.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// What it is.
    #[must_use]
    pub fn cause(&self) -> &Cause {
        &self.cause
    }

    /// What to do about it: the most promising first; none if nothing needs to be done.
    #[must_use]
    pub fn remedies(&self) -> &[Remedy] {
        &self.remedies
    }

    /// The kind of the error that comes of it, if one does.
    #[must_use]
    pub fn error_kind(&self) -> Option<ErrorKind> {
        self.kind
    }
}

/// What was found out about a refusal, or about whether something would be refused: findings, the gravest first.
///
/// Of an error it is [`Error::diagnosis`](crate::Error::diagnosis). Before anything is done, a program can ask at its start:
///
/// ```
/// use mmf::OpenOptions;
///
/// let diagnosis = OpenOptions::new().len(1 << 20).check_create("doc-diagnosis-frames");
/// if !diagnosis.is_ok() {
///     eprintln!("this will not work:\n{diagnosis}");
/// }
/// assert!(diagnosis.is_ok());
/// assert_eq!(diagnosis.error_kind(), None);
/// ```
///
/// What it says is true when it was asked. Another process can change it a moment later, so it takes no error's place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Diagnosis {
    findings: Vec<Finding>,
}

impl Diagnosis {
    pub(crate) fn new(mut findings: Vec<Finding>) -> Self {
        findings.sort_by_key(|finding| core::cmp::Reverse(finding.severity));
        Diagnosis { findings }
    }

    /// That what was asked for makes no sense.
    pub(crate) fn of_invalid(error: &Error) -> Self {
        if let Some(diagnosis) = error.diagnosis() {
            return diagnosis.clone();
        }
        let cause = Cause::Invalid { kind: error.kind(), message: error.fact() };
        Diagnosis::new(vec![Finding::error(cause).cure(Remedy::CorrectInput)])
    }

    /// That a text is no name, and what may have been meant.
    pub(crate) fn of_name(why: String, proposals: Vec<Proposal>) -> Self {
        let finding = Finding::error(Cause::Invalid { kind: ErrorKind::InvalidName, message: why });
        let write = |Proposal { name, is_literal }| Remedy::WriteName { name, is_literal };
        Diagnosis::new(vec![proposals.into_iter().map(write).fold(finding, Finding::cure)])
    }

    /// That a limit of the process is reached.
    pub(crate) fn of_limit(name: &'static str, limit: u64) -> Self {
        Diagnosis::new(vec![rules::limit(name, limit, None)])
    }

    /// That a privilege is missing.
    pub(crate) fn of_privilege(privilege: &'static str) -> Self {
        let finding = Finding::error(Cause::PrivilegeMissing { privilege });
        Diagnosis::new(vec![finding.cure(Remedy::GrantPrivilege { privilege })])
    }

    /// Whether a memory of `len` bytes could grow to `asked`, and if it could not for want of room, the kind of error that it is.
    pub(crate) fn of_growth(
        asked: u64,
        len: u64,
        capacity: u64,
        space: Option<Space>,
        full: ErrorKind,
    ) -> Self {
        let mut findings = rules::growth(asked, len, capacity, space, sys::limits());
        for finding in &mut findings {
            if finding.kind == Some(ErrorKind::OutOfMemory) {
                finding.kind = Some(full);
            }
        }
        Diagnosis::new(findings)
    }

    /// The same, of a region whose capacity the other holders would have to tell.
    pub(crate) fn with_capacity_not_told(mut self) -> Self {
        if self.error_kind() == Some(ErrorKind::BeyondCapacity) {
            let remedy = Remedy::Other {
                instruction: "keep a holder with write access open while the region has to grow",
            };
            self.findings.push(Finding::note(Cause::CapacityUnknown).cure(remedy));
        }
        self
    }

    /// Why a byte of a view could not be accessed.
    #[cold]
    pub(crate) fn of_fault(object: &sys::Object, offset: u64, code: u32, detail: i32, is_file: bool) -> Self {
        let (page, _, _) = sys::page_sizes();
        let (page, space) = match object.pages() {
            sys::Pages::Large(size) => {
                let pool = |left| Space {
                    place: "the pool of large pages",
                    is_mount: false,
                    left,
                    limit: u64::MAX,
                    problem: None,
                };
                (size, sys::pool(size).map(pool))
            }
            _ => (page, object.space()),
        };
        Diagnosis::new(rules::fault(rules::FaultFacts {
            sign: sys::fault_sign(code, detail),
            offset,
            page,
            len: object.len().ok(),
            is_file,
            space,
            group: sys::memory_group(),
        }))
    }

    /// That another process has cut a memory off.
    pub(crate) fn of_cut(len: u64) -> Self {
        let finding = Finding::error(Cause::Truncated { len }).cure(Remedy::Reopen);
        Diagnosis::new(vec![finding])
    }

    /// Why there is no room for more pages of what exists.
    #[cold]
    pub(crate) fn of_no_room(object: &sys::Object) -> Self {
        let (page, _, _) = sys::page_sizes();
        Diagnosis::new(rules::no_room(object.space(), page, sys::memory_group()))
    }

    /// Why memory without a name could not be created, if a fact shows it.
    #[cold]
    pub(crate) fn of_anonymous(failure: Failure) -> Option<Self> {
        if !cfg!(unix) {
            return None;
        }
        let (confinement, group) = (sys::confinement(), sys::memory_group());
        rules::anonymous(failure, &confinement, group).map(|finding| Diagnosis::new(vec![finding]))
    }

    /// Why `asked` bytes could not be mapped; nothing where the code of the system says it.
    #[cold]
    pub(crate) fn of_mapping(failure: Failure, asked: u64, is_private: bool) -> Option<Self> {
        if !cfg!(unix) {
            return None;
        }
        let (limits, group) = (sys::map_limits(), sys::memory_group());
        let findings = rules::mapping(&rules::MapFacts { failure, asked, is_private, limits, group });
        findings.iter().any(|finding| finding.kind.is_some()).then(|| Diagnosis::new(findings))
    }

    /// Why names cannot be listed, if it is the place where they are.
    #[cold]
    pub(crate) fn of_listing(failure: Failure) -> Option<Self> {
        let finding = rules::listing(sys::space(), failure)?;
        Some(Diagnosis::new(vec![finding]))
    }

    /// That an opened memory is smaller than was asked for.
    pub(crate) fn of_too_small(asked: u64, len: u64) -> Self {
        Diagnosis::new(vec![rules::too_small(asked, len)])
    }

    /// That an opened memory has not the expected length.
    pub(crate) fn of_wrong_len(expected: u64, len: u64) -> Self {
        Diagnosis::new(vec![rules::wrong_len(expected, len)])
    }

    /// That an opened memory is not that of the expected owner.
    pub(crate) fn of_wrong_owner(expected: Account, owner: Option<Account>) -> Self {
        Diagnosis::new(vec![rules::wrong_owner(expected, owner)])
    }

    /// That an opened region has so many names.
    pub(crate) fn of_linked(names: u64) -> Self {
        Diagnosis::new(vec![rules::of_linked(names, Vec::new())])
    }

    /// That another process keeps all others from opening it.
    pub(crate) fn of_exclusive_holder(holder: sys::FoundHolder) -> Self {
        let (process, program) = (holder.process, holder.program);
        let finding = Finding::error(Cause::HeldExclusively { process, program });
        let finding = finding
            .cure(Remedy::Other { instruction: "let that process release the lock (flock), or end it" });
        Diagnosis::new(vec![finding.cure(Remedy::Retry)])
    }

    /// That names can be given to other regions by anybody.
    pub(crate) fn of_replaceable() -> Self {
        Diagnosis::new(vec![rules::of_replaceable()])
    }

    /// The first cause, if it is a fact of a few words that the first line of an error can hold.
    pub(crate) fn fact(&self) -> Option<&Cause> {
        let first = self.findings.iter().find(|finding| finding.kind.is_some())?;
        first.cause.is_brief().then_some(&first.cause)
    }

    /// What was found, the gravest first.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Whether nothing stands in the way.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.error_kind().is_none()
    }

    /// The kind of error that is to be expected, if one is.
    #[must_use]
    pub fn error_kind(&self) -> Option<ErrorKind> {
        self.findings.iter().find_map(Finding::error_kind)
    }

    /// All causes, of whatever severity.
    pub fn causes(&self) -> impl Iterator<Item = &Cause> {
        self.findings.iter().map(Finding::cause)
    }

    /// All remedies, the most promising first.
    pub fn remedies(&self) -> impl Iterator<Item = &Remedy> {
        self.findings.iter().flat_map(Finding::remedies)
    }
}

impl Error {
    /// The error for a failed call of the system, with the limit or the privilege that the code alone does not name.
    #[cold]
    pub(crate) fn from_system(operation: Operation, failure: Failure) -> Self {
        let error = Error::of_failure(operation, failure);
        match failure.reason {
            Reason::NoPrivilege => error.with_diagnosis(Diagnosis::of_privilege("SeLockMemoryPrivilege")),
            Reason::Limit => match sys::limit_reached(failure) {
                Some((name, limit)) => error.with_diagnosis(Diagnosis::of_limit(name, limit)),
                None => error,
            },
            _ => error,
        }
    }
}

/// A few plain lines: each finding, and under it what to do.
impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.findings.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            let lead = match finding.severity {
                Severity::Error => "why",
                Severity::Warning => "warning",
                Severity::Note => "note",
            };
            write!(f, "  {lead}: {}", finding.cause)?;
            for (index, remedy) in finding.remedies.iter().enumerate() {
                write!(f, "\n    {} {remedy}", if index == 0 { "do:" } else { "or:" })?;
            }
        }
        Ok(())
    }
}
