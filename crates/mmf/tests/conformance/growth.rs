//! Regions that grow: in place, for all holders, by several processes at once, and also when these are
//! killed.

use std::sync::atomic::Ordering;

use mmf::diagnosis::{Cause, Remedy};
use mmf::{ErrorKind, OpenOptions, SharedMemory};
use testkit::{Peer, Role, mapped_views, open_handles, page_size, unique_name};

/// More than any test grows to, and small enough for the address space of a 32-bit process.
const CAPACITY: u64 = 256 << 20;

fn options(len: u64) -> OpenOptions {
    OpenOptions::new().len(len).capacity(CAPACITY)
}

/// Skips the test where the length of a region is fixed.
fn need_growth() {
    if cfg!(target_vendor = "apple") {
        testkit::skip("the length of a region is fixed here");
    }
}

fn page() -> u64 {
    page_size() as u64
}

pub(crate) fn in_place() {
    need_growth();
    let memory = options(4096).create(&*unique_name("grow")).unwrap();
    assert_eq!((memory.len(), memory.capacity()), (page(), CAPACITY));
    let view = memory.view().unwrap();
    let (address, small) = (view.as_ptr(), view.len());
    view.fill(0x55, 0..small).unwrap();
    for len in [2 * page(), 100_000, 1 << 20, 5_000_001] {
        let before = memory.len();
        let now = memory.grow(len).unwrap();
        // Whole pages on Windows.
        assert!(now == len || (cfg!(windows) && now == len.next_multiple_of(page())), "{now} for {len}");
        assert_eq!(memory.len(), now);
        // The view queries the length only when an access lies beyond the known one.
        assert_eq!(view.len() as u64, before);
        assert_eq!(view.read::<u8>(now as usize - 1).unwrap(), 0);
        assert_eq!(view.len() as u64, now);
        view.write(&len, now as usize - 8).unwrap();
        assert_eq!(memory.view_at(now - 8, 8).unwrap().read::<u64>(0).unwrap(), len);
    }
    assert_eq!(view.as_ptr(), address);
    assert_eq!(view.read_vec(0, small).unwrap(), vec![0x55; small]);
    // To the present length or less: nothing happens.
    assert_eq!(memory.grow(10).unwrap(), memory.len());
    // Up to the capacity, and not further.
    let view = memory.view().unwrap();
    assert_eq!(memory.grow(CAPACITY).unwrap(), CAPACITY);
    assert_eq!(view.refresh().unwrap() as u64, CAPACITY);
    view.write(&7_u32, CAPACITY as usize - 4).unwrap();
}

pub(crate) fn without_a_name() {
    need_growth();
    let memory = options(1000).anonymous().unwrap();
    let view = memory.view().unwrap();
    memory.grow(1 << 20).unwrap();
    view.write_all_at(b"grown", (1 << 20) - 5).unwrap();
    assert_eq!(memory.view().unwrap().read_vec((1 << 20) - 5, 5).unwrap(), b"grown");
}

pub(crate) fn not_beyond_the_capacity() {
    need_growth();
    let memory = options(4096).create(&*unique_name("beyond")).unwrap();
    let error = memory.grow(CAPACITY + 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BeyondCapacity, "{error}");
    let diagnosis = error.diagnosis().unwrap();
    let is_beyond = |cause: &Cause| match cause {
        Cause::BeyondCapacity { asked, capacity, .. } => (*asked, *capacity) == (CAPACITY + 1, CAPACITY),
        _ => false,
    };
    assert!(diagnosis.causes().any(is_beyond));
    assert!(diagnosis.remedies().any(|remedy| *remedy == Remedy::EnlargeCapacity));
    assert_eq!(memory.len(), page());
    assert!(memory.check_grow(CAPACITY).is_ok());
    let diagnosis = memory.check_grow(CAPACITY + 1);
    assert_eq!(diagnosis.error_kind(), Some(ErrorKind::BeyondCapacity), "{diagnosis}");
    // The view reports that the region could be longer.
    let error = memory.view().unwrap().read::<u8>(1 << 20).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfBounds);
    assert!(format!("{error:#}").contains("grow the region first"), "{error}");
}

