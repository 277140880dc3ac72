//! Inspection of segments: whatever bytes there are, everything that can be read is listed, and damage is
//! named.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use mmf::inspect::{ObjectState, SegmentInfo, SegmentStage};
use mmf::sync::{Futex, WaitError};
use mmf::{ErrorKind, Segment, SegmentOptions, SharedMemory, View};
use testkit::{Peer, Role, unique_name};

const NAMES: [&str; 4] = ["mutex", "table", "pose", "go"];
/// The header and two slots.
const START: usize = 256 + 2 * 64;
/// The second entry of the directory: after head and object of the first.
const SECOND: usize = START + 256 + 128;

fn four_objects() -> (SharedMemory, Segment) {
    let memory = SharedMemory::anonymous(8192).unwrap();
    let segment = SegmentOptions::new().participants(2).create_in(&memory).unwrap();
    segment.mutex::<u64>("mutex").unwrap();
    segment.rwlock::<u32>("table").unwrap();
    segment.latest::<f64>("pose").unwrap();
    segment.auto_reset_event("go").unwrap();
    (memory, segment)
}

fn names(info: &SegmentInfo) -> Vec<&str> {
    info.objects.iter().map(|object| &*object.name).collect()
}

pub(crate) fn an_intact_segment_has_no_damage() {
    let (memory, segment) = four_objects();
    for info in [segment.inspect().unwrap(), Segment::inspect_memory(&memory).unwrap()] {
        assert_eq!(names(&info), NAMES);
        assert_eq!(info.damage, []);
        assert_eq!(info.stage, SegmentStage::Ready);
        assert_eq!(info.participants.len(), 1);
    }
    segment.declare_broken().unwrap();
    let info = Segment::inspect_memory(&memory).unwrap();
    assert_eq!(info.stage, SegmentStage::Broken);
    assert_eq!((names(&info).len(), info.damage.len()), (4, 0));
}

/// Objects before and after a damaged entry are listed, and the damage is located.
pub(crate) fn objects_around_a_damaged_entry_are_shown() {
    let (memory, segment) = four_objects();
    let view = memory.view().unwrap();
    let good = view.read_vec(0, view.len()).unwrap();
    let look = || Segment::inspect_memory(&memory).unwrap();
    // (offset in the entry, description, names of the objects that are left)
    let others = ["mutex", "pose", "go"];
    let cases: [(usize, &[u8], &[&str]); 9] = [
        (0, &[0xff; 8], &NAMES), // its length; the object's length is intact
        (0, &[0; 8], &NAMES),
        (0, &960_u64.to_le_bytes(), &NAMES),
        (16, &[0xff; 8], &others),  // the object's length
        (40, &[0xff; 8], &NAMES),   // its fingerprint
        (64, &[0xff; 8], &others),  // its name
        (128, &[0xff; 8], &others), // the name of its type
        (0, &[0; 256], &others),    // all of it
        (0, &[0xff; 256], &others),
    ];
    for (at, bytes, left) in cases {
        view.write_all_at(bytes, SECOND + at).unwrap();
        let info = look();
        assert_eq!(names(&info), left, "{at} {bytes:?}: {:?}", info.damage);
        let first = &info.damage[0];
        assert_eq!(first.entry, Some(2), "{first}");
        let entry = SECOND as u64..SECOND as u64 + 256;
        assert!(info.damage.iter().all(|damage| entry.contains(&damage.offset)), "{:?}", info.damage);
        assert_eq!(segment.inspect().unwrap().damage, info.damage);
        view.write_all_at(&good, 0).unwrap();
    }
    // Two neighbours of which neither has a valid length.
    view.fill(0xa5, SECOND..SECOND + 256 + 320 + 256).unwrap();
    let info = look();
    assert_eq!(names(&info), ["mutex", "go"], "{:?}", info.damage);
    view.write_all_at(&good, 0).unwrap();
    assert_eq!(look().damage, []);
}

