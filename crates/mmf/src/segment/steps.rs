//! Steps at which tests stop a process for good, to be killed there.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// How the one who waits for it is told.
type Tell = fn(&str);

static ARMED: AtomicBool = AtomicBool::new(false);
static WHERE: OnceLock<(String, Tell, Then)> = OnceLock::new();

/// What a process does at the step, when it has told.
#[derive(Clone, Copy, PartialEq)]
enum Then {
    Stay,
    GoOn,
}

/// Where other processes may find this one dead. Costs a load, off the fast paths.
#[inline]
pub(crate) fn step(name: &'static str) {
    if ARMED.load(Ordering::Relaxed) {
        stop(name);
    }
}

#[cold]
fn stop(name: &str) {
    if let Some((wanted, tell, then)) = WHERE.get() {
        if wanted == name {
            tell(name);
            if *then == Then::GoOn {
                return;
            }
            loop {
                std::thread::park();
            }
        }
    }
}

/// For tests: from now on whoever comes to the step of this name tells, and stays there for good. Once in the life of a process.
pub fn stop_at(name: &str, tell: fn(&str)) {
    arm(name, tell, Then::Stay);
}

/// For tests: the same without staying, to count how often the step is reached.
pub fn notice_at(name: &str, tell: fn(&str)) {
    arm(name, tell, Then::GoOn);
}

fn arm(name: &str, tell: Tell, then: Then) {
    if WHERE.set((name.to_owned(), tell, then)).is_ok() {
        ARMED.store(true, Ordering::Relaxed);
    }
}
