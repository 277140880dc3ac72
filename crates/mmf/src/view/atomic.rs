//! Atomic integers in shared memory.
//!
//! The accesses are single instructions of the guarded routines (or short loops, where the processor has no
//! such instruction), so an access to a page that is gone is an error here as well. An ordering can always be
//! stronger than requested, so a few routines serve all orderings.
#![allow(unsafe_code)]

use core::fmt;
use core::marker::PhantomData;
use core::sync::atomic::{self, Ordering};

use crate::access::{Access, ReadWrite, Writable};
use crate::error::{Error, ErrorKind, Operation};
use crate::sys::guard;
use crate::view::View;

/// An integer in a [`View`] that is accessed atomically, returned by [`View::atomic_u32`] and its siblings.
///
/// The methods and orderings are those of [`std::sync::atomic`], and hold between processes. Every access can
/// fail with [`Fault`](crate::ErrorKind::Fault). An ordering that an operation cannot have, such as a load
/// with `Release`, is treated as `SeqCst`.
///
/// ```
/// use std::sync::atomic::Ordering;
///
/// let memory = mmf::SharedMemory::anonymous(4096)?;
/// let view = memory.view()?;
/// let counter = view.atomic_u32(8)?;
/// assert_eq!(counter.fetch_add(5, Ordering::Relaxed)?, 0);
/// assert_eq!(view.as_read_only().atomic_u32(8)?.load(Ordering::Acquire)?, 5);
/// # Ok::<(), mmf::Error>(())
/// ```
pub struct Atomic<'v, T: AtomicInteger, A: Access = ReadWrite> {
    view: &'v View<A>,
    /// Within the view and aligned: both were checked.
    address: *mut u8,
    integer: PhantomData<fn() -> T>,
}

// SAFETY: the address is only used for atomic accesses, which any thread may make while the view is borrowed.
unsafe impl<T: AtomicInteger, A: Access> Send for Atomic<'_, T, A> {}
// SAFETY: as for Send.
unsafe impl<T: AtomicInteger, A: Access> Sync for Atomic<'_, T, A> {}

impl<T: AtomicInteger, A: Access> Clone for Atomic<'_, T, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: AtomicInteger, A: Access> Copy for Atomic<'_, T, A> {}

impl<A: Access> View<A> {
    #[inline]
    fn atomic<T: AtomicInteger>(&self, offset: usize) -> Result<Atomic<'_, T, A>, Error> {
        let address = self.at(Operation::Atomic, offset, size_of::<T>())?;
        let past = address.addr() % size_of::<T>();
        if past != 0 {
            let (size, start) = (size_of::<T>(), self.address().addr() % size_of::<T>());
            let detail = if start == 0 {
                format!("offset {offset} is not a multiple of {size}")
            } else {
                format!(
                    "this view starts {start} bytes past a multiple of {size}: use offset {}, \
                     plus a multiple of {size}",
                    size - start
                )
            };
            return Err(self
                .mapped
                .right
                .name_it(Error::new(Operation::Atomic, ErrorKind::Misaligned).with_detail(detail)));
        }
        Ok(Atomic::new(self, address))
    }
}

macro_rules! atomics {
    ($($method:ident $integer:ident;)*) => {
        impl<A: Access> View<A> {
            $(
                #[doc = concat!("Returns the `", stringify!($integer), "` at `offset`, for atomic access.")]
                ///
                /// # Errors
                ///
                /// [`ErrorKind::OutOfBounds`]; [`ErrorKind::Misaligned`] if the address is not a multiple of
                /// the size.
                #[inline]
                pub fn $method(&self, offset: usize) -> Result<Atomic<'_, $integer, A>, Error> {
                    self.atomic(offset)
                }
            )*
        }
    };
}
atomics! {
    atomic_u8 u8; atomic_u16 u16; atomic_u32 u32; atomic_u64 u64;
    atomic_i8 i8; atomic_i16 i16; atomic_i32 i32; atomic_i64 i64;
}

impl<'v, T: AtomicInteger, A: Access> Atomic<'v, T, A> {
    pub(crate) fn new(view: &'v View<A>, address: *mut u8) -> Self {
        Atomic { view, address, integer: PhantomData }
    }

