//! Samples as text or JSON, without a screen.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use mmf::diagnosis::Finding;
use mmf::inspect::NameTarget;
use serde::Serialize;

use super::draw::{Place, draw_row, heading};
use super::layout::Layout;
use super::samples::{Sample, Samples, runs};
use super::source::{Fate, Source, Writers};
use crate::findings;
use crate::interrupt::Interrupt;
use crate::number::{Order, Type, Value};
use crate::output::{Failure, Output, json_text, printing};
use crate::terminal::{Frame, Role};
use crate::text::printable;

/// What to print, and how often.
pub(super) struct Stream<'s> {
    pub(super) name: &'s str,
    pub(super) offset: u64,
    /// The length of a sample.
    pub(super) most: usize,
    /// `None` if the user has not selected a type.
    pub(super) kind: Option<Type>,
    pub(super) bytes: Option<usize>,
    /// The number of columns.
    pub(super) room: usize,
    pub(super) interval: Duration,
    /// The number of samples; 0 to continue until interrupted.
    pub(super) count: u64,
}

/// The JSON document of a sample.
#[derive(Serialize)]
struct Document<'s> {
    name: &'s str,
    length: u64,
    offset: u64,
    elapsed_ms: u64,
    bytes: Vec<Bytes>,
    cut_off: Vec<Part>,
    changed: Vec<Part>,
    unreadable: Vec<Part>,
    findings: &'s [Finding],
    name_target: NameTarget,
    writers: Writers,
    r#type: Option<Type>,
    values: Option<Vec<Option<Value>>>,
}

#[derive(Serialize)]
struct Bytes {
    offset: u64,
    hex: String,
}

#[derive(Serialize)]
struct Part {
    offset: u64,
    length: usize,
}

impl Stream<'_> {
    pub(super) fn run(
        &self,
        source: &mut Source,
        output: Output,
        interrupt: &Interrupt,
    ) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        let mut samples = Samples::new();
        let start = Instant::now();
        let mut number: u64 = 0;
        let mut due = start;
        loop {
            let now = start.elapsed();
            let first = number == 0;
            samples.take(source.read(self.offset, self.most), now);
            if let Some(problem) = source.problem() {
                return Err(Failure::new("fault", problem));
            }
            let fate = source.fate();
            let text = if output.json {
                let mut document = self.document(&samples, now, fate);
                if let Some(unread) = source.unread() {
                    document.findings = unread.findings();
                }
                json_text(&document)? + "\n"
            } else {
                let unread = source.unread().map(|unread| findings::plain(unread, 0, false) + "\n");
                let lead = if first { "" } else { "\n" };
                lead.to_owned() + &self.text(&samples, now, fate) + &unread.unwrap_or_default()
            };
            // Flushed at once: a reader may be waiting for it.
            out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|e| printing(&e))?;
            number += 1;
            if number == self.count {
                return Ok(());
            }
            // Samples that a slow reader has missed are skipped.
            due = (due + self.interval).max(Instant::now());
            if interrupt.wait(Some(due.saturating_duration_since(Instant::now()))) {
                // Without a count, this is the regular end.
                return if self.count == 0 { Ok(()) } else { Err(Failure::interrupted()) };
            }
        }
    }

    fn text(&self, samples: &Samples, now: Duration, fate: Fate) -> String {
        let sample = samples.last();
        let kind = self.kind.unwrap_or(Type::U32);
        let end = sample.offset.saturating_add(sample.bytes.len() as u64);
        let layout = Layout::new(self.room, end, kind, self.bytes);
        let mut frame = Frame::new(layout.width() + 1, sample.bytes.len().div_ceil(layout.bytes));
        for y in 0..frame.height() {
            let offset = sample.offset + (y * layout.bytes) as u64;
            draw_row(&mut frame, Place { y, offset, now }, &layout, Order::Little, samples);
        }
        // Unlike on a screen, where a mark stays for a second, only changes since the previous sample.
        for at in samples.changes(now).iter().flat_map(|&(at, len)| at..at + len) {
            frame.put(layout.hex(at % layout.bytes) + 2, at / layout.bytes, "*", Role::Fresh);
        }
        let notes: String = fate.sentences().iter().map(|line| format!("note: {line}\n")).collect();
        format!("{}\n{notes}{}", heading(&printable(self.name), sample.len, kind), frame.text())
    }

    fn document(&self, samples: &Samples, now: Duration, fate: Fate) -> Document<'_> {
        let sample = samples.last();
        let part = |(at, len): (usize, usize)| Part { offset: sample.offset + at as u64, length: len };
        let is_inside = |at: usize| sample.offset + (at as u64) < sample.len;
        let missing = |inside: bool| {
            let flags =
                sample.bytes.iter().enumerate().map(|(at, byte)| byte.is_none() && is_inside(at) == inside);
            runs(flags).into_iter().map(part).collect()
        };
        let existing = runs(sample.bytes.iter().map(Option::is_some)).into_iter();
        let bytes = existing.map(|(at, len)| {
            let digits = sample.bytes[at..at + len].iter().flatten().map(|byte| format!("{byte:02x}"));
            Bytes { offset: sample.offset + at as u64, hex: digits.collect() }
        });
        let kind = self.kind.filter(|kind| *kind != Type::None);
        Document {
            name: self.name,
            length: sample.len,
            offset: sample.offset,
            elapsed_ms: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
            bytes: bytes.collect(),
            cut_off: missing(false),
            changed: samples.changes(now).into_iter().map(part).collect(),
            unreadable: missing(true),
            findings: &[],
            name_target: fate.name_target,
            writers: fate.writers,
            r#type: kind,
            values: kind.map(|kind| values(sample, kind)),
        }
    }
}

/// Returns the numbers, `None` for one whose bytes were cut off or cannot be read.
fn values(sample: &Sample, kind: Type) -> Vec<Option<Value>> {
    let all = sample.bytes.chunks_exact(kind.size()).map(|bytes| {
        let bytes: Option<Vec<u8>> = bytes.iter().copied().collect();
        bytes.and_then(|bytes| kind.read(&bytes, Order::Little))
    });
    all.collect()
}

#[cfg(test)]
mod tests;
