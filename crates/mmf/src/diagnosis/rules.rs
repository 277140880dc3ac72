//! Findings, made of facts and of nothing else.

use super::facts::{Facts, Question};
use super::machine::Held;
use super::{Cause, Finding, Remedy, Severity};
use crate::error::{ErrorKind, Operation};
use crate::name::Namespace;
use crate::security::{Account, Who};
use crate::sys::{Limits, Presence, Space, Trouble};

const CREATE_GLOBAL: &str = "SeCreateGlobalPrivilege";

/// All that the facts say about the question.
pub(crate) fn judge(question: Question<'_>, facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some((kind, message)) = &facts.name_problem {
        return vec![invalid(*kind, message)];
    }
    if facts.here.presence == Presence::NoPlace {
        return vec![no_place(facts)];
    }
    // In the order of the calls themselves: what is asked for is looked at before what is there.
    if question.operation != Operation::Open {
        wishes(question, facts, &mut findings);
    }
    let there = !matches!(facts.here.presence, Presence::Nothing | Presence::Abandoned { removable: true });
    match question.operation {
        Operation::Create if there => findings.push(taken(question, facts)),
        Operation::Create => make(question, facts, &mut findings),
        Operation::OpenOrCreate if !there => make(question, facts, &mut findings),
        _ => open(question, facts, &mut findings),
    }
    findings
}

/// Names cannot even be looked for.
fn no_place(facts: &Facts) -> Finding {
    let place = facts.space.map_or("/dev/shm", |space| space.place);
    let cause = Cause::Place { place, problem: "does not let this user look for names" };
    Finding::error(cause)
        .with_kind(ErrorKind::PermissionDenied)
        .cure(Remedy::UseOther { what: "let an administrator set its mode to 1777" })
}

/// What is asked for and cannot be had, wherever its name may be.
fn wishes(question: Question<'_>, facts: &Facts, findings: &mut Vec<Finding>) {
    let len = question.options.wanted_len().unwrap_or(0);
    if len == 0 {
        findings.push(invalid(
            ErrorKind::ZeroLength,
            "a shared memory has at least one byte; no len() was given",
        ));
    } else if i64::try_from(len).is_err() {
        findings.push(invalid(ErrorKind::TooLarge, "no system counts so many bytes"));
    }
    if let Some(capacity) = question.options.wanted_capacity() {
        if i64::try_from(capacity).is_err() {
            findings.push(invalid(ErrorKind::TooLarge, "no system counts so many bytes"));
        } else if capacity < len {
            let asked = len;
            findings.push(
                Finding::error(Cause::BeyondCapacity { asked, capacity }).cure(Remedy::EnlargeCapacity),
            );
        }
    }
    for (kind, message) in [&facts.security_problem, &facts.pages_problem].into_iter().flatten() {
        findings.push(invalid(*kind, message));
    }
}

/// What stands in the way of a new memory.
fn taken(question: Question<'_>, facts: &Facts) -> Finding {
    match &facts.here.presence {
        Presence::Other(kind) => other_kind(kind),
        Presence::Abandoned { .. } => abandoned(facts),
        // That one is not to be opened either.
        Presence::Strangers => {
            strangers(facts).with_kind(ErrorKind::AlreadyExists).cure(Remedy::ChooseOtherName)
        }
        Presence::Linked => linked(facts).with_kind(ErrorKind::AlreadyExists).cure(Remedy::ChooseOtherName),
        _ => {
            let cause = Cause::Exists { len: facts.here.len, owner: owner(facts) };
            let finding = Finding::error(cause).cure(Remedy::OpenExisting);
            if trusted_namespace(question) { finding } else { finding.cure(Remedy::ChooseOtherName) }
        }
    }
}

/// Whether strangers cannot make names in it.
fn trusted_namespace(question: Question<'_>) -> bool {
    matches!(question.name.namespace(), Namespace::Private(_))
}

fn owner(facts: &Facts) -> Option<Account> {
    if facts.here.owner_is_unmapped {
        return None;
    }
    facts.security.as_ref().and_then(crate::security::Security::owner)
}

fn other_kind(kind: &str) -> Finding {
    Finding::error(Cause::OtherKind { kind: kind.to_owned() }).cure(Remedy::ChooseOtherName)
}

fn abandoned(facts: &Facts) -> Finding {
    let owner = owner(facts);
    let finding = Finding::error(Cause::Abandoned { owner: owner.clone() });
    let finding = match owner {
        Some(who) => finding.cure(Remedy::RunAs { who }),
        None => finding,
    };
    finding.cure(Remedy::ChooseOtherName)
}

