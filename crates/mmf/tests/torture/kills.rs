//! Worker processes that use every kind of object and are killed at any instant: all invariants hold.

use std::process::{Child, Stdio};
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use mmf::sync::{
    Event, EventCount, Latest, LockError, Mutex, MutexGuard, OnceLock, OwnerDied, Published, RwLock,
    RwLockWriteGuard, WaitError,
};
use mmf::{Error, ErrorKind, Segment, SegmentOptions, SharedMemory, View};
use testkit::{Role, WATCHDOG, unique_name};

use crate::random::{Random, from_env, seed};

const LEN: u64 = 64 * 1024;
/// One number of slots is below the number of kills in a round, so that dead participants' slots are reused.
/// The other, for every second round, gives each participant its own slot, so that every death can be
/// attributed.
const SLOTS: [u32; 2] = [12, 300];
const WORKERS: usize = 6;
/// The number of kills before the segment is abandoned and the first process to arrive creates a new one.
const ROUND: u64 = 250;
/// The longest that any operation may block.
const LONGEST: Duration = Duration::from_secs(30);
const INITIALISED: u64 = 0x1122_3344_5566_7788;

/// Counters in a region of its own, which outlives every worker.
#[derive(Clone, Copy)]
enum Tally {
    Stop,
    Operations,
    MutexDeaths,
    MutexRepaired,
    RwDeaths,
    RwRepaired,
    HalfChanges,
    LongestMicroseconds,
    Wrong,
    Opened,
    OwnersKilled,
    OwnersReported,
    MaybeOwnersKilled,
    MaybeOwnersReported,
    Unidentified,
    NotIdentified,
    SameProcessId,
}

/// The locks whose owners are recorded.
#[derive(Clone, Copy, PartialEq)]
enum Which {
    Accounts,
    Pair,
}

/// The last state that a process recorded for a lock. Between two records it may or may not own the lock.
mod owns {
    /// It has released the lock and has not started to acquire it again.
    pub(super) const NOT: u64 = 0;
    /// It is about to acquire the lock, was refused, or owns the lock and has not recorded that yet.
    pub(super) const MAYBE_BEFORE: u64 = 1;
    pub(super) const CERTAINLY: u64 = 2;
    /// It is about to release the lock, or has released it.
    pub(super) const MAYBE_AFTER: u64 = 3;
}

/// No process is handling the report of a death: it has not been reported yet, or its recipient left it for
/// the next owner.
const NOBODY: u64 = 0;
/// The controlling process. Workers are numbered from 1.
const CONTROL: u64 = 0;
/// The offset of the workers' records, behind the counters. A record has eight words.
const RECORDS: usize = 4096;
const LEDGER_LEN: u64 = 4096 + (ROUND + WORKERS as u64 + 1) * 64;

struct Ledger(View);

impl Ledger {
    fn add(&self, what: Tally, count: u64) {
        self.0.atomic_u64(what as usize * 8).unwrap().fetch_add(count, SeqCst).unwrap();
    }

    fn raise_to(&self, what: Tally, value: u64) {
        self.0.atomic_u64(what as usize * 8).unwrap().fetch_max(value, SeqCst).unwrap();
    }

    fn get(&self, what: Tally) -> u64 {
        self.0.atomic_u64(what as usize * 8).unwrap().load(SeqCst).unwrap()
    }

    fn set(&self, what: Tally, value: u64) {
        self.0.atomic_u64(what as usize * 8).unwrap().store(value, SeqCst).unwrap();
    }

    /// Runs one operation, which may block, and records the longest duration.
    fn timed<R>(&self, work: impl FnOnce() -> R) -> R {
        let begun = Instant::now();
        let result = work();
        self.raise_to(Tally::LongestMicroseconds, begun.elapsed().as_micros() as u64);
        result
    }

