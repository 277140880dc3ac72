//! Processes at work on every kind of object, killed at any instant: what they promise each other holds.

use std::process::{Child, Stdio};
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use mmf::sync::{Event, Latest, LockError, Mutex, MutexGuard, Notify, Once, RwLock, WriteGuard};
use mmf::{Error, ErrorKind, OpenOptions, Segment, SharedMemory, View};
use testkit::{Role, WATCHDOG, unique_name};

use crate::random::{Random, seed, wish};

const LEN: u64 = 64 * 1024;
/// Fewer than are killed in a round, so that the places of the dead must be used again.
const PLACES: u32 = 12;
const WORKERS: usize = 6;
/// How many are killed before the segment is left, and made anew by whoever comes first.
const ROUND: u64 = 250;
/// Nobody may wait longer for anything.
const LONGEST: Duration = Duration::from_secs(30);
const INITIALISED: u64 = 0x1122_3344_5566_7788;

/// What is counted in a memory of its own, which outlives all who count.
#[derive(Clone, Copy)]
enum Tally {
    Stop,
    Operations,
    MutexTold,
    MutexMended,
    RwTold,
    RwMended,
    HalfChanges,
    LongestMicroseconds,
    Wrong,
    Opened,
}

struct Ledger(View);

impl Ledger {
    fn add(&self, what: Tally, count: u64) {
        self.0.atomic_u64(what as usize * 8).unwrap().fetch_add(count, SeqCst).unwrap();
    }

    fn most(&self, what: Tally, value: u64) {
        self.0.atomic_u64(what as usize * 8).unwrap().fetch_max(value, SeqCst).unwrap();
    }

    fn get(&self, what: Tally) -> u64 {
        self.0.atomic_u64(what as usize * 8).unwrap().load(SeqCst).unwrap()
    }

    fn set(&self, what: Tally, value: u64) {
        self.0.atomic_u64(what as usize * 8).unwrap().store(value, SeqCst).unwrap();
    }

    /// The work of one operation, which may wait.
    fn timed<R>(&self, work: impl FnOnce() -> R) -> R {
        let begun = Instant::now();
        let result = work();
        self.most(Tally::LongestMicroseconds, begun.elapsed().as_micros() as u64);
        result
    }

    /// For who has found what must never be: said on the spot, since the next kill may end him.
    #[track_caller]
    fn check(&self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.add(Tally::Wrong, 1);
            panic!("{}", what());
        }
    }
}

fn options() -> OpenOptions {
    OpenOptions::new().len(LEN).participants(PLACES).ready_within(LONGEST)
}

pub(crate) fn invariants_outlive_killed_processes() {
    let kills = wish("MMF_TORTURE_KILLS").unwrap_or(if testkit::under_wine() { 40 } else { 500 });
    let seed = seed();
    let mut random = Random::new(seed);
    let begun = Instant::now();
    let ledger_name = unique_name("ledger");
    let ledger = Ledger(SharedMemory::create(&ledger_name, 4096).unwrap().view().unwrap());
    let mut done = 0;
    let mut handles = None;
    while done < kills {
        let now = ROUND.min(kills - done);
        round(&ledger, &ledger_name, &mut random, now);
        done += now;
        // (The first round sets up what stays for the life of the process.)
        let open = testkit::open_handles();
        let first = *handles.get_or_insert(open);
        assert!(open <= first, "handles of the controlling process: {first}, and then {open}");
    }
    let told = ledger.get(Tally::MutexTold) + ledger.get(Tally::RwTold);
    println!(
        "{done} kills in {:.1} s: {} processes came in, {} operations, OwnerDied told {told} times (mutex {}, rwlock {}), declared \
         consistent {} and {} times, {} half changes found and mended, longest wait {:.1} ms",
        begun.elapsed().as_secs_f64(),
        ledger.get(Tally::Opened),
        ledger.get(Tally::Operations),
        ledger.get(Tally::MutexTold),
        ledger.get(Tally::RwTold),
        ledger.get(Tally::MutexMended),
        ledger.get(Tally::RwMended),
        ledger.get(Tally::HalfChanges),
        ledger.get(Tally::LongestMicroseconds) as f64 / 1000.0
    );
    assert!(ledger.get(Tally::Operations) > 0, "nobody did anything");
    if kills >= 5000 {
        assert!(
            told > 0 && ledger.get(Tally::HalfChanges) > 0,
            "no kill has met anybody in the middle of a change"
        );
    }
    // Each time the data are declared consistent ends a damage that a death has begun.
    assert!(ledger.get(Tally::MutexMended) <= done, "told of more deaths than there were");
    assert!(ledger.get(Tally::RwMended) <= done, "told of more deaths than there were");
}

