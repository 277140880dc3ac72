//! The guarded routines for x86-64, Windows and Unix.
//!
//! All of them use the Win64 calling convention, on Unix as well (Rust calls them as `extern "win64"`), so
//! that there is one version to read: the arguments are in rcx, rdx, r8 and r9, and rax, rcx, rdx, r8 to r11
//! and xmm0 to xmm5 are volatile.
//!
//! # Invariants
//!
//! The fault handlers rely on these:
//!
//! 1. From `begin` to `atomics`, r9 holds the address of the [`Guard`].
//! 2. From `atomics` on, nothing is stored before an access. r9 is 0 on entry. On return it is the code of a
//!    fault, if there was one, and then rax is its address. Only these bytes can fault: up to `take`, the
//!    integer at rcx; up to `put`, r8 bytes at rdx; up to `end`, r8 bytes at rcx. The routines do not change
//!    these registers.
//! 3. Between `begin` and `end`, the stack pointer has its value on entry, and no nonvolatile register has
//!    changed. So a fault may continue at `fault`, which returns at once, and Windows can unwind from any
//!    instruction.
//! 4. The routines access no byte outside the given ranges, not even to read it.
//!
//! # Speed
//!
//! `crates/bench` measures it. Short copies are overlapping moves without a loop, up to 256 bytes with AVX
//! and up to 128 without. Longer ones move 256 bytes (newer AVX-512), 128 or 64 bytes per iteration to an
//! aligned destination. From 16 MiB on, where no cache holds the data, stores bypass the caches. `rep movsb`
//! is used only on processors where it is known to be fast: on AMD's Zen 4 it is up to thirty times slower
//! when the destination is misaligned, on Zen 5 up to 1.7 times faster in the second-level cache.

use core::arch::x86_64::{__cpuid, __cpuid_count, _mm_sfence};
use core::arch::{asm, global_asm};
use core::sync::atomic::{AtomicU8, Ordering};

use super::{Atomic, Caught, Guard, Shared, verdict};

/// The longest copy of `copy_short` where AVX copies the longer ones faster.
const SHORTEST: usize = 64;
/// The longest copy that `copy_short`, `take` and `put` support.
pub(super) const SHORT: usize = 128;
/// The length from which on the widest registers are faster.
const WIDE: usize = 513;
/// The length up to which they are: both sides fit into the first-level cache.
const WIDEST: usize = 16 << 10;
/// The length from which on a copy bypasses the caches.
const STREAM: usize = 16 << 20;

/// The five routines of one width: rcx = address, rdx and r8 = operands; the previous value in rax.
macro_rules! atomics {
    ($bits:literal, $a:literal, $d:literal, $r8:literal) => {
        concat!(
            label!("load" $bits), "    xor eax, eax\n    mov ", $a, ", [rcx]\n    ret\n",
            label!("store" $bits), "    mov [rcx], ", $d, "\n    ret\n",
            label!("swap" $bits), "    xor eax, eax\n",
            "    xchg [rcx], ", $d, "\n    mov ", $a, ", ", $d, "\n    ret\n",
            label!("add" $bits), "    xor eax, eax\n",
            "    lock xadd [rcx], ", $d, "\n    mov ", $a, ", ", $d, "\n    ret\n",
            label!("cas" $bits), "    mov rax, rdx\n    lock cmpxchg [rcx], ", $r8, "\n    ret\n",
        )
    };
}

/// A copy of 64 bytes per iteration. `$store` writes to an aligned address.
macro_rules! copy64 {
    ($store:literal, $at_the_start:literal, $each_turn:literal, $at_the_end:literal) => {
        concat!(
            "
",
            $at_the_start,
            "    movups xmm0, [rdx]                 // the first 16 bytes, then an aligned destination
    lea r10, [rdx + r8 - 64]           // the last 64 bytes of the source, and of the destination
    lea r11, [rcx + r8 - 64]
    movups [rcx], xmm0
    mov rax, rcx
    and rax, 15
    sub rax, 16
    sub rcx, rax
    sub rdx, rax
    .p2align 5
7:
",
            $each_turn,
            "    movups xmm0, [rdx]
    movups xmm1, [rdx + 16]
    movups xmm2, [rdx + 32]
    movups xmm3, [rdx + 48]
    ",
            $store,
            " [rcx], xmm0
    ",
            $store,
            " [rcx + 16], xmm1
    ",
            $store,
            " [rcx + 32], xmm2
    ",
            $store,
            " [rcx + 48], xmm3
    add rdx, 64
    add rcx, 64
    cmp rcx, r11
    jb 7b
    movups xmm0, [r10]                 // the rest, overlapping the part that is done
    movups xmm1, [r10 + 16]
    movups xmm2, [r10 + 32]
    movups xmm3, [r10 + 48]
    movups [r11], xmm0
    movups [r11 + 16], xmm1
    movups [r11 + 32], xmm2
    movups [r11 + 48], xmm3
",
            $at_the_end,
            "    ret
    .p2align 5
",
        )
    };
}

