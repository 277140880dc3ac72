//! Privileges: their state in the token, and enabling one for one call.

use std::io::Write;
use std::os::windows::io::{AsHandle, OwnedHandle};

use windows_sys::Win32::Foundation::{ERROR_NOT_ALL_ASSIGNED, LUID};
use windows_sys::Win32::Security::{
    SE_PRIVILEGE_ENABLED, TOKEN_ADJUST_PRIVILEGES, TOKEN_DUPLICATE, TOKEN_IMPERSONATE, TOKEN_QUERY,
};

use super::wide::Wide;
use super::{LastError, account, api};
use crate::sys::{Failure, Reason};

/// A privilege that this library uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Privilege {
    /// Creating names for the whole machine.
    CreateGlobal,
    /// Creating regions in large pages.
    LockMemory,
}

impl Privilege {
    /// Returns the name that the system uses.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Privilege::CreateGlobal => "SeCreateGlobalPrivilege",
            Privilege::LockMemory => "SeLockMemoryPrivilege",
        }
    }

    fn luid(self) -> Result<LUID, Failure> {
        let name = Wide::new(self.name()).ok_or(Failure::new(Reason::BadName))?;
        Ok(api::lookup_privilege_value(&name)?)
    }
}

/// The state of a privilege in the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Enabled,
    /// The token has the privilege, and it can be enabled.
    Disabled,
    /// The token lacks the privilege.
    Missing,
}

/// Returns the state of a privilege in the token that this thread acts with.
pub(crate) fn state(privilege: Privilege) -> Result<State, Failure> {
    let wanted = privilege.luid()?;
    for (luid, enabled) in account::privilege_luids()? {
        if (luid.LowPart, luid.HighPart) == (wanted.LowPart, wanted.HighPart) {
            return Ok(if enabled { State::Enabled } else { State::Disabled });
        }
    }
    Ok(State::Missing)
}

/// Calls `call` with the privilege enabled, for this thread and this call only. Fails without calling it if
/// the token lacks the privilege.
pub(crate) fn with<T>(privilege: Privilege, call: impl FnOnce() -> T) -> Result<T, Failure> {
    let luid = privilege.luid()?;
    let previous = api::open_thread_token(TOKEN_DUPLICATE | TOKEN_QUERY | TOKEN_IMPERSONATE)?;
    // The thread gets a token of its own. A privilege that is enabled in the token of the process is enabled
    // for all its threads, and disabling it again could take it from another thread that needs it.
    let access = TOKEN_ADJUST_PRIVILEGES | TOKEN_IMPERSONATE | TOKEN_QUERY;
    let own = match &previous {
        Some(token) => api::duplicate_token(token.as_handle(), access)?,
        None => {
            let process = api::open_process_token(api::get_current_process(), TOKEN_DUPLICATE | TOKEN_QUERY)?;
            api::duplicate_token(process.as_handle(), access)?
        }
    };
    let enabled = api::adjust_token_privileges(own.as_handle(), luid, SE_PRIVILEGE_ENABLED);
    enabled.map_err(|error| match error {
        LastError(ERROR_NOT_ALL_ASSIGNED) => Failure { reason: Reason::Denied, ..error.into() },
        error => error.into(),
    })?;
    api::set_thread_token(Some(own.as_handle()))?;
    let _restore = Restore(previous);
    Ok(call())
}

/// Restores the previous token of this thread, also if the call panics.
struct Restore(Option<OwnedHandle>);

impl Drop for Restore {
    fn drop(&mut self) {
        if let Err(LastError(code)) = api::set_thread_token(self.0.as_ref().map(AsHandle::as_handle)) {
            // The thread would keep rights that were meant for one call. A panic would not help: the thread
            // could catch it and continue, and this code may itself run while a panic unwinds.
            let _ = writeln!(
                std::io::stderr(),
                "mmf: cannot restore the token of this thread (SetThreadToken: error {code}); aborting"
            );
            std::process::abort();
        }
    }
}

#[cfg(test)]
mod tests;
