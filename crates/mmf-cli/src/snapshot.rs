//! `mmf save` and `mmf load`: the content of a region to a file, and back.

use std::path::Path;
use std::time::{Duration, Instant};

use mmf::snapshot::{CopyStats, IfExists};
use mmf::{ErrorKind, Name, SharedMemory};
use serde::Serialize;

use crate::args::{Load, Save};
use crate::create::create_and_keep;
use crate::interrupt::Interrupt;
use crate::names;
use crate::output::{Failure, Output};
use crate::progress;
use crate::size;
use crate::text::printable;

/// The JSON document of `mmf save` and of `mmf load --into`.
#[derive(Serialize)]
struct Document {
    name: String,
    file: String,
    length: u64,
    holes: u64,
    seconds: f64,
}

pub(crate) fn save(args: &Save, output: Output) -> Result<(), Failure> {
    let name = names::existing(&args.name)?;
    let interrupt = Interrupt::listen()?;
    let region = SharedMemory::open_read_only(&name)?;
    let if_exists = if args.force { IfExists::Replace } else { IfExists::Keep };
    let started = Instant::now();
    let stats = progress::run(&interrupt, output, "flushing to the disk", |progress| {
        match region.save_with(&args.file, if_exists, progress) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                Err(Failure::from(error).with(" with --force"))
            }
            result => result.map_err(Failure::from),
        }
    })?;
    report(&name, "saved to", &args.file, stats, started.elapsed(), output)
}

pub(crate) fn load(args: &Load, output: Output) -> Result<(), Failure> {
    let name = if args.into { names::existing(&args.name)? } else { Name::new(&args.name)? };
    let interrupt = Interrupt::listen()?;
    if !args.into {
        return create_and_keep(&name, None, Some(&args.file), &args.keeping, &interrupt, output);
    }
    let region = SharedMemory::open(&name)?;
    let started = Instant::now();
    let stats = progress::run(&interrupt, output, "", |progress| {
        region.restore_with(&args.file, progress).map_err(|error| {
            let is_cancelled = error.kind() == ErrorKind::Cancelled;
            let failure = Failure::from(error);
            if is_cancelled { failure.with("; a part of the region has the new content") } else { failure }
        })
    })?;
    report(&name, "restored from", &args.file, stats, started.elapsed(), output)
}

#[allow(clippy::cast_precision_loss, reason = "a rate, for people")]
fn report(
    name: &Name,
    done: &str,
    file: &Path,
    stats: CopyStats,
    time: Duration,
    output: Output,
) -> Result<(), Failure> {
    let (name, file) = (name.to_string(), file.display().to_string());
    let (len, holes) = (stats.len(), stats.holes());
    let rate = len as f64 / time.as_secs_f64().max(1e-6) / 1e9;
    let mut text = format!(
        "{}: {len} bytes ({}) {done} \"{}\" in {:.2} s ({rate:.1} GB/s)",
        printable(&name),
        size::show(len),
        printable(&file),
        time.as_secs_f64(),
    );
    if holes > 0 {
        text.push_str(&format!(", {} of them zeros", size::show(holes)));
    }
    output.print(&Document { name, file, length: len, holes, seconds: time.as_secs_f64() }, text)
}
