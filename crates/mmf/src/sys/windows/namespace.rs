//! Private namespaces: names that belong to a boundary, which states which processes may create the
//! namespace. So other processes cannot create objects of these names first.
//!
//! The system identifies a namespace by its boundary: a name, the SIDs that its creator must have, and the
//! minimum integrity level. The alias, which is the prefix of the names in it, belongs to a process. Windows
//! behaves as follows:
//!
//! - The creator of a namespace must have all SIDs of its boundary, or the call fails with
//!   `ERROR_ACCESS_DENIED`. Opening is governed by the security descriptor of the namespace only.
//! - Creating an existing namespace fails with `ERROR_ALREADY_EXISTS`. Opening a namespace that does not
//!   exist, or that is being created at that moment, fails with `ERROR_PATH_NOT_FOUND`.
//! - An alias that the process already uses fails with `ERROR_DUP_NAME`, also for the same boundary. By then
//!   the namespace has been opened or created, and closed again.
//! - The namespace disappears with its last handle in any process. The objects in it continue to exist, but
//!   can no longer be opened by their names.
//! - The order of the SIDs does not matter, but no SID may occur twice.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use windows_sys::Win32::Foundation::{
    ERROR_ALREADY_EXISTS, ERROR_DUP_NAME, ERROR_INVALID_SID, ERROR_PATH_NOT_FOUND,
};

use super::LastError;
use super::api::{BoundaryDescriptor, NamespaceCalls, NamespaceHandle, SecurityAttributes};
use super::self_relative::SelfRelative;
use super::sid::Sid;
use super::wide::Wide;
use crate::sys::{Failure, Reason};

/// Whether this system has private namespaces.
pub(crate) fn is_available() -> bool {
    System::get().is_ok()
}

/// The number of attempts to open or create a namespace that other processes create and close meanwhile.
const MAX_ATTEMPTS: u32 = 100;

/// An open private namespace. The process closes it when the last of these is dropped; it disappears when no
/// process has it open.
pub(crate) struct PrivateNamespace {
    system: &'static System,
    alias: String,
}

impl PrivateNamespace {
    /// Opens the namespace of a boundary, or creates it, under `alias`: the prefix that its names have in
    /// this process. The boundary consists of its name, of SIDs, and of the minimum integrity level (a RID).
    /// `descriptor`, a self-relative security descriptor, protects the namespace itself if it is created.
    pub(crate) fn open_or_create(
        boundary: &str,
        sids: &[Vec<u8>],
        integrity: Option<u32>,
        descriptor: &[u8],
        alias: &str,
    ) -> Result<Self, Failure> {
        System::get()?.open_or_create(&Boundary::new(boundary, sids, integrity), descriptor, alias)
    }

    /// Opens the namespace of a boundary.
    pub(crate) fn open(
        boundary: &str,
        sids: &[Vec<u8>],
        integrity: Option<u32>,
        alias: &str,
    ) -> Result<Self, Failure> {
        System::get()?.open(&Boundary::new(boundary, sids, integrity), alias)
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
            // This closes the handle under the lock: until it is closed, the alias is not free.
            open.remove(&self.alias);
        }
    }
}

/// A namespace that is open in this process.
struct Entry {
    boundary: Boundary,
    _handle: NamespaceHandle,
    /// The number of [`PrivateNamespace`]s that share the handle.
    users: usize,
}

/// The calls, and the namespaces that this process has opened with them.
struct System {
    calls: NamespaceCalls,
    /// By alias. A second user of an alias shares the handle, because the system would not open another one.
    /// The users are counted here and not by an `Arc`: between the drop of the last `Arc` and the closing of
    /// the handle, another thread could request the alias.
    open: Mutex<BTreeMap<String, Entry>>,
}

/// The properties that identify a boundary, with the SIDs in a canonical order.
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

    fn describe<'c>(&self, calls: &'c NamespaceCalls) -> Result<BoundaryDescriptor<'c>, Failure> {
        let name = if self.name.is_empty() { None } else { Wide::new(&self.name) };
        let name = name.ok_or(Failure::new(Reason::BadName))?;
        let mut descriptor = calls.create_boundary_descriptor(&name)?;
        for sid in &self.sids {
            descriptor.add_sid(&Sid::new(sid).ok_or(LastError(ERROR_INVALID_SID))?)?;
        }
        if let Some(rid) = self.integrity {
            descriptor.add_integrity_label(&Sid::integrity(rid))?;
        }
        Ok(descriptor)
    }
}

