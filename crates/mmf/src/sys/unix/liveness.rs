//! Which participants are still there: slots that the kernel holds for a process, and what it says of processes.
//!
//! Linux: a slot is a byte of the region's file, far behind its end, and holding it is a write lock on that byte
//! by an open file description of its own (`F_OFD_SETLK`). It neither meets the `flock` by which holders are
//! counted nor the locks of others further up.
//!
//! The description is kept open by a *mapping* that no child inherits (`MADV_DONTFORK`), and by nothing else: its
//! descriptor is closed as soon as the slot is held. So the lock lasts exactly as long as the memory of the
//! process that joined: no fork keeps it, by whatever call; no program that closes all its descriptors gives it
//! up; and it costs no descriptor. That is why the kernel's answer about a held slot is final. Process ids, start
//! times and `/proc` are looked at only for processes that the kernel holds no slot for.

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
use super::wait::SegmentObjects;
use crate::sys::{Claimed, Failure, ProcessIdentity};

/// The slots of one region, as they can be asked about.
#[derive(Debug)]
pub(crate) struct Slots;

impl Slots {
    pub(crate) fn new(_: &SegmentObjects) -> Self {
        Slots
    }

    /// Whether the kernel holds a slot for anybody, this process included. `None` if that cannot be asked.
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

    /// What slots are claimed with. Fails only if this process has reached a limit.
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

/// What slots are claimed with, for a moment. What it has claimed and nobody keeps is given up when it is dropped.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[derive(Debug)]
pub(crate) struct SlotClaimer {
    /// The region through a description of its own; `None` where it cannot be opened anew.
    fd: Option<OwnedFd>,
    mapped: usize,
    /// A child that is forked while the descriptor is open would keep what it holds. (Dropped after it.)
    _no_fork: NoFork,
}

#[cfg(any(target_os = "linux", target_os = "android"))]
impl SlotClaimer {
    pub(crate) fn claim(&self, slot: u32) -> Claimed {
        let Some(fd) = &self.fd else { return Claimed::Impossible };
        match linux::set_lock(fd.as_fd(), libc::F_WRLCK, slot) {
            Ok(()) => Claimed::Held,
            // A process that may only read cannot have a write lock, and must not decide who joins.
            Err(libc::EAGAIN | libc::EACCES) => match linux::is_write_locked(fd.as_fd(), slot) {
                Some(false) => Claimed::Obstructed,
                _ => Claimed::Taken,
            },
            Err(_) => Claimed::Impossible,
        }
    }

    /// Gives up a slot that this one has claimed.
    pub(crate) fn release(&self, slot: u32) {
        if let Some(fd) = &self.fd {
            let _ = linux::set_lock(fd.as_fd(), libc::F_UNLCK, slot);
        }
    }

    /// Keeps what is claimed for as long as the memory of this process lasts, or until it is dropped.
    pub(crate) fn keep(self) -> Result<HeldSlots, Failure> {
        use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap};
        let Some(fd) = &self.fd else { return Ok(HeldSlots { address: 0, len: 0, process: fork_epoch() }) };
        let (len, flags) = (self.mapped, MapFlags::PRIVATE | MapFlags::NORESERVE);
        // SAFETY: a null hint lets the kernel choose the place, so nothing that is mapped already is touched; and
        // nothing can be accessed through what is mapped.
        let base = unsafe { mmap(std::ptr::null_mut(), len, ProtFlags::empty(), flags, fd, 0) }?;
        let hold = HeldSlots { address: base.addr(), len, process: fork_epoch() };
        // SAFETY: the range was mapped above; no child is made that would miss it.
        unsafe { madvise(base, len, Advice::LinuxDontFork) }?;
        Ok(hold)
    }
}

/// A slot that the kernel holds for this process.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[derive(Debug)]
pub(crate) struct HeldSlots {
    /// Of a mapping that nobody accesses. (As a number: it is no place to read or write.)
    address: usize,
    len: usize,
    process: u32,
}

