//! Private namespaces and their boundary descriptors: calls that not every version of Windows has.
//!
//! The calls are reached through a table of their addresses, [`NamespaceCalls`], so that tests can put
//! substitutes there.

use core::ffi::c_void;
use std::fmt;

use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::Security::SECURITY_ATTRIBUTES;
use windows_sys::core::BOOL;

use super::super::LastError;
use super::super::sid::Sid;
use super::super::wide::Wide;
use super::{Function, SecurityAttributes, check, get_proc_address, last_error};

type CreateBoundaryDescriptor = unsafe extern "system" fn(*const u16, u32) -> HANDLE;
/// Replaces the handle that the first argument points to if the descriptor has to be moved.
type AddSid = unsafe extern "system" fn(*mut HANDLE, *mut c_void) -> BOOL;
type DeleteBoundaryDescriptor = unsafe extern "system" fn(HANDLE);
type CreatePrivateNamespace =
    unsafe extern "system" fn(*const SECURITY_ATTRIBUTES, *const c_void, *const u16) -> HANDLE;
type OpenPrivateNamespace = unsafe extern "system" fn(*const c_void, *const u16) -> HANDLE;
/// Returns a `BOOLEAN`: one byte, of which every value but 0 means true.
type ClosePrivateNamespace = unsafe extern "system" fn(HANDLE, u32) -> u8;

/// The addresses of the calls. The functions are those of the system, or behave as its documentation states.
#[derive(Clone, Copy)]
pub(crate) struct NamespaceCalls {
    create_boundary_descriptor: CreateBoundaryDescriptor,
    add_sid: AddSid,
    add_integrity_label: AddSid,
    delete_boundary_descriptor: DeleteBoundaryDescriptor,
    create: CreatePrivateNamespace,
    open: OpenPrivateNamespace,
    close: ClosePrivateNamespace,
}

impl NamespaceCalls {
    /// Looks the calls up. Returns `None` if one is missing.
    pub(crate) fn look_up() -> Option<Self> {
        macro_rules! function {
            ($name:literal, $type:ty) => {{
                // The first library implements the calls; the second is the documented one, and may lack some
                // of them.
                let found = get_proc_address("kernelbase.dll", $name);
                let found = found.or_else(|| get_proc_address("kernel32.dll", $name))?;
                // SAFETY: namespaceapi.h or winbase.h declares the function of this name with this type.
                unsafe { core::mem::transmute::<Function, $type>(found) }
            }};
        }
        Some(NamespaceCalls {
            create_boundary_descriptor: function!(c"CreateBoundaryDescriptorW", CreateBoundaryDescriptor),
            add_sid: function!(c"AddSIDToBoundaryDescriptor", AddSid),
            add_integrity_label: function!(c"AddIntegrityLabelToBoundaryDescriptor", AddSid),
            delete_boundary_descriptor: function!(c"DeleteBoundaryDescriptor", DeleteBoundaryDescriptor),
            create: function!(c"CreatePrivateNamespaceW", CreatePrivateNamespace),
            open: function!(c"OpenPrivateNamespaceW", OpenPrivateNamespace),
            close: function!(c"ClosePrivateNamespace", ClosePrivateNamespace),
        })
    }

    /// `CreateBoundaryDescriptorW`.
    pub(crate) fn create_boundary_descriptor(
        &self,
        name: &Wide,
    ) -> Result<BoundaryDescriptor<'_>, LastError> {
        // SAFETY: the name is zero-terminated and borrowed.
        let handle = unsafe { (self.create_boundary_descriptor)(name.as_ptr(), 0) };
        if handle.is_null() { Err(last_error()) } else { Ok(BoundaryDescriptor { calls: self, handle }) }
    }

    /// `CreatePrivateNamespaceW`.
    pub(crate) fn create_private_namespace(
        &self,
        attributes: &SecurityAttributes<'_>,
        boundary: &BoundaryDescriptor<'_>,
        alias: &Wide,
    ) -> Result<NamespaceHandle, LastError> {
        // SAFETY: the attributes and the boundary descriptor are valid by their types; the alias is
        // zero-terminated; all three are borrowed.
        let handle = unsafe { (self.create)(attributes.as_ptr(), boundary.handle, alias.as_ptr()) };
        self.opened(handle)
    }

    /// `OpenPrivateNamespaceW`.
    pub(crate) fn open_private_namespace(
        &self,
        boundary: &BoundaryDescriptor<'_>,
        alias: &Wide,
    ) -> Result<NamespaceHandle, LastError> {
        // SAFETY: the boundary descriptor is valid by its type; the alias is zero-terminated; both are
        // borrowed.
        let handle = unsafe { (self.open)(boundary.handle, alias.as_ptr()) };
        self.opened(handle)
    }

    fn opened(&self, handle: HANDLE) -> Result<NamespaceHandle, LastError> {
        if handle.is_null() { Err(last_error()) } else { Ok(NamespaceHandle { handle, close: self.close }) }
    }
}

/// A boundary descriptor. It is deleted when this value is dropped.
pub(crate) struct BoundaryDescriptor<'c> {
    calls: &'c NamespaceCalls,
    handle: HANDLE,
}

impl BoundaryDescriptor<'_> {
    /// `AddSIDToBoundaryDescriptor`.
    pub(crate) fn add_sid(&mut self, sid: &Sid) -> Result<(), LastError> {
        // SAFETY: the handle is that of a boundary descriptor, in a field that the call may write; the SID is
        // complete by its type.
        check(unsafe { (self.calls.add_sid)(&mut self.handle, sid.as_ptr()) })
    }

    /// `AddIntegrityLabelToBoundaryDescriptor`.
    pub(crate) fn add_integrity_label(&mut self, label: &Sid) -> Result<(), LastError> {
        // SAFETY: as for `add_sid`.
        check(unsafe { (self.calls.add_integrity_label)(&mut self.handle, label.as_ptr()) })
    }
}

impl Drop for BoundaryDescriptor<'_> {
    fn drop(&mut self) {
        // SAFETY: the handle is that of a boundary descriptor, which this value owns.
        unsafe { (self.calls.delete_boundary_descriptor)(self.handle) };
    }
}

/// A handle of a private namespace. It is closed when this value is dropped.
pub(crate) struct NamespaceHandle {
    handle: HANDLE,
    close: ClosePrivateNamespace,
}

// SAFETY: the handle of a namespace belongs to the process, not to a thread.
unsafe impl Send for NamespaceHandle {}

impl fmt::Debug for NamespaceHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("NamespaceHandle").field(&self.handle).finish()
    }
}

impl Drop for NamespaceHandle {
    /// `ClosePrivateNamespace`.
    fn drop(&mut self) {
        // SAFETY: the handle was returned by the call that creates or opens a namespace, and this value owns
        // it.
        let closed = unsafe { (self.close)(self.handle, 0) };
        debug_assert!(closed != 0, "ClosePrivateNamespace: {:?}", last_error());
    }
}

#[cfg(test)]
pub(crate) mod substitute;
