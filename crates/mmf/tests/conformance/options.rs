//! Every option with every verb: an option does what the tables in the documentation say, or it is an error
//! that names it.

use mmf::file::FileOptions;
use mmf::pages::{LargePages, Pages};
use mmf::security::{Principal, Security};
use mmf::{Disposition, Error, ErrorKind, OpenOptions, SharedMemory};
use testkit::{page_size, unique_name};

use crate::files::Place;

const LEN: u64 = 1 << 20;

fn options() -> OpenOptions {
    OpenOptions::new().len(LEN)
}

fn assert_names(error: &Error, option: &str) {
    assert_eq!(error.kind(), ErrorKind::InvalidOption, "{option}: {error}");
    assert!(error.to_string().contains(&format!("{option}()")), "{error}");
}

pub(crate) fn options_of_existing_regions_are_refused_where_one_is_created() {
    let place = Place::new("options-load");
    SharedMemory::anonymous(LEN).unwrap().save(place.path()).unwrap();
    for (option, options) in [
        ("expect_owner", options().expect_owner(Principal::CurrentUser)),
        ("expect_len", options().expect_len(LEN)),
    ] {
        let name = unique_name("options-create");
        assert_names(&options.create(&name).unwrap_err(), option);
        assert_eq!(options.check_create(&name).error_kind(), Some(ErrorKind::InvalidOption));
        assert_names(&options.anonymous().unwrap_err(), option);
        assert_names(&options.load(&name, place.path()).unwrap_err(), option);
        assert_names(&options.load_anonymous(place.path()).unwrap_err(), option);
        assert_eq!(SharedMemory::open(&name).unwrap_err().kind(), ErrorKind::NotFound, "nothing was created");
        // Where one may be opened they are accepted, and apply if one is.
        let (_memory, how) = options.open_or_create(&name).unwrap();
        assert_eq!(how, Disposition::Created);
        assert_eq!(options.open_or_create(&name).unwrap().1, Disposition::Opened);
        assert!(options.open(&name).is_ok() && options.open_read_only(&name).is_ok());
    }
}

pub(crate) fn options_of_new_regions_are_refused_where_one_is_opened() {
    let name = unique_name("options-open");
    let _memory = SharedMemory::create(&name, LEN).unwrap();
    for (option, options) in
        [("security", options().security(Security::current_user())), ("numa_node", options().numa_node(0))]
    {
        assert_names(&options.open(&name).unwrap_err(), option);
        assert_names(&options.open_read_only(&name).unwrap_err(), option);
        assert_eq!(options.check_open(&name).error_kind(), Some(ErrorKind::InvalidOption));
        assert_eq!(options.check_open_read_only(&name).error_kind(), Some(ErrorKind::InvalidOption));
        // Where one may be created they are accepted.
        assert_eq!(options.open_or_create(&name).unwrap().1, Disposition::Opened);
    }
}

pub(crate) fn expectations_apply_to_what_is_opened() {
    let name = unique_name("options-expect");
    let memory = SharedMemory::create(&name, LEN).unwrap();
    let other = memory.len() + page_size() as u64;
    let wrong = options().expect_len(other);
    assert_eq!(wrong.open(&name).unwrap_err().kind(), ErrorKind::UnexpectedLength);
    assert_eq!(wrong.open_read_only(&name).unwrap_err().kind(), ErrorKind::UnexpectedLength);
    assert_eq!(wrong.open_or_create(&name).unwrap_err().kind(), ErrorKind::UnexpectedLength);
    let stranger = if cfg!(windows) { Principal::System } else { Principal::user("4000000000") };
    let wrong = options().expect_owner(stranger);
    assert_eq!(wrong.open(&name).unwrap_err().kind(), ErrorKind::UnexpectedOwner);
    assert_eq!(wrong.open_read_only(&name).unwrap_err().kind(), ErrorKind::UnexpectedOwner);
    assert_eq!(wrong.open_or_create(&name).unwrap_err().kind(), ErrorKind::UnexpectedOwner);
}

