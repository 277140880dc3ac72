use std::cell::RefCell;

use windows_sys::Win32::Security::{AllocateAndInitializeSid, SID_IDENTIFIER_AUTHORITY};

use super::*;

thread_local! {
    static NAME: RefCell<Vec<u16>> = const { RefCell::new(Vec::new()) };
}

unsafe extern "system" fn derive(name: *const u16, sid: *mut *mut c_void) -> HRESULT {
    let mut at = name;
    loop {
        // SAFETY: the caller passes a zero-terminated text, and the zero has not been reached.
        let unit = unsafe { at.read() };
        if unit == 0 {
            break;
        }
        NAME.with_borrow_mut(|name| name.push(unit));
        // SAFETY: this unit was not the zero, so another one follows.
        at = unsafe { at.add(1) };
    }
    let authority = SID_IDENTIFIER_AUTHORITY { Value: [0, 0, 0, 0, 0, 15] };
    // SAFETY: two sub-authorities are passed; the caller passes a valid pointer for the reply.
    let made = unsafe { AllocateAndInitializeSid(&authority, 2, 2, 77, 0, 0, 0, 0, 0, 0, sid) };
    assert_ne!(made, 0);
    0
}

unsafe extern "system" fn derive_without_a_sid(_: *const u16, _: *mut *mut c_void) -> HRESULT {
    0
}

unsafe extern "system" fn derive_refused(_: *const u16, _: *mut *mut c_void) -> HRESULT {
    i32::from_ne_bytes(0x8007_0057_u32.to_ne_bytes())
}

#[test]
fn package_sids_are_copied_from_the_allocated_reply() {
    let name = Wide::new("App_1ä").unwrap();
    // SAFETY: the substitute does what the documentation states.
    let sid = unsafe { derive_by(derive, &name) };
    assert_eq!(sid.unwrap(), [1, 2, 0, 0, 0, 0, 0, 15, 2, 0, 0, 0, 77, 0, 0, 0]);
    assert_eq!(NAME.take(), "App_1ä".encode_utf16().collect::<Vec<_>>());
    // SAFETY: as above; the substitute returns no SID.
    assert_eq!(unsafe { derive_by(derive_without_a_sid, &name) }, Ok(Vec::new()));
    // SAFETY: the substitute fails as the documentation states.
    let refused = unsafe { derive_by(derive_refused, &name) };
    assert_eq!(refused, Err(-0x7FF8_FFA9));
}
