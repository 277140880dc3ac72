//! Bad input has an error of its own kind with a cure, and nothing is leaked.

use std::io;

use mmf::error::Operation;
use mmf::{ErrorKind, Name, Namespace, OpenOptions, SharedMemory};
use testkit::{Peer, unique_name};

fn kind_of(name: &str) -> ErrorKind {
    Name::new(name).unwrap_err().kind()
}

pub(crate) fn invalid_names() {
    for name in ["", r"Local\", r"Global\"] {
        assert_eq!(kind_of(name), ErrorKind::EmptyName, "{name:?}");
    }
    for name in [
        r"local\x",
        r"LOCAL\x",
        r"global\x",
        r"GLOBAL\x",
        r"Session\1\x",
        r"a\b",
        r"Local\a\b",
        r"Global\Local\x",
        r"\x",
        "a\0b",
        "\0",
    ] {
        assert_eq!(kind_of(name), ErrorKind::InvalidName, "{name:?}");
    }
    assert_eq!(kind_of(&"x".repeat(Name::MAX_LEN + 1)), ErrorKind::NameTooLong);
    assert_eq!(kind_of(&"\u{fc}".repeat(Name::MAX_LEN / 2 + 1)), ErrorKind::NameTooLong);
    // The message suggests the name that was meant.
    for (wrong, right) in [(r"local\x", r"Local\x"), (r"GLOBAL\x", r"Global\x"), (r"Session\1\x", r"Local\")]
    {
        let message = format!("{:#}", Name::new(wrong).unwrap_err());
        assert!(message.contains(right) && message.contains(wrong), "{message}");
    }
    // Every function checks the name, and reports it as it was given.
    let error = SharedMemory::create("a\\b", 10).unwrap_err();
    assert_eq!((error.kind(), error.name()), (ErrorKind::InvalidName, Some("a\\b")));
    assert_eq!(SharedMemory::open("").unwrap_err().kind(), ErrorKind::EmptyName);
    assert_eq!(SharedMemory::open_read_only(r"a\b").unwrap_err().kind(), ErrorKind::InvalidName);
    // On Windows these are ordinary names.
    for name in ["a/b", "/x", r"Global\/x", ".", "..", r"Global\.."] {
        match Name::new(name) {
            Ok(parsed) => assert!(cfg!(windows) && name.ends_with(parsed.text()), "{name:?}"),
            Err(error) => assert!(cfg!(unix) && error.kind() == ErrorKind::InvalidName, "{error}"),
        }
    }
    if cfg!(unix) {
        let message = format!("{:#}", Name::new("/x").unwrap_err());
        assert!(message.contains(r"write Global\x"), "{message}");
        assert_eq!(kind_of(r"Global\mmf.1000.x"), ErrorKind::InvalidName);
    }
    let name = Name::from_parts(Namespace::Global, "x").unwrap();
    assert_eq!(name, Name::new(&name.to_string()).unwrap());
}

pub(crate) fn missing_name() {
    let name = unique_name("missing");
    for error in [SharedMemory::open(&name).unwrap_err(), SharedMemory::open_read_only(&name).unwrap_err()] {
        assert_eq!((error.kind(), error.operation()), (ErrorKind::NotFound, Operation::Open));
        assert_eq!(error.name().unwrap(), format!(r"Local\{name}"));
    }
}

pub(crate) fn existing_name() {
    let name = unique_name("exists");
    let memory = SharedMemory::create(&name, 12_345).unwrap();
    let error = SharedMemory::create(&name, 12_345).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert!(format!("{error:#}").contains(&memory.len().to_string()), "{error}");
    // The attempt has not changed it.
    assert_eq!(SharedMemory::open(&name).unwrap().len(), memory.len());
}

pub(crate) fn wrong_lengths() {
    let name = unique_name("zero");
    assert_eq!(SharedMemory::create(&name, 0).unwrap_err().kind(), ErrorKind::ZeroLength);
    assert_eq!(SharedMemory::anonymous(0).unwrap_err().kind(), ErrorKind::ZeroLength);
    assert_eq!(OpenOptions::new().create(&name).unwrap_err().kind(), ErrorKind::ZeroLength);
    assert_eq!(OpenOptions::new().open_or_create(&name).unwrap_err().kind(), ErrorKind::ZeroLength);
    let memory = SharedMemory::anonymous(1).unwrap();
    assert_eq!(memory.view_at(0, 0).unwrap_err().kind(), ErrorKind::ZeroLength);
    assert_eq!(SharedMemory::open(&name).unwrap_err().kind(), ErrorKind::NotFound, "nothing was made");
}

pub(crate) fn too_large() {
    let name = unique_name("large");
    for len in [u64::MAX, 1 << 63] {
        assert_eq!(SharedMemory::create(&name, len).unwrap_err().kind(), ErrorKind::TooLarge);
        assert_eq!(SharedMemory::anonymous(len).unwrap_err().kind(), ErrorKind::TooLarge);
    }
    // More than a 32-bit process can address: the region can be created, but not mapped.
    if usize::BITS == 32 {
        let memory = match SharedMemory::anonymous(3 << 30) {
            Ok(memory) => memory,
            Err(error) => testkit::skip(format!("no 3 GiB here: {error}")),
        };
        let error = memory.view().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
        let part = memory.view_at((3 << 30) - 100, 100).unwrap();
        part.write(&1_u64, 92).unwrap();
    }
}

pub(crate) fn not_enough_memory() {
    let name = unique_name("much");
    for len in [i64::MAX as u64, 1 << 60, 1 << 50] {
        for error in
            [SharedMemory::create(&name, len).unwrap_err(), SharedMemory::anonymous(len).unwrap_err()]
        {
            assert!(matches!(error.kind(), ErrorKind::OutOfMemory | ErrorKind::TooLarge), "{len}: {error}");
        }
    }
    assert_eq!(SharedMemory::open(&name).unwrap_err().kind(), ErrorKind::NotFound, "nothing was made");
}

pub(crate) fn out_of_bounds() {
    let memory = SharedMemory::anonymous(4096).unwrap();
    let all = memory.len();
    for (offset, len) in
        [(all, 1), (0, 1 << 30), (all - 1, 2), (u64::MAX, 1), (u64::MAX, usize::MAX), (1, usize::MAX)]
    {
        assert_eq!(
            memory.view_at(offset, len).unwrap_err().kind(),
            ErrorKind::OutOfBounds,
            "{len} at {offset}"
        );
    }
    let view = memory.view_at(0, 4096).unwrap();
    let mut bytes = [0; 8];
    for offset in [4089, 4096, 4097, usize::MAX, usize::MAX - 7, usize::MAX - 8] {
        assert_eq!(view.read_exact_at(&mut bytes, offset).unwrap_err().kind(), ErrorKind::OutOfBounds);
        assert_eq!(view.write_all_at(&bytes, offset).unwrap_err().kind(), ErrorKind::OutOfBounds);
        assert_eq!(view.read::<u64>(offset).unwrap_err().kind(), ErrorKind::OutOfBounds);
        assert_eq!(view.write(&1_u64, offset).unwrap_err().kind(), ErrorKind::OutOfBounds);
        assert_eq!(
            view.fill(0, offset..offset.saturating_add(8)).unwrap_err().kind(),
            ErrorKind::OutOfBounds
        );
        assert_eq!(
            view.copy_to(offset..offset.saturating_add(8), &view, 0).unwrap_err().kind(),
            ErrorKind::OutOfBounds
        );
        assert_eq!(view.copy_from(&view, 0..8, offset).unwrap_err().kind(), ErrorKind::OutOfBounds);
        assert_eq!(view.subview(offset, 8).unwrap_err().kind(), ErrorKind::OutOfBounds);
        assert_eq!(view.atomic_u64(offset).unwrap_err().kind(), ErrorKind::OutOfBounds);
    }
    assert_eq!(view.fill(0, 0..usize::MAX).unwrap_err().kind(), ErrorKind::OutOfBounds);
    assert_eq!(view.fill(0, 1..usize::MAX).unwrap_err().kind(), ErrorKind::OutOfBounds);
    let reversed = std::ops::Range { start: 8, end: 0 };
    assert_eq!(view.fill(0, reversed.clone()).unwrap_err().kind(), ErrorKind::OutOfBounds);
    assert_eq!(view.copy_to(reversed, &view, 0).unwrap_err().kind(), ErrorKind::OutOfBounds);
    assert_eq!(view.read_vec(0, usize::MAX).unwrap_err().kind(), ErrorKind::OutOfBounds);
    assert_eq!(view.copy_to(4096..4096, &view, 4096).map_err(|error| error.kind()), Ok(()));
    let error = view.read::<u64>(4090).unwrap_err();
    assert!(format!("{error:#}").contains("4090") && format!("{error:#}").contains("4096"), "{error}");
}

pub(crate) fn misaligned_atomics() {
    let view = SharedMemory::anonymous(4096).unwrap().view().unwrap();
    for offset in 1..8 {
        assert_eq!(view.atomic_u64(offset).unwrap_err().kind(), ErrorKind::Misaligned);
        assert_eq!(
            view.atomic_i32(offset).map_err(|error| error.kind()).err(),
            (offset != 4).then_some(ErrorKind::Misaligned)
        );
        assert_eq!(view.atomic_u16(offset).is_ok(), offset % 2 == 0);
        assert!(view.atomic_i8(offset).is_ok());
    }
    // The address has to be aligned, not the offset in a subview.
    let odd = view.subview(1, 64).unwrap();
    assert_eq!(odd.atomic_u32(0).unwrap_err().kind(), ErrorKind::Misaligned);
    assert!(odd.atomic_u32(3).is_ok());
    assert!(odd.atomic_u32(0).unwrap_err().to_string().contains("use offset 3"));
}

pub(crate) fn smaller_than_requested() {
    let name = unique_name("small");
    let memory = SharedMemory::create(&name, 4096).unwrap();
    let error = OpenOptions::new().len(1 << 20).open(&name).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooSmall);
    let text = format!("{error:#}");
    assert!(text.contains(&memory.len().to_string()) && text.contains("1048576"), "{text}");
    assert_eq!(
        OpenOptions::new().len(1 << 20).open_read_only(&name).unwrap_err().kind(),
        ErrorKind::TooSmall
    );
    assert!(OpenOptions::new().len(4096).open(&name).is_ok());
}

#[cfg(windows)]
pub(crate) fn names_of_other_kinds() {
    for kind in ["event", "mutex"] {
        let name = unique_name(kind);
        let mut peer: Peer = crate::foreign::c_peer();
        peer.say(&format!(r"{kind} Local\{name}"));
        peer.expect("made");
        check_other_kind(&name);
        peer.finish();
    }
}

#[cfg(unix)]
pub(crate) fn names_of_other_kinds() {
    if !cfg!(target_os = "linux") {
        testkit::skip("shared memory objects are no files here, so nothing else can have their names");
    }
    let _: fn(&str, &[&str]) -> Peer = Peer::start;
    let text = unique_name("kind");
    let path = format!("/dev/shm/{text}");
    std::fs::create_dir(&path).unwrap();
    check_other_kind(&format!(r"Global\{text}"));
    std::fs::remove_dir(&path).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
    check_other_kind(&format!(r"Global\{text}"));
    std::fs::remove_file(&path).unwrap();
    let socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
    check_other_kind(&format!(r"Global\{text}"));
    drop(socket);
    std::fs::remove_file(&path).unwrap();
}

fn check_other_kind(name: &str) {
    for error in [
        SharedMemory::open(name).unwrap_err(),
        SharedMemory::open_read_only(name).unwrap_err(),
        SharedMemory::create(name, 4096).unwrap_err(),
        OpenOptions::new().len(4096).open_or_create(name).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::NotSharedMemory, "{error}");
        assert!(error.name().unwrap().ends_with(name.trim_start_matches(r"Global\")));
    }
}

pub(crate) fn messages_name_the_cure() {
    let name = unique_name("cure");
    let error = SharedMemory::open(&name).unwrap_err();
    let head = format!("cannot open the shared memory region \"Local\\{name}\": no region has this name");
    assert!(error.to_string().starts_with(&head), "{error}");
    assert!(!error.to_string().contains("start the program"), "{error}");
    let text = format!("{error:#}");
    assert!(
        text.starts_with(&head) && text.contains("do: start the program that creates it first"),
        "{text}"
    );
    let _memory = SharedMemory::create(&name, 1).unwrap();
    let text = format!("{:#}", SharedMemory::create(&name, 1).unwrap_err());
    assert!(text.contains("open_or_create") && text.contains(&name), "{text}");
    let debug = format!("{:?}", SharedMemory::create(&name, 1).unwrap_err());
    // The output of a `main` that returns the error.
    assert_eq!(debug, text);
}

pub(crate) fn failing_leaks_nothing() {
    // `nothing_leaks_in_a_thousand_rounds` counts handles over failures of every kind. Here: a failed
    // creation leaves nothing behind.
    let name = unique_name("half");
    let memory = SharedMemory::create(&name, 4096).unwrap();
    memory.view().unwrap().write(&7_u8, 0).unwrap();
    for _ in 0..100 {
        assert!(SharedMemory::create(&name, 1 << 20).is_err());
        assert!(OpenOptions::new().len(1 << 40).open_or_create(&name).is_err());
    }
    assert_eq!(memory.view().unwrap().read::<u8>(0).unwrap(), 7);
    drop(memory);
    assert_eq!(SharedMemory::open(&name).unwrap_err().kind(), ErrorKind::NotFound);
}

/// The inner error has the code of the system; an `io::Error` with an inner error cannot have one itself.
pub(crate) fn converts_to_io_error() {
    fn as_io() -> io::Result<SharedMemory> {
        Ok(SharedMemory::open(unique_name("io"))?)
    }
    let error = as_io().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    let inner = error.get_ref().unwrap().downcast_ref::<mmf::Error>().unwrap();
    assert_eq!(inner.kind(), ErrorKind::NotFound);
    assert_eq!(inner.raw_os_error(), Some(2));
    let text = inner.to_string();
    assert_eq!(error.to_string(), text);
    assert_eq!(error.downcast::<mmf::Error>().unwrap().to_string(), text);
}

testkit::registry! {
    errors
    tests {
        invalid_names
        missing_name
        existing_name
        wrong_lengths
        too_large
        not_enough_memory
        out_of_bounds
        misaligned_atomics
        smaller_than_requested
        names_of_other_kinds
        messages_name_the_cure
        failing_leaks_nothing
        converts_to_io_error
    }
    roles {
    }
}
