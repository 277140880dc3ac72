//! The conformance suite: one test for each promise of the library, on every system and processor.
//!
//! Where a promise is about processes, the other process is this program in a role, or a program in another
//! language.
#![allow(
    clippy::unwrap_used,
    clippy::wildcard_imports,
    clippy::cast_possible_truncation,
    clippy::multiple_unsafe_ops_per_block,
    reason = "a test"
)]

#[path = "conformance/causes.rs"]
mod causes;
#[path = "conformance/diagnosis.rs"]
mod diagnosis;
#[path = "conformance/disk.rs"]
mod disk;
#[path = "conformance/errors.rs"]
mod errors;
#[path = "conformance/faults.rs"]
mod faults;
#[path = "conformance/files.rs"]
mod files;
#[path = "conformance/foreign.rs"]
mod foreign;
#[path = "conformance/growth.rs"]
mod growth;
#[path = "conformance/handlers.rs"]
mod handlers;
#[path = "conformance/handoff.rs"]
mod handoff;
#[path = "conformance/identity.rs"]
mod identity;
#[path = "conformance/inspect.rs"]
mod inspect;
#[path = "conformance/lifetime.rs"]
mod lifetime;
#[path = "conformance/locks.rs"]
mod locks;
#[path = "conformance/mounts.rs"]
mod mounts;
#[path = "conformance/options.rs"]
mod options;
#[path = "conformance/owners.rs"]
mod owners;
#[path = "conformance/pages.rs"]
mod pages;
#[path = "conformance/presence.rs"]
mod presence;
#[path = "conformance/security.rs"]
mod security;
#[path = "conformance/segment.rs"]
mod segment;
#[path = "conformance/sharing.rs"]
mod sharing;
#[path = "conformance/spaces.rs"]
mod spaces;
#[path = "conformance/surface.rs"]
mod surface;
#[path = "conformance/system.rs"]
mod system;
#[cfg(unix)]
#[path = "conformance/users.rs"]
mod users;
#[path = "conformance/views.rs"]
mod views;
#[path = "conformance/windows.rs"]
mod windows;

/// Runs what these modules register by `testkit::registry!`, each at its end.
macro_rules! run {
    ($($module:ident)*) => {
        testkit::run(&[$($module::TESTS),*].concat(), &[$($module::ROLES),*].concat())
    };
}

fn main() {
    run! {
        causes
        diagnosis
        disk
        errors
        faults
        files
        foreign
        growth
        handlers
        handoff
        identity
        inspect
        lifetime
        locks
        options
        owners
        pages
        presence
        security
        segment
        sharing
        spaces
        surface
        system
        views
        windows
    }
}
