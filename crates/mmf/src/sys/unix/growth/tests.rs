use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use rustix::io::Errno;

use super::linux::{SLOT, SLOTS, START};
use super::{alone, record, recorded};

fn files() -> (File, File, File) {
    let path = std::env::temp_dir().join(format!("mmf-growth-{}-{:p}", std::process::id(), &0));
    let first = File::create_new(&path).unwrap();
    let writer = File::options().write(true).open(&path).unwrap();
    let reader = File::open(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    (first, writer, reader)
}

fn read_lock(file: &File, start: i64, len: i64) {
    lock(file, libc::F_RDLCK, start, len);
}

fn lock(file: &File, kind: libc::c_int, start: i64, len: i64) {
    // SAFETY: `flock` consists of integers, for which all zeros is a valid value.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    (lock.l_type, lock.l_start, lock.l_len) = (kind as libc::c_short, start, len);
    // SAFETY: the descriptor is open, and `lock` is a valid `flock` to read, as the command requires.
    assert_eq!(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw mut lock) }, 0);
}

#[test]
fn only_writers_can_record() {
    let (first, writer, reader) = files();
    read_lock(&reader, 1 << 62, 12345);
    assert_eq!(recorded(first.as_fd(), true), None);
    record(first.as_fd(), 5000).unwrap();
    assert_eq!(recorded(writer.as_fd(), true), Some((5000, false)));
    assert_eq!(recorded(first.as_fd(), false), Some((5000, true)));
    // A reader cannot record anything.
    assert_eq!(record(reader.as_fd(), 77), Err(Errno::BADF));
    record(writer.as_fd(), 5000).unwrap();
    drop(first);
    assert_eq!(recorded(reader.as_fd(), true), Some((5000, false)));
}

#[test]
fn read_locks_block_no_writer_for_good() {
    let (first, writer, reader) = files();
    read_lock(&reader, (1 << 62) - 1, 0);
    // The capacity is not recorded, but the call succeeds.
    record(first.as_fd(), 5000).unwrap();
    assert_eq!(recorded(writer.as_fd(), true), None);
    // The reader is waited for, but not forever.
    let result = alone(first.as_fd(), Duration::ZERO, || unreachable!("a reader is in the way"));
    assert_eq!(result, Err(Errno::BUSY));
    drop(reader);
    let mut called = false;
    let call = || {
        called = true;
        Ok(())
    };
    alone(first.as_fd(), Duration::ZERO, call).unwrap();
    assert!(called);
    alone(writer.as_fd(), Duration::ZERO, || Ok(())).unwrap();
}

#[test]
fn the_last_slot_holds_the_largest_capacity() {
    let (first, writer, _) = files();
    lock(&first, libc::F_WRLCK, START + i64::from(SLOTS - 1) * SLOT, SLOT);
    assert_eq!(recorded(writer.as_fd(), true), Some((1 << 50, false)));
}

#[test]
fn many_holders_find_slots() {
    let (first, ..) = files();
    let path = format!("/proc/self/fd/{}", first.as_raw_fd());
    let holders: Vec<File> = (0..200).map(|_| File::options().write(true).open(&path).unwrap()).collect();
    for holder in &holders {
        record(holder.as_fd(), 1 << 50).unwrap();
    }
    let with_a_record = |holder: &&File| matches!(recorded(holder.as_fd(), false), Some((_, true)));
    assert_eq!(holders.iter().filter(with_a_record).count(), holders.len());
}
