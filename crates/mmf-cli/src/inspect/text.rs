//! A sample of a segment as text.

use std::fmt::Write;

use mmf::inspect::{Damage, LockState, ObjectInfo, ObjectState, ParticipantId, SegmentStage};

use super::sample::Sample;
use super::time::moment;
use crate::size;
use crate::text::printable;

/// Returns the whole text; `events` are lines about participants that joined, left or died.
pub(super) fn text(name: &str, sample: &Sample, events: &[String]) -> String {
    let info = &sample.info;
    let mut text = format!(
        "{}\n  segment  format {}, {} bytes ({}), {} used\n  created  {}",
        printable(name),
        info.version,
        info.len,
        size::show(info.len),
        info.used,
        moment(info.created_at),
    );
    let broken = info.stage == SegmentStage::Broken;
    if !sample.is_intact() {
        let state = match (broken, info.damage.is_empty()) {
            (true, true) => "declared broken: it cannot be opened any more",
            (true, false) => "declared broken, and damaged: see below",
            _ => "damaged: see below; the rest is what can still be read",
        };
        let _ = write!(text, "\n  state    {state}");
    }
    let _ = write!(text, "\n\nparticipants: {} of {}", info.participants.len(), info.slots);
    if !info.participants.is_empty() {
        let _ = write!(text, "\n  {:>10}  {:5}  {:23}  program", "process", "state", "since");
    }
    for one in &info.participants {
        let program = sample.programs.get(&one.id).filter(|_| one.alive).map_or("-", String::as_str);
        let _ = write!(
            text,
            "\n  {:>10}  {:5}  {:23}  {}",
            one.process.id,
            if one.alive { "alive" } else { "dead" },
            moment(one.joined_at),
            printable(program)
        );
        if let Some(inode) = one.process.pid_namespace.filter(|_| one.process.is_in_other_pid_namespace()) {
            let _ = write!(text, "\n  {:>10}  its process id belongs to pid namespace {inode}", "");
        }
        if one.alive && !one.held_by_kernel && cfg!(any(windows, target_os = "linux")) {
            let _ = write!(
                text,
                "\n  {:>10}  the kernel does not hold its slot: its death may not be detected",
                ""
            );
        }
    }
    for event in events {
        let _ = write!(text, "\n  {}", printable(event));
    }
    let more = if info.truncated { ", and more that are not shown" } else { "" };
    let _ = write!(text, "\n\nobjects: {}{more}", info.objects.len());
    // A single long name must not push everything else off the screen.
    let widest =
        info.objects.iter().map(|object| object.name.chars().count()).max().unwrap_or(0).clamp(4, 28);
    for object in &info.objects {
        let _ =
            write!(text, "\n  {:widest$}  {}, {} bytes", printable(&object.name), object.kind, object.len);
        if has_type(object) {
            let _ = write!(text, "\n      of {}", printable(&object.value_type.to_string()));
        }
        for line in state(sample, object) {
            // (It contains the name of a program.)
            let _ = write!(text, "\n      {}", printable(&line));
        }
    }
    if !info.damage.is_empty() {
        let _ = write!(text, "\n\ndamage: {}", info.damage.len());
        for Damage { offset, entry, description, .. } in &info.damage {
            let entry = entry.map_or(String::new(), |entry| format!(", entry {entry} of the directory"));
            let _ = write!(text, "\n  byte {offset}{entry}\n      {}", printable(description));
        }
    }
    text
}

/// Events, event counts and futexes have no value and so no type. (The type of an empty array has no bytes,
/// but a name.)
fn has_type(object: &ObjectInfo) -> bool {
    object.value_type.size > 0 || !matches!(&*object.value_type.name, "" | "()")
}

/// Returns the state of an object, in lines.
fn state(sample: &Sample, object: &ObjectInfo) -> Vec<String> {
    match &object.state {
        ObjectState::Mutex { lock, .. } => locked(sample, lock, "held", "free"),
        ObjectState::RwLock { lock, readers, .. } => {
            let free = if readers.is_empty() { "free" } else { "no writer" };
            let mut lines = locked(sample, lock, "held for writing", free);
            for one in readers {
                lines.push(format!("{} readers in {}", one.count, participant(sample, one.participant)));
            }
            lines
        }
        ObjectState::Latest { writer, published, .. } => {
            let writer =
                writer.map_or("no writer".to_owned(), |id| format!("written by {}", participant(sample, id)));
            let rate = sample.rate(object.offset).map_or(String::new(), |rate| format!(", {rate}"));
            vec![format!("{published} published{rate}"), writer]
        }
        ObjectState::Event { set, waiters, .. } => {
            vec![format!("{}, {waiters} waiting", if *set { "set" } else { "not set" })]
        }
        ObjectState::OnceLock { initialized: true, .. } => vec!["initialised".to_owned()],
        ObjectState::OnceLock { lock, .. } => locked(sample, lock, "being initialised", "not initialised"),
        ObjectState::Word { value, waiters, .. } => {
            let rate = sample.rate(object.offset).map_or(String::new(), |rate| format!(", {rate}"));
            vec![format!("value {value}{rate}, {waiters} waiting")]
        }
        _ => vec!["its state is not known to this version".to_owned()],
    }
}

fn locked(sample: &Sample, lock: &LockState, held: &str, free: &str) -> Vec<String> {
    let mut line = match lock.owner {
        Some(id) => format!("{held} by {}", participant(sample, id)),
        None if lock.not_recoverable => "not recoverable: given up by its last owner".to_owned(),
        None => free.to_owned(),
    };
    if lock.held_since.is_some() {
        let _ = write!(line, " since {} or earlier", moment(lock.held_since));
    }
    let mut lines = vec![line];
    if lock.waiters > 0 {
        lines.push(format!("{} waiting", lock.waiters));
    }
    match (&lock.panicked_owner, &lock.dead_owner) {
        (Some(process), _) if lock.inconsistent => {
            lines.push(format!("a thread of process {} panicked while holding it:", process.id));
            lines.push("the data may be inconsistent".to_owned());
        }
        _ if lock.inconsistent => lines.push("an owner died: the data may be inconsistent".to_owned()),
        _ => {}
    }
    match (&lock.panicked_owner, &lock.dead_owner) {
        (Some(process), _) if !lock.inconsistent => {
            lines.push(format!("last owner that panicked: process {}", process.id));
        }
        (None, Some(process)) => lines.push(format!("last owner that died: process {}", process.id)),
        _ => {}
    }
    lines
}

fn participant(sample: &Sample, id: ParticipantId) -> String {
    match sample.info.participant(id) {
        Some(one) if one.alive => sample.describe(one),
        Some(one) => format!("{}, which is dead", sample.describe(one)),
        None => "a participant that has left".to_owned(),
    }
}
