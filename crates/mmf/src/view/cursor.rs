//! A position in a view, for the traits of `std::io`.

use std::io::{self, Read, Seek, SeekFrom, Write};

use crate::access::{Access, ReadWrite, Writable};
use crate::error::{Error, ErrorKind, Operation};
use crate::view::View;

/// A position in a [`View`], which it reads and writes like a file of fixed length. Returned by
/// [`View::cursor`].
///
/// A cursor keeps the mapping alive. Reads stop at the end. Writes at the end fail with
/// [`WriteZero`](io::ErrorKind::WriteZero), because a cursor does not grow the region; [`View::refresh`]
/// picks up growth by other processes. A fault is an [`io::Error`] that contains an [`Error`].
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
    /// Returns a cursor at the start, for [`std::io::Read`], [`Seek`] and, if the view is writable,
    /// [`Write`].
    #[must_use]
    pub fn cursor(&self) -> Cursor<A> {
        Cursor::new(self.clone())
    }
}

impl<A: Access> Cursor<A> {
    pub(crate) fn new(view: View<A>) -> Self {
        Cursor { view, position: 0 }
    }

    /// Returns the position in bytes from the start of the view. It may be past the end.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Returns the view.
    #[must_use]
    pub fn get_ref(&self) -> &View<A> {
        &self.view
    }

    /// Returns the view, consuming the cursor.
    #[must_use]
    pub fn into_inner(self) -> View<A> {
        self.view
    }

    /// Returns the position as an offset within the view, and how many of `wanted` bytes follow it.
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

    /// Does nothing, because written bytes are in the region already. For a region with a file see
    /// [`View::flush`].
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
