//! Processes share memory by name.

use std::sync::atomic::Ordering;

use mmf::{Disposition, ErrorKind, Name, Namespace, OpenOptions, SharedMemory};
use testkit::{Peer, Role, unique_name};

pub(crate) fn create_and_open_in_another_process() {
    let name = unique_name("open");
    let memory = SharedMemory::create(&name, 100_000).unwrap();
    assert!((100_000..100_000 + 65536).contains(&memory.len()));
    assert_eq!(memory.name().unwrap().text(), name);
    memory.view().unwrap().write_all_at(b"hello from the creator", 99_000).unwrap();
    let mut peer = Peer::start("sharing::role_open_and_check", &[&name]);
    assert_eq!(peer.hear(), format!("{} hello from the creator", memory.len()));
    peer.finish();
}

pub(crate) fn role_open_and_check(role: &mut Role) {
    let memory = SharedMemory::open_read_only(role.argument(0)).unwrap();
    let bytes = memory.view().unwrap().read_vec(99_000, 22).unwrap();
    role.say(format!("{} {}", memory.len(), String::from_utf8(bytes).unwrap()));
}

pub(crate) fn writes_are_seen_both_ways() {
    let name = unique_name("both");
    let memory = SharedMemory::create(&name, 4096).unwrap();
    let view = memory.view().unwrap();
    let mut peer = Peer::start("sharing::role_answer", &[&name]);
    for round in 0..100_u64 {
        view.write(&(round * 3), 0).unwrap();
        peer.say("look");
        peer.expect("done");
        assert_eq!(view.read::<u64>(8).unwrap(), round * 3 + 1);
    }
    peer.finish();
}

pub(crate) fn role_answer(role: &mut Role) {
    let view = SharedMemory::open(role.argument(0)).unwrap().view().unwrap();
    loop {
        let _ = role.hear();
        view.write(&(view.read::<u64>(0).unwrap() + 1), 8).unwrap();
        role.say("done");
    }
}

pub(crate) fn read_only_process_cannot_write_to_the_pages() {
    // The types forbid the attempt, so it bypasses them, and the system stops it.
    let name = unique_name("scribble");
    let memory = SharedMemory::create(&name, 4096).unwrap();
    let mut peer = Peer::start("sharing::role_scribble", &[&name]);
    peer.expect("trying");
    assert!(peer.wait().is_memory_fault());
    assert_eq!(memory.view().unwrap().read::<u8>(0).unwrap(), 0);
}

pub(crate) fn role_scribble(role: &mut Role) {
    let view = SharedMemory::open_read_only(role.argument(0)).unwrap().view().unwrap();
    role.say("trying");
    // SAFETY: none: this ends the process, which is what the test verifies.
    unsafe { view.as_ptr().cast_mut().write_volatile(1) };
    role.say("written");
}

pub(crate) fn open_or_create_reports_which_it_did() {
    let name = unique_name("either");
    let options = OpenOptions::new().len(5000);
    let (first, how) = options.open_or_create(&name).unwrap();
    assert_eq!(how, Disposition::Created);
    first.view().unwrap().write_all_at(b"kept", 0).unwrap();
    let (second, how) = options.open_or_create(&name).unwrap();
    assert_eq!(how, Disposition::Opened);
    assert_eq!(second.view().unwrap().read_vec(0, 4).unwrap(), b"kept");
    assert_eq!(first.len(), second.len());
    assert_eq!(
        OpenOptions::new().len(1 << 20).open_or_create(&name).unwrap_err().kind(),
        ErrorKind::TooSmall
    );
}

pub(crate) fn only_one_of_many_creates() {
    for _ in 0..5 {
        let name = unique_name("race");
        let mut peers: Vec<_> =
            (0..4).map(|_| Peer::start("sharing::role_create_or_open", &[&name])).collect();
        for peer in &mut peers {
            peer.expect("ready");
        }
        for peer in &mut peers {
            peer.say("go");
        }
        let answers: Vec<_> = peers.iter_mut().map(Peer::hear).collect();
        assert_eq!(answers.iter().filter(|answer| *answer == "Created").count(), 1, "{answers:?}");
        assert_eq!(answers.iter().filter(|answer| *answer == "Opened").count(), 3, "{answers:?}");
        for peer in peers {
            peer.finish();
        }
    }
}

pub(crate) fn role_create_or_open(role: &mut Role) {
    role.say("ready");
    let _ = role.hear();
    let (memory, how) = OpenOptions::new().len(4096).open_or_create(role.argument(0)).unwrap();
    role.say(format!("{how:?}"));
    role.stay();
    drop(memory);
}

pub(crate) fn atomics_add_up_across_processes() {
    let name = unique_name("count");
    let memory = SharedMemory::create(&name, 4096).unwrap();
    let view = memory.view().unwrap();
    let mut peers: Vec<_> = (0..3).map(|_| Peer::start("sharing::role_count", &[&name])).collect();
    for peer in &mut peers {
        peer.expect("ready");
    }
    for peer in &mut peers {
        peer.say("go");
    }
    for peer in &mut peers {
        peer.expect("done");
    }
    assert_eq!(view.atomic_u64(64).unwrap().load(Ordering::SeqCst).unwrap(), 3 * 20_000 * 3);
    assert_eq!(view.atomic_u8(72).unwrap().load(Ordering::SeqCst).unwrap(), 0x07);
    for peer in peers {
        peer.finish();
    }
}

