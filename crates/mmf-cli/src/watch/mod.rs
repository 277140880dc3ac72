//! `mmf watch`: shows how a memory changes.
//!
//! Only what is in sight is read (`source`), compared with what was read before (`samples`), and drawn into a picture
//! (`draw`, `layout`, `frame`), of which a terminal is sent what differs (`live`). What keys do is in `model`. Without a
//! terminal, samples are printed (`stream`).

mod draw;
mod frame;
mod layout;
mod live;
mod model;
mod samples;
mod source;
mod stream;
mod value;

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anstream::{AutoStream, ColorChoice};
use mmf::{ErrorKind, Name, ReadOnly, SharedMemory};
use termina::PlatformWaker;

pub(crate) use frame::{Frame, Palette, Role};
pub(crate) use live::{Heard, Screen, failed, time_of_day};
pub(crate) use model::Key;
pub(crate) use value::Type;

use crate::args::{Waiting, Watch};
use crate::names;
use crate::output::{Failure, Output, printable};
use model::Settings;
use source::Source;
use stream::Stream;

/// How often a name that does not exist yet is looked for.
const LOOKING: Duration = Duration::from_millis(100);

pub(crate) fn run(args: &Watch, output: Output) -> Result<(), Failure> {
    let name = names::existing(&args.name)?;
    let ended = Ended::listen()?;
    let memory = open(&name, args.wait, output, &ended)?;
    let rights = memory.security().ok().map(|security| printable(&security.to_string()));
    let mut source = Source::new(memory);
    let len = source.len();
    if args.offset >= len && args.offset > 0 {
        let message =
            format!("cannot watch offset {} of \"{name}\": it has {len} bytes; stay inside", args.offset);
        return Err(Failure::new("OutOfBounds", message));
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
        return stream.run(&mut source, output, &ended.asked);
    }
    let colours = AutoStream::choice(&io::stdout()) != ColorChoice::Never;
    let settings = Settings {
        name: full,
        rights,
        offset: args.offset,
        kind: args.r#type.unwrap_or(Type::U32),
        bytes: args.width,
        interval: args.interval,
    };
    live::run(&mut source, settings, colours, &ended)
}

/// Whether there is a terminal on which a cursor can be moved.
pub(crate) fn can_draw() -> bool {
    io::stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Opens the memory, or waits until it can be opened.
fn open(
    name: &Name,
    wait: Option<Waiting>,
    output: Output,
    ended: &Ended,
) -> Result<SharedMemory<ReadOnly>, Failure> {
    let start = Instant::now();
    let mut told = false;
    loop {
        let error = match SharedMemory::open_read_only(name) {
            Ok(memory) => return Ok(memory),
            Err(error) => error,
        };
        // (It may have a name but no length for a moment.)
        let may_come = matches!(error.kind(), ErrorKind::NotFound | ErrorKind::TooSmall | ErrorKind::Busy);
        let in_time = match wait {
            Some(Waiting::For(time)) => start.elapsed() < time,
            Some(Waiting::Forever) => true,
            None => false,
        };
        if !may_come || !in_time {
            return Err(error.into());
        }
        if !told {
            told = true;
            if !output.json {
                let _ = writeln!(io::stderr(), "mmf: waiting for \"{}\"", printable(&name.to_string()));
            }
        }
        match ended.asked.recv_timeout(LOOKING) {
            Err(RecvTimeoutError::Timeout) => {}
            _ => return Err(Failure::interrupted()),
        }
    }
}

/// Whether the user or the system wants this program to end.
pub(crate) struct Ended {
    pub(crate) asked: Receiver<()>,
    /// Who is waiting for keys meanwhile.
    waker: Arc<Mutex<Option<PlatformWaker>>>,
}

impl Ended {
    pub(crate) fn listen() -> Result<Self, Failure> {
        let (sender, asked) = mpsc::channel();
        let waker = Arc::new(Mutex::new(None::<PlatformWaker>));
        let woken = Arc::clone(&waker);
        ctrlc::set_handler(move || {
            let _ = sender.send(());
            if let Some(waker) = &*woken.lock().unwrap_or_else(PoisonError::into_inner) {
                let _ = waker.wake();
            }
        })
        .map_err(|error| {
            Failure::new("Io", format!("cannot listen for Ctrl-C: {error}; run it elsewhere"))
        })?;
        Ok(Ended { asked, waker })
    }

    /// Has somebody woken who waits for keys.
    fn wake(&self, waker: PlatformWaker) {
        *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker);
    }
}
