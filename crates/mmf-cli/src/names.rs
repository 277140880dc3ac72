//! Names of regions, as they are given to the command.

use mmf::Name;

use crate::output::printable;

/// Reads a name; also one that only `mmf ls` shows, as it is printed there or in its JSON: others may have given a region a name
/// that is refused as a mistake where a new one is named.
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
