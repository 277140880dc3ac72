//! `mmf create`: makes a memory and keeps it.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::mpsc::{self, Receiver};

use mmf::pages::Pages;
use mmf::security::Security;
use mmf::view::Access;
use mmf::{Name, OpenOptions, SharedMemory};
use serde_json::json;

use crate::args::{Create, Keeping};
use crate::findings::headline;
use crate::output::{Failure, Output, printable};
use crate::size;
use crate::snapshot;

pub(crate) fn run(args: &Create, output: Output) -> Result<(), Failure> {
    let name = Name::new(&args.name)?;
    let ended = when_asked_to_end()?;
    make_and_keep(&name, args.size, args.from.as_deref(), &args.keeping, &ended, output)
}

/// Makes a memory, of this size or that of a file whose content goes in, and keeps it.
pub(crate) fn make_and_keep(
    name: &Name,
    size: Option<u64>,
    from: Option<&Path>,
    keeping: &Keeping,
    ended: &Receiver<()>,
    output: Output,
) -> Result<(), Failure> {
    let security = security(keeping)?;
    let asked = security.is_some();
    let mut options = OpenOptions::new().security(security.unwrap_or_default());
    if let Some(size) = size {
        options = options.len(size);
    }
    if let Some(capacity) = keeping.capacity {
        options = options.capacity(capacity);
    }
    if let Some(node) = keeping.node {
        options = options.numa_node(node);
    }
    options = options.large_pages(keeping.large_pages.unwrap_or_default());
    let mut wanted = size.unwrap_or(0);
    let memory = match from {
        Some(file) => snapshot::with_bar(ended, output, "", |progress| {
            options.load_with(name, file, |now| {
                wanted = wanted.max(now.total());
                progress(now)
            })
        })?,
        None => options.create(name)?,
    };
    let len = memory.len();
    let until = match keeping.keep {
        Some(time) => format!("for {} s", time.as_secs_f64()),
        None => "until Ctrl-C".to_owned(),
    };
    // Only now, so that who waits for this line finds the content in place.
    let mut text =
        format!("{}: {len} bytes ({}), kept {until}", printable(&name.to_string()), size::show(len));
    let more = [capacity(&memory), pages(&memory, keeping.large_pages.is_some())];
    for line in more.into_iter().flatten() {
        let _ = write!(text, "\n  {line}");
    }
    let rights = memory.security().ok().map(|security| security.to_string());
    if let (true, Some(rights)) = (asked, &rights) {
        // What came of it, which is not always said in the words of the request.
        let _ = write!(text, "\n  {}", printable(rights));
    }
    let document = json!({
        "name": name.to_string(),
        "length": len,
        "capacity": memory.capacity(),
        "large_pages": memory.pages().large_size(),
        "asked": wanted,
        "rights": rights,
    });
    match output.print(&document, text) {
        // The memory is what was asked for; the line is not.
        Err(failure) if failure.is_nobody_reads() => {}
        result => result?,
    }
    // The handler keeps the sending end, so only time or a wish ends this.
    let _ = match keeping.keep {
        Some(time) => ended.recv_timeout(time).ok(),
        None => ended.recv().ok(),
    };
    Ok(())
}

fn capacity<A: Access>(memory: &SharedMemory<A>) -> Option<String> {
    let capacity = memory.capacity();
    (capacity > memory.len()).then(|| format!("capacity {capacity} bytes ({})", size::show(capacity)))
}

/// What its pages are, where that is of interest: what was obtained, and why it is not what was wished.
fn pages(memory: &SharedMemory, asked: bool) -> Option<String> {
    match (memory.pages(), memory.large_pages_refused()) {
        (_, Some(why)) => Some(format!("pages    ordinary ones: {}", printable(&headline(why)))),
        (Pages::Ordinary { .. }, None) if !asked => None,
        (Pages::Large { size }, _) => Some(format!("pages    large ones of {}", size::show(size))),
        (Pages::Advised { size }, _) => {
            Some(format!("pages    large ones of {}, where the system can", size::show(size)))
        }
        _ => Some("pages    ordinary ones".to_owned()),
    }
}

/// Who is to be let in; None if nothing is asked for.
fn security(args: &Keeping) -> Result<Option<Security>, mmf::Error> {
    let mut security = match &args.sddl {
        Some(text) => Security::from_sddl(text)?,
        None if args.grant_read.is_empty() && args.grant_write.is_empty() && args.integrity.is_none() => {
            return Ok(None);
        }
        None => Security::current_user(),
    };
    for who in &args.grant_read {
        security = security.grant_read(who.clone());
    }
    for who in &args.grant_write {
        security = security.grant_write(who.clone());
    }
    Ok(Some(match args.integrity {
        Some(level) => security.integrity(level),
        None => security,
    }))
}

/// Receives something once the user or the system wants this program to end. Ending by itself is what lets it drop the
/// memory, and with it the name.
pub(crate) fn when_asked_to_end() -> Result<Receiver<()>, Failure> {
    let (sender, receiver) = mpsc::channel();
    ctrlc::set_handler(move || {
        let _ = sender.send(());
    })
    .map_err(|error| Failure::new("Io", format!("cannot listen for Ctrl-C: {error}; run it elsewhere")))?;
    Ok(receiver)
}
