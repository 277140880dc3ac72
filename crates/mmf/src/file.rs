//! Files as shared memory: the same types over a real file.
//!
//! A file that is opened by [`FileOptions`], or passed to [`SharedMemory::from_file`], is a [`SharedMemory`]
//! whose bytes outlive all processes. Other processes share it by mapping the same file. The system writes
//! changed pages back at some later time; [`View::flush`](crate::View::flush) and
//! [`View::flush_all`](crate::View::flush_all) do so at once.

use std::fs::{File, OpenOptions as StdOpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use crate::access::{Access, CopyOnWrite, ReadOnly, ReadWrite, mode};
use crate::diagnosis::Diagnosis;
use crate::error::{Error, ErrorKind, Operation};
use crate::memory::SharedMemory;
use crate::options::Disposition;
use crate::right::Right;
use crate::sys::{Failure, Mode, Object, Reason};

/// How many times [`FileOptions::open_or_create`] tries while other processes create and remove the file.
const ATTEMPTS: u32 = 50;

/// Options for creating or opening a file as shared memory.
///
/// The verbs are those of [`OpenOptions`](crate::OpenOptions). The directory and the file itself determine
/// who may open a file, so there are no options for that. Paths are resolved as the system resolves them,
/// through links too: the caller has to know where they lead and who owns the file.
///
/// Accesses to bytes that another process has cut off, for which the disk has no room, or whose disk is gone,
/// fail with [`ErrorKind::Fault`].
///
/// # What each option means to each verb
///
/// | option | [`create`] | [`open`], [`open_read_only`], [`open_copy_on_write`] | [`open_or_create`] |
/// | --- | --- | --- | --- |
/// | [`len`](FileOptions::len) | the length, by default 0 | the least length | both |
/// | [`capacity`](FileOptions::capacity) | how far views follow the file when it grows | the same | the same |
/// | [`expect_len`](FileOptions::expect_len) | *error* | the required length | of a file that it opens |
///
/// An option is never ignored: where the table says *error*, the verb fails with
/// [`ErrorKind::InvalidOption`].
///
/// [`create`]: FileOptions::create
/// [`open`]: FileOptions::open
/// [`open_read_only`]: FileOptions::open_read_only
/// [`open_copy_on_write`]: FileOptions::open_copy_on_write
/// [`open_or_create`]: FileOptions::open_or_create
///
/// Options of regions that files do not have do not exist here:
///
/// ```compile_fail,E0599
/// let options = mmf::file::FileOptions::new("x").security(mmf::security::Security::current_user());
/// ```
/// ```compile_fail,E0599
/// let options = mmf::file::FileOptions::new("x").expect_owner(mmf::security::Principal::CurrentUser);
/// ```
/// ```compile_fail,E0599
/// let options = mmf::file::FileOptions::new("x").large_pages(mmf::pages::LargePages::Required);
/// ```
/// ```compile_fail,E0599
/// let options = mmf::file::FileOptions::new("x").numa_node(0);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[must_use = "options do nothing until a verb is called"]
pub struct FileOptions {
    path: PathBuf,
    len: Option<u64>,
    capacity: Option<u64>,
    expect_len: Option<u64>,
}

impl FileOptions {
    /// Creates options for the file at `path`.
    ///
    /// ```
    /// use mmf::file::FileOptions;
    ///
    /// let path = std::env::temp_dir().join(format!("mmf-doc-file-{}.bin", std::process::id()));
    /// std::fs::write(&path, b"some bytes")?;
    /// let memory = FileOptions::new(&path).open_read_only()?;
    /// assert_eq!(memory.view()?.read_vec(5, 5)?, b"bytes");
    /// drop(memory);
    /// std::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn new(path: impl AsRef<Path>) -> Self {
        FileOptions { path: path.as_ref().to_owned(), len: None, capacity: None, expect_len: None }
    }

    /// Sets the length in bytes: that of a new file, or the least that an existing one must have.
    pub fn len(mut self, bytes: u64) -> Self {
        self.len = Some(bytes);
        self
    }

    /// Sets for how many bytes a view of the whole file reserves addresses, so that it can follow when the
    /// file grows.
    ///
    /// The file itself can grow as far as the disk has room. On Windows views of files do not follow: map the
    /// file again.
    pub fn capacity(mut self, bytes: u64) -> Self {
        self.capacity = Some(bytes);
        self
    }

    /// Requires an existing file to have exactly this length in bytes; any other is refused with
    /// [`ErrorKind::UnexpectedLength`].
    pub fn expect_len(mut self, bytes: u64) -> Self {
        self.expect_len = Some(bytes);
        self
    }

    /// Creates a file that does not exist yet, of [`len`](FileOptions::len) zero bytes.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::AlreadyExists`]: there is something at this path.
    /// - [`ErrorKind::NotFound`]: there is no such directory.
    /// - [`ErrorKind::PermissionDenied`]: this user may not create files there.
    /// - [`ErrorKind::StorageFull`]: the disk has no room; no file is left behind.
    /// - [`ErrorKind::InvalidOption`]: [`expect_len`](FileOptions::expect_len) is set, which only applies to
    ///   an existing file.
    ///
    /// ```
    /// use mmf::file::FileOptions;
    ///
    /// let path = std::env::temp_dir().join(format!("mmf-doc-{}.bin", std::process::id()));
    /// let memory = FileOptions::new(&path).len(100).create()?;
    /// memory.view()?.write_all_at(b"bytes", 95)?;
    /// memory.grow(200)?;
    /// assert_eq!(std::fs::read(&path)?[95..100], *b"bytes");
    /// drop(memory);
    /// std::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn create(&self) -> Result<SharedMemory<ReadWrite>, Error> {
        if self.expect_len.is_some() {
            let error = Error::new(Operation::CreateFile, ErrorKind::InvalidOption)
                .with_subject(&self.path.display());
            return Err(error.with_detail(
                "expect_len() applies to an existing file, and none is opened here; leave it out, or call \
                 open_or_create",
            ));
        }
        self.create_new()
    }

    /// Opens an existing file for reading and writing.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::NotFound`]: there is no such file.
    /// - [`ErrorKind::PermissionDenied`]: this user may not open it with this access.
    /// - [`ErrorKind::TooSmall`]: it has fewer than [`len`](FileOptions::len) bytes.
    /// - [`ErrorKind::UnexpectedLength`]: see [`expect_len`](FileOptions::expect_len).
    /// - [`ErrorKind::NotSharedMemory`]: it is a directory, a pipe or a device.
    /// - [`ErrorKind::InUse`]: another process has opened it exclusively (Windows).
    pub fn open(&self) -> Result<SharedMemory<ReadWrite>, Error> {
        self.open_existing()
    }

    /// Opens an existing file for reading.
    ///
    /// # Errors
    ///
    /// Those of [`open`](FileOptions::open).
    pub fn open_read_only(&self) -> Result<SharedMemory<ReadOnly>, Error> {
        self.open_existing()
    }

    /// Opens an existing file for reading, and for writing to private copies of its pages. The file stays as
    /// it is.
    ///
    /// # Errors
    ///
    /// Those of [`open`](FileOptions::open).
    ///
    /// ```
    /// use mmf::file::FileOptions;
    ///
    /// let path = std::env::temp_dir().join(format!("mmf-doc-copy-{}.bin", std::process::id()));
    /// std::fs::write(&path, b"original")?;
    /// let view = FileOptions::new(&path).open_copy_on_write()?.view()?;
    /// view.write_all_at(b"changed!", 0)?;
    /// assert_eq!(std::fs::read(&path)?, b"original");
    /// drop(view);
    /// std::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn open_copy_on_write(&self) -> Result<SharedMemory<CopyOnWrite>, Error> {
        self.open_existing()
    }

    /// Opens a file for reading and writing, or creates it if there is none, and returns which of the two it
    /// did.
    ///
    /// # Errors
    ///
    /// Those of [`open`](FileOptions::open) and [`create`](FileOptions::create) except
    /// [`ErrorKind::NotFound`] for the file, and [`ErrorKind::AlreadyExists`]. [`ErrorKind::Busy`]: other
    /// processes keep creating and removing it.
    pub fn open_or_create(&self) -> Result<(SharedMemory<ReadWrite>, Disposition), Error> {
        for _ in 0..ATTEMPTS {
            match self.open() {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                result => return Ok((result?, Disposition::Opened)),
            }
            match self.create_new() {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                result => return Ok((result?, Disposition::Created)),
            }
        }
        Err(Error::new(Operation::OpenFile, ErrorKind::Busy).with_subject(&self.path.display()))
    }

    fn create_new(&self) -> Result<SharedMemory<ReadWrite>, Error> {
        let operation = Operation::CreateFile;
        let memory = self.open_as::<ReadWrite>(operation, StdOpenOptions::new().create_new(true), true)?;
        self.extend(operation, &memory).inspect_err(|_| {
            // This call has created it, and no caller has seen it.
            let _ = std::fs::remove_file(&self.path);
        })?;
        Ok(memory)
    }

    fn open_existing<A: Access>(&self) -> Result<SharedMemory<A>, Error> {
        let operation = Operation::OpenFile;
        let memory = self.open_as::<A>(operation, &mut StdOpenOptions::new(), false)?;
        let fail = |kind| Error::new(operation, kind).with_subject(&self.path.display());
        let len = memory.len();
        if let Some(asked) = self.len.filter(|asked| len < *asked) {
            return Err(fail(ErrorKind::TooSmall).with_diagnosis(Diagnosis::of_too_small(asked, len)));
        }
        match self.expect_len {
            Some(expected) if len != expected => {
                Err(fail(ErrorKind::UnexpectedLength).with_diagnosis(Diagnosis::of_wrong_len(expected, len)))
            }
            _ => Ok(memory),
        }
    }

    fn open_as<A: Access>(
        &self,
        operation: Operation,
        how: &mut StdOpenOptions,
        is_new: bool,
    ) -> Result<SharedMemory<A>, Error> {
        let fail = |error: Error| error.with_subject(&self.path.display());
        let file = how.read(true).write(mode::<A>() == Mode::Write).open(&self.path);
        let file = file.map_err(|error| fail(from_io(operation, &error)))?;
        adopt(file, self.capacity, is_new, self.path.clone())
            .map_err(|failure| fail(Error::from_system(operation, failure)))
    }

    /// Gives a new file its length.
    fn extend(&self, operation: Operation, memory: &SharedMemory<ReadWrite>) -> Result<(), Error> {
        let len = self.len.unwrap_or(0);
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

fn adopt<A: Access>(
    file: File,
    capacity: Option<u64>,
    is_new: bool,
    path: PathBuf,
) -> Result<SharedMemory<A>, Failure> {
    let object = Object::from_file(file, mode::<A>(), capacity, is_new)?;
    let len = object.len()?;
    Ok(SharedMemory::from_right(Right::new(object, None, Some(path), None, len)))
}

fn adopt_open<A: Access>(file: File) -> Result<SharedMemory<A>, Error> {
    adopt(file, None, false, PathBuf::new())
        .map_err(|failure| Error::from_system(Operation::OpenFile, failure))
}

impl SharedMemory<ReadWrite> {
    /// Takes over an open file for reading and writing. It must have been opened for both. See
    /// [`FileOptions`].
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::NotWritable`], [`ErrorKind::PermissionDenied`]: the file was not opened for both.
    /// - [`ErrorKind::NotSharedMemory`]: it is a directory, a pipe or a device.
    pub fn from_file(file: File) -> Result<Self, Error> {
        adopt_open(file)
    }
}

impl SharedMemory<ReadOnly> {
    /// Takes over an open file for reading.
    ///
    /// # Errors
    ///
    /// Those of [`from_file`](SharedMemory::from_file).
    pub fn from_file_read_only(file: File) -> Result<Self, Error> {
        adopt_open(file)
    }
}

impl SharedMemory<CopyOnWrite> {
    /// Takes over an open file for reading, and for writing to private copies of its pages.
    ///
    /// # Errors
    ///
    /// Those of [`from_file`](SharedMemory::from_file).
    pub fn from_file_copy_on_write(file: File) -> Result<Self, Error> {
        adopt_open(file)
    }
}
