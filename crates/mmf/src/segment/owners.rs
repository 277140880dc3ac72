//! The processes of participants, and the record that a lock keeps of an owner that died or panicked.

use core::mem::offset_of;

use super::core::{Core, generation_of, index, now, participant, place_of};
use super::info::ProcessInfo;
use super::layout::LockHead;
use crate::access::Access;
use crate::error::Error;

/// The process of a participant, if its place still says so.
pub(crate) fn process_of<A: Access>(core: &Core<A>, token: u32) -> Option<ProcessInfo> {
    let place = place_of(token);
    if token == 0 || place >= core.places {
        return None;
    }
    let (claim, record) = core.place(place).ok()?;
    (claim.generation() == generation_of(token) && claim.process() != 0)
        .then(|| participant(claim, &record).into())
}

/// A participant in words, as the holder of something.
pub(crate) fn describe_owner<A: Access>(core: &Core<A>, token: u32) -> String {
    let own = core.own_token();
    let process = process_of(core, token);
    let itself =
        own == Some(token) || own.is_some_and(|own| process.is_some() && process == process_of(core, own));
    match process {
        _ if itself => format!("this process itself (process {})", std::process::id()),
        Some(process) => format!("process {}", process.id),
        None => "a participant of which no more is known".to_owned(),
    }
}

/// Writes down how an owner left the data damaged: it died, or it panicked.
pub(crate) fn record_damage(core: &Core, head: u64, token: u32, end: u16) -> Result<(), Error> {
    let at = index(head);
    let record = core.view.read::<LockHead>(at)?;
    let since = if record.since_is_of(token) { record.since } else { 0 };
    let (id, started) = process_of(core, token).map_or((0, 0), |process| (process.id, process.started));
    core.view.write(&token, at + offset_of!(LockHead, dead_token))?;
    core.view.write(&id, at + offset_of!(LockHead, dead_process))?;
    core.view.write(&end, at + offset_of!(LockHead, end))?;
    core.view.write(&[started, now(), since], at + offset_of!(LockHead, dead_started))
}
