//! Hand-off by handles on Windows. The sender duplicates the handle of the region into the receiver, which
//! reads its value from a small named section, the parcel.
//!
//! The value alone would not suffice: a process that can write the text of a ticket could name any handle of
//! the receiver. So the sender also duplicates a handle of the parcel into the receiver, as a proof handle,
//! with a single right that no program opens a section for. The receiver trusts a parcel only if the handle
//! with the value that the parcel names refers to the same section and has exactly this right. Only a process
//! that may duplicate handles into the receiver can bring this about, and such a process has full control
//! over the receiver anyway. The other contents of the parcel are protected by its access control list, by
//! which only its creator can write. The proof handle also keeps the name of the parcel alive, so the sender
//! may end.
//!
//! The bytes of the parcel, little-endian: 0 magic, 4 version, 8 state, 12 access, 16 value of the handle of
//! the region, 24 value of the handle of the parcel, 32 length, 40 process id of the holder, 44 that of the
//! sender, 48 creation time of the holder, 56 that of the sender.

use std::os::windows::io::{AsHandle, OwnedHandle};
use std::process::{Child, Command};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Origin;
use super::note::{Note, Way};
use crate::access::{Access, ReadWrite, mode, writes_through};
use crate::error::{Error, ErrorKind, Operation};
use crate::memory::SharedMemory;
use crate::name::Name;
use crate::options::OpenOptions;
use crate::security::Security;
use crate::sys::process::{self, Handles, Process};
use crate::sys::{Failure, Object, Reason};

/// The prefix of the names of parcels, which 32 hexadecimal digits follow.
const PREFIX: &str = "mmf.handoff.";
const PARCEL_LEN: usize = 64;
const MAGIC: u32 = u32::from_le_bytes(*b"MMFP");
const VERSION: u32 = 1;
/// The state of a complete parcel. It is 0 before.
const READY: u32 = 1;
const READ: u32 = 1;
const READ_WRITE: u32 = 3;

/// How long a receiver waits for a live sender to complete the parcel.
const READY_TIMEOUT: Duration = Duration::from_secs(30);

/// A region to be handed to another process.
#[derive(Debug)]
pub(super) struct Parcel {
    note: Note,
    section: SharedMemory<ReadWrite>,
    memory: OwnedHandle,
}

impl Parcel {
    /// Prepares the hand-off to the next child of a command.
    pub(super) fn new<A: Access>(_command: &mut Command, memory: &SharedMemory<A>) -> Result<Self, Error> {
        Parcel::pack(memory, None)
    }

    /// Creates the parcel. Only its creator can write to it. The current user and the user of the receiver
    /// may read it.
    fn pack<A: Access>(memory: &SharedMemory<A>, receiver: Option<&Handles>) -> Result<Self, Error> {
        let right = memory.right();
        let fail = |failure: Failure| right.error(Operation::HandOff, failure);
        let random = process::random().map_err(fail)?;
        let text: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        // A receiver in another session sees only global names.
        let is_elsewhere = match receiver.map(Handles::sessions).transpose().map_err(fail)? {
            Some((theirs, ours)) => theirs != ours,
            None => false,
        };
        let name = format!(r"{}\{PREFIX}{text}", if is_elsewhere { "Global" } else { "Local" });
        // A child runs as the user of this process, even if this thread impersonates another one.
        let reader = receiver.map_or_else(process::user, Handles::user).map_err(fail)?;
        let security = Security::readable_only(Some(&reader), Operation::HandOff)?;
        let section = OpenOptions::new().len(PARCEL_LEN as u64).security(security).create(&*name)?;
        let sender = Process::current().map_err(fail)?;
        let view = section.view()?;
        view.write(&MAGIC.to_le(), 0)?;
        view.write(&VERSION.to_le(), 4)?;
        view.write(&(if writes_through::<A>() { READ_WRITE } else { READ }).to_le(), 12)?;
        let len = right.len().map_err(fail)?;
        view.write(&len.to_le(), 32)?;
        view.write(&sender.id.to_le(), 44)?;
        view.write(&sender.started.to_le(), 56)?;
        let memory_handle = right.object.to_owned_handle().map_err(fail)?;
        let note = Note { way: Way::Parcel { name }, len, writable: writes_through::<A>() };
        Ok(Parcel { note, section, memory: memory_handle })
    }

    pub(super) fn note(&self) -> &Note {
        &self.note
    }

    /// Hands the region to the child, which has been started.
    pub(super) fn deliver(&self, child: &Child) -> Result<(), Error> {
        let fail = |failure| Error::from_system(Operation::HandOff, failure);
        // (The result does not matter: a child that has ended needs no region.)
        self.put_into(&Handles::of_child(child).map_err(fail)?).map(|_| ())
    }

