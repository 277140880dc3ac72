//! `mmf inspect`: the participants of a segment and the state of its objects, once or repeatedly.
//!
//! `sample` takes samples and compares them, `text` and `document` show one, `repeat` shows one after
//! another.

mod document;
mod repeat;
mod sample;
mod text;
mod time;

use std::process::ExitCode;

use mmf::SharedMemory;

use crate::args::Inspect;
use crate::interrupt::Interrupt;
use crate::names;
use crate::output::{Failure, Output};
use crate::terminal::can_draw;
use sample::Sampler;

pub(crate) fn run(args: &Inspect, output: Output) -> Result<ExitCode, Failure> {
    let name = names::existing(&args.name)?;
    let mut sampler = Sampler::new(SharedMemory::open_read_only(&name)?);
    let name = name.to_string();
    if args.watch {
        let interrupt = Interrupt::listen()?;
        return if output.json || args.count.is_some() || !can_draw() {
            repeat::print(&name, &mut sampler, args, output, &interrupt)
        } else {
            repeat::draw(&name, &mut sampler, args, &interrupt)
        };
    }
    let sample = sampler.sample()?;
    // Either can be long, because a peer decides how many objects there are.
    if output.json {
        output.document(&document::document(&name, &sample))?;
    } else {
        output.say(text::text(&name, &sample, &[]))?;
    }
    Ok(sample.exit_status())
}
