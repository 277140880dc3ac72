//! The files that regions are saved to and loaded from.

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

use super::memory::Object;
use super::wide::WidePath;
use super::{LastError, api, security};
use crate::sys::{Failure, Reason};

/// The minimum length of a range of zeros that becomes a hole in a file: the granularity of NTFS.
pub(crate) const HOLE: usize = 64 << 10;

/// Translates an error about a file, which can have another meaning than for a section.
fn file_failure(error: LastError) -> Failure {
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

fn io_failure(error: &io::Error) -> Failure {
    let code = error.raw_os_error().map(|code| u32::from_ne_bytes(code.to_ne_bytes()));
    code.map_or(Failure::new(Reason::Other), |code| file_failure(LastError(code)))
}

/// Returns what a path refers to if that is not a file.
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
            let failure = io_failure(&error);
            // Opening a directory fails with "access denied".
            let is_directory = failure.reason == Reason::Denied && path.is_dir();
            if is_directory { Failure { reason: Reason::WrongKind, ..failure } } else { failure }
        })?;
        if !file.metadata().map_err(|error| io_failure(&error))?.is_file() {
            return Err(Failure::new(Reason::WrongKind));
        }
        Ok(Source { file })
    }

    pub(crate) fn len(&self) -> Result<u64, Failure> {
        Ok(self.file.metadata().map_err(|error| io_failure(&error))?.len())
    }

    /// Returns the next range at or after `from` that has been written, or `None` if there is none. If the
    /// system does not know, the range is unbounded.
    pub(crate) fn next_data(&self, from: u64) -> Option<Range<u64>> {
        let unknown = Some(from..u64::MAX);
        let Ok(start) = i64::try_from(from) else { return unknown };
        match api::fsctl_query_allocated_ranges(self.file.as_handle(), start, i64::MAX - start) {
            Ok(None) => None,
            Ok(Some((start, len))) => {
                let (Ok(start), Ok(len)) = (u64::try_from(start), u64::try_from(len)) else { return unknown };
                Some(start.max(from)..start.saturating_add(len).max(from))
            }
            Err(_) => unknown,
        }
    }

    /// Reads up to `bytes.len()` bytes, and returns 0 at the end of the file.
    pub(crate) fn read_at(&self, offset: u64, bytes: &mut [u8]) -> Result<usize, Failure> {
        match self.file.seek_read(bytes, offset) {
            Err(error) if error.raw_os_error() == i32::try_from(win::ERROR_HANDLE_EOF).ok() => Ok(0),
            result => result.map_err(|error| io_failure(&error)),
        }
    }
}

/// Access to a region without a view, which sections do not offer.
#[derive(Debug)]
pub(crate) struct Direct<'a>(&'a core::convert::Infallible);

#[allow(clippy::unused_self, reason = "as on Linux")]
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

/// Returns the number of bytes from an address in a view on that have the same state, and whether they can be
/// accessed: pages that are only reserved cannot, and have never been written.
pub(crate) fn run_of_pages(address: *const u8, len: usize) -> (usize, bool) {
    match api::virtual_query(address) {
        Ok(pages) => {
            let skipped = address.addr().wrapping_sub(pages.BaseAddress.addr());
            (pages.RegionSize.saturating_sub(skipped).clamp(1, len), pages.State != MEM_RESERVE)
        }
        Err(_) => (len, true),
    }
}

/// A file that is being written, under a temporary name until it is complete. The file is deleted if this
/// value is dropped or the process ends before that.
#[derive(Debug)]
pub(crate) struct Draft {
    file: File,
    directory: PathBuf,
    path: PathBuf,
    /// `None` once the file has its own name.
    temporary: Option<PathBuf>,
    is_sparse: AtomicBool,
}

impl Draft {
    /// Creates a temporary file that will get this path.
    pub(crate) fn begin(path: &Path, replace: bool) -> Result<Self, Failure> {
        let missing = || file_failure(LastError(win::ERROR_PATH_NOT_FOUND));
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
        // Reported before everything is written rather than after.
        match fs::symlink_metadata(&path) {
            Ok(data) if !data.is_file() => return Err(wrong_kind),
            Ok(_) if !replace => return Err(Failure::new(Reason::Exists)),
            _ => {}
        }
        let (file, temporary) = new_file(&directory)?;
        let file = File::from(file);
        // From now on the system deletes the file if this process is killed. Where the file system does not
        // support it, the temporary file would remain.
        let _ = api::set_file_disposition_info(file.as_handle(), true);
        Ok(Draft { file, directory, path, temporary: Some(temporary), is_sparse: AtomicBool::new(false) })
    }

