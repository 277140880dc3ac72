//! The one door to the system. Nothing outside this room calls it.
//!
//! Each system has the same files with the same contents by name:
//!
//! | file | what it offers |
//! | --- | --- |
//! | `name` | [`ObjectName`]: a checked name in the system's own spelling |
//! | `memory` | [`Object`]: a right to a shared memory; [`Mapping`]: an address range in which it is mapped |
//! | `list` | [`list`]: the named memories of the machine |
//! | `security` | [`Protection`]: what an object is made with; [`RawSecurity`]: what it says |
//! | `account` | users and groups by name and number; on Windows also what the token says |
//! | `process` | other processes: what they are given, and how they are told from each other |
//! | `presence` | places that the system holds for a process while it lives; whether a process lives |
//! | `socket` | descriptors over sockets (Unix) |
//! | `wait` | sleeping on words of shared memory, and waking |
//! | `holders` | which processes hold an object (Linux) |
//! | `sight` | [`sight`], [`space`], [`limits`]: what can be learnt without changing anything |
//! | `disk` | files that memory is saved into and loaded from |
//! | `fault` | the handler that makes errors out of faults in the [`guard`]ed routines; on Unix `chain`: its position among others |
//! | `kernel` | copies that need no handler, where the system has them |
//!
//! The contract: a call does one thing once and says how it ended, as a [`Failure`] with the system's own code. Policies
//! (how often to try, what to tell the user) are made above. An `Object` or a `Mapping` gives back what it holds when it
//! is dropped, exactly once.

pub(crate) mod guard;

use core::sync::atomic::{AtomicU8, Ordering};

#[cfg(unix)]
#[path = "unix/mod.rs"]
mod system;
#[cfg(windows)]
#[path = "windows/mod.rs"]
mod system;

#[cfg(target_os = "linux")]
pub(crate) use system::holders::{exclusive_holder, holders, holders_among};
#[cfg(not(target_os = "linux"))]
pub(crate) use unseen::{exclusive_holder, holders, holders_among};

pub(crate) use system::account;
pub(crate) use system::disk;
#[cfg(windows)]
pub(in crate::sys) use system::fault;
pub(crate) use system::fault::{install as install_handler, kernel_copies, state as handler_state};
pub(crate) use system::kernel;
pub(crate) use system::list::{list, names};
pub(crate) use system::liveness;
pub(crate) use system::memory::{Mapping, Object, check_large_pages};
pub(crate) use system::name::ObjectName;
pub(crate) use system::probe::{
    confinement, fault_sign, grants_to_users, has_private_namespaces, holders_of, limit_reached, limits,
    locked_limit, map_limits, memory_group, names_are_replaceable, page_sizes, pool, probe_name, promised,
    rounded, space,
};
pub(crate) use system::process;
pub(crate) use system::security::Protection;
#[cfg(unix)]
pub(crate) use system::socket;
pub(crate) use system::wait;
#[cfg(windows)]
pub(crate) use system::{descriptor, namespace, privilege};

/// Where the signal handler of the guarded routines is among the handlers of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "each system has its own")]
pub(crate) enum HandlerPosition {
    /// The kernel calls it first.
    First,
    /// Another one is in front of it, which passes on what it does not know.
    Behind,
    /// Another one has taken its place, and nothing is known of it.
    Replaced,
    /// The default action has taken its place.
    Default,
    /// The signal is ignored, as far as it can be.
    Ignored,
    NotInstalled,
    /// The system does not say.
    Unknown,
    /// There is no such handler on this system, and none is needed.
    NotNeeded,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct HandlerState {
    pub(crate) segv: HandlerPosition,
    pub(crate) bus: HandlerPosition,
    /// Whether the calling thread blocks one of the signals.
    pub(crate) blocked: bool,
}

/// What to do about the handler when a view is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum HandlerPolicy {
    Rearm,
    LeaveReplaced,
    NoHandler,
}

static HANDLER_POLICY: AtomicU8 = AtomicU8::new(HandlerPolicy::Rearm as u8);

