//! The bytes of a region, read and written by descriptor or through views.

use core::cell::{Cell, RefCell};
use core::ops::Range;

use crate::access::{Access, ReadWrite};
use crate::diagnosis::{Cause, Diagnosis};
use crate::error::{Error, ErrorKind, Fault, Operation};
use crate::memory::SharedMemory;
use crate::snapshot::pieces::ZEROS;
use crate::sys::disk::{self, Direct};
use crate::sys::{Failure, Reason};
use crate::view::View;

/// The number of bytes that are mapped at a time when bytes go through views: so every region fits every
/// address space.
const WINDOW: u64 = 16 << 20;

pub(in crate::snapshot) struct Bytes<'a, A: Access> {
    memory: &'a SharedMemory<A>,
    operation: Operation,
    /// The number of bytes to copy.
    len: u64,
    direct: Option<Direct<'a>>,
    /// Cleared once the descriptor has turned out not to work.
    is_direct: Cell<bool>,
    window: RefCell<Option<(u64, View<A>)>>,
}

impl<'a, A: Access> Bytes<'a, A> {
    pub(in crate::snapshot) fn new(memory: &'a SharedMemory<A>, operation: Operation, len: u64) -> Self {
        let direct = Direct::new(&memory.right().object);
        let is_direct = Cell::new(direct.is_some());
        Bytes { memory, operation, len, direct, is_direct, window: RefCell::new(None) }
    }

    fn direct(&self) -> Option<&Direct<'a>> {
        self.direct.as_ref().filter(|_| self.is_direct.get())
    }

    fn error(&self, kind: ErrorKind) -> Error {
        self.memory.right().name_it(Error::new(self.operation, kind))
    }

    /// Returns the error for a region that was truncated at this byte or before.
    fn gone(&self, offset: u64) -> Error {
        let error = self.error(ErrorKind::Fault).with_diagnosis(Diagnosis::of_cut(self.memory.len()));
        error.with_detail(format!("byte {offset} of {} is gone", self.len))
    }

    /// Returns the error for a fault. The offset counts from the start of the region, not of the internal
    /// view.
    fn faulted(&self, offset: u64, fault: Fault, error: &Error) -> Error {
        let diagnosis = error.diagnosis().cloned().unwrap_or_default();
        let is_cut = diagnosis.causes().any(|cause| matches!(cause, Cause::Truncated { .. }));
        let state = if is_cut { "is gone" } else { "cannot be accessed" };
        let offset_of_fault = usize::try_from(offset).unwrap_or(fault.offset);
        self.error(ErrorKind::Fault)
            .with_diagnosis(diagnosis)
            .with_detail(format!("byte {offset} of {} {state}", self.len))
            .with_fault(Fault { offset: offset_of_fault, ..fault })
    }

    /// Returns how many bytes have ever been written, as far as the system knows.
    pub(in crate::snapshot) fn allocated(&self) -> u64 {
        self.direct().and_then(Direct::allocated).map_or(self.len, |bytes| bytes.min(self.len))
    }

    /// Returns the next range at or after an offset that has ever been written, as far as the system knows.
    pub(in crate::snapshot) fn next_data(&self, from: u64) -> Result<Option<Range<u64>>, Error> {
        if let Some(direct) = self.direct() {
            return Ok(direct.next_data(from));
        }
        let mut at = from;
        while at < self.len {
            let (run, touchable) = self.in_window(at, |view, offset| {
                Ok(disk::run_of_pages(view.as_ptr().wrapping_add(offset), view.len() - offset))
            })?;
            let end = at + run as u64;
            if touchable {
                return Ok(Some(at..end));
            }
            at = end;
        }
        Ok(None)
    }

    /// Calls a function with the view that contains this byte. Errors are translated to offsets in the
    /// region.
    fn in_window<T>(
        &self,
        at: u64,
        work: impl FnOnce(&View<A>, usize) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut window = self.window.borrow_mut();
        let fits =
            window.as_ref().is_some_and(|(start, view)| (*start..*start + view.len() as u64).contains(&at));
        if !fits {
            let start = at - at % WINDOW;
            let len = usize::try_from(WINDOW.min(self.len - start)).unwrap_or(usize::MAX);
            // The old one is unmapped first: there may be no addresses for two.
            *window = None;
            let view = self.memory.view_at(start, len).map_err(|error| match error.kind() {
                ErrorKind::OutOfBounds => self.gone(self.memory.len().max(start)),
                _ => error,
            })?;
            *window = Some((start, view));
        }
        let Some((start, view)) = &*window else { return Err(self.error(ErrorKind::Other)) };
        let offset = usize::try_from(at - start).unwrap_or(usize::MAX);
        work(view, offset).map_err(|error| match error.fault() {
            Some(fault) => self.faulted(start + fault.offset() as u64, fault, &error),
            None => error,
        })
    }

    /// Fills `bytes` with those at `offset`. The whole range was inside the region at the start.
    pub(in crate::snapshot) fn read(&self, offset: u64, bytes: &mut [u8]) -> Result<(), Error> {
        let mut done = 0;
        while done < bytes.len() {
            let (at, rest) = (offset + done as u64, &mut bytes[done..]);
            done += match self.direct().map(|direct| direct.read_at(at, rest)) {
                Some(Ok(0)) => return Err(self.gone(at)),
                Some(Ok(read)) => read,
                answer => {
                    self.views_only(answer.and_then(Result::err))?;
                    self.in_window(at, |view, offset| {
                        let len = rest.len().min(view.len() - offset);
                        view.read_exact_at(&mut rest[..len], offset)?;
                        Ok(len)
                    })?
                }
            };
        }
        Ok(())
    }

    /// Switches to views after a failure of the descriptor, unless a view would fail in the same way.
    fn views_only(&self, failure: Option<Failure>) -> Result<(), Error> {
        match failure {
            Some(failure) if failure.reason == Reason::NoMemory => {
                let right = self.memory.right();
                Err(right.error(self.operation, failure).with_found(Diagnosis::of_no_room(&right.object)))
            }
            _ => {
                self.is_direct.set(false);
                Ok(())
            }
        }
    }
}

