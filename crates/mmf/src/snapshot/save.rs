//! Saving a region to disk.

use core::ops::ControlFlow;
use std::path::Path;

use crate::access::Access;
use crate::error::{Error, ErrorKind, Operation};
use crate::memory::SharedMemory;
use crate::snapshot::bytes::Bytes;
use crate::snapshot::pieces::{parts, stretch};
use crate::snapshot::{CopyStats, IfExists, PIECE, Progress, Watch, buffer, file_error};
use crate::sys::disk::{Draft, HOLE};
use crate::sys::{Failure, Reason};

const OPERATION: Operation = Operation::Save;

impl<A: Access> SharedMemory<A> {
    /// Saves the bytes of the region to a file, without a header. An existing file at this path is replaced.
    ///
    /// The file receives its name in one step when it is completely on the disk. Whatever happens meanwhile
    /// (an error, a crash, a kill), the path leads to the old file, to none, or to the new one, and never to
    /// an incomplete one. Nothing else is left behind, with one exception: a process that is killed in the
    /// very last step, or saves to a file system that cannot keep unnamed files (on Linux, such as NFS),
    /// leaves a file `.mmf-….part` in the same directory. Until the new file is complete, the old and the new
    /// file both take space.
    ///
    /// **Zeros become holes.** Ranges that were never written are not read and, on Linux, not touched. Blocks
    /// of zeros are not written if the file system supports holes. So a large region with little data is
    /// saved quickly and takes little space.
    ///
    /// **Peers may write meanwhile.** The image may then mix old and new bytes. If that matters, make the
    /// peers pause by a protocol of their own.
    ///
    /// **Only the current user may open the file**, as is the default for regions (Unix: mode 0600; Windows:
    /// a protected access list with one entry). The rights of a replaced file are not carried over. A
    /// symbolic link is refused.
    ///
    /// # Errors
    ///
    /// If [`Error::path`] is set, the error concerns the file, otherwise the region.
    ///
    /// - [`ErrorKind::StorageFull`]: there is too little space; reported before anything is written if that
    ///   can be known.
    /// - [`ErrorKind::NotFound`]: the directory does not exist.
    /// - [`ErrorKind::NotAFile`]: the path leads to something else.
    /// - [`ErrorKind::PermissionDenied`]; [`ErrorKind::InUse`]: another program has the file open (Windows).
    /// - [`ErrorKind::TooLarge`], [`ErrorKind::LimitReached`]: the file system or a limit does not allow a
    ///   file of this length.
    /// - [`ErrorKind::Fault`]: a peer has truncated the region; the message names the first missing byte.
    ///
    /// ```
    /// # let path = std::env::temp_dir().join(format!("mmf-doc-save-{}", std::process::id()));
    /// let memory = mmf::SharedMemory::anonymous(1 << 20)?;
    /// memory.view()?.write_all_at(b"kept", 100)?;
    /// let copied = memory.save(&path)?;
    /// assert_eq!(copied.len(), 1 << 20);
    ///
    /// let again = mmf::SharedMemory::load_anonymous(&path)?;
    /// assert_eq!(again.view()?.read_vec(100, 4)?, b"kept");
    /// # std::fs::remove_file(path).ok();
    /// # Ok::<(), mmf::Error>(())
    /// ```
    pub fn save(&self, path: impl AsRef<Path>) -> Result<CopyStats, Error> {
        self.save_with(path, IfExists::Replace, |_| ControlFlow::Continue(()))
    }

    /// Saves like [`save`](SharedMemory::save), but keeps an existing file.
    ///
    /// # Errors
    ///
    /// Those of [`save`](SharedMemory::save), and [`ErrorKind::AlreadyExists`], even if the file was created
    /// meanwhile.
    pub fn save_new(&self, path: impl AsRef<Path>) -> Result<CopyStats, Error> {
        self.save_with(path, IfExists::Keep, |_| ControlFlow::Continue(()))
    }

