//! Which columns there are, and where.

use super::value::Type;

/// What people are used to, and what is taken where that is too wide.
const WIDTHS: [usize; 2] = [16, 8];

/// A row is an offset, the bytes, their characters and their numbers: as much of that as there is room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// Bytes in a row.
    pub(super) bytes: usize,
    /// Digits of an offset.
    pub(super) digits: usize,
    pub(super) text: bool,
    pub(super) kind: Type,
}

impl Layout {
    /// For a terminal so many columns wide. `bytes` is what the user wants in a row.
    pub(super) fn new(width: usize, longest: u64, kind: Type, bytes: Option<usize>) -> Self {
        let digits = format!("{longest:x}").len().max(8);
        let widths: &[usize] = bytes.as_ref().map_or(&WIDTHS, std::slice::from_ref);
        let with = |text, kind| widths.iter().map(move |&bytes| Layout { bytes, digits, text, kind });
        let all = with(true, kind).chain(with(false, kind)).chain(with(true, Type::None));
        // Where not even the bytes have room, they are cut off at the edge.
        let barest = Layout { bytes: widths[widths.len() - 1], digits, text: false, kind: Type::None };
        all.into_iter().find(|layout| layout.width() <= width).unwrap_or(barest)
    }

    /// Where a byte is.
    pub(super) fn hex(&self, at: usize) -> usize {
        self.digits + 2 + 3 * at + at / 8
    }

    /// Where the characters start, without the bar before them.
    pub(super) fn text(&self) -> usize {
        self.hex(self.bytes - 1) + 5
    }

    fn numbers(&self) -> usize {
        if self.text { self.text() + self.bytes + 2 } else { self.hex(self.bytes - 1) + 3 }
    }

    /// How many numbers there are in a row.
    pub(super) fn count(&self) -> usize {
        self.bytes.checked_div(self.kind.size()).unwrap_or(0)
    }

    /// Where a number starts, and its column with it.
    pub(super) fn number(&self, at: usize) -> usize {
        self.numbers() + 1 + at * (self.kind.width() + 1)
    }

    pub(super) fn width(&self) -> usize {
        if self.kind == Type::None { self.numbers().saturating_sub(1) } else { self.number(self.count()) - 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::{Layout, Type};

    fn layout(width: usize, kind: Type) -> (usize, bool, Type) {
        let layout = Layout::new(width, 65_536, kind, None);
        assert!(layout.width() <= width || width < 34, "{layout:?}");
        (layout.bytes, layout.text, layout.kind)
    }

    #[test]
    fn as_much_is_shown_as_there_is_room_for() {
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
    fn a_wish_for_a_width_is_followed() {
        for bytes in [8, 16, 32, 64] {
            assert_eq!(Layout::new(80, 4096, Type::U64, Some(bytes)).bytes, bytes);
            assert_eq!(Layout::new(usize::MAX, 4096, Type::U64, Some(bytes)).count(), bytes / 8);
        }
    }

    #[test]
    fn long_offsets_have_their_digits() {
        assert_eq!(Layout::new(80, 100 << 30, Type::U32, None).digits, 10);
        assert_eq!(Layout::new(80, u64::MAX, Type::U32, None).digits, 16);
    }
}
