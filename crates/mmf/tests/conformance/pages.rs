//! Large pages and nodes: the preference, and the result.

use mmf::pages::{LargePages, Pages};
use mmf::{ErrorKind, OpenOptions, SharedMemory};
use testkit::{page_size, unique_name};

fn options(preference: LargePages) -> OpenOptions {
    OpenOptions::new().len(3 << 20).large_pages(preference)
}

pub(crate) fn ordinary_pages() {
    let memory = SharedMemory::create(&*unique_name("ordinary"), 1 << 20).unwrap();
    assert_eq!(memory.pages(), Pages::Ordinary { size: page_size() as u64 });
    assert!(memory.large_pages_refused().is_none());
    let view = memory.view().unwrap();
    view.fill(1, 0..1 << 20).unwrap();
    if cfg!(any(windows, target_os = "linux")) {
        assert_eq!(view.large_page_bytes().unwrap(), 0);
    }
}

/// Preferred: the region is created in any case, with large pages or a reason. Required: large pages, or the
/// same reason. Prints what could not be shown.
fn requested(make: impl Fn(&OpenOptions) -> Result<SharedMemory, mmf::Error>) -> Result<(), String> {
    let preferred = make(&options(LargePages::Preferred)).unwrap();
    preferred.view().unwrap().fill(1, 0..3 << 20).unwrap();
    match (preferred.pages(), preferred.large_pages_refused()) {
        (Pages::Ordinary { size }, Some(why)) => {
            assert_eq!(size, page_size() as u64);
            let error = make(&options(LargePages::Required)).unwrap_err();
            assert_eq!(error.kind(), why.kind(), "{error}\n{why}");
            assert!(error.to_string().len() > 60, "it says what to do: {error}");
            return Err(format!("there are no large pages here, and it is said so: {why}"));
        }
        (Pages::Large { size }, None) => {
            assert!(size > page_size() as u64 && preferred.len() % size == 0, "{size}");
            drop(preferred);
            let required = make(&options(LargePages::Required)).unwrap();
            let view = required.view().unwrap();
            view.fill(2, 0..view.len()).unwrap();
            if testkit::under_wine() {
                return Err("Wine says that pages are large, and makes ordinary ones".to_owned());
            }
            if std::env::var_os("MMF_TEST_RUNNER").is_none() {
                // (An emulator shows maps of its own.)
                assert_eq!(view.large_page_bytes().unwrap(), required.len());
            }
            // Parts of them, too, at offsets where no large page starts.
            let part = required.view_at(size + 4096 + 5, 1000).unwrap();
            assert_eq!(part.read_vec(0, 1000).unwrap(), vec![2; 1000]);
            part.write_all_at(b"part", 0).unwrap();
            assert_eq!(view.read_vec(size as usize + 4096 + 5, 4).unwrap(), b"part");
        }
        (Pages::Advised { size }, None) => {
            assert!(size > page_size() as u64);
            let view = preferred.view().unwrap();
            view.fill(2, 0..view.len()).unwrap();
            // Their number is the system's choice.
            assert!(view.large_page_bytes().unwrap() <= view.len() as u64);
        }
        (pages, why) => panic!("{pages:?}, {why:?}"),
    }
    Ok(())
}

pub(crate) fn large_pages_without_a_name() {
    requested(OpenOptions::anonymous).unwrap_or_else(|why| testkit::skip(why));
}

pub(crate) fn large_pages_with_a_name() {
    requested(|options| options.create(&*unique_name("large"))).unwrap_or_else(|why| testkit::skip(why));
}

/// In a directory for named regions that is mounted for this test.
pub(crate) fn large_pages_of_the_mount() {
    crate::mounts::play("pages::role_mount");
}

