//! Other processes: handles into them and out of them, and how they are told from each other.

use std::os::windows::io::{AsHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::process::Child;

use windows_sys::Win32::Foundation as win;
use windows_sys::Win32::System::Threading::{
    PROCESS_DUP_HANDLE, PROCESS_QUERY_LIMITED_INFORMATION, PROCESS_SYNCHRONIZE,
};

use super::memory::granted_access;
use super::{LastError, api};
use crate::sys::{Failure, Reason};

/// The rights of a proof: `DELETE`, which means nothing for a section. Whoever opens one wants to map it or to ask something of
/// it, so no handle that this process has opened has this right alone.
const PROOF: u32 = 0x1_0000;

/// A process, told from others that have had its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) id: u32,
    pub(crate) started: u64,
}

impl Process {
    pub(crate) fn current() -> Result<Self, Failure> {
        let started = api::started(api::current_process())?;
        Ok(Process { id: std::process::id(), started })
    }

    /// Whether it still runs. What cannot be asked counts as running.
    pub(crate) fn is_alive(self) -> bool {
        let open = |access| api::open_process(self.id, access);
        let query = PROCESS_QUERY_LIMITED_INFORMATION;
        match open(query | PROCESS_SYNCHRONIZE).or_else(|_| open(query)) {
            Ok(handle) => {
                api::started(handle.as_handle()).is_ok_and(|started| started == self.started)
                    && api::has_ended(handle.as_handle()).is_ok_and(|ended| !ended)
            }
            Err(LastError(win::ERROR_INVALID_PARAMETER)) => false,
            // Another user's: its start is in the list of processes.
            Err(_) => api::started_by_list(self.id).ok().flatten().is_none_or(|now| now == self.started),
        }
    }
}

/// A process whose handles can be reached.
#[derive(Debug)]
pub(crate) struct Handles {
    process: OwnedHandle,
    pub(crate) who: Process,
}

impl Handles {
    /// Of a child of this process.
    pub(crate) fn of_child(child: &Child) -> Result<Self, Failure> {
        let process = api::duplicate(child.as_handle(), None)?;
        let started = api::started(process.as_handle())?;
        Ok(Handles { process, who: Process { id: child.id(), started } })
    }

    /// Of whoever has this number now.
    pub(crate) fn of(id: u32) -> Result<Self, Failure> {
        let access = PROCESS_DUP_HANDLE | PROCESS_QUERY_LIMITED_INFORMATION;
        // To wait is needed only for a process whose exit code is ambiguous.
        let process = api::open_process(id, access | PROCESS_SYNCHRONIZE);
        let process = process.or_else(|_| api::open_process(id, access)).map_err(|error| match error.0 {
            // That is how it says that there is no such process.
            win::ERROR_INVALID_PARAMETER => Failure { reason: Reason::Missing, ..error.into() },
            _ => error.into(),
        })?;
        let started = api::started(process.as_handle())?;
        Ok(Handles { process, who: Process { id, started } })
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&self) -> bool {
        api::has_ended(self.process.as_handle()).unwrap_or(false)
    }

    /// The SID of its user.
    pub(crate) fn user(&self) -> Result<Vec<u8>, Failure> {
        user_of(self.process.as_handle())
    }

    /// The session that it belongs to, and that of this process.
    pub(crate) fn sessions(&self) -> Result<(u32, u32), Failure> {
        Ok((api::session_of(self.who.id)?, api::session()?))
    }

    /// Puts a handle into it, with the same rights; says which number it has there.
    pub(crate) fn put(&self, handle: BorrowedHandle<'_>) -> Result<u64, Failure> {
        Ok(api::duplicate_into(self.process.as_handle(), handle, None)?)
    }

    /// Puts a handle into it that can do nothing but prove that it was put there.
    pub(crate) fn put_proof(&self, handle: BorrowedHandle<'_>) -> Result<u64, Failure> {
        Ok(api::duplicate_into(self.process.as_handle(), handle, Some(PROOF))?)
    }

    /// Takes a handle back that was put into it, if the process is still there.
    pub(crate) fn take_back(&self, number: u64) {
        drop(api::duplicate_from(self.process.as_handle(), number, true));
    }

    /// A handle of our own to what its handle of this number refers to.
    pub(crate) fn copy(&self, number: u64) -> Result<OwnedHandle, Failure> {
        api::duplicate_from(self.process.as_handle(), number, false).map_err(|error| match error.0 {
            // No such handle any more.
            win::ERROR_INVALID_HANDLE => Failure { reason: Reason::Missing, ..error.into() },
            _ => error.into(),
        })
    }
}

/// The SID of the user of this process.
pub(crate) fn user() -> Result<Vec<u8>, Failure> {
    user_of(api::current_process())
}

fn user_of(process: BorrowedHandle<'_>) -> Result<Vec<u8>, Failure> {
    let token = api::token_of(process)?;
    super::account::user_of(token.as_handle())
}

/// A handle of our own to what the handle of this number in this process refers to.
pub(crate) fn copy_own(number: u64) -> Result<OwnedHandle, Failure> {
    Ok(api::duplicate_from(api::current_process(), number, false)?)
}

/// Takes what a parcel says has been put into this process: closes both numbers, since the caller has copies.
///
/// The caller has proved the parcel (the second number refers to it, by a handle as only the giver makes them), and calls this
/// under the lock under which parcels are taken.
pub(crate) fn drop_delivered(memory: u64, own: u64) {
    for number in [memory, own] {
        // SAFETY: the giver has put these handles into this process for this purpose alone and told nobody else their numbers; the
        // proof shows that they are there still, so nobody has taken them, and nobody else takes them under the lock.
        unsafe { close_own(number) };
    }
}

/// Closes the handle of this number in this process.
///
/// # Safety
///
/// It is open, and nobody in this process owns it or uses it.
unsafe fn close_own(number: u64) {
    let Ok(number) = usize::try_from(number) else { return };
    let handle = core::ptr::without_provenance_mut(number);
    // SAFETY: the contract of this function.
    drop(unsafe { OwnedHandle::from_raw_handle(handle) });
}

/// Whether this handle was made by [`Handles::put_proof`], of this section.
pub(crate) fn is_proof(of: BorrowedHandle<'_>, handle: BorrowedHandle<'_>) -> Result<bool, Failure> {
    Ok(api::same_object(of, handle)? && granted_access(handle)? == PROOF)
}

/// Bytes that nobody can guess.
pub(crate) fn random() -> Result<[u8; 16], Failure> {
    let mut bytes = [0; 16];
    api::random(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_ends_with_the_code_of_a_running_one_has_ended() {
        let mut child = std::process::Command::new("cmd").args(["/c", "exit 259"]).spawn().expect("cmd");
        let handles = Handles::of_child(&child).expect("its handles");
        assert_eq!(child.wait().expect("its end").code(), Some(259));
        assert!(handles.has_ended() && !handles.who.is_alive());
        let own = Process::current().expect("this process");
        assert!(own.is_alive() && !Process { started: own.started + 1, ..own }.is_alive());
    }
}
