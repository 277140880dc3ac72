//! The right to a shared memory.

use core::marker::PhantomData;
use std::sync::Arc;

use crate::access::{Access, ReadOnly, ReadWrite};
use crate::error::{Error, ErrorKind, Operation};
use crate::name::Name;
use crate::options::OpenOptions;
use crate::security::Security;
use crate::sys::{Failure, Object};
use crate::view::View;

/// A shared memory, and the right to it: what it takes to map [`View`]s.
///
/// The memory, and its name, live as long as any `SharedMemory` or [`View`] of it does in any process. The last one takes
/// both along, also when its process is killed (on Linux: see `docs/platforms.md` for what that means). A clone is one more handle to the same right, and cheap.
///
/// ```
/// use mmf::SharedMemory;
///
/// // One process makes it …
/// let memory = SharedMemory::create("doc-memory-telemetry", 64 * 1024)?;
/// memory.view()?.write_at(0, b"hello")?;
///
/// // … another one opens it. It learns the size from the system.
/// let memory = SharedMemory::open_read_only("doc-memory-telemetry")?;
/// let mut bytes = [0; 5];
/// memory.view()?.read_at(0, &mut bytes)?;
/// assert_eq!(&bytes, b"hello");
/// # Ok::<(), mmf::Error>(())
/// ```
///
/// What may only be read has no method that writes:
///
/// ```compile_fail,E0599
/// let memory = mmf::SharedMemory::open_read_only("telemetry")?;
/// memory.view()?.write_at(0, b"hello")?; // no method named `write_at` found for struct `View<ReadOnly>`
/// # Ok::<(), mmf::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "the memory goes when the last handle to it goes"]
pub struct SharedMemory<A: Access = ReadWrite> {
    right: Arc<Right>,
    access: PhantomData<fn() -> A>,
}

/// What views keep alive.
#[derive(Debug)]
pub(crate) struct Right {
    pub(crate) object: Object,
    pub(crate) name: Option<Name>,
}

impl Right {
    /// What the system said about a call on this memory.
    pub(crate) fn error(&self, operation: Operation, failure: Failure) -> Error {
        self.name_it(Error::from_system(operation, failure))
    }

    pub(crate) fn name_it(&self, error: Error) -> Error {
        match &self.name {
            Some(name) => error.with_subject(name),
            None => error,
        }
    }
}

impl SharedMemory<ReadWrite> {
    /// Makes a memory of `len` bytes, all zero, under a name that nobody uses yet.
    ///
    /// The system may round the length up to whole pages: [`len`](SharedMemory::len) tells. Only the current user can open
    /// it. For more see [`OpenOptions`].
    ///
    /// # Errors
    ///
    /// See [`OpenOptions::create`].
    pub fn create(name: impl TryInto<Name, Error: Into<Error>>, len: u64) -> Result<Self, Error> {
        OpenOptions::new().len(len).create(name)
    }

    /// Opens a memory that exists, to read and write it. It never makes one.
    ///
    /// # Errors
    ///
    /// See [`OpenOptions::open`].
    pub fn open(name: impl TryInto<Name, Error: Into<Error>>) -> Result<Self, Error> {
        OpenOptions::new().open(name)
    }

    /// Makes a memory of `len` bytes, all zero, without a name: for this process, its threads, and those whom it is handed
    /// to.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ZeroLength`], [`ErrorKind::TooLarge`], [`ErrorKind::OutOfMemory`].
    pub fn anonymous(len: u64) -> Result<Self, Error> {
        OpenOptions::new().len(len).anonymous()
    }

    /// Gives up the right to write, for good: the handle itself loses it.
    ///
    /// Views made before keep theirs. Whom the handle is given to cannot write through it; but who may open the memory by its
    /// name for writing still may. On Linux, a memory without a name also gets a mode by which nobody can open its descriptors
    /// anew for writing through `/proc`; a process of the same user that sets out to can change that mode back.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] on macOS for a memory without a name.
    ///
    /// ```
    /// let memory = mmf::SharedMemory::anonymous(4096)?.into_read_only()?;
    /// assert_eq!(memory.view()?.read::<u32>(0)?, 0);
    /// # Ok::<(), mmf::Error>(())
    /// ```
    pub fn into_read_only(self) -> Result<SharedMemory<ReadOnly>, Error> {
        let object = self.right.object.narrow().map_err(|f| self.right.error(Operation::IntoReadOnly, f))?;
        Ok(SharedMemory::from_object(object, self.right.name.clone()))
    }
}

impl SharedMemory<ReadOnly> {
    /// Opens a memory that exists, to read it.
    ///
    /// # Errors
    ///
    /// See [`OpenOptions::open_read_only`].
    pub fn open_read_only(name: impl TryInto<Name, Error: Into<Error>>) -> Result<Self, Error> {
        OpenOptions::new().open_read_only(name)
    }
}

