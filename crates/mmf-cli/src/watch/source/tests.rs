use super::{MOST, Source};
use mmf::SharedMemory;

fn source(len: u64, write: impl Fn(&mmf::View)) -> Source {
    let region = SharedMemory::anonymous(len).unwrap();
    write(&region.view().unwrap());
    Source::new(region.into_read_only().unwrap())
}

#[test]
fn only_the_window_is_read() {
    let mut source = source(1 << 20, |view| view.write_all_at(b"abc", 70_000).unwrap());
    let sample = source.read(69_999, 5);
    assert_eq!((sample.len, sample.offset), (1 << 20, 69_999));
    assert_eq!(sample.bytes, [0, b'a', b'b', b'c', 0].map(Some));
    assert_eq!(source.view.as_ref().unwrap().1.len(), 5);
}

#[test]
fn windows_end_with_the_region() {
    let mut source = source(1 << 17, |_| {});
    assert_eq!(source.read((1 << 17) - 3, 100).bytes.len(), 3);
    assert_eq!(source.read(1 << 17, 100).bytes.len(), 0);
    assert_eq!(source.read(u64::MAX, 100).bytes.len(), 0);
    assert_eq!(source.read(0, usize::MAX).bytes.len(), MOST);
    assert_eq!(source.problem(), None);
}
