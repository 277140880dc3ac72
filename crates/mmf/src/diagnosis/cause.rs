//! Causes and remedies: to match on, and in words.

use core::fmt;
use std::time::SystemTime;

use crate::error::ErrorKind;
use crate::escape::Escaped;
use crate::security::{Account, IntegrityLevel, Security};

/// Why something does not work, or will not; or what is good to know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// Something is wrong with the question itself: the name, a length of zero, an unknown user. Its kind and its text.
    Invalid {
        /// The kind that the error has.
        kind: ErrorKind,
        /// What is wrong with it.
        message: String,
    },
    /// There is nothing of this name.
    Missing,
    /// There is one in the other namespace.
    OtherNamespace {
        /// Its full name.
        name: String,
    },
    /// There is one whose name differs in upper and lower case only.
    OtherSpelling {
        /// Its full name.
        name: String,
    },
    /// Local names of one session are not seen in another one (Windows), those of one user not by another one (Unix).
    LocalToOthers {
        /// This session.
        session: Option<u32>,
    },
    /// The name belongs to something else.
    OtherKind {
        /// What that is, such as "event" or "directory".
        kind: String,
    },
    /// A name that differs in one or two characters is in use.
    SimilarName {
        /// Its full name.
        name: String,
    },
    /// The name is reserved, but its creator has not given it a length (Unix) or committed a page of it (Windows) until now. It
    /// may be left over for good: a program can end between the two steps.
    Unfinished {
        /// Since when, if that can be learnt.
        since: Option<SystemTime>,
        /// Whose it is, if that can be learnt.
        owner: Option<Account>,
        /// Processes that have it open, if they were looked for: not while it is fresh.
        holders: Option<Vec<u32>>,
        /// Whether all processes that could have it open were looked at.
        complete: bool,
    },
    /// There is one whose holders were killed; the next who asks for it removes it (Linux).
    Stale,
    /// Its holders were killed, and only its owner's programs may remove it (Linux).
    Abandoned {
        /// Whose it is.
        owner: Option<Account>,
    },
    /// This user cannot open it, and so cannot tell whether it is in use or left over from programs that were killed (Linux).
    PossiblyAbandoned {
        /// Whose it is.
        owner: Option<Account>,
        /// Since when it has existed or was last changed.
        since: Option<SystemTime>,
        /// Whether the kernel's list of locks shows no process that holds it.
        unheld: bool,
    },
    /// There is a memory of this name already.
    Exists {
        /// How long it is, if that can be learnt.
        len: Option<u64>,
        /// Whose it is, if that can be learnt.
        owner: Option<Account>,
    },
    /// There is something of this name, but it lets this user see nothing of it.
    Hidden,
    /// It is smaller than was asked for.
    TooSmall {
        /// The least that will do, in bytes.
        asked: u64,
        /// What it has.
        len: u64,
    },
    /// Who may do what with it does not include what was asked.
    NotGranted {
        /// Whether it is writing that is not granted; if reading is not either, that is said instead.
        write: bool,
        /// Who asked.
        you: Option<Account>,
        /// Who may do what, if that can be learnt.
        security: Option<Box<Security>>,
    },
    /// Mode and access list allow what was refused: something else refuses it (Linux). That is a security module or a sandbox.
    RefusedElsewhere {
        /// The label that a security module has given this process, such as an `AppArmor` profile.
        label: Option<String>,
        /// The snap that this process belongs to.
        snap: Option<String>,
        /// Whether a seccomp filter judges its system calls.
        seccomp: bool,
        /// The kind of container that it runs in, if that shows.
        container: Option<&'static str>,
    },
    /// Its integrity is higher than this process's (Windows): no grant helps against that.
    Integrity {
        /// Its level.
        object: IntegrityLevel,
        /// The level of this process.
        yours: IntegrityLevel,
    },
    /// This process is in an `AppContainer` (Windows), which has object names of its own and no `Global\`.
    AppContainer,
    /// A privilege is missing (Windows).
    PrivilegeMissing {
        /// Its name.
        privilege: &'static str,
    },
    /// A privilege is held, but not enabled (Windows); it is enabled for the one call that needs it.
    PrivilegeDisabled {
        /// Its name.
        privilege: &'static str,
    },
    /// There is not enough left of what memory is made of.
    NoMemory {
        /// What was asked for, in bytes.
        asked: u64,
        /// What is left.
        left: u64,
        /// What there is at all.
        limit: u64,
        /// Of what: the commit limit (Windows), a mount such as `/dev/shm`.
        of: &'static str,
    },
    /// Nothing is left of what its pages are made of.
    Full {
        /// Of what: a mount such as `/dev/shm`, a disk, the pool of large pages.
        of: &'static str,
        /// What is left, in bytes: less than a page.
        left: u64,
        /// What there is at all, if that is known.
        limit: Option<u64>,
    },
    /// What it, or all regions together, may still need is more than is left: writing to pages that were never written may fail.
    Overcommitted {
        /// Bytes that have been promised and not been allocated yet.
        needs: u64,
        /// What is left.
        left: u64,
        /// Of what.
        of: &'static str,
    },
    /// The memory limit of this process's control group, or of one above it, is reached (Linux).
    MemoryGroup {
        /// Bytes in use.
        used: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// Another process has made it shorter: the byte is beyond its end.
    CutOff {
        /// What it has now.
        len: u64,
    },
    /// The RAM that held the page has failed.
    BadMemory,
    /// Something in this process has unmapped the page or taken the access to it away.
    Inaccessible,
    /// The device or the network behind a file has failed.
    Device,
    /// None of the causes that can be looked at fits.
    Unexplained {
        /// What was looked at, and what else it can be.
        looked_at: &'static str,
    },
    /// No range of free addresses is large enough.
    AddressSpace {
        /// What was asked for, in bytes.
        asked: u64,
        /// The largest free range, if that is known.
        largest: Option<u64>,
    },
    /// A limit of which part is in use does not allow what was asked for besides.
    LimitInUse {
        /// Its name, such as `RLIMIT_AS` or `vm.max_map_count`.
        name: &'static str,
        /// What is in use.
        used: u64,
        /// What was asked for.
        asked: u64,
        /// What it allows.
        limit: u64,
    },
    /// It was not made to grow so far.
    BeyondCapacity {
        /// The length that was asked for, in bytes.
        asked: u64,
        /// How far it can grow.
        capacity: u64,
    },
    /// No holder that may write told of a capacity when this process opened the region (Linux): it has none, or all that knew it
    /// are gone.
    CapacityNotTold,
    /// What was asked for nearly uses up what is left.
    NearlyFull {
        /// What was asked for, in bytes.
        asked: u64,
        /// What is left.
        left: u64,
        /// Of what.
        of: &'static str,
    },
    /// Nothing can be made where named memories live (Unix).
    Place {
        /// Where.
        place: &'static str,
        /// What is the matter with it.
        problem: &'static str,
    },
    /// A limit of the process is too low.
    Limit {
        /// Its name, such as `RLIMIT_MEMLOCK`.
        name: &'static str,
        /// What it allows.
        limit: u64,
        /// What was asked for, if it is a number.
        asked: Option<u64>,
    },
    /// It is not the memory of the one who was expected.
    WrongOwner {
        /// Who was expected.
        expected: Account,
        /// Whose it is, if that can be learnt.
        owner: Option<Account>,
    },
    /// The region has more names than the one by which it was asked for (Linux): another user may have added this one, by a
    /// hard link.
    Linked {
        /// How many there are.
        names: u64,
        /// Those among them that are found in `/dev/shm`.
        found: Vec<String>,
    },
    /// Another process has a lock on the region that keeps all others from opening it (Linux). Any process that may read it can
    /// take such a lock.
    HeldExclusively {
        /// Its id.
        process: u32,
        /// What its program is called, if it can be told.
        program: Option<String>,
    },
    /// Any user may rename what others have created where the names are, so a name says nothing about its creator (Linux).
    Replaceable {
        /// Where.
        place: &'static str,
    },
    /// In this user namespace this user has another number than outside, and so other `Local\` names (Linux).
    OtherUserNamespace {
        /// The number of this user inside.
        inside: u32,
        /// The number of this user outside.
        outside: u32,
    },
    /// It is not of the length that was expected.
    WrongLen {
        /// What was expected, in bytes.
        expected: u64,
        /// What it has.
        len: u64,
    },
    /// This system, or this version of it, does not offer it.
    Unsupported {
        /// What.
        what: String,
    },
    /// It exists and can be used as asked. (Not a trouble.)
    Usable {
        /// How long it is, in bytes.
        len: Option<u64>,
        /// Whether it can be written, too.
        write: bool,
    },
    /// It can be made. (Not a trouble.)
    Free,
    /// It can grow as asked. (Not a trouble.)
    Growable,
}

