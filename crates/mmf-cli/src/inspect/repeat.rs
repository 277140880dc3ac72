//! Looking again and again: on a screen, or as blocks of text or lines of JSON.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use anstream::{AutoStream, ColorChoice};
use mmf::{ReadOnly, SharedMemory};

use super::looks::{Look, Looks};
use super::{document, look, status, text};
use crate::args::Inspect;
use crate::output::{Failure, Output, json_text, printing};
use crate::watch::{Ended, Frame, Heard, Key, Palette, Role, Screen, failed, time_of_day};

/// So many who came and went stay on a screen.
const EVENTS: usize = 6;
/// How often it is found out whether this program is to end.
const LOOKING: Duration = Duration::from_secs(1);

/// Prints looks, one behind the other.
pub(super) fn print(
    name: &str,
    memory: &SharedMemory<ReadOnly>,
    args: &Inspect,
    output: Output,
    ended: &Ended,
) -> Result<ExitCode, Failure> {
    let count = args.count.unwrap_or(0);
    let mut out = io::stdout().lock();
    let mut looks = Looks::new();
    let start = Instant::now();
    let mut due = start;
    let mut number = 0;
    loop {
        let look = looks.take(look(memory)?, start.elapsed());
        let told = look.changes.as_ref().map_or(&[][..], |changes| &changes.told);
        let block = if output.json {
            json_text(&document(name, &look))? + "\n"
        } else {
            (if number == 0 { "" } else { "\n" }).to_owned() + &text(name, &look, told) + "\n"
        };
        // At once: somebody may wait for it.
        out.write_all(block.as_bytes()).and_then(|()| out.flush()).map_err(|e| printing(&e))?;
        number += 1;
        if number == count {
            return Ok(status(&look));
        }
        // What a slow reader has missed is not made up for.
        due = (due + args.interval).max(Instant::now());
        match ended.asked.recv_timeout(due.saturating_duration_since(Instant::now())) {
            Err(RecvTimeoutError::Timeout) => {}
            // Without a number, that is how it ends.
            _ if count == 0 => return Ok(status(&look)),
            _ => return Err(Failure::interrupted()),
        }
    }
}

/// A picture on the screen.
struct Picture {
    lines: Vec<String>,
    /// How many of them are above the screen.
    above: usize,
    width: usize,
    height: usize,
}

impl Picture {
    fn frame(&self) -> Frame {
        let mut frame = Frame::new(self.width, self.height);
        let room = self.room();
        for (y, line) in self.lines.iter().skip(self.above).take(room).enumerate() {
            let role = if self.above + y == 0 {
                Role::Title
            } else if line.contains("dead") || line.contains("damage") {
                Role::Alert
            } else {
                Role::Plain
            };
            frame.put(0, y, line, role);
        }
        let below = self.lines.len().saturating_sub(self.above + room);
        let hidden = if below > 0 { format!("  {below} more lines below") } else { String::new() };
        frame.put(0, room, &format!("q ends, arrows scroll{hidden}"), Role::Faint);
        frame
    }

    fn room(&self) -> usize {
        self.height.saturating_sub(1)
    }

    fn scroll(&mut self, key: Key) {
        let page = self.room().max(1);
        let above = match key {
            Key::Up => self.above.saturating_sub(1),
            Key::Down => self.above + 1,
            Key::PageUp => self.above.saturating_sub(page),
            Key::PageDown => self.above + page,
            Key::Home => 0,
            Key::End => usize::MAX,
            _ => self.above,
        };
        self.above = above.min(self.lines.len().saturating_sub(self.room()));
    }
}

/// Shows looks on the screen, each in the place of the one before.
pub(super) fn draw(
    name: &str,
    memory: &SharedMemory<ReadOnly>,
    args: &Inspect,
    ended: &Ended,
) -> Result<ExitCode, Failure> {
    let mut screen = Screen::open(ended).map_err(|error| failed(&error))?;
    let (width, height) = screen.size().map_err(|error| failed(&error))?;
    let palette = Palette::new(AutoStream::choice(&io::stdout()) != ColorChoice::Never);
    let mut picture = Picture { lines: Vec::new(), above: 0, width, height };
    let mut drawn: Option<Frame> = None;
    let mut events = VecDeque::new();
    let mut looks = Looks::new();
    let start = Instant::now();
    let mut due = Duration::ZERO;
    let mut last: Option<Look> = None;
    loop {
        let now = start.elapsed();
        if last.is_none() || due <= now {
            let look = looks.take(look(memory)?, now);
            if let Some(changes) = &look.changes {
                events.extend(changes.told.iter().map(|told| format!("{}  {told}", time_of_day())));
            }
            while events.len() > EVENTS {
                events.pop_front();
            }
            let lines = text(name, &look, events.make_contiguous());
            picture.lines = lines.lines().map(str::to_owned).collect();
            picture.scroll(Key::Other);
            due = (due + args.interval).max(now);
            last = Some(look);
        }
        let frame = picture.frame();
        screen.send(&frame.update(drawn.as_ref(), palette)).map_err(|error| failed(&error))?;
        drawn = Some(frame);
        let wait = due.saturating_sub(start.elapsed()).min(LOOKING);
        let mut over = false;
        if screen.wait(wait).map_err(|error| failed(&error))? {
            for event in screen.events().map_err(|error| failed(&error))? {
                match event {
                    Heard::Resized(width, height) => {
                        (picture.width, picture.height) = (width, height);
                        picture.scroll(Key::Other);
                        // Nobody knows what a terminal makes of the old picture.
                        drawn = None;
                    }
                    Heard::Key(Key::Char('q' | 'Q') | Key::Interrupt | Key::Escape) => over = true,
                    Heard::Key(key) => picture.scroll(key),
                }
            }
        }
        if over || ended.asked.try_recv().is_ok() {
            return Ok(last.as_ref().map_or(ExitCode::SUCCESS, status));
        }
    }
}
