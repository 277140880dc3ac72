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

    /// Returns the pointer for calls that only read the SID, which their types do not express.
    pub(super) fn as_ptr(&self) -> *mut c_void {
        self.0.as_ptr().cast_mut().cast()
    }
}

/// Everyone: S-1-1-0.
#[cfg(test)]
pub(super) const WORLD: [u8; 12] = [1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];

#[cfg(test)]
mod tests;
