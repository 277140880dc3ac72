//! Files that snapshots are saved to and loaded from.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::UNIX_EPOCH;

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, fchmod, fstat, fstatvfs, openat, renameat, statat, unlinkat,
};
use rustix::io::Errno;

use super::limits::limits;
use super::memory::Object;
use crate::sys::{Failure, Reason};

/// The minimum number of zeros that become a hole in the file. Shorter holes would save little and fragment
/// the file.
pub(crate) const HOLE: usize = 16 << 10;

/// Translates error codes whose meaning differs between files and memory.
fn about_file(errno: Errno) -> Failure {
    let failure = Failure::from(errno);
    let reason = match errno {
        Errno::NOSPC | Errno::DQUOT => Reason::NoRoom,
        Errno::NOTDIR => Reason::Missing,
        Errno::TXTBSY | Errno::BUSY => Reason::InUse,
        Errno::NAMETOOLONG | Errno::ILSEQ => Reason::BadName,
        _ => failure.reason,
    };
    Failure { reason, ..failure }
}

/// Returns the kind of the object at a path, if it is not a file.
pub(crate) fn what_else(path: &Path, follow: bool) -> Option<&'static str> {
    let stat = if follow { rustix::fs::stat(path) } else { rustix::fs::lstat(path) }.ok()?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => None,
        FileType::Directory => Some("directory"),
        FileType::Symlink => Some("symbolic link"),
        FileType::Socket => Some("socket"),
        FileType::Fifo => Some("pipe"),
        _ => Some("device"),
    }
}

