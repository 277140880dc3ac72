//! Random numbers.

use core::ffi::c_void;

use super::super::LastError;
use super::{bytes, last_error};

// The bindings lack this name. `RtlGenRandom` of ntsecapi.h.
windows_link::link!("advapi32.dll" "system" "SystemFunction036"
    fn RtlGenRandom(buffer: *mut c_void, len: u32) -> u8);

/// `RtlGenRandom`: random bytes of cryptographic quality.
pub(crate) fn rtl_gen_random(buffer: &mut [u8; 16]) -> Result<(), LastError> {
    let len = bytes(buffer);
    // SAFETY: the buffer has the length that is passed.
    if unsafe { RtlGenRandom(buffer.as_mut_ptr().cast(), len) } == 0 { Err(last_error()) } else { Ok(()) }
}
