//! The once lock: one participant initialises the value, also after a death, and the others see the whole
//! value.

use loom::sync::Arc;
use loom::sync::atomic::AtomicU32;
use loom::sync::atomic::Ordering::Relaxed;
use loom::thread;

use crate::context::{Actor, Data, Died, Shared, model};
use crate::raw::AcquireError;
use crate::raw::once_lock::{begin, cancel, finish, is_done};

/// Imitates the steps of `OnceLock::get_or_init`, with half-changed data for a value that is partly written.
/// Returns whether the caller has initialised the value.
fn get_or_init(actor: &Actor, value: &Data, fails: bool) -> Result<bool, Died> {
    let word = &actor.shared.lock;
    let is_initialiser = !is_done(actor, word)?
        && match begin(actor, word, actor.id()) {
            Ok(is_initialiser) => is_initialiser,
            Err(AcquireError::Fault(died)) => return Err(died),
            Err(other) => panic!("{other:?}"),
        };
    if !is_initialiser {
        assert!(!value.is_half_changed(), "initialised, and the value is not whole");
        return Ok(false);
    }
    // The value that a dead participant left unfinished is overwritten.
    value.set_half_changed(true);
    actor.live()?;
    if fails {
        cancel(actor, word, actor.id())?;
        return Ok(false);
    }
    value.set_half_changed(false);
    assert!(finish(actor, word, actor.id())?, "it owned the lock");
    Ok(true)
}

/// Runs this many participants; the first dies after `dies` steps, or its initialisation fails.
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
                        Ok(initialised) => drop(count.fetch_add(u32::from(initialised), Relaxed)),
                        Err(Died) => assert!(steps.is_some()),
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().expect("no assertion failed"));
        // A later participant finds the value, or initialises it.
        let last = get_or_init(&Actor::new(&shared, 2, None), &value, false).expect("it does not die");
        let count = count.load(Relaxed) + u32::from(last);
        // Only a participant that died after its last step is not counted.
        assert!(count == 1 || (count == 0 && dies.is_some()), "initialised {count} times");
        assert_eq!(is_done(&Actor::new(&shared, 2, None), &shared.lock), Ok(true));
    });
}

#[test]
fn one_of_two_initialises_the_value() {
    run(2, None, false, None);
}

#[test]
fn one_of_three_initialises_the_value() {
    run(3, None, false, Some(2));
}

#[test]
fn the_next_participant_initialises_after_a_failure() {
    run(2, None, true, Some(4));
}

#[test]
fn the_initialiser_dies_at_any_step() {
    for step in 0..8 {
        run(2, Some(step), false, Some(3));
    }
}
