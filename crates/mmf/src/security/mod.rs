//! Who may open a memory: what is asked for, what that is on this system, and what an opened memory says.

mod boundary;
// What only one family of systems uses is tested on all of them.
#[cfg_attr(not(windows), allow(dead_code))]
mod descriptor;
#[cfg_attr(not(unix), allow(dead_code))]
mod posix;
mod principal;
#[cfg_attr(not(windows), allow(dead_code))]
mod sid;
#[cfg(unix)]
#[path = "unix.rs"]
mod system;
#[cfg(windows)]
#[path = "windows.rs"]
mod system;

use core::fmt;

use crate::error::{Error, ErrorKind, Operation};
use crate::sys::{Protection, RawSecurity};

pub use boundary::BoundaryDescriptor;
use descriptor::{Dacl, Descriptor};
use posix::Posix;
pub use principal::{Account, IntegrityLevel, ParseIntegrityLevelError, Principal};

#[cfg(windows)]
pub(crate) use system::account_of;
pub(crate) use system::{account_of_user, is_owner, list_allows, private_name};

/// Who may open a memory, and for what.
///
/// The default is [`current_user`](Security::current_user): the user whom this thread acts for may do everything, nobody else
/// anything. A value says more step by step, and can be used for any number of objects:
///
/// ```
/// use mmf::security::{Principal, Security};
/// use mmf::OpenOptions;
///
/// let security = Security::current_user().grant_read(Principal::Everyone);
/// let memory = OpenOptions::new().len(4096).security(security).create("doc-security-frames")?;
/// println!("{}", memory.security()?); // owner ann; ann may read and write; …; everybody else may read
/// # Ok::<(), mmf::Error>(())
/// ```
///
/// | | Windows | Unix |
/// | --- | --- | --- |
/// | the current user | is the owner, all rights | is the owner, mode `0600` |
/// | [`grant_read`](Security::grant_read) | map for reading, ask for the size, see whose it is | `r` in the mode or in the access list |
/// | [`grant_write`](Security::grant_write) | these and map for writing | `rw` |
/// | [`integrity`](Security::integrity) | a mandatory label | *unsupported* |
/// | [`sddl`](Security::from_sddl), [`from_descriptor`](Security::from_descriptor) | anything else | *unsupported* |
///
/// What a system cannot say is an [`ErrorKind::Unsupported`] when the value is used, never a weaker or wider grant in silence.
/// A grant gives what it takes to map the memory, not to change who may do so. (Programs in other languages that ask for
/// `FILE_MAP_ALL_ACCESS` when they open are refused then: they ask for more than they need. `sddl` can give it.)
///
/// Nobody gets "everyone may do anything" by accident: a descriptor without a list of rights (a NULL DACL) is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a security does nothing until it is given to options"]
pub struct Security {
    base: Base,
    grants: Vec<Grant>,
    integrity: Option<IntegrityLevel>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(unix, allow(dead_code))]
enum Base {
    CurrentUser,
    /// As somebody has written it.
    Descriptor(Descriptor),
    /// Of a memory that exists; a new one that gets it has an owner of its own.
    Seen(Descriptor),
    Posix(Posix),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Grant {
    who: Principal,
    write: bool,
}

/// [`Security::current_user`].
impl Default for Security {
    fn default() -> Self {
        Security::current_user()
    }
}

impl Security {
    /// The user whom this thread acts for may do everything, and owns the memory; nobody else may do anything.
    pub fn current_user() -> Self {
        Security { base: Base::CurrentUser, grants: Vec::new(), integrity: None }
    }

    /// A service to the users of the machine: they may read.
    ///
    /// The maker and, on Windows, `Authenticated Users`, on Unix everyone. Make it under a `Global\` name, which all sessions see.
    pub fn users_may_read() -> Self {
        Security::current_user().grant_read(users())
    }

    /// A service and the users of the machine: they may read and write.
    ///
    /// As [`users_may_read`](Security::users_may_read). Whoever can write can write anything: see the trust model in
    /// `docs/safety.md`.
    pub fn users_may_write() -> Self {
        Security::current_user().grant_write(users())
    }

    /// A program to its sandboxed or low-integrity helper, to read and write (Windows).
    ///
    /// The current user and all application packages, with a low label. An `AppContainer` has object names of its own, so
    /// *by name* this serves helpers of low integrity; to one in an `AppContainer` a handle has to be given.
    pub fn sandboxed_helper() -> Self {
        Security::current_user().grant_write(Principal::AllApplicationPackages).integrity(IntegrityLevel::Low)
    }

