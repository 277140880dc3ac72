//! Segments: they are created once whichever creator dies, their objects are found by name and type, and no
//! bytes that a peer writes harm a caller.

use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use mmf::inspect::{ObjectKind, SegmentStage};
use mmf::pages::LargePages;
use mmf::security::{Principal, Security};
use mmf::sync::WaitError;
use mmf::{Disposition, ErrorKind, OpenOptions, Segment, SegmentOptions, SharedMemory, SharedType};
use testkit::{Peer, Role, unique_name};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::locks::numbered;

pub(crate) const LEN: u64 = 64 * 1024;

/// The report of a role that has stopped at the step at which it is to be killed.
pub(crate) fn tell(step: &str) {
    use std::io::Write;
    println!("at {step}");
    let _ = std::io::stdout().flush();
}

#[derive(Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Pose {
    x: f64,
    y: f64,
}

impl SharedType for Pose {
    const NAME: &'static str = "test.Pose";
    const VERSION: u32 = 3;
}

#[derive(Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct OtherPose {
    x: f64,
    y: f64,
}

impl SharedType for OtherPose {
    const NAME: &'static str = "test.Pose";
    const VERSION: u32 = 4;
}

pub(crate) fn processes_share_objects() {
    let name = unique_name("objects");
    let segment = Segment::create(&name, LEN).unwrap();
    segment.mutex::<Pose>("pose").unwrap().lock().unwrap().set(&Pose { x: 1.5, y: -2.0 }).unwrap();
    let mut peer = Peer::start("segment::role_share", &[&name]);
    assert_eq!(peer.hear(), "1.5 -2");
    assert_eq!(
        segment.mutex::<Pose>("pose").unwrap().lock().unwrap().get().unwrap(),
        Pose { x: 7.0, y: 8.0 }
    );
    let info = segment.inspect().unwrap();
    assert_eq!(info.participants.len(), 2);
    assert!(info.participants.iter().all(|participant| participant.alive));
    assert_eq!(info.participants[1].process.id, peer.id());
    assert_eq!(info.objects.len(), 2);
    assert_eq!((info.objects[1].name.as_str(), info.objects[1].kind), ("made there", ObjectKind::Mutex));
    peer.finish();
    assert_eq!(segment.inspect().unwrap().participants.len(), 1, "it has left");
}

pub(crate) fn role_share(role: &mut Role) {
    let segment = Segment::open(role.argument(0)).unwrap();
    let pose = segment.mutex::<Pose>("pose").unwrap();
    let mut guard = pose.lock().unwrap();
    let found = guard.get().unwrap();
    guard.set(&Pose { x: 7.0, y: 8.0 }).unwrap();
    drop(guard);
    segment.mutex::<u64>("made there").unwrap();
    role.say(format!("{} {}", found.x, found.y));
    role.stay();
}

pub(crate) fn processes_of_both_widths_share_segments() {
    let Some(other) = std::env::var_os("MMF_TEST_PEER") else {
        testkit::skip("MMF_TEST_PEER names no build of this program for another processor");
    };
    let name = unique_name("widths");
    let segment = Segment::create(&name, LEN).unwrap();
    segment.mutex::<Pose>("pose").unwrap().lock().unwrap().set(&Pose { x: 1.5, y: -2.0 }).unwrap();
    let mut peer = Peer::start_in(other, "segment::role_share", &[&name]);
    assert_eq!(peer.hear(), "1.5 -2");
    let pose = segment.mutex::<Pose>("pose").unwrap();
    assert_eq!(pose.lock().unwrap().get().unwrap(), Pose { x: 7.0, y: 8.0 });
    peer.finish();
}

pub(crate) fn mismatched_types_are_refused() {
    let segment = Segment::create(unique_name("types"), LEN).unwrap();
    segment.mutex::<Pose>("pose").unwrap();
    let refused = |error: mmf::Error, here: &str| {
        assert_eq!(error.kind(), ErrorKind::Incompatible, "{error}");
        let text = format!("{error:#}");
        assert!(text.contains(here), "{text}");
        assert!(text.contains("a mutex of test.Pose version 3 (16 bytes, aligned to 8)"), "{text}");
    };
    refused(segment.mutex::<u64>("pose").unwrap_err(), "a mutex of u64 version 0 (8 bytes, aligned to 8)");
    refused(segment.mutex::<OtherPose>("pose").unwrap_err(), "test.Pose version 4");
    refused(segment.latest::<Pose>("pose").unwrap_err(), "a latest of test.Pose version 3");
    refused(segment.mutex::<[f64; 2]>("pose").unwrap_err(), "[f64; 2]");
    assert_eq!(segment.mutex::<u64>("").unwrap_err().kind(), ErrorKind::InvalidName);
    assert_eq!(segment.mutex::<u64>(&"n".repeat(64)).unwrap_err().kind(), ErrorKind::InvalidName);
    segment.mutex::<u64>(&"n".repeat(63)).unwrap();
    let error = segment.mutex::<[u8; 100_000]>("big").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full, "{error}");
    assert!(format!("{error:#}").contains("100064"), "{error}");
}

