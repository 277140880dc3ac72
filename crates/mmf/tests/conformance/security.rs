//! The rights that a region is created with take effect, and every process reads them back.

use mmf::security::{IntegrityLevel, Principal, Security};
use mmf::{ErrorKind, OpenOptions, SharedMemory};
use testkit::{Role, unique_name};

fn options() -> OpenOptions {
    OpenOptions::new().len(4096)
}

pub(crate) fn the_default_is_the_current_user() {
    let memory = SharedMemory::create(unique_name("own"), 4096).unwrap();
    let security = memory.security().unwrap();
    let me = Security::current_user().owner().unwrap();
    assert_eq!(security.owner().unwrap(), me);
    let text = security.to_string();
    assert!(text.starts_with(&format!("owner {me}; {me} may ")), "{text}");
    assert!(
        !text.contains("Everyone") && (cfg!(windows) || text.ends_with("everyone else may do nothing")),
        "{text}"
    );
    // Another handle reports the same, even a read-only one.
    let name = memory.name().unwrap();
    assert_eq!(SharedMemory::open(name).unwrap().security().unwrap(), security);
    assert_eq!(SharedMemory::open_read_only(name).unwrap().security().unwrap(), security);
    let explicit = options().security(Security::current_user()).create(unique_name("own")).unwrap();
    assert_eq!(explicit.security().unwrap(), security);
}

pub(crate) fn grants_are_read_back() {
    for (security, expected) in [
        (
            Security::current_user().grant_read(Principal::Everyone),
            ["Everyone may read", "everyone else may read"],
        ),
        (
            Security::current_user().grant_write(Principal::Everyone),
            ["Everyone may read and write", "everyone else may read and write"],
        ),
        (Security::users_may_read(), ["Authenticated users may read", "everyone else may read"]),
        (
            Security::users_may_write(),
            ["Authenticated users may read and write", "everyone else may read and write"],
        ),
    ] {
        let memory = options().security(security).create(unique_name("granted")).unwrap();
        let read = memory.security().unwrap();
        let text = read.to_string();
        assert!(text.ends_with(expected[usize::from(cfg!(unix))]), "{text}");
        // A security that was read back can be given to another region.
        let other = options().security(read.clone()).create(unique_name("granted")).unwrap();
        assert_eq!(other.security().unwrap(), read);
    }
}

pub(crate) fn unnamed_regions_have_a_security() {
    let memory =
        options().security(Security::current_user().grant_read(Principal::Everyone)).anonymous().unwrap();
    assert!(memory.security().unwrap().to_string().to_lowercase().contains("every"));
}

pub(crate) fn unknown_accounts() {
    let name = unique_name("unknown");
    let mut all =
        vec![Principal::user("no such user"), Principal::group("no such group"), Principal::user("")];
    if cfg!(unix) {
        all.extend([Principal::group(u32::MAX.to_string()), Principal::user("+5"), Principal::user("-1")]);
    }
    for principal in all {
        let error = options()
            .security(Security::current_user().grant_read(principal.clone()))
            .create(&name)
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownAccount, "{error}");
        let (Principal::User(text) | Principal::Group(text)) = &principal else { unreachable!() };
        assert!(
            format!("{error:#}").contains(text.as_str()) && format!("{error:#}").contains(&name),
            "{error}"
        );
        let check = options().security(Security::current_user().grant_read(principal)).check_create(&name);
        assert_eq!(check.error_kind(), Some(ErrorKind::UnknownAccount), "{check}");
    }
    assert_eq!(SharedMemory::open(&name).unwrap_err().kind(), ErrorKind::NotFound, "it was created");
}

