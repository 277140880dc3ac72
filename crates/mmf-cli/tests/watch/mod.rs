//! `mmf watch`, printed and in a terminal.

#[cfg(target_os = "linux")]
mod screen;

use serde_json::{Value, json};
#[cfg(not(target_os = "linux"))]
use testkit::skip;
use testkit::{Peer, Test, unique_name, wait_until};

use crate::common::{command, interrupt, is_gone, run};
use crate::create;

pub const TESTS: &[Test] = &[
    ("watch_prints_one_sample", one_sample),
    ("watch_prints_changes", changes),
    ("watch_prints_documents", documents),
    ("watch_prints_until_interrupted", until_ended),
    ("watch_into_a_closed_pipe", closed_pipe),
    ("watch_waits_for_the_name", waits),
    ("watch_fails", fails),
    ("watch_reads_regions_of_other_programs", foreign),
    ("watch_outlives_the_creator", outlives),
    ("watch_detects_truncation", cut),
    ("watch_maps_only_the_window", huge),
    #[cfg(target_os = "linux")]
    ("watch_reports_the_target_of_the_name", name_target),
    #[cfg(target_os = "linux")]
    ("watch_in_a_terminal", screen::tour),
    #[cfg(target_os = "linux")]
    ("inspect_in_a_terminal", screen::segments),
    #[cfg(target_os = "linux")]
    ("watch_draws_only_what_changes", screen::little_is_drawn),
    #[cfg(target_os = "linux")]
    ("watch_fits_any_terminal", screen::any_size),
    #[cfg(target_os = "linux")]
    ("watch_restores_the_terminal", screen::restored),
    #[cfg(target_os = "linux")]
    ("watch_has_marks_without_colours", screen::no_colours),
    #[cfg(target_os = "linux")]
    ("watch_reports_the_fate_of_a_region", screen::fates),
    #[cfg(target_os = "linux")]
    ("watch_reports_that_no_writer_is_left", screen::without_writers),
    #[cfg(not(target_os = "linux"))]
    ("watch_in_a_terminal", || skip("only on Linux can a test read a terminal")),
];

fn one_sample() {
    let name = &unique_name("watched");
    let _creator = create(name, &["4096"]);
    run(["write", name, "--text", "Hello"]).succeeded();
    run(["write", name, "--offset", "16", "--hex", "00 01 00 00 ff ff ff ff"]).succeeded();
    let heading = format!("Local\\{name}  4096 bytes (4 KiB)");
    let text = run(["watch", name, "--once", "--length", "30", "--type", "i32"]).succeeded().text();
    assert_eq!(
        text,
        format!(
            "{heading}  i32 little-endian\n\
             00000000  48 65 6c 6c 6f 00 00 00  00 00 00 00 00 00 00 00  |Hello...........|   \
             1819043144         111           0           0\n\
             00000010  00 01 00 00 ff ff ff ff  00 00 00 00 00 00        |..............|            \
             256          -1           0\n"
        )
    );
    // Without a terminal, `--once` is the default.
    let text = run(["watch", name, "--type", "none", "--width", "8", "--length", "8"]).succeeded().text();
    assert_eq!(text, format!("{heading}\n00000000  48 65 6c 6c 6f 00 00 00  |Hello...|\n"));
    let text = run(["watch", name, "--offset", "4090", "--type", "u8"]).succeeded().text();
    let rows: Vec<Vec<&str>> = text.lines().map(|row| row.split_whitespace().collect()).collect();
    let zeros = ["0"; 6];
    let row = [&["00000ffa"][..], &["00"; 6], &["|......|"], &zeros].concat();
    assert_eq!(rows[1..], [row], "{text}");
    assert_eq!(run(["watch", name]).succeeded().text().lines().count(), 17);
}

fn watch(name: &str, arguments: &[&str]) -> Peer {
    Peer::spawn("watch", &mut command(["watch", name, "--interval", "10ms"].iter().chain(arguments)))
}

