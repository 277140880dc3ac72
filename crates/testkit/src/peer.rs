//! Second processes.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::WATCHDOG;

pub(crate) const ROLE_FLAG: &str = "--play-role";

/// Another process that plays a role, or any other program that reads and writes lines.
///
/// Dropping it kills the process if it has not ended. If the test fails, its output is printed.
#[derive(Debug)]
pub struct Peer {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    log: Arc<Mutex<Vec<String>>>,
    ended: bool,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending(ExitStatus);

impl Ending {
    /// Whether it reported success.
    #[must_use]
    pub fn success(self) -> bool {
        self.0.success()
    }

    /// Returns its exit status, if it exited. On Windows this is also the code of a fatal exception.
    #[must_use]
    pub fn code(self) -> Option<i32> {
        self.0.code()
    }

    /// Returns the signal that killed it (Unix).
    #[must_use]
    pub fn signal(self) -> Option<i32> {
        #[cfg(unix)]
        return std::os::unix::process::ExitStatusExt::signal(&self.0);
        #[cfg(not(unix))]
        None
    }

    /// Whether an invalid memory access killed it: a signal (Unix) or the exception `0xC0000005` (Windows).
    #[must_use]
    pub fn is_memory_fault(self) -> bool {
        // SIGSEGV is 11 everywhere; SIGBUS is 7 on Linux and 10 elsewhere.
        matches!(self.signal(), Some(7 | 10 | 11))
            || self.code() == Some(i32::from_ne_bytes(0xC000_0005_u32.to_ne_bytes()))
    }
}

impl Peer {
    /// Starts this test program again to play a role.
    ///
    /// # Panics
    ///
    /// Panics if it cannot be started.
    #[must_use]
    pub fn start(role: &str, arguments: &[&str]) -> Self {
        Peer::start_in(std::env::current_exe().expect("the path of this program"), role, arguments)
    }

    /// Starts another build of this test program to play a role, for example one for another processor.
    ///
    /// # Panics
    ///
    /// Panics if it cannot be started.
    #[must_use]
    pub fn start_in(program: impl Into<PathBuf>, role: &str, arguments: &[&str]) -> Self {
        let mut command = command_for(program.into());
        command.arg(ROLE_FLAG).arg(role).args(arguments);
        Peer::spawn(role, &mut command)
    }

    /// Starts any program.
    ///
    /// # Panics
    ///
    /// Panics if it cannot be started.
    #[must_use]
    pub fn spawn(name: &str, command: &mut Command) -> Self {
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        Peer::adopt(name, spawned.unwrap_or_else(|error| panic!("cannot start {command:?}: {error}")))
    }

