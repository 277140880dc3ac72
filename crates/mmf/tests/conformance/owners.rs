//! Only an owner acts as the owner, and errors and inspection report the state of locks correctly.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::time::{Duration, SystemTime};

use mmf::inspect::ObjectState;
use mmf::sync::{LockError, Mutex, WaitError};
use mmf::{Error, ErrorKind, Segment, SegmentOptions, SharedMemory};
use testkit::{Peer, Role, WATCHDOG, unique_name};

use super::locks::numbered;
use super::segment::{LEN, tell};

fn segment(tag: &str) -> (String, Segment) {
    let name = unique_name(tag);
    let segment = Segment::create(&name, LEN).unwrap();
    (name, segment)
}

fn would_block<G>(result: Result<G, LockError<G>>) -> bool {
    matches!(result, Err(LockError::WouldBlock(_)))
}

/// A forked child has a copy of each guard and writer. Their methods return errors, and dropping them does
/// nothing.
pub(crate) fn copies_in_a_forked_child_own_nothing() {
    if !cfg!(unix) {
        testkit::skip("only Unix forks");
    }
    forks("fork");
}

/// The same for a child that a bare system call creates, which no library sees.
pub(crate) fn copies_in_a_cloned_child_own_nothing() {
    if !cfg!(target_os = "linux") {
        testkit::skip("only Linux has this call");
    }
    if std::env::var_os("MMF_TEST_RUNNER").is_some() {
        testkit::skip("the emulator does not clear pages in children (MADV_WIPEONFORK)");
    }
    forks("clone");
}

fn forks(how: &str) {
    let (name, segment) = segment("copies");
    let (mutex, lock) = (segment.mutex::<u64>("mutex").unwrap(), segment.rwlock::<u64>("lock").unwrap());
    let (read, latest) = (segment.rwlock::<u64>("read").unwrap(), segment.latest::<u64>("latest").unwrap());
    let mut peer = Peer::start("owners::role_fork", &[&name, how]);
    peer.expect("each call failed in the child");
    // The child has dropped its copies, and the parent still owns everything.
    assert!(would_block(mutex.try_lock()), "the mutex");
    assert!(
        would_block(lock.try_write()) && would_block(lock.try_read()),
        "the lock that is held for writing"
    );
    assert!(would_block(read.try_write()), "the lock that is held for reading");
    assert!(latest.has_writer().unwrap());
    assert_eq!(latest.acquire_writer().unwrap_err().kind(), ErrorKind::Busy);
    assert_eq!(numbered(&latest), Some((1, 10)), "the child has published nothing");
    assert_eq!(segment.once_lock::<u64>("once").unwrap().get().unwrap(), None, "the parent initialises it");
    peer.say("go on");
    peer.expect("went on");
    assert_eq!(mutex.lock().unwrap().get().unwrap(), 2);
    assert_eq!(lock.write().unwrap().get().unwrap(), 3);
    read.write().unwrap().set(&1).unwrap();
    assert_eq!(numbered(&latest), Some((2, 20)));
    assert_eq!(latest.acquire_writer().unwrap().publish(&30).unwrap(), 3);
    assert_eq!(segment.once_lock::<u64>("once").unwrap().get().unwrap(), Some(4));
    peer.finish();
}

