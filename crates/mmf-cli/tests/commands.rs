//! The commands, as programs and people run them.
#![allow(missing_docs, clippy::unwrap_used, unreachable_pub, reason = "a test")]

#[cfg(target_os = "linux")]
mod causes;
mod common;
mod doctor;
mod inspect;
mod json;
mod watch;

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use common::{command, finish, interrupt, is_gone, listed, run, run_with_input};
use serde_json::{Value, json};
use testkit::{Peer, Test, unique_name, wait_until};

fn main() {
    let tests: &[Test] = &[
        ("one_region_and_all_commands", one_region_and_all_commands),
        ("create_loads_a_file", create_loads_a_file),
        ("save_and_load", save_and_load),
        ("load_has_the_options_of_create", load_has_the_options_of_create),
        ("save_and_load_fail", save_and_load_fail),
        ("save_ends_on_ctrl_c", save_ends_on_ctrl_c),
        ("load_ends_on_ctrl_c", load_ends_on_ctrl_c),
        ("create_ends_after_its_duration", create_ends_after_its_duration),
        ("create_ends_cleanly_on_ctrl_c", || ends_cleanly_on("INT")),
        ("create_ends_cleanly_on_termination", || ends_cleanly_on("TERM")),
        ("create_prints_json", create_prints_json),
        ("create_fails", create_fails),
        ("dump_shows_parts", dump_shows_parts),
        ("dump_spans_pieces", dump_spans_pieces),
        ("dump_fails", dump_fails),
        ("dump_into_a_closed_pipe", dump_into_a_closed_pipe),
        ("write_takes_all_sources", write_takes_all_sources),
        ("write_writes_all_or_nothing", write_writes_all_or_nothing),
        ("missing_names_are_errors", missing_names_are_errors),
        ("invalid_names_are_errors", invalid_names_are_errors),
        ("usage_errors", usage_errors),
        ("help_and_version", help_and_version),
        ("ls_shows_access_and_sizes", ls_shows_access_and_sizes),
        ("run_hands_regions_to_a_command", run_hands_regions_to_a_command),
        ("run_returns_the_exit_status", run_returns_the_exit_status),
        ("run_fails", run_fails),
    ];
    let roles: &[testkit::Played] =
        &[("receive", role_receive), ("exit", role_exit), ("hold", inspect::role_hold)];
    testkit::run(&[tests, CAUSES, doctor::TESTS, inspect::TESTS, json::TESTS, watch::TESTS].concat(), roles);
}

#[cfg(target_os = "linux")]
const CAUSES: &[Test] = causes::TESTS;
#[cfg(not(target_os = "linux"))]
const CAUSES: &[Test] = &[];

/// Returns a text of another process as the program prints it.
fn shown(text: &str) -> String {
    text.replace('\x1b', "\\u{1b}").replace('\r', "\\r")
}

