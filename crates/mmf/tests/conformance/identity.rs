//! A region's owner, its holders, and the object that its name leads to: other users, links, umasks and
//! namespaces cannot falsify them.

#[cfg(target_os = "linux")]
mod linux {
    use std::fs;
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    use std::os::unix::process::CommandExt;
    use std::path::{Path, PathBuf};

    use mmf::diagnosis::Cause;
    use mmf::file::FileOptions;
    use mmf::inspect::NameTarget;
    use mmf::security::{Principal, Security};
    use mmf::{ErrorKind, OpenOptions, SharedMemory};
    use testkit::{Role, unique_name};

    use crate::users::{ANN, BOB, Played, need_root, play, play_with};

    /// A user who creates nothing else, and so removes no stale names.
    const CARL: u32 = 54_323;

    const MARK_AND_OWNER: u32 = 0o3600;

    fn path_of(object: &str) -> PathBuf {
        Path::new("/dev/shm").join(object)
    }

    fn local_of(user: u32, text: &str) -> PathBuf {
        path_of(&format!("mmf.{user}.{text}"))
    }

    fn global(text: &str) -> String {
        format!(r"Global\{text}")
    }

    fn is_there(path: &Path) -> bool {
        fs::symlink_metadata(path).is_ok()
    }

    fn granting() -> OpenOptions {
        OpenOptions::new().len(4096).security(Security::current_user().grant_write(Principal::Everyone))
    }

    /// Lets a role end, and checks that it succeeded.
    fn finish(played: &mut Played) {
        let ending = played.peer.wait();
        assert!(ending.success(), "{ending:?}");
    }

    /// Returns `Ok`, or the kind of the error after checking its cause.
    fn refused<T>(result: Result<T, mmf::Error>) -> ErrorKind {
        let error = result.map(drop).unwrap_err();
        let causes: Vec<_> =
            error.diagnosis().map(|diagnosis| diagnosis.causes().collect()).unwrap_or_default();
        assert!(
            causes.iter().any(|cause| matches!(cause, Cause::HardLinked { names: 2, .. })),
            "{error}: {causes:?}"
        );
        error.kind()
    }

    /// A user who may write one region plants it under a `Local\` name of the region's owner.
    pub(crate) fn a_planted_link_is_refused() {
        need_root();
        let text = unique_name("planted");
        let (own, planted) = (path_of(&text), local_of(ANN, &text));
        let mut owner = play(ANN, ANN, "identity::role_owner", &[&text]);
        owner.peer.expect("created");
        let mut linker = play(BOB, BOB, "identity::role_link", &[&text, &planted.to_string_lossy()]);
        linker.peer.expect("linked");
        finish(&mut linker);
        assert_eq!(fs::metadata(&own).unwrap().ino(), fs::metadata(&planted).unwrap().ino());
        owner.peer.say("look");
        owner.peer.expect("refused");
        // The last holder removes both names: if only its own were removed, the link would be the only name.
        finish(&mut owner);
        assert!(!is_there(&own) && !is_there(&planted));
    }

    pub(crate) fn role_owner(role: &mut Role) {
        let text = role.argument(0).to_owned();
        let region = granting().create(global(&text)).unwrap();
        role.say("created");
        if role.hear() == "look" {
            assert_eq!(refused(SharedMemory::open(&*text)), ErrorKind::UnexpectedOwner);
            assert_eq!(refused(SharedMemory::open_read_only(&*text)), ErrorKind::UnexpectedOwner);
            assert_eq!(refused(granting().open_or_create(&*text)), ErrorKind::UnexpectedOwner);
            assert_eq!(refused(SharedMemory::create(&*text, 4096)), ErrorKind::AlreadyExists);
            // It cannot be determined which of the two names was added.
            let own = global(&text);
            assert_eq!(refused(SharedMemory::open(&*own)), ErrorKind::UnexpectedOwner);
            let expecting = OpenOptions::new().expect_owner(Principal::CurrentUser).expect_len(4096);
            assert_eq!(refused(expecting.open(&*own)), ErrorKind::UnexpectedOwner);
            for name in [&*text, &*own] {
                let seen = mmf::diagnosis::examine(name).unwrap();
                assert!(seen.exists() && !seen.may_read() && !seen.may_write(), "{seen:?}");
                assert_eq!(seen.diagnosis().error_kind(), Some(ErrorKind::UnexpectedOwner));
                let check = OpenOptions::new().check_open(name);
                assert_eq!(check.error_kind(), Some(ErrorKind::UnexpectedOwner), "{check}");
                let words = check.to_string();
                assert!(words.contains("has 2 names") && words.contains(&format!("{text:?}")), "{words}");
                let check = granting().check_create(name);
                assert_eq!(check.error_kind(), Some(ErrorKind::AlreadyExists), "{check}");
            }
            // Regions that were opened before are unaffected.
            region.view().unwrap().write_all_at(b"still", 0).unwrap();
            role.say("refused");
            role.stay();
        }
        drop(region);
    }

    pub(crate) fn role_link(role: &mut Role) {
        fs::hard_link(path_of(role.argument(0)), role.argument(1)).unwrap();
        role.say("linked");
        role.stay();
    }

    /// Links that are planted again and again while the owner drops the region: none stays behind.
    pub(crate) fn links_planted_at_the_last_moment() {
        need_root();
        let text = unique_name("moment");
        let prefix = format!("mmf.{ANN}.{text}-");
        let mut linker = play(BOB, BOB, "identity::role_link_on", &[&text, &prefix]);
        let mut owner = play(ANN, ANN, "identity::role_create_and_drop", &[&text]);
        owner.peer.expect("done");
        linker.peer.say("end");
        let planted: u32 = linker.peer.hear().parse().unwrap();
        finish(&mut linker);
        finish(&mut owner);
        let left: Vec<_> = fs::read_dir("/dev/shm")
            .unwrap()
            .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
            .filter(|name| name.contains(&text))
            .collect();
        assert!(left.is_empty(), "{left:?}");
        assert!(planted > 0, "no link was ever planted");
    }

