//! Which participants count as alive: namespaces, forks, locks of readers, limits, stopped processes.
#![cfg_attr(not(target_os = "linux"), allow(dead_code, unused_imports, reason = "Linux alone has them"))]

use mmf::sync::LockError;
use mmf::{OpenOptions, Segment, SegmentOptions};
use testkit::{Peer, Role, unique_name};

const LEN: u64 = 64 * 1024;

/// Holds the mutex "m" until it is asked to release it, and checks that no other process acquires it
/// meanwhile.
pub(crate) fn role_own(role: &mut Role) {
    let segment = Segment::open(role.argument(0)).unwrap();
    let mutex = segment.mutex::<u64>("m").unwrap();
    let mut guard = mutex.lock().unwrap();
    guard.set(&7).unwrap();
    role.say("locked");
    let _ = role.hear();
    assert_eq!(guard.get().unwrap(), 7, "another process had the lock");
    guard.set(&0).unwrap();
    drop(guard);
    role.say("unlocked");
}

/// Tries to acquire the mutex "m", now and for some time, and reports the result.
pub(crate) fn role_try(role: &mut Role) {
    let segment = Segment::open(role.argument(0)).unwrap();
    let mutex = segment.mutex::<u64>("m").unwrap();
    let how = |refused| match refused {
        Ok(()) => "got",
        Err(LockError::WouldBlock(_)) => "WouldBlock",
        Err(LockError::TimedOut(_)) => "TimedOut",
        Err(LockError::OwnerDied(_)) => "OwnerDied",
        Err(_) => "failed",
    };
    let at_once = how(mutex.try_lock().map(drop));
    let later = how(mutex.lock_timeout(std::time::Duration::from_millis(120)).map(drop));
    let alive = segment.participants().unwrap().iter().filter(|one| one.alive).count();
    role.say(format!("{at_once} {later} {alive}"));
}

/// The processes of a segment with one owner of "m" and one other participant, which keeps the segment.
fn segment_with(places: u32) -> (String, Segment) {
    let name = unique_name("presence");
    let segment = SegmentOptions::new().len(LEN).participants(places).create(&name).unwrap();
    segment.mutex::<u64>("m").unwrap();
    (name, segment)
}

fn expect_owner_died(segment: &Segment, id: Option<u32>) {
    let mutex = segment.mutex::<u64>("m").unwrap();
    let error = mutex.lock_timeout(testkit::WATCHDOG).unwrap_err();
    let LockError::OwnerDied(owner) = error else { panic!("{error}") };
    if let Some(id) = id {
        assert_eq!(owner.process().map(|process| process.id), Some(id));
    }
    let mut guard = owner.into_guard();
    guard.set(&0).unwrap();
    guard.declare_consistent().unwrap();
}

#[cfg(target_os = "linux")]
pub(crate) use linux::*;
#[cfg(not(target_os = "linux"))]
pub(crate) use others::*;

#[cfg(target_os = "linux")]
mod linux {
    use std::os::fd::AsRawFd;
    use std::sync::atomic::Ordering::SeqCst;
    use std::time::Duration;

    use mmf::handoff::Ticket;
    use mmf::inspect::SegmentStage;
    use mmf::{ErrorKind, SharedMemory};
    use testkit::wait_until;

    use super::*;
    use crate::spaces::{SPACES, done, skip_if_emulated, start_in};

    /// Each owner is alive to each waiter, and is found dead once it is.
    pub(crate) fn owners_in_other_namespaces() {
        skip_if_emulated();
        crate::users::need_root();
        let (name, segment) = segment_with(8);
        for owner_in in SPACES {
            let mut owner = start_in(owner_in, "presence::role_own", &[&name]);
            owner.expect("locked");
            for waiter_in in SPACES {
                let mut waiter = start_in(waiter_in, "presence::role_try", &[&name]);
                let answer = waiter.hear();
                assert_eq!(answer, "WouldBlock TimedOut 3", "owner in [{owner_in}], waiter in [{waiter_in}]");
                waiter.finish();
            }
            let mut participants = segment.participants().unwrap();
            participants.retain(|one| one.alive);
            assert!(participants.len() == 2 && participants.iter().all(|one| one.held_by_kernel));
            let elsewhere = participants.iter().filter(|one| one.process.is_in_other_pid_namespace()).count();
            // Without /proc a process cannot determine which namespace it is in.
            assert_eq!(elsewhere, usize::from(owner_in.starts_with("pid")), "[{owner_in}]");
            owner.kill();
            expect_owner_died(&segment, None);
        }
        // And an owner that releases the lock.
        let mut owner = start_in("time", "presence::role_own", &[&name]);
        owner.expect("locked");
        owner.say("");
        owner.expect("unlocked");
        drop(segment.mutex::<u64>("m").unwrap().lock().unwrap());
    }

