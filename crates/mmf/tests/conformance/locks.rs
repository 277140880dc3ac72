//! Locks, events and latest values between processes, some of which are killed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mmf::inspect::ObjectState;
use mmf::security::{Principal, Security};
use mmf::sync::{Event, Futex, Latest, LockError, Mutex, Published, RwLock, WaitError};
use mmf::{ErrorKind, Segment, SegmentOptions, SharedMemory, SharedType};
use testkit::{Peer, Role, WATCHDOG, unique_name};

use super::segment::{LEN, tell};
#[cfg(target_os = "linux")]
use crate::users::ANN;

fn segment(tag: &str) -> (String, Segment) {
    let name = unique_name(tag);
    let segment = Segment::create(&name, LEN).unwrap();
    (name, segment)
}

/// Returns the number and the value that were published last.
pub(crate) fn numbered<T: SharedType>(latest: &Latest<T>) -> Option<(u64, T)> {
    latest.read_numbered().unwrap().map(|Published { number, value, .. }| (number, value))
}

fn timed_out<T>(result: Result<T, WaitError>) -> bool {
    matches!(result, Err(WaitError::TimedOut(_)))
}

pub(crate) fn a_mutex_excludes() {
    let (name, segment) = segment("excludes");
    let mutex = segment.mutex::<[u64; 2]>("both").unwrap();
    let mut peers: Vec<Peer> =
        (0..3).map(|_| Peer::start("locks::role_count", &[&name, "mutex", "2000"])).collect();
    for peer in &mut peers {
        peer.expect("done");
    }
    peers.into_iter().for_each(Peer::finish);
    assert_eq!(mutex.lock().unwrap().get().unwrap(), [6000, 6000]);
}

pub(crate) fn a_writer_excludes() {
    let (name, segment) = segment("writers");
    let lock = segment.rwlock::<[u64; 2]>("both").unwrap();
    let mut peers: Vec<Peer> =
        (0..3).map(|_| Peer::start("locks::role_count", &[&name, "rwlock", "1000"])).collect();
    for peer in &mut peers {
        peer.expect("done");
    }
    peers.into_iter().for_each(Peer::finish);
    assert_eq!(lock.read().unwrap().get().unwrap(), [3000, 3000]);
}

/// Adds to both numbers, one after the other. If they differ, another participant held the lock as well.
pub(crate) fn role_count(role: &mut Role) {
    let segment = Segment::open(role.argument(0)).unwrap();
    let rounds: u64 = role.argument(2).parse().unwrap();
    if role.argument(1) == "mutex" {
        let mutex = segment.mutex::<[u64; 2]>("both").unwrap();
        for round in 0..rounds {
            let mut guard = if round % 2 == 0 { mutex.lock() } else { mutex.lock_timeout(WATCHDOG) }.unwrap();
            let [first, second] = guard.get().unwrap();
            assert_eq!(first, second);
            guard.write_all_at(&(first + 1).to_le_bytes(), 0).unwrap();
            // SAFETY: all processes that open this segment keep to the lock, and none shortens the region.
            unsafe { guard.value_mut_unchecked() }.unwrap()[1] += 1;
        }
    } else {
        let lock = segment.rwlock::<[u64; 2]>("both").unwrap();
        for _ in 0..rounds {
            for _ in 0..3 {
                let [first, second] = lock.read().unwrap().get().unwrap();
                assert_eq!(first, second);
            }
            let mut guard = lock.write().unwrap();
            let [first, second] = guard.get().unwrap();
            assert_eq!(first, second);
            guard.write_all_at(&(first + 1).to_le_bytes(), 0).unwrap();
            guard.write_all_at(&(first + 1).to_le_bytes(), 8).unwrap();
        }
    }
    role.say("done");
}

pub(crate) fn deadlines_and_tries() {
    let (_, segment) = segment("deadlines");
    let other = Segment::open_in(segment.memory()).unwrap();
    let (mutex, theirs) = (segment.mutex::<u64>("m").unwrap(), other.mutex::<u64>("m").unwrap());
    let guard = mutex.lock().unwrap();
    let error = theirs.try_lock().unwrap_err();
    assert!(matches!(error, LockError::WouldBlock(_)));
    assert!(
        format!("{error:#}")
            .contains(&format!("held by this process itself (process {})", std::process::id())),
        "{error}"
    );
    let before = Instant::now();
    assert!(matches!(theirs.lock_timeout(Duration::from_millis(130)), Err(LockError::TimedOut(_))));
    assert!(before.elapsed() >= Duration::from_millis(130));
    assert!(matches!(theirs.lock_deadline(Instant::now()), Err(LockError::TimedOut(_))));
    drop(guard);
    drop(theirs.try_lock().unwrap());
    let (lock, theirs) = (segment.rwlock::<u64>("l").unwrap(), other.rwlock::<u64>("l").unwrap());
    let reading = lock.read().unwrap();
    drop(theirs.try_read().unwrap());
    assert!(matches!(theirs.try_write(), Err(LockError::WouldBlock(_))));
    assert!(matches!(theirs.write_timeout(Duration::from_millis(10)), Err(LockError::TimedOut(_))));
    drop(theirs.try_read().unwrap());
    drop(reading);
    let writing = lock.write().unwrap();
    assert!(matches!(theirs.try_read(), Err(LockError::WouldBlock(_))));
    assert!(matches!(theirs.read_timeout(Duration::from_millis(10)), Err(LockError::TimedOut(_))));
    assert!(matches!(theirs.try_write(), Err(LockError::WouldBlock(_))));
    drop(writing);
    drop(theirs.try_write().unwrap());
    drop(theirs.try_read().unwrap());
}

