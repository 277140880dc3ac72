//! One process without contention.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use mmf::{Error, Segment, SharedMemory, View};

use super::peers::Peers;
use super::{Aim, name};
use crate::pairs;

/// Measures acquiring and releasing locks.
pub(super) fn locks(aims: &mut Vec<Aim>) -> Result<(), Error> {
    let segment = Segment::create(&*name("alone"), 64 * 1024)?;
    let (mutex, rwlock) = (segment.mutex::<u64>("mutex")?, segment.rwlock::<u64>("rwlock")?);
    let (std_mutex, std_rwlock) = (std::sync::Mutex::new(0_u64), std::sync::RwLock::new(0_u64));
    let plain = SharedMemory::anonymous(4096)?.view()?;
    let [one, other] = Peers::make(&plain, &name("alone-kernel")).mutexes();
    let [ours, std, first, second] = pairs::measure([
        &mut || drop(black_box(mutex.lock().expect("to lock"))),
        &mut || drop(black_box(std_mutex.lock().expect("to lock"))),
        &mut || one.locked(|| {}),
        &mut || other.locked(|| {}),
    ]);
    println!("lock and unlock without contention, in nanoseconds\n");
    println!("{:<34} {ours:>8.1}", "Mutex");
    println!("{:<34} {std:>8.1}", "std::sync::Mutex (one process)");
    aims.push(Aim::new("Mutex, alone / std::sync::Mutex", ours / std, Some(1.5)));
    for (peer, theirs) in [(&one, first), (&other, second)] {
        println!("{:<34} {theirs:>8.1}", peer.name());
        aims.push(Aim::new(format!("Mutex, alone / {}", peer.name()), ours / theirs, None));
    }
    let [read, std_read, write, std_write] = pairs::measure([
        &mut || drop(black_box(rwlock.read().expect("to lock"))),
        &mut || drop(black_box(std_rwlock.read().expect("to lock"))),
        &mut || drop(black_box(rwlock.write().expect("to lock"))),
        &mut || drop(black_box(std_rwlock.write().expect("to lock"))),
    ]);
    println!("{:<34} {read:>8.1}   std::sync::RwLock {std_read:.1}", "RwLock, read");
    println!("{:<34} {write:>8.1}   std::sync::RwLock {std_write:.1}", "RwLock, write");
    aims.push(Aim::new("RwLock, reading alone / std::sync::RwLock", read / std_read, None));
    aims.push(Aim::new("RwLock, writing alone / std::sync::RwLock", write / std_write, None));
    Ok(())
}

pub(super) fn latest(aims: &mut Vec<Aim>) -> Result<(), Error> {
    println!(
        "\nthe latest value without a concurrent writer, in nanoseconds; all read from \
         shared memory into one buffer;"
    );
    println!("bare: the protocol of `Latest` without a library, as three loads and an unguarded copy\n");
    println!(
        "{:>7} {:>8} {:>8} {:>9} {:>9} {:>9} {:>8} {:>8}",
        "bytes", "copy", "bare", "read_into", "/ copy", "/ bare", "read", "publish"
    );
    sized::<2>(aims)?;
    sized::<8>(aims)?;
    sized::<32>(aims)?;
    sized::<128>(aims)?;
    sized::<512>(aims)?;
    sized::<2048>(aims)?;
    sized::<8192>(aims)
}

fn sized<const WORDS: usize>(aims: &mut Vec<Aim>) -> Result<(), Error> {
    let segment = Segment::create(&*name("latest"), 1 << 20)?;
    let latest = segment.latest::<[u64; WORDS]>("value")?;
    let mut writer = latest.acquire_writer()?;
    let value = [7_u64; WORDS];
    writer.publish(&value)?;
    let plain = SharedMemory::anonymous(1 << 20)?.view()?;
    let bare = Bare::<WORDS>::new(&plain);
    plain.write(&value, VALUES)?;
    let mut read = Box::new([0_u64; WORDS]);
    let to: *mut [u64; WORDS] = &raw mut *read;
    let [copy, bare, ours, by_value, publish] = pairs::measure([
        &mut || {
            // SAFETY: the source is inside the view and the destination is a local variable. Both have the
            // size and the alignment of the value.
            unsafe { std::ptr::copy_nonoverlapping(black_box(bare.value(0)), black_box(to), 1) };
        },
        &mut || {
            // SAFETY: `to` is the address of a local variable, which is valid to write.
            black_box(unsafe { bare.read(black_box(to)) });
        },
        &mut || {
            // SAFETY: `to` is valid, and nothing else uses it during the call.
            black_box(latest.read_into(black_box(unsafe { &mut *to })).expect("to read"));
        },
        &mut || {
            black_box(latest.read().expect("to read"));
        },
        &mut || {
            black_box(writer.publish(black_box(&value)).expect("to publish"));
        },
    ]);
    let bytes = WORDS * 8;
    println!(
        "{bytes:>7} {copy:>8.1} {bare:>8.1} {ours:>9.1} {:>9.2} {:>9.2} {by_value:>8.1} {publish:>8.1}",
        ours / copy,
        ours / bare
    );
    aims.push(Aim::new(format!("Latest, read of {bytes} bytes / copy"), ours / copy, Some(1.2)));
    Ok(())
}

/// The offset of the bare values, which is as far into a page as that of the library's.
const VALUES: usize = 4096 + 64;

/// The same protocol with plain loads, for programs that know that no page ever disappears.
struct Bare<const WORDS: usize> {
    count: *const AtomicU64,
    stamps: *const [AtomicU64; 3],
    values: *mut u8,
}

impl<const WORDS: usize> Bare<WORDS> {
    fn new(plain: &View) -> Self {
        let start = plain.as_mut_ptr();
        plain.write(&[1_u64, 2, 0, 0], 0).expect("to write");
        Bare { count: start.cast(), stamps: start.wrapping_add(8).cast(), values: start.wrapping_add(VALUES) }
    }

    fn value(&self, place: usize) -> *const [u64; WORDS] {
        self.values.wrapping_add(place * (WORDS * 8).next_multiple_of(64)).cast()
    }

    /// # Safety
    ///
    /// `to` is valid to write.
    #[inline]
    unsafe fn read(&self, to: *mut [u64; WORDS]) -> u64 {
        loop {
            // SAFETY: the address is inside the view, which outlives `self`, and all accesses to it are
            // atomic.
            let count = unsafe { &*self.count }.load(Ordering::Acquire);
            let place = usize::try_from((count - 1) % 3).expect("small");
            // SAFETY: as above, and all accesses to the numbers are atomic.
            let stamp = &unsafe { &*self.stamps }[place];
            if stamp.load(Ordering::Acquire) == count * 2 {
                // SAFETY: the source is inside the view, and the caller guarantees the destination.
                unsafe { std::ptr::copy_nonoverlapping(self.value(place), to, 1) };
                fence(Ordering::Acquire);
                if stamp.load(Ordering::Relaxed) == count * 2 {
                    return count;
                }
            }
            std::hint::spin_loop();
        }
    }
}
