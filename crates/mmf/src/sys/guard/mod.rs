//! The guarded routines: the only instructions of this crate that access shared memory.
//!
//! A peer can remove pages under a running copy (truncate a Unix object, lose the disk under a mapped file).
//! Then a plain load ends the process. The routines here are written in assembly, so that every instruction
//! that can fault is known. The fault handler of the system (`sys/*/fault.rs`) recognises them by their
//! addresses, finds the addresses that the routine answers for in the [`Guard`] or in the routine's
//! registers, records the fault there, and lets the routine return. It passes every other fault on to the
//! previous handler.
//!
//! Since assembly makes the accesses, the compiler assumes nothing about the bytes: they may change at any
//! time, and no reference to them exists.

// The assembly that all processors share. The version is a part of the names, so that two versions of this
// crate can be linked into one program. The names are the same on every system (see `link_name` in the
// files).

/// A label that is visible to Rust. Local labels are numbers, but neither 0 nor 1 on x86, where `1b` could be
/// read as a binary number.
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
// A Mach-O linker may move code apart at symbols, unless they are alternative entries.
#[cfg(target_vendor = "apple")]
macro_rules! visibility {
    ($($name:tt)*) => {
        concat!("    .private_extern mmf_0_1_", $($name),*, "\n    .alt_entry mmf_0_1_", $($name),*, "\n")
    };
}

/// The start of all routines. Windows finds the handler and the unwind information in a table that these
/// directives create: one entry for all routines, since none of them moves the stack pointer.
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
        concat!(
            "    .text\n    .p2align 6\n    .private_extern mmf_0_1_begin\n",
            "    .globl mmf_0_1_begin\nmmf_0_1_begin:\n"
        )
    };
}
#[cfg(any(unix, all(windows, target_arch = "x86")))]
macro_rules! close {
    () => {
        concat!("    nop\n", label!("end"))
    };
}

