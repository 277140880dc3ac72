//! What went wrong: the operation, the name, the cause, and the cure.

use core::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::diagnosis::Diagnosis;
use crate::escape::Escaped;
use crate::sys::{Failure, Reason, limit_reached};

/// A result whose error is an [`Error`] unless it says otherwise.
pub type Result<T, E = Error> = core::result::Result<T, E>;

/// What kind of thing went wrong: to match on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A name without a text.
    EmptyName,
    /// A name that is longer than the system can hold. It is never cut.
    NameTooLong,
    /// A name with characters that it cannot have, or with something that only looks like a prefix.
    MalformedName,
    /// There is no memory of this name.
    NotFound,
    /// There is a memory of this name already.
    AlreadyExists,
    /// The name belongs to something else (an event, a mutex, a directory), or the handle to something that is no shared
    /// memory.
    NotSharedMemory,
    /// The system refuses the access.
    PermissionDenied,
    /// The memory may be read but not written by this user or through this handle.
    NotWritable,
    /// A memory of no bytes.
    ZeroLength,
    /// A length that the system, or this process's address space, cannot hold.
    TooLarge,
    /// The memory is smaller than was asked for.
    TooSmall,
    /// There is not enough memory left.
    OutOfMemory,
    /// An offset or a length reaches past the end.
    OutOfBounds,
    /// The address of an atomic is not a multiple of its size.
    Misaligned,
    /// Touching the memory failed: another process has cut it off, no room is left for the page, or something else that
    /// [`Error::diagnosis`] says. See [`Error::fault`].
    Fault,
    /// This system does not offer it.
    Unsupported,
    /// The owner is not the one that [`expect_owner`](crate::OpenOptions::expect_owner) requires, or another user has taken a
    /// name of this user's. The region was not touched.
    UnexpectedOwner,
    /// The length is not the one that [`expect_len`](crate::OpenOptions::expect_len) requires. The region was not touched.
    UnexpectedLength,
    /// There is no user, group or package of this name.
    UnknownAccount,
    /// A [`Security`](crate::security::Security) that cannot be used: it cannot be read, or it would let everyone do anything.
    InvalidSecurity,
    /// A limit of this process is reached, such as the number of open files, or of bytes that may be kept in RAM.
    LimitReached,
    /// Somebody else is in the middle of making or removing it, and has not finished for seconds.
    Busy,
    /// What was handed over to this process is not valid: forged, garbled, out of date, for another process, or received
    /// already. See [`handoff`](crate::handoff).
    InvalidTicket,
    /// It cannot grow so far: see [`OpenOptions::capacity`](crate::OpenOptions::capacity).
    BeyondCapacity,
    /// The disk is full, or this user's share of it.
    StorageFull,
    /// Large pages are not to be had, or not so many.
    NoLargePages,
    /// The machine has no such NUMA node.
    NoSuchNode,
    /// Somebody uses the file in a way that does not allow it now: a view of it, a lock, or he has opened it for himself alone
    /// (Windows).
    InUse,
    /// What a path leads to is no file: a directory, a symbolic link, a device.
    NotAFile,
    /// What is copied became shorter meanwhile.
    ChangedDuringCopy,
    /// The caller wanted it to end early.
    Cancelled,
    /// The memory is no [`Segment`](crate::Segment), or one of a version that this library does not know.
    NotASegment,
    /// It is not ready. A memory: its name is taken, but it has no length yet (Unix) or no committed page (Windows), and may be left
    /// over for good. A segment: its maker has died, or takes longer than this was ready to wait.
    NotReady,
    /// The object is of another kind, type, size, alignment or version than was asked for.
    Incompatible,
    /// The bytes of a segment make no sense: a peer has overwritten them; or its maker has declared it broken.
    Corrupted,
    /// There is no room left in the segment, or no place for another participant.
    Full,
    /// The deadline has passed.
    TimedOut,
    /// The lock was given up for good after an owner had died.
    NotRecoverable,
    /// An option does not apply to the function that was called, or contradicts another option. The message names the option
    /// and what to do.
    InvalidOption,
    /// Anything else that the system says: [`Error::raw_os_error`] and the message tell.
    Other,
}