/// A copy of 0 to 128 bytes that preserves rcx, rdx and r8.
macro_rules! copy_short {
    () => {
        "
    cmp r8, 16
    ja 3f
    cmp r8, 8
    jae 2f
    cmp r8, 4
    jae 7f
    test r8, r8
    je 9f
    movzx r10d, byte ptr [rdx]         // 1 to 3
    movzx eax, byte ptr [rdx + r8 - 1]
    mov [rcx], r10b
    mov [rcx + r8 - 1], al
    cmp r8, 3
    jne 9f
    movzx r10d, byte ptr [rdx + 1]
    mov [rcx + 1], r10b
    ret
7:  mov eax, [rdx]                     // 4 to 7
    mov r10d, [rdx + r8 - 4]
    mov [rcx], eax
    mov [rcx + r8 - 4], r10d
    ret
2:  mov rax, [rdx]                     // 8 to 16
    mov r10, [rdx + r8 - 8]
    mov [rcx], rax
    mov [rcx + r8 - 8], r10
    ret
3:  movups xmm0, [rdx]
    movups xmm1, [rdx + r8 - 16]
    cmp r8, 32
    ja 4f
    movups [rcx], xmm0                 // 17 to 32
    movups [rcx + r8 - 16], xmm1
    ret
4:  movups xmm2, [rdx + 16]
    movups xmm3, [rdx + r8 - 32]
    cmp r8, 64
    ja 5f
    movups [rcx], xmm0                 // 33 to 64
    movups [rcx + 16], xmm2
    movups [rcx + r8 - 32], xmm3
    movups [rcx + r8 - 16], xmm1
    ret
5:  movups [rcx], xmm0                 // 65 to 128
    movups [rcx + 16], xmm2
    movups xmm0, [rdx + 32]
    movups xmm2, [rdx + 48]
    movups xmm4, [rdx + r8 - 64]
    movups xmm5, [rdx + r8 - 48]
    movups [rcx + 32], xmm0
    movups [rcx + 48], xmm2
    movups [rcx + r8 - 64], xmm4
    movups [rcx + r8 - 48], xmm5
    movups [rcx + r8 - 32], xmm3
    movups [rcx + r8 - 16], xmm1
9:  ret
    .p2align 5
"
    };
}

#[cfg(windows)]
macro_rules! seh {
    ($directive:literal) => {
        concat!("    ", $directive, "\n")
    };
}
#[cfg(unix)]
macro_rules! seh {
    ($directive:literal) => {
        ""
    };
}
#[cfg(windows)]
macro_rules! begin_apart {
    () => {
        concat!(
            "    .def mmf_0_1_copy_movs; .scl 2; .type 32; .endef\n    .p2align 4\n",
            "    .seh_proc mmf_0_1_copy_movs\n"
        )
    };
}
#[cfg(unix)]
macro_rules! begin_apart {
    () => {
        "    .p2align 4\n"
    };
}

