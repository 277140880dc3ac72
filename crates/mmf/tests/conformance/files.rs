//! Files as shared memory.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use mmf::file::FileOptions;
use mmf::{CopyOnWrite, Disposition, ErrorKind, ReadOnly, ReadWrite, SharedMemory};
use testkit::{Peer, Role, page_size, unique_name};

/// A path in the directory for temporary files, removed with the test.
pub(crate) struct Place(PathBuf);

impl Place {
    pub(crate) fn new(tag: &str) -> Self {
        Place(std::env::temp_dir().join(unique_name(tag)))
    }

    fn with(tag: &str, content: &[u8]) -> Self {
        let place = Place::new(tag);
        fs::write(&place.0, content).unwrap();
        place
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    fn text(&self) -> &str {
        self.0.to_str().unwrap()
    }

    fn content(&self) -> Vec<u8> {
        fs::read(&self.0).unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

pub(crate) fn the_same_types_over_a_file() {
    let place = Place::with("file", b"0123456789");
    let memory = FileOptions::new(place.path()).open().unwrap();
    // No system rounds the length up.
    assert_eq!((memory.len(), memory.name()), (10, None));
    let view = memory.view().unwrap();
    assert_eq!(view.len(), 10);
    view.write_all_at(b"abc", 3).unwrap();
    assert_eq!(view.read::<u8>(10).unwrap_err().kind(), ErrorKind::OutOfBounds);
    let other = FileOptions::new(place.path()).open_read_only().unwrap();
    let other = other.view_at(2, 6).unwrap();
    assert_eq!(other.read_vec(0, 6).unwrap(), b"2abc67");
    view.atomic_u32(4).unwrap().fetch_add(1, std::sync::atomic::Ordering::SeqCst).unwrap();
    // "bc67" was incremented by one.
    assert_eq!(
        other.read_vec(0, 6).unwrap(),
        if cfg!(target_endian = "little") { b"2acc67" } else { b"2abc68" }
    );
    view.flush().unwrap();
    view.flush_all().unwrap();
    drop((view, other, memory));
    assert_eq!(&place.content()[..4], b"012a");
}

pub(crate) fn shared_with_another_process() {
    let place = Place::new("file-shared");
    let memory = FileOptions::new(place.path()).len(100_000).create().unwrap();
    let view = memory.view().unwrap();
    let mut peer = Peer::start("files::role_write", &[place.text()]);
    peer.expect("written");
    assert_eq!(view.read_vec(99_000, 5).unwrap(), b"peers");
    peer.say("grow");
    peer.expect("grown");
    assert_eq!(memory.len(), 300_000);
    assert_eq!(memory.view().unwrap().read::<u8>(299_999).unwrap(), 9);
    peer.finish();
    drop((view, memory));
    assert_eq!((place.content().len(), place.content()[299_999]), (300_000, 9));
}

pub(crate) fn role_write(role: &mut Role) {
    let memory = FileOptions::new(role.argument(0)).open().unwrap();
    memory.view().unwrap().write_all_at(b"peers", 99_000).unwrap();
    role.say("written");
    let _ = role.hear();
    assert_eq!(memory.grow(300_000).unwrap(), 300_000);
    memory.view().unwrap().write(&9_u8, 299_999).unwrap();
    role.say("grown");
}

pub(crate) fn three_verbs() {
    let place = Place::new("file-verbs");
    let error = FileOptions::new(place.path()).open().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert_eq!(error.name(), place.0.to_str());
    let (memory, how) = FileOptions::new(place.path()).len(50).open_or_create().unwrap();
    assert_eq!((memory.len(), how), (50, Disposition::Created));
    let error = FileOptions::new(place.path()).len(50).create().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
    let (memory, how) = FileOptions::new(place.path()).len(50).open_or_create().unwrap();
    assert_eq!((memory.len(), how), (50, Disposition::Opened));
    let error = FileOptions::new(place.path()).len(51).open().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooSmall, "{error}");
    let error = FileOptions::new(place.path()).expect_len(49).open().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedLength, "{error}");
    assert!(FileOptions::new(place.path()).expect_len(50).open().is_ok());
    let nowhere = place.path().join("x");
    let error = FileOptions::new(&nowhere).len(50).create().unwrap_err();
    // (A directory is not a file.)
    assert!(matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Other), "{error}");
}