#[cfg(unix)]
pub(crate) fn role_fork(role: &mut Role) {
    let segment = Segment::open(role.argument(0)).unwrap();
    let (mutex, lock) = (segment.mutex::<u64>("mutex").unwrap(), segment.rwlock::<u64>("lock").unwrap());
    let (read, latest) = (segment.rwlock::<u64>("read").unwrap(), segment.latest::<u64>("latest").unwrap());
    let once = segment.once_lock::<u64>("once").unwrap();
    let (mut guard, mut writing) = (mutex.lock().unwrap(), lock.write().unwrap());
    let (reading, again) = (read.read().unwrap(), read.read().unwrap());
    let mut writer = latest.acquire_writer().unwrap();
    writer.publish(&10).unwrap();
    let mut pipe = [0; 2];
    // SAFETY: a valid place for two descriptors.
    assert_eq!(unsafe { libc::pipe(pipe.as_mut_ptr()) }, 0);
    let mut child = 0;
    let initialised = once.get_or_init(|| {
        child = fork(role.argument(1));
        if child != 0 {
            wait_for(child, pipe[0]);
            role.say("each call failed in the child");
            let _ = role.hear();
        }
        4
    });
    if child == 0 {
        let mut bytes = [0; 8];
        // SAFETY: only the test opens the segment besides this process, and it keeps to the locks.
        let references = unsafe {
            [
                guard.value_mut_unchecked().err(),
                guard.value_ref_unchecked().err(),
                writing.value_mut_unchecked().err(),
                reading.value_ref_unchecked().err(),
            ]
        };
        let mut errors = vec![
            initialised.err(),
            guard.get().err(),
            guard.set(&7).err(),
            guard.update(|value| *value = 7).err(),
            guard.read_exact_at(&mut bytes, 0).err(),
            guard.write_all_at(&[7], 0).err(),
            guard.declare_consistent().err(),
            writing.get().err(),
            writing.set(&7).err(),
            writing.update(|value| *value = 7).err(),
            writing.read_exact_at(&mut bytes, 0).err(),
            writing.write_all_at(&[7], 0).err(),
            writing.declare_consistent().err(),
            reading.get().err(),
            reading.read_exact_at(&mut bytes, 0).err(),
            writer.publish(&7).err(),
            latest.acquire_writer().err(),
            once.get_or_init(|| 7).err(),
            segment.mutex::<u64>("new").err(),
            segment.declare_broken().err(),
            mutex.try_lock().err().map(Error::from),
            lock.try_read().err().map(Error::from),
            lock.try_write().err().map(Error::from),
            guard.give_up().err(),
            writing.give_up().err(),
        ];
        errors.extend(references);
        drop((reading, again, writer));
        let is_right = |error: &Option<Error>| {
            error.as_ref().is_some_and(|error| {
                error.kind() == ErrorKind::Unsupported
                    && format!("{error:#}").contains("was forked from the one that opened")
            })
        };
        let wrong = errors.iter().position(|error| !is_right(error)).map_or(255, |which| which as u8);
        // SAFETY: one valid byte.
        unsafe { libc::write(pipe[1], [wrong].as_ptr().cast(), 1) };
        // The whole segment is dropped as well, as at the end of `main`.
        drop((mutex, lock, read, latest, once, segment));
        // SAFETY: it ends this process.
        unsafe { libc::_exit(0) };
    }
    assert_eq!(initialised.unwrap(), 4);
    guard.set(&2).unwrap();
    writing.set(&3).unwrap();
    assert_eq!(writer.publish(&20).unwrap(), 2);
    drop((guard, writing, reading, again, writer));
    role.say("went on");
}

#[cfg(unix)]
fn fork(how: &str) -> i32 {
    #[cfg(target_os = "linux")]
    if how == "clone" {
        // SAFETY: without flags besides the signal that its end sends, the child has its own copy of the
        // address space. This process has no other threads.
        return unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) } as i32;
    }
    assert_eq!(how, "fork");
    // SAFETY: this process has no other threads.
    unsafe { libc::fork() }
}

/// A forked child sees that its parent is alive, and later that it has died.
pub(crate) fn a_forked_child_detects_its_parents_death() {
    if !cfg!(target_os = "linux") {
        testkit::skip("only tested on Linux");
    }
    if std::env::var_os("MMF_TEST_RUNNER").is_some() {
        testkit::skip("the emulator lets children inherit what holds a slot (MADV_DONTFORK)");
    }
    let (name, segment) = segment("orphan");
    let events = ["lives", "ended"].map(|event| segment.auto_reset_event(event).unwrap());
    let mut peer = Peer::start("owners::role_orphan", &[&name]);
    peer.expect("forked");
    events[0].wait_timeout(WATCHDOG).unwrap();
    assert!(!events[1].is_set().unwrap());
    peer.kill();
    events[1].wait_timeout(WATCHDOG).expect("the child does not see that its parent has died");
}

#[cfg(unix)]
pub(crate) fn role_orphan(role: &mut Role) {
    let segment = Segment::open(role.argument(0)).unwrap();
    let (lives, ended) =
        (segment.auto_reset_event("lives").unwrap(), segment.auto_reset_event("ended").unwrap());
    let latest = segment.latest::<u64>("latest").unwrap();
    let writer = latest.acquire_writer().unwrap();
    if fork("fork") != 0 {
        role.say("forked");
        return role.stay();
    }
    drop(writer);
    let until = std::time::Instant::now() + WATCHDOG;
    if latest.has_writer().unwrap() {
        lives.set().unwrap();
        while latest.has_writer().unwrap() && std::time::Instant::now() < until {
            std::thread::sleep(Duration::from_millis(2));
        }
        if !latest.has_writer().unwrap() {
            ended.set().unwrap();
        }
    }
    // SAFETY: it ends this process.
    unsafe { libc::_exit(0) };
}

#[cfg(not(unix))]
pub(crate) fn role_orphan(_: &mut Role) {}

/// Waits for a child, which writes the index of the first call that did not fail: 255 if all failed.
#[cfg(unix)]
fn wait_for(child: i32, answers: i32) {
    let mut answer = [0_u8];
    // SAFETY: a valid place for one byte.
    assert_eq!(unsafe { libc::read(answers, answer.as_mut_ptr().cast(), 1) }, 1);
    let mut status = 0;
    // SAFETY: a valid place for the status.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!((answer[0], status), (255, 0), "the index of the call that did not fail in the child");
}

