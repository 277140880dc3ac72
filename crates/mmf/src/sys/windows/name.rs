//! Names of sections: UTF-16, with the namespace in front.

use crate::sys::{Failure, Reason};

/// A name as the system spells it: zero-terminated.
#[derive(Clone, Debug)]
pub(crate) struct ObjectName(Vec<u16>);

impl ObjectName {
    /// Whether the system can have such a name. (The caller has checked more; a NUL would make another name of it.)
    pub(crate) fn check(_global: bool, text: &str) -> Result<(), Failure> {
        if text.contains('\0') { Err(Failure::new(Reason::BadName)) } else { Ok(()) }
    }

    pub(crate) fn new(global: bool, text: &str) -> Result<Self, Failure> {
        Self::check(global, text)?;
        let prefix = if global { r"Global\" } else { r"Local\" };
        Ok(ObjectName(prefix.encode_utf16().chain(text.encode_utf16()).chain([0]).collect()))
    }

    pub(super) fn as_ptr(&self) -> *const u16 {
        self.0.as_ptr()
    }
}
