use std::os::fd::{AsFd, AsRawFd};

use super::{holders, holders_among};
use crate::sys::process::identity;

/// Descriptors and mappings are found, each also without the other.
#[test]
fn this_process_is_found() {
    let name = format!("mmf-holders-{}", std::process::id());
    let path = std::env::temp_dir().join(name);
    let file = std::fs::File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    file.set_len(4096).unwrap();
    let object = identity(file.as_fd()).unwrap();
    let me = std::process::id();
    let seen = || {
        let (found, _) = holders(object).unwrap();
        let again = holders_among(&[me], object);
        assert_eq!(found, again);
        found.into_iter().find(|holder| holder.process == me).map(|holder| holder.may_write)
    };
    assert_eq!(seen(), Some(Some(true)));
    let reader = std::fs::File::open(&path).unwrap();
    // SAFETY: without `MAP_FIXED` the kernel chooses a free range, so no existing mapping changes.
    let base = unsafe {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        libc::mmap(std::ptr::null_mut(), 4096, protection, libc::MAP_SHARED, file.as_raw_fd(), 0)
    };
    drop(file);
    assert_eq!(seen(), Some(Some(true)));
    // SAFETY: `mmap` returned this range above, and nothing refers to it.
    unsafe { libc::munmap(base, 4096) };
    assert_eq!(seen(), Some(Some(false)));
    drop(reader);
    assert_eq!(seen(), None);
    std::fs::remove_file(path).unwrap();
}
