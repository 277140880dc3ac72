//! Processes that fork, are stopped and continued, live in their own namespaces and run into their limits
//! while they use locks.
//!
//! There are two kinds of rounds. In a *calm* round no owner is killed, so no death may ever be reported, and
//! a lock never has two owners. In a *deadly* round owners are killed, and only their deaths may be reported.
//! In neither may a process stay blocked.

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Stdio};
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use mmf::sync::{LockError, Mutex, RwLock};
use mmf::{ErrorKind, Segment, SegmentOptions, SharedMemory, View};
use testkit::{Role, WATCHDOG, unique_name};

use crate::random::{Random, from_env, seed};
use crate::spaces::{SPACES, command_in, done, skip_if_emulated};

const LEN: u64 = 64 * 1024;
const WORKERS: usize = 6;
/// The acquisitions in a calm round, and the kills in a deadly one.
const ACQUISITIONS: u64 = 2000;
const KILLS: usize = 25;
/// The longest that any operation may block.
const LONGEST: Duration = Duration::from_secs(60);
const MOST_WORKERS: u64 = 120;

/// The words of the ledger.
#[derive(Clone, Copy)]
enum Word {
    Stop,
    Wrong,
    Acquired,
    Reported,
    Forked,
    Refused,
    Kernelless,
    /// The worker that owns the mutex, and the one that owns the rwlock for writing.
    Owner,
    Writer,
    /// From here on, two words for each worker: whether it can be stopped and killed, and whether it was
    /// killed.
    Workers,
}

struct Ledger(View);

impl Ledger {
    fn word(&self, word: Word) -> mmf::view::Atomic<'_, u64> {
        self.0.atomic_u64(word as usize * 8).unwrap()
    }

    fn get(&self, word: Word) -> u64 {
        self.word(word).load(SeqCst).unwrap()
    }

    fn add(&self, word: Word, count: u64) -> u64 {
        self.word(word).fetch_add(count, SeqCst).unwrap()
    }

    fn started(&self, worker: u64) -> mmf::view::Atomic<'_, u64> {
        self.0.atomic_u64((Word::Workers as usize + worker as usize * 2) * 8).unwrap()
    }

    fn killed(&self, worker: u64) -> mmf::view::Atomic<'_, u64> {
        self.0.atomic_u64((Word::Workers as usize + worker as usize * 2 + 1) * 8).unwrap()
    }

    #[track_caller]
    fn check(&self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.add(Word::Wrong, 1);
            panic!("{}", what());
        }
    }
}

fn options() -> SegmentOptions {
    SegmentOptions::new().len(LEN).participants(128).ready_timeout(LONGEST)
}

pub(crate) fn owners_under_unrest() {
    skip_if_emulated();
    for space in SPACES {
        let probed = command_in(space, "unrest::role_probe", &[]).output().unwrap();
        let text = String::from_utf8_lossy(&probed.stdout);
        if let Some(why) = text.lines().find_map(|line| line.strip_prefix("skip: ")) {
            testkit::skip(why);
        }
    }
    // In its own process, so that the mount of a small /dev/shm affects no other.
    let seed = seed();
    let rounds = from_env("MMF_TORTURE_UNREST").unwrap_or(2);
    for (small, rounds) in [(true, rounds.div_ceil(2)), (false, rounds / 2)] {
        let arguments = [seed.to_string(), rounds.to_string(), u8::from(small).to_string()];
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let space = if small { "small" } else { "" };
        let mut command = command_in(space, "unrest::role_rounds", &arguments);
        command.stderr(Stdio::inherit());
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        if let Some(why) = text.lines().find_map(|line| line.strip_prefix("skip: ")) {
            testkit::skip(why);
        }
        print!("{}", text.trim_start_matches("in\n"));
        assert!(output.status.success(), "{:?}", output.status);
    }
}

/// Does nothing: that it starts is enough.
pub(crate) fn role_probe(_: &mut Role) {}

pub(crate) fn role_rounds(role: &mut Role) {
    let number = |at: usize| role.argument(at).parse::<u64>().unwrap();
    let mut random = Random::new(number(0));
    for round in 0..number(1) {
        calm_or_deadly(&mut random, round % 2 == 1 || number(1) == 1, number(2) == 1);
        if number(1) == 1 {
            calm_or_deadly(&mut random, false, number(2) == 1);
        }
    }
}

struct Worker {
    child: Child,
    number: u64,
}