/// What would keep a memory from being made, wherever its name may be.
fn make(question: Question<'_>, facts: &Facts, findings: &mut Vec<Finding>) {
    let before = findings.len();
    let len = question.options.wanted_len().unwrap_or(0);
    if *question.name.namespace() == Namespace::Global {
        global(facts, findings);
    }
    if let Some(space) = &facts.space {
        let (place, mount) = (space.place, space.is_mount);
        if let Some(trouble) = space.trouble {
            let (problem, kind) = match trouble {
                Trouble::Missing => ("is not there", ErrorKind::Unsupported),
                Trouble::ReadOnly => ("is mounted read-only", ErrorKind::PermissionDenied),
                Trouble::Denied => ("does not let this user make anything", ErrorKind::PermissionDenied),
                Trouble::NoFiles => ("has no room for one more name", ErrorKind::OutOfMemory),
            };
            let finding = Finding::error(Cause::Place { place, problem }).with_kind(kind);
            findings.push(match trouble {
                Trouble::Denied => {
                    finding.cure(Remedy::UseOther { what: "let an administrator set its mode to 1777" })
                }
                Trouble::ReadOnly => finding.cure(Remedy::UseOther { what: "mount -o remount,rw /dev/shm" }),
                Trouble::Missing => finding
                    .cure(Remedy::UseOther { what: "mount -t tmpfs -o mode=1777 tmpfs /dev/shm" })
                    .cure(Remedy::HandOver),
                Trouble::NoFiles => finding.cure(Remedy::Mount),
            });
        } else {
            findings.extend(room(len, space, mount.then_some(Remedy::Mount)));
        }
    }
    if let Some(most) = facts.limits.file_size {
        if len > most {
            findings.push(limit("RLIMIT_FSIZE", most, Some(len)));
        }
    }
    if findings[before..].iter().all(|finding| finding.kind.is_none()) && before == 0 {
        findings.push(Finding::note(Cause::Free));
    }
}

/// Whether so many more bytes are left.
fn room(asked: u64, space: &Space, enlarge: Option<Remedy>) -> Option<Finding> {
    let Space { place: of, left, limit, .. } = *space;
    if asked > left {
        let finding = Finding::error(Cause::NoMemory { asked, left, limit, of });
        let finding = finding.cure(Remedy::AskForLess { most: left }).cure(Remedy::FreeMemory);
        return Some(enlarge.into_iter().fold(finding, Finding::cure));
    }
    (asked > left / 10 * 9).then(|| {
        Finding::new(Severity::Warning, Cause::NearlyFull { asked, left, of }).cure(Remedy::FreeMemory)
    })
}

/// Whether a memory of `len` bytes could grow to `asked`. (What is left is known of some places only.)
pub(crate) fn growth(
    asked: u64,
    len: u64,
    capacity: u64,
    space: Option<Space>,
    limits: Limits,
) -> Vec<Finding> {
    if asked <= len {
        return vec![Finding::note(Cause::Growable)];
    }
    let mut findings = Vec::new();
    if asked > capacity {
        findings
            .push(Finding::error(Cause::BeyondCapacity { asked, capacity }).cure(Remedy::EnlargeCapacity));
    }
    if let Some(most) = limits.file_size.filter(|most| asked > *most) {
        findings.push(limit("RLIMIT_FSIZE", most, Some(asked)));
    }
    if let Some(space) = space {
        findings.extend(room(asked - len, &space, space.is_mount.then_some(Remedy::Mount)));
    }
    if findings.is_empty() {
        findings.push(Finding::note(Cause::Growable));
    }
    findings
}

/// What making a global name takes on Windows.
fn global(facts: &Facts, findings: &mut Vec<Finding>) {
    if facts.caller.app_container {
        findings.push(Finding::error(Cause::AppContainer).cure(Remedy::HandOver).cure(Remedy::UseLocalName));
        return;
    }
    match facts.caller.create_global {
        Held::Missing => findings.push(
            Finding::error(Cause::PrivilegeMissing { privilege: CREATE_GLOBAL })
                .cure(Remedy::UseLocalName)
                .cure(Remedy::Elevate)
                .cure(Remedy::GrantPrivilege { privilege: CREATE_GLOBAL }),
        ),
        Held::Disabled => {
            findings.push(Finding::note(Cause::PrivilegeDisabled { privilege: CREATE_GLOBAL }));
        }
        Held::Enabled | Held::NotNeeded => {}
    }
}

