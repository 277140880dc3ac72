//! Errors name the cause that the facts show, and not the most frequent one for a code of the system.

use mmf::diagnosis::{Cause, Diagnosis, Severity};
use mmf::{Error, ErrorKind, SharedMemory};
use testkit::Role;

/// Returns the error's diagnosis, which must be of its kind and have a remedy for each cause of the failure.
#[track_caller]
fn explained(error: &Error) -> &Diagnosis {
    let diagnosis = error.diagnosis().unwrap_or_else(|| panic!("no diagnosis: {error}"));
    assert_eq!(diagnosis.error_kind(), Some(error.kind()), "{error}");
    for finding in diagnosis.findings().iter().filter(|finding| finding.severity() == Severity::Error) {
        assert!(!finding.remedies().is_empty(), "{error}");
    }
    let text = format!("{error:#}");
    for word in if cfg!(windows) { ["/dev/shm", "mount -o"] } else { ["Windows", "page file"] } {
        assert!(!text.contains(word), "advice for another system: {text}");
    }
    assert!(!text.contains("at most 0 bytes"), "{text}");
    diagnosis
}

#[track_caller]
fn expect(error: &Error, kind: ErrorKind, cause: impl Fn(&Cause) -> bool) {
    assert_eq!(error.kind(), kind, "{error}");
    let found = explained(error).findings().iter().find(|finding| finding.error_kind().is_some());
    assert!(found.is_some_and(|found| cause(found.cause())), "{error}");
}

/// Runs a role that answers "done", or "skip: " and a reason.
#[cfg(target_os = "linux")]
fn play(role: &str, arguments: &[&str]) {
    let mut peer = testkit::Peer::start(role, arguments);
    match peer.hear().as_str() {
        "done" => peer.finish(),
        answer if answer.starts_with("skip") => testkit::skip(answer),
        answer => panic!("{answer}"),
    }
}

pub(crate) fn a_page_that_this_process_has_closed() {
    let view = SharedMemory::anonymous(testkit::page_size() as u64 * 2).unwrap().view().unwrap();
    // SAFETY: only the guarded routines touch the page.
    unsafe { testkit::protect(view.as_mut_ptr(), testkit::page_size(), testkit::Protection::None) };
    for error in [
        view.read::<u8>(0).unwrap_err(),
        view.write(&1_u64, 1).unwrap_err(),
        view.atomic_u32(4).unwrap().load(std::sync::atomic::Ordering::Relaxed).unwrap_err(),
    ] {
        expect(&error, ErrorKind::Fault, |cause| *cause == Cause::Inaccessible);
    }
}

#[cfg(target_os = "linux")]
mod here {
    use std::io::{Read, Write};
    use std::os::fd::AsRawFd;
    use std::sync::atomic::Ordering;

    use mmf::OpenOptions;
    use mmf::diagnosis::Remedy;
    use testkit::unique_name;

    use super::*;
    use crate::users::need_root;

    /// Mounts a tmpfs on /dev/shm for this process alone. Prints why and returns false if that is not
    /// possible.
    fn own_place(role: &mut Role, options: &str) -> bool {
        match crate::mounts::mount("tmpfs", "/dev/shm", options) {
            Ok(()) => true,
            Err(error) => {
                role.say(format!("skip: no mounts can be made here: {error}"));
                false
            }
        }
    }

    const SIZE: u64 = 256 << 10;

    pub(crate) fn a_full_filesystem() {
        need_root();
        play("causes::role_full", &[]);
    }

