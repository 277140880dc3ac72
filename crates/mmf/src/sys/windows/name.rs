//! Names of kernel objects: UTF-16, with the namespace as a prefix.

use std::sync::Arc;

use super::namespace::PrivateNamespace;
use crate::sys::{Failure, Reason};

/// A name in the spelling of the system, zero-terminated.
#[derive(Clone, Debug)]
pub(crate) struct ObjectName {
    units: Vec<u16>,
    space: Space,
}

/// The namespace of a name.
#[derive(Clone, Debug)]
pub(super) enum Space {
    Local,
    Global,
    /// A private namespace. It is open as long as the name is in use, because its names are reached through
    /// it.
    Private(Arc<PrivateNamespace>),
}

impl ObjectName {
    /// Checks that the system can have such a name. (The caller has checked the grammar; a NUL would cut the
    /// name.)
    pub(crate) fn check(_global: bool, text: &str) -> Result<(), Failure> {
        if text.contains('\0') { Err(Failure::new(Reason::BadName)) } else { Ok(()) }
    }

    /// A name in `Local\` or `Global\`.
    pub(crate) fn new(global: bool, text: &str) -> Result<Self, Failure> {
        Self::check(global, text)?;
        let prefix = if global { r"Global\" } else { r"Local\" };
        Ok(ObjectName::spell(prefix, text, if global { Space::Global } else { Space::Local }))
    }

    /// A name in a private namespace that is open under `alias`.
    pub(crate) fn private(alias: &str, space: PrivateNamespace, text: &str) -> Result<Self, Failure> {
        Self::check(false, text)?;
        Ok(ObjectName::spell(&format!(r"{alias}\"), text, Space::Private(Arc::new(space))))
    }

    fn spell(prefix: &str, text: &str, space: Space) -> Self {
        let units = prefix.encode_utf16().chain(text.encode_utf16()).chain([0]).collect();
        ObjectName { units, space }
    }

    /// Another name in the same namespace.
    pub(crate) fn beside(&self, text: &str) -> Self {
        let prefix_len = self.units.iter().position(|unit| *unit == u16::from(b'\\')).map_or(0, |at| at + 1);
        let prefix = String::from_utf16_lossy(self.units.get(..prefix_len).unwrap_or_default());
        ObjectName::spell(&prefix, text, self.space.clone())
    }

    pub(super) fn as_ptr(&self) -> *const u16 {
        self.units.as_ptr()
    }

    pub(super) fn space(&self) -> &Space {
        &self.space
    }

    /// The private namespace that has to stay open for the name to be reachable.
    pub(super) fn private_namespace(&self) -> Option<Arc<PrivateNamespace>> {
        match &self.space {
            Space::Private(space) => Some(Arc::clone(space)),
            Space::Local | Space::Global => None,
        }
    }

    /// The text after the prefix.
    pub(super) fn text(&self) -> String {
        let text = self.units.split(|unit| *unit == u16::from(b'\\')).nth(1).unwrap_or_default();
        String::from_utf16_lossy(text.strip_suffix(&[0]).unwrap_or(text))
    }
}