    pub(crate) fn role_link_on(role: &mut Role) {
        use std::sync::atomic::{AtomicBool, Ordering};
        let (own, prefix) = (path_of(role.argument(0)), role.argument(1).to_owned());
        let (done, mut planted) = (AtomicBool::new(false), 0_u32);
        std::thread::scope(|scope| {
            let worker = scope.spawn(|| {
                let mut count = 0;
                while !done.load(Ordering::Relaxed) {
                    // (A name is free for the next link only when the owner removes the object.)
                    if fs::hard_link(&own, path_of(&format!("{prefix}{}", count % 4))).is_ok() {
                        count += 1;
                    }
                }
                count
            });
            let _ = role.hear();
            done.store(true, Ordering::Relaxed);
            planted = worker.join().unwrap();
        });
        role.say(planted.to_string());
        role.stay();
    }

    pub(crate) fn role_create_and_drop(role: &mut Role) {
        let name = global(role.argument(0));
        for _ in 0..2000 {
            drop(granting().create(&*name).unwrap());
        }
        role.say("done");
        role.stay();
    }

    /// If the owner is killed, its region is removed with all names as soon as the same user creates or
    /// examines a region.
    pub(crate) fn links_to_stale_regions() {
        need_root();
        for asked in [true, false] {
            let text = unique_name("killed-link");
            let (own, planted) = (path_of(&text), local_of(ANN, &text));
            let mut owner = play(ANN, ANN, "identity::role_owner", &[&text]);
            owner.peer.expect("created");
            let mut linker = play(BOB, BOB, "identity::role_link", &[&text, &planted.to_string_lossy()]);
            linker.peer.expect("linked");
            owner.peer.kill();
            let asked = if asked { &*text } else { "" };
            let mut next = play(ANN, ANN, "identity::role_next", &[asked]);
            next.peer.expect("done");
            finish(&mut next);
            finish(&mut linker);
            assert!(!is_there(&own) && !is_there(&planted), "{asked}");
        }
    }

    pub(crate) fn role_next(role: &mut Role) {
        let asked = role.argument(0);
        if asked.is_empty() {
            drop(SharedMemory::create(&*unique_name("next"), 4096).unwrap());
        } else {
            assert_eq!(SharedMemory::open(asked).unwrap_err().kind(), ErrorKind::NotFound);
        }
        role.say("done");
        role.stay();
    }

    /// A foreign region has no record of its creator. It is refused only if an owner is expected.
    pub(crate) fn foreign_regions_with_links() {
        let (text, other) = (unique_name("foreign-link"), unique_name("foreign-link"));
        let (path, other) = (path_of(&text), path_of(&other));
        fs::write(&path, [7; 5000]).unwrap();
        fs::hard_link(&path, &other).unwrap();
        let name = global(&text);
        assert_eq!(SharedMemory::open(&*name).unwrap().len(), 5000);
        let expecting = OpenOptions::new().expect_len(5000);
        assert_eq!(refused(expecting.open(&*name)), ErrorKind::UnexpectedOwner);
        assert_eq!(expecting.check_open(&*name).error_kind(), Some(ErrorKind::UnexpectedOwner));
        let expecting = OpenOptions::new().expect_owner(Principal::CurrentUser);
        assert_eq!(refused(expecting.open(&*name)), ErrorKind::UnexpectedOwner);
        // A local name must lead to a region of its own user, whatever program created it.
        // SAFETY: geteuid() has no preconditions and cannot fail.
        let local = local_of(unsafe { libc::geteuid() }, &text);
        fs::rename(&other, &local).unwrap();
        assert_eq!(refused(SharedMemory::open(&*text)), ErrorKind::UnexpectedOwner);
        fs::remove_file(&path).unwrap();
        assert_eq!(SharedMemory::open(&*text).unwrap().len(), 5000);
        fs::remove_file(&local).unwrap();
    }

    /// A link that leads to another user's region causes neither a lock on that region nor its removal.
    pub(crate) fn regions_of_other_users_are_left_alone() {
        need_root();
        let text = unique_name("left-alone");
        let (own, planted) = (path_of(&text), path_of(&format!("{text}-b")));
        let mut owner = play(CARL, CARL, "identity::role_owner", &[&text]);
        owner.peer.expect("created");
        let mut linker = play(BOB, BOB, "identity::role_link", &[&text, &planted.to_string_lossy()]);
        linker.peer.expect("linked");
        // Its owner has died. Other users cannot ask an owner, and do not take the link for a stale name.
        owner.peer.kill();
        let mut other = play(BOB, BOB, "identity::role_other", &[&format!("{text}-b")]);
        other.peer.expect("done");
        finish(&mut other);
        finish(&mut linker);
        assert!(is_there(&own) && is_there(&planted));
        fs::remove_file(own).unwrap();
        fs::remove_file(planted).unwrap();
    }

    pub(crate) fn role_other(role: &mut Role) {
        let name = global(role.argument(0));
        assert_eq!(refused(SharedMemory::open(&*name)), ErrorKind::UnexpectedOwner);
        assert_eq!(refused(SharedMemory::create(&*name, 4096)), ErrorKind::AlreadyExists);
        role.say("done");
        role.stay();
    }

    /// In a directory in which any user may rename others' objects, a name proves nothing.
    pub(crate) fn a_directory_without_the_sticky_bit() {
        crate::mounts::play("identity::role_not_sticky");
    }

    pub(crate) fn role_not_sticky(role: &mut Role) {
        if let Err(why) = crate::mounts::mount("tmpfs", "/dev/shm", "size=8m,mode=0777") {
            return role.say(format!("skip: {why}"));
        }
        let text = role.argument(0);
        let region = SharedMemory::create(text, 4096).unwrap();
        let expecting = OpenOptions::new().expect_owner(Principal::CurrentUser);
        let error = expecting.open(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedOwner, "{error}");
        assert!(format!("{error:#}").contains("sticky"), "{error}");
        assert_eq!(expecting.check_open(text).error_kind(), Some(ErrorKind::UnexpectedOwner));
        let check = OpenOptions::new().check_open(text);
        assert!(check.is_ok() && check.to_string().contains("sticky"), "{check}");
        fs::set_permissions("/dev/shm", fs::Permissions::from_mode(0o1777)).unwrap();
        assert!(expecting.open(text).is_ok());
        drop(region);
        role.say("done");
    }

