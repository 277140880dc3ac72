//! `mmf inspect`: the participants of a segment and the state of its objects.

use mmf::{Segment, SharedMemory};
use serde_json::{Value, json};
use testkit::{Peer, Role, Test, unique_name, wait_until};

use crate::common::{command, run};

pub const TESTS: &[Test] = &[
    ("inspect_shows_objects_and_owners", inspect_shows_objects_and_owners),
    ("inspect_shows_dead_owners", inspect_shows_dead_owners),
    ("inspect_names_other_pid_namespaces", inspect_names_other_pid_namespaces),
    ("inspect_distinguishes_a_panic_from_a_death", inspect_distinguishes_a_panic_from_a_death),
    ("inspect_refuses_other_regions", inspect_refuses_other_regions),
    ("inspect_shows_intact_parts", inspect_shows_intact_parts),
    ("inspect_watch_compares_samples", inspect_watch_compares_samples),
    ("inspect_watch_ends_on_ctrl_c", inspect_watch_ends_on_ctrl_c),
    ("inspect_survives_hostile_bytes", inspect_survives_hostile_bytes),
    ("inspect_escapes_hostile_names", inspect_escapes_hostile_names),
    ("inspect_bounds_its_lists", inspect_bounds_its_lists),
    ("inspect_shows_types_without_bytes", inspect_shows_types_without_bytes),
];

/// Holds a mutex until the process is ended.
pub fn role_hold(role: &mut Role) {
    let segment = Segment::open(role.argument(0)).unwrap();
    let mutex = segment.mutex::<u64>("state").unwrap();
    let guard = mutex.lock().unwrap();
    role.say("holding");
    role.stay();
    drop(guard);
}

fn inspect_shows_objects_and_owners() {
    let name = &unique_name("inspect");
    let segment = Segment::create(name, 64 * 1024).unwrap();
    let lock = segment.rwlock::<u32>("table").unwrap();
    let reading = lock.read().unwrap();
    segment.manual_reset_event("go").unwrap().set().unwrap();
    let mut writer = segment.latest::<f64>("speed").unwrap().acquire_writer().unwrap();
    writer.publish(&1.0).unwrap();
    let mut holder = Peer::start("hold", &[name]);
    holder.expect("holding");

    let text = run(["inspect", name]).succeeded().text();
    let me = std::process::id();
    assert!(text.contains(&format!("held by process {}", holder.id())), "{text}");
    assert!(text.contains(&format!("1 readers in process {me}")), "{text}");
    assert!(text.contains(&format!("written by process {me}")), "{text}");
    assert!(
        text.contains("1 published\n")
            && text.contains("set, 0 waiting")
            && text.contains("participants: 2 of 64"),
        "{text}"
    );
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    // Both processes run this test program.
    let own = std::env::current_exe().unwrap();
    let program = own.file_name().and_then(|name| name.to_str()).unwrap();
    let document = run(["inspect", name, "--json"]).succeeded().json();
    if cfg!(any(windows, target_os = "linux")) {
        assert!(text.contains(&format!("written by process {me} ({program})")), "{text}");
        assert_eq!(document["participants"][1]["program"], program);
    }
    assert_eq!(document["objects"][0]["name"], "table");
    assert_eq!(document["objects"][3]["value_type"]["name"], "u64");
    assert_eq!(document["participants"][1]["process"]["id"], json!(holder.id()));
    assert!(run(["info", name]).succeeded().text().contains("mmf inspect"));
    assert_eq!(run(["info", name, "--json"]).succeeded().json()["segment_stage"], "ready");
    // Inspecting does not make a participant.
    assert_eq!(segment.participants().unwrap().len(), 2);
    drop(reading);
}