    #[inline]
    fn access(&self, operation: guard::Atomic, first: T, second: T) -> Result<T, Error> {
        // SAFETY: the address is within the view's mapping and a multiple of the size, which was checked when
        // this value was created. The view is borrowed, so the mapping lives. Operations that write exist
        // only for writable views.
        unsafe { guard::atomic(operation, T::BITS, self.address, first.to_bits(), second.to_bits()) }
            .map(T::from_bits)
            .map_err(
                #[cold]
                |caught| self.view.fault(Operation::Atomic, caught),
            )
    }

    /// Loads the value.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`].
    #[inline]
    pub fn load(&self, order: Ordering) -> Result<T, Error> {
        // One routine serves all orderings: it acquires, and takes part in the single total order of SeqCst.
        let _ = order;
        self.access(guard::Atomic::Load, T::ZERO, T::ZERO)
    }

    /// Returns the atomic of the standard library at this address, for the innermost loops: its accesses are
    /// inlined and not guarded.
    ///
    /// # Safety
    ///
    /// - For as long as the reference is used, no process takes the page away: an access to it would end this
    ///   process.
    /// - If the view is read-only, only `load` is called.
    /// - All concurrent accesses to these bytes are atomic and of the same size.
    #[must_use]
    #[inline]
    pub unsafe fn as_std(&self) -> &'v T::Std {
        // SAFETY: the address is mapped as long as the view is borrowed, and aligned to the size, which is
        // the alignment of the standard atomics. Any bits are a value. The caller guarantees the rest.
        unsafe { &*self.address.cast::<T::Std>() }
    }
}

impl<T: AtomicInteger, A: Writable> Atomic<'_, T, A> {
    /// Stores a value.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`].
    #[inline]
    pub fn store(&self, value: T, order: Ordering) -> Result<(), Error> {
        let operation = match order {
            Ordering::Relaxed | Ordering::Release => guard::Atomic::Store,
            _ => guard::Atomic::Swap,
        };
        self.access(operation, value, T::ZERO).map(drop)
    }

    /// Stores a value and returns the previous one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`].
    #[inline]
    pub fn swap(&self, value: T, order: Ordering) -> Result<T, Error> {
        let _ = order;
        self.access(guard::Atomic::Swap, value, T::ZERO)
    }

    /// Stores `new` if the value is `current`. The inner result is `Ok` with the previous value if it was
    /// `current`, and otherwise `Err` with the value that was found.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`].
    #[inline]
    pub fn compare_exchange(
        &self,
        current: T,
        new: T,
        success: Ordering,
        failure: Ordering,
    ) -> Result<Result<T, T>, Error> {
        let _ = (success, failure);
        let before = self.access(guard::Atomic::CompareExchange, current, new)?;
        Ok(if before == current { Ok(before) } else { Err(before) })
    }

    /// Adds, wrapping around on overflow, and returns the previous value.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`].
    #[inline]
    pub fn fetch_add(&self, value: T, order: Ordering) -> Result<T, Error> {
        let _ = order;
        self.access(guard::Atomic::Add, value, T::ZERO)
    }

    /// Subtracts, wrapping around on overflow, and returns the previous value.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`].
    #[inline]
    pub fn fetch_sub(&self, value: T, order: Ordering) -> Result<T, Error> {
        self.fetch_add(value.wrapping_negative(), order)
    }

    /// Performs a bitwise *and* with `value` and returns the previous value.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`].
    pub fn fetch_and(&self, value: T, order: Ordering) -> Result<T, Error> {
        self.fetch_with(order, |before| T::from_bits(before.to_bits() & value.to_bits()))
    }

    /// Performs a bitwise *or* with `value` and returns the previous value.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`].
    pub fn fetch_or(&self, value: T, order: Ordering) -> Result<T, Error> {
        self.fetch_with(order, |before| T::from_bits(before.to_bits() | value.to_bits()))
    }

    /// Performs a bitwise *exclusive or* with `value` and returns the previous value.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`].
    pub fn fetch_xor(&self, value: T, order: Ordering) -> Result<T, Error> {
        self.fetch_with(order, |before| T::from_bits(before.to_bits() ^ value.to_bits()))
    }

    /// Stores the maximum of the value and `value`, and returns the previous value.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`].
    pub fn fetch_max(&self, value: T, order: Ordering) -> Result<T, Error> {
        self.fetch_with(order, |before| before.max(value))
    }

    /// Stores the minimum of the value and `value`, and returns the previous value.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`].
    pub fn fetch_min(&self, value: T, order: Ordering) -> Result<T, Error> {
        self.fetch_with(order, |before| before.min(value))
    }

    /// Stores what `new` returns for the value. A round fails only if another access has changed the value
    /// meanwhile.
    fn fetch_with(&self, order: Ordering, new: impl Fn(T) -> T) -> Result<T, Error> {
        let mut before = self.load(order)?;
        loop {
            match self.compare_exchange(before, new(before), order, order)? {
                Ok(before) => return Ok(before),
                Err(other) => before = other,
            }
        }
    }
}

