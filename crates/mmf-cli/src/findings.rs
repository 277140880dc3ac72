//! What the library has found out about a refusal: lines for people, a document for programs.

use std::fmt::Debug;

use mmf::diagnosis::{Cause, Diagnosis, Finding, Severity};
use mmf::security::Account;
use serde_json::{Value, json};

use crate::output::printable;

/// One line, by its parts, so that they can be coloured and wrapped.
pub(crate) struct Line {
    pub(crate) indent: usize,
    /// `why:`, `do:` and the like.
    pub(crate) lead: &'static str,
    pub(crate) text: String,
}

/// A cause and its remedies. `cause` is what to say of the cause.
pub(crate) fn lines_of(finding: &Finding, cause: &str) -> Vec<Line> {
    let lead = match finding.severity() {
        Severity::Error => "why:",
        Severity::Warning => "warning:",
        Severity::Note => "note:",
    };
    let mut lines = vec![Line { indent: 2, lead, text: printable(cause) }];
    for (index, remedy) in finding.remedies().iter().enumerate() {
        let lead = if index == 0 { "do:" } else { "or:" };
        lines.push(Line { indent: 4, lead, text: printable(&remedy.to_string()) });
    }
    lines
}

/// Where the rights are printed already, they are not to be told once more for each thing that they do not allow.
pub(crate) fn cause(cause: &Cause, rights_shown: bool) -> String {
    match cause {
        Cause::NotGranted { write, you, security: Some(_) } if rights_shown => {
            let you = you.as_ref().map_or(String::new(), |you| format!(" ({you})"));
            format!("this user{you} may not {} it: see the rights", if *write { "write to" } else { "read" })
        }
        cause => cause.to_string(),
    }
}

/// All of it as plain text, moved to the right.
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

/// All findings, for programs: words to match on, and the texts for people.
pub(crate) fn document<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Value {
    let one = |finding: &Finding| {
        let remedies: Vec<Value> = finding
            .remedies()
            .iter()
            .map(|remedy| json!({ "remedy": word(remedy), "text": remedy.to_string() }))
            .collect();
        json!({
            "severity": word(&finding.severity()),
            "kind": finding.error_kind().as_ref().map(word),
            "cause": word(finding.cause()),
            "text": finding.cause().to_string(),
            "remedies": remedies,
        })
    };
    findings.into_iter().map(one).collect()
}

pub(crate) fn account(account: &Account) -> Value {
    json!({ "id": account.id(), "name": account.name() })
}

/// The variant's name, without its fields.
pub(crate) fn word(value: &impl Debug) -> String {
    let text = format!("{value:?}");
    text.chars().take_while(char::is_ascii_alphanumeric).collect()
}

/// An error without what was found out about it, which is said apart.
pub(crate) fn headline(error: &mmf::Error) -> String {
    let mut text = error.to_string();
    if let Some(diagnosis) = error.diagnosis() {
        if let Some(head) = text.strip_suffix(&diagnosis.to_string()) {
            text.truncate(head.trim_end().len());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use mmf::diagnosis::Cause;
    use mmf::{OpenOptions, SharedMemory};

    use super::{document, headline, plain, word};

    const NAME: &str = r"Global\mmf-findings-nobody-made-this";

    #[test]
    fn words_have_no_fields() {
        assert_eq!(word(&Cause::Missing), "Missing");
        assert_eq!(word(&Cause::OtherNamespace { name: "x".to_owned() }), "OtherNamespace");
    }

    #[test]
    fn an_error_is_a_headline_and_findings() {
        let error = SharedMemory::open(NAME).unwrap_err();
        let (head, diagnosis) = (headline(&error), error.diagnosis().unwrap());
        assert!(head.contains(NAME) && !head.contains('\n'), "{head}");
        assert_eq!(format!("{head}\n{}", plain(diagnosis, 0, false)), error.to_string());
    }

    #[test]
    fn programs_get_words_and_texts() {
        let diagnosis = OpenOptions::new().check_open(NAME);
        let document = document(diagnosis.findings());
        assert_eq!(document[0]["severity"], "Error");
        assert_eq!(document[0]["kind"], "NotFound");
        assert_eq!(document[0]["cause"], "Missing");
        assert_eq!(document[0]["remedies"][0]["remedy"], "StartMaker");
        assert!(document[0]["text"].is_string() && document[0]["remedies"][0]["text"].is_string());
    }
}