impl Cause {
    /// The kind of the error that comes of it.
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Cause::Invalid { kind, .. } => *kind,
            Cause::Missing
            | Cause::Stale
            | Cause::OtherNamespace { .. }
            | Cause::OtherSpelling { .. }
            | Cause::SimilarName { .. }
            | Cause::LocalToOthers { .. }
            | Cause::OtherUserNamespace { .. } => ErrorKind::NotFound,
            Cause::OtherKind { .. } => ErrorKind::NotSharedMemory,
            Cause::TooSmall { .. } => ErrorKind::TooSmall,
            Cause::Unfinished { .. } => ErrorKind::NotReady,
            Cause::Abandoned { .. } | Cause::PossiblyAbandoned { .. } | Cause::Exists { .. } => {
                ErrorKind::AlreadyExists
            }
            Cause::Hidden
            | Cause::RefusedElsewhere { .. }
            | Cause::AppContainer
            | Cause::PrivilegeMissing { .. }
            | Cause::PrivilegeDisabled { .. } => ErrorKind::PermissionDenied,
            Cause::NotGranted { .. } | Cause::Integrity { .. } => ErrorKind::PermissionDenied,
            Cause::HeldExclusively { .. } => ErrorKind::Busy,
            Cause::BeyondCapacity { .. } | Cause::CapacityNotTold => ErrorKind::BeyondCapacity,
            Cause::NoMemory { .. }
            | Cause::NearlyFull { .. }
            | Cause::Full { .. }
            | Cause::Overcommitted { .. }
            | Cause::MemoryGroup { .. } => ErrorKind::OutOfMemory,
            Cause::CutOff { .. } | Cause::BadMemory | Cause::Inaccessible | Cause::Device => ErrorKind::Fault,
            Cause::AddressSpace { .. } => ErrorKind::TooLarge,
            Cause::Place { .. } | Cause::Unsupported { .. } => ErrorKind::Unsupported,
            Cause::Limit { .. } | Cause::LimitInUse { .. } => ErrorKind::LimitReached,
            Cause::WrongLen { .. } => ErrorKind::UnexpectedLength,
            Cause::WrongOwner { .. } | Cause::Linked { .. } | Cause::Replaceable { .. } => {
                ErrorKind::UnexpectedOwner
            }
            Cause::Usable { .. } | Cause::Free | Cause::Growable | Cause::Unexplained { .. } => {
                ErrorKind::Other
            }
        }
    }
}

