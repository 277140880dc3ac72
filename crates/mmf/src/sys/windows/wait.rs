//! Sleeping on a word of shared memory until another process wakes it.
//!
//! `WaitOnAddress` does not cross processes, so what sleeps is woken by a semaphore: a kernel object with a name made of the segment's
//! random identity and a number, in the same namespace and with the same grants as the segment. Whoever knows of the word has the
//! semaphore open, so it lives as long as anybody does. Who waits is counted beside the word; who wakes releases as many.

use std::os::windows::io::{AsHandle, BorrowedHandle, OwnedHandle};
use std::time::Duration;

use super::api;
use super::memory::Object;
use super::name::ObjectName;
use super::presence::Watch;
use super::security::Protection;
use crate::sys::{Failure, Shown, Woken};

/// The most that a semaphore counts: more than there can be waiters who are alive.
const MOST: i32 = 1 << 20;
/// How many handles can be waited for at once.
pub(crate) const MOST_WORDS: usize = 64;
/// How long a sleep may go on after a change if there is no semaphore: in `Global\`, a user without the privilege to make one.
const POLL: Duration = Duration::from_millis(5);

/// What the kernel objects of one segment have in common: where their names are, and who may open them.
#[derive(Clone, Debug)]
pub(crate) struct Family {
    beside: Option<ObjectName>,
    id: [u8; 16],
    protection: Protection,
}

impl Family {
    pub(crate) fn new(object: Option<&Object>, name: Option<&ObjectName>, id: [u8; 16]) -> Self {
        let protection = match (object.map(Object::shown), name) {
            (Some(Ok(Shown::Descriptor(bytes))), Some(_)) => Protection::Descriptor(for_waiting(bytes)),
            // A memory without a name grants nothing to anybody, since it is handed over; these have to be opened. And who may not see
            // the segment's grants gives what he makes to his own user.
            _ => Protection::CurrentUser,
        };
        Family { beside: name.cloned(), id, protection }
    }

    /// The name of one of them.
    pub(super) fn name(&self, kind: char, number: u64) -> Result<ObjectName, Failure> {
        let id: String = self.id.iter().map(|byte| format!("{byte:02x}")).collect();
        let text = format!("mmf.{id}.{kind}.{number:x}");
        match &self.beside {
            Some(name) => Ok(name.beside(&text)),
            None => ObjectName::new(false, &text),
        }
    }

    pub(super) fn protection(&self) -> &Protection {
        &self.protection
    }
}

/// The rights to a section, as those to an event or a semaphore that belongs to it: who may read may wait, who may write may wake.
fn for_waiting(mut descriptor: Vec<u8>) -> Vec<u8> {
    const MAP_WRITE: u32 = 2;
    const MAP_READ: u32 = 4;
    const GENERIC: u32 = 0xf000_0000;
    // SYNCHRONIZE and the right to change the state; who may do all with a section may do all with these.
    const WAIT: u32 = 0x10_0000;
    const WAKE: u32 = 0x10_0003;
    const STANDARD: u32 = 0x1f_0000;
    let long = |bytes: &[u8], at: usize| {
        bytes.get(at..).and_then(|rest| rest.first_chunk()).map(|bytes| u32::from_le_bytes(*bytes))
    };
    let short = |bytes: &[u8], at: usize| {
        bytes
            .get(at..)
            .and_then(|rest| rest.first_chunk())
            .map(|bytes| usize::from(u16::from_le_bytes(*bytes)))
    };
    // A self-relative descriptor has the place of its access list at 16; a list the number of its entries at 4; an entry its kind at
    // 0, its length at 2 and its mask at 4.
    let Some(list) = long(&descriptor, 16).and_then(|at| usize::try_from(at).ok()).filter(|at| *at != 0)
    else {
        return descriptor;
    };
    let entries = short(&descriptor, list + 4).unwrap_or(0);
    let mut at = list + 8;
    for _ in 0..entries {
        let (Some(mask), Some(len)) = (long(&descriptor, at + 4), short(&descriptor, at + 2)) else { break };
        let mut new = mask & (STANDARD | GENERIC);
        if mask & MAP_READ != 0 {
            new |= WAIT | 1;
        }
        if mask & MAP_WRITE != 0 {
            new |= WAKE;
        }
        descriptor[at + 4..at + 8].copy_from_slice(&new.to_le_bytes());
        at += len.max(8);
    }
    descriptor
}

