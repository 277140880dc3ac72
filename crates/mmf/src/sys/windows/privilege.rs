//! Privileges: what the token has, and enabling one for one call.

use std::io::Write;
use std::os::windows::io::{AsHandle, OwnedHandle};

use windows_sys::Win32::Foundation::ERROR_NOT_ALL_ASSIGNED;
use windows_sys::Win32::Security::{
    TOKEN_ADJUST_PRIVILEGES, TOKEN_DUPLICATE, TOKEN_IMPERSONATE, TOKEN_QUERY,
};

use super::wide::Wide;
use super::{LastError, account, api};
use crate::sys::{Failure, Reason};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Privilege {
    /// To make names for the whole machine.
    CreateGlobal,
    /// To make memory in large pages.
    LockMemory,
}

impl Privilege {
    /// What the system calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Privilege::CreateGlobal => "SeCreateGlobalPrivilege",
            Privilege::LockMemory => "SeLockMemoryPrivilege",
        }
    }

    fn luid(self) -> Result<windows_sys::Win32::Foundation::LUID, Failure> {
        let name = Wide::new(self.name()).ok_or(Failure::new(Reason::BadName))?;
        Ok(api::privilege_luid(&name)?)
    }
}

/// What the token says about a privilege.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    Enabled,
    /// It can be enabled.
    Disabled,
    /// It cannot.
    Missing,
}

/// Whether whoever this thread acts for has a privilege.
pub(crate) fn held(privilege: Privilege) -> Result<Held, Failure> {
    let wanted = privilege.luid()?;
    for (luid, enabled) in account::held()? {
        if (luid.LowPart, luid.HighPart) == (wanted.LowPart, wanted.HighPart) {
            return Ok(if enabled { Held::Enabled } else { Held::Disabled });
        }
    }
    Ok(Held::Missing)
}

/// Calls `call` with the privilege enabled, for this thread and this call only. Without the privilege it is not called.
pub(crate) fn with<T>(privilege: Privilege, call: impl FnOnce() -> T) -> Result<T, Failure> {
    let luid = privilege.luid()?;
    let former = api::thread_token(TOKEN_DUPLICATE | TOKEN_QUERY | TOKEN_IMPERSONATE)?;
    // The thread gets a token of its own: whatever is enabled in the token of the process, all its threads have, and what
    // one of them puts back another may have wanted.
    let access = TOKEN_ADJUST_PRIVILEGES | TOKEN_IMPERSONATE | TOKEN_QUERY;
    let own = match &former {
        Some(token) => api::duplicate_token(token.as_handle(), access)?,
        None => api::duplicate_token(api::process_token(TOKEN_DUPLICATE | TOKEN_QUERY)?.as_handle(), access)?,
    };
    api::enable_privilege(own.as_handle(), luid).map_err(|error| match error {
        LastError(ERROR_NOT_ALL_ASSIGNED) => Failure { reason: Reason::Denied, ..error.into() },
        error => error.into(),
    })?;
    api::set_thread_token(Some(own.as_handle()))?;
    let _back = Back(former);
    Ok(call())
}

/// Puts back whom this thread acted for, also when the call panics.
struct Back(Option<OwnedHandle>);

