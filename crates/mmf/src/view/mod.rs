//! Views: address ranges of this process in which shared memory is mapped, and the ways to read and write
//! through them.
//!
//! A [`View`] copies bytes and typed values in and out. An [`Atomic`] is an integer that is accessed in
//! place. A [`Cursor`] reads and writes like a file, by the traits of [`std::io`]. The traits [`Access`] and
//! [`Writable`] describe what the type parameter of a view allows.
//!
//! ```
//! let memory = mmf::SharedMemory::anonymous(4096)?;
//! let view = memory.view()?;
//! view.write(&7_u32, 100)?;
//! assert_eq!(view.read::<u32>(100)?, 7);
//! # Ok::<(), mmf::Error>(())
//! ```
//!
//! Accesses are guarded: an access to a page that another process has taken away returns an error.
// `unsafe` is used here for two things: to call the guarded routines with ranges that were checked, and to
// offer references to callers that guarantee what the library cannot check.
#![allow(unsafe_code)]

mod atomic;
mod cursor;

use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ops::Range;
use core::slice;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use zerocopy::{FromBytes, Immutable, IntoBytes};

pub(crate) use self::atomic::AtomicAt;
pub use self::atomic::{Atomic, AtomicInteger};
pub use self::cursor::Cursor;
pub use crate::access::{Access, Writable};
use crate::access::{ReadOnly, ReadWrite};
use crate::diagnosis::Diagnosis;
use crate::error::{Error, ErrorKind, Fault, Operation};
use crate::right::Right;
use crate::sys::guard::{self, Caught, Shared};
use crate::sys::{self, Copying, Failure, Mapping, Reason, Stopped, kernel};

/// An address range of this process in which a region, or a part of it, is mapped.
///
/// Other processes may write to the same bytes at any time, so a view never returns a safe reference to them:
/// bytes are copied in and out, and atomics are accessed in place. All offsets are in bytes from the start of
/// the view. Every access is checked against the length of the view. An access to a page that is gone returns
/// [`ErrorKind::Fault`].
///
/// A view of a whole region that can [grow](crate::OpenOptions::capacity) reserves addresses for its
/// capacity, so it never moves. It caches the [length](View::len), and queries the system for the new one
/// when bytes beyond it are accessed, or when [`refresh`](View::refresh) is called.
///
/// A view keeps the region and its name alive. Clones share one mapping. Threads can use a view at the same
/// time. Concurrent accesses to the same bytes are not ordered, unless the program orders them by
/// [atomics](View::atomic_u32).
#[derive(Debug)]
pub struct View<A: Access = ReadWrite> {
    mapped: Arc<Mapped>,
    /// Where this view starts in the mapping.
    start: usize,
    /// The length of this part of the region, as this view knows it. It never shrinks.
    len: AtomicUsize,
    /// How many bytes guarded routines may access without further checks: `len`, or 0 if the kernel makes the
    /// copies. So one comparison answers both questions on the fast path.
    guarded: AtomicUsize,
    copying: Copying,
    /// The most that `len` can become: the end of the mapping.
    most: usize,
    access: PhantomData<fn() -> A>,
}

/// The fields are dropped in this order: first the mapping, then the right.
#[derive(Debug)]
struct Mapped {
    mapping: Mapping,
    /// Where the mapping starts in the region.
    offset: u64,
    right: Arc<Right>,
}

impl<A: Access> View<A> {
    /// Creates a view of a mapping of `most` bytes, of which `len` exist now.
    pub(crate) fn new(mapping: Mapping, right: Arc<Right>, offset: u64, len: usize, most: usize) -> Self {
        let copying = mapping.copying();
        View::of(Arc::new(Mapped { mapping, offset, right }), 0, len, most, copying)
    }

    fn of(mapped: Arc<Mapped>, start: usize, len: usize, most: usize, copying: Copying) -> Self {
        let guarded = if copying == Copying::Guarded { len } else { 0 };
        let (len, guarded) = (AtomicUsize::new(len), AtomicUsize::new(guarded));
        View { mapped, start, len, guarded, copying, most, access: PhantomData }
    }