/// Whatever a peer writes into the directory, an inspection reads and lists a bounded amount.
pub(crate) fn listings_are_bounded() {
    let memory = SharedMemory::anonymous(64 << 20).unwrap();
    let segment = SegmentOptions::new().participants(2).create_in(&memory).unwrap();
    let lock = segment.rwlock::<u32>("table").unwrap();
    let _reading = lock.read().unwrap();
    let info = segment.inspect().unwrap();
    assert!(!info.truncated);
    let view = memory.view().unwrap();
    let (head, end) = (START, info.used as usize);
    let entry = view.read_vec(head, end - head).unwrap();
    let many = (view.len() - head) / entry.len();
    let look = || {
        let info = Segment::inspect_memory(&memory).unwrap();
        let readers: usize = info
            .objects
            .iter()
            .map(|object| match &object.state {
                ObjectState::RwLock { readers, .. } => readers.len(),
                _ => 0,
            })
            .sum();
        (info.objects.len(), readers, info.damage.len(), info.truncated)
    };
    for at in 0..many {
        view.write_all_at(&entry, head + at * entry.len()).unwrap();
    }
    let most = 1 << 14;
    for (entries, seen) in [(most, most), (most + 1, most), (many, most)] {
        view.write(&((head + entries * entry.len()) as u64), 80).unwrap();
        assert_eq!(look(), (seen, seen, 0, entries > most));
    }
    // Damage in each of them, only in the word that is compared, so that all of them could be listed.
    for at in 0..many {
        view.write(&7_u64, head + at * entry.len() + 40).unwrap();
    }
    assert_eq!(look(), (1024, 1024, 1024, true));
}

/// A header of which one part was overwritten still leads to the participants and the objects.
pub(crate) fn a_damaged_header_is_reconstructed() {
    let (memory, segment) = four_objects();
    let view = memory.view().unwrap();
    let good = view.read_vec(0, view.len()).unwrap();
    for (offset, len) in
        [(0, 8), (8, 4), (12, 4), (16, 8), (24, 8), (64, 4), (68, 4), (72, 4), (80, 8), (88, 8)]
    {
        for byte in [0xff, 0x5a] {
            view.fill(byte, offset..offset + len).unwrap();
            let info = Segment::inspect_memory(&memory).unwrap_or_else(|error| panic!("{offset}: {error}"));
            assert_eq!(names(&info), NAMES, "{offset}: {:?}", info.damage);
            assert_eq!(info.participants.len(), 1, "{offset}");
            assert!(
                info.damage.iter().any(|damage| damage.offset == offset as u64),
                "{offset}: {:?}",
                info.damage
            );
            assert!(info.damage.iter().all(|damage| damage.entry.is_none()), "{offset}: {:?}", info.damage);
            if !matches!(offset, 8 | 16 | 72) {
                let opened =
                    Segment::open_in(&memory).and_then(|segment| segment.auto_reset_event("go").map(drop));
                let error = opened.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Corrupted, "{offset}: {error}");
                assert!(format!("{error:#}").contains("`mmf inspect` shows"), "{offset}: {error}");
                view.write_all_at(&good[256 + 64..START], 256 + 64).unwrap();
            }
            // A process that has the segment open uses the values that it has checked.
            assert_eq!(names(&segment.inspect().unwrap()), NAMES);
            view.write_all_at(&good, 0).unwrap();
        }
    }
    // All fields that give the number of slots: the offset of the first object shows it.
    view.fill(0xff, 64..96).unwrap();
    assert_eq!(names(&Segment::inspect_memory(&memory).unwrap()), NAMES);
    // All signs of a segment.
    view.fill(0xff, 0..128).unwrap();
    let error = Segment::inspect_memory(&memory).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotASegment, "{error}");
}

/// Every word of header, slots and directory, with values that are valid somewhere and with others.
pub(crate) fn every_word_can_be_hostile() {
    let (memory, segment) = four_objects();
    let view = memory.view().unwrap();
    let used = usize::try_from(segment.inspect().unwrap().used).unwrap();
    let good = view.read_vec(0, view.len()).unwrap();
    let values =
        [0, 1, 2, 3, 63, 64, 320, 511, 512, 4096, 8192, 0x7fff_ffff, 0x8000_0000, 0xffff_ffc0, u32::MAX];
    let mut silent = Vec::new();
    for at in (0..used).step_by(4) {
        let mut noticed = false;
        for value in values {
            view.atomic_u32(at).unwrap().store(value, SeqCst).unwrap();
            noticed |= look_at(&memory, &segment);
            view.write_all_at(&good, 0).unwrap();
        }
        if !noticed {
            silent.push(at);
        }
    }
    // Fields that describe how to read the segment cannot be overwritten undetected.
    let telling =
        [0, 4, 8, 12, 16, 20, 24, 64, 68, 80, 88, START, START + 16, START + 40, SECOND, SECOND + 8];
    assert!(telling.iter().all(|at| !silent.contains(at)), "{silent:?}");
}

