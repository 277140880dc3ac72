//! What is written down about a memory that is on its way: in an environment variable, or in a ticket.

use core::fmt;
use core::str::FromStr;

/// What the receiver is told. Anybody may have written it, so it is only a claim.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Note {
    pub(super) way: Way,
    /// Of the memory, in bytes.
    pub(super) len: u64,
    pub(super) writable: bool,
}

/// How the memory gets there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Way {
    /// A descriptor that the process has inherited, and what it should refer to.
    Descriptor { number: i32, object: (u64, u64) },
    /// A descriptor of another process, which is known by its number and its start, and by the pid namespace and the time
    /// namespace in which these are told.
    Foreign { process: u32, started: u64, namespaces: (u64, u64), number: i32, object: (u64, u64) },
    /// A named section that tells the number of a handle.
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

/// The text is not that of a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct NoNote;

/// Numbers as they are written, and no other way: one text, one meaning.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn notes() -> [Note; 3] {
        let object = (1, u64::MAX);
        [
            Note { way: Way::Descriptor { number: 7, object }, len: 0, writable: true },
            Note {
                way: Way::Foreign { process: 1, started: 0, namespaces: (2, 3), number: 0, object },
                len: 9,
                writable: false,
            },
            Note { way: Way::Parcel { name: r"Local\x".to_owned() }, len: u64::MAX, writable: false },
        ]
    }

    #[test]
    fn texts_and_back() {
        for note in notes() {
            assert_eq!(note.to_string().parse(), Ok(note));
        }
    }

    #[test]
    fn what_is_garbled_is_none() {
        for text in [
            "",
            ":",
            "1",
            "1:",
            "2:fd:7:1:2:3:rw",
            "1:fd:7:1:2:3",
            "1:fd:7:1:2:3:w",
            "1:fd:-7:1:2:3:rw",
            "1:fd:+7:1:2:3:rw",
            "1:fd:07:1:2:3:rw",
            "1:fd::1:2:3:rw",
            "1:fd:7:1:2:3:rw:",
            " 1:fd:7:1:2:3:rw",
            "1:fd:7:1:2:3:rw\n",
            "1:fd:99999999999:1:2:3:rw",
            "1:parcel:a:b:3:rw",
            "1:proc:1:2:3:4:5:rw",
            "1:proc:1:2:3:4:5:6:rw",
            "1:proc:1:2:3:4:5:6:7:rw",
        ] {
            assert_eq!(text.parse::<Note>(), Err(NoNote), "{text}");
        }
        // Cut, or with any one byte changed, it is garbled or says something else; never does it break anything.
        for note in notes() {
            let text = note.to_string();
            for at in 0..text.len() {
                let _ = text[..at].parse::<Note>();
                for byte in 0..128_u8 {
                    let mut bytes = text.clone().into_bytes();
                    bytes[at] = byte;
                    if let Ok(changed) = String::from_utf8(bytes) {
                        if let Ok(read) = changed.parse::<Note>() {
                            assert_eq!(read.to_string(), changed);
                        }
                    }
                }
            }
        }
    }
}
