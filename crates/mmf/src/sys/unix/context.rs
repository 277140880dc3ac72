//! The registers of an interrupted routine, as each system passes them to a signal handler.

use crate::sys::guard::Interrupted;

/// An interrupted context, reduced to what the guarded routines use.
pub(super) struct Context<'c>(pub(super) &'c mut libc::ucontext_t);

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
    /// Returns the registers. The machine context is behind a pointer here.
    fn state(&self) -> ThreadState {
        // SAFETY: the kernel passes a context whose machine context is valid until the handler returns.
        unsafe { (*self.0.uc_mcontext).__ss }
    }

    fn set_state(&mut self, state: ThreadState) {
        // SAFETY: as in `state`, and nothing else accesses it until the handler returns.
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