pub(crate) fn owners_are_expected() {
    let name = unique_name("owner");
    let memory = SharedMemory::create(&name, 4096).unwrap();
    for options in [
        OpenOptions::new().expect_owner(Principal::CurrentUser),
        OpenOptions::new().expect_owner(Principal::user(memory.security().unwrap().owner().unwrap().id())),
        OpenOptions::new().expect_owner(Principal::CurrentUser).expect_len(4096),
    ] {
        assert!(options.open(&name).is_ok());
        assert!(options.open_read_only(&name).is_ok());
        assert!(options.clone().len(4096).open_or_create(&name).is_ok());
        assert!(options.check_open(&name).is_ok());
    }
    let stranger = if cfg!(windows) { Principal::user("S-1-5-19") } else { Principal::user("54323") };
    for (options, kind) in [
        (OpenOptions::new().expect_owner(stranger), ErrorKind::UnexpectedOwner),
        (OpenOptions::new().expect_len(4097), ErrorKind::UnexpectedLength),
        (OpenOptions::new().expect_len(1 << 20), ErrorKind::UnexpectedLength),
    ] {
        for error in [
            options.open(&name).unwrap_err(),
            options.open_read_only(&name).unwrap_err(),
            options.clone().len(1).open_or_create(&name).map(drop).unwrap_err(),
        ] {
            assert_eq!(error.kind(), kind, "{error}");
            assert!(
                error.diagnosis().unwrap().remedies().any(|r| *r == mmf::diagnosis::Remedy::DoNotUse),
                "{error}"
            );
        }
        assert_eq!(options.check_open(&name).error_kind(), Some(kind));
    }
    // The expected owner must exist.
    let error = OpenOptions::new().expect_owner(Principal::user("no such user")).open(&name).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownAccount, "{error}");
    // A region that is created needs no trust.
    let own = unique_name("owner");
    let (_memory, how) = OpenOptions::new().len(10).expect_len(99).open_or_create(&own).unwrap();
    assert_eq!(how, mmf::Disposition::Created);
}

#[cfg(unix)]
mod here {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::users::{ANN, BOB, STAFF, need_root, play};