/// The workers, killed on drop even if the test fails.
struct Workers(Vec<Worker>);

impl Drop for Workers {
    fn drop(&mut self) {
        for worker in &mut self.0 {
            signal(process(worker), libc::SIGCONT);
            let _ = worker.child.kill();
            let _ = worker.child.wait();
        }
    }
}

/// Returns the process that plays the role: in a pid namespace of its own, it is the child of the started
/// process.
fn process(worker: &Worker) -> i32 {
    let id = worker.child.id();
    let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    let of_role = |child: &&str| {
        let line = std::fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
        let own = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        // (A child that a worker forked has the same command line.)
        !line.is_empty() && line != own
    };
    let inner = children.split_whitespace().find(of_role).and_then(|child| child.parse().ok());
    inner.unwrap_or_else(|| id.try_into().unwrap())
}

fn signal(process: i32, signal: i32) {
    // SAFETY: kill() has no memory preconditions. The parent has not reaped the process, so the id is still
    // its own.
    unsafe { libc::kill(process, signal) };
}

fn calm_or_deadly(random: &mut Random, deadly: bool, small: bool) {
    let begun = Instant::now();
    let (name, ledger_name) = (unique_name("unrest"), unique_name("unrest-ledger"));
    let len = (Word::Workers as u64 + MOST_WORKERS * 2) * 8;
    let ledger = Ledger(SharedMemory::create(&ledger_name, len).unwrap().view().unwrap());
    let segment = options().create(&name).unwrap();
    let mut last = 0;
    let mut start = |random: &mut Random| {
        last += 1;
        let space = SPACES[random.below(SPACES.len() as u64) as usize];
        let arguments = [&*name, &ledger_name, &random.next().to_string(), &last.to_string()];
        let mut command = command_in(space, "unrest::role_work", &arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
        Worker { child: command.spawn().unwrap(), number: last }
    };
    let mut workers = Workers((0..WORKERS).map(|_| start(random)).collect());
    let (mut kills, mut stops) = (0, 0);
    let (mut acquired, mut moved) = (0, Instant::now());
    while if deadly { kills < KILLS } else { ledger.get(Word::Acquired) < ACQUISITIONS } {
        assert_eq!(ledger.get(Word::Wrong), 0, "a worker detected a violation (above)");
        let now = ledger.get(Word::Acquired);
        if now != acquired {
            (acquired, moved) = (now, Instant::now());
        }
        assert!(moved.elapsed() < WATCHDOG, "no worker makes progress: {:#?}", segment.inspect());
        let worker = &mut workers.0[random.below(WORKERS as u64) as usize];
        if let Some(ending) = worker.child.try_wait().unwrap() {
            panic!("worker {} ended early: {ending}, signal {:?}", worker.number, ending.signal());
        }
        if ledger.started(worker.number).load(SeqCst).unwrap() == 0 {
            // Its process id is not known yet.
            std::thread::sleep(Duration::from_millis(1));
            continue;
        }
        let process = process(worker);
        if deadly && random.below(2) == 0 {
            ledger.killed(worker.number).store(1, SeqCst).unwrap();
            // Its forked children live on.
            signal(process, libc::SIGKILL);
            let _ = worker.child.wait();
            kills += 1;
            *worker = start(random);
        } else {
            // Up to longer than a recheck interval.
            signal(process, libc::SIGSTOP);
            std::thread::sleep(Duration::from_millis(random.below(130)));
            signal(process, libc::SIGCONT);
            stops += 1;
        }
        std::thread::sleep(Duration::from_millis(random.below(20)));
    }
    ledger.word(Word::Stop).store(1, SeqCst).unwrap();
    let stopped = Instant::now();
    for worker in &mut workers.0 {
        let ending = loop {
            if let Some(ending) = worker.child.try_wait().unwrap() {
                break ending;
            }
            assert!(
                stopped.elapsed() < WATCHDOG,
                "worker {} does not end: {:#?}",
                worker.number,
                segment.inspect()
            );
            std::thread::sleep(Duration::from_millis(1));
        };
        assert!(ending.success(), "worker {} failed: {ending:?}", worker.number);
    }
    assert_eq!(ledger.get(Word::Wrong), 0, "a worker detected a violation (above)");
    let reported = ledger.get(Word::Reported);
    assert!(deadly || reported == 0, "{reported} deaths were reported, and no worker was killed");
    // Without the kernel's lock on its slot, a killed worker can count as alive, and so can the owner of its
    // locks.
    let kernelless = ledger.get(Word::Kernelless);
    let alive = segment.participants().unwrap().iter().filter(|one| one.alive).count();
    assert!(alive == 1 || kernelless > 0, "{alive} live participants after all others have ended");
    println!(
        "{} round in a {} /dev/shm, {:.1} s: {} workers, {} acquisitions, {stops} stopped, \
         {kills} killed, {} forked, {reported} deaths reported, {} calls refused at a limit",
        if deadly { "deadly" } else { "calm" },
        if small { "small" } else { "large" },
        begun.elapsed().as_secs_f64(),
        workers.0.iter().map(|worker| worker.number).max().unwrap_or(0),
        ledger.get(Word::Acquired),
        ledger.get(Word::Forked),
        ledger.get(Word::Refused),
    );
}

struct Work<'a> {
    ledger: &'a Ledger,
    number: u64,
    memory: SharedMemory,
    mutex: Mutex<u64>,
    lock: RwLock<u64>,
}

