//! The first process: starts the second one, gives it jobs, and monitors it.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mmf::{Name, View};

use super::control::{Answer, Control, Hello, Job, Task};
use super::plan::{PIECE, random};
use super::wait::Waiter;
use crate::output::Failure;

/// How often the monitor checks.
const TICK: Duration = Duration::from_millis(100);
/// After this many checks without a heartbeat, the monitor ends the second process. Checks and not seconds
/// are counted, because no check takes place while both processes are suspended.
const SILENT_TICKS: u32 = 300;
/// How long a process may take to exit after its pipe broke.
const EXIT_TIMEOUT: Duration = Duration::from_secs(5);

/// A part of the file: its place in the region, and the bytes to send.
pub(super) struct Part<'b> {
    pub(super) offset: u64,
    pub(super) source: &'b [u8],
    pub(super) view: &'b View,
}

/// The second process.
pub(super) struct Peer {
    process: Arc<Process>,
    id: u32,
    pipe: ChildStdin,
    stderr: Option<JoinHandle<String>>,
    socket: Option<TcpStream>,
    control: Control,
    number: u32,
    /// The monitor, which ends when the sender is dropped.
    monitor: Option<(Sender<()>, JoinHandle<()>)>,
}

/// The state that the monitor shares.
struct Process {
    child: Mutex<Child>,
    interrupted: &'static AtomicBool,
    is_silent: AtomicBool,
}

impl Process {
    fn ended(&self) -> io::Result<Option<ExitStatus>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner).try_wait()
    }

    fn kill(&self) {
        let _ = self.child.lock().unwrap_or_else(PoisonError::into_inner).kill();
    }

    /// Kills the process if it must not continue, which ends every wait for it, in whatever call.
    fn monitor(&self, control: &Control, end: &mpsc::Receiver<()>) {
        let (mut last, mut silent) = (0, 0);
        while end.recv_timeout(TICK) == Err(mpsc::RecvTimeoutError::Timeout) {
            let beats = control.beats().unwrap_or(last);
            silent = if beats == last { silent + 1 } else { 0 };
            last = beats;
            if silent >= SILENT_TICKS {
                self.is_silent.store(true, Ordering::Relaxed);
            }
            if silent >= SILENT_TICKS || self.interrupted.load(Ordering::Relaxed) {
                self.kill();
            }
        }
    }
}