/// A process id of another pid namespace does not identify a process here.
fn inspect_names_other_pid_namespaces() {
    if !cfg!(target_os = "linux") {
        testkit::skip("only Linux has pid namespaces");
    }
    let name = &unique_name("inspect-elsewhere");
    let segment = Segment::create(name, 64 * 1024).unwrap();
    let own = std::env::current_exe().unwrap();
    let mut command = std::process::Command::new("unshare");
    command.args(["--pid", "--fork", "--kill-child"]).arg(own).args(["--play-role", "hold", name]);
    let entered =
        std::process::Command::new("unshare").args(["--pid", "--fork", "--kill-child", "true"]).output();
    if !entered.is_ok_and(|output| output.status.success()) {
        testkit::skip("another pid namespace cannot be entered here");
    }
    let mut holder = Peer::spawn("holder", &mut command);
    holder.expect("holding");

    let text = run(["inspect", name]).succeeded().text();
    assert!(text.contains("held by process 1 of another pid namespace"), "{text}");
    assert!(text.contains("its process id belongs to pid namespace"), "{text}");
    assert!(!text.contains("the kernel does not hold"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    let document = run(["inspect", name, "--json"]).succeeded().json();
    let there = &document["participants"][1];
    assert_eq!(there["in_other_pid_namespace"], json!(true), "{document}");
    assert_eq!((&there["alive"], &there["held_by_kernel"]), (&json!(true), &json!(true)), "{document}");
    assert!(there["process"]["pid_namespace"].is_u64(), "{document}");
    assert_eq!(document["participants"][0]["in_other_pid_namespace"], json!(false), "{document}");
    // Slots with a read lock, which the kernel therefore cannot hold for a participant.
    let locks = std::process::Command::new("python3")
        .args(["-c", READ_LOCKS, &format!("/dev/shm/mmf.{}.{name}", user())])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn();
    let Ok(locks) = locks else { return };
    let mut locks = Peer::adopt("reader", locks);
    locks.expect("locked");
    let other = Segment::open(name).unwrap();
    let text = run(["inspect", name]).succeeded().text();
    assert!(text.contains("the kernel does not hold its slot"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    drop((segment, other));
}

/// Takes read locks on the free slots, as any process that may read the region can.
const READ_LOCKS: &str = "
import fcntl, os, struct, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
for slot in range(2, 512):
    fcntl.fcntl(fd, 37, struct.pack('hhxxxxqqixxxx', fcntl.F_RDLCK, os.SEEK_SET, (1 << 60) + slot, 1, 0))
print('locked', flush=True)
sys.stdin.read()
";

#[cfg(unix)]
fn user() -> String {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").map_or_else(|_| String::new(), |file| file.uid().to_string())
}

#[cfg(not(unix))]
fn user() -> String {
    String::new()
}

fn inspect_shows_dead_owners() {
    let name = &unique_name("inspect-dead");
    let segment = Segment::create(name, 64 * 1024).unwrap();
    let mut holder = Peer::start("hold", &[name]);
    holder.expect("holding");
    let id = holder.id();
    holder.kill();
    wait_until("the holder is shown as dead", || {
        let text = run(["inspect", name]).succeeded().text();
        text.contains(&format!("held by process {id}, which is dead"))
    });
    let document = run(["inspect", name, "--json"]).succeeded().json();
    assert_eq!(document["participants"][1]["alive"], false);
    // The next owner gets the error, and the mark stays if it does not declare the data consistent.
    let mutex = segment.mutex::<u64>("state").unwrap();
    drop(mutex.lock().expect_err("the owner died"));
    let text = run(["inspect", name]).succeeded().text();
    assert!(text.contains("an owner died: the data may be inconsistent"), "{text}");
    assert!(text.contains(&format!("last owner that died: process {id}")), "{text}");
}

/// A process that has caught a panic is alive, and is not reported as dead.
fn inspect_distinguishes_a_panic_from_a_death() {
    let name = &unique_name("inspect-panic");
    let segment = Segment::create(name, 64 * 1024).unwrap();
    let mutex = segment.mutex::<u64>("state").unwrap();
    let thread = std::thread::scope(|scope| {
        let panics = || {
            let _guard = mutex.lock().unwrap();
            std::panic::resume_unwind(Box::new("on purpose"));
        };
        scope.spawn(panics).join()
    });
    assert!(thread.is_err());
    let me = std::process::id();
    let text = run(["inspect", name]).succeeded().text();
    assert!(text.contains(&format!("a thread of process {me} panicked while holding it")), "{text}");
    assert!(!text.contains("died") && !text.contains("dead"), "{text}");
    let document = run(["inspect", name, "--json"]).succeeded().json();
    let lock = &document["objects"][0]["state"]["lock"];
    assert_eq!(
        (&lock["dead_owner"], &lock["panicked_owner"]["id"]),
        (&Value::Null, &json!(me)),
        "{document}"
    );
    // The mark is removed; the record of the owner stays.
    let Err(mmf::sync::LockError::OwnerDied(owner)) = mutex.lock() else { panic!("no mark") };
    owner.into_guard().declare_consistent().unwrap();
    let text = run(["inspect", name]).succeeded().text();
    assert!(text.contains(&format!("last owner that panicked: process {me}")), "{text}");
    assert!(!text.contains("died") && !text.contains("inconsistent"), "{text}");
}

fn inspect_refuses_other_regions() {
    let name = &unique_name("inspect-plain");
    let region = SharedMemory::create(name, 65536).unwrap();
    run(["inspect", name])
        .failed(1, &["not ready", "all zero", "a plain region", "mmf info, mmf dump and mmf watch"]);
    assert!(!run(["info", name]).succeeded().text().contains("segment"));
    region.view().unwrap().write_all_at(&[0x41; 512], 0).unwrap();
    run(["inspect", name]).failed(1, &["not a segment", "mmf info, mmf dump and mmf watch"]);
    assert_eq!(run(["inspect", name, "--json"]).json_error()["kind"], "not_a_segment");
    run(["inspect", "never-created-segment"]).failed(1, &["no region has this name"]);
}

fn inspect_shows_intact_parts() {
    let name = &unique_name("inspect-left");
    let segment = Segment::create(name, 64 * 1024).unwrap();
    for object in ["first", "second", "third"] {
        segment.auto_reset_event(object).unwrap();
    }
    let second = segment.inspect().unwrap().objects[1].offset - 256;
    let view = segment.memory().view().unwrap();
    view.fill(0xee, usize::try_from(second).unwrap()..usize::try_from(second).unwrap() + 256).unwrap();
    let outcome = run(["inspect", name]);
    assert_eq!((outcome.status, &*outcome.err), (Some(3), ""), "{outcome:?}");
    let text = outcome.text();
    assert!(
        text.contains("first") && text.contains("third") && text.contains("participants: 1 of 64"),
        "{text}"
    );
    assert!(text.contains(&format!("byte {second}, entry 2 of the directory")), "{text}");
    let document = run(["inspect", name, "--json"]).json();
    assert_eq!(document["objects"][1]["name"], "third");
    assert_eq!(document["damage"][0]["entry"], 2);
    assert_eq!(document["damage"][0]["offset"], json!(second));
    assert_eq!(document["stage"], "ready");
    view.fill(0xee, 12..16).unwrap();
    assert!(run(["info", name]).succeeded().text().contains("segment  damaged: mmf inspect"));
    assert_eq!(run(["info", name, "--json"]).succeeded().json()["segment_stage"], "damaged");
}

fn inspect_watch_compares_samples() {
    let name = &unique_name("inspect-watched");
    let segment = Segment::create(name, 64 * 1024).unwrap();
    let mut writer = segment.latest::<f64>("speed").unwrap().acquire_writer().unwrap();
    let notify = segment.event_count("changed").unwrap();
    let arguments = ["inspect", name, "--watch", "--interval", "20ms", "--count", "0", "--json"];
    let mut watching = Peer::spawn("inspect", &mut command(arguments));
    let mut sample = move || serde_json::from_str::<Value>(&watching.hear()).unwrap();
    let first = sample();
    assert!(first["objects"][0]["per_second"].is_null() && first["changes"].is_null(), "{first}");
    assert_eq!(first["participants"][0]["id"], sample()["objects"][0]["state"]["writer"]);
    let mut published = 0;
    wait_until("the rates are there", || {
        writer.publish(&1.0).unwrap();
        notify.notify().unwrap();
        let objects = &sample()["objects"];
        published = objects[0]["state"]["published"].as_u64().unwrap();
        (0..2).all(|object| objects[object]["per_second"].as_f64().unwrap() > 0.0)
    });
    assert!(published > 0);
    wait_until("nothing is published", || sample()["objects"][0]["per_second"] == 0.0);
    let mut holder = Peer::start("hold", &[name]);
    holder.expect("holding");
    let mut id = Value::Null;
    wait_until("a participant joined", || {
        id = sample()["changes"]["joined"][0].clone();
        id.is_number()
    });
    holder.kill();
    wait_until("it died", || sample()["changes"]["died"][0] == id);
    // The next participant takes a free slot, and leaves it.
    let other = Segment::open(name).unwrap();
    wait_until("another joined", || sample()["changes"]["joined"][0].is_number());
    drop(other);
    wait_until("it left", || sample()["changes"]["left"][0].is_number());

    let text = run(["inspect", name, "--watch", "--count", "2", "--interval", "10ms"]).succeeded().text();
    assert_eq!(text.matches("participants: ").count(), 2, "{text}");
    assert!(text.contains("published, none since the last sample"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    run(["inspect", name, "--count", "2"]).failed(2, &["--watch"]);
}

fn inspect_watch_ends_on_ctrl_c() {
    if !cfg!(unix) {
        testkit::skip("only on Unix can a test send the signal of Ctrl-C to one process");
    }
    let name = &unique_name("inspect-until");
    let _segment = Segment::create(name, 64 * 1024).unwrap();
    let mut watching =
        Peer::spawn("inspect", &mut command(["inspect", name, "--watch", "--interval", "3600s"]));
    assert!(watching.hear().contains(&**name));
    crate::interrupt(&watching, "INT");
    assert_eq!(watching.wait().code(), Some(0));
}

/// Arbitrary bytes never crash the command, and the intact parts are shown.
fn inspect_survives_hostile_bytes() {
    let name = &unique_name("inspect-hostile");
    let segment = Segment::create(name, 16 * 1024).unwrap();
    let _mutex = segment.mutex::<u64>("state").unwrap();
    let view = segment.memory().view().unwrap();
    let mut whole = vec![0; 8192];
    view.read_exact_at(&mut whole, 0).unwrap();
    for at in [0, 8, 12, 24, 64, 68, 72, 80, 88, 256, 4352, 4360, 4376, 4400, 4608, 4616] {
        view.write_all_at(&[0xff; 8], at).unwrap();
        let outcome = run(["inspect", name]);
        // Any value is valid for the creation time and for the words of a lock.
        let noticed = !matches!(at, 4400 | 4608 | 4616);
        assert_eq!(outcome.status, Some(if noticed { 3 } else { 0 }), "at {at}: {outcome:?}");
        assert_eq!(outcome.text().contains("damage: "), noticed, "at {at}: {outcome:?}");
        assert!(!outcome.err.contains("panicked"), "at {at}: {outcome:?}");
        view.write_all_at(&whole, 0).unwrap();
    }
    run(["inspect", name]).succeeded();
}

fn inspect_escapes_hostile_names() {
    let name = &unique_name("inspect-escape");
    let segment = Segment::create(name, 64 * 1024).unwrap();
    let _event = segment.auto_reset_event("harmless-name").unwrap();
    let view = segment.memory().view().unwrap();
    let mut bytes = vec![0; 16 * 1024];
    view.read_exact_at(&mut bytes, 0).unwrap();
    let at = bytes.windows(13).position(|part| part == b"harmless-name").expect("the name is there");
    // A control sequence, a direction override, a line separator, a C1 control character.
    let hostile = "\x1b[2J\u{202e}\u{2028}\u{9b}J";
    assert_eq!(hostile.len(), 13);
    view.write_all_at(hostile.as_bytes(), at).unwrap();
    let active = |text: &str| {
        text.chars()
            .any(|c| (c.is_control() && c != '\n' && c != '\r') || ('\u{2028}'..='\u{202e}').contains(&c))
    };
    for arguments in [&["inspect", name][..], &["inspect", name, "--json"]] {
        let outcome = run(arguments);
        let text = String::from_utf8(outcome.out.clone()).unwrap();
        assert!(!active(&text) && !active(&outcome.err), "{outcome:?}");
    }
    // For programs it is unchanged.
    assert_eq!(run(["inspect", name, "--json"]).json()["objects"][0]["name"], hostile);
    let watched = run(["inspect", name, "--watch", "--count", "2", "--interval", "10ms", "--json"]);
    assert!(!active(&String::from_utf8(watched.out.clone()).unwrap()), "{watched:?}");
}

/// A peer fills the directory with entries: the number of listed ones is bounded, and the omission is
/// reported.
fn inspect_bounds_its_lists() {
    let name = &unique_name("inspect-many");
    let segment = Segment::create(name, 8 << 20).unwrap();
    segment.auto_reset_event("first").unwrap();
    let document = run(["inspect", name, "--json"]).succeeded().json();
    assert_eq!(document["truncated"], false);
    let view = segment.memory().view().unwrap();
    let first = usize::try_from(document["objects"][0]["offset"].as_u64().unwrap()).unwrap() - 256;
    let entry = view.read_vec(first, 256 + 64).unwrap();
    let entries = 20_000;
    view.write_all_at(&entry.repeat(entries), first).unwrap();
    view.write(&((first + entries * entry.len()) as u64), 80).unwrap();
    let text = run(["inspect", name]).succeeded().text();
    assert!(text.contains("objects: 16384, and more that are not shown"), "{}", &text[..1000]);
    let watched =
        run(["inspect", name, "--watch", "--count", "3", "--interval", "10ms", "--json"]).succeeded();
    let lines = String::from_utf8(watched.out).unwrap();
    let documents: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(documents.len(), 3);
    for document in documents {
        assert_eq!(
            (document["objects"].as_array().unwrap().len(), &document["truncated"]),
            (16384, &json!(true))
        );
    }
}

fn inspect_shows_types_without_bytes() {
    let name = &unique_name("inspect-empty-type");
    let segment = Segment::create(name, 64 * 1024).unwrap();
    segment.mutex::<[u8; 0]>("nothing").unwrap();
    segment.auto_reset_event("go").unwrap();
    let text = run(["inspect", name]).succeeded().text();
    assert!(text.contains("of [u8; 0] version"), "{text}");
    assert_eq!(text.matches("      of ").count(), 1, "{text}");
}
