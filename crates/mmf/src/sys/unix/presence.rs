//! Who is still there: places that the kernel holds for a process as long as it lives, and what it says of processes.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU32, Ordering};

use super::memory::Object;
#[cfg(not(target_vendor = "apple"))]
use super::process::Process;
use super::wait::Family;
use crate::sys::Failure;

/// The places of one memory, as one of its holders sees and claims them.
///
/// Linux: a place is a byte of the memory's file, far behind its end, and claiming is a write lock on it that belongs to the open file
/// description made for it. It neither meets the `flock` by which holders are counted nor the locks of others further up.
#[derive(Debug)]
pub(crate) struct Presence {
    #[cfg_attr(not(any(target_os = "linux", target_os = "android")), allow(dead_code))]
    fd: Option<OwnedFd>,
}

#[cfg(any(target_os = "linux", target_os = "android"))]
const FIRST_BYTE: i64 = 1 << 60;

impl Presence {
    /// For who may claim, if `writable`; else for who looks.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(crate) fn new(object: &Object, _: &Family, writable: bool) -> Self {
        // Without /proc, or of another user's memory that was handed over, it cannot be opened anew. Then nothing is claimed, and
        // processes are told by id and start alone.
        Presence { fd: super::named::reopen_uncounted(object.as_fd(), writable).ok() }
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(crate) fn new(_: &Object, _: &Family, _: bool) -> Self {
        Presence { fd: None }
    }

    /// Claims a place. `None` if the kernel cannot hold places here; `Some(false)` if somebody else has it.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(crate) fn claim(&self, place: u32) -> Option<bool> {
        let fd = self.fd.as_ref()?;
        let mut lock = lock_of(libc::F_WRLCK, place);
        match fcntl(fd, libc::F_OFD_SETLK, &mut lock) {
            Ok(()) => Some(true),
            Err(libc::EAGAIN | libc::EACCES) => Some(false),
            Err(_) => None,
        }
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(crate) fn claim(&self, _: u32) -> Option<bool> {
        None
    }

    /// Gives a place back that this one has claimed.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(crate) fn release(&self, place: u32) {
        if let Some(fd) = &self.fd {
            let _ = fcntl(fd, libc::F_OFD_SETLK, &mut lock_of(libc::F_UNLCK, place));
        }
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(crate) fn release(&self, _: u32) {}

    /// Whether somebody else holds a place. `None` if that cannot be asked.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(crate) fn is_claimed(&self, place: u32) -> Option<bool> {
        let fd = self.fd.as_ref()?;
        let mut lock = lock_of(libc::F_WRLCK, place);
        fcntl(fd, libc::F_OFD_GETLK, &mut lock).ok()?;
        Some(libc::c_int::from(lock.l_type) != libc::F_UNLCK)
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(crate) fn is_claimed(&self, _: u32) -> Option<bool> {
        None
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn lock_of(kind: libc::c_int, place: u32) -> libc::flock {
    // SAFETY: a plain C structure for which all zeros is a value.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    #[allow(clippy::cast_possible_truncation, reason = "small constants")]
    {
        lock.l_type = kind as libc::c_short;
        lock.l_whence = libc::SEEK_SET as libc::c_short;
    }
    lock.l_start = FIRST_BYTE + i64::from(place);
    lock.l_len = 1;
    lock
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn fcntl(fd: &OwnedFd, command: libc::c_int, lock: &mut libc::flock) -> Result<(), libc::c_int> {
    use std::os::fd::AsRawFd;
    // SAFETY: the descriptor is open, and these commands take a lock structure to read and to answer in.
    if unsafe { libc::fcntl(fd.as_raw_fd(), command, lock) } == 0 {
        Ok(())
    } else {
        Err(std::io::Error::last_os_error().raw_os_error().unwrap_or(0))
    }
}

/// A process that somebody waits for, to hear of its end. Here it is asked instead, time and again.
#[derive(Debug)]
pub(crate) struct Watch(std::convert::Infallible);

/// What the system says of a process.
#[derive(Debug)]
pub(crate) enum Life {
    /// There is none of this id; or it is another one.
    Ended,
    /// It is there. It may be possible to wait for its end.
    #[cfg_attr(
        not(any(target_os = "linux", target_os = "android", target_vendor = "apple")),
        allow(dead_code)
    )]
    Alive(Option<Watch>),
    Unknown,
}

/// Asks about a process; `started` is 0 if that is not known.
pub(crate) fn life(id: u32, started: u64, namespace: u64) -> Life {
    if namespace != this_namespace() {
        return Life::Unknown;
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    match Process::state(id) {
        Ok((_, true)) => Life::Ended,
        Ok((process, false)) if started != 0 && process.started != started => Life::Ended,
        Ok(_) => Life::Alive(None),
        // What /proc does not show may be hidden from this user, or there is no /proc.
        Err(_) => by_number(id),
    }
    #[cfg(target_vendor = "apple")]
    match state(id) {
        Some((_, true)) => Life::Ended,
        Some((now, false)) if started != 0 && now != started => Life::Ended,
        Some(_) => Life::Alive(None),
        None => by_number(id),
    }
    #[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
    {
        let _ = started;
        by_number(id)
    }
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

/// Whether there is any process of this number, which may be another one by now.
fn by_number(id: u32) -> Life {
    let pid = i32::try_from(id).ok().and_then(rustix::process::Pid::from_raw);
    match pid.map(rustix::process::test_kill_process) {
        Some(Err(rustix::io::Errno::SRCH)) | None => Life::Ended,
        _ => Life::Unknown,
    }
}

/// What the program's file is called that a process runs, if it still is the one that was started then.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn program(id: u32, started: u64) -> Option<String> {
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
    (Process::state(id).ok()?.0.started == started).then_some(name)
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

/// When this process was started, as [`life`] wants it.
#[cfg(target_vendor = "apple")]
pub(crate) fn started() -> u64 {
    state(std::process::id()).map_or(0, |(started, _)| started)
}

/// When this process was started, as [`life`] wants it.
#[cfg(not(target_vendor = "apple"))]
pub(crate) fn started() -> u64 {
    Process::current().map_or(0, |process| process.started)
}

/// What process ids are to be compared in: 0 if that is not known.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn this_namespace() -> u64 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self/ns/pid").map_or(0, |file| file.ino())
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn this_namespace() -> u64 {
    0
}

/// How often this process has become another one by `fork` (without `exec`): what belonged to the parent is not the child's.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// To be called before [`forks`] can be relied on.
pub(crate) fn notice_forks() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    extern "C" fn in_child() {
        FORKS.fetch_add(1, Ordering::Relaxed);
    }
    ONCE.call_once(|| {
        // SAFETY: the handler only adds to an atomic, which is allowed in a child of a process with threads.
        let _ = unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    });
}

#[inline]
pub(crate) fn forks() -> u32 {
    FORKS.load(Ordering::Relaxed)
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
