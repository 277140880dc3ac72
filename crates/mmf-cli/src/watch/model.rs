//! What the viewer shows and what keys do. Knows neither a terminal nor a memory; time is what it is told.

use std::time::Duration;

use super::layout::Layout;
use super::samples::{Sample, Samples};
use super::value::{Order, Type};
use crate::size;

/// How often it can be sampled, fastest first.
const RATES: [Duration; 10] = [
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Char(char),
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    Home,
    End,
    Enter,
    Backspace,
    Escape,
    /// Ctrl-C.
    Interrupt,
    /// Any other.
    Other,
}

/// What keys do just now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    View,
    Help,
    /// What has been typed of an offset.
    GoTo(String),
}

/// What the caller is to do after a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    Stay,
    Quit,
}

/// How it starts.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) name: String,
    /// Who may do what with the memory.
    pub(super) rights: Option<String>,
    pub(super) offset: u64,
    pub(super) kind: Type,
    /// How many bytes are in a row, if the user has said so.
    pub(super) bytes: Option<usize>,
    pub(super) interval: Duration,
}

#[derive(Debug)]
pub(super) struct Model {
    pub(super) settings: Settings,
    pub(super) order: Order,
    pub(super) mode: Mode,
    /// What the last key has to say.
    pub(super) message: Option<String>,
    /// Why nothing can be read.
    pub(super) trouble: Option<String>,
    /// What has become of the region, if the name leads elsewhere or no process is left that may write.
    pub(super) fate: Option<&'static str>,
    /// When something has changed, in words.
    pub(super) last_change: Option<String>,
    pub(super) samples: Samples,
    /// The first byte in sight.
    pub(super) top: u64,
    pub(super) width: usize,
    pub(super) height: usize,
    /// The longest that the memory has been.
    longest: u64,
    /// Since when it is paused, and how long it has been before: marks do not fade meanwhile.
    paused: Option<Duration>,
    lost: Duration,
    /// Whether what is shown may have become another.
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
            trouble: None,
            fate: None,
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

    /// Lines above the rows, and below.
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

    /// What is to be read: from where, and how many bytes at most.
    pub(super) fn window(&self) -> (u64, usize) {
        (self.top, self.rows() * self.layout().bytes)
    }

    /// Whether what was read is what is in sight.
    pub(super) fn is_read(&self) -> bool {
        let (offset, most) = self.window();
        let last = self.samples.last();
        let wanted = usize::try_from(self.longest.saturating_sub(offset)).map_or(most, |left| left.min(most));
        last.offset == offset && last.bytes.len() == wanted.min(super::source::MOST)
    }

    pub(super) fn is_paused(&self) -> bool {
        self.paused.is_some()
    }

    /// The time by which marks fade.
    pub(super) fn shown_time(&self, now: Duration) -> Duration {
        self.paused.unwrap_or(now).saturating_sub(self.lost)
    }

    /// Takes what was read. Whether a byte has changed.
    pub(super) fn take(&mut self, sample: Sample, now: Duration) -> bool {
        let shown = self.shown_time(now);
        self.longest = self.longest.max(sample.len);
        self.dirty |= sample != *self.samples.last();
        self.samples.take(sample, shown)
    }

    /// When a mark will look different, if nothing else happens.
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
                let faster = RATES.iter().rev().find(|rate| **rate < self.settings.interval);
                self.settings.interval = faster.copied().unwrap_or(self.settings.interval);
            }
            Key::Char('-') => {
                let slower = RATES.iter().find(|rate| **rate > self.settings.interval);
                self.settings.interval = slower.copied().unwrap_or(self.settings.interval);
            }
            Key::Char('t') => {
                self.settings.kind = self.settings.kind.next();
                // A column that has no room would be a key that does nothing.
                if self.layout().kind != self.settings.kind {
                    self.message =
                        Some(format!("no room here for {}: make it wider", self.settings.kind.name()));
                }
            }
            Key::Char('e') => self.order = self.order.other(),
            Key::Char('n') => match self.samples.place_from(self.top.saturating_add(page)) {
                Some(place) => self.top = place - place % row,
                None => self.message = Some("no change has been seen further down".to_owned()),
            },
            Key::Char('N') => match self.samples.place_before(self.top) {
                Some(place) => self.top = place - place % row,
                None => self.message = Some("no change has been seen further up".to_owned()),
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
                    self.message = Some(format!("there is no byte {offset}: it has {len} bytes"));
                }
                Err(_) => {
                    self.message =
                        Some(format!("\"{text}\" is no offset: write a number, such as 4096, 0x1000 or 4K"));
                }
            },
            Key::Enter | Key::Escape => {}
            Key::Backspace => {
                // With nothing to take back, it takes back the question.
                if text.pop().is_some() {
                    self.mode = Mode::GoTo(text);
                }
            }
            Key::Char(c) => {
                // No offset is longer; a cat on the keyboard is.
                if c.is_ascii_alphanumeric() && text.len() < 40 {
                    text.push(c);
                }
                self.mode = Mode::GoTo(text);
            }
            _ => self.mode = Mode::GoTo(text),
        }
    }

    /// Where the last page starts: with it, the last byte is in sight.
    fn lowest(&self) -> u64 {
        let row = self.layout().bytes as u64;
        let page = row * self.rows().max(1) as u64;
        self.longest.saturating_sub(page).div_ceil(row) * row
    }

    fn back(&mut self, by: u64) {
        self.top = self.top.saturating_sub(by);
    }

    fn forth(&mut self, by: u64) {
        // By name one can go further, and is not thrown back then.
        let most = self.lowest().max(self.top);
        self.top = self.top.saturating_add(by).min(most);
    }
}