    /// An object that is mounted over a name is not our region, and we do not remove it.
    pub(crate) fn a_mount_over_a_name() {
        crate::mounts::play("identity::role_mount_over");
    }

    pub(crate) fn role_mount_over(role: &mut Role) {
        if let Err(why) = crate::mounts::mount("tmpfs", "/dev/shm", "size=8m,mode=1777") {
            return role.say(format!("skip: {why}"));
        }
        let name = global(role.argument(0));
        let (path, other) = (path_of(role.argument(0)), path_of("other"));
        let region = SharedMemory::create(&*name, 4096).unwrap();
        fs::write(&other, [7; 100]).unwrap();
        let text = |path: &Path| std::ffi::CString::new(path.to_str().unwrap()).unwrap();
        let (from, to) = (text(&other), text(&path));
        let none = std::ptr::null();
        // SAFETY: the pointers are to zero-terminated paths that outlive the call, or null where that is
        // allowed.
        let code = unsafe { libc::mount(from.as_ptr(), to.as_ptr(), none, libc::MS_BIND, none.cast()) };
        assert_eq!(code, 0);
        assert_eq!(SharedMemory::open(&*name).unwrap().len(), 100);
        drop(region);
        assert_eq!(fs::read(&path).unwrap(), [7; 100]);
        assert_eq!(fs::read(&other).unwrap(), [7; 100]);
        role.say("done");
    }

    /// Under any umask, the owner has the access that the security grants.
    pub(crate) fn the_umask_has_no_effect() {
        need_root();
        for mask in [0o000, 0o022, 0o277, 0o577, 0o777] {
            let text = unique_name("umask");
            let mut user = play(ANN, ANN, "identity::role_umask", &[&text, &format!("{mask}")]);
            user.peer.expect("done");
            finish(&mut user);
            assert!(!is_there(&local_of(ANN, &text)), "{mask:o}");
        }
    }

    pub(crate) fn role_umask(role: &mut Role) {
        let text = role.argument(0).to_owned();
        let mask = role.argument(1).parse().unwrap();
        // SAFETY: umask() has no memory preconditions. This process has one thread that creates files.
        unsafe { libc::umask(mask) };
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
        let region = SharedMemory::create(&*text, 4096).unwrap();
        assert_eq!(mode(&local_of(ANN, &text)), MARK_AND_OWNER, "{mask:o}");
        SharedMemory::open(&*text).unwrap().view().unwrap().write_all_at(b"written", 0).unwrap();
        let (again, _) = OpenOptions::new().len(1).open_or_create(&*text).unwrap();
        // An unnamed region: its mode decides whether it can be reopened.
        let unnamed = SharedMemory::anonymous(4096).unwrap();
        {
            let path = format!("/proc/self/fd/{}", unnamed.as_raw_fd());
            fs::File::options().read(true).write(true).open(path).unwrap();
        }
        assert!(unnamed.into_read_only().is_ok());
        // Files that are created, and saved images.
        let folder = std::env::temp_dir();
        let (file, saved) = (folder.join(&text), folder.join(format!("{text}.saved")));
        let created = FileOptions::new(&file).len(100).create().unwrap();
        created.view().unwrap().write_all_at(b"file", 0).unwrap();
        assert_eq!(mode(&file), 0o666 & !mask | 0o600, "{mask:o}");
        assert!(FileOptions::new(&file).open().is_ok());
        again.save(&saved).unwrap();
        assert_eq!(mode(&saved), 0o600, "{mask:o}");
        assert_eq!(&fs::read(&saved).unwrap()[..7], b"written");
        fs::remove_file(file).unwrap();
        fs::remove_file(saved).unwrap();
        drop((region, again));
        role.say("done");
        role.stay();
    }

