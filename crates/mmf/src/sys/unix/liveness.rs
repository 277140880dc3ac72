//! The liveness of participants: slots that the kernel holds for a process, and its reports about processes.
//!
//! On Linux a slot is a byte far beyond the end of the region's file. A process holds it by a write lock on
//! that byte through an open file description of its own (`F_OFD_SETLK`). Such a lock conflicts neither with
//! the `flock` that counts holders nor with the locks that record capacities at higher offsets.
//!
//! Only a *mapping* that no child inherits (`MADV_DONTFORK`) keeps the description open: its descriptor is
//! closed as soon as the slot is held. Hence the lock lasts exactly as long as the memory of the process that
//! joined: no kind of fork prolongs it, a program that closes all its descriptors does not drop it, and it
//! occupies no descriptor. So the kernel's answer about a held slot is final. Process ids, start times and
//! `/proc` are consulted only for processes whose slot the kernel does not hold.

#[cfg(any(target_os = "linux", target_os = "android"))]
use std::os::fd::{AsFd, OwnedFd};

#[cfg(any(target_os = "linux", target_os = "android"))]
use super::forks::NoFork;
pub(crate) use super::forks::fork_epoch;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
use super::forks::track_forks;
use super::memory::Object;
#[cfg(not(target_vendor = "apple"))]
use super::process::ProcFs;
pub(crate) use super::wait::ProcessHandle;
use super::wait::SegmentObjects;
use crate::sys::{Claimed, Failure, ProcessIdentity};

/// The slots of one region.
#[derive(Debug)]
pub(crate) struct Slots;

impl Slots {
    pub(crate) fn new(_: &SegmentObjects) -> Self {
        Slots
    }

    /// Whether the kernel holds a slot for any process, this one included. `None` if that is unknown.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    #[allow(clippy::unused_self, reason = "on Windows it is needed")]
    pub(crate) fn is_held(&self, object: &Object, slot: u32) -> Option<bool> {
        linux::is_write_locked(object.as_fd(), slot)
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    #[allow(clippy::unused_self, reason = "on Windows it is needed")]
    pub(crate) fn is_held(&self, _: &Object, _: u32) -> Option<bool> {
        None
    }

    /// Opens the region to claim slots. Fails only if this process has reached a limit.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    #[allow(clippy::unused_self, reason = "on Windows it is needed")]
    pub(crate) fn claimer(&self, object: &Object) -> Result<SlotClaimer, Failure> {
        let no_fork = NoFork::begin();
        let fd = linux::open_again(object)?;
        Ok(SlotClaimer { fd, mapped: object.page_size(), _no_fork: no_fork })
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    #[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "other systems need it")]
    pub(crate) fn claimer(&self, _: &Object) -> Result<SlotClaimer, Failure> {
        track_forks();
        Ok(SlotClaimer)
    }
}

/// Claims slots. Claims that are not kept are released when it is dropped.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[derive(Debug)]
pub(crate) struct SlotClaimer {
    /// The region through a description of its own, or `None` if it cannot be reopened.
    fd: Option<OwnedFd>,
    mapped: usize,
    /// A child that is forked while the descriptor is open would keep the claims. Dropped after the
    /// descriptor.
    _no_fork: NoFork,
}

#[cfg(any(target_os = "linux", target_os = "android"))]
impl SlotClaimer {
    pub(crate) fn claim(&self, slot: u32) -> Claimed {
        let Some(fd) = &self.fd else { return Claimed::Impossible };
        match linux::set_lock(fd.as_fd(), libc::F_WRLCK, slot) {
            Ok(()) => Claimed::Held,
            // A process with read access only cannot have a write lock. Its read locks must not decide which
            // processes join.
            Err(libc::EAGAIN | libc::EACCES) => match linux::is_write_locked(fd.as_fd(), slot) {
                Some(false) => Claimed::Obstructed,
                _ => Claimed::Taken,
            },
            Err(_) => Claimed::Impossible,
        }
    }

    /// Releases a slot that this claimer has claimed.
    pub(crate) fn release(&self, slot: u32) {
        if let Some(fd) = &self.fd {
            let _ = linux::set_lock(fd.as_fd(), libc::F_UNLCK, slot);
        }
    }

    /// Keeps the claims until the result is dropped or the process loses its memory.
    pub(crate) fn keep(self) -> Result<HeldSlots, Failure> {
        use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap};
        let Some(fd) = &self.fd else { return Ok(HeldSlots { address: 0, len: 0, process: fork_epoch() }) };
        let (len, flags) = (self.mapped, MapFlags::PRIVATE | MapFlags::NORESERVE);
        // SAFETY: `mmap` has no memory requirements without `MAP_FIXED`: with a null hint the kernel chooses
        // a free range, so no existing mapping changes. `PROT_NONE` forbids every access to the new one.
        let base = unsafe { mmap(std::ptr::null_mut(), len, ProtFlags::empty(), flags, fd, 0) }?;
        let hold = HeldSlots { address: base.addr(), len, process: fork_epoch() };
        // SAFETY: the range was mapped above, and no process accesses it, so a child does not need it.
        unsafe { madvise(base, len, Advice::LinuxDontFork) }?;
        Ok(hold)
    }
}

/// Slots that the kernel holds for this process.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[derive(Debug)]
pub(crate) struct HeldSlots {
    /// The start of a mapping that is never accessed, as a number: nothing can be read or written there.
    address: usize,
    len: usize,
    process: u32,
}

#[cfg(any(target_os = "linux", target_os = "android"))]
impl Drop for HeldSlots {
    fn drop(&mut self) {
        // A child does not have the mapping, and may have another one at this address.
        if self.len == 0 || self.process != fork_epoch() {
            return;
        }
        // SAFETY: `mmap` returned this range in the same process (see above), only this value unmaps it, and
        // nothing refers to it.
        let result = unsafe { rustix::mm::munmap(std::ptr::without_provenance_mut(self.address), self.len) };
        debug_assert!(result.is_ok(), "munmap: {result:?}");
    }
}

/// The kernel holds no slots on this system.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[derive(Debug)]
pub(crate) struct SlotClaimer;

#[cfg(not(any(target_os = "linux", target_os = "android")))]
impl SlotClaimer {
    #[allow(clippy::unused_self, reason = "other systems need it")]
    pub(crate) fn claim(&self, _: u32) -> Claimed {
        Claimed::Impossible
    }

