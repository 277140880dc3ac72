//! Text that other processes have chosen, made harmless for a terminal.
//!
//! The list of characters is also in the library, which keeps it private.

/// Whether a character acts on a terminal or on the text around it, or is invisible: control
/// characters (C0, DEL, C1), line and paragraph separators, marks and overrides of the text
/// direction, zero-width characters, tags.
pub(crate) fn is_active(c: char) -> bool {
    c.is_control()
        || matches!(
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

/// Escapes active characters as Rust source does.
///
/// A name may contain anything its creator chose, including sequences that move the cursor, change
/// colours, hide text, or reorder the text beside them.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\0' => shown.push_str("\\0"),
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            c if is_active(c) => shown.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
            c => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests;