    /// In the waiter's namespace, the owner's process id belongs to an unrelated process, or to none.
    pub(crate) fn ids_of_other_namespaces() {
        skip_if_emulated();
        crate::users::need_root();
        let (name, segment) = segment_with(8);
        // Process 1 of its namespace: here that is another process, with another start.
        let mut owner = start_in("pid proc", "presence::role_own", &[&name]);
        owner.expect("locked");
        let participants = segment.participants().unwrap();
        let one = participants.iter().find(|one| one.process.id == 1).expect("it is process 1 there");
        assert!(one.alive && one.process.is_in_other_pid_namespace() && one.process.program().is_none());
        let mut waiter = start_in("pid proc", "presence::role_try", &[&name]);
        waiter.expect("WouldBlock TimedOut 3");
        waiter.finish();
        owner.say("");
        owner.expect("unlocked");
        owner.finish();
    }

    pub(crate) fn creators_in_other_namespaces() {
        skip_if_emulated();
        crate::users::need_root();
        for space in ["time", "pid", "pid proc", "no-proc"] {
            let name = unique_name("creator");
            let mut creator = start_in(space, "segment::role_create_until", &[&name, "create: creating"]);
            creator.expect("at create: creating");
            let memory = SharedMemory::open(&name).unwrap();
            let stage = Segment::stage_of(&memory).unwrap();
            assert!(matches!(stage, SegmentStage::Creating { alive: true, .. }), "[{space}] {stage:?}");
            let soon = SegmentOptions::new().len(LEN).ready_timeout(Duration::from_millis(300));
            for error in [soon.open(&name).unwrap_err(), soon.open_or_create(&name).unwrap_err()] {
                assert_eq!(error.kind(), ErrorKind::NotReady, "[{space}] {error}");
                assert!(!format!("{error:#}").contains("died"), "[{space}] {error}");
            }
            creator.kill();
            wait_until("its creator is found dead", || {
                matches!(Segment::stage_of(&memory).unwrap(), SegmentStage::Creating { alive: false, .. })
            });
            drop(soon.open_or_create(&name).unwrap());
        }
    }

    /// Read locks on every byte that a participant or a creator locks and that is free, by a process that may
    /// only read.
    struct ReadLocks(std::fs::File);

    impl ReadLocks {
        fn on(name: &str) -> Self {
            // SAFETY: the call has no requirements.
            let user = unsafe { libc::geteuid() };
            let locks = ReadLocks(std::fs::File::open(format!("/dev/shm/mmf.{user}.{name}")).unwrap());
            locks.extend();
            locks
        }

        fn extend(&self) {
            for slot in (0..512).chain([1 << 20]) {
                // SAFETY: it is a plain C structure for which all zeros is a value.
                let mut lock: libc::flock = unsafe { std::mem::zeroed() };
                lock.l_type = libc::F_RDLCK as libc::c_short;
                (lock.l_start, lock.l_len) = ((1 << 60) + slot, 1);
                // SAFETY: the descriptor is open, and the pointer is to a lock. (Where there is a write lock,
                // there is no other.)
                unsafe { libc::fcntl(self.0.as_raw_fd(), libc::F_OFD_SETLK, &raw const lock) };
            }
        }
    }

