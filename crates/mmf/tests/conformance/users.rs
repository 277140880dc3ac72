//! Runs roles as other users of the machine (on Linux, as root).

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use testkit::{Peer, unique_name};

/// Users and groups that need no entry in any database.
pub(crate) const ANN: u32 = 54_321;
pub(crate) const BOB: u32 = 54_322;
pub(crate) const STAFF: u32 = 54_400;

/// Skips the test where roles cannot run as other users.
pub(crate) fn need_root() {
    if !cfg!(target_os = "linux") {
        testkit::skip("roles can run as another user on Linux only");
    }
    if !rustix_is_root() {
        testkit::skip("only root can start a process as another user");
    }
}

fn rustix_is_root() -> bool {
    // SAFETY: geteuid() has no preconditions and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// Returns a command that runs this program in a role, as a user in one group and no other.
pub(crate) struct Played {
    pub(crate) peer: Peer,
    program: std::path::PathBuf,
}

impl Drop for Played {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.program);
    }
}

pub(crate) fn play(user: u32, group: u32, role: &str, arguments: &[&str]) -> Played {
    play_with(user, group, role, arguments, |command| command.spawn().unwrap())
}

/// Wraps a command so that it runs as such a user.
pub(crate) fn play_with(
    user: u32,
    group: u32,
    role: &str,
    arguments: &[&str],
    start: impl FnOnce(&mut Command) -> Child,
) -> Played {
    need_root();
    // A copy, because the directory of this program may be closed to others. Another process creates it: a
    // descriptor that writes to it here could be inherited by the child of another test, and starting it
    // would fail ("text file busy").
    let program = std::env::temp_dir().join(unique_name("program"));
    let copied = Command::new("cp").arg(std::env::current_exe().unwrap()).arg(&program).status().unwrap();
    assert!(copied.success());
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = testkit::command_for(&program);
    command.arg("--play-role").arg(role).args(arguments).uid(user).gid(group).current_dir("/");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Played { peer: Peer::adopt(role, start(&mut command)), program }
}
