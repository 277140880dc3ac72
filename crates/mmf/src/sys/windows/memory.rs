//! Handles of sections and files, and the views of them.

use std::os::windows::io::{AsHandle, BorrowedHandle, OwnedHandle};
use std::sync::{Arc, OnceLock};

use windows_sys::Win32::Foundation as win;
use windows_sys::Win32::Storage::FileSystem::{
    FILE_READ_ATTRIBUTES, FILE_READ_DATA, FILE_READ_EA, FILE_TYPE_DISK, FILE_WRITE_DATA, SYNCHRONIZE,
};
use windows_sys::Win32::System::Memory::{
    FILE_MAP_COPY, FILE_MAP_LARGE_PAGES, FILE_MAP_READ, FILE_MAP_WRITE, MEM_IMAGE, MEM_RESERVE,
    PAGE_READONLY, PAGE_READWRITE, SEC_COMMIT, SEC_IMAGE, SEC_LARGE_PAGES, SEC_RESERVE, SECTION_QUERY,
};

use super::api::READ_CONTROL;
use super::growth::Extent;
use super::name::{ObjectName, Space};
use super::namespace::PrivateNamespace;
use super::privilege::{self, Privilege, State};
use super::{LastError, api, descriptor, limits, mapping, security};
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
    /// A section. Its properties never change and are cached, because a query costs a system call.
    Section { properties: OnceLock<Properties>, extent: Extent },
    /// A file. Each view gets a new section, because a section never becomes longer than the file was at its
    /// creation.
    File,
}

/// The immutable properties of a section.
#[derive(Clone, Copy, Debug)]
struct Properties {
    /// The size that it was created with. For a reserved section this is the capacity.
    size: u64,
    reserved: bool,
    large: bool,
}

/// Returns the rights that a handle of a section needs.
fn rights(mode: Mode) -> u32 {
    match mode {
        // Not FILE_MAP_ALL_ACCESS, which also requests the rights to delete, to change the owner, and to
        // execute.
        Mode::Write => FILE_MAP_READ | FILE_MAP_WRITE,
        Mode::Read | Mode::Copy => FILE_MAP_READ,
    }
}

/// Returns the access of a view.
fn view_access(mode: Mode) -> u32 {
    match mode {
        Mode::Copy => FILE_MAP_COPY,
        mode => rights(mode),
    }
}

