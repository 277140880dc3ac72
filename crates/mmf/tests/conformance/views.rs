//! Views: any offset, any length, every way to read and write.

use std::io::{ErrorKind as IoKind, Read, Seek, SeekFrom, Write};
use std::sync::atomic::Ordering;

use mmf::{ErrorKind, ReadWrite, SharedMemory, View};
use testkit::assert_bytes;
use zerocopy::{FromBytes, Immutable, IntoBytes};

fn anonymous(len: usize) -> View<ReadWrite> {
    SharedMemory::anonymous(len as u64).unwrap().view().unwrap()
}

/// Bytes without a visible period.
fn noise(len: usize, seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12345);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[1]
    };
    (0..len).map(|_| next()).collect()
}

pub(crate) fn any_offset_and_any_length() {
    let memory = SharedMemory::anonymous(400_000).unwrap();
    let all = memory.view().unwrap();
    let bytes = noise(all.len(), 1);
    all.write_all_at(&bytes, 0).unwrap();
    for offset in [0, 1, 4095, 4096, 65535, 65536, 65537, 131_072, 199_999, 399_998] {
        for len in [1, 2, 17, 4096, 65536, 200_000] {
            if offset + len <= 400_000 {
                let view = memory.view_at(offset as u64, len).unwrap();
                assert_eq!(view.len(), len);
                assert_bytes(
                    &view.read_vec(0, len).unwrap(),
                    &bytes[offset..offset + len],
                    &format!("{len} at {offset}"),
                );
            }
        }
    }
    let end = usize::try_from(memory.len()).unwrap();
    assert_eq!(memory.view_at(end as u64 - 1, 1).unwrap().len(), 1);
}

pub(crate) fn many_at_once() {
    let memory = SharedMemory::anonymous(1 << 20).unwrap();
    let views: Vec<_> = (0..500_usize).map(|i| memory.view_at(i as u64 * 2000, 2000).unwrap()).collect();
    drop(memory.clone());
    for (i, view) in views.iter().enumerate() {
        view.write(&(i as u64), 7).unwrap();
    }
    let all = memory.view().unwrap();
    for i in 0..500 {
        assert_eq!(all.read::<u64>(i * 2000 + 7).unwrap(), i as u64);
    }
}

#[derive(FromBytes, IntoBytes, Immutable, Clone, Copy, Debug, PartialEq)]
#[repr(C)]
struct Frame {
    number: u64,
    position: [f32; 3],
    flags: u32,
}

pub(crate) fn typed_values() {
    let view = anonymous(4096);
    let frame = Frame { number: 42, position: [1.0, -2.5, 3.25], flags: 0xF00F };
    view.write(&frame, 128).unwrap();
    assert_eq!(view.read::<Frame>(128).unwrap(), frame);
    view.write(&[1_u16, 2, 3][..], 1000).unwrap();
    assert_eq!(view.read::<[u16; 3]>(1000).unwrap(), [1, 2, 3]);
    assert_eq!(view.read::<u128>(2000).unwrap(), 0);
    view.read::<()>(4096).unwrap();
    view.write::<[u8]>(&[], 4096).unwrap();
}

pub(crate) fn unaligned_values() {
    let view = anonymous(4096);
    for offset in 0..64 {
        view.write(&(0x1122_3344_5566_7788_u64 + offset as u64), offset).unwrap();
        assert_eq!(view.read::<u64>(offset).unwrap(), 0x1122_3344_5566_7788 + offset as u64);
    }
    let end = view.len() - 4;
    view.write(&0xAABB_CCDD_u32, end).unwrap();
    assert_eq!(view.read::<u32>(end).unwrap(), 0xAABB_CCDD);
}

pub(crate) fn fill_and_copy() {
    let (one, two) = (anonymous(100_000), anonymous(100_000));
    one.fill(0xAB, 10..50010).unwrap();
    one.copy_to(0..60_000, &two, 30_000).unwrap();
    let bytes = two.read_vec(0, 100_000).unwrap();
    for (at, byte) in bytes.iter().enumerate() {
        let expected = if (30_010..80_010).contains(&at) { 0xAB } else { 0 };
        assert_eq!(*byte, expected, "at {at}");
    }
    one.copy_from(&two.as_read_only(), 80_000..80020, 0).unwrap();
    assert_eq!(one.read_vec(0, 20).unwrap(), [vec![0xAB; 10], vec![0; 10]].concat());
    for len in 0..300 {
        one.fill(1, 0..400).unwrap();
        one.fill(2, 50..50 + len).unwrap();
        let expected = [vec![1; 50], vec![2; len], vec![1; 350 - len]].concat();
        assert_bytes(&one.read_vec(0, 400).unwrap(), &expected, &format!("fill of {len}"));
    }
}

pub(crate) fn overlapping_copies() {
    let view = anonymous(40_000);
    for (from, to, len) in
        [(0, 1, 20_000), (1, 0, 20_000), (0, 5000, 12_345), (5000, 0, 12_345), (7, 7, 100), (100, 130, 60)]
    {
        let mut bytes = noise(view.len(), 3);
        view.write_all_at(&bytes, 0).unwrap();
        view.copy_to(from..from + len, &view, to).unwrap();
        bytes.copy_within(from..from + len, to);
        assert_bytes(&view.read_vec(0, view.len()).unwrap(), &bytes, &format!("{from} to {to}, {len}"));
    }
}

