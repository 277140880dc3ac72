//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgGroup, Parser, Subcommand};
use mmf::pages::LargePages;
use mmf::security::{IntegrityLevel, Principal};

use crate::number::Type;
use crate::size;

/// Named shared memory from the command line.
///
/// A NAME identifies a shared memory region. A plain name, such as telemetry, is
/// visible to this session (Windows) or this user (Unix). With the prefix Global\,
/// as in 'Global\telemetry', it is visible to the whole machine.
///
/// A SIZE is a number of bytes, or of K, M, G or T, which are powers of 1024: 64K.
#[derive(Debug, Parser)]
#[command(name = "mmf", version, verbatim_doc_comment, arg_required_else_help = true)]
pub(crate) struct Args {
    /// Print one JSON document instead of text, also for errors
    #[arg(long, global = true)]
    pub(crate) json: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Share a file with a second process, and compare with a pipe and TCP
    Demo(Demo),
    // Also the name of a role in the tests, which take the place of this process.
    #[command(name = "demo_peer", hide = true)]
    DemoPeer(DemoPeer),
    /// Create a region and keep it until Ctrl-C
    Create(Create),
    /// Save the content of a region to a file
    ///
    /// The file gets its name once it is complete on the disk, so there is never a
    /// partial one. If the command is interrupted, no file is left. Only this user may
    /// open it. Zeros become holes if the file system supports them.
    #[command(verbatim_doc_comment)]
    Save(Save),
    /// Create a region with the content of a file and keep it until Ctrl-C
    ///
    /// With --into, copy the content into an existing region.
    #[command(verbatim_doc_comment, after_help = PRINCIPAL_HELP)]
    Load(Load),
    /// Show the length of a region, and whether it can be read and written
    Info(Info),
    /// Show the participants of a segment and the state of its objects
    ///
    /// A segment is a region that describes itself, created by Segment::create. It is
    /// opened read-only: nothing is written, and no participant notices. Times are in
    /// UTC. The state may have changed by the time you read it. A waiter that was
    /// killed remains counted as waiting.
    ///
    /// With --watch, refresh periodically and show publish rates and participants that
    /// have joined, left or died. In a terminal, the screen is refreshed until you press
    /// q. Elsewhere, and with --count or --json, samples are printed, in JSON one per
    /// line. While it is watched, the region exists, even after its creator ends.
    ///
    /// If a part is damaged, the damage and the intact parts are shown. The exit status
    /// is then 3, also if the segment was declared broken.
    #[command(verbatim_doc_comment)]
    Inspect(Inspect),
    /// Report what you can do on this machine or with a region, and why not
    ///
    /// Without a NAME: the user, the machine's memory, and what this user can do. The
    /// exit status is 0, even if something is not possible.
    ///
    /// With a NAME: what the region is, its owner, its access rights, its holders, and
    /// what prevents you from using it. The exit status is 0 if you can open it for
    /// reading and writing, else 1; also if it does not exist or is read-only for you.
    ///
    /// Nothing is created, opened for use or changed.
    #[command(verbatim_doc_comment)]
    Doctor(Doctor),
    /// List the processes that hold a region (Linux)
    ///
    /// Each line also shows whether the process may write. Programs that use this
    /// library are always listed. Other programs are listed only if this user may
    /// examine their processes; the same applies to whether a process may write. The
    /// system does not record which process created the region. Nothing is opened for
    /// use.
    #[command(verbatim_doc_comment)]
    Holders(Holders),
    /// Print the bytes of a region
    Dump(Dump),
    /// Watch a region change
    ///
    /// In a terminal, show the bytes, their characters and numbers, and mark what has
    /// changed for a second. Press ? for the keys. Elsewhere, and with --once, --count
    /// or --json, print samples: in text with a * after each byte that has changed, in
    /// JSON one per line.
    ///
    /// Nothing is ever written. Only the visible bytes are read: once per interval,
    /// and at most 64K. The terminal gets at most 30 updates a second, and none while
    /// nothing changes. While it is watched, the region exists, even after its creator
    /// ends; the view reports when no process may write to it any more, and when its
    /// name refers to another region (Linux). Bytes that were cut off or cannot be
    /// read are shown as --, in the latter case with the cause.
    #[command(verbatim_doc_comment)]
    Watch(Watch),
    /// Write bytes into an existing region
    Write(Write),
    /// List the named regions on this machine, of all users
    Ls,
    /// Run a command that receives regions without a name
    ///
    /// Only this command can access the regions. It finds each by its label: in Rust
    /// with mmf::handoff::receive("frames"), elsewhere in the environment variable
    /// MMF_HANDOFF_frames. They exist until the command, and all processes to which it
    /// has handed them on, have ended. The exit status is that of the command, or 127
    /// if it cannot be started.
    #[command(verbatim_doc_comment)]
    Run(Run),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Demo {
    /// The file to share [default: this program's own]
    pub(crate) file: Option<PathBuf>,

    /// Another build of this program for the second process
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) peer: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DemoPeer {
    pub(crate) data: String,
    pub(crate) control: String,
}

const PRINCIPAL_HELP: &str = "\
Without a grant, only this user can open the region. A PRINCIPAL is one of
  me               this user, who always has access
  everyone         all users
  administrators   administrators, on Windows only when elevated
  system           the system account (Windows), the superuser (Unix)
  authenticated    all users except guests (Windows)
  interactive      users logged on at the machine or by remote desktop (Windows)
  services         all services (Windows)
  packages         all AppContainer sandboxes (Windows)
  package:NAME     one sandbox, by its family name or SID (Windows)
  group:NAME       a group, by its name or id
or a user: a name, HOST\\name, or an id.";

#[derive(Debug, clap::Args)]
#[command(
    group = ArgGroup::new("content").args(["size", "from"]).required(true).multiple(true),
    override_usage = "mmf create <NAME> <SIZE> [OPTIONS]\n       mmf create <NAME> --from <FILE> [OPTIONS]",
    after_help = PRINCIPAL_HELP,
)]
pub(crate) struct Create {
    /// Name of the region
    pub(crate) name: String,

