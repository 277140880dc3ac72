//! Access violations and in-page errors in the guarded routines become errors; everything else goes on to the next handler.
//!
//! These handlers belong to the routines alone (see `guard`): Windows calls them only when an exception comes up in, or
//! below, a routine. They change where the interrupted code continues and nothing else, so nothing is unwound.

use core::ffi::c_void;
use core::ptr;

use windows_sys::Win32::Foundation::{EXCEPTION_ACCESS_VIOLATION, EXCEPTION_IN_PAGE_ERROR};
use windows_sys::Win32::System::Diagnostics::Debug::{CONTEXT, EXCEPTION_RECORD};

#[cfg(target_arch = "x86")]
use crate::sys::guard::Frame;
use crate::sys::guard::{self, Guard};

// EXCEPTION_DISPOSITION of excpt.h.
const CONTINUE_EXECUTION: i32 = 0;
const CONTINUE_SEARCH: i32 = 1;

// EXCEPTION_UNWINDING, EXIT_UNWIND, TARGET_UNWIND and COLLIDED_UNWIND: the second pass, in which nothing is decided.
const UNWIND: u32 = 0x66;

/// Notes a fault in the guard if it is one, and is the guard's to answer for.
fn note(record: &EXCEPTION_RECORD, guard: &Guard) -> bool {
    let detail = match record.ExceptionCode {
        EXCEPTION_ACCESS_VIOLATION => 0,
        // The third parameter is the status behind it: why the page could not be read.
        EXCEPTION_IN_PAGE_ERROR if record.NumberParameters >= 3 => {
            let status = record.ExceptionInformation[2] & 0xFFFF_FFFF;
            i32::from_ne_bytes(u32::try_from(status).unwrap_or(0).to_ne_bytes())
        }
        EXCEPTION_IN_PAGE_ERROR => 0,
        _ => return false,
    };
    let code = u32::from_ne_bytes(record.ExceptionCode.to_ne_bytes());
    record.NumberParameters >= 2 && guard.note(record.ExceptionInformation[1], code, detail)
}

/// The handler of the routines, found by their unwind table.
///
/// # Safety
///
/// To be called by Windows only, with what `__C_specific_handler` would get.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(in crate::sys) unsafe extern "C" fn handler(
    record: *const EXCEPTION_RECORD,
    _frame: *const c_void,
    context: *mut CONTEXT,
    _dispatcher: *const c_void,
) -> i32 {
    // SAFETY: Windows gives a valid record.
    let record = unsafe { &*record };
    if record.ExceptionFlags & UNWIND != 0 {
        return CONTINUE_SEARCH;
    }
    // SAFETY: Windows gives the interrupted context, which nobody else uses meanwhile.
    let context = unsafe { &mut *context };
    let (code, landing) = guard::code_range();
    if !usize::try_from(*counter(context)).is_ok_and(|counter| code.contains(&counter)) {
        return CONTINUE_SEARCH;
    }
    let guard = ptr::with_exposed_provenance::<Guard>(usize::try_from(guard_register(context)).unwrap_or(0));
    // SAFETY: inside the guarded code this register holds the address of the guard of the interrupted call (see the head of
    // guard/x86_64.rs and guard/aarch64.rs), which lives until that call returns.
    if !note(record, unsafe { &*guard }) {
        return CONTINUE_SEARCH;
    }
    *counter(context) = landing as u64;
    CONTINUE_EXECUTION
}

#[cfg(target_arch = "x86_64")]
fn counter(context: &mut CONTEXT) -> &mut u64 {
    &mut context.Rip
}
#[cfg(target_arch = "x86_64")]
fn guard_register(context: &CONTEXT) -> u64 {
    context.R9
}
#[cfg(target_arch = "aarch64")]
fn counter(context: &mut CONTEXT) -> &mut u64 {
    &mut context.Pc
}
#[cfg(target_arch = "aarch64")]
fn guard_register(context: &CONTEXT) -> u64 {
    // SAFETY: both sides of the union are the same 31 registers.
    unsafe { context.Anonymous.X[3] }
}

/// The handler of the record that `run` puts into the chain.
///
/// # Safety
///
/// To be called by Windows only.
#[cfg(target_arch = "x86")]
pub(in crate::sys) unsafe extern "C" fn handler(
    record: *const EXCEPTION_RECORD,
    frame: *const Frame,
    context: *mut CONTEXT,
    _dispatcher: *const c_void,
) -> i32 {
    // SAFETY: Windows gives a valid record.
    let record = unsafe { &*record };
    if record.ExceptionFlags & UNWIND != 0 {
        return CONTINUE_SEARCH;
    }
    // SAFETY: Windows gives the interrupted context, which nobody else uses meanwhile.
    let context = unsafe { &mut *context };
    let (code, landing) = guard::code_range();
    if !code.contains(&(context.Eip as usize)) {
        return CONTINUE_SEARCH;
    }
    // SAFETY: Windows gives the address of the record that `run` has put into the chain: its frame, see guard/x86.rs.
    let guard = unsafe { (*frame).guard };
    // SAFETY: `run`'s caller keeps the guard alive until `run` returns.
    if !note(record, unsafe { &*guard }) {
        return CONTINUE_SEARCH;
    }
    let record_address = u32::try_from(frame.addr()).unwrap_or(0);
    context.Esp = record_address;
    context.Ebp = Frame::ebp(record_address);
    context.Eip = u32::try_from(landing).unwrap_or(0);
    CONTINUE_EXECUTION
}
