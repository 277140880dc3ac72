//! What locks, latest values and waking cost, beside what they cannot beat and beside others' (Linux).

use std::hint::black_box;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use mmf::{Error, Segment, SharedMemory, View};

use crate::pairs;
use crate::plot::{Bar, plot};

/// How often each pair of processes is measured; sides take turns.
const ROUNDS: usize = 9;
/// Round trips and lockings in a round.
const TRIPS: u32 = 20_000;
const LOCKINGS: u64 = 200_000;
/// Where the bare peers are in a plain memory.
const HERE: usize = 0;
const THERE: usize = 128;
const READY: usize = 256;
const COUNT: usize = 384;
const PTHREAD: usize = 512;
const RAW: usize = 1024;

struct Aim {
    what: String,
    times: f64,
    most: Option<f64>,
}

/// All of it; the plot goes into this file.
///
/// # Errors
///
/// What the library says.
///
/// # Panics
///
/// If the system refuses what it must not refuse.
pub fn compare(svg: Option<&str>) -> Result<(), Box<dyn std::error::Error>> {
    let mut aims = Vec::new();
    alone(&mut aims)?;
    latest(&mut aims)?;
    between_processes(&mut aims)?;
    println!("\n{:<58} {:>7} {:>6}", "", "times", "aim");
    for aim in &aims {
        let most = aim.most.map_or(String::new(), |most| format!("{most:.1}"));
        println!("{:<58} {:>7.2} {most:>6}", aim.what, aim.times);
    }
    if let Some(path) = svg {
        let bars: Vec<_> =
            aims.iter().map(|aim| Bar { label: &aim.what, value: aim.times, aim: aim.most }).collect();
        std::fs::write(path, plot("times the cost of the other side (1.0: the same)", &bars))?;
    }
    Ok(())
}

fn name(tag: &str) -> String {
    format!("mmf-bench-locks-{tag}-{}", std::process::id())
}

/// Locking and unlocking when nobody else wants it.
fn alone(aims: &mut Vec<Aim>) -> Result<(), Error> {
    let segment = Segment::create(&*name("alone"), 64 * 1024)?;
    let (mutex, rwlock) = (segment.mutex::<u64>("mutex")?, segment.rwlock::<u64>("rwlock")?);
    let (std_mutex, std_rwlock) = (std::sync::Mutex::new(0_u64), std::sync::RwLock::new(0_u64));
    let plain = SharedMemory::anonymous(4096)?.view()?;
    let pthread = Pthread::make(&plain);
    let raw = Raw::make(&plain);
    let [ours, std, theirs, raw] = pairs::measure([
        &mut || drop(black_box(mutex.lock().expect("to lock"))),
        &mut || drop(black_box(std_mutex.lock().expect("to lock"))),
        &mut || pthread.locked(|| {}),
        &mut || raw.locked(|| {}),
    ]);
    println!("lock and unlock, alone, in nanoseconds\n");
    println!(
        "Mutex          {ours:>6.1}   std::sync::Mutex {std:.1}   pthread robust, shared {theirs:.1}   raw_sync {raw:.1}"
    );
    aims.push(Aim { what: "Mutex, alone / std::sync::Mutex".into(), times: ours / std, most: Some(1.5) });
    aims.push(Aim { what: "Mutex, alone / pthread robust mutex".into(), times: ours / theirs, most: None });
    aims.push(Aim { what: "Mutex, alone / raw_sync's mutex".into(), times: ours / raw, most: None });
    let [read, std_read, write, std_write] = pairs::measure([
        &mut || drop(black_box(rwlock.read().expect("to lock"))),
        &mut || drop(black_box(std_rwlock.read().expect("to lock"))),
        &mut || drop(black_box(rwlock.write().expect("to lock"))),
        &mut || drop(black_box(std_rwlock.write().expect("to lock"))),
    ]);
    println!("RwLock, read   {read:>6.1}   std::sync::RwLock {std_read:.1}");
    println!("RwLock, write  {write:>6.1}   std::sync::RwLock {std_write:.1}");
    aims.push(Aim {
        what: "RwLock, reading alone / std::sync::RwLock".into(),
        times: read / std_read,
        most: None,
    });
    aims.push(Aim {
        what: "RwLock, writing alone / std::sync::RwLock".into(),
        times: write / std_write,
        most: None,
    });
    Ok(())
}

