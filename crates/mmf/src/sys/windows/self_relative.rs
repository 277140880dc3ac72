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
    /// Checks the bytes. The check of the system (`IsValidSecurityDescriptor`) would not do: it trusts the
    /// lengths in the descriptor, and reads beyond the end of bytes that are too short for them.
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

/// The number of 16 bits at this offset.
pub(super) fn short(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The number of 32 bits at this offset.
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
mod tests {
    use super::super::descriptor::{from_sddl, to_sddl};
    use super::*;

    const RICH: &str =
        "O:BAG:SYD:P(D;;GA;;;AN)(A;;GRGW;;;BA)(A;;0x5;;;S-1-5-21-1-2-3-1001)(A;;GR;;;AC)S:(ML;;NW;;;LW)";

    #[test]
    fn truncated_descriptors_are_refused() {
        let whole = from_sddl(RICH).unwrap();
        for len in 0..whole.len() {
            let failure = to_sddl(&whole[..len]).unwrap_err();
            assert_eq!(failure, LastError(ERROR_INVALID_SECURITY_DESCR).into(), "{len}");
        }
        // Bytes that follow the descriptor are ignored.
        assert_eq!(end(&[&whole[..], &[0xFF; 7]].concat()), Some(whole.len()));
    }

    #[test]
    fn forged_descriptors_are_refused_or_read_within_their_bounds() {
        let whole = from_sddl(RICH).unwrap();
        let mut refused = 0;
        for at in 0..whole.len() {
            for value in [0, 1, 4, 0x10, 0x7F, 0x80, 0xFC, 0xFF] {
                let mut forged = whole.clone();
                forged[at] = value;
                refused += usize::from(end(&forged).is_none());
                let _ = to_sddl(&forged);
            }
        }
        assert!(refused > 100, "{refused}");
    }

    #[test]
    fn lists_are_read_within_their_bounds() {
        let entry = |kind: u8, body: &[u8]| {
            let len = u8::try_from(4 + body.len()).unwrap();
            [&[kind, 0, len, 0], body].concat()
        };
        let list = |count: u8, entries: &[u8]| {
            let len = u8::try_from(8 + entries.len()).unwrap();
            [&[2, 0, len, 0, count, 0, 0, 0], entries].concat()
        };
        let allow = entry(0, &[&[0; 4][..], &sid::WORLD].concat());
        assert_eq!(list_len(&list(1, &allow)), Some(28));
        assert_eq!(list_len(&list(0, &allow)), Some(28));
        assert_eq!(list_len(&list(2, &allow)), None);
        assert_eq!(list_len(&list(1, &entry(0, &[0; 4]))), None);
        assert_eq!(list_len(&list(1, &[])), None);
        // An entry without a length.
        assert_eq!(list_len(&list(1, &[0, 0, 0, 0])), None);
        // An entry of an unknown kind.
        assert_eq!(list_len(&list(1, &entry(0x16, &[&[0; 4][..], &sid::WORLD].concat()))), None);
        // No, one, and two GUIDs before the SID.
        let object = |flags: u8, before: usize| {
            entry(5, &[&[0, 0, 0, 0, flags, 0, 0, 0][..], &vec![0; before], &sid::WORLD].concat())
        };
        for (flags, before) in [(0, 0), (1, 16), (2, 16), (3, 32)] {
            assert!(list_len(&list(1, &object(flags, before))).is_some());
            if flags != 0 {
                assert_eq!(list_len(&list(1, &object(flags, before - 16))), None);
            }
        }
        assert_eq!(list_len(&[2, 0, 8, 0, 0, 0, 0, 0]), Some(8));
        assert_eq!(list_len(&[5, 0, 8, 0, 0, 0, 0, 0]), None);
        assert_eq!(list_len(&[2, 0, 4, 0, 0, 0, 0, 0]), None);
        assert_eq!(list_len(&[2, 0, 12, 0, 0, 0, 0, 0]), None);
    }
}
