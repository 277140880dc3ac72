//! Files as memory: the same types over a real file.

use std::fs::{File, OpenOptions as StdOpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use crate::access::{Access, CopyOnWrite, ReadOnly, ReadWrite, mode};
use crate::error::{Error, ErrorKind, Operation};
use crate::memory::SharedMemory;
use crate::options::{Disposition, OpenOptions};
use crate::right::Right;
use crate::sys::{Failure, Mode, Object, Reason};

/// How to make or open a file as memory: [`OpenOptions::file`] gives it. The same verbs for the same intents.
///
/// Of the options, [`len`](OpenOptions::len), [`capacity`](OpenOptions::capacity) and
/// [`expect_len`](OpenOptions::expect_len) are for files, too. Who may open a file says its directory and the file itself, so
/// the others are refused as [`ErrorKind::Unsupported`]. Whose a file is and where its path leads is for the caller to know:
/// paths are followed as the system follows them, also through links.
///
/// Other processes share it by mapping the same file. A file that somebody makes shorter, that is on a disk which is full
/// or on one that goes away: accesses to what is not there are a [`Fault`](ErrorKind::Fault).
#[derive(Clone, Debug)]
#[must_use = "options do nothing until a verb is called"]
pub struct FileOptions {
    pub(crate) options: OpenOptions,
    pub(crate) path: PathBuf,
}

impl FileOptions {
    /// Makes a file that does not exist yet, of [`len`](OpenOptions::len) zero bytes; without a `len`, an empty one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::AlreadyExists`], [`ErrorKind::NotFound`] (the directory), [`ErrorKind::PermissionDenied`],
    /// [`ErrorKind::StorageFull`] (then there is no file), and what the system says.
    ///
    /// ```
    /// use mmf::OpenOptions;
    ///
    /// let path = std::env::temp_dir().join(format!("mmf-doc-{}.bin", std::process::id()));
    /// let memory = OpenOptions::new().len(100).file(&path).create()?;
    /// memory.view()?.write_all_at(b"bytes", 95)?;
    /// memory.grow(200)?;
    /// assert_eq!(std::fs::read(&path)?[95..100], *b"bytes");
    /// drop(memory);
    /// std::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn create(&self) -> Result<SharedMemory<ReadWrite>, Error> {
        let operation = Operation::CreateFile;
        let file = self.open_as::<ReadWrite>(operation, StdOpenOptions::new().create_new(true), true)?;
        self.extend(operation, &file).inspect_err(|_| {
            // It was made by this call, and nobody has been told of it.
            let _ = std::fs::remove_file(&self.path);
        })?;
        Ok(file)
    }

    /// Opens a file that exists, to read and write it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`]; [`ErrorKind::PermissionDenied`]; [`ErrorKind::TooSmall`]: it has less than
    /// [`len`](OpenOptions::len) bytes; [`ErrorKind::UnexpectedLength`]: not what [`expect_len`](OpenOptions::expect_len) says;
    /// [`ErrorKind::NotSharedMemory`]: it is a directory, a pipe or a device; [`ErrorKind::InUse`]: somebody has opened it for
    /// himself alone (Windows); and what the system says.
    pub fn open(&self) -> Result<SharedMemory<ReadWrite>, Error> {
        self.open_existing()
    }

    /// Opens a file that exists, to read it.
    ///
    /// # Errors
    ///
    /// As [`open`](FileOptions::open).
    pub fn open_read_only(&self) -> Result<SharedMemory<ReadOnly>, Error> {
        self.open_existing()
    }

    /// Opens a file that exists, to read it and to write to copies of its pages that only the writing view has: the file stays as
    /// it is.
    ///
    /// # Errors
    ///
    /// As [`open`](FileOptions::open).
    ///
    /// ```
    /// use mmf::OpenOptions;
    ///
    /// let path = std::env::temp_dir().join(format!("mmf-doc-copy-{}.bin", std::process::id()));
    /// std::fs::write(&path, b"original")?;
    /// let view = OpenOptions::new().file(&path).open_copy_on_write()?.view()?;
    /// view.write_all_at(b"changed!", 0)?;
    /// assert_eq!(std::fs::read(&path)?, b"original");
    /// drop(view);
    /// std::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn open_copy_on_write(&self) -> Result<SharedMemory<CopyOnWrite>, Error> {
        self.open_existing()
    }

    /// Opens a file to read and write it, or makes it if there is none; says which it was. One that is shorter than
    /// [`len`](OpenOptions::len) is an error if it was opened.
    ///
    /// # Errors
    ///
    /// As [`open`](FileOptions::open) and [`create`](FileOptions::create).
    pub fn open_or_create(&self) -> Result<(SharedMemory<ReadWrite>, Disposition), Error> {
        let operation = Operation::OpenFile;
        // Somebody may make or remove it in between, but hardly every time.
        for _ in 0..50 {
            match self.open() {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                result => return Ok((result?, Disposition::Opened)),
            }
            match self.create() {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                result => return Ok((result?, Disposition::Created)),
            }
        }
        Err(Error::new(operation, ErrorKind::Busy).with_subject(&self.path.display()))
    }

    fn open_existing<A: Access>(&self) -> Result<SharedMemory<A>, Error> {
        let operation = Operation::OpenFile;
        let memory = self.open_as::<A>(operation, &mut StdOpenOptions::new(), false)?;
        self.options.check_len(operation, &self.path.display(), memory.len())?;
        Ok(memory)
    }

    fn open_as<A: Access>(
        &self,
        operation: Operation,
        how: &mut StdOpenOptions,
        is_new: bool,
    ) -> Result<SharedMemory<A>, Error> {
        let fail = |error: Error| error.with_subject(&self.path.display());
        self.options.check_for_file(operation).map_err(fail)?;
        let file = how.read(true).write(mode::<A>() == Mode::Write).open(&self.path);
        let file = file.map_err(|error| fail(from_io(operation, &error)))?;
        let object = Object::from_file(file, mode::<A>(), self.options.wanted_capacity(), is_new);
        let object = object.map_err(|f| fail(Error::from_system(operation, f)))?;
        let file = Some(self.path.clone());
        Ok(SharedMemory::from_right(Right { object, name: None, file, refusal: None }))
    }

    /// Gives a new file its length.
    fn extend(&self, operation: Operation, memory: &SharedMemory<ReadWrite>) -> Result<(), Error> {
        let len = self.options.wanted_len().unwrap_or(0);
        if i64::try_from(len).is_err() {
            let error = Error::from_system(operation, Failure::new(Reason::TooLarge));
            return Err(error.with_subject(&self.path.display()));
        }
        let right = memory.right();
        right.object.grow(len).map_err(|f| right.storage(operation, f))
    }
}

