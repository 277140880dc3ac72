//! Other processes: passing descriptors to them, and their identity.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use rustix::fs::fstat;
use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_getfd, fcntl_setfd};

pub(crate) use crate::sys::Process;
use crate::sys::{Failure, Reason};

/// Returns device and inode, which distinguish an object from all others that exist at the same time.
pub(crate) fn identity(fd: BorrowedFd<'_>) -> Result<(u64, u64), Failure> {
    let stat = fstat(fd)?;
    #[allow(clippy::unnecessary_cast, clippy::cast_sign_loss, reason = "they have other types elsewhere")]
    Ok((stat.st_dev as u64, stat.st_ino as u64))
}

/// A descriptor that the children of one command inherit while this value exists, and that no other child
/// inherits.
#[derive(Debug)]
pub(crate) struct Inherited {
    fd: OwnedFd,
    /// The descriptor for the command's children, or -1 once this value has been dropped. The command keeps
    /// the closure as long as it exists.
    number: Arc<AtomicI32>,
}

impl Inherited {
    pub(crate) fn new(command: &mut Command, fd: OwnedFd) -> Result<Self, Failure> {
        // The descriptors below 3 are the child's standard streams.
        let fd = if fd.as_raw_fd() < 3 { fcntl_dupfd_cloexec(&fd, 3)? } else { fd };
        let number = Arc::new(AtomicI32::new(fd.as_raw_fd()));
        let shared = Arc::clone(&number);
        let keep_open = move || {
            let number = shared.load(Ordering::Relaxed);
            if number >= 0 {
                // Only in the child: in this process the descriptor stays close-on-exec, so no child of
                // another thread inherits it.
                // SAFETY: `Inherited` keeps the descriptor open as long as `number` is not negative, and
                // `fork` copies it, so it is open here.
                fcntl_setfd(unsafe { BorrowedFd::borrow_raw(number) }, FdFlags::empty())?;
            }
            Ok(())
        };
        // SAFETY: between fork and exec the closure only loads an atomic and makes one system call. Both are
        // async-signal-safe, and the closure neither locks nor allocates.
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

/// Takes ownership of a descriptor that this process has inherited, once, if it refers to the expected
/// object.
///
/// The number comes from outside and may name any descriptor. So the object is checked first. A close-on-exec
/// descriptor is refused, since it has not survived an exec: every descriptor that code in this process has
/// opened is one.
pub(crate) fn take_inherited(number: RawFd, object: (u64, u64)) -> Result<OwnedFd, Failure> {
    let wrong = Failure::new(Reason::WrongKind);
    if number < 3 {
        return Err(wrong);
    }
    // SAFETY: `theirs` is used only for system calls, which return an error for a descriptor that is not
    // open, and it is not closed by this value.
    let theirs = unsafe { BorrowedFd::borrow_raw(number) };
    if identity(theirs).map_err(|_| wrong)? != object || fcntl_getfd(theirs)?.contains(FdFlags::CLOEXEC) {
        return Err(wrong);
    }
    let own = fcntl_dupfd_cloexec(theirs, 3)?;
    // Another thread may have replaced the descriptor meanwhile.
    if identity(own.as_fd())? != object {
        return Err(wrong);
    }
    // SAFETY: the checks above show that the descriptor was inherited for this call, so no other value in
    // this process owns it. The caller serialises these calls, and once it is closed no later one finds it.
    drop(unsafe { OwnedFd::from_raw_fd(number) });
    Ok(own)
}

/// An open `/proc`: everything is read from one mount, even if another one is mounted over it.
#[derive(Debug)]
pub(super) struct ProcFs(OwnedFd);

/// The time namespace that is reported for kernels without them, where all processes share one.
const NO_TIME_NAMESPACES: u64 = 1;

impl ProcFs {
    pub(super) fn open() -> Result<Self, Failure> {
        use rustix::fs::{Mode, OFlags, open};
        if cfg!(not(any(target_os = "linux", target_os = "android"))) {
            return Err(Failure::new(Reason::Unsupported));
        }
        // Only Linux has descriptors that are mere paths.
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let access = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        let access = OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(ProcFs(open("/proc", access, Mode::empty())?))
    }

    /// Opens `/proc` if its process ids have the same meaning as in this process. A mount of `/proc` shows
    /// one pid namespace, which need not be the one of this process.
    pub(super) fn of_our_ids() -> Result<Self, Failure> {
        let unsupported = Failure::new(Reason::Unsupported);
        let proc = ProcFs::open().map_err(|_| unsupported)?;
        // The ids of this process, from the displayed namespace down to its own.
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

    /// Returns the pid namespace and the time namespace of this process as inodes, or 0 where unknown. They
    /// do not depend on the displayed namespace.
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

    /// Returns the process that has this id now, and whether it has ended but is not yet reaped. Only Linux
    /// reports the start time.
    pub(super) fn state(&self, id: u32) -> Result<(Process, bool), Failure> {
        // The file of the first thread has the same contents, and user-mode emulators replace the one of the
        // process.
        let stat = self.read(&format!("{id}/task/{id}/stat"))?;
        // The second field is the program's name in brackets and may contain anything. The start time is the
        // 22nd.
        let rest = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        let field = |number: usize| rest.split(' ').nth(number - 3);
        let started = field(22).and_then(|field| field.parse().ok());
        let started = started.ok_or(Failure::new(Reason::Other))?;
        // The first thread may have ended before the others. Then the process still has several threads.
        let few = field(20).and_then(|field| field.parse::<u32>().ok()).is_some_and(|threads| threads <= 1);
        let ended = few && matches!(field(3), Some("Z" | "X" | "x"));
        Ok((Process { id, started }, ended))
    }
}

/// As [`ProcFs::namespaces`].
pub(crate) fn namespaces() -> (u64, u64) {
    ProcFs::open().map_or((0, 0), |proc| proc.namespaces())
}

impl Process {
    /// Returns this process. Fails with `Unsupported` without `/proc`, or if it shows the ids of another
    /// namespace.
    pub(crate) fn current() -> Result<Self, Failure> {
        Process::with_id(std::process::id())
    }

    /// Returns the process that has this id now.
    pub(crate) fn with_id(id: u32) -> Result<Self, Failure> {
        ProcFs::of_our_ids()?.state(id).map(|(process, _)| process)
    }

    /// Reopens the region behind a descriptor of this process, if it belongs to the same user and has the
    /// rights itself.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn open(self, _: RawFd, _: (u64, u64), _: bool) -> Result<OwnedFd, Failure> {
        Err(Failure::new(Reason::Unsupported))
    }

    /// Reopens the region behind a descriptor of this process, if it belongs to the same user and has the
    /// rights itself.
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
        // The receiver may have more rights than the sender, and must not use them on behalf of a text that
        // any user can write.
        if rustix::fs::stat(&directory)?.st_uid != rustix::process::geteuid().as_raw() {
            return Err(Failure::new(Reason::Stranger));
        }
        let path = format!("{directory}/fd/{number}");
        // By now the descriptor may refer to a pipe, or to a device whose opening has side effects. So at
        // first only its path is opened.
        let found = open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        if identity(found.as_fd())? != object {
            return Err(wrong);
        }
        // The type of this field depends on the processor and the C library.
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
