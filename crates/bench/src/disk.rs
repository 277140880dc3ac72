//! The cost of saving and loading, compared with `cp` of the same bytes between the same two places.
#![allow(clippy::cast_precision_loss, reason = "figures for display")]

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use mmf::SharedMemory;

const ROUNDS: usize = 11;

/// Runs the sides in turns and prints their times.
fn compare(what: &str, len: u64, sides: [(&str, &mut dyn FnMut() -> io::Result<()>); 2]) -> io::Result<()> {
    let [(theirs, cp), (ours, mmf)] = sides;
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..=ROUNDS {
        for (side, times) in [&mut *cp, &mut *mmf].into_iter().zip(&mut times) {
            let start = Instant::now();
            side()?;
            // The first round allocates and clears fresh pages.
            if round > 0 {
                times.push(start.elapsed());
            }
        }
    }
    let mut ratios: Vec<f64> =
        times[0].iter().zip(&times[1]).map(|(cp, mmf)| cp.as_secs_f64() / mmf.as_secs_f64()).collect();
    ratios.sort_by(f64::total_cmp);
    let [cp, mmf] = times.map(|mut times| {
        times.sort_unstable();
        (times[0], times[times.len() / 2])
    });
    let rate = |time: Duration| len as f64 / time.as_secs_f64() / 1e9;
    println!(
        "{what:<34} {theirs:>24} best {:>6.3} median {:>6.3} s | {ours} best {:>6.3} median {:>6.3} s \
         ({:.1} GB/s) | speedup: best {:.2}, pairs {:.2} to {:.2}, median {:.2}",
        cp.0.as_secs_f64(),
        cp.1.as_secs_f64(),
        mmf.0.as_secs_f64(),
        mmf.1.as_secs_f64(),
        rate(mmf.1),
        cp.0.as_secs_f64() / mmf.0.as_secs_f64(),
        ratios[0],
        ratios[ratios.len() - 1],
        ratios[ratios.len() / 2],
    );
    Ok(())
}

fn cp(options: &[&str], from: &Path, to: &Path) -> io::Result<()> {
    let done = Command::new("cp").args(options).arg(from).arg(to).status()?;
    if done.success() { Ok(()) } else { Err(io::Error::other("cp failed")) }
}

/// Drops a file from the page cache.
fn forget(path: &Path) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let file = File::open(path)?;
    file.sync_all()?;
    // SAFETY: the descriptor is open, and the call does not access memory of this process.
    unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
    Ok(())
}

/// Fills `bytes` with pseudo-random numbers, so that no block is zero.
fn noise(bytes: &mut [u8]) {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for chunk in bytes.chunks_mut(8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        chunk.copy_from_slice(&state.to_le_bytes()[..chunk.len()]);
    }
}

struct Places {
    memory: SharedMemory,
    /// The same region as a file, for `cp`.
    shm: PathBuf,
    name: String,
    directory: PathBuf,
}

impl Places {
    fn new(tag: &str, len: u64, directory: &Path) -> io::Result<Self> {
        let name = format!("mmf-bench-disk-{tag}-{}", std::process::id());
        let memory = SharedMemory::create(format!(r"Global\{name}"), len)?;
        let shm = Path::new("/dev/shm").join(&name);
        Ok(Places { memory, shm, name, directory: directory.to_owned() })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{}-{name}", self.name))
    }
}

/// Runs all comparisons between `/dev/shm` and a directory.
///
/// # Errors
///
/// Fails if space or `cp` is missing.
pub fn compare_all(directory: Option<String>) -> io::Result<()> {
    let directory = directory.map_or_else(std::env::temp_dir, PathBuf::from);
    let len = 1 << 30;
    println!("{len} bytes between /dev/shm and {}, {ROUNDS} rounds\n", directory.display());
    full(len, &directory)?;
    sparse(len, &directory)
}