pub(crate) fn copies_on_write() {
    let content: Vec<u8> = (0..3 * page_size()).map(|at| at as u8).collect();
    let place = Place::with("file-copy", &content);
    let memory = FileOptions::new(place.path()).open_copy_on_write().unwrap();
    let (view, other) = (memory.view().unwrap(), memory.view().unwrap());
    view.write_all_at(b"mine alone", 10).unwrap();
    view.fill(7, 2 * page_size()..2 * page_size() + 5).unwrap();
    view.atomic_u8(0).unwrap().store(77, std::sync::atomic::Ordering::SeqCst).unwrap();
    Write::write_all(&mut view.cursor(), b"cursor").unwrap();
    assert_eq!(view.read_vec(0, 6).unwrap(), b"cursor");
    assert_eq!(view.read_vec(10, 10).unwrap(), b"mine alone");
    assert_eq!(view.read_vec(2 * page_size(), 5).unwrap(), [7; 5]);
    assert_eq!(other.read_vec(0, content.len()).unwrap(), content);
    // Pages that were not written still show the file.
    let writer = FileOptions::new(place.path()).open().unwrap().view().unwrap();
    writer.write(&0x1234_5678_u32, page_size()).unwrap();
    assert_eq!(view.read::<u32>(page_size()).unwrap(), 0x1234_5678);
    view.flush().unwrap();
    drop((view, other, memory, writer));
    assert_eq!(place.content()[..page_size()], content[..page_size()]);
    // A file that is opened read-only suffices.
    let memory =
        SharedMemory::<CopyOnWrite>::from_file_copy_on_write(File::open(place.path()).unwrap()).unwrap();
    memory.view().unwrap().write(&1_u64, 0).unwrap();
    assert_eq!(place.content()[..page_size()], content[..page_size()]);
}

pub(crate) fn an_empty_file() {
    let place = Place::with("file-empty", b"");
    let memory = FileOptions::new(place.path()).open().unwrap();
    assert!(memory.is_empty());
    assert_eq!(memory.capacity(), 0);
    let view = memory.view().unwrap();
    assert!(view.is_empty());
    view.read_exact_at(&mut [], 0).unwrap();
    view.write_all_at(&[], 0).unwrap();
    view.fill(1, 0..0).unwrap();
    view.flush_all().unwrap();
    view.prefetch().unwrap();
    assert_eq!(view.read_vec(0, 0).unwrap(), b"");
    assert_eq!(view.read::<u8>(0).unwrap_err().kind(), ErrorKind::OutOfBounds);
    assert_eq!(view.subview(0, 1).unwrap_err().kind(), ErrorKind::OutOfBounds);
    assert_eq!(view.cursor().read(&mut [0; 4]).unwrap(), 0);
    // SAFETY: the view is empty, so no other code can access its bytes.
    assert_eq!(unsafe { view.as_slice() }, b"");
    assert_eq!(FileOptions::new(place.path()).open_read_only().unwrap().view().unwrap().len(), 0);
    assert_eq!(FileOptions::new(place.path()).open_copy_on_write().unwrap().view().unwrap().len(), 0);
    // It is an ordinary region from the first byte on.
    assert_eq!(memory.grow(5).unwrap(), 5);
    memory.view().unwrap().write_all_at(b"bytes", 0).unwrap();
    assert_eq!(place.content(), b"bytes");
}

pub(crate) fn growing_lengthens_the_file() {
    let place = Place::with("file-grow", b"start");
    let memory = FileOptions::new(place.path()).capacity(64 << 20).open().unwrap();
    let view = memory.view().unwrap();
    let address = view.as_ptr();
    for len in [6, 5000, 65_536, 1_000_001, 10 << 20] {
        assert_eq!(memory.grow(len).unwrap(), len);
        assert_eq!(fs::metadata(place.path()).unwrap().len(), len);
        memory.view().unwrap().write(&1_u8, len as usize - 1).unwrap();
        if cfg!(windows) {
            assert_eq!(view.refresh().unwrap(), 5, "a view of a file stays as long as the file was");
        } else {
            assert_eq!(view.read::<u8>(len as usize - 1).unwrap(), 1);
            assert_eq!(view.len() as u64, len);
        }
    }
    assert_eq!(memory.grow(3).unwrap(), 10 << 20);
    assert_eq!((view.as_ptr(), view.read_vec(0, 5).unwrap()), (address, b"start".to_vec()));
    assert_eq!(fs::metadata(place.path()).unwrap().len(), 10 << 20);
    // Up to the space on the disk: capacities apply only to the views of the process that passed them.
    let again = FileOptions::new(place.path()).open().unwrap();
    assert_eq!((again.capacity(), again.grow(70 << 20).unwrap()), (10 << 20, 70 << 20));
    let error = memory.grow(u64::MAX).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
    let error = memory.grow(1 << 60).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::TooLarge), "{error}");
    assert_eq!(error.name(), place.0.to_str());
}

