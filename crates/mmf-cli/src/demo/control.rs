//! What the two processes say to each other, and where: a small memory beside the one with the file.
//!
//! The parent writes a [`Job`] and raises `job`. The child makes itself ready and sets `ready` to the same number; the
//! parent starts the clock and the transfer. The child sets `done` when it has the last byte, which stops the clock, and
//! `checked` once it has looked at what it got. A number that is raised with `Release` and seen with `Acquire` brings along
//! everything that was written before it.

use std::sync::atomic::Ordering;

use mmf::{Error, View};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// The size of the control memory.
pub(super) const LEN: u64 = 4096;

// Each side's words have cache lines of their own, so that neither waits for the other's writing.
const JOB: usize = 0;
const PUBLISHED: usize = 128;
const READY: usize = 256;
const DONE: usize = 260;
const CHECKED: usize = 264;
const BEAT: usize = 384;
const JOB_TEXT: usize = 512;
const HELLO: usize = 640;
const ANSWER: usize = 768;

/// What the parent wants.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct Job {
    /// One of [`Task`].
    pub(super) task: u32,
    /// Not 0: into a buffer that nobody has touched yet.
    pub(super) fresh: u32,
    /// Where the child can connect to.
    pub(super) port: u64,
    /// What the child says on the connection, so that the parent knows it.
    pub(super) token: u64,
    /// Which part of the file it is about.
    pub(super) offset: u64,
    pub(super) len: u64,
}

/// The first thing that the child says.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct Hello {
    pub(super) process: u64,
    /// The length of the memory, as the system told the child.
    pub(super) data_len: u64,
    /// The width of its addresses: processes of both widths can share.
    pub(super) bits: u64,
}

/// What the child found when it looked.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct Answer {
    /// The SHA-256 of all that it has looked at so far.
    pub(super) digest: [u8; 32],
    /// How long it has looked.
    pub(super) nanoseconds: u64,
}

/// What there is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// Connect to the port.
    Connect,
    /// Copy a part out of the memory while the parent writes it.
    Memory,
    /// Receive the same part through the pipe.
    Pipe,
    /// Receive the same part through the connection.
    Tcp,
    /// Digest the part where it is: in the memory.
    Look,
    /// End.
    End,
}

impl Task {
    const ALL: [Task; 6] = [Task::Connect, Task::Memory, Task::Pipe, Task::Tcp, Task::Look, Task::End];

    pub(super) fn code(self) -> u32 {
        self as u32
    }

    pub(super) fn from_code(code: u32) -> Option<Task> {
        Task::ALL.into_iter().find(|task| task.code() == code)
    }
}

/// The view of the control memory, with a method for each thing in it.
#[derive(Clone, Debug)]
pub(super) struct Control {
    view: View,
}

macro_rules! words {
    ($($(#[$doc:meta])* $get:ident $set:ident $offset:ident;)*) => {
        $(
            $(#[$doc])*
            pub(super) fn $get(&self) -> Result<u32, Error> {
                self.view.atomic_u32($offset)?.load(Ordering::Acquire)
            }

            pub(super) fn $set(&self, number: u32) -> Result<(), Error> {
                self.view.atomic_u32($offset)?.store(number, Ordering::Release)
            }
        )*
    };
}

impl Control {
    pub(super) fn new(view: View) -> Self {
        Control { view }
    }

    words! {
        /// The number of the job at hand.
        job set_job JOB;
        /// The last job that the child has made itself ready for.
        ready set_ready READY;
        /// The last job that the child has done.
        done set_done DONE;
        /// The last job whose result the child has looked at.
        checked set_checked CHECKED;
    }

    /// How many bytes of the part are in the memory for the child to take.
    pub(super) fn published(&self) -> Result<u64, Error> {
        self.view.atomic_u64(PUBLISHED)?.load(Ordering::Acquire)
    }

    pub(super) fn publish(&self, bytes: u64) -> Result<(), Error> {
        self.view.atomic_u64(PUBLISHED)?.store(bytes, Ordering::Release)
    }

    /// A sign of life of the child: it changes as long as the child lives and gets on.
    pub(super) fn beats(&self) -> Result<u32, Error> {
        self.view.atomic_u32(BEAT)?.load(Ordering::Relaxed)
    }

    pub(super) fn beat(&self) -> Result<(), Error> {
        self.view.atomic_u32(BEAT)?.fetch_add(1, Ordering::Relaxed).map(drop)
    }

    pub(super) fn job_text(&self) -> Result<Job, Error> {
        self.view.read(JOB_TEXT)
    }

    pub(super) fn set_job_text(&self, job: &Job) -> Result<(), Error> {
        self.view.write(job, JOB_TEXT)
    }

    pub(super) fn hello(&self) -> Result<Hello, Error> {
        self.view.read(HELLO)
    }

    pub(super) fn set_hello(&self, hello: &Hello) -> Result<(), Error> {
        self.view.write(hello, HELLO)
    }

    pub(super) fn answer(&self) -> Result<Answer, Error> {
        self.view.read(ANSWER)
    }

    pub(super) fn set_answer(&self, answer: &Answer) -> Result<(), Error> {
        self.view.write(answer, ANSWER)
    }
}