fn hold(name: &str, what: &str) -> Peer {
    let mut peer = Peer::start("locks::role_hold", &[name, what]);
    peer.expect("held");
    peer
}

/// Holds an object until it is killed, in the middle of a change.
pub(crate) fn role_hold(role: &mut Role) {
    let segment = Segment::open(role.argument(0)).unwrap();
    match role.argument(1) {
        "mutex" => {
            let mutex = segment.mutex::<u64>("held").unwrap();
            let mut guard = mutex.lock().unwrap();
            guard.set(&77).unwrap();
            role.say("held");
            role.stay();
        }
        "write" => {
            let lock = segment.rwlock::<u64>("lock").unwrap();
            let mut guard = lock.write().unwrap();
            guard.set(&77).unwrap();
            role.say("held");
            role.stay();
        }
        "read" => {
            let lock = segment.rwlock::<u64>("lock").unwrap();
            let _guards = [lock.read().unwrap(), lock.read().unwrap()];
            role.say("held");
            role.stay();
        }
        "latest" => {
            let mut writer = segment.latest::<u64>("latest").unwrap().acquire_writer().unwrap();
            writer.publish(&5).unwrap();
            role.say("held");
            role.stay();
        }
        other => panic!("{other}"),
    }
}

pub(crate) fn a_death_is_reported_to_the_next_owner() {
    let (name, segment) = segment("death");
    let mutex = segment.mutex::<u64>("held").unwrap();
    let mut peer = hold(&name, "mutex");
    assert!(matches!(mutex.try_lock(), Err(LockError::WouldBlock(_))), "its owner is alive");
    // A waiter records since when the lock has been held.
    assert!(matches!(mutex.lock_timeout(Duration::from_millis(1)), Err(LockError::TimedOut(_))));
    let killer = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(20));
        peer.kill();
        peer.id()
    });
    let error = mutex.lock().unwrap_err();
    let id = killer.join().unwrap();
    assert!(format!("{error:#}").contains(&format!("(process {id}) died holding it")), "{error}");
    let LockError::OwnerDied(owner) = error else { panic!("{error:?}") };
    assert_eq!(owner.process().unwrap().id, id);
    assert!(owner.held_since().unwrap() <= owner.detected().unwrap());
    let guard = owner.into_guard();
    assert_eq!(guard.get().unwrap(), 77);
    assert!(matches!(mutex.try_lock(), Err(LockError::WouldBlock(_))), "this process holds it");
    drop(guard);
    // The data was not declared consistent, so the next owner receives the error again, with the process.
    let LockError::OwnerDied(owner) = mutex.lock().unwrap_err() else {
        panic!("the death is not reported again")
    };
    assert_eq!(owner.process().unwrap().id, id);
    let mut guard = owner.into_guard();
    guard.declare_consistent().unwrap();
    drop(guard);
    drop(mutex.lock().unwrap());
    // The next owner dies as well, and the lock is given up while there is a waiter.
    let mut peer = hold(&name, "mutex");
    peer.kill();
    let LockError::OwnerDied(owner) = mutex.try_lock().unwrap_err() else {
        panic!("the death is not reported")
    };
    let guard = owner.into_guard();
    let waiting = {
        let other = Segment::open_in(segment.memory()).unwrap().mutex::<u64>("held").unwrap();
        std::thread::spawn(move || matches!(other.lock(), Err(LockError::NotRecoverable(_))))
    };
    guard.give_up().unwrap();
    assert!(waiting.join().unwrap());
    assert!(matches!(mutex.try_lock(), Err(LockError::NotRecoverable(_))));
    let error = mmf::Error::from(mutex.lock().unwrap_err());
    assert_eq!(error.kind(), ErrorKind::NotRecoverable);
}