pub(crate) fn handler_policy() -> HandlerPolicy {
    match HANDLER_POLICY.load(Ordering::Relaxed) {
        value if value == HandlerPolicy::NoHandler as u8 => HandlerPolicy::NoHandler,
        value if value == HandlerPolicy::LeaveReplaced as u8 => HandlerPolicy::LeaveReplaced,
        _ => HandlerPolicy::Rearm,
    }
}

pub(crate) fn set_handler_policy(policy: HandlerPolicy) {
    HANDLER_POLICY.store(policy as u8, Ordering::Relaxed);
}

/// How the bytes of a mapping are copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Copying {
    /// By the routines of [`guard`].
    Guarded,
    /// By the routines of [`kernel`].
    #[cfg_attr(windows, allow(dead_code))]
    ByKernel,
}

/// Why a copy by the kernel stopped.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(any(target_os = "linux", target_os = "android")), allow(dead_code))]
pub(crate) enum Stopped {
    /// A page of the shared side cannot be accessed.
    Fault(guard::Caught),
    /// The system refuses to copy, for example by a filter of system calls.
    Refused(Failure),
}

/// What a right to a memory allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Read,
    Write,
    /// To read, and to write to a copy of this process's own.
    Copy,
}

impl Mode {
    /// Whether what is written reaches the memory.
    pub(crate) fn is_writable(self) -> bool {
        self == Mode::Write
    }
}

/// What a new memory is to be like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CreateParams<'a> {
    pub(crate) len: u64,
    /// How far it can grow; not at all without one. Not less than `len`.
    pub(crate) capacity: Option<u64>,
    pub(crate) protection: &'a Protection,
    pub(crate) large_pages: bool,
    /// The node whose RAM is preferred.
    pub(crate) node: Option<u32>,
}

/// What the pages of a memory are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pages {
    Ordinary,
    /// All of them have this size.
    #[cfg_attr(not(any(windows, target_os = "linux")), allow(dead_code))]
    Large(u64),
    /// The system makes some of them this large where it can (Linux).
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    Advised(u64),
}

/// Why a call did not do what it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// There is nothing of this name.
    Missing,
    /// There is something of this name already.
    Exists,
    /// The system refuses the access.
    Denied,
    /// It may be read, but not written.
    ReadOnly,
    /// What has this name, or this handle, is not a shared memory.
    WrongKind,
    /// The system has not enough memory, or does not commit to it.
    NoMemory,
    /// The size is more than the system, or an address space, can hold.
    TooLarge,
    /// The system does not accept the name.
    BadName,
    /// It exists, but has no length: who makes it is not done (Unix).
    #[cfg_attr(windows, allow(dead_code))]
    NotReady,
    /// The system does not offer this.
    Unsupported,
    /// This user may not give an object such an owner, group or label (Windows).
    #[cfg_attr(unix, allow(dead_code))]
    BadSecurity,
    /// A limit of the process: `figure` says which value it has, where it is known.
    Limit,
    /// Somebody else has taken a name that should be this user's (Unix).
    #[cfg_attr(windows, allow(dead_code))]
    Stranger,
    /// The region has other names besides the one it was asked for by, `figure` in all (Linux): any of them may have been
    /// added by another user.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    Linked,
    /// There are no large pages to be had, or so many bytes of them only.
    #[cfg_attr(not(any(windows, target_os = "linux")), allow(dead_code))]
    NoLargePages,
    /// Memory in large pages cannot grow.
    #[cfg_attr(not(any(windows, target_os = "linux")), allow(dead_code))]
    FixedPages,
    /// A privilege is missing that large pages take (Windows).
    #[cfg_attr(unix, allow(dead_code))]
    NoPrivilege,
    /// The machine has no such node.
    #[cfg_attr(not(any(windows, target_os = "linux")), allow(dead_code))]
    NoSuchNode,
    /// The disk is full, or this user's share of it.
    NoRoom,
    /// Somebody else has the file open in a way that keeps others out.
    InUse,
    /// The system has no file locks, or no more of them (Unix).
    #[cfg_attr(windows, allow(dead_code))]
    NoLocks,
    /// Anything else: the code has to speak for itself.
    Other,
}

/// How a call failed: the reason, and the system's own code where there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) reason: Reason,
    pub(crate) code: Option<i32>,
    /// What the reason is about, where a number says more: bytes that exist, or that are left.
    pub(crate) figure: Option<u64>,
}