macro_rules! text {
    () => {
        concat!(
            open!(),
            label!("copy_short"),
            copy_short!(),
            label!("copy_sse"), // more than 128 bytes
            copy64!("movaps", "", "", ""),
            label!("copy_stream"), // more than 128 bytes, bypassing the caches
            copy64!(
                "movntps",
                "    sfence                             // orders these stores after earlier ones\n",
                "    prefetcht0 [rdx + 512]             // (a prefetch never faults)\n",
                "    sfence                             // orders these stores before later ones\n"
            ),
            label!("copy_avx"), // more than 64 bytes
            "
    vmovdqu ymm0, [rdx]
    vmovdqu ymm1, [rdx + 32]
    cmp r8, 256
    ja 5f
    cmp r8, 128
    ja 4f
    vmovdqu ymm2, [rdx + r8 - 64]      // 65 to 128
    vmovdqu ymm3, [rdx + r8 - 32]
    vmovdqu [rcx], ymm0
    vmovdqu [rcx + 32], ymm1
    vmovdqu [rcx + r8 - 64], ymm2
    vmovdqu [rcx + r8 - 32], ymm3
    vzeroupper
    ret
4:  vmovdqu ymm2, [rdx + 64]           // 129 to 256
    vmovdqu ymm3, [rdx + 96]
    vmovdqu ymm4, [rdx + r8 - 128]
    vmovdqu ymm5, [rdx + r8 - 96]
    vmovdqu [rcx], ymm0
    vmovdqu [rcx + 32], ymm1
    vmovdqu ymm0, [rdx + r8 - 64]
    vmovdqu ymm1, [rdx + r8 - 32]
    vmovdqu [rcx + 64], ymm2
    vmovdqu [rcx + 96], ymm3
    vmovdqu [rcx + r8 - 128], ymm4
    vmovdqu [rcx + r8 - 96], ymm5
    vmovdqu [rcx + r8 - 64], ymm0
    vmovdqu [rcx + r8 - 32], ymm1
    vzeroupper
    ret
    .p2align 5
5:  vmovdqu [rcx], ymm0
    mov eax, ecx                       // if the destination is little more than whole pages after the
    sub eax, edx                       // source, each load seems to depend on the previous store
    test eax, 0xF00
    je 8f
    lea r10, [rdx + r8 - 128]          // as copy_sse, twice as wide
    lea r11, [rcx + r8 - 128]
    mov rax, rcx
    and rax, 31
    sub rax, 32
    sub rcx, rax
    sub rdx, rax
    .p2align 5
7:  vmovdqu ymm0, [rdx]
    vmovdqu ymm1, [rdx + 32]
    vmovdqu ymm2, [rdx + 64]
    vmovdqu ymm3, [rdx + 96]
    vmovdqa [rcx], ymm0
    vmovdqa [rcx + 32], ymm1
    vmovdqa [rcx + 64], ymm2
    vmovdqa [rcx + 96], ymm3
    sub rdx, -128
    sub rcx, -128
    cmp rcx, r11
    jb 7b
    vmovdqu ymm0, [r10]
    vmovdqu ymm1, [r10 + 32]
    vmovdqu ymm2, [r10 + 64]
    vmovdqu ymm3, [r10 + 96]
    vmovdqu [r11], ymm0
    vmovdqu [r11 + 32], ymm1
    vmovdqu [r11 + 64], ymm2
    vmovdqu [r11 + 96], ymm3
    vzeroupper
    ret
    .p2align 5
8:  vmovdqu ymm4, [rdx + r8 - 32]      // so from the end to the start
    vmovdqu [rcx + r8 - 32], ymm4
    lea rax, [rcx + r8]
    and eax, 31
    sub r8, rax
    .p2align 5
9:  vmovdqu ymm0, [rdx + r8 - 32]
    vmovdqu ymm1, [rdx + r8 - 64]
    vmovdqu ymm2, [rdx + r8 - 96]
    vmovdqu ymm3, [rdx + r8 - 128]
    vmovdqa [rcx + r8 - 32], ymm0
    vmovdqa [rcx + r8 - 64], ymm1
    vmovdqa [rcx + r8 - 96], ymm2
    vmovdqa [rcx + r8 - 128], ymm3
    add r8, -128
    cmp r8, 128
    ja 9b
    vmovdqu ymm0, [rdx]
    vmovdqu ymm1, [rdx + 32]
    vmovdqu ymm2, [rdx + 64]
    vmovdqu ymm3, [rdx + 96]
    vmovdqu [rcx], ymm0
    vmovdqu [rcx + 32], ymm1
    vmovdqu [rcx + 64], ymm2
    vmovdqu [rcx + 96], ymm3
    vzeroupper
    ret
    .p2align 5
",
            label!("copy_wide"), // more than 512 bytes, in registers that cost no transition to SSE code
            "
    mov eax, ecx                       // see copy_avx
    sub eax, edx
    test eax, 0xF00
    je mmf_0_1_copy_avx
    vmovdqu64 zmm16, [rdx]
    lea r10, [rdx + r8 - 256]          // as copy_sse, four times as wide
    lea r11, [rcx + r8 - 256]
    vmovdqu64 [rcx], zmm16
    mov rax, rcx
    and rax, 63
    sub rax, 64
    sub rcx, rax
    sub rdx, rax
    .p2align 5
7:  vmovdqu64 zmm16, [rdx]
    vmovdqu64 zmm17, [rdx + 64]
    vmovdqu64 zmm18, [rdx + 128]
    vmovdqu64 zmm19, [rdx + 192]
    vmovdqa64 [rcx], zmm16
    vmovdqa64 [rcx + 64], zmm17
    vmovdqa64 [rcx + 128], zmm18
    vmovdqa64 [rcx + 192], zmm19
    add rdx, 256
    add rcx, 256
    cmp rcx, r11
    jb 7b
    vmovdqu64 zmm16, [r10]
    vmovdqu64 zmm17, [r10 + 64]
    vmovdqu64 zmm18, [r10 + 128]
    vmovdqu64 zmm19, [r10 + 192]
    vmovdqu64 [r11], zmm16
    vmovdqu64 [r11 + 64], zmm17
    vmovdqu64 [r11 + 128], zmm18
    vmovdqu64 [r11 + 192], zmm19
    ret
    .p2align 5
",
            label!("fill"), // rcx = destination, dl = byte, r8 = length
            "
    movzx eax, dl
    mov r10, 0x0101010101010101
    imul rax, r10
    cmp r8, 16
    jae 3f
    test r8, 8
    je 7f
    mov [rcx], rax
    mov [rcx + r8 - 8], rax
    ret
7:  add r8, rcx
    jmp 9f
2:  mov [rcx], al
    inc rcx
9:  cmp rcx, r8
    jne 2b
    ret
3:  movq xmm0, rax
    punpcklqdq xmm0, xmm0
    lea r10, [rcx + r8 - 16]
    movups [rcx], xmm0
    mov rax, rcx
    and rax, 15
    sub rax, 16
    sub rcx, rax
    add r8, rax
    sub r8, 16
    jbe 8f
    jmp 5f
    .p2align 5
4:  movaps [rcx], xmm0
    movaps [rcx + 16], xmm0
    movaps [rcx + 32], xmm0
    movaps [rcx + 48], xmm0
    add rcx, 64
5:  sub r8, 64
    jae 4b
    add r8, 64
    je 8f
6:  movaps [rcx], xmm0
    add rcx, 16
    sub r8, 16
    ja 6b
8:  movups [r10], xmm0
    ret
",
            label!("atomics"),
            atomics!("8", "al", "dl", "r8b"),
            atomics!("16", "ax", "dx", "r8w"),
            atomics!("32", "eax", "edx", "r8d"),
            atomics!("64", "rax", "rdx", "r8"),
            label!("take"),
            copy_short!(),
            label!("put"),
            copy_short!(),
            close!(),
            // Outside the guarded range: the continuation of a fault, and the routine that clears the upper
            // halves of the registers after one.
            label!("fault"),
            "    ret\n",
            label!("clean"),
            "    vzeroupper\n    ret\n",
            // The only routine that uses nonvolatile registers. It is outside the range, since Windows must
            // know how to restore them. It can fault only at `movs`, and then continues at `moved`. r9 holds
            // the guard there, too.
            begin_apart!(),
            label!("copy_movs"),
            "    push rdi\n",
            seh!(".seh_pushreg rdi"),
            "    push rsi\n",
            seh!(".seh_pushreg rsi"),
            seh!(".seh_endprologue"),
            seh!(".seh_handler {handler}, @except"),
            "    mov rdi, rcx\n    mov rsi, rdx\n    mov rcx, r8\n",
            label!("movs"),
            "    rep movsb\n",
            label!("moved"),
            "    pop rsi\n    pop rdi\n    ret\n",
            seh!(".seh_endproc"),
        )
    };
}
#[cfg(windows)]
global_asm!(text!(), handler = sym crate::sys::fault::handler);
#[cfg(unix)]
global_asm!(text!());