    /// An elevated program to programs of the same user that are not elevated, to read and write (Windows).
    ///
    /// The label is medium, whatever the program's own. (If somebody else's password was typed to elevate it, it runs as that
    /// user: then grant to the one who sits there, by [`Principal::InteractiveUsers`] or by name.) On Unix, where there is no such
    /// difference, this is [`current_user`](Security::current_user).
    pub fn unelevated() -> Self {
        let own = Security::current_user();
        if cfg!(windows) { own.integrity(IntegrityLevel::Medium) } else { own }
    }

    /// What a text in the security descriptor definition language says (Windows), such as `D:P(A;;GA;;;BA)(A;;GR;;;WD)`.
    ///
    /// Generic rights do for sections: `GR` maps for reading. Without an owner, the current user is it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidSecurity`]: it cannot be read, or it has no list of who may do what (`D:`), so that everyone could
    /// do anything. [`ErrorKind::Unsupported`] on Unix.
    pub fn from_sddl(text: &str) -> Result<Self, Error> {
        system::from_sddl(text).and_then(|bytes| Security::from_descriptor(&bytes))
    }

    /// What a security descriptor says, in its self-relative form (Windows). The bytes need not be trusted.
    ///
    /// # Errors
    ///
    /// As [`sddl`](Security::from_sddl).
    pub fn from_descriptor(bytes: &[u8]) -> Result<Self, Error> {
        if cfg!(not(windows)) {
            return Err(system::no_descriptors());
        }
        let descriptor = Descriptor::from_bytes(bytes)
            .map_err(|_| invalid("the bytes are not those of a self-relative security descriptor"))?;
        if descriptor.dacl == Dacl::Missing {
            return Err(invalid(
                "it has no list of who may do what, so that everyone could do anything; \
                 write one, such as D:(A;;GA;;;OW), or start with Security::current_user()",
            ));
        }
        Ok(Security { base: Base::Descriptor(descriptor), grants: Vec::new(), integrity: None })
    }

    /// Somebody may also read.
    pub fn grant_read(mut self, who: Principal) -> Self {
        self.grants.push(Grant { who, write: false });
        self
    }

    /// Somebody may also read and write.
    pub fn grant_write(mut self, who: Principal) -> Self {
        self.grants.push(Grant { who, write: true });
        self
    }

    /// Programs of less than this integrity cannot write, whatever they are granted (Windows). Without it, that is
    /// [`IntegrityLevel::Medium`], or the program's own level if that is lower. A level above the program's own takes a privilege.
    pub fn integrity(mut self, level: IntegrityLevel) -> Self {
        self.integrity = Some(level);
        self
    }

    /// The owner: of a value that was read from a memory, or that names one.
    #[must_use]
    pub fn owner(&self) -> Option<Account> {
        match &self.base {
            Base::CurrentUser => account_of_user(),
            Base::Descriptor(descriptor) | Base::Seen(descriptor) => {
                descriptor.owner.as_ref().map(system::account_of_sid)
            }
            Base::Posix(posix) => Some(system::account_of_uid(posix.uid)),
        }
    }

    /// The text in the security descriptor definition language (Windows).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] on Unix; otherwise what using the value would say, such as [`ErrorKind::UnknownAccount`].
    pub fn to_sddl(&self) -> Result<String, Error> {
        system::to_sddl(self)
    }

    /// The current user, and whoever has this SID, may read; nobody may write but through the maker's own handle.
    #[cfg(windows)]
    pub(crate) fn readable_only(reader: Option<&[u8]>, operation: Operation) -> Result<Self, Error> {
        system::readable_only(reader, operation)
    }

    /// What the system is told when something is made.
    pub(crate) fn resolve(&self, operation: Operation) -> Result<Protection, Error> {
        system::resolve(self, operation)
    }

    /// What the system has told about an object.
    pub(crate) fn from_raw(shown: RawSecurity) -> Result<Self, Error> {
        let base = match shown {
            RawSecurity::Descriptor(bytes) => Base::Seen(Descriptor::from_bytes(&bytes).map_err(|_| {
                Error::new(Operation::Security, ErrorKind::Other)
                    .with_detail("the system has given a descriptor that cannot be read")
            })?),
            RawSecurity::Posix { uid, gid, mode, list } => {
                let list = list.as_deref().and_then(posix::read_list).unwrap_or_default();
                Base::Posix(Posix { uid, gid, mode: mode & 0o666, list })
            }
        };
        Ok(Security { base, grants: Vec::new(), integrity: None })
    }