#[cfg(test)]
mod tests {
    use super::{Key, Mode, Model, Settings, Then};
    use crate::watch::samples::{Mark, Sample};
    use crate::watch::value::{Order, Type};
    use std::time::Duration;

    fn at(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    /// 20 rows of 8 bytes of a memory of this length.
    fn model(len: u64) -> Model {
        let settings = Settings {
            name: r"Local\x".to_owned(),
            rights: None,
            offset: 0,
            kind: Type::U32,
            bytes: None,
            interval: at(100),
        };
        let mut model = Model::new(settings, 80, 24);
        read(&mut model, len, 0, 0);
        model
    }

    fn read(model: &mut Model, len: u64, byte: u8, now: u64) -> bool {
        let (offset, most) = model.window();
        let most = usize::try_from(len.saturating_sub(offset)).map_or(most, |left| left.min(most));
        model.take(Sample { len, offset, bytes: vec![Some(byte); most] }, at(now))
    }

    fn press(model: &mut Model, keys: &str) {
        for key in keys.chars() {
            let key = match key {
                '\n' => Key::Enter,
                '\x08' => Key::Backspace,
                key => Key::Char(key),
            };
            assert_eq!(model.key(key, at(0)), Then::Stay);
        }
    }

    #[test]
    fn keys_move_inside_the_memory() {
        let mut model = model(1000);
        let mut go = |key| {
            model.key(key, at(0));
            model.top
        };
        assert_eq!(go(Key::Up), 0);
        assert_eq!(go(Key::Down), 8);
        assert_eq!(go(Key::PageDown), 168);
        assert_eq!(go(Key::Char('l')), 169);
        assert_eq!(go(Key::Char('h')), 168);
        assert_eq!(go(Key::Left), 167);
        assert_eq!(go(Key::Char('j')), 175);
        assert_eq!(go(Key::Char('k')), 167);
        assert_eq!(go(Key::PageUp), 7);
        assert_eq!(go(Key::PageUp), 0);
        // 125 rows, of which 20 are in sight.
        assert_eq!(go(Key::End), 840);
        assert_eq!(go(Key::Down), 840);
        assert_eq!(go(Key::PageDown), 840);
        assert_eq!(go(Key::Right), 840);
        assert_eq!(go(Key::Home), 0);
    }

    #[test]
    fn a_memory_that_fits_does_not_move() {
        let mut model = model(100);
        for key in [Key::Down, Key::PageDown, Key::End, Key::Right] {
            model.key(key, at(0));
            assert_eq!(model.top, 0);
        }
    }

    #[test]
    fn the_largest_offsets_are_reached() {
        let mut model = model(0);
        model.longest = u64::MAX;
        model.key(Key::End, at(0));
        let end = model.top;
        assert!(u64::MAX - end < 200, "{end}");
        model.key(Key::PageDown, at(0));
        model.key(Key::Char('n'), at(0));
        assert_eq!(model.top, end);
    }

    #[test]
    fn an_offset_can_be_typed() {
        let mut model = model(100 << 30);
        press(&mut model, "g0x1001");
        assert_eq!(model.mode, Mode::GoTo("0x1001".to_owned()));
        press(&mut model, "\n");
        assert_eq!((model.top, &model.mode), (0x1001, &Mode::View));
        press(&mut model, "g99G\n");
        assert_eq!(model.top, 99 << 30);
        press(&mut model, "g79\x08\x08\x085");
        assert_eq!((model.top, &model.mode), (99 << 30, &Mode::View), "taken back, and 5 is no key");
        press(&mut model, "g12");
        model.key(Key::Escape, at(0));
        assert_eq!((model.top, &model.mode), (99 << 30, &Mode::View));
        press(&mut model, "gwhere\n");
        assert!(model.message.as_ref().unwrap().contains("no offset"), "{:?}", model.message);
        press(&mut model, "g100G\n");
        assert!(model.message.as_ref().unwrap().contains("no byte"), "{:?}", model.message);
        assert_eq!(model.top, 99 << 30);
        // A message goes with the next key.
        press(&mut model, "e");
        assert_eq!(model.message, None);
    }

    #[test]
    fn the_last_byte_can_be_gone_to_and_moved_from() {
        let mut model = model(1000);
        press(&mut model, "g999\n");
        assert_eq!((model.top, model.window()), (999, (999, 160)));
        model.key(Key::Down, at(0));
        assert_eq!(model.top, 999);
        model.key(Key::Up, at(0));
        assert_eq!(model.top, 991);
    }

    #[test]
    fn rates_and_types_and_orders() {
        let mut model = model(1000);
        press(&mut model, "--");
        assert_eq!(model.settings.interval, at(500));
        press(&mut model, "+++++++++");
        assert_eq!(model.settings.interval, at(10));
        press(&mut model, "--------------");
        assert_eq!(model.settings.interval, at(10_000));
        model.settings.interval = at(70);
        press(&mut model, "+");
        assert_eq!(model.settings.interval, at(50));
        press(&mut model, "te");
        assert_eq!((model.settings.kind, model.order), (Type::I32, Order::Big));
        model.resize(40, 24);
        press(&mut model, "t");
        assert!(model.message.as_ref().unwrap().contains("no room"), "{:?}", model.message);
    }

    #[test]
    fn ways_out() {
        for key in [Key::Char('q'), Key::Escape, Key::Interrupt] {
            assert_eq!(model(1000).key(key, at(0)), Then::Quit);
        }
        let mut model = model(1000);
        press(&mut model, "?");
        assert_eq!(model.mode, Mode::Help);
        press(&mut model, "q");
        assert_eq!(model.mode, Mode::View, "any key leaves the help, and does nothing else");
        press(&mut model, "g");
        assert_eq!(model.key(Key::Interrupt, at(0)), Then::Quit);
    }

    #[test]
    fn marks_wait_while_it_is_paused() {
        let mut model = model(1000);
        read(&mut model, 1000, 1, 100);
        model.key(Key::Char(' '), at(200));
        assert!(model.is_paused());
        assert_eq!(model.next_fading(at(5000)), None);
        let mark = |model: &Model, now| model.samples.at(0, model.shown_time(at(now))).unwrap().mark;
        assert_eq!(mark(&model, 5000), Mark::Fresh);
        model.key(Key::Char(' '), at(5200));
        assert_eq!(mark(&model, 5300), Mark::Fresh);
        assert_eq!(model.next_fading(at(5300)), Some(at(5400)));
        assert_eq!(mark(&model, 5400), Mark::Fading);
        assert_eq!(mark(&model, 6100), Mark::Unchanged);
        read(&mut model, 1000, 2, 6200);
        assert_eq!(mark(&model, 6499), Mark::Fresh);
    }

    #[test]
    fn nothing_new_needs_no_drawing() {
        let mut model = model(1000);
        model.dirty = false;
        assert!(!read(&mut model, 1000, 0, 100));
        assert!(!model.dirty && model.is_read());
        assert!(read(&mut model, 1000, 1, 200));
        assert!(model.dirty);
        model.dirty = false;
        // It may grow, which is news, too.
        read(&mut model, 2000, 1, 300);
        assert!(model.dirty);
    }

    #[test]
    fn moving_asks_for_other_bytes() {
        let mut model = model(1000);
        assert!(model.is_read());
        model.key(Key::Down, at(0));
        assert!(!model.is_read());
        read(&mut model, 1000, 0, 0);
        assert!(model.is_read());
        model.resize(80, 40);
        assert!(!model.is_read());
    }

    #[test]
    fn changes_out_of_sight_are_found_again() {
        let mut model = model(10_000);
        press(&mut model, "g4003\n");
        read(&mut model, 10_000, 0, 0);
        read(&mut model, 10_000, 1, 100);
        press(&mut model, "n");
        assert!(model.message.as_ref().unwrap().contains("further down"));
        model.key(Key::Home, at(0));
        press(&mut model, "n");
        assert_eq!(model.top, 4000);
        model.key(Key::End, at(0));
        press(&mut model, "N");
        assert_eq!(model.top, 4160);
    }

    #[test]
    fn any_size_has_rows_or_none() {
        let mut model = model(1000);
        for height in 0..12 {
            for width in 0..90 {
                model.resize(width, height);
                let (above, below) = model.margins();
                assert_eq!(above + model.rows() + below, height);
                assert!(height == 0 || model.rows() > 0);
                for key in [Key::PageDown, Key::End, Key::Up, Key::Char('n'), Key::Char('N'), Key::Home] {
                    model.key(key, at(0));
                }
            }
        }
    }
}
