//! Rights to sections, and their views.

use std::os::windows::io::{AsHandle, BorrowedHandle, OwnedHandle};
use std::ptr::NonNull;
use std::sync::{Arc, OnceLock};

use windows_sys::Wdk::Foundation::{ObjectBasicInformation, ObjectTypeInformation};
use windows_sys::Win32::Foundation as win;
use windows_sys::Win32::Foundation::UNICODE_STRING;
use windows_sys::Win32::Storage::FileSystem::{
    FILE_READ_ATTRIBUTES, FILE_READ_DATA, FILE_READ_EA, FILE_WRITE_DATA, SYNCHRONIZE,
};
use windows_sys::Win32::System::Memory::{
    FILE_MAP_COPY, FILE_MAP_LARGE_PAGES, FILE_MAP_READ, FILE_MAP_WRITE, MEM_FREE, MEM_IMAGE, MEM_RESERVE,
    PAGE_READONLY, PAGE_READWRITE, SEC_COMMIT, SEC_IMAGE, SEC_LARGE_PAGES, SEC_RESERVE, SECTION_QUERY,
};

use super::boundary::PrivateNamespace;
use super::growth::Extent;
use super::name::{ObjectName, Space};
use super::privilege::{self, Held, Privilege};
use super::{LastError, api, descriptor, limits, security};
use crate::sys::{
    self, Attempt, Copying, CreateParams, Failure, Mode, NameTarget, Pages, RawSecurity, Reason,
};

/// To read who may do what.
const READ_CONTROL: u32 = 0x2_0000;

/// The right to a section, or to a file: a handle.
#[derive(Debug)]
pub(crate) struct Object {
    handle: OwnedHandle,
    mode: Mode,
    kind: Kind,
    /// What its name is in. After the handle, so that it is closed later.
    space: Option<Arc<PrivateNamespace>>,
}

#[derive(Debug)]
enum Kind {
    /// The handle is one of a section. What it is like never changes, and asking costs a system call.
    Section { nature: OnceLock<Nature>, extent: Extent },
    /// The handle is one of a file. Sections are made of it when they are mapped, for a section is never longer than the file
    /// was when it was made.
    File,
}

/// What a section is like.
#[derive(Clone, Copy, Debug)]
struct Nature {
    /// As it was made: of reserved memory, how far it can grow.
    size: u64,
    reserved: bool,
    large: bool,
}

/// What a handle has to allow.
fn rights(mode: Mode) -> u32 {
    match mode {
        // Not FILE_MAP_ALL_ACCESS: that also asks for the right to delete, to change the owner, and to execute.
        Mode::Write => FILE_MAP_READ | FILE_MAP_WRITE,
        Mode::Read | Mode::Copy => FILE_MAP_READ,
    }
}

/// How a view is mapped by it.
fn view_access(mode: Mode) -> u32 {
    match mode {
        Mode::Copy => FILE_MAP_COPY,
        mode => rights(mode),
    }
}

impl Object {
    fn new(handle: OwnedHandle, mode: Mode, name: Option<&ObjectName>) -> Self {
        let space = name.and_then(ObjectName::private_namespace);
        let kind = Kind::Section { nature: OnceLock::new(), extent: Extent::default() };
        Object { handle, mode, kind, space }
    }

