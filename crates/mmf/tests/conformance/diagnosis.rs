//! Refusals are explained and can be predicted, and a prediction changes nothing.

use mmf::diagnosis::{Cause, Diagnosis, Remedy, Severity};
use mmf::security::Security;
use mmf::{Error, ErrorKind, OpenOptions, SharedMemory};
use testkit::{Role, unique_name};

fn options() -> OpenOptions {
    OpenOptions::new().len(4096)
}

/// Returns the error's diagnosis, which must fit its kind and be part of its text.
fn explained(error: &Error) -> &Diagnosis {
    let diagnosis = error.diagnosis().unwrap_or_else(|| panic!("no diagnosis: {error}"));
    assert_eq!(diagnosis.error_kind(), Some(error.kind()), "{error}");
    assert!(format!("{error:#}").ends_with(&format!("\n{diagnosis}")), "{error:#}");
    assert_eq!(error.to_string().lines().count(), 1, "{error}");
    diagnosis
}

/// Asserts that a cause explains the error, and that the check in advance reports that cause, too.
#[track_caller]
fn expect(error: &Error, preflight: &Diagnosis, cause: impl Fn(&Cause) -> bool) {
    let found = explained(error).findings().iter().find(|finding| finding.error_kind().is_some()).unwrap();
    assert!(cause(found.cause()), "{error}");
    assert!(!found.remedies().is_empty(), "no cure: {error}");
    assert_eq!(preflight.error_kind(), Some(error.kind()), "{preflight}\n--\n{error}");
    assert!(preflight.causes().any(cause), "{preflight}");
}

pub(crate) fn missing_names() {
    let name = unique_name("none");
    for (error, check) in [
        (SharedMemory::open(&name).unwrap_err(), OpenOptions::new().check_open(&name)),
        (SharedMemory::open_read_only(&name).unwrap_err(), OpenOptions::new().check_open_read_only(&name)),
    ] {
        expect(&error, &check, |cause| *cause == Cause::Missing);
        assert!(explained(&error).causes().any(|cause| matches!(cause, Cause::LocalScope { .. })), "{error}");
    }
    let check = options().check_open_or_create(&name);
    assert!(check.is_ok() && check.causes().any(|cause| *cause == Cause::Free), "{check}");
}

pub(crate) fn in_the_other_namespace() {
    for (made, asked) in [("Global", "Local"), ("Local", "Global")] {
        let text = unique_name("elsewhere");
        let (made, asked) = (format!(r"{made}\{text}"), format!(r"{asked}\{text}"));
        let _memory = SharedMemory::create(&made, 1).unwrap();
        let error = SharedMemory::open(&asked).unwrap_err();
        expect(&error, &OpenOptions::new().check_open(&asked), |cause| *cause == Cause::Missing);
        let is_shown = |cause: &Cause| matches!(cause, Cause::OtherNamespace { name, .. } if *name == made);
        assert!(explained(&error).causes().any(is_shown), "{error}");
        let first = explained(&error).remedies().next();
        assert!(matches!(first, Some(Remedy::OpenName { name, .. }) if *name == made), "{error}");
    }
}

pub(crate) fn in_another_spelling() {
    if cfg!(target_vendor = "apple") {
        testkit::skip("nothing lists the names here");
    }
    let name = unique_name("Spelled");
    let _memory = SharedMemory::create(&name, 1).unwrap();
    let check = OpenOptions::new().check_open(name.to_uppercase());
    let full = format!(r"Local\{name}");
    let is_shown = |cause: &Cause| matches!(cause, Cause::OtherCase { name, .. } if *name == full);
    assert!(check.causes().any(is_shown), "{check}");
    assert_eq!(check.error_kind(), Some(ErrorKind::NotFound));
}

pub(crate) fn existing_names() {
    let name = unique_name("there");
    let memory = SharedMemory::create(&name, 4096).unwrap();
    let error = SharedMemory::create(&name, 10).unwrap_err();
    let me = memory.security().unwrap().owner();
    expect(&error, &options().check_create(&name), |cause| match cause {
        Cause::Exists { len, owner, .. } => *len == Some(memory.len()) && *owner == me,
        _ => false,
    });
}

pub(crate) fn smaller_than_requested() {
    let name = unique_name("small");
    let memory = SharedMemory::create(&name, 4096).unwrap();
    let options = OpenOptions::new().len(1 << 20);
    let expected = |cause: &Cause| match cause {
        Cause::TooSmall { asked, len, .. } => (*asked, *len) == (1 << 20, memory.len()),
        _ => false,
    };
    expect(&options.open(&name).unwrap_err(), &options.check_open(&name), expected);
    let error = options.open_or_create(&name).unwrap_err();
    expect(&error, &options.check_open_or_create(&name), expected);
    // A view that is larger than the region is a matter of size, too, not of access.
    let error = memory.view_at(0, 1 << 20).unwrap_err();
    assert_eq!((error.kind(), error.raw_os_error()), (ErrorKind::OutOfBounds, None), "{error}");
}