#[cfg(any(target_os = "linux", target_os = "android"))]
impl Drop for HeldSlots {
    fn drop(&mut self) {
        // A child has no such mapping, and may have something else there.
        if self.len == 0 || self.process != fork_epoch() {
            return;
        }
        // SAFETY: this is the range that mmap gave, in the same process, and nobody accesses it.
        let result = unsafe { rustix::mm::munmap(std::ptr::without_provenance_mut(self.address), self.len) };
        debug_assert!(result.is_ok(), "munmap: {result:?}");
    }
}

/// Here the kernel holds no slots.
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

    /// The same object through an open file description of its own. `None` where that is not possible: without
    /// `/proc`, or of another user's region, if it has no name by which it can be opened.
    pub(super) fn open_again(object: &Object) -> Result<Option<OwnedFd>, Failure> {
        let opened = named::reopen_uncounted(object.as_fd(), true);
        let by_name = |failure: Failure| {
            let Some(name) = object.name() else { return Err(failure) };
            let access =
                OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
            let fd = open(name.path(), access, Mode::empty())?;
            // Another one may have the name by now.
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

    /// Whether a write lock is on the slot's byte, through another description than this one. Read locks are none of
    /// ours: any process that may read can take them.
    pub(super) fn is_write_locked(fd: BorrowedFd<'_>, slot: u32) -> Option<bool> {
        // Only what would be in the way of a read lock is reported.
        let mut lock = lock_of(libc::F_RDLCK, slot);
        fcntl(fd, libc::F_OFD_GETLK, &mut lock).ok()?;
        Some(libc::c_int::from(lock.l_type) != libc::F_UNLCK)
    }

    fn lock_of(kind: libc::c_int, slot: u32) -> libc::flock {
        // SAFETY: a plain C structure for which all zeros is a value.
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
        // SAFETY: the descriptor is open, and these commands take a lock structure to read and to answer in.
        if unsafe { libc::fcntl(fd.as_raw_fd(), command, lock) } == 0 {
            Ok(())
        } else {
            Err(std::io::Error::last_os_error().raw_os_error().unwrap_or(0))
        }
    }
}

/// A process that somebody waits for, to hear of its end. Here it is asked instead, time and again.
#[derive(Debug)]
pub(crate) struct ProcessHandle(std::convert::Infallible);

/// What the system says of a process.
#[derive(Debug)]
pub(crate) enum ProcessState {
    /// There is none of this id; or it is another one.
    Ended,
    /// It is there. It may be possible to wait for its end.
    Alive(Option<ProcessHandle>),
    Unknown,
}

/// Asks about a process. `is_held`: the kernel holds its slot.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn process_state(process: &ProcessIdentity, is_held: bool) -> ProcessState {
    if is_held {
        return ProcessState::Alive(None);
    }
    // An unknown namespace is the same as no other, also not as another unknown one.
    if process.pid_namespace == 0 || process.pid_namespace != identity().pid_namespace {
        return ProcessState::Unknown;
    }
    if !is_number_in_use(process.id) {
        return ProcessState::Ended;
    }
    let Ok(proc) = ProcFs::of_our_ids() else { return ProcessState::Unknown };
    match proc.state(process.id) {
        Ok((_, true)) => ProcessState::Ended,
        // The start is told in the time namespace of the one who reads it, which can change in the life of a process.
        Ok((now, false)) if process.started != 0 && now.started != process.started => {
            let (_, here) = proc.namespaces();
            if here != 0 && here == process.time_namespace {
                ProcessState::Ended
            } else {
                ProcessState::Unknown
            }
        }
        Ok(_) => ProcessState::Alive(None),
        // It may be hidden from this user.
        Err(_) => ProcessState::Unknown,
    }
}

/// Asks about a process.
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

/// Asks about a process.
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
pub(crate) fn process_state(process: &ProcessIdentity, _: bool) -> ProcessState {
    if is_number_in_use(process.id) { ProcessState::Unknown } else { ProcessState::Ended }
}

