//! Turns access violations and in-page errors in the guarded routines into errors, and passes all other
//! exceptions on.
//!
//! The handlers belong to the routines alone (see `guard`): Windows calls them only for an exception that is
//! raised in a routine or in a function that it calls. A handler changes only the point where the interrupted
//! code continues, so no frame is unwound.

use core::ffi::c_void;

use windows_sys::Win32::Foundation::{EXCEPTION_ACCESS_VIOLATION, EXCEPTION_IN_PAGE_ERROR};
use windows_sys::Win32::System::Diagnostics::Debug::{CONTEXT, EXCEPTION_RECORD};

#[cfg(not(target_arch = "x86"))]
use crate::sys::guard::Interrupted;
use crate::sys::guard::{self, Place};
#[cfg(target_arch = "x86")]
use crate::sys::guard::{Frame, Guard};
use crate::sys::{HandlerPosition, HandlerState};

/// Does nothing: Windows finds the handler by the unwind table or the frame of the routines, which no other
/// handler can replace.
#[allow(clippy::unnecessary_wraps, reason = "on Unix it can fail")]
pub(crate) fn install() -> std::io::Result<()> {
    Ok(())
}

/// Returns the state of the handler.
pub(crate) fn state() -> HandlerState {
    HandlerState { segv: HandlerPosition::NotNeeded, bus: HandlerPosition::NotNeeded, blocked: false }
}

/// Returns false: on Windows no copy depends on a handler of the process, so none is made by the kernel.
pub(crate) fn kernel_copies() -> bool {
    false
}

// EXCEPTION_DISPOSITION of excpt.h.
const CONTINUE_EXECUTION: i32 = 0;
const CONTINUE_SEARCH: i32 = 1;

// EXCEPTION_UNWINDING, EXIT_UNWIND, TARGET_UNWIND and COLLIDED_UNWIND: the second pass, in which handlers
// decide nothing.
const UNWIND: u32 = 0x66;

/// Returns the address, the code and the detail of a record that is about a fault.
fn fault(record: &EXCEPTION_RECORD) -> Option<(usize, u32, i32)> {
    let detail = match record.ExceptionCode {
        EXCEPTION_ACCESS_VIOLATION => 0,
        // The third parameter is the status with which reading the page failed.
        EXCEPTION_IN_PAGE_ERROR if record.NumberParameters >= 3 => {
            let [a, b, c, d, ..] = record.ExceptionInformation[2].to_le_bytes();
            i32::from_le_bytes([a, b, c, d])
        }
        EXCEPTION_IN_PAGE_ERROR => 0,
        _ => return None,
    };
    let code = u32::from_ne_bytes(record.ExceptionCode.to_ne_bytes());
    (record.NumberParameters >= 2).then_some((record.ExceptionInformation[1], code, detail))
}

/// Handles an exception in the routines. Windows finds this handler by their unwind table, or on x86 by the
/// record that `run` adds to the chain.
///
/// # Safety
///
/// Only Windows calls it, with the arguments of `__C_specific_handler`. On x86 the frame is the address of
/// the record.
pub(in crate::sys) unsafe extern "C" fn handler(
    record: *const EXCEPTION_RECORD,
    frame: *const c_void,
    context: *mut CONTEXT,
    _dispatcher: *const c_void,
) -> i32 {
    // SAFETY: Windows passes a valid record, which nothing changes during the call.
    let record = unsafe { &*record };
    if record.ExceptionFlags & UNWIND != 0 {
        return CONTINUE_SEARCH;
    }
    let Some((address, code, detail)) = fault(record) else { return CONTINUE_SEARCH };
    // SAFETY: Windows passes the interrupted context, and accesses it only after the handler has returned.
    let context = unsafe { &mut *context };
    #[cfg(target_arch = "x86")]
    // SAFETY: Windows passes the address of the record that it has found in the chain.
    let caught = unsafe { catch(context, frame, address, code, detail) };
    #[cfg(not(target_arch = "x86"))]
    let caught = {
        let _ = frame;
        guard::catch(&mut Context(context), Place::at(address), code, detail)
    };
    if caught { CONTINUE_EXECUTION } else { CONTINUE_SEARCH }
}

/// The interrupted context, reduced to the registers that the guarded routines use.
#[cfg(not(target_arch = "x86"))]
struct Context<'c>(&'c mut CONTEXT);

#[cfg(target_arch = "x86_64")]
#[allow(clippy::cast_possible_truncation, reason = "addresses have 64 bits here")]
impl Interrupted for Context<'_> {
    fn counter(&self) -> usize {
        self.0.Rip as usize
    }

    fn arguments(&self) -> [usize; 4] {
        [self.0.Rcx, self.0.Rdx, self.0.R8, self.0.R9].map(|register| register as usize)
    }

    fn answer(&mut self, result: usize, fourth: u64) {
        self.0.Rax = result as u64;
        self.0.R9 = fourth;
    }

    fn continue_at(&mut self, landing: usize) {
        self.0.Rip = landing as u64;
    }
}

#[cfg(target_arch = "aarch64")]
#[allow(clippy::cast_possible_truncation, reason = "addresses have 64 bits here")]
impl Interrupted for Context<'_> {
    fn counter(&self) -> usize {
        self.0.Pc as usize
    }

    fn arguments(&self) -> [usize; 4] {
        [0, 1, 2, 3].map(|register| {
            // SAFETY: both variants of the union are the same 31 registers.
            let value = unsafe { self.0.Anonymous.X[register] };
            value as usize
        })
    }

    fn answer(&mut self, result: usize, fourth: u64) {
        self.0.Anonymous.X = {
            // SAFETY: both variants of the union are the same 31 registers.
            let mut registers = unsafe { self.0.Anonymous.X };
            (registers[0], registers[3]) = (result as u64, fourth);
            registers
        };
    }

    fn continue_at(&mut self, landing: usize) {
        self.0.Pc = landing as u64;
    }
}

/// Does the same as [`guard::catch`] for x86, where the guard is in the frame of `run`.
///
/// # Safety
///
/// `frame` is the address of the record that Windows has found in the chain.
#[cfg(target_arch = "x86")]
unsafe fn catch(context: &mut CONTEXT, frame: *const c_void, address: usize, code: u32, detail: i32) -> bool {
    let (range, landing) = guard::code_range();
    if !range.contains(&(context.Eip as usize)) {
        return false;
    }
    // SAFETY: the routine was interrupted between `begin` and `end`, so the record is part of the frame of
    // `run` (see guard/x86.rs).
    let guard: *const Guard = unsafe { (*frame.cast::<Frame>()).guard };
    // SAFETY: the guard lives until the interrupted call returns.
    if !unsafe { (*guard).note(Place::at(address), code, detail) } {
        return false;
    }
    let record = u32::try_from(frame.addr()).unwrap_or(0);
    context.Esp = record;
    context.Ebp = Frame::ebp(record);
    context.Eip = u32::try_from(landing).unwrap_or(0);
    true
}
