//! The guarded routines for ARM64, Windows and Unix.
//!
//! Both use the same calling convention: the arguments are in x0 to x3, and x0 to x17 and v0 to v7 are
//! volatile (x18 belongs to the system).
//!
//! # Invariants
//!
//! The fault handlers rely on these:
//!
//! 1. From `begin` to `atomics`, x3 holds the address of the [`Guard`].
//! 2. From `atomics` on, nothing is stored before an access. x3 is 0 on entry. On return it is the code of a
//!    fault, if there was one, and then x0 is its address. Only these bytes can fault: up to `take`, the
//!    integer at x0; up to `put`, x2 bytes at x1; up to `end`, x2 bytes at x0. These registers do not change
//!    until a routine returns.
//! 3. Between `begin` and `end`, the stack pointer, the link register and all nonvolatile registers have
//!    their values on entry. So a fault may continue at `fault`, which returns at once, and Windows can
//!    unwind from any instruction.
//! 4. The routines access no byte outside the given ranges, not even to read it.
//!
//! Nothing inside is aligned: the assembler must know the length of the code that the unwind table describes.

use core::arch::{asm, global_asm};

use super::{Atomic, Caught, Guard, Shared, verdict};

/// The longest copy that `copy_short`, `take` and `put` support.
pub(super) const SHORT: usize = 64;

/// The five routines of one width: x0 = address, x1 and x2 = operands; the previous value in x0. `$r` is w or
/// x, `$s` the suffix of the instructions.
macro_rules! atomics {
    ($bits:literal, $r:literal, $s:literal) => {
        concat!(
            label!("load" $bits), "    ldar", $s, " ", $r, "0, [x0]\n    ret\n",
            label!("store" $bits), "    stlr", $s, " ", $r, "1, [x0]\n    ret\n",
            label!("swap" $bits),
            "1:  ldaxr", $s, " ", $r, "9, [x0]\n    stlxr", $s, " w10, ", $r, "1, [x0]\n    cbnz w10, 1b\n",
            "    mov x0, x9\n    ret\n",
            label!("add" $bits),
            "1:  ldaxr", $s, " ", $r, "9, [x0]\n    add ", $r, "11, ", $r, "9, ", $r, "1\n",
            "    stlxr", $s, " w10, ", $r, "11, [x0]\n    cbnz w10, 1b\n    mov x0, x9\n    ret\n",
            label!("cas" $bits),
            "1:  ldaxr", $s, " ", $r, "9, [x0]\n    cmp ", $r, "9, ", $r, "1\n    b.ne 2f\n",
            "    stlxr", $s, " w10, ", $r, "2, [x0]\n    cbnz w10, 1b\n",
            "    dmb ish\n    mov x0, x9\n    ret\n",
            "2:  clrex\n    dmb ish\n    mov x0, x9\n    ret\n",
        )
    };
}