impl ErrorKind {
    /// What it means, in a few words.
    fn describe(self) -> &'static str {
        match self {
            ErrorKind::EmptyName => "the name is empty",
            ErrorKind::NameTooLong => "the name is too long",
            ErrorKind::MalformedName => "this is not a name",
            ErrorKind::NotFound => "there is no shared memory of this name",
            ErrorKind::AlreadyExists => "there is something of this name already",
            ErrorKind::NotSharedMemory => "this is not a shared memory",
            ErrorKind::PermissionDenied => "the system refuses the access",
            ErrorKind::NotWritable => "it may be read but not written",
            ErrorKind::ZeroLength => "a shared memory has at least one byte",
            ErrorKind::TooLarge => "it is too large",
            ErrorKind::TooSmall => "the memory is smaller than asked for",
            ErrorKind::OutOfMemory => "there is not enough memory",
            ErrorKind::OutOfBounds => "this reaches past the end",
            ErrorKind::Misaligned => "the offset does not fit an atomic access",
            ErrorKind::Fault => "the memory could not be accessed",
            ErrorKind::Unsupported => "this system does not offer it",
            ErrorKind::UnexpectedOwner => "unexpected owner",
            ErrorKind::UnexpectedLength => "unexpected length",
            ErrorKind::UnknownAccount => "there is no such user, group or package",
            ErrorKind::InvalidSecurity => "the security cannot be used",
            ErrorKind::LimitReached => "a limit of this process is reached",
            ErrorKind::Busy => "somebody else is in the middle of making or removing it",
            ErrorKind::InvalidTicket => "what was handed over is not valid",
            ErrorKind::BeyondCapacity => "it cannot grow so far",
            ErrorKind::StorageFull => "the disk is full",
            ErrorKind::NoLargePages => "there are no large pages for it",
            ErrorKind::NoSuchNode => "the machine has no such NUMA node",
            ErrorKind::InUse => "somebody uses the file",
            ErrorKind::NotAFile => "this is not a file",
            ErrorKind::ChangedDuringCopy => "it became shorter meanwhile",
            ErrorKind::Cancelled => "it was cancelled",
            ErrorKind::NotASegment => "the memory is no segment that this library knows",
            ErrorKind::NotReady => "it is not ready",
            ErrorKind::Incompatible => "the object is another one than was asked for",
            ErrorKind::Corrupted => "the segment is damaged",
            ErrorKind::Full => "the segment is full",
            ErrorKind::TimedOut => "the time is over",
            ErrorKind::NotRecoverable => "the lock was given up for good",
            ErrorKind::InvalidOption => "an option does not apply",
            ErrorKind::Other => "the system reports an error",
        }
    }

    /// What to do, where it does not depend on the case.
    fn cure(self) -> &'static str {
        match self {
            ErrorKind::NotFound => {
                "start the program that makes it first, and compare the spelling and the namespace (Local or Global)"
            }
            ErrorKind::AlreadyExists => {
                "open it, use open_or_create, or choose another name if it is somebody else's"
            }
            ErrorKind::NotSharedMemory if cfg!(windows) => {
                "choose another name: file mappings, events, mutexes and the like share one namespace"
            }
            ErrorKind::NotSharedMemory => "choose another name, or give what is a file in memory",
            ErrorKind::PermissionDenied if cfg!(windows) => {
                "run as the user who made it, or let its maker grant access; making a Global name needs a privilege"
            }
            ErrorKind::PermissionDenied => "run as the user who made it, or let its maker grant access",
            ErrorKind::NotWritable => "open it read-only, or let its maker grant writing",
            ErrorKind::ZeroLength => "give a length in bytes",
            ErrorKind::TooLarge => "map a part of it with view_at, or ask for less",
            ErrorKind::TooSmall => "ask its maker for more, or accept what there is: open without len",
            ErrorKind::OutOfMemory => "ask for less, or end what holds memory",
            ErrorKind::OutOfBounds => "stay below the length: len() tells it",
            ErrorKind::Misaligned => "use an offset that is a multiple of the size",
            ErrorKind::Fault => "find out why: `mmf doctor` looks at its length and at the room that is left",
            ErrorKind::UnexpectedOwner => "find out whose it is (`mmf doctor` shows), or choose another name",
            ErrorKind::UnexpectedLength => {
                "compare the lengths that both programs expect, or choose another name"
            }
            ErrorKind::UnknownAccount => "compare the spelling",
            ErrorKind::LimitReached => "raise it, or ask for less",
            ErrorKind::Busy => "try again",
            ErrorKind::InvalidTicket => "let whoever gave it hand it over again",
            ErrorKind::NotASegment => "open it as a SharedMemory, or let its maker make a Segment",
            ErrorKind::NotReady => "start its maker again, or use open_or_create",
            ErrorKind::Incompatible => "build both programs from the same types, or use another name",
            ErrorKind::Corrupted => "end all programs that use it, and find out which of them wrote there",
            ErrorKind::Full => "make it larger",
            ErrorKind::TimedOut => "try again, or look who has it (`mmf inspect`)",
            ErrorKind::NotRecoverable => "end all programs that use the segment and start anew",
            ErrorKind::InvalidSecurity if cfg!(unix) => {
                "this user may not give it such an owner or such a group: leave them out"
            }
            ErrorKind::InvalidSecurity => {
                "this user may not give it such an owner or such an integrity: leave the owner out, and choose a level that is not above this program's"
            }
            ErrorKind::BeyondCapacity => "let its maker give it a larger capacity()",
            ErrorKind::StorageFull => "make room, choose another place, or ask for less",
            ErrorKind::NoLargePages if cfg!(windows) => {
                "make it early after the start of the system, ask for less, or let large pages only be preferred"
            }
            ErrorKind::NoLargePages => {
                "let an administrator provide some (sysctl vm.nr_hugepages=… for memory without a name, mount -o remount,huge=advise /dev/shm for named memory), or let them only be preferred"
            }
            ErrorKind::InUse => "close what has it open, or try again",
            ErrorKind::NotAFile => "give the path of a file",
            ErrorKind::ChangedDuringCopy => "try again when nobody changes it",
            ErrorKind::EmptyName
            | ErrorKind::NameTooLong
            | ErrorKind::MalformedName
            | ErrorKind::NoSuchNode
            | ErrorKind::Unsupported
            | ErrorKind::Cancelled
            | ErrorKind::InvalidOption
            | ErrorKind::Other => "",
        }
    }

    /// What it means if it is about a file, and what to do then.
    fn about_file(self) -> (&'static str, &'static str) {
        match self {
            ErrorKind::NotFound => {
                ("there is no such file or directory", "compare the spelling; directories are not made")
            }
            ErrorKind::AlreadyExists => {
                ("there is a file of this name already", "choose another name, or replace it")
            }
            ErrorKind::PermissionDenied => {
                (self.describe(), "choose another place, or let its owner grant access")
            }
            ErrorKind::MalformedName => ("this cannot be the name of a file", "choose another one"),
            ErrorKind::TooLarge => (self.describe(), "this file system has no files of such a length"),
            ErrorKind::Busy => ("another program has it open", "close it there, or choose another name"),
            _ => (self.describe(), self.cure()),
        }
    }
}