impl Failure {
    pub(crate) const fn new(reason: Reason) -> Self {
        Failure { reason, code: None, figure: None }
    }

    /// Of the system's own code.
    pub(crate) fn from_code(code: i32) -> Self {
        system::failure_from_code(code)
    }

    pub(crate) const fn with_figure(self, figure: u64) -> Self {
        Failure { figure: Some(figure), ..self }
    }
}

/// What an attempt led to, where somebody else may come in between.
#[derive(Debug)]
pub(crate) enum Attempt<T> {
    Done(T),
    /// Somebody came in between; it can be tried again at once.
    Again,
}

/// What a process can be told by, as far as it knows it itself. 0 is unknown, and equal to nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProcessIdentity {
    pub(crate) id: u32,
    /// When it was started, as it reads in `time_namespace`.
    pub(crate) started: u64,
    /// Which processes `id` is a number among (Linux).
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    pub(crate) pid_namespace: u64,
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    pub(crate) time_namespace: u64,
}

/// How claiming a slot went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claimed {
    Held,
    /// Another process has it.
    Taken,
    /// Something is in the way that does not count as a claim: a lock of a process that may only read (Linux).
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    Obstructed,
    /// The kernel cannot hold it here.
    Impossible,
}

/// How a sleep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// Somebody has woken it, something that was waited for has ended, or for no reason.
    Early,
    /// The word was another one.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    Changed,
    TimedOut,
}

/// A named memory that [`list`] has found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) global: bool,
    /// The text of the name, without a namespace.
    pub(crate) text: String,
    /// No living process holds it; the next one who asks for it removes it (Unix).
    pub(crate) stale: bool,
}

/// What an object says about who may open it, as the system says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RawSecurity {
    /// A self-relative security descriptor.
    #[cfg_attr(unix, allow(dead_code))]
    Descriptor(Vec<u8>),
    /// Owner, group, the nine bits, and the extended attribute with the access list.
    #[cfg_attr(windows, allow(dead_code))]
    Posix { uid: u32, gid: u32, mode: u32, list: Option<Vec<u8>> },
}

/// What has a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(dead_code, reason = "each system has its own")]
pub(crate) enum NameState {
    #[default]
    Nothing,
    Memory,
    /// A memory without a length yet; whether this library makes it.
    Unfinished {
        ours: bool,
    },
    /// A memory whose holders are all dead; whether this process may remove it.
    Abandoned {
        removable: bool,
    },
    /// Something else.
    Other(String),
    /// Something that lets us see nothing.
    Hidden,
    /// A memory of another user, under a name that should be ours.
    Strangers,
    /// A region that has other names besides this one, where its owner or its mark would be believed (Linux).
    Linked,
    /// Names cannot be looked for: the place where they are does not let us.
    NoPlace,
}

/// A process that holds an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FoundHolder {
    pub(crate) process: u32,
    pub(crate) program: Option<String>,
    /// None if it cannot be told.
    pub(crate) may_write: Option<bool>,
}

/// Where a name leads, compared with what was opened by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "each system has its own")]
pub(crate) enum NameTarget {
    This,
    Other,
    Nothing,
    Unknown,
}

/// What the code of a fault says by itself about the page that could not be accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "each system has its own")]
pub(crate) enum FaultSign {
    /// The object has no page there, or none could be allocated or read.
    Unbacked,
    /// The RAM that held the page has failed.
    BadMemory,
    /// This process's own page tables do not allow the access.
    Inaccessible,
    /// No storage is left for the page (Windows).
    NoStorage,
    /// The device or the network behind a file has failed (Windows).
    Device,
}

/// The memory limit of the control group that this process is in, and how much of it is used (Linux).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MemoryGroup {
    pub(crate) used: u64,
    pub(crate) limit: u64,
}

