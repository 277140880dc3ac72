//! The identity of a process.

/// A process id and the start time that distinguishes the process from others with the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) id: u32,
    pub(crate) started: u64,
}

/// What a process knows about its own identity. 0 means unknown, and an unknown value equals no other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProcessIdentity {
    pub(crate) id: u32,
    /// The start time, as read in `time_namespace`.
    pub(crate) started: u64,
    /// The namespace that `id` belongs to (Linux).
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    pub(crate) pid_namespace: u64,
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    pub(crate) time_namespace: u64,
}
