use super::{Mode, Model, Settings, Then};
use crate::number::{Order, Type};
use crate::terminal::Key;
use crate::watch::samples::{Mark, Sample};
use std::time::Duration;

fn at(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A model with 20 rows of 8 bytes, of a region of this length.
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
fn keys_move_within_the_region() {
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
    // 125 rows, of which 20 are visible.
    assert_eq!(go(Key::End), 840);
    assert_eq!(go(Key::Down), 840);
    assert_eq!(go(Key::PageDown), 840);
    assert_eq!(go(Key::Right), 840);
    assert_eq!(go(Key::Home), 0);
}

#[test]
fn a_region_that_fits_does_not_scroll() {
    let mut model = model(100);
    for key in [Key::Down, Key::PageDown, Key::End, Key::Right] {
        model.key(key, at(0));
        assert_eq!(model.top, 0);
    }
}

#[test]
fn the_largest_offsets_are_reachable() {
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
    assert_eq!(
        (model.top, &model.mode),
        (99 << 30, &Mode::View),
        "the prompt was closed, and 5 has no effect"
    );
    press(&mut model, "g12");
    model.key(Key::Escape, at(0));
    assert_eq!((model.top, &model.mode), (99 << 30, &Mode::View));
    press(&mut model, "gwhere\n");
    assert!(model.message.as_ref().unwrap().contains("invalid offset"), "{:?}", model.message);
    press(&mut model, "g100G\n");
    assert!(model.message.as_ref().unwrap().contains("out of bounds"), "{:?}", model.message);
    assert_eq!(model.top, 99 << 30);
    // The next key removes the message.
    press(&mut model, "e");
    assert_eq!(model.message, None);
}

#[test]
fn the_last_byte_can_be_reached_and_left() {
    let mut model = model(1000);
    press(&mut model, "g999\n");
    assert_eq!((model.top, model.window()), (999, (999, 160)));
    model.key(Key::Down, at(0));
    assert_eq!(model.top, 999);
    model.key(Key::Up, at(0));
    assert_eq!(model.top, 991);
}

#[test]
fn keys_change_interval_type_and_order() {
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
    assert!(model.message.as_ref().unwrap().contains("no space"), "{:?}", model.message);
}

#[test]
fn keys_quit() {
    for key in [Key::Char('q'), Key::Escape, Key::Interrupt] {
        assert_eq!(model(1000).key(key, at(0)), Then::Quit);
    }
    let mut model = model(1000);
    press(&mut model, "?");
    assert_eq!(model.mode, Mode::Help);
    press(&mut model, "q");
    assert_eq!(model.mode, Mode::View, "any key closes the help and has no other effect");
    press(&mut model, "g");
    assert_eq!(model.key(Key::Interrupt, at(0)), Then::Quit);
}

#[test]
fn marks_do_not_fade_during_a_pause() {
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
fn an_equal_sample_is_not_drawn() {
    let mut model = model(1000);
    model.dirty = false;
    assert!(!read(&mut model, 1000, 0, 100));
    assert!(!model.dirty && model.is_read());
    assert!(read(&mut model, 1000, 1, 200));
    assert!(model.dirty);
    model.dirty = false;
    // Growth is a change, too.
    read(&mut model, 2000, 1, 300);
    assert!(model.dirty);
}

#[test]
fn moving_needs_another_sample() {
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
fn changes_outside_of_the_window_are_found_again() {
    let mut model = model(10_000);
    press(&mut model, "g4003\n");
    read(&mut model, 10_000, 0, 0);
    read(&mut model, 10_000, 1, 100);
    press(&mut model, "n");
    assert!(model.message.as_ref().unwrap().contains("after this page"));
    model.key(Key::Home, at(0));
    press(&mut model, "n");
    assert_eq!(model.top, 4000);
    model.key(Key::End, at(0));
    press(&mut model, "N");
    assert_eq!(model.top, 4160);
}

#[test]
fn any_terminal_size_works() {
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