/// Workers on one segment, killed and replaced until there were so many kills; then the rest ends by itself.
fn round(ledger: &Ledger, ledger_name: &str, random: &mut Random, kills: u64) {
    let name = unique_name("torture");
    ledger.set(Tally::Stop, 0);
    let start = |random: &mut Random| {
        let mut command =
            testkit::command_for_role("kills::role_work", &[&name, ledger_name, &random.next().to_string()]);
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
        command.spawn().unwrap()
    };
    let mut workers: Vec<Child> = (0..WORKERS).map(|_| start(random)).collect();
    let mut segment = None;
    let mut operations = ledger.get(Tally::Operations);
    let mut moved = Instant::now();
    for kill in 0..kills {
        // From "has not begun yet" to "has been at it for long".
        let pause = match random.below(8) {
            0 => 0,
            1 => random.below(20_000),
            _ => random.below(4_000),
        };
        let pause = if testkit::under_wine() { pause * 10 } else { pause };
        std::thread::sleep(Duration::from_micros(pause));
        let victim = random.below(workers.len() as u64) as usize;
        if let Some(ending) = workers[victim].try_wait().unwrap() {
            panic!("a worker has ended before it was killed: {ending}");
        }
        workers[victim].kill().unwrap();
        workers[victim].wait().unwrap();
        workers[victim] = start(random);
        assert_eq!(ledger.get(Tally::Wrong), 0, "a worker has found what must not be (above)");
        let now = ledger.get(Tally::Operations);
        if now != operations {
            (operations, moved) = (now, Instant::now());
        }
        assert!(moved.elapsed() < WATCHDOG, "nobody gets on");
        // Until then whoever makes the segment may be killed, and the last to have it.
        if kill == kills / 4 {
            segment = Some(options().open_or_create_segment(&name).unwrap().0);
        }
    }
    ledger.set(Tally::Stop, 1);
    for mut worker in workers {
        let mut ending = None;
        testkit::wait_until("a worker ends by itself", || {
            ending = worker.try_wait().unwrap();
            ending.is_some()
        });
        assert!(ending.unwrap().success(), "a worker failed: {ending:?}");
    }
    assert_eq!(ledger.get(Tally::Wrong), 0, "a worker has found what must not be (above)");
    if let Some(segment) = segment {
        let alive = segment.participants().unwrap().iter().filter(|who| who.alive).count();
        assert_eq!(alive, 1, "participants when all others have ended");
        // One who has come last finds all in order, or is told.
        let objects = Objects::of(&segment).unwrap();
        transfer(&objects.accounts, ledger, &mut Random::new(1), false);
        write(&objects.pair, ledger, &mut Random::new(1), false);
        let clean = objects.accounts.try_lock().unwrap().get().unwrap();
        assert_eq!(clean[0] + clean[1], 0);
        let info = segment.inspect().unwrap();
        assert_eq!(info.objects.len(), 7, "{:?}", info.objects);
    }
    let gone = SharedMemory::open(&name).unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound, "the name is left: {gone}");
    #[cfg(target_os = "linux")]
    for entry in std::fs::read_dir("/dev/shm").unwrap() {
        let file = entry.unwrap().file_name();
        assert!(!file.to_string_lossy().contains(&name), "left in /dev/shm: {file:?}");
    }
}

struct Objects {
    accounts: Mutex<[i64; 2]>,
    pair: RwLock<[u64; 2]>,
    latest: Latest<[u64; 16]>,
    ball: Event,
    back: Event,
    notify: Notify,
    once: Once<u64>,
}

impl Objects {
    fn of(segment: &Segment) -> Result<Self, Error> {
        Ok(Objects {
            accounts: segment.mutex("accounts")?,
            pair: segment.rwlock("pair")?,
            latest: segment.latest("latest")?,
            ball: segment.event("ball")?,
            back: segment.event("back")?,
            notify: segment.notify("notify")?,
            once: segment.once("once")?,
        })
    }
}

/// A moment in which to be killed.
fn linger(random: &mut Random) {
    match random.below(16) {
        0 => std::thread::yield_now(),
        1 => std::thread::sleep(Duration::from_micros(random.below(300))),
        _ => (0..random.below(400)).for_each(|_| std::hint::spin_loop()),
    }
}

