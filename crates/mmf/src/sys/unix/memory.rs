//! Descriptors of shared memory objects.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::OnceLock;

use rustix::fs::{FileType, fstat};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags};

use super::name::ObjectName;
pub(crate) use super::object_id::ObjectId;
use super::object_id::{Opened, identity_of};
use super::security::{self, OWNER_ONLY};
use super::{exit, fault, forks, growth, named, pages};
use crate::sys::{
    Attempt, CreateParams, Failure, Mapping, Mode, NameTarget, Pages, RawSecurity, Reason, Space,
};

/// A shared memory object or a file, as a descriptor.
#[derive(Debug)]
pub(crate) struct Object {
    fd: OwnedFd,
    mode: Mode,
    held: Option<Held>,
    /// The number of names that the object had when it was opened by one.
    names: u64,
    properties: Properties,
}

/// A name that the last holder removes.
#[derive(Debug)]
struct Held {
    name: ObjectName,
    identity: ObjectId,
    /// The process that counts as the holder, by [`forks::fork_epoch`]: after a fork, the child's copy of
    /// this value is no holder of its own. The process id would not suffice: in a pid namespace of its own,
    /// the child of process 1 is process 1, too.
    process: u32,
    /// Whether an exit handler releases the name if the process exits first.
    at_exit: bool,
}

impl Held {
    fn new(fd: BorrowedFd<'_>, name: &ObjectName, identity: ObjectId) -> Self {
        forks::track_forks();
        let process = forks::fork_epoch();
        let at_exit = exit::remember(fd, name, identity, process);
        Held { name: name.clone(), identity, process, at_exit }
    }
}

/// The properties of an object.
#[derive(Clone, Copy, Debug)]
struct Properties {
    /// The length that it can grow to. For a file: the length up to which this process follows it.
    capacity: Option<u64>,
    /// Whether other holders reported the capacity, so that it may be any number.
    from_peers: bool,
    pages: Pages,
    is_file: bool,
}

impl Properties {
    fn created(capacity: Option<u64>, pages: Pages) -> Self {
        Properties { capacity, from_peers: false, pages, is_file: false }
    }

    fn found(capacity: Option<u64>, pages: Pages) -> Self {
        Properties { from_peers: true, ..Properties::created(capacity, pages) }
    }
}

impl Object {
    /// Creates an object of zero bytes.
    pub(crate) fn create(
        name: Option<&ObjectName>,
        params: &CreateParams<'_>,
    ) -> Result<Attempt<Self>, Failure> {
        if params.capacity.is_some_and(|capacity| capacity > growth::MOST) {
            return Err(Failure::new(Reason::TooLarge));
        }
        let Some(name) = name else {
            let (fd, pages) = named::anonymous(params)?;
            let properties = Properties::created(params.capacity, pages);
            return Ok(Attempt::Done(Object { fd, mode: Mode::Write, held: None, names: 0, properties }));
        };
        let pages = if params.large_pages { pages::advised()? } else { Pages::Ordinary };
        Ok(match named::create(name, params)? {
            Attempt::Done((fd, identity)) => {
                let properties = Properties::created(params.capacity, pages);
                let held = Some(Held::new(fd.as_fd(), name, identity));
                Attempt::Done(Object { fd, mode: Mode::Write, held, names: 1, properties })
            }
            Attempt::Again => Attempt::Again,
        })
    }

    /// Opens the object of this name.
    pub(crate) fn open(name: &ObjectName, mode: Mode) -> Result<Attempt<Self>, Failure> {
        Ok(match named::open(name, mode.is_writable())? {
            Attempt::Done(Opened { fd, held, names }) => {
                let recorded = if held.is_some() { growth::recorded(fd.as_fd(), true) } else { None };
                let properties = Properties::found(recorded.map(|(capacity, _)| capacity), Pages::Ordinary);
                let held = held.map(|identity| Held::new(fd.as_fd(), name, identity));
                let object = Object { fd, mode, held, names, properties };
                object.keep_capacity()?;
                Attempt::Done(object)
            }
            Attempt::Again => Attempt::Again,
        })
    }

