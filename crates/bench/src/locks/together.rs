//! Two processes. One child plays all kinds of rounds in turn, so that all have the same processors and
//! caches.

use std::hint::{black_box, spin_loop};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mmf::sync::{Event, Latest, Mutex};
use mmf::{Error, Segment, SharedMemory, View};

use super::peers::{Lock, Peers, Signal};
use super::{Aim, name};
use crate::pairs;

type Failure = Box<dyn std::error::Error>;

/// The number of rounds of each kind. The kinds take turns.
const ROUNDS: usize = 15;
/// The number of wake-ups in a round, and the pause before each.
const WAKES: u32 = 300;
const TO_FALL_ASLEEP: Duration = Duration::from_micros(200);
/// The number of round trips in a round.
const SPIN_TRIPS: u32 = 50_000;
/// How long both sides lock in a round.
const CONTENTION: Duration = Duration::from_millis(20);

/// What both sides do at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Events = 1,
    Signals,
    Spin,
    SpinBare,
    Contend,
    ContendFirst,
    ContendSecond,
    /// The other side publishes as fast as it can.
    Publish,
    /// The other side publishes a thousand times per second.
    PublishSometimes,
    End,
}

const TIMED: [Kind; 7] = [
    Kind::Events,
    Kind::Signals,
    Kind::Spin,
    Kind::SpinBare,
    Kind::Contend,
    Kind::ContendFirst,
    Kind::ContendSecond,
];

/// Offsets in the plain region.
const KIND: usize = 0;
const STARTED: usize = 64;
const DONE: usize = 128;
const SPIN: [usize; 2] = [192, 256];
const COUNT: usize = 320;
const OWN: [usize; 2] = [384, 448];
const OVER: usize = 3072;

/// The objects that both sides use.
struct Both {
    plain: View,
    event: Event,
    signal: Signal,
    mutex: Mutex<u64>,
    peers: [Lock; 2],
    latest: Latest<[u64; 32]>,
}

impl Both {
    fn make() -> Result<Self, Error> {
        let segment = Segment::create(&*name("both"), 64 * 1024)?;
        let plain = SharedMemory::create(&*name("plain"), 4096)?.view()?;
        let peers = Peers::make(&plain, &name("kernel")).mutexes();
        Both::with(&segment, plain, peers, &name("kernel"))
    }

    /// Opens the objects by names that contain the parent's process id.
    fn open(parent: &str) -> Result<Self, Error> {
        let name = |tag: &str| format!("mmf-bench-locks-{tag}-{parent}");
        let segment = Segment::open(&*name("both"))?;
        let plain = SharedMemory::open(&*name("plain"))?.view()?;
        let peers = Peers::open(&plain, &name("kernel")).mutexes();
        Both::with(&segment, plain, peers, &name("kernel"))
    }

    fn with(segment: &Segment, plain: View, peers: [Lock; 2], kernel: &str) -> Result<Self, Error> {
        Ok(Both {
            event: segment.auto_reset_event("ping")?,
            signal: Signal::new(&plain, kernel),
            mutex: segment.mutex("count")?,
            latest: segment.latest("value")?,
            peers,
            plain,
        })
    }

    fn bare(&self, offset: usize) -> &AtomicU32 {
        let atomic = self.plain.atomic_u32(offset).expect("inside the view");
        // SAFETY: no process truncates the region, and all accesses to the word are atomic ones of this size.
        unsafe { atomic.as_std() }
    }

    fn bare_u64(&self, offset: usize) -> &AtomicU64 {
        let atomic = self.plain.atomic_u64(offset).expect("inside the view");
        // SAFETY: as in `bare`.
        unsafe { atomic.as_std() }
    }

