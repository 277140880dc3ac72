//! The right to a shared memory.

use core::marker::PhantomData;
use std::sync::Arc;

use crate::access::{Access, ReadOnly, ReadWrite};
use crate::diagnosis::Diagnosis;
use crate::error::{Error, ErrorKind, Operation};
use crate::holders::Holders;
use crate::name::Name;
use crate::pages::Pages;
use crate::right::Right;
use crate::security::Security;
use crate::sys::{self, Mapping, Object, Reason, Space};
use crate::view::View;

/// A shared memory, and the right to it: what it takes to map [`View`]s.
///
/// The memory, and its name, live as long as any `SharedMemory` or [`View`] of it does in any process. The last one takes
/// both along, also when its process is killed (on Linux: see `docs/platforms.md` for what that means), and when it exits with a value
/// that was never dropped, such as a static. A clone is one more handle to the same right, and cheap.
///
/// ```
/// use mmf::SharedMemory;
///
/// // One process makes it …
/// let memory = SharedMemory::create("doc-memory-telemetry", 64 * 1024)?;
/// memory.view()?.write_all_at(b"hello", 0)?;
///
/// // … another one opens it. It learns the size from the system.
/// let memory = SharedMemory::open_read_only("doc-memory-telemetry")?;
/// let mut bytes = [0; 5];
/// memory.view()?.read_exact_at(&mut bytes, 0)?;
/// assert_eq!(&bytes, b"hello");
/// # Ok::<(), mmf::Error>(())
/// ```
///
/// What may only be read has no method that writes:
///
/// ```compile_fail,E0599
/// let memory = mmf::SharedMemory::open_read_only("telemetry")?;
/// memory.view()?.write_all_at(b"hello", 0)?; // no method named `write_at` found for struct `View<ReadOnly>`
/// # Ok::<(), mmf::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "the memory goes when the last handle to it goes"]
pub struct SharedMemory<A: Access = ReadWrite> {
    right: Arc<Right>,
    access: PhantomData<fn() -> A>,
}

/// Where the name of a region leads: what [`SharedMemory::name_leads_here`] returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
pub enum NameTarget {
    /// To the region itself: a process that opens the name gets the same bytes.
    ThisRegion,
    /// To another region, or something else, that has been given the name since.
    AnotherRegion,
    /// Nowhere: the name has been removed.
    Nothing,
    /// The system does not say.
    Unknown,
}

impl SharedMemory<ReadWrite> {
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
        let Right { object, name, file, refusal } = &*self.right;
        let object = object.narrow().map_err(|f| self.right.error(Operation::IntoReadOnly, f))?;
        let (name, file, refusal) = (name.clone(), file.clone(), refusal.clone());
        Ok(SharedMemory::from_right(Right { object, name, file, refusal }))
    }

    /// Makes it `len` bytes long, if it is shorter, and gives the length that it has then. What is added is zero, and the
    /// system has promised the room for it.
    ///
    /// Nothing moves: views stay where they are, also those of other processes, and take in the new length by themselves or by
    /// [`View::refresh`]. Several processes may do it at once: the longest wish is what comes of it. The cost depends on what is
    /// added, not on what is there.
    ///
    /// Memory grows up to the [capacity](crate::OpenOptions::capacity) that it was made with; without one, not at all. A file
    /// grows as far as the disk goes. Nothing becomes shorter: Windows has no way for it, so there is no method.
    ///
    /// (Windows: `VirtualAlloc` with `MEM_COMMIT`, whole pages, or a longer section of a file. Linux: `fallocate`.)
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::BeyondCapacity`].
    /// - [`ErrorKind::OutOfMemory`], [`ErrorKind::StorageFull`]: nothing has been added. (Where memory grows by more than 1 GiB at
    ///   once and others take what is left meanwhile, a part may have been: [`len`](SharedMemory::len) tells.)
    /// - [`ErrorKind::LimitReached`]: of the size of files (Unix).
    /// - [`ErrorKind::PermissionDenied`]: somebody has sealed it (Linux).
    ///
    /// ```
    /// use mmf::OpenOptions;
    ///
    /// let memory = OpenOptions::new().len(4096).capacity(1 << 30).create("doc-memory-grow")?;
    /// let view = memory.view()?;
    /// let address = view.as_ptr();
    /// memory.grow(1 << 20)?;
    /// view.write_all_at(b"there", (1 << 20) - 5)?;
    /// assert_eq!(view.as_ptr(), address);
    /// # Ok::<(), mmf::Error>(())
    /// ```
    pub fn grow(&self, len: u64) -> Result<u64, Error> {
        let operation = Operation::Grow;
        let now = self.right.object.len().map_err(|f| self.right.error(operation, f))?;
        if len <= now {
            return Ok(now);
        }
        if i64::try_from(len).is_err() {
            return Err(self.right.name_it(Error::new(operation, ErrorKind::TooLarge)));
        }
        let capacity = self.room(now);
        if len > capacity {
            let error = Error::new(operation, ErrorKind::BeyondCapacity);
            return Err(self.right.name_it(error.with_diagnosis(self.growth(len, now, None))));
        }
        self.right.object.grow(len).map_err(|failure| {
            let error = self.right.storage(operation, failure);
            // Somebody may have made room meanwhile: then it says nothing about the failure.
            let diagnosis = self.growth(len, now, self.right.object.space());
            if diagnosis.error_kind() == Some(error.kind()) { error.with_diagnosis(diagnosis) } else { error }
        })?;
        self.right.object.len().map_err(|f| self.right.error(operation, f))
    }

    /// Whether [`grow`](SharedMemory::grow) would work, and if not, why. Nothing is changed by asking.
    ///
    /// ```
    /// let memory = mmf::OpenOptions::new().len(4096).capacity(1 << 20).anonymous()?;
    /// assert!(memory.check_grow(1 << 20).is_ok());
    /// let diagnosis = memory.check_grow(1 << 30);
    /// assert_eq!(diagnosis.error_kind(), Some(mmf::ErrorKind::BeyondCapacity));
    /// # Ok::<(), mmf::Error>(())
    /// ```
    pub fn check_grow(&self, len: u64) -> Diagnosis {
        let now = self.len();
        self.growth(len, now, self.right.object.space())
    }

    fn growth(&self, len: u64, now: u64, space: Option<Space>) -> Diagnosis {
        let is_file = self.right.file.is_some();
        let full = if is_file { ErrorKind::StorageFull } else { ErrorKind::OutOfMemory };
        let diagnosis = Diagnosis::of_growth(len, now, self.room(now), space, full);
        let object = &self.right.object;
        let not_told = object.capacity().is_none() && object.is_capacity_from_peers();
        if not_told { diagnosis.with_capacity_not_told() } else { diagnosis }
    }

    /// How long it can become at most.
    fn room(&self, now: u64) -> u64 {
        if self.right.file.is_some() {
            u64::MAX
        } else {
            self.right.object.capacity().unwrap_or(now).max(now)
        }
    }
}

