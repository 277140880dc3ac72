use super::*;

fn all_parts(bytes: &[u8], gap: usize) -> Vec<(usize, usize)> {
    parts(bytes, gap).map(|part| (part.start / BLOCK, part.end.div_ceil(BLOCK))).collect()
}

#[test]
fn parts_are_the_blocks_that_are_not_zero() {
    let mut bytes = vec![0; 10 * BLOCK + 7];
    assert_eq!(all_parts(&bytes, BLOCK), []);
    assert_eq!(all_parts(&[], BLOCK), []);
    bytes[3 * BLOCK - 1] = 1;
    bytes[4 * BLOCK] = 1;
    bytes[10 * BLOCK + 6] = 1;
    assert_eq!(all_parts(&bytes, BLOCK), [(2, 3), (4, 5), (10, 11)]);
    assert_eq!(all_parts(&bytes, 2 * BLOCK), [(2, 5), (10, 11)]);
    assert_eq!(all_parts(&bytes, 6 * BLOCK), [(2, 11)]);
    assert_eq!(parts(&bytes, BLOCK).last(), Some(10 * BLOCK..10 * BLOCK + 7));
    bytes.fill(9);
    assert_eq!(parts(&bytes, BLOCK).collect::<Vec<_>>(), vec![0..bytes.len()]);
}

/// For every pattern the parts cover all blocks that are not zero, in order, and leave no gap that is too
/// short.
#[test]
fn parts_of_any_pattern() {
    for pattern in 0..1_u32 << 12 {
        let bytes: Vec<u8> = (0..12).flat_map(|i| [u8::from(pattern >> i & 1 == 1); BLOCK]).collect();
        for gap in [1, 2, 4] {
            let mut end = 0;
            for part in parts(&bytes, gap * BLOCK) {
                assert!(is_zero(&bytes[end..part.start]), "{pattern:b} {gap}");
                assert!(end == 0 || part.start - end >= gap * BLOCK, "{pattern:b} {gap}");
                assert!(!is_zero(&bytes[part.start..part.start + BLOCK]));
                assert!(!is_zero(&bytes[part.end - BLOCK..part.end]));
                end = part.end;
            }
            assert!(is_zero(&bytes[end..]), "{pattern:b} {gap}");
        }
    }
}

#[test]
fn stretches_include_close_ranges() {
    let data = [0..10, 15..20, 100..110, 300..u64::MAX];
    let next = |from: u64| -> Result<Option<Range<u64>>, ()> {
        let range = data.iter().find(|range| range.end > from);
        Ok(range.map(|range| range.start.max(from)..range.end))
    };
    let all = |gap| {
        let mut found = Vec::new();
        let mut at = 0;
        while let Some(stretch) = stretch(next, at, 400, gap).unwrap() {
            at = stretch.end;
            found.push(stretch);
        }
        found
    };
    assert_eq!(all(1), [0..10, 15..20, 100..110, 300..400]);
    assert_eq!(all(6), [0..20, 100..110, 300..400]);
    assert_eq!(all(1000), vec![0..400]);
    assert_eq!(stretch(next, 400, 400, 1), Ok(None));
    assert_eq!(stretch(|_| Ok::<_, ()>(None), 0, 400, 1), Ok(None));
    // An invalid answer ends the search, too.
    assert_eq!(stretch(|_| Ok::<_, ()>(Some(500..600)), 0, 400, 1), Ok(None));
}
