//! Names of shared memory: checked when they are made, so that nothing is cut or bent later.

use core::fmt;
use core::str::FromStr;

use crate::diagnosis::{self, Diagnosis};
use crate::error::{Error, ErrorKind, Operation};
use crate::escape::is_harmful;
use crate::security::{BoundaryDescriptor, Security, private_name};
use crate::sys::ObjectName;

/// Who can see a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Namespace {
    /// `Local\`: this session (Windows), this user (Unix). The namespace of a name without a prefix.
    Local,
    /// `Global\`: the machine. On Windows, making one outside session 0 needs the privilege `SeCreateGlobalPrivilege`;
    /// opening one does not.
    Global,
    /// Whoever knows the boundary and is let in; only who is inside the boundary can make names (Windows).
    Private(BoundaryDescriptor),
}

impl Namespace {
    /// The prefix in front of a name: `Local\`, `Global\` or `Private\`. (The last one cannot be read again: such a name is
    /// made by [`Name::from_parts`].)
    #[must_use]
    pub const fn prefix(&self) -> &'static str {
        match self {
            Namespace::Local => r"Local\",
            Namespace::Global => r"Global\",
            Namespace::Private(_) => r"Private\",
        }
    }
}

/// The name of a shared memory: a [`Namespace`] and a text.
///
/// A name is written as on Windows: `"telemetry"` and `r"Local\telemetry"` are the same, `r"Global\telemetry"` is seen by
/// the whole machine. Names are case-sensitive. Functions that take a name accept anything that converts to one, so a
/// plain string usually does.
///
/// ```
/// use mmf::{ErrorKind, Name, Namespace};
///
/// let name = Name::new(r"Global\frames")?;
/// assert_eq!((name.namespace(), name.text()), (&Namespace::Global, "frames"));
/// assert_eq!(Name::new("frames")?.to_string(), r"Local\frames");
///
/// // What would not do what it looks like is refused, and the message shows what was meant.
/// let error = Name::new(r"global\frames").unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::MalformedName);
/// assert!(error.to_string().contains(r"Global\frames"));
/// # Ok::<(), mmf::Error>(())
/// ```
///
/// # What other programs call it
///
/// | system | `Local\x` | `Global\x` |
/// | --- | --- | --- |
/// | Windows | `Local\x` or `x` | `Global\x` |
/// | Unix | the shared memory object `/mmf.UID.x` | the shared memory object `/x`: C's `shm_open("/x")`, Python's and Boost's `x` |
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    namespace: Namespace,
    text: String,
}

impl Name {
    /// The longest text of a name, in bytes of UTF-8, without its namespace. Some systems allow less, see
    /// [`Name::new`].
    pub const MAX_LEN: usize = 230;

    /// Reads a name: a text, or `Local\` or `Global\` and a text.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::EmptyName`]: there is no text.
    /// - [`ErrorKind::NameTooLong`]: more than [`Name::MAX_LEN`] bytes (on macOS 15, or 30 for a global one: its own limit).
    /// - [`ErrorKind::MalformedName`]: it holds a NUL, a further backslash or (on Unix) a slash; it starts with something that
    ///   looks like a prefix but is none: `local\`, `Global/`, `Session\`; or it has what cannot be seen and hides a mistake, such as
    ///   control characters, marks of direction, or spaces at its ends. ([`Name::from_parts`] takes the latter, for what others
    ///   have named so.) The diagnosis proposes what was probably meant: only names that this accepts.
    pub fn new(name: &str) -> Result<Self, Error> {
        checked(name).map_err(|mistake| mistake.into_error(name))
    }

    /// Puts a name together. The text is taken as it is: nothing in it is read as a prefix.
    ///
    /// Every name that [`list`](crate::list()) finds and that this accepts is the one that [`Name::new`] reads from its text, but for
    /// texts with characters that cannot be seen, which only this takes.
    ///
    /// # Errors
    ///
    /// As [`Name::new`], but for what it says about prefixes and about what cannot be seen.
    pub fn from_parts(namespace: Namespace, text: &str) -> Result<Self, Error> {
        put_together(namespace.clone(), text).map_err(|Mistake { kind, why }| {
            let subject = format!("{}{text}", namespace.prefix());
            Error::new(Operation::Name, kind).with_subject(&subject).with_detail(why)
        })
    }

    /// Who can see it.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The name without its namespace.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What the system calls it. A private namespace is opened for it; or made, if something with this security is to be made
    /// in it.
    pub(crate) fn object_name(
        &self,
        operation: Operation,
        make: Option<&Security>,
    ) -> Result<ObjectName, Error> {
        let plain = |global| {
            ObjectName::new(global, &self.text).map_err(|failure| Error::from_system(operation, failure))
        };
        let name = match &self.namespace {
            Namespace::Local => plain(false),
            Namespace::Global => plain(true),
            Namespace::Private(boundary) => private_name(boundary, &self.text, make, operation),
        };
        name.map_err(|error| error.with_subject(self))
    }
}

