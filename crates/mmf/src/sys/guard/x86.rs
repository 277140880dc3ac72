//! The guarded routines for x86 (32 bits) on Windows.
//!
//! Here Windows finds handlers not in a table but in a chain of records on the stack that starts at `fs:[0]`.
//! So every call goes through `run`, which adds a record to the chain, calls a routine, and removes the
//! record.
//!
//! Inside a routine, ecx is the destination or the address, edx the source or the operands, eax the length,
//! and edi the [`Guard`]; eax, ebx, ecx, edx, esi and xmm0 to xmm7 are volatile. The 64-bit atomics change
//! edi; the handler finds the guard through the frame.
//!
//! # Invariants
//!
//! The fault handler relies on these:
//!
//! 1. While `run` calls a routine, the record is at a fixed offset in `run`'s frame, see [`Frame`].
//! 2. A fault between `begin` and `end` may continue at `fault` with esp = the record and ebp = the frame.
//! 3. The routines access no byte outside the given ranges, not even to read it.

use core::arch::global_asm;

use super::{Atomic, Caught, Guard};

/// The stack layout of `run`, from the record upwards. The handler receives the address of the record.
#[repr(C)]
pub(in crate::sys) struct Frame {
    next: u32,
    handler: u32,
    saved: [u32; 3],
    ebp: u32,
    back: u32,
    routine: u32,
    arguments: [u32; 3],
    pub(in crate::sys) guard: *const Guard,
}

impl Frame {
    /// Returns the value of ebp for a record at `record`.
    pub(in crate::sys) fn ebp(record: u32) -> u32 {
        record.wrapping_add(20)
    }
}

/// The five routines of a width of up to 32 bits: ecx = address, edx = operands (two of 8 bytes each),
/// followed by the room for the result.
macro_rules! atomics {
    ($bits:literal, $a:literal, $b:literal) => {
        concat!(
            label!("load" $bits), "    xor eax, eax\n    mov ", $a, ", [ecx]\n    jmp 9f\n",
            label!("store" $bits), "    mov eax, [edx]\n    mov [ecx], ", $a, "\n    ret\n",
            label!("swap" $bits), "    mov eax, [edx]\n    xchg [ecx], ", $a, "\n    jmp 9f\n",
            label!("add" $bits), "    mov eax, [edx]\n    lock xadd [ecx], ", $a, "\n    jmp 9f\n",
            label!("cas" $bits), "    mov eax, [edx]\n    mov ebx, [edx + 8]\n",
            "    lock cmpxchg [ecx], ", $b, "\n",
            "9:  mov [edx + 16], eax\n    mov dword ptr [edx + 20], 0\n    ret\n",
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
            "    movups xmm5, [edx]                 // the first 16 bytes, then an aligned destination
    movups xmm4, [edx + eax - 16]      // the last 16 bytes, stored last, at esi
    lea esi, [ecx + eax - 16]
    movups [ecx], xmm5
    mov ebx, ecx
    and ebx, 15
    sub ebx, 16
    sub ecx, ebx
    sub edx, ebx
    add eax, ebx
    sub eax, 16                        // what the last 16 bytes will not cover
    jmp 2f
    .p2align 4
7:
",
            $each_turn,
            "    movups xmm0, [edx]
    movups xmm1, [edx + 16]
    movups xmm2, [edx + 32]
    movups xmm3, [edx + 48]
    ",
            $store,
            " [ecx], xmm0
    ",
            $store,
            " [ecx + 16], xmm1
    ",
            $store,
            " [ecx + 32], xmm2
    ",
            $store,
            " [ecx + 48], xmm3
    add edx, 64
    add ecx, 64
2:  sub eax, 64
    jae 7b
    add eax, 64
    je 4f
3:  movups xmm0, [edx]
    ",
            $store,
            " [ecx], xmm0
    add edx, 16
    add ecx, 16
    sub eax, 16
    ja 3b
4:  movups [esi], xmm4
",
            $at_the_end,
            "    ret
    .p2align 4
",
        )
    };
}

