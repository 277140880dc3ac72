//! Who may open what is made here.

use windows_sys::Win32::Foundation::ERROR_INVALID_DATA;
use windows_sys::Win32::Security::{
    ACL, ACL_REVISION, AddAccessAllowedAce, InitializeAcl, InitializeSecurityDescriptor, PSID,
    SE_DACL_PROTECTED, SECURITY_ATTRIBUTES, SECURITY_DESCRIPTOR, SetSecurityDescriptorControl,
    SetSecurityDescriptorDacl, SetSecurityDescriptorOwner, TOKEN_USER, TokenUser,
};
use windows_sys::Win32::Storage::FileSystem::FILE_ALL_ACCESS;
use windows_sys::Win32::System::Memory::SECTION_ALL_ACCESS;
use windows_sys::Win32::System::SystemServices::SECURITY_DESCRIPTOR_REVISION;

use super::{LastError, api, descriptor};

/// Who may open an object: what it is made with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Protection {
    /// The current user and nobody else. An object without a name: nobody at all, since a handle that exists keeps its rights,
    /// but nobody is to make a new one by duplicating or to widen a narrower one.
    #[default]
    CurrentUser,
    /// A self-relative descriptor.
    Descriptor(Vec<u8>),
}

/// Calls `make` with attributes that say who may open the object. They are valid during the call.
pub(super) fn with_attributes<T>(
    protection: &Protection,
    is_named: bool,
    make: impl FnOnce(&SECURITY_ATTRIBUTES) -> Result<T, LastError>,
) -> Result<T, LastError> {
    match protection {
        Protection::CurrentUser => with_own(is_named.then_some(SECTION_ALL_ACCESS), make),
        Protection::Descriptor(bytes) => {
            let mut words = descriptor::words(bytes)?;
            make(&attributes(words.as_mut_ptr().cast()))
        }
    }
}

/// Calls `make` with attributes for a file that only the current user may open. They are valid during the call.
pub(super) fn with_own_file<T>(
    make: impl FnOnce(&SECURITY_ATTRIBUTES) -> Result<T, LastError>,
) -> Result<T, LastError> {
    with_own(Some(FILE_ALL_ACCESS), make)
}

/// The rights of the current user to an event or a semaphore of its own.
pub(super) const OWN_RIGHTS_TO_WAIT: u32 = SECTION_ALL_ACCESS | SYNCHRONIZE;

/// The same for an event or a semaphore: the current user's own rights include waiting.
pub(super) fn with_attributes_to_wait<T>(
    protection: &Protection,
    make: impl FnOnce(&SECURITY_ATTRIBUTES) -> Result<T, LastError>,
) -> Result<T, LastError> {
    match protection {
        Protection::CurrentUser => with_own(Some(OWN_RIGHTS_TO_WAIT), make),
        Protection::Descriptor(_) => with_attributes(protection, true, make),
    }
}

fn attributes(descriptor: *mut core::ffi::c_void) -> SECURITY_ATTRIBUTES {
    SECURITY_ATTRIBUTES {
        nLength: u32::try_from(size_of::<SECURITY_ATTRIBUTES>()).unwrap_or(0),
        lpSecurityDescriptor: descriptor,
        bInheritHandle: 0,
    }
}

/// To wait for an object.
const SYNCHRONIZE: u32 = 0x10_0000;

/// A user's SID has at most 68 bytes, an entry 8 more, the list's head 8 more.
const LIST_WORDS: usize = 12;

/// Made on the stack: this is the way of every memory for which nobody has said anything else.
fn with_own<T>(
    rights: Option<u32>,
    make: impl FnOnce(&SECURITY_ATTRIBUTES) -> Result<T, LastError>,
) -> Result<T, LastError> {
    let mut room = [0u64; LIST_WORDS];
    let list_len = u32::try_from(size_of_val(&room)).map_err(|_| LastError(ERROR_INVALID_DATA))?;
    let list = room.as_mut_ptr().cast::<ACL>();
    // SAFETY: `list` is aligned and as long as said.
    check(unsafe { InitializeAcl(list, list_len, ACL_REVISION) })?;
    let mut descriptor = SECURITY_DESCRIPTOR::default();
    let place = (&raw mut descriptor).cast();
    // SAFETY: a valid place for a descriptor.
    check(unsafe { InitializeSecurityDescriptor(place, SECURITY_DESCRIPTOR_REVISION) })?;
    // A TOKEN_USER and the SID that it points to.
    let mut answer = [0u64; 12];
    if let Some(rights) = rights {
        api::query_token(TokenUser, &mut answer)?;
        // SAFETY: the answer starts with a TOKEN_USER, and words of 64 bits are aligned for it.
        let user: PSID = unsafe { answer.as_ptr().cast::<TOKEN_USER>().read() }.User.Sid;
        // SAFETY: the list has room for one entry; the SID is in the answer, which has not moved.
        check(unsafe { AddAccessAllowedAce(list, ACL_REVISION, rights, user) })?;
        // Without this, what an elevated program makes would belong to the administrators, and the same user's other programs
        // could not tell whose it is.
        // SAFETY: the descriptor is initialised; the SID is in the answer, which outlives it and does not move.
        check(unsafe { SetSecurityDescriptorOwner(place, user, 0) })?;
    }
    // SAFETY: the descriptor is initialised; the list is, too, and outlives it.
    check(unsafe { SetSecurityDescriptorDacl(place, 1, list, 0) })?;
    // SAFETY: the descriptor is initialised.
    check(unsafe { SetSecurityDescriptorControl(place, SE_DACL_PROTECTED, SE_DACL_PROTECTED) })?;
    make(&attributes(place))
}

fn check(result: windows_sys::core::BOOL) -> Result<(), LastError> {
    if result == 0 { Err(api::last_error()) } else { Ok(()) }
}