    #[allow(clippy::unused_self, reason = "other systems need it")]
    pub(crate) fn release(&self, _: u32) {}

    #[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "other systems need it")]
    pub(crate) fn keep(self) -> Result<HeldSlots, Failure> {
        Ok(HeldSlots)
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[derive(Debug)]
pub(crate) struct HeldSlots;

#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux {
    use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

    use rustix::fs::{Mode, OFlags, open};
    use rustix::io::Errno;

    use super::super::memory::Object;
    use super::super::named;
    use super::super::process::identity;
    use crate::sys::Failure;

    const FIRST_BYTE: i64 = 1 << 60;

    /// Reopens an object through an open file description of its own. Returns `None` where that is not
    /// possible: without `/proc`, or for another user's region that has no name to open it by.
    pub(super) fn open_again(object: &Object) -> Result<Option<OwnedFd>, Failure> {
        let opened = named::reopen_uncounted(object.as_fd(), true);
        let by_name = |failure: Failure| {
            let Some(name) = object.name() else { return Err(failure) };
            let access =
                OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
            let fd = open(name.path(), access, Mode::empty())?;
            // Another object may have the name by now.
            if identity(fd.as_fd())? == identity(object.as_fd())? { Ok(fd) } else { Err(failure) }
        };
        let is_limit = |failure: &Failure| {
            [Errno::MFILE, Errno::NFILE, Errno::NOMEM]
                .iter()
                .any(|errno| failure.code == Some(errno.raw_os_error()))
        };
        let opened =
            opened.or_else(|failure| if is_limit(&failure) { Err(failure) } else { by_name(failure) });
        match opened {
            Ok(fd) => Ok(Some(fd)),
            Err(failure) if is_limit(&failure) => Err(failure),
            Err(_) => Ok(None),
        }
    }

    pub(super) fn set_lock(fd: BorrowedFd<'_>, kind: libc::c_int, slot: u32) -> Result<(), libc::c_int> {
        fcntl(fd, libc::F_OFD_SETLK, &mut lock_of(kind, slot))
    }

    /// Whether another description has a write lock on the slot's byte. Read locks do not count, since any
    /// process with read access can take them.
    pub(super) fn is_write_locked(fd: BorrowedFd<'_>, slot: u32) -> Option<bool> {
        // The query for a read lock reports only locks that conflict with it.
        let mut lock = lock_of(libc::F_RDLCK, slot);
        fcntl(fd, libc::F_OFD_GETLK, &mut lock).ok()?;
        Some(libc::c_int::from(lock.l_type) != libc::F_UNLCK)
    }

    fn lock_of(kind: libc::c_int, slot: u32) -> libc::flock {
        // SAFETY: `flock` consists of integers, for which all zeros is a valid value.
        let mut lock: libc::flock = unsafe { std::mem::zeroed() };
        #[allow(clippy::cast_possible_truncation, reason = "small constants")]
        {
            lock.l_type = kind as libc::c_short;
            lock.l_whence = libc::SEEK_SET as libc::c_short;
        }
        lock.l_start = FIRST_BYTE + i64::from(slot);
        lock.l_len = 1;
        lock
    }

    fn fcntl(fd: BorrowedFd<'_>, command: libc::c_int, lock: &mut libc::flock) -> Result<(), libc::c_int> {
        // SAFETY: the descriptor is open, and `lock` is a valid `flock` to read and write, as these commands
        // require.
        if unsafe { libc::fcntl(fd.as_raw_fd(), command, lock) } == 0 {
            Ok(())
        } else {
            Err(std::io::Error::last_os_error().raw_os_error().unwrap_or(0))
        }
    }
}

/// The state of a process.
#[derive(Debug)]
pub(crate) enum ProcessState {
    /// No process has this id, or another one has it now.
    Ended,
    /// The process is alive. If the system supports it, its end can be waited for.
    Alive(Option<ProcessHandle>),
    Unknown,
}

/// Returns the state of a process. `is_held` states whether the kernel holds its slot.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn process_state(process: &ProcessIdentity, is_held: bool) -> ProcessState {
    if is_held {
        return ProcessState::Alive(None);
    }
    // An unknown namespace equals no other one, not even another unknown one.
    if process.pid_namespace == 0 || process.pid_namespace != identity().pid_namespace {
        return ProcessState::Unknown;
    }
    if !is_number_in_use(process.id) {
        return ProcessState::Ended;
    }
    let Ok(proc) = ProcFs::of_our_ids() else { return ProcessState::Unknown };
    match proc.state(process.id) {
        Ok((_, true)) => ProcessState::Ended,
        // The start time is relative to the time namespace of its reader, which can change while a process
        // lives.
        Ok((now, false)) if process.started != 0 && now.started != process.started => {
            let (_, here) = proc.namespaces();
            if here != 0 && here == process.time_namespace {
                ProcessState::Ended
            } else {
                ProcessState::Unknown
            }
        }
        Ok(_) => ProcessState::Alive(None),
        // The process may be hidden from this user.
        Err(_) => ProcessState::Unknown,
    }
}

/// Returns the state of a process.
#[cfg(target_vendor = "apple")]
pub(crate) fn process_state(process: &ProcessIdentity, _: bool) -> ProcessState {
    match state(process.id) {
        Some((_, true)) => ProcessState::Ended,
        Some((now, false)) if process.started != 0 && now != process.started => ProcessState::Ended,
        Some(_) => ProcessState::Alive(None),
        None if is_number_in_use(process.id) => ProcessState::Unknown,
        None => ProcessState::Ended,
    }
}

/// Returns the state of a process.
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
pub(crate) fn process_state(process: &ProcessIdentity, _: bool) -> ProcessState {
    if is_number_in_use(process.id) { ProcessState::Unknown } else { ProcessState::Ended }
}

/// Whether any process has this id, perhaps another one by now.
fn is_number_in_use(id: u32) -> bool {
    let pid = i32::try_from(id).ok().and_then(rustix::process::Pid::from_raw);
    !matches!(pid.map(rustix::process::test_kill_process), Some(Err(rustix::io::Errno::SRCH)) | None)
}

/// Returns the identity of this process.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn identity() -> ProcessIdentity {
    let found = super::forks::remember(|| {
        let (pid, time) = ProcFs::open().map_or((0, 0), |proc| proc.namespaces());
        // The start time is relative to the present time namespace, which is recorded beside it.
        let started = super::process::Process::current().map_or(0, |process| process.started);
        [started, pid, time]
    });
    let [started, pid_namespace, time_namespace] = found;
    ProcessIdentity { id: std::process::id(), started, pid_namespace, time_namespace }
}

