//! The kernel objects of a segment: the events of its slots and the semaphores of its words.
//!
//! Any process of the session can list names and create objects. Therefore a name reveals nothing about other
//! names ([`SegmentObjects::name`]), and an existing object is trusted only if a participant may have created
//! it (`grants`).

use std::hash::Hasher;
#[allow(deprecated, reason = "see `SegmentObjects::name`")]
use std::hash::SipHasher;
use std::os::windows::io::BorrowedHandle;

use super::grants::{self, Expected, Verdict};
use super::memory::Object;
use super::name::ObjectName;
use super::security::{OWN_RIGHTS_TO_WAIT, Protection};
use super::{account, descriptor};
use crate::sys::{Failure, RawSecurity};

/// The common properties of the kernel objects of one segment: the namespace of their names, their
/// protection, and which existing objects are trusted.
#[derive(Clone, Debug)]
pub(crate) struct SegmentObjects {
    /// The name of the region, whose namespace the objects share.
    region: Option<ObjectName>,
    id: [u8; 16],
    protection: Protection,
    trust: Trust,
}

/// Which existing objects are trusted.
#[derive(Clone, Debug)]
enum Trust {
    All,
    /// Those that a user with the right to write the region may have created.
    Region(Expected),
    /// Those that the current user has created.
    OwnUser,
}

impl SegmentObjects {
    /// Returns the objects of the segment with this identity, whose region is `object` and has this name.
    pub(crate) fn new(object: Option<&Object>, name: Option<&ObjectName>, id: [u8; 16]) -> Self {
        let (protection, trust) = match (object.map(Object::raw_security), name) {
            (Some(Ok(RawSecurity::Descriptor(bytes))), Some(name)) => {
                // In a private namespace, other processes cannot create names.
                let expected =
                    if name.private_namespace().is_some() { None } else { Expected::of_region(&bytes) };
                let user = account::user().ok();
                let granted = grants::for_objects(&bytes, user.as_deref());
                (Protection::Descriptor(granted), expected.map_or(Trust::All, Trust::Region))
            }
            // A process that cannot read the descriptor of the region grants its objects to its own user, and
            // cannot judge existing ones.
            (_, Some(_)) => (Protection::CurrentUser, Trust::All),
            // A region without a name grants nothing, because processes receive a handle of it. Its objects
            // have to be opened by name.
            (_, None) => (Protection::CurrentUser, Trust::OwnUser),
        };
        SegmentObjects { region: name.cloned(), id, protection, trust }
    }

    /// Returns the name of an object: a keyed hash, so that a process that cannot read the region cannot
    /// derive the name of one object from that of another.
    #[allow(deprecated, reason = "`DefaultHasher` has neither keys nor a stable algorithm")]
    pub(super) fn name(&self, kind: char, number: u64) -> Result<ObjectName, Failure> {
        let key = |half: &[u8]| half.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let (first, second) = self.id.split_at(8);
        let half = |which: u8| {
            let mut hasher = SipHasher::new_with_keys(key(first), key(second));
            hasher.write(&number.to_le_bytes());
            hasher.write(&[u8::try_from(kind).unwrap_or(0), which]);
            hasher.finish()
        };
        let text = format!("mmf.{:016x}{:016x}", half(0), half(1));
        match &self.region {
            Some(name) => name.beside(&text),
            None => ObjectName::new(false, &text),
        }
    }

    /// Returns the protection of new objects.
    pub(super) fn protection(&self) -> &Protection {
        &self.protection
    }

    /// Whether a participant may have created the object of this handle, which has `READ_CONTROL`.
    pub(super) fn trusts(&self, handle: BorrowedHandle<'_>) -> bool {
        let own;
        let expected = match &self.trust {
            Trust::All => return true,
            Trust::Region(expected) => expected,
            Trust::OwnUser => {
                let Ok(user) = account::user() else { return false };
                own = Expected::of_user(user, OWN_RIGHTS_TO_WAIT);
                &own
            }
        };
        match descriptor::of(handle).map(|bytes| expected.judge(&bytes)) {
            Ok(Verdict::Fits) => true,
            Ok(Verdict::OwnedBy(sid)) => {
                // A user that the list does not name may have the right to write the region as a member of a
                // group.
                account::user().is_ok_and(|user| user == sid) || expected.creators().any(account::is_group)
            }
            Ok(Verdict::GrantsMore) | Err(_) => false,
        }
    }
}
