//! Explains refusals: gathers the facts behind a failed call, and turns them into a diagnosis.

use super::cause::Cause;
use super::finding::{Diagnosis, Finding};
use super::remedy::Remedy;
use super::rules;
use crate::error::{Error, ErrorKind, Operation};
use crate::name::Proposal;
use crate::security::Account;
use crate::sys::{self, Failure, Reason, Space};

impl Diagnosis {
    /// The input is invalid.
    pub(crate) fn of_invalid(error: &Error) -> Self {
        if let Some(diagnosis) = error.diagnosis() {
            return diagnosis.clone();
        }
        let cause = Cause::Invalid { kind: error.kind(), message: error.fact() };
        Diagnosis::new(vec![Finding::error(cause).cure(Remedy::CorrectInput)])
    }

    /// The text is not a valid name; `proposals` are names that were probably meant.
    pub(crate) fn of_name(why: String, proposals: Vec<Proposal>) -> Self {
        let finding = Finding::error(Cause::Invalid { kind: ErrorKind::InvalidName, message: why });
        let write = |Proposal { name, is_literal }| Remedy::WriteName { name, is_literal };
        Diagnosis::new(vec![proposals.into_iter().map(write).fold(finding, Finding::cure)])
    }

    /// A limit of the process is reached.
    pub(crate) fn of_limit(name: &'static str, limit: u64) -> Self {
        Diagnosis::new(vec![rules::limit(name, limit, None)])
    }

    /// A privilege is missing.
    pub(crate) fn of_privilege(privilege: &'static str) -> Self {
        let finding = Finding::error(Cause::PrivilegeMissing { privilege });
        Diagnosis::new(vec![finding.cure(Remedy::GrantPrivilege { privilege })])
    }

    /// Whether a region of `len` bytes could grow to `asked`. `full` is the kind of the error for a lack of
    /// memory.
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

    /// Adds that no holder reported the capacity of the region.
    pub(crate) fn with_capacity_not_told(mut self) -> Self {
        if self.error_kind() == Some(ErrorKind::BeyondCapacity) {
            let remedy = Remedy::Other {
                instruction: "keep a holder with write access open while the region has to grow",
            };
            self.findings.push(Finding::note(Cause::CapacityUnknown).cure(remedy));
        }
        self
    }

    /// Explains why a byte of a view could not be accessed.
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

    /// Another process has truncated the region.
    pub(crate) fn of_cut(len: u64) -> Self {
        let finding = Finding::error(Cause::Truncated { len }).cure(Remedy::Reopen);
        Diagnosis::new(vec![finding])
    }

    /// Explains why no storage is left for more pages of an existing region.
    #[cold]
    pub(crate) fn of_no_room(object: &sys::Object) -> Self {
        let (page, _, _) = sys::page_sizes();
        Diagnosis::new(rules::no_room(object.space(), page, sys::memory_group()))
    }

    /// Explains why a region without a name could not be created, if a fact shows it.
    #[cold]
    pub(crate) fn of_anonymous(failure: Failure) -> Option<Self> {
        if !cfg!(unix) {
            return None;
        }
        let (confinement, group) = (sys::confinement(), sys::memory_group());
        rules::anonymous(failure, &confinement, group).map(|finding| Diagnosis::new(vec![finding]))
    }

    /// Explains why `asked` bytes could not be mapped; `None` where the code of the system is explanation
    /// enough.
    #[cold]
    pub(crate) fn of_mapping(failure: Failure, asked: u64, is_private: bool) -> Option<Self> {
        if !cfg!(unix) {
            return None;
        }
        let (limits, group) = (sys::map_limits(), sys::memory_group());
        let findings = rules::mapping(&rules::MapFacts { failure, asked, is_private, limits, group });
        findings.iter().any(|finding| finding.kind.is_some()).then(|| Diagnosis::new(findings))
    }

    /// Explains why names cannot be listed, if the directory of named regions is the cause.
    #[cold]
    pub(crate) fn of_listing(failure: Failure) -> Option<Self> {
        let finding = rules::listing(sys::space(), failure)?;
        Some(Diagnosis::new(vec![finding]))
    }

    /// An opened region is smaller than requested.
    pub(crate) fn of_too_small(asked: u64, len: u64) -> Self {
        Diagnosis::new(vec![rules::too_small(asked, len)])
    }

    /// An opened region does not have the expected length.
    pub(crate) fn of_wrong_len(expected: u64, len: u64) -> Self {
        Diagnosis::new(vec![rules::wrong_len(expected, len)])
    }

    /// An opened region does not belong to the expected owner.
    pub(crate) fn of_wrong_owner(expected: Account, owner: Option<Account>) -> Self {
        Diagnosis::new(vec![rules::wrong_owner(expected, owner)])
    }

    /// An opened region has more than one name.
    pub(crate) fn of_linked(names: u64) -> Self {
        Diagnosis::new(vec![rules::of_linked(names, Vec::new())])
    }

    /// Another process prevents all others from opening the region.
    pub(crate) fn of_exclusive_holder(holder: sys::FoundHolder) -> Self {
        let (process, program) = (holder.process, holder.program);
        let finding = Finding::error(Cause::HeldExclusively { process, program });
        let finding = finding
            .cure(Remedy::Other { instruction: "let that process release the lock (flock), or end it" });
        Diagnosis::new(vec![finding.cure(Remedy::Retry)])
    }

    /// Any user can give names to other regions.
    pub(crate) fn of_replaceable() -> Self {
        Diagnosis::new(vec![rules::of_replaceable()])
    }
}

impl Error {
    /// Creates the error for a failed call of the system, with the limit or the privilege that the code alone
    /// does not name.
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