/// Creates a region in another process, which keeps it until it is dropped.
fn create(name: &str, more: &[&str]) -> Peer {
    let mut creator = Peer::spawn("create", &mut command(["create", name].iter().chain(more)));
    let line = creator.hear();
    let text = name.strip_prefix(r"Global\");
    let full = text.map_or(format!(r"Local\{name}: "), |_| format!("{name}: "));
    assert!(line.starts_with(&full), "{line}");
    creator
}

fn temporary_file(content: &[u8]) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("content");
    fs::write(&path, content).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

fn one_region_and_all_commands() {
    let name = &unique_name("all");
    let full = &format!(r"Local\{name}");
    let mut creator = create(name, &["64K"]);

    let info = run(["info", name]).succeeded().text();
    assert!(
        info.starts_with(&format!("{full}\n  length   65536 bytes (64 KiB)\n  read     yes\n  write    yes")),
        "{info}"
    );
    let info = run(["info", name, "--json"]).succeeded().json();
    assert_eq!((&info["name"], &info["length"]), (&json!(full), &json!(65_536)));
    assert_eq!((&info["may_read"], &info["may_write"]), (&json!(true), &json!(true)));

    let written = run(["write", name, "--offset", "16", "--text", "Hello, world"]).succeeded().text();
    assert_eq!(written, format!("{full}: 12 bytes written at offset 16\n"));
    let dump = run(["dump", full]).succeeded().text();
    assert_eq!(
        dump,
        "00000000  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|\n\
         00000010  48 65 6c 6c 6f 2c 20 77  6f 72 6c 64 00 00 00 00  |Hello, world....|\n\
         00000020  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|\n\
         *\n\
         00010000\n"
    );
    assert_eq!(listed(full), [(full.clone(), false)]);

    // No command is still a holder.
    creator.kill();
    wait_until("the region is gone or stale", || is_gone(full));
    run(["info", name]).failed(1, &["no region has this name"]);
    assert_eq!(listed(full), []);
}

fn create_loads_a_file() {
    let content: Vec<u8> = (0..3_000_000_u32).map(|i| i.to_le_bytes()[1]).collect();
    let (_folder, path) = temporary_file(&content);
    let name = &unique_name("from");
    {
        let _creator = create(name, &["--from", &path]);
        assert_eq!(run(["dump", name, "--raw", "--length", "3000000"]).succeeded().out, content);
    }
    let name = &unique_name("from-larger");
    let _creator = create(name, &["4M", "--from", &path]);
    let bytes = run(["dump", name, "--raw"]).succeeded().out;
    assert_eq!((bytes.len(), &bytes[..content.len()]), (4 << 20, &content[..]));
}

fn save_and_load() {
    let name = &unique_name("save");
    let _creator = create(name, &["2M"]);
    run(["write", name, "--offset", "1M", "--text", "kept"]).succeeded();
    let (folder, path) = temporary_file(b"old");
    let saved = run(["save", name, &path, "--force"]).succeeded().text();
    assert!(
        saved.starts_with(&format!("Local\\{name}: 2097152 bytes (2 MiB) saved to \"{path}\" in ")),
        "{saved}"
    );
    assert!(saved.contains("GB/s), ") && saved.ends_with(" MiB of them zeros\n"), "{saved}");
    let content = fs::read(&path).unwrap();
    assert_eq!((content.len(), &content[1 << 20..][..4]), (2 << 20, &b"kept"[..]));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);

    let another = &unique_name("load");
    let mut loader = Peer::spawn("load", &mut command(["load", another, &path]));
    let line = loader.hear();
    assert!(line.starts_with(&format!("Local\\{another}: 2097152 bytes (2 MiB), kept until")), "{line}");
    assert_eq!(run(["dump", another, "--raw"]).succeeded().out, content);
    loader.kill();

    // Restored into the existing region; bytes after the end of the file stay.
    fs::write(&path, b"restored").unwrap();
    let document = run(["load", name, &path, "--into", "--json"]).succeeded().json();
    assert_eq!(
        (&document["name"], &document["file"], &document["length"], &document["holes"]),
        (&json!(format!(r"Local\{name}")), &json!(path), &json!(8), &json!(0))
    );
    assert!(document["seconds"].is_number());
    let bytes = run(["dump", name, "--raw"]).succeeded().out;
    assert_eq!((&bytes[..9], &bytes[1 << 20..][..4]), (&b"restored\0"[..], &b"kept"[..]));
}

fn load_has_the_options_of_create() {
    let (_folder, path) = temporary_file(&[7; 5000]);
    let name = &unique_name("load-for");
    let outcome = run(["load", name, &path, "--for", "0.05", "--json"]).succeeded().json();
    assert_eq!(
        (&outcome["name"], &outcome["requested_length"]),
        (&json!(format!(r"Local\{name}")), &json!(5000))
    );
    let mut loader = Peer::spawn("load", &mut command(["load", name, &path, "--grant-read", "everyone"]));
    assert!(loader.hear().contains("kept until"));
    assert!(loader.hear().contains("may read"));
}