pub(crate) fn a_dead_writer_and_dead_readers() {
    let (name, segment) = segment("readers");
    let lock = segment.rwlock::<u64>("lock").unwrap();
    // The death of a reader is not reported.
    let mut peer = hold(&name, "read");
    assert!(matches!(lock.try_write(), Err(LockError::WouldBlock(_))));
    peer.kill();
    drop(lock.write().unwrap());
    // The death of a writer is reported to readers and writers.
    let mut peer = hold(&name, "write");
    assert!(matches!(lock.try_read(), Err(LockError::WouldBlock(_))));
    let (id, _) = (peer.id(), peer.kill());
    let LockError::OwnerDied(owner) = lock.read().unwrap_err() else { panic!("the death is not reported") };
    assert_eq!(owner.process().unwrap().id, id);
    let reading = owner.into_guard();
    assert_eq!(reading.get().unwrap(), 77);
    assert!(matches!(lock.read(), Err(LockError::OwnerDied(_))), "it is reported again");
    drop(reading);
    let LockError::OwnerDied(owner) = lock.write().unwrap_err() else { panic!("the death is not reported") };
    assert_eq!(owner.process().unwrap().id, id);
    let mut guard = owner.into_guard();
    guard.set(&1).unwrap();
    guard.declare_consistent().unwrap();
    drop(guard);
    assert_eq!(lock.read().unwrap().get().unwrap(), 1);
    // A writer detects a death as well, and gives the lock up.
    let mut peer = hold(&name, "write");
    peer.kill();
    let LockError::OwnerDied(owner) = lock.write().unwrap_err() else { panic!("the death is not reported") };
    owner.into_guard().give_up().unwrap();
    assert!(matches!(lock.read(), Err(LockError::NotRecoverable(_))));
    assert!(matches!(lock.write(), Err(LockError::NotRecoverable(_))));
}

pub(crate) fn a_panic_marks_the_data_as_damaged() {
    let (_, segment) = segment("panic");
    let mutex = segment.mutex::<u64>("m").unwrap();
    let thread = std::thread::scope(|scope| {
        scope
            .spawn(|| {
                let _guard = mutex.lock().unwrap();
                std::panic::resume_unwind(Box::new("on purpose"));
            })
            .join()
    });
    assert!(thread.is_err());
    let LockError::OwnerDied(owner) = mutex.lock().unwrap_err() else { panic!("the data is not marked") };
    assert_eq!(owner.process().unwrap().id, std::process::id());
    assert!(owner.panicked());
}

/// The steps of acquiring, waiting and releasing.
const MUTEX_STEPS: [&str; 5] = [
    "lock: marked as waiting",
    "wait: counted",
    "lock: woken",
    "unlock: free, no waiter woken yet",
    "lock: the owner is dead",
];
const RW_STEPS: [&str; 6] = [
    "reader: changed, writer not notified yet",
    "reader: marked as waiting",
    "reader: the writer is gone, not active yet",
    "writer: waits for readers",
    "lock: marked as waiting",
    "unlock: free, no waiter woken yet",
];

/// Kills one of several contending processes at each of these steps. The others have to continue.
fn killed_at_steps(kind: &str, steps: &[&str]) {
    for step in steps {
        let (name, segment) = segment("steps");
        let others = || [0; 2].map(|_| Peer::start("locks::role_work", &[&name, kind, "none"]));
        let needs_a_dead_owner = *step == "lock: the owner is dead";
        let before = (!needs_a_dead_owner).then(others);
        if needs_a_dead_owner {
            hold(&name, if kind == "mutex" { "mutex" } else { "write" }).kill();
        }
        let mut victim = Peer::start("locks::role_work", &[&name, kind, step]);
        victim.expect(&format!("at {step}"));
        victim.kill();
        let mut workers = before.unwrap_or_else(others);
        for worker in &mut workers {
            worker.say("go on");
            let said = worker.hear();
            assert_eq!(said, "went on", "{kind} {step}");
        }
        workers.into_iter().for_each(Peer::finish);
        drop(segment);
    }
}

pub(crate) fn killed_at_every_step_of_a_mutex() {
    killed_at_steps("mutex", &MUTEX_STEPS);
}

pub(crate) fn death_between_giving_up_and_waking() {
    let (name, segment) = segment("gives-up");
    let mutex = segment.mutex::<u64>("held").unwrap();
    let mut victim = Peer::start("locks::role_give_up", &[&name]);
    victim.expect("held");
    let waiting = std::thread::spawn(move || matches!(mutex.lock(), Err(LockError::NotRecoverable(_))));
    victim.say("give up");
    victim.expect("at finish: done, no waiter woken yet");
    victim.kill();
    assert!(waiting.join().unwrap());
}

pub(crate) fn role_give_up(role: &mut Role) {
    mmf::__test_hooks::stop_at("finish: done, no waiter woken yet", tell);
    let mutex = Segment::open(role.argument(0)).unwrap().mutex::<u64>("held").unwrap();
    let guard = mutex.lock().unwrap();
    role.say("held");
    let _ = role.hear();
    guard.give_up().unwrap();
}

