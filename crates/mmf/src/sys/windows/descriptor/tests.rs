use std::os::windows::io::AsHandle;

use windows_sys::Win32::System::Memory::{FILE_MAP_READ, SEC_COMMIT};

use super::super::{account, security};
use super::*;
use crate::sys::Reason;

const PLAIN_TEXT: &str = "O:BAG:SYD:P(D;;GA;;;AN)(A;;GRGW;;;BA)(A;;0x5;;;S-1-5-21-1-2-3-1001)(A;;GR;;;AC)";

#[test]
fn descriptors_survive_the_way_through_text() {
    // Systems write the same rights in different terms, so the bytes are compared.
    for text in [PLAIN_TEXT, "D:P", "D:(A;;GA;;;WD)", "O:SY", "G:BA"] {
        let bytes = from_sddl(text).unwrap();
        assert_eq!(self_relative::end(&bytes), Some(bytes.len()), "{text}");
        assert_eq!(from_sddl(&to_sddl(&bytes).unwrap()).unwrap(), bytes, "{text}");
    }
    let world = to_sddl(&from_sddl("D:(A;;GA;;;S-1-1-0)").unwrap());
    assert_eq!(world.unwrap(), "D:(A;;GA;;;WD)");
}

#[test]
fn labels_are_parsed_and_formatted() {
    let text = "S:(ML;;NW;;;LW)";
    let bytes = from_sddl(text).unwrap();
    // SYSTEM_MANDATORY_LABEL_ACE: 0x11, 20 bytes; no write-up; S-1-16-4096.
    let label = [0x11, 0, 20, 0, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 16, 0, 0x10, 0, 0];
    assert!(bytes.ends_with(&label), "{bytes:x?}");
    let back = to_sddl(&bytes).unwrap();
    if testkit::under_wine() {
        println!("Wine does not format labels: not tested");
    } else {
        assert_eq!(back, text);
    }
}

#[test]
fn malformed_text_is_refused() {
    for text in ["D:(", "D:(A;;GA;;;NOBODY)", "no descriptor", "D:\0"] {
        let failure = from_sddl(text).unwrap_err();
        assert_eq!(failure.reason, Reason::Other, "{text:?}");
        assert!(failure.code.is_some_and(|code| code != 0), "{text:?}");
    }
}

#[test]
fn the_descriptor_of_an_object_names_the_current_user() {
    let section = security::with_attributes(&security::Protection::CurrentUser, true, |attributes| {
        api::create_file_mapping(attributes, SEC_COMMIT, 1, None, None)
    });
    let (section, _) = section.unwrap();
    let user = account::token().unwrap().user;
    let descriptor = of(section.as_handle()).unwrap();
    assert_eq!(self_relative::end(&descriptor), Some(descriptor.len()));
    let grants = |bytes: &[u8]| bytes.windows(user.len()).any(|part| part == user);
    assert!(grants(&descriptor), "{}", to_sddl(&descriptor).unwrap());
    println!("{}", to_sddl(&descriptor).unwrap());
    let narrow = api::duplicate_handle(section.as_handle(), Some(FILE_MAP_READ)).unwrap();
    assert_eq!(of(narrow.as_handle()).map_err(|failure| failure.reason), Err(Reason::Denied));
}