/// One half-sentence, without a full stop. Names are escaped where they would disturb the output.
impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::write(&mut Escaped(f), format_args!("{}", CauseText(self)))
    }
}

/// The same as it is.
struct CauseText<'c>(&'c Cause);

impl fmt::Display for CauseText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Cause::Invalid { message, .. } => f.write_str(message),
            Cause::Missing => f.write_str("nobody has made it yet, or it has gone with its last holder"),
            Cause::OtherNamespace { name } => write!(f, "there is a {name}, in the other namespace"),
            Cause::OtherSpelling { name } => {
                write!(f, "there is a {name}: names differ in upper and lower case")
            }
            Cause::LocalToOthers { session: Some(session) } => {
                write!(
                    f,
                    r"Local\ names are those of this session ({session}); what a service or another session makes there is not seen here"
                )
            }
            Cause::LocalToOthers { session: None } => f.write_str(
                r"Local\ names are this user's own; what another user makes there is not seen here",
            ),
            Cause::OtherKind { kind } => write!(f, "the name belongs to {} {kind}", article(kind)),
            Cause::SimilarName { name } => write!(f, "there is a {name}, which differs in few characters"),
            Cause::Unfinished { since, owner, holders, complete } => {
                f.write_str(if cfg!(windows) {
                    "the name is reserved, but its creator has committed no memory under it until now"
                } else {
                    "the name is taken, but its creator has given it no length until now"
                })?;
                let mut link = " (";
                if let Some(since) = since {
                    write!(f, "{link}since {}", Time(*since))?;
                    link = ", ";
                }
                if let Some(owner) = owner {
                    write!(f, "{link}it belongs to {owner}")?;
                    link = ", ";
                }
                match holders.as_deref() {
                    None => write!(f, "{link}that was a moment ago")?,
                    Some([]) if *complete => write!(f, "{link}no process has it open")?,
                    Some([]) => write!(f, "{link}whether a process has it open cannot be seen here")?,
                    Some([first, rest @ ..]) => {
                        write!(f, "{link}open in process {first}")?;
                        rest.iter().try_for_each(|id| write!(f, ", {id}"))?;
                    }
                }
                f.write_str(")")
            }
            Cause::Stale => {
                f.write_str("there is one whose holders were killed; it goes as soon as it is asked for")
            }
            Cause::Abandoned { owner } => {
                f.write_str("there is one whose holders were killed, and only programs of its owner")?;
                write_account(f, " (", owner.as_ref(), ")")?;
                f.write_str(" may remove it")
            }
            Cause::PossiblyAbandoned { owner, since, unheld } => {
                f.write_str("the name belongs to a shared memory")?;
                write_account(f, " of ", owner.as_ref(), "")?;
                f.write_str(" that this user may not open; it may be in use, or left over from a killed program")?;
                write_account(f, " of ", owner.as_ref(), "'s")?;
                if *unheld {
                    f.write_str(" (the kernel's list of locks shows no process that holds it)")?;
                }
                match since {
                    Some(since) => write!(f, "; it was created or changed at {}", Time(*since)),
                    None => Ok(()),
                }
            }
            Cause::Exists { len, owner } => {
                f.write_str("the name belongs to a shared memory")?;
                if let Some(len) = len {
                    write!(f, " of {}", Bytes(*len))?;
                }
                write_account(f, ", made by ", owner.as_ref(), "")
            }
            Cause::Hidden => f.write_str("something has this name, but lets this user see nothing of it"),
            Cause::TooSmall { asked, len } => write!(f, "it has {}, and {asked} were asked for", Bytes(*len)),
            Cause::NotGranted { write, you, security } => {
                f.write_str("this user")?;
                write_account(f, " (", you.as_ref(), ")")?;
                write!(f, " may not {} it", if *write { "write to" } else { "read" })?;
                match security {
                    Some(security) => write!(f, ". Who may: {security}"),
                    None => f.write_str(", nor see who may"),
                }
            }
            Cause::RefusedElsewhere { label, snap, seccomp, container } => {
                f.write_str("the rights allow it, so something else refuses it: ")?;
                match label {
                    Some(label) => write!(f, "a security module (this process's label is {label})")?,
                    None => f.write_str("a security module (AppArmor, SELinux)")?,
                }
                f.write_str(", a sandbox")?;
                f.write_str(if *seccomp {
                    " or the seccomp filter that this process has"
                } else {
                    " or a seccomp filter"
                })?;
                if let Some(container) = container {
                    write!(f, "; this process runs in a container ({container})")?;
                }
                match snap {
                    Some(snap) => write!(f, "; this is the snap {snap}, where only names that start with snap.{snap}. are allowed"),
                    None => Ok(()),
                }
            }
            Cause::Integrity { object, yours } => write!(
                f,
                "its integrity is {object} and this process's is {yours}; the lower cannot write to the higher, whatever is granted"
            ),
            Cause::AppContainer => f.write_str(
                "this process is in an AppContainer, which has object names of its own and no Global\\",
            ),
            Cause::PrivilegeMissing { privilege } => write!(f, "this user does not have {privilege}"),
            Cause::PrivilegeDisabled { privilege } => {
                write!(f, "{privilege} is held but not enabled; it is enabled for the call that needs it")
            }
            Cause::NoMemory { asked, left, limit, of } => {
                write!(
                    f,
                    "{} were asked for; {} of {} are left of {of}",
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
                "{} of what was promised have no page yet, and {} are left of {of}: writing there may fail",
                Bytes(*needs),
                Bytes(*left)
            ),
            Cause::MemoryGroup { used, limit } => write!(
                f,
                "the memory limit of this process's control group is reached: {} of {} are in use",
                Bytes(*used),
                Bytes(*limit)
            ),
            Cause::CutOff { len } => {
                write!(f, "another process has cut it off: it has {} now, and this byte is beyond them", Bytes(*len))
            }
            Cause::BadMemory => f.write_str("the RAM that held the page has failed; its content is lost"),
            Cause::Inaccessible => f.write_str(
                "the byte is inside the region, but something in this process has unmapped its page or taken the access away",
            ),
            Cause::Device => f.write_str("the device or the network behind the file has failed"),
            Cause::Unexplained { looked_at } => write!(f, "the cause is not known: {looked_at}"),
            Cause::AddressSpace { asked, largest } => {
                write!(f, "{} do not fit the address space of this process", Bytes(*asked))?;
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
                "{} more were asked for, and {} are in use of the {} that {name} of this process allows",
                Bytes(*asked),
                Bytes(*used),
                Bytes(*limit)
            ),
            Cause::BeyondCapacity { asked, capacity } => {
                write!(f, "{} were asked for, and it can grow to {}", Bytes(*asked), Bytes(*capacity))
            }
            Cause::CapacityNotTold => f.write_str(
                "no holder that may write told of a capacity when this process opened it: it has none, or all that knew it were gone",
            ),
            Cause::NearlyFull { asked, left, of } => {
                write!(f, "{} take nearly all of the {} that are left of {of}", Bytes(*asked), Bytes(*left))
            }
            Cause::Place { place, problem } => write!(f, "{place} {problem}"),
            Cause::Limit { name, limit, asked: Some(asked) } => {
                write!(f, "{} were asked for, and {name} of this process allows {limit}", Bytes(*asked))
            }
            Cause::Limit { name: name @ "fs.file-max", limit, asked: None } => {
                write!(f, "{name} allows all processes of this machine together {limit} open files")
            }
            // The one that does not count bytes.
            Cause::Limit { name: name @ "RLIMIT_NOFILE", limit, asked: None } => {
                write!(f, "{name} of this process allows {limit} open files")
            }
            Cause::Limit { name, limit, asked: None } => {
                write!(f, "{name} of this process allows {}", Bytes(*limit))
            }
            Cause::WrongOwner { expected, owner } => {
                match owner {
                    // In quotes: a name can be a word of the sentence.
                    Some(owner) => write!(f, "it belongs to \"{owner}\"")?,
                    None => f.write_str("whose it is cannot be learnt")?,
                }
                write!(f, ", and \"{expected}\" was expected")
            }
            Cause::WrongLen { expected, len } => {
                write!(f, "it has {}, and exactly {expected} were expected", Bytes(*len))
            }
            Cause::Linked { names, found } => {
                write!(f, "the region has {names} names: another user may have linked it under this one")?;
                for (index, name) in found.iter().enumerate() {
                    // As a file name that anybody may have chosen.
                    write!(f, "{}{name:?}", if index == 0 { " (" } else { ", " })?;
                }
                f.write_str(if found.is_empty() { "" } else { ")" })
            }
            Cause::HeldExclusively { process, program } => {
                write!(f, "process {process}")?;
                if let Some(program) = program {
                    write!(f, " ({program:?})")?;
                }
                f.write_str(" has an exclusive lock on it, by which all others are kept out")
            }
            Cause::Replaceable { place } => write!(
                f,
                "any user may rename and replace what is in {place}, which lacks the sticky bit; so a name says nothing about its creator"
            ),
            Cause::OtherUserNamespace { inside, outside } => write!(
                f,
                r"this process is in a user namespace, where its user is {inside}; the Local\ names of the same user outside, {outside}, are not seen here"
            ),
            Cause::Unsupported { what } => write!(f, "this system does not offer {what}"),
            Cause::Usable { len, write } => {
                f.write_str(if *write { "it can be read and written" } else { "it can be read" })?;
                match len {
                    Some(len) => write!(f, "; it has {}", Bytes(*len)),
                    None => Ok(()),
                }
            }
            Cause::Free => f.write_str("the name is free"),
            Cause::Growable => f.write_str("there is room for it"),
        }
    }
}

