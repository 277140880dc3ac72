//! `mmf demo`, from the outside.
#![allow(missing_docs, clippy::unwrap_used, unreachable_pub, reason = "a test")]

mod common;

use std::fs::{self, File};
use std::io::Write;
use std::process::ExitCode;

use common::{command, finish, interrupt, is_gone, listed, run};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use testkit::{Peer, wait_until};

/// Set for a program that the demo starts instead of itself.
const STAND_IN: &str = "MMF_TEST_STAND_IN";

fn main() -> ExitCode {
    // The demo has started this program as its second process.
    if std::env::args().nth(1).as_deref() == Some("demo_peer") {
        let message = std::env::var(STAND_IN).unwrap_or_default();
        let _ = write!(std::io::stderr(), "{message}");
        return ExitCode::from(3);
    }
    testkit::run(
        &[
            ("its_own_file_is_shared", its_own_file_is_shared),
            ("small_files_are_shared", small_files_are_shared),
            ("a_file_of_several_parts_is_shared", a_file_of_several_parts_is_shared),
            ("text_fits_80_columns", text_fits_80_columns),
            ("other_than_files_are_refused", other_than_files_are_refused),
            ("files_that_do_not_fit_are_refused", files_that_do_not_fit_are_refused),
            ("the_error_of_the_second_process_is_reported", the_error_of_the_second_process_is_reported),
            ("the_second_process_fails_without_regions", the_second_process_fails_without_regions),
            ("interruption_leaves_no_region", interruption_leaves_no_region),
            ("death_of_the_first_process_leaves_no_region", death_of_the_first_process_leaves_no_region),
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
    assert_eq!(document["region"]["length"], document["seen_length"]);
    assert_eq!(document["left_over"], json!([]));
    let ways = ["memory", "pipe", "tcp"].into_iter().flat_map(|way| [(way, "first"), (way, "again")]);
    for (way, when) in ways {
        let way = &document["transfers"][way][when];
        assert!(
            way["seconds"].as_f64().unwrap() > 0.0 && way["gb_per_second"].as_f64().unwrap() > 0.0,
            "{document}"
        );
    }
    for region in ["region", "control"] {
        assert!(is_gone(document[region]["name"].as_str().unwrap()));
    }
}

fn its_own_file_is_shared() {
    let document = run(["demo", "--json"]).succeeded().json();
    check(&document, &fs::read(env!("CARGO_BIN_EXE_mmf")).unwrap());
}

fn small_files_are_shared() {
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

/// The file is longer than a part; most of it is a hole, which takes no space on the disk.
fn a_file_of_several_parts_is_shared() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large");
    let mut file = File::create(&path).unwrap();
    file.write_all(b"start").unwrap();
    file.set_len(129 << 20).unwrap();
    drop(file);
    let outcome = finish(command(["demo", "--json"]).arg(&path), b"").succeeded();
    check(&outcome.json(), &fs::read(&path).unwrap());
}

fn text_fits_80_columns() {
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

fn other_than_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("empty");
    File::create(&path).unwrap();
    let path = path.to_str().unwrap();
    run(["demo", path]).failed(1, &["cannot share", path, "empty", "choose another file"]);
    assert_eq!(run(["demo", path, "--json"]).json_error()["kind"], "zero_length");
    run(["demo", "/no/such/file"]).failed(1, &["cannot open \"/no/such/file\"", "check the path"]);
    // (Windows does not open a directory like a file.)
    run(["demo", folder.path().to_str().unwrap()]).failed(1, &["cannot "]);
}

fn files_that_do_not_fit_are_refused() {
    if cfg!(windows) && testkit::under_wine() {
        testkit::skip("Wine does not limit committed memory");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("huge");
    if let Err(error) = File::create(&path).unwrap().set_len(8 << 40) {
        testkit::skip(format!("this file system does not support a file of 8 TiB: {error}"));
    }
    let outcome = finish(command(["demo"]).arg(&path), b"");
    outcome.failed(1, &["cannot create", "8 TiB", "choose a smaller file"]);
}

fn the_error_of_the_second_process_is_reported() {
    let own = std::env::current_exe().unwrap();
    let demo = || {
        let mut demo = command(["demo", "--peer"]);
        demo.arg(&own);
        demo
    };
    let outcome = finish(demo().env(STAND_IN, "first line\nthe cause\n"), b"");
    outcome.failed(1, &["second process", "ended early", "3", "it printed:\nfirst line\nthe cause\n"]);
    let outcome = finish(demo().env(STAND_IN, ""), b"");
    outcome.failed(1, &["it printed no error"]);
    let outcome = finish(demo().arg("--json").env(STAND_IN, "the cause"), b"");
    assert_eq!(outcome.status, Some(1));
    let error = outcome.json_error();
    assert_eq!(error["kind"], "peer_ended");
    assert!(error["message"].as_str().unwrap().ends_with("the cause"), "{error}");
    run(["demo", "--peer", "/no/such/program"])
        .failed(1, &["cannot start the second process", "/no/such/program"]);
}

fn the_second_process_fails_without_regions() {
    run(["demo_peer", "mmf-test-never-created", "nor-this"]).failed(1, &["no region has this name"]);
}

/// Starts a demo, waits until both processes work, and returns the prefix of the names of its regions.
fn under_way(folder: &tempfile::TempDir) -> (Peer, String) {
    let path = folder.path().join("large");
    File::create(&path).unwrap().set_len(512 << 20).unwrap();
    let mut demo = Peer::spawn("demo", command(["demo"]).arg(&path));
    let prefix = format!(r"Local\mmf-demo-{}-", demo.id());
    while !demo.hear().starts_with("process 2") {}
    assert_eq!(listed(&prefix).len(), 2);
    (demo, prefix)
}

fn interruption_leaves_no_region() {
    let folder = tempfile::tempdir().unwrap();
    let (mut demo, prefix) = under_way(&folder);
    interrupt(&demo, "INT");
    // Sent to the first process only, unlike Ctrl-C, which reaches both: the second one must end, too.
    assert_eq!(demo.wait().code(), Some(130));
    assert!(is_gone(&prefix));
}

fn death_of_the_first_process_leaves_no_region() {
    let folder = tempfile::tempdir().unwrap();
    let (mut demo, prefix) = under_way(&folder);
    demo.kill();
    wait_until("the second process detects it", || is_gone(&prefix));
}
