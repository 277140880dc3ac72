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
