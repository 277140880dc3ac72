//! Copies made by the kernel, on systems that have none for this purpose. Nothing asks for them: no mapping says that it needs them.

use crate::sys::{Failure, Reason, Stopped};

/// # Safety
///
/// It has no requirements here.
pub(crate) unsafe fn read(_dst: *mut u8, _src: *const u8, _len: usize) -> Result<(), Stopped> {
    Err(Stopped::Refused(Failure::new(Reason::Unsupported)))
}

/// # Safety
///
/// It has no requirements here.
pub(crate) unsafe fn write(_dst: *mut u8, _src: *const u8, _len: usize) -> Result<(), Stopped> {
    Err(Stopped::Refused(Failure::new(Reason::Unsupported)))
}

/// # Safety
///
/// It has no requirements here.
pub(crate) unsafe fn fill(_dst: *mut u8, _byte: u8, _len: usize) -> Result<(), Stopped> {
    Err(Stopped::Refused(Failure::new(Reason::Unsupported)))
}
