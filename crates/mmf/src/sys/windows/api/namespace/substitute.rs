//! Substitutes for the calls, for tests on systems without private namespaces. They behave as the top of
//! `windows/namespace.rs` states, check their arguments, and log each call.

use std::cell::RefCell;
use std::ptr;

use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_ALREADY_EXISTS, ERROR_DUP_NAME, ERROR_PATH_NOT_FOUND, SetLastError,
};

use super::*;

/// The state of the substituted system. Each test has its own, because each test has a thread.
#[derive(Default)]
pub(crate) struct State {
    /// The calls, as text.
    pub(crate) log: Vec<String>,
    /// The boundary descriptors. The handle of the one at index `i` is `0x1001 + i`.
    pub(crate) boundaries: Vec<Option<Boundary>>,
    /// The existing namespaces, with the number of their handles in all processes.
    pub(crate) namespaces: Vec<(Boundary, usize)>,
    /// The handles of this process, with their aliases. The handle at index `i` is `1 + i`.
    pub(crate) handles: Vec<Option<(Boundary, String)>>,
    /// Whether the caller lacks a SID of every boundary.
    pub(crate) denied: bool,
    /// The number of further calls during which another process creates the namespace: it exists, but cannot
    /// be opened.
    pub(crate) being_created: u32,
    /// The error for the next SID.
    pub(crate) refuse_sid: Option<u32>,
    /// The security descriptor that is expected for a new namespace.
    pub(crate) descriptor: Vec<u8>,
}

/// A boundary as the system knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Boundary {
    pub(crate) name: String,
    pub(crate) sids: Vec<Vec<u8>>,
    pub(crate) label: Option<Vec<u8>>,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

/// Accesses the state of this thread.
pub(crate) fn state<T>(access: impl FnOnce(&mut State) -> T) -> T {
    STATE.with_borrow_mut(access)
}

/// Returns the log of the calls since the previous `log`, and clears it.
pub(crate) fn log() -> Vec<String> {
    state(|state| std::mem::take(&mut state.log))
}

/// Returns the table of the substitutes.
pub(crate) fn calls() -> NamespaceCalls {
    NamespaceCalls {
        create_boundary_descriptor: create_boundary,
        add_sid,
        add_integrity_label,
        delete_boundary_descriptor: delete_boundary,
        create,
        open,
        close,
    }
}

fn fail(code: u32) -> HANDLE {
    // SAFETY: the call has no requirements.
    unsafe { SetLastError(code) };
    ptr::null_mut()
}

/// # Safety
///
/// The text is zero-terminated.
unsafe fn text(mut at: *const u16) -> String {
    let mut units = Vec::new();
    loop {
        // SAFETY: the zero has not been reached.
        let unit = unsafe { at.read() };
        if unit == 0 {
            return String::from_utf16(&units).unwrap();
        }
        units.push(unit);
        // SAFETY: this unit was not the zero, so another one follows.
        at = unsafe { at.add(1) };
    }
}

/// # Safety
///
/// The pointer is that of a SID.
unsafe fn sid(sid: *mut c_void) -> Vec<u8> {
    // SAFETY: a SID has at least eight bytes.
    let head = unsafe { sid.cast::<[u8; 8]>().read() };
    let len = 8 + 4 * usize::from(head[1]);
    // SAFETY: the SID has as many sub-authorities as its second byte states.
    unsafe { std::slice::from_raw_parts(sid.cast::<u8>(), len) }.to_vec()
}

impl State {
    /// Adds a boundary descriptor. Each change moves the descriptor, as it may in the real system.
    fn add(&mut self, boundary: Boundary) -> HANDLE {
        self.boundaries.push(Some(boundary));
        ptr::without_provenance_mut(0x1000 + self.boundaries.len())
    }

    fn boundary(&mut self, handle: *const c_void) -> &mut Option<Boundary> {
        let boundary = &mut self.boundaries[handle.addr() - 0x1001];
        assert!(boundary.is_some(), "a stale handle");
        boundary
    }