global_asm!(
    concat!(
        "
    .text
    .def mmf_0_1_handler; .scl 3; .type 32; .endef
mmf_0_1_handler:
    jmp {handler}
    .p2align 4
",
        label!("run"), // cdecl (routine, destination, source, length, guard)
        "
    push ebp
    mov ebp, esp
    push esi
    push edi
    push ebx
    mov eax, offset mmf_0_1_handler    // (`push offset` does not assemble)
    push eax
    push dword ptr fs:[0]
    mov dword ptr fs:[0], esp
    mov ecx, [ebp + 12]
    mov edx, [ebp + 16]
    mov eax, [ebp + 20]
    mov edi, [ebp + 24]
    call dword ptr [ebp + 8]
",
        label!("fault"),
        "
    pop dword ptr fs:[0]
    add esp, 4
    pop ebx
    pop edi
    pop esi
    pop ebp
    ret
",
        open!(),
        label!("copy_short"), // 0 to 32 bytes
        "
    cmp eax, 16
    ja 4f
    cmp eax, 8
    jae 3f
    cmp eax, 4
    jae 2f
    lea esi, [edx + eax]               // 0 to 3
    jmp 7f
5:  mov bl, [edx]
    mov [ecx], bl
    inc edx
    inc ecx
7:  cmp edx, esi
    jne 5b
    ret
2:  mov ebx, [edx]                     // 4 to 7
    mov esi, [edx + eax - 4]
    mov [ecx], ebx
    mov [ecx + eax - 4], esi
    ret
3:  movq xmm0, qword ptr [edx]         // 8 to 16
    movq xmm1, qword ptr [edx + eax - 8]
    movq qword ptr [ecx], xmm0
    movq qword ptr [ecx + eax - 8], xmm1
    ret
4:  movups xmm0, [edx]                 // 17 to 32
    movups xmm1, [edx + eax - 16]
    movups [ecx], xmm0
    movups [ecx + eax - 16], xmm1
    ret
    .p2align 4
",
        label!("copy_long"), // 32 bytes and more
        copy64!("movaps", "", "", ""),
        label!("copy_stream"), // 32 bytes and more, bypassing the caches
        copy64!(
            "movntps",
            "    sfence                             // orders these stores after earlier ones\n",
            "    prefetcht0 [edx + 512]             // (a prefetch never faults)\n",
            "    sfence                             // orders these stores before later ones\n"
        ),
        label!("fill"), // ecx = destination, edx = the byte four times, eax = length
        "
    cmp eax, 16
    jae 3f
    add eax, ecx
    jmp 2f
7:  mov [ecx], dl
    inc ecx
2:  cmp ecx, eax
    jne 7b
    ret
3:  movd xmm0, edx
    pshufd xmm0, xmm0, 0
    lea esi, [ecx + eax - 16]
    movups [ecx], xmm0
    mov ebx, ecx
    and ebx, 15
    sub ebx, 16
    sub ecx, ebx
    add eax, ebx
    sub eax, 16
    jbe 8f
    jmp 5f
    .p2align 4
4:  movaps [ecx], xmm0
    movaps [ecx + 16], xmm0
    movaps [ecx + 32], xmm0
    movaps [ecx + 48], xmm0
    add ecx, 64
5:  sub eax, 64
    jae 4b
    add eax, 64
    je 8f
6:  movaps [ecx], xmm0
    add ecx, 16
    sub eax, 16
    ja 6b
8:  movups [esi], xmm0
    ret
",
        atomics!("8", "al", "bl"),
        atomics!("16", "ax", "bx"),
        atomics!("32", "eax", "ebx"),
        label!("load64"),
        "    movq xmm0, qword ptr [ecx]\n    movq qword ptr [edx + 16], xmm0\n    ret\n",
        label!("store64"),
        "    movq xmm0, qword ptr [edx]\n    movq qword ptr [ecx], xmm0\n    ret\n",
        label!("swap64"),
        "
    mov edi, ecx
    mov esi, edx
    mov ebx, [esi]
    mov ecx, [esi + 4]
    mov eax, [edi]
    mov edx, [edi + 4]
7:  lock cmpxchg8b qword ptr [edi]
    jne 7b
    jmp 9f
",
        label!("add64"),
        "
    mov edi, ecx
    mov esi, edx
    mov eax, [edi]
    mov edx, [edi + 4]
7:  mov ebx, eax
    mov ecx, edx
    add ebx, [esi]
    adc ecx, [esi + 4]
    lock cmpxchg8b qword ptr [edi]
    jne 7b
    jmp 9f
",
        label!("cas64"),
        "
    mov edi, ecx
    mov esi, edx
    mov eax, [esi]
    mov edx, [esi + 4]
    mov ebx, [esi + 8]
    mov ecx, [esi + 12]
    lock cmpxchg8b qword ptr [edi]
9:  mov [esi + 16], eax
    mov [esi + 20], edx
    ret
",
        close!(),
    ),
    handler = sym crate::sys::fault::handler,
);
// A program that is linked with MSVC's /SAFESEH calls only handlers of its table. With GNU's linker the
// directive would create a section that Windows refuses to load.
#[cfg(target_env = "msvc")]
global_asm!("    .safeseh mmf_0_1_handler");

