//! Boundaries: the processes that may create names in a private namespace.

use super::{IntegrityLevel, Principal};

/// The boundary of a [private namespace](crate::Namespace::Private) (Windows), which determines the processes
/// that may create names in it.
///
/// In `Local\` and `Global\` a name belongs to the first process that creates it, whichever that is. Names in
/// a private namespace can be created only by processes inside its boundary: those that belong to *all* of
/// its members and have at least its integrity level. A boundary is identified by all of its parts, so every
/// program that uses it has to spell it the same way. Without a member it contains the current user; programs
/// of other users name that user as a member.
///
/// ```
/// use mmf::security::{BoundaryDescriptor, Principal};
/// use mmf::{Name, Namespace};
///
/// let boundary = BoundaryDescriptor::new("com.example.simulator").member(Principal::Administrators);
/// let name = Name::from_parts(Namespace::Private(boundary), "telemetry")?;
/// assert_eq!(name.text(), "telemetry");
/// # Ok::<(), mmf::Error>(())
/// ```
///
/// The [`Security`](crate::security::Security) of a region determines who may *open* it. The principals to
/// which the first region in the namespace grants access can traverse the namespace; grants of later regions
/// to other principals do not let those traverse it. The boundary and its name are not a secret and do not
/// protect by themselves: the protection is that only processes inside can create the namespace and names in
/// it.
///
/// On Unix such a name is [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported); use
/// [`expect_owner`](crate::OpenOptions::expect_owner) there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[must_use = "a boundary does nothing until a name is created with it"]
pub struct BoundaryDescriptor {
    pub(crate) name: String,
    pub(crate) members: Vec<Principal>,
    pub(crate) integrity: Option<IntegrityLevel>,
}

impl BoundaryDescriptor {
    /// Returns a boundary of this name that contains the current user until a member is added.
    ///
    /// Choose a name that no other program uses, such as one that starts with your domain.
    pub fn new(name: impl Into<String>) -> Self {
        BoundaryDescriptor { name: name.into(), members: Vec::new(), integrity: None }
    }

    /// Requires processes inside to belong to this user or group as well.
    pub fn member(mut self, who: Principal) -> Self {
        self.members.push(who);
        self
    }

    /// Requires processes inside to have at least this integrity level.
    pub fn integrity(mut self, level: IntegrityLevel) -> Self {
        self.integrity = Some(level);
        self
    }

    /// Returns its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}
