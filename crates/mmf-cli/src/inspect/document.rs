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
                "token": one.id,
                "process": process(&one.process),
                "program": look.programs.get(&one.id).filter(|_| one.alive),
                "since": stamp(one.joined_at),
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
                    "name": object.value_type.name,
                    "version": object.value_type.version,
                    "size": object.value_type.size,
                    "align": object.value_type.align,
                },
                "offset": object.offset,
                "length": object.len,
                "made": stamp(object.created_at),
                "made_by": object.created_by,
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
        .map(|damage| json!({ "offset": damage.offset, "entry": damage.entry, "what": damage.description }))
        .collect();
    let mut document = json!({
        "name": name,
        "stage": word(&info.stage),
        "damage": damage,
        "version": info.version,
        "length": info.len,
        "used": info.used,
        "made": stamp(info.created_at),
        "places": info.slots,
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
        ObjectState::Mutex { lock, .. } => json!({ "lock": lock_document(lock) }),
        ObjectState::RwLock { lock: writer, readers, .. } => {
            let readers: Vec<Value> =
                readers.iter().map(|one| json!({ "token": one.participant, "count": one.count })).collect();
            json!({ "lock": lock_document(writer), "readers": readers })
        }
        ObjectState::Latest { writer, published, .. } => json!({ "writer": writer, "published": published }),
        ObjectState::Event { set, waiters, .. } => json!({ "set": set, "waiters": waiters }),
        ObjectState::OnceLock { initialized, lock, .. } => {
            json!({ "done": initialized, "lock": lock_document(lock) })
        }
        ObjectState::Word { value, waiters, .. } => json!({ "value": value, "waiters": waiters }),
        _ => Value::Null,
    }
}

fn lock_document(lock: &LockState) -> Value {
    json!({
        "owner": lock.owner,
        "since": stamp(lock.held_since),
        "waiters": lock.waiters,
        "damaged": lock.inconsistent,
        "abandoned": lock.not_recoverable,
        "died": lock.dead_owner.as_ref().map(process),
        "panicked": lock.panicked_owner.as_ref().map(process),
    })
}

fn process(process: &ProcessInfo) -> Value {
    json!({ "id": process.id, "started": process.started, "pid_namespace": process.pid_namespace })
}
