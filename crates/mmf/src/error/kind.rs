//! The kinds of errors, and their words.

use std::io;

/// The kind of an [`Error`](crate::Error), to match on.
///
/// Each kind has a stable number and a stable identifier, [`code`](ErrorKind::code) and
/// [`id`](ErrorKind::id).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The name is empty.
    EmptyName,
    /// The name is longer than the system allows. Names are never truncated.
    NameTooLong,
    /// The name contains characters that a name cannot contain, or starts with something that resembles a
    /// namespace prefix. Also the name of an object of a segment, or a label, that is empty, too long or
    /// invalid.
    InvalidName,
    /// No region has this name; or the segment has no such object, or there is no such file or process.
    NotFound,
    /// A region with this name already exists; or there is such a file, or the region holds a segment
    /// already.
    AlreadyExists,
    /// The name belongs to another object (an event, a mutex, a directory), or the handle does not refer to
    /// shared memory.
    NotSharedMemory,
    /// The system denies access.
    PermissionDenied,
    /// This user, or this handle, may read the region but not write to it.
    NotWritable,
    /// The length is zero.
    ZeroLength,
    /// The length exceeds what the system, or the address space of this process, can hold; or a segment
    /// cannot have this number of participants.
    TooLarge,
    /// The region is smaller than requested, or too small for a segment; or a peer has truncated it to
    /// nothing.
    TooSmall,
    /// Not enough memory is left.
    OutOfMemory,
    /// An offset or a length reaches beyond the end.
    OutOfBounds,
    /// The address of an atomic is not a multiple of its size.
    Misaligned,
    /// A page of the region could not be accessed: another process has truncated the region, no storage is
    /// left for the page, or another cause that [`Error::diagnosis`](crate::Error::diagnosis) names. See
    /// [`Error::fault`](crate::Error::fault).
    Fault,
    /// The operation is not supported: by this system, for this region, or in a forked copy of the process
    /// that opened the segment.
    Unsupported,
    /// The owner is not the one that [`expect_owner`](crate::OpenOptions::expect_owner) requires, or another
    /// user has taken a name of this user. The region was not touched.
    UnexpectedOwner,
    /// The length is not the one that [`expect_len`](crate::OpenOptions::expect_len) requires. The region was
    /// not touched.
    UnexpectedLength,
    /// No user, group or package has this name.
    UnknownAccount,
    /// A [`Security`](crate::security::Security) cannot be applied: it cannot be parsed, this user may not
    /// assign it, or it would grant everyone everything.
    InvalidSecurity,
    /// A limit of this process, of the system or of this library is reached, such as the number of open
    /// files, of bytes that may be locked in RAM, or of events to wait for.
    LimitReached,
    /// Another process is in the middle of creating or removing the region, and has not finished for seconds.
    /// In a segment: another owner holds the lock or the writer, the directory is locked, or a value was
    /// overwritten during each attempt to copy it.
    Busy,
    /// What was handed to this process is not valid: forged, malformed, expired, meant for another process,
    /// or received before. See [`handoff`](crate::handoff).
    InvalidTicket,
    /// The region cannot grow this far: see [`OpenOptions::capacity`](crate::OpenOptions::capacity).
    BeyondCapacity,
    /// The disk is full, or this user's quota on it is used up.
    StorageFull,
    /// No large pages, or not enough of them, are available.
    NoLargePages,
    /// The machine has no such NUMA node.
    NoSuchNode,
    /// The file is in use in a way that does not allow the operation now: by a view, a lock, or exclusive
    /// access (Windows).
    InUse,
    /// The path does not lead to a regular file, but to a directory, a symbolic link or a device.
    NotAFile,
    /// The source became shorter during the copy.
    ChangedDuringCopy,
    /// The caller cancelled the operation.
    Cancelled,
    /// The region is not a [`Segment`](crate::Segment), or is one of a version that this library does not
    /// know.
    NotASegment,
    /// The region or the segment is not ready. A region: its name is reserved, but it has no length yet
    /// (Unix) or no committed page (Windows), and may stay so if its creator has ended. A segment: its
    /// creator has not started, has died, or takes longer than the timeout of the caller.
    NotReady,
    /// The object has another kind, type, size, alignment or version than requested.
    Incompatible,
    /// The bytes of a segment are not valid: a peer has overwritten them, or the segment was declared broken.
    /// Also the data of a lock whose owner died or panicked: see
    /// [`LockError::OwnerDied`](crate::sync::LockError::OwnerDied).
    Corrupted,
    /// The segment has no room left, or no slot for another participant.
    Full,
    /// The deadline has passed.
    TimedOut,
    /// An owner has permanently given the lock up, because its data could not be repaired.
    NotRecoverable,
    /// An option does not apply to the function that was called, or contradicts another option. The message
    /// names the option and what to do.
    InvalidOption,
    /// Any other error of the system: see [`Error::raw_os_error`](crate::Error::raw_os_error) and the
    /// message.
    Other,
}