    /// Records the capacity in a lock of this process too, since the locks of other holders end with them. A
    /// holder with read access only is not trusted to record it.
    fn keep_capacity(&self) -> Result<(), Failure> {
        match self.properties.capacity {
            Some(capacity) if !self.properties.is_file && self.mode.is_writable() => {
                Ok(growth::record(self.fd.as_fd(), capacity)?)
            }
            _ => Ok(()),
        }
    }

    /// Takes over a descriptor from outside if it refers to a shared memory object and has the rights.
    pub(crate) fn from_owned(fd: OwnedFd, mode: Mode) -> Result<Self, Failure> {
        let (fd, writes, _) = checked(fd, mode)?;
        let (fd, name) = named::adopt(fd, mode.is_writable())?;
        let recorded = growth::recorded(fd.as_fd(), false);
        // A descriptor that is taken over as read-only stays read-only for every process that receives it. An
        // unnamed object of another user cannot be reopened, so its descriptor is kept as it is.
        let narrow = !mode.is_writable() && writes && name.is_none();
        let fd = if narrow { named::narrowed(&fd).unwrap_or(fd) } else { fd };
        let properties = Properties::found(recorded.map(|(capacity, _)| capacity), pages::of(fd.as_fd()));
        let held = name.as_ref().map(|(name, identity)| Held::new(fd.as_fd(), name, *identity));
        let object = Object { fd, mode, held, names: 0, properties };
        // A lock of the descriptor itself may already record the capacity.
        if !recorded.is_some_and(|(_, own)| own) {
            object.keep_capacity()?;
        }
        if object.len()? == 0 { Err(Failure::new(Reason::NotReady)) } else { Ok(object) }
    }

    /// Takes over a file, which may be empty.
    pub(crate) fn from_file(
        file: std::fs::File,
        mode: Mode,
        capacity: Option<u64>,
        is_new: bool,
    ) -> Result<Self, Failure> {
        let (fd, writes, bits) = checked(file.into(), mode)?;
        // The umask restricts other users of a new file, not its creator.
        if is_new && bits & OWNER_ONLY != OWNER_ONLY {
            #[allow(clippy::useless_conversion, reason = "it has 16 bits elsewhere")]
            let bits = rustix::fs::RawMode::try_from(bits & 0o777 | OWNER_ONLY).unwrap_or(0o600);
            rustix::fs::fchmod(&fd, rustix::fs::Mode::from_raw_mode(bits))?;
        }
        // As in `from_owned`.
        let fd = if !mode.is_writable() && writes { named::narrowed(&fd).unwrap_or(fd) } else { fd };
        let properties = Properties { capacity, from_peers: false, pages: Pages::Ordinary, is_file: true };
        Ok(Object { fd, mode, held: None, names: 0, properties })
    }

    /// Returns the length in bytes, which a peer can change at any time.
    pub(crate) fn len(&self) -> Result<u64, Failure> {
        Ok(growth::len(self.fd.as_fd())?)
    }

    /// Returns the number of names that the object had when it was opened by one.
    pub(crate) fn names(&self) -> u64 {
        self.names
    }

    /// Whether the reported owner identifies a user.
    pub(crate) fn is_owner_certain(&self) -> bool {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        return fstat(&self.fd).is_ok_and(|stat| named::is_owner_certain(&self.fd, stat.st_uid));
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        return true;
    }

    /// Returns the identity of the object on systems that report which processes hold it.
    pub(crate) fn identity(&self) -> Option<ObjectId> {
        if cfg!(target_os = "linux") { fstat(&self.fd).ok().as_ref().map(identity_of) } else { None }
    }

    /// Compares the target of a name with this object.
    pub(crate) fn leads_here(&self, name: &ObjectName) -> NameTarget {
        named::leads_to(name, self.fd.as_fd())
    }

    /// Returns the length that it can grow to, or `None` if it cannot grow.
    pub(crate) fn capacity(&self) -> Option<u64> {
        self.properties.capacity
    }

    /// Whether other processes reported the capacity, so that it may exceed what can be mapped.
    pub(crate) fn is_capacity_from_peers(&self) -> bool {
        self.properties.from_peers
    }

    /// Sets the capacity if the object has none, and returns the one that applies.
    pub(crate) fn reserve(&mut self, capacity: u64) -> Result<u64, Failure> {
        if self.properties.capacity.is_none() {
            if capacity > growth::MOST {
                return Err(Failure::new(Reason::TooLarge));
            }
            (self.properties.capacity, self.properties.from_peers) = (Some(capacity), false);
            self.keep_capacity()?;
        }
        Ok(self.properties.capacity.unwrap_or(0))
    }

