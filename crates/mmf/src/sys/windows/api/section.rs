//! Sections (Win32: file mapping objects) and their views.

use core::ffi::c_void;
use core::ptr::{self, NonNull};
use std::os::windows::io::{AsRawHandle, BorrowedHandle, OwnedHandle};

use windows_sys::Win32::Foundation::{INVALID_HANDLE_VALUE, NTSTATUS};
use windows_sys::Win32::System::Memory::{
    CreateFileMappingNumaW, CreateFileMappingW, FlushViewOfFile, MEMORY_MAPPED_VIEW_ADDRESS, MapViewOfFile,
    OpenFileMappingW, PAGE_READWRITE, UnmapViewOfFile,
};

use super::super::LastError;
use super::super::wide::Wide;
use super::{SecurityAttributes, check, check_status, created, halves, last_error, owned};

/// `CreateFileMappingW`, or with a preferred node `CreateFileMappingNumaW`, for a readable and writable
/// section that is backed by the page file. `kind` consists of `SEC_*`. Returns the section of this name and
/// whether it is new: an existing section is returned whatever its size is.
pub(crate) fn create_file_mapping(
    attributes: &SecurityAttributes<'_>,
    kind: u32,
    len: u64,
    node: Option<u32>,
    name: Option<&Wide>,
) -> Result<(OwnedHandle, bool), LastError> {
    let (high, low) = halves(len);
    let name = name.map_or(ptr::null(), Wide::as_ptr);
    let (file, protection, attributes) = (INVALID_HANDLE_VALUE, PAGE_READWRITE | kind, attributes.as_ptr());
    let handle = match node {
        // SAFETY: the attributes are valid by their type; the name is null, or zero-terminated and borrowed.
        None => unsafe { CreateFileMappingW(file, attributes, protection, high, low, name) },
        // SAFETY: as above.
        Some(node) => unsafe { CreateFileMappingNumaW(file, attributes, protection, high, low, name, node) },
    };
    // SAFETY: the handle was returned by the preceding call, which transfers its ownership.
    unsafe { created(handle) }
}

/// `CreateFileMappingW` for a section over a file: over the whole file if `len` is 0. A writable file that is
/// shorter than `len` is extended to it.
pub(crate) fn create_file_mapping_of_file(
    file: BorrowedHandle<'_>,
    protection: u32,
    len: u64,
) -> Result<OwnedHandle, LastError> {
    let (high, low) = halves(len);
    let file = file.as_raw_handle();
    // SAFETY: the handle is open; there are neither attributes nor a name.
    let handle = unsafe { CreateFileMappingW(file, ptr::null(), protection, high, low, ptr::null()) };
    // SAFETY: the call transfers the ownership of the handle.
    unsafe { owned(handle) }
}

/// `OpenFileMappingW`. `access` consists of `FILE_MAP_*` and `SECTION_*`.
pub(crate) fn open_file_mapping(access: u32, name: &Wide) -> Result<OwnedHandle, LastError> {
    // SAFETY: the name is zero-terminated and borrowed.
    let handle = unsafe { OpenFileMappingW(access, 0, name.as_ptr()) };
    // SAFETY: the call transfers the ownership of the handle.
    unsafe { owned(handle) }
}

/// `MapViewOfFile`. The offset is a multiple of the allocation granularity; a length of 0 means the whole
/// section.
pub(crate) fn map_view_of_file(
    section: BorrowedHandle<'_>,
    access: u32,
    offset: u64,
    len: usize,
) -> Result<NonNull<u8>, LastError> {
    let (high, low) = halves(offset);
    // SAFETY: the handle is open. The system chooses the addresses, so no existing mapping changes.
    let view = unsafe { MapViewOfFile(section.as_raw_handle(), access, high, low, len) };
    NonNull::new(view.Value.cast()).ok_or_else(last_error)
}

/// `UnmapViewOfFile`.
///
/// # Safety
///
/// `base` was returned by [`map_view_of_file`] and has not been unmapped, and no address of the view is used
/// any more.
pub(crate) unsafe fn unmap_view_of_file(base: NonNull<u8>) -> Result<(), LastError> {
    let view = MEMORY_MAPPED_VIEW_ADDRESS { Value: base.as_ptr().cast() };
    // SAFETY: the contract of this function is that of the call.
    check(unsafe { UnmapViewOfFile(view) })
}

/// `FlushViewOfFile`.
pub(crate) fn flush_view_of_file(address: *const u8, len: usize) -> Result<(), LastError> {
    // SAFETY: the call changes no byte, and fails for addresses that belong to no view.
    check(unsafe { FlushViewOfFile(address.cast(), len) })
}

// Not in the bindings. `NtQuerySection` of ntifs.h.
windows_link::link!("ntdll.dll" "system"
    fn NtQuerySection(
        section: *mut c_void,
        class: i32,
        information: *mut c_void,
        len: usize,
        returned: *mut usize,
    ) -> NTSTATUS);

const SECTION_BASIC_INFORMATION_CLASS: i32 = 0;

/// `SECTION_BASIC_INFORMATION` of ntifs.h.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct SectionBasicInformation {
    base: *mut c_void,
    /// `SEC_*`.
    pub(crate) attributes: u32,
    pub(crate) len: i64,
}

/// `NtQuerySection` for the length and the attributes. The handle needs `SECTION_QUERY`.
pub(crate) fn nt_query_section(section: BorrowedHandle<'_>) -> Result<SectionBasicInformation, LastError> {
    let mut information = SectionBasicInformation { base: ptr::null_mut(), attributes: 0, len: 0 };
    let (handle, class) = (section.as_raw_handle(), SECTION_BASIC_INFORMATION_CLASS);
    let (reply, len) = ((&raw mut information).cast(), size_of::<SectionBasicInformation>());
    // SAFETY: the handle is open; the buffer has the layout of this class and the length that is passed.
    check_status(unsafe { NtQuerySection(handle, class, reply, len, ptr::null_mut()) })?;
    Ok(information)
}
