//! Files that memory is saved into and loaded from.

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::windows::fs::FileExt;
use std::os::windows::io::AsHandle;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::UNIX_EPOCH;

use windows_sys::Win32::Foundation as win;
use windows_sys::Win32::System::Memory::MEM_RESERVE;

use super::files::{self, WidePath};
use super::memory::Object;
use super::{LastError, api, security};
use crate::sys::{Failure, Reason};

/// Zeros that are not shorter become a hole in a file: what NTFS makes holes of.
pub(crate) const HOLE: usize = 64 << 10;

/// What the system says about files, where it means something else than about sections.
fn about_file(error: LastError) -> Failure {
    let failure = Failure::from(error);
    let reason = match error.0 {
        win::ERROR_DISK_FULL | win::ERROR_HANDLE_DISK_FULL | win::ERROR_DISK_QUOTA_EXCEEDED => Reason::NoRoom,
        win::ERROR_FILE_EXISTS | win::ERROR_ALREADY_EXISTS => Reason::Exists,
        win::ERROR_SHARING_VIOLATION | win::ERROR_LOCK_VIOLATION | win::ERROR_USER_MAPPED_FILE => {
            Reason::InUse
        }
        win::ERROR_WRITE_PROTECT => Reason::Denied,
        win::ERROR_INVALID_DRIVE
        | win::ERROR_BAD_NETPATH
        | win::ERROR_BAD_NET_NAME
        | win::ERROR_NOT_READY => Reason::Missing,
        win::ERROR_FILE_TOO_LARGE => Reason::TooLarge,
        win::ERROR_DIRECTORY => Reason::Missing,
        _ => failure.reason,
    };
    Failure { reason, ..failure }
}

fn about(error: &io::Error) -> Failure {
    let code = error.raw_os_error().map(|code| u32::from_ne_bytes(code.to_ne_bytes()));
    code.map_or(Failure::new(Reason::Other), |code| about_file(LastError(code)))
}

/// What a path leads to, if that is no file.
pub(crate) fn what_else(path: &Path, follow: bool) -> Option<&'static str> {
    let data = if follow { fs::metadata(path) } else { fs::symlink_metadata(path) };
    let kind = data.ok()?.file_type();
    if kind.is_symlink() {
        Some("symbolic link")
    } else if kind.is_dir() {
        Some("directory")
    } else {
        (!kind.is_file()).then_some("device")
    }
}

/// A file to load from.
#[derive(Debug)]
pub(crate) struct Source {
    file: File,
}

impl Source {
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let file = File::open(path).map_err(|error| {
            let failure = about(&error);
            // A directory is "access denied".
            let is_directory = failure.reason == Reason::Denied && path.is_dir();
            if is_directory { Failure { reason: Reason::WrongKind, ..failure } } else { failure }
        })?;
        if !file.metadata().map_err(|error| about(&error))?.is_file() {
            return Err(Failure::new(Reason::WrongKind));
        }
        Ok(Source { file })
    }

    pub(crate) fn len(&self) -> Result<u64, Failure> {
        Ok(self.file.metadata().map_err(|error| about(&error))?.len())
    }

    /// The next bytes at or after a place that have been written at some time; none if there are no more. Up to the end of the
    /// world where the system cannot tell.
    pub(crate) fn next_data(&self, from: u64) -> Option<Range<u64>> {
        let unknown = Some(from..u64::MAX);
        let Ok(start) = i64::try_from(from) else { return unknown };
        match files::first_allocated(self.file.as_handle(), start, i64::MAX - start) {
            Ok(None) => None,
            Ok(Some((start, len))) => {
                let (Ok(start), Ok(len)) = (u64::try_from(start), u64::try_from(len)) else { return unknown };
                Some(start.max(from)..start.saturating_add(len).max(from))
            }
            Err(_) => unknown,
        }
    }

    /// Reads some bytes; none at the end.
    pub(crate) fn read_at(&self, offset: u64, bytes: &mut [u8]) -> Result<usize, Failure> {
        match self.file.seek_read(bytes, offset) {
            Err(error) if error.raw_os_error() == i32::try_from(win::ERROR_HANDLE_EOF).ok() => Ok(0),
            result => result.map_err(|error| about(&error)),
        }
    }
}

