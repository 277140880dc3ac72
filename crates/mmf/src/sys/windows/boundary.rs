//! Private namespaces: names that belong to a boundary, which says who may make it, so that nobody else can take them first.
//!
//! A namespace is known to the system by its boundary alone: a name, the SIDs that its maker must have, and the least
//! integrity. The prefix that its names have, the alias, belongs to a process. So, in Windows:
//!
//! - Who makes a namespace must have all SIDs of its boundary, or is refused with `ERROR_ACCESS_DENIED`; who opens it is
//!   judged by its descriptor only.
//! - Making what exists fails with `ERROR_ALREADY_EXISTS`; opening what does not exist, or is being made this moment, fails
//!   with `ERROR_PATH_NOT_FOUND`.
//! - An alias that the process uses already is refused with `ERROR_DUP_NAME`, for the same boundary too, and by then the
//!   namespace is open or made, and closed again.
//! - The namespace goes with its last handle anywhere. The objects in it live on, but can no more be opened by their names.
//! - The order of the SIDs does not matter, but none may be there twice.

use core::ffi::c_void;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use windows_sys::Win32::Foundation::{
    ERROR_ALREADY_EXISTS, ERROR_DUP_NAME, ERROR_INVALID_SID, ERROR_PATH_NOT_FOUND, HANDLE,
};
use windows_sys::Win32::Security::SECURITY_ATTRIBUTES;
use windows_sys::core::BOOL;

use super::sid::Sid;
use super::wide::Wide;
use super::{LastError, api, descriptor};
use crate::sys::{Failure, Reason};

/// Whether this system has private namespaces.
pub(crate) fn is_available() -> bool {
    System::get().is_ok()
}

/// How often to open or make what comes and goes meanwhile: others do so too, but not that often.
const TURNS: u32 = 100;

/// An open private namespace. It is closed when the last one in this process is dropped, and gone when nobody has it open.
pub(crate) struct PrivateNamespace {
    system: &'static System,
    alias: String,
}

impl PrivateNamespace {
    /// Opens it, or makes it if there is none, under `alias`: the prefix that names in it have in this process. The boundary
    /// is made of its name, of SIDs, and of the least integrity (a RID). The descriptor (self-relative bytes) protects the
    /// namespace itself, if it is made.
    pub(crate) fn open_or_create(
        boundary: &str,
        sids: &[Vec<u8>],
        integrity: Option<u32>,
        descriptor: &[u8],
        alias: &str,
    ) -> Result<Self, Failure> {
        System::get()?.open_or_create(boundary, sids, integrity, descriptor, alias)
    }

    /// Only opens it.
    pub(crate) fn open(
        boundary: &str,
        sids: &[Vec<u8>],
        integrity: Option<u32>,
        alias: &str,
    ) -> Result<Self, Failure> {
        System::get()?.open(boundary, sids, integrity, alias)
    }
}

impl fmt::Debug for PrivateNamespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateNamespace").field("alias", &self.alias).finish_non_exhaustive()
    }
}

impl Drop for PrivateNamespace {
    fn drop(&mut self) {
        let mut open = self.system.lock();
        let Some(entry) = open.get_mut(&self.alias) else {
            return;
        };
        entry.users -= 1;
        if entry.users == 0 {
            let handle = entry.handle.0;
            open.remove(&self.alias);
            // Still under the lock: the alias is free only when this is done.
            // SAFETY: the handle came from `open` or `create`, and this is the only place that closes it, once: the entry is
            // gone.
            let closed = unsafe { (self.system.calls.close)(handle, 0) };
            debug_assert!(closed != 0, "ClosePrivateNamespace: {:?}", api::last_error());
        }
    }
}

