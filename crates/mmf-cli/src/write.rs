//! `mmf write`: puts bytes into a memory that exists.

use std::fs::File;
use std::io::{self, Read};

use mmf::{Name, SharedMemory};
use serde_json::json;

use crate::args::Write;
use crate::names;
use crate::output::{Failure, Output};

/// How much is mapped at a time.
const PIECE: usize = 1 << 20;

pub(crate) fn run(args: &Write, output: Output) -> Result<(), Failure> {
    let name = names::existing(&args.name)?;
    let hex = args.hex.as_deref().map(parse_hex).transpose()?;
    let memory = SharedMemory::open(&name)?;
    let room = Room { memory, name, offset: args.offset };
    let written = if let Some(text) = &args.text {
        room.put(text.as_bytes())?
    } else if let Some(hex) = &hex {
        room.put(hex)?
    } else if let Some(path) = &args.from {
        let shown = format!("\"{}\"", path.display());
        let file =
            File::open(path).map_err(|e| Failure::io(format!("open {shown}"), &e, "check the path"))?;
        // Said by the file itself, where it can be, so that a large one is not read in vain.
        if let Ok(data) = file.metadata() {
            if data.is_file() {
                room.check(data.len())?;
            }
        }
        room.put(&room.take(file, &shown)?)?
    } else {
        room.put(&room.take(io::stdin().lock(), "standard input")?)?
    };
    let (name, offset) = (&room.name, room.offset);
    let document = json!({ "name": name.to_string(), "offset": offset, "written": written });
    output.print(&document, format!("{name}: {written} bytes written at offset {offset}"))
}

/// Where the bytes go.
struct Room {
    memory: SharedMemory,
    name: Name,
    offset: u64,
}

impl Room {
    fn left(&self) -> u64 {
        self.memory.len().saturating_sub(self.offset)
    }

    fn check(&self, len: u64) -> Result<(), Failure> {
        if self.offset <= self.memory.len() && len <= self.left() {
            return Ok(());
        }
        let Room { memory, name, offset } = self;
        let message = format!(
            "cannot write {len} bytes at offset {offset} of \"{name}\": it has {} bytes; nothing was written",
            memory.len()
        );
        Err(Failure::new("OutOfBounds", message))
    }

    /// All that comes: it may fail to fit, or to come, and then nothing must have been written.
    fn take(&self, from: impl Read, shown: &str) -> Result<Vec<u8>, Failure> {
        let most = self.left();
        let mut bytes = Vec::new();
        from.take(most.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|e| Failure::io(format!("read {shown}"), &e, "nothing was written"))?;
        if bytes.len() as u64 > most {
            let Room { memory, name, offset } = self;
            let message = format!(
                "cannot write all of {shown} at offset {offset} of \"{name}\": it has {} bytes, which is too few; nothing was written",
                memory.len()
            );
            return Err(Failure::new("OutOfBounds", message));
        }
        Ok(bytes)
    }

    fn put(&self, bytes: &[u8]) -> Result<usize, Failure> {
        self.check(bytes.len() as u64)?;
        let mut offset = self.offset;
        for piece in bytes.chunks(PIECE) {
            self.memory.view_at(offset, piece.len())?.write_all_at(piece, 0)?;
            offset += piece.len() as u64;
        }
        Ok(bytes.len())
    }
}

fn parse_hex(text: &str) -> Result<Vec<u8>, Failure> {
    let fail = |why: String| {
        Failure::new(
            "MalformedHex",
            format!("cannot read the bytes: {why}; write two digits each: \"cafe 00 ff\""),
        )
    };
    let mut bytes = Vec::new();
    for word in text.split([' ', ',', ':', '\n', '\t']) {
        let mut digits = Vec::with_capacity(word.len());
        for c in word.chars() {
            let digit = c.to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            digits.push(digit.ok_or_else(|| fail(format!("'{c}' is no hexadecimal digit")))?);
        }
        if digits.len() % 2 != 0 {
            return Err(fail(format!("\"{word}\" has an odd number of digits")));
        }
        bytes.extend(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::parse_hex;

    #[test]
    fn hex_is_read_in_pairs() {
        assert_eq!(parse_hex("cafe 00:FF,1f").unwrap(), [0xca, 0xfe, 0, 0xff, 0x1f]);
        assert!(parse_hex("").unwrap().is_empty());
        for wrong in ["c", "caf e0", "0x00", "zz"] {
            assert!(parse_hex(wrong).is_err(), "{wrong}");
        }
    }
}