pub(crate) fn regions_without_a_segment_are_refused() {
    let name = unique_name("foreign");
    let memory = SharedMemory::create(&name, 4096).unwrap();
    let view = memory.view().unwrap();
    view.write_all_at(b"other programs' memory", 0).unwrap();
    assert_eq!(Segment::open(&name).unwrap_err().kind(), ErrorKind::NotASegment);
    assert_eq!(Segment::open_read_only(&name).unwrap_err().kind(), ErrorKind::NotASegment);
    assert_eq!(Segment::open_or_create(&name, LEN.min(4096)).unwrap_err().kind(), ErrorKind::NotASegment);
    assert_eq!(view.read_vec(0, 22).unwrap(), b"other programs' memory", "it was not touched");
    // No process has created a segment in it, and none is about to.
    let name = unique_name("plain");
    let _memory = SharedMemory::create(&name, 4096).unwrap();
    let error = SegmentOptions::new().ready_timeout(Duration::from_millis(1)).open(&name).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotReady, "{error}");
    let error = Segment::create(unique_name("small"), 300).unwrap_err();
    assert!(cfg!(windows) || error.kind() == ErrorKind::TooSmall, "{error}");
    let error = SegmentOptions::new().len(4096).participants(511).create(unique_name("small")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooSmall, "{error}");
    for wrong in [0, 512] {
        let error = SegmentOptions::new().len(LEN).participants(wrong).create(unique_name("no")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
    }
}

pub(crate) fn options_that_do_not_apply_are_refused() {
    fn refused(error: mmf::Error, option: &str) {
        assert_eq!(error.kind(), ErrorKind::InvalidOption, "{error}");
        assert!(format!("{error:#}").contains(option), "{error}");
    }
    let name = unique_name("options");
    let new = SegmentOptions::new;
    let segment = new().len(LEN).participants(2).create(&name).unwrap();
    refused(new().participants(2).open(&name).unwrap_err(), "participants()");
    refused(new().participants(2).open_read_only(&name).unwrap_err(), "participants()");
    refused(new().participants(2).open_in(segment.memory()).unwrap_err(), "participants()");
    let region = [
        ("len", new().len(1)),
        ("capacity", new().capacity(1)),
        ("large_pages", new().large_pages(LargePages::Preferred)),
        ("numa_node", new().numa_node(0)),
        ("security", new().security(Security::current_user())),
        ("expect_owner", new().expect_owner(Principal::CurrentUser)),
        ("expect_len", new().expect_len(LEN)),
        ("len", OpenOptions::new().len(1).into()),
    ];
    let memory = SharedMemory::anonymous(LEN).unwrap();
    for (option, options) in region {
        refused(options.create_in(&memory).unwrap_err(), &format!("{option}()"));
        refused(options.open_in(segment.memory()).unwrap_err(), &format!("{option}()"));
    }
    assert_eq!(Segment::stage_of(&memory).unwrap(), SegmentStage::Blank, "it was not touched");
    let timeout = new().ready_timeout(Duration::ZERO);
    drop(timeout.clone().participants(2).create_in(&memory).unwrap());
    drop(timeout.open_in(&memory).unwrap());
    drop(new().len(LEN).expect_owner(Principal::CurrentUser).open(&name).unwrap());
}

pub(crate) fn one_of_many_creates_it() {
    let name = unique_name("race");
    let mut peers: Vec<Peer> =
        (0..8).map(|_| Peer::start("segment::role_open_or_create", &[&name])).collect();
    for peer in &mut peers {
        peer.expect("started");
    }
    for peer in &mut peers {
        peer.say("go");
    }
    let answers: Vec<String> = peers.iter_mut().map(Peer::hear).collect();
    assert_eq!(answers.iter().filter(|answer| *answer == "Created").count(), 1, "{answers:?}");
    for peer in &mut peers {
        peer.say("count");
    }
    for peer in &mut peers {
        peer.expect("counted");
    }
    let segment = Segment::open(&name).unwrap();
    assert_eq!(segment.mutex::<u64>("count").unwrap().lock().unwrap().get().unwrap(), 8);
    assert_eq!(segment.inspect().unwrap().objects.len(), 1, "created once");
    peers.into_iter().for_each(Peer::finish);
}

pub(crate) fn role_open_or_create(role: &mut Role) {
    role.say("started");
    let _ = role.hear();
    let (segment, how) = Segment::open_or_create(role.argument(0), LEN).unwrap();
    role.say(format!("{how:?}"));
    let _ = role.hear();
    segment.mutex::<u64>("count").unwrap().lock().unwrap().update(|count| *count += 1).unwrap();
    role.say("counted");
    role.stay();
}

const CREATING: [&str; 3] = ["create: claimed", "create: creating", "create: written, and not ready yet"];

