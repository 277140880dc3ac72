//! Queries about the handles and mappings of this process, and inaccessible pages.

/// The access that a page permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// None.
    None,
    /// Reading.
    Read,
    /// Reading and writing.
    ReadWrite,
}

pub(crate) use imp::under_wine;
pub use imp::{inaccessible, mapped_views, open_handles, page_size, protect};

/// Returns the address of an inaccessible page outside all mappings of the library. The page before it is
/// accessible.
///
/// # Panics
///
/// Panics if no memory is left.
#[must_use]
pub fn inaccessible_page() -> *mut u8 {
    inaccessible(page_size())
}

#[cfg(unix)]
mod imp {
    use super::Protection;

    /// Returns the page size in bytes.
    ///
    /// # Panics
    ///
    /// Panics if the system does not report it.
    #[must_use]
    pub fn page_size() -> usize {
        // SAFETY: `sysconf` has no memory requirements.
        let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        usize::try_from(size).expect("a size")
    }

    /// Changes the access that pages permit.
    ///
    /// # Safety
    ///
    /// All code that accesses the pages meanwhile handles the faults.
    ///
    /// # Panics
    ///
    /// Panics if the system refuses.
    pub unsafe fn protect(address: *mut u8, len: usize, protection: Protection) {
        let flags = match protection {
            Protection::None => libc::PROT_NONE,
            Protection::Read => libc::PROT_READ,
            Protection::ReadWrite => libc::PROT_READ | libc::PROT_WRITE,
        };
        // SAFETY: the contract of this function.
        let result = unsafe { libc::mprotect(address.cast(), len, flags) };
        assert_eq!(result, 0, "mprotect: {}", std::io::Error::last_os_error());
    }

    /// Returns the address of `len` inaccessible bytes outside all mappings of the library. The page before
    /// them is accessible.
    ///
    /// # Panics
    ///
    /// Panics if no memory is left.
    #[must_use]
    pub fn inaccessible(len: usize) -> *mut u8 {
        let (flags, both) = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, libc::PROT_READ | libc::PROT_WRITE);
        let len = len.next_multiple_of(page_size());
        // SAFETY: without `MAP_FIXED` the system chooses a free range, so no existing mapping changes.
        let address = unsafe { libc::mmap(std::ptr::null_mut(), page_size() + len, both, flags, -1, 0) };
        assert_ne!(address, libc::MAP_FAILED);
        let second = address.cast::<u8>().wrapping_add(page_size());
        // SAFETY: the pages were mapped above, and nothing accesses them yet.
        unsafe { protect(second, len, Protection::None) };
        second
    }

    /// Returns the number of descriptors of this process.
    #[must_use]
    pub fn open_handles() -> usize {
        // (One of them is the descriptor that reads the directory.)
        let directory = if cfg!(target_os = "linux") { "/proc/self/fd" } else { "/dev/fd" };
        std::fs::read_dir(directory).map_or(0, Iterator::count)
    }

    /// Returns the number of shared mappings of this process (Linux; always 0 elsewhere).
    #[must_use]
    pub fn mapped_views() -> usize {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
        maps.lines().filter(|line| line.contains("/dev/shm/") || line.contains("/memfd:")).count()
    }

    pub(crate) fn under_wine() -> bool {
        false
    }
}

#[cfg(windows)]
mod imp {
    use std::mem::zeroed;