/// Why a text is no name.
struct Mistake {
    kind: ErrorKind,
    why: String,
}

impl Mistake {
    fn malformed(why: impl Into<String>) -> Self {
        Mistake { kind: ErrorKind::MalformedName, why: why.into() }
    }

    #[cold]
    fn into_error(self, name: &str) -> Error {
        let Mistake { kind, why } = self;
        let error = Error::new(Operation::Name, kind).with_subject(name);
        let proposals = if kind == ErrorKind::MalformedName { proposals(name) } else { Vec::new() };
        if proposals.is_empty() {
            error.with_detail(why)
        } else {
            error.with_diagnosis(Diagnosis::of_name(why, proposals))
        }
    }
}

/// A name, or what is wrong with it.
fn checked(name: &str) -> Result<Name, Mistake> {
    let (namespace, text) = if let Some(text) = name.strip_prefix(Namespace::Local.prefix()) {
        (Namespace::Local, text)
    } else if let Some(text) = name.strip_prefix(Namespace::Global.prefix()) {
        (Namespace::Global, text)
    } else {
        (Namespace::Local, name)
    };
    let has_prefix = text.len() < name.len();
    if let Some(c) = text.chars().find(|c| is_harmful(*c)) {
        return Err(Mistake::malformed(hidden(c)));
    }
    if text.starts_with(char::is_whitespace) || text.ends_with(char::is_whitespace) {
        return Err(Mistake::malformed("it has a space at its start or end"));
    }
    if let Some((prefix, _)) = text.split_once('\\') {
        let known = ["Local", "Global"].iter().any(|known| prefix.eq_ignore_ascii_case(known));
        return Err(Mistake::malformed(if known && !has_prefix {
            "prefixes are case-sensitive"
        } else if prefix.eq_ignore_ascii_case("Session") {
            r"Session\ is reserved by Windows; Local\ is this session, Global\ the machine"
        } else {
            r"a backslash only ends the prefix Local\ or Global\"
        }));
    }
    if let Some((prefix, _)) = text.split_once('/').filter(|_| !has_prefix) {
        if ["Local", "Global"].iter().any(|known| prefix.eq_ignore_ascii_case(known)) {
            return Err(Mistake::malformed("prefixes end with a backslash"));
        }
    }
    // On Windows a slash is a character like others, and programs that come from POSIX create such names.
    if cfg!(unix) && text.starts_with('/') {
        return Err(Mistake::malformed(match text.strip_prefix("/dev/shm/") {
            Some(_) => "this is the path of the file behind a name, and not the name",
            None => {
                r"the leading slash of POSIX is not part of a name here: what others open as /x is Global\x"
            }
        }));
    }
    put_together(namespace, text)
}

/// The name of a text as it is, or why the system cannot have it.
fn put_together(namespace: Namespace, text: &str) -> Result<Name, Mistake> {
    let too_long = |most: u64| Mistake {
        kind: ErrorKind::NameTooLong,
        why: format!(
            "it has {} bytes, {most} are allowed here; it is not cut: choose a shorter one",
            text.len()
        ),
    };
    if text.is_empty() {
        let why = "for a memory without a name there is SharedMemory::anonymous".into();
        return Err(Mistake { kind: ErrorKind::EmptyName, why });
    }
    if text.len() > Name::MAX_LEN {
        return Err(too_long(Name::MAX_LEN as u64));
    }
    if text.contains('\0') {
        return Err(Mistake::malformed("a NUL would end it early: leave it out"));
    }
    if text.contains('\\') {
        return Err(Mistake::malformed("it must not contain a backslash"));
    }
    if cfg!(unix) && (matches!(text, "." | "..") || text.contains('/')) {
        return Err(Mistake::malformed(
            "objects of this system are named like files of one folder: use letters, digits, '-', '_' and '.'",
        ));
    }
    // The system's own limits, found now and not when the name is used.
    match ObjectName::check(matches!(namespace, Namespace::Global), text) {
        Ok(()) => Ok(Name { namespace, text: text.to_owned() }),
        Err(failure) => Err(match failure.figure {
            Some(most) => too_long(most),
            None => Mistake::malformed(
                "the machine's names that start with mmf. and a number are this library's own local names",
            ),
        }),
    }
}

