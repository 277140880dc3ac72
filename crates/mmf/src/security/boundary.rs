//! Boundaries: who may make the names of a private namespace.

use super::{IntegrityLevel, Principal};

/// Who may make the names of a [private namespace](crate::Namespace::Private) (Windows).
///
/// In `Local\` and `Global\`, whoever comes first has a name, friend or foe. The names of a private namespace can be made only
/// by those who are inside its boundary: who are *all* of its members, and of at least its integrity. A boundary is known by
/// all it is made of, so every program that uses it spells it the same way. Without a member it is around the current user: programs of
/// other users name that user.
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
/// Who may *open* is said by the [`Security`](crate::security::Security) of the memory. Whoever that of the first memory in the namespace grants
/// something can pass through it; grants of later memories to others do not reach them. The boundary and its name are no secret, and
/// no protection by themselves: what protects is that only who is inside can make the namespace and names in it.
/// On Unix, using such a name is [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported):
/// [`expect_owner`](crate::OpenOptions::expect_owner) serves there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[must_use = "a boundary does nothing until a name is made with it"]
pub struct BoundaryDescriptor {
    pub(crate) name: String,
    pub(crate) members: Vec<Principal>,
    pub(crate) integrity: Option<IntegrityLevel>,
}

impl BoundaryDescriptor {
    /// A boundary of this name, around the current user as long as no member is named. Choose a name that nobody else uses,
    /// such as a domain of yours.
    pub fn new(name: impl Into<String>) -> Self {
        BoundaryDescriptor { name: name.into(), members: Vec::new(), integrity: None }
    }

    /// Who is inside must (also) be this user, or of this group.
    pub fn member(mut self, who: Principal) -> Self {
        self.members.push(who);
        self
    }

    /// Who is inside must have at least this integrity.
    pub fn integrity(mut self, level: IntegrityLevel) -> Self {
        self.integrity = Some(level);
        self
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}
