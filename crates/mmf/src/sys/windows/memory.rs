//! Handles of sections and files, and the views of them.

use std::os::windows::io::{AsHandle, BorrowedHandle, OwnedHandle};
use std::sync::{Arc, OnceLock};

use windows_sys::Win32::Foundation as win;
use windows_sys::Win32::Storage::FileSystem::{
    FILE_READ_ATTRIBUTES, FILE_READ_DATA, FILE_READ_EA, FILE_TYPE_DISK, FILE_WRITE_DATA, SYNCHRONIZE,
};
use windows_sys::Win32::System::Memory::{
    FILE_MAP_COPY, FILE_MAP_LARGE_PAGES, FILE_MAP_READ, FILE_MAP_WRITE, MEM_FREE, MEM_IMAGE, MEM_RESERVE,
    PAGE_READONLY, PAGE_READWRITE, SEC_COMMIT, SEC_IMAGE, SEC_LARGE_PAGES, SEC_RESERVE, SECTION_QUERY,
};

use super::api::READ_CONTROL;
use super::growth::Extent;
use super::name::{ObjectName, Space};
use super::namespace::PrivateNamespace;
use super::privilege::{self, Held, Privilege};
use super::{LastError, api, descriptor, limits, security};
use crate::sys::{
    self, Attempt, CreateParams, Failure, Mapping, Mode, NameTarget, Pages, RawSecurity, Reason,
};

/// The rights that a read-only handle of a file keeps.
const FILE_READ_RIGHTS: u32 =
    FILE_READ_DATA | FILE_READ_ATTRIBUTES | FILE_READ_EA | READ_CONTROL | SYNCHRONIZE;

/// A handle of a section or of a file.
#[derive(Debug)]
pub(crate) struct Object {
    handle: OwnedHandle,
    mode: Mode,
    kind: Kind,
    /// The private namespace of its name. The field follows the handle, so that it is dropped later.
    space: Option<Arc<PrivateNamespace>>,
}

#[derive(Debug)]
enum Kind {
    /// A section. Its nature never changes and is cached, because a query costs a system call.
    Section { nature: OnceLock<Nature>, extent: Extent },
    /// A file. Each view gets a new section, because a section never becomes longer than the file was at its
    /// creation.
    File,
}

/// The immutable properties of a section.
#[derive(Clone, Copy, Debug)]
struct Nature {
    /// The size that it was created with. For a reserved section this is the capacity.
    size: u64,
    reserved: bool,
    large: bool,
}

/// The rights that a handle of a section needs.
fn rights(mode: Mode) -> u32 {
    match mode {
        // Not FILE_MAP_ALL_ACCESS, which also requests the rights to delete, to change the owner, and to
        // execute.
        Mode::Write => FILE_MAP_READ | FILE_MAP_WRITE,
        Mode::Read | Mode::Copy => FILE_MAP_READ,
    }
}