type CreateBoundary = unsafe extern "system" fn(*const u16, u32) -> HANDLE;
/// Puts another handle in the place of the one that it gets, if the descriptor has to move.
type AddSid = unsafe extern "system" fn(*mut HANDLE, *mut c_void) -> BOOL;
type DeleteBoundary = unsafe extern "system" fn(HANDLE);
type Create = unsafe extern "system" fn(*const SECURITY_ATTRIBUTES, *const c_void, *const u16) -> HANDLE;
type Open = unsafe extern "system" fn(*const c_void, *const u16) -> HANDLE;
/// Gives a BOOLEAN: one byte, of which every value but 0 is true.
type Close = unsafe extern "system" fn(HANDLE, u32) -> u8;

/// The calls, which not every system has: so they are looked up, not linked.
#[derive(Clone, Copy)]
struct Calls {
    create_boundary: CreateBoundary,
    add_sid: AddSid,
    add_integrity: AddSid,
    delete_boundary: DeleteBoundary,
    create: Create,
    open: Open,
    close: Close,
}

impl Calls {
    /// `None` if one is missing.
    fn look_up() -> Option<Self> {
        macro_rules! function {
            ($name:literal, $type:ty) => {{
                // Where they are, and where programs expect them: the one may have calls that the other does not pass on.
                let found = api::look_up("kernelbase.dll", $name);
                let found = found.or_else(|| api::look_up("kernel32.dll", $name))?;
                // SAFETY: the function of this name has this type, by namespaceapi.h and winbase.h.
                unsafe { core::mem::transmute::<api::Function, $type>(found) }
            }};
        }
        Some(Calls {
            create_boundary: function!(c"CreateBoundaryDescriptorW", CreateBoundary),
            add_sid: function!(c"AddSIDToBoundaryDescriptor", AddSid),
            add_integrity: function!(c"AddIntegrityLabelToBoundaryDescriptor", AddSid),
            delete_boundary: function!(c"DeleteBoundaryDescriptor", DeleteBoundary),
            create: function!(c"CreatePrivateNamespaceW", Create),
            open: function!(c"OpenPrivateNamespaceW", Open),
            close: function!(c"ClosePrivateNamespace", Close),
        })
    }
}

struct Handle(HANDLE);

// SAFETY: the handle of a namespace belongs to the process, not to a thread.
unsafe impl Send for Handle {}

/// A namespace that is open in this process.
struct Entry {
    within: Boundary,
    handle: Handle,
    /// How many [`PrivateNamespace`]s there are of it.
    users: usize,
}

/// The calls, and what this process has opened with them.
struct System {
    calls: Calls,
    /// By alias. Whoever wants an alias that is in use shares the handle, because the system would not give another one. No
    /// counting pointers: between the end of the last one and the closing of the handle somebody could come in.
    open: Mutex<BTreeMap<String, Entry>>,
}

/// What makes a boundary what it is, in an order of its own.
#[derive(Clone, PartialEq, Eq)]
struct Boundary {
    name: String,
    sids: Vec<Vec<u8>>,
    integrity: Option<u32>,
}

impl Boundary {
    fn new(name: &str, sids: &[Vec<u8>], integrity: Option<u32>) -> Self {
        let mut sids = sids.to_vec();
        sids.sort_unstable();
        sids.dedup();
        Boundary { name: name.to_owned(), sids, integrity }
    }
}

/// An alias that is one: it becomes a part of names.
fn check_alias(alias: &str) -> Result<Wide, Failure> {
    // What the system reads as its own prefixes.
    let taken = ["Global", "Local", "Session"].iter().any(|prefix| alias.eq_ignore_ascii_case(prefix));
    let wide = if alias.is_empty() || alias.contains('\\') || taken { None } else { Wide::new(alias) };
    wide.ok_or(Failure::new(Reason::BadName))
}

fn failure(error: LastError) -> Failure {
    let reason = match error.0 {
        ERROR_PATH_NOT_FOUND => Reason::Missing,
        // This process has the alias for something else.
        ERROR_DUP_NAME => Reason::Exists,
        _ => return error.into(),
    };
    Failure { reason, ..error.into() }
}