pub(crate) fn killed_at_every_step_of_an_rwlock() {
    killed_at_steps("rwlock", &RW_STEPS);
}

/// Acquires the lock, whatever has happened to its previous owners.
fn mutex_round(mutex: &Mutex<u64>) {
    match mutex.lock() {
        Ok(mut guard) => guard.update(|value| *value += 1).unwrap(),
        Err(LockError::OwnerDied(owner)) => owner.into_guard().declare_consistent().unwrap(),
        Err(error) => panic!("{error}"),
    }
}

fn rwlock_round(lock: &RwLock<u64>) {
    match lock.read() {
        Ok(guard) => drop(guard.get().unwrap()),
        Err(LockError::OwnerDied(_)) => {}
        Err(error) => panic!("{error}"),
    }
    match lock.write() {
        Ok(mut guard) => guard.update(|value| *value += 1).unwrap(),
        Err(LockError::OwnerDied(owner)) => owner.into_guard().declare_consistent().unwrap(),
        Err(error) => panic!("{error}"),
    }
}

pub(crate) fn role_work(role: &mut Role) {
    if role.argument(2) != "none" {
        mmf::__test_hooks::stop_at(role.argument(2), tell);
    }
    let segment = Segment::open(role.argument(0)).unwrap();
    let mutex = segment.mutex::<u64>("held").unwrap();
    let lock = segment.rwlock::<u64>("lock").unwrap();
    let round = || {
        if role.argument(1) == "mutex" {
            mutex_round(&mutex);
        } else {
            rwlock_round(&lock);
        }
    };
    let go_on = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _ = role.hear();
            go_on.store(true, Ordering::SeqCst);
        });
        // Two threads, so that there is contention at all times.
        scope.spawn(|| {
            while !go_on.load(Ordering::SeqCst) {
                round();
            }
        });
        while !go_on.load(Ordering::SeqCst) {
            round();
        }
    });
    for _ in 0..100 {
        round();
    }
    role.say("went on");
}

pub(crate) fn a_mutex_is_starvation_free() {
    let (name, segment) = segment("fair");
    let mutex = segment.mutex::<[u64; 8]>("counts").unwrap();
    let stop = segment.manual_reset_event("stop").unwrap();
    let mut peers: Vec<Peer> =
        (0..4).map(|number| Peer::start("locks::role_compete", &[&name, &number.to_string()])).collect();
    for peer in &mut peers {
        peer.expect("competing");
    }
    // Each process acquires it often while all others contend for it.
    testkit::wait_until("each process has acquired it 200 times", || {
        mutex.lock().unwrap().get().unwrap()[..4].iter().all(|count| *count >= 200)
    });
    stop.set().unwrap();
    peers.into_iter().for_each(Peer::finish);
}

pub(crate) fn role_compete(role: &mut Role) {
    let segment = Segment::open(role.argument(0)).unwrap();
    let number: usize = role.argument(1).parse().unwrap();
    let mutex = segment.mutex::<[u64; 8]>("counts").unwrap();
    let stop = segment.manual_reset_event("stop").unwrap();
    role.say("competing");
    while !stop.is_set().unwrap() {
        mutex.lock().unwrap().update(|counts| counts[number] += 1).unwrap();
    }
}

pub(crate) fn readers_and_writers_do_not_starve_each_other() {
    let (name, segment) = segment("phases");
    let lock = segment.rwlock::<u64>("lock").unwrap();
    let stop = segment.manual_reset_event("stop").unwrap();
    let mut peers: Vec<Peer> = ["read", "read", "write", "write"]
        .iter()
        .map(|what| Peer::start("locks::role_one_sided", &[&name, what]))
        .collect();
    for peer in &mut peers {
        peer.expect("busy");
    }
    for _ in 0..100 {
        drop(lock.read().unwrap());
        drop(lock.write().unwrap());
    }
    stop.set().unwrap();
    for peer in &mut peers {
        let rounds: u64 = peer.hear().parse().unwrap();
        assert!(rounds > 0);
    }
    peers.into_iter().for_each(Peer::finish);
}

pub(crate) fn role_one_sided(role: &mut Role) {
    let segment = Segment::open(role.argument(0)).unwrap();
    let lock = segment.rwlock::<u64>("lock").unwrap();
    let stop = segment.manual_reset_event("stop").unwrap();
    role.say("busy");
    let mut rounds = 0;
    while !stop.is_set().unwrap() || rounds == 0 {
        if role.argument(1) == "read" {
            drop(lock.read().unwrap());
        } else {
            drop(lock.write().unwrap());
        }
        rounds += 1;
    }
    role.say(rounds.to_string());
}

