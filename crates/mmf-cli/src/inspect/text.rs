//! What is in a segment, for people.

use std::fmt::Write;

use mmf::inspect::{Damage, LockState, ObjectInfo, ObjectState, ParticipantId, SegmentStage};

use super::looks::Look;
use super::time::moment;
use crate::output::printable;
use crate::size;

/// All of it; `events` are lines about who has come and gone.
pub(super) fn text(name: &str, look: &Look, events: &[String]) -> String {
    let info = &look.info;
    let mut text = format!(
        "{}\n  segment  format {}, {} bytes ({}), {} used\n  made     {}",
        printable(name),
        info.version,
        info.len,
        size::show(info.len),
        info.used,
        moment(info.created_at),
    );
    let broken = info.stage == SegmentStage::Broken;
    if !super::is_whole(info) {
        let state = match (broken, info.damage.is_empty()) {
            (true, true) => "declared broken: nobody can open it any more",
            (true, false) => "declared broken; and damaged, see below",
            _ => "damaged, see below: this is what can still be read",
        };
        let _ = write!(text, "\n  state    {state}");
    }
    let _ = write!(text, "\n\nparticipants: {} of {}", info.participants.len(), info.slots);
    if !info.participants.is_empty() {
        let _ = write!(text, "\n  {:>10}  {:5}  {:23}  program", "process", "state", "since");
    }
    for one in &info.participants {
        let program = look.programs.get(&one.id).filter(|_| one.alive).map_or("-", String::as_str);
        let _ = write!(
            text,
            "\n  {:>10}  {:5}  {:23}  {}",
            one.process.id,
            if one.alive { "alive" } else { "dead" },
            moment(one.joined_at),
            printable(program)
        );
        if let Some(inode) = one.process.pid_namespace.filter(|_| one.process.is_in_other_pid_namespace()) {
            let _ =
                write!(text, "\n  {:>10}  its number is one of pid namespace {inode}, not of this one", "");
        }
        if one.alive && !one.held_by_kernel && cfg!(any(windows, target_os = "linux")) {
            let _ =
                write!(text, "\n  {:>10}  the kernel does not hold its slot: its end may go unnoticed", "");
        }
    }
    for event in events {
        let _ = write!(text, "\n  {}", printable(event));
    }
    let more = if info.truncated { ", and more that are not listed" } else { "" };
    let _ = write!(text, "\n\nobjects: {}{more}", info.objects.len());
    // One long name is not to push everything else off the screen.
    let widest =
        info.objects.iter().map(|object| object.name.chars().count()).max().unwrap_or(0).clamp(4, 28);
    for object in &info.objects {
        let _ =
            write!(text, "\n  {:widest$}  {}, {} bytes", printable(&object.name), object.kind, object.len);
        if has_type(object) {
            let _ = write!(text, "\n      of {}", printable(&object.value_type.to_string()));
        }
        for line in state(look, object) {
            // (The name of a program is in it.)
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

/// Events, notifies and cells have no value and so no type. (A type of an array of none has no bytes, but a name.)
fn has_type(object: &ObjectInfo) -> bool {
    object.value_type.size > 0 || !matches!(&*object.value_type.name, "" | "()")
}

/// What an object is doing, in lines.
fn state(look: &Look, object: &ObjectInfo) -> Vec<String> {
    match &object.state {
        ObjectState::Mutex { lock, .. } => locked(look, lock, "held", "free"),
        ObjectState::RwLock { lock: writer, readers, .. } => {
            let free = if readers.is_empty() { "free" } else { "no writer" };
            let mut lines = locked(look, writer, "held to write", free);
            for one in readers {
                lines.push(format!("{} reading in {}", one.count, who(look, one.participant)));
            }
            lines
        }
        ObjectState::Latest { writer, published, .. } => {
            let writer =
                writer.map_or("no writer".to_owned(), |token| format!("written by {}", who(look, token)));
            let pace = look.pace(object.offset).map_or(String::new(), |pace| format!(", {pace}"));
            vec![format!("{published} published{pace}"), writer]
        }
        ObjectState::Event { set, waiters, .. } => {
            vec![format!("{}, {waiters} waiting", if *set { "set" } else { "not set" })]
        }
        ObjectState::OnceLock { initialized: true, .. } => vec!["initialised".to_owned()],
        ObjectState::OnceLock { lock, .. } => locked(look, lock, "being initialised", "not initialised"),
        ObjectState::Word { value, waiters, .. } => {
            let pace = look.pace(object.offset).map_or(String::new(), |pace| format!(", {pace}"));
            vec![format!("value {value}{pace}, {waiters} waiting")]
        }
        _ => vec!["its state makes no sense to this version".to_owned()],
    }
}

fn locked(look: &Look, lock: &LockState, held: &str, free: &str) -> Vec<String> {
    let mut line = match lock.owner {
        Some(token) => format!("{held} by {}", who(look, token)),
        None if lock.not_recoverable => "given up for good".to_owned(),
        None => free.to_owned(),
    };
    if lock.held_since.is_some() {
        let _ = write!(line, " since {} or before", moment(lock.held_since));
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
            lines.push(format!("the last that panicked while holding it: process {}", process.id));
        }
        (None, Some(process)) => lines.push(format!("the last that died holding it: process {}", process.id)),
        _ => {}
    }
    lines
}

fn who(look: &Look, token: ParticipantId) -> String {
    match look.info.participant(token) {
        Some(one) if one.alive => look.called(one),
        Some(one) => format!("{}, which is dead", look.called(one)),
        None => "a participant that is gone".to_owned(),
    }
}