    fn record(&self, number: u64, word: usize) -> mmf::view::Atomic<'_, u64> {
        self.0.atomic_u64(RECORDS + number as usize * 64 + word * 8).unwrap()
    }

    /// The process id. The words after it are, for each lock, the owner's state, the number of reports of its
    /// death, and the worker that is handling such a report.
    fn process(&self, number: u64) -> u64 {
        self.record(number, 0).load(SeqCst).unwrap()
    }

    fn state(&self, number: u64, which: Which) -> u64 {
        self.record(number, 1 + which as usize * 3).load(SeqCst).unwrap()
    }

    fn set_state(&self, number: u64, which: Which, state: u64) {
        self.record(number, 1 + which as usize * 3).store(state, SeqCst).unwrap();
    }

    fn reported(&self, number: u64, which: Which) -> u64 {
        self.record(number, 2 + which as usize * 3).load(SeqCst).unwrap()
    }

    /// Records the report of a death, and checks that no other worker is still handling the same report.
    fn note_report<G>(&self, me: u64, which: Which, owner: &OwnerDied<G>, exclusive: bool) -> Option<u64> {
        let left = self.record(CONTROL, 2 + which as usize * 3).swap(0, SeqCst).unwrap() != 0;
        let Some(process) = owner.process() else {
            // Its slot had been reused. A report that was left to us is not counted twice.
            self.record(CONTROL, 1 + which as usize * 3).fetch_add(u64::from(!left), SeqCst).unwrap();
            return None;
        };
        let of_that_id =
            (1..=ROUND + WORKERS as u64).filter(|number| self.process(*number) == process.id.into());
        let dead: Vec<u64> = of_that_id.collect();
        self.check(!dead.is_empty(), || {
            format!("{process:?} was reported dead and is not a worker of this round")
        });
        for number in &dead {
            self.record(*number, 2 + which as usize * 3).fetch_add(1, SeqCst).unwrap();
        }
        let [dead] = dead[..] else {
            self.add(Tally::SameProcessId, 1);
            return None;
        };
        if exclusive {
            // (+ 1 to distinguish the controlling process from `NOBODY`.)
            let before = self.record(dead, 3 + which as usize * 3).swap(me + 1, SeqCst).unwrap();
            self.check(before == NOBODY, || {
                format!(
                    "{process:?} died once, and worker {me} received the report after worker {}",
                    before - 1
                )
            });
        }
        Some(dead)
    }

    /// Leaves the report of a death for the next owner.
    fn leave_report(&self, dead: Option<u64>, which: Which) {
        match dead {
            Some(dead) => self.record(dead, 3 + which as usize * 3).store(NOBODY, SeqCst).unwrap(),
            None => self.record(CONTROL, 2 + which as usize * 3).store(1, SeqCst).unwrap(),
        }
    }

    /// Fails at once if an invariant is violated, because the next kill may end this process.
    #[track_caller]
    fn check(&self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.add(Tally::Wrong, 1);
            panic!("{}", what());
        }
    }
}

fn options(slots: u32) -> SegmentOptions {
    SegmentOptions::new().len(LEN).participants(slots).ready_timeout(LONGEST)
}

