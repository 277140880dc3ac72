//! Rights to shared memory objects, and their mappings.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::OnceLock;

use rustix::fs::{FileType, Stat, fstat};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags};

use super::name::ObjectName;
use super::security::{self, OWNER_ONLY};
use super::{exit, fault, forks, growth, named, pages};
use crate::sys::{
    Attempt, CreateParams, Failure, Mapping, Mode, NameTarget, Pages, RawSecurity, Reason, Space,
};

/// The right to a shared memory object, or to a file: a descriptor.
#[derive(Debug)]
pub(crate) struct Object {
    fd: OwnedFd,
    mode: Mode,
    held: Option<Held>,
    /// How many names led to it when it was opened by one.
    names: u64,
    nature: Nature,
}

/// What tells one object from all others that exist at the same time.
pub(crate) type ObjectId = (u64, u64);

pub(super) fn identity_of(stat: &Stat) -> ObjectId {
    #[allow(clippy::unnecessary_cast, clippy::cast_sign_loss, reason = "they have other types elsewhere")]
    (stat.st_dev as u64, stat.st_ino as u64)
}

/// What a name has led to.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) fd: OwnedFd,
    /// What is to be removed with its last holder, if the caller is a holder now.
    pub(super) held: Option<ObjectId>,
    pub(super) names: u64,
}

/// A name that goes with the last holder.
#[derive(Debug)]
struct Held {
    name: ObjectName,
    identity: ObjectId,
    /// The process that counts as the holder, by [`forks::fork_epoch`]: after a fork, the child's copy of this value is not another one.
    /// (Not by its id: in a pid namespace of its own, the child of process 1 is process 1, too.)
    process: u32,
    /// Whether it is released if the process exits before.
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

/// What it is like.
#[derive(Clone, Copy, Debug)]
struct Nature {
    /// How far it can grow: of a file, how far this process wants to follow it.
    capacity: Option<u64>,
    /// Whether that was learnt from other holders, so that it may be any number.
    learnt: bool,
    pages: Pages,
    is_file: bool,
}

impl Nature {
    fn created(capacity: Option<u64>, pages: Pages) -> Self {
        Nature { capacity, learnt: false, pages, is_file: false }
    }

    fn found(capacity: Option<u64>, pages: Pages) -> Self {
        Nature { learnt: true, ..Nature::created(capacity, pages) }
    }
}

impl Object {
    /// Makes a memory of zero bytes.
    pub(crate) fn create(
        name: Option<&ObjectName>,
        params: &CreateParams<'_>,
    ) -> Result<Attempt<Self>, Failure> {
        if params.capacity.is_some_and(|capacity| capacity > growth::MOST) {
            return Err(Failure::new(Reason::TooLarge));
        }
        let Some(name) = name else {
            let (fd, pages) = named::anonymous(params)?;
            let nature = Nature::created(params.capacity, pages);
            return Ok(Attempt::Done(Object { fd, mode: Mode::Write, held: None, names: 0, nature }));
        };
        let pages = if params.large_pages { pages::advised()? } else { Pages::Ordinary };
        Ok(match named::create(name, params)? {
            Attempt::Done((fd, identity)) => {
                let nature = Nature::created(params.capacity, pages);
                let held = Some(Held::new(fd.as_fd(), name, identity));
                Attempt::Done(Object { fd, mode: Mode::Write, held, names: 1, nature })
            }
            Attempt::Again => Attempt::Again,
        })
    }

    /// Opens what has this name, to read or also to write.
    pub(crate) fn open(name: &ObjectName, mode: Mode) -> Result<Attempt<Self>, Failure> {
        Ok(match named::open(name, mode.is_writable())? {
            Attempt::Done(Opened { fd, held, names }) => {
                let recorded = if held.is_some() { growth::recorded(fd.as_fd(), true) } else { None };
                let nature = Nature::found(recorded.map(|(capacity, _)| capacity), Pages::Ordinary);
                let held = held.map(|identity| Held::new(fd.as_fd(), name, identity));
                let object = Object { fd, mode, held, names, nature };
                object.keep_capacity()?;
                Attempt::Done(object)
            }
            Attempt::Again => Attempt::Again,
        })
    }

    /// The others may go, and what they know about the capacity with them. Holders that may only read are not believed.
    fn keep_capacity(&self) -> Result<(), Failure> {
        match self.nature.capacity {
            Some(capacity) if !self.nature.is_file && self.mode.is_writable() => {
                Ok(growth::record(self.fd.as_fd(), capacity)?)
            }
            _ => Ok(()),
        }
    }

