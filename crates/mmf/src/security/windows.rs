//! [`Security`] on Windows: conversion to and from security descriptors, and names in private namespaces.

use super::descriptor::{
    Ace, Dacl, Descriptor, READ, READ_CONTROL, READ_WRITE, SECTION_ALL, SECTION_MAP_READ, SECTION_MAP_WRITE,
};
use super::sid::Sid;
use super::{Account, Base, BoundaryDescriptor, Principal, Security, invalid};
use crate::error::{Error, ErrorKind, Operation};
use crate::sys::account;
use crate::sys::namespace::{self, PrivateNamespace};
use crate::sys::{Failure, ObjectName, Protection, Reason, descriptor};

fn sid_of(principal: &Principal, operation: Operation) -> Result<Sid, Error> {
    match principal {
        Principal::CurrentUser => current_user(operation),
        Principal::User(name) | Principal::Group(name) => by_name(name, operation, account::sid_of),
        Principal::Everyone => Ok(Sid::everyone()),
        Principal::AuthenticatedUsers => Ok(Sid::authenticated_users()),
        Principal::InteractiveUsers => Ok(Sid::interactive()),
        Principal::Administrators => Ok(Sid::administrators()),
        Principal::Services => Ok(Sid::services()),
        Principal::System => Ok(Sid::system()),
        Principal::AllApplicationPackages => Ok(Sid::all_application_packages()),
        Principal::Package(name) => by_name(name, operation, account::package_sid),
    }
}

fn by_name(
    name: &str,
    operation: Operation,
    look_up: impl FnOnce(&str) -> Result<Vec<u8>, Failure>,
) -> Result<Sid, Error> {
    if let Ok(sid) = name.parse() {
        return Ok(sid);
    }
    let bytes = look_up(name).map_err(|failure| match failure.reason {
        Reason::Missing => {
            Error::from_system(operation, failure).with_kind(ErrorKind::UnknownAccount).with_detail(format!(
                "no account is called \"{name}\"; check the spelling, or write it as HOST\\name or as a SID \
                 (`whoami /user` shows yours)"
            ))
        }
        _ => Error::from_system(operation, failure).with_detail(format!("cannot look up \"{name}\"")),
    })?;
    Sid::from_bytes(&bytes).ok_or_else(|| Error::new(operation, ErrorKind::UnknownAccount))
}

fn current_user(operation: Operation) -> Result<Sid, Error> {
    let user = account::user().map_err(|failure| Error::from_system(operation, failure))?;
    Sid::from_bytes(&user).ok_or_else(|| Error::new(operation, ErrorKind::UnknownAccount))
}

fn descriptor_of(security: &Security, operation: Operation) -> Result<Descriptor, Error> {
    let mut descriptor = match &security.base {
        Base::CurrentUser => {
            let user = current_user(operation)?;
            let all = vec![Ace::allow(SECTION_ALL, &user)];
            Descriptor::new(Some(user), all)
        }
        Base::Descriptor(descriptor) => {
            let mut descriptor = descriptor.clone();
            // Otherwise the system chooses the owner, which is not the user for elevated programs.
            // Other programs could then not determine the creator.
            if descriptor.owner.is_none() {
                descriptor.owner = Some(current_user(operation)?);
            }
            descriptor
        }
        Base::Seen(descriptor) => {
            let mut descriptor = descriptor.clone();
            descriptor.group = None;
            descriptor.owner = Some(current_user(operation)?);
            descriptor.keep_label_only();
            descriptor
        }
        Base::Posix(_) => {
            return Err(Error::new(operation, ErrorKind::Unsupported)
                .with_detail("this security was read from a region of a Unix system"));
        }
    };
    for grant in &security.grants {
        let sid = sid_of(&grant.who, operation)?;
        // The current user has all rights already.
        if security.base != Base::CurrentUser || descriptor.owner.as_ref() != Some(&sid) {
            descriptor.allow(if grant.write { READ_WRITE } else { READ }, &sid);
        }
    }
    if let Some(level) = security.integrity {
        descriptor.set_label(level.rid());
    }
    Ok(descriptor)
}

pub(super) fn resolve(security: &Security, operation: Operation) -> Result<Protection, Error> {
    // `sys` builds the default itself, on the stack.
    if *security == Security::current_user() {
        return Ok(Protection::CurrentUser);
    }
    bytes_of(security, operation).map(Protection::Descriptor)
}

/// Grants reading to the current user and to the user with the SID `reader`, and writing to no user.
pub(super) fn readable_only(reader: Option<&[u8]>, operation: Operation) -> Result<Security, Error> {
    let user = current_user(operation)?;
    let mut descriptor = Descriptor::new(Some(user.clone()), vec![Ace::allow(READ, &user)]);
    if let Some(reader) = reader.and_then(Sid::from_bytes).filter(|reader| *reader != user) {
        descriptor.allow(READ, &reader);
    }
    // Without this entry, the owner could change the list.
    descriptor.allow(READ, &Sid::owner_rights());
    Ok(Security { base: Base::Descriptor(descriptor), grants: Vec::new(), integrity: None })
}