/// What was being done when it went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Checking a name.
    Name,
    /// Making a memory.
    Create,
    /// Opening a memory.
    Open,
    /// Opening a memory, or making it if there is none.
    OpenOrCreate,
    /// Taking over a handle or a descriptor.
    Adopt,
    /// Giving up the right to write.
    IntoReadOnly,
    /// Mapping a view.
    Map,
    /// Reading bytes or a value.
    Read,
    /// Writing bytes or a value.
    Write,
    /// Filling with a byte.
    Fill,
    /// Copying from a view to a view.
    Copy,
    /// An atomic access.
    Atomic,
    /// Making part of a view into a view.
    Slice,
    /// Moving the position of a cursor.
    Seek,
    /// Writing to what is behind the memory.
    Flush,
    /// Bringing pages into RAM.
    Prefetch,
    /// Keeping pages in RAM.
    Lock,
    /// Listing the memories of the machine.
    List,
    /// Reading or using a [`Security`](crate::security::Security).
    Security,
    /// HandoffCommand a memory to another process.
    HandOff,
    /// Receiving a memory that another process hands over.
    Receive,
    /// Making a memory longer.
    Grow,
    /// Taking in what others have grown.
    Refresh,
    /// Opening a file, or taking over an open one.
    OpenFile,
    /// Making a file.
    CreateFile,
    /// Asking what pages are.
    Pages,
    /// Saving a memory into a file.
    Save,
    /// Making a memory with the content of a file.
    Load,
    /// Putting the content of a file into a memory.
    Restore,
    /// Finding or making an object of a segment.
    Object,
    /// Getting a lock, or using what it protects.
    Acquire,
    /// Waiting for another process, or waking it.
    Wait,
    /// Looking at a segment.
    Inspect,
    /// Finding out about a region or a name, without changing anything.
    Examine,
}