#[cfg(not(unix))]
pub(crate) fn role_fork(_: &mut Role) {}

/// For any bytes in a reader word, dropping a guard changes nothing but the count of readers, and nothing at
/// all if the guard is not counted there. A writer only waits for the word of a live participant that owns
/// the slot.
pub(crate) fn words_of_readers_never_wrap_around() {
    let segment = SegmentOptions::new().len(LEN).participants(4).create(unique_name("wrap")).unwrap();
    let (second, third) =
        (Segment::open_in(segment.memory()).unwrap(), Segment::open_in(segment.memory()).unwrap());
    let locks = [&segment, &second, &third].map(|segment| segment.rwlock::<u64>("lock").unwrap());
    let info = segment.inspect().unwrap();
    let at = usize::try_from(info.objects[0].offset).unwrap() + 128;
    let view = segment.memory().view().unwrap();
    // All three participants are in this process, with slots in the order in which they joined.
    let [_, own, other] = [0, 1, 2].map(|slot| u64::from(info.participants[slot].id.get()));
    let word = || view.atomic_u64(at + 64).unwrap();
    let in_one = 1 << 20;
    let ids = [own, own - 1, own + 1, other, 0, 0x0fff_ffff, 0xffff_ffff];
    for id in ids {
        for counts in [0, 1, in_one, 2 * in_one, 0xfff << 20, 0x3ff, 0x3ff << 10, 0xffff_ffff] {
            let written = (id << 32) | counts;
            let guard = locks[1].read().unwrap();
            word().store(written, SeqCst).unwrap();
            drop(guard);
            let expected = if id == own && counts >= in_one { written - in_one } else { written };
            let found = word().load(SeqCst).unwrap();
            assert_eq!(found, expected, "{written:#018x} became {found:#018x}");
            // Another reader of the same participant is counted, or does not acquire the lock.
            let before = word().load(SeqCst).unwrap();
            if let Ok(guard) = locks[1].try_read() {
                assert_eq!(word().load(SeqCst).unwrap() >> 32, own, "{written:#018x}");
                drop(guard);
            } else {
                assert_eq!(word().load(SeqCst).unwrap(), before, "{written:#018x}");
            }
            // A word that does not belong to the owner of its slot blocks no writer.
            word().store(written, SeqCst).unwrap();
            let acquired = locks[0].try_write().is_ok();
            assert!(acquired || id == own, "{written:#018x} in the slot of {own:#x}");
            assert!(!acquired || id != own || counts < in_one, "{written:#018x} is a reader");
            word().store(0, SeqCst).unwrap();
            drop(locks[2].try_write().unwrap());
        }
    }
}

fn lock_state(segment: &Segment, object: usize) -> mmf::inspect::LockState {
    match segment.inspect().unwrap().objects[object].state.clone() {
        ObjectState::Mutex { lock, .. } | ObjectState::RwLock { lock, .. } => lock,
        other => panic!("{other:?}"),
    }
}

/// `held_since` belongs to the present acquisition, never to an earlier one of the same participant.
pub(crate) fn held_since_is_of_this_acquisition() {
    let (_, segment) = segment("since");
    let other = Segment::open_in(segment.memory()).unwrap();
    let (mutex, theirs) = (segment.mutex::<u64>("m").unwrap(), other.mutex::<u64>("m").unwrap());
    let waits =
        || assert!(matches!(theirs.lock_timeout(Duration::from_millis(1)), Err(LockError::TimedOut(_))));
    let guard = mutex.lock().unwrap();
    assert_eq!(lock_state(&segment, 0).held_since, None, "no participant has waited");
    waits();
    let first = lock_state(&segment, 0).held_since.unwrap();
    waits();
    assert_eq!(lock_state(&segment, 0).held_since, Some(first), "the same acquisition");
    drop(guard);
    assert_eq!(lock_state(&segment, 0).held_since, None, "it is free");
    drop(theirs.lock().unwrap());
    // The same participant acquires it again, and none has waited since.
    let between = SystemTime::now();
    let guard = mutex.lock().unwrap();
    assert_eq!(lock_state(&segment, 0).held_since, None, "no participant has waited since this acquisition");
    waits();
    assert!(lock_state(&segment, 0).held_since.unwrap() >= between);
    drop(guard);
    // The same without another owner in between.
    let guard = mutex.lock().unwrap();
    assert_eq!(lock_state(&segment, 0).held_since, None);
    drop(guard);
    // A writer.
    let (lock, theirs) = (segment.rwlock::<u64>("l").unwrap(), other.rwlock::<u64>("l").unwrap());
    let guard = lock.write().unwrap();
    assert!(matches!(theirs.read_timeout(Duration::from_millis(1)), Err(LockError::TimedOut(_))));
    assert!(lock_state(&segment, 1).held_since.is_some());
    drop(guard);
    let between = SystemTime::now();
    let guard = lock.write().unwrap();
    assert_eq!(lock_state(&segment, 1).held_since, None);
    assert!(matches!(theirs.write_timeout(Duration::from_millis(1)), Err(LockError::TimedOut(_))));
    assert!(lock_state(&segment, 1).held_since.unwrap() >= between);
    drop(guard);
}

