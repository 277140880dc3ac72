use std::os::windows::io::AsHandle;

use windows_sys::Win32::System::Memory::{FILE_MAP_READ, SEC_RESERVE};

use super::super::memory::Object;
use super::super::security::{self, Protection};
use super::*;
use crate::sys::Mode;

#[test]
fn the_largest_free_range_can_be_mapped() {
    let section = security::with_attributes(&Protection::default(), false, |attributes| {
        api::create_file_mapping(attributes, SEC_RESERVE, 1 << 45, None, None)
    });
    let largest = largest_free_range();
    assert!(largest > 1 << 24 && largest % 4096 == 0, "{largest:#x}");
    let Ok((section, _)) = section else {
        println!("this system creates no section of this size: not tested");
        return;
    };
    // (Half of it, because other threads map concurrently.)
    let view = api::map_view_of_file(section.as_handle(), FILE_MAP_READ, 0, largest / 2);
    match view {
        Ok(base) => drop(Mapping::new(base, 0, largest / 2)),
        Err(error) => println!("the system fails for another reason: {error:?}"),
    }
    let object = Object::from_owned(section, Mode::Read).unwrap();
    let failure = object.map(0, usize::MAX / 2).unwrap_err();
    assert_eq!(failure.reason, Reason::TooLarge, "{failure:?}");
}
