use super::parse_hex;

#[test]
fn hex_is_read_in_pairs() {
    assert_eq!(parse_hex("cafe 00:FF,1f").unwrap(), [0xca, 0xfe, 0, 0xff, 0x1f]);
    assert!(parse_hex("").unwrap().is_empty());
    for wrong in ["c", "caf e0", "0x00", "zz"] {
        assert!(parse_hex(wrong).is_err(), "{wrong}");
    }
}
