//! Mounts that a role makes for itself alone (Linux, as root).

use testkit::{Peer, unique_name};

/// Plays a role that mounts something and reports "done", or "skip: " and the reason.
pub(crate) fn play(role: &str) {
    if !cfg!(target_os = "linux") {
        testkit::skip("mounts of a process's own are made on Linux only");
    }
    #[cfg(unix)]
    crate::users::need_root();
    let mut peer = Peer::start(role, &[&unique_name("mounted")]);
    match peer.hear().as_str() {
        "done" => peer.finish(),
        answer => testkit::skip(answer),
    }
}

#[cfg(target_os = "linux")]
pub(crate) use crate::spaces::mount;

#[cfg(not(target_os = "linux"))]
pub(crate) fn mount(_kind: &str, _at: &str, _options: &str) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}
