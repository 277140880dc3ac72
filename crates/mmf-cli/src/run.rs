//! `mmf run`: starts a command and hands regions without a name to it.

use std::convert::Infallible;
use std::process::{Command, ExitStatus};

use mmf::SharedMemory;
use mmf::handoff::CommandExt;

use crate::args::Run;
use crate::output::Failure;

pub(crate) fn run(args: &Run) -> Result<Infallible, Failure> {
    let mut regions = Vec::new();
    for share in &args.share {
        regions.push((&share.label, SharedMemory::anonymous(share.len)?));
    }
    let [program, arguments @ ..] = &args.command[..] else {
        return Err(Failure::new("usage", "no command to run"));
    };
    let mut command = Command::new(program);
    command.args(arguments);
    let mut regions = regions.into_iter();
    let Some((label, first)) = regions.next() else {
        return Err(Failure::new("usage", "no region to share"));
    };
    let mut handing = command.hand_off(label, &first)?;
    for (label, region) in regions {
        handing = handing.hand_off(label, &region)?;
    }
    let mut child = handing.spawn().map_err(|error| {
        let shown = program.to_string_lossy();
        Failure::io(format!("run \"{shown}\""), &error, "check the spelling, or specify the path")
            .with_status(127)
    })?;
    // From here on, only the command holds the regions.
    drop(first);
    let status = child.wait().map_err(|error| Failure::io("wait for the command", &error, ""))?;
    // (On Windows it has 32 bits, more than an `ExitCode` holds.)
    std::process::exit(code_of(status))
}

/// Returns the code that shells report for this exit status.
fn code_of(status: ExitStatus) -> i32 {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return 128 + signal;
    }
    status.code().unwrap_or(1)
}