pub(crate) fn role_work(role: &mut Role) {
    // The children forked below are never waited for.
    // SAFETY: SIG_IGN installs no handler that could run.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
    let number: u64 = role.argument(3).parse().unwrap();
    let mut random = Random::new(role.argument(2).parse().unwrap());
    let ledger = Ledger(SharedMemory::open(role.argument(1)).unwrap().view().unwrap());
    ledger.started(number).store(1, SeqCst).unwrap();
    let memory = SharedMemory::open(role.argument(0)).unwrap();
    let segment = SegmentOptions::new().ready_timeout(LONGEST).open_in(&memory).unwrap();
    let own = segment.participants().unwrap();
    let (pid, held) = (std::process::id(), own.iter().filter(|one| one.alive && one.held_by_kernel).count());
    ledger.check(held > 0, || format!("process {pid} has no slot: {own:?}"));
    let work = Work {
        ledger: &ledger,
        number,
        memory,
        mutex: segment.mutex("mutex").unwrap(),
        lock: segment.rwlock("lock").unwrap(),
    };
    while ledger.get(Word::Stop) == 0 {
        match random.below(8) {
            0..4 => work.with_mutex(&mut random),
            4..6 => work.with_writer(&mut random),
            6 => work.with_reader(&mut random),
            _ => work.at_a_limit(&mut random),
        }
    }
}

