//! The caller, as far as a diagnosis needs it.

use super::account;
use crate::sys::CallerToken;

/// Returns the facts about the caller besides its user.
pub(crate) fn caller_token() -> CallerToken {
    CallerToken { elevated: Some(account::user() == 0), ..CallerToken::default() }
}

/// Returns the session of this process, and whether it is in an app container: Unix has neither.
pub(crate) fn caller_session() -> (Option<u32>, bool) {
    (None, false)
}

/// Returns the user inside and outside of the user namespace of this process, if they differ.
pub(crate) fn user_numbers() -> Option<(u32, u32)> {
    Some((account::user(), account::user_outside()?))
}