/// Declares routines by their names in the assembly (`\u{1}`: without the system's decoration).
macro_rules! declare {
    ($abi:literal; $($name:ident = $symbol:literal: ($($argument:ty),*) $(-> $result:ty)?;)*) => {
        unsafe extern $abi {
            $(#[link_name = $symbol] fn $name($(_: $argument),*) $(-> $result)?;)*
        }
    };
}

/// Declares the routines that the 64-bit processors share.
#[cfg(not(target_arch = "x86"))]
macro_rules! bind {
    ($abi:literal) => {
        declare! { $abi;
            begin = "\u{1}mmf_0_1_begin": ();
            atomics = "\u{1}mmf_0_1_atomics": ();
            end = "\u{1}mmf_0_1_end": ();
            fault = "\u{1}mmf_0_1_fault": ();
            copy_short = "\u{1}mmf_0_1_copy_short": (*mut u8, *const u8, usize, &Guard);
            fill_bytes = "\u{1}mmf_0_1_fill": (*mut u8, u8, usize, &Guard);
            // In the order of the code.
            take = "\u{1}mmf_0_1_take": ();
            put = "\u{1}mmf_0_1_put": ();
        }
        bind!($abi, load8 "\u{1}mmf_0_1_load8", load16 "\u{1}mmf_0_1_load16",
            load32 "\u{1}mmf_0_1_load32", load64 "\u{1}mmf_0_1_load64");
        bind!($abi, store8 "\u{1}mmf_0_1_store8", store16 "\u{1}mmf_0_1_store16",
            store32 "\u{1}mmf_0_1_store32", store64 "\u{1}mmf_0_1_store64");
        bind!($abi, swap8 "\u{1}mmf_0_1_swap8", swap16 "\u{1}mmf_0_1_swap16",
            swap32 "\u{1}mmf_0_1_swap32", swap64 "\u{1}mmf_0_1_swap64");
        bind!($abi, add8 "\u{1}mmf_0_1_add8", add16 "\u{1}mmf_0_1_add16",
            add32 "\u{1}mmf_0_1_add32", add64 "\u{1}mmf_0_1_add64");
        bind!($abi, cas8 "\u{1}mmf_0_1_cas8", cas16 "\u{1}mmf_0_1_cas16",
            cas32 "\u{1}mmf_0_1_cas32", cas64 "\u{1}mmf_0_1_cas64");

        /// Returns the region of an address in the guarded code, and the address where a fault in it
        /// continues.
        pub(super) fn region(counter: usize) -> Option<(super::Region, usize)> {
            let start = |routine: *const ()| routine.addr();
            if let Some(landing) = landing_apart(counter) {
                return Some((super::Region::Guarded, landing));
            }
            if !(start(begin as *const ())..start(end as *const ())).contains(&counter) {
                return None;
            }
            let region = if counter >= start(put as *const ()) {
                super::Region::Put
            } else if counter >= start(take as *const ()) {
                super::Region::Take
            } else if counter >= start(atomics as *const ()) {
                super::Region::Atomics
            } else {
                super::Region::Guarded
            };
            Some((region, start(fault as *const ())))
        }

        /// # Safety
        ///
        /// As [`super::fill`].
        #[inline]
        pub(super) unsafe fn fill(dst: *mut u8, byte: u8, len: usize, guard: &Guard) {
            // SAFETY: the contract of this function.
            unsafe { fill_bytes(dst, byte, len, guard) };
        }
    };
    ($abi:literal, $($name:ident $symbol:literal),*) => {
        declare! { $abi; $($name = $symbol: ();)* }
    };
}

/// Calls the routine for an operation and a width by a macro `$call`. Both are known at compile time, so a
/// single call remains.
#[cfg(not(target_arch = "x86"))]
macro_rules! dispatch {
    ($operation:expr, $bits:expr, $call:ident) => {
        match ($operation, $bits) {
            (Atomic::Load, 8) => $call!(load8),
            (Atomic::Load, 16) => $call!(load16),
            (Atomic::Load, 32) => $call!(load32),
            (Atomic::Load, _) => $call!(load64),
            (Atomic::Store, 8) => $call!(store8),
            (Atomic::Store, 16) => $call!(store16),
            (Atomic::Store, 32) => $call!(store32),
            (Atomic::Store, _) => $call!(store64),
            (Atomic::Swap, 8) => $call!(swap8),
            (Atomic::Swap, 16) => $call!(swap16),
            (Atomic::Swap, 32) => $call!(swap32),
            (Atomic::Swap, _) => $call!(swap64),
            (Atomic::Add, 8) => $call!(add8),
            (Atomic::Add, 16) => $call!(add16),
            (Atomic::Add, 32) => $call!(add32),
            (Atomic::Add, _) => $call!(add64),
            (Atomic::CompareExchange, 8) => $call!(cas8),
            (Atomic::CompareExchange, 16) => $call!(cas16),
            (Atomic::CompareExchange, 32) => $call!(cas32),
            (Atomic::CompareExchange, _) => $call!(cas64),
        }
    };
}

// Each file states at its top which register holds what, and what a handler may rely on.
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
    "mmf has no guarded copy for this processor: it runs on Windows for x86-64, x86 and ARM64 and on Unix \
     for x86-64 and ARM64. A port needs one file beside crates/mmf/src/sys/guard/x86_64.rs"
);

#[cfg(target_arch = "x86")]
pub(in crate::sys) use arch::{Frame, code_range};

use core::cell::UnsafeCell;

/// A fault that a handler has recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Caught {
    /// The inaccessible address. All routines access their first bytes first, and then possibly the last
    /// ones.
    pub(crate) address: usize,
    /// Windows: the exception code. Unix: the signal. Never 0.
    pub(crate) code: u32,
    /// Windows: the status of an in-page error, or 0. Unix: the signal's `si_code`.
    pub(crate) detail: i32,
}

/// The addresses that a call answers for, and the record of a fault.
///
/// Long copies and fills (on x86 all routines) keep its address in a fixed register. Handlers read it from
/// the interrupted context.
#[repr(C)]
pub(crate) struct Guard {
    /// Start and end of up to two ranges.
    ranges: [[usize; 2]; 2],
    /// No fault as long as the code is 0.
    caught: UnsafeCell<Caught>,
}

impl Guard {
    #[inline]
    fn new(first: [usize; 2], second: [usize; 2]) -> Self {
        Guard { ranges: [first, second], caught: UnsafeCell::new(Caught { address: 0, code: 0, detail: 0 }) }
    }

