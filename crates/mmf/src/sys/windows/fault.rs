//! Access violations and in-page errors in the guarded routines become errors; everything else goes on to the next handler.
//!
//! These handlers belong to the routines alone (see `guard`): Windows calls them only when an exception comes up in, or
//! below, a routine. They change where the interrupted code continues and nothing else, so nothing is unwound.

use core::ffi::c_void;
#[cfg(not(target_arch = "x86"))]
use core::ptr;

use windows_sys::Win32::Foundation::{EXCEPTION_ACCESS_VIOLATION, EXCEPTION_IN_PAGE_ERROR};
use windows_sys::Win32::System::Diagnostics::Debug::{CONTEXT, EXCEPTION_RECORD};

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

/// The handler of the routines: found by their unwind table, or (x86) by the record that `run` puts into the chain.
///
/// # Safety
///
/// To be called by Windows only, with what `__C_specific_handler` would get; on x86 the frame is the address of the record.
pub(in crate::sys) unsafe extern "C" fn handler(
    record: *const EXCEPTION_RECORD,
    frame: *const c_void,
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
    if !code.contains(&interrupted::counter(context)) {
        return CONTINUE_SEARCH;
    }
    // SAFETY: the routine was interrupted between `begin` and `end`.
    let guard = unsafe { interrupted::guard(context, frame) };
    // SAFETY: the guard lives until the interrupted call returns.
    if !note(record, unsafe { &*guard }) {
        return CONTINUE_SEARCH;
    }
    interrupted::continue_at(context, frame, landing);
    CONTINUE_EXECUTION
}

/// The context of an interrupted routine: where it was, the guard that it had, and where it is to go on.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod interrupted {
    use super::{CONTEXT, Guard, c_void, ptr};

    pub(super) fn counter(context: &CONTEXT) -> usize {
        #[cfg(target_arch = "x86_64")]
        let counter = context.Rip;
        #[cfg(target_arch = "aarch64")]
        let counter = context.Pc;
        usize::try_from(counter).unwrap_or(0)
    }

    /// # Safety
    ///
    /// The counter is between `begin` and `end`: there this register holds the guard (see the head of guard/x86_64.rs and
    /// guard/aarch64.rs).
    pub(super) unsafe fn guard(context: &CONTEXT, _frame: *const c_void) -> *const Guard {
        #[cfg(target_arch = "x86_64")]
        let register = context.R9;
        // SAFETY: both sides of the union are the same 31 registers.
        #[cfg(target_arch = "aarch64")]
        let register = unsafe { context.Anonymous.X[3] };
        ptr::with_exposed_provenance(usize::try_from(register).unwrap_or(0))
    }

    pub(super) fn continue_at(context: &mut CONTEXT, _frame: *const c_void, landing: usize) {
        #[cfg(target_arch = "x86_64")]
        let counter = &mut context.Rip;
        #[cfg(target_arch = "aarch64")]
        let counter = &mut context.Pc;
        *counter = landing as u64;
    }
}

/// The same for x86, where the guard is in the frame of `run`.
#[cfg(target_arch = "x86")]
mod interrupted {
    use super::{CONTEXT, Guard, c_void};
    use crate::sys::guard::Frame;

    pub(super) fn counter(context: &CONTEXT) -> usize {
        context.Eip as usize
    }

    /// # Safety
    ///
    /// The frame is the address of the record that `run` has put into the chain.
    pub(super) unsafe fn guard(_context: &CONTEXT, frame: *const c_void) -> *const Guard {
        // SAFETY: the record is part of `run`'s frame, see guard/x86.rs.
        unsafe { (*frame.cast::<Frame>()).guard }
    }

    pub(super) fn continue_at(context: &mut CONTEXT, frame: *const c_void, landing: usize) {
        let record = u32::try_from(frame.addr()).unwrap_or(0);
        context.Esp = record;
        context.Ebp = Frame::ebp(record);
        context.Eip = u32::try_from(landing).unwrap_or(0);
    }
}
