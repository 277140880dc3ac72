//! What is initialised once: by one, whoever dies; and who finds it done finds the value.

use loom::sync::Arc;
use loom::sync::atomic::AtomicU32;
use loom::sync::atomic::Ordering::Relaxed;
use loom::thread;

use crate::context::{Actor, Data, Died, Shared, model};
use crate::raw::AcquireError;
use crate::raw::once_lock::{begin, cancel, finish, is_done};

/// What `get_or_init` does; `half` stands for a value that is partly written. Says whether this one has initialised it.
fn get_or_init(actor: &Actor, value: &Data, fails: bool) -> Result<bool, Died> {
    let word = &actor.shared.lock;
    let mine = !is_done(actor, word)?
        && match begin(actor, word, actor.id()) {
            Ok(mine) => mine,
            Err(AcquireError::Fault(died)) => return Err(died),
            Err(other) => panic!("{other:?}"),
        };
    if !mine {
        assert!(!value.is_half(), "it is done, and the value is not");
        return Ok(false);
    }
    // (Whatever a dead one has left is overwritten.)
    value.set_half(true);
    actor.live()?;
    if fails {
        cancel(actor, word, actor.id())?;
        return Ok(false);
    }
    value.set_half(false);
    assert!(finish(actor, word, actor.id())?, "it was ours");
    Ok(true)
}

/// So many participants; the first one dies after so many steps, or its initialisation fails.
fn run(participants: u32, dies: Option<u32>, fails: bool, preemptions: Option<usize>) {
    model(preemptions, move || {
        let (shared, value) = (Shared::new(), Data::new());
        let count = Arc::new(AtomicU32::new(0));
        let threads: Vec<_> = (0..participants)
            .map(|slot| {
                let (shared, value, count) = (Arc::clone(&shared), Arc::clone(&value), Arc::clone(&count));
                let steps = if slot == 0 { dies } else { None };
                thread::spawn(move || {
                    let actor = Actor::new(&shared, slot, steps);
                    match get_or_init(&actor, &value, fails && slot == 0) {
                        Ok(mine) => drop(count.fetch_add(u32::from(mine), Relaxed)),
                        Err(Died) => assert!(steps.is_some()),
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().expect("it ends"));
        // And whoever comes later finds it, or does it.
        let last = get_or_init(&Actor::new(&shared, 2, None), &value, false).expect("it lives");
        let count = count.load(Relaxed) + u32::from(last);
        // Only one who died after the last step, and before he could say so, is not counted.
        assert!(count == 1 || (count == 0 && dies.is_some()), "initialised {count} times");
        assert_eq!(is_done(&Actor::new(&shared, 2, None), &shared.lock), Ok(true));
    });
}

#[test]
fn one_of_two_initialises() {
    run(2, None, false, None);
}

#[test]
fn one_of_three_initialises() {
    run(3, None, false, Some(2));
}

#[test]
fn the_next_one_tries_after_a_failure() {
    run(2, None, true, Some(4));
}

#[test]
fn who_initialises_dies_anywhere() {
    for step in 0..8 {
        run(2, Some(step), false, Some(3));
    }
}
