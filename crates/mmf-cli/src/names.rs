//! Names of regions on the command line.

use mmf::Name;

use crate::text::printable;

/// Parses the name of an existing region.
///
/// A region may have a name that is refused for a new one. Such a name is accepted as `mmf ls` shows it, in
/// text or in JSON.
pub(crate) fn existing(text: &str) -> Result<Name, mmf::Error> {
    Name::new(text).or_else(|error| listed(text).ok_or(error))
}

fn listed(text: &str) -> Option<Name> {
    let found = mmf::inspect::list().ok()?;
    found.iter().find_map(|entry| {
        let full = format!("{}{}", entry.namespace().prefix(), entry.text());
        let is_it = full == text || printable(&full) == text;
        is_it.then(|| entry.name().ok()).flatten()
    })
}
