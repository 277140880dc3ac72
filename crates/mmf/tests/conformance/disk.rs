//! Regions are saved and loaded completely or not at all, with their holes, whatever is killed and whatever
//! is full.

use std::fs;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use mmf::error::Operation;
use mmf::snapshot::{IfExists, Progress};
use mmf::{Error, ErrorKind, OpenOptions, SharedMemory};
use testkit::{Peer, Role, assert_bytes, open_handles, unique_name};

const MIB: usize = 1 << 20;

/// A directory that is removed with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(unique_name("disk"));
        fs::create_dir(&path).unwrap();
        Folder(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Returns the names in it, hidden ones included.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(&self.0)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Returns bytes of which no page is zero, and no two pages are equal.
fn noise(len: usize) -> Vec<u8> {
    (0..len).map(|at| ((at * 31) ^ (at >> 12) ^ 0x55) as u8 | 1).collect()
}

/// Returns a region with this content from its first byte on.
fn memory(content: &[u8]) -> SharedMemory {
    let memory = SharedMemory::anonymous(content.len() as u64).unwrap();
    memory.view().unwrap().write_all_at(content, 0).unwrap();
    memory
}

fn bytes(memory: &SharedMemory) -> Vec<u8> {
    memory.view().unwrap().read_vec(0, memory.len() as usize).unwrap()
}

fn go_on(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Returns a function that cancels once `done` bytes are copied.
fn until(done: u64) -> impl FnMut(Progress) -> ControlFlow<()> {
    move |progress| if progress.done() >= done { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

#[track_caller]
fn assert_file_error(error: &Error, kind: ErrorKind, path: &Path) {
    assert_eq!((error.kind(), error.path(), error.name()), (kind, Some(path), None), "{error}");
    assert!(format!("{error:#}").contains(&path.display().to_string()), "{error}");
}

fn is_free(name: &str) -> bool {
    SharedMemory::open(name).is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

pub(crate) fn round_trips() {
    let folder = Folder::new();
    let path = folder.file("picture");
    for len in [1, 2, 4095, 4096, 4097, 65_535, 65_537, MIB, MIB + 1, 3 * MIB + 777, 17 * MIB + 5] {
        let mut content = noise(len);
        // A hole in the middle, and a page that is zero.
        content[len / 3..len / 2].fill(0);
        let original = memory(&content);
        let saved = original.save(&path).unwrap();
        assert_eq!(saved.len(), original.len());
        let file = fs::read(&path).unwrap();
        assert_bytes(&file, &bytes(&original), "the file has the bytes and nothing else");

        let name = unique_name("loaded");
        let loaded = SharedMemory::load(&*name, &path).unwrap();
        assert_eq!((loaded.len(), loaded.name().unwrap().text()), (original.len(), &*name));
        assert_bytes(&bytes(&loaded), &file, "loaded");
        assert_bytes(&bytes(&SharedMemory::load_anonymous(&path).unwrap()), &file, "without a name");

        let larger = memory(&vec![0xee; file.len() + 3 * 65_536]);
        let restored = larger.restore(&path).unwrap();
        assert_eq!(restored.len(), file.len() as u64);
        let now = bytes(&larger);
        assert_bytes(&now[..file.len()], &file, "restored");
        assert!(now[file.len()..file.len() + 3 * 65_536].iter().all(|byte| *byte == 0xee), "the rest stays");
    }
    // Files of other programs, too, of any length.
    fs::write(&path, noise(12_345)).unwrap();
    assert_bytes(&bytes(&SharedMemory::load_anonymous(&path).unwrap())[..12_345], &noise(12_345), "theirs");
    assert_eq!(folder.names(), ["picture"]);
}

pub(crate) fn read_only_regions_are_saved() {
    let folder = Folder::new();
    let name = unique_name("read-only");
    let creator = SharedMemory::create(&*name, 100_000).unwrap();
    creator.view().unwrap().write_all_at(b"here", 70_000).unwrap();
    let reader = SharedMemory::open_read_only(&*name).unwrap();
    reader.save(folder.file("one")).unwrap();
    assert_bytes(&fs::read(folder.file("one")).unwrap()[70_000..70_004], b"here", "read-only");
    drop(reader);
    let narrowed = memory(&noise(5000)).into_read_only().unwrap();
    narrowed.save(folder.file("two")).unwrap();
    assert_bytes(&fs::read(folder.file("two")).unwrap()[..5000], &noise(5000), "narrowed");
}

pub(crate) fn options_apply_to_loaded_regions() {
    let folder = Folder::new();
    let path = folder.file("picture");
    fs::write(&path, noise(10_000)).unwrap();
    let larger = OpenOptions::new().len(300_000).load_anonymous(&path).unwrap();
    assert!(larger.len() >= 300_000);
    let now = bytes(&larger);
    assert_bytes(&now[..10_000], &noise(10_000), "the file");
    assert!(now[10_000..].iter().all(|byte| *byte == 0), "and zeros");
    let error = OpenOptions::new().len(9999).load_anonymous(&path).unwrap_err();
    assert_file_error(&error, ErrorKind::OutOfBounds, &path);
    assert!(format!("{error:#}").contains("10000") && format!("{error:#}").contains("9999"), "{error}");

    let name = unique_name("taken");
    let theirs = SharedMemory::create(&*name, 4096).unwrap();
    let error = SharedMemory::load(&*name, &path).unwrap_err();
    assert_eq!((error.kind(), error.path()), (ErrorKind::AlreadyExists, None), "{error}");
    assert_eq!(theirs.view().unwrap().read::<u64>(0).unwrap(), 0, "untouched");

    let shared = mmf::security::Security::current_user().grant_read(mmf::security::Principal::Everyone);
    let name = unique_name("granted");
    let loaded = OpenOptions::new().security(shared.clone()).load(&*name, &path).unwrap();
    let made = OpenOptions::new().security(shared).len(1).create(unique_name("granted")).unwrap();
    assert_eq!(loaded.security().unwrap().to_string(), made.security().unwrap().to_string());
}

#[cfg(target_os = "linux")]
mod blocks {
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;

    /// Returns the bytes that a file takes, or the file of a region.
    pub(super) fn of(path: impl AsRef<Path>) -> u64 {
        std::fs::metadata(path).unwrap().blocks() * 512
    }
}

/// Returns a global region and the path of its file.
fn named_memory(len: u64) -> (SharedMemory, PathBuf) {
    let text = unique_name("blocks");
    let memory = SharedMemory::create(format!(r"Global\{text}"), len).unwrap();
    (memory, Path::new("/dev/shm").join(text))
}

pub(crate) fn holes_stay_holes() {
    let folder = Folder::new();
    let path = folder.file("picture");
    let (original, _shm) = named_memory(64 << 20);
    let page = testkit::page_size();
    let places = [0, 5 * MIB + page, 32 * MIB, 32 * MIB + 8 * page, (64 << 20) - page];
    for at in places {
        original.view_at(at as u64, page).unwrap().write_all_at(&noise(page), 0).unwrap();
    }
    let saved = original.save(&path).unwrap();
    assert!(saved.holes() > 63 << 20 && saved.holes() < saved.len(), "{saved}");
    assert_eq!(fs::metadata(&path).unwrap().len(), 64 << 20);
    let text = unique_name("loaded");
    let loaded = SharedMemory::load(format!(r"Global\{text}"), &path).unwrap();
    #[cfg(target_os = "linux")]
    {
        let written = (places.len() * page) as u64;
        assert_eq!(blocks::of(&_shm), written, "saving has touched nothing");
        assert!(blocks::of(&path) < 1 << 20, "{}", blocks::of(&path));
        assert_eq!(blocks::of(Path::new("/dev/shm").join(&text)), written, "loading has touched no more");
    }
    assert_bytes(&bytes(&loaded), &bytes(&original), "the content");

    // Written zeros are a hole in the file, too.
    original.view().unwrap().fill(0, 0..64 << 20).unwrap();
    let saved = original.save(&path).unwrap();
    assert_eq!(saved.holes(), 64 << 20, "{saved}");
    #[cfg(target_os = "linux")]
    assert!(blocks::of(&path) < 64 << 10);
    assert!(fs::read(&path).unwrap().iter().all(|byte| *byte == 0));
}

pub(crate) fn restoring_clears_holes() {
    let folder = Folder::new();
    let path = folder.file("picture");
    let sparse = SharedMemory::anonymous(8 << 20).unwrap();
    sparse.view().unwrap().write_all_at(b"something", 3 * MIB + 5).unwrap();
    sparse.save(&path).unwrap();
    let full = memory(&noise(8 * MIB));
    let restored = full.restore(&path).unwrap();
    assert_bytes(&bytes(&full), &bytes(&sparse), "all that was there is gone");
    assert!(restored.holes() > 7 << 20, "{restored}");
    // A file of zeros without holes gives the same result.
    let full = memory(&noise(8 * MIB));
    fs::write(&path, vec![0; 8 * MIB]).unwrap();
    full.restore(&path).unwrap();
    assert!(bytes(&full).iter().all(|byte| *byte == 0));
    // And ranges that were never written stay so.
    let (untouched, _shm) = named_memory(8 << 20);
    untouched.restore(&path).unwrap();
    #[cfg(target_os = "linux")]
    assert_eq!(blocks::of(&_shm), 0);
}

pub(crate) fn images_of_many_gibibytes() {
    const LEN: u64 = (5 << 30) + 12_345;
    const PLACES: [u64; 4] = [0, (4 << 30) - 3, (4 << 30) + 70_000, LEN - 5];
    let folder = Folder::new();
    let path = folder.file("picture");
    {
        use std::io::{Seek, SeekFrom, Write};
        let mut file = fs::File::create(&path).unwrap();
        file.set_len(LEN).unwrap();
        for place in PLACES {
            file.seek(SeekFrom::Start(place)).unwrap();
            file.write_all(b"here!").unwrap();
        }
    }
    let loaded = match SharedMemory::load_anonymous(&path) {
        Ok(loaded) => loaded,
        Err(error) if matches!(error.kind(), ErrorKind::OutOfMemory | ErrorKind::TooLarge) => {
            testkit::skip(format!("no 5 GiB here: {error}"))
        }
        Err(error) => panic!("{error}"),
    };
    let check = |memory: &SharedMemory| {
        for place in PLACES {
            assert_eq!(memory.view_at(place, 5).unwrap().read_vec(0, 5).unwrap(), b"here!", "{place}");
        }
        assert_eq!(memory.view_at(1 << 32, 4096).unwrap().read_vec(100, 100).unwrap(), [0; 100]);
    };
    check(&loaded);
    if cfg!(windows) {
        // All of it would be read, which allocates pages: sections do not report ranges that were never
        // written.
        return;
    }
    let saved = loaded.save(folder.file("again")).unwrap();
    assert_eq!(saved.len(), LEN);
    check(&SharedMemory::load_anonymous(folder.file("again")).unwrap());
    loaded.restore(folder.file("again")).unwrap();
    check(&loaded);
}

/// The reports of a copy.
#[derive(Default)]
struct Heard(Vec<Progress>);

impl Heard {
    fn hear(&mut self, progress: Progress) -> ControlFlow<()> {
        self.0.push(progress);
        ControlFlow::Continue(())
    }

    #[track_caller]
    fn check(&self, total: u64, holes: u64) {
        let [first, .., last] = &self.0[..] else { panic!("{:?}", self.0) };
        assert_eq!((first.done(), first.holes()), (0, 0));
        assert_eq!((last.done(), last.holes()), (total, holes));
        assert!(
            self.0.iter().all(|progress| progress.total() == total && progress.holes() <= progress.done())
        );
        assert!(self.0.is_sorted_by_key(Progress::done) && self.0.is_sorted_by_key(Progress::holes));
        // Often enough for people, and for a cancellation to take effect soon.
        let largest = self.0.windows(2).map(|pair| {
            let holes = pair[1].holes() - pair[0].holes();
            pair[1].done() - pair[0].done() - holes
        });
        assert!(largest.max().unwrap() <= 4 << 20);
    }
}

pub(crate) fn progress_is_reported() {
    let folder = Folder::new();
    let path = folder.file("picture");
    let mut content = noise(24 * MIB);
    content[10 * MIB..18 * MIB].fill(0);
    let original = memory(&content);
    let len = original.len();
    let mut heard = Heard::default();
    original.save_with(&path, IfExists::Keep, |progress| heard.hear(progress)).unwrap();
    heard.check(len, 8 << 20);
    let mut heard = Heard::default();
    let loaded = OpenOptions::new().load_anonymous_with(&path, |progress| heard.hear(progress)).unwrap();
    heard.check(len, 8 << 20);
    let mut heard = Heard::default();
    loaded.restore_with(&path, |progress| heard.hear(progress)).unwrap();
    heard.check(len, 8 << 20);
    // Nothing but a hole.
    let empty = SharedMemory::anonymous(24 << 20).unwrap();
    let mut heard = Heard::default();
    empty.save_with(&path, IfExists::Replace, |progress| heard.hear(progress)).unwrap();
    heard.check(len, len);
}

pub(crate) fn cancelled_in_the_middle() {
    let folder = Folder::new();
    let (old, new) = (folder.file("old"), folder.file("new"));
    fs::write(&old, b"as it was").unwrap();
    let original = memory(&noise(6 * MIB));
    for done in [0, 1, 3 << 20, 6 << 20] {
        for (path, existing) in [(&old, IfExists::Replace), (&new, IfExists::Replace), (&new, IfExists::Keep)]
        {
            let error = original.save_with(path, existing, until(done)).unwrap_err();
            assert_file_error(&error, ErrorKind::Cancelled, path);
            assert_eq!(error.operation(), Operation::Save);
            assert_eq!(folder.names(), ["old"]);
        }
    }
    assert_eq!(fs::read(&old).unwrap(), b"as it was");

    // The function may also panic.
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        original.save_with(&new, IfExists::Replace, |progress| {
            if progress.done() > 0 {
                std::panic::resume_unwind(Box::new(1));
            }
            ControlFlow::Continue(())
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(folder.names(), ["old"]);

    original.save(&new).unwrap();
    for done in [0, 1, 3 << 20, 6 << 20] {
        let name = unique_name("cancelled");
        let error = OpenOptions::new().load_with(&*name, &new, until(done)).unwrap_err();
        assert_file_error(&error, ErrorKind::Cancelled, &new);
        assert_eq!(error.operation(), Operation::Load);
        assert!(is_free(&name), "the name has gone");
    }
    let error = original.restore_with(&new, until(1)).unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Cancelled, Operation::Restore));
}

pub(crate) fn files_are_replaced_or_kept() {
    let folder = Folder::new();
    let path = folder.file("picture");
    fs::write(&path, b"theirs").unwrap();
    let original = memory(&noise(3 * MIB));
    let error = original.save_new(&path).unwrap_err();
    assert_file_error(&error, ErrorKind::AlreadyExists, &path);
    assert_eq!(fs::read(&path).unwrap(), b"theirs");
    // A file that is created meanwhile is kept as well.
    let late = folder.file("late");
    let error = original.save_with(&late, IfExists::Keep, |progress| {
        if progress.done() == 0 {
            fs::write(&late, b"faster").unwrap();
        }
        ControlFlow::Continue(())
    });
    assert_file_error(&error.unwrap_err(), ErrorKind::AlreadyExists, &late);
    assert_eq!(fs::read(&late).unwrap(), b"faster");
    // Replaced, while another program has the old one open.
    let mut reader = fs::File::open(&path).unwrap();
    if testkit::under_wine() {
        // Wine does not rename over an open file; the error says so, and nothing changes.
        assert_file_error(&original.save(&path).unwrap_err(), ErrorKind::InUse, &path);
        assert_eq!(fs::read(&path).unwrap(), b"theirs");
        drop(reader);
        original.save(&path).unwrap();
    } else {
        original.save(&path).unwrap();
        let mut old = Vec::new();
        std::io::Read::read_to_end(&mut reader, &mut old).unwrap();
        assert_eq!(old, b"theirs", "who reads the old one goes on reading it");
    }
    assert_bytes(&fs::read(&path).unwrap()[..3 * MIB], &noise(3 * MIB), "replaced");
    assert_eq!(folder.names(), ["late", "picture"]);
    // A path without a directory is in the current one.
    let mut peer = Peer::start("disk::role_save_here", &[folder.0.to_str().unwrap()]);
    peer.expect("saved");
    peer.finish();
    assert_eq!(folder.names(), ["here", "late", "picture"]);
}

pub(crate) fn role_save_here(role: &mut Role) {
    std::env::set_current_dir(role.argument(0)).unwrap();
    memory(&noise(5000)).save("here").unwrap();
    role.say("saved");
}

pub(crate) fn only_this_user_may_open_the_file() {
    let folder = Folder::new();
    let path = folder.file("picture");
    fs::write(&path, b"readable by all").unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        for path in [&path, &folder.file("new")] {
            memory(&noise(10)).save(path).unwrap();
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o7777, 0o600);
        }
    }
    #[cfg(windows)]
    testkit::skip("a unit test looks at the list of a file that is made");
}

/// Kills a saving process at one point after the other, and examines what is left.
pub(crate) fn killed_savers_leave_no_half_files() {
    let folder = Folder::new();
    let path = folder.file("picture");
    let old = noise(100_000);
    let len = 6 * MIB;
    for stop in 0..=6 {
        fs::write(&path, &old).unwrap();
        let stop = (stop * MIB).to_string();
        let mut peer = Peer::start("disk::role_save", &[path.to_str().unwrap(), &len.to_string(), &stop]);
        peer.expect("there");
        assert_bytes(&fs::read(&path).unwrap(), &old, "until it is complete, the old one is there");
        peer.kill();
        assert_bytes(&fs::read(&path).unwrap(), &old, "the old one stays");
        let left = folder.names();
        if left.len() > 1 && !files_without_a_name(&folder) {
            // The documentation allows this file to stay.
            assert!(left[0].starts_with(".mmf-") && left[0].ends_with(".part"), "{left:?}");
            fs::remove_file(folder.file(&left[0])).unwrap();
        } else {
            assert_eq!(left, ["picture"]);
        }
    }
    // At an arbitrary time in the last steps.
    for round in 0..25 {
        fs::write(&path, &old).unwrap();
        let mut peer = Peer::start("disk::role_save", &[path.to_str().unwrap(), &len.to_string(), "5000000"]);
        peer.expect("there");
        peer.say("go on");
        std::thread::sleep(std::time::Duration::from_micros(150 * round));
        peer.kill();
        let now = fs::read(&path).unwrap();
        if now.len() == old.len() {
            assert_bytes(&now, &old, "the old one");
        } else {
            assert_bytes(&now, &noise(len), "the new one, all of it");
        }
        for name in folder.names().iter().filter(|name| *name != "picture") {
            // Complete, but not yet renamed.
            assert!(name.starts_with(".mmf-") && name.ends_with(".part"), "{name}");
            fs::remove_file(folder.file(name)).unwrap();
        }
    }
}

/// Returns whether nothing at all stays of an unfinished file.
fn files_without_a_name(_folder: &Folder) -> bool {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::fs::OpenOptionsExt;
        fs::File::options().write(true).custom_flags(libc::O_TMPFILE).open(&_folder.0).is_ok()
    }
    #[cfg(not(target_os = "linux"))]
    cfg!(windows)
}

/// Saves a region of the given length, and waits for a command once a given number of bytes is done.
pub(crate) fn role_save(role: &mut Role) {
    let [len, stop] = [1, 2].map(|index| role.argument(index).parse::<usize>().unwrap());
    let mut waited = false;
    let saved = memory(&noise(len)).save_with(role.argument(0), IfExists::Replace, |progress| {
        if progress.done() >= stop as u64 && !waited {
            waited = true;
            role.say("there");
            let _ = role.hear();
        }
        ControlFlow::Continue(())
    });
    saved.unwrap();
}

pub(crate) fn invalid_paths() {
    let folder = Folder::new();
    let original = memory(&noise(5000));
    let missing = folder.file("no such directory").join("picture");
    assert_file_error(&original.save(&missing).unwrap_err(), ErrorKind::NotFound, &missing);
    assert_file_error(&SharedMemory::load_anonymous(&missing).unwrap_err(), ErrorKind::NotFound, &missing);
    assert_file_error(&original.restore(&missing).unwrap_err(), ErrorKind::NotFound, &missing);
    let nothing = Path::new("");
    assert_file_error(&original.save(nothing).unwrap_err(), ErrorKind::NotFound, nothing);
    for path in [folder.0.clone(), PathBuf::from(".."), folder.file("picture/")] {
        let error = original.save(&path).unwrap_err();
        assert_file_error(&error, ErrorKind::NotAFile, &path);
    }
    let error = SharedMemory::load(unique_name("directory"), &folder.0).unwrap_err();
    assert_file_error(&error, ErrorKind::NotAFile, &folder.0);
    assert!(format!("{error:#}").contains("it is a directory"), "{error}");
    // A file instead of a directory.
    let file = folder.file("file");
    fs::write(&file, b"x").unwrap();
    let below = file.join("picture");
    assert_file_error(&original.save(&below).unwrap_err(), ErrorKind::NotFound, &below);
    let empty = folder.file("empty");
    fs::write(&empty, b"").unwrap();
    let name = unique_name("empty");
    let error = SharedMemory::load(&*name, &empty).unwrap_err();
    assert_file_error(&error, ErrorKind::ZeroLength, &empty);
    assert!(format!("{error:#}").contains("the file is empty") && is_free(&name), "{error}");
    assert_file_error(&original.restore(&empty).unwrap_err(), ErrorKind::ZeroLength, &empty);
    assert!(OpenOptions::new().len(4096).load_anonymous(&empty).is_ok(), "zeros, if a length is given");
    let long = folder.file(&"x".repeat(300));
    assert!(original.save(&long).is_err());
    #[cfg(unix)]
    {
        let (link, pipe) = (folder.file("link"), folder.file("pipe"));
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let error = original.save(&link).unwrap_err();
        assert_file_error(&error, ErrorKind::NotAFile, &link);
        assert!(format!("{error:#}").contains("symbolic link"), "{error}");
        assert_eq!(fs::read(&file).unwrap(), b"x");
        assert!(SharedMemory::load_anonymous(&link).is_ok(), "to read, a link will do");
        let text = std::ffi::CString::new(pipe.to_str().unwrap()).unwrap();
        // SAFETY: a zero-terminated path.
        assert_eq!(unsafe { libc::mkfifo(text.as_ptr(), 0o600) }, 0);
        for error in [
            original.save(&pipe).unwrap_err(),
            original.restore(&pipe).unwrap_err(),
            SharedMemory::load_anonymous(&pipe).unwrap_err(),
        ] {
            assert_file_error(&error, ErrorKind::NotAFile, &pipe);
        }
        assert_file_error(
            &original.save("/dev/null").unwrap_err(),
            ErrorKind::NotAFile,
            Path::new("/dev/null"),
        );
    }
    assert_bytes(&bytes(&original)[..5000], &noise(5000), "nothing has changed it");
}

pub(crate) fn files_longer_than_the_region() {
    let folder = Folder::new();
    let path = folder.file("picture");
    let small = memory(&noise(5000));
    fs::write(&path, vec![7; small.len() as usize + 1]).unwrap();
    let error = small.restore(&path).unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::OutOfBounds, Operation::Restore), "{error}");
    assert!(format!("{error:#}").contains("nothing was changed"), "{error}");
    assert_bytes(&bytes(&small)[..5000], &noise(5000), "nothing was");
}

