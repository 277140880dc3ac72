#![allow(clippy::unwrap_used, reason = "a test")]

use super::*;

#[test]
fn lists_and_back() {
    let entries = vec![
        Entry { tag: Tag::Owner, bits: 6 },
        Entry { tag: Tag::User(1000), bits: 4 },
        Entry { tag: Tag::User(1001), bits: 6 },
        Entry { tag: Tag::Group, bits: 0 },
        Entry { tag: Tag::NamedGroup(7), bits: 6 },
        Entry { tag: Tag::Mask, bits: 4 },
        Entry { tag: Tag::Other, bits: 0 },
    ];
    let mut shuffled = entries.clone();
    shuffled.reverse();
    let bytes = write_list(&shuffled);
    assert_eq!(read_list(&bytes).unwrap(), entries);
    assert_eq!(bytes[..12], [2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255]);
    for len in 0..bytes.len() {
        assert_eq!(read_list(&bytes[..len]).is_some(), len >= 4 && (len - 4) % 8 == 0, "{len}");
    }
    let posix = Posix { uid: 0, gid: 0, mode: 0o640, list: entries };
    let bits: Vec<u16> = posix.grants().iter().map(|entry| entry.bits).collect();
    assert_eq!(bits, [6, 4, 4, 0, 4, 0], "the mask limits");
    for (user, groups, allowed) in [
        (0, vec![], (true, true)),
        (1000, vec![7], (true, false)),
        (1001, vec![], (true, false)),
        (1002, vec![7], (true, false)),
        (1002, vec![0], (false, false)),
        (1002, vec![], (false, false)),
    ] {
        assert_eq!(posix.allows(user, &groups), allowed, "{user} {groups:?}");
    }
}

#[test]
fn the_first_matching_entry_of_a_mode_decides() {
    let posix = |mode| Posix { uid: 5, gid: 7, mode, list: Vec::new() };
    assert_eq!(posix(0o066).allows(5, &[7]), (false, false), "the owner is not one of the others");
    assert_eq!(posix(0o606).allows(6, &[7]), (false, false), "nor is the group");
    assert_eq!(posix(0o640).allows(6, &[7]), (true, false));
    assert_eq!(posix(0o602).allows(6, &[8]), (false, false), "nothing can be mapped for writing only");
    assert_eq!(posix(0o606).allows(6, &[8]), (true, true));
}