    pub(crate) fn inexpressible_securities_are_refused() {
        let name = unique_name("unsaid");
        for security in [
            Security::current_user().grant_read(Principal::AuthenticatedUsers),
            Security::current_user().grant_read(Principal::InteractiveUsers),
            Security::current_user().grant_write(Principal::Services),
            Security::current_user().grant_read(Principal::AllApplicationPackages),
            Security::current_user().grant_read(Principal::package("App_1")),
            Security::current_user().integrity(IntegrityLevel::Low),
            Security::sandboxed_helper(),
        ] {
            let error = options().security(security.clone()).create(&name).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
            let check = options().security(security.clone()).check_create(&name);
            assert_eq!(check.error_kind(), Some(ErrorKind::Unsupported), "{check}");
            assert_eq!(options().security(security).anonymous().unwrap_err().kind(), ErrorKind::Unsupported);
        }
        assert_eq!(Security::from_sddl("D:P(A;;GA;;;WD)").unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(Security::from_descriptor(&[]).unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(Security::current_user().to_sddl().unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(SharedMemory::open(&name).unwrap_err().kind(), ErrorKind::NotFound, "it was created");
    }

    /// Checks what Ann, Bob and a member of the group may do, in this order, as reported by `role_try`.
    fn who_gets(security: Security, expected: [&str; 3]) {
        need_root();
        let text = unique_name("matrix");
        let memory = options().security(security).create(format!(r"Global\{text}")).unwrap();
        let people = [(ANN, ANN), (BOB, BOB), (54_329, STAFF)];
        for ((user, group), expected) in people.into_iter().zip(expected) {
            let mut other = play(user, group, "security::role_try", &[&format!(r"Global\{text}")]);
            assert_eq!(other.peer.hear(), expected, "{user}: {}", memory.security().unwrap());
            assert!(other.peer.wait().success());
        }
    }

    pub(crate) fn grants_to_users_and_groups() {
        need_root();
        let (ann, bob) = (Principal::user(ANN.to_string()), Principal::user(BOB.to_string()));
        let staff = Principal::group(STAFF.to_string());
        let base = Security::current_user;
        who_gets(base(), ["-", "-", "-"]);
        who_gets(base().grant_read(Principal::Everyone), ["r", "r", "r"]);
        who_gets(base().grant_write(Principal::Everyone), ["rw", "rw", "rw"]);
        who_gets(base().grant_read(ann.clone()), ["r", "-", "-"]);
        who_gets(base().grant_write(ann.clone()), ["rw", "-", "-"]);
        who_gets(base().grant_write(ann.clone()).grant_read(bob.clone()), ["rw", "r", "-"]);
        who_gets(base().grant_read(staff.clone()), ["-", "-", "r"]);
        who_gets(base().grant_write(staff.clone()), ["-", "-", "rw"]);
        who_gets(base().grant_write(staff.clone()).grant_read(ann.clone()), ["r", "-", "rw"]);
        // Named principals also get what everyone gets.
        who_gets(base().grant_read(Principal::Everyone).grant_write(bob.clone()), ["r", "rw", "r"]);
        who_gets(
            base().grant_write(Principal::Everyone).grant_read(bob).grant_read(staff),
            ["rw", "rw", "rw"],
        );
        who_gets(base().grant_read(ann.clone()).grant_write(ann), ["rw", "-", "-"]);
    }

    pub(crate) fn securities_of_other_users_regions() {
        need_root();
        // (the mode of a foreign object, the mode of a region with its security)
        for (theirs, ours) in
            [(0o777, 0o3666), (0o604, 0o3604), (0o640, 0o3640), (0o711, 0o3600), (0o600, 0o3600)]
        {
            let (text, own) = (unique_name("theirs"), unique_name("ours"));
            let path = format!("/dev/shm/{text}");
            std::fs::write(&path, [1; 64]).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(theirs)).unwrap();
            std::os::unix::fs::chown(&path, Some(ANN), Some(STAFF)).unwrap();
            let security = SharedMemory::open(format!(r"Global\{text}")).unwrap().security().unwrap();
            std::fs::remove_file(&path).unwrap();
            let more = options().security(security.clone().grant_write(Principal::user(BOB.to_string())));
            let error = more.create(format!(r"Global\{own}")).map(drop).map_err(|error| error.kind());
            let denies = theirs & 0o070 == 0 && theirs & 0o007 != 0;
            assert_eq!(error, if denies { Err(ErrorKind::Unsupported) } else { Ok(()) }, "{theirs:o}");
            let memory = options().security(security).create(format!(r"Global\{own}")).unwrap();
            let mode = std::fs::metadata(format!("/dev/shm/{own}")).unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, ours, "{theirs:o}: {}", memory.security().unwrap());
            drop(memory);
            assert!(
                !std::path::Path::new(&format!("/dev/shm/{own}")).exists(),
                "{theirs:o}: the object is no longer recognised as ours"
            );
        }
    }

    pub(crate) fn users_in_granted_groups() {
        // Only the user's own entry counts, so it has to include the rights of the user's groups. (On every
        // Debian, "sync" is in group 65534.)
        need_root();
        let id = std::process::Command::new("id").args(["-g", "4"]).output();
        if !id.is_ok_and(|output| output.stdout == b"65534\n") {
            testkit::skip("no user in a group of their own is known here");
        }
        let text = unique_name("member");
        let security =
            Security::current_user().grant_read(Principal::user("4")).grant_write(Principal::group("65534"));
        let _memory = options().security(security).create(format!(r"Global\{text}")).unwrap();
        let mut other = play(4, 65534, "security::role_try", &[&format!(r"Global\{text}")]);
        other.peer.expect("rw");
    }

    pub(crate) fn role_try(role: &mut Role) {
        let name = role.argument(0);
        let (write, read) = (SharedMemory::open(name), SharedMemory::open_read_only(name));
        let answer = match (&write, &read) {
            (Ok(_), Ok(_)) => "rw",
            (Err(error), Ok(_)) if error.kind() == ErrorKind::NotWritable => "r",
            (Err(write), Err(read))
                if write.kind() == ErrorKind::PermissionDenied
                    && read.kind() == ErrorKind::PermissionDenied =>
            {
                "-"
            }
            _ => &format!("{write:?} {read:?}"),
        };
        role.say(answer);
        // A preflight reports the same.
        let kind = |error: Option<&mmf::Error>| error.map(mmf::Error::kind);
        assert_eq!(OpenOptions::new().check_open(name).error_kind(), kind(write.as_ref().err()));
        assert_eq!(OpenOptions::new().check_open_read_only(name).error_kind(), kind(read.as_ref().err()));
    }

    pub(crate) fn the_lifetime_is_kept_with_grants() {
        need_root();
        // Our marks survive a change of the mode, so the name disappears with the last holder.
        for security in [
            Security::current_user().grant_write(Principal::Everyone),
            Security::current_user().grant_write(Principal::user(ANN.to_string())),
            Security::current_user().grant_read(Principal::group(STAFF.to_string())),
        ] {
            let text = unique_name("life");
            let memory = options().security(security).create(format!(r"Global\{text}")).unwrap();
            let path = format!("/dev/shm/{text}");
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7111, 0o3000);
            drop(memory);
            assert!(!std::path::Path::new(&path).exists());
        }
    }