pub(crate) fn files_that_shrink() {
    let folder = Folder::new();
    let path = folder.file("picture");
    // With bytes, and with holes up to the end.
    for fill in [3, 0] {
        let content = vec![fill; 6 * MIB];
        let cut = |progress: Progress| {
            if progress.done() == 0 {
                fs::File::options().write(true).open(&path).unwrap().set_len(2 << 20).unwrap();
            }
            ControlFlow::Continue(())
        };
        let name = unique_name("shorter");
        fs::write(&path, &content).unwrap();
        let error = OpenOptions::new().load_with(&*name, &path, cut).unwrap_err();
        assert_file_error(&error, ErrorKind::ChangedDuringCopy, &path);
        assert!(is_free(&name));
        let full = memory(&noise(6 * MIB));
        fs::write(&path, &content).unwrap();
        assert_file_error(&full.restore_with(&path, cut).unwrap_err(), ErrorKind::ChangedDuringCopy, &path);
        if fill == 0 {
            fs::File::create(&path).unwrap().set_len(6 << 20).unwrap();
            let error = OpenOptions::new().load_anonymous_with(&path, cut).unwrap_err();
            assert_file_error(&error, ErrorKind::ChangedDuringCopy, &path);
        }
    }
}

pub(crate) fn nothing_leaks_to_or_from_disk() {
    let folder = Folder::new();
    let path = folder.file("picture");
    let original = memory(&noise(2 * MIB));
    let round = || {
        original.save(&path).unwrap();
        original.save_with(&path, IfExists::Replace, until(MIB as u64)).unwrap_err();
        original.save_new(&path).unwrap_err();
        drop(SharedMemory::load_anonymous(&path).unwrap());
        OpenOptions::new().load_anonymous_with(&path, until(1)).unwrap_err();
        original.restore_with(&path, go_on).unwrap();
    };
    round();
    let (handles, views) = (open_handles(), testkit::mapped_views());
    let mut again = 0;
    // (Other tests run beside this one, and have handles of their own.)
    loop {
        for _ in 0..20 {
            round();
        }
        if open_handles() <= handles + 5 && testkit::mapped_views() <= views + 5 {
            break;
        }
        again += 1;
        assert!(
            again < 50,
            "{handles} and {views} became {} and {}",
            open_handles(),
            testkit::mapped_views()
        );
    }
    assert_eq!(folder.names(), ["picture"]);
}

