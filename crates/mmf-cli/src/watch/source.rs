//! Reads what is shown, and nothing else.

use std::time::{Duration, Instant};

use mmf::diagnosis::{Cause, Diagnosis};
use mmf::inspect::{Holders, NameTarget};
use mmf::{ErrorKind, ReadOnly, SharedMemory, View};

use super::samples::Sample;
use crate::findings::headline;

/// The most bytes that are read at a time, however large a terminal is.
pub(super) const MOST: usize = 1 << 16;

/// If some pages of a window are gone, the others are still read. No system has smaller ones.
const PAGE: u64 = 4096;

/// How often it is found out where the name leads, and whether those that may write are still there.
const LOOKING: Duration = Duration::from_secs(1);

/// How often all processes are looked into for one that may write, once there is none.
const SEARCHING: Duration = Duration::from_secs(5);

/// What has become of a region while it is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fate {
    pub(super) leads: NameTarget,
    pub(super) writers: Writers,
}

/// Whether another process may write to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writers {
    Some,
    None,
    NoneSeen,
    Unknown,
}

impl Fate {
    /// In a few words, if it is not as it was.
    pub(super) fn brief(self) -> Option<&'static str> {
        match (self.leads, self.writers) {
            (NameTarget::Nothing, _) => Some("its name is gone"),
            (NameTarget::AnotherRegion, _) => Some("its name leads elsewhere"),
            (_, Writers::None) => Some("no writer left"),
            (_, Writers::NoneSeen) => Some("no writer seen"),
            _ => None,
        }
    }

    /// The same in sentences.
    pub(super) fn lines(self) -> Vec<&'static str> {
        let name = match self.leads {
            NameTarget::Nothing => Some("its name is gone; who opens it from now on gets another region"),
            NameTarget::AnotherRegion => {
                Some("its name leads to another region by now; watch it again to follow the name")
            }
            _ => None,
        };
        let writers = match self.writers {
            Writers::None => Some("no process that may write is left"),
            Writers::NoneSeen => Some("no process that may write can be seen"),
            _ => None,
        };
        name.into_iter().chain(writers).collect()
    }
}

pub(super) struct Source {
    memory: SharedMemory<ReadOnly>,
    /// Kept while the window stays where it is, and its offset.
    view: Option<(u64, View<ReadOnly>)>,
    /// The longest that the memory has been.
    longest: u64,
    /// What has become of it, and when that was found out.
    fate: Option<(Instant, Fate)>,
    /// The processes that hold it, and when all of them were last looked for.
    holders: Option<(Instant, Holders)>,
    /// Why nothing can be read, if that is not what peers do.
    trouble: Option<String>,
    /// Why bytes inside the length could not be read, where that is another cause than that they have been cut off.
    unread: Option<Diagnosis>,
}

impl Source {
    pub(super) fn new(memory: SharedMemory<ReadOnly>) -> Self {
        Source { memory, view: None, longest: 0, fate: None, holders: None, trouble: None, unread: None }
    }

    pub(super) fn len(&self) -> u64 {
        self.memory.len()
    }

    /// Reads at most `most` bytes from `offset` on. Those that were once there and are no more are None.
    pub(super) fn read(&mut self, offset: u64, most: usize) -> Sample {
        let len = self.memory.len();
        self.longest = self.longest.max(len);
        let most = most.min(MOST);
        let there = clamp(len.saturating_sub(offset), most);
        let mut bytes = vec![None; clamp(self.longest.saturating_sub(offset), most)];
        (self.trouble, self.unread) = (None, None);
        if there > 0 {
            if let Err(error) = self.fill(offset, &mut bytes[..there]) {
                self.view = None;
                // Somebody has cut it in between; the next length will say so.
                if !matches!(error.kind(), ErrorKind::OutOfBounds | ErrorKind::TooSmall) {
                    self.trouble = Some(headline(&error));
                }
            }
        }
        Sample { len, offset, bytes }
    }

    fn fill(&mut self, offset: u64, bytes: &mut [Option<u8>]) -> Result<(), mmf::Error> {
        let view = match self.view.take() {
            Some((at, view)) if at == offset && view.len() == bytes.len() => view,
            _ => self.memory.view_at(offset, bytes.len())?,
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

    /// Why bytes that should be there could not be read.
    pub(super) fn unread(&self) -> Option<&Diagnosis> {
        self.unread.as_ref()
    }

    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// What has become of it; found out once a second at most.
    pub(super) fn fate(&mut self) -> Fate {
        let now = Instant::now();
        if let Some((at, fate)) = self.fate {
            if now < at + LOOKING {
                return fate;
            }
        }
        let leads = self.memory.name_leads_here().unwrap_or(NameTarget::Unknown);
        let fate = Fate { leads, writers: self.writers(now) };
        self.fate = Some((now, fate));
        fate
    }

    fn writers(&mut self, now: Instant) -> Writers {
        // To ask again those that were seen costs little; to look for others does not.
        let has_writer =
            self.holders.as_ref().is_some_and(|(_, holders)| holders.others_may_write() == Some(true));
        match &mut self.holders {
            Some((at, holders)) if has_writer || now >= *at + SEARCHING => {
                *at = now;
                if holders.refresh().is_err() {
                    self.holders = None;
                }
            }
            Some(_) => {}
            None => self.holders = self.memory.holders().ok().map(|holders| (now, holders)),
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
    matches!(cause, Cause::CutOff { .. })
}

/// The cause of what could not be read, in one line.
pub(super) fn in_a_line(unread: &Diagnosis) -> String {
    unread.causes().next().map_or(String::new(), |cause| format!("not read: {cause}"))
}

fn clamp(left: u64, most: usize) -> usize {
    usize::try_from(left).map_or(most, |left| left.min(most))
}

#[cfg(test)]
mod tests {
    use super::{MOST, Source};
    use mmf::SharedMemory;

    fn source(len: u64, write: impl Fn(&mmf::View)) -> Source {
        let memory = SharedMemory::anonymous(len).unwrap();
        write(&memory.view().unwrap());
        Source::new(memory.into_read_only().unwrap())
    }

    #[test]
    fn only_the_window_is_read() {
        let mut source = source(1 << 20, |view| view.write_all_at(b"abc", 70_000).unwrap());
        let sample = source.read(69_999, 5);
        assert_eq!((sample.len, sample.offset), (1 << 20, 69_999));
        assert_eq!(sample.bytes, [0, b'a', b'b', b'c', 0].map(Some));
        assert_eq!(source.view.as_ref().unwrap().1.len(), 5);
    }

    #[test]
    fn windows_end_where_the_memory_does() {
        let mut source = source(1 << 17, |_| {});
        assert_eq!(source.read((1 << 17) - 3, 100).bytes.len(), 3);
        assert_eq!(source.read(1 << 17, 100).bytes.len(), 0);
        assert_eq!(source.read(u64::MAX, 100).bytes.len(), 0);
        assert_eq!(source.read(0, usize::MAX).bytes.len(), MOST);
        assert_eq!(source.trouble(), None);
    }
}