    pub(crate) fn role_full(role: &mut Role) {
        if !own_place(role, "size=256k,mode=1777") {
            return;
        }
        let options = OpenOptions::new().len(200 << 10);
        let first = options.create("first").unwrap();
        // A check in advance reports that both will not fit.
        let check = options.check_create("second");
        assert!(check.is_ok(), "{check}");
        assert!(
            check.findings().iter().any(|finding| finding.severity() == Severity::Warning
                && matches!(finding.cause(), Cause::Overcommitted { needs, .. } if *needs == 400 << 10)),
            "{check}"
        );
        let second = options.create("second").unwrap();
        first.view().unwrap().fill(1, 0..200 << 10).unwrap();
        // Another file takes the space that is left.
        let _ = std::fs::write("/dev/shm/rest", vec![1; SIZE as usize]);
        let is_full =
            |cause: &Cause| matches!(cause, Cause::Full { of: "/dev/shm", left: 0, limit: Some(SIZE), .. });
        let view = second.view().unwrap();
        let (mut bytes, mut cursor) = ([0; 8], view.cursor());
        let io = |error: std::io::Error| error.downcast::<Error>().unwrap();
        for error in [
            view.write_all_at(&[1; 100], 0).unwrap_err(),
            view.read_exact_at(&mut bytes, 4096).unwrap_err(),
            view.read_vec(0, 100_000).unwrap_err(),
            view.read::<u64>(8192).unwrap_err(),
            view.fill(1, 0..200 << 10).unwrap_err(),
            view.copy_to(0..100_000, &first.view().unwrap(), 0).unwrap_err(),
            view.copy_from(&first.view().unwrap(), 0..100_000, 0).unwrap_err(),
            view.subview(5000, 5000).unwrap().write(&1_u8, 0).unwrap_err(),
            second.view_at(100_000, 10).unwrap().write(&1_u8, 0).unwrap_err(),
            view.atomic_u64(0).unwrap().load(Ordering::Relaxed).unwrap_err(),
            view.atomic_u32(4096).unwrap().fetch_add(1, Ordering::Relaxed).unwrap_err(),
            view.as_read_only().atomic_u8(77).unwrap().load(Ordering::Acquire).unwrap_err(),
            io(cursor.write(b"text").unwrap_err()),
            io(cursor.read(&mut bytes).unwrap_err()),
        ] {
            expect(&error, ErrorKind::Fault, is_full);
            let text = format!("{error:#}");
            assert!(text.contains("/dev/shm is full: 0 bytes of 256 KiB left"), "{text}");
            assert!(text.contains("--shm-size") && text.contains("end programs"), "{text}");
            assert!(!text.contains("truncated"), "{text}");
        }
        // The lack of space for an existing region is reported before it is touched.
        let there = mmf::diagnosis::examine("second").unwrap();
        assert!(there.diagnosis().is_ok() && there.is_troubled(), "{}", there.diagnosis());
        assert!(
            there.diagnosis().causes().any(|cause| matches!(cause, Cause::Overcommitted { left: 0, .. })),
            "{}",
            there.diagnosis()
        );
        assert!(!mmf::diagnosis::examine("first").unwrap().is_troubled());
        // A copy from a file by descriptor has no space either.
        std::fs::write("/tmp/mmf-causes-full", vec![7; 200 << 10]).unwrap();
        let error = second.restore("/tmp/mmf-causes-full").unwrap_err();
        expect(&error, ErrorKind::OutOfMemory, is_full);
        std::fs::remove_file("/tmp/mmf-causes-full").unwrap();
        // A truncated byte is reported as such, also in a full file system.
        std::fs::File::options()
            .write(true)
            .open(format!("/proc/self/fd/{}", second.as_raw_fd()))
            .unwrap()
            .set_len(4096)
            .unwrap();
        let error = view.read::<u8>(8192).unwrap_err();
        expect(&error, ErrorKind::Fault, |cause| matches!(cause, Cause::Truncated { len: 4096, .. }));
        expect(&view.read::<u8>(0).unwrap_err(), ErrorKind::Fault, is_full);
        // Zero is no valid length.
        let error = OpenOptions::new().len(4096).create("third").unwrap_err();
        expect(&error, ErrorKind::OutOfMemory, |cause| matches!(cause, Cause::OutOfMemory { left: 0, .. }));
        assert!(!explained(&error).remedies().any(|remedy| matches!(remedy, Remedy::AskForLess { .. })));
        // With free space it works again.
        std::fs::remove_file("/dev/shm/rest").unwrap();
        view.write(&1_u8, 0).unwrap();
        role.say("done");
    }

    pub(crate) fn a_full_disk() {
        need_root();
        play("causes::role_full_disk", &[]);
    }

    pub(crate) fn role_full_disk(role: &mut Role) {
        let folder = std::env::temp_dir().join(unique_name("disk"));
        std::fs::create_dir(&folder).unwrap();
        if let Err(error) = crate::mounts::mount("tmpfs", folder.to_str().unwrap(), "size=64k") {
            return role.say(format!("skip: no mounts can be made here: {error}"));
        }
        let path = folder.join("sparse");
        std::fs::File::create(&path).unwrap().set_len(1 << 20).unwrap();
        let file = mmf::file::FileOptions::new(&path).open().unwrap();
        let error = file.view().unwrap().fill(1, 0..1 << 20).unwrap_err();
        expect(&error, ErrorKind::Fault, |cause| {
            matches!(cause, Cause::Full { of: "the disk", left: 0, .. })
        });
        assert!(explained(&error).remedies().any(|remedy| *remedy == Remedy::FreeDisk), "{error}");
        role.say("done");
    }