pub(crate) fn events_wake_others() {
    let (name, segment) = segment("events");
    let (ping, pong) = (segment.auto_reset_event("ping").unwrap(), segment.auto_reset_event("pong").unwrap());
    let (stop, changed) =
        (segment.manual_reset_event("stop").unwrap(), segment.event_count("changed").unwrap());
    let mut peer = Peer::start("locks::role_echo", &[&name]);
    peer.expect("listening");
    for _ in 0..200 {
        ping.set().unwrap();
        pong.wait_timeout(WATCHDOG).unwrap();
    }
    assert!(timed_out(pong.wait_timeout(Duration::ZERO)), "it resets itself");
    let seen = changed.count().unwrap();
    let before = Instant::now();
    assert!(timed_out(pong.wait_deadline(before + Duration::from_millis(120))));
    assert!(timed_out(changed.wait_past_deadline(seen, before)));
    let error = mmf::Error::from(changed.wait_past_timeout(seen, Duration::ZERO).unwrap_err());
    assert_eq!((error.kind(), error.object()), (ErrorKind::TimedOut, Some("changed")));
    let error = Event::wait_any_timeout(&[&ping, &pong], Duration::ZERO).unwrap_err();
    assert!(matches!(&error, WaitError::TimedOut(error) if error.kind() == ErrorKind::TimedOut), "{error}");
    assert!(before.elapsed() >= Duration::from_millis(120));
    stop.set().unwrap();
    assert_eq!(changed.wait_past_timeout(seen, WATCHDOG).unwrap(), seen + 1);
    assert!(stop.is_set().unwrap(), "it stays set");
    stop.wait_timeout(Duration::ZERO).unwrap();
    assert!(stop.reset().unwrap());
    assert!(timed_out(stop.wait_timeout(Duration::ZERO)));
    peer.finish();
}

pub(crate) fn role_echo(role: &mut Role) {
    let segment = Segment::open(role.argument(0)).unwrap();
    let (ping, pong) = (segment.auto_reset_event("ping").unwrap(), segment.auto_reset_event("pong").unwrap());
    let stop = segment.manual_reset_event("stop").unwrap();
    role.say("listening");
    while Event::wait_any_timeout(&[&ping, &stop], WATCHDOG).unwrap() == 0 {
        pong.set().unwrap();
    }
    segment.event_count("changed").unwrap().notify().unwrap();
}

pub(crate) fn dead_waiters_do_not_take_events() {
    let (name, segment) = segment("waiters");
    for step in ["event: waits", "wait: counted"] {
        let mut victims: Vec<Peer> =
            (0..3).map(|_| Peer::start("locks::role_wait_until", &[&name, step])).collect();
        for victim in &mut victims {
            victim.expect(&format!("at {step}"));
            victim.kill();
        }
    }
    let mut waiter = Peer::start("locks::role_wait_until", &[&name, "none"]);
    waiter.expect("waiting");
    segment.auto_reset_event("event").unwrap().set().unwrap();
    waiter.expect("woken");
    waiter.finish();
}

pub(crate) fn role_wait_until(role: &mut Role) {
    if role.argument(1) != "none" {
        mmf::__test_hooks::stop_at(role.argument(1), tell);
    }
    let segment = Segment::open(role.argument(0)).unwrap();
    let event = segment.auto_reset_event("event").unwrap();
    if role.argument(1) == "none" {
        role.say("waiting");
    }
    event.wait().unwrap();
    role.say("woken");
}

pub(crate) fn death_between_setting_an_event_and_waking() {
    let (name, segment) = segment("setter");
    let event = segment.auto_reset_event("event").unwrap();
    let mut victim = Peer::start("locks::role_set", &[&name]);
    victim.expect("at event: set, no waiter woken yet");
    victim.kill();
    event.wait_timeout(WATCHDOG).unwrap();
}

pub(crate) fn role_set(role: &mut Role) {
    mmf::__test_hooks::stop_at("event: set, no waiter woken yet", tell);
    Segment::open(role.argument(0)).unwrap().auto_reset_event("event").unwrap().set().unwrap();
}

const LATEST_STEPS: [&str; 3] =
    ["latest: begun", "latest: written, not whole yet", "latest: whole, not published yet"];

pub(crate) fn the_latest_value_outlives_its_writer() {
    for step in LATEST_STEPS {
        let (name, segment) = segment("latest");
        let latest = segment.latest::<u64>("latest").unwrap();
        assert_eq!(latest.read().unwrap(), None);
        let mut peer = hold(&name, "latest");
        assert_eq!(numbered(&latest), Some((1, 5)));
        let error = latest.acquire_writer().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
        assert!(format!("{error:#}").contains(&format!("process {}", peer.id())), "{error}");
        assert!(latest.has_writer().unwrap());
        peer.kill();
        assert!(!latest.has_writer().unwrap());
        let mut victim = Peer::start("locks::role_publish_until", &[&name, step]);
        victim.expect(&format!("at {step}"));
        assert_eq!(numbered(&latest), Some((1, 5)), "{step}: alive");
        victim.kill();
        assert_eq!(numbered(&latest), Some((1, 5)), "{step}: dead");
        let mut writer = latest.acquire_writer().unwrap();
        for number in 2..10 {
            assert_eq!(writer.publish(&(number * 10)).unwrap(), number);
            assert_eq!(numbered(&latest), Some((number, number * 10)), "{step}");
        }
    }
}

