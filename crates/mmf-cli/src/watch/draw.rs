//! Draws the model into a frame.

use std::time::Duration;

use super::layout::Layout;
use super::model::{Mode, Model};
use super::samples::{Mark, Samples, Shown};
use crate::number::{Order, Type};
use crate::size;
use crate::terminal::{Frame, Role};

const HELP: [(&str, &str); 15] = [
    ("Up Down, k j", "move by a row"),
    ("Left Right, h l", "move by a byte, for numbers at odd offsets"),
    ("PageUp PageDown", "move by a page"),
    ("Home End", "go to the start, the end"),
    ("g", "go to an offset: 4096, 0x1000, 4K"),
    ("n N", "go to the next, previous recorded change"),
    ("t", "select the type of the numbers"),
    ("e", "switch between little-endian and big-endian"),
    ("Space", "pause, resume"),
    ("+ -", "sample more often, less often"),
    ("q, Esc, Ctrl-C", "quit"),
    ("", ""),
    ("--", "a byte that was cut off or cannot be read"),
    ("", "Only the visible bytes are read. Nothing is ever written."),
    ("", "The region exists while it is watched, even after its creator ends."),
];

pub(super) fn draw(model: &Model, now: Duration) -> Frame {
    let mut frame = Frame::new(model.width, model.height);
    let (above, below) = model.margins();
    if above > 0 {
        title(&mut frame, model);
    }
    if above > 1 {
        window(&mut frame, model);
    }
    if model.mode == Mode::Help {
        help(&mut frame, above);
    } else {
        let layout = model.layout();
        if above > 2 {
            ruler(&mut frame, 2, &layout, model.order);
        }
        for row in 0..model.rows() {
            let offset = model.top.checked_add((row * layout.bytes) as u64);
            let Some(offset) = offset.filter(|offset| *offset < model.longest()) else { break };
            let place = Place { y: above + row, offset, now: model.shown_time(now) };
            draw_row(&mut frame, place, &layout, model.order, &model.samples);
        }
    }
    if below > 0 {
        status(&mut frame, model);
    }
    frame
}

/// Puts parts next to each other as long as they fit, the most important first.
fn parts(frame: &mut Frame, mut x: usize, y: usize, parts: &[(String, Role)]) {
    for (text, role) in parts.iter().filter(|(text, _)| !text.is_empty()) {
        let gap = if x > 0 { 2 } else { 0 };
        if x == 0 || x + gap + text.len() <= frame.width() {
            x = frame.put(x + gap, y, text, *role);
        }
    }
}

/// Shortens a text to `room` characters and marks the omission.
fn shortened(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    text.chars().take(room.saturating_sub(3)).chain("...".chars()).collect()
}

fn title(frame: &mut Frame, model: &Model) {
    let len = model.samples.last().len;
    let cut =
        if len < model.longest() { format!("truncated from {}", model.longest()) } else { String::new() };
    let state = if model.is_paused() {
        ("paused".to_owned(), Role::Alert)
    } else {
        (format!("every {}", milliseconds(model.settings.interval)), Role::Plain)
    };
    let changed = model.last_change.as_ref().map_or("no change yet".to_owned(), |at| format!("changed {at}"));
    let all = [
        (format!("{len} bytes"), Role::Plain),
        (cut, Role::Alert),
        (model.notice.unwrap_or_default().to_owned(), Role::Alert),
        state,
        (changed, Role::Plain),
    ];
    // A long name must not displace the state, but a part of it must stay visible.
    let needed: usize =
        all.iter().map(|(text, _)| text.len()).filter(|len| *len > 0).map(|len| len + 2).sum();
    let room = frame.width().saturating_sub(needed).max(frame.width() / 3).max(12);
    let x = frame.put(0, 0, &shortened(&model.settings.name, room), Role::Title);
    parts(frame, x, 0, &all);
}

fn window(frame: &mut Frame, model: &Model) {
    let last = model.samples.last();
    let end = last.offset.saturating_add(last.bytes.len() as u64);
    let shown = format!("{:#x} to {end:#x} of {:#x}", last.offset, last.len);
    let rights = match &model.problem {
        Some(problem) => (problem.clone(), Role::Alert),
        None => (model.settings.rights.clone().unwrap_or_default(), Role::Faint),
    };
    let x = frame.put(0, 1, &shown, Role::Plain);
    // Shortened rather than omitted: the beginning says most.
    frame.put(x + 2, 1, &shortened(&rights.0, frame.width().saturating_sub(x + 2)), rights.1);
}

/// The heading of the columns.
fn ruler(frame: &mut Frame, y: usize, layout: &Layout, order: Order) {
    frame.put(0, y, "offset", Role::Faint);
    for at in 0..layout.bytes {
        frame.put(layout.hex(at), y, &format!("{at:>2x}"), Role::Faint);
    }
    if layout.kind == Type::None {
        return;
    }
    // A single byte has no byte order.
    let order = if layout.kind.size() > 1 { format!(" {order}") } else { String::new() };
    frame.put(layout.number(0), y, &format!("{}{order}", layout.kind.name()), Role::Faint);
}