fn latest(aims: &mut Vec<Aim>) -> Result<(), Error> {
    println!("\nthe latest value, in nanoseconds; nobody writes meanwhile\n");
    println!("{:>7} {:>8} {:>8} {:>6} {:>10}", "bytes", "copy", "read", "times", "publish");
    sized::<2>(aims)?;
    sized::<8>(aims)?;
    sized::<32>(aims)?;
    sized::<128>(aims)?;
    sized::<512>(aims)
}

fn sized<const WORDS: usize>(aims: &mut Vec<Aim>) -> Result<(), Error> {
    let segment = Segment::create(&*name("latest"), 64 * 1024)?;
    let latest = segment.latest::<[u64; WORDS]>("value")?;
    let mut writer = latest.writer()?;
    let value = [7_u64; WORDS];
    writer.publish(&value)?;
    let (source, mut copy, mut read) = ([7_u64; WORDS], [0_u64; WORDS], [0_u64; WORDS]);
    let [plain, ours, publish] = pairs::measure([
        &mut || {
            let (from, to) = (black_box(&raw const source), black_box(&raw mut copy));
            // SAFETY: two arrays of the same type, both alive.
            unsafe { std::ptr::copy_nonoverlapping(from, to, 1) };
        },
        &mut || {
            black_box(latest.read_into(black_box(&mut read)).expect("to read"));
        },
        &mut || {
            black_box(writer.publish(black_box(&value)).expect("to publish"));
        },
    ]);
    let (bytes, times) = (WORDS * 8, ours / plain);
    println!("{bytes:>7} {plain:>8.1} {ours:>8.1} {times:>6.2} {publish:>10.1}");
    aims.push(Aim { what: format!("Latest, read of {bytes} bytes / copy"), times, most: Some(1.2) });
    Ok(())
}

/// A child, and the memories that both have.
struct Both {
    child: Child,
    segment: Segment,
    plain: View,
}

impl Both {
    fn start(kind: &str) -> Result<Self, Box<dyn std::error::Error>> {
        let segment = Segment::create(&*name(kind), 64 * 1024)?;
        let plain = SharedMemory::create(&*name(&format!("{kind}-plain")), 4096)?.view()?;
        let _ = (Pthread::make(&plain), Raw::make(&plain));
        let child = Command::new(std::env::current_exe()?)
            .args(["--child", &format!("locks {kind}"), &name("")])
            .stdin(Stdio::null())
            .spawn()?;
        let both = Both { child, segment, plain };
        while both.plain.atomic_u32(READY)?.load(Ordering::SeqCst)? == 0 {
            std::thread::yield_now();
        }
        Ok(both)
    }

    fn finish(mut self) -> Result<(), Box<dyn std::error::Error>> {
        if self.child.wait()?.success() { Ok(()) } else { Err("the other process has failed".into()) }
    }
}

/// The other side: as the first argument says, with the names that start like the second.
///
/// # Errors
///
/// What the library says.
///
/// # Panics
///
/// If the system refuses what it must not refuse.
pub fn child(kind: &str, prefix: &str) -> Result<(), Error> {
    let full = |kind: &str| {
        let (start, end) = prefix.rsplit_once("--").unwrap_or((prefix, ""));
        format!("{start}-{kind}-{end}")
    };
    let segment = Segment::open(&*full(kind))?;
    let plain = SharedMemory::open(&*full(&format!("{kind}-plain")))?.view()?;
    let ready = || plain.atomic_u32(READY)?.store(1, Ordering::SeqCst);
    match kind {
        "events" => {
            let (ping, pong) = (segment.event("ping")?, segment.event("pong")?);
            ready()?;
            for _ in 0..TRIPS {
                ping.wait()?;
                pong.set()?;
            }
        }
        "futex" => {
            let (here, there) = (word(&plain, HERE), word(&plain, THERE));
            ready()?;
            for trip in 1..=TRIPS {
                futex_wait(here, trip);
                futex_set(there, trip);
            }
        }
        "spin" => {
            let (here, there) = (plain.atomic_u32(HERE)?, plain.atomic_u32(THERE)?);
            ready()?;
            for trip in 1..=TRIPS {
                while here.load(Ordering::Acquire)? != trip {
                    std::hint::spin_loop();
                }
                there.store(trip, Ordering::Release)?;
            }
        }
        "spin-bare" => {
            let (here, there) = (word(&plain, HERE), word(&plain, THERE));
            ready()?;
            for trip in 1..=TRIPS {
                while here.load(Ordering::Acquire) != trip {
                    std::hint::spin_loop();
                }
                there.store(trip, Ordering::Release);
            }
        }
        _ => {
            ready()?;
            lock_often(kind, &segment, &plain)?;
        }
    }
    Ok(())
}