pub(crate) fn meaningless_checks() {
    let name = unique_name("senseless");
    for (check, kind) in [
        (OpenOptions::new().check_create(&name), ErrorKind::ZeroLength),
        (OpenOptions::new().len(u64::MAX).check_create(&name), ErrorKind::TooLarge),
        (options().check_create(r"global\x"), ErrorKind::InvalidName),
        (options().check_open(""), ErrorKind::EmptyName),
        (options().check_open_or_create("x".repeat(300)), ErrorKind::NameTooLong),
    ] {
        assert_eq!(check.error_kind(), Some(kind), "{check}");
        assert!(check.to_string().starts_with("  why: "), "{check}");
    }
}

pub(crate) fn unavailable_options() {
    // A check reports what the call reports, whatever exists.
    let (free, taken) = (unique_name("preference"), unique_name("preference"));
    let memory = SharedMemory::create(&taken, 4096).unwrap();
    let mut all = vec![
        OpenOptions::new(),
        OpenOptions::new().len(0),
        OpenOptions::new().len(u64::MAX),
        OpenOptions::new().len(1 << 20),
        options().security(
            Security::current_user().grant_read(mmf::security::Principal::user("no user has this name")),
        ),
        options().expect_len(1),
        options().expect_owner(mmf::security::Principal::user("no user has this name")),
        options().expect_owner(mmf::security::Principal::Everyone),
        options().expect_owner(mmf::security::Principal::CurrentUser).expect_len(4096),
    ];
    if cfg!(unix) {
        all.push(options().security(Security::sandboxed_helper()));
        all.push(OpenOptions::new().security(Security::sandboxed_helper()));
    }
    for options in all {
        for name in [&free, &taken] {
            let kind = |result: Result<(), Error>| result.err().map(|error| error.kind());
            let asked = options.check_create(name).error_kind();
            assert_eq!(asked, kind(options.create(name).map(drop)), "create {options:?}");
            let asked = options.check_open_or_create(name).error_kind();
            assert_eq!(asked, kind(options.open_or_create(name).map(drop)), "open_or_create {options:?}");
            let asked = options.check_open(name).error_kind();
            assert_eq!(asked, kind(options.open(name).map(drop)), "open {options:?}");
        }
    }
    drop(memory);
}

pub(crate) fn more_than_available() {
    let name = unique_name("much");
    let len = 1 << 55;
    let options = OpenOptions::new().len(len);
    let check = options.check_create(&name);
    assert!(
        check.causes().any(|cause| match cause {
            Cause::OutOfMemory { asked, left, limit, .. } => *asked == len && left <= limit,
            _ => false,
        }),
        "{check}"
    );
    match options.create(&name).unwrap_err() {
        error if error.kind() == ErrorKind::OutOfMemory => {
            expect(&error, &check, |cause| matches!(cause, Cause::OutOfMemory { .. }));
        }
        // On Wine and macOS a size is too large before memory runs out.
        error => assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}"),
    }
    // A region that nearly fills it works, with a warning.
    let left = check.causes().find_map(|cause| match cause {
        Cause::OutOfMemory { left, .. } => Some(*left),
        _ => None,
    });
    let check = OpenOptions::new().len(left.unwrap() / 100 * 95).check_create(&name);
    // (Other processes use memory meanwhile.)
    if check.is_ok() {
        assert!(check.findings()[0].severity() == Severity::Warning, "{check}");
    }
}

