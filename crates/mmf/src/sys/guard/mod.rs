//! Guarded routines: the only instructions of this crate that touch shared memory.
//!
//! A peer can take pages away under a running copy (truncate a Unix object, lose the disk under a mapped file), and then
//! a plain load ends the process. The routines here are written in assembly so that every instruction that can fault is
//! known: the fault handler of the system's room (`sys/*/fault.rs`) recognises them by their address, sees in the
//! [`Guard`] which addresses are ours to answer for, notes there what happened, and lets the routine return. Whatever
//! else faults is none of our business and goes on to whoever was there before.
//!
//! Since the accesses are made by assembly, the compiler assumes nothing about the bytes: they may change at any time,
//! and no reference to them exists.

// What the assembly of all processors shares. The version is in the names, so that two versions of this crate can be
// linked into one program; the names are the same on every system (see `link_name` in the files).

/// A label that Rust can see. (Local ones are numbers, but neither 0 nor 1 on x86: `1b` could be read as binary.)
macro_rules! label {
    ($($name:tt)*) => {
        concat!(
            "    .globl mmf_0_1_", $($name),*, "\n",
            visibility!($($name)*),
            "mmf_0_1_", $($name),*, ":\n",
        )
    };
}
#[cfg(windows)]
macro_rules! visibility {
    ($($name:tt)*) => {
        ""
    };
}
#[cfg(all(unix, not(target_vendor = "apple")))]
macro_rules! visibility {
    ($($name:tt)*) => {
        concat!("    .hidden mmf_0_1_", $($name),*, "\n    .type mmf_0_1_", $($name),*, ", %function\n")
    };
}
// A Mach-O linker may tear apart what symbols separate, unless they are alternative entries.
#[cfg(target_vendor = "apple")]
macro_rules! visibility {
    ($($name:tt)*) => {
        concat!("    .private_extern mmf_0_1_", $($name),*, "\n    .alt_entry mmf_0_1_", $($name),*, "\n")
    };
}

/// The start of all routines. Windows finds the handler, and how to unwind, by a table that these directives make: one
/// entry for all of them, since none moves the stack pointer.
#[cfg(all(windows, not(target_arch = "x86")))]
macro_rules! open {
    () => {
        concat!(
            "    .text\n    .def mmf_0_1_begin; .scl 2; .type 32; .endef\n    .p2align 6\n",
            label!("begin"),
            "    .seh_proc mmf_0_1_begin\n    .seh_endprologue\n    .seh_handler {handler}, @except\n",
        )
    };
}
#[cfg(all(windows, not(target_arch = "x86")))]
macro_rules! close {
    () => {
        concat!("    nop\n", label!("end"), "    .seh_endproc\n")
    };
}
#[cfg(any(all(unix, not(target_vendor = "apple")), all(windows, target_arch = "x86")))]
macro_rules! open {
    () => {
        concat!("    .text\n    .p2align 6\n", label!("begin"))
    };
}
#[cfg(target_vendor = "apple")]
macro_rules! open {
    () => {
        "    .text\n    .p2align 6\n    .private_extern mmf_0_1_begin\n    .globl mmf_0_1_begin\nmmf_0_1_begin:\n"
    };
}
#[cfg(any(unix, all(windows, target_arch = "x86")))]
macro_rules! close {
    () => {
        concat!("    nop\n", label!("end"))
    };
}

