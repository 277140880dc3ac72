//! Causes: to match on, and in words.

use core::fmt;
use std::time::SystemTime;

use super::words::{Bytes, Short, Time, write_account};
use crate::error::ErrorKind;
use crate::escape::Escaped;
use crate::security::{Account, IntegrityLevel, Security};

/// The reason why an operation fails or would fail, or a fact that may be useful.
///
/// Variants and fields can be added in any version. Each cause has a stable number and a stable identifier,
/// [`code`](Cause::code) and [`id`](Cause::id).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The input is invalid: the name, a length of zero, an unknown user.
    #[non_exhaustive]
    Invalid {
        /// The kind of the error.
        kind: ErrorKind,
        /// What is wrong with the input, in words.
        message: String,
    },
    /// No object has this name.
    Missing,
    /// A region with this name exists in the other namespace.
    #[non_exhaustive]
    OtherNamespace {
        /// Its full name.
        name: String,
    },
    /// A region exists whose name differs in upper and lower case only.
    #[non_exhaustive]
    OtherCase {
        /// Its full name.
        name: String,
    },
    /// `Local\` names belong to one session (Windows) or to one user (Unix), and are not visible to others.
    #[non_exhaustive]
    LocalScope {
        /// The session of this process (Windows).
        session: Option<u32>,
    },
    /// The name belongs to an object of another type.
    #[non_exhaustive]
    OtherType {
        /// That type, such as "event" or "directory".
        kind: String,
    },
    /// A region exists whose name differs in one or two characters.
    #[non_exhaustive]
    SimilarName {
        /// Its full name.
        name: String,
    },
    /// The name is reserved, but the creator has not yet given the region a length (Unix) or committed a page
    /// of it (Windows). It can stay so permanently: a program can end between the two steps.
    #[non_exhaustive]
    Unfinished {
        /// When the name was reserved, if known.
        since: Option<SystemTime>,
        /// The owner, if known.
        owner: Option<Account>,
        /// The processes that have it open. `None` if it is so fresh that they were not searched for.
        holders: Option<Vec<u32>>,
        /// Whether all processes that could have it open were checked.
        complete: bool,
    },
    /// A stale region has this name: its holders were killed. The next open removes it (Linux).
    Stale,
    /// A stale region has this name: its holders were killed. Only programs of its owner may remove it
    /// (Linux).
    #[non_exhaustive]
    StaleNotRemovable {
        /// The owner, if known.
        owner: Option<Account>,
    },
    /// This user may not open the region, so it cannot be determined whether it is in use or stale (Linux).
    #[non_exhaustive]
    PossiblyStale {
        /// The owner, if known.
        owner: Option<Account>,
        /// When it was created or last changed, if known.
        since: Option<SystemTime>,
        /// Whether the kernel's list of locks shows no process that holds it.
        unheld: bool,
    },
    /// A region with this name already exists.
    #[non_exhaustive]
    Exists {
        /// Its length in bytes, if known.
        len: Option<u64>,
        /// The owner, if known.
        owner: Option<Account>,
    },
    /// An object with this name exists, but this user may not query it.
    Hidden,
    /// The region is smaller than requested.
    #[non_exhaustive]
    TooSmall {
        /// The required length in bytes.
        asked: u64,
        /// The length of the region in bytes.
        len: u64,
    },
    /// The access rights of the region do not grant the access.
    #[non_exhaustive]
    NotGranted {
        /// Whether write access is denied; false if read access is denied, too.
        write: bool,
        /// The user of this process.
        user: Option<Account>,
        /// The access rights, if known.
        security: Option<Box<Security>>,
    },
    /// Mode and access list grant the access, but a security module or a sandbox denies it (Linux).
    #[non_exhaustive]
    RefusedByPolicy {
        /// The label that a security module has given this process, such as an `AppArmor` profile.
        label: Option<String>,
        /// The snap that this process belongs to.
        snap: Option<String>,
        /// Whether a seccomp filter applies to this process.
        seccomp: bool,
        /// The kind of container that this process runs in, if it can be detected.
        container: Option<&'static str>,
    },
    /// The integrity level of the region is higher than that of this process; access rights do not override
    /// it (Windows).
    #[non_exhaustive]
    Integrity {
        /// The integrity level of the region.
        object: IntegrityLevel,
        /// The integrity level of this process.
        process: IntegrityLevel,
    },
    /// This process is in an `AppContainer`, which has object names of its own and no `Global\` (Windows).
    AppContainer,
    /// This user does not have a privilege (Windows).
    #[non_exhaustive]
    PrivilegeMissing {
        /// The name of the privilege.
        privilege: &'static str,
    },
    /// A privilege is held but disabled; it is enabled for the one call that needs it (Windows).
    #[non_exhaustive]
    PrivilegeDisabled {
        /// The name of the privilege.
        privilege: &'static str,
    },
    /// Not enough is left of what regions are backed by.
    #[non_exhaustive]
    OutOfMemory {
        /// The bytes that were requested.
        asked: u64,
        /// The bytes that are left.
        left: u64,
        /// The bytes that it can hold.
        limit: u64,
        /// What it is: the commit limit (Windows), a mount such as `/dev/shm`.
        of: &'static str,
    },
    /// Nothing is left for the pages of the region.
    #[non_exhaustive]
    Full {
        /// What is full: a mount such as `/dev/shm`, a disk, the pool of large pages.
        of: &'static str,
        /// The bytes that are left: less than a page.
        left: u64,
        /// The bytes that it can hold, if known.
        limit: Option<u64>,
    },
    /// Regions may still need more than is left, so writing to pages that were never written may fail.
    #[non_exhaustive]
    Overcommitted {
        /// The bytes that were promised and have no page yet.
        needs: u64,
        /// The bytes that are left.
        left: u64,
        /// What they are left of.
        of: &'static str,
    },
    /// The memory limit of the control group of this process, or of one above it, is reached (Linux).
    #[non_exhaustive]
    ControlGroup {
        /// The bytes in use.
        used: u64,
        /// The bytes allowed.
        limit: u64,
    },
    /// Another process has truncated the region: the byte is beyond its end.
    #[non_exhaustive]
    Truncated {
        /// The current length in bytes.
        len: u64,
    },
    /// The RAM that held the page has failed.
    BadMemory,
    /// Code in this process has unmapped or protected the page.
    Inaccessible,
    /// The device or the network behind a file has failed.
    Device,
    /// No cause that can be checked applies.
    #[non_exhaustive]
    Unexplained {
        /// What was checked, and which causes remain.
        checked: &'static str,
    },
    /// No free range of addresses is large enough.
    #[non_exhaustive]
    AddressSpace {
        /// The bytes that were requested.
        asked: u64,
        /// The largest free range in bytes, if known.
        largest: Option<u64>,
    },
    /// A limit does not allow what was requested in addition to what is in use.
    #[non_exhaustive]
    LimitInUse {
        /// The name of the limit, such as `RLIMIT_AS` or `vm.max_map_count`.
        name: &'static str,
        /// The part that is in use.
        used: u64,
        /// What was requested in addition.
        asked: u64,
        /// The limit.
        limit: u64,
    },
    /// The length exceeds the capacity of the region.
    #[non_exhaustive]
    BeyondCapacity {
        /// The length in bytes that was requested.
        asked: u64,
        /// The capacity in bytes.
        capacity: u64,
    },
    /// No holder with write access reported the capacity when this process opened the region: it has none, or
    /// all such holders are gone (Linux).
    CapacityUnknown,
    /// The request uses nearly all of what is left.
    #[non_exhaustive]
    NearlyFull {
        /// The bytes that were requested.
        asked: u64,
        /// The bytes that are left.
        left: u64,
        /// What they are left of.
        of: &'static str,
    },
    /// The directory of named regions cannot be used (Unix).
    #[non_exhaustive]
    Directory {
        /// Its path.
        path: &'static str,
        /// What is wrong with it, in words.
        problem: &'static str,
    },
    /// A limit of the process or of the system is too low.
    #[non_exhaustive]
    Limit {
        /// The name of the limit, such as `RLIMIT_MEMLOCK`.
        name: &'static str,
        /// The limit.
        limit: u64,
        /// What was requested, if it is a number.
        asked: Option<u64>,
    },
    /// The region belongs to another user than expected.
    #[non_exhaustive]
    UnexpectedOwner {
        /// The expected owner.
        expected: Account,
        /// The owner, if known.
        owner: Option<Account>,
    },
    /// The region has more than one name: another user may have added this one as a hard link (Linux).
    #[non_exhaustive]
    HardLinked {
        /// The number of names.
        names: u64,
        /// Those among them that are found in `/dev/shm`.
        found: Vec<String>,
    },
    /// Another process holds a lock on the region that prevents others from opening it (Linux). Any process
    /// that may read the region can take such a lock.
    #[non_exhaustive]
    HeldExclusively {
        /// The id of that process.
        process: u32,
        /// The name of its program, if known.
        program: Option<String>,
    },
    /// Any user may rename what others have created in the directory of named regions, so a name does not
    /// identify its creator (Linux).
    #[non_exhaustive]
    Replaceable {
        /// The path of the directory.
        path: &'static str,
    },
    /// In this user namespace the user has another id than outside, and so other `Local\` names (Linux).
    #[non_exhaustive]
    OtherUserNamespace {
        /// The id of the user inside.
        inside: u32,
        /// The id of the user outside.
        outside: u32,
    },
    /// The region has another length than expected.
    #[non_exhaustive]
    UnexpectedLength {
        /// The expected length in bytes.
        expected: u64,
        /// The length of the region in bytes.
        len: u64,
    },
    /// This system, or this version of it, does not support it.
    #[non_exhaustive]
    Unsupported {
        /// What is not supported, in words.
        what: String,
    },
    /// The region exists and can be used as requested. This is not a problem.
    #[non_exhaustive]
    Usable {
        /// Its length in bytes, if known.
        len: Option<u64>,
        /// Whether it can be written, too.
        write: bool,
    },
    /// The name is free: a region can be created. This is not a problem.
    Free,
    /// The region can grow as requested. This is not a problem.
    Growable,
}