impl System {
    fn get() -> Result<&'static Self, Failure> {
        static SYSTEM: OnceLock<Option<System>> = OnceLock::new();
        let system = SYSTEM.get_or_init(|| Calls::look_up().map(System::new));
        system.as_ref().ok_or(Failure::new(Reason::Unsupported))
    }

    const fn new(calls: Calls) -> Self {
        System { calls, open: Mutex::new(BTreeMap::new()) }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        // Nothing that could panic leaves the table half done.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_or_create(
        &'static self,
        name: &str,
        sids: &[Vec<u8>],
        integrity: Option<u32>,
        descriptor: &[u8],
        alias: &str,
    ) -> Result<PrivateNamespace, Failure> {
        let prefix = check_alias(alias)?;
        let boundary = Boundary::new(name, sids, integrity);
        let mut descriptor = descriptor::words(descriptor)?;
        let attributes = SECURITY_ATTRIBUTES {
            nLength: u32::try_from(size_of::<SECURITY_ATTRIBUTES>()).unwrap_or(0),
            lpSecurityDescriptor: descriptor.as_mut_ptr().cast(),
            bInheritHandle: 0,
        };
        let within = Within::new(&self.calls, &boundary)?;
        let open = || self.enter(alias, &boundary, || within.open(&prefix));
        let create = || {
            self.enter(alias, &boundary, || {
                // SAFETY: the attributes are valid during this call: the descriptor in them is, and lives.
                unsafe { within.create(&attributes, &prefix) }
            })
        };
        let mut turn = 0;
        loop {
            // Opened first: who is not in the boundary cannot make it, but may be allowed in.
            let entered = match open() {
                Err(LastError(ERROR_PATH_NOT_FOUND)) => create(),
                entered => entered,
            };
            match entered {
                // Somebody has made it meanwhile, is making it now, or has just closed it.
                Err(LastError(ERROR_ALREADY_EXISTS)) if turn < TURNS => turn += 1,
                entered => return entered.map_err(failure),
            }
            if turn < TURNS / 10 { thread::yield_now() } else { thread::sleep(Duration::from_millis(1)) }
        }
    }

    fn open(
        &'static self,
        name: &str,
        sids: &[Vec<u8>],
        integrity: Option<u32>,
        alias: &str,
    ) -> Result<PrivateNamespace, Failure> {
        let prefix = check_alias(alias)?;
        let boundary = Boundary::new(name, sids, integrity);
        let within = Within::new(&self.calls, &boundary)?;
        self.enter(alias, &boundary, || within.open(&prefix)).map_err(failure)
    }

    /// Shares what this process has open under the alias, or calls `get` for a handle.
    fn enter(
        &'static self,
        alias: &str,
        boundary: &Boundary,
        get: impl FnOnce() -> Result<HANDLE, LastError>,
    ) -> Result<PrivateNamespace, LastError> {
        let mut open = self.lock();
        if let Some(entry) = open.get_mut(alias) {
            if entry.within != *boundary {
                return Err(LastError(ERROR_DUP_NAME));
            }
            entry.users += 1;
        } else {
            let entry = Entry { within: boundary.clone(), handle: Handle(get()?), users: 1 };
            open.insert(alias.to_owned(), entry);
        }
        Ok(PrivateNamespace { system: self, alias: alias.to_owned() })
    }
}

/// A boundary descriptor of the system.
struct Within<'a> {
    calls: &'a Calls,
    handle: HANDLE,
}

