//! Reads the visible part of a region, and nothing else.

use std::time::{Duration, Instant};

use mmf::diagnosis::{Cause, Diagnosis};
use mmf::inspect::{Holders, NameTarget};
use mmf::{ErrorKind, ReadOnly, SharedMemory, View};
use serde::Serialize;

use super::samples::Sample;
use crate::findings::headline;

/// The most bytes that one sample reads, however large a terminal is.
pub(super) const MOST: usize = 1 << 16;

/// The unit of reading when some pages of a window are inaccessible. No system has smaller pages.
const PAGE: u64 = 4096;

/// How often the name, and the known processes that may write, are checked.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// How often all processes are searched for one that may write, while none is known.
const SEARCH_INTERVAL: Duration = Duration::from_secs(5);

/// What has become of a region while it is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fate {
    pub(super) name_target: NameTarget,
    pub(super) writers: Writers,
}

/// Whether another process may write to the region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Writers {
    Some,
    None,
    /// None is seen, but this user cannot examine every process.
    NoneSeen,
    Unknown,
}

impl Fate {
    /// Returns a short notice, if there is something to report.
    pub(super) fn notice(self) -> Option<&'static str> {
        match (self.name_target, self.writers) {
            (NameTarget::Nothing, _) => Some("name removed"),
            (NameTarget::AnotherRegion, _) => Some("name refers to another region"),
            (_, Writers::None) => Some("no writers left"),
            (_, Writers::NoneSeen) => Some("no writers visible"),
            _ => None,
        }
    }

    /// Returns the same in sentences.
    pub(super) fn sentences(self) -> Vec<&'static str> {
        let name = match self.name_target {
            NameTarget::Nothing => {
                Some("its name has been removed: programs that open the name from now on get another region")
            }
            NameTarget::AnotherRegion => {
                Some("its name now refers to another region; start mmf watch again to follow the name")
            }
            _ => None,
        };
        let writers = match self.writers {
            Writers::None => Some("no process that may write is left"),
            Writers::NoneSeen => Some("no process that may write is visible to this user"),
            _ => None,
        };
        name.into_iter().chain(writers).collect()
    }
}

/// A region and the state of reading it.
pub(super) struct Source {
    region: SharedMemory<ReadOnly>,
    /// The view and its offset, kept while the window does not move.
    view: Option<(u64, View<ReadOnly>)>,
    /// The greatest length that the region has had.
    longest: u64,
    /// The last result of [`fate`](Source::fate), and when it was found.
    fate: Option<(Instant, Fate)>,
    /// The holders, and when all processes were last searched.
    holders: Option<(Instant, Holders)>,
    /// Why nothing can be read, unless a peer has truncated the region.
    problem: Option<String>,
    /// Why bytes within the length could not be read, unless they were cut off.
    unread: Option<Diagnosis>,
}

impl Source {
    pub(super) fn new(region: SharedMemory<ReadOnly>) -> Self {
        Source { region, view: None, longest: 0, fate: None, holders: None, problem: None, unread: None }
    }

    pub(super) fn len(&self) -> u64 {
        self.region.len()
    }

    /// Reads at most `most` bytes from `offset` on. Bytes that existed once and do not any more are `None`.
    pub(super) fn read(&mut self, offset: u64, most: usize) -> Sample {
        let len = self.region.len();
        self.longest = self.longest.max(len);
        let most = most.min(MOST);
        let existing = clamp(len.saturating_sub(offset), most);
        let mut bytes = vec![None; clamp(self.longest.saturating_sub(offset), most)];
        (self.problem, self.unread) = (None, None);
        if existing > 0 {
            if let Err(error) = self.fill(offset, &mut bytes[..existing]) {
                self.view = None;
                // A peer has truncated the region in between; the next sample has the new length.
                if !matches!(error.kind(), ErrorKind::OutOfBounds | ErrorKind::TooSmall) {
                    self.problem = Some(headline(&error));
                }
            }
        }
        Sample { len, offset, bytes }
    }

    fn fill(&mut self, offset: u64, bytes: &mut [Option<u8>]) -> Result<(), mmf::Error> {
        let view = match self.view.take() {
            Some((at, view)) if at == offset && view.len() == bytes.len() => view,
            _ => self.region.view_at(offset, bytes.len())?,
        };
        let (_, view) = self.view.insert((offset, view));
        let mut read = vec![0; bytes.len()];
        if view.read_exact_at(&mut read, 0).is_ok() {
            bytes.iter_mut().zip(read).for_each(|(byte, read)| *byte = Some(read));
            return Ok(());
        }
        let mut start = 0;
        while start < bytes.len() {
            let to_next = clamp(PAGE - (offset + start as u64) % PAGE, bytes.len() - start);
            let page = &mut read[..to_next];
            match view.read_exact_at(page, start) {
                Ok(()) => bytes[start..].iter_mut().zip(page).for_each(|(byte, read)| *byte = Some(*read)),
                Err(error) => {
                    let found = error.diagnosis().filter(|found| !found.causes().any(is_cut_off));
                    self.unread = self.unread.take().or_else(|| found.cloned());
                }
            }
            start += to_next;
        }
        Ok(())
    }

    /// Why bytes within the length could not be read.
    pub(super) fn unread(&self) -> Option<&Diagnosis> {
        self.unread.as_ref()
    }

    pub(super) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// Returns what has become of the region; checked at most once a second.
    pub(super) fn fate(&mut self) -> Fate {
        let now = Instant::now();
        if let Some((at, fate)) = self.fate {
            if now < at + CHECK_INTERVAL {
                return fate;
            }
        }
        let name_target = self.region.name_leads_here().unwrap_or(NameTarget::Unknown);
        let fate = Fate { name_target, writers: self.writers(now) };
        self.fate = Some((now, fate));
        fate
    }

    fn writers(&mut self, now: Instant) -> Writers {
        // Checking the known holders is cheap; searching all processes is not.
        let has_writer =
            self.holders.as_ref().is_some_and(|(_, holders)| holders.others_may_write() == Some(true));
        match &mut self.holders {
            Some((at, holders)) if has_writer || now >= *at + SEARCH_INTERVAL => {
                *at = now;
                if holders.refresh().is_err() {
                    self.holders = None;
                }
            }
            Some(_) => {}
            None => self.holders = self.region.holders().ok().map(|holders| (now, holders)),
        }
        let Some((_, holders)) = &self.holders else { return Writers::Unknown };
        let mut others = holders.iter().filter(|holder| !holder.is_current());
        match holders.others_may_write() {
            Some(true) => Writers::Some,
            Some(false) => Writers::None,
            None if others.all(|holder| holder.may_write() == Some(false)) => Writers::NoneSeen,
            None => Writers::Unknown,
        }
    }
}

fn is_cut_off(cause: &Cause) -> bool {
    matches!(cause, Cause::Truncated { .. })
}

/// Returns why bytes could not be read, in one line.
pub(super) fn in_a_line(unread: &Diagnosis) -> String {
    unread.causes().next().map_or(String::new(), |cause| format!("not read: {cause}"))
}

fn clamp(left: u64, most: usize) -> usize {
    usize::try_from(left).map_or(most, |left| left.min(most))
}

#[cfg(test)]
mod tests;