    /// Runs one side. Side 0 begins.
    fn play(&self, kind: Kind, side: usize, trip_done: impl FnMut(f64)) -> Result<(), Error> {
        let (mine, others) = (side, 1 - side);
        match kind {
            Kind::Events => self.wake(side, || self.event.wait(), || self.event.set(), trip_done)?,
            Kind::Signals => self.wake(
                side,
                || {
                    self.signal.wait();
                    Ok(())
                },
                || {
                    self.signal.set();
                    Ok(())
                },
                trip_done,
            )?,
            Kind::Spin => {
                let (own, other) = (self.plain.atomic_u32(SPIN[mine])?, self.plain.atomic_u32(SPIN[others])?);
                for trip in 1..=SPIN_TRIPS {
                    if side == 0 {
                        own.store(trip, Ordering::Release)?;
                    }
                    while other.load(Ordering::Acquire)? != trip {
                        spin_loop();
                    }
                    if side == 1 {
                        own.store(trip, Ordering::Release)?;
                    }
                }
            }
            Kind::SpinBare => {
                let (own, other) = (self.bare(SPIN[mine]), self.bare(SPIN[others]));
                for trip in 1..=SPIN_TRIPS {
                    if side == 0 {
                        own.store(trip, Ordering::Release);
                    }
                    while other.load(Ordering::Acquire) != trip {
                        spin_loop();
                    }
                    if side == 1 {
                        own.store(trip, Ordering::Release);
                    }
                }
            }
            Kind::Contend => {
                let own = self.contend(side, trip_done, || {
                    self.mutex.lock().map_err(Error::from)?.update(|count| *count += 1)
                })?;
                self.bare_u64(OWN[side]).store(own, Ordering::SeqCst);
            }
            Kind::ContendFirst | Kind::ContendSecond => {
                let lock = &self.peers[usize::from(kind == Kind::ContendSecond)];
                let count = self.bare_u64(COUNT);
                let own = self.contend(side, trip_done, || {
                    lock.locked(|| count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed));
                    Ok(())
                })?;
                self.bare_u64(OWN[side]).store(own, Ordering::SeqCst);
            }
            Kind::Publish | Kind::PublishSometimes | Kind::End => {}
        }
        Ok(())
    }

    /// Measures wake-ups: side 0 wakes side 1, which is asleep by then, and spins until side 1 answers.
    fn wake(
        &self,
        side: usize,
        wait: impl Fn() -> Result<(), Error>,
        set: impl Fn() -> Result<(), Error>,
        mut trip_done: impl FnMut(f64),
    ) -> Result<(), Error> {
        let answer = self.bare(SPIN[0]);
        for trip in 1..=WAKES {
            if side == 1 {
                wait()?;
                answer.store(trip, Ordering::Release);
                continue;
            }
            let before = Instant::now();
            while before.elapsed() < TO_FALL_ASLEEP {
                spin_loop();
            }
            let start = Instant::now();
            set()?;
            while answer.load(Ordering::Acquire) != trip {
                spin_loop();
            }
            trip_done(start.elapsed().as_secs_f64() * 1e9);
        }
        Ok(())
    }

    /// Locks repeatedly until side 0 ends the round. Returns the number of acquisitions.
    fn contend(
        &self,
        side: usize,
        mut trip_done: impl FnMut(f64),
        mut lock: impl FnMut() -> Result<(), Error>,
    ) -> Result<u64, Error> {
        let (start, over, mut own) = (Instant::now(), self.bare(OVER), 0);
        let (mut before, mut longest) = (Duration::ZERO, Duration::ZERO);
        while over.load(Ordering::Relaxed) == 0 {
            // Enough repetitions to make the cost of reading the clock negligible.
            for _ in 0..16 {
                lock()?;
            }
            own += 16;
            let now = start.elapsed();
            longest = longest.max(now - before);
            before = now;
            if side == 0 && now >= CONTENTION {
                over.store(1, Ordering::Relaxed);
            }
        }
        trip_done(longest.as_secs_f64() * 1e9);
        Ok(own)
    }

    /// Publishes on the other side until side 0 ends the round.
    fn publish(&self, pause: Option<Duration>) -> Result<(), Error> {
        let mut writer = self.latest.acquire_writer()?;
        let mut value = [0; 32];
        while self.bare(OVER).load(Ordering::Acquire) == 0 {
            value[0] += 1;
            writer.publish(&value)?;
            if let Some(pause) = pause {
                std::thread::sleep(pause);
            }
        }
        Ok(())
    }
}

