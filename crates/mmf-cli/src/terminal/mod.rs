//! A terminal as a screen: `frame` has the content of a screen, and this module sends frames and receives
//! keys.

mod frame;

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anstream::{AutoStream, ColorChoice};
use termina::event::{KeyCode, KeyEvent, KeyEventKind, Modifiers};
use termina::{Event, PlatformTerminal, Terminal};

pub(crate) use frame::{Frame, Palette, Role};

use crate::interrupt::Interrupt;
use crate::output::Failure;

/// Switches to the alternate screen and hides the cursor; and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[0m\x1b[?25h\x1b[?1049l";

/// A key that was pressed.
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
    /// Any other key.
    Other,
}

/// What the terminal reports.
pub(crate) enum Input {
    Key(Key),
    Resized(usize, usize),
}

/// The terminal, restored when this is dropped and when the program panics.
pub(crate) struct Screen {
    terminal: PlatformTerminal,
}

impl Screen {
    pub(crate) fn open(interrupt: &Interrupt) -> Result<Self, Failure> {
        let open = || {
            let mut terminal = PlatformTerminal::new()?;
            terminal.set_panic_hook(|handle| {
                let _ = handle.write_all(LEAVE.as_bytes());
            });
            interrupt.wake(terminal.event_reader().waker());
            let mut screen = Screen { terminal };
            screen.terminal.enter_raw_mode()?;
            screen.write(ENTER)?;
            Ok(screen)
        };
        open().map_err(failed)
    }

    /// Columns and rows.
    pub(crate) fn size(&self) -> Result<(usize, usize), Failure> {
        let size = self.terminal.get_dimensions().map_err(failed)?;
        Ok((size.cols.into(), size.rows.into()))
    }

    pub(crate) fn send(&mut self, text: &str) -> Result<(), Failure> {
        self.write(text).map_err(failed)
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        self.terminal.write_all(text.as_bytes())?;
        self.terminal.flush()
    }

    /// Waits at most `limit` for input and returns what there is. It may return early with nothing.
    pub(crate) fn wait(&self, limit: Duration) -> Result<Vec<Input>, Failure> {
        self.read(limit).map_err(failed)
    }

    fn read(&self, limit: Duration) -> io::Result<Vec<Input>> {
        let mut inputs = Vec::new();
        let mut limit = limit;
        while self.terminal.poll(|_| true, Some(limit))? {
            match self.terminal.read(|_| true)? {
                Event::Key(key) => inputs.extend(translate(key).map(Input::Key)),
                Event::WindowResized(size) => {
                    inputs.push(Input::Resized(size.cols.into(), size.rows.into()));
                }
                _ => {}
            }
            limit = Duration::ZERO;
        }
        Ok(inputs)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // After a panic the hook has done it, and the message printed since must stay.
        if !std::thread::panicking() {
            let _ = self.write(LEAVE);
        }
    }
}

/// Returns `None` for a key that was released.
fn translate(key: KeyEvent) -> Option<Key> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    if key.modifiers.intersects(Modifiers::CONTROL | Modifiers::ALT) {
        return Some(match key.code {
            KeyCode::Char('c' | 'C') => Key::Interrupt,
            // Some terminals send Ctrl-H for the backspace key.
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

fn failed(error: io::Error) -> Failure {
    let message = format!("cannot use the terminal: {error}; print samples with --count instead");
    Failure::new("terminal", message)
}

/// Whether standard output is a terminal with a movable cursor.
pub(crate) fn can_draw() -> bool {
    io::stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// The palette for standard output, which has colours unless the user does not want them.
pub(crate) fn palette() -> Palette {
    Palette::new(AutoStream::choice(&io::stdout()) != ColorChoice::Never)
}

/// The time of day in UTC. (The standard library knows no time zones.)
pub(crate) fn time_of_day() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs()) % 86_400;
    format!("{:02}:{:02}:{:02} UTC", seconds / 3600, seconds / 60 % 60, seconds % 60)
}