/// The same for an owner that dies.
pub(crate) fn a_dead_owner_held_it_since_its_last_acquisition() {
    let (name, segment) = segment("dead-since");
    let mutex = segment.mutex::<u64>("mutex").unwrap();
    for waits in [false, true] {
        let mut peer = Peer::start("owners::role_lock_again", &[&name]);
        peer.expect("locked");
        assert!(matches!(mutex.lock_timeout(Duration::from_millis(1)), Err(LockError::TimedOut(_))));
        peer.say("again");
        peer.expect("released");
        let between = SystemTime::now();
        peer.say("go on");
        peer.expect("locked again");
        if waits {
            assert!(matches!(mutex.lock_timeout(Duration::from_millis(1)), Err(LockError::TimedOut(_))));
        }
        peer.kill();
        let LockError::OwnerDied(owner) = mutex.try_lock().unwrap_err() else {
            panic!("the death is not reported")
        };
        assert_eq!(owner.process().unwrap().id, peer.id());
        assert!(!owner.panicked());
        assert_eq!(owner.held_since().is_some(), waits);
        assert!(owner.held_since().is_none_or(|since| since >= between));
        owner.into_guard().declare_consistent().unwrap();
    }
}

pub(crate) fn role_lock_again(role: &mut Role) {
    let mutex = Segment::open(role.argument(0)).unwrap().mutex::<u64>("mutex").unwrap();
    let guard = mutex.lock().unwrap();
    role.say("locked");
    let _ = role.hear();
    drop(guard);
    role.say("released");
    let _ = role.hear();
    let _guard = mutex.lock().unwrap();
    role.say("locked again");
    role.stay();
}

/// A panic with a lock is not reported as a death. A later death is.
pub(crate) fn a_panic_is_not_a_death() {
    let (name, segment) = segment("panics");
    let (mutex, lock) = (segment.mutex::<u64>("mutex").unwrap(), segment.rwlock::<u64>("lock").unwrap());
    let mut peer = Peer::start("owners::role_panic", &[&name]);
    peer.expect("panicked");
    let words = format!("a thread of process {} panicked while holding it", peer.id());
    let check = |error: &dyn std::fmt::Display, what: &str| {
        let text = format!("{error:#}");
        assert!(text.contains(&words) && text.contains(what) && !text.contains("died"), "{text}");
    };
    let error = mutex.lock().unwrap_err();
    check(&error, "the mutex \"mutex\"");
    let LockError::OwnerDied(owner) = error else { panic!("{error:?}") };
    assert!(owner.panicked());
    assert_eq!(owner.process().unwrap().id, peer.id());
    assert!(owner.detected().is_some());
    drop(owner);
    let error = Error::from(mutex.lock().unwrap_err());
    check(&error, "the mutex \"mutex\"");
    assert_eq!((error.kind(), error.object()), (ErrorKind::Corrupted, Some("mutex")));
    check(&lock.read().unwrap_err(), "the rwlock \"lock\"");
    check(&lock.write().unwrap_err(), "the rwlock \"lock\"");
    let state = lock_state(&segment, 0);
    assert!(state.inconsistent && state.dead_owner.is_none());
    assert_eq!(state.panicked_owner.unwrap().id, peer.id());
    // Now the process acquires the damaged lock, and is killed while it holds it.
    peer.say("lock");
    peer.expect("locked");
    peer.kill();
    let error = mutex.lock().unwrap_err();
    assert!(format!("{error:#}").contains(&format!("(process {}) died holding it", peer.id())), "{error}");
    let LockError::OwnerDied(owner) = error else { panic!("{error:?}") };
    assert!(!owner.panicked());
    assert_eq!(owner.process().unwrap().id, peer.id());
    let state = lock_state(&segment, 0);
    assert!(state.panicked_owner.is_none());
    assert_eq!(state.dead_owner.unwrap().id, peer.id());
}

pub(crate) fn role_panic(role: &mut Role) {
    let segment = Segment::open(role.argument(0)).unwrap();
    let (mutex, lock) = (segment.mutex::<u64>("mutex").unwrap(), segment.rwlock::<u64>("lock").unwrap());
    let panicked = std::thread::scope(|scope| {
        let panics = || {
            let _guards = (mutex.lock().unwrap(), lock.write().unwrap());
            std::panic::resume_unwind(Box::new("on purpose"));
        };
        scope.spawn(panics).join()
    });
    assert!(panicked.is_err());
    role.say("panicked");
    let _ = role.hear();
    let Err(LockError::OwnerDied(owner)) = mutex.lock() else { panic!("the data is not marked") };
    let _guard = owner.into_guard();
    role.say("locked");
    role.stay();
}

