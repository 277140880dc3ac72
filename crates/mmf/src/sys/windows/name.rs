//! Names of sections: UTF-16, with the namespace in front.

use crate::sys::{Failure, Reason};

/// A name as the system spells it: zero-terminated.
#[derive(Clone, Debug)]
pub(crate) struct ObjectName(Vec<u16>);

impl ObjectName {
    pub(crate) fn new(global: bool, text: &str) -> Result<Self, Failure> {
        // (The caller has checked this; a NUL here would make another name of it.)
        if text.contains('\0') {
            return Err(Failure::new(Reason::BadName));
        }
        let prefix = if global { r"Global\" } else { r"Local\" };
        Ok(ObjectName(prefix.encode_utf16().chain(text.encode_utf16()).chain([0]).collect()))
    }

    pub(super) fn as_ptr(&self) -> *const u16 {
        self.0.as_ptr()
    }
}