/// If a descriptor does not work, bytes go through views; the result is the same.
#[cfg(unix)]
pub(crate) fn by_views_alone() {
    use mmf::os::unix::SharedMemoryExt;
    let folder = Folder::new();
    let (behind, path) = (folder.file("behind"), folder.file("picture"));
    let content = noise(40 * MIB + 123);
    fs::write(&behind, &content).unwrap();
    // A descriptor that appends: it would write elsewhere.
    let file = fs::File::options().read(true).append(true).open(&behind).unwrap();
    let memory = SharedMemory::<mmf::ReadWrite>::from_fd(file.into()).unwrap();
    memory.save(&path).unwrap();
    assert_bytes(&fs::read(&path).unwrap(), &content, "saved");
    let mut changed = content.clone();
    changed[17 * MIB..38 * MIB].fill(0);
    fs::write(&path, &changed).unwrap();
    memory.restore(&path).unwrap();
    assert_bytes(&fs::read(&behind).unwrap(), &changed, "restored");
    // Truncation is a fault; the offset is in the region, not in one of the views.
    let cut = |progress: Progress| {
        // While the view with that byte is mapped.
        if progress.done() == 18 << 20 {
            fs::File::options().write(true).open(&behind).unwrap().set_len(20 << 20).unwrap();
        }
        ControlFlow::Continue(())
    };
    fs::remove_file(&path).unwrap();
    let error = memory.save_with(&path, IfExists::Keep, cut).unwrap_err();
    assert_eq!((error.kind(), error.path()), (ErrorKind::Fault, None), "{error}");
    assert_eq!(error.fault().unwrap().offset(), 20 << 20, "{error}");
    assert_eq!(folder.names(), ["behind"]);
}

