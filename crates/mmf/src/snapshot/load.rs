//! Loading an image from disk.

use core::ops::ControlFlow;
use std::path::Path;

use crate::access::ReadWrite;
use crate::error::{Error, ErrorKind, Operation};
use crate::memory::SharedMemory;
use crate::name::ToName;
use crate::options::OpenOptions;
use crate::snapshot::bytes::Bytes;
use crate::snapshot::pieces::{BLOCK, parts, stretch};
use crate::snapshot::{CopyStats, PIECE, Progress, Watch, buffer, file_error};
use crate::sys::disk::{HOLE, Source};

impl SharedMemory<ReadWrite> {
    /// Creates a region under an unused name, with the length and the contents of a file.
    ///
    /// Only the current user can open it. [`OpenOptions::load`] has more choices.
    ///
    /// # Errors
    ///
    /// See [`OpenOptions::load`].
    pub fn load(name: impl ToName, path: impl AsRef<Path>) -> Result<Self, Error> {
        OpenOptions::new().load(name, path)
    }

    /// Creates a region without a name, with the length and the contents of a file.
    ///
    /// # Errors
    ///
    /// See [`OpenOptions::load_anonymous`].
    pub fn load_anonymous(path: impl AsRef<Path>) -> Result<Self, Error> {
        OpenOptions::new().load_anonymous(path)
    }

    /// Copies the contents of a file into this region, starting at its first byte. Bytes beyond the length of
    /// the file stay as they are.
    ///
    /// A failure or a cancellation undoes nothing: part of the region then has the new contents. Peers can
    /// see the copy in progress. Ranges of the region that were never written are not written where the file
    /// has holes.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::OutOfBounds`]: the file is longer than the region; nothing was changed.
    /// - [`ErrorKind::ZeroLength`]: the file is empty.
    /// - [`ErrorKind::NotFound`], [`ErrorKind::PermissionDenied`], [`ErrorKind::NotAFile`]: it cannot be
    ///   read.
    /// - [`ErrorKind::ChangedDuringCopy`]: the file was truncated meanwhile.
    /// - [`ErrorKind::Fault`]: the region was truncated meanwhile.
    /// - [`ErrorKind::OutOfMemory`]: there are no pages left (Unix).
    ///
    /// ```
    /// # let path = std::env::temp_dir().join(format!("mmf-doc-restore-{}", std::process::id()));
    /// let memory = mmf::SharedMemory::anonymous(4096)?;
    /// memory.save(&path)?;
    /// memory.view()?.fill(7, 0..4096)?;
    /// memory.restore(&path)?;
    /// assert_eq!(memory.view()?.read::<u8>(100)?, 0);
    /// # std::fs::remove_file(path).ok();
    /// # Ok::<(), mmf::Error>(())
    /// ```
    pub fn restore(&self, path: impl AsRef<Path>) -> Result<CopyStats, Error> {
        self.restore_with(path, |_| ControlFlow::Continue(()))
    }

    /// Restores like [`restore`](SharedMemory::restore), and reports the progress as
    /// [`save_with`](SharedMemory::save_with) does.
    ///
    /// # Errors
    ///
    /// Those of [`restore`](SharedMemory::restore), and [`ErrorKind::Cancelled`]: part of the region has the
    /// new contents.
    pub fn restore_with(
        &self,
        path: impl AsRef<Path>,
        mut progress: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<CopyStats, Error> {
        let operation = Operation::Restore;
        let file = Image::open(operation, path.as_ref())?;
        let len = self.right().len().map_err(|failure| self.right().error(operation, failure))?;
        if file.len > len {
            let error = Error::new(operation, ErrorKind::OutOfBounds).with_detail(format!(
                "the file \"{}\" has {} bytes, the region {len}; nothing was changed",
                file.path.display(),
                file.len
            ));
            return Err(self.right().name_it(error));
        }
        file.fill(self, Content::Any, &mut progress)
    }
}

impl OpenOptions {
    /// Creates a region under an unused name, with the contents of a file.
    ///
    /// Its length is that of the file, or [`len`](OpenOptions::len) if that is larger; the rest is then zero.
    /// The name exists from the start, so other processes can open the region while it is filled. Holes and
    /// zeros of the file leave the region untouched. If loading fails or is cancelled, the region and its
    /// name are removed.
    ///
    /// # Errors
    ///
    /// If [`Error::path`] is set, the error concerns the file.
    ///
    /// - [`ErrorKind::NotFound`], [`ErrorKind::PermissionDenied`], [`ErrorKind::NotAFile`]: the file cannot
    ///   be read.
    /// - [`ErrorKind::ZeroLength`]: the file is empty, and [`len`](OpenOptions::len) is not set.
    /// - [`ErrorKind::OutOfBounds`]: the file is longer than [`len`](OpenOptions::len).
    /// - [`ErrorKind::ChangedDuringCopy`]: the file was truncated meanwhile.
    /// - the errors of [`create`](OpenOptions::create), such as [`ErrorKind::AlreadyExists`] or
    ///   [`ErrorKind::OutOfMemory`].
    pub fn load(&self, name: impl ToName, path: impl AsRef<Path>) -> Result<SharedMemory<ReadWrite>, Error> {
        self.load_with(name, path, |_| ControlFlow::Continue(()))
    }

