//! Queries the system for facts, and lets the rules judge them. The queries change nothing.

use std::time::{Duration, SystemTime};

use super::facts::{Caller, Facts, PrivilegeState, Question};
use super::finding::{Diagnosis, Finding};
use super::rules;
use crate::error::{Error, ErrorKind, Operation};
use crate::name::{Name, Namespace};
use crate::security::{self, IntegrityLevel, Security};
use crate::sys::{self, CallerToken, Failure, NameProbe, NameState, Reason};

/// Returns whether the operation would succeed, with all findings.
pub(crate) fn ask(question: Question<'_>) -> Diagnosis {
    study(question).1
}

/// Returns the same, with the facts behind it.
pub(crate) fn study(question: Question<'_>) -> (Facts, Diagnosis) {
    let mut facts = gather(question, true);
    // What other processes may still need does not explain a failure, so only a check in advance includes it.
    if question.operation != Operation::Open {
        facts.promised = sys::promised();
    }
    let diagnosis = Diagnosis::new(rules::judge(question, &facts));
    (facts, diagnosis)
}

/// Explains a failure: the findings that fit it, or `None`.
#[cold]
pub(crate) fn explain(question: Question<'_>, failure: Failure, kind: ErrorKind) -> Option<Diagnosis> {
    // Programs wait for other programs by trying to open a name, so this has to stay cheap.
    let thorough = !matches!(failure.reason, Reason::Missing);
    if failure.reason == Reason::Limit {
        return None; // its own text names the limit
    }
    let facts = gather(question, thorough);
    let mut findings = rules::judge(question, &facts);
    // Some causes are more precise than the code of the system.
    let first = findings.iter().find(|finding| finding.kind.is_some());
    let kind = first.filter(|first| rules::overrides(first)).and_then(|first| first.kind).unwrap_or(kind);
    // Another process may have changed it meanwhile: then it does not explain the failure.
    let fits = |finding: &Finding| finding.kind.is_none_or(|found| found == kind);
    if findings.iter().any(|finding| finding.kind == Some(kind)) {
        findings.retain(fits);
        return Some(Diagnosis::new(findings));
    }
    let facts = Facts {
        confinement: (failure.reason == Reason::Denied && cfg!(unix)).then(sys::confinement),
        group: if failure.reason == Reason::NoMemory { sys::memory_group() } else { None },
        ..facts
    };
    let finding = rules::otherwise(question, &facts, failure)?;
    Some(Diagnosis::new(vec![finding.with_kind(kind)]))
}

/// Explains why retrying did not help: a state that can last, or `None`.
#[cold]
pub(crate) fn explain_delay(question: Question<'_>) -> Option<Diagnosis> {
    let facts = gather(question, true);
    if !matches!(facts.here.state, NameState::Unfinished { .. }) {
        return None;
    }
    let findings = rules::judge(question, &facts);
    findings.iter().any(|finding| finding.kind.is_some()).then(|| Diagnosis::new(findings))
}

fn gather(question: Question<'_>, thorough: bool) -> Facts {
    let (here, name_problem) = match question.name.object_name(Operation::Open, None) {
        Ok(name) => (sys::probe_name(&name), None),
        // A private namespace that does not exist yet prevents no more than a free name does.
        Err(error) if error.kind() == ErrorKind::NotFound => (NameProbe::default(), None),
        Err(error) => (NameProbe::default(), Some((error.kind(), error.fact()))),
    };
    let missing = here.state == NameState::Nothing;
    let opens = question.operation != Operation::Create;
    let makes = question.operation != Operation::Open;
    let security = here.raw_security.clone().and_then(|shown| Security::from_raw(shown).ok());
    let (elsewhere, (spelled, similar)) = if missing && opens {
        (elsewhere(question.name), spelled_otherwise(question.name))
    } else {
        (None, (None, None))
    };
    // (An owner without an id in this user namespace cannot be compared.)
    let owner = security.as_ref().filter(|_| !here.owner_is_unmapped);
    let owner_asked = question.options.expected_owner().zip(owner);
    let (expected_owner, owner_problem) =
        match owner_asked.map(|(who, security)| security::is_owner(security, who, question.operation)) {
            Some(Ok(answer)) => (Some(answer), None),
            Some(Err(error)) => (None, Some((error.kind(), error.fact()))),
            None => (None, None),
        };
    let security_problem = if makes && thorough {
        let problem = question.options.security_or_default().resolve(question.operation).err();
        problem.map(|error| (error.kind(), error.fact()))
    } else {
        None
    };
    let list_allows = security.as_ref().filter(|_| thorough).and_then(security::list_allows);
    let is_unexplained =
        list_allows.is_some_and(|(reads, writes)| (reads && !here.may_read) || (writes && !here.may_write));
    // A fresh one is being created, so no holders need to be searched for.
    let lasts = |since: SystemTime| since.elapsed().is_ok_and(|age| age >= LASTING);
    let is_left = matches!(here.state, NameState::Unfinished { .. }) && here.changed.is_some_and(lasts);
    Facts {
        name_problem,
        confinement: (is_unexplained && cfg!(unix)).then(sys::confinement),
        holders: here.identity.filter(|_| is_left).map(|(device, inode)| sys::holders_of(device, inode)),
        promised: None,
        group: None,
        limit: here.obstacle.and_then(|code| sys::limit_reached(Failure::from_code(code))),
        list_allows,
        security,
        elsewhere,
        spelled,
        user_numbers: if missing && opens { sys::user_numbers() } else { None },
        similar,
        caller: if thorough { caller(&sys::caller_token()) } else { stranger() },
        // (On Windows it only shows what is left, which matters only if a region is to be created.)
        space: if cfg!(unix) || (makes && thorough) { sys::space() } else { None },
        limits: sys::limits(),
        security_problem,
        pages_problem: if makes && thorough { pages_problem(question) } else { None },
        expected_owner,
        owner_problem,
        here,
    }
}