    pub(crate) fn read_locks_decide_nothing() {
        // The reader also locks the creator's slot, before the region contains a segment.
        let name = unique_name("read-locks");
        let memory = SharedMemory::create(&name, LEN).unwrap();
        let locks = ReadLocks::on(&name);
        let three = SegmentOptions::new().participants(3).ready_timeout(Duration::ZERO);
        let segment = three.create_in(&memory).unwrap();
        segment.mutex::<u64>("m").unwrap();
        // It is a participant, and reports that the kernel does not hold its slot.
        let participants = segment.participants().unwrap();
        assert!(participants.iter().all(|one| one.alive && !one.held_by_kernel), "{participants:?}");
        let mut owner = Peer::start("presence::role_own", &[&name]);
        owner.expect("locked");
        let mut waiter = Peer::start("presence::role_try", &[&name]);
        waiter.expect("WouldBlock TimedOut 3");
        waiter.finish();
        owner.kill();
        expect_owner_died(&segment, Some(owner.id()));
        drop(locks);
        // A participant that joined before the reader is found dead in spite of it, and its slot is reused.
        let mut owner = Peer::start("presence::role_own", &[&name]);
        owner.expect("locked");
        let held = segment.participants().unwrap().iter().filter(|one| one.held_by_kernel).count();
        assert_eq!(held, 1);
        let locks = ReadLocks::on(&name);
        owner.kill();
        // From this moment on, the reader has locked all bytes.
        locks.extend();
        assert_eq!(segment.participants().unwrap().iter().filter(|one| one.alive).count(), 1);
        expect_owner_died(&segment, Some(owner.id()));
        let (second, third) = (Segment::open(&name).unwrap(), Segment::open(&name).unwrap());
        assert_eq!(Segment::open(&name).unwrap_err().kind(), ErrorKind::Full);
        drop((second, third, locks));
        assert!(Segment::open(&name).is_ok());
    }

    /// However a child is created, it does not keep its parent alive, not even one that is not reaped yet.
    pub(crate) fn children_do_not_keep_their_parents_alive() {
        skip_if_emulated();
        let (name, segment) = segment_with(4);
        for how in ["fork", "clone"] {
            let mut owner = Peer::start("presence::role_own_and_fork", &[&name, how]);
            let child: i32 = owner.hear().parse().unwrap();
            let id = owner.id();
            assert_eq!(segment.participants().unwrap().iter().filter(|one| one.alive).count(), 2, "{how}");
            // SAFETY: the call has no requirements; the process is not reaped yet, so the id is its own.
            done(unsafe { libc::kill(id.try_into().unwrap(), libc::SIGKILL) }).unwrap();
            expect_owner_died(&segment, Some(id));
            // SAFETY: the call has no requirements.
            assert_eq!(unsafe { libc::kill(child, 0) }, 0, "{how}: the child lives");
            // SAFETY: the call has no requirements; the id is that of the child that the role has reported.
            unsafe { libc::kill(child, libc::SIGKILL) };
            owner.kill();
        }
    }

    pub(crate) fn role_own_and_fork(role: &mut Role) {
        let segment = Segment::open(role.argument(0)).unwrap();
        let mutex = segment.mutex::<u64>("m").unwrap();
        std::mem::forget(mutex.lock().unwrap());
        let child = if role.argument(1) == "fork" {
            // SAFETY: the child only waits to be killed.
            unsafe { libc::fork() }
        } else {
            let signal = libc::c_long::from(libc::SIGCHLD);
            // SAFETY: without flags it is a fork that calls no handlers.
            (unsafe { libc::syscall(libc::SYS_clone, signal, 0_usize, 0_usize, 0_usize, 0_usize) }) as i32
        };
        if child == 0 {
            // The copies belong to its parent, also when they are dropped.
            assert!(mutex.try_lock().is_err());
            drop(mutex);
            drop(segment);
            loop {
                std::thread::park();
            }
        }
        role.say(child.to_string());
        role.stay();
    }

    /// The first process of a pid namespace is process 1, and so is its child in another one.
    pub(crate) fn a_child_with_the_same_id_is_no_holder() {
        skip_if_emulated();
        crate::users::need_root();
        let name = unique_name("same-number");
        let mut holder = start_in("pid proc", "presence::role_fork_with_the_same_id", &[&name]);
        holder.expect("1 and 1");
        let memory = SharedMemory::open(&name).unwrap();
        holder.say("");
        holder.finish();
        drop(memory);
        assert_eq!(SharedMemory::open(&name).unwrap_err().kind(), ErrorKind::NotFound);
    }