    /// Returns the free space of the volume.
    pub(crate) fn room(&self) -> Option<u64> {
        api::get_disk_free_space(&WidePath::new(&self.directory)?).ok()
    }

    /// Announces the length of the file. Bytes that are not written are zero.
    #[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "other systems set it here")]
    pub(crate) fn size(&self, _: u64) -> Result<(), Failure> {
        // Setting the length here would allocate all of it, holes included. `finish` sets it.
        Ok(())
    }

    /// Announces that some bytes, which are zero, will not be written.
    pub(crate) fn leave_out(&self) {
        if !self.is_sparse.swap(true, Ordering::Relaxed) {
            // On a file system without holes, the system writes the zeros.
            let _ = api::fsctl_set_sparse(self.file.as_handle());
        }
    }

    /// Writes all of `bytes`.
    pub(crate) fn write_at(&self, mut offset: u64, mut bytes: &[u8]) -> Result<(), Failure> {
        while !bytes.is_empty() {
            let written = self.file.seek_write(bytes, offset).map_err(|error| io_failure(&error))?;
            if written == 0 {
                return Err(Failure::new(Reason::Other));
            }
            offset += written as u64;
            bytes = &bytes[written..];
        }
        Ok(())
    }

    /// Does nothing: Windows starts writing bytes to the disk without a request.
    #[allow(clippy::unused_self, reason = "as on Linux")]
    pub(crate) fn start_writing_back(&self, _: u64, _: u64) {}

    /// Sets the length of the file and, once everything is on the disk, its name.
    pub(crate) fn finish(mut self, len: u64, replace: bool) -> Result<(), Failure> {
        self.file.set_len(len).map_err(|error| io_failure(&error))?;
        self.file.sync_all().map_err(|error| io_failure(&error))?;
        api::set_file_disposition_info(self.file.as_handle(), false).or_else(|error| match error.0 {
            // The file system does not support it, so `begin` has not set it either.
            win::ERROR_NOT_SUPPORTED | win::ERROR_INVALID_PARAMETER | win::ERROR_INVALID_FUNCTION => Ok(()),
            _ => Err(file_failure(error)),
        })?;
        let temporary = self.temporary.as_deref().unwrap_or(Path::new(""));
        if replace {
            // This rename also works while other processes have the old file open.
            fs::rename(temporary, &self.path).map_err(|error| self.not_replaced(&error))?;
        } else {
            let bad = Failure::new(Reason::BadName);
            let (from, to) = (WidePath::new(temporary).ok_or(bad)?, WidePath::new(&self.path).ok_or(bad)?);
            api::move_file_write_through(&from, &to).map_err(file_failure)?;
        }
        self.temporary = None;
        Ok(())
    }

    /// Translates the error of a rename that replaces a file. The system also reports "access denied" if
    /// another process has the old file open. This process may create files in this directory, since the
    /// temporary file exists.
    fn not_replaced(&self, error: &io::Error) -> Failure {
        let failure = io_failure(error);
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
            // This fails where closing the file deletes it. (The first error is the one to report.)
            let _ = api::set_file_disposition_info(self.file.as_handle(), true);
            let _ = fs::remove_file(path);
        }
    }
}

/// Creates a file with a temporary name, which only this user can access.
fn new_file(directory: &Path) -> Result<(std::os::windows::io::OwnedHandle, PathBuf), Failure> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let mut attempt = 0;
    loop {
        let time = UNIX_EPOCH.elapsed().map_or(0, |time| time.subsec_nanos());
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!(".mmf-{:x}-{number:x}-{time:x}.part", std::process::id()));
        let wide = WidePath::new(&path).ok_or(Failure::new(Reason::BadName))?;
        let created =
            security::with_attributes_of_own_file(|attributes| api::create_file_new(&wide, attributes));
        match created {
            Err(LastError(win::ERROR_FILE_EXISTS | win::ERROR_ALREADY_EXISTS)) if attempt < 100 => {
                attempt += 1
            }
            Err(error) => return Err(file_failure(error)),
            Ok(file) => return Ok((file, path)),
        }
    }
}

#[cfg(test)]
mod tests;