impl Drop for Back {
    fn drop(&mut self) {
        if let Err(LastError(code)) = api::set_thread_token(self.0.as_ref().map(AsHandle::as_handle)) {
            // All that this thread did from here on, it would do with rights that nobody gave it for that. A panic is no way
            // out: the thread could catch it and go on, and this may be the unwinding of one.
            let _ = writeln!(
                std::io::stderr(),
                "mmf: this thread cannot get rid of a privilege (SetThreadToken: error {code}): ending the process"
            );
            std::process::abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::windows::io::AsRawHandle;
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
    use std::{ptr, thread};

    use windows_sys::Win32::Security::{
        AdjustTokenPrivileges, LUID_AND_ATTRIBUTES, SE_PRIVILEGE_REMOVED, TOKEN_PRIVILEGES, TokenStatistics,
    };

    use super::*;

    const BOTH: [Privilege; 2] = [Privilege::CreateGlobal, Privilege::LockMemory];

    /// Which token this thread acts with: its own number, which no other token has.
    fn identity() -> u64 {
        // A TOKEN_STATISTICS starts with the token's number.
        let mut answer = [0; 7];
        api::query_token(TokenStatistics, &mut answer).unwrap();
        answer[0]
    }

    fn acts_for_another() -> bool {
        api::thread_token(TOKEN_QUERY).unwrap().is_some()
    }

    /// A token as this process has it, for a thread to act with.
    fn copy() -> OwnedHandle {
        let process = api::process_token(TOKEN_DUPLICATE | TOKEN_QUERY).unwrap();
        let access = TOKEN_DUPLICATE | TOKEN_ADJUST_PRIVILEGES | TOKEN_IMPERSONATE | TOKEN_QUERY;
        api::duplicate_token(process.as_handle(), access).unwrap()
    }

    /// The same, but with a privilege disabled (0), or removed.
    fn copy_with(privilege: Privilege, attributes: u32) -> OwnedHandle {
        let token = copy();
        let change = TOKEN_PRIVILEGES {
            PrivilegeCount: 1,
            Privileges: [LUID_AND_ATTRIBUTES { Luid: privilege.luid().unwrap(), Attributes: attributes }],
        };
        let (handle, none) = (token.as_raw_handle(), ptr::null_mut());
        // SAFETY: the handle is open; there is one privilege, as said; nothing is asked for.
        let result = unsafe { AdjustTokenPrivileges(handle, 0, &change, 0, none, ptr::null_mut()) };
        assert_ne!(result, 0);
        token
    }

    #[test]
    fn a_privilege_is_enabled_for_one_call() {
        for privilege in BOTH {
            let before = (held(privilege).unwrap(), identity());
            println!("{privilege:?}: {:?}", before.0);
            let during = with(privilege, || {
                let other = thread::spawn(move || (held(privilege).unwrap(), acts_for_another()));
                (held(privilege).unwrap(), identity(), acts_for_another(), other.join().unwrap())
            });
            if before.0 == Held::Missing {
                let failure = Failure { code: Some(1300), ..Failure::new(Reason::Denied) };
                assert_eq!(during.map(|_| ()), Err(failure));
            } else {
                let (now, token, acting, other) = during.unwrap();
                assert_eq!((now, acting), (Held::Enabled, true));
                assert_ne!(token, before.1);
                // Other threads have what they had.
                assert_eq!(other, (before.0, false));
            }
            assert_eq!((held(privilege).unwrap(), identity()), before);
            assert!(!acts_for_another());
        }
    }

    #[test]
    fn whom_the_thread_acted_for_it_acts_for_again() {
        let token = copy();
        api::set_thread_token(Some(token.as_handle())).unwrap();
        let before = identity();
        for privilege in BOTH {
            let had = held(privilege).unwrap();
            let during = with(privilege, || (held(privilege).unwrap(), identity()));
            if let Ok((now, token)) = during {
                assert_eq!(now, Held::Enabled);
                assert_ne!(token, before);
            }
            assert_eq!((held(privilege).unwrap(), identity()), (had, before));
        }
        assert!(acts_for_another());
        api::set_thread_token(None).unwrap();
        assert!(!acts_for_another());
    }

    #[test]
    fn a_privilege_that_was_disabled_is_so_again() {
        let privilege = Privilege::CreateGlobal;
        if held(privilege).unwrap() == Held::Missing {
            println!("this user does not have the privilege: not tested");
            return;
        }
        let token = copy_with(privilege, 0);
        api::set_thread_token(Some(token.as_handle())).unwrap();
        let before = identity();
        assert_eq!(held(privilege).unwrap(), Held::Disabled);
        assert_eq!(with(privilege, || held(privilege).unwrap()).unwrap(), Held::Enabled);
        assert_eq!(held(privilege).unwrap(), Held::Disabled);
        assert_eq!(identity(), before);
        api::set_thread_token(None).unwrap();
    }

    #[test]
    fn panics_keep_nothing() {
        let before = identity();
        let result = catch_unwind(AssertUnwindSafe(|| {
            with(Privilege::CreateGlobal, || -> () { resume_unwind(Box::new("expected")) })
        }));
        assert_eq!(result.is_ok(), held(Privilege::CreateGlobal).unwrap() == Held::Missing);
        assert_eq!(identity(), before);
        assert!(!acts_for_another());
    }

    #[test]
    fn calls_inside_calls() {
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
    fn without_the_privilege_nothing_is_called() {
        for privilege in BOTH {
            let token = copy_with(privilege, SE_PRIVILEGE_REMOVED);
            api::set_thread_token(Some(token.as_handle())).unwrap();
            let before = identity();
            assert_eq!(held(privilege).unwrap(), Held::Missing);
            let mut called = false;
            let result = with(privilege, || called = true);
            assert_eq!(result, Err(Failure { code: Some(1300), ..Failure::new(Reason::Denied) }));
            assert!(!called);
            assert_eq!(identity(), before);
            api::set_thread_token(None).unwrap();
        }
    }
}
