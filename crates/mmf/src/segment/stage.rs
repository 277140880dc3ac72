//! How far the creation of a segment in a region has progressed: read from the first bytes, without waiting.

use std::sync::atomic::Ordering::SeqCst;

use super::core::index;
use super::creation::SegmentRegion;
use super::info::SegmentStage;
use super::layout::{CREATOR_AT, Header, MAGIC, Phase, STATE_AT, SlotState, VERSION, has_signs, state};
use crate::access::Access;
use crate::error::Error;

impl<A: Access> SegmentRegion<'_, A> {
    pub(super) fn stage(&self) -> Result<SegmentStage, Error> {
        let now = self.view.atomic_u32(index(STATE_AT))?.load(SeqCst)?;
        let header = self.view.read::<Header>(0)?;
        let signs = has_signs(&header);
        let stage = match now {
            state::READY if signs => SegmentStage::Ready,
            // A creator that could not go on may have written nothing else.
            state::BROKEN if signs || header.magic == [0; 8] => SegmentStage::Broken,
            state::RAW if self.unlike_raw()?.is_none() => self.creating(SegmentStage::Blank)?,
            state::CREATING
                if (header.magic == MAGIC || header.magic == [0; 8])
                    && matches!(header.version, 0 | VERSION) =>
            {
                self.creating(if signs { SegmentStage::Damaged } else { SegmentStage::NotASegment })?
            }
            _ if signs => SegmentStage::Damaged,
            _ => SegmentStage::NotASegment,
        };
        Ok(stage)
    }

    /// Returns the stage of a segment that is being created, or `without` if no process has started to create
    /// it.
    fn creating(&self, without: SegmentStage) -> Result<SegmentStage, Error> {
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