pub(crate) fn not_without_a_capacity() {
    for memory in [SharedMemory::anonymous(4096), SharedMemory::create(&*unique_name("fixed"), 4096)] {
        let memory = memory.unwrap();
        assert_eq!(memory.capacity(), memory.len());
        assert_eq!(memory.grow(1).unwrap(), memory.len());
        let error = memory.grow(memory.len() + 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BeyondCapacity, "{error}");
        assert!(format!("{error:#}").contains("capacity"), "{error}");
    }
}

pub(crate) fn invalid_capacities() {
    let less = OpenOptions::new().len(8192).capacity(4096);
    let error = less.create(&*unique_name("less")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BeyondCapacity, "{error}");
    assert_eq!(less.check_create(&*unique_name("less")).error_kind(), Some(ErrorKind::BeyondCapacity));
    assert_eq!(less.anonymous().unwrap_err().kind(), ErrorKind::BeyondCapacity);
    let huge = OpenOptions::new().len(8192).capacity(u64::MAX);
    let error = huge.create(&*unique_name("huge")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
    assert_eq!(huge.check_create(&*unique_name("huge")).error_kind(), Some(ErrorKind::TooLarge));
}

pub(crate) fn openers_learn_the_capacity() {
    need_growth();
    let name = unique_name("learn");
    let first = options(4096).create(&*name).unwrap();
    let second = SharedMemory::open(&*name).unwrap();
    assert_eq!(second.capacity(), CAPACITY);
    // Also when the first holders are gone.
    drop(first);
    let third = SharedMemory::open_read_only(&*name).unwrap();
    let (fourth, _) = OpenOptions::new().len(4096).open_or_create(&*name).unwrap();
    drop(second);
    assert_eq!((third.capacity(), fourth.capacity()), (CAPACITY, CAPACITY));
    drop(third);
    let narrow = fourth.clone().into_read_only().unwrap();
    assert_eq!(narrow.capacity(), CAPACITY);
    let view = narrow.view().unwrap();
    fourth.grow(1 << 20).unwrap();
    assert_eq!(view.refresh().unwrap(), 1 << 20);
    // A clone that was passed on.
    #[cfg(unix)]
    let again = {
        use mmf::os::unix::SharedMemoryExt;
        SharedMemory::<mmf::ReadWrite>::from_fd(fourth.to_fd().unwrap()).unwrap()
    };
    #[cfg(windows)]
    let again = {
        use mmf::os::windows::SharedMemoryExt;
        SharedMemory::<mmf::ReadWrite>::from_handle(fourth.to_handle().unwrap()).unwrap()
    };
    drop((fourth, narrow));
    assert_eq!(again.capacity(), CAPACITY);
    again.grow(2 << 20).unwrap();
    assert_eq!(view.refresh().unwrap(), 2 << 20);
    // The requested length is a minimum.
    assert_eq!(OpenOptions::new().capacity(1000).open(&*name).unwrap().capacity(), CAPACITY);
    let error = OpenOptions::new().capacity(CAPACITY + page()).open(&*name).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooSmall, "{error}");
}

pub(crate) fn openers_learn_the_capacity_without_a_name() {
    need_growth();
    let memory = options(4096).anonymous().unwrap();
    let mut command = testkit::command_for_role("growth::role_receive", &[]);
    let child = {
        use mmf::handoff::CommandExt;
        command.hand_off("growing", &memory).unwrap().spawn().unwrap()
    };
    let mut peer = Peer::adopt("receiver", child);
    peer.expect(&format!("{CAPACITY}"));
    memory.grow(1 << 20).unwrap();
    memory.view().unwrap().write(&77_u32, (1 << 20) - 4).unwrap();
    peer.say("grown");
    peer.expect("77");
    peer.expect("2097152");
    assert_eq!(memory.len(), 2 << 20);
    peer.finish();
}