    /// Saves like [`save`](SharedMemory::save), and reports the progress at the start, after each piece, and
    /// when all bytes are written.
    ///
    /// After that the system may still take a while to bring them to the disk. The function cancels the copy
    /// by returning [`ControlFlow::Break`]; then nothing is left behind, and the old file stays.
    ///
    /// # Errors
    ///
    /// Those of [`save`](SharedMemory::save); [`ErrorKind::AlreadyExists`] with [`IfExists::Keep`]; and
    /// [`ErrorKind::Cancelled`].
    ///
    /// ```
    /// use std::ops::ControlFlow;
    ///
    /// # let path = std::env::temp_dir().join(format!("mmf-doc-save-with-{}", std::process::id()));
    /// let memory = mmf::SharedMemory::anonymous(1 << 20)?;
    /// let cancelled = memory.save_with(&path, mmf::snapshot::IfExists::Keep, |progress| {
    ///     println!("{} of {}", progress.done(), progress.total());
    ///     ControlFlow::Break(())
    /// });
    /// assert_eq!(cancelled.unwrap_err().kind(), mmf::ErrorKind::Cancelled);
    /// assert!(!path.exists());
    /// # Ok::<(), mmf::Error>(())
    /// ```
    pub fn save_with(
        &self,
        path: impl AsRef<Path>,
        existing: IfExists,
        mut progress: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<CopyStats, Error> {
        // Read once: bytes that a peer adds later do not belong to this image.
        let len = self.right().len().map_err(|failure| self.right().error(OPERATION, failure))?;
        if len == 0 {
            let error = Error::new(OPERATION, ErrorKind::TooSmall).with_detail("it was truncated to nothing");
            return Err(self.right().name_it(error));
        }
        let path = path.as_ref();
        let mut watch = Watch::new(OPERATION, path, len, &mut progress);
        save(&Bytes::new(self, OPERATION, len), len, path, existing, &mut watch)
    }
}

fn save<A: Access>(
    bytes: &Bytes<'_, A>,
    len: u64,
    path: &Path,
    existing: IfExists,
    watch: &mut Watch<'_>,
) -> Result<CopyStats, Error> {
    let replace = existing == IfExists::Replace;
    let draft = Draft::begin(path, replace).map_err(|failure| file_error(OPERATION, path, failure))?;
    watch.tell()?;
    let mut buffer = buffer(OPERATION)?;
    check_room(bytes, len, path, &draft, &mut buffer, watch)?;
    let mut saving = Saving { draft: &draft, path, written: 0 };
    draft.size(len).map_err(|failure| saving.error(failure))?;
    let mut at = 0;
    while at < len {
        let data = stretch(|from| bytes.next_data(from), at, len, HOLE)?.unwrap_or(len..len);
        if data.start > at {
            saving.draft.leave_out();
            watch.count(data.start - at, data.start - at);
            watch.tell()?;
        }
        at = data.start;
        while at < data.end {
            let piece = piece(&mut buffer, data.end - at);
            bytes.read(at, piece)?;
            let holes = piece.len() as u64 - saving.write(at, piece)?;
            watch.count(piece.len() as u64, holes);
            watch.tell()?;
            at += piece.len() as u64;
        }
    }
    let written = saving.written;
    let room = draft.room();
    draft.finish(len, replace).map_err(|failure| disk_error(path, failure, written, room))?;
    Ok(watch.copied())
}

/// Returns the part of the buffer for the bytes that are left.
fn piece(buffer: &mut [u8], left: u64) -> &mut [u8] {
    let len = usize::try_from(left).unwrap_or(PIECE).min(buffer.len());
    &mut buffer[..len]
}

struct Saving<'a> {
    draft: &'a Draft,
    path: &'a Path,
    written: u64,
}

impl Saving<'_> {
    /// Writes the parts that are not zero, and returns their length.
    fn write(&mut self, at: u64, piece: &[u8]) -> Result<u64, Error> {
        let (mut written, mut end) = (0, 0);
        for part in parts(piece, HOLE) {
            if part.start > end {
                self.draft.leave_out();
            }
            end = part.end;
            let len = part.len() as u64;
            self.draft.write_at(at + part.start as u64, &piece[part]).map_err(|f| self.error(f))?;
            self.written += len;
            written += len;
        }
        if end < piece.len() {
            self.draft.leave_out();
        }
        if written > 0 {
            self.draft.start_writing_back(at, piece.len() as u64);
        }
        Ok(written)
    }

    fn error(&self, failure: Failure) -> Error {
        disk_error(self.path, failure, self.written, self.draft.room())
    }
}

fn disk_error(path: &Path, failure: Failure, written: u64, room: Option<u64>) -> Error {
    let error = file_error(OPERATION, path, failure);
    match (failure.reason, room) {
        (Reason::NoRoom, Some(room)) => error.with_detail(format!(
            "after {written} bytes, {room} are left there for this user; free some space, or choose another \
             place"
        )),
        _ => error,
    }
}

/// Returns an error if there is too little space, before any is used.
fn check_room<A: Access>(
    bytes: &Bytes<'_, A>,
    len: u64,
    path: &Path,
    draft: &Draft,
    buffer: &mut [u8],
    watch: &mut Watch<'_>,
) -> Result<(), Error> {
    let Some(room) = draft.room() else { return Ok(()) };
    if bytes.allocated() <= room {
        return Ok(());
    }
    // Much of it may be zero. Reading all of it is much faster than writing until the disk is full.
    let (mut needed, mut at) = (0, 0);
    while let Some(data) = stretch(|from| bytes.next_data(from), at, len, HOLE)? {
        at = data.start;
        while at < data.end {
            let piece = piece(buffer, data.end - at);
            bytes.read(at, piece)?;
            needed += parts(piece, HOLE).map(|part| part.len() as u64).sum::<u64>();
            at += piece.len() as u64;
            watch.tell()?;
        }
    }
    if needed <= room {
        return Ok(());
    }
    let error = Error::new(OPERATION, ErrorKind::StorageFull).with_path(path);
    Err(error.with_detail(format!(
        "{needed} bytes are needed, and {room} are left there; free some space, or choose another place"
    )))
}
