//! Tests of the routines at their limits: every length and alignment, right beside an inaccessible page.

use testkit::{inaccessible, page_size};

use super::{Atomic, Caught, Shared, atomic, copy, fill};

/// Asserts an access violation (Windows) or its equivalent (Unix).
fn is_fault(caught: Caught, address: *const u8) {
    assert_eq!(caught.address, address.addr());
    assert!(
        if cfg!(windows) { caught.code == 0xC000_0005 } else { matches!(caught.code, 7 | 10 | 11) },
        "{caught:?}"
    );
}

/// A page of accessible bytes, followed by inaccessible ones.
struct Edge {
    start: *mut u8,
    end: *mut u8,
}

impl Edge {
    fn new() -> Self {
        Edge::before(page_size())
    }

    /// Places `len` inaccessible bytes after the page.
    fn before(len: usize) -> Self {
        #[cfg(unix)]
        crate::sys::system::fault::install().unwrap();
        let end = inaccessible(len);
        Edge { start: end.wrapping_sub(page_size()), end }
    }

    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: the page is readable and writable, belongs to this value alone, and lives as long as the
        // process.
        unsafe { core::slice::from_raw_parts_mut(self.start, page_size()) }
    }
}

fn lengths() -> impl Iterator<Item = usize> {
    (0..400).chain([511, 512, 513, 1000, 1023, 1024, 1025, 2000])
}

#[test]
fn copies_end_at_the_edge() {
    let (mut from, mut to) = (Edge::new(), Edge::new());
    for len in lengths() {
        for (index, byte) in from.bytes().iter_mut().enumerate() {
            *byte = index.to_le_bytes()[0] ^ index.to_le_bytes()[1].wrapping_mul(37);
        }
        // Also with the destination a little more than whole pages after the source, where copies may run
        // backwards.
        for (gap, ahead) in (0..17).map(|gap| (gap, 0)).chain([(0, 1), (0, 16), (0, 100), (3, 255), (0, 300)])
        {
            to.bytes().fill(0xEE);
            let (source, target) = (from.end.wrapping_sub(len + ahead), to.end.wrapping_sub(len + gap));
            // SAFETY: both ranges are inside pages of this test.
            unsafe { copy(target, source, len, Shared::Both) }.unwrap();
            let page = page_size();
            let expected = &from.bytes()[page - len - ahead..page - ahead];
            let written = &to.bytes()[page - len - gap..page - gap];
            assert!(expected == written, "{len} bytes, {gap} before the edge, {ahead} apart");
            let bytes = to.bytes();
            let mut beside = bytes[..page - len - gap].iter().chain(&bytes[page - gap..]);
            assert!(
                beside.all(|byte| *byte == 0xEE),
                "{len} bytes, {gap} before the edge: something beside them was written"
            );
        }
    }
}

#[test]
fn fills_end_at_the_edge() {
    let mut to = Edge::new();
    for len in lengths() {
        for gap in 0..17 {
            to.bytes().fill(0xEE);
            // SAFETY: the range is inside a page of this test.
            unsafe { fill(to.end.wrapping_sub(len + gap), 0x5A, len) }.unwrap();
            let page = page_size();
            for (index, byte) in to.bytes().iter().enumerate() {
                let inside = (page - len - gap..page - gap).contains(&index);
                assert_eq!(
                    *byte,
                    if inside { 0x5A } else { 0xEE },
                    "{len} bytes, {gap} before the edge, byte {index}"
                );
            }
        }
    }
}

#[test]
fn one_byte_too_many_is_a_fault() {
    let mut edge = Edge::new();
    edge.bytes().fill(1);
    for len in lengths().skip(1) {
        let mut private = vec![0; len];
        let over = edge.end.wrapping_sub(len - 1);
        // SAFETY: the private side is valid; the other one belongs to this test and faults where it ends.
        let read = unsafe { copy(private.as_mut_ptr(), over, len, Shared::Source) }.unwrap_err();
        // SAFETY: as above.
        let written = unsafe { copy(over, private.as_ptr(), len, Shared::Destination) }.unwrap_err();
        // SAFETY: as above.
        let filled = unsafe { fill(over, 1, len) }.unwrap_err();
        for caught in [read, written, filled] {
            is_fault(caught, edge.end);
        }
    }
}

#[test]
fn long_copies_stop_at_the_edge() {
    let mut edge = Edge::before(17 << 20);
    edge.bytes().fill(7);
    let page = page_size();
    for len in [3 * page, 16 << 10, (16 << 10) + 1, 100_000, 1 << 20, 17 << 20] {
        let mut private = vec![0; len];
        for ahead in [0, 1, 100, page] {
            let start = edge.end.wrapping_sub(ahead);
            private.fill(0);
            // SAFETY: the private side is valid; the other one belongs to this test and faults where it ends.
            let read = unsafe { copy(private.as_mut_ptr(), start, len, Shared::Source) }.unwrap_err();
            // SAFETY: as above.
            let written = unsafe { copy(start, private.as_ptr(), len, Shared::Destination) }.unwrap_err();
            edge.bytes().fill(7);
            for caught in [read, written] {
                let offset = caught.address.wrapping_sub(edge.end.addr());
                assert!(offset < len - ahead, "{len} bytes, {ahead} before the edge: {caught:?}");
            }
        }
        // Copies without a fault copy every byte.
        let source: Vec<u8> = (0..len).map(|index| index.to_le_bytes()[0] ^ index.to_le_bytes()[1]).collect();
        for start in [0, 1, 33] {
            let len = len - start;
            // SAFETY: both buffers belong to this test; one of them counts as shared.
            unsafe { copy(private[start..].as_mut_ptr(), source.as_ptr(), len, Shared::Source) }.unwrap();
            assert!(private[start..] == source[..len], "{len} bytes from {start} on");
        }
    }
}

