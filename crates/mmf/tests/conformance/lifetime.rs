//! A region and its name live while a process holds them, and nothing is left behind.

use mmf::{Disposition, ErrorKind, OpenOptions, SharedMemory};
use testkit::{Peer, Role, mapped_views, open_handles, unique_name};

fn is_gone(name: &str) -> bool {
    match SharedMemory::open_read_only(name) {
        Ok(_) => false,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
            true
        }
    }
}

pub(crate) fn the_name_goes_with_the_last_holder() {
    let name = unique_name("last");
    let first = SharedMemory::create(&name, 4096).unwrap();
    let second = SharedMemory::open(&name).unwrap();
    let third = SharedMemory::open_read_only(&name).unwrap();
    drop(first);
    assert!(!is_gone(&name));
    drop(second);
    assert!(!is_gone(&name));
    drop(third);
    assert!(is_gone(&name));
    let again = SharedMemory::create(&name, 8192).unwrap();
    assert_eq!(again.view().unwrap().read::<u64>(0).unwrap(), 0);
}

pub(crate) fn another_holder_keeps_it_alive() {
    let name = unique_name("keeps");
    let memory = SharedMemory::create(&name, 4096).unwrap();
    memory.view().unwrap().write_all_at(b"kept", 0).unwrap();
    let mut peer = Peer::start("lifetime::role_hold", &[&name]);
    peer.expect("held");
    drop(memory);
    assert_eq!(SharedMemory::open(&name).unwrap().view().unwrap().read_vec(0, 4).unwrap(), b"kept");
    peer.finish();
    assert!(is_gone(&name));
}

pub(crate) fn role_hold(role: &mut Role) {
    let memory = SharedMemory::open(role.argument(0)).unwrap();
    role.say("held");
    role.stay();
    drop(memory);
}

pub(crate) fn a_view_keeps_the_name() {
    let name = unique_name("view");
    let view = SharedMemory::create(&name, 4096).unwrap().view().unwrap();
    view.write_all_at(b"seen", 0).unwrap();
    assert_eq!(SharedMemory::open(&name).unwrap().view().unwrap().read_vec(0, 4).unwrap(), b"seen");
    drop(view);
    assert!(is_gone(&name));
}

pub(crate) fn views_outlive_the_handle() {
    let memory = SharedMemory::anonymous(10_000).unwrap();
    let (one, two) = (memory.view().unwrap(), memory.view_at(5000, 5000).unwrap());
    drop(memory);
    one.write_all_at(b"still there", 5000).unwrap();
    assert_eq!(two.read_vec(0, 11).unwrap(), b"still there");
}

pub(crate) fn clones_are_holders() {
    let name = unique_name("clone");
    let memory = SharedMemory::create(&name, 4096).unwrap();
    let clone = memory.clone();
    drop(memory);
    assert!(!is_gone(&name));
    drop(clone);
    assert!(is_gone(&name));
}

pub(crate) fn a_killed_holder_leaves_nothing() {
    let name = unique_name("killed");
    let memory = SharedMemory::create(&name, 4096).unwrap();
    let mut peer = Peer::start("lifetime::role_hold", &[&name]);
    peer.expect("held");
    drop(memory);
    peer.kill();
    assert!(is_gone(&name));
    let _new = SharedMemory::create(&name, 100).unwrap();
}

pub(crate) fn a_killed_last_holder_does_not_block_open_or_create() {
    let name = unique_name("stale");
    let mut peer = Peer::start("lifetime::role_open_or_create", &[&name]);
    peer.expect("Created");
    let (memory, how) = OpenOptions::new().len(4096).open_or_create(&name).unwrap();
    assert_eq!(how, Disposition::Opened);
    memory.view().unwrap().write(&1_u8, 0).unwrap();
    drop(memory);
    peer.kill();
    let (memory, how) = OpenOptions::new().len(4096).open_or_create(&name).unwrap();
    assert_eq!(how, Disposition::Created);
    assert_eq!(memory.view().unwrap().read::<u8>(0).unwrap(), 0);
}

pub(crate) fn role_open_or_create(role: &mut Role) {
    let (memory, how) = OpenOptions::new().len(4096).open_or_create(role.argument(0)).unwrap();
    // Killed while the region is in use, not only between two calls.
    let view = memory.view().unwrap();
    role.say(format!("{how:?}"));
    loop {
        view.fill(7, 0..4096).unwrap();
    }
}

pub(crate) fn many_killed_holders() {
    let rounds = if testkit::under_wine() { 5 } else { 25 };
    let name = unique_name("massacre");
    for _ in 0..rounds {
        let mut peers: Vec<_> =
            (0..3).map(|_| Peer::start("lifetime::role_open_or_create", &[&name])).collect();
        let said: Vec<_> = peers.iter_mut().map(Peer::hear).collect();
        assert_eq!(said.iter().filter(|how| *how == "Created").count(), 1, "{said:?}");
        for peer in &mut peers {
            peer.kill();
        }
        assert!(is_gone(&name));
    }
}

pub(crate) fn nothing_leaks_in_a_thousand_rounds() {
    // In a process of its own, where no other test opens anything in parallel.
    let mut peer = Peer::start("lifetime::role_leak_check", &[&unique_name("leak")]);
    let counts = peer.hear();
    let [before, after] = counts.split(" -> ").collect::<Vec<_>>()[..] else { panic!("{counts}") };
    assert_eq!(before, after);
    peer.finish();
}