pub(crate) fn a_dead_creator_is_replaced() {
    for step in CREATING {
        let name = unique_name("creator");
        let mut creator = Peer::start("segment::role_create_until", &[&name, step]);
        creator.expect(&format!("at {step}"));
        // The test keeps the region, which would otherwise be removed with its creator.
        let _memory = SharedMemory::open(&name).unwrap();
        let soon = SegmentOptions::new().len(LEN).ready_timeout(Duration::from_millis(20));
        assert_eq!(soon.open(&name).unwrap_err().kind(), ErrorKind::NotReady, "{step}: alive");
        assert_eq!(soon.open_or_create(&name).unwrap_err().kind(), ErrorKind::NotReady, "{step}: alive");
        creator.kill();
        let error = Segment::open(&name).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotReady, "{step}");
        assert!(format!("{error:#}").contains("its creator died"), "{error}");
        let (segment, how) = Segment::open_or_create(&name, LEN).unwrap();
        assert_eq!(how, Disposition::Created, "{step}");
        segment.mutex::<u64>("one").unwrap().lock().unwrap().set(&1).unwrap();
        assert_eq!(Segment::open(&name).unwrap().inspect().unwrap().objects.len(), 1);
    }
}

pub(crate) fn an_opener_waits_for_the_creator() {
    let name = unique_name("slow");
    let memory = SharedMemory::create(&name, LEN).unwrap();
    let mut peer = Peer::start("segment::role_open_late", &[&name]);
    peer.expect("opening");
    let segment = Segment::create_in(&memory).unwrap();
    peer.expect("opened");
    peer.finish();
    assert_eq!(Segment::create_in(&memory).unwrap_err().kind(), ErrorKind::AlreadyExists);
    segment.declare_broken().unwrap();
    assert_eq!(Segment::open(&name).unwrap_err().kind(), ErrorKind::Corrupted);
    assert_eq!(Segment::open_or_create(&name, LEN).unwrap_err().kind(), ErrorKind::Corrupted);
}

pub(crate) fn role_open_late(role: &mut Role) {
    role.say("opening");
    let segment = SegmentOptions::new().ready_timeout(testkit::WATCHDOG).open(role.argument(0)).unwrap();
    role.say("opened");
    drop(segment);
}

pub(crate) fn role_create_until(role: &mut Role) {
    mmf::__test_hooks::stop_at(role.argument(1), tell);
    let segment = Segment::create(role.argument(0), LEN);
    role.say(format!("came through: {segment:?}"));
}

const JOINING: [&str; 3] =
    ["join: slot held by the kernel, not claimed yet", "join: joining", "join: present"];
const ADDING: [&str; 4] = [
    "directory: locked",
    "directory: zeroed",
    "directory: written, and not published yet",
    "directory: published",
];

pub(crate) fn participants_die_at_every_step() {
    let name = unique_name("joiners");
    let segment = SegmentOptions::new().len(LEN).participants(3).create(&name).unwrap();
    for round in 0..3 {
        for step in JOINING.into_iter().chain(ADDING).chain(["leave: free, and the kernel not told yet"]) {
            let object = format!("object {round} {step}");
            let mut peer =
                Peer::start("segment::role_join_until", &[&name, step, &object[..object.len().min(60)]]);
            peer.expect(&format!("at {step}"));
            peer.kill();
            let found = Segment::open(&name).unwrap();
            found.mutex::<u64>(&object[..object.len().min(60)]).unwrap();
        }
    }
    let alive = segment.participants().unwrap().iter().filter(|participant| participant.alive).count();
    assert_eq!(alive, 1);
    assert_eq!(segment.inspect().unwrap().objects.len(), 24);
    // All slots can be taken again.
    let others: Vec<_> = (0..2).map(|_| Segment::open(&name).unwrap()).collect();
    let error = Segment::open(&name).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full, "{error}");
    assert!(format!("{error:#}").contains("all 3 slots"), "{error}");
    drop(others);
    let tokens: Vec<u32> = (0..100)
        .map(|_| {
            Segment::open(&name)
                .unwrap()
                .participants()
                .unwrap()
                .iter()
                .map(|one| one.id.get())
                .max()
                .unwrap()
        })
        .collect();
    let mut unique = tokens.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), tokens.len(), "no token comes back");
}

pub(crate) fn role_join_until(role: &mut Role) {
    mmf::__test_hooks::stop_at(role.argument(1), tell);
    let segment = Segment::open(role.argument(0)).unwrap();
    segment.mutex::<u64>(role.argument(2)).unwrap();
    drop(segment);
    role.say("came through");
}

pub(crate) fn observers_leave_no_trace() {
    let name = unique_name("observer");
    let segment = Segment::create(&name, LEN).unwrap();
    let mut writer = segment.latest::<Pose>("pose").unwrap().acquire_writer().unwrap();
    writer.publish(&Pose { x: 1.0, y: 2.0 }).unwrap();
    let view = segment.memory().view().unwrap();
    let before = view.read_vec(0, view.len()).unwrap();
    let mut peer = Peer::start("segment::role_observe", &[&name]);
    peer.expect("1 2");
    assert_eq!(view.read_vec(0, view.len()).unwrap(), before);
    peer.finish();
}

