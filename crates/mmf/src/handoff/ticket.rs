//! Memory for a process that runs already.

use core::fmt;
use core::str::FromStr;

use super::note::Note;
use super::{Origin, system};
use crate::access::{Access, ReadOnly, ReadWrite};
use crate::error::{Error, ErrorKind, Operation};
use crate::memory::SharedMemory;

/// A memory on its way to a process, as a text: for those who have a way of their own to reach it, such as a pipe, a socket or a
/// message queue.
///
/// ```
/// use mmf::SharedMemory;
/// use mmf::handoff::Ticket;
///
/// # if cfg!(target_os = "macos") { return Ok(()); }
/// // The giver knows the process (here: this one) …
/// let memory = SharedMemory::anonymous(4096)?;
/// memory.view()?.write(&7_u32, 0)?;
/// let text = memory.ticket_for(std::process::id())?.to_string();
///
/// // … and the receiver gets the text, by whatever way.
/// let memory = text.parse::<Ticket>()?.redeem()?;
/// assert_eq!(memory.view()?.read::<u32>(0)?, 7);
/// # Ok::<(), mmf::Error>(())
/// ```
///
/// | system | how | the giver must |
/// | --- | --- | --- |
/// | Windows | the handle is duplicated into the process | have the right to (`PROCESS_DUP_HANDLE`): a process of the same user, and not of higher integrity. It may let go at once |
/// | Linux | the receiver opens the giver's descriptor anew, through `/proc` | be of the same user, pid namespace and time namespace, and hold the memory until the ticket is redeemed. A memory that was [made read-only](SharedMemory::into_read_only) can be redeemed for reading only, also by tickets of clones that may write |
/// | macOS | *unsupported*: send it over a socket, see [`os::unix`](crate::os) | |
///
/// A ticket is for one process and can be redeemed once (on Linux, by any process of the user, and as often as it wants while the
/// giver holds the memory). It is no secret: nobody else can do anything with it. Whoever forges one gets an [`ErrorKind::InvalidTicket`]; whoever redeems one should know whom it
/// comes from, as with any memory that others share.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ticket(Note);

impl<A: Access> SharedMemory<A> {
    /// A ticket for a process, with the rights of this memory.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::NotFound`]: there is no such process.
    /// - [`ErrorKind::PermissionDenied`]: its handles cannot be reached (Windows).
    /// - [`ErrorKind::Unsupported`]: on macOS; on Linux, `/proc` is missing or shows another pid namespace.
    pub fn ticket_for(&self, process: u32) -> Result<Ticket, Error> {
        system::ticket(self, process).map(Ticket)
    }
}

impl Ticket {
    /// Makes a memory of it, to read and write.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::InvalidTicket`]: it is for another process, it has been redeemed, its giver is gone or in another
    ///   pid or time namespace (the error says which), or it is forged.
    /// - [`ErrorKind::NotWritable`]: it gives the right to read only; [`redeem_read_only`](Ticket::redeem_read_only) would do.
    pub fn redeem(self) -> Result<SharedMemory<ReadWrite>, Error> {
        if !self.0.writable {
            return Err(Error::new(Operation::Receive, ErrorKind::NotWritable)
                .with_detail("it gives the right to read only: use redeem_read_only"));
        }
        system::take(&self.0, Origin::Ticket)
    }

    /// Makes a memory of it, to read.
    ///
    /// # Errors
    ///
    /// As [`redeem`](Ticket::redeem), but for [`ErrorKind::NotWritable`].
    pub fn redeem_read_only(self) -> Result<SharedMemory<ReadOnly>, Error> {
        system::take(&self.0, Origin::Ticket)
    }

    /// Whether it gives the right to write.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.0.writable
    }

    /// The length of the memory in bytes, as the ticket says.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "a shared memory is never empty")]
    pub fn len(&self) -> u64 {
        self.0.len
    }
}

/// What [`FromStr`] reads again: printable ASCII without spaces.
impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Ticket {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let note = text.parse().map_err(|_| {
            Error::new(Operation::Receive, ErrorKind::InvalidTicket)
                .with_detail("the text is not that of a ticket")
        })?;
        Ok(Ticket(note))
    }
}

/// As its text.
#[cfg(feature = "serde")]
impl serde::Serialize for Ticket {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Ticket {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(all(test, feature = "serde"))]
mod tests {
    use core::fmt;

    use serde::de::IntoDeserializer;
    use serde::de::value::{Error, StrDeserializer};
    use serde::{Deserialize, Serialize};

    use super::Ticket;

    struct Serialized(Ticket);

    impl fmt::Display for Serialized {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.serialize(f)
        }
    }

    #[test]
    fn serde_has_it_as_its_text() {
        let read = |text: &'static str| {
            let deserializer: StrDeserializer<'_, Error> = text.into_deserializer();
            Ticket::deserialize(deserializer)
        };
        let text = "1:fd:7:1:2:3:rw";
        assert_eq!(read(text).map(|ticket| Serialized(ticket).to_string()), Ok(text.to_owned()));
        assert!(read("7").is_err());
    }
}
