//! The view in a terminal: sends pictures there and hears keys from there.

use std::io::{self, Write};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use termina::event::{KeyCode, KeyEvent, KeyEventKind, Modifiers};
use termina::{Event, PlatformTerminal, Terminal};

use super::Ended;
use super::draw::draw;
use super::frame::{Frame, Palette};
use super::model::{Key, Model, Settings, Then};
use super::source::{Source, in_a_line};
use crate::output::Failure;

/// The screen that is not scrolled, and no cursor on it; and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[0m\x1b[?25h\x1b[?1049l";

/// Changes are not drawn more often than this, however often they come.
const DRAWING: Duration = Duration::from_millis(33);

/// How often it is found out what has become of the region, and whether this program is to end.
const LOOKING: Duration = Duration::from_secs(1);

pub(super) fn run(
    source: &mut Source,
    settings: Settings,
    colours: bool,
    ended: &Ended,
) -> Result<(), Failure> {
    let mut screen = Screen::open(ended).map_err(|error| failed(&error))?;
    let (width, height) = screen.size().map_err(|error| failed(&error))?;
    let palette = Palette::new(colours);
    let mut model = Model::new(settings, width, height);
    let start = Instant::now();
    let mut last: Option<Frame> = None;
    let (mut sampled, mut drawn, mut looked) = (None, None, None);
    let mut hurry = true;
    let mut fading = None;
    loop {
        let now = start.elapsed();
        let due = |last: Option<Duration>, every: Duration| last.map_or(Duration::ZERO, |last| last + every);
        if looked.is_none_or(|at| at + LOOKING <= now) {
            looked = Some(now);
            let fate = source.fate().brief();
            model.dirty |= fate != model.fate;
            model.fate = fate;
        }
        let sample_now = !model.is_paused() && due(sampled, model.settings.interval) <= now;
        if sample_now || !model.is_read() {
            read(source, &mut model, now);
            // What came in sight may show that there is more, or less, of the memory than was thought.
            if !model.is_read() {
                read(source, &mut model, now);
            }
            sampled = Some(now);
        }
        if fading.is_some_and(|at| at <= now) {
            model.dirty = true;
        }
        if model.dirty && (hurry || due(drawn, DRAWING) <= now) {
            let frame = draw(&model, now);
            screen.send(&frame.update(last.as_ref(), palette)).map_err(|error| failed(&error))?;
            last = Some(frame);
            drawn = Some(now);
            model.dirty = false;
            fading = model.next_fading(now);
        }
        let mut until = now + LOOKING;
        if model.dirty {
            until = until.min(due(drawn, DRAWING));
        }
        if !model.is_paused() {
            until = until.min(due(sampled, model.settings.interval));
            until = fading.map_or(until, |at| until.min(at));
        }
        hurry = false;
        let wait = until.saturating_sub(start.elapsed());
        if screen.wait(wait).map_err(|error| failed(&error))? {
            hurry = true;
            for event in screen.events().map_err(|error| failed(&error))? {
                match event {
                    Heard::Resized(width, height) => {
                        model.resize(width, height);
                        // Nobody knows what a terminal makes of the old picture.
                        last = None;
                    }
                    Heard::Key(key) => {
                        if model.key(key, start.elapsed()) == Then::Quit {
                            return Ok(());
                        }
                    }
                }
            }
        }
        if ended.asked.try_recv().is_ok() {
            return Ok(());
        }
    }
}

fn read(source: &mut Source, model: &mut Model, now: Duration) {
    let (offset, most) = model.window();
    if model.take(source.read(offset, most), now) {
        model.last_change = Some(time_of_day());
    }
    let trouble = source.trouble().map(str::to_owned).or_else(|| source.unread().map(in_a_line));
    if model.trouble != trouble {
        model.trouble = trouble;
        model.dirty = true;
    }
}

/// The time of day. (The standard library knows no time zones.)
pub(crate) fn time_of_day() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs()) % 86_400;
    format!("{:02}:{:02}:{:02} UTC", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

pub(crate) fn failed(error: &io::Error) -> Failure {
    let message = format!("cannot use the terminal: {error}; print samples with --once or --count");
    Failure::new("Terminal", message)
}

pub(crate) enum Heard {
    Key(Key),
    Resized(usize, usize),
}

/// The terminal, which is as it was before when this is dropped, and when the program panics.
pub(crate) struct Screen {
    terminal: PlatformTerminal,
}

impl Screen {
    pub(crate) fn open(ended: &Ended) -> io::Result<Self> {
        let mut terminal = PlatformTerminal::new()?;
        terminal.set_panic_hook(|handle| {
            let _ = handle.write_all(LEAVE.as_bytes());
        });
        ended.wake(terminal.event_reader().waker());
        let mut screen = Screen { terminal };
        screen.terminal.enter_raw_mode()?;
        screen.send(ENTER)?;
        Ok(screen)
    }

    pub(crate) fn size(&self) -> io::Result<(usize, usize)> {
        let size = self.terminal.get_dimensions()?;
        Ok((size.cols.into(), size.rows.into()))
    }

    pub(crate) fn send(&mut self, text: &str) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        self.terminal.write_all(text.as_bytes())?;
        self.terminal.flush()
    }

    /// Waits until something is to be heard, or for so long. It may end early.
    pub(crate) fn wait(&self, most: Duration) -> io::Result<bool> {
        self.terminal.poll(|_| true, Some(most))
    }

    /// What is to be heard.
    pub(crate) fn events(&self) -> io::Result<Vec<Heard>> {
        let mut events = Vec::new();
        while self.wait(Duration::ZERO)? {
            match self.terminal.read(|_| true)? {
                Event::Key(key) => events.extend(translate(key).map(Heard::Key)),
                Event::WindowResized(size) => {
                    events.push(Heard::Resized(size.cols.into(), size.rows.into()));
                }
                _ => {}
            }
        }
        Ok(events)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // After a panic the hook has done it, and what stands there since is not to be overwritten.
        if !std::thread::panicking() {
            let _ = self.send(LEAVE);
        }
    }
}

/// None if it was let go, not pressed.
fn translate(key: KeyEvent) -> Option<Key> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    if key.modifiers.intersects(Modifiers::CONTROL | Modifiers::ALT) {
        return Some(match key.code {
            KeyCode::Char('c' | 'C') => Key::Interrupt,
            // What some terminals send for the key that others call backspace.
            KeyCode::Char('h') => Key::Backspace,
            _ => Key::Other,
        });
    }
    Some(match key.code {
        KeyCode::Char(c) => Key::Char(c),
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::Enter => Key::Enter,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Escape => Key::Escape,
        _ => Key::Other,
    })
}
