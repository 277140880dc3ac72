//! Remedies: to match on, and in words.

use core::fmt;

use super::words::{Bytes, write_account};
use crate::error::Audience;
use crate::escape::Escaped;
use crate::security::{Account, IntegrityLevel};

/// An action that removes a [`Cause`](super::Cause).
///
/// `Display` addresses programmers: it names functions of this crate. [`advice`](Remedy::advice) addresses
/// people at a terminal. Each remedy has a stable number and a stable identifier, [`code`](Remedy::code) and
/// [`id`](Remedy::id).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remedy {
    /// Correct the input, as the cause states.
    CorrectInput,
    /// Start the program that creates the region first.
    StartCreator,
    /// Open this name instead.
    #[non_exhaustive]
    OpenName {
        /// The full name.
        name: String,
    },
    /// Use a `Global\` name in the creator and in this program.
    UseGlobalName,
    /// Use a `Local\` name.
    UseLocalName,
    /// Choose another name.
    ChooseOtherName,
    /// Open the existing region, or use `open_or_create`.
    OpenExisting,
    /// Open the region read-only, which is allowed.
    OpenReadOnly,
    /// The creator grants access.
    #[non_exhaustive]
    LetCreatorGrant {
        /// Whether write access is needed.
        write: bool,
        /// The account that needs it.
        account: Option<Account>,
    },
    /// The creator gives the region an integrity label that lets this process write (Windows).
    #[non_exhaustive]
    LetCreatorLowerIntegrity {
        /// The integrity level of this process.
        to: IntegrityLevel,
    },
    /// Run the program as another user.
    #[non_exhaustive]
    RunAs {
        /// That user.
        account: Account,
    },
    /// Run the program as an elevated administrator or as a service (Windows).
    Elevate,
    /// An administrator assigns a privilege to the user (Windows).
    #[non_exhaustive]
    GrantPrivilege {
        /// The name of the privilege.
        privilege: &'static str,
    },
    /// Request less.
    #[non_exhaustive]
    AskForLess {
        /// The bytes that are available.
        most: u64,
    },
    /// The creator sets a larger capacity.
    EnlargeCapacity,
    /// Free memory: end programs, or enlarge the page file (Windows).
    FreeMemory,
    /// Enlarge or mount the file system for named regions (Linux).
    EnlargeMount,
    /// Free space on the disk.
    FreeDisk,
    /// Raise the memory limit of the control group or of the container (Linux).
    RaiseGroupLimit,
    /// Open or map the region again, and find the program that truncates it.
    Reopen,
    /// Write the name in this spelling.
    #[non_exhaustive]
    WriteName {
        /// The full name, which is valid.
        name: String,
        /// Whether a backslash was taken for an escape in the source of a program.
        is_literal: bool,
    },
    /// Remove the file that a program has left behind, if no program uses it (Unix).
    #[non_exhaustive]
    RemoveFile {
        /// The path of the file.
        path: String,
    },
    /// Let a program of the owner open the name, which removes a stale region (Linux).
    #[non_exhaustive]
    LetOwnerRemove {
        /// The owner, if known.
        owner: Option<Account>,
        /// The full name.
        name: String,
    },
    /// An administrator allows the access in the profile or the policy that denies it (Linux).
    AllowInPolicy,
    /// Use a name that the sandbox allows (Linux).
    #[non_exhaustive]
    UseSandboxName {
        /// The full name.
        name: String,
    },
    /// Drop views that are no longer needed.
    DropViews,
    /// Map a part of the region instead of the whole.
    MapParts,
    /// Raise a limit of the process.
    #[non_exhaustive]
    RaiseLimit {
        /// The name of the limit.
        name: &'static str,
    },
    /// Try again in a moment.
    Retry,
    /// Pass a handle or a descriptor of the region instead of its name.
    HandOff,
    /// Accept the length of the region: leave the expected length out.
    AcceptLength,
    /// Do not use the region: another user has taken the name, by mistake or on purpose.
    DoNotUse,
    /// Follow an instruction that no other variant covers.
    #[non_exhaustive]
    Other {
        /// The instruction, in words.
        instruction: &'static str,
    },
}

impl Remedy {
    /// Returns the remedy in plain words, for people at a terminal who may not write programs.
    ///
    /// ```
    /// let error = mmf::SharedMemory::open("doc-remedy-missing").unwrap_err();
    /// let remedy = error.diagnosis().unwrap().remedies().next().unwrap();
    /// assert!(remedy.advice().starts_with("start the program that creates it"));
    /// ```
    #[must_use]
    pub fn advice(&self) -> String {
        Escaped::text(&Words { remedy: self, audience: Audience::User }.to_string())
    }
}

/// A clause in the imperative, without a full stop. Names are escaped where they could disturb the output.
impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = Words { remedy: self, audience: Audience::Programmer };
        fmt::write(&mut Escaped(f), format_args!("{words}"))
    }
}