impl<'a> Within<'a> {
    fn new(calls: &'a Calls, boundary: &Boundary) -> Result<Self, Failure> {
        let name = if boundary.name.is_empty() { None } else { Wide::new(&boundary.name) };
        let name = name.ok_or(Failure::new(Reason::BadName))?;
        // SAFETY: the name is zero-terminated and lives.
        let handle = unsafe { (calls.create_boundary)(name.as_ptr(), 0) };
        if handle.is_null() {
            return Err(api::last_error().into());
        }
        let mut within = Within { calls, handle };
        for sid in &boundary.sids {
            let sid = Sid::new(sid).ok_or(LastError(ERROR_INVALID_SID))?;
            // SAFETY: the handle is that of a boundary descriptor, in a place that may be written; the SID lives.
            check(unsafe { (calls.add_sid)(&mut within.handle, sid.as_ptr()) })?;
        }
        if let Some(rid) = boundary.integrity {
            let level = Sid::integrity(rid);
            // SAFETY: the same.
            check(unsafe { (calls.add_integrity)(&mut within.handle, level.as_ptr()) })?;
        }
        Ok(within)
    }

    fn open(&self, alias: &Wide) -> Result<HANDLE, LastError> {
        // SAFETY: the boundary descriptor is valid; the alias is zero-terminated; both live.
        let handle = unsafe { (self.calls.open)(self.handle, alias.as_ptr()) };
        if handle.is_null() { Err(api::last_error()) } else { Ok(handle) }
    }

    /// # Safety
    ///
    /// The attributes, and what they point to, are valid.
    unsafe fn create(&self, attributes: &SECURITY_ATTRIBUTES, alias: &Wide) -> Result<HANDLE, LastError> {
        // SAFETY: the attributes are valid (the contract of this function), and so is the boundary descriptor; the alias is
        // zero-terminated; all live.
        let handle = unsafe { (self.calls.create)(attributes, self.handle, alias.as_ptr()) };
        if handle.is_null() { Err(api::last_error()) } else { Ok(handle) }
    }
}

impl Drop for Within<'_> {
    fn drop(&mut self) {
        // SAFETY: the handle is that of a boundary descriptor, and nobody uses it any more.
        unsafe { (self.calls.delete_boundary)(self.handle) };
    }
}

fn check(result: BOOL) -> Result<(), LastError> {
    if result == 0 { Err(api::last_error()) } else { Ok(()) }
}

