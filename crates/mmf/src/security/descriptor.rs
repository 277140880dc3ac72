//! Self-relative security descriptors, [MS-DTYP] 2.4.6. They are parsed, evaluated and built in safe code
//! without the system, so that diagnoses can explain them on every system. Parsing accepts arbitrary bytes.

use super::sid::Sid;

/// The rights to a section (`winnt.h`): to query its size, to map it for writing, and to map it for reading.
pub(crate) const SECTION_QUERY: u32 = 1;
pub(crate) const SECTION_MAP_WRITE: u32 = 2;
pub(crate) const SECTION_MAP_READ: u32 = 4;
/// The right to read the descriptor.
pub(crate) const READ_CONTROL: u32 = 0x2_0000;
/// The right to change the access control list.
pub(crate) const WRITE_DAC: u32 = 0x4_0000;
/// All rights to a section.
pub(crate) const SECTION_ALL: u32 = 0xf_001f;
/// The meaning of `GENERIC_READ` for a section: the rights to map it, to query its size, and to read its
/// descriptor.
pub(crate) const READ: u32 = SECTION_QUERY | SECTION_MAP_READ | READ_CONTROL;
/// The rights of a reader, and the right to map the section for writing.
pub(crate) const READ_WRITE: u32 = READ | SECTION_MAP_WRITE;

const DACL_PRESENT: u16 = 0x4;
const SACL_PRESENT: u16 = 0x10;
const DACL_PROTECTED: u16 = 0x1000;
const SELF_RELATIVE: u16 = 0x8000;

const ALLOWED: u8 = 0;
const DENIED: u8 = 1;
const ALLOWED_CALLBACK: u8 = 9;
const DENIED_CALLBACK: u8 = 10;
const LABEL: u8 = 0x11;
/// A flag of entries that do not apply to the object itself, but to objects that are created in it.
const INHERIT_ONLY: u8 = 8;
/// The rights of a label: processes of lower integrity must not write, must not read.
const NO_WRITE_UP: u32 = 1;
const NO_READ_UP: u32 = 2;

/// An entry of an access control list. Entries of unknown types are kept as bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ace {
    kind: u8,
    flags: u8,
    body: Vec<u8>,
}

impl Ace {
    fn new(kind: u8, mask: u32, sid: &Sid) -> Self {
        let mut body = mask.to_le_bytes().to_vec();
        body.extend(sid.to_bytes());
        Ace { kind, flags: 0, body }
    }

    /// Returns an entry that allows access.
    pub(crate) fn allow(mask: u32, sid: &Sid) -> Self {
        Ace::new(ALLOWED, mask, sid)
    }

    /// Returns the mask and the SID, which have the same offsets in the known types.
    fn parts(&self) -> Option<(u32, Sid)> {
        let (mask, sid) = self.body.split_first_chunk()?;
        Some((u32::from_le_bytes(*mask), Sid::from_bytes(sid)?))
    }

    /// Returns whether the entry allows (or denies) access, the rights, and the SID. Returns `None` for an
    /// entry of another type, with a condition, or that does not apply to the object itself.
    pub(crate) fn rule(&self) -> Option<(bool, u32, Sid)> {
        self.any_rule().filter(|_| !self.is_conditional())
    }

    /// Returns whether the entry has a condition, which only the system can evaluate.
    pub(crate) fn is_conditional(&self) -> bool {
        matches!(self.kind, ALLOWED_CALLBACK | DENIED_CALLBACK)
    }

    /// Returns the same as [`rule`](Ace::rule), also for an entry with a condition.
    pub(crate) fn any_rule(&self) -> Option<(bool, u32, Sid)> {
        let allows = match self.kind {
            ALLOWED | ALLOWED_CALLBACK => true,
            DENIED | DENIED_CALLBACK => false,
            _ => return None,
        };
        if self.flags & INHERIT_ONLY != 0 {
            return None;
        }
        let (mask, sid) = self.parts()?;
        Some((allows, specific(mask), sid))
    }
}

