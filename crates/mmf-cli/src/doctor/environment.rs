//! What this user can do on this machine.

use std::process::ExitCode;

use mmf::diagnosis::{Capability, Cause, Environment, Finding, PrivilegeState};
use mmf::security::Account;
use serde::Serialize;

use super::faults::{self, Trial};
use super::page::{Page, width};
use crate::output::{Failure, Output};
use crate::size;

/// The JSON document.
#[derive(Serialize)]
struct Document<'e> {
    #[serde(flatten)]
    environment: &'e Environment,
    faults: faults::Document,
}

pub(super) fn run(output: Output) -> Result<ExitCode, Failure> {
    let environment = mmf::diagnosis::environment();
    let trial = faults::run();
    let document = Document { environment: &environment, faults: trial.document() };
    output.print_coloured(&document, page(&environment, &trial).text())?;
    // A "no" is an answer, too.
    Ok(ExitCode::SUCCESS)
}

/// Returns the findings that are not about the name of the trial, which the user has not asked for.
fn findings(capability: &Capability) -> impl Iterator<Item = &Finding> {
    capability.diagnosis().findings().iter().filter(|finding| *finding.cause() != Cause::Free)
}

fn page(environment: &Environment, trial: &Trial) -> Page {
    let mut page = Page::new(width(), 16);
    page.heading("this user");
    page.entry("name", &environment.user().map_or("unknown".to_owned(), named));
    if let Some(elevated) = environment.elevated() {
        let label = if cfg!(windows) { "elevated" } else { "superuser" };
        page.entry(label, if elevated { "yes" } else { "no" });
    }
    if let Some(level) = environment.integrity() {
        page.entry("integrity", &level.to_string());
    }
    if let Some(session) = environment.session() {
        let services = if session == 0 { " (the session of services)" } else { "" };
        page.entry("session", &format!("{session}{services}"));
        page.entry("AppContainer", if environment.app_container() { "yes" } else { "no" });
    }
    let privileges: Vec<String> =
        environment.privileges().iter().map(|held| format!("{}: {}", held.name, state(held.state))).collect();
    page.entries("privileges", privileges.iter().map(String::as_str));

    page.heading("this machine");
    if let Some(store) = environment.backing_store() {
        let (left, limit) = (size::show(store.left), size::show(store.limit));
        page.entry("memory", &format!("{left} of {limit} available in {}", store.name));
    }
    page.entry("page size", &size::show(environment.page_size()));
    page.entry("granularity", &size::show(environment.granularity()));
    if let Some(large) = environment.large_page_size() {
        page.entry("large pages", &size::show(large));
    }
    page.entry("faults", &trial.text());

    page.heading("what this user can do");
    for capability in environment.capabilities() {
        page.answer(capability.diagnosis().is_ok(), &capability.action().to_string());
        for finding in findings(capability) {
            page.finding(finding, &finding.cause().to_string(), 5);
        }
    }
    page
}

fn named(account: &Account) -> String {
    match account.name() {
        Some(name) => format!("{name} ({})", account.id()),
        None => account.id().to_owned(),
    }
}

fn state(state: PrivilegeState) -> &'static str {
    match state {
        PrivilegeState::Enabled => "enabled",
        PrivilegeState::Disabled => "disabled; enabled for the calls that need it",
        PrivilegeState::NotNeeded => "not needed here",
        PrivilegeState::Missing => "missing",
        _ => "unknown",
    }
}