    pub(crate) fn an_unsuitable_directory() {
        need_root();
        for state in ["missing", "dangling", "a file", "closed"] {
            play("causes::role_directory", &[state]);
        }
    }

    pub(crate) fn role_directory(role: &mut Role) {
        let state = role.argument(0).to_owned();
        let mounted = match state.as_str() {
            "closed" => crate::mounts::mount("tmpfs", "/dev/shm", "mode=1770,gid=2000"),
            _ => crate::mounts::mount("tmpfs", "/dev", "mode=755"),
        };
        if let Err(error) = mounted {
            return role.say(format!("skip: no mounts can be made here: {error}"));
        }
        match state.as_str() {
            "dangling" => std::os::unix::fs::symlink("/nowhere", "/dev/shm").unwrap(),
            "a file" => std::fs::write("/dev/shm", b"").unwrap(),
            "closed" => {
                // SAFETY: no requirements.
                assert_eq!(unsafe { libc::setgroups(0, std::ptr::null()) }, 0);
                // SAFETY: no requirements.
                assert_eq!(unsafe { libc::setgid(crate::users::ANN) }, 0);
                // SAFETY: no requirements.
                assert_eq!(unsafe { libc::setuid(crate::users::ANN) }, 0);
            }
            _ => {}
        }
        let kind = if state == "closed" { ErrorKind::PermissionDenied } else { ErrorKind::Unsupported };
        let options = OpenOptions::new().len(4096);
        for name in ["x", r"Global\x"] {
            for error in [
                options.create(name).unwrap_err(),
                options.open_or_create(name).unwrap_err(),
                options.open(name).unwrap_err(),
                options.open_read_only(name).unwrap_err(),
                mmf::inspect::list().unwrap_err(),
            ] {
                expect(&error, kind, |cause| matches!(cause, Cause::Directory { path: "/dev/shm", .. }));
                assert!(!format!("{error:#}").contains("start the program"), "{error}");
            }
            for check in [
                options.check_create(name),
                options.check_open_or_create(name),
                options.check_open(name),
                options.check_open_read_only(name),
                mmf::diagnosis::examine(name).unwrap().diagnosis().clone(),
            ] {
                assert_eq!(check.error_kind(), Some(kind), "{check}");
                assert!(check.causes().any(|cause| matches!(cause, Cause::Directory { .. })), "{check}");
            }
            assert!(!mmf::diagnosis::examine(name).unwrap().exists());
        }
        role.say("done");
    }

    pub(crate) fn a_read_only_mount() {
        need_root();
        let name = format!(r"Global\{}", unique_name("readonly"));
        let memory = SharedMemory::create(&name, 4096).unwrap();
        memory.view().unwrap().write(&7_u8, 0).unwrap();
        play("causes::role_read_only", &[&name]);
    }

    pub(crate) fn role_read_only(role: &mut Role) {
        // SAFETY: no requirements.
        if unsafe { libc::unshare(libc::CLONE_NEWNS) } != 0 {
            return role.say("skip: no mount namespace can be made here");
        }
        let mount = |from: &std::ffi::CStr, at: &std::ffi::CStr, flags| {
            // SAFETY: zero-terminated texts.
            let code =
                unsafe { libc::mount(from.as_ptr(), at.as_ptr(), std::ptr::null(), flags, std::ptr::null()) };
            assert_eq!(code, 0, "{}", std::io::Error::last_os_error());
        };
        mount(c"none", c"/", libc::MS_REC | libc::MS_PRIVATE);
        mount(c"/dev/shm", c"/dev/shm", libc::MS_BIND);
        mount(c"none", c"/dev/shm", libc::MS_REMOUNT | libc::MS_BIND | libc::MS_RDONLY);
        let name = role.argument(0);
        let options = OpenOptions::new().len(4096);
        let is_read_only = |cause: &Cause| {
            matches!(cause, Cause::Directory { path: "/dev/shm", problem: "is mounted read-only", .. })
        };
        for error in [options.open(name).unwrap_err(), options.open_or_create(name).unwrap_err()] {
            expect(&error, ErrorKind::NotWritable, is_read_only);
            assert!(explained(&error).remedies().any(|remedy| *remedy == Remedy::OpenReadOnly), "{error}");
            assert!(!format!("{error:#}").contains("grant"), "{error}");
        }
        let there = mmf::diagnosis::examine(name).unwrap();
        assert!(there.may_read() && !there.may_write());
        assert_eq!(there.diagnosis().error_kind(), Some(ErrorKind::NotWritable), "{}", there.diagnosis());
        assert!(there.diagnosis().causes().all(|cause| !matches!(cause, Cause::NotGranted { .. })));
        assert_eq!(SharedMemory::open_read_only(name).unwrap().view().unwrap().read::<u8>(0).unwrap(), 7);
        let error = options.create("x").unwrap_err();
        expect(&error, ErrorKind::PermissionDenied, is_read_only);
        expect(&options.open_or_create("x").unwrap_err(), ErrorKind::PermissionDenied, is_read_only);
        role.say("done");
    }

