//! The position of this library's signal handler among the handlers of the process.
//!
//! A signal has one handler in a process, and whoever installs one replaces the one before. Well-behaved handlers remember what
//! they replace and call it for what is not theirs; many do not. So the handler's position is asked whenever a view is mapped,
//! and if another handler has taken it, this library installs itself again, with the newcomer as the next in line.
//!
//! The newcomer may itself remember an entry of this library as the next in line. If both were the same entry, a foreign
//! fault would go round for ever. Therefore each installation over another action uses an *entry* of its own: a few
//! instructions that load their level and jump to the common handler. The action that a level replaces is written once and
//! never changes, so a newcomer that calls the entry which it found passes the fault to an older level, and the walk ends at
//! the action that was there before this library. Where programs reinstall a handler over an entry that already leads to
//! it, they make a cycle by themselves; a mark in the unused bytes of the signal's `siginfo_t` ends it (see [`first_visit`]).
//!
//! A process can contain several copies of this library (two plug-ins, say), which are foreign to each other. They must not
//! take turns at installing themselves, so an entry is preceded by bytes that another copy recognises, and answers the
//! question which action comes after it.
//!
//! What runs in a signal handler here calls only `sigaction`, and reads and writes atomics and what never changes.

use core::arch::global_asm;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
use std::{io, mem, ptr};

use libc::{c_int, c_void, siginfo_t};

use super::fault::on_signal;
use crate::sys::HandlerPosition;

/// The signals of memory faults. Their place in this list is the `index` of the functions below.
pub(super) const SIGNALS: [c_int; 2] = [libc::SIGSEGV, libc::SIGBUS];

pub(super) fn index_of(signal: c_int) -> usize {
    usize::from(signal == libc::SIGBUS)
}

/// How many different actions can be taken over, for each signal.
const LEVELS: usize = 32;

/// An action that this library has taken over.
pub(super) struct Level {
    /// Set after `action` is complete; it never changes then, since a handler may read it at any time.
    ready: AtomicBool,
    action: UnsafeCell<mem::MaybeUninit<libc::sigaction>>,
    /// The handler is not to be called again: it asked for only one call (`SA_RESETHAND`), or has resigned.
    pub(super) spent: AtomicBool,
}

// SAFETY: `action` is written under `Lock` while `ready` is not set, and only read after it is.
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
        // SAFETY: `ready` was set after the action had been written, and nothing writes to it after that.
        let action = unsafe { &*self.action.get() };
        // SAFETY: as above: it is initialised.
        Some(unsafe { action.assume_init_ref() })
    }
}

static TAKEN_OVER: [[Level; LEVELS]; 2] =
    [const { [const { Level::new() }; LEVELS] }, const { [const { Level::new() }; LEVELS] }];

/// The last foreign handler that has been seen to pass a fault on to this library.
static PASSES_ON: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];

pub(super) fn level(index: usize, level: usize) -> &'static Level {
    &TAKEN_OVER[index][level % LEVELS]
}

// The entries. Each lies in the second half of 64 aligned bytes, the first half of which says what it is; so whoever looks
// for these bytes before a handler that is placed like this stays inside its page.

const STRIDE: usize = 64;
const PLACE: usize = 32;
const SIGNATURE: [u8; 32] = *b"mmf-signal-entry\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
/// A call of an entry with this signal number, which no system has, is the question for what comes after it: the second
/// argument points to a `usize` for the answer, the third is the signal. Part of what the signature's version promises.
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
        "    .text\n    .p2align 6\n    .globl mmf_0_1_entries\n    .hidden mmf_0_1_entries\nmmf_0_1_entries:\n"
    };
}
#[cfg(target_vendor = "apple")]
macro_rules! first_entry {
    () => {
        "    .text\n    .p2align 6\n    .private_extern mmf_0_1_entries\n    .globl mmf_0_1_entries\nmmf_0_1_entries:\n"
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

/// The level of an entry of this copy of the library.
fn level_of(handler: usize) -> Option<usize> {
    let past = handler.checked_sub(entry_of(0))?;
    (past % STRIDE == 0 && past / STRIDE < LEVELS).then_some(past / STRIDE)
}

/// For the common handler: whether it was not a signal but another copy's question, which is answered then.
pub(super) fn answered(signal: c_int, answer: *mut siginfo_t, about: *mut c_void, at: usize) -> bool {
    if signal != QUESTION {
        return false;
    }
    let about = c_int::try_from(about.addr()).unwrap_or(0);
    let level = level(index_of(about), at);
    let next = if level.spent.load(Ordering::Relaxed) { None } else { level.action() };
    // SAFETY: who asks gives a place for the answer (`next_after`).
    unsafe { answer.cast::<usize>().write(next.map_or(libc::SIG_DFL, |action| action.sa_sigaction)) };
    true
}

/// What comes after the entry of another copy of this library; `None` if it is none.
fn next_after(handler: usize, signal: c_int) -> Option<usize> {
    if handler % STRIDE != PLACE || !has_signature(handler) {
        return None;
    }
    let mut next = libc::SIG_DFL;
    // SAFETY: the signature says that it is an entry, which is a function of this type.
    let entry =
        unsafe { mem::transmute::<usize, extern "C" fn(c_int, *mut siginfo_t, *mut c_void)>(handler) };
    let about = ptr::without_provenance_mut(signal.unsigned_abs() as usize);
    entry(QUESTION, (&raw mut next).cast(), about);
    Some(next)
}

/// The bytes before somebody else's code are read by the kernel, since code need not be readable.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn has_signature(handler: usize) -> bool {
    let mut bytes = [0_u8; SIGNATURE.len()];
    let from = ptr::with_exposed_provenance::<u8>(handler - PLACE);
    // SAFETY: the destination is a buffer of this length; the kernel checks the source, and gives an error if it is none.
    unsafe { super::kernel::read(bytes.as_mut_ptr(), from, bytes.len()) }.is_ok() && bytes == SIGNATURE
}

/// Code is readable here, and these bytes are in the page of the handler.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn has_signature(handler: usize) -> bool {
    let from = ptr::with_exposed_provenance::<[u8; SIGNATURE.len()]>(handler - PLACE);
    // SAFETY: the bytes lie in the same page as the handler's first instruction, and have no alignment.
    unsafe { from.read_unaligned() == SIGNATURE }
}

