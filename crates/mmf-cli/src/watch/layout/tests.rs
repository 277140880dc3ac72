use super::{Layout, Type};

fn layout(width: usize, kind: Type) -> (usize, bool, Type) {
    let layout = Layout::new(width, 65_536, kind, None);
    assert!(layout.width() <= width || width < 34, "{layout:?}");
    (layout.bytes, layout.text, layout.kind)
}

#[test]
fn columns_that_fit_are_shown() {
    assert_eq!(layout(200, Type::U32), (16, true, Type::U32));
    assert_eq!(layout(80, Type::U32), (8, true, Type::U32));
    assert_eq!(layout(80, Type::None), (16, true, Type::None));
    assert_eq!(layout(60, Type::U32), (8, false, Type::U32));
    assert_eq!(layout(50, Type::U32), (8, true, Type::None));
    assert_eq!(layout(34, Type::U32), (8, false, Type::None));
    assert_eq!(layout(0, Type::U32), (8, false, Type::None));
}

#[test]
fn all_types_fit_eighty_columns() {
    use clap::ValueEnum;
    for kind in Type::value_variants() {
        assert_eq!(layout(80, *kind).2, *kind);
    }
}

#[test]
fn a_requested_width_is_used() {
    for bytes in [8, 16, 32, 64] {
        assert_eq!(Layout::new(80, 4096, Type::U64, Some(bytes)).bytes, bytes);
        assert_eq!(Layout::new(usize::MAX, 4096, Type::U64, Some(bytes)).count(), bytes / 8);
    }
}

#[test]
fn long_offsets_have_more_digits() {
    assert_eq!(Layout::new(80, 100 << 30, Type::U32, None).digits, 10);
    assert_eq!(Layout::new(80, u64::MAX, Type::U32, None).digits, 16);
}
