//! A progress bar on a terminal, for work that takes long.

use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use mmf::snapshot::Progress;

use crate::interrupt::Interrupt;
use crate::output::{Failure, Output};

/// A bar that appears on standard error once the work has taken longer than a delay.
pub(crate) struct Bar {
    bar: ProgressBar,
    started: Instant,
    delay: Duration,
    is_wanted: bool,
}

impl Bar {
    pub(crate) fn new(len: Option<u64>, template: &str, delay: Duration, output: Output) -> Self {
        let bar = ProgressBar::with_draw_target(len, ProgressDrawTarget::hidden());
        let style = ProgressStyle::with_template(template);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
        let is_wanted = !output.json && std::io::stderr().is_terminal();
        Bar { bar, started: Instant::now(), delay, is_wanted }
    }

    /// Returns the bar if it is on the screen, and puts it there if the delay is over.
    fn shown(&self) -> Option<&ProgressBar> {
        if self.is_wanted && self.bar.is_hidden() && self.started.elapsed() > self.delay {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        (!self.bar.is_hidden()).then_some(&self.bar)
    }

    /// Moves the bar by a number of bytes.
    pub(crate) fn advance(&self, bytes: usize) {
        let _ = self.shown();
        self.bar.inc(bytes as u64);
    }

    /// Removes the bar from the screen.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

/// Runs `work`, with a bar on a terminal, until it is done or the user interrupts it. `last` is
/// what to show once all bytes are copied and the work has not returned yet.
pub(crate) fn run<T, E: Into<Failure>>(
    interrupt: &Interrupt,
    output: Output,
    last: &str,
    work: impl FnOnce(&mut dyn FnMut(Progress) -> ControlFlow<()>) -> Result<T, E>,
) -> Result<T, Failure> {
    let template = "  {bar:24} {percent:>3} %  {binary_bytes_per_sec}  {msg}";
    let bar = Bar::new(None, template, Duration::from_millis(300), output);
    let mut is_cancelled = false;
    let result = work(&mut |progress| {
        if interrupt.is_requested() {
            is_cancelled = true;
            return ControlFlow::Break(());
        }
        if let Some(bar) = bar.shown() {
            bar.set_length(progress.total());
            bar.set_position(progress.done());
            if progress.done() == progress.total() {
                bar.set_message(last.to_owned());
                bar.force_draw();
            } else {
                bar.set_message(format!("{} s left", bar.eta().as_secs() + 1));
            }
        }
        ControlFlow::Continue(())
    });
    bar.clear();
    result.map_err(|error| {
        let failure = error.into();
        if is_cancelled { failure.into_interrupted() } else { failure }
    })
}