    pub(crate) fn role_fork_with_the_same_id(role: &mut Role) {
        let segment = Segment::create(role.argument(0), LEN).unwrap();
        // SAFETY: the call has no requirements.
        done(unsafe { libc::unshare(libc::CLONE_NEWPID) }).unwrap();
        // SAFETY: this process has one thread; the child releases what it has and ends.
        let child = unsafe { libc::fork() };
        if child == 0 {
            drop(segment);
            let id = i32::try_from(std::process::id()).unwrap();
            // SAFETY: the call has no requirements.
            unsafe { libc::_exit(id) };
        }
        let mut status = 0;
        // SAFETY: the pointer is to a valid status.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        role.say(format!("{} and {}", std::process::id(), libc::WEXITSTATUS(status)));
        let _ = role.hear();
        assert!(segment.participants().unwrap().iter().all(|one| one.alive));
    }

    /// Such a region is mapped in whole large pages; the mapping that holds a slot must not take any of them.
    pub(crate) fn slots_in_large_pages() {
        let options = OpenOptions::new().len(1 << 20).large_pages(mmf::pages::LargePages::Required);
        let memory = match options.anonymous() {
            Ok(memory) => memory,
            Err(error) => testkit::skip(error.to_string()),
        };
        let reserved = || {
            let text = std::fs::read_to_string("/proc/meminfo").unwrap();
            text.lines().find(|line| line.starts_with("HugePages_Rsvd:")).map(str::to_owned)
        };
        let views = testkit::mapped_views();
        let segment = Segment::create_in(&memory).unwrap();
        let before = reserved();
        let others: Vec<Segment> = (0..16).map(|_| Segment::open_in(&memory).unwrap()).collect();
        assert_eq!(reserved(), before);
        let participants = segment.participants().unwrap();
        assert!(participants.len() == 17 && participants.iter().all(|one| one.alive && one.held_by_kernel));
        drop(others);
        assert_eq!(segment.participants().unwrap().len(), 1);
        drop(segment);
        assert_eq!(testkit::mapped_views(), views);
    }

    /// Closes all descriptors, as a program does that becomes a service after it has opened its segment.
    pub(crate) fn closing_all_descriptors() {
        skip_if_emulated();
        let (name, segment) = segment_with(4);
        let mut owner = Peer::start("presence::role_own_and_close", &[&name]);
        owner.expect("closed");
        let mut waiter = Peer::start("presence::role_try", &[&name]);
        waiter.expect("WouldBlock TimedOut 3");
        waiter.finish();
        owner.kill();
        expect_owner_died(&segment, Some(owner.id()));
    }

