//! A sample of a segment as JSON.

use mmf::inspect::{Damage, ObjectInfo, ParticipantId, ParticipantInfo, SegmentStage};
use serde::Serialize;

use super::sample::Sample;

/// The JSON document: the facts of [`SegmentInfo`](mmf::inspect::SegmentInfo), with what the command adds
/// to participants and objects.
#[derive(Serialize)]
pub(super) struct Document<'s> {
    name: &'s str,
    stage: &'s SegmentStage,
    version: u32,
    length: u64,
    used: u64,
    created_at: Option<String>,
    slots: u32,
    participants: Vec<Participant<'s>>,
    objects: Vec<Object<'s>>,
    damage: &'s [Damage],
    truncated: bool,
    changes: Option<Changes<'s>>,
}

#[derive(Serialize)]
struct Participant<'s> {
    #[serde(flatten)]
    info: &'s ParticipantInfo,
    program: Option<&'s str>,
    in_other_pid_namespace: bool,
}

#[derive(Serialize)]
struct Object<'s> {
    #[serde(flatten)]
    info: &'s ObjectInfo,
    per_second: Option<f64>,
}

/// The changes since the previous sample.
#[derive(Serialize)]
struct Changes<'s> {
    elapsed_ms: u64,
    joined: &'s [ParticipantId],
    left: &'s [ParticipantId],
    died: &'s [ParticipantId],
}

pub(super) fn document<'s>(name: &'s str, sample: &'s Sample) -> Document<'s> {
    let info = &sample.info;
    let participant = |info: &'s ParticipantInfo| Participant {
        info,
        program: sample.programs.get(&info.id).filter(|_| info.alive).map(String::as_str),
        in_other_pid_namespace: info.process.is_in_other_pid_namespace(),
    };
    let object = |info: &'s ObjectInfo| Object {
        info,
        per_second: sample.rate(info.offset).map(|rate| rate.per_second),
    };
    Document {
        name,
        stage: &info.stage,
        version: info.version,
        length: info.len,
        used: info.used,
        created_at: super::time::stamp(info.created_at),
        slots: info.slots,
        participants: info.participants.iter().map(participant).collect(),
        objects: info.objects.iter().map(object).collect(),
        damage: &info.damage,
        truncated: info.truncated,
        changes: sample.changes.as_ref().map(|changes| Changes {
            elapsed_ms: u64::try_from(sample.elapsed.as_millis()).unwrap_or(u64::MAX),
            joined: &changes.joined,
            left: &changes.left,
            died: &changes.died,
        }),
    }
}
