//! The named memories of the machine.

use std::os::windows::io::AsHandle;

use super::api;
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

fn read(path: &str, global: bool, found: &mut Vec<Found>) -> Result<(), Failure> {
    let directory = api::open_directory(path)?;
    for (text, kind) in api::entries(directory.as_handle())? {
        if kind == "Section" {
            found.push(Found { global, text, stale: false });
        }
    }
    Ok(())
}
