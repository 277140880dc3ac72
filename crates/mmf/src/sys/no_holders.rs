//! Systems that do not report which processes hold an object.

use super::{Failure, FoundHolder, ObjectName, Reason};

pub(crate) fn exclusive_holder(_: &ObjectName) -> Option<FoundHolder> {
    None
}

pub(crate) fn holders(_: (u64, u64)) -> Result<(Vec<FoundHolder>, bool), Failure> {
    Err(Failure::new(Reason::Unsupported))
}

pub(crate) fn holders_among(_: &[u32], _: (u64, u64)) -> Vec<FoundHolder> {
    Vec::new()
}
