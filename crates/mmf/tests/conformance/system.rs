//! Handles and descriptors, their rights, and system calls on views.

use mmf::{ErrorKind, ReadOnly, ReadWrite, SharedMemory};
use testkit::{Peer, Role, unique_name};

pub(crate) fn flush_prefetch_and_lock() {
    let memory = SharedMemory::anonymous(1 << 20).unwrap();
    for view in [
        memory.view().unwrap(),
        memory.view_at(70_001, 5000).unwrap(),
        memory.view().unwrap().subview(9, 4099).unwrap(),
    ] {
        view.write(&3_u32, 0).unwrap();
        view.flush().unwrap();
        view.prefetch().unwrap();
        assert_eq!(view.read::<u32>(0).unwrap(), 3);
    }
    let view = memory.view_at(12_345, 3000).unwrap();
    match view.lock_pages() {
        Ok(()) => view.unlock_pages().unwrap(),
        Err(error) => {
            // The limit of this process, or what is left of it.
            let expected = [ErrorKind::LimitReached, ErrorKind::OutOfMemory, ErrorKind::PermissionDenied];
            assert!(expected.contains(&error.kind()), "{error}")
        }
    }
}

/// A region that is taken over read-only cannot be written by the processes that receive it from this one.
pub(crate) fn from_handle_read_only_is_permanent() {
    if cfg!(target_vendor = "apple") {
        testkit::skip("a descriptor cannot be narrowed here");
    }
    let memory = SharedMemory::anonymous(4096).unwrap();
    #[cfg(unix)]
    let (reader, again) = {
        use mmf::os::unix::SharedMemoryExt;
        let reader = SharedMemory::<ReadOnly>::from_fd(memory.to_fd().unwrap()).unwrap();
        let again = SharedMemory::<ReadWrite>::from_fd(reader.to_fd().unwrap());
        (reader, again.map(drop))
    };
    #[cfg(windows)]
    let (reader, again) = {
        use mmf::os::windows::SharedMemoryExt;
        let reader = SharedMemory::<ReadOnly>::from_handle(memory.to_handle().unwrap()).unwrap();
        let again = SharedMemory::<ReadWrite>::from_handle(reader.to_handle().unwrap());
        (reader, again.map(drop))
    };
    assert_eq!(again.unwrap_err().kind(), ErrorKind::NotWritable);
    memory.view().unwrap().write(&9_u8, 7).unwrap();
    assert_eq!(reader.view().unwrap().read::<u8>(7).unwrap(), 9);
}

pub(crate) fn into_read_only_is_permanent() {
    let name = unique_name("narrow");
    let memory = SharedMemory::create(&name, 4096).unwrap();
    let writer = memory.view().unwrap();
    let read_only = memory.into_read_only().unwrap();
    assert_eq!(read_only.name().unwrap().text(), name);
    let reader = read_only.view().unwrap();
    // An earlier view keeps its right.
    writer.write(&5_u8, 0).unwrap();
    assert_eq!(reader.read::<u8>(0).unwrap(), 5);
    drop((writer, reader));
    // It is a holder like any other.
    assert!(SharedMemory::open(&name).is_ok());
    drop(read_only);
    assert_eq!(SharedMemory::open(&name).unwrap_err().kind(), ErrorKind::NotFound);
}

