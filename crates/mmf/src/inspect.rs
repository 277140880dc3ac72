//! What exists and who uses it: names on this machine, holders of a region, and everything in a segment.

pub use crate::holders::{Holder, Holders};
pub use crate::list::{ListEntry, list};
pub use crate::memory::NameTarget;
pub use crate::segment::{
    Damage, LockState, ObjectInfo, ObjectKind, ObjectState, ParticipantId, ParticipantInfo, ProcessInfo,
    Readers, SegmentInfo, SegmentStage, TypeDescription,
};
