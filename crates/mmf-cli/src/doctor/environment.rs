//! What this user can do on this machine.

use std::process::ExitCode;

use mmf::diagnosis::Environment;
use mmf::diagnosis::{Cause, Finding, PrivilegeState};
use serde_json::{Value, json};

use super::faults::{self, Trial};
use super::text::{Page, width};
use crate::findings::{account, document, word};
use crate::output::{Failure, Output};
use crate::size;

pub(super) fn run(output: Output) -> Result<ExitCode, Failure> {
    let machine = mmf::diagnosis::environment();
    let trial = faults::run();
    output.print_coloured(&json(&machine, &trial), page(&machine, &trial).text())?;
    // A "no" is an answer.
    Ok(ExitCode::SUCCESS)
}

/// Without what is only about the name that was asked for, which nobody has given.
fn findings(capability: &mmf::diagnosis::Capability) -> impl Iterator<Item = &Finding> {
    capability.diagnosis().findings().iter().filter(|finding| *finding.cause() != Cause::Free)
}

fn page(machine: &Environment, trial: &Trial) -> Page {
    let mut page = Page::new(width(), 16);
    page.heading("this user");
    page.entry("name", &machine.user().map_or("unknown".to_owned(), named));
    if let Some(elevated) = machine.elevated() {
        let label = if cfg!(windows) { "elevated" } else { "superuser" };
        page.entry(label, if elevated { "yes" } else { "no" });
    }
    if let Some(level) = machine.integrity() {
        page.entry("integrity", &level.to_string());
    }
    if let Some(session) = machine.session() {
        let services = if session == 0 { " (that of the services)" } else { "" };
        page.entry("session", &format!("{session}{services}"));
        page.entry("AppContainer", if machine.app_container() { "yes" } else { "no" });
    }
    let privileges: Vec<String> =
        machine.privileges().iter().map(|(name, held)| format!("{name}: {}", how(*held))).collect();
    page.entries("privileges", privileges.iter().map(String::as_str));

    page.heading("this machine");
    if let Some((of, left, limit)) = machine.memory() {
        page.entry("memory", &format!("{} of {} left of {of}", size::show(left), size::show(limit)));
    }
    page.entry("page size", &size::show(machine.page_size()));
    page.entry("granularity", &size::show(machine.granularity()));
    if let Some(large) = machine.large_page_size() {
        page.entry("large pages", &size::show(large));
    }
    page.entry("faults", &trial.text());

    page.heading("what this user can do");
    for capability in machine.capabilities() {
        page.answer(capability.diagnosis().is_ok(), &capability.action().to_string());
        for finding in findings(capability) {
            page.finding(finding, &finding.cause().to_string(), 5);
        }
    }
    page
}

fn named(account: &mmf::security::Account) -> String {
    match account.name() {
        Some(name) => format!("{name} ({})", account.id()),
        None => account.id().to_owned(),
    }
}

fn how(held: PrivilegeState) -> &'static str {
    match held {
        PrivilegeState::Enabled => "held",
        PrivilegeState::Disabled => "held, and enabled for the calls that need it",
        PrivilegeState::NotNeeded => "not needed here",
        PrivilegeState::Missing => "missing",
        _ => "unknown",
    }
}

fn json(machine: &Environment, trial: &Trial) -> Value {
    let privileges: Vec<Value> = machine
        .privileges()
        .iter()
        .map(|(name, held)| json!({ "privilege": name, "held": word(held) }))
        .collect();
    let capabilities: Vec<Value> = machine
        .capabilities()
        .iter()
        .map(|capability| {
            json!({
                "task": word(&capability.action()),
                "text": capability.action().to_string(),
                "able": capability.diagnosis().is_ok(),
                "findings": document(findings(capability)),
            })
        })
        .collect();
    json!({
        "user": machine.user().map(account),
        "elevated": machine.elevated(),
        "integrity": machine.integrity().as_ref().map(word),
        "session": machine.session(),
        "app_container": machine.app_container(),
        "privileges": privileges,
        "memory": machine.memory().map(|(of, left, limit)| json!({ "of": of, "left": left, "limit": limit })),
        "page_size": machine.page_size(),
        "granularity": machine.granularity(),
        "large_page_size": machine.large_page_size(),
        "faults": trial.json(),
        "capabilities": capabilities,
    })
}
