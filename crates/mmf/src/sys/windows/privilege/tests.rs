use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread;

use windows_sys::Win32::Security::{SE_PRIVILEGE_REMOVED, TokenStatistics};

use super::*;

const BOTH: [Privilege; 2] = [Privilege::CreateGlobal, Privilege::LockMemory];

/// Returns the unique id of the token that this thread acts with.
fn identity() -> u64 {
    // A TOKEN_STATISTICS starts with the id of the token.
    let (token, mut reply) = (api::get_current_thread_effective_token(), [0; 7]);
    api::get_token_information(token, TokenStatistics, &mut reply).unwrap();
    reply[0]
}

fn impersonates() -> bool {
    api::open_thread_token(TOKEN_QUERY).unwrap().is_some()
}

/// Returns a copy of the token of this process, for a thread to impersonate.
fn copy() -> OwnedHandle {
    let process = api::open_process_token(api::get_current_process(), TOKEN_DUPLICATE | TOKEN_QUERY).unwrap();
    let access = TOKEN_DUPLICATE | TOKEN_ADJUST_PRIVILEGES | TOKEN_IMPERSONATE | TOKEN_QUERY;
    api::duplicate_token(process.as_handle(), access).unwrap()
}

/// Returns such a copy with a privilege disabled (0) or removed.
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
