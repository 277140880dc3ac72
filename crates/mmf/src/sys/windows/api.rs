//! One thin wrapper per system call.
//!
//! Each says in its type how the call fails, and reads the last error on the next line, before anything else can change it.
//! Success is told by the result that the call's documentation names (for sections a null handle, not
//! `INVALID_HANDLE_VALUE`), never by the last error, with the one exception that `create_section` explains.

use core::ffi::{CStr, c_void};
use core::ptr::{self, NonNull};
use std::os::windows::io::{AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};

use windows_sys::Wdk::Foundation::{NtQueryObject, OBJECT_ATTRIBUTES, OBJECT_INFORMATION_CLASS};
use windows_sys::Wdk::Storage::FileSystem::{NtOpenDirectoryObject, NtQueryDirectoryObject};
use windows_sys::Wdk::System::SystemServices::DIRECTORY_QUERY;
use windows_sys::Win32::Foundation::{
    DUPLICATE_CLOSE_SOURCE, DUPLICATE_SAME_ACCESS, DuplicateHandle, ERROR_ALREADY_EXISTS, ERROR_BAD_LENGTH,
    ERROR_INSUFFICIENT_BUFFER, ERROR_INVALID_HANDLE, ERROR_NO_TOKEN, ERROR_NOT_ALL_ASSIGNED, FILETIME,
    GetLastError, HANDLE, INVALID_HANDLE_VALUE, LUID, LocalFree, NTSTATUS, RtlNtStatusToDosError,
    STILL_ACTIVE, UNICODE_STRING, WAIT_FAILED, WAIT_TIMEOUT,
};
use windows_sys::Win32::Security::Authorization::{
    ConvertSecurityDescriptorToStringSecurityDescriptorW,
    ConvertStringSecurityDescriptorToSecurityDescriptorW, SDDL_REVISION_1,
};
use windows_sys::Win32::Security::{
    AdjustTokenPrivileges, DuplicateTokenEx, FreeSid, GetKernelObjectSecurity, GetTokenInformation,
    LUID_AND_ATTRIBUTES, LookupAccountNameW, LookupAccountSidW, LookupPrivilegeNameW, LookupPrivilegeValueW,
    SE_PRIVILEGE_ENABLED, SECURITY_ATTRIBUTES, SID_NAME_USE, SecurityImpersonation, TOKEN_INFORMATION_CLASS,
    TOKEN_PRIVILEGES, TOKEN_QUERY, TokenImpersonation,
};
use windows_sys::Win32::Storage::FileSystem::{FILE_TYPE_DISK, FlushFileBuffers, GetFileSizeEx, GetFileType};
use windows_sys::Win32::System::LibraryLoader::{
    GetProcAddress, LOAD_LIBRARY_SEARCH_SYSTEM32, LoadLibraryExW,
};
use windows_sys::Win32::System::Memory::{
    CreateFileMappingNumaW, CreateFileMappingW, FlushViewOfFile, GetLargePageMinimum,
    GetProcessWorkingSetSizeEx, MEM_COMMIT, MEMORY_BASIC_INFORMATION, MEMORY_MAPPED_VIEW_ADDRESS,
    MapViewOfFile, OpenFileMappingW, PAGE_READWRITE, PrefetchVirtualMemory, UnmapViewOfFile, VirtualAlloc,
    VirtualLock, VirtualQuery, VirtualUnlock, WIN32_MEMORY_RANGE_ENTRY,
};
use windows_sys::Win32::System::ProcessStatus::{K32QueryWorkingSetEx, PSAPI_WORKING_SET_EX_INFORMATION};
use windows_sys::Win32::System::RemoteDesktop::ProcessIdToSessionId;
use windows_sys::Win32::System::SystemInformation::{
    GetSystemInfo, GlobalMemoryStatusEx, MEMORYSTATUSEX, SYSTEM_INFO,
};
use windows_sys::Win32::System::Threading::{
    CreateEventW, CreateSemaphoreW, GetCurrentProcess, GetCurrentProcessId, GetCurrentThread,
    GetExitCodeProcess, GetProcessTimes, OpenEventW, OpenProcess, OpenProcessToken, OpenSemaphoreW,
    OpenThreadToken, PROCESS_NAME_WIN32, QueryFullProcessImageNameW, ReleaseSemaphore,
    SEMAPHORE_MODIFY_STATE, SYNCHRONIZATION_SYNCHRONIZE, SetThreadToken, WaitForMultipleObjects,
};

use zerocopy::IntoBytes;

use super::LastError;
use super::answer::with_room;
use super::name::ObjectName;
use super::sid::Sid;
use super::wide::{self, Wide};
use crate::sys::{Failure, Reason};

pub(super) fn last_error() -> LastError {
    // SAFETY: it has no requirements.
    LastError(unsafe { GetLastError() })
}

fn succeeded(result: windows_sys::core::BOOL) -> Result<(), LastError> {
    if result == 0 { Err(last_error()) } else { Ok(()) }
}

fn status(status: NTSTATUS) -> Result<(), LastError> {
    if status >= 0 {
        return Ok(());
    }
    // SAFETY: it has no requirements.
    Err(LastError(unsafe { RtlNtStatusToDosError(status) }))
}

/// Upper and lower half, as the calls want them.
fn halves(value: u64) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = value.to_be_bytes();
    (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]))
}

/// `CreateFileMappingW`, or with a preferred node `CreateFileMappingNumaW`, for memory in the page file that can be read and
/// written. `kind` is made of `SEC_*`. Says whether it is new: for a name that exists the call *succeeds* with that object,
/// whatever its size, and only the last error tells.
///
/// # Safety
///
/// The attributes, and what they point to, are valid.
pub(super) unsafe fn create_section(
    attributes: &SECURITY_ATTRIBUTES,
    kind: u32,
    len: u64,
    node: Option<u32>,
    name: Option<&ObjectName>,
) -> Result<(OwnedHandle, bool), LastError> {
    let (high, low) = halves(len);
    let name = name.map_or(ptr::null(), ObjectName::as_ptr);
    let (file, protection) = (INVALID_HANDLE_VALUE, PAGE_READWRITE | kind);
    let handle = match node {
        // SAFETY: the attributes are valid (the contract of this function); the name is null or zero-terminated, and lives.
        None => unsafe { CreateFileMappingW(file, attributes, protection, high, low, name) },
        // SAFETY: the same.
        Some(node) => unsafe { CreateFileMappingNumaW(file, attributes, protection, high, low, name, node) },
    };
    let error = last_error();
    if handle.is_null() {
        return Err(error);
    }
    // SAFETY: the call gave a handle that nobody else owns.
    Ok((unsafe { OwnedHandle::from_raw_handle(handle) }, error.0 != ERROR_ALREADY_EXISTS))
}

