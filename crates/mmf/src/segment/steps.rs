//! Steps at which tests stop a process for good, to be killed there.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// How the one who waits for it is told.
type Tell = fn(&str);

static ARMED: AtomicBool = AtomicBool::new(false);
static WHERE: OnceLock<(String, Tell)> = OnceLock::new();

/// Where other processes may find this one dead. Costs a load, off the fast paths.
#[inline]
pub(crate) fn step(name: &'static str) {
    if ARMED.load(Ordering::Relaxed) {
        stop(name);
    }
}

#[cold]
fn stop(name: &str) {
    if let Some((wanted, tell)) = WHERE.get() {
        if wanted == name {
            tell(name);
            loop {
                std::thread::park();
            }
        }
    }
}

/// For tests: from now on whoever comes to the step of this name tells, and stays there for good. Once in the life of a process.
pub fn stop_at(name: &str, tell: fn(&str)) {
    if WHERE.set((name.to_owned(), tell)).is_ok() {
        ARMED.store(true, Ordering::Relaxed);
    }
}