/// What to say about a character that cannot be seen.
fn hidden(c: char) -> String {
    let escape = match c {
        '\t' => "t",
        '\n' => "n",
        '\r' => "r",
        '\0' => "0",
        '\x07' => "a",
        '\x08' => "b",
        '\x0b' => "v",
        '\x0c' => "f",
        c if c.is_control() => return format!("it has a control character (U+{:04X})", u32::from(c)),
        c => return format!("it has a character that cannot be seen (U+{:04X})", u32::from(c)),
    };
    format!(
        "it has a control character (U+{:04X}), which \\{escape} is in the source of a program",
        u32::from(c)
    )
}

/// What may have been meant: full names that are accepted, the most likely first.
fn proposals(name: &str) -> Vec<Proposal> {
    // A control character behind a prefix is what a compiler makes of a backslash and the first letter of the text.
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
    // (Without the character that came of it, the text would be another name.)
    if candidates.is_empty() {
        let visible: String = name.chars().filter(|c| !is_harmful(*c)).collect();
        let plain = |name| Proposal { name, is_literal: false };
        candidates.extend(meant(visible.trim()).into_iter().map(plain));
    }
    // Only what is accepted is proposed; what exists comes first.
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
    /// Whether the backslash was lost in the literal of a program.
    pub(crate) is_literal: bool,
}

/// What a text without hidden characters may have been meant for.
fn meant(text: &str) -> Vec<String> {
    let full = |namespace: Namespace, text: &str| format!("{}{text}", namespace.prefix());
    let local = |text: &str| full(Namespace::Local, text);
    let global = |text: &str| full(Namespace::Global, text);
    // The file behind a name: its folder, and what it is called there.
    for folder in ["/dev/shm/", "/run/shm/"] {
        if let Some(file) = text.strip_prefix(folder) {
            return of_file(file.trim_start_matches('/')).into_iter().collect();
        }
    }
    // On Windows a slash can be in a text, and only at its ends it is a mistake.
    let is_separator = |c: char| c == '\\' || (c == '/' && cfg!(unix));
    let parts: Vec<&str> = text.split(is_separator).filter(|part| !part.is_empty()).collect();
    let is = |part: &str, word: &str| part.eq_ignore_ascii_case(word);
    match &parts[..] {
        [] => Vec::new(),
        // As debuggers and object browsers show it.
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
                // Two prefixes: either may be the one that was meant.
                [second, name] if is(second, "Local") || is(second, "Global") => {
                    let other = if is(second, "Local") { Namespace::Local } else { Namespace::Global };
                    vec![full(other, name), full(namespace, name)]
                }
                [file] if namespace == Namespace::Global => of_file(file).into_iter().collect(),
                rest => vec![full(namespace, &rest.join("-"))],
            }
        }
        // A prefix and nothing behind it.
        [one] if is(one, "Local") || is(one, "Global") => Vec::new(),
        // `Global/x` on Windows, where the slash does not separate.
        [one] => match one.split_once('/') {
            Some((prefix, rest)) if is(prefix, "Global") => vec![global(rest)],
            Some((prefix, rest)) if is(prefix, "Local") => vec![local(rest)],
            // What others open as /x is the machine's.
            _ if text.starts_with('/') => of_file(one).into_iter().collect(),
            _ => vec![local(one)],
        },
        parts => vec![local(&parts.join("-"))],
    }
}

/// The name of what is called so among the objects of Unix; none for another user's local ones, which no name reaches.
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

/// With the prefix, `Local\` too: what [`Name::new`] reads again, but for private names.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.namespace.prefix())?;
        if let Namespace::Private(boundary) = &self.namespace {
            write!(f, r"{}\", boundary.name())?;
        }
        f.write_str(&self.text)
    }
}

impl FromStr for Name {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Name::new(name)
    }
}

impl TryFrom<&str> for Name {
    type Error = Error;

    fn try_from(name: &str) -> Result<Self, Error> {
        Name::new(name)
    }
}

impl TryFrom<String> for Name {
    type Error = Error;

    fn try_from(name: String) -> Result<Self, Error> {
        Name::new(&name)
    }
}

impl TryFrom<&String> for Name {
    type Error = Error;

    fn try_from(name: &String) -> Result<Self, Error> {
        Name::new(name)
    }
}