    pub(crate) fn permanently_unfinished() {
        let text = unique_name("unfinished");
        let (name, path) = (format!(r"Global\{text}"), format!("/dev/shm/{text}"));
        let file = std::fs::File::create(&path).unwrap();
        let options = OpenOptions::new().len(4096);
        let all = |expected: &dyn Fn(&Cause) -> bool| {
            expect(&options.create(&name).unwrap_err(), ErrorKind::AlreadyExists, expected);
            expect(&SharedMemory::open(&name).unwrap_err(), ErrorKind::NotReady, expected);
            expect(&SharedMemory::open_read_only(&name).unwrap_err(), ErrorKind::NotReady, expected);
            expect(&options.open_or_create(&name).unwrap_err(), ErrorKind::NotReady, expected);
            let there = mmf::diagnosis::examine(&name).unwrap();
            assert!(there.exists() && there.is_empty() && there.diagnosis().causes().any(expected));
        };
        let me = mmf::diagnosis::environment().user().cloned();
        // A program that has it open is found, and then removing the file is no remedy. (The calling process
        // is not searched.)
        let mut child = std::process::Command::new("sleep").arg("1000").stdin(file).spawn().unwrap();
        let open_for_good = |error: &Error| {
            let cause = explained(error).causes().next().unwrap();
            matches!(cause, Cause::Unfinished { holders: Some(_), .. })
        };
        testkit::wait_until("it lasts", || open_for_good(&SharedMemory::open(&name).unwrap_err()));
        let id = child.id();
        let error = SharedMemory::open(&name).unwrap_err();
        expect(&error, ErrorKind::NotReady, |cause| match cause {
            Cause::Unfinished { since: Some(_), owner, holders: Some(holders), .. } => {
                *owner == me && *holders == [id]
            }
            _ => false,
        });
        assert!(format!("{error:#}").contains(&format!("open in process {id}")), "{error}");
        assert!(explained(&error).remedies().all(|remedy| !matches!(remedy, Remedy::RemoveFile { .. })));
        child.kill().unwrap();
        child.wait().unwrap();
        all(&|cause| match cause {
            Cause::Unfinished { since: Some(_), holders: Some(found), .. } => found.is_empty(),
            _ => false,
        });
        let error = SharedMemory::open(&name).unwrap_err();
        let first = explained(&error).remedies().next();
        assert!(matches!(first, Some(Remedy::RemoveFile { path: at, .. }) if *at == path), "{error}");
        assert!(format!("{error:#}").contains(&format!("rm {path}")), "{error}");
        assert!(!format!("{error:#}").contains("next open removes it"), "{error}");
        // The cure works.
        std::fs::remove_file(&path).unwrap();
        assert!(options.create(&name).is_ok());
    }

    pub(crate) fn stale_and_inaccessible() {
        need_root();
        use crate::users::{ANN, BOB, play};
        let name = format!(r"Global\{}", unique_name("closed"));
        let mut ann = play(ANN, ANN, "causes::role_create_and_stay", &[&name]);
        ann.peer.expect("created");
        // In use: opening it does not help, and nothing indicates that it is stale.
        let mut bob = play(BOB, BOB, "causes::role_in_the_way", &[&name, "used"]);
        bob.peer.expect("done");
        ann.peer.kill();
        let mut bob = play(BOB, BOB, "causes::role_in_the_way", &[&name, "left"]);
        bob.peer.expect("done");
        // The cure works.
        let mut ann = play(ANN, ANN, "causes::role_ask", &[&name]);
        ann.peer.expect("NotFound");
        assert!(!mmf::diagnosis::examine(&name).unwrap().exists());
    }

