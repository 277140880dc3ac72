//! Which participants are alive: slots that the kernel holds for a process as long as it lives, and what the kernel knows about processes.

use std::cell::RefCell;
use std::os::windows::io::{AsHandle, BorrowedHandle, OwnedHandle};

use windows_sys::Win32::Foundation as win;
use windows_sys::Win32::System::Threading::{PROCESS_QUERY_LIMITED_INFORMATION, PROCESS_SYNCHRONIZE};

use super::memory::Object;
use super::wait::SegmentObjects;
use super::{LastError, api, security};
use crate::sys::{Claimed, Failure, ProcessIdentity};

/// The slots of one segment, as they can be asked about.
///
/// A slot is a named event, and claiming it is creating the event: it goes with its creator's handle, however the process ends. Others
/// have it open only for the moment in which they check it.
///
/// The event only says that a participant is alive. Which participant has a slot is decided by the claim in the region, which takes the
/// right to write: so a process that creates events of these names without being a participant keeps none out.
#[derive(Debug)]
pub(crate) struct Slots {
    family: SegmentObjects,
}

impl Slots {
    pub(crate) fn new(family: &SegmentObjects) -> Self {
        Slots { family: family.clone() }
    }

    /// Whether the kernel holds a slot for any process. `None` if that cannot be asked.
    pub(crate) fn is_held(&self, _: &Object, slot: u32) -> Option<bool> {
        self.is_event_there(slot)
    }

    fn is_event_there(&self, slot: u32) -> Option<bool> {
        let name = self.family.name('p', u64::from(slot)).ok()?;
        match api::open_event(&name) {
            Ok(_) | Err(LastError(win::ERROR_ACCESS_DENIED)) => Some(true),
            // An object of another kind has the name, so no event does.
            Err(LastError(win::ERROR_FILE_NOT_FOUND | win::ERROR_INVALID_HANDLE)) => Some(false),
            Err(_) => None,
        }
    }

    /// What slots are claimed with.
    #[allow(clippy::unnecessary_wraps, reason = "as on Unix")]
    pub(crate) fn claimer(&self, _: &Object) -> Result<SlotClaimer, Failure> {
        Ok(SlotClaimer { family: self.family.clone(), claimed: RefCell::default() })
    }
}

/// What slots are claimed with, for a moment. What it has claimed and nobody keeps is given up when it is dropped.
#[derive(Debug)]
pub(crate) struct SlotClaimer {
    family: SegmentObjects,
    claimed: RefCell<Vec<(u32, OwnedHandle)>>,
}

impl SlotClaimer {
    pub(crate) fn claim(&self, slot: u32) -> Claimed {
        let Ok(name) = self.family.name('p', u64::from(slot)) else { return Claimed::Impossible };
        let made = security::with_attributes_to_wait(self.family.protection(), |attributes| {
            // SAFETY: the attributes are valid during this call.
            unsafe { api::create_event(attributes, &name) }
        });
        match made {
            Ok((handle, true)) => {
                self.claimed.borrow_mut().push((slot, handle));
                Claimed::Held
            }
            Ok((_, false)) => Claimed::Taken,
            // An event may exist that this process may not open; or it may create none (in `Global\`, without the privilege to create
            // names).
            Err(LastError(win::ERROR_ACCESS_DENIED)) => match api::open_event(&name) {
                Err(LastError(win::ERROR_FILE_NOT_FOUND)) => Claimed::Impossible,
                _ => Claimed::Taken,
            },
            Err(_) => Claimed::Impossible,
        }
    }

    /// Gives up a slot that this one has claimed.
    pub(crate) fn release(&self, slot: u32) {
        self.claimed.borrow_mut().retain(|(claimed, _)| *claimed != slot);
    }

    /// Keeps what is claimed until it is dropped.
    #[allow(clippy::unnecessary_wraps, reason = "as on Unix")]
    pub(crate) fn keep(self) -> Result<HeldSlots, Failure> {
        Ok(HeldSlots { _claimed: self.claimed.into_inner() })
    }
}

/// A slot that the kernel holds for this process.
#[derive(Debug)]
pub(crate) struct HeldSlots {
    _claimed: Vec<(u32, OwnedHandle)>,
}

/// A process that can be waited for.
#[derive(Debug)]
pub(crate) struct ProcessHandle(OwnedHandle);

impl ProcessHandle {
    pub(super) fn as_handle(&self) -> BorrowedHandle<'_> {
        self.0.as_handle()
    }
}