    /// Takes a descriptor that came from elsewhere, if it is what it should be.
    pub(crate) fn from_owned(fd: OwnedFd, mode: Mode) -> Result<Self, Failure> {
        let (fd, writes, _) = checked(fd, mode)?;
        let (fd, name) = named::adopt(fd, mode.is_writable())?;
        let recorded = growth::recorded(fd.as_fd(), false);
        // What is taken to be read only is so from here on, wherever it is handed on to. (Another user's object without a name
        // cannot be opened anew; then the descriptor stays what it is.)
        let narrow = !mode.is_writable() && writes && name.is_none();
        let fd = if narrow { named::narrowed(&fd).unwrap_or(fd) } else { fd };
        let nature = Nature::found(recorded.map(|(capacity, _)| capacity), pages::of(fd.as_fd()));
        let held = name.as_ref().map(|(name, identity)| Held::new(fd.as_fd(), name, *identity));
        let object = Object { fd, mode, held, names: 0, nature };
        // (A descriptor that has come here may have its record already, and brings it along.)
        if !recorded.is_some_and(|(_, own)| own) {
            object.keep_capacity()?;
        }
        if object.len()? == 0 { Err(Failure::new(Reason::NotReady)) } else { Ok(object) }
    }

    /// Takes a file, which may be empty.
    pub(crate) fn from_file(
        file: std::fs::File,
        mode: Mode,
        capacity: Option<u64>,
        is_new: bool,
    ) -> Result<Self, Failure> {
        let (fd, writes, bits) = checked(file.into(), mode)?;
        // The umask says who else may open a file that is created; not that its creator may not.
        if is_new && bits & OWNER_ONLY != OWNER_ONLY {
            #[allow(clippy::useless_conversion, reason = "it has 16 bits elsewhere")]
            let bits = rustix::fs::RawMode::try_from(bits & 0o777 | OWNER_ONLY).unwrap_or(0o600);
            rustix::fs::fchmod(&fd, rustix::fs::Mode::from_raw_mode(bits))?;
        }
        // As for all that is taken to be read only.
        let fd = if !mode.is_writable() && writes { named::narrowed(&fd).unwrap_or(fd) } else { fd };
        let nature = Nature { capacity, learnt: false, pages: Pages::Ordinary, is_file: true };
        Ok(Object { fd, mode, held: None, names: 0, nature })
    }

    /// Its length in bytes, now: on Unix a peer can change it.
    pub(crate) fn len(&self) -> Result<u64, Failure> {
        Ok(growth::len(self.fd.as_fd())?)
    }

    /// How many names led to it when it was opened by one.
    pub(crate) fn names(&self) -> u64 {
        self.names
    }

    /// Whether what it says about its owner identifies a user.
    pub(crate) fn is_owner_certain(&self) -> bool {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        return fstat(&self.fd).is_ok_and(|stat| named::is_owner_certain(&self.fd, stat.st_uid));
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        return true;
    }

    /// What identifies it, where processes can be asked whether they hold it.
    pub(crate) fn identity(&self) -> Option<ObjectId> {
        if cfg!(target_os = "linux") { fstat(&self.fd).ok().as_ref().map(identity_of) } else { None }
    }

    /// Where a name leads, compared with this object.
    pub(crate) fn leads_here(&self, name: &ObjectName) -> NameTarget {
        named::leads_to(name, self.fd.as_fd())
    }

    /// How far it can grow, if it can.
    pub(crate) fn capacity(&self) -> Option<u64> {
        self.nature.capacity
    }

    /// Whether that is what other processes say, and so perhaps more than can be mapped.
    pub(crate) fn is_capacity_from_peers(&self) -> bool {
        self.nature.learnt
    }

    /// Lets it grow so far, if nobody has said otherwise; says how far it can.
    pub(crate) fn reserve(&mut self, capacity: u64) -> Result<u64, Failure> {
        if self.nature.capacity.is_none() {
            if capacity > growth::MOST {
                return Err(Failure::new(Reason::TooLarge));
            }
            (self.nature.capacity, self.nature.learnt) = (Some(capacity), false);
            self.keep_capacity()?;
        }
        Ok(self.nature.capacity.unwrap_or(0))
    }

    /// What is left where it is, if there is a limit.
    pub(crate) fn space(&self) -> Option<Space> {
        let system = rustix::fs::fstatvfs(&self.fd).ok().filter(|system| system.f_blocks > 0)?;
        let bytes = |blocks: u64| blocks.saturating_mul(system.f_frsize);
        let place = match (&self.held, self.nature.is_file) {
            (Some(_), _) => "/dev/shm",
            (None, true) => "the disk",
            (None, false) => "the file system",
        };
        let is_mount = self.held.is_some();
        let (left, limit) = (bytes(system.f_bavail), bytes(system.f_blocks));
        Some(Space { place, is_mount, left, limit, problem: None })
    }

    /// Whether views may reach further than the object does now.
    #[allow(clippy::unused_self, reason = "on Windows it depends")]
    pub(crate) fn follows(&self) -> bool {
        true
    }

    /// Makes it at least `len` bytes long.
    pub(crate) fn grow(&self, len: u64) -> Result<(), Failure> {
        growth::grow(self.fd.as_fd(), len)
    }

    /// What its pages are.
    pub(crate) fn pages(&self) -> Pages {
        self.nature.pages
    }

    /// Wants large pages in what is mapped from now on.
    pub(crate) fn advise_large_pages(&mut self) -> Result<(), Failure> {
        if self.nature.pages == Pages::Ordinary {
            self.nature.pages = pages::advised()?;
        }
        Ok(())
    }

