//! Torture: several processes do random things with one segment, and are killed at random instants, again and again. What has to hold
//! all the time is checked by each of them, and once more when all are dead.
//!
//! `MMF_TORTURE_KILLS` says how many are killed (`ci/torture.sh`: ten thousand), `MMF_TORTURE_SEED` repeats a run's random numbers (the
//! instants are the machine's own).
#![allow(clippy::unwrap_used, reason = "a test")]

use std::io::Read;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mmf::sync::{LockError, Mutex, RwLock, WaitCell};
use mmf::{ErrorKind, Segment, SharedMemory};
use testkit::{Role, WATCHDOG, unique_name};

/// How many live at any time.
const WORKERS: usize = 4;

fn main() {
    testkit::run(&[("random_kills", random_kills)], &[("worker", worker)]);
}

/// Numbers that look random, and come again for the same seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, most: u64) -> u64 {
        self.next() % most
    }
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// What all of them work on.
struct Table {
    segment: Segment,
    /// What one has, the other lacks.
    accounts: Mutex<[i64; 2]>,
    /// Both are the same.
    pair: RwLock<[u64; 2]>,
    /// How many have been told that somebody had died, and the longest wait in microseconds.
    told: WaitCell,
    longest: WaitCell,
    rounds: WaitCell,
}

impl Table {
    fn new(segment: Segment) -> Self {
        Table {
            accounts: segment.mutex("accounts").unwrap(),
            pair: segment.rwlock("pair").unwrap(),
            told: segment.wait_cell("told").unwrap(),
            longest: segment.wait_cell("longest").unwrap(),
            rounds: segment.wait_cell("rounds").unwrap(),
            segment,
        }
    }

    /// Does it, and notes how long it took.
    fn timed<T>(&self, call: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = call();
        let took = u32::try_from(start.elapsed().as_micros()).unwrap_or(u32::MAX);
        let mut longest = self.longest.load().unwrap();
        while took > longest {
            match self.longest.compare_exchange(longest, took).unwrap() {
                Ok(_) => break,
                Err(now) => longest = now,
            }
        }
        result
    }

    /// Moves something from one account to the other, in two steps.
    fn transfer(&self, random: &mut Random) {
        let mut guard = match self.timed(|| self.accounts.lock_timeout(WATCHDOG / 2)) {
            Ok(guard) => {
                let [one, other] = guard.get().unwrap();
                assert_eq!(one, -other, "half a change, and nobody has been told of a death");
                guard
            }
            Err(LockError::OwnerDied(owner)) => {
                let mut guard = owner.into_guard();
                self.told.fetch_add(1).unwrap();
                let [one, _] = guard.get().unwrap();
                guard.set(&[one, -one]).unwrap();
                guard.declare_consistent().unwrap();
                guard
            }
            Err(error) => panic!("{error}"),
        };
        let [one, other] = guard.get().unwrap();
        let sum = i64::from(u32::try_from(random.below(100)).unwrap());
        guard.set(&[one - sum, other]).unwrap();
        for _ in 0..random.below(2000) {
            std::hint::spin_loop();
        }
        guard.set(&[one - sum, other + sum]).unwrap();
    }

    fn write_pair(&self, random: &mut Random) {
        let mut guard = match self.timed(|| self.pair.write_timeout(WATCHDOG / 2)) {
            Ok(guard) => guard,
            Err(LockError::OwnerDied(owner)) => {
                let mut guard = owner.into_guard();
                self.told.fetch_add(1).unwrap();
                let [one, _] = guard.get().unwrap();
                guard.set(&[one, one]).unwrap();
                guard.declare_consistent().unwrap();
                guard
            }
            Err(error) => panic!("{error}"),
        };
        let [one, other] = guard.get().unwrap();
        assert_eq!(one, other, "half a change, and nobody has been told of a death");
        guard.set(&[one + 1, other]).unwrap();
        for _ in 0..random.below(1000) {
            std::hint::spin_loop();
        }
        guard.set(&[one + 1, one + 1]).unwrap();
    }