pub(crate) fn checks_change_nothing() {
    let (name, made) = (unique_name("ask"), unique_name("ask"));
    let memory = SharedMemory::create(&made, 4096).unwrap();
    memory.view().unwrap().fill(7, 0..4096).unwrap();
    let before = (testkit::open_handles(), memory.security().unwrap());
    for _ in 0..50 {
        for name in [&name, &made] {
            let options = options().security(Security::users_may_write()).expect_len(5);
            let _ = options.check_create(name);
            let _ = options.check_open(name);
            let _ = options.check_open_read_only(name);
            let _ = options.check_open_or_create(name);
            let _ = mmf::diagnosis::examine(name).unwrap();
        }
        let _ = mmf::diagnosis::environment();
    }
    assert_eq!(SharedMemory::open(&name).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(memory.view().unwrap().read_vec(0, 4096).unwrap(), [7; 4096]);
    assert_eq!(
        (memory.len(), memory.security().unwrap()),
        (SharedMemory::open(&made).unwrap().len(), before.1)
    );
    // Other tests run meanwhile, but do not open thousands of handles.
    assert!(testkit::open_handles() < before.0 + 200, "{} and {}", before.0, testkit::open_handles());
    drop(memory);
    assert_eq!(SharedMemory::open(&made).unwrap_err().kind(), ErrorKind::NotFound, "it was not kept");
}

pub(crate) fn examined() {
    let name = unique_name("examined");
    let nothing = mmf::diagnosis::examine(&name).unwrap();
    assert!(!nothing.exists() && nothing.kind().is_none() && nothing.is_troubled());
    assert!(!nothing.may_read() && nothing.owner().is_none());
    let memory = SharedMemory::create(&name, 4096).unwrap();
    let there = mmf::diagnosis::examine(&name).unwrap();
    assert_eq!((there.kind(), there.len()), (Some("shared memory"), Some(memory.len())));
    assert!(there.may_read() && there.may_write() && !there.is_troubled() && !there.is_stale());
    assert_eq!(there.security(), Some(&memory.security().unwrap()));
    assert!(mmf::diagnosis::examine("").is_err());
}

pub(crate) fn the_environment() {
    let environment = mmf::diagnosis::environment();
    let me = environment.user().unwrap();
    assert_eq!(Some(me.id()), Security::current_user().owner().as_ref().map(mmf::security::Account::id));
    assert!(
        environment.page_size().is_power_of_two() && environment.granularity() >= environment.page_size()
    );
    let actions: Vec<_> = environment.capabilities().iter().map(mmf::diagnosis::Capability::action).collect();
    assert!(
        actions.contains(&mmf::diagnosis::Action::CreateLocal)
            && actions.contains(&mmf::diagnosis::Action::CreateGlobal)
    );
    for capability in environment.capabilities() {
        assert!(
            capability.diagnosis().is_ok() || capability.diagnosis().remedies().next().is_some(),
            "{capability:?}"
        );
        if capability.action() == mmf::diagnosis::Action::CreateLocal {
            assert!(capability.diagnosis().is_ok(), "{}", capability.diagnosis());
        }
    }
    assert_eq!(environment.session().is_some(), cfg!(windows));
    assert_eq!(environment.integrity().is_some(), cfg!(windows));
    if let Some(store) = environment.backing_store() {
        assert!(store.left <= store.limit);
    }
}

pub(crate) fn private_names() {
    use mmf::security::BoundaryDescriptor;
    use mmf::{Name, Namespace};
    let boundary = BoundaryDescriptor::new(unique_name("boundary"));
    let name = Name::from_parts(Namespace::Private(boundary), "frames").unwrap();
    assert!(name.to_string().starts_with(r"Private\mmf-test-boundary"), "{name}");
    let can = mmf::diagnosis::environment();
    let can = can
        .capabilities()
        .iter()
        .find(|capability| capability.action() == mmf::diagnosis::Action::PrivateNamespaces)
        .unwrap();
    match options().create(&name) {
        Err(error) => {
            assert!(!can.diagnosis().is_ok(), "{error}");
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
            assert_eq!(SharedMemory::open(&name).unwrap_err().kind(), ErrorKind::Unsupported);
            let check = options().check_create(&name);
            assert_eq!(check.error_kind(), Some(ErrorKind::Unsupported), "{check}");
            testkit::skip(format!("not here, and said so: {error}"));
        }
        Ok(memory) => {
            assert!(can.diagnosis().is_ok());
            memory.view().unwrap().write(&5_u8, 0).unwrap();
            let opened = SharedMemory::open(&name).unwrap();
            assert_eq!(opened.view().unwrap().read::<u8>(0).unwrap(), 5);
            drop(memory);
            assert!(SharedMemory::open(&name).is_ok(), "another holder keeps the name");
            drop(opened);
            assert_eq!(SharedMemory::open(&name).unwrap_err().kind(), ErrorKind::NotFound);
        }
    }
}

#[cfg(unix)]
mod here {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::users::{ANN, BOB, need_root, play};

    pub(crate) fn another_kind() {
        if !cfg!(target_os = "linux") {
            testkit::skip("shared memory objects are no files here, so nothing else can have their names");
        }
        let text = unique_name("kind");
        let (name, path) = (format!(r"Global\{text}"), format!("/dev/shm/{text}"));
        std::fs::create_dir(&path).unwrap();
        let expected = |cause: &Cause| matches!(cause, Cause::OtherType { kind, .. } if kind == "directory");
        for error in [SharedMemory::open(&name).unwrap_err(), SharedMemory::create(&name, 1).unwrap_err()] {
            expect(&error, &options().check_create(&name), expected);
        }
        assert_eq!(mmf::diagnosis::examine(&name).unwrap().kind(), Some("directory"));
        std::fs::remove_dir(&path).unwrap();
    }

    pub(crate) fn not_granted() {
        need_root();
        for (mode, words) in [(0o600, "no no"), (0o644, "yes no"), (0o666, "yes yes"), (0o060, "no no")] {
            let text = unique_name("refused");
            let name = format!(r"Global\{text}");
            let _memory = SharedMemory::create(&name, 4096).unwrap();
            let path = format!("/dev/shm/{text}");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o3000 | mode)).unwrap();
            let mut other = play(ANN, BOB, "diagnosis::role_refused", &[&name]);
            other.peer.expect(words);
            assert!(other.peer.wait().success());
        }
    }

    pub(crate) fn role_refused(role: &mut Role) {
        let name = role.argument(0);
        let there = mmf::diagnosis::examine(name).unwrap();
        let word = |may| if may { "yes" } else { "no" };
        let not_granted = |cause: &Cause| match cause {
            Cause::NotGranted { user: you, security, .. } => {
                let security = security.as_ref().unwrap();
                assert_eq!(security.owner().unwrap().name(), Some("root"));
                you.as_ref().unwrap().id() == ANN.to_string()
            }
            _ => false,
        };
        if let Err(error) = SharedMemory::open(name) {
            expect(&error, &OpenOptions::new().check_open(name), not_granted);
            let remedies: Vec<_> = explained(&error).remedies().collect();
            assert_eq!(remedies.contains(&&Remedy::OpenReadOnly), there.may_read(), "{error}");
            let me = mmf::diagnosis::environment().user().cloned();
            let grants_me = |remedy: &&Remedy| match remedy {
                Remedy::LetCreatorGrant { write: true, account, .. } => *account == me,
                _ => false,
            };
            assert!(remedies.iter().any(grants_me), "{error}");
            assert!(
                remedies.iter().any(|r| matches!(r, Remedy::RunAs { account: who, .. } if who.id() == "0")),
                "{error}"
            );
        }
        if let Err(error) = SharedMemory::open_read_only(name) {
            expect(&error, &OpenOptions::new().check_open_read_only(name), not_granted);
        }
        role.say(format!("{} {}", word(there.may_read()), word(there.may_write())));
    }

    pub(crate) fn unfinished_regions() {
        if !cfg!(target_os = "linux") {
            testkit::skip("such an object cannot be made by way of files here");
        }
        let text = unique_name("unfinished");
        let (name, path) = (format!(r"Global\{text}"), format!("/dev/shm/{text}"));
        std::fs::write(&path, []).unwrap();
        let error = SharedMemory::open(&name).unwrap_err();
        expect(&error, &OpenOptions::new().check_open(&name), |cause| {
            matches!(cause, Cause::Unfinished { .. })
        });
        assert!(mmf::diagnosis::examine(&name).unwrap().is_empty());
        std::fs::remove_file(&path).unwrap();
    }

    pub(crate) fn stale_of_killed_programs() {
        if !cfg!(target_os = "linux") {
            testkit::skip("holders are not counted here");
        }
        let name = unique_name("stale");
        let mut peer = testkit::Peer::start("diagnosis::role_create_and_stay", &[&name]);
        peer.expect("made");
        assert!(!mmf::diagnosis::examine(&name).unwrap().is_stale());
        peer.kill();
        for _ in 0..3 {
            let stale = mmf::diagnosis::examine(&name).unwrap();
            assert!(stale.is_stale() && !stale.may_read() && !stale.may_write());
            let check = OpenOptions::new().check_open(&name);
            assert_eq!(check.error_kind(), Some(ErrorKind::NotFound), "{check}");
            assert!(check.causes().any(|cause| *cause == Cause::Stale), "{check}");
            assert!(options().check_create(&name).is_ok() && options().check_open_or_create(&name).is_ok());
        }
        assert!(SharedMemory::create(&name, 10).is_ok());
    }

    pub(crate) fn without_a_privilege() {
        testkit::skip("these privileges are Windows' own");
    }

    pub(crate) fn role_unprivileged(_: &mut Role) {}

    pub(crate) fn stale_of_another_user() {
        need_root();
        // Ann's program is killed; its region blocks Bob until a program of Ann removes it.
        let name = format!(r"Global\{}", unique_name("left"));
        let mut ann = play(ANN, ANN, "diagnosis::role_create_and_stay", &[&name]);
        ann.peer.expect("made");
        ann.peer.kill();
        let mut bob = play(BOB, BOB, "diagnosis::role_is_in_the_way", &[&name]);
        bob.peer.expect("AlreadyExists NotFound");
        assert!(bob.peer.wait().success());
        let mut ann = play(ANN, ANN, "diagnosis::role_create_and_stay", &[&name]);
        ann.peer.expect("made");
        assert!(ann.peer.wait().success());
    }

    pub(crate) fn role_create_and_stay(role: &mut Role) {
        let _memory = options().security(Security::users_may_write()).create(role.argument(0)).unwrap();
        role.say("made");
        role.stay();
    }

    pub(crate) fn role_is_in_the_way(role: &mut Role) {
        let name = role.argument(0);
        let error = SharedMemory::create(name, 1).unwrap_err();
        let abandoned = |cause: &Cause| match cause {
            Cause::StaleNotRemovable { owner, .. } => owner.as_ref().unwrap().id() == ANN.to_string(),
            _ => false,
        };
        expect(&error, &options().check_create(name), abandoned);
        assert!(mmf::diagnosis::examine(name).unwrap().is_stale());
        let opened = SharedMemory::open(name).unwrap_err();
        expect(&opened, &OpenOptions::new().check_open(name), |cause| *cause == Cause::Missing);
        role.say(format!("{:?} {:?}", error.kind(), opened.kind()));
    }

    pub(crate) fn limits_of_the_process() {
        let mut peer = testkit::Peer::start("diagnosis::role_limited", &[&unique_name("limit")]);
        peer.expect("RLIMIT_FSIZE RLIMIT_NOFILE");
        peer.finish();
    }

    /// Lowers a limit. (The resources have another type in each C library.)
    macro_rules! limit {
        ($resource:expr, $most:expr) => {{
            let limit = libc::rlimit { rlim_cur: $most, rlim_max: $most };
            // SAFETY: a valid limit, of this process alone.
            assert_eq!(unsafe { libc::setrlimit($resource, &limit) }, 0);
        }};
    }

    pub(crate) fn role_limited(role: &mut Role) {
        let name = role.argument(0);
        limit!(libc::RLIMIT_FSIZE, 8192);
        // Without a check in advance, the system would end this process by a signal.
        let mut names = Vec::new();
        let large = OpenOptions::new().len(8193);
        let error = large.create(name).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitReached, "{error}");
        assert_eq!(large.check_create(name).error_kind(), Some(ErrorKind::LimitReached));
        assert_eq!(large.anonymous().unwrap_err().kind(), ErrorKind::LimitReached);
        names.extend(error.diagnosis().unwrap().causes().find_map(limit_name));
        assert!(OpenOptions::new().len(8192).create(name).is_ok());
        limit!(libc::RLIMIT_NOFILE, 3);
        let error = SharedMemory::create(name, 10).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitReached, "{error}");
        names.extend(error.diagnosis().unwrap().causes().find_map(limit_name));
        role.say(names.join(" "));
    }

    fn limit_name(cause: &Cause) -> Option<&'static str> {
        match cause {
            Cause::Limit { name, .. } => Some(name),
            _ => None,
        }
    }

    pub(crate) fn locked_memory_is_limited() {
        need_root();
        let mut ann = play(ANN, ANN, "diagnosis::role_lock", &[]);
        ann.peer.expect("RLIMIT_MEMLOCK 65536");
        assert!(ann.peer.wait().success());
    }

    pub(crate) fn role_lock(role: &mut Role) {
        limit!(libc::RLIMIT_MEMLOCK, 65536);
        let memory = SharedMemory::anonymous(1 << 20).unwrap();
        let error = memory.view().unwrap().lock_pages().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitReached, "{error}");
        match error.diagnosis().unwrap().causes().next().unwrap() {
            Cause::Limit { name, limit, .. } => role.say(format!("{name} {limit}")),
            cause => role.say(format!("{cause:?}")),
        }
    }

    pub(crate) fn the_directory_of_names() {
        need_root();
        for (state, expected) in [
            ("full", "OutOfMemory Some(OutOfMemory)"),
            ("files", "OutOfMemory Some(OutOfMemory)"),
            ("readonly", "PermissionDenied Some(PermissionDenied)"),
            ("closed", "PermissionDenied Some(PermissionDenied)"),
            ("hidden", "PermissionDenied Some(PermissionDenied)"),
            ("no lists", "Unsupported Some(Unsupported)"),
        ] {
            // The name is free in the mount of the role.
            let user = if matches!(state, "closed" | "hidden") { ANN } else { 0 };
            let mut peer = testkit::Peer::start(
                "diagnosis::role_mount",
                &[state, &unique_name("mount"), &user.to_string()],
            );
            let answer = peer.hear();
            if answer.starts_with("skip") {
                testkit::skip(answer);
            }
            assert_eq!(answer, expected, "{state}");
            peer.finish();
        }
    }

    /// Mounts a directory for named regions in a certain state, and tries to create one there.
    pub(crate) fn role_mount(role: &mut Role) {
        #[cfg(target_os = "linux")]
        {
            let (state, name) = (role.argument(0).to_owned(), role.argument(1).to_owned());
            let kind = if state == "no lists" { c"ramfs" } else { c"tmpfs" };
            let mounted = mount(
                kind,
                match state.as_str() {
                    "full" => c"size=64k,mode=1777",
                    "files" => c"nr_inodes=1,mode=1777",
                    "closed" => c"mode=755",
                    "hidden" => c"mode=700",
                    _ => c"mode=1777",
                },
            );
            if let Err(error) = mounted {
                return role.say(format!("skip: no mounts can be made here: {error}"));
            }
            if state == "readonly" {
                // SAFETY: constant texts.
                let code = unsafe {
                    libc::mount(
                        c"mmf".as_ptr(),
                        c"/dev/shm".as_ptr(),
                        c"tmpfs".as_ptr(),
                        libc::MS_REMOUNT | libc::MS_RDONLY,
                        std::ptr::null(),
                    )
                };
                assert_eq!(code, 0);
            }
            // SAFETY: no requirements.
            assert_eq!(unsafe { libc::setuid(role.argument(2).parse().unwrap()) }, 0);
            let mut options = OpenOptions::new().len(1 << 20);
            if state == "no lists" {
                options = options.security(
                    Security::current_user().grant_read(mmf::security::Principal::user(ANN.to_string())),
                );
                assert!(SharedMemory::create(&name, 1 << 20).is_ok());
            }
            let check = options.check_create(&name);
            let error = options.create(&name).unwrap_err();
            if state == "no lists" {
                assert!(format!("{error:#}").contains("no access lists"), "{error}");
            } else {
                assert!(explained(&error).remedies().next().is_some(), "{error}");
            }
            role.say(format!("{:?} {:?}", error.kind(), check.error_kind()));
        }
        #[cfg(not(target_os = "linux"))]
        role.say("skip: no mount here");
    }

    #[cfg(target_os = "linux")]
    fn mount(kind: &std::ffi::CStr, options: &std::ffi::CStr) -> std::io::Result<()> {
        crate::mounts::mount(kind.to_str().unwrap(), "/dev/shm", options.to_str().unwrap())
    }

    /// The properties that a directory passes on to new files (a default list, a group) do not widen the
    /// grants.
    pub(crate) fn directories_inherit_nothing() {
        need_root();
        let mut peer = testkit::Peer::start("diagnosis::role_inherit", &[&unique_name("inherit")]);
        let answer = peer.hear();
        if answer.starts_with("skip") {
            testkit::skip(answer);
        }
        assert_eq!(answer, "done");
        peer.finish();
    }

    pub(crate) fn role_inherit(role: &mut Role) {
        #[cfg(target_os = "linux")]
        {
            use mmf::security::Principal;
            if let Err(error) = mount(c"tmpfs", c"mode=3777,gid=555") {
                return role.say(format!("skip: no mounts can be made here: {error}"));
            }
            let name = role.argument(0);
            let clauses = |security: Security| {
                let memory = options().security(security).create(format!(r"Global\{name}")).unwrap();
                let path = format!("/dev/shm/{name}");
                let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o7111;
                let text = memory.security().unwrap().to_string();
                drop(memory);
                assert_eq!((mode, std::path::Path::new(&path).exists()), (0o3000, false), "{text}");
                text
            };
            let own = clauses(Security::current_user().grant_read(Principal::group("0")));
            assert!(own.contains("group root may read; everyone else may do nothing"), "{own}");
            let staff = clauses(Security::current_user().grant_read(Principal::group("77")));
            assert!(staff.contains("group 77 may read; everyone else may do nothing"), "{staff}");
            // u::rwx,u:4242:rwx,g::rwx,m::rwx,o::rwx as the directory's default list.
            let mut list = vec![2_u8, 0, 0, 0];
            for (tag, id) in [(1_u16, u32::MAX), (2, 4242), (4, u32::MAX), (0x10, u32::MAX), (0x20, u32::MAX)]
            {
                list.extend(tag.to_le_bytes());
                list.extend(7_u16.to_le_bytes());
                list.extend(id.to_le_bytes());
            }
            // SAFETY: zero-terminated texts, and a value of the given length.
            let code = unsafe {
                libc::setxattr(
                    c"/dev/shm".as_ptr(),
                    c"system.posix_acl_default".as_ptr(),
                    list.as_ptr().cast(),
                    list.len(),
                    0,
                )
            };
            assert_eq!(code, 0);
            for security in [
                Security::current_user(),
                Security::current_user().grant_read(Principal::Everyone),
                Security::current_user().grant_read(Principal::group("77")),
                Security::current_user().grant_write(Principal::user("78")),
            ] {
                let text = clauses(security.clone());
                let theirs = text.split("; ").find(|clause| clause.starts_with("4242 "));
                assert!(theirs.is_none_or(|clause| clause == "4242 may do nothing"), "{security}: {text}");
            }
            role.say("done");
        }
        #[cfg(not(target_os = "linux"))]
        role.say("skip: no mount here");
    }

    pub(crate) fn no_directory_for_names() {
        need_root();
        let mut peer = testkit::Peer::start("diagnosis::role_no_directory", &[&unique_name("place")]);
        let answer = peer.hear();
        if answer.starts_with("skip") {
            testkit::skip(answer);
        }
        assert_eq!(answer, "Unsupported Some(Unsupported)");
        peer.finish();
    }

    /// Changes to an empty root directory, where nothing is mounted on /dev/shm.
    pub(crate) fn role_no_directory(role: &mut Role) {
        let root = std::env::temp_dir().join(role.argument(0));
        std::fs::create_dir(&root).unwrap();
        if let Err(error) = std::os::unix::fs::chroot(&root) {
            role.say(format!("skip: this user cannot change the root: {error}"));
            return;
        }
        let name = role.argument(0);
        let error = SharedMemory::create(name, 10).unwrap_err();
        let check = options().check_create(name).error_kind();
        assert!(explained(&error).causes().any(|cause| matches!(cause, Cause::Directory { .. })), "{error}");
        role.say(format!("{:?} {check:?}", error.kind()));
    }
}

