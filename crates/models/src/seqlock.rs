//! The latest value: each value that is read is whole and belongs to its number, also if the writer dies at
//! any step.

use std::cell::Cell;

use loom::sync::Arc;
use loom::sync::atomic::Ordering::{self, Relaxed};
use loom::sync::atomic::{AtomicU32, AtomicU64, fence};
use loom::thread;

use crate::context::{Died, model};
use crate::raw::seqlock::{ReadOutcome, SLOTS, Slots, WritableSlots, read, write};

const N: usize = SLOTS as usize;

/// The slots, with values of two parts that are copied one after the other and without any ordering.
#[derive(Debug)]
struct Memory {
    count: AtomicU64,
    sequences: [AtomicU64; N],
    values: [[AtomicU32; 2]; N],
}

impl Memory {
    fn new() -> Arc<Self> {
        Arc::new(Memory {
            count: AtomicU64::new(0),
            sequences: [(); N].map(|()| AtomicU64::new(0)),
            values: [(); N].map(|()| [AtomicU32::new(0), AtomicU32::new(0)]),
        })
    }
}

/// The writer or a reader.
struct Side {
    memory: Arc<Memory>,
    steps: Cell<Option<u32>>,
}

impl Side {
    fn live(&self) -> Result<(), Died> {
        match self.steps.get() {
            None => Ok(()),
            Some(0) => Err(Died),
            Some(left) => {
                self.steps.set(Some(left - 1));
                Ok(())
            }
        }
    }
}

impl Slots for Side {
    type Fault = Died;

    fn load_count(&self, order: Ordering) -> Result<u64, Died> {
        self.live()?;
        Ok(self.memory.count.load(order))
    }

    fn load_sequence(&self, slot: u64, order: Ordering) -> Result<u64, Died> {
        self.live()?;
        Ok(self.memory.sequences[slot as usize].load(order))
    }

    fn fence(&self, order: Ordering) {
        fence(order);
    }

    fn pause(&self) {
        thread::yield_now();
    }
}

impl WritableSlots for Side {
    fn store_count(&self, count: u64, order: Ordering) -> Result<(), Died> {
        self.live()?;
        self.memory.count.store(count, order);
        Ok(())
    }

    fn store_sequence(&self, slot: u64, sequence: u64, order: Ordering) -> Result<(), Died> {
        self.live()?;
        self.memory.sequences[slot as usize].store(sequence, order);
        Ok(())
    }

    fn step(&self, _: &'static str) {}
}

fn publish(side: &Side, value: u32) -> Result<u64, Died> {
    write(side, |slot| {
        for part in &side.memory.values[slot as usize] {
            side.live()?;
            part.store(value, Relaxed);
        }
        Ok(())
    })
}

/// Reads a value, checks that it is whole and belongs to its number, and returns the number, or 0 if there is
/// no value.
fn check_read(side: &Side) -> u64 {
    let mut value = [0; 2];
    let outcome = read(side, |slot| {
        value = [0, 1].map(|part| side.memory.values[slot as usize][part].load(Relaxed));
        Ok(())
    });
    match outcome.expect("it does not die") {
        ReadOutcome::Empty => 0,
        ReadOutcome::Value(number) => {
            assert_eq!(value, [number as u32 * 10; 2], "a torn value, or another one");
            number
        }
        ReadOutcome::Torn => panic!("the writer did not publish that many values"),
    }
}

fn run(values: u32, dies: Option<u32>, preemptions: Option<usize>) {
    model(preemptions, move || {
        let memory = Memory::new();
        // With a value from the start, one preemption within a copy is enough for a torn one.
        let first = Side { memory: Arc::clone(&memory), steps: Cell::new(None) };
        assert_eq!(publish(&first, 10), Ok(1));
        let writer = {
            let side = Side { memory: Arc::clone(&memory), steps: Cell::new(dies) };
            thread::spawn(move || {
                let mut whole = 1;
                for value in 2..=values {
                    match publish(&side, value * 10) {
                        Ok(number) => whole = number,
                        Err(Died) => break,
                    }
                }
                whole
            })
        };
        let side = Side { memory: Arc::clone(&memory), steps: Cell::new(None) };
        let first = check_read(&side);
        assert!(check_read(&side) >= first, "older than the value before it");
        let whole = writer.join().expect("no assertion failed");
        assert_eq!(check_read(&side), whole, "the last whole value is readable");
        // The next writer continues from it.
        assert_eq!(publish(&side, (whole as u32 + 1) * 10), Ok(whole + 1));
        assert_eq!(check_read(&side), whole + 1);
    });
}

#[test]
fn values_are_whole() {
    run(3, None, Some(3));
    run(5, None, Some(2));
}

#[test]
fn the_writer_dies_at_any_step() {
    for step in 0..22 {
        run(4, Some(step), Some(2));
    }
}
