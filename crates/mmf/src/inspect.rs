//! Which regions exist, which processes use them, and what is in a segment.
//!
//! [`list()`] returns the names that are visible to this user,
//! [`SharedMemory::holders`](crate::SharedMemory::holders) the processes that hold a region, and
//! [`Segment::inspect`](crate::Segment::inspect) the participants and objects of a segment. None of them
//! changes anything, and none trusts what other processes have written.

pub use crate::holders::{Holder, Holders};
pub use crate::list::{ListEntry, list};
pub use crate::memory::NameTarget;
pub use crate::segment::{
    Damage, LockState, ObjectInfo, ObjectKind, ObjectState, ParticipantId, ParticipantInfo, ProcessInfo,
    Readers, SegmentInfo, SegmentStage, TypeDescription,
};