/// Sections have no other access than by views.
#[derive(Debug)]
pub(crate) struct Direct<'a>(&'a core::convert::Infallible);

#[allow(clippy::unused_self, reason = "other systems have such a thing")]
impl<'a> Direct<'a> {
    pub(crate) fn new(_: &'a Object) -> Option<Self> {
        None
    }

    pub(crate) fn next_data(&self, _: u64) -> Option<Range<u64>> {
        match *self.0 {}
    }

    pub(crate) fn allocated(&self) -> Option<u64> {
        match *self.0 {}
    }

    pub(crate) fn read_at(&self, _: u64, _: &mut [u8]) -> Result<usize, Failure> {
        match *self.0 {}
    }

    pub(crate) fn write_at(&self, _: u64, _: &[u8]) -> Result<(), Failure> {
        match *self.0 {}
    }
}

/// How many bytes from an address on, which is in a view, have one state, and whether they can be touched: pages that are
/// only reserved cannot, and have never been written.
pub(crate) fn run_of_pages(address: *const u8, len: usize) -> (usize, bool) {
    match api::query_pages(address) {
        Ok(pages) => {
            let skipped = address.addr().wrapping_sub(pages.BaseAddress.addr());
            (pages.RegionSize.saturating_sub(skipped).clamp(1, len), pages.State != MEM_RESERVE)
        }
        Err(_) => (len, true),
    }
}

/// A file on the way: under a temporary name until it is complete. It is gone when this is dropped before, and when this
/// process is ended before.
#[derive(Debug)]
pub(crate) struct Draft {
    file: File,
    directory: PathBuf,
    path: PathBuf,
    /// None when it has its own name.
    temporary: Option<PathBuf>,
    is_sparse: AtomicBool,
}

impl Draft {
    /// Starts a file that is to have this path.
    pub(crate) fn begin(path: &Path, replace: bool) -> Result<Self, Failure> {
        let missing = || about_file(LastError(win::ERROR_PATH_NOT_FOUND));
        let wrong_kind = Failure::new(Reason::WrongKind);
        let path = if path.as_os_str().is_empty() {
            return Err(missing());
        } else if path.as_os_str().as_encoded_bytes().ends_with(b"\\")
            || path.as_os_str().as_encoded_bytes().ends_with(b"/")
            || path.file_name().is_none()
        {
            return Err(wrong_kind);
        } else {
            std::path::absolute(path).map_err(|_| Failure::new(Reason::BadName))?
        };
        let directory = path.parent().ok_or(wrong_kind)?.to_owned();
        // Said now rather than when everything has been written.
        match fs::symlink_metadata(&path) {
            Ok(data) if !data.is_file() => return Err(wrong_kind),
            Ok(_) if !replace => return Err(Failure::new(Reason::Exists)),
            _ => {}
        }
        let (file, temporary) = new_file(&directory)?;
        let file = File::from(file);
        // From here on nothing stays if this process is killed. Not every file system can; then a temporary file would stay.
        let _ = files::delete_when_closed(file.as_handle(), true);
        Ok(Draft { file, directory, path, temporary: Some(temporary), is_sparse: AtomicBool::new(false) })
    }

    /// Bytes that are left where it is.
    pub(crate) fn room(&self) -> Option<u64> {
        files::free_space(&WidePath::new(&self.directory)?).ok()
    }

    /// Gives it its length. What is not written then is zero.
    #[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "other systems do it now")]
    pub(crate) fn size(&self, _: u64) -> Result<(), Failure> {
        // Room would be taken for all of it, holes included. `finish` does it.
        Ok(())
    }

    /// Says that some bytes, which are zero, are not going to be written.
    pub(crate) fn leave_out(&self) {
        if !self.is_sparse.swap(true, Ordering::Relaxed) {
            // Where there are no holes, the system writes the zeros.
            let _ = files::set_sparse(self.file.as_handle());
        }
    }

    pub(crate) fn write_at(&self, mut offset: u64, mut bytes: &[u8]) -> Result<(), Failure> {
        while !bytes.is_empty() {
            let written = self.file.seek_write(bytes, offset).map_err(|error| about(&error))?;
            if written == 0 {
                return Err(Failure::new(Reason::Other));
            }
            offset += written as u64;
            bytes = &bytes[written..];
        }
        Ok(())
    }

