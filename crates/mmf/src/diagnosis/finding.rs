//! [`Diagnosis`] and [`Finding`]: what was found, as values and as lines of text.

use core::fmt;

use super::cause::Cause;
use super::remedy::Remedy;
use crate::error::ErrorKind;

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
    pub(super) findings: Vec<Finding>,
}

impl Diagnosis {
    pub(crate) fn new(mut findings: Vec<Finding>) -> Self {
        findings.sort_by_key(|finding| core::cmp::Reverse(finding.severity));
        Diagnosis { findings }
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
