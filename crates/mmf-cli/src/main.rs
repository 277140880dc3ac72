//! The command `mmf`: named shared memory from the command line.
#![forbid(unsafe_code)]

mod args;
mod create;
mod demo;
mod doctor;
mod dump;
mod findings;
mod holders;
mod info;
mod inspect;
mod interrupt;
mod ls;
mod names;
mod number;
mod output;
mod progress;
mod run;
mod size;
mod snapshot;
mod terminal;
mod text;
mod watch;
mod write;

use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command};
use output::Output;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return output::usage(&error),
    };
    let output = Output { json: args.json };
    let done = match &args.command {
        // Their exit status depends on the result.
        Command::Doctor(args) => {
            return doctor::run(args, output).unwrap_or_else(|failure| output.fail(&failure));
        }
        Command::Inspect(args) => {
            return inspect::run(args, output).unwrap_or_else(|failure| output.fail(&failure));
        }
        Command::Demo(args) => demo::run(args, output),
        Command::DemoPeer(args) => demo::peer(args),
        Command::Create(args) => create::run(args, output),
        Command::Save(args) => snapshot::save(args, output),
        Command::Load(args) => snapshot::load(args, output),
        Command::Info(args) => info::run(args, output),
        Command::Holders(args) => holders::run(args, output),
        Command::Dump(args) => dump::run(args, output),
        Command::Watch(args) => watch::run(args, output),
        Command::Write(args) => write::run(args, output),
        Command::Ls => ls::run(output),
        Command::Run(args) => run::run(args).map(|never| match never {}),
    };
    done.map_or_else(|failure| output.fail(&failure), |()| ExitCode::SUCCESS)
}
