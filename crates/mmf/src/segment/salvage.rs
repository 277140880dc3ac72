//! Reading what is left of a damaged segment.
//!
//! Each head in the directory carries a fingerprint of its kind and type, and its two lengths depend on each
//! other. So an overwritten head can be distinguished from a whole one, and the next whole one behind a
//! damaged head can be found.

use core::mem::offset_of;
use core::ops::Range;

use super::core::{Core, index};
use super::creation::SegmentRegion;
use super::info::{Damage, SegmentStage};
use super::layout::{
    ALIGN, FINGERPRINT, HEAD_LEN, HEADER_LEN, Head, Header, MAGIC, SLOT_LEN, SLOTS_MAX, VERSION, align_up,
    fingerprint, has_signs, layout_fits, state, text_of,
};
use crate::access::Access;
use crate::error::{Error, ErrorKind};
use crate::view::View;

/// The number of bytes that are searched for whole heads, in all: reading pages that were never used would
/// allocate them.
const SEARCH: u64 = 16 << 20;

/// The limits of listed entries and of listed damage. A peer can write any number of entries.
const MOST_ENTRIES: usize = 1 << 14;
const MOST_DAMAGE: usize = 1 << 10;

/// An object whose head could be read.
pub(super) struct Found {
    /// Its number in the directory, counted from 1.
    pub(super) entry: usize,
    /// The offset of its head.
    pub(super) at: u64,
    pub(super) head: Head,
    pub(super) name: String,
    pub(super) type_name: String,
}

/// The damage in a head, with offsets in the head.
struct Checked {
    wrong: Vec<(usize, String)>,
    /// The names of the object and of its type, if both are valid texts.
    names: Option<(String, String)>,
    /// The length of head and object, computed from the length of the object.
    total: Option<u64>,
}

/// Checks a head. `room` is the number of bytes from its start to the end of the directory.
fn check(head: &Head, room: u64) -> Checked {
    let mut wrong = Vec::new();
    let total = align_up(head.object_len).and_then(|len| len.max(ALIGN).checked_add(HEAD_LEN));
    let total = total.filter(|total| *total <= room);
    if total != Some(head.total) {
        let what = format!(
            "its length is {} and that of its object {}, in {room} bytes: they contradict each other",
            head.total, head.object_len
        );
        wrong.push((offset_of!(Head, total), what));
    }
    if u64::from(head.value_offset).checked_add(head.size).is_none_or(|past| past > head.object_len) {
        let what = format!(
            "its value has {} bytes from {} on, in an object of {}",
            head.size, head.value_offset, head.object_len
        );
        wrong.push((offset_of!(Head, value_offset), what));
    }
    if !head.align.is_power_of_two() || u64::from(head.align) > ALIGN {
        let what = format!("its type is aligned to {}, expected a power of 2 up to {ALIGN}", head.align);
        wrong.push((offset_of!(Head, align), what));
    }
    let name = text_of(&head.name).filter(|name| !name.is_empty());
    if name.is_none() {
        wrong.push((offset_of!(Head, name), "its name is not valid text".to_owned()));
    }
    let type_name = text_of(head.type_name.as_flattened());
    match type_name {
        None => {
            wrong.push((offset_of!(Head, type_name), "the name of its type is not valid text".to_owned()))
        }
        Some(type_name) => {
            let right = fingerprint(head.kind, head.version, head.size, head.align, type_name);
            if right != head.fingerprint {
                let what = format!(
                    "its fingerprint is {:#018x}, expected {right:#018x} from its kind and type: one of \
                     them was overwritten",
                    head.fingerprint
                );
                wrong.push((offset_of!(Head, fingerprint), what));
            }
        }
    }
    let names = name.zip(type_name).map(|(name, type_name)| (name.to_owned(), type_name.to_owned()));
    Checked { wrong, names, total }
}

/// Returns whether there is a whole head at `at`, in front of `end`.
fn is_whole<A: Access>(view: &View<A>, at: u64, end: u64) -> Result<bool, Error> {
    if end.saturating_sub(at) < HEAD_LEN + ALIGN {
        return Ok(false);
    }
    // The length alone rules out nearly every offset.
    let total = view.read::<u64>(index(at))?;
    if total < HEAD_LEN + ALIGN || total % ALIGN != 0 || total > end - at {
        return Ok(false);
    }
    Ok(check(&view.read::<Head>(index(at))?, end - at).wrong.is_empty())
}