pub(crate) fn invariants_survive_kills() {
    let kills = from_env("MMF_TORTURE_KILLS").unwrap_or(if testkit::under_wine() { 40 } else { 500 });
    let seed = seed();
    let mut random = Random::new(seed);
    let begun = Instant::now();
    let ledger_name = unique_name("ledger");
    let ledger = Ledger(SharedMemory::create(&ledger_name, LEDGER_LEN).unwrap().view().unwrap());
    let mut done = 0;
    let mut handles = None;
    while done < kills {
        let now = ROUND.min(kills - done);
        round(&ledger, &ledger_name, &mut random, now, SLOTS[(done / ROUND % 2) as usize]);
        done += now;
        // (The first round sets up what lives as long as the process.)
        let open = testkit::open_handles();
        let first = *handles.get_or_insert(open);
        assert!(open <= first, "the controlling process had {first} handles and now has {open}");
    }
    let reports = ledger.get(Tally::MutexDeaths) + ledger.get(Tally::RwDeaths);
    println!(
        "{done} kills in {:.1} s: {} processes joined, {} operations, {reports} reports of OwnerDied \
         (mutex {}, rwlock {}), declared consistent {} and {} times, {} half changes found and repaired, \
         longest wait {:.1} ms",
        begun.elapsed().as_secs_f64(),
        ledger.get(Tally::Opened),
        ledger.get(Tally::Operations),
        ledger.get(Tally::MutexDeaths),
        ledger.get(Tally::RwDeaths),
        ledger.get(Tally::MutexRepaired),
        ledger.get(Tally::RwRepaired),
        ledger.get(Tally::HalfChanges),
        ledger.get(Tally::LongestMicroseconds) as f64 / 1000.0
    );
    println!(
        "of the processes killed while others held the segment, {} certainly owned a lock and {} perhaps; \
         reported by identity: {} and {}; the other {} were succeeded by a process that was killed before it \
         recorded the report, or their slots were reused first: {} deaths were reported without an identity; \
         reused process ids: {}",
        ledger.get(Tally::OwnersKilled),
        ledger.get(Tally::MaybeOwnersKilled),
        ledger.get(Tally::OwnersReported),
        ledger.get(Tally::MaybeOwnersReported),
        ledger.get(Tally::NotIdentified),
        ledger.get(Tally::Unidentified),
        ledger.get(Tally::SameProcessId),
    );
    assert!(ledger.get(Tally::Operations) > 0, "no operation was completed");
    if kills >= 5000 {
        assert!(
            reports > 0 && ledger.get(Tally::HalfChanges) > 0 && ledger.get(Tally::OwnersReported) > 0,
            "no kill hit a worker in the middle of a change"
        );
    }
    // Each declaration of consistency ends an inconsistency that began with a death.
    assert!(ledger.get(Tally::MutexRepaired) <= done, "more deaths were reported than occurred");
    assert!(ledger.get(Tally::RwRepaired) <= done, "more deaths were reported than occurred");
}

/// The workers, killed on drop even if the test fails, because they would run forever.
struct Workers(Vec<(Child, u64)>);

impl Drop for Workers {
    fn drop(&mut self) {
        for (worker, _) in &mut self.0 {
            // (Killing a worker that has ended fails.)
            let _ = worker.kill();
            let _ = worker.wait();
        }
    }
}

