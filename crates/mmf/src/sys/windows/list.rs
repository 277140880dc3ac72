//! The named regions of the machine.

use std::os::windows::io::AsHandle;

use windows_sys::Win32::Foundation::ERROR_INSUFFICIENT_BUFFER;

use super::api::{self, DirectoryEntry};
use super::name::{ObjectName, Space};
use super::{LastError, process};
use crate::sys::{Failure, Found};

/// The sizes of the buffer for a directory, in 64-bit words: the first one, and the largest one.
const FIRST_WORDS: usize = (64 << 10) / 8;
const MAX_WORDS: usize = (64 << 20) / 8;

/// Lists the sections in the directories of this session and of the machine.
pub(crate) fn list() -> Result<Vec<Found>, Failure> {
    let session = process::session()?;
    let mut found = Vec::new();
    // Session 0, that of the services, has no directory of its own: its local names are global.
    if session != 0 {
        list_sections(&directory_of(session), false, &mut found)?;
    }
    list_sections(&directory_of(0), true, &mut found)?;
    found.sort_by(|a, b| (a.global, &a.text).cmp(&(b.global, &b.text)));
    Ok(found)
}

/// Lists the same as [`list`]: no region is stale on Windows, so the state costs no query.
pub(crate) fn names() -> Result<Vec<Found>, Failure> {
    list()
}

/// Returns the type of the object that has this name, in the terms of the object manager.
pub(super) fn type_name(name: &ObjectName) -> Option<String> {
    let session = match name.space() {
        Space::Global => 0,
        Space::Local => process::session().ok()?,
        Space::Private(_) => return None,
    };
    let text = name.text();
    let entries = entries(&directory_of(session)).ok()?;
    entries.into_iter().find(|entry| entry.name == text).map(|entry| entry.type_name)
}

/// Returns the directory of the names of a session.
fn directory_of(session: u32) -> String {
    match session {
        0 => r"\BaseNamedObjects".to_owned(),
        session => format!(r"\Sessions\{session}\BaseNamedObjects"),
    }
}

fn list_sections(path: &str, global: bool, found: &mut Vec<Found>) -> Result<(), Failure> {
    let sections = entries(path)?.into_iter().filter(|entry| entry.type_name == "Section");
    found.extend(sections.map(|entry| Found { global, text: entry.name, stale: false }));
    Ok(())
}

/// Returns all entries of a directory, or those that fit into the largest buffer.
///
/// One call returns them all. The system continues a listing by its position in the directory, so a listing
/// in several calls would miss entries while others come and go.
fn entries(path: &str) -> Result<Vec<DirectoryEntry>, LastError> {
    let directory = api::nt_open_directory_object(path)?;
    let mut words = FIRST_WORDS;
    loop {
        match api::nt_query_directory_object(directory.as_handle(), &mut vec![0; words]) {
            Ok((_, false)) | Err(LastError(ERROR_INSUFFICIENT_BUFFER)) if words < MAX_WORDS => words *= 2,
            Ok((entries, _)) => return Ok(entries),
            Err(error) => return Err(error),
        }
    }
}