/// Walks the directory from whole head to whole head. Each step goes forward, and the search and the number
/// of entries are bounded, so the work is bounded whatever a peer has written. If the end of the directory is
/// unknown, it is assumed where the lengths and the fingerprint of a head are zero.
///
/// Returns whether the walk reached the end: not if there are more entries, or more damage, than are listed.
pub(super) fn walk<A: Access>(
    view: &View<A>,
    directory: Range<u64>,
    end_is_known: bool,
    damage: &mut Vec<Damage>,
    mut look: impl FnMut(Found, &mut Vec<Damage>),
) -> bool {
    let Range { start: mut at, end } = directory;
    let mut budget = SEARCH;
    let mut entry = 0;
    while at < end {
        entry += 1;
        if entry > MOST_ENTRIES || damage.len() >= MOST_DAMAGE {
            return false;
        }
        let mut wrong = |offset, what| damage.push(Damage { offset, entry: Some(entry), description: what });
        if end - at < HEAD_LEN + ALIGN {
            if end_is_known {
                wrong(at, format!("{} bytes are left, which are too few for an object", end - at));
            }
            return true;
        }
        let head = match view.read::<Head>(index(at)) {
            Ok(head) => head,
            Err(error) => {
                wrong(at, error.to_string());
                return true;
            }
        };
        if !end_is_known && (head.total, head.object_len, head.fingerprint) == (0, 0, 0) {
            return true;
        }
        let Checked { wrong: faults, names, total } = check(&head, end - at);
        let whole = faults.is_empty();
        let sure = faults.iter().all(|(offset, _)| *offset != offset_of!(Head, total));
        for (offset, what) in faults {
            wrong(at + offset as u64, what);
        }
        let next = match (sure, total) {
            // (It equals the length in the head.)
            (true, Some(total)) => Ok(Some(at + total)),
            _ => next_whole(view, at, end, [total, Some(head.total)], &mut budget),
        };
        if let (Some((name, type_name)), true) = (names, total.is_some()) {
            look(Found { entry, at, head, name, type_name }, damage);
        }
        let mut wrong = |what| damage.push(Damage { offset: at, entry: Some(entry), description: what });
        match next {
            Ok(Some(next)) => {
                if !whole && !sure && next > at + total.unwrap_or(0) {
                    wrong(format!("the entries between this one and byte {next} are unknown"));
                }
                at = next;
            }
            Ok(None) => {
                wrong("no valid entry was found behind it".to_owned());
                return true;
            }
            Err(error) => {
                wrong(error.to_string());
                return true;
            }
        }
    }
    true
}

/// Returns the offset of the next whole head, or the end: the one to which one of the lengths leads if
/// possible, otherwise the first one found.
fn next_whole<A: Access>(
    view: &View<A>,
    at: u64,
    end: u64,
    lengths: [Option<u64>; 2],
    budget: &mut u64,
) -> Result<Option<u64>, Error> {
    for len in lengths.into_iter().flatten() {
        let Some(next) = at.checked_add(len).filter(|next| len >= HEAD_LEN + ALIGN && *next <= end) else {
            continue;
        };
        if next % ALIGN == 0 && (next == end || is_whole(view, next, end)?) {
            return Ok(Some(next));
        }
    }
    let mut next = at + ALIGN;
    while next < end && *budget > 0 {
        if is_whole(view, next, end)? {
            return Ok(Some(next));
        }
        next += ALIGN;
        *budget -= ALIGN;
    }
    Ok(None)
}

