//! `mmf holders`: which processes hold a region. Also a part of `info` and `doctor`.

use mmf::inspect::{Holder, Holders};
use serde_json::{Value, json};

use crate::args::Holders as Args;
use crate::names;
use crate::output::{Failure, Output, printable};

pub(crate) fn run(args: &Args, output: Output) -> Result<(), Failure> {
    let name = names::existing(&args.name)?;
    let examination = mmf::diagnosis::examine(&name)?;
    if !examination.exists() || examination.is_stale() {
        // The error of opening says why there is none.
        drop(mmf::SharedMemory::open_read_only(&name)?);
    }
    let holders = examination.holders()?;
    let mut document = document(Some(&holders));
    document["name"] = json!(name.to_string());
    output.print(&document, lines(&holders).join("\n"))
}

/// The processes other than this one, and what is to be known of all of them.
pub(crate) fn lines(holders: &Holders) -> Vec<String> {
    let mut lines: Vec<String> = others(holders).map(line).collect();
    if lines.is_empty() {
        lines.push(if holders.is_complete() { "none" } else { "none that can be seen" }.to_owned());
    } else if let Some(what) = without_writers(holders) {
        lines.push(what.to_owned());
    }
    lines
}

fn line(holder: &Holder) -> String {
    let program = holder.program().map_or(String::new(), |program| format!(" ({})", printable(program)));
    let rights = match holder.may_write() {
        Some(true) => "may read and write",
        Some(false) => "may read",
        None => "its rights cannot be told",
    };
    format!("process {}{program}: {rights}", holder.process_id())
}

/// What to say if there is no process that may write, or none is seen.
pub(crate) fn without_writers(holders: &Holders) -> Option<&'static str> {
    if holders.others_may_write() == Some(false) {
        return Some("no process that may write is left");
    }
    let none_seen = others(holders).all(|holder| holder.may_write() == Some(false));
    none_seen.then_some("no process that may write can be seen")
}

fn others(holders: &Holders) -> impl Iterator<Item = &Holder> {
    holders.iter().filter(|holder| !holder.is_current())
}

/// For programs; null where the system does not tell.
pub(crate) fn document(holders: Option<&Holders>) -> Value {
    let one = |holder: &Holder| json!({ "process": holder.process_id(), "program": holder.program(), "write": holder.may_write() });
    json!({
        "holders": holders.map(|holders| others(holders).map(one).collect::<Vec<_>>()),
        "complete": holders.map(Holders::is_complete),
        "writers": holders.and_then(Holders::others_may_write),
    })
}
