//! References to values in shared memory: the one door that trusts all peers.
#![allow(unsafe_code)]

use crate::error::Error;
use crate::segment::core::index;
use crate::segment::types::SharedType;
use crate::view::View;

/// A value of this type at this offset.
///
/// # Safety
///
/// For as long as the reference is used: nobody reads or writes the bytes but through it, and nobody takes their pages away.
#[allow(clippy::mut_from_ref, reason = "the caller promises to be alone")]
pub(super) unsafe fn as_mut<T: SharedType>(view: &View, at: u64) -> Result<&mut T, Error> {
    let place = checked::<T>(view, at)?;
    // SAFETY: inside the mapping and aligned (checked above), which lives as long as the view; any bytes are a T (FromBytes); and the
    // caller promises that nobody else touches them.
    Ok(unsafe { &mut *place })
}

/// A value of this type at this offset.
///
/// # Safety
///
/// For as long as the reference is used: nobody writes the bytes, and nobody takes their pages away.
pub(super) unsafe fn as_ref<T: SharedType>(view: &View, at: u64) -> Result<&T, Error> {
    let place = checked::<T>(view, at)?;
    // SAFETY: as in `as_mut`; the caller promises that nobody writes.
    Ok(unsafe { &*place })
}

fn checked<T: SharedType>(view: &View, at: u64) -> Result<*mut T, Error> {
    const { assert!(align_of::<T>() <= 64, "objects in a segment are aligned to 64 bytes at most") };
    // Objects start at multiples of 64 in the segment, and views of whole memories at the start of a page.
    let part = view.subview(index(at), size_of::<T>().max(1))?;
    Ok(part.as_mut_ptr().cast())
}
