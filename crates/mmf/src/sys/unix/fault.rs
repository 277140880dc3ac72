//! SIGSEGV and SIGBUS in the guarded routines become errors; all others go where they would have gone without this library.

use core::sync::atomic::Ordering;
use std::{io, mem, ptr};

use libc::{c_int, c_void, siginfo_t};

use super::chain;
use super::context::Context;
use crate::sys::guard::{self, Place};
use crate::sys::{Copying, HandlerPolicy, HandlerState};

/// What a fault's detail says where the kernel made the copy and found the page missing: no `si_code` has this value.
#[cfg_attr(not(any(target_os = "linux", target_os = "android")), allow(dead_code))]
pub(crate) const FOUND_BY_THE_KERNEL: i32 = 0;

/// Whether copies can be made without a handler.
pub(crate) fn kernel_copies() -> bool {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    return super::kernel::is_available();
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    return false;
}

/// Makes sure that faults in what is mapped next are caught, and says how. To be called for each mapping: what was true for
/// the one before may have changed.
pub(in crate::sys) fn prepare() -> io::Result<Copying> {
    let policy = crate::sys::handler_policy();
    if policy == HandlerPolicy::NoHandler {
        return Ok(Copying::ByKernel);
    }
    if (0..chain::SIGNALS.len()).all(chain::is_in_place) {
        return Ok(Copying::Guarded);
    }
    let may_install = |index: usize| {
        policy == HandlerPolicy::Rearm || !chain::is_installed(index) || chain::is_in_place(index)
    };
    let result = if (0..chain::SIGNALS.len()).all(may_install) {
        install()
    } else {
        Err(io::Error::from_raw_os_error(libc::EBUSY))
    };
    match result {
        Ok(()) => Ok(Copying::Guarded),
        Err(_) if kernel_copies() => Ok(Copying::ByKernel),
        Err(error) => Err(error),
    }
}

/// Installs the handler in front of whatever is there, unless faults reach it anyway.
pub(crate) fn install() -> io::Result<()> {
    (0..chain::SIGNALS.len()).try_for_each(chain::install)
}

/// Where the handler is, and whether this thread lets it be called.
pub(crate) fn state() -> HandlerState {
    // SAFETY: a set of signals is a plain C structure for which all zeros is a value.
    let mut blocked: libc::sigset_t = unsafe { mem::zeroed() };
    // SAFETY: a null new mask only asks; `blocked` is valid for the answer.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, ptr::null(), &mut blocked) };
    let is_blocked = |signal: c_int| {
        // SAFETY: a whole set.
        unsafe { libc::sigismember(&blocked, signal) == 1 }
    };
    HandlerState {
        segv: chain::position(chain::index_of(libc::SIGSEGV)),
        bus: chain::position(chain::index_of(libc::SIGBUS)),
        blocked: chain::SIGNALS.into_iter().any(is_blocked),
    }
}

/// The common handler behind all entries (see `chain`).
pub(super) extern "C" fn on_signal(signal: c_int, info: *mut siginfo_t, context: *mut c_void, level: u32) {
    let level = level as usize;
    if chain::answered(signal, info, context, level) {
        return;
    }
    // A handler that was installed for a signal number alone may call this one with nothing else.
    if !info.is_null() && !context.is_null() {
        // SAFETY: the kernel gives a handler with SA_SIGINFO a valid siginfo, and who passes a signal on passes it on.
        let si = unsafe { &*info };
        if !is_sent(signal, si.si_code) {
            // SAFETY: the kernel gives the handler the interrupted context, which nobody else uses meanwhile.
            let interrupted = unsafe { &mut *context.cast::<libc::ucontext_t>() };
            if guard::catch(&mut Context(interrupted), place(signal, si), signal.unsigned_abs(), si.si_code) {
                chain::note_who_passed_it_on(signal);
                return;
            }
        }
    }
    pass_on(signal, info, context, level);
}

/// What cannot be accessed.
fn place(signal: c_int, si: &siginfo_t) -> Place {
    // SAFETY: for a SIGSEGV or SIGBUS that was not sent the address is part of the siginfo.
    let address = unsafe { si.si_addr() }.addr();
    place_of(signal, si.si_code, address, extent(si))
}

/// A memory error concerns a block whose size the kernel says; of a huge page it may report the start, far from the instruction's
/// own address.
fn place_of(signal: c_int, code: c_int, address: usize, bits: u32) -> Place {
    const MEMORY_ERROR_HERE: c_int = 4; // BUS_MCEERR_AR of Linux
    if cfg!(any(target_os = "linux", target_os = "android"))
        && signal == libc::SIGBUS
        && code == MEMORY_ERROR_HERE
    {
        Place::block(address, bits)
    } else {
        Place::at(address)
    }
}

/// `si_addr_lsb`, which the bindings lack: it follows the address.
fn extent(si: &siginfo_t) -> u32 {
    const OFFSET: usize = 16 + size_of::<*const c_void>();
    let bytes = ptr::from_ref(si).cast::<u8>().wrapping_add(OFFSET).cast::<u16>();
    // SAFETY: inside the siginfo, which is larger everywhere, and aligned to 8 bytes as that is. Any bytes are a number; it is
    // used only where the kernel has put it there.
    u32::from(unsafe { bytes.read() })
}