/// What the system says of a process.
#[derive(Debug)]
pub(crate) enum ProcessState {
    /// There is none of this id; or it is another one; or it has ended.
    Ended,
    /// It is there. It may be possible to wait for its end.
    Alive(Option<ProcessHandle>),
    Unknown,
}

/// Asks about a process. (Also about one that the kernel holds a slot for: so its end can be waited for.)
pub(crate) fn process_state(process: &ProcessIdentity, _: bool) -> ProcessState {
    let ProcessIdentity { id, started, .. } = *process;
    let access = PROCESS_SYNCHRONIZE | PROCESS_QUERY_LIMITED_INFORMATION;
    match api::open_process(id, access) {
        Ok(handle) => {
            if started != 0 && api::started(handle.as_handle()).is_ok_and(|now| now != started) {
                return ProcessState::Ended;
            }
            match api::wait_for_any(&[handle.as_handle()], 0) {
                Ok(true) => ProcessState::Ended,
                Ok(false) => ProcessState::Alive(Some(ProcessHandle(handle))),
                Err(_) => ProcessState::Unknown,
            }
        }
        Err(LastError(win::ERROR_INVALID_PARAMETER)) => ProcessState::Ended,
        // Another user's. Its start is in the list of processes, which needs no right to any of them.
        Err(_) => state_by_list(started, api::started_by_list(id).ok().flatten()),
    }
}

/// By when the list of processes says that the process of this id was started. (A list may be incomplete, so a missing process
/// proves nothing.)
fn state_by_list(started: u64, listed: Option<u64>) -> ProcessState {
    match listed {
        Some(now) if started != 0 && now != started => ProcessState::Ended,
        Some(_) => ProcessState::Alive(None),
        None => ProcessState::Unknown,
    }
}

/// What the program's file is called that a process runs, if it still is the one that was started then.
pub(crate) fn program(id: u32, started: u64) -> Option<String> {
    // As long as there is a handle, no other process gets the number.
    let process = api::open_process(id, PROCESS_QUERY_LIMITED_INFORMATION).ok()?;
    if api::started(process.as_handle()).ok()? != started {
        return None;
    }
    let path = api::program(process.as_handle()).ok()?;
    path.rsplit('\\').next().map(str::to_owned)
}

/// What others can tell this process by.
pub(crate) fn identity() -> ProcessIdentity {
    let started = api::started(api::current_process()).unwrap_or(0);
    ProcessIdentity { id: std::process::id(), started, ..ProcessIdentity::default() }
}

/// No process becomes another one here.
#[inline]
pub(crate) fn fork_epoch() -> u32 {
    0
}

/// Bytes that nobody can guess.
pub(crate) fn random() -> Result<[u8; 16], Failure> {
    super::process::random()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_processes_knows_when_each_was_started() {
        let own = identity().started;
        assert_ne!(own, 0);
        assert_eq!(api::started_by_list(std::process::id()), Ok(Some(own)));
        // (Ids are multiples of four.)
        assert_eq!(api::started_by_list(3), Ok(None));
        assert!(matches!(state_by_list(own, Some(own)), ProcessState::Alive(None)));
        assert!(matches!(state_by_list(0, Some(own)), ProcessState::Alive(None)));
        assert!(matches!(state_by_list(own, Some(own + 1)), ProcessState::Ended));
        assert!(matches!(state_by_list(own, None), ProcessState::Unknown));
    }

    #[test]
    fn an_event_of_another_process_keeps_no_participant_out() {
        let mut id = [0xa5; 16];
        id[..4].copy_from_slice(&std::process::id().to_le_bytes());
        let family = SegmentObjects::new(None, None, id);
        let presence = Slots::new(&family);
        let claimer = || SlotClaimer { family: family.clone(), claimed: RefCell::default() };
        let (first, second) = (claimer(), claimer());
        assert_eq!(presence.is_event_there(1), Some(false));
        assert_eq!((first.claim(1), presence.is_event_there(1)), (Claimed::Held, Some(true)));
        // It may be a participant's: another slot is better. But if there is none, this one is claimed without the kernel.
        assert_eq!((second.claim(1), second.claim(2)), (Claimed::Taken, Claimed::Held));
        first.release(1);
        assert_eq!((second.claim(1), presence.is_event_there(1)), (Claimed::Held, Some(true)));
        let hold = second.keep().unwrap();
        assert_eq!(presence.is_event_there(1), Some(true));
        drop(hold);
        assert_eq!(presence.is_event_there(1), Some(false));
    }
}
