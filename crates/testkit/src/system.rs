//! Looks at what this process holds, and pages made inaccessible.

/// What a page allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// Nothing.
    None,
    /// Reading.
    Read,
    /// Reading and writing.
    ReadWrite,
}

pub(crate) use imp::under_wine;
pub use imp::{inaccessible, mapped_views, open_handles, page_size, protect};

/// The address of a page, of no mapping of this library's, that cannot be touched. The page before it can.
///
/// # Panics
///
/// If there is no memory.
#[must_use]
pub fn inaccessible_page() -> *mut u8 {
    inaccessible(page_size())
}

#[cfg(unix)]
mod imp {
    use super::Protection;

    /// The size of a page in bytes.
    ///
    /// # Panics
    ///
    /// If the system does not tell.
    #[must_use]
    pub fn page_size() -> usize {
        // SAFETY: it has no requirements.
        let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        usize::try_from(size).expect("a size")
    }

    /// Changes what the pages at an address allow.
    ///
    /// # Safety
    ///
    /// Whoever touches them must expect it.
    ///
    /// # Panics
    ///
    /// If the system refuses.
    pub unsafe fn protect(address: *mut u8, len: usize, protection: Protection) {
        let flags = match protection {
            Protection::None => libc::PROT_NONE,
            Protection::Read => libc::PROT_READ,
            Protection::ReadWrite => libc::PROT_READ | libc::PROT_WRITE,
        };
        // SAFETY: the caller's contract.
        let result = unsafe { libc::mprotect(address.cast(), len, flags) };
        assert_eq!(result, 0, "mprotect: {}", std::io::Error::last_os_error());
    }

    /// The address of so many bytes, of no mapping of this library's, that cannot be touched. The page before them can.
    ///
    /// # Panics
    ///
    /// If there is no memory.
    #[must_use]
    pub fn inaccessible(len: usize) -> *mut u8 {
        let (flags, both) = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, libc::PROT_READ | libc::PROT_WRITE);
        let len = len.next_multiple_of(page_size());
        // SAFETY: a new mapping at a place that the system chooses.
        let address = unsafe { libc::mmap(std::ptr::null_mut(), page_size() + len, both, flags, -1, 0) };
        assert_ne!(address, libc::MAP_FAILED);
        let second = address.cast::<u8>().wrapping_add(page_size());
        // SAFETY: nobody uses the pages yet.
        unsafe { protect(second, len, Protection::None) };
        second
    }

    /// How many descriptors this process has.
    #[must_use]
    pub fn open_handles() -> usize {
        // (One of them reads the list.)
        let directory = if cfg!(target_os = "linux") { "/proc/self/fd" } else { "/dev/fd" };
        std::fs::read_dir(directory).map_or(0, Iterator::count)
    }

    /// How many shared mappings this process has (Linux; elsewhere always 0).
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

    /// The size of a page in bytes.
    #[must_use]
    pub fn page_size() -> usize {
        // SAFETY: a plain C structure for which all zeros is a value.
        let mut information: SYSTEM_INFO = unsafe { zeroed() };
        // SAFETY: a valid place for the answer.
        unsafe { GetSystemInfo(&mut information) };
        information.dwPageSize as usize
    }

    /// Changes what the pages at an address allow.
    ///
    /// # Safety
    ///
    /// Whoever touches them must expect it.
    ///
    /// # Panics
    ///
    /// If the system refuses.
    pub unsafe fn protect(address: *mut u8, len: usize, protection: Protection) {
        let flags = match protection {
            Protection::None => PAGE_NOACCESS,
            Protection::Read => PAGE_READONLY,
            Protection::ReadWrite => PAGE_READWRITE,
        };
        let mut old = 0;
        // SAFETY: the caller's contract.
        let result = unsafe { VirtualProtect(address.cast(), len, flags, &mut old) };
        assert_ne!(result, 0, "VirtualProtect: {}", std::io::Error::last_os_error());
    }

    /// The address of so many bytes, of no mapping of this library's, that cannot be touched: nobody has committed them. The page before them can.
    ///
    /// # Panics
    ///
    /// If there is no memory.
    #[must_use]
    pub fn inaccessible(len: usize) -> *mut u8 {
        // SAFETY: a new reservation at a place that the system chooses.
        let address = unsafe { VirtualAlloc(std::ptr::null(), 4096 + len, MEM_RESERVE, PAGE_READWRITE) };
        assert!(!address.is_null());
        // SAFETY: the first page of the reservation, which nobody uses yet.
        let first = unsafe { VirtualAlloc(address, 4096, MEM_COMMIT, PAGE_READWRITE) };
        assert!(!first.is_null());
        address.cast::<u8>().wrapping_add(4096)
    }

    /// How many handles this process has.
    #[must_use]
    pub fn open_handles() -> usize {
        // SAFETY: it has no requirements.
        let process = unsafe { GetCurrentProcess() };
        let mut count = 0;
        // SAFETY: a valid place for the answer.
        unsafe { GetProcessHandleCount(process, &mut count) };
        count as usize
    }

    /// How many views of sections this process has.
    #[must_use]
    pub fn mapped_views() -> usize {
        let mut views = std::collections::BTreeSet::new();
        let mut address = std::ptr::null::<u8>();
        loop {
            // SAFETY: a plain C structure for which all zeros is a value.
            let mut pages: MEMORY_BASIC_INFORMATION = unsafe { zeroed() };
            // SAFETY: the place for the answer is as long as said; the address is only looked up.
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
        // Wine tells by this export of its ntdll; the library file is loaded in every process.
        let name: Vec<u16> = "ntdll.dll".encode_utf16().chain([0]).collect();
        // SAFETY: a zero-terminated name.
        let module = unsafe { GetModuleHandleW(name.as_ptr()) };
        // SAFETY: a loaded module and a zero-terminated name.
        unsafe { GetProcAddress(module, c"wine_get_version".as_ptr().cast()) }.is_some()
    }
}
