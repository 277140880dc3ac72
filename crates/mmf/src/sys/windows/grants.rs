//! The access rights of the kernel objects that belong to a segment: derived from the descriptor of the
//! region, and compared with those of an object that was opened by its name.
//!
//! Such an object is found by its name, and any process of the session can create an object of that name
//! first. So an existing object is used only if a participant could have created it: its owner is a user with
//! the right to write the region, and its access control list grants no more than the list that a participant
//! sets.

use super::api::READ_CONTROL;
use super::self_relative::{long, short};
use super::sid;

/// The rights to a section.
const MAP_WRITE: u32 = 2;
const MAP_READ: u32 = 4;
const GENERIC_ALL: u32 = 0x1000_0000;
const GENERIC_WRITE: u32 = 0x4000_0000;
const GENERIC: u32 = 0xf000_0000;

/// The rights to wait for an event or a semaphore, and to change and query its state.
const WAIT_AND_WAKE: u32 = 0x10_0003;
const STANDARD: u32 = 0x1f_0000;

const ALLOWED: [u8; 2] = [0, 9];
const DENIED: [u8; 2] = [1, 10];

const DACL_AT: usize = 16;

/// Returns the offset of a part of the descriptor, unless the part is missing.
fn offset(bytes: &[u8], at: usize) -> Option<usize> {
    long(bytes, at).and_then(|at| usize::try_from(at).ok()).filter(|at| *at != 0)
}

/// Returns the offset and the length of each entry of the access control list.
fn entries(descriptor: &[u8]) -> Vec<(usize, usize)> {
    let Some(list) = offset(descriptor, DACL_AT) else { return Vec::new() };
    let mut at = list + 8;
    let mut found = Vec::new();
    for _ in 0..short(descriptor, list + 4).unwrap_or(0) {
        let len = short(descriptor, at + 2).map_or(0, usize::from);
        if len < 8 || descriptor.len() < at + len {
            break;
        }
        found.push((at, len));
        at += len;
    }
    found
}

/// Translates rights to a section into rights to an event or a semaphore that belongs to it. Only a
/// participant waits and wakes, and a participant has the right to write. So a reader gets no right: with
/// `SYNCHRONIZE` it could take wake-ups away, and with any right it could keep an object alive.
fn translated(kind: u8, mask: u32) -> u32 {
    if DENIED.contains(&kind) {
        // A user to whom reading or writing is denied cannot be a participant.
        let denied = mask & (MAP_READ | MAP_WRITE | GENERIC) != 0;
        return if denied { STANDARD | WAIT_AND_WAKE } else { mask & STANDARD };
    }
    let writes = mask & (MAP_WRITE | GENERIC_WRITE | GENERIC_ALL) != 0;
    let all = if mask & GENERIC_ALL != 0 { STANDARD } else { 0 };
    if writes { (mask & STANDARD) | all | READ_CONTROL | WAIT_AND_WAKE } else { 0 }
}

/// Derives the descriptor of the objects that belong to a segment from that of its region, which is valid.
///
/// The owner is `user`, because only a privileged process may create an object that belongs to another user,
/// such as the owner of the region. (Without an owner in the descriptor the system chooses one, which is not
/// the user for elevated programs.)
pub(super) fn for_objects(region: &[u8], user: Option<&[u8]>) -> Vec<u8> {
    let mut descriptor = region.to_vec();
    for (at, _) in entries(region) {
        let (Some(kind), Some(mask)) = (region.get(at), long(region, at + 4)) else { continue };
        descriptor[at + 4..at + 8].copy_from_slice(&translated(*kind, mask).to_le_bytes());
    }
    descriptor.resize(descriptor.len().next_multiple_of(4), 0);
    let owner_at = user.and_then(|_| u32::try_from(descriptor.len()).ok()).unwrap_or(0);
    descriptor.extend_from_slice(user.unwrap_or_default());
    if let Some(owner_and_group) = descriptor.get_mut(4..12) {
        owner_and_group[..4].copy_from_slice(&owner_at.to_le_bytes());
        owner_and_group[4..].fill(0);
    }
    descriptor
}