    /// A region whose creator was killed before it could correct the mode that the umask left is not in the
    /// way.
    pub(crate) fn unfinished_under_a_umask() {
        need_root();
        for verb in ["create", "open_or_create", "open"] {
            let text = unique_name("unfinished-mask");
            let path = local_of(ANN, &text);
            fs::write(&path, []).unwrap();
            chown(&path, Some(ANN), Some(ANN)).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o3000)).unwrap();
            let mut user = play(ANN, ANN, "identity::role_unfinished", &[&text, verb]);
            user.peer.expect("done");
            finish(&mut user);
            assert!(!is_there(&path), "{verb}");
        }
    }

    pub(crate) fn role_unfinished(role: &mut Role) {
        let text = role.argument(0);
        match role.argument(1) {
            "create" => drop(SharedMemory::create(text, 4096).unwrap()),
            "open_or_create" => drop(OpenOptions::new().len(1).open_or_create(text).unwrap()),
            _ => assert_eq!(SharedMemory::open(text).unwrap_err().kind(), ErrorKind::NotFound),
        }
        role.say("done");
        role.stay();
    }

    /// Locks bytes of a file, until the descriptor is closed.
    fn lock(file: &fs::File, kind: libc::c_int, start: i64, len: i64) {
        // SAFETY: `flock` is a plain C structure, for which all-zero bytes are a valid value.
        let mut lock: libc::flock = unsafe { std::mem::zeroed() };
        (lock.l_type, lock.l_start, lock.l_len) = (kind as libc::c_short, start, len);
        // SAFETY: the descriptor is open, and the pointer is to a live `flock`, which the command reads.
        assert_eq!(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw mut lock) }, 0);
    }

    /// A user with read-only access can neither set a capacity for other processes nor hide the one that
    /// writers have set.
    pub(crate) fn readers_do_not_set_the_capacity() {
        need_root();
        for capacity in [None, Some(1 << 20)] {
            let text = unique_name("reader-tells");
            let name = global(&text);
            let granting = OpenOptions::new().len(5000);
            let granting = granting.security(Security::current_user().grant_read(Principal::Everyone));
            let creator = match capacity {
                Some(capacity) => granting.capacity(capacity).create(&*name).unwrap(),
                None => granting.create(&*name).unwrap(),
            };
            let expected = capacity.unwrap_or(5000);
            let mut reader = play(BOB, BOB, "identity::role_read_locks", &[&text]);
            reader.peer.expect("locked");
            // A region that was opened while the reader has its locks, and one that is opened afterwards.
            let meanwhile = SharedMemory::open(&*name).unwrap();
            for round in 0..2 {
                for region in [SharedMemory::open(&*name).unwrap(), meanwhile.clone()] {
                    assert_eq!((region.len(), region.capacity()), (5000, expected), "{round}");
                    assert_eq!(region.view().unwrap().capacity() as u64, expected, "{round}");
                }
                if capacity.is_some() {
                    // The locks do not block growth by others either: tmpfs extends the file in one step.
                    assert_eq!(creator.grow(6000 + round).unwrap(), 6000 + round);
                    fs::File::options().write(true).open(path_of(&text)).unwrap().set_len(5000).unwrap();
                }
                if round == 0 {
                    finish(&mut reader);
                }
            }
        }
    }

    pub(crate) fn role_read_locks(role: &mut Role) {
        let file = fs::File::open(path_of(role.argument(0))).unwrap();
        // Wherever no process with write access has a lock. (Without a gap between them, locks would merge.)
        lock(&file, libc::F_RDLCK, 1 << 61, (1 << 61) - 1);
        let slots = (0..4096_i64).map(|slot| ((1 << 62) + (slot << 50), 1_i64 << 47));
        let taken = slots.filter(|&(start, len)| try_lock(&file, start, len)).count();
        assert!(taken >= 4094, "{taken}");
        role.say("locked");
        role.stay();
    }

    fn try_lock(file: &fs::File, start: i64, len: i64) -> bool {
        // SAFETY: `flock` is a plain C structure, for which all-zero bytes are a valid value.
        let mut lock: libc::flock = unsafe { std::mem::zeroed() };
        (lock.l_type, lock.l_start, lock.l_len) = (libc::F_RDLCK as libc::c_short, start, len);
        // SAFETY: the descriptor is open, and the pointer is to a live `flock`, which the command fills.
        unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw mut lock) == 0 }
    }

    /// A capacity beyond any address space is not an error: views reserve what fits.
    pub(crate) fn an_absurd_capacity() {
        let text = unique_name("absurd");
        let name = global(&text);
        let creator = SharedMemory::create(&*name, 5000).unwrap();
        let liar = fs::File::options().read(true).write(true).open(path_of(&text)).unwrap();
        lock(&liar, libc::F_WRLCK, 1 << 62, 1 << 50);
        let region = SharedMemory::open(&*name).unwrap();
        assert_eq!((region.len(), region.capacity()), (5000, 1 << 50));
        let views: Vec<_> = (0..100).map(|_| region.view().unwrap()).collect();
        for view in &views {
            assert_eq!(view.len(), 5000);
            assert!(view.capacity() >= 5000 && (view.capacity() as u64) < 1 << 50);
        }
        views[99].write_all_at(b"as usual", 4990).unwrap();
        assert_eq!(creator.view().unwrap().read_vec(4990, 8).unwrap(), b"as usual");
        // A nonsensical capacity is ignored.
        drop((region, views));
        lock(&liar, libc::F_UNLCK, 0, 0);
        lock(&liar, libc::F_WRLCK, (1 << 62) + 5, 1 << 20);
        assert_eq!(SharedMemory::open(&*name).unwrap().capacity(), 5000);
    }

    /// Holders with read-only access are not trusted. When only they remain, the capacity is lost, and that
    /// is reported.
    pub(crate) fn only_readers_remain() {
        let name = unique_name("only-readers");
        let creator = OpenOptions::new().len(4096).capacity(1 << 20).create(&*name).unwrap();
        let reader = SharedMemory::open_read_only(&*name).unwrap();
        drop(creator);
        assert_eq!(reader.capacity(), 1 << 20);
        let late = SharedMemory::open(&*name).unwrap();
        assert_eq!(late.capacity(), 4096);
        let error = late.grow(8192).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BeyondCapacity, "{error}");
        assert!(error.diagnosis().unwrap().causes().any(|cause| *cause == Cause::CapacityUnknown), "{error}");
        // A process that passes the capacity restores it, for itself and for others.
        let (again, _) = OpenOptions::new().len(4096).capacity(1 << 20).open_or_create(&*name).unwrap();
        assert_eq!(again.grow(8192).unwrap(), 8192);
        assert_eq!(SharedMemory::open(&*name).unwrap().capacity(), 1 << 20);
        assert_eq!(reader.view().unwrap().refresh().unwrap(), 8192);
    }

    /// Whether the name leads to the region depends on the object, not on the program that created it.
    pub(crate) fn names_that_lead_elsewhere() {
        let text = unique_name("leads");
        let (path, away) = (path_of(&text), path_of(&format!("{text}-away")));
        let name = global(&text);
        let leads = |region: &SharedMemory<_>| region.name_leads_here().unwrap();
        let region = SharedMemory::create(&*name, 4096).unwrap();
        let opened = SharedMemory::open_read_only(&*name).unwrap();
        assert_eq!(leads(&region), NameTarget::ThisRegion);
        assert_eq!(opened.name_leads_here().unwrap(), NameTarget::ThisRegion);
        fs::rename(&path, &away).unwrap();
        assert_eq!(leads(&region), NameTarget::Nothing);
        assert_eq!(opened.clone().name_leads_here().unwrap(), NameTarget::Nothing);
        // The next run of a foreign program.
        fs::write(&path, [1; 4096]).unwrap();
        assert_eq!(leads(&region), NameTarget::AnotherRegion);
        let foreign = SharedMemory::open(&*name).unwrap();
        assert_eq!(leads(&foreign), NameTarget::ThisRegion);
        fs::remove_file(&path).unwrap();
        assert_eq!(leads(&foreign), NameTarget::Nothing);
        fs::rename(&away, &path).unwrap();
        assert_eq!(leads(&region), NameTarget::ThisRegion);
        drop((region, opened, foreign));
        assert!(!is_there(&path));
        let error = SharedMemory::anonymous(4096).unwrap().name_leads_here().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    }

    /// The holders of a region are listed with their access, including when none with write access remains.
    pub(crate) fn holders_are_listed() {
        need_root();
        let text = unique_name("holders");
        let name = global(&text);
        let mut creator = play(ANN, ANN, "identity::role_owner", &[&text]);
        creator.peer.expect("created");
        let mut reader = play(BOB, BOB, "identity::role_hold", &[&text]);
        reader.peer.expect("held");
        let seen = mmf::diagnosis::examine(&*name).unwrap();
        let found = |holders: &mmf::inspect::Holders| -> Vec<_> {
            holders.iter().map(|holder| (holder.process_id(), holder.may_write())).collect()
        };
        let mut both = vec![(creator.peer.id(), Some(true)), (reader.peer.id(), Some(false))];
        both.sort_unstable();
        let mut holders = seen.holders().unwrap();
        assert_eq!(found(&holders), both);
        assert!(holders.iter().all(|holder| holder.program().is_some() && !holder.is_current()));
        assert_eq!(holders.others_may_write(), Some(true));
        holders.refresh().unwrap();
        assert_eq!(found(&holders), both);
        // A process that holds the region is listed too, and is not counted among the others.
        let own = SharedMemory::open(&*name).unwrap();
        assert!(own.holders().unwrap().iter().any(mmf::inspect::Holder::is_current));
        creator.peer.kill();
        let complete = holders.is_complete();
        let none_left = complete.then_some(false);
        assert_eq!(own.holders().unwrap().others_may_write(), none_left);
        holders.refresh().unwrap();
        assert_eq!(holders.others_may_write(), none_left);
        drop(own);
        holders.refresh().unwrap();
        assert_eq!(found(&holders), [(reader.peer.id(), Some(false))]);
        // Another user learns the holders from the locks, but not their access.
        let mut other = play(ANN, ANN, "identity::role_examine", &[&text, &reader.peer.id().to_string()]);
        other.peer.expect("seen");
        finish(&mut other);
        finish(&mut reader);
        let _ = fs::remove_file(path_of(&text));
    }

    pub(crate) fn role_hold(role: &mut Role) {
        let region = SharedMemory::open_read_only(global(role.argument(0))).unwrap();
        role.say("held");
        role.stay();
        drop(region);
    }

    pub(crate) fn role_examine(role: &mut Role) {
        let holders = mmf::diagnosis::examine(global(role.argument(0))).unwrap().holders().unwrap();
        let found: Vec<_> = holders.iter().map(|holder| (holder.process_id(), holder.may_write())).collect();
        assert_eq!(found, [(role.argument(1).parse().unwrap(), None)]);
        assert_eq!(holders.others_may_write(), None);
        role.say("seen");
        role.stay();
    }

    /// A process with read-only access can keep others out with a lock. Their error identifies it.
    pub(crate) fn an_exclusive_lock_is_reported() {
        let text = unique_name("exclusive");
        let name = global(&text);
        // An object as a killed process would leave it.
        let path = path_of(&text);
        fs::write(&path, [0; 4096]).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(MARK_AND_OWNER)).unwrap();
        let mut locker = testkit::Peer::start("identity::role_lock_exclusively", &[&text]);
        locker.expect("locked");
        for result in [SharedMemory::open(&*name).map(drop), SharedMemory::create(&*name, 4096).map(drop)] {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
            let held = error.diagnosis().unwrap().causes().any(
                |cause| matches!(cause, Cause::HeldExclusively { process, .. } if *process == locker.id()),
            );
            assert!(held, "{error}");
        }
        locker.finish();
        // The lock is released, and the name is removed like any other without holders.
        assert_eq!(SharedMemory::open(&*name).unwrap_err().kind(), ErrorKind::NotFound);
    }

    pub(crate) fn role_lock_exclusively(role: &mut Role) {
        let file = fs::File::open(path_of(role.argument(0))).unwrap();
        // SAFETY: the descriptor is open.
        assert_eq!(unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX) }, 0);
        role.say("locked");
        role.stay();
    }

    /// A value that is never dropped leaves no name behind when its process exits normally, even while other
    /// threads use the region.
    pub(crate) fn exits_release_names() {
        for how in ["exit", "return", "threads"] {
            let text = unique_name("exits");
            let mut peer = testkit::Peer::start("identity::role_exit", &[&text, how]);
            peer.expect("holding");
            peer.finish();
            assert!(!is_there(&path_of(&text)), "{how}");
        }
        // The name stays while another process holds the region.
        let text = unique_name("exits-held");
        let mut peer = testkit::Peer::start("identity::role_exit", &[&text, "exit"]);
        peer.expect("holding");
        let other = SharedMemory::open(global(&text)).unwrap();
        peer.finish();
        assert_eq!(other.name_leads_here().unwrap(), NameTarget::ThisRegion);
        drop(other);
        assert!(!is_there(&path_of(&text)));
    }

    pub(crate) fn role_exit(role: &mut Role) {
        static KEPT: std::sync::OnceLock<(SharedMemory, mmf::View)> = std::sync::OnceLock::new();
        let name = global(role.argument(0));
        let region = SharedMemory::create(&*name, 1 << 20).unwrap();
        let view = region.view().unwrap();
        let (_, view) = KEPT.get_or_init(|| (region, view));
        role.say("holding");
        if role.argument(1) == "threads" {
            for _ in 0..4 {
                std::thread::spawn(move || {
                    loop {
                        view.fill(7, 0..1 << 20).unwrap();
                    }
                });
            }
        }
        role.stay();
        if role.argument(1) != "return" {
            std::process::exit(0);
        }
    }

    /// A daemon keeps the region that its parent created before the fork, and releases it later.
    pub(crate) fn forked_daemons_release_names() {
        for end in ["_exit", "exit"] {
            let text = unique_name("daemon");
            let path = path_of(&text);
            let mut parent = testkit::Peer::start("identity::role_daemon", &[&text, end]);
            parent.expect("parent");
            parent.finish();
            // The parent has ended, and its children continue.
            assert!(SharedMemory::open(global(&text)).is_ok(), "{end}");
            fs::write(path_of(&format!("{text}-first")), []).unwrap();
            testkit::wait_until("the first child ends", || !is_there(&path_of(&format!("{text}-first"))));
            assert!(is_there(&path), "another child holds it still");
            assert!(SharedMemory::open(global(&text)).is_ok(), "{end}");
            fs::write(path_of(&format!("{text}-second")), []).unwrap();
            testkit::wait_until("the second child ends", || !is_there(&path_of(&format!("{text}-second"))));
            assert!(!is_there(&path), "{end}");
        }
    }

    pub(crate) fn role_daemon(role: &mut Role) {
        let text = role.argument(0).to_owned();
        let region = SharedMemory::create(global(&text), 4096).unwrap();
        let view = region.view().unwrap();
        for (child, byte) in [("first", 1_u8), ("second", 2)] {
            // SAFETY: this process has one thread, so the child may run any code.
            if unsafe { libc::fork() } == 0 {
                let signal = path_of(&format!("{text}-{child}"));
                testkit::wait_until("the signal to end", || is_there(&signal));
                view.write(&byte, 0).unwrap();
                drop((region, view));
                fs::remove_file(signal).unwrap();
                // SAFETY: _exit() has no preconditions.
                unsafe { libc::_exit(0) };
            }
        }
        role.say("parent");
        role.stay();
        std::mem::forget((region, view));
        if role.argument(1) == "exit" {
            std::process::exit(0);
        }
        // SAFETY: _exit() has no preconditions.
        unsafe { libc::_exit(0) };
    }

    /// A descriptor that is received over a socket must be shared memory, not a file on a file system that
    /// the sender controls.
    pub(crate) fn files_over_a_socket() {
        use mmf::os::unix::SharedMemoryExt;
        let path = std::env::current_exe().unwrap();
        let (giver, receiver) = std::os::unix::net::UnixStream::pair().unwrap();
        let file = SharedMemory::from_file_read_only(fs::File::open(&path).unwrap()).unwrap();
        file.send_over(&giver).unwrap();
        let error = SharedMemory::<mmf::ReadOnly>::receive_over(&receiver).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotSharedMemory, "{error}");
        file.send_over(&giver).unwrap();
        let received = SharedMemory::<mmf::ReadOnly>::receive_file_over(&receiver).unwrap();
        assert_eq!(received.len(), file.len());
        // Every kind of shared memory is accepted.
        let named = SharedMemory::create(&*unique_name("over"), 4096).unwrap();
        for region in [named, SharedMemory::anonymous(4096).unwrap()] {
            region.send_over(&giver).unwrap();
            assert_eq!(<SharedMemory>::receive_over(&receiver).unwrap().len(), 4096);
        }
        crate::mounts::play("identity::role_serve_files");
    }

    pub(crate) fn role_serve_files(role: &mut Role) {
        use mmf::os::unix::SharedMemoryExt;
        use std::io::{Read, Write};
        let mut server = match fs::File::options().read(true).write(true).open("/dev/fuse") {
            Ok(server) => server,
            Err(why) => return role.say(format!("skip: /dev/fuse: {why}")),
        };
        let folder = std::env::temp_dir().join(role.argument(0));
        fs::create_dir(&folder).unwrap();
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0", server.as_raw_fd());
        let mounted = crate::mounts::mount("fuse", folder.to_str().unwrap(), &options);
        if let Err(why) = mounted {
            fs::remove_dir(&folder).unwrap();
            return role.say(format!("skip: fuse: {why}"));
        }
        // The server answers lookup and open, and leaves all other requests unanswered until the end: those
        // callers block.
        let over = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let is_over = std::sync::Arc::clone(&over);
        std::thread::spawn(move || {
            let mut request = vec![0; 1 << 20];
            let mut waiting: Vec<Vec<u8>> = Vec::new();
            while server.read(&mut request).is_ok() {
                let word = |at: usize| u32::from_ne_bytes(request[at..at + 4].try_into().unwrap());
                let (opcode, node) = (word(4), word(16));
                let attributes = |mode: u32| {
                    let words: Vec<u32> = [2, 0, 4096, 0]
                        .into_iter()
                        .chain([0; 11])
                        .chain([mode, 1, 0, 0, 0, 4096, 0])
                        .collect();
                    words.iter().flat_map(|word| word.to_ne_bytes()).collect::<Vec<u8>>()
                };
                let mut answer = vec![0_u8; 16];
                answer[8..16].copy_from_slice(&request[8..16]);
                match (opcode, node) {
                    // INIT
                    (26, _) => {
                        let words = [7_u32, 31, 0, 0, 0, 4096, 1];
                        answer.extend(words.iter().flat_map(|word| word.to_ne_bytes()));
                        answer.resize(16 + 64, 0);
                    }
                    // LOOKUP
                    (1, _) => {
                        answer.extend(2_u64.to_ne_bytes());
                        answer.resize(16 + 40, 0);
                        answer.extend(attributes(libc::S_IFREG | 0o666));
                    }
                    // GETATTR of the directory
                    (3, 1) => {
                        answer.resize(16 + 16, 0);
                        answer.extend(attributes(libc::S_IFDIR | 0o777));
                    }
                    // OPEN
                    (14, _) => answer.resize(16 + 16, 0),
                    // Requests without an answer: FORGET, INTERRUPT and BATCH_FORGET.
                    (2 | 36 | 42, _) => continue,
                    _ => {
                        answer[4..8].copy_from_slice(&(-libc::ENOSYS).to_ne_bytes());
                        waiting.push(answer);
                        if !is_over.load(std::sync::atomic::Ordering::SeqCst) {
                            continue;
                        }
                        answer = waiting.pop().unwrap();
                    }
                }
                let over = is_over.load(std::sync::atomic::Ordering::SeqCst);
                let late = if over { std::mem::take(&mut waiting) } else { Vec::new() };
                for mut answer in late.into_iter().chain([answer]) {
                    let len = u32::try_from(answer.len()).unwrap();
                    answer[..4].copy_from_slice(&len.to_ne_bytes());
                    let _ = server.write_all(&answer);
                }
            }
        });
        let file = fs::File::options().read(true).write(true).open(folder.join("file")).unwrap();
        // Once this is dropped, the server answers every request, so that this process can end. The next
        // request wakes it.
        struct Over(std::sync::Arc<std::sync::atomic::AtomicBool>);
        impl Drop for Over {
            fn drop(&mut self) {
                self.0.store(true, std::sync::atomic::Ordering::SeqCst);
            }
        }
        let over = Over(over);
        let (giver, receiver) = std::os::unix::net::UnixStream::pair().unwrap();
        send(&giver, &[&file]);
        let error = <SharedMemory>::receive_over(&receiver).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotSharedMemory, "{error}");
        // Surplus descriptors do not block when they are closed either.
        send(&giver, &[&file, &file]);
        let error = <SharedMemory>::receive_over(&receiver).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidTicket, "{error}");
        drop(over);
        let _ = file.metadata();
        drop(file);
        role.say("done");
        // SAFETY: the path is zero-terminated and outlives the call.
        unsafe { libc::umount2(c_text(&folder).as_ptr(), libc::MNT_DETACH) };
        let _ = fs::remove_dir(&folder);
    }

    fn c_text(path: &Path) -> std::ffi::CString {
        std::ffi::CString::new(path.to_str().unwrap()).unwrap()
    }

    /// Sends descriptors without the library.
    #[allow(clippy::unnecessary_cast, reason = "C libraries differ in the types of these lengths")]
    fn send(socket: &std::os::unix::net::UnixStream, files: &[&fs::File]) {
        let mut room = [0_u64; 8];
        let mut byte = *b"m";
        let mut part = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
        let len =
            u32::try_from(size_of_val(files) / size_of::<&fs::File>() * size_of::<libc::c_int>()).unwrap();
        // SAFETY: `msghdr` is a plain C structure, for which all-zero bytes are a valid value. The buffer is
        // large enough, aligned, and outlives the call.
        unsafe {
            let mut message: libc::msghdr = std::mem::zeroed();
            (message.msg_iov, message.msg_iovlen) = (&raw mut part, 1);
            (message.msg_control, message.msg_controllen) =
                (room.as_mut_ptr().cast(), libc::CMSG_SPACE(len) as _);
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            ((*header).cmsg_level, (*header).cmsg_type) = (libc::SOL_SOCKET, libc::SCM_RIGHTS);
            (*header).cmsg_len = libc::CMSG_LEN(len) as _;
            for (index, file) in files.iter().enumerate() {
                libc::CMSG_DATA(header).cast::<libc::c_int>().add(index).write_unaligned(file.as_raw_fd());
            }
            assert_eq!(libc::sendmsg(socket.as_raw_fd(), &raw const message, 0), 1);
        }
    }

    /// Every way to query the length returns the same value.
    pub(crate) fn one_length() {
        use std::collections::BTreeSet;
        let foreign = path_of(&unique_name("length"));
        fs::write(&foreign, [1; 5001]).unwrap();
        let created = global(&unique_name("length"));
        let region = OpenOptions::new().len(5001).capacity(1 << 20).create(&*created).unwrap();
        let foreign_name = global(foreign.file_name().unwrap().to_str().unwrap());
        for (name, len) in [(&foreign_name, 5001), (&created, 5001), (&created, 70_003)] {
            if len > 5001 {
                region.grow(len).unwrap();
            }
            let opened = SharedMemory::open(&**name).unwrap();
            let mut reported = BTreeSet::from([opened.len(), opened.view().unwrap().len() as u64]);
            reported.extend(mmf::diagnosis::examine(&**name).unwrap().len());
            let error = SharedMemory::create(&**name, 1).unwrap_err();
            let causes: Vec<_> = error.diagnosis().unwrap().causes().collect();
            reported.extend(causes.iter().filter_map(|cause| match cause {
                Cause::Exists { len, .. } => *len,
                _ => None,
            }));
            reported.extend(OpenOptions::new().check_open(&**name).causes().filter_map(
                |cause| match cause {
                    Cause::Usable { len, .. } => *len,
                    _ => None,
                },
            ));
            assert_eq!(reported, BTreeSet::from([len]), "{name}");
            assert!(OpenOptions::new().expect_len(len).open(&**name).is_ok());
        }
        fs::remove_file(foreign).unwrap();
    }

    /// Plays a role in a user namespace of its own, in which the user has the given id, or none.
    fn play_in_namespace(user: u32, inside: Option<u32>, role: &str, arguments: &[&str]) -> Played {
        play_with(user, user, role, arguments, |command| {
            let enter = move || {
                // SAFETY: unshare() has no memory preconditions.
                if unsafe { libc::unshare(libc::CLONE_NEWUSER) } != 0 {
                    return Err(std::io::Error::last_os_error());
                }
                // After a change of its user id, a process may not even read its own files in /proc.
                // SAFETY: this prctl() option takes no pointers.
                unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1) };
                match inside {
                    Some(inside) => fs::write("/proc/self/uid_map", format!("{inside} {user} 1")),
                    None => Ok(()),
                }
            };
            // SAFETY: the closure makes system calls and allocates. The C libraries of Linux keep their
            // allocator usable in a forked child.
            unsafe { command.pre_exec(enter) };
            match command.spawn() {
                Ok(child) => child,
                Err(error) => testkit::skip(format!("no user namespaces here: {error}")),
            }
        })
    }

    /// Users without an id in a user namespace all have the same id there, and are not taken for one another.
    pub(crate) fn users_without_a_number() {
        need_root();
        let text = unique_name("no-number");
        let strangers = local_of(65534, &text);
        for (path, marked) in [(strangers.clone(), 0o3666), (path_of(&text), 0o666)] {
            fs::write(&path, [1; 4096]).unwrap();
            chown(&path, Some(ANN), Some(ANN)).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(marked)).unwrap();
        }
        // Held, so that no program of its owner takes it for stale.
        let held = fs::File::open(&strangers).unwrap();
        // SAFETY: the descriptor is open.
        assert_eq!(unsafe { libc::flock(held.as_raw_fd(), libc::LOCK_SH) }, 0);
        let mut user = play_in_namespace(BOB, None, "identity::role_without_a_number", &[&text]);
        user.peer.expect("done");
        finish(&mut user);
        assert!(is_there(&strangers), "another user's region was removed");
        fs::remove_file(strangers).unwrap();
        fs::remove_file(path_of(&text)).unwrap();
    }

    pub(crate) fn role_without_a_number(role: &mut Role) {
        let text = role.argument(0);
        // SAFETY: geteuid() has no preconditions and cannot fail.
        assert_eq!(unsafe { libc::geteuid() }, 65534);
        for result in [SharedMemory::open(text), granting().open_or_create(text).map(|(region, _)| region)] {
            assert_eq!(result.unwrap_err().kind(), ErrorKind::UnexpectedOwner);
        }
        let check = OpenOptions::new().check_open(text);
        assert_eq!(check.error_kind(), Some(ErrorKind::UnexpectedOwner), "{check}");
        let seen = mmf::diagnosis::examine(text).unwrap();
        assert_eq!(seen.diagnosis().error_kind(), Some(ErrorKind::UnexpectedOwner));
        // The owner of any other region is not trusted either.
        let name = global(text);
        assert!(SharedMemory::open(&*name).is_ok());
        for owner in [Principal::CurrentUser, Principal::user("65534")] {
            let expecting = OpenOptions::new().expect_owner(owner);
            assert_eq!(expecting.open(&*name).unwrap_err().kind(), ErrorKind::UnexpectedOwner);
            assert_eq!(expecting.check_open(&*name).error_kind(), Some(ErrorKind::UnexpectedOwner));
        }
        // A region that it creates itself is its own.
        let own = format!("{text}-own");
        let region = SharedMemory::create(&*own, 4096).unwrap();
        assert!(SharedMemory::open(&*own).is_ok());
        assert!(OpenOptions::new().expect_owner(Principal::CurrentUser).open(&*own).is_ok());
        drop(region);
        assert_eq!(SharedMemory::open(&*own).unwrap_err().kind(), ErrorKind::NotFound);
        role.say("done");
        role.stay();
    }

    /// In a rootless container, a user's local names differ from those outside. The error for a missing name
    /// reports that.
    pub(crate) fn local_names_in_a_container() {
        need_root();
        let text = unique_name("container");
        let mut user = play_in_namespace(ANN, Some(0), "identity::role_in_a_container", &[&text]);
        user.peer.expect("done");
        finish(&mut user);
    }

    pub(crate) fn role_in_a_container(role: &mut Role) {
        let error = SharedMemory::open(role.argument(0)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        let is_named =
            |cause: &Cause| matches!(cause, Cause::OtherUserNamespace { inside: 0, outside: ANN, .. });
        assert!(error.diagnosis().unwrap().causes().any(is_named), "{error}");
        role.say("done");
        role.stay();
    }
}

