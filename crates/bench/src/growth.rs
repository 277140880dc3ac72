//! The cost of growing by the same amount at every length, compared with the bare system call and with the
//! usual way without growth: create a longer region, copy the bytes, and let every process open it.

use std::time::{Duration, Instant};

use mmf::{OpenOptions, SharedMemory};

const PIECE: u64 = 1 << 20;
const ROUNDS: usize = 25;

/// Returns the median in microseconds, which a disturbance of few rounds does not change.
fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e6
}

fn timed(call: impl FnOnce() -> Result<(), mmf::Error>) -> Result<Duration, mmf::Error> {
    let start = Instant::now();
    call()?;
    Ok(start.elapsed())
}

fn name(tag: &str) -> String {
    let namespace = if cfg!(unix) { "Global" } else { "Local" };
    format!(r"{namespace}\mmf-bench-{tag}-{}", std::process::id())
}

/// Measures from 1 MiB up to what the machine allows, and the usual way as far as twice the length fits.
///
/// # Errors
///
/// Returns errors of the library.
pub fn compare() -> Result<(), mmf::Error> {
    println!("\ngrowing by {PIECE} bytes, in microseconds; all previous bytes have been written\n");
    println!(
        "{:>12} | {:>9} {:>9} {:>6} | {:>10} | {:>12} {:>9}",
        "length", "bare grow", "mmf grow", "ratio", "and used", "new and copy", "ratio"
    );
    let left = mmf::diagnosis::environment().backing_store().map_or(1 << 30, |store| store.left);
    let most = if size_of::<usize>() == 4 { 128 << 20 } else { left / 10 * 8 };
    let mut len = PIECE;
    while len <= most {
        row(len, len <= most / 2)?;
        len *= 4;
    }
    Ok(())
}

fn row(len: u64, copied: bool) -> Result<(), mmf::Error> {
    let piece = usize::try_from(PIECE).unwrap_or(0);
    let bytes = vec![1_u8; piece];
    let rounds = ROUNDS as u64;
    let capacity = len + 4 * (rounds + 2) * PIECE;
    let memory = OpenOptions::new().len(len).capacity(capacity).create(&*name("grow"))?;
    let (view, other) = (memory.view()?, SharedMemory::open_read_only(&*name("grow"))?.view()?);
    let whole = usize::try_from(len).unwrap_or(usize::MAX);
    for at in (0..whole).step_by(piece) {
        view.write_all_at(&bytes, at)?;
    }
    // Growing costs the same at every length, as the next columns show for the library.
    let bare = BareMemory::new(PIECE);
    let (mut alone, mut used, mut bare_times) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        // The two sides take turns. Then the library does everything that a program needs: both views see the
        // growth, and the new bytes are written.
        let now = memory.len();
        alone.push(timed(|| memory.grow(now + PIECE).map(drop))?);
        bare_times.push(timed(|| {
            bare.grow(PIECE);
            Ok(())
        })?);
        let at = usize::try_from(memory.len()).unwrap_or(usize::MAX);
        used.push(timed(|| {
            memory.grow(at as u64 + PIECE)?;
            view.write_all_at(&bytes, at)?;
            other.read::<u64>(at + piece - 8).map(drop)
        })?);
    }
    drop((view, other, memory, bare));
    let (alone, used, bare) = (median(alone), median(used), median(bare_times));
    print!("{len:>12} | {bare:>9.1} {alone:>9.1} {:>6.2} | {used:>10.1} | ", alone / bare);
    if copied {
        let copied = usual_way(len, whole, piece, &bytes)?;
        println!("{copied:>12.1} {:>9.1}", copied / used);
    } else {
        println!("{:>12} {:>9}", "no room", "");
    }
    Ok(())
}

/// Measures the usual way: creates a longer region and copies the previous one, and then the reader opens and
/// maps it.
fn usual_way(len: u64, whole: usize, piece: usize, bytes: &[u8]) -> Result<f64, mmf::Error> {
    let first = SharedMemory::create(&*name("first"), len)?;
    let from = first.view()?;
    for at in (0..whole).step_by(piece) {
        from.write_all_at(bytes, at)?;
    }
    let rounds = if len > 64 << 20 { 3 } else { ROUNDS };
    let mut times = Vec::new();
    for _ in 0..rounds {
        times.push(timed(|| {
            let new = SharedMemory::create(&*name("second"), len + PIECE)?;
            let to = new.view()?;
            to.copy_from(&from, 0..whole, 0)?;
            to.write_all_at(bytes, whole)?;
            SharedMemory::open_read_only(&*name("second"))?.view()?.read::<u64>(whole + piece - 8).map(drop)
        })?);
    }
    Ok(median(times))
}