    /// Takes over a child that was started in another way. Its standard output and standard error are piped.
    /// If its standard input is piped as well, [`Peer::say`] can write to it.
    ///
    /// # Panics
    ///
    /// Panics if they are not piped.
    #[must_use]
    pub fn adopt(name: &str, mut child: Child) -> Self {
        let log = Arc::new(Mutex::new(Vec::new()));
        let (sender, lines) = channel();
        let (output, errors) = (child.stdout.take(), child.stderr.take());
        let kept = Arc::clone(&log);
        thread::spawn(move || {
            for line in BufReader::new(output.expect("piped")).lines().map_while(Result::ok) {
                let line = line.trim_end_matches('\r').to_owned();
                keep(&kept, format!("out: {line}"));
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let kept = Arc::clone(&log);
        thread::spawn(move || {
            for line in BufReader::new(errors.expect("piped")).lines().map_while(Result::ok) {
                keep(&kept, format!("err: {line}"));
            }
        });
        Peer { name: name.to_owned(), input: child.stdin.take(), child, lines, log, ended: false }
    }

    /// Returns its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the next line that it prints.
    ///
    /// # Panics
    ///
    /// Panics if there is none within [`WATCHDOG`].
    pub fn hear(&mut self) -> String {
        match self.lines.recv_timeout(WATCHDOG) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => panic!("{} printed nothing for {WATCHDOG:?}", self.name),
            Err(RecvTimeoutError::Disconnected) => panic!("{} ended without printing a line", self.name),
        }
    }

    /// Waits for the next line and asserts that it is this one.
    ///
    /// # Panics
    ///
    /// Panics if it is another one, or if there is none.
    pub fn expect(&mut self, line: &str) {
        assert_eq!(self.hear(), line, "printed by {}", self.name);
    }

    /// Writes a line to its input.
    ///
    /// # Panics
    ///
    /// Panics if its input is closed.
    pub fn say(&mut self, line: &str) {
        let input = self.input.as_mut().expect("an open input");
        writeln!(input, "{line}")
            .and_then(|()| input.flush())
            .unwrap_or_else(|error| panic!("{}: {error}", self.name));
    }

    /// Closes its input, waits for its end, and asserts that it succeeded.
    ///
    /// # Panics
    ///
    /// Panics if it did not.
    pub fn finish(mut self) {
        let ending = self.wait();
        assert!(ending.success(), "{} ended with {ending:?}", self.name);
    }

    /// Closes its input and waits for its end.
    ///
    /// # Panics
    ///
    /// Panics if it does not end within [`WATCHDOG`].
    pub fn wait(&mut self) -> Ending {
        self.input = None;
        let deadline = Instant::now() + WATCHDOG;
        loop {
            if let Some(status) = self.child.try_wait().expect("the state of a child") {
                self.ended = true;
                return Ending(status);
            }
            assert!(Instant::now() < deadline, "{} did not end", self.name);
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Kills it (`SIGKILL`, `TerminateProcess`) and waits for its end.
    ///
    /// # Panics
    ///
    /// Panics if the system refuses.
    pub fn kill(&mut self) {
        self.child.kill().expect("the child can be killed");
        self.child.wait().expect("the child can be reaped");
        self.ended = true;
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if !self.ended {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if crate::failing() {
            eprintln!("--- {} (process {}) printed:", self.name, self.child.id());
            for line in self.log.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                eprintln!("    {line}");
            }
        }
    }
}

/// Returns a command that starts this test program again to play a role, with the pipes that [`Peer::adopt`]
/// requires.
///
/// # Panics
///
/// Panics if the path of this program is unknown.
pub fn command_for_role(role: &str, arguments: &[&str]) -> Command {
    let mut command = command_for(std::env::current_exe().expect("the path of this program"));
    command.arg(ROLE_FLAG).arg(role).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Returns a command that starts a test program, through the runner in `MMF_TEST_RUNNER` (such as an
/// emulator) if there is one.
pub fn command_for(program: impl Into<PathBuf>) -> Command {
    match std::env::var_os("MMF_TEST_RUNNER") {
        None => Command::new(program.into()),
        Some(runner) => {
            let mut command = Command::new(runner);
            command.arg(program.into());
            command
        }
    }
}

fn keep(log: &Mutex<Vec<String>>, line: String) {
    log.lock().unwrap_or_else(PoisonError::into_inner).push(line);
}

/// A process that plays a role: its arguments, and the lines that it exchanges with the test that has started
/// it.
#[derive(Debug)]
pub struct Role {
    arguments: Vec<String>,
}

impl Role {
    pub(crate) fn new(arguments: Vec<String>) -> Self {
        Role { arguments }
    }

    /// Returns an argument.
    ///
    /// # Panics
    ///
    /// Panics if there are fewer.
    #[must_use]
    pub fn argument(&self, index: usize) -> &str {
        &self.arguments[index]
    }

    /// Writes a line to the test.
    pub fn say(&self, line: impl AsRef<str>) {
        let mut output = std::io::stdout().lock();
        // The test may have ended; then this process ends, too.
        let _ = writeln!(output, "{}", line.as_ref());
        let _ = output.flush();
    }

    /// Waits for the next line from the test. Exits if the test has ended.
    #[must_use]
    pub fn hear(&self) -> String {
        let mut line = String::new();
        match std::io::stdin().lock().read_line(&mut line) {
            Ok(0) | Err(_) => std::process::exit(0),
            Ok(_) => line.trim_end().to_owned(),
        }
    }

    /// Waits until the test closes the input or kills this process.
    pub fn stay(&self) {
        let mut line = String::new();
        while std::io::stdin().lock().read_line(&mut line).is_ok_and(|len| len > 0) {
            line.clear();
        }
    }
}