pub(crate) fn role_count(role: &mut Role) {
    let view = SharedMemory::open(role.argument(0)).unwrap().view().unwrap();
    let counter = view.atomic_u64(64).unwrap();
    role.say("ready");
    let _ = role.hear();
    for _ in 0..20_000 {
        counter.fetch_add(3, Ordering::Relaxed).unwrap();
        view.atomic_u8(72).unwrap().fetch_or(7, Ordering::Relaxed).unwrap();
    }
    role.say("done");
    role.stay();
}

pub(crate) fn processes_of_both_widths_share() {
    let Some(program) = std::env::var_os("MMF_TEST_PEER") else {
        testkit::skip("MMF_TEST_PEER names no build for the other word size; ci/test-windows.sh builds one");
    };
    let name = unique_name("widths");
    let memory = SharedMemory::create(&name, 1 << 20).unwrap();
    let view = memory.view().unwrap();
    view.write_all_at(&[7; 1000], 1000).unwrap();
    let counter = view.atomic_u64(8).unwrap();
    counter.store(u64::from(u32::MAX), Ordering::Release).unwrap();
    let mut peer = Peer::start_in(program, "sharing::role_share", &[&name]);
    let other_width: u32 = peer.hear().parse().unwrap();
    assert_ne!(other_width, usize::BITS, "MMF_TEST_PEER is to be of the other word size");
    for _ in 0..20_000 {
        counter.fetch_add(1, Ordering::SeqCst).unwrap();
    }
    peer.expect("sum 7000");
    assert_eq!(counter.load(Ordering::SeqCst).unwrap(), u64::from(u32::MAX) + 40_000);
    assert_eq!(view.read::<u64>(16).unwrap(), 0x0123_4567_89AB_CDEF);
    peer.finish();
}

pub(crate) fn role_share(role: &mut Role) {
    role.say(usize::BITS.to_string());
    let memory = SharedMemory::open(role.argument(0)).unwrap();
    assert_eq!(memory.len(), 1 << 20);
    let view = memory.view().unwrap();
    let counter = view.atomic_u64(8).unwrap();
    for _ in 0..20_000 {
        counter.fetch_add(1, Ordering::SeqCst).unwrap();
    }
    view.write(&0x0123_4567_89AB_CDEF_u64, 16).unwrap();
    let sum: u32 = view.read_vec(1000, 1000).unwrap().into_iter().map(u32::from).sum();
    role.say(format!("sum {sum}"));
    role.stay();
}

pub(crate) fn names_are_case_sensitive() {
    let name = unique_name("case");
    let _memory = SharedMemory::create(&name, 1).unwrap();
    assert_eq!(SharedMemory::open(name.to_uppercase()).unwrap_err().kind(), ErrorKind::NotFound);
}

pub(crate) fn local_is_the_default() {
    let name = unique_name("local");
    let memory = SharedMemory::create(&name, 4096).unwrap();
    memory.view().unwrap().write(&5_u8, 0).unwrap();
    let same = SharedMemory::open(format!(r"Local\{name}")).unwrap();
    assert_eq!(same.view().unwrap().read::<u8>(0).unwrap(), 5);
}

pub(crate) fn local_and_global_are_different() {
    let text = unique_name("global");
    let (local, global) = (
        Name::from_parts(Namespace::Local, &text).unwrap(),
        Name::from_parts(Namespace::Global, &text).unwrap(),
    );
    let machine = SharedMemory::create(&global, 4096).unwrap();
    assert_eq!(SharedMemory::open(&local).unwrap_err().kind(), ErrorKind::NotFound);
    let mine = SharedMemory::create(&local, 4096).unwrap();
    machine.view().unwrap().write(&1_u8, 0).unwrap();
    mine.view().unwrap().write(&2_u8, 0).unwrap();
    assert_eq!(SharedMemory::open(&global).unwrap().view().unwrap().read::<u8>(0).unwrap(), 1);
}

pub(crate) fn names_of_all_lengths() {
    let base = unique_name("x");
    let long = |len: usize| format!("{base}{}", "y".repeat(len - base.len()));
    // Names that differ only in their last letter are different names: nothing is truncated.
    let longest = long(Name::MAX_LEN);
    let almost = format!("{}z", &longest[..longest.len() - 1]);
    let _memory = SharedMemory::create(&longest, 1).unwrap();
    assert!(SharedMemory::open(&longest).is_ok());
    assert_eq!(SharedMemory::open(&almost).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(SharedMemory::open(long(Name::MAX_LEN + 1)).unwrap_err().kind(), ErrorKind::NameTooLong);
    let unicode = format!("{base} \u{fc}\u{4e2d}\u{1f980}");
    let _other = SharedMemory::create(&unicode, 1).unwrap();
    assert!(SharedMemory::open(&unicode).is_ok());
}

testkit::registry! {
    sharing
    tests {
        create_and_open_in_another_process
        writes_are_seen_both_ways
        read_only_process_cannot_write_to_the_pages
        open_or_create_reports_which_it_did
        only_one_of_many_creates
        atomics_add_up_across_processes
        processes_of_both_widths_share
        names_are_case_sensitive
        local_is_the_default
        local_and_global_are_different
        names_of_all_lengths
    }
    roles {
        role_open_and_check
        role_answer
        role_scribble
        role_create_or_open
        role_count
        role_share
    }
}