/// What limits the mappings of this process; `None` where there is no limit, or where it cannot be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MapLimits {
    /// Mappings that exist, and the most that may.
    pub(crate) mappings: Option<(u64, u64)>,
    /// Bytes of address space in use, and `RLIMIT_AS`.
    pub(crate) address_space: Option<(u64, u64)>,
    /// Bytes of private data in use, and `RLIMIT_DATA`.
    pub(crate) data: Option<(u64, u64)>,
    /// Bytes locked in RAM, and `RLIMIT_MEMLOCK`.
    pub(crate) locked: Option<(u64, u64)>,
    /// Bytes that may still be committed, and the limit, if the system commits strictly.
    pub(crate) commit: Option<(u64, u64)>,
    /// RAM and swap in bytes: a private mapping of more is refused, if the system judges by that.
    pub(crate) most_private: Option<u64>,
    /// The largest range of free addresses.
    pub(crate) gap: Option<u64>,
}

/// What confines this process, apart from users and their rights (Linux).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Confinement {
    /// The label that a security module has given this process, such as an `AppArmor` profile.
    pub(crate) label: Option<String>,
    /// The name of the snap that this process belongs to.
    pub(crate) snap: Option<String>,
    /// Whether a seccomp filter judges its system calls.
    pub(crate) seccomp: bool,
    /// The kind of container that it runs in, if that shows.
    pub(crate) container: Option<&'static str>,
}

/// Which processes hold an object without a visible lock or length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Holders {
    /// Processes that are known to have it open.
    pub(crate) known: Vec<u32>,
    /// Whether all processes of the machine could be looked at.
    pub(crate) complete: bool,
}

/// What can be seen of a name without changing anything.
#[derive(Clone, Debug, Default)]
pub(crate) struct NameProbe {
    pub(crate) state: NameState,
    pub(crate) len: Option<u64>,
    /// Found out by the system itself, so all that it considers is considered.
    pub(crate) may_read: bool,
    pub(crate) may_write: bool,
    pub(crate) raw_security: Option<RawSecurity>,
    /// The names of the region, if there is more than one (Linux).
    pub(crate) linked: Option<Links>,
    /// Its owner has no number in this user namespace: the one that is shown stands for all such users (Linux).
    pub(crate) owner_is_unmapped: bool,
    /// Any user may rename what others have created where the names are (Unix).
    pub(crate) replaceable: bool,
    /// What identifies the region, to look for its holders by (Linux).
    pub(crate) identity: Option<(u64, u64)>,
    /// When it was created or last changed in anything but its bytes.
    pub(crate) changed: Option<std::time::SystemTime>,
    /// Bytes that have pages.
    pub(crate) allocated: Option<u64>,
    /// Where it is in the file system.
    pub(crate) path: Option<String>,
    /// Whether a process holds an object that this process cannot open: what the kernel's list of locks says (Linux).
    pub(crate) held: Option<bool>,
    /// The code with which the system refused to open it, where that is no matter of rights.
    pub(crate) obstacle: Option<i32>,
}

/// The names of one region.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Links {
    pub(crate) count: u64,
    /// Those that are found where named regions are.
    pub(crate) found: Vec<String>,
}

/// What is left of what memories are made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Space {
    /// What it is called.
    pub(crate) place: &'static str,
    /// Whether it is a mount, which can be made larger.
    pub(crate) is_mount: bool,
    pub(crate) left: u64,
    pub(crate) limit: u64,
    pub(crate) problem: Option<StorageProblem>,
}

/// Why nothing can be made in a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
pub(crate) enum StorageProblem {
    Missing,
    ReadOnly,
    Denied,
    NoFiles,
    /// There is something else than a directory.
    NotDirectory,
}

/// Limits of the process; none where there is no limit.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(windows, allow(dead_code))]
pub(crate) struct Limits {
    /// The longest file.
    pub(crate) file_size: Option<u64>,
}

/// Systems that do not tell which processes hold an object.
#[cfg(not(target_os = "linux"))]
mod unseen {
    use super::{Failure, FoundHolder, ObjectName, Reason};

    pub(crate) fn exclusive_holder(_: &ObjectName) -> Option<FoundHolder> {
        None
    }

    pub(crate) fn holders(_: (u64, u64)) -> Result<(Vec<FoundHolder>, bool), Failure> {
        Err(Failure::new(Reason::Unsupported))
    }

    pub(crate) fn holders_among(_: &[u32], _: (u64, u64)) -> Vec<FoundHolder> {
        Vec::new()
    }
}