impl Operation {
    fn describe(self) -> &'static str {
        match self {
            Operation::Name => "use as a name",
            Operation::Create => "create the shared memory",
            Operation::Open => "open the shared memory",
            Operation::OpenOrCreate => "open or create the shared memory",
            Operation::Adopt => "take over the handle",
            Operation::IntoReadOnly => "give up writing to the shared memory",
            Operation::Map => "map a view of the shared memory",
            Operation::Read => "read",
            Operation::Write => "write",
            Operation::Fill => "fill",
            Operation::Copy => "copy between views",
            Operation::Atomic => "access an atomic",
            Operation::Slice => "take a part of a view",
            Operation::Seek => "move a cursor",
            Operation::Flush => "flush a view",
            Operation::Prefetch => "prefetch a view",
            Operation::Lock => "lock a view in RAM",
            Operation::List => "list the shared memories",
            Operation::Security => "use the security",
            Operation::HandOff => "hand over the shared memory",
            Operation::Receive => "receive the shared memory",
            Operation::Grow => "grow the memory",
            Operation::Refresh => "see how far the memory has grown",
            Operation::OpenFile => "open the file",
            Operation::CreateFile => "make the file",
            Operation::Pages => "ask about the pages of the memory",
            Operation::Save => "save the shared memory",
            Operation::Load => "load the shared memory",
            Operation::Restore => "restore the shared memory",
            Operation::Object => "find or create the object",
            Operation::Acquire => "acquire the lock",
            Operation::Wait => "wait",
            Operation::Inspect => "look at the segment",
            Operation::Examine => "examine the shared memory",
        }
    }

    /// Whether it is about what lies in a segment: the name that follows is not that of its subject.
    fn is_in_a_segment(self) -> bool {
        matches!(self, Operation::Object | Operation::Acquire | Operation::Wait)
    }

    /// The same, where a path follows.
    fn describe_with_path(self) -> &'static str {
        match self {
            Operation::Save => "save a shared memory to",
            Operation::Load => "load a shared memory from",
            Operation::Restore => "restore a shared memory from",
            _ => self.describe(),
        }
    }
}

/// A fault: touching a byte of a view failed, because its page was taken away or made inaccessible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    pub(crate) offset: usize,
    pub(crate) code: u32,
    pub(crate) detail: i32,
}

impl Fault {
    /// The byte that could not be accessed, in bytes from the start of the view: what the system reports. A copy touches
    /// its first bytes first and may touch its last ones before those between, so there may be others before it.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// The system's code: on Windows that of the exception (`0xC0000005`, an access violation, or `0xC0000006`, an
    /// in-page error), on Unix the signal (`SIGSEGV` or `SIGBUS`; where the kernel made the copy,
    /// see [`faults`](crate::faults), no signal was raised, and it is `SIGBUS` with a [`detail`](Fault::detail) of 0).
    #[must_use]
    pub fn code(&self) -> u32 {
        self.code
    }