fn changes() {
    let name = &unique_name("changes");
    let _creator = create(name, &["4096"]);
    let mut watch = watch(name, &["--count", "100000", "--length", "8", "--type", "u64", "--width", "8"]);
    assert!(watch.hear().contains(" 4096 bytes"));
    assert_eq!(watch.hear(), "00000000  00 00 00 00 00 00 00 00  |........|                     0");
    assert_eq!(watch.hear(), "");
    run(["write", name, "--offset", "2", "--hex", "41"]).succeeded();
    let changed = "00000000  00 00 41*00 00 00 00 00  |..A.....|               4259840";
    wait_until("the change is marked", || watch.hear() == changed);
    // In the next sample nothing has changed.
    assert_eq!((watch.hear(), watch.hear().contains("4096")), (String::new(), true));
    assert_eq!(watch.hear(), changed.replace('*', " "));
}

fn documents() {
    let name = &unique_name("documents");
    let full = format!(r"Local\{name}");
    let _creator = create(name, &["4096"]);
    run(["write", name, "--offset", "8", "--hex", "01020304"]).succeeded();
    let mut one = run(["watch", name, "--json", "--offset", "8", "--length", "4"]).succeeded().json();
    assert!(one["elapsed_ms"].is_u64(), "{one}");
    one["elapsed_ms"] = Value::Null;
    assert_eq!(
        one,
        json!({
            "name": full, "length": 4096, "offset": 8, "elapsed_ms": null,
            "bytes": [{ "offset": 8, "hex": "01020304" }], "cut_off": [], "changed": [],
            "unreadable": [], "findings": [], "type": null, "values": null,
            "name_target": if cfg!(target_vendor = "apple") { "unknown" } else { "this_region" },
            "writers": if cfg!(target_os = "linux") { "some" } else { "unknown" },
        })
    );
    let lines = run(["watch", name, "--json", "--count", "3", "--interval", "10ms", "--type", "u16"]);
    let lines = lines.succeeded().text();
    let documents: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(documents.len(), 3);
    for document in documents {
        let values = document["values"].as_array().unwrap();
        assert_eq!((values.len(), &values[4], &values[5]), (128, &json!(0x201), &json!(0x403)));
        assert_eq!((&document["type"], &document["changed"]), (&json!("u16"), &json!([])));
    }
}

fn until_ended() {
    let name = &unique_name("endless");
    let _creator = create(name, &["4096"]);
    let mut watch = watch(name, &["--count", "0", "--json", "--length", "16"]);
    watch.hear();
    run(["write", name, "--offset", "3", "--text", "ab"]).succeeded();
    let mut changed = Vec::new();
    wait_until("the change is reported", || {
        let document: Value = serde_json::from_str(&watch.hear()).unwrap();
        changed = document["changed"].as_array().unwrap().clone();
        !changed.is_empty()
    });
    assert_eq!(changed[0]["offset"], 3);
    if cfg!(unix) {
        interrupt(&watch, "INT");
        assert_eq!(watch.wait().code(), Some(0));
    }
}

fn closed_pipe() {
    let name = &unique_name("closed");
    let _creator = create(name, &["4096"]);
    let mut watch = command(["watch", name, "--count", "0", "--interval", "10ms"])
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(watch.stdout.take());
    let ended = watch.wait_with_output().unwrap();
    assert!(ended.status.success() && ended.stderr.is_empty(), "{ended:?}");
}

fn waits() {
    let name = &unique_name("waited");
    let mut watch = watch(name, &["--wait", "--count", "2", "--json"]);
    let _creator = create(name, &["4096"]);
    for _ in 0..2 {
        let document: Value = serde_json::from_str(&watch.hear()).unwrap();
        assert_eq!(document["length"], 4096);
    }
    assert_eq!(watch.wait().code(), Some(0));

    let name = &unique_name("never");
    run(["watch", name, "--wait=0.05"]).failed(1, &[]);
    let error = run(["watch", name, "--json", "--wait=0.05"]).json_error();
    assert_eq!(error["kind"], "not_found");
}

