//! One name, looked at from all sides.

use std::process::ExitCode;

use mmf::OpenOptions;
use mmf::diagnosis::{Cause, Diagnosis, Finding, NameReport};
use mmf::inspect::Holders;
use mmf::security::Security;
use serde_json::{Value, json};

use super::text::{Page, width};
use crate::findings::{account, cause, document};
use crate::holders;
use crate::names;
use crate::output::{Failure, Output};
use crate::size;

pub(super) fn run(name: &str, output: Output) -> Result<ExitCode, Failure> {
    let name = names::existing(name)?;
    let examination = mmf::diagnosis::examine(&name)?;
    // What it takes to read is less than what it takes to write, and to some that is enough.
    let reading = OpenOptions::new().check_open_read_only(&name);
    let holders = examination.holders().ok();
    let mut document = json(&examination, &reading);
    document["holders"] = holders::document(holders.as_ref());
    output.print_coloured(&document, page(&examination, &reading, holders.as_ref()).text())?;
    Ok(if examination.diagnosis().is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn page(examination: &NameReport, reading: &Diagnosis, holders: Option<&Holders>) -> Page {
    let mut page = Page::new(width(), 11);
    let mut said = Said { findings: Vec::new(), rights_shown: false };
    page.heading(&examination.name().to_string());
    let stale = if examination.is_stale() { ", but its holders were killed: it counts as gone" } else { "" };
    page.right("exists", examination.exists(), stale);
    if !examination.exists() || examination.is_stale() {
        said.say(&mut page, examination.diagnosis());
        return page;
    }
    page.entry("kind", examination.kind().unwrap_or("unknown"));
    if let Some(len) = examination.len() {
        page.entry("length", &format!("{len} bytes ({})", size::show(len)));
    }
    if let Some(owner) = examination.owner() {
        page.entry("owner", &owner.to_string());
    }
    if let Some(security) = examination.security() {
        page.entries("rights", clauses(&security.to_string()).iter().map(String::as_str));
        said.rights_shown = true;
        if let Ok(sddl) = security.to_sddl() {
            page.entry("SDDL", &sddl);
        }
    }
    // Of something else, it does not matter whether it may be read.
    if examination.diagnosis().causes().any(|cause| matches!(cause, Cause::OtherKind { .. })) {
        said.say(&mut page, examination.diagnosis());
        return page;
    }
    if let Some(holders) = holders {
        page.entries("holders", holders::lines(holders).iter().map(String::as_str));
    }
    page.right("read", examination.may_read(), "");
    if !examination.may_read() {
        said.say(&mut page, reading);
    }
    page.right("write", examination.may_write(), "");
    if examination.may_read() && examination.may_write() && !examination.diagnosis().is_ok() {
        // Without this, the reasons below would seem to contradict the rights.
        page.right("usable", false, "");
    }
    said.say_of(&mut page, examination.diagnosis(), !examination.may_read());
    page
}

/// The parts of the sentence; the owner has a line of his own.
fn clauses(sentence: &str) -> Vec<String> {
    let mut clauses = sentence.split("; ").peekable();
    if clauses.peek().is_some_and(|first| first.starts_with("owner ")) {
        clauses.next();
    }
    clauses.map(str::to_owned).collect()
}

/// What is on the page already.
struct Said {
    findings: Vec<Finding>,
    rights_shown: bool,
}

impl Said {
    fn say(&mut self, page: &mut Page, diagnosis: &Diagnosis) {
        self.say_of(page, diagnosis, false);
    }

    /// What is said of writing, where not even reading is granted, is about writing all the same.
    fn say_of(&mut self, page: &mut Page, diagnosis: &Diagnosis, of_writing: bool) {
        for finding in diagnosis.findings() {
            let known = matches!(finding.cause(), Cause::Usable { .. }) || self.findings.contains(finding);
            if !known {
                let text = match finding.cause().clone() {
                    Cause::NotGranted { you, security, .. } if of_writing => {
                        cause(&Cause::NotGranted { write: true, you, security }, self.rights_shown)
                    }
                    found => cause(&found, self.rights_shown),
                };
                page.finding(finding, &text, 2);
                self.findings.push(finding.clone());
            }
        }
    }
}

fn json(examination: &NameReport, reading: &Diagnosis) -> Value {
    let security = examination.security();
    json!({
        "name": examination.name().to_string(),
        "exists": examination.exists(),
        "kind": examination.kind(),
        "stale": examination.is_stale(),
        "length": examination.len(),
        "owner": examination.owner().as_ref().map(account),
        "rights": security.map(ToString::to_string),
        "sddl": security.and_then(|security| Security::to_sddl(security).ok()),
        "read": examination.may_read(),
        "write": examination.may_write(),
        "usable": examination.diagnosis().is_ok(),
        "findings": document(examination.diagnosis().findings()),
        "read_findings": document(reading.findings()),
    })
}

#[cfg(test)]
mod tests {
    use super::clauses;

    #[test]
    fn a_sentence_becomes_lines() {
        assert_eq!(clauses("owner ann; ann may read; nobody else may"), ["ann may read", "nobody else may"]);
        assert_eq!(clauses("no owner; no principal may open it"), ["no owner", "no principal may open it"]);
    }
}