/// Errors of objects name the object, its kind, the segment, and the process that holds the object. None of
/// them has the words for regions and their names.
pub(crate) fn errors_of_objects_name_the_object() {
    let (name, segment) = segment("named");
    let other = Segment::open_in(segment.memory()).unwrap();
    let place = format!("in \"{}\"", segment.memory().name().unwrap());
    let check = |error: Error, kind: ErrorKind, object: &str, parts: &[&str]| {
        let text = format!("{error:#}");
        assert_eq!((error.kind(), error.object()), (kind, Some(object)), "{text}");
        assert!(text.contains(&place), "{text}");
        for part in parts {
            assert!(text.contains(part), "{part}: {text}");
        }
        let regions = ["creating or removing", "region has this name", "the segment is corrupted"];
        assert!(regions.iter().all(|words| !text.contains(words)), "{text}");
        assert!(text.matches("timed out").count() <= 1, "{text}");
    };
    let me = format!("this process itself (process {})", std::process::id());
    let (mutex, theirs) = (segment.mutex::<u64>("m").unwrap(), other.mutex::<u64>("m").unwrap());
    let short = Duration::from_millis(1);
    let guard = mutex.lock().unwrap();
    let m = "the mutex \"m\"";
    // The same participant, and another one of the same process.
    for mutex in [&mutex, &theirs] {
        let held = format!("is held by {me}");
        check(mutex.try_lock().unwrap_err().into(), ErrorKind::Busy, "m", &[m, &held]);
        let held = format!("timed out waiting for {m}");
        check(mutex.lock_timeout(short).unwrap_err().into(), ErrorKind::TimedOut, "m", &[&held, &me]);
    }
    drop(guard);
    let peer = locked(&name);
    let it = format!("held by process {}", peer.id());
    check(theirs.try_lock().unwrap_err().into(), ErrorKind::Busy, "m", &[m, &it]);
    check(theirs.lock_timeout(short).unwrap_err().into(), ErrorKind::TimedOut, "m", &[m, &it]);
    let (lock, own) = (other.rwlock::<u64>("l").unwrap(), segment.rwlock::<u64>("l").unwrap());
    let l = "the rwlock \"l\"";
    check(lock.try_write().unwrap_err().into(), ErrorKind::Busy, "l", &[l, &it]);
    check(lock.write_timeout(short).unwrap_err().into(), ErrorKind::TimedOut, "l", &[l, &it]);
    let speed = segment.latest::<u64>("speed").unwrap();
    check(
        speed.acquire_writer().unwrap_err(),
        ErrorKind::Busy,
        "speed",
        &["the latest value \"speed\"", "has a writer", &format!("process {}", peer.id())],
    );
    drop(peer);
    testkit::wait_until("the readers are gone", || own.try_write().is_ok());
    let writing = own.write().unwrap();
    check(lock.try_read().unwrap_err().into(), ErrorKind::Busy, "l", &[l, &me]);
    check(lock.read_timeout(short).unwrap_err().into(), ErrorKind::TimedOut, "l", &[l, &me]);
    writing.give_up().unwrap();
    check(lock.read().unwrap_err().into(), ErrorKind::NotRecoverable, "l", &[l, "given up"]);
    // The owner of the mutex has been killed.
    check(
        mutex.lock().unwrap_err().into(),
        ErrorKind::Corrupted,
        "m",
        &[m, "died holding it", "LockError::OwnerDied"],
    );
    let text = mutex.lock().unwrap_err().to_string();
    assert!(text.contains(m) && text.contains(&place), "{text}");
    let observer = Segment::open_read_only(&name).unwrap();
    for missing in
        [segment.find_latest::<u64>("later").map(drop), observer.find_latest::<u64>("later").map(drop)]
    {
        check(missing.unwrap_err(), ErrorKind::NotFound, "later", &["no object \"later\""]);
    }
    let wrong = segment.mutex::<u32>("m").unwrap_err();
    check(wrong, ErrorKind::Incompatible, "m", &["mutex of u64", "mutex of u32"]);
    check(segment.mutex::<u64>("").unwrap_err(), ErrorKind::InvalidName, "", &["1 to 63 bytes"]);
    let full = segment.mutex::<[u64; 100_000]>("huge").unwrap_err();
    check(full, ErrorKind::Full, "huge", &["the mutex \"huge\"", "800064 bytes", "capacity()"]);
    let error = mmf::handoff::receive("nothing-of-this-label").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let text = format!("{error:#}");
    assert!(text.contains("\"nothing-of-this-label\"") && !text.contains("has this name"), "{text}");
    // The error for a segment without a name says so.
    let segment = Segment::create_in(&SharedMemory::anonymous(LEN).unwrap()).unwrap();
    let mutex = segment.mutex::<u64>("m").unwrap();
    let _guard = mutex.lock().unwrap();
    let error = Error::from(mutex.try_lock().unwrap_err());
    assert!(format!("{error:#}").contains("the mutex \"m\" in an unnamed segment is held by"), "{error}");
}

