use super::*;

#[test]
fn sids_have_a_text_and_a_binary_form() {
    for (text, bytes) in [
        ("S-1-1-0", &[1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0][..]),
        ("S-1-5-32-544", &[1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0]),
        ("S-1-16-4096", &[1, 1, 0, 0, 0, 0, 0, 16, 0, 0x10, 0, 0]),
        ("S-1-0x010203040506-7", &[1, 1, 1, 2, 3, 4, 5, 6, 7, 0, 0, 0]),
    ] {
        let sid: Sid = text.parse().unwrap();
        assert_eq!((sid.to_string().as_str(), &sid.to_bytes()[..]), (text, bytes));
        assert_eq!(Sid::from_bytes(bytes), Some(sid.clone()));
        let longer = [bytes, &[9, 9, 9]].concat();
        assert_eq!(Sid::from_bytes(&longer), Some(sid), "bytes that follow are ignored");
        for len in 0..bytes.len() {
            assert_eq!(Sid::from_bytes(&bytes[..len]), None, "truncated to {len}");
        }
    }
}

#[test]
fn malformed_sids_are_refused() {
    for text in
        ["", "S-1", "S-1-", "S-1-5", "S-2-5-1", "ann", "S-1-5-x", "S-1-5-4294967296", "S-1-0x1000000000000-1"]
    {
        assert_eq!(text.parse::<Sid>(), Err(NoSid), "{text}");
    }
    assert_eq!(format!("S-1-5{}", "-1".repeat(16)).parse::<Sid>(), Err(NoSid));
    assert_eq!(Sid::from_bytes(&[2, 0, 0, 0, 0, 0, 0, 5]), None, "an unknown revision");
    assert_eq!(Sid::from_bytes(&[&[1, 16, 0, 0, 0, 0, 0, 5][..], &[0; 64]].concat()), None);
}
