//! Tickets: regions for processes that are already running.

#[cfg(all(test, feature = "serde"))]
mod tests;

use core::fmt;
use core::str::FromStr;

use super::note::Note;
use super::{Origin, system};
use crate::access::{Access, ReadOnly, ReadWrite};
use crate::error::{Error, ErrorKind, Operation};
use crate::memory::SharedMemory;

/// A region on its way to a process, in the form of a text, for programs that have their own connection to
/// that process: a pipe, a socket or a message queue.
///
/// ```
/// use mmf::SharedMemory;
/// use mmf::handoff::Ticket;
///
/// # if cfg!(target_os = "macos") { return Ok(()); }
/// // The giver knows the process (here it is this one) …
/// let memory = SharedMemory::anonymous(4096)?;
/// memory.view()?.write(&7_u32, 0)?;
/// let text = memory.ticket_for(std::process::id())?.to_string();
///
/// // … and the receiver redeems the text.
/// let memory = text.parse::<Ticket>()?.redeem()?;
/// assert_eq!(memory.view()?.read::<u32>(0)?, 7);
/// # Ok::<(), mmf::Error>(())
/// ```
///
/// | system | how | requirements on the giver |
/// | --- | --- | --- |
/// | Windows | the handle is duplicated into the process | the right `PROCESS_DUP_HANDLE`: a process of the same user, and not of higher integrity. The giver may drop the region at once |
/// | Linux | the receiver reopens the giver's descriptor through `/proc` | the same user, pid namespace and time namespace; and it has to hold the region until the ticket is redeemed. A region that was [made read-only](SharedMemory::into_read_only) can be redeemed for reading only, also by tickets of clones that may write |
/// | macOS | *unsupported*: send the region over a socket, see [`os::unix`](crate::os) | |
///
/// A ticket is for one process and can be redeemed once. (On Linux, any process of the user can redeem it,
/// any number of times while the giver holds the region.) It is not a secret, because other processes can do
/// nothing with it. A forged ticket is an [`ErrorKind::InvalidTicket`]. As with all shared memory, a process
/// that redeems one should know where it comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ticket(Note);

impl<A: Access> SharedMemory<A> {
    /// Returns a ticket for a process, with the access of this value.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::NotFound`]: there is no such process.
    /// - [`ErrorKind::PermissionDenied`]: this user may not duplicate handles into that process (Windows).
    /// - [`ErrorKind::Unsupported`]: on macOS; on Linux, `/proc` is missing or shows another pid namespace.
    pub fn ticket_for(&self, process: u32) -> Result<Ticket, Error> {
        system::ticket(self, process).map(Ticket)
    }
}

impl Ticket {
    /// Opens the region for reading and writing.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::InvalidTicket`]: the ticket is for another process, was redeemed, or is forged; or its
    ///   giver has ended or is in another pid or time namespace. The message states which.
    /// - [`ErrorKind::NotWritable`]: it grants read access only;
    ///   [`redeem_read_only`](Ticket::redeem_read_only) succeeds.
    pub fn redeem(self) -> Result<SharedMemory<ReadWrite>, Error> {
        if !self.0.writable {
            return Err(Error::new(Operation::Receive, ErrorKind::NotWritable)
                .with_detail("it gives read access only: use redeem_read_only"));
        }
        system::take(&self.0, Origin::Ticket)
    }

    /// Opens the region for reading.
    ///
    /// # Errors
    ///
    /// Those of [`redeem`](Ticket::redeem) except [`ErrorKind::NotWritable`].
    pub fn redeem_read_only(self) -> Result<SharedMemory<ReadOnly>, Error> {
        system::take(&self.0, Origin::Ticket)
    }

    /// Returns whether the ticket grants write access.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.0.writable
    }

    /// Returns the length of the region in bytes, as the ticket states it.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "a region is never empty")]
    pub fn len(&self) -> u64 {
        self.0.len
    }
}

/// Formats the ticket as the text that [`FromStr`] parses: printable ASCII without spaces.
impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Ticket {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let note = text.parse().map_err(|_| {
            Error::new(Operation::Receive, ErrorKind::InvalidTicket).with_detail("the text is not a ticket")
        })?;
        Ok(Ticket(note))
    }
}

/// Serializes the ticket as its text.
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
