//! Rules on recorded facts, for situations that no test machine can be brought into: sessions, integrity
//! levels, missing privileges and sandboxes of Windows. The conformance suite tests all others for real.
#![allow(clippy::unwrap_used, reason = "a test")]

use super::super::facts::Caller;
use super::super::finding::Diagnosis;
use super::*;
use crate::name::Name;
use crate::options::OpenOptions;
use crate::security::{IntegrityLevel, Security};
#[cfg(unix)]
use crate::sys::Confinement;
use crate::sys::{FaultSign, Limits, MapLimits, MemoryGroup, NameProbe, RawSecurity, Reason, Space};

/// `O:S-1-5-21-1-2-3-1001 D:(A;;0x20007;;;WD)`, with a label of this level.
fn descriptor(level: u32) -> Security {
    labelled(level, 1)
}

/// Such a descriptor, with the accesses that the label denies to lower levels: 1 writing, 2 reading.
fn labelled(level: u32, denied: u8) -> Security {
    let mut bytes = vec![1, 0, 0x14, 0x90, 20, 0, 0, 0, 0, 0, 0, 0, 48, 0, 0, 0, 76, 0, 0, 0];
    bytes.extend([1, 5, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0xe9, 3, 0, 0]);
    bytes.extend([2, 0, 28, 0, 1, 0, 0, 0, 0x11, 0, 20, 0, denied, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 16]);
    bytes.extend(level.to_le_bytes());
    bytes.extend([2, 0, 28, 0, 1, 0, 0, 0, 0, 0, 20, 0, 7, 0, 2, 0, 1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]);
    Security::from_raw(RawSecurity::Descriptor(bytes)).unwrap()
}

fn user() -> Account {
    Account::new("S-1-5-21-1-2-3-1002".to_owned(), |_| Some(r"HOST\ann".to_owned()))
}

/// The facts of a program of an ordinary user in a session of its own, and of a free name.
fn facts() -> Facts {
    Facts {
        name_problem: None,
        here: NameProbe::default(),
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
            integrity: Some(IntegrityLevel::Medium),
            session: Some(1),
            app_container: false,
            restricted: false,
            package: None,
            create_global: PrivilegeState::Missing,
        },
        space: None,
        limits: Limits::default(),
        security_problem: None,
        pages_problem: None,
        expected_owner: None,
        owner_problem: None,
    }
}

