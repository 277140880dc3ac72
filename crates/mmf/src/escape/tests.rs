use super::Shown;

#[test]
fn harmful_characters_are_spelled_out() {
    for (text, shown) in [
        ("plain \u{fc}\u{65e5}", "plain \u{fc}\u{65e5}"),
        ("a\nb\tc\0", "a\\nb\\tc\\0"),
        ("\u{1b}[31mred", "\\u{1b}[31mred"),
        ("\u{9b}31m", "\\u{9b}31m"),
        ("x\u{202e}y\u{2066}\u{2028}", "x\\u{202e}y\\u{2066}\\u{2028}"),
        ("\u{200b}\u{feff}", "\\u{200b}\\u{feff}"),
        (r"Global\telemetry", r"Global\telemetry"),
    ] {
        assert_eq!(Shown(text).to_string(), shown);
    }
}
