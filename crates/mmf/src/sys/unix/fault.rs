//! Turns SIGSEGV and SIGBUS in the guarded routines into errors, and passes on all others as if this library
//! did not exist.

use core::sync::atomic::Ordering;
use std::{io, mem, ptr};

use libc::{c_int, c_void, siginfo_t};

use super::chain;
use super::context::Context;
use crate::sys::guard::{self, Place};
use crate::sys::{Copying, HandlerPolicy, HandlerState};

/// The detail of a fault that the kernel found during its copy. No `si_code` has this value.
#[cfg_attr(not(any(target_os = "linux", target_os = "android")), allow(dead_code))]
pub(crate) const FOUND_BY_THE_KERNEL: i32 = 0;

/// Whether copies without a handler are possible.
pub(crate) fn kernel_copies() -> bool {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    return super::kernel::is_available();
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    return false;
}

/// Prepares for faults in the next mapping, and returns how its bytes are to be copied. Called for each
/// mapping, since the situation may have changed.
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

/// Installs the handler in front of the present one, unless faults reach it anyway.
pub(crate) fn install() -> io::Result<()> {
    (0..chain::SIGNALS.len()).try_for_each(chain::install)
}

/// Returns the position of the handler, and whether this thread blocks its signals.
pub(crate) fn state() -> HandlerState {
    // SAFETY: `sigset_t` consists of integers, for which all zeros is a valid value.
    let mut blocked: libc::sigset_t = unsafe { mem::zeroed() };
    // SAFETY: with a null new mask the call only queries, and `blocked` is valid to write.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, ptr::null(), &mut blocked) };
    let is_blocked = |signal: c_int| {
        // SAFETY: the set is initialised.
        unsafe { libc::sigismember(&blocked, signal) == 1 }
    };
    HandlerState {
        segv: chain::position(chain::index_of(libc::SIGSEGV)),
        bus: chain::position(chain::index_of(libc::SIGBUS)),
        blocked: chain::SIGNALS.into_iter().any(is_blocked),
    }
}

/// Handles a signal that any entry has received, see `chain`.
pub(super) extern "C" fn on_signal(signal: c_int, info: *mut siginfo_t, context: *mut c_void, level: u32) {
    let level = level as usize;
    if chain::answered(signal, info, context, level) {
        return;
    }
    // A handler that was installed without SA_SIGINFO may call this one without the other arguments.
    if !info.is_null() && !context.is_null() {
        // SAFETY: the kernel passes a valid `siginfo_t` to a handler with `SA_SIGINFO`, and a handler that
        // passes a signal on has to pass this pointer or null.
        let si = unsafe { &*info };
        if !is_sent(signal, si.si_code) {
            // SAFETY: the kernel passes the interrupted context, which nothing else accesses until the
            // handler returns.
            let interrupted = unsafe { &mut *context.cast::<libc::ucontext_t>() };
            if guard::catch(&mut Context(interrupted), place(signal, si), signal.unsigned_abs(), si.si_code) {
                chain::note_forwarding_handler(signal);
                return;
            }
        }
    }
    pass_on(signal, info, context, level);
}

/// Returns the inaccessible place.
fn place(signal: c_int, si: &siginfo_t) -> Place {
    // SAFETY: the address is a part of the `siginfo_t` of every SIGSEGV and SIGBUS that was not sent.
    let address = unsafe { si.si_addr() }.addr();
    place_of(signal, si.si_code, address, extent(si))
}

/// Returns the inaccessible place for a signal and its code. Memory errors affect a block whose size the
/// kernel reports. For a huge page the kernel may report its start, far from the address of the access.
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

/// Returns `si_addr_lsb`, which the bindings lack. It follows the address.
fn extent(si: &siginfo_t) -> u32 {
    const OFFSET: usize = 16 + size_of::<*const c_void>();
    let bytes = ptr::from_ref(si).cast::<u8>().wrapping_add(OFFSET).cast::<u16>();
    // SAFETY: the two bytes are inside the `siginfo_t`, which is larger on every system, and are aligned as
    // it is. Every bit pattern is a valid number, which the caller uses only where the kernel has stored one.
    u32::from(unsafe { bytes.read() })
}

/// Whether a signal was sent, so that the interrupted instruction did not fault and would not fault again.
fn is_sent(signal: c_int, code: c_int) -> bool {
    // kill() and similar calls set zero or a negative code; memory errors that no access has met yet have
    // this one.
    const MEMORY_ERROR_ELSEWHERE: c_int = 5; // BUS_MCEERR_AO of Linux
    code <= 0 || (cfg!(target_os = "linux") && signal == libc::SIGBUS && code == MEMORY_ERROR_ELSEWHERE)
}

/// Does what would happen without this library.
fn pass_on(signal: c_int, info: *mut siginfo_t, context: *mut c_void, at: usize) {
    let index = chain::index_of(signal);
    // A delivery that reaches a level twice has run through a cycle. Then it is passed to the original
    // action.
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
        // SAFETY: as in `on_signal`, and the pointer is not null.
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
        // Only a sent signal can be ignored: the kernel does not ignore a fault.
        libc::SIG_IGN if sent => {}
        libc::SIG_DFL | libc::SIG_IGN => take_the_default(signal, sent),
        _ => {
            // Without SA_SIGINFO, too: the kernel passes all arguments to every handler, and some use them
            // without having requested them.
            // SAFETY: a handler is a function of one or three such arguments. On the processors of this
            // library (see `guard`) surplus arguments do not disturb a function, and the kernel calls signal
            // handlers in this way.
            let call = unsafe {
                mem::transmute::<usize, extern "C" fn(c_int, *mut siginfo_t, *mut c_void)>(handler)
            };
            call(signal, info, context);
            stay(signal, at, level);
        }
    }
}

/// Performs the default action.
fn take_the_default(signal: c_int, sent: bool) {
    // SAFETY: `sigaction` consists of integers and pointers, for which all zeros is a valid value: the
    // default action.
    let default: libc::sigaction = unsafe { mem::zeroed() };
    let _ = chain::replace(signal, &default);
    if sent {
        // The instruction did not fault and would not do so again, so the signal is sent once more. It
        // arrives when this handler returns and unblocks it.
        // SAFETY: `raise` has no requirements and is async-signal-safe.
        unsafe { libc::raise(signal) };
    }
}

/// Reinstalls this library's handler after a former handler has resigned by restoring the default, as the
/// standard library's does for foreign faults. Without this library only that handler would be gone; it must
/// not take ours along.
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
mod tests;
