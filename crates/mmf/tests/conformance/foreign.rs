//! Programs in other languages open our regions, and we open theirs.

use mmf::{ErrorKind, SharedMemory};
use testkit::{Peer, assert_bytes, unique_name};

/// Returns the answer of a peer's `sum` for these bytes.
fn weighed(bytes: &[u8]) -> u64 {
    bytes.iter().zip(1..).map(|(byte, weight)| u64::from(*byte) * weight).sum()
}

fn counting(len: usize, first: u8) -> Vec<u8> {
    (0..len).map(|i| first.wrapping_add(i.to_le_bytes()[0])).collect()
}

/// `ours` and `theirs` are the same name in the two spellings.
fn they_open_ours(mut peer: Peer, ours: &str, theirs: &str) {
    let memory = SharedMemory::create(ours, 100_000).unwrap();
    let view = memory.view().unwrap();
    view.write_all_at(&counting(5000, 3), 0).unwrap();
    peer.say(&format!("open {theirs}"));
    assert_eq!(peer.hear(), format!("opened {}", memory.len()));
    peer.say("sum 0 5000");
    assert_eq!(peer.hear(), weighed(&counting(5000, 3)).to_string());
    peer.say("put 60000 300 200");
    peer.expect("done");
    assert_bytes(&view.read_vec(60_000, 300).unwrap(), &counting(300, 200), "written by the peer");
    peer.say("close");
    peer.expect("closed");
    peer.finish();
}

fn we_open_theirs(peer: &mut Peer, ours: &str, theirs: &str) {
    peer.say(&format!("create {theirs} 70000"));
    peer.expect("created");
    peer.say("put 0 1000 9");
    peer.expect("done");
    let memory = SharedMemory::open(ours).unwrap();
    assert!((70_000..70_000 + 65536).contains(&memory.len()));
    let view = memory.view().unwrap();
    assert_bytes(&view.read_vec(0, 1000).unwrap(), &counting(1000, 9), "made by the peer");
    view.write_all_at(&counting(777, 1), 69_000).unwrap();
    peer.say("sum 69000 777");
    assert_eq!(peer.hear(), weighed(&counting(777, 1)).to_string());
    assert!(SharedMemory::open_read_only(ours).is_ok());
    let error = SharedMemory::create(ours, 10).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert!(
        mmf::inspect::list().is_ok_and(|entries| entries.iter().any(|entry| ours.ends_with(entry.text())))
            || cfg!(target_vendor = "apple")
    );
}

#[cfg(windows)]
mod here {
    use super::*;

    /// The C program of `peers/win32_peer.c`, built beforehand.
    pub(crate) fn c_peer() -> Peer {
        let Some(program) = std::env::var_os("MMF_TEST_C_PEER") else {
            testkit::skip(
                "MMF_TEST_C_PEER names no build of tests/peers/win32_peer.c; ci/test-windows.sh makes one",
            );
        };
        Peer::spawn("win32_peer", &mut std::process::Command::new(program))
    }

    pub(crate) fn c_opens_ours() {
        for namespace in ["Local", "Global"] {
            let name = format!(r"{namespace}\{}", unique_name("c"));
            they_open_ours(c_peer(), &name, &name);
        }
        let text = unique_name("plain");
        they_open_ours(c_peer(), &text, &text);
    }

    pub(crate) fn we_open_c() {
        let name = format!(r"Local\{}", unique_name("c"));
        let mut peer = c_peer();
        we_open_theirs(&mut peer, &name, &name);
        peer.finish();
        assert_eq!(SharedMemory::open(&name).unwrap_err().kind(), ErrorKind::NotFound);
    }

    pub(crate) fn python_opens_ours() {
        testkit::skip("Python is tried on Unix; on Windows the C program does the same calls");
    }

    pub(crate) fn we_open_python() {
        python_opens_ours();
    }

    pub(crate) fn foreign_objects_are_never_removed() {
        // A section cannot be removed, but our opening and closing must not end theirs.
        let name = format!(r"Local\{}", unique_name("stays"));
        let mut peer = c_peer();
        we_open_theirs(&mut peer, &name, &name);
        assert!(SharedMemory::open(&name).is_ok());
        peer.finish();
    }

    pub(crate) fn an_unsized_object_is_not_ready() {
        testkit::skip("a section always has its length from the start");
    }

    fn granted(mask: u32) -> (Peer, String) {
        let name = format!(r"Local\{}", unique_name("grant"));
        let mut peer = c_peer();
        peer.say(&format!("grant {name} 20000 {mask:x}"));
        peer.expect("created");
        peer.say("put 0 8 1");
        peer.expect("done");
        (peer, name)
    }

    pub(crate) fn read_only_grants() {
        // SECTION_MAP_READ with and without SECTION_QUERY.
        for mask in [0x5, 0x4] {
            let (peer, name) = granted(mask);
            let error = SharedMemory::open(&name).unwrap_err();
            assert_eq!((error.kind(), error.raw_os_error()), (ErrorKind::NotWritable, Some(5)), "{error}");
            let memory = SharedMemory::open_read_only(&name).unwrap();
            assert_eq!(memory.len(), 20480, "mask {mask:x}");
            assert_eq!(memory.view().unwrap().read_vec(0, 3).unwrap(), [1, 2, 3]);
            assert_eq!(SharedMemory::create(&name, 10).unwrap_err().kind(), ErrorKind::AlreadyExists);
            let either = mmf::OpenOptions::new().len(10).open_or_create(&name).unwrap_err();
            assert_eq!(either.kind(), ErrorKind::NotWritable);
            peer.finish();
        }
    }