    pub(crate) fn words_and_umask() {
        let mut peer = testkit::Peer::start("security::role_umask", &[&unique_name("umask")]);
        peer.expect("owner may read and write");
        peer.expect("everyone else may read and write");
        peer.finish();
    }

    pub(crate) fn role_umask(role: &mut Role) {
        // SAFETY: umask() has no memory preconditions. This process has one thread that creates files.
        unsafe { libc::umask(0o777) };
        let name = role.argument(0);
        let memory = options()
            .security(Security::current_user().grant_write(Principal::Everyone))
            .create(name)
            .unwrap();
        assert!(SharedMemory::open(name).is_ok());
        let text = memory.security().unwrap().to_string();
        let clauses: Vec<&str> = text.split("; ").collect();
        role.say(format!("owner may {}", clauses[1].split_once(" may ").unwrap().1));
        role.say(clauses[clauses.len() - 1]);
    }

    pub(crate) fn labels_and_squatted_names() {
        need_root();
        // Another user creates an object at the path of our local name.
        let text = unique_name("squat");
        let path = format!("/dev/shm/mmf.{ANN}.{text}");
        std::fs::write(&path, [1; 4096]).unwrap();
        for mode in [0o666, 0o644, 0o600] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let mut other = play(ANN, ANN, "security::role_squatted", &[&text]);
            other.peer.expect("UnexpectedOwner UnexpectedOwner Some(UnexpectedOwner)");
            assert!(other.peer.wait().success());
        }
        std::fs::remove_file(&path).unwrap();
    }

    pub(crate) fn role_squatted(role: &mut Role) {
        let name = role.argument(0);
        let errors = [
            SharedMemory::open(name).unwrap_err(),
            SharedMemory::open_read_only(name).map(drop).unwrap_err(),
        ];
        assert!(errors[0].to_string().contains("the region belongs to \"root\""), "{}", errors[0]);
        let check = OpenOptions::new().check_open(name).error_kind();
        // A caller that wants to create the region is not advised to open that one.
        let taken = SharedMemory::create(name, 1).unwrap_err();
        assert_eq!(taken.kind(), ErrorKind::AlreadyExists, "{taken}");
        let cures: Vec<_> = taken.diagnosis().unwrap().remedies().collect();
        assert!(
            cures.contains(&&mmf::diagnosis::Remedy::DoNotUse)
                && !cures.contains(&&mmf::diagnosis::Remedy::OpenExisting),
            "{taken}"
        );
        role.say(format!("{:?} {:?} {check:?}", errors[0].kind(), errors[1].kind()));
    }

    pub(crate) fn owners_on_this_system() {
        let memory = SharedMemory::create(unique_name("owner"), 1).unwrap();
        let name = memory.name().unwrap();
        for principal in [Principal::Everyone, Principal::group("0")] {
            let error = OpenOptions::new().expect_owner(principal).open(name).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidSecurity, "{error}");
        }
    }
}

#[cfg(windows)]
mod here {
    use super::*;

