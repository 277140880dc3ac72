//! The methods of [`Segment`] that create and open the objects of this module.

use super::{Event, EventCount, Futex, Latest, Mutex, OnceLock, RwLock};
use crate::access::{Access, ReadWrite};
use crate::error::Error;
use crate::segment::Segment;
use crate::segment::types::SharedType;

impl Segment<ReadWrite> {
    /// A mutex around a `T`, made or found by name. A new one holds the `T` whose bytes are all zero.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Incompatible`](crate::ErrorKind::Incompatible): there is something else of this name; the message shows both.
    /// - [`ErrorKind::Full`](crate::ErrorKind::Full): there is no room for it.
    /// - [`ErrorKind::Corrupted`](crate::ErrorKind::Corrupted), [`ErrorKind::Fault`](crate::ErrorKind::Fault): a peer has written nonsense, or taken the memory away.
    /// - [`ErrorKind::Busy`](crate::ErrorKind::Busy): others have been adding objects for ten seconds.
    pub fn mutex<T: SharedType>(&self, name: &str) -> Result<Mutex<T>, Error> {
        Mutex::make(&self.core, name)
    }

    /// A reader-writer lock around a `T`, made or found by name. It takes 64 bytes for each place for participants.
    ///
    /// # Errors
    ///
    /// As [`mutex`](Segment::mutex).
    pub fn rwlock<T: SharedType>(&self, name: &str) -> Result<RwLock<T>, Error> {
        RwLock::make(&self.core, name)
    }

    /// An event that resets itself when one who waits has got it, made or found by name.
    ///
    /// # Errors
    ///
    /// As [`mutex`](Segment::mutex).
    pub fn auto_reset_event(&self, name: &str) -> Result<Event, Error> {
        Event::make(&self.core, name, true)
    }

    /// An event that stays set until it is reset, made or found by name.
    ///
    /// # Errors
    ///
    /// As [`mutex`](Segment::mutex).
    pub fn manual_reset_event(&self, name: &str) -> Result<Event, Error> {
        Event::make(&self.core, name, false)
    }

    /// A count of notifications that can be waited for, made or found by name.
    ///
    /// # Errors
    ///
    /// As [`mutex`](Segment::mutex).
    pub fn event_count(&self, name: &str) -> Result<EventCount, Error> {
        EventCount::make(&self.core, name)
    }

    /// A `T` that one process initialises and all others find, made or found by name.
    ///
    /// # Errors
    ///
    /// As [`mutex`](Segment::mutex).
    pub fn once_lock<T: SharedType>(&self, name: &str) -> Result<OnceLock<T>, Error> {
        OnceLock::make(&self.core, name)
    }

    /// A latest value: one writer, any number of readers. Made or found by name.
    ///
    /// # Errors
    ///
    /// As [`mutex`](Segment::mutex).
    pub fn latest<T: SharedType>(&self, name: &str) -> Result<Latest<T>, Error> {
        Latest::make(&self.core, name)
    }

    /// A word to build a lock of one's own on, made or found by name. A new one is 0.
    ///
    /// # Errors
    ///
    /// As [`mutex`](Segment::mutex).
    pub fn futex(&self, name: &str) -> Result<Futex, Error> {
        Futex::make(&self.core, name)
    }
}

impl<A: Access> Segment<A> {
    /// A latest value that exists already.
    ///
    /// # Errors
    ///
    /// As [`mutex`](Segment::mutex), and [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if nobody has made it.
    pub fn find_latest<T: SharedType>(&self, name: &str) -> Result<Latest<T, A>, Error> {
        Latest::find(&self.core, name)
    }
}