pub(crate) fn larger_than_the_address_space() {
    let place = Place::new("file-large");
    let len = 6_u64 << 30;
    let file = File::options().read(true).write(true).create_new(true).open(place.path()).unwrap();
    // The file is a single hole, so it takes no space where the file system supports holes.
    file.set_len(len).unwrap();
    let memory = SharedMemory::from_file(file).unwrap();
    assert_eq!(memory.len(), len);
    if size_of::<usize>() == 4 {
        let error = memory.view().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
        assert!(format!("{error:#}").contains("view_at"), "{error}");
    } else {
        assert_eq!(memory.view().unwrap().len() as u64, len);
    }
    for at in [0, (4 << 30) - 3, (5 << 30) + 12_345, len - 5] {
        memory.view_at(at, 5).unwrap().write_all_at(b"parts", 0).unwrap();
        assert_eq!(memory.view_at(at + 1, 3).unwrap().read_vec(0, 3).unwrap(), b"art");
    }
    assert_eq!(memory.view_at(len - 4, 5).unwrap_err().kind(), ErrorKind::OutOfBounds);
}

pub(crate) fn rights_and_kinds() {
    let place = Place::with("file-rights", b"bytes");
    let open = |read, write| File::options().read(read).write(write).open(place.path()).unwrap();
    assert_eq!(SharedMemory::from_file(open(true, false)).unwrap_err().kind(), ErrorKind::NotWritable);
    assert_eq!(SharedMemory::from_file(open(false, true)).unwrap_err().kind(), ErrorKind::PermissionDenied);
    assert_eq!(
        SharedMemory::from_file_read_only(open(false, true)).unwrap_err().kind(),
        ErrorKind::PermissionDenied
    );
    let memory: SharedMemory<ReadWrite> = SharedMemory::from_file(open(true, true)).unwrap();
    memory.view().unwrap().write_all_at(b"B", 0).unwrap();
    let read: SharedMemory<ReadOnly> = SharedMemory::from_file_read_only(open(true, true)).unwrap();
    assert_eq!(read.view().unwrap().read_vec(0, 5).unwrap(), b"Bytes");
    let narrow = memory.into_read_only().unwrap();
    assert_eq!(narrow.view().unwrap().read_vec(0, 5).unwrap(), b"Bytes");
    // Paths that are not files.
    let folder = FileOptions::new(std::env::temp_dir()).open_read_only().unwrap_err();
    assert!(matches!(folder.kind(), ErrorKind::NotSharedMemory | ErrorKind::PermissionDenied), "{folder}");
    #[cfg(unix)]
    {
        let null = FileOptions::new("/dev/null").open().unwrap_err();
        assert_eq!(null.kind(), ErrorKind::NotSharedMemory, "{null}");
    }
    // An option that does not apply.
    let error = FileOptions::new(place.path()).len(5).expect_len(5).create().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidOption, "{error}");
    assert!(error.to_string().contains("expect_len()"), "{error}");
}

pub(crate) fn an_inaccessible_file() {
    let place = Place::with("file-closed", b"bytes");
    let mut permissions = fs::metadata(place.path()).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(place.path(), permissions.clone()).unwrap();
    let result = FileOptions::new(place.path()).open();
    assert_eq!(FileOptions::new(place.path()).open_read_only().unwrap().len(), 5);
    #[allow(clippy::permissions_set_readonly_false, reason = "it is removed in a moment")]
    permissions.set_readonly(false);
    fs::set_permissions(place.path(), permissions).unwrap();
    match result {
        Ok(_) => testkit::skip("this user may write to read-only files"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}"),
    }
}

/// Another process truncates the file while this one copies from it.
pub(crate) fn truncated_by_another_process() {
    let place = Place::with("file-cut", &vec![7; 1 << 20]);
    let memory = FileOptions::new(place.path()).open_read_only().unwrap();
    let view = memory.view().unwrap();
    let mut bytes = vec![0; 1 << 20];
    view.read_exact_at(&mut bytes, 0).unwrap();
    let mut peer = Peer::start("files::role_cut", &[place.text()]);
    match peer.hear().as_str() {
        "cutting" => {}
        answer => {
            // Windows does not allow a mapped file to be truncated.
            assert!(answer.contains("1224"), "{answer}");
            assert_eq!(view.read_vec(0, 1 << 20).unwrap(), bytes);
            return;
        }
    }
    let mut faults = 0;
    while faults < 200 {
        if let Err(error) = view.read_exact_at(&mut bytes, 0) {
            assert_eq!(error.kind(), ErrorKind::Fault, "{error}");
            assert!(error.fault().unwrap().offset() >= 4096);
            faults += 1;
        }
        assert_eq!(bytes[100], 7);
        match memory.view() {
            Ok(_) => {}
            Err(error) => panic!("{error}"),
        }
    }
    peer.kill();
}

pub(crate) fn role_cut(role: &mut Role) {
    let file = File::options().write(true).open(role.argument(0)).unwrap();
    if let Err(error) = file.set_len(4096) {
        return role.say(format!("{error} ({:?})", error.raw_os_error()));
    }
    role.say("cutting");
    loop {
        file.set_len(1 << 20).unwrap();
        std::thread::yield_now();
        file.set_len(4096).unwrap();
    }
}

