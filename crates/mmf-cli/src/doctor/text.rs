//! How the answers are laid out: headings, labels and findings, wrapped to the width of the terminal.

use anstyle::{AnsiColor, Style};
use mmf::diagnosis::Finding;

use crate::findings::{Line, lines_of};
use crate::output::printable;

const BOLD: Style = Style::new().bold();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const DOUBTFUL: Style = AnsiColor::Yellow.on_default();

/// Less is not worth wrapping for.
const NARROWEST: usize = 40;

/// The width of the terminal, or what is assumed of it.
pub(super) fn width() -> usize {
    let told = || std::env::var("COLUMNS").ok()?.trim().parse().ok();
    let width = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    width.filter(|width| *width > 0).or_else(told).unwrap_or(80).max(NARROWEST)
}

/// What is to be printed.
pub(super) struct Page {
    text: String,
    width: usize,
    /// Where the values begin.
    column: usize,
}

impl Page {
    pub(super) fn new(width: usize, column: usize) -> Self {
        Page { text: String::new(), width, column }
    }

    pub(super) fn heading(&mut self, text: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.push(&format!("{BOLD}{}{BOLD:#}", printable(text)), 0, "");
    }

    /// A label, and what belongs to it.
    pub(super) fn entry(&mut self, label: &str, value: &str) {
        let lead = format!("  {label:room$}", room = self.column - 2);
        self.push(&lead, self.column, value);
    }

    /// A label, and more than one line that belongs to it.
    pub(super) fn entries<'v>(&mut self, label: &str, values: impl IntoIterator<Item = &'v str>) {
        for (index, value) in values.into_iter().enumerate() {
            self.entry(if index == 0 { label } else { "" }, value);
        }
    }

    /// A label and a yes or no, with its colour.
    pub(super) fn right(&mut self, label: &str, yes: bool, more: &str) {
        let lead = format!("  {label:room$}{}", yes_or_no(yes), room = self.column - 2);
        self.push(&lead, self.column + 3, more);
    }

    /// A yes or no, and what it is about.
    pub(super) fn answer(&mut self, yes: bool, question: &str) {
        let gap = if yes { "  " } else { "   " };
        self.push(&format!("  {}{gap}", yes_or_no(yes)), 7, question);
    }

    /// `cause` is what to say of the cause.
    pub(super) fn finding(&mut self, finding: &Finding, cause: &str, indent: usize) {
        for Line { indent: own, lead, text } in lines_of(finding, cause) {
            let style = match lead {
                "why:" => BAD,
                "warning:" => DOUBTFUL,
                _ => BOLD,
            };
            let at = indent + own;
            self.push(&format!("{:at$}{style}{lead}{style:#} ", ""), at + lead.len() + 1, &text);
        }
    }

    pub(super) fn text(&self) -> &str {
        self.text.trim_end_matches('\n')
    }

    /// What comes first may have colours, so it is said how wide it is.
    fn push(&mut self, lead: &str, lead_width: usize, text: &str) {
        let lines = wrap(&printable(text), self.width.saturating_sub(lead_width));
        let gap = format!("\n{:lead_width$}", "");
        self.text.push_str(format!("{lead}{}", lines.join(&gap)).trim_end());
        self.text.push('\n');
    }
}

fn yes_or_no(yes: bool) -> String {
    if yes { format!("{GOOD}yes{GOOD:#}") } else { format!("{BAD}no{BAD:#}") }
}

/// The text in lines of at most so many characters; words that are longer stay whole, so that they can be copied.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut len = 0;
    for word in text.split(' ') {
        let more = word.chars().count();
        if len > 0 && len + 1 + more > width {
            lines.push(std::mem::take(&mut line));
            len = 0;
        } else if len > 0 {
            line.push(' ');
            len += 1;
        }
        line.push_str(word);
        len += more;
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
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
    fn what_is_wrapped_hangs_under_its_beginning() {
        let mut page = Page::new(40, 11);
        page.heading("a memory");
        page.entry("rights", "somebody may read and write; nobody else may");
        let plain = anstream::adapter::strip_str(page.text()).to_string();
        assert_eq!(plain, "a memory\n  rights   somebody may read and write;\n           nobody else may");
    }

    #[test]
    fn findings_stay_inside_the_width() {
        let mut page = Page::new(60, 11);
        let diagnosis = OpenOptions::new().check_open("mmf-text-nobody-made-this");
        for finding in diagnosis.findings() {
            page.finding(finding, &finding.cause().to_string(), 2);
        }
        let plain = anstream::adapter::strip_str(page.text()).to_string();
        assert!(plain.starts_with("    why: nobody has made it yet, or it has gone with its\n"), "{plain}");
        assert!(plain.lines().all(|line| line.chars().count() <= 60), "{plain}");
        assert!(plain.lines().any(|line| line.starts_with("          ")), "{plain}");
    }
}
