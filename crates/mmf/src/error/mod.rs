//! [`Error`]: the operation that failed, the name, the fact, its cause, and its cure.
//!
//! An error is plain data: nothing here queries the system. [`diagnosis`](crate::diagnosis) determines what
//! an error code of the system means and which facts explain it.

mod kind;
mod operation;
#[cfg(test)]
mod tests;

use core::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::diagnosis::Diagnosis;
use crate::escape::Escaped;
use crate::sys::{Failure, Reason};

pub(crate) use kind::Audience;
pub use kind::ErrorKind;
pub use operation::Operation;

/// A `Result` whose error type is [`Error`] by default.
pub type Result<T, E = Error> = core::result::Result<T, E>;

/// A fault: a byte of a view could not be accessed because its page was taken away or made inaccessible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fault {
    pub(crate) offset: usize,
    pub(crate) code: u32,
    pub(crate) detail: i32,
}

impl Fault {
    /// Returns the byte that could not be accessed, as the system reports it: an offset from the start of the
    /// view. A copy accesses its first bytes first and may access its last bytes before those between, so
    /// bytes before this one can be inaccessible, too.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Returns the code of the system. On Windows, the exception: `0xC0000005` (access violation) or
    /// `0xC0000006` (in-page error). On Unix, the signal: `SIGSEGV` or `SIGBUS`; where the kernel made the
    /// copy (see [`faults`](crate::faults)), no signal was raised, and it is `SIGBUS` with a
    /// [`detail`](Fault::detail) of 0.
    #[must_use]
    pub fn code(&self) -> u32 {
        self.code
    }

    /// Returns the detail that the system reports. On Windows, the status behind an in-page error, otherwise
    /// 0; on Unix, the signal's `si_code`.
    #[must_use]
    pub fn detail(&self) -> i32 {
        self.detail
    }
}

/// The error of all functions of this crate.
///
/// Match on [`kind`](Error::kind). The text is for people:
///
/// - `{}` is one line without a cure: the operation, the name and the fact, with the code of the system where
///   there is one;
/// - `{:#}` adds the cause and the cure, on indented lines;
/// - `{:?}` is the same as `{:#}`, so a `main` that returns `Result<(), mmf::Error>` prints a readable
///   report.
///
/// [`diagnosis`](Error::diagnosis) has cause and cure as values. Names and other texts that peers have chosen
/// are escaped where they could disturb the output.
///
/// ```
/// let error = mmf::SharedMemory::open("doc-error-missing").unwrap_err();
/// assert_eq!(error.kind(), mmf::ErrorKind::NotFound);
/// assert_eq!(error.name(), Some(r"Local\doc-error-missing"));
/// println!("{error}"); // cannot open the shared memory region "Local\doc-error-missing": no region …
/// assert_eq!(error.to_string().lines().count(), 1);
/// assert!(format!("{error:#}").contains("\n    do: start the program that creates it first"));
/// ```
///
/// # Conversion to `std::io::Error`
///
/// `?` converts where an [`io::Error`] is expected. The conversion keeps the whole error as the inner error
/// of the `io::Error`, so no text is lost. An `io::Error` holds either a code of the system or an inner
/// error, so [`io::Error::raw_os_error`] returns `None`; the code is available from the inner error. The
/// [`io::ErrorKind`] is the one that corresponds to [`kind`](Error::kind). For [`ErrorKind::Other`] it is the
/// one that the standard library has for the code of the system, except that it is never `Interrupted`.
///
/// ```
/// fn open() -> std::io::Result<mmf::SharedMemory> {
///     Ok(mmf::SharedMemory::open("doc-error-missing")?)
/// }
/// let error = open().unwrap_err();
/// assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
/// let error = error.downcast::<mmf::Error>().unwrap();
/// assert_eq!(error.raw_os_error(), Some(2)); // ENOENT, ERROR_FILE_NOT_FOUND
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    operation: Operation,
    kind: ErrorKind,
    /// The name of the region, if it has one.
    subject: Option<String>,
    /// The file that the error is about, if it is not about the region.
    path: Option<PathBuf>,
    /// The name of the object of a segment that the error is about.
    object: Option<String>,
    /// The whole fact, where operation and kind do not make a sentence that fits.
    sentence: Option<String>,
    /// What is special about this case.
    detail: Option<String>,
    /// The cure of this case, instead of the general one of the kind.
    cure: Option<String>,
    code: Option<i32>,
    fault: Option<Fault>,
    diagnosis: Option<Diagnosis>,
}