    /// Makes a memory of zero bytes.
    pub(crate) fn create(
        name: Option<&ObjectName>,
        params: &CreateParams<'_>,
    ) -> Result<Attempt<Self>, Failure> {
        if params.large_pages && params.capacity.is_some() {
            return Err(Failure::new(Reason::FixedPages));
        }
        let kind = if params.large_pages {
            SEC_COMMIT | SEC_LARGE_PAGES
        } else if params
            .capacity
            .is_some_and(|capacity| super::probe::rounded(capacity) > super::probe::rounded(params.len))
        {
            SEC_RESERVE
        } else {
            SEC_COMMIT
        };
        let size = match (params.large_pages, params.capacity) {
            (true, _) => {
                let large = limits::large_page_minimum().ok_or(Failure::new(Reason::Unsupported))?;
                params.len.checked_next_multiple_of(large).ok_or(Failure::new(Reason::TooLarge))?
            }
            (false, capacity) => capacity.unwrap_or(params.len),
        };
        if let Some(node) = params.node {
            if node > api::highest_node()? {
                return Err(Failure::new(Reason::NoSuchNode));
            }
        }
        let make = || {
            security::with_attributes(params.protection, name.is_some(), |attributes| {
                // SAFETY: the attributes are valid during this call.
                unsafe { api::create_section(attributes, kind, size, params.node, name) }
            })
        };
        let made = match if params.large_pages { with_large_pages(make)? } else { make() } {
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
            Ok((handle, true)) => {
                let object = Object::new(handle, Mode::Write, name);
                if kind == SEC_RESERVE {
                    // Until then it has no length, and whoever opens it waits.
                    object.grow(params.len)?;
                }
                Ok(Attempt::Done(object))
            }
            Ok((handle, false)) => Err(exists(&Object::new(handle, Mode::Read, None))),
            // RAM is there, but in pieces that are too small.
            Err(LastError(win::ERROR_NO_SYSTEM_RESOURCES | win::ERROR_NOT_ENOUGH_MEMORY))
                if params.large_pages =>
            {
                Err(Failure::new(Reason::NoLargePages))
            }
            Err(error) => Err(refused(error, name)),
        }
    }