/// The access of a view.
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

    /// Creates a region of zero bytes.
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
            if node > api::get_numa_highest_node_number()? {
                return Err(Failure::new(Reason::NoSuchNode));
            }
        }
        let create = || {
            security::with_attributes(params.protection, name.is_some(), |attributes| {
                api::create_file_mapping(attributes, kind, size, params.node, name)
            })
        };
        let created = match if params.large_pages { with_large_pages(create)? } else { create() } {
            // A global name requires a privilege, which can be present but disabled. It is queried only after
            // a refusal.
            Err(LastError(win::ERROR_ACCESS_DENIED))
                if name.is_some_and(|name| matches!(name.space(), Space::Global))
                    && privilege::held(Privilege::CreateGlobal) == Ok(Held::Disabled) =>
            {
                privilege::with(Privilege::CreateGlobal, create)?
            }
            created => created,
        };
        match created {
            Ok((handle, true)) => {
                let object = Object::new(handle, Mode::Write, name);
                if kind == SEC_RESERVE {
                    // Until then the region has no length, and a process that opens it waits.
                    object.grow(params.len)?;
                }
                Ok(Attempt::Done(object))
            }
            Ok((handle, false)) => Err(exists(&Object::new(handle, Mode::Read, None))),
            // There is enough RAM, but not in pieces of the size of a large page.
            Err(LastError(win::ERROR_NO_SYSTEM_RESOURCES | win::ERROR_NOT_ENOUGH_MEMORY))
                if params.large_pages =>
            {
                Err(Failure::new(Reason::NoLargePages))
            }
            Err(error) => Err(refused(error, name)),
        }
    }

    /// Opens the region of this name.
    pub(crate) fn open(name: &ObjectName, mode: Mode) -> Result<Attempt<Self>, Failure> {
        let wanted = rights(mode);
        let denied = match api::open_file_mapping(wanted | SECTION_QUERY, name) {
            Ok(handle) => return Object::new(handle, mode, Some(name)).when_ready(),
            Err(error) if error.0 == win::ERROR_ACCESS_DENIED => error,
            Err(error) => return Err(error.into()),
        };
        // The creator may not have granted SECTION_QUERY. Then `nature` determines the size by mapping.
        match api::open_file_mapping(wanted, name) {
            Ok(handle) => Object::new(handle, mode, Some(name)).when_ready(),
            Err(_) if mode.is_writable() && api::open_file_mapping(rights(Mode::Read), name).is_ok() => {
                Err(Failure { reason: Reason::ReadOnly, ..denied.into() })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Waits for the creator of a region that can grow, which has a name before it has a length.
    fn when_ready(self) -> Result<Attempt<Self>, Failure> {
        let unfinished = self.nature()?.reserved && self.len()? == 0;
        Ok(if unfinished { Attempt::Again } else { Attempt::Done(self) })
    }

    /// Takes over a handle after checking its type and its rights.
    pub(crate) fn from_owned(handle: OwnedHandle, mode: Mode) -> Result<Self, Failure> {
        let wrong = Failure::new(Reason::WrongKind);
        if !api::nt_query_object_type_name(handle.as_handle()).is_ok_and(|name| name == "Section") {
            return Err(wrong);
        }
        let granted = api::nt_query_object_granted_access(handle.as_handle())?;
        if granted & FILE_MAP_READ == 0 {
            return Err(Failure::new(Reason::Denied));
        }
        if mode.is_writable() && granted & FILE_MAP_WRITE == 0 {
            return Err(Failure::new(Reason::ReadOnly));
        }
        let is_image = if granted & SECTION_QUERY != 0 {
            api::nt_query_section(handle.as_handle())?.attributes & SEC_IMAGE != 0
        } else {
            let first = Mapping::new(api::map_view_of_file(handle.as_handle(), FILE_MAP_READ, 0, 1)?, 0, 1);
            api::virtual_query(first.address())?.Type == MEM_IMAGE
        };
        if is_image {
            return Err(wrong);
        }
        // A region that is opened read-only stays read-only for every process that the handle is passed on
        // to.
        let handle = if !mode.is_writable() && granted & FILE_MAP_WRITE != 0 {
            api::duplicate_handle(handle.as_handle(), Some(FILE_MAP_READ | (granted & SECTION_QUERY)))?
        } else {
            handle
        };
        Ok(Object::new(handle, mode, None))
    }

    /// Takes over a file, which may be empty.
    pub(crate) fn from_file(
        file: std::fs::File,
        mode: Mode,
        _capacity: Option<u64>,
        _is_new: bool,
    ) -> Result<Self, Failure> {
        let handle = OwnedHandle::from(file);
        if api::get_file_type(handle.as_handle()) != FILE_TYPE_DISK {
            return Err(Failure::new(Reason::WrongKind));
        }
        let granted = api::nt_query_object_granted_access(handle.as_handle())?;
        if granted & FILE_READ_DATA == 0 {
            return Err(Failure::new(Reason::Denied));
        }
        if mode.is_writable() && granted & FILE_WRITE_DATA == 0 {
            return Err(Failure::new(Reason::ReadOnly));
        }
        // As for sections that are opened read-only.
        let handle = if !mode.is_writable() && granted & FILE_WRITE_DATA != 0 {
            api::duplicate_handle(handle.as_handle(), Some(granted & FILE_READ_RIGHTS))?
        } else {
            handle
        };
        Ok(Object { handle, mode, kind: Kind::File, space: None })
    }

    /// Creates a section over the whole file, which is extended to `len` bytes if it is shorter.
    fn section_of_file(&self, len: u64) -> Result<OwnedHandle, LastError> {
        let protection = if self.mode.is_writable() { PAGE_READWRITE } else { PAGE_READONLY };
        api::create_file_mapping_of_file(self.handle.as_handle(), protection, len)
    }

    /// Returns the properties of the section, or those of a section over the file.
    fn nature(&self) -> Result<Nature, Failure> {
        let Kind::Section { nature, .. } = &self.kind else {
            let size = api::get_file_size(self.handle.as_handle())?;
            return Ok(Nature { size, reserved: false, large: false });
        };
        if let Some(nature) = nature.get() {
            return Ok(*nature);
        }
        let found = match api::nt_query_section(self.handle.as_handle()) {
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

    /// Determines the properties without `SECTION_QUERY`, by mapping the whole section.
    fn nature_by_mapping(&self) -> Result<Nature, Failure> {
        let base = api::map_view_of_file(self.handle.as_handle(), FILE_MAP_READ, 0, 0)?;
        let mapping = Mapping::new(base, 0, 1);
        let mut nature = Nature { size: 0, reserved: false, large: false };
        let mut len = 0;
        loop {
            // A reply ends where the state of the pages changes. The view extends as far as the pages have
            // its base.
            let pages = api::virtual_query(mapping.address().wrapping_add(len))?;
            if pages.AllocationBase.cast() != base.as_ptr() {
                return Ok(Nature { size: len as u64, ..nature });
            }
            // (A reserved section that is committed completely cannot be recognised as such, and need not
            // be.)
            nature.reserved |= pages.State == MEM_RESERVE;
            len += pages.RegionSize;
        }
    }

    /// Returns the length of a section by a handle with the right to query or to map it.
    pub(super) fn len_of(handle: OwnedHandle) -> Result<u64, Failure> {
        Object::new(handle, Mode::Read, None).len()
    }

    /// Returns the length in bytes: of a section in the page file, whole pages; of a reserved section, the
    /// committed part.
    pub(crate) fn len(&self) -> Result<u64, Failure> {
        let nature = self.nature()?;
        match &self.kind {
            Kind::Section { extent, .. } if nature.reserved => {
                extent.committed(self.handle.as_handle(), nature.size)
            }
            _ => Ok(nature.size),
        }
    }

    /// The number of names: one at most.
    #[allow(clippy::unused_self, reason = "as on Unix")]
    pub(crate) fn names(&self) -> u64 {
        1
    }

    /// Whether the owner of the object identifies a user.
    #[allow(clippy::unused_self, reason = "as on Linux")]
    pub(crate) fn is_owner_certain(&self) -> bool {
        true
    }

    /// The identity of the object, on systems that can list its holders.
    #[allow(clippy::unused_self, reason = "as on Linux")]
    pub(crate) fn identity(&self) -> Option<(u64, u64)> {
        None
    }

    /// The object that a name leads to. A name lives as long as the last handle of its object, so it leads to
    /// this one.
    #[allow(clippy::unused_self, reason = "as on Unix")]
    pub(crate) fn leads_here(&self, _: &ObjectName) -> NameTarget {
        NameTarget::This
    }

    /// Whether the capacity was determined by other processes. On Windows it is a property of the section.
    #[allow(clippy::unused_self, reason = "as on Linux")]
    pub(crate) fn is_capacity_from_peers(&self) -> bool {
        false
    }

    /// Returns the length up to which the region can grow, if it can. (A file can grow as long as the disk
    /// has space.)
    pub(crate) fn capacity(&self) -> Option<u64> {
        self.nature().ok().filter(|nature| nature.reserved).map(|nature| nature.size)
    }

    /// Reserves a capacity. A section has the capacity that it was created with, which is returned.
    #[allow(clippy::unnecessary_wraps, reason = "as on Unix")]
    pub(crate) fn reserve(&mut self, _capacity: u64) -> Result<u64, Failure> {
        Ok(self.capacity().unwrap_or(0))
    }

    /// Returns the free part of the storage of the object, if that is known.
    pub(crate) fn space(&self) -> Option<sys::Space> {
        match self.kind {
            Kind::Section { .. } => sys::space(),
            Kind::File => None,
        }
    }

    /// Whether a view can extend beyond the present length of the object.
    pub(crate) fn follows(&self) -> bool {
        matches!(self.kind, Kind::Section { .. })
    }

    /// Grows the region to at least `len` bytes.
    pub(crate) fn grow(&self, len: u64) -> Result<(), Failure> {
        let Kind::Section { extent, .. } = &self.kind else {
            if len <= self.len()? {
                return Ok(());
            }
            // A section that is longer than its file extends the file. No section shortens it.
            return match self.section_of_file(len) {
                Ok(_) => Ok(()),
                Err(LastError(win::ERROR_INVALID_PARAMETER)) => Err(Failure::new(Reason::TooLarge)),
                Err(error) => Err(error.into()),
            };
        };
        let size = self.nature()?.size;
        extent.commit(self.handle.as_handle(), size, len)
    }

    /// Returns the kind of the pages.
    pub(crate) fn pages(&self) -> Pages {
        match (self.nature(), limits::large_page_minimum()) {
            (Ok(Nature { large: true, .. }), Some(size)) => Pages::Large(size),
            _ => Pages::Ordinary,
        }
    }

    /// Advises large pages, which has no effect: on Windows they are chosen at creation.
    #[allow(clippy::unused_self, reason = "as on Unix")]
    pub(crate) fn advise_large_pages(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    /// Writes the data of the file system to the disk. Views have to be flushed before.
    pub(crate) fn sync_all(&self) -> Result<(), Failure> {
        match &self.kind {
            Kind::File if self.mode.is_writable() => Ok(api::flush_file_buffers(self.handle.as_handle())?),
            _ => Ok(()),
        }
    }

    /// Returns the security descriptor.
    pub(crate) fn raw_security(&self) -> Result<RawSecurity, Failure> {
        // This handle may lack the right, because it was opened with the rights that its access needs.
        let bytes = match descriptor::of(self.handle.as_handle()) {
            Ok(bytes) => bytes,
            Err(_) => descriptor::of(
                api::duplicate_handle(self.handle.as_handle(), Some(READ_CONTROL))?.as_handle(),
            )?,
        };
        Ok(RawSecurity::Descriptor(bytes))
    }

    /// Returns the same region with a handle that can only read.
    pub(crate) fn narrow(&self) -> Result<Self, Failure> {
        // The new handle keeps the right to query the size.
        let granted = api::nt_query_object_granted_access(self.handle.as_handle())?;
        let (access, kind) = match &self.kind {
            Kind::Section { nature, extent } => (
                FILE_MAP_READ | (granted & SECTION_QUERY),
                Kind::Section { nature: nature.clone(), extent: extent.clone() },
            ),
            Kind::File => (granted & FILE_READ_RIGHTS, Kind::File),
        };
        let handle = api::duplicate_handle(self.handle.as_handle(), Some(access))?;
        Ok(Object { handle, mode: Mode::Read, kind, space: self.space.clone() })
    }

    /// Returns a new handle of the section, or of a section over the file, with the same rights.
    pub(crate) fn to_owned_handle(&self) -> Result<OwnedHandle, Failure> {
        match &self.kind {
            Kind::Section { .. } => Ok(api::duplicate_handle(self.handle.as_handle(), None)?),
            Kind::File => Ok(self.section_of_file(0)?),
        }
    }

    /// Maps `len` bytes from `offset` on. The caller has checked that they are inside the length or the
    /// capacity.
    pub(crate) fn map(&self, offset: u64, len: usize) -> Result<Mapping, Failure> {
        let section = match &self.kind {
            Kind::Section { .. } => None,
            Kind::File => Some(self.section_of_file(0)?),
        };
        // (A view keeps its section alive, so the handle of a section over a file can be closed.)
        let section = section.as_ref().map_or(self.handle.as_handle(), AsHandle::as_handle);
        let large = if let Pages::Large(_) = self.pages() { FILE_MAP_LARGE_PAGES } else { 0 };
        let too_large = Failure::new(Reason::TooLarge);
        let slack = usize::try_from(offset % granularity()).map_err(|_| too_large)?;
        let whole = len.checked_add(slack).ok_or(too_large)?;
        let access = view_access(self.mode) | large;
        let base = api::map_view_of_file(section, access, offset - slack as u64, whole);
        let base = base.map_err(|error| match error.0 {
            // The address space is smaller than that.
            win::ERROR_INVALID_PARAMETER => Failure { reason: Reason::TooLarge, ..error.into() },
            // Either the address space is full, or the system has no memory for private copies of the pages
            // or for the page tables.
            win::ERROR_NOT_ENOUGH_MEMORY if largest_free_range() < whole => {
                Failure { reason: Reason::TooLarge, ..error.into() }
            }
            _ => error.into(),
        })?;
        Ok(Mapping::new(base, slack, whole))
    }

    /// The handle of the section or of the file.
    pub(crate) fn as_handle(&self) -> BorrowedHandle<'_> {
        self.handle.as_handle()
    }
}

/// Checks, as far as that is possible in advance, whether a region can have large pages.
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

/// The failure for a missing privilege.
fn no_privilege() -> Failure {
    Failure { reason: Reason::NoPrivilege, ..LastError(win::ERROR_PRIVILEGE_NOT_HELD).into() }
}

/// Creates a section in large pages, which requires a privilege.
fn with_large_pages<T>(
    create: impl FnOnce() -> Result<T, LastError>,
) -> Result<Result<T, LastError>, Failure> {
    match privilege::held(Privilege::LockMemory)? {
        Held::Enabled => Ok(create()),
        Held::Disabled => privilege::with(Privilege::LockMemory, create),
        Held::Missing => Err(no_privilege()),
    }
}

/// The failure of a creation for which the name is taken.
fn exists(theirs: &Object) -> Failure {
    let failure = Failure::new(Reason::Exists);
    match theirs.len() {
        Ok(len) if len > 0 => failure.with_figure(len),
        _ => failure,
    }
}

/// The failure of a creation.
fn refused(error: LastError, name: Option<&ObjectName>) -> Failure {
    match (error.0, name) {
        // Either this process may not create the name, or the name is taken by an object that grants it no
        // access.
        (win::ERROR_ACCESS_DENIED, Some(name)) => match api::open_file_mapping(FILE_MAP_READ, name) {
            Ok(theirs) => exists(&Object::new(theirs, Mode::Read, None)),
            Err(LastError(win::ERROR_ACCESS_DENIED)) => Failure { reason: Reason::Exists, ..error.into() },
            Err(_) => error.into(),
        },
        (win::ERROR_INVALID_PARAMETER, _) => Failure { reason: Reason::TooLarge, ..error.into() },
        // An owner, a group or a label that this user may not assign.
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

/// Returns the length of the longest view that fits into the free address space of this process.
fn largest_free_range() -> usize {
    let granularity = usize::try_from(granularity()).unwrap_or(1 << 16);
    let (mut at, mut largest) = (0_usize, 0);
    // (The query fails behind the last address.)
    while let Ok(pages) = api::virtual_query(core::ptr::without_provenance(at)) {
        let Some(end) = at.checked_add(pages.RegionSize) else { break };
        if pages.State == MEM_FREE {
            let start = at.checked_next_multiple_of(granularity).unwrap_or(end);
            largest = largest.max(end.saturating_sub(start));
        }
        at = end;
    }
    largest
}

/// The allocation granularity, of which the offsets of views are multiples: 64 KiB on every version of
/// Windows so far.
pub(super) fn granularity() -> u64 {
    static GRANULARITY: OnceLock<u64> = OnceLock::new();
    *GRANULARITY.get_or_init(|| u64::from(api::get_system_info().dwAllocationGranularity))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_free_range_can_be_mapped() {
        let section = security::with_attributes(&security::Protection::default(), false, |attributes| {
            api::create_file_mapping(attributes, SEC_RESERVE, 1 << 45, None, None)
        });
        let largest = largest_free_range();
        assert!(largest > 1 << 24 && largest % 4096 == 0, "{largest:#x}");
        let Ok((section, _)) = section else {
            println!("this system creates no section of this size: not tested");
            return;
        };
        // (Half of it, because other threads map concurrently.)
        let view = api::map_view_of_file(section.as_handle(), FILE_MAP_READ, 0, largest / 2);
        match view {
            Ok(base) => drop(Mapping::new(base, 0, largest / 2)),
            Err(error) => println!("the system fails for another reason: {error:?}"),
        }
        let object = Object::new(section, Mode::Read, None);
        let failure = object.map(0, usize::MAX / 2).unwrap_err();
        assert_eq!(failure.reason, Reason::TooLarge, "{failure:?}");
    }
}