    pub(crate) fn inexpressible_securities_are_refused() {
        for text in
            ["D:NO_ACCESS_CONTROL", "O:BA", "S:(ML;;NW;;;LW)", "", "nonsense", "D:(A;;GA;;;WD", "D:\0"]
        {
            let error = match Security::from_sddl(text) {
                Err(error) => error,
                // Wine does not know the word, and reads an empty list.
                Ok(empty) if testkit::under_wine() && text.contains("NO_ACCESS_CONTROL") => {
                    assert!(empty.to_string().contains("no principal may open it"), "{text}: {empty}");
                    continue;
                }
                Ok(security) => panic!("{text}: {security}"),
            };
            assert_eq!(error.kind(), ErrorKind::InvalidSecurity, "{text}: {error}");
        }
        for bytes in
            [&[][..], &[0; 20], &[1, 0, 4, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[0xff; 64]]
        {
            let error = Security::from_descriptor(bytes).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidSecurity, "{bytes:?}: {error}");
        }
        let package = Security::current_user().grant_read(Principal::package("no such package, surely"));
        // Every name has a SID. Where the call that computes it is missing, an error reports that.
        match options().security(package).create(unique_name("package")) {
            Ok(memory) => assert!(memory.security().unwrap().to_string().contains("S-1-15-2-"), "as a SID"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}"),
        }
    }

    pub(crate) fn grants_to_users_and_groups() {
        // The system applies the descriptor to us although we created the region.
        for (text, writes, reads) in [
            ("D:P(A;;GR;;;WD)", false, true),
            ("D:P(A;;GRGW;;;WD)", true, true),
            ("D:P(A;;GA;;;SY)", false, false),
            ("D:P", false, false),
            ("D:P(D;;GW;;;WD)(A;;GA;;;WD)", false, true),
            ("D:P(D;;GR;;;WD)(A;;GA;;;WD)", false, false),
            ("D:P(D;;0x2;;;WD)(A;;GA;;;WD)", false, true),
        ] {
            let name = unique_name("sddl");
            let memory = options().security(Security::from_sddl(text).unwrap()).create(&name).unwrap();
            let (write, read) = (SharedMemory::open(&name), SharedMemory::open_read_only(&name));
            assert_eq!(
                (write.is_ok(), read.is_ok()),
                (writes, reads),
                "{text}: {}",
                memory.security().unwrap()
            );
            let kind = |error: Option<&mmf::Error>| error.map(mmf::Error::kind);
            assert_eq!(
                OpenOptions::new().check_open(&name).error_kind(),
                kind(write.as_ref().err()),
                "{text}"
            );
            let check = OpenOptions::new().check_open_read_only(&name);
            assert_eq!(check.error_kind(), kind(read.as_ref().err()), "{text}");
        }
    }

    pub(crate) fn the_lifetime_is_kept_with_grants() {
        let name = unique_name("life");
        drop(options().security(Security::users_may_write()).create(&name).unwrap());
        assert_eq!(SharedMemory::open(&name).unwrap_err().kind(), ErrorKind::NotFound);
    }

    /// Descriptors from other programs are read back as they were given.
    pub(crate) fn words_and_umask() {
        for (principal, text) in [
            (Principal::Administrators, "Administrators"),
            (Principal::InteractiveUsers, "Interactive users"),
            (Principal::Services, "Services"),
            (Principal::System, "SYSTEM"),
            (Principal::AllApplicationPackages, "All application packages"),
            (Principal::user("S-1-5-32-545"), "Users"),
            (Principal::user("S-1-5-21-7-8-9-1234"), "S-1-5-21-7-8-9-1234"),
            (Principal::package("S-1-15-2-1-2-3-4-5-6-7"), "S-1-15-2-1-2-3-4-5-6-7"),
        ] {
            let security = Security::current_user().grant_write(principal);
            let memory = options().security(security).create(unique_name("who")).unwrap();
            let read = memory.security().unwrap();
            assert!(read.to_string().contains(&format!("{text} may read and write")), "{read}");
            assert!(read.to_sddl().unwrap().contains("D:P(A;;"), "{}", read.to_sddl().unwrap());
        }
        // A name that has to be looked up.
        let me = Security::current_user().owner().unwrap();
        let security = Security::current_user().grant_read(Principal::user(me.name().unwrap()));
        let memory = options().security(security).create(unique_name("who")).unwrap();
        assert!(memory.security().unwrap().to_string().contains(me.name().unwrap()));
    }

