//! The position of this library's signal handler among the handlers of the process.
//!
//! A process has one handler for each signal, and installing one replaces the previous one. Well-behaved
//! handlers remember the one that they replace and call it for signals that are not their own; many do not.
//! So the handler's position is queried whenever a view is mapped. If another handler has taken it, this
//! library installs itself again, with the newcomer as the next in the chain.
//!
//! The newcomer may itself remember an entry of this library as its next in the chain. If both were the same
//! entry, a foreign fault would circulate forever. Hence each installation over another action uses an
//! *entry* of its own: a few instructions that load their level and jump to the common handler. The action
//! that a level replaces is written once and never changes, so a newcomer that calls the entry that it found
//! passes the fault to an older level, and the chain ends at the action that preceded this library. A program
//! that reinstalls a handler over an entry that already leads to it creates a cycle by itself. A mark in the
//! unused bytes of the signal's `siginfo_t` ends it, see [`first_visit`].
//!
//! A process can contain several copies of this library, for example in two plug-ins, which are foreign to
//! each other. They must not take turns at installing themselves. So a signature precedes each entry, by
//! which another copy recognises it, and the entry answers the query for the next action in the chain.
//!
//! Code here that runs in a signal handler calls only `sigaction`, and accesses only atomics and immutable
//! data.

use core::arch::global_asm;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
use std::{io, mem, ptr};

use libc::{c_int, c_void, siginfo_t};

use super::fault::on_signal;
use crate::sys::HandlerPosition;

/// The signals of memory faults. Their positions in this list are the `index` of the functions below.
pub(super) const SIGNALS: [c_int; 2] = [libc::SIGSEGV, libc::SIGBUS];

pub(super) fn index_of(signal: c_int) -> usize {
    usize::from(signal == libc::SIGBUS)
}

/// The maximum number of different actions that can be replaced, for each signal.
const LEVELS: usize = 32;

/// An action that this library has replaced.
pub(super) struct Level {
    /// Set once `action` is complete. From then on `action` never changes, since a handler may read it at any
    /// time.
    ready: AtomicBool,
    action: UnsafeCell<mem::MaybeUninit<libc::sigaction>>,
    /// The handler must not be called again: it was installed for one call (`SA_RESETHAND`), or has resigned.
    pub(super) spent: AtomicBool,
}

// SAFETY: `action` is written only under `Lock` while `ready` is false, and read only after an acquire load
// has seen `ready` set. So a write never overlaps another access.
unsafe impl Sync for Level {}

impl Level {
    const fn new() -> Self {
        Level {
            ready: AtomicBool::new(false),
            action: UnsafeCell::new(mem::MaybeUninit::uninit()),
            spent: AtomicBool::new(false),
        }
    }

    pub(super) fn action(&self) -> Option<&libc::sigaction> {
        if !self.ready.load(Ordering::Acquire) {
            return None;
        }
        // SAFETY: the acquire load has seen `ready` set, so `action` was written before, and nothing writes
        // to it afterwards.
        let action = unsafe { &*self.action.get() };
        // SAFETY: as above: it is initialised.
        Some(unsafe { action.assume_init_ref() })
    }
}

static TAKEN_OVER: [[Level; LEVELS]; 2] =
    [const { [const { Level::new() }; LEVELS] }, const { [const { Level::new() }; LEVELS] }];

/// The last foreign handler that is known to have passed a fault on to this library.
static PASSES_ON: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];

pub(super) fn level(index: usize, level: usize) -> &'static Level {
    &TAKEN_OVER[index][level % LEVELS]
}

// The entries. Each is the second half of an aligned block of 64 bytes, whose first half is its signature. So
// code that looks for a signature before a handler with such an alignment stays within the handler's page.

