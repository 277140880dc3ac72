//! What the tests of mmf share: second processes, unique names, and queries of what this process holds.
//!
//! A test file is a program of its own (`harness = false`) that lists its tests and its *roles*. A test
//! starts the same program again to play a role, exchanges lines with it, and can kill it. Everything has a
//! watchdog: a test that waits for something that never happens fails and prints the output of the other
//! process.
//!
//! ```no_run
//! fn test_greets() {
//!     let mut peer = testkit::Peer::start("greeter", &["world"]);
//!     assert_eq!(peer.hear(), "hello world");
//!     peer.finish();
//! }
//!
//! fn role_greeter(role: &mut testkit::Role) {
//!     role.say(format!("hello {}", role.argument(0)));
//! }
//!
//! fn main() {
//!     testkit::run(&[("greets", test_greets)], &[("greeter", role_greeter)]);
//! }
//! ```

mod peer;
mod system;

pub use peer::{Ending, Peer, Role, command_for, command_for_role};
pub use system::{
    Protection, inaccessible, inaccessible_page, mapped_views, open_handles, page_size, protect,
};

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use libtest_mimic::{Arguments, Completion, Failed, Trial};

/// How long anything may take before its test fails: far longer than needed, even on a slow or emulated
/// machine.
pub const WATCHDOG: Duration = Duration::from_secs(120);

/// A test and its name.
pub type Test = (&'static str, fn());
/// A role and its name.
pub type Played = (&'static str, fn(&mut Role));

/// Runs a test program: plays a role if the program was started for one, and runs the tests otherwise. The
/// main function of the program calls it.
pub fn run(tests: &[Test], roles: &[Played]) {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some(peer::ROLE_FLAG) {
        let name = arguments.next().unwrap_or_default();
        let Some((_, play)) = roles.iter().find(|(role, _)| *role == name) else {
            eprintln!("unknown role {name:?}");
            std::process::exit(2);
        };
        play(&mut Role::new(arguments.collect()));
        std::process::exit(0);
    }
    // A skipped test ends by a panic with a payload of its own type, which the hook does not report.
    let former = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !info.payload().is::<Skipped>() {
            former(info);
        }
    }));
    let trials =
        tests.iter().map(|&(name, test)| Trial::ignorable_test(name, move || run_one(test))).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// Registers the tests and roles of a module: functions of this name, in `TESTS` and `ROLES` as
/// `module::function`.
///
/// ```
/// # mod sharing {
/// fn two_processes_share() {}
/// fn role_write(role: &mut testkit::Role) {}
///
/// testkit::registry! {
///     sharing
///     tests {
///         two_processes_share
///     }
///     roles {
///         role_write
///     }
/// }
/// # }
/// ```
#[macro_export]
macro_rules! registry {
    ($module:ident tests { $($test:ident)* } roles { $($role:ident)* }) => {
        pub(crate) const TESTS: &[$crate::Test] =
            &[$((concat!(stringify!($module), "::", stringify!($test)), $test)),*];
        pub(crate) const ROLES: &[$crate::Played] =
            &[$((concat!(stringify!($module), "::", stringify!($role)), $role)),*];
    };
}

struct Skipped(String);

thread_local! {
    /// Whether the panicking test was skipped, so that the output of its peers is not printed.
    static SKIPPING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is unwinding because its test has failed.
fn failing() -> bool {
    std::thread::panicking() && !SKIPPING.get()
}

fn run_one(test: fn()) -> Result<Completion, Failed> {
    match panic::catch_unwind(AssertUnwindSafe(test)) {
        Ok(()) => Ok(Completion::Completed),
        Err(payload) => match payload.downcast::<Skipped>() {
            Ok(skipped) => {
                SKIPPING.set(false);
                Ok(Completion::ignored_with(skipped.0))
            }
            Err(payload) => {
                let text = payload.downcast_ref::<String>().cloned();
                let text = text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                Err(text.unwrap_or_else(|| "the test panicked".to_owned()).into())
            }
        },
    }
}

/// Ends the test as skipped and reports the reason.
pub fn skip(reason: impl Into<String>) -> ! {
    SKIPPING.set(true);
    panic::panic_any(Skipped(reason.into()))
}

/// Returns a name that no other test, run or program uses.
#[must_use]
pub fn unique_name(tag: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos());
    format!("mmf-test-{tag}-{:x}-{:x}-{time:x}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Waits until `condition` holds.
///
/// # Panics
///
/// Panics if it does not within [`WATCHDOG`].
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + WATCHDOG;
    while !condition() {
        assert!(Instant::now() < deadline, "timed out waiting for: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Asserts that two byte strings are equal. Reports only the first difference.
///
/// # Panics
///
/// Panics if they are not.
#[track_caller]
pub fn assert_bytes(left: &[u8], right: &[u8], what: &str) {
    assert_eq!(left.len(), right.len(), "lengths: {what}");
    if let Some(at) = left.iter().zip(right).position(|(left, right)| left != right) {
        let end = left.len().min(at + 16);
        panic!("{what}: from byte {at}: {:02x?} instead of {:02x?}", &left[at..end], &right[at..end]);
    }
}

/// Whether the program runs under Wine, which does not enforce all the rules of Windows.
#[must_use]
pub fn under_wine() -> bool {
    system::under_wine()
}