    /// Size, such as 4096, 64K or 2G; optional with --from
    #[arg(value_parser = size::parse)]
    pub(crate) size: Option<u64>,

    /// Load the content of this file
    #[arg(long, value_name = "FILE")]
    pub(crate) from: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) keeping: Keeping,
}

/// The properties of a new region, and how long it is kept.
#[derive(Debug, clap::Args)]
pub(crate) struct Keeping {
    /// Allow the region to grow up to this size
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    pub(crate) capacity: Option<u64>,

    /// Large pages: preferred (the result is reported) or required
    #[arg(long, value_name = "MODE", value_parser = large_pages())]
    pub(crate) large_pages: Option<LargePages>,

    /// Prefer the RAM of this NUMA node
    #[arg(long, value_name = "NODE")]
    pub(crate) node: Option<u32>,

    /// Keep the region for this number of seconds
    #[arg(long = "for", value_name = "SECONDS", value_parser = seconds)]
    pub(crate) keep: Option<Duration>,

    /// Allow PRINCIPAL to read; can be repeated
    #[arg(long, value_name = "PRINCIPAL")]
    pub(crate) grant_read: Vec<Principal>,

    /// Allow PRINCIPAL to read and write; can be repeated
    #[arg(long, value_name = "PRINCIPAL")]
    pub(crate) grant_write: Vec<Principal>,

    /// Access rights in SDDL, such as "D:P(A;;GA;;;OW)" (Windows)
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["grant_read", "grant_write"])]
    pub(crate) sddl: Option<String>,

    /// Lowest integrity level of programs that may write (Windows)
    #[arg(long, value_name = "LEVEL", value_parser = level())]
    pub(crate) integrity: Option<IntegrityLevel>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Save {
    /// Name of the region
    pub(crate) name: String,

    /// File to create
    pub(crate) file: PathBuf,

    /// Replace an existing file
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, clap::Args)]
#[command(override_usage = "mmf load <NAME> <FILE> [OPTIONS]\n       mmf load <NAME> <FILE> --into")]
pub(crate) struct Load {
    /// Name of the region
    pub(crate) name: String,

