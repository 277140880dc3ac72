//! A position in a view, for everything that works on `std::io`'s traits.

use std::io::{self, Read, Seek, SeekFrom, Write};

use crate::access::{Access, ReadWrite, Writable};
use crate::error::{Error, ErrorKind, Operation};
use crate::view::View;

/// Reads and writes a [`View`] like a file of fixed length. Made by [`View::cursor`].
///
/// It keeps the mapping alive by itself. Reading stops at the end; writing there fails with
/// [`WriteZero`](io::ErrorKind::WriteZero), since a cursor does not make a memory grow (but
/// [`View::refresh`] takes in what somebody else has grown). A fault is an [`io::Error`] that holds an
/// [`Error`].
///
/// ```
/// use std::io::{Read, Seek, Write};
///
/// let memory = mmf::SharedMemory::anonymous(4096)?;
/// let mut cursor = memory.view()?.cursor();
/// write!(cursor, "lap {}", 7)?;
/// cursor.rewind()?;
/// let mut text = [0; 5];
/// cursor.read_exact(&mut text)?;
/// assert_eq!(&text, b"lap 7");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Cursor<A: Access = ReadWrite> {
    view: View<A>,
    position: u64,
}

impl<A: Access> View<A> {
    /// A cursor at the start, for [`std::io::Read`], [`Seek`](std::io::Seek) and, if it may be written,
    /// [`Write`](std::io::Write).
    #[must_use]
    pub fn cursor(&self) -> Cursor<A> {
        Cursor::new(self.clone())
    }
}

impl<A: Access> Cursor<A> {
    pub(crate) fn new(view: View<A>) -> Self {
        Cursor { view, position: 0 }
    }

    /// The position, in bytes from the start of the view. It may be past the end.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The view.
    #[must_use]
    pub fn get_ref(&self) -> &View<A> {
        &self.view
    }

    /// The view, back.
    #[must_use]
    pub fn into_inner(self) -> View<A> {
        self.view
    }

    /// The position as an offset, and how much of `wanted` is there.
    fn here(&self, wanted: usize) -> (usize, usize) {
        let offset = usize::try_from(self.position).unwrap_or(usize::MAX).min(self.view.len());
        (offset, wanted.min(self.view.len() - offset))
    }
}

impl<A: Access> Read for Cursor<A> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let (offset, len) = self.here(bytes.len());
        self.view.read_exact_at(&mut bytes[..len], offset)?;
        self.position += len as u64;
        Ok(len)
    }
}

impl<A: Writable> Write for Cursor<A> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (offset, len) = self.here(bytes.len());
        self.view.write_all_at(&bytes[..len], offset)?;
        self.position += len as u64;
        Ok(len)
    }

    /// Does nothing: what is written is in the memory already. See [`View::flush`] for memory over a file.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<A: Access> Seek for Cursor<A> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(by) => (self.view.len() as u64).checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        match position {
            Some(position) => {
                self.position = position;
                Ok(position)
            }
            None => Err(Error::new(Operation::Seek, ErrorKind::OutOfBounds)
                .with_detail("the position would be before the start")
                .into()),
        }
    }
}