/// `CreateFileMappingW` for a file: all that it has, or `len` bytes, to which a shorter file that may be written is extended.
pub(super) fn create_file_section(
    file: BorrowedHandle<'_>,
    protection: u32,
    len: u64,
) -> Result<OwnedHandle, LastError> {
    let (high, low) = halves(len);
    let file = file.as_raw_handle();
    // SAFETY: the handle is open; there are neither attributes nor a name.
    let handle = unsafe { CreateFileMappingW(file, ptr::null(), protection, high, low, ptr::null()) };
    if handle.is_null() {
        return Err(last_error());
    }
    // SAFETY: the call gave a handle that nobody else owns.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

/// `VirtualAlloc` with `MEM_COMMIT`, for pages of a view of a reserved section. What is committed already stays as it is.
///
/// # Safety
///
/// The pages belong to a view that can be written.
pub(super) unsafe fn commit(address: *mut u8, len: usize) -> Result<(), LastError> {
    // SAFETY: the contract of this function. Nothing new is mapped.
    let committed = unsafe { VirtualAlloc(address.cast(), len, MEM_COMMIT, PAGE_READWRITE) };
    if committed.is_null() { Err(last_error()) } else { Ok(()) }
}

// In the bindings it would bring a feature of its own along: `GetNumaHighestNodeNumber` of systemtopologyapi.h.
windows_link::link!("kernel32.dll" "system" fn GetNumaHighestNodeNumber(node: *mut u32) -> windows_sys::core::BOOL);

/// `GetNumaHighestNodeNumber`.
pub(super) fn highest_node() -> Result<u32, LastError> {
    let mut node = 0;
    // SAFETY: a valid place for the answer.
    succeeded(unsafe { GetNumaHighestNodeNumber(&mut node) })?;
    Ok(node)
}

/// What `QueryWorkingSetEx` says of a page.
#[derive(Clone, Copy, Debug)]
pub(super) struct WorkingSet(usize);

impl WorkingSet {
    // The bits of PSAPI_WORKING_SET_EX_BLOCK.
    pub(super) fn is_valid(self) -> bool {
        self.0 & 1 != 0
    }

    pub(super) fn node(self) -> u32 {
        u32::try_from((self.0 >> 16) & 0x3F).unwrap_or(0)
    }

    pub(super) fn is_large(self) -> bool {
        self.is_valid() && self.0 & (1 << 23) != 0
    }
}

/// `QueryWorkingSetEx` for one page.
pub(super) fn query_working_set(address: *mut u8) -> Result<WorkingSet, LastError> {
    let mut page = PSAPI_WORKING_SET_EX_INFORMATION { VirtualAddress: address.cast(), ..Default::default() };
    let len = u32::try_from(size_of::<PSAPI_WORKING_SET_EX_INFORMATION>()).unwrap_or(0);
    // SAFETY: it has no requirements; the pseudo handle that it gives needs no closing.
    let process = unsafe { GetCurrentProcess() };
    // SAFETY: one element, as long as said; the address in it is only looked up.
    succeeded(unsafe { K32QueryWorkingSetEx(process, (&raw mut page).cast(), len) })?;
    // SAFETY: all variants of the union are the same bits.
    Ok(WorkingSet(unsafe { page.VirtualAttributes.Flags }))
}

/// `GetFileType`: whether it is a file on a disk, and not a pipe or a console.
pub(super) fn is_disk_file(file: BorrowedHandle<'_>) -> bool {
    // SAFETY: the handle is open.
    unsafe { GetFileType(file.as_raw_handle()) == FILE_TYPE_DISK }
}

/// `GetFileSizeEx`.
pub(super) fn file_len(file: BorrowedHandle<'_>) -> Result<u64, LastError> {
    let mut len = 0;
    // SAFETY: the handle is open; a valid place for the answer.
    succeeded(unsafe { GetFileSizeEx(file.as_raw_handle(), &mut len) })?;
    Ok(u64::try_from(len).unwrap_or(0))
}

/// `FlushFileBuffers`.
pub(super) fn flush_file(file: BorrowedHandle<'_>) -> Result<(), LastError> {
    // SAFETY: the handle is open.
    succeeded(unsafe { FlushFileBuffers(file.as_raw_handle()) })
}

/// `OpenFileMappingW`. `access` is made of `FILE_MAP_*` and `SECTION_*`.
pub(super) fn open_section(access: u32, name: &ObjectName) -> Result<OwnedHandle, LastError> {
    // SAFETY: the name is zero-terminated and lives.
    let handle = unsafe { OpenFileMappingW(access, 0, name.as_ptr()) };
    if handle.is_null() {
        return Err(last_error());
    }
    // SAFETY: the call gave a handle that nobody else owns.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

/// `MapViewOfFile`. The offset is a multiple of the granularity; a length of 0 means all.
pub(super) fn map(
    section: BorrowedHandle<'_>,
    access: u32,
    offset: u64,
    len: usize,
) -> Result<NonNull<u8>, LastError> {
    let (high, low) = halves(offset);
    // SAFETY: the handle is open; the system chooses the place, so nothing that is mapped already is touched.
    let view = unsafe { MapViewOfFile(section.as_raw_handle(), access, high, low, len) };
    NonNull::new(view.Value.cast()).ok_or_else(last_error)
}

/// `UnmapViewOfFile`.
///
/// # Safety
///
/// `base` came from [`map`], has not been unmapped, and nobody uses the addresses any more.
pub(super) unsafe fn unmap(base: NonNull<u8>) -> Result<(), LastError> {
    let view = MEMORY_MAPPED_VIEW_ADDRESS { Value: base.as_ptr().cast() };
    // SAFETY: the contract of this function.
    succeeded(unsafe { UnmapViewOfFile(view) })
}

/// `VirtualQuery`: the pages at an address that have the same attributes.
pub(super) fn query_pages(address: *const u8) -> Result<MEMORY_BASIC_INFORMATION, LastError> {
    let mut information = MEMORY_BASIC_INFORMATION::default();
    let len = size_of::<MEMORY_BASIC_INFORMATION>();
    // SAFETY: the place for the answer is as long as said; the address is only looked up.
    if unsafe { VirtualQuery(address.cast(), &mut information, len) } == 0 {
        return Err(last_error());
    }
    Ok(information)
}

// Not in the bindings. `NtQuerySection` of ntifs.h; class 0 is SectionBasicInformation.
windows_link::link!("ntdll.dll" "system" fn NtQuerySection(section: *mut c_void, class: i32, information: *mut c_void, len: usize, returned: *mut usize) -> NTSTATUS);

/// What `NtQuerySection` says about a section.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct SectionInformation {
    base: *mut c_void,
    /// `SEC_*`.
    pub(super) attributes: u32,
    pub(super) len: i64,
}

/// `NtQuerySection`. The handle needs `SECTION_QUERY`.
pub(super) fn query_section(section: BorrowedHandle<'_>) -> Result<SectionInformation, LastError> {
    let mut information = SectionInformation { base: ptr::null_mut(), attributes: 0, len: 0 };
    let place = (&raw mut information).cast();
    let len = size_of::<SectionInformation>();
    // SAFETY: the handle is open; the place for the answer is as long as said, and has the layout of this class.
    status(unsafe { NtQuerySection(section.as_raw_handle(), 0, place, len, ptr::null_mut()) })?;
    Ok(information)
}

/// `NtQueryObject`: an answer of any class, in 64-bit words. It may point into itself, so it stays where it is.
pub(super) fn query_object(
    handle: BorrowedHandle<'_>,
    class: OBJECT_INFORMATION_CLASS,
    answer: &mut [u64],
) -> Result<(), LastError> {
    let len = u32::try_from(size_of_val(answer)).unwrap_or(0);
    let mut returned = 0;
    // SAFETY: the handle is open; the place for the answer is as long as said, and aligned for every class.
    status(unsafe {
        NtQueryObject(handle.as_raw_handle(), class, answer.as_mut_ptr().cast(), len, &mut returned)
    })
}

/// `DuplicateHandle` inside this process: with fewer rights, or with the same ones.
pub(super) fn duplicate(handle: BorrowedHandle<'_>, access: Option<u32>) -> Result<OwnedHandle, LastError> {
    // SAFETY: it has no requirements; the pseudo handle that it gives needs no closing.
    let process = unsafe { GetCurrentProcess() };
    let mut new = ptr::null_mut();
    let options = if access.is_none() { DUPLICATE_SAME_ACCESS } else { 0 };
    let access = access.unwrap_or(0);
    // SAFETY: the handles are open, and `new` is a valid place for the new one.
    succeeded(unsafe {
        DuplicateHandle(process, handle.as_raw_handle(), process, &mut new, access, 0, options)
    })?;
    // SAFETY: the call gave a handle that nobody else owns.
    Ok(unsafe { OwnedHandle::from_raw_handle(new) })
}

/// `FlushViewOfFile`.
pub(super) fn flush(address: *const u8, len: usize) -> Result<(), LastError> {
    // SAFETY: the call only looks the addresses up; it changes no byte.
    succeeded(unsafe { FlushViewOfFile(address.cast(), len) })
}

/// `PrefetchVirtualMemory`.
pub(super) fn prefetch(address: *mut u8, len: usize) -> Result<(), LastError> {
    let range = WIN32_MEMORY_RANGE_ENTRY { VirtualAddress: address.cast(), NumberOfBytes: len };
    // SAFETY: it has no requirements; the pseudo handle that it gives needs no closing.
    let process = unsafe { GetCurrentProcess() };
    // SAFETY: one valid range; the call changes no byte.
    succeeded(unsafe { PrefetchVirtualMemory(process, 1, &range, 0) })
}

/// `VirtualLock`.
pub(super) fn lock(address: *const u8, len: usize) -> Result<(), LastError> {
    // SAFETY: the call changes no byte.
    succeeded(unsafe { VirtualLock(address.cast(), len) })
}

/// `GetProcessWorkingSetSizeEx`: the least that this process is left of RAM, of which all but a little can be locked.
pub(super) fn working_set() -> Result<u64, LastError> {
    // SAFETY: it has no requirements; the pseudo handle that it gives needs no closing.
    let process = unsafe { GetCurrentProcess() };
    let (mut least, mut most, mut flags) = (0, 0, 0);
    // SAFETY: valid places for the answers.
    succeeded(unsafe { GetProcessWorkingSetSizeEx(process, &mut least, &mut most, &mut flags) })?;
    Ok(least as u64)
}

/// `VirtualUnlock`.
pub(super) fn unlock(address: *const u8, len: usize) -> Result<(), LastError> {
    // SAFETY: the call changes no byte.
    succeeded(unsafe { VirtualUnlock(address.cast(), len) })
}

/// `GetSystemInfo`.
pub(super) fn system_info() -> SYSTEM_INFO {
    let mut information = SYSTEM_INFO::default();
    // SAFETY: a valid place for the answer.
    unsafe { GetSystemInfo(&mut information) };
    information
}

/// `GetTokenInformation` for whoever this thread acts for; an answer of any class, in 64-bit words. It may point into
/// itself, so it stays where it is.
pub(super) fn query_token(class: TOKEN_INFORMATION_CLASS, answer: &mut [u64]) -> Result<(), LastError> {
    // GetCurrentThreadEffectiveToken() of the Windows headers: the pseudo handle -6, which needs no closing.
    let token = ptr::without_provenance_mut(usize::MAX - 5);
    let mut returned = 0;
    let len = u32::try_from(size_of_val(answer)).unwrap_or(0);
    // SAFETY: the place for the answer is as long as said, and aligned for every class.
    succeeded(unsafe { GetTokenInformation(token, class, answer.as_mut_ptr().cast(), len, &mut returned) })
}

/// The session that this process belongs to: `ProcessIdToSessionId`.
pub(super) fn session() -> Result<u32, LastError> {
    // SAFETY: it has no requirements.
    let process = unsafe { GetCurrentProcessId() };
    let mut session = 0;
    // SAFETY: a valid place for the answer.
    succeeded(unsafe { ProcessIdToSessionId(process, &mut session) })?;
    Ok(session)
}

fn unicode(text: &[u16]) -> UNICODE_STRING {
    let bytes = u16::try_from(size_of_val(text)).unwrap_or(u16::MAX);
    UNICODE_STRING { Length: bytes, MaximumLength: bytes, Buffer: text.as_ptr().cast_mut() }
}

/// `NtOpenDirectoryObject`, to list what is in it.
pub(super) fn open_directory(path: &str) -> Result<OwnedHandle, LastError> {
    let path: Vec<u16> = path.encode_utf16().collect();
    let path = unicode(&path);
    let attributes = OBJECT_ATTRIBUTES {
        Length: u32::try_from(size_of::<OBJECT_ATTRIBUTES>()).unwrap_or(0),
        RootDirectory: ptr::null_mut(),
        ObjectName: &path,
        Attributes: 0,
        SecurityDescriptor: ptr::null(),
        SecurityQualityOfService: ptr::null(),
    };
    let mut handle = ptr::null_mut();
    // SAFETY: the attributes and the path in them live; `handle` is a valid place for the answer.
    status(unsafe { NtOpenDirectoryObject(&mut handle, DIRECTORY_QUERY, &attributes) })?;
    // SAFETY: the call gave a handle that nobody else owns.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

/// `NtQueryDirectoryObject`: all entries, each as its name and the name of its type.
///
/// All in one call: the system goes by the place in the directory, so what comes and goes between two calls would make it
/// pass over others.
pub(super) fn entries(directory: BorrowedHandle<'_>) -> Result<Vec<(String, String)>, LastError> {
    use windows_sys::Win32::Foundation::{
        STATUS_BUFFER_TOO_SMALL, STATUS_MORE_ENTRIES, STATUS_NO_MORE_ENTRIES, STATUS_SUCCESS,
    };
    const MOST_WORDS: usize = (64 << 20) / 8;
    let mut words = (64 << 10) / 8;
    loop {
        let mut buffer = vec![0u64; words];
        let len = u32::try_from(size_of_val(&buffer[..])).unwrap_or(0);
        let (mut context, mut returned) = (0, 0);
        let (place, handle) = (buffer.as_mut_ptr(), directory.as_raw_handle());
        // SAFETY: the handle is open; the buffer is as long as said; the other places are valid.
        let code = unsafe {
            NtQueryDirectoryObject(handle, place.cast(), len, false, true, &mut context, &mut returned)
        };
        match code {
            STATUS_SUCCESS => {}
            STATUS_NO_MORE_ENTRIES => return Ok(Vec::new()),
            STATUS_MORE_ENTRIES | STATUS_BUFFER_TOO_SMALL if words < MOST_WORDS => {
                words *= 2;
                continue;
            }
            // What fits has to do.
            STATUS_MORE_ENTRIES => {}
            code => return status(code).map(|()| Vec::new()),
        }
        let mut found = Vec::new();
        let mut entry = place.cast::<[UNICODE_STRING; 2]>().cast_const();
        loop {
            // SAFETY: the answer is a row of pairs of strings, aligned as the buffer is, that ends with an empty pair.
            let [name, kind] = unsafe { entry.read() };
            if name.Buffer.is_null() {
                return Ok(found);
            }
            // SAFETY: the texts are in the buffer, which lives.
            let name = unsafe { text(&name) };
            // SAFETY: the same.
            let kind = unsafe { text(&kind) };
            found.push((name, kind));
            // SAFETY: this pair was not the empty one at the end, so there is another one behind it.
            entry = unsafe { entry.add(1) };
        }
    }
}

/// # Safety
///
/// The string's buffer is valid for its length.
pub(super) unsafe fn text(string: &UNICODE_STRING) -> String {
    if string.Buffer.is_null() {
        return String::new();
    }
    // SAFETY: the contract of this function; the system's strings are aligned.
    let units = unsafe { core::slice::from_raw_parts(string.Buffer, usize::from(string.Length) / 2) };
    String::from_utf16_lossy(units)
}

/// How many elements there are, as the calls want it. (A buffer that is longer than a number can say is not used to its end.)
fn room<T>(buffer: &[T]) -> u32 {
    u32::try_from(buffer.len()).unwrap_or(u32::MAX)
}

/// How many bytes there are, likewise.
fn room_in_bytes<T>(buffer: &[T]) -> u32 {
    u32::try_from(size_of_val(buffer)).unwrap_or(u32::MAX)
}

/// `GetTokenInformation` for whoever this thread acts for, of a class whose answer is a number of 32 bits: some of these
/// want exactly so much room.
pub(super) fn query_token_number(class: TOKEN_INFORMATION_CLASS) -> Result<u32, LastError> {
    // As in `query_token`.
    let token = ptr::without_provenance_mut(usize::MAX - 5);
    let (mut answer, mut returned) = (0u32, 0);
    let place = (&raw mut answer).cast();
    // SAFETY: the place for the answer has four bytes, as said.
    succeeded(unsafe { GetTokenInformation(token, class, place, 4, &mut returned) })?;
    Ok(answer)
}

/// `LookupPrivilegeNameW`: zero-terminated.
pub(super) fn privilege_name(luid: &LUID, name: &mut [u16]) -> Result<(), LastError> {
    let mut len = room(name);
    // SAFETY: the place for the answer is as long as said.
    succeeded(unsafe { LookupPrivilegeNameW(ptr::null(), luid, name.as_mut_ptr(), &mut len) })
}

/// `LookupPrivilegeValueW`.
pub(super) fn privilege_luid(name: &Wide) -> Result<LUID, LastError> {
    let mut luid = LUID::default();
    // SAFETY: the name is zero-terminated and lives; the place for the answer is valid.
    succeeded(unsafe { LookupPrivilegeValueW(ptr::null(), name.as_ptr(), &mut luid) })?;
    Ok(luid)
}

/// `LookupAccountNameW`: the SID goes to `sid`, the name of its domain to `domain`; says what kind of account it is.
pub(super) fn account_by_name(
    name: &Wide,
    sid: &mut [u64],
    domain: &mut [u16],
) -> Result<SID_NAME_USE, LastError> {
    let (mut sid_len, mut domain_len, mut kind) = (room_in_bytes(sid), room(domain), 0);
    let (sid, domain) = (sid.as_mut_ptr().cast(), domain.as_mut_ptr());
    // SAFETY: the name is zero-terminated and lives; the places for the answers are as long as said, or of their type.
    succeeded(unsafe {
        LookupAccountNameW(ptr::null(), name.as_ptr(), sid, &mut sid_len, domain, &mut domain_len, &mut kind)
    })?;
    Ok(kind)
}

/// `LookupAccountSidW`: the names of the account and of its domain, zero-terminated. Returns what kind of account it is.
pub(super) fn account_by_sid(
    sid: &Sid,
    name: &mut [u16],
    domain: &mut [u16],
) -> Result<SID_NAME_USE, LastError> {
    let (mut name_len, mut domain_len, mut kind) = (room(name), room(domain), 0);
    let (name, domain) = (name.as_mut_ptr(), domain.as_mut_ptr());
    // SAFETY: the SID is whole, and lives; the places for the answers are as long as said, or of their type.
    succeeded(unsafe {
        LookupAccountSidW(ptr::null(), sid.as_ptr(), name, &mut name_len, domain, &mut domain_len, &mut kind)
    })?;
    Ok(kind)
}

/// A function that was looked up: of whatever type its documentation says.
pub(super) type Function = unsafe extern "system" fn() -> isize;

/// `LoadLibraryExW` for a library of the system, and `GetProcAddress`. `None` if there is no such library or no such
/// function in it. The library stays loaded, so the function stays where it is.
pub(super) fn look_up(library: &str, function: &CStr) -> Option<Function> {
    let library = Wide::new(library)?;
    // SAFETY: the name is zero-terminated and lives. Only the system's own directory is searched, so what may run here is
    // the start of a library of the system.
    let module = unsafe { LoadLibraryExW(library.as_ptr(), ptr::null_mut(), LOAD_LIBRARY_SEARCH_SYSTEM32) };
    if module.is_null() {
        return None;
    }
    // SAFETY: the module is loaded; the name is zero-terminated and lives.
    unsafe { GetProcAddress(module, function.as_ptr().cast()) }
}

/// A SID that a call has allocated: freed with `FreeSid`.
pub(super) struct FreedSid(NonNull<u8>);

impl FreedSid {
    /// # Safety
    ///
    /// It is null, or a valid SID that is to be freed with `FreeSid`, and by nobody else.
    pub(super) unsafe fn new(sid: *mut c_void) -> Option<Self> {
        NonNull::new(sid.cast()).map(FreedSid)
    }

    /// Its binary form.
    pub(super) fn to_vec(&self) -> Vec<u8> {
        // SAFETY: every SID has eight bytes before its parts.
        let [_, parts, ..] = unsafe { self.0.cast::<[u8; 8]>().read() };
        let len = 8 + 4 * usize::from(parts);
        // SAFETY: a valid SID has as many parts of four bytes as its second byte says.
        unsafe { core::slice::from_raw_parts(self.0.as_ptr(), len) }.to_vec()
    }
}

impl Drop for FreedSid {
    fn drop(&mut self) {
        // SAFETY: it is to be freed so (the contract of `new`), and only here.
        unsafe { FreeSid(self.0.as_ptr().cast()) };
    }
}

/// What a call has allocated: freed with `LocalFree`.
struct Local<T>(NonNull<T>);

impl<T> Drop for Local<T> {
    fn drop(&mut self) {
        // SAFETY: it is made only of what is to be freed so, and this is the only place that does it.
        unsafe { LocalFree(self.0.as_ptr().cast()) };
    }
}

/// `ConvertStringSecurityDescriptorToSecurityDescriptorW`: a self-relative descriptor.
pub(super) fn descriptor_from_text(text: &Wide) -> Result<Vec<u8>, LastError> {
    let (mut descriptor, mut len) = (ptr::null_mut(), 0u32);
    // SAFETY: the text is zero-terminated and lives; the places for the answers are valid.
    succeeded(unsafe {
        ConvertStringSecurityDescriptorToSecurityDescriptorW(
            text.as_ptr(),
            SDDL_REVISION_1,
            &mut descriptor,
            &mut len,
        )
    })?;
    let descriptor = Local(NonNull::new(descriptor.cast::<u8>()).ok_or_else(last_error)?);
    // SAFETY: the call gave a descriptor of so many bytes.
    Ok(unsafe { core::slice::from_raw_parts(descriptor.0.as_ptr(), len as usize) }.to_vec())
}

/// `ConvertSecurityDescriptorToStringSecurityDescriptorW`. `information` is made of `*_SECURITY_INFORMATION`.
///
/// # Safety
///
/// The words start with a valid self-relative descriptor.
pub(super) unsafe fn text_from_descriptor(descriptor: &[u64], information: u32) -> Result<String, LastError> {
    let (mut text, mut len) = (ptr::null_mut(), 0u32);
    let descriptor = descriptor.as_ptr().cast_mut().cast();
    // SAFETY: the descriptor is valid (the contract of this function), and only read; the places for the answers are valid.
    succeeded(unsafe {
        ConvertSecurityDescriptorToStringSecurityDescriptorW(
            descriptor,
            SDDL_REVISION_1,
            information,
            &mut text,
            &mut len,
        )
    })?;
    let text = Local(NonNull::new(text).ok_or_else(last_error)?);
    // SAFETY: the call gave so many units.
    Ok(wide::text(unsafe { core::slice::from_raw_parts(text.0.as_ptr(), len as usize) }))
}

/// `GetKernelObjectSecurity`: a self-relative descriptor, in 64-bit words. The handle needs `READ_CONTROL`.
pub(super) fn kernel_security(
    handle: BorrowedHandle<'_>,
    information: u32,
    descriptor: &mut [u64],
) -> Result<(), LastError> {
    let (len, mut needed) = (room_in_bytes(descriptor), 0);
    let place = descriptor.as_mut_ptr().cast();
    // SAFETY: the handle is open; the place for the answer is as long as said, and aligned.
    succeeded(unsafe {
        GetKernelObjectSecurity(handle.as_raw_handle(), information, place, len, &mut needed)
    })
}

/// `OpenThreadToken` for this thread, judged by the rights of the process: `None` if it acts for nobody else.
pub(super) fn thread_token(access: u32) -> Result<Option<OwnedHandle>, LastError> {
    // SAFETY: it has no requirements; the pseudo handle that it gives needs no closing.
    let thread = unsafe { GetCurrentThread() };
    let mut token = ptr::null_mut();
    // SAFETY: the pseudo handle is valid, and so is the place for the answer.
    match succeeded(unsafe { OpenThreadToken(thread, access, 1, &mut token) }) {
        // SAFETY: the call gave a handle that nobody else owns.
        Ok(()) => Ok(Some(unsafe { OwnedHandle::from_raw_handle(token) })),
        Err(LastError(ERROR_NO_TOKEN)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// `OpenProcessToken` for this process.
pub(super) fn process_token(access: u32) -> Result<OwnedHandle, LastError> {
    // SAFETY: it has no requirements; the pseudo handle that it gives needs no closing.
    let process = unsafe { GetCurrentProcess() };
    let mut token = ptr::null_mut();
    // SAFETY: the pseudo handle is valid, and so is the place for the answer.
    succeeded(unsafe { OpenProcessToken(process, access, &mut token) })?;
    // SAFETY: the call gave a handle that nobody else owns.
    Ok(unsafe { OwnedHandle::from_raw_handle(token) })
}

/// `DuplicateTokenEx`: a token of its own, for a thread to act with.
pub(super) fn duplicate_token(token: BorrowedHandle<'_>, access: u32) -> Result<OwnedHandle, LastError> {
    let mut new = ptr::null_mut();
    let token = token.as_raw_handle();
    // SAFETY: the handle is open; there are no attributes; the place for the answer is valid.
    succeeded(unsafe {
        DuplicateTokenEx(token, access, ptr::null(), SecurityImpersonation, TokenImpersonation, &mut new)
    })?;
    // SAFETY: the call gave a handle that nobody else owns.
    Ok(unsafe { OwnedHandle::from_raw_handle(new) })
}

/// `AdjustTokenPrivileges`: enables one. For a privilege that the token does not have the call *succeeds*, and only the last
/// error tells: then this fails with `ERROR_NOT_ALL_ASSIGNED`.
pub(super) fn enable_privilege(token: BorrowedHandle<'_>, luid: LUID) -> Result<(), LastError> {
    let wanted = TOKEN_PRIVILEGES {
        PrivilegeCount: 1,
        Privileges: [LUID_AND_ATTRIBUTES { Luid: luid, Attributes: SE_PRIVILEGE_ENABLED }],
    };
    let token = token.as_raw_handle();
    // SAFETY: the handle is open; there is one privilege, as said; nothing is asked for.
    let result = unsafe { AdjustTokenPrivileges(token, 0, &wanted, 0, ptr::null_mut(), ptr::null_mut()) };
    let error = last_error();
    if result == 0 || error.0 == ERROR_NOT_ALL_ASSIGNED { Err(error) } else { Ok(()) }
}

/// `SetThreadToken` for this thread: whom it acts for from now on, or that it acts for nobody else any more.
pub(super) fn set_thread_token(token: Option<BorrowedHandle<'_>>) -> Result<(), LastError> {
    let token = token.map_or(ptr::null_mut(), |token| token.as_raw_handle());
    // SAFETY: no thread means this one; the token is open, or none.
    succeeded(unsafe { SetThreadToken(ptr::null(), token) })
}

/// `GlobalMemoryStatusEx`.
pub(super) fn memory_status() -> Result<MEMORYSTATUSEX, LastError> {
    let len = u32::try_from(size_of::<MEMORYSTATUSEX>()).unwrap_or(0);
    let mut status = MEMORYSTATUSEX { dwLength: len, ..MEMORYSTATUSEX::default() };
    // SAFETY: the place for the answer is valid, and says how long it is.
    succeeded(unsafe { GlobalMemoryStatusEx(&mut status) })?;
    Ok(status)
}

/// `GetLargePageMinimum`: 0 where there are no large pages.
pub(super) fn large_page_minimum() -> usize {
    // SAFETY: it has no requirements.
    unsafe { GetLargePageMinimum() }
}

/// The pseudo handle of this process, which needs no closing.
pub(super) fn current_process() -> BorrowedHandle<'static> {
    // SAFETY: it has no requirements.
    let process = unsafe { GetCurrentProcess() };
    // SAFETY: the pseudo handle is valid as long as the process is there.
    unsafe { BorrowedHandle::borrow_raw(process) }
}

/// `OpenProcess`.
pub(super) fn open_process(id: u32, access: u32) -> Result<OwnedHandle, LastError> {
    // SAFETY: it has no requirements.
    let handle = unsafe { OpenProcess(access, 0, id) };
    if handle.is_null() {
        return Err(last_error());
    }
    // SAFETY: the call gave a handle that nobody else owns.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

/// `GetProcessTimes`: when a process was started, in units of 100 ns.
pub(super) fn started(process: BorrowedHandle<'_>) -> Result<u64, LastError> {
    let [mut started, mut ended, mut kernel, mut user] = [FILETIME::default(); 4];
    // SAFETY: the handle is open; valid places for the answers.
    succeeded(unsafe {
        GetProcessTimes(process.as_raw_handle(), &mut started, &mut ended, &mut kernel, &mut user)
    })?;
    Ok((u64::from(started.dwHighDateTime) << 32) | u64::from(started.dwLowDateTime))
}

// In the bindings it would bring a feature of its own along. Class 5 is SystemProcessInformation.
windows_link::link!("ntdll.dll" "system" fn NtQuerySystemInformation(class: i32, information: *mut c_void, len: u32, returned: *mut u32) -> NTSTATUS);

/// `NtQuerySystemInformation` for the list of processes: when the process of this id was started, in units of 100 ns. It needs no
/// right to the process.
pub(super) fn started_by_list(id: u32) -> Result<Option<u64>, LastError> {
    // SYSTEM_PROCESS_INFORMATION of winternl.h: the offset of the next entry, the number of threads and six further words of 64
    // bits, of which the fourth is the start; then the name, a priority and the id, whose places depend on the size of pointers.
    const STARTED_AT: usize = 32;
    const ID_AT: usize = if size_of::<usize>() == 8 { 80 } else { 68 };
    let (words, ()) = with_room(32 << 10, |room: &mut [u64]| {
        let mut returned = 0;
        let (place, len) = (room.as_mut_ptr().cast(), room_in_bytes(room));
        // SAFETY: the place for the answer is as long as said, and aligned.
        match status(unsafe { NtQuerySystemInformation(5, place, len, &mut returned) }) {
            Err(LastError(ERROR_BAD_LENGTH)) => Err(LastError(ERROR_INSUFFICIENT_BUFFER)),
            answer => answer,
        }
    })?;
    let bytes = words.as_bytes();
    let number =
        |at: usize| bytes.get(at..).and_then(<[u8]>::first_chunk).map(|bytes| u32::from_le_bytes(*bytes));
    let mut at = 0;
    loop {
        if number(at + ID_AT) == Some(id) {
            let started = bytes.get(at + STARTED_AT..).and_then(<[u8]>::first_chunk);
            return Ok(started.map(|bytes| u64::from_le_bytes(*bytes)));
        }
        match number(at).and_then(|next| usize::try_from(next).ok()) {
            Some(next) if next > 0 => at += next,
            _ => return Ok(None),
        }
    }
}

/// `QueryFullProcessImageNameW`: the path of its program.
pub(super) fn program(process: BorrowedHandle<'_>) -> Result<String, LastError> {
    // As long as a path can be.
    let mut text = vec![0_u16; 1 << 15];
    let mut len = room(&text);
    // SAFETY: the handle is open; room for so many characters, and a valid place for how many there were.
    succeeded(unsafe {
        QueryFullProcessImageNameW(process.as_raw_handle(), PROCESS_NAME_WIN32, text.as_mut_ptr(), &mut len)
    })?;
    let written = text.get(..usize::try_from(len).unwrap_or(0)).unwrap_or_default();
    Ok(String::from_utf16_lossy(written))
}

/// `GetExitCodeProcess`: whether a process has ended. Its exit code may be the one that means that it is running (259): waiting
/// distinguishes the two, if the handle has the right to.
pub(super) fn has_ended(process: BorrowedHandle<'_>) -> Result<bool, LastError> {
    let mut code = 0;
    // SAFETY: the handle is open; a valid place for the answer.
    succeeded(unsafe { GetExitCodeProcess(process.as_raw_handle(), &mut code) })?;
    let ambiguous = i32::from_ne_bytes(code.to_ne_bytes()) == STILL_ACTIVE;
    Ok(!ambiguous || wait_for_any(&[process], 0).unwrap_or(false))
}

/// The token of another process: `OpenProcessToken`.
pub(super) fn token_of(process: BorrowedHandle<'_>) -> Result<OwnedHandle, LastError> {
    let mut token = ptr::null_mut();
    // SAFETY: the handle is open; a valid place for the new one.
    succeeded(unsafe { OpenProcessToken(process.as_raw_handle(), TOKEN_QUERY, &mut token) })?;
    // SAFETY: the call gave a handle that nobody else owns.
    Ok(unsafe { OwnedHandle::from_raw_handle(token) })
}

/// `GetTokenInformation`: an answer of any class, in 64-bit words. It may point into itself, so it stays where it is.
pub(super) fn query_token_of(
    token: BorrowedHandle<'_>,
    class: TOKEN_INFORMATION_CLASS,
    answer: &mut [u64],
) -> Result<(), LastError> {
    let mut returned = 0;
    let len = u32::try_from(size_of_val(answer)).unwrap_or(0);
    let place = answer.as_mut_ptr().cast();
    // SAFETY: the handle is open; the place for the answer is as long as said, and aligned for every class.
    succeeded(unsafe { GetTokenInformation(token.as_raw_handle(), class, place, len, &mut returned) })
}

/// The session that a process belongs to: `ProcessIdToSessionId`.
pub(super) fn session_of(process: u32) -> Result<u32, LastError> {
    let mut session = 0;
    // SAFETY: a valid place for the answer.
    succeeded(unsafe { ProcessIdToSessionId(process, &mut session) })?;
    Ok(session)
}

/// `DuplicateHandle` into another process, with fewer rights or with the same ones: the number that it has there. Not
/// inheritable.
pub(super) fn duplicate_into(
    process: BorrowedHandle<'_>,
    handle: BorrowedHandle<'_>,
    access: Option<u32>,
) -> Result<u64, LastError> {
    let own = current_process().as_raw_handle();
    let mut new = ptr::null_mut();
    let (target, source) = (process.as_raw_handle(), handle.as_raw_handle());
    let options = if access.is_none() { DUPLICATE_SAME_ACCESS } else { 0 };
    let access = access.unwrap_or(0);
    // SAFETY: the handles are open, and `new` is a valid place for the new one's number.
    succeeded(unsafe { DuplicateHandle(own, source, target, &mut new, access, 0, options) })?;
    Ok(new.addr() as u64)
}

/// `DuplicateHandle` out of another process, with the same rights; or moved, so that it is closed there.
pub(super) fn duplicate_from(
    process: BorrowedHandle<'_>,
    number: u64,
    moved: bool,
) -> Result<OwnedHandle, LastError> {
    // Numbers of handles have 32 bits, whatever the processes have.
    let number = u32::try_from(number).map_err(|_| LastError(ERROR_INVALID_HANDLE))?;
    // Those with the highest bit are pseudo handles: this process, this thread.
    if number == 0 || i32::from_ne_bytes(number.to_ne_bytes()) < 0 {
        return Err(LastError(ERROR_INVALID_HANDLE));
    }
    let number = ptr::without_provenance_mut(usize::try_from(number).unwrap_or(0));
    let own = current_process().as_raw_handle();
    let options = DUPLICATE_SAME_ACCESS | if moved { DUPLICATE_CLOSE_SOURCE } else { 0 };
    let (source, mut new) = (process.as_raw_handle(), ptr::null_mut());
    // SAFETY: the process handle is open, and `new` is a valid place; a number that is no handle is an error.
    succeeded(unsafe { DuplicateHandle(source, number, own, &mut new, 0, 0, options) })?;
    // SAFETY: the call gave a handle that nobody else owns.
    Ok(unsafe { OwnedHandle::from_raw_handle(new) })
}

/// `CompareObjectHandles` (Windows 10 1607), looked up.
pub(super) fn same_object(one: BorrowedHandle<'_>, other: BorrowedHandle<'_>) -> Result<bool, Failure> {
    type Compare = unsafe extern "system" fn(HANDLE, HANDLE) -> windows_sys::core::BOOL;
    static COMPARE: std::sync::OnceLock<Option<Compare>> = std::sync::OnceLock::new();
    let compare = COMPARE.get_or_init(|| {
        let found = look_up("kernelbase.dll", c"CompareObjectHandles")?;
        // SAFETY: the function of this name has this type, by handleapi.h.
        Some(unsafe { core::mem::transmute::<Function, Compare>(found) })
    });
    let compare = compare.ok_or(Failure::new(Reason::Unsupported))?;
    // SAFETY: the handles are open.
    Ok(unsafe { compare(one.as_raw_handle(), other.as_raw_handle()) } != 0)
}

// Not in the bindings by this name: `RtlGenRandom` of ntsecapi.h.
windows_link::link!("advapi32.dll" "system" "SystemFunction036" fn RtlGenRandom(buffer: *mut c_void, len: u32) -> u8);

/// `RtlGenRandom`: bytes that nobody can guess.
pub(super) fn random(bytes: &mut [u8; 16]) -> Result<(), LastError> {
    let len = u32::try_from(bytes.len()).unwrap_or(0);
    // SAFETY: a valid place of this length.
    if unsafe { RtlGenRandom(bytes.as_mut_ptr().cast(), len) } == 0 { Err(last_error()) } else { Ok(()) }
}

/// `CreateEventW`, manual reset and not set. Says whether it is new.
///
/// # Safety
///
/// The attributes, and what they point to, are valid.
pub(super) unsafe fn create_event(
    attributes: &SECURITY_ATTRIBUTES,
    name: &ObjectName,
) -> Result<(OwnedHandle, bool), LastError> {
    // SAFETY: the attributes are valid (the contract of this function); the name is zero-terminated, and lives.
    let handle = unsafe { CreateEventW(attributes, 1, 0, name.as_ptr()) };
    let error = last_error();
    if handle.is_null() {
        return Err(error);
    }
    // SAFETY: the call gave a handle that nobody else owns.
    Ok((unsafe { OwnedHandle::from_raw_handle(handle) }, error.0 != ERROR_ALREADY_EXISTS))
}

/// `OpenEventW`, to wait for it.
pub(super) fn open_event(name: &ObjectName) -> Result<OwnedHandle, LastError> {
    // SAFETY: the name is zero-terminated and lives.
    let handle = unsafe { OpenEventW(SYNCHRONIZATION_SYNCHRONIZE, 0, name.as_ptr()) };
    if handle.is_null() {
        return Err(last_error());
    }
    // SAFETY: the call gave a handle that nobody else owns.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

/// `CreateSemaphoreW` with a count of 0. Returns whether it is new, or the existing one of this name.
///
/// # Safety
///
/// The attributes, and what they point to, are valid.
pub(super) unsafe fn create_semaphore(
    attributes: &SECURITY_ATTRIBUTES,
    most: i32,
    name: &ObjectName,
) -> Result<(OwnedHandle, bool), LastError> {
    // SAFETY: the attributes are valid (the contract of this function); the name is zero-terminated, and lives.
    let handle = unsafe { CreateSemaphoreW(attributes, 0, most, name.as_ptr()) };
    let error = last_error();
    if handle.is_null() {
        return Err(error);
    }
    // SAFETY: the call gave a handle that nobody else owns.
    Ok((unsafe { OwnedHandle::from_raw_handle(handle) }, error.0 != ERROR_ALREADY_EXISTS))
}

/// `OpenSemaphoreW`, to wait for it, to release it, and to read its descriptor.
pub(super) fn open_semaphore(name: &ObjectName) -> Result<OwnedHandle, LastError> {
    const READ_CONTROL: u32 = 0x2_0000;
    let access = SYNCHRONIZATION_SYNCHRONIZE | SEMAPHORE_MODIFY_STATE | READ_CONTROL;
    // SAFETY: the name is zero-terminated and lives.
    let handle = unsafe { OpenSemaphoreW(access, 0, name.as_ptr()) };
    if handle.is_null() {
        return Err(last_error());
    }
    // SAFETY: the call gave a handle that nobody else owns.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

/// `ReleaseSemaphore`: what its count was before.
pub(super) fn release_semaphore(semaphore: BorrowedHandle<'_>, count: i32) -> Result<i32, LastError> {
    let mut before = 0;
    // SAFETY: the handle is open; a valid place for the answer.
    succeeded(unsafe { ReleaseSemaphore(semaphore.as_raw_handle(), count, &mut before) })?;
    Ok(before)
}

/// `WaitForMultipleObjects` for any of at most 64; whether one was there before the time was over.
pub(super) fn wait_for_any(handles: &[BorrowedHandle<'_>], milliseconds: u32) -> Result<bool, LastError> {
    let count = room(handles);
    // (A borrowed handle is a handle, by its documentation.)
    let list: *const HANDLE = handles.as_ptr().cast();
    // SAFETY: so many open handles.
    match unsafe { WaitForMultipleObjects(count, list, 0, milliseconds) } {
        WAIT_TIMEOUT => Ok(false),
        WAIT_FAILED => Err(last_error()),
        _ => Ok(true),
    }
}
