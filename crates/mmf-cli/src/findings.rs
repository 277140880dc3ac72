//! The library's diagnosis of an error, as lines for people.

use mmf::diagnosis::{Cause, Diagnosis, Finding, Severity};

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
