//! [`Diagnosis`] and [`Finding`]: what was found, as values and as lines of text.

use core::fmt;

use super::cause::Cause;
use super::remedy::Remedy;
use crate::error::ErrorKind;

/// The severity of a [`Finding`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// A fact that may be useful.
    Note,
    /// The operation succeeds, but may fail soon.
    Warning,
    /// The operation fails.
    Error,
}

/// A cause, its severity, and its remedies.
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

    /// Sets the kind of the error, where it is not the usual one of the cause.
    pub(crate) fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.kind = Some(kind);
        self
    }

    pub(crate) fn cure(mut self, remedy: Remedy) -> Self {
        self.remedies.push(remedy);
        self
    }

    /// Returns the severity of the cause.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// Returns the cause.
    #[must_use]
    pub fn cause(&self) -> &Cause {
        &self.cause
    }

    /// Returns the remedies, the most promising first. There are none if nothing needs to be done.
    #[must_use]
    pub fn remedies(&self) -> &[Remedy] {
        &self.remedies
    }

    /// Returns the kind of the error that the cause leads to, if it leads to one.
    #[must_use]
    pub fn error_kind(&self) -> Option<ErrorKind> {
        self.kind
    }
}

/// The findings about an operation that was refused, or that may be refused; the most severe come first.
///
/// [`Error::diagnosis`](crate::Error::diagnosis) returns that of an error. A program can also ask in advance:
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
/// A diagnosis is true at the time of the call. Another process can change the facts, so it does not replace
/// handling errors.
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

    /// Returns the first cause, if it is so brief that the first line of an error includes it.
    pub(crate) fn fact(&self) -> Option<&Cause> {
        let first = self.findings.iter().find(|finding| finding.kind.is_some())?;
        first.cause.is_brief().then_some(&first.cause)
    }

    /// Returns the findings, the most severe first.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Returns whether nothing prevents the operation.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.error_kind().is_none()
    }

    /// Returns the kind of the error to expect, if any.
    #[must_use]
    pub fn error_kind(&self) -> Option<ErrorKind> {
        self.findings.iter().find_map(Finding::error_kind)
    }

    /// Iterates over all causes, of any severity.
    pub fn causes(&self) -> impl Iterator<Item = &Cause> {
        self.findings.iter().map(Finding::cause)
    }

    /// Iterates over all remedies, the most promising of each finding first.
    pub fn remedies(&self) -> impl Iterator<Item = &Remedy> {
        self.findings.iter().flat_map(Finding::remedies)
    }
}

/// Lines of text: each finding, and its remedies below it.
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
