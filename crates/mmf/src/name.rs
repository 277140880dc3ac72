//! Names of shared memory: checked when they are made, so that nothing is cut or bent later.

use core::fmt;
use core::str::FromStr;

use crate::error::{Error, ErrorKind, Operation};
use crate::security::{Boundary, Security, private_name};
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
    Private(Boundary),
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
    /// - [`ErrorKind::MalformedName`]: it holds a NUL, a further backslash or (on Unix) a slash; or it starts with
    ///   something that looks like a prefix but is none: `local\`, `Session\`.
    pub fn new(name: &str) -> Result<Self, Error> {
        let fail =
            |kind, detail: String| Error::new(Operation::Name, kind).with_subject(name).with_detail(detail);
        let (namespace, text) = if let Some(text) = name.strip_prefix(Namespace::Local.prefix()) {
            (Namespace::Local, text)
        } else if let Some(text) = name.strip_prefix(Namespace::Global.prefix()) {
            (Namespace::Global, text)
        } else {
            (Namespace::Local, name)
        };
        if let Some((prefix, rest)) = text.split_once('\\') {
            for known in [Namespace::Local, Namespace::Global] {
                if prefix.eq_ignore_ascii_case(&known.prefix()[..known.prefix().len() - 1])
                    && text.len() == name.len()
                {
                    let detail = format!("prefixes are case-sensitive: write {}{rest}", known.prefix());
                    return Err(fail(ErrorKind::MalformedName, detail));
                }
            }
            let detail = if prefix.eq_ignore_ascii_case("Session") {
                r"Session\ is reserved by Windows: write Local\ for this session or Global\ for the machine"
                    .to_owned()
            } else {
                format!(
                    r"a backslash only ends the prefix Local\ or Global\: write {}",
                    text.replace('\\', "-")
                )
            };
            return Err(fail(ErrorKind::MalformedName, detail));
        }
        // On Windows a slash is a character like others, and programs that come from POSIX create such names.
        if let Some(rest) = text.strip_prefix('/').filter(|_| cfg!(unix)) {
            let detail = if text.len() == name.len() {
                format!(
                    "the leading slash of POSIX is not part of a name here: write Global\\{rest} for what others open as /{rest}"
                )
            } else {
                format!(
                    "the leading slash of POSIX is not part of a name here: write {}{rest}",
                    namespace.prefix()
                )
            };
            return Err(fail(ErrorKind::MalformedName, detail));
        }
        Name::from_parts(namespace, text)
    }

    /// Puts a name together. The text is taken as it is: nothing in it is read as a prefix.
    ///
    /// Every name that [`list`](crate::list) finds and that this accepts is the one that [`Name::new`] reads from its text.
    ///
    /// # Errors
    ///
    /// As [`Name::new`], but for what it says about prefixes.
    pub fn from_parts(namespace: Namespace, text: &str) -> Result<Self, Error> {
        let fail = |kind, detail: String| {
            let subject = format!("{}{text}", namespace.prefix());
            Error::new(Operation::Name, kind).with_subject(&subject).with_detail(detail)
        };
        if text.is_empty() {
            return Err(fail(
                ErrorKind::EmptyName,
                "for a memory without a name there is SharedMemory::anonymous".into(),
            ));
        }
        if text.len() > Name::MAX_LEN {
            let detail = format!(
                "it has {} bytes, {} are allowed; it is not cut: choose a shorter one",
                text.len(),
                Name::MAX_LEN
            );
            return Err(fail(ErrorKind::NameTooLong, detail));
        }
        if text.contains('\0') {
            return Err(fail(ErrorKind::MalformedName, "a NUL would end it early: leave it out".into()));
        }
        if text.contains('\\') {
            return Err(fail(ErrorKind::MalformedName, "it must not contain a backslash".into()));
        }
        if cfg!(unix) && (matches!(text, "." | "..") || text.contains('/')) {
            let detail = "objects of this system are named like files of one folder: use letters, digits, '-', '_' and '.'";
            return Err(fail(ErrorKind::MalformedName, detail.into()));
        }
        // The system's own limits, found now and not when the name is used.
        match ObjectName::check(matches!(namespace, Namespace::Global), text) {
            Ok(()) => Ok(Name { namespace, text: text.to_owned() }),
            Err(failure) => Err(match failure.figure {
                Some(most) => fail(
                    ErrorKind::NameTooLong,
                    format!("it has {} bytes, this system allows {most}; it is not cut: choose a shorter one", text.len()),
                ),
                None => fail(
                    ErrorKind::MalformedName,
                    "the machine's names that start with mmf. and a number are this library's own local names: choose another".into(),
                ),
            }),
        }
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
