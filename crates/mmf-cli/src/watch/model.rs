//! The state of the view and the effect of keys. It knows neither a terminal nor a region, and it receives
//! the time from its caller.

use std::time::Duration;

use super::layout::Layout;
use super::samples::{Sample, Samples};
use crate::number::{Order, Type};
use crate::size;
use crate::terminal::Key;

/// The sampling intervals that the keys + and - select, shortest first.
const INTERVALS: [Duration; 10] = [
    Duration::from_millis(10),
    Duration::from_millis(20),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
];

/// What keys do at present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    View,
    Help,
    /// The typed part of an offset.
    GoTo(String),
}

/// What the caller does after a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    Stay,
    Quit,
}

/// The settings of the view, from the command line at first.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) name: String,
    /// The access rights, in words.
    pub(super) rights: Option<String>,
    pub(super) offset: u64,
    pub(super) kind: Type,
    /// The number of bytes in a row, if the user has set it.
    pub(super) bytes: Option<usize>,
    pub(super) interval: Duration,
}

/// The state of the view.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) settings: Settings,
    pub(super) order: Order,
    pub(super) mode: Mode,
    /// The answer to the last key.
    pub(super) message: Option<String>,
    /// Why bytes cannot be read.
    pub(super) problem: Option<String>,
    /// That the name does not lead to the region any more, or that no process may write to it.
    pub(super) notice: Option<&'static str>,
    /// When a byte last changed, in words.
    pub(super) last_change: Option<String>,
    pub(super) samples: Samples,
    /// The offset of the first visible byte.
    pub(super) top: u64,
    pub(super) width: usize,
    pub(super) height: usize,
    /// The greatest length that the region has had.
    longest: u64,
    /// When the current pause began, and how long all earlier ones lasted: marks do not fade during a pause.
    paused: Option<Duration>,
    lost: Duration,
    /// Whether the frame may have changed.
    pub(super) dirty: bool,
}

impl Model {
    pub(super) fn new(settings: Settings, width: usize, height: usize) -> Self {
        Model {
            top: settings.offset,
            settings,
            order: Order::Little,
            mode: Mode::View,
            message: None,
            problem: None,
            notice: None,
            last_change: None,
            samples: Samples::new(),
            width,
            height,
            longest: 0,
            paused: None,
            lost: Duration::ZERO,
            dirty: true,
        }
    }

    pub(super) fn layout(&self) -> Layout {
        Layout::new(self.width, self.longest, self.settings.kind, self.settings.bytes)
    }

    pub(super) fn longest(&self) -> u64 {
        self.longest
    }

    pub(super) fn resize(&mut self, width: usize, height: usize) {
        (self.width, self.height) = (width, height);
        self.dirty = true;
    }

    /// The number of lines above the rows, and below.
    pub(super) fn margins(&self) -> (usize, usize) {
        match self.height {
            0 | 1 => (0, 0),
            2 => (1, 0),
            3 => (1, 1),
            4 | 5 => (2, 1),
            _ => (3, 1),
        }
    }

    pub(super) fn rows(&self) -> usize {
        let (above, below) = self.margins();
        self.height.saturating_sub(above + below)
    }

    /// The window to read: its offset and its length.
    pub(super) fn window(&self) -> (u64, usize) {
        (self.top, self.rows() * self.layout().bytes)
    }

    /// Whether the last sample is of the visible window.
    pub(super) fn is_read(&self) -> bool {
        let (offset, most) = self.window();
        let last = self.samples.last();
        let wanted = usize::try_from(self.longest.saturating_sub(offset)).map_or(most, |left| left.min(most));
        last.offset == offset && last.bytes.len() == wanted.min(super::source::MOST)
    }

    pub(super) fn is_paused(&self) -> bool {
        self.paused.is_some()
    }

    /// The time that ages marks.
    pub(super) fn shown_time(&self, now: Duration) -> Duration {
        self.paused.unwrap_or(now).saturating_sub(self.lost)
    }

    /// Takes a sample, and returns whether a byte has changed.
    pub(super) fn take(&mut self, sample: Sample, now: Duration) -> bool {
        let shown = self.shown_time(now);
        self.longest = self.longest.max(sample.len);
        self.dirty |= sample != *self.samples.last();
        self.samples.take(sample, shown)
    }