    /// More from the system: on Windows the status behind an in-page error, else 0; on Unix the signal's `si_code`.
    #[must_use]
    pub fn detail(&self) -> i32 {
        self.detail
    }
}

/// What went wrong, why, and what to do.
///
/// [`kind`](Error::kind) is to match on; the printed text is for people: it names the operation, the memory, the cause and
/// the cure. Converts to [`std::io::Error`], so `?` works where that is expected.
///
/// ```
/// let error = mmf::SharedMemory::open("nobody made this").unwrap_err();
/// assert_eq!(error.kind(), mmf::ErrorKind::NotFound);
/// assert_eq!(error.name(), Some(r"Local\nobody made this"));
/// println!("{error}"); // cannot open the shared memory "Local\nobody made this": there is no shared memory of this name; …
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    operation: Operation,
    kind: ErrorKind,
    /// The name of the memory, where it has one.
    subject: Option<String>,
    /// The file that it is about, if it is not about the memory.
    path: Option<PathBuf>,
    /// The name of the object of a segment that it is about.
    object: Option<String>,
    /// The message up to code, fault and diagnosis, where operation and kind do not make one that fits.
    sentence: Option<String>,
    detail: Option<String>,
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
            code: None,
            fault: None,
            diagnosis: None,
        }))
    }

    pub(crate) fn with_subject(mut self, subject: &(impl ToString + ?Sized)) -> Self {
        self.0.subject = Some(subject.to_string());
        self
    }

    /// The file that it is about; it is not about the memory then.
    pub(crate) fn with_path(mut self, path: &Path) -> Self {
        self.0.path = Some(path.to_owned());
        self
    }

    /// The name of the object of a segment that it is about.
    pub(crate) fn with_object(mut self, object: &str) -> Self {
        self.0.object = Some(object.to_owned());
        self
    }

    /// The message itself. The sentences of operations and kinds are about regions; errors of objects say their own.
    pub(crate) fn with_sentence(mut self, sentence: impl Into<String>) -> Self {
        self.0.sentence = Some(sentence.into());
        self
    }

    /// What is special about this case; takes the place of the kind's general cure.
    pub(crate) fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    pub(crate) fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self
    }

    /// What was found out; takes the place of the kind's general cure.
    pub(crate) fn with_diagnosis(mut self, diagnosis: Diagnosis) -> Self {
        // It says the same, and more.
        self.0.detail = None;
        self.0.diagnosis = Some(diagnosis);
        self
    }

    /// The same, where it also says better than the code of the system what kind of error it is.
    pub(crate) fn with_found(self, diagnosis: Diagnosis) -> Self {
        let kind = diagnosis.error_kind().unwrap_or(self.0.kind);
        self.with_diagnosis(diagnosis).with_kind(kind)
    }

    /// The cause without the operation.
    pub(crate) fn cause_in_words(&self) -> String {
        if let Some(sentence) = &self.0.sentence {
            return sentence.clone();
        }
        match &self.0.detail {
            Some(detail) => format!("{}; {detail}", self.0.kind.describe()),
            None => self.0.kind.describe().to_owned(),
        }
    }

    pub(crate) fn with_fault(mut self, fault: Fault) -> Self {
        self.0.fault = Some(fault);
        self
    }

    /// What the system said, in the words of this library.
    pub(crate) fn from_system(operation: Operation, failure: Failure) -> Self {
        let kind = match failure.reason {
            Reason::Missing => ErrorKind::NotFound,
            Reason::Exists => ErrorKind::AlreadyExists,
            Reason::Denied => ErrorKind::PermissionDenied,
            Reason::ReadOnly => ErrorKind::NotWritable,
            Reason::WrongKind => ErrorKind::NotSharedMemory,
            Reason::NoMemory => ErrorKind::OutOfMemory,
            Reason::TooLarge => ErrorKind::TooLarge,
            Reason::BadName => ErrorKind::MalformedName,
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
        match (failure.reason, failure.figure) {
            (Reason::Exists, Some(len)) => error.with_detail(format!("it has {len} bytes; {}", kind.cure())),
            (Reason::NoMemory, Some(left)) => {
                error.with_detail(format!("{left} bytes are left; {}", kind.cure()))
            }
            (Reason::NoLargePages, Some(free)) => {
                error.with_detail(format!("{free} bytes of them are free; {}", kind.cure()))
            }
            (Reason::FixedPages, _) => {
                error.with_detail("memory in large pages cannot grow: leave capacity() out")
            }
            (Reason::NoPrivilege, _) => {
                error.with_diagnosis(Diagnosis::of_privilege("SeLockMemoryPrivilege"))
            }
            (Reason::Unsupported, _)
                if cfg!(unix)
                    && failure.code == Some(2)
                    && matches!(operation, Operation::Create | Operation::OpenOrCreate) =>
            {
                error.with_detail("named memory needs a tmpfs mounted on /dev/shm")
            }
            (Reason::NotReady, _) => error.with_detail(
                "it has no length: its creator is not done, or has ended before it gave it one; try again",
            ),
            (Reason::Limit, _) => match limit_reached(failure) {
                Some((name, limit)) => error.with_diagnosis(Diagnosis::of_limit(name, limit)),
                None => error,
            },
            _ => error,
        }
    }

    /// What kind of thing went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What was being done.
    #[must_use]
    pub fn operation(&self) -> Operation {
        self.0.operation
    }

    /// The name of the memory, with its namespace; or what was given as a name, if it is none.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.0.subject.as_deref()
    }

    /// The name of the object of a [`Segment`](crate::Segment) that it is about, if it is about one: of a lock, for example.
    ///
    /// ```
    /// let segment = mmf::Segment::create("doc-error-object", 64 * 1024)?;
    /// let mutex = segment.mutex::<u64>("counter")?;
    /// let guard = mutex.lock()?;
    /// let error = mmf::Error::from(mutex.try_lock().unwrap_err());
    /// assert_eq!(error.object(), Some("counter"));
    /// println!("{error}"); // the mutex "counter" in "Local\doc-error-object" is held by this process itself …
    /// # drop(guard);
    /// # Ok::<(), mmf::Error>(())
    /// ```
    #[must_use]
    pub fn object(&self) -> Option<&str> {
        self.0.object.as_deref()
    }

    /// The file that it is about, if it is not about the memory: where saving, loading or restoring was stopped by a file.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// The system's error code: Windows' `GetLastError` or Unix' `errno`. None if the system was not asked.
    #[must_use]
    pub fn raw_os_error(&self) -> Option<i32> {
        self.0.code
    }

    /// What was found out about the cause, and what to do about it: where the system refused something and looking further
    /// could help. Also part of the printed text.
    ///
    /// ```
    /// use mmf::diagnosis::Cause;
    /// use mmf::SharedMemory;
    ///
    /// let error = SharedMemory::open(r"Global\nobody made this either").unwrap_err();
    /// let diagnosis = error.diagnosis().unwrap();
    /// assert!(diagnosis.causes().any(|cause| *cause == Cause::Missing));
    /// ```
    #[must_use]
    pub fn diagnosis(&self) -> Option<&Diagnosis> {
        self.0.diagnosis.as_ref()
    }

    /// Where and how a [`Fault`](ErrorKind::Fault) happened.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        self.0.fault
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What others have written, such as names, must not disturb what is printed.
        fmt::write(&mut Escaped(f), format_args!("{}", Headline(&self.0)))?;
        match &self.0.diagnosis {
            Some(diagnosis) => write!(f, "\n{diagnosis}"),
            None => Ok(()),
        }
    }
}

