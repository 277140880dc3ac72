//! `mmf inspect`: who takes part in a segment, and what its objects are doing.

use std::fmt::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mmf::{
    Damage, LockState, Name, ObjectInfo, ObjectState, ParticipantInfo, ProcessInfo, ReadOnly, Segment,
    SegmentInfo, SegmentStage, SharedMemory,
};
use serde_json::{Value, json};

use crate::args::Inspect;
use crate::findings::word;
use crate::output::{Failure, Output, printable};
use crate::size;

/// A segment is made in microseconds; who asks does not want to wait for one that hangs.
const READY_WITHIN: Duration = Duration::from_secs(1);
/// The exit status if it is shown, but not all of it is as it should be.
const DAMAGED: u8 = 3;

pub(crate) fn run(args: &Inspect, output: Output) -> Result<ExitCode, Failure> {
    let name = Name::new(&args.name)?;
    let memory = SharedMemory::open_read_only(&name)?;
    let info = look(&memory)?;
    let name = name.to_string();
    output.print(&document(&name, &info), text(&name, &info))?;
    Ok(if is_whole(&info) { ExitCode::SUCCESS } else { ExitCode::from(DAMAGED) })
}

fn is_whole(info: &SegmentInfo) -> bool {
    info.damage.is_empty() && info.stage == SegmentStage::Ready
}

fn look(memory: &SharedMemory<ReadOnly>) -> Result<SegmentInfo, Failure> {
    let begun = Instant::now();
    loop {
        let stage = Segment::stage_of(memory)?;
        if matches!(stage, SegmentStage::Making { alive: true, .. }) && begun.elapsed() < READY_WITHIN {
            std::thread::sleep(Duration::from_millis(1));
            continue;
        }
        return Segment::inspect_memory(memory).map_err(|error| explained(error, &stage));
    }
}

fn explained(error: mmf::Error, stage: &SegmentStage) -> Failure {
    let failure = Failure::from(error);
    match stage {
        SegmentStage::NotASegment => failure.with("; as a plain memory, mmf info, mmf dump and mmf watch show it"),
        SegmentStage::Blank => {
            failure.with("; as a plain memory, mmf info, mmf dump and mmf watch show it; else start its maker and look again")
        }
        _ => failure,
    }
}

fn text(name: &str, info: &SegmentInfo) -> String {
    let mut text = format!(
        "{}\n  segment  format {}, {} bytes ({}), {} used\n  made     {}",
        printable(name),
        info.version,
        info.len,
        size::show(info.len),
        info.used,
        moment(info.made_at),
    );
    let broken = info.stage == SegmentStage::Broken;
    if !is_whole(info) {
        let state = match (broken, info.damage.is_empty()) {
            (true, true) => "declared broken: nobody can open it any more",
            (true, false) => "declared broken; and damaged, see below",
            _ => "damaged, see below: this is what can still be read",
        };
        let _ = write!(text, "\n  state    {state}");
    }
    let _ = write!(text, "\n\nparticipants: {} of {}", info.participants.len(), info.places);
    if !info.participants.is_empty() {
        let _ = write!(text, "\n  {:>10}  {:5}  {:23}  program", "process", "state", "since");
    }
    for one in &info.participants {
        let program = program(one).unwrap_or_else(|| "-".to_owned());
        let _ = write!(
            text,
            "\n  {:>10}  {:5}  {:23}  {}",
            one.process.id,
            if one.alive { "alive" } else { "dead" },
            moment(one.joined),
            printable(&program)
        );
    }
    let _ = write!(text, "\n\nobjects: {}", info.objects.len());
    // One long name is not to push everything else off the screen.
    let widest =
        info.objects.iter().map(|object| object.name.chars().count()).max().unwrap_or(0).clamp(4, 28);
    for object in &info.objects {
        let _ =
            write!(text, "\n  {:widest$}  {}, {} bytes", printable(&object.name), object.kind, object.len);
        if object.described.size > 0 {
            let _ = write!(text, "\n      of {}", printable(&object.described.to_string()));
        }
        for line in state(info, object) {
            let _ = write!(text, "\n      {line}");
        }
    }
    if !info.damage.is_empty() {
        let _ = write!(text, "\n\ndamage: {}", info.damage.len());
        for Damage { offset, entry, what, .. } in &info.damage {
            let entry = entry.map_or(String::new(), |entry| format!(", entry {entry} of the directory"));
            let _ = write!(text, "\n  byte {offset}{entry}\n      {}", printable(what));
        }
    }
    text
}

/// What an object is doing, in lines.
fn state(info: &SegmentInfo, object: &ObjectInfo) -> Vec<String> {
    match &object.state {
        ObjectState::Mutex(lock) => locked(info, lock, "held", "free"),
        ObjectState::RwLock { writer, readers } => {
            let free = if readers.is_empty() { "free" } else { "no writer" };
            let mut lines = locked(info, writer, "held to write", free);
            for (token, count) in readers {
                lines.push(format!("{count} reading in {}", who(info, *token)));
            }
            lines
        }
        ObjectState::Latest { writer, published } => {
            let writer =
                writer.map_or("no writer".to_owned(), |token| format!("written by {}", who(info, token)));
            vec![format!("{published} published, {writer}")]
        }
        ObjectState::Event { set, waiters } => {
            vec![format!("{}, {waiters} waiting", if *set { "set" } else { "not set" })]
        }
        ObjectState::Once { done: true, .. } => vec!["initialised".to_owned()],
        ObjectState::Once { lock, .. } => locked(info, lock, "being initialised", "not initialised"),
        ObjectState::Word { value, waiters } => vec![format!("value {value}, {waiters} waiting")],
        _ => vec!["its state makes no sense to this version".to_owned()],
    }
}

