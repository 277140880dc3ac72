//! Security identifiers (SIDs), [MS-DTYP] 2.4.2, which identify users and groups on Windows.

use core::fmt;
use core::str::FromStr;

/// A security identifier.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Sid {
    authority: u64,
    parts: Vec<u32>,
}

/// The maximum number of sub-authorities (`SID_MAX_SUB_AUTHORITIES`).
const MAX_PARTS: usize = 15;
const MAX_AUTHORITY: u64 = (1 << 48) - 1;

impl Sid {
    fn well_known(authority: u64, parts: &[u32]) -> Self {
        Sid { authority, parts: parts.to_vec() }
    }

    pub(crate) fn everyone() -> Self {
        Sid::well_known(1, &[0])
    }

    /// Returns the SID of the owner of an object. An entry for it replaces the implied rights of the owner.
    pub(crate) fn owner_rights() -> Self {
        Sid::well_known(3, &[4])
    }

    pub(crate) fn interactive() -> Self {
        Sid::well_known(5, &[4])
    }

    pub(crate) fn services() -> Self {
        Sid::well_known(5, &[6])
    }

    pub(crate) fn authenticated_users() -> Self {
        Sid::well_known(5, &[11])
    }

    pub(crate) fn system() -> Self {
        Sid::well_known(5, &[18])
    }

    pub(crate) fn administrators() -> Self {
        Sid::well_known(5, &[32, 544])
    }

    pub(crate) fn all_application_packages() -> Self {
        Sid::well_known(15, &[2, 1])
    }

    /// Returns the SID of an integrity level.
    pub(crate) fn label(level: u32) -> Self {
        Sid::well_known(16, &[level])
    }

    /// Returns the integrity level, if the SID is that of one.
    pub(crate) fn as_label(&self) -> Option<u32> {
        match (self.authority, &self.parts[..]) {
            (16, [level]) => Some(*level),
            _ => None,
        }
    }

    /// Parses the SID that `bytes` start with. Bytes that follow it are ignored.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (&[revision, count, a, b, c, d, e, f], rest) = bytes.split_first_chunk()?;
        let count = usize::from(count);
        if revision != 1 || count > MAX_PARTS || rest.len() < 4 * count {
            return None;
        }
        let authority = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
        let parts = rest.chunks_exact(4).take(count).map(|p| u32::from_le_bytes([p[0], p[1], p[2], p[3]]));
        Some(Sid { authority, parts: parts.collect() })
    }

    /// Returns the binary form.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let count = u8::try_from(self.parts.len()).unwrap_or(0);
        let mut bytes = vec![1, count];
        bytes.extend_from_slice(&self.authority.to_be_bytes()[2..]);
        bytes.extend(self.parts.iter().flat_map(|part| part.to_le_bytes()));
        bytes
    }

    /// Returns the common name of a SID that is the same on every machine.
    pub(crate) fn well_known_name(&self) -> Option<&'static str> {
        Some(match (self.authority, &self.parts[..]) {
            (1, [0]) => "Everyone",
            (3, [0]) => "Creator owner",
            (3, [4]) => "Owner rights",
            (5, [2]) => "Network users",
            (5, [4]) => "Interactive users",
            (5, [6]) => "Services",
            (5, [7]) => "Anonymous",
            (5, [11]) => "Authenticated users",
            (5, [12]) => "Restricted code",
            (5, [18]) => "SYSTEM",
            (5, [19]) => "LOCAL SERVICE",
            (5, [20]) => "NETWORK SERVICE",
            (5, [32, 544]) => "Administrators",
            (5, [32, 545]) => "Users",
            (15, [2, 1]) => "All application packages",
            (15, [2, 2]) => "All restricted application packages",
            _ => return None,
        })
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // As the system does, with a large authority in hexadecimal digits.
        if self.authority >> 32 == 0 {
            write!(f, "S-1-{}", self.authority)?;
        } else {
            write!(f, "S-1-{:#014x}", self.authority)?;
        }
        self.parts.iter().try_for_each(|part| write!(f, "-{part}"))
    }
}

/// The error for a text that is not a security identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct NoSid;

impl FromStr for Sid {
    type Err = NoSid;

    fn from_str(text: &str) -> Result<Self, NoSid> {
        let mut fields = text.strip_prefix("S-1-").ok_or(NoSid)?.split('-');
        let authority = fields.next().ok_or(NoSid)?;
        let authority = match authority.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16),
            None => authority.parse(),
        };
        let authority = authority.ok().filter(|value| *value <= MAX_AUTHORITY).ok_or(NoSid)?;
        let parts: Vec<u32> =
            fields.map(|field| field.parse().map_err(|_| NoSid)).collect::<Result<_, _>>()?;
        if parts.is_empty() || parts.len() > MAX_PARTS { Err(NoSid) } else { Ok(Sid { authority, parts }) }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests;