/// The first line, as it is.
struct Headline<'e>(&'e Inner);

impl fmt::Display for Headline<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { operation, kind, subject, path, sentence, detail, code, fault, diagnosis, .. } = self.0;
        if let Some(sentence) = sentence {
            f.write_str(sentence)?;
            return write_evidence(f, *fault, *code);
        }
        let (describe, cure) = match path {
            Some(path) => {
                write!(f, "cannot {} \"{}\"", operation.describe_with_path(), path.display())?;
                kind.about_file()
            }
            None => {
                write!(f, "cannot {}", operation.describe())?;
                (kind.describe(), kind.cure())
            }
        };
        if let Some(subject) = subject {
            if operation.is_in_a_segment() {
                f.write_str(" in")?;
            }
            // As it is: {:?} would double the backslash that people are to compare.
            write!(f, " \"{subject}\"")?;
        }
        write!(f, ": {describe}")?;
        let general = if diagnosis.is_some() { "" } else { cure };
        let more = detail.as_deref().unwrap_or(general);
        if !more.is_empty() {
            write!(f, "; {more}")?;
        }
        write_evidence(f, *fault, *code)
    }
}

/// What follows every message: where a fault was, and what the system said.
fn write_evidence(f: &mut fmt::Formatter<'_>, fault: Option<Fault>, code: Option<i32>) -> fmt::Result {
    if let Some(fault) = fault {
        write!(f, " (byte {}, {}, {:#x})", fault.offset, describe_code(fault.code), fault.detail)?;
    }
    match code {
        Some(code) => write!(f, " ({})", io::Error::from_raw_os_error(code)),
        None => Ok(()),
    }
}