/// A number of bytes, and for large ones also what people say.
struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0)?;
        let units = [(40, "TiB"), (30, "GiB"), (20, "MiB")];
        match units.iter().find(|(bits, _)| self.0 >> bits > 0) {
            // Cut to a tenth, not rounded up: it is often what is left.
            Some((bits, unit)) => {
                let tenths = (u128::from(self.0) * 10) >> bits;
                write!(f, " ({}.{} {unit})", tenths / 10, tenths % 10)
            }
            None => Ok(()),
        }
    }
}

/// A number of bytes in the largest unit that makes it a number of few digits.
struct Short(u64);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
        match units.iter().find(|(bits, _)| self.0 >> bits > 0) {
            Some((bits, unit)) if self.0 % (1 << bits) == 0 => write!(f, "{} {unit}", self.0 >> bits),
            Some((bits, unit)) => {
                let tenths = (u128::from(self.0) * 10) >> bits;
                write!(f, "{}.{} {unit}", tenths / 10, tenths % 10)
            }
            None => write!(f, "{} bytes", self.0),
        }
    }
}

/// A time, in UTC.
struct Time(SystemTime);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let (days, rest) = (seconds / 86400, seconds % 86400);
        // The calendar repeats every 400 years of 146097 days; counted from a March, leap days come last.
        let (era, day) = ((days + 719_468) / 146_097, (days + 719_468) % 146_097);
        let year_of_era = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month = (5 * day + 2) / 153;
        let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
        let year = era * 400 + year_of_era + u64::from(month <= 2);
        let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
        write!(f, "{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
    }
}

