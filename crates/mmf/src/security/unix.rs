//! [`Security`] on Unix: a mode, a group, an access list.

use std::collections::BTreeMap;

use super::posix::{Entry, Posix, READ, Tag, WRITE, write_list};
use super::sid::Sid;
use super::{Account, Base, BoundaryDescriptor, Principal, Security};
use crate::error::{Error, ErrorKind, Operation};
use crate::sys::account::{self, Kind};
use crate::sys::{self, ObjectName, Protection};

/// The subject of a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    User(u32),
    Group(u32),
    Everyone,
}

const ROOT: u32 = 0;

fn target(who: &Principal, operation: Operation) -> Result<Target, Error> {
    let unsupported = |cure: &str| {
        let detail = format!("Unix has no principal \"{who}\"; {cure}");
        Err(Error::new(operation, ErrorKind::Unsupported).with_detail(detail))
    };
    let look_up = |kind, text: &str| {
        // The name first: it may consist of digits.
        let found = account::id_of(kind, text).map(|found| found.or_else(|| as_number(text)));
        match found {
            Ok(Some(id)) => Ok(id),
            Ok(None) => Err(Error::new(operation, ErrorKind::UnknownAccount).with_detail(format!(
                "\"{text}\" is unknown; compare the spelling with `getent passwd` or `getent group`"
            ))),
            Err(failure) => Err(Error::from_system(operation, failure)),
        }
    };
    match who {
        Principal::CurrentUser => Ok(Target::User(account::user())),
        Principal::User(user) => look_up(Kind::User, user).map(Target::User),
        Principal::Group(group) => look_up(Kind::Group, group).map(Target::Group),
        Principal::Everyone => Ok(Target::Everyone),
        Principal::Administrators | Principal::System => Ok(Target::User(ROOT)),
        Principal::AuthenticatedUsers | Principal::InteractiveUsers => {
            unsupported("grant to everyone, or to a group with those users")
        }
        Principal::Services => unsupported("grant to the user or group of the service"),
        Principal::AllApplicationPackages | Principal::Package(_) => {
            unsupported("give a sandboxed process a descriptor of the region")
        }
    }
}

/// Parses an id. (The largest number means "no id" in system calls.)
fn as_number(text: &str) -> Option<u32> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|id| is_number && *id != u32::MAX)
}

/// The sum of all grants.
#[derive(Default)]
struct Wanted {
    users: BTreeMap<u32, u16>,
    groups: BTreeMap<u32, u16>,
    everyone: u16,
}

/// Returns whether the mode and the access list let this process read, and read and write.
pub(crate) fn list_allows(security: &Security) -> Option<(bool, bool)> {
    let Base::Posix(posix) = &security.base else { return None };
    let (reads, writes) = posix.allows(account::user(), &account::groups());
    // The list does not bind the superuser, but only within its own user namespace.
    if account::is_mapped(posix.uid) && account::is_mapped(posix.gid) {
        if account::is_capable(account::Capability::OverrideAccess) {
            return Some((true, true));
        }
        let searches = account::is_capable(account::Capability::ReadAll);
        return Some((reads || searches, writes));
    }
    Some((reads, writes))
}

pub(super) fn resolve(security: &Security, operation: Operation) -> Result<Protection, Error> {
    if security.integrity.is_some() {
        return Err(Error::new(operation, ErrorKind::Unsupported)
            .with_detail("integrity levels exist on Windows only; leave integrity() out here"));
    }
    let mut wanted = match &security.base {
        Base::CurrentUser => Wanted::default(),
        Base::Posix(posix) => Wanted::of(posix),
        Base::Descriptor(_) | Base::Seen(_) => return Err(no_descriptors()),
    };
    let mut granted = Wanted::default();
    for grant in &security.grants {
        let bits = if grant.write { READ | WRITE } else { READ };
        match target(&grant.who, operation)? {
            // These have all rights anyway.
            Target::User(id) if id == ROOT || id == account::user() => {}
            Target::User(id) => *granted.users.entry(id).or_default() |= bits,
            Target::Group(id) => *granted.groups.entry(id).or_default() |= bits,
            Target::Everyone => granted.everyone |= bits,
        }
    }
    if !security.grants.is_empty() && wanted.denies() {
        // Grants would have to be weighed against the denials of groups, for each of their members.
        return Err(Error::new(operation, ErrorKind::Unsupported).with_detail(
            "the region that this security was read from grants some principals less than everyone else, and \
             nothing can be added to that; start with Security::current_user()",
        ));
    }
    wanted.add(granted);
    let protection = wanted.protection();
    if protection.list.is_some() && !sys::grants_to_users() {
        return Err(Error::new(operation, ErrorKind::Unsupported).with_detail(
            "named regions have no access lists here; grant to one group of this user, or to everyone",
        ));
    }
    Ok(protection)
}

impl Wanted {
    /// Copies the grants of another region, except those of its owner: the new owner has all rights anyway.
    fn of(posix: &Posix) -> Self {
        let mut wanted = Wanted::default();
        for Entry { tag, bits } in posix.grants() {
            match tag {
                Tag::Owner | Tag::Mask => {}
                Tag::User(id) => {
                    wanted.users.insert(id, bits);
                }
                Tag::Group => {
                    wanted.groups.insert(posix.gid, bits);
                }
                Tag::NamedGroup(id) => {
                    wanted.groups.insert(id, bits);
                }
                Tag::Other => wanted.everyone = bits,
            }
        }
        wanted
    }