impl Cause {
    /// Returns the kind of the error that it leads to.
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Cause::Invalid { kind, .. } => *kind,
            Cause::Missing
            | Cause::Stale
            | Cause::OtherNamespace { .. }
            | Cause::OtherCase { .. }
            | Cause::SimilarName { .. }
            | Cause::LocalScope { .. }
            | Cause::OtherUserNamespace { .. } => ErrorKind::NotFound,
            Cause::OtherType { .. } => ErrorKind::NotSharedMemory,
            Cause::TooSmall { .. } => ErrorKind::TooSmall,
            Cause::Unfinished { .. } => ErrorKind::NotReady,
            Cause::StaleNotRemovable { .. } | Cause::PossiblyStale { .. } | Cause::Exists { .. } => {
                ErrorKind::AlreadyExists
            }
            Cause::Hidden
            | Cause::RefusedByPolicy { .. }
            | Cause::AppContainer
            | Cause::PrivilegeMissing { .. }
            | Cause::PrivilegeDisabled { .. } => ErrorKind::PermissionDenied,
            Cause::NotGranted { .. } | Cause::Integrity { .. } => ErrorKind::PermissionDenied,
            Cause::HeldExclusively { .. } => ErrorKind::Busy,
            Cause::BeyondCapacity { .. } | Cause::CapacityUnknown => ErrorKind::BeyondCapacity,
            Cause::OutOfMemory { .. }
            | Cause::NearlyFull { .. }
            | Cause::Full { .. }
            | Cause::Overcommitted { .. }
            | Cause::ControlGroup { .. } => ErrorKind::OutOfMemory,
            Cause::Truncated { .. } | Cause::BadMemory | Cause::Inaccessible | Cause::Device => {
                ErrorKind::Fault
            }
            Cause::AddressSpace { .. } => ErrorKind::TooLarge,
            Cause::Directory { .. } | Cause::Unsupported { .. } => ErrorKind::Unsupported,
            Cause::Limit { .. } | Cause::LimitInUse { .. } => ErrorKind::LimitReached,
            Cause::UnexpectedLength { .. } => ErrorKind::UnexpectedLength,
            Cause::UnexpectedOwner { .. } | Cause::HardLinked { .. } | Cause::Replaceable { .. } => {
                ErrorKind::UnexpectedOwner
            }
            Cause::Usable { .. } | Cause::Free | Cause::Growable | Cause::Unexplained { .. } => {
                ErrorKind::Other
            }
        }
    }
}