fn article(noun: &str) -> &'static str {
    if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}

fn write_account(
    f: &mut fmt::Formatter<'_>,
    before: &str,
    account: Option<&Account>,
    after: &str,
) -> fmt::Result {
    account.map_or(Ok(()), |account| write!(f, "{before}{account}{after}"))
}

/// What to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remedy {
    /// Correct what was asked for, as the cause says.
    Correct,
    /// Start the program that makes it, first.
    StartMaker,
    /// Open this name instead.
    OpenName {
        /// The full name.
        name: String,
    },
    /// Maker and opener use a `Global\` name.
    UseGlobalName,
    /// Use a `Local\` name.
    UseLocalName,
    /// Choose another name.
    ChooseOtherName,
    /// Open what is there, or use `open_or_create`.
    OpenExisting,
    /// Open it for reading only: that would work.
    OpenReadOnly,
    /// Its maker grants access to whoever asks.
    LetMakerGrant {
        /// Whether to write, too.
        write: bool,
        /// To whom.
        who: Option<Account>,
    },
    /// Its maker gives it a label that lets this process write (Windows).
    LetMakerLowerIntegrity {
        /// The level of this process.
        to: IntegrityLevel,
    },
    /// Run the program as somebody else.
    RunAs {
        /// As whom.
        who: Account,
    },
    /// Run the program as an elevated administrator or as a service (Windows).
    Elevate,
    /// An administrator gives the user a right (Windows).
    GrantPrivilege {
        /// The privilege.
        privilege: &'static str,
    },
    /// Ask for less.
    AskForLess {
        /// What could be had, in bytes.
        most: u64,
    },
    /// Its maker gives it a larger capacity.
    EnlargeCapacity,
    /// Free memory: end programs, or enlarge the page file (Windows).
    FreeMemory,
    /// Make the mount for named memories larger, or make it (Linux).
    Mount,
    /// Make room on the disk.
    FreeDisk,
    /// Raise the memory limit of the control group or of the container (Linux).
    RaiseGroupLimit,
    /// Map it anew, and find out which program makes it shorter.
    Reopen,
    /// Write the name like this.
    WriteName {
        /// The full name, which is accepted.
        name: String,
        /// Whether the backslash was lost in the literal of a program.
        is_literal: bool,
    },
    /// Remove the file that a program has left, if no program uses it (Unix).
    RemoveFile {
        /// Its path.
        path: String,
    },
    /// Have the owner's programs look: what is left over goes then (Linux).
    LetOwnerRemove {
        /// Whose it is.
        owner: Option<Account>,
        /// The full name.
        name: String,
    },
    /// Let an administrator allow it in the profile or the policy that refuses it (Linux).
    AllowInPolicy,
    /// Use a name that the sandbox allows (Linux).
    UseSandboxName {
        /// The full name.
        name: String,
    },
    /// Drop views that are not needed any more.
    DropViews,
    /// Map a part of it instead of the whole.
    MapParts,
    /// Raise a limit of the process.
    RaiseLimit {
        /// Its name.
        name: &'static str,
    },
    /// Try again in a moment.
    Retry,
    /// Hand the memory over without a name, by a handle or descriptor.
    HandOver,
    /// Accept what there is: leave the length or the expectation out.
    AcceptIt,
    /// Do not use it: somebody else has taken the name, by mistake or on purpose.
    Distrust,
    /// Use what this system offers instead.
    UseOther {
        /// What.
        what: &'static str,
    },
}

