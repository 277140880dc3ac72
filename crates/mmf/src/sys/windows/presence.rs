//! Who is still there: places that the kernel holds for a process as long as it lives, and what it says of processes.

use std::os::windows::io::{AsHandle, BorrowedHandle, OwnedHandle};
use std::sync::{Mutex, PoisonError};

use windows_sys::Win32::Foundation as win;
use windows_sys::Win32::System::Threading::{PROCESS_QUERY_LIMITED_INFORMATION, PROCESS_SYNCHRONIZE};

use super::memory::Object;
use super::wait::Family;
use super::{LastError, api, security};
use crate::sys::Failure;

/// The places of one segment, as one of its holders sees and claims them.
///
/// A place is a named event, and claiming is making it: it goes when its maker's handle does, however the process ends. Others have it open
/// only for the moment of a look.
#[derive(Debug)]
pub(crate) struct Presence {
    family: Family,
    claimed: Mutex<Vec<(u32, OwnedHandle)>>,
}

impl Presence {
    pub(crate) fn new(_: &Object, family: &Family, _: bool) -> Self {
        Presence { family: family.clone(), claimed: Mutex::default() }
    }

    /// Claims a place. `None` if the kernel cannot hold it (in `Global\`, without the privilege to make names); `Some(false)` if
    /// somebody else has it.
    pub(crate) fn claim(&self, place: u32) -> Option<bool> {
        let name = self.family.name('p', u64::from(place)).ok()?;
        let made = security::with_attributes_to_wait(self.family.protection(), |attributes| {
            // SAFETY: the attributes are valid during this call.
            unsafe { api::create_event(attributes, &name) }
        });
        match made {
            Ok((handle, true)) => {
                self.claimed.lock().unwrap_or_else(PoisonError::into_inner).push((place, handle));
                Some(true)
            }
            Ok((_, false)) => Some(false),
            // There may be one that does not let us in; or none may be made.
            Err(LastError(win::ERROR_ACCESS_DENIED)) => match api::open_event(&name) {
                Err(LastError(win::ERROR_FILE_NOT_FOUND)) => None,
                _ => Some(false),
            },
            Err(_) => None,
        }
    }

    /// Gives a place back that this one has claimed.
    pub(crate) fn release(&self, place: u32) {
        self.claimed.lock().unwrap_or_else(PoisonError::into_inner).retain(|(claimed, _)| *claimed != place);
    }

    /// Whether somebody holds a place. `None` if that cannot be asked.
    pub(crate) fn is_claimed(&self, place: u32) -> Option<bool> {
        let name = self.family.name('p', u64::from(place)).ok()?;
        match api::open_event(&name) {
            Ok(_) | Err(LastError(win::ERROR_ACCESS_DENIED)) => Some(true),
            Err(LastError(win::ERROR_FILE_NOT_FOUND)) => Some(false),
            Err(_) => None,
        }
    }
}

/// A process that can be waited for.
#[derive(Debug)]
pub(crate) struct Watch(OwnedHandle);

impl Watch {
    pub(super) fn as_handle(&self) -> BorrowedHandle<'_> {
        self.0.as_handle()
    }
}

/// What the system says of a process.
#[derive(Debug)]
pub(crate) enum Life {
    /// There is none of this id; or it is another one; or it has ended.
    Ended,
    /// It is there. It may be possible to wait for its end.
    Alive(Option<Watch>),
    Unknown,
}

/// Asks about a process; `started` is 0 if that is not known.
pub(crate) fn life(id: u32, started: u64, _: u64) -> Life {
    let access = PROCESS_SYNCHRONIZE | PROCESS_QUERY_LIMITED_INFORMATION;
    match api::open_process(id, access) {
        Ok(handle) => {
            if started != 0 && api::started(handle.as_handle()).is_ok_and(|now| now != started) {
                return Life::Ended;
            }
            match api::wait_for_any(&[handle.as_handle()], 0) {
                Ok(true) => Life::Ended,
                Ok(false) => Life::Alive(Some(Watch(handle))),
                Err(_) => Life::Unknown,
            }
        }
        Err(LastError(win::ERROR_INVALID_PARAMETER)) => Life::Ended,
        Err(_) => Life::Unknown,
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

/// When this process was started, as [`life`] wants it.
pub(crate) fn started() -> u64 {
    api::started(api::current_process()).unwrap_or(0)
}

/// All processes of a machine are in one.
pub(crate) fn this_namespace() -> u64 {
    0
}

/// No process becomes another one here.
pub(crate) fn notice_forks() {}

#[inline]
pub(crate) fn forks() -> u32 {
    0
}

/// Bytes that nobody can guess.
pub(crate) fn random() -> Result<[u8; 16], Failure> {
    super::process::random()
}
