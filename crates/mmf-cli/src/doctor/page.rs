//! The layout of the answers: headings, labels and findings, wrapped to the width of the terminal.

use anstyle::{AnsiColor, Style};
use mmf::diagnosis::Finding;

use crate::findings::{Line, lines_of};
use crate::text::printable;

const BOLD: Style = Style::new().bold();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const DOUBTFUL: Style = AnsiColor::Yellow.on_default();

/// Narrower terminals get lines of this width.
const NARROWEST: usize = 40;

/// Returns the width of the terminal; without one, `COLUMNS` or 80.
pub(super) fn width() -> usize {
    let columns = || std::env::var("COLUMNS").ok()?.trim().parse().ok();
    let width = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    width.filter(|width| *width > 0).or_else(columns).unwrap_or(80).max(NARROWEST)
}

/// A page of answers.
pub(super) struct Page {
    text: String,
    width: usize,
    /// The column of the values.
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

    /// Adds a label and its value.
    pub(super) fn entry(&mut self, label: &str, value: &str) {
        let lead = format!("  {label:room$}", room = self.column - 2);
        self.push(&lead, self.column, value);
    }

    /// Adds a label and its values, one a line.
    pub(super) fn entries<'v>(&mut self, label: &str, values: impl IntoIterator<Item = &'v str>) {
        for (index, value) in values.into_iter().enumerate() {
            self.entry(if index == 0 { label } else { "" }, value);
        }
    }

    /// Adds a label and a coloured yes or no.
    pub(super) fn yes_or_no(&mut self, label: &str, yes: bool, more: &str) {
        let lead = format!("  {label:room$}{}", coloured(yes), room = self.column - 2);
        self.push(&lead, self.column + 3, more);
    }

    /// Adds a yes or no before its question.
    pub(super) fn answer(&mut self, yes: bool, question: &str) {
        let gap = if yes { "  " } else { "   " };
        self.push(&format!("  {}{gap}", coloured(yes)), 7, question);
    }

    /// Adds a finding, with its cause in the words of `cause`.
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

    /// Adds a wrapped text after `lead`, whose width is given because it may contain colours.
    fn push(&mut self, lead: &str, lead_width: usize, text: &str) {
        let lines = wrap(&printable(text), self.width.saturating_sub(lead_width));
        let gap = format!("\n{:lead_width$}", "");
        self.text.push_str(format!("{lead}{}", lines.join(&gap)).trim_end());
        self.text.push('\n');
    }
}

fn coloured(yes: bool) -> String {
    if yes { format!("{GOOD}yes{GOOD:#}") } else { format!("{BAD}no{BAD:#}") }
}

/// Splits a text into lines of at most `width` characters. Longer words stay whole, so that they can be
/// copied.
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
mod tests;
