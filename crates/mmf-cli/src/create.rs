//! `mmf create`: makes a memory and keeps it.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::mpsc::{self, Receiver};

use mmf::{Access, Name, OpenOptions, Pages, ReadWrite, Security, SharedMemory, View};
use serde_json::json;

use crate::args::Create;
use crate::findings::headline;
use crate::output::{Failure, Output, printable};
use crate::size;

/// How much is read and written at a time.
const PIECE: usize = 1 << 20;

pub(crate) fn run(args: &Create, output: Output) -> Result<(), Failure> {
    let name = Name::new(&args.name)?;
    let ended = when_asked_to_end()?;
    let source = args.from.as_deref().map(Source::open).transpose()?;
    let wanted = match (args.size, &source) {
        (Some(size), Some(source)) if source.len > size => {
            let message = format!(
                "cannot put {} into {size} bytes: the file has {}; leave the size out, or ask for that much",
                source.shown, source.len
            );
            return Err(Failure::new("OutOfBounds", message));
        }
        (None, Some(source)) if source.len == 0 => {
            let message = format!("cannot make a memory of {}: the file is empty; give a size", source.shown);
            return Err(Failure::new("ZeroLength", message));
        }
        (Some(size), _) => size,
        (None, Some(source)) => source.len,
        (None, None) => 0,
    };
    let security = security(args)?;
    let asked = security.is_some();
    let mut options = OpenOptions::new().len(wanted).security(security.unwrap_or_default());
    if let Some(capacity) = args.capacity {
        options = options.capacity(capacity);
    }
    if let Some(node) = args.node {
        options = options.numa_node(node);
    }
    let memory = options.large_pages(args.large_pages.unwrap_or_default()).create(&name)?;
    if let Some(source) = source {
        source.copy_to(&memory, &ended)?;
    }
    let len = memory.len();
    let until = match args.keep {
        Some(time) => format!("for {} s", time.as_secs_f64()),
        None => "until Ctrl-C".to_owned(),
    };
    // Only now, so that who waits for this line finds the content in place.
    let mut text =
        format!("{}: {len} bytes ({}), kept {until}", printable(&name.to_string()), size::show(len));
    let more = [capacity(&memory), pages(&memory, args.large_pages.is_some())];
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
    let _ = match args.keep {
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
fn security(args: &Create) -> Result<Option<Security>, mmf::Error> {
    let mut security = match &args.sddl {
        Some(text) => Security::sddl(text)?,
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
fn when_asked_to_end() -> Result<Receiver<()>, Failure> {
    let (sender, receiver) = mpsc::channel();
    ctrlc::set_handler(move || {
        let _ = sender.send(());
    })
    .map_err(|error| Failure::new("Io", format!("cannot listen for Ctrl-C: {error}; run it elsewhere")))?;
    Ok(receiver)
}

/// A file whose length is known.
struct Source {
    file: File,
    len: u64,
    shown: String,
}

impl Source {
    fn open(path: &Path) -> Result<Self, Failure> {
        let shown = format!("\"{}\"", path.display());
        let file =
            File::open(path).map_err(|e| Failure::io(format!("open {shown}"), &e, "check the path"))?;
        let data = file.metadata().map_err(|e| Failure::io(format!("examine {shown}"), &e, ""))?;
        if !data.is_file() {
            let message =
                format!("cannot read {shown}: this is not a file; give one, its length must be known");
            return Err(Failure::new("Io", message));
        }
        Ok(Source { file, len: data.len(), shown })
    }

    fn copy_to(mut self, memory: &SharedMemory, ended: &Receiver<()>) -> Result<(), Failure> {
        let mut piece = vec![0; PIECE];
        let mut offset = 0;
        while offset < self.len {
            if ended.try_recv().is_ok() {
                return Err(Failure::interrupted());
            }
            let wanted = piece.len().min(usize::try_from(self.len - offset).unwrap_or(usize::MAX));
            let read = self.file.read(&mut piece[..wanted]);
            let read = read.map_err(|e| Failure::io(format!("read {}", self.shown), &e, ""))?;
            if read == 0 {
                let message = format!("cannot read {}: it became shorter meanwhile; try again", self.shown);
                return Err(Failure::new("Io", message));
            }
            let view: View<ReadWrite> = memory.view_at(offset, read)?;
            view.write_at(0, &piece[..read])?;
            offset += read as u64;
        }
        Ok(())
    }
}
