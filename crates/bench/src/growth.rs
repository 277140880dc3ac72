//! What it costs to grow by the same piece, whatever there is already; beside the bare system call, and beside the usual way
//! without growth: a new and longer memory, a copy, and everybody opens it.

use std::time::{Duration, Instant};

use mmf::{OpenOptions, SharedMemory};

const PIECE: u64 = 1 << 20;
const ROUNDS: usize = 25;

/// A round is hardly ever disturbed twice: the median tells of all of them.
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

/// From 1 MiB to as far as the machine goes; the usual way up to where what it needs twice fits.
///
/// # Errors
///
/// What the library says.
pub fn compare() -> Result<(), mmf::Error> {
    println!("\ngrowing by {PIECE} bytes, in microseconds; all that is there has been written\n");
    println!(
        "{:>12} | {:>9} {:>9} {:>6} | {:>10} | {:>12} {:>9}",
        "bytes there", "bare grow", "mmf grow", "times", "and used", "new and copy", "times"
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
    // (It costs the same however much is there, as the next columns show of ours.)
    let bare = BareMemory::new(PIECE);
    let (mut alone, mut used, mut bare_times) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        // The two sides in turns; then once more, with all that somebody wants of it: both views see it, and it is written.
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

/// A longer memory is made, the former one is copied, and the reader opens and maps it.
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
        // SAFETY: a zero-terminated name.
        let fd = unsafe { libc::memfd_create(c"mmf-bench".as_ptr(), 0) };
        assert!(fd >= 0, "to make a memory");
        let memory = BareMemory(fd, std::cell::Cell::new(0));
        memory.grow(len);
        memory
    }

    fn grow(&self, by: u64) {
        let (at, len) = (self.1.get(), libc::off_t::try_from(by).unwrap_or(0));
        // SAFETY: an open descriptor.
        let grown = unsafe { libc::fallocate(self.0, 0, libc::off_t::try_from(at).unwrap_or(0), len) };
        assert_eq!(grown, 0, "to grow");
        self.1.set(at + by);
    }
}

#[cfg(unix)]
impl Drop for BareMemory {
    fn drop(&mut self) {
        // SAFETY: an open descriptor, closed once.
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
        // SAFETY: no attributes, no name.
        let section =
            unsafe { CreateFileMappingW(INVALID_HANDLE_VALUE, none, kind, high, low, std::ptr::null()) };
        assert!(!section.is_null(), "to make a section");
        // SAFETY: an open handle; the system chooses the place.
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
        // SAFETY: pages of the view, which nobody else uses.
        let committed = unsafe { VirtualAlloc(place.cast(), by, MEM_COMMIT, PAGE_READWRITE) };
        assert!(!committed.is_null(), "to commit");
        self.len.set(self.len.get() + by);
    }
}

#[cfg(windows)]
impl Drop for BareMemory {
    fn drop(&mut self) {
        // SAFETY: the view that was mapped, unmapped once.
        unsafe { windows_sys::Win32::System::Memory::UnmapViewOfFile(self.view) };
        // SAFETY: an open handle, closed once.
        unsafe { windows_sys::Win32::Foundation::CloseHandle(self.section) };
    }
}
