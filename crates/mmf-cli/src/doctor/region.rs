//! Everything that is known about a name.

use std::process::ExitCode;

use mmf::OpenOptions;
use mmf::diagnosis::{Cause, Diagnosis, Finding, NameReport};
use mmf::inspect::Holders;
use serde::Serialize;

use super::page::{Page, width};
use crate::findings::cause;
use crate::holders::{self, HoldersDocument};
use crate::names;
use crate::output::{Failure, Output};
use crate::size;

/// The JSON document.
#[derive(Serialize)]
struct Document<'r> {
    #[serde(flatten)]
    report: &'r NameReport,
    sddl: Option<String>,
    holders: Option<HoldersDocument>,
    read_diagnosis: &'r Diagnosis,
}

pub(super) fn run(name: &str, output: Output) -> Result<ExitCode, Failure> {
    let name = names::existing(name)?;
    let report = mmf::diagnosis::examine(&name)?;
    // Reading requires less than writing, and is all that some programs need.
    let reading = OpenOptions::new().check_open_read_only(&name);
    let holders = report.holders().ok();
    let document = document(&report, &reading, holders.as_ref());
    output.print_coloured(&document, page(&report, &reading, holders.as_ref()).text())?;
    Ok(if report.diagnosis().is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn page(report: &NameReport, reading: &Diagnosis, holders: Option<&Holders>) -> Page {
    let mut page = Page::new(width(), 11);
    let mut printed = Printed { findings: Vec::new(), rights_shown: false };
    page.heading(&report.name().to_string());
    let stale = if report.is_stale() { ", but its holders were killed: it is stale" } else { "" };
    page.yes_or_no("exists", report.exists(), stale);
    if !report.exists() || report.is_stale() {
        printed.print(&mut page, report.diagnosis());
        return page;
    }
    page.entry("kind", report.kind().unwrap_or("unknown"));
    if let Some(len) = report.len() {
        page.entry("length", &format!("{len} bytes ({})", size::show(len)));
    }
    if let Some(owner) = report.owner() {
        page.entry("owner", &owner.to_string());
    }
    if let Some(security) = report.security() {
        page.entries("access", clauses(&security.to_string()).iter().map(String::as_str));
        printed.rights_shown = true;
        if let Ok(sddl) = security.to_sddl() {
            page.entry("SDDL", &sddl);
        }
    }
    // For another kind of object, it does not matter whether it can be read.
    if report.diagnosis().causes().any(|cause| matches!(cause, Cause::OtherType { .. })) {
        printed.print(&mut page, report.diagnosis());
        return page;
    }
    if let Some(holders) = holders {
        page.entries("holders", holders::lines(holders).iter().map(String::as_str));
    }
    page.yes_or_no("read", report.may_read(), "");
    if !report.may_read() {
        printed.print(&mut page, reading);
    }
    page.yes_or_no("write", report.may_write(), "");
    if report.may_read() && report.may_write() && !report.diagnosis().is_ok() {
        // Without this line, the causes below would seem to contradict the access rights.
        page.yes_or_no("usable", false, "");
    }
    printed.print_for(&mut page, report.diagnosis(), !report.may_read());
    page
}

/// Splits the description of access rights. The owner has its own line.
fn clauses(sentence: &str) -> Vec<String> {
    let mut clauses = sentence.split("; ").peekable();
    if clauses.peek().is_some_and(|first| first.starts_with("owner ")) {
        clauses.next();
    }
    clauses.map(str::to_owned).collect()
}

/// What is on the page already.
struct Printed {
    findings: Vec<Finding>,
    rights_shown: bool,
}

impl Printed {
    fn print(&mut self, page: &mut Page, diagnosis: &Diagnosis) {
        self.print_for(page, diagnosis, false);
    }

    /// Prints the findings that are not on the page yet. Of a user who may not even read, the diagnosis of
    /// writing reports reading; `for_writing` reports it as writing.
    fn print_for(&mut self, page: &mut Page, diagnosis: &Diagnosis, for_writing: bool) {
        for finding in diagnosis.findings() {
            let known = matches!(finding.cause(), Cause::Usable { .. }) || self.findings.contains(finding);
            if !known {
                let mut found = finding.cause().clone();
                if let Cause::NotGranted { write, .. } = &mut found {
                    *write |= for_writing;
                }
                page.finding(finding, &cause(&found, self.rights_shown), 2);
                self.findings.push(finding.clone());
            }
        }
    }
}

fn document<'r>(report: &'r NameReport, reading: &'r Diagnosis, holders: Option<&Holders>) -> Document<'r> {
    Document {
        report,
        sddl: report.security().and_then(|security| security.to_sddl().ok()),
        holders: holders.map(holders::document),
        read_diagnosis: reading,
    }
}

#[cfg(test)]
mod tests;
