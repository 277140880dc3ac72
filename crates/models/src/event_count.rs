//! The event count: no notification is missed, whichever participant dies.

use loom::sync::Arc;
use loom::thread;

use crate::context::{Actor, Data, Died, Shared, model};
use crate::raw::event_count::{notify, wait_past};
use crate::raw::{AcquireError, Context};

/// Runs participants that wait while the count is 0, and one that changes the data and notifies them. The
/// first waiter or the notifier dies after the given number of steps.
fn run(waiters: u32, waiter_dies: Option<u32>, notifier_dies: Option<u32>, preemptions: Option<usize>) {
    model(preemptions, move || {
        let (shared, data) = (Shared::new(), Data::new());
        let waiting: Vec<_> = (1..=waiters)
            .map(|slot| {
                let (shared, data) = (Arc::clone(&shared), Arc::clone(&data));
                let steps = if slot == 1 { waiter_dies } else { None };
                thread::spawn(move || {
                    let actor = Actor::new(&shared, slot, steps);
                    match wait_past(&actor, &shared.lock, 0) {
                        Ok(count) => {
                            assert_eq!(count, 1);
                            assert!(data.is_half_changed(), "notified before the change");
                        }
                        Err(error) => assert_eq!((error, steps.is_some()), (AcquireError::Fault(Died), true)),
                    }
                })
            })
            .collect();
        data.set_half_changed(true);
        let notifier = Actor::new(&shared, 0, notifier_dies);
        let ended = notify(&notifier, &shared.lock);
        assert!(ended.is_ok() || notifier_dies.is_some());
        let another = Actor::new(&shared, 0, None);
        if another.load(&shared.lock) == Ok(0) {
            // It died before it incremented the count: another participant does.
            notify(&another, &shared.lock).expect("it does not die");
        }
        waiting.into_iter().for_each(|thread| thread.join().expect("no assertion failed"));
        assert_eq!(another.load(&shared.lock), Ok(1));
    });
}

#[test]
fn a_notification_wakes_a_waiter() {
    run(1, None, None, None);
}

#[test]
fn a_notification_wakes_all_waiters() {
    run(2, None, None, Some(3));
}

#[test]
fn the_notifier_dies_at_any_step() {
    // Before it increments the count, and before it wakes.
    for step in 0..2 {
        run(1, None, Some(step), Some(3));
    }
    // With two waiters only after it has incremented the count: otherwise they would only yield to each
    // other.
    run(2, None, Some(1), Some(2));
}

#[test]
fn a_waiter_dies_at_any_step() {
    for step in 0..4 {
        run(1, Some(step), None, Some(3));
        run(2, Some(step), None, Some(2));
    }
}
