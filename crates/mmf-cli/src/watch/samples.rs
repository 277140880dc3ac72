//! What was read, what has changed since the time before, and for how long that is shown.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::time::Duration;

/// How long a change is marked as new, and after that as a little while ago.
const FRESH: Duration = Duration::from_millis(300);
const FADED: Duration = Duration::from_millis(1000);

/// How many changed places are remembered, for finding them again.
const PLACES: usize = 1024;

/// The bytes of a window at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    /// The length of the memory.
    pub(super) len: u64,
    /// Where the window starts.
    pub(super) offset: u64,
    /// The bytes; None where there is none any more.
    pub(super) bytes: Vec<Option<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mark {
    Unchanged,
    Fading,
    Fresh,
}

/// A byte to be shown: None in it if it is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) byte: Option<u8>,
    pub(super) mark: Mark,
}

/// The latest sample, and when its bytes have changed.
#[derive(Debug)]
pub(super) struct Samples {
    last: Sample,
    /// For each byte of the sample.
    changed: Vec<Option<Duration>>,
    places: BTreeSet<u64>,
}

impl Samples {
    pub(super) fn new() -> Self {
        let last = Sample { len: 0, offset: 0, bytes: Vec::new() };
        Samples { last, changed: Vec::new(), places: BTreeSet::new() }
    }

    /// Takes the next sample. Whether a byte has changed that was seen before.
    pub(super) fn take(&mut self, sample: Sample, now: Duration) -> bool {
        let mut any = false;
        let mut changed = vec![None; sample.bytes.len()];
        for (at, (byte, changed)) in sample.bytes.iter().zip(&mut changed).enumerate() {
            let offset = sample.offset + at as u64;
            let Some(before) = self.index(offset) else { continue };
            if *byte == self.last.bytes[before] {
                *changed = self.changed[before];
            } else {
                *changed = Some(now);
                any = true;
                // The first ones stay: where everything changes, all places are as good as any other.
                if self.places.len() < PLACES {
                    self.places.insert(offset);
                }
            }
        }
        self.last = sample;
        self.changed = changed;
        any
    }

    fn index(&self, offset: u64) -> Option<usize> {
        let at = usize::try_from(offset.checked_sub(self.last.offset)?).ok()?;
        (at < self.last.bytes.len()).then_some(at)
    }

    pub(super) fn last(&self) -> &Sample {
        &self.last
    }

    /// What to show of a byte; None if it was not read.
    pub(super) fn at(&self, offset: u64, now: Duration) -> Option<Shown> {
        let at = self.index(offset)?;
        Some(Shown { byte: self.last.bytes[at], mark: mark(self.changed[at], now) })
    }

    /// When a mark will look different.
    pub(super) fn next_fading(&self, now: Duration) -> Option<Duration> {
        let all = self.changed.iter().flatten().flat_map(|at| [*at + FRESH, *at + FADED]);
        all.filter(|time| *time > now).min()
    }

    /// The first place from here on that has been seen to change.
    pub(super) fn place_from(&self, offset: u64) -> Option<u64> {
        self.places.range(offset..).next().copied()
    }

    /// The last place before here that has been seen to change.
    pub(super) fn place_before(&self, offset: u64) -> Option<u64> {
        self.places.range((Bound::Unbounded, Bound::Excluded(offset))).next_back().copied()
    }

    /// The parts of the sample that have just changed, as index and length.
    pub(super) fn changes(&self, now: Duration) -> Vec<(usize, usize)> {
        runs(self.changed.iter().map(|at| *at == Some(now)))
    }
}

fn mark(changed: Option<Duration>, now: Duration) -> Mark {
    match changed.map(|at| now.saturating_sub(at)) {
        Some(age) if age < FRESH => Mark::Fresh,
        Some(age) if age < FADED => Mark::Fading,
        _ => Mark::Unchanged,
    }
}