    pub(crate) fn role_own_and_close(role: &mut Role) {
        let segment = Segment::open(role.argument(0)).unwrap();
        let mutex = segment.mutex::<u64>("m").unwrap();
        std::mem::forget(mutex.lock().unwrap());
        // SAFETY: the descriptors are this library's, which this process does not use any more.
        done(unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0) } as i32).unwrap();
        role.say("closed");
        role.stay();
    }

    pub(crate) fn no_descriptor_left() {
        skip_if_emulated();
        let (name, _segment) = segment_with(4);
        let mut peer = Peer::start("presence::role_no_descriptor", &[&name]);
        peer.expect("done");
        peer.finish();
    }

    pub(crate) fn role_no_descriptor(role: &mut Role) {
        let memory = SharedMemory::open(role.argument(0)).unwrap();
        let others = SharedMemory::anonymous(LEN).unwrap();
        let limit = |most| {
            // SAFETY: it is a plain C structure for which all zeros is a value.
            let mut limit: libc::rlimit = unsafe { std::mem::zeroed() };
            // SAFETY: the pointer is to a valid structure.
            done(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) }).unwrap();
            limit.rlim_cur = most;
            // SAFETY: the pointer is to a valid structure.
            done(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }).unwrap();
        };
        limit(3);
        for error in [Segment::open_in(&memory).unwrap_err(), Segment::create_in(&others).unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::LimitReached, "{error}");
        }
        let text = Segment::open_in(&memory).unwrap_err().to_string();
        assert!(text.contains("descriptor"), "{text}");
        limit(256);
        let segment = Segment::open_in(&memory).unwrap();
        assert!(segment.participants().unwrap().iter().all(|one| one.held_by_kernel && one.alive));
        // The failed attempt has left nothing behind: the segment can still be created.
        let _ = Segment::create_in(&others).unwrap();
        // A participant that has joined needs no descriptor any more.
        limit(3);
        drop(segment.mutex::<u64>("m").unwrap().lock().unwrap());
        assert!(segment.participants().unwrap().iter().all(|one| one.held_by_kernel && one.alive));
        limit(256);
        role.say("done");
    }

    pub(crate) fn no_address_left() {
        skip_if_emulated();
        let (name, _segment) = segment_with(4);
        let mut peer = Peer::start("presence::role_no_address", &[&name]);
        peer.expect("done");
        peer.finish();
    }

    /// Whatever the limit is, joining works, or fails with an error and takes no slot.
    pub(crate) fn role_no_address(role: &mut Role) {
        let memory = SharedMemory::open(role.argument(0)).unwrap();
        drop(Segment::open_in(&memory).unwrap());
        let used = || {
            let maps = std::fs::read_to_string("/proc/self/statm").unwrap();
            maps.split(' ').next().unwrap().parse::<u64>().unwrap() * testkit::page_size() as u64
        };
        let limit = |most| {
            let limit = libc::rlimit { rlim_cur: most, rlim_max: libc::RLIM_INFINITY };
            // SAFETY: the pointer is to a valid structure.
            done(unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) }).unwrap();
        };
        let (mut refused, mut joined) = (0, 0);
        for pages in 0..32 {
            limit(used() + pages * testkit::page_size() as u64);
            let result = Segment::open_in(&memory);
            limit(libc::RLIM_INFINITY);
            match result {
                Ok(segment) => {
                    joined += 1;
                    assert!(
                        segment.participants().unwrap().iter().all(|one| one.held_by_kernel && one.alive)
                    );
                }
                Err(error) => {
                    refused += 1;
                    assert_ne!(error.kind(), ErrorKind::Full, "{error}");
                }
            }
            let segment = Segment::open_in(&memory).unwrap();
            assert_eq!(segment.participants().unwrap().iter().filter(|one| one.alive).count(), 2);
        }
        assert!(refused > 0 && joined > 0, "{refused} refused, {joined} joined");
        role.say("done");
    }

    pub(crate) fn stopped_processes_are_alive() {
        let (name, segment) = segment_with(4);
        let mut owner = Peer::start("presence::role_own", &[&name]);
        owner.expect("locked");
        let id = i32::try_from(owner.id()).unwrap();
        // SAFETY: the call has no requirements.
        done(unsafe { libc::kill(id, libc::SIGSTOP) }).unwrap();
        wait_until("it is stopped", || {
            std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap().contains(") T ")
        });
        let mut waiter = Peer::start("presence::role_try", &[&name]);
        waiter.expect("WouldBlock TimedOut 3");
        waiter.finish();
        // SAFETY: the call has no requirements.
        done(unsafe { libc::kill(id, libc::SIGCONT) }).unwrap();
        owner.say("");
        owner.expect("unlocked");
        owner.finish();
        drop(segment.mutex::<u64>("m").unwrap().lock().unwrap());
    }

    /// A process whose first thread has ended looks like a zombie.
    pub(crate) fn processes_without_their_first_thread() {
        skip_if_emulated();
        let (name, segment) = segment_with(4);
        for locks in [false, true] {
            let locks = locks.then(|| ReadLocks::on(&name));
            let mut owner = Peer::start("presence::role_leave_first_thread", &[&name]);
            owner.expect("locked");
            let id = owner.id();
            wait_until("its first thread has ended", || {
                std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap().contains(") Z ")
            });
            let mut waiter = Peer::start("presence::role_try", &[&name]);
            waiter.expect("WouldBlock TimedOut 3");
            waiter.finish();
            owner.kill();
            expect_owner_died(&segment, Some(id));
            drop(locks);
        }
    }

    pub(crate) fn role_leave_first_thread(role: &mut Role) {
        let segment = Segment::open(role.argument(0)).unwrap();
        let mutex = segment.mutex::<u64>("m").unwrap();
        std::mem::forget(mutex.lock().unwrap());
        std::thread::spawn(|| {
            loop {
                std::thread::park();
            }
        });
        role.say("locked");
        // SAFETY: this thread owns nothing that other threads wait for.
        unsafe { libc::syscall(libc::SYS_exit, 0) };
    }

    /// A participant whose slot the kernel does not hold has taken the slot and has not recorded its process:
    /// its process id means nothing in other namespaces.
    pub(crate) fn joining_in_two_pid_namespaces() {
        skip_if_emulated();
        crate::users::need_root();
        let (name, segment) = segment_with(2);
        let locks = ReadLocks::on(&name);
        let mut first = start_in("pid proc", "presence::role_join_until", &[&name]);
        first.expect("at join: joining");
        for space in ["", "pid proc", "time"] {
            let mut second = start_in(space, "presence::role_join_and_report", &[&name]);
            second.expect("Full");
            second.finish();
        }
        first.kill();
        drop((segment, locks));
    }

    pub(crate) fn role_join_until(role: &mut Role) {
        mmf::__test_hooks::stop_at("join: joining", |step| println!("at {step}"));
        role.say(format!("came through: {:?}", Segment::open(role.argument(0))));
    }

    pub(crate) fn role_join_and_report(role: &mut Role) {
        let kind = Segment::open(role.argument(0)).map(|_| ()).map_err(|error| error.kind());
        role.say(match kind {
            Ok(()) => "joined".to_owned(),
            Err(kind) => format!("{kind:?}"),
        });
    }

    /// Without the kernel's hold, a process of another time namespace is not dead because its start has
    /// another value there.
    pub(crate) fn without_the_kernel_in_other_namespaces() {
        skip_if_emulated();
        crate::users::need_root();
        let (name, _segment) = segment_with(8);
        let _locks = ReadLocks::on(&name);
        for owner_in in SPACES {
            let mut owner = start_in(owner_in, "presence::role_own", &[&name]);
            owner.expect("locked");
            for waiter_in in SPACES {
                let mut waiter = start_in(waiter_in, "presence::role_try", &[&name]);
                let answer = waiter.hear();
                assert_eq!(answer, "WouldBlock TimedOut 3", "owner in [{owner_in}], waiter in [{waiter_in}]");
                waiter.finish();
            }
            owner.say("");
            owner.expect("unlocked");
            owner.finish();
        }
    }

    /// As after a checkpoint from which the locks were not restored: no participant is taken for dead.
    pub(crate) fn all_locks_lost() {
        skip_if_emulated();
        let (name, segment) = segment_with(4);
        let mut owner = Peer::start("presence::role_lose_hold", &[&name, "own"]);
        owner.expect("lost");
        let mut waiter = Peer::start("presence::role_lose_hold", &[&name, "wait"]);
        waiter.expect("lost");
        waiter.expect("WouldBlock TimedOut");
        drop(segment);
    }

    pub(crate) fn role_lose_hold(role: &mut Role) {
        let segment = Segment::open(role.argument(0)).unwrap();
        let mutex = segment.mutex::<u64>("m").unwrap();
        let owns = role.argument(1) == "own";
        if owns {
            std::mem::forget(mutex.lock().unwrap());
        }
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let mine = |line: &&str| line.contains(role.argument(0)) && line.contains("---p");
        let line = maps.lines().find(mine).expect("what holds its place");
        let (from, to) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let [from, to] = [from, to].map(|text| usize::from_str_radix(text, 16).unwrap());
        // SAFETY: nothing accesses the mapping; this process ends without dropping what it belongs to.
        done(unsafe { libc::munmap(std::ptr::without_provenance_mut(from), to - from) }).unwrap();
        role.say("lost");
        if !owns {
            let at_once = matches!(mutex.try_lock(), Err(LockError::WouldBlock(_)));
            let later = matches!(mutex.lock_timeout(Duration::from_millis(120)), Err(LockError::TimedOut(_)));
            role.say(if at_once && later { "WouldBlock TimedOut" } else { "got" });
        }
        role.stay();
    }

    /// A peer that writes the state of the creator's slot again and again does not keep a creator past its
    /// deadline.
    pub(crate) fn a_slot_state_that_changes_constantly() {
        let memory = SharedMemory::anonymous(LEN).unwrap();
        let view = memory.view().unwrap();
        let (word, end) = (48, std::sync::atomic::AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut generation = 0_u64;
                while !end.load(SeqCst) {
                    generation += 1;
                    view.atomic_u64(word).unwrap().store((generation % 9) << 3, SeqCst).unwrap();
                }
            });
            for _ in 0..20 {
                // The segment is created, or the deadline passes.
                let soon = SegmentOptions::new().ready_timeout(Duration::ZERO);
                if let Err(error) = soon.create_in(&memory) {
                    assert!(
                        matches!(error.kind(), ErrorKind::NotReady | ErrorKind::AlreadyExists),
                        "{error}"
                    );
                }
            }
            end.store(true, SeqCst);
        });
    }

    pub(crate) fn tickets_from_other_namespaces() {
        skip_if_emulated();
        crate::users::need_root();
        for (space, reason) in [("time", "time namespace"), ("pid proc", "pid namespace"), ("pid", "")] {
            let mut giver = start_in(space, "presence::role_give", &[]);
            let text = giver.hear();
            if space == "pid" {
                // Its /proc is another namespace's, in which it cannot even find itself.
                assert!(text.starts_with("Unsupported") && text.contains("pid namespace"), "{text}");
                continue;
            }
            let error = text.parse::<Ticket>().unwrap().redeem().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidTicket, "{error}");
            assert!(format!("{error:#}").contains(reason), "[{space}] {error}");
            giver.kill();
        }
        let memory = SharedMemory::anonymous(LEN).unwrap();
        let ticket = memory.ticket_for(std::process::id()).unwrap().to_string();
        let mut receiver = start_in("no-proc", "presence::role_redeem", &[&ticket]);
        let text = receiver.hear();
        assert!(text.starts_with("InvalidTicket") && text.contains("/proc is missing"), "{text}");
    }

    pub(crate) fn role_give(role: &mut Role) {
        let memory = SharedMemory::anonymous(LEN).unwrap();
        match memory.ticket_for(std::process::id()) {
            Ok(ticket) => role.say(ticket.to_string()),
            Err(error) => role.say(format!("{:?} {error}", error.kind())),
        }
        role.stay();
    }

    pub(crate) fn role_redeem(role: &mut Role) {
        let error = role.argument(0).parse::<Ticket>().unwrap().redeem().unwrap_err();
        role.say(format!("{:?} {error}", error.kind()));
    }
}

