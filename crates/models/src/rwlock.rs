//! The reader-writer lock: a writer excludes all other participants, the owners after a dead writer are
//! notified, and no waiter blocks for ever.

use loom::sync::Arc;
use loom::thread;

use crate::context::{Actor, Data, Died, Shared, model};
use crate::raw::mutex::{mark_consistent, mark_damaged};
use crate::raw::rwlock::{read, read_unlock, write, write_unlock};
use crate::raw::{AcquireError, Acquired, BlockingMode};

fn live(result: Result<Acquired, AcquireError<Died>>) -> Result<Acquired, Died> {
    match result {
        Ok(acquired) => Ok(acquired),
        Err(AcquireError::Fault(died)) => Err(died),
        Err(other) => panic!("{other:?}"),
    }
}

fn reads(actor: &Actor, data: &Data) -> Result<(), Died> {
    let shared = &actor.shared;
    let acquired = live(read(actor, shared.words(), actor.me(), BlockingMode::Block))?;
    let half = data.is_half_changed();
    assert!(acquired != Acquired::Clean || !half, "not notified of a death");
    actor.live()?;
    assert_eq!(data.is_half_changed(), half, "a writer was active");
    read_unlock(actor, shared.words(), actor.me())
}

fn writes(actor: &Actor, data: &Data) -> Result<(), Died> {
    let shared = &actor.shared;
    let acquired = live(write(actor, shared.words(), actor.me(), BlockingMode::Block))?;
    if acquired == Acquired::Clean {
        assert!(!data.is_half_changed(), "not notified of a death");
    }
    data.set_half_changed(true);
    actor.live()?;
    data.set_half_changed(false);
    if acquired != Acquired::Clean {
        mark_consistent(actor, &shared.lock, actor.id())?;
    }
    assert!(write_unlock(actor, shared.words(), actor.me())?, "it owned the lock");
    Ok(())
}

/// Runs participants that read (`r`) or write (`w`), the first of which dies after `dies` steps.
fn run(roles: &'static str, dies: Option<u32>, preemptions: Option<usize>) {
    model(preemptions, move || {
        let (shared, data) = (Shared::new(), Data::new());
        let threads: Vec<_> = roles
            .chars()
            .zip(0..)
            .map(|(role, slot)| {
                let (shared, data) = (Arc::clone(&shared), Arc::clone(&data));
                let steps = if slot == 0 { dies } else { None };
                thread::spawn(move || {
                    let actor = Actor::new(&shared, slot, steps);
                    let ended = if role == 'r' { reads(&actor, &data) } else { writes(&actor, &data) };
                    assert!(ended.is_ok() || steps.is_some());
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().expect("no assertion failed"));
        // A later participant acquires the lock, too.
        let last = Actor::new(&shared, 2, None);
        reads(&last, &data).expect("it does not die");
        writes(&last, &data).expect("it does not die");
        reads(&last, &data).expect("it does not die");
    });
}

#[test]
fn a_reader_and_a_writer() {
    run("rw", None, None);
}

#[test]
fn two_writers() {
    run("ww", None, Some(5));
}

#[test]
fn two_readers_and_a_writer() {
    run("rrw", None, Some(3));
}

#[test]
fn a_reader_and_two_writers() {
    run("rww", None, Some(3));
}

/// A reader arrives while there is a writer, and a second writer follows: the second writer waits for the
/// reader.
#[test]
fn a_reader_between_two_writers() {
    model(Some(4), || {
        let (shared, data) = (Shared::new(), Data::new());
        let first = Actor::new(&shared, 1, None);
        let acquired = write(&first, shared.words(), first.me(), BlockingMode::Block);
        assert_eq!(acquired, Ok(Acquired::Clean));
        let reader = {
            let (shared, data) = (Arc::clone(&shared), Arc::clone(&data));
            thread::spawn(move || reads(&Actor::new(&shared, 0, None), &data).expect("it does not die"))
        };
        write_unlock(&first, shared.words(), first.me()).expect("it does not die");
        writes(&Actor::new(&shared, 2, None), &data).expect("it does not die");
        reader.join().expect("no assertion failed");
    });
}

#[test]
fn a_reader_dies_at_any_step() {
    for step in 0..14 {
        run("rw", Some(step), Some(3));
    }
}

#[test]
fn a_writer_dies_at_any_step() {
    for step in 0..16 {
        run("wr", Some(step), Some(3));
        run("ww", Some(step), Some(3));
    }
}

#[test]
fn one_of_three_dies_at_any_step() {
    for step in 0..12 {
        run("wrw", Some(step), Some(2));
        run("rrw", Some(step), Some(2));
    }
}

/// A reader releases twice, as through a copy of its guard: no count wraps around, so no writer is delayed,
/// and the reader of another participant stays counted.
#[test]
fn a_reader_releases_twice() {
    for others in ["w", "r"] {
        model(Some(3), move || {
            let (shared, data) = (Shared::new(), Data::new());
            let twice = {
                let (shared, data) = (Arc::clone(&shared), Arc::clone(&data));
                thread::spawn(move || {
                    let actor = Actor::new(&shared, 0, None);
                    reads(&actor, &data).expect("it does not die");
                    read_unlock(&actor, shared.words(), actor.me()).expect("it does not die");
                })
            };
            let other = Actor::new(&shared, 1, None);
            if others == "r" {
                reads(&other, &data).expect("it does not die");
            } else {
                writes(&other, &data).expect("it does not die");
            }
            twice.join().expect("no assertion failed");
            let last = Actor::new(&shared, 2, None);
            writes(&last, &data).expect("it does not die");
            reads(&Actor::new(&shared, 0, None), &data).expect("it does not die");
        });
    }
}

/// A writer panics within a change: it marks the data and releases the lock, or dies at any step of that.
#[test]
fn a_writer_panics_within_a_change() {
    for dies in [None, Some(3), Some(5), Some(7), Some(9)] {
        model(Some(2), move || {
            let (shared, data) = (Shared::new(), Data::new());
            let panics = {
                let (shared, data) = (Arc::clone(&shared), Arc::clone(&data));
                thread::spawn(move || {
                    let actor = Actor::new(&shared, 0, dies);
                    let panic = || -> Result<(), Died> {
                        live(write(&actor, shared.words(), actor.me(), BlockingMode::Block))?;
                        data.set_half_changed(true);
                        assert!(mark_damaged(&actor, &shared.lock, actor.id())?, "it owned the lock");
                        assert!(write_unlock(&actor, shared.words(), actor.me())?, "it owned the lock");
                        Ok(())
                    };
                    assert!(panic().is_ok() || dies.is_some());
                })
            };
            // `reads` fails if it finds the data half changed without being notified.
            reads(&Actor::new(&shared, 1, None), &data).expect("it does not die");
            panics.join().expect("no assertion failed");
            writes(&Actor::new(&shared, 2, None), &data).expect("it does not die");
        });
    }
}