#[cfg(windows)]
mod here {
    use super::*;

    pub(crate) fn another_kind() {
        for kind in ["event", "mutex"] {
            let name = unique_name(kind);
            let mut peer = crate::foreign::c_peer();
            peer.say(&format!(r"{kind} Local\{name}"));
            peer.expect("made");
            let expected =
                |cause: &Cause| matches!(cause, Cause::OtherType { kind: found, .. } if found == kind);
            for error in [SharedMemory::open(&name).unwrap_err(), SharedMemory::create(&name, 1).unwrap_err()]
            {
                expect(&error, &options().check_create(&name), expected);
            }
            peer.finish();
        }
    }

    pub(crate) fn not_granted() {
        // Read-only; only the right to read the descriptor; nothing at all, for all users.
        for (sddl, kind, sees) in [
            ("D:P(A;;0x20005;;;WD)", ErrorKind::NotWritable, true),
            ("D:P(A;;0x4;;;WD)", ErrorKind::NotWritable, false),
            ("D:P(A;;0x20000;;;WD)", ErrorKind::PermissionDenied, true),
            ("D:P(A;;0x2;;;WD)", ErrorKind::PermissionDenied, false),
        ] {
            let name = unique_name("refused");
            let _memory = options().security(Security::from_sddl(sddl).unwrap()).create(&name).unwrap();
            let error = SharedMemory::open(&name).unwrap_err();
            assert_eq!(error.kind(), kind, "{sddl}: {error}");
            let refused = |cause: &Cause| match cause {
                Cause::NotGranted { security, user: you, .. } => {
                    assert!(you.is_some());
                    // (The owner can always read the descriptor.)
                    !sees || security.is_some()
                }
                Cause::Hidden => !sees,
                _ => false,
            };
            expect(&error, &OpenOptions::new().check_open(&name), refused);
            let remedies: Vec<_> = explained(&error).remedies().collect();
            assert_eq!(remedies.contains(&&Remedy::OpenReadOnly), kind == ErrorKind::NotWritable, "{error}");
            assert!(
                remedies.iter().any(|r| matches!(r, Remedy::LetCreatorGrant { write: true, .. })),
                "{error}"
            );
            // A failed creation reports that much, too.
            let error = SharedMemory::create(&name, 10).unwrap_err();
            expect(&error, &options().check_create(&name), |cause| matches!(cause, Cause::Exists { .. }));
        }
    }