#[cfg(not(unix))]
pub(crate) fn by_views_alone() {
    testkit::skip("here they always do");
}

#[cfg(windows)]
pub(crate) fn reserved_regions() {
    let folder = Folder::new();
    let path = folder.file("picture");
    let name = unique_name("reserved");
    let mut peer = crate::foreign::c_peer();
    // The peer commits the first page, and no other.
    peer.say(&format!(r"reserve Local\{name} 67108864"));
    peer.expect("created");
    let original = SharedMemory::open(&*name).unwrap();
    original.view().unwrap().write_all_at(b"here", 100).unwrap();
    let saved = original.save(&path).unwrap();
    assert_eq!(saved.len() - saved.holes(), 4096, "{saved}");
    // Uncommitted pages that are to be zero are left alone.
    original.view().unwrap().write_all_at(b"gone", 100).unwrap();
    original.restore(&path).unwrap();
    assert_eq!(original.view().unwrap().read_vec(100, 4).unwrap(), b"here");
    assert_eq!(original.view().unwrap().read::<u32>(0).unwrap(), 0);
}

#[cfg(unix)]
pub(crate) fn reserved_regions() {
    testkit::skip("Unix has no memory that is reserved and not committed");
}

#[cfg(target_os = "linux")]
pub(crate) fn regions_truncated_by_another_process() {
    let folder = Folder::new();
    let path = folder.file("picture");
    let page = testkit::page_size();
    let len = 8 * MIB as u64;
    let mut peers = Vec::new();
    let mut cut = |shm: &Path, progress: Progress| {
        if progress.done() == 2 << 20 {
            let mut peer = Peer::start("faults::role_truncate", &[shm.to_str().unwrap(), "once"]);
            peer.expect("cut");
            peers.push(peer);
        }
        ControlFlow::Continue(())
    };
    let (original, shm) = named_memory(len);
    original.view().unwrap().write_all_at(&noise(len as usize), 0).unwrap();
    let error = original.save_with(&path, IfExists::Keep, |progress| cut(&shm, progress)).unwrap_err();
    assert_eq!((error.kind(), error.path()), (ErrorKind::Fault, None), "{error}");
    assert!(error.name().is_some() && format!("{error:#}").contains(&format!("byte {}", 2 << 20)), "{error}");
    assert_eq!(folder.names().len(), 0);

    fs::write(&path, noise(len as usize)).unwrap();
    let (restored, shm) = named_memory(len);
    // Writing by descriptor restores the length; the truncated bytes are lost as if the peer had written
    // zeros.
    let result = restored.restore_with(&path, |progress| cut(&shm, progress));
    assert!(result.is_ok() || result.is_err_and(|error| error.kind() == ErrorKind::Fault));
    fs::File::create(&path).unwrap().set_len(len).unwrap();
    let (restored, shm) = named_memory(len);
    let error = restored
        .restore_with(&path, |progress| {
            if progress.done() == 0 {
                fs::File::options().write(true).open(&shm).unwrap().set_len(page as u64).unwrap();
            }
            ControlFlow::Continue(())
        })
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fault, "{error}");
    let error = {
        fs::File::options().write(true).open(&shm).unwrap().set_len(0).unwrap();
        restored.save(folder.file("nothing")).unwrap_err()
    };
    assert_eq!(error.kind(), ErrorKind::TooSmall, "{error}");
}