impl Error {
    #[cold]
    pub(crate) fn new(operation: Operation, kind: ErrorKind) -> Self {
        Error(Box::new(Inner {
            operation,
            kind,
            subject: None,
            path: None,
            object: None,
            sentence: None,
            detail: None,
            cure: None,
            code: None,
            fault: None,
            diagnosis: None,
        }))
    }

    pub(crate) fn with_subject(mut self, subject: &(impl ToString + ?Sized)) -> Self {
        self.0.subject = Some(subject.to_string());
        self
    }

    /// Sets the file that the error is about, instead of the region.
    pub(crate) fn with_path(mut self, path: &Path) -> Self {
        self.0.path = Some(path.to_owned());
        self
    }

    /// Sets the name of the object of a segment that the error is about.
    pub(crate) fn with_object(mut self, object: &str) -> Self {
        self.0.object = Some(object.to_owned());
        self
    }

    /// Sets the whole fact. The words of operations and kinds are about regions; errors of objects bring a
    /// sentence of their own.
    pub(crate) fn with_sentence(mut self, sentence: impl Into<String>) -> Self {
        self.0.sentence = Some(sentence.into());
        self
    }

    /// Adds what is special about this case. The general cure of the kind is left out then: see
    /// [`with_cure`](Error::with_cure).
    pub(crate) fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// Sets the cure of this case. It is part of `{:#}` only.
    pub(crate) fn with_cure(mut self, cure: impl Into<String>) -> Self {
        self.0.cure = Some(cure.into());
        self
    }

