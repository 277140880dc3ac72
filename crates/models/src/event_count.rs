//! Notifications: none is missed, whoever dies.

use loom::sync::Arc;
use loom::thread;

use crate::context::{Actor, Data, Died, Shared, model};
use crate::raw::event_count::{notify, wait_past};
use crate::raw::{AcquireError, Context};

/// One waits past what it has seen before, another changes data and notifies; the waiter or the notifier dies after so many steps.
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
                            assert!(data.is_half(), "told before it was done");
                        }
                        Err(error) => assert_eq!((error, steps.is_some()), (AcquireError::Fault(Died), true)),
                    }
                })
            })
            .collect();
        data.set_half(true);
        let notifier = Actor::new(&shared, 0, notifier_dies);
        let ended = notify(&notifier, &shared.lock);
        assert!(ended.is_ok() || notifier_dies.is_some());
        let another = Actor::new(&shared, 0, None);
        if another.load(&shared.lock) == Ok(0) {
            // It died before it counted: somebody else does it.
            notify(&another, &shared.lock).expect("it lives");
        }
        waiting.into_iter().for_each(|thread| thread.join().expect("it ends"));
        assert_eq!(another.load(&shared.lock), Ok(1));
    });
}

#[test]
fn one_waits_for_one() {
    run(1, None, None, None);
}

#[test]
fn all_who_wait_are_woken() {
    run(2, None, None, Some(3));
}

#[test]
fn who_notifies_dies_anywhere() {
    // Before it has counted, and before it has woken anybody.
    for step in 0..2 {
        run(1, None, Some(step), Some(3));
    }
    // (Two who wait for nobody would only hand the turn to each other: so here it has counted.)
    run(2, None, Some(1), Some(2));
}

#[test]
fn who_waits_dies_anywhere() {
    for step in 0..4 {
        run(1, Some(step), None, Some(3));
        run(2, Some(step), None, Some(2));
    }
}