/// Declares routines under the names that the assembly gives them (`\u{1}`: no system's decoration is added).
macro_rules! declare {
    ($abi:literal; $($name:ident = $symbol:literal: ($($argument:ty),*) $(-> $result:ty)?;)*) => {
        unsafe extern $abi {
            $(#[link_name = $symbol] fn $name($(_: $argument),*) $(-> $result)?;)*
        }
    };
}

/// Declares what the 64-bit processors have in common.
#[cfg(not(target_arch = "x86"))]
macro_rules! bind {
    ($abi:literal) => {
        declare! { $abi;
            begin = "\u{1}mmf_0_1_begin": ();
            end = "\u{1}mmf_0_1_end": ();
            fault = "\u{1}mmf_0_1_fault": ();
            copy_short = "\u{1}mmf_0_1_copy_short": (*mut u8, *const u8, usize, &Guard);
            fill_bytes = "\u{1}mmf_0_1_fill": (*mut u8, u8, usize, &Guard);
        }
        bind!($abi, Load: load8 "\u{1}mmf_0_1_load8", load16 "\u{1}mmf_0_1_load16", load32 "\u{1}mmf_0_1_load32", load64 "\u{1}mmf_0_1_load64");
        bind!($abi, Store: store8 "\u{1}mmf_0_1_store8", store16 "\u{1}mmf_0_1_store16", store32 "\u{1}mmf_0_1_store32", store64 "\u{1}mmf_0_1_store64");
        bind!($abi, Swap: swap8 "\u{1}mmf_0_1_swap8", swap16 "\u{1}mmf_0_1_swap16", swap32 "\u{1}mmf_0_1_swap32", swap64 "\u{1}mmf_0_1_swap64");
        bind!($abi, Add: add8 "\u{1}mmf_0_1_add8", add16 "\u{1}mmf_0_1_add16", add32 "\u{1}mmf_0_1_add32", add64 "\u{1}mmf_0_1_add64");
        bind!($abi, CompareExchange: cas8 "\u{1}mmf_0_1_cas8", cas16 "\u{1}mmf_0_1_cas16", cas32 "\u{1}mmf_0_1_cas32", cas64 "\u{1}mmf_0_1_cas64");

        /// Where the guarded instructions are, and where a fault in them continues.
        pub(in crate::sys) fn code_range() -> (core::ops::Range<usize>, usize) {
            ((begin as *const ()).addr()..(end as *const ()).addr(), (fault as *const ()).addr())
        }

        /// # Safety
        ///
        /// As [`super::fill`].
        #[inline]
        pub(super) unsafe fn fill(dst: *mut u8, byte: u8, len: usize, guard: &Guard) {
            // SAFETY: the caller's contract.
            unsafe { fill_bytes(dst, byte, len, guard) };
        }

        /// # Safety
        ///
        /// As [`super::atomic`].
        #[inline]
        pub(super) unsafe fn atomic(
            operation: super::Atomic,
            bits: u32,
            address: *mut u8,
            first: u64,
            second: u64,
            guard: &Guard,
        ) -> u64 {
            let widths = match operation {
                super::Atomic::Load => Load,
                super::Atomic::Store => Store,
                super::Atomic::Swap => Swap,
                super::Atomic::Add => Add,
                super::Atomic::CompareExchange => CompareExchange,
            };
            let routine = widths[super::width(bits)];
            // SAFETY: the caller's contract.
            unsafe { routine(address, first, second, guard) }
        }
    };
    ($abi:literal, $operation:ident: $($name:ident $symbol:literal),*) => {
        declare! { $abi; $($name = $symbol: (*mut u8, u64, u64, &Guard) -> u64;)* }
        #[allow(non_upper_case_globals)]
        const $operation: [unsafe extern $abi fn(*mut u8, u64, u64, &Guard) -> u64; 4] = [$($name),*];
    };
}

// Each file says at its top which registers hold what, and what a handler may rely on.
#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(all(target_arch = "x86", windows))]
mod x86;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
use aarch64 as arch;
#[cfg(all(target_arch = "x86", windows))]
use x86 as arch;
#[cfg(target_arch = "x86_64")]
use x86_64 as arch;

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", all(target_arch = "x86", windows))))]
compile_error!(
    "mmf has no guarded copy for this processor: it runs on Windows for x86-64, x86 and ARM64 and on Unix for x86-64 \
     and ARM64. A port needs one file beside crates/mmf/src/sys/guard/x86_64.rs"
);

#[cfg(target_arch = "x86")]
pub(in crate::sys) use arch::Frame;
pub(in crate::sys) use arch::code_range;

use core::cell::UnsafeCell;

/// What a fault handler found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Caught {
    /// The address that could not be touched. All routines touch their first bytes first, then perhaps the last ones.
    pub(crate) address: usize,
    /// Windows: the exception's code. Unix: the signal. Never 0.
    pub(crate) code: u32,
    /// Windows: the status behind an in-page error, or 0. Unix: the signal's `si_code`.
    pub(crate) detail: i32,
}

/// The addresses that a call answers for, and the place where a handler notes what happened.
///
/// The routines keep its address in a fixed register; handlers read it from the interrupted context.
#[repr(C)]
pub(crate) struct Guard {
    /// Start and end of up to two ranges.
    ranges: [[usize; 2]; 2],
    /// Nothing yet while its code is 0.
    caught: UnsafeCell<Caught>,
}