/// Pins this process to a processor of its own, so that no round is measured while both share one.
#[cfg(target_os = "linux")]
fn pin(processor: usize) {
    // SAFETY: `cpu_set_t` consists of integers, for which all zeros is a valid value.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set is valid, and the call ignores numbers beyond it.
    unsafe { libc::CPU_SET(processor, &mut set) };
    // SAFETY: the set is valid for its size. After a refusal the system chooses the processor.
    unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) };
}
#[cfg(windows)]
fn pin(processor: usize) {
    use windows_sys::Win32::System::Threading::{GetCurrentThread, SetThreadAffinityMask};
    // After a refusal the system chooses the processor.
    // SAFETY: `GetCurrentThread` has no requirements, and the pseudo handle of this thread is always valid.
    unsafe { SetThreadAffinityMask(GetCurrentThread(), 1 << processor) };
}

/// Runs side 1 in the other process until the parent ends it.
///
/// # Errors
///
/// Returns errors of the library.
pub fn other_side(parent: &str) -> Result<(), Failure> {
    let both = Both::open(parent)?;
    pin(1);
    loop {
        let kind = both.bare(KIND).load(Ordering::Acquire);
        if kind == 0 {
            spin_loop();
            continue;
        }
        both.bare(STARTED).store(1, Ordering::Release);
        match kind {
            _ if kind == Kind::End as u32 => return Ok(()),
            _ if kind == Kind::Publish as u32 => both.publish(None)?,
            _ if kind == Kind::PublishSometimes as u32 => both.publish(Some(Duration::from_millis(1)))?,
            _ => {
                let kind = TIMED.into_iter().find(|one| *one as u32 == kind).ok_or("unknown kind")?;
                both.play(kind, 1, |_| {})?;
            }
        }
        both.bare(DONE).store(1, Ordering::Release);
        while both.bare(KIND).load(Ordering::Acquire) != 0 {
            spin_loop();
        }
        both.bare(DONE).store(0, Ordering::Release);
    }
}

/// The results of a round, in nanoseconds.
struct Round {
    each: f64,
    /// The 99th percentile of the round trips.
    p99: f64,
    /// The share of acquisitions of the disadvantaged side.
    share: f64,
    /// The longest time of side 0 for 16 acquisitions.
    longest: f64,
}

fn begin(both: &Both, kind: Kind) {
    while both.bare(DONE).load(Ordering::Acquire) != 0 {
        spin_loop();
    }
    for offset in [STARTED, SPIN[0], SPIN[1], OVER] {
        both.bare(offset).store(0, Ordering::Relaxed);
    }
    both.bare(KIND).store(kind as u32, Ordering::Release);
    while both.bare(STARTED).load(Ordering::Acquire) == 0 {
        spin_loop();
    }
}

/// Ends the round and waits until the other side has finished its part.
fn end(both: &Both) {
    both.bare(OVER).store(1, Ordering::Release);
    while both.bare(DONE).load(Ordering::Acquire) == 0 {
        spin_loop();
    }
    both.bare(KIND).store(0, Ordering::Release);
}

