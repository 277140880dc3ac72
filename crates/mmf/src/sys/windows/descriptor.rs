//! Security descriptors, which the system parses from SDDL, formats as SDDL, and reads from objects.

use std::os::windows::io::BorrowedHandle;

use windows_sys::Win32::Foundation::{ERROR_INVALID_PARAMETER, ERROR_INVALID_SECURITY_DESCR};
use windows_sys::Win32::Security::{
    DACL_SECURITY_INFORMATION, GROUP_SECURITY_INFORMATION, LABEL_SECURITY_INFORMATION,
    OWNER_SECURITY_INFORMATION,
};
use zerocopy::IntoBytes;

use super::reply::with_buffer;
use super::self_relative::{self, SelfRelative};
use super::wide::Wide;
use super::{LastError, api};
use crate::sys::Failure;

/// The parts that a handle with `READ_CONTROL` can read. (Of the system list, all but the label requires a
/// privilege.)
const PLAIN: u32 = OWNER_SECURITY_INFORMATION | GROUP_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION;

/// Parses a descriptor in the Security Descriptor Definition Language (SDDL).
pub(crate) fn from_sddl(text: &str) -> Result<Vec<u8>, Failure> {
    let text = Wide::new(text).ok_or(LastError(ERROR_INVALID_PARAMETER))?;
    Ok(api::convert_string_security_descriptor(&text)?)
}

/// Formats the owner, the group, the access control list and the integrity label as SDDL.
pub(crate) fn to_sddl(descriptor: &[u8]) -> Result<String, Failure> {
    let descriptor = SelfRelative::new(descriptor)?;
    Ok(api::convert_security_descriptor_to_string(&descriptor, PLAIN | LABEL_SECURITY_INFORMATION)?)
}

/// Reads the descriptor of an object. The handle needs `READ_CONTROL`.
pub(crate) fn of(handle: BorrowedHandle<'_>) -> Result<Vec<u8>, Failure> {
    let query =
        |information| with_buffer(64, |buffer| api::get_kernel_object_security(handle, information, buffer));
    // On a system without labels the other parts are still useful. If the right is missing, the second query
    // fails as well.
    let (words, ()) = query(PLAIN | LABEL_SECURITY_INFORMATION).or_else(|_| query(PLAIN))?;
    let bytes = words.as_bytes();
    let end = self_relative::end(bytes).ok_or(LastError(ERROR_INVALID_SECURITY_DESCR))?;
    Ok(bytes.get(..end).unwrap_or_default().to_vec())
}

#[cfg(test)]
mod tests;
