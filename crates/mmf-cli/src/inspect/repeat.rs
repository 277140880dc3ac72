//! `mmf inspect --watch`: samples on a screen, or as paragraphs of text or lines of JSON.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::document::document;
use super::sample::{Sample, Sampler};
use super::text::text;
use crate::args::Inspect;
use crate::interrupt::Interrupt;
use crate::output::{Failure, Output, json_text, printing};
use crate::terminal::{Frame, Input, Key, Role, Screen, palette, time_of_day};

/// How many events stay on a screen.
const EVENTS: usize = 6;
/// How often requests to end are checked.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Prints one sample after another.
pub(super) fn print(
    name: &str,
    sampler: &mut Sampler,
    args: &Inspect,
    output: Output,
    interrupt: &Interrupt,
) -> Result<ExitCode, Failure> {
    let count = args.count.unwrap_or(0);
    let mut out = io::stdout().lock();
    let mut due = Instant::now();
    let mut number = 0;
    loop {
        let sample = sampler.sample()?;
        let events = sample.changes.as_ref().map_or(&[][..], |changes| &changes.lines);
        let block = if output.json {
            json_text(&document(name, &sample))? + "\n"
        } else {
            (if number == 0 { "" } else { "\n" }).to_owned() + &text(name, &sample, events) + "\n"
        };
        // Flushed at once: a reader may be waiting for it.
        out.write_all(block.as_bytes()).and_then(|()| out.flush()).map_err(|e| printing(&e))?;
        number += 1;
        if number == count {
            return Ok(sample.exit_status());
        }
        // Samples that a slow reader has missed are skipped.
        due = (due + args.interval).max(Instant::now());
        if interrupt.wait(Some(due.saturating_duration_since(Instant::now()))) {
            // Without a count, this is the regular end.
            return if count == 0 { Ok(sample.exit_status()) } else { Err(Failure::interrupted()) };
        }
    }
}

/// The text of a sample, and the part of it that is on the screen.
struct Page {
    lines: Vec<String>,
    events: VecDeque<String>,
    /// The number of lines above the screen.
    above: usize,
    width: usize,
    height: usize,
}

impl Page {
    fn show(&mut self, name: &str, sample: &Sample) {
        if let Some(changes) = &sample.changes {
            self.events.extend(changes.lines.iter().map(|line| format!("{}  {line}", time_of_day())));
        }
        while self.events.len() > EVENTS {
            self.events.pop_front();
        }
        let text = text(name, sample, self.events.make_contiguous());
        self.lines = text.lines().map(str::to_owned).collect();
        self.scroll(Key::Other);
    }

    fn frame(&self) -> Frame {
        let mut frame = Frame::new(self.width, self.height);
        let rows = self.rows();
        for (y, line) in self.lines.iter().skip(self.above).take(rows).enumerate() {
            let role = if self.above + y == 0 {
                Role::Title
            } else if line.contains("dead") || line.contains("damage") {
                Role::Alert
            } else {
                Role::Plain
            };
            frame.put(0, y, line, role);
        }
        let below = self.lines.len().saturating_sub(self.above + rows);
        let hidden = if below > 0 { format!("  {below} more lines below") } else { String::new() };
        frame.put(0, rows, &format!("q quit  arrows scroll{hidden}"), Role::Faint);
        frame
    }

    fn rows(&self) -> usize {
        self.height.saturating_sub(1)
    }

    fn scroll(&mut self, key: Key) {
        let page = self.rows().max(1);
        let above = match key {
            Key::Up => self.above.saturating_sub(1),
            Key::Down => self.above + 1,
            Key::PageUp => self.above.saturating_sub(page),
            Key::PageDown => self.above + page,
            Key::Home => 0,
            Key::End => usize::MAX,
            _ => self.above,
        };
        self.above = above.min(self.lines.len().saturating_sub(self.rows()));
    }
}

/// Shows samples on the screen, each in place of the previous one.
pub(super) fn draw(
    name: &str,
    sampler: &mut Sampler,
    args: &Inspect,
    interrupt: &Interrupt,
) -> Result<ExitCode, Failure> {
    // Before the screen is switched, so that an error stays readable.
    let mut sample = sampler.sample()?;
    let mut screen = Screen::open(interrupt)?;
    let (width, height) = screen.size()?;
    let palette = palette();
    let mut page = Page { lines: Vec::new(), events: VecDeque::new(), above: 0, width, height };
    page.show(name, &sample);
    let mut drawn: Option<Frame> = None;
    let start = Instant::now();
    let mut due = args.interval;
    loop {
        let now = start.elapsed();
        if due <= now {
            sample = sampler.sample()?;
            page.show(name, &sample);
            due = (due + args.interval).max(now);
        }
        let frame = page.frame();
        screen.send(&frame.update(drawn.as_ref(), palette))?;
        drawn = Some(frame);
        let mut is_over = false;
        for input in screen.wait(due.saturating_sub(start.elapsed()).min(CHECK_INTERVAL))? {
            match input {
                Input::Resized(width, height) => {
                    (page.width, page.height) = (width, height);
                    page.scroll(Key::Other);
                    // Terminals differ in what they leave of the previous frame.
                    drawn = None;
                }
                Input::Key(Key::Char('q' | 'Q') | Key::Interrupt | Key::Escape) => is_over = true,
                Input::Key(key) => page.scroll(key),
            }
        }
        if is_over || interrupt.is_requested() {
            return Ok(sample.exit_status());
        }
    }
}
