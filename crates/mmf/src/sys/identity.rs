//! What identifies a process.

/// A process id and the start time that distinguishes the process from others with the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) id: u32,
    pub(crate) started: u64,
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