/// The words, unescaped.
struct Words<'r> {
    remedy: &'r Remedy,
    audience: Audience,
}

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let programmer = self.audience == Audience::Programmer;
        match self.remedy {
            Remedy::CorrectInput => f.write_str("correct it"),
            Remedy::StartCreator => f.write_str(
                "start the program that creates it first, and compare the spelling and the namespace \
                 (Local or Global)",
            ),
            Remedy::OpenName { name } => write!(f, "open {name}"),
            Remedy::UseGlobalName => {
                f.write_str(r"use a Global\ name in the program that creates it and in this one")
            }
            Remedy::UseLocalName => {
                f.write_str(r"use a Local\ name, if all programs that share it run in one session")
            }
            Remedy::ChooseOtherName => f.write_str("choose another name"),
            Remedy::OpenExisting if programmer => f.write_str("open it, or use open_or_create"),
            Remedy::OpenExisting => f.write_str("use the existing region"),
            Remedy::OpenReadOnly if programmer => {
                f.write_str("open it with open_read_only, which is allowed")
            }
            Remedy::OpenReadOnly => f.write_str("only read it, which is allowed"),
            Remedy::LetCreatorGrant { write, account } if programmer => {
                let method = if *write { "grant_write" } else { "grant_read" };
                f.write_str("let its creator add .security(Security::current_user().")?;
                match account {
                    Some(account) => write!(f, "{method}(Principal::user({:?})))", account.to_string()),
                    None => write!(f, "{method}(…))"),
                }
            }
            Remedy::LetCreatorGrant { write, account } => {
                let access = if *write { "write" } else { "read" };
                write!(f, "let the program that creates it grant {access} access to ")?;
                match account {
                    Some(account) => {
                        write!(f, "{account} (`mmf create` has --grant-{access})")
                    }
                    None => f.write_str("this user"),
                }
            }
            Remedy::LetCreatorLowerIntegrity { to } if programmer => {
                write!(f, "let its creator add .integrity(IntegrityLevel::{to:?}) to its security")
            }
            Remedy::LetCreatorLowerIntegrity { to } => {
                write!(f, "let the program that creates it set its integrity level to {to}")
            }
            Remedy::RunAs { account } => write!(f, "run this program as {account}"),
            Remedy::Elevate => f.write_str("run it as a service or as an elevated administrator"),
            Remedy::GrantPrivilege { privilege } => write!(
                f,
                "let an administrator assign {privilege} to this user (Local Security Policy, User Rights \
                 Assignment), and log on again"
            ),
            Remedy::AskForLess { most } => write!(f, "request at most {}", Bytes(*most)),
            Remedy::EnlargeCapacity if programmer => f.write_str("let its creator set a larger capacity()"),
            Remedy::EnlargeCapacity => f.write_str("let its creator set a larger capacity"),
            Remedy::FreeMemory if cfg!(windows) => {
                f.write_str("end programs that hold memory, or enlarge the page file")
            }
            Remedy::FreeMemory => {
                f.write_str("end programs that hold memory (`mmf ls` lists the named regions)")
            }
            Remedy::EnlargeMount => {
                f.write_str("enlarge it: mount -o remount,size=… /dev/shm; for a container: --shm-size=…")
            }
            Remedy::FreeDisk => f.write_str("free space on the disk, or raise this user's quota on it"),
            Remedy::RaiseGroupLimit => f.write_str(
                "end programs of the group, or raise its limit (memory.max; MemoryMax= of the service; \
                 --memory of the container)",
            ),
            Remedy::Reopen => {
                f.write_str("find the program that truncates it; open it again, or map what is left")
            }
            Remedy::WriteName { name, is_literal: false } => write!(f, "write {name}"),
            Remedy::WriteName { name, is_literal: true } => {
                write!(f, "write r\"{name}\" (the r matters)")
            }
            Remedy::RemoveFile { path } => {
                write!(f, "if its creator has ended, remove the file that it left: rm {path}")
            }
            Remedy::LetOwnerRemove { owner, name } => {
                write!(f, "run `mmf info '{name}'`")?;
                write_account(f, " as ", owner.as_ref(), "")?;
                f.write_str(", or any program")?;
                write_account(f, " of ", owner.as_ref(), "")?;
                f.write_str(" that creates or opens it: if no process holds it, that removes it")
            }
            Remedy::AllowInPolicy => f.write_str(
                "let an administrator allow it in the profile or policy (the kernel's log, `journalctl -k`, \
                 names it), or run the program outside of the sandbox",
            ),
            Remedy::UseSandboxName { name } => write!(f, "use a name like {name}"),
            Remedy::DropViews if programmer => {
                f.write_str("drop views that are no longer needed, or map fewer, larger ones")
            }
            Remedy::DropViews => f.write_str("end programs that map many regions, or restart this one"),
            Remedy::MapParts if programmer => f.write_str("map parts of it with view_at"),
            Remedy::MapParts => f.write_str("use a part of it"),
            Remedy::RaiseLimit { name } => write!(f, "raise {name}{}", how_to_raise(name)),
            Remedy::Retry => f.write_str("try again in a moment"),
            Remedy::HandOff => f.write_str("pass a handle or a descriptor of the region instead of its name"),
            Remedy::AcceptLength if programmer => {
                f.write_str("accept its length by leaving len() out, or let its creator make it larger")
            }
            Remedy::AcceptLength => f.write_str("request less, or let its creator make it larger"),
            Remedy::DoNotUse => f.write_str("do not use it; find out who created it, or choose another name"),
            Remedy::Other { instruction } => f.write_str(instruction),
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
