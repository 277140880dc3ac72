//! A frame: the content of each cell of the screen, and the difference from the previous frame.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthChar;

use crate::text::is_active;

/// The meaning of a cell, which a [`Palette`] turns into a style.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Plain,
    Title,
    /// Unobtrusive.
    Faint,
    Fresh,
    Fading,
    Gone,
    Alert,
}

/// The style of each role.
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
    /// `None` in the right half of a wide character.
    symbol: Option<char>,
    role: Role,
}

const BLANK: Cell = Cell { symbol: Some(' '), role: Role::Plain };

/// The content of the screen.
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

    /// Puts a text into a line, starting at column `x`, and returns the column after it. Text that does not
    /// fit is cut off.
    pub(crate) fn put(&mut self, x: usize, y: usize, text: &str, role: Role) -> usize {
        let mut x = x;
        for symbol in text.chars() {
            // A character without width could act on its neighbours.
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

    /// Returns the content as plain text.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for line in self.lines() {
            let line: String = line.iter().filter_map(|cell| cell.symbol).collect();
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    /// Returns what to send to a terminal that shows `before`, so that it shows this frame: the cells that
    /// differ, or all cells if `before` is `None` or has another size.
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
            // (When one wide character replaces another, the right half stays the same.)
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
            // After the last column, terminals disagree about the position of the cursor.
            cursor = (next % self.width != 0).then_some(next);
        }
        if role != Role::Plain {
            out.push_str("\x1b[0m");
        }
        out
    }

    /// Returns the roles as signs, for tests.
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
mod tests;
