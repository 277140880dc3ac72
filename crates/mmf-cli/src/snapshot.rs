//! `mmf save` and `mmf load`: memory goes to disk and comes back.

use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use mmf::snapshot::{CopyStats, IfExists, Progress};
use mmf::{ErrorKind, Name, SharedMemory};
use serde_json::json;

use crate::args::{Load, Save};
use crate::create;
use crate::names;
use crate::output::{Failure, Output, printable};
use crate::size;

pub(crate) fn save(args: &Save, output: Output) -> Result<(), Failure> {
    let name = names::existing(&args.name)?;
    let ended = create::when_asked_to_end()?;
    let memory = SharedMemory::open_read_only(&name)?;
    let existing = if args.force { IfExists::Replace } else { IfExists::Keep };
    let started = Instant::now();
    let saved = with_bar(&ended, output, "bringing it to the disk", |progress| {
        match memory.save_with(&args.file, existing, progress) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                Err(Failure::from(error).with(" with --force"))
            }
            result => result.map_err(Failure::from),
        }
    })?;
    report(&name, "saved to", &args.file, saved, started.elapsed(), output)
}

pub(crate) fn load(args: &Load, output: Output) -> Result<(), Failure> {
    let name = if args.into { names::existing(&args.name)? } else { Name::new(&args.name)? };
    let ended = create::when_asked_to_end()?;
    if !args.into {
        return create::make_and_keep(&name, None, Some(&args.file), &args.keeping, &ended, output);
    }
    let memory = SharedMemory::open(&name)?;
    let started = Instant::now();
    let restored = with_bar(&ended, output, "", |progress| {
        memory.restore_with(&args.file, progress).map_err(|error| {
            let is_cancelled = error.kind() == ErrorKind::Cancelled;
            let failure = Failure::from(error);
            if is_cancelled { failure.with("; part of the memory has the new content") } else { failure }
        })
    })?;
    report(&name, "restored from", &args.file, restored, started.elapsed(), output)
}

#[allow(clippy::cast_precision_loss, reason = "a rate, for people")]
fn report(
    name: &Name,
    done: &str,
    file: &Path,
    copied: CopyStats,
    time: Duration,
    output: Output,
) -> Result<(), Failure> {
    let (name, file) = (name.to_string(), file.display().to_string());
    let (len, holes) = (copied.len(), copied.holes());
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
    let document = json!({
        "name": name,
        "file": file,
        "length": len,
        "holes": holes,
        "seconds": time.as_secs_f64(),
    });
    output.print(&document, text)
}

/// How long nothing is shown: what is done by then needs no bar.
const PATIENCE: Duration = Duration::from_millis(300);

/// Does something that takes a while, with a bar on a terminal, until the user wants it to end. `finally` says what is going on
/// when all bytes are through.
pub(crate) fn with_bar<T, E: Into<Failure>>(
    ended: &Receiver<()>,
    output: Output,
    finally: &str,
    work: impl FnOnce(&mut dyn FnMut(Progress) -> ControlFlow<()>) -> Result<T, E>,
) -> Result<T, Failure> {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
    let style = ProgressStyle::with_template("  {bar:24} {percent:>3} %  {binary_bytes_per_sec}  {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
    let started = Instant::now();
    let is_wanted = !output.json && std::io::stderr().is_terminal();
    let mut is_cancelled = false;
    let result = work(&mut |progress| {
        if ended.try_recv().is_ok() {
            is_cancelled = true;
            return ControlFlow::Break(());
        }
        if is_wanted && started.elapsed() > PATIENCE {
            if bar.is_hidden() {
                bar.set_length(progress.total());
                bar.set_draw_target(ProgressDrawTarget::stderr());
            }
            bar.set_position(progress.done());
            if progress.done() == progress.total() {
                bar.set_message(finally.to_owned());
                bar.force_draw();
            } else {
                bar.set_message(format!("{} s left", bar.eta().as_secs() + 1));
            }
        }
        ControlFlow::Continue(())
    });
    bar.finish_and_clear();
    result.map_err(|error| {
        let failure = error.into();
        if is_cancelled { failure.into_interrupted() } else { failure }
    })
}
