//! Views: address ranges in which shared memory is mapped.
//!
//! `unsafe` is used here for two things: to call the guarded routines with ranges that have been checked, and to offer
//! references to those who promise what the library cannot check.
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

/// An address range of this process in which (part of) a shared memory is mapped.
///
/// Peers may write to the same bytes at any time, so a view never gives a safe reference to them: bytes are copied in and
/// out, and atomics are accessed where they are. All offsets are in bytes from the start of the view. An access is checked
/// against the view's length, and if its pages turn out to be gone it is an [`ErrorKind::Fault`], not a crash.
///
/// A view of a whole memory that can [grow](crate::OpenOptions::capacity) reserves addresses for all that it can become. It knows how
/// far the memory reached when it last looked ([`len`](View::len)), looks again when something is accessed beyond that, or when
/// it is told to ([`refresh`](View::refresh)); it never moves.
///
/// A view keeps the memory and its name alive. Clones share one mapping. Views can be used by several threads at once; what
/// two sides do to the same bytes at the same time is not ordered, unless they use [atomics](View::atomic_u32) to agree on it.
#[derive(Debug)]
pub struct View<A: Access = ReadWrite> {
    mapped: Arc<Mapped>,
    /// Where this view starts in the mapping.
    start: usize,
    /// Bytes that the memory has, as this view has last learnt. It never becomes less.
    len: AtomicUsize,
    /// Bytes that guarded routines may touch without a closer look: `len`, or 0 if the kernel makes the copies. So the way of a
    /// guarded copy has one comparison for both questions.
    guarded: AtomicUsize,
    copying: Copying,
    /// What `len` can become: the end of the mapping.
    most: usize,
    access: PhantomData<fn() -> A>,
}

/// Dropped in this order: first the mapping, then the right.
#[derive(Debug)]
struct Mapped {
    mapping: Mapping,
    /// Where the mapping starts in the memory.
    offset: u64,
    right: Arc<Right>,
}

impl<A: Access> View<A> {
    /// Of a mapping of `most` bytes, of which there are `len` now.
    pub(crate) fn new(mapping: Mapping, right: Arc<Right>, offset: u64, len: usize, most: usize) -> Self {
        let copying = mapping.copying();
        View::of(Arc::new(Mapped { mapping, offset, right }), 0, len, most, copying)
    }

    fn of(mapped: Arc<Mapped>, start: usize, len: usize, most: usize, copying: Copying) -> Self {
        let guarded = if copying == Copying::Guarded { len } else { 0 };
        let (len, guarded) = (AtomicUsize::new(len), AtomicUsize::new(guarded));
        View { mapped, start, len, guarded, copying, most, access: PhantomData }
    }

    /// A part of this view's mapping.
    fn part<B: Access>(&self, offset: usize, len: usize, most: usize) -> View<B> {
        View::of(Arc::clone(&self.mapped), self.start + offset, len, most, self.copying)
    }

