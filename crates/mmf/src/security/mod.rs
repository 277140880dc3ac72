//! Access control: the principals that may open a region, and for what.
//!
//! [`Security`] is one value for all systems. It is translated when a region is created, and read back from
//! existing regions.

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

pub(crate) use system::{account_of, account_of_user, is_owner, list_allows, private_name};

/// The principals that may open a region, and whether they may write.
///
/// The default is [`current_user`](Security::current_user): the user for whom this thread acts has all
/// rights, and no other principal has any. Grants are added one by one, and one value can be used for any
/// number of objects:
///
/// ```
/// use mmf::security::{Principal, Security};
/// use mmf::OpenOptions;
///
/// let security = Security::current_user().grant_read(Principal::Everyone);
/// let memory = OpenOptions::new().len(4096).security(security).create("doc-security-frames")?;
/// println!("{}", memory.security()?); // owner ann; ann may read and write; …; everyone else may read
/// # Ok::<(), mmf::Error>(())
/// ```
///
/// | | Windows | Unix |
/// | --- | --- | --- |
/// | the current user | is the owner, all rights | is the owner, mode `0600` |
/// | [`grant_read`](Security::grant_read) | map for reading, query the size and the owner | `r` in the mode or in the access list |
/// | [`grant_write`](Security::grant_write) | the same, and map for writing | `rw` |
/// | [`integrity`](Security::integrity) | a mandatory label | *unsupported* |
/// | [`from_sddl`](Security::from_sddl), [`from_descriptor`](Security::from_descriptor) | anything else | *unsupported* |
///
/// A grant that a system cannot express is an [`ErrorKind::Unsupported`] when the value is used, never
/// silently a weaker or a wider one. A grant allows mapping the region, but not changing its rights.
/// (Programs in other languages that open with `FILE_MAP_ALL_ACCESS` request more than that and are refused;
/// [`from_sddl`](Security::from_sddl) can grant it.)
///
/// Granting everything to everyone cannot happen by accident: a descriptor without an access list (a NULL
/// DACL) is refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[must_use = "a security does nothing until it is given to options"]
pub struct Security {
    base: Base,
    grants: Vec<Grant>,
    integrity: Option<IntegrityLevel>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(unix, allow(dead_code))]
enum Base {
    CurrentUser,
    /// Written by the caller.
    Descriptor(Descriptor),
    /// Read from an existing region. A new region that uses it has an owner of its own.
    Seen(Descriptor),
    Posix(Posix),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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
    /// Grants all rights to the user for whom this thread acts, who is also the owner, and nothing to other
    /// principals.
    pub fn current_user() -> Self {
        Security { base: Base::CurrentUser, grants: Vec::new(), integrity: None }
    }

    /// Lets the users of the machine read: for a service that publishes to them.
    ///
    /// The grant is to the creator and, on Windows, to `Authenticated Users`, on Unix to everyone. Create the
    /// region under a `Global\` name, which is visible in all sessions.
    pub fn users_may_read() -> Self {
        Security::current_user().grant_read(users())
    }

    /// Lets the users of the machine read and write.
    ///
    /// See [`users_may_read`](Security::users_may_read). A process that can write can write anything: see the
    /// trust model in `docs/safety.md`.
    pub fn users_may_write() -> Self {
        Security::current_user().grant_write(users())
    }

    /// Lets a sandboxed or low-integrity helper of this program read and write (Windows).
    ///
    /// The grant is to the current user and all application packages, with a low integrity label. An
    /// `AppContainer` has object names of its own, so *by name* only helpers of low integrity can open the
    /// region; a helper in an `AppContainer` has to receive a handle.
    pub fn sandboxed_helper() -> Self {
        Security::current_user().grant_write(Principal::AllApplicationPackages).integrity(IntegrityLevel::Low)
    }

    /// Lets programs of the same user that are not elevated read and write the regions of an elevated program
    /// (Windows).
    ///
    /// The integrity label is medium, whatever the program's own level. (A program that was elevated with
    /// another user's password runs as that user: then grant access to the user at the machine, by
    /// [`Principal::InteractiveUsers`] or by name.) On Unix, which has no elevation, this is
    /// [`current_user`](Security::current_user).
    pub fn unelevated() -> Self {
        let own = Security::current_user();
        if cfg!(windows) { own.integrity(IntegrityLevel::Medium) } else { own }
    }

