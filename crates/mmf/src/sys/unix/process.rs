//! Other processes: what they are given, and how they are told from each other.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use rustix::fs::fstat;
use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_getfd, fcntl_setfd};

pub(crate) use crate::sys::Process;
use crate::sys::{Failure, Reason};

/// What tells one object from all others that exist at the same time.
pub(crate) fn identity(fd: BorrowedFd<'_>) -> Result<(u64, u64), Failure> {
    let stat = fstat(fd)?;
    #[allow(clippy::unnecessary_cast, clippy::cast_sign_loss, reason = "they have other types elsewhere")]
    Ok((stat.st_dev as u64, stat.st_ino as u64))
}

/// A descriptor that the children of one command inherit while it is there; no other child does.
#[derive(Debug)]
pub(crate) struct Inherited {
    fd: OwnedFd,
    /// What the command's children are told: the number, or -1 from the moment when this is dropped. The command keeps the
    /// closure for good.
    number: Arc<AtomicI32>,
}

impl Inherited {
    pub(crate) fn new(command: &mut Command, fd: OwnedFd) -> Result<Self, Failure> {
        // Below are the places of the child's standard streams.
        let fd = if fd.as_raw_fd() < 3 { fcntl_dupfd_cloexec(&fd, 3)? } else { fd };
        let number = Arc::new(AtomicI32::new(fd.as_raw_fd()));
        let told = Arc::clone(&number);
        let keep_open = move || {
            let number = told.load(Ordering::Relaxed);
            if number >= 0 {
                // In the child alone: in this process the descriptor is closed on exec at all times, so no other thread's child
                // can get it.
                // SAFETY: the parent keeps the descriptor open until the child is made, so the child has it.
                fcntl_setfd(unsafe { BorrowedFd::borrow_raw(number) }, FdFlags::empty())?;
            }
            Ok(())
        };
        // SAFETY: after the fork the closure loads an atomic and makes one system call: it takes no lock and no memory.
        unsafe { command.pre_exec(keep_open) };
        Ok(Inherited { fd, number })
    }