    /// Opens what has this name, to read or also to write.
    pub(crate) fn open(name: &ObjectName, mode: Mode) -> Result<Attempt<Self>, Failure> {
        let wanted = rights(mode);
        let denied = match api::open_section(wanted | SECTION_QUERY, name) {
            Ok(handle) => return Object::new(handle, mode, Some(name)).when_ready(),
            Err(error) if error.0 == win::ERROR_ACCESS_DENIED => error,
            Err(error) => return Err(error.into()),
        };
        // Its maker may not allow to ask for the size. Then `nature` finds it out by mapping.
        match api::open_section(wanted, name) {
            Ok(handle) => Object::new(handle, mode, Some(name)).when_ready(),
            Err(_) if mode.is_writable() && api::open_section(rights(Mode::Read), name).is_ok() => {
                Err(Failure { reason: Reason::ReadOnly, ..denied.into() })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Memory that can grow is named before it has a length.
    fn when_ready(self) -> Result<Attempt<Self>, Failure> {
        let unfinished = self.nature()?.reserved && self.len()? == 0;
        Ok(if unfinished { Attempt::Again } else { Attempt::Done(self) })
    }

    /// Takes a handle that came from elsewhere, if it is what it should be.
    pub(crate) fn from_owned(handle: OwnedHandle, mode: Mode) -> Result<Self, Failure> {
        let wrong = Failure::new(Reason::WrongKind);
        if !is_section(handle.as_handle()) {
            return Err(wrong);
        }
        let granted = granted_access(handle.as_handle())?;
        if granted & FILE_MAP_READ == 0 {
            return Err(Failure::new(Reason::Denied));
        }
        if mode.is_writable() && granted & FILE_MAP_WRITE == 0 {
            return Err(Failure::new(Reason::ReadOnly));
        }
        let is_image = if granted & SECTION_QUERY != 0 {
            api::query_section(handle.as_handle())?.attributes & SEC_IMAGE != 0
        } else {
            let first = Mapping::new(api::map(handle.as_handle(), FILE_MAP_READ, 0, 1)?, 0, 1);
            api::query_pages(first.address())?.Type == MEM_IMAGE
        };
        if is_image {
            return Err(wrong);
        }
        // What is taken to be read only is so from here on, wherever it is handed on to.
        let handle = if !mode.is_writable() && granted & FILE_MAP_WRITE != 0 {
            api::duplicate(handle.as_handle(), Some(FILE_MAP_READ | (granted & SECTION_QUERY)))?
        } else {
            handle
        };
        Ok(Object::new(handle, mode, None))
    }

    /// Takes a file, which may be empty.
    pub(crate) fn from_file(
        file: std::fs::File,
        mode: Mode,
        _capacity: Option<u64>,
        _is_new: bool,
    ) -> Result<Self, Failure> {
        let handle = OwnedHandle::from(file);
        if !api::is_disk_file(handle.as_handle()) {
            return Err(Failure::new(Reason::WrongKind));
        }
        let granted = granted_access(handle.as_handle())?;
        if granted & FILE_READ_DATA == 0 {
            return Err(Failure::new(Reason::Denied));
        }
        if mode.is_writable() && granted & FILE_WRITE_DATA == 0 {
            return Err(Failure::new(Reason::ReadOnly));
        }
        // As for all that is taken to be read only.
        let handle = if !mode.is_writable() && granted & FILE_WRITE_DATA != 0 {
            let access =
                granted & (FILE_READ_DATA | FILE_READ_ATTRIBUTES | FILE_READ_EA | READ_CONTROL | SYNCHRONIZE);
            api::duplicate(handle.as_handle(), Some(access))?
        } else {
            handle
        };
        Ok(Object { handle, mode, kind: Kind::File, space: None })
    }

    /// A section that reaches over the whole file, made to be at least `len` bytes long if that is said.
    fn section_of_file(&self, len: u64) -> Result<OwnedHandle, LastError> {
        let protection = if self.mode.is_writable() { PAGE_READWRITE } else { PAGE_READONLY };
        api::create_file_section(self.handle.as_handle(), protection, len)
    }

    fn nature(&self) -> Result<Nature, Failure> {
        let Kind::Section { nature, .. } = &self.kind else {
            let size = api::file_len(self.handle.as_handle())?;
            return Ok(Nature { size, reserved: false, large: false });
        };
        if let Some(nature) = nature.get() {
            return Ok(*nature);
        }
        let found = match api::query_section(self.handle.as_handle()) {
            Ok(information) => Nature {
                size: u64::try_from(information.len).unwrap_or(0),
                reserved: information.attributes & SEC_RESERVE != 0,
                large: information.attributes & SEC_LARGE_PAGES != 0,
            },
            Err(error) if error.0 == win::ERROR_ACCESS_DENIED => self.nature_by_mapping()?,
            Err(error) => return Err(error.into()),
        };
        Ok(*nature.get_or_init(|| found))
    }

    /// Without the right to ask: maps all of it, and asks how much that was.
    fn nature_by_mapping(&self) -> Result<Nature, Failure> {
        let base = api::map(self.handle.as_handle(), FILE_MAP_READ, 0, 0)?;
        let mapping = Mapping::new(base, 0, 1);
        let mut nature = Nature { size: 0, reserved: false, large: false };
        let mut len = 0;
        loop {
            // An answer ends where the state of the pages changes; the view goes on as long as it has the same start.
            let pages = api::query_pages(mapping.address().wrapping_add(len))?;
            if pages.AllocationBase.cast() != base.as_ptr() {
                return Ok(Nature { size: len as u64, ..nature });
            }
            // (Reserved memory that has been committed to its end does not show that it once was, and need not.)
            nature.reserved |= pages.State == MEM_RESERVE;
            len += pages.RegionSize;
        }
    }

    /// The length of a section, by a handle that can ask for it or map it.
    pub(super) fn len_of(handle: OwnedHandle) -> Result<u64, Failure> {
        Object::new(handle, Mode::Read, None).len()
    }

    /// Its length in bytes: for memory in the page file, whole pages; for memory that grows, what is committed.
    pub(crate) fn len(&self) -> Result<u64, Failure> {
        let nature = self.nature()?;
        match &self.kind {
            Kind::Section { extent, .. } if nature.reserved => {
                extent.committed(self.handle.as_handle(), nature.size)
            }
            _ => Ok(nature.size),
        }
    }

    /// How many names lead to it: one at most.
    #[allow(clippy::unused_self, reason = "it depends, on Unix")]
    pub(crate) fn names(&self) -> u64 {
        1
    }

    /// Whether what it says about its owner identifies a user.
    #[allow(clippy::unused_self, reason = "it depends, on Linux")]
    pub(crate) fn is_owner_certain(&self) -> bool {
        true
    }

    /// What identifies it, where processes can be asked whether they hold it.
    #[allow(clippy::unused_self, reason = "it depends, on Linux")]
    pub(crate) fn identity(&self) -> Option<(u64, u64)> {
        None
    }

    /// A name goes with the last handle to what it was given to, so while there is this one it leads here.
    #[allow(clippy::unused_self, reason = "it depends, on Unix")]
    pub(crate) fn leads_here(&self, _: &ObjectName) -> NameTarget {
        NameTarget::This
    }

    /// Whether that is what other processes say: it is what the section was created with.
    #[allow(clippy::unused_self, reason = "it depends, on Linux")]
    pub(crate) fn is_capacity_from_peers(&self) -> bool {
        false
    }

    /// How far it can grow, if it can. (A file as far as the disk goes.)
    pub(crate) fn capacity(&self) -> Option<u64> {
        self.nature().ok().filter(|nature| nature.reserved).map(|nature| nature.size)
    }

    /// A section can grow as far as it was made for; says how far that is.
    #[allow(clippy::unnecessary_wraps, reason = "as on Unix")]
    pub(crate) fn reserve(&mut self, _capacity: u64) -> Result<u64, Failure> {
        Ok(self.capacity().unwrap_or(0))
    }

    /// What is left of what it is made of, if that is known.
    pub(crate) fn space(&self) -> Option<sys::Space> {
        match self.kind {
            Kind::Section { .. } => sys::space(),
            Kind::File => None,
        }
    }

    /// Whether views may reach further than the object does now.
    pub(crate) fn follows(&self) -> bool {
        matches!(self.kind, Kind::Section { .. })
    }

    /// Makes it at least `len` bytes long.
    pub(crate) fn grow(&self, len: u64) -> Result<(), Failure> {
        let Kind::Section { extent, .. } = &self.kind else {
            if len <= self.len()? {
                return Ok(());
            }
            // A section that is longer than its file makes the file longer, and never shorter.
            return match self.section_of_file(len) {
                Ok(_) => Ok(()),
                Err(LastError(win::ERROR_INVALID_PARAMETER)) => Err(Failure::new(Reason::TooLarge)),
                Err(error) => Err(error.into()),
            };
        };
        let size = self.nature()?.size;
        extent.commit(self.handle.as_handle(), size, len)
    }

    /// What its pages are.
    pub(crate) fn pages(&self) -> Pages {
        match (self.nature(), limits::large_page_minimum()) {
            (Ok(Nature { large: true, .. }), Some(size)) => Pages::Large(size),
            _ => Pages::Ordinary,
        }
    }

    /// What large pages are was said when the memory was made.
    #[allow(clippy::unused_self, reason = "as on Unix")]
    pub(crate) fn advise_large_pages(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    /// Writes to the disk what the file system has: what views have changed is to be flushed before.
    pub(crate) fn sync_all(&self) -> Result<(), Failure> {
        match &self.kind {
            Kind::File if self.mode.is_writable() => Ok(api::flush_file(self.handle.as_handle())?),
            _ => Ok(()),
        }
    }

    /// What it says about who may open it.
    pub(crate) fn raw_security(&self) -> Result<RawSecurity, Failure> {
        // This handle need not have the right to ask: it was opened for what its type needs.
        let answer = match descriptor::of(self.handle.as_handle()) {
            Ok(bytes) => bytes,
            Err(_) => {
                descriptor::of(api::duplicate(self.handle.as_handle(), Some(READ_CONTROL))?.as_handle())?
            }
        };
        Ok(RawSecurity::Descriptor(answer))
    }

    /// The same memory, through a handle that can only read.
    pub(crate) fn narrow(&self) -> Result<Self, Failure> {
        // The right to ask for the size goes along if it is there.
        let granted = granted_access(self.handle.as_handle())?;
        let (access, kind) = match &self.kind {
            Kind::Section { nature, extent } => (
                FILE_MAP_READ | (granted & SECTION_QUERY),
                Kind::Section { nature: nature.clone(), extent: extent.clone() },
            ),
            Kind::File => (
                granted & (FILE_READ_DATA | FILE_READ_ATTRIBUTES | FILE_READ_EA | READ_CONTROL | SYNCHRONIZE),
                Kind::File,
            ),
        };
        let handle = api::duplicate(self.handle.as_handle(), Some(access))?;
        Ok(Object { handle, mode: Mode::Read, kind, space: self.space.clone() })
    }

    /// Another handle of a section, with the same rights.
    pub(crate) fn to_owned_handle(&self) -> Result<OwnedHandle, Failure> {
        match &self.kind {
            Kind::Section { .. } => Ok(api::duplicate(self.handle.as_handle(), None)?),
            Kind::File => Ok(self.section_of_file(0)?),
        }
    }

    /// Maps `len` bytes from `offset` on. The caller has checked that they are inside what it has, or can grow to.
    pub(crate) fn map(&self, offset: u64, len: usize) -> Result<Mapping, Failure> {
        let section = match &self.kind {
            Kind::Section { .. } => None,
            Kind::File => Some(self.section_of_file(0)?),
        };
        // (A view keeps its section alive, so nobody has to hold that of a file.)
        let section = section.as_ref().map_or(self.handle.as_handle(), AsHandle::as_handle);
        let large = if let Pages::Large(_) = self.pages() { FILE_MAP_LARGE_PAGES } else { 0 };
        let too_large = Failure::new(Reason::TooLarge);
        let slack = usize::try_from(offset % granularity()).map_err(|_| too_large)?;
        let whole = len.checked_add(slack).ok_or(too_large)?;
        let base = api::map(section, view_access(self.mode) | large, offset - slack as u64, whole);
        let base = base.map_err(|error| match error.0 {
            // The address space never had so much.
            win::ERROR_INVALID_PARAMETER => Failure { reason: Reason::TooLarge, ..error.into() },
            // It is full; or the system has no memory, for a private copy of the pages or for their tables.
            win::ERROR_NOT_ENOUGH_MEMORY if largest_free_range() < whole => {
                Failure { reason: Reason::TooLarge, ..error.into() }
            }
            _ => error.into(),
        })?;
        Ok(Mapping { base, slack, whole })
    }

    /// Of a section, or of the file.
    pub(crate) fn as_handle(&self) -> BorrowedHandle<'_> {
        self.handle.as_handle()
    }
}

/// Whether a memory could have large pages, as far as that can be known before.
pub(crate) fn check_large_pages(grows: bool) -> Result<(), Failure> {
    if grows {
        return Err(Failure::new(Reason::FixedPages));
    }
    limits::large_page_minimum().ok_or(Failure::new(Reason::Unsupported))?;
    match privilege::held(Privilege::LockMemory)? {
        Held::Missing => Err(no_privilege()),
        Held::Enabled | Held::Disabled => Ok(()),
    }
}

fn no_privilege() -> Failure {
    Failure { reason: Reason::NoPrivilege, ..LastError(win::ERROR_PRIVILEGE_NOT_HELD).into() }
}

/// Makes something in large pages, which takes a privilege.
fn with_large_pages<T>(make: impl FnOnce() -> Result<T, LastError>) -> Result<Result<T, LastError>, Failure> {
    match privilege::held(Privilege::LockMemory)? {
        Held::Enabled => Ok(make()),
        Held::Disabled => privilege::with(Privilege::LockMemory, make),
        Held::Missing => Err(no_privilege()),
    }
}

/// What to say to a maker who found the name taken.
fn exists(theirs: &Object) -> Failure {
    let failure = Failure::new(Reason::Exists);
    match theirs.len() {
        Ok(len) if len > 0 => failure.with_figure(len),
        _ => failure,
    }
}

/// Why a section was not made.
fn refused(error: LastError, name: Option<&ObjectName>) -> Failure {
    match (error.0, name) {
        // Either making is not allowed here, or the name is taken by something that does not let us in.
        (win::ERROR_ACCESS_DENIED, Some(name)) => match api::open_section(FILE_MAP_READ, name) {
            Ok(theirs) => exists(&Object::new(theirs, Mode::Read, None)),
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
    /// Bytes from `base` to the last one that was asked for.
    whole: usize,
}

// SAFETY: a mapping is an address range, and belongs to the process, not to a thread.
unsafe impl Send for Mapping {}
// SAFETY: its methods only ask the kernel, which synchronises itself.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// A mapping of nothing: what a view of an empty file has.
    pub(crate) fn empty() -> Self {
        Mapping { base: NonNull::dangling(), slack: 0, whole: 0 }
    }

    /// Of what `api::map` gave.
    pub(super) fn new(base: NonNull<u8>, slack: usize, whole: usize) -> Self {
        Mapping { base, slack, whole }
    }

    /// How its bytes are to be copied.
    #[allow(clippy::unused_self, reason = "on Unix it depends")]
    pub(crate) fn copying(&self) -> Copying {
        Copying::Guarded
    }

    /// How many bytes of it are in large pages now.
    pub(crate) fn large_bytes(&self) -> Result<u64, Failure> {
        if self.whole == 0 {
            return Ok(0);
        }
        // They are never mixed in one view.
        let first = api::query_working_set(self.address())?;
        Ok(if first.is_large() { self.whole as u64 } else { 0 })
    }

    /// The node in whose RAM a byte is; `None` if it is in no RAM now.
    pub(crate) fn node_of(&self, offset: usize) -> Result<Option<u32>, Failure> {
        let page = api::query_working_set(self.address().wrapping_add(offset))?;
        Ok(page.is_valid().then(|| page.node()))
    }

    /// The first byte that was asked for.
    pub(crate) fn address(&self) -> *mut u8 {
        self.base.as_ptr().wrapping_add(self.slack)
    }

    /// Writes to the file behind the memory, if there is one.
    pub(crate) fn flush(&self, offset: usize, len: usize) -> Result<(), Failure> {
        Ok(api::flush(self.address().wrapping_add(offset), len)?)
    }

    /// Brings the pages into memory ahead of their use. A params: the system may not follow it.
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
        if self.whole == 0 {
            return;
        }
        // SAFETY: `base` is what the system gave, this is the only place that unmaps it, and whoever holds an address in it
        // has borrowed this value.
        let result = unsafe { api::unmap(self.base) };
        debug_assert!(result.is_ok(), "UnmapViewOfFile: {result:?}");
    }
}

/// The longest view that the address space of this process still has room for.
fn largest_free_range() -> usize {
    let granularity = usize::try_from(granularity()).unwrap_or(1 << 16);
    let (mut at, mut largest) = (0_usize, 0);
    // (Behind the last address the question fails.)
    while let Ok(pages) = api::query_pages(core::ptr::without_provenance(at)) {
        let Some(end) = at.checked_add(pages.RegionSize) else { break };
        if pages.State == MEM_FREE {
            let start = at.checked_next_multiple_of(granularity).unwrap_or(end);
            largest = largest.max(end.saturating_sub(start));
        }
        at = end;
    }
    largest
}

/// What offsets of views must be multiples of: 64 KiB on every Windows so far.
pub(super) fn granularity() -> u64 {
    static GRANULARITY: OnceLock<u64> = OnceLock::new();
    *GRANULARITY.get_or_init(|| u64::from(api::system_info().dwAllocationGranularity))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_free_range_is_one_that_can_be_mapped() {
        let section = security::with_attributes(&security::Protection::default(), false, |attributes| {
            // SAFETY: the attributes are valid during this call.
            unsafe { api::create_section(attributes, SEC_RESERVE, 1 << 45, None, None) }
        });
        let largest = largest_free_range();
        assert!(largest > 1 << 24 && largest % 4096 == 0, "{largest:#x}");
        let Ok((section, _)) = section else {
            println!("no section of this size here: not tested");
            return;
        };
        // (Other threads map meanwhile, so half of it.)
        let view = api::map(section.as_handle(), FILE_MAP_READ, 0, largest / 2);
        match view {
            Ok(base) => drop(Mapping::new(base, 0, largest / 2)),
            Err(error) => println!("the system refuses it for another reason: {error:?}"),
        }
        let object = Object::new(section, Mode::Read, None);
        let failure = object.map(0, usize::MAX / 2).unwrap_err();
        assert_eq!(failure.reason, Reason::TooLarge, "{failure:?}");
    }
}
