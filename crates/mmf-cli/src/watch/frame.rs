//! A picture of the screen: what is in each cell, and what differs from the picture before.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthChar;

use crate::output::is_active;

/// What a cell means, not yet what it looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Plain,
    Title,
    /// What is not to catch the eye.
    Faint,
    Fresh,
    Fading,
    Gone,
    Alert,
}

/// What roles look like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Palette {
    colours: bool,
}

impl Palette {
    pub(crate) fn new(colours: bool) -> Self {
        Palette { colours }
    }

    fn style(self, role: Role) -> Style {
        let plain = Style::new();
        if !self.colours {
            return match role {
                Role::Plain | Role::Faint | Role::Gone => plain,
                Role::Title | Role::Alert => plain.bold(),
                Role::Fresh => plain.invert(),
                Role::Fading => plain.underline(),
            };
        }
        match role {
            Role::Plain => plain,
            Role::Title => plain.bold(),
            Role::Faint => AnsiColor::BrightBlack.on_default(),
            Role::Fresh => AnsiColor::Black.on(AnsiColor::Yellow),
            Role::Fading => AnsiColor::Yellow.on_default(),
            Role::Gone => AnsiColor::Red.on_default(),
            Role::Alert => AnsiColor::Red.on_default().bold(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cell {
    /// None in the right half of a wide character.
    symbol: Option<char>,
    role: Role,
}

const BLANK: Cell = Cell { symbol: Some(' '), role: Role::Plain };

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    width: usize,
    height: usize,
    cells: Vec<Cell>,
}

impl Frame {
    pub(crate) fn new(width: usize, height: usize) -> Self {
        Frame { width, height, cells: vec![BLANK; width * height] }
    }

    pub(crate) fn width(&self) -> usize {
        self.width
    }

    pub(crate) fn height(&self) -> usize {
        self.height
    }

    /// Puts a text into a line, from column `x` on, and gives the column after it. What has no room is left out.
    pub(crate) fn put(&mut self, x: usize, y: usize, text: &str, role: Role) -> usize {
        let mut x = x;
        for symbol in text.chars() {
            // What takes no room could do anything to its neighbours.
            let (symbol, wide) = match symbol.width() {
                Some(1) if !is_active(symbol) => (symbol, 1),
                Some(2) => (symbol, 2),
                _ => ('?', 1),
            };
            if y < self.height && x + wide <= self.width {
                let at = y * self.width + x;
                self.cells[at] = Cell { symbol: Some(symbol), role };
                if wide == 2 {
                    self.cells[at + 1] = Cell { symbol: None, role };
                }
            }
            x += wide;
        }
        x
    }

    fn lines(&self) -> impl Iterator<Item = &[Cell]> {
        self.cells.chunks(self.width.max(1)).take(self.height)
    }

    /// As plain text.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for line in self.lines() {
            let line: String = line.iter().filter_map(|cell| cell.symbol).collect();
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    /// What to send to a terminal that shows `before`, so that it shows this: only cells that differ. If it shows
    /// something else, or is of another size, all of them.
    pub(crate) fn update(&self, before: Option<&Frame>, palette: Palette) -> String {
        let mut out = String::new();
        let before = before.filter(|before| (before.width, before.height) == (self.width, self.height));
        if before.is_none() {
            out.push_str("\x1b[0m\x1b[2J");
        }
        let mut role = Role::Plain;
        let mut cursor = None;
        for (at, cell) in self.cells.iter().enumerate() {
            let old = before.map_or(&BLANK, |before| &before.cells[at]);
            // (A wide character that has become another one has the same right half.)
            let Some(symbol) = cell.symbol.filter(|_| cell != old) else { continue };
            if cursor != Some(at) {
                let _ = write!(out, "\x1b[{};{}H", at / self.width + 1, at % self.width + 1);
            }
            if role != cell.role {
                let style = palette.style(cell.role);
                let _ = write!(out, "\x1b[0m{}", style.render());
                role = cell.role;
            }
            out.push(symbol);
            let next = at + symbol.width().unwrap_or(1);
            // In the last column terminals disagree about where the cursor is.
            cursor = (next % self.width != 0).then_some(next);
        }
        if role != Role::Plain {
            out.push_str("\x1b[0m");
        }
        out
    }

    /// The roles as signs, for tests.
    #[cfg(test)]
    pub(crate) fn roles(&self) -> String {
        let mut text = String::new();
        for line in self.lines() {
            let line: String = line
                .iter()
                .map(|cell| match cell.role {
                    Role::Plain => ' ',
                    Role::Title => 't',
                    Role::Faint => '.',
                    Role::Fresh => '#',
                    Role::Fading => '+',
                    Role::Gone => 'x',
                    Role::Alert => '!',
                })
                .collect();
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::{Frame, Palette, Role};

    #[test]
    fn what_is_the_same_is_not_drawn() {
        let palette = Palette::new(true);
        let mut one = Frame::new(10, 2);
        one.put(0, 0, "hello", Role::Title);
        one.put(3, 1, "42", Role::Plain);
        assert_eq!(one.update(Some(&one), palette), "");
        assert_eq!(one.update(None, palette), "\x1b[0m\x1b[2J\x1b[1;1H\x1b[0m\x1b[1mhello\x1b[2;4H\x1b[0m42");

        let mut two = one.clone();
        two.put(4, 1, "3", Role::Fresh);
        assert_eq!(two.update(Some(&one), palette), "\x1b[2;5H\x1b[0m\x1b[30m\x1b[43m3\x1b[0m");
        // Another look is another cell.
        let mut three = two.clone();
        three.put(4, 1, "3", Role::Plain);
        assert_eq!(three.update(Some(&two), palette), "\x1b[2;5H3");
    }

    #[test]
    fn another_size_is_drawn_anew() {
        let one = Frame::new(10, 2);
        let mut two = Frame::new(10, 3);
        two.put(0, 2, "x", Role::Plain);
        assert_eq!(two.update(Some(&one), Palette::new(true)), "\x1b[0m\x1b[2J\x1b[3;1Hx");
    }

    #[test]
    fn without_colours_marks_are_seen_as_well() {
        let mut frame = Frame::new(4, 1);
        frame.put(0, 0, "a", Role::Fresh);
        frame.put(1, 0, "b", Role::Fading);
        let text = frame.update(None, Palette::new(false));
        assert_eq!(text, "\x1b[0m\x1b[2J\x1b[1;1H\x1b[0m\x1b[7ma\x1b[0m\x1b[4mb\x1b[0m");
    }

    #[test]
    fn nothing_is_drawn_outside() {
        let mut frame = Frame::new(4, 1);
        assert_eq!(frame.put(2, 0, "abc", Role::Plain), 5);
        frame.put(0, 1, "abc", Role::Plain);
        assert_eq!(frame.text(), "  ab\n");
        for (width, height) in [(0, 0), (0, 5), (5, 0)] {
            let mut frame = Frame::new(width, height);
            frame.put(0, 0, "abc", Role::Plain);
            assert_eq!(frame.update(None, Palette::new(true)), "\x1b[0m\x1b[2J");
            let _ = frame.text();
        }
    }

    #[test]
    fn wide_characters_take_two_cells_and_odd_ones_one() {
        let mut frame = Frame::new(8, 1);
        assert_eq!(frame.put(0, 0, "名\u{202e}\x1bé", Role::Plain), 5);
        assert_eq!(frame.text(), "名??é\n");
        // No half of one is left at the edge.
        assert_eq!(frame.put(7, 0, "名", Role::Plain), 9);
        assert_eq!(frame.text(), "名??é\n");
        let mut next = frame.clone();
        next.put(0, 0, "字", Role::Plain);
        assert_eq!(next.update(Some(&frame), Palette::new(true)), "\x1b[1;1H字");
    }
}