fn bytes_of(security: &Security, operation: Operation) -> Result<Vec<u8>, Error> {
    let descriptor = descriptor_of(security, operation)?;
    if descriptor.dacl == Dacl::Missing {
        return Err(no_list(operation));
    }
    descriptor.to_bytes().ok_or_else(|| {
        Error::new(operation, ErrorKind::InvalidSecurity).with_detail(
            "its access control list is longer than 64 KiB; grant access to a group instead of to each user",
        )
    })
}

pub(super) fn from_sddl(text: &str) -> Result<Vec<u8>, Error> {
    descriptor::from_sddl(text).map_err(|failure| {
        Error::from_system(Operation::Security, failure)
            .with_kind(ErrorKind::InvalidSecurity)
            .with_detail(format!("\"{text}\" is not valid SDDL; an example is D:P(A;;GA;;;BA)(A;;GR;;;WD)"))
    })
}

pub(super) fn to_sddl(security: &Security) -> Result<String, Error> {
    let operation = Operation::Security;
    let bytes = match &security.base {
        // The descriptor as it was read, not as a new region would get it.
        Base::Seen(descriptor) if security.grants.is_empty() && security.integrity.is_none() => {
            descriptor.to_bytes().ok_or_else(|| Error::new(operation, ErrorKind::InvalidSecurity))?
        }
        _ => bytes_of(security, operation)?,
    };
    descriptor::to_sddl(&bytes).map_err(|failure| Error::from_system(operation, failure))
}

fn no_list(operation: Operation) -> Error {
    Error::new(operation, ErrorKind::InvalidSecurity).with_detail(
        "it has no access control list, which would grant all rights to everyone; \
         add one, such as D:(A;;GA;;;OW), or start with Security::current_user()",
    )
}

/// Returns the error for systems without security descriptors, which is never used on Windows.
pub(super) fn no_descriptors() -> Error {
    invalid("")
}

pub(super) fn account_of_sid(sid: &Sid) -> Account {
    Account::new(sid.to_string(), |id| {
        let sid: Sid = id.parse().ok()?;
        sid.well_known_name().map(str::to_owned).or_else(|| account::name_of(&sid.to_bytes()))
    })
}

pub(super) fn account_of_uid(uid: u32) -> Account {
    Account::new(uid.to_string(), |_| None)
}

pub(super) fn account_of_gid(gid: u32) -> Account {
    account_of_uid(gid)
}

/// Returns the account with the SID in these bytes.
pub(crate) fn account_of(bytes: &[u8]) -> Option<Account> {
    Sid::from_bytes(bytes).map(|sid| account_of_sid(&sid))
}

/// Returns the user for whom this thread acts.
pub(crate) fn account_of_user() -> Option<Account> {
    current_user(Operation::Security).ok().map(|sid| account_of_sid(&sid))
}

/// Returns whether `principal` owns the object with this security, and the account of the principal.
pub(crate) fn is_owner(
    security: &Security,
    principal: &Principal,
    operation: Operation,
) -> Result<(bool, Account), Error> {
    let cannot_own = matches!(
        principal,
        Principal::Everyone
            | Principal::AuthenticatedUsers
            | Principal::InteractiveUsers
            | Principal::Services
            | Principal::AllApplicationPackages
            | Principal::Package(_)
    );
    if cannot_own {
        return Err(Error::new(operation, ErrorKind::InvalidSecurity).with_detail(format!(
            "\"{principal}\" cannot own a region; expect a user, Principal::System or \
             Principal::Administrators"
        )));
    }
    let expected = sid_of(principal, operation)?;
    let is_owner =
        matches!(&security.base, Base::Seen(Descriptor { owner: Some(owner), .. }) if *owner == expected);
    Ok((is_owner, account_of_sid(&expected)))
}

/// Returns whether the access control list alone grants reading, and writing, to this token. (The system also
/// considers integrity levels.)
pub(crate) fn list_allows(security: &Security) -> Option<(bool, bool)> {
    let Base::Seen(descriptor) = &security.base else { return None };
    let token = account::token().ok()?;
    let sids = |wanted: fn(&account::Membership) -> bool| {
        token.groups.iter().filter(move |group| wanted(group)).filter_map(|group| Sid::from_bytes(&group.sid))
    };
    let mut enabled: Vec<Sid> = sids(|group| group.enabled && !group.deny_only).collect();
    enabled.extend(Sid::from_bytes(&token.user));
    let deny_only: Vec<Sid> = sids(|group| group.deny_only).collect();
    let granted = descriptor.granted(&enabled, &deny_only);
    Some((granted & SECTION_MAP_READ != 0, granted & SECTION_MAP_WRITE != 0))
}

