//! `mmf write`: writes bytes into an existing region.

use std::fs::File;
use std::io::{self, Read};

use mmf::{Name, SharedMemory};
use serde::Serialize;

use crate::args::Write;
use crate::names;
use crate::output::{Failure, Output};

/// How much is mapped at a time.
const PIECE: usize = 1 << 20;

pub(crate) fn run(args: &Write, output: Output) -> Result<(), Failure> {
    let name = names::existing(&args.name)?;
    let hex = args.hex.as_deref().map(parse_hex).transpose()?;
    let region = SharedMemory::open(&name)?;
    let target = Target { region, name, offset: args.offset };
    let written = if let Some(text) = &args.text {
        target.put(text.as_bytes())?
    } else if let Some(hex) = &hex {
        target.put(hex)?
    } else if let Some(path) = &args.from {
        let shown = format!("\"{}\"", path.display());
        let file =
            File::open(path).map_err(|e| Failure::io(format!("open {shown}"), &e, "check the path"))?;
        // Checked before reading if the length is known, so that a file that is too large is not read.
        if let Ok(data) = file.metadata() {
            if data.is_file() {
                target.check(data.len())?;
            }
        }
        target.put(&target.take(file, &shown)?)?
    } else {
        target.put(&target.take(io::stdin().lock(), "standard input")?)?
    };
    let (name, offset) = (&target.name, target.offset);
    let document = Document { name: name.to_string(), offset, written };
    output.print(&document, format!("{name}: {written} bytes written at offset {offset}"))
}

/// The JSON document.
#[derive(Serialize)]
struct Document {
    name: String,
    offset: u64,
    written: usize,
}

/// The destination of the bytes.
struct Target {
    region: SharedMemory,
    name: Name,
    offset: u64,
}

impl Target {
    fn remaining(&self) -> u64 {
        self.region.len().saturating_sub(self.offset)
    }

    fn check(&self, len: u64) -> Result<(), Failure> {
        if self.offset <= self.region.len() && len <= self.remaining() {
            return Ok(());
        }
        let Target { region, name, offset } = self;
        let message = format!(
            "cannot write {len} bytes at offset {offset} of \"{name}\": \
             the region has {} bytes; nothing was written",
            region.len()
        );
        Err(Failure::new("out_of_bounds", message))
    }

    /// Reads the input completely before anything is written, because it may not fit or may fail.
    fn take(&self, from: impl Read, shown: &str) -> Result<Vec<u8>, Failure> {
        let most = self.remaining();
        let mut bytes = Vec::new();
        from.take(most.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|e| Failure::io(format!("read {shown}"), &e, "nothing was written"))?;
        if bytes.len() as u64 > most {
            let Target { region, name, offset } = self;
            let message = format!(
                "cannot write all of {shown} at offset {offset} of \"{name}\": \
                 the region has {} bytes; nothing was written",
                region.len()
            );
            return Err(Failure::new("out_of_bounds", message));
        }
        Ok(bytes)
    }

    fn put(&self, bytes: &[u8]) -> Result<usize, Failure> {
        self.check(bytes.len() as u64)?;
        let mut offset = self.offset;
        for piece in bytes.chunks(PIECE) {
            self.region.view_at(offset, piece.len())?.write_all_at(piece, 0)?;
            offset += piece.len() as u64;
        }
        Ok(bytes.len())
    }
}

fn parse_hex(text: &str) -> Result<Vec<u8>, Failure> {
    let fail = |why: String| {
        Failure::new(
            "invalid_hex",
            format!("invalid bytes: {why}; write two digits for each byte, such as \"cafe 00 ff\""),
        )
    };
    let mut bytes = Vec::new();
    for word in text.split([' ', ',', ':', '\n', '\t']) {
        let mut digits = Vec::with_capacity(word.len());
        for c in word.chars() {
            let digit = c.to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            digits.push(digit.ok_or_else(|| fail(format!("'{c}' is not a hexadecimal digit")))?);
        }
        if digits.len() % 2 != 0 {
            return Err(fail(format!("\"{word}\" has an odd number of digits")));
        }
        bytes.extend(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