    /// The length in bytes, as this view knows it: it becomes more, never less, when the memory has grown and the view has
    /// [looked](View::refresh). It is 0 only for an empty file.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// How long it can become when the region grows, in bytes: the addresses that are reserved. A view of a part, and one of a
    /// region that does not grow, stay as they are.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.most
    }

    /// Whether there is nothing in it: of an empty file.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes in what has been grown since, by whomever; gives the new length. Nothing moves, and what is not there yet costs
    /// one system call.
    ///
    /// Only views of whole memories ([`SharedMemory::view`](crate::SharedMemory::view)) follow what grows, up to
    /// the [capacity](crate::SharedMemory::capacity); of a file on Windows not even they do: map it again.
    ///
    /// There is no need to call it before an access to what somebody else says he has grown: an access beyond the known end
    /// looks by itself.
    ///
    /// # Errors
    ///
    /// What the system says.
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

    /// Whether the kernel makes the copies of this view: see [`faults::set_policy`](crate::faults::set_policy).
    #[must_use]
    pub fn copies_by_kernel(&self) -> bool {
        self.copying == Copying::ByKernel
    }

    /// The same view, with copies made by the kernel, which need no signal handler: see
    /// [`faults::set_policy`](crate::faults::set_policy), which says what they cover and cost, and sets the same for the whole process.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] where the system makes no such copies: on Windows, which does not need them, on macOS, and where a
    /// filter of system calls forbids them.
    pub fn with_kernel_copies(&self) -> Result<View<A>, Error> {
        if !sys::kernel_copies() {
            let error = Error::new(Operation::Map, ErrorKind::Unsupported);
            let error = error.with_detail("the kernel makes no copies for this process");
            return Err(self.mapped.right.name_it(error));
        }
        Ok(View::of(Arc::clone(&self.mapped), self.start, self.len(), self.most, Copying::ByKernel))
    }

    /// The address of the first byte, for those who know what they do: C interfaces, devices.
    ///
    /// Reading through it is subject to all that [`as_slice`](View::as_slice) says.
    #[must_use]
    #[inline]
    pub fn as_ptr(&self) -> *const u8 {
        self.address().cast_const()
    }

    #[inline]
    fn address(&self) -> *mut u8 {
        self.mapped.mapping.address().wrapping_add(self.start)
    }

    /// The address of `len` bytes at `offset`, if they are known to be inside and guarded routines make the copies.
    #[inline]
    fn near(&self, offset: usize, len: usize) -> Option<*mut u8> {
        let all = self.guarded.load(Ordering::Relaxed);
        (len <= all && offset <= all - len).then(|| self.address().wrapping_add(offset))
    }

    /// The start and the length of a range. A range whose end lies before its start reaches past every view.
    fn extent(&self, operation: Operation, range: Range<usize>) -> Result<(usize, usize), Error> {
        match range.end.checked_sub(range.start) {
            Some(len) => Ok((range.start, len)),
            None => self.at(operation, range.start, usize::MAX).map(|_| (range.start, 0)),
        }
    }

    /// The address of `len` bytes at `offset`, if they are inside.
    #[inline]
    fn at(&self, operation: Operation, offset: usize, len: usize) -> Result<*mut u8, Error> {
        match self.near(offset, len) {
            Some(address) => Ok(address),
            None => self.beyond(operation, offset, len),
        }
    }

    /// The address of what is not [`near`](View::near).
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
            format!("{detail}, which can become {}: grow the memory first", self.most)
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

    /// Reads what is not [`near`](View::near).
    ///
    /// # Safety
    ///
    /// `into` is valid to write for `len` bytes, and does not overlap the mapping.
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
        // SAFETY: the caller's contract; the source was checked to be inside this view's mapping, which lives as long as the view.
        unsafe { guard::copy(into, source, len, Shared::Source) }
            .map_err(|caught| self.fault(operation, caught))
    }

    /// Writes to what is not [`near`](View::near).
    ///
    /// # Safety
    ///
    /// `from` is valid to read for `len` bytes, and does not overlap the mapping, which may be written.
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
            // SAFETY: the caller's contract; the destination was checked to be inside this view's mapping.
            return unsafe { kernel::write(destination, from, len) }
                .map_err(|stopped| self.stopped(operation, stopped));
        }
        // SAFETY: the same; the mapping lives as long as the view.
        unsafe { guard::copy(destination, from, len, Shared::Destination) }
            .map_err(|caught| self.fault(operation, caught))
    }

    /// Copies bytes out of the memory. Reads all of `bytes`, or says why not.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OutOfBounds`]; [`ErrorKind::Fault`] (then part of `bytes` may have been written).
    #[inline]
    pub fn read_exact_at(&self, bytes: &mut [u8], offset: usize) -> Result<(), Error> {
        let Some(source) = self.near(offset, bytes.len()) else {
            // SAFETY: `bytes` is ours alone for the time of the call, so it is valid to write and does not overlap a mapping.
            return unsafe { self.read_far(Operation::Read, offset, bytes.as_mut_ptr(), bytes.len()) };
        };
        // SAFETY: `bytes` is ours alone for the time of the call, so it is valid to write and does not overlap a mapping;
        // the source was checked to be inside this view's mapping, which lives as long as the view.
        unsafe { guard::copy(bytes.as_mut_ptr(), source, bytes.len(), Shared::Source) }
            .map_err(|caught| self.fault(Operation::Read, caught))
    }

    /// Copies `len` bytes out of the memory into a new vector.
    ///
    /// # Errors
    ///
    /// As [`read_exact_at`](View::read_exact_at).
    pub fn read_vec(&self, offset: usize, len: usize) -> Result<Vec<u8>, Error> {
        self.at(Operation::Read, offset, len)?;
        let mut bytes = vec![0; len];
        self.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }

    /// Reads a value. Any bytes that a peer may have put there are a valid `T`; zerocopy's [`FromBytes`] sees to that.
    ///
    /// The offset needs no alignment. The value is copied in one go but not atomically: if a peer writes meanwhile, parts of
    /// it may be old and others new. Use [atomics](View::atomic_u32) where that matters.
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
            // SAFETY: `value` is valid to write for the size of a T, and on our stack; the source as in `read_exact_at`.
            unsafe { guard::copy(into, source, size_of::<T>(), Shared::Source) }
                .map_err(|caught| self.fault(Operation::Read, caught))?;
        } else {
            // SAFETY: as above.
            unsafe { self.read_far(Operation::Read, offset, into, size_of::<T>()) }?;
        }
        // SAFETY: all bytes of the value have been written, and any bytes are a T: the guarantee of FromBytes.
        Ok(unsafe { value.assume_init() })
    }

    /// Copies the bytes of `range` to `to_offset` in another view, of the same region or another.
    ///
    /// The two ranges may overlap within one mapping. (Where two views map the same bytes at different addresses and the
    /// ranges overlap there, the result is unspecified.)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OutOfBounds`] for either side; [`ErrorKind::Fault`], with the offset in the view that it happened in.
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
            // SAFETY: both were checked to be inside the mappings of views that live for the time of the call, and they
            // are further apart than they are long.
            return unsafe { guard::copy(destination, source, len, Shared::Both) }.map_err(fault);
        }
        // They overlap, or the kernel could not say on which side it found a page missing: in pieces by way of a buffer, from the end
        // that is not overwritten before it has been read.
        let mut buffer = [0; 4096];
        let mut done = 0;
        while done < len {
            let piece = buffer.len().min(len - done);
            let at = if destination > source && distance < len { len - done - piece } else { done };
            if by_kernel {
                // SAFETY: the buffer is ours and long enough.
                unsafe { self.read_far(Operation::Copy, offset + at, buffer.as_mut_ptr(), piece) }?;
                // SAFETY: the same; and the other view may be written.
                unsafe { to.write_far(Operation::Copy, to_offset + at, buffer.as_ptr(), piece) }?;
                done += piece;
                continue;
            }
            let (from, into) = (source.wrapping_add(at), destination.wrapping_add(at));
            // SAFETY: the buffer is ours and long enough; the piece is inside what was checked.
            unsafe { guard::copy(buffer.as_mut_ptr(), from, piece, Shared::Source) }.map_err(fault)?;
            // SAFETY: the same.
            unsafe { guard::copy(into, buffer.as_ptr(), piece, Shared::Destination) }.map_err(fault)?;
            done += piece;
        }
        Ok(())
    }

    /// A part of this view as a view of its own. It shares the mapping.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ZeroLength`], [`ErrorKind::OutOfBounds`].
    pub fn subview(&self, offset: usize, len: usize) -> Result<View<A>, Error> {
        if len == 0 {
            return Err(self.mapped.right.name_it(Error::new(Operation::Slice, ErrorKind::ZeroLength)));
        }
        self.at(Operation::Slice, offset, len)?;
        Ok(self.part(offset, len, len))
    }

    /// The bytes as a slice.
    ///
    /// # Safety
    ///
    /// For as long as the slice is used, you promise for all processes:
    ///
    /// - Nobody writes to these bytes, not through another view of this process either.
    /// - Nobody takes pages of them away (Unix: makes the object shorter; a mapped file: makes it shorter or loses the disk).
    ///   Touching such a page ends the process, since nothing guards a plain access.
    #[must_use]
    #[inline]
    pub unsafe fn as_slice(&self) -> &[u8] {
        // SAFETY: the range is mapped for as long as the view lives, no longer than isize::MAX (see `SharedMemory::map`),
        // bytes have no alignment and no invalid values, and the caller promises that nobody changes them.
        unsafe { slice::from_raw_parts(self.as_ptr(), self.len()) }
    }

    /// Calls for the bytes of this view, if there are any.
    fn on_pages(
        &self,
        call: impl FnOnce(&Mapping, usize, usize) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        match self.len() {
            0 => Ok(()),
            len => call(&self.mapped.mapping, self.start, len),
        }
    }

    /// Writes what has changed in this view to the file behind the memory: the bytes, not what the file system keeps besides.
    /// For memory without a file it does nothing.
    ///
    /// What each system promises: **Linux** and **macOS** (`msync` with `MS_SYNC`) return when the device has taken the bytes (on
    /// macOS they may still be in its cache). **Windows** (`FlushViewOfFile`) returns when they are with the file system, which
    /// writes them soon; it survives the end of the process and not the loss of power. For more there is
    /// [`flush_all`](View::flush_all).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::StorageFull`], [`ErrorKind::InUse`] (Windows: somebody has locked a part of the file, and keeps it), and what the
    /// system says. What others see of the file does not depend on flushing: they see the same pages.
    pub fn flush(&self) -> Result<(), Error> {
        // A lock on the file is in the way only while the system writes just these bytes; a moment later it may be gone.
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

    /// Writes what has changed in this view to the file, and the file's length and what else the file system keeps of it, and
    /// waits until the device says that it has all of it. (Linux: `fsync`; macOS: `F_FULLFSYNC`; Windows:
    /// `FlushFileBuffers`.) For memory without a file it does nothing.
    ///
    /// # Errors
    ///
    /// As [`flush`](View::flush).
    pub fn flush_all(&self) -> Result<(), Error> {
        self.flush()?;
        let right = &self.mapped.right;
        right.object.sync_all().map_err(|failure| right.storage(Operation::Flush, failure))
    }

    /// How many bytes of the pages that this view is mapped in are in large pages now. (Windows: `QueryWorkingSetEx`; Linux:
    /// `/proc/self/smaps`.) What was wished is another matter: see [`OpenOptions::large_pages`](crate::OpenOptions::large_pages).
    ///
    /// Pages that nobody has touched are none yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] on macOS.
    pub fn large_page_bytes(&self) -> Result<u64, Error> {
        self.mapped.mapping.large_bytes().map_err(self.system(Operation::Pages))
    }

    /// The NUMA node in whose RAM the byte at `offset` is now; `None` if it is in none, since nobody has touched its page yet or it
    /// was moved to disk. (Windows: `QueryWorkingSetEx`; Linux: `move_pages`.)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OutOfBounds`]; [`ErrorKind::Unsupported`] on macOS.
    pub fn numa_node(&self, offset: usize) -> Result<Option<u32>, Error> {
        self.at(Operation::Pages, offset, 1)?;
        self.mapped.mapping.node_of(self.start + offset).map_err(self.system(Operation::Pages))
    }

    /// Asks the system to bring the pages into RAM before they are used. (Windows: `PrefetchVirtualMemory`; Unix: `madvise`
    /// with `MADV_WILLNEED`.)
    ///
    /// # Errors
    ///
    /// What the system says. It may ignore the wish without an error.
    pub fn prefetch(&self) -> Result<(), Error> {
        self.on_pages(|mapping, start, len| mapping.prefetch(start, len))
            .map_err(self.system(Operation::Prefetch))
    }

    /// Keeps the pages in RAM, until [`unlock`](View::unlock) or until the mapping goes. (Windows: `VirtualLock`; Unix:
    /// `mlock`.) Whole pages are locked, and locking does not nest: one `unlock` ends it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OutOfMemory`] if a limit forbids so much (Windows: the working set; Unix: `RLIMIT_MEMLOCK`).
    pub fn lock_pages(&self) -> Result<(), Error> {
        self.on_pages(|mapping, start, len| mapping.lock(start, len)).map_err(self.system(Operation::Lock))
    }

    /// Ends what [`lock`](View::lock) did.
    ///
    /// # Errors
    ///
    /// What the system says, for example that the pages are not locked (Windows).
    pub fn unlock_pages(&self) -> Result<(), Error> {
        self.on_pages(|mapping, start, len| mapping.unlock(start, len)).map_err(self.system(Operation::Lock))
    }
}

