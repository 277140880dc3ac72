//! Errors of system calls that a test machine cannot be brought to fail: `strace` injects them.

use std::process::Command;

use testkit::{Test, skip, unique_name};

use crate::common::{Outcome, finish, is_gone};
use crate::create;

pub const TESTS: &[Test] = &[
    ("a_sandbox_is_recognised", a_sandbox_is_recognised),
    ("limits_on_open_files_are_named", limits_on_open_files_are_named),
    ("an_unexplained_mapping_error_is_called_so", an_unexplained_mapping_error_is_called_so),
    ("an_unexplained_lack_of_space_is_called_so", an_unexplained_lack_of_space_is_called_so),
    ("unavailable_locks_are_reported", unavailable_locks_are_reported),
    ("unnamed_regions_have_causes", unnamed_regions_have_causes),
    ("success_reads_no_facts", success_reads_no_facts),
];

/// Returns the program under `strace` with these options; skips the test where `strace` does not work.
fn traced(options: &[&str], arguments: &[&str]) -> Command {
    let works = Command::new("strace").args(["-f", "-qq", "-o", "/dev/null", "true"]).output();
    match works {
        Ok(output) if output.status.success() => {}
        Ok(output) => skip(format!("strace does not work here: {}", String::from_utf8_lossy(&output.stderr))),
        Err(error) => skip(format!("strace is not available: {error}")),
    }
    let mut command = Command::new("strace");
    command.args(["-f", "-qq"]).args(options).arg(env!("CARGO_BIN_EXE_mmf")).args(arguments);
    for variable in ["SNAP_NAME", "SNAP_INSTANCE_NAME", "COLUMNS"] {
        command.env_remove(variable);
    }
    command
}

/// The calls that open a file; which of them exist depends on the processor.
const OPENING: &str = "?open,openat";

/// Runs the program with an error injected into a call on this object.
#[track_caller]
fn refused(object: &str, call: &str, code: &str, arguments: &[&str]) -> Outcome {
    let path = format!("/dev/shm/{object}");
    let (trace, inject) = (format!("trace={call}"), format!("inject={call}:error={code}"));
    let options = ["-o", "/dev/null", "-P", &path, "-e", &trace, "-e", &inject];
    let outcome = finish(&mut traced(&options, arguments), b"");
    assert_eq!(outcome.status, Some(1), "{outcome:?}");
    // No remedy for another system, and none that makes no sense.
    for words in ["Windows", "page file", "at most 0 bytes"] {
        assert!(!outcome.err.contains(words), "{outcome:?}");
    }
    outcome
}

/// Returns the kind of the error and its first cause.
fn kind_and_cause(outcome: &Outcome) -> (String, String) {
    let error = outcome.json_error();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or("none").to_owned();
    (text(&error["kind"]), text(&error["findings"][0]["cause"]["id"]))
}

#[track_caller]
fn expect(outcome: &Outcome, kind: &str, cause: &str) {
    assert_eq!(kind_and_cause(outcome), (kind.to_owned(), cause.to_owned()), "{outcome:?}");
}

fn a_sandbox_is_recognised() {
    let object = &unique_name("sandbox");
    let name = &format!(r"Global\{object}");
    let _creator = create(name, &["4096"]);
    for arguments in [&["info", name][..], &["dump", name], &["write", name, "--text", "x"]] {
        let outcome = refused(object, OPENING, "EACCES", arguments);
        assert!(
            outcome.err.contains("the access rights allow it, so something else denies it"),
            "{outcome:?}"
        );
        assert!(outcome.err.contains("AppArmor") && outcome.err.contains("sandbox"), "{outcome:?}");
        assert!(!outcome.err.contains("grant"), "{outcome:?}");
        let json = refused(object, OPENING, "EPERM", &[arguments, &["--json"]].concat());
        expect(&json, "permission_denied", "refused_by_policy");
    }
    // For a new region there is no creator that could grant access.
    let free = &unique_name("sandbox");
    let create = ["create", &format!(r"Global\{free}"), "4096", "--for", "0.01", "--json"];
    let outcome = refused(free, OPENING, "EACCES", &create);
    expect(&outcome, "permission_denied", "refused_by_policy");
    let path = format!("/dev/shm/{free}");
    let options = [
        "-o",
        "/dev/null",
        "-P",
        &path,
        "-e",
        "trace=?open,openat",
        "-e",
        "inject=?open,openat:error=EACCES",
    ];
    let outcome = finish(traced(&options, &create[..5]).env("SNAP_NAME", "viewer"), b"");
    let words = format!(r"use a name like Global\snap.viewer.{free}");
    assert!(outcome.err.contains(&words), "{outcome:?}");
}

