//! Who may open what is made here: the current user and nobody else.

use windows_sys::Win32::Foundation::ERROR_INVALID_DATA;
use windows_sys::Win32::Security::{
    ACL, ACL_REVISION, AddAccessAllowedAce, InitializeAcl, InitializeSecurityDescriptor, SE_DACL_PROTECTED,
    SECURITY_ATTRIBUTES, SECURITY_DESCRIPTOR, SetSecurityDescriptorControl, SetSecurityDescriptorDacl,
    TOKEN_USER, TokenUser,
};
use windows_sys::Win32::System::Memory::SECTION_ALL_ACCESS;
use windows_sys::Win32::System::SystemServices::SECURITY_DESCRIPTOR_REVISION;

use super::{LastError, api};

/// A user's SID has at most 68 bytes, an entry 8 more, the list's head 8 more.
const LIST_WORDS: usize = 12;

/// Calls `make` with attributes that grant all access to the user whom this thread acts for, or to nobody: a handle that
/// exists keeps its rights, but nobody can make a new one by a name or widen a narrower one.
///
/// They are valid during the call.
pub(super) fn with_attributes<T>(
    grant_user: bool,
    make: impl FnOnce(&SECURITY_ATTRIBUTES) -> Result<T, LastError>,
) -> Result<T, LastError> {
    let bad = || LastError(ERROR_INVALID_DATA);
    let mut room = [0u64; LIST_WORDS];
    let list_len = u32::try_from(size_of_val(&room)).map_err(|_| bad())?;
    let list = room.as_mut_ptr().cast::<ACL>();
    // SAFETY: `list` is aligned and as long as said.
    check(unsafe { InitializeAcl(list, list_len, ACL_REVISION) })?;
    // A TOKEN_USER and the SID that it points to.
    let mut answer = [0u64; 12];
    if grant_user {
        api::query_token(TokenUser, &mut answer)?;
        // SAFETY: the answer starts with a TOKEN_USER, and words of 64 bits are aligned for it.
        let user = unsafe { answer.as_ptr().cast::<TOKEN_USER>().read() };
        // SAFETY: the list has room for one entry; the SID is in the answer, which has not moved.
        check(unsafe { AddAccessAllowedAce(list, ACL_REVISION, SECTION_ALL_ACCESS, user.User.Sid) })?;
    }
    let mut descriptor = SECURITY_DESCRIPTOR::default();
    let place = (&raw mut descriptor).cast();
    // SAFETY: a valid place for a descriptor.
    check(unsafe { InitializeSecurityDescriptor(place, SECURITY_DESCRIPTOR_REVISION) })?;
    // SAFETY: the descriptor is initialised; the list is, too, and outlives it.
    check(unsafe { SetSecurityDescriptorDacl(place, 1, list, 0) })?;
    // SAFETY: the descriptor is initialised.
    check(unsafe { SetSecurityDescriptorControl(place, SE_DACL_PROTECTED, SE_DACL_PROTECTED) })?;
    let attributes = SECURITY_ATTRIBUTES {
        nLength: u32::try_from(size_of::<SECURITY_ATTRIBUTES>()).map_err(|_| bad())?,
        lpSecurityDescriptor: place,
        bInheritHandle: 0,
    };
    make(&attributes)
}

fn check(result: windows_sys::core::BOOL) -> Result<(), LastError> {
    if result == 0 { Err(api::last_error()) } else { Ok(()) }
}
