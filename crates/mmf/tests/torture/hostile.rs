//! A peer that writes arbitrary values to arbitrary words while other processes use every object: operations
//! return values or errors, always in time.

use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use mmf::{Segment, SegmentOptions, SharedMemory, View};
use testkit::{Peer, Role, unique_name};

use crate::random::{Random, from_env, seed};

const LEN: u64 = 16 * 1024;
const SLOTS: u32 = 4;

fn options() -> SegmentOptions {
    SegmentOptions::new().len(LEN).participants(SLOTS).ready_timeout(Duration::ZERO)
}

/// Returns a value that is plausible in some word of the format.
fn structured(random: &mut Random, view: &View) -> u32 {
    let token = (random.below(4) as u32 + 1) << 9 | random.below(5) as u32;
    match random.below(10) {
        0 => random.below(1024) as u32,
        // A participant id with any of the bits of a lock word.
        1 | 2 => token | (random.below(16) as u32) << 28,
        3 => 0x0fff_ffff | (random.below(16) as u32) << 28,
        // Offsets at and beyond the end, and close to overflow.
        4 => (LEN as u32).wrapping_add(random.below(129) as u32).wrapping_sub(64),
        5 => 0u32.wrapping_sub(random.below(512) as u32),
        // Counts about to overflow in a reader's word.
        6 => 0xfff0_0000 | random.next() as u32,
        // The value of another word.
        7 => view.atomic_u32(random.below(LEN / 4) as usize * 4).unwrap().load(SeqCst).unwrap(),
        8 => 1 << random.below(32),
        _ => random.next() as u32,
    }
}

pub(crate) fn overwritten_words() {
    let words = from_env("MMF_TORTURE_WORDS").unwrap_or(if testkit::under_wine() { 2_000 } else { 100_000 });
    let mut random = Random::new(seed());
    let name = unique_name("hostile");
    let segment = options().create(&name).unwrap();
    let view = segment.memory().view().unwrap();
    let mut peers: Vec<Peer> = (0..2)
        .map(|_| {
            let mut peer = Peer::start("hostile::role_use", &[&name]);
            peer.expect("ready");
            peer
        })
        .collect();
    let used = segment.inspect().unwrap().used;
    let good = view.read_vec(0, view.len()).unwrap();
    let begun = Instant::now();
    for word in 0..words {
        // Restore the bytes often, or every operation would fail at its first check.
        if word % 16 == 0 {
            view.write_all_at(&good, 0).unwrap();
        }
        let value = structured(&mut random, &view);
        let at = random.below(used / 4) as usize * 4;
        view.atomic_u32(at).unwrap().store(value, SeqCst).unwrap();
        if word % 4 == 0 {
            std::thread::sleep(Duration::from_micros(random.below(60)));
        }
        // The peers still make progress.
        if word % 5000 == 0 {
            for peer in &mut peers {
                peer.say("how many");
                let rounds: u64 = peer.hear().parse().unwrap();
                assert!(rounds > 0 || word == 0, "a peer has finished no round");
            }
        }
    }
    println!("{words} words overwritten in {:.1} s", begun.elapsed().as_secs_f64());
    for peer in peers {
        peer.finish();
    }
    // With the original bytes restored, everything works.
    view.write_all_at(&good, 0).unwrap();
    let mutex = segment.mutex::<u64>("mutex").unwrap();
    match mutex.lock() {
        Ok(mut guard) => guard.set(&5).unwrap(),
        Err(mmf::sync::LockError::OwnerDied(owner)) => owner.into_guard().declare_consistent().unwrap(),
        Err(error) => panic!("{error}"),
    }
}

pub(crate) fn role_use(role: &mut Role) {
    let segment = Segment::open(role.argument(0)).unwrap();
    let objects = (
        segment.mutex::<u64>("mutex").unwrap(),
        segment.rwlock::<[u64; 2]>("rwlock").unwrap(),
        segment.latest::<[u64; 4]>("latest").unwrap(),
        segment.auto_reset_event("event").unwrap(),
        segment.manual_reset_event("manual").unwrap(),
        segment.event_count("notify").unwrap(),
        segment.once_lock::<u64>("once").unwrap(),
        segment.futex("cell").unwrap(),
    );
    let (mutex, rwlock, latest, event, manual, notify, once, cell) = &objects;
    role.say("ready");
    let rounds = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let finished = std::sync::Arc::clone(&rounds);
    let talk = std::thread::spawn(move || {
        // (The pipe is closed at the end of the test.)
        for line in std::io::stdin().lines() {
            drop(line);
            println!("{}", finished.load(SeqCst));
        }
    });
    let short = Duration::from_micros(300);
    while !talk.is_finished() {
        let _ = segment.inspect();
        let _ = segment.participants();
        let _ = segment.remaining();
        let _ = segment.mutex::<u64>("mutex");
        let _ = segment.rwlock::<u64>("rwlock");
        let _ = segment.find_latest::<[u64; 4]>("latest").map(|latest| latest.read());
        let _ = segment.auto_reset_event("created meanwhile");
        let _ = options().open(role.argument(0)).map(|other| other.mutex::<u64>("mutex").map(drop));
        let _ = options().open_or_create(role.argument(0)).map(drop);
        let _ = options().open_read_only(role.argument(0)).map(|other| other.inspect());
        let _ = SharedMemory::open(role.argument(0)).map(|memory| memory.len());
        for _ in 0..4 {
            let _ = mutex.try_lock().map(|mut guard| guard.update(|value| *value += 1));
            let _ = mutex.lock_timeout(short).map(|mut guard| guard.declare_consistent());
            let _ = rwlock.try_read().map(|guard| guard.get());
            let _ = rwlock.read_timeout(short).map(|guard| guard.get());
            let _ = rwlock.try_write().map(|guard| guard.get());
            let _ = rwlock.write_timeout(short).map(|mut guard| guard.declare_consistent());
            let _ = latest.read_numbered();
            let _ = latest.acquire_writer().map(|mut writer| writer.publish(&[7; 4]));
            let _ = (event.set(), event.wait_timeout(short), manual.set(), manual.reset());
            let _ = mmf::sync::Event::wait_any_timeout(&[event, manual], short);
            let _ = notify.notify();
            let _ = notify.wait_past_timeout(notify.count().unwrap_or(0), short);
            let _ = once.get();
            let _ = cell.wake_all();
        }
        rounds.fetch_add(1, SeqCst);
    }
    talk.join().unwrap();
}
