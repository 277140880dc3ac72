//! Accounts: users, groups and app packages, by name and by SID.

use core::ffi::c_void;
use core::ptr::{self, NonNull};
use std::sync::OnceLock;

use windows_sys::Win32::Security::{FreeSid, LookupAccountNameW, LookupAccountSidW, SID_NAME_USE};
use windows_sys::core::HRESULT;

use super::super::LastError;
use super::super::sid::Sid;
use super::super::wide::Wide;
use super::{Function, bytes, check, count, get_proc_address};

/// `LookupAccountNameW`: writes the SID to `sid` and the name of its domain to `domain`, and returns the kind
/// of the account.
pub(crate) fn lookup_account_name(
    name: &Wide,
    sid: &mut [u64],
    domain: &mut [u16],
) -> Result<SID_NAME_USE, LastError> {
    let (mut sid_len, mut domain_len, mut kind) = (bytes(sid), count(domain), 0);
    let (sid, domain) = (sid.as_mut_ptr().cast(), domain.as_mut_ptr());
    // SAFETY: the name is zero-terminated and borrowed; the buffers have the lengths that are passed.
    check(unsafe {
        LookupAccountNameW(ptr::null(), name.as_ptr(), sid, &mut sid_len, domain, &mut domain_len, &mut kind)
    })?;
    Ok(kind)
}

/// `LookupAccountSidW`: writes the names of the account and of its domain, zero-terminated, and returns the
/// kind of the account.
pub(crate) fn lookup_account_sid(
    sid: &Sid,
    name: &mut [u16],
    domain: &mut [u16],
) -> Result<SID_NAME_USE, LastError> {
    let (mut name_len, mut domain_len, mut kind) = (count(name), count(domain), 0);
    let (name, domain) = (name.as_mut_ptr(), domain.as_mut_ptr());
    // SAFETY: the SID is complete by its type; the buffers have the lengths that are passed.
    check(unsafe {
        LookupAccountSidW(ptr::null(), sid.as_ptr(), name, &mut name_len, domain, &mut domain_len, &mut kind)
    })?;
    Ok(kind)
}

/// A SID that a call has allocated and that `FreeSid` frees.
struct AllocatedSid(NonNull<u8>);

impl AllocatedSid {
    /// Copies the SID in its binary form.
    fn to_vec(&self) -> Vec<u8> {
        // SAFETY: the call has allocated a complete SID, and every SID has eight bytes before its
        // sub-authorities.
        let [_, parts, ..] = unsafe { self.0.cast::<[u8; 8]>().read() };
        let len = 8 + 4 * usize::from(parts);
        // SAFETY: the SID is complete and has as many sub-authorities, of four bytes each, as its second byte
        // states.
        unsafe { core::slice::from_raw_parts(self.0.as_ptr(), len) }.to_vec()
    }
}

impl Drop for AllocatedSid {
    fn drop(&mut self) {
        // SAFETY: this value owns the SID, and the documentation of the only call that allocates one for it
        // names `FreeSid`.
        unsafe { FreeSid(self.0.as_ptr().cast()) };
    }
}

type DeriveAppContainerSid = unsafe extern "system" fn(*const u16, *mut *mut c_void) -> HRESULT;

/// `DeriveAppContainerSidFromAppContainerName`, which Windows has since 8. Returns `None` where it is
/// missing. A success without a SID is returned as an empty one.
pub(crate) fn derive_app_container_sid_from_app_container_name(
    name: &Wide,
) -> Option<Result<Vec<u8>, HRESULT>> {
    // The library is not linked: it loads further libraries, and is incomplete on some installations.
    static DERIVE: OnceLock<Option<DeriveAppContainerSid>> = OnceLock::new();
    let derive = DERIVE.get_or_init(|| {
        let found = get_proc_address("userenv.dll", c"DeriveAppContainerSidFromAppContainerName")?;
        // SAFETY: userenv.h declares the function of this name with this type.
        Some(unsafe { core::mem::transmute::<Function, DeriveAppContainerSid>(found) })
    });
    // SAFETY: the system's library has returned the address for this name, so this is the documented
    // function.
    derive.map(|derive| unsafe { derive_by(derive, name) })
}

/// # Safety
///
/// The function behaves as the documentation of `DeriveAppContainerSidFromAppContainerName` states.
unsafe fn derive_by(derive: DeriveAppContainerSid, name: &Wide) -> Result<Vec<u8>, HRESULT> {
    let mut sid = ptr::null_mut();
    // SAFETY: the name is zero-terminated and borrowed; the reply goes to a local variable.
    let result = unsafe { derive(name.as_ptr(), &mut sid) };
    if result < 0 {
        return Err(result);
    }
    // (The call transfers the ownership of the SID, which `FreeSid` frees according to its documentation.)
    Ok(NonNull::new(sid.cast()).map(AllocatedSid).map_or(Vec::new(), |sid| sid.to_vec()))
}

#[cfg(test)]
mod tests;
