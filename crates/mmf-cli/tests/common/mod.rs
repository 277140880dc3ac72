//! Runs the program.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::{Peer, WATCHDOG};

/// Returns the program with these arguments.
pub fn command<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mmf"));
    command.args(arguments);
    // So that the environment of the tests does not matter.
    for variable in ["CLICOLOR_FORCE", "CLICOLOR", "NO_COLOR", "COLUMNS"] {
        command.env_remove(variable);
    }
    command
}

/// The result of a run of the program.
#[derive(Debug)]
pub struct Outcome {
    pub status: Option<i32>,
    pub out: Vec<u8>,
    pub err: String,
}

impl Outcome {
    pub fn text(&self) -> String {
        String::from_utf8(self.out.clone()).expect("text").replace("\r\n", "\n")
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Returns the error of a run with `--json`, and checks that nothing else was printed.
    #[track_caller]
    pub fn json_error(&self) -> Value {
        assert!(self.out.is_empty(), "{self:?}");
        let document: Value =
            serde_json::from_str(&self.err).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        document["error"].clone()
    }

    #[track_caller]
    pub fn succeeded(self) -> Self {
        assert_eq!(self.status, Some(0), "{self:?}");
        self
    }

    /// Requires the run to have failed with this status and a message that contains these words.
    #[track_caller]
    pub fn failed(self, status: i32, words: &[&str]) -> Self {
        assert_eq!(self.status, Some(status), "{self:?}");
        for word in words {
            assert!(self.err.contains(word), "no {word:?} in {:?}", self.err);
        }
        if status == 1 {
            assert!(self.err.starts_with("mmf: "), "{self:?}");
        }
        self
    }
}

/// Runs the program to its end.
pub fn run<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Outcome {
    run_with_input(arguments, b"")
}

pub fn run_with_input<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>, input: &[u8]) -> Outcome {
    finish(&mut command(arguments), input)
}

/// Runs a command to its end, or kills it after a timeout.
pub fn finish(command: &mut Command, input: &[u8]) -> Outcome {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().expect("the program starts");
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.to_vec();
    let feed = thread::spawn(move || {
        // A program need not read all of its input.
        let _ = stdin.write_all(&input);
    });
    let out = collect(child.stdout.take().expect("piped"));
    let err = collect(child.stderr.take().expect("piped"));
    let deadline = Instant::now() + WATCHDOG;
    let status = loop {
        if let Some(status) = child.try_wait().expect("the state of a child") {
            break status;
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            panic!("{command:?} does not end");
        }
        thread::sleep(Duration::from_millis(2));
    };
    let _ = feed.join();
    let (out, err) = (out.join().expect("its output"), err.join().expect("its errors"));
    let err = String::from_utf8_lossy(&err).replace("\r\n", "\n");
    Outcome { status: status.code(), out, err }
}

fn collect(mut from: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        bytes
    })
}

/// Requests a process to end, as Ctrl-C or a system shutdown does.
#[cfg(unix)]
pub fn interrupt(peer: &Peer, signal: &str) {
    let status = Command::new("kill").args([&format!("-{signal}"), &peer.id().to_string()]).status();
    assert!(status.expect("kill").success());
}

#[cfg(not(unix))]
pub fn interrupt(_peer: &Peer, _signal: &str) {
    testkit::skip("here Ctrl-C can only be sent to a whole console, which includes this test");
}

/// Returns the listed names with this prefix, and whether each is stale.
pub fn listed(prefix: &str) -> Vec<(String, bool)> {
    let listing = run(["ls", "--json"]).succeeded().json();
    let regions = listing["regions"].as_array().expect("an array").iter();
    let names = regions.map(|row| (row["name"].as_str().expect("a name").to_owned(), row["stale"] == true));
    names.filter(|(name, _)| name.starts_with(prefix)).collect()
}

/// Whether no region with this prefix exists any more. A stale region does not exist for any process that
/// opens it; it stays listed if another process, such as another test, examined it while its last holder
/// released it.
pub fn is_gone(prefix: &str) -> bool {
    listed(prefix).iter().all(|(_, stale)| *stale)
}
