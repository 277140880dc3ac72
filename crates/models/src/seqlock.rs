//! The latest value: what is read is whole, and goes with its number; also when the writer dies anywhere.

use std::cell::Cell;

use loom::sync::Arc;
use loom::sync::atomic::Ordering::{self, Relaxed};
use loom::sync::atomic::{AtomicU32, AtomicU64, fence};
use loom::thread;

use crate::context::{Died, model};
use crate::raw::seqlock::{ReadOutcome, SLOTS, Slots, WritableSlots, read, write};

const N: usize = SLOTS as usize;

/// Values of two parts, which are copied one after the other and without any order.
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

/// What is found: nothing, or a whole value that goes with its number.
fn look(side: &Side) -> u64 {
    let mut value = [0; 2];
    let found = read(side, |slot| {
        value = [0, 1].map(|part| side.memory.values[slot as usize][part].load(Relaxed));
        Ok(())
    });
    match found.expect("it lives") {
        ReadOutcome::Empty => 0,
        ReadOutcome::Value(number) => {
            assert_eq!(value, [number as u32 * 10; 2], "torn, or another one");
            number
        }
        ReadOutcome::Torn => panic!("the writer did not write that much"),
    }
}

fn run(values: u32, dies: Option<u32>, preemptions: Option<usize>) {
    model(preemptions, move || {
        let memory = Memory::new();
        // Something to read from the start: so one switch of threads in the middle of a copy is enough for a torn one.
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
        let first = look(&side);
        assert!(look(&side) >= first, "older than what was there before");
        let whole = writer.join().expect("it ends");
        assert_eq!(look(&side), whole, "the last whole value is there");
        // The next writer goes on from it.
        assert_eq!(publish(&side, (whole as u32 + 1) * 10), Ok(whole + 1));
        assert_eq!(look(&side), whole + 1);
    });
}

#[test]
fn what_is_read_is_whole() {
    run(3, None, Some(3));
    run(5, None, Some(2));
}

#[test]
fn the_writer_dies_anywhere() {
    for step in 0..22 {
        run(4, Some(step), Some(2));
    }
}
