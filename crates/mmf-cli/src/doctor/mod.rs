//! `mmf doctor`: what can be done here, or with a memory, and what stands in the way.
//!
//! `machine` and `memory` are the two questions, `faults` is a trial that belongs to the first, `text` is how the answers are laid out.

mod environment;
mod faults;
mod memory;
mod text;

use std::process::ExitCode;

use crate::args::Doctor;
use crate::output::{Failure, Output};

pub(crate) fn run(args: &Doctor, output: Output) -> Result<ExitCode, Failure> {
    match &args.name {
        Some(name) => memory::run(name, output),
        None => environment::run(output),
    }
}
