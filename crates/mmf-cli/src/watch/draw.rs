//! Draws what the model says into a frame.

use std::time::Duration;

use super::frame::{Frame, Role};
use super::layout::Layout;
use super::model::{Mode, Model};
use super::samples::{Mark, Samples, Shown};
use super::value::{Order, Type};
use crate::size;

const HELP: [(&str, &str); 15] = [
    ("Up Down, k j", "a row back, forth"),
    ("Left Right, h l", "a byte back, forth: for numbers at odd places"),
    ("PageUp PageDown", "a page"),
    ("Home End", "the start, the end"),
    ("g", "go to an offset: 4096, 0x1000, 4K"),
    ("n N", "the next or last change that has been seen, out of sight"),
    ("t", "another type of numbers"),
    ("e", "little-endian, big-endian"),
    ("Space", "pause, go on"),
    ("+ -", "look more often, less often"),
    ("q, Esc, Ctrl-C", "quit"),
    ("", ""),
    ("--", "a byte that was there and has been taken away"),
    ("", "Only what is in sight is read, and nothing is ever written."),
    ("", "While you watch, the memory stays, even if its maker ends."),
];

pub(super) fn draw(model: &Model, now: Duration) -> Frame {
    let mut frame = Frame::new(model.width, model.height);
    let (above, below) = model.margins();
    if above > 0 {
        title(&mut frame, model);
    }
    if above > 1 {
        place(&mut frame, model);
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

/// Puts parts next to each other while they have room, most important first.
fn parts(frame: &mut Frame, mut x: usize, y: usize, parts: &[(String, Role)]) {
    for (text, role) in parts.iter().filter(|(text, _)| !text.is_empty()) {
        let gap = if x > 0 { 2 } else { 0 };
        if x == 0 || x + gap + text.len() <= frame.width() {
            x = frame.put(x + gap, y, text, *role);
        }
    }
}

/// What has room of a text, which says that there is more.
fn shortened(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    text.chars().take(room.saturating_sub(3)).chain("...".chars()).collect()
}

fn title(frame: &mut Frame, model: &Model) {
    let len = model.samples.last().len;
    let cut = if len < model.longest() { format!("cut from {}", model.longest()) } else { String::new() };
    let state = if model.is_paused() {
        ("paused".to_owned(), Role::Alert)
    } else {
        (format!("every {}", milliseconds(model.settings.interval)), Role::Plain)
    };
    let changed = model.last_change.as_ref().map_or("no change yet".to_owned(), |at| format!("changed {at}"));
    let all = [
        (format!("{len} bytes"), Role::Plain),
        (cut, Role::Alert),
        (model.fate.unwrap_or_default().to_owned(), Role::Alert),
        state,
        (changed, Role::Plain),
    ];
    // A long name is not to push out what is going on; but some of it must be seen.
    let needed: usize =
        all.iter().map(|(text, _)| text.len()).filter(|len| *len > 0).map(|len| len + 2).sum();
    let room = frame.width().saturating_sub(needed).max(frame.width() / 3).max(12);
    let x = frame.put(0, 0, &shortened(&model.settings.name, room), Role::Title);
    parts(frame, x, 0, &all);
}

fn place(frame: &mut Frame, model: &Model) {
    let last = model.samples.last();
    let end = last.offset.saturating_add(last.bytes.len() as u64);
    let shown = format!("{:#x} to {end:#x} of {:#x}", last.offset, last.len);
    let rights = match &model.trouble {
        Some(trouble) => (trouble.clone(), Role::Alert),
        None => (model.settings.rights.clone().unwrap_or_default(), Role::Faint),
    };
    let x = frame.put(0, 1, &shown, Role::Plain);
    // Shortened rather than left out: the beginning says most.
    frame.put(x + 2, 1, &shortened(&rights.0, frame.width().saturating_sub(x + 2)), rights.1);
}

/// What the columns are.
fn ruler(frame: &mut Frame, y: usize, layout: &Layout, order: Order) {
    frame.put(0, y, "offset", Role::Faint);
    for at in 0..layout.bytes {
        frame.put(layout.hex(at), y, &format!("{at:>2x}"), Role::Faint);
    }
    if layout.kind == Type::None {
        return;
    }
    // One byte has no order.
    let order = if layout.kind.size() > 1 { format!(" {order}") } else { String::new() };
    frame.put(layout.number(0), y, &format!("{}{order}", layout.kind.name()), Role::Faint);
}

fn help(frame: &mut Frame, above: usize) {
    for (row, (keys, what)) in HELP.iter().enumerate() {
        let y = above + row;
        // The last line is for the keys.
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
            frame.put(x + 3, y, "Enter goes, Esc does not", Role::Faint);
        }
        Mode::Help => {
            frame.put(0, y, "any key: back", Role::Faint);
        }
        Mode::View => {
            let pause = if model.is_paused() { "space go on" } else { "space pause" };
            let kind = format!("t type {}", model.settings.kind.name());
            let all = ["q quit", "? help", pause, &kind, "e endian", "g go to", "+/- rate", "n/N changes"];
            let all: Vec<_> = all.iter().map(|text| ((*text).to_owned(), Role::Faint)).collect();
            parts(frame, 0, y, &all);
        }
    }
}

/// Where a row is: on the screen, in the memory, in time.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) y: usize,
    pub(super) offset: u64,
    pub(super) now: Duration,
}

