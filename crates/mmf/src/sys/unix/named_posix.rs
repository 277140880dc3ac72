//! Named objects on other Unix systems, where they are not files: they cannot be listed or locked, and their
//! holders are not counted.
//!
//! The creator removes the name when it releases the object. If the creator is killed, the name stays, and
//! `create` reports that it exists, see `docs/platforms.md`.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, fstat, ftruncate};
use rustix::io::Errno;
use rustix::shm::{OFlags, open as open_object, unlink};

use super::limits::check_file_size;
use super::name::ObjectName;
use super::object_id::{ObjectId, Opened};
use super::security::{self, Protection};
use crate::sys::{Attempt, CreateParams, Failure, NameTarget, Pages, Reason};

pub(super) fn create(
    name: &ObjectName,
    params: &CreateParams<'_>,
) -> Result<Attempt<(OwnedFd, ObjectId)>, Failure> {
    check(params)?;
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR;
    let fd = match open_object(name.path(), flags, mode_of(params.protection)) {
        Ok(fd) => fd,
        Err(Errno::EXIST) => {
            let size = open_object(name.path(), OFlags::RDONLY, Mode::empty())
                .and_then(fstat)
                .map(|stat| stat.st_size);
            let failure = Failure::new(Reason::Exists);
            return Err(size.map_or(failure, |size| failure.with_figure(u64::try_from(size).unwrap_or(0))));
        }
        Err(errno) => return Err(errno.into()),
    };
    let made =
        security::protect(fd.as_fd(), params.protection, 0).and_then(|()| resize(fd.as_fd(), params.len));
    if let Err(failure) = made {
        let _ = unlink(name.path());
        return Err(failure);
    }
    // Objects have no identity here.
    Ok(Attempt::Done((fd, (0, 0))))
}

/// Refuses parameters that these objects do not support: their length is set once, and their pages are
/// unknown.
fn check(params: &CreateParams<'_>) -> Result<(), Failure> {
    if params.capacity.is_some() || params.node.is_some() || params.large_pages {
        return Err(Failure::new(Reason::Unsupported));
    }
    Ok(())
}

fn mode_of(protection: &Protection) -> Mode {
    #[allow(clippy::useless_conversion, reason = "it has 32 bits elsewhere")]
    let mode = rustix::fs::RawMode::try_from(protection.mode).unwrap_or(0o600);
    Mode::from_raw_mode(mode)
}

fn resize(fd: BorrowedFd<'_>, len: u64) -> Result<(), Failure> {
    check_file_size(len)?;
    ftruncate(fd, len).map_err(|errno| match errno {
        Errno::INVAL | Errno::FBIG => Failure { reason: Reason::TooLarge, ..errno.into() },
        _ => errno.into(),
    })
}

/// Opens an object. This process never removes it.
pub(super) fn open(name: &ObjectName, writable: bool) -> Result<Attempt<Opened>, Failure> {
    let fd =
        match open_object(name.path(), if writable { OFlags::RDWR } else { OFlags::RDONLY }, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::ACCESS)
                if writable && open_object(name.path(), OFlags::RDONLY, Mode::empty()).is_ok() =>
            {
                return Err(Failure { reason: Reason::ReadOnly, ..Errno::ACCESS.into() });
            }
            Err(errno) => return Err(errno.into()),
        };
    let stat = fstat(&fd)?;
    // Another user has created a name that is reserved for this one.
    if name.is_local() && stat.st_uid != rustix::process::geteuid().as_raw() {
        return Err(Failure::new(Reason::Stranger));
    }
    // Other creators set the length after the name.
    if stat.st_size == 0 {
        return Err(Failure::new(Reason::NotReady));
    }
    Ok(Attempt::Done(Opened { fd, held: None, names: 1 }))
}

pub(super) fn release(_fd: BorrowedFd<'_>, name: &ObjectName, _: ObjectId) {
    let _ = unlink(name.path());
}

/// Creates an object without a name, by removing its name before any other process can know it.
pub(super) fn anonymous(params: &CreateParams<'_>) -> Result<(OwnedFd, Pages), Failure> {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    check(params)?;
    for _ in 0..100 {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let time = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |t| t.subsec_nanos());
        let text = format!("{:x}.{number:x}.{time:x}", std::process::id());
        let name = ObjectName::new(true, &text)?;
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR;
        match open_object(name.path(), flags, mode_of(params.protection)) {
            Ok(fd) => {
                let _ = unlink(name.path());
                security::protect(fd.as_fd(), params.protection, 0)?;
                resize(fd.as_fd(), params.len)?;
                return Ok((fd, Pages::Ordinary));
            }
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Err(Failure::new(Reason::Exists))
}

/// Reopens an object for reading, which is only possible by its name.
pub(super) fn reopen_read_only(fd: BorrowedFd<'_>, name: Option<&ObjectName>) -> Result<OwnedFd, Failure> {
    let name = name.ok_or(Failure::new(Reason::Unsupported))?;
    let new = open_object(name.path(), OFlags::RDONLY, Mode::empty())?;
    let (old_stat, new_stat) = (fstat(fd)?, fstat(&new)?);
    if (old_stat.st_dev, old_stat.st_ino) == (new_stat.st_dev, new_stat.st_ino) {
        Ok(new)
    } else {
        Err(Failure::new(Reason::Missing))
    }
}

/// Returns `None`: only by a name can an object be reopened with fewer rights.
pub(super) fn narrowed(_fd: &OwnedFd) -> Option<OwnedFd> {
    None
}

/// Duplicates the descriptor. Holders are not counted here, so a duplicate suffices.
pub(super) fn reopen(fd: BorrowedFd<'_>, _writable: bool) -> Result<OwnedFd, Failure> {
    Ok(rustix::io::fcntl_dupfd_cloexec(fd, 3)?)
}

/// Returns the descriptor without a name: this process never removes objects from outside.
#[allow(clippy::unnecessary_wraps, reason = "as on Linux")]
pub(super) fn adopt(
    fd: OwnedFd,
    _writable: bool,
) -> Result<(OwnedFd, Option<(ObjectName, ObjectId)>), Failure> {
    Ok((fd, None))
}

/// Reports only whether the name exists, since objects have no identity here.
pub(super) fn leads_to(name: &ObjectName, _: BorrowedFd<'_>) -> NameTarget {
    match open_object(name.path(), OFlags::RDONLY, Mode::empty()) {
        Err(Errno::NOENT) => NameTarget::Nothing,
        _ => NameTarget::Unknown,
    }
}