pub(crate) fn copies_of_every_length() {
    let view = anonymous(20_000);
    let bytes = noise(10_000, 5);
    for len in (0..700).chain([1000, 1023, 1024, 1025, 2047, 2048, 4095, 4096, 4097, 8000]) {
        for offset in [0, 1, 7, 16, 31, 33] {
            view.fill(0xEE, 0..len + 200).unwrap();
            view.write_all_at(&bytes[offset..offset + len], offset + 50).unwrap();
            let mut back = vec![0x11; len + 3];
            view.read_exact_at(&mut back[1..=len], offset + 50).unwrap();
            assert_bytes(&back[1..=len], &bytes[offset..offset + len], &format!("{len} at {offset}"));
            assert_eq!(
                (back[0], &back[len + 1..]),
                (0x11, &[0x11; 2][..]),
                "{len} at {offset}: beside the buffer"
            );
            let beside = [view.read::<u8>(offset + 49).unwrap(), view.read::<u8>(offset + 50 + len).unwrap()];
            assert_eq!(beside, [0xEE; 2], "{len} at {offset}: beside the bytes");
        }
    }
}

pub(crate) fn large_copies() {
    // Long enough to bypass the caches, at unaligned addresses.
    let len = 20 << 20;
    let view = anonymous(len + 64);
    let bytes = noise(len, 9);
    view.write_all_at(&bytes, 13).unwrap();
    assert_bytes(&view.read_vec(13, len).unwrap(), &bytes, "20 MiB");
    assert_eq!(view.read::<[u8; 13]>(0).unwrap(), [0; 13]);
    assert_eq!(view.read::<[u8; 51]>(13 + len).unwrap(), [0; 51]);
}

pub(crate) fn slices() {
    let view = anonymous(10_000);
    let part = view.subview(1000, 500).unwrap();
    let inner = part.subview(100, 50).unwrap();
    inner.write_all_at(b"nested", 0).unwrap();
    assert_eq!(view.read_vec(1100, 6).unwrap(), b"nested");
    assert_eq!(inner.write_all_at(b"nested", 45).unwrap_err().kind(), ErrorKind::OutOfBounds);
    assert_eq!(part.subview(400, 101).unwrap_err().kind(), ErrorKind::OutOfBounds);
    assert_eq!(part.subview(400, 0).unwrap_err().kind(), ErrorKind::ZeroLength);
    drop((view, part));
    assert_eq!(inner.read_vec(0, 6).unwrap(), b"nested");
}

pub(crate) fn cursor_reads_writes_and_seeks() {
    let view = anonymous(5000).subview(0, 5000).unwrap();
    let mut cursor = view.cursor();
    writeln!(cursor, "line {}", 1).unwrap();
    writeln!(cursor, "line {}", 2).unwrap();
    assert_eq!(cursor.position(), 14);
    cursor.seek(SeekFrom::Current(-7)).unwrap();
    let mut text = [0; 7];
    cursor.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"line 2\n");
    cursor.seek(SeekFrom::End(-3)).unwrap();
    assert_eq!(cursor.write(b"12345").unwrap(), 3);
    assert_eq!(cursor.write_all(b"6").unwrap_err().kind(), IoKind::WriteZero);
    assert_eq!(cursor.read(&mut text).unwrap(), 0);
    cursor.seek(SeekFrom::Start(u64::MAX)).unwrap();
    assert_eq!(cursor.read(&mut text).unwrap(), 0);
    assert_eq!(cursor.seek(SeekFrom::Current(1)).unwrap_err().kind(), IoKind::InvalidInput);
    assert_eq!(cursor.seek(SeekFrom::End(-5001)).unwrap_err().kind(), IoKind::InvalidInput);
    cursor.rewind().unwrap();
    let mut all = Vec::new();
    cursor.read_to_end(&mut all).unwrap();
    assert_eq!(all.len(), 5000);
    assert!(all.starts_with(b"line 1\nline 2\n\0") && all.ends_with(b"\x00123"));
    std::io::copy(&mut view.as_read_only().cursor(), &mut anonymous(5000).cursor()).unwrap();
}

