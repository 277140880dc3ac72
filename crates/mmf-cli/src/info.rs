//! `mmf info`: what a region is, and how it can be accessed.

use std::fmt::Write;

use mmf::inspect::SegmentStage;
use mmf::security::{Account, Security};
use mmf::view::Access;
use mmf::{ErrorKind, Name, Segment, SharedMemory};
use serde::Serialize;

use crate::args::Info;
use crate::findings::{headline, plain};
use crate::holders::{self, HoldersDocument};
use crate::names;
use crate::output::{Failure, Output};
use crate::size;
use crate::text::printable;

/// The JSON document.
#[derive(Serialize)]
struct Document {
    name: String,
    length: u64,
    capacity: u64,
    may_read: bool,
    may_write: bool,
    owner: Option<Account>,
    security: Option<Security>,
    object: Option<String>,
    segment_stage: Option<SegmentStage>,
    holders: Option<HoldersDocument>,
}

pub(crate) fn run(args: &Info, output: Output) -> Result<(), Failure> {
    let name = names::existing(&args.name)?;
    let read = match SharedMemory::open_read_only(&name) {
        // Opening has waited for it already.
        Err(error) if matches!(error.kind(), ErrorKind::NotReady | ErrorKind::Busy) => {
            return Err(error.into());
        }
        read => read,
    };
    let write = SharedMemory::open(&name);
    let (len, capacity, security, object, holders) = match (&read, &write) {
        (Ok(region), _) => facts(region, &name),
        (_, Ok(region)) => facts(region, &name),
        _ => return read.map(drop).map_err(Failure::from),
    };
    let mut text = format!("{}\n  length   {len} bytes ({})", printable(&name.to_string()), size::show(len));
    if capacity > len {
        let _ = write!(text, "\n  capacity {capacity} bytes ({}): it can grow", size::show(capacity));
    }
    let mut access = |what: &str, refused: Option<&mmf::Error>| {
        let answer = refused.map_or("yes".to_owned(), |error| why(error, security.is_some()));
        let _ = write!(text, "\n  {what:8} {answer}");
    };
    access("read", read.as_ref().err());
    access("write", write.as_ref().err());
    if let Some(security) = &security {
        let _ = write!(text, "\n  access   {}", printable(&security.to_string()));
    }
    if let Some(object) = &object {
        let _ = write!(text, "\n  object   {}", printable(object));
    }
    let stage = read.as_ref().ok().and_then(|region| Segment::stage_of(region).ok());
    let segment = match stage {
        Some(SegmentStage::Ready) => "ready: mmf inspect shows its content",
        Some(SegmentStage::Broken) => "declared broken: mmf inspect shows its content",
        Some(SegmentStage::Damaged) => "damaged: mmf inspect shows what can still be read",
        Some(SegmentStage::Creating { alive: true, .. }) => "being created",
        Some(SegmentStage::Creating { .. }) => "unfinished: its creator died",
        _ => "",
    };
    if !segment.is_empty() {
        let _ = write!(text, "\n  segment  {segment}");
    }
    for (index, line) in holders.iter().flat_map(holders::lines).enumerate() {
        let _ = write!(text, "\n  {:8} {line}", if index == 0 { "holders" } else { "" });
    }
    let document = Document {
        name: name.to_string(),
        length: len,
        capacity,
        may_read: read.is_ok(),
        may_write: write.is_ok(),
        owner: security.as_ref().and_then(Security::owner),
        security,
        object,
        segment_stage: stage,
        holders: holders.as_ref().map(holders::document),
    };
    output.print(&document, text)
}

type Facts = (u64, u64, Option<Security>, Option<String>, Option<mmf::inspect::Holders>);

/// Returns what a handle reports about the region. A process may be allowed to use a region and not to read
/// its security.
fn facts<A: Access>(region: &SharedMemory<A>, name: &Name) -> Facts {
    let (security, holders) = (region.security().ok(), region.holders().ok());
    (region.len(), region.capacity(), security, system_name(region, name), holders)
}

/// Explains a refusal by its diagnosis, because the first line of the error would only repeat the question.
fn why(error: &mmf::Error, rights_shown: bool) -> String {
    match error.diagnosis() {
        Some(diagnosis) => format!("no\n{}", plain(diagnosis, 9, rights_shown)),
        None => format!("no: {}", printable(&headline(error))),
    }
}

/// Returns the name that the system, and so every other program, uses.
#[cfg(unix)]
fn system_name<A: Access>(region: &SharedMemory<A>, _name: &Name) -> Option<String> {
    use std::os::fd::AsRawFd;
    let file = std::fs::read_link(format!("/proc/self/fd/{}", region.as_raw_fd())).ok()?;
    Some(format!("/{}", file.file_name()?.to_str()?))
}

#[cfg(not(unix))]
#[allow(clippy::unnecessary_wraps, reason = "other systems may not know it")]
fn system_name<A: Access>(_region: &SharedMemory<A>, name: &Name) -> Option<String> {
    Some(name.to_string())
}