fn locked(info: &SegmentInfo, lock: &LockState, held: &str, free: &str) -> Vec<String> {
    let mut line = match lock.owner {
        Some(token) => format!("{held} by {}", who(info, token)),
        None if lock.abandoned => "given up for good".to_owned(),
        None => free.to_owned(),
    };
    if lock.since.is_some() {
        let _ = write!(line, " since {} or before", moment(lock.since));
    }
    let mut lines = vec![line];
    if lock.waiters > 0 {
        lines.push(format!("{} waiting", lock.waiters));
    }
    if lock.damaged {
        lines.push("an owner died: the data may be half changed".to_owned());
    }
    if let Some(died) = &lock.died {
        lines.push(format!("the last who died with it: process {}", died.id));
    }
    lines
}

fn who(info: &SegmentInfo, token: u32) -> String {
    match info.participant(token) {
        Some(one) if one.alive => format!("process {}", one.process.id),
        Some(one) => format!("process {}, which is dead", one.process.id),
        None => "a participant that is gone".to_owned(),
    }
}

fn document(name: &str, info: &SegmentInfo) -> Value {
    let participants: Vec<Value> = info
        .participants
        .iter()
        .map(|one| {
            json!({
                "token": one.token,
                "process": process(&one.process),
                "program": program(one),
                "since": stamp(one.joined),
                "alive": one.alive,
            })
        })
        .collect();
    let objects: Vec<Value> = info
        .objects
        .iter()
        .map(|object| {
            json!({
                "name": object.name,
                "kind": object.kind.to_string(),
                "type": {
                    "name": object.described.name,
                    "version": object.described.version,
                    "size": object.described.size,
                    "align": object.described.align,
                },
                "offset": object.offset,
                "length": object.len,
                "made": stamp(object.made_at),
                "made_by": object.made_by,
                "state": state_document(&object.state),
            })
        })
        .collect();
    let damage: Vec<Value> = info
        .damage
        .iter()
        .map(|damage| json!({ "offset": damage.offset, "entry": damage.entry, "what": damage.what }))
        .collect();
    json!({
        "name": name,
        "stage": word(&info.stage),
        "damage": damage,
        "version": info.version,
        "length": info.len,
        "used": info.used,
        "made": stamp(info.made_at),
        "places": info.places,
        "participants": participants,
        "objects": objects,
    })
}

fn state_document(state: &ObjectState) -> Value {
    match state {
        ObjectState::Mutex(lock) => json!({ "lock": lock_document(lock) }),
        ObjectState::RwLock { writer, readers } => {
            let readers: Vec<Value> =
                readers.iter().map(|(token, count)| json!({ "token": token, "count": count })).collect();
            json!({ "lock": lock_document(writer), "readers": readers })
        }
        ObjectState::Latest { writer, published } => json!({ "writer": writer, "published": published }),
        ObjectState::Event { set, waiters } => json!({ "set": set, "waiters": waiters }),
        ObjectState::Once { done, lock } => json!({ "done": done, "lock": lock_document(lock) }),
        ObjectState::Word { value, waiters } => json!({ "value": value, "waiters": waiters }),
        _ => Value::Null,
    }
}

fn lock_document(lock: &LockState) -> Value {
    json!({
        "owner": lock.owner,
        "since": stamp(lock.since),
        "waiters": lock.waiters,
        "damaged": lock.damaged,
        "abandoned": lock.abandoned,
        "died": lock.died.as_ref().map(process),
    })
}

fn process(process: &ProcessInfo) -> Value {
    json!({ "id": process.id, "started": process.started })
}

/// The program of a participant, if it still is that process: numbers are used again.
#[cfg(target_os = "linux")]
fn program(one: &ParticipantInfo) -> Option<String> {
    if !one.alive {
        return None;
    }
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", one.process.id)).ok()?;
    // The name is in brackets and may have any characters in it, also brackets.
    let (start, end) = (stat.find('(')? + 1, stat.rfind(')')?);
    let started: u64 = stat.get(end + 1..)?.split_ascii_whitespace().nth(19)?.parse().ok()?;
    (started == one.process.started).then(|| stat.get(start..end).map(str::to_owned))?
}

#[cfg(not(target_os = "linux"))]
fn program(_one: &ParticipantInfo) -> Option<String> {
    None
}

fn moment(time: Option<SystemTime>) -> String {
    stamp(time).map_or("unknown".to_owned(), |stamp| stamp.replace('T', " ").replace('Z', " UTC"))
}

/// In UTC, to the second, as RFC 3339 writes it.
fn stamp(time: Option<SystemTime>) -> Option<String> {
    let seconds = time?.duration_since(UNIX_EPOCH).ok()?.as_secs();
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Years that begin in March have their odd day at the end; 400 of them have always the same length.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let march = (5 * day + 2) / 153;
    let day = day - (153 * march + 2) / 5 + 1;
    let month = if march < 10 { march + 3 } else { march - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::stamp;

    #[test]
    fn times_are_utc() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(stamp(Some(UNIX_EPOCH + Duration::from_secs(seconds))).as_deref(), Some(text));
        }
        assert_eq!(stamp(None), None);
    }
}