#[cfg(target_os = "linux")]
pub(crate) fn regions_truncated_repeatedly() {
    let folder = Folder::new();
    let (path, source) = (folder.file("picture"), folder.file("source"));
    let len = 3 * MIB as u64;
    let (original, shm) = named_memory(len);
    fs::write(&source, noise(len as usize)).unwrap();
    let peer = Peer::start("faults::role_truncate", &[shm.to_str().unwrap(), "again and again"]);
    let (mut failed, mut went_well) = (0, 0);
    testkit::wait_until("both outcomes were seen", || {
        match original.save(&path) {
            Ok(_) => {
                went_well += 1;
                assert_eq!(fs::metadata(&path).unwrap().len() % len, 0);
            }
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::Fault | ErrorKind::TooSmall), "{error}");
                failed += 1;
            }
        }
        match original.restore(&source) {
            Ok(_) => {}
            Err(error) => {
                let expected = [ErrorKind::Fault, ErrorKind::OutOfBounds];
                assert!(expected.contains(&error.kind()), "{error}");
            }
        }
        assert!(folder.names().iter().all(|name| name == "picture" || name == "source"));
        failed > 3 && went_well > 3
    });
    peer.finish();
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn regions_truncated_by_another_process() {
    testkit::skip("regions cannot be truncated here");
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn regions_truncated_repeatedly() {
    testkit::skip("regions cannot be truncated here");
}

#[cfg(target_os = "linux")]
mod small {
    use super::*;
    use crate::users::{ANN, need_root};

    /// Starts a process with a small disk of its own, or returns why that is not possible.
    fn play(role: &str, folder: &Folder) {
        need_root();
        let mut peer = Peer::start(role, &[folder.0.to_str().unwrap()]);
        let answer = peer.hear();
        if answer.starts_with("skip") {
            testkit::skip(answer);
        }
        assert_eq!(answer, "done");
        peer.finish();
    }

    fn mount(at: &str, options: &std::ffi::CStr) -> std::io::Result<()> {
        let at = std::ffi::CString::new(at).unwrap();
        // SAFETY: no requirements.
        if unsafe { libc::unshare(libc::CLONE_NEWNS) } != 0 {
            return Err(std::io::Error::last_os_error());
        }
        let private = libc::MS_REC | libc::MS_PRIVATE;
        // Mounts of this process must not be visible outside.
        // SAFETY: constant texts.
        if unsafe {
            libc::mount(c"none".as_ptr(), c"/".as_ptr(), std::ptr::null(), private, std::ptr::null())
        } != 0
        {
            return Err(std::io::Error::last_os_error());
        }
        // SAFETY: zero-terminated texts that outlive the call.
        let code = unsafe {
            libc::mount(c"mmf".as_ptr(), at.as_ptr(), c"tmpfs".as_ptr(), 0, options.as_ptr().cast())
        };
        if code == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
    }

    pub(crate) fn a_full_disk() {
        play("disk::role_full_disk", &Folder::new());
    }

    pub(crate) fn role_full_disk(role: &mut Role) {
        let folder = Folder(role.argument(0).into());
        if let Err(error) = mount(role.argument(0), c"size=4m,mode=1777") {
            role.say(format!("skip: no mounts can be made here: {error}"));
            return std::mem::forget(folder);
        }
        let path = folder.file("picture");
        let large = memory(&noise(6 * MIB));
        // Reported before anything is written.
        let mut heard = Heard::default();
        let error = large.save_with(&path, IfExists::Keep, |progress| heard.hear(progress)).unwrap_err();
        assert_file_error(&error, ErrorKind::StorageFull, &path);
        let text = format!("{error:#}");
        assert!(text.contains(&(6 * MIB).to_string()) && text.contains("4194304"), "{text}");
        assert!(heard.0.iter().all(|progress| progress.done() == 0));
        assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::StorageFull);
        assert_eq!(folder.names().len(), 0);
        // The old file needs its space until the new one is complete, and stays.
        let half = memory(&noise(3 * MIB));
        half.save(&path).unwrap();
        assert_file_error(&half.save(&path).unwrap_err(), ErrorKind::StorageFull, &path);
        assert_bytes(&fs::read(&path).unwrap(), &noise(3 * MIB), "the old one");
        fs::remove_file(&path).unwrap();
        // Much has been written, but most of it is zero: there is enough space.
        let zeros = memory(&vec![0; 64 * MIB]);
        zeros.view().unwrap().fill(5, 20 * MIB..20 * MIB + MIB).unwrap();
        zeros.save(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), 64 << 20);
        fs::remove_file(&path).unwrap();
        // Another process uses up the space meanwhile.
        let theirs = folder.file("theirs");
        let error = half.save_with(&path, IfExists::Keep, |progress| {
            if progress.done() == 1 << 20 {
                fs::write(&theirs, noise(2 * MIB)).unwrap();
            }
            ControlFlow::Continue(())
        });
        assert_file_error(&error.unwrap_err(), ErrorKind::StorageFull, &path);
        assert_eq!(folder.names(), ["theirs"]);
        fs::remove_file(&theirs).unwrap();
        role.say("done");
        // The mount disappears with this process; the directory belongs to the test.
        std::mem::forget(folder);
    }

    pub(crate) fn no_pages_left_while_loading() {
        play("disk::role_no_pages", &Folder::new());
    }

    pub(crate) fn role_no_pages(role: &mut Role) {
        let folder = Folder(role.argument(0).into());
        if let Err(error) = mount("/dev/shm", c"size=4m,mode=1777") {
            role.say(format!("skip: no mounts can be made here: {error}"));
            return std::mem::forget(folder);
        }
        let path = folder.file("picture");
        fs::write(&path, noise(6 * MIB)).unwrap();
        let name = unique_name("pages");
        let error = SharedMemory::load(&*name, &path).unwrap_err();
        assert_eq!((error.kind(), error.path()), (ErrorKind::OutOfMemory, None), "{error}");
        // Others use up the pages after the creation.
        fs::write(&path, noise(3 * MIB)).unwrap();
        let theirs = Path::new("/dev/shm/theirs");
        let error = OpenOptions::new().load_with(&*name, &path, |progress| {
            if progress.done() == 1 << 20 {
                fs::write(theirs, noise(2 * MIB)).unwrap();
            }
            ControlFlow::Continue(())
        });
        let error = error.unwrap_err();
        assert_eq!((error.kind(), error.operation()), (ErrorKind::OutOfMemory, Operation::Load), "{error}");
        assert!(is_free(&name));
        role.say("done");
        std::mem::forget(folder);
    }

    pub(crate) fn limits_on_files() {
        play("disk::role_limited", &Folder::new());
    }

    pub(crate) fn role_limited(role: &mut Role) {
        let folder = Folder(role.argument(0).into());
        let path = folder.file("picture");
        let original = memory(&noise(3 * MIB));
        let limit = libc::rlimit { rlim_cur: 2 << 20, rlim_max: 2 << 20 };
        // SAFETY: a valid structure.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &limit) }, 0);
        // An error, and not the signal that the system would send.
        let error = original.save(&path).unwrap_err();
        assert_file_error(&error, ErrorKind::LimitReached, &path);
        assert!(format!("{error:#}").contains("RLIMIT_FSIZE"), "{error}");
        assert_eq!(folder.names().len(), 0);
        memory(&noise(MIB)).save(&path).unwrap();
        role.say("done");
        std::mem::forget(folder);
    }

    pub(crate) fn directories_of_other_users() {
        play("disk::role_another_user", &Folder::new());
    }

    pub(crate) fn role_another_user(role: &mut Role) {
        use std::os::unix::fs::PermissionsExt;
        let folder = Folder(role.argument(0).into());
        fs::set_permissions(&folder.0, fs::Permissions::from_mode(0o755)).unwrap();
        let (path, closed) = (folder.file("picture"), folder.file("closed"));
        fs::write(&path, b"not yours").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        // A directory that can be searched but not read.
        fs::create_dir(&closed).unwrap();
        std::os::unix::fs::chown(&closed, Some(ANN), None).unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o300)).unwrap();
        let original = memory(&noise(5000));
        // SAFETY: no requirements.
        assert_eq!(unsafe { libc::setuid(ANN) }, 0);
        for error in [
            original.save(&path).unwrap_err(),
            original.save(folder.file("new")).unwrap_err(),
            original.restore(&path).unwrap_err(),
            SharedMemory::load_anonymous(&path).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
            assert!(error.path().is_some() && error.raw_os_error().is_some(), "{error}");
        }
        original.save(closed.join("picture")).unwrap();
        assert_bytes(&fs::read(closed.join("picture")).unwrap(), &noise(5000), "saved");
        role.say("done");
        std::mem::forget(folder);
    }
}