#[cfg(not(target_os = "linux"))]
mod others {
    use super::*;

    macro_rules! skipped {
        ($($test:ident)*; $($role:ident)*) => {
            $(pub(crate) fn $test() {
                testkit::skip("namespaces and open file description locks are tested on Linux only");
            })*
            $(pub(crate) fn $role(_: &mut Role) {})*
        };
    }

    skipped! {
        owners_in_other_namespaces ids_of_other_namespaces creators_in_other_namespaces
            read_locks_decide_nothing children_do_not_keep_their_parents_alive
            a_child_with_the_same_id_is_no_holder slots_in_large_pages closing_all_descriptors
            no_descriptor_left no_address_left stopped_processes_are_alive
            processes_without_their_first_thread joining_in_two_pid_namespaces
            without_the_kernel_in_other_namespaces all_locks_lost a_slot_state_that_changes_constantly
            tickets_from_other_namespaces;
        role_own_and_fork role_fork_with_the_same_id role_own_and_close role_no_descriptor
            role_no_address role_leave_first_thread role_join_until role_join_and_report
            role_lose_hold role_give role_redeem
    }
}

testkit::registry! {
    presence
    tests {
        owners_in_other_namespaces
        ids_of_other_namespaces
        creators_in_other_namespaces
        read_locks_decide_nothing
        children_do_not_keep_their_parents_alive
        a_child_with_the_same_id_is_no_holder
        slots_in_large_pages
        closing_all_descriptors
        no_descriptor_left
        no_address_left
        stopped_processes_are_alive
        processes_without_their_first_thread
        joining_in_two_pid_namespaces
        without_the_kernel_in_other_namespaces
        all_locks_lost
        a_slot_state_that_changes_constantly
        tickets_from_other_namespaces
    }
    roles {
        role_own
        role_try
        role_own_and_fork
        role_fork_with_the_same_id
        role_own_and_close
        role_no_descriptor
        role_no_address
        role_leave_first_thread
        role_join_until
        role_join_and_report
        role_lose_hold
        role_give
        role_redeem
    }
}