fn help(frame: &mut Frame, above: usize) {
    for (row, (keys, what)) in HELP.iter().enumerate() {
        let y = above + row;
        // The last line shows the keys.
        if y + 1 >= frame.height() {
            return;
        }
        let x = if keys.is_empty() { 2 } else { 20 };
        frame.put(2, y, keys, Role::Title);
        frame.put(x, y, what, Role::Plain);
    }
}

fn status(frame: &mut Frame, model: &Model) {
    let y = frame.height() - 1;
    if let Some(message) = &model.message {
        frame.put(0, y, message, Role::Alert);
        return;
    }
    match &model.mode {
        Mode::GoTo(text) => {
            let x = frame.put(0, y, "go to offset: ", Role::Title);
            let x = frame.put(x, y, text, Role::Plain);
            frame.put(x, y, " ", Role::Fresh);
            frame.put(x + 3, y, "Enter: go, Esc: cancel", Role::Faint);
        }
        Mode::Help => {
            frame.put(0, y, "press any key to return", Role::Faint);
        }
        Mode::View => {
            let pause = if model.is_paused() { "space resume" } else { "space pause" };
            let kind = format!("t type {}", model.settings.kind.name());
            let all =
                ["q quit", "? help", pause, &kind, "e endian", "g go to", "+/- interval", "n/N changes"];
            let all: Vec<_> = all.iter().map(|text| ((*text).to_owned(), Role::Faint)).collect();
            parts(frame, 0, y, &all);
        }
    }
}

/// The position of a row: on the screen, in the region, in time.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) y: usize,
    pub(super) offset: u64,
    pub(super) now: Duration,
}

/// Draws a row: offset, bytes, characters, numbers.
pub(super) fn draw_row(frame: &mut Frame, place: Place, layout: &Layout, order: Order, samples: &Samples) {
    let Place { y, offset, now } = place;
    frame.put(0, y, &format!("{offset:0digits$x}", digits = layout.digits), Role::Faint);
    let shown = |at: usize| offset.checked_add(at as u64).and_then(|offset| samples.at(offset, now));
    let row: Vec<Option<Shown>> = (0..layout.bytes).map(shown).collect();
    let there = row.iter().flatten().count();
    for (at, shown) in row.iter().enumerate() {
        let Some(shown) = shown else { continue };
        let (digits, symbol) = match shown.byte {
            Some(byte @ b' '..=b'~') => (format!("{byte:02x}"), char::from(byte).to_string()),
            Some(byte) => (format!("{byte:02x}"), ".".to_owned()),
            None => ("--".to_owned(), " ".to_owned()),
        };
        let role = role(*shown);
        frame.put(layout.hex(at), y, &digits, role);
        if layout.text {
            frame.put(layout.text() + at, y, &symbol, role);
        }
    }
    if layout.text && there > 0 {
        frame.put(layout.text() - 1, y, "|", Role::Faint);
        frame.put(layout.text() + there, y, "|", Role::Faint);
    }
    for at in 0..layout.count() {
        number(frame, layout.number(at), y, &row[at * layout.kind.size()..], layout.kind, order);
    }
}

/// Draws the number that `row` starts with.
fn number(frame: &mut Frame, x: usize, y: usize, row: &[Option<Shown>], kind: Type, order: Order) {
    let bytes: Option<Vec<Shown>> = row.iter().take(kind.size()).copied().collect();
    // The region may end in the middle of a number.
    let Some(bytes) = bytes.filter(|bytes| bytes.len() == kind.size()) else { return };
    let values: Option<Vec<u8>> = bytes.iter().map(|shown| shown.byte).collect();
    let value = values.and_then(|values| kind.read(&values, order));
    let text = value.map_or("--".to_owned(), |value| value.to_string());
    let mark = bytes.iter().map(|shown| shown.mark).max().unwrap_or(Mark::Unchanged);
    let zero = bytes.iter().all(|shown| shown.byte == Some(0));
    let role = role(Shown { byte: value.map(|_| u8::from(!zero)), mark });
    // Only the text is styled: a mark on blanks would be a bar.
    let start = x + kind.width().saturating_sub(text.len());
    frame.put(start, y, &text, role);
}

fn role(shown: Shown) -> Role {
    match shown {
        Shown { mark: Mark::Fresh, .. } => Role::Fresh,
        Shown { byte: None, .. } => Role::Gone,
        Shown { mark: Mark::Fading, .. } => Role::Fading,
        Shown { byte: Some(0), .. } => Role::Faint,
        _ => Role::Plain,
    }
}

fn milliseconds(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{} ms", time.as_millis())
    } else {
        format!("{} s", time.as_secs_f64())
    }
}

/// Returns the first line of a sample that is printed as text.
pub(super) fn heading(name: &str, len: u64, kind: Type) -> String {
    let order = if kind.size() > 1 { format!(" {}", Order::Little) } else { String::new() };
    let kind = if kind == Type::None { String::new() } else { format!("  {}{order}", kind.name()) };
    format!("{name}  {len} bytes ({}){kind}", size::show(len))
}

#[cfg(test)]
mod tests;
