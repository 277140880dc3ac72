//! The second process: opens the regions by their names and works off jobs.

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
use super::plan::{PART, PIECE, fresh_buffer};
use super::wait::Waiter;
use crate::args::DemoPeer;
use crate::interrupt;
use crate::output::Failure;

/// How often a long wait sends a heartbeat.
const BEAT: Duration = Duration::from_millis(100);
/// How long this process, before it exits, waits for the pipe to report that the parent has ended.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

pub(crate) fn run(args: &DemoPeer) -> Result<(), Failure> {
    // Ctrl-C reaches both processes. The parent decides, and its end ends this process, too.
    interrupt::ignore();
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
        part: None,
        buffer: Vec::new(),
        socket: None,
        sha: Sha256::new(),
        digest_time: Duration::ZERO,
    };
    child.work()
}

struct Child {
    data: SharedMemory<ReadOnly>,
    control: Control,
    pipe: Pipe,
    /// The offset and the view of the current part of the file.
    part: Option<(u64, View<ReadOnly>)>,
    /// The destination of all transfers.
    buffer: Vec<u8>,
    socket: Option<TcpStream>,
    sha: Sha256,
    digest_time: Duration,
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
            let len = usize::try_from(job.len).ok().filter(|len| *len <= PART);
            let (Some(task), Some(len)) = (Task::from_code(job.task), len) else {
                return Err(Failure::new(
                    "demo",
                    "the first process requested an unknown task; use two programs of the same version",
                ));
            };
            let is_parent_alive = match task {
                Task::End => {
                    self.pipe.is_dismissed = true;
                    return Ok(());
                }
                Task::Connect => self.connect(&job, number).map(|()| true),
                Task::Digest => self.digest(&job, len, number).map(|()| true),
                Task::Memory | Task::Pipe | Task::Tcp => self.transfer(task, &job, len, number),
            }?;
            if !is_parent_alive {
                return Ok(());
            }
            self.control.set_checked(number)?;
        }
        Ok(())
    }

    /// Waits until `until` returns true. Returns false if the parent has ended.
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

    /// Receives a part of the file into the buffer and compares it with the region. Returns false if the
    /// parent has ended.
    fn transfer(&mut self, task: Task, job: &Job, len: usize, number: u32) -> Result<bool, Failure> {
        let view = self.view(job, len)?;
        if job.fresh != 0 || self.buffer.len() != len {
            // Freed before the new one is allocated, whose pages are untouched.
            self.buffer = Vec::new();
            self.buffer = fresh_buffer(len)?;
        } else {
            // The content of an earlier transfer would pass for a success of this one.
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
                    return Err(Failure::new(
                        "demo",
                        "the first process requested a TCP transfer before a connection",
                    ));
                };
                receive(socket, &mut self.buffer, &self.control)?;
                self.control.set_done(number)?;
            }
        }
        self.compare(task, &view)?;
        Ok(true)
    }

    /// Returns the view of a part; the same one as long as the part stays the same.
    fn view(&mut self, job: &Job, len: usize) -> Result<View<ReadOnly>, Failure> {
        match &self.part {
            Some((offset, view)) if *offset == job.offset && view.len() == len => Ok(view.clone()),
            _ => {
                self.part = None;
                let view = self.data.view_at(job.offset, len)?;
                self.part = Some((job.offset, view.clone()));
                Ok(view)
            }
        }
    }

    /// Copies the bytes of a part while the parent publishes them.
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
                    "the bytes received ({task:?}) differ from the region: another process has changed it"
                );
                return Err(Failure::new("demo", message));
            }
            self.control.beat()?;
        }
        Ok(())
    }

    fn digest(&mut self, job: &Job, len: usize, number: u32) -> Result<(), Failure> {
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
        self.digest_time += started.elapsed();
        self.control.set_answer(&Answer {
            digest: self.sha.clone().finalize().into(),
            nanoseconds: u64::try_from(self.digest_time.as_nanos()).unwrap_or(u64::MAX),
        })?;
        self.control.set_done(number)?;
        Ok(())
    }
}

/// Fills the buffer, piece by piece.
fn receive(from: &mut impl Read, buffer: &mut [u8], control: &Control) -> Result<(), Failure> {
    for piece in buffer.chunks_mut(PIECE) {
        from.read_exact(piece).map_err(|e| Failure::io("receive from the first process", &e, ""))?;
        control.beat()?;
    }
    Ok(())
}

/// Standard input: the pipe of the comparison, which also reports that the parent has ended.
///
/// For that, a thread is always reading. A byte before each transfer announces the data.
struct Pipe {
    is_closed: Arc<AtomicBool>,
    buffers: Sender<(Vec<u8>, u32)>,
    filled: Receiver<Result<Vec<u8>, Failure>>,
    control: Control,
    thread: Option<JoinHandle<()>>,
    /// The parent has ended the work: it is alive and holds the regions.
    is_dismissed: bool,
}

impl Pipe {
    fn listen(control: Control) -> Self {
        let is_closed = Arc::new(AtomicBool::new(false));
        let (buffers, to_fill) = mpsc::channel();
        let (give, filled) = mpsc::channel();
        let (for_thread, flag) = (control.clone(), Arc::clone(&is_closed));
        let thread = thread::spawn(move || {
            Pipe::read(&for_thread, &to_fill, &give);
            flag.store(true, Ordering::Relaxed);
        });
        Pipe { is_closed, buffers, filled, control, thread: Some(thread), is_dismissed: false }
    }

    fn read(
        control: &Control,
        to_fill: &Receiver<(Vec<u8>, u32)>,
        filled: &Sender<Result<Vec<u8>, Failure>>,
    ) {
        // Locked once and not for each read: no other thread reads it.
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
        self.is_closed.load(Ordering::Relaxed)
    }

    /// Has the thread fill the buffer. Returns `None` if the parent has ended.
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
        // If the parent has ended, this process is the last holder of the regions, and their names are
        // removed with the last view. The thread has one of them. A broken connection can report the parent's
        // end before the pipe does, so the thread gets some time; if the parent is alive, it would wait for
        // ever.
        let since = Instant::now();
        while !self.is_dismissed && !self.is_closed() && since.elapsed() < CLOSE_TIMEOUT {
            thread::sleep(Duration::from_millis(1));
        }
        if self.is_closed() {
            if let Some(thread) = self.thread.take() {
                let _ = thread.join();
            }
        }
    }
}
