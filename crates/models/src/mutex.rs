//! The mutex: owners exclude each other, the next owner is notified of a death, and no waiter blocks for
//! ever.

use loom::sync::Arc;
use loom::thread;

use crate::context::{Actor, Data, Died, Shared, model};
use crate::raw::mutex::{finish, lock, mark_consistent, mark_damaged, unlock, unlock_slow};
use crate::raw::{AcquireError, Acquired, BlockingMode};

/// Acquires the lock, changes the data, and releases it.
fn round(actor: &Actor, data: &Data) -> Result<(), Died> {
    let acquired = match lock(actor, &actor.shared.lock, actor.id(), BlockingMode::Block) {
        Ok(acquired) => acquired,
        Err(AcquireError::Fault(died)) => return Err(died),
        Err(other) => panic!("{other:?}"),
    };
    if acquired == Acquired::Clean {
        assert!(!data.is_half_changed(), "not notified of a death");
    } else {
        mark_consistent(actor, &actor.shared.lock, actor.id())?;
    }
    data.set_half_changed(true);
    actor.live()?;
    data.set_half_changed(false);
    assert!(unlock(actor, &actor.shared.lock, actor.id())?, "it owned the lock");
    Ok(())
}

/// Runs this many participants, the first of which dies after `dies` steps.
fn run(participants: u32, dies: Option<u32>, preemptions: Option<usize>) {
    model(preemptions, move || {
        let (shared, data) = (Shared::new(), Data::new());
        let threads: Vec<_> = (0..participants)
            .map(|slot| {
                let (shared, data) = (Arc::clone(&shared), Arc::clone(&data));
                let steps = if slot == 0 { dies } else { None };
                thread::spawn(move || {
                    let ended = round(&Actor::new(&shared, slot, steps), &data);
                    assert!(ended.is_ok() || steps.is_some());
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().expect("no assertion failed"));
        // A later participant acquires the lock, too.
        round(&Actor::new(&shared, 2, None), &data).expect("it does not die");
    });
}

#[test]
fn two_participants_exclude_each_other() {
    run(2, None, None);
}

#[test]
fn three_participants_exclude_each_other() {
    run(3, None, Some(3));
}

#[test]
fn one_of_two_dies_at_any_step() {
    for step in 0..12 {
        run(2, Some(step), None);
    }
}

#[test]
fn one_of_three_dies_at_any_step() {
    for step in 0..12 {
        run(3, Some(step), Some(2));
    }
}

#[test]
fn giving_up_wakes_all() {
    for dies in [None, Some(2), Some(3), Some(4)] {
        model(Some(3), move || {
            let shared = Shared::new();
            let owner = Actor::new(&shared, 0, dies);
            let acquired = lock(&owner, &shared.lock, 1, BlockingMode::Block);
            assert_eq!(acquired, Ok(Acquired::Clean));
            let others: Vec<_> = (1..3)
                .map(|slot| {
                    let shared = Arc::clone(&shared);
                    thread::spawn(move || {
                        let actor = Actor::new(&shared, slot, None);
                        match lock(&actor, &shared.lock, actor.id(), BlockingMode::Block) {
                            Err(AcquireError::Done) => {}
                            Ok(Acquired::OwnerDied(1) | Acquired::Damaged) => {
                                unlock(&actor, &shared.lock, actor.id()).expect("it does not die");
                            }
                            other => panic!("{other:?}"),
                        }
                    })
                })
                .collect();
            let _ = finish(&owner, &shared.lock, 1);
            others.into_iter().for_each(|thread| thread.join().expect("no assertion failed"));
        });
    }
}

/// An owner panics within a change: it marks the data and releases the lock, or dies at any step of that.
#[test]
fn an_owner_panics_within_a_change() {
    for dies in [None, Some(2), Some(3), Some(4), Some(5), Some(6)] {
        model(Some(3), move || {
            let (shared, data) = (Shared::new(), Data::new());
            let panics = {
                let (shared, data) = (Arc::clone(&shared), Arc::clone(&data));
                thread::spawn(move || {
                    let actor = Actor::new(&shared, 0, dies);
                    let panic = || -> Result<(), Died> {
                        match lock(&actor, &shared.lock, actor.id(), BlockingMode::Block) {
                            Ok(_) => {}
                            Err(AcquireError::Fault(died)) => return Err(died),
                            Err(other) => panic!("{other:?}"),
                        }
                        data.set_half_changed(true);
                        assert!(mark_damaged(&actor, &shared.lock, actor.id())?, "it owned the lock");
                        assert!(unlock_slow(&actor, &shared.lock, actor.id(), false)?, "it owned the lock");
                        Ok(())
                    };
                    assert!(panic().is_ok() || dies.is_some());
                })
            };
            // `round` fails if it finds the data half changed without being notified.
            round(&Actor::new(&shared, 1, None), &data).expect("it does not die");
            panics.join().expect("no assertion failed");
            round(&Actor::new(&shared, 2, None), &data).expect("it does not die");
        });
    }
}