    /// File to load
    pub(crate) file: PathBuf,

    /// Copy into an existing, long enough region; bytes after the content stay
    #[arg(long, conflicts_with_all = ["keep", "grant_read", "grant_write", "sddl", "integrity"])]
    pub(crate) into: bool,

    #[command(flatten)]
    pub(crate) keeping: Keeping,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Doctor {
    /// Name of the region; without it, the machine is examined
    pub(crate) name: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Holders {
    /// Name of the region
    pub(crate) name: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Info {
    /// Name of the region
    pub(crate) name: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Inspect {
    /// Name of the segment
    pub(crate) name: String,

    /// Refresh periodically, until Ctrl-C
    #[arg(long)]
    pub(crate) watch: bool,

    /// Sampling interval, 10ms to 3600s
    #[arg(long, value_name = "TIME", value_parser = interval, default_value = "1s", requires = "watch")]
    pub(crate) interval: Duration,

    /// Number of samples to print; 0 continues until Ctrl-C
    #[arg(long, value_name = "NUMBER", requires = "watch")]
    pub(crate) count: Option<u64>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Dump {
    /// Name of the region
    pub(crate) name: String,

    /// Offset of the first byte [default: 0]
    #[arg(long, value_name = "SIZE", value_parser = size::parse, default_value = "0",
        hide_default_value = true)]
    pub(crate) offset: u64,

    /// Number of bytes [default: up to the end]
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    pub(crate) length: Option<u64>,

    /// Print the raw bytes, for other programs
    #[arg(long, conflicts_with = "json")]
    pub(crate) raw: bool,

    /// Print raw bytes even to a terminal
    #[arg(long, requires = "raw")]
    pub(crate) force: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Watch {
    /// Name of the region
    pub(crate) name: String,

    /// Offset of the first byte [default: 0]
    #[arg(long, value_name = "SIZE", value_parser = size::parse, default_value = "0",
        hide_default_value = true)]
    pub(crate) offset: u64,

    /// Type of the numbers, little-endian [default: u32, in JSON none]
    #[arg(long, value_name = "TYPE", hide_possible_values = false)]
    pub(crate) r#type: Option<Type>,

    /// Bytes per row: 8, 16, 32 or 64 [default: as many as fit]
    #[arg(long, value_name = "BYTES", value_parser = width())]
    pub(crate) width: Option<usize>,

    /// Sampling interval, 10ms to 3600s
    #[arg(long, value_name = "TIME", value_parser = interval, default_value = "100ms")]
    pub(crate) interval: Duration,

    /// Print one sample
    #[arg(long, conflicts_with = "count")]
    pub(crate) once: bool,

    /// Number of samples to print; 0 continues until Ctrl-C
    #[arg(long, value_name = "NUMBER")]
    pub(crate) count: Option<u64>,

    /// Number of bytes in a printed sample, at most 64K
    #[arg(long, value_name = "SIZE", value_parser = sample, default_value = "256")]
    pub(crate) length: u64,

    /// Wait until the region exists, at most for this number of seconds
    #[arg(long, value_name = "SECONDS", value_parser = waiting, num_args = 0..=1, require_equals = true,
        default_missing_value = "")]
    pub(crate) wait: Option<Waiting>,
}

/// How long to wait for a region.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Waiting {
    Forever,
    For(Duration),
}

#[derive(Debug, clap::Args)]
#[command(
    group = ArgGroup::new("content").args(["text", "hex", "from", "stdin"]).required(true),
    override_usage = "mmf write <NAME> [--offset <SIZE>] --text <TEXT>\n       \
        mmf write <NAME> [--offset <SIZE>] --hex <DIGITS>\n       \
        mmf write <NAME> [--offset <SIZE>] --from <FILE>\n       \
        mmf write <NAME> [--offset <SIZE>] -",
)]
pub(crate) struct Write {
    /// Name of the region
    pub(crate) name: String,

