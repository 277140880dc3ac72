//! Samples, what has changed between them, and for how long a change is marked.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::time::Duration;

/// How long a change is marked as fresh, and until when as fading.
const FRESH: Duration = Duration::from_millis(300);
const FADED: Duration = Duration::from_millis(1000);

/// How many changed offsets are remembered for the keys `n` and `N`.
const REMEMBERED: usize = 1024;

/// The bytes of a window at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    /// The length of the region.
    pub(super) len: u64,
    /// The offset of the window.
    pub(super) offset: u64,
    /// The bytes; `None` for a byte that has been cut off or cannot be read.
    pub(super) bytes: Vec<Option<u8>>,
}

/// How a byte is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mark {
    Unchanged,
    Fading,
    Fresh,
}

/// A byte with its mark; `None` in `byte` as in a [`Sample`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) byte: Option<u8>,
    pub(super) mark: Mark,
}

/// The latest sample, and when each of its bytes changed.
#[derive(Debug)]
pub(super) struct Samples {
    last: Sample,
    /// For each byte of the sample, when it changed.
    changed: Vec<Option<Duration>>,
    changed_offsets: BTreeSet<u64>,
}

impl Samples {
    pub(super) fn new() -> Self {
        let last = Sample { len: 0, offset: 0, bytes: Vec::new() };
        Samples { last, changed: Vec::new(), changed_offsets: BTreeSet::new() }
    }

    /// Takes the next sample, and returns whether a byte has changed that the previous sample contained.
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
                // The first ones are kept: where everything changes, one offset is as good as another.
                if self.changed_offsets.len() < REMEMBERED {
                    self.changed_offsets.insert(offset);
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

    /// Returns a byte with its mark, or `None` if the sample does not contain it.
    pub(super) fn at(&self, offset: u64, now: Duration) -> Option<Shown> {
        let at = self.index(offset)?;
        Some(Shown { byte: self.last.bytes[at], mark: mark(self.changed[at], now) })
    }

    /// Returns when the next mark changes.
    pub(super) fn next_fading(&self, now: Duration) -> Option<Duration> {
        let all = self.changed.iter().flatten().flat_map(|at| [*at + FRESH, *at + FADED]);
        all.filter(|time| *time > now).min()
    }

    /// The first remembered change at `offset` or after it.
    pub(super) fn change_from(&self, offset: u64) -> Option<u64> {
        self.changed_offsets.range(offset..).next().copied()
    }

    /// The last remembered change before `offset`.
    pub(super) fn change_before(&self, offset: u64) -> Option<u64> {
        self.changed_offsets.range((Bound::Unbounded, Bound::Excluded(offset))).next_back().copied()
    }

    /// The parts of the sample that changed at `now`, as index and length.
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

/// The runs of `true`, as index and length.
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
mod tests;
