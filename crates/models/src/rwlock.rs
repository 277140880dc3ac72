//! The reader-writer lock: nobody is in with a writer, whoever follows a dead writer is told, and nobody sleeps for ever.

use loom::sync::Arc;
use loom::thread;

use crate::context::{Actor, Data, Died, Shared, model};
use crate::raw::mutex::mark_consistent;
use crate::raw::rwlock::{read, read_unlock, write, write_unlock};
use crate::raw::{AcquireError, Acquired, BlockingMode};

fn got(result: Result<Acquired, AcquireError<Died>>) -> Result<Acquired, Died> {
    match result {
        Ok(got) => Ok(got),
        Err(AcquireError::Fault(died)) => Err(died),
        Err(other) => panic!("{other:?}"),
    }
}

fn reads(actor: &Actor, data: &Data) -> Result<(), Died> {
    let shared = &actor.shared;
    let told = got(read(actor, shared.words(), actor.me(), BlockingMode::Block))?;
    let half = data.is_half();
    assert!(told != Acquired::Clean || !half, "nobody said that somebody had died");
    actor.live()?;
    assert_eq!(data.is_half(), half, "a writer was in");
    read_unlock(actor, shared.words(), actor.me())
}

fn writes(actor: &Actor, data: &Data) -> Result<(), Died> {
    let shared = &actor.shared;
    let told = got(write(actor, shared.words(), actor.me(), BlockingMode::Block))?;
    if told == Acquired::Clean {
        assert!(!data.is_half(), "nobody said that somebody had died");
    }
    data.set_half(true);
    actor.live()?;
    data.set_half(false);
    if told != Acquired::Clean {
        mark_consistent(actor, &shared.lock, actor.id())?;
    }
    assert!(write_unlock(actor, shared.words(), actor.me())?, "it was ours");
    Ok(())
}

/// Participants that read (`r`) or write (`w`); the first one dies after so many steps.
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
        threads.into_iter().for_each(|thread| thread.join().expect("it ends"));
        // And whoever comes later gets it, too.
        let last = Actor::new(&shared, 2, None);
        reads(&last, &data).expect("it lives");
        writes(&last, &data).expect("it lives");
        reads(&last, &data).expect("it lives");
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

/// A reader that comes while there is a writer, who is followed by another one: the second waits for the reader.
#[test]
fn a_reader_between_two_writers() {
    model(Some(4), || {
        let (shared, data) = (Shared::new(), Data::new());
        let first = Actor::new(&shared, 1, None);
        let told = write(&first, shared.words(), first.me(), BlockingMode::Block);
        assert_eq!(told, Ok(Acquired::Clean));
        let reader = {
            let (shared, data) = (Arc::clone(&shared), Arc::clone(&data));
            thread::spawn(move || reads(&Actor::new(&shared, 0, None), &data).expect("it lives"))
        };
        write_unlock(&first, shared.words(), first.me()).expect("it lives");
        writes(&Actor::new(&shared, 2, None), &data).expect("it lives");
        reader.join().expect("it ends");
    });
}

#[test]
fn a_reader_dies_anywhere() {
    for step in 0..14 {
        run("rw", Some(step), Some(3));
    }
}

#[test]
fn a_writer_dies_anywhere() {
    for step in 0..16 {
        run("wr", Some(step), Some(3));
        run("ww", Some(step), Some(3));
    }
}

#[test]
fn one_of_three_dies_anywhere() {
    for step in 0..12 {
        run("wrw", Some(step), Some(2));
        run("rrw", Some(step), Some(2));
    }
}

/// A reader's count is taken back twice, as by a copy of its guard: no count wraps around, so that nobody is held up, and another participant's
/// reader stays counted.
#[test]
fn a_reader_leaves_twice() {
    for others in ["w", "r"] {
        model(Some(3), move || {
            let (shared, data) = (Shared::new(), Data::new());
            let twice = {
                let (shared, data) = (Arc::clone(&shared), Arc::clone(&data));
                thread::spawn(move || {
                    let actor = Actor::new(&shared, 0, None);
                    reads(&actor, &data).expect("it lives");
                    read_unlock(&actor, shared.words(), actor.me()).expect("it lives");
                })
            };
            let other = Actor::new(&shared, 1, None);
            if others == "r" {
                reads(&other, &data).expect("it lives");
            } else {
                writes(&other, &data).expect("it lives");
            }
            twice.join().expect("it ends");
            let last = Actor::new(&shared, 2, None);
            writes(&last, &data).expect("it lives");
            reads(&Actor::new(&shared, 0, None), &data).expect("it lives");
        });
    }
}