/// Returns the identity of this process.
#[cfg(target_vendor = "apple")]
pub(crate) fn identity() -> ProcessIdentity {
    let id = std::process::id();
    let started = state(id).map_or(0, |(started, _)| started);
    ProcessIdentity { id, started, pid_namespace: 0, time_namespace: 0 }
}

/// Returns the identity of this process.
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
pub(crate) fn identity() -> ProcessIdentity {
    ProcessIdentity { id: std::process::id(), ..ProcessIdentity::default() }
}

/// Returns the start time of a process in microseconds, and whether it has ended and waits to be reaped.
#[cfg(target_vendor = "apple")]
fn state(id: u32) -> Option<(u64, bool)> {
    const ALSO_ENDED: u64 = 1;
    // SAFETY: `proc_bsdinfo` consists of integers, for which all zeros is a valid value.
    let mut info: libc::proc_bsdinfo = unsafe { std::mem::zeroed() };
    let len = libc::c_int::try_from(size_of::<libc::proc_bsdinfo>()).ok()?;
    let (id, place) = (id.try_into().ok()?, (&raw mut info).cast());
    // SAFETY: the destination is valid for `len` bytes.
    let got = unsafe { libc::proc_pidinfo(id, libc::PROC_PIDTBSDINFO, ALSO_ENDED, place, len) };
    let started = info.pbi_start_tvsec.checked_mul(1_000_000)?.checked_add(info.pbi_start_tvusec)?;
    (got == len).then_some((started, info.pbi_status == libc::SZOMB))
}

