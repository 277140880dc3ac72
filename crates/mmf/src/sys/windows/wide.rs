//! Zero-terminated UTF-16, as the calls take and return it.

use std::os::windows::ffi::OsStrExt;
use std::path::{Component, Path, Prefix};

/// A text that contains no NUL, followed by one.
#[derive(Clone, Debug)]
pub(super) struct Wide(Vec<u16>);

impl Wide {
    /// Encodes a text. Returns `None` if it contains a NUL: a call would treat the part before it as the
    /// whole text.
    pub(super) fn new(text: &str) -> Option<Self> {
        if text.contains('\0') { None } else { Some(Wide(text.encode_utf16().chain([0]).collect())) }
    }

    pub(super) fn as_ptr(&self) -> *const u16 {
        self.0.as_ptr()
    }
}

/// Returns the text before the first NUL, or all of it.
pub(super) fn text(units: &[u16]) -> String {
    let end = units.iter().position(|&unit| unit == 0).unwrap_or(units.len());
    String::from_utf16_lossy(&units[..end])
}

/// An absolute path, zero-terminated, in a form that the calls accept at any length.
#[derive(Debug)]
pub(super) struct WidePath(Vec<u16>);

/// The calls accept a path of this length only in its long form. (For directories the limit is lower than for
/// files, because a file name of 12 characters must fit after it.)
const LONG: usize = 240;

impl WidePath {
    /// Encodes a path. Returns `None` if it contains a NUL or is no path.
    pub(super) fn new(path: &Path) -> Option<Self> {
        let path = std::path::absolute(path).ok()?;
        let mut units: Vec<u16> = path.as_os_str().encode_wide().collect();
        if units.contains(&0) {
            return None;
        }
        if units.len() >= LONG {
            let (prefix, rest) = match path.components().next() {
                Some(Component::Prefix(prefix)) => match prefix.kind() {
                    Prefix::Disk(_) => (r"\\?\", 0),
                    // The prefix replaces the two backslashes at the start.
                    Prefix::UNC(..) => (r"\\?\UNC\", 2),
                    _ => ("", 0),
                },
                _ => ("", 0),
            };
            units = prefix.encode_utf16().chain(units.into_iter().skip(rest)).collect();
        }
        units.push(0);
        Some(WidePath(units))
    }

    pub(super) fn as_ptr(&self) -> *const u16 {
        self.0.as_ptr()
    }
}

#[cfg(test)]
mod tests;
