//! Samples as text or JSON, where there is no screen to draw on.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use mmf::inspect::NameTarget;
use serde_json::{Value as Json, json};

use super::draw::{Place, draw_row, heading};
use super::frame::{Frame, Role};
use super::layout::Layout;
use super::samples::{Sample, Samples, runs};
use super::source::{Fate, Source, Writers};
use super::value::{Order, Type};
use crate::findings;
use crate::output::{Failure, Output, json_text, printable, printing};

/// What is printed, and how often.
pub(super) struct Stream<'s> {
    pub(super) name: &'s str,
    pub(super) offset: u64,
    /// How many bytes are in a sample.
    pub(super) most: usize,
    /// None if the user has not asked for one.
    pub(super) kind: Option<Type>,
    pub(super) bytes: Option<usize>,
    /// Columns that there is room for.
    pub(super) room: usize,
    pub(super) interval: Duration,
    /// So many samples; 0 for as many as come until it is ended.
    pub(super) count: u64,
}

impl Stream<'_> {
    pub(super) fn run(
        &self,
        source: &mut Source,
        output: Output,
        ended: &Receiver<()>,
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
            if let Some(trouble) = source.trouble() {
                return Err(Failure::new("Fault", trouble));
            }
            let fate = source.fate();
            let text = if output.json {
                let mut document = self.document(&samples, now, fate);
                if let Some(unread) = source.unread() {
                    document["findings"] = findings::document(unread.findings());
                }
                json_text(&document)? + "\n"
            } else {
                let unread = source.unread().map(|unread| findings::plain(unread, 0, false) + "\n");
                let lead = if first { "" } else { "\n" };
                lead.to_owned() + &self.text(&samples, now, fate) + &unread.unwrap_or_default()
            };
            // At once: somebody may wait for it.
            out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|e| printing(&e))?;
            number += 1;
            if number == self.count {
                return Ok(());
            }
            // What a slow reader has missed is not made up for.
            due = (due + self.interval).max(Instant::now());
            match ended.recv_timeout(due.saturating_duration_since(Instant::now())) {
                Err(RecvTimeoutError::Timeout) => {}
                // Without a number, that is how it ends.
                _ if self.count == 0 => return Ok(()),
                _ => return Err(Failure::interrupted()),
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
        // Not what is marked on a screen: there a mark stays for a while.
        for at in samples.changes(now).iter().flat_map(|&(at, len)| at..at + len) {
            frame.put(layout.hex(at % layout.bytes) + 2, at / layout.bytes, "*", Role::Fresh);
        }
        let notes: String = fate.lines().iter().map(|line| format!("note: {line}\n")).collect();
        format!("{}\n{notes}{}", heading(&printable(self.name), sample.len, kind), frame.text())
    }

    fn document(&self, samples: &Samples, now: Duration, fate: Fate) -> Json {
        let sample = samples.last();
        let part = |(at, len): (usize, usize)| json!({ "offset": sample.offset + at as u64, "length": len });
        let inside = |at: usize| sample.offset + (at as u64) < sample.len;
        let none = |is_inside: bool| {
            let is = sample.bytes.iter().enumerate().map(|(at, b)| b.is_none() && inside(at) == is_inside);
            runs(is).into_iter().map(part).collect::<Vec<_>>()
        };
        let there = runs(sample.bytes.iter().map(Option::is_some));
        let bytes = there.iter().map(|&(at, len)| {
            let digits = sample.bytes[at..at + len].iter().flatten().map(|byte| format!("{byte:02x}"));
            json!({ "offset": sample.offset + at as u64, "hex": digits.collect::<String>() })
        });
        let mut document = json!({
            "name": self.name,
            "length": sample.len,
            "offset": sample.offset,
            "milliseconds": u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
            "bytes": bytes.collect::<Vec<_>>(),
            "gone": none(false),
            "changed": samples.changes(now).into_iter().map(part).collect::<Vec<_>>(),
            "name_leads": match fate.leads {
                NameTarget::ThisRegion => Some("here"),
                NameTarget::AnotherRegion => Some("elsewhere"),
                NameTarget::Nothing => Some("nowhere"),
                NameTarget::Unknown => None,
            },
            "writers": match fate.writers {
                Writers::Some => Some("some"),
                Writers::None => Some("none"),
                Writers::NoneSeen => Some("none seen"),
                Writers::Unknown => None,
            },
        });
        let unreadable = none(true);
        if !unreadable.is_empty() {
            document["unreadable"] = json!(unreadable);
        }
        if let Some(kind) = self.kind.filter(|kind| *kind != Type::None) {
            document["type"] = json!(kind.name());
            document["values"] = values(sample, kind);
        }
        document
    }
}