    pub(crate) fn labels_and_squatted_names() {
        for (security, label) in [
            (Security::sandboxed_helper(), "; integrity low"),
            (Security::unelevated(), "; integrity medium"),
            (Security::current_user().integrity(IntegrityLevel::Untrusted), "; integrity untrusted"),
            (
                Security::from_sddl("D:P(A;;GA;;;WD)S:(ML;;NWNR;;;ME)").unwrap(),
                "; integrity medium, also to read",
            ),
        ] {
            let memory = options().security(security.clone()).create(unique_name("label")).unwrap();
            let read = memory.security().unwrap();
            assert!(read.to_string().ends_with(label), "{read}");
            assert!(SharedMemory::open(memory.name().unwrap()).is_ok());
        }
    }

    pub(crate) fn owners_on_this_system() {
        let name = unique_name("owner");
        // The owner cannot be read, so it is not trusted.
        let security = Security::from_sddl("O:SYD:P(A;;0x7;;;WD)").unwrap();
        let memory = match options().security(security).create(&name) {
            Ok(memory) => memory,
            Err(error) => testkit::skip(format!("no region can be created for another owner here: {error}")),
        };
        assert!(SharedMemory::open(&name).is_ok());
        let error = OpenOptions::new().expect_owner(Principal::CurrentUser).open(&name).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedOwner, "{error}");
        drop(memory);
    }

    pub(crate) fn securities_of_other_users_regions() {
        // A descriptor that allows everyone everything is reported as such, and not passed on.
        let name = unique_name("null");
        let mut peer = crate::foreign::c_peer();
        peer.say(&format!(r"null Local\{name} 4096"));
        peer.expect("created");
        let security = SharedMemory::open(&name).unwrap().security().unwrap();
        let is_null = security.to_string().contains("everyone may do anything");
        if !is_null {
            testkit::skip(format!("this system reports another security for such a region: {security}"));
        }
        for security in [security.clone(), security.grant_read(Principal::Everyone)] {
            let error = options().security(security.clone()).create(unique_name("null")).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidSecurity, "{error}");
            let check = options().security(security).check_create(unique_name("null"));
            assert_eq!(check.error_kind(), Some(ErrorKind::InvalidSecurity), "{check}");
        }
        peer.finish();
        // The security of another user's region can be used for a new one, which belongs to its creator.
        let name = unique_name("theirs");
        let theirs = Security::from_sddl("O:SYD:P(A;;GR;;;WD)(A;;GA;;;SY)").unwrap();
        let Ok(memory) = options().security(theirs).create(&name) else { return };
        let copied = options().security(memory.security().unwrap()).create(unique_name("ours")).unwrap();
        assert_eq!(copied.security().unwrap().owner(), Security::current_user().owner());
    }

    pub(crate) fn users_in_granted_groups() {
        testkit::skip("here, the rights of all matching entries add up");
    }

    pub(crate) fn role_try(_: &mut Role) {}
    pub(crate) fn role_umask(_: &mut Role) {}
    pub(crate) fn role_squatted(_: &mut Role) {}
}

pub(crate) use here::*;

testkit::registry! {
    security
    tests {
        the_default_is_the_current_user
        grants_are_read_back
        unnamed_regions_have_a_security
        unknown_accounts
        owners_are_expected
        inexpressible_securities_are_refused
        grants_to_users_and_groups
        the_lifetime_is_kept_with_grants
        words_and_umask
        labels_and_squatted_names
        owners_on_this_system
        securities_of_other_users_regions
        users_in_granted_groups
    }
    roles {
        role_try
        role_umask
        role_squatted
    }
}