/// The reader that a text addresses.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Audience {
    /// Someone who writes a program that uses this library.
    Programmer,
    /// Someone at a terminal, who may not write programs.
    User,
}

impl ErrorKind {
    /// Returns the fact in a few words.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            ErrorKind::EmptyName => "the name is empty",
            ErrorKind::NameTooLong => "the name is too long",
            ErrorKind::InvalidName => "invalid name",
            ErrorKind::NotFound => "no region has this name",
            ErrorKind::AlreadyExists => "the name is already in use",
            ErrorKind::NotSharedMemory => "not a shared memory region",
            ErrorKind::PermissionDenied => "access denied",
            ErrorKind::NotWritable => "write access denied",
            ErrorKind::ZeroLength => "the length is zero",
            ErrorKind::TooLarge => "the length is too large",
            ErrorKind::TooSmall => "the region is smaller than requested",
            ErrorKind::OutOfMemory => "out of memory",
            ErrorKind::OutOfBounds => "out of bounds",
            ErrorKind::Misaligned => "misaligned offset",
            ErrorKind::Fault => "the page cannot be accessed",
            ErrorKind::Unsupported => "not supported on this system",
            ErrorKind::UnexpectedOwner => "unexpected owner",
            ErrorKind::UnexpectedLength => "unexpected length",
            ErrorKind::UnknownAccount => "no such user, group or package",
            ErrorKind::InvalidSecurity => "invalid security",
            ErrorKind::LimitReached => "a limit is reached",
            ErrorKind::Busy => "another process is creating or removing it",
            ErrorKind::InvalidTicket => "invalid handoff",
            ErrorKind::BeyondCapacity => "the capacity is exceeded",
            ErrorKind::StorageFull => "the disk is full",
            ErrorKind::NoLargePages => "not enough large pages",
            ErrorKind::NoSuchNode => "no such NUMA node",
            ErrorKind::InUse => "the file is in use",
            ErrorKind::NotAFile => "not a regular file",
            ErrorKind::ChangedDuringCopy => "the source became shorter during the copy",
            ErrorKind::Cancelled => "cancelled",
            ErrorKind::NotASegment => "not a segment of a known version",
            ErrorKind::NotReady => "not ready",
            ErrorKind::Incompatible => "the existing object is incompatible",
            ErrorKind::Corrupted => "the segment is corrupted",
            ErrorKind::Full => "the segment is full",
            ErrorKind::TimedOut => "timed out",
            ErrorKind::NotRecoverable => "the lock is not recoverable",
            ErrorKind::InvalidOption => "an option does not apply",
            ErrorKind::Other => "the system reported an error",
        }
    }

    /// Returns the cure, or an empty text if it depends on the case.
    pub(crate) fn cure(self, audience: Audience) -> &'static str {
        let programmer = audience == Audience::Programmer;
        match self {
            ErrorKind::NotFound => {
                "start the program that creates it first, and compare the spelling and the namespace \
                 (Local or Global)"
            }
            ErrorKind::AlreadyExists if programmer => {
                "open it, use open_or_create, or choose another name if it belongs to another program"
            }
            ErrorKind::AlreadyExists => "use it as it is, or choose another name",
            ErrorKind::NotSharedMemory if cfg!(windows) => {
                "choose another name: file mappings, events, mutexes and other objects share one namespace"
            }
            ErrorKind::NotSharedMemory => "choose another name, or pass a descriptor of a file in memory",
            ErrorKind::PermissionDenied if cfg!(windows) => {
                "run as the user who created it, or let its creator grant access; creating a Global name \
                 takes a privilege"
            }
            ErrorKind::PermissionDenied => "run as the user who created it, or let its creator grant access",
            ErrorKind::NotWritable => "open it read-only, or let its creator grant write access",
            ErrorKind::ZeroLength => "specify a length in bytes",
            ErrorKind::TooLarge if programmer => "map a part of it with view_at, or request less",
            ErrorKind::TooLarge => "request less",
            ErrorKind::TooSmall if programmer => {
                "let its creator make it larger, or accept its length: open it without len()"
            }
            ErrorKind::TooSmall => "let its creator make it larger",
            ErrorKind::OutOfMemory => "request less, or end programs that hold memory",
            ErrorKind::OutOfBounds if programmer => "stay below the length: see len()",
            ErrorKind::OutOfBounds => "stay below the length",
            ErrorKind::Misaligned => "use an offset that is a multiple of the size",
            ErrorKind::Fault => {
                "run `mmf doctor` on its name, which checks its length and the storage that is left"
            }
            ErrorKind::UnexpectedOwner => {
                "find out who owns it (`mmf doctor` shows it), or choose another name"
            }
            ErrorKind::UnexpectedLength => {
                "compare the lengths that both programs expect, or choose another name"
            }
            ErrorKind::UnknownAccount => "compare the spelling",
            ErrorKind::LimitReached => "raise the limit, or request less",
            ErrorKind::Busy => "try again",
            ErrorKind::InvalidTicket => "let the sender hand it over again",
            ErrorKind::NotASegment if programmer => {
                "open it as a SharedMemory, or let its creator create a Segment"
            }
            ErrorKind::NotASegment => "use its bytes, or compare the versions of the programs that use it",
            ErrorKind::NotReady if programmer => "restart its creator, or use open_or_create",
            ErrorKind::NotReady => "restart the program that creates it",
            ErrorKind::Incompatible => "build both programs from the same types, or use another name",
            ErrorKind::Corrupted => "end all programs that use it, and find out which of them overwrote it",
            ErrorKind::Full => "make the segment larger",
            ErrorKind::TimedOut => "try again, or find out which process holds it (`mmf inspect`)",
            ErrorKind::NotRecoverable => "end all programs that use the segment, and start again",
            ErrorKind::InvalidSecurity if cfg!(unix) => {
                "leave the owner and the group out: this user may not assign them"
            }
            ErrorKind::InvalidSecurity => {
                "leave the owner out, and choose an integrity level that is not above this program's"
            }
            ErrorKind::BeyondCapacity if programmer => "let its creator set a larger capacity()",
            ErrorKind::BeyondCapacity => "let its creator set a larger capacity",
            ErrorKind::StorageFull => "free space on the disk, choose another place, or request less",
            ErrorKind::NoLargePages if cfg!(windows) => {
                "create it soon after the system has started, request less, or only prefer large pages"
            }
            ErrorKind::NoLargePages => {
                "let an administrator provide some (sysctl vm.nr_hugepages=… for regions without a name, \
                 mount -o remount,huge=advise /dev/shm for named ones), or only prefer large pages"
            }
            ErrorKind::InUse => "close it where it is open, or try again",
            ErrorKind::NotAFile => "specify the path of a file",
            ErrorKind::ChangedDuringCopy => "try again when no process changes it",
            ErrorKind::EmptyName
            | ErrorKind::NameTooLong
            | ErrorKind::InvalidName
            | ErrorKind::NoSuchNode
            | ErrorKind::Unsupported
            | ErrorKind::Cancelled
            | ErrorKind::InvalidOption
            | ErrorKind::Other => "",
        }
    }

    /// Returns the fact and the cure for an error about a file.
    pub(crate) fn of_file(self, audience: Audience) -> (&'static str, &'static str) {
        match self {
            ErrorKind::NotFound => {
                ("no such file or directory", "compare the spelling; directories are not created")
            }
            ErrorKind::AlreadyExists => ("the file already exists", "choose another name, or replace it"),
            ErrorKind::PermissionDenied => {
                (self.describe(), "choose another place, or let its owner grant access")
            }
            ErrorKind::InvalidName => ("not a valid file name", "choose another one"),
            ErrorKind::TooLarge => {
                (self.describe(), "this file system does not support files of this length")
            }
            ErrorKind::Busy => {
                ("another program has the file open", "close it there, or choose another name")
            }
            _ => (self.describe(), self.cure(audience)),
        }
    }

    /// Returns the corresponding kind of `std::io`. `code` decides where this library has no kind of its own.
    pub(crate) fn as_io(self, code: Option<i32>) -> io::ErrorKind {
        match self {
            ErrorKind::NotFound => io::ErrorKind::NotFound,
            ErrorKind::AlreadyExists => io::ErrorKind::AlreadyExists,
            ErrorKind::PermissionDenied | ErrorKind::NotWritable => io::ErrorKind::PermissionDenied,
            ErrorKind::OutOfMemory => io::ErrorKind::OutOfMemory,
            ErrorKind::Unsupported => io::ErrorKind::Unsupported,
            ErrorKind::StorageFull => io::ErrorKind::StorageFull,
            ErrorKind::InUse | ErrorKind::Busy => io::ErrorKind::ResourceBusy,
            ErrorKind::TimedOut => io::ErrorKind::TimedOut,
            ErrorKind::InvalidTicket
            | ErrorKind::NotASegment
            | ErrorKind::Incompatible
            | ErrorKind::Corrupted => io::ErrorKind::InvalidData,
            ErrorKind::EmptyName
            | ErrorKind::NameTooLong
            | ErrorKind::InvalidName
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
            ErrorKind::Other => match code.map(|code| io::Error::from_raw_os_error(code).kind()) {
                // Callers retry on `Interrupted`; here it would be for ever.
                None | Some(io::ErrorKind::Interrupted) => io::ErrorKind::Other,
                Some(kind) => kind,
            },
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
            // Not `Interrupted`, on which callers retry.
            | ErrorKind::Cancelled => io::ErrorKind::Other,
        }
    }
}
