//! `mmf info`: what a memory is, and what may be done with it.

use std::fmt::Write;

use mmf::inspect::SegmentStage;
use mmf::security::Security;
use mmf::view::Access;
use mmf::{ErrorKind, Name, Segment, SharedMemory};
use serde_json::json;

use crate::args::Info;
use crate::findings::{account, headline, plain, word};
use crate::holders;
use crate::names;
use crate::output::{Failure, Output, printable};
use crate::size;

pub(crate) fn run(args: &Info, output: Output) -> Result<(), Failure> {
    let name = names::existing(&args.name)?;
    let read = match SharedMemory::open_read_only(&name) {
        // It was waited for once.
        Err(error) if matches!(error.kind(), ErrorKind::NotReady | ErrorKind::Busy) => {
            return Err(error.into());
        }
        read => read,
    };
    let write = SharedMemory::open(&name);
    let (len, capacity, security, object) = match (&read, &write) {
        (Ok(memory), _) => (memory.len(), memory.capacity(), memory.security(), system_name(memory, &name)),
        (_, Ok(memory)) => (memory.len(), memory.capacity(), memory.security(), system_name(memory, &name)),
        _ => return read.map(drop).map_err(Failure::from),
    };
    // Some may be used and yet not say who else may.
    let security = security.ok();
    let mut text = format!("{}\n  length   {len} bytes ({})", printable(&name.to_string()), size::show(len));
    if capacity > len {
        let _ = write!(text, "\n  capacity {capacity} bytes ({}): it can grow", size::show(capacity));
    }
    let mut right = |what: &str, refused: Option<&mmf::Error>| {
        let answer = refused.map_or("yes".to_owned(), |error| why(error, security.is_some()));
        let _ = write!(text, "\n  {what:8} {answer}");
    };
    right("read", read.as_ref().err());
    right("write", write.as_ref().err());
    if let Some(security) = &security {
        let _ = write!(text, "\n  rights   {}", printable(&security.to_string()));
    }
    if let Some(object) = &object {
        let _ = write!(text, "\n  object   {}", printable(object));
    }
    let stage = read.as_ref().ok().and_then(|memory| Segment::stage_of(memory).ok());
    let segment = match stage {
        Some(SegmentStage::Ready) => "yes: mmf inspect shows what is in it",
        Some(SegmentStage::Broken) => "declared broken: mmf inspect shows what is in it",
        Some(SegmentStage::Damaged) => "damaged: mmf inspect shows what can still be read",
        Some(SegmentStage::Creating { alive: true, .. }) => "being made",
        Some(SegmentStage::Creating { .. }) => "not finished: its maker has died",
        _ => "",
    };
    if !segment.is_empty() {
        let _ = write!(text, "\n  segment  {segment}");
    }
    let holders = match (&read, &write) {
        (Ok(memory), _) => memory.holders().ok(),
        (_, Ok(memory)) => memory.holders().ok(),
        _ => None,
    };
    for (index, line) in holders.iter().flat_map(holders::lines).enumerate() {
        let _ = write!(text, "\n  {:8} {line}", if index == 0 { "holders" } else { "" });
    }
    let document = json!({
        "name": name.to_string(),
        "length": len,
        "capacity": capacity,
        "read": read.is_ok(),
        "write": write.is_ok(),
        "owner": security.as_ref().and_then(Security::owner).as_ref().map(account),
        "rights": security.as_ref().map(ToString::to_string),
        "object": object,
        "segment": !segment.is_empty(),
        "stage": stage.as_ref().map(word),
        "holders": holders::document(holders.as_ref()),
    });
    output.print(&document, text)
}

/// What was found out says more than the error's first line, which would only repeat the question.
fn why(error: &mmf::Error, rights_shown: bool) -> String {
    match error.diagnosis() {
        Some(diagnosis) => format!("no\n{}", plain(diagnosis, 9, rights_shown)),
        None => format!("no: {}", printable(&headline(error))),
    }
}

/// What the system, and so every other program, calls it.
#[cfg(unix)]
fn system_name<A: Access>(memory: &SharedMemory<A>, _name: &Name) -> Option<String> {
    use std::os::fd::AsRawFd;
    let file = std::fs::read_link(format!("/proc/self/fd/{}", memory.as_raw_fd())).ok()?;
    Some(format!("/{}", file.file_name()?.to_str()?))
}

#[cfg(not(unix))]
#[allow(clippy::unnecessary_wraps, reason = "others cannot always tell")]
fn system_name<A: Access>(_memory: &SharedMemory<A>, name: &Name) -> Option<String> {
    Some(name.to_string())
}
