//! The named memories of the machine.

use std::os::windows::io::AsHandle;

use super::api;
use super::name::{ObjectName, Space};
use crate::sys::{Failure, Found};

/// Reads the object manager's directories of this session and of the machine.
pub(crate) fn list() -> Result<Vec<Found>, Failure> {
    // Session 0, that of the services, has no directory of its own: its local names are global.
    let session = api::session()?;
    let mut found = Vec::new();
    if session != 0 {
        read(&format!(r"\Sessions\{session}\BaseNamedObjects"), false, &mut found)?;
    }
    read(r"\BaseNamedObjects", true, &mut found)?;
    found.sort_by(|a, b| (a.global, &a.text).cmp(&(b.global, &b.text)));
    Ok(found)
}

/// The same: nothing is stale here, so to ask that costs nothing.
pub(crate) fn names() -> Result<Vec<Found>, Failure> {
    list()
}

/// The kind of what has this name, as the object manager calls it.
pub(super) fn kind(name: &ObjectName) -> Option<String> {
    let path = match name.space() {
        Space::Global => r"\BaseNamedObjects".to_owned(),
        Space::Local => match api::session().ok()? {
            0 => r"\BaseNamedObjects".to_owned(),
            session => format!(r"\Sessions\{session}\BaseNamedObjects"),
        },
        Space::Private(_) => return None,
    };
    let text = name.text();
    let directory = api::open_directory(&path).ok()?;
    let entries = api::entries(directory.as_handle()).ok()?;
    entries.into_iter().find(|(found, _)| *found == text).map(|(_, kind)| kind)
}

fn read(path: &str, global: bool, found: &mut Vec<Found>) -> Result<(), Failure> {
    let directory = api::open_directory(path)?;
    for (text, kind) in api::entries(directory.as_handle())? {
        if kind == "Section" {
            found.push(Found { global, text, stale: false });
        }
    }
    Ok(())
}