/// The properties of an object that a participant has created.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    /// The owner of the region.
    owner: Option<Vec<u8>>,
    /// The entries that allow access: the type, the data after the mask (the SID and a condition), and the
    /// mask.
    granted: Vec<(u8, Vec<u8>, u32)>,
}

/// The result of the comparison of an object with the expected properties.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Fits,
    /// Its list grants more rights, or grants rights to other users.
    GrantsMore,
    /// The list does not name its owner, which may be a member of a group that the list names.
    OwnedBy(Vec<u8>),
}

fn owner(descriptor: &[u8]) -> Option<Vec<u8>> {
    let sid = descriptor.get(offset(descriptor, 4)?..)?;
    sid.get(..sid::len(sid)?).map(<[u8]>::to_vec)
}

/// Returns the entries that allow access: the type, the data after the mask, and the mask.
fn grants(descriptor: &[u8]) -> impl Iterator<Item = (u8, &[u8], u32)> {
    entries(descriptor).into_iter().filter_map(|(at, len)| {
        let entry = descriptor.get(at..at + len)?;
        let mask = long(entry, 4)?;
        // (An entry that only serves inheritance does not apply: no object is contained in these.)
        let applies = entry[1] & 8 == 0 && mask != 0 && !DENIED.contains(&entry[0]);
        applies.then(|| (entry[0], &entry[8..], mask))
    })
}

impl Expected {
    /// Derives the properties from the descriptor of the region, which is valid. Returns `None` if the
    /// descriptor has no list and so grants everything to everyone.
    pub(super) fn of_region(region: &[u8]) -> Option<Self> {
        offset(region, DACL_AT)?;
        let objects = for_objects(region, None);
        let granted = grants(&objects).map(|(kind, trustee, mask)| (kind, trustee.to_vec(), mask)).collect();
        Some(Expected { owner: owner(region), granted })
    }

    /// Returns the properties of an object that belongs to `user` and grants these rights to it alone.
    pub(super) fn of_user(user: Vec<u8>, mask: u32) -> Self {
        Expected { granted: vec![(ALLOWED[0], user.clone(), mask)], owner: Some(user) }
    }

    /// Returns the SIDs of the users and groups that may create such an object.
    pub(super) fn creators(&self) -> impl Iterator<Item = &[u8]> {
        let creators = self.granted.iter().filter(|(kind, ..)| ALLOWED.contains(kind));
        creators.filter_map(|(_, trustee, _)| trustee.get(..sid::len(trustee)?))
    }

    /// Compares the object with this descriptor, which is valid.
    pub(super) fn judge(&self, object: &[u8]) -> Verdict {
        /// BUILTIN\Administrators, the default owner of objects that an elevated program creates, and the
        /// system.
        const ADMINISTRATORS: &[u8] = &[1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 32, 2, 0, 0];
        const SYSTEM: &[u8] = &[1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0];
        // A descriptor without a list grants everything to everyone.
        if offset(object, DACL_AT).is_none() {
            return Verdict::GrantsMore;
        }
        let is_expected = |kind: u8, trustee: &[u8], mask: u32| {
            let same = self.granted.iter().filter(|(other, sid, _)| (*other, &sid[..]) == (kind, trustee));
            mask & !same.fold(0, |all, (_, _, mask)| all | mask) == 0
        };
        if !grants(object).all(|(kind, trustee, mask)| is_expected(kind, trustee, mask)) {
            return Verdict::GrantsMore;
        }
        let Some(owned_by) = owner(object) else { return Verdict::GrantsMore };
        let is_known = self.owner.as_ref() == Some(&owned_by)
            || [ADMINISTRATORS, SYSTEM].contains(&&owned_by[..])
            || self.creators().any(|sid| sid == owned_by);
        if is_known { Verdict::Fits } else { Verdict::OwnedBy(owned_by) }
    }
}

#[cfg(test)]
mod tests;