/// Returns the parts of a header that no segment of this version has.
pub(super) fn damaged_header(header: &Header) -> Vec<Damage> {
    let mut damage = Vec::new();
    let mut wrong =
        |offset: usize, what| damage.push(Damage { offset: offset as u64, entry: None, description: what });
    if header.magic != MAGIC {
        let what = format!("it starts with {:02x?}, expected {MAGIC:02x?}", header.magic);
        wrong(offset_of!(Header, magic), what);
    }
    if header.version != VERSION {
        let what = format!("its format is version {}, expected {VERSION}", header.version);
        wrong(offset_of!(Header, version), what);
    }
    if header.state != state::READY && header.state != state::BROKEN {
        let what =
            format!("its state is {:#x}, expected {} or {}", header.state, state::READY, state::BROKEN);
        wrong(offset_of!(Header, state), what);
    }
    if header.fingerprint != FINGERPRINT {
        let what = format!(
            "the fingerprint of its layout is {:#018x}, expected {FINGERPRINT:#018x}",
            header.fingerprint
        );
        wrong(offset_of!(Header, fingerprint), what);
    }
    if u64::from(header.participants) != HEADER_LEN {
        let what = format!("its participants start at {}, expected {HEADER_LEN}", header.participants);
        wrong(offset_of!(Header, participants), what);
    }
    damage
}

/// Returns the stage of a segment that was once ready.
pub(super) fn stage(header: &Header) -> SegmentStage {
    match header.state {
        state::READY => SegmentStage::Ready,
        state::BROKEN => SegmentStage::Broken,
        _ => SegmentStage::Damaged,
    }
}

impl<A: Access> SegmentRegion<'_, A> {
    /// Returns a segment to inspect, from what its header still states and from what is found where it should
    /// be.
    pub(super) fn salvage(&self) -> Result<Core<A>, Error> {
        match self.stage()? {
            SegmentStage::Ready | SegmentStage::Broken | SegmentStage::Damaged => {}
            SegmentStage::Blank => {
                let detail =
                    "its first bytes are all zero: it is a plain region, or its creator has not started yet";
                return Err(self.fail(ErrorKind::NotReady).with_detail(detail));
            }
            SegmentStage::Creating { creator, alive: true } => {
                let detail = format!("process {} is creating it: try again", creator.id);
                return Err(self.fail(ErrorKind::NotReady).with_detail(detail));
            }
            SegmentStage::Creating { creator, alive: false } => {
                let detail = format!(
                    "its creator, process {}, died before it was ready: use open_or_create, which creates \
                     it anew, or start the \
                     creator again",
                    creator.id
                );
                return Err(self.fail(ErrorKind::NotReady).with_detail(detail));
            }
            SegmentStage::NotASegment => return Err(self.fail(ErrorKind::NotASegment)),
        }
        let header = self.view.read::<Header>(0)?;
        // Nothing is known of another version; but if only one of the three differs, it is damage.
        let other = header.magic == MAGIC && header.version != VERSION && header.fingerprint != FINGERPRINT;
        if other || !has_signs(&header) {
            let detail = format!(
                "its format is version {} ({:#018x}), and this library supports version {VERSION} \
                 ({FINGERPRINT:#018x})",
                header.version, header.fingerprint
            );
            return Err(self.fail(ErrorKind::NotASegment).with_detail(detail));
        }
        let there = self.reaches(header.len)?;
        let slots = self.slots(&header, there)?;
        let start = HEADER_LEN + u64::from(slots) * SLOT_LEN;
        let len = Some(header.len).filter(|len| (start..=there).contains(len));
        Ok(self.core(slots, len.unwrap_or(there & !(ALIGN - 1)), header.id))
    }

    /// Returns the number of slots. If the header contradicts itself, it follows from where the directory
    /// starts.
    fn slots(&self, header: &Header, there: u64) -> Result<u32, Error> {
        let most = u32::try_from((there - HEADER_LEN) / SLOT_LEN).unwrap_or(SLOTS_MAX).min(SLOTS_MAX);
        let fits = |slots: u32| (1..=most).contains(&slots);
        if layout_fits(header) && fits(header.slots) {
            return Ok(header.slots);
        }
        let start = |slots: u32| HEADER_LEN + u64::from(slots) * SLOT_LEN;
        let by_start = u32::try_from(header.start.saturating_sub(HEADER_LEN) / SLOT_LEN).unwrap_or(0);
        for slots in [header.slots, by_start].into_iter().filter(|slots| fits(*slots)) {
            if header.end == start(slots) || is_whole(&self.view, start(slots), there)? {
                return Ok(slots);
            }
        }
        for slots in 1..=most {
            if is_whole(&self.view, start(slots), there)? {
                return Ok(slots);
            }
        }
        Ok([header.slots, by_start].into_iter().find(|slots| fits(*slots)).unwrap_or(most))
    }
}