fn fails() {
    let name = &unique_name("missing");
    run(["watch", name]).failed(1, &["cannot open", name, "no region has this name", "start the program"]);
    assert_eq!(run(["watch", name, "--json"]).json_error()["kind"], "not_found");
    // Windows has such names.
    run(["watch", "/x"]).failed(1, &[if cfg!(unix) { r"Global\x" } else { "no region has this name" }]);
    let _creator = create(name, &["4096"]);
    run(["watch", name, "--offset", "4096"]).failed(1, &["cannot watch offset 4096", "4096 bytes"]);
    let error = run(["watch", name, "--offset", "16777215T", "--json"]).json_error();
    assert_eq!(error["kind"], "out_of_bounds");
    run(["watch", name, "--interval", "1ms"]).failed(2, &["10ms"]);
    run(["watch", name, "--interval", "soon"]).failed(2, &["100ms"]);
    run(["watch", name, "--length", "65K"]).failed(2, &["at most 64K"]);
    run(["watch", name, "--length", "0"]).failed(2, &["at least one byte"]);
    run(["watch", name, "--width", "7"]).failed(2, &["16"]);
    run(["watch", name, "--type", "u128"]).failed(2, &["u64"]);
    run(["watch", name, "--once", "--count", "2"]).failed(2, &["--count"]);
}

/// A region of another program, created with plain system calls.
#[cfg(target_os = "linux")]
struct Foreign {
    path: std::path::PathBuf,
    name: String,
}

#[cfg(target_os = "linux")]
impl Foreign {
    fn new(len: u64) -> Self {
        let text = unique_name("foreign");
        let foreign =
            Foreign { path: std::path::Path::new("/dev/shm").join(&text), name: format!(r"Global\{text}") };
        let file = std::fs::File::create_new(&foreign.path).unwrap();
        file.set_len(len).unwrap();
        foreign
    }

    fn write(&self, bytes: &[u8], offset: u64) {
        use std::os::unix::fs::FileExt;
        self.file().write_all_at(bytes, offset).unwrap();
    }

    fn file(&self) -> std::fs::File {
        std::fs::File::options().write(true).open(&self.path).unwrap()
    }
}

#[cfg(target_os = "linux")]
impl Drop for Foreign {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(target_os = "linux")]
fn foreign() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let region = Foreign::new(5000);
    region.write(b"foreign", 4990);
    // Only reading is permitted, which suffices; and the region stays unchanged.
    std::fs::set_permissions(&region.path, std::fs::Permissions::from_mode(0o400)).unwrap();
    let look = || {
        let data = std::fs::metadata(&region.path).unwrap();
        (data.mode(), data.mtime_nsec(), data.ctime_nsec(), data.len(), data.nlink())
    };
    let before = look();
    let text = run(["watch", &region.name, "--offset", "4984", "--type", "none"]).succeeded().text();
    // No process holds it.
    let (notes, text): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.starts_with("note: "));
    assert!(matches!(notes[..], [note] if note.contains("no process that may write")), "{notes:?}");
    let text = text.join("\n") + "\n";
    assert_eq!(
        text,
        format!(
            "{}  5000 bytes (4.88 KiB)\n\
             00001378  00 00 00 00 00 00 66 6f  72 65 69 67 6e 00 00 00  |......foreign...|\n",
            region.name
        )
    );
    assert_eq!(look(), before);
}

#[cfg(windows)]
fn foreign() {
    let Some(program) = std::env::var_os("MMF_TEST_C_PEER") else {
        skip("MMF_TEST_C_PEER names no build of tests/peers/win32_peer.c; ci/test-windows.sh makes one");
    };
    let name = &unique_name("foreign");
    let mut peer = Peer::spawn("win32_peer", &mut std::process::Command::new(program));
    peer.say(&format!(r"create Local\{name} 8192"));
    assert_eq!(peer.hear(), "created");
    let text = run(["watch", name, "--length", "16", "--type", "none"]).succeeded().text();
    assert_eq!(
        text,
        format!(
            "Local\\{name}  8192 bytes (8 KiB)\n\
             00000000  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|\n"
        )
    );
}

#[cfg(not(any(target_os = "linux", windows)))]
fn foreign() {
    skip("regions of other programs are not files here");
}

