//! Users and groups.

use std::ffi::{CStr, CString};
use std::ptr;
#[cfg(any(target_os = "linux", target_os = "android"))]
use std::sync::OnceLock;

use rustix::process::{getegid, geteuid, getgroups};

use crate::sys::{Failure, Reason};

/// The database of users, or that of groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    User,
    Group,
}

/// Returns the effective user of this process.
pub(crate) fn user() -> u32 {
    geteuid().as_raw()
}

/// Whether an id stands for all users without an id in this user namespace, so that it does not identify one.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn stands_for_unmapped(uid: u32) -> bool {
    static OVERFLOW: OnceLock<u32> = OnceLock::new();
    // The kernel permits no greater overflow id, so most ids need no system call.
    if uid == 0 || uid > 0xffff {
        return false;
    }
    let overflow = *OVERFLOW.get_or_init(|| {
        let number = std::fs::read_to_string("/proc/sys/kernel/overflowuid").ok();
        number.and_then(|number| number.trim().parse().ok()).unwrap_or(65534)
    });
    // Read each time, since a process can enter another namespace. A namespace that maps all ids leaves no
    // user out.
    uid == overflow
        && std::fs::read_to_string("/proc/self/uid_map")
            .map_or(true, |map| !map.lines().any(|line| line.split_whitespace().eq(["0", "0", "4294967295"])))
}

/// Returns the id of this user outside the user namespace of this process, if that is a namespace of its own.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn user_outside() -> Option<u32> {
    let map = std::fs::read_to_string("/proc/self/uid_map").ok()?;
    let user = user();
    map.lines().find_map(|line| {
        let mut numbers = line.split_whitespace().map(|number| number.parse::<u32>().ok());
        let (inside, outside, count) = (numbers.next()??, numbers.next()??, numbers.next()??);
        let outside = outside.checked_add(user.checked_sub(inside).filter(|offset| *offset < count)?)?;
        (outside != user).then_some(outside)
    })
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn user_outside() -> Option<u32> {
    None
}

/// Returns the group of new objects.
pub(crate) fn group() -> u32 {
    getegid().as_raw()
}

/// Returns the groups of this process.
pub(crate) fn groups() -> Vec<u32> {
    let others = getgroups().unwrap_or_default();
    others.iter().map(|group| group.as_raw()).chain([group()]).collect()
}

/// Whether the user namespace of this process maps this user or group. All unmapped ones share one id, and
/// the superuser of the namespace has no rights to their objects.
pub(crate) fn is_mapped(id: u32) -> bool {
    if id == 0 {
        return true;
    }
    let overflow = std::fs::read_to_string("/proc/sys/kernel/overflowuid").ok();
    overflow.and_then(|text| text.trim().parse().ok()) != Some(id) || is_first_user_namespace()
}

fn is_first_user_namespace() -> bool {
    // "         0          0 4294967295" maps every id to itself.
    std::fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| map.trim().ends_with("4294967295"))
}

/// Whether this process may assign an object to a group.
pub(crate) fn may_give_to(id: u32) -> bool {
    id == group()
        || is_capable(Capability::Chown)
        || getgroups().is_ok_and(|groups| groups.iter().any(|member| member.as_raw() == id))
}

/// Capabilities of the superuser, by their numbers in `linux/capability.h`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Capability {
    Chown = 0,
    /// Reading and writing regardless of modes.
    OverrideAccess = 1,
    /// Reading regardless of modes.
    ReadAll = 2,
    /// Acting as the owner of any file.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    Owner = 3,
    LockMemory = 14,
}

/// Whether this process has a capability. In a container the superuser lacks some.
pub(crate) fn is_capable(capability: Capability) -> bool {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return user() == 0 };
    let set = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    match set.map(|digits| u64::from_str_radix(digits.trim(), 16)) {
        Some(Ok(set)) => (set >> (capability as u32)) & 1 == 1,
        _ => user() == 0,
    }
}

/// The type of group ids that `getgrouplist` uses.
#[cfg(target_vendor = "apple")]
type GroupId = libc::c_int;
#[cfg(not(target_vendor = "apple"))]
type GroupId = libc::gid_t;

