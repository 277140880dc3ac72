//! Shared memory regions: their length, growth, names, and how they are mapped.

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
use crate::sys::{self, Failure, Mapping, Object, Reason, Space};
use crate::view::View;

/// A shared memory region: a handle with which [`View`]s are mapped.
///
/// The region and its name live as long as any process has a `SharedMemory` or a [`View`] of it. Both are
/// removed when the last holder drops its last value, when its process is killed (for what that means on
/// Linux see `docs/platforms.md`), and when its process exits with a value that was never dropped, such as a
/// static. A clone shares the handle and is cheap.
///
/// ```
/// use mmf::SharedMemory;
///
/// // One process creates it …
/// let memory = SharedMemory::create("doc-memory-telemetry", 64 * 1024)?;
/// memory.view()?.write_all_at(b"hello", 0)?;
///
/// // … another one opens it. The length comes from the system.
/// let memory = SharedMemory::open_read_only("doc-memory-telemetry")?;
/// let mut bytes = [0; 5];
/// memory.view()?.read_exact_at(&mut bytes, 0)?;
/// assert_eq!(&bytes, b"hello");
/// # Ok::<(), mmf::Error>(())
/// ```
///
/// A region that was opened read-only has no methods that write:
///
/// ```compile_fail,E0599
/// let memory = mmf::SharedMemory::open_read_only("telemetry")?;
/// memory.view()?.write_all_at(b"hello", 0)?; // no such method in View<ReadOnly>
/// # Ok::<(), mmf::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "the region is removed with its last holder"]
pub struct SharedMemory<A: Access = ReadWrite> {
    right: Arc<Right>,
    access: PhantomData<fn() -> A>,
}

/// Where the name of a region leads: returned by [`SharedMemory::name_leads_here`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
pub enum NameTarget {
    /// The region itself: a process that opens the name gets the same bytes.
    ThisRegion,
    /// Another region or object, which has been given the name since.
    AnotherRegion,
    /// Nothing: the name has been removed.
    Nothing,
    /// The system does not report it.
    Unknown,
}

impl SharedMemory<ReadWrite> {
    /// Gives up the right to write. The handle itself loses it permanently.
    ///
    /// Existing views keep their access. A process that receives this handle cannot write through it. A
    /// process that is allowed to open the name for writing still can. On Linux, a region without a name also
    /// gets a mode that keeps its descriptors from being reopened for writing through `/proc`; a process of
    /// the same user can deliberately change that mode back.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] on macOS for a region without a name.
    ///
    /// ```
    /// let memory = mmf::SharedMemory::anonymous(4096)?.into_read_only()?;
    /// assert_eq!(memory.view()?.read::<u32>(0)?, 0);
    /// # Ok::<(), mmf::Error>(())
    /// ```
    pub fn into_read_only(self) -> Result<SharedMemory<ReadOnly>, Error> {
        let object = self.right.object.narrow().map_err(|f| self.right.error(Operation::IntoReadOnly, f))?;
        Ok(SharedMemory::from_right(self.right.with_object(object)))
    }