    /// Duplicates the handles of the region and of the parcel into the receiver, which owns them from then
    /// on. Returns false if the receiver has ended.
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

/// The contents of a parcel.
struct Content {
    memory: u64,
    own: u64,
    len: u64,
    access: u32,
    holder: Process,
}

/// Receives the region that a note describes.
pub(super) fn take<A: Access>(note: &Note, origin: Origin) -> Result<SharedMemory<A>, Error> {
    /// Held by one receiving thread at a time. No other thread may receive the handles between their
    /// verification and their closing.
    static RECEIVING: Mutex<()> = Mutex::new(());

    let Way::Parcel { name } = &note.way else { return Err(invalid("it was created on Unix")) };
    let name = Name::new(name)
        .ok()
        .filter(is_of_a_parcel)
        .ok_or_else(|| invalid("its parcel has an invalid name"))?;
    let fail = |failure: Failure| Error::from_system(Operation::Receive, failure);
    let _receiving = RECEIVING.lock().unwrap_or_else(PoisonError::into_inner);
    let section = SharedMemory::open_read_only(&name).map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            invalid("it has been received already, or its sender ended before it was delivered")
        }
        _ => invalid(&format!("cannot open its parcel: {}", error.fact())),
    })?;
    let content = read(&section, origin).map_err(|error| match error.kind() {
        ErrorKind::InvalidTicket => error,
        _ => invalid(&format!("cannot read its parcel: {}", error.fact())),
    })?;
    let us = Process::current().map_err(fail)?;
    let is_ours = content.holder == us;
    let handles = if is_ours {
        None
    } else if origin == Origin::Ticket {
        return Err(invalid("it is for another process"));
    } else {
        // The region was handed to the process that has started this one, such as a shell.
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
    let forged = || invalid("its parcel is forged, or it has been received already");
    let proof = copy(content.own).map_err(|_| forged())?;
    if content.own == content.memory
        || !process::is_proof(section.as_handle(), proof.as_handle()).map_err(fail)?
    {
        return Err(forged());
    }
    let handle = copy(content.memory).map_err(|_| invalid("its region does not exist any more"))?;
    let object = Object::from_owned(handle, mode::<A>()).map_err(|failure| match failure.reason {
        Reason::WrongKind => invalid("its handle is not that of a shared memory region"),
        _ => fail(failure),
    })?;
    let memory = SharedMemory::from_object(object).map_err(fail)?;
    let access = if note.writable { READ_WRITE } else { READ };
    if memory.right().len().map_err(fail)? != content.len
        || content.len != note.len
        || content.access != access
    {
        return Err(invalid("the length or the access rights of the region differ"));
    }
    if is_ours {
        process::close_received(content.memory, content.own);
    }
    Ok(memory)
}

/// Whether [`Parcel::pack`] creates such names.
fn is_of_a_parcel(name: &Name) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
    name.text().strip_prefix(PREFIX).is_some_and(|text| text.len() == 32 && text.bytes().all(is_digit))
}

/// Waits until the sender has completed the parcel, and reads it.
fn read<A: Access>(section: &SharedMemory<A>, origin: Origin) -> Result<Content, Error> {
    // The section may be of any size, because any process may have created it.
    let view = section.view_at(0, PARCEL_LEN)?;
    let word = |at: usize| Ok::<u32, Error>(u32::from_le(view.read(at)?));
    let long = |at: usize| Ok::<u64, Error>(u64::from_le(view.read(at)?));
    if word(0)? != MAGIC || word(4)? != VERSION {
        return Err(invalid("its parcel is malformed, or of another version of this library"));
    }
    let sender = Process { id: word(44)?, started: long(56)? };
    let start = Instant::now();
    // (A guarded load, as all reads here, because any process may have created the section.)
    let is_ready = || Ok::<bool, Error>(u32::from_le(view.atomic_u32(8)?.load(Ordering::Acquire)?) == READY);
    while !is_ready()? {
        let is_hopeless = origin == Origin::Ticket || !sender.is_alive() || start.elapsed() > READY_TIMEOUT;
        // The sender may have completed the parcel just before.
        if is_hopeless && !is_ready()? {
            return Err(invalid("its sender has ended or hangs, and has not completed the parcel"));
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

/// Hands the region to a running process, and returns the note for it.
pub(super) fn ticket<A: Access>(memory: &SharedMemory<A>, process: u32) -> Result<Note, Error> {
    let receiver = Handles::of(process).map_err(|failure| {
        let error = Error::from_system(Operation::HandOff, failure);
        match failure.reason {
            Reason::Missing => no_process(process),
            Reason::Denied => error.with_detail(format!(
                "cannot access the handles of process {process}, which runs as another user or at a higher \
                 integrity level; create the ticket in that process, or run this program as that user"
            )),
            _ => error,
        }
    })?;
    let parcel = Parcel::pack(memory, Some(&receiver))?;
    let is_running = !receiver.has_ended() && parcel.put_into(&receiver)?;
    if is_running { Ok(parcel.note) } else { Err(no_process(process)) }
}

fn no_process(process: u32) -> Error {
    let detail = format!("no process has the id {process}, or it has ended");
    Error::new(Operation::HandOff, ErrorKind::NotFound).with_detail(detail)
}
