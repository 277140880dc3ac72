//! What is in a segment, for programs.

use mmf::inspect::{LockState, ObjectState, ProcessInfo};
use serde_json::{Value, json};

use super::looks::Look;
use super::time::stamp;
use crate::findings::word;

pub(super) fn document(name: &str, look: &Look) -> Value {
    let info = &look.info;
    let participants: Vec<Value> = info
        .participants
        .iter()
        .map(|one| {
            json!({
                "token": one.token,
                "process": process(&one.process),
                "program": look.programs.get(&one.token).filter(|_| one.alive),
                "since": stamp(one.joined),
                "alive": one.alive,
                "held_by_kernel": one.held_by_kernel,
                "in_other_pid_namespace": one.process.is_in_other_pid_namespace(),
            })
        })
        .collect();
    let objects: Vec<Value> = info
        .objects
        .iter()
        .map(|object| {
            let mut document = json!({
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
            });
            if let Some(pace) = look.pace(object.offset) {
                document["per_second"] = json!(pace.per_second);
            }
            document
        })
        .collect();
    let damage: Vec<Value> = info
        .damage
        .iter()
        .map(|damage| json!({ "offset": damage.offset, "entry": damage.entry, "what": damage.what }))
        .collect();
    let mut document = json!({
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
        "truncated": info.truncated,
    });
    if let Some(changes) = &look.changes {
        document["milliseconds"] = json!(u64::try_from(look.at.as_millis()).unwrap_or(u64::MAX));
        document["came"] = json!(changes.came);
        document["left"] = json!(changes.left);
        document["died"] = json!(changes.died);
    }
    document
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
        ObjectState::OnceLock { done, lock } => json!({ "done": done, "lock": lock_document(lock) }),
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
        "panicked": lock.panicked.as_ref().map(process),
    })
}

fn process(process: &ProcessInfo) -> Value {
    json!({ "id": process.id, "started": process.started, "pid_namespace": process.pid_namespace })
}