/// Replaces generic rights by the rights to a section that they mean.
fn specific(mask: u32) -> u32 {
    const GENERIC: [(u32, u32); 4] = [
        (0x8000_0000, READ),
        (0x4000_0000, READ_CONTROL | SECTION_MAP_WRITE),
        (0x2000_0000, READ_CONTROL | 8),
        (0x1000_0000, SECTION_ALL),
    ];
    GENERIC.iter().fold(
        mask & 0x0fff_ffff,
        |rights, (generic, meaning)| {
            if mask & generic == 0 { rights } else { rights | meaning }
        },
    )
}

/// A discretionary access control list.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Dacl {
    /// The list is absent or NULL. Such an object grants everything to everyone.
    Missing,
    List(Vec<Ace>),
}

/// A security descriptor.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Descriptor {
    pub(crate) owner: Option<Sid>,
    pub(crate) group: Option<Sid>,
    pub(crate) dacl: Dacl,
    /// The system list. Descriptors that are built here contain at most an integrity label in it.
    sacl: Vec<Ace>,
    protected: bool,
}

/// The error for bytes that are not a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct NoDescriptor;

impl Descriptor {
    /// Returns a descriptor with this owner and these entries, which inherits no entries.
    pub(crate) fn new(owner: Option<Sid>, entries: Vec<Ace>) -> Self {
        Descriptor { owner, group: None, dacl: Dacl::List(entries), sacl: Vec::new(), protected: true }
    }

    /// Parses a self-relative descriptor.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, NoDescriptor> {
        let (head, _) = bytes.split_first_chunk::<20>().ok_or(NoDescriptor)?;
        let control = u16::from_le_bytes([head[2], head[3]]);
        if head[0] != 1 || control & SELF_RELATIVE == 0 {
            return Err(NoDescriptor);
        }
        let part = |at: usize| {
            let offset = u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
            match usize::try_from(offset) {
                Ok(0) => Ok(None),
                Ok(offset) => bytes.get(offset..).map(Some).ok_or(NoDescriptor),
                Err(_) => Err(NoDescriptor),
            }
        };
        let sid = |at| part(at)?.map(|bytes| Sid::from_bytes(bytes).ok_or(NoDescriptor)).transpose();
        let dacl = match part(16)? {
            Some(list) if control & DACL_PRESENT != 0 => Dacl::List(entries(list)?),
            _ => Dacl::Missing,
        };
        let sacl = match part(12)? {
            Some(list) if control & SACL_PRESENT != 0 => entries(list)?,
            _ => Vec::new(),
        };
        Ok(Descriptor {
            owner: sid(4)?,
            group: sid(8)?,
            dacl,
            sacl,
            protected: control & DACL_PROTECTED != 0,
        })
    }

    /// Returns the self-relative form, or `None` if a list is longer than the format allows.
    pub(crate) fn to_bytes(&self) -> Option<Vec<u8>> {
        let mut control = SELF_RELATIVE;
        let mut bytes = vec![0; 20];
        let mut add = |at: usize, part: Option<Vec<u8>>| {
            let Some(part) = part else { return };
            let offset = u32::try_from(bytes.len()).unwrap_or(0);
            bytes[at..at + 4].copy_from_slice(&offset.to_le_bytes());
            bytes.extend(part);
        };
        add(4, self.owner.as_ref().map(Sid::to_bytes));
        add(8, self.group.as_ref().map(Sid::to_bytes));
        if !self.sacl.is_empty() {
            control |= SACL_PRESENT;
            add(12, Some(list(&self.sacl)?));
        }
        if let Dacl::List(entries) = &self.dacl {
            control |= DACL_PRESENT;
            add(16, Some(list(entries)?));
        }
        if self.protected {
            control |= DACL_PROTECTED;
        }
        bytes[0] = 1;
        bytes[2..4].copy_from_slice(&control.to_le_bytes());
        Some(bytes)
    }

    /// Appends an entry that allows access.
    pub(crate) fn allow(&mut self, mask: u32, sid: &Sid) {
        match &mut self.dacl {
            Dacl::List(entries) => entries.push(Ace::allow(mask, sid)),
            // Everything is granted already.
            Dacl::Missing => {}
        }
    }

    /// Sets the integrity level, and keeps the flag that denies reading to lower levels.
    pub(crate) fn set_label(&mut self, level: u32) {
        let reading = if self.label().is_some_and(|(_, no_read)| no_read) { NO_READ_UP } else { 0 };
        self.sacl.retain(|ace| ace.kind != LABEL);
        self.sacl.push(Ace::new(LABEL, NO_WRITE_UP | reading, &Sid::label(level)));
    }

    /// Removes all entries of the system list except for the label: they require a privilege, and do not
    /// affect access.
    pub(crate) fn keep_label_only(&mut self) {
        self.sacl.retain(|ace| ace.kind == LABEL);
    }

    /// Returns the integrity level, and whether lower levels must not read.
    pub(crate) fn label(&self) -> Option<(u32, bool)> {
        let ace = self.sacl.iter().find(|ace| ace.kind == LABEL)?;
        let (mask, sid) = ace.parts()?;
        Some((sid.as_label()?, mask & NO_READ_UP != 0))
    }

    /// Returns the rights that the list grants to a token with the enabled SIDs `sids` and the deny-only SIDs
    /// `deny_only`. Integrity levels, privileges and sandboxes are not considered.
    pub(crate) fn granted(&self, sids: &[Sid], deny_only: &[Sid]) -> u32 {
        let Dacl::List(entries) = &self.dacl else { return SECTION_ALL };
        let is_owner = self.owner.as_ref().is_some_and(|owner| sids.contains(owner));
        let has_owner_rights =
            entries.iter().filter_map(Ace::rule).any(|(_, _, sid)| sid == Sid::owner_rights());
        let mut granted = if is_owner && !has_owner_rights { READ_CONTROL | WRITE_DAC } else { 0 };
        let mut denied = 0;
        for (allows, mask, sid) in entries.iter().filter_map(Ace::rule) {
            let matches = sids.contains(&sid) || (is_owner && sid == Sid::owner_rights());
            if allows && matches {
                granted |= mask & !denied;
            } else if !allows && (matches || deny_only.contains(&sid)) {
                denied |= mask & !granted;
            }
        }
        granted
    }
}