    #[inline]
    fn result(&self) -> Result<(), Caught> {
        // SAFETY: `caught` is valid. Only a handler that interrupts the routine on this thread writes to it,
        // and the routine has returned, so no write overlaps this read.
        let caught = unsafe { self.caught.get().read_volatile() };
        if caught.code == 0 {
            return Ok(());
        }
        arch::after_fault();
        Err(caught)
    }

    /// Records a fault if it is in a range that this call answers for. Called by fault handlers.
    pub(crate) fn note(&self, place: Place, code: u32, detail: i32) -> bool {
        let hit = |[start, end]: [usize; 2]| hit(start, end, place);
        let Some(address) = self.ranges.into_iter().find_map(hit) else { return false };
        // SAFETY: `caught` is valid. The interrupted routine does not continue before the handler returns,
        // and no other code has a reference to this guard, which is on the stack of the interrupted call.
        unsafe { self.caught.get().write_volatile(Caught { address, code, detail }) };
        true
    }
}

/// The extent that the system reports as inaccessible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    low: usize,
    /// The first address after it.
    high: usize,
}

impl Place {
    /// Returns the place of a single address.
    pub(crate) fn at(address: usize) -> Self {
        Place { low: address, high: address.saturating_add(1) }
    }

    /// Returns the aligned block of 2 to the power of `bits` bytes around an address: the extent of memory
    /// errors. The kernel reports its start or any address in it, depending on how the error was detected.
    #[cfg_attr(not(any(target_os = "linux", target_os = "android")), allow(dead_code))]
    pub(crate) fn block(address: usize, bits: u32) -> Self {
        let Some(len) = 1_usize.checked_shl(bits) else { return Place::at(address) };
        let low = address & !(len - 1);
        Place { low, high: low.saturating_add(len) }
    }
}

/// Returns the first inaccessible address of a range if the fault is in it.
///
/// A system may report the start of the page instead of the exact byte, so the first page of a range counts
/// as a whole.
fn hit(start: usize, end: usize, place: Place) -> Option<usize> {
    const PAGE: usize = 4096;
    let inside = start < end && place.high > start & !(PAGE - 1) && place.low < end;
    inside.then_some(place.low.max(start))
}

/// The regions of the guarded code, by where a handler finds the addresses that a routine answers for. In all
/// but the first, the registers state them, so that nothing is stored before an access: a locked instruction
/// would have to wait for such a store.
#[cfg(not(target_arch = "x86"))]
#[derive(Clone, Copy)]
enum Region {
    /// In the [`Guard`] that the fourth argument points to.
    Guarded,
    /// An integer at the first argument.
    Atomics,
    /// As many bytes as the third argument states, from the second argument on.
    Take,
    /// As many bytes as the third argument states, from the first argument on.
    Put,
}

/// A routine that a fault has interrupted, as a handler sees it.
#[cfg(not(target_arch = "x86"))]
pub(in crate::sys) trait Interrupted {
    /// Returns the program counter.
    fn counter(&self) -> usize;
    /// Returns the registers of the four arguments.
    fn arguments(&self) -> [usize; 4];
    /// Sets the registers of the result and of the fourth argument.
    fn answer(&mut self, result: usize, fourth: u64);
    fn continue_at(&mut self, landing: usize);
}

/// Records a fault in the guarded code if the interrupted routine answers for it, and lets the routine
/// return. Otherwise changes nothing. Called by fault handlers.
#[cfg(not(target_arch = "x86"))]
pub(in crate::sys) fn catch(
    interrupted: &mut impl Interrupted,
    place: Place,
    code: u32,
    detail: i32,
) -> bool {
    const WIDEST: usize = 8;
    let [first, second, third, fourth] = interrupted.arguments();
    let Some((region, landing)) = arch::region(interrupted.counter()) else { return false };
    let (start, len) = match region {
        Region::Guarded => {
            // SAFETY: in this region the register holds the address of the guard of the interrupted call (see
            // the tops of x86_64.rs and aarch64.rs), which lives until that call returns.
            let guard = unsafe { &*core::ptr::with_exposed_provenance::<Guard>(fourth) };
            let noted = guard.note(place, code, detail);
            if noted {
                interrupted.continue_at(landing);
            }
            return noted;
        }
        Region::Atomics => (first, WIDEST),
        Region::Take => (second, third),
        Region::Put => (first, third),
    };
    let Some(address) = hit(start, start.saturating_add(len), place) else { return false };
    interrupted.answer(address, u64::from(code) | u64::from(u32::from_ne_bytes(detail.to_ne_bytes())) << 32);
    interrupted.continue_at(landing);
    true
}

