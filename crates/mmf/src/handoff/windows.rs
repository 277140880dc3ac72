//! By handles: duplicated into the receiver, whose number it learns from a small named section, the parcel.
//!
//! A number alone would not do: whoever can put a text into a ticket could name any handle of the receiver. So a handle to the
//! parcel itself is put into the receiver, too, with rights so few that nobody would open a section like that; and the receiver
//! believes a parcel only if it finds the same section, with these rights, under the number that the parcel names. Only who may
//! put handles into a process can make that true, and he may do everything with it. What the parcel says besides is as good as
//! its list of rights, by which nobody but its maker writes to it. That handle also keeps the parcel's name alive, so the giver may end.
//!
//! The parcel's bytes, little-endian: 0 magic, 4 version, 8 state, 12 access, 16 number of the memory's handle, 24 number of the
//! parcel's handle, 32 length, 40 the holder's process id, 44 the giver's, 48 the holder's start, 56 the giver's.

use std::os::windows::io::{AsHandle, OwnedHandle};
use std::process::{Child, Command};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Origin;
use super::note::{Note, Way};
use crate::access::{Access, ReadWrite, mode};
use crate::error::{Error, ErrorKind, Operation};
use crate::memory::SharedMemory;
use crate::name::Name;
use crate::options::OpenOptions;
use crate::security::Security;
use crate::sys::process::{self, Handles, Process};
use crate::sys::{Failure, Object, Reason};

/// What the names of parcels start with; 32 hexadecimal digits follow.
const PREFIX: &str = "mmf.handoff.";
const PARCEL_LEN: usize = 64;
const MAGIC: u32 = u32::from_le_bytes(*b"MMFP");
const VERSION: u32 = 1;
/// States: not ready (0) until all numbers are written.
const READY: u32 = 1;
const READ: u32 = 1;
const READ_WRITE: u32 = 3;

/// How long a receiver waits for a giver that lives and does not finish.
const PATIENCE: Duration = Duration::from_secs(30);

/// A memory that the next child of a command gets.
#[derive(Debug)]
pub(super) struct Parcel {
    note: Note,
    section: SharedMemory<ReadWrite>,
    memory: OwnedHandle,
}

impl Parcel {
    pub(super) fn new<A: Access>(_command: &mut Command, memory: &SharedMemory<A>) -> Result<Self, Error> {
        Parcel::pack(memory, None)
    }

    /// Makes the section. Only its maker can write to it; who receives it may read: the current user, and the receiver's.
    fn pack<A: Access>(memory: &SharedMemory<A>, receiver: Option<&Handles>) -> Result<Self, Error> {
        let right = memory.right();
        let fail = |failure: Failure| right.error(Operation::HandOff, failure);
        let random = process::random().map_err(fail)?;
        let text: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        // The names of another session are seen from here only if they are the machine's.
        let is_elsewhere = match receiver.map(Handles::sessions).transpose().map_err(fail)? {
            Some((theirs, ours)) => theirs != ours,
            None => false,
        };
        let name = format!(r"{}\{PREFIX}{text}", if is_elsewhere { "Global" } else { "Local" });
        // A child runs as the user of this process, whomever this thread acts for.
        let reader = receiver.map_or_else(process::user, Handles::user).map_err(fail)?;
        let security = Security::readable_only(Some(&reader), Operation::HandOff)?;
        let section = OpenOptions::new().len(PARCEL_LEN as u64).security(security).create(&*name)?;
        let giver = Process::current().map_err(fail)?;
        let view = section.view()?;
        view.write(&MAGIC.to_le(), 0)?;
        view.write(&VERSION.to_le(), 4)?;
        view.write(&(if A::WRITABLE { READ_WRITE } else { READ }).to_le(), 12)?;
        view.write(&memory.len().to_le(), 32)?;
        view.write(&giver.id.to_le(), 44)?;
        view.write(&giver.started.to_le(), 56)?;
        let memory_handle = right.object.to_owned_handle().map_err(fail)?;
        let note = Note { way: Way::Parcel { name }, len: memory.len(), writable: A::WRITABLE };
        Ok(Parcel { note, section, memory: memory_handle })
    }

    pub(super) fn note(&self) -> &Note {
        &self.note
    }

    pub(super) fn deliver(&self, child: &Child) -> Result<(), Error> {
        let fail = |failure| Error::from_system(Operation::HandOff, failure);
        // (A child that has ended already needs nothing.)
        self.put_into(&Handles::of_child(child).map_err(fail)?).map(|_| ())
    }

    /// Puts the memory and the parcel into a process, which owns both from then on. Says whether it was still there.
    fn put_into(&self, receiver: &Handles) -> Result<bool, Error> {
        let fail = |failure| Error::from_system(Operation::HandOff, failure);
        let put = || {
            let memory = receiver.put(self.memory.as_handle())?;
            let own =
                receiver.put_proof(self.section.as_handle()).inspect_err(|_| receiver.take_back(memory))?;
            Ok((memory, own))
        };
        let (memory, own) = match put() {
            Ok(numbers) => numbers,
            Err(_) if receiver.has_ended() => return Ok(false),
            Err(failure) => return Err(fail(failure)),
        };
        let view = self.section.view()?;
        view.write(&memory.to_le(), 16)?;
        view.write(&own.to_le(), 24)?;
        view.write(&receiver.owner.id.to_le(), 40)?;
        view.write(&receiver.owner.started.to_le(), 48)?;
        view.atomic_u32(8)?.store(READY.to_le(), Ordering::Release)?;
        Ok(true)
    }
}