pub(crate) fn role_publish_until(role: &mut Role) {
    mmf::__test_hooks::stop_at(role.argument(1), tell);
    let segment = Segment::open(role.argument(0)).unwrap();
    let mut writer = segment.latest::<u64>("latest").unwrap().acquire_writer().unwrap();
    writer.publish(&6).unwrap();
    role.say("published");
}

pub(crate) fn latest_values_are_not_torn() {
    let (name, segment) = segment("whole");
    let latest = segment.latest::<[u64; 100]>("values").unwrap();
    let mut writer = latest.acquire_writer().unwrap();
    let mut peers: Vec<Peer> = (0..2).map(|_| Peer::start("locks::role_check_values", &[&name])).collect();
    writer.publish(&[0; 100]).unwrap();
    let mut number = 0;
    for peer in &mut peers {
        peer.expect("checking");
    }
    for peer in &mut peers {
        // Each of them sees a hundred different values.
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                peer.expect("seen enough");
                done.store(true, Ordering::SeqCst);
            });
            while !done.load(Ordering::SeqCst) {
                number += 1;
                writer.publish(&[number; 100]).unwrap();
                if number % 64 == 0 {
                    std::thread::yield_now();
                }
            }
        });
    }
    peers.into_iter().for_each(Peer::finish);
}

pub(crate) fn role_check_values(role: &mut Role) {
    let segment = Segment::open_read_only(role.argument(0)).unwrap();
    testkit::wait_until("the object exists", || segment.find_latest::<[u64; 100]>("values").is_ok());
    let latest = segment.find_latest::<[u64; 100]>("values").unwrap();
    role.say("checking");
    let (mut last, mut different) = (0, 0);
    while different < 100 {
        match latest.read_numbered() {
            Ok(Some(Published { number, value, .. })) => {
                assert!(value.iter().all(|part| *part == value[0]), "torn: {value:?}");
                assert!(number >= last);
                different += u64::from(number > last);
                last = number;
            }
            Ok(None) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::Busy, "{error}"),
        }
    }
    role.say("seen enough");
}

pub(crate) fn a_value_is_initialised_once() {
    let (name, segment) = segment("once");
    let once = segment.once_lock::<u64>("once").unwrap();
    let victims = ["once: initialising", "once: written, and not done yet"].map(|step| {
        let mut victim = Peer::start("locks::role_once", &[&name, step]);
        victim.expect(&format!("at {step}"));
        assert!(timed_out(once.get_or_init_timeout(Duration::from_millis(10), || 1)), "{step}");
        let error = once.get_or_init_deadline(Instant::now(), || 1).unwrap_err();
        assert!(error.to_string().contains(&format!("process {}", victim.id())), "{error}");
        let failed: Result<u64, WaitError> = once.get_or_try_init_timeout(Duration::ZERO, || Ok(1));
        assert!(timed_out(failed), "{step}");
        victim.kill();
        assert_eq!(once.get().unwrap(), None, "{step}");
        victim
    });
    let failed: Result<u64, mmf::Error> =
        once.get_or_try_init(|| Err(SharedMemory::anonymous(0).unwrap_err()));
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::ZeroLength);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        once.get_or_init(|| std::panic::resume_unwind(Box::new("on purpose")))
    }));
    assert!(panicked.is_err());
    assert_eq!(once.get().unwrap(), None);
    let mut peers: Vec<Peer> =
        (0..4).map(|number| Peer::start("locks::role_once", &[&name, &number.to_string()])).collect();
    let answers: Vec<String> = peers.iter_mut().map(Peer::hear).collect();
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(once.get_or_init(|| 99).unwrap().to_string(), answers[0]);
    peers.into_iter().for_each(Peer::finish);
    drop(victims);
}

pub(crate) fn role_once(role: &mut Role) {
    let number = role.argument(1).parse().ok();
    if number.is_none() {
        mmf::__test_hooks::stop_at(role.argument(1), tell);
    }
    let once = Segment::open(role.argument(0)).unwrap().once_lock::<u64>("once").unwrap();
    role.say(once.get_or_init(|| number.unwrap_or(77)).unwrap().to_string());
}

