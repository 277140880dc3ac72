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
