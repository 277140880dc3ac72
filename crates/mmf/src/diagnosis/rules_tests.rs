//! Rules, tried on recorded facts: what a machine of the tests cannot be brought into, such as sessions, integrity levels,
//! missing privileges and sandboxes of Windows. What it can be brought into is tried for real in the conformance suite.
#![allow(clippy::unwrap_used, reason = "a test")]

use super::super::facts::Caller;
use super::super::{Diagnosis, Severity};
use super::*;
use crate::name::Name;
use crate::options::OpenOptions;
use crate::security::{Level, Security};
use crate::sys::{Limits, Shown, Sighting, Space};

/// `O:S-1-5-21-1-2-3-1001 D:(A;;0x20007;;;WD)`, with a label of this level.
fn descriptor(level: u32) -> Security {
    labelled(level, 1)
}

/// The same, with what the label denies to lower ones: 1 writing, 2 reading.
fn labelled(level: u32, denied: u8) -> Security {
    let mut bytes = vec![1, 0, 0x14, 0x90, 20, 0, 0, 0, 0, 0, 0, 0, 48, 0, 0, 0, 76, 0, 0, 0];
    bytes.extend([1, 5, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0xe9, 3, 0, 0]);
    bytes.extend([2, 0, 28, 0, 1, 0, 0, 0, 0x11, 0, 20, 0, denied, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 16]);
    bytes.extend(level.to_le_bytes());
    bytes.extend([2, 0, 28, 0, 1, 0, 0, 0, 0, 0, 20, 0, 7, 0, 2, 0, 1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]);
    Security::from_shown(Shown::Descriptor(bytes)).unwrap()
}

fn user() -> Account {
    Account::new("S-1-5-21-1-2-3-1002".to_owned(), |_| Some(r"HOST\ann".to_owned()))
}

/// A program of an ordinary user, in a session of its own, and nothing of the name.
fn facts() -> Facts {
    Facts {
        name_problem: None,
        here: Sighting::default(),
        security: None,
        list_allows: None,
        elsewhere: None,
        spelled: None,
        user_numbers: None,
        similar: None,
        confinement: None,
        holders: None,
        promised: None,
        group: None,
        limit: None,
        caller: Caller {
            user: Some(user()),
            integrity: Some(Level::Medium),
            session: Some(1),
            app_container: false,
            restricted: false,
            package: None,
            create_global: Held::Missing,
        },
        space: None,
        limits: Limits::default(),
        security_problem: None,
        pages_problem: None,
        expected_owner: None,
        owner_problem: None,
    }
}

/// A memory that lets itself be opened so far.
fn there(may_read: bool, may_write: bool) -> Sighting {
    let there = Sighting { presence: Presence::Memory, len: Some(4096), ..Sighting::default() };
    Sighting { may_read, may_write, ..there }
}

fn asked(operation: Operation, name: &str, facts: &Facts) -> Diagnosis {
    let (name, options) = (Name::new(name).unwrap(), OpenOptions::new().len(4096));
    Diagnosis::new(judge(Question { operation, name: &name, write: true, options: &options }, facts))
}

fn first(diagnosis: &Diagnosis) -> (&Cause, Option<ErrorKind>, &[Remedy]) {
    let finding = &diagnosis.findings()[0];
    (finding.cause(), finding.error_kind(), finding.remedies())
}

#[test]
fn making_global_names_takes_a_privilege() {
    let privilege = "SeCreateGlobalPrivilege";
    let diagnosis = asked(Operation::Create, r"Global\x", &facts());
    let (cause, kind, remedies) = first(&diagnosis);
    assert_eq!(*cause, Cause::PrivilegeMissing { privilege });
    assert_eq!(kind, Some(ErrorKind::PermissionDenied));
    assert_eq!(*remedies, [Remedy::UseLocalName, Remedy::Elevate, Remedy::GrantPrivilege { privilege }]);
    // Local ones do not; nor does opening; nor does a service.
    assert!(asked(Operation::Create, "x", &facts()).is_ok());
    let opened = Facts { here: there(true, true), ..facts() };
    assert!(asked(Operation::Open, r"Global\x", &opened).is_ok());
    assert!(asked(Operation::OpenOrCreate, r"Global\x", &opened).is_ok());
    let mut service = facts();
    service.caller.create_global = Held::NotNeeded;
    assert!(asked(Operation::Create, r"Global\x", &service).is_ok());
    // Who has it without having enabled it is told, and helped.
    let mut disabled = facts();
    disabled.caller.create_global = Held::Disabled;
    let diagnosis = asked(Operation::Create, r"Global\x", &disabled);
    assert!(diagnosis.is_ok());
    assert!(diagnosis.causes().any(|cause| *cause == Cause::PrivilegeDisabled { privilege }));
}