    /// The integrity label of an object, where it has one, and whether lower ones may not even read.
    pub(crate) fn label(&self) -> Option<(IntegrityLevel, bool)> {
        match &self.base {
            Base::Seen(descriptor) => {
                descriptor.label().map(|(rid, no_read)| (IntegrityLevel::from_rid(rid), no_read))
            }
            _ => None,
        }
    }
}

fn users() -> Principal {
    // There, nobody uses a machine without having said who he is.
    if cfg!(windows) { Principal::AuthenticatedUsers } else { Principal::Everyone }
}

fn invalid(detail: impl Into<String>) -> Error {
    Error::new(Operation::Security, ErrorKind::InvalidSecurity).with_detail(detail)
}

/// A sentence: the owner, and who may do what.
impl fmt::Display for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.base {
            Base::CurrentUser => f.write_str("the current user may do everything")?,
            Base::Descriptor(descriptor) | Base::Seen(descriptor) => write_descriptor(f, descriptor)?,
            Base::Posix(posix) => write_posix(f, posix)?,
        }
        for Grant { who, write } in &self.grants {
            write!(f, "; {who} may read{}", if *write { " and write" } else { "" })?;
        }
        match self.integrity {
            Some(level) => write!(f, "; integrity {level}"),
            None => Ok(()),
        }
    }
}

fn write_descriptor(f: &mut fmt::Formatter<'_>, descriptor: &Descriptor) -> fmt::Result {
    match &descriptor.owner {
        Some(owner) => write!(f, "owner {}", system::account_of_sid(owner))?,
        None => f.write_str("no owner")?,
    }
    match &descriptor.dacl {
        Dacl::Missing => f.write_str("; everyone may do anything (there is no list of rights)")?,
        Dacl::List(entries) if entries.is_empty() => f.write_str("; nobody may open it")?,
        Dacl::List(entries) => {
            for ace in entries {
                let Some((allows, mask, sid)) = ace.any_rule() else { continue };
                let verb = if allows { "may" } else { "must not" };
                let verb =
                    if ace.is_conditional() { format!("{verb} on a condition") } else { verb.to_owned() };
                write!(f, "; {} {verb} {}", system::account_of_sid(&sid), rights_in_words(mask, allows))?;
            }
        }
    }
    match descriptor.label() {
        Some((rid, false)) => write!(f, "; integrity {}", IntegrityLevel::from_rid(rid)),
        Some((rid, true)) => write!(f, "; integrity {}, also to read", IntegrityLevel::from_rid(rid)),
        None => Ok(()),
    }
}

fn rights_in_words(mask: u32, allows: bool) -> &'static str {
    use descriptor::{SECTION_ALL, SECTION_MAP_READ, SECTION_MAP_WRITE};
    match (mask & SECTION_MAP_READ != 0, mask & SECTION_MAP_WRITE != 0) {
        (true, true) if mask & SECTION_ALL == SECTION_ALL => {
            if allows {
                "do everything"
            } else {
                "do anything"
            }
        }
        (true, true) if allows => "read and write",
        (true, true) => "read or write",
        (true, false) => "read",
        (false, true) => "write",
        (false, false) => "map it",
    }
}

fn write_posix(f: &mut fmt::Formatter<'_>, posix: &Posix) -> fmt::Result {
    use posix::{Tag, Words};
    let owner = system::account_of_uid(posix.uid);
    write!(f, "owner {owner}")?;
    for entry in posix.grants() {
        let words = Words(entry.bits);
        match entry.tag {
            Tag::Owner => write!(f, "; {owner} may {words}")?,
            Tag::User(uid) => write!(f, "; {} may {words}", system::account_of_uid(uid))?,
            Tag::Group => write!(f, "; group {} may {words}", system::account_of_gid(posix.gid))?,
            Tag::NamedGroup(gid) => write!(f, "; group {} may {words}", system::account_of_gid(gid))?,
            Tag::Other => write!(f, "; everybody else may {words}")?,
            Tag::Mask => {}
        }
    }
    Ok(())
}
