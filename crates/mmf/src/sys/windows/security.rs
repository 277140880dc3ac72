//! The protection of the objects that this process creates.

use windows_sys::Win32::Security::SE_DACL_PROTECTED;
use windows_sys::Win32::Storage::FileSystem::{FILE_ALL_ACCESS, SYNCHRONIZE};
use windows_sys::Win32::System::Memory::SECTION_ALL_ACCESS;

use super::LastError;
use super::api::{self, AbsoluteDescriptor, SecurityAttributes, UserAcl, UserBuffer};
use super::self_relative::SelfRelative;

/// Which users may open an object that is created.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Protection {
    /// The current user and no other user. An object without a name grants nothing to any user: an existing
    /// handle keeps its rights, but cannot be duplicated into one with more rights.
    #[default]
    CurrentUser,
    /// The users that a self-relative security descriptor names.
    Descriptor(Vec<u8>),
}

/// Calls `create` with the attributes for a section.
pub(super) fn with_attributes<T>(
    protection: &Protection,
    is_named: bool,
    create: impl FnOnce(&SecurityAttributes<'_>) -> Result<T, LastError>,
) -> Result<T, LastError> {
    with(protection, is_named.then_some(SECTION_ALL_ACCESS), create)
}

/// The rights of the current user to an event or a semaphore of its own.
pub(super) const OWN_RIGHTS_TO_WAIT: u32 = SECTION_ALL_ACCESS | SYNCHRONIZE;

/// Calls `create` with the attributes for an event or a semaphore.
pub(super) fn with_attributes_to_wait<T>(
    protection: &Protection,
    create: impl FnOnce(&SecurityAttributes<'_>) -> Result<T, LastError>,
) -> Result<T, LastError> {
    with(protection, Some(OWN_RIGHTS_TO_WAIT), create)
}

/// Calls `create` with the attributes for a file that only the current user may open.
pub(super) fn with_attributes_of_own_file<T>(
    create: impl FnOnce(&SecurityAttributes<'_>) -> Result<T, LastError>,
) -> Result<T, LastError> {
    with_own(Some(FILE_ALL_ACCESS), create)
}

fn with<T>(
    protection: &Protection,
    own_rights: Option<u32>,
    create: impl FnOnce(&SecurityAttributes<'_>) -> Result<T, LastError>,
) -> Result<T, LastError> {
    match protection {
        Protection::CurrentUser => with_own(own_rights, create),
        Protection::Descriptor(bytes) => {
            create(&SecurityAttributes::self_relative(&SelfRelative::new(bytes)?))
        }
    }
}

/// Calls `create` with attributes that grant these rights to the current user, or nothing to any user. The
/// descriptor is built on the stack, because most regions are created with it.
fn with_own<T>(
    rights: Option<u32>,
    create: impl FnOnce(&SecurityAttributes<'_>) -> Result<T, LastError>,
) -> Result<T, LastError> {
    let mut reply = UserBuffer::default();
    let mut list = UserAcl::initialize_acl()?;
    let mut descriptor = AbsoluteDescriptor::initialize_security_descriptor()?;
    if let Some(rights) = rights {
        let user = api::get_token_information_user(&mut reply)?;
        list.add_access_allowed_ace(rights, user)?;
        // Without an explicit owner, objects of an elevated program belong to the administrators, and other
        // programs of the same user cannot determine the creator.
        descriptor.set_security_descriptor_owner(user)?;
    }
    descriptor.set_security_descriptor_dacl(&list)?;
    descriptor.set_security_descriptor_control(SE_DACL_PROTECTED)?;
    create(&SecurityAttributes::absolute(&descriptor))
}
