//! Names of kernel objects: a text, with the namespace as a prefix.

use std::sync::Arc;

use super::namespace::PrivateNamespace;
use super::wide::Wide;
use crate::sys::{Failure, Reason};

/// A name of a kernel object.
#[derive(Clone, Debug)]
pub(crate) struct ObjectName {
    prefix: String,
    text: String,
    /// The prefix and the text, as the calls take them.
    whole: Wide,
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
    /// Checks that the system accepts such a name. (The caller has checked the grammar; a NUL would truncate
    /// the name.)
    pub(crate) fn check(_global: bool, text: &str) -> Result<(), Failure> {
        if text.contains('\0') { Err(Failure::new(Reason::BadName)) } else { Ok(()) }
    }

    /// Returns a name in `Local\` or `Global\`.
    pub(crate) fn new(global: bool, text: &str) -> Result<Self, Failure> {
        let prefix = if global { r"Global\" } else { r"Local\" };
        ObjectName::spell(prefix.to_owned(), text, if global { Space::Global } else { Space::Local })
    }

    /// Returns a name in a private namespace that is open under `alias`.
    pub(crate) fn private(alias: &str, space: PrivateNamespace, text: &str) -> Result<Self, Failure> {
        ObjectName::spell(format!(r"{alias}\"), text, Space::Private(Arc::new(space)))
    }

    fn spell(prefix: String, text: &str, space: Space) -> Result<Self, Failure> {
        let whole = Wide::new(&format!("{prefix}{text}")).ok_or(Failure::new(Reason::BadName))?;
        Ok(ObjectName { prefix, text: text.to_owned(), whole, space })
    }

    /// Returns another name in the same namespace.
    pub(super) fn beside(&self, text: &str) -> Result<Self, Failure> {
        ObjectName::spell(self.prefix.clone(), text, self.space.clone())
    }

    /// Returns the name as the calls take it.
    pub(super) fn as_wide(&self) -> &Wide {
        &self.whole
    }

    pub(super) fn space(&self) -> &Space {
        &self.space
    }

    /// Returns the private namespace that has to stay open for the name to be reachable.
    pub(super) fn private_namespace(&self) -> Option<Arc<PrivateNamespace>> {
        match &self.space {
            Space::Private(space) => Some(Arc::clone(space)),
            Space::Local | Space::Global => None,
        }
    }

    /// Returns the text after the prefix.
    pub(super) fn text(&self) -> &str {
        &self.text
    }
}
