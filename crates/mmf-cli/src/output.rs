//! What comes out: text or one JSON document on standard output, and errors on standard error.

use std::fmt::{Display, Write as _};
use std::io::{self, Write};
use std::process::ExitCode;

use serde::Serialize;
use serde_json::{Value, json};

use crate::findings;

/// How to print.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    pub(crate) json: bool,
}

/// Why a command ends early.
#[derive(Debug)]
pub(crate) struct Failure {
    /// A word to match on: the library's `ErrorKind`, or one of this program's.
    kind: String,
    /// What was being done, the cause, and the cure.
    message: String,
    /// What the library has found out, where it has looked.
    diagnosis: Option<mmf::diagnosis::Diagnosis>,
    code: Option<i32>,
    status: u8,
}

impl Failure {
    /// An error of this program's own.
    pub(crate) fn new(kind: &str, message: impl Into<String>) -> Self {
        Failure { kind: kind.to_owned(), message: message.into(), diagnosis: None, code: None, status: 1 }
    }

    /// What the system said about files, pipes and sockets.
    pub(crate) fn io(doing: impl Display, error: &io::Error, cure: &str) -> Self {
        let cure = if cure.is_empty() { String::new() } else { format!("; {cure}") };
        Failure { code: error.raw_os_error(), ..Failure::new("Io", format!("cannot {doing}: {error}{cure}")) }
    }

    /// By Ctrl-C or a request to end.
    pub(crate) fn interrupted() -> Self {
        // What shells report for a program that Ctrl-C has ended.
        Failure { status: 130, ..Failure::new("Interrupted", "interrupted") }
    }

    /// The same, where it is said what was interrupted.
    pub(crate) fn into_interrupted(self) -> Self {
        Failure { kind: "Interrupted".to_owned(), status: 130, ..self }
    }

    /// Who reads our output has had enough: nobody is left to tell, and nothing is wrong.
    fn nobody_reads() -> Self {
        Failure { status: 0, ..Failure::new("BrokenPipe", "nobody reads the output") }
    }

    pub(crate) fn is_nobody_reads(&self) -> bool {
        self.status == 0
    }

    /// Another exit status than 1.
    pub(crate) fn with_status(mut self, status: u8) -> Self {
        self.status = status;
        self
    }

    /// More about it.
    pub(crate) fn with(mut self, more: &str) -> Self {
        self.message.push_str(more);
        self
    }
}

impl From<mmf::Error> for Failure {
    fn from(error: mmf::Error) -> Self {
        Failure {
            kind: format!("{:?}", error.kind()),
            message: findings::headline(&error),
            diagnosis: error.diagnosis().cloned(),
            code: error.raw_os_error(),
            status: 1,
        }
    }
}

impl Output {
    /// Prints a command's result: `document` for programs, `text` for people.
    pub(crate) fn print(self, document: &impl Serialize, text: impl Display) -> Result<(), Failure> {
        if self.json { self.document(document) } else { line(text) }
    }

    /// As `print`; the text has colours, which are left out where they are not wanted or not understood.
    pub(crate) fn print_coloured(self, document: &impl Serialize, text: impl Display) -> Result<(), Failure> {
        if self.json { self.document(document) } else { line_to(anstream::stdout().lock(), text) }
    }

    /// Prints a command's result for programs.
    pub(crate) fn document(self, document: &impl Serialize) -> Result<(), Failure> {
        line(json_text(document)?)
    }

    /// Prints a line for people, while the work goes on.
    pub(crate) fn say(self, text: impl Display) -> Result<(), Failure> {
        if self.json { Ok(()) } else { line(text) }
    }

    /// Prints an error and gives the exit status that goes with it.
    pub(crate) fn fail(self, failure: &Failure) -> ExitCode {
        if failure.is_nobody_reads() {
            return ExitCode::SUCCESS;
        }
        if self.json {
            let findings = failure.diagnosis.as_ref().map(|found| findings::document(found.findings()));
            print_error_document(&failure.kind, &failure.message, failure.code, findings);
        } else {
            // What another process has said may be more than one line.
            let message: Vec<String> = failure.message.split('\n').map(printable).collect();
            let mut text = format!("mmf: {}", message.join("\n"));
            if let Some(diagnosis) = &failure.diagnosis {
                text.push('\n');
                text.push_str(&findings::plain(diagnosis, 0, false));
            }
            let _ = writeln!(io::stderr(), "{text}");
        }
        ExitCode::from(failure.status)
    }
}

/// A document in one line. What a terminal or a line-oriented program would act on is escaped, as JSON allows: texts of peers are in it.
pub(crate) fn json_text(document: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string(document).map_err(|e| printing(&e.into()))?;
    if !text.contains(is_active) {
        return Ok(text);
    }
    // (These can only be inside strings.)
    Ok(text.chars().fold(String::with_capacity(text.len()), |mut escaped, c| {
        if is_active(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        } else {
            escaped.push(c);
        }
        escaped
    }))
}

/// Whether a character does something to a terminal or to the text around it, or cannot be seen: control characters (C0, DEL, C1),
/// separators of lines and paragraphs, marks and overrides of the direction of text, characters without width, tags.
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

fn print_error_document(kind: &str, message: &str, code: Option<i32>, findings: Option<Value>) {
    let mut error = json!({ "kind": kind, "message": message, "code": code });
    if let Some(findings) = findings {
        error["findings"] = findings;
    }
    if let Ok(text) = json_text(&json!({ "error": error })) {
        let _ = writeln!(io::stderr(), "{text}");
    }
}

/// Others may have put anything into a name, also what would move the cursor, change colours, hide, or change the order of what
/// stands beside it: such characters are spelled out as in the source of a program.
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

/// A line on standard output, at once: somebody may wait for it.
fn line(text: impl Display) -> Result<(), Failure> {
    // Whatever was put together from what others have written; its lines are ours.
    let text: Vec<String> = text.to_string().split('\n').map(printable).collect();
    line_to(io::stdout().lock(), text.join("\n"))
}

fn line_to(mut out: impl Write, text: impl Display) -> Result<(), Failure> {
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(|e| printing(&e))
}

/// What to make of an error of standard output.
pub(crate) fn printing(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        Failure::nobody_reads()
    } else {
        Failure::io("print the result", error, "check where the output goes to")
    }
}

/// A command line that cannot be understood; or a request for help, which is no error.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    // The arguments could not be read, so this is all that is known of the wish for JSON.
    let json = std::env::args_os().skip(1).take_while(|arg| arg != "--").any(|arg| arg == "--json");
    let status = u8::try_from(error.exit_code()).unwrap_or(2);
    if json && status != 0 {
        print_error_document("Usage", error.to_string().trim_end(), None, None);
    } else {
        let _ = error.print();
    }
    ExitCode::from(status)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::{json_text, printable};

    #[test]
    fn harmful_characters_are_spelled_out() {
        assert_eq!(
            printable("a\n\u{1b}[31m\u{9b}\u{202e}\u{2028}b"),
            r"a\n\u{1b}[31m\u{9b}\u{202e}\u{2028}b"
        );
        assert_eq!(printable("\u{fc}\u{65e5}"), "\u{fc}\u{65e5}");
    }

    #[test]
    fn documents_stay_what_they_are() {
        let hostile = serde_json::json!({ "a\u{9b}": "\u{1b}\u{202e}\u{7f}\u{e0041}\u{2028}\n\"" });
        let text = json_text(&hostile).unwrap();
        assert!(text.is_ascii() && !text.contains('\u{7f}'), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), hostile);
    }
}
