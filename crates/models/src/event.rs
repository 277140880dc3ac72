//! Events: no wake-up is lost.

use loom::sync::Arc;
use loom::thread;

use crate::context::{Actor, Shared, model};
use crate::raw::BlockingMode;
use crate::raw::event::{set, take, wait};

#[test]
fn one_waits_for_one() {
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
        set(&setter, &shared.lock, false).expect("it lives");
        waiter.join().expect("it ends");
        assert_eq!(take(&setter, &shared.lock, true), Ok(false), "it has been taken");
    });
}

#[test]
fn all_wait_for_a_manual_one() {
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
        set(&Actor::new(&shared, 0, None), &shared.lock, true).expect("it lives");
        waiters.into_iter().for_each(|thread| thread.join().expect("it ends"));
    });
}

#[test]
fn the_setter_dies_after_setting() {
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
            waiter.join().expect("it ends");
        });
    }
}
