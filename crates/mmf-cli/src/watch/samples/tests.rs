use super::{FADED, FRESH, Mark, REMEMBERED, Sample, Samples};
use std::time::Duration;

fn sample(offset: u64, bytes: &[u8]) -> Sample {
    Sample { len: 4096, offset, bytes: bytes.iter().copied().map(Some).collect() }
}

fn at(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn marks(samples: &Samples, now: Duration) -> String {
    let start = samples.last().offset;
    let all = (start..).map_while(|offset| samples.at(offset, now));
    all.map(|shown| match shown.mark {
        Mark::Unchanged => '.',
        Mark::Fading => '+',
        Mark::Fresh => '#',
    })
    .collect()
}

#[test]
fn changes_are_marked_and_fade() {
    let mut samples = Samples::new();
    assert!(!samples.take(sample(0, b"abcd"), at(0)));
    assert_eq!(marks(&samples, at(0)), "....");
    assert_eq!(samples.next_fading(at(0)), None);

    assert!(samples.take(sample(0, b"aXcd"), at(100)));
    assert_eq!(marks(&samples, at(100)), ".#..");
    assert!(samples.take(sample(0, b"aXcY"), at(200)));
    assert_eq!(marks(&samples, at(200)), ".#.#");
    assert!(!samples.take(sample(0, b"aXcY"), at(250)));
    assert_eq!(samples.next_fading(at(250)), Some(at(100) + FRESH));
    assert_eq!(marks(&samples, at(100) + FRESH), ".+.#");
    assert_eq!(marks(&samples, at(100) + FADED), "...+");
    assert_eq!(samples.next_fading(at(100) + FADED), Some(at(200) + FADED));
    assert_eq!(marks(&samples, at(200) + FADED), "....");
    assert_eq!(samples.next_fading(at(200) + FADED), None);
}

#[test]
fn a_moved_window_keeps_its_marks() {
    let mut samples = Samples::new();
    samples.take(sample(8, b"abcdefgh"), at(0));
    samples.take(sample(8, b"abcdEfgh"), at(100));
    // Bytes that were outside of the previous window count as unchanged.
    assert!(samples.take(sample(10, b"cdEfgHij"), at(200)));
    assert_eq!(marks(&samples, at(200)), "..#..#..");
    assert!(!samples.take(sample(0, b"zzzzzzzz"), at(250)));
    assert_eq!(marks(&samples, at(250)), "........");
}

#[test]
fn bytes_that_are_cut_off_count_as_changed() {
    let mut samples = Samples::new();
    samples.take(sample(0, b"ab"), at(0));
    let mut gone = sample(0, b"ab");
    gone.bytes[1] = None;
    assert!(samples.take(gone, at(50)));
    assert_eq!(marks(&samples, at(50)), ".#");
    assert_eq!(samples.at(1, at(50)).unwrap().byte, None);
    assert_eq!(samples.at(2, at(50)), None);
}

#[test]
fn changes_are_found_again() {
    let mut samples = Samples::new();
    samples.take(sample(100, &[0; 8]), at(0));
    samples.take(sample(100, &[0, 1, 0, 0, 0, 0, 1, 0]), at(1));
    assert_eq!(samples.changes(at(1)), [(1, 1), (6, 1)]);
    assert_eq!(samples.change_from(0), Some(101));
    assert_eq!(samples.change_from(102), Some(106));
    assert_eq!(samples.change_from(107), None);
    assert_eq!(samples.change_before(106), Some(101));
    assert_eq!(samples.change_before(101), None);
}

#[test]
fn the_number_of_remembered_changes_is_bounded() {
    let mut samples = Samples::new();
    for round in 0..100 {
        let offset = round * 4096;
        samples.take(sample(offset, &[0; 4096]), at(round));
        samples.take(sample(offset, &[1; 4096]), at(round));
    }
    assert_eq!(samples.changed_offsets.len(), REMEMBERED);
}
