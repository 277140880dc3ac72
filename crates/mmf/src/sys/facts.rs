//! What the system says about names, objects, processes and limits.

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
