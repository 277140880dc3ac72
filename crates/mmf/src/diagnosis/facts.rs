//! Facts: what the system reports about a name, this process and this machine. Rules judge by facts alone.

use crate::error::{ErrorKind, Operation};
use crate::name::Name;
use crate::options::OpenOptions;
use crate::security::{Account, IntegrityLevel, Security};
use crate::sys::{Confinement, Holders, Limits, MemoryGroup, NameProbe, PrivilegeHeld, Space};

/// Whether this process has a privilege of Windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PrivilegeState {
    /// The privilege is held and enabled.
    Enabled,
    /// The privilege is held but disabled; it is enabled for the calls that need it.
    Disabled,
    /// The privilege is not held.
    Missing,
    /// The privilege is not needed here.
    NotNeeded,
}

impl PrivilegeState {
    pub(super) fn of(held: Option<PrivilegeHeld>) -> Self {
        match held {
            Some(PrivilegeHeld::Enabled) => PrivilegeState::Enabled,
            Some(PrivilegeHeld::Disabled) => PrivilegeState::Disabled,
            Some(PrivilegeHeld::Missing) => PrivilegeState::Missing,
            None => PrivilegeState::NotNeeded,
        }
    }
}

/// The operation that is checked, or was refused.
#[derive(Clone, Copy)]
pub(crate) struct Question<'a> {
    pub(crate) operation: Operation,
    pub(crate) name: &'a Name,
    /// Whether write access is requested.
    pub(crate) write: bool,
    pub(crate) options: &'a OpenOptions,
}

/// The caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) user: Option<Account>,
    /// The following fields are those of Windows.
    pub(crate) integrity: Option<IntegrityLevel>,
    pub(crate) session: Option<u32>,
    pub(crate) app_container: bool,
    /// Whether the token has fewer rights than its user and groups imply, such as that of a sandbox.
    pub(crate) restricted: bool,
    pub(crate) package: Option<Account>,
    pub(crate) create_global: PrivilegeState,
}

/// The facts about a question. Rules judge by them alone.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// Why the system cannot look up such a name.
    pub(crate) name_problem: Option<(ErrorKind, String)>,
    pub(crate) here: NameProbe,
    /// Its access rights, if this process may read them.
    pub(crate) security: Option<Security>,
    /// What its access list alone grants to this process: reading, writing (Windows).
    pub(crate) list_allows: Option<(bool, bool)>,
    /// The name in the other namespace, if an object has it.
    pub(crate) elsewhere: Option<String>,
    /// A name that differs in case only.
    pub(crate) spelled: Option<String>,
    /// The ids of this user in the user namespace of this process and outside, if they differ (Linux).
    pub(crate) user_numbers: Option<(u32, u32)>,
    /// A name that differs in one or two characters.
    pub(crate) similar: Option<String>,
    /// What confines this process, where its rights do not explain what is refused.
    pub(crate) confinement: Option<Confinement>,
    /// The processes that have an object open that has had no length for a while.
    pub(crate) holders: Option<Holders>,
    /// The memory limit of this process's control group, where memory was refused.
    pub(crate) group: Option<MemoryGroup>,
    /// A limit of the process or the machine that keeps it from opening anything.
    pub(crate) limit: Option<(&'static str, u64)>,
    /// The bytes that were promised to other processes and have no pages yet.
    pub(crate) promised: Option<u64>,
    pub(crate) caller: Caller,
    pub(crate) space: Option<Space>,
    pub(crate) limits: Limits,
    /// Why the requested security of a new region cannot be applied.
    pub(crate) security_problem: Option<(ErrorKind, String)>,
    /// Why the requested large pages of a new region are not available.
    pub(crate) pages_problem: Option<(ErrorKind, String)>,
    /// Whether the region has the expected owner, and the account that is expected.
    pub(crate) expected_owner: Option<(bool, Account)>,
    /// Why the expected owner cannot be determined.
    pub(crate) owner_problem: Option<(ErrorKind, String)>,
}
