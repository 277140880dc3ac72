//! What the command line may say.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgGroup, Parser, Subcommand};
use mmf::pages::LargePages;
use mmf::security::{IntegrityLevel, Principal};

use crate::size;
use crate::watch::Type;

/// Named shared memory from the command line.
///
/// A NAME is a text, such as telemetry: seen by this session (Windows) or this
/// user (Unix). With the prefix Global\, as in 'Global\telemetry', it is seen by
/// the whole machine. A SIZE is a number of bytes, or of K, M, G or T, powers of
/// 1024: 64K.
#[derive(Debug, Parser)]
#[command(name = "mmf", version, verbatim_doc_comment, arg_required_else_help = true)]
pub(crate) struct Args {
    /// One JSON document instead of text; for errors, too
    #[arg(long, global = true)]
    pub(crate) json: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Share a file with a second process; compare with a pipe and with TCP
    Demo(Demo),
    // Also the name of a role in the tests, which stand in for this process.
    #[command(name = "demo_peer", hide = true)]
    DemoPeer(DemoPeer),
    /// Make a memory and keep it until Ctrl-C
    Create(Create),
    /// Save the bytes of a memory into a file
    ///
    /// The file gets its name when all of it is on the disk, so there is never half of
    /// one; if it is ended early, also by Ctrl-C, nothing is left. Only you may open
    /// it. Zeros become holes where the file system has them.
    #[command(verbatim_doc_comment)]
    Save(Save),
    /// Make a memory with the content of a file and keep it until Ctrl-C
    ///
    /// With --into, put the content into a memory that exists.
    #[command(verbatim_doc_comment, after_help = WHO_HELP)]
    Load(Load),
    /// Tell the length of a memory, and what you may do with it
    Info(Info),
    /// Show who takes part in a segment, and what its locks and objects are doing
    ///
    /// A segment is a memory that describes itself, made by Segment::create. It is
    /// opened read-only: nothing is written, and nobody sees that you look. Times are
    /// UTC. What is shown may have changed by the time that you read it. Whoever was
    /// killed while he waited stays counted among those who wait.
    ///
    /// With --watch, it is looked again and again, also for how many values are published
    /// per second, and who has come and gone. In a terminal the picture is renewed: q
    /// ends it. Elsewhere, and with --count or --json, looks are printed; in JSON a line
    /// is a look. While you watch, the memory stays, even if its maker ends.
    ///
    /// If a part is damaged, the rest is shown, and what is damaged and where. The exit
    /// status is 3 then, or if the segment was declared broken.
    #[command(verbatim_doc_comment)]
    Inspect(Inspect),
    /// Say what you can do on this machine or with a memory, and if not, why
    ///
    /// Without a NAME: who you are, what memory there is, and what you can do. The
    /// exit status is 0: a "no" is an answer, too.
    ///
    /// With a NAME: what it is, whose, who may do what with it, and what stands in
    /// your way. The exit status is 0 if you can open it to read and write it, else
    /// 1; also if nothing has this name, or if you may only read.
    ///
    /// Nothing is made, opened for use or changed by asking.
    #[command(verbatim_doc_comment)]
    Doctor(Doctor),
    /// Tell which processes hold a region, and whether they may write to it (Linux)
    ///
    /// Programs that use this library are seen whosever they are; other programs, and
    /// what a process may do, only where you may look into the process. Which of them
    /// created the region is not recorded anywhere. Nothing is opened for use.
    #[command(verbatim_doc_comment)]
    Holders(Holders),
    /// Show the bytes of a memory
    Dump(Dump),
    /// Watch a memory change
    ///
    /// In a terminal, a view of the bytes, their characters and numbers, in which what
    /// changes is marked for a second. Keys move it, pause it and end it; ? tells them.
    /// Elsewhere, and with --once, --count or --json, samples are printed: in text a *
    /// follows each byte that has changed; in JSON a line is a sample.
    ///
    /// Nothing is ever written, and only what is shown is read: once per interval, and
    /// at most 64K. A terminal is sent what differs, at most 30 times a second, and
    /// nothing while nothing changes. While you watch, the memory stays, even if its
    /// maker ends: it is said when no process is left that may write, and when the name
    /// leads elsewhere (Linux). Bytes that have been cut off are shown as --, and so are
    /// those that cannot be read for another cause, which is said.
    #[command(verbatim_doc_comment)]
    Watch(Watch),
    /// Write bytes into a memory that exists
    Write(Write),
    /// List the named memories of this machine, whoever made them
    Ls,
    /// Run a command that is given memory without a name
    ///
    /// The memory is for this command alone, which finds each by its label:
    /// mmf::handoff::receive("frames") in Rust, or the environment variable
    /// MMF_HANDOFF_frames. It goes when the command and whoever it has handed it on
    /// to have ended. The exit status is that of the command; 127 if it cannot be
    /// started.
    #[command(verbatim_doc_comment)]
    Run(Run),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Demo {
    /// The file to share; without one, this program's own
    pub(crate) file: Option<PathBuf>,

    /// Another build of this program, to be the second process
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) peer: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DemoPeer {
    pub(crate) data: String,
    pub(crate) control: String,
}

const WHO_HELP: &str = "\
Without a grant, only you can open it. WHO is one of
  me               you, which is so anyway
  everyone         all users
  administrators   on Windows only when elevated
  system           the system's own account, or the superuser
  authenticated    all users but guests (Windows)
  interactive      who is logged on at the machine or by remote desktop (Windows)
  services         whatever runs as a service (Windows)
  packages         all AppContainer sandboxes (Windows)
  package:NAME     one sandbox, by its family name or SID (Windows)
  group:NAME       a group, by its name or id
or else a user: a name, HOST\\name, or an id.";

#[derive(Debug, clap::Args)]
#[command(
    group = ArgGroup::new("content").args(["size", "from"]).required(true).multiple(true),
    override_usage = "mmf create <NAME> <SIZE> [OPTIONS]\n       mmf create <NAME> --from <FILE> [OPTIONS]",
    after_help = WHO_HELP,
)]
pub(crate) struct Create {
    /// Its name
    pub(crate) name: String,