    /// Offset of the first byte [default: 0]
    #[arg(long, value_name = "SIZE", value_parser = size::parse, default_value = "0",
        hide_default_value = true)]
    pub(crate) offset: u64,

    /// Write this text as UTF-8
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) text: Option<String>,

    /// Write bytes of two hexadecimal digits each: "cafe 00 ff"
    #[arg(long, value_name = "DIGITS")]
    pub(crate) hex: Option<String>,

    /// Write the content of this file
    #[arg(long, value_name = "FILE")]
    pub(crate) from: Option<PathBuf>,

    /// Write the content of standard input
    #[arg(value_name = "-", value_parser = ["-"], hide_possible_values = true)]
    pub(crate) stdin: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(override_usage = "mmf run --share <LABEL=SIZE>... -- <COMMAND>...")]
pub(crate) struct Run {
    /// Create a region with this label and size; can be repeated
    #[arg(long, value_name = "LABEL=SIZE", required = true, value_parser = share)]
    pub(crate) share: Vec<Share>,

    /// Command and its arguments
    #[arg(required = true, last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

/// A region for the command.
#[derive(Clone, Debug)]
pub(crate) struct Share {
    pub(crate) label: String,
    pub(crate) len: u64,
}

fn share(text: &str) -> Result<Share, String> {
    let (label, len) = text.split_once('=').ok_or("expected a label and a size, such as frames=32M")?;
    Ok(Share { label: label.to_owned(), len: size::parse(len)? })
}

fn large_pages() -> impl TypedValueParser<Value = LargePages> {
    PossibleValuesParser::new(["preferred", "required"]).map(|word| match word.as_str() {
        "required" => LargePages::Required,
        _ => LargePages::Preferred,
    })
}

fn level() -> impl TypedValueParser<Value = IntegrityLevel> {
    PossibleValuesParser::new(["untrusted", "low", "medium", "high", "system"]).map(|word| {
        match word.as_str() {
            "untrusted" => IntegrityLevel::Untrusted,
            "low" => IntegrityLevel::Low,
            "high" => IntegrityLevel::High,
            "system" => IntegrityLevel::System,
            _ => IntegrityLevel::Medium,
        }
    })
}

fn width() -> impl TypedValueParser<Value = usize> {
    PossibleValuesParser::new(["8", "16", "32", "64"]).map(|word| match word.as_str() {
        "8" => 8,
        "32" => 32,
        "64" => 64,
        _ => 16,
    })
}

fn interval(text: &str) -> Result<Duration, String> {
    let (digits, unit) = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(digits), _) => (digits, 1000.0),
        (None, Some(digits)) => (digits, 1.0),
        (None, None) => (text, 1.0),
    };
    let time = digits.parse().ok().and_then(|time: f64| Duration::try_from_secs_f64(time / unit).ok());
    let time = time.ok_or("invalid time: write 100ms, 0.5s or 2s")?;
    let allowed = Duration::from_millis(10)..=Duration::from_secs(3600);
    if allowed.contains(&time) { Ok(time) } else { Err("time out of range: write 10ms to 3600s".to_owned()) }
}

fn sample(text: &str) -> Result<u64, String> {
    match size::parse(text)? {
        0 => Err("a sample has at least one byte".to_owned()),
        len if len > 1 << 16 => Err("a sample has at most 64K; mmf dump prints more".to_owned()),
        len => Ok(len),
    }
}

fn waiting(text: &str) -> Result<Waiting, String> {
    if text.is_empty() { Ok(Waiting::Forever) } else { seconds(text).map(Waiting::For) }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "invalid number of seconds: write 10 or 0.5".to_owned())?;
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| "number of seconds out of range: write 0 or more".to_owned())
}

#[cfg(test)]
mod tests;
