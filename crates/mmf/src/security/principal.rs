//! Principals, accounts and integrity levels.

#[cfg(test)]
mod tests;

use core::convert::Infallible;
use core::fmt;
use core::str::FromStr;
use std::sync::OnceLock;

/// A user, a group or another set of processes to which rights are granted, or which is expected to own a
/// region.
///
/// It parses from a text, as on a command line: one of the words below, otherwise the name of a user.
///
/// | | as a text | Windows | Unix |
/// | --- | --- | --- | --- |
/// | [`CurrentUser`](Principal::CurrentUser) | `me` | the user of this thread's token | the effective user |
/// | [`User`](Principal::User) | a name, `HOST\name`, or an id | `LookupAccountNameW`, or a SID such as `S-1-5-21-…` | a name or a number |
/// | [`Group`](Principal::Group) | `group:` and a name or an id | as a user | a name or a number |
/// | [`Everyone`](Principal::Everyone) | `everyone` | `S-1-1-0`: all users and guests, not sandboxes | all users |
/// | [`AuthenticatedUsers`](Principal::AuthenticatedUsers) | `authenticated` | `S-1-5-11` | *unsupported* |
/// | [`InteractiveUsers`](Principal::InteractiveUsers) | `interactive` | `S-1-5-4`: users logged on at the machine | *unsupported* |
/// | [`Administrators`](Principal::Administrators) | `administrators` | `S-1-5-32-544`, when elevated | the superuser |
/// | [`Services`](Principal::Services) | `services` | `S-1-5-6` | *unsupported* |
/// | [`System`](Principal::System) | `system` | `S-1-5-18`, the account of most services | the superuser |
/// | [`AllApplicationPackages`](Principal::AllApplicationPackages) | `packages` | `S-1-15-2-1`: all AppContainer sandboxes | *unsupported* |
/// | [`Package`](Principal::Package) | `package:` and its family name or SID | one AppContainer | *unsupported* |
///
/// An *unsupported* principal is an error when it is used, never a weaker or a wider grant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Principal {
    /// The user for whom this thread acts.
    CurrentUser,
    /// A user by name or id.
    User(String),
    /// A group by name or id.
    Group(String),
    /// All users.
    Everyone,
    /// All authenticated users.
    AuthenticatedUsers,
    /// Users that are logged on at the machine itself or by remote desktop.
    InteractiveUsers,
    /// Administrators. On Windows they count only in elevated processes.
    Administrators,
    /// All processes that run as a service.
    Services,
    /// The system's own account: `LocalSystem`, or the superuser.
    System,
    /// All sandboxed apps (`AppContainer`).
    AllApplicationPackages,
    /// One sandboxed app, by its package family name or SID.
    Package(String),
}

impl Principal {
    /// Returns a user by name or id.
    pub fn user(user: impl Into<String>) -> Self {
        Principal::User(user.into())
    }

    /// Returns a group by name or id.
    pub fn group(group: impl Into<String>) -> Self {
        Principal::Group(group.into())
    }

    /// Returns a sandboxed app by its package family name or SID.
    pub fn package(package: impl Into<String>) -> Self {
        Principal::Package(package.into())
    }
}

/// Formats the principal as a text that parses to the same principal.
impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Principal::CurrentUser => f.write_str("me"),
            Principal::User(user) => f.write_str(user),
            Principal::Group(group) => write!(f, "group:{group}"),
            Principal::Everyone => f.write_str("everyone"),
            Principal::AuthenticatedUsers => f.write_str("authenticated"),
            Principal::InteractiveUsers => f.write_str("interactive"),
            Principal::Administrators => f.write_str("administrators"),
            Principal::Services => f.write_str("services"),
            Principal::System => f.write_str("system"),
            Principal::AllApplicationPackages => f.write_str("packages"),
            Principal::Package(package) => write!(f, "package:{package}"),
        }
    }
}

