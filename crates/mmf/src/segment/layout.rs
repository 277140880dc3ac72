//! The format in memory, byte by byte. `docs/segment.md` describes it.
//!
//! The structures are never laid over shared bytes: they are copied out whole, checked, and used as copies.
//! Words that change while other processes read them are accessed atomically, at the offsets below.

use core::mem::offset_of;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

#[cfg(target_endian = "big")]
compile_error!("the format of segments is little-endian, and its words are accessed where they are");

pub(crate) const MAGIC: [u8; 8] = *b"mmf\0seg\n";
pub(crate) const VERSION: u32 = 1;
pub(crate) const FINGERPRINT: u64 = 0x6d6d_6673_6567_0002;

/// States of a segment.
pub(crate) mod state {
    pub(crate) const RAW: u32 = 0;
    pub(crate) const CREATING: u32 = 1;
    pub(crate) const READY: u32 = 2;
    pub(crate) const BROKEN: u32 = 3;
}

/// The alignment of every object, and the largest alignment of a type.
pub(crate) const ALIGN: u64 = 64;

/// The first 256 bytes.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct Header {
    pub(crate) magic: [u8; 8],
    pub(crate) version: u32,
    pub(crate) state: u32,
    pub(crate) fingerprint: u64,
    pub(crate) len: u64,
    pub(crate) id: [u8; 16],
    pub(crate) creator: u64,
    pub(crate) creator_started: u64,
    pub(crate) participants: u32,
    pub(crate) slots: u32,
    pub(crate) slots_used: u32,
    pub(crate) reserved: u32,
    pub(crate) end: u64,
    pub(crate) start: u64,
    pub(crate) lock: u32,
    pub(crate) lock_waiters: u32,
    pub(crate) created_at: u64,
    pub(crate) creator_pid_namespace: u64,
    pub(crate) creator_time_namespace: u64,
    pub(crate) reserved_too: [[u8; 16]; 8],
}

/// The slot of one participant.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct Slot {
    pub(crate) slot_state: u64,
    pub(crate) started: u64,
    pub(crate) joined: u64,
    pub(crate) pid_namespace: u64,
    pub(crate) time_namespace: u64,
    pub(crate) reserved: [u64; 3],
}

/// The head in front of an object.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct Head {
    pub(crate) total: u64,
    pub(crate) kind: u32,
    pub(crate) version: u32,
    pub(crate) object_len: u64,
    pub(crate) value_offset: u32,
    pub(crate) align: u32,
    pub(crate) size: u64,
    pub(crate) fingerprint: u64,
    pub(crate) created_at: u64,
    pub(crate) created_by: u32,
    pub(crate) count: u32,
    pub(crate) name: [u8; 64],
    pub(crate) type_name: [[u8; 64]; 2],
}

/// The head of every lock.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct LockHead {
    pub(crate) word: u32,
    pub(crate) waiters: u32,
    pub(crate) since_owner: u32,
    pub(crate) dead_owner: u32,
    pub(crate) since: u64,
    pub(crate) dead_process: u32,
    pub(crate) end: u16,
    pub(crate) missed: u16,
    pub(crate) dead_started: u64,
    pub(crate) dead_detected: u64,
    pub(crate) dead_since: u64,
    pub(crate) releases: u32,
    pub(crate) since_releases: u32,
}

impl LockHead {
    /// Returns whether `since` is about this owner and its current acquisition: it has not released the lock
    /// since.
    pub(crate) fn since_is_of(&self, id: u32) -> bool {
        self.since_owner == id && self.since_releases == self.releases
    }
}

/// How an owner that left the data damaged ended.
pub(crate) const END_DIED: u16 = 0;
pub(crate) const END_PANICKED: u16 = 1;