    /// Returns the free storage where the object is, if it is limited.
    pub(crate) fn space(&self) -> Option<Space> {
        let system = rustix::fs::fstatvfs(&self.fd).ok().filter(|system| system.f_blocks > 0)?;
        let bytes = |blocks: u64| blocks.saturating_mul(system.f_frsize);
        let place = match (&self.held, self.properties.is_file) {
            (Some(_), _) => "/dev/shm",
            (None, true) => "the disk",
            (None, false) => "the file system",
        };
        let is_mount = self.held.is_some();
        let (left, limit) = (bytes(system.f_bavail), bytes(system.f_blocks));
        Some(Space { place, is_mount, left, limit, problem: None })
    }

    /// Whether views can reach beyond the present end of the object.
    #[allow(clippy::unused_self, reason = "on Windows it depends")]
    pub(crate) fn follows(&self) -> bool {
        true
    }

    /// Extends the object to at least `len` bytes.
    pub(crate) fn grow(&self, len: u64) -> Result<(), Failure> {
        growth::grow(self.fd.as_fd(), len)
    }

    /// Returns the page size of the object.
    pub(crate) fn pages(&self) -> Pages {
        self.properties.pages
    }

    /// Requests large pages for mappings from here on.
    pub(crate) fn advise_large_pages(&mut self) -> Result<(), Failure> {
        if self.properties.pages == Pages::Ordinary {
            self.properties.pages = pages::advised()?;
        }
        Ok(())
    }

    /// Writes all changes to the disk, including metadata such as the length.
    pub(crate) fn sync_all(&self) -> Result<(), Failure> {
        #[cfg(target_vendor = "apple")]
        return Ok(rustix::fs::fcntl_fullfsync(&self.fd)?);
        #[cfg(not(target_vendor = "apple"))]
        return Ok(rustix::fs::fsync(&self.fd)?);
    }

    /// Returns owner, mode and access list.
    pub(crate) fn raw_security(&self) -> Result<RawSecurity, Failure> {
        security::of(&self.fd)
    }

    /// Returns the same object with read access only.
    pub(crate) fn narrow(&self) -> Result<Self, Failure> {
        let name = self.held.as_ref().map(|held| &held.name);
        let fd = if self.properties.is_file {
            named::narrowed(&self.fd).ok_or(Failure::new(Reason::Unsupported))?
        } else {
            named::reopen_read_only(self.fd.as_fd(), name)?
        };
        let held = self.held.as_ref().map(|held| Held::new(fd.as_fd(), &held.name, held.identity));
        let object = Object { fd, mode: Mode::Read, held, names: self.names, properties: self.properties };
        object.keep_capacity()?;
        Ok(object)
    }

    /// Maps `len` bytes from `offset` on. The caller has checked that they are inside the length or the
    /// capacity.
    pub(crate) fn map(&self, offset: u64, len: usize) -> Result<Mapping, Failure> {
        let copying = fault::prepare()?;
        // Objects in huge pages are mapped in multiples of their page size.
        let page = self.page_size();
        let slack = usize::try_from(offset % page as u64).unwrap_or(0);
        let whole = len.checked_add(slack).ok_or(Failure::new(Reason::TooLarge))?;
        let whole = if let Pages::Large(_) = self.properties.pages {
            whole.checked_next_multiple_of(page).ok_or(Failure::new(Reason::TooLarge))?
        } else {
            whole
        };
        let protection = match self.mode {
            Mode::Read => ProtFlags::READ,
            Mode::Write | Mode::Copy => ProtFlags::READ | ProtFlags::WRITE,
        };
        let flags = if self.mode == Mode::Copy { MapFlags::PRIVATE } else { MapFlags::SHARED };
        let offset = offset - slack as u64;
        // SAFETY: `mmap` has no memory requirements without `MAP_FIXED`: with a null hint the kernel chooses
        // a range that is free, so no existing mapping changes.
        let base = unsafe { rustix::mm::mmap(ptr::null_mut(), whole, protection, flags, &self.fd, offset) };
        let base = base.map_err(|errno| match errno {
            // The process locks everything that it maps (`mlockall`), and `RLIMIT_MEMLOCK` is used up.
            Errno::AGAIN => Failure { reason: Reason::Limit, ..errno.into() },
            _ => errno.into(),
        })?;
        let base = NonNull::new(base.cast::<u8>()).ok_or(Failure::new(Reason::Other))?;
        let mapping = Mapping::new(base, slack, whole).with_copying(copying);
        if let Pages::Advised(_) = self.properties.pages {
            mapping.advise_large_pages();
        }
        Ok(mapping)
    }