    /// Returns a view of a part of the same mapping.
    fn part<B: Access>(&self, offset: usize, len: usize, most: usize) -> View<B> {
        View::of(Arc::clone(&self.mapped), self.start + offset, len, most, self.copying)
    }

    /// Returns the length in bytes, as this view knows it. It grows when the region has grown and the view
    /// has been [refreshed](View::refresh), and never shrinks. It is 0 only for an empty file.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// Returns how long this view can become when the region grows, in bytes: the addresses that are
    /// reserved. Views of parts, and of regions that do not grow, keep their length.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.most
    }

    /// Returns whether the length is 0, which it is only for an empty file.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Picks up growth by any process and returns the new length.
    ///
    /// This takes one system call, unless the view has reached its capacity. There is no need to call it
    /// before an access: an access beyond the known length refreshes the view.
    ///
    /// Only views of whole regions ([`SharedMemory::view`](crate::SharedMemory::view)) grow, up to the
    /// [capacity](crate::SharedMemory::capacity). A view of a file on Windows does not: map the file again.
    ///
    /// # Errors
    ///
    /// Those of the system call that queries the length.
    ///
    /// ```
    /// let memory = mmf::OpenOptions::new().len(4096).capacity(1 << 20).anonymous()?;
    /// let view = memory.view()?;
    /// memory.grow(64 * 1024)?;
    /// assert_eq!(view.refresh()?, 64 * 1024);
    /// # Ok::<(), mmf::Error>(())
    /// ```
    pub fn refresh(&self) -> Result<usize, Error> {
        self.look().map_err(self.system(Operation::Refresh))
    }

    fn look(&self) -> Result<usize, Failure> {
        let known = self.len();
        if known == self.most {
            return Ok(known);
        }
        let end = self.mapped.right.object.len()?;
        let start = self.mapped.offset + self.start as u64;
        let now = usize::try_from(end.saturating_sub(start)).unwrap_or(usize::MAX).min(self.most);
        let len = self.len.fetch_max(now, Ordering::Relaxed).max(now);
        if self.copying == Copying::Guarded {
            self.guarded.fetch_max(len, Ordering::Relaxed);
        }
        Ok(len)
    }

    /// Returns whether the kernel makes the copies of this view: see
    /// [`faults::set_policy`](crate::faults::set_policy).
    #[must_use]
    pub fn copies_by_kernel(&self) -> bool {
        self.copying == Copying::ByKernel
    }

    /// Returns a view of the same bytes whose copies are made by the kernel, which needs no signal handler.
    /// For what such copies cover and cost, see [`faults::set_policy`](crate::faults::set_policy), which
    /// requests them for the whole process.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] where the system makes no such copies: on Windows, which does not need
    /// them, on macOS, and where a filter of system calls forbids them.
    pub fn with_kernel_copies(&self) -> Result<View<A>, Error> {
        if !sys::kernel_copies() {
            let error = Error::new(Operation::Map, ErrorKind::Unsupported);
            let error = error.with_detail("the kernel makes no copies for this process (process_vm_readv)");
            return Err(self.mapped.right.name_it(error));
        }
        Ok(View::of(Arc::clone(&self.mapped), self.start, self.len(), self.most, Copying::ByKernel))
    }

    /// Returns the address of the first byte, for C interfaces and devices.
    ///
    /// Reads through it have the requirements of [`as_slice`](View::as_slice).
    #[must_use]
    #[inline]
    pub fn as_ptr(&self) -> *const u8 {
        self.address().cast_const()
    }

    #[inline]
    fn address(&self) -> *mut u8 {
        self.mapped.mapping.address().wrapping_add(self.start)
    }

    /// Returns the address of `len` bytes at `offset` if they are within the known length and guarded
    /// routines make the copies.
    #[inline]
    fn near(&self, offset: usize, len: usize) -> Option<*mut u8> {
        let all = self.guarded.load(Ordering::Relaxed);
        (len <= all && offset <= all - len).then(|| self.address().wrapping_add(offset))
    }

    /// Returns the start and the length of a range. A range whose end precedes its start reaches past every
    /// view.
    fn extent(&self, operation: Operation, range: Range<usize>) -> Result<(usize, usize), Error> {
        match range.end.checked_sub(range.start) {
            Some(len) => Ok((range.start, len)),
            None => self.at(operation, range.start, usize::MAX).map(|_| (range.start, 0)),
        }
    }

    /// Returns the address of `len` bytes at `offset` if they are within the view.
    #[inline]
    fn at(&self, operation: Operation, offset: usize, len: usize) -> Result<*mut u8, Error> {
        match self.near(offset, len) {
            Some(address) => Ok(address),
            None => self.beyond(operation, offset, len),
        }
    }

    /// Returns the address of bytes that are not [`near`](View::near).
    #[cold]
    fn beyond(&self, operation: Operation, offset: usize, len: usize) -> Result<*mut u8, Error> {
        let inside = |all: usize| offset.checked_add(len).is_some_and(|end| end <= all);
        if inside(self.len()) {
            return Ok(self.address().wrapping_add(offset));
        }
        if inside(self.most) && inside(self.look().map_err(self.system(operation))?) {
            return Ok(self.address().wrapping_add(offset));
        }
        let all = self.len();
        let detail = format!("{len} bytes at offset {offset} do not fit into the {all} of this view");
        let detail = if all < self.most {
            format!("{detail}; it can have {}: grow the region first", self.most)
        } else {
            detail
        };
        Err(self.mapped.right.name_it(Error::new(operation, ErrorKind::OutOfBounds).with_detail(detail)))
    }

    #[cold]
    fn fault(&self, operation: Operation, caught: Caught) -> Error {
        let offset = caught.address.wrapping_sub(self.address().addr());
        let fault = Fault { offset, code: caught.code, detail: caught.detail };
        let (right, start) = (&self.mapped.right, self.mapped.offset + self.start as u64);
        let diagnosis = Diagnosis::of_fault(
            &right.object,
            start.saturating_add(offset as u64),
            caught.code,
            caught.detail,
            right.file.is_some(),
        );
        right.name_it(Error::new(operation, ErrorKind::Fault).with_fault(fault).with_diagnosis(diagnosis))
    }

    fn system(&self, operation: Operation) -> impl Fn(Failure) -> Error + '_ {
        move |failure| self.mapped.right.error(operation, failure)
    }

    fn stopped(&self, operation: Operation, stopped: Stopped) -> Error {
        match stopped {
            Stopped::Fault(caught) => self.fault(operation, caught),
            Stopped::Refused(failure) => self.mapped.right.error(operation, failure),
        }
    }

    /// Reads bytes that are not [`near`](View::near).
    ///
    /// # Safety
    ///
    /// `into` is valid for writes of `len` bytes and does not overlap the mapping.
    #[cold]
    unsafe fn read_far(
        &self,
        operation: Operation,
        offset: usize,
        into: *mut u8,
        len: usize,
    ) -> Result<(), Error> {
        let source = self.at(operation, offset, len)?;
        if self.copying == Copying::ByKernel {
            // SAFETY: the caller's contract.
            return unsafe { kernel::read(into, source, len) }
                .map_err(|stopped| self.stopped(operation, stopped));
        }
        // SAFETY: the caller's contract. The source was checked to be within this view's mapping, which lives
        // as long as the view.
        unsafe { guard::copy(into, source, len, Shared::Source) }
            .map_err(|caught| self.fault(operation, caught))
    }

    /// Writes bytes that are not [`near`](View::near).
    ///
    /// # Safety
    ///
    /// `from` is valid for reads of `len` bytes and does not overlap the mapping, which is writable.
    #[cold]
    unsafe fn write_far(
        &self,
        operation: Operation,
        offset: usize,
        from: *const u8,
        len: usize,
    ) -> Result<(), Error> {
        let destination = self.at(operation, offset, len)?;
        if self.copying == Copying::ByKernel {
            // SAFETY: the caller's contract. The destination was checked to be within this view's mapping.
            return unsafe { kernel::write(destination, from, len) }
                .map_err(|stopped| self.stopped(operation, stopped));
        }
        // SAFETY: the caller's contract. The destination was checked to be within this view's mapping, which
        // lives as long as the view.
        unsafe { guard::copy(destination, from, len, Shared::Destination) }
            .map_err(|caught| self.fault(operation, caught))
    }

    /// Copies bytes of the region into `bytes`. Fills `bytes` completely or returns an error.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::OutOfBounds`].
    /// - [`ErrorKind::Fault`]: a part of `bytes` may have been overwritten.
    #[inline]
    pub fn read_exact_at(&self, bytes: &mut [u8], offset: usize) -> Result<(), Error> {
        let Some(source) = self.near(offset, bytes.len()) else {
            // SAFETY: `bytes` is borrowed mutably for the call, so it is valid for writes and does not
            // overlap a mapping.
            return unsafe { self.read_far(Operation::Read, offset, bytes.as_mut_ptr(), bytes.len()) };
        };
        // SAFETY: `bytes` is borrowed mutably for the call, so it is valid for writes and does not overlap a
        // mapping. The source was checked to be within this view's mapping, which lives as long as the view.
        unsafe { guard::copy(bytes.as_mut_ptr(), source, bytes.len(), Shared::Source) }
            .map_err(|caught| self.fault(Operation::Read, caught))
    }

    /// Copies `len` bytes of the region into a new vector.
    ///
    /// # Errors
    ///
    /// Those of [`read_exact_at`](View::read_exact_at).
    pub fn read_vec(&self, offset: usize, len: usize) -> Result<Vec<u8>, Error> {
        self.at(Operation::Read, offset, len)?;
        let mut bytes = vec![0; len];
        self.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }

    /// Reads a value. Whatever bytes another process writes, they are a valid `T`: that is what zerocopy's
    /// [`FromBytes`] guarantees.
    ///
    /// The offset needs no alignment. The value is copied in one go but not atomically: if another process
    /// writes at the same time, the value can be partly old and partly new. Use [atomics](View::atomic_u32)
    /// or locks where that matters.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OutOfBounds`], [`ErrorKind::Fault`].
    ///
    /// ```
    /// use zerocopy::{FromBytes, Immutable, IntoBytes};
    ///
    /// #[derive(FromBytes, IntoBytes, Immutable, Debug, PartialEq)]
    /// #[repr(C)]
    /// struct Pose { x: f32, y: f32, heading: f32 }
    ///
    /// let memory = mmf::SharedMemory::anonymous(4096)?;
    /// let view = memory.view()?;
    /// let pose = Pose { x: 1.0, y: 2.0, heading: 0.5 };
    /// view.write(&pose, 64)?;
    /// assert_eq!(view.read::<Pose>(64)?, pose);
    /// # Ok::<(), mmf::Error>(())
    /// ```
    #[inline]
    pub fn read<T: FromBytes>(&self, offset: usize) -> Result<T, Error> {
        let mut value = MaybeUninit::<T>::uninit();
        let into = value.as_mut_ptr().cast();
        if let Some(source) = self.near(offset, size_of::<T>()) {
            // SAFETY: `value` is on this function's stack and valid for writes of a T. The source is as in
            // `read_exact_at`.
            unsafe { guard::copy(into, source, size_of::<T>(), Shared::Source) }
                .map_err(|caught| self.fault(Operation::Read, caught))?;
        } else {
            // SAFETY: `value` is on this function's stack and valid for writes of a T.
            unsafe { self.read_far(Operation::Read, offset, into, size_of::<T>()) }?;
        }
        // SAFETY: all bytes of the value were written, and any bytes are a T, which `FromBytes` guarantees.
        Ok(unsafe { value.assume_init() })
    }

    /// Copies the bytes of `range` to `to_offset` in another view, of the same region or another.
    ///
    /// The two ranges may overlap within one mapping. (If two views map the same bytes at different addresses
    /// and the ranges overlap there, the result is unspecified.)
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::OutOfBounds`]: for either view.
    /// - [`ErrorKind::Fault`]: its offset is relative to the view in which the fault happened.
    pub fn copy_to(
        &self,
        range: Range<usize>,
        to: &View<impl Writable>,
        to_offset: usize,
    ) -> Result<(), Error> {
        let (offset, len) = self.extent(Operation::Copy, range)?;
        let source = self.at(Operation::Copy, offset, len)?;
        let destination = to.at(Operation::Copy, to_offset, len)?;
        let fault = |caught: Caught| {
            let inside = |start: *mut u8| (start.addr()..start.addr() + len).contains(&caught.address);
            if inside(source) {
                self.fault(Operation::Copy, caught)
            } else {
                to.fault(Operation::Copy, caught)
            }
        };
        let distance = destination.addr().abs_diff(source.addr());
        let by_kernel = self.copies_by_kernel() || to.copies_by_kernel();
        if distance >= len && !by_kernel {
            // SAFETY: both ranges were checked to be within the mappings of views that live for the call, and
            // they do not overlap, because their distance is not less than their length.
            return unsafe { guard::copy(destination, source, len, Shared::Both) }.map_err(fault);
        }
        // The ranges overlap, or the kernel could not report which side has a missing page: copy in pieces
        // through a buffer, from that end which is not overwritten before it is read.
        let mut buffer = [0; 4096];
        let mut done = 0;
        while done < len {
            let piece = buffer.len().min(len - done);
            let at = if destination > source && distance < len { len - done - piece } else { done };
            if by_kernel {
                // SAFETY: the buffer is on this function's stack and is not shorter than the piece.
                unsafe { self.read_far(Operation::Copy, offset + at, buffer.as_mut_ptr(), piece) }?;
                // SAFETY: as above, and the other view is writable.
                unsafe { to.write_far(Operation::Copy, to_offset + at, buffer.as_ptr(), piece) }?;
                done += piece;
                continue;
            }
            let (from, into) = (source.wrapping_add(at), destination.wrapping_add(at));
            // SAFETY: the buffer is on this function's stack and is not shorter than the piece, which is
            // within the range that was checked.
            unsafe { guard::copy(buffer.as_mut_ptr(), from, piece, Shared::Source) }.map_err(fault)?;
            // SAFETY: as above; the destination view is writable.
            unsafe { guard::copy(into, buffer.as_ptr(), piece, Shared::Destination) }.map_err(fault)?;
            done += piece;
        }
        Ok(())
    }

    /// Returns a part of this view as a view. It shares the mapping.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ZeroLength`], [`ErrorKind::OutOfBounds`].
    pub fn subview(&self, offset: usize, len: usize) -> Result<View<A>, Error> {
        if len == 0 {
            return Err(self.mapped.right.name_it(Error::new(Operation::Subview, ErrorKind::ZeroLength)));
        }
        self.at(Operation::Subview, offset, len)?;
        Ok(self.part(offset, len, len))
    }

    /// Returns the bytes as a slice.
    ///
    /// # Safety
    ///
    /// For as long as the slice is used, the caller guarantees for all processes:
    ///
    /// - No process writes to these bytes, and neither does this one through another view.
    /// - No process takes their pages away. (On Unix, by shortening the object; for a mapped file, by
    ///   shortening the file or removing the disk.) An access to such a page ends this process, because plain
    ///   accesses are not guarded.
    #[must_use]
    #[inline]
    pub unsafe fn as_slice(&self) -> &[u8] {
        // SAFETY: the range is mapped as long as the view lives and not longer than isize::MAX (see
        // `SharedMemory::map`), bytes need no alignment and have no invalid values, and the caller guarantees
        // that they do not change.
        unsafe { slice::from_raw_parts(self.as_ptr(), self.len()) }
    }

    /// Calls the system for the bytes of this view, if it has any.
    fn on_pages(
        &self,
        call: impl FnOnce(&Mapping, usize, usize) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        match self.len() {
            0 => Ok(()),
            len => call(&self.mapped.mapping, self.start, len),
        }
    }

    /// Writes the changed bytes of this view to the file behind the region. Does nothing for a region without
    /// a file.
    ///
    /// What a successful return guarantees depends on the system. **Linux** and **macOS** (`msync` with
    /// `MS_SYNC`): the device has the bytes; on macOS they may still be in its cache. **Windows**
    /// (`FlushViewOfFile`): the file system has them and writes them soon, so they survive the end of the
    /// process but not a loss of power. [`flush_all`](View::flush_all) guarantees more.
    ///
    /// Other processes see the same pages, whether they are flushed or not.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::StorageFull`].
    /// - [`ErrorKind::InUse`]: another process keeps a part of the file locked (Windows).
    pub fn flush(&self) -> Result<(), Error> {
        // A lock on the file only matters while the system writes these bytes, and may be released a moment
        // later.
        let mut rounds = 0;
        loop {
            match self.on_pages(|mapping, start, len| mapping.flush(start, len)) {
                Err(failure) if failure.reason == Reason::InUse && rounds < 10 => {
                    rounds += 1;
                    std::thread::sleep(core::time::Duration::from_millis(rounds));
                }
                result => {
                    return result.map_err(|failure| self.mapped.right.storage(Operation::Flush, failure));
                }
            }
        }
    }

    /// Writes the changed bytes of this view to the file, and the file's metadata such as its length, and
    /// waits until the device reports that it has them. Does nothing for a region without a file.
    ///
    /// (Linux: `fsync`. macOS: `F_FULLFSYNC`. Windows: `FlushFileBuffers`.)
    ///
    /// # Errors
    ///
    /// Those of [`flush`](View::flush).
    pub fn flush_all(&self) -> Result<(), Error> {
        self.flush()?;
        let right = &self.mapped.right;
        right.object.sync_all().map_err(|failure| right.storage(Operation::Flush, failure))
    }

    /// Returns how many bytes of the pages that this view covers are in large pages now. Pages that were
    /// never touched do not count.
    ///
    /// (Windows: `QueryWorkingSetEx`. Linux: `/proc/self/smaps`.) See
    /// [`OpenOptions::large_pages`](crate::OpenOptions::large_pages).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] on macOS.
    pub fn large_page_bytes(&self) -> Result<u64, Error> {
        self.mapped.mapping.large_bytes().map_err(self.system(Operation::QueryPages))
    }

    /// Returns the NUMA node in whose RAM the byte at `offset` is now; `None` if it is in no RAM, because its
    /// page was never touched or was paged out.
    ///
    /// (Windows: `QueryWorkingSetEx`. Linux: `move_pages`.)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OutOfBounds`]; [`ErrorKind::Unsupported`] on macOS.
    pub fn numa_node(&self, offset: usize) -> Result<Option<u32>, Error> {
        self.at(Operation::QueryPages, offset, 1)?;
        self.mapped.mapping.node_of(self.start + offset).map_err(self.system(Operation::QueryPages))
    }

    /// Asks the system to bring the pages into RAM ahead of their use. The system may ignore this.
    ///
    /// (Windows: `PrefetchVirtualMemory`. Unix: `madvise` with `MADV_WILLNEED`.)
    ///
    /// # Errors
    ///
    /// Those of the system call.
    pub fn prefetch(&self) -> Result<(), Error> {
        self.on_pages(|mapping, start, len| mapping.prefetch(start, len))
            .map_err(self.system(Operation::Prefetch))
    }

    /// Locks the pages of this view in RAM, until [`unlock_pages`](View::unlock_pages) is called or the
    /// mapping is removed.
    ///
    /// Whole pages are locked, and locking does not nest: one `unlock_pages` ends it. (Windows:
    /// `VirtualLock`. Unix: `mlock`.)
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::LimitReached`]: this is more than the process may lock (Windows: its working set; Unix:
    ///   `RLIMIT_MEMLOCK`); the diagnosis contains the limit.
    /// - [`ErrorKind::OutOfMemory`]: this and what is locked already are more than the process may lock, or
    ///   another process has cut the pages off (Unix).
    pub fn lock_pages(&self) -> Result<(), Error> {
        self.on_pages(|mapping, start, len| mapping.lock(start, len))
            .map_err(self.system(Operation::LockPages))
    }

    /// Unlocks the pages that [`lock_pages`](View::lock_pages) has locked.
    ///
    /// # Errors
    ///
    /// Those of the system call: for example, that the pages are not locked (Windows).
    pub fn unlock_pages(&self) -> Result<(), Error> {
        self.on_pages(|mapping, start, len| mapping.unlock(start, len))
            .map_err(self.system(Operation::LockPages))
    }
}

impl<A: Writable> View<A> {
    /// Copies bytes into the region.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::OutOfBounds`].
    /// - [`ErrorKind::Fault`]: a part of the bytes may have been written.
    #[inline]
    pub fn write_all_at(&self, bytes: &[u8], offset: usize) -> Result<(), Error> {
        let Some(destination) = self.near(offset, bytes.len()) else {
            // SAFETY: `bytes` is valid for reads and outside the mapping, as below.
            return unsafe { self.write_far(Operation::Write, offset, bytes.as_ptr(), bytes.len()) };
        };
        // SAFETY: `bytes` is valid for reads and outside the mapping, because a caller that created a slice
        // of the mapping has guaranteed that nothing writes to it. The destination was checked to be within
        // this view's mapping, which lives as long as the view.
        unsafe { guard::copy(destination, bytes.as_ptr(), bytes.len(), Shared::Destination) }
            .map_err(|caught| self.fault(Operation::Write, caught))
    }

    /// Writes a value. See [`read`](View::read).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OutOfBounds`], [`ErrorKind::Fault`].
    #[inline]
    pub fn write<T: IntoBytes + Immutable + ?Sized>(&self, value: &T, offset: usize) -> Result<(), Error> {
        self.write_all_at(value.as_bytes(), offset)
    }

    /// Sets every byte of `range` to `byte`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OutOfBounds`], [`ErrorKind::Fault`].
    pub fn fill(&self, byte: u8, range: Range<usize>) -> Result<(), Error> {
        let (offset, len) = self.extent(Operation::Fill, range)?;
        let destination = self.at(Operation::Fill, offset, len)?;
        if self.copies_by_kernel() {
            // SAFETY: the destination was checked to be within this view's mapping, which is writable.
            return unsafe { kernel::fill(destination, byte, len) }
                .map_err(|stopped| self.stopped(Operation::Fill, stopped));
        }
        // SAFETY: the destination was checked to be within this view's mapping, which is writable and lives
        // as long as the view.
        unsafe { guard::fill(destination, byte, len) }.map_err(|caught| self.fault(Operation::Fill, caught))
    }

    /// Copies the bytes of `range` in another view to `offset` in this one. See [`copy_to`](View::copy_to).
    ///
    /// # Errors
    ///
    /// Those of [`copy_to`](View::copy_to).
    pub fn copy_from<B: Access>(
        &self,
        from: &View<B>,
        range: Range<usize>,
        offset: usize,
    ) -> Result<(), Error> {
        from.copy_to(range, self, offset)
    }

    /// Returns the address of the first byte, for C interfaces and devices.
    ///
    /// Writes through it have the requirements of [`as_mut_slice`](View::as_mut_slice).
    #[must_use]
    #[inline]
    pub fn as_mut_ptr(&self) -> *mut u8 {
        self.address()
    }

    /// Returns the bytes as a mutable slice.
    ///
    /// # Safety
    ///
    /// For as long as the slice is used, the caller guarantees for all processes:
    ///
    /// - Nothing else reads or writes these bytes, and neither does this process through this or another
    ///   view. All participants have to follow a protocol that ensures this, such as a lock.
    /// - No process takes their pages away; see [`as_slice`](View::as_slice).
    #[must_use]
    #[inline]
    #[allow(clippy::mut_from_ref, reason = "the caller guarantees that the access is exclusive")]
    pub unsafe fn as_mut_slice(&self) -> &mut [u8] {
        // SAFETY: the range is mapped for writing as long as the view lives and not longer than isize::MAX,
        // bytes need no alignment and have no invalid values, and the caller guarantees exclusive access.
        unsafe { slice::from_raw_parts_mut(self.as_mut_ptr(), self.len()) }
    }

    /// Returns the same view without the methods that write. The mapping stays writable. To pass on a region
    /// that cannot be written, use [`SharedMemory::into_read_only`](crate::SharedMemory::into_read_only).
    #[must_use]
    pub fn as_read_only(&self) -> View<ReadOnly> {
        self.part(0, self.len(), self.most)
    }
}

/// Clones share the mapping.
impl<A: Access> Clone for View<A> {
    fn clone(&self) -> Self {
        self.part(0, self.len(), self.most)
    }
}