impl<A: Writable> View<A> {
    /// Copies bytes into the memory.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OutOfBounds`]; [`ErrorKind::Fault`] (then part of the bytes may have been written).
    #[inline]
    pub fn write_all_at(&self, bytes: &[u8], offset: usize) -> Result<(), Error> {
        let Some(destination) = self.near(offset, bytes.len()) else {
            // SAFETY: `bytes` is valid to read, and lies outside the mapping, as below.
            return unsafe { self.write_far(Operation::Write, offset, bytes.as_ptr(), bytes.len()) };
        };
        // SAFETY: `bytes` is valid to read, and lies outside the mapping (who has made a slice of the mapping has promised
        // that nobody writes to it); the destination was checked to be inside this view's mapping, which lives as long.
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
            // SAFETY: the destination was checked to be inside this view's mapping, and may be written.
            return unsafe { kernel::fill(destination, byte, len) }
                .map_err(|stopped| self.stopped(Operation::Fill, stopped));
        }
        // SAFETY: the destination was checked to be inside this view's mapping, which lives as long as the view.
        unsafe { guard::fill(destination, byte, len) }.map_err(|caught| self.fault(Operation::Fill, caught))
    }

    /// Copies the bytes of `range` in another view to `offset` in this one. See [`copy_to`](View::copy_to).
    ///
    /// # Errors
    ///
    /// As [`copy_to`](View::copy_to).
    pub fn copy_from<B: Access>(
        &self,
        from: &View<B>,
        range: Range<usize>,
        offset: usize,
    ) -> Result<(), Error> {
        from.copy_to(range, self, offset)
    }

    /// The address of the first byte, for those who know what they do.
    ///
    /// Writing through it is subject to all that [`as_mut_slice`](View::as_mut_slice) says.
    #[must_use]
    #[inline]
    pub fn as_mut_ptr(&self) -> *mut u8 {
        self.address()
    }

    /// The bytes as a slice that can be written.
    ///
    /// # Safety
    ///
    /// For as long as the slice is used, you promise for all processes:
    ///
    /// - Nobody else reads or writes these bytes, not through this or another view of this process either. All peers keep a
    ///   protocol, such as a lock, that sees to it.
    /// - Nobody takes pages of them away; see [`as_slice`](View::as_slice).
    #[must_use]
    #[inline]
    #[allow(clippy::mut_from_ref, reason = "the caller promises to be alone")]
    pub unsafe fn as_mut_slice(&self) -> &mut [u8] {
        // SAFETY: the range is mapped for writing as long as the view lives, no longer than isize::MAX, bytes have no
        // alignment and no invalid values, and the caller promises that nobody else touches them.
        unsafe { slice::from_raw_parts_mut(self.as_mut_ptr(), self.len()) }
    }

    /// The same view without its methods to write. The mapping stays as it is; to hand out memory that cannot be written,
    /// use [`SharedMemory::into_read_only`](crate::SharedMemory::into_read_only).
    #[must_use]
    pub fn as_read_only(&self) -> View<ReadOnly> {
        self.part(0, self.len(), self.most)
    }
}

/// Another handle to the same mapping.
impl<A: Access> Clone for View<A> {
    fn clone(&self) -> Self {
        self.part(0, self.len(), self.most)
    }
}
