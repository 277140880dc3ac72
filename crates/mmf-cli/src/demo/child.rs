//! The second process: opens the memory by its name and does what it is told.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mmf::{Name, ReadOnly, SharedMemory, View};
use sha2::{Digest, Sha256};

use super::control::{Answer, Control, Hello, Job, Task};
use super::wait::Waiter;
use super::{LAP, PIECE, fresh_buffer};
use crate::args::DemoPeer;
use crate::output::Failure;

/// How often a wait that has nothing to look at gives a sign of life.
const BEAT: Duration = Duration::from_millis(100);
/// How long this process, at its end, waits for a sign that the parent is gone.
const FAREWELL: Duration = Duration::from_secs(1);

pub(crate) fn run(args: &DemoPeer) -> Result<(), Failure> {
    // Ctrl-C reaches both processes. The parent decides; if it ends, this one ends, too.
    let _ = ctrlc::set_handler(|| {});
    let data = SharedMemory::open_read_only(&Name::new(&args.data)?)?;
    let control = Control::new(SharedMemory::open(&Name::new(&args.control)?)?.view()?);
    control.set_hello(&Hello {
        process: process::id().into(),
        data_len: data.len(),
        bits: usize::BITS.into(),
    })?;
    let pipe = Pipe::listen(control.clone());
    let mut child = Child {
        data,
        control,
        pipe,
        lap: None,
        buffer: Vec::new(),
        socket: None,
        sha: Sha256::new(),
        looked: Duration::ZERO,
    };
    child.work()
}

struct Child {
    data: SharedMemory<ReadOnly>,
    control: Control,
    pipe: Pipe,
    /// The part of the file that is at hand, as long as it is the same.
    lap: Option<(u64, View<ReadOnly>)>,
    /// Where all transfers go to.
    buffer: Vec<u8>,
    socket: Option<TcpStream>,
    sha: Sha256,
    looked: Duration,
}

impl Child {
    fn work(&mut self) -> Result<(), Failure> {
        self.control.set_ready(1)?;
        for number in 2.. {
            let control = self.control.clone();
            if !self.wait(|| Ok(control.job()? == number))? {
                return Ok(());
            }
            let job = self.control.job_text()?;
            let len = usize::try_from(job.len).ok().filter(|len| *len <= LAP);
            let (Some(task), Some(len)) = (Task::from_code(job.task), len) else {
                return Err(Failure::new("Demo", "the first process asks for what this one does not know"));
            };
            let alive = match task {
                Task::End => {
                    self.pipe.dismissed = true;
                    return Ok(());
                }
                Task::Connect => self.connect(&job, number).map(|()| true),
                Task::Look => self.look(&job, len, number).map(|()| true),
                Task::Memory | Task::Pipe | Task::Tcp => self.transfer(task, &job, len, number),
            }?;
            if !alive {
                return Ok(());
            }
            self.control.set_checked(number)?;
        }
        Ok(())
    }

