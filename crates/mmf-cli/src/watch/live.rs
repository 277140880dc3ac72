//! The view in a terminal: samples, draws and handles keys.

use std::time::{Duration, Instant};

use super::draw::draw;
use super::model::{Model, Settings, Then};
use super::source::{Source, in_a_line};
use crate::interrupt::Interrupt;
use crate::output::Failure;
use crate::terminal::{Frame, Input, Screen, palette, time_of_day};

/// The least time between two frames, however often the bytes change.
const DRAW_INTERVAL: Duration = Duration::from_millis(33);

/// How often the state of the region, and requests to end, are checked.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

pub(super) fn run(source: &mut Source, settings: Settings, interrupt: &Interrupt) -> Result<(), Failure> {
    let mut screen = Screen::open(interrupt)?;
    let (width, height) = screen.size()?;
    let palette = palette();
    let mut model = Model::new(settings, width, height);
    let start = Instant::now();
    let mut last: Option<Frame> = None;
    let (mut sampled, mut drawn, mut checked) = (None, None, None);
    let mut is_urgent = true;
    let mut fading = None;
    loop {
        let now = start.elapsed();
        let due = |last: Option<Duration>, every: Duration| last.map_or(Duration::ZERO, |last| last + every);
        if checked.is_none_or(|at| at + CHECK_INTERVAL <= now) {
            checked = Some(now);
            let notice = source.fate().notice();
            model.dirty |= notice != model.notice;
            model.notice = notice;
        }
        let sample_now = !model.is_paused() && due(sampled, model.settings.interval) <= now;
        if sample_now || !model.is_read() {
            read(source, &mut model, now);
            // The sample may have another length than expected, and with it another window.
            if !model.is_read() {
                read(source, &mut model, now);
            }
            sampled = Some(now);
        }
        if fading.is_some_and(|at| at <= now) {
            model.dirty = true;
        }
        if model.dirty && (is_urgent || due(drawn, DRAW_INTERVAL) <= now) {
            let frame = draw(&model, now);
            screen.send(&frame.update(last.as_ref(), palette))?;
            last = Some(frame);
            drawn = Some(now);
            model.dirty = false;
            fading = model.next_fading(now);
        }
        let mut until = now + CHECK_INTERVAL;
        if model.dirty {
            until = until.min(due(drawn, DRAW_INTERVAL));
        }
        if !model.is_paused() {
            until = until.min(due(sampled, model.settings.interval));
            until = fading.map_or(until, |at| until.min(at));
        }
        is_urgent = false;
        for input in screen.wait(until.saturating_sub(start.elapsed()))? {
            is_urgent = true;
            match input {
                Input::Resized(width, height) => {
                    model.resize(width, height);
                    // Terminals differ in what they leave of the previous frame.
                    last = None;
                }
                Input::Key(key) => {
                    if model.key(key, start.elapsed()) == Then::Quit {
                        return Ok(());
                    }
                }
            }
        }
        if interrupt.is_requested() {
            return Ok(());
        }
    }
}

fn read(source: &mut Source, model: &mut Model, now: Duration) {
    let (offset, most) = model.window();
    if model.take(source.read(offset, most), now) {
        model.last_change = Some(time_of_day());
    }
    let problem = source.problem().map(str::to_owned).or_else(|| source.unread().map(in_a_line));
    if model.problem != problem {
        model.problem = problem;
        model.dirty = true;
    }
}