#[cfg(windows)]
fn describe_code(code: u32) -> String {
    format!("exception {code:#010x}")
}

#[cfg(unix)]
fn describe_code(code: u32) -> String {
    format!("signal {code}")
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { operation, kind, subject, path, object, code, fault, .. } = &*self.0;
        let mut debug = f.debug_struct("Error");
        debug.field("operation", operation).field("kind", kind);
        if let Some(subject) = subject {
            debug.field("name", subject);
        }
        if let Some(path) = path {
            debug.field("path", path);
        }
        if let Some(object) = object {
            debug.field("object", object);
        }
        if let Some(code) = code {
            debug.field("code", code);
        }
        if let Some(fault) = fault {
            debug.field("fault", fault);
        }
        debug.field("message", &self.to_string()).finish()
    }
}

impl core::error::Error for Error {}

impl From<core::convert::Infallible> for Error {
    fn from(never: core::convert::Infallible) -> Self {
        match never {}
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::NotFound => io::ErrorKind::NotFound,
            ErrorKind::AlreadyExists => io::ErrorKind::AlreadyExists,
            ErrorKind::PermissionDenied | ErrorKind::NotWritable => io::ErrorKind::PermissionDenied,
            ErrorKind::OutOfMemory => io::ErrorKind::OutOfMemory,
            ErrorKind::Unsupported => io::ErrorKind::Unsupported,
            ErrorKind::StorageFull => io::ErrorKind::StorageFull,
            ErrorKind::InUse => io::ErrorKind::ResourceBusy,
            ErrorKind::Busy => io::ErrorKind::ResourceBusy,
            ErrorKind::TimedOut => io::ErrorKind::TimedOut,
            ErrorKind::InvalidTicket
            | ErrorKind::NotASegment
            | ErrorKind::Incompatible
            | ErrorKind::Corrupted => io::ErrorKind::InvalidData,
            ErrorKind::EmptyName
            | ErrorKind::NameTooLong
            | ErrorKind::MalformedName
            | ErrorKind::ZeroLength
            | ErrorKind::TooLarge
            | ErrorKind::OutOfBounds
            | ErrorKind::UnknownAccount
            | ErrorKind::InvalidSecurity
            | ErrorKind::BeyondCapacity
            | ErrorKind::NoSuchNode
            | ErrorKind::NotAFile
            | ErrorKind::InvalidOption
            | ErrorKind::Misaligned => io::ErrorKind::InvalidInput,
            ErrorKind::UnexpectedOwner
            | ErrorKind::UnexpectedLength
            | ErrorKind::LimitReached
            | ErrorKind::NotReady
            | ErrorKind::Full
            | ErrorKind::NotRecoverable
            | ErrorKind::NotSharedMemory
            | ErrorKind::TooSmall
            | ErrorKind::NoLargePages
            | ErrorKind::Fault
            | ErrorKind::ChangedDuringCopy
            // (Not `Interrupted`: those who meet that try again.)
            | ErrorKind::Cancelled
            | ErrorKind::Other => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}