pub(crate) fn lengths_and_capacities_are_minimums() {
    let name = unique_name("options-least");
    let memory = SharedMemory::create(&name, LEN).unwrap();
    assert_eq!(memory.len(), LEN);
    assert_eq!(OpenOptions::new().open(&name).unwrap().len(), LEN);
    for more in [OpenOptions::new().len(LEN + 1), options().len(LEN * 2)] {
        assert_eq!(more.open(&name).unwrap_err().kind(), ErrorKind::TooSmall);
        assert_eq!(more.open_read_only(&name).unwrap_err().kind(), ErrorKind::TooSmall);
        assert_eq!(more.open_or_create(&name).unwrap_err().kind(), ErrorKind::TooSmall);
    }
    assert_eq!(OpenOptions::new().open_or_create(&name).unwrap_err().kind(), ErrorKind::ZeroLength);
    if cfg!(target_os = "macos") {
        return;
    }
    let growing = unique_name("options-capacity");
    let memory = options().capacity(4 * LEN).create(&growing).unwrap();
    assert_eq!(memory.capacity(), 4 * LEN);
    assert_eq!(options().capacity(4 * LEN).anonymous().unwrap().capacity(), 4 * LEN);
    assert_eq!(options().capacity(4 * LEN).open(&growing).unwrap().capacity(), 4 * LEN);
    let more = options().capacity(8 * LEN);
    assert_eq!(more.open(&growing).unwrap_err().kind(), ErrorKind::TooSmall);
    assert_eq!(more.open_read_only(&growing).unwrap_err().kind(), ErrorKind::TooSmall);
    assert_eq!(more.open_or_create(&growing).unwrap_err().kind(), ErrorKind::TooSmall);
}

pub(crate) fn large_pages_are_used_or_refused_with_a_reason() {
    let name = unique_name("options-large");
    let _ordinary = SharedMemory::create(&name, LEN).unwrap();
    let opened = options().large_pages(LargePages::Preferred).open(&name).unwrap();
    assert_eq!(
        matches!(opened.pages(), Pages::Ordinary { .. }),
        opened.large_pages_refused().is_some(),
        "{opened:?}"
    );
    let required = options().large_pages(LargePages::Required);
    let missing = [ErrorKind::NoLargePages, ErrorKind::Unsupported];
    for result in [
        required.open(&name).map(|memory| memory.pages()),
        required.open_read_only(&name).map(|memory| memory.pages()),
        required.open_or_create(&name).map(|(memory, _)| memory.pages()),
    ] {
        match result {
            Ok(pages) => assert!(pages.large_size().is_some(), "{pages:?}"),
            Err(error) => assert!(missing.contains(&error.kind()), "{error}"),
        }
    }
}

pub(crate) fn options_of_files() {
    let place = Place::new("options-file");
    let file = || FileOptions::new(place.path());
    let expecting = file().len(100).expect_len(100);
    assert_names(&expecting.create().unwrap_err(), "expect_len");
    assert!(!place.path().exists(), "nothing was created");
    let (memory, how) = expecting.open_or_create().unwrap();
    assert_eq!((memory.len(), how), (100, Disposition::Created));
    assert_eq!(expecting.open_or_create().unwrap().1, Disposition::Opened);
    for (wrong, kind) in
        [(file().len(101), ErrorKind::TooSmall), (file().expect_len(99), ErrorKind::UnexpectedLength)]
    {
        assert_eq!(wrong.open().unwrap_err().kind(), kind);
        assert_eq!(wrong.open_read_only().unwrap_err().kind(), kind);
        assert_eq!(wrong.open_copy_on_write().unwrap_err().kind(), kind);
        assert_eq!(wrong.open_or_create().unwrap_err().kind(), kind);
    }
    // On Windows views of files do not follow, so there is nothing beyond the length to announce.
    let capacity = if cfg!(windows) { 100 } else { 1 << 20 };
    assert_eq!(file().capacity(1 << 20).open().unwrap().capacity(), capacity);
    assert_eq!(file().capacity(1 << 20).open_read_only().unwrap().capacity(), capacity);
}

testkit::registry! {
    options
    tests {
        options_of_existing_regions_are_refused_where_one_is_created
        options_of_new_regions_are_refused_where_one_is_opened
        expectations_apply_to_what_is_opened
        lengths_and_capacities_are_minimums
        large_pages_are_used_or_refused_with_a_reason
        options_of_files
    }
    roles {
    }
}
