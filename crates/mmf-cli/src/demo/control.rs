//! The protocol of the two processes, in a small region beside the one with the file.
//!
//! The parent writes a [`Job`] and increments `job`. The child prepares and sets `ready` to the same number;
//! the parent starts the clock and the transfer. The child sets `done` when it has the last byte, which stops
//! the clock, and `checked` once it has compared the bytes. A number stored with `Release` and loaded with
//! `Acquire` makes everything written before it visible.

use std::sync::atomic::Ordering;

use mmf::{Error, View};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// The length of the control region.
pub(super) const LEN: u64 = 4096;

// The words of each side have their own cache lines, so that the sides do not slow each other down.
const JOB: usize = 0;
const PUBLISHED: usize = 128;
const READY: usize = 256;
const DONE: usize = 260;
const CHECKED: usize = 264;
const BEAT: usize = 384;
const JOB_TEXT: usize = 512;
const HELLO: usize = 640;
const ANSWER: usize = 768;

/// A job for the child.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct Job {
    /// One of [`Task`].
    pub(super) task: u32,
    /// Not 0: the destination is a buffer with untouched pages.
    pub(super) fresh: u32,
    /// The port that the parent listens on.
    pub(super) port: u64,
    /// A number that the child sends on the connection, so that the parent recognises it.
    pub(super) token: u64,
    /// The offset of the part in the file.
    pub(super) offset: u64,
    pub(super) len: u64,
}

/// The child's first message.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct Hello {
    pub(super) process: u64,
    /// The length of the region, as the system reports it to the child.
    pub(super) data_len: u64,
    /// The width of the child's addresses: processes of both widths can share a region.
    pub(super) bits: u64,
}

/// The child's digest of the region.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct Answer {
    /// The SHA-256 of all parts so far.
    pub(super) digest: [u8; 32],
    /// The time it took.
    pub(super) nanoseconds: u64,
}

/// The kinds of jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// Connect to the port.
    Connect,
    /// Copy a part out of the region while the parent writes it.
    Memory,
    /// Receive the same part through the pipe.
    Pipe,
    /// Receive the same part through the connection.
    Tcp,
    /// Digest the part in place, in the region.
    Digest,
    /// End.
    End,
}

impl Task {
    const ALL: [Task; 6] = [Task::Connect, Task::Memory, Task::Pipe, Task::Tcp, Task::Digest, Task::End];

    pub(super) fn code(self) -> u32 {
        self as u32
    }

    pub(super) fn from_code(code: u32) -> Option<Task> {
        Task::ALL.into_iter().find(|task| task.code() == code)
    }
}

/// The view of the control region, with methods for its fields.
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
        /// The number of the current job.
        job set_job JOB;
        /// The last job that the child is ready for.
        ready set_ready READY;
        /// The last job that the child has done.
        done set_done DONE;
        /// The last job whose result the child has compared.
        checked set_checked CHECKED;
    }

    /// The number of bytes of the part that are in the region.
    pub(super) fn published(&self) -> Result<u64, Error> {
        self.view.atomic_u64(PUBLISHED)?.load(Ordering::Acquire)
    }

    pub(super) fn publish(&self, bytes: u64) -> Result<(), Error> {
        self.view.atomic_u64(PUBLISHED)?.store(bytes, Ordering::Release)
    }

    /// The child's heartbeat: it changes as long as the child makes progress.
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
