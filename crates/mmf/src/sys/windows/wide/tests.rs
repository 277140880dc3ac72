use super::*;

#[test]
fn text_ends_at_the_first_nul() {
    assert!(Wide::new("a\0b").is_none());
    assert_eq!(Wide::new("ä𝄞").map(|wide| wide.0), Some(vec![0xE4, 0xD834, 0xDD1E, 0]));
    assert_eq!(text(&[0x61, 0, 0x62]), "a");
    assert_eq!(text(&[0x61, 0x62]), "ab");
    assert_eq!(text(&[]), "");
}
