//! Output: text or a JSON document on standard output, errors on standard error.

use std::fmt::{Display, Write as _};
use std::io::{self, Write};
use std::process::ExitCode;

use mmf::diagnosis::{Diagnosis, Finding};
use serde::Serialize;

use crate::findings;
use crate::text::{is_active, printable};

/// How to print.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    pub(crate) json: bool,
}

/// The reason for which a command fails.
#[derive(Debug)]
pub(crate) struct Failure {
    /// An identifier to match on: that of the library's `ErrorKind`, or one of this program.
    kind: String,
    /// What failed, the cause, and the cure.
    message: String,
    /// The library's diagnosis, if there is one.
    diagnosis: Option<Diagnosis>,
    os_error: Option<i32>,
    status: u8,
}

impl Failure {
    /// An error of this program, not of the library.
    pub(crate) fn new(kind: &str, message: impl Into<String>) -> Self {
        Failure { kind: kind.to_owned(), message: message.into(), diagnosis: None, os_error: None, status: 1 }
    }

    /// An error of the system about a file, pipe or socket.
    pub(crate) fn io(doing: impl Display, error: &io::Error, cure: &str) -> Self {
        let cure = if cure.is_empty() { String::new() } else { format!("; {cure}") };
        Failure {
            os_error: error.raw_os_error(),
            ..Failure::new("io", format!("cannot {doing}: {error}{cure}"))
        }
    }

    /// The command was ended by Ctrl-C or a termination signal.
    pub(crate) fn interrupted() -> Self {
        // The status that shells report for a program ended by Ctrl-C.
        Failure { status: 130, ..Failure::new("interrupted", "interrupted") }
    }

    /// Turns an error into an interruption, and keeps its message.
    pub(crate) fn into_interrupted(self) -> Self {
        Failure { kind: "interrupted".to_owned(), status: 130, ..self }
    }

    /// The reader of the output has closed the pipe, which is not an error.
    fn closed_pipe() -> Self {
        Failure { status: 0, ..Failure::new("closed_pipe", "the output was closed") }
    }

    pub(crate) fn is_closed_pipe(&self) -> bool {
        self.status == 0
    }

    /// Sets an exit status other than 1.
    pub(crate) fn with_status(mut self, status: u8) -> Self {
        self.status = status;
        self
    }

    /// Appends to the message.
    pub(crate) fn with(mut self, more: &str) -> Self {
        self.message.push_str(more);
        self
    }
}

impl From<mmf::Error> for Failure {
    fn from(error: mmf::Error) -> Self {
        let mut message = findings::headline(&error);
        if let (None, Some(advice)) = (error.diagnosis(), error.advice()) {
            message.push_str("; ");
            message.push_str(&advice);
        }
        Failure {
            kind: error.kind().id().to_owned(),
            message,
            diagnosis: error.diagnosis().cloned(),
            os_error: error.raw_os_error(),
            status: 1,
        }
    }
}

impl Output {
    /// Prints a command's result: `document` for programs, `text` for people.
    pub(crate) fn print(self, document: &impl Serialize, text: impl Display) -> Result<(), Failure> {
        if self.json { self.document(document) } else { line(text) }
    }

    /// As [`print`](Output::print), for a text with colours, which are removed where they are not wanted or
    /// not supported.
    pub(crate) fn print_coloured(self, document: &impl Serialize, text: impl Display) -> Result<(), Failure> {
        if self.json { self.document(document) } else { line_to(anstream::stdout().lock(), text) }
    }

    /// Prints a command's result for programs.
    pub(crate) fn document(self, document: &impl Serialize) -> Result<(), Failure> {
        line(json_text(document)?)
    }

    /// Prints a line for people before the command is done.
    pub(crate) fn say(self, text: impl Display) -> Result<(), Failure> {
        if self.json { Ok(()) } else { line(text) }
    }

    /// Prints an error and returns its exit status.
    pub(crate) fn fail(self, failure: &Failure) -> ExitCode {
        if failure.is_closed_pipe() {
            return ExitCode::SUCCESS;
        }
        if self.json {
            print_error_document(failure);
        } else {
            // (It can contain several lines that another process printed.)
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

/// Serialises a document into one line. Characters that act on a terminal or on a line-oriented program are
/// escaped, as JSON allows, because the document contains text of other processes.
pub(crate) fn json_text(document: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string(document).map_err(|e| printing(&e.into()))?;
    if !text.contains(is_active) {
        return Ok(text);
    }
    // (Outside of strings there are none.)
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

/// The JSON document of an error, on standard error.
#[derive(Serialize)]
struct ErrorDocument<'f> {
    error: ErrorFields<'f>,
}

#[derive(Serialize)]
struct ErrorFields<'f> {
    kind: &'f str,
    message: &'f str,
    raw_os_error: Option<i32>,
    findings: &'f [Finding],
}

fn print_error_document(failure: &Failure) {
    let error = ErrorFields {
        kind: &failure.kind,
        message: &failure.message,
        raw_os_error: failure.os_error,
        findings: failure.diagnosis.as_ref().map_or(&[], Diagnosis::findings),
    };
    if let Ok(text) = json_text(&ErrorDocument { error }) {
        let _ = writeln!(io::stderr(), "{text}");
    }
}

/// Prints to standard output and flushes, because a reader may be waiting for it.
fn line(text: impl Display) -> Result<(), Failure> {
    // The line breaks are this program's own; everything else may come from other processes.
    let text: Vec<String> = text.to_string().split('\n').map(printable).collect();
    line_to(io::stdout().lock(), text.join("\n"))
}

fn line_to(mut out: impl Write, text: impl Display) -> Result<(), Failure> {
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(|e| printing(&e))
}

/// Returns the failure for an error of standard output.
pub(crate) fn printing(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        Failure::closed_pipe()
    } else {
        Failure::io("print the result", error, "check the destination of the output")
    }
}

/// Reports an invalid command line, or prints the help that was requested.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    // The arguments could not be parsed, so the option is searched for.
    let json = std::env::args_os().skip(1).take_while(|arg| arg != "--").any(|arg| arg == "--json");
    let status = u8::try_from(error.exit_code()).unwrap_or(2);
    if json && status != 0 {
        print_error_document(&Failure::new("usage", error.to_string().trim_end()));
    } else {
        let _ = error.print();
    }
    ExitCode::from(status)
}

#[cfg(test)]
mod tests;
