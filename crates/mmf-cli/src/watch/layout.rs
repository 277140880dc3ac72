//! The columns of a row, and their positions.

use crate::number::Type;

/// The usual number of bytes in a row, and the one for narrow terminals.
const WIDTHS: [usize; 2] = [16, 8];

/// The columns of a row: offset, bytes, characters, numbers, as many of them as fit.
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
    /// Returns the layout for a terminal of `width` columns. `bytes` is the number in a row that the user
    /// asked for.
    pub(super) fn new(width: usize, longest: u64, kind: Type, bytes: Option<usize>) -> Self {
        let digits = format!("{longest:x}").len().max(8);
        let widths: &[usize] = bytes.as_ref().map_or(&WIDTHS, std::slice::from_ref);
        let with = |text, kind| widths.iter().map(move |&bytes| Layout { bytes, digits, text, kind });
        let all = with(true, kind).chain(with(false, kind)).chain(with(true, Type::None));
        // If not even the bytes fit, they are cut off at the edge.
        let barest = Layout { bytes: widths[widths.len() - 1], digits, text: false, kind: Type::None };
        all.into_iter().find(|layout| layout.width() <= width).unwrap_or(barest)
    }

    /// The column of a byte.
    pub(super) fn hex(&self, at: usize) -> usize {
        self.digits + 2 + 3 * at + at / 8
    }

    /// The column of the first character, after the bar.
    pub(super) fn text(&self) -> usize {
        self.hex(self.bytes - 1) + 5
    }

    fn numbers(&self) -> usize {
        if self.text { self.text() + self.bytes + 2 } else { self.hex(self.bytes - 1) + 3 }
    }

    /// The number of numbers in a row.
    pub(super) fn count(&self) -> usize {
        self.bytes.checked_div(self.kind.size()).unwrap_or(0)
    }

    /// The column of a number.
    pub(super) fn number(&self, at: usize) -> usize {
        self.numbers() + 1 + at * (self.kind.width() + 1)
    }

    pub(super) fn width(&self) -> usize {
        if self.kind == Type::None { self.numbers().saturating_sub(1) } else { self.number(self.count()) - 1 }
    }
}

#[cfg(test)]
mod tests;
