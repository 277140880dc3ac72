//! What a [`Security`] is on Unix: a mode, a group, an access list.

use std::collections::BTreeMap;

use super::posix::{Entry, Posix, READ, Tag, WRITE, write_list};
use super::sid::Sid;
use super::{Account, Base, Boundary, Security, Who};
use crate::error::{Error, ErrorKind, Operation};
use crate::sys::account::{self, Kind};
use crate::sys::{ObjectName, Protection};

/// What a grant is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    User(u32),
    Group(u32),
    Everyone,
}

const ROOT: u32 = 0;

fn target(who: &Who, operation: Operation) -> Result<Target, Error> {
    let unsupported = |cure: &str| {
        let detail = format!("Unix knows no \"{who}\"; {cure}");
        Err(Error::new(operation, ErrorKind::Unsupported).with_detail(detail))
    };
    let look_up = |kind, text: &str| {
        let found = text.parse().map_or_else(|_| account::id_of(kind, text), |id| Ok(Some(id)));
        match found {
            Ok(Some(id)) => Ok(id),
            Ok(None) => Err(Error::new(operation, ErrorKind::UnknownAccount).with_detail(format!(
                "\"{text}\" is not known here; compare the spelling with `getent passwd` or `getent group`"
            ))),
            Err(failure) => Err(Error::from_system(operation, failure)),
        }
    };
    match who {
        Who::CurrentUser => Ok(Target::User(account::user())),
        Who::User(user) => look_up(Kind::User, user).map(Target::User),
        Who::Group(group) => look_up(Kind::Group, group).map(Target::Group),
        Who::Everyone => Ok(Target::Everyone),
        Who::Administrators | Who::System => Ok(Target::User(ROOT)),
        Who::AuthenticatedUsers | Who::InteractiveUsers => {
            unsupported("grant to Who::Everyone, or to a group with those users")
        }
        Who::Services => unsupported("grant to the service's user or group"),
        Who::AllApplicationPackages | Who::Package(_) => {
            unsupported("give a sandboxed process a descriptor of the memory")
        }
    }
}

/// What is granted to whom, put together.
#[derive(Default)]
struct Wanted {
    users: BTreeMap<u32, u16>,
    groups: BTreeMap<u32, u16>,
    everyone: u16,
}

pub(super) fn resolve(security: &Security, operation: Operation) -> Result<Protection, Error> {
    if security.integrity.is_some() {
        return Err(Error::new(operation, ErrorKind::Unsupported)
            .with_detail("integrity levels are Windows' own; leave integrity() out here"));
    }
    let (start, gid) = match &security.base {
        Base::CurrentUser => (Vec::new(), None),
        Base::Posix(posix) => (posix.grants(), Some(posix.gid).filter(|gid| *gid != account::group())),
        Base::Descriptor(_) => return Err(no_descriptors()),
    };
    let mut wanted = Wanted::default();
    let own_group = gid.unwrap_or(account::group());
    for Entry { tag, bits } in start {
        match tag {
            // The new owner, who may be another one, keeps all.
            Tag::Owner | Tag::Mask => {}
            Tag::User(id) => *wanted.users.entry(id).or_default() |= bits,
            Tag::Group => *wanted.groups.entry(own_group).or_default() |= bits,
            Tag::NamedGroup(id) => *wanted.groups.entry(id).or_default() |= bits,
            Tag::Other => wanted.everyone |= bits,
        }
    }
    for grant in &security.grants {
        let bits = if grant.write { READ | WRITE } else { READ };
        match target(&grant.who, operation)? {
            // They may anyway.
            Target::User(id) if id == ROOT || id == account::user() => {}
            Target::User(id) => *wanted.users.entry(id).or_default() |= bits,
            Target::Group(id) => *wanted.groups.entry(id).or_default() |= bits,
            Target::Everyone => wanted.everyone |= bits,
        }
    }
    Ok(wanted.protection(gid))
}

