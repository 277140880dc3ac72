//! The signal handler of the guarded routines: its position and the policy for it.

use core::sync::atomic::{AtomicU8, Ordering};

/// Where the signal handler of the guarded routines is among the handlers of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "each system has its own")]
pub(crate) enum HandlerPosition {
    /// The kernel calls it first.
    First,
    /// Another one is in front of it, which passes on what it does not know.
    Behind,
    /// Another one has taken its place, and nothing is known of it.
    Replaced,
    /// The default action has taken its place.
    Default,
    /// The signal is ignored, as far as it can be.
    Ignored,
    NotInstalled,
    /// The system does not say.
    Unknown,
    /// There is no such handler on this system, and none is needed.
    NotNeeded,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct HandlerState {
    pub(crate) segv: HandlerPosition,
    pub(crate) bus: HandlerPosition,
    /// Whether the calling thread blocks one of the signals.
    pub(crate) blocked: bool,
}

/// What to do about the handler when a view is mapped.
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
