use super::super::descriptor::{from_sddl, to_sddl};
use super::*;

fn objects(region: &str) -> Vec<u8> {
    for_objects(&from_sddl(region).unwrap(), None)
}

#[test]
fn readers_get_no_right_and_writers_can_wait_and_wake() {
    let region = "O:S-1-5-21-1-2-3-1000G:BAD:P(A;;0xf001f;;;S-1-5-21-1-2-3-1000)\
                  (A;;0x20007;;;S-1-5-21-1-2-3-1001)(A;;0x20005;;;WD)\
                  (A;;GR;;;AC)(A;;GRGW;;;BA)(A;;GA;;;SY)(D;;0x4;;;AN)";
    let derived = objects(region);
    assert_eq!(derived[4..12], [0; 8]);
    let system = [1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0];
    let owned = for_objects(&from_sddl(region).unwrap(), Some(&system));
    assert!(to_sddl(&owned).unwrap().starts_with("O:SYD:P"), "{}", to_sddl(&owned).unwrap());
    let masks: Vec<_> =
        entries(&derived).iter().map(|(at, _)| (derived[*at], long(&derived, at + 4))).collect();
    let expected = [0x1f_0003, 0x12_0003, 0, 0, 0x12_0003, 0x1f_0003].map(|mask| (0, Some(mask)));
    assert_eq!(masks[..6], expected, "{}", to_sddl(&derived).unwrap());
    assert_eq!(masks[6..], [(1, Some(0x1f_0003))]);
}

#[test]
fn foreign_objects_do_not_fit() {
    let region = "O:S-1-5-21-1-2-3-1000D:P(A;;0xf001f;;;S-1-5-21-1-2-3-1000)\
                  (A;;0x20007;;;S-1-5-21-1-2-3-1001)(A;;0x20005;;;WD)";
    let expected = Expected::of_region(&from_sddl(region).unwrap()).unwrap();
    let judge = |object: &str| expected.judge(&from_sddl(object).unwrap());
    let list = "D:P(A;;0x1f0003;;;S-1-5-21-1-2-3-1000)(A;;0x120003;;;S-1-5-21-1-2-3-1001)";
    for owner in ["S-1-5-21-1-2-3-1000", "S-1-5-21-1-2-3-1001", "BA", "SY"] {
        assert_eq!(judge(&format!("O:{owner}{list}")), Verdict::Fits, "{owner}");
    }
    // A reader that has set the expected list.
    let foreign = "O:S-1-5-21-1-2-3-1002";
    let Verdict::OwnedBy(sid) = judge(&format!("{foreign}{list}")) else { panic!("not foreign") };
    assert_eq!(sid[24..], 1002_u32.to_le_bytes());
    // An object that grants fewer rights is acceptable. One that grants more, or grants to other users,
    // is foreign.
    assert_eq!(judge("O:SYD:P(A;;0x100000;;;S-1-5-21-1-2-3-1001)"), Verdict::Fits);
    assert_eq!(judge("O:SYD:P"), Verdict::Fits);
    for list in [
        "",
        "D:P(A;;0x1f0003;;;S-1-5-21-1-2-3-1001)",
        "D:P(A;;0x100000;;;WD)",
        "D:P(A;;GA;;;S-1-5-21-1-2-3-1000)",
    ] {
        assert_eq!(judge(&format!("O:S-1-5-21-1-2-3-1000{list}")), Verdict::GrantsMore, "{list}");
    }
    assert_eq!(judge(list), Verdict::GrantsMore, "an object without an owner");
    // A user with all rights to the region may create such an object.
    let open = Expected::of_region(&from_sddl("O:SYD:(A;;GA;;;WD)").unwrap()).unwrap();
    assert_eq!(open.creators().collect::<Vec<_>>(), [[1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]]);
    assert!(Expected::of_region(&from_sddl("O:SY").unwrap()).is_none());
}

#[test]
fn truncated_descriptors_are_read_within_their_bounds() {
    let whole = from_sddl("O:SYD:P(A;;GA;;;WD)(A;;0x7;;;BA)").unwrap();
    for len in 0..whole.len() {
        let cut = &whole[..len];
        assert!(entries(cut).iter().all(|(at, entry)| at + entry <= len));
        let _ = (for_objects(cut, Some(&[])), Expected::of_region(cut).map(|expected| expected.judge(cut)));
    }
}