    /// Returns whether a principal has fewer rights than everyone else.
    fn denies(&self) -> bool {
        self.users.values().chain(self.groups.values()).any(|bits| self.everyone & !bits != 0)
    }

    /// Adds grants. The system applies only the most specific entry that matches a user, so each entry of a
    /// user also gets the rights of everyone and of the groups that the user is in.
    fn add(&mut self, granted: Wanted) {
        for (id, bits) in granted.groups {
            *self.groups.entry(id).or_insert(self.everyone) |= bits;
        }
        for (id, bits) in granted.users {
            *self.users.entry(id).or_insert(self.everyone) |= bits;
        }
        self.everyone |= granted.everyone;
        self.users.values_mut().chain(self.groups.values_mut()).for_each(|bits| *bits |= granted.everyone);
        if !self.groups.is_empty() {
            for (user, bits) in &mut self.users {
                for group in account::groups_of(*user) {
                    *bits |= self.groups.get(&group).copied().unwrap_or(0);
                }
            }
        }
    }

    fn protection(mut self) -> Protection {
        // A single group that this user may give files to: the mode then suffices, and `ls` shows it.
        let mut group = account::group();
        if let (true, 1, Some((&id, _))) =
            (self.users.is_empty(), self.groups.len(), self.groups.first_key_value())
        {
            if account::may_give_to(id) {
                group = id;
            }
        }
        let own = self.groups.remove(&group).unwrap_or(self.everyone);
        // Entries that grant no more than the one for all others.
        if self.users.is_empty() {
            self.groups.retain(|_, bits| *bits != self.everyone || own != self.everyone);
        }
        let mode = |group: u16| 0o600 | u32::from(group) << 3 | u32::from(self.everyone);
        if self.users.is_empty() && self.groups.is_empty() {
            return Protection { mode: mode(own), group, list: None };
        }
        let mut list = vec![
            Entry { tag: Tag::Owner, bits: READ | WRITE },
            Entry { tag: Tag::Group, bits: own },
            Entry { tag: Tag::Other, bits: self.everyone },
        ];
        list.extend(self.users.iter().map(|(id, bits)| Entry { tag: Tag::User(*id), bits: *bits }));
        list.extend(self.groups.iter().map(|(id, bits)| Entry { tag: Tag::NamedGroup(*id), bits: *bits }));
        let mask =
            list.iter().filter(|e| e.tag != Tag::Owner && e.tag != Tag::Other).fold(0, |m, e| m | e.bits);
        list.push(Entry { tag: Tag::Mask, bits: mask });
        Protection { mode: mode(mask), group, list: Some(write_list(&list)) }
    }
}

pub(super) fn no_descriptors() -> Error {
    Error::new(Operation::Security, ErrorKind::Unsupported)
        .with_detail("security descriptors exist on Windows only; use grant_read and grant_write here")
}

pub(super) fn from_sddl(_text: &str) -> Result<Vec<u8>, Error> {
    Err(no_descriptors())
}

pub(super) fn to_sddl(_security: &Security) -> Result<String, Error> {
    Err(no_descriptors())
}

pub(super) fn account_of_sid(sid: &Sid) -> Account {
    Account::new(sid.to_string(), |id| Some(id.parse::<Sid>().ok()?.well_known_name()?.to_owned()))
}

pub(super) fn account_of_uid(uid: u32) -> Account {
    Account::new(uid.to_string(), |id| account::name_of(Kind::User, id.parse().ok()?))
}

pub(super) fn account_of_gid(gid: u32) -> Account {
    Account::new(gid.to_string(), |id| account::name_of(Kind::Group, id.parse().ok()?))
}

/// Returns the user for whom this thread acts.
#[allow(clippy::unnecessary_wraps, reason = "it can be unknown on Windows")]
pub(crate) fn account_of_user() -> Option<Account> {
    Some(account_of_uid(account::user()))
}

/// Returns `None`: accounts have no SIDs here.
pub(crate) fn account_of(_sid: &[u8]) -> Option<Account> {
    None
}

/// Returns whether an object has this owner, and the account that was expected.
pub(crate) fn is_owner(
    security: &Security,
    who: &Principal,
    operation: Operation,
) -> Result<(bool, Account), Error> {
    let Target::User(expected) = target(who, operation)? else {
        return Err(Error::new(operation, ErrorKind::InvalidSecurity)
            .with_detail(format!("\"{who}\" is not a user, and only users own regions here")));
    };
    let is = matches!(&security.base, Base::Posix(Posix { uid, .. }) if *uid == expected);
    Ok((is, account_of_uid(expected)))
}

/// Refuses: directories of `/dev/shm` would outlive their users, so there are no private namespaces here.
pub(crate) fn private_name(
    boundary: &BoundaryDescriptor,
    _text: &str,
    _make: Option<&Security>,
    operation: Operation,
) -> Result<ObjectName, Error> {
    let detail = format!(
        "private namespaces such as \"{}\" exist on Windows only; use a Global name and require its owner by \
         expect_owner",
        boundary.name()
    );
    Err(Error::new(operation, ErrorKind::Unsupported).with_detail(detail))
}
