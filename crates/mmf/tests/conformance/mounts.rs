//! Mounts that a role makes for itself alone (Linux, as root).

use testkit::{Peer, unique_name};

/// Plays a role that mounts something and then says "done", or "skip: " and why it cannot.
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

/// Mounts a file system at a folder, for this process and its children.
#[cfg(target_os = "linux")]
pub(crate) fn mount(kind: &str, at: &str, options: &str) -> std::io::Result<()> {
    let text = |text: &str| std::ffi::CString::new(text).unwrap();
    let done = |code| if code == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) };
    // SAFETY: no requirements.
    done(unsafe { libc::unshare(libc::CLONE_NEWNS) })?;
    let (none, root) = (text("none"), text("/"));
    // SAFETY: zero-terminated texts. What is mounted from now on is seen by this process alone.
    done(unsafe {
        libc::mount(
            none.as_ptr(),
            root.as_ptr(),
            std::ptr::null(),
            libc::MS_REC | libc::MS_PRIVATE,
            std::ptr::null(),
        )
    })?;
    let (name, at, kind, options) = (text("mmf"), text(at), text(kind), text(options));
    // SAFETY: zero-terminated texts.
    done(unsafe { libc::mount(name.as_ptr(), at.as_ptr(), kind.as_ptr(), 0, options.as_ptr().cast()) })
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn mount(_kind: &str, _at: &str, _options: &str) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}