/// The facts of a region that may be opened in this way.
fn there(may_read: bool, may_write: bool) -> NameProbe {
    let there = NameProbe { state: NameState::Memory, len: Some(4096), ..NameProbe::default() };
    NameProbe { may_read, may_write, ..there }
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
    // Local names do not need it, nor does opening, nor does a service.
    assert!(asked(Operation::Create, "x", &facts()).is_ok());
    let opened = Facts { here: there(true, true), ..facts() };
    assert!(asked(Operation::Open, r"Global\x", &opened).is_ok());
    assert!(asked(Operation::OpenOrCreate, r"Global\x", &opened).is_ok());
    let mut service = facts();
    service.caller.create_global = PrivilegeState::NotNeeded;
    assert!(asked(Operation::Create, r"Global\x", &service).is_ok());
    // A disabled privilege is reported, and enabled for the call.
    let mut disabled = facts();
    disabled.caller.create_global = PrivilegeState::Disabled;
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
    assert_eq!(*cause, Cause::Integrity { object: IntegrityLevel::High, process: IntegrityLevel::Medium });
    assert_eq!(found, Some(ErrorKind::NotWritable));
    assert_eq!(
        *remedies,
        [Remedy::LetCreatorLowerIntegrity { to: IntegrityLevel::Medium }, Remedy::OpenReadOnly]
    );
    // A sandbox has reasons of its own for a refusal.
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
    assert_eq!(
        *first(&diagnosis).0,
        Cause::Integrity { object: IntegrityLevel::High, process: IntegrityLevel::Medium }
    );
    assert_eq!(diagnosis.error_kind(), Some(ErrorKind::PermissionDenied));
    // An object without a label counts as medium.
    facts.here = there(true, false);
    facts.security = None;
    facts.caller.integrity = Some(IntegrityLevel::Low);
    let diagnosis = asked(Operation::Open, "x", &facts);
    assert_eq!(
        *first(&diagnosis).0,
        Cause::Integrity { object: IntegrityLevel::Medium, process: IntegrityLevel::Low }
    );
    // If the list does not allow it either, the label is not the cause.
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
    let Cause::NotGranted { write: true, user: you, security } = cause else { panic!("{cause:?}") };
    assert_eq!((you, kind), (&Some(user()), Some(ErrorKind::NotWritable)));
    assert_eq!(security.as_deref(), facts.security.as_ref());
    let grant = Remedy::LetCreatorGrant { write: true, account: Some(user()) };
    let owner = facts.security.as_ref().unwrap().owner().unwrap();
    assert_eq!(*remedies, [Remedy::OpenReadOnly, grant, Remedy::RunAs { account: owner }]);
    assert!(diagnosis.to_string().contains(r#"grant_write(Principal::user("HOST\\ann"))"#), "{diagnosis}");
}

#[test]
fn sandboxes_have_names_of_their_own() {
    let mut facts = facts();
    facts.caller.app_container = true;
    for operation in [Operation::Create, Operation::OpenOrCreate] {
        let diagnosis = asked(operation, r"Global\x", &facts);
        let (cause, kind, remedies) = first(&diagnosis);
        assert_eq!((cause, kind), (&Cause::AppContainer, Some(ErrorKind::PermissionDenied)));
        assert_eq!(remedies[0], Remedy::HandOff);
    }
    // A name that it cannot find may exist for other processes.
    let diagnosis = asked(Operation::Open, "x", &facts);
    assert_eq!(diagnosis.error_kind(), Some(ErrorKind::NotFound));
    assert!(diagnosis.causes().any(|cause| *cause == Cause::AppContainer));
    // An object that exists and grants nothing.
    facts.here.state = NameState::Hidden;
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
    assert_eq!(*finding.cause(), Cause::LocalScope { session: Some(1) });
    assert_eq!(*finding.remedies(), [Remedy::UseGlobalName]);
    assert!(diagnosis.to_string().contains("this session (1)"), "{diagnosis}");
}

#[test]
fn commit_limits_are_told() {
    let space = |left| {
        Some(Space { place: "the commit limit", is_mount: false, left, limit: 1 << 20, problem: None })
    };
    let facts = |left| Facts { space: space(left), ..facts() };
    let diagnosis = asked(Operation::Create, "x", &facts(4095));
    let (cause, kind, remedies) = first(&diagnosis);
    assert_eq!(
        *cause,
        Cause::OutOfMemory { asked: 4096, left: 4095, limit: 1 << 20, of: "the commit limit" }
    );
    assert_eq!(kind, Some(ErrorKind::OutOfMemory));
    assert_eq!(*remedies, [Remedy::AskForLess { most: 4095 }, Remedy::FreeMemory]);
    let diagnosis = asked(Operation::Create, "x", &facts(4096));
    assert!(diagnosis.is_ok());
    assert_eq!(diagnosis.findings()[0].severity(), Severity::Warning);
    assert_eq!(asked(Operation::Create, "x", &facts(1 << 20)).findings().len(), 1);
    // An existing region needs no further memory.
    let there = Facts { here: there(true, true), ..facts(0) };
    assert!(asked(Operation::OpenOrCreate, "x", &there).is_ok());
}

#[test]
fn every_trouble_has_a_cure_and_a_text() {
    for trouble in
        [StorageProblem::Missing, StorageProblem::ReadOnly, StorageProblem::Denied, StorageProblem::NoFiles]
    {
        let space = Space { place: "/dev/shm", is_mount: true, left: 0, limit: 0, problem: Some(trouble) };
        let diagnosis = asked(Operation::Create, "x", &Facts { space: Some(space), ..facts() });
        assert!(!diagnosis.is_ok());
        assert!(!first(&diagnosis).2.is_empty());
        assert!(diagnosis.to_string().starts_with("  why: /dev/shm "), "{diagnosis}");
    }
}

/// The facts of a fault at this offset of a region of this length, with so much space left.
fn fault_at(sign: FaultSign, offset: u64, len: u64, left: u64) -> FaultFacts {
    let space = Space { place: "/dev/shm", is_mount: true, left, limit: 1 << 26, problem: None };
    FaultFacts { sign, offset, page: 4096, len: Some(len), is_file: false, space: Some(space), group: None }
}

#[test]
fn faults_are_told_by_facts() {
    use FaultSign::{BadMemory, Device, Inaccessible, NoStorage, Unbacked};
    let causes = |facts| fault(facts).into_iter().map(|finding| finding.cause).collect::<Vec<_>>();
    let full = |left| Cause::Full { of: "/dev/shm", left, limit: Some(1 << 26) };
    // Beyond the end, whatever space is left; the rest of the last page can be accessed.
    assert_eq!(causes(fault_at(Unbacked, 8192, 8192, 0)), [Cause::Truncated { len: 8192 }]);
    assert_eq!(causes(fault_at(Unbacked, 5000, 4096, 1 << 20)), [Cause::Truncated { len: 4096 }]);
    assert_eq!(causes(fault_at(Unbacked, 4500, 4200, 0)), [full(0)]);
    assert_eq!(causes(fault_at(Unbacked, 0, 8192, 4095)), [full(4095)]);
    assert_eq!(causes(fault_at(NoStorage, 0, 8192, 1 << 20)), [full(1 << 20)]);
    assert_eq!(causes(fault_at(Inaccessible, 0, 8192, 0)), [Cause::Inaccessible]);
    assert_eq!(causes(fault_at(BadMemory, 0, 8192, 0)), [Cause::BadMemory]);
    assert_eq!(causes(fault_at(Device, 0, 8192, 0)), [Cause::Device]);
    // If two causes fit, both are reported.
    let group = MemoryGroup { used: (1 << 30) - 4096, limit: 1 << 30 };
    let both = FaultFacts { group: Some(group), ..fault_at(Unbacked, 0, 8192, 0) };
    assert_eq!(causes(both), [full(0), Cause::ControlGroup { used: group.used, limit: group.limit }]);
    let only = FaultFacts { group: Some(group), ..fault_at(Unbacked, 0, 8192, 1 << 20) };
    assert_eq!(causes(only), [Cause::ControlGroup { used: group.used, limit: group.limit }]);
    let roomy = FaultFacts { group: Some(MemoryGroup { used: 0, limit: 1 << 30 }), ..only };
    assert!(matches!(causes(roomy)[..], [Cause::Unexplained { .. }]));
    // If no known cause fits, that is reported.
    for unknown in [
        fault_at(Unbacked, 0, 8192, 1 << 20),
        FaultFacts { space: None, ..fault_at(Unbacked, 0, 8192, 0) },
        FaultFacts { len: None, ..fault_at(Unbacked, 0, 0, 1 << 20) },
        FaultFacts { is_file: true, ..fault_at(Unbacked, 0, 8192, 1 << 20) },
    ] {
        assert!(matches!(causes(unknown)[..], [Cause::Unexplained { .. }]), "{unknown:?}");
    }
    for finding in fault(both) {
        assert_eq!(finding.kind, Some(ErrorKind::Fault));
        assert!(!finding.remedies.is_empty());
    }
}

#[test]
fn refused_mappings_are_told_by_facts() {
    let facts = |reason, is_private, limits| MapFacts {
        failure: Failure::new(reason),
        asked: 1 << 20,
        is_private,
        limits,
        group: None,
    };
    let limits = || MapLimits { mappings: Some((100, 65530)), gap: Some(1 << 40), ..MapLimits::default() };
    let causes =
        |facts: &MapFacts| mapping(facts).into_iter().map(|finding| finding.cause).collect::<Vec<_>>();
    let in_use = |name, used, asked, limit| Cause::LimitInUse { name, used, asked, limit };
    let no_memory = |left, limit, of| Cause::OutOfMemory { asked: 1 << 20, left, limit, of };
    let (strict, heuristic) =
        ("the commit limit (vm.overcommit_memory is 2)", "RAM and swap (vm.overcommit_memory is 0)");
    for (is_private, limits, expected) in [
        (
            false,
            MapLimits { mappings: Some((65529, 65530)), ..limits() },
            Some(in_use("vm.max_map_count", 65529, 1, 65530)),
        ),
        (
            false,
            MapLimits { address_space: Some((1 << 20, (1 << 21) - 1)), ..limits() },
            Some(in_use("RLIMIT_AS", 1 << 20, 1 << 20, (1 << 21) - 1)),
        ),
        (
            true,
            MapLimits { data: Some((1, 1 << 20)), ..limits() },
            Some(in_use("RLIMIT_DATA", 1, 1 << 20, 1 << 20)),
        ),
        (
            true,
            MapLimits { commit: Some((4096, 1 << 30)), ..limits() },
            Some(no_memory(4096, 1 << 30, strict)),
        ),
        (
            true,
            MapLimits { most_private: Some(1 << 19), ..limits() },
            Some(no_memory(1 << 19, 1 << 19, heuristic)),
        ),
        (
            false,
            MapLimits { gap: Some(1 << 19), ..limits() },
            Some(Cause::AddressSpace { asked: 1 << 20, largest: Some(1 << 19) }),
        ),
        // Limits on private pages are no cause for shared ones.
        (
            false,
            MapLimits { data: Some((1, 1 << 20)), commit: Some((0, 1)), most_private: Some(1), ..limits() },
            None,
        ),
        (true, limits(), None),
    ] {
        let found = causes(&facts(Reason::NoMemory, is_private, limits.clone()));
        match expected {
            Some(expected) => assert_eq!(found, [expected], "{limits:?}"),
            None => assert!(matches!(found[..], [Cause::Unexplained { .. }]), "{limits:?}: {found:?}"),
        }
    }
    // If nothing can be read, the address space is a possible cause.
    let unknown = causes(&facts(Reason::NoMemory, false, MapLimits::default()));
    assert_eq!(unknown, [Cause::AddressSpace { asked: 1 << 20, largest: None }]);
    // If two causes fit, both are reported.
    let both =
        MapLimits { mappings: Some((65530, 65530)), address_space: Some((1 << 30, 1 << 30)), ..limits() };
    assert_eq!(causes(&facts(Reason::NoMemory, false, both)).len(), 2);
    // After `mlockall` every mapping is locked.
    let locked = MapLimits { locked: Some((1 << 16, 1 << 20)), ..limits() };
    let found = causes(&facts(Reason::Limit, false, locked));
    assert_eq!(found, [in_use("RLIMIT_MEMLOCK", 1 << 16, 1 << 20, 1 << 20)]);
}

#[test]
#[cfg(unix)]
fn what_rights_allow_is_refused_by_something_else() {
    let confinement = Confinement { seccomp: true, container: Some("Docker"), ..Confinement::default() };
    let closed = Facts {
        here: there(false, false),
        list_allows: Some((true, true)),
        confinement: Some(confinement),
        ..facts()
    };
    let diagnosis = asked(Operation::Open, r"Global\x", &closed);
    let (cause, kind, remedies) = first(&diagnosis);
    assert!(
        matches!(cause, Cause::RefusedByPolicy { seccomp: true, container: Some("Docker"), .. }),
        "{cause:?}"
    );
    assert_eq!((kind, &remedies[0]), (Some(ErrorKind::PermissionDenied), &Remedy::AllowInPolicy));
    // Reading works, so only writing is refused.
    let half = Facts { here: there(true, false), ..closed.clone() };
    let diagnosis = asked(Operation::Open, r"Global\x", &half);
    let (cause, kind, remedies) = first(&diagnosis);
    assert!(matches!(cause, Cause::RefusedByPolicy { .. }), "{cause:?}");
    assert_eq!(kind, Some(ErrorKind::NotWritable));
    assert!(remedies.contains(&Remedy::OpenReadOnly));
    // If the rights refuse it, they are the cause.
    for allows in [(false, false), (true, false)] {
        let facts = Facts { list_allows: Some(allows), here: there(allows.0, false), ..closed.clone() };
        assert!(matches!(first(&asked(Operation::Open, r"Global\x", &facts)).0, Cause::NotGranted { .. }));
    }
    // In a snap, the allowed name is suggested.
    let label = Some("snap.viewer.viewer (enforce)".to_owned());
    let snap = Confinement { snap: Some("viewer".to_owned()), label, ..Confinement::default() };
    let diagnosis = asked(Operation::Open, r"Global\x", &Facts { confinement: Some(snap), ..closed });
    let expected = Remedy::UseSandboxName { name: r"Global\snap.viewer.x".to_owned() };
    assert_eq!(first(&diagnosis).2[0], expected, "{diagnosis}");
}
