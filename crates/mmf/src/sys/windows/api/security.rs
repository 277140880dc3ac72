//! Security descriptors: creating them, converting them, reading those of objects, and passing them to calls.

use core::ffi::c_void;
use core::marker::PhantomData;
use core::ptr::{self, NonNull};
use std::os::windows::io::{AsRawHandle, BorrowedHandle};

use windows_sys::Win32::Foundation::LocalFree;
use windows_sys::Win32::Security::Authorization::{
    ConvertSecurityDescriptorToStringSecurityDescriptorW,
    ConvertStringSecurityDescriptorToSecurityDescriptorW, SDDL_REVISION_1,
};
use windows_sys::Win32::Security::{
    ACL, ACL_REVISION, AddAccessAllowedAce, GetKernelObjectSecurity, InitializeAcl,
    InitializeSecurityDescriptor, PSID, SECURITY_ATTRIBUTES, SECURITY_DESCRIPTOR,
    SECURITY_DESCRIPTOR_CONTROL, SetSecurityDescriptorControl, SetSecurityDescriptorDacl,
    SetSecurityDescriptorOwner, TOKEN_USER, TokenUser,
};
use windows_sys::Win32::System::SystemServices::SECURITY_DESCRIPTOR_REVISION;

use super::super::LastError;
use super::super::self_relative::SelfRelative;
use super::super::wide::{self, Wide};
use super::{bytes, check, get_current_thread_effective_token, get_token_information, last_error};

/// The right to read the security descriptor of an object.
pub(crate) const READ_CONTROL: u32 = 0x2_0000;

/// Attributes for calls that create objects: a security descriptor, and no inheritance of the handle.
pub(crate) struct SecurityAttributes<'d> {
    raw: SECURITY_ATTRIBUTES,
    descriptor: PhantomData<&'d [u64]>,
}

impl<'d> SecurityAttributes<'d> {
    fn new(descriptor: *const c_void) -> Self {
        let mut raw = SECURITY_ATTRIBUTES {
            nLength: 0,
            // (The calls only read it, which their types do not express.)
            lpSecurityDescriptor: descriptor.cast_mut(),
            bInheritHandle: 0,
        };
        raw.nLength = bytes(&raw);
        SecurityAttributes { raw, descriptor: PhantomData }
    }

    pub(crate) fn self_relative(descriptor: &'d SelfRelative) -> Self {
        SecurityAttributes::new(descriptor.words().as_ptr().cast())
    }

    pub(crate) fn absolute(descriptor: &'d AbsoluteDescriptor<'_>) -> Self {
        SecurityAttributes::new((&raw const descriptor.raw).cast())
    }

    /// Returns a pointer to the attributes, which is valid as long as `self` is borrowed.
    pub(super) fn as_ptr(&self) -> *const SECURITY_ATTRIBUTES {
        &self.raw
    }
}

/// The SID of the user of a token, in a reply that it borrows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UserSid<'a> {
    sid: PSID,
    reply: PhantomData<&'a [u64]>,
}

/// A buffer for [`get_token_information_user`]: a `TOKEN_USER`, and the SID of at most 68 bytes that it
/// points to.
pub(crate) type UserBuffer = [u64; 12];

/// `GetTokenInformation` for the user that this thread acts as.
pub(crate) fn get_token_information_user(reply: &mut UserBuffer) -> Result<UserSid<'_>, LastError> {
    get_token_information(get_current_thread_effective_token(), TokenUser, reply)?;
    // SAFETY: the reply starts with a TOKEN_USER, and 64-bit words are aligned for it.
    let user = unsafe { reply.as_ptr().cast::<TOKEN_USER>().read() };
    Ok(UserSid { sid: user.User.Sid, reply: PhantomData })
}

/// An access control list with room for the entry of one user.
#[derive(Debug)]
pub(crate) struct UserAcl([u64; USER_ACL_WORDS]);

/// The header of a list has 8 bytes, an entry 8, and the SID of a user at most 68.
const USER_ACL_WORDS: usize = 12;

impl UserAcl {
    fn as_mut_ptr(&mut self) -> *mut ACL {
        self.0.as_mut_ptr().cast()
    }

    /// `InitializeAcl`.
    pub(crate) fn initialize_acl() -> Result<Self, LastError> {
        let mut list = UserAcl([0; USER_ACL_WORDS]);
        let len = bytes(&list.0);
        // SAFETY: the buffer is aligned and has the length that is passed.
        check(unsafe { InitializeAcl(list.as_mut_ptr(), len, ACL_REVISION) })?;
        Ok(list)
    }

    /// `AddAccessAllowedAce`. Fails if there is no room left.
    pub(crate) fn add_access_allowed_ace(&mut self, rights: u32, user: UserSid<'_>) -> Result<(), LastError> {
        // SAFETY: the list is initialised and states its length; the SID is in a reply that its type keeps
        // borrowed.
        check(unsafe { AddAccessAllowedAce(self.as_mut_ptr(), ACL_REVISION, rights, user.sid) })
    }
}

/// A security descriptor that points to its parts.
pub(crate) struct AbsoluteDescriptor<'p> {
    raw: SECURITY_DESCRIPTOR,
    parts: PhantomData<&'p [u64]>,
}

impl<'p> AbsoluteDescriptor<'p> {
    fn as_mut_ptr(&mut self) -> *mut c_void {
        (&raw mut self.raw).cast()
    }