/// Runs workers on one segment, kills and replaces them `kills` times, and lets the rest end by themselves.
fn round(ledger: &Ledger, ledger_name: &str, random: &mut Random, kills: u64, slots: u32) {
    let name = unique_name("torture");
    ledger.set(Tally::Stop, 0);
    ledger.0.fill(0, RECORDS..RECORDS + LEDGER_LEN as usize - RECORDS).unwrap();
    let mut number = CONTROL;
    let mut start = |random: &mut Random| {
        number += 1;
        let mut command = testkit::command_for_role(
            "kills::role_work",
            &[&name, ledger_name, &random.next().to_string(), &number.to_string(), &slots.to_string()],
        );
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
        (command.spawn().unwrap(), number)
    };
    // The killed workers, and the index of the first whose death must be reported: from there on, the segment
    // outlives the last worker.
    let (mut killed, mut counted_from) = (Vec::new(), usize::MAX);
    let mut workers = Workers((0..WORKERS).map(|_| start(random)).collect());
    let mut segment = None;
    let mut operations = ledger.get(Tally::Operations);
    let mut moved = Instant::now();
    for kill in 0..kills {
        // From "has not started yet" to "has been running for long".
        let pause = match random.below(8) {
            0 => 0,
            1 => random.below(20_000),
            _ => random.below(4_000),
        };
        let pause = if testkit::under_wine() { pause * 10 } else { pause };
        std::thread::sleep(Duration::from_micros(pause));
        let victim = random.below(workers.0.len() as u64) as usize;
        if let Some(ending) = workers.0[victim].0.try_wait().unwrap() {
            panic!("a worker ended before it was killed: {ending}");
        }
        workers.0[victim].0.kill().unwrap();
        workers.0[victim].0.wait().unwrap();
        killed.push(workers.0[victim].1);
        workers.0[victim] = start(random);
        assert_eq!(ledger.get(Tally::Wrong), 0, "a worker detected a violation (above)");
        let now = ledger.get(Tally::Operations);
        if now != operations {
            (operations, moved) = (now, Instant::now());
        }
        assert!(moved.elapsed() < WATCHDOG, "no worker makes progress");
        // Until here, a kill may hit the creator of the segment, and its last holder.
        if kill == kills / 4 {
            segment = Some(options(slots).open_or_create(&name).unwrap().0);
            counted_from = killed.len();
        }
    }
    ledger.set(Tally::Stop, 1);
    // No further process is killed, and no waiter may be left blocked on a dead one.
    let stopped = Instant::now();
    for (worker, number) in &mut workers.0 {
        let ending = loop {
            if let Some(ending) = worker.try_wait().unwrap() {
                break ending;
            }
            if stopped.elapsed() > WATCHDOG {
                let state = segment.as_ref().map(Segment::inspect);
                panic!("worker {number}, process {}, does not end: {state:#?}", worker.id());
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        assert!(ending.success(), "a worker failed: {ending:?}");
    }
    assert_eq!(ledger.get(Tally::Wrong), 0, "a worker detected a violation (above)");
    if let Some(segment) = segment {
        let alive = segment.participants().unwrap().iter().filter(|participant| participant.alive).count();
        assert_eq!(alive, 1, "live participants after all others have ended");
        // A process that joins last finds consistent data, or a death is reported to it.
        let objects = Objects::of(&segment).unwrap();
        let by = Worker { number: CONTROL, ledger, segment: &segment };
        transfer(&objects.accounts, &by, &mut Random::new(1), false);
        write(&objects.pair, &by, &mut Random::new(1), false);
        deaths_were_reported(ledger, &killed, counted_from, slots == SLOTS[1]);
        let clean = objects.accounts.try_lock().unwrap().get().unwrap();
        assert_eq!(clean[0] + clean[1], 0);
        let info = segment.inspect().unwrap();
        assert_eq!(info.objects.len(), 7, "{:?}", info.objects);
    }
    let gone = SharedMemory::open(&name).unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound, "the name still exists: {gone}");
    #[cfg(target_os = "linux")]
    for entry in std::fs::read_dir("/dev/shm").unwrap() {
        let file = entry.unwrap().file_name();
        assert!(!file.to_string_lossy().contains(&name), "left in /dev/shm: {file:?}");
    }
}

/// Checks each death: that of a lock's owner was reported, and only once, and that of a process without a
/// lock was not.
///
/// There are two exceptions. A process that takes a lock over from a dead owner may be killed before it
/// records the report; then it is the dead owner, and its own death is reported. And a process that joins may
/// reuse the dead owner's slot; then the report does not identify the dead process.
fn deaths_were_reported(ledger: &Ledger, killed: &[u64], counted_from: usize, all_identified: bool) {
    for which in [Which::Accounts, Which::Pair] {
        let (mut missing, mut took_over) = (Vec::new(), 0);
        for (at, number) in killed.iter().enumerate() {
            let (state, reported) = (ledger.state(*number, which), ledger.reported(*number, which) > 0);
            if state == owns::NOT {
                let process = ledger.process(*number);
                assert!(
                    !reported || same_id(ledger, *number),
                    "process {process} was reported dead and had no lock"
                );
            }
            if at < counted_from {
                continue;
            }
            match state {
                owns::NOT => {}
                owns::CERTAINLY => {
                    ledger.add(Tally::OwnersKilled, 1);
                    ledger.add(Tally::OwnersReported, u64::from(reported));
                    if !reported {
                        missing.push((*number, ledger.process(*number)));
                    }
                }
                _ => {
                    ledger.add(Tally::MaybeOwnersKilled, 1);
                    ledger.add(Tally::MaybeOwnersReported, u64::from(reported));
                    took_over += u64::from(reported && state == owns::MAYBE_BEFORE);
                }
            }
        }
        let unidentified = ledger.record(CONTROL, 1 + which as usize * 3).load(SeqCst).unwrap();
        assert!(
            unidentified == 0 || !all_identified,
            "{unidentified} deaths were reported without the dead process's identity"
        );
        ledger.add(Tally::Unidentified, unidentified);
        ledger.add(Tally::NotIdentified, missing.len() as u64);
        assert!(
            missing.len() as u64 <= took_over + unidentified,
            "the deaths of (worker, process) {missing:?} were not reported: {took_over} successors \
             can have died before they recorded a report, and {unidentified} reports had no identity"
        );
    }
}

/// Returns whether another worker of the round has had the same process id.
fn same_id(ledger: &Ledger, number: u64) -> bool {
    let id = ledger.process(number);
    (1..=ROUND + WORKERS as u64).any(|other| other != number && ledger.process(other) == id)
}

/// A worker, with what it works on.
struct Worker<'w> {
    number: u64,
    ledger: &'w Ledger,
    segment: &'w Segment,
}