fn round(both: &Both, kind: Kind) -> Result<Round, Failure> {
    let mut trips = Vec::with_capacity(WAKES as usize);
    begin(both, kind);
    let start = Instant::now();
    both.play(kind, 0, |trip| trips.push(trip))?;
    let took = start.elapsed().as_secs_f64() * 1e9;
    end(both);
    let [one, other] = OWN.map(|offset| both.bare_u64(offset).load(Ordering::SeqCst) as f64);
    trips.sort_by(f64::total_cmp);
    let p99 = trips.get(trips.len() * 99 / 100).copied().unwrap_or(0.0);
    let each = match kind {
        Kind::Events | Kind::Signals => trips[trips.len() / 2],
        Kind::Spin | Kind::SpinBare => took / f64::from(SPIN_TRIPS),
        _ => took / (one + other),
    };
    let longest = trips.last().copied().unwrap_or(0.0);
    Ok(Round { each, p99, share: one.min(other) / (one + other).max(1.0), longest })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

pub(super) fn compare(aims: &mut Vec<Aim>) -> Result<(), Failure> {
    let both = Both::make()?;
    let child = Command::new(std::env::current_exe()?)
        .args(["--child", &format!("locks {}", std::process::id())])
        .stdin(Stdio::null())
        .spawn()?;
    let mut child = Ended(child);
    pin(0);
    let mut rounds: Vec<Vec<Round>> = TIMED.iter().map(|_| Vec::new()).collect();
    for _ in 0..ROUNDS {
        for (kind, rounds) in TIMED.iter().zip(&mut rounds) {
            rounds.push(round(&both, *kind)?);
        }
    }
    println!(
        "\ntwo processes, each pinned to a processor of its own; nanoseconds, {ROUNDS} alternating rounds\n"
    );
    println!("{:<40} {:>9} {:>9} {:>9} {:>9} {:>9}", "", "median", "best", "p99", "longest", "share");
    let [first, second] = [both.peers[0].name(), both.peers[1].name()];
    let labels = [
        "wake a sleeping waiter: Event".to_owned(),
        format!("wake a sleeping waiter: {}", Signal::NAME),
        "spin: atomics of a view".to_owned(),
        "spin: bare atomics".to_owned(),
        "contend: Mutex".to_owned(),
        format!("contend: {first}"),
        format!("contend: {second}"),
    ];
    let mut medians = Vec::new();
    for (label, rounds) in labels.iter().zip(&rounds) {
        let figure = |figure: fn(&Round) -> f64| median(rounds.iter().map(figure).collect());
        let best = rounds.iter().map(|round| round.each).fold(f64::INFINITY, f64::min);
        let (each, p99, share) = (figure(|r| r.each), figure(|r| r.p99), figure(|r| r.share));
        let p99 = if label.starts_with("wake") { format!("{p99:.0}") } else { String::new() };
        let share =
            if label.starts_with("contend") { format!("{:.0} %", share * 100.0) } else { String::new() };
        let longest = figure(|r| r.longest);
        let longest = if longest > 0.0 { format!("{longest:.0}") } else { String::new() };
        println!("{label:<40} {each:>9.0} {best:>9.0} {p99:>9} {longest:>9} {share:>9}");
        medians.push(each);
    }
    let ratio = |one: usize, other: usize| medians[one] / medians[other];
    aims.push(Aim::new(
        format!("one process wakes another: Event / {}", Signal::NAME),
        ratio(0, 1),
        Some(1.1),
    ));
    aims.push(Aim::new("two processes spin: atomics of a view / bare atomics", ratio(2, 3), Some(1.2)));
    aims.push(Aim::new(format!("two processes contend: Mutex / {first}"), ratio(4, 5), None));
    aims.push(Aim::new(format!("two processes contend: Mutex / {second}"), ratio(4, 6), None));
    reading(&both)?;
    both.bare(KIND).store(Kind::End as u32, Ordering::Release);
    if child.0.wait()?.success() { Ok(()) } else { Err("the other process failed".into()) }
}

/// Measures reads while the other side publishes.
fn reading(both: &Both) -> Result<(), Failure> {
    println!("\nread of a latest value of 256 bytes while another process publishes, in nanoseconds\n");
    for (kind, what) in
        [(Kind::PublishSometimes, "1000 times per second"), (Kind::Publish, "as fast as possible")]
    {
        begin(both, kind);
        while both.latest.published()? == 0 {
            spin_loop();
        }
        let (before, start) = (both.latest.published()?, Instant::now());
        let mut value = [0; 32];
        let [read] = pairs::measure([&mut || {
            black_box(both.latest.read_into(black_box(&mut value)).expect("to read"));
        }]);
        let rate = (both.latest.published()? - before) as f64 / start.elapsed().as_secs_f64();
        end(both);
        println!("{what:<24} {read:>8.1}   ({rate:.0} values per second)");
    }
    Ok(())
}

/// Kills the child when it is dropped, so that no child is left behind.
struct Ended(std::process::Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