const STRIDE: usize = 64;
const PLACE: usize = 32;
const SIGNATURE: [u8; 32] = *b"mmf-signal-entry\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
/// An entry that is called with this signal number, which no system uses, answers the query for its next
/// action: the second argument points to a `usize` for the answer, the third is the signal. This is part of
/// what the version in the signature guarantees.
const QUESTION: c_int = -1;

#[cfg(target_arch = "x86_64")]
macro_rules! entry {
    ($level:literal) => {
        concat!(
            "    .p2align 6\n    .ascii \"mmf-signal-entry\"\n    .quad 1, 0\n",
            "    endbr64\n    mov ecx, ",
            $level,
            "\n    jmp {on_signal}\n"
        )
    };
}
#[cfg(target_arch = "aarch64")]
macro_rules! entry {
    ($level:literal) => {
        concat!(
            "    .p2align 6\n    .ascii \"mmf-signal-entry\"\n    .quad 1, 0\n",
            "    hint #34\n    mov w3, #", // (bti c)
            $level,
            "\n    b {on_signal}\n"
        )
    };
}
#[cfg(not(target_vendor = "apple"))]
macro_rules! first_entry {
    () => {
        concat!(
            "    .text\n    .p2align 6\n    .globl mmf_0_1_entries\n",
            "    .hidden mmf_0_1_entries\nmmf_0_1_entries:\n"
        )
    };
}
#[cfg(target_vendor = "apple")]
macro_rules! first_entry {
    () => {
        concat!(
            "    .text\n    .p2align 6\n    .private_extern mmf_0_1_entries\n",
            "    .globl mmf_0_1_entries\nmmf_0_1_entries:\n"
        )
    };
}
macro_rules! entries {
    ($($level:literal)*) => {
        concat!(first_entry!(), $(entry!($level),)* "    .p2align 6\n")
    };
}
global_asm!(
    entries!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31),
    on_signal = sym on_signal,
);
unsafe extern "C" {
    #[link_name = "\u{1}mmf_0_1_entries"]
    fn entries();
}

fn entry_of(level: usize) -> usize {
    (entries as *const ()).addr() + level * STRIDE + PLACE
}

/// Returns the level of an entry of this copy of the library.
fn level_of(handler: usize) -> Option<usize> {
    let past = handler.checked_sub(entry_of(0))?;
    (past % STRIDE == 0 && past / STRIDE < LEVELS).then_some(past / STRIDE)
}

/// Answers the query of another copy. Returns false for a signal.
pub(super) fn answered(signal: c_int, answer: *mut siginfo_t, about: *mut c_void, at: usize) -> bool {
    if signal != QUESTION {
        return false;
    }
    let about = c_int::try_from(about.addr()).unwrap_or(0);
    let level = level(index_of(about), at);
    let next = if level.spent.load(Ordering::Relaxed) { None } else { level.action() };
    // SAFETY: a query passes a pointer that is valid to write a `usize` (see `next_after`).
    unsafe { answer.cast::<usize>().write(next.map_or(libc::SIG_DFL, |action| action.sa_sigaction)) };
    true
}

/// Returns the next action of an entry of another copy of this library, or `None` if `handler` is no such
/// entry.
fn next_after(handler: usize, signal: c_int) -> Option<usize> {
    if handler % STRIDE != PLACE || !has_signature(handler) {
        return None;
    }
    let mut next = libc::SIG_DFL;
    // SAFETY: the signature identifies `handler` as an entry, which is a function of this type.
    let entry =
        unsafe { mem::transmute::<usize, extern "C" fn(c_int, *mut siginfo_t, *mut c_void)>(handler) };
    let about = ptr::without_provenance_mut(signal.unsigned_abs() as usize);
    entry(QUESTION, (&raw mut next).cast(), about);
    Some(next)
}

/// Whether the signature precedes a foreign handler. The kernel reads the bytes, since code need not be
/// readable.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn has_signature(handler: usize) -> bool {
    let mut bytes = [0_u8; SIGNATURE.len()];
    let from = ptr::with_exposed_provenance::<u8>(handler - PLACE);
    // SAFETY: the destination is a buffer of this length. The kernel checks the source, and returns an error
    // if it is invalid.
    unsafe { super::kernel::read(bytes.as_mut_ptr(), from, bytes.len()) }.is_ok() && bytes == SIGNATURE
}

