//! `mmf dump`: the bytes of a memory, for people and for programs.

use std::fmt::Write as _;
use std::io::{self, BufWriter, IsTerminal, Write};

use mmf::SharedMemory;
use serde_json::json;

use crate::args::Dump;
use crate::names;
use crate::output::{Failure, Output, json_text, printing};

/// How much is mapped at a time: any memory fits any address space in pieces. A multiple of a line.
const PIECE: u64 = 1 << 20;

pub(crate) fn run(args: &Dump, output: Output) -> Result<(), Failure> {
    let name = names::existing(&args.name)?;
    let memory = SharedMemory::open_read_only(&name)?;
    let all = memory.len();
    let len = args.length.unwrap_or_else(|| all.saturating_sub(args.offset));
    let end = args.offset.checked_add(len).filter(|end| *end <= all && args.offset <= all);
    let Some(end) = end else {
        let what = match args.length {
            Some(length) => format!("{length} bytes at offset {}", args.offset),
            None => format!("offset {}", args.offset),
        };
        let message = format!("cannot dump {what} of \"{name}\": it has {all} bytes; stay inside");
        return Err(Failure::new("OutOfBounds", message));
    };
    let out = io::stdout();
    if args.raw && !args.force && out.is_terminal() {
        let message = "cannot dump raw bytes to a terminal: they could do anything to it; send them to a file, or use --force";
        return Err(Failure::new("Terminal", message));
    }
    let mut out = BufWriter::with_capacity(1 << 16, out.lock());
    let mut form: Box<dyn Form> = if output.json {
        // In pieces and so by hand: the bytes of a large memory would fit into no document.
        let head = json_text(&json!({ "name": name.to_string(), "offset": args.offset, "length": len }))?;
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
        let bytes = memory.view_at(offset, piece)?.read_vec(0, piece)?;
        form.bytes(&bytes, &mut write)?;
        offset += piece as u64;
    }
    form.end(&mut write)?;
    out.flush().map_err(|e| printing(&e))
}

type Sink<'s> = dyn FnMut(&[u8]) -> Result<(), Failure> + 's;

/// How bytes are shown. They come in pieces that are whole lines, but for the last one.
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

/// Bytes in a line.
const LINE: usize = 16;

/// Like `hexdump -C`: offset, bytes, characters; a `*` for lines that repeat the one before.
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
mod tests {
    use super::{Form, HexDump};

    fn dump(offset: u64, pieces: &[&[u8]]) -> String {
        let mut text = Vec::new();
        let mut dump = HexDump::new(offset);
        let mut out = |bytes: &[u8]| {
            text.extend_from_slice(bytes);
            Ok(())
        };
        for piece in pieces {
            dump.bytes(piece, &mut out).unwrap();
        }
        dump.end(&mut out).unwrap();
        String::from_utf8(text).unwrap()
    }

    // The expected texts are what `hexdump -C` printed.
    #[test]
    fn it_looks_like_hexdump() {
        assert_eq!(
            dump(0, &[b"Hello, world!\n\0\x7f\xff~"]),
            "00000000  48 65 6c 6c 6f 2c 20 77  6f 72 6c 64 21 0a 00 7f  |Hello, world!...|\n\
             00000010  ff 7e                                             |.~|\n\
             00000012\n"
        );
    }

    #[test]
    fn repeated_lines_are_one_star() {
        let mut bytes = vec![0; 64];
        bytes.extend_from_slice(b"0123456789abcdef");
        bytes.extend_from_slice(&[0; 21]);
        assert_eq!(
            dump(0, &[&bytes]),
            "00000000  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|\n\
             *\n\
             00000040  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  |0123456789abcdef|\n\
             00000050  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|\n\
             00000060  00 00 00 00 00                                    |.....|\n\
             00000065\n"
        );
    }

    #[test]
    fn a_star_spans_pieces() {
        assert_eq!(
            dump(0x1_0000_0000, &[&[7; 32], &[7; 16]]),
            "100000000  07 07 07 07 07 07 07 07  07 07 07 07 07 07 07 07  |................|\n\
             *\n\
             100000030\n"
        );
    }

    #[test]
    fn nothing_is_an_offset() {
        assert_eq!(dump(16, &[]), "00000010\n");
    }
}
