//! Mistakes in names, and which names may have been meant.

use super::{Name, Namespace, checked};
use crate::diagnosis::{self, Diagnosis};
use crate::error::{Error, ErrorKind, Operation};
use crate::escape::is_harmful;

/// Why a text is not a name.
pub(super) struct Mistake {
    pub(super) kind: ErrorKind,
    pub(super) why: String,
}

impl Mistake {
    pub(super) fn malformed(why: impl Into<String>) -> Self {
        Mistake { kind: ErrorKind::InvalidName, why: why.into() }
    }

    #[cold]
    pub(super) fn into_error(self, name: &str) -> Error {
        let Mistake { kind, why } = self;
        let error = Error::new(Operation::Name, kind).with_subject(name);
        let proposals = if kind == ErrorKind::InvalidName { proposals(name) } else { Vec::new() };
        if proposals.is_empty() {
            error.with_detail(why)
        } else {
            error.with_diagnosis(Diagnosis::of_name(why, proposals))
        }
    }
}

/// Returns the names that may have been meant: full names that are accepted, the most likely first.
fn proposals(name: &str) -> Vec<Proposal> {
    // A compiler turns a backslash and the first letter of the text into a control character.
    let mut candidates = Vec::new();
    for prefix in [Namespace::Global.prefix(), Namespace::Local.prefix()] {
        let word = &prefix[..prefix.len() - 1];
        let rest = name
            .get(..word.len())
            .filter(|start| start.eq_ignore_ascii_case(word))
            .map(|_| &name[word.len()..]);
        let letter = match rest.and_then(|rest| rest.chars().next()) {
            Some('\t') => 't',
            Some('\n') => 'n',
            Some('\r') => 'r',
            Some('\0') => '0',
            Some('\x07') => 'a',
            Some('\x08') => 'b',
            Some('\x0b') => 'v',
            Some('\x0c') => 'f',
            _ => continue,
        };
        let text = rest.map_or("", |rest| &rest[1..]);
        candidates.push(Proposal { name: format!("{prefix}{letter}{text}"), is_literal: true });
    }
    // (Without that character, the text would be another name.)
    if candidates.is_empty() {
        let visible: String = name.chars().filter(|c| !is_harmful(*c)).collect();
        let plain = |name| Proposal { name, is_literal: false };
        candidates.extend(meant(visible.trim()).into_iter().map(plain));
    }
    // Only accepted names are proposed; names that exist come first.
    let mut names: Vec<(Proposal, Name)> = Vec::new();
    for proposal in candidates {
        if let Ok(read) = checked(&proposal.name) {
            if names.iter().all(|(_, known)| *known != read) {
                names.push((proposal, read));
            }
        }
    }
    if names.len() > 1 {
        names.sort_by_key(|(_, name)| !diagnosis::is_there(name));
    }
    names.into_iter().map(|(proposal, _)| proposal).collect()
}

/// A name to write instead.
pub(crate) struct Proposal {
    pub(crate) name: String,
    /// Whether the backslash was lost in a string literal.
    pub(crate) is_literal: bool,
}

/// Returns the names that a text without invisible characters may have been meant to be.
fn meant(text: &str) -> Vec<String> {
    let full = |namespace: Namespace, text: &str| format!("{}{text}", namespace.prefix());
    let local = |text: &str| full(Namespace::Local, text);
    let global = |text: &str| full(Namespace::Global, text);
    // The path of the file of a region.
    for folder in ["/dev/shm/", "/run/shm/"] {
        if let Some(file) = text.strip_prefix(folder) {
            return of_file(file.trim_start_matches('/')).into_iter().collect();
        }
    }
    // On Windows a text can contain a slash, which is a mistake only at its ends.
    let is_separator = |c: char| c == '\\' || (c == '/' && cfg!(unix));
    let parts: Vec<&str> = text.split(is_separator).filter(|part| !part.is_empty()).collect();
    let is = |part: &str, word: &str| part.eq_ignore_ascii_case(word);
    match &parts[..] {
        [] => Vec::new(),
        // Paths as debuggers and object browsers show them.
        [start @ .., directory, prefix, name]
            if is(directory, "BaseNamedObjects")
                && start.len() < 3
                && (is(prefix, "Local") || is(prefix, "Global")) =>
        {
            vec![if is(prefix, "Local") { local(name) } else { global(name) }]
        }
        [sessions, _, directory, name] if is(sessions, "Sessions") && is(directory, "BaseNamedObjects") => {
            vec![local(name)]
        }
        [directory, name] if is(directory, "BaseNamedObjects") => vec![global(name)],
        [session, number, name]
            if is(session, "Session") && number.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            vec![local(name), global(name)]
        }
        [prefix, rest @ ..] if !rest.is_empty() && (is(prefix, "Local") || is(prefix, "Global")) => {
            let namespace = if is(prefix, "Local") { Namespace::Local } else { Namespace::Global };
            match rest {
                // Two prefixes: either may have been meant.
                [second, name] if is(second, "Local") || is(second, "Global") => {
                    let other = if is(second, "Local") { Namespace::Local } else { Namespace::Global };
                    vec![full(other, name), full(namespace, name)]
                }
                [file] if namespace == Namespace::Global => of_file(file).into_iter().collect(),
                rest => vec![full(namespace, &rest.join("-"))],
            }
        }
        // A prefix without a text.
        [one] if is(one, "Local") || is(one, "Global") => Vec::new(),
        // `Global/x` on Windows, where the slash does not separate.
        [one] => match one.split_once('/') {
            Some((prefix, rest)) if is(prefix, "Global") => vec![global(rest)],
            Some((prefix, rest)) if is(prefix, "Local") => vec![local(rest)],
            // Other programs open a global name as /x.
            _ if text.starts_with('/') => of_file(one).into_iter().collect(),
            _ => vec![local(one)],
        },
        parts => vec![local(&parts.join("-"))],
    }
}

/// Returns the name of a shared memory object of Unix by its file name. Returns `None` for local names of
/// other users, which no name of this user leads to.
fn of_file(file: &str) -> Option<String> {
    let own = file.strip_prefix("mmf.").and_then(|rest| rest.split_once('.'));
    match own {
        #[cfg(unix)]
        Some((user, text)) if user.parse() == Ok(crate::sys::account::user()) => {
            Some(format!("{}{text}", Namespace::Local.prefix()))
        }
        Some((user, _)) if user.parse::<u32>().is_ok() => None,
        _ => Some(format!("{}{file}", Namespace::Global.prefix())),
    }
}