fn locked(name: &str) -> Peer {
    let mut peer = Peer::start("owners::role_hold", &[name]);
    peer.expect("held");
    peer
}

pub(crate) fn role_hold(role: &mut Role) {
    let segment = Segment::open(role.argument(0)).unwrap();
    let (mutex, lock) = (segment.mutex::<u64>("m").unwrap(), segment.rwlock::<u64>("l").unwrap());
    let _guards = (mutex.lock().unwrap(), lock.read().unwrap());
    let _writer = segment.latest::<u64>("speed").unwrap().acquire_writer().unwrap();
    role.say("held");
    role.stay();
}

const SMALL: u64 = 16 * 1024;

fn growing(tag: &str) -> (String, Segment) {
    let name = unique_name(tag);
    let segment = SegmentOptions::new().len(SMALL).capacity(1 << 20).create(&name).unwrap();
    (name, segment)
}

/// Objects use the bytes by which a region has grown: those of this process, of a process that opened it
/// before, and of observers.
pub(crate) fn a_segment_uses_the_space_that_it_grows_by() {
    let (name, segment) = growing("grown");
    let early = segment.mutex::<u64>("early").unwrap();
    let observer = Segment::open_read_only(&name).unwrap();
    let mut peer = Peer::start("owners::role_grow", &[&name]);
    peer.expect("opened");
    let full = segment.mutex::<[u64; 10_000]>("table").unwrap_err();
    assert_eq!(full.kind(), ErrorKind::Full);
    assert!(full.to_string().contains("grow the region first"), "{full}");
    let room = segment.remaining().unwrap();
    let len = segment.memory().grow(256 * 1024).unwrap();
    assert!(segment.remaining().unwrap() >= room + 200 * 1024, "{room} before");
    assert_eq!(segment.inspect().unwrap().damage, []);
    segment
        .mutex::<[u64; 10_000]>("table")
        .unwrap()
        .lock()
        .unwrap()
        .write_all_at(&7_u64.to_le_bytes(), 79_992)
        .unwrap();
    segment.latest::<u64>("speed").unwrap().acquire_writer().unwrap().publish(&5).unwrap();
    assert_eq!(observer.find_latest::<u64>("speed").unwrap().read().unwrap(), Some(5));
    peer.say("look");
    peer.expect("7");
    assert_eq!(segment.mutex::<[u8; 20_000]>("theirs").unwrap().lock().unwrap().get().unwrap(), [3; 20_000]);
    let info = observer.inspect().unwrap();
    assert_eq!((info.objects.len(), &*info.damage), (4, &[][..]));
    assert!(info.used <= info.len && info.len <= len);
    early.lock().unwrap().set(&1).unwrap();
    peer.finish();
    // A process that opens it now finds all objects.
    let late = Segment::open(&name).unwrap();
    assert_eq!(late.latest::<u64>("speed").unwrap().read().unwrap(), Some(5));
    assert_eq!(late.remaining().unwrap(), segment.remaining().unwrap());
    // An object that is larger than the rest does not fit.
    let error = late.mutex::<[u64; 1 << 17]>("all").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full, "{error}");
}

pub(crate) fn role_grow(role: &mut Role) {
    let segment = Segment::open(role.argument(0)).unwrap();
    role.say("opened");
    let _ = role.hear();
    let mut last = [0; 8];
    segment
        .mutex::<[u64; 10_000]>("table")
        .unwrap()
        .lock()
        .unwrap()
        .read_exact_at(&mut last, 79_992)
        .unwrap();
    segment.mutex::<[u8; 20_000]>("theirs").unwrap().lock().unwrap().set(&[3; 20_000]).unwrap();
    role.say(u64::from_le_bytes(last).to_string());
}

/// Several processes grow a segment and add objects at the same time, and all objects are found.
pub(crate) fn several_grow_a_segment_at_once() {
    let (name, segment) = growing("several");
    let mut peers: Vec<Peer> =
        ["0", "1", "2"].iter().map(|number| Peer::start("owners::role_add", &[&name, number])).collect();
    for peer in &mut peers {
        peer.expect("added");
    }
    peers.into_iter().for_each(Peer::finish);
    let info = segment.inspect().unwrap();
    assert_eq!((info.objects.len(), &*info.damage), (60, &[][..]));
    for number in 0..3_u8 {
        for object in 0..20 {
            let mutex = segment.mutex::<[u8; 3000]>(&format!("{number}-{object}")).unwrap();
            assert_eq!(mutex.lock().unwrap().get().unwrap(), [number + 1; 3000]);
        }
    }
}