#[test]
fn every_register_survives_a_fault() {
    let edge = Edge::before(20_000);
    let mut private = [0; 20_000];
    let (mut whole, mut real) = (1_u64, 1.5_f64);
    let mut check = (1_u64, 1.5_f64);
    for round in 0..2000_u32 {
        let len = if round % 7 == 0 { private.len() } else { 1 + round as usize % 299 };
        // SAFETY: the private side is valid; the other one belongs to this test and faults.
        let caught = unsafe { copy(private.as_mut_ptr(), edge.end, len, Shared::Source) }.unwrap_err();
        whole = whole.wrapping_mul(31).wrapping_add(u64::from(caught.code != 0));
        real = real * 1.0001 + f64::from(round);
        check = (check.0.wrapping_mul(31).wrapping_add(1), check.1 * 1.0001 + f64::from(round));
    }
    assert_eq!((whole, real.to_bits()), (check.0, check.1.to_bits()));
}

#[test]
fn atomics_beside_the_edge() {
    let edge = Edge::new();
    for bits in [8, 16, 32, 64] {
        let bytes = bits as usize / 8;
        let (inside, outside) = (edge.end.wrapping_sub(bytes), edge.end);
        let most = u64::MAX >> (64 - bits);
        let inside_of = |operation, first, second| {
            // SAFETY: an aligned integer in a page of this test.
            unsafe { atomic(operation, bits, inside, first, second) }.unwrap()
        };
        inside_of(Atomic::Store, most - 1, 0);
        assert_eq!(inside_of(Atomic::Load, 0, 0), most - 1);
        assert_eq!(inside_of(Atomic::Add, 3, 0), most - 1);
        assert_eq!(inside_of(Atomic::Swap, most, 0), 1);
        assert_eq!(inside_of(Atomic::CompareExchange, 5, 6), most);
        assert_eq!(inside_of(Atomic::CompareExchange, most, 6), most);
        assert_eq!(inside_of(Atomic::Load, 0, 0), 6);
        for operation in [Atomic::Load, Atomic::Store, Atomic::Swap, Atomic::Add, Atomic::CompareExchange] {
            // SAFETY: an aligned address that belongs to this test and faults.
            let caught = unsafe { atomic(operation, bits, outside, 1, 2) }.unwrap_err();
            is_fault(caught, outside);
        }
    }
}

#[test]
fn symbols_carry_the_version() {
    // Two versions of this crate whose routines may differ must not share their symbols.
    let text =
        concat!("mmf_", env!("CARGO_PKG_VERSION_MAJOR"), "_", env!("CARGO_PKG_VERSION_MINOR"), "_begin");
    assert_eq!(text, "mmf_0_1_begin", "rename the symbols in guard/*.rs and in unix/chain.rs");
}

#[test]
fn a_fault_is_one_of_the_range_if_they_overlap() {
    use super::{Place, hit};

    let (start, end) = (0x20_1100, 0x20_3000);
    // A single address. The first page of a range counts as a whole.
    assert_eq!(hit(start, end, Place::at(0x20_1200)), Some(0x20_1200));
    assert_eq!(hit(start, end, Place::at(0x20_1000)), Some(start));
    assert_eq!(hit(start, end, Place::at(0x20_0fff)), None);
    assert_eq!(hit(start, end, Place::at(end - 1)), Some(end - 1));
    assert_eq!(hit(start, end, Place::at(end)), None);
    assert_eq!(hit(start, start, Place::at(start)), None);
    // A block of 2 MiB that is reported at its start far below the range, inside the range, or after it.
    for address in [0x20_0000, 0x20_1800, 0x3f_ffff] {
        assert_eq!(hit(start, end, Place::block(address, 21)), Some(start), "{address:#x}");
    }
    assert_eq!(hit(start, end, Place::block(0x40_0000, 21)), None);
    assert_eq!(hit(start, end, Place::block(0x1f_ffff, 21)), None);
    // A range over two blocks, of which the second has failed.
    assert_eq!(hit(0x3f_f000, 0x40_1000, Place::block(0x40_0000, 21)), Some(0x40_0000));
    // An ordinary page, a single byte, and sizes that make no sense.
    assert_eq!(hit(start, end, Place::block(0x20_2000, 12)), Some(0x20_2000));
    assert_eq!(Place::block(0x1234, 0), Place::at(0x1234));
    assert_eq!(Place::block(0x1234, 64), Place::at(0x1234));
    assert_eq!(hit(usize::MAX - 8, usize::MAX, Place::block(usize::MAX - 4, 12)), Some(usize::MAX - 8));
}

/// The stores of a streaming copy bypass the caches, and may become visible before earlier stores. Only a
/// fence in front of them preserves the order in which a `Latest` marks a slot and writes its value. No
/// processor can be made to show the opposite, so the test inspects the code itself.
#[cfg(target_arch = "x86_64")]
#[test]
fn streaming_copies_begin_with_a_fence() {
    const SFENCE: [u8; 3] = [0x0f, 0xae, 0xf8];
    // SAFETY: the routine is longer than these bytes, and code is readable here.
    let code = unsafe { super::arch::streaming().cast::<[u8; 3]>().read_unaligned() };
    assert_eq!(code, SFENCE);
}
