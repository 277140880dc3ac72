//! The latest value: what is read is whole, and goes with its number; also when the writer dies anywhere.

use std::cell::Cell;

use loom::sync::Arc;
use loom::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use loom::sync::atomic::{AtomicU32, AtomicU64, fence};
use loom::thread;

use crate::raw::seqlock::{Found, PLACES, Slots, Writable, read, write};
use crate::world::{Died, model};

const N: usize = PLACES as usize;

/// Values of two parts, which are copied one after the other and without any order.
#[derive(Debug)]
struct Memory {
    count: AtomicU64,
    stamps: [AtomicU64; N],
    values: [[AtomicU32; 2]; N],
}

impl Memory {
    fn new() -> Arc<Self> {
        Arc::new(Memory {
            count: AtomicU64::new(0),
            stamps: [(); N].map(|()| AtomicU64::new(0)),
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

    fn count(&self) -> Result<u64, Died> {
        self.live()?;
        Ok(self.memory.count.load(Acquire))
    }

    fn stamp(&self, place: u64) -> Result<u64, Died> {
        self.live()?;
        Ok(self.memory.stamps[place as usize].load(Acquire))
    }

    fn loads_in_order(&self) {
        fence(Acquire);
    }

    fn pause(&self) {
        thread::yield_now();
    }
}

impl Writable for Side {
    fn set_count(&self, count: u64) -> Result<(), Died> {
        self.live()?;
        self.memory.count.store(count, Release);
        Ok(())
    }

    fn set_stamp(&self, place: u64, stamp: u64) -> Result<(), Died> {
        self.live()?;
        self.memory.stamps[place as usize].store(stamp, Release);
        Ok(())
    }

    fn stores_in_order(&self) {
        fence(Release);
    }

    fn step(&self, _: &'static str) {}
}

fn publish(side: &Side, value: u32) -> Result<u64, Died> {
    write(side, |place| {
        for part in &side.memory.values[place as usize] {
            side.live()?;
            part.store(value, Relaxed);
        }
        Ok(())
    })
}

/// What is found: nothing, or a whole value that goes with its number.
fn look(side: &Side) -> u64 {
    let mut value = [0; 2];
    let found = read(side, |place| {
        value = [0, 1].map(|part| side.memory.values[place as usize][part].load(Relaxed));
        Ok(())
    });
    match found.expect("it lives") {
        Found::Nothing => 0,
        Found::Value(number) => {
            assert_eq!(value, [number as u32 * 10; 2], "torn, or another one");
            number
        }
        Found::Torn => panic!("the writer did not write that much"),
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
