//! The directory of a segment: objects lie one behind the other, are found by name and added at the end.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::{Duration, Instant};

use super::core::{Core, index, now};
use super::creation::INSPECT_HINT;
use super::label::Label;
use super::layout::{
    ALIGN, END_AT, HEAD_LEN, Head, LEN_AT, LOCK_AT, NAME_MAX, TYPE_NAME_MAX, align_up, fingerprint, put_text,
    text_of,
};
use super::owners::describe_owner;
use super::steps::step;
use super::types::{ObjectKind, TypeDescription};
use super::world::{LockContext, WaitWord};
use crate::access::{Access, ReadWrite};
use crate::error::{Error, ErrorKind, Operation};
use crate::raw;

/// How long to wait for other processes that add objects, each of which takes a few copies.
const PATIENCE: Duration = Duration::from_secs(10);

/// The kind, type and layout of an object, wanted or found.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) kind: ObjectKind,
    pub(crate) described: TypeDescription,
    pub(crate) object_len: u64,
    pub(crate) value_offset: u32,
    pub(crate) count: u32,
}

impl Shape {
    fn label(&self, name: &str) -> Label {
        Label::new(self.kind, name)
    }

    fn fingerprint(&self) -> u64 {
        let TypeDescription { name, version, size, align } = &self.described;
        fingerprint(self.kind.number(), *version, *size, *align, name)
    }
}

/// An object whose head was read and checked.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) shape: Shape,
    /// The offset of the object in the segment.
    pub(crate) at: u64,
    fingerprint: u64,
}

impl<A: Access> Core<A> {
    fn damaged(&self, what: &str) -> Error {
        let sentence = format!(
            "the directory of the segment in {} is damaged: {what}{INSPECT_HINT}",
            self.quoted_name()
        );
        self.fail(Operation::Object, ErrorKind::Corrupted).with_sentence(sentence)
    }

    fn damaged_head(&self, at: u64, what: &str) -> Error {
        self.damaged(&format!("{what} in the head of the object at byte {at}"))
    }

    /// Returns the length of the segment as far as this process knows it. It only grows.
    pub(crate) fn len(&self) -> u64 {
        self.len.load(Relaxed)
    }

    /// Reads the length again, in case another participant has extended the segment, and returns it.
    pub(crate) fn follow(&self) -> Result<u64, Error> {
        let known = self.len();
        let says = self.view.atomic_u64(index(LEN_AT))?.load(SeqCst)? & !(ALIGN - 1);
        // A larger length was made up by a peer, or this process has not mapped the bytes.
        if says <= known || says > self.view.refresh()? as u64 {
            return Ok(known);
        }
        Ok(self.len.fetch_max(says, Relaxed).max(says))
    }

    /// Returns the end of the directory after checking it.
    fn end(&self) -> Result<u64, Error> {
        let end = self.view.atomic_u64(index(END_AT))?.load(SeqCst)?;
        let len = if end > self.len() { self.follow()? } else { self.len() };
        if end < self.start || end > len || end % ALIGN != 0 {
            let outside = format!("it ends at byte {end}, outside of {} to {len}", self.start);
            return Err(if end > len && self.view.atomic_u64(index(LEN_AT))?.load(SeqCst)? >= end {
                self.damaged(&format!(
                    "{outside}; if another process has grown the segment, this one has not mapped what was \
                     added, \
                     and has to open it again"
                ))
            } else {
                self.damaged(&outside)
            });
        }
        Ok(end)
    }

    /// Returns the number of bytes left for further objects: those of the segment, and those by which the
    /// region has grown since.
    pub(crate) fn remaining(&self) -> Result<u64, Error> {
        let there = self.view.refresh()? as u64 & !(ALIGN - 1);
        Ok(there.max(self.follow()?).saturating_sub(self.end()?))
    }