/// An integer in a view, together with the view: checked once, accessed often.
pub(crate) struct AtomicAt<T: AtomicInteger, A: Access = ReadWrite> {
    view: View<A>,
    /// Within the view and aligned: both were checked. The view's mapping never moves.
    address: *mut u8,
    integer: PhantomData<fn() -> T>,
}

// SAFETY: as for `Atomic`; this value owns its view.
unsafe impl<T: AtomicInteger, A: Access> Send for AtomicAt<T, A> {}
// SAFETY: as for Send.
unsafe impl<T: AtomicInteger, A: Access> Sync for AtomicAt<T, A> {}

impl<T: AtomicInteger, A: Access> AtomicAt<T, A> {
    pub(crate) fn new(view: &View<A>, offset: usize) -> Result<Self, Error> {
        let address = view.atomic::<T>(offset)?.address;
        Ok(AtomicAt { view: view.clone(), address, integer: PhantomData })
    }

    #[inline]
    pub(crate) fn get(&self) -> Atomic<'_, T, A> {
        Atomic::new(&self.view, self.address)
    }

    /// Stores `new` if the value is `current`, and returns whether it did. Returns `false` for a fault: the
    /// slow path of the caller meets it again.
    #[allow(
        clippy::inline_always,
        reason = "a call would spill the caller's registers to the stack before the locked instruction"
    )]
    #[inline(always)]
    pub(crate) fn exchanged(&self, current: T, new: T) -> bool
    where
        A: Writable,
    {
        let (first, second) = (current.to_bits(), new.to_bits());
        // SAFETY: as in `Atomic::access`, and the view is writable.
        let before =
            unsafe { guard::atomic(guard::Atomic::CompareExchange, T::BITS, self.address, first, second) };
        before.is_ok_and(|before| before == first)
    }

    /// Returns the address, to be passed to the system.
    pub(crate) fn address(&self) -> *const u8 {
        self.address
    }
}

impl<T: AtomicInteger, A: Access> fmt::Debug for AtomicAt<T, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

/// Formats the value, or `<fault>` if it cannot be read.
impl<T: AtomicInteger, A: Access> fmt::Debug for Atomic<'_, T, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.load(Ordering::SeqCst) {
            Ok(value) => value.fmt(f),
            Err(_) => f.write_str("<fault>"),
        }
    }
}

/// The integers that can be accessed atomically: `u8` to `u64` and `i8` to `i64`. The trait is sealed.
pub trait AtomicInteger: sealed::Bits + fmt::Debug + Ord + Copy + 'static {
    /// The atomic of the standard library with the same layout.
    type Std;
}

mod sealed {
    pub trait Bits {
        const BITS: u32;
        const ZERO: Self;
        fn to_bits(self) -> u64;
        fn from_bits(bits: u64) -> Self;
        fn wrapping_negative(self) -> Self;
    }
}

macro_rules! integers {
    ($($integer:ident $unsigned:ident $std:ident;)*) => {
        $(
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_possible_wrap,
                clippy::cast_sign_loss,
                clippy::cast_lossless,
                reason = "the same bits, as another type"
            )]
            impl sealed::Bits for $integer {
                const BITS: u32 = $integer::BITS;
                const ZERO: Self = 0;
                #[inline]
                fn to_bits(self) -> u64 {
                    self as $unsigned as u64
                }
                #[inline]
                fn from_bits(bits: u64) -> Self {
                    bits as $integer
                }
                #[inline]
                fn wrapping_negative(self) -> Self {
                    self.wrapping_neg()
                }
            }
            impl AtomicInteger for $integer {
                type Std = atomic::$std;
            }
        )*
    };
}
integers! {
    u8 u8 AtomicU8; u16 u16 AtomicU16; u32 u32 AtomicU32; u64 u64 AtomicU64;
    i8 u8 AtomicI8; i16 u16 AtomicI16; i32 u32 AtomicI32; i64 u64 AtomicI64;
}