/// Many lockings with a little work inside, of a value that both sides count up.
fn lock_often(kind: &str, segment: &Segment, plain: &View) -> Result<(), Error> {
    let count = plain.atomic_u64(COUNT)?;
    match kind {
        "contend-mmf" => {
            let mutex = segment.mutex::<u64>("count")?;
            for _ in 0..LOCKINGS {
                mutex.lock().map_err(Error::from)?.update(|count| *count += 1)?;
            }
        }
        "contend-pthread" => {
            let pthread = Pthread::of(plain);
            for _ in 0..LOCKINGS {
                pthread.locked(|| drop(count.fetch_add(1, Ordering::Relaxed)));
            }
        }
        _ => {
            let raw = Raw::of(plain);
            for _ in 0..LOCKINGS {
                raw.locked(|| drop(count.fetch_add(1, Ordering::Relaxed)));
            }
        }
    }
    Ok(())
}

/// One round of one kind: nanoseconds for a trip there and back, or for one locking.
fn round(kind: &str) -> Result<f64, Box<dyn std::error::Error>> {
    let both = Both::start(kind)?;
    let start;
    let mut each = f64::from(TRIPS);
    match kind {
        "events" => {
            let (ping, pong) = (both.segment.event("ping")?, both.segment.event("pong")?);
            start = Instant::now();
            for _ in 0..TRIPS {
                ping.set()?;
                pong.wait()?;
            }
        }
        "futex" => {
            let (here, there) = (word(&both.plain, HERE), word(&both.plain, THERE));
            start = Instant::now();
            for trip in 1..=TRIPS {
                futex_set(here, trip);
                futex_wait(there, trip);
            }
        }
        "spin" => {
            let (here, there) = (both.plain.atomic_u32(HERE)?, both.plain.atomic_u32(THERE)?);
            start = Instant::now();
            for trip in 1..=TRIPS {
                here.store(trip, Ordering::Release)?;
                while there.load(Ordering::Acquire)? != trip {
                    std::hint::spin_loop();
                }
            }
        }
        "spin-bare" => {
            let (here, there) = (word(&both.plain, HERE), word(&both.plain, THERE));
            start = Instant::now();
            for trip in 1..=TRIPS {
                here.store(trip, Ordering::Release);
                while there.load(Ordering::Acquire) != trip {
                    std::hint::spin_loop();
                }
            }
        }
        _ => {
            start = Instant::now();
            lock_often(kind, &both.segment, &both.plain)?;
            each = LOCKINGS as f64;
        }
    }
    let took = start.elapsed().as_secs_f64() * 1e9 / each;
    both.finish()?;
    Ok(took)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn between_processes(aims: &mut Vec<Aim>) -> Result<(), Box<dyn std::error::Error>> {
    println!("\ntwo processes, nanoseconds: median and best of {ROUNDS} rounds\n");
    let kinds = ["events", "futex", "spin", "spin-bare", "contend-mmf", "contend-pthread", "contend-raw"];
    let mut times = vec![Vec::new(); kinds.len()];
    for _ in 0..ROUNDS {
        for (kind, times) in kinds.iter().zip(&mut times) {
            times.push(round(kind)?);
        }
    }
    let mut figures = Vec::new();
    for (kind, times) in kinds.iter().zip(times) {
        let best = times.iter().copied().fold(f64::INFINITY, f64::min);
        let median = median(times);
        println!("{kind:<16} {median:>9.0} {best:>9.0}");
        // Who spins gets on only while both have a processor: the rounds in which other work took one tell nothing.
        figures.push(if kind.starts_with("spin") { best } else { median });
    }
    let ratio = |what: &str, one: usize, other: usize, most| Aim {
        what: what.to_owned(),
        times: figures[one] / figures[other],
        most,
    };
    aims.push(ratio("two processes wake each other: Event / bare futex", 0, 1, Some(1.1)));
    aims.push(ratio("two processes spin: atomics of a view / bare atomics", 2, 3, Some(1.2)));
    aims.push(ratio("two processes contend: Mutex / pthread robust mutex", 4, 5, None));
    aims.push(ratio("two processes contend: Mutex / raw_sync's mutex", 4, 6, None));
    Ok(())
}

fn word(plain: &View, offset: usize) -> &AtomicU32 {
    let atomic = plain.atomic_u32(offset).expect("it is inside");
    // SAFETY: nobody cuts the memory, and all accesses are atomic ones of this size.
    unsafe { atomic.as_std() }
}

fn futex_set(word: &AtomicU32, value: u32) {
    word.store(value, Ordering::Release);
    // SAFETY: the address of a word that lives; one waiter is woken.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, 1) };
}

fn futex_wait(word: &AtomicU32, value: u32) {
    loop {
        let now = word.load(Ordering::Acquire);
        if now == value {
            return;
        }
        let none = std::ptr::null::<libc::timespec>();
        // SAFETY: the address of a word that lives; no time-out.
        unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, now, none) };
    }
}