/// Returns the next range at or after an offset that has ever been written, or `None`. The range is unbounded
/// where the system does not report it. Moves the descriptor's position.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn next_data(fd: BorrowedFd<'_>, from: u64) -> Option<Range<u64>> {
    use rustix::fs::{SeekFrom, seek};
    match seek(fd, SeekFrom::Data(from)) {
        // No data precedes `from`, whatever a file system reports.
        Ok(start) => Some(start.max(from)..seek(fd, SeekFrom::Hole(start)).unwrap_or(u64::MAX)),
        Err(Errno::NXIO) => None,
        Err(_) => Some(from..u64::MAX),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[allow(clippy::unnecessary_wraps, reason = "the others can tell")]
fn next_data(_: BorrowedFd<'_>, from: u64) -> Option<Range<u64>> {
    Some(from..u64::MAX)
}

fn read_at(fd: BorrowedFd<'_>, offset: u64, bytes: &mut [u8]) -> Result<usize, Errno> {
    loop {
        match rustix::io::pread(fd, &mut *bytes, offset) {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}

fn write_all_at(fd: BorrowedFd<'_>, mut offset: u64, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match rustix::io::pwrite(fd, bytes, offset) {
            Ok(0) => return Err(Errno::IO),
            Ok(written) => {
                offset += written as u64;
                bytes = &bytes[written..];
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// A file to load from.
#[derive(Debug)]
pub(crate) struct Source {
    fd: OwnedFd,
}

impl Source {
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        // Non-blocking: opening a pipe would wait for a writer.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(about_file)?;
        if FileType::from_raw_mode(fstat(&fd)?.st_mode) != FileType::RegularFile {
            return Err(Failure::new(Reason::WrongKind));
        }
        #[cfg(any(target_os = "linux", target_os = "android"))]
        // Only advice: the system reads further ahead.
        let _ = rustix::fs::fadvise(&fd, 0, None, rustix::fs::Advice::Sequential);
        Ok(Source { fd })
    }

    pub(crate) fn len(&self) -> Result<u64, Failure> {
        Ok(u64::try_from(fstat(&self.fd)?.st_size).unwrap_or(0))
    }

    /// Returns the next range of data, see [`next_data`].
    pub(crate) fn next_data(&self, from: u64) -> Option<Range<u64>> {
        next_data(self.fd.as_fd(), from)
    }

    /// Reads some bytes, or none at the end of the file.
    pub(crate) fn read_at(&self, offset: u64, bytes: &mut [u8]) -> Result<usize, Failure> {
        read_at(self.fd.as_fd(), offset, bytes).map_err(about_file)
    }
}

/// The bytes of a region by its descriptor: the system copies them without a view, leaves untouched pages
/// untouched, and returns an error where a view would fault.
#[derive(Debug)]
pub(crate) struct Direct<'a> {
    fd: BorrowedFd<'a>,
    /// Another description of the same object with a position of its own, or `None` if it cannot be reopened.
    own: Option<OwnedFd>,
}

impl<'a> Direct<'a> {
    /// Returns `None` for regions that cannot be read and written in this way.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(crate) fn new(object: &'a Object) -> Option<Self> {
        let fd = object.as_fd();
        // In append mode writes ignore the offset, and direct I/O requires aligned buffers.
        if rustix::fs::fcntl_getfl(fd).ok()?.intersects(OFlags::APPEND | OFlags::DIRECT) {
            return None;
        }
        let own = rustix::fs::open(path_of(&fd), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok();
        Some(Direct { fd, own })
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(crate) fn new(_: &'a Object) -> Option<Self> {
        None
    }

    /// Returns the next range of data, see [`next_data`].
    pub(crate) fn next_data(&self, from: u64) -> Option<Range<u64>> {
        match &self.own {
            Some(own) => next_data(own.as_fd(), from),
            None => Some(from..u64::MAX),
        }
    }

    /// Returns approximately how many bytes have ever been written.
    pub(crate) fn allocated(&self) -> Option<u64> {
        u64::try_from(fstat(self.fd).ok()?.st_blocks).ok()?.checked_mul(512)
    }

    /// Reads some bytes, or none at the end of the file.
    pub(crate) fn read_at(&self, offset: u64, bytes: &mut [u8]) -> Result<usize, Failure> {
        Ok(read_at(self.own.as_ref().map_or(self.fd, OwnedFd::as_fd), offset, bytes)?)
    }

    pub(crate) fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), Failure> {
        Ok(write_all_at(self.fd, offset, bytes)?)
    }
}

/// Returns how many bytes from an address in a view have the same page state, and whether they are
/// accessible.
pub(crate) fn run_of_pages(_: *const u8, len: usize) -> (usize, bool) {
    (len, true)
}

/// An incomplete file: it has no name or a temporary one until it is complete. Dropping it before that
/// removes it.
#[derive(Debug)]
pub(crate) struct Draft {
    directory: OwnedFd,
    file: File,
    name: CString,
    temporary: Option<CString>,
}

impl Draft {
    /// Starts a file that will have this path.
    pub(crate) fn begin(path: &Path, replace: bool) -> Result<Self, Failure> {
        let wrong_kind = Failure::new(Reason::WrongKind);
        let name = match path.file_name() {
            Some(name) => CString::new(name.as_bytes()).map_err(|_| Failure::new(Reason::BadName))?,
            None if path.as_os_str().is_empty() => return Err(about_file(Errno::NOENT)),
            None => return Err(wrong_kind),
        };
        if path.as_os_str().as_bytes().ends_with(b"/") {
            return Err(wrong_kind);
        }
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        // Creating a file in a directory does not require the right to read the directory.
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(parent, flags | OFlags::RDONLY, Mode::empty());
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let directory = directory.or_else(|errno| match errno {
            Errno::ACCESS => rustix::fs::open(parent, flags | OFlags::PATH, Mode::empty()),
            _ => Err(errno),
        });
        let directory = directory.map_err(about_file)?;
        // Checked now rather than after everything has been written.
        match statat(&directory, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile => {
                return Err(wrong_kind);
            }
            Ok(_) if !replace => return Err(Failure::new(Reason::Exists)),
            Ok(_) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(about_file(errno)),
        }
        let (file, temporary) = match nameless(&directory) {
            Some(file) => (file, None),
            None => named(&directory)?,
        };
        let draft = Draft { directory, file: file.into(), name, temporary };
        // The umask may have removed rights of the owner.
        if Mode::from_raw_mode(fstat(&draft.file)?.st_mode) & new_file_mode() != new_file_mode() {
            fchmod(&draft.file, new_file_mode()).map_err(about_file)?;
        }
        Ok(draft)
    }

    /// Returns the free bytes of the file system.
    pub(crate) fn room(&self) -> Option<u64> {
        let system = fstatvfs(&self.file).ok()?;
        // A file system without a limit reports 0.
        if system.f_blocks == 0 {
            return None;
        }
        // The superuser can also use the reserved blocks.
        let blocks = if rustix::process::geteuid().is_root() { system.f_bfree } else { system.f_bavail };
        Some(blocks.saturating_mul(system.f_frsize))
    }

    /// Sets the length. Bytes that are not written later are zero.
    pub(crate) fn size(&self, len: u64) -> Result<(), Failure> {
        // Checked each time: the kernel would not only refuse the length, but also kill this process by a
        // signal.
        if let Some(most) = limits().file_size.filter(|most| len > *most) {
            let failure = Failure::new(Reason::Limit).with_figure(most);
            return Err(Failure { code: Some(Errno::FBIG.raw_os_error()), ..failure });
        }
        rustix::fs::ftruncate(&self.file, len).map_err(about_file)
    }

    /// Announces that a range of zeros will not be written.
    #[allow(clippy::unused_self, reason = "needed on other systems")]
    pub(crate) fn leave_out(&self) {}

    pub(crate) fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), Failure> {
        write_all_at(self.file.as_fd(), offset, bytes).map_err(about_file)
    }

    /// Starts writing a range back to the disk, so that little remains to wait for at the end.
    pub(crate) fn start_writing_back(&self, offset: u64, len: u64) {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let (Ok(offset), Ok(len)) = (i64::try_from(offset), i64::try_from(len)) {
            let fd = self.file.as_raw_fd();
            // Only advice: `finish` reports an error of the disk.
            // SAFETY: the descriptor is open, and the call does not access memory of this process.
            unsafe { libc::sync_file_range(fd, offset, len, libc::SYNC_FILE_RANGE_WRITE) };
        }
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        let _ = (offset, len);
    }

    /// Gives the file its name once all data is on the disk.
    pub(crate) fn finish(mut self, _len: u64, replace: bool) -> Result<(), Failure> {
        // The standard library selects the call that really waits for the disk.
        self.file
            .sync_all()
            .map_err(|error| Errno::from_io_error(&error).map_or(Failure::new(Reason::Other), about_file))?;
        if self.temporary.is_none() {
            if !replace {
                // One atomic step: linking never replaces a file.
                link(&self.file, &self.directory, &self.name).map_err(about_file)?;
                return self.sync_directory();
            }
            self.temporary = Some(free_name(|name| link(&self.file, &self.directory, name))?.1);
        }
        let temporary = self.temporary.as_deref().unwrap_or_default();
        let (directory, name) = (&self.directory, &self.name);
        if replace {
            renameat(directory, temporary, directory, name).map_err(about_file)?;
        } else {
            rename_new(directory, temporary, name).map_err(about_file)?;
        }
        self.temporary = None;
        self.sync_directory()
    }

    /// Writes the directory to the disk, so that the name survives a crash.
    fn sync_directory(&self) -> Result<(), Failure> {
        match rustix::fs::fsync(&self.directory) {
            // The directory was opened without the right to read, or its file system has nothing to
            // synchronise.
            Err(Errno::BADF | Errno::INVAL | Errno::NOTSUP | Errno::ROFS) => Ok(()),
            result => result.map_err(about_file),
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(name) = &self.temporary {
            // Ignored: the error that led here is the one to report.
            let _ = unlinkat(&self.directory, name, AtFlags::empty());
        }
    }
}

fn new_file_mode() -> Mode {
    Mode::RUSR | Mode::WUSR
}

/// Creates a file without a name, so that nothing remains if this process is killed. Returns `None` where
/// that is not possible.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn nameless(directory: &OwnedFd) -> Option<OwnedFd> {
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    let file = openat(directory, ".", flags, new_file_mode()).ok()?;
    // The file will get its name through this path.
    rustix::fs::accessat(CWD, path_of(&file), rustix::fs::Access::EXISTS, AtFlags::empty()).ok()?;
    Some(file)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn nameless(_: &OwnedFd) -> Option<OwnedFd> {
    None
}

fn path_of(file: &impl AsRawFd) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

fn link(file: &File, directory: &OwnedFd, name: &CStr) -> Result<(), Errno> {
    rustix::fs::linkat(CWD, path_of(file), directory, name, AtFlags::SYMLINK_FOLLOW)
}

/// Creates a file with a temporary name.
fn named(directory: &OwnedFd) -> Result<(OwnedFd, Option<CString>), Failure> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let (file, name) = free_name(|name| openat(directory, name, flags, new_file_mode()))?;
    Ok((file, Some(name)))
}

/// Calls `attempt` with unused names until it succeeds.
fn free_name<T>(mut attempt: impl FnMut(&CStr) -> Result<T, Errno>) -> Result<(T, CString), Failure> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let mut round = 0;
    loop {
        let time = UNIX_EPOCH.elapsed().map_or(0, |time| time.subsec_nanos());
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!(".mmf-{:x}-{number:x}-{time:x}.part", std::process::id());
        let name = CString::new(name).map_err(|_| Failure::new(Reason::BadName))?;
        match attempt(&name) {
            Err(Errno::EXIST) if round < 100 => round += 1,
            Err(errno) => return Err(about_file(errno)),
            Ok(done) => return Ok((done, name)),
        }
    }
}

/// Renames a file, unless the new name exists.
fn rename_new(directory: &OwnedFd, from: &CStr, to: &CStr) -> Result<(), Errno> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    match rustix::fs::renameat_with(directory, from, directory, to, rustix::fs::RenameFlags::NOREPLACE) {
        // Not every file system supports this.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
        result => return result,
    }
    rustix::fs::linkat(directory, from, directory, to, AtFlags::empty())?;
    unlinkat(directory, from, AtFlags::empty())
}
