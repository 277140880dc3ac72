//! Calls that not every supported version of Windows has, and that are therefore looked up at run time.

use core::ffi::CStr;
use core::ptr;

use windows_sys::Win32::System::LibraryLoader::{
    GetProcAddress, LOAD_LIBRARY_SEARCH_SYSTEM32, LoadLibraryExW,
};

use super::super::wide::Wide;

/// The address of a function, whose type its documentation states.
pub(crate) type Function = unsafe extern "system" fn() -> isize;

/// `LoadLibraryExW` for a library of the system, then `GetProcAddress`. Returns `None` if the library or the
/// function does not exist. The library is never unloaded, so the address stays valid.
pub(crate) fn get_proc_address(library: &str, function: &CStr) -> Option<Function> {
    let library = Wide::new(library)?;
    // SAFETY: the name is zero-terminated and borrowed. Only the directory of the system is searched, so the
    // only code that the call can run is the initialisation of a library of the system.
    let module = unsafe { LoadLibraryExW(library.as_ptr(), ptr::null_mut(), LOAD_LIBRARY_SEARCH_SYSTEM32) };
    if module.is_null() {
        return None;
    }
    // SAFETY: the module is loaded; the name is zero-terminated and borrowed.
    unsafe { GetProcAddress(module, function.as_ptr().cast()) }
}