bind!("win64");

declare! { "win64";
    clean = "\u{1}mmf_0_1_clean": ();
    copy_sse = "\u{1}mmf_0_1_copy_sse": (*mut u8, *const u8, usize, &Guard);
    copy_avx = "\u{1}mmf_0_1_copy_avx": (*mut u8, *const u8, usize, &Guard);
    copy_wide = "\u{1}mmf_0_1_copy_wide": (*mut u8, *const u8, usize, &Guard);
    copy_movs = "\u{1}mmf_0_1_copy_movs": (*mut u8, *const u8, usize, &Guard);
    movs = "\u{1}mmf_0_1_movs": ();
    moved = "\u{1}mmf_0_1_moved": ();
    copy_stream = "\u{1}mmf_0_1_copy_stream": (*mut u8, *const u8, usize, &Guard);
}

/// # Safety
///
/// As [`super::copy`].
#[inline]
pub(super) unsafe fn copy(dst: *mut u8, src: *const u8, len: usize, guard: &Guard) {
    let routine = if len <= SHORTEST {
        copy_short
    } else if (WIDE..=WIDEST).contains(&len) && is_wide() {
        copy_wide
    } else if len > WIDEST && moves_well() {
        copy_movs
    } else if len >= STREAM {
        copy_stream
    } else if std::arch::is_x86_feature_detected!("avx") {
        copy_avx
    } else if len <= SHORT {
        copy_short
    } else {
        copy_sse
    };
    // SAFETY: the contract of this function. Each routine is called only for lengths that it supports and on
    // processors that have its instructions.
    unsafe { routine(dst, src, len, guard) };
}