pub(crate) const HEADER_LEN: u64 = 256;
pub(crate) const SLOT_LEN: u64 = 64;
pub(crate) const HEAD_LEN: u64 = 256;
/// The longest name of an object, and of a type, in bytes.
pub(crate) const NAME_MAX: usize = 63;
pub(crate) const TYPE_NAME_MAX: usize = 127;
/// The largest number of slots: a slot has 9 bits in a participant id, and the value of all ones is reserved.
pub(crate) const SLOTS_MAX: u32 = 511;
/// The creator's slot among those that the kernel holds.
pub(crate) const CREATOR: u32 = 1 << 20;

/// An rwlock: the word that a writer blocks on, and the readers' words.
pub(crate) const DRAIN: u64 = 64;
pub(crate) const READERS: u64 = 128;
pub(crate) const READER_STEP: u64 = 64;

/// A latest value: the number of published values, and the sequences of its slots.
pub(crate) const PUBLISHED: u64 = 8;
pub(crate) const SEQUENCES: u64 = 16;
/// The offset of the value of a mutex, or of the first value of a latest.
pub(crate) const VALUE: u64 = 64;

const _: () = {
    assert!(size_of::<Header>() == 256 && align_of::<Header>() <= 8);
    assert!(offset_of!(Header, version) == 8 && offset_of!(Header, state) == 12);
    assert!(offset_of!(Header, fingerprint) == 16 && offset_of!(Header, len) == 24);
    assert!(offset_of!(Header, id) == 32 && offset_of!(Header, creator) == 48);
    assert!(offset_of!(Header, creator_started) == 56 && offset_of!(Header, participants) == 64);
    assert!(offset_of!(Header, slots) == 68 && offset_of!(Header, slots_used) == 72);
    assert!(offset_of!(Header, reserved) == 76 && offset_of!(Header, end) == 80);
    assert!(offset_of!(Header, start) == 88 && offset_of!(Header, lock) == 96);
    assert!(offset_of!(Header, lock_waiters) == 100 && offset_of!(Header, created_at) == 104);
    assert!(
        offset_of!(Header, creator_pid_namespace) == 112 && offset_of!(Header, creator_time_namespace) == 120
    );
    assert!(size_of::<Slot>() == 64);
    assert!(offset_of!(Slot, started) == 8 && offset_of!(Slot, joined) == 16);
    assert!(offset_of!(Slot, pid_namespace) == 24 && offset_of!(Slot, time_namespace) == 32);
    assert!(size_of::<Head>() == 256);
    assert!(offset_of!(Head, kind) == 8 && offset_of!(Head, version) == 12);
    assert!(offset_of!(Head, object_len) == 16 && offset_of!(Head, value_offset) == 24);
    assert!(offset_of!(Head, align) == 28 && offset_of!(Head, size) == 32);
    assert!(offset_of!(Head, fingerprint) == 40 && offset_of!(Head, created_at) == 48);
    assert!(offset_of!(Head, created_by) == 56 && offset_of!(Head, count) == 60);
    assert!(offset_of!(Head, name) == 64 && offset_of!(Head, type_name) == 128);
    assert!(size_of::<LockHead>() == 64);
    assert!(offset_of!(LockHead, since_owner) == 8 && offset_of!(LockHead, dead_owner) == 12);
    assert!(offset_of!(LockHead, since) == 16 && offset_of!(LockHead, dead_process) == 24);
    assert!(offset_of!(LockHead, dead_started) == 32 && offset_of!(LockHead, dead_detected) == 40);
    assert!(offset_of!(LockHead, dead_since) == 48 && offset_of!(LockHead, end) == 28);
    assert!(offset_of!(LockHead, missed) == 30 && offset_of!(LockHead, releases) == 56);
    assert!(offset_of!(LockHead, since_releases) == 60);
};