pub(crate) fn role_receive(role: &mut Role) {
    let memory = mmf::handoff::receive("growing").unwrap();
    role.say(memory.capacity().to_string());
    let view = memory.view().unwrap();
    let _ = role.hear();
    role.say(view.read::<u32>((1 << 20) - 4).unwrap().to_string());
    role.say(memory.grow(2 << 20).unwrap().to_string());
}

/// Another process has a view from before the first growth, and follows it all the way.
pub(crate) fn old_views_follow_ten_thousand_times() {
    need_growth();
    let rounds = 10_000;
    let name = unique_name("follow");
    let memory = OpenOptions::new().len(page()).capacity((rounds + 2) * page()).create(&*name).unwrap();
    let mut peer = Peer::start("growth::role_follow", &[&name, &rounds.to_string()]);
    peer.expect("looking");
    let view = memory.view().unwrap();
    let address = view.as_ptr();
    for round in 1..=rounds {
        assert_eq!(memory.grow((round + 1) * page()).unwrap(), (round + 1) * page());
        view.write(&round, (round * page()) as usize + 8).unwrap();
        view.atomic_u64(0).unwrap().store(round, Ordering::Release).unwrap();
    }
    assert_eq!(view.as_ptr(), address);
    peer.expect("seen all");
    peer.finish();
}

pub(crate) fn role_follow(role: &mut Role) {
    let memory = SharedMemory::open_read_only(role.argument(0)).unwrap();
    let rounds: u64 = role.argument(1).parse().unwrap();
    let view = memory.view().unwrap();
    let address = view.as_ptr();
    role.say("looking");
    let mut seen = 0;
    while seen < rounds {
        let now = view.atomic_u64(0).unwrap().load(Ordering::Acquire).unwrap();
        if now == seen {
            std::thread::yield_now();
        }
        for round in seen + 1..=now {
            assert_eq!(view.read::<u64>((round * page()) as usize + 8).unwrap(), round);
        }
        seen = now;
    }
    assert_eq!(view.as_ptr(), address);
    assert_eq!(view.refresh().unwrap() as u64, (rounds + 1) * page());
    role.say("seen all");
}

/// Each process grows by its part and marks the part that it added; no mark is lost, and the region never
/// shrinks.
pub(crate) fn several_grow_at_once() {
    need_growth();
    let name = unique_name("several");
    let memory = options(page()).create(&*name).unwrap();
    let mut peers: Vec<_> =
        (1..=4).map(|number: u32| Peer::start("growth::role_grow", &[&name, &number.to_string()])).collect();
    for peer in &mut peers {
        peer.expect("ready");
    }
    for peer in &mut peers {
        peer.say("go");
    }
    for peer in &mut peers {
        peer.expect("done");
    }
    for peer in peers {
        peer.finish();
    }
    let view = memory.view().unwrap();
    let claimed = view.read::<u64>(0).unwrap();
    assert_eq!(claimed, 4 * 300);
    assert_eq!(memory.len(), (claimed + 1) * page());
    let mut counts = [0; 5];
    for place in 1..=claimed {
        counts[view.read::<u32>((place * page()) as usize).unwrap() as usize] += 1;
    }
    assert_eq!(counts, [0, 300, 300, 300, 300]);
}

pub(crate) fn role_grow(role: &mut Role) {
    let memory = SharedMemory::open(role.argument(0)).unwrap();
    let number: u32 = role.argument(1).parse().unwrap();
    let view = memory.view().unwrap();
    role.say("ready");
    let _ = role.hear();
    let mut longest = 0;
    for _ in 0..300 {
        let place = view.atomic_u64(0).unwrap().fetch_add(1, Ordering::SeqCst).unwrap() + 1;
        let len = memory.grow((place + 1) * page()).unwrap();
        assert!(len >= longest.max((place + 1) * page()));
        longest = len;
        let at = (place * page()) as usize;
        assert_eq!(
            view.read::<u32>(at).unwrap(),
            0,
            "the added bytes are zero and belong to no other process"
        );
        view.write(&number, at).unwrap();
    }
    role.say("done");
}

