//! Answers of the system about names, objects, processes and limits.

/// The protection of an object in the system's own form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RawSecurity {
    /// A self-relative security descriptor.
    #[cfg_attr(unix, allow(dead_code))]
    Descriptor(Vec<u8>),
    /// Owner, group, the nine permission bits, and the extended attribute that holds the access list.
    #[cfg_attr(windows, allow(dead_code))]
    Posix { uid: u32, gid: u32, mode: u32, list: Option<Vec<u8>> },
}

/// The state of a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(dead_code, reason = "each system has its own")]
pub(crate) enum NameState {
    #[default]
    Nothing,
    Memory,
    /// A region without a length yet. `ours`: this library is creating it.
    Unfinished {
        ours: bool,
    },
    /// A region whose holders were all killed. `removable`: this process may remove it.
    Stale {
        removable: bool,
    },
    /// An object of another kind.
    Other(String),
    /// An object that this process cannot query.
    Hidden,
    /// A region of another user, under a name that is reserved for this user.
    Strangers,
    /// A region with several names, so that neither its owner nor its mark can be trusted (Linux).
    Linked,
    /// The directory of names cannot be read.
    NoPlace,
}

/// A process that holds an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FoundHolder {
    pub(crate) process: u32,
    pub(crate) program: Option<String>,
    /// `None` if that is unknown.
    pub(crate) may_write: Option<bool>,
}

/// The target of a name, compared with an object that was opened by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "each system has its own")]
pub(crate) enum NameTarget {
    This,
    Other,
    Nothing,
    Unknown,
}

/// The cause of a fault, as far as its code identifies it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "each system has its own")]
pub(crate) enum FaultSign {
    /// The object has no page there, or the page could not be allocated or read.
    Unbacked,
    /// The RAM that held the page has failed.
    BadMemory,
    /// The page tables of this process do not permit the access.
    Inaccessible,
    /// No storage is left for the page (Windows).
    NoStorage,
    /// The device or the network behind a file has failed (Windows).
    Device,
}

/// The memory limit and usage of the control group of this process (Linux).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MemoryGroup {
    pub(crate) used: u64,
    pub(crate) limit: u64,
}

/// The limits on mappings of this process. `None` stands for no limit and for one that cannot be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MapLimits {
    /// Existing mappings, and their maximum.
    pub(crate) mappings: Option<(u64, u64)>,
    /// Bytes of address space in use, and `RLIMIT_AS`.
    pub(crate) address_space: Option<(u64, u64)>,
    /// Bytes of private data in use, and `RLIMIT_DATA`.
    pub(crate) data: Option<(u64, u64)>,
    /// Bytes locked in RAM, and `RLIMIT_MEMLOCK`.
    pub(crate) locked: Option<(u64, u64)>,
    /// Bytes that can still be committed, and the limit, if the system overcommits nothing.
    pub(crate) commit: Option<(u64, u64)>,
    /// RAM and swap in bytes, if the system refuses private mappings that exceed them.
    pub(crate) most_private: Option<u64>,
    /// The largest free address range.
    pub(crate) gap: Option<u64>,
}

/// Restrictions of this process besides the rights of its user (Linux).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Confinement {
    /// The label that a security module has assigned to this process, such as an `AppArmor` profile.
    pub(crate) label: Option<String>,
    /// The name of the snap that this process belongs to.
    pub(crate) snap: Option<String>,
    /// Whether a seccomp filter restricts its system calls.
    pub(crate) seccomp: bool,
    /// The kind of container, if it can be recognised.
    pub(crate) container: Option<&'static str>,
}

/// The processes that hold an object, as far as they can be determined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Holders {
    /// Processes that have the object open.
    pub(crate) known: Vec<u32>,
    /// Whether every process of the machine could be examined.
    pub(crate) complete: bool,
}

/// The answer to a probe of a name.
#[derive(Clone, Debug, Default)]
pub(crate) struct NameProbe {
    pub(crate) state: NameState,
    pub(crate) len: Option<u64>,
    /// Whether reading is permitted, determined by opening the object, so the system has applied all its
    /// rules. The same holds for `may_write`.
    pub(crate) may_read: bool,
    pub(crate) may_write: bool,
    pub(crate) raw_security: Option<RawSecurity>,
    /// The names of the region, if it has several (Linux).
    pub(crate) linked: Option<Links>,
    /// The owner has no id in this user namespace; the reported id stands for all such users (Linux).
    pub(crate) owner_is_unmapped: bool,
    /// Any user may rename the objects of others in the directory of names (Unix).
    pub(crate) replaceable: bool,
    /// Identifies the region, to find its holders (Linux).
    pub(crate) identity: Option<(u64, u64)>,
    /// The time of its creation or of the last change of its metadata.
    pub(crate) changed: Option<std::time::SystemTime>,
    /// The number of bytes that have pages.
    pub(crate) allocated: Option<u64>,
    /// Its path in the file system.
    pub(crate) path: Option<String>,
    /// Whether another process holds an object that this one cannot open, by the kernel's list of locks
    /// (Linux).
    pub(crate) held: Option<bool>,
    /// The code with which the system refused to open it for a reason other than access rights.
    pub(crate) obstacle: Option<i32>,
}

/// The names of one region.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Links {
    pub(crate) count: u64,
    /// The names among the named regions.
    pub(crate) found: Vec<String>,
}

/// The storage that is left for regions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Space {
    /// The name of the storage.
    pub(crate) place: &'static str,
    /// Whether it is a mount, whose size can be raised.
    pub(crate) is_mount: bool,
    pub(crate) left: u64,
    pub(crate) limit: u64,
    pub(crate) problem: Option<StorageProblem>,
}

/// Why no object can be created in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
pub(crate) enum StorageProblem {
    Missing,
    ReadOnly,
    Denied,
    NoFiles,
    /// The path exists, but is no directory.
    NotDirectory,
}

/// The limits of the process. `None` means no limit.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(windows, allow(dead_code))]
pub(crate) struct Limits {
    /// The maximum length of a file.
    pub(crate) file_size: Option<u64>,
}

/// Whether this process holds a privilege.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(unix, allow(dead_code))]
pub(crate) enum PrivilegeHeld {
    Enabled,
    Disabled,
    Missing,
}

/// The facts about the caller besides its user. Those that a system does not have are left out.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallerToken {
    pub(crate) elevated: Option<bool>,
    /// The RID of the integrity level.
    pub(crate) integrity: Option<u32>,
    pub(crate) session: Option<u32>,
    pub(crate) app_container: bool,
    /// Whether the token has fewer rights than its user and groups imply, such as that of a sandbox.
    pub(crate) restricted: bool,
    /// The SID of the app package in its binary form.
    pub(crate) package: Option<Vec<u8>>,
    /// The privileges that shared memory can need.
    pub(crate) privileges: Vec<(&'static str, PrivilegeHeld)>,
    /// The privilege to create `Global\` names, where one is needed.
    pub(crate) create_global: Option<PrivilegeHeld>,
}