macro_rules! check_width {
    ($view:expr, $method:ident, $integer:ty) => {{
        let offset = 64;
        $view.fill(0x5A, 0..256).unwrap();
        let atomic = $view.$method(offset).unwrap();
        let order = Ordering::SeqCst;
        let (big, small) = (<$integer>::MAX - 3, 3 as $integer);
        for store_order in [Ordering::Relaxed, Ordering::Release, Ordering::SeqCst] {
            atomic.store(small, store_order).unwrap();
            assert_eq!(atomic.load(Ordering::Acquire).unwrap(), small);
        }
        assert_eq!(atomic.swap(big, order).unwrap(), small);
        assert_eq!(atomic.fetch_add(5, order).unwrap(), big);
        assert_eq!(atomic.load(order).unwrap(), big.wrapping_add(5));
        assert_eq!(atomic.fetch_sub(5, order).unwrap(), big.wrapping_add(5));
        assert_eq!(atomic.compare_exchange(small, 1, order, order).unwrap(), Err(big));
        assert_eq!(atomic.compare_exchange(big, 0x3C, order, order).unwrap(), Ok(big));
        assert_eq!(atomic.fetch_and(0x0F, order).unwrap(), 0x3C);
        assert_eq!(atomic.fetch_or(0x30, order).unwrap(), 0x0C);
        assert_eq!(atomic.fetch_xor(0x0F, order).unwrap(), 0x3C);
        assert_eq!(atomic.fetch_max(0x40, order).unwrap(), 0x33);
        assert_eq!(atomic.fetch_min(small.wrapping_neg(), order).unwrap(), 0x40);
        assert_eq!(atomic.load(order).unwrap(), (0x40 as $integer).min(small.wrapping_neg()));
        assert_eq!(
            $view.as_read_only().$method(offset).unwrap().load(order).unwrap(),
            atomic.load(order).unwrap()
        );
        // The neighbouring bytes are unchanged.
        let bytes = $view.read_vec(0, 256).unwrap();
        assert!(
            bytes[..offset].iter().chain(&bytes[offset + size_of::<$integer>()..]).all(|byte| *byte == 0x5A)
        );
        assert_eq!(format!("{atomic:?}"), format!("{:?}", atomic.load(order).unwrap()));
    }};
}

pub(crate) fn atomics_of_every_width() {
    let view = anonymous(4096);
    check_width!(view, atomic_u8, u8);
    check_width!(view, atomic_u16, u16);
    check_width!(view, atomic_u32, u32);
    check_width!(view, atomic_u64, u64);
    check_width!(view, atomic_i8, i8);
    check_width!(view, atomic_i16, i16);
    check_width!(view, atomic_i32, i32);
    check_width!(view, atomic_i64, i64);
}

pub(crate) fn atomics_race_in_threads() {
    let view = anonymous(4096);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10_000 {
                    view.atomic_u8(0).unwrap().fetch_add(1, Ordering::Relaxed).unwrap();
                    view.atomic_u16(2).unwrap().fetch_add(1, Ordering::Relaxed).unwrap();
                    view.atomic_u32(4).unwrap().fetch_sub(1, Ordering::Relaxed).unwrap();
                    view.atomic_u64(8).unwrap().fetch_add(1 << 40, Ordering::Relaxed).unwrap();
                    view.atomic_u64(16).unwrap().fetch_xor(1, Ordering::Relaxed).unwrap();
                    let sum = view.atomic_i64(24).unwrap();
                    let mut old = sum.load(Ordering::Relaxed).unwrap();
                    while let Err(now) =
                        sum.compare_exchange(old, old - 1, Ordering::SeqCst, Ordering::Relaxed).unwrap()
                    {
                        old = now;
                    }
                }
            });
        }
    });
    assert_eq!(view.read::<u8>(0).unwrap(), (40_000 % 256) as u8);
    assert_eq!(view.read::<u16>(2).unwrap(), 40_000);
    assert_eq!(view.read::<i32>(4).unwrap(), -40_000);
    assert_eq!(view.read::<u64>(8).unwrap(), 40_000 << 40);
    assert_eq!(view.read::<u64>(16).unwrap(), 0);
    assert_eq!(view.read::<i64>(24).unwrap(), -40_000);
}

pub(crate) fn unsafe_slices() {
    let view = anonymous(4096);
    // SAFETY: no other code has this region.
    let bytes = unsafe { view.as_mut_slice() };
    bytes[10..15].copy_from_slice(b"plain");
    // SAFETY: no other code has this region, and the slice above is no longer used.
    assert_eq!(&unsafe { view.as_slice() }[10..15], b"plain");
    let counter = view.atomic_u32(64).unwrap();
    // SAFETY: the page stays, and all accesses are atomic.
    unsafe { counter.as_std() }.fetch_add(2, Ordering::Relaxed);
    assert_eq!(counter.load(Ordering::Relaxed).unwrap(), 2);
    assert_eq!(view.as_ptr(), view.as_mut_ptr().cast_const());
}

pub(crate) fn read_only_view_of_a_writable_one() {
    let view = anonymous(4096);
    let read_only = view.as_read_only();
    view.write(&7_u8, 0).unwrap();
    assert_eq!(read_only.read::<u8>(0).unwrap(), 7);
    assert_eq!(read_only.clone().subview(0, 10).unwrap().len(), 10);
}

testkit::registry! {
    views
    tests {
        any_offset_and_any_length
        many_at_once
        typed_values
        unaligned_values
        fill_and_copy
        overlapping_copies
        copies_of_every_length
        slices
        cursor_reads_writes_and_seeks
        atomics_of_every_width
        atomics_race_in_threads
        unsafe_slices
        read_only_view_of_a_writable_one
        large_copies
    }
    roles {
    }
}
