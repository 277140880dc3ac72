//! The named regions of the machine.

use crate::diagnosis::Diagnosis;
use crate::error::{Error, Operation};
use crate::name::{Name, Namespace};
use crate::sys;

/// A named region of the machine, created by any program: an element of what [`list`] returns.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct ListEntry {
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialize_namespace"))]
    namespace: Namespace,
    text: String,
    stale: bool,
}

/// Serializes a namespace as its prefix without the backslash.
#[cfg(feature = "serde")]
fn serialize_namespace<S: serde::Serializer>(
    namespace: &Namespace,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(namespace.prefix().trim_end_matches('\\'))
}

impl ListEntry {
    /// Returns the namespace of its name.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Returns the text of its name, without the namespace.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns its name, by which it can be opened.
    ///
    /// # Errors
    ///
    /// Those of [`Name::from_parts`]: other programs may use names that [`Name`] does not allow, such as very
    /// long ones.
    pub fn name(&self) -> Result<Name, Error> {
        Name::from_parts(self.namespace.clone(), &self.text)
    }

    /// Returns whether all its holders were killed, so that the next open removes it (Linux). Always false on
    /// Windows, where the system removes such a region at once.
    ///
    /// This is a hint: it is also false while another process examines the name.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.stale
    }
}

/// Lists the named regions that this user can see, whichever program created them.
///
/// On Windows, these are the sections in the directories `BaseNamedObjects` of the session and of the
/// machine. On Linux, they are the files in `/dev/shm` except the local ones of other users. A listed region
/// may be gone a moment later.
///
/// # Errors
///
/// - [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported): on macOS, which has no such list, and on
///   Linux without `/dev/shm`.
/// - [`ErrorKind::PermissionDenied`](crate::ErrorKind::PermissionDenied): this user may not read the list.
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