#[cfg(windows)]
mod here {
    use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};

    use mmf::os::windows::SharedMemoryExt;
    use windows_sys::Win32::Foundation::{DUPLICATE_SAME_ACCESS, DuplicateHandle, GetHandleInformation};
    use windows_sys::Win32::System::Memory::{FILE_MAP_WRITE, MapViewOfFile};
    use windows_sys::Win32::System::Threading::{CreateEventW, GetCurrentProcess};

    use super::*;

    pub(crate) fn handles_in_and_out() {
        let memory = SharedMemory::anonymous(10_000).unwrap();
        let same = SharedMemory::<ReadWrite>::from_handle(memory.to_handle().unwrap()).unwrap();
        same.view().unwrap().write(&77_u8, 9_000).unwrap();
        assert_eq!(memory.view().unwrap().read::<u8>(9_000).unwrap(), 77);
        assert_eq!((same.len(), same.name()), (memory.len(), None));
        let reader =
            SharedMemory::<ReadOnly>::from_handle(memory.into_read_only().unwrap().to_handle().unwrap())
                .unwrap();
        assert_eq!(reader.view().unwrap().read::<u8>(9_000).unwrap(), 77);
        // It has no more rights than it should.
        let error = SharedMemory::<ReadWrite>::from_handle(reader.to_handle().unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotWritable);
    }

    pub(crate) fn invalid_handles() {
        // SAFETY: a new event without a name.
        let event = unsafe { CreateEventW(std::ptr::null(), 1, 0, std::ptr::null()) };
        // SAFETY: the call returned a handle that no other code owns.
        let event = unsafe { OwnedHandle::from_raw_handle(event) };
        let file = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
        for handle in [event, file.into()] {
            let error = SharedMemory::<ReadOnly>::from_handle(handle).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotSharedMemory, "{error}");
        }
    }

    pub(crate) fn read_only_handles_stay_read_only() {
        for name in [None, Some(unique_name("stay"))] {
            let memory = match &name {
                Some(name) => SharedMemory::create(name, 4096).unwrap(),
                None => SharedMemory::anonymous(4096).unwrap(),
            };
            let read_only = memory.into_read_only().unwrap();
            let handle = read_only.as_raw_handle();
            // SAFETY: an open handle; an address that the system chooses.
            let view = unsafe { MapViewOfFile(handle, FILE_MAP_WRITE, 0, 0, 0) };
            assert!(view.Value.is_null(), "a read-only handle maps for writing");
            if name.is_some() {
                // A process that may open the name for writing may also do so through this handle.
                continue;
            }
            let mut wider = std::ptr::null_mut();
            // SAFETY: it has no requirements.
            let process = unsafe { GetCurrentProcess() };
            // SAFETY: open handles and a valid location.
            let result =
                unsafe { DuplicateHandle(process, handle, process, &mut wider, FILE_MAP_WRITE, 0, 0) };
            assert_eq!(result, 0, "a read-only handle was widened");
            let _ = DUPLICATE_SAME_ACCESS;
        }
    }

    pub(crate) fn only_this_user_may_open() {
        use windows_sys::Win32::Security::{
            ACL, DACL_SECURITY_INFORMATION, GetKernelObjectSecurity, GetSecurityDescriptorDacl,
        };
        // Wine has only one user: the descriptor has one entry, which allows everything, and inherits
        // nothing.
        let memory = SharedMemory::create(unique_name("user"), 4096).unwrap();
        let mut descriptor = [0_u64; 64];
        let (mut needed, mut present, mut defaulted) = (0, 0, 0);
        let place = descriptor.as_mut_ptr().cast();
        // SAFETY: an open handle, and a buffer of the given length.
        let read = unsafe {
            GetKernelObjectSecurity(
                memory.as_raw_handle(),
                DACL_SECURITY_INFORMATION,
                place,
                512,
                &mut needed,
            )
        };
        assert_ne!(read, 0, "{}", std::io::Error::last_os_error());
        let mut list: *mut ACL = std::ptr::null_mut();
        // SAFETY: a valid descriptor and valid locations.
        unsafe { GetSecurityDescriptorDacl(place, &mut present, &mut list, &mut defaulted) };
        assert!(present != 0 && !list.is_null(), "a missing list admits every user");
        // SAFETY: the list is in the descriptor.
        assert_eq!(unsafe { (*list).AceCount }, 1);
    }

    pub(crate) fn other_users_cannot_reopen_a_descriptor() {
        testkit::skip("handles are not names here");
    }

    pub(crate) fn role_other_user(_: &mut Role) {}

    pub(crate) fn children_inherit_nothing() {
        let name = unique_name("inherit");
        let _: fn(&str, &[&str]) -> Peer = Peer::start;
        let memory = SharedMemory::create(&name, 4096).unwrap();
        for memory in [SharedMemory::anonymous(1).unwrap(), SharedMemory::open(&name).unwrap(), memory] {
            let mut flags = u32::MAX;
            // SAFETY: an open handle and a valid location.
            assert_ne!(unsafe { GetHandleInformation(memory.as_raw_handle(), &mut flags) }, 0);
            assert_eq!(flags, 0);
        }
    }

    pub(crate) fn role_list_handles(_: &mut Role) {}
}

#[cfg(unix)]
mod here {
    use std::fs::File;
    use std::os::fd::{AsRawFd, OwnedFd};
    use std::os::unix::fs::PermissionsExt;

    use mmf::os::unix::SharedMemoryExt;

    use super::*;

    pub(crate) fn handles_in_and_out() {
        let memory = SharedMemory::anonymous(10_000).unwrap();
        let same = SharedMemory::<ReadWrite>::from_fd(memory.to_fd().unwrap()).unwrap();
        same.view().unwrap().write(&77_u8, 9_000).unwrap();
        assert_eq!(memory.view().unwrap().read::<u8>(9_000).unwrap(), 77);
        assert_eq!((same.len(), same.name()), (memory.len(), None));
        if cfg!(target_vendor = "apple") {
            return;
        }
        let reader =
            SharedMemory::<ReadOnly>::from_fd(memory.into_read_only().unwrap().to_fd().unwrap()).unwrap();
        assert_eq!(reader.view().unwrap().read::<u8>(9_000).unwrap(), 77);
        // It has no more rights than it should.
        let error = SharedMemory::<ReadWrite>::from_fd(reader.to_fd().unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotWritable);
        // A descriptor of a named region is a holder.
        let name = unique_name("held");
        let descriptor = SharedMemory::create(&name, 10).unwrap().to_fd().unwrap();
        assert!(SharedMemory::open(&name).is_ok());
        drop(descriptor);
        assert_eq!(SharedMemory::open(&name).unwrap_err().kind(), ErrorKind::NotFound);
        // A process that takes it over removes the name in the end.
        let descriptor = SharedMemory::create(&name, 10).unwrap().to_fd().unwrap();
        let adopted = SharedMemory::<ReadWrite>::from_fd(descriptor).unwrap();
        assert!(SharedMemory::open(&name).is_ok());
        drop(adopted);
        assert!(mmf::inspect::list().unwrap().iter().all(|entry| entry.text() != name), "it was left behind");
    }

