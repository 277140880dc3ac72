//! The capabilities of this user on this machine.

use core::fmt;

use super::cause::Cause;
use super::facts::{Caller, PrivilegeState, Question};
use super::finding::{Diagnosis, Finding, Severity};
use super::remedy::Remedy;
use super::{gather, rules};
use crate::error::Operation;
use crate::name::{Name, Namespace};
use crate::options::OpenOptions;
use crate::security::{Account, IntegrityLevel};
use crate::sys;

/// A privilege of Windows that shared memory can need, and whether this process has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Privilege {
    /// Its name, such as `SeCreateGlobalPrivilege`.
    pub name: &'static str,
    /// Whether this process has it.
    pub state: PrivilegeState,
}

/// What regions are backed by: the commit limit (Windows), `/dev/shm` (Linux).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct BackingStore {
    /// Its name.
    pub name: &'static str,
    /// The bytes that are left.
    pub left: u64,
    /// The bytes that it can hold.
    pub limit: u64,
}

/// An action that can need rights, privileges or limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Action {
    /// Creating regions of this session or user.
    CreateLocal,
    /// Creating regions of the machine.
    CreateGlobal,
    /// Granting access to single users.
    GrantToUsers,
    /// Keeping pages in RAM.
    LockMemory,
    /// Using names that only members of a boundary can create.
    PrivateNamespaces,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Action::CreateLocal => r"create Local\ regions",
            Action::CreateGlobal => r"create Global\ regions",
            Action::GrantToUsers => "grant access to single users",
            Action::LockMemory => "keep pages in RAM",
            Action::PrivateNamespaces => "use private namespaces",
        })
    }
}

/// Whether an action is possible here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capability {
    action: Action,
    diagnosis: Diagnosis,
}

impl Capability {
    /// Returns the action in question.
    #[must_use]
    pub fn action(&self) -> Action {
        self.action
    }

    /// Returns what prevents the action, and notes about it.
    pub fn diagnosis(&self) -> &Diagnosis {
        &self.diagnosis
    }
}

/// This user, its rights, and what it can do on this machine: see [`environment()`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    caller: Caller,
    elevated: Option<bool>,
    privileges: Vec<Privilege>,
    backing_store: Option<BackingStore>,
    page: u64,
    granularity: u64,
    large_page: Option<u64>,
    capabilities: Vec<Capability>,
}

impl Environment {
    /// Returns the user for whom this process acts.
    #[must_use]
    pub fn user(&self) -> Option<&Account> {
        self.caller.user.as_ref()
    }

    /// Returns whether this process has the rights of an administrator: elevated (Windows), superuser (Unix).
    #[must_use]
    pub fn elevated(&self) -> Option<bool> {
        self.elevated
    }

    /// Returns the integrity level of this process (Windows).
    #[must_use]
    pub fn integrity(&self) -> Option<IntegrityLevel> {
        self.caller.integrity
    }

    /// Returns the session of this process (Windows). Session 0 is that of the services.
    #[must_use]
    pub fn session(&self) -> Option<u32> {
        self.caller.session
    }

    /// Returns whether this process is in an `AppContainer` (Windows).
    #[must_use]
    pub fn app_container(&self) -> bool {
        self.caller.app_container
    }

    /// Returns the SID of the `AppContainer` that this process is in (Windows), which can be passed to
    /// [`Principal::Package`](crate::security::Principal::Package).
    #[must_use]
    pub fn package(&self) -> Option<&Account> {
        self.caller.package.as_ref()
    }

    /// Returns the privileges that shared memory can need (Windows).
    #[must_use]
    pub fn privileges(&self) -> &[Privilege] {
        &self.privileges
    }

    /// Returns what regions are backed by, where the system reports it.
    #[must_use]
    pub fn backing_store(&self) -> Option<&BackingStore> {
        self.backing_store.as_ref()
    }

    /// Returns the size of a page in bytes.
    #[must_use]
    pub fn page_size(&self) -> u64 {
        self.page
    }

    /// Returns the allocation granularity in bytes: the system maps views at multiples of it. (Views of this
    /// library can start anywhere.)
    #[must_use]
    pub fn granularity(&self) -> u64 {
        self.granularity
    }

    /// Returns the size of a large page in bytes, if the processor supports large pages (Windows).
    #[must_use]
    pub fn large_page_size(&self) -> Option<u64> {
        self.large_page
    }

    /// Returns for each action whether it is possible.
    #[must_use]
    pub fn capabilities(&self) -> &[Capability] {
        &self.capabilities
    }
}

/// Examines what this user can do on this machine. Nothing is created or changed.
///
/// ```
/// let environment = mmf::diagnosis::environment();
/// for capability in environment.capabilities() {
///     println!("{}: {}", capability.action(), if capability.diagnosis().is_ok() { "yes" } else { "no" });
/// }
/// ```
#[must_use]
pub fn environment() -> Environment {
    let token = sys::caller_token();
    let caller = gather::caller(&token);
    let (page, granularity, large_page) = sys::page_sizes();
    let backing_store =
        sys::space().map(|space| BackingStore { name: space.place, left: space.left, limit: space.limit });
    let capabilities = vec![
        Capability { action: Action::CreateLocal, diagnosis: can_create(Namespace::Local) },
        Capability { action: Action::CreateGlobal, diagnosis: can_create(Namespace::Global) },
        Capability { action: Action::GrantToUsers, diagnosis: can_grant() },
        Capability { action: Action::LockMemory, diagnosis: can_lock() },
        Capability { action: Action::PrivateNamespaces, diagnosis: can_be_private() },
    ];
    let state = |(name, held)| Privilege { name, state: PrivilegeState::of(Some(held)) };
    let (elevated, privileges) = (token.elevated, token.privileges.into_iter().map(state).collect());
    Environment { caller, elevated, privileges, backing_store, page, granularity, large_page, capabilities }
}

/// Checks a name that no process uses, because the result is meant for all names.
fn can_create(namespace: Namespace) -> Diagnosis {
    let text = format!("mmf-doctor-{}", std::process::id());
    match Name::from_parts(namespace, &text) {
        Ok(name) => {
            let options = OpenOptions::new().len(1);
            let question =
                Question { operation: Operation::Create, name: &name, write: true, options: &options };
            gather::ask(question)
        }
        Err(_) => Diagnosis::default(),
    }
}

fn unsupported(what: &str, remedy: Remedy) -> Diagnosis {
    Diagnosis::new(vec![Finding::error(Cause::Unsupported { what: what.to_owned() }).cure(remedy)])
}

fn can_grant() -> Diagnosis {
    if sys::grants_to_users() {
        return Diagnosis::default();
    }
    unsupported(
        "access lists for regions",
        Remedy::Other { instruction: "grant to one group, or to everyone" },
    )
}

fn can_lock() -> Diagnosis {
    match sys::locked_limit() {
        None => Diagnosis::default(),
        Some(0) => Diagnosis::new(vec![rules::limit("RLIMIT_MEMLOCK", 0, None)]),
        Some(limit) => Diagnosis::new(vec![Finding {
            severity: Severity::Note,
            kind: None,
            ..rules::limit("RLIMIT_MEMLOCK", limit, None)
        }]),
    }
}

fn can_be_private() -> Diagnosis {
    if sys::has_private_namespaces() {
        return Diagnosis::default();
    }
    unsupported("private namespaces", Remedy::Other { instruction: "require the owner with expect_owner" })
}
