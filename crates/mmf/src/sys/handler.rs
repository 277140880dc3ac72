//! The signal handler of the guarded routines: its position and the policy for it.

use core::sync::atomic::{AtomicU8, Ordering};

/// The position of the signal handler of the guarded routines among the handlers of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "each system has its own")]
pub(crate) enum HandlerPosition {
    /// The kernel calls it first.
    First,
    /// Another handler is in front of it and passes on the faults that are not its own.
    Behind,
    /// Another handler has replaced it, and may or may not pass faults on.
    Replaced,
    /// The default action has replaced it.
    Default,
    /// The process ignores the signal, as far as the kernel permits.
    Ignored,
    NotInstalled,
    /// The system does not report it.
    Unknown,
    /// This system needs no such handler.
    NotNeeded,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct HandlerState {
    pub(crate) segv: HandlerPosition,
    pub(crate) bus: HandlerPosition,
    /// Whether the calling thread blocks one of the signals.
    pub(crate) blocked: bool,
}

/// The policy for the handler when a view is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum HandlerPolicy {
    Rearm,
    LeaveReplaced,
    NoHandler,
}

static HANDLER_POLICY: AtomicU8 = AtomicU8::new(HandlerPolicy::Rearm as u8);

pub(crate) fn handler_policy() -> HandlerPolicy {
    match HANDLER_POLICY.load(Ordering::Relaxed) {
        value if value == HandlerPolicy::NoHandler as u8 => HandlerPolicy::NoHandler,
        value if value == HandlerPolicy::LeaveReplaced as u8 => HandlerPolicy::LeaveReplaced,
        _ => HandlerPolicy::Rearm,
    }
}

pub(crate) fn set_handler_policy(policy: HandlerPolicy) {
    HANDLER_POLICY.store(policy as u8, Ordering::Relaxed);
}
