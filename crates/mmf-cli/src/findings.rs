//! The library's diagnosis of an error: lines for people, documents for programs.

use std::fmt::Debug;

use mmf::diagnosis::{Cause, Diagnosis, Finding, Severity};
use serde::Serialize;

use crate::text::printable;

/// A line in parts, so that they can be coloured and wrapped.
pub(crate) struct Line {
    pub(crate) indent: usize,
    /// Such as `why:` or `do:`.
    pub(crate) lead: &'static str,
    pub(crate) text: String,
}

/// Returns the lines of a finding: its cause, in the words of `cause`, and its remedies.
pub(crate) fn lines_of(finding: &Finding, cause: &str) -> Vec<Line> {
    let lead = match finding.severity() {
        Severity::Error => "why:",
        Severity::Warning => "warning:",
        Severity::Note => "note:",
    };
    let mut lines = vec![Line { indent: 2, lead, text: printable(cause) }];
    for (index, remedy) in finding.remedies().iter().enumerate() {
        let lead = if index == 0 { "do:" } else { "or:" };
        lines.push(Line { indent: 4, lead, text: printable(&remedy.advice()) });
    }
    lines
}

/// Returns the text of a cause. If the access rights are printed already, it refers to them instead of
/// repeating them.
pub(crate) fn cause(cause: &Cause, rights_shown: bool) -> String {
    match cause {
        Cause::NotGranted { write, user: you, security: Some(_), .. } if rights_shown => {
            let you = you.as_ref().map_or(String::new(), |you| format!(" ({you})"));
            format!(
                "this user{you} may not {} it: see the access rights",
                if *write { "write to" } else { "read" }
            )
        }
        cause => cause.to_string(),
    }
}

/// Returns a diagnosis as plain text, indented.
pub(crate) fn plain(diagnosis: &Diagnosis, indent: usize, rights_shown: bool) -> String {
    let lines = diagnosis
        .findings()
        .iter()
        .flat_map(|finding| lines_of(finding, &cause(finding.cause(), rights_shown)));
    let texts: Vec<String> = lines
        .map(|Line { indent: own, lead, text }| format!("{:width$}{lead} {text}", "", width = indent + own))
        .collect();
    texts.join("\n")
}

/// The JSON document of a finding.
#[derive(Debug, Serialize)]
pub(crate) struct Document {
    severity: String,
    error_kind: Option<String>,
    cause: String,
    text: String,
    remedies: Vec<RemedyDocument>,
}

#[derive(Debug, Serialize)]
struct RemedyDocument {
    remedy: String,
    text: String,
}

pub(crate) fn documents<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Vec<Document> {
    let document = |finding: &Finding| Document {
        severity: word(&finding.severity()),
        error_kind: finding.error_kind().as_ref().map(word),
        cause: word(finding.cause()),
        text: finding.cause().to_string(),
        remedies: finding
            .remedies()
            .iter()
            .map(|remedy| RemedyDocument { remedy: word(remedy), text: remedy.advice() })
            .collect(),
    };
    findings.into_iter().map(document).collect()
}

/// Returns the name of a variant, without its fields.
pub(crate) fn word(value: &impl Debug) -> String {
    let text = format!("{value:?}");
    text.chars().take_while(char::is_ascii_alphanumeric).collect()
}

/// Returns the message of an error without its diagnosis, which is printed separately.
pub(crate) fn headline(error: &mmf::Error) -> String {
    match error.diagnosis() {
        // The cause is printed below.
        Some(_) => format!("{error:#}").lines().next().unwrap_or_default().to_owned(),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