    /// Parses a text in the security descriptor definition language (Windows), such as
    /// `D:P(A;;GA;;;BA)(A;;GR;;;WD)`.
    ///
    /// Generic rights are sufficient for sections: `GR` allows mapping for reading. If the text names no
    /// owner, the current user is the owner.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::InvalidSecurity`]: the text is invalid, or has no access list (`D:`), so that everyone
    ///   could do anything.
    /// - [`ErrorKind::Unsupported`] on Unix.
    pub fn from_sddl(text: &str) -> Result<Self, Error> {
        system::from_sddl(text).and_then(|bytes| Security::from_descriptor(&bytes))
    }

    /// Parses a security descriptor in its self-relative form (Windows). The bytes need not be trusted.
    ///
    /// # Errors
    ///
    /// See [`from_sddl`](Security::from_sddl).
    pub fn from_descriptor(bytes: &[u8]) -> Result<Self, Error> {
        if cfg!(not(windows)) {
            return Err(system::no_descriptors());
        }
        let descriptor = Descriptor::from_bytes(bytes)
            .map_err(|_| invalid("the bytes are not a self-relative security descriptor"))?;
        if descriptor.dacl == Dacl::Missing {
            return Err(invalid(
                "it has no access list, so that everyone could do anything; \
                 add one, such as D:(A;;GA;;;OW), or start with Security::current_user()",
            ));
        }
        Ok(Security { base: Base::Descriptor(descriptor), grants: Vec::new(), integrity: None })
    }

    /// Grants reading to this principal as well.
    pub fn grant_read(mut self, who: Principal) -> Self {
        self.grants.push(Grant { who, write: false });
        self
    }

    /// Grants reading and writing to this principal as well.
    pub fn grant_write(mut self, who: Principal) -> Self {
        self.grants.push(Grant { who, write: true });
        self
    }

    /// Keeps programs below this integrity level from writing, whatever rights they are granted (Windows).
    ///
    /// The default is [`IntegrityLevel::Medium`], or the program's own level if that is lower. A level above
    /// the program's own requires a privilege.
    pub fn integrity(mut self, level: IntegrityLevel) -> Self {
        self.integrity = Some(level);
        self
    }

    /// Returns the owner: the current user, or the one that the descriptor or the region names, if it names
    /// one.
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

    /// Returns the text in the security descriptor definition language (Windows).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] on Unix; otherwise the errors of using the value, such as
    /// [`ErrorKind::UnknownAccount`].
    pub fn to_sddl(&self) -> Result<String, Error> {
        system::to_sddl(self)
    }

    /// Lets the current user and the principal of this SID read; only the creator's own handle can write.
    #[cfg(windows)]
    pub(crate) fn readable_only(reader: Option<&[u8]>, operation: Operation) -> Result<Self, Error> {
        system::readable_only(reader, operation)
    }

    /// Translates the value into the parameters of a creation.
    pub(crate) fn resolve(&self, operation: Operation) -> Result<Protection, Error> {
        system::resolve(self, operation)
    }

    /// Translates the security that the system reports for an object.
    pub(crate) fn from_raw(shown: RawSecurity) -> Result<Self, Error> {
        let base = match shown {
            RawSecurity::Descriptor(bytes) => Base::Seen(Descriptor::from_bytes(&bytes).map_err(|_| {
                Error::new(Operation::Security, ErrorKind::Other)
                    .with_detail("the system returned a descriptor that cannot be parsed")
            })?),
            RawSecurity::Posix { uid, gid, mode, list } => {
                let list = list.as_deref().and_then(posix::read_list).unwrap_or_default();
                Base::Posix(Posix { uid, gid, mode: mode & 0o666, list })
            }
        };
        Ok(Security { base, grants: Vec::new(), integrity: None })
    }

    /// Returns the integrity label of an object, if it has one, and whether lower levels may not even read.
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
    // On Windows every user of a machine is authenticated, and anonymous logons are not to be included.
    if cfg!(windows) { Principal::AuthenticatedUsers } else { Principal::Everyone }
}

fn invalid(detail: impl Into<String>) -> Error {
    Error::new(Operation::Security, ErrorKind::InvalidSecurity).with_detail(detail)
}

/// Formats a sentence with the owner and the grants.
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
        Dacl::Missing => f.write_str("; everyone may do anything (there is no access list)")?,
        Dacl::List(entries) if entries.is_empty() => f.write_str("; no principal may open it")?,
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
            Tag::Other => write!(f, "; everyone else may {words}")?,
            Tag::Mask => {}
        }
    }
    Ok(())
}
