//! Processes at work on every kind of object, killed at any instant: what they promise each other holds.

use std::process::{Child, Stdio};
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use mmf::sync::{
    Event, EventCount, Latest, LockError, Mutex, MutexGuard, OnceLock, OwnerDied, Published, RwLock,
    RwLockWriteGuard, WaitError,
};
use mmf::{Error, ErrorKind, Segment, SegmentOptions, SharedMemory, View};
use testkit::{Role, WATCHDOG, unique_name};

use crate::random::{Random, seed, wish};

const LEN: u64 = 64 * 1024;
/// Fewer than are killed in a round, so that the places of the dead must be used again; and in every other round one for each, so that
/// all the dead can be named.
const PLACES: [u32; 2] = [12, 300];
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
    OwnersKilled,
    OwnersTold,
    MaybeOwnersKilled,
    MaybeOwnersTold,
    Nameless,
    NotByName,
    SameProcessId,
}

/// The locks whose owners are written down.
#[derive(Clone, Copy, PartialEq)]
enum Which {
    Accounts,
    Pair,
}

/// What a process has last written down of a lock, and what others have of its death. In between it may have the lock or not.
mod owns {
    /// It has let go, and not begun again.
    pub(super) const NOT: u64 = 0;
    /// About to lock, or refused, or has the lock and has not got so far as to write it down.
    pub(super) const MAYBE_BEFORE: u64 = 1;
    pub(super) const CERTAINLY: u64 = 2;
    /// About to let go, or has.
    pub(super) const MAYBE_AFTER: u64 = 3;
}