#[cfg(not(target_os = "linux"))]
mod small {
    use super::*;

    const WHY: &str = "small disks and other users are played on Linux only";

    pub(crate) fn a_full_disk() {
        testkit::skip(WHY);
    }
    pub(crate) fn no_pages_left_while_loading() {
        testkit::skip(WHY);
    }
    pub(crate) fn limits_on_files() {
        testkit::skip(WHY);
    }
    pub(crate) fn directories_of_other_users() {
        testkit::skip(WHY);
    }
    pub(crate) fn role_full_disk(_: &mut Role) {}
    pub(crate) fn role_no_pages(_: &mut Role) {}
    pub(crate) fn role_limited(_: &mut Role) {}
    pub(crate) fn role_another_user(_: &mut Role) {}
}

pub(crate) use small::*;

testkit::registry! {
    disk
    tests {
        round_trips
        read_only_regions_are_saved
        options_apply_to_loaded_regions
        holes_stay_holes
        restoring_clears_holes
        images_of_many_gibibytes
        progress_is_reported
        cancelled_in_the_middle
        files_are_replaced_or_kept
        only_this_user_may_open_the_file
        killed_savers_leave_no_half_files
        invalid_paths
        files_longer_than_the_region
        files_that_shrink
        nothing_leaks_to_or_from_disk
        by_views_alone
        reserved_regions
        regions_truncated_by_another_process
        regions_truncated_repeatedly
        a_full_disk
        no_pages_left_while_loading
        limits_on_files
        directories_of_other_users
    }
    roles {
        role_save_here
        role_save
        role_full_disk
        role_no_pages
        role_limited
        role_another_user
    }
}