/// Never fails: a text that is none of the words is the name of a user, which is looked up when it is used.
impl FromStr for Principal {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "me" => Principal::CurrentUser,
            "everyone" => Principal::Everyone,
            "authenticated" => Principal::AuthenticatedUsers,
            "interactive" => Principal::InteractiveUsers,
            "administrators" => Principal::Administrators,
            "services" => Principal::Services,
            "system" => Principal::System,
            "packages" => Principal::AllApplicationPackages,
            _ => {
                if let Some(group) = text.strip_prefix("group:") {
                    Principal::group(group)
                } else if let Some(package) = text.strip_prefix("package:") {
                    Principal::package(package)
                } else {
                    Principal::user(text)
                }
            }
        })
    }
}

/// An integrity level of Windows. A process cannot write to an object of a higher level, whatever rights it
/// is granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum IntegrityLevel {
    /// Anonymous processes and the strictest sandboxes.
    Untrusted,
    /// Sandboxed programs: tabs of browsers, protected views, `AppContainer`.
    Low,
    /// Ordinary programs. An object without a label counts as this.
    Medium,
    /// Elevated programs.
    High,
    /// Services and the system.
    System,
}

impl IntegrityLevel {
    #[cfg_attr(not(windows), allow(dead_code))]
    pub(crate) const fn rid(self) -> u32 {
        match self {
            IntegrityLevel::Untrusted => 0,
            IntegrityLevel::Low => 0x1000,
            IntegrityLevel::Medium => 0x2000,
            IntegrityLevel::High => 0x3000,
            IntegrityLevel::System => 0x4000,
        }
    }

    /// Rounds intermediate levels down.
    pub(crate) fn from_rid(rid: u32) -> Self {
        match rid {
            0..0x1000 => IntegrityLevel::Untrusted,
            0x1000..0x2000 => IntegrityLevel::Low,
            0x2000..0x3000 => IntegrityLevel::Medium,
            0x3000..0x4000 => IntegrityLevel::High,
            _ => IntegrityLevel::System,
        }
    }
}

impl fmt::Display for IntegrityLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            IntegrityLevel::Untrusted => "untrusted",
            IntegrityLevel::Low => "low",
            IntegrityLevel::Medium => "medium",
            IntegrityLevel::High => "high",
            IntegrityLevel::System => "system",
        })
    }
}

/// The error of parsing an [`IntegrityLevel`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ParseIntegrityLevelError;

impl fmt::Display for ParseIntegrityLevelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("invalid integrity level: expected untrusted, low, medium, high or system")
    }
}

impl core::error::Error for ParseIntegrityLevelError {}

/// Parses the text that `Display` prints.
impl FromStr for IntegrityLevel {
    type Err = ParseIntegrityLevelError;

    fn from_str(text: &str) -> Result<Self, ParseIntegrityLevelError> {
        let levels = [
            IntegrityLevel::Untrusted,
            IntegrityLevel::Low,
            IntegrityLevel::Medium,
            IntegrityLevel::High,
            IntegrityLevel::System,
        ];
        levels.into_iter().find(|level| level.to_string() == text).ok_or(ParseIntegrityLevelError)
    }
}

/// A user or a group that the system knows.
#[derive(Clone)]
pub struct Account {
    id: String,
    /// Looked up on demand, because names may have to be fetched from another machine.
    name: OnceLock<Option<String>>,
    look_up: fn(&str) -> Option<String>,
}

impl Account {
    pub(crate) fn new(id: String, look_up: fn(&str) -> Option<String>) -> Self {
        Account { id, name: OnceLock::new(), look_up }
    }

    /// Returns an account that cannot be identified.
    pub(crate) fn unknown(who: &Principal) -> Self {
        Account::new(who.to_string(), |_| None)
    }

    /// Returns its identifier: a SID such as `S-1-5-18` (Windows), a number (Unix).
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns its name, if the system knows one: `HOST\ann` (Windows), `ann` (Unix).
    ///
    /// The first call asks the system, which can take a while if accounts are kept on another machine.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.get_or_init(|| (self.look_up)(&self.id)).as_deref()
    }
}

/// Compares the identifiers, because names can change.
impl PartialEq for Account {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Account {}

impl core::hash::Hash for Account {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("id", &self.id).finish_non_exhaustive()
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name().unwrap_or(&self.id))
    }
}
