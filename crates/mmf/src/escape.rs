//! Escaping of texts that other processes have written, so that printing them does no harm.

use core::fmt;

/// Returns whether a character moves the cursor, changes colours, or hides or reorders the text beside it.
pub(crate) fn is_harmful(c: char) -> bool {
    c.is_control() || is_invisible(c)
}

/// Returns whether a character is invisible or reorders visible ones: bidirectional controls, zero-width
/// characters, line separators.
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

/// A writer that passes text on to a formatter, with harmful characters escaped as in source code: `\n`,
/// `\u{202e}`.
pub(crate) struct Escaped<'f, 'b>(pub(crate) &'f mut fmt::Formatter<'b>);

impl fmt::Write for Escaped<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| is_harmful(*c)) {
            self.0.write_str(&rest[..at])?;
            match c {
                '\0' => self.0.write_str("\\0")?,
                '\n' => self.0.write_str("\\n")?,
                '\r' => self.0.write_str("\\r")?,
                '\t' => self.0.write_str("\\t")?,
                c => write!(self.0, "\\u{{{:x}}}", u32::from(c))?,
            }
            rest = &rest[at + c.len_utf8()..];
        }
        self.0.write_str(rest)
    }
}

impl Escaped<'_, '_> {
    /// Returns the escaped text.
    pub(crate) fn text(text: &str) -> String {
        Shown(text).to_string()
    }
}

/// A text that prints escaped.
pub(crate) struct Shown<'t>(pub(crate) &'t str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Write::write_str(&mut Escaped(f), self.0)
    }
}

#[cfg(test)]
mod tests;