    fn enter(&mut self, boundary: Boundary, alias: String) -> HANDLE {
        if self.handles.iter().flatten().any(|(_, known)| *known == alias) {
            return fail(ERROR_DUP_NAME);
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
    // SAFETY: the caller meets the requirements of the call.
    let name = unsafe { text(name) };
    state(|state| {
        state.log.push(format!("boundary {name} {flags}"));
        state.add(Boundary { name, ..Boundary::default() })
    })
}

unsafe extern "system" fn add_sid(handle: *mut HANDLE, new: *mut c_void) -> BOOL {
    // SAFETY: the caller meets the requirements of the call.
    let new = unsafe { sid(new) };
    // SAFETY: as above.
    let handle = unsafe { &mut *handle };
    state(|state| {
        state.log.push(format!("add {new:?}"));
        if let Some(code) = state.refuse_sid {
            fail(code);
            return 0;
        }
        let mut boundary = state.boundary(*handle).take().unwrap();
        assert!(!boundary.sids.contains(&new));
        boundary.sids.push(new);
        *handle = state.add(boundary);
        1
    })
}

unsafe extern "system" fn add_integrity_label(handle: *mut HANDLE, label: *mut c_void) -> BOOL {
    // SAFETY: the caller meets the requirements of the call.
    let label = unsafe { sid(label) };
    // SAFETY: as above.
    let handle = unsafe { &mut *handle };
    state(|state| {
        state.log.push(format!("label {label:?}"));
        let mut boundary = state.boundary(*handle).take().unwrap();
        boundary.label = Some(label);
        *handle = state.add(boundary);
        1
    })
}

unsafe extern "system" fn delete_boundary(handle: HANDLE) {
    state(|state| {
        state.log.push("delete".into());
        *state.boundary(handle) = None;
    });
}

unsafe extern "system" fn create(
    attributes: *const SECURITY_ATTRIBUTES,
    boundary: *const c_void,
    alias: *const u16,
) -> HANDLE {
    // SAFETY: the caller meets the requirements of the call.
    let alias = unsafe { text(alias) };
    // SAFETY: as above.
    let attributes = unsafe { attributes.read() };
    assert_eq!(attributes.nLength as usize, size_of::<SECURITY_ATTRIBUTES>());
    assert_eq!(attributes.bInheritHandle, 0);
    assert_eq!(attributes.lpSecurityDescriptor.addr() % 4, 0);
    state(|state| {
        state.log.push(format!("create {alias}"));
        let boundary = state.boundary(boundary).clone().unwrap();
        if state.denied {
            return fail(ERROR_ACCESS_DENIED);
        }
        if state.being_created > 0 || state.namespaces.iter().any(|(known, _)| *known == boundary) {
            return fail(ERROR_ALREADY_EXISTS);
        }
        let len = state.descriptor.len();
        // SAFETY: the tests pass a descriptor of the expected length.
        let given = unsafe { std::slice::from_raw_parts(attributes.lpSecurityDescriptor.cast(), len) };
        assert_eq!(state.descriptor, given);
        state.enter(boundary, alias)
    })
}

unsafe extern "system" fn open(boundary: *const c_void, alias: *const u16) -> HANDLE {
    // SAFETY: the caller meets the requirements of the call.
    let alias = unsafe { text(alias) };
    state(|state| {
        state.log.push(format!("open {alias}"));
        let boundary = state.boundary(boundary).clone().unwrap();
        if state.being_created > 0 {
            state.being_created -= 1;
            return fail(ERROR_PATH_NOT_FOUND);
        }
        if !state.namespaces.iter().any(|(known, _)| *known == boundary) {
            return fail(ERROR_PATH_NOT_FOUND);
        }
        state.enter(boundary, alias)
    })
}

unsafe extern "system" fn close(handle: HANDLE, flags: u32) -> u8 {
    state(|state| {
        state.log.push(format!("close {flags}"));
        let (boundary, _) = state.handles[handle.addr() - 1].take().unwrap();
        let namespace = state.namespaces.iter_mut().find(|(known, _)| *known == boundary).unwrap();
        namespace.1 -= 1;
        state.namespaces.retain(|(_, handles)| *handles > 0);
        // Every value but 0 means true.
        0x80
    })
}