    pub(crate) fn unfinished_regions() {
        testkit::skip("see windows::a_reserved_section_without_pages_is_unfinished");
    }

    pub(crate) fn stale_of_another_user() {
        testkit::skip("Windows leaves nothing");
    }

    pub(crate) fn stale_of_killed_programs() {
        testkit::skip("Windows leaves nothing");
    }

    /// The privilege is really removed from the token. (Wine creates global names all the same, so only the
    /// check in advance is tested there.)
    pub(crate) fn without_a_privilege() {
        if mmf::diagnosis::environment().session() == Some(0) {
            testkit::skip("in session 0, that of the services, all names are global");
        }
        let mut peer = testkit::Peer::start("diagnosis::role_unprivileged", &[&unique_name("privilege")]);
        match peer.hear().as_str() {
            "done" => peer.finish(),
            answer => testkit::skip(answer),
        }
    }

    pub(crate) fn role_unprivileged(role: &mut Role) {
        let privilege = "SeCreateGlobalPrivilege";
        let name = format!(r"Global\{}", role.argument(0));
        let held = || {
            mmf::diagnosis::environment()
                .privileges()
                .iter()
                .find(|found| found.name == privilege)
                .map(|found| found.state)
        };
        if !matches!(
            held(),
            Some(mmf::diagnosis::PrivilegeState::Enabled | mmf::diagnosis::PrivilegeState::Disabled)
        ) {
            return role.say("skip: this user does not have the privilege at all");
        }
        adjust(privilege, 0);
        assert_eq!(held(), Some(mmf::diagnosis::PrivilegeState::Disabled));
        let is_disabled = |cause: &Cause| match cause {
            Cause::PrivilegeDisabled { privilege: found, .. } => *found == privilege,
            _ => false,
        };
        let is_missing = |cause: &Cause| match cause {
            Cause::PrivilegeMissing { privilege: found, .. } => *found == privilege,
            _ => false,
        };
        let check = options().check_create(&name);
        assert!(check.is_ok() && check.causes().any(is_disabled), "{check}");
        // It is enabled for the call, and not after.
        assert!(options().create(&name).is_ok());
        assert_eq!(held(), Some(mmf::diagnosis::PrivilegeState::Disabled));
        adjust(privilege, windows_sys::Win32::Security::SE_PRIVILEGE_REMOVED);
        assert_eq!(held(), Some(mmf::diagnosis::PrivilegeState::Missing));
        let check = options().check_create(&name);
        assert_eq!(check.error_kind(), Some(ErrorKind::PermissionDenied), "{check}");
        assert!(check.causes().any(is_missing), "{check}");
        assert!(check.remedies().any(|remedy| *remedy == Remedy::UseLocalName), "{check}");
        if !testkit::under_wine() {
            let error = options().create(&name).unwrap_err();
            expect(&error, &check, is_missing);
        }
        assert!(options().check_create(role.argument(0)).is_ok(), "local names need none");
        role.say("done");
    }