impl Wanted {
    fn protection(mut self, gid: Option<u32>) -> Protection {
        // What everyone may, nobody who is named can have less of.
        let everyone = self.everyone;
        self.users.values_mut().chain(self.groups.values_mut()).for_each(|bits| *bits |= everyone);
        self.users.retain(|_, bits| *bits != everyone || everyone == 0);
        self.users.retain(|_, bits| *bits != 0);
        let mut groups: BTreeMap<u32, u16> = self.groups.into_iter().filter(|(_, bits)| *bits != 0).collect();
        // One group, and one that the system lets us give it to: then the mode says all, and `ls` shows it.
        let mut group = gid;
        if let (true, 1, Some((&id, _)), None) =
            (self.users.is_empty(), groups.len(), groups.first_key_value(), gid)
        {
            if id != account::group() && account::may_give_to(id) {
                group = Some(id);
            }
        }
        let own = groups.remove(&group.unwrap_or(account::group())).unwrap_or(0) | everyone;
        let mode = |group: u16| 0o600 | u32::from(group) << 3 | u32::from(everyone);
        if self.users.is_empty() && groups.is_empty() {
            return Protection { mode: mode(own), group, list: None };
        }
        let mut list = vec![
            Entry { tag: Tag::Owner, bits: READ | WRITE },
            Entry { tag: Tag::Group, bits: own },
            Entry { tag: Tag::Other, bits: everyone },
        ];
        list.extend(self.users.into_iter().map(|(id, bits)| Entry { tag: Tag::User(id), bits }));
        list.extend(groups.into_iter().map(|(id, bits)| Entry { tag: Tag::NamedGroup(id), bits }));
        let mask =
            list.iter().filter(|e| e.tag != Tag::Owner && e.tag != Tag::Other).fold(0, |m, e| m | e.bits);
        list.push(Entry { tag: Tag::Mask, bits: mask });
        Protection { mode: mode(mask), group, list: Some(write_list(&list)) }
    }
}

pub(super) fn no_descriptors() -> Error {
    Error::new(Operation::Security, ErrorKind::Unsupported)
        .with_detail("security descriptors are Windows' own; say it with grant_read and grant_write here")
}

pub(super) fn from_sddl(_text: &str) -> Result<Vec<u8>, Error> {
    Err(no_descriptors())
}

pub(super) fn to_sddl(_security: &Security) -> Result<String, Error> {
    Err(no_descriptors())
}

pub(super) fn account_of_sid(sid: &Sid) -> Account {
    Account { id: sid.to_string(), name: sid.well_known_name().map(str::to_owned) }
}

pub(super) fn account_of_uid(uid: u32) -> Account {
    Account { id: uid.to_string(), name: account::name_of(Kind::User, uid) }
}

pub(super) fn account_of_gid(gid: u32) -> Account {
    Account { id: gid.to_string(), name: account::name_of(Kind::Group, gid) }
}

/// The user whom this thread acts for.
#[allow(clippy::unnecessary_wraps, reason = "Windows may not say")]
pub(crate) fn account_of_user() -> Option<Account> {
    Some(account_of_uid(account::user()))
}

/// Whether an object has this owner; and who it is that was expected.
pub(crate) fn is_owner(
    security: &Security,
    who: &Who,
    operation: Operation,
) -> Result<(bool, Account), Error> {
    let Target::User(expected) = target(who, operation)? else {
        return Err(Error::new(operation, ErrorKind::InvalidSecurity)
            .with_detail(format!("\"{who}\" is not a user, and only users own memories here")));
    };
    let is = matches!(&security.base, Base::Posix(Posix { uid, .. }) if *uid == expected);
    Ok((is, account_of_uid(expected)))
}

/// Directories of `/dev/shm` would outlive their users, so there are no private namespaces here.
pub(crate) fn private_name(
    boundary: &Boundary,
    _text: &str,
    _make: Option<&Security>,
    operation: Operation,
) -> Result<ObjectName, Error> {
    let detail = format!(
        "private namespaces such as \"{}\" are Windows' own; use a Global name and check whose it is with expect_owner",
        boundary.name()
    );
    Err(Error::new(operation, ErrorKind::Unsupported).with_detail(detail))
}
