//! Names of regions. They are checked when they are created, so that no system changes them later.

mod mistake;
#[cfg(test)]
mod tests;

use core::fmt;
use core::str::FromStr;

use self::mistake::Mistake;
pub(crate) use self::mistake::Proposal;
use crate::error::{Error, ErrorKind, Operation};
use crate::escape::is_harmful;
use crate::security::{BoundaryDescriptor, Security, private_name};
use crate::sys::ObjectName;

/// Where a name is visible.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Namespace {
    /// `Local\`: this session (Windows) or this user (Unix). The namespace of a name without a prefix.
    Local,
    /// `Global\`: the machine. On Windows, creating a region there outside session 0 requires the privilege
    /// `SeCreateGlobalPrivilege`; opening one does not.
    Global,
    /// The processes that know the boundary and may enter it. Only a process inside the boundary can create
    /// names there (Windows).
    Private(BoundaryDescriptor),
}

impl Namespace {
    /// Returns the prefix of a name: `Local\`, `Global\` or `Private\`. The last one cannot be parsed: such a
    /// name is created by [`Name::from_parts`].
    #[must_use]
    pub const fn prefix(&self) -> &'static str {
        match self {
            Namespace::Local => r"Local\",
            Namespace::Global => r"Global\",
            Namespace::Private(_) => r"Private\",
        }
    }
}

/// The name of a shared memory region: a [`Namespace`] and a text.
///
/// A name is written as on Windows: `"telemetry"` and `r"Local\telemetry"` are the same name, and
/// `r"Global\telemetry"` is visible to the whole machine. Names are case-sensitive. Functions that take a
/// name take [`impl ToName`](ToName), so that a string can be passed.
///
/// ```
/// use mmf::{ErrorKind, Name, Namespace};
///
/// let name = Name::new(r"Global\frames")?;
/// assert_eq!((name.namespace(), name.text()), (&Namespace::Global, "frames"));
/// assert_eq!(Name::new("frames")?.to_string(), r"Local\frames");
///
/// // Mistakes are refused, and the long message shows what was probably meant.
/// let error = Name::new(r"global\frames").unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::InvalidName);
/// assert!(format!("{error:#}").contains(r"Global\frames"));
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
    /// The longest text of a name, in bytes of UTF-8, without its namespace. Some systems allow less: see
    /// [`Name::new`].
    pub const MAX_LEN: usize = 230;

    /// Parses a name: a text, or `Local\` or `Global\` and a text.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::EmptyName`]: the text is empty.
    /// - [`ErrorKind::NameTooLong`]: it has more than [`Name::MAX_LEN`] bytes (on macOS 15, or 30 for a
    ///   global name, which is the limit of the system).
    /// - [`ErrorKind::InvalidName`]: it contains a NUL, a further backslash or (on Unix) a slash; it starts
    ///   with something that resembles a prefix: `local\`, `Global/`, `Session\`; or it contains invisible
    ///   characters that hide mistakes, such as control characters, bidirectional controls, or spaces at its
    ///   ends. ([`Name::from_parts`] accepts those, for regions to which other programs have given such
    ///   names.) The diagnosis proposes what was probably meant, and proposes only names that this function
    ///   accepts.
    pub fn new(name: &str) -> Result<Self, Error> {
        checked(name).map_err(|mistake| mistake.into_error(name))
    }

    /// Creates a name from a namespace and a text. The text is taken as it is: no prefix is parsed.
    ///
    /// If this function accepts a name that [`list`](crate::inspect::list()) found, [`Name::new`] parses the
    /// printed form of the name to the same one, except for texts with invisible characters, which only this
    /// function accepts.
    ///
    /// # Errors
    ///
    /// Those of [`Name::new`], except for prefixes and invisible characters.
    pub fn from_parts(namespace: Namespace, text: &str) -> Result<Self, Error> {
        put_together(namespace.clone(), text).map_err(|Mistake { kind, why }| {
            let subject = format!("{}{text}", namespace.prefix());
            Error::new(Operation::Name, kind).with_subject(&subject).with_detail(why)
        })
    }

    /// Returns the namespace.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Returns the name without its namespace.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns what the system calls the name. Opens the private namespace of the name, or creates it if a
    /// region with this security is to be created in it.
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

