//! Large pages and preferred NUMA nodes.
//!
//! Linux offers large pages in two ways. `hugetlbfs` has a pool that an administrator fills. An object from
//! this pool always consists of large pages. Unnamed regions use it. Named regions are on a tmpfs, where the
//! kernel uses huge pages where it can ("transparent" ones) if the mount permits them and the mapping
//! requests them. Such pages are only advised, and are reported as such.

#[cfg(target_os = "linux")]
pub(super) use linux::{advised, allocate, large_bytes, node_of, of, prefer_node, refused};
#[cfg(not(target_os = "linux"))]
pub(super) use others::{advised, large_bytes, node_of, of};
#[cfg(target_os = "android")]
pub(super) use others::{allocate, prefer_node, refused};

#[cfg(target_os = "linux")]
mod linux {
    use std::os::fd::BorrowedFd;
    use std::{fs, ptr};

    use rustix::fs::{FallocateFlags, fallocate, fstatfs};
    use rustix::io::Errno;
    use rustix::mm::{MapFlags, ProtFlags};

    use crate::sys::{Failure, Pages, Reason};

    // HUGETLBFS_MAGIC of magic.h.
    const HUGETLBFS: u64 = 0x958_458F6;

    /// Returns the page size of an object from outside.
    pub(in crate::sys) fn of(fd: BorrowedFd<'_>) -> Pages {
        #[allow(
            clippy::useless_conversion,
            clippy::unnecessary_fallible_conversions,
            reason = "the widths differ"
        )]
        match fstatfs(fd) {
            Ok(system) if u64::try_from(system.f_type) == Ok(HUGETLBFS) => {
                u64::try_from(system.f_bsize).map_or(Pages::Ordinary, Pages::Large)
            }
            _ => Pages::Ordinary,
        }
    }

    /// Translates a failure to create a region from the pool.
    pub(in crate::sys) fn refused(errno: Errno) -> Failure {
        match errno {
            Errno::INVAL | Errno::NOENT | Errno::NOSYS | Errno::NODEV | Errno::PERM => {
                Failure { reason: Reason::Unsupported, ..errno.into() }
            }
            _ => errno.into(),
        }
    }

    /// Allocates all huge pages of an object now, so that none is missing later.
    pub(in crate::sys) fn allocate(fd: BorrowedFd<'_>, len: u64) -> Result<Pages, Failure> {
        let Pages::Large(size) = of(fd) else { return Err(Failure::new(Reason::Unsupported)) };
        let whole = len.checked_next_multiple_of(size).ok_or(Failure::new(Reason::TooLarge))?;
        let free = free_in_pool(size).unwrap_or(0).saturating_mul(size);
        if whole > free {
            return Err(Failure::new(Reason::NoLargePages).with_figure(free));
        }
        fallocate(fd, FallocateFlags::empty(), 0, whole).map_err(|errno| match errno {
            Errno::NOSPC | Errno::NOMEM => Failure { reason: Reason::NoLargePages, ..errno.into() },
            _ => errno.into(),
        })?;
        Ok(Pages::Large(size))
    }

    fn free_in_pool(size: u64) -> Option<u64> {
        let path = format!("/sys/kernel/mm/hugepages/hugepages-{}kB/free_hugepages", size / 1024);
        fs::read_to_string(path).ok()?.trim().parse().ok()
    }

    /// Returns the size of transparent huge pages, if the kernel uses them for mappings of named regions that
    /// request them.
    pub(in crate::sys) fn advised() -> Result<Pages, Failure> {
        const PLACE: &str = "/sys/kernel/mm/transparent_hugepage";
        let read = |file: &str| fs::read_to_string(format!("{PLACE}/{file}"));
        // The active choice is in brackets. Two of the choices override the mount option.
        let choice = read("shmem_enabled").map_err(|_| Failure::new(Reason::Unsupported))?;
        if choice.contains("[deny]") || !(choice.contains("[force]") || is_mounted_for_them()) {
            return Err(Failure::new(Reason::NoLargePages));
        }
        let size = read("hpage_pmd_size").ok().and_then(|text| text.trim().parse().ok());
        size.map(Pages::Advised).ok_or(Failure::new(Reason::Unsupported))
    }

    /// Whether the mount of named regions permits huge pages.
    fn is_mounted_for_them() -> bool {
        let Ok(mounts) = fs::read_to_string("/proc/self/mountinfo") else { return false };
        // "22 1 0:20 / /dev/shm rw,nosuid shared:4 - tmpfs tmpfs rw,size=…,huge=advise"; the last mount at a
        // path is the visible one.
        let mount = mounts.lines().rfind(|line| line.split(' ').nth(4) == Some("/dev/shm"));
        let options = mount.and_then(|line| line.split(' ').next_back()).unwrap_or("");
        options.split(',').any(|option| matches!(option, "huge=advise" | "huge=within_size" | "huge=always"))
    }

    /// Returns how many bytes of the mapping at an address are in huge pages.
    pub(in crate::sys) fn large_bytes(address: usize) -> Result<u64, Failure> {
        let maps = fs::read_to_string("/proc/self/smaps")?;
        let (mut inside, mut bytes) = (false, 0);
        for line in maps.lines() {
            // "7f0000000000-7f0000200000 rw-s …", or "Key:   123 kB".
            let mut words = line.split_ascii_whitespace();
            let first = words.next().unwrap_or("");
            if let Some(key) = first.strip_suffix(':') {
                if inside
                    && matches!(
                        key,
                        "ShmemPmdMapped" | "FilePmdMapped" | "Shared_Hugetlb" | "Private_Hugetlb"
                    )
                {
                    bytes += words.next().and_then(|number| number.parse::<u64>().ok()).unwrap_or(0) * 1024;
                }
            } else if let Some((start, end)) = first.split_once('-') {
                let number = |text| usize::from_str_radix(text, 16).unwrap_or(0);
                inside = (number(start)..number(end)).contains(&address);
            }
        }
        Ok(bytes)
    }

    // MPOL_PREFERRED of mempolicy.h.
    const PREFERRED: libc::c_long = 1;

    /// Prefers the RAM of a node for the pages of an object, as long as the node has free RAM. The preference
    /// is a property of the object.
    pub(in crate::sys) fn prefer_node(fd: BorrowedFd<'_>, len: u64, node: u32) -> Result<(), Failure> {
        if !online().is_some_and(|nodes| nodes.contains(&node)) {
            return Err(Failure::new(Reason::NoSuchNode));
        }
        let len = usize::try_from(len).map_err(|_| Failure::new(Reason::TooLarge))?;
        // SAFETY: `mmap` has no memory requirements without `MAP_FIXED`: with a null hint the kernel chooses
        // a free range, so no existing mapping changes.
        let base =
            unsafe { rustix::mm::mmap(ptr::null_mut(), len, ProtFlags::empty(), MapFlags::SHARED, fd, 0) }?;
        let mut nodes = [0_u64; 16];
        let bits = nodes.len() * 64;
        let result = match nodes.get_mut(node as usize / 64) {
            Some(word) => {
                *word = 1 << (node % 64);
                // SAFETY: the range is the mapping above, which nothing else uses. The kernel reads one bit
                // fewer than the count that is passed: exactly the bits of the mask. The call changes no
                // byte.
                let result = unsafe {
                    libc::syscall(libc::SYS_mbind, base, len, PREFERRED, nodes.as_ptr(), bits + 1, 0)
                };
                match std::io::Error::last_os_error() {
                    _ if result == 0 => Ok(()),
                    // The kernel has no NUMA support.
                    error if error.raw_os_error() == Some(libc::ENOSYS) => {
                        Err(Failure { reason: Reason::NoSuchNode, ..error.into() })
                    }
                    error => Err(error.into()),
                }
            }
            None => Err(Failure::new(Reason::NoSuchNode)),
        };
        // SAFETY: `mmap` returned this range above, and nothing refers to it.
        let unmapped = unsafe { rustix::mm::munmap(base, len) };
        debug_assert!(unmapped.is_ok(), "munmap: {unmapped:?}");
        result
    }

    /// Returns the NUMA nodes of the machine.
    fn online() -> Option<Vec<u32>> {
        let text = fs::read_to_string("/sys/devices/system/node/online").ok()?;
        let mut nodes = Vec::new();
        for part in text.trim().split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            nodes.extend(first.parse::<u32>().ok()?..=last.parse::<u32>().ok()?);
        }
        Some(nodes)
    }

    /// Returns the node whose RAM holds the page at an address.
    pub(in crate::sys) fn node_of(address: *mut u8) -> Result<Option<u32>, Failure> {
        let page = super::super::memory::page_size();
        let start = address.map_addr(|address| address & !(page - 1));
        let mut status: libc::c_int = -1;
        let pages = [start];
        // SAFETY: one page and one result, which is valid to write. Without target nodes the call moves
        // nothing.
        let result = unsafe {
            libc::syscall(
                libc::SYS_move_pages,
                0,
                1_usize,
                pages.as_ptr(),
                ptr::null::<libc::c_int>(),
                &raw mut status,
                0,
            )
        };
        if result != 0 {
            return Err(std::io::Error::last_os_error().into());
        }
        // A page that was never touched, or is swapped out, has a negative status.
        Ok(u32::try_from(status).ok())
    }
}