/// Interprets the registers after a routine without a guard: they hold the result and 0, or the address of a
/// fault and its code.
#[cfg(not(target_arch = "x86"))]
#[inline]
fn verdict(result: u64, fault: u64) -> Result<u64, Caught> {
    #[cold]
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        reason = "put together from two halves, and an address has 64 bits here"
    )]
    fn caught(result: u64, fault: u64) -> Caught {
        Caught { address: result as usize, code: fault as u32, detail: (fault >> 32) as u32 as i32 }
    }
    if fault == 0 { Ok(result) } else { Err(caught(result, fault)) }
}

/// Returns the start and the end of an address range. The caller has checked that it does not wrap around.
#[inline]
fn span(start: *const u8, len: usize) -> [usize; 2] {
    let start = start.addr();
    [start, start.wrapping_add(len)]
}

/// The side of a copy that is shared, and so may fault.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shared {
    Source,
    Destination,
    Both,
}

/// Copies `len` bytes. After a fault, an unspecified part of the destination may have been written.
///
/// # Safety
///
/// - The side that `shared` does not name is valid for `len` bytes, to read (source) or to write
///   (destination). No reference that assumes unchanged bytes overlaps the destination.
/// - The side that `shared` names is an address range of a mapping of the caller that exists during the call.
///   A fault there is reported, but any other object there would be read or overwritten.
/// - The two ranges do not overlap, and neither wraps around the address space.
#[inline]
pub(crate) unsafe fn copy(dst: *mut u8, src: *const u8, len: usize, shared: Shared) -> Result<(), Caught> {
    #[cfg(not(target_arch = "x86"))]
    if len <= arch::SHORT && shared != Shared::Both {
        // SAFETY: the contract of this function, and `len` is at most `SHORT`.
        return unsafe { arch::copy_unguarded(dst, src, len, shared) };
    }
    // SAFETY: the contract of this function.
    unsafe { copy_guarded(dst, src, len, shared) }
}

/// As [`copy`], for any length. It is a call of its own, so that short copies are inlined.
///
/// # Safety
///
/// As [`copy`].
#[inline(never)]
unsafe fn copy_guarded(dst: *mut u8, src: *const u8, len: usize, shared: Shared) -> Result<(), Caught> {
    let nothing = [0, 0];
    let guard = match shared {
        Shared::Source => Guard::new(span(src, len), nothing),
        Shared::Destination => Guard::new(span(dst, len), nothing),
        Shared::Both => Guard::new(span(src, len), span(dst, len)),
    };
    // SAFETY: the contract of this function.
    unsafe { arch::copy(dst, src, len, &guard) };
    guard.result()
}

/// Sets `len` bytes to `byte`.
///
/// # Safety
///
/// As [`copy`] with a shared destination.
#[inline]
pub(crate) unsafe fn fill(dst: *mut u8, byte: u8, len: usize) -> Result<(), Caught> {
    let guard = Guard::new(span(dst, len), [0, 0]);
    // SAFETY: the contract of this function.
    unsafe { arch::fill(dst, byte, len, &guard) };
    guard.result()
}

/// The operation of an atomic access. Each is a single atomic operation on a naturally aligned integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Atomic {
    /// Acquire, and sequentially consistent.
    Load,
    /// Release.
    Store,
    /// Sequentially consistent, as the following ones.
    Swap,
    Add,
    /// Compares with the first operand, and stores the second if they are equal.
    CompareExchange,
}

/// Makes one atomic access and returns the previous value, which is meaningless for a store.
///
/// # Safety
///
/// As [`copy`] with a shared destination (for [`Atomic::Load`] a shared source) of `bits / 8` bytes, and the
/// address is a multiple of that. `bits` is 8, 16, 32 or 64, and the operands fit.
#[inline]
pub(crate) unsafe fn atomic(
    operation: Atomic,
    bits: u32,
    address: *mut u8,
    first: u64,
    second: u64,
) -> Result<u64, Caught> {
    // SAFETY: the contract of this function.
    unsafe { arch::atomic(operation, bits, address, first, second) }
}

#[cfg(test)]
mod tests;
