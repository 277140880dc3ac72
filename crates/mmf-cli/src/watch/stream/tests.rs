use super::{Fate, NameTarget, Stream, Writers};
use crate::number::Type;
use crate::watch::samples::{Sample, Samples};
use serde_json::json;
use std::time::Duration;

const FATE: Fate = Fate { name_target: NameTarget::ThisRegion, writers: Writers::Unknown };

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
    Stream { name: r"Local\x", offset: 4, most: 20, kind, bytes: None, room: usize::MAX, interval, count: 2 }
}

#[test]
fn text_marks_changes() {
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

fn document(kind: Option<Type>, samples: &Samples, now: Duration, fate: Fate) -> serde_json::Value {
    serde_json::to_value(stream(kind).document(samples, now, fate)).unwrap()
}

#[test]
fn documents_are_complete() {
    let (samples, now) = samples();
    assert_eq!(
        document(Some(Type::I32), &samples, now, FATE),
        json!({
            "name": r"Local\x", "length": 22, "offset": 4, "elapsed_ms": 70,
            "bytes": [{ "offset": 4, "hex": "600762636465666768696a6b6c6d6e007071" }],
            "cut_off": [{ "offset": 22, "length": 2 }],
            "changed": [
                { "offset": 5, "length": 1 },
                { "offset": 19, "length": 1 },
                { "offset": 22, "length": 2 },
            ],
            "unreadable": [], "findings": [],
            "name_target": "this_region", "writers": "unknown",
            "type": "i32",
            "values": [1_667_368_800, 1_734_763_876, 1_802_135_912, 7_236_972, null],
        })
    );
    let plain = document(None, &samples, now, FATE);
    assert!(plain["type"].is_null() && plain["values"].is_null(), "{plain}");
    let lost = Fate { name_target: NameTarget::Nothing, writers: Writers::NoneSeen };
    let document = document(None, &samples, now, lost);
    assert_eq!((&document["name_target"], &document["writers"]), (&json!("nothing"), &json!("none_seen")));
    let text = stream(None).text(&samples, now, lost);
    assert_eq!(text.lines().filter(|line| line.starts_with("note: ")).count(), 2, "{text}");
    let nan = super::values(&Sample { len: 4, offset: 0, bytes: vec![Some(0xff); 4] }, Type::F32);
    assert_eq!(serde_json::to_value(nan).unwrap(), json!([null]));
}
