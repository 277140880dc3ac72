//! Security identifiers (SIDs) in their binary form. They identify users, groups and app packages, and
//! express integrity levels.

use core::ffi::c_void;

use zerocopy::IntoBytes;

/// The length of the revision, the number of sub-authorities, and the authority.
const HEAD: usize = 8;
/// SID_MAX_SUB_AUTHORITIES of winnt.h.
const MAX_PARTS: u8 = 15;

/// Returns the length of the SID that these bytes start with, if they start with one.
pub(super) fn len(bytes: &[u8]) -> Option<usize> {
    let (&revision, &parts) = (bytes.first()?, bytes.get(1)?);
    let len = HEAD + 4 * usize::from(parts);
    if revision == 1 && parts <= MAX_PARTS && len <= bytes.len() { Some(len) } else { None }
}

/// Returns the last sub-authority of a SID, which distinguishes it from others of its kind.
pub(super) fn last_part(bytes: &[u8]) -> Option<u32> {
    let parts = bytes.get(HEAD..len(bytes)?)?;
    Some(u32::from_le_bytes(*parts.last_chunk()?))
}

/// A complete SID, aligned as the calls require.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sid([u32; (HEAD + 4 * MAX_PARTS as usize) / 4]);

impl Sid {
    /// Returns `None` unless the bytes are exactly one SID.
    pub(super) fn new(bytes: &[u8]) -> Option<Self> {
        if len(bytes)? != bytes.len() {
            return None;
        }
        let mut sid = Sid(Default::default());
        sid.0.as_mut_bytes().get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(sid)
    }

    /// Returns the integrity level with this RID: S-1-16-*rid*.
    pub(super) fn integrity(rid: u32) -> Self {
        let [a, b, c, d] = rid.to_le_bytes();
        let [word0, word1] = [[1, 1, 0, 0], [0, 0, 0, 16]].map(u32::from_ne_bytes);
        let mut sid = Sid(Default::default());
        sid.0[..3].copy_from_slice(&[word0, word1, u32::from_ne_bytes([a, b, c, d])]);
        sid
    }

    /// The pointer for calls that only read the SID, which their types do not express.
    pub(super) fn as_ptr(&self) -> *mut c_void {
        self.0.as_ptr().cast_mut().cast()
    }
}

/// Everyone: S-1-1-0.
#[cfg(test)]
pub(super) const WORLD: [u8; 12] = [1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn incomplete_and_malformed_sids_are_refused() {
        assert_eq!(len(&WORLD), Some(12));
        assert_eq!(len(&[&WORLD[..], &[9, 9]].concat()), Some(12));
        for cut in 0..WORLD.len() {
            assert_eq!(len(&WORLD[..cut]), None);
        }
        assert_eq!(len(&[2, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]), None);
        let mut long = [0; 8 + 4 * 16];
        long[0] = 1;
        long[1] = 15;
        assert_eq!(len(&long), Some(68));
        long[1] = 16;
        assert_eq!(len(&long), None);
        long[1] = 255;
        assert_eq!(len(&long), None);
        assert!(Sid::new(&WORLD).is_some());
        assert!(Sid::new(&[&WORLD[..], &[0]].concat()).is_none());
    }

    #[test]
    fn integrity_levels_end_with_their_rid() {
        let medium = Sid::integrity(0x2000);
        assert_eq!(&medium.0.as_bytes()[..12], [1, 1, 0, 0, 0, 0, 0, 16, 0, 0x20, 0, 0]);
        assert_eq!(last_part(&medium.0.as_bytes()[..12]), Some(0x2000));
        assert_eq!(last_part(&[1, 0, 0, 0, 0, 0, 0, 1]), None);
    }
}
