//! `mmf inspect`: who takes part in a segment, what is in it, and what state it is in. Nothing is changed by looking.

use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use mmf::{LockState, Name, ObjectInfo, ObjectState, ProcessInfo, Segment, SegmentInfo};
use serde_json::{Value, json};

use crate::args::Inspect;
use crate::output::{Failure, Output, printable};
use crate::size;

pub(crate) fn run(args: &Inspect, output: Output) -> Result<(), Failure> {
    let name = Name::new(&args.name)?;
    let info = Segment::open_read_only(&name)?.inspect()?;
    output.print(&document(&name, &info), text(&name, &info))
}

fn text(name: &Name, info: &SegmentInfo) -> String {
    let SegmentInfo { version, len, used, places, participants, objects, .. } = info;
    let mut text = format!(
        "{}: segment, version {version}\n  length   {len} bytes ({}), {used} used\n  made     {}",
        printable(&name.to_string()),
        size::show(*len),
        when(info.made_at),
    );
    let _ = write!(text, "\n\nparticipants: {} of {places}", participants.len());
    for participant in participants {
        let state = if participant.alive { "alive" } else { "dead" };
        let (id, joined) = (participant.process.id, when(participant.joined));
        let _ = write!(text, "\n  process {id:<10} {state:5}  since {joined}");
    }
    let _ = write!(text, "\n\nobjects: {}", objects.len());
    let width = objects.iter().map(|object| printable(&object.name).chars().count()).max().unwrap_or(0);
    for object in objects {
        let name = printable(&object.name);
        let kind = object.kind.to_string();
        let _ = write!(text, "\n  {name:width$}  {kind}  {}", printable(&object.described.to_string()));
        for line in state(info, object) {
            let _ = write!(text, "\n  {:width$}    {line}", "");
        }
    }
    text
}

/// What an object is doing, a sentence each.
fn state(info: &SegmentInfo, object: &ObjectInfo) -> Vec<String> {
    match &object.state {
        ObjectState::Mutex(state) => lock(info, state, "held"),
        ObjectState::RwLock { writer, readers } => {
            let mut lines = lock(info, writer, "held for writing");
            if !readers.is_empty() {
                lines.retain(|line| line != FREE);
            }
            lines.extend(readers.iter().map(|(token, count)| {
                let times = if *count > 1 { format!(", {count} times") } else { String::new() };
                format!("held for reading by {}{times}", who(info, *token))
            }));
            lines
        }
        ObjectState::Latest { writer, published } => {
            let writer = writer.map_or("nobody".to_owned(), |token| who(info, token));
            vec![format!("{published} values published; the writer is {writer}")]
        }
        ObjectState::Event { set, waiters } => {
            vec![format!("{}{}", if *set { "set" } else { "not set" }, waiting(*waiters))]
        }
        ObjectState::Once { done, lock: state } => {
            let word = if *done { "initialised" } else { "not initialised" };
            let mut lines = vec![format!("{word}{}", waiting(state.waiters))];
            if let Some(token) = state.owner {
                lines.push(format!("being initialised by {}", who(info, token)));
            }
            lines
        }
        ObjectState::Word { value, waiters } => vec![format!("{value}{}", waiting(*waiters))],
        _ => vec!["nothing is known of its state".to_owned()],
    }
}

const FREE: &str = "free";

fn lock(info: &SegmentInfo, state: &LockState, held: &str) -> Vec<String> {
    let mut lines = Vec::new();
    if state.abandoned {
        lines.push("given up for good".to_owned());
    } else if let Some(token) = state.owner {
        let since =
            state.since.map_or(String::new(), |since| format!(", since {} or before", when(Some(since))));
        lines.push(format!("{held} by {}{since}{}", who(info, token), waiting(state.waiters)));
    } else if state.waiters > 0 {
        lines.push(format!("{FREE}{}", waiting(state.waiters)));
    } else {
        lines.push(FREE.to_owned());
    }
    match (&state.died, state.damaged) {
        (died, true) => lines.push(format!(
            "{} died with it, and nobody has declared the data consistent since",
            died.as_ref().map_or("an owner".to_owned(), process)
        )),
        (Some(died), false) => lines.push(format!("{} died with it once", process(died))),
        (None, false) => {}
    }
    lines
}

