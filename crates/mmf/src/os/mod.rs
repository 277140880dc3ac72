//! What only one family of systems has: handles (Windows) and descriptors (Unix).

#[cfg(unix)]
pub mod unix;
#[cfg(windows)]
pub mod windows;