    /// `InitializeSecurityDescriptor`.
    pub(crate) fn initialize_security_descriptor() -> Result<Self, LastError> {
        let mut new = AbsoluteDescriptor { raw: SECURITY_DESCRIPTOR::default(), parts: PhantomData };
        // SAFETY: the pointer leads to a `SECURITY_DESCRIPTOR` of `new`, which is valid to write.
        check(unsafe { InitializeSecurityDescriptor(new.as_mut_ptr(), SECURITY_DESCRIPTOR_REVISION) })?;
        Ok(new)
    }

    /// `SetSecurityDescriptorOwner`.
    pub(crate) fn set_security_descriptor_owner(&mut self, owner: UserSid<'p>) -> Result<(), LastError> {
        // SAFETY: the descriptor is initialised; its type keeps the reply that contains the SID borrowed.
        check(unsafe { SetSecurityDescriptorOwner(self.as_mut_ptr(), owner.sid, 0) })
    }

    /// `SetSecurityDescriptorDacl`.
    pub(crate) fn set_security_descriptor_dacl(&mut self, list: &'p UserAcl) -> Result<(), LastError> {
        let list = list.0.as_ptr().cast();
        // SAFETY: the descriptor is initialised; its type keeps the list borrowed, which is initialised.
        check(unsafe { SetSecurityDescriptorDacl(self.as_mut_ptr(), 1, list, 0) })
    }

    /// `SetSecurityDescriptorControl`, which sets the bits in `control`.
    pub(crate) fn set_security_descriptor_control(
        &mut self,
        control: SECURITY_DESCRIPTOR_CONTROL,
    ) -> Result<(), LastError> {
        // SAFETY: the descriptor is initialised.
        check(unsafe { SetSecurityDescriptorControl(self.as_mut_ptr(), control, control) })
    }
}

/// `GetKernelObjectSecurity`: a self-relative descriptor in 64-bit words. The handle needs `READ_CONTROL`.
pub(crate) fn get_kernel_object_security(
    handle: BorrowedHandle<'_>,
    information: u32,
    reply: &mut [u64],
) -> Result<(), LastError> {
    let (handle, len, mut needed) = (handle.as_raw_handle(), bytes(reply), 0);
    // SAFETY: the handle is open; the buffer is aligned and has the length that is passed.
    check(unsafe {
        GetKernelObjectSecurity(handle, information, reply.as_mut_ptr().cast(), len, &mut needed)
    })
}

/// A result that a call has allocated and that `LocalFree` frees.
struct LocalAllocation<T>(NonNull<T>);

impl<T> LocalAllocation<T> {
    /// # Safety
    ///
    /// `result` is null, or an allocation that `LocalFree` frees and that has no other owner.
    unsafe fn new(result: *mut T) -> Result<Self, LastError> {
        NonNull::new(result).map(LocalAllocation).ok_or_else(last_error)
    }
}

impl<T> Drop for LocalAllocation<T> {
    fn drop(&mut self) {
        // SAFETY: by the contract of `new`, this value owns the allocation, and `LocalFree` frees it.
        unsafe { LocalFree(self.0.as_ptr().cast()) };
    }
}

/// `ConvertStringSecurityDescriptorToSecurityDescriptorW`. Returns a self-relative descriptor.
pub(crate) fn convert_string_security_descriptor(text: &Wide) -> Result<Vec<u8>, LastError> {
    let (mut descriptor, mut len) = (ptr::null_mut(), 0);
    // SAFETY: the text is zero-terminated and borrowed; the replies go to local variables.
    check(unsafe {
        ConvertStringSecurityDescriptorToSecurityDescriptorW(
            text.as_ptr(),
            SDDL_REVISION_1,
            &mut descriptor,
            &mut len,
        )
    })?;
    // SAFETY: the call transfers the ownership of the descriptor, which `LocalFree` frees according to its
    // documentation.
    let descriptor = unsafe { LocalAllocation::new(descriptor.cast::<u8>()) }?;
    // SAFETY: the call has allocated and initialised `len` bytes.
    Ok(unsafe { core::slice::from_raw_parts(descriptor.0.as_ptr(), len as usize) }.to_vec())
}

/// `ConvertSecurityDescriptorToStringSecurityDescriptorW`. `information` consists of
/// `*_SECURITY_INFORMATION`.
pub(crate) fn convert_security_descriptor_to_string(
    descriptor: &SelfRelative,
    information: u32,
) -> Result<String, LastError> {
    let (mut text, mut len) = (ptr::null_mut(), 0);
    let descriptor = descriptor.words().as_ptr().cast_mut().cast();
    // SAFETY: the descriptor is valid by its type, and the call only reads it; the replies go to local
    // variables.
    check(unsafe {
        ConvertSecurityDescriptorToStringSecurityDescriptorW(
            descriptor,
            SDDL_REVISION_1,
            information,
            &mut text,
            &mut len,
        )
    })?;
    // SAFETY: the call transfers the ownership of the text, which `LocalFree` frees according to its
    // documentation.
    let text = unsafe { LocalAllocation::new(text) }?;
    // SAFETY: the call has allocated and initialised `len` units.
    Ok(wide::text(unsafe { core::slice::from_raw_parts(text.0.as_ptr(), len as usize) }))
}