fn full(len: u64, directory: &Path) -> io::Result<()> {
    let places = Places::new("full", len, directory)?;
    let mut piece = vec![0; 1 << 20];
    for at in (0..len).step_by(piece.len()) {
        noise(&mut piece);
        piece[..8].copy_from_slice(&at.to_le_bytes());
        places.memory.view_at(at, piece.len())?.write_all_at(&piece, 0)?;
    }
    let (theirs, ours) = (places.file("cp"), places.file("mmf"));
    save("save", len, &places, &[], &theirs, &ours)?;
    assert!(same(&theirs, &ours)?, "both files are equal");
    let target = places.shm.with_extension("loaded");
    let name = format!(r"Global\{}.loaded", places.name);
    for cold in [false, true] {
        let what = if cold { "load, file not in the page cache" } else { "load, file in the page cache" };
        compare(
            what,
            len,
            [
                ("cp", &mut || {
                    if cold {
                        forget(&ours)?;
                    }
                    cp(&[], &ours, &target)?;
                    fs::remove_file(&target)
                }),
                ("mmf", &mut || {
                    if cold {
                        forget(&ours)?;
                    }
                    drop(SharedMemory::load(&*name, &ours)?);
                    Ok(())
                }),
            ],
        )?;
    }
    compare(
        "restore, file in the page cache",
        len,
        [
            ("cp over the present file", &mut || cp(&[], &ours, &places.shm)),
            ("mmf", &mut || places.memory.restore(&ours).map(|_| ()).map_err(Into::into)),
        ],
    )?;
    fs::remove_file(theirs)?;
    fs::remove_file(ours)
}

fn save(
    what: &str,
    len: u64,
    places: &Places,
    options: &[&str],
    theirs: &Path,
    ours: &Path,
) -> io::Result<()> {
    let shown = format!("cp {} and fsync", options.join(" "));
    compare(
        what,
        len,
        [
            (&shown, &mut || {
                let _ = fs::remove_file(theirs);
                cp(options, &places.shm, theirs)?;
                File::open(theirs)?.sync_all()
            }),
            ("mmf", &mut || {
                let _ = fs::remove_file(ours);
                places.memory.save(ours).map(|_| ()).map_err(Into::into)
            }),
        ],
    )?;
    compare(
        &format!("{what}, cp does not wait for the disk"),
        len,
        [
            ("cp", &mut || {
                let _ = fs::remove_file(theirs);
                cp(options, &places.shm, theirs)
            }),
            ("mmf", &mut || {
                let _ = fs::remove_file(ours);
                places.memory.save(ours).map(|_| ()).map_err(Into::into)
            }),
        ],
    )
}

fn sparse(len: u64, directory: &Path) -> io::Result<()> {
    let len = len * 4;
    let places = Places::new("sparse", len, directory)?;
    let mut piece = vec![0; 64 << 10];
    noise(&mut piece);
    for at in (0..len).step_by(4 << 20) {
        places.memory.view_at(at, piece.len())?.write_all_at(&piece, 0)?;
    }
    let (theirs, ours) = (places.file("cp"), places.file("mmf"));
    println!("\nsparse: {len} bytes, with 64 KiB of data every 4 MiB");
    save("save", len, &places, &["--sparse=always"], &theirs, &ours)?;
    let blocks = |path: &Path| fs::metadata(path).map(|data| data.blocks() * 512);
    println!("on disk: cp {} bytes, mmf {}", blocks(&theirs)?, blocks(&ours)?);
    assert!(same(&theirs, &ours)?, "both files are equal");
    let target = places.shm.with_extension("loaded");
    let name = format!(r"Global\{}.loaded", places.name);
    compare(
        "load",
        len,
        [
            ("cp --sparse=always", &mut || {
                cp(&["--sparse=always"], &ours, &target)?;
                fs::remove_file(&target)
            }),
            ("mmf", &mut || {
                drop(SharedMemory::load(&*name, &ours)?);
                Ok(())
            }),
        ],
    )?;
    fs::remove_file(theirs)?;
    fs::remove_file(ours)
}

fn same(one: &Path, other: &Path) -> io::Result<bool> {
    Ok(Command::new("cmp").arg("-s").args([one, other]).status()?.success())
}