    /// Waits; says false if the parent is gone, and so is the reason to wait.
    fn wait(&self, until: impl Fn() -> Result<bool, Failure>) -> Result<bool, Failure> {
        let mut waiter = Waiter::default();
        while !until()? {
            if waiter.pause() {
                self.control.beat()?;
                if self.pipe.is_closed() {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn connect(&mut self, job: &Job, number: u32) -> Result<(), Failure> {
        let failed =
            |e: io::Error| Failure::io("connect to the first process", &e, "let programs use 127.0.0.1");
        let port = u16::try_from(job.port).unwrap_or(0);
        let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).map_err(failed)?;
        socket.write_all(&job.token.to_le_bytes()).map_err(failed)?;
        self.socket = Some(socket);
        self.control.set_done(number)?;
        Ok(())
    }

    /// Takes a part of the file to the buffer, and compares it with the memory. Says false if the parent is gone.
    fn transfer(&mut self, task: Task, job: &Job, len: usize, number: u32) -> Result<bool, Failure> {
        let view = self.view(job, len)?;
        if job.fresh != 0 || self.buffer.len() != len {
            // Given back before a new one is taken, whose pages nobody has touched.
            self.buffer = Vec::new();
            self.buffer = fresh_buffer(len)?;
        } else {
            // What an earlier transfer has left would pass for a success of this one.
            self.buffer.fill(0);
        }
        match task {
            Task::Memory => {
                self.control.set_ready(number)?;
                if !self.copy_out(&view, len)? {
                    return Ok(false);
                }
                self.control.set_done(number)?;
            }
            Task::Pipe => {
                let buffer = std::mem::take(&mut self.buffer);
                match self.pipe.receive(buffer, number)? {
                    Some(buffer) => self.buffer = buffer,
                    None => return Ok(false),
                }
            }
            _ => {
                self.control.set_ready(number)?;
                let Some(socket) = &mut self.socket else {
                    return Err(Failure::new("Demo", "the first process has not let this one connect"));
                };
                receive(socket, &mut self.buffer, &self.control)?;
                self.control.set_done(number)?;
            }
        }
        self.compare(task, &view)?;
        Ok(true)
    }

    /// The view of a part; the same one as long as it is about the same part.
    fn view(&mut self, job: &Job, len: usize) -> Result<View<ReadOnly>, Failure> {
        match &self.lap {
            Some((offset, view)) if *offset == job.offset && view.len() == len => Ok(view.clone()),
            _ => {
                self.lap = None;
                let view = self.data.view_at(job.offset, len)?;
                self.lap = Some((job.offset, view.clone()));
                Ok(view)
            }
        }
    }

    /// Copies what the parent has published, up to the end.
    fn copy_out(&mut self, view: &View<ReadOnly>, len: usize) -> Result<bool, Failure> {
        let control = self.control.clone();
        let published =
            || -> Result<usize, Failure> { Ok(usize::try_from(control.published()?).unwrap_or(0).min(len)) };
        let mut taken = 0;
        while taken < len {
            if !self.wait(|| Ok(published()? > taken))? {
                return Ok(false);
            }
            let piece = PIECE.min(published()?.saturating_sub(taken));
            view.read_exact_at(&mut self.buffer[taken..taken + piece], taken)?;
            taken += piece;
            self.control.beat()?;
        }
        Ok(true)
    }

    fn compare(&self, task: Task, view: &View<ReadOnly>) -> Result<(), Failure> {
        let mut piece = vec![0; PIECE.min(view.len())];
        for (at, received) in self.buffer.chunks(PIECE).enumerate() {
            let piece = &mut piece[..received.len()];
            view.read_exact_at(piece, at * PIECE)?;
            if piece != received {
                let message = format!(
                    "what came through ({task:?}) is not what is in the memory: somebody has changed it"
                );
                return Err(Failure::new("Demo", message));
            }
            self.control.beat()?;
        }
        Ok(())
    }

    fn look(&mut self, job: &Job, len: usize, number: u32) -> Result<(), Failure> {
        let started = Instant::now();
        let view = self.view(job, len)?;
        let mut piece = vec![0; PIECE.min(len)];
        let mut at = 0;
        while at < len {
            let piece = &mut piece[..PIECE.min(len - at)];
            view.read_exact_at(piece, at)?;
            self.sha.update(&*piece);
            at += piece.len();
            self.control.beat()?;
        }
        self.looked += started.elapsed();
        self.control.set_answer(&Answer {
            digest: self.sha.clone().finalize().into(),
            nanoseconds: u64::try_from(self.looked.as_nanos()).unwrap_or(u64::MAX),
        })?;
        self.control.set_done(number)?;
        Ok(())
    }
}

/// Fills the buffer, in pieces as they come.
fn receive(from: &mut impl Read, buffer: &mut [u8], control: &Control) -> Result<(), Failure> {
    for piece in buffer.chunks_mut(PIECE) {
        from.read_exact(piece).map_err(|e| Failure::io("receive from the first process", &e, ""))?;
        control.beat()?;
    }
    Ok(())
}

/// Standard input: a pipe to compare with, and how this process learns that the parent is gone.
///
/// For that, a thread is always reading. A byte before each transfer tells it that the rest is data.
struct Pipe {
    closed: Arc<AtomicBool>,
    buffers: Sender<(Vec<u8>, u32)>,
    filled: Receiver<Result<Vec<u8>, Failure>>,
    control: Control,
    thread: Option<JoinHandle<()>>,
    /// The parent has said that this is the end: it is alive, and holds the memories.
    dismissed: bool,
}

impl Pipe {
    fn listen(control: Control) -> Self {
        let closed = Arc::new(AtomicBool::new(false));
        let (buffers, to_fill) = mpsc::channel();
        let (give, filled) = mpsc::channel();
        let (theirs, flag) = (control.clone(), Arc::clone(&closed));
        let thread = thread::spawn(move || {
            Pipe::read(&theirs, &to_fill, &give);
            flag.store(true, Ordering::Relaxed);
        });
        Pipe { closed, buffers, filled, control, thread: Some(thread), dismissed: false }
    }

    fn read(
        control: &Control,
        to_fill: &Receiver<(Vec<u8>, u32)>,
        filled: &Sender<Result<Vec<u8>, Failure>>,
    ) {
        // Not locked line by line, as standard input is for text: this thread alone reads it.
        let mut input = io::stdin().lock();
        while input.read_exact(&mut [0]).is_ok() {
            let Ok((mut buffer, number)) = to_fill.recv() else { return };
            let result = control
                .set_ready(number)
                .map_err(Failure::from)
                .and_then(|()| receive(&mut input, &mut buffer, control))
                .and_then(|()| Ok(control.set_done(number)?));
            if filled.send(result.map(|()| buffer)).is_err() {
                return;
            }
        }
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Has the buffer filled. None if the parent is gone.
    fn receive(&self, buffer: Vec<u8>, number: u32) -> Result<Option<Vec<u8>>, Failure> {
        if self.buffers.send((buffer, number)).is_err() {
            return Ok(None);
        }
        loop {
            match self.filled.recv_timeout(BEAT) {
                Ok(result) => return result.map(Some),
                Err(mpsc::RecvTimeoutError::Timeout) => self.control.beat()?,
                Err(mpsc::RecvTimeoutError::Disconnected) => return Ok(None),
            }
        }
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        // If the parent is gone, this process is the last one to hold the memories. The names go with the last view, and
        // one of them belongs to the thread. Who has learned it from a broken connection may be here before the thread has
        // learned it from the pipe; if the parent is alive, though, the thread would wait for ever.
        let since = Instant::now();
        while !self.dismissed && !self.is_closed() && since.elapsed() < FAREWELL {
            thread::sleep(Duration::from_millis(1));
        }
        if self.is_closed() {
            if let Some(thread) = self.thread.take() {
                let _ = thread.join();
            }
        }
    }
}
