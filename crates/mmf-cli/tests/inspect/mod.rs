//! inspect, as programs and people call it.

use std::time::Duration;

use mmf::sync::LockError;
use mmf::{OpenOptions, Segment, SharedMemory};
use serde_json::Value;
use testkit::{Peer, Role, Test, unique_name};

use crate::common::run;

pub const TESTS: &[Test] = &[
    ("inspect_shows_who_holds_what", shows_who_holds_what),
    ("inspect_shows_the_dead", shows_the_dead),
    ("inspect_says_what_is_no_segment", says_what_is_no_segment),
    ("inspect_survives_any_bytes", survives_any_bytes),
];
pub const ROLES: &[testkit::Played] = &[("hold_lock", role_hold_lock)];

pub fn role_hold_lock(role: &mut Role) {
    let segment = Segment::open(role.argument(0)).unwrap();
    let mutex = segment.mutex::<u64>("state").unwrap();
    let _guard = mutex.lock().unwrap();
    role.say("held");
    role.stay();
}

fn shows_who_holds_what() {
    let name = unique_name("inspect");
    let segment = Segment::create(&*name, 64 * 1024).unwrap();
    let mutex = segment.mutex::<u64>("state").unwrap();
    segment.latest::<[f32; 3]>("pose").unwrap().writer().unwrap().publish(&[1.0, 2.0, 3.0]).unwrap();
    let rwlock = segment.rwlock::<u32>("shared").unwrap();
    segment.event("go").unwrap().set().unwrap();
    segment.once::<u64>("once").unwrap().get_or_init(|| 7).unwrap();
    let _reader = rwlock.read().unwrap();
    let mut peer = Peer::start("hold_lock", &[&name]);
    peer.expect("held");
    assert!(matches!(mutex.lock_timeout(Duration::from_millis(200)), Err(LockError::TimedOut(_))));
    let text = run(["inspect", &*name]).succeeded().text();
    for line in [
        &format!("Local\\{name}: segment, version 1"),
        "participants: 2 of 64",
        "objects: 5",
        &format!("held by process {}, since 2", peer.id()),
        &format!("held for reading by process {}", std::process::id()),
        "1 values published",
        "initialised",
        "set",
    ] {
        assert!(text.contains(line), "{line:?} in:\n{text}");
    }
    assert!(!text.contains("dead"), "{text}");
    let json: Value = run(["inspect", &*name, "--json"]).succeeded().json();
    let token = &json["objects"][0]["state"]["owner"];
    let owner = json["participants"].as_array().unwrap().iter().find(|one| one["token"] == *token).unwrap();
    assert_eq!(owner["process"], peer.id());
    assert_eq!(
        (&json["objects"][1]["name"], &json["objects"][1]["kind"]),
        (&"pose".into(), &"latest".into())
    );
    // Who only looks is no participant.
    assert_eq!(segment.participants().unwrap().len(), 2);
    peer.finish();
    assert!(run(["info", &*name]).succeeded().text().contains("mmf inspect"));
}

fn shows_the_dead() {
    let name = unique_name("inspect-dead");
    let segment = Segment::create(&*name, 64 * 1024).unwrap();
    let mutex = segment.mutex::<u64>("state").unwrap();
    let mut peer = Peer::start("hold_lock", &[&name]);
    peer.expect("held");
    peer.kill();
    let text = run(["inspect", &*name]).succeeded().text();
    assert!(text.contains(&format!("held by process {}, which is dead", peer.id())), "{text}");
    assert!(text.contains("dead "), "{text}");
    let Err(LockError::OwnerDied(owner)) = mutex.lock() else { panic!("nobody has said that he died") };
    drop(owner.into_guard());
    let text = run(["inspect", &*name]).succeeded().text();
    assert!(text.contains(&format!("process {} died with it, and nobody has declared", peer.id())), "{text}");
}

fn says_what_is_no_segment() {
    let name = unique_name("inspect-plain");
    let _memory = SharedMemory::create(&*name, 4096).unwrap();
    run(["inspect", &*name]).failed(1, &["segment"]);
    run(["inspect", "nobody-has-made-this-segment"]).failed(1, &["there is no shared memory of this name"]);
    assert!(!run(["info", &*name]).succeeded().text().contains("mmf inspect"));
}

/// Names, numbers and places that a peer has put there: an answer or an error, never a panic.
fn survives_any_bytes() {
    let name = unique_name("inspect-bytes");
    let segment = Segment::create(&*name, 16 * 1024).unwrap();
    segment.mutex::<u64>("a \u{1b}[31m red name").unwrap();
    assert!(!run(["inspect", &*name]).succeeded().text().contains('\u{1b}'));
    let memory = OpenOptions::new().open(&*name).unwrap().view().unwrap();
    let mut state = 0x9E37_79B9_u32;
    for round in 0..if testkit::under_wine() { 8 } else { 40 } {
        // The first words stay, or it would be no segment any more.
        for _ in 0..60 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let at = 72 + (state as usize >> 8) % (8 * 1024);
            memory.write(at & !3, &state.rotate_left(round)).unwrap();
        }
        let ended = run(["inspect", &*name]);
        assert!(matches!(ended.status, Some(0 | 1)), "round {round}: {ended:?}");
    }
}
