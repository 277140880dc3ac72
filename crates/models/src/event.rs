//! Events: no wake-up is lost, also if the participant that sets one dies.

use loom::sync::Arc;
use loom::thread;

use crate::context::{Actor, Shared, model};
use crate::raw::BlockingMode;
use crate::raw::event::{set, take, wait};

#[test]
fn a_setting_wakes_a_waiter() {
    model(None, || {
        let shared = Shared::new();
        let waiter = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let actor = Actor::new(&shared, 1, None);
                assert_eq!(wait(&actor, &shared.lock, true, BlockingMode::Block), Ok(()));
            })
        };
        let setter = Actor::new(&shared, 0, None);
        set(&setter, &shared.lock, false).expect("it does not die");
        waiter.join().expect("no assertion failed");
        assert_eq!(take(&setter, &shared.lock, true), Ok(false), "the waiter has reset it");
    });
}

#[test]
fn a_manual_reset_event_wakes_all() {
    model(Some(3), || {
        let shared = Shared::new();
        let waiters: Vec<_> = (1..3)
            .map(|slot| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    let actor = Actor::new(&shared, slot, None);
                    assert_eq!(wait(&actor, &shared.lock, false, BlockingMode::Block), Ok(()));
                })
            })
            .collect();
        set(&Actor::new(&shared, 0, None), &shared.lock, true).expect("it does not die");
        waiters.into_iter().for_each(|thread| thread.join().expect("no assertion failed"));
    });
}

#[test]
fn the_setter_dies_before_it_wakes() {
    for step in 1..4 {
        model(Some(3), move || {
            let shared = Shared::new();
            let waiter = {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    let actor = Actor::new(&shared, 1, None);
                    assert_eq!(wait(&actor, &shared.lock, true, BlockingMode::Block), Ok(()));
                })
            };
            let _ = set(&Actor::new(&shared, 0, Some(step)), &shared.lock, false);
            waiter.join().expect("no assertion failed");
        });
    }
}