impl Cause {
    /// Returns whether it is so brief that the first line of an error includes it.
    pub(crate) fn is_brief(&self) -> bool {
        matches!(
            self,
            Cause::Invalid { .. }
                | Cause::OtherType { .. }
                | Cause::TooSmall { .. }
                | Cause::OutOfMemory { .. }
                | Cause::Full { .. }
                | Cause::Truncated { .. }
                | Cause::AddressSpace { .. }
                | Cause::LimitInUse { .. }
                | Cause::BeyondCapacity { .. }
                | Cause::Directory { .. }
                | Cause::Limit { .. }
                | Cause::UnexpectedOwner { .. }
                | Cause::UnexpectedLength { .. }
                | Cause::HardLinked { .. }
                | Cause::HeldExclusively { .. }
                | Cause::PrivilegeMissing { .. }
                | Cause::Unsupported { .. }
        )
    }
}

/// A clause without a full stop. Names are escaped where they could disturb the output.
impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::write(&mut Escaped(f), format_args!("{}", CauseText(self)))
    }
}

/// The words, unescaped.
struct CauseText<'c>(&'c Cause);

impl fmt::Display for CauseText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Cause::Invalid { message, .. } => f.write_str(message),
            Cause::Missing => f.write_str("it was not created yet, or it was removed with its last holder"),
            Cause::OtherNamespace { name } => write!(f, "{name} exists in the other namespace"),
            Cause::OtherCase { name } => {
                write!(f, "{name} exists: names are case-sensitive")
            }
            Cause::LocalScope { session: Some(session) } => {
                write!(
                    f,
                    "Local\\ names belong to this session ({session}); regions of services and of other \
                     sessions are not visible here"
                )
            }
            Cause::LocalScope { session: None } => {
                f.write_str(r"Local\ names belong to this user; regions of other users are not visible here")
            }
            Cause::OtherType { kind } => write!(f, "the name belongs to {} {kind}", article(kind)),
            Cause::SimilarName { name } => write!(f, "{name} exists, which differs in few characters"),
            Cause::Unfinished { since, owner, holders, complete } => {
                f.write_str(if cfg!(windows) {
                    "the name is reserved, but its creator has not committed any memory yet"
                } else {
                    "the name is reserved, but its creator has not set a length yet"
                })?;
                let mut link = " (";
                if let Some(since) = since {
                    write!(f, "{link}since {}", Time(*since))?;
                    link = ", ";
                }
                if let Some(owner) = owner {
                    write!(f, "{link}owner {owner}")?;
                    link = ", ";
                }
                match holders.as_deref() {
                    None => write!(f, "{link}it is fresh")?,
                    Some([]) if *complete => write!(f, "{link}no process has it open")?,
                    Some([]) => write!(f, "{link}whether a process has it open cannot be determined here")?,
                    Some([first, rest @ ..]) => {
                        write!(f, "{link}open in process {first}")?;
                        rest.iter().try_for_each(|id| write!(f, ", {id}"))?;
                    }
                }
                f.write_str(")")
            }
            Cause::Stale => {
                f.write_str("a stale region exists (its holders were killed); the next open removes it")
            }
            Cause::StaleNotRemovable { owner } => {
                f.write_str(
                    "a stale region exists (its holders were killed), and only programs of its owner",
                )?;
                write_account(f, " (", owner.as_ref(), ")")?;
                f.write_str(" may remove it")
            }
            Cause::PossiblyStale { owner, since, unheld } => {
                f.write_str("the name belongs to a region")?;
                write_account(f, " of ", owner.as_ref(), "")?;
                f.write_str(
                    " that this user may not open; it may be in use, or stale (left by a killed program)",
                )?;
                if *unheld {
                    f.write_str(" (the kernel's list of locks shows no process that holds it)")?;
                }
                match since {
                    Some(since) => write!(f, "; it was created or changed at {}", Time(*since)),
                    None => Ok(()),
                }
            }
            Cause::Exists { len, owner } => {
                f.write_str("the name belongs to a region")?;
                if let Some(len) = len {
                    write!(f, " of {}", Bytes(*len))?;
                }
                write_account(f, ", owner ", owner.as_ref(), "")
            }
            Cause::Hidden => f.write_str("an object with this name exists, but this user may not query it"),
            Cause::TooSmall { asked, len } => write!(f, "it has {}, and {asked} were requested", Bytes(*len)),
            Cause::NotGranted { write, user: you, security } => {
                f.write_str("this user")?;
                write_account(f, " (", you.as_ref(), ")")?;
                write!(f, " may not {} it", if *write { "write to" } else { "read" })?;
                match security {
                    Some(security) => write!(f, ". Its access rights: {security}"),
                    None => f.write_str(", nor query its access rights"),
                }
            }
            Cause::RefusedByPolicy { label, snap, seccomp, container } => {
                f.write_str("the access rights allow it, so something else denies it: ")?;
                match label {
                    Some(label) => write!(f, "a security module (this process's label is {label})")?,
                    None => f.write_str("a security module (AppArmor, SELinux)")?,
                }
                f.write_str(", a sandbox")?;
                f.write_str(if *seccomp {
                    " or the seccomp filter of this process"
                } else {
                    " or a seccomp filter"
                })?;
                if let Some(container) = container {
                    write!(f, "; this process runs in a container ({container})")?;
                }
                match snap {
                    Some(snap) => write!(
                        f,
                        "; this is the snap {snap}, which may only use names that start with snap.{snap}."
                    ),
                    None => Ok(()),
                }
            }
            Cause::Integrity { object, process: yours } => write!(
                f,
                "its integrity level is {object}, and that of this process is {yours}; a lower level cannot \
                 write to a higher one, whatever the access rights"
            ),
            Cause::AppContainer => f.write_str(
                "this process is in an AppContainer, which has object names of its own and no Global\\",
            ),
            Cause::PrivilegeMissing { privilege } => write!(f, "this user does not have {privilege}"),
            Cause::PrivilegeDisabled { privilege } => {
                write!(f, "{privilege} is held but disabled; it is enabled for the call that needs it")
            }
            Cause::OutOfMemory { asked, left, limit, of } => {
                write!(
                    f,
                    "{} were requested; {} of {} are left of {of}",
                    Bytes(*asked),
                    Bytes(*left),
                    Bytes(*limit)
                )
            }
            Cause::Full { of, left, limit } => {
                write!(f, "{of} is full: {} bytes", left)?;
                match limit {
                    Some(limit) => write!(f, " of {} left", Short(*limit)),
                    None => f.write_str(" left"),
                }
            }
            Cause::Overcommitted { needs, left, of } => write!(
                f,
                "{} of the promised lengths have no page yet, and {} are left of {of}: writing may fail",
                Bytes(*needs),
                Bytes(*left)
            ),
            Cause::ControlGroup { used, limit } => write!(
                f,
                "the memory limit of this process's control group is reached: {} of {} are in use",
                Bytes(*used),
                Bytes(*limit)
            ),
            Cause::Truncated { len } => {
                write!(
                    f,
                    "another process has truncated it: it has {} now, and this byte is beyond its end",
                    Bytes(*len)
                )
            }
            Cause::BadMemory => f.write_str("the RAM that held the page has failed; its content is lost"),
            Cause::Inaccessible => f.write_str(
                "the byte is inside the region, but code in this process has unmapped or protected its page",
            ),
            Cause::Device => f.write_str("the device or the network behind the file has failed"),
            Cause::Unexplained { checked } => write!(f, "the cause is not known: {checked}"),
            Cause::AddressSpace { asked, largest } => {
                write!(f, "{} do not fit into the address space of this process", Bytes(*asked))?;
                match largest {
                    Some(largest) => write!(f, ": its largest free range has {}", Bytes(*largest)),
                    None => Ok(()),
                }
            }
            Cause::LimitInUse { name: name @ "vm.max_map_count", used, limit, .. } => {
                write!(f, "this process has {used} mappings, and {name} allows {limit}")
            }
            Cause::LimitInUse { name, used, asked, limit } => write!(
                f,
                "{} more were requested, and {} are in use of the {} that {name} of this process allows",
                Bytes(*asked),
                Bytes(*used),
                Bytes(*limit)
            ),
            Cause::BeyondCapacity { asked, capacity } => {
                write!(f, "{} were requested, and its capacity is {}", Bytes(*asked), Bytes(*capacity))
            }
            Cause::CapacityUnknown => f.write_str(
                "its capacity was not known when this process opened it: it has none, or no holder with \
                 write access was left",
            ),
            Cause::NearlyFull { asked, left, of } => {
                write!(f, "{} are nearly all of the {} that are left of {of}", Bytes(*asked), Bytes(*left))
            }
            Cause::Directory { path: place, problem } => write!(f, "{place} {problem}"),
            Cause::Limit { name, limit, asked: Some(asked) } => {
                write!(f, "{} were requested, and {name} of this process allows {limit}", Bytes(*asked))
            }
            Cause::Limit { name: name @ "fs.file-max", limit, asked: None } => {
                write!(f, "{name} allows {limit} open files to all processes of this machine together")
            }
            // The one that does not count bytes.
            Cause::Limit { name: name @ "RLIMIT_NOFILE", limit, asked: None } => {
                write!(f, "{name} of this process allows {limit} open files")
            }
            Cause::Limit { name, limit, asked: None } => {
                write!(f, "{name} of this process allows {}", Bytes(*limit))
            }
            Cause::UnexpectedOwner { expected, owner } => {
                match owner {
                    // In quotes: a name can be a word of the sentence.
                    Some(owner) => write!(f, "the region belongs to \"{owner}\"")?,
                    None => f.write_str("the owner of the region is unknown")?,
                }
                write!(f, ", expected \"{expected}\"")
            }
            Cause::UnexpectedLength { expected, len } => {
                write!(f, "the region has {}, expected {expected}", Bytes(*len))
            }
            Cause::HardLinked { names, found } => {
                write!(
                    f,
                    "the region has {names} names: another user may have added this one as a hard link"
                )?;
                for (index, name) in found.iter().enumerate() {
                    // A file name that any user may have chosen.
                    write!(f, "{}{name:?}", if index == 0 { " (" } else { ", " })?;
                }
                f.write_str(if found.is_empty() { "" } else { ")" })
            }
            Cause::HeldExclusively { process, program } => {
                write!(f, "process {process}")?;
                if let Some(program) = program {
                    write!(f, " ({program:?})")?;
                }
                f.write_str(" holds an exclusive lock on it, which prevents others from opening it")
            }
            Cause::Replaceable { path: place } => write!(
                f,
                "any user may rename and replace files in {place}, which lacks the sticky bit, so a name \
                 does not identify its creator"
            ),
            Cause::OtherUserNamespace { inside, outside } => write!(
                f,
                "this process is in a user namespace where its user is {inside}; the Local\\ names of that \
                 user outside, {outside}, are not visible here"
            ),
            Cause::Unsupported { what } => write!(f, "this system does not support {what}"),
            Cause::Usable { len, write } => {
                f.write_str(if *write { "it can be read and written" } else { "it can be read" })?;
                match len {
                    Some(len) => write!(f, "; it has {}", Bytes(*len)),
                    None => Ok(()),
                }
            }
            Cause::Free => f.write_str("the name is free"),
            Cause::Growable => f.write_str("it can grow as requested"),
        }
    }
}

fn article(noun: &str) -> &'static str {
    if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}