pub(crate) fn role_mount(role: &mut testkit::Role) {
    if let Err(why) = crate::mounts::mount("tmpfs", "/dev/shm", "mode=1777,huge=advise") {
        return role.say(format!("skip: {why}"));
    }
    let memory = options(LargePages::Required).create(role.argument(0)).unwrap();
    let Pages::Advised { size } = memory.pages() else { panic!("{:?}", memory.pages()) };
    let view = memory.view().unwrap();
    view.fill(2, 0..view.len()).unwrap();
    let large = view.large_page_bytes().unwrap();
    // A process that opens it may request them, too, and gets the existing ones in any case.
    let open = OpenOptions::new().large_pages(LargePages::Preferred).open(role.argument(0)).unwrap();
    assert_eq!(open.pages(), Pages::Advised { size });
    assert_eq!(
        SharedMemory::open(role.argument(0)).unwrap().pages(),
        Pages::Ordinary { size: page_size() as u64 }
    );
    // It can grow.
    let growing = OpenOptions::new().len(1 << 20).capacity(64 << 20).large_pages(LargePages::Required);
    let growing = growing.create(&*format!("{}-growing", role.argument(0))).unwrap();
    growing.grow(32 << 20).unwrap();
    growing.view().unwrap().fill(1, 0..32 << 20).unwrap();
    role.say(if large >= size { "done" } else { "skip: the kernel had no large page just now" });
}

pub(crate) fn a_preflight_knows() {
    let required = options(LargePages::Required);
    let check = required.check_create(&*unique_name("large-check"));
    let made = required.create(&*unique_name("large-check"));
    match &made {
        Ok(_) => assert!(check.is_ok(), "{check}"),
        Err(error) => assert_eq!(check.error_kind(), Some(error.kind()), "{check}\n{error}"),
    }
    assert!(options(LargePages::Preferred).check_create(&*unique_name("large-check")).is_ok());
}

pub(crate) fn large_pages_do_not_grow() {
    let asked = options(LargePages::Required).capacity(64 << 20);
    let error = asked.anonymous().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::NoLargePages | ErrorKind::Unsupported), "{error}");
    let preferred = options(LargePages::Preferred).capacity(64 << 20).anonymous().unwrap();
    assert!(preferred.large_pages_refused().is_some());
    assert_eq!(preferred.grow(8 << 20).unwrap(), 8 << 20);
}

pub(crate) fn more_large_pages_than_available() {
    let asked = OpenOptions::new().len(1 << 42).large_pages(LargePages::Required);
    let error = asked.anonymous().unwrap_err();
    assert!(
        matches!(
            error.kind(),
            ErrorKind::NoLargePages
                | ErrorKind::OutOfMemory
                | ErrorKind::PermissionDenied
                | ErrorKind::TooLarge
                | ErrorKind::Unsupported
        ),
        "{error}"
    );
}

pub(crate) fn nodes() {
    if cfg!(target_vendor = "apple") {
        testkit::skip("there are no nodes here");
    }
    let on = |node| OpenOptions::new().len(1 << 20).numa_node(node);
    for memory in [on(0).create(&*unique_name("node")), on(0).anonymous()] {
        let memory = match memory {
            Err(error) if error.kind() == ErrorKind::NoSuchNode => {
                testkit::skip(format!("this system does not know any node: {error}"))
            }
            memory => memory.unwrap(),
        };
        let view = memory.view().unwrap();
        view.fill(1, 0..1 << 20).unwrap();
        assert_eq!(view.numa_node(1000).unwrap(), Some(0), "the pages are in the RAM of the first node");
        assert_eq!(view.numa_node(1 << 20).unwrap_err().kind(), ErrorKind::OutOfBounds);
    }
    let error = on(4000).create(&*unique_name("node")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSuchNode, "{error}");
    // A page that was never touched is on no node.
    let untouched = OpenOptions::new().len(1 << 20).anonymous().unwrap().view().unwrap();
    assert_eq!(untouched.numa_node(0).unwrap(), None);
}

testkit::registry! {
    pages
    tests {
        ordinary_pages
        large_pages_without_a_name
        large_pages_with_a_name
        large_pages_of_the_mount
        a_preflight_knows
        large_pages_do_not_grow
        more_large_pages_than_available
        nodes
    }
    roles {
        role_mount
    }
}