    pub(crate) fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self
    }

    /// Sets the diagnosis, which replaces detail and cure: it contains both, and more.
    pub(crate) fn with_diagnosis(mut self, diagnosis: Diagnosis) -> Self {
        self.0.detail = None;
        self.0.cure = None;
        self.0.diagnosis = Some(diagnosis);
        self
    }

    /// Sets the diagnosis, and the kind that it names: facts decide better than the code of the system.
    pub(crate) fn with_found(self, diagnosis: Diagnosis) -> Self {
        let kind = diagnosis.error_kind().unwrap_or(self.0.kind);
        self.with_diagnosis(diagnosis).with_kind(kind)
    }

    pub(crate) fn with_fault(mut self, fault: Fault) -> Self {
        self.0.fault = Some(fault);
        self
    }

    /// Returns the fact without the operation.
    pub(crate) fn fact(&self) -> String {
        match (&self.0.sentence, &self.0.detail) {
            (Some(sentence), _) => sentence.clone(),
            (None, Some(detail)) => format!("{}: {detail}", self.0.kind.describe()),
            (None, None) => self.0.kind.describe().to_owned(),
        }
    }

    /// Creates the error for a failed call of the system, with its kind and the words for its code.
    pub(crate) fn of_failure(operation: Operation, failure: Failure) -> Self {
        let kind = match failure.reason {
            Reason::Missing => ErrorKind::NotFound,
            Reason::Exists => ErrorKind::AlreadyExists,
            Reason::Denied => ErrorKind::PermissionDenied,
            Reason::ReadOnly => ErrorKind::NotWritable,
            Reason::WrongKind => ErrorKind::NotSharedMemory,
            Reason::NoMemory => ErrorKind::OutOfMemory,
            Reason::TooLarge => ErrorKind::TooLarge,
            Reason::BadName => ErrorKind::InvalidName,
            Reason::NotReady => ErrorKind::NotReady,
            Reason::Unsupported => ErrorKind::Unsupported,
            Reason::BadSecurity => ErrorKind::InvalidSecurity,
            Reason::Limit => ErrorKind::LimitReached,
            Reason::Stranger | Reason::Linked => ErrorKind::UnexpectedOwner,
            Reason::NoLargePages | Reason::FixedPages => ErrorKind::NoLargePages,
            Reason::NoPrivilege => ErrorKind::PermissionDenied,
            Reason::NoSuchNode => ErrorKind::NoSuchNode,
            Reason::InUse => ErrorKind::InUse,
            Reason::NoRoom => ErrorKind::StorageFull,
            Reason::NoLocks => ErrorKind::Unsupported,
            Reason::Other => ErrorKind::Other,
        };
        let mut error = Error::new(operation, kind);
        error.0.code = failure.code;
        let cure = || kind.cure(Audience::Programmer);
        match (failure.reason, failure.figure) {
            (Reason::Exists, Some(len)) => error.with_detail(format!("it has {len} bytes")).with_cure(cure()),
            (Reason::NoMemory, Some(left)) => {
                error.with_detail(format!("{left} bytes are left")).with_cure(cure())
            }
            (Reason::NoLargePages, Some(free)) => {
                error.with_detail(format!("{free} bytes of them are free")).with_cure(cure())
            }
            (Reason::FixedPages, _) => {
                error.with_detail("a region in large pages cannot grow").with_cure("leave capacity() out")
            }
            (Reason::Unsupported, _)
                if cfg!(unix)
                    && failure.code == Some(2)
                    && matches!(operation, Operation::Create | Operation::OpenOrCreate) =>
            {
                error.with_detail("named regions need a tmpfs mounted on /dev/shm")
            }
            (Reason::NotReady, _) => error
                .with_detail("it has no length: its creator has not finished, or ended before it set one")
                .with_cure("try again"),
            _ => error,
        }
    }

    /// Returns the kind of the error, to match on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the operation that failed.
    #[must_use]
    pub fn operation(&self) -> Operation {
        self.0.operation
    }

    /// Returns the name of the region with its namespace, or the text that was passed as a name if it is not
    /// a valid one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.0.subject.as_deref()
    }

    /// Returns the name of the object of a [`Segment`](crate::Segment) that the error is about, such as a
    /// lock.
    ///
    /// ```
    /// let segment = mmf::Segment::create("doc-error-object", 64 * 1024)?;
    /// let mutex = segment.mutex::<u64>("counter")?;
    /// let guard = mutex.lock()?;
    /// let error = mmf::Error::from(mutex.try_lock().unwrap_err());
    /// assert_eq!(error.object(), Some("counter"));
    /// println!("{error}"); // the mutex "counter" in "Local\doc-error-object" is held by this process …
    /// # drop(guard);
    /// # Ok::<(), mmf::Error>(())
    /// ```
    #[must_use]
    pub fn object(&self) -> Option<&str> {
        self.0.object.as_deref()
    }

    /// Returns the file that the error is about, if it is not about the region: one to which a region could
    /// not be saved, or from which one could not be loaded or restored.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// Returns the error code of the system: `GetLastError` on Windows, `errno` on Unix; `None` if no system
    /// call failed.
    #[must_use]
    pub fn raw_os_error(&self) -> Option<i32> {
        self.0.code
    }

    /// Returns the cause and the cure, if the system refused something and facts were found that explain it.
    /// They are also part of the text of `{:#}`.
    ///
    /// ```
    /// use mmf::diagnosis::Cause;
    /// use mmf::SharedMemory;
    ///
    /// let error = SharedMemory::open(r"Global\doc-error-missing").unwrap_err();
    /// let diagnosis = error.diagnosis().unwrap();
    /// assert!(diagnosis.causes().any(|cause| *cause == Cause::Missing));
    /// ```
    #[must_use]
    pub fn diagnosis(&self) -> Option<&Diagnosis> {
        self.0.diagnosis.as_ref()
    }

    /// Returns the offset and the code of a [`Fault`](ErrorKind::Fault).
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        self.0.fault
    }

    /// Returns the cure in plain words, for people at a terminal who may not write programs: the first remedy
    /// of the [`diagnosis`](Error::diagnosis), or what helps against this [`kind`](Error::kind) in general.
    ///
    /// ```
    /// let error = mmf::SharedMemory::create("doc-error-advice", 0).unwrap_err();
    /// assert_eq!(error.advice().as_deref(), Some("specify a length in bytes"));
    /// ```
    #[must_use]
    pub fn advice(&self) -> Option<String> {
        match &self.0.diagnosis {
            Some(diagnosis) => diagnosis.remedies().next().map(crate::diagnosis::Remedy::advice),
            None => self.cure(Audience::User).map(Escaped::text),
        }
    }

    fn cure(&self, audience: Audience) -> Option<&str> {
        let Inner { kind, path, sentence, detail, cure, diagnosis, .. } = &*self.0;
        if diagnosis.is_some() {
            return None;
        }
        if let Some(cure) = cure {
            return Some(cure);
        }
        let is_general = sentence.is_none() && detail.is_none();
        let cure = if path.is_some() { kind.of_file(audience).1 } else { kind.cure(audience) };
        (is_general && !cure.is_empty()).then_some(cure)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_full = f.alternate();
        // Texts from other processes, such as names, must not disturb the output.
        fmt::write(&mut Escaped(f), format_args!("{}", Headline { inner: &self.0, is_full }))?;
        if !is_full {
            return Ok(());
        }
        if let Some(diagnosis) = &self.0.diagnosis {
            return write!(f, "\n{diagnosis}");
        }
        match self.cure(Audience::Programmer) {
            Some(cure) => {
                f.write_str("\n    do: ")?;
                fmt::Write::write_str(&mut Escaped(f), cure)
            }
            None => Ok(()),
        }
    }
}