/// Growth by the system's own call, without any check.
#[cfg(unix)]
struct BareMemory(libc::c_int, std::cell::Cell<u64>);

#[cfg(unix)]
impl BareMemory {
    fn new(len: u64) -> Self {
        // SAFETY: the name is zero-terminated.
        let fd = unsafe { libc::memfd_create(c"mmf-bench".as_ptr(), 0) };
        assert!(fd >= 0, "to create a region");
        let memory = BareMemory(fd, std::cell::Cell::new(0));
        memory.grow(len);
        memory
    }

    fn grow(&self, by: u64) {
        let (at, len) = (self.1.get(), libc::off_t::try_from(by).unwrap_or(0));
        // SAFETY: the call has no memory requirements, and the descriptor is open.
        let grown = unsafe { libc::fallocate(self.0, 0, libc::off_t::try_from(at).unwrap_or(0), len) };
        assert_eq!(grown, 0, "to grow");
        self.1.set(at + by);
    }
}

#[cfg(unix)]
impl Drop for BareMemory {
    fn drop(&mut self) {
        // SAFETY: the descriptor is open, and closed only here.
        unsafe { libc::close(self.0) };
    }
}

#[cfg(windows)]
struct BareMemory {
    section: windows_sys::Win32::Foundation::HANDLE,
    view: windows_sys::Win32::System::Memory::MEMORY_MAPPED_VIEW_ADDRESS,
    len: std::cell::Cell<usize>,
}

#[cfg(windows)]
impl BareMemory {
    fn new(len: u64) -> Self {
        use windows_sys::Win32::Foundation::INVALID_HANDLE_VALUE;
        use windows_sys::Win32::System::Memory::{
            CreateFileMappingW, FILE_MAP_WRITE, MapViewOfFile, PAGE_READWRITE, SEC_RESERVE,
        };
        let size = len + (ROUNDS as u64 + 2) * PIECE;
        let [high, low] = [size >> 32, size & 0xFFFF_FFFF].map(|half| u32::try_from(half).unwrap_or(0));
        let (none, kind) = (std::ptr::null(), PAGE_READWRITE | SEC_RESERVE);
        // SAFETY: attributes and name are null, which the call permits, and no file is mapped.
        let section =
            unsafe { CreateFileMappingW(INVALID_HANDLE_VALUE, none, kind, high, low, std::ptr::null()) };
        assert!(!section.is_null(), "to create a section");
        // SAFETY: the handle is open, and the system chooses a free range.
        let view = unsafe { MapViewOfFile(section, FILE_MAP_WRITE, 0, 0, 0) };
        assert!(!view.Value.is_null(), "to map");
        let memory = BareMemory { section, view, len: std::cell::Cell::new(0) };
        memory.grow(len);
        memory
    }

    fn grow(&self, by: u64) {
        use windows_sys::Win32::System::Memory::{MEM_COMMIT, PAGE_READWRITE, VirtualAlloc};
        let by = usize::try_from(by).unwrap_or(0);
        let place = self.view.Value.cast::<u8>().wrapping_add(self.len.get());
        // SAFETY: the pages are inside the view, and nothing else uses them.
        let committed = unsafe { VirtualAlloc(place.cast(), by, MEM_COMMIT, PAGE_READWRITE) };
        assert!(!committed.is_null(), "to commit");
        self.len.set(self.len.get() + by);
    }
}

#[cfg(windows)]
impl Drop for BareMemory {
    fn drop(&mut self) {
        // SAFETY: the view was mapped above, and is unmapped only here.
        unsafe { windows_sys::Win32::System::Memory::UnmapViewOfFile(self.view) };
        // SAFETY: the handle is open, and closed only here.
        unsafe { windows_sys::Win32::Foundation::CloseHandle(self.section) };
    }
}