fn process(process: &ProcessInfo) -> String {
    format!("process {}", process.id)
}

fn who(info: &SegmentInfo, token: u32) -> String {
    match info.participant(token) {
        Some(there) if there.alive => process(&there.process),
        Some(dead) => format!("{}, which is dead", process(&dead.process)),
        None => "a process that is no participant any more".to_owned(),
    }
}

fn waiting(count: u32) -> String {
    match count {
        0 => String::new(),
        1 => "; 1 waits".to_owned(),
        _ => format!("; {count} wait"),
    }
}

/// As everybody reads it, wherever he is: 2025-01-31 14:03:22 UTC.
fn when(time: Option<SystemTime>) -> String {
    let Some(time) = time.and_then(|time| time.duration_since(UNIX_EPOCH).ok()) else {
        return "an unknown time".to_owned();
    };
    let (days, seconds) = (time.as_secs() / 86_400, time.as_secs() % 86_400);
    // Counted from the first of March of the year 0, so that the leap day is the last of a year. 719,468 days are before 1970.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = year + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

fn document(name: &Name, info: &SegmentInfo) -> Value {
    let time = |time: Option<SystemTime>| time.map(|time| when(Some(time)));
    json!({
        "name": name.to_string(),
        "version": info.version,
        "length": info.len,
        "used": info.used,
        "made": time(info.made_at),
        "places": info.places,
        "participants": info.participants.iter().map(|participant| json!({
            "token": participant.token,
            "process": participant.process.id,
            "started": participant.process.started,
            "since": time(participant.joined),
            "alive": participant.alive,
        })).collect::<Vec<_>>(),
        "objects": info.objects.iter().map(|object| json!({
            "name": object.name,
            "kind": object.kind.to_string(),
            "type": object.described.name,
            "version": object.described.version,
            "size": object.described.size,
            "align": object.described.align,
            "offset": object.offset,
            "length": object.len,
            "made": time(object.made_at),
            "made_by": object.made_by,
            "state": state_document(&object.state),
        })).collect::<Vec<_>>(),
    })
}

fn state_document(state: &ObjectState) -> Value {
    let lock = |state: &LockState| {
        json!({
            "owner": state.owner,
            "since": state.since.map(|since| when(Some(since))),
            "waiters": state.waiters,
            "damaged": state.damaged,
            "given_up": state.abandoned,
            "died": state.died.as_ref().map(|died| died.id),
        })
    };
    match state {
        ObjectState::Mutex(state) => lock(state),
        ObjectState::RwLock { writer, readers } => json!({
            "writer": lock(writer),
            "readers": readers.iter().map(|(token, count)| json!({ "token": token, "count": count })).collect::<Vec<_>>(),
        }),
        ObjectState::Latest { writer, published } => json!({ "writer": writer, "published": published }),
        ObjectState::Event { set, waiters } => json!({ "set": set, "waiters": waiters }),
        ObjectState::Once { done, lock: state } => json!({ "done": done, "lock": lock(state) }),
        ObjectState::Word { value, waiters } => json!({ "value": value, "waiters": waiters }),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn times_are_those_of_the_calendar() {
        let at = |seconds| when(UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
        assert_eq!(at(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(at(951_782_399), "2000-02-28 23:59:59 UTC");
        assert_eq!(at(951_868_799), "2000-02-29 23:59:59 UTC");
        assert_eq!(at(951_868_800), "2000-03-01 00:00:00 UTC");
        assert_eq!(at(1_735_689_600), "2025-01-01 00:00:00 UTC");
        assert_eq!(at(4_107_542_399), "2100-02-28 23:59:59 UTC");
        assert_eq!(at(4_107_542_400), "2100-03-01 00:00:00 UTC");
        assert_eq!(when(None), "an unknown time");
    }
}
