//! What is there: the named memories of the machine.

use crate::diagnosis::Diagnosis;
use crate::error::{Error, Operation};
use crate::name::{Name, Namespace};
use crate::sys;

/// A named memory of the machine, made by anybody, found by [`list`].
#[derive(Clone, Debug)]
pub struct ListEntry {
    namespace: Namespace,
    text: String,
    stale: bool,
}

impl ListEntry {
    /// Who can see it.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The text of its name, without the namespace.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its name, to open it by.
    ///
    /// # Errors
    ///
    /// Others may use names that [`Name`] does not allow, such as very long ones; see [`Name::from_parts`].
    pub fn name(&self) -> Result<Name, Error> {
        Name::from_parts(self.namespace.clone(), &self.text)
    }

    /// On Linux: its holders have all been killed; who asks for it next removes it. Never true on Windows, where the system
    /// does that at once. A hint: false, too, for a name that somebody else looks at in the same moment.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.stale
    }
}

/// Lists the named memories that this user can see, whoever made them.
///
/// Windows: the sections in the directories `BaseNamedObjects` of the session and the machine. Linux: the files of
/// `/dev/shm`, without other users' local ones. What it finds may be gone a moment later.
///
/// # Errors
///
/// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) on macOS, which has no such list, and on Linux without
/// `/dev/shm`. [`ErrorKind::PermissionDenied`](crate::ErrorKind::PermissionDenied) if this user may not see what is there.
///
/// ```no_run
/// for entry in mmf::inspect::list()? {
///     println!("{}{}", entry.namespace().prefix(), entry.text());
/// }
/// # Ok::<(), mmf::Error>(())
/// ```
pub fn list() -> Result<Vec<ListEntry>, Error> {
    let found = sys::list().map_err(|failure| {
        let error = Error::from_system(Operation::List, failure);
        match Diagnosis::of_listing(failure) {
            Some(diagnosis) => error.with_found(diagnosis),
            None => error,
        }
    })?;
    Ok(found
        .into_iter()
        .map(|found| ListEntry {
            namespace: if found.global { Namespace::Global } else { Namespace::Local },
            text: found.text,
            stale: found.stale,
        })
        .collect())
}