/// Whether there is any process of this number, which may be another one by now.
fn is_number_in_use(id: u32) -> bool {
    let pid = i32::try_from(id).ok().and_then(rustix::process::Pid::from_raw);
    !matches!(pid.map(rustix::process::test_kill_process), Some(Err(rustix::io::Errno::SRCH)) | None)
}

/// What others can tell this process by.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn identity() -> ProcessIdentity {
    let found = super::forks::remember(|| {
        let (pid, time) = ProcFs::open().map_or((0, 0), |proc| proc.namespaces());
        // (It is told in the time namespace of now, which is noted beside it.)
        let started = super::process::Process::current().map_or(0, |process| process.started);
        [started, pid, time]
    });
    let [started, pid_namespace, time_namespace] = found;
    ProcessIdentity { id: std::process::id(), started, pid_namespace, time_namespace }
}

/// What others can tell this process by.
#[cfg(target_vendor = "apple")]
pub(crate) fn identity() -> ProcessIdentity {
    let id = std::process::id();
    let started = state(id).map_or(0, |(started, _)| started);
    ProcessIdentity { id, started, pid_namespace: 0, time_namespace: 0 }
}

/// What others can tell this process by.
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
pub(crate) fn identity() -> ProcessIdentity {
    ProcessIdentity { id: std::process::id(), ..ProcessIdentity::default() }
}

/// When the process of this number was started, in microseconds, and whether it has ended and only its parent has not noticed.
#[cfg(target_vendor = "apple")]
fn state(id: u32) -> Option<(u64, bool)> {
    const ALSO_ENDED: u64 = 1;
    // SAFETY: a plain C structure for which all zeros is a value.
    let mut info: libc::proc_bsdinfo = unsafe { std::mem::zeroed() };
    let len = libc::c_int::try_from(size_of::<libc::proc_bsdinfo>()).ok()?;
    let (id, place) = (id.try_into().ok()?, (&raw mut info).cast());
    // SAFETY: room for so many bytes.
    let got = unsafe { libc::proc_pidinfo(id, libc::PROC_PIDTBSDINFO, ALSO_ENDED, place, len) };
    let started = info.pbi_start_tvsec.checked_mul(1_000_000)?.checked_add(info.pbi_start_tvusec)?;
    (got == len).then_some((started, info.pbi_status == libc::SZOMB))
}

/// What the program's file is called that a process runs, if it still is the one that was started then.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn program(id: u32, started: u64) -> Option<String> {
    let proc = ProcFs::of_our_ids().ok()?;
    // Only its user may know the file; what the process calls itself, its first 15 bytes, everybody may.
    let file = std::fs::read_link(format!("/proc/{id}/exe")).ok();
    let file = file.and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
    let name = match file {
        Some(file) => file.strip_suffix(" (deleted)").map_or(file.clone(), str::to_owned),
        None => {
            let name = std::fs::read(format!("/proc/{id}/comm")).ok()?;
            String::from_utf8_lossy(&name).trim_end_matches('\n').to_owned()
        }
    };
    // Afterwards: if it is that one now, it was so all the time.
    (proc.state(id).ok()?.0.started == started).then_some(name)
}

/// The same.
#[cfg(target_vendor = "apple")]
pub(crate) fn program(id: u32, started: u64) -> Option<String> {
    let mut path = [0_u8; libc::PROC_PIDPATHINFO_MAXSIZE as usize];
    let room = u32::try_from(path.len()).ok()?;
    // SAFETY: room for so many bytes.
    let len = unsafe { libc::proc_pidpath(id.try_into().ok()?, path.as_mut_ptr().cast(), room) };
    let path = path.get(..usize::try_from(len).ok()?)?;
    let file = path.rsplit(|byte| *byte == b'/').next().filter(|file| !file.is_empty())?;
    // Afterwards: as on Linux.
    (state(id)?.0 == started).then(|| String::from_utf8_lossy(file).into_owned())
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
pub(crate) fn program(_: u32, _: u64) -> Option<String> {
    None
}

/// Bytes that nobody can guess.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn random() -> Result<[u8; 16], Failure> {
    let mut bytes = [0_u8; 16];
    // So few bytes come in one piece, once the kernel has any.
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