    /// Its size, such as 4096, 64K or 2G; with --from it may be left out
    #[arg(value_parser = size::parse)]
    pub(crate) size: Option<u64>,

    /// Put the content of this file in
    #[arg(long, value_name = "FILE")]
    pub(crate) from: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) keeping: Keeping,
}

/// What a memory that is made is like, how long it is kept, and for whom.
#[derive(Debug, clap::Args)]
pub(crate) struct Keeping {
    /// Let it grow up to this size: programs that have it can make it longer
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    pub(crate) capacity: Option<u64>,

    /// Large pages: preferred (what came of it is said), or required
    #[arg(long, value_name = "WISH", value_parser = large_pages())]
    pub(crate) large_pages: Option<LargePages>,

    /// Take its pages from the RAM of this NUMA node, if it has some
    #[arg(long, value_name = "NODE")]
    pub(crate) node: Option<u32>,

    /// Keep it for so many seconds only
    #[arg(long = "for", value_name = "SECONDS", value_parser = seconds)]
    pub(crate) keep: Option<Duration>,

    /// Let WHO read it, too; can be given more than once
    #[arg(long, value_name = "WHO")]
    pub(crate) grant_read: Vec<Principal>,

    /// Let WHO read and write it, too; can be given more than once
    #[arg(long, value_name = "WHO")]
    pub(crate) grant_write: Vec<Principal>,

    /// All rights as a security descriptor says them, such as "D:P(A;;GA;;;OW)" (Windows)
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["grant_read", "grant_write"])]
    pub(crate) sddl: Option<String>,

    /// Programs below this integrity level cannot write (Windows)
    #[arg(long, value_name = "LEVEL", value_parser = level())]
    pub(crate) integrity: Option<IntegrityLevel>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Save {
    /// The memory's name
    pub(crate) name: String,

    /// The file to make
    pub(crate) file: PathBuf,

    /// Replace a file that is there
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, clap::Args)]
#[command(override_usage = "mmf load <NAME> <FILE> [OPTIONS]\n       mmf load <NAME> <FILE> --into")]
pub(crate) struct Load {
    /// The memory's name
    pub(crate) name: String,

    /// The file to load
    pub(crate) file: PathBuf,

    /// Into a memory that exists and is long enough; what it has behind that stays
    #[arg(long, conflicts_with_all = ["keep", "grant_read", "grant_write", "sddl", "integrity"])]
    pub(crate) into: bool,