/// The action of a signal.
pub(super) fn query(signal: c_int) -> io::Result<libc::sigaction> {
    // SAFETY: sigaction is a plain C structure for which all zeros is a value.
    let mut now: libc::sigaction = unsafe { mem::zeroed() };
    // SAFETY: a null new action only asks; `now` is valid for the answer. It is allowed in a handler.
    if unsafe { libc::sigaction(signal, ptr::null(), &mut now) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(now)
}

/// Replaces the action of a signal; the former one is returned.
pub(super) fn replace(signal: c_int, new: &libc::sigaction) -> io::Result<libc::sigaction> {
    // SAFETY: sigaction is a plain C structure for which all zeros is a value.
    let mut former: libc::sigaction = unsafe { mem::zeroed() };
    // SAFETY: a whole action, whose handler (if it is ours) does only what is allowed in one; `former` is valid for the answer. It is
    // allowed in a handler.
    if unsafe { libc::sigaction(signal, new, &mut former) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(former)
}

/// SA_EXPOSE_TAGBITS of Linux, which the bindings lack: addresses keep what a processor lets programs store in their upper bits.
/// (No address of a mapping of this library has such bits.)
#[cfg(any(target_os = "linux", target_os = "android"))]
const EXPOSE_TAGBITS: c_int = 0x800;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const EXPOSE_TAGBITS: c_int = 0;

/// Our action in the place of another. It runs under the mask and on the stack that the other one asked for, so that passing on is
/// as if the kernel had called it. Where there is no other one, an alternate stack is as good as the thread's own.
pub(super) fn ours(at: usize, former: &libc::sigaction) -> libc::sigaction {
    let kept = if matches!(former.sa_sigaction, libc::SIG_DFL | libc::SIG_IGN) {
        libc::SA_ONSTACK
    } else {
        former.sa_flags & (libc::SA_NODEFER | libc::SA_RESTART | libc::SA_ONSTACK | EXPOSE_TAGBITS)
    };
    libc::sigaction { sa_sigaction: entry_of(at), sa_flags: libc::SA_SIGINFO | kept, ..*former }
}

/// Whether two actions do the same.
fn same(one: &libc::sigaction, other: &libc::sigaction) -> bool {
    // What the C library adds for itself (SA_RESTORER) is not part of what was asked for.
    const ASKED: c_int = libc::SA_SIGINFO
        | libc::SA_ONSTACK
        | libc::SA_NODEFER
        | libc::SA_RESTART
        | EXPOSE_TAGBITS
        | libc::SA_RESETHAND
        | libc::SA_NOCLDSTOP
        | libc::SA_NOCLDWAIT;
    let blocks = |action: &libc::sigaction, signal: c_int| {
        // SAFETY: a whole set; a number that is no signal is answered with an error.
        unsafe { libc::sigismember(&action.sa_mask, signal) == 1 }
    };
    one.sa_sigaction == other.sa_sigaction
        && one.sa_flags & ASKED == other.sa_flags & ASKED
        && (1..=64).all(|signal| blocks(one, signal) == blocks(other, signal))
}

/// Whether a fault that this handler gets reaches this copy of the library for certain; and whether that is its first stop.
fn leads_to_us(handler: usize, signal: c_int) -> Option<HandlerPosition> {
    if level_of(handler).is_some() {
        return Some(HandlerPosition::First);
    }
    let mut at = handler;
    // Copies that were installed over each other have many levels each, but no endless number.
    for _ in 0..8 * LEVELS {
        at = next_after(at, signal)?;
        if level_of(at).is_some() {
            return Some(HandlerPosition::Behind);
        }
    }
    None
}

/// Where this library's handler is.
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

/// Whether a fault in a guarded routine reaches this library, whatever other handlers do: one system call.
#[inline]
pub(super) fn is_in_place(index: usize) -> bool {
    let signal = SIGNALS[index];
    query(signal).is_ok_and(|now| leads_to_us(now.sa_sigaction, signal).is_some())
}

/// In the handler, after it has caught a fault: notes whether another one has passed it on.
pub(super) fn note_who_passed_it_on(signal: c_int) {
    if let Ok(now) = query(signal) {
        if level_of(now.sa_sigaction).is_none() && !matches!(now.sa_sigaction, libc::SIG_DFL | libc::SIG_IGN)
        {
            PASSES_ON[index_of(signal)].store(now.sa_sigaction, Ordering::Relaxed);
        }
    }
}

/// Installs this library's handler in front of whatever is there, unless faults reach it anyway.
pub(super) fn install(index: usize) -> io::Result<()> {
    stay_loaded();
    let signal = SIGNALS[index];
    let _lock = Lock::acquire();
    let mut now = query(signal)?;
    let mut installed = false;
    // `sigaction` cannot compare: another thread may install something between the question and the installation, and then
    // that is what has to be taken over. Nothing goes on doing so.
    for _ in 0..LEVELS {
        if leads_to_us(now.sa_sigaction, signal).is_some() {
            if installed {
                // Somebody has put an entry of this library back meanwhile.
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

/// The level that has taken over this action; a new one if none has. To be called under [`Lock`].
fn level_over(index: usize, action: &libc::sigaction) -> Option<usize> {
    for (at, level) in TAKEN_OVER[index].iter().enumerate() {
        match level.action() {
            Some(taken) if same(taken, action) => {
                // It was installed anew, so it wants to be called anew.
                level.spent.store(false, Ordering::Relaxed);
                return Some(at);
            }
            Some(_) => {}
            None => {
                // SAFETY: it is not ready, so nobody reads it; and only the holder of the lock writes.
                unsafe { (*level.action.get()).write(*action) };
                level.ready.store(true, Ordering::Release);
                return Some(at);
            }
        }
    }
    None
}

/// Whether a signal's delivery comes to this level for the first time.
///
/// The mark is in the bytes of `siginfo_t` that no kernel uses for these signals, and which the kernel clears: it belongs to this
/// delivery alone, on whichever thread and stack, and is gone with it, also if a handler leaves by `longjmp`. Handlers that call
/// others pass it on, as they must pass on the address.
pub(super) fn first_visit(info: *mut siginfo_t, at: usize) -> bool {
    const WORDS: usize = size_of::<siginfo_t>() / size_of::<u64>();
    if info.is_null() || !info.is_aligned() {
        return true;
    }
    let key = (&raw const TAKEN_OVER).addr() as u64;
    let words = info.cast::<u64>();
    let [owner, visited] = [words.wrapping_add(WORDS - 2), words.wrapping_add(WORDS - 1)];
    // SAFETY: the last but one word of a siginfo that the handler was given; it is aligned, and belongs to this delivery.
    let marked = unsafe { owner.read() } == key;
    // SAFETY: the same for the last one.
    let before = if marked { unsafe { visited.read() } } else { 0 };
    let bit = 1 << at;
    if before & bit != 0 {
        return false;
    }
    // SAFETY: as for reading.
    unsafe { owner.write(key) };
    // SAFETY: as for reading.
    unsafe { visited.write(before | bit) };
    true
}

/// Keeps the library in memory. To be called before the process is given a function of it that cannot be taken back safely, or
/// not everywhere: a signal handler, which others may have remembered, or one for `fork` or `exit`. If the library is part of a
/// plug-in, unloading that leaves it mapped.
pub(super) fn stay_loaded() {
    static DONE: AtomicBool = AtomicBool::new(false);
    if DONE.load(Ordering::Relaxed) {
        return;
    }
    // Not under the lock: the loader has a lock of its own, under which constructors may map views.
    #[cfg(not(target_feature = "crt-static"))]
    {
        #[cfg(target_vendor = "apple")]
        const NOLOAD: c_int = libc::RTLD_NOLOAD;
        #[cfg(not(target_vendor = "apple"))]
        const NOLOAD: c_int = 4;
        // SAFETY: a plain C structure for which all zeros is a value.
        let mut info: libc::Dl_info = unsafe { mem::zeroed() };
        // SAFETY: any address may be asked for; `info` is valid for the answer.
        let found = unsafe { libc::dladdr((entries as *const ()).cast(), &mut info) } != 0;
        if found && !info.dli_fname.is_null() {
            // For a program (which is never unloaded) it finds nothing. The handle is kept.
            // SAFETY: the path is a C string that lives as long as the library; nothing is loaded, so no code runs.
            unsafe { libc::dlopen(info.dli_fname, libc::RTLD_NOW | libc::RTLD_NODELETE | NOLOAD) };
        }
    }
    DONE.store(true, Ordering::Relaxed);
}

/// One installation at a time. The value is the holder's process id: a child that was forked while another thread of its parent held
/// it must not wait for a thread that it does not have.
struct Lock;

static HOLDER: AtomicI32 = AtomicI32::new(0);

impl Lock {
    fn acquire() -> Self {
        // SAFETY: it has no requirements.
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