fn limits_on_open_files_are_named() {
    let object = &unique_name("files");
    let name = &format!(r"Global\{object}");
    let free = &unique_name("files");
    let _creator = create(name, &["4096"]);
    for (code, limit) in
        [("ENFILE", "fs.file-max allows"), ("EMFILE", "RLIMIT_NOFILE of this process allows")]
    {
        for (object, arguments) in
            [(object, &["info", name][..]), (free, &["create", &format!(r"Global\{free}"), "4096"])]
        {
            let outcome = refused(object, OPENING, code, arguments);
            assert!(outcome.err.contains(limit) && outcome.err.contains("do: raise "), "{outcome:?}");
            let json = refused(object, OPENING, code, &[arguments, &["--json"]].concat());
            expect(&json, "limit_reached", "limit");
        }
    }
}

fn an_unexplained_mapping_error_is_called_so() {
    let object = &unique_name("unexplained");
    let name = &format!(r"Global\{object}");
    let _creator = create(name, &["4096"]);
    let outcome = refused(object, "mmap", "ENOMEM", &["dump", name]);
    assert!(outcome.err.contains("the cause is not known"), "{outcome:?}");
    assert!(!outcome.err.contains("address space") && !outcome.err.contains("view_at"), "{outcome:?}");
    expect(
        &refused(object, "mmap", "ENOMEM", &["write", name, "--text", "x", "--json"]),
        "out_of_memory",
        "unexplained",
    );
}

fn an_unexplained_lack_of_space_is_called_so() {
    for code in ["ENOSPC", "EDQUOT", "ENOMEM"] {
        let object = &unique_name("room");
        let name = &format!(r"Global\{object}");
        let outcome =
            refused(object, "ftruncate", code, &["create", name, "4096", "--for", "0.01", "--json"]);
        expect(&outcome, "out_of_memory", "unexplained");
        assert!(outcome.err.contains("quota"), "{outcome:?}");
        assert!(is_gone(name), "a region that was not created is left over");
    }
}

fn unavailable_locks_are_reported() {
    for code in ["ENOLCK", "ENOSYS"] {
        let object = &unique_name("locks");
        let name = &format!(r"Global\{object}");
        let outcome = refused(object, "flock", code, &["create", name, "4096", "--for", "0.01", "--json"]);
        let error = outcome.json_error();
        assert_ne!(error["kind"], "busy", "{outcome:?}");
        assert!(outcome.err.contains("locks"), "{outcome:?}");
        assert!(!std::path::Path::new(&format!("/dev/shm/{object}")).exists(), "it is left over");
    }
    let object = &unique_name("locks");
    let name = &format!(r"Global\{object}");
    let _creator = create(name, &["4096"]);
    let outcome = refused(object, "flock", "ENOLCK", &["write", name, "--text", "x", "--json"]);
    assert_ne!(outcome.json_error()["kind"], "busy", "{outcome:?}");
}

fn unnamed_regions_have_causes() {
    for (code, words) in [("EPERM", "so something else denies it"), ("ENOMEM", "the cause is not known")] {
        let inject = format!("inject=memfd_create:error={code}");
        let options = ["-o", "/dev/null", "-e", "trace=memfd_create", "-e", &inject];
        let outcome = finish(&mut traced(&options, &["run", "--share", "x=4K", "--", "true"]), b"");
        assert!(outcome.err.contains(words) && !outcome.err.contains("run as the user"), "{outcome:?}");
    }
}

fn success_reads_no_facts() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let name = &format!(r"Global\{}", unique_name("facts"));
    let options = ["-o", log.to_str().unwrap(), "-e", "trace=?open,openat,statfs,?readlink,readlinkat"];
    let _creator = create(name, &["4096"]);
    let other = &unique_name("facts");
    for arguments in [
        &["create", other, "4096", "--for", "0.01"][..],
        &["write", name, "--text", "x"],
        &["dump", name, "--length", "1"],
    ] {
        finish(&mut traced(&options, arguments), b"").succeeded();
        let calls = std::fs::read_to_string(&log).unwrap();
        assert!(calls.contains("/dev/shm/"), "{calls}");
        for fact in [
            "/proc/locks",
            "/proc/self/cgroup",
            "/proc/self/status",
            "/proc/self/attr",
            "/proc/meminfo",
            "/proc/sys/vm/max_map_count",
            "/proc/sys/fs/file-nr",
            "/fd\"",
            "statfs(\"/dev/shm\"",
        ] {
            assert!(!calls.contains(fact), "{arguments:?} reads {fact}: {calls}");
        }
    }
}