    #[command(flatten)]
    pub(crate) keeping: Keeping,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Doctor {
    /// The memory to look at; without one, the machine
    pub(crate) name: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Holders {
    /// The name of the region
    pub(crate) name: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Info {
    /// Its name
    pub(crate) name: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Inspect {
    /// Its name
    pub(crate) name: String,

    /// Look again and again, until Ctrl-C
    #[arg(long)]
    pub(crate) watch: bool,

    /// Look so often: every 10ms to 3600s
    #[arg(long, value_name = "TIME", value_parser = interval, default_value = "1s", requires = "watch")]
    pub(crate) interval: Duration,

    /// Print so many looks; 0 is until Ctrl-C
    #[arg(long, value_name = "NUMBER", requires = "watch")]
    pub(crate) count: Option<u64>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Dump {
    /// Its name
    pub(crate) name: String,

    /// Start here
    #[arg(long, value_name = "SIZE", value_parser = size::parse, default_value = "0", hide_default_value = true)]
    pub(crate) offset: u64,

    /// So many bytes; without it, all up to the end
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    pub(crate) length: Option<u64>,

    /// The bytes as they are, for other programs
    #[arg(long, conflicts_with = "json")]
    pub(crate) raw: bool,

    /// Raw bytes even to a terminal
    #[arg(long, requires = "raw")]
    pub(crate) force: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Watch {
    /// Its name
    pub(crate) name: String,

    /// Start here
    #[arg(long, value_name = "SIZE", value_parser = size::parse, default_value = "0", hide_default_value = true)]
    pub(crate) offset: u64,

    /// The numbers to show, little-endian; in JSON none if this is not given
    #[arg(long, value_name = "TYPE", hide_possible_values = false)]
    pub(crate) r#type: Option<Type>,

    /// So many bytes in a row: 8, 16, 32 or 64; without it, as there is room
    #[arg(long, value_name = "BYTES", value_parser = width())]
    pub(crate) width: Option<usize>,

    /// Look so often: every 10ms to 3600s
    #[arg(long, value_name = "TIME", value_parser = interval, default_value = "100ms")]
    pub(crate) interval: Duration,

    /// Print one sample
    #[arg(long, conflicts_with = "count")]
    pub(crate) once: bool,

    /// Print so many samples; 0 is until Ctrl-C
    #[arg(long, value_name = "NUMBER")]
    pub(crate) count: Option<u64>,

    /// Print so many bytes in a sample, at most 64K
    #[arg(long, value_name = "SIZE", value_parser = sample, default_value = "256")]
    pub(crate) length: u64,

    /// Wait for the memory if there is none yet, at most for so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = waiting, num_args = 0..=1, require_equals = true,
        default_missing_value = "")]
    pub(crate) wait: Option<Waiting>,
}

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
    /// Its name
    pub(crate) name: String,

    /// Start here
    #[arg(long, value_name = "SIZE", value_parser = size::parse, default_value = "0", hide_default_value = true)]
    pub(crate) offset: u64,

    /// This text, in UTF-8
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) text: Option<String>,

    /// These bytes, two hexadecimal digits each: "cafe 00 ff"
    #[arg(long, value_name = "DIGITS")]
    pub(crate) hex: Option<String>,

    /// The content of this file
    #[arg(long, value_name = "FILE")]
    pub(crate) from: Option<PathBuf>,

    /// What comes in on standard input
    #[arg(value_name = "-", value_parser = ["-"], hide_possible_values = true)]
    pub(crate) stdin: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(override_usage = "mmf run --share <LABEL=SIZE>... -- <COMMAND>...")]
pub(crate) struct Run {
    /// A memory of this size, under this label; can be given more than once
    #[arg(long, value_name = "LABEL=SIZE", required = true, value_parser = share)]
    pub(crate) share: Vec<Share>,

    /// The command, and its arguments
    #[arg(required = true, last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

#[derive(Clone, Debug)]
pub(crate) struct Share {
    pub(crate) label: String,
    pub(crate) len: u64,
}

fn share(text: &str) -> Result<Share, String> {
    let (label, len) = text.split_once('=').ok_or("write a label and a size, such as frames=32M")?;
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
    let time = time.ok_or("this is no time: write 100ms, 0.5s or 2s")?;
    let allowed = Duration::from_millis(10)..=Duration::from_secs(3600);
    if allowed.contains(&time) { Ok(time) } else { Err("write a time from 10ms to 3600s".to_owned()) }
}

fn sample(text: &str) -> Result<u64, String> {
    match size::parse(text)? {
        0 => Err("a sample has at least one byte".to_owned()),
        len if len > 1 << 16 => Err("a sample has at most 64K: dump shows more".to_owned()),
        len => Ok(len),
    }
}

fn waiting(text: &str) -> Result<Waiting, String> {
    if text.is_empty() { Ok(Waiting::Forever) } else { seconds(text).map(Waiting::For) }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 =
        text.parse().map_err(|_| "this is not a number of seconds: write 10 or 0.5".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|_| "seconds are at least 0, and not for ever".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        super::Args::command().debug_assert();
    }

    #[test]
    fn intervals_have_units_and_bounds() {
        let milliseconds = |text| super::interval(text).map(|time| time.as_millis());
        for (text, time) in [("100ms", 100), ("0.5s", 500), ("2", 2000), ("10ms", 10), ("3600", 3_600_000)] {
            assert_eq!(milliseconds(text), Ok(time), "{text}");
        }
        for text in ["", "ms", "soon", "9ms", "0", "-1", "3601s", "NaN", "inf", "1m"] {
            assert!(milliseconds(text).is_err(), "{text}");
        }
    }
}