/// Where the system has no private namespaces, the calls are proved against an imitation of what is documented and known of
/// them (see the head of this file): which calls are made, in which order and with what, and what becomes of their answers.
#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::ptr;

    use windows_sys::Win32::Foundation::{ERROR_ACCESS_DENIED, ERROR_NOT_ENOUGH_MEMORY, SetLastError};

    use super::*;

    const WORLD: [u8; 12] = [1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
    const SYSTEM: [u8; 12] = [1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0];
    const MEDIUM: [u8; 12] = [1, 1, 0, 0, 0, 0, 0, 16, 0, 0x20, 0, 0];

    /// What the imitated system has: one for each test, as each has a thread.
    #[derive(Default)]
    struct World {
        /// The calls, as text.
        log: Vec<String>,
        /// Boundary descriptors: their handle is 0x1000 and the place here, plus 1.
        boundaries: Vec<Option<Imitated>>,
        /// Namespaces that exist, and how many handles there are to them (of other processes too).
        namespaces: Vec<(Imitated, usize)>,
        /// What this process has open: its handle is the place here, plus 1.
        handles: Vec<Option<(Imitated, String)>>,
        /// What the caller may not do.
        denied: bool,
        /// So often it is just being made by somebody: it exists, and cannot be opened.
        in_the_making: u32,
        /// What the next SID is refused with.
        refuse_sid: Option<u32>,
        descriptor: Vec<u8>,
    }

    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    struct Imitated {
        name: String,
        sids: Vec<Vec<u8>>,
        label: Option<Vec<u8>>,
    }

    thread_local! {
        static SEEN: RefCell<World> = RefCell::default();
    }

    fn seen<T>(look: impl FnOnce(&mut World) -> T) -> T {
        SEEN.with_borrow_mut(look)
    }

    fn log() -> Vec<String> {
        seen(|world| std::mem::take(&mut world.log))
    }

    fn fail(code: u32) {
        // SAFETY: it has no requirements.
        unsafe { SetLastError(code) };
    }

    /// # Safety
    ///
    /// It is zero-terminated.
    unsafe fn text(mut at: *const u16) -> String {
        let mut units = Vec::new();
        loop {
            // SAFETY: not behind the zero.
            let unit = unsafe { at.read() };
            if unit == 0 {
                return String::from_utf16(&units).unwrap();
            }
            units.push(unit);
            // SAFETY: there is a zero to come.
            at = unsafe { at.add(1) };
        }
    }

    /// # Safety
    ///
    /// It is a SID.
    unsafe fn sid(sid: *mut c_void) -> Vec<u8> {
        // SAFETY: a SID has at least eight bytes.
        let head = unsafe { sid.cast::<[u8; 8]>().read() };
        let len = 8 + 4 * usize::from(head[1]);
        // SAFETY: it has this many.
        unsafe { std::slice::from_raw_parts(sid.cast::<u8>(), len) }.to_vec()
    }

    impl World {
        /// Descriptors move with each change, as they may in truth.
        fn place(&mut self, boundary: Imitated) -> HANDLE {
            self.boundaries.push(Some(boundary));
            ptr::without_provenance_mut(0x1000 + self.boundaries.len())
        }

        fn boundary(&mut self, handle: *const c_void) -> &mut Option<Imitated> {
            let boundary = &mut self.boundaries[handle.addr() - 0x1001];
            assert!(boundary.is_some(), "a handle that is no more");
            boundary
        }

        fn enter(&mut self, boundary: Imitated, alias: String) -> HANDLE {
            if self.handles.iter().flatten().any(|(_, known)| *known == alias) {
                fail(ERROR_DUP_NAME);
                return ptr::null_mut();
            }
            match self.namespaces.iter_mut().find(|(known, _)| *known == boundary) {
                Some((_, handles)) => *handles += 1,
                None => self.namespaces.push((boundary.clone(), 1)),
            }
            self.handles.push(Some((boundary, alias)));
            ptr::without_provenance_mut(self.handles.len())
        }
    }

    unsafe extern "system" fn create_boundary(name: *const u16, flags: u32) -> HANDLE {
        // SAFETY: what the call wants.
        let name = unsafe { text(name) };
        seen(|world| {
            world.log.push(format!("boundary {name} {flags}"));
            world.place(Imitated { name, ..Imitated::default() })
        })
    }

    unsafe extern "system" fn add_sid(handle: *mut HANDLE, new: *mut c_void) -> BOOL {
        // SAFETY: what the call wants.
        let new = unsafe { sid(new) };
        // SAFETY: the same.
        let place = unsafe { &mut *handle };
        seen(|world| {
            world.log.push(format!("add {new:?}"));
            if let Some(code) = world.refuse_sid {
                fail(code);
                return 0;
            }
            let mut boundary = world.boundary(*place).take().unwrap();
            assert!(!boundary.sids.contains(&new));
            boundary.sids.push(new);
            *place = world.place(boundary);
            1
        })
    }

    unsafe extern "system" fn add_integrity(handle: *mut HANDLE, level: *mut c_void) -> BOOL {
        // SAFETY: what the call wants.
        let level = unsafe { sid(level) };
        // SAFETY: the same.
        let place = unsafe { &mut *handle };
        seen(|world| {
            world.log.push(format!("level {level:?}"));
            let mut boundary = world.boundary(*place).take().unwrap();
            boundary.label = Some(level);
            *place = world.place(boundary);
            1
        })
    }

    unsafe extern "system" fn delete_boundary(handle: HANDLE) {
        seen(|world| {
            world.log.push("forget".into());
            *world.boundary(handle) = None;
        });
    }

    unsafe extern "system" fn create(
        attributes: *const SECURITY_ATTRIBUTES,
        boundary: *const c_void,
        alias: *const u16,
    ) -> HANDLE {
        // SAFETY: what the call wants.
        let alias = unsafe { text(alias) };
        // SAFETY: the same.
        let attributes = unsafe { attributes.read() };
        assert_eq!(attributes.nLength as usize, size_of::<SECURITY_ATTRIBUTES>());
        assert_eq!(attributes.bInheritHandle, 0);
        assert_eq!(attributes.lpSecurityDescriptor.addr() % 4, 0);
        seen(|world| {
            world.log.push(format!("create {alias}"));
            let boundary = world.boundary(boundary).clone().unwrap();
            if world.denied {
                fail(ERROR_ACCESS_DENIED);
                return ptr::null_mut();
            }
            if world.in_the_making > 0 || world.namespaces.iter().any(|(known, _)| *known == boundary) {
                fail(ERROR_ALREADY_EXISTS);
                return ptr::null_mut();
            }
            let len = world.descriptor.len();
            // SAFETY: the test gives a descriptor that is so long.
            let given = unsafe { std::slice::from_raw_parts(attributes.lpSecurityDescriptor.cast(), len) };
            assert_eq!(world.descriptor, given);
            world.enter(boundary, alias)
        })
    }

    unsafe extern "system" fn open(boundary: *const c_void, alias: *const u16) -> HANDLE {
        // SAFETY: what the call wants.
        let alias = unsafe { text(alias) };
        seen(|world| {
            world.log.push(format!("open {alias}"));
            let boundary = world.boundary(boundary).clone().unwrap();
            if world.in_the_making > 0 {
                world.in_the_making -= 1;
                fail(ERROR_PATH_NOT_FOUND);
                return ptr::null_mut();
            }
            if !world.namespaces.iter().any(|(known, _)| *known == boundary) {
                fail(ERROR_PATH_NOT_FOUND);
                return ptr::null_mut();
            }
            world.enter(boundary, alias)
        })
    }

    unsafe extern "system" fn close(handle: HANDLE, flags: u32) -> u8 {
        seen(|world| {
            world.log.push(format!("close {flags}"));
            let (boundary, _) = world.handles[handle.addr() - 1].take().unwrap();
            let namespace = world.namespaces.iter_mut().find(|(known, _)| *known == boundary).unwrap();
            namespace.1 -= 1;
            world.namespaces.retain(|(_, handles)| *handles > 0);
            // Any value that is not 0 is true.
            0x80
        })
    }

    /// The imitated system, as a process sees it that has just started.
    fn imitation() -> (&'static System, Vec<u8>) {
        let calls = Calls { create_boundary, add_sid, add_integrity, delete_boundary, create, open, close };
        let descriptor = descriptor::from_sddl("D:P(A;;GA;;;WD)").unwrap();
        seen(|world| world.descriptor.clone_from(&descriptor));
        (Box::leak(Box::new(System::new(calls))), descriptor)
    }

    /// A namespace that another process has open.
    fn of_another_process(name: &str, sids: &[Vec<u8>]) {
        let boundary = Imitated { name: name.into(), sids: sids.to_vec(), label: None };
        seen(|world| world.namespaces.push((boundary, 1)));
    }

    fn reason<T>(result: Result<T, Failure>) -> Option<(Reason, Option<i32>)> {
        result.err().map(|failure| (failure.reason, failure.code))
    }

    #[test]
    fn making_proved_on_the_level_of_the_calls() {
        let (system, descriptor) = imitation();
        let sids = [SYSTEM.to_vec(), WORLD.to_vec(), SYSTEM.to_vec()];
        let namespace = system.open_or_create("b", &sids, Some(0x2000), &descriptor, "ä").unwrap();
        let add = |sid| format!("add {sid:?}");
        assert_eq!(
            log(),
            [
                "boundary b 0".to_owned(),
                add(WORLD),
                add(SYSTEM),
                format!("level {MEDIUM:?}"),
                "open ä".to_owned(),
                "create ä".to_owned(),
                "forget".to_owned(),
            ]
        );
        let made = Imitated {
            name: "b".into(),
            sids: vec![WORLD.to_vec(), SYSTEM.to_vec()],
            label: Some(MEDIUM.to_vec()),
        };
        assert_eq!(seen(|world| world.namespaces.clone()), [(made, 1)]);
        assert_eq!(format!("{namespace:?}"), "PrivateNamespace { alias: \"ä\", .. }");
        drop(namespace);
        assert_eq!(log(), ["close 0"]);
        assert!(seen(|world| world.namespaces.is_empty()));
        assert!(seen(|world| world.boundaries.iter().all(Option::is_none)));
    }

    #[test]
    fn opening_proved_on_the_level_of_the_calls() {
        let (system, descriptor) = imitation();
        assert_eq!(reason(system.open("b", &[], None, "a")), Some((Reason::Missing, Some(3))));
        assert_eq!(log(), ["boundary b 0", "open a", "forget"]);
        of_another_process("b", &[WORLD.to_vec()]);
        // Neither the name nor the SIDs make a boundary alone.
        for (name, sids) in [("b", vec![]), ("c", vec![WORLD.to_vec()])] {
            assert_eq!(reason(system.open(name, &sids, None, "a")), Some((Reason::Missing, Some(3))));
        }
        assert_eq!(
            reason(system.open("b", &[WORLD.to_vec()], Some(0x2000), "a")),
            Some((Reason::Missing, Some(3)))
        );
        log();
        let opened = system.open("b", &[WORLD.to_vec()], None, "a").unwrap();
        assert_eq!(
            log(),
            ["boundary b 0".to_owned(), format!("add {WORLD:?}"), "open a".to_owned(), "forget".to_owned()]
        );
        drop(opened);
        // Who is not in the boundary cannot make it, but may be let in.
        seen(|world| world.denied = true);
        drop(system.open_or_create("b", &[WORLD.to_vec()], None, &descriptor, "a").unwrap());
        let denied = system.open_or_create("d", &[WORLD.to_vec()], None, &descriptor, "a");
        assert_eq!(reason(denied), Some((Reason::Denied, Some(5))));
        assert_eq!(seen(|world| world.namespaces.len()), 1);
    }

    #[test]
    fn sharing_an_alias_proved_on_the_level_of_the_calls() {
        let (system, descriptor) = imitation();
        let sids = [WORLD.to_vec(), SYSTEM.to_vec()];
        let turned = [SYSTEM.to_vec(), WORLD.to_vec()];
        let first = system.open_or_create("b", &sids, None, &descriptor, "a").unwrap();
        log();
        let second = system.open_or_create("b", &turned, None, &descriptor, "a").unwrap();
        let third = system.open("b", &sids, None, "a").unwrap();
        assert!(!log().iter().any(|call| call.starts_with("create") || call.starts_with("open")));
        // The alias stands for one boundary at a time.
        let other = Some((Reason::Exists, Some(52)));
        assert_eq!(reason(system.open_or_create("c", &sids, None, &descriptor, "a")), other);
        assert_eq!(reason(system.open("b", &sids, Some(0x2000), "a")), other);
        // Another alias for the same boundary is another handle.
        let alias = system.open("b", &sids, None, "a2").unwrap();
        log();
        drop(first);
        drop(third);
        assert!(log().is_empty());
        drop(second);
        assert_eq!(log(), ["close 0"]);
        assert_eq!(seen(|world| world.namespaces.len()), 1);
        drop(system.open_or_create("c", &sids, None, &descriptor, "a").unwrap());
        drop(alias);
        assert!(seen(|world| world.namespaces.is_empty()));
    }

    #[test]
    fn an_alias_that_others_in_this_process_use_proved_on_the_level_of_the_calls() {
        let (system, descriptor) = imitation();
        let (theirs, _) = imitation();
        let _theirs = theirs.open_or_create("b", &[], None, &descriptor, "a").unwrap();
        for name in ["b", "c"] {
            let refused = system.open_or_create(name, &[], None, &descriptor, "a");
            assert_eq!(reason(refused), Some((Reason::Exists, Some(52))));
        }
        assert!(system.open("b", &[], None, "mine").is_ok());
    }

    #[test]
    fn coming_and_going_proved_on_the_level_of_the_calls() {
        let (system, descriptor) = imitation();
        of_another_process("b", &[]);
        seen(|world| world.in_the_making = 3);
        let namespace = system.open_or_create("b", &[], None, &descriptor, "a").unwrap();
        let mut calls = vec!["boundary b 0"];
        // The third time it is finished only after it could not be opened.
        calls.extend(["open a", "create a"].repeat(3));
        calls.extend(["open a", "forget"]);
        assert_eq!(log(), calls);
        drop(namespace);
        // Not for ever.
        seen(|world| world.in_the_making = u32::MAX);
        let never = system.open_or_create("b", &[], None, &descriptor, "a");
        assert_eq!(reason(never), Some((Reason::Exists, Some(183))));
    }

    #[test]
    fn what_makes_no_sense_is_not_asked_for() {
        let (system, descriptor) = imitation();
        for alias in ["", "a\0", r"a\b", "Global", "local", "SESSION"] {
            let refused = system.open_or_create("b", &[], None, &descriptor, alias);
            assert_eq!(reason(refused), Some((Reason::BadName, None)), "{alias:?}");
            assert_eq!(reason(system.open("b", &[], None, alias)), Some((Reason::BadName, None)));
        }
        for name in ["", "b\0"] {
            assert_eq!(reason(system.open(name, &[], None, "a")), Some((Reason::BadName, None)));
        }
        let half = system.open_or_create("b", &[], None, &descriptor[..descriptor.len() - 1], "a");
        assert_eq!(reason(half), Some((Reason::Other, Some(1338))));
        assert!(log().is_empty());
        let sids = [WORLD.to_vec(), WORLD[..11].to_vec()];
        assert_eq!(reason(system.open("b", &sids, None, "a")), Some((Reason::Other, Some(1337))));
        assert_eq!(log(), ["boundary b 0", "forget"]);
        seen(|world| world.refuse_sid = Some(ERROR_NOT_ENOUGH_MEMORY));
        assert_eq!(reason(system.open("b", &[WORLD.to_vec()], None, "a")), Some((Reason::NoMemory, Some(8))));
        assert!(seen(|world| world.boundaries.iter().all(Option::is_none)));
    }

    #[test]
    fn the_system_itself() {
        fn is_shared<T: Send + Sync>() {}
        is_shared::<PrivateNamespace>();
        let user = super::super::account::token().unwrap().user;
        let boundary = format!("mmf-test-{}", std::process::id());
        let descriptor = descriptor::from_sddl("D:P(A;;GA;;;WD)").unwrap();
        let sids = [user];
        let make =
            || PrivateNamespace::open_or_create(&boundary, &sids, Some(0x1000), &descriptor, &boundary);
        if Calls::look_up().is_none() {
            println!("no private namespaces here: only the answer for that is tested");
            assert_eq!(reason(make()), Some((Reason::Unsupported, None)));
            let opened = PrivateNamespace::open(&boundary, &sids, None, &boundary);
            assert_eq!(reason(opened), Some((Reason::Unsupported, None)));
            return;
        }
        let missing = PrivateNamespace::open(&boundary, &sids, Some(0x1000), &boundary);
        assert_eq!(reason(missing).map(|(reason, _)| reason), Some(Reason::Missing));
        let first = make().unwrap();
        let second = make().unwrap();
        let alias = format!("{boundary}-2");
        drop(PrivateNamespace::open(&boundary, &sids, Some(0x1000), &alias).unwrap());
        drop((first, second));
        let gone = PrivateNamespace::open(&boundary, &sids, Some(0x1000), &boundary);
        assert_eq!(reason(gone).map(|(reason, _)| reason), Some(Reason::Missing));
    }
}