/// Whether this processor has registers of 64 bytes whose use does not slow it down, as it does on the first
/// processors that had them.
#[inline]
fn is_wide() -> bool {
    std::arch::is_x86_feature_detected!("avx512vbmi2")
}

/// Whether `rep movsb` is fast for all lengths beyond the first-level cache, whatever the alignment. Measured
/// on AMD's Zen 5; on Zen 4 it is not.
#[inline]
fn moves_well() -> bool {
    static KNOWN: AtomicU8 = AtomicU8::new(UNKNOWN);
    const UNKNOWN: u8 = 2;
    match KNOWN.load(Ordering::Relaxed) {
        UNKNOWN => {
            let well = is_zen_5();
            KNOWN.store(u8::from(well), Ordering::Relaxed);
            well
        }
        known => known == 1,
    }
}

/// Whether this is an AMD processor of this family or a later one that reports fast short `rep movsb`.
#[cold]
#[allow(unused_unsafe, reason = "asking the processor was unsafe before Rust 1.94")]
fn is_zen_5() -> bool {
    const AMD: [u32; 3] =
        [u32::from_le_bytes(*b"Auth"), u32::from_le_bytes(*b"enti"), u32::from_le_bytes(*b"cAMD")];
    const FAST_SHORT_MOVS: u32 = 1 << 4;
    // SAFETY: every x86-64 processor has `cpuid`, and leaf 0.
    let vendor = unsafe { __cpuid(0) };
    if [vendor.ebx, vendor.edx, vendor.ecx] != AMD || vendor.eax < 7 {
        return false;
    }
    // SAFETY: as above.
    let signature = unsafe { __cpuid(1) }.eax;
    let family = (signature >> 8 & 0xF) + (signature >> 20 & 0xFF);
    // SAFETY: the processor has reported that it supports this leaf.
    family >= 0x1A && unsafe { __cpuid_count(7, 0) }.edx & FAST_SHORT_MOVS != 0
}

/// Returns where a fault in `copy_movs` continues, which is outside the range of the other routines.
fn landing_apart(counter: usize) -> Option<usize> {
    (counter == (movs as *const ()).addr()).then(|| (moved as *const ()).addr())
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
            // changes.
            unsafe {
                asm!(
                    "call {}", sym $routine,
                    in("rcx") dst, in("rdx") src, in("r8") len, inlateout("r9") 0_u64 => fault,
                    lateout("rax") result, lateout("r10") _, lateout("r11") _,
                    out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _, out("xmm4") _, out("xmm5") _,
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
            // SAFETY: the contract of this function; the operands name every register that the routine
            // changes.
            unsafe {
                asm!(
                    "call {}", sym $routine,
                    in("rcx") address, inlateout("rdx") first => _, in("r8") second,
                    inlateout("r9") 0_u64 => fault, lateout("rax") result,
                )
            }
        };
    }
    dispatch!(operation, bits, call);
    verdict(result, fault)
}

/// Cleans up after a fault. A wide copy may have stopped in the middle, which would slow down later SSE code.
/// So may a streaming copy, and only a fence orders its stores before later ones.
#[cold]
pub(super) fn after_fault() {
    // SAFETY: every x86-64 processor has `sfence`, and it accesses no memory.
    unsafe { _mm_sfence() };
    if std::arch::is_x86_feature_detected!("avx") {
        // SAFETY: processors with AVX have `vzeroupper`, and it changes only volatile registers.
        unsafe { clean() };
    }
}

/// Returns the address of the streaming copy.
#[cfg(test)]
pub(super) fn streaming() -> *const u8 {
    (copy_stream as *const ()).cast()
}