/// Returns whether damage was detected. In any case the inspection ends.
fn look_at(memory: &SharedMemory, segment: &Segment) -> bool {
    let info = segment.inspect().unwrap();
    assert!(info.damage.iter().all(|damage| damage.offset < info.len && !damage.description.is_empty()));
    let _ = segment.participants().unwrap();
    Segment::stage_of(memory).unwrap();
    Segment::inspect_memory(memory).map_or(true, |info| !info.damage.is_empty())
}

pub(crate) fn many_hostile_words_at_once() {
    let (memory, segment) = four_objects();
    let view = memory.view().unwrap();
    let good = view.read_vec(0, view.len()).unwrap();
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let rounds = if testkit::under_wine() { 300 } else { 3000 };
    for _ in 0..rounds {
        for _ in 0..next() % 40 {
            let at = usize::try_from(next() % 512).unwrap() * 4;
            let value = (next() >> 32) as u32;
            let value = if value % 2 == 0 { value % 640 } else { value };
            view.atomic_u32(at).unwrap().store(value, SeqCst).unwrap();
        }
        look_at(&memory, &segment);
        if next() % 4 == 0 {
            view.write_all_at(&good, 0).unwrap();
        }
    }
    // Nothing but heads, each inside of the previous one.
    for at in (START..8192 - 320).step_by(64) {
        view.write_all_at(&good[START..START + 64], at).unwrap();
    }
    view.write(&8192_u64, 80).unwrap();
    look_at(&memory, &segment);
}

/// An inspection while another process writes anything anywhere.
pub(crate) fn inspecting_while_it_is_overwritten() {
    let name = unique_name("looking");
    let segment = SegmentOptions::new().len(8192).participants(2).create(&name).unwrap();
    segment.mutex::<u64>("mutex").unwrap();
    let memory = SharedMemory::open(&name).unwrap();
    let mut peer = Peer::start("segment::role_scribble", &[&name]);
    peer.expect("scribbling");
    let until = Instant::now() + Duration::from_secs(2);
    while Instant::now() < until {
        look_at(&memory, &segment);
    }
    peer.finish();
}

/// A region of zeros may be a plain one, or a segment whose creator has not started: the error names both.
pub(crate) fn zeros_are_not_a_death() {
    let name = unique_name("zeros");
    let memory = SharedMemory::create(&name, 8192).unwrap();
    assert_eq!(Segment::stage_of(&memory).unwrap(), SegmentStage::Blank);
    let soon = SegmentOptions::new().ready_timeout(Duration::from_millis(10));
    let error = soon.open(&name).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotReady);
    let text = format!("{error:#}");
    assert!(
        text.contains("not meant to be a segment") && text.contains("its creator has not started"),
        "{text}"
    );
    assert!(text.contains("SharedMemory") && text.contains("open_or_create"), "{text}");
    let error = Segment::inspect_memory(&memory).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotReady, "{error}");
    // A byte after the header, which no creator has written.
    let view: View = memory.view().unwrap();
    view.write(&1_u8, 200).unwrap();
    assert_eq!(Segment::stage_of(&memory).unwrap(), SegmentStage::NotASegment);
    let error = SegmentOptions::new().ready_timeout(testkit::WATCHDOG).open(&name).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotASegment);
    assert!(format!("{error:#}").contains("byte 200"), "{error}");
    assert_eq!(Segment::create_in(&memory).unwrap_err().kind(), ErrorKind::NotASegment);
    view.fill(0, 200..201).unwrap();
    let _segment = Segment::create_in(&memory).unwrap();
    assert_eq!(Segment::stage_of(&memory).unwrap(), SegmentStage::Ready);
    assert_eq!(view.read::<[u8; 8]>(0).unwrap(), Segment::MAGIC);
    // A region that is too short holds no segment, which is no error.
    let short = SharedMemory::anonymous(64).unwrap();
    if short.len() < 320 {
        assert_eq!(Segment::stage_of(&short).unwrap(), SegmentStage::NotASegment);
    }
}

/// The creator is named, and whether it is alive.
pub(crate) fn the_creator_is_named() {
    for step in ["create: claimed", "create: creating", "create: written, and not ready yet"] {
        let name = unique_name("named-creator");
        let mut creator = Peer::start("segment::role_create_until", &[&name, step]);
        creator.expect(&format!("at {step}"));
        let memory = SharedMemory::open(&name).unwrap();
        let creating = |wanted| match Segment::stage_of(&memory).unwrap() {
            SegmentStage::Creating { creator, alive, .. } => {
                assert_eq!(alive, wanted, "{step}");
                creator.id
            }
            other => panic!("{step}: {other:?}"),
        };
        let id = creating(true);
        let error = Segment::inspect_memory(&memory).unwrap_err();
        assert!(format!("{error:#}").contains(&format!("process {id} is creating it")), "{error}");
        creator.kill();
        testkit::wait_until("its death is noticed", || {
            matches!(Segment::stage_of(&memory).unwrap(), SegmentStage::Creating { alive: false, .. })
        });
        assert_eq!(creating(false), id);
        let error = Segment::inspect_memory(&memory).unwrap_err();
        assert!(format!("{error:#}").contains(&format!("process {id}, died")), "{error}");
    }
}