/// The same as `{:#}`: what `main` prints of an error that it returns.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:#}")
    }
}

/// The first line of an error, unescaped.
struct Headline<'e> {
    inner: &'e Inner,
    /// Whether the diagnosis follows.
    is_full: bool,
}

impl fmt::Display for Headline<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { operation, kind, subject, path, sentence, detail, diagnosis, .. } = self.inner;
        if let Some(sentence) = sentence {
            f.write_str(sentence)?;
            return write_evidence(f, self.inner);
        }
        let describe = match path {
            Some(path) => {
                write!(f, "cannot {} \"{}\"", operation.describe_with_path(), path.display())?;
                kind.of_file(Audience::Programmer).0
            }
            None => kind.describe(),
        };
        match (subject, path) {
            // As it is: {:?} would double the backslash that people are to compare.
            (Some(subject), None) => write!(f, "cannot {} \"{subject}\"", operation.describe_with_name())?,
            (Some(subject), Some(_)) => write!(f, " \"{subject}\"")?,
            (None, None) => write!(f, "cannot {}", operation.describe_without_name())?,
            (None, Some(_)) => {}
        }
        write!(f, ": {describe}")?;
        if let Some(detail) = detail {
            write!(f, ": {detail}")?;
        } else if let (Some(diagnosis), false) = (diagnosis, self.is_full) {
            if let Some(cause) = diagnosis.fact() {
                write!(f, ": {cause}")?;
            }
        }
        write_evidence(f, self.inner)
    }
}

/// Writes the end of every first line: the offset of a fault, and the words of the system.
fn write_evidence(f: &mut fmt::Formatter<'_>, inner: &Inner) -> fmt::Result {
    if let Some(fault) = inner.fault {
        write!(f, " (byte {}, {}, {:#x})", fault.offset, describe_code(fault.code), fault.detail)?;
    }
    match inner.code {
        Some(code) => write!(f, " ({})", io::Error::from_raw_os_error(code)),
        None => Ok(()),
    }
}

fn describe_code(code: u32) -> String {
    if cfg!(windows) { format!("exception {code:#010x}") } else { format!("signal {code}") }
}

impl core::error::Error for Error {}

impl From<core::convert::Infallible> for Error {
    fn from(never: core::convert::Infallible) -> Self {
        match never {}
    }
}

/// Keeps the whole error as the inner one: see [`Error`](Error#conversion-to-stdioerror).
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        io::Error::new(error.kind().as_io(error.raw_os_error()), error)
    }
}
