//! Paired measurement: the sides take turns.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// The approximate duration of one round of one side.
const ROUND: Duration = Duration::from_millis(3);
/// The number of rounds of each side.
const ROUNDS: usize = 40;

/// Returns the best time per call of each side in nanoseconds.
pub fn measure<const N: usize>(mut sides: [&mut dyn FnMut(); N]) -> [f64; N] {
    let mut calls = [1_u32; N];
    for (side, calls) in sides.iter_mut().zip(&mut calls) {
        loop {
            let time = time(*side, *calls);
            if time >= ROUND || *calls > 1 << 28 {
                break;
            }
            *calls *= 2;
        }
    }
    let mut best = [f64::INFINITY; N];
    for _ in 0..ROUNDS {
        for index in 0..N {
            let per_call = time(sides[index], calls[index]).as_secs_f64() * 1e9 / f64::from(calls[index]);
            best[index] = best[index].min(per_call);
        }
    }
    best
}

fn time(side: &mut dyn FnMut(), calls: u32) -> Duration {
    let start = Instant::now();
    for _ in 0..calls {
        black_box(&mut *side)();
    }
    start.elapsed()
}