/// Nobody has the news of a death in hand: nobody was told yet, or who was told left it to the next one.
const NOBODY: u64 = 0;
/// The controlling process, where workers have their numbers (from 1 on).
const CONTROL: u64 = 0;
/// Behind the tallies: one record for each worker of a round, of eight words.
const RECORDS: usize = 4096;
const LEDGER_LEN: u64 = 4096 + (ROUND + WORKERS as u64 + 1) * 64;

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

    fn record(&self, number: u64, word: usize) -> mmf::view::Atomic<'_, u64> {
        self.0.atomic_u64(RECORDS + number as usize * 64 + word * 8).unwrap()
    }

    /// Process id, then for each lock: how far its owner is, how often others were told of its death, and who has that news in hand.
    fn process(&self, number: u64) -> u64 {
        self.record(number, 0).load(SeqCst).unwrap()
    }

    fn state(&self, number: u64, which: Which) -> u64 {
        self.record(number, 1 + which as usize * 3).load(SeqCst).unwrap()
    }

    fn set_state(&self, number: u64, which: Which, state: u64) {
        self.record(number, 1 + which as usize * 3).store(state, SeqCst).unwrap();
    }

    fn told(&self, number: u64, which: Which) -> u64 {
        self.record(number, 2 + which as usize * 3).load(SeqCst).unwrap()
    }

    /// One who was told of a death writes it down, and checks that nobody else still has the same news in hand.
    fn note_told<G>(&self, me: u64, which: Which, owner: &OwnerDied<G>, exclusive: bool) -> Option<u64> {
        let left = self.record(CONTROL, 2 + which as usize * 3).swap(0, SeqCst).unwrap() != 0;
        let Some(process) = owner.process() else {
            // Its place had been taken again. (And not counted twice, if it was left to us.)
            self.record(CONTROL, 1 + which as usize * 3).fetch_add(u64::from(!left), SeqCst).unwrap();
            return None;
        };
        let of_that_id =
            (1..=ROUND + WORKERS as u64).filter(|number| self.process(*number) == process.id.into());
        let dead: Vec<u64> = of_that_id.collect();
        self.check(!dead.is_empty(), || format!("told of the death of {process:?}, who is none of us"));
        for number in &dead {
            self.record(*number, 2 + which as usize * 3).fetch_add(1, SeqCst).unwrap();
        }
        let [dead] = dead[..] else {
            self.add(Tally::SameProcessId, 1);
            return None;
        };
        if exclusive {
            // (+ 1, so that the controlling process is somebody.)
            let before = self.record(dead, 3 + which as usize * 3).swap(me + 1, SeqCst).unwrap();
            self.check(before == NOBODY, || {
                format!("{process:?} died once, and worker {me} was told after worker {}", before - 1)
            });
        }
        Some(dead)
    }

    /// Who was told leaves the news to the next one.
    fn leave_news(&self, dead: Option<u64>, which: Which) {
        match dead {
            Some(dead) => self.record(dead, 3 + which as usize * 3).store(NOBODY, SeqCst).unwrap(),
            None => self.record(CONTROL, 2 + which as usize * 3).store(1, SeqCst).unwrap(),
        }
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

fn options(places: u32) -> SegmentOptions {
    SegmentOptions::new().len(LEN).participants(places).ready_timeout(LONGEST)
}

pub(crate) fn invariants_outlive_killed_processes() {
    let kills = wish("MMF_TORTURE_KILLS").unwrap_or(if testkit::under_wine() { 40 } else { 500 });
    let seed = seed();
    let mut random = Random::new(seed);
    let begun = Instant::now();
    let ledger_name = unique_name("ledger");
    let ledger = Ledger(SharedMemory::create(&ledger_name, LEDGER_LEN).unwrap().view().unwrap());
    let mut done = 0;
    let mut handles = None;
    while done < kills {
        let now = ROUND.min(kills - done);
        round(&ledger, &ledger_name, &mut random, now, PLACES[(done / ROUND % 2) as usize]);
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
    println!(
        "of the processes killed while others kept the segment, {} had a lock for certain and {} perhaps; told of by name: {} and {}; the other \
         {} were taken over by somebody who was killed before he could tell, or their place was taken before they were missed: \
         {} times somebody was told of a death without a name; process ids that came again: {}",
        ledger.get(Tally::OwnersKilled),
        ledger.get(Tally::MaybeOwnersKilled),
        ledger.get(Tally::OwnersTold),
        ledger.get(Tally::MaybeOwnersTold),
        ledger.get(Tally::NotByName),
        ledger.get(Tally::Nameless),
        ledger.get(Tally::SameProcessId),
    );
    assert!(ledger.get(Tally::Operations) > 0, "nobody did anything");
    if kills >= 5000 {
        assert!(
            told > 0 && ledger.get(Tally::HalfChanges) > 0 && ledger.get(Tally::OwnersTold) > 0,
            "no kill has met anybody in the middle of a change"
        );
    }
    // Each time the data are declared consistent ends a damage that a death has begun.
    assert!(ledger.get(Tally::MutexMended) <= done, "told of more deaths than there were");
    assert!(ledger.get(Tally::RwMended) <= done, "told of more deaths than there were");
}

/// They end with the test, also if it fails: they would go on for ever.
struct Workers(Vec<(Child, u64)>);

impl Drop for Workers {
    fn drop(&mut self) {
        for (worker, _) in &mut self.0 {
            // (Those that have ended cannot be killed.)
            let _ = worker.kill();
            let _ = worker.wait();
        }
    }
}

/// Workers on one segment, killed and replaced until there were so many kills; then the rest ends by itself.
fn round(ledger: &Ledger, ledger_name: &str, random: &mut Random, kills: u64, places: u32) {
    let name = unique_name("torture");
    ledger.set(Tally::Stop, 0);
    ledger.0.fill(0, RECORDS..RECORDS + LEDGER_LEN as usize - RECORDS).unwrap();
    let mut number = CONTROL;
    let mut start = |random: &mut Random| {
        number += 1;
        let mut command = testkit::command_for_role(
            "kills::role_work",
            &[&name, ledger_name, &random.next().to_string(), &number.to_string(), &places.to_string()],
        );
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
        (command.spawn().unwrap(), number)
    };
    // Whom others must be told of: those killed from when on the segment cannot go with the last of them.
    let (mut killed, mut counted_from) = (Vec::new(), usize::MAX);
    let mut workers = Workers((0..WORKERS).map(|_| start(random)).collect());
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
        let victim = random.below(workers.0.len() as u64) as usize;
        if let Some(ending) = workers.0[victim].0.try_wait().unwrap() {
            panic!("a worker has ended before it was killed: {ending}");
        }
        workers.0[victim].0.kill().unwrap();
        workers.0[victim].0.wait().unwrap();
        killed.push(workers.0[victim].1);
        workers.0[victim] = start(random);
        assert_eq!(ledger.get(Tally::Wrong), 0, "a worker has found what must not be (above)");
        let now = ledger.get(Tally::Operations);
        if now != operations {
            (operations, moved) = (now, Instant::now());
        }
        assert!(moved.elapsed() < WATCHDOG, "nobody gets on");
        // Until then whoever makes the segment may be killed, and the last to have it.
        if kill == kills / 4 {
            segment = Some(options(places).open_or_create(&name).unwrap().0);
            counted_from = killed.len();
        }
    }
    ledger.set(Tally::Stop, 1);
    // Nobody is killed any more, and nobody may be left waiting for the dead.
    let stopped = Instant::now();
    for (worker, number) in &mut workers.0 {
        let ending = loop {
            if let Some(ending) = worker.try_wait().unwrap() {
                break ending;
            }
            if stopped.elapsed() > WATCHDOG {
                let state = segment.as_ref().map(Segment::inspect);
                panic!("worker {number}, process {}, does not come to its end: {state:#?}", worker.id());
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        assert!(ending.success(), "a worker failed: {ending:?}");
    }
    assert_eq!(ledger.get(Tally::Wrong), 0, "a worker has found what must not be (above)");
    if let Some(segment) = segment {
        let alive = segment.participants().unwrap().iter().filter(|who| who.alive).count();
        assert_eq!(alive, 1, "participants when all others have ended");
        // One who has come last finds all in order, or is told.
        let objects = Objects::of(&segment).unwrap();
        let by = Worker { number: CONTROL, ledger, segment: &segment };
        transfer(&objects.accounts, &by, &mut Random::new(1), false);
        write(&objects.pair, &by, &mut Random::new(1), false);
        deaths_were_told(ledger, &killed, counted_from, places == PLACES[1]);
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

/// Death by death: who had a lock was told of, once; who had none was not.
///
/// Two exceptions are in the nature of it. Who takes a lock over from a dead one may be killed before he can say so: then he is the dead
/// owner, and others are told of him. And who comes in may be given the place of the dead: then it is told that somebody died, not who.
fn deaths_were_told(ledger: &Ledger, killed: &[u64], counted_from: usize, all_have_names: bool) {
    for which in [Which::Accounts, Which::Pair] {
        let (mut missing, mut took_over) = (Vec::new(), 0);
        for (at, number) in killed.iter().enumerate() {
            let (state, told) = (ledger.state(*number, which), ledger.told(*number, which) > 0);
            if state == owns::NOT {
                let process = ledger.process(*number);
                assert!(!told || same_id(ledger, *number), "told of process {process}, which had nothing");
            }
            if at < counted_from {
                continue;
            }
            match state {
                owns::NOT => {}
                owns::CERTAINLY => {
                    ledger.add(Tally::OwnersKilled, 1);
                    ledger.add(Tally::OwnersTold, u64::from(told));
                    if !told {
                        missing.push((*number, ledger.process(*number)));
                    }
                }
                _ => {
                    ledger.add(Tally::MaybeOwnersKilled, 1);
                    ledger.add(Tally::MaybeOwnersTold, u64::from(told));
                    took_over += u64::from(told && state == owns::MAYBE_BEFORE);
                }
            }
        }
        let nameless = ledger.record(CONTROL, 1 + which as usize * 3).load(SeqCst).unwrap();
        assert!(nameless == 0 || !all_have_names, "told {nameless} times of a death without a name");
        ledger.add(Tally::Nameless, nameless);
        ledger.add(Tally::NotByName, missing.len() as u64);
        assert!(
            missing.len() as u64 <= took_over + nameless,
            "nobody was told of the deaths of (worker, process) {missing:?}: {took_over} can have died before telling, and {nameless} \
             were told of somebody who cannot be named any more"
        );
    }
}

/// Whether another worker of the round has had its process id.
fn same_id(ledger: &Ledger, number: u64) -> bool {
    let id = ledger.process(number);
    (1..=ROUND + WORKERS as u64).any(|other| other != number && ledger.process(other) == id)
}

/// Who works, and where.
struct Worker<'w> {
    number: u64,
    ledger: &'w Ledger,
    segment: &'w Segment,
}

impl Worker<'_> {
    /// Says how far it is with a lock, before and after.
    fn owns(&self, which: Which, state: u64) {
        if self.number != CONTROL {
            self.ledger.set_state(self.number, which, state);
        }
    }

    /// A lock was not got in the longest time that anybody may wait: which one, who has it, and whether that one lives.
    fn waited_in_vain(&self, lock: &str, error: &Error) {
        self.ledger.check(false, || {
            let info = self.segment.inspect();
            let participants = info.as_ref().map(|info| &info.participants);
            let objects = info.as_ref().map(|info| &info.objects);
            let state = objects.map(|all| all.iter().find(|one| one.name == lock).map(|one| &one.state));
            format!(
                "worker {} has waited for {lock:?} for {LONGEST:?} ({error}); its state: {state:#?}; participants: {participants:#?}",
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
    let number: u64 = role.argument(3).parse().unwrap();
    let places = role.argument(4).parse().unwrap();
    ledger.record(number, 0).store(std::process::id().into(), SeqCst).unwrap();
    let opened = ledger.timed(|| options(places).open_or_create(role.argument(0)));
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

/// How long an operation may wait.
#[derive(Clone, Copy, PartialEq)]
enum Wait {
    Not,
    Short(Duration),
    Longest,
}

impl Wait {
    /// One of so many waits each is short, and one none at all.
    fn any(random: &mut Random, of: u64, short: u64) -> Self {
        match random.below(of) {
            1 => Wait::Not,
            2 => Wait::Short(Duration::from_micros(random.below(short))),
            _ => Wait::Longest,
        }
    }
}

/// Takes here and gives there, in two steps. Whoever finds half of that without having been told says so.
fn transfer(accounts: &Mutex<[i64; 2]>, by: &Worker<'_>, random: &mut Random, may_leave: bool) {
    let wait = if may_leave { Wait::any(random, 8, 2000) } else { Wait::Longest };
    by.owns(Which::Accounts, owns::MAYBE_BEFORE);
    let got = by.ledger.timed(|| match wait {
        Wait::Not => accounts.try_lock(),
        Wait::Short(time) => accounts.lock_timeout(time),
        Wait::Longest => accounts.lock_timeout(LONGEST),
    });
    match got {
        Ok(guard) => {
            by.owns(Which::Accounts, owns::CERTAINLY);
            let sum = guard.get().unwrap().iter().sum::<i64>();
            by.ledger.check(sum == 0, || format!("accounts in disorder by {sum}, and nobody said so"));
            transfer_holding(guard, by, random);
        }
        Err(LockError::OwnerDied(owner)) => {
            let dead = by.ledger.note_told(by.number, Which::Accounts, &owner, true);
            by.owns(Which::Accounts, owns::CERTAINLY);
            by.ledger.add(Tally::MutexTold, 1);
            if may_leave && random.below(4) == 0 {
                // Not looked at: the next one is to be told as well.
                by.ledger.leave_news(dead, Which::Accounts);
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
                by.ledger.add(Tally::MutexMended, 1);
                guard.declare_consistent().unwrap();
                transfer_holding(guard, by, random);
            }
        }
        Err(LockError::WouldBlock(_)) if wait == Wait::Not => {}
        Err(LockError::TimedOut(_)) if matches!(wait, Wait::Short(_)) => {}
        Err(LockError::TimedOut(error)) => by.waited_in_vain("accounts", &error),
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
    let got = by.ledger.timed(|| match wait {
        Wait::Not => pair.try_write(),
        Wait::Short(time) => pair.write_timeout(time),
        Wait::Longest => pair.write_timeout(LONGEST),
    });
    match got {
        Ok(guard) => {
            by.owns(Which::Pair, owns::CERTAINLY);
            let found = guard.get().unwrap();
            by.ledger.check(found[0] == found[1], || format!("pair to write: {found:x?}, not told"));
            write_holding(guard, by, random);
        }
        Err(LockError::OwnerDied(owner)) => {
            // (Readers are told, too, and may be told late: so not by one at a time.)
            by.ledger.note_told(by.number, Which::Pair, &owner, false);
            by.owns(Which::Pair, owns::CERTAINLY);
            by.ledger.add(Tally::RwTold, 1);
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
                by.ledger.add(Tally::RwMended, 1);
                guard.declare_consistent().unwrap();
                write_holding(guard, by, random);
            }
        }
        Err(LockError::WouldBlock(_)) if wait == Wait::Not => {}
        Err(LockError::TimedOut(_)) if matches!(wait, Wait::Short(_)) => {}
        Err(LockError::TimedOut(error)) => by.waited_in_vain("pair", &error),
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
    let got = by.ledger.timed(|| match wait {
        Wait::Not => pair.try_read(),
        Wait::Short(time) => pair.read_timeout(time),
        Wait::Longest => pair.read_timeout(LONGEST),
    });
    match got {
        Ok(guard) => {
            let first = guard.get().unwrap();
            linger(random);
            let second = guard.get().unwrap();
            by.ledger.check(first[0] == first[1] && first == second, || {
                format!("pair to read, not told: {first:x?}, and then {second:x?}")
            });
        }
        Err(LockError::OwnerDied(owner)) => {
            by.ledger.note_told(by.number, Which::Pair, &owner, false);
            by.ledger.add(Tally::RwTold, 1);
            // It may be half a change; but nobody writes on.
            let guard = owner.into_guard();
            let first = guard.get().unwrap();
            linger(random);
            let second = guard.get().unwrap();
            by.ledger
                .check(first == second, || format!("written while read: {first:x?}, and then {second:x?}"));
        }
        Err(LockError::WouldBlock(_)) if wait == Wait::Not => {}
        Err(LockError::TimedOut(_)) if matches!(wait, Wait::Short(_)) => {}
        Err(LockError::TimedOut(error)) => by.waited_in_vain("pair", &error),
        Err(error) => by.ledger.check(false, || format!("pair to read: {error}")),
    }
}

/// A value from which it can be told whether it is whole.
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
        Ok(None) => ledger.check(*seen == 0, || "the latest value is gone".to_owned()),
        Ok(Some(Published { number, value, .. })) => {
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