/// What sleepers on one word are woken by.
#[derive(Debug)]
pub(crate) struct Bell {
    semaphore: Option<OwnedHandle>,
}

/// What [`wait_any`] is to look at.
pub(crate) type Watched<'a> = (&'a Bell, *const u8, u32);

impl Bell {
    /// Opens the semaphore of this number, or makes it.
    #[allow(clippy::unnecessary_wraps, reason = "as elsewhere")]
    pub(crate) fn new(family: &Family, number: u64) -> Result<Self, Failure> {
        let name = family.name('b', number)?;
        let semaphore = match api::open_semaphore(&name) {
            Ok(handle) => Some(handle),
            Err(_) => super::security::with_attributes_to_wait(family.protection(), |attributes| {
                // SAFETY: the attributes are valid during this call.
                unsafe { api::create_semaphore(attributes, MOST, &name) }
            })
            .ok(),
        };
        Ok(Bell { semaphore })
    }

    /// Sleeps until it is rung or the process that is watched ends, for no longer than said. The caller has counted himself, and has
    /// seen after that that the word is what he expects.
    pub(crate) fn wait(
        &self,
        _: *const u8,
        _: u32,
        longest: Duration,
        watch: Option<&Watch>,
    ) -> Result<Woken, Failure> {
        let Some(semaphore) = &self.semaphore else { return wait_without(longest) };
        let watched = watch.map(Watch::as_handle);
        let handles: Vec<BorrowedHandle<'_>> = [semaphore.as_handle()].into_iter().chain(watched).collect();
        wait_for(&handles, longest)
    }

    /// Wakes one of so many sleepers, or all of them.
    pub(crate) fn ring(&self, _: *const u8, all: bool, sleepers: u32) -> Result<(), Failure> {
        let Some(semaphore) = &self.semaphore else { return Ok(()) };
        let count = if all { i32::try_from(sleepers).unwrap_or(MOST).clamp(1, 1 << 14) } else { 1 };
        match api::release_semaphore(semaphore.as_handle(), count) {
            // So many have been released already that nobody sleeps.
            Err(error) if error.0 == windows_sys::Win32::Foundation::ERROR_TOO_MANY_POSTS => Ok(()),
            result => Ok(result?),
        }
    }
}

/// Sleeps until one of these is rung, for no longer than said. The caller has counted himself at each.
pub(crate) fn wait_any(words: &[Watched<'_>], longest: Duration) -> Result<Woken, Failure> {
    let handles: Option<Vec<_>> =
        words.iter().map(|(bell, ..)| Some(bell.semaphore.as_ref()?.as_handle())).collect();
    match handles {
        Some(handles) if !handles.is_empty() => wait_for(&handles, longest),
        _ => wait_without(longest),
    }
}

#[allow(clippy::unnecessary_wraps, reason = "one of the ways of waiting")]
fn wait_without(longest: Duration) -> Result<Woken, Failure> {
    std::thread::sleep(longest.min(POLL));
    Ok(if longest <= POLL { Woken::TimedOut } else { Woken::Early })
}

fn wait_for(handles: &[BorrowedHandle<'_>], longest: Duration) -> Result<Woken, Failure> {
    // Rounded up, so as not to wake before the time and find that there is some left.
    let milliseconds = longest.as_nanos().div_ceil(1_000_000);
    // (All ones would be for ever.)
    let milliseconds = u32::try_from(milliseconds).unwrap_or(u32::MAX - 1).min(u32::MAX - 1);
    Ok(if api::wait_for_any(handles, milliseconds)? { Woken::Early } else { Woken::TimedOut })
}