/// A process that grows the region can be killed at any moment: every byte of the length can be touched, and
/// others grow it further.
pub(crate) fn killed_growers() {
    need_growth();
    let rounds = if testkit::under_wine() { 5 } else { 30 };
    let name = unique_name("grower");
    for round in 0..rounds {
        let memory = options(page()).create(&*name).unwrap();
        let view = memory.view().unwrap();
        let mut peers: Vec<_> = (0..2).map(|_| Peer::start("growth::role_grow_on", &[&name])).collect();
        for peer in &mut peers {
            peer.expect("growing");
        }
        // After some growth at least, and then at an arbitrary step.
        testkit::wait_until("the memory grows", || memory.len() > page() * (1 + round));
        for peer in &mut peers {
            peer.kill();
        }
        let len = memory.len();
        assert_eq!(len % page(), 0, "round {round}");
        for at in (0..len).step_by(page_size()) {
            view.read::<u8>(at as usize).unwrap();
        }
        assert_eq!(memory.grow(len + page()).unwrap(), len + page());
        view.write(&1_u8, (len + page() - 1) as usize).unwrap();
        drop((memory, view));
        assert_eq!(SharedMemory::open(&*name).unwrap_err().kind(), ErrorKind::NotFound);
    }
}

pub(crate) fn role_grow_on(role: &mut Role) {
    let memory = SharedMemory::open(role.argument(0)).unwrap();
    role.say("growing");
    for pages in [1, 7, 16, 40].into_iter().cycle() {
        let len = memory.len() + pages * page();
        if len > CAPACITY - (1 << 20) {
            break;
        }
        memory.grow(len).unwrap();
    }
    role.stay();
}

/// Killed during creation: without a length the region cannot be opened, and the name is free again.
pub(crate) fn killed_creators() {
    need_growth();
    let name = unique_name("creator");
    for _ in 0..if testkit::under_wine() { 3 } else { 20 } {
        let mut peer = Peer::start("growth::role_create", &[&name]);
        peer.expect("making");
        peer.kill();
        let (memory, _) = options(page()).open_or_create(&*name).unwrap();
        assert_eq!(memory.capacity(), CAPACITY);
    }
}

pub(crate) fn role_create(role: &mut Role) {
    role.say("making");
    loop {
        let _ = options(page()).create(role.argument(0));
    }
}

pub(crate) fn far_more_than_available() {
    need_growth();
    let capacity = 100_u64 << 30;
    let name = unique_name("hundred");
    let memory = OpenOptions::new().len(1 << 20).capacity(capacity).create(&*name).unwrap();
    assert_eq!((memory.len(), memory.capacity()), (1 << 20, capacity));
    if size_of::<usize>() == 4 {
        let error = memory.view().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
        assert!(format!("{error:#}").contains("view_at"), "{error}");
        let part = memory.view_at((1 << 20) - 100, 100).unwrap();
        part.write_all_at(b"parts", 95).unwrap();
        // Parts of the added bytes, too.
        memory.grow(8 << 20).unwrap();
        assert_eq!(memory.view_at((8 << 20) - 10, 10).unwrap().read_vec(0, 10).unwrap(), [0; 10]);
        return;
    }
    let view = memory.view().unwrap();
    memory.grow(64 << 20).unwrap();
    view.write(&5_u64, (64 << 20) - 8).unwrap();
    let other = SharedMemory::open_read_only(&*name).unwrap();
    assert_eq!((other.len(), other.capacity()), (64 << 20, capacity));
    assert_eq!(other.view().unwrap().read::<u64>((64 << 20) - 8).unwrap(), 5);
    // A length that cannot be provided is refused, and nothing has changed.
    let diagnosis = memory.check_grow(capacity);
    if diagnosis.is_ok() {
        testkit::skip("this system says that it has 100 GiB left, or does not say what is left");
    }
    assert_eq!(diagnosis.error_kind(), Some(ErrorKind::OutOfMemory), "{diagnosis}");
    let error = memory.grow(capacity).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfMemory, "{error}");
    assert!(format!("{error:#}").contains("are left"), "{error}");
    assert_eq!(memory.len(), 64 << 20);
}

