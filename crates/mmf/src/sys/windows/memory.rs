//! Rights to sections, and their views.

use std::os::windows::io::{AsHandle, BorrowedHandle, OwnedHandle};
use std::ptr::NonNull;
use std::sync::{Arc, OnceLock};

use windows_sys::Wdk::Foundation::{ObjectBasicInformation, ObjectTypeInformation};
use windows_sys::Win32::Foundation as win;
use windows_sys::Win32::Foundation::UNICODE_STRING;
use windows_sys::Win32::System::Memory::{
    FILE_MAP_READ, FILE_MAP_WRITE, MEM_IMAGE, SEC_IMAGE, SECTION_QUERY,
};

use super::boundary::PrivateNamespace;
use super::name::{ObjectName, Space};
use super::privilege::{self, Held, Privilege};
use super::security::{self, Protection};
use super::{LastError, api, descriptor};
use crate::sys::{Attempt, Failure, Reason, Shown};

/// To read who may do what.
const READ_CONTROL: u32 = 0x2_0000;

/// The right to a section: a handle.
#[derive(Debug)]
pub(crate) struct Object {
    handle: OwnedHandle,
    writable: bool,
    /// A section never changes its length, and asking costs a system call.
    len: OnceLock<u64>,
    /// What its name is in. After the handle, so that it is closed later.
    space: Option<Arc<PrivateNamespace>>,
}

/// What a handle has to allow.
fn rights(writable: bool) -> u32 {
    // Not FILE_MAP_ALL_ACCESS: that also asks for the right to delete, to change the owner, and to execute.
    if writable { FILE_MAP_READ | FILE_MAP_WRITE } else { FILE_MAP_READ }
}

impl Object {
    fn new(handle: OwnedHandle, writable: bool, name: Option<&ObjectName>) -> Self {
        let space = name.and_then(ObjectName::private_namespace);
        Object { handle, writable, len: OnceLock::new(), space }
    }

    /// Makes a memory of `len` zero bytes.
    pub(crate) fn create(
        name: Option<&ObjectName>,
        len: u64,
        protection: &Protection,
    ) -> Result<Attempt<Self>, Failure> {
        let make = || {
            security::with_attributes(protection, name.is_some(), |attributes| {
                // SAFETY: the attributes are valid during this call.
                unsafe { api::create_section(attributes, len, name) }
            })
        };
        let made = match make() {
            // Names of the machine take a privilege, which those who have it may not have enabled. Asked for only then.
            Err(LastError(win::ERROR_ACCESS_DENIED))
                if name.is_some_and(|name| matches!(name.space(), Space::Global))
                    && privilege::held(Privilege::CreateGlobal) == Ok(Held::Disabled) =>
            {
                privilege::with(Privilege::CreateGlobal, make)?
            }
            made => made,
        };
        match made {
            Ok((handle, true)) => Ok(Attempt::Done(Object::new(handle, true, name))),
            Ok((handle, false)) => Err(exists(&Object::new(handle, false, None))),
            Err(error) => Err(refused(error, name)),
        }
    }

