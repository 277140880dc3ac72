//! Steps at which a test stops a process in order to kill it there, with the feature `__test-hooks`, which
//! only tests enable. Without it a step does nothing.

#[cfg(feature = "__test-hooks")]
pub(crate) use hooks::step;
#[cfg(feature = "__test-hooks")]
pub use hooks::{report_at, stop_at};

/// Marks a step at which other processes may find this one dead.
#[cfg(not(feature = "__test-hooks"))]
#[allow(clippy::inline_always, reason = "nothing of it is to be left, not even the name")]
#[inline(always)]
pub(crate) fn step(_name: &'static str) {}

#[cfg(feature = "__test-hooks")]
mod hooks {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicBool, Ordering};

    static ARMED: AtomicBool = AtomicBool::new(false);
    static WATCHED: OnceLock<Watched> = OnceLock::new();

    struct Watched {
        step: String,
        report: fn(&str),
        stop: bool,
    }

    /// Marks a step at which other processes may find this one dead.
    #[inline]
    pub(crate) fn step(name: &'static str) {
        if ARMED.load(Ordering::Relaxed) {
            reached(name);
        }
    }

    #[cold]
    fn reached(name: &str) {
        if let Some(watched) = WATCHED.get().filter(|watched| watched.step == name) {
            (watched.report)(name);
            if watched.stop {
                loop {
                    std::thread::park();
                }
            }
        }
    }

    /// Calls `report` in every thread of this process that reaches the step of this name, and stops the
    /// thread there. Only the first call of this or of [`report_at`] in a process has an effect.
    pub fn stop_at(name: &str, report: fn(&str)) {
        watch(Watched { step: name.to_owned(), report, stop: true });
    }

    /// Calls `report` whenever the step of this name is reached.
    pub fn report_at(name: &str, report: fn(&str)) {
        watch(Watched { step: name.to_owned(), report, stop: false });
    }

    fn watch(watched: Watched) {
        if WATCHED.set(watched).is_ok() {
            ARMED.store(true, Ordering::Relaxed);
        }
    }
}