/// A waiter that is killed stays counted. Waking it must not leave wake-ups behind that later waiters have to
/// consume.
pub(crate) fn wake_ups_for_dead_waiters_do_not_accumulate() {
    const KILLED: u32 = 3;
    let name = unique_name("dead-waiters");
    let memory = SharedMemory::create(&name, 4096).unwrap();
    let view = memory.view().unwrap();
    let cell = Futex::at(&view, 64, &name).unwrap();
    let counted = view.atomic_u32(68).unwrap();
    while counted.load(SeqCst).unwrap() < KILLED {
        let before = counted.load(SeqCst).unwrap();
        let mut peer = Peer::start("inspect::role_wait", &[&name]);
        peer.expect("waiting");
        testkit::wait_until("it is counted", || counted.load(SeqCst).unwrap() > before);
        // (It may just have been awake.)
        peer.kill();
    }
    // More wake-ups of one waiter than of all, while there is no waiter to be woken.
    for round in 0..3000 {
        if round % 8 == 0 { cell.wake_all().unwrap() } else { cell.wake_one().unwrap() }
    }
    let mut peer = Peer::start("inspect::role_count_spurious", &[&name]);
    let spurious: u32 = peer.hear().parse().unwrap();
    peer.finish();
    assert!(spurious <= KILLED + 1, "{spurious}");

    // Living waiters are woken all the same: each reports each step, although none polls before it is woken
    // or a recheck interval is over.
    let mut peers: Vec<Peer> = (0..3).map(|_| Peer::start("inspect::role_follow", &[&name])).collect();
    for peer in &mut peers {
        peer.expect("following");
    }
    for step in 1..=200 {
        cell.store(step).unwrap();
        cell.wake_all().unwrap();
        for peer in &mut peers {
            peer.expect(&step.to_string());
        }
    }
    peers.into_iter().for_each(Peer::finish);
}

fn cell_of(role: &Role) -> (Futex, View) {
    let view = SharedMemory::open(role.argument(0)).unwrap().view().unwrap();
    (Futex::at(&view, 64, role.argument(0)).unwrap(), view)
}

static SPURIOUS: AtomicU32 = AtomicU32::new(0);

/// Waits until 20 ms pass without a wake-up, and returns how many there were before.
pub(crate) fn role_count_spurious(role: &mut Role) {
    mmf::__test_hooks::report_at("futex: woken, and the word is unchanged", |_| {
        SPURIOUS.fetch_add(1, SeqCst);
    });
    let (cell, _view) = cell_of(role);
    loop {
        let before = SPURIOUS.load(SeqCst);
        let result = cell.wait_timeout(0, Duration::from_millis(20));
        assert!(matches!(result, Err(WaitError::TimedOut(_))), "{result:?}");
        let now = SPURIOUS.load(SeqCst);
        assert!(now < 1000, "woken again and again by wake-ups for dead waiters");
        if now == before {
            return role.say(now.to_string());
        }
    }
}

/// Waits until it is killed.
pub(crate) fn role_wait(role: &mut Role) {
    let (cell, _view) = cell_of(role);
    role.say("waiting");
    loop {
        cell.wait(0).unwrap();
    }
}

/// Reports each value that the word takes.
pub(crate) fn role_follow(role: &mut Role) {
    let (cell, _view) = cell_of(role);
    role.say("following");
    for step in 0..200 {
        cell.wait(step).unwrap();
        role.say((step + 1).to_string());
    }
}

testkit::registry! {
    inspect
    tests {
        an_intact_segment_has_no_damage
        objects_around_a_damaged_entry_are_shown
        a_damaged_header_is_reconstructed
        every_word_can_be_hostile
        many_hostile_words_at_once
        inspecting_while_it_is_overwritten
        zeros_are_not_a_death
        listings_are_bounded
        the_creator_is_named
        wake_ups_for_dead_waiters_do_not_accumulate
    }
    roles {
        role_wait
        role_follow
        role_count_spurious
    }
}
