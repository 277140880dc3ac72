//! The objects of a segment: one behind the other, found by name, added at the end.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use super::core::{Core, index, now};
use super::layout::{
    ALIGN, END_AT, HEAD_LEN, Head, LOCK_AT, NAME_MAX, TYPE_NAME_MAX, align_up, fingerprint, put_text, text_of,
};
use super::making::LOOK;
use super::steps::step;
use super::types::{ObjectKind, TypeDescription};
use crate::access::{Access, ReadWrite};
use crate::error::{Error, ErrorKind, Operation};
use crate::sync::scene::{Parking, Scene};
use crate::sync::{raw, refused};

/// How long to wait for others who add something: a few copies each.
const PATIENCE: Duration = Duration::from_secs(10);

/// What an object is to be, or is.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) kind: ObjectKind,
    pub(crate) described: TypeDescription,
    pub(crate) object_len: u64,
    pub(crate) value_offset: u32,
    pub(crate) count: u32,
}

impl Shape {
    fn fingerprint(&self) -> u64 {
        let TypeDescription { name, version, size, align } = &self.described;
        fingerprint(self.kind.number(), *version, *size, *align, name)
    }
}

/// An object as its head says, checked.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) shape: Shape,
    /// Where the object starts in the segment.
    pub(crate) at: u64,
    fingerprint: u64,
}

impl<A: Access> Core<A> {
    fn damaged(&self, at: u64, what: &str) -> Error {
        let detail = format!("{what} in the head of the object at byte {at}{LOOK}");
        self.fail(Operation::Object, ErrorKind::Damaged).with_detail(detail)
    }

    /// The end of the directory, if it can be.
    fn end(&self) -> Result<u64, Error> {
        let end = self.view.atomic_u64(index(END_AT))?.load(SeqCst)?;
        if end < self.start || end > self.len || end % ALIGN != 0 {
            let detail =
                format!("its directory ends at byte {end}, outside of {} to {}{LOOK}", self.start, self.len);
            return Err(self.fail(Operation::Object, ErrorKind::Damaged).with_detail(detail));
        }
        Ok(end)
    }

    /// Goes through all objects until `look` gives something. Each step goes forward, so there is an end.
    pub(crate) fn each<T>(
        &self,
        mut look: impl FnMut(Entry) -> Result<Option<T>, Error>,
    ) -> Result<Option<T>, Error> {
        let end = self.end()?;
        let mut at = self.start;
        while at < end {
            let head = self.view.read::<Head>(index(at))?;
            if head.total < HEAD_LEN + ALIGN || head.total % ALIGN != 0 || head.total > end - at {
                return Err(self.damaged(at, "an impossible length"));
            }
            let room = head.total - HEAD_LEN;
            if head.object_len > room
                || u64::from(head.value_offset)
                    .checked_add(head.size)
                    .is_none_or(|past| past > head.object_len)
            {
                return Err(self.damaged(at, "a value that is not in the object"));
            }
            let (Some(name), Some(type_name)) = (text_of(&head.name), text_of(head.type_name.as_flattened()))
            else {
                return Err(self.damaged(at, "a name that is none"));
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

    /// Finds an object, if it is what it should be; says where it starts.
    pub(crate) fn find(&self, name: &str, wanted: &Shape) -> Result<Option<u64>, Error> {
        let found = self.each(|entry| Ok((entry.name == name).then_some(entry)))?;
        let Some(entry) = found else { return Ok(None) };
        let Shape { kind, described, object_len, value_offset, count } = &entry.shape;
        if *kind != wanted.kind || *described != wanted.described {
            let detail = format!(
                "this program means a {} of {} by {name:?}, but the segment has a {kind} of {described}",
                wanted.kind, wanted.described
            );
            return Err(self.fail(Operation::Object, ErrorKind::Incompatible).with_detail(detail));
        }
        let same = (*object_len, *value_offset, *count)
            == (wanted.object_len, wanted.value_offset, wanted.count)
            && entry.fingerprint == wanted.fingerprint();
        if !same {
            return Err(self.damaged(entry.at - HEAD_LEN, "lengths that do not go with the type"));
        }
        Ok(Some(entry.at))
    }

    pub(crate) fn missing(&self, name: &str) -> Error {
        let detail = format!("there is no object {name:?} in it yet: let a program that may write make it");
        self.fail(Operation::Object, ErrorKind::NotFound).with_detail(detail)
    }
}

impl Core<ReadWrite> {
    /// Finds an object, or makes it: all its bytes are zero. Says where it starts.
    pub(crate) fn find_or_make(self: &Arc<Self>, name: &str, wanted: &Shape) -> Result<u64, Error> {
        if let Some(at) = self.find(name, wanted)? {
            return Ok(at);
        }
        if name.is_empty() || name.len() > NAME_MAX || wanted.described.name.len() > TYPE_NAME_MAX {
            let detail = format!(
                "names of objects have 1 to {NAME_MAX} bytes and names of types up to {TYPE_NAME_MAX}: {name:?} has {}, {:?} has {}",
                name.len(),
                wanted.described.name,
                wanted.described.name.len()
            );
            return Err(self.fail(Operation::Object, ErrorKind::MalformedName).with_detail(detail));
        }
        let lock = Parking::new(self, LOCK_AT, None)?;
        let scene = Scene::until(self, Operation::Object, Instant::now().checked_add(PATIENCE));
        let me = self.me()?;
        // What an owner who died has left behind the end belongs to nobody, and the next one begins there.
        match raw::mutex::lock(&scene, &lock, me, raw::Patience::Wait) {
            Ok(_) => {}
            Err(raw::Refused::Fault(error)) => return Err(error),
            Err(other) => return Err(refused(self, Operation::Object, &other)),
        }
        step("directory: locked");
        let made = self.add(name, wanted);
        raw::mutex::consistent(&scene, &lock, me)?;
        raw::mutex::unlock(&scene, &lock, me)?;
        made
    }

    /// The caller has the lock.
    fn add(&self, name: &str, wanted: &Shape) -> Result<u64, Error> {
        if let Some(at) = self.find(name, wanted)? {
            return Ok(at);
        }
        let end = self.end()?;
        let total = align_up(wanted.object_len).and_then(|len| len.max(ALIGN).checked_add(HEAD_LEN));
        let Some(total) = total.filter(|total| *total <= self.len - end) else {
            let detail = format!(
                "{name:?} takes {} bytes and {HEAD_LEN} more, but {} of {} are left; make it larger",
                wanted.object_len,
                self.len - end,
                self.len
            );
            return Err(self.fail(Operation::Object, ErrorKind::Full).with_detail(detail));
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
            made_at: now(),
            made_by: self.me()?,
            count: wanted.count,
            name: [0; 64],
            type_name: [[0; 64]; 2],
        };
        put_text(&mut head.name, name);
        put_text(head.type_name.as_flattened_mut(), &wanted.described.name);
        // Zero already, unless somebody has died here.
        self.view.fill(index(end + HEAD_LEN), index(total - HEAD_LEN), 0)?;
        step("directory: zeroed");
        self.view.write(index(end), &head)?;
        step("directory: written, and not published yet");
        self.view.atomic_u64(index(END_AT))?.store(end + total, SeqCst)?;
        step("directory: published");
        Ok(end + HEAD_LEN)
    }
}
