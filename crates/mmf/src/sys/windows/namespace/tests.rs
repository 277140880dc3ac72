//! Tests against substitutes of the calls: which calls are made, in which order and with which arguments, and
//! how their results are used. The last test calls the system, where it has private namespaces.

use windows_sys::Win32::Foundation::ERROR_NOT_ENOUGH_MEMORY;

use super::super::api::substitute::{self, log, state};
use super::super::sid::WORLD;
use super::super::{account, descriptor};
use super::*;

const SYSTEM: [u8; 12] = [1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0];
const MEDIUM: [u8; 12] = [1, 1, 0, 0, 0, 0, 0, 16, 0, 0x20, 0, 0];

/// Returns the calls of a process that has just started, and a descriptor for its namespaces.
fn substitute() -> (&'static System, Vec<u8>) {
    let descriptor = descriptor::from_sddl("D:P(A;;GA;;;WD)").unwrap();
    state(|state| state.descriptor.clone_from(&descriptor));
    (Box::leak(Box::new(System::new(substitute::calls()))), descriptor)
}

fn open_or_create(
    system: &'static System,
    name: &str,
    sids: &[Vec<u8>],
    descriptor: &[u8],
    alias: &str,
) -> Result<PrivateNamespace, Failure> {
    system.open_or_create(&Boundary::new(name, sids, None), descriptor, alias)
}

fn open(
    system: &'static System,
    name: &str,
    sids: &[Vec<u8>],
    integrity: Option<u32>,
    alias: &str,
) -> Result<PrivateNamespace, Failure> {
    system.open(&Boundary::new(name, sids, integrity), alias)
}

/// Adds a namespace that another process has open.
fn open_in_another_process(name: &str, sids: &[Vec<u8>]) {
    let boundary = substitute::Boundary { name: name.into(), sids: sids.to_vec(), label: None };
    state(|state| state.namespaces.push((boundary, 1)));
}

fn reason<T>(result: Result<T, Failure>) -> Option<(Reason, Option<i32>)> {
    result.err().map(|failure| (failure.reason, failure.code))
}

#[test]
fn creating_makes_the_documented_calls() {
    let (system, descriptor) = substitute();
    let sids = [SYSTEM.to_vec(), WORLD.to_vec(), SYSTEM.to_vec()];
    let namespace =
        system.open_or_create(&Boundary::new("b", &sids, Some(0x2000)), &descriptor, "ä").unwrap();
    let add = |sid| format!("add {sid:?}");
    assert_eq!(
        log(),
        [
            "boundary b 0".to_owned(),
            add(WORLD),
            add(SYSTEM),
            format!("label {MEDIUM:?}"),
            "open ä".to_owned(),
            "create ä".to_owned(),
            "delete".to_owned(),
        ]
    );
    let created = substitute::Boundary {
        name: "b".into(),
        sids: vec![WORLD.to_vec(), SYSTEM.to_vec()],
        label: Some(MEDIUM.to_vec()),
    };
    assert_eq!(state(|state| state.namespaces.clone()), [(created, 1)]);
    assert_eq!(format!("{namespace:?}"), "PrivateNamespace { alias: \"ä\", .. }");
    drop(namespace);
    assert_eq!(log(), ["close 0"]);
    assert!(state(|state| state.namespaces.is_empty()));
    assert!(state(|state| state.boundaries.iter().all(Option::is_none)));
}

#[test]
fn opening_makes_the_documented_calls() {
    let (system, descriptor) = substitute();
    assert_eq!(reason(open(system, "b", &[], None, "a")), Some((Reason::Missing, Some(3))));
    assert_eq!(log(), ["boundary b 0", "open a", "delete"]);
    open_in_another_process("b", &[WORLD.to_vec()]);
    // A boundary is identified by its name and its SIDs together.
    for (name, sids) in [("b", vec![]), ("c", vec![WORLD.to_vec()])] {
        assert_eq!(reason(open(system, name, &sids, None, "a")), Some((Reason::Missing, Some(3))));
    }
    assert_eq!(
        reason(open(system, "b", &[WORLD.to_vec()], Some(0x2000), "a")),
        Some((Reason::Missing, Some(3)))
    );
    log();
    let opened = open(system, "b", &[WORLD.to_vec()], None, "a").unwrap();
    assert_eq!(
        log(),
        ["boundary b 0".to_owned(), format!("add {WORLD:?}"), "open a".to_owned(), "delete".to_owned()]
    );
    drop(opened);
    // A process outside the boundary cannot create the namespace, but may be allowed to open it.
    state(|state| state.denied = true);
    drop(open_or_create(system, "b", &[WORLD.to_vec()], &descriptor, "a").unwrap());
    let denied = open_or_create(system, "d", &[WORLD.to_vec()], &descriptor, "a");
    assert_eq!(reason(denied), Some((Reason::Denied, Some(5))));
    assert_eq!(state(|state| state.namespaces.len()), 1);
}

