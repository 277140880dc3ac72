//! A value in a segment, as the guard of its lock accesses it.
#![allow(unsafe_code, reason = "references into the segment, for which the user vouches")]

use core::marker::PhantomData;

use super::owner::Owner;
use crate::error::Error;
use crate::segment::core::{Core, index};
use crate::segment::types::SharedType;
use crate::view::View;

/// The value of an object while `owner` holds the object's lock. Each access checks that the calling process
/// is not a forked copy of the owner.
pub(super) struct GuardedValue<'g, T> {
    core: &'g Core,
    owner: Owner,
    at: u64,
    value: PhantomData<fn() -> T>,
}

impl<'g, T: SharedType> GuardedValue<'g, T> {
    #[inline]
    pub(super) fn new(core: &'g Core, owner: Owner, at: u64) -> Self {
        GuardedValue { core, owner, at, value: PhantomData }
    }

    #[inline]
    fn offset(&self) -> Result<usize, Error> {
        self.owner.check(self.core)?;
        Ok(index(self.at))
    }

    #[inline]
    pub(super) fn get(&self) -> Result<T, Error> {
        self.core.view.read(self.offset()?)
    }

    #[inline]
    pub(super) fn set(&self, value: &T) -> Result<(), Error> {
        self.core.view.write(value, self.offset()?)
    }

    pub(super) fn update<R>(&self, change: impl FnOnce(&mut T) -> R) -> Result<R, Error> {
        let mut value = self.get()?;
        let result = change(&mut value);
        self.set(&value)?;
        Ok(result)
    }

    pub(super) fn read_exact_at(&self, bytes: &mut [u8], offset: usize) -> Result<(), Error> {
        self.core.view.subview(self.offset()?, size_of::<T>())?.read_exact_at(bytes, offset)
    }

    pub(super) fn write_all_at(&self, bytes: &[u8], offset: usize) -> Result<(), Error> {
        self.core.view.subview(self.offset()?, size_of::<T>())?.write_all_at(bytes, offset)
    }

    /// # Safety
    ///
    /// While the reference is used, no thread of any process reads or writes the bytes except through it, and
    /// no process takes their pages away.
    pub(super) unsafe fn as_mut(&self) -> Result<&'g mut T, Error> {
        let place = self.pointer()?;
        // SAFETY: `pointer` has checked that the place is aligned and inside the mapping. The mapping lives
        // as long as the view, which `core` keeps for `'g`. Any bytes are a valid `T` (`FromBytes`). The
        // caller guarantees that there is no other access.
        Ok(unsafe { &mut *place })
    }

    /// # Safety
    ///
    /// While the reference is used, no thread of any process writes the bytes, and no process takes their
    /// pages away.
    pub(super) unsafe fn as_ref(&self) -> Result<&'g T, Error> {
        let place = self.pointer()?;
        // SAFETY: as in `as_mut`. The caller guarantees that there is no write.
        Ok(unsafe { &*place })
    }

    fn pointer(&self) -> Result<*mut T, Error> {
        const { assert!(align_of::<T>() <= 64, "objects in a segment are aligned to 64 bytes at most") };
        // Objects start at multiples of 64 in the segment, and the view of the segment starts at a page.
        let view: View = self.core.view.subview(self.offset()?, size_of::<T>().max(1))?;
        Ok(view.as_mut_ptr().cast())
    }
}