/// Returns the groups of a user, as far as the system knows the user.
pub(crate) fn groups_of(user: u32) -> Vec<u32> {
    let entry = with_room(|room| {
        let (mut entry, mut found) = (no_user(), ptr::null_mut());
        // SAFETY: `entry` and `found` are valid to write, and the buffer has the given length.
        let code = unsafe { libc::getpwuid_r(user, &mut entry, room.as_mut_ptr(), room.len(), &mut found) };
        // SAFETY: a found entry has a zero-terminated name in the buffer, which is alive.
        (code, (!found.is_null()).then(|| (unsafe { text(entry.pw_name) }, entry.pw_gid)))
    });
    let Ok(Some((name, first))) = entry else { return Vec::new() };
    let Ok(name) = CString::new(name) else { return Vec::new() };
    let mut groups: Vec<GroupId> = vec![0; 1 << 16];
    let mut count = libc::c_int::try_from(groups.len()).unwrap_or(libc::c_int::MAX);
    #[allow(
        clippy::unnecessary_cast,
        clippy::cast_possible_wrap,
        reason = "groups have another type elsewhere"
    )]
    let first = first as GroupId;
    // SAFETY: the name is zero-terminated, and the array is valid for `count` elements.
    let code = unsafe { libc::getgrouplist(name.as_ptr(), first, groups.as_mut_ptr(), &mut count) };
    if code < 0 {
        return Vec::new();
    }
    groups.truncate(usize::try_from(count).unwrap_or(0));
    #[allow(clippy::unnecessary_cast, clippy::cast_sign_loss, reason = "groups have another type elsewhere")]
    groups.into_iter().map(|group| group as u32).collect()
}

/// The initial buffer size. Only entries of groups with thousands of members are longer, and then it grows.
const FIRST_ROOM: usize = 1 << 10;
const MOST_ROOM: usize = 1 << 24;

/// Calls `call` with growing buffers until the entry fits. Returns `None` if no such entry exists.
fn with_room<T>(mut call: impl FnMut(&mut [libc::c_char]) -> (i32, Option<T>)) -> Result<Option<T>, Failure> {
    let mut room = vec![0; FIRST_ROOM];
    loop {
        let (code, found) = call(&mut room);
        match code {
            0 => return Ok(found),
            libc::ERANGE if room.len() < MOST_ROOM => room.resize(room.len() * 4, 0),
            // getpwnam_r(3) lists these among the codes for a missing entry.
            libc::ENOENT | libc::ESRCH | libc::EBADF | libc::EPERM => return Ok(None),
            libc::EINTR => {}
            code => return Err(Failure { code: Some(code), ..Failure::new(Reason::Other) }),
        }
    }
}

/// Returns the id of a user or group.
pub(crate) fn id_of(kind: Kind, name: &str) -> Result<Option<u32>, Failure> {
    let Ok(name) = CString::new(name) else { return Ok(None) };
    match kind {
        Kind::User => with_room(|room| {
            let (mut entry, mut found) = (no_user(), ptr::null_mut());
            // SAFETY: the name is zero-terminated, the results are valid to write, and the buffer has the
            // given length.
            let code = unsafe {
                libc::getpwnam_r(name.as_ptr(), &mut entry, room.as_mut_ptr(), room.len(), &mut found)
            };
            (code, (!found.is_null()).then_some(entry.pw_uid))
        }),
        Kind::Group => with_room(|room| {
            let (mut entry, mut found) = (no_group(), ptr::null_mut());
            // SAFETY: as above.
            let code = unsafe {
                libc::getgrnam_r(name.as_ptr(), &mut entry, room.as_mut_ptr(), room.len(), &mut found)
            };
            (code, (!found.is_null()).then_some(entry.gr_gid))
        }),
    }
}

/// Returns the name of a user or group.
pub(crate) fn name_of(kind: Kind, id: u32) -> Option<String> {
    let found = match kind {
        Kind::User => with_room(|room| {
            let (mut entry, mut found) = (no_user(), ptr::null_mut());
            // SAFETY: `entry` and `found` are valid to write, and the buffer has the given length.
            let code = unsafe { libc::getpwuid_r(id, &mut entry, room.as_mut_ptr(), room.len(), &mut found) };
            // SAFETY: a found entry has a zero-terminated name in the buffer, which is alive.
            (code, (!found.is_null()).then(|| unsafe { text(entry.pw_name) }))
        }),
        Kind::Group => with_room(|room| {
            let (mut entry, mut found) = (no_group(), ptr::null_mut());
            // SAFETY: `entry` and `found` are valid to write, and the buffer has the given length.
            let code = unsafe { libc::getgrgid_r(id, &mut entry, room.as_mut_ptr(), room.len(), &mut found) };
            // SAFETY: a found entry has a zero-terminated name in the buffer, which is alive.
            (code, (!found.is_null()).then(|| unsafe { text(entry.gr_name) }))
        }),
    };
    found.ok().flatten()
}

/// # Safety
///
/// `start` is null, or points to a zero-terminated string that lives during the call.
unsafe fn text(start: *const libc::c_char) -> String {
    if start.is_null() {
        return String::new();
    }
    // SAFETY: the contract of this function.
    unsafe { CStr::from_ptr(start) }.to_string_lossy().into_owned()
}

fn no_user() -> libc::passwd {
    // SAFETY: the structure consists of integers and raw pointers, for which all zeros is a valid value.
    unsafe { std::mem::zeroed() }
}

fn no_group() -> libc::group {
    // SAFETY: the structure consists of integers and raw pointers, for which all zeros is a valid value.
    unsafe { std::mem::zeroed() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests;