impl<A: Access> SharedMemory<A> {
    pub(crate) fn from_object(object: Object, name: Option<Name>) -> Self {
        SharedMemory { right: Arc::new(Right { object, name }), access: PhantomData }
    }

    pub(crate) fn right(&self) -> &Right {
        &self.right
    }

    /// The length in bytes that can be mapped now, as the system says.
    ///
    /// On Windows that is what was asked for, rounded up to whole pages. On Unix a peer that is allowed to can change it at
    /// any time; views keep the length that they were made with, and what is cut off under them is a
    /// [`Fault`](ErrorKind::Fault).
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "a shared memory is never empty")]
    pub fn len(&self) -> u64 {
        self.right.object.len().unwrap_or(0)
    }

    /// Who may do what with it, as the system says: the owner, and who may read and write.
    ///
    /// Prints as a sentence; on Windows also as [SDDL](Security::to_sddl). It can be given to another memory, which grants the
    /// same; its owner is who makes it. (What lets everyone do anything, as others sometimes make it, is refused then.)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::PermissionDenied`] on Windows, if this user may not see it.
    ///
    /// ```
    /// let memory = mmf::SharedMemory::create("doc-memory-security", 4096)?;
    /// println!("{}", memory.security()?); // owner ann; ann may …
    /// # Ok::<(), mmf::Error>(())
    /// ```
    pub fn security(&self) -> Result<Security, Error> {
        let shown = self.right.object.shown().map_err(|f| self.right.error(Operation::Security, f))?;
        Security::from_shown(shown)
    }

    /// Its name, if it was made or opened by one.
    #[must_use]
    pub fn name(&self) -> Option<&Name> {
        self.right.name.as_ref()
    }

    /// Maps the whole memory.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TooLarge`] if it does not fit the address space that is left (map parts of it then, with
    /// [`view_at`](SharedMemory::view_at)). [`ErrorKind::TooSmall`] if somebody has cut it down to nothing (Unix).
    pub fn view(&self) -> Result<View<A>, Error> {
        let len = self.right.object.len().map_err(|f| self.right.error(Operation::Map, f))?;
        if len == 0 {
            // It had some when it was opened.
            let error = Error::new(Operation::Map, ErrorKind::TooSmall)
                .with_detail("somebody has cut it down to nothing");
            return Err(self.right.name_it(error));
        }
        self.map(0, usize::try_from(len).ok(), len)
    }

    /// Maps `len` bytes from `offset` on. Any offset and any length inside the memory will do.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::ZeroLength`]: a view of no bytes.
    /// - [`ErrorKind::OutOfBounds`]: it reaches past the end.
    /// - [`ErrorKind::TooLarge`]: the address space that is left is too small.
    ///
    /// ```
    /// let memory = mmf::SharedMemory::anonymous(1 << 20)?;
    /// let part = memory.view_at(100_001, 77)?;
    /// part.write_at(0, b"in the middle")?;
    /// assert_eq!(memory.view()?.read_vec(100_001, 13)?, b"in the middle");
    /// # Ok::<(), mmf::Error>(())
    /// ```
    pub fn view_at(&self, offset: u64, len: usize) -> Result<View<A>, Error> {
        let fail = |kind| self.right.name_it(Error::new(Operation::Map, kind));
        if len == 0 {
            return Err(fail(ErrorKind::ZeroLength));
        }
        let all = self.right.object.len().map_err(|f| self.right.error(Operation::Map, f))?;
        if offset.checked_add(len as u64).is_none_or(|end| end > all) {
            return Err(fail(ErrorKind::OutOfBounds).with_detail(format!(
                "bytes {offset} and {len} more do not fit into the {all} that there are"
            )));
        }
        self.map(offset, Some(len), len as u64)
    }

    fn map(&self, offset: u64, len: Option<usize>, wanted: u64) -> Result<View<A>, Error> {
        // No object of Rust's, and so no pointer arithmetic in it, reaches further than isize::MAX.
        let Some(len) = len.filter(|len| isize::try_from(*len).is_ok()) else {
            let detail = format!(
                "{wanted} bytes do not fit the address space of this process: map parts with view_at"
            );
            return Err(self
                .right
                .name_it(Error::new(Operation::Map, ErrorKind::TooLarge).with_detail(detail)));
        };
        let mapping = self.right.object.map(offset, len).map_err(|f| self.right.error(Operation::Map, f))?;
        Ok(View::new(mapping, Arc::clone(&self.right), len))
    }
}

impl<A: Access> Clone for SharedMemory<A> {
    fn clone(&self) -> Self {
        SharedMemory { right: Arc::clone(&self.right), access: PhantomData }
    }
}
