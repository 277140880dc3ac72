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
    /// The name that the system uses.
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
            // The thread would keep rights that were meant for one call. A panic is no way out: the thread
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
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
    use std::thread;

    use windows_sys::Win32::Security::{SE_PRIVILEGE_REMOVED, TokenStatistics};

    use super::*;

    const BOTH: [Privilege; 2] = [Privilege::CreateGlobal, Privilege::LockMemory];

    /// The unique id of the token that this thread acts with.
    fn identity() -> u64 {
        // A TOKEN_STATISTICS starts with the id of the token.
        let (token, mut reply) = (api::get_current_thread_effective_token(), [0; 7]);
        api::get_token_information(token, TokenStatistics, &mut reply).unwrap();
        reply[0]
    }

    fn impersonates() -> bool {
        api::open_thread_token(TOKEN_QUERY).unwrap().is_some()
    }

    /// A copy of the token of this process, for a thread to impersonate.
    fn copy() -> OwnedHandle {
        let process =
            api::open_process_token(api::get_current_process(), TOKEN_DUPLICATE | TOKEN_QUERY).unwrap();
        let access = TOKEN_DUPLICATE | TOKEN_ADJUST_PRIVILEGES | TOKEN_IMPERSONATE | TOKEN_QUERY;
        api::duplicate_token(process.as_handle(), access).unwrap()
    }

    /// The same, with a privilege disabled (0) or removed.
    fn copy_with(privilege: Privilege, attributes: u32) -> OwnedHandle {
        let token = copy();
        let adjusted = api::adjust_token_privileges(token.as_handle(), privilege.luid().unwrap(), attributes);
        // (The token may lack the privilege already.)
        assert!(matches!(adjusted, Ok(()) | Err(LastError(ERROR_NOT_ALL_ASSIGNED))), "{adjusted:?}");
        token
    }

    #[test]
    fn a_privilege_is_enabled_for_one_call() {
        for privilege in BOTH {
            let before = (state(privilege).unwrap(), identity());
            println!("{privilege:?}: {:?}", before.0);
            let during = with(privilege, || {
                let other = thread::spawn(move || (state(privilege).unwrap(), impersonates()));
                (state(privilege).unwrap(), identity(), impersonates(), other.join().unwrap())
            });
            if before.0 == State::Missing {
                let failure = Failure { code: Some(1300), ..Failure::new(Reason::Denied) };
                assert_eq!(during.map(|_| ()), Err(failure));
            } else {
                let (now, token, impersonated, other) = during.unwrap();
                assert_eq!((now, impersonated), (State::Enabled, true));
                assert_ne!(token, before.1);
                // Other threads keep their token.
                assert_eq!(other, (before.0, false));
            }
            assert_eq!((state(privilege).unwrap(), identity()), before);
            assert!(!impersonates());
        }
    }

    #[test]
    fn the_impersonation_token_of_the_thread_is_restored() {
        let token = copy();
        api::set_thread_token(Some(token.as_handle())).unwrap();
        let before = identity();
        for privilege in BOTH {
            let had = state(privilege).unwrap();
            let during = with(privilege, || (state(privilege).unwrap(), identity()));
            if let Ok((now, token)) = during {
                assert_eq!(now, State::Enabled);
                assert_ne!(token, before);
            }
            assert_eq!((state(privilege).unwrap(), identity()), (had, before));
        }
        assert!(impersonates());
        api::set_thread_token(None).unwrap();
        assert!(!impersonates());
    }

    #[test]
    fn a_disabled_privilege_is_disabled_after_the_call() {
        let privilege = Privilege::CreateGlobal;
        if state(privilege).unwrap() == State::Missing {
            println!("this user lacks the privilege: not tested");
            return;
        }
        let token = copy_with(privilege, 0);
        api::set_thread_token(Some(token.as_handle())).unwrap();
        let before = identity();
        assert_eq!(state(privilege).unwrap(), State::Disabled);
        assert_eq!(with(privilege, || state(privilege).unwrap()).unwrap(), State::Enabled);
        assert_eq!(state(privilege).unwrap(), State::Disabled);
        assert_eq!(identity(), before);
        api::set_thread_token(None).unwrap();
    }

    #[test]
    fn a_panic_restores_the_token() {
        let before = identity();
        let result = catch_unwind(AssertUnwindSafe(|| {
            with(Privilege::CreateGlobal, || -> () { resume_unwind(Box::new("expected")) })
        }));
        assert_eq!(result.is_ok(), state(Privilege::CreateGlobal).unwrap() == State::Missing);
        assert_eq!(identity(), before);
        assert!(!impersonates());
    }

    #[test]
    fn calls_can_be_nested() {
        let before = identity();
        let inner = with(Privilege::CreateGlobal, || {
            let outer = identity();
            let inner = with(Privilege::CreateGlobal, identity).unwrap();
            assert_eq!(identity(), outer);
            (outer, inner)
        });
        if let Ok((outer, inner)) = inner {
            assert!(before != outer && outer != inner);
        }
        assert_eq!(identity(), before);
    }

    #[test]
    fn without_the_privilege_the_closure_is_not_called() {
        for privilege in BOTH {
            let token = copy_with(privilege, SE_PRIVILEGE_REMOVED);
            api::set_thread_token(Some(token.as_handle())).unwrap();
            let before = identity();
            assert_eq!(state(privilege).unwrap(), State::Missing);
            let mut called = false;
            let result = with(privilege, || called = true);
            assert_eq!(result, Err(Failure { code: Some(1300), ..Failure::new(Reason::Denied) }));
            assert!(!called);
            assert_eq!(identity(), before);
            api::set_thread_token(None).unwrap();
        }
    }
}