/// On a file system of 8 MiB, in memory.
pub(crate) fn a_full_disk() {
    crate::mounts::play("files::role_fill");
}

pub(crate) fn role_fill(role: &mut Role) {
    let folder = Place::new("disk");
    fs::create_dir(folder.path()).unwrap();
    if let Err(why) = crate::mounts::mount("tmpfs", folder.text(), "size=8m") {
        fs::remove_dir(folder.path()).unwrap();
        return role.say(format!("skip: {why}"));
    }
    let path = folder.path().join("file");
    // A length beyond the free space: no file is left behind.
    let error = FileOptions::new(&path).len(16 << 20).create().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
    assert!(format!("{error:#}").contains("are left"), "{error}");
    assert!(!path.exists());
    let memory = FileOptions::new(&path).len(1 << 20).create().unwrap();
    let error = memory.grow(16 << 20).unwrap_err();
    assert_eq!((error.kind(), memory.len()), (ErrorKind::StorageFull, 1 << 20), "{error}");
    assert_eq!(error.diagnosis(), Some(&memory.check_grow(16 << 20)));
    assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::StorageFull);
    // A sparse file that another program has created, larger than the free space: writing beyond it is a
    // fault.
    let holes = folder.path().join("holes");
    File::create(&holes).unwrap().set_len(16 << 20).unwrap();
    let view = FileOptions::new(&holes).open().unwrap().view().unwrap();
    let error = view.fill(1, 0..16 << 20).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fault, "{error}");
    assert!(error.fault().unwrap().offset() > 4 << 20, "{error}");
    // The fault leaves no damage.
    fs::remove_file(&holes).unwrap();
    drop(view);
    memory.grow(2 << 20).unwrap();
    memory.view().unwrap().fill(1, 0..2 << 20).unwrap();
    let mut file = File::open(&path).unwrap();
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    assert!(bytes.len() == 2 << 20 && bytes.iter().all(|byte| *byte == 1));
    drop((file, memory));
    fs::remove_file(&path).unwrap();
    let text = std::ffi::OsString::from(folder.path());
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::ffi::OsStrExt;
        let path = std::ffi::CString::new(text.as_bytes()).unwrap();
        // SAFETY: the path is zero-terminated and outlives the call.
        unsafe { libc::umount(path.as_ptr()) };
    }
    let _ = (fs::remove_dir(folder.path()), text);
    role.say("done");
}

/// A file can be handed to a child like any region.
pub(crate) fn handed_to_a_child() {
    use mmf::handoff::CommandExt;
    let place = Place::with("file-handed", b"for the child");
    let memory = FileOptions::new(place.path()).open().unwrap();
    let mut command = testkit::command_for_role("files::role_receive", &[]);
    let child = command.hand_off("file", &memory).unwrap().spawn().unwrap();
    let mut peer = Peer::adopt("receiver", child);
    peer.expect("for the child");
    peer.finish();
    assert_eq!(memory.view().unwrap().read_vec(0, 3).unwrap(), b"FOR");
}

pub(crate) fn role_receive(role: &mut Role) {
    let memory = mmf::handoff::receive("file").unwrap();
    let view = memory.view().unwrap();
    role.say(String::from_utf8(view.read_vec(0, 13).unwrap()).unwrap());
    view.write_all_at(b"FOR", 0).unwrap();
}

pub(crate) fn flushed_bytes_are_in_the_file() {
    let place = Place::with("file-flush", &[0; 10_000]);
    let memory = FileOptions::new(place.path()).open().unwrap();
    let part = memory.view_at(5000, 3000).unwrap();
    part.fill(4, 0..3000).unwrap();
    part.flush().unwrap();
    part.flush_all().unwrap();
    assert!(place.content()[5000..8000].iter().all(|byte| *byte == 4));
    // A read-only view has nothing to flush.
    let read = FileOptions::new(place.path()).open_read_only().unwrap();
    read.view().unwrap().flush_all().unwrap();
    SharedMemory::anonymous(100).unwrap().view().unwrap().flush_all().unwrap();
    let mut file = File::options().append(true).open(place.path()).unwrap();
    file.write_all(b"more").unwrap();
    assert_eq!(memory.len(), 10_004);
    assert_eq!(memory.view().unwrap().read_vec(10_000, 4).unwrap(), b"more");
}

testkit::registry! {
    files
    tests {
        the_same_types_over_a_file
        shared_with_another_process
        three_verbs
        copies_on_write
        an_empty_file
        growing_lengthens_the_file
        larger_than_the_address_space
        rights_and_kinds
        an_inaccessible_file
        truncated_by_another_process
        a_full_disk
        handed_to_a_child
        flushed_bytes_are_in_the_file
    }
    roles {
        role_write
        role_cut
        role_fill
        role_receive
    }
}