impl Peer {
    pub(super) fn start(
        program: &Path,
        data: &Name,
        control_name: &Name,
        control: Control,
        interrupted: &'static AtomicBool,
    ) -> Result<Self, Failure> {
        let mut child = Command::new(program)
            .arg("demo_peer")
            .arg(data.to_string())
            .arg(control_name.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| {
                let shown = program.display();
                Failure::io(format!("start the second process \"{shown}\""), &e, "check the path")
            })?;
        let id = child.id();
        let (Some(pipe), Some(mut from)) = (child.stdin.take(), child.stderr.take()) else {
            return Err(Failure::new("demo", "the second process has no pipes"));
        };
        let stderr = thread::spawn(move || {
            let mut text = Vec::new();
            let _ = from.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        let process =
            Arc::new(Process { child: Mutex::new(child), interrupted, is_silent: AtomicBool::new(false) });
        let (end, ended) = mpsc::channel();
        let monitor = {
            let (process, control) = (Arc::clone(&process), control.clone());
            thread::spawn(move || process.monitor(&control, &ended))
        };
        let monitor = Some((end, monitor));
        let mut peer =
            Peer { process, id, pipe, stderr: Some(stderr), socket: None, control, number: 1, monitor };
        peer.wait(|control| Ok(control.ready()? == 1))?;
        Ok(peer)
    }

    pub(super) fn id(&self) -> u32 {
        self.id
    }

    pub(super) fn hello(&self) -> Result<Hello, Failure> {
        Ok(self.control.hello()?)
    }

    /// Waits for the second process; fails if it ends instead.
    fn wait(&mut self, until: impl Fn(&Control) -> Result<bool, mmf::Error>) -> Result<(), Failure> {
        let mut waiter = Waiter::default();
        while !until(&self.control)? {
            if waiter.pause() {
                self.check_alive()?;
            }
        }
        Ok(())
    }

    fn check_alive(&mut self) -> Result<(), Failure> {
        match self.process.ended() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(self.ended_early(status)),
            Err(error) => Err(Failure::io("watch the second process", &error, "")),
        }
    }

    fn ended_early(&mut self, status: ExitStatus) -> Failure {
        if self.process.interrupted.load(Ordering::Relaxed) {
            return Failure::interrupted();
        }
        let id = self.id;
        if self.process.is_silent.load(Ordering::Relaxed) {
            let seconds = (TICK * SILENT_TICKS).as_secs();
            let message = format!(
                "the second process (id {id}) made no progress for {seconds} s and was killed; try again"
            );
            return Failure::new("peer_silent", message);
        }
        let printed = self.stderr.take().and_then(|stderr| stderr.join().ok()).unwrap_or_default();
        let failure =
            Failure::new("peer_ended", format!("the second process (id {id}) ended early ({status})"));
        match printed.trim_end() {
            "" => failure.with("; it printed no error"),
            printed => failure.with("; it printed:\n").with(&printed.replace("\r\n", "\n")),
        }
    }

    /// Returns the failure for a broken pipe or connection: most often, the second process has ended.
    fn broken(&mut self, doing: &str, error: &io::Error) -> Failure {
        let since = Instant::now();
        while since.elapsed() < EXIT_TIMEOUT {
            if let Err(failure) = self.check_alive() {
                return failure;
            }
            thread::sleep(Duration::from_millis(1));
        }
        Failure::io(doing, error, "try again")
    }

    /// Gives the second process a job.
    fn request(&mut self, task: Task, job: Job) -> Result<(), Failure> {
        if self.process.interrupted.load(Ordering::Relaxed) {
            return Err(Failure::interrupted());
        }
        self.number += 1;
        self.control.publish(0)?;
        self.control.set_job_text(&Job { task: task.code(), ..job })?;
        self.control.set_job(self.number)?;
        Ok(())
    }

    /// Lets the second process connect, for the comparison with TCP.
    pub(super) fn connect(&mut self) -> Result<(), Failure> {
        let failed = |e: io::Error| {
            Failure::io("listen on 127.0.0.1 for the second process", &e, "allow programs to use it")
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
        // A blocking accept would not detect that the second process has ended.
        listener.set_nonblocking(true).map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port().into();
        let token = random();
        self.request(Task::Connect, Job { port, token, ..Job::default() })?;
        let mut waiter = Waiter::default();
        loop {
            match listener.accept() {
                Ok((mut socket, _)) => {
                    socket.set_nonblocking(false).map_err(failed)?;
                    socket.set_read_timeout(Some(EXIT_TIMEOUT)).map_err(failed)?;
                    // Any program on this machine can connect.
                    let mut theirs = [0; 8];
                    if socket.read_exact(&mut theirs).is_ok() && u64::from_le_bytes(theirs) == token {
                        socket.set_nodelay(true).map_err(failed)?;
                        self.socket = Some(socket);
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if waiter.pause() {
                        self.check_alive()?;
                    }
                }
                Err(error) => return Err(failed(error)),
            }
        }
        self.wait_checked()
    }

    fn wait_checked(&mut self) -> Result<(), Failure> {
        let number = self.number;
        self.wait(|control| Ok(control.checked()? == number))
    }

    /// Transfers a part of the file to a buffer of the second process, a fresh one or the previous one.
    /// Returns the time from before the first byte is sent until the last one is known to have arrived.
    pub(super) fn transfer(&mut self, task: Task, fresh: bool, part: &Part<'_>) -> Result<Duration, Failure> {
        let len = part.source.len();
        self.request(
            task,
            Job { fresh: fresh.into(), offset: part.offset, len: len as u64, ..Job::default() },
        )?;
        if task == Task::Pipe {
            self.pipe.write_all(&[0]).map_err(|e| self.broken("write to the pipe", &e))?;
        }
        let number = self.number;
        self.wait(|control| Ok(control.ready()? == number))?;

        let started = Instant::now();
        match task {
            Task::Memory => {
                let mut done = 0;
                for piece in part.source.chunks(PIECE) {
                    part.view.write_all_at(piece, done)?;
                    done += piece.len();
                    self.control.publish(done as u64)?;
                }
            }
            Task::Pipe => {
                for piece in part.source.chunks(PIECE) {
                    self.pipe.write_all(piece).map_err(|e| self.broken("write to the pipe", &e))?;
                }
            }
            _ => {
                for piece in part.source.chunks(PIECE) {
                    let sent = match &mut self.socket {
                        Some(socket) => socket.write_all(piece),
                        None => Err(io::ErrorKind::NotConnected.into()),
                    };
                    sent.map_err(|e| self.broken("send to the second process", &e))?;
                }
            }
        }
        self.wait(|control| Ok(control.done()? == number))?;
        let time = started.elapsed();

        self.wait_checked()?;
        Ok(time)
    }

    /// Has the second process digest a part of the region, and calls `meanwhile` in this one.
    pub(super) fn digest(&mut self, part: &Part<'_>, meanwhile: impl FnOnce()) -> Result<Answer, Failure> {
        let len = part.source.len() as u64;
        self.request(Task::Digest, Job { offset: part.offset, len, ..Job::default() })?;
        meanwhile();
        self.wait_checked()?;
        Ok(self.control.answer()?)
    }

    /// Lets the second process end, and waits for that.
    pub(super) fn end(mut self) -> Result<(), Failure> {
        self.request(Task::End, Job::default())?;
        let mut waiter = Waiter::default();
        loop {
            match self.process.ended() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => return Err(self.ended_early(status)),
                Ok(None) => {
                    waiter.pause();
                }
                Err(error) => return Err(Failure::io("wait for the second process", &error, "")),
            }
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // The order matters: monitor, process, and then the caller drops the regions as their last holder.
        if let Some((end, monitor)) = self.monitor.take() {
            drop(end);
            let _ = monitor.join();
        }
        self.process.kill();
        let _ = self.process.child.lock().unwrap_or_else(PoisonError::into_inner).wait();
    }
}
