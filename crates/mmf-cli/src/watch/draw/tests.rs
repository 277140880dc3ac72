use super::draw;
use crate::number::Type;
use crate::terminal::Key;
use crate::watch::model::{Model, Settings};
use crate::watch::samples::Sample;
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
         q quit  ? help  space pause  t type u32  e endian  g go to  +/- interval\n"
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
    let row = |model: &Model, now| draw(model, at(now)).roles().lines().nth(2).unwrap_or_default().to_owned();
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
    // During a pause, marks stay.
    read(&mut model, 8, &[1, 2, 3, 8, 5, 6, 7, 8], 2000);
    model.key(Key::Char(' '), at(2100));
    assert_eq!(row(&model, 99_000), fresh);
    assert!(draw(&model, at(99_000)).text().contains("  paused"));
}

#[test]
fn bytes_that_are_cut_off() {
    let mut model = model(80, 4, Type::U32);
    read(&mut model, 16, &[1; 16], 0);
    let mut bytes = vec![Some(1); 16];
    bytes[6..].fill(None);
    model.take(Sample { len: 6, offset: 0, bytes }, at(100));
    let frame = draw(&model, at(2000));
    let lines: Vec<String> = frame.text().lines().map(str::to_owned).collect();
    assert_eq!(lines[0], r"Local\telemetry  6 bytes  truncated from 16  every 100 ms  no change yet");
    assert_eq!(lines[2], "00000000  01 01 01 01 01 01 -- --  |......  |    16843009         --");
    assert_eq!(
        frame.roles().lines().nth(2).unwrap(),
        "........                    xx xx  .      xx.                     xx"
    );
}

#[test]
fn a_row_can_be_shorter() {
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
fn a_long_name_leaves_space_for_the_state() {
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
    assert_eq!(frame.text().lines().last().unwrap(), "go to offset: 0x1   Enter: go, Esc: cancel");
    model.key(Key::Char('f'), at(0));
    model.key(Key::Enter, at(0));
    let frame = draw(&model, at(0));
    assert_eq!(frame.text().lines().last().unwrap(), "offset 31 is out of bounds: the region has 20 bytes");
    model.key(Key::Char('?'), at(0));
    let help = draw(&model, at(0)).text();
    for word in ["PageUp", "0x1000", "pause", "Ctrl-C", "big-endian", "press any key"] {
        assert!(help.contains(word), "{help}");
    }
    assert!(!help.contains("00000000"), "{help}");
}

#[test]
fn any_terminal_size_is_drawn() {
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
fn names_cannot_move_the_cursor() {
    let mut model = model(80, 4, Type::None);
    model.settings.name = "a\x1b[2Jb\u{202e}c".to_owned();
    assert!(draw(&model, at(0)).text().starts_with("a?[2Jb?c  0 bytes"));
}