    pub(crate) fn role_create_and_stay(role: &mut Role) {
        let _memory = SharedMemory::create(role.argument(0), 4096).unwrap();
        role.say("created");
        role.stay();
    }

    pub(crate) fn role_ask(role: &mut Role) {
        role.say(format!("{:?}", SharedMemory::open(role.argument(0)).unwrap_err().kind()));
    }

    pub(crate) fn role_in_the_way(role: &mut Role) {
        let (name, state) = (role.argument(0), role.argument(1));
        let left = |cause: &Cause| match cause {
            Cause::PossiblyStale { owner: Some(owner), since: Some(_), unheld: true, .. } => {
                owner.id() == crate::users::ANN.to_string()
            }
            _ => false,
        };
        let error = OpenOptions::new().len(1).create(name).unwrap_err();
        expect(&error, ErrorKind::AlreadyExists, |cause| match state {
            "left" => left(cause),
            _ => matches!(cause, Cause::Exists { .. }),
        });
        assert!(explained(&error).remedies().all(|remedy| *remedy != Remedy::OpenExisting), "{error}");
        assert!(!format!("{error:#}").contains("open_or_create"), "{error}");
        let error = SharedMemory::open(name).unwrap_err();
        expect(&error, ErrorKind::PermissionDenied, |cause| matches!(cause, Cause::NotGranted { .. }));
        assert_eq!(explained(&error).causes().any(left), state == "left", "{error}");
        let there = mmf::diagnosis::examine(name).unwrap();
        assert_eq!(there.diagnosis().causes().any(left), state == "left");
        role.say("done");
    }

    pub(crate) fn readers_are_advised_to_open_read_only() {
        need_root();
        use crate::users::{ANN, play};
        let name = format!(r"Global\{}", unique_name("readable"));
        let security = mmf::security::Security::users_may_read();
        let _memory = OpenOptions::new().len(4096).security(security).create(&name).unwrap();
        let mut ann = play(ANN, ANN, "causes::role_read", &[&name]);
        ann.peer.expect("done");
    }

    pub(crate) fn role_read(role: &mut Role) {
        let error = OpenOptions::new().len(1).create(role.argument(0)).unwrap_err();
        expect(&error, ErrorKind::AlreadyExists, |cause| matches!(cause, Cause::Exists { .. }));
        let first = explained(&error).remedies().next();
        assert_eq!(first, Some(&Remedy::OpenReadOnly), "{error}");
        role.say("done");
    }

    #[cfg(target_env = "gnu")]
    type Resource = libc::__rlimit_resource_t;
    #[cfg(not(target_env = "gnu"))]
    type Resource = libc::c_int;

    fn limit(resource: Resource, most: u64) {
        let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
        // SAFETY: a valid limit, of this process alone.
        assert_eq!(unsafe { libc::setrlimit(resource, &limit) }, 0);
    }

    pub(crate) fn mappings_are_limited() {
        // (It needs mappings of its own, and fails if there are none left.)
        crate::spaces::skip_if_emulated();
        for what in ["count", "address space", "data", "locked", "addresses"] {
            play("causes::role_map", &[what]);
        }
    }