impl Guard {
    #[inline]
    fn new(first: [usize; 2], second: [usize; 2]) -> Self {
        Guard { ranges: [first, second], caught: UnsafeCell::new(Caught { address: 0, code: 0, detail: 0 }) }
    }

    #[inline]
    fn result(&self) -> Result<(), Caught> {
        // SAFETY: the routine has returned, and only a handler that interrupts the routine writes here, on this thread.
        let caught = unsafe { self.caught.get().read_volatile() };
        if caught.code == 0 {
            return Ok(());
        }
        arch::after_fault();
        Err(caught)
    }

    /// Called by a fault handler: notes the fault if it lies in a range that this call answers for.
    ///
    /// A system may report the start of the page instead of the very byte, so the first page of a range counts whole.
    pub(crate) fn note(&self, address: usize, code: u32, detail: i32) -> bool {
        const PAGE: usize = 4096;
        for [start, end] in self.ranges {
            if start < end && address >= start & !(PAGE - 1) && address < end {
                let caught = Caught { address: address.max(start), code, detail };
                // SAFETY: the routine is interrupted and will not run on before the handler returns; nobody else knows
                // this guard, which lives on the stack of the interrupted call.
                unsafe { self.caught.get().write_volatile(caught) };
                return true;
            }
        }
        false
    }
}

/// An address range by its start and length; the caller has checked that it does not wrap around.
#[inline]
fn span(start: *const u8, len: usize) -> [usize; 2] {
    let start = start.addr();
    [start, start.wrapping_add(len)]
}

/// Which side of a copy is shared, and so may fault.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shared {
    Source,
    Destination,
    Both,
}

/// Copies `len` bytes. Where a fault stops it, an unspecified part of the destination has been written.
///
/// # Safety
///
/// - The side that is not named by `shared` is valid for `len` bytes, to read (source) or to write (destination), and no
///   reference that Rust would want unchanged overlaps the destination.
/// - The named side is an address range that belongs to a mapping of the caller's for the time of the call: a fault there
///   is reported, anything else that lives there would be read or overwritten.
/// - The two do not overlap in addresses. Neither wraps around the address space.
#[inline]
pub(crate) unsafe fn copy(dst: *mut u8, src: *const u8, len: usize, shared: Shared) -> Result<(), Caught> {
    let nothing = [0, 0];
    let guard = match shared {
        Shared::Source => Guard::new(span(src, len), nothing),
        Shared::Destination => Guard::new(span(dst, len), nothing),
        Shared::Both => Guard::new(span(src, len), span(dst, len)),
    };
    // SAFETY: exactly this function's contract.
    unsafe { arch::copy(dst, src, len, &guard) };
    guard.result()
}

/// Sets `len` bytes to `byte`.
///
/// # Safety
///
/// As for [`copy`] with a shared destination.
#[inline]
pub(crate) unsafe fn fill(dst: *mut u8, byte: u8, len: usize) -> Result<(), Caught> {
    let guard = Guard::new(span(dst, len), [0, 0]);
    // SAFETY: exactly this function's contract.
    unsafe { arch::fill(dst, byte, len, &guard) };
    guard.result()
}

/// What an atomic access does. Each is one atomic operation on naturally aligned memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Atomic {
    /// Acquire and sequentially consistent.
    Load,
    /// Release.
    Store,
    /// Sequentially consistent, as the following ones.
    Swap,
    Add,
    /// Compares with the first operand, stores the second if equal.
    CompareExchange,
}

/// One atomic access; gives what was there before (nothing useful for a store).
///
/// # Safety
///
/// As for [`copy`] with a shared destination (for [`Atomic::Load`]: source) of `bits / 8` bytes, and the address is a
/// multiple of that. `bits` is 8, 16, 32 or 64; operands fit.
#[inline]
pub(crate) unsafe fn atomic(
    operation: Atomic,
    bits: u32,
    address: *mut u8,
    first: u64,
    second: u64,
) -> Result<u64, Caught> {
    let guard = Guard::new(span(address, bits as usize / 8), [0, 0]);
    // SAFETY: exactly this function's contract.
    let before = unsafe { arch::atomic(operation, bits, address, first, second, &guard) };
    guard.result().map(|()| before)
}

/// The place of a width in the processors' tables.
#[inline]
fn width(bits: u32) -> usize {
    bits.trailing_zeros() as usize - 3
}

#[cfg(test)]
mod tests;
