//! The first process's side: starts the second one, tells it what to do, and watches over it.

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
use super::wait::Waiter;
use super::{PIECE, random};
use crate::output::Failure;

/// How often the watch looks.
const TICK: Duration = Duration::from_millis(100);
/// So many looks without a sign of life, and the second process is given up. Looks are counted and not seconds, since none
/// take place while both processes are suspended.
const SILENT_TICKS: u32 = 300;
/// How long a process may take to end whose pipe has broken already.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// A part of the file: where it is in the memory, and the bytes to send.
pub(super) struct Lap<'b> {
    pub(super) offset: u64,
    pub(super) source: &'b [u8],
    pub(super) view: &'b View,
}

/// The second process.
pub(super) struct Peer {
    process: Arc<Process>,
    id: u32,
    pipe: ChildStdin,
    said: Option<JoinHandle<String>>,
    socket: Option<TcpStream>,
    control: Control,
    number: u32,
    /// Ends the watch by being dropped.
    watch: Option<(Sender<()>, JoinHandle<()>)>,
}

/// What the watch and everybody else have in common.
struct Process {
    child: Mutex<Child>,
    interrupted: &'static AtomicBool,
    silent: AtomicBool,
}

impl Process {
    fn ended(&self) -> io::Result<Option<ExitStatus>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner).try_wait()
    }

    fn kill(&self) {
        let _ = self.child.lock().unwrap_or_else(PoisonError::into_inner).kill();
    }

    /// Ends the process if it should not go on. That frees whoever waits for it, in whatever call.
    fn watch(&self, control: &Control, end: &mpsc::Receiver<()>) {
        let (mut last, mut silent) = (0, 0);
        while end.recv_timeout(TICK) == Err(mpsc::RecvTimeoutError::Timeout) {
            let beats = control.beats().unwrap_or(last);
            silent = if beats == last { silent + 1 } else { 0 };
            last = beats;
            if silent >= SILENT_TICKS {
                self.silent.store(true, Ordering::Relaxed);
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
        let (Some(pipe), Some(mut stderr)) = (child.stdin.take(), child.stderr.take()) else {
            return Err(Failure::new("Demo", "the second process has no pipes"));
        };
        let said = thread::spawn(move || {
            let mut text = Vec::new();
            let _ = stderr.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        let process =
            Arc::new(Process { child: Mutex::new(child), interrupted, silent: AtomicBool::new(false) });
        let (end, ended) = mpsc::channel();
        let watch = {
            let (process, control) = (Arc::clone(&process), control.clone());
            thread::spawn(move || process.watch(&control, &ended))
        };
        let watch = Some((end, watch));
        let mut peer = Peer { process, id, pipe, said: Some(said), socket: None, control, number: 1, watch };
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
        if self.process.silent.load(Ordering::Relaxed) {
            let seconds = (TICK * SILENT_TICKS).as_secs();
            let message = format!(
                "the second process (id {id}) has given no sign of life for {seconds} s and was ended; try again"
            );
            return Failure::new("PeerSilent", message);
        }
        let said = self.said.take().and_then(|said| said.join().ok()).unwrap_or_default();
        let failure =
            Failure::new("PeerEnded", format!("the second process (id {id}) ended early ({status})"));
        match said.trim_end() {
            "" => failure.with("; it said nothing"),
            said => failure.with("; it said:\n").with(&said.replace("\r\n", "\n")),
        }
    }

    /// What to say when a pipe or a connection to the second process broke: most often, that it has ended.
    fn broken(&mut self, doing: &str, error: &io::Error) -> Failure {
        let since = Instant::now();
        while since.elapsed() < LAST_WORDS {
            if let Err(failure) = self.check_alive() {
                return failure;
            }
            thread::sleep(Duration::from_millis(1));
        }
        Failure::io(doing, error, "try again")
    }

    /// Gives the second process something to do.
    fn order(&mut self, task: Task, job: Job) -> Result<(), Failure> {
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
            Failure::io("listen on 127.0.0.1 for the second process", &e, "let programs use it")
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
        // Whoever waits in accept would not notice that nobody comes any more.
        listener.set_nonblocking(true).map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port().into();
        let token = random();
        self.order(Task::Connect, Job { port, token, ..Job::default() })?;
        let mut waiter = Waiter::default();
        loop {
            match listener.accept() {
                Ok((mut socket, _)) => {
                    socket.set_nonblocking(false).map_err(failed)?;
                    socket.set_read_timeout(Some(LAST_WORDS)).map_err(failed)?;
                    // Any program of this machine can connect.
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

    /// Moves a part of the file to a buffer of the second process, a fresh one or the last one. Gives the time from before
    /// the first byte is sent until it is known that the last one has arrived.
    pub(super) fn transfer(&mut self, task: Task, fresh: bool, lap: &Lap<'_>) -> Result<Duration, Failure> {
        let len = lap.source.len();
        self.order(task, Job { fresh: fresh.into(), offset: lap.offset, len: len as u64, ..Job::default() })?;
        if task == Task::Pipe {
            self.pipe.write_all(&[0]).map_err(|e| self.broken("write to the pipe", &e))?;
        }
        let number = self.number;
        self.wait(|control| Ok(control.ready()? == number))?;

        let started = Instant::now();
        match task {
            Task::Memory => {
                let mut done = 0;
                for piece in lap.source.chunks(PIECE) {
                    lap.view.write_all_at(piece, done)?;
                    done += piece.len();
                    self.control.publish(done as u64)?;
                }
            }
            Task::Pipe => {
                for piece in lap.source.chunks(PIECE) {
                    self.pipe.write_all(piece).map_err(|e| self.broken("write to the pipe", &e))?;
                }
            }
            _ => {
                for piece in lap.source.chunks(PIECE) {
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

    /// Has the second process digest a part of the memory, and does `meanwhile` itself.
    pub(super) fn look(&mut self, lap: &Lap<'_>, meanwhile: impl FnOnce()) -> Result<Answer, Failure> {
        let len = lap.source.len() as u64;
        self.order(Task::Look, Job { offset: lap.offset, len, ..Job::default() })?;
        meanwhile();
        self.wait_checked()?;
        Ok(self.control.answer()?)
    }

    /// Lets the second process end, and waits for that.
    pub(super) fn end(mut self) -> Result<(), Failure> {
        self.order(Task::End, Job::default())?;
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
        // In this order: no watch, no process, and then whoever made this drops the memories as their last holder.
        if let Some((end, watch)) = self.watch.take() {
            drop(end);
            let _ = watch.join();
        }
        self.process.kill();
        let _ = self.process.child.lock().unwrap_or_else(PoisonError::into_inner).wait();
    }
}