pub(crate) fn role_work(role: &mut Role) {
    let ledger = Ledger(SharedMemory::open(role.argument(1)).unwrap().view().unwrap());
    let mut random = Random::new(role.argument(2).parse().unwrap());
    let opened = ledger.timed(|| options().open_or_create_segment(role.argument(0)));
    ledger.check(opened.is_ok(), || format!("cannot open: {opened:?}"));
    let segment = opened.unwrap().0;
    let objects = ledger.timed(|| Objects::of(&segment));
    ledger.check(objects.is_ok(), || format!("no objects: {:?}", objects.as_ref().err()));
    let objects = objects.unwrap();
    ledger.add(Tally::Opened, 1);
    let (mut seen, mut notified) = (0, 0);
    while ledger.get(Tally::Stop) == 0 {
        match random.below(12) {
            0..=2 => transfer(&objects.accounts, &ledger, &mut random, true),
            3 | 4 => write(&objects.pair, &ledger, &mut random, true),
            5..=7 => read(&objects.pair, &ledger, &mut random),
            8 => publish(&objects.latest, &ledger, &mut random),
            9 => look(&objects.latest, &ledger, &mut seen),
            10 => ping(&objects, &ledger, &mut random, &mut notified),
            _ => {
                let value = ledger.timed(|| {
                    objects.once.get_or_init(|| {
                        linger(&mut random);
                        INITIALISED
                    })
                });
                ledger.check(matches!(value, Ok(INITIALISED)), || format!("initialised once: {value:x?}"));
            }
        }
        ledger.add(Tally::Operations, 1);
    }
}

/// Takes here and gives there, in two steps. Whoever finds half of that without having been told says so.
fn transfer(accounts: &Mutex<[i64; 2]>, ledger: &Ledger, random: &mut Random, may_leave: bool) {
    let sum = |guard: &MutexGuard<'_, [i64; 2]>| guard.get().unwrap().iter().sum::<i64>();
    let got = ledger.timed(|| match random.below(if may_leave { 8 } else { 1 }) {
        1 => accounts.try_lock(),
        2 => accounts.lock_timeout(Duration::from_micros(random.below(2000))),
        _ => accounts.lock_timeout(LONGEST),
    });
    let mut guard = match got {
        Ok(guard) => {
            let found = guard.get().unwrap();
            ledger.check(sum(&guard) == 0, || format!("accounts in disorder, and nobody said so: {found:?}"));
            guard
        }
        Err(LockError::OwnerDied(owner)) => {
            ledger.add(Tally::MutexTold, 1);
            let mut guard = owner.into_guard();
            if may_leave && random.below(4) == 0 {
                // Not looked at: the next one is to be told as well.
                return;
            }
            let [_, there] = guard.get().unwrap();
            if sum(&guard) != 0 {
                ledger.add(Tally::HalfChanges, 1);
                linger(random);
                guard.write_at(0, &(-there).to_le_bytes()).unwrap();
            }
            ledger.add(Tally::MutexMended, 1);
            guard.declare_consistent().unwrap();
            guard
        }
        Err(LockError::WouldBlock(_)) if may_leave => return,
        Err(LockError::TimedOut(error)) if may_leave => {
            let _ = error;
            return;
        }
        Err(error) => {
            ledger.check(false, || format!("accounts: {error}"));
            return;
        }
    };
    let [here, there] = guard.get().unwrap();
    let amount = i64::try_from(random.below(1000)).unwrap();
    guard.write_at(0, &(here - amount).to_le_bytes()).unwrap();
    linger(random);
    guard.write_at(8, &(there + amount).to_le_bytes()).unwrap();
}

