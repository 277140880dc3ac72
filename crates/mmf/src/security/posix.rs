//! Access rights on Unix: owner, group, mode, and the access list of `acl(5)`.

#[cfg(test)]
mod tests;

use core::fmt;

/// The subject of an entry of an access list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Tag {
    Owner,
    User(u32),
    Group,
    NamedGroup(u32),
    /// The upper bound for named users and all groups.
    Mask,
    Other,
}

/// An entry of an access list: bit 2 allows reading, bit 1 writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Entry {
    pub(crate) tag: Tag,
    pub(crate) bits: u16,
}

pub(crate) const READ: u16 = 4;
pub(crate) const WRITE: u16 = 2;
const VERSION: u32 = 2;
const NOBODY: u32 = u32::MAX;

/// Parses the value of the extended attribute `system.posix_acl_access`. Returns `None` if it is malformed.
pub(crate) fn read_list(bytes: &[u8]) -> Option<Vec<Entry>> {
    let (version, rest) = bytes.split_first_chunk()?;
    if u32::from_le_bytes(*version) != VERSION || rest.len() % 8 != 0 {
        return None;
    }
    rest.chunks_exact(8)
        .map(|e| {
            let id = u32::from_le_bytes([e[4], e[5], e[6], e[7]]);
            let tag = match u16::from_le_bytes([e[0], e[1]]) {
                0x01 => Tag::Owner,
                0x02 => Tag::User(id),
                0x04 => Tag::Group,
                0x08 => Tag::NamedGroup(id),
                0x10 => Tag::Mask,
                0x20 => Tag::Other,
                _ => return None,
            };
            // Regions are never executed, so execute bits of other programs are dropped.
            Some(Entry { tag, bits: u16::from_le_bytes([e[2], e[3]]) & (READ | WRITE) })
        })
        .collect()
}

pub(crate) fn write_list(entries: &[Entry]) -> Vec<u8> {
    let mut sorted = entries.to_vec();
    // The kernel requires this order.
    sorted.sort_unstable();
    let mut bytes = VERSION.to_le_bytes().to_vec();
    for entry in sorted {
        let (tag, id) = match entry.tag {
            Tag::Owner => (0x01_u16, NOBODY),
            Tag::User(id) => (0x02, id),
            Tag::Group => (0x04, NOBODY),
            Tag::NamedGroup(id) => (0x08, id),
            Tag::Mask => (0x10, NOBODY),
            Tag::Other => (0x20, NOBODY),
        };
        bytes.extend(tag.to_le_bytes());
        bytes.extend(entry.bits.to_le_bytes());
        bytes.extend(id.to_le_bytes());
    }
    bytes
}

/// The owner, the group and the access rights of a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Posix {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// The nine bits of the mode; with a list, those of the group are its mask.
    pub(crate) mode: u32,
    /// Empty if the mode has all rights.
    pub(crate) list: Vec<Entry>,
}

impl Posix {
    /// Returns all grants, after the mask.
    pub(crate) fn grants(&self) -> Vec<Entry> {
        let bits = |shift: u32| u16::try_from((self.mode >> shift) & 0o6).unwrap_or(0);
        if self.list.is_empty() {
            return vec![
                Entry { tag: Tag::Owner, bits: bits(6) },
                Entry { tag: Tag::Group, bits: bits(3) },
                Entry { tag: Tag::Other, bits: bits(0) },
            ];
        }
        let mask =
            self.list.iter().find(|entry| entry.tag == Tag::Mask).map_or(READ | WRITE, |entry| entry.bits);
        let masked = |entry: &Entry| match entry.tag {
            Tag::User(_) | Tag::Group | Tag::NamedGroup(_) => Entry { bits: entry.bits & mask, ..*entry },
            _ => *entry,
        };
        self.list.iter().filter(|entry| entry.tag != Tag::Mask).map(masked).collect()
    }
}

/// The rights of a process by its user and groups, by the rules of the kernel.
impl Posix {
    /// Returns whether reading is granted, and whether reading and writing together is.
    pub(crate) fn allows(&self, user: u32, groups: &[u32]) -> (bool, bool) {
        let grants = self.grants();
        let of = |wanted: &dyn Fn(&Tag) -> bool| -> Vec<u16> {
            grants.iter().filter(|entry| wanted(&entry.tag)).map(|entry| entry.bits).collect()
        };
        // The first kind of entry that applies decides; of several groups, any one that grants all of it.
        let mut bits =
            if user == self.uid { of(&|tag| *tag == Tag::Owner) } else { of(&|tag| *tag == Tag::User(user)) };
        if bits.is_empty() {
            bits = of(&|tag| match tag {
                Tag::Group => groups.contains(&self.gid),
                Tag::NamedGroup(group) => groups.contains(group),
                _ => false,
            });
        }
        if bits.is_empty() {
            bits = of(&|tag| *tag == Tag::Other);
        }
        let any = |wanted| bits.iter().any(|bits| bits & wanted == wanted);
        (any(READ), any(READ | WRITE))
    }
}

/// The meaning of the bits for a region.
pub(crate) struct Words(pub(crate) u16);

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.0 & READ != 0, self.0 & WRITE != 0) {
            (true, true) => "read and write",
            (true, false) => "read",
            // Nothing can be mapped for writing only.
            (false, true) => "write by system calls only",
            (false, false) => "do nothing",
        })
    }
}