/// Where there is a `true`, as index and length.
pub(super) fn runs(flags: impl Iterator<Item = bool>) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for (at, _) in flags.enumerate().filter(|(_, flag)| *flag) {
        match runs.last_mut() {
            Some((start, len)) if *start + *len == at => *len += 1,
            _ => runs.push((at, 1)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::{FADED, FRESH, Mark, PLACES, Sample, Samples};
    use std::time::Duration;

    fn sample(offset: u64, bytes: &[u8]) -> Sample {
        Sample { len: 4096, offset, bytes: bytes.iter().copied().map(Some).collect() }
    }

    fn at(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn marks(samples: &Samples, now: Duration) -> String {
        let start = samples.last().offset;
        let all = (start..).map_while(|offset| samples.at(offset, now));
        all.map(|shown| match shown.mark {
            Mark::Unchanged => '.',
            Mark::Fading => '+',
            Mark::Fresh => '#',
        })
        .collect()
    }

    #[test]
    fn changes_are_marked_and_fade() {
        let mut samples = Samples::new();
        assert!(!samples.take(sample(0, b"abcd"), at(0)));
        assert_eq!(marks(&samples, at(0)), "....");
        assert_eq!(samples.next_fading(at(0)), None);

        assert!(samples.take(sample(0, b"aXcd"), at(100)));
        assert_eq!(marks(&samples, at(100)), ".#..");
        assert!(samples.take(sample(0, b"aXcY"), at(200)));
        assert_eq!(marks(&samples, at(200)), ".#.#");
        assert!(!samples.take(sample(0, b"aXcY"), at(250)));
        assert_eq!(samples.next_fading(at(250)), Some(at(100) + FRESH));
        assert_eq!(marks(&samples, at(100) + FRESH), ".+.#");
        assert_eq!(marks(&samples, at(100) + FADED), "...+");
        assert_eq!(samples.next_fading(at(100) + FADED), Some(at(200) + FADED));
        assert_eq!(marks(&samples, at(200) + FADED), "....");
        assert_eq!(samples.next_fading(at(200) + FADED), None);
    }

    #[test]
    fn a_moved_window_keeps_what_it_knows() {
        let mut samples = Samples::new();
        samples.take(sample(8, b"abcdefgh"), at(0));
        samples.take(sample(8, b"abcdEfgh"), at(100));
        // Bytes that were not in sight have not changed, whatever they are.
        assert!(samples.take(sample(10, b"cdEfgHij"), at(200)));
        assert_eq!(marks(&samples, at(200)), "..#..#..");
        assert!(!samples.take(sample(0, b"zzzzzzzz"), at(250)));
        assert_eq!(marks(&samples, at(250)), "........");
    }

    #[test]
    fn bytes_that_go_have_changed() {
        let mut samples = Samples::new();
        samples.take(sample(0, b"ab"), at(0));
        let mut gone = sample(0, b"ab");
        gone.bytes[1] = None;
        assert!(samples.take(gone, at(50)));
        assert_eq!(marks(&samples, at(50)), ".#");
        assert_eq!(samples.at(1, at(50)).unwrap().byte, None);
        assert_eq!(samples.at(2, at(50)), None);
    }

    #[test]
    fn changed_places_are_found_again() {
        let mut samples = Samples::new();
        samples.take(sample(100, &[0; 8]), at(0));
        samples.take(sample(100, &[0, 1, 0, 0, 0, 0, 1, 0]), at(1));
        assert_eq!(samples.changes(at(1)), [(1, 1), (6, 1)]);
        assert_eq!(samples.place_from(0), Some(101));
        assert_eq!(samples.place_from(102), Some(106));
        assert_eq!(samples.place_from(107), None);
        assert_eq!(samples.place_before(106), Some(101));
        assert_eq!(samples.place_before(101), None);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut samples = Samples::new();
        for round in 0..100 {
            let offset = round * 4096;
            samples.take(sample(offset, &[0; 4096]), at(round));
            samples.take(sample(offset, &[1; 4096]), at(round));
        }
        assert_eq!(samples.places.len(), PLACES);
    }
}