/// One half-sentence that starts with a verb, without a full stop. Names are escaped where they would disturb the output.
impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::write(&mut Escaped(f), format_args!("{}", RemedyText(self)))
    }
}

/// The same as it is.
struct RemedyText<'r>(&'r Remedy);

impl fmt::Display for RemedyText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Remedy::Correct => f.write_str("correct it"),
            Remedy::StartMaker => f.write_str(
                "start the program that makes it first, and compare the spelling and the namespace (Local or Global)",
            ),
            Remedy::OpenName { name } => write!(f, "open {name}"),
            Remedy::UseGlobalName => f.write_str(r"use a Global\ name in the program that makes it and in this one"),
            Remedy::UseLocalName => f.write_str(r"use a Local\ name, if all who share it run in one session"),
            Remedy::ChooseOtherName => f.write_str("choose another name"),
            Remedy::OpenExisting => f.write_str("open it, or use open_or_create"),
            Remedy::OpenReadOnly => f.write_str("open it with open_read_only: that works"),
            Remedy::LetMakerGrant { write, who } => {
                let what = if *write { "grant_write" } else { "grant_read" };
                f.write_str("let its maker add .security(Security::current_user().")?;
                match who {
                    Some(who) => write!(f, "{what}(Principal::user({:?})))", who.to_string()),
                    None => write!(f, "{what}(…))"),
                }
            }
            Remedy::LetMakerLowerIntegrity { to } => {
                write!(f, "let its maker add .integrity(IntegrityLevel::{to:?}) to its security")
            }
            Remedy::RunAs { who } => write!(f, "run this program as {who}"),
            Remedy::Elevate => f.write_str("run it as a service or as an elevated administrator"),
            Remedy::GrantPrivilege { privilege } => write!(
                f,
                "let an administrator give this user {privilege} (Local Security Policy, User Rights Assignment), and log on again"
            ),
            Remedy::AskForLess { most } => write!(f, "ask for {} at most", Bytes(*most)),
            Remedy::EnlargeCapacity => f.write_str("let its maker give it a larger capacity()"),
            Remedy::FreeMemory if cfg!(windows) => f.write_str("end programs that hold memory, or enlarge the page file"),
            Remedy::FreeMemory => f.write_str("end programs that hold memory (`mmf ls` shows the named ones)"),
            Remedy::Mount => f.write_str(
                "enlarge it: mount -o remount,size=… /dev/shm; for a container: --shm-size=…",
            ),
            Remedy::FreeDisk => f.write_str("make room on the disk, or raise this user's quota there"),
            Remedy::RaiseGroupLimit => f.write_str(
                "end programs of the group, or raise its limit (memory.max; MemoryMax= of the service; --memory of the container)",
            ),
            Remedy::Reopen => {
                f.write_str("find the program that makes it shorter; open it again, or map what is left")
            }
            Remedy::WriteName { name, is_literal: false } => write!(f, "write {name}"),
            Remedy::WriteName { name, is_literal: true } => {
                write!(f, "write r\"{name}\" (the r matters)")
            }
            Remedy::RemoveFile { path } => {
                write!(f, "if its creator has ended, remove what it has left: rm {path}")
            }
            Remedy::LetOwnerRemove { owner, name } => {
                write!(f, "run `mmf info '{name}'`")?;
                write_account(f, " as ", owner.as_ref(), "")?;
                f.write_str(", or any program")?;
                write_account(f, " of ", owner.as_ref(), "'s")?;
                f.write_str(" that creates or opens it: if no process holds it, that removes it")
            }
            Remedy::AllowInPolicy => f.write_str(
                "let an administrator allow it in the profile or policy (the kernel's log, `journalctl -k`, says which), or run the program outside of the sandbox",
            ),
            Remedy::UseSandboxName { name } => write!(f, "use a name like {name}"),
            Remedy::DropViews => f.write_str("drop views that are not needed any more, or map larger ones"),
            Remedy::MapParts => f.write_str("map parts of it with view_at"),
            Remedy::RaiseLimit { name } => write!(f, "raise {name}{}", how_to_raise(name)),
            Remedy::Retry => f.write_str("try again in a moment"),
            Remedy::HandOver => f.write_str("give it a handle or a descriptor of the memory instead of the name"),
            Remedy::AcceptIt => f.write_str("accept what there is: leave len() out, or ask its maker for more"),
            Remedy::Distrust => f.write_str("do not use it; find out who made it, or choose another name"),
            Remedy::UseOther { what } => f.write_str(what),
        }
    }
}

fn how_to_raise(limit: &str) -> &'static str {
    match limit {
        "RLIMIT_MEMLOCK" => " (ulimit -l, or LimitMEMLOCK= of the service)",
        "RLIMIT_FSIZE" => " (ulimit -f, or LimitFSIZE= of the service)",
        "RLIMIT_NOFILE" => " (ulimit -n, or LimitNOFILE= of the service), or close some",
        "RLIMIT_AS" => " (ulimit -v, or LimitAS= of the service)",
        "RLIMIT_DATA" => " (ulimit -d, or LimitDATA= of the service)",
        "vm.max_map_count" => " (sysctl -w vm.max_map_count=…)",
        "fs.file-max" => " (sysctl -w fs.file-max=…), or end programs that have many files open",
        "the working set" => " (SetProcessWorkingSetSize)",
        _ => "",
    }
}