impl Worker<'_> {
    /// Records the state of a lock before and after an operation.
    fn owns(&self, which: Which, state: u64) {
        if self.number != CONTROL {
            self.ledger.set_state(self.number, which, state);
        }
    }

    /// Fails because a lock was not acquired within `LONGEST`, and reports its state, its owner and the
    /// participants.
    fn fail_of_timeout(&self, lock: &str, error: &Error) {
        self.ledger.check(false, || {
            let info = self.segment.inspect();
            let participants = info.as_ref().map(|info| &info.participants);
            let objects = info.as_ref().map(|info| &info.objects);
            let state = objects.map(|all| all.iter().find(|one| one.name == lock).map(|one| &one.state));
            format!(
                "worker {} has waited for {lock:?} for {LONGEST:?} ({error}); its state: {state:#?}; \
                 participants: {participants:#?}",
                self.number
            )
        });
    }
}

struct Objects {
    accounts: Mutex<[i64; 2]>,
    pair: RwLock<[u64; 2]>,
    latest: Latest<[u64; 16]>,
    ball: Event,
    back: Event,
    notify: EventCount,
    once: OnceLock<u64>,
}

impl Objects {
    fn of(segment: &Segment) -> Result<Self, Error> {
        Ok(Objects {
            accounts: segment.mutex("accounts")?,
            pair: segment.rwlock("pair")?,
            latest: segment.latest("latest")?,
            ball: segment.auto_reset_event("ball")?,
            back: segment.auto_reset_event("back")?,
            notify: segment.event_count("notify")?,
            once: segment.once_lock("once")?,
        })
    }
}

