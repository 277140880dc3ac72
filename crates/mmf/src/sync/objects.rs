//! The methods of [`Segment`] that create and open the objects of this module.

use super::{Event, EventCount, Futex, Latest, Mutex, OnceLock, RwLock};
use crate::access::{Access, ReadWrite};
use crate::error::Error;
use crate::segment::Segment;
use crate::segment::types::SharedType;

impl Segment<ReadWrite> {
    /// Creates or opens the mutex `name` around a `T`. The value of a new one has all bytes zero.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Incompatible`](crate::ErrorKind::Incompatible): the object of this name is of another
    ///   kind or type. The message shows both.
    /// - [`ErrorKind::InvalidName`](crate::ErrorKind::InvalidName): a name of 0 or more than 63 bytes, or a
    ///   type name of more than 127, for a new object.
    /// - [`ErrorKind::Full`](crate::ErrorKind::Full): the segment has no room for it.
    /// - [`ErrorKind::Corrupted`](crate::ErrorKind::Corrupted): a peer has overwritten the directory of the
    ///   segment.
    /// - [`ErrorKind::Fault`](crate::ErrorKind::Fault): a peer has taken pages of the region away.
    /// - [`ErrorKind::Busy`](crate::ErrorKind::Busy): other participants have been adding objects for ten
    ///   seconds.
    /// - [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported): a new object, in a process that was
    ///   forked from the one that opened the segment.
    pub fn mutex<T: SharedType>(&self, name: &str) -> Result<Mutex<T>, Error> {
        Mutex::create_or_open(&self.core, name)
    }

    /// Creates or opens the reader-writer lock `name` around a `T`. It takes 64 bytes for each participant
    /// slot.
    ///
    /// # Errors
    ///
    /// Those of [`mutex`](Segment::mutex).
    pub fn rwlock<T: SharedType>(&self, name: &str) -> Result<RwLock<T>, Error> {
        RwLock::create_or_open(&self.core, name)
    }

    /// Creates or opens the auto-reset event `name`: it releases a single waiter and resets itself.
    ///
    /// # Errors
    ///
    /// Those of [`mutex`](Segment::mutex).
    pub fn auto_reset_event(&self, name: &str) -> Result<Event, Error> {
        Event::create_or_open(&self.core, name, true)
    }

    /// Creates or opens the manual-reset event `name`: it stays set until it is reset.
    ///
    /// # Errors
    ///
    /// Those of [`mutex`](Segment::mutex).
    pub fn manual_reset_event(&self, name: &str) -> Result<Event, Error> {
        Event::create_or_open(&self.core, name, false)
    }

    /// Creates or opens the event count `name`.
    ///
    /// # Errors
    ///
    /// Those of [`mutex`](Segment::mutex).
    pub fn event_count(&self, name: &str) -> Result<EventCount, Error> {
        EventCount::create_or_open(&self.core, name)
    }

    /// Creates or opens the once lock `name`, whose value one process initialises.
    ///
    /// # Errors
    ///
    /// Those of [`mutex`](Segment::mutex).
    pub fn once_lock<T: SharedType>(&self, name: &str) -> Result<OnceLock<T>, Error> {
        OnceLock::create_or_open(&self.core, name)
    }

    /// Creates or opens the latest value `name`. It has one writer and any number of readers.
    ///
    /// # Errors
    ///
    /// Those of [`mutex`](Segment::mutex).
    pub fn latest<T: SharedType>(&self, name: &str) -> Result<Latest<T>, Error> {
        Latest::create_or_open(&self.core, name)
    }

    /// Creates or opens the futex `name`. The word of a new one is 0.
    ///
    /// # Errors
    ///
    /// Those of [`mutex`](Segment::mutex).
    pub fn futex(&self, name: &str) -> Result<Futex, Error> {
        Futex::create_or_open(&self.core, name)
    }
}

impl<A: Access> Segment<A> {
    /// Opens the latest value `name`. Does not create it.
    ///
    /// # Errors
    ///
    /// Those of [`mutex`](Segment::mutex), and [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if no
    /// process has created it.
    pub fn find_latest<T: SharedType>(&self, name: &str) -> Result<Latest<T, A>, Error> {
        Latest::find(&self.core, name)
    }
}