    fn read_pair(&self) {
        match self.timed(|| self.pair.read_timeout(WATCHDOG / 2)) {
            Ok(guard) => {
                let [one, other] = guard.get().unwrap();
                assert_eq!(one, other, "half a change, and nobody has been told of a death");
            }
            // Who may only read leaves it to the next writer to mend it.
            Err(LockError::OwnerDied(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn publish_and_read(&self, random: &mut Random) {
        let latest = self.segment.latest::<[u64; 8]>("latest").unwrap();
        if random.below(2) == 0 {
            // Somebody else may be the writer.
            if let Ok(mut writer) = latest.writer() {
                for _ in 0..random.below(20) {
                    let value = random.next();
                    writer.publish(&[value; 8]).unwrap();
                }
            }
        }
        match latest.read() {
            Ok(Some(value)) => assert!(value.iter().all(|word| *word == value[0]), "torn: {value:x?}"),
            Ok(None) => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn events(&self, random: &mut Random) {
        let (auto, manual) =
            (self.segment.event("auto").unwrap(), self.segment.manual_event("manual").unwrap());
        let notify = self.segment.notify("notify").unwrap();
        match random.below(6) {
            0 => auto.set().unwrap(),
            1 => drop(auto.wait_timeout(Duration::from_micros(500)).unwrap()),
            2 => manual.set().unwrap(),
            3 => drop(manual.reset().unwrap()),
            4 => notify.notify().unwrap(),
            _ => {
                let soon = Instant::now() + Duration::from_micros(500);
                let seen = notify.count().unwrap();
                notify.wait_past(seen, Some(soon)).unwrap();
            }
        }
        assert_eq!(self.segment.once::<u64>("once").unwrap().get_or_init(|| 4711).unwrap(), 4711);
    }
}

fn worker(role: &mut Role) {
    let mut random = Random(role.argument(1).parse::<u64>().unwrap() | 1);
    let table = Table::new(Segment::open(role.argument(0)).unwrap());
    loop {
        match random.below(10) {
            0..3 => table.transfer(&mut random),
            3..5 => table.write_pair(&mut random),
            5..7 => table.read_pair(),
            7..9 => table.publish_and_read(&mut random),
            _ => table.events(&mut random),
        }
        table.rounds.fetch_add(1).unwrap();
    }
}

struct Worker(Child);

impl Worker {
    fn start(name: &str, random: &mut Random) -> Self {
        let mut command = testkit::command_for_role("worker", &[name, &random.next().to_string()]);
        Worker(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap())
    }

    /// One that has ended by itself has found something wrong.
    fn kill(&mut self) {
        if self.0.try_wait().unwrap().is_some() {
            let mut text = String::new();
            let _ = self.0.stderr.take().unwrap().read_to_string(&mut text);
            panic!("a worker has found something wrong:\n{text}");
        }
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn random_kills() {
    let kills = variable("MMF_TORTURE_KILLS").unwrap_or(if testkit::under_wine() { 20 } else { 300 });
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos();
    let seed = variable("MMF_TORTURE_SEED").unwrap_or(u64::from(time)) | 1;
    let mut random = Random(seed);
    let name = unique_name("torture");
    let table = Table::new(Segment::create(&*name, 256 * 1024).unwrap());
    let handles = testkit::open_handles();
    let start = Instant::now();
    let mut workers: Vec<_> = (0..WORKERS).map(|_| Worker::start(&name, &mut random)).collect();
    let (mut rounds, mut most_places) = (0, 0);
    for kill in 0..kills {
        std::thread::sleep(Duration::from_micros(random.below(if testkit::under_wine() {
            60_000
        } else {
            3000
        })));
        let chosen = usize::try_from(random.below(WORKERS as u64)).unwrap();
        workers[chosen].kill();
        workers[chosen] = Worker::start(&name, &mut random);
        if kill % 100 == 99 {
            // Somebody gets on, whoever was killed.
            let before = rounds;
            testkit::wait_until("somebody gets on", || {
                rounds = table.rounds.load().unwrap();
                rounds != before
            });
            most_places = most_places.max(table.segment.participants().unwrap().len());
        }
    }
    workers.iter_mut().for_each(Worker::kill);
    drop(workers);
    // All are dead. What they have left can be got, and mended if it is said to be broken.
    let seconds = start.elapsed().as_secs_f64();
    table.transfer(&mut random);
    table.write_pair(&mut random);
    table.read_pair();
    table.publish_and_read(&mut random);
    let participants = table.segment.participants().unwrap();
    let alive = participants.iter().filter(|participant| participant.alive).count();
    assert_eq!(alive, 1, "only this process: {participants:?}");
    // The places of the dead are used again, when there are no others: nobody was ever turned away, however many had been there.
    let places = table.segment.inspect().unwrap().places;
    assert!(participants.len().max(most_places) <= places as usize);
    assert!(testkit::open_handles() <= handles + 8, "{} handles, {handles} before", testkit::open_handles());
    eprintln!(
        "seed {seed}: {kills} kills in {seconds:.1} s, {} rounds, {} told of a death, longest wait {} us, {} places",
        table.rounds.load().unwrap(),
        table.told.load().unwrap(),
        table.longest.load().unwrap(),
        participants.len().max(most_places)
    );
    drop(table);
    assert_eq!(SharedMemory::open(&*name).unwrap_err().kind(), ErrorKind::NotFound);
}