pub(crate) fn subviews_and_parts_do_not_grow() {
    need_growth();
    let memory = options(4 * page()).anonymous().unwrap();
    let (whole, part) = (memory.view().unwrap(), memory.view_at(100, 1000).unwrap());
    let slice = whole.subview(page_size(), page_size()).unwrap();
    let clone = whole.clone();
    memory.grow(1 << 20).unwrap();
    assert_eq!(part.refresh().unwrap(), 1000);
    assert_eq!(slice.refresh().unwrap(), page_size());
    assert_eq!(part.read::<u8>(1000).unwrap_err().kind(), ErrorKind::OutOfBounds);
    assert_eq!(slice.read::<u8>(page_size()).unwrap_err().kind(), ErrorKind::OutOfBounds);
    assert_eq!(whole.refresh().unwrap(), 1 << 20);
    // Each view queries the length for itself.
    assert_eq!(clone.len(), 4 * page_size());
    assert_eq!(clone.as_read_only().refresh().unwrap(), 1 << 20);
    whole.copy_to(((1 << 20) - 10)..((1 << 20) - 10) + 10, &part, 0).unwrap();
    whole.fill(3, 0..1 << 20).unwrap();
    assert_eq!(clone.atomic_u32((1 << 20) - 4).unwrap().load(Ordering::SeqCst).unwrap(), 0x0303_0303);
}

pub(crate) fn growing_leaks_nothing() {
    need_growth();
    let memory = options(page()).create(&*unique_name("leaks")).unwrap();
    let view = memory.view().unwrap();
    memory.grow(2 * page()).unwrap();
    let before = (open_handles(), mapped_views());
    for round in 3..500 {
        memory.grow(round * page()).unwrap();
        assert!(memory.check_grow(CAPACITY).is_ok());
        view.refresh().unwrap();
        memory.grow(CAPACITY + 1).unwrap_err();
    }
    // Other tests run beside this one in the same process, under other names.
    let after = (open_handles(), mapped_views());
    assert!(after.0 < before.0 + 200 && after.1 < before.1 + 200, "{before:?} before, {after:?} after");
}

#[cfg(unix)]
mod cut {
    use super::*;
    use std::os::fd::AsRawFd;

    /// A peer that may write can also truncate: missing bytes are a fault, and bytes that are added again are
    /// accessible.
    pub(crate) fn truncated_by_a_peer() {
        need_growth();
        let name = unique_name("cut");
        let memory = options(1 << 20).create(&*name).unwrap();
        let view = memory.view().unwrap();
        memory.grow(4 << 20).unwrap();
        view.fill(9, 0..4 << 20).unwrap();
        let mut peer = Peer::start("growth::role_cut", &[&name, &page().to_string()]);
        peer.expect("cut");
        peer.finish();
        assert_eq!(memory.len(), page());
        // The view does not shrink; its bytes are gone.
        assert_eq!(view.refresh().unwrap(), 4 << 20);
        let error = view.read::<u8>(2 << 20).unwrap_err();
        assert_eq!((error.kind(), error.fault().unwrap().offset()), (ErrorKind::Fault, 2 << 20));
        assert_eq!(view.read::<u8>(0).unwrap(), 9);
        assert_eq!(memory.grow(3 << 20).unwrap(), 3 << 20);
        assert_eq!(view.read::<u8>(2 << 20).unwrap(), 0);
        view.write(&1_u8, (3 << 20) - 1).unwrap();
    }

    pub(crate) fn role_cut(role: &mut Role) {
        let memory = SharedMemory::open(role.argument(0)).unwrap();
        let len: libc::off_t = role.argument(1).parse().unwrap();
        // SAFETY: the descriptor is open.
        assert_eq!(unsafe { libc::ftruncate(memory.as_raw_fd(), len) }, 0);
        role.say("cut");
    }

