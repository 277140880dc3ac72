//! SIGSEGV and SIGBUS in the guarded routines become errors; all others go where they would have gone without us.

use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::sync::Once;
use std::{io, mem, ptr};

use libc::{c_int, c_void, siginfo_t};

use crate::sys::guard::{self, Interrupted};

/// Who handled the signal before us. Set before our handler is installed for it, and never freed: a handler may run at any
/// time.
struct Former {
    action: AtomicPtr<libc::sigaction>,
    /// The former handler is not to be called again: it asked for only one call (`SA_RESETHAND`), or has resigned.
    spent: AtomicBool,
}

impl Former {
    const fn new() -> Self {
        Former { action: AtomicPtr::new(ptr::null_mut()), spent: AtomicBool::new(false) }
    }
}

static SEGV: Former = Former::new();
static BUS: Former = Former::new();

/// Installs the handler, once in a process. To be called before the first mapping is used.
///
/// A handler that somebody installs *later* must pass on what it does not know, as ours does; the documentation says so.
pub(in crate::sys) fn install() -> io::Result<()> {
    static ONCE: Once = Once::new();
    static FAILED: AtomicBool = AtomicBool::new(false);
    ONCE.call_once(|| {
        let failed = install_for(libc::SIGSEGV, &SEGV).is_err() || install_for(libc::SIGBUS, &BUS).is_err();
        FAILED.store(failed, Ordering::Relaxed);
    });
    if FAILED.load(Ordering::Relaxed) { Err(io::Error::from_raw_os_error(libc::EINVAL)) } else { Ok(()) }
}

fn install_for(signal: c_int, former: &Former) -> io::Result<()> {
    // SAFETY: sigaction is a plain C structure for which all zeros is a value.
    let mut old: libc::sigaction = unsafe { mem::zeroed() };
    // SAFETY: a null new action only asks; `old` is valid for the answer.
    if unsafe { libc::sigaction(signal, ptr::null(), &mut old) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // Ours may be called as soon as it is installed, and has to know by then whom to pass on to.
    former.action.store(Box::into_raw(Box::new(old)), Ordering::Release);
    let new = ours(old);
    let mut replaced = old;
    // SAFETY: `new` is a whole action, whose handler does only what is allowed in one; `replaced` is valid for the answer.
    if unsafe { libc::sigaction(signal, &new, &mut replaced) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // Another thread may have installed one between our two calls.
    if replaced.sa_sigaction != old.sa_sigaction {
        former.action.store(Box::into_raw(Box::new(replaced)), Ordering::Release);
    }
    Ok(())
}

/// Our action in the place of another. It runs under the mask that the other one asked for, so that passing on is as if the
/// kernel had called it.
fn ours(former: libc::sigaction) -> libc::sigaction {
    let kept = former.sa_flags & (libc::SA_NODEFER | libc::SA_RESTART);
    libc::sigaction {
        sa_sigaction: on_signal as *const () as usize,
        sa_flags: libc::SA_SIGINFO | libc::SA_ONSTACK | kept,
        ..former
    }
}

extern "C" fn on_signal(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel gives a handler with SA_SIGINFO a valid siginfo.
    let si = unsafe { &*info };
    // SAFETY: for SIGSEGV and SIGBUS the address is part of the siginfo; for a signal that somebody sent it is garbage, but
    // still a number, and the code below is checked first.
    let address = unsafe { si.si_addr() }.addr();
    if !is_sent(signal, si.si_code) {
        // SAFETY: the kernel gives the handler the interrupted context, which nobody else uses meanwhile.
        let interrupted = unsafe { &mut *context.cast::<libc::ucontext_t>() };
        if guard::catch(&mut Context(interrupted), address, signal.unsigned_abs(), si.si_code) {
            return;
        }
    }
    pass_on(signal, info, context);
}

/// Whether a signal came from elsewhere, and not from the interrupted instruction, which therefore would not fault again.
fn is_sent(signal: c_int, code: c_int) -> bool {
    // kill() and its like have zero or a negative code; a memory error that nobody has touched yet has this one.
    const MEMORY_ERROR_ELSEWHERE: c_int = 5; // BUS_MCEERR_AO of Linux
    code <= 0 || (cfg!(target_os = "linux") && signal == libc::SIGBUS && code == MEMORY_ERROR_ELSEWHERE)
}

/// The interrupted context, by what of it the guarded routines use.
struct Context<'c>(&'c mut libc::ucontext_t);

#[cfg(all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64"))]
#[allow(
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    clippy::cast_possible_truncation,
    reason = "a register is 64 bits, whatever its sign"
)]
impl Interrupted for Context<'_> {
    fn counter(&self) -> usize {
        self.0.uc_mcontext.gregs[libc::REG_RIP as usize] as usize
    }

    fn arguments(&self) -> [usize; 4] {
        [libc::REG_RCX, libc::REG_RDX, libc::REG_R8, libc::REG_R9]
            .map(|register| self.0.uc_mcontext.gregs[register as usize] as usize)
    }

    fn answer(&mut self, result: usize, fourth: u64) {
        self.0.uc_mcontext.gregs[libc::REG_RAX as usize] = result as i64;
        self.0.uc_mcontext.gregs[libc::REG_R9 as usize] = fourth as i64;
    }

    fn continue_at(&mut self, landing: usize) {
        self.0.uc_mcontext.gregs[libc::REG_RIP as usize] = landing as i64;
    }
}