    use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleW, GetProcAddress};
    use windows_sys::Win32::System::Memory::{
        MEM_COMMIT, MEM_MAPPED, MEM_RESERVE, MEMORY_BASIC_INFORMATION, PAGE_NOACCESS, PAGE_READONLY,
        PAGE_READWRITE, VirtualAlloc, VirtualProtect, VirtualQuery,
    };
    use windows_sys::Win32::System::SystemInformation::{GetSystemInfo, SYSTEM_INFO};
    use windows_sys::Win32::System::Threading::{GetCurrentProcess, GetProcessHandleCount};

    use super::Protection;

    /// Returns the page size in bytes.
    #[must_use]
    pub fn page_size() -> usize {
        // SAFETY: `SYSTEM_INFO` consists of integers and pointers, for which all zeros is a valid value.
        let mut information: SYSTEM_INFO = unsafe { zeroed() };
        // SAFETY: `information` is valid to write.
        unsafe { GetSystemInfo(&mut information) };
        information.dwPageSize as usize
    }

    /// Changes the access that pages permit.
    ///
    /// # Safety
    ///
    /// All code that accesses the pages meanwhile handles the faults.
    ///
    /// # Panics
    ///
    /// Panics if the system refuses.
    pub unsafe fn protect(address: *mut u8, len: usize, protection: Protection) {
        let flags = match protection {
            Protection::None => PAGE_NOACCESS,
            Protection::Read => PAGE_READONLY,
            Protection::ReadWrite => PAGE_READWRITE,
        };
        let mut old = 0;
        // SAFETY: the contract of this function, and `old` is valid to write.
        let result = unsafe { VirtualProtect(address.cast(), len, flags, &mut old) };
        assert_ne!(result, 0, "VirtualProtect: {}", std::io::Error::last_os_error());
    }

    /// Returns the address of `len` inaccessible (reserved, but not committed) bytes outside all mappings of
    /// the library. The page before them is accessible.
    ///
    /// # Panics
    ///
    /// Panics if no memory is left.
    #[must_use]
    pub fn inaccessible(len: usize) -> *mut u8 {
        // SAFETY: with a null address the system chooses a free range.
        let address = unsafe { VirtualAlloc(std::ptr::null(), 4096 + len, MEM_RESERVE, PAGE_READWRITE) };
        assert!(!address.is_null());
        // SAFETY: this commits the first page of the reservation, which nothing uses yet.
        let first = unsafe { VirtualAlloc(address, 4096, MEM_COMMIT, PAGE_READWRITE) };
        assert!(!first.is_null());
        address.cast::<u8>().wrapping_add(4096)
    }

    /// Returns the number of handles of this process.
    #[must_use]
    pub fn open_handles() -> usize {
        // SAFETY: `GetCurrentProcess` has no requirements.
        let process = unsafe { GetCurrentProcess() };
        let mut count = 0;
        // SAFETY: the pseudo handle is always valid, and `count` is valid to write.
        unsafe { GetProcessHandleCount(process, &mut count) };
        count as usize
    }

    /// Returns the number of mapped views of sections in this process.
    #[must_use]
    pub fn mapped_views() -> usize {
        let mut views = std::collections::BTreeSet::new();
        let mut address = std::ptr::null::<u8>();
        loop {
            // SAFETY: `MEMORY_BASIC_INFORMATION` consists of integers and pointers, for which all zeros is a
            // valid value.
            let mut pages: MEMORY_BASIC_INFORMATION = unsafe { zeroed() };
            // SAFETY: `pages` is valid to write for the given size, and the address is only looked up.
            let len =
                unsafe { VirtualQuery(address.cast(), &mut pages, size_of::<MEMORY_BASIC_INFORMATION>()) };
            if len == 0 || pages.RegionSize == 0 {
                return views.len();
            }
            if pages.Type == MEM_MAPPED {
                views.insert(pages.AllocationBase.addr());
            }
            let next = address.wrapping_add(pages.RegionSize);
            if next <= address {
                return views.len();
            }
            address = next;
        }
    }

    pub(crate) fn under_wine() -> bool {
        // Wine's ntdll has this export.
        let name: Vec<u16> = "ntdll.dll".encode_utf16().chain([0]).collect();
        // SAFETY: the name is zero-terminated.
        let module = unsafe { GetModuleHandleW(name.as_ptr()) };
        // SAFETY: the module is loaded in every process, and the name is zero-terminated.
        unsafe { GetProcAddress(module, c"wine_get_version".as_ptr().cast()) }.is_some()
    }
}