    /// Calls `look` for each object until it returns something. Each step goes forward, so the walk ends.
    pub(crate) fn each<T>(
        &self,
        mut look: impl FnMut(Entry) -> Result<Option<T>, Error>,
    ) -> Result<Option<T>, Error> {
        let end = self.end()?;
        let mut at = self.start;
        while at < end {
            let head = self.view.read::<Head>(index(at))?;
            if head.total < HEAD_LEN + ALIGN || head.total % ALIGN != 0 || head.total > end - at {
                return Err(self.damaged_head(at, "an impossible length"));
            }
            let room = head.total - HEAD_LEN;
            if head.object_len > room
                || u64::from(head.value_offset)
                    .checked_add(head.size)
                    .is_none_or(|past| past > head.object_len)
            {
                return Err(self.damaged_head(at, "a value outside of the object"));
            }
            let (Some(name), Some(type_name)) = (text_of(&head.name), text_of(head.type_name.as_flattened()))
            else {
                return Err(self.damaged_head(at, "an invalid name"));
            };
            let entry = Entry {
                name: name.to_owned(),
                shape: Shape {
                    kind: ObjectKind::of(head.kind),
                    described: TypeDescription {
                        name: type_name.to_owned().into(),
                        version: head.version,
                        size: head.size,
                        align: head.align,
                    },
                    object_len: head.object_len,
                    value_offset: head.value_offset,
                    count: head.count,
                },
                at: at + HEAD_LEN,
                fingerprint: head.fingerprint,
            };
            if let Some(found) = look(entry)? {
                return Ok(Some(found));
            }
            at += head.total;
        }
        Ok(None)
    }

    /// Returns the offset of an object, or an error if it has another kind or type.
    pub(crate) fn find(&self, name: &str, wanted: &Shape) -> Result<Option<u64>, Error> {
        let found = self.each(|entry| Ok((entry.name == name).then_some(entry)))?;
        let Some(entry) = found else { return Ok(None) };
        let Shape { kind, described, object_len, value_offset, count } = &entry.shape;
        if *kind != wanted.kind || *described != wanted.described {
            let say = |_: &str| {
                format!(
                    "{name:?} in {} is {} of {described}, but this program expects {} of {}: \
                     build both programs from the same types, or use another name",
                    self.quoted_name(),
                    kind.with_article(),
                    wanted.kind.with_article(),
                    wanted.described
                )
            };
            return Err(wanted.label(name).error(self, Operation::Object, ErrorKind::Incompatible, say));
        }
        let same = (*object_len, *value_offset, *count)
            == (wanted.object_len, wanted.value_offset, wanted.count)
            && entry.fingerprint == wanted.fingerprint();
        if !same {
            return Err(self.damaged_head(entry.at - HEAD_LEN, "lengths that do not fit the type"));
        }
        Ok(Some(entry.at))
    }

    pub(crate) fn missing(&self, name: &str) -> Error {
        let sentence = format!(
            "there is no object {name:?} in {} yet: start the program that creates it first (a process \
             that may only \
             read cannot)",
            self.quoted_name()
        );
        self.fail(Operation::Object, ErrorKind::NotFound).with_object(name).with_sentence(sentence)
    }
}

impl Core<ReadWrite> {
    /// Returns the offset of an object. If it does not exist, it is created with all bytes zero.
    pub(crate) fn find_or_create(self: &Arc<Self>, name: &str, wanted: &Shape) -> Result<u64, Error> {
        if let Some(at) = self.find(name, wanted)? {
            return Ok(at);
        }
        if name.is_empty() || name.len() > NAME_MAX || wanted.described.name.len() > TYPE_NAME_MAX {
            let sentence = format!(
                "cannot create the object {name:?} in {}: names of objects have 1 to {NAME_MAX} bytes, and \
                 names of \
                 types up to {TYPE_NAME_MAX}; these have {} and {} ({:?})",
                self.quoted_name(),
                name.len(),
                wanted.described.name.len(),
                wanted.described.name
            );
            let error = self.fail(Operation::Object, ErrorKind::InvalidName).with_object(name);
            return Err(error.with_sentence(sentence));
        }
        let lock = WaitWord::bare(self, LOCK_AT)?;
        let context = LockContext::until(self, Operation::Object, Instant::now().checked_add(PATIENCE));
        let me = self.me()?;
        // Bytes that a dead owner has left behind the end are not part of the directory, and the next object
        // overwrites them.
        match raw::mutex::lock(&context, &lock, me, raw::BlockingMode::Block) {
            Ok(_) => {}
            Err(raw::AcquireError::Fault(error)) => return Err(error),
            Err(_) => {
                let owner = lock.word.get().load(SeqCst)? & raw::mutex::OWNER;
                let say = |object: &str| {
                    let holder = if owner == 0 {
                        "other participants".to_owned()
                    } else {
                        describe_owner(self, owner)
                    };
                    format!(
                        "cannot create {object}: the directory of the segment has been locked for {} \
                         seconds, \
                         by {holder}; try again",
                        PATIENCE.as_secs()
                    )
                };
                return Err(wanted.label(name).error(self, Operation::Object, ErrorKind::Busy, say));
            }
        }
        step("directory: locked");
        let added = self.add(name, wanted);
        raw::mutex::mark_consistent(&context, &lock, me)?;
        raw::mutex::unlock(&context, &lock, me)?;
        added
    }