/// Parses an access control list.
fn entries(list: &[u8]) -> Result<Vec<Ace>, NoDescriptor> {
    let (head, _) = list.split_first_chunk::<8>().ok_or(NoDescriptor)?;
    let size = usize::from(u16::from_le_bytes([head[2], head[3]]));
    let count = u16::from_le_bytes([head[4], head[5]]);
    let mut rest = list.get(8..size).ok_or(NoDescriptor)?;
    let mut found = Vec::new();
    for _ in 0..count {
        let (head, _) = rest.split_first_chunk::<4>().ok_or(NoDescriptor)?;
        let size = usize::from(u16::from_le_bytes([head[2], head[3]]));
        let body = rest.get(4..size).ok_or(NoDescriptor)?;
        found.push(Ace { kind: head[0], flags: head[1], body: body.to_vec() });
        rest = &rest[size..];
    }
    Ok(found)
}

/// Builds an access control list, or returns `None` if it is longer than its length field can express.
fn list(entries: &[Ace]) -> Option<Vec<u8>> {
    // Lists with object-specific entries have a revision of their own.
    let revision =
        if entries.iter().any(|ace| matches!(ace.kind, 5..=8 | 11 | 12 | 15 | 16)) { 4 } else { 2 };
    let mut bytes = vec![revision, 0, 0, 0, 0, 0, 0, 0];
    for ace in entries {
        let size = u16::try_from(4 + ace.body.len()).ok()?.to_le_bytes();
        bytes.extend([ace.kind, ace.flags, size[0], size[1]]);
        bytes.extend(&ace.body);
    }
    let size = u16::try_from(bytes.len()).ok()?;
    let count = u16::try_from(entries.len()).ok()?;
    bytes[2..4].copy_from_slice(&size.to_le_bytes());
    bytes[4..6].copy_from_slice(&count.to_le_bytes());
    Some(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests;
