//! What the demo transfers: a file, in parts, several times.

use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mmf::ErrorKind;

use super::control::Task;
use crate::output::Failure;
use crate::size;

/// The size of one read or write, the same in all ways. Through memory, 64 KiB to 2 MiB make no difference.
pub(super) const PIECE: usize = 1 << 20;
/// The length of the parts in which a file is transferred. Buffers then need little memory beside the
/// file's own, and a file of any length fits the address space of a 32-bit process. It is much larger than
/// caches, so that a part is as slow as the whole.
pub(super) const PART: usize = 128 << 20;
/// How often a file of one part is transferred in each way: the shorter, the more often. Longer files give
/// steady figures by themselves.
const ROUNDS: std::ops::RangeInclusive<u64> = 5..=25;

pub(super) fn rounds(len: u64) -> u64 {
    let part = PART as u64;
    if len > part { 1 } else { (part / len.max(1)).clamp(*ROUNDS.start(), *ROUNDS.end()) }
}

/// Returns the length of the next part if `left` bytes are left.
pub(super) fn part_len(left: u64) -> usize {
    usize::try_from(left).unwrap_or(PART).min(PART)
}

pub(super) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// The way of a transfer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    Memory,
    Pipe,
    Tcp,
}

impl Way {
    pub(super) const ALL: [Way; 3] = [Way::Memory, Way::Pipe, Way::Tcp];

    pub(super) fn task(self) -> Task {
        match self {
            Way::Memory => Task::Memory,
            Way::Pipe => Task::Pipe,
            Way::Tcp => Task::Tcp,
        }
    }
}

/// The file.
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) len: u64,
    file: File,
    interrupted: &'static AtomicBool,
}

impl Source {
    pub(super) fn open(path: PathBuf, interrupted: &'static AtomicBool) -> Result<Self, Failure> {
        let fail = |kind, path: &Path, why: &str| {
            Failure::new(kind, format!("cannot share \"{}\": {why}; choose another file", path.display()))
        };
        let shown = format!("\"{}\"", path.display());
        let file =
            File::open(&path).map_err(|e| Failure::io(format!("open {shown}"), &e, "check the path"))?;
        let data = file.metadata().map_err(|e| Failure::io(format!("examine {shown}"), &e, ""))?;
        if !data.is_file() {
            return Err(fail("io", &path, "it is not a regular file"));
        }
        if data.len() == 0 {
            let why = "the file is empty, and a shared memory region has at least one byte";
            return Err(fail("zero_length", &path, why));
        }
        Ok(Source { path, len: data.len(), file, interrupted })
    }

    pub(super) fn read(&mut self, to: &mut [u8]) -> Result<(), Failure> {
        for piece in to.chunks_mut(PIECE) {
            if self.interrupted.load(Ordering::Relaxed) {
                return Err(Failure::interrupted());
            }
            let shown = self.path.display();
            self.file.read_exact(piece).map_err(|e| {
                Failure::io(format!("read \"{shown}\""), &e, "if the file is changing, try again later")
            })?;
        }
        Ok(())
    }

    /// Adds to the library's error that the length is that of a file.
    pub(super) fn too_large(&self, error: mmf::Error) -> Failure {
        let kind = error.kind();
        let failure = Failure::from(error);
        if matches!(kind, ErrorKind::OutOfMemory | ErrorKind::TooLarge) {
            let (shown, size) = (self.path.display(), size::show(self.len));
            failure.with(&format!(
                "; \"{shown}\" has {size}, and all of it goes into memory: choose a smaller file"
            ))
        } else {
            failure
        }
    }
}

/// Returns a buffer of zeros. If it is large enough to have pages of its own, none of them is touched yet.
pub(super) fn fresh_buffer(len: usize) -> Result<Vec<u8>, Failure> {
    // If the allocation failed, `vec!` would abort the process.
    let mut probe: Vec<u8> = Vec::new();
    probe.try_reserve_exact(len).map_err(|_| {
        let size = size::show(len as u64);
        Failure::new(
            "out_of_memory",
            format!("cannot allocate a buffer of {size}: out of memory; end programs that use much of it"),
        )
    })?;
    // Used, so that the compiler does not remove the allocation.
    drop(std::hint::black_box(probe));
    Ok(vec![0; len])
}

/// Returns a number that no other process can guess.
pub(super) fn random() -> u64 {
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u128(std::time::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_nanos()));
    hasher.finish()
}