fn invalid(kind: ErrorKind, message: &str) -> Finding {
    Finding::error(Cause::Invalid { kind, message: message.to_owned() }).cure(Remedy::Correct)
}

pub(crate) fn limit(name: &'static str, limit: u64, asked: Option<u64>) -> Finding {
    let finding = Finding::error(Cause::Limit { name, limit, asked }).cure(Remedy::RaiseLimit { name });
    if asked.is_some() { finding.cure(Remedy::AskForLess { most: limit }) } else { finding }
}

/// What stands in the way of opening what is there, or may be there.
fn open(question: Question<'_>, facts: &Facts, findings: &mut Vec<Finding>) {
    match &facts.here.presence {
        Presence::Nothing => missing(question, facts, findings),
        Presence::Abandoned { removable: false } if question.operation != Operation::Open => {
            findings.push(abandoned(facts));
        }
        Presence::Abandoned { .. } => {
            missing(question, facts, findings);
            let removable = facts.here.presence == Presence::Abandoned { removable: true };
            let finding = if removable { Finding::note(Cause::Stale) } else { abandoned(facts) };
            findings.push(Finding { severity: Severity::Note, kind: None, ..finding });
        }
        Presence::Other(kind) => findings.push(other_kind(kind)),
        Presence::Unfinished { ours } => {
            // Where it is waited for, and how long its maker takes nobody knows.
            let waited = *ours || question.operation == Operation::OpenOrCreate;
            let kind = if waited { ErrorKind::Busy } else { ErrorKind::TooSmall };
            let finding = Finding::error(Cause::Unfinished).with_kind(kind);
            findings.push(finding.cure(Remedy::Retry).cure(Remedy::Distrust));
        }
        Presence::Hidden => {
            if *question.name.namespace() == Namespace::Global && facts.caller.app_container {
                findings.push(Finding::error(Cause::AppContainer).cure(Remedy::HandOver));
            }
            findings.push(refused(question, facts));
        }
        Presence::Strangers => findings.push(strangers(facts)),
        Presence::Linked => findings.push(linked(facts)),
        Presence::NoPlace => findings.push(no_place(facts)),
        Presence::Memory => {
            if !facts.here.may_read || (question.write && !facts.here.may_write) {
                findings.push(refused(question, facts));
            }
            sizes(question, facts, findings);
            trust(question, facts, findings);
            replaceable(question, facts, findings);
            if findings.iter().all(|finding| finding.kind.is_none()) {
                findings.push(Finding::note(Cause::Usable { len: facts.here.len, write: question.write }));
            }
        }
    }
}

fn missing(question: Question<'_>, facts: &Facts, findings: &mut Vec<Finding>) {
    let mut finding = Finding::error(Cause::Missing);
    if let Some(name) = facts.elsewhere.clone().or_else(|| facts.spelled.clone()) {
        finding = finding.cure(Remedy::OpenName { name });
    }
    findings.push(finding.cure(Remedy::StartMaker));
    if let Some(name) = &facts.elsewhere {
        findings.push(Finding::note(Cause::OtherNamespace { name: name.clone() }));
    } else if let Some(name) = &facts.spelled {
        findings.push(Finding::note(Cause::OtherSpelling { name: name.clone() }));
    } else if facts.caller.app_container {
        findings.push(Finding::note(Cause::AppContainer).cure(Remedy::HandOver));
    } else if let (Namespace::Local, Some((inside, outside))) =
        (question.name.namespace(), facts.user_numbers)
    {
        let cause = Cause::OtherUserNamespace { inside, outside };
        findings.push(Finding::note(cause).cure(Remedy::UseGlobalName));
    } else if *question.name.namespace() == Namespace::Local {
        findings.push(
            Finding::note(Cause::LocalToOthers { session: facts.caller.session }).cure(Remedy::UseGlobalName),
        );
    }
}

