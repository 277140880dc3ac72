//! Reads what is shown, and nothing else.

use mmf::{ErrorKind, ReadOnly, SharedMemory, View};

use super::samples::Sample;
use crate::findings::headline;

/// The most bytes that are read at a time, however large a terminal is.
pub(super) const MOST: usize = 1 << 16;

/// If some pages of a window are gone, the others are still read. No system has smaller ones.
const PAGE: u64 = 4096;

pub(super) struct Source {
    memory: SharedMemory<ReadOnly>,
    /// Kept while the window stays where it is, and its offset.
    view: Option<(u64, View<ReadOnly>)>,
    /// The longest that the memory has been.
    longest: u64,
    /// What the system has called it at first.
    object: Option<String>,
    /// Why nothing can be read, if that is not what peers do.
    trouble: Option<String>,
}

impl Source {
    pub(super) fn new(memory: SharedMemory<ReadOnly>) -> Self {
        let object = object(&memory);
        Source { memory, view: None, longest: 0, object, trouble: None }
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
        self.trouble = None;
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
        if view.read_at(0, &mut read).is_ok() {
            bytes.iter_mut().zip(read).for_each(|(byte, read)| *byte = Some(read));
            return Ok(());
        }
        let mut start = 0;
        while start < bytes.len() {
            let to_next = clamp(PAGE - (offset + start as u64) % PAGE, bytes.len() - start);
            let page = &mut read[..to_next];
            if view.read_at(start, page).is_ok() {
                bytes[start..].iter_mut().zip(page).for_each(|(byte, read)| *byte = Some(*read));
            }
            start += to_next;
        }
        Ok(())
    }

    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Whether its name is known to lead elsewhere by now.
    pub(super) fn is_unlinked(&self) -> bool {
        self.object.is_some() && object(&self.memory) != self.object
    }
}

fn clamp(left: u64, most: usize) -> usize {
    usize::try_from(left).map_or(most, |left| left.min(most))
}

/// The kernel's own name of the object, which says so if it has been removed.
#[cfg(target_os = "linux")]
fn object(memory: &SharedMemory<ReadOnly>) -> Option<String> {
    use std::os::fd::AsRawFd;
    let link = std::fs::read_link(format!("/proc/self/fd/{}", memory.as_raw_fd())).ok()?;
    Some(link.to_string_lossy().into_owned())
}

/// Elsewhere the name cannot go while the memory is held, or nobody can tell.
#[cfg(not(target_os = "linux"))]
fn object(_memory: &SharedMemory<ReadOnly>) -> Option<String> {
    None
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
        let mut source = source(1 << 20, |view| view.write_at(70_000, b"abc").unwrap());
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