/// The rights to list an object directory, to traverse it, and to read its descriptor.
const DIRECTORY_TRAVERSE: u32 = 0x2_0003;
/// The same, and the right to create names in it.
const DIRECTORY_CREATE: u32 = 0x2_0007;

/// A boundary with SIDs in place of principals.
struct Resolved {
    name: String,
    members: Vec<Sid>,
    integrity: Option<u32>,
}

impl Resolved {
    fn new(boundary: &BoundaryDescriptor, operation: Operation) -> Result<Self, Error> {
        let mut members = match &boundary.members[..] {
            [] => vec![current_user(operation)?],
            members => {
                members.iter().map(|member| sid_of(member, operation)).collect::<Result<Vec<_>, _>>()?
            }
        };
        members.sort_unstable();
        members.dedup();
        let integrity = boundary.integrity.map(super::IntegrityLevel::rid);
        Ok(Resolved { name: boundary.name.clone(), members, integrity })
    }

    /// Returns the alias of the namespace in this process: equal for equal boundaries, and different for
    /// different ones.
    fn alias(&self) -> String {
        // FNV-1a, which is the same in all copies of the library in a process. It need not resist attacks,
        // because only this process chooses its boundaries.
        let text = format!("{}\0{:?}\0{:?}", self.name, self.members, self.integrity);
        let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        format!("mmf-{hash:016x}")
    }

    /// Returns the descriptor of the namespace itself. Once the namespace exists, only this descriptor keeps
    /// other processes from creating names in it: the boundary governs only the creation of the namespace. A
    /// process with all SIDs of the boundary may create names, a user with access to the region may traverse
    /// the namespace, and no user, not even the owner, may change the descriptor.
    fn protection(&self, security: &Security, operation: Operation) -> Result<Vec<u8>, Error> {
        let user = current_user(operation)?;
        let mut descriptor = match &self.members[..] {
            [member] => Descriptor::new(None, vec![Ace::allow(DIRECTORY_CREATE, member)]),
            // Only a conditional entry can require all of them at once.
            members => {
                let all: Vec<String> = members.iter().map(|sid| format!("SID({sid})")).collect();
                let text = format!("D:P(XA;;{DIRECTORY_CREATE:#x};;;WD;(Member_of {{{}}}))", all.join(","));
                Descriptor::from_bytes(&from_sddl(&text)?)
                    .map_err(|_| Error::new(operation, ErrorKind::InvalidSecurity))?
            }
        };
        descriptor.owner = Some(user.clone());
        descriptor.allow(READ_CONTROL, &Sid::owner_rights());
        descriptor.allow(DIRECTORY_TRAVERSE, &user);
        let region = descriptor_of(security, operation)?;
        if let Dacl::List(entries) = &region.dacl {
            for (allows, _, sid) in entries.iter().filter_map(Ace::rule) {
                if allows && sid != user {
                    descriptor.allow(DIRECTORY_TRAVERSE, &sid);
                }
            }
        }
        if let Some(level) = self.integrity {
            descriptor.set_label(level);
        }
        descriptor.to_bytes().ok_or_else(|| Error::new(operation, ErrorKind::InvalidSecurity))
    }
}

/// Returns a name in the private namespace of a boundary. Opens the namespace, or also creates it if `create`
/// is the security of a region to be created in it.
pub(crate) fn private_name(
    boundary: &BoundaryDescriptor,
    text: &str,
    create: Option<&Security>,
    operation: Operation,
) -> Result<ObjectName, Error> {
    let fail = |failure: Failure| explain(Error::from_system(operation, failure), boundary);
    let resolved = Resolved::new(boundary, operation)?;
    let sids: Vec<Vec<u8>> = resolved.members.iter().map(Sid::to_bytes).collect();
    let alias = resolved.alias();
    let space = match create {
        Some(security) if namespace::is_available() => {
            let protection = resolved.protection(security, operation)?;
            PrivateNamespace::open_or_create(&boundary.name, &sids, resolved.integrity, &protection, &alias)
        }
        _ => PrivateNamespace::open(&boundary.name, &sids, resolved.integrity, &alias),
    };
    ObjectName::private(&alias, space.map_err(fail)?, text).map_err(fail)
}

fn explain(error: Error, boundary: &BoundaryDescriptor) -> Error {
    let name = boundary.name();
    match error.kind() {
        ErrorKind::PermissionDenied => error.with_detail(format!(
            "this process is outside the boundary \"{name}\": its token must contain all members and reach \
             the integrity level"
        )),
        ErrorKind::NotFound => error.with_detail(format!(
            "no process has the private namespace of the boundary \"{name}\" open: start the program that \
             creates it first, and compare the name, the members and the integrity level of the boundary"
        )),
        ErrorKind::Unsupported => error.with_detail("this version of Windows has no private namespaces"),
        _ => error,
    }
}
