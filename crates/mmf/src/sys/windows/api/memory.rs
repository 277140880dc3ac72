//! Pages of the address space of this process, and the memory of the machine.

use std::os::windows::io::AsRawHandle;

use windows_sys::Win32::System::Memory::{
    GetLargePageMinimum, GetProcessWorkingSetSizeEx, MEM_COMMIT, MEMORY_BASIC_INFORMATION, PAGE_READWRITE,
    PrefetchVirtualMemory, VirtualAlloc, VirtualLock, VirtualQuery, VirtualUnlock, WIN32_MEMORY_RANGE_ENTRY,
};
use windows_sys::Win32::System::ProcessStatus::{K32QueryWorkingSetEx, PSAPI_WORKING_SET_EX_INFORMATION};
use windows_sys::Win32::System::SystemInformation::{
    GetSystemInfo, GlobalMemoryStatusEx, MEMORYSTATUSEX, SYSTEM_INFO,
};

use super::super::LastError;
use super::{bytes, check, get_current_process, last_error};

/// `VirtualAlloc` with `MEM_COMMIT`, for pages of a view of a reserved section. Committed pages keep their
/// contents.
///
/// # Safety
///
/// The pages belong to a writable view.
pub(crate) unsafe fn virtual_alloc_commit(address: *mut u8, len: usize) -> Result<(), LastError> {
    // SAFETY: by the contract of this function the pages belong to a view: the call adds no mapping and
    // replaces none.
    let committed = unsafe { VirtualAlloc(address.cast(), len, MEM_COMMIT, PAGE_READWRITE) };
    if committed.is_null() { Err(last_error()) } else { Ok(()) }
}

/// `VirtualQuery`: the pages from an address on that have the same attributes.
pub(crate) fn virtual_query(address: *const u8) -> Result<MEMORY_BASIC_INFORMATION, LastError> {
    let mut information = MEMORY_BASIC_INFORMATION::default();
    let len = size_of::<MEMORY_BASIC_INFORMATION>();
    // SAFETY: the buffer has the length that is passed. The call does not access the memory at the queried
    // address.
    if unsafe { VirtualQuery(address.cast(), &mut information, len) } == 0 {
        return Err(last_error());
    }
    Ok(information)
}

/// `VirtualLock`.
pub(crate) fn virtual_lock(address: *const u8, len: usize) -> Result<(), LastError> {
    // SAFETY: the call changes no byte, and fails for addresses that are not mapped.
    check(unsafe { VirtualLock(address.cast(), len) })
}

/// `VirtualUnlock`.
pub(crate) fn virtual_unlock(address: *const u8, len: usize) -> Result<(), LastError> {
    // SAFETY: the call changes no byte, and fails for addresses that are not locked.
    check(unsafe { VirtualUnlock(address.cast(), len) })
}

/// `PrefetchVirtualMemory`.
pub(crate) fn prefetch_virtual_memory(address: *mut u8, len: usize) -> Result<(), LastError> {
    let range = WIN32_MEMORY_RANGE_ENTRY { VirtualAddress: address.cast(), NumberOfBytes: len };
    // SAFETY: the list has one entry, as is passed. The call changes no byte.
    check(unsafe { PrefetchVirtualMemory(get_current_process().as_raw_handle(), 1, &range, 0) })
}

/// A `PSAPI_WORKING_SET_EX_BLOCK`: the state of a page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WorkingSetBlock(usize);

impl WorkingSetBlock {
    /// Whether the page is in RAM.
    pub(crate) fn is_valid(self) -> bool {
        self.0 & 1 != 0
    }

    /// Returns the node whose RAM holds the page.
    pub(crate) fn node(self) -> u32 {
        u32::try_from((self.0 >> 16) & 0x3F).unwrap_or(0)
    }

    /// Whether it is a large page, in RAM.
    pub(crate) fn is_large(self) -> bool {
        self.is_valid() && self.0 & (1 << 23) != 0
    }
}

/// `QueryWorkingSetEx` for one page.
pub(crate) fn query_working_set(address: *mut u8) -> Result<WorkingSetBlock, LastError> {
    let mut page = PSAPI_WORKING_SET_EX_INFORMATION { VirtualAddress: address.cast(), ..Default::default() };
    let (process, len) = (get_current_process().as_raw_handle(), bytes(&page));
    // SAFETY: the buffer has one entry, whose length is passed. The call does not access the address in it.
    check(unsafe { K32QueryWorkingSetEx(process, (&raw mut page).cast(), len) })?;
    // SAFETY: all variants of the union are views of the same integer.
    Ok(WorkingSetBlock(unsafe { page.VirtualAttributes.Flags }))
}

/// `GetProcessWorkingSetSizeEx`: the minimum of the working set of this process, of which all but a little
/// can be locked.
pub(crate) fn get_process_working_set_size() -> Result<u64, LastError> {
    let process = get_current_process().as_raw_handle();
    let (mut minimum, mut maximum, mut flags) = (0, 0, 0);
    // SAFETY: the handle is open; the replies go to local variables.
    check(unsafe { GetProcessWorkingSetSizeEx(process, &mut minimum, &mut maximum, &mut flags) })?;
    Ok(minimum as u64)
}

// In the bindings the call belongs to a feature that is needed for nothing else. `GetNumaHighestNodeNumber`
// of systemtopologyapi.h.
windows_link::link!("kernel32.dll" "system"
    fn GetNumaHighestNodeNumber(node: *mut u32) -> windows_sys::core::BOOL);

/// `GetNumaHighestNodeNumber`.
pub(crate) fn get_numa_highest_node_number() -> Result<u32, LastError> {
    let mut node = 0;
    // SAFETY: the reply goes to a local variable.
    check(unsafe { GetNumaHighestNodeNumber(&mut node) })?;
    Ok(node)
}

/// `GetSystemInfo`.
pub(crate) fn get_system_info() -> SYSTEM_INFO {
    let mut information = SYSTEM_INFO::default();
    // SAFETY: the reply goes to a local variable.
    unsafe { GetSystemInfo(&mut information) };
    information
}

/// `GlobalMemoryStatusEx`.
pub(crate) fn global_memory_status() -> Result<MEMORYSTATUSEX, LastError> {
    let mut status = MEMORYSTATUSEX::default();
    status.dwLength = bytes(&status);
    // SAFETY: the structure states its own length.
    check(unsafe { GlobalMemoryStatusEx(&mut status) })?;
    Ok(status)
}

/// `GetLargePageMinimum`: 0 where there are no large pages.
pub(crate) fn get_large_page_minimum() -> usize {
    // SAFETY: the call has no requirements.
    unsafe { GetLargePageMinimum() }
}
