//! Queries that change nothing.

pub(crate) use super::facts::{
    confinement, fault_sign, holders_of, map_limits, memory_group, pool, promised,
};
pub(crate) use super::limits::{limit_reached, limits, locked_limit};
pub(crate) use super::name_probe::{grants_to_users, names_are_replaceable, probe_name, space};

/// Returns false: private namespaces exist only on Windows.
pub(crate) fn has_private_namespaces() -> bool {
    false
}

/// Returns the length itself, since this system does not round lengths.
pub(crate) fn rounded(len: u64) -> u64 {
    len
}

/// Returns the page size, the unit that view offsets are rounded to internally, and the size of large pages
/// if a region can request one.
pub(crate) fn page_sizes() -> (u64, u64, Option<u64>) {
    let page = rustix::param::page_size() as u64;
    (page, page, None)
}