impl From<&Name> for Name {
    fn from(name: &Name) -> Self {
        name.clone()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;
    use crate::diagnosis::Remedy;

    /// What an error proposes.
    fn proposed(name: &str) -> Vec<String> {
        let error = Name::new(name).unwrap_err();
        let remedies = error.diagnosis().into_iter().flat_map(Diagnosis::remedies);
        let names = remedies.filter_map(|remedy| match remedy {
            Remedy::WriteName { name, .. } => Some(name.clone()),
            _ => None,
        });
        names.collect()
    }

    #[test]
    fn what_was_meant_is_proposed() {
        let cases: &[(&str, &[&str])] = &[
            (r"Global\\HWiNFO_SENS_SM2", &[r"Global\HWiNFO_SENS_SM2"]),
            (r"Local\\\\x", &[r"Local\x"]),
            (r"global\x", &[r"Global\x"]),
            (r"LOCAL\\x", &[r"Local\x"]),
            (r"\Sessions\1\BaseNamedObjects\telemetry", &[r"Local\telemetry"]),
            (r"\BaseNamedObjects\telemetry", &[r"Global\telemetry"]),
            (r"\Sessions\1\BaseNamedObjects\Global\x", &[r"Global\x"]),
            (r"Session\1\x", &[r"Local\x", r"Global\x"]),
            (r"Global\Local\x", &[r"Local\x", r"Global\x"]),
            (r"\x", &[r"Local\x"]),
            (r"a\b", &[r"Local\a-b"]),
            (r"Global\a\b", &[r"Global\a-b"]),
            ("Global/x", &[r"Global\x"]),
            ("local/x", &[r"Local\x"]),
            (" x", &[r"Local\x"]),
            ("Global\\x\u{200b}", &[r"Global\x"]),
            ("x\u{202e}y", &[r"Local\xy"]),
            ("x\u{7f}", &[r"Local\x"]),
            ("Global\telemetry", &[r"Global\telemetry"]),
            ("Global\name", &[r"Global\name"]),
            ("Local\robot", &[r"Local\robot"]),
            ("Global\x08ar", &[r"Global\bar"]),
            (r"\\", &[]),
            (" ", &[]),
            (r"Global\\", &[]),
        ];
        for (wrong, right) in cases {
            let found = proposed(wrong);
            let first: Vec<&str> = found.iter().map(String::as_str).collect();
            // (What a compiler has changed may have been meant without it; that comes behind.)
            assert_eq!(&first[..right.len().min(first.len())], *right, "{wrong:?}: {found:?}");
            assert_eq!(found.is_empty(), right.is_empty(), "{wrong:?}: {found:?}");
        }
        let error = Name::new("Global\telemetry").unwrap_err().to_string();
        assert!(error.contains(r#"write r"Global\telemetry" (the r matters)"#), "{error}");
        assert!(!error.contains('\t'), "{error:?}");
    }

    #[test]
    #[cfg(unix)]
    fn files_are_told_from_names() {
        let user = crate::sys::account::user();
        for (wrong, right) in [
            ("/dev/shm/telemetry".to_owned(), Some(r"Global\telemetry")),
            ("/telemetry".to_owned(), Some(r"Global\telemetry")),
            (format!("/dev/shm/mmf.{user}.x"), Some(r"Local\x")),
            (format!("/mmf.{user}.x"), Some(r"Local\x")),
            (format!(r"Global\mmf.{user}.x"), Some(r"Local\x")),
            (format!("/dev/shm/mmf.{}.x", user + 1), None),
            ("/dev/shm/a/b".to_owned(), None),
            ("/dev/shm/".to_owned(), None),
            ("a/b".to_owned(), Some(r"Local\a-b")),
        ] {
            assert_eq!(proposed(&wrong).first().map(String::as_str), right, "{wrong}");
        }
    }

    #[test]
    fn every_proposal_is_accepted() {
        let pieces = [
            r"\",
            r"\\",
            "/",
            "Local",
            "Global",
            "local",
            "GLOBAL",
            "Session",
            "Sessions",
            "BaseNamedObjects",
            "1",
            "x",
            ".",
            "..",
            " ",
            "\t",
            "\0",
            "\u{1b}",
            "\u{202e}",
            "\u{feff}",
            "/dev/shm/",
            "mmf.0.",
            "mmf.1.",
            "\u{fc}",
            "telemetry",
            "\n",
        ];
        // (A generator of its own: the same names each time.)
        let mut state = 0x9e37_79b9_u64;
        let mut next = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap() % below
        };
        let mut proposals = 0;
        for _ in 0..20_000 {
            let name: String = (0..1 + next(6)).map(|_| pieces[next(pieces.len())]).collect();
            if Name::new(&name).is_ok() {
                continue;
            }
            for right in proposed(&name) {
                let read = Name::new(&right).unwrap_or_else(|error| panic!("{name:?}: {error}"));
                assert_eq!(read.to_string(), right, "{name:?}");
                proposals += 1;
            }
        }
        assert!(proposals > 10_000, "{proposals}");
    }

    #[test]
    fn foreign_names_are_taken_as_they_are() {
        for text in ["a\tb", " x ", "x\u{202e}", "\u{200b}"] {
            let name = Name::from_parts(Namespace::Global, text).unwrap();
            assert_eq!(name.text(), text);
            assert_eq!(Name::new(&name.to_string()).unwrap_err().kind(), ErrorKind::MalformedName);
        }
    }
}
