//! What locks, latest values and waking cost, beside what they cannot beat and beside others' (Linux, Windows).
//!
//! One process alone is measured in `alone`, two in `together`; `peers` are the others' locks and events.

mod alone;
mod peers;
mod together;

use crate::plot::{Bar, plot};

pub use together::other_side;

/// A ratio, and what it should be at most.
struct Aim {
    what: String,
    times: f64,
    most: Option<f64>,
}

impl Aim {
    fn new(what: impl Into<String>, times: f64, most: Option<f64>) -> Self {
        Aim { what: what.into(), times, most }
    }
}

/// All of it; the plot goes into this file.
///
/// # Errors
///
/// What the library says.
///
/// # Panics
///
/// If the system refuses what it must not refuse.
pub fn compare(svg: Option<&str>) -> Result<(), Box<dyn std::error::Error>> {
    let mut aims = Vec::new();
    alone::locks(&mut aims)?;
    alone::latest(&mut aims)?;
    together::compare(&mut aims)?;
    println!("\n{:<62} {:>7} {:>6}", "", "times", "aim");
    for aim in &aims {
        let most = aim.most.map_or(String::new(), |most| format!("{most:.1}"));
        println!("{:<62} {:>7.2} {most:>6}", aim.what, aim.times);
    }
    if let Some(path) = svg {
        let bars: Vec<_> =
            aims.iter().map(|aim| Bar { label: &aim.what, value: aim.times, aim: aim.most }).collect();
        std::fs::write(path, plot("times the cost of the other side (1.0: the same)", &bars))?;
    }
    Ok(())
}

fn name(tag: &str) -> String {
    format!("mmf-bench-locks-{tag}-{}", std::process::id())
}