fn from_io(operation: Operation, error: &io::Error) -> Error {
    match error.raw_os_error() {
        Some(code) => Error::from_system(operation, Failure::from_code(code)),
        None => Error::new(operation, ErrorKind::Other).with_detail(error.to_string()),
    }
}

fn adopt<A: Access>(file: File) -> Result<SharedMemory<A>, Error> {
    let object = Object::from_file(file, mode::<A>(), None, false)
        .map_err(|f| Error::from_system(Operation::OpenFile, f))?;
    let file = Some(PathBuf::new());
    Ok(SharedMemory::from_right(Right { object, name: None, file, refusal: None }))
}

impl OpenOptions {
    /// The same for a file: its verbs are [`FileOptions`]'.
    ///
    /// ```
    /// use mmf::OpenOptions;
    ///
    /// let path = std::env::temp_dir().join(format!("mmf-doc-file-{}.bin", std::process::id()));
    /// std::fs::write(&path, b"some bytes")?;
    /// let memory = OpenOptions::new().file(&path).open_read_only()?;
    /// assert_eq!(memory.view()?.read_vec(5, 5)?, b"bytes");
    /// drop(memory);
    /// std::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn file(self, path: impl AsRef<Path>) -> FileOptions {
        FileOptions { options: self, path: path.as_ref().to_owned() }
    }
}

impl SharedMemory<ReadWrite> {
    /// Takes an open file as memory, to read and write it. It must have been opened for both. See [`FileOptions`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotWritable`], [`ErrorKind::PermissionDenied`]: the file was not opened for both.
    /// [`ErrorKind::NotSharedMemory`]: it is a directory, a pipe or a device.
    pub fn from_file(file: File) -> Result<Self, Error> {
        adopt(file)
    }
}

impl SharedMemory<ReadOnly> {
    /// Takes an open file as memory, to read it.
    ///
    /// # Errors
    ///
    /// As [`from_file`](SharedMemory::from_file).
    pub fn from_file_read_only(file: File) -> Result<Self, Error> {
        adopt(file)
    }
}

impl SharedMemory<CopyOnWrite> {
    /// Takes an open file as memory, to read it and to write to copies of its pages.
    ///
    /// # Errors
    ///
    /// As [`from_file`](SharedMemory::from_file).
    pub fn from_file_copy_on_write(file: File) -> Result<Self, Error> {
        adopt(file)
    }
}
