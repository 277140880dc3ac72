//! The demonstration, from the outside.
#![allow(missing_docs, clippy::unwrap_used, unreachable_pub, reason = "a test")]

mod common;

use std::fs::{self, File};
use std::io::Write;
use std::process::ExitCode;

use common::{ask_to_end, command, finish, is_gone, listed, run};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use testkit::{Peer, wait_until};

/// Set for programs that the demo starts in place of itself.
const STAND_IN: &str = "MMF_TEST_STAND_IN";

fn main() -> ExitCode {
    // This program, started by the demo as its second process.
    if std::env::args().nth(1).as_deref() == Some("demo_peer") {
        let last_words = std::env::var(STAND_IN).unwrap_or_default();
        let _ = write!(std::io::stderr(), "{last_words}");
        return ExitCode::from(3);
    }
    testkit::run(
        &[
            ("shares_its_own_file", shares_its_own_file),
            ("shares_small_files", shares_small_files),
            ("shares_a_file_of_many_parts", shares_a_file_of_many_parts),
            ("looks_good", looks_good),
            ("refuses_what_is_no_file", refuses_what_is_no_file),
            ("refuses_what_does_not_fit", refuses_what_does_not_fit),
            ("tells_why_the_second_process_failed", tells_why_the_second_process_failed),
            ("the_second_process_alone_fails", the_second_process_alone_fails),
            ("is_interrupted_cleanly", is_interrupted_cleanly),
            ("a_killed_first_process_leaves_nothing", a_killed_first_process_leaves_nothing),
        ],
        &[],
    );
    ExitCode::SUCCESS
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn check(document: &Value, content: &[u8]) {
    assert_eq!(document["length"], json!(content.len()));
    assert_eq!(document["sha256"], json!(sha256(content)));
    assert_ne!(document["processes"]["parent"]["id"], document["processes"]["child"]["id"]);
    assert_eq!(document["memory"]["length"], document["memory"]["seen_length"]);
    assert_eq!(document["left_behind"], json!([]));
    let ways = ["memory", "pipe", "tcp"].into_iter().flat_map(|way| [(way, "first"), (way, "again")]);
    for (way, when) in ways {
        let way = &document["transfers"][way][when];
        assert!(
            way["seconds"].as_f64().unwrap() > 0.0 && way["gb_per_second"].as_f64().unwrap() > 0.0,
            "{document}"
        );
    }
    for memory in ["memory", "control"] {
        assert!(is_gone(document[memory]["name"].as_str().unwrap()));
    }
}

fn shares_its_own_file() {
    let document = run(["demo", "--json"]).succeeded().json();
    check(&document, &fs::read(env!("CARGO_BIN_EXE_mmf")).unwrap());
}

fn shares_small_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a file with spaces");
    for len in [1, 4096, 1_048_577] {
        let content: Vec<u8> = (0..len).map(|i: u32| i.to_le_bytes()[0] ^ i.to_le_bytes()[1]).collect();
        fs::write(&path, &content).unwrap();
        let outcome = finish(command(["demo", "--json"]).arg(&path), b"").succeeded();
        assert_eq!(outcome.err, "");
        check(&outcome.json(), &content);
    }
}

/// Longer than what goes through at a time; mostly a hole, so that it costs no disk.
fn shares_a_file_of_many_parts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large");
    let mut file = File::create(&path).unwrap();
    file.write_all(b"start").unwrap();
    file.set_len(129 << 20).unwrap();
    drop(file);
    let outcome = finish(command(["demo", "--json"]).arg(&path), b"").succeeded();
    check(&outcome.json(), &fs::read(&path).unwrap());
}

fn looks_good() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f");
    fs::write(&path, [7; 5000]).unwrap();
    let text = finish(command(["demo"]).arg(&path), b"").succeeded().text();
    let digest = sha256(&[7; 5000]);
    for words in [
        "process",
        r"Local\mmf-demo-",
        "read-only",
        &digest,
        "shared memory",
        "pipe",
        "TCP",
        "GB/s",
        "times as fast",
    ] {
        assert!(text.contains(words), "no {words:?} in:\n{text}");
    }
    for line in text.lines().filter(|line| !line.contains(path.to_str().unwrap())) {
        assert!(line.chars().count() <= 80, "too long: {line}");
        assert_eq!(line.trim_end(), line);
    }
}

fn refuses_what_is_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("empty");
    File::create(&path).unwrap();
    let path = path.to_str().unwrap();
    run(["demo", path]).failed(1, &["cannot share", path, "empty", "choose another file"]);
    assert_eq!(run(["demo", path, "--json"]).json_error()["kind"], "ZeroLength");
    run(["demo", "/no/such/file"]).failed(1, &["cannot open \"/no/such/file\"", "check the path"]);
    // (Windows does not even open a folder like a file.)
    run(["demo", folder.path().to_str().unwrap()]).failed(1, &["cannot "]);
}

fn refuses_what_does_not_fit() {
    if cfg!(windows) && testkit::under_wine() {
        testkit::skip("Wine has no limit on what is committed");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("huge");
    if let Err(error) = File::create(&path).unwrap().set_len(8 << 40) {
        testkit::skip(format!("this file system makes no file of 8 TiB: {error}"));
    }
    let outcome = finish(command(["demo"]).arg(&path), b"");
    outcome.failed(1, &["cannot create", "8 TiB", "choose a smaller file"]);
}

fn tells_why_the_second_process_failed() {
    let own = std::env::current_exe().unwrap();
    let demo = || {
        let mut demo = command(["demo", "--peer"]);
        demo.arg(&own);
        demo
    };
    let outcome = finish(demo().env(STAND_IN, "first line\nthe cause\n"), b"");
    outcome.failed(1, &["second process", "ended early", "3", "it said:\nfirst line\nthe cause\n"]);
    let outcome = finish(demo().env(STAND_IN, ""), b"");
    outcome.failed(1, &["it said nothing"]);
    let outcome = finish(demo().arg("--json").env(STAND_IN, "the cause"), b"");
    assert_eq!(outcome.status, Some(1));
    let error = outcome.json_error();
    assert_eq!(error["kind"], "PeerEnded");
    assert!(error["message"].as_str().unwrap().ends_with("the cause"), "{error}");
    run(["demo", "--peer", "/no/such/program"])
        .failed(1, &["cannot start the second process", "/no/such/program"]);
}

fn the_second_process_alone_fails() {
    run(["demo_peer", "mmf-test-nobody-made-this", "nor-this"]).failed(1, &["no shared memory of this name"]);
}

/// A demo with both processes at work, and how the names of its memories begin.
fn under_way(folder: &tempfile::TempDir) -> (Peer, String) {
    let path = folder.path().join("large");
    File::create(&path).unwrap().set_len(512 << 20).unwrap();
    let mut demo = Peer::spawn("demo", command(["demo"]).arg(&path));
    let prefix = format!(r"Local\mmf-demo-{}-", demo.id());
    while !demo.hear().starts_with("process 2") {}
    assert_eq!(listed(&prefix).len(), 2);
    (demo, prefix)
}

fn is_interrupted_cleanly() {
    let folder = tempfile::tempdir().unwrap();
    let (mut demo, prefix) = under_way(&folder);
    ask_to_end(&demo, "INT");
    // Sent to the first process alone, where Ctrl-C would reach both: the second one must not stay.
    assert_eq!(demo.wait().code(), Some(130));
    assert!(is_gone(&prefix));
}

fn a_killed_first_process_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (mut demo, prefix) = under_way(&folder);
    demo.kill();
    wait_until("the second process has noticed", || is_gone(&prefix));
}