    /// Loads like [`load`](OpenOptions::load), and reports the progress as [`SharedMemory::save_with`] does.
    ///
    /// # Errors
    ///
    /// Those of [`load`](OpenOptions::load), and [`ErrorKind::Cancelled`].
    pub fn load_with(
        &self,
        name: impl ToName,
        path: impl AsRef<Path>,
        progress: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<SharedMemory<ReadWrite>, Error> {
        let name = name.to_name()?;
        self.load_into(path.as_ref(), |options| options.create(name), progress)
    }

    /// Creates a region without a name, with the contents of a file.
    ///
    /// # Errors
    ///
    /// Those of [`load`](OpenOptions::load), except for those that concern the name.
    pub fn load_anonymous(&self, path: impl AsRef<Path>) -> Result<SharedMemory<ReadWrite>, Error> {
        self.load_anonymous_with(path, |_| ControlFlow::Continue(()))
    }

    /// Loads like [`load_anonymous`](OpenOptions::load_anonymous), and reports the progress as
    /// [`SharedMemory::save_with`] does.
    ///
    /// # Errors
    ///
    /// Those of [`load_anonymous`](OpenOptions::load_anonymous), and [`ErrorKind::Cancelled`].
    pub fn load_anonymous_with(
        &self,
        path: impl AsRef<Path>,
        progress: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<SharedMemory<ReadWrite>, Error> {
        self.load_into(path.as_ref(), OpenOptions::anonymous, progress)
    }

    fn load_into(
        &self,
        path: &Path,
        make: impl FnOnce(&OpenOptions) -> Result<SharedMemory<ReadWrite>, Error>,
        mut progress: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<SharedMemory<ReadWrite>, Error> {
        let operation = Operation::Load;
        let file = match (Image::open(operation, path), self.wanted_len()) {
            // An empty file leaves all bytes zero.
            (Err(error), Some(1..)) if error.kind() == ErrorKind::ZeroLength => return make(self),
            (file, _) => file?,
        };
        let len = self.wanted_len().unwrap_or(file.len);
        if len < file.len {
            let error = Error::new(operation, ErrorKind::OutOfBounds).with_path(path).with_detail(format!(
                "the file has {} bytes, and {len} were requested; omit the length, or request that much",
                file.len
            ));
            return Err(error);
        }
        let memory = make(&self.clone().len(len))?;
        file.fill(&memory, Content::Zero, &mut progress)?;
        Ok(memory)
    }
}

/// The contents of a region before it is filled.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Content {
    Zero,
    Any,
}

/// An open image that is not empty.
struct Image<'a> {
    operation: Operation,
    path: &'a Path,
    source: Source,
    len: u64,
}

impl<'a> Image<'a> {
    fn open(operation: Operation, path: &'a Path) -> Result<Self, Error> {
        let fail = |failure| file_error(operation, path, failure);
        let source = Source::open(path).map_err(fail)?;
        let len = source.len().map_err(fail)?;
        if len == 0 {
            let error = Error::new(operation, ErrorKind::ZeroLength).with_path(path);
            let cure = if operation == Operation::Load { "; give a length" } else { "" };
            return Err(error.with_detail(format!("the file is empty{cure}")));
        }
        Ok(Image { operation, path, source, len })
    }

    fn fill(
        &self,
        memory: &SharedMemory,
        content: Content,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<CopyStats, Error> {
        let mut watch = Watch::new(self.operation, self.path, self.len, progress);
        watch.tell()?;
        let bytes = Bytes::new(memory, self.operation, self.len);
        let mut buffer = buffer(self.operation)?;
        let skip = |from: u64, to: u64, watch: &mut Watch<'_>| match content {
            Content::Zero => {
                watch.count(to - from, to - from);
                Ok(())
            }
            Content::Any => bytes.clear(from..to, &mut |len| {
                watch.count(len, len);
                watch.tell()
            }),
        };
        // A hole in a new region is free, however short it is. In an existing one it has to be cleared.
        let gap = if content == Content::Zero { BLOCK } else { HOLE };
        let mut at = 0;
        while at < self.len {
            let next = |from| Ok::<_, Error>(self.source.next_data(from));
            let data = stretch(next, at, self.len, HOLE)?.unwrap_or(self.len..self.len);
            if data.start > at {
                skip(at, data.start, &mut watch)?;
                watch.tell()?;
            }
            at = data.start;
            while at < data.end {
                let len = usize::try_from(data.end - at).unwrap_or(PIECE).min(PIECE);
                let piece = &mut buffer[..len];
                self.read(at, piece)?;
                let mut end = 0;
                for part in parts(piece, gap) {
                    skip(at + end as u64, at + part.start as u64, &mut watch)?;
                    end = part.end;
                    let len = part.len() as u64;
                    bytes.write(at + part.start as u64, &piece[part])?;
                    watch.count(len, 0);
                }
                skip(at + end as u64, at + len as u64, &mut watch)?;
                watch.tell()?;
                at += len as u64;
            }
        }
        // An apparent hole at the end may have been a truncation.
        if self.source.len().map_err(|failure| file_error(self.operation, self.path, failure))? < self.len {
            return Err(self.changed());
        }
        bytes.check_len()?;
        Ok(watch.copied())
    }

    fn read(&self, offset: u64, bytes: &mut [u8]) -> Result<(), Error> {
        let mut done = 0;
        while done < bytes.len() {
            let read = self.source.read_at(offset + done as u64, &mut bytes[done..]);
            done += match read.map_err(|failure| file_error(self.operation, self.path, failure))? {
                0 => return Err(self.changed()),
                read => read,
            };
        }
        Ok(())
    }

    fn changed(&self) -> Error {
        Error::new(self.operation, ErrorKind::ChangedDuringCopy).with_path(self.path)
    }
}