    pub(crate) fn no_grants() {
        // READ_CONTROL only.
        let (peer, name) = granted(0x20000);
        for error in
            [SharedMemory::open(&name).unwrap_err(), SharedMemory::open_read_only(&name).unwrap_err()]
        {
            assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
        }
        assert_eq!(SharedMemory::create(&name, 10).unwrap_err().kind(), ErrorKind::AlreadyExists);
        let either = mmf::OpenOptions::new().len(10).open_or_create(&name).unwrap_err();
        assert_eq!(either.kind(), ErrorKind::PermissionDenied, "{either}");
        peer.finish();
    }
}

#[cfg(unix)]
mod here {
    use std::path::Path;
    use std::process::Command;

    use super::*;

    /// The C program of `peers/posix_peer.c`, built by this test.
    pub(crate) fn c_peer() -> Peer {
        static PROGRAM: std::sync::OnceLock<Option<std::path::PathBuf>> = std::sync::OnceLock::new();
        let program = PROGRAM.get_or_init(|| {
            let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/posix_peer.c");
            let program =
                Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("posix_peer-{}", std::process::id()));
            let mut compiler = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()));
            let made = compiler.arg("-O1").arg("-o").arg(&program).arg(source).args(librt()).status();
            made.is_ok_and(|status| status.success()).then_some(program)
        });
        let Some(program) = program else { testkit::skip("there is no C compiler here") };
        Peer::spawn("posix_peer", &mut Command::new(program))
    }

    fn librt() -> &'static [&'static str] {
        if cfg!(target_os = "linux") { &["-lrt"] } else { &[] }
    }

    fn python_peer() -> Peer {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/python_peer.py");
        let knows = Command::new("python3").args(["-c", "import multiprocessing.shared_memory"]).output();
        if !knows.is_ok_and(|output| output.status.success()) {
            testkit::skip("there is no Python with multiprocessing.shared_memory here");
        }
        Peer::spawn("python_peer", Command::new("python3").arg("-u").arg(script))
    }

    pub(crate) fn c_opens_ours() {
        let text = unique_name("c");
        they_open_ours(c_peer(), &format!(r"Global\{text}"), &format!("/{text}"));
        // SAFETY: it has no requirements.
        let user = unsafe { libc::geteuid() };
        let text = unique_name("c");
        they_open_ours(c_peer(), &text, &format!("/mmf.{user}.{text}"));
    }

    pub(crate) fn we_open_c() {
        let text = unique_name("c");
        let mut peer = c_peer();
        we_open_theirs(&mut peer, &format!(r"Global\{text}"), &format!("/{text}"));
        peer.say(&format!("unlink /{text}"));
        peer.expect("done");
        peer.finish();
    }

    pub(crate) fn python_opens_ours() {
        let text = unique_name("py");
        they_open_ours(python_peer(), &format!(r"Global\{text}"), &text);
    }

    pub(crate) fn we_open_python() {
        let text = unique_name("py");
        let mut peer = python_peer();
        we_open_theirs(&mut peer, &format!(r"Global\{text}"), &text);
        peer.say("unlink");
        peer.expect("done");
        peer.finish();
    }

    pub(crate) fn foreign_objects_are_never_removed() {
        let text = unique_name("stays");
        let mut peer = c_peer();
        let name = format!(r"Global\{text}");
        we_open_theirs(&mut peer, &name, &format!("/{text}"));
        // Their program has ended, all our handles are closed, and others have opened the name: it still
        // exists.
        peer.kill();
        for _ in 0..3 {
            assert!(SharedMemory::open(&name).is_ok());
            assert_eq!(SharedMemory::create(&name, 10).unwrap_err().kind(), ErrorKind::AlreadyExists);
        }
        let mut peer = c_peer();
        peer.say(&format!("unlink /{text}"));
        peer.expect("done");
        assert_eq!(SharedMemory::open(&name).unwrap_err().kind(), ErrorKind::NotFound);
        peer.finish();
    }

    pub(crate) fn an_unsized_object_is_not_ready() {
        let text = unique_name("unsized");
        let mut peer = c_peer();
        peer.say(&format!("unsized /{text}"));
        peer.expect("created");
        let error = SharedMemory::open(format!(r"Global\{text}")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotReady);
        assert!(format!("{error:#}").contains("try again"), "{error}");
        let either = mmf::OpenOptions::new().len(10).open_or_create(format!(r"Global\{text}")).unwrap_err();
        assert_eq!(either.kind(), ErrorKind::NotReady, "{either}");
        peer.say(&format!("unlink /{text}"));
        peer.expect("done");
        peer.finish();
    }

    pub(crate) fn read_only_grants() {
        crate::system::as_other_user(0o644, "NotWritable", "4096");
    }

    pub(crate) fn no_grants() {
        crate::system::as_other_user(0o600, "PermissionDenied", "PermissionDenied");
    }
}

pub(crate) use here::*;

testkit::registry! {
    foreign
    tests {
        c_opens_ours
        we_open_c
        python_opens_ours
        we_open_python
        foreign_objects_are_never_removed
        an_unsized_object_is_not_ready
        read_only_grants
        no_grants
    }
    roles {
    }
}