impl<A: Access> SharedMemory<A> {
    pub(crate) fn from_object(object: Object, name: Option<Name>) -> Self {
        SharedMemory::from_right(Right { object, name, file: None, refusal: None })
    }

    pub(crate) fn from_right(right: Right) -> Self {
        SharedMemory { right: Arc::new(right), access: PhantomData }
    }

    pub(crate) fn right(&self) -> &Right {
        &self.right
    }

    /// The length in bytes that may be touched now, as the system says. It is 0 only for an empty file.
    ///
    /// On Windows that is what was asked for, rounded up to whole pages; of memory that [grows](crate::OpenOptions::capacity), what
    /// is committed. On Unix a peer that is allowed to can change it at any time, and so can whoever may write to a file; views
    /// keep what they know, and what is cut off under them is a [`Fault`](ErrorKind::Fault).
    #[must_use]
    pub fn len(&self) -> u64 {
        self.right.object.len().unwrap_or(0)
    }

    /// Whether there is nothing in it: an empty file.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How long it can become, in bytes; if it was not made to grow, its [length](SharedMemory::len).
    ///
    /// A process that opens a region learns it from the system. (Linux: from the holders that may write; if only readers are left,
    /// it is not known, and the region does not grow for processes that open it then, see `docs/platforms.md`. Windows: it is the
    /// size of the section. Of a file, what this process has said.)
    #[must_use]
    pub fn capacity(&self) -> u64 {
        let len = self.len();
        self.right.object.capacity().map_or(len, |capacity| capacity.max(len))
    }

    /// What its pages are: what was obtained, whatever was [wished](crate::OpenOptions::large_pages).
    #[must_use]
    pub fn pages(&self) -> Pages {
        Pages::from_system(self.right.object.pages())
    }

    /// Why its pages are not the large ones that were [preferred](crate::pages::LargePages::Preferred).
    #[must_use]
    pub fn large_pages_refused(&self) -> Option<&Error> {
        self.right.refusal.as_deref()
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
        let shown = self.right.object.raw_security().map_err(|f| self.right.error(Operation::Security, f))?;
        Security::from_raw(shown)
    }

    /// Its name, if it was made or opened by one.
    #[must_use]
    pub fn name(&self) -> Option<&Name> {
        self.right.name.as_ref()
    }

