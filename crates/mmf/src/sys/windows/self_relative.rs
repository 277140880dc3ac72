//! Self-relative security descriptors in their binary form: checked completely before the system reads them.

use windows_sys::Win32::Foundation::ERROR_INVALID_SECURITY_DESCR;
use windows_sys::Win32::Security::SE_SELF_RELATIVE;
use zerocopy::IntoBytes;

use super::{LastError, sid};

/// The length of the revision, the control flags, and four offsets.
const HEAD: usize = 20;

/// A valid self-relative descriptor, aligned as the calls require.
#[derive(Debug)]
pub(super) struct SelfRelative(Vec<u64>);

impl SelfRelative {
    /// Checks the bytes. The check of the system (`IsValidSecurityDescriptor`) would not suffice: it trusts
    /// the lengths in the descriptor, and reads beyond the end of bytes that are too short for them.
    pub(super) fn new(bytes: &[u8]) -> Result<Self, LastError> {
        end(bytes).ok_or(LastError(ERROR_INVALID_SECURITY_DESCR))?;
        let mut words = vec![0; bytes.len().div_ceil(8)];
        words.as_mut_bytes()[..bytes.len()].copy_from_slice(bytes);
        Ok(SelfRelative(words))
    }

    pub(super) fn words(&self) -> &[u64] {
        &self.0
    }
}

/// Returns the number of 16 bits at this offset.
pub(super) fn short(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Returns the number of 32 bits at this offset.
pub(super) fn long(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Returns the end of the descriptor that these bytes start with, or `None` unless all its parts lie within
/// the bytes.
pub(super) fn end(bytes: &[u8]) -> Option<usize> {
    if bytes.first() != Some(&1) || short(bytes, 2)? & SE_SELF_RELATIVE == 0 {
        return None;
    }
    let mut end = HEAD;
    // The owner, the group, the system list and the access control list. Each may be missing.
    for (at, len) in [(4, sid::len as fn(&[u8]) -> _), (8, sid::len), (12, list_len), (16, list_len)] {
        let offset = usize::try_from(long(bytes, at)?).ok()?;
        if offset == 0 {
            continue;
        }
        if offset < HEAD || offset % 4 != 0 {
            return None;
        }
        end = end.max(offset + len(bytes.get(offset..)?)?);
    }
    Some(end)
}

/// Returns the length of the access control list that these bytes start with, if all its entries are
/// complete.
fn list_len(bytes: &[u8]) -> Option<usize> {
    // ACL_REVISION to ACL_REVISION4.
    if !(2..=4).contains(bytes.first()?) {
        return None;
    }
    let len = usize::from(short(bytes, 2)?);
    let list = bytes.get(..len)?;
    let mut rest = list.get(8..)?;
    for _ in 0..short(list, 4)? {
        let len = usize::from(short(rest, 2)?);
        let entry = rest.get(..len)?;
        if len % 4 != 0 || !is_entry(entry) {
            return None;
        }
        rest = &rest[len..];
    }
    Some(len)
}

/// Whether an entry is of a known kind and contains its SID completely. (Data that follows the SID is bounded
/// by the entry.)
fn is_entry(entry: &[u8]) -> bool {
    let sid_at = match entry.first() {
        // Allow, deny, audit, alarm; with a condition (0x09, 0x0A, 0x0D, 0x0E); label, attribute, policy,
        // trust, filter.
        Some(0x00..=0x03 | 0x09 | 0x0A | 0x0D | 0x0E | 0x11..=0x15) => Some(8),
        // The same for directory service objects: up to two GUIDs precede the SID.
        Some(0x05..=0x08 | 0x0B | 0x0C | 0x0F | 0x10) => {
            long(entry, 8).map(|flags| 12 + 16 * (flags & 3).count_ones() as usize)
        }
        _ => None,
    };
    sid_at.and_then(|at| entry.get(at..)).and_then(sid::len).is_some()
}

#[cfg(test)]
mod tests;