#[test]
fn integrity_is_told_from_grants() {
    let mut facts = Facts {
        here: there(true, false),
        security: Some(descriptor(0x3000)),
        list_allows: Some((true, true)),
        ..facts()
    };
    let diagnosis = asked(Operation::Open, "x", &facts);
    let (cause, found, remedies) = first(&diagnosis);
    assert_eq!(*cause, Cause::Integrity { object: Level::High, yours: Level::Medium });
    assert_eq!(found, Some(ErrorKind::NotWritable));
    assert_eq!(*remedies, [Remedy::LetMakerLowerIntegrity { to: Level::Medium }, Remedy::OpenReadOnly]);
    // A sandbox is refused for reasons of its own.
    for sandbox in [|c: &mut Caller| c.restricted = true, |c: &mut Caller| c.app_container = true] {
        let mut facts = facts.clone();
        sandbox(&mut facts.caller);
        assert!(matches!(first(&asked(Operation::Open, "x", &facts)).0, Cause::NotGranted { .. }));
    }
    // Reading is refused by a label only if the label says so.
    facts.here = there(false, false);
    assert!(matches!(first(&asked(Operation::Open, "x", &facts)).0, Cause::NotGranted { .. }));
    facts.security = Some(labelled(0x3000, 3));
    let diagnosis = asked(Operation::Open, "x", &facts);
    assert_eq!(*first(&diagnosis).0, Cause::Integrity { object: Level::High, yours: Level::Medium });
    assert_eq!(diagnosis.error_kind(), Some(ErrorKind::PermissionDenied));
    // An object without a label counts as medium.
    facts.here = there(true, false);
    facts.security = None;
    facts.caller.integrity = Some(Level::Low);
    let diagnosis = asked(Operation::Open, "x", &facts);
    assert_eq!(*first(&diagnosis).0, Cause::Integrity { object: Level::Medium, yours: Level::Low });
    // If the list does not allow it either, the label is not to blame.
    facts.list_allows = Some((true, false));
    assert!(matches!(first(&asked(Operation::Open, "x", &facts)).0, Cause::NotGranted { .. }));
}

#[test]
fn grants_name_who_is_to_get_them() {
    let facts = Facts {
        here: there(true, false),
        security: Some(descriptor(0x2000)),
        list_allows: Some((true, false)),
        ..facts()
    };
    let diagnosis = asked(Operation::Open, r"Global\x", &facts);
    let (cause, kind, remedies) = first(&diagnosis);
    let Cause::NotGranted { write: true, you, security } = cause else { panic!("{cause:?}") };
    assert_eq!((you, kind), (&Some(user()), Some(ErrorKind::NotWritable)));
    assert_eq!(security.as_deref(), facts.security.as_ref());
    let grant = Remedy::LetMakerGrant { write: true, who: Some(user()) };
    let owner = facts.security.as_ref().unwrap().owner().unwrap();
    assert_eq!(*remedies, [Remedy::OpenReadOnly, grant, Remedy::RunAs { who: owner }]);
    assert!(diagnosis.to_string().contains(r#"grant_write(Who::user("HOST\\ann"))"#), "{diagnosis}");
}

#[test]
fn sandboxes_have_names_of_their_own() {
    let mut facts = facts();
    facts.caller.app_container = true;
    for operation in [Operation::Create, Operation::OpenOrCreate] {
        let diagnosis = asked(operation, r"Global\x", &facts);
        let (cause, kind, remedies) = first(&diagnosis);
        assert_eq!((cause, kind), (&Cause::AppContainer, Some(ErrorKind::PermissionDenied)));
        assert_eq!(remedies[0], Remedy::HandOver);
    }
    // A name that it cannot find may well be there for others.
    let diagnosis = asked(Operation::Open, "x", &facts);
    assert_eq!(diagnosis.error_kind(), Some(ErrorKind::NotFound));
    assert!(diagnosis.causes().any(|cause| *cause == Cause::AppContainer));
    // What is there and closed in every way.
    facts.here.presence = Presence::Hidden;
    let diagnosis = asked(Operation::Open, r"Global\x", &facts);
    assert_eq!(diagnosis.error_kind(), Some(ErrorKind::PermissionDenied));
    assert!(diagnosis.causes().any(|cause| *cause == Cause::AppContainer));
    assert!(diagnosis.causes().any(|cause| *cause == Cause::Hidden));
}

#[test]
fn sessions_are_named() {
    let diagnosis = asked(Operation::Open, "x", &facts());
    assert_eq!(diagnosis.error_kind(), Some(ErrorKind::NotFound));
    let finding = &diagnosis.findings()[1];
    assert_eq!(*finding.cause(), Cause::LocalToOthers { session: Some(1) });
    assert_eq!(*finding.remedies(), [Remedy::UseGlobalName]);
    assert!(diagnosis.to_string().contains("this session (1)"), "{diagnosis}");
}

#[test]
fn commit_limits_are_told() {
    let space = |left| {
        Some(Space { place: "the commit limit", is_mount: false, left, limit: 1 << 20, trouble: None })
    };
    let facts = |left| Facts { space: space(left), ..facts() };
    let diagnosis = asked(Operation::Create, "x", &facts(4095));
    let (cause, kind, remedies) = first(&diagnosis);
    assert_eq!(*cause, Cause::NoMemory { asked: 4096, left: 4095, limit: 1 << 20, of: "the commit limit" });
    assert_eq!(kind, Some(ErrorKind::OutOfMemory));
    assert_eq!(*remedies, [Remedy::AskForLess { most: 4095 }, Remedy::FreeMemory]);
    let diagnosis = asked(Operation::Create, "x", &facts(4096));
    assert!(diagnosis.is_ok());
    assert_eq!(diagnosis.findings()[0].severity(), Severity::Warning);
    assert_eq!(asked(Operation::Create, "x", &facts(1 << 20)).findings().len(), 1);
    // What exists needs no memory.
    let there = Facts { here: there(true, true), ..facts(0) };
    assert!(asked(Operation::OpenOrCreate, "x", &there).is_ok());
}

#[test]
fn every_trouble_has_a_cure_and_a_text() {
    for trouble in [Trouble::Missing, Trouble::ReadOnly, Trouble::Denied, Trouble::NoFiles] {
        let space = Space { place: "/dev/shm", is_mount: true, left: 0, limit: 0, trouble: Some(trouble) };
        let diagnosis = asked(Operation::Create, "x", &Facts { space: Some(space), ..facts() });
        assert!(!diagnosis.is_ok());
        assert!(!first(&diagnosis).2.is_empty());
        assert!(diagnosis.to_string().starts_with("  why: /dev/shm "), "{diagnosis}");
    }
}