impl Object {
    fn new(handle: OwnedHandle, mode: Mode, name: Option<&ObjectName>) -> Self {
        let space = name.and_then(ObjectName::private_namespace);
        let kind = Kind::Section { properties: OnceLock::new(), extent: Extent::default() };
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
                api::create_file_mapping(attributes, kind, size, params.node, name.map(ObjectName::as_wide))
            })
        };
        let created = match if params.large_pages { with_large_pages(create)? } else { create() } {
            // A global name requires a privilege, which can be present but disabled. It is queried only after
            // a refusal.
            Err(LastError(win::ERROR_ACCESS_DENIED))
                if name.is_some_and(|name| matches!(name.space(), Space::Global))
                    && privilege::state(Privilege::CreateGlobal) == Ok(State::Disabled) =>
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
        let denied = match api::open_file_mapping(wanted | SECTION_QUERY, name.as_wide()) {
            Ok(handle) => return Object::new(handle, mode, Some(name)).when_ready(),
            Err(error) if error.0 == win::ERROR_ACCESS_DENIED => error,
            Err(error) => return Err(error.into()),
        };
        // The creator may not have granted SECTION_QUERY. Then `properties` determines the size by mapping.
        match api::open_file_mapping(wanted, name.as_wide()) {
            Ok(handle) => Object::new(handle, mode, Some(name)).when_ready(),
            Err(_)
                if mode.is_writable()
                    && api::open_file_mapping(rights(Mode::Read), name.as_wide()).is_ok() =>
            {
                Err(Failure { reason: Reason::ReadOnly, ..denied.into() })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Returns [`Attempt::Again`] while the region has no length: one that can grow has a name before it has
    /// a length.
    fn when_ready(self) -> Result<Attempt<Self>, Failure> {
        let unfinished = self.properties()?.reserved && self.len()? == 0;
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
        // A region that is opened read-only stays read-only for every process that receives the handle.
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
    fn properties(&self) -> Result<Properties, Failure> {
        let Kind::Section { properties, .. } = &self.kind else {
            let size = api::get_file_size(self.handle.as_handle())?;
            return Ok(Properties { size, reserved: false, large: false });
        };
        if let Some(properties) = properties.get() {
            return Ok(*properties);
        }
        let found = match api::nt_query_section(self.handle.as_handle()) {
            Ok(information) => Properties {
                size: u64::try_from(information.len).unwrap_or(0),
                reserved: information.attributes & SEC_RESERVE != 0,
                large: information.attributes & SEC_LARGE_PAGES != 0,
            },
            Err(error) if error.0 == win::ERROR_ACCESS_DENIED => self.properties_by_mapping()?,
            Err(error) => return Err(error.into()),
        };
        Ok(*properties.get_or_init(|| found))
    }

    /// Determines the properties without `SECTION_QUERY`, by mapping the whole section.
    fn properties_by_mapping(&self) -> Result<Properties, Failure> {
        let base = api::map_view_of_file(self.handle.as_handle(), FILE_MAP_READ, 0, 0)?;
        let mapping = Mapping::new(base, 0, 1);
        let mut properties = Properties { size: 0, reserved: false, large: false };
        let mut len = 0;
        loop {
            // A reply ends where the state of the pages changes. The view extends as far as the pages have
            // its base.
            let pages = api::virtual_query(mapping.address().wrapping_add(len))?;
            if pages.AllocationBase.cast() != base.as_ptr() {
                return Ok(Properties { size: len as u64, ..properties });
            }
            // (A reserved section that is committed completely cannot be recognised as such, and need not
            // be.)
            properties.reserved |= pages.State == MEM_RESERVE;
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
        let properties = self.properties()?;
        match &self.kind {
            Kind::Section { extent, .. } if properties.reserved => {
                extent.committed(self.handle.as_handle(), properties.size)
            }
            _ => Ok(properties.size),
        }
    }

    /// Returns the maximum number of names of an object, which is one.
    #[allow(clippy::unused_self, reason = "as on Unix")]
    pub(crate) fn names(&self) -> u64 {
        1
    }

    /// Whether the owner of the object is certain: a SID always identifies one account.
    #[allow(clippy::unused_self, reason = "as on Linux")]
    pub(crate) fn is_owner_certain(&self) -> bool {
        true
    }

    /// Returns `None`: objects have an identity only on systems that can list their holders.
    #[allow(clippy::unused_self, reason = "as on Linux")]
    pub(crate) fn identity(&self) -> Option<(u64, u64)> {
        None
    }

    /// Returns the target of a name, which is this object: a name lives as long as the last handle of its
    /// object.
    #[allow(clippy::unused_self, reason = "as on Unix")]
    pub(crate) fn leads_here(&self, _: &ObjectName) -> NameTarget {
        NameTarget::This
    }

    /// Whether other processes reported the capacity. On Windows it is a property of the section.
    #[allow(clippy::unused_self, reason = "as on Linux")]
    pub(crate) fn is_capacity_from_peers(&self) -> bool {
        false
    }

    /// Returns the length up to which the region can grow, if it can. (A file can grow as long as the disk
    /// has space.)
    pub(crate) fn capacity(&self) -> Option<u64> {
        self.properties().ok().filter(|properties| properties.reserved).map(|properties| properties.size)
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
        let size = self.properties()?.size;
        extent.commit(self.handle.as_handle(), size, len)
    }

    /// Returns the kind of the pages.
    pub(crate) fn pages(&self) -> Pages {
        match (self.properties(), limits::large_page_minimum()) {
            (Ok(Properties { large: true, .. }), Some(size)) => Pages::Large(size),
            _ => Pages::Ordinary,
        }
    }

    /// Does nothing: on Windows large pages are chosen at creation.
    #[allow(clippy::unused_self, reason = "as on Unix")]
    pub(crate) fn advise_large_pages(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    /// Writes the file system's data of the file to the disk. Views have to be flushed before.
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
            Kind::Section { properties, extent } => (
                FILE_MAP_READ | (granted & SECTION_QUERY),
                Kind::Section { properties: properties.clone(), extent: extent.clone() },
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
        let (start, slack, whole) = mapping::aligned(offset, len).ok_or(Failure::new(Reason::TooLarge))?;
        let base = api::map_view_of_file(section, view_access(self.mode) | large, start, whole);
        let base = base.map_err(|error| match error.0 {
            // The view is longer than the address space.
            win::ERROR_INVALID_PARAMETER => Failure { reason: Reason::TooLarge, ..error.into() },
            // Either the address space is full, or the system has no memory for private copies of the pages
            // or for the page tables.
            win::ERROR_NOT_ENOUGH_MEMORY if mapping::largest_free_range() < whole => {
                Failure { reason: Reason::TooLarge, ..error.into() }
            }
            _ => error.into(),
        })?;
        Ok(Mapping::new(base, slack, whole))
    }

    /// Returns the handle of the section or of the file.
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
    match privilege::state(Privilege::LockMemory)? {
        State::Missing => Err(no_privilege()),
        State::Enabled | State::Disabled => Ok(()),
    }
}

/// Returns the failure for a missing privilege.
fn no_privilege() -> Failure {
    Failure { reason: Reason::NoPrivilege, ..LastError(win::ERROR_PRIVILEGE_NOT_HELD).into() }
}

/// Creates a section in large pages, which requires a privilege.
fn with_large_pages<T>(
    create: impl FnOnce() -> Result<T, LastError>,
) -> Result<Result<T, LastError>, Failure> {
    match privilege::state(Privilege::LockMemory)? {
        State::Enabled => Ok(create()),
        State::Disabled => privilege::with(Privilege::LockMemory, create),
        State::Missing => Err(no_privilege()),
    }
}

/// Returns the failure of a creation whose name is taken.
fn exists(theirs: &Object) -> Failure {
    let failure = Failure::new(Reason::Exists);
    match theirs.len() {
        Ok(len) if len > 0 => failure.with_figure(len),
        _ => failure,
    }
}

/// Translates the error of a creation.
fn refused(error: LastError, name: Option<&ObjectName>) -> Failure {
    match (error.0, name) {
        // Either this process may not create the name, or the name is taken by an object that grants it no
        // access.
        (win::ERROR_ACCESS_DENIED, Some(name)) => match api::open_file_mapping(FILE_MAP_READ, name.as_wide())
        {
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
