//! The cost of locks, latest values and wake-ups, compared with lower bounds and with other implementations
//! (Linux, Windows).
//!
//! `alone` measures one process, `together` two; `peers` are the other implementations.

mod alone;
mod peers;
mod together;

use crate::plot::{Bar, plot};

pub use together::other_side;

/// A ratio and its upper target.
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

/// Runs all comparisons. The plot is written to this file.
///
/// # Errors
///
/// Returns errors of the library.
///
/// # Panics
///
/// Panics if the system refuses a basic call.
pub fn compare(svg: Option<&str>) -> Result<(), Box<dyn std::error::Error>> {
    let mut aims = Vec::new();
    alone::locks(&mut aims)?;
    alone::latest(&mut aims)?;
    together::compare(&mut aims)?;
    println!("\n{:<62} {:>7} {:>6}", "", "ratio", "target");
    for aim in &aims {
        let most = aim.most.map_or(String::new(), |most| format!("{most:.1}"));
        println!("{:<62} {:>7.2} {most:>6}", aim.what, aim.times);
    }
    if let Some(path) = svg {
        let bars: Vec<_> =
            aims.iter().map(|aim| Bar { label: &aim.what, value: aim.times, aim: aim.most }).collect();
        std::fs::write(path, plot("cost relative to the other side (1.0: equal)", &bars))?;
    }
    Ok(())
}

fn name(tag: &str) -> String {
    format!("mmf-bench-locks-{tag}-{}", std::process::id())
}
