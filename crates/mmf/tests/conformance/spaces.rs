//! Roles that run in namespaces of their own (Linux, as root).

#[cfg(target_os = "linux")]
pub(crate) use linux::*;

/// Plays a role in other namespaces: see `start_in`.
#[cfg(not(target_os = "linux"))]
pub(crate) fn role_in(_: &mut testkit::Role) {}

#[cfg(target_os = "linux")]
mod linux {
    use std::ffi::CString;
    use std::io;
    use std::os::fd::AsRawFd;
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};

    use testkit::{Peer, Role, command_for, command_for_role};

    /// The combinations of namespaces whose processes see each other differently.
    pub(crate) const SPACES: [&str; 6] = ["", "time", "pid proc", "pid", "no-proc", "time pid no-proc"];

    /// Converts the result of a call of the C library.
    pub(crate) fn done(code: i32) -> io::Result<()> {
        if code == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Skips the test under an emulator of another processor: it has threads and descriptors of its own and
    /// does not pass on all memory advice (such as `MADV_DONTFORK`), so the test would exercise the emulator.
    pub(crate) fn skip_if_emulated() {
        if std::env::var_os("MMF_TEST_RUNNER").is_some() {
            testkit::skip("an emulator stands between this program and the kernel");
        }
    }

    /// Runs `role` in other namespaces:
    ///
    /// - `time`: a time namespace whose clocks since boot are far ahead;
    /// - `pid`: a pid namespace, with the `/proc` of the one outside;
    /// - `proc`: `/proc` of the pid namespace that the process is in;
    /// - `no-proc`: an empty `/proc`;
    /// - `small`: a `/dev/shm` of 1 MiB.
    ///
    /// It reports "in" first, or "skip: " and the reason.
    pub(crate) fn command_in(spaces: &str, role: &str, arguments: &[&str]) -> Command {
        let exe = std::env::current_exe().unwrap();
        let mut all = vec![spaces, exe.to_str().unwrap(), role];
        all.extend_from_slice(arguments);
        command_for_role("spaces::role_in", &all)
    }

    /// Starts it. Skips the test where that is not possible.
    pub(crate) fn start_in(spaces: &str, role: &str, arguments: &[&str]) -> Peer {
        let mut peer = Peer::adopt(role, command_in(spaces, role, arguments).spawn().unwrap());
        let answer = peer.hear();
        if let Some(why) = answer.strip_prefix("skip: ") {
            testkit::skip(why);
        }
        assert_eq!(answer, "in");
        peer
    }

    pub(crate) fn role_in(role: &mut Role) {
        let mut spaces = role.argument(0).split_whitespace();
        let entered = loop {
            let Some(space) = spaces.next() else { break Ok(()) };
            let entered = match space {
                "time" => enter_time_namespace(),
                "proc" => mount("proc", "/proc", ""),
                "no-proc" => mount("tmpfs", "/proc", ""),
                "small" => mount("tmpfs", "/dev/shm", "size=1m"),
                // SAFETY: no requirements.
                "pid" => match done(unsafe { libc::unshare(libc::CLONE_NEWPID) }) {
                    // Only its children are in it: the first of them runs the rest.
                    Ok(()) => return go_on(role, &spaces.collect::<Vec<_>>().join(" ")),
                    Err(error) => Err(error),
                },
                other => panic!("{other}"),
            };
            if let Err(error) = entered {
                break Err(format!("{space}: {error}"));
            }
        };
        match entered {
            Err(why) => role.say(format!("skip: {why}")),
            Ok(()) => {
                role.say("in");
                let mut command = command_for(role.argument(1));
                let failed = command.arg("--play-role").arg(role.argument(2)).args(arguments()).exec();
                panic!("{failed}");
            }
        }
    }

    /// Returns the arguments of the role that is to run in the end.
    fn arguments() -> impl Iterator<Item = String> {
        // The program, the flag, the name of this role, and its first three arguments come before them.
        std::env::args().skip(6)
    }

    fn go_on(role: &Role, spaces: &str) {
        let mut command = command_for(role.argument(1));
        command.arg("--play-role").arg("spaces::role_in").arg(spaces);
        command.arg(role.argument(1)).arg(role.argument(2)).args(arguments());
        let end_with_parent = || {
            // SAFETY: no requirements.
            done(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) })
        };
        // SAFETY: the closure takes no lock and no memory.
        unsafe { command.pre_exec(end_with_parent) };
        command.stdin(Stdio::inherit()).stdout(Stdio::inherit()).stderr(Stdio::inherit());
        let ending = command.spawn().unwrap().wait().unwrap();
        std::process::exit(ending.code().unwrap_or(1));
    }

    fn enter_time_namespace() -> io::Result<()> {
        // SAFETY: no requirements.
        done(unsafe { libc::unshare(libc::CLONE_NEWTIME) })?;
        std::fs::write("/proc/self/timens_offsets", "boottime 100000 0\nmonotonic 100000 0\n")?;
        let file = std::fs::File::open("/proc/self/ns/time_for_children")?;
        // SAFETY: an open descriptor; this process has one thread.
        done(unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWTIME) })
    }

    /// Mounts a file system at a directory, for this process and its children.
    pub(crate) fn mount(kind: &str, at: &str, options: &str) -> io::Result<()> {
        let text = |text: &str| CString::new(text).unwrap();
        // SAFETY: no requirements.
        done(unsafe { libc::unshare(libc::CLONE_NEWNS) })?;
        let (none, root) = (text("none"), text("/"));
        let private = libc::MS_REC | libc::MS_PRIVATE;
        let nothing = std::ptr::null;
        // SAFETY: zero-terminated texts. Later mounts are visible to this process alone.
        done(unsafe { libc::mount(none.as_ptr(), root.as_ptr(), nothing(), private, nothing().cast()) })?;
        let (name, at, kind, options) = (text("mmf"), text(at), text(kind), text(options));
        // SAFETY: zero-terminated texts.
        done(unsafe { libc::mount(name.as_ptr(), at.as_ptr(), kind.as_ptr(), 0, options.as_ptr().cast()) })
    }
}

testkit::registry! {
    spaces
    tests {
    }
    roles {
        role_in
    }
}