fn pages_problem(question: Question<'_>) -> Option<(ErrorKind, String)> {
    if !question.options.requires_large_pages() {
        return None;
    }
    let failure = sys::check_large_pages(question.options.wanted_capacity().is_some()).err()?;
    let error = Error::from_system(question.operation, failure);
    Some((error.kind(), error.fact()))
}

/// Probes a name. If its namespace cannot be opened, nothing has the name.
pub(crate) fn look(name: &Name) -> NameProbe {
    name.object_name(Operation::Open, None).map(|name| sys::probe_name(&name)).unwrap_or_default()
}

/// Returns whether an object has this name.
pub(crate) fn is_there(name: &Name) -> bool {
    !matches!(look(name).state, NameState::Nothing | NameState::NoPlace)
}

/// Returns the name with the same text in the other namespace, if an object has it.
fn elsewhere(name: &Name) -> Option<String> {
    let other = match name.namespace() {
        Namespace::Local => Namespace::Global,
        Namespace::Global => Namespace::Local,
        Namespace::Private(_) => return None,
    };
    let other = Name::from_parts(other, name.text()).ok()?;
    let there = look(&other);
    matches!(there.state, NameState::Memory | NameState::Unfinished { .. } | NameState::Hidden)
        .then(|| other.to_string())
}

/// How long an object without a length counts as being created.
const LASTING: Duration = Duration::from_secs(2);

/// Returns a name that differs in upper and lower case only, otherwise one that differs in one or two
/// characters.
fn spelled_otherwise(name: &Name) -> (Option<String>, Option<String>) {
    let Ok(found) = sys::names() else { return (None, None) };
    let text = name.text().to_lowercase();
    let full = |found: &sys::Found| {
        let namespace = if found.global { Namespace::Global } else { Namespace::Local };
        let other = Name::from_parts(namespace, &found.text).ok()?;
        (look(&other).state == NameState::Memory).then(|| other.to_string())
    };
    let others = || found.iter().filter(|found| found.text != name.text());
    let spelled = others().find(|found| found.text.to_lowercase() == text).and_then(full);
    let similar = match spelled {
        Some(_) => None,
        None => others().find(|found| is_near(&found.text, name.text())).and_then(full),
    };
    (spelled, similar)
}

/// Returns whether two texts differ by a likely typing error: an added, missing or different letter, or two
/// transposed ones. (Digits number things, so another digit means another name.)
fn is_near(left: &str, right: &str) -> bool {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    if left.len() < 4 || right.len() < 4 {
        return false;
    }
    let same = left.iter().zip(&right).take_while(|(a, b)| a == b).count();
    let (left, right) = (&left[same..], &right[same..]);
    let tail = left.iter().rev().zip(right.iter().rev()).take_while(|(a, b)| a == b).count();
    let (left, right) = (&left[..left.len() - tail], &right[..right.len() - tail]);
    let is_letter = |c: &char| !c.is_ascii_digit();
    match (left, right) {
        ([a], []) | ([], [a]) => is_letter(a),
        ([a], [b]) => is_letter(a) && is_letter(b),
        ([a, b], [c, d]) => (a, b) == (d, c),
        _ => false,
    }
}

/// Returns the caller as far as that is cheap: names of users may have to be fetched from another machine.
fn stranger() -> Caller {
    let (session, app_container) = sys::caller_session();
    Caller {
        user: None,
        integrity: None,
        session,
        app_container,
        restricted: false,
        package: None,
        create_global: PrivilegeState::NotNeeded,
    }
}

/// Returns the caller and everything that is known of it.
pub(super) fn caller(token: &CallerToken) -> Caller {
    Caller {
        user: security::account_of_user(),
        integrity: token.integrity.map(IntegrityLevel::from_rid),
        session: token.session,
        app_container: token.app_container,
        restricted: token.restricted,
        package: token.package.as_deref().and_then(security::account_of),
        create_global: PrivilegeState::of(token.create_global),
    }
}

#[cfg(test)]
mod tests;
