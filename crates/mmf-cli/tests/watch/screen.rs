//! The view in a terminal device, read through a terminal emulator.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use mmf::Segment;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use testkit::{Peer, unique_name, wait_until};
use vt100::{Cell, Color, Parser, Screen};

use super::Foreign;
use crate::common::{command, run};
use crate::create;

/// The bytes sent to the terminal, and the screen they make.
struct Seen {
    parser: Parser,
    bytes: Vec<u8>,
}

struct Terminal {
    master: File,
    seen: Arc<Mutex<Seen>>,
    child: Child,
    modes: LocalModes,
}

fn size(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).expect("not 0")
}

impl Terminal {
    fn start(command: &mut Command, width: u16, height: u16) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let path = ptsname(&master, Vec::new()).unwrap();
        let path = Path::new(std::ffi::OsStr::from_bytes(path.to_bytes()));
        let side = || Stdio::from(File::options().read(true).write(true).open(path).unwrap());
        // Kept open here, so that the last bytes are not lost when the program ends.
        let kept = File::options().read(true).write(true).open(path).unwrap();
        tcsetwinsize(&master, winsize(width, height)).unwrap();
        let modes = tcgetattr(&master).unwrap().local_modes;
        let master = File::from(master);
        let child = command.env("TERM", "xterm-256color").stdin(side()).stdout(side()).stderr(side());
        let child = child.spawn().unwrap();
        let seen = Arc::new(Mutex::new(Seen {
            parser: Parser::new(size(height), size(width), 0),
            bytes: Vec::new(),
        }));
        let (mut from, into) = (master.try_clone().unwrap(), Arc::clone(&seen));
        thread::spawn(move || {
            let _kept = kept;
            let mut piece = [0; 4096];
            while let Ok(read) = from.read(&mut piece) {
                let mut seen = into.lock().unwrap();
                seen.parser.process(&piece[..read]);
                seen.bytes.extend_from_slice(&piece[..read]);
            }
        });
        Terminal { master, seen, child, modes }
    }

    fn watch(name: &str, more: &[&str], width: u16, height: u16) -> Self {
        Terminal::start(&mut command(["watch", name].iter().chain(more)), width, height)
    }

    fn keys(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    fn screen<T>(&self, at: impl FnOnce(&Screen) -> T) -> T {
        at(self.seen.lock().unwrap().parser.screen())
    }

    fn text(&self) -> String {
        self.screen(Screen::contents)
    }

    /// Waits until the screen contains this text.
    #[track_caller]
    fn shows(&self, text: &str) {
        self.until(text, |screen| screen.contents().contains(text));
    }

    #[track_caller]
    fn until(&self, what: &str, mut condition: impl FnMut(&Screen) -> bool) {
        let shown = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait_until(what, || self.screen(&mut condition));
        }));
        assert!(shown.is_ok(), "no {what:?} on\n{}", self.text());
    }

    fn bytes(&self) -> usize {
        self.seen.lock().unwrap().bytes.len()
    }

    /// Waits until these bytes were sent; they may have been overwritten on the screen since.
    #[track_caller]
    fn receives(&self, text: &str) {
        let bytes = text.as_bytes();
        wait_until(text, || {
            self.seen.lock().unwrap().bytes.windows(bytes.len()).any(|window| window == bytes)
        });
    }

    fn resize(&self, width: u16, height: u16) {
        self.seen.lock().unwrap().parser.set_size(size(height), size(width));
        tcsetwinsize(&self.master, winsize(width, height)).unwrap();
        // The system notifies only processes of which this is the controlling terminal.
        self.signal("WINCH");
    }

    fn signal(&self, signal: &str) {
        let status =
            Command::new("kill").args([&format!("-{signal}"), &self.child.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    /// Waits for the end, and requires the terminal to be restored.
    #[track_caller]
    fn ends_well(mut self) {
        let mut status = None;
        wait_until("the program ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        assert_eq!(status.unwrap().code(), Some(0), "{}", self.text());
        self.until("the previous screen", |screen| !screen.alternate_screen() && !screen.hide_cursor());
        assert_eq!(self.text(), "");
        assert_eq!(tcgetattr(&self.master).unwrap().local_modes, self.modes);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn winsize(width: u16, height: u16) -> Winsize {
    Winsize { ws_row: height, ws_col: width, ws_xpixel: 0, ws_ypixel: 0 }
}

/// `mmf inspect --watch` in a terminal.
pub fn segments() {
    let name = &unique_name("screened");
    let segment = Segment::create(name, 64 * 1024).unwrap();
    let mut writer = segment.latest::<f64>("speed").unwrap().acquire_writer().unwrap();
    for object in ["one", "two", "three", "four"] {
        segment.auto_reset_event(object).unwrap();
    }
    let mut watching = command(["inspect", name, "--watch", "--interval", "20ms"]);
    let mut terminal = Terminal::start(&mut watching, 80, 16);
    terminal.shows("participants: 1 of 64");
    terminal.shows("0 published, none since the last sample");
    terminal.until("the rate", |screen| {
        writer.publish(&1.0).unwrap();
        screen.contents().contains(" per second")
    });
    let mut other = Peer::start("hold", &[name]);
    other.expect("holding");
    terminal.shows(&format!("process {} (", other.id()));
    terminal.shows(") joined");
    other.kill();
    terminal.shows(") died");
    // Lines that do not fit are below.
    terminal.shows("more lines below");
    terminal.keys("\x1b[F");
    terminal.shows("which is dead");
    terminal.keys("\x1b[H");
    terminal.shows("participants: 2 of 64");
    terminal.resize(80, 40);
    terminal.shows("which is dead");
    terminal.keys("q");
    terminal.ends_well();
    // Also by Ctrl-C, which is a key here, and by a termination signal.
    for end in ["\x03", ""] {
        let mut terminal = Terminal::start(&mut command(["inspect", name, "--watch"]), 80, 24);
        terminal.shows("participants: 2 of 64");
        if end.is_empty() {
            terminal.signal("TERM")
        } else {
            terminal.keys(end)
        }
        terminal.ends_well();
    }
}

pub fn tour() {
    let name = &unique_name("tour");
    let _creator = create(name, &["64K"]);
    run(["write", name, "--text", "Hello"]).succeeded();
    run(["write", name, "--offset", "0x8000", "--text", "middle"]).succeeded();
    let mut terminal = Terminal::watch(name, &["--interval", "10ms"], 80, 24);
    terminal.shows("00000000  48 65 6c 6c 6f 00 00 00  |Hello...|  1819043144        111");
    terminal.shows("...  65536 bytes  every 10 ms  no change yet");
    assert!(terminal.text().starts_with(&format!("Local\\{}", &name[..15])), "{}", terminal.text());
    assert!(terminal.screen(|screen| screen.alternate_screen() && screen.hide_cursor()));
    let modes = tcgetattr(&terminal.master).unwrap().local_modes;
    assert!(!modes.intersects(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG));

    terminal.keys("t");
    terminal.shows("i32 little-endian");
    terminal.keys("e");
    terminal.shows("1214606444");
    terminal.keys("\x1b[B");
    terminal.shows("0x8 to 0xa8 of 0x10000");
    terminal.keys("\x1b[6~");
    terminal.shows("0xa8 to 0x148 of 0x10000");
    terminal.keys("g0x8000");
    terminal.shows("go to offset: 0x8000");
    terminal.keys("\r");
    terminal.shows("00008000  6d 69 64 64 6c 65 00 00  |middle..|");
    terminal.keys("\x1b[F");
    terminal.shows("0xff60 to 0x10000 of 0x10000");
    terminal.keys("\x1b[H");
    terminal.shows("0x0 to 0xa0 of 0x10000");
    terminal.keys("-");
    terminal.shows("every 20 ms");
    terminal.keys("?");
    terminal.shows("press any key to return");
    terminal.keys(" ");
    terminal.shows("q quit");

    terminal.keys(" ");
    terminal.shows("  paused");
    run(["write", name, "--text", "later"]).succeeded();
    // If it were not paused, the text would be visible when the next key is answered.
    terminal.keys("?");
    terminal.shows("press any key to return");
    terminal.keys("x");
    terminal.shows("q quit");
    assert!(terminal.text().contains("|Hello...|"));
    terminal.keys(" ");
    terminal.shows("|later...|");
    terminal.shows("  changed ");
    terminal.keys("q");
    terminal.ends_well();
}

fn cell_is(screen: &Screen, row: u16, column: u16, condition: impl Fn(&Cell) -> bool) -> bool {
    screen.cell(row, column).is_some_and(condition)
}

pub fn little_is_drawn() {
    let name = &unique_name("little");
    let _creator = create(name, &["64K"]);
    let terminal = Terminal::watch(name, &["--interval", "10ms"], 130, 40);
    terminal.shows("q quit");
    let all = terminal.bytes();
    assert!(all > 36 * 60, "{all}");
    // The second row is the fifth line; its third byte.
    run(["write", name, "--offset", "18", "--hex", "41"]).succeeded();
    terminal.receives("\x1b[5;17H\x1b[0m\x1b[30m\x1b[43m41");
    terminal.until("no mark", |screen| {
        cell_is(screen, 4, 16, |cell| cell.contents() == "4" && cell.fgcolor() == Color::Default)
    });
    // About a hundred samples and three frames needed no more than this.
    let drawn = terminal.bytes() - all;
    assert!(drawn < 600, "{drawn}");
}

pub fn any_size() {
    let name = &unique_name("sizes");
    let _creator = create(name, &["4096"]);
    let mut terminal = Terminal::watch(name, &[], 100, 30);
    terminal.shows("q quit");
    for (width, height) in [(1, 1), (2, 3), (40, 1), (1, 40), (20, 4), (300, 100), (10, 2)] {
        terminal.resize(width, height);
        // The first row begins with a 0 at any size.
        terminal.until("a row", |screen| screen.rows(0, width).any(|row| row.starts_with('0')));
        terminal.keys("jjG?x");
    }
    terminal.resize(80, 10);
    terminal.shows("q quit");
    terminal.shows("|........|");
    terminal.keys("\x1b");
    terminal.ends_well();
}

pub fn restored() {
    let name = &unique_name("restored");
    let _creator = create(name, &["4096"]);
    for keys in ["q", "\x1b", "\x03", "g12\x03", "?\x03"] {
        let mut terminal = Terminal::watch(name, &[], 80, 24);
        terminal.shows("q quit");
        terminal.keys(keys);
        terminal.ends_well();
    }
    for signal in ["TERM", "INT", "HUP"] {
        let terminal = Terminal::watch(name, &[], 80, 24);
        terminal.shows("q quit");
        terminal.signal(signal);
        terminal.ends_well();
    }
}

pub fn no_colours() {
    let name = &unique_name("plain");
    let _creator = create(name, &["4096"]);
    let mut command = command(["watch", name, "--interval", "10ms"]);
    let terminal = Terminal::start(command.env("NO_COLOR", "1"), 80, 24);
    terminal.shows("q quit");
    run(["write", name, "--hex", "41"]).succeeded();
    terminal.receives("\x1b[4;11H\x1b[0m\x1b[7m41");
    terminal.until("no mark", |screen| {
        cell_is(screen, 3, 10, |cell| cell.contents() == "4" && !cell.inverse() && !cell.underline())
    });
    for (row, column) in (0..24).flat_map(|row| (0..80).map(move |column| (row, column))) {
        let plain = |cell: &Cell| (cell.fgcolor(), cell.bgcolor()) == (Color::Default, Color::Default);
        assert!(terminal.screen(|screen| cell_is(screen, row, column, plain)), "{row} {column}");
    }
}

pub fn fates() {
    let region = Foreign::new(5000);
    region.write(&[b'a'; 5000], 0);
    let terminal = Terminal::watch(&region.name, &["--interval", "10ms", "--offset", "4080"], 80, 24);
    terminal.shows("  5000 bytes  ");
    terminal.shows("00000ff8  61 61 61 61 61 61 61 61  |aaaaaaaa|");
    region.file().set_len(4082).unwrap();
    terminal.shows("  4082 bytes  ");
    terminal.shows("  truncated from 5000  ");
    terminal.shows("00000ff0  61 61 -- -- -- -- -- --  |aa      |");
    region.file().set_len(9000).unwrap();
    terminal.shows("  9000 bytes  ");
    terminal.until("all again", |screen| !screen.contents().contains("--"));
    fs::remove_file(&region.path).unwrap();
    terminal.shows("name removed");
    fs::write(&region.path, [0; 100]).unwrap();
    terminal.shows("name refers to another region");
}

/// The creator is killed while the region is watched.
pub fn without_writers() {
    let name = unique_name("no-writer");
    let mut creator = create(&name, &["4096"]);
    let terminal = Terminal::watch(&name, &["--interval", "10ms"], 80, 24);
    terminal.shows("  4096 bytes  ");
    creator.kill();
    terminal.shows("no writers ");
}
