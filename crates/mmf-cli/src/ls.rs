//! `mmf ls`: the named memories of the machine.

use std::fmt::Write;

use mmf::diagnosis::Cause;
use mmf::inspect::ListEntry;
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
    /// This user cannot open it, and no process is seen to hold it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    maybe_stale: bool,
    /// Why it cannot be read.
    error: Option<String>,
}

pub(crate) fn run(output: Output) -> Result<(), Failure> {
    let listing = Listing { memories: mmf::inspect::list()?.iter().filter_map(row).collect() };
    let text = table(&listing.memories);
    output.print(&listing, text)
}

/// None if it is gone already.
fn row(entry: &ListEntry) -> Option<Row> {
    let mut row = Row {
        name: format!("{}{}", entry.namespace().prefix(), entry.text()),
        length: None,
        read: false,
        write: false,
        stale: entry.is_stale(),
        maybe_stale: false,
        error: None,
    };
    // Looked at, not opened: whoever opens a memory is a holder of it for that moment, and what is stale would be removed.
    match entry.name().and_then(mmf::diagnosis::examine) {
        Ok(there) if !there.exists() => return None,
        Ok(there) => {
            row.stale = there.is_stale();
            (row.read, row.write) = (there.may_read(), there.may_write());
            row.length = there.len().filter(|_| row.read);
            if !row.read && !row.stale {
                let mut causes = there.diagnosis().causes();
                row.maybe_stale =
                    causes.any(|cause| matches!(cause, Cause::PossiblyAbandoned { unheld: true, .. }));
                let cause = there.diagnosis().causes().next();
                row.error = cause.map(ToString::to_string);
            }
        }
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
        let state = match (row.stale, row.maybe_stale) {
            (true, _) => "     stale",
            (false, true) => "     stale?",
            (false, false) => "",
        };
        let name = printable(&row.name);
        let _ = write!(text, "\n{name:widest$}  {length:>13}  {rights}{state}");
    }
    text
}