    pub(crate) fn role_map(role: &mut Role) {
        let memory = SharedMemory::anonymous(64 << 20).unwrap();
        let in_use = |wanted: &'static str| {
            move |cause: &Cause| {
                matches!(cause, Cause::LimitInUse { name, used, asked, limit, .. }
                    if *name == wanted && used.saturating_add(*asked) + 4 > *limit)
            }
        };
        match role.argument(0) {
            "count" => {
                let most: usize = std::fs::read_to_string("/proc/sys/vm/max_map_count")
                    .ok()
                    .and_then(|text| text.trim().parse().ok())
                    .unwrap_or(usize::MAX);
                if most > 300_000 {
                    return role.say(format!("skip: {most} mappings are allowed here, which takes too long"));
                }
                let mut views = Vec::new();
                let error = loop {
                    match memory.view_at(views.len() as u64 % 16 * 65536, 4096) {
                        Ok(view) => views.push(view),
                        Err(error) => break error,
                    }
                };
                expect(&error, ErrorKind::LimitReached, in_use("vm.max_map_count"));
                assert!(format!("{error:#}").contains(&format!("vm.max_map_count allows {most}")), "{error}");
                assert!(explained(&error).remedies().any(|remedy| *remedy == Remedy::DropViews), "{error}");
                assert!(!format!("{error:#}").contains("view_at"), "{error}");
                // The cure works.
                views.truncate(views.len() / 2);
                memory.view_at(0, 4096).unwrap();
            }
            "address space" => {
                limit(libc::RLIMIT_AS, 48 << 20);
                let error = memory.view().unwrap_err();
                expect(&error, ErrorKind::LimitReached, in_use("RLIMIT_AS"));
                memory.view_at(0, 4096).unwrap();
            }
            "data" => {
                let path = std::env::temp_dir().join(unique_name("data"));
                std::fs::File::create(&path).unwrap().set_len(64 << 20).unwrap();
                let file = mmf::file::FileOptions::new(&path).open_copy_on_write();
                std::fs::remove_file(&path).unwrap();
                let file = file.unwrap();
                limit(libc::RLIMIT_DATA, 48 << 20);
                let error = file.view().unwrap_err();
                expect(&error, ErrorKind::LimitReached, in_use("RLIMIT_DATA"));
                memory.view().unwrap();
            }
            "locked" => {
                limit(libc::RLIMIT_MEMLOCK, 4 << 20);
                // SAFETY: no requirements.
                assert_eq!(unsafe { libc::setuid(crate::users::ANN) }, 0);
                // SAFETY: no requirements.
                if unsafe { libc::mlockall(libc::MCL_FUTURE) } != 0 {
                    return role.say("skip: nothing can be locked here");
                }
                let error = memory.view().unwrap_err();
                expect(&error, ErrorKind::LimitReached, in_use("RLIMIT_MEMLOCK"));
            }
            _ => {
                // Far more than the address space of any process.
                let large = OpenOptions::new().len(4096).capacity(1 << 50).anonymous().unwrap();
                let error = large.view().unwrap_err();
                expect(&error, ErrorKind::TooLarge, |cause| match cause {
                    Cause::AddressSpace { asked, largest: Some(most), .. } => most < asked,
                    _ => false,
                });
                assert!(explained(&error).remedies().any(|remedy| *remedy == Remedy::MapParts), "{error}");
                large.view_at(0, 4096).unwrap();
            }
        }
        role.say("done");
    }

    pub(crate) fn a_mistyped_name_is_reported() {
        let name = unique_name("Mistyped");
        let text = format!("{name}-tow");
        let _memory = SharedMemory::create(&text, 1).unwrap();
        let full = format!(r"Local\{text}");
        for (wrong, by_case) in [
            (text.to_uppercase(), true),
            (format!("{name}-two"), false),
            (format!("{name}-to"), false),
            (format!("{name}tow"), false),
        ] {
            let is_shown = |cause: &Cause| match cause {
                Cause::OtherCase { name, .. } => by_case && *name == full,
                Cause::SimilarName { name, .. } => !by_case && *name == full,
                _ => false,
            };
            for error in
                [SharedMemory::open(&wrong).unwrap_err(), SharedMemory::open_read_only(&wrong).unwrap_err()]
            {
                expect(&error, ErrorKind::NotFound, |cause| *cause == Cause::Missing);
                assert!(explained(&error).causes().any(is_shown), "{error}");
                let first = explained(&error).remedies().next();
                assert!(matches!(first, Some(Remedy::OpenName { name, .. }) if *name == full), "{error}");
            }
            assert!(OpenOptions::new().check_open(&wrong).causes().any(is_shown));
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod here {
    use super::*;

    macro_rules! on_linux {
        ($($test:ident)*; $($role:ident)*) => {
            $(pub(crate) fn $test() { testkit::skip("these facts are Linux' own") })*
            $(pub(crate) fn $role(_: &mut Role) {})*
        };
    }

    on_linux! {
        a_full_filesystem a_full_disk an_unsuitable_directory a_read_only_mount permanently_unfinished
        stale_and_inaccessible readers_are_advised_to_open_read_only
        mappings_are_limited a_mistyped_name_is_reported;
        role_full role_full_disk role_directory role_read_only role_create_and_stay role_ask
        role_in_the_way role_read
        role_map
    }
}

pub(crate) use here::*;

testkit::registry! {
    causes
    tests {
        a_page_that_this_process_has_closed
        a_full_filesystem
        a_full_disk
        an_unsuitable_directory
        a_read_only_mount
        permanently_unfinished
        stale_and_inaccessible
        readers_are_advised_to_open_read_only
        mappings_are_limited
        a_mistyped_name_is_reported
    }
    roles {
        role_full
        role_full_disk
        role_directory
        role_read_only
        role_create_and_stay
        role_ask
        role_in_the_way
        role_read
        role_map
    }
}