fn invalid(detail: &str) -> Error {
    Error::new(Operation::Receive, ErrorKind::InvalidTicket).with_detail(detail)
}

/// What a parcel says.
struct Content {
    memory: u64,
    own: u64,
    len: u64,
    access: u32,
    holder: Process,
}

/// Takes what a note is about.
pub(super) fn take<A: Access>(note: &Note, origin: Origin) -> Result<SharedMemory<A>, Error> {
    /// One after the other: what the numbers refer to must not be taken by another thread between the proof and the end.
    static TAKING: Mutex<()> = Mutex::new(());

    let Way::Parcel { name } = &note.way else { return Err(invalid("it was written on Unix")) };
    let name =
        Name::new(name).ok().filter(is_of_a_parcel).ok_or_else(|| invalid("the parcel's name is garbled"))?;
    let fail = |failure: Failure| Error::from_system(Operation::Receive, failure);
    let _taking = TAKING.lock().unwrap_or_else(PoisonError::into_inner);
    let section = SharedMemory::open_read_only(&name).map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            invalid("it has been received already, or whoever handed it over has ended before")
        }
        _ => invalid(&format!("the parcel cannot be opened: {}", error.cause_in_words())),
    })?;
    let content = read(&section, origin).map_err(|error| match error.kind() {
        ErrorKind::InvalidTicket => error,
        _ => invalid(&format!("the parcel cannot be read: {}", error.cause_in_words())),
    })?;
    let us = Process::current().map_err(fail)?;
    let is_ours = content.holder == us;
    let handles = if is_ours {
        None
    } else if origin == Origin::Ticket {
        return Err(invalid("it is for another process"));
    } else {
        // It was handed to the process that has started this one, such as a shell.
        let handles = Handles::of(content.holder.id)
            .map_err(|_| invalid("it is for another process, which has ended or cannot be reached"))?;
        if handles.owner != content.holder {
            return Err(invalid("it is for another process, which has ended"));
        }
        Some(handles)
    };
    let copy = |number| match &handles {
        Some(handles) => handles.copy(number),
        None => process::copy_own(number),
    };
    let forged = || invalid("the parcel is forged, or has been received already");
    let proof = copy(content.own).map_err(|_| forged())?;
    if content.own == content.memory
        || !process::is_proof(section.as_handle(), proof.as_handle()).map_err(fail)?
    {
        return Err(forged());
    }
    let handle = copy(content.memory).map_err(|_| invalid("the memory is gone"))?;
    let object = Object::from_owned(handle, mode::<A>()).map_err(|failure| match failure.reason {
        Reason::WrongKind => invalid("what was handed over is not a shared memory"),
        _ => fail(failure),
    })?;
    let memory = SharedMemory::from_object(object, None);
    let access = if note.writable { READ_WRITE } else { READ };
    if memory.len() != content.len || content.len != note.len || content.access != access {
        return Err(invalid("the memory is not as long as it says, or its rights are others"));
    }
    if is_ours {
        process::close_received(content.memory, content.own);
    }
    Ok(memory)
}

/// Whether a name is one that `pack` makes.
fn is_of_a_parcel(name: &Name) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
    name.text().strip_prefix(PREFIX).is_some_and(|text| text.len() == 32 && text.bytes().all(is_digit))
}

/// Waits until the giver has written it all.
fn read<A: Access>(section: &SharedMemory<A>, origin: Origin) -> Result<Content, Error> {
    // Whoever made it may have made it as large as he likes.
    let view = section.view_at(0, PARCEL_LEN)?;
    let word = |at: usize| Ok::<u32, Error>(u32::from_le(view.read(at)?));
    let long = |at: usize| Ok::<u64, Error>(u64::from_le(view.read(at)?));
    if word(0)? != MAGIC || word(4)? != VERSION {
        return Err(invalid("the parcel is garbled, or of another version of this library"));
    }
    let giver = Process { id: word(44)?, started: long(56)? };
    let start = Instant::now();
    // (A guarded load, as all reads here: whoever made the section may be anybody.)
    let is_ready = || Ok::<bool, Error>(u32::from_le(view.atomic_u32(8)?.load(Ordering::Acquire)?) == READY);
    while !is_ready()? {
        let in_vain = origin == Origin::Ticket || !giver.is_alive() || start.elapsed() > PATIENCE;
        // It may have done so as its last deed.
        if in_vain && !is_ready()? {
            return Err(invalid("whoever should have handed it over has ended, or is stuck"));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(Content {
        memory: long(16)?,
        own: long(24)?,
        len: long(32)?,
        access: word(12)?,
        holder: Process { id: word(40)?, started: long(48)? },
    })
}

/// A note for a process that runs, into which the memory is put.
pub(super) fn ticket<A: Access>(memory: &SharedMemory<A>, process: u32) -> Result<Note, Error> {
    let receiver = Handles::of(process).map_err(|failure| {
        let error = Error::from_system(Operation::HandOff, failure);
        match failure.reason {
            Reason::Missing => nobody(process),
            Reason::Denied => error.with_detail(format!(
                "the handles of process {process} cannot be reached: it runs as another user or with a higher integrity; \
                 let it make the ticket, or run this as that user"
            )),
            _ => error,
        }
    })?;
    let parcel = Parcel::pack(memory, Some(&receiver))?;
    if receiver.has_ended() || !parcel.put_into(&receiver)? { Err(nobody(process)) } else { Ok(parcel.note) }
}

fn nobody(process: u32) -> Error {
    let detail = format!("there is no process {process}, or it has ended");
    Error::new(Operation::HandOff, ErrorKind::NotFound).with_detail(detail)
}
