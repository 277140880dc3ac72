//! `mmf holders`: the processes that hold a region. Also a part of `info` and `doctor`.

use mmf::inspect::{Holder, Holders};
use serde::Serialize;

use crate::args::Holders as Args;
use crate::names;
use crate::output::{Failure, Output};
use crate::text::printable;

/// The JSON document.
#[derive(Serialize)]
struct Document {
    name: String,
    holders: HoldersDocument,
}

/// The holders without the calling process.
#[derive(Debug, Serialize)]
pub(crate) struct HoldersDocument {
    processes: Vec<Holder>,
    complete: bool,
    others_may_write: Option<bool>,
}

pub(crate) fn run(args: &Args, output: Output) -> Result<(), Failure> {
    let name = names::existing(&args.name)?;
    let report = mmf::diagnosis::examine(&name)?;
    if !report.exists() || report.is_stale() {
        // Opening returns the error that explains it.
        drop(mmf::SharedMemory::open_read_only(&name)?);
    }
    let holders = report.holders()?;
    let document = Document { name: name.to_string(), holders: document(&holders) };
    output.print(&document, lines(&holders).join("\n"))
}

/// Returns a line for each process other than this one, and one about all of them.
pub(crate) fn lines(holders: &Holders) -> Vec<String> {
    let mut lines: Vec<String> = others(holders).map(line).collect();
    if lines.is_empty() {
        lines.push(if holders.is_complete() { "none" } else { "none visible to this user" }.to_owned());
    } else if let Some(line) = without_writers(holders) {
        lines.push(line.to_owned());
    }
    lines
}

fn line(holder: &Holder) -> String {
    let program = holder.program().map_or(String::new(), |program| format!(" ({})", printable(program)));
    let access = match holder.may_write() {
        Some(true) => "may read and write",
        Some(false) => "may read",
        None => "access unknown",
    };
    format!("process {}{program}: {access}", holder.process_id())
}

/// Returns what to print if no process may write, or none is seen.
fn without_writers(holders: &Holders) -> Option<&'static str> {
    if holders.others_may_write() == Some(false) {
        return Some("no process that may write is left");
    }
    let none_seen = others(holders).all(|holder| holder.may_write() == Some(false));
    none_seen.then_some("no process that may write is visible to this user")
}

fn others(holders: &Holders) -> impl Iterator<Item = &Holder> {
    holders.iter().filter(|holder| !holder.is_current())
}

pub(crate) fn document(holders: &Holders) -> HoldersDocument {
    HoldersDocument {
        processes: others(holders).cloned().collect(),
        complete: holders.is_complete(),
        others_may_write: holders.others_may_write(),
    }
}