    /// Returns another descriptor with the same rights. For a named object it is another holder.
    pub(crate) fn to_owned_fd(&self) -> Result<OwnedFd, Failure> {
        match &self.held {
            Some(_) => {
                let fd = named::reopen(self.fd.as_fd(), self.mode.is_writable())?;
                if let (Some(capacity), true) = (self.properties.capacity, self.mode.is_writable()) {
                    growth::record(fd.as_fd(), capacity)?;
                }
                Ok(fd)
            }
            None => Ok(rustix::io::fcntl_dupfd_cloexec(&self.fd, 3)?),
        }
    }

    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Returns the name by which it is held, if there is one.
    #[cfg_attr(not(any(target_os = "linux", target_os = "android")), allow(dead_code))]
    pub(super) fn name(&self) -> Option<&ObjectName> {
        self.held.as_ref().map(|held| &held.name)
    }

    /// Returns the unit of offsets and lengths of mappings.
    #[cfg_attr(not(any(target_os = "linux", target_os = "android")), allow(dead_code))]
    pub(super) fn page_size(&self) -> usize {
        match self.properties.pages {
            Pages::Large(size) => usize::try_from(size).unwrap_or(page_size()),
            _ => page_size(),
        }
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        let Some(held) = &self.held else { return };
        if held.process == forks::fork_epoch() {
            // Before the name is released: from here on the descriptor may be closed.
            if held.at_exit {
                exit::forget(self.fd.as_fd());
            }
            named::release(self.fd.as_fd(), &held.name, held.identity);
        } else {
            Self::leave(&mut self.fd, held);
        }
    }
}

impl Object {
    /// Drops a forked child's copy of an object that its parent holds.
    #[cfg_attr(not(any(target_os = "linux", target_os = "android")), allow(unused_variables))]
    fn leave(fd: &mut OwnedFd, held: &Held) {
        // The child shares its lock with the parent and all other children, so trying to convert it shows
        // nothing. But if they have all ended, closing this copy drops the lock.
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Ok(apart) = named::reopen_uncounted(fd.as_fd(), false) {
            drop(std::mem::replace(fd, apart));
            named::release_unlocked(fd.as_fd(), &held.name, held.identity);
        }
    }
}

/// Checks whether a named object can have large pages.
pub(crate) fn check_large_pages(_grows: bool) -> Result<(), Failure> {
    pages::advised().map(drop)
}

/// Checks that a descriptor from outside refers to a file and has the rights. Returns it, whether it can
/// write, and the mode of the file.
fn checked(fd: OwnedFd, mode: Mode) -> Result<(OwnedFd, bool, u32), Failure> {
    let bits = fstat(&fd)?.st_mode;
    let kind = FileType::from_raw_mode(bits);
    // Shared memory objects that are not files have no type.
    if !matches!(kind, FileType::RegularFile | FileType::Unknown) {
        return Err(Failure::new(Reason::WrongKind));
    }
    let flags = rustix::fs::fcntl_getfl(&fd)? & rustix::fs::OFlags::RWMODE;
    let (reads, writes) = (flags != rustix::fs::OFlags::WRONLY, flags != rustix::fs::OFlags::RDONLY);
    if !reads {
        return Err(Failure::new(Reason::Denied));
    }
    if mode.is_writable() && !writes {
        return Err(Failure::new(Reason::ReadOnly));
    }
    #[allow(clippy::useless_conversion, reason = "it has 16 bits elsewhere")]
    Ok((fd, writes, u32::from(bits)))
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Errno::from_io_error(&error).map_or(Failure::new(Reason::Other), Failure::from)
    }
}

/// Returns the page size in bytes.
pub(super) fn page_size() -> usize {
    static SIZE: OnceLock<usize> = OnceLock::new();
    *SIZE.get_or_init(rustix::param::page_size)
}