pub(crate) const STATE_AT: u64 = offset_of!(Header, state) as u64;
pub(crate) const LEN_AT: u64 = offset_of!(Header, len) as u64;
pub(crate) const CREATOR_AT: u64 = offset_of!(Header, creator) as u64;
pub(crate) const CREATOR_STARTED_AT: u64 = offset_of!(Header, creator_started) as u64;
/// The creator's namespaces, one behind the other.
pub(crate) const CREATOR_NAMESPACES_AT: u64 = offset_of!(Header, creator_pid_namespace) as u64;
pub(crate) const SLOTS_USED_AT: u64 = offset_of!(Header, slots_used) as u64;
pub(crate) const END_AT: u64 = offset_of!(Header, end) as u64;
pub(crate) const LOCK_AT: u64 = offset_of!(Header, lock) as u64;

/// The state of a slot, in 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlotState(pub(crate) u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Free,
    Joining,
    Present,
    Retired,
}

/// Generations have 19 bits; the last one is reserved, so that no participant id is all ones.
pub(crate) const LAST_GENERATION: u32 = (1 << 19) - 2;

impl SlotState {
    pub(crate) fn new(process: u32, generation: u32, kernel: bool, phase: Phase) -> Self {
        let tag = (generation << 3) | (u32::from(kernel) << 2) | phase as u32;
        SlotState((u64::from(process) << 32) | u64::from(tag))
    }

    #[allow(clippy::cast_possible_truncation, reason = "the lower half")]
    fn tag(self) -> u32 {
        self.0 as u32
    }

    pub(crate) fn process(self) -> u32 {
        (self.0 >> 32) as u32
    }

    pub(crate) fn generation(self) -> u32 {
        (self.tag() >> 3) & ((1 << 19) - 1)
    }

    /// Returns whether the kernel holds the slot for its participant, and can be asked whether it still does.
    pub(crate) fn kernel(self) -> bool {
        self.tag() & 4 != 0
    }

    pub(crate) fn phase(self) -> Phase {
        match self.tag() & 3 {
            0 => Phase::Free,
            1 => Phase::Joining,
            2 => Phase::Present,
            _ => Phase::Retired,
        }
    }

    pub(crate) fn with_phase(self, phase: Phase) -> Self {
        SlotState((self.0 & !3) | phase as u64)
    }
}

pub(crate) const fn align_up(bytes: u64) -> Option<u64> {
    match bytes.checked_add(ALIGN - 1) {
        Some(sum) => Some(sum & !(ALIGN - 1)),
        None => None,
    }
}

/// Reads a text that is stored behind its length, as names are.
pub(crate) fn text_of(bytes: &[u8]) -> Option<&str> {
    let (len, rest) = bytes.split_first()?;
    core::str::from_utf8(rest.get(..usize::from(*len))?).ok()
}

/// Stores a text behind its length. The caller has checked the length.
pub(crate) fn put_text(bytes: &mut [u8], text: &str) {
    let len = text.len().min(bytes.len() - 1).min(255);
    bytes[0] = u8::try_from(len).unwrap_or(0);
    bytes[1..=len].copy_from_slice(&text.as_bytes()[..len]);
}

/// Returns the fingerprint of a kind and a type (FNV-1a).
pub(crate) fn fingerprint(kind: u32, version: u32, size: u64, align: u32, type_name: &str) -> u64 {
    let numbers = [u64::from(kind), u64::from(version), size, u64::from(align)];
    let bytes = numbers.iter().flat_map(|number| number.to_le_bytes()).chain(type_name.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Returns whether participants and directory are where this number of slots puts them.
pub(super) fn layout_fits(header: &Header) -> bool {
    (1..=SLOTS_MAX).contains(&header.slots)
        && u64::from(header.participants) == HEADER_LEN
        && header.start == HEADER_LEN + u64::from(header.slots) * SLOT_LEN
}

/// Returns whether a header is that of a segment even if a part of it was overwritten: none of these signs is
/// a coincidence.
pub(super) fn has_signs(header: &Header) -> bool {
    header.magic == MAGIC || header.fingerprint == FINGERPRINT || layout_fits(header)
}

#[cfg(test)]
mod tests;
