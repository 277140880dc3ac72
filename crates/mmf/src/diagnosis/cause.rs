//! Causes and remedies: to match on, and in words.

use core::fmt;

use crate::error::ErrorKind;
use crate::security::{Account, Level, Security};

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
    /// Its maker has named it, but not given it a length yet.
    Unfinished,
    /// There is one whose holders were killed; the next who asks for it removes it (Linux).
    Stale,
    /// Its holders were killed, and only its owner's programs may remove it (Linux).
    Abandoned {
        /// Whose it is.
        owner: Option<Account>,
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
        /// Whether writing was asked for, too.
        write: bool,
        /// Who asked.
        you: Option<Account>,
        /// Who may do what, if that can be learnt.
        security: Option<Box<Security>>,
    },
    /// Its integrity is higher than this process's (Windows): no grant helps against that.
    Integrity {
        /// Its level.
        object: Level,
        /// The level of this process.
        yours: Level,
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
            Cause::Missing | Cause::Stale | Cause::OtherNamespace { .. } | Cause::OtherSpelling { .. } => {
                ErrorKind::NotFound
            }
            Cause::LocalToOthers { .. } | Cause::OtherUserNamespace { .. } => ErrorKind::NotFound,
            Cause::OtherKind { .. } => ErrorKind::NotSharedMemory,
            Cause::Unfinished | Cause::TooSmall { .. } => ErrorKind::TooSmall,
            Cause::Abandoned { .. } | Cause::Exists { .. } => ErrorKind::AlreadyExists,
            Cause::Hidden
            | Cause::AppContainer
            | Cause::PrivilegeMissing { .. }
            | Cause::PrivilegeDisabled { .. } => ErrorKind::PermissionDenied,
            Cause::NotGranted { .. } | Cause::Integrity { .. } => ErrorKind::PermissionDenied,
            Cause::HeldExclusively { .. } => ErrorKind::Busy,
            Cause::BeyondCapacity { .. } | Cause::CapacityNotTold => ErrorKind::BeyondCapacity,
            Cause::NoMemory { .. } | Cause::NearlyFull { .. } => ErrorKind::OutOfMemory,
            Cause::Place { .. } | Cause::Unsupported { .. } => ErrorKind::Unsupported,
            Cause::Limit { .. } => ErrorKind::LimitReached,
            Cause::WrongOwner { .. }
            | Cause::WrongLen { .. }
            | Cause::Linked { .. }
            | Cause::Replaceable { .. } => ErrorKind::Mistrusted,
            Cause::Usable { .. } | Cause::Free | Cause::Growable => ErrorKind::Other,
        }
    }
}

/// One half-sentence, without a full stop.
impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
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
            Cause::Unfinished => f.write_str("its maker has named it but not given it a length yet"),
            Cause::Stale => {
                f.write_str("there is one whose holders were killed; it goes as soon as it is asked for")
            }
            Cause::Abandoned { owner } => {
                f.write_str("there is one whose holders were killed, and only programs of its owner")?;
                write_account(f, " (", owner.as_ref(), ")")?;
                f.write_str(" may remove it")
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
        to: Level,
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

/// One half-sentence that starts with a verb, without a full stop.
impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
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
                    Some(who) => write!(f, "{what}(Who::user({:?})))", who.to_string()),
                    None => write!(f, "{what}(…))"),
                }
            }
            Remedy::LetMakerLowerIntegrity { to } => {
                write!(f, "let its maker add .integrity(Level::{to:?}) to its security")
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
        "the working set" => " (SetProcessWorkingSetSize)",
        _ => "",
    }
}
