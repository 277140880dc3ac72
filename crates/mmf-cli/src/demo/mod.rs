//! `mmf demo`: shares a file with a second process through a region, and compares that with a pipe and TCP.
//!
//! `control` is the protocol of the two processes, `parent` and `child` are its sides, `plan` is what is
//! transferred and how often, `report` is what is printed.

mod child;
mod control;
mod parent;
mod plan;
mod report;
mod wait;

use std::process;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use mmf::{Name, SharedMemory, View};
use sha2::{Digest, Sha256};

use crate::args::Demo;
use crate::interrupt;
use crate::output::{Failure, Output};
use crate::progress::Bar;
use control::{Answer, Control};
use parent::{Part, Peer};
use plan::{Source, Way, fresh_buffer, median, part_len, random, rounds};
use report::{Report, Times};

pub(crate) use child::run as peer;

/// A demo that ends earlier shows no progress bar.
const BAR_DELAY: Duration = Duration::from_millis(700);

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

pub(crate) fn run(args: &Demo, output: Output) -> Result<(), Failure> {
    let own = || {
        std::env::current_exe().map_err(|e| Failure::io("find this program's own file", &e, "name a file"))
    };
    let path = args.file.clone().map_or_else(own, Ok)?;
    let program = args.peer.clone().map_or_else(own, Ok)?;
    let mut file = Source::open(path, &INTERRUPTED)?;
    // By default, a signal would end this process before it can clean up.
    interrupt::set_flag(&INTERRUPTED)?;

    let name = Name::new(&format!("mmf-demo-{}-{:08x}", process::id(), random() & 0xffff_ffff))?;
    let control_name = Name::new(&format!("{}-control", name.text()))?;
    let mut report = Report::new(&file, &name, &control_name);
    output.say(report.file_lines())?;

    // Declared before the peer, and so dropped after it: the last holder removes the names.
    let data = SharedMemory::create(&name, file.len).map_err(|error| file.too_large(error))?;
    let control_region = SharedMemory::create(&control_name, control::LEN)?;
    let control = Control::new(control_region.view()?);
    report.set_created(data.len(), control_region.len());
    output.say(report.created_lines())?;

    let mut peer = Peer::start(&program, &name, &control_name, control, &INTERRUPTED)?;
    let hello = peer.hello()?;
    report.set_opened(peer.id(), &hello);
    output.say(report.opened_lines())?;

    // The digest once, and each way once and then in rounds.
    let all = file.len * (1 + 3 * (1 + rounds(file.len)));
    let bar = Bar::new(Some(all), "  {bar:48} {percent:>3} %  {eta} left", BAR_DELAY, output);
    let answer = share(&mut file, &data, &mut peer, &bar, &mut report);
    bar.clear();
    let answer = answer?;
    report.compare(&answer)?;
    output.say(report.digest_lines())?;
    peer.end()?;
    drop(control_region);
    drop(data);
    report.find_left_over(&[&name, &control_name]);
    output.print(&report.document(), report.end_lines())
}

/// Transfers all parts of the file, each in every way.
fn share(
    file: &mut Source,
    data: &SharedMemory,
    peer: &mut Peer,
    bar: &Bar,
    report: &mut Report,
) -> Result<Answer, Failure> {
    peer.connect()?;
    let mut sha = Sha256::new();
    let mut buffer = fresh_buffer(part_len(file.len))?;
    let rounds = rounds(file.len);
    let mut offset = 0;
    loop {
        let len = part_len(file.len - offset);
        let source = &mut buffer[..len];
        file.read(source)?;
        let view: View = data.view_at(offset, len)?;
        let part = Part { offset, source, view: &view };
        let time = |peer: &mut Peer, task, fresh| {
            let time = peer.transfer(task, fresh, &part);
            bar.advance(len);
            time
        };
        let mut first = [Duration::ZERO; 3];
        for (way, first) in Way::ALL.into_iter().zip(&mut first) {
            *first = time(peer, way.task(), true)?;
        }
        let answer = peer.digest(&part, || sha.update(part.source))?;
        bar.advance(len);
        // Alternately, so that other load on the machine affects all ways equally.
        let mut again = [const { Vec::new() }; 3];
        for _ in 0..rounds {
            for (way, again) in Way::ALL.into_iter().zip(&mut again) {
                again.push(time(peer, way.task(), false)?);
            }
        }
        report.add(&Times { first, again: again.map(median) });
        offset += len as u64;
        if offset == file.len {
            report.set_digest(sha.finalize().into());
            return Ok(answer);
        }
    }
}