declare! { "C";
    begin = "\u{1}mmf_0_1_begin": ();
    end = "\u{1}mmf_0_1_end": ();
    fault = "\u{1}mmf_0_1_fault": ();
    run = "\u{1}mmf_0_1_run": (Routine, *mut u8, *const u8, usize, &Guard);
    copy_short = "\u{1}mmf_0_1_copy_short": ();
    copy_long = "\u{1}mmf_0_1_copy_long": ();
    copy_stream = "\u{1}mmf_0_1_copy_stream": ();
    fill_bytes = "\u{1}mmf_0_1_fill": ();
    load8 = "\u{1}mmf_0_1_load8": ();
    load16 = "\u{1}mmf_0_1_load16": ();
    load32 = "\u{1}mmf_0_1_load32": ();
    load64 = "\u{1}mmf_0_1_load64": ();
    store8 = "\u{1}mmf_0_1_store8": ();
    store16 = "\u{1}mmf_0_1_store16": ();
    store32 = "\u{1}mmf_0_1_store32": ();
    store64 = "\u{1}mmf_0_1_store64": ();
    swap8 = "\u{1}mmf_0_1_swap8": ();
    swap16 = "\u{1}mmf_0_1_swap16": ();
    swap32 = "\u{1}mmf_0_1_swap32": ();
    swap64 = "\u{1}mmf_0_1_swap64": ();
    add8 = "\u{1}mmf_0_1_add8": ();
    add16 = "\u{1}mmf_0_1_add16": ();
    add32 = "\u{1}mmf_0_1_add32": ();
    add64 = "\u{1}mmf_0_1_add64": ();
    cas8 = "\u{1}mmf_0_1_cas8": ();
    cas16 = "\u{1}mmf_0_1_cas16": ();
    cas32 = "\u{1}mmf_0_1_cas32": ();
    cas64 = "\u{1}mmf_0_1_cas64": ();
}

/// A routine. Only `run` may call it.
type Routine = unsafe extern "C" fn();

/// The longest copy that `copy_short` supports.
const SHORT: usize = 32;
/// The length from which on a copy bypasses the caches.
const STREAM: usize = 16 << 20;

/// Returns the range of the guarded instructions, and where a fault in them continues.
pub(in crate::sys) fn code_range() -> (core::ops::Range<usize>, usize) {
    ((begin as *const ()).addr()..(end as *const ()).addr(), (fault as *const ()).addr())
}

/// # Safety
///
/// As [`super::copy`].
pub(super) unsafe fn copy(dst: *mut u8, src: *const u8, len: usize, guard: &Guard) {
    let routine = match len {
        0..=SHORT => copy_short,
        STREAM.. => copy_stream,
        _ => copy_long,
    };
    // SAFETY: the contract of this function. Each routine is called only for lengths that it supports.
    unsafe { run(routine, dst, src, len, guard) };
}

/// # Safety
///
/// As [`super::fill`].
pub(super) unsafe fn fill(dst: *mut u8, byte: u8, len: usize, guard: &Guard) {
    let four_times = usize::from(byte) * 0x0101_0101;
    // SAFETY: the contract of this function. The routine takes the byte instead of a source.
    unsafe { run(fill_bytes, dst, core::ptr::without_provenance(four_times), len, guard) };
}

/// Cleans up after a fault. A streaming copy may have stopped in the middle, and only a fence orders its
/// stores before later ones.
#[cold]
pub(super) fn after_fault() {
    // SAFETY: every supported processor has `sfence`, and it accesses no memory.
    unsafe { core::arch::x86::_mm_sfence() };
}

/// # Safety
///
/// As [`super::atomic`].
pub(super) unsafe fn atomic(
    operation: Atomic,
    bits: u32,
    address: *mut u8,
    first: u64,
    second: u64,
) -> Result<u64, Caught> {
    let guard = Guard::new(super::span(address, bits as usize / 8), [0, 0]);
    let widths: [Routine; 4] = match operation {
        Atomic::Load => [load8, load16, load32, load64],
        Atomic::Store => [store8, store16, store32, store64],
        Atomic::Swap => [swap8, swap16, swap32, swap64],
        Atomic::Add => [add8, add16, add32, add64],
        Atomic::CompareExchange => [cas8, cas16, cas32, cas64],
    };
    let mut operands = [first, second, 0];
    // SAFETY: the contract of this function. Instead of a source, the routine takes its operands and the room
    // for its result.
    unsafe { run(widths[width(bits)], address, operands.as_mut_ptr().cast(), 0, &guard) };
    guard.result().map(|()| operands[2])
}

/// Returns the index of a width in the tables.
fn width(bits: u32) -> usize {
    bits.trailing_zeros() as usize - 3
}
