//! Other processes: their identity, and duplicating handles into them and out of them.

use std::os::windows::io::{AsHandle, BorrowedHandle, OwnedHandle};
use std::process::Child;

use windows_sys::Win32::Foundation as win;
use windows_sys::Win32::Security::TOKEN_QUERY;
use windows_sys::Win32::System::Threading::{
    PROCESS_DUP_HANDLE, PROCESS_QUERY_LIMITED_INFORMATION, PROCESS_SYNCHRONIZE,
};
use zerocopy::IntoBytes;

use super::reply::with_buffer;
use super::{LastError, account, api};
pub(crate) use crate::sys::Process;
use crate::sys::{Failure, Reason};

/// The rights of a proof handle: `DELETE`, which permits nothing for a section. A program opens a section to
/// map or to query it, so no handle that this process has opened has this right alone.
const PROOF: u32 = 0x1_0000;

impl Process {
    pub(crate) fn current() -> Result<Self, Failure> {
        let started = api::get_process_times_creation(api::get_current_process())?;
        Ok(Process { id: std::process::id(), started })
    }

    /// Whether the process is running. A process that cannot be queried is assumed to be running.
    pub(crate) fn is_alive(self) -> bool {
        let open = |access| api::open_process(self.id, access);
        let query = PROCESS_QUERY_LIMITED_INFORMATION;
        match open(query | PROCESS_SYNCHRONIZE).or_else(|_| open(query)) {
            Ok(handle) => {
                api::get_process_times_creation(handle.as_handle()).is_ok_and(|now| now == self.started)
                    && has_ended(handle.as_handle()).is_ok_and(|ended| !ended)
            }
            Err(LastError(win::ERROR_INVALID_PARAMETER)) => false,
            // A process of another user. Its creation time is in the list of processes.
            Err(_) => listed_start(self.id).ok().flatten().is_none_or(|now| now == self.started),
        }
    }
}

/// Returns the creation time of the process with this id, in units of 100 ns, from the list of processes.
/// This needs no right to the process.
pub(super) fn listed_start(id: u32) -> Result<Option<u64>, LastError> {
    // SYSTEM_PROCESS_INFORMATION of winternl.h: the offset of the next entry, the number of threads and six
    // further 64-bit words, of which the fourth is the creation time; then the name, a priority and the id,
    // whose offsets depend on the size of pointers.
    const STARTED_AT: usize = 32;
    const ID_AT: usize = if size_of::<usize>() == 8 { 80 } else { 68 };
    let (words, ()) = with_buffer(32 << 10, api::nt_query_system_information_processes)?;
    let bytes = words.as_bytes();
    let number =
        |at: usize| bytes.get(at..).and_then(<[u8]>::first_chunk).map(|bytes| u32::from_le_bytes(*bytes));
    let mut at = 0;
    loop {
        if number(at + ID_AT) == Some(id) {
            let started = bytes.get(at + STARTED_AT..).and_then(<[u8]>::first_chunk);
            return Ok(started.map(|bytes| u64::from_le_bytes(*bytes)));
        }
        match number(at).and_then(|next| usize::try_from(next).ok()) {
            Some(next) if next > 0 => at += next,
            _ => return Ok(None),
        }
    }
}

/// Whether a process has ended. A process can exit with the code of a running one (259). A wait distinguishes
/// the two, if the handle has the right to wait.
fn has_ended(process: BorrowedHandle<'_>) -> Result<bool, LastError> {
    let code = api::get_exit_code_process(process)?;
    let is_ambiguous = i32::from_ne_bytes(code.to_ne_bytes()) == win::STILL_ACTIVE;
    Ok(!is_ambiguous || api::wait_for_multiple_objects(&[process], 0).unwrap_or(false))
}

/// A process with access to its handles.
#[derive(Debug)]
pub(crate) struct Handles {
    process: OwnedHandle,
    pub(crate) owner: Process,
}

impl Handles {
    /// Accesses a child of this process.
    pub(crate) fn of_child(child: &Child) -> Result<Self, Failure> {
        let process = api::duplicate_handle(child.as_handle(), None)?;
        let started = api::get_process_times_creation(process.as_handle())?;
        Ok(Handles { process, owner: Process { id: child.id(), started } })
    }

