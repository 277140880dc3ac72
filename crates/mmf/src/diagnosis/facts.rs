//! Facts: what the system says about a name, this process and this machine. Asking changes nothing.

use super::machine::Held;
use super::rules;
use super::{Diagnosis, Finding};
use crate::error::{Error, ErrorKind, Operation};
use crate::name::{Name, Namespace};
use crate::options::OpenOptions;
use crate::security::{self, Account, Level, Security};
use crate::sys::{self, Failure, Limits, Presence, Reason, Sighting, Space};

/// What is asked, or was refused.
#[derive(Clone, Copy)]
pub(crate) struct Question<'a> {
    pub(crate) operation: Operation,
    pub(crate) name: &'a Name,
    /// Whether it is to be written, too.
    pub(crate) write: bool,
    pub(crate) options: &'a OpenOptions,
}

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) user: Option<Account>,
    /// What follows exists on Windows only.
    pub(crate) integrity: Option<Level>,
    pub(crate) session: Option<u32>,
    pub(crate) app_container: bool,
    /// In a sandbox of another kind: its token can do less than its user and groups say.
    pub(crate) restricted: bool,
    pub(crate) package: Option<Account>,
    pub(crate) create_global: Held,
}

/// What was found out. Rules judge by this alone.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// Why the system cannot even look for such a name.
    pub(crate) name_problem: Option<(ErrorKind, String)>,
    pub(crate) here: Sighting,
    /// What it says about who may do what, if it lets us know.
    pub(crate) security: Option<Security>,
    /// What its list alone gives to us: to read, to write (Windows).
    pub(crate) list_allows: Option<(bool, bool)>,
    /// Its name in the other namespace, if there is one of that name.
    pub(crate) elsewhere: Option<String>,
    /// A name that differs in case only.
    pub(crate) spelled: Option<String>,
    /// The numbers of this user in the user namespace of this process and outside, if they differ (Linux).
    pub(crate) user_numbers: Option<(u32, u32)>,
    pub(crate) caller: Caller,
    pub(crate) space: Option<Space>,
    pub(crate) limits: Limits,
    /// Why the security that a new memory is to have cannot be had.
    pub(crate) security_problem: Option<(ErrorKind, String)>,
    /// Why the large pages that a new memory is to have cannot be had.
    pub(crate) pages_problem: Option<(ErrorKind, String)>,
    /// Whose it should be, and whether it is.
    pub(crate) expected_owner: Option<(bool, Account)>,
    /// Why it cannot be told who is expected.
    pub(crate) owner_problem: Option<(ErrorKind, String)>,
}

/// Whether it would work: all that can be said.
pub(crate) fn ask(question: Question<'_>) -> Diagnosis {
    study(question).1
}

/// The same, and what it was judged by.
pub(crate) fn study(question: Question<'_>) -> (Facts, Diagnosis) {
    let facts = gather(question, true);
    let diagnosis = Diagnosis::new(rules::judge(question, &facts));
    (facts, diagnosis)
}

/// Why it did not work: what fits the failure, or nothing.
#[cold]
pub(crate) fn explain(question: Question<'_>, failure: Failure, kind: ErrorKind) -> Option<Diagnosis> {
    // Programs wait for others by trying to open, so this has to stay cheap.
    let thorough = !matches!(failure.reason, Reason::Missing);
    if failure.reason == Reason::Limit {
        return None; // it says so itself
    }
    let mut findings = rules::judge(question, &gather(question, thorough));
    // Somebody may have changed it meanwhile: then it says nothing about the failure.
    let fits = |finding: &Finding| finding.kind.is_none_or(|found| found == kind);
    if !findings.iter().any(|finding| finding.kind == Some(kind)) {
        return None;
    }
    findings.retain(fits);
    Some(Diagnosis::new(findings))
}

