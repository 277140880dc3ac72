//! How far a region is on the way to being a segment: read from its first bytes, without waiting.

use std::sync::atomic::Ordering::SeqCst;

use zerocopy::IntoBytes;

use super::core::index;
use super::creation::SegmentRegion;
use super::info::ProcessInfo;
use super::layout::{
    CREATOR_AT, CREATOR_NAMESPACES_AT, CREATOR_STARTED_AT, FINGERPRINT, HEADER_LEN, Header, MAGIC, Phase,
    SLOT_LEN, SLOTS_MAX, STATE_AT, SlotState, VERSION, state,
};
use crate::access::Access;
use crate::error::Error;

/// How far a region is on the way to being a segment, as far as its first bytes show.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum SegmentStage {
    /// The region holds something else.
    NotASegment,
    /// The first bytes of the region are all zero. A plain region can look like that, and so does a segment
    /// whose creator has not started.
    Blank,
    /// A process is creating the segment, or has died doing so. In the latter case,
    /// [`open_or_create`](crate::Segment::open_or_create) creates it anew.
    #[non_exhaustive]
    Creating {
        /// The process that creates it.
        creator: ProcessInfo,
        /// Whether that process is alive, as far as the caller can tell.
        alive: bool,
    },
    /// The segment can be used.
    Ready,
    /// The segment was declared broken, for good.
    Broken,
    /// The region was a segment: its state is invalid, but other parts of its header show what it was.
    Damaged,
}

/// The offset of a byte that is not zero although a creator has not started, apart from the creator's own
/// slot.
pub(super) fn is_blank(header: &Header) -> Result<(), usize> {
    let creator = index(CREATOR_AT)..index(CREATOR_STARTED_AT) + 8;
    let namespaces = index(CREATOR_NAMESPACES_AT)..index(CREATOR_NAMESPACES_AT) + 16;
    let expected = |at: &usize| creator.contains(at) || namespaces.contains(at);
    let found = header.as_bytes().iter().enumerate().find(|(at, byte)| **byte != 0 && !expected(at));
    found.map_or(Ok(()), |(at, _)| Err(at))
}

/// Whether participants and directory are where this number of slots puts them.
pub(super) fn layout_fits(header: &Header) -> bool {
    (1..=SLOTS_MAX).contains(&header.slots)
        && u64::from(header.participants) == HEADER_LEN
        && header.start == HEADER_LEN + u64::from(header.slots) * SLOT_LEN
}

/// Whether a header shows a segment even if a part of it was overwritten: none of these signs is a
/// coincidence.
pub(super) fn has_signs(header: &Header) -> bool {
    header.magic == MAGIC || header.fingerprint == FINGERPRINT || layout_fits(header)
}

impl<A: Access> SegmentRegion<'_, A> {
    pub(super) fn stage(&self) -> Result<SegmentStage, Error> {
        let now = self.view.atomic_u32(index(STATE_AT))?.load(SeqCst)?;
        let header = self.view.read::<Header>(0)?;
        let signs = has_signs(&header);
        let stage = match now {
            state::READY if signs => SegmentStage::Ready,
            // A creator that could not go on may have written nothing else.
            state::BROKEN if signs || header.magic == [0; 8] => SegmentStage::Broken,
            state::RAW if self.unlike_raw()?.is_none() => self.making(SegmentStage::Blank)?,
            state::CREATING
                if (header.magic == MAGIC || header.magic == [0; 8])
                    && matches!(header.version, 0 | VERSION) =>
            {
                self.making(if signs { SegmentStage::Damaged } else { SegmentStage::NotASegment })?
            }
            _ if signs => SegmentStage::Damaged,
            _ => SegmentStage::NotASegment,
        };
        Ok(stage)
    }

    /// The creator, or `without` if no process has ever started.
    fn making(&self, without: SegmentStage) -> Result<SegmentStage, Error> {
        let slot_state = SlotState(self.view.atomic_u64(index(CREATOR_AT))?.load(SeqCst)?);
        if slot_state.phase() == Phase::Free {
            // The creator may have finished since the state was read.
            let ready = self.view.atomic_u32(index(STATE_AT))?.load(SeqCst)? == state::READY;
            return Ok(if ready { SegmentStage::Ready } else { without });
        }
        let creator = self.creator(slot_state)?;
        let alive = self.creator_is_alive(slot_state)?;
        Ok(SegmentStage::Creating { creator: creator.into(), alive })
    }
}