    /// Accesses the process that has this id now.
    pub(crate) fn of(id: u32) -> Result<Self, Failure> {
        let access = PROCESS_DUP_HANDLE | PROCESS_QUERY_LIMITED_INFORMATION;
        // The right to wait is needed only for a process with an ambiguous exit code.
        let process = api::open_process(id, access | PROCESS_SYNCHRONIZE);
        let process = process.or_else(|_| api::open_process(id, access)).map_err(|error| match error.0 {
            // The error for an id that no process has.
            win::ERROR_INVALID_PARAMETER => Failure { reason: Reason::Missing, ..error.into() },
            _ => error.into(),
        })?;
        let started = api::get_process_times_creation(process.as_handle())?;
        Ok(Handles { process, owner: Process { id, started } })
    }

    /// Whether the process has ended.
    pub(crate) fn has_ended(&self) -> bool {
        has_ended(self.process.as_handle()).unwrap_or(false)
    }

    /// Returns the SID of the user of the process.
    pub(crate) fn user(&self) -> Result<Vec<u8>, Failure> {
        user_of(self.process.as_handle())
    }

    /// Returns the session of the process, and that of this process.
    pub(crate) fn sessions(&self) -> Result<(u32, u32), Failure> {
        Ok((api::process_id_to_session_id(self.owner.id)?, session()?))
    }

    /// Duplicates a handle into the process, with the same rights. Returns its value there.
    pub(crate) fn put(&self, handle: BorrowedHandle<'_>) -> Result<u64, Failure> {
        Ok(api::duplicate_handle_into(self.process.as_handle(), handle, None)?)
    }

    /// Duplicates a handle into the process as a proof handle, which permits nothing and proves that this
    /// function put it there.
    pub(crate) fn put_proof(&self, handle: BorrowedHandle<'_>) -> Result<u64, Failure> {
        Ok(api::duplicate_handle_into(self.process.as_handle(), handle, Some(PROOF))?)
    }

    /// Closes a handle in the process that [`put`](Handles::put) has created and whose value the process does
    /// not know, if the process still exists.
    pub(crate) fn take_back(&self, value: u64) {
        // SAFETY: the caller has put the handle there, and no other process knows its value, so the handle
        // has no owner.
        drop(unsafe { api::duplicate_handle_close_source(self.process.as_handle(), value) });
    }

    /// Duplicates a handle of the process into this one.
    pub(crate) fn copy(&self, value: u64) -> Result<OwnedHandle, Failure> {
        api::duplicate_handle_from(self.process.as_handle(), value).map_err(|error| match error.0 {
            // The process has closed the handle.
            win::ERROR_INVALID_HANDLE => Failure { reason: Reason::Missing, ..error.into() },
            _ => error.into(),
        })
    }
}

/// Returns the session of this process.
pub(super) fn session() -> Result<u32, LastError> {
    api::process_id_to_session_id(std::process::id())
}

/// Returns the SID of the user of this process.
pub(crate) fn user() -> Result<Vec<u8>, Failure> {
    user_of(api::get_current_process())
}

fn user_of(process: BorrowedHandle<'_>) -> Result<Vec<u8>, Failure> {
    let token = api::open_process_token(process, TOKEN_QUERY)?;
    account::user_of(token.as_handle())
}

/// Duplicates the handle of this process that has this value.
pub(crate) fn copy_own(value: u64) -> Result<OwnedHandle, Failure> {
    Ok(api::duplicate_handle_from(api::get_current_process(), value)?)
}

/// Closes the handles that a parcel has put into this process: those of the region and of the parcel. The
/// caller has duplicated them.
///
/// The caller has verified the parcel: the second value is that of a proof handle of the parcel, which only
/// its sender creates. The caller holds the lock under which parcels are received.
pub(crate) fn close_received(region: u64, parcel: u64) {
    for value in [region, parcel] {
        // SAFETY: the sender has put these handles into this process for this purpose alone, and their values
        // are only in the parcel. The proof handle shows that they have not been received yet, and the lock
        // keeps other threads from receiving them. So they are open and have no owner.
        unsafe { api::close_handle(value) };
    }
}

/// Whether `handle` was created by [`Handles::put_proof`] from the section `of`.
pub(crate) fn is_proof(of: BorrowedHandle<'_>, handle: BorrowedHandle<'_>) -> Result<bool, Failure> {
    Ok(api::compare_object_handles(of, handle)? && api::nt_query_object_granted_access(handle)? == PROOF)
}

/// Returns unpredictable bytes.
pub(crate) fn random() -> Result<[u8; 16], Failure> {
    let mut bytes = [0; 16];
    api::rtl_gen_random(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