    /// Disables (0) or removes a privilege of this process.
    fn adjust(privilege: &str, attributes: u32) {
        use windows_sys::Win32::Foundation::LUID;
        use windows_sys::Win32::Security::{
            AdjustTokenPrivileges, LUID_AND_ATTRIBUTES, LookupPrivilegeValueW, TOKEN_ADJUST_PRIVILEGES,
            TOKEN_PRIVILEGES, TOKEN_QUERY,
        };
        use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};
        let wide: Vec<u16> = privilege.encode_utf16().chain([0]).collect();
        let (mut luid, mut token) = (LUID::default(), std::ptr::null_mut());
        // SAFETY: a zero-terminated name, and valid locations for the answers; the token lives as long as
        // this process.
        unsafe {
            assert_ne!(LookupPrivilegeValueW(std::ptr::null(), wide.as_ptr(), &mut luid), 0);
            let access = TOKEN_ADJUST_PRIVILEGES | TOKEN_QUERY;
            assert_ne!(OpenProcessToken(GetCurrentProcess(), access, &mut token), 0);
            let one = TOKEN_PRIVILEGES {
                PrivilegeCount: 1,
                Privileges: [LUID_AND_ATTRIBUTES { Luid: luid, Attributes: attributes }],
            };
            let (before, len) = (std::ptr::null_mut(), std::ptr::null_mut());
            assert_ne!(AdjustTokenPrivileges(token, 0, &one, 0, before, len), 0);
        }
    }

    pub(crate) fn limits_of_the_process() {
        testkit::skip("these limits are Unix' own");
    }

    pub(crate) fn locked_memory_is_limited() {
        let memory = SharedMemory::anonymous(64 << 20).unwrap();
        match memory.view().unwrap().lock_pages() {
            Ok(()) => {
                testkit::skip("64 MiB can be locked here: this system does not enforce the working set")
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::LimitReached, "{error}");
                assert!(
                    explained(&error).causes().any(|cause| matches!(cause, Cause::Limit { .. })),
                    "{error}"
                );
            }
        }
    }

    pub(crate) fn the_directory_of_names() {
        testkit::skip("sections need no place");
    }

    pub(crate) fn no_directory_for_names() {
        testkit::skip("sections need no place");
    }

    pub(crate) fn directories_inherit_nothing() {
        testkit::skip("sections have a descriptor of their own");
    }

    pub(crate) fn role_inherit(_: &mut Role) {}

    pub(crate) fn role_refused(_: &mut Role) {}
    pub(crate) fn role_create_and_stay(_: &mut Role) {}
    pub(crate) fn role_is_in_the_way(_: &mut Role) {}
    pub(crate) fn role_limited(_: &mut Role) {}
    pub(crate) fn role_lock(_: &mut Role) {}
    pub(crate) fn role_mount(_: &mut Role) {}
    pub(crate) fn role_no_directory(_: &mut Role) {}
}

pub(crate) use here::*;

testkit::registry! {
    diagnosis
    tests {
        missing_names
        in_the_other_namespace
        in_another_spelling
        existing_names
        smaller_than_requested
        meaningless_checks
        more_than_available
        checks_change_nothing
        examined
        the_environment
        private_names
        another_kind
        not_granted
        unfinished_regions
        stale_of_killed_programs
        without_a_privilege
        stale_of_another_user
        limits_of_the_process
        locked_memory_is_limited
        the_directory_of_names
        no_directory_for_names
        unavailable_options
        directories_inherit_nothing
    }
    roles {
        role_refused
        role_create_and_stay
        role_unprivileged
        role_is_in_the_way
        role_limited
        role_lock
        role_mount
        role_no_directory
        role_inherit
    }
}
