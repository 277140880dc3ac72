//! The facts that explain a refusal, which the kernel reports in `/proc` and `/sys`. They are read only after
//! a failure.

use crate::sys::{Confinement, FaultSign, Holders, MapLimits, MemoryGroup};

/// Translates a signal and its code into the cause of a fault.
pub(crate) fn fault_sign(code: u32, detail: i32) -> FaultSign {
    // BUS_MCEERR_AR of Linux: the faulting instruction itself accessed the failed memory.
    const MEMORY_ERROR: i32 = 4;
    if code != libc::SIGBUS.unsigned_abs() {
        // macOS sends SIGBUS for some of these faults; there the length identifies missing pages.
        return FaultSign::Inaccessible;
    }
    if cfg!(target_os = "linux") && detail == MEMORY_ERROR {
        return FaultSign::BadMemory;
    }
    FaultSign::Unbacked
}

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) use linux::{
    confinement, holders_of, is_locked, map_limits, memory_group, open_files, pool, promised,
};
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) use others::{confinement, holders_of, map_limits, memory_group, open_files, pool, promised};

#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux {
    use std::fs;
    use std::path::{Path, PathBuf};

    use rustix::process::{Resource, getrlimit};

    use super::{Confinement, Holders, MapLimits, MemoryGroup};

    fn text(path: impl AsRef<Path>) -> Option<String> {
        fs::read_to_string(path).ok()
    }

    fn number(path: impl AsRef<Path>) -> Option<u64> {
        text(path)?.trim().parse().ok()
    }

    /// Returns the limit of the nearest control group that has one.
    pub(crate) fn memory_group() -> Option<MemoryGroup> {
        let groups = text("/proc/self/cgroup")?;
        let mounts = text("/proc/self/mountinfo")?;
        // "4:memory:/a" (version 1), "0::/a" (version 2).
        groups.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':');
            let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
            let (kind, limit, used) = match controllers {
                "" => ("cgroup2", "memory.max", "memory.current"),
                names if names.split(',').any(|name| name == "memory") => {
                    ("cgroup", "memory.limit_in_bytes", "memory.usage_in_bytes")
                }
                _ => return None,
            };
            let (root, place) = mounts.lines().find_map(|line| mount_of_group(line, kind))?;
            let inside = path.strip_prefix(root).unwrap_or(path).trim_start_matches('/');
            let mut group = Path::new(place).join(inside);
            if !group.starts_with(place) || !group.exists() {
                // The path leads out of the visible hierarchy, so the visible root is used instead.
                group = PathBuf::from(place);
            }
            while group.starts_with(place) {
                // "max" is no number, and version 1 reports a number that exceeds every machine.
                let found = number(group.join(limit)).filter(|limit| *limit < 1 << 60);
                if let Some((limit, used)) = found.zip(number(group.join(used))) {
                    return Some(MemoryGroup { used, limit });
                }
                group = group.parent()?.to_owned();
            }
            None
        })
    }

    /// Parses "31 23 0:26 /root /place rw shared:9 - cgroup2 cgroup2 rw" into the root and the mount point.
    fn mount_of_group<'l>(line: &'l str, kind: &str) -> Option<(&'l str, &'l str)> {
        let (mount, system) = line.split_once(" - ")?;
        let mut words = system.split(' ');
        let (found, options) = (words.next()?, words.nth(1)?);
        if found != kind || (kind == "cgroup" && !options.split(',').any(|option| option == "memory")) {
            return None;
        }
        let mut words = mount.split(' ').skip(3);
        Some((words.next()?, words.next()?))
    }

    /// Returns the free bytes in the pool of huge pages of one size.
    pub(crate) fn pool(size: u64) -> Option<u64> {
        let path = format!("/sys/kernel/mm/hugepages/hugepages-{}kB/free_hugepages", size / 1024);
        Some(number(path)?.saturating_mul(size))
    }

    /// Returns the number of bytes that a file such as `/proc/self/status` reports for a key.
    fn kilobytes(text: &str, key: &str) -> Option<u64> {
        let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
        Some(rest.trim().trim_end_matches("kB").trim().parse::<u64>().ok()?.saturating_mul(1024))
    }

    /// Returns the number of mappings of this process and the largest free address range below the last one.
    ///
    /// The file is read in pieces: where no mapping can be added, no large allocation succeeds either.
    fn mappings() -> Option<(u64, u64)> {
        use std::io::Read;
        let mut maps = fs::File::open("/proc/self/maps").ok()?;
        let (mut count, mut gap, mut end) = (0, 0, 0);
        // "7f0000000000-7f0000200000 rw-s …": only the two numbers matter here.
        let (mut start, mut value, mut in_numbers) = (0_u64, 0_u64, true);
        let mut piece = [0; 4096];
        loop {
            let len = match maps.read(&mut piece) {
                Ok(0) => return Some((count, gap)),
                Ok(len) => len,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(_) => return None,
            };
            for byte in &piece[..len] {
                match byte {
                    b'\n' => (in_numbers, value) = (true, 0),
                    b'-' if in_numbers => (start, value) = (value, 0),
                    b' ' if in_numbers => {
                        in_numbers = false;
                        // The kernel's own page above all addresses of the process does not count.
                        if start < u64::MAX / 2 {
                            count += 1;
                            gap = gap.max(start.saturating_sub(end));
                            end = value;
                        }
                    }
                    digit if in_numbers => {
                        value = value << 4 | u64::from(char::from(*digit).to_digit(16).unwrap_or(0));
                    }
                    _ => {}
                }
            }
        }
    }

    pub(crate) fn map_limits() -> MapLimits {
        let status = text("/proc/self/status").unwrap_or_default();
        let of = |key, resource| kilobytes(&status, key).zip(getrlimit(resource).current);
        let mappings = mappings();
        let memory = || text("/proc/meminfo").unwrap_or_default();
        let commits = number("/proc/sys/vm/overcommit_memory");
        MapLimits {
            mappings: mappings.and_then(|(count, _)| Some((count, number("/proc/sys/vm/max_map_count")?))),
            address_space: of("VmSize:", Resource::As),
            data: of("VmData:", Resource::Data),
            locked: of("VmLck:", Resource::Memlock),
            commit: (commits == Some(2)).then(memory).and_then(|memory| {
                let limit = kilobytes(&memory, "CommitLimit:")?;
                Some((limit.saturating_sub(kilobytes(&memory, "Committed_AS:")?), limit))
            }),
            most_private: (commits == Some(0)).then(memory).and_then(|memory| {
                kilobytes(&memory, "MemTotal:")?.checked_add(kilobytes(&memory, "SwapTotal:")?)
            }),
            gap: mappings.map(|(_, gap)| gap),
        }
    }

    pub(crate) fn confinement() -> Confinement {
        let label = text("/proc/self/attr/apparmor/current").or_else(|| text("/proc/self/attr/current"));
        let label = label.map(|label| label.trim_end_matches(['\0', '\n']).to_owned());
        let status = text("/proc/self/status").unwrap_or_default();
        let seccomp = status.lines().find_map(|line| line.strip_prefix("Seccomp:"));
        let snap = std::env::var("SNAP_INSTANCE_NAME").or_else(|_| std::env::var("SNAP_NAME")).ok();
        // The profile of a snap's program is named snap.NAME.APP.
        let profile = label.as_deref().and_then(|label| label.strip_prefix("snap.")?.split('.').next());
        let container = if Path::new("/.flatpak-info").exists() {
            Some("Flatpak")
        } else if Path::new("/.dockerenv").exists() {
            Some("Docker")
        } else if Path::new("/run/.containerenv").exists() {
            Some("Podman")
        } else {
            None
        };
        Confinement {
            snap: profile.map(str::to_owned).or_else(|| snap.filter(|name| !name.is_empty())),
            label: label.filter(|label| !label.is_empty() && label != "unconfined" && label != "kernel"),
            seccomp: seccomp.is_some_and(|mode| mode.trim() == "2"),
            container,
        }
    }

    /// Whether any process of the visible pid namespace holds a lock on an object, of whatever kind.
    pub(crate) fn is_locked(device: u64, inode: u64) -> Option<bool> {
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        let key = format!("{major:02x}:{minor:02x}:{inode}");
        // "1: FLOCK  ADVISORY  READ 24466 fe:00:845051 0 EOF"; the locks of open file descriptions are listed
        // as OFDLCK.
        let locks = text("/proc/locks")?;
        Some(locks.lines().any(|line| line.split_ascii_whitespace().any(|word| word == key)))
    }

    /// The maximum number of processes or objects that are examined, so that a refusal does not take seconds.
    const MOST: usize = 4096;

    /// Returns the other processes that have an object open or mapped, as far as this user may see.
    pub(crate) fn holders_of(device: u64, inode: u64) -> Holders {
        let Ok((found, complete)) = super::super::holders::holders_in((device, inode), MOST) else {
            return Holders::default();
        };
        let others = found.into_iter().map(|holder| holder.process).filter(|id| *id != std::process::id());
        Holders { known: others.collect(), complete }
    }

    /// Returns the bytes within the lengths of named objects that have no pages yet.
    pub(crate) fn promised() -> Option<u64> {
        use std::os::unix::fs::MetadataExt;
        let lacks = |entry: fs::DirEntry| {
            let data = entry.metadata().ok().filter(fs::Metadata::is_file)?;
            Some(data.len().saturating_sub(data.blocks().saturating_mul(512)))
        };
        let entries = fs::read_dir("/dev/shm").ok()?.flatten();
        Some(entries.take(MOST).filter_map(lacks).fold(0, u64::saturating_add))
    }

    /// Returns the number of open files of the machine, and its maximum.
    pub(crate) fn open_files() -> Option<(u64, u64)> {
        let text = text("/proc/sys/fs/file-nr")?;
        let mut numbers = text.split_ascii_whitespace().map(str::parse);
        Some((numbers.next()?.ok()?, numbers.nth(1)?.ok()?))
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn limits_of_this_process_are_read() {
            let limits = map_limits();
            let (mappings, most) = limits.mappings.unwrap_or_default();
            assert!(mappings > 5 && most > mappings, "{limits:?}");
            assert!(limits.gap.is_some_and(|gap| gap > 1 << 28), "{limits:?}");
        }

        #[test]
        fn mounts_of_control_groups_are_parsed() {
            let second = "31 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw";
            assert_eq!(mount_of_group(second, "cgroup2"), Some(("/", "/sys/fs/cgroup")));
            let first = "36 25 0:31 /a /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory";
            assert_eq!(mount_of_group(first, "cgroup"), Some(("/a", "/sys/fs/cgroup/memory")));
            assert_eq!(mount_of_group(first, "cgroup2"), None);
            let other = "36 25 0:31 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu";
            assert_eq!(mount_of_group(other, "cgroup"), None);
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod others {
    use super::{Confinement, Holders, MapLimits, MemoryGroup};

    pub(crate) fn memory_group() -> Option<MemoryGroup> {
        None
    }

    pub(crate) fn pool(_size: u64) -> Option<u64> {
        None
    }

    pub(crate) fn map_limits() -> MapLimits {
        MapLimits::default()
    }

    pub(crate) fn confinement() -> Confinement {
        Confinement::default()
    }

    pub(crate) fn holders_of(_device: u64, _inode: u64) -> Holders {
        Holders::default()
    }

    pub(crate) fn open_files() -> Option<(u64, u64)> {
        None
    }

    pub(crate) fn promised() -> Option<u64> {
        None
    }
}