pub(crate) fn role_add(role: &mut Role) {
    let segment = Segment::open(role.argument(0)).unwrap();
    let number: u8 = role.argument(1).parse().unwrap();
    for object in 0..20 {
        let name = format!("{number}-{object}");
        let mutex = loop {
            match segment.mutex::<[u8; 3000]>(&name) {
                Ok(mutex) => break mutex,
                Err(error) => assert_eq!(error.kind(), ErrorKind::Full, "{error}"),
            }
            let memory = segment.memory();
            memory.grow(memory.len() + 4096).unwrap();
        };
        mutex.lock().unwrap().set(&[number + 1; 3000]).unwrap();
    }
    role.say("added");
}

/// Data that a program keeps behind the segment is not overwritten, a process that dies while it extends the
/// segment leaves no damage, and a length that a peer has made up is ignored.
pub(crate) fn only_free_space_is_used_for_objects() {
    let (name, segment) = growing("room");
    segment.memory().grow(64 * 1024).unwrap();
    let view = segment.memory().view().unwrap();
    view.write_all_at(b"mine", index(SMALL) + 5000).unwrap();
    let full = segment.mutex::<[u8; 16_000]>("table").unwrap_err();
    assert_eq!(full.kind(), ErrorKind::Full);
    assert!(full.to_string().contains("in use by something else"), "{full}");
    assert_eq!(view.read_vec(index(SMALL) + 5000, 4).unwrap(), b"mine");
    view.fill(0, index(SMALL) + 5000..index(SMALL) + 5000 + 4).unwrap();
    let mut victim = Peer::start("owners::role_die_growing", &[&name]);
    victim.expect("at directory: longer");
    victim.kill();
    assert_eq!(segment.inspect().unwrap().damage, []);
    segment.mutex::<[u8; 16_000]>("table").unwrap().lock().unwrap().set(&[1; 16_000]).unwrap();
    let info = segment.inspect().unwrap();
    for wrong in [0, 64, 4096, info.used - 64, info.used + 1, 1 << 20, 1 << 40, u64::MAX - 63, u64::MAX] {
        view.atomic_u64(24).unwrap().store(wrong, SeqCst).unwrap();
        let _ = segment.inspect().unwrap();
        let _ = segment.remaining().unwrap();
        let error = segment.mutex::<[u8; 60_000]>("too much").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Full, "{wrong:#x}: {error}");
        let _ = Segment::open_in(segment.memory())
            .map(|segment| segment.mutex::<[u8; 60_000]>("too much").map(drop));
        assert_eq!(
            segment.mutex::<[u8; 16_000]>("table").unwrap().lock().unwrap().get().unwrap(),
            [1; 16_000]
        );
    }
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).unwrap()
}

pub(crate) fn role_die_growing(role: &mut Role) {
    mmf::__test_hooks::stop_at("directory: longer", tell);
    let _ = Segment::open(role.argument(0)).unwrap().mutex::<[u8; 16_000]>("table");
}

