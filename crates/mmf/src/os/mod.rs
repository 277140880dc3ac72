//! Conversions from and to what only one family of systems has: handles (Windows) and descriptors (Unix).
//!
//! `os::windows::SharedMemoryExt` takes over and returns handles of sections. `os::unix::SharedMemoryExt`
//! takes over and returns descriptors, and sends and receives regions over Unix domain sockets. What arrives
//! is checked before it is used.

#[cfg(unix)]
pub mod unix;
#[cfg(windows)]
pub mod windows;
