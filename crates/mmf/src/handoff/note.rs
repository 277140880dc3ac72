//! The text that describes a region on its way: in an environment variable, or in a ticket.

#[cfg(test)]
mod tests;

use core::fmt;
use core::str::FromStr;

/// The information for the receiver. Any process may have written it, so it is only a claim.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Note {
    pub(super) way: Way,
    /// The length of the region in bytes.
    pub(super) len: u64,
    pub(super) writable: bool,
}

/// How the region is passed to the receiver.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Way {
    /// A descriptor that the process has inherited, and the object that it should refer to.
    Descriptor { number: i32, object: (u64, u64) },
    /// A descriptor of another process. The process is identified by its id and its start, in the pid
    /// namespace and the time namespace that are given.
    Foreign { process: u32, started: u64, namespaces: (u64, u64), number: i32, object: (u64, u64) },
    /// A named section that contains the value of a handle.
    Parcel { name: String },
}

const VERSION: &str = "1";

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{VERSION}:")?;
        match &self.way {
            Way::Descriptor { number, object: (device, inode) } => write!(f, "fd:{number}:{device}:{inode}")?,
            Way::Foreign { process, started, namespaces: (pid, time), number, object: (device, inode) } => {
                write!(f, "proc:{process}:{started}:{pid}:{time}:{number}:{device}:{inode}")?;
            }
            Way::Parcel { name } => write!(f, "parcel:{name}")?,
        }
        write!(f, ":{}:{}", self.len, if self.writable { "rw" } else { "r" })
    }
}

/// The error for a text that is not a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct NoNote;

/// Parses a number in the only form in which it is written, so that each note has one text.
fn number<T: FromStr>(text: &str) -> Result<T, NoNote> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if is_plain { text.parse().map_err(|_| NoNote) } else { Err(NoNote) }
}

impl FromStr for Note {
    type Err = NoNote;

    fn from_str(text: &str) -> Result<Self, NoNote> {
        let fields: Vec<&str> = text.split(':').collect();
        let [VERSION, way, rest @ .., len, access] = &fields[..] else { return Err(NoNote) };
        let way = match (*way, rest) {
            ("fd", [fd, device, inode]) => {
                Way::Descriptor { number: number(fd)?, object: (number(device)?, number(inode)?) }
            }
            ("proc", [process, started, pid, time, fd, device, inode]) => Way::Foreign {
                process: number(process)?,
                started: number(started)?,
                namespaces: (number(pid)?, number(time)?),
                number: number(fd)?,
                object: (number(device)?, number(inode)?),
            },
            ("parcel", [name]) => Way::Parcel { name: (*name).to_owned() },
            _ => return Err(NoNote),
        };
        let writable = match *access {
            "rw" => true,
            "r" => false,
            _ => return Err(NoNote),
        };
        Ok(Note { way, len: number(len)?, writable })
    }
}
