//! Hand-off by descriptors, which the child alone inherits, or which the receiver reopens through `/proc`.

use std::os::fd::{AsFd, AsRawFd};
use std::process::{Child, Command};

use super::Origin;
use super::note::{Note, Way};
use crate::access::{Access, mode, writes_through};
use crate::error::{Error, ErrorKind, Operation};
use crate::memory::SharedMemory;
use crate::sys::process::{Inherited, Process, identity, namespaces, take_inherited};
use crate::sys::{Failure, Object, Reason};

/// A region that the next child of a command receives.
#[derive(Debug)]
pub(super) struct Parcel {
    note: Note,
    /// Open until the child has been started.
    _inherited: Inherited,
}

impl Parcel {
    pub(super) fn new<A: Access>(command: &mut Command, memory: &SharedMemory<A>) -> Result<Self, Error> {
        let right = memory.right();
        let fail = |failure| right.error(Operation::HandOff, failure);
        let fd = right.object.to_owned_fd().map_err(fail)?;
        let object = identity(fd.as_fd()).map_err(fail)?;
        let inherited = Inherited::new(command, fd).map_err(fail)?;
        let way = Way::Descriptor { number: inherited.number(), object };
        let len = right.len().map_err(fail)?;
        Ok(Parcel { note: Note { way, len, writable: writes_through::<A>() }, _inherited: inherited })
    }

    pub(super) fn note(&self) -> &Note {
        &self.note
    }

    /// Does nothing: the child inherited the descriptor when it was started.
    #[allow(clippy::unnecessary_wraps, reason = "as on Windows")]
    pub(super) fn deliver(&self, _child: &Child) -> Result<(), Error> {
        Ok(())
    }
}

fn invalid(detail: &str) -> Error {
    Error::new(Operation::Receive, ErrorKind::InvalidTicket).with_detail(detail)
}

/// Opens the region that a note is about.
pub(super) fn take<A: Access>(note: &Note, origin: Origin) -> Result<SharedMemory<A>, Error> {
    let fd = match (&note.way, origin) {
        (&Way::Descriptor { number, object }, Origin::Environment) => take_inherited(number, object)
            .map_err(|failure| wrong(failure, "this process does not have the descriptor that it names")),
        (&Way::Foreign { process, started, namespaces, number, object }, Origin::Ticket) => {
            check_namespaces(namespaces)?;
            Process { id: process, started }.open(number, object, writes_through::<A>()).map_err(|failure| {
                wrong(failure, "its giver has ended, has dropped the region, or never had it")
            })
        }
        (Way::Parcel { .. }, _) => Err(invalid("it was written on Windows")),
        _ => Err(invalid("a ticket and the value of an environment variable have different forms")),
    }?;
    let object = Object::from_owned(fd, mode::<A>()).map_err(|failure| match failure.reason {
        Reason::WrongKind => invalid("what was handed over is not shared memory"),
        _ => Error::from_system(Operation::Receive, failure),
    })?;
    let fail = |failure| Error::from_system(Operation::Receive, failure);
    let memory = SharedMemory::from_object(object).map_err(fail)?;
    // A peer may have grown the region since. It is shorter only if a peer has truncated it.
    if memory.right().len().map_err(fail)? < note.len {
        Err(invalid("the region is shorter than it states"))
    } else {
        Ok(memory)
    }
}

/// Refuses a ticket whose giver cannot be found from here, because its process id and start time have another
/// meaning here.
fn check_namespaces((pid, time): (u64, u64)) -> Result<(), Error> {
    let (our_pid, our_time) = namespaces();
    let other = |theirs: u64, ours: u64| theirs != 0 && ours != 0 && theirs != ours;
    if other(pid, our_pid) {
        return Err(invalid(
            "its giver is in another pid namespace, such as another container, where process ids mean other \
             processes: send the region over a socket",
        ));
    }
    if other(time, our_time) {
        return Err(invalid(
            "its giver is in another time namespace, where processes have other start times: send the region \
             over a socket",
        ));
    }
    Ok(())
}

fn wrong(failure: Failure, detail: &str) -> Error {
    let error = Error::from_system(Operation::Receive, failure);
    match failure.reason {
        Reason::WrongKind | Reason::Missing | Reason::Other => invalid(detail),
        Reason::Unsupported => invalid(
            "its giver cannot be found: /proc is missing here, or shows another pid namespace than that of \
             this process; send the region over a socket",
        ),
        Reason::Stranger => invalid("its giver runs as another user: send the region over a socket"),
        Reason::Denied => {
            error.with_detail("the region was made read-only: use redeem_read_only, or send it over a socket")
        }
        _ => error,
    }
}

/// Why there are no tickets.
const NO_PROC: &str = "/proc is missing here, or shows another pid namespace than that of this process: \
                       send the region over a socket";

/// Returns a note by which a process of the same user can open the region.
pub(super) fn ticket<A: Access>(memory: &SharedMemory<A>, process: u32) -> Result<Note, Error> {
    let right = memory.right();
    let fail = |failure| right.error(Operation::HandOff, failure);
    Process::with_id(process).map_err(|failure: Failure| match failure.reason {
        Reason::Missing => Error::new(Operation::HandOff, ErrorKind::NotFound)
            .with_detail(format!("there is no process {process}, or it has ended")),
        Reason::Unsupported => fail(failure).with_detail(NO_PROC),
        _ => fail(failure),
    })?;
    let giver = Process::current().map_err(fail)?;
    let way = Way::Foreign {
        process: giver.id,
        started: giver.started,
        namespaces: namespaces(),
        number: memory.as_raw_fd(),
        object: identity(memory.as_fd()).map_err(fail)?,
    };
    Ok(Note { way, len: right.len().map_err(fail)?, writable: writes_through::<A>() })
}