/// A copy of 0 to 64 bytes that preserves x0, x1 and x2.
macro_rules! copy_short {
    () => {
        "
    cmp x2, #16
    b.hi 4f
    tbnz x2, #4, 3f
    tbnz x2, #3, 3f
    tbnz x2, #2, 2f
    cbz x2, 9f
    sub x4, x2, #1                     // 1 to 3
    lsr x5, x2, #1
    ldrb w6, [x1]
    ldrb w7, [x1, x5]
    ldrb w8, [x1, x4]
    strb w6, [x0]
    strb w7, [x0, x5]
    strb w8, [x0, x4]
    ret
2:  sub x4, x2, #4                     // 4 to 7
    ldr w6, [x1]
    ldr w7, [x1, x4]
    str w6, [x0]
    str w7, [x0, x4]
    ret
3:  sub x4, x2, #8                     // 8 to 16
    ldr x6, [x1]
    ldr x7, [x1, x4]
    str x6, [x0]
    str x7, [x0, x4]
    ret
4:  sub x4, x2, #16
    ldr q0, [x1]
    ldr q1, [x1, x4]
    cmp x2, #32
    b.hi 5f
    str q0, [x0]                       // 17 to 32
    str q1, [x0, x4]
    ret
5:  sub x5, x2, #32                    // 33 to 64
    ldr q2, [x1, #16]
    ldr q3, [x1, x5]
    str q0, [x0]
    str q2, [x0, #16]
    str q3, [x0, x5]
    str q1, [x0, x4]
9:  ret
"
    };
}

macro_rules! text {
    () => {
        concat!(
            open!(),
            label!("copy_short"),
            copy_short!(),
            label!("copy_long"), // 32 bytes and more
            "
    sub x4, x2, #16                    // the last 16 bytes, stored last, at x5
    ldr q7, [x1]                       // the first 16 bytes, then an aligned destination
    ldr q6, [x1, x4]
    add x5, x0, x4
    str q7, [x0]
    and x6, x0, #15
    sub x6, x6, #16
    sub x0, x0, x6
    sub x1, x1, x6
    add x2, x2, x6
    sub x2, x2, #16                    // what the last 16 bytes will not cover
    subs x2, x2, #64
    b.lo 2f
1:  ldp q0, q1, [x1]
    ldp q2, q3, [x1, #32]
    stp q0, q1, [x0]
    stp q2, q3, [x0, #32]
    add x1, x1, #64
    add x0, x0, #64
    subs x2, x2, #64
    b.hs 1b
2:  adds x2, x2, #64
    b.eq 4f
3:  ldr q0, [x1], #16
    str q0, [x0], #16
    subs x2, x2, #16
    b.hi 3b
4:  str q6, [x5]
    ret
",
            label!("fill"), // x0 = destination, w1 = byte, x2 = length
            "
    dup v0.16b, w1
    cmp x2, #16
    b.hs 3f
    tbz x2, #3, 1f
    sub x4, x2, #8                     // 8 to 15
    str d0, [x0]
    str d0, [x0, x4]
    ret
1:  cbz x2, 9f
2:  strb w1, [x0], #1                  // 1 to 7
    subs x2, x2, #1
    b.ne 2b
9:  ret
3:  sub x4, x2, #16
    add x5, x0, x4
    str q0, [x0]
    and x6, x0, #15
    sub x6, x6, #16
    sub x0, x0, x6
    add x2, x2, x6
    subs x2, x2, #16
    b.ls 8f
    subs x2, x2, #64
    b.lo 5f
4:  stp q0, q0, [x0]
    stp q0, q0, [x0, #32]
    add x0, x0, #64
    subs x2, x2, #64
    b.hs 4b
5:  adds x2, x2, #64
    b.eq 8f
6:  str q0, [x0], #16
    subs x2, x2, #16
    b.hi 6b
8:  str q0, [x5]
    ret
",
            label!("atomics"),
            atomics!("8", "w", "b"),
            atomics!("16", "w", "h"),
            atomics!("32", "w", ""),
            atomics!("64", "x", ""),
            label!("take"),
            copy_short!(),
            label!("put"),
            copy_short!(),
            close!(),
            // Outside the guarded range: the continuation of a fault.
            label!("fault"),
            "    ret\n",
        )
    };
}
#[cfg(windows)]
global_asm!(text!(), handler = sym crate::sys::fault::handler);
#[cfg(unix)]
global_asm!(text!());

bind!("C");

/// Returns `None`: all routines are between `begin` and `end` here.
fn landing_apart(_: usize) -> Option<usize> {
    None
}

declare! { "C";
    copy_long = "\u{1}mmf_0_1_copy_long": (*mut u8, *const u8, usize, &Guard);
}

/// # Safety
///
/// As [`super::copy`].
#[inline]
pub(super) unsafe fn copy(dst: *mut u8, src: *const u8, len: usize, guard: &Guard) {
    let routine = if len <= SHORT { copy_short } else { copy_long };
    // SAFETY: the contract of this function. Each routine is called only for lengths that it supports.
    unsafe { routine(dst, src, len, guard) };
}

/// Copies up to [`SHORT`] bytes, one side of which is shared.
///
/// # Safety
///
/// As [`super::copy`], with `shared` the source or the destination.
#[inline]
pub(super) unsafe fn copy_unguarded(
    dst: *mut u8,
    src: *const u8,
    len: usize,
    shared: Shared,
) -> Result<(), Caught> {
    let (result, fault): (u64, u64);
    macro_rules! call {
        ($routine:ident) => {
            // SAFETY: the contract of this function; the operands name every register that the routine
            // changes (a linker veneer may use x16 and x17).
            unsafe {
                asm!(
                    "bl {}", sym $routine,
                    inlateout("x0") dst => result, in("x1") src, in("x2") len, inlateout("x3") 0_u64 => fault,
                    out("x4") _, out("x5") _, out("x6") _, out("x7") _, out("x8") _,
                    out("v0") _, out("v1") _, out("v2") _, out("v3") _,
                    out("x16") _, out("x17") _, out("lr") _,
                )
            }
        };
    }
    if shared == Shared::Source {
        call!(take)
    } else {
        call!(put)
    }
    verdict(result, fault).map(drop)
}

/// # Safety
///
/// As [`super::atomic`].
#[inline]
pub(super) unsafe fn atomic(
    operation: Atomic,
    bits: u32,
    address: *mut u8,
    first: u64,
    second: u64,
) -> Result<u64, Caught> {
    let (result, fault): (u64, u64);
    macro_rules! call {
        ($routine:ident) => {
            // SAFETY: as in `copy_unguarded`.
            unsafe {
                asm!(
                    "bl {}", sym $routine,
                    inlateout("x0") address => result, in("x1") first, in("x2") second,
                    inlateout("x3") 0_u64 => fault,
                    out("x9") _, out("x10") _, out("x11") _, out("x16") _, out("x17") _, out("lr") _,
                )
            }
        };
    }
    dispatch!(operation, bits, call);
    verdict(result, fault)
}

/// Does nothing: on this processor a fault leaves nothing to clean up.
pub(super) fn after_fault() {}