fn gather(question: Question<'_>, thorough: bool) -> Facts {
    let (here, name_problem) = match question.name.object_name(Operation::Open, None) {
        Ok(name) => (sys::sight(&name), None),
        // A private namespace that nobody has made yet is no more in the way than a name that nobody has.
        Err(error) if error.kind() == ErrorKind::NotFound => (Sighting::default(), None),
        Err(error) => (Sighting::default(), Some((error.kind(), error.cause_in_words()))),
    };
    let missing = here.presence == Presence::Nothing;
    let opens = question.operation != Operation::Create;
    let makes = question.operation != Operation::Open;
    let security = here.shown.clone().and_then(|shown| Security::from_shown(shown).ok());
    let (elsewhere, spelled) = if missing && opens {
        (elsewhere(question.name), if thorough { spelled_otherwise(question.name) } else { None })
    } else {
        (None, None)
    };
    // (Of an owner who has no number here, none is believed.)
    let owner = security.as_ref().filter(|_| !here.owner_is_unmapped);
    let owner_asked = question.options.expected_owner().zip(owner);
    let (expected_owner, owner_problem) =
        match owner_asked.map(|(who, security)| security::is_owner(security, who, question.operation)) {
            Some(Ok(answer)) => (Some(answer), None),
            Some(Err(error)) => (None, Some((error.kind(), error.cause_in_words()))),
            None => (None, None),
        };
    let security_problem = if makes && thorough {
        let problem = question.options.security_or_default().resolve(question.operation).err();
        problem.map(|error| (error.kind(), error.cause_in_words()))
    } else {
        None
    };
    Facts {
        name_problem,
        list_allows: security.as_ref().and_then(list_allows),
        security,
        elsewhere,
        spelled,
        user_numbers: if missing && opens { user_numbers() } else { None },
        caller: if thorough { caller() } else { stranger() },
        space: if makes && thorough { sys::space() } else { None },
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
    Some((error.kind(), error.cause_in_words()))
}

/// What has this name. (Nothing, if its namespace cannot be opened.)
pub(crate) fn look(name: &Name) -> Sighting {
    name.object_name(Operation::Open, None).map(|name| sys::sight(&name)).unwrap_or_default()
}

/// The same text in the other namespace, if something is there.
fn elsewhere(name: &Name) -> Option<String> {
    let other = match name.namespace() {
        Namespace::Local => Namespace::Global,
        Namespace::Global => Namespace::Local,
        Namespace::Private(_) => return None,
    };
    let other = Name::from_parts(other, name.text()).ok()?;
    let there = look(&other);
    matches!(there.presence, Presence::Memory | Presence::Unfinished { .. } | Presence::Hidden)
        .then(|| other.to_string())
}

/// A name that differs in upper and lower case only.
fn spelled_otherwise(name: &Name) -> Option<String> {
    let text = name.text().to_lowercase();
    let found = sys::names().ok()?;
    let found =
        found.into_iter().find(|found| found.text != name.text() && found.text.to_lowercase() == text)?;
    let namespace = if found.global { Namespace::Global } else { Namespace::Local };
    let other = Name::from_parts(namespace, &found.text).ok()?;
    (look(&other).presence == Presence::Memory).then(|| other.to_string())
}

/// Who asks, as far as it costs little: names of users may have to be fetched from elsewhere.
fn stranger() -> Caller {
    let (session, app_container) = session();
    Caller {
        user: None,
        integrity: None,
        session,
        app_container,
        restricted: false,
        package: None,
        create_global: Held::NotNeeded,
    }
}

#[cfg(unix)]
fn user_numbers() -> Option<(u32, u32)> {
    Some((sys::account::user(), sys::account::user_outside()?))
}

#[cfg(windows)]
fn user_numbers() -> Option<(u32, u32)> {
    None
}

#[cfg(unix)]
fn session() -> (Option<u32>, bool) {
    (None, false)
}

#[cfg(windows)]
fn session() -> (Option<u32>, bool) {
    sys::account::session()
}

#[cfg(unix)]
pub(crate) fn caller() -> Caller {
    Caller {
        user: security::account_of_user(),
        integrity: None,
        session: None,
        app_container: false,
        restricted: false,
        package: None,
        create_global: Held::NotNeeded,
    }
}

#[cfg(unix)]
fn list_allows(_security: &Security) -> Option<(bool, bool)> {
    None
}

#[cfg(windows)]
pub(crate) fn caller() -> Caller {
    let token = sys::account::token().ok();
    let session = token.as_ref().map(|token| token.session);
    Caller {
        user: security::account_of_user(),
        integrity: token.as_ref().and_then(|token| token.integrity).map(Level::from_rid),
        session,
        app_container: token.as_ref().is_some_and(|token| token.app_container),
        restricted: token.as_ref().is_some_and(|token| token.restricted),
        package: token.as_ref().and_then(|token| security::account_of(token.package.as_deref()?)),
        create_global: token.as_ref().map_or(Held::NotNeeded, super::machine::create_global),
    }
}

#[cfg(windows)]
fn list_allows(security: &Security) -> Option<(bool, bool)> {
    security::list_allows(security, &sys::account::token().ok()?)
}
