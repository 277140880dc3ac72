use mmf::OpenOptions;

use super::{Page, wrap};

#[test]
fn lines_end_at_spaces() {
    let cases: [(&str, usize, &[&str]); 6] = [
        ("one two three", 80, &["one two three"]),
        ("one two three", 7, &["one two", "three"]),
        ("one two three", 6, &["one", "two", "three"]),
        ("a unbreakable b", 5, &["a", "unbreakable", "b"]),
        ("\u{fc}\u{fc} \u{fc}\u{fc}", 5, &["\u{fc}\u{fc} \u{fc}\u{fc}"]),
        ("", 5, &[""]),
    ];
    for (text, width, lines) in cases {
        assert_eq!(wrap(text, width), lines, "{text:?} in {width}");
    }
}

#[test]
fn wrapped_lines_are_indented() {
    let mut page = Page::new(40, 11);
    page.heading("a region");
    page.entry("rights", "ann may read and write; no other user may");
    let plain = anstream::adapter::strip_str(page.text()).to_string();
    assert_eq!(plain, "a region\n  rights   ann may read and write; no\n           other user may");
}

#[test]
fn findings_stay_inside_the_width() {
    let mut page = Page::new(60, 11);
    let diagnosis = OpenOptions::new().check_open("mmf-page-never-created");
    for finding in diagnosis.findings() {
        page.finding(finding, &finding.cause().to_string(), 2);
    }
    let plain = anstream::adapter::strip_str(page.text()).to_string();
    assert!(plain.starts_with("    why: it was not created yet, or it was removed with its\n"), "{plain}");
    assert!(plain.lines().all(|line| line.chars().count() <= 60), "{plain}");
    assert!(plain.lines().any(|line| line.starts_with("          ")), "{plain}");
}