/// These tests are for Linux, where names are files and users are numbers.
#[cfg(not(target_os = "linux"))]
mod linux {
    macro_rules! skipped {
        ($($test:ident)* ; $($role:ident)*) => {
            $(pub(crate) fn $test() {
                testkit::skip("names are not files here");
            })*
            $(pub(crate) fn $role(_: &mut testkit::Role) {})*
        };
    }
    skipped! {
        a_planted_link_is_refused links_planted_at_the_last_moment links_to_stale_regions
        foreign_regions_with_links regions_of_other_users_are_left_alone a_directory_without_the_sticky_bit
        a_mount_over_a_name the_umask_has_no_effect unfinished_under_a_umask users_without_a_number
        local_names_in_a_container names_that_lead_elsewhere readers_do_not_set_the_capacity
        an_absurd_capacity only_readers_remain holders_are_listed an_exclusive_lock_is_reported
        exits_release_names forked_daemons_release_names files_over_a_socket one_length;
        role_owner role_link role_link_on role_create_and_drop role_next role_other role_not_sticky
        role_mount_over role_umask role_unfinished role_without_a_number role_in_a_container
        role_read_locks role_hold role_examine role_lock_exclusively role_exit role_daemon role_serve_files
    }
}

pub(crate) use linux::*;

testkit::registry! {
    identity
    tests {
        a_planted_link_is_refused
        links_planted_at_the_last_moment
        links_to_stale_regions
        foreign_regions_with_links
        regions_of_other_users_are_left_alone
        a_directory_without_the_sticky_bit
        a_mount_over_a_name
        the_umask_has_no_effect
        unfinished_under_a_umask
        users_without_a_number
        local_names_in_a_container
        names_that_lead_elsewhere
        readers_do_not_set_the_capacity
        an_absurd_capacity
        only_readers_remain
        holders_are_listed
        an_exclusive_lock_is_reported
        exits_release_names
        forked_daemons_release_names
        files_over_a_socket
        one_length
    }
    roles {
        role_owner
        role_link
        role_link_on
        role_create_and_drop
        role_next
        role_other
        role_not_sticky
        role_mount_over
        role_umask
        role_unfinished
        role_without_a_number
        role_in_a_container
        role_read_locks
        role_hold
        role_examine
        role_lock_exclusively
        role_exit
        role_daemon
        role_serve_files
    }
}