/// Whether the signature precedes a foreign handler, whose alignment the caller has checked. Code is readable
/// here.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn has_signature(handler: usize) -> bool {
    let from = ptr::with_exposed_provenance::<[u8; SIGNATURE.len()]>(handler - PLACE);
    // SAFETY: the caller has checked that `handler` is `PLACE` bytes into an aligned block of `STRIDE` bytes,
    // so these bytes are in the same page as its first instruction, which is readable. An array of bytes
    // needs no alignment.
    unsafe { from.read_unaligned() == SIGNATURE }
}

/// Returns the action of a signal.
pub(super) fn query(signal: c_int) -> io::Result<libc::sigaction> {
    // SAFETY: `sigaction` consists of integers and pointers, for which all zeros is a valid value.
    let mut now: libc::sigaction = unsafe { mem::zeroed() };
    // SAFETY: with a null new action the call only queries, and `now` is valid to write. It is
    // async-signal-safe.
    if unsafe { libc::sigaction(signal, ptr::null(), &mut now) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(now)
}

/// Replaces the action of a signal and returns the previous one.
pub(super) fn replace(signal: c_int, new: &libc::sigaction) -> io::Result<libc::sigaction> {
    // SAFETY: `sigaction` consists of integers and pointers, for which all zeros is a valid value.
    let mut former: libc::sigaction = unsafe { mem::zeroed() };
    // SAFETY: `new` is a complete action whose handler, if it is ours, is async-signal-safe, and `former` is
    // valid to write. The call is async-signal-safe.
    if unsafe { libc::sigaction(signal, new, &mut former) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(former)
}

/// `SA_EXPOSE_TAGBITS` of Linux, which the bindings lack: reported addresses keep the tag in their upper
/// bits. Addresses of this library's mappings have no tag.
#[cfg(any(target_os = "linux", target_os = "android"))]
const EXPOSE_TAGBITS: c_int = 0x800;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const EXPOSE_TAGBITS: c_int = 0;

/// Returns this library's action to replace another one. It runs with the mask and on the stack that the
/// other action requested, so passing a signal on is as if the kernel had called it. Without another handler,
/// the alternate stack is as good as the thread's own.
pub(super) fn ours(at: usize, former: &libc::sigaction) -> libc::sigaction {
    let kept = if matches!(former.sa_sigaction, libc::SIG_DFL | libc::SIG_IGN) {
        libc::SA_ONSTACK
    } else {
        former.sa_flags & (libc::SA_NODEFER | libc::SA_RESTART | libc::SA_ONSTACK | EXPOSE_TAGBITS)
    };
    libc::sigaction { sa_sigaction: entry_of(at), sa_flags: libc::SA_SIGINFO | kept, ..*former }
}

/// Whether two actions have the same effect.
fn same(one: &libc::sigaction, other: &libc::sigaction) -> bool {
    // Flags that the C library adds (SA_RESTORER) do not count.
    const REQUESTED: c_int = libc::SA_SIGINFO
        | libc::SA_ONSTACK
        | libc::SA_NODEFER
        | libc::SA_RESTART
        | EXPOSE_TAGBITS
        | libc::SA_RESETHAND
        | libc::SA_NOCLDSTOP
        | libc::SA_NOCLDWAIT;
    let blocks = |action: &libc::sigaction, signal: c_int| {
        // SAFETY: the set is initialised, and the call returns an error for a number that is no signal.
        unsafe { libc::sigismember(&action.sa_mask, signal) == 1 }
    };
    one.sa_sigaction == other.sa_sigaction
        && one.sa_flags & REQUESTED == other.sa_flags & REQUESTED
        && (1..=64).all(|signal| blocks(one, signal) == blocks(other, signal))
}

/// Whether a fault that this handler receives reaches this copy of the library for certain, and whether
/// directly.
fn leads_to_us(handler: usize, signal: c_int) -> Option<HandlerPosition> {
    if level_of(handler).is_some() {
        return Some(HandlerPosition::First);
    }
    let mut at = handler;
    // Copies that were installed over each other have many levels each, but not infinitely many.
    for _ in 0..8 * LEVELS {
        at = next_after(at, signal)?;
        if level_of(at).is_some() {
            return Some(HandlerPosition::Behind);
        }
    }
    None
}

/// Returns the position of this library's handler.
pub(super) fn position(index: usize) -> HandlerPosition {
    let signal = SIGNALS[index];
    let Ok(now) = query(signal) else { return HandlerPosition::Unknown };
    if let Some(position) = leads_to_us(now.sa_sigaction, signal) {
        return position;
    }
    if !is_installed(index) {
        return HandlerPosition::NotInstalled;
    }
    match now.sa_sigaction {
        libc::SIG_DFL => HandlerPosition::Default,
        libc::SIG_IGN => HandlerPosition::Ignored,
        handler if handler == PASSES_ON[index].load(Ordering::Relaxed) => HandlerPosition::Behind,
        _ => HandlerPosition::Replaced,
    }
}

/// Whether this library has ever been installed for a signal in this process.
pub(super) fn is_installed(index: usize) -> bool {
    TAKEN_OVER[index][0].ready.load(Ordering::Acquire)
}

/// Whether a fault in a guarded routine reaches this library whatever other handlers do. Makes one system
/// call, unless the handler of another copy of this library has to be examined.
#[inline]
pub(super) fn is_in_place(index: usize) -> bool {
    let signal = SIGNALS[index];
    query(signal).is_ok_and(|now| leads_to_us(now.sa_sigaction, signal).is_some())
}

/// Records the handler that has passed on a fault, after the common handler has caught it.
pub(super) fn note_forwarding_handler(signal: c_int) {
    if let Ok(now) = query(signal) {
        if level_of(now.sa_sigaction).is_none() && !matches!(now.sa_sigaction, libc::SIG_DFL | libc::SIG_IGN)
        {
            PASSES_ON[index_of(signal)].store(now.sa_sigaction, Ordering::Relaxed);
        }
    }
}

/// Installs this library's handler in front of the present one, unless faults reach it anyway.
pub(super) fn install(index: usize) -> io::Result<()> {
    stay_loaded();
    let signal = SIGNALS[index];
    let _lock = Lock::acquire();
    let mut now = query(signal)?;
    let mut installed = false;
    // `sigaction` cannot compare. If another thread installs a handler between the query and the
    // installation, that handler is the one to replace. No program does so forever.
    for _ in 0..LEVELS {
        if leads_to_us(now.sa_sigaction, signal).is_some() {
            if installed {
                // Another thread has meanwhile restored an entry of this library.
                replace(signal, &now)?;
            }
            return Ok(());
        }
        let Some(at) = level_over(index, &now) else { break };
        let replaced = replace(signal, &ours(at, &now))?;
        if same(&replaced, &now) {
            return Ok(());
        }
        (now, installed) = (replaced, true);
    }
    Err(io::Error::from_raw_os_error(libc::EBUSY))
}

/// Returns the level that has replaced this action, a new one if none has. The caller holds [`Lock`].
fn level_over(index: usize, action: &libc::sigaction) -> Option<usize> {
    for (at, level) in TAKEN_OVER[index].iter().enumerate() {
        match level.action() {
            Some(taken) if same(taken, action) => {
                // The handler was installed again, so it expects to be called again.
                level.spent.store(false, Ordering::Relaxed);
                return Some(at);
            }
            Some(_) => {}
            None => {
                // SAFETY: `ready` is false, so no thread reads it, and only the holder of the lock writes.
                unsafe { (*level.action.get()).write(*action) };
                level.ready.store(true, Ordering::Release);
                return Some(at);
            }
        }
    }
    None
}

/// Whether a delivery of a signal reaches this level for the first time.
///
/// The mark is in bytes of `siginfo_t` that no kernel uses for these signals, and that the kernel clears. So
/// it belongs to this delivery alone, on whichever thread and stack, and disappears with it, even if a
/// handler leaves by `longjmp`. Handlers that call others pass it on, just as they must pass on the address.
pub(super) fn first_visit(info: *mut siginfo_t, at: usize) -> bool {
    const WORDS: usize = size_of::<siginfo_t>() / size_of::<u64>();
    if info.is_null() || !info.is_aligned() {
        return true;
    }
    let key = (&raw const TAKEN_OVER).addr() as u64;
    let words = info.cast::<u64>();
    let [owner, visited] = [words.wrapping_add(WORDS - 2), words.wrapping_add(WORDS - 1)];
    // SAFETY: `owner` is the last word but one of the `siginfo_t` that the handler received. It is aligned
    // and belongs to this delivery alone.
    let marked = unsafe { owner.read() } == key;
    // SAFETY: as above, for the last word.
    let before = if marked { unsafe { visited.read() } } else { 0 };
    let bit = 1 << at;
    if before & bit != 0 {
        return false;
    }
    // SAFETY: as for reading it.
    unsafe { owner.write(key) };
    // SAFETY: as for reading it.
    unsafe { visited.write(before | bit) };
    true
}

/// Pins the library in memory. Called before the process registers a function of it that cannot be
/// unregistered safely or everywhere: a signal handler, which others may remember, or a handler for `fork` or
/// `exit`. If the library is part of a plug-in, unloading the plug-in leaves it mapped.
pub(super) fn stay_loaded() {
    static DONE: AtomicBool = AtomicBool::new(false);
    if DONE.load(Ordering::Relaxed) {
        return;
    }
    // Not under `Lock`: the loader has a lock of its own, under which constructors may map views.
    #[cfg(not(target_feature = "crt-static"))]
    {
        #[cfg(target_vendor = "apple")]
        const NOLOAD: c_int = libc::RTLD_NOLOAD;
        #[cfg(not(target_vendor = "apple"))]
        const NOLOAD: c_int = 4;
        // SAFETY: `Dl_info` consists of pointers, for which all zeros is a valid value.
        let mut info: libc::Dl_info = unsafe { mem::zeroed() };
        // SAFETY: `dladdr` accepts any address, and `info` is valid to write.
        let found = unsafe { libc::dladdr((entries as *const ()).cast(), &mut info) } != 0;
        if found && !info.dli_fname.is_null() {
            // For the program itself, which is never unloaded, this finds nothing. The handle is never
            // closed.
            // SAFETY: the path is a C string that lives as long as the library. `NOLOAD` loads nothing, so no
            // constructor runs.
            unsafe { libc::dlopen(info.dli_fname, libc::RTLD_NOW | libc::RTLD_NODELETE | NOLOAD) };
        }
    }
    DONE.store(true, Ordering::Relaxed);
}

/// Serialises installations. The value is the holder's process id: a child that was forked while another
/// thread of its parent held the lock must not wait for a thread that does not exist in it.
struct Lock;

static HOLDER: AtomicI32 = AtomicI32::new(0);

impl Lock {
    fn acquire() -> Self {
        // SAFETY: `getpid` has no requirements.
        let process = unsafe { libc::getpid() };
        let mut expected = 0;
        while let Err(holder) =
            HOLDER.compare_exchange(expected, process, Ordering::Acquire, Ordering::Relaxed)
        {
            expected = if holder == process { 0 } else { holder };
            std::thread::yield_now();
        }
        Lock
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        HOLDER.store(0, Ordering::Release);
    }
}