fn save_and_load_fail() {
    let name = &unique_name("fails");
    let _creator = create(name, &["4096"]);
    let (folder, path) = temporary_file(b"theirs");
    run(["save", name, &path]).failed(1, &["the file already exists", "replace it with --force"]);
    assert_eq!(run(["save", name, &path, "--json"]).json_error()["kind"], "already_exists");
    assert_eq!(fs::read(&path).unwrap(), b"theirs");
    let missing = folder.path().join("no").join("picture");
    let missing = missing.to_str().unwrap();
    run(["save", name, missing]).failed(1, &["cannot save", missing, "no such file or directory"]);
    run(["load", "x", missing]).failed(1, &["cannot load", missing, "no such file or directory"]);
    run(["load", name, missing, "--into"]).failed(1, &["cannot restore", missing]);
    run(["save", name, folder.path().to_str().unwrap(), "--force"]).failed(1, &["it is a directory"]);
    run(["load", name, &path]).failed(1, &["cannot create", name, "already"]);
    fs::write(&path, vec![1; 65_537]).unwrap();
    run(["load", name, &path, "--into"]).failed(1, &["65537 bytes", "4096", "nothing was changed"]);
    fs::write(&path, b"").unwrap();
    run(["load", &unique_name("empty"), &path]).failed(1, &["the file is empty"]);
    let missing = &unique_name("missing");
    run(["save", missing, &path, "--force"]).failed(1, &["cannot open", missing]);
    run(["load", missing, &path, "--into"]).failed(1, &["cannot open", missing]);
    run(["load", name, &path, "--into", "--for", "1"]).failed(2, &["--into"]);
    run(["save", name]).failed(2, &["FILE"]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// Interrupts a program that reads or writes a file, and returns whether it ended early. It may be
/// done before.
fn is_interrupted(mut peer: Peer) -> bool {
    wait_until("it has started, or has ended", || moved(peer.id()).is_none_or(|bytes| bytes > 8 << 20));
    interrupt(&peer, "INT");
    let ending = peer.wait();
    assert!(matches!(ending.code(), Some(0 | 130)), "{ending:?}");
    ending.code() == Some(130)
}

/// Returns how many bytes a process has read and written, as the kernel counts (Linux); `None` after its end.
fn moved(id: u32) -> Option<u64> {
    let counts = fs::read_to_string(format!("/proc/{id}/io")).ok()?;
    let count = |what| counts.lines().find_map(|line| line.strip_prefix(what)?.trim().parse::<u64>().ok());
    Some(count("rchar:")? + count("wchar:")?)
}

/// A length that takes a while to copy.
const LARGE: u64 = 1 << 30;

fn save_ends_on_ctrl_c() {
    if !cfg!(target_os = "linux") {
        skip_interruption();
    }
    let name = &unique_name("save-interrupted");
    let _creator = create(name, &[&LARGE.to_string()]);
    let region = mmf::SharedMemory::open(&**name).unwrap();
    let piece = vec![5; 1 << 20];
    for at in (0..LARGE).step_by(1 << 20) {
        region.view_at(at, 1 << 20).unwrap().write_all_at(&piece, 0).unwrap();
    }
    let (folder, path) = temporary_file(b"old");
    wait_until("it was interrupted", || {
        fs::write(&path, b"old").unwrap();
        let is_interrupted =
            is_interrupted(Peer::spawn("save", &mut command(["save", name, &path, "--force"])));
        assert_eq!(fs::metadata(&path).unwrap().len(), if is_interrupted { 3 } else { LARGE });
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        is_interrupted
    });
}

fn load_ends_on_ctrl_c() {
    if !cfg!(target_os = "linux") {
        skip_interruption();
    }
    let (_folder, path) = temporary_file(b"");
    {
        use std::io::Write;
        let mut file = fs::File::create(&path).unwrap();
        for _ in 0..LARGE >> 21 {
            file.write_all(&vec![5; 1 << 21]).unwrap();
        }
    }
    let name = &unique_name("load-interrupted");
    wait_until("it was interrupted", || {
        let is_interrupted = is_interrupted(Peer::spawn("load", &mut command(["load", name, &path])));
        assert!(is_gone(&format!(r"Local\{name}")));
        is_interrupted
    });
}

fn skip_interruption() -> ! {
    testkit::skip("only Linux reports the progress of another process")
}

fn create_ends_after_its_duration() {
    let name = &unique_name("for");
    let outcome = run(["create", name, "4096", "--for", "0.05"]).succeeded();
    assert_eq!(outcome.text(), format!("Local\\{name}: 4096 bytes (4 KiB), kept for 0.05 s\n"));
    assert!(is_gone(&format!(r"Local\{name}")));
}

fn ends_cleanly_on(signal: &str) {
    let name = &unique_name("signal");
    let mut creator = create(name, &["4096"]);
    interrupt(&creator, signal);
    assert_eq!(creator.wait().code(), Some(0));
    assert!(is_gone(&format!(r"Local\{name}")));
}

fn create_prints_json() {
    let name = &unique_name("json");
    let mut creator = Peer::spawn("create", &mut command(["--json", "create", name, "1000"]));
    let document: Value = serde_json::from_str(&creator.hear()).unwrap();
    assert_eq!(
        (&document["name"], &document["requested_length"]),
        (&json!(format!(r"Local\{name}")), &json!(1000))
    );
    // The system may round up to pages.
    let info = run(["info", name, "--json"]).succeeded().json();
    assert_eq!(document["length"], info["length"]);
}

fn create_fails() {
    let name = &unique_name("exists");
    let _creator = create(name, &["4096"]);
    run(["create", name, "4096"])
        .failed(1, &["cannot create", name, "already", "4096 bytes", "use the existing region"]);
    let error = run(["create", name, "4096", "--json"]).json_error();
    assert_eq!(error["kind"], "already_exists");
    assert!(error["message"].as_str().unwrap().contains(name), "{error}");

    let name = &unique_name("fails");
    run(["create", name, "0"]).failed(1, &["the length is zero"]);
    run(["create", name, "16777215T"]).failed(1, &["cannot create", "request fewer"]);
    let (folder, path) = temporary_file(b"");
    run(["create", name, "--from", &path]).failed(1, &["the file is empty", "give a length"]);
    fs::write(&path, [1; 5000]).unwrap();
    run(["create", name, "4096", "--from", &path]).failed(1, &["has 5000", "omit the length"]);
    let missing = folder.path().join("missing");
    let missing = missing.to_str().unwrap();
    let error = run(["create", name, "--from", missing, "--json"]).json_error();
    assert_eq!(error["kind"], "not_found");
    assert!(
        error["raw_os_error"].is_number() && error["message"].as_str().unwrap().contains("missing"),
        "{error}"
    );
    assert!(is_gone(&format!(r"Local\{name}")));
}

fn dump_shows_parts() {
    let name = &unique_name("parts");
    let _creator = create(name, &["4096"]);
    run(["write", name, "--text", "0123456789"]).succeeded();
    let dump = run(["dump", name, "--offset", "3", "--length", "0x4"]).succeeded().text();
    assert_eq!(
        dump,
        "00000003  33 34 35 36                                       |3456|\n\
         00000007\n"
    );
    let dump = run(["dump", name, "--offset", "8", "--length", "3", "--json"]).succeeded().json();
    assert_eq!(dump, json!({ "name": format!(r"Local\{name}"), "offset": 8, "length": 3, "hex": "383900" }));
    assert_eq!(run(["dump", name, "--offset", "8", "--length", "3", "--raw"]).succeeded().out, b"89\0");
    assert_eq!(run(["dump", name, "--offset", "4K"]).succeeded().text(), "00001000\n");
}

fn dump_spans_pieces() {
    let name = &unique_name("pieces");
    let _creator = create(name, &["5M"]);
    run(["write", name, "--offset", "1048574", "--text", "seam"]).succeeded();
    let dump = run(["dump", name]).succeeded().text();
    assert_eq!(
        dump,
        "00000000  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|\n\
         *\n\
         000ffff0  00 00 00 00 00 00 00 00  00 00 00 00 00 00 73 65  |..............se|\n\
         00100000  61 6d 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |am..............|\n\
         00100010  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|\n\
         *\n\
         00500000\n"
    );
    assert_eq!(run(["dump", name, "--raw", "--offset", "1048574", "--length", "4"]).succeeded().out, b"seam");
    let hex = run(["dump", name, "--json"]).succeeded().json()["hex"].as_str().unwrap().to_owned();
    assert_eq!(hex.len(), 10 << 20);
}

fn dump_fails() {
    let name = &unique_name("dump-fails");
    let _creator = create(name, &["4096"]);
    for arguments in [["--offset", "4097"], ["--length", "4097"], ["--offset", "16777215T"]] {
        run(["dump", name].iter().chain(&arguments)).failed(1, &["cannot dump", "4096 bytes"]);
    }
    let error = run(["dump", name, "--offset", "9999", "--json"]).json_error();
    assert_eq!((&error["kind"], &error["raw_os_error"]), (&json!("out_of_bounds"), &Value::Null));
    run(["dump", name, "--raw", "--json"]).failed(2, &[]);
    run(["dump", name, "--force"]).failed(2, &[]);
}

fn dump_into_a_closed_pipe() {
    let name = &unique_name("closed");
    let _creator = create(name, &["8M"]);
    let content: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    run_with_input(["write", name, "-"], &content).succeeded();
    let mut dump = command(["dump", name])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(dump.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("00000000  00 00 00 00 01"), "{line}");
    let ended = dump.wait_with_output().unwrap();
    assert!(ended.status.success() && ended.stderr.is_empty(), "{ended:?}");
}

fn write_takes_all_sources() {
    let name = &unique_name("sources");
    let _creator = create(name, &["3M"]);
    run(["write", name, "--text", "-text-"]).succeeded();
    run(["write", name, "--offset", "6", "--hex", "CA fe:00"]).succeeded();
    let (_folder, path) = temporary_file(b"file");
    run(["write", name, "--offset", "9", "--from", &path]).succeeded();
    run_with_input(["write", name, "--offset", "13", "-"], b"input").succeeded();
    let bytes = run(["dump", name, "--raw", "--length", "19"]).succeeded().out;
    assert_eq!(bytes, b"-text-\xca\xfe\0fileinput\0");

    let content: Vec<u8> = (0..786_432_u32).flat_map(u32::to_le_bytes).collect();
    let document = run_with_input(["write", name, "--json", "-"], &content).succeeded().json();
    assert_eq!(document, json!({ "name": format!(r"Local\{name}"), "offset": 0, "written": content.len() }));
    assert_eq!(run(["dump", name, "--raw"]).succeeded().out, content);
}

fn write_writes_all_or_nothing() {
    let name = &unique_name("nothing");
    let _creator = create(name, &["4096"]);
    let (_folder, path) = temporary_file(&[b'x'; 4097]);
    let nothing = "nothing was written";
    run(["write", name, "--from", &path]).failed(1, &["4097 bytes", "has 4096 bytes", nothing]);
    run(["write", name, "--offset", "4093", "--text", "four"])
        .failed(1, &["4 bytes at offset 4093", nothing]);
    run(["write", name, "--offset", "4097", "--text", ""]).failed(1, &["offset 4097", nothing]);
    run(["write", name, "--offset", "18446744073709551615", "--text", "x"]).failed(1, &[nothing]);
    run_with_input(["write", name, "--offset", "1", "-"], &[b'x'; 4096])
        .failed(1, &["standard input", nothing]);
    run(["write", name, "--hex", "abc"]).failed(1, &["odd number of digits"]);
    let error = run(["write", name, "--hex", "0g", "--json"]).json_error();
    assert_eq!(error["kind"], "invalid_hex");
    run(["write", name, "--from", "/no/such/file"]).failed(1, &["cannot open \"/no/such/file\""]);
    let bytes = run(["dump", name, "--raw"]).succeeded().out;
    assert!(bytes.iter().all(|byte| *byte == 0));
}

fn missing_names_are_errors() {
    let name = &unique_name("missing");
    let commands: [&[&str]; 3] = [&["info", name], &["dump", name], &["write", name, "--text", "x"]];
    for arguments in commands {
        run(arguments).failed(1, &["cannot open", name, "no region has this name", "start the program"]);
        let error = run(["--json"].iter().chain(arguments)).json_error();
        assert_eq!(error["kind"], "not_found");
        assert!(error["raw_os_error"].is_number(), "{error}");
    }
}

fn invalid_names_are_errors() {
    for command in ["info", "dump"] {
        run([command, r"global\x"]).failed(1, &[r"Global\x"]);
        // Windows has such names.
        run([command, "/x"])
            .failed(1, &[if cfg!(unix) { r"write Global\x" } else { "no region has this name" }]);
        run([command, ""]).failed(1, &["empty"]);
        run([command, &"x".repeat(231)]).failed(1, &["too long"]);
    }
    assert_eq!(run(["create", r"a\b", "1", "--json"]).json_error()["kind"], "invalid_name");
}

fn usage_errors() {
    run(["create", "x", "64KB"]).failed(2, &["64KB", "write K"]);
    run(["create", "x", "many"]).failed(2, &["many", "64K"]);
    run(["create", "x", "16777216T"]).failed(2, &["at most"]);
    run(["create", "x"]).failed(2, &["SIZE", "--from"]);
    run(["create", "x", "1", "--for", "-1"]).failed(2, &[]);
    run(["create", "x", "1", "--for", "soon"]).failed(2, &["seconds"]);
    run(["write", "x"]).failed(2, &["--text"]);
    run(["write", "x", "--text", "a", "--hex", "00"]).failed(2, &["--hex"]);
    run(["write", "x", "content"]).failed(2, &["content"]);
    run(["frobnicate"]).failed(2, &["frobnicate"]);
    let outcome = run(["create", "x", "--json"]).failed(2, &[]);
    assert_eq!(outcome.json_error()["kind"], "usage");
}

fn help_and_version() {
    let help = run(["--help"]).succeeded().text();
    for word in [
        "demo", "create", "info", "inspect", "doctor", "holders", "dump", "watch", "write", "save", "load",
        "ls", "run", "--json",
    ] {
        assert!(help.contains(word), "{help}");
    }
    assert!(!help.contains("demo_peer"), "{help}");
    assert_eq!(run(["--version"]).succeeded().text(), format!("mmf {}\n", env!("CARGO_PKG_VERSION")));
    let nothing: [&str; 0] = [];
    run(nothing).failed(2, &["Usage"]);
}

fn ls_shows_access_and_sizes() {
    let name = &unique_name("listed");
    let _creator = create(name, &["12K"]);
    let table = finish(&mut command(["ls"]), b"").succeeded().text();
    let row = table.lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("{table}"));
    let columns: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(columns, [&format!(r"Local\{name}"), "12288", "rw"]);
    assert!(table.starts_with("name "), "{table}");
}

/// Runs `mmf run` with a role of this test program as the command.
fn run_role(share: &[&str], role: &[&str]) -> common::Outcome {
    let mut command = command(["run"]);
    for share in share {
        command.args(["--share", share]);
    }
    let program = std::env::current_exe().unwrap();
    finish(command.arg("--").arg(program).arg("--play-role").args(role), b"")
}

/// Receives the regions handed to it, writes into them, and reports them.
fn role_receive(role: &mut testkit::Role) {
    for label in mmf::handoff::labels() {
        let region = mmf::handoff::receive(&label).unwrap();
        region.view().unwrap().write_all_at(b"x", 0).unwrap();
        role.say(format!("{label} {}", region.len()));
    }
    role.say(format!("with {}", role.argument(0)));
}

fn role_exit(role: &mut testkit::Role) {
    std::process::exit(role.argument(0).parse().unwrap());
}

fn run_hands_regions_to_a_command() {
    let outcome = run_role(&["frames=1M", "audio=64K"], &["receive", "--argument"]).succeeded();
    assert_eq!(outcome.text(), "audio 65536\nframes 1048576\nwith --argument\n");
    assert!(outcome.err.is_empty(), "{outcome:?}");
}

fn run_returns_the_exit_status() {
    for code in [0, 1, 42, 255] {
        let outcome = run_role(&["frames=4096"], &["exit", &code.to_string()]);
        assert_eq!(outcome.status, Some(code), "{outcome:?}");
    }
    if cfg!(windows) {
        assert_eq!(run_role(&["frames=4096"], &["exit", "70000"]).status, Some(70_000));
    } else {
        let killed = run(["run", "--share", "frames=4096", "--", "sh", "-c", "kill -9 $$"]);
        assert_eq!(killed.status, Some(137), "{killed:?}");
    }
}

fn run_fails() {
    run(["run", "--share", "a=1", "--", "/there/is/no/such/program"])
        .failed(127, &["no/such/program", "path"]);
    let outcome = run(["run", "--json", "--share", "a=1", "--", "/there/is/no/such/program"]);
    assert_eq!(outcome.json_error()["kind"], "io");
    run(["run", "--share", "a b=1", "--", "true"]).failed(1, &["a b", "letters"]);
    run(["run", "--share", "a=1", "--share", "A=1", "--", "true"]).failed(1, &["twice"]);
    run(["run", "--share", "a=0", "--", "true"]).failed(1, &["the length is zero"]);
    run(["run", "--share", "a", "--", "true"]).failed(2, &["frames=32M"]);
    run(["run", "--share", "a=1"]).failed(2, &["COMMAND"]);
    run(["run", "--", "true"]).failed(2, &["--share"]);
}
