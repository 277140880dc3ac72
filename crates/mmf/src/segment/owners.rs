//! The processes of participants, and the record that a lock keeps of an owner that died or panicked.

use core::mem::offset_of;

use super::core::{Core, generation_of, index, now, participant, slot_of};
use super::info::ProcessInfo;
use super::layout::LockHead;
use crate::access::Access;
use crate::error::Error;

/// Returns the process of a participant, if no other participant has claimed the slot since.
pub(crate) fn process_of<A: Access>(core: &Core<A>, id: u32) -> Option<ProcessInfo> {
    let slot = slot_of(id);
    if id == 0 || slot >= core.slots {
        return None;
    }
    let (slot_state, record) = core.slot(slot).ok()?;
    (slot_state.generation() == generation_of(id) && slot_state.process() != 0)
        .then(|| participant(slot_state, &record).into())
}

/// Describes a participant for the message of an error.
pub(crate) fn describe_owner<A: Access>(core: &Core<A>, id: u32) -> String {
    let own = core.own_id();
    let process = process_of(core, id);
    let itself =
        own == Some(id) || own.is_some_and(|own| process.is_some() && process == process_of(core, own));
    match process {
        _ if itself => format!("this process itself (process {})", std::process::id()),
        Some(process) => format!("process {}", process.id),
        None => "an unknown process".to_owned(),
    }
}

/// Records in the lock head at `head` how an owner left the data damaged: `end` says whether it died or
/// panicked.
pub(crate) fn record_damage(core: &Core, head: u64, id: u32, end: u16) -> Result<(), Error> {
    let at = index(head);
    let record = core.view.read::<LockHead>(at)?;
    let since = if record.since_is_of(id) { record.since } else { 0 };
    let (process, started) = process_of(core, id).map_or((0, 0), |process| (process.id, process.started));
    core.view.write(&id, at + offset_of!(LockHead, dead_owner))?;
    core.view.write(&process, at + offset_of!(LockHead, dead_process))?;
    core.view.write(&end, at + offset_of!(LockHead, end))?;
    core.view.write(&[started, now(), since], at + offset_of!(LockHead, dead_started))
}
