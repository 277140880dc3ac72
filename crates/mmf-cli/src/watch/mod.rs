//! `mmf watch`: shows how a region changes.
//!
//! `source` reads the visible bytes only, and `samples` compares them with the previous sample. In a
//! terminal (`live`), `draw` and `layout` make a frame of the `model`, which also decides what keys do.
//! Without a terminal, `stream` prints samples.

mod draw;
mod layout;
mod live;
mod model;
mod samples;
mod source;
mod stream;

use std::io::{self, Write};
use std::time::{Duration, Instant};

use mmf::{ErrorKind, Name, ReadOnly, SharedMemory};

use crate::args::{Waiting, Watch};
use crate::interrupt::Interrupt;
use crate::names;
use crate::number::Type;
use crate::output::{Failure, Output};
use crate::terminal::can_draw;
use crate::text::printable;
use model::Settings;
use source::Source;
use stream::Stream;

/// How often `--wait` looks for the name.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

pub(crate) fn run(args: &Watch, output: Output) -> Result<(), Failure> {
    let name = names::existing(&args.name)?;
    let interrupt = Interrupt::listen()?;
    let region = open(&name, args.wait, output, &interrupt)?;
    let rights = region.security().ok().map(|security| printable(&security.to_string()));
    let mut source = Source::new(region);
    let len = source.len();
    if args.offset >= len && args.offset > 0 {
        let message =
            format!("cannot watch offset {} of \"{name}\": the region has {len} bytes", args.offset);
        return Err(Failure::new("out_of_bounds", message));
    }
    let full = name.to_string();
    if args.once || args.count.is_some() || output.json || !can_draw() {
        let stream = Stream {
            name: &full,
            offset: args.offset,
            most: usize::try_from(args.length).unwrap_or(source::MOST),
            kind: args.r#type,
            bytes: args.width,
            room: terminal_size::terminal_size_of(io::stdout())
                .map_or(usize::MAX, |(width, _)| width.0.into()),
            interval: args.interval,
            count: args.count.unwrap_or(1),
        };
        return stream.run(&mut source, output, &interrupt);
    }
    let settings = Settings {
        name: full,
        rights,
        offset: args.offset,
        kind: args.r#type.unwrap_or(Type::U32),
        bytes: args.width,
        interval: args.interval,
    };
    live::run(&mut source, settings, &interrupt)
}

/// Opens the region; with `--wait`, retries until it exists.
fn open(
    name: &Name,
    wait: Option<Waiting>,
    output: Output,
    interrupt: &Interrupt,
) -> Result<SharedMemory<ReadOnly>, Failure> {
    let start = Instant::now();
    let mut is_reported = false;
    loop {
        let error = match SharedMemory::open_read_only(name) {
            Ok(region) => return Ok(region),
            Err(error) => error,
        };
        // (While it is created, it has no length for a moment.)
        let may_come = matches!(error.kind(), ErrorKind::NotFound | ErrorKind::TooSmall | ErrorKind::Busy);
        let in_time = match wait {
            Some(Waiting::For(time)) => start.elapsed() < time,
            Some(Waiting::Forever) => true,
            None => false,
        };
        if !may_come || !in_time {
            return Err(error.into());
        }
        if !is_reported {
            is_reported = true;
            if !output.json {
                let _ = writeln!(io::stderr(), "mmf: waiting for \"{}\"", printable(&name.to_string()));
            }
        }
        if interrupt.wait(Some(RETRY_INTERVAL)) {
            return Err(Failure::interrupted());
        }
    }
}