/// Stays for a moment in a state in which being killed matters.
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
    let number: u64 = role.argument(3).parse().unwrap();
    let slots = role.argument(4).parse().unwrap();
    ledger.record(number, 0).store(std::process::id().into(), SeqCst).unwrap();
    let opened = ledger.timed(|| options(slots).open_or_create(role.argument(0)));
    ledger.check(opened.is_ok(), || format!("cannot open: {opened:?}"));
    let segment = opened.unwrap().0;
    let objects = ledger.timed(|| Objects::of(&segment));
    ledger.check(objects.is_ok(), || format!("no objects: {:?}", objects.as_ref().err()));
    let objects = objects.unwrap();
    ledger.add(Tally::Opened, 1);
    let by = Worker { number, ledger: &ledger, segment: &segment };
    let (mut seen, mut notified) = (0, 0);
    while ledger.get(Tally::Stop) == 0 {
        match random.below(12) {
            0..=2 => transfer(&objects.accounts, &by, &mut random, true),
            3 | 4 => write(&objects.pair, &by, &mut random, true),
            5..=7 => read(&objects.pair, &by, &mut random),
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

/// How long an operation blocks.
#[derive(Clone, Copy, PartialEq)]
enum Wait {
    Not,
    Short(Duration),
    Longest,
}

impl Wait {
    /// Returns, out of `of` choices, one short wait, one that does not block, and otherwise the longest.
    fn any(random: &mut Random, of: u64, short: u64) -> Self {
        match random.below(of) {
            1 => Wait::Not,
            2 => Wait::Short(Duration::from_micros(random.below(short))),
            _ => Wait::Longest,
        }
    }
}

/// Moves an amount in two steps. A worker that finds only the first of them done, without a reported death,
/// fails.
fn transfer(accounts: &Mutex<[i64; 2]>, by: &Worker<'_>, random: &mut Random, may_leave: bool) {
    let wait = if may_leave { Wait::any(random, 8, 2000) } else { Wait::Longest };
    by.owns(Which::Accounts, owns::MAYBE_BEFORE);
    let result = by.ledger.timed(|| match wait {
        Wait::Not => accounts.try_lock(),
        Wait::Short(time) => accounts.lock_timeout(time),
        Wait::Longest => accounts.lock_timeout(LONGEST),
    });
    match result {
        Ok(guard) => {
            by.owns(Which::Accounts, owns::CERTAINLY);
            let sum = guard.get().unwrap().iter().sum::<i64>();
            by.ledger.check(sum == 0, || format!("the accounts are off by {sum}, and no death was reported"));
            transfer_holding(guard, by, random);
        }
        Err(LockError::OwnerDied(owner)) => {
            let dead = by.ledger.note_report(by.number, Which::Accounts, &owner, true);
            by.owns(Which::Accounts, owns::CERTAINLY);
            by.ledger.add(Tally::MutexDeaths, 1);
            if may_leave && random.below(4) == 0 {
                // Leave the data unrepaired: the next owner must receive the report as well.
                by.ledger.leave_report(dead, Which::Accounts);
                by.owns(Which::Accounts, owns::MAYBE_AFTER);
                drop(owner);
            } else {
                let mut guard = owner.into_guard();
                let [here, there] = guard.get().unwrap();
                if here + there != 0 {
                    by.ledger.add(Tally::HalfChanges, 1);
                    linger(random);
                    guard.write_all_at(&(-there).to_le_bytes(), 0).unwrap();
                }
                by.ledger.add(Tally::MutexRepaired, 1);
                guard.declare_consistent().unwrap();
                transfer_holding(guard, by, random);
            }
        }
        Err(LockError::WouldBlock(_)) if wait == Wait::Not => {}
        Err(LockError::TimedOut(_)) if matches!(wait, Wait::Short(_)) => {}
        Err(LockError::TimedOut(error)) => by.fail_of_timeout("accounts", &error),
        Err(error) => by.ledger.check(false, || format!("accounts: {error}")),
    }
    by.owns(Which::Accounts, owns::NOT);
}

fn transfer_holding(mut guard: MutexGuard<'_, [i64; 2]>, by: &Worker<'_>, random: &mut Random) {
    let [here, there] = guard.get().unwrap();
    let amount = i64::try_from(random.below(1000)).unwrap();
    guard.write_all_at(&(here - amount).to_le_bytes(), 0).unwrap();
    linger(random);
    guard.write_all_at(&(there + amount).to_le_bytes(), 8).unwrap();
    by.owns(Which::Accounts, owns::MAYBE_AFTER);
}

fn write(pair: &RwLock<[u64; 2]>, by: &Worker<'_>, random: &mut Random, may_leave: bool) {
    let wait = if may_leave { Wait::any(random, 6, 500) } else { Wait::Longest };
    by.owns(Which::Pair, owns::MAYBE_BEFORE);
    let result = by.ledger.timed(|| match wait {
        Wait::Not => pair.try_write(),
        Wait::Short(time) => pair.write_timeout(time),
        Wait::Longest => pair.write_timeout(LONGEST),
    });
    match result {
        Ok(guard) => {
            by.owns(Which::Pair, owns::CERTAINLY);
            let found = guard.get().unwrap();
            by.ledger.check(found[0] == found[1], || {
                format!("pair to write: {found:x?}, and no death was reported")
            });
            write_holding(guard, by, random);
        }
        Err(LockError::OwnerDied(owner)) => {
            // (The death is reported to readers as well, and possibly late, so not to one process at a time.)
            by.ledger.note_report(by.number, Which::Pair, &owner, false);
            by.owns(Which::Pair, owns::CERTAINLY);
            by.ledger.add(Tally::RwDeaths, 1);
            if may_leave && random.below(4) == 0 {
                by.owns(Which::Pair, owns::MAYBE_AFTER);
                drop(owner);
            } else {
                let mut guard = owner.into_guard();
                let [first, second] = guard.get().unwrap();
                if first != second {
                    by.ledger.add(Tally::HalfChanges, 1);
                    linger(random);
                    guard.write_all_at(&first.to_le_bytes(), 8).unwrap();
                }
                by.ledger.add(Tally::RwRepaired, 1);
                guard.declare_consistent().unwrap();
                write_holding(guard, by, random);
            }
        }
        Err(LockError::WouldBlock(_)) if wait == Wait::Not => {}
        Err(LockError::TimedOut(_)) if matches!(wait, Wait::Short(_)) => {}
        Err(LockError::TimedOut(error)) => by.fail_of_timeout("pair", &error),
        Err(error) => by.ledger.check(false, || format!("pair to write: {error}")),
    }
    by.owns(Which::Pair, owns::NOT);
}

fn write_holding(mut guard: RwLockWriteGuard<'_, [u64; 2]>, by: &Worker<'_>, random: &mut Random) {
    let value = random.next();
    guard.write_all_at(&value.to_le_bytes(), 0).unwrap();
    linger(random);
    guard.write_all_at(&value.to_le_bytes(), 8).unwrap();
    by.owns(Which::Pair, owns::MAYBE_AFTER);
}

fn read(pair: &RwLock<[u64; 2]>, by: &Worker<'_>, random: &mut Random) {
    let wait = Wait::any(random, 6, 500);
    let result = by.ledger.timed(|| match wait {
        Wait::Not => pair.try_read(),
        Wait::Short(time) => pair.read_timeout(time),
        Wait::Longest => pair.read_timeout(LONGEST),
    });
    match result {
        Ok(guard) => {
            let first = guard.get().unwrap();
            linger(random);
            let second = guard.get().unwrap();
            by.ledger.check(first[0] == first[1] && first == second, || {
                format!("pair to read: {first:x?}, then {second:x?}, and no death was reported")
            });
        }
        Err(LockError::OwnerDied(owner)) => {
            by.ledger.note_report(by.number, Which::Pair, &owner, false);
            by.ledger.add(Tally::RwDeaths, 1);
            // It may be half changed, but no process writes to it now.
            let guard = owner.into_guard();
            let first = guard.get().unwrap();
            linger(random);
            let second = guard.get().unwrap();
            by.ledger.check(first == second, || format!("written while read: {first:x?}, then {second:x?}"));
        }
        Err(LockError::WouldBlock(_)) if wait == Wait::Not => {}
        Err(LockError::TimedOut(_)) if matches!(wait, Wait::Short(_)) => {}
        Err(LockError::TimedOut(error)) => by.fail_of_timeout("pair", &error),
        Err(error) => by.ledger.check(false, || format!("pair to read: {error}")),
    }
}

/// Returns a value whose consistency can be checked.
fn filled(number: u64) -> [u64; 16] {
    core::array::from_fn(|index| number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(index as u32))
}

fn publish(latest: &Latest<[u64; 16]>, ledger: &Ledger, random: &mut Random) {
    let mut writer = match latest.acquire_writer() {
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
        Ok(None) => ledger.check(*seen == 0, || "the latest value has disappeared".to_owned()),
        Ok(Some(Published { number, value, .. })) => {
            ledger.check(value == filled(number), || format!("torn: {number}: {value:x?}"));
            ledger.check(number >= *seen, || format!("went back from {seen} to {number}"));
            *seen = number;
        }
        // `Busy` after a thousand failed attempts is a documented error.
        Err(error) => ledger.check(error.kind() == ErrorKind::Busy, || format!("latest: {error}")),
    }
}

fn ping(objects: &Objects, ledger: &Ledger, random: &mut Random, notified: &mut u32) {
    // The process that would answer may have been killed, so the waits are short.
    let soon = Instant::now() + Duration::from_micros(random.below(3000));
    let answered: Result<(), WaitError> = match random.below(4) {
        0 => objects.ball.set().map_err(WaitError::Failed).and_then(|()| objects.back.wait_deadline(soon)),
        1 => objects.ball.wait_deadline(soon).and_then(|()| objects.back.set().map_err(WaitError::Failed)),
        2 => Event::wait_any_deadline(&[&objects.ball, &objects.back], soon).map(drop),
        _ => objects
            .notify
            .notify()
            .map_err(WaitError::Failed)
            .and_then(|()| objects.notify.wait_past_deadline(*notified, soon))
            .map(|count| *notified = count),
    };
    let is_answered = matches!(answered, Ok(()) | Err(WaitError::TimedOut(_)));
    ledger.check(is_answered, || format!("events: {answered:?}"));
}