/// Why a memory that is there does not let us do what we want.
fn refused(question: Question<'_>, facts: &Facts) -> Finding {
    let read_works = facts.here.may_read;
    let wants_write = question.write && read_works;
    let kind = if wants_write { ErrorKind::NotWritable } else { ErrorKind::PermissionDenied };
    // The list would allow it, and the system does not: what is judged before the list is integrity. (What a sandbox may is
    // not a matter of the list alone.)
    let sandboxed = facts.caller.app_container || facts.caller.restricted;
    if let (Some((reads, writes)), Some(yours), false) =
        (facts.list_allows, facts.caller.integrity, sandboxed)
    {
        let label = facts.security.as_ref().and_then(crate::security::Security::label);
        let (object, no_read_up) = label.unwrap_or((crate::security::Level::Medium, false));
        let to_blame = if wants_write { writes } else { reads && no_read_up };
        if to_blame && object > yours {
            let finding = Finding::error(Cause::Integrity { object, yours }).with_kind(kind);
            let finding = finding.cure(Remedy::LetMakerLowerIntegrity { to: yours });
            return if read_works { finding.cure(Remedy::OpenReadOnly) } else { finding };
        }
    }
    let who = facts.caller.user.clone();
    let grant = Remedy::LetMakerGrant { write: question.write, who };
    let cause = if facts.here.presence == Presence::Hidden && facts.security.is_none() {
        Cause::Hidden
    } else {
        Cause::NotGranted {
            write: wants_write,
            you: facts.caller.user.clone(),
            security: facts.security.clone().map(Box::new),
        }
    };
    let mut finding = Finding::error(cause).with_kind(kind);
    if wants_write {
        finding = finding.cure(Remedy::OpenReadOnly);
    }
    finding = finding.cure(grant);
    match owner(facts) {
        Some(owner) if facts.caller.user.as_ref() != Some(&owner) => {
            finding.cure(Remedy::RunAs { who: owner })
        }
        _ => finding,
    }
}

/// A local name of ours that somebody else has taken (Unix).
fn strangers(facts: &Facts) -> Finding {
    let expected = facts.caller.user.clone().unwrap_or_else(|| Account::unknown(&Who::CurrentUser));
    wrong_owner(expected, owner(facts))
}

fn sizes(question: Question<'_>, facts: &Facts, findings: &mut Vec<Finding>) {
    let (Some(asked), Some(len)) = (question.options.wanted_len(), facts.here.len) else { return };
    if len < asked {
        findings.push(too_small(asked, len));
    }
}

pub(crate) fn too_small(asked: u64, len: u64) -> Finding {
    Finding::error(Cause::TooSmall { asked, len }).cure(Remedy::AcceptIt)
}

/// A region that has other names, too.
fn linked(facts: &Facts) -> Finding {
    let links = facts.here.linked.clone().unwrap_or_default();
    of_linked(links.count, links.found)
}

pub(crate) fn of_linked(names: u64, found: Vec<String>) -> Finding {
    Finding::error(Cause::Linked { names, found }).cure(Remedy::Distrust).cure(Remedy::UseOther {
        what: "let the region's owner find out which name is its own (ls -li /dev/shm), and remove the others",
    })
}

/// Where names can be given to other regions by anybody, what is expected of them cannot be had.
fn replaceable(question: Question<'_>, facts: &Facts, findings: &mut Vec<Finding>) {
    let expects = question.options.expected_owner().is_some();
    if facts.here.replaceable && (expects || *question.name.namespace() == Namespace::Local) {
        let finding = of_replaceable();
        findings.push(if expects {
            finding
        } else {
            Finding { severity: Severity::Warning, kind: None, ..finding }
        });
    }
}

pub(crate) fn of_replaceable() -> Finding {
    Finding::error(Cause::Replaceable { place: "/dev/shm" })
        .cure(Remedy::UseOther { what: "let an administrator set its mode to 1777" })
}

fn trust(question: Question<'_>, facts: &Facts, findings: &mut Vec<Finding>) {
    if question.options.expects_trust() && facts.here.linked.is_some() {
        findings.push(linked(facts));
    }
    if let (Some(expected), Some(len)) = (question.options.expected_len(), facts.here.len) {
        if !question.options.is_expected_len(len) {
            findings.push(wrong_len(expected, len));
        }
    }
    if let Some((kind, message)) = &facts.owner_problem {
        findings.push(invalid(*kind, message));
        return;
    }
    match (&facts.expected_owner, question.options.expected_owner()) {
        (Some((false, expected)), _) => findings.push(wrong_owner(expected.clone(), owner(facts))),
        (None, Some(who)) => {
            let expected = Account::unknown(who);
            findings.push(wrong_owner(expected, None));
        }
        _ => {}
    }
}

pub(crate) fn wrong_len(expected: u64, len: u64) -> Finding {
    Finding::error(Cause::WrongLen { expected, len }).cure(Remedy::Distrust)
}

pub(crate) fn wrong_owner(expected: Account, owner: Option<Account>) -> Finding {
    Finding::error(Cause::WrongOwner { expected, owner }).cure(Remedy::Distrust)
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