    /// Regions that other programs create and extend by system calls: views with a capacity follow.
    pub(crate) fn foreign_objects_are_followed() {
        need_growth();
        let text = unique_name("foreign-growth");
        let path = std::ffi::CString::new(format!("/{text}")).unwrap();
        // SAFETY: a zero-terminated name.
        let fd = unsafe { libc::shm_open(path.as_ptr(), libc::O_CREAT | libc::O_EXCL | libc::O_RDWR, 0o600) };
        assert!(fd >= 0);
        // SAFETY: the descriptor is open.
        let resize = |len| assert_eq!(unsafe { libc::ftruncate(fd, len) }, 0);
        resize(5000);
        let name = format!(r"Global\{text}");
        let fixed = SharedMemory::open(&*name).unwrap();
        assert_eq!((fixed.len(), fixed.capacity()), (5000, 5000));
        let memory = OpenOptions::new().capacity(1 << 20).open(&*name).unwrap();
        assert_eq!((memory.len(), memory.capacity()), (5000, 1 << 20));
        let view = memory.view().unwrap();
        assert_eq!(view.len(), 5000);
        resize(100_000);
        view.write(&1_u64, 99_992).unwrap();
        assert_eq!(view.len(), 100_000);
        assert_eq!(memory.grow(200_000).unwrap(), 200_000);
        assert_eq!(fixed.len(), 200_000);
        // SAFETY: a zero-terminated name.
        unsafe { libc::shm_unlink(path.as_ptr()) };
        // SAFETY: the descriptor is open, and no other code uses it any more.
        unsafe { libc::close(fd) };
    }
}

#[cfg(windows)]
mod cut {
    pub(crate) fn truncated_by_a_peer() {
        testkit::skip("regions cannot be truncated here");
    }

    pub(crate) fn foreign_objects_are_followed() {
        testkit::skip("a section says by itself how far it can grow: faults::uncommitted_memory");
    }

    pub(crate) fn role_cut(_: &mut testkit::Role) {}
}

pub(crate) use cut::*;

/// In a mount of its own of 8 MiB for named regions.
pub(crate) fn a_full_filesystem() {
    crate::mounts::play("growth::role_fill");
}

pub(crate) fn role_fill(role: &mut Role) {
    if let Err(why) = crate::mounts::mount("tmpfs", "/dev/shm", "size=8m,mode=1777") {
        return role.say(format!("skip: {why}"));
    }
    let memory = options(1 << 20).create(role.argument(0)).unwrap();
    let view = memory.view().unwrap();
    memory.grow(6 << 20).unwrap();
    let diagnosis = memory.check_grow(64 << 20);
    assert_eq!(diagnosis.error_kind(), Some(ErrorKind::OutOfMemory), "{diagnosis}");
    let error = memory.grow(64 << 20).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfMemory, "{error}");
    assert_eq!(error.diagnosis(), Some(&memory.check_grow(64 << 20)));
    assert_eq!(memory.len(), 6 << 20);
    // The added pages exist, whatever other processes allocate meanwhile. (Of the first length only touched
    // pages do.)
    let other = OpenOptions::new().len(1 << 20).create(&*format!("{}-other", role.argument(0))).unwrap();
    view.fill(1, 0..6 << 20).unwrap();
    other.view().unwrap().fill(1, 0..1 << 20).unwrap();
    drop(other);
    memory.grow(7 << 20).unwrap();
    view.fill(2, 0..7 << 20).unwrap();
    role.say("done");
}

testkit::registry! {
    growth
    tests {
        in_place
        without_a_name
        not_beyond_the_capacity
        not_without_a_capacity
        invalid_capacities
        openers_learn_the_capacity
        openers_learn_the_capacity_without_a_name
        old_views_follow_ten_thousand_times
        several_grow_at_once
        killed_growers
        killed_creators
        far_more_than_available
        subviews_and_parts_do_not_grow
        growing_leaks_nothing
        truncated_by_a_peer
        foreign_objects_are_followed
        a_full_filesystem
    }
    roles {
        role_receive
        role_follow
        role_grow
        role_grow_on
        role_create
        role_cut
        role_fill
    }
}
