//! `mmf create`: creates a region and keeps it.

use std::fmt::Write as _;
use std::path::Path;

use mmf::pages::Pages;
use mmf::security::Security;
use mmf::view::Access;
use mmf::{Name, OpenOptions, SharedMemory};
use serde::Serialize;

use crate::args::{Create, Keeping};
use crate::findings::headline;
use crate::interrupt::Interrupt;
use crate::output::{Failure, Output};
use crate::progress;
use crate::size;
use crate::text::printable;

/// The JSON document of `mmf create` and `mmf load`.
#[derive(Serialize)]
struct Document {
    name: String,
    length: u64,
    capacity: u64,
    requested_length: u64,
    large_page_size: Option<u64>,
    security: Option<String>,
}

pub(crate) fn run(args: &Create, output: Output) -> Result<(), Failure> {
    let name = Name::new(&args.name)?;
    let interrupt = Interrupt::listen()?;
    create_and_keep(&name, args.size, args.from.as_deref(), &args.keeping, &interrupt, output)
}

/// Creates a region of this size, or with the content of a file, and keeps it.
pub(crate) fn create_and_keep(
    name: &Name,
    size: Option<u64>,
    from: Option<&Path>,
    keeping: &Keeping,
    interrupt: &Interrupt,
    output: Output,
) -> Result<(), Failure> {
    let security = security(keeping)?;
    let shows_rights = security.is_some();
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
    let mut requested_len = size.unwrap_or(0);
    let region = match from {
        Some(file) => progress::run(interrupt, output, "", |progress| {
            options.load_with(name, file, |now| {
                requested_len = requested_len.max(now.total());
                progress(now)
            })
        })?,
        None => options.create(name)?,
    };
    let len = region.len();
    let until = match keeping.keep {
        Some(time) => format!("for {} s", time.as_secs_f64()),
        None => "until Ctrl-C".to_owned(),
    };
    // Printed only now, so that a program that waits for this line finds the content in place.
    let mut text =
        format!("{}: {len} bytes ({}), kept {until}", printable(&name.to_string()), size::show(len));
    let more = [capacity(&region), pages(&region, keeping.large_pages.is_some())];
    for line in more.into_iter().flatten() {
        let _ = write!(text, "\n  {line}");
    }
    let rights = region.security().ok().map(|security| security.to_string());
    if let (true, Some(rights)) = (shows_rights, &rights) {
        // As the system has stored them, which can differ from the request.
        let _ = write!(text, "\n  {}", printable(rights));
    }
    let document = Document {
        name: name.to_string(),
        length: len,
        capacity: region.capacity(),
        requested_length: requested_len,
        large_page_size: region.pages().large_size(),
        security: rights,
    };
    match output.print(&document, text) {
        // The region is the purpose, not the line.
        Err(failure) if failure.is_closed_pipe() => {}
        result => result?,
    }
    interrupt.wait(keeping.keep);
    Ok(())
}

fn capacity<A: Access>(region: &SharedMemory<A>) -> Option<String> {
    let capacity = region.capacity();
    (capacity > region.len()).then(|| format!("capacity {capacity} bytes ({})", size::show(capacity)))
}

/// Describes the pages if they are not ordinary or large ones were requested, and why those were refused.
fn pages(region: &SharedMemory, is_requested: bool) -> Option<String> {
    match (region.pages(), region.large_pages_refused()) {
        (_, Some(error)) => Some(format!("pages    ordinary: {}", printable(&headline(error)))),
        (Pages::Ordinary { .. }, None) if !is_requested => None,
        (Pages::Large { size }, _) => Some(format!("pages    large, {}", size::show(size))),
        (Pages::Advised { size }, _) => {
            Some(format!("pages    large, {}, where the system finds some", size::show(size)))
        }
        _ => Some("pages    ordinary".to_owned()),
    }
}

/// Returns the requested security, or `None` if none is requested.
fn security(args: &Keeping) -> Result<Option<Security>, mmf::Error> {
    let mut security = match &args.sddl {
        Some(text) => Security::from_sddl(text)?,
        None if args.grant_read.is_empty() && args.grant_write.is_empty() && args.integrity.is_none() => {
            return Ok(None);
        }
        None => Security::current_user(),
    };
    for principal in &args.grant_read {
        security = security.grant_read(principal.clone());
    }
    for principal in &args.grant_write {
        security = security.grant_write(principal.clone());
    }
    Ok(Some(match args.integrity {
        Some(level) => security.integrity(level),
        None => security,
    }))
}
