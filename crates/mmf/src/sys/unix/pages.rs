//! Large pages, and the node whose RAM pages are taken from.
//!
//! Linux has two ways to large pages. `hugetlbfs` has a pool that an administrator fills; what is made of it is large for sure.
//! A memory without a name comes from there. Named memories live on a tmpfs, where the kernel puts huge pages in where it
//! can ("transparent" ones), if the file system is mounted so that it may and the mapping asks for it: that is advice, and called
//! so.

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

    /// What an object that came from elsewhere is made of.
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

    /// Why there is no memory made of the pool.
    pub(in crate::sys) fn refused(errno: Errno) -> Failure {
        match errno {
            Errno::INVAL | Errno::NOENT | Errno::NOSYS | Errno::NODEV | Errno::PERM => {
                Failure { reason: Reason::Unsupported, ..errno.into() }
            }
            _ => errno.into(),
        }
    }

    /// Takes whole huge pages out of the pool now, so that none is missing later.
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

    /// Whether the kernel makes huge pages for named memory whose mappings ask for it.
    pub(in crate::sys) fn advised() -> Result<Pages, Failure> {
        const PLACE: &str = "/sys/kernel/mm/transparent_hugepage";
        let read = |file: &str| fs::read_to_string(format!("{PLACE}/{file}"));
        // The choice that is in force stands in brackets. Two of them stand above what a mount says.
        let choice = read("shmem_enabled").map_err(|_| Failure::new(Reason::Unsupported))?;
        if choice.contains("[deny]") || !(choice.contains("[force]") || is_mounted_for_them()) {
            return Err(Failure::new(Reason::NoLargePages));
        }
        let size = read("hpage_pmd_size").ok().and_then(|text| text.trim().parse().ok());
        size.map(Pages::Advised).ok_or(Failure::new(Reason::Unsupported))
    }

    /// Whether the place of named memories is mounted so that huge pages are made there.
    fn is_mounted_for_them() -> bool {
        let Ok(mounts) = fs::read_to_string("/proc/self/mountinfo") else { return false };
        // "22 1 0:20 / /dev/shm rw,nosuid shared:4 - tmpfs tmpfs rw,size=…,huge=advise"; the last one at a place is seen.
        let mount = mounts.lines().rfind(|line| line.split(' ').nth(4) == Some("/dev/shm"));
        let options = mount.and_then(|line| line.split(' ').next_back()).unwrap_or("");
        options.split(',').any(|option| matches!(option, "huge=advise" | "huge=within_size" | "huge=always"))
    }

    /// How many bytes of the mapping at an address are in huge pages.
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

    /// Takes the pages of an object from the RAM of a node, as long as it has some. The wish belongs to the object.
    pub(in crate::sys) fn prefer_node(fd: BorrowedFd<'_>, len: u64, node: u32) -> Result<(), Failure> {
        if !online().is_some_and(|nodes| nodes.contains(&node)) {
            return Err(Failure::new(Reason::NoSuchNode));
        }
        let len = usize::try_from(len).map_err(|_| Failure::new(Reason::TooLarge))?;
        // SAFETY: a null hint lets the kernel choose the place, so nothing that is mapped already is touched.
        let base =
            unsafe { rustix::mm::mmap(ptr::null_mut(), len, ProtFlags::empty(), MapFlags::SHARED, fd, 0) }?;
        let mut nodes = [0_u64; 16];
        let bits = nodes.len() * 64;
        let result = match nodes.get_mut(node as usize / 64) {
            Some(word) => {
                *word = 1 << (node % 64);
                // SAFETY: the range is the mapping above, which nobody uses; the nodes are as many bits as said (the kernel
                // counts one more). It changes no byte.
                let result = unsafe {
                    libc::syscall(libc::SYS_mbind, base, len, PREFERRED, nodes.as_ptr(), bits + 1, 0)
                };
                match std::io::Error::last_os_error() {
                    _ if result == 0 => Ok(()),
                    // A kernel that knows of no nodes.
                    error if error.raw_os_error() == Some(libc::ENOSYS) => {
                        Err(Failure { reason: Reason::NoSuchNode, ..error.into() })
                    }
                    error => Err(error.into()),
                }
            }
            None => Err(Failure::new(Reason::NoSuchNode)),
        };
        // SAFETY: this is the range that mmap gave above, and nobody has its address.
        let unmapped = unsafe { rustix::mm::munmap(base, len) };
        debug_assert!(unmapped.is_ok(), "munmap: {unmapped:?}");
        result
    }

    /// The nodes of the machine.
    fn online() -> Option<Vec<u32>> {
        let text = fs::read_to_string("/sys/devices/system/node/online").ok()?;
        let mut nodes = Vec::new();
        for part in text.trim().split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            nodes.extend(first.parse::<u32>().ok()?..=last.parse::<u32>().ok()?);
        }
        Some(nodes)
    }

    /// The node in whose RAM the page at an address is.
    pub(in crate::sys) fn node_of(address: *mut u8) -> Result<Option<u32>, Failure> {
        let page = super::super::memory::page_size();
        let start = address.map_addr(|address| address & !(page - 1));
        let mut status: libc::c_int = -1;
        let pages = [start];
        // SAFETY: one page, and one place for its answer. Without target nodes it moves nothing and only looks pages up.
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
        // A page that nobody has touched, or that is swapped out, has a negative answer.
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