#[test]
fn an_alias_is_shared_within_the_process() {
    let (system, descriptor) = substitute();
    let sids = [WORLD.to_vec(), SYSTEM.to_vec()];
    let turned = [SYSTEM.to_vec(), WORLD.to_vec()];
    let first = open_or_create(system, "b", &sids, &descriptor, "a").unwrap();
    log();
    let second = open_or_create(system, "b", &turned, &descriptor, "a").unwrap();
    let third = open(system, "b", &sids, None, "a").unwrap();
    assert!(!log().iter().any(|call| call.starts_with("create") || call.starts_with("open")));
    // An alias means one boundary at a time.
    let other = Some((Reason::Exists, Some(52)));
    assert_eq!(reason(open_or_create(system, "c", &sids, &descriptor, "a")), other);
    assert_eq!(reason(open(system, "b", &sids, Some(0x2000), "a")), other);
    // Another alias for the same boundary has a handle of its own.
    let alias = open(system, "b", &sids, None, "a2").unwrap();
    log();
    drop(first);
    drop(third);
    assert!(log().is_empty());
    drop(second);
    assert_eq!(log(), ["close 0"]);
    assert_eq!(state(|state| state.namespaces.len()), 1);
    drop(open_or_create(system, "c", &sids, &descriptor, "a").unwrap());
    drop(alias);
    assert!(state(|state| state.namespaces.is_empty()));
}

#[test]
fn an_alias_of_another_copy_of_the_library_is_refused() {
    let (system, descriptor) = substitute();
    let (theirs, _) = substitute();
    let _theirs = open_or_create(theirs, "b", &[], &descriptor, "a").unwrap();
    for name in ["b", "c"] {
        let refused = open_or_create(system, name, &[], &descriptor, "a");
        assert_eq!(reason(refused), Some((Reason::Exists, Some(52))));
    }
    assert!(open(system, "b", &[], None, "mine").is_ok());
}

#[test]
fn a_namespace_that_is_being_created_is_opened_once_it_is_complete() {
    let (system, descriptor) = substitute();
    open_in_another_process("b", &[]);
    state(|state| state.being_created = 3);
    let namespace = open_or_create(system, "b", &[], &descriptor, "a").unwrap();
    let mut calls = vec!["boundary b 0"];
    // The third attempt fails to open, and then finds the namespace complete.
    calls.extend(["open a", "create a"].repeat(3));
    calls.extend(["open a", "delete"]);
    assert_eq!(log(), calls);
    drop(namespace);
    // The attempts are bounded.
    state(|state| state.being_created = u32::MAX);
    let never = open_or_create(system, "b", &[], &descriptor, "a");
    assert_eq!(reason(never), Some((Reason::Exists, Some(183))));
}

#[test]
fn invalid_arguments_are_refused_before_a_namespace_is_opened() {
    let (system, descriptor) = substitute();
    for alias in ["", "a\0", r"a\b", "Global", "local", "SESSION"] {
        let refused = open_or_create(system, "b", &[], &descriptor, alias);
        assert_eq!(reason(refused), Some((Reason::BadName, None)), "{alias:?}");
        assert_eq!(reason(open(system, "b", &[], None, alias)), Some((Reason::BadName, None)));
    }
    for name in ["", "b\0"] {
        assert_eq!(reason(open(system, name, &[], None, "a")), Some((Reason::BadName, None)));
    }
    let half = open_or_create(system, "b", &[], &descriptor[..descriptor.len() - 1], "a");
    assert_eq!(reason(half), Some((Reason::Other, Some(1338))));
    assert!(log().is_empty());
    let sids = [WORLD.to_vec(), WORLD[..11].to_vec()];
    assert_eq!(reason(open(system, "b", &sids, None, "a")), Some((Reason::Other, Some(1337))));
    assert_eq!(log(), ["boundary b 0", "delete"]);
    state(|state| state.refuse_sid = Some(ERROR_NOT_ENOUGH_MEMORY));
    assert_eq!(reason(open(system, "b", &[WORLD.to_vec()], None, "a")), Some((Reason::NoMemory, Some(8))));
    assert!(state(|state| state.boundaries.iter().all(Option::is_none)));
}

#[test]
fn the_system_creates_opens_and_closes_namespaces() {
    fn is_shared<T: Send + Sync>() {}
    is_shared::<PrivateNamespace>();
    let user = account::token().unwrap().user;
    let boundary = format!("mmf-test-{}", std::process::id());
    let descriptor = descriptor::from_sddl("D:P(A;;GA;;;WD)").unwrap();
    let sids = [user];
    let create = || PrivateNamespace::open_or_create(&boundary, &sids, Some(0x1000), &descriptor, &boundary);
    if NamespaceCalls::look_up().is_none() {
        println!("this system has no private namespaces: only the error is tested");
        assert_eq!(reason(create()), Some((Reason::Unsupported, None)));
        let opened = PrivateNamespace::open(&boundary, &sids, None, &boundary);
        assert_eq!(reason(opened), Some((Reason::Unsupported, None)));
        return;
    }
    let missing = PrivateNamespace::open(&boundary, &sids, Some(0x1000), &boundary);
    assert_eq!(reason(missing).map(|(reason, _)| reason), Some(Reason::Missing));
    let first = create().unwrap();
    let second = create().unwrap();
    let alias = format!("{boundary}-2");
    drop(PrivateNamespace::open(&boundary, &sids, Some(0x1000), &alias).unwrap());
    drop((first, second));
    let gone = PrivateNamespace::open(&boundary, &sids, Some(0x1000), &boundary);
    assert_eq!(reason(gone).map(|(reason, _)| reason), Some(Reason::Missing));
}