/// A robust mutex of the C library that processes share.
struct Pthread(*mut libc::pthread_mutex_t);

impl Pthread {
    fn of(plain: &View) -> Self {
        Pthread(plain.as_mut_ptr().wrapping_add(PTHREAD).cast())
    }

    fn make(plain: &View) -> Self {
        let mutex = Pthread::of(plain);
        // SAFETY: a plain C structure for which all zeros is a value.
        let mut attributes: libc::pthread_mutexattr_t = unsafe { std::mem::zeroed() };
        // SAFETY: a valid place.
        unsafe { libc::pthread_mutexattr_init(&mut attributes) };
        // SAFETY: attributes that were initialised.
        unsafe { libc::pthread_mutexattr_setpshared(&mut attributes, libc::PTHREAD_PROCESS_SHARED) };
        // SAFETY: the same.
        unsafe { libc::pthread_mutexattr_setrobust(&mut attributes, libc::PTHREAD_MUTEX_ROBUST) };
        // SAFETY: a place in the view that nobody else uses, aligned to 64 bytes.
        assert_eq!(unsafe { libc::pthread_mutex_init(mutex.0, &attributes) }, 0);
        mutex
    }

    fn locked(&self, call: impl FnOnce()) {
        // SAFETY: a mutex that was initialised, in a view that lives.
        assert_eq!(unsafe { libc::pthread_mutex_lock(self.0) }, 0);
        call();
        // SAFETY: it was locked by this thread.
        unsafe { libc::pthread_mutex_unlock(self.0) };
    }
}

/// The mutex of the crate `raw_sync`.
struct Raw(Box<dyn raw_sync::locks::LockImpl>);

impl Raw {
    fn make(plain: &View) -> Self {
        use raw_sync::locks::{LockInit, Mutex};
        let place = plain.as_mut_ptr().wrapping_add(RAW);
        // SAFETY: a place in the view that nobody else uses, with room for both.
        Raw(unsafe { Mutex::new(place, place.wrapping_add(512)) }.expect("to make").0)
    }

    fn of(plain: &View) -> Self {
        use raw_sync::locks::{LockInit, Mutex};
        let place = plain.as_mut_ptr().wrapping_add(RAW);
        // SAFETY: where `make` has made one.
        Raw(unsafe { Mutex::from_existing(place, place.wrapping_add(512)) }.expect("to open").0)
    }

    fn locked(&self, call: impl FnOnce()) {
        let guard = self.0.lock().expect("to lock");
        call();
        drop(guard);
    }
}