fn write(pair: &RwLock<[u64; 2]>, ledger: &Ledger, random: &mut Random, may_leave: bool) {
    let got = ledger.timed(|| match random.below(if may_leave { 6 } else { 1 }) {
        1 => pair.try_write(),
        2 => pair.write_timeout(Duration::from_micros(random.below(500))),
        _ => pair.write_timeout(LONGEST),
    });
    let equal = |guard: &WriteGuard<'_, [u64; 2]>| guard.get().unwrap()[0] == guard.get().unwrap()[1];
    let mut guard = match got {
        Ok(guard) => {
            ledger.check(equal(&guard), || format!("pair to write: {:?}, not told", guard.get()));
            guard
        }
        Err(LockError::OwnerDied(owner)) => {
            ledger.add(Tally::RwTold, 1);
            let mut guard = owner.into_guard();
            if may_leave && random.below(4) == 0 {
                return;
            }
            if !equal(&guard) {
                ledger.add(Tally::HalfChanges, 1);
                let [first, _] = guard.get().unwrap();
                linger(random);
                guard.write_at(8, &first.to_le_bytes()).unwrap();
            }
            ledger.add(Tally::RwMended, 1);
            guard.declare_consistent().unwrap();
            guard
        }
        Err(LockError::WouldBlock(_) | LockError::TimedOut(_)) if may_leave => return,
        Err(error) => {
            ledger.check(false, || format!("pair to write: {error}"));
            return;
        }
    };
    let value = random.next();
    guard.write_at(0, &value.to_le_bytes()).unwrap();
    linger(random);
    guard.write_at(8, &value.to_le_bytes()).unwrap();
}

fn read(pair: &RwLock<[u64; 2]>, ledger: &Ledger, random: &mut Random) {
    let got = ledger.timed(|| match random.below(6) {
        0 => pair.try_read(),
        1 => pair.read_timeout(Duration::from_micros(random.below(500))),
        _ => pair.read_timeout(LONGEST),
    });
    match got {
        Ok(guard) => {
            let first = guard.get().unwrap();
            linger(random);
            let second = guard.get().unwrap();
            ledger.check(first[0] == first[1] && first == second, || {
                format!("pair to read, not told: {first:x?}, and then {second:x?}")
            });
        }
        Err(LockError::OwnerDied(owner)) => {
            ledger.add(Tally::RwTold, 1);
            // It may be half a change; but nobody writes on.
            let guard = owner.into_guard();
            let first = guard.get().unwrap();
            linger(random);
            let second = guard.get().unwrap();
            ledger.check(first == second, || format!("written while read: {first:x?}, and then {second:x?}"));
        }
        Err(LockError::WouldBlock(_)) => {}
        Err(LockError::TimedOut(_)) => {}
        Err(error) => ledger.check(false, || format!("pair to read: {error}")),
    }
}

/// A value from which it can be told whether it is whole.
fn filled(number: u64) -> [u64; 16] {
    core::array::from_fn(|index| number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(index as u32))
}

fn publish(latest: &Latest<[u64; 16]>, ledger: &Ledger, random: &mut Random) {
    let mut writer = match latest.writer() {
        Ok(writer) => writer,
        Err(error) => {
            return ledger
                .check(error.kind() == ErrorKind::Busy, || format!("writer of the latest: {error}"));
        }
    };
    for _ in 0..random.below(20) {
        let number = latest.published().unwrap() + 1;
        let published = writer.publish(&filled(number)).unwrap();
        ledger.check(published == number, || format!("two writers: {published} instead of {number}"));
    }
    linger(random);
}

fn look(latest: &Latest<[u64; 16]>, ledger: &Ledger, seen: &mut u64) {
    match latest.read_numbered() {
        Ok(None) => ledger.check(*seen == 0, || "the latest value is gone".to_owned()),
        Ok(Some((number, value))) => {
            ledger.check(value == filled(number), || format!("torn: {number}: {value:x?}"));
            ledger.check(number >= *seen, || format!("back from {seen} to {number}"));
            *seen = number;
        }
        // A thousand tries were in vain: allowed, and said.
        Err(error) => ledger.check(error.kind() == ErrorKind::Busy, || format!("latest: {error}")),
    }
}

fn ping(objects: &Objects, ledger: &Ledger, random: &mut Random, notified: &mut u32) {
    // Whoever would answer may have been killed, so nobody waits for long.
    let soon = Instant::now() + Duration::from_micros(random.below(3000));
    let answered = match random.below(4) {
        0 => objects.ball.set().and_then(|()| objects.back.wait_until(soon)).map(drop),
        1 => objects.ball.wait_until(soon).and_then(|_| objects.back.set()),
        2 => Event::wait_any(&[&objects.ball, &objects.back], Some(soon)).map(drop),
        _ => objects.notify.notify().and_then(|()| objects.notify.wait_past(*notified, Some(soon))).map(
            |count| {
                *notified = count.unwrap_or(*notified);
            },
        ),
    };
    ledger.check(answered.is_ok(), || format!("events: {answered:?}"));
}