/// Whether a signal came from elsewhere, and not from the interrupted instruction, which therefore would not fault again.
fn is_sent(signal: c_int, code: c_int) -> bool {
    // kill() and its like have zero or a negative code; a memory error that nobody has touched yet has this one.
    const MEMORY_ERROR_ELSEWHERE: c_int = 5; // BUS_MCEERR_AO of Linux
    code <= 0 || (cfg!(target_os = "linux") && signal == libc::SIGBUS && code == MEMORY_ERROR_ELSEWHERE)
}

/// Does what would have happened without this library.
fn pass_on(signal: c_int, info: *mut siginfo_t, context: *mut c_void, at: usize) {
    let index = chain::index_of(signal);
    // A delivery that comes to a level again has gone round: then it is the turn of what was there first.
    let at = if chain::first_visit(info, at) {
        Some(at)
    } else if at != 0 && chain::first_visit(info, 0) {
        Some(0)
    } else {
        None
    };
    let level = at.map(|at| (at, chain::level(index, at)));
    let next = level.and_then(|(at, level)| Some((at, level, level.action()?)));
    let sent = info.is_null() || {
        // SAFETY: the kernel gives a handler with SA_SIGINFO a valid siginfo.
        let si = unsafe { &*info };
        is_sent(signal, si.si_code)
    };
    let Some((at, level, action)) = next else { return take_the_default(signal, sent) };
    let mut handler = action.sa_sigaction;
    let once = action.sa_flags & libc::SA_RESETHAND != 0;
    if level.spent.load(Ordering::Relaxed) || (once && level.spent.swap(true, Ordering::Relaxed)) {
        handler = libc::SIG_DFL;
    }
    match handler {
        // An ignored signal is ignored only if somebody sent it: the kernel does not let a fault be ignored.
        libc::SIG_IGN if sent => {}
        libc::SIG_DFL | libc::SIG_IGN => take_the_default(signal, sent),
        _ => {
            // Also without SA_SIGINFO: the kernel gives all arguments to every handler, and some use them without having asked.
            // SAFETY: a handler is a function of one or three such arguments, and on the processors of this library (see `guard`) a
            // function is not disturbed by arguments that it does not take; signal handlers are called like this by the kernel.
            let call = unsafe {
                mem::transmute::<usize, extern "C" fn(c_int, *mut siginfo_t, *mut c_void)>(handler)
            };
            call(signal, info, context);
            stay(signal, at, level);
        }
    }
}

/// What the kernel does where there is no handler.
fn take_the_default(signal: c_int, sent: bool) {
    // SAFETY: sigaction is a plain C structure for which all zeros is a value: the default action.
    let default: libc::sigaction = unsafe { mem::zeroed() };
    let _ = chain::replace(signal, &default);
    if sent {
        // The instruction did not fault and would not do so again, so the signal is sent once more; it arrives when
        // this handler returns and unblocks it.
        // SAFETY: raise has no requirements and is allowed in a handler.
        unsafe { libc::raise(signal) };
    }
}

/// A former handler may resign by restoring the default, as the standard library's does for what it does not know. Without us
/// that would be its own affair; but it must not take our handler along.
fn stay(signal: c_int, at: usize, level: &chain::Level) {
    let Ok(now) = chain::query(signal) else { return };
    if now.sa_sigaction == libc::SIG_DFL {
        level.spent.store(true, Ordering::Relaxed);
        if let Ok(replaced) = chain::replace(signal, &chain::ours(at, &now)) {
            if replaced.sa_sigaction != libc::SIG_DFL {
                // Another thread has installed a handler between the two calls.
                let _ = chain::replace(signal, &replaced);
            }
        }
    }
}

#[cfg(all(test, any(target_os = "linux", target_os = "android")))]
mod tests {
    use super::*;

    /// What the kernel delivers for a memory error.
    fn memory_error(code: c_int, address: usize, bits: u16) -> siginfo_t {
        // SAFETY: siginfo_t is a plain C structure for which all zeros is a value.
        let mut info: siginfo_t = unsafe { mem::zeroed() };
        info.si_code = code;
        let bytes = (&raw mut info).cast::<u8>();
        // SAFETY: the field of the address, inside the structure and aligned.
        unsafe { bytes.wrapping_add(16).cast::<usize>().write(address) };
        // SAFETY: the field behind it, as above.
        unsafe { bytes.wrapping_add(24).cast::<u16>().write(bits) };
        info
    }

    #[test]
    fn a_memory_error_concerns_its_whole_block() {
        const HUGE: usize = 0x7f00_0020_0000;
        let here = memory_error(4, HUGE, 21);
        assert_eq!(place(libc::SIGBUS, &here), Place::block(HUGE, 21));
        // An address in the middle means the same block.
        assert_eq!(place(libc::SIGBUS, &memory_error(4, HUGE + 0x1_2345, 21)), Place::block(HUGE, 21));
        // The extent says nothing for other faults: there the field can be part of something else.
        for (signal, code) in [(libc::SIGBUS, 2), (libc::SIGSEGV, 4), (libc::SIGSEGV, 1)] {
            assert_eq!(place(signal, &memory_error(code, HUGE, 21)), Place::at(HUGE));
        }
        // One that no instruction has met yet interrupts nothing.
        assert!(is_sent(libc::SIGBUS, 5));
        assert!(!is_sent(libc::SIGBUS, 4));
    }
}