    /// Grows the region to `len` bytes if it is shorter, and returns its length. The new bytes are zero, and
    /// the system has committed storage for them.
    ///
    /// Views stay where they are, in all processes, and pick up the new length when bytes beyond the old one
    /// are accessed, or by [`View::refresh`]. If several processes grow the region at once, the longest
    /// length wins. The cost depends on the number of new bytes, not on the length.
    ///
    /// A region grows up to the [capacity](crate::OpenOptions::capacity) with which it was created, and not
    /// at all without one. A file grows as far as the disk has room. There is no method that shrinks a
    /// region, because Windows cannot do it.
    ///
    /// (Windows: `VirtualAlloc` with `MEM_COMMIT`, in whole pages, or a longer section of a file. Linux:
    /// `fallocate`.)
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::BeyondCapacity`]: `len` exceeds the capacity.
    /// - [`ErrorKind::OutOfMemory`], [`ErrorKind::StorageFull`]: nothing has been added. (If the region grows
    ///   by more than 1 GiB at once and other processes use up the storage meanwhile, a part may have been
    ///   added: see [`len`](SharedMemory::len).)
    /// - [`ErrorKind::LimitReached`]: the length exceeds the limit of this process for files (Unix,
    ///   `RLIMIT_FSIZE`).
    /// - [`ErrorKind::PermissionDenied`]: another process has sealed the region (Linux).
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
        let now = self.right.len().map_err(|f| self.right.error(operation, f))?;
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
            // If storage was freed meanwhile, the diagnosis does not explain the failure.
            let diagnosis = self.growth(len, now, self.right.object.space());
            if diagnosis.error_kind() == Some(error.kind()) { error.with_diagnosis(diagnosis) } else { error }
        })?;
        self.right.len().map_err(|f| self.right.error(operation, f))
    }

    /// Checks whether [`grow`](SharedMemory::grow) would succeed, and if not, why. Changes nothing.
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

    /// Returns the largest length that the region can have.
    fn room(&self, now: u64) -> u64 {
        if self.right.file.is_some() {
            u64::MAX
        } else {
            self.right.object.capacity().unwrap_or(now).max(now)
        }
    }
}

impl<A: Access> SharedMemory<A> {
    /// Takes over an object that was received.
    pub(crate) fn from_object(object: Object) -> Result<Self, Failure> {
        let len = object.len()?;
        Ok(SharedMemory::from_right(Right::new(object, None, None, None, len)))
    }

    pub(crate) fn from_right(right: Right) -> Self {
        SharedMemory { right: Arc::new(right), access: PhantomData }
    }

    pub(crate) fn right(&self) -> &Right {
        &self.right
    }

    /// Returns the length in bytes, as the system reports it. It is 0 only for an empty file.
    ///
    /// On Windows the length is in whole pages; for a region with a [capacity](crate::OpenOptions::capacity)
    /// it is what is committed. On Unix every process that may write to the region or file can change its
    /// length at any time. Views keep the length that they know, and accesses to bytes that were cut off fail
    /// with [`ErrorKind::Fault`].
    ///
    /// If the system does not answer, this returns the length that it reported last.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.right.len_or_known()
    }

    /// Returns whether the length is 0, which it is only for an empty file.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns how long the region can become, in bytes: its [length](SharedMemory::len) if it was created
    /// without a capacity.
    ///
    /// A process that opens a region learns the capacity from the system. (Linux: from the holders that may
    /// write. If only readers are left, the capacity is unknown, and the region does not grow for processes
    /// that open it then: see `docs/platforms.md`. Windows: it is the size of the section. For a file it is
    /// what this process has set.)
    #[must_use]
    pub fn capacity(&self) -> u64 {
        let len = self.len();
        self.right.object.capacity().map_or(len, |capacity| capacity.max(len))
    }

    /// Returns the kind of pages that the region has, which may differ from the
    /// [requested](crate::OpenOptions::large_pages) one.
    #[must_use]
    pub fn pages(&self) -> Pages {
        Pages::from_system(self.right.object.pages())
    }

    /// Returns why the region does not have the large pages that were
    /// [preferred](crate::pages::LargePages::Preferred); `None` if it has them, or if they were not
    /// preferred.
    #[must_use]
    pub fn large_pages_refused(&self) -> Option<&Error> {
        self.right.refusal.as_deref()
    }

    /// Returns the owner of the region and who may read and write it, as the system reports them.
    ///
    /// The value prints as a sentence, on Windows also as [SDDL](Security::to_sddl). It can be given to
    /// another region, which then grants the same; the owner of that region is the user who creates it. (A
    /// NULL DACL, by which everyone may do anything and which other programs sometimes set, is refused then.)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::PermissionDenied`] if this user may not read it (Windows).
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

    /// Returns the name by which the region was created or opened, if any.
    #[must_use]
    pub fn name(&self) -> Option<&Name> {
        self.right.name.as_ref()
    }

    /// Returns where the name of the region leads now.
    ///
    /// A holder of a region keeps its bytes, whatever becomes of the name. On Linux another program can
    /// remove the name or give it to another region meanwhile: foreign programs that unlink when they end,
    /// `rm`, or `systemd` when a user logs out. A reader then reads bytes that no process writes any more,
    /// and has to open the name again. On Windows a name is removed with the last handle, so it leads here as
    /// long as this value lives. On macOS only the absence of the name can be detected.
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

    /// Returns the processes that hold this region, as far as they are visible; this process is one of them
    /// (Linux).
    ///
    /// This examines every process of this user, which takes some milliseconds.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] on Windows and macOS, and where `/proc` is not mounted.
    pub fn holders(&self) -> Result<Holders, Error> {
        Holders::of(self.right.object.identity()).map_err(|error| self.right.name_it(error))
    }

    /// Maps the whole region, and reserves addresses for its capacity. The view of an empty file is empty.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::TooLarge`]: the region, or the [capacity](SharedMemory::capacity) that this process has
    ///   requested, does not fit the free address space; map parts of it with
    ///   [`view_at`](SharedMemory::view_at). A capacity that came from other processes never causes this
    ///   error (Linux): the view reserves addresses for as much of it as fits, which is its
    ///   [`View::capacity`].
    /// - [`ErrorKind::TooSmall`]: another process has cut the region down to nothing (Unix).
    pub fn view(&self) -> Result<View<A>, Error> {
        let object = &self.right.object;
        let len = self.right.len().map_err(|f| self.right.error(Operation::Map, f))?;
        if len == 0 && self.right.file.is_none() {
            // It had bytes when it was opened.
            let error = Error::new(Operation::Map, ErrorKind::TooSmall)
                .with_detail("another process has truncated it to nothing");
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

    /// Maps as much of a capacity as fits. Other processes report the capacity, and it may be any number.
    #[cold]
    fn map_what_fits(&self, len: u64, most: u64) -> Result<View<A>, Error> {
        // Start from what the file system can ever hold, if that is known: an absurd capacity must not use up
        // half of the addresses.
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

    /// Maps `len` bytes from `offset`. Both can be any numbers within the region and need no alignment.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::ZeroLength`]: `len` is 0.
    /// - [`ErrorKind::OutOfBounds`]: the range reaches past the end.
    /// - [`ErrorKind::TooLarge`]: the free address space is too small.
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
        let all = self.right.len().map_err(|f| self.right.error(Operation::Map, f))?;
        if offset.checked_add(len as u64).is_none_or(|end| end > all) {
            return Err(fail(ErrorKind::OutOfBounds).with_detail(format!(
                "{len} bytes at offset {offset} do not fit into the {all} of the region"
            )));
        }
        self.map(offset, len as u64, len as u64)
    }

    /// Maps `most` bytes, of which `len` exist now.
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
        // No Rust object, and so no pointer arithmetic within one, spans more than isize::MAX bytes.
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
