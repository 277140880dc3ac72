//! `mmf ls`: the named memories of the machine.

use std::fmt::Write;

use mmf::{Entry, SharedMemory};
use serde::Serialize;

use crate::findings::headline;
use crate::output::{Failure, Output, printable};

#[derive(Serialize)]
struct Listing {
    memories: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    name: String,
    length: Option<u64>,
    read: bool,
    write: bool,
    stale: bool,
    /// Why it cannot be read.
    error: Option<String>,
}

pub(crate) fn run(output: Output) -> Result<(), Failure> {
    let listing = Listing { memories: mmf::list()?.iter().filter_map(row).collect() };
    let text = table(&listing.memories);
    output.print(&listing, text)
}

/// None if it is gone already.
fn row(entry: &Entry) -> Option<Row> {
    let mut row = Row {
        name: format!("{}{}", entry.namespace().prefix(), entry.text()),
        length: None,
        read: false,
        write: false,
        stale: entry.is_stale(),
        error: None,
    };
    // Opening it would remove it; looking is not to change anything.
    if row.stale {
        return Some(row);
    }
    let opened = entry.name().and_then(|name| {
        row.write = SharedMemory::open(&name).is_ok();
        SharedMemory::open_read_only(&name)
    });
    match opened {
        Ok(memory) => {
            row.read = true;
            row.length = Some(memory.len());
        }
        Err(error) if error.kind() == mmf::ErrorKind::NotFound => return None,
        Err(error) => row.error = Some(headline(&error)),
    }
    Some(row)
}

fn table(rows: &[Row]) -> String {
    if rows.is_empty() {
        return "no named memories".to_owned();
    }
    // One long name is not to push everything else off the screen.
    let widest = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0).clamp(4, 56);
    let mut text = format!("{:widest$}  {:>13}  rights", "name", "bytes");
    for row in rows {
        let length = row.length.map_or("-".to_owned(), |len| len.to_string());
        let rights = match (row.read, row.write) {
            (true, true) => "rw",
            (true, false) => "r",
            (false, true) => "w",
            (false, false) => "-",
        };
        let state = if row.stale { "     stale" } else { "" };
        let name = printable(&row.name);
        let _ = write!(text, "\n{name:widest$}  {length:>13}  {rights}{state}");
    }
    text
}