/// A row: offset, bytes, characters, numbers.
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

/// A number of the bytes that a part of a row starts with.
fn number(frame: &mut Frame, x: usize, y: usize, row: &[Option<Shown>], kind: Type, order: Order) {
    let bytes: Option<Vec<Shown>> = row.iter().take(kind.size()).copied().collect();
    // The memory may end in the middle of one.
    let Some(bytes) = bytes.filter(|bytes| bytes.len() == kind.size()) else { return };
    let values: Option<Vec<u8>> = bytes.iter().map(|shown| shown.byte).collect();
    let value = values.and_then(|values| kind.read(&values, order));
    let text = value.map_or("--".to_owned(), |value| value.to_string());
    let mark = bytes.iter().map(|shown| shown.mark).max().unwrap_or(Mark::Unchanged);
    let zero = bytes.iter().all(|shown| shown.byte == Some(0));
    let role = role(Shown { byte: value.map(|_| u8::from(!zero)), mark });
    // Only the text has the look: a mark on blanks would be a bar.
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

/// The first line of a sample that is printed as text.
pub(super) fn heading(name: &str, len: u64, kind: Type) -> String {
    let order = if kind.size() > 1 { format!(" {}", Order::Little) } else { String::new() };
    let kind = if kind == Type::None { String::new() } else { format!("  {}{order}", kind.name()) };
    format!("{name}  {len} bytes ({}){kind}", size::show(len))
}

#[cfg(test)]
mod tests {
    use super::draw;
    use crate::watch::model::{Key, Model, Settings};
    use crate::watch::samples::Sample;
    use crate::watch::value::Type;
    use std::time::Duration;

    fn at(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn model(width: usize, height: usize, kind: Type) -> Model {
        let settings = Settings {
            name: r"Local\telemetry".to_owned(),
            rights: Some("owner ann; ann may read and write".to_owned()),
            offset: 0,
            kind,
            bytes: None,
            interval: at(100),
        };
        Model::new(settings, width, height)
    }

    fn read(model: &mut Model, len: u64, bytes: &[u8], now: u64) {
        let bytes = bytes.iter().copied().map(Some).collect();
        model.take(Sample { len, offset: model.top, bytes }, at(now));
    }

    const CONTENT: &[u8; 20] = b"Hello\0\0\0\0\0\0@\x01\0\0\0xyz~";

    #[test]
    fn a_whole_screen() {
        let mut model = model(80, 8, Type::U32);
        read(&mut model, 20, CONTENT, 0);
        let mut content = *CONTENT;
        content[12] = 2;
        read(&mut model, 20, &content, 100);
        model.last_change = Some("14:03:22 UTC".to_owned());
        let frame = draw(&model, at(200));
        assert_eq!(
            frame.text(),
            "Local\\telemetry  20 bytes  every 100 ms  changed 14:03:22 UTC\n\
             0x0 to 0x14 of 0x14  owner ann; ann may read and write\n\
             offset     0  1  2  3  4  5  6  7              u32 little-endian\n\
             00000000  48 65 6c 6c 6f 00 00 00  |Hello...|  1819043144        111\n\
             00000008  00 00 00 40 02 00 00 00  |...@....|  1073741824          2\n\
             00000010  78 79 7a 7e              |xyz~|      2121955704\n\
             \n\
             q quit  ? help  space pause  t type u32  e endian  g go to  +/- rate\n"
        );
        let roles = frame.roles();
        let roles: Vec<&str> = roles.lines().collect();
        assert_eq!(roles[0], "ttttttttttttttt");
        assert_eq!(roles[1], "                     .................................");
        assert_eq!(roles[2], "......    .. .. .. .. .. .. .. ..              .................");
        assert_eq!(roles[3], "........                 .. .. ..  .     ....");
        assert_eq!(roles[4], "........  .. .. ..    ## .. .. ..  .... #....                      #");
    }

    #[test]
    fn changes_are_marked_and_fade() {
        let mut model = model(80, 4, Type::U16);
        read(&mut model, 8, &[1, 2, 3, 4, 5, 6, 7, 8], 0);
        read(&mut model, 8, &[1, 2, 3, 9, 5, 6, 7, 8], 100);
        let row =
            |model: &Model, now| draw(model, at(now)).roles().lines().nth(2).unwrap_or_default().to_owned();
        assert_eq!(
            draw(&model, at(100)).text().lines().nth(2).unwrap(),
            "00000000  01 02 03 09 05 06 07 08  |........|    513  2307  1541  2055"
        );
        let fresh = "........           ##              .   #    .         ####";
        assert_eq!(row(&model, 100), fresh);
        assert_eq!(row(&model, 399), fresh);
        assert_eq!(row(&model, 400), fresh.replace('#', "+"));
        let faded = "........                           .        .";
        assert_eq!(row(&model, 1100), faded);
        // Paused, marks stay.
        read(&mut model, 8, &[1, 2, 3, 8, 5, 6, 7, 8], 2000);
        model.key(Key::Char(' '), at(2100));
        assert_eq!(row(&model, 99_000), fresh);
        assert!(draw(&model, at(99_000)).text().contains("  paused"));
    }

    #[test]
    fn bytes_that_are_gone() {
        let mut model = model(80, 4, Type::U32);
        read(&mut model, 16, &[1; 16], 0);
        let mut bytes = vec![Some(1); 16];
        bytes[6..].fill(None);
        model.take(Sample { len: 6, offset: 0, bytes }, at(100));
        let frame = draw(&model, at(2000));
        let lines: Vec<String> = frame.text().lines().map(str::to_owned).collect();
        assert_eq!(lines[0], r"Local\telemetry  6 bytes  cut from 16  every 100 ms  no change yet");
        assert_eq!(lines[2], "00000000  01 01 01 01 01 01 -- --  |......  |    16843009         --");
        assert_eq!(
            frame.roles().lines().nth(2).unwrap(),
            "........                    xx xx  .      xx.                     xx"
        );
    }

    #[test]
    fn a_row_may_end_early() {
        let mut model = model(80, 4, Type::F64);
        read(&mut model, 3, b"abc", 0);
        assert_eq!(
            draw(&model, at(0)).text().lines().nth(2).unwrap(),
            "00000000  61 62 63                 |abc|"
        );
        let mut empty = self::model(80, 4, Type::F64);
        read(&mut empty, 0, b"", 0);
        assert_eq!(draw(&empty, at(0)).text().lines().nth(2).unwrap(), "");
    }

    #[test]
    fn a_long_name_leaves_room_for_the_news() {
        let mut model = model(80, 4, Type::U32);
        model.settings.name = format!(r"Local\{}", "x".repeat(200));
        read(&mut model, 16, &[1; 16], 0);
        model.key(Key::Char(' '), at(0));
        let title = draw(&model, at(0)).text().lines().next().unwrap().to_owned();
        assert!(
            title.starts_with(r"Local\xxxx") && title.ends_with("x...  16 bytes  paused  no change yet"),
            "{title}"
        );
        assert_eq!(title.len(), 80);
    }

    #[test]
    fn the_prompt_and_the_help() {
        let mut model = model(80, 24, Type::U32);
        read(&mut model, 20, CONTENT, 0);
        for key in "g0x1".chars() {
            model.key(Key::Char(key), at(0));
        }
        let frame = draw(&model, at(0));
        assert_eq!(frame.text().lines().last().unwrap(), "go to offset: 0x1   Enter goes, Esc does not");
        model.key(Key::Char('f'), at(0));
        model.key(Key::Enter, at(0));
        let frame = draw(&model, at(0));
        assert_eq!(frame.text().lines().last().unwrap(), "there is no byte 31: it has 20 bytes");
        model.key(Key::Char('?'), at(0));
        let help = draw(&model, at(0)).text();
        for word in ["PageUp", "0x1000", "pause", "Ctrl-C", "big-endian", "any key"] {
            assert!(help.contains(word), "{help}");
        }
        assert!(!help.contains("00000000"), "{help}");
    }

    #[test]
    fn any_size_is_drawn() {
        for kind in [Type::U8, Type::F64, Type::None] {
            for keys in ["", "?", "g12"] {
                for height in 0..12 {
                    for width in 0..90 {
                        let mut model = model(width, height, kind);
                        read(&mut model, 20, CONTENT, 0);
                        for key in keys.chars() {
                            model.key(Key::Char(key), at(0));
                        }
                        let frame = draw(&model, at(0));
                        assert_eq!((frame.width(), frame.height()), (width, height));
                    }
                }
            }
        }
    }

    #[test]
    fn names_of_others_cannot_move_the_cursor() {
        let mut model = model(80, 4, Type::None);
        model.settings.name = "a\x1b[2Jb\u{202e}c".to_owned();
        assert!(draw(&model, at(0)).text().starts_with("a?[2Jb?c  0 bytes"));
    }
}
