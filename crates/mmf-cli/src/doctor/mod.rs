//! `mmf doctor`: what this user can do on this machine or with a region, and what prevents it.
//!
//! `environment` and `region` answer the two questions, `faults` is a trial for the first one, `page` lays
//! out the answers.

mod environment;
mod faults;
mod page;
mod region;

use std::process::ExitCode;

use crate::args::Doctor;
use crate::output::{Failure, Output};

pub(crate) fn run(args: &Doctor, output: Output) -> Result<ExitCode, Failure> {
    match &args.name {
        Some(name) => region::run(name, output),
        None => environment::run(output),
    }
}