pub(crate) fn role_leak_check(role: &mut Role) {
    let name = role.argument(0).to_owned();
    let round = || {
        let memory = SharedMemory::create(&name, 200_000).unwrap();
        let views = [memory.view().unwrap(), memory.view_at(70_000, 1000).unwrap()];
        let opened = SharedMemory::open(&name).unwrap();
        let read_only = SharedMemory::open_read_only(&name).unwrap().view().unwrap();
        let narrowed = opened.into_read_only().unwrap();
        let (either, _) = OpenOptions::new().len(1).open_or_create(&name).unwrap();
        assert!(SharedMemory::create(&name, 1).is_err());
        assert!(OpenOptions::new().len(1 << 30).open(&name).is_err());
        assert!(SharedMemory::open("it was never created").is_err());
        assert!(memory.view_at(1 << 40, 1).is_err());
        let nameless = SharedMemory::anonymous(5000).unwrap().into_read_only().unwrap().view().unwrap();
        let cursor = views[0].cursor();
        drop((memory, views, read_only, narrowed, either, nameless, cursor));
    };
    // Resources that the system allocates at first use are not counted.
    for _ in 0..10 {
        round();
    }
    let count = || format!("{} handles, {} views", open_handles(), mapped_views());
    let before = count();
    for _ in 0..1000 {
        round();
    }
    role.say(format!("{before} -> {}", count()));
}

pub(crate) fn list_finds_regions() {
    let text = unique_name("list");
    let find = || mmf::inspect::list().unwrap().into_iter().find(|entry| entry.text() == text);
    if mmf::inspect::list().is_err_and(|error| error.kind() == ErrorKind::Unsupported) {
        testkit::skip("this system cannot list its shared memory objects");
    }
    assert!(find().is_none());
    let memory = SharedMemory::create(&text, 4096).unwrap();
    let entry = find().unwrap();
    assert_eq!(entry.name().unwrap(), *memory.name().unwrap());
    assert!(!entry.is_stale());
    drop(memory);
    assert!(find().is_none());
    // The name of a killed holder is not shown as held.
    let mut peer = Peer::start("lifetime::role_open_or_create", &[&text]);
    peer.expect("Created");
    peer.kill();
    testkit::wait_until("a dead name is shown as one", || find().is_none_or(|entry| entry.is_stale()));
    assert!(is_gone(&text));
    assert!(find().is_none());
}

pub(crate) fn a_new_region_is_zeroed() {
    for len in [1, 4095, 4096, 4097, 65536, 1_000_000] {
        let memory = SharedMemory::anonymous(len).unwrap();
        let view = memory.view().unwrap();
        assert!(view.read_vec(0, view.len()).unwrap().iter().all(|byte| *byte == 0));
        view.fill(0xFF, 0..view.len()).unwrap();
    }
}

pub(crate) fn only_our_own_object_is_removed() {
    if !cfg!(target_os = "linux") {
        testkit::skip("objects cannot be renamed here");
    }
    let text = unique_name("renamed");
    let (path, other) = (format!("/dev/shm/{text}"), format!("/dev/shm/{text}-away"));
    let memory = SharedMemory::create(format!(r"Global\{text}"), 4096).unwrap();
    std::fs::rename(&path, &other).unwrap();
    std::fs::write(&path, b"a foreign object").unwrap();
    drop(memory);
    assert_eq!(std::fs::read(&path).unwrap(), b"a foreign object");
    std::fs::remove_file(&path).unwrap();
    // The present name is removed with the last holder: it leads to our object, which no process holds any
    // more.
    assert!(!std::path::Path::new(&other).exists());
}

pub(crate) fn listing_does_not_disturb() {
    // Listing locks every object for a moment: that must neither revive a stale one, nor hide a living one.
    if mmf::inspect::list().is_err() {
        testkit::skip("this system cannot list its shared memory objects");
    }
    let name = unique_name("looked-at");
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                mmf::inspect::list().unwrap();
            }
        });
        for _ in 0..if testkit::under_wine() { 50 } else { 500 } {
            let memory = SharedMemory::create(&name, 4096).unwrap();
            let opened = SharedMemory::open(&name).unwrap();
            assert_eq!(SharedMemory::create(&name, 1).unwrap_err().kind(), ErrorKind::AlreadyExists);
            drop((memory, opened));
            assert!(is_gone(&name));
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

pub(crate) fn truncated_to_zero() {
    if !cfg!(target_os = "linux") {
        testkit::skip("regions cannot be truncated here");
    }
    let text = unique_name("nothing");
    let memory = SharedMemory::create(format!(r"Global\{text}"), 4096).unwrap();
    std::fs::File::options().write(true).open(format!("/dev/shm/{text}")).unwrap().set_len(0).unwrap();
    assert_eq!(memory.view().unwrap_err().kind(), ErrorKind::TooSmall);
    assert_eq!(memory.len(), 0);
    assert_eq!(memory.view_at(0, 1).unwrap_err().kind(), ErrorKind::OutOfBounds);
}

testkit::registry! {
    lifetime
    tests {
        the_name_goes_with_the_last_holder
        another_holder_keeps_it_alive
        a_view_keeps_the_name
        a_killed_holder_leaves_nothing
        a_killed_last_holder_does_not_block_open_or_create
        views_outlive_the_handle
        clones_are_holders
        many_killed_holders
        nothing_leaks_in_a_thousand_rounds
        list_finds_regions
        a_new_region_is_zeroed
        only_our_own_object_is_removed
        listing_does_not_disturb
        truncated_to_zero
    }
    roles {
        role_hold
        role_leak_check
        role_open_or_create
    }
}