    pub(crate) fn invalid_handles() {
        let (pipe, _other_end) = std::os::unix::net::UnixStream::pair().unwrap();
        let directory = File::open("/").unwrap();
        let device = File::open("/dev/null").unwrap();
        for descriptor in [OwnedFd::from(pipe), directory.into(), device.into()] {
            let error = SharedMemory::<ReadOnly>::from_fd(descriptor).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotSharedMemory, "{error}");
        }
    }

    pub(crate) fn read_only_handles_stay_read_only() {
        let memory = SharedMemory::create(unique_name("stay"), 4096).unwrap().into_read_only().unwrap();
        let flags = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at an address that the system chooses.
        let address =
            unsafe { libc::mmap(std::ptr::null_mut(), 4096, flags, libc::MAP_SHARED, memory.as_raw_fd(), 0) };
        assert_eq!(address, libc::MAP_FAILED, "a read-only descriptor maps for writing");
        let view = memory.view().unwrap();
        // SAFETY: the page is this view's.
        let result = unsafe { libc::mprotect(view.as_ptr().cast_mut().cast(), 4096, flags) };
        assert_eq!(result, -1, "a read-only view was made writable");
    }

    pub(crate) fn other_users_cannot_reopen_a_descriptor() {
        if !cfg!(target_os = "linux") {
            testkit::skip("there is no /proc here");
        }
        let memory = SharedMemory::anonymous(4096).unwrap();
        let mode = File::from(memory.to_fd().unwrap()).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    /// Returns whether another user can open a region of this mode for writing, and for reading.
    pub(crate) fn as_other_user(mode: u32, to_write: &str, to_read: &str) {
        if !cfg!(target_os = "linux") {
            testkit::skip("a shared memory object's mode cannot be changed here");
        }
        crate::users::need_root();
        let text = unique_name("user");
        let _memory = SharedMemory::create(format!(r"Global\{text}"), 4096).unwrap();
        let path = format!("/dev/shm/{text}");
        let marks = std::fs::metadata(&path).unwrap().permissions().mode() & 0o7000;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(marks | mode)).unwrap();
        let mut other = crate::users::play(65534, 65534, "system::role_other_user", &[&text]);
        assert_eq!([other.peer.hear(), other.peer.hear()], [to_write, to_read]);
        assert!(other.peer.wait().success());
    }

    pub(crate) fn role_other_user(role: &mut Role) {
        let name = format!(r"Global\{}", role.argument(0));
        role.say(
            SharedMemory::open(&name)
                .map_or_else(|error| format!("{:?}", error.kind()), |memory| memory.len().to_string()),
        );
        role.say(
            SharedMemory::open_read_only(&name)
                .map_or_else(|error| format!("{:?}", error.kind()), |memory| memory.len().to_string()),
        );
        // It can neither see nor create the name.
        assert_eq!(SharedMemory::create(&name, 1).unwrap_err().kind(), ErrorKind::AlreadyExists);
    }

    pub(crate) fn only_this_user_may_open() {
        as_other_user(0o600, "PermissionDenied", "PermissionDenied");
    }

    pub(crate) fn children_inherit_nothing() {
        if !cfg!(target_os = "linux") {
            testkit::skip("descriptors cannot be listed with their targets here");
        }
        let name = unique_name("inherit");
        let held = (
            SharedMemory::create(&name, 4096).unwrap(),
            SharedMemory::open(&name).unwrap(),
            SharedMemory::anonymous(4096).unwrap(),
            SharedMemory::anonymous(4096).unwrap().into_read_only().unwrap(),
        );
        let mut peer = Peer::start("system::role_list_handles", &[]);
        let list = peer.hear();
        assert!(!list.contains("/dev/shm") && !list.contains("memfd"), "{list}");
        peer.finish();
        drop(held);
    }

    pub(crate) fn role_list_handles(role: &mut Role) {
        let descriptors = std::fs::read_dir("/proc/self/fd").unwrap();
        let targets: Vec<_> =
            descriptors.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok()).collect();
        role.say(format!("{targets:?}"));
    }
}

pub(crate) use here::*;

testkit::registry! {
    system
    tests {
        handles_in_and_out
        invalid_handles
        read_only_handles_stay_read_only
        into_read_only_is_permanent
        from_handle_read_only_is_permanent
        flush_prefetch_and_lock
        only_this_user_may_open
        children_inherit_nothing
        other_users_cannot_reopen_a_descriptor
    }
    roles {
        role_other_user
        role_list_handles
    }
}
