//! `mmf ls`: lists the named regions of the machine.

use std::fmt::Write;

use mmf::diagnosis::Cause;
use mmf::inspect::ListEntry;
use serde::Serialize;

use crate::findings::headline;
use crate::output::{Failure, Output};
use crate::text::printable;

/// The JSON document.
#[derive(Serialize)]
struct Document {
    regions: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    name: String,
    length: Option<u64>,
    may_read: bool,
    may_write: bool,
    stale: bool,
    /// This user cannot open it, and no process is seen to hold it.
    possibly_stale: bool,
    /// Why it cannot be read.
    error: Option<String>,
}

pub(crate) fn run(output: Output) -> Result<(), Failure> {
    let document = Document { regions: mmf::inspect::list()?.iter().filter_map(row).collect() };
    let text = table(&document.regions);
    output.print(&document, text)
}

/// Returns `None` if the region does not exist any more.
fn row(entry: &ListEntry) -> Option<Row> {
    let mut row = Row {
        name: format!("{}{}", entry.namespace().prefix(), entry.text()),
        length: None,
        may_read: false,
        may_write: false,
        stale: entry.is_stale(),
        possibly_stale: false,
        error: None,
    };
    // Examined and not opened: to open a region is to hold it for a moment, and removes a stale one.
    match entry.name().and_then(mmf::diagnosis::examine) {
        Ok(report) if !report.exists() => return None,
        Ok(report) => {
            row.stale = report.is_stale();
            (row.may_read, row.may_write) = (report.may_read(), report.may_write());
            row.length = report.len().filter(|_| row.may_read);
            if !row.may_read && !row.stale {
                let mut causes = report.diagnosis().causes();
                row.possibly_stale =
                    causes.any(|cause| matches!(cause, Cause::PossiblyStale { unheld: true, .. }));
                let cause = report.diagnosis().causes().next();
                row.error = cause.map(ToString::to_string);
            }
        }
        Err(error) => row.error = Some(headline(&error)),
    }
    Some(row)
}

fn table(rows: &[Row]) -> String {
    if rows.is_empty() {
        return "no named regions".to_owned();
    }
    // A single long name must not push everything else off the screen.
    let widest = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0).clamp(4, 56);
    let mut text = format!("{:widest$}  {:>13}  access", "name", "bytes");
    for row in rows {
        let len = row.length.map_or("-".to_owned(), |len| len.to_string());
        let access = match (row.may_read, row.may_write) {
            (true, true) => "rw",
            (true, false) => "r",
            (false, true) => "w",
            (false, false) => "-",
        };
        let state = match (row.stale, row.possibly_stale) {
            (true, _) => "     stale",
            (false, true) => "     stale?",
            (false, false) => "",
        };
        let name = printable(&row.name);
        let _ = write!(text, "\n{name:widest$}  {len:>13}  {access}{state}");
    }
    text
}
