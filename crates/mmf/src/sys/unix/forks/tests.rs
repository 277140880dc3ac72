use super::*;

#[test]
fn forks_and_openers_wait_for_each_other() {
    let guard = NoFork::begin();
    assert_ne!(fork_epoch(), 0);
    assert!(OPENERS.load(SeqCst) > 0);
    let thread = std::thread::spawn(|| {
        // SAFETY: the child calls only async-signal-safe functions, and ends at once.
        match unsafe { libc::fork() } {
            // SAFETY: `_exit` has no requirements.
            0 => unsafe { libc::_exit(i32::from(fork_epoch() != 0 || OPENERS.load(SeqCst) != 0)) },
            child => {
                let mut status = 0;
                // SAFETY: `status` is valid to write.
                assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
                assert_eq!(status, 0, "the child has its parent's epoch");
            }
        }
    });
    while FORKING.load(SeqCst) == 0 {
        std::thread::yield_now();
    }
    assert!(!thread.is_finished());
    drop(guard);
    thread.join().unwrap();
    assert_eq!(FORKING.load(SeqCst), 0);
}

#[test]
fn a_bare_clone_has_its_own_epoch() {
    track_forks();
    if std::env::var_os("MMF_TEST_RUNNER").is_some() && !IS_CLEARED.load(Relaxed) {
        println!("skipped: the emulator does not clear pages in children");
        return;
    }
    assert!(IS_CLEARED.load(Relaxed));
    let before = fork_epoch();
    assert_eq!(remember(|| [1, 2, 3]).len(), 3);
    // SAFETY: without flags this is a fork that calls no handlers. The child only loads atomics, calls
    // `remember`, and ends.
    match unsafe {
        libc::syscall(libc::SYS_clone, libc::c_long::from(libc::SIGCHLD), 0_usize, 0_usize, 0_usize, 0_usize)
    } {
        0 => {
            let same = fork_epoch() == before || remember(|| [7, 8, 9]) != [7, 8, 9];
            // SAFETY: `_exit` has no requirements.
            unsafe { libc::_exit(i32::from(same)) }
        }
        child => {
            let mut status = 0;
            let child = i32::try_from(child).unwrap();
            // SAFETY: `status` is valid to write.
            assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
            assert_eq!(status, 0, "the child has its parent's epoch");
        }
    }
    assert_eq!(fork_epoch(), before);
}