/// A process that may only read waits on the words of others and takes wake-ups away. Waiters are woken
/// nevertheless. (Counted: after a lost wake-up, a waiter finds what it waits for at the end of a recheck
/// interval.)
pub(crate) fn readers_do_not_take_wake_ups_away() {
    if !cfg!(target_os = "linux") {
        testkit::skip("only on Linux, a process without write access can wait on a word");
    }
    let (name, segment) = segment("eaten");
    let (event, taken) = (segment.auto_reset_event("event").unwrap(), segment.event_count("taken").unwrap());
    let mutex: Mutex<u64> = segment.mutex("mutex").unwrap();
    let info = segment.inspect().unwrap();
    let offsets = [0, 2].map(|object| info.objects[object].offset.to_string());
    let mut eater = Peer::start("owners::role_take_wakeups", &[&name, &offsets[0], &offsets[1]]);
    eater.expect("eating");
    const ROUNDS: u32 = 40;
    // A single waiter loses no wake-up, even if none was lost before. (Some seem lost, because a waiter may
    // check by itself just when it is woken.) Several waiters lose one, and from then on all of them are
    // woken.
    for waiters in ["1", "3"] {
        let mut peer = Peer::start("owners::role_be_woken", &[&name, waiters]);
        peer.expect("waiting");
        let at = usize::try_from(info.objects[0].offset).unwrap() + 4;
        let view = segment.memory().view().unwrap();
        let all: u32 = waiters.parse().unwrap();
        let all_wait = |at: usize| {
            testkit::wait_until("all of them wait", || {
                view.atomic_u32(at).unwrap().load(SeqCst).unwrap() == all
            });
        };
        let forget = |at: usize| {
            if all == 1 {
                view.write(&0_u16, at + 26).unwrap();
            }
        };
        for _ in 0..ROUNDS {
            all_wait(at);
            forget(at);
            let seen = taken.count().unwrap();
            event.set().unwrap();
            taken.wait_past_timeout(seen, WATCHDOG).expect("the event is taken");
        }
        peer.say("now the mutex");
        let at = usize::try_from(info.objects[2].offset).unwrap() + 4;
        for _ in 0..ROUNDS {
            let guard = mutex.lock().unwrap();
            let seen = taken.count().unwrap();
            next_round(&segment);
            all_wait(at);
            forget(at);
            drop(guard);
            // All of them acquire it, one after the other.
            while taken.count().unwrap().wrapping_sub(seen) < all {
                match taken.wait_past_timeout(taken.count().unwrap(), Duration::from_millis(1)) {
                    Ok(_) | Err(WaitError::TimedOut(_)) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        }
        peer.say("how many");
        let missed: u32 = peer.hear().parse().unwrap();
        let all = 2 * ROUNDS;
        assert!(missed <= all / 4, "{missed} of {all} wake-ups were lost, with {waiters} waiting");
        peer.finish();
    }
    eater.say("how many");
    let eaten: u32 = eater.hear().parse().unwrap();
    assert!(eaten >= ROUNDS, "too few wake-ups were taken away: {eaten}");
    eater.finish();
}

/// Lets the waiters acquire the mutex once more.
fn next_round(segment: &Segment) {
    segment.event_count("go").unwrap().notify().unwrap();
}

static MISSED: AtomicU32 = AtomicU32::new(0);

pub(crate) fn role_be_woken(role: &mut Role) {
    mmf::__test_hooks::report_at("wait: missed a wake-up", |_| {
        MISSED.fetch_add(1, SeqCst);
    });
    let segment = Segment::open(role.argument(0)).unwrap();
    let (event, taken) = (segment.auto_reset_event("event").unwrap(), segment.event_count("taken").unwrap());
    let (mutex, go) = (segment.mutex::<u64>("mutex").unwrap(), segment.event_count("go").unwrap());
    let (waiters, first) = (role.argument(1).parse().unwrap(), AtomicBool::new(true));
    let seen = go.count().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..waiters {
            scope.spawn(|| {
                // (A short deadline would be a recheck of its own.)
                while first.load(SeqCst) {
                    event.wait().unwrap();
                    if first.load(SeqCst) {
                        taken.notify().unwrap();
                    }
                }
                let mut seen = seen;
                loop {
                    seen = go.wait_past(seen).unwrap();
                    if first.load(SeqCst) {
                        return;
                    }
                    drop(mutex.lock().unwrap());
                    taken.notify().unwrap();
                }
            });
        }
        role.say("waiting");
        let _ = role.hear();
        first.store(false, SeqCst);
        for _ in 0..waiters {
            event.set().unwrap();
            testkit::wait_until("a waiter has taken it", || !event.is_set().unwrap());
        }
        let _ = role.hear();
        let missed = MISSED.load(SeqCst);
        first.store(true, SeqCst);
        go.notify().unwrap();
        role.say(missed.to_string());
    });
}

#[cfg(target_os = "linux")]
pub(crate) fn role_take_wakeups(role: &mut Role) {
    let memory = SharedMemory::open_read_only(role.argument(0)).unwrap();
    let view = memory.view().unwrap();
    let (over, eaten) = (AtomicBool::new(false), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for which in 0..16 {
            let offset: usize = role.argument(1 + which % 2).parse().unwrap();
            let (view, over, eaten) = (&view, &over, &eaten);
            scope.spawn(move || {
                let time = libc::timespec { tv_sec: 0, tv_nsec: 100_000_000 };
                while !over.load(SeqCst) {
                    let word: u32 = view.read(offset).unwrap();
                    let address = view.as_ptr().wrapping_add(offset);
                    // SAFETY: the kernel reads the word and the time, which are valid.
                    let woken = unsafe {
                        libc::syscall(libc::SYS_futex, address, libc::FUTEX_WAIT, word, &raw const time)
                    };
                    if woken == 0 {
                        eaten.fetch_add(1, SeqCst);
                    }
                }
            });
        }
        role.say("eating");
        let _ = role.hear();
        over.store(true, SeqCst);
        role.say(eaten.load(SeqCst).to_string());
    });
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn role_take_wakeups(_: &mut Role) {}

testkit::registry! {
    owners
    tests {
        copies_in_a_forked_child_own_nothing
        copies_in_a_cloned_child_own_nothing
        a_forked_child_detects_its_parents_death
        words_of_readers_never_wrap_around
        held_since_is_of_this_acquisition
        a_dead_owner_held_it_since_its_last_acquisition
        a_panic_is_not_a_death
        errors_of_objects_name_the_object
        a_segment_uses_the_space_that_it_grows_by
        several_grow_a_segment_at_once
        only_free_space_is_used_for_objects
        readers_do_not_take_wake_ups_away
    }
    roles {
        role_fork
        role_orphan
        role_lock_again
        role_panic
        role_hold
        role_grow
        role_add
        role_die_growing
        role_be_woken
        role_take_wakeups
    }
}