/// Checks that an alias can be the prefix of names.
fn check_alias(alias: &str) -> Result<Wide, Failure> {
    let is_reserved = ["Global", "Local", "Session"].iter().any(|prefix| alias.eq_ignore_ascii_case(prefix));
    let wide = if alias.is_empty() || alias.contains('\\') || is_reserved { None } else { Wide::new(alias) };
    wide.ok_or(Failure::new(Reason::BadName))
}

fn failure(error: LastError) -> Failure {
    let reason = match error.0 {
        ERROR_PATH_NOT_FOUND => Reason::Missing,
        // This process uses the alias for another boundary.
        ERROR_DUP_NAME => Reason::Exists,
        _ => return error.into(),
    };
    Failure { reason, ..error.into() }
}

impl System {
    fn get() -> Result<&'static Self, Failure> {
        static SYSTEM: OnceLock<Option<System>> = OnceLock::new();
        let system = SYSTEM.get_or_init(|| NamespaceCalls::look_up().map(System::new));
        system.as_ref().ok_or(Failure::new(Reason::Unsupported))
    }

    const fn new(calls: NamespaceCalls) -> Self {
        System { calls, open: Mutex::new(BTreeMap::new()) }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        // No panic can leave the table inconsistent.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_or_create(
        &'static self,
        boundary: &Boundary,
        descriptor: &[u8],
        alias: &str,
    ) -> Result<PrivateNamespace, Failure> {
        let prefix = check_alias(alias)?;
        let descriptor = SelfRelative::new(descriptor)?;
        let attributes = SecurityAttributes::self_relative(&descriptor);
        let described = boundary.describe(&self.calls)?;
        let open = || self.enter(alias, boundary, || self.calls.open_private_namespace(&described, &prefix));
        let create = || {
            self.enter(alias, boundary, || {
                self.calls.create_private_namespace(&attributes, &described, &prefix)
            })
        };
        let mut attempt = 0;
        loop {
            // Opening comes first: a process outside the boundary cannot create the namespace, but may be
            // allowed to open it.
            let entered = match open() {
                Err(LastError(ERROR_PATH_NOT_FOUND)) => create(),
                entered => entered,
            };
            match entered {
                // Another process has created the namespace meanwhile, is creating it, or has just closed it.
                Err(LastError(ERROR_ALREADY_EXISTS)) if attempt < MAX_ATTEMPTS => attempt += 1,
                entered => return entered.map_err(failure),
            }
            if attempt < MAX_ATTEMPTS / 10 {
                thread::yield_now();
            } else {
                thread::sleep(Duration::from_millis(1));
            }
        }
    }

    fn open(&'static self, boundary: &Boundary, alias: &str) -> Result<PrivateNamespace, Failure> {
        let prefix = check_alias(alias)?;
        let described = boundary.describe(&self.calls)?;
        self.enter(alias, boundary, || self.calls.open_private_namespace(&described, &prefix))
            .map_err(failure)
    }

    /// Shares the handle that this process has under the alias, or calls `get` for one.
    fn enter(
        &'static self,
        alias: &str,
        boundary: &Boundary,
        get: impl FnOnce() -> Result<NamespaceHandle, LastError>,
    ) -> Result<PrivateNamespace, LastError> {
        let mut open = self.lock();
        if let Some(entry) = open.get_mut(alias) {
            if entry.boundary != *boundary {
                return Err(LastError(ERROR_DUP_NAME));
            }
            entry.users += 1;
        } else {
            let entry = Entry { boundary: boundary.clone(), _handle: get()?, users: 1 };
            open.insert(alias.to_owned(), entry);
        }
        Ok(PrivateNamespace { system: self, alias: alias.to_owned() })
    }
}

#[cfg(test)]
mod tests;
