use super::{Frame, Palette, Role};

#[test]
fn equal_cells_are_not_drawn() {
    let palette = Palette::new(true);
    let mut one = Frame::new(10, 2);
    one.put(0, 0, "hello", Role::Title);
    one.put(3, 1, "42", Role::Plain);
    assert_eq!(one.update(Some(&one), palette), "");
    assert_eq!(one.update(None, palette), "\x1b[0m\x1b[2J\x1b[1;1H\x1b[0m\x1b[1mhello\x1b[2;4H\x1b[0m42");

    let mut two = one.clone();
    two.put(4, 1, "3", Role::Fresh);
    assert_eq!(two.update(Some(&one), palette), "\x1b[2;5H\x1b[0m\x1b[30m\x1b[43m3\x1b[0m");
    // A cell with another role is another cell.
    let mut three = two.clone();
    three.put(4, 1, "3", Role::Plain);
    assert_eq!(three.update(Some(&two), palette), "\x1b[2;5H3");
}

#[test]
fn another_size_redraws_everything() {
    let one = Frame::new(10, 2);
    let mut two = Frame::new(10, 3);
    two.put(0, 2, "x", Role::Plain);
    assert_eq!(two.update(Some(&one), Palette::new(true)), "\x1b[0m\x1b[2J\x1b[3;1Hx");
}

#[test]
fn marks_are_visible_without_colours() {
    let mut frame = Frame::new(4, 1);
    frame.put(0, 0, "a", Role::Fresh);
    frame.put(1, 0, "b", Role::Fading);
    let text = frame.update(None, Palette::new(false));
    assert_eq!(text, "\x1b[0m\x1b[2J\x1b[1;1H\x1b[0m\x1b[7ma\x1b[0m\x1b[4mb\x1b[0m");
}

#[test]
fn text_outside_is_cut_off() {
    let mut frame = Frame::new(4, 1);
    assert_eq!(frame.put(2, 0, "abc", Role::Plain), 5);
    frame.put(0, 1, "abc", Role::Plain);
    assert_eq!(frame.text(), "  ab\n");
    for (width, height) in [(0, 0), (0, 5), (5, 0)] {
        let mut frame = Frame::new(width, height);
        frame.put(0, 0, "abc", Role::Plain);
        assert_eq!(frame.update(None, Palette::new(true)), "\x1b[0m\x1b[2J");
        let _ = frame.text();
    }
}

#[test]
fn wide_characters_take_two_cells() {
    let mut frame = Frame::new(8, 1);
    assert_eq!(frame.put(0, 0, "名\u{202e}\x1bé", Role::Plain), 5);
    assert_eq!(frame.text(), "名??é\n");
    // At the edge, a wide character is left out completely.
    assert_eq!(frame.put(7, 0, "名", Role::Plain), 9);
    assert_eq!(frame.text(), "名??é\n");
    let mut next = frame.clone();
    next.put(0, 0, "字", Role::Plain);
    assert_eq!(next.update(Some(&frame), Palette::new(true)), "\x1b[1;1H字");
}