    /// Writes all that has changed to the disk: the file's length and the like, too.
    pub(crate) fn sync_all(&self) -> Result<(), Failure> {
        #[cfg(target_vendor = "apple")]
        return Ok(rustix::fs::fcntl_fullfsync(&self.fd)?);
        #[cfg(not(target_vendor = "apple"))]
        return Ok(rustix::fs::fsync(&self.fd)?);
    }

    /// What it says about who may open it.
    pub(crate) fn raw_security(&self) -> Result<RawSecurity, Failure> {
        security::of(&self.fd)
    }

    /// The same memory, with the right to read only.
    pub(crate) fn narrow(&self) -> Result<Self, Failure> {
        let name = self.held.as_ref().map(|held| &held.name);
        let fd = if self.nature.is_file {
            named::narrowed(&self.fd).ok_or(Failure::new(Reason::Unsupported))?
        } else {
            named::reopen_read_only(self.fd.as_fd(), name)?
        };
        let held = self.held.as_ref().map(|held| Held::new(fd.as_fd(), &held.name, held.identity));
        let object = Object { fd, mode: Mode::Read, held, names: self.names, nature: self.nature };
        object.keep_capacity()?;
        Ok(object)
    }

    /// Maps `len` bytes from `offset` on. The caller has checked that they are inside what it has, or can grow to.
    pub(crate) fn map(&self, offset: u64, len: usize) -> Result<Mapping, Failure> {
        let copying = fault::prepare()?;
        // Memory in huge pages is mapped in whole ones.
        let page = self.page_size();
        let slack = usize::try_from(offset % page as u64).unwrap_or(0);
        let whole = len.checked_add(slack).ok_or(Failure::new(Reason::TooLarge))?;
        let whole = if let Pages::Large(_) = self.nature.pages {
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
        // SAFETY: a null hint lets the kernel choose the place, so nothing that is mapped already is touched.
        let base = unsafe { rustix::mm::mmap(ptr::null_mut(), whole, protection, flags, &self.fd, offset) };
        let base = base.map_err(|errno| match errno {
            // What may be locked in RAM is used up, and all that is mapped is to be locked.
            Errno::AGAIN => Failure { reason: Reason::Limit, ..errno.into() },
            _ => errno.into(),
        })?;
        let base = NonNull::new(base.cast::<u8>()).ok_or(Failure::new(Reason::Other))?;
        let mapping = Mapping::new(base, slack, whole).with_copying(copying);
        if let Pages::Advised(_) = self.nature.pages {
            mapping.advise_large_pages();
        }
        Ok(mapping)
    }

    /// Another descriptor with the same rights; of a named object, another holder.
    pub(crate) fn to_owned_fd(&self) -> Result<OwnedFd, Failure> {
        match &self.held {
            Some(_) => {
                let fd = named::reopen(self.fd.as_fd(), self.mode.is_writable())?;
                if let (Some(capacity), true) = (self.nature.capacity, self.mode.is_writable()) {
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

    /// The name that it is held by, if it has one.
    #[cfg_attr(not(any(target_os = "linux", target_os = "android")), allow(dead_code))]
    pub(super) fn name(&self) -> Option<&ObjectName> {
        self.held.as_ref().map(|held| &held.name)
    }

    /// What it is mapped in multiples of.
    #[cfg_attr(not(any(target_os = "linux", target_os = "android")), allow(dead_code))]
    pub(super) fn page_size(&self) -> usize {
        match self.nature.pages {
            Pages::Large(size) => usize::try_from(size).unwrap_or(page_size()),
            _ => page_size(),
        }
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        let Some(held) = &self.held else { return };
        if held.process == forks::fork_epoch() {
            // First: from now on the descriptor may be closed.
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
    /// Drops a forked child's copy of what its parent holds.
    #[cfg_attr(not(any(target_os = "linux", target_os = "android")), allow(unused_variables))]
    fn leave(fd: &mut OwnedFd, held: &Held) {
        // Its lock is that of the parent and of all other children, so nothing can be found out by it; but
        // if they are all gone, there is no lock any more once this copy is closed.
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Ok(apart) = named::reopen_uncounted(fd.as_fd(), false) {
            drop(std::mem::replace(fd, apart));
            named::release_unlocked(fd.as_fd(), &held.name, held.identity);
        }
    }
}

/// Whether a named memory could have large pages.
pub(crate) fn check_large_pages(_grows: bool) -> Result<(), Failure> {
    pages::advised().map(drop)
}

/// A descriptor that came from elsewhere, whether it can write, and the mode of what it refers to: refused if that is no file,
/// or the descriptor has not the rights.
fn checked(fd: OwnedFd, mode: Mode) -> Result<(OwnedFd, bool, u32), Failure> {
    let bits = fstat(&fd)?.st_mode;
    let kind = FileType::from_raw_mode(bits);
    // (Where shared memory objects are no files, they have no type.)
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

/// The size of a page in bytes.
pub(super) fn page_size() -> usize {
    static SIZE: OnceLock<usize> = OnceLock::new();
    *SIZE.get_or_init(rustix::param::page_size)
}