    /// Whether its name still leads to this region.
    ///
    /// A process that holds a region keeps its bytes, whatever becomes of the name. On Linux another program can remove the name
    /// or give it to another region meanwhile: foreign programs that unlink when they end, `rm`, or `systemd` when a user logs
    /// out. A reader then reads bytes that no process writes any more, and has to open the name again. On Windows a name goes
    /// with the last handle, so it leads here as long as this value lives. On macOS it can be told only that nothing has the
    /// name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] for a region that was created, opened or received without a name.
    ///
    /// ```
    /// use mmf::inspect::NameTarget;
    /// use mmf::SharedMemory;
    ///
    /// let memory = SharedMemory::create("doc-memory-leads", 4096)?;
    /// let leads = memory.name_leads_here()?;
    /// assert!(matches!(leads, NameTarget::ThisRegion | NameTarget::Unknown));
    /// # Ok::<(), mmf::Error>(())
    /// ```
    pub fn name_leads_here(&self) -> Result<NameTarget, Error> {
        let operation = Operation::Examine;
        let Some(name) = self.name() else {
            let error = Error::new(operation, ErrorKind::Unsupported);
            return Err(self.right.name_it(error.with_detail("it was opened without a name")));
        };
        if cfg!(windows) {
            return Ok(NameTarget::ThisRegion);
        }
        Ok(match self.right.object.leads_here(&name.object_name(operation, None)?) {
            sys::NameTarget::This => NameTarget::ThisRegion,
            sys::NameTarget::Other => NameTarget::AnotherRegion,
            sys::NameTarget::Nothing => NameTarget::Nothing,
            sys::NameTarget::Unknown => NameTarget::Unknown,
        })
    }

    /// The processes that hold this region, as far as they can be seen; this one is among them. (Linux.)
    ///
    /// It looks into every process of this user, and takes some milliseconds.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] on Windows and macOS, and where there is no `/proc`.
    pub fn holders(&self) -> Result<Holders, Error> {
        Holders::of(self.right.object.identity()).map_err(|error| self.right.name_it(error))
    }

    /// Maps the whole memory, and addresses for all that it can still become. An empty file gives an empty view.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TooLarge`] if it, or the [capacity](SharedMemory::capacity) that this process has asked for, does not fit the
    /// address space that is left (map parts of it then, with [`view_at`](SharedMemory::view_at)). A capacity that was learnt from
    /// other processes never makes it fail (Linux): the view has addresses for as much of it as fits, which is its
    /// [`View::capacity`]. [`ErrorKind::TooSmall`] if another process has cut the region down to nothing (Unix).
    pub fn view(&self) -> Result<View<A>, Error> {
        let object = &self.right.object;
        let len = object.len().map_err(|f| self.right.error(Operation::Map, f))?;
        if len == 0 && self.right.file.is_none() {
            // It had some when it was opened.
            let error = Error::new(Operation::Map, ErrorKind::TooSmall)
                .with_detail("somebody has cut it down to nothing");
            return Err(self.right.name_it(error));
        }
        let most = if object.follows() { object.capacity().map_or(len, |most| most.max(len)) } else { len };
        match self.map(0, len, most) {
            Err(error)
                if most > len && object.is_capacity_from_peers() && error.kind() == ErrorKind::TooLarge =>
            {
                self.map_what_fits(len, most)
            }
            result => result,
        }
    }

    /// Maps as much of a capacity as there is room for: other processes say what it is, and it may be any number.
    #[cold]
    fn map_what_fits(&self, len: u64, most: u64) -> Result<View<A>, Error> {
        // No more than the place can ever have, if that is known: a number that does not fit is not to take half of the
        // addresses either.
        let limit = self.right.object.space().map_or(most, |space| space.limit);
        let mut most = most.min(limit.max(len));
        loop {
            match self.map(0, len, most) {
                Err(error) if most > len && error.kind() == ErrorKind::TooLarge => {
                    most = if most - len > 1 << 20 { len + (most - len) / 2 } else { len };
                }
                result => return result,
            }
        }
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
    /// part.write_all_at(b"in the middle", 0)?;
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
        self.map(offset, len as u64, len as u64)
    }

    /// Maps `most` bytes, of which there are `len` now.
    fn map(&self, offset: u64, len: u64, most: u64) -> Result<View<A>, Error> {
        let right = &self.right;
        let fail = |error: Error| {
            let what = if most > len {
                format!("{most} bytes, the capacity of which {len} are in use, do")
            } else {
                format!("{most} bytes do")
            };
            let detail = format!("{what} not fit the address space of this process: map parts with view_at");
            right.name_it(error.with_detail(detail))
        };
        // No object of Rust's, and so no pointer arithmetic in it, reaches further than isize::MAX.
        let inside = |bytes| usize::try_from(bytes).ok().filter(|bytes| isize::try_from(*bytes).is_ok());
        let (Some(len), Some(most)) = (inside(len), inside(most)) else {
            return Err(fail(Error::new(Operation::Map, ErrorKind::TooLarge)));
        };
        let mapping = if most == 0 {
            Mapping::empty()
        } else {
            right.object.map(offset, most).map_err(|failure| {
                let error = Error::from_system(Operation::Map, failure);
                let diagnosis = Diagnosis::of_mapping(failure, most as u64, crate::access::is_private::<A>());
                match (diagnosis, failure.reason) {
                    (Some(diagnosis), _) => right.name_it(error.with_found(diagnosis)),
                    (None, Reason::TooLarge) => fail(error),
                    _ => right.name_it(error),
                }
            })?
        };
        Ok(View::new(mapping, Arc::clone(right), offset, len, most))
    }
}

impl<A: Access> Clone for SharedMemory<A> {
    fn clone(&self) -> Self {
        SharedMemory { right: Arc::clone(&self.right), access: PhantomData }
    }
}
