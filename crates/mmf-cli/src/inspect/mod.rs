//! `mmf inspect`: who takes part in a segment, and what its objects are doing; once, or again and again (`repeat`), with what has
//! changed from look to look (`looks`).

mod document;
mod looks;
mod repeat;
mod text;
mod time;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use mmf::inspect::{SegmentInfo, SegmentStage};
use mmf::{ReadOnly, Segment, SharedMemory};

use crate::args::Inspect;
use crate::names;
use crate::output::{Failure, Output};
use crate::watch::{Ended, can_draw};
use document::document;
use looks::{Look, Looks};
use text::text;

/// A segment is made in microseconds; who asks does not want to wait for one that hangs.
const READY_WITHIN: Duration = Duration::from_secs(1);
/// The exit status if it is shown, but not all of it is as it should be.
const DAMAGED: u8 = 3;

pub(crate) fn run(args: &Inspect, output: Output) -> Result<ExitCode, Failure> {
    let name = names::existing(&args.name)?;
    let memory = SharedMemory::open_read_only(&name)?;
    let info = look(&memory)?;
    let name = name.to_string();
    if args.watch {
        let ended = Ended::listen()?;
        return if output.json || args.count.is_some() || !can_draw() {
            repeat::print(&name, &memory, args, output, &ended)
        } else {
            repeat::draw(&name, &memory, args, &ended)
        };
    }
    let look = Looks::new().take(info, Duration::ZERO);
    // Either can be long, since a peer decides how many objects there are.
    if output.json {
        output.document(&document(&name, &look))?;
    } else {
        output.say(text(&name, &look, &[]))?;
    }
    Ok(status(&look))
}

fn status(look: &Look) -> ExitCode {
    if is_whole(&look.info) { ExitCode::SUCCESS } else { ExitCode::from(DAMAGED) }
}

fn is_whole(info: &SegmentInfo) -> bool {
    info.damage.is_empty() && info.stage == SegmentStage::Ready
}

fn look(memory: &SharedMemory<ReadOnly>) -> Result<SegmentInfo, Failure> {
    let begun = Instant::now();
    loop {
        let stage = Segment::stage_of(memory)?;
        if matches!(stage, SegmentStage::Creating { alive: true, .. }) && begun.elapsed() < READY_WITHIN {
            std::thread::sleep(Duration::from_millis(1));
            continue;
        }
        return Segment::inspect_memory(memory).map_err(|error| explained(error, &stage));
    }
}

fn explained(error: mmf::Error, stage: &SegmentStage) -> Failure {
    let failure = Failure::from(error);
    match stage {
        SegmentStage::NotASegment => failure.with("; as a plain memory, mmf info, mmf dump and mmf watch show it"),
        SegmentStage::Blank => {
            failure.with("; as a plain memory, mmf info, mmf dump and mmf watch show it; else start its maker and look again")
        }
        _ => failure,
    }
}