/// The numbers, null where their bytes are gone.
fn values(sample: &Sample, kind: Type) -> Json {
    let all = sample.bytes.chunks_exact(kind.size()).map(|bytes| {
        let bytes: Option<Vec<u8>> = bytes.iter().copied().collect();
        bytes.and_then(|bytes| kind.read(&bytes, Order::Little)).map_or(Json::Null, |value| value.to_json())
    });
    all.collect()
}

#[cfg(test)]
mod tests {
    use super::{Fate, NameTarget, Stream, Writers};
    use crate::watch::samples::{Sample, Samples};
    use crate::watch::value::Type;
    use serde_json::json;
    use std::time::Duration;

    const FATE: Fate = Fate { leads: NameTarget::ThisRegion, writers: Writers::Unknown };

    fn samples() -> (Samples, Duration) {
        let mut samples = Samples::new();
        let bytes: Vec<Option<u8>> = (0..20).map(|byte| Some(byte + 0x60)).collect();
        samples.take(Sample { len: 4096, offset: 4, bytes: bytes.clone() }, Duration::ZERO);
        let mut next = bytes;
        next[1] = Some(7);
        next[15] = Some(0);
        next[18..].fill(None);
        let now = Duration::from_millis(70);
        samples.take(Sample { len: 22, offset: 4, bytes: next }, now);
        (samples, now)
    }

    fn stream(kind: Option<Type>) -> Stream<'static> {
        let interval = Duration::from_millis(70);
        Stream {
            name: r"Local\x",
            offset: 4,
            most: 20,
            kind,
            bytes: None,
            room: usize::MAX,
            interval,
            count: 2,
        }
    }

    #[test]
    fn text_has_signs_at_changes() {
        let (samples, now) = samples();
        assert_eq!(
            stream(Some(Type::U16)).text(&samples, now, FATE),
            "Local\\x  22 bytes (22 bytes)  u16 little-endian\n\
             00000004  60 07*62 63 64 65 66 67  68 69 6a 6b 6c 6d 6e 00* |`.bcdefghijklmn.|   \
             1888 25442 25956 26470 26984 27498 28012   110\n\
             00000014  70 71 --*--*                                      |pq  |              \
             29040    --\n"
        );
    }

    #[test]
    fn documents_are_whole() {
        let (samples, now) = samples();
        assert_eq!(
            stream(Some(Type::I32)).document(&samples, now, FATE),
            json!({
                "name": r"Local\x", "length": 22, "offset": 4, "milliseconds": 70,
                "bytes": [{ "offset": 4, "hex": "600762636465666768696a6b6c6d6e007071" }],
                "gone": [{ "offset": 22, "length": 2 }],
                "changed": [{ "offset": 5, "length": 1 }, { "offset": 19, "length": 1 }, { "offset": 22, "length": 2 }],
                "name_leads": "here", "writers": null,
                "type": "i32",
                "values": [1_667_368_800, 1_734_763_876, 1_802_135_912, 7_236_972, null],
            })
        );
        assert!(stream(None).document(&samples, now, FATE).get("values").is_none());
        let lost = Fate { leads: NameTarget::Nothing, writers: Writers::None };
        let document = stream(None).document(&samples, now, lost);
        assert_eq!((&document["name_leads"], &document["writers"]), (&json!("nowhere"), &json!("none")));
        let text = stream(None).text(&samples, now, lost);
        assert_eq!(text.lines().filter(|line| line.starts_with("note: ")).count(), 2, "{text}");
        let nan = super::values(&Sample { len: 4, offset: 0, bytes: vec![Some(0xff); 4] }, Type::F32);
        assert_eq!(nan, json!([null]));
    }
}