pub(crate) fn waiting_on_a_futex() {
    let name = unique_name("own");
    let view = SharedMemory::create(&name, 4096).unwrap().view().unwrap();
    let cell = Futex::at(&view, 64, &name).unwrap();
    let mut peer = Peer::start("locks::role_own", &[&name]);
    peer.expect("waiting");
    cell.store(1).unwrap();
    cell.wake_all().unwrap();
    peer.expect("woken");
    peer.finish();
    assert!(timed_out(cell.wait_deadline(1, Instant::now())));
    assert!(timed_out(cell.wait_timeout(1, Duration::from_millis(120))));
    assert_eq!(cell.wait(7).unwrap(), 1, "the word is not 7");
    assert_eq!(Futex::at(&view, 66, "x").unwrap_err().kind(), ErrorKind::Misaligned);
    assert_eq!(Futex::at(&view, 4092, "x").unwrap_err().kind(), ErrorKind::OutOfBounds);
}

pub(crate) fn role_own(role: &mut Role) {
    let view = SharedMemory::open(role.argument(0)).unwrap().view().unwrap();
    let cell = Futex::at(&view, 64, role.argument(0)).unwrap();
    role.say("waiting");
    assert_eq!(cell.wait(0).unwrap(), 1);
    role.say("woken");
}

pub(crate) fn inspection_shows_owners_and_readers() {
    let (name, segment) = segment("inspect");
    let mutex = segment.mutex::<u64>("held").unwrap();
    let peer = hold(&name, "mutex");
    assert!(matches!(mutex.lock_timeout(Duration::from_millis(200)), Err(LockError::TimedOut(_))));
    let info = segment.inspect().unwrap();
    let ObjectState::Mutex { lock: state, .. } = &info.objects[0].state else { panic!("{info:?}") };
    let owner = info.participant(state.owner.unwrap()).unwrap();
    assert_eq!(owner.process.id, peer.id());
    assert!(owner.alive && state.held_since.is_some());
    let _reader = hold(&name, "read");
    let info = segment.inspect().unwrap();
    let ObjectState::RwLock { readers, .. } = &info.objects[1].state else { panic!("{info:?}") };
    assert_eq!(readers.len(), 1);
    assert_eq!(readers[0].count, 2);
}

pub(crate) fn many_threads_of_few_participants() {
    let segment = SegmentOptions::new().len(LEN).participants(2).create(unique_name("threads")).unwrap();
    let lock = segment.rwlock::<[u64; 2]>("lock").unwrap();
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                for _ in 0..300 {
                    let [first, second] = lock.read().unwrap().get().unwrap();
                    assert_eq!(first, second);
                    lock.write().unwrap().update(|both| both.iter_mut().for_each(|one| *one += 1)).unwrap();
                }
            });
        }
    });
    assert_eq!(lock.read().unwrap().get().unwrap(), [1800, 1800]);
}

/// A peer that stores into the words of all locks without a pause does not block an operation that has a
/// deadline or does not block. (The test is that the operations end. No promise says how long they take.)
pub(crate) fn words_that_change_constantly() {
    let name = unique_name("restless");
    let segment = SegmentOptions::new().len(LEN).participants(2).create(&name).unwrap();
    let (mutex, lock) = (segment.mutex::<u64>("mutex").unwrap(), segment.rwlock::<u64>("lock").unwrap());
    let (event, notify) =
        (segment.auto_reset_event("event").unwrap(), segment.event_count("notify").unwrap());
    // As in docs/segment.md: heads of 256 bytes, the first one after the header and two participant slots.
    let [mutex_at, lock_at, event_at, notify_at] = [640, 1024, 1600, 1920];
    let view = segment.memory().view().unwrap();
    for (at, name) in [(mutex_at, "mutex"), (lock_at, "lock"), (event_at, "event"), (notify_at, "notify")] {
        assert_eq!(view.read_vec(at - 192 + 1, name.len()).unwrap(), name.as_bytes());
    }
    // The lock words, the word on which the rwlock's writer waits, the reader words of both participants, the
    // event and the event count.
    let words = [mutex_at, lock_at, lock_at + 64, lock_at + 132, lock_at + 196, event_at, notify_at];
    let stop = AtomicBool::new(false);
    let short = Duration::from_millis(2);
    let rounds = if testkit::under_wine() { 20 } else { 100 };
    for what in 0..4_u32 {
        stop.store(false, Ordering::SeqCst);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let words = words.map(|at| view.atomic_u32(at).unwrap());
                let mut random = 0x9e37_79b9_u32;
                while !stop.load(Ordering::Relaxed) {
                    random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let marks = random & 0xf000_0000;
                    let value = match what {
                        0 => random,
                        // Free, with different bits each time.
                        1 => marks,
                        // Owned by the only participant, and by one that has left.
                        2 => marks | 0x200,
                        _ => marks | 0x801,
                    };
                    for word in &words {
                        word.store(value, Ordering::SeqCst).unwrap();
                    }
                }
            });
            for _ in 0..rounds {
                // (Dropping a guard ends as well.)
                let _ = mutex.try_lock().map(|mut guard| guard.declare_consistent());
                let _ = mutex.lock_timeout(short).map(drop);
                let _ = lock.try_read().map(drop);
                let _ = lock.read_timeout(short).map(drop);
                let _ = lock.try_write().map(|mut guard| guard.declare_consistent());
                let _ = lock.write_timeout(short).map(drop);
                let _ = event.wait_timeout(short);
                let _ = event.reset();
                let _ = Event::wait_any_timeout(&[&event], short);
                let _ = notify.wait_past_timeout(notify.count().unwrap(), short);
            }
            stop.store(true, Ordering::SeqCst);
        });
    }
}

