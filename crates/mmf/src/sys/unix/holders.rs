//! The visible processes that hold an object.
//!
//! The kernel lists the locks of all processes (`/proc/locks`), and hence all holders that use this library,
//! whatever their users. Holders among other programs appear in the descriptors and mappings of their
//! processes, which only their user and the superuser can read. Nothing is opened or locked for this.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::name::ObjectName;
use super::named;
use super::object_id::ObjectId;
use crate::sys::{Failure, FoundHolder};

/// The inode of the initial pid namespace. In any other one, processes outside are invisible.
const FIRST_NAMESPACE: u64 = 0xeffffffc;

/// A lock by which a process holds an object. An exclusive one keeps all others out.
struct Lock {
    process: u32,
    exclusive: bool,
}

fn locks(identity: ObjectId) -> Vec<Lock> {
    let (major, minor) = (libc::major(identity.0), libc::minor(identity.0));
    let object = format!("{major:02x}:{minor:02x}:{}", identity.1);
    let text = fs::read_to_string("/proc/locks").unwrap_or_default();
    // "1: FLOCK  ADVISORY  READ 2717 00:1a:5 0 EOF"; a waiting one has an arrow after its number.
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace().skip(1);
            let (kind, _, access) = (words.next()?, words.next()?, words.next()?);
            let (process, place) = (words.next()?.parse().ok()?, words.next()?);
            (kind == "FLOCK" && place == object).then_some(Lock { process, exclusive: access == "WRITE" })
        })
        .collect()
}

/// Returns the process that has locked the object of this name exclusively, if it can be determined.
pub(crate) fn exclusive_holder(name: &ObjectName) -> Option<FoundHolder> {
    let identity = named::identity_at(name)?;
    // (Locks that this library holds only for an instant do not block callers for seconds.)
    let lock = locks(identity).into_iter().find(|lock| lock.exclusive)?;
    Some(FoundHolder { program: program(lock.process), process: lock.process, may_write: None })
}

/// Returns all visible holders, and whether there can be no others.
pub(crate) fn holders(identity: ObjectId) -> Result<(Vec<FoundHolder>, bool), Failure> {
    holders_in(identity, usize::MAX)
}

/// As [`holders`], but examines at most `most` processes.
pub(super) fn holders_in(identity: ObjectId, most: usize) -> Result<(Vec<FoundHolder>, bool), Failure> {
    let mut found = Vec::new();
    // Only the superuser of the initial namespace can see everything.
    let mut complete = rustix::process::geteuid().is_root()
        && fs::metadata("/proc/self/ns/pid").is_ok_and(|namespace| namespace.ino() == FIRST_NAMESPACE);
    let numbers = fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    for (index, process) in numbers.enumerate() {
        if index == most {
            complete = false;
            break;
        }
        match examine(process, identity) {
            Examined::Holds(may_write) => found.push(holder(process, may_write)),
            Examined::Hidden => complete = false,
            Examined::Nothing => {}
        }
    }
    add_locks(&mut found, identity);
    Ok((found, complete))
}

/// Returns the holders among these processes and among those that the locks show.
pub(crate) fn holders_among(processes: &[u32], identity: ObjectId) -> Vec<FoundHolder> {
    let mut found = Vec::new();
    for &process in processes {
        if let Examined::Holds(may_write) = examine(process, identity) {
            found.push(holder(process, may_write));
        }
    }
    add_locks(&mut found, identity);
    found
}

/// Adds processes that only their locks show, since this user may not examine them.
fn add_locks(found: &mut Vec<FoundHolder>, identity: ObjectId) {
    for lock in locks(identity) {
        if found.iter().all(|holder| holder.process != lock.process) {
            match examine(lock.process, identity) {
                Examined::Holds(may_write) => found.push(holder(lock.process, may_write)),
                Examined::Hidden => found.push(holder(lock.process, None)),
                // The process has ended, or has passed its descriptor on.
                Examined::Nothing => {}
            }
        }
    }
    found.sort_by_key(|holder| holder.process);
}

fn holder(process: u32, may_write: Option<bool>) -> FoundHolder {
    FoundHolder { process, program: program(process), may_write }
}

enum Examined {
    /// The process holds the object; `Some(true)` if it can write to it.
    Holds(Option<bool>),
    Nothing,
    /// This user may not examine the process.
    Hidden,
}

fn examine(process: u32, identity: ObjectId) -> Examined {
    let directory = format!("/proc/{process}");
    let entries = match fs::read_dir(format!("{directory}/fd")) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => return Examined::Hidden,
        Err(_) => return Examined::Nothing,
    };
    let mut reads = false;
    for entry in entries.filter_map(Result::ok) {
        let path = entry.path();
        // Objects without a path (sockets, pipes) are skipped.
        if !fs::read_link(&path).is_ok_and(|target| target.as_os_str().as_bytes().starts_with(b"/")) {
            continue;
        }
        // Answered from the kernel's own records, without opening anything.
        if !fs::metadata(&path).is_ok_and(|file| (file.dev(), file.ino()) == identity) {
            continue;
        }
        // The mode of the link shows the rights of the descriptor.
        if fs::symlink_metadata(&path).is_ok_and(|link| link.mode() & 0o200 != 0) {
            return Examined::Holds(Some(true));
        }
        reads = true;
    }
    match mapped(Path::new(&directory), identity) {
        Some(true) => Examined::Holds(Some(true)),
        // A read-only mapping does not show whether it could be made writable.
        Some(false) if !reads => Examined::Holds(None),
        _ if reads => Examined::Holds(Some(false)),
        _ => Examined::Nothing,
    }
}

/// Returns whether a process has mapped an object, perhaps without a descriptor, and whether it can write to
/// it.
fn mapped(directory: &Path, identity: ObjectId) -> Option<bool> {
    let (major, minor) = (libc::major(identity.0), libc::minor(identity.0));
    let (device, number) = (format!("{major:02x}:{minor:02x}"), identity.1.to_string());
    let maps = fs::read(directory.join("maps")).ok()?;
    let maps = String::from_utf8_lossy(&maps);
    // "7f0a4c000000-7f0a4c001000 rw-s 00000000 00:1a 5 /dev/shm/x"
    let mut found = None;
    for line in maps.lines() {
        let mut words = line.split_whitespace().skip(1);
        let (access, _, of, object) = (words.next()?, words.next()?, words.next()?, words.next()?);
        if of == device && object == number {
            let writes = access.as_bytes().get(1) == Some(&b'w') && access.ends_with('s');
            found = Some(found.unwrap_or(false) || writes);
        }
    }
    found
}

/// Returns the file name of the program, or for another user's process its own title.
fn program(process: u32) -> Option<String> {
    let file = fs::read_link(format!("/proc/{process}/exe")).ok();
    let file = file.and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
    file.map(|file| file.strip_suffix(" (deleted)").map_or(file.clone(), str::to_owned)).or_else(|| {
        let name = fs::read(format!("/proc/{process}/comm")).ok()?;
        Some(String::from_utf8_lossy(&name).trim_end().to_owned())
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests;