impl Bytes<'_, ReadWrite> {
    /// Writes `bytes` at `offset`.
    pub(in crate::snapshot) fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        match self.direct().map(|direct| direct.write_at(offset, bytes)) {
            Some(Ok(())) => return Ok(()),
            answer => self.views_only(answer.and_then(Result::err))?,
        }
        let mut done = 0;
        while done < bytes.len() {
            let rest = &bytes[done..];
            done += self.in_window(offset + done as u64, |view, offset| {
                let len = rest.len().min(view.len() - offset);
                view.write_all_at(&rest[..len], offset)?;
                Ok(len)
            })?;
        }
        Ok(())
    }

    /// Clears a range. Parts that were never written are zero already and are not touched. `on` is called
    /// with the number of bytes that are done.
    pub(in crate::snapshot) fn clear(
        &self,
        range: Range<u64>,
        on: &mut dyn FnMut(u64) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut at = range.start;
        while at < range.end {
            let data =
                self.next_data(at)?.map(|data| data.start.clamp(at, range.end)..data.end.min(range.end));
            let Some(data) = data.filter(|data| !data.is_empty()) else {
                return on(range.end - at);
            };
            if data.start > at {
                on(data.start - at)?;
            }
            at = data.start;
            while at < data.end {
                let len = usize::try_from(data.end - at).unwrap_or(ZEROS.len()).min(ZEROS.len());
                self.write(at, &ZEROS[..len])?;
                on(len as u64)?;
                at += len as u64;
            }
        }
        Ok(())
    }

    /// Returns an error if the region was truncated: writing by descriptor would have extended it again.
    pub(in crate::snapshot) fn check_len(&self) -> Result<(), Error> {
        let right = self.memory.right();
        let len = right.len().map_err(|failure| right.error(self.operation, failure))?;
        if len < self.len { Err(self.gone(len)) } else { Ok(()) }
    }
}
