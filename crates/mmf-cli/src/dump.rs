//! `mmf dump`: the bytes of a region, for people and for programs.

use std::fmt::Write as _;
use std::io::{self, BufWriter, IsTerminal, Write};

use mmf::SharedMemory;
use serde::Serialize;

use crate::args::Dump;
use crate::names;
use crate::output::{Failure, Output, json_text, printing};

/// How much is mapped at a time, so that a region of any length fits any address space. A multiple of a line.
const PIECE: u64 = 1 << 20;

pub(crate) fn run(args: &Dump, output: Output) -> Result<(), Failure> {
    let name = names::existing(&args.name)?;
    let region = SharedMemory::open_read_only(&name)?;
    let all = region.len();
    let len = args.length.unwrap_or_else(|| all.saturating_sub(args.offset));
    let end = args.offset.checked_add(len).filter(|end| *end <= all && args.offset <= all);
    let Some(end) = end else {
        let what = match args.length {
            Some(length) => format!("{length} bytes at offset {}", args.offset),
            None => format!("offset {}", args.offset),
        };
        let message = format!("cannot dump {what} of \"{name}\": the region has {all} bytes");
        return Err(Failure::new("out_of_bounds", message));
    };
    let out = io::stdout();
    if args.raw && !args.force && out.is_terminal() {
        let message = "cannot dump raw bytes to a terminal: they can act on it; \
             redirect them to a file, or use --force";
        return Err(Failure::new("terminal", message));
    }
    let mut out = BufWriter::with_capacity(1 << 16, out.lock());
    let mut form: Box<dyn Form> = if output.json {
        // The bytes follow piece by piece, because a large region does not fit into a string.
        let head = json_text(&Head { name: name.to_string(), offset: args.offset, length: len })?;
        Box::new(Json { head: head.trim_end_matches('}').to_owned() })
    } else if args.raw {
        Box::new(Raw)
    } else {
        Box::new(HexDump::new(args.offset))
    };
    let mut write = |text: &[u8]| out.write_all(text).map_err(|e| printing(&e));
    form.start(&mut write)?;
    let mut offset = args.offset;
    while offset < end {
        let piece = usize::try_from(PIECE.min(end - offset)).unwrap_or(usize::MAX);
        let bytes = region.view_at(offset, piece)?.read_vec(0, piece)?;
        form.bytes(&bytes, &mut write)?;
        offset += piece as u64;
    }
    form.end(&mut write)?;
    out.flush().map_err(|e| printing(&e))
}

/// The JSON document, except for the field `hex`.
#[derive(Serialize)]
struct Head {
    name: String,
    offset: u64,
    length: u64,
}

type Sink<'s> = dyn FnMut(&[u8]) -> Result<(), Failure> + 's;

/// A form of output. It receives the bytes in pieces of whole lines, except for the last one.
trait Form {
    fn start(&mut self, _out: &mut Sink<'_>) -> Result<(), Failure> {
        Ok(())
    }
    fn bytes(&mut self, bytes: &[u8], out: &mut Sink<'_>) -> Result<(), Failure>;
    fn end(&mut self, _out: &mut Sink<'_>) -> Result<(), Failure> {
        Ok(())
    }
}

struct Raw;

impl Form for Raw {
    fn bytes(&mut self, bytes: &[u8], out: &mut Sink<'_>) -> Result<(), Failure> {
        out(bytes)
    }
}

struct Json {
    head: String,
}

impl Form for Json {
    fn start(&mut self, out: &mut Sink<'_>) -> Result<(), Failure> {
        out(self.head.as_bytes())?;
        out(b",\"hex\":\"")
    }

    fn bytes(&mut self, bytes: &[u8], out: &mut Sink<'_>) -> Result<(), Failure> {
        let mut hex = String::with_capacity(bytes.len() * 2);
        for byte in bytes {
            let _ = write!(hex, "{byte:02x}");
        }
        out(hex.as_bytes())
    }

    fn end(&mut self, out: &mut Sink<'_>) -> Result<(), Failure> {
        out(b"\"}\n")
    }
}

/// The number of bytes in a line.
const LINE: usize = 16;

/// The form of `hexdump -C`: offset, bytes, characters, and a `*` for lines that repeat the previous one.
struct HexDump {
    offset: u64,
    last: Option<[u8; LINE]>,
    starred: bool,
}

impl HexDump {
    fn new(offset: u64) -> Self {
        HexDump { offset, last: None, starred: false }
    }
}

impl Form for HexDump {
    fn bytes(&mut self, bytes: &[u8], out: &mut Sink<'_>) -> Result<(), Failure> {
        let mut text = String::with_capacity(1 << 12);
        for line in bytes.chunks(LINE) {
            let whole: Option<[u8; LINE]> = line.try_into().ok();
            if whole.is_some() && whole == self.last {
                if !self.starred {
                    text.push_str("*\n");
                }
                self.starred = true;
            } else {
                push_line(&mut text, self.offset, line);
                self.last = whole;
                self.starred = false;
            }
            self.offset += line.len() as u64;
        }
        out(text.as_bytes())
    }

    fn end(&mut self, out: &mut Sink<'_>) -> Result<(), Failure> {
        out(format!("{:08x}\n", self.offset).as_bytes())
    }
}

fn push_line(text: &mut String, offset: u64, line: &[u8]) {
    let _ = write!(text, "{offset:08x} ");
    for at in 0..LINE {
        if at % 8 == 0 {
            text.push(' ');
        }
        match line.get(at) {
            Some(byte) => {
                let _ = write!(text, "{byte:02x} ");
            }
            None => text.push_str("   "),
        }
    }
    text.push_str(" |");
    text.extend(line.iter().map(|&byte| if matches!(byte, b' '..=b'~') { char::from(byte) } else { '.' }));
    text.push_str("|\n");
}

#[cfg(test)]
mod tests;