fn outlives() {
    let name = &unique_name("outlived");
    let mut creator = create(name, &["4096"]);
    run(["write", name, "--text", "still"]).succeeded();
    let mut watch = watch(name, &["--count", "0", "--json", "--length", "5"]);
    watch.hear();
    creator.kill();
    for _ in 0..20 {
        let document: Value = serde_json::from_str(&watch.hear()).unwrap();
        assert_eq!(document["bytes"], json!([{ "offset": 0, "hex": "7374696c6c" }]));
    }
    if cfg!(target_os = "linux") {
        // Which of the two depends on whether this user may examine every process.
        let is_reported =
            |document: &Value| ["none", "none_seen"].contains(&document["writers"].as_str().unwrap_or(""));
        wait_until("it reports that no process may write", || {
            let document: Value = serde_json::from_str(&watch.hear()).unwrap();
            assert_eq!(document["name_target"], "this_region");
            is_reported(&document)
        });
        for command in ["info", "doctor", "holders"] {
            let text = run([command, name]).succeeded().text();
            let watching = format!("process {} (mmf): may read\n", watch.id());
            assert!(text.contains(&watching) && text.contains("no process that may write"), "{text}");
        }
        let holders = run(["holders", name, "--json"]).succeeded().json();
        let watching = json!([{ "process_id": watch.id(), "program": "mmf", "may_write": false }]);
        assert_eq!(holders["holders"]["processes"], watching);
        let text = run(["watch", name, "--once"]).succeeded().text();
        assert!(text.contains("\nnote: no process that may write"), "{text}");
    }
    watch.kill();
    wait_until("nothing is left over", || is_gone(&format!(r"Local\{name}")));
}

/// The name is removed and then given to another region, and the samples report it.
#[cfg(target_os = "linux")]
fn name_target() {
    let region = Foreign::new(100);
    let mut watch = watch(&region.name, &["--count", "0", "--json"]);
    let mut hear = |target: &str| {
        wait_until("the target of the name is reported", || {
            let document: Value = serde_json::from_str(&watch.hear()).unwrap();
            document["name_target"] == target
        });
    };
    hear("this_region");
    std::fs::remove_file(&region.path).unwrap();
    hear("nothing");
    std::fs::write(&region.path, [0; 100]).unwrap();
    hear("another_region");
}

#[cfg(target_os = "linux")]
fn cut() {
    let region = Foreign::new(20_000);
    region.write(&[7; 20_000], 0);
    let mut watch = watch(&region.name, &["--count", "0", "--json", "--offset", "4090", "--length", "16"]);
    let mut hear = |len: u64| {
        let mut document = Value::Null;
        wait_until("its length is reported", || {
            document = serde_json::from_str(&watch.hear()).unwrap();
            document["length"] == len
        });
        (document["bytes"].clone(), document["cut_off"].clone())
    };
    let whole = json!([{ "offset": 4090, "hex": "07".repeat(16) }]);
    assert_eq!(hear(20_000), (whole, json!([])));
    region.file().set_len(4092).unwrap();
    assert_eq!(
        hear(4092),
        (json!([{ "offset": 4090, "hex": "0707" }]), json!([{ "offset": 4092, "length": 14 }]))
    );
    region.file().set_len(0).unwrap();
    assert_eq!(hear(0), (json!([]), json!([{ "offset": 4090, "length": 16 }])));
    // Growth is followed, too.
    region.file().set_len(30_000).unwrap();
    assert_eq!(hear(30_000), (json!([{ "offset": 4090, "hex": "00".repeat(16) }]), json!([])));
}

#[cfg(not(target_os = "linux"))]
fn cut() {
    skip("only on Linux can a peer truncate a region");
}

/// A region that exceeds the address space of a 32-bit process, and on Linux also the RAM of the machine.
fn huge() {
    let len: u64 = if cfg!(target_os = "linux") { 100 << 30 } else { 3 << 30 };
    #[cfg(target_os = "linux")]
    let (name, _region) = {
        let region = Foreign::new(len);
        region.write(&1234_u32.to_le_bytes(), len - 4);
        (region.name.clone(), region)
    };
    #[cfg(not(target_os = "linux"))]
    let (name, _region) = {
        let name = unique_name("huge");
        let Ok(region) = mmf::SharedMemory::create(name.as_str(), len) else {
            skip("the machine does not have enough memory")
        };
        region.view_at(len - 4, 4).unwrap().write_all_at(&1234_u32.to_le_bytes(), 0).unwrap();
        (name, region)
    };
    let offset = (len - 8).to_string();
    let document = run(["watch", &name, "--json", "--offset", &offset, "--type", "u32"]).succeeded().json();
    assert_eq!((&document["length"], &document["values"]), (&json!(len), &json!([0, 1234])));
}
