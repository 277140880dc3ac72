use super::json_text;

#[test]
fn escaping_keeps_the_document() {
    let hostile = serde_json::json!({ "a\u{9b}": "\u{1b}\u{202e}\u{7f}\u{e0041}\u{2028}\n\"" });
    let text = json_text(&hostile).unwrap();
    assert!(text.is_ascii() && !text.contains('\u{7f}'), "{text}");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), hostile);
}