    /// Has the system start to bring these bytes to the disk: it does so by itself.
    #[allow(clippy::unused_self, reason = "other systems want to be told")]
    pub(crate) fn start_writing_back(&self, _: u64, _: u64) {}

    /// Gives it its length, and its name when everything is on the disk.
    pub(crate) fn finish(mut self, len: u64, replace: bool) -> Result<(), Failure> {
        self.file.set_len(len).map_err(|error| about(&error))?;
        self.file.sync_all().map_err(|error| about(&error))?;
        files::delete_when_closed(self.file.as_handle(), false).or_else(|error| match error.0 {
            // Then it could not be wished for, either.
            win::ERROR_NOT_SUPPORTED | win::ERROR_INVALID_PARAMETER | win::ERROR_INVALID_FUNCTION => Ok(()),
            _ => Err(about_file(error)),
        })?;
        let temporary = self.temporary.as_deref().unwrap_or(Path::new(""));
        if replace {
            // In the way in which others may have the old one open.
            fs::rename(temporary, &self.path).map_err(|error| self.not_replaced(&error))?;
        } else {
            let bad = Failure::new(Reason::BadName);
            let (from, to) = (WidePath::new(temporary).ok_or(bad)?, WidePath::new(&self.path).ok_or(bad)?);
            files::rename_new(&from, &to).map_err(about_file)?;
        }
        self.temporary = None;
        Ok(())
    }

    /// "Access denied" is what the system says, too, if somebody has the old file open. Making files here is allowed.
    fn not_replaced(&self, error: &io::Error) -> Failure {
        let failure = about(error);
        let is_writable = fs::metadata(&self.path).is_ok_and(|data| !data.permissions().readonly());
        if failure.reason == Reason::Denied && is_writable {
            Failure { reason: Reason::InUse, ..failure }
        } else {
            failure
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(path) = &self.temporary {
            // Where closing it is enough, this is in vain. (The error that led here is the one to tell.)
            let _ = files::delete_when_closed(self.file.as_handle(), true);
            let _ = fs::remove_file(path);
        }
    }
}

/// A file with a temporary name, for this user alone.
fn new_file(directory: &Path) -> Result<(std::os::windows::io::OwnedHandle, PathBuf), Failure> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let mut round = 0;
    loop {
        let time = UNIX_EPOCH.elapsed().map_or(0, |time| time.subsec_nanos());
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!(".mmf-{:x}-{number:x}-{time:x}.part", std::process::id()));
        let wide = WidePath::new(&path).ok_or(Failure::new(Reason::BadName))?;
        let made = security::with_own_file(|attributes| {
            // SAFETY: the attributes are valid during this call.
            unsafe { files::create_new(&wide, attributes) }
        });
        match made {
            Err(LastError(win::ERROR_FILE_EXISTS | win::ERROR_ALREADY_EXISTS)) if round < 100 => round += 1,
            Err(error) => return Err(about_file(error)),
            Ok(file) => return Ok((file, path)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::descriptor;

    #[test]
    fn a_saved_file_is_this_users_alone() {
        let path = std::env::temp_dir().join(format!("mmf-unit-{}", std::process::id()));
        let draft = Draft::begin(&path, true).unwrap();
        draft.write_at(0, b"x").unwrap();
        draft.finish(1, true).unwrap();
        let file = File::open(&path).unwrap();
        let bytes = descriptor::of(file.as_handle()).unwrap();
        let text = descriptor::to_sddl(&bytes).unwrap();
        fs::remove_file(&path).unwrap();
        let owner = text.strip_prefix("O:").and_then(|rest| rest.split("G:").next()).unwrap();
        let entries: Vec<_> = text.split('(').skip(1).map(|entry| entry.split(')').next().unwrap()).collect();
        assert!(entries.contains(&format!("A;;FA;;;{owner}").as_str()), "{text}");
        // (Wine, which keeps the mode of a file instead of a list, adds an entry for the system.)
        let is_fine =
            |entry: &&str| entry.ends_with(owner) || (testkit::under_wine() && entry.ends_with("SY"));
        assert!(entries.iter().all(is_fine), "{text}");
    }
}