impl Work<'_> {
    /// Only the death of a killed process may be reported, and only a killed process leaves its mark.
    fn was_killed(&self, worker: u64) -> bool {
        worker == 0 || self.ledger.killed(worker).load(SeqCst).unwrap() == 1
    }

    fn take(&self, word: Word, died: bool) {
        let previous = self.ledger.word(word).swap(self.number, SeqCst).unwrap();
        let right = if died { self.was_killed(previous) } else { previous == 0 };
        self.ledger.check(right, || {
            format!(
                "worker {} has the lock ({}), and worker {previous} has it, too",
                self.number,
                if died { "its owner died" } else { "free" }
            )
        });
        self.ledger.add(Word::Acquired, 1);
        if died {
            self.ledger.add(Word::Reported, 1);
        }
    }

    fn give(&self, word: Word) {
        let now = self.ledger.word(word).compare_exchange(self.number, 0, SeqCst, SeqCst).unwrap();
        self.ledger
            .check(now.is_ok(), || format!("worker {now:?} took the lock that worker {} has", self.number));
    }

    fn with_mutex(&self, random: &mut Random) {
        let (mut guard, died) = match self.mutex.lock_timeout(LONGEST) {
            Ok(guard) => (guard, false),
            Err(LockError::OwnerDied(owner)) => (owner.into_guard(), true),
            Err(error) => return self.ledger.check(false, || format!("worker {}: {error}", self.number)),
        };
        self.take(Word::Owner, died);
        if died {
            guard.declare_consistent().unwrap();
        }
        guard.set(&self.number).unwrap();
        let guard = self.at_work(random, guard);
        assert_eq!(guard.get().unwrap(), self.number);
        self.give(Word::Owner);
        drop(guard);
    }

    fn with_writer(&self, random: &mut Random) {
        let (mut guard, died) = match self.lock.write_timeout(LONGEST) {
            Ok(guard) => (guard, false),
            Err(LockError::OwnerDied(owner)) => (owner.into_guard(), true),
            Err(error) => return self.ledger.check(false, || format!("worker {}: {error}", self.number)),
        };
        self.take(Word::Writer, died);
        if died {
            guard.declare_consistent().unwrap();
        }
        guard.set(&self.number).unwrap();
        let guard = self.at_work(random, guard);
        assert_eq!(guard.get().unwrap(), self.number);
        self.give(Word::Writer);
        drop(guard);
    }

    fn with_reader(&self, random: &mut Random) {
        let guard = match self.lock.read_timeout(LONGEST) {
            Ok(guard) => guard,
            // A reader cannot repair the data. A writer does.
            Err(LockError::OwnerDied(_)) => return,
            Err(error) => return self.ledger.check(false, || format!("worker {}: {error}", self.number)),
        };
        let writer = || self.ledger.get(Word::Writer);
        self.ledger
            .check(self.was_killed(writer()), || format!("worker {} writes while others read", writer()));
        let guard = self.at_work(random, guard);
        self.ledger
            .check(self.was_killed(writer()), || format!("worker {} writes while others read", writer()));
        drop(guard);
    }

    /// Does what an owner may do while it holds a lock. A forked child has a copy of the guard, and drops it.
    fn at_work<G>(&self, random: &mut Random, guard: G) -> G {
        match random.below(6) {
            0 => std::thread::sleep(Duration::from_millis(random.below(5))),
            how @ 1..3 => {
                self.ledger.add(Word::Forked, 1);
                let lives = Duration::from_millis(random.below(150));
                let child = if how == 1 {
                    // SAFETY: this process has one thread, so the child may run any code. It drops its copies
                    // and exits.
                    unsafe { libc::fork() }
                } else {
                    let signal = libc::c_long::from(libc::SIGCHLD);
                    // SAFETY: clone without flags is a fork that runs no atfork handlers. This process has
                    // one thread, as above.
                    (unsafe { libc::syscall(libc::SYS_clone, signal, 0_usize, 0_usize, 0_usize, 0_usize) })
                        as i32
                };
                if child == 0 {
                    drop(guard);
                    std::thread::sleep(lives);
                    // SAFETY: _exit() has no preconditions.
                    unsafe { libc::_exit(0) };
                }
                self.ledger.check(child > 0, || format!("fork: {}", std::io::Error::last_os_error()));
            }
            _ => {}
        }
        guard
    }

    /// Joins once more while a resource is short. The call succeeds, or fails for that reason and leaves
    /// nothing behind.
    fn at_a_limit(&self, random: &mut Random) {
        let result = match random.below(3) {
            0 => limited(libc::RLIMIT_NOFILE, random.below(8), || Segment::open_in(&self.memory).map(drop)),
            1 => {
                let pages = std::fs::read_to_string("/proc/self/statm").ok();
                let pages = pages.and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
                // (Without /proc the current size is not known.)
                let Some(pages) = pages else { return };
                let most = (pages + random.below(24)) * testkit::page_size() as u64;
                limited(libc::RLIMIT_AS, most, || Segment::open_in(&self.memory).map(drop))
            }
            // Where all of them share 1 MiB, it may exceed what is available.
            _ => Segment::create(unique_name("more"), 200 * 1024 + random.below(1024) * 1024).map(drop),
        };
        if let Err(error) = result {
            self.ledger.add(Word::Refused, 1);
            let for_it =
                [ErrorKind::LimitReached, ErrorKind::OutOfMemory, ErrorKind::TooLarge, ErrorKind::Fault];
            self.ledger.check(for_it.contains(&error.kind()), || format!("worker {}: {error}", self.number));
        }
    }
}

/// Runs `call` while a resource limit of this process is lowered.
fn limited<T>(what: libc::__rlimit_resource_t, most: u64, call: impl FnOnce() -> T) -> T {
    // SAFETY: `rlimit` is a plain C structure, for which all-zero bytes are a valid value.
    let mut limit: libc::rlimit = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live `rlimit`, which the call fills.
    done(unsafe { libc::getrlimit(what, &raw mut limit) }).unwrap();
    let lower = libc::rlimit { rlim_cur: most.min(limit.rlim_max), ..limit };
    // SAFETY: the pointer is to a live `rlimit`, which the call only reads.
    done(unsafe { libc::setrlimit(what, &raw const lower) }).unwrap();
    let result = call();
    // SAFETY: the pointer is to a live `rlimit`, which the call only reads.
    done(unsafe { libc::setrlimit(what, &raw const limit) }).unwrap();
    result
}