pub(crate) fn role_observe(role: &mut Role) {
    let segment = Segment::open_read_only(role.argument(0)).unwrap();
    let pose = segment.find_latest::<Pose>("pose").unwrap();
    assert!(pose.has_writer().unwrap());
    let info = segment.inspect().unwrap();
    assert_eq!(info.objects.len(), 1);
    assert!(info.participants[0].alive);
    assert_eq!(segment.find_latest::<Pose>("other").unwrap_err().kind(), ErrorKind::NotFound);
    let pose = pose.read().unwrap().unwrap();
    role.say(format!("{} {}", pose.x, pose.y));
}

pub(crate) fn segments_without_a_name() {
    let memory = SharedMemory::anonymous(LEN).unwrap();
    let first = Segment::create_in(&memory).unwrap();
    let second = Segment::open_in(&memory).unwrap();
    first.auto_reset_event("go").unwrap().set().unwrap();
    second.auto_reset_event("go").unwrap().wait_timeout(Duration::ZERO).unwrap();
    assert_eq!(second.participants().unwrap().len(), 2);
}

/// The bytes of the first version, except what differs each time.
pub(crate) fn the_format_is_unchanged() {
    let memory = SharedMemory::anonymous(8192).unwrap();
    let segment = SegmentOptions::new().participants(2).create_in(&memory).unwrap();
    let mutex = segment.mutex::<u64>("state").unwrap();
    mutex.lock().unwrap().set(&0x1122_3344_5566_7788).unwrap();
    let mut writer = segment.latest::<u32>("pose").unwrap().acquire_writer().unwrap();
    writer.publish(&7).unwrap();
    writer.publish(&8).unwrap();
    let view = memory.view().unwrap();
    let mut bytes = view.read_vec(0, view.len()).unwrap();
    // The identity; the creator's process, start and namespaces; times; the participant's process, kernel
    // bit, start, joining time and namespaces.
    for varies in [32..48, 52..64, 104..128, 256 + 4..256 + 40, 384 + 48..384 + 56, 768 + 48..768 + 56] {
        bytes[varies].fill(0);
    }
    bytes[256] &= !4;
    bytes[48] &= !4;
    let mut golden = vec![0; view.len()];
    let mut put = |at: usize, with: &[u8]| golden[at..at + with.len()].copy_from_slice(with);
    put(0, b"mmf\0seg\n\x01\0\0\0\x02\0\0\0\x02\0\x67\x65\x73\x66\x6d\x6d\0\x20\0\0\0\0\0\0");
    put(48, &[8, 0, 0, 0]); // generation 1, free again
    put(64, &[0, 1, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0]);
    put(80, &[0, 5, 0, 0, 0, 0, 0, 0, 0x80, 1, 0, 0, 0, 0, 0, 0]);
    put(256, &[10, 0, 0, 0]); // generation 1, present
    // A mutex of u64: 256 + 64 + 8 bytes, in whole 64s.
    put(384, &[0x80, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 72, 0, 0, 0, 0, 0, 0, 0]);
    put(384 + 24, &[64, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0]);
    put(384 + 40, &0x4606_31bc_f24d_67e1_u64.to_le_bytes());
    put(384 + 56, &[0, 2, 0, 0]);
    put(384 + 64, b"\x05state");
    put(384 + 128, b"\x03u64");
    put(384 + 256 + 64, &[0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11]);
    // A latest of u32.
    put(768, &[0, 2, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    put(768 + 24, &[64, 0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0]);
    put(768 + 40, &0xc3eb_7d66_6116_aef4_u64.to_le_bytes());
    put(768 + 56, &[0, 2, 0, 0, 3, 0, 0, 0]);
    put(768 + 64, b"\x04pose");
    put(768 + 128, b"\x03u32");
    put(1024, &[0, 2, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 4]);
    put(1024 + 64, &[7]);
    put(1024 + 128, &[8]);
    testkit::assert_bytes(&bytes, &golden, "the format of version 1");
    // They can also be opened: values stored then are found now, the death of their owner is detected, and
    // new objects find space after the old ones.
    let stored = SharedMemory::anonymous(8192).unwrap();
    // (With the kernel bit, as where the kernel can hold slots: it does not hold this one.)
    golden[256] |= 4;
    stored.view().unwrap().write_all_at(&golden, 0).unwrap();
    let segment = Segment::open_in(&stored).unwrap();
    assert_eq!(segment.mutex::<u64>("state").unwrap().lock().unwrap().get().unwrap(), 0x1122_3344_5566_7788);
    let latest = segment.latest::<u32>("pose").unwrap();
    assert_eq!(numbered(&latest), Some((2, 8)));
    assert_eq!(latest.acquire_writer().unwrap().publish(&9).unwrap(), 3);
    segment.auto_reset_event("new").unwrap();
    assert_eq!(segment.inspect().unwrap().objects.len(), 3);
}

/// Bytes written as hexadecimal digits.
fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// A segment of the first version with one object of each kind except `Latest`, as its only participant left
/// it. What differs each time (see `without_what_varies`) is zero.
fn golden_of_all_kinds() -> Vec<u8> {
    let mut golden = vec![0; 8192];
    let mut put = |at: usize, with: &str| {
        let with = hex(with);
        golden[at..at + with.len()].copy_from_slice(&with);
    };
    put(0, "6d6d6600 7365670a 01000000 02000000 02006765 73666d6d 00200000 00000000");
    put(48, "08000000"); // the creator's slot: generation 1, free again
    put(64, "00010000 02000000 01000000 00000000 c00b0000 00000000 80010000 00000000");
    put(256, "0a000000"); // generation 1, present
    // For each object: the offset of its head, the head without names, the names, and what is not zero after
    // the head.
    let mut object = |at: usize, head: &str, name: &str, type_name: &str, parts: &[(usize, &str)]| {
        put(at, head);
        put(at + 64, name);
        put(at + 128, type_name);
        parts.iter().for_each(|(offset, bytes)| put(at + 256 + offset, bytes));
    };
    const U64: &str = "03 753634";
    const NONE: &str = "02 2829";
    object(
        384,
        "80010000 00000000 01000000 00000000 48000000 00000000 40000000 08000000
         08000000 00000000 e1674df2 bc310646 00000000 00000000 00020000 00000000",
        "05 6d75746578",
        U64,
        &[(64, "88776655 44332211")],
    );
    // The second writer has flipped the phase, and the third has flipped it back; each participant has one
    // readers' word.
    object(
        768,
        "40020000 00000000 02000000 00000000 08010000 00000000 00010000 08000000
         08000000 00000000 7c006f1d 9d75b5d4 00000000 00000000 00020000 02000000",
        "04 70616972",
        U64,
        &[(0, "00000010"), (128, "00000000 00020000"), (256, "efcdab89 67452301")],
    );
    object(
        1344,
        "40010000 00000000 04000000 00000000 40000000 00000000 40000000 01000000
         00000000 00000000 a3e1ec34 a5fba581 00000000 00000000 00020000 00000000",
        "04 6175746f",
        NONE,
        &[(0, "01")],
    );
    object(
        1664,
        "40010000 00000000 05000000 00000000 40000000 00000000 40000000 01000000
         00000000 00000000 266be845 4f6615ec 00000000 00000000 00020000 00000000",
        "06 6d616e75616c",
        NONE,
        &[(0, "01")],
    );
    object(
        1984,
        "80010000 00000000 06000000 00000000 48000000 00000000 40000000 08000000
         08000000 00000000 5815d9a8 c7bd6eef 00000000 00000000 00020000 00000000",
        "04 6f6e6365",
        U64,
        &[(0, "ffffff0f"), (64, "15cd5b07")],
    );
    object(
        2368,
        "40010000 00000000 07000000 00000000 40000000 00000000 40000000 01000000
         00000000 00000000 68623231 0961cb79 00000000 00000000 00020000 00000000",
        "05 636f756e74",
        NONE,
        &[(0, "03")],
    );
    object(
        2688,
        "40010000 00000000 08000000 00000000 40000000 00000000 40000000 01000000
         00000000 00000000 ff4a77b8 009cb1d3 00000000 00000000 00020000 00000000",
        "04 63656c6c",
        NONE,
        &[(0, "78563412")],
    );
    golden
}

/// The offsets of the heads of those objects.
const GOLDEN_HEADS: [usize; 7] = [384, 768, 1344, 1664, 1984, 2368, 2688];

fn attach_to(bytes: &[u8]) -> (SharedMemory, Segment) {
    let memory = SharedMemory::anonymous(bytes.len() as u64).unwrap();
    memory.view().unwrap().write_all_at(bytes, 0).unwrap();
    let segment = Segment::open_in(&memory).unwrap();
    (memory, segment)
}

pub(crate) fn the_format_of_every_kind_is_unchanged() {
    let memory = SharedMemory::anonymous(8192).unwrap();
    let segment = SegmentOptions::new().participants(2).create_in(&memory).unwrap();
    segment.mutex::<u64>("mutex").unwrap().lock().unwrap().set(&0x1122_3344_5566_7788).unwrap();
    let pair = segment.rwlock::<u64>("pair").unwrap();
    for value in [1, 2, 0x0123_4567_89ab_cdef] {
        pair.write().unwrap().set(&value).unwrap();
    }
    drop((pair.read().unwrap(), pair.read().unwrap()));
    segment.auto_reset_event("auto").unwrap().set().unwrap();
    segment.manual_reset_event("manual").unwrap().set().unwrap();
    assert_eq!(segment.once_lock::<u64>("once").unwrap().get_or_init(|| 123_456_789).unwrap(), 123_456_789);
    let count = segment.event_count("count").unwrap();
    (0..3).for_each(|_| count.notify().unwrap());
    segment.futex("cell").unwrap().store(0x1234_5678).unwrap();
    let view = memory.view().unwrap();
    let mut bytes = view.read_vec(0, view.len()).unwrap();
    // The identity; the creator's process, start and namespaces; times; the participant's process, kernel
    // bit, start, joining time and namespaces.
    for varies in [32..48, 52..64, 104..128, 260..296] {
        bytes[varies].fill(0);
    }
    bytes[256] &= !4;
    bytes[48] &= !4;
    for head in GOLDEN_HEADS {
        bytes[head + 48..head + 56].fill(0);
    }
    testkit::assert_bytes(&bytes, &golden_of_all_kinds(), "the format of version 1");
}

/// A process that has left the bytes of the first version behind and is gone: with an id that systems do not
/// reach, and a start long ago. The kernel was to hold its slot, and does not.
fn golden_with_a_dead_participant() -> Vec<u8> {
    let mut golden = golden_of_all_kinds();
    golden[256..272].copy_from_slice(&hex("0e000000 fcffff7f 07000000 00000000"));
    golden
}

pub(crate) fn the_first_version_is_opened_and_used() {
    let (_memory, segment) = attach_to(&golden_with_a_dead_participant());
    assert_eq!(segment.mutex::<u64>("mutex").unwrap().lock().unwrap().get().unwrap(), 0x1122_3344_5566_7788);
    let pair = segment.rwlock::<u64>("pair").unwrap();
    assert_eq!(pair.read().unwrap().get().unwrap(), 0x0123_4567_89ab_cdef);
    pair.write().unwrap().set(&8).unwrap();
    assert_eq!(pair.try_read().unwrap().get().unwrap(), 8);
    let (auto, manual) =
        (segment.auto_reset_event("auto").unwrap(), segment.manual_reset_event("manual").unwrap());
    auto.wait_timeout(Duration::ZERO).unwrap();
    assert!(!auto.is_set().unwrap(), "it was set, and resets");
    assert!(manual.wait_timeout(Duration::ZERO).is_ok() && manual.is_set().unwrap(), "it was set, and stays");
    let once = segment.once_lock::<u64>("once").unwrap();
    assert_eq!(once.get().unwrap(), Some(123_456_789));
    assert_eq!(once.get_or_init(|| 1).unwrap(), 123_456_789);
    let count = segment.event_count("count").unwrap();
    assert_eq!(count.wait_past_deadline(2, Instant::now()).unwrap(), 3);
    count.notify().unwrap();
    assert_eq!(count.count().unwrap(), 4);
    let cell = segment.futex("cell").unwrap();
    assert_eq!(cell.load().unwrap(), 0x1234_5678);
    assert!(matches!(cell.wait_deadline(0x1234_5678, Instant::now()), Err(WaitError::TimedOut(_))));
    segment.mutex::<u64>("new").unwrap();
    let kinds: Vec<_> = segment.inspect().unwrap().objects.into_iter().map(|object| object.kind).collect();
    use ObjectKind::*;
    assert_eq!(kinds, [Mutex, RwLock, AutoResetEvent, ManualResetEvent, OnceLock, EventCount, Futex, Mutex]);
}

/// A death that was detected and not repaired; one of a writer and a reader that was not detected yet; and
/// one during initialization. All of them with a waiter that is counted and no longer blocked.
pub(crate) fn deaths_of_the_first_version_are_reported() {
    use mmf::sync::LockError;
    let mut golden = golden_with_a_dead_participant();
    let mut put = |at: usize, with: &str| {
        let with = hex(with);
        golden[at..at + with.len()].copy_from_slice(&with);
    };
    // The mutex is damaged: held since 10⁹ ns; process 0x1234, started at 5, died, detected at 2 × 10⁹ ns; it
    // had held the lock since 1.5 × 10⁹ ns.
    let head = "00000020 03000000 00020000 00020000 00ca9a3b 00000000 34120000 00000000
                05000000 00000000 00943577 00000000 002f6859 00000000";
    put(384 + 256, head);
    // The rwlock: its writer, of phase 1, waits for a reader of its own participant; a waiter is counted on
    // each of the words.
    put(768 + 256, "00020090 01000000");
    put(768 + 256 + 64, "05000000 01000000");
    put(768 + 256 + 128, "00001000 00020000");
    put(1984 + 256, "00020080 02000000");
    put(1984 + 256 + 64, "77777777");
    let (memory, segment) = attach_to(&golden);
    let at = |nanoseconds| std::time::UNIX_EPOCH + Duration::from_nanos(nanoseconds);
    let mutex = segment.mutex::<u64>("mutex").unwrap();
    let LockError::OwnerDied(owner) = mutex.lock().unwrap_err() else { panic!("the death is not reported") };
    let process = owner.process().unwrap();
    assert_eq!((process.id, process.started), (0x1234, 5));
    assert_eq!((owner.held_since(), owner.detected()), (Some(at(1_500_000_000)), Some(at(2_000_000_000))));
    owner.into_guard().declare_consistent().unwrap();
    drop(mutex.lock().unwrap());
    let pair = segment.rwlock::<u64>("pair").unwrap();
    let LockError::OwnerDied(owner) = pair.write().unwrap_err() else { panic!("the death is not reported") };
    let process = owner.process().unwrap();
    assert_eq!((process.id, process.started), (0x7fff_fffc, 7));
    assert!(owner.detected().is_some());
    // It has recorded the death, for those that come before the data is repaired.
    let head = memory.view().unwrap().read_vec(768 + 256, 64).unwrap();
    assert_eq!(head[12..16], hex("00020000"), "the id of the dead participant");
    assert_eq!(head[24..40], hex("fcffff7f 00000000 07000000 00000000"), "its process and start");
    assert_ne!(head[40..48], [0; 8], "when that was noticed");
    owner.into_guard().declare_consistent().unwrap();
    assert_eq!(pair.read().unwrap().get().unwrap(), 0x0123_4567_89ab_cdef);
    let once = segment.once_lock::<u64>("once").unwrap();
    assert_eq!(once.get().unwrap(), None);
    assert_eq!(once.get_or_init(|| 9).unwrap(), 9);
}

/// Uses everything in a segment, with deadlines. Any result is valid, but each call must return.
fn use_all(segment: &Segment, objects: &Objects) {
    let soon = || Instant::now() + Duration::from_millis(1);
    let _ = segment.inspect();
    let _ = segment.mutex::<u64>("mutex");
    let _ = segment.mutex::<u64>("new");
    for _ in 0..2 {
        let _ = objects.mutex.try_lock().map(|guard| guard.get());
        let _ =
            objects.mutex.lock_deadline(Instant::now() + Duration::from_millis(1)).map(|guard| guard.get());
        let _ = objects.rwlock.try_read().map(|guard| guard.get());
        let _ = objects.rwlock.read_timeout(Duration::from_millis(1)).map(|guard| guard.get());
        let _ = objects.rwlock.write_timeout(Duration::from_millis(1)).map(|guard| guard.get());
        let _ = objects.latest.read();
        let _ = objects.latest.has_writer();
        let _ = objects.latest.acquire_writer().map(|mut writer| writer.publish(&1));
        let _ = objects.event.set();
        let _ = objects.event.wait_timeout(Duration::from_millis(1));
        let _ = mmf::sync::Event::wait_any_deadline(&[&objects.event], soon());
        let _ = objects.notify.notify();
        let _ = objects.notify.wait_past_deadline(objects.notify.count().unwrap_or(0), soon());
        let _ = objects.once.get();
    }
}

struct Objects {
    mutex: mmf::sync::Mutex<u64>,
    rwlock: mmf::sync::RwLock<u64>,
    latest: mmf::sync::Latest<u64>,
    event: mmf::sync::Event,
    notify: mmf::sync::EventCount,
    once: mmf::sync::OnceLock<u64>,
}

fn hostile_segment() -> (SharedMemory, Segment, Objects) {
    let memory = SharedMemory::anonymous(16 * 1024).unwrap();
    let segment = SegmentOptions::new().participants(4).create_in(&memory).unwrap();
    let objects = Objects {
        mutex: segment.mutex("mutex").unwrap(),
        rwlock: segment.rwlock("rwlock").unwrap(),
        latest: segment.latest("latest").unwrap(),
        event: segment.auto_reset_event("event").unwrap(),
        notify: segment.event_count("notify").unwrap(),
        once: segment.once_lock("once").unwrap(),
    };
    (memory, segment, objects)
}

pub(crate) fn every_word_overwritten() {
    let (memory, segment, objects) = hostile_segment();
    let view = memory.view().unwrap();
    let used = usize::try_from(segment.inspect().unwrap().used).unwrap();
    let good = view.read_vec(0, view.len()).unwrap();
    // Wine's kernel objects are slow.
    let step = if testkit::under_wine() { 3 } else { 1 };
    for at in (0..used).step_by(4) {
        let values = [0, 1, 3, 64, 0x0fff_ffff, 0x1fff_ffff, 0x7fff_ffff, 0x8000_0000, 0xe000_0401, u32::MAX];
        for value in values.into_iter().skip(at / 4 % step).step_by(step) {
            view.atomic_u32(at).unwrap().store(value, SeqCst).unwrap();
            use_all(&segment, &objects);
            let _ = SegmentOptions::new().ready_timeout(Duration::ZERO).open_in(&memory);
            view.write_all_at(&good, 0).unwrap();
        }
    }
    // And the segment still works after all that.
    objects.mutex.lock().unwrap().set(&5).unwrap();
    assert_eq!(objects.mutex.lock().unwrap().get().unwrap(), 5);
}

pub(crate) fn overwritten_while_used() {
    let (memory, segment, objects) = hostile_segment();
    let name = unique_name("scribbler");
    drop((memory, segment, objects));
    let segment = SegmentOptions::new().len(16 * 1024).participants(4).create(&name).unwrap();
    let objects = Objects {
        mutex: segment.mutex("mutex").unwrap(),
        rwlock: segment.rwlock("rwlock").unwrap(),
        latest: segment.latest("latest").unwrap(),
        event: segment.auto_reset_event("event").unwrap(),
        notify: segment.event_count("notify").unwrap(),
        once: segment.once_lock("once").unwrap(),
    };
    let mut peer = Peer::start("segment::role_scribble", &[&name]);
    peer.expect("scribbling");
    let until = Instant::now() + Duration::from_secs(3);
    while Instant::now() < until {
        use_all(&segment, &objects);
        let _ = SegmentOptions::new().ready_timeout(Duration::ZERO).open(&name);
    }
    peer.finish();
}

pub(crate) fn role_scribble(role: &mut Role) {
    let view = SharedMemory::open(role.argument(0)).unwrap().view().unwrap();
    role.say("scribbling");
    let done = std::thread::spawn(|| std::io::stdin().read_line(&mut String::new()));
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    while !done.is_finished() {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let at = usize::try_from(random % (view.len() as u64 / 4)).unwrap() * 4;
        let value = (random >> 32) as u32;
        let value = if value % 3 == 0 { value % 512 } else { value };
        view.atomic_u32(at).unwrap().store(value, SeqCst).unwrap();
    }
}

#[cfg(target_os = "linux")]
pub(crate) fn truncated_while_used() {
    let text = unique_name("cut");
    let segment = Segment::create(format!(r"Global\{text}"), LEN).unwrap();
    let mutex = segment.mutex::<u64>("mutex").unwrap();
    let event = segment.auto_reset_event("event").unwrap();
    let guard = mutex.lock().unwrap();
    std::fs::File::options().write(true).open(format!("/dev/shm/{text}")).unwrap().set_len(0).unwrap();
    assert_eq!(guard.get().unwrap_err().kind(), ErrorKind::Fault);
    drop(guard);
    assert!(
        matches!(mutex.lock(), Err(mmf::sync::LockError::Failed(error)) if error.kind() == ErrorKind::Fault)
    );
    assert_eq!(event.wait().unwrap_err().kind(), ErrorKind::Fault);
    assert_eq!(segment.inspect().unwrap_err().kind(), ErrorKind::Fault);
    drop((mutex, event, segment));
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn truncated_while_used() {
    testkit::skip("no process can shorten a region here");
}

#[cfg(target_os = "linux")]
pub(crate) fn a_forked_child_is_no_participant() {
    crate::spaces::skip_if_emulated();
    let name = unique_name("fork");
    let segment = Segment::create(&name, LEN).unwrap();
    let mut peer = Peer::start("segment::role_fork", &[&name]);
    let child: i32 = peer.hear().parse().unwrap();
    peer.expect("Unsupported");
    // The child has the parent's open files and their locks; they do not keep the parent alive.
    peer.kill();
    testkit::wait_until("the parent counts as dead", || {
        segment.participants().unwrap().iter().filter(|participant| participant.alive).count() == 1
    });
    let mutex = segment.mutex::<u64>("held").unwrap();
    let error = mutex.lock().unwrap_err();
    assert!(
        matches!(&error, mmf::sync::LockError::OwnerDied(owner) if owner.process().is_some()),
        "{error:?}"
    );
    // SAFETY: `kill` has no requirements; the id is that of the grandchild that the role has reported.
    unsafe { libc::kill(child, libc::SIGKILL) };
}

#[cfg(target_os = "linux")]
pub(crate) fn role_fork(role: &mut Role) {
    let segment = Segment::open(role.argument(0)).unwrap();
    let mutex = segment.mutex::<u64>("held").unwrap();
    let other = segment.mutex::<u64>("other").unwrap();
    std::mem::forget(mutex.lock().unwrap());
    let mut pipe = [0; 2];
    // SAFETY: the pointer is to an array of two descriptors.
    assert_eq!(unsafe { libc::pipe(pipe.as_mut_ptr()) }, 0);
    // SAFETY: this process has no other threads; the child makes system calls and exits without unwinding.
    match unsafe { libc::fork() } {
        0 => {
            let kind = match other.lock() {
                Err(error) => mmf::Error::from(error).kind() == ErrorKind::Unsupported,
                Ok(_) => false,
            };
            let answer = [u8::from(kind)];
            // SAFETY: the pointer is to one valid byte.
            unsafe { libc::write(pipe[1], answer.as_ptr().cast(), 1) };
            loop {
                std::thread::park();
            }
        }
        child => {
            role.say(child.to_string());
            let mut answer = [0_u8];
            // SAFETY: the pointer is to an array of one byte.
            assert_eq!(unsafe { libc::read(pipe[0], answer.as_mut_ptr().cast(), 1) }, 1);
            role.say(if answer[0] == 1 { "Unsupported" } else { "locked" });
            role.stay();
        }
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn a_forked_child_is_no_participant() {
    testkit::skip("tested on Linux only");
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn role_fork(_: &mut Role) {}

testkit::registry! {
    segment
    tests {
        processes_share_objects
        processes_of_both_widths_share_segments
        mismatched_types_are_refused
        regions_without_a_segment_are_refused
        options_that_do_not_apply_are_refused
        one_of_many_creates_it
        a_dead_creator_is_replaced
        an_opener_waits_for_the_creator
        participants_die_at_every_step
        observers_leave_no_trace
        segments_without_a_name
        the_format_is_unchanged
        the_format_of_every_kind_is_unchanged
        the_first_version_is_opened_and_used
        deaths_of_the_first_version_are_reported
        every_word_overwritten
        overwritten_while_used
        truncated_while_used
        a_forked_child_is_no_participant
    }
    roles {
        role_share
        role_open_or_create
        role_open_late
        role_create_until
        role_join_until
        role_observe
        role_scribble
        role_fork
    }
}
