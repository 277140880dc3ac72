//! A stub for systems without copies by the kernel, where no mapping requests them (`faults::set_policy`
//! refuses to).

use crate::sys::{Failure, Reason, Stopped};

/// # Safety
///
/// None of the arguments is used, so there are no requirements.
pub(crate) unsafe fn read(_dst: *mut u8, _src: *const u8, _len: usize) -> Result<(), Stopped> {
    Err(Stopped::Refused(Failure::new(Reason::Unsupported)))
}

/// # Safety
///
/// As [`read`].
pub(crate) unsafe fn write(_dst: *mut u8, _src: *const u8, _len: usize) -> Result<(), Stopped> {
    Err(Stopped::Refused(Failure::new(Reason::Unsupported)))
}

/// # Safety
///
/// As [`read`].
pub(crate) unsafe fn fill(_dst: *mut u8, _byte: u8, _len: usize) -> Result<(), Stopped> {
    Err(Stopped::Refused(Failure::new(Reason::Unsupported)))
}