/// Returns the file name of a process's program, if the process is still the one with this start time.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn program(id: u32, started: u64) -> Option<String> {
    let proc = ProcFs::of_our_ids().ok()?;
    // Only the user of the process can read the link. Every user can read the process's own title (its first
    // 15 bytes).
    let file = std::fs::read_link(format!("/proc/{id}/exe")).ok();
    let file = file.and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
    let name = match file {
        Some(file) => file.strip_suffix(" (deleted)").map_or(file.clone(), str::to_owned),
        None => {
            let name = std::fs::read(format!("/proc/{id}/comm")).ok()?;
            String::from_utf8_lossy(&name).trim_end_matches('\n').to_owned()
        }
    };
    // Checked last: if the id belongs to that process now, it did so during the reads above.
    (proc.state(id).ok()?.0.started == started).then_some(name)
}

/// Returns the file name of a process's program, if the process is still the one with this start time.
#[cfg(target_vendor = "apple")]
pub(crate) fn program(id: u32, started: u64) -> Option<String> {
    let mut path = [0_u8; libc::PROC_PIDPATHINFO_MAXSIZE as usize];
    let room = u32::try_from(path.len()).ok()?;
    // SAFETY: the destination is valid for `room` bytes.
    let len = unsafe { libc::proc_pidpath(id.try_into().ok()?, path.as_mut_ptr().cast(), room) };
    let path = path.get(..usize::try_from(len).ok()?)?;
    let file = path.rsplit(|byte| *byte == b'/').next().filter(|file| !file.is_empty())?;
    // Checked last, as on Linux.
    (state(id)?.0 == started).then(|| String::from_utf8_lossy(file).into_owned())
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
pub(crate) fn program(_: u32, _: u64) -> Option<String> {
    None
}

/// Returns unpredictable bytes.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn random() -> Result<[u8; 16], Failure> {
    let mut bytes = [0_u8; 16];
    // The kernel returns so few bytes in one piece once its generator is ready.
    match rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()) {
        Ok(_) => Ok(bytes),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn random() -> Result<[u8; 16], Failure> {
    use std::io::Read;
    let mut bytes = [0; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}
