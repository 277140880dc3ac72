//! Explains why an operation was refused, or whether it would be, without changing anything.
//!
//! An [`Error`](crate::Error) carries a [`Diagnosis`]: its causes and remedies, as values and as text.
//! [`OpenOptions::check_open`](crate::OpenOptions::check_open) and its siblings return one in advance.
//! [`examine`] and [`environment()`] are for tools such as `mmf doctor`.

// `gather` and `explain` query the system for `facts`; `rules` turn facts, and nothing else, into findings,
// so that recorded facts test them; `cause` and `remedy` put them into words.
mod cause;
mod environment;
mod explain;
mod facts;
mod finding;
mod gather;
mod name_report;
mod remedy;
mod rules;
mod words;

pub use cause::Cause;
pub use environment::{Action, BackingStore, Capability, Environment, Privilege, environment};
pub use facts::PrivilegeState;
pub(crate) use facts::Question;
pub use finding::{Diagnosis, Finding, Severity};
pub(crate) use gather::{ask, explain, explain_delay, is_there};
pub use name_report::{NameReport, examine};
pub use remedy::Remedy;