#[cfg(not(target_os = "linux"))]
mod others {
    use std::os::fd::BorrowedFd;

    use crate::sys::{Failure, Pages, Reason};

    pub(in crate::sys) fn of(_fd: BorrowedFd<'_>) -> Pages {
        Pages::Ordinary
    }

    pub(in crate::sys) fn advised() -> Result<Pages, Failure> {
        Err(Failure::new(Reason::Unsupported))
    }

    pub(in crate::sys) fn large_bytes(_address: usize) -> Result<u64, Failure> {
        Err(Failure::new(Reason::Unsupported))
    }

    pub(in crate::sys) fn node_of(_address: *mut u8) -> Result<Option<u32>, Failure> {
        Err(Failure::new(Reason::Unsupported))
    }

    #[cfg(target_os = "android")]
    pub(in crate::sys) fn prefer_node(_fd: BorrowedFd<'_>, _len: u64, _node: u32) -> Result<(), Failure> {
        Err(Failure::new(Reason::Unsupported))
    }

    #[cfg(target_os = "android")]
    pub(in crate::sys) fn allocate(_fd: BorrowedFd<'_>, _len: u64) -> Result<Pages, Failure> {
        Err(Failure::new(Reason::Unsupported))
    }

    #[cfg(target_os = "android")]
    pub(in crate::sys) fn refused(errno: rustix::io::Errno) -> Failure {
        errno.into()
    }
}