#[cfg(all(any(target_os = "linux", target_os = "android"), target_arch = "aarch64"))]
#[allow(clippy::cast_possible_truncation, reason = "addresses have 64 bits here")]
impl Interrupted for Context<'_> {
    fn counter(&self) -> usize {
        self.0.uc_mcontext.pc as usize
    }

    fn arguments(&self) -> [usize; 4] {
        [0, 1, 2, 3].map(|register| self.0.uc_mcontext.regs[register] as usize)
    }

    fn answer(&mut self, result: usize, fourth: u64) {
        self.0.uc_mcontext.regs[0] = result as u64;
        self.0.uc_mcontext.regs[3] = fourth;
    }

    fn continue_at(&mut self, landing: usize) {
        self.0.uc_mcontext.pc = landing as u64;
    }
}

#[cfg(all(target_vendor = "apple", target_arch = "aarch64"))]
use libc::__darwin_arm_thread_state64 as ThreadState;
#[cfg(all(target_vendor = "apple", target_arch = "x86_64"))]
use libc::__darwin_x86_thread_state64 as ThreadState;

#[cfg(target_vendor = "apple")]
impl Context<'_> {
    /// The machine context hangs on a pointer here.
    fn state(&self) -> ThreadState {
        // SAFETY: the kernel gives a handler a context whose machine context is valid until the handler returns.
        unsafe { (*self.0.uc_mcontext).__ss }
    }

    fn set_state(&mut self, state: ThreadState) {
        // SAFETY: as in `state`; nobody else uses it meanwhile.
        unsafe { (*self.0.uc_mcontext).__ss = state };
    }
}

#[cfg(target_vendor = "apple")]
#[allow(clippy::cast_possible_truncation, reason = "addresses have 64 bits here")]
impl Interrupted for Context<'_> {
    fn counter(&self) -> usize {
        #[cfg(target_arch = "x86_64")]
        let register = self.state().__rip;
        #[cfg(target_arch = "aarch64")]
        let register = self.state().__pc;
        register as usize
    }

    fn arguments(&self) -> [usize; 4] {
        let state = self.state();
        #[cfg(target_arch = "x86_64")]
        let registers = [state.__rcx, state.__rdx, state.__r8, state.__r9];
        #[cfg(target_arch = "aarch64")]
        let registers = [state.__x[0], state.__x[1], state.__x[2], state.__x[3]];
        registers.map(|register| register as usize)
    }

    fn answer(&mut self, result: usize, fourth: u64) {
        let mut state = self.state();
        #[cfg(target_arch = "x86_64")]
        let (first, second) = (&mut state.__rax, &mut state.__r9);
        #[cfg(target_arch = "aarch64")]
        let [first, _, _, second, ..] = &mut state.__x;
        (*first, *second) = (result as u64, fourth);
        self.set_state(state);
    }

    fn continue_at(&mut self, landing: usize) {
        let mut state = self.state();
        #[cfg(target_arch = "x86_64")]
        let register = &mut state.__rip;
        #[cfg(target_arch = "aarch64")]
        let register = &mut state.__pc;
        *register = landing as u64;
        self.set_state(state);
    }
}

/// Does what would have happened had we never been there.
fn pass_on(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let former = if signal == libc::SIGBUS { &BUS } else { &SEGV };
    // SAFETY: a pointer was stored before our handler was installed, and what was ever stored is never freed.
    let action = unsafe { &*former.action.load(Ordering::Acquire) };
    let sent = {
        // SAFETY: the kernel gives a handler with SA_SIGINFO a valid siginfo.
        let si = unsafe { &*info };
        is_sent(signal, si.si_code)
    };
    let mut handler = action.sa_sigaction;
    let once = action.sa_flags & libc::SA_RESETHAND != 0;
    if former.spent.load(Ordering::Relaxed) || (once && former.spent.swap(true, Ordering::Relaxed)) {
        handler = libc::SIG_DFL;
    }
    match handler {
        // An ignored signal is ignored only if somebody sent it: the kernel does not let a fault be ignored.
        libc::SIG_IGN if sent => {}
        libc::SIG_DFL | libc::SIG_IGN => {
            // SAFETY: sigaction is a plain C structure for which all zeros is a value: the default action.
            let default: libc::sigaction = unsafe { mem::zeroed() };
            // SAFETY: a whole action; changing it is allowed in a handler.
            unsafe { libc::sigaction(signal, &default, ptr::null_mut()) };
            if sent {
                // The instruction did not fault and would not do so again, so the signal is sent once more; it arrives when
                // this handler returns and unblocks it.
                // SAFETY: raise has no requirements and is allowed in a handler.
                unsafe { libc::raise(signal) };
            }
        }
        _ if action.sa_flags & libc::SA_SIGINFO != 0 => {
            // SAFETY: with SA_SIGINFO the stored value is a function of this type.
            let call = unsafe {
                mem::transmute::<usize, extern "C" fn(c_int, *mut siginfo_t, *mut c_void)>(handler)
            };
            call(signal, info, context);
            stay(signal, former);
        }
        _ => {
            // SAFETY: without SA_SIGINFO the stored value is a function of this type.
            let call = unsafe { mem::transmute::<usize, extern "C" fn(c_int)>(handler) };
            call(signal);
            stay(signal, former);
        }
    }
}

/// A former handler may resign by restoring the default, as the standard library's does for what it does not know. Without us
/// that would be its own affair; but it must not take our handler along.
fn stay(signal: c_int, former: &Former) {
    // SAFETY: sigaction is a plain C structure for which all zeros is a value.
    let mut now: libc::sigaction = unsafe { mem::zeroed() };
    // SAFETY: a null new action only asks; `now` is valid for the answer. It is allowed in a handler.
    if unsafe { libc::sigaction(signal, ptr::null(), &mut now) } == 0 && now.sa_sigaction == libc::SIG_DFL {
        former.spent.store(true, Ordering::Relaxed);
        let new = ours(now);
        // SAFETY: a whole action; changing it is allowed in a handler.
        unsafe { libc::sigaction(signal, &new, ptr::null_mut()) };
    }
}