/// A writer that takes the lock over from a dead one and then times out waiting for readers leaves a record
/// for the next writer.
pub(crate) fn a_writer_that_times_out_records_a_death() {
    let (name, segment) = segment("news");
    let lock = segment.rwlock::<u64>("lock").unwrap();
    let reading = lock.read().unwrap();
    let mut victim = Peer::start("locks::role_work", &[&name, "rwlock", "writer: waits for readers"]);
    victim.expect("at writer: waits for readers");
    victim.kill();
    assert!(matches!(lock.write_timeout(Duration::from_millis(10)), Err(LockError::TimedOut(_))));
    drop(reading);
    let LockError::OwnerDied(owner) = lock.write().unwrap_err() else { panic!("the death is not reported") };
    assert_eq!(owner.process().unwrap().id, victim.id());
    assert!(owner.detected().is_some());
}

/// Processes that /proc does not show to other users (`hidepid=2`) are not taken for dead.
pub(crate) fn a_hidden_process_is_not_dead() {
    if !cfg!(target_os = "linux") {
        testkit::skip("only Linux hides processes");
    }
    #[cfg(unix)]
    crate::users::need_root();
    let name = format!(r"Global\{}", unique_name("hidden"));
    let everyone = Security::current_user().grant_write(Principal::Everyone);
    let segment = SegmentOptions::new().len(LEN).security(everyone).create(&*name).unwrap();
    let mutex = segment.mutex::<u64>("held").unwrap();
    let guard = mutex.lock().unwrap();
    let mut peer = Peer::start("locks::role_hidden", &[&name]);
    match peer.hear().as_str() {
        "held" => peer.finish(),
        answer => testkit::skip(answer),
    }
    drop(guard);
}

pub(crate) fn role_hidden(role: &mut Role) {
    if let Err(why) = crate::mounts::mount("proc", "/proc", "hidepid=2") {
        return role.say(format!("skip: {why}"));
    }
    #[cfg(target_os = "linux")]
    {
        // SAFETY: no requirements; all threads of this process change.
        assert_eq!(unsafe { libc::setresgid(ANN, ANN, ANN) }, 0);
        // SAFETY: the same.
        assert_eq!(unsafe { libc::setresuid(ANN, ANN, ANN) }, 0);
        // SAFETY: no requirements.
        let parent = unsafe { libc::getppid() };
        assert!(!std::path::Path::new(&format!("/proc/{parent}")).exists(), "the parent is not hidden");
    }
    let segment = Segment::open(role.argument(0)).unwrap();
    let mutex = segment.mutex::<u64>("held").unwrap();
    let error = mutex.try_lock().map(drop).unwrap_err();
    assert!(matches!(error, LockError::WouldBlock(_)), "{error}");
    let error = mutex.lock_timeout(Duration::from_millis(200)).map(drop).unwrap_err();
    assert!(matches!(error, LockError::TimedOut(_)), "{error}");
    role.say("held");
}

testkit::registry! {
    locks
    tests {
        a_mutex_excludes
        a_writer_excludes
        deadlines_and_tries
        a_death_is_reported_to_the_next_owner
        a_dead_writer_and_dead_readers
        a_panic_marks_the_data_as_damaged
        killed_at_every_step_of_a_mutex
        death_between_giving_up_and_waking
        killed_at_every_step_of_an_rwlock
        a_mutex_is_starvation_free
        readers_and_writers_do_not_starve_each_other
        events_wake_others
        dead_waiters_do_not_take_events
        death_between_setting_an_event_and_waking
        the_latest_value_outlives_its_writer
        latest_values_are_not_torn
        a_value_is_initialised_once
        waiting_on_a_futex
        inspection_shows_owners_and_readers
        many_threads_of_few_participants
        words_that_change_constantly
        a_writer_that_times_out_records_a_death
        a_hidden_process_is_not_dead
    }
    roles {
        role_count
        role_hold
        role_work
        role_give_up
        role_compete
        role_one_sided
        role_echo
        role_wait_until
        role_set
        role_publish_until
        role_check_values
        role_once
        role_own
        role_hidden
    }
}
