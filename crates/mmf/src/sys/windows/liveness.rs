//! The liveness of participants: slots that the kernel holds for a process as long as it runs, and the state
//! of processes.

use std::cell::RefCell;
use std::os::windows::io::{AsHandle, BorrowedHandle, OwnedHandle};

use windows_sys::Win32::Foundation as win;
use windows_sys::Win32::System::Threading::{PROCESS_QUERY_LIMITED_INFORMATION, PROCESS_SYNCHRONIZE};

use super::memory::Object;
use super::process::Process;
use super::segment_objects::SegmentObjects;
use super::{LastError, api, process, security};
use crate::sys::{Claimed, Failure, ProcessIdentity};

/// The slots of one segment, for queries.
///
/// A slot is a named event, and a participant claims the slot by creating the event: the event disappears
/// with the handle of its creator, however the process ends. Other processes open it only for the moment of a
/// query.
///
/// The event only shows that a participant is alive. The owner of a slot is determined by the claim in the
/// region, which requires the right to write. So a process that creates events of these names without being a
/// participant keeps no participant out.
#[derive(Debug)]
pub(crate) struct Slots {
    objects: SegmentObjects,
}

impl Slots {
    /// Returns the slots whose events belong to `objects`.
    pub(crate) fn new(objects: &SegmentObjects) -> Self {
        Slots { objects: objects.clone() }
    }

    /// Whether the kernel holds a slot for any process, or `None` if the query fails.
    pub(crate) fn is_held(&self, _: &Object, slot: u32) -> Option<bool> {
        self.event_exists(slot)
    }

    fn event_exists(&self, slot: u32) -> Option<bool> {
        let name = self.objects.name('p', u64::from(slot)).ok()?;
        match api::open_event(name.as_wide()) {
            Ok(_) | Err(LastError(win::ERROR_ACCESS_DENIED)) => Some(true),
            // An object of another type has the name, so no event has it.
            Err(LastError(win::ERROR_FILE_NOT_FOUND | win::ERROR_INVALID_HANDLE)) => Some(false),
            Err(_) => None,
        }
    }

    /// Returns an object that can claim slots.
    #[allow(clippy::unnecessary_wraps, reason = "as on Unix")]
    pub(crate) fn claimer(&self, _: &Object) -> Result<SlotClaimer, Failure> {
        Ok(SlotClaimer { objects: self.objects.clone(), claimed: RefCell::default() })
    }
}

/// The slots that are being claimed. When this value is dropped, it releases those that are not kept.
#[derive(Debug)]
pub(crate) struct SlotClaimer {
    objects: SegmentObjects,
    claimed: RefCell<Vec<(u32, OwnedHandle)>>,
}

impl SlotClaimer {
    /// Tries to claim a slot.
    pub(crate) fn claim(&self, slot: u32) -> Claimed {
        let Ok(name) = self.objects.name('p', u64::from(slot)) else { return Claimed::Impossible };
        let created = security::with_attributes_to_wait(self.objects.protection(), |attributes| {
            api::create_event(attributes, name.as_wide())
        });
        match created {
            Ok((handle, true)) => {
                self.claimed.borrow_mut().push((slot, handle));
                Claimed::Held
            }
            Ok((_, false)) => Claimed::Taken,
            // Either the event exists and this process has no right to open it, or this process may not
            // create it (in `Global\`, without the privilege to create names).
            Err(LastError(win::ERROR_ACCESS_DENIED)) => match api::open_event(name.as_wide()) {
                Err(LastError(win::ERROR_FILE_NOT_FOUND)) => Claimed::Impossible,
                _ => Claimed::Taken,
            },
            Err(_) => Claimed::Impossible,
        }
    }

    /// Releases a claimed slot.
    pub(crate) fn release(&self, slot: u32) {
        self.claimed.borrow_mut().retain(|(claimed, _)| *claimed != slot);
    }

    /// Keeps the claimed slots until the returned value is dropped.
    #[allow(clippy::unnecessary_wraps, reason = "as on Unix")]
    pub(crate) fn keep(self) -> Result<HeldSlots, Failure> {
        Ok(HeldSlots { _claimed: self.claimed.into_inner() })
    }
}

/// The slots that the kernel holds for this process.
#[derive(Debug)]
pub(crate) struct HeldSlots {
    _claimed: Vec<(u32, OwnedHandle)>,
}

/// A process whose end can be waited for.
#[derive(Debug)]
pub(crate) struct ProcessHandle(OwnedHandle);

impl ProcessHandle {
    pub(super) fn as_handle(&self) -> BorrowedHandle<'_> {
        self.0.as_handle()
    }
}

/// The state of a process.
#[derive(Debug)]
pub(crate) enum ProcessState {
    /// The process has ended: no process has its id, or another process has it.
    Ended,
    /// The process is running. If the caller has the right, it can wait for the end of the process.
    Alive(Option<ProcessHandle>),
    Unknown,
}

/// Queries the state of a process. (Also of a process that the kernel holds a slot for, so that its end can
/// be waited for.)
pub(crate) fn process_state(process: &ProcessIdentity, _: bool) -> ProcessState {
    let ProcessIdentity { id, started, .. } = *process;
    let access = PROCESS_SYNCHRONIZE | PROCESS_QUERY_LIMITED_INFORMATION;
    match api::open_process(id, access) {
        Ok(handle) => {
            if started != 0
                && api::get_process_times_creation(handle.as_handle()).is_ok_and(|now| now != started)
            {
                return ProcessState::Ended;
            }
            match api::wait_for_multiple_objects(&[handle.as_handle()], 0) {
                Ok(true) => ProcessState::Ended,
                Ok(false) => ProcessState::Alive(Some(ProcessHandle(handle))),
                Err(_) => ProcessState::Unknown,
            }
        }
        Err(LastError(win::ERROR_INVALID_PARAMETER)) => ProcessState::Ended,
        // A process of another user. Its creation time is in the list of processes, which can be queried
        // without a right to them.
        Err(_) => state_by_list(started, process::listed_start(id).ok().flatten()),
    }
}

/// Determines the state of a process by its creation time in the list of processes. (A list may be
/// incomplete, so a missing process proves nothing.)
fn state_by_list(started: u64, listed: Option<u64>) -> ProcessState {
    match listed {
        Some(now) if started != 0 && now != started => ProcessState::Ended,
        Some(_) => ProcessState::Alive(None),
        None => ProcessState::Unknown,
    }
}

/// Returns the file name of the program of a process, if the process with this id has this creation time.
pub(crate) fn program(id: u32, started: u64) -> Option<String> {
    // The open handle keeps the id from being reused.
    let process = api::open_process(id, PROCESS_QUERY_LIMITED_INFORMATION).ok()?;
    if api::get_process_times_creation(process.as_handle()).ok()? != started {
        return None;
    }
    let path = api::query_full_process_image_name(process.as_handle()).ok()?;
    path.rsplit('\\').next().map(str::to_owned)
}

/// Returns the properties by which other processes identify this one.
pub(crate) fn identity() -> ProcessIdentity {
    let started = Process::current().map_or(0, |process| process.started);
    ProcessIdentity { id: std::process::id(), started, ..ProcessIdentity::default() }
}

/// Returns 0, since Windows has no forks.
#[inline]
pub(crate) fn fork_epoch() -> u32 {
    0
}

/// Returns unpredictable bytes.
pub(crate) fn random() -> Result<[u8; 16], Failure> {
    process::random()
}

#[cfg(test)]
mod tests;