    /// Opens what has this name, to read or also to write.
    pub(crate) fn open(name: &ObjectName, writable: bool) -> Result<Attempt<Self>, Failure> {
        let wanted = rights(writable);
        let denied = match api::open_section(wanted | SECTION_QUERY, name) {
            Ok(handle) => return Ok(Attempt::Done(Object::new(handle, writable, Some(name)))),
            Err(error) if error.0 == win::ERROR_ACCESS_DENIED => error,
            Err(error) => return Err(error.into()),
        };
        // Its maker may not allow to ask for the size. Then `len` finds it out by mapping.
        match api::open_section(wanted, name) {
            Ok(handle) => Ok(Attempt::Done(Object::new(handle, writable, Some(name)))),
            Err(_) if writable && api::open_section(rights(false), name).is_ok() => {
                Err(Failure { reason: Reason::ReadOnly, ..denied.into() })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Takes a handle that came from elsewhere, if it is what it should be.
    pub(crate) fn from_owned(handle: OwnedHandle, writable: bool) -> Result<Self, Failure> {
        let wrong = Failure::new(Reason::WrongKind);
        if !is_section(handle.as_handle()) {
            return Err(wrong);
        }
        let granted = granted_access(handle.as_handle())?;
        if granted & FILE_MAP_READ == 0 {
            return Err(Failure::new(Reason::Denied));
        }
        if writable && granted & FILE_MAP_WRITE == 0 {
            return Err(Failure::new(Reason::ReadOnly));
        }
        let is_image = if granted & SECTION_QUERY != 0 {
            api::query_section(handle.as_handle())?.attributes & SEC_IMAGE != 0
        } else {
            let first = Mapping { base: api::map(handle.as_handle(), FILE_MAP_READ, 0, 1)?, slack: 0 };
            api::query_pages(first.address())?.Type == MEM_IMAGE
        };
        if is_image {
            return Err(wrong);
        }
        // What is taken to be read only is so from here on, wherever it is handed on to.
        let handle = if !writable && granted & FILE_MAP_WRITE != 0 {
            api::duplicate(handle.as_handle(), Some(FILE_MAP_READ | (granted & SECTION_QUERY)))?
        } else {
            handle
        };
        Ok(Object::new(handle, writable, None))
    }

    /// What it says about who may open it.
    pub(crate) fn shown(&self) -> Result<Shown, Failure> {
        // This handle need not have the right to ask: it was opened for what its type needs.
        let answer = match descriptor::of(self.handle.as_handle()) {
            Ok(bytes) => bytes,
            Err(_) => {
                descriptor::of(api::duplicate(self.handle.as_handle(), Some(READ_CONTROL))?.as_handle())?
            }
        };
        Ok(Shown::Descriptor(answer))
    }

    /// The length of a section, by a handle that can ask for it or map it.
    pub(super) fn len_of(handle: OwnedHandle) -> Result<u64, Failure> {
        Object::new(handle, false, None).len()
    }

    /// Its length in bytes: for memory in the page file, whole pages.
    pub(crate) fn len(&self) -> Result<u64, Failure> {
        if let Some(len) = self.len.get() {
            return Ok(*len);
        }
        let len = match api::query_section(self.handle.as_handle()) {
            Ok(information) => u64::try_from(information.len).unwrap_or(0),
            Err(error) if error.0 == win::ERROR_ACCESS_DENIED => self.len_by_mapping()?,
            Err(error) => return Err(error.into()),
        };
        Ok(*self.len.get_or_init(|| len))
    }

    /// Without the right to ask: maps all of it, and asks how much that was.
    fn len_by_mapping(&self) -> Result<u64, Failure> {
        let base = api::map(self.handle.as_handle(), FILE_MAP_READ, 0, 0)?;
        let mapping = Mapping { base, slack: 0 };
        let mut len = 0;
        loop {
            // An answer ends where the state of the pages changes; the view goes on as long as it has the same start.
            let pages = api::query_pages(mapping.address().wrapping_add(len))?;
            if pages.AllocationBase.cast() != base.as_ptr() {
                return Ok(len as u64);
            }
            len += pages.RegionSize;
        }
    }

    /// The same memory, through a handle that can only read.
    pub(crate) fn narrow(&self) -> Result<Self, Failure> {
        // The right to ask for the size goes along if it is there.
        let granted = granted_access(self.handle.as_handle())?;
        let access = FILE_MAP_READ | (granted & SECTION_QUERY);
        let handle = api::duplicate(self.handle.as_handle(), Some(access))?;
        Ok(Object { handle, writable: false, len: self.len.clone(), space: self.space.clone() })
    }

    /// Another handle with the same rights.
    pub(crate) fn to_owned_handle(&self) -> Result<OwnedHandle, Failure> {
        Ok(api::duplicate(self.handle.as_handle(), None)?)
    }

    /// Maps `len` bytes from `offset` on. The caller has checked that they are inside.
    pub(crate) fn map(&self, offset: u64, len: usize) -> Result<Mapping, Failure> {
        let too_large = Failure::new(Reason::TooLarge);
        let slack = usize::try_from(offset % granularity()).map_err(|_| too_large)?;
        let whole = len.checked_add(slack).ok_or(too_large)?;
        let base = api::map(self.handle.as_handle(), rights(self.writable), offset - slack as u64, whole);
        let base = base.map_err(|error| match error.0 {
            // The address space is full, or never had so much.
            win::ERROR_NOT_ENOUGH_MEMORY | win::ERROR_INVALID_PARAMETER => {
                Failure { reason: Reason::TooLarge, ..error.into() }
            }
            _ => error.into(),
        })?;
        Ok(Mapping { base, slack })
    }

    pub(crate) fn as_handle(&self) -> BorrowedHandle<'_> {
        self.handle.as_handle()
    }
}

/// What to say to a maker who found the name taken.
fn exists(theirs: &Object) -> Failure {
    let failure = Failure::new(Reason::Exists);
    theirs.len().map_or(failure, |len| failure.with_figure(len))
}

/// Why a section was not made.
fn refused(error: LastError, name: Option<&ObjectName>) -> Failure {
    match (error.0, name) {
        // Either making is not allowed here, or the name is taken by something that does not let us in.
        (win::ERROR_ACCESS_DENIED, Some(name)) => match api::open_section(FILE_MAP_READ, name) {
            Ok(theirs) => exists(&Object::new(theirs, false, None)),
            Err(LastError(win::ERROR_ACCESS_DENIED)) => Failure { reason: Reason::Exists, ..error.into() },
            Err(_) => error.into(),
        },
        (win::ERROR_INVALID_PARAMETER, _) => Failure { reason: Reason::TooLarge, ..error.into() },
        // An owner, a group or a label that this user may not give.
        (
            win::ERROR_INVALID_OWNER
            | win::ERROR_INVALID_PRIMARY_GROUP
            | win::ERROR_INVALID_LABEL
            | win::ERROR_PRIVILEGE_NOT_HELD,
            _,
        ) => Failure { reason: Reason::BadSecurity, ..error.into() },
        _ => error.into(),
    }
}

fn is_section(handle: BorrowedHandle<'_>) -> bool {
    // An OBJECT_TYPE_INFORMATION starts with the name of the type, whose text is behind it in the answer.
    let mut answer = [0; 256];
    if api::query_object(handle, ObjectTypeInformation, &mut answer).is_err() {
        return false;
    }
    // SAFETY: the answer starts with this string, and words of 64 bits are aligned for it.
    let name = unsafe { answer.as_ptr().cast::<UNICODE_STRING>().read() };
    // SAFETY: the string's text is in the answer, which has not moved.
    unsafe { api::text(&name) == "Section" }
}

/// The rights of a handle.
pub(super) fn granted_access(handle: BorrowedHandle<'_>) -> Result<u32, Failure> {
    // An OBJECT_BASIC_INFORMATION: 56 bytes, of which the second four are the granted access.
    let mut answer = [0; 7];
    api::query_object(handle, ObjectBasicInformation, &mut answer)?;
    let [_, _, _, _, a, b, c, d] = answer[0].to_ne_bytes();
    Ok(u32::from_ne_bytes([a, b, c, d]))
}

/// An address range in which a memory is mapped, until it is dropped.
#[derive(Debug)]
pub(crate) struct Mapping {
    /// What the system gave.
    base: NonNull<u8>,
    /// Bytes from there to the first one that was asked for.
    slack: usize,
}

// SAFETY: a mapping is an address range, and belongs to the process, not to a thread.
unsafe impl Send for Mapping {}
// SAFETY: its methods only ask the kernel, which synchronises itself.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// The first byte that was asked for.
    pub(crate) fn address(&self) -> *mut u8 {
        self.base.as_ptr().wrapping_add(self.slack)
    }

    /// Writes to the file behind the memory, if there is one.
    pub(crate) fn flush(&self, offset: usize, len: usize) -> Result<(), Failure> {
        Ok(api::flush(self.address().wrapping_add(offset), len)?)
    }

    /// Brings the pages into memory ahead of their use. A wish: the system may not follow it.
    pub(crate) fn prefetch(&self, offset: usize, len: usize) -> Result<(), Failure> {
        Ok(api::prefetch(self.address().wrapping_add(offset), len)?)
    }

    /// Keeps the pages in RAM.
    pub(crate) fn lock(&self, offset: usize, len: usize) -> Result<(), Failure> {
        api::lock(self.address().wrapping_add(offset), len).map_err(|error| match error.0 {
            win::ERROR_WORKING_SET_QUOTA | win::ERROR_NOT_ENOUGH_QUOTA | win::ERROR_NO_SYSTEM_RESOURCES => {
                let failure = Failure { reason: Reason::Limit, ..error.into() };
                api::working_set().map_or(failure, |least| failure.with_figure(least))
            }
            _ => error.into(),
        })
    }

    /// Ends what `lock` asked for.
    pub(crate) fn unlock(&self, offset: usize, len: usize) -> Result<(), Failure> {
        Ok(api::unlock(self.address().wrapping_add(offset), len)?)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: `base` is what the system gave, this is the only place that unmaps it, and whoever holds an address in it
        // has borrowed this value.
        let result = unsafe { api::unmap(self.base) };
        debug_assert!(result.is_ok(), "UnmapViewOfFile: {result:?}");
    }
}

/// What offsets of views must be multiples of: 64 KiB on every Windows so far.
fn granularity() -> u64 {
    static GRANULARITY: OnceLock<u64> = OnceLock::new();
    *GRANULARITY.get_or_init(|| u64::from(api::system_info().dwAllocationGranularity))
}
