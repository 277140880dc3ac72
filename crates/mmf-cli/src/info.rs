//! `mmf info`: what a memory is, and what may be done with it.

use std::fmt::Write;

use mmf::{Access, Name, SharedMemory};
use serde_json::json;

use crate::args::Info;
use crate::output::{Failure, Output};
use crate::size;

pub(crate) fn run(args: &Info, output: Output) -> Result<(), Failure> {
    let name = Name::new(&args.name)?;
    let read = SharedMemory::open_read_only(&name);
    let write = SharedMemory::open(&name);
    let (len, object) = match (&read, &write) {
        (Ok(memory), _) => (memory.len(), system_name(memory, &name)),
        (_, Ok(memory)) => (memory.len(), system_name(memory, &name)),
        _ => return read.map(drop).map_err(Failure::from),
    };
    let mut text = format!("{name}\n  length   {len} bytes ({})", size::show(len));
    let mut right = |what: &str, refused: Option<&mmf::Error>| {
        let answer = refused.map_or("yes".to_owned(), |error| format!("no: {error}"));
        let _ = write!(text, "\n  {what:8} {answer}");
    };
    right("read", read.as_ref().err());
    right("write", write.as_ref().err());
    if let Some(object) = &object {
        let _ = write!(text, "\n  object   {object}");
    }
    let document = json!({
        "name": name.to_string(),
        "length": len,
        "read": read.is_ok(),
        "write": write.is_ok(),
        "object": object,
    });
    output.print(&document, text)
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
