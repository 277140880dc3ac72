//! The bare system calls, as in a program without a library and without any check.

#[cfg(unix)]
mod imp {
    use std::ffi::CString;

    /// Creates a named region, maps it, touches it, and removes it.
    ///
    /// # Panics
    ///
    /// Panics if the system refuses.
    pub fn create_map_touch_remove(name: &str, len: usize) {
        let name = CString::new(format!("/{name}")).expect("no NUL");
        // SAFETY: the name is zero-terminated.
        let fd = unsafe { libc::shm_open(name.as_ptr(), libc::O_CREAT | libc::O_EXCL | libc::O_RDWR, 0o600) };
        assert!(fd >= 0);
        // SAFETY: the call has no memory requirements, and the descriptor is open.
        let sized = unsafe { libc::ftruncate(fd, libc::off_t::try_from(len).expect("a length")) };
        assert_eq!(sized, 0);
        touch_and_unmap(fd, len);
        // SAFETY: the descriptor is open, and closed only here.
        unsafe { libc::close(fd) };
        // SAFETY: the name is zero-terminated.
        unsafe { libc::shm_unlink(name.as_ptr()) };
    }

    /// Opens a named region, maps it, touches it, and closes it.
    ///
    /// # Panics
    ///
    /// Panics if the system refuses.
    pub fn open_map_touch_close(name: &str) {
        let name = CString::new(format!("/{name}")).expect("no NUL");
        // SAFETY: the name is zero-terminated.
        let fd = unsafe { libc::shm_open(name.as_ptr(), libc::O_RDWR, 0) };
        assert!(fd >= 0);
        // SAFETY: `stat` consists of integers, for which all zeros is a valid value.
        let mut stat: libc::stat = unsafe { std::mem::zeroed() };
        // SAFETY: the descriptor is open, and `stat` is valid to write.
        unsafe { libc::fstat(fd, &mut stat) };
        touch_and_unmap(fd, usize::try_from(stat.st_size).expect("a length"));
        // SAFETY: the descriptor is open, and closed only here.
        unsafe { libc::close(fd) };
    }

    /// Whether a named region can be opened.
    ///
    /// # Panics
    ///
    /// Panics if the name contains a NUL.
    #[must_use]
    pub fn can_open(name: &str) -> bool {
        let name = CString::new(format!("/{name}")).expect("no NUL");
        // SAFETY: the name is zero-terminated.
        let fd = unsafe { libc::shm_open(name.as_ptr(), libc::O_RDWR, 0) };
        if fd >= 0 {
            // SAFETY: the descriptor is open, and closed only here.
            unsafe { libc::close(fd) };
        }
        fd >= 0
    }

    fn touch_and_unmap(fd: i32, len: usize) {
        let both = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: without `MAP_FIXED` the kernel chooses a free range, so no existing mapping changes.
        let address = unsafe { libc::mmap(std::ptr::null_mut(), len, both, libc::MAP_SHARED, fd, 0) };
        assert_ne!(address, libc::MAP_FAILED);
        // SAFETY: the address is mapped for writing.
        unsafe { address.cast::<u8>().write_volatile(1) };
        // SAFETY: this is the mapping from above, and nothing refers to it.
        unsafe { libc::munmap(address, len) };
    }
}

#[cfg(windows)]
mod imp {
    use std::ptr::null;

    use windows_sys::Win32::Foundation::{CloseHandle, HANDLE, INVALID_HANDLE_VALUE};
    use windows_sys::Win32::System::Memory::{
        CreateFileMappingW, FILE_MAP_READ, FILE_MAP_WRITE, MapViewOfFile, OpenFileMappingW, PAGE_READWRITE,
        UnmapViewOfFile,
    };

    fn wide(name: &str) -> Vec<u16> {
        format!(r"Local\{name}").encode_utf16().chain([0]).collect()
    }

    /// Creates a named region, maps it, touches it, and removes it.
    ///
    /// # Panics
    ///
    /// Panics if the system refuses.
    pub fn create_map_touch_remove(name: &str, len: usize) {
        let len = u32::try_from(len).expect("a length");
        // SAFETY: the name is zero-terminated.
        let section = unsafe {
            CreateFileMappingW(INVALID_HANDLE_VALUE, null(), PAGE_READWRITE, 0, len, wide(name).as_ptr())
        };
        touch_and_close(section);
    }

    /// Opens a named region, maps it, touches it, and closes it.
    ///
    /// # Panics
    ///
    /// Panics if the system refuses.
    pub fn open_map_touch_close(name: &str) {
        // SAFETY: the name is zero-terminated.
        let section = unsafe { OpenFileMappingW(FILE_MAP_READ | FILE_MAP_WRITE, 0, wide(name).as_ptr()) };
        touch_and_close(section);
    }

    /// Whether a named region can be opened.
    #[must_use]
    pub fn can_open(name: &str) -> bool {
        // SAFETY: the name is zero-terminated.
        let section = unsafe { OpenFileMappingW(FILE_MAP_READ | FILE_MAP_WRITE, 0, wide(name).as_ptr()) };
        if !section.is_null() {
            // SAFETY: the handle is open, and closed only here.
            unsafe { CloseHandle(section) };
        }
        !section.is_null()
    }

    fn touch_and_close(section: HANDLE) {
        assert!(!section.is_null());
        // SAFETY: the section is open, and the system chooses a free range.
        let view = unsafe { MapViewOfFile(section, FILE_MAP_READ | FILE_MAP_WRITE, 0, 0, 0) };
        assert!(!view.Value.is_null());
        // SAFETY: the address is mapped for writing.
        unsafe { view.Value.cast::<u8>().write_volatile(1) };
        // SAFETY: this is the view from above, and nothing refers to it.
        unsafe { UnmapViewOfFile(view) };
        // SAFETY: the handle is open, and closed only here.
        unsafe { CloseHandle(section) };
    }
}

pub use imp::{can_open, create_map_touch_remove, open_map_touch_close};
