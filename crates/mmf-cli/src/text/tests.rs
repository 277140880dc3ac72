use super::printable;

#[test]
fn harmful_characters_are_escaped() {
    assert_eq!(printable("a\n\u{1b}[31m\u{9b}\u{202e}\u{2028}b"), r"a\n\u{1b}[31m\u{9b}\u{202e}\u{2028}b");
    assert_eq!(printable("\u{fc}\u{65e5}"), "\u{fc}\u{65e5}");
}