    /// Adds an object unless it exists, and returns its offset. The caller holds the lock.
    fn add(&self, name: &str, wanted: &Shape) -> Result<u64, Error> {
        if let Some(at) = self.find(name, wanted)? {
            return Ok(at);
        }
        let end = self.end()?;
        let total = align_up(wanted.object_len).and_then(|len| len.max(ALIGN).checked_add(HEAD_LEN));
        let total = total.filter(|total| end.checked_add(*total).is_some());
        let Some(total) = total.filter(|total| *total <= self.len() - end || self.has_grown(end + total))
        else {
            return Err(self.full(name, wanted, end));
        };
        let mut head = Head {
            total,
            kind: wanted.kind.number(),
            version: wanted.described.version,
            object_len: wanted.object_len,
            value_offset: wanted.value_offset,
            align: wanted.described.align,
            size: wanted.described.size,
            fingerprint: wanted.fingerprint(),
            created_at: now(),
            created_by: self.me()?,
            count: wanted.count,
            name: [0; 64],
            type_name: [[0; 64]; 2],
        };
        put_text(&mut head.name, name);
        put_text(head.type_name.as_flattened_mut(), &wanted.described.name);
        // They are zero already, unless a process has died here.
        self.view.fill(0, index(end + HEAD_LEN)..index(end + total))?;
        step("directory: zeroed");
        self.view.write(&head, index(end))?;
        step("directory: written, and not published yet");
        self.view.atomic_u64(index(END_AT))?.store(end + total, SeqCst)?;
        step("directory: published");
        Ok(end + HEAD_LEN)
    }

    /// Extends the segment to at least `needed` if the region has grown enough, and returns whether it has.
    /// The caller holds the directory's lock.
    ///
    /// The new bytes have to be zero, as those by which a region grows are. Other bytes belong to a program
    /// that keeps its own data behind the segment, and are left alone.
    fn has_grown(&self, needed: u64) -> bool {
        const STEP: u64 = 4096;
        let grow = || {
            if needed <= self.follow()? {
                return Ok(true);
            }
            let (len, there) = (self.len(), self.view.refresh()? as u64 & !(ALIGN - 1));
            let new = needed.next_multiple_of(STEP).min(there);
            if new < needed {
                return Ok(false);
            }
            let mut at = len;
            while at < new {
                let step = (new - at).min(STEP);
                if self.view.read_vec(index(at), index(step))?.iter().any(|byte| *byte != 0) {
                    return Ok(false);
                }
                at += step;
            }
            // Before the end of the directory, so that a process that sees the new end also sees the new
            // length.
            self.view.atomic_u64(index(LEN_AT))?.store(new, SeqCst)?;
            step("directory: longer");
            self.len.fetch_max(new, Relaxed);
            Ok::<_, Error>(true)
        };
        grow().unwrap_or(false)
    }

    #[cold]
    fn full(&self, name: &str, wanted: &Shape, end: u64) -> Error {
        let (len, there, most) = (self.len(), self.memory.len(), self.memory.capacity());
        let cure = if there & !(ALIGN - 1) > len {
            format!(
                "the region has {there} bytes, but those behind the segment are in use by something else: \
                 create the segment with a larger len()"
            )
        } else if most > there {
            format!("grow the region first (SharedMemory::grow), which can become {most} bytes")
        } else {
            "create the segment with a larger len(), or with a capacity() up to which it can grow".to_owned()
        };
        wanted.label(name).error(self, Operation::Object, ErrorKind::Full, |object| {
            format!(
                "there is no room for {object}: it takes {} bytes and {HEAD_LEN} more, but {} of {len} are \
                 left; {cure}",
                wanted.object_len,
                len - end
            )
        })
    }
}