    /// Returns when the next mark changes, if nothing else happens.
    pub(super) fn next_fading(&self, now: Duration) -> Option<Duration> {
        if self.is_paused() {
            return None;
        }
        self.samples.next_fading(self.shown_time(now)).map(|time| time + self.lost)
    }

    pub(super) fn key(&mut self, key: Key, now: Duration) -> Then {
        self.dirty = true;
        self.message = None;
        if key == Key::Interrupt {
            return Then::Quit;
        }
        match std::mem::replace(&mut self.mode, Mode::View) {
            Mode::Help => {}
            Mode::GoTo(text) => self.type_offset(text, key),
            Mode::View => return self.view_key(key, now),
        }
        Then::Stay
    }

    fn view_key(&mut self, key: Key, now: Duration) -> Then {
        let row = self.layout().bytes as u64;
        let page = row * self.rows().max(1) as u64;
        match key {
            Key::Char('q') | Key::Escape => return Then::Quit,
            Key::Up | Key::Char('k') => self.back(row),
            Key::Down | Key::Char('j') => self.forth(row),
            Key::Left | Key::Char('h') => self.back(1),
            Key::Right | Key::Char('l') => self.forth(1),
            Key::PageUp => self.back(page),
            Key::PageDown => self.forth(page),
            Key::Home => self.top = 0,
            Key::End => self.top = self.lowest(),
            Key::Char('g') => self.mode = Mode::GoTo(String::new()),
            Key::Char('?') => self.mode = Mode::Help,
            Key::Char(' ') => match self.paused.take() {
                Some(since) => self.lost += now.saturating_sub(since),
                None => self.paused = Some(now),
            },
            Key::Char('+' | '=') => {
                let shorter = INTERVALS.iter().rev().find(|rate| **rate < self.settings.interval);
                self.settings.interval = shorter.copied().unwrap_or(self.settings.interval);
            }
            Key::Char('-') => {
                let longer = INTERVALS.iter().find(|rate| **rate > self.settings.interval);
                self.settings.interval = longer.copied().unwrap_or(self.settings.interval);
            }
            Key::Char('t') => {
                self.settings.kind = self.settings.kind.next();
                // Without a message, the key would seem to do nothing.
                if self.layout().kind != self.settings.kind {
                    self.message =
                        Some(format!("no space for {}: widen the terminal", self.settings.kind.name()));
                }
            }
            Key::Char('e') => self.order = self.order.other(),
            Key::Char('n') => match self.samples.change_from(self.top.saturating_add(page)) {
                Some(offset) => self.top = offset - offset % row,
                None => self.message = Some("no change recorded after this page".to_owned()),
            },
            Key::Char('N') => match self.samples.change_before(self.top) {
                Some(offset) => self.top = offset - offset % row,
                None => self.message = Some("no change recorded before this page".to_owned()),
            },
            _ => {}
        }
        Then::Stay
    }

    fn type_offset(&mut self, mut text: String, key: Key) {
        match key {
            Key::Enter if !text.is_empty() => match size::parse(&text) {
                Ok(offset) if offset < self.longest => self.top = offset,
                Ok(offset) => {
                    let len = self.longest;
                    self.message =
                        Some(format!("offset {offset} is out of bounds: the region has {len} bytes"));
                }
                Err(_) => {
                    self.message =
                        Some(format!("invalid offset \"{text}\": type a number such as 4096, 0x1000 or 4K"));
                }
            },
            Key::Enter | Key::Escape => {}
            Key::Backspace => {
                // With nothing left to delete, it closes the prompt.
                if text.pop().is_some() {
                    self.mode = Mode::GoTo(text);
                }
            }
            Key::Char(c) => {
                // No offset is longer.
                if c.is_ascii_alphanumeric() && text.len() < 40 {
                    text.push(c);
                }
                self.mode = Mode::GoTo(text);
            }
            _ => self.mode = Mode::GoTo(text),
        }
    }

    /// The start of the last page, which shows the last byte.
    fn lowest(&self) -> u64 {
        let row = self.layout().bytes as u64;
        let page = row * self.rows().max(1) as u64;
        self.longest.saturating_sub(page).div_ceil(row) * row
    }

    fn back(&mut self, by: u64) {
        self.top = self.top.saturating_sub(by);
    }

    fn forth(&mut self, by: u64) {
        // The prompt can go further down than this; moving on from there does not jump back.
        let most = self.lowest().max(self.top);
        self.top = self.top.saturating_add(by).min(most);
    }
}

#[cfg(test)]
mod tests;