/// Parses a name, or returns what is wrong with it.
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
        return Err(Mistake::malformed("it starts or ends with a space"));
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
    // On Windows a slash is an ordinary character, and programs that come from POSIX create such names.
    if cfg!(unix) && text.starts_with('/') {
        return Err(Mistake::malformed(match text.strip_prefix("/dev/shm/") {
            Some(_) => "this is the path of the file of a region, not its name",
            None => {
                r"the leading slash of POSIX is not part of a name here: what others open as /x is Global\x"
            }
        }));
    }
    put_together(namespace, text)
}

/// Returns a name of this text, or why the system does not accept it.
fn put_together(namespace: Namespace, text: &str) -> Result<Name, Mistake> {
    let too_long = |most: u64| Mistake {
        kind: ErrorKind::NameTooLong,
        why: format!("it has {} bytes, and {most} are allowed here: choose a shorter one", text.len()),
    };
    if text.is_empty() {
        let why = "for a region without a name there is SharedMemory::anonymous".into();
        return Err(Mistake { kind: ErrorKind::EmptyName, why });
    }
    if text.len() > Name::MAX_LEN {
        return Err(too_long(Name::MAX_LEN as u64));
    }
    if text.contains('\0') {
        return Err(Mistake::malformed("a NUL would end it early: remove it"));
    }
    if text.contains('\\') {
        return Err(Mistake::malformed("it must not contain a backslash"));
    }
    if cfg!(unix) && (matches!(text, "." | "..") || text.contains('/')) {
        return Err(Mistake::malformed(
            "objects of this system have names of files in one folder: use letters, digits, '-', '_', '.'",
        ));
    }
    // The limits of the system are checked now, not when the name is used.
    match ObjectName::check(matches!(namespace, Namespace::Global), text) {
        Ok(()) => Ok(Name { namespace, text: text.to_owned() }),
        Err(failure) => Err(match failure.figure {
            Some(most) => too_long(most),
            None => Mistake::malformed(
                "global names that start with mmf. and a number are reserved for local names",
            ),
        }),
    }
}

/// Describes an invisible character.
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
        c if c.is_control() => return format!("it contains a control character (U+{:04X})", u32::from(c)),
        c => return format!("it contains an invisible character (U+{:04X})", u32::from(c)),
    };
    format!("it contains a control character (U+{:04X}), which is \\{escape} in source code", u32::from(c))
}

/// Formats the name with its prefix, also `Local\`. [`Name::new`] parses the result, except for private
/// names.
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

/// A value that names a shared memory region: `&str`, `String`, `&String`, [`Name`] or `&Name`.
///
/// Functions that take a name take `impl ToName`, as those of the standard library take [`impl
/// ToSocketAddrs`](std::net::ToSocketAddrs). A string is parsed by [`Name::new`], whose errors the function
/// returns. The trait is sealed.
///
/// ```
/// use mmf::{Name, Namespace, SharedMemory};
///
/// let by_text = SharedMemory::create("doc-to-name", 4096)?;
/// let name = Name::from_parts(Namespace::Local, "doc-to-name")?;
/// let by_name = SharedMemory::open(&name)?;
/// assert_eq!(by_text.name(), by_name.name());
/// # Ok::<(), mmf::Error>(())
/// ```
pub trait ToName: sealed::ToName {}

impl ToName for str {}
impl ToName for String {}
impl ToName for Name {}
impl<T: ToName + ?Sized> ToName for &T {}

pub(crate) mod sealed {
    use super::{Error, Name};

    pub trait ToName {
        fn to_name(&self) -> Result<Name, Error>;
    }

    impl ToName for str {
        fn to_name(&self) -> Result<Name, Error> {
            Name::new(self)
        }
    }

    impl ToName for String {
        fn to_name(&self) -> Result<Name, Error> {
            Name::new(self)
        }
    }

    impl ToName for Name {
        fn to_name(&self) -> Result<Name, Error> {
            Ok(self.clone())
        }
    }

    impl<T: ToName + ?Sized> ToName for &T {
        fn to_name(&self) -> Result<Name, Error> {
            T::to_name(self)
        }
    }
}