    pub(crate) fn number(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl Drop for Inherited {
    fn drop(&mut self) {
        self.number.store(-1, Ordering::Relaxed);
    }
}

/// Takes a descriptor that this process has inherited, if it is the object that it should be; once.
///
/// The number comes from outside and may be anything. So the object is identified first; and what would be closed on exec has
/// not come through one: that is how descriptors that somebody in this process owns are told from inherited ones.
pub(crate) fn take_inherited(number: RawFd, object: (u64, u64)) -> Result<OwnedFd, Failure> {
    let wrong = Failure::new(Reason::WrongKind);
    if number < 3 {
        return Err(wrong);
    }
    // SAFETY: not open, or not ours, is possible: the calls below only ask, or make a descriptor of their own, and say so.
    let theirs = unsafe { BorrowedFd::borrow_raw(number) };
    if identity(theirs).map_err(|_| wrong)? != object || fcntl_getfd(theirs)?.contains(FdFlags::CLOEXEC) {
        return Err(wrong);
    }
    let own = fcntl_dupfd_cloexec(theirs, 3)?;
    // Another thread could have put something else in its place meanwhile.
    if identity(own.as_fd())? != object {
        return Err(wrong);
    }
    // SAFETY: it was inherited for this very purpose (see above), and nobody else takes it: the caller asks one after the other,
    // and from now on it is closed.
    drop(unsafe { OwnedFd::from_raw_fd(number) });
    Ok(own)
}

/// `/proc`, as one directory: what is read through it comes from one mount, whatever is mounted there meanwhile.
#[derive(Debug)]
pub(super) struct ProcFs(OwnedFd);

/// The time namespace that is reported where the kernel has none: all processes are in the same one.
const NO_TIME_NAMESPACES: u64 = 1;

impl ProcFs {
    pub(super) fn open() -> Result<Self, Failure> {
        use rustix::fs::{Mode, OFlags, open};
        if cfg!(not(any(target_os = "linux", target_os = "android"))) {
            return Err(Failure::new(Reason::Unsupported));
        }
        // (Only Linux has descriptors that are no more than a place.)
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let access = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        let access = OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(ProcFs(open("/proc", access, Mode::empty())?))
    }

    /// `/proc`, if the process ids in it mean what they mean to this process. A mount of `/proc` shows one pid
    /// namespace, and that need not be the one that this process is in.
    pub(super) fn of_our_ids() -> Result<Self, Failure> {
        let unsupported = Failure::new(Reason::Unsupported);
        let proc = ProcFs::open().map_err(|_| unsupported)?;
        // The ids of this process, from the namespace that is shown to its own.
        let status = proc.read("self/status").map_err(|_| unsupported)?;
        let mut ids =
            status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or("").split_whitespace();
        let first = ids.next().and_then(|id| id.parse().ok());
        if first == Some(std::process::id()) && ids.next().is_none() { Ok(proc) } else { Err(unsupported) }
    }

    fn read(&self, path: &str) -> Result<String, Failure> {
        use rustix::fs::{Mode, OFlags, openat};
        use std::io::Read;
        let file = openat(&self.0, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let mut bytes = Vec::new();
        std::fs::File::from(file).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The pid namespace and the time namespace that this process is in, by their inodes; 0 if unknown. (They
    /// are this process's own whatever namespace is shown.)
    pub(super) fn namespaces(&self) -> (u64, u64) {
        let inode = |path: &str| {
            let stat = rustix::fs::statat(&self.0, path, rustix::fs::AtFlags::empty());
            #[allow(clippy::unnecessary_cast, reason = "it has other types elsewhere")]
            stat.map(|stat| stat.st_ino as u64)
        };
        let pid = inode("self/ns/pid").unwrap_or(0);
        let time = match inode("self/ns/time") {
            Err(rustix::io::Errno::NOENT) if pid != 0 => NO_TIME_NAMESPACES,
            inode => inode.unwrap_or(0),
        };
        (pid, time)
    }

    /// The process that has this number now, and whether it has ended and its parent has not reaped it. Only
    /// Linux says when it was started.
    pub(super) fn state(&self, id: u32) -> Result<(Process, bool), Failure> {
        // Of its first thread, which is the same: emulators of other processors put something of their own in
        // the place of the process's own file.
        let stat = self.read(&format!("{id}/task/{id}/stat"))?;
        // The second field is the program's name in brackets, which may hold anything; the start is the 22nd.
        let rest = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        let field = |number: usize| rest.split(' ').nth(number - 3);
        let started = field(22).and_then(|field| field.parse().ok());
        let started = started.ok_or(Failure::new(Reason::Other))?;
        // Its first thread may have ended before the others: then there is more than one.
        let few = field(20).and_then(|field| field.parse::<u32>().ok()).is_some_and(|threads| threads <= 1);
        let ended = few && matches!(field(3), Some("Z" | "X" | "x"));
        Ok((Process { id, started }, ended))
    }
}

/// The pid namespace and the time namespace that this process is in, by their inodes; 0 if unknown.
pub(crate) fn namespaces() -> (u64, u64) {
    ProcFs::open().map_or((0, 0), |proc| proc.namespaces())
}

impl Process {
    /// This process. `Unsupported` where there is no `/proc`, or where it shows other ids than this process's.
    pub(crate) fn current() -> Result<Self, Failure> {
        Process::with_id(std::process::id())
    }

    /// The process that has this number now. Only Linux tells when it was started.
    pub(crate) fn with_id(id: u32) -> Result<Self, Failure> {
        ProcFs::of_our_ids()?.state(id).map(|(process, _)| process)
    }

    /// Opens anew what a descriptor of this process refers to: a memory, if the process is this user's and has it open with
    /// these rights itself.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn open(self, _: RawFd, _: (u64, u64), _: bool) -> Result<OwnedFd, Failure> {
        Err(Failure::new(Reason::Unsupported))
    }

    /// Opens anew what a descriptor of this process refers to: a memory, if the process is this user's and has it open with
    /// these rights itself.
    #[cfg(target_os = "linux")]
    pub(crate) fn open(self, number: RawFd, object: (u64, u64), writable: bool) -> Result<OwnedFd, Failure> {
        use rustix::fs::{FileType, Mode, OFlags, fstatfs, open};
        const TMPFS: i64 = 0x0102_1994;
        let missing = Failure::new(Reason::Missing);
        let wrong = Failure::new(Reason::WrongKind);
        if Process::with_id(self.id)? != self {
            return Err(missing);
        }
        let directory = format!("/proc/{}", self.id);
        // Whoever receives may have more rights than who gives, and must not lend them to a text that anybody can write.
        if rustix::fs::stat(&directory)?.st_uid != rustix::process::geteuid().as_raw() {
            return Err(Failure::new(Reason::Stranger));
        }
        let path = format!("{directory}/fd/{number}");
        // It may be a pipe by now, or a device that something happens to when it is opened: so it is only pointed at, at first.
        let found = open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        if identity(found.as_fd())? != object {
            return Err(wrong);
        }
        // (Its type depends on the processor and the C library.)
        #[allow(clippy::unnecessary_cast, clippy::cast_possible_wrap, reason = "see above")]
        let system = fstatfs(&found)?.f_type as i64;
        let kind = FileType::from_raw_mode(fstat(&found)?.st_mode);
        if system != TMPFS || kind != FileType::RegularFile {
            return Err(wrong);
        }
        let information = std::fs::read_to_string(format!("{directory}/fdinfo/{number}"))?;
        let flags = information.lines().find_map(|line| line.strip_prefix("flags:"));
        let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok()).ok_or(wrong)?;
        let theirs = OFlags::from_bits_retain(flags) & (OFlags::RWMODE | OFlags::PATH);
        if theirs != OFlags::RDWR && (writable || theirs != OFlags::RDONLY) {
            return Err(Failure::new(Reason::ReadOnly));
        }
        let access = if writable { OFlags::RDWR } else { OFlags::RDONLY };
        let path = format!("/proc/self/fd/{}", found.as_raw_fd());
        Ok(open(path, access | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY, Mode::empty())?)
    }
}
