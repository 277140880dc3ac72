//! Other signal handlers come and go and libraries are unloaded, but faults in shared memory stay errors, and
//! all other faults still reach the handler that they would have reached.
#![allow(clippy::multiple_unsafe_ops_per_block, reason = "a test")]

/// The tests of this file. On systems without signals they are skipped with that reason.
macro_rules! tests {
    ($($test:ident)*; $($role:ident)*) => {
        #[cfg(unix)]
        pub(crate) use here::{$($test,)* $($role,)*};
        #[cfg(not(unix))]
        mod elsewhere {
            $(pub(crate) fn $test() {
                testkit::skip("here, tables of the routines catch faults: no handler can be replaced")
            })*
            $(pub(crate) fn $role(_: &mut testkit::Role) {})*
        }
        #[cfg(not(unix))]
        pub(crate) use elsewhere::*;
    };
}
tests! {
    the_default_action_restored_later a_later_handler_that_does_not_chain a_later_handler_that_chains
    a_one_shot_handler_runs_once two_later_handlers a_reinstalled_handler_makes_no_cycle
    handlers_installed_during_faults
    more_handlers_than_can_be_taken_over a_replaced_handler_can_be_left_alone copies_need_no_handler
    a_previous_handler_has_its_own_stack an_overflowed_stack_is_still_reported blocked_signals_are_reported
    a_forked_child_inherits_the_handler a_plugin_is_unloaded two_libraries_do_not_take_turns
    faulthandler_enabled_later
    a_jvm_before_or_after_us;
    role_default role_mute role_one_call role_chaining role_two role_again role_race role_exhaust role_leave
    role_kernel role_stack
    role_overflow role_fork
}

#[cfg(unix)]
mod here {
    use std::path::PathBuf;
    use std::process::Command;
    use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};

    use libc::{c_int, c_void, siginfo_t};
    use mmf::faults::{self, Policy, Position};
    use mmf::os::unix::SharedMemoryExt;
    use mmf::{ErrorKind, ReadWrite, SharedMemory, View};
    use testkit::{Ending, Peer, Role, page_size, unique_name};

    /// Returns a view of eight pages, of which the last seven have been truncated.
    fn cut() -> View<ReadWrite> {
        let path = std::env::temp_dir().join(unique_name("cut"));
        let file = std::fs::File::options().read(true).write(true).create_new(true).open(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        file.set_len(8 * page_size() as u64).unwrap();
        let fd = file.try_clone().unwrap().into();
        let view = SharedMemory::<ReadWrite>::from_fd(fd).unwrap().view().unwrap();
        file.set_len(page_size() as u64).unwrap();
        view
    }

    fn another_mapping() -> View<ReadWrite> {
        another_mapping_of(4096)
    }

    fn another_mapping_of(len: usize) -> View<ReadWrite> {
        SharedMemory::anonymous(len as u64).unwrap().view().unwrap()
    }

    /// Skips the test where the kernel makes no copies. Only Linux does, unless a system call filter or an
    /// emulator prevents it.
    fn need_kernel_copies() {
        if let Err(error) = another_mapping().with_kernel_copies() {
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
            assert_eq!(faults::set_policy(Policy::NoHandler).unwrap_err().kind(), ErrorKind::Unsupported);
            testkit::skip("the kernel makes no copies for this process");
        }
    }

    #[track_caller]
    fn assert_faults(view: &View<ReadWrite>) {
        let page = page_size();
        let offset = |result: Result<(), mmf::Error>| {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Fault, "{error}");
            error.fault().unwrap().offset()
        };
        assert_eq!(offset(view.read_exact_at(&mut [0; 64], page + 5)), page + 5);
        assert_eq!(offset(view.write_all_at(&[1; 9], 2 * page)), 2 * page);
        assert_eq!(offset(view.fill(1, 3 * page..3 * page + 100)), 3 * page);
        view.write_all_at(&[7; 100], 0).unwrap();
        assert_eq!(view.read::<u8>(50).unwrap(), 7);
    }

    fn action_of(signal: c_int) -> libc::sigaction {
        // SAFETY: a plain C structure for which all zeros is a value.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        // SAFETY: it only queries.
        assert_eq!(unsafe { libc::sigaction(signal, std::ptr::null(), &mut action) }, 0);
        action
    }

    fn set(signal: c_int, handler: usize, flags: c_int) -> libc::sigaction {
        // SAFETY: a plain C structure for which all zeros is a value.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        (action.sa_sigaction, action.sa_flags) = (handler, flags);
        let mut former = action;
        // SAFETY: whole actions; the handlers here do only what is allowed in one.
        assert_eq!(unsafe { libc::sigaction(signal, &action, &mut former) }, 0);
        former
    }

    /// Causes a fault that is not the library's.
    fn foreign_fault() {
        foreign_fault_at(testkit::inaccessible_page());
    }

    fn foreign_fault_at(place: *const u8) {
        FOREIGN.store(place.addr(), Ordering::SeqCst);
        // SAFETY: not safe at all: a handler handles it, or ends the process.
        unsafe { place.read_volatile() };
    }

    /// Accesses truncated bytes without the guard: a SIGBUS that the library does not promise to catch.
    fn foreign_bus_error(view: &View<ReadWrite>) {
        foreign_fault_at(view.as_ptr().wrapping_add(4 * page_size()));
    }

    static FOREIGN: AtomicUsize = AtomicUsize::new(0);
    /// How often these handlers were called for a foreign fault, and for one of the library.
    static CALLS: [AtomicU8; 3] = [AtomicU8::new(0), AtomicU8::new(0), AtomicU8::new(0)];
    static WRONGLY: AtomicBool = AtomicBool::new(false);
    static NEXT: [AtomicUsize; 3] = [AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0)];

    fn called(which: usize, info: *mut siginfo_t) {
        // SAFETY: the kernel gives a valid siginfo.
        if unsafe { (*info).si_addr() }.addr() == FOREIGN.load(Ordering::SeqCst) {
            CALLS[which].fetch_add(1, Ordering::SeqCst);
        } else {
            WRONGLY.store(true, Ordering::SeqCst);
        }
    }

    /// Ends the process with a status that encodes how often each handler was called for the foreign fault.
    fn end() -> ! {
        let [first, second, third] =
            [0, 1, 2].map(|which| i32::from(CALLS[which].load(Ordering::SeqCst).min(3)));
        let status = 64 + first + 4 * second + 16 * third;
        // SAFETY: allowed in a handler.
        unsafe { libc::_exit(status) }
    }

    fn calls(ending: Ending) -> Vec<i32> {
        let status = ending.code().unwrap_or_else(|| panic!("{ending:?}")) - 64;
        vec![status % 4, status / 4 % 4, status / 16]
    }

    /// The last handler: installed before the library's, or passing nothing on.
    extern "C" fn last(_: c_int, info: *mut siginfo_t, _: *mut c_void) {
        called(0, info);
        end();
    }

    fn pass_on(which: usize, signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
        called(which, info);
        let next = NEXT[which].load(Ordering::SeqCst);
        assert!(next > 1, "another handler was installed before");
        // SAFETY: it is a function of this type: the library's, or one of these.
        let next =
            unsafe { std::mem::transmute::<usize, extern "C" fn(c_int, *mut siginfo_t, *mut c_void)>(next) };
        next(signal, info, context);
    }

    extern "C" fn second(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
        pass_on(1, signal, info, context);
    }

    extern "C" fn third(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
        pass_on(2, signal, info, context);
    }

    fn install(which: usize) {
        let handler = [last as *const (), second as *const (), third as *const ()][which].addr();
        for signal in [libc::SIGSEGV, libc::SIGBUS] {
            let former = set(signal, handler, libc::SA_SIGINFO | libc::SA_ONSTACK).sa_sigaction;
            NEXT[which].store(former, Ordering::SeqCst);
        }
    }

    fn positions() -> [Position; 2] {
        [faults::state().segv(), faults::state().bus()]
    }

    pub(crate) fn the_default_action_restored_later() {
        for (name, signal) in [("SIGSEGV", libc::SIGSEGV), ("SIGBUS", libc::SIGBUS)] {
            let mut peer = Peer::start("handlers::role_default", &[name]);
            peer.expect("all caught");
            assert_eq!(peer.wait().signal(), Some(signal), "a foreign fault ends it as it would have");
        }
    }

    pub(crate) fn role_default(role: &mut Role) {
        assert_eq!(positions(), [Position::NotInstalled; 2]);
        let view = cut();
        assert_eq!(positions(), [Position::First; 2]);
        for (handler, position) in
            [(libc::SIG_DFL, Position::DefaultAction), (libc::SIG_IGN, Position::Ignored)]
        {
            for by_mapping in [true, false] {
                set(libc::SIGBUS, handler, 0);
                assert_eq!(positions(), [Position::First, position]);
                assert!(!faults::state().is_armed());
                if by_mapping {
                    another_mapping();
                } else {
                    faults::rearm();
                }
                assert!(faults::state().is_armed(), "{}", faults::state());
                assert_eq!(positions(), [Position::First; 2]);
                assert_faults(&view);
            }
        }
        set(libc::SIGSEGV, libc::SIG_DFL, 0);
        faults::rearm();
        role.say("all caught");
        if role.argument(0) == "SIGBUS" {
            foreign_bus_error(&view);
        } else {
            foreign_fault();
        }
        role.say("survived");
    }

    pub(crate) fn a_later_handler_that_does_not_chain() {
        for arguments in [["map", "SIGSEGV"], ["rearm", "SIGSEGV"], ["map", "SIGBUS"]] {
            let mut peer = Peer::start("handlers::role_mute", &arguments);
            peer.expect("all caught");
            assert_eq!(calls(peer.wait()), [1, 0, 0], "it gets the foreign fault, once");
        }
    }

    pub(crate) fn role_mute(role: &mut Role) {
        let view = cut();
        install(0);
        assert_eq!(positions(), [Position::Replaced; 2]);
        if role.argument(0) == "map" {
            assert!(!another_mapping().copies_by_kernel());
        } else {
            assert!(faults::rearm().is_armed());
        }
        assert_eq!(positions(), [Position::First; 2]);
        assert_faults(&view);
        assert!(!WRONGLY.load(Ordering::SeqCst), "the library's faults are none of its business");
        role.say("all caught");
        if role.argument(1) == "SIGBUS" {
            foreign_bus_error(&view);
        } else {
            foreign_fault();
        }
    }

    pub(crate) fn a_later_handler_that_chains() {
        for name in ["SIGSEGV", "SIGBUS"] {
            let mut peer = Peer::start("handlers::role_chaining", &[name]);
            peer.expect("all caught");
            assert_eq!(calls(peer.wait()), [1, 1, 0], "each gets the foreign fault, once");
        }
    }

    pub(crate) fn a_one_shot_handler_runs_once() {
        let [without, before, after] = ["without", "before", "after"].map(|how| {
            let mut peer = Peer::start("handlers::role_one_call", &[how]);
            peer.expect("handled");
            peer.wait().signal()
        });
        assert_eq!(without, Some(libc::SIGSEGV));
        assert_eq!([before, after], [without; 2]);
    }

    pub(crate) fn role_one_call(role: &mut Role) {
        let install = || {
            set(libc::SIGSEGV, needy as *const () as usize, libc::SA_SIGINFO | libc::SA_RESETHAND);
        };
        match role.argument(0) {
            "before" => {
                install();
                assert_faults(&cut());
            }
            "after" => {
                let view = cut();
                install();
                assert!(faults::rearm().is_armed());
                assert_faults(&view);
            }
            _ => install(),
        }
        foreign_fault();
        role.say("handled");
        foreign_fault();
        role.say("survived");
    }

    pub(crate) fn role_chaining(role: &mut Role) {
        install(0);
        let view = cut();
        install(1);
        assert_eq!(positions(), [Position::Replaced; 2], "not known yet");
        assert_faults(&view);
        assert!(WRONGLY.swap(false, Ordering::SeqCst), "it was first, and has passed them on");
        assert_eq!(positions()[1], Position::Behind, "now it is known");
        another_mapping();
        assert_eq!(positions(), [Position::First; 2]);
        assert_faults(&view);
        assert!(!WRONGLY.load(Ordering::SeqCst));
        role.say("all caught");
        if role.argument(0) == "SIGBUS" {
            foreign_bus_error(&view);
        } else {
            foreign_fault();
        }
    }

    pub(crate) fn two_later_handlers() {
        let mut peer = Peer::start("handlers::role_two", &[]);
        peer.expect("all caught");
        assert_eq!(calls(peer.wait()), [1, 1, 1], "each gets the foreign fault, once");
    }

    pub(crate) fn role_two(role: &mut Role) {
        install(0);
        let view = cut();
        for which in [1, 2] {
            install(which);
            assert!(faults::rearm().is_armed());
            assert_faults(&view);
        }
        assert!(!WRONGLY.load(Ordering::SeqCst));
        role.say("all caught");
        foreign_fault();
    }

    pub(crate) fn a_reinstalled_handler_makes_no_cycle() {
        for how in ["rearmed", "left"] {
            let mut peer = Peer::start("handlers::role_again", &[how]);
            peer.expect("all caught");
            let calls = calls(peer.wait());
            assert_eq!(calls[0], 1, "what was there first gets the foreign fault, once");
            assert!((1..=2).contains(&calls[1]), "it does not go round: {calls:?}");
        }
    }

    pub(crate) fn role_again(role: &mut Role) {
        install(0);
        let view = cut();
        install(1);
        another_mapping();
        // The next handler that it remembers is now an entry that leads back to itself.
        install(1);
        if role.argument(0) == "rearmed" {
            another_mapping();
        }
        assert_faults(&view);
        role.say("all caught");
        foreign_fault();
    }

    pub(crate) fn handlers_installed_during_faults() {
        let mut peer = Peer::start("handlers::role_race", &[]);
        peer.expect("all caught");
        let calls = calls(peer.wait());
        assert_eq!(calls[0], 1, "what was there first gets the foreign fault, once");
    }

    pub(crate) fn role_race(role: &mut Role) {
        install(0);
        let view = cut();
        let (installer, done) = (second as *const (), AtomicBool::new(false));
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        assert_faults(&view);
                    }
                });
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        faults::rearm();
                        another_mapping();
                    }
                });
            }
            for _ in 0..2000 {
                for signal in [libc::SIGSEGV, libc::SIGBUS] {
                    // A handler that is already installed would remember itself.
                    let now = action_of(signal).sa_sigaction;
                    if now != installer.addr() {
                        NEXT[1].store(now, Ordering::SeqCst);
                        set(signal, installer.addr(), libc::SA_SIGINFO | libc::SA_ONSTACK);
                    }
                }
            }
            done.store(true, Ordering::Relaxed);
        });
        assert!(faults::rearm().is_armed());
        assert_eq!(positions(), [Position::First; 2]);
        role.say("all caught");
        foreign_fault();
    }

    pub(crate) fn more_handlers_than_can_be_taken_over() {
        need_kernel_copies();
        let mut peer = Peer::start("handlers::role_exhaust", &[]);
        peer.expect("all caught");
        assert_eq!(calls(peer.wait()), [1, 0, 0]);
    }

    pub(crate) fn role_exhaust(role: &mut Role) {
        let view = cut();
        let mut by_kernel = false;
        // Each differs from the others in the signals that it blocks.
        const OTHERS: [c_int; 6] =
            [libc::SIGUSR1, libc::SIGUSR2, libc::SIGALRM, libc::SIGCHLD, libc::SIGWINCH, libc::SIGURG];
        for number in 0..64_u32 {
            // SAFETY: a plain C structure for which all zeros is a value.
            let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
            (action.sa_sigaction, action.sa_flags) = (last as *const () as usize, libc::SA_SIGINFO);
            for (_, signal) in (0..).zip(OTHERS).filter(|(bit, _)| number & (1 << bit) != 0) {
                // SAFETY: a whole set.
                unsafe { libc::sigaddset(&mut action.sa_mask, signal) };
            }
            for signal in [libc::SIGSEGV, libc::SIGBUS] {
                // SAFETY: a whole action.
                assert_eq!(unsafe { libc::sigaction(signal, &action, std::ptr::null_mut()) }, 0);
            }
            let other = another_mapping();
            if !other.copies_by_kernel() {
                assert!(!by_kernel, "there are no more levels than before");
                assert_faults(&view);
            }
            by_kernel |= other.copies_by_kernel();
        }
        assert!(by_kernel, "in the end it is the kernel's turn");
        assert!(!faults::rearm().is_armed());
        assert_faults(&view.with_kernel_copies().unwrap());
        role.say("all caught");
        foreign_fault();
    }

    pub(crate) fn a_replaced_handler_can_be_left_alone() {
        need_kernel_copies();
        let mut peer = Peer::start("handlers::role_leave", &[]);
        peer.expect("all caught");
        assert_eq!(calls(peer.wait()), [1, 0, 0]);
    }

    pub(crate) fn role_leave(role: &mut Role) {
        faults::set_policy(Policy::LeaveReplaced).unwrap();
        assert_eq!(faults::policy(), Policy::LeaveReplaced);
        let view = cut();
        assert!(!view.copies_by_kernel());
        assert_faults(&view);
        install(0);
        let before = action_of(libc::SIGBUS).sa_sigaction;
        let view = cut();
        assert!(view.copies_by_kernel());
        assert_faults(&view);
        assert_eq!(action_of(libc::SIGBUS).sa_sigaction, before, "it was left alone");
        assert_eq!(positions(), [Position::Replaced; 2]);
        role.say("all caught");
        foreign_fault();
    }

    pub(crate) fn copies_need_no_handler() {
        need_kernel_copies();
        Peer::start("handlers::role_kernel", &[]).finish();
    }

    pub(crate) fn role_kernel(_: &mut Role) {
        use std::io::{Read, Seek, SeekFrom, Write};

        let before = [libc::SIGSEGV, libc::SIGBUS].map(|signal| action_of(signal).sa_sigaction);
        faults::set_policy(Policy::NoHandler).unwrap();
        let page = page_size();
        let view = cut();
        assert!(view.copies_by_kernel());
        assert_eq!(view.len(), 8 * page);
        assert_eq!(positions(), [Position::NotInstalled; 2]);
        assert_faults(&view);
        // Across the end: the error names the first missing byte.
        for error in [
            view.read_exact_at(&mut [0; 20], page - 10).unwrap_err(),
            view.write_all_at(&[1; 20], page - 10).unwrap_err(),
            view.fill(3, 0..8 * page).unwrap_err(),
            view.read_vec(0, 3 * page).map(drop).unwrap_err(),
            view.copy_to(0..8 * page, &another_mapping_of(8 * page), 0).unwrap_err(),
            another_mapping_of(8 * page).copy_to(0..8 * page, &view, 0).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Fault, "{error}");
            assert_eq!(error.fault().unwrap().offset(), page, "{error}");
        }
        assert_eq!(view.read::<[u8; 32]>(page).unwrap_err().kind(), ErrorKind::Fault);
        assert_eq!(view.write(&1_u64, page).unwrap_err().kind(), ErrorKind::Fault);
        assert_eq!(view.read_exact_at(&mut [0; 2], 8 * page - 1).unwrap_err().kind(), ErrorKind::OutOfBounds);
        assert_eq!(view.subview(page, 10).unwrap().read::<u8>(0).unwrap_err().fault().unwrap().offset(), 0);
        assert!(view.subview(page, 10).unwrap().copies_by_kernel());
        assert!(view.clone().as_read_only().copies_by_kernel());

        // Existing bytes are copied as always: all lengths, also overlapping.
        let view = another_mapping_of(1 << 20);
        let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
        view.write_all_at(&bytes, 33).unwrap();
        assert_eq!(view.read_vec(33, bytes.len()).unwrap(), bytes);
        view.copy_to(33..33 + bytes.len(), &view, 5033).unwrap();
        assert_eq!(view.read_vec(5033, bytes.len()).unwrap(), bytes);
        view.copy_to(5033..5033 + bytes.len(), &view, 100).unwrap();
        assert_eq!(view.read_vec(100, bytes.len()).unwrap(), bytes);
        let mut cursor = view.cursor();
        cursor.seek(SeekFrom::Start(64)).unwrap();
        cursor.write_all(b"by the kernel").unwrap();
        cursor.seek(SeekFrom::Start(67)).unwrap();
        let mut text = [0; 10];
        cursor.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"the kernel");
        // Atomics are instructions, and work while the pages exist.
        assert_eq!(view.atomic_u32(0).unwrap().fetch_add(2, Ordering::SeqCst).unwrap(), 0);
        assert_eq!(view.read::<u32>(0).unwrap(), 2);
        // A view of a region that has grown queries the length again.
        let memory = mmf::OpenOptions::new().len(4096).capacity(1 << 20).anonymous().unwrap();
        let growing = memory.view().unwrap();
        assert_eq!(growing.write_all_at(b"later", 8000).unwrap_err().kind(), ErrorKind::OutOfBounds);
        memory.grow(1 << 16).unwrap();
        growing.write_all_at(b"later", 8000).unwrap();
        assert_eq!(growing.read_vec(8000, 5).unwrap(), b"later");
        std::thread::spawn(move || assert_faults(&cut())).join().unwrap();
        // Objects that use views work while the pages exist.
        let segment = mmf::Segment::create_in(&SharedMemory::anonymous(1 << 20).unwrap()).unwrap();
        let mutex = segment.mutex::<u64>("counter").unwrap();
        mutex.lock().unwrap().set(&7).unwrap();
        assert_eq!(mutex.lock().unwrap().get().unwrap(), 7);
        let latest = segment.latest::<[u8; 1000]>("frame").unwrap();
        let mut writer = latest.acquire_writer().unwrap();
        writer.publish(&[5; 1000]).unwrap();
        assert_eq!(latest.read().unwrap(), Some([5; 1000]));

        let after = [libc::SIGSEGV, libc::SIGBUS].map(|signal| action_of(signal).sa_sigaction);
        assert_eq!(after, before, "no handler was installed");
        // A single view.
        faults::set_policy(Policy::Rearm).unwrap();
        let view = cut();
        assert!(!view.copies_by_kernel());
        let view = view.with_kernel_copies().unwrap();
        set(libc::SIGBUS, libc::SIG_DFL, 0);
        assert_faults(&view);
    }

    pub(crate) fn a_previous_handler_has_its_own_stack() {
        for flags in ["own", "alternate"] {
            for thread in ["main", "other"] {
                let mut peer = Peer::start("handlers::role_stack", &[flags, thread]);
                peer.expect("handled without the library");
                peer.expect("handled with the library");
                peer.expect("handled after another one");
                peer.finish();
            }
        }
    }

    static ROOM: AtomicUsize = AtomicUsize::new(0);
    static STACK: AtomicUsize = AtomicUsize::new(0);

    #[inline(never)]
    fn use_room() {
        let mut room = [0_u8; 64 << 10];
        for byte in room.iter_mut().step_by(512) {
            // SAFETY: our own buffer.
            unsafe { std::ptr::from_mut(byte).write_volatile(1) };
        }
    }

    /// A handler that needs a lot of stack, as crash reporters do, or only reports its stack.
    extern "C" fn needy(_: c_int, info: *mut siginfo_t, _: *mut c_void) {
        let mut small = 0_u8;
        STACK.store((&raw mut small).addr(), Ordering::SeqCst);
        if ROOM.load(Ordering::SeqCst) != 0 {
            use_room();
        }
        // SAFETY: the kernel gives a valid siginfo.
        let address = unsafe { (*info).si_addr() };
        if address.addr() == FOREIGN.load(Ordering::SeqCst) {
            // SAFETY: a page that no other code uses.
            unsafe { libc::mprotect(address, page_size(), libc::PROT_READ | libc::PROT_WRITE) };
        } else {
            // SAFETY: allowed in a handler.
            unsafe { libc::_exit(9) };
        }
    }

    pub(crate) fn role_stack(role: &mut Role) {
        let alternate = role.argument(0) == "alternate";
        let play = || {
            // SAFETY: a plain C structure for which all zeros is a value.
            let mut stack: libc::stack_t = unsafe { std::mem::zeroed() };
            // SAFETY: it only queries.
            unsafe { libc::sigaltstack(std::ptr::null(), &mut stack) };
            assert_eq!(stack.ss_flags & libc::SS_DISABLE, 0, "Rust's threads have one");
            let range = stack.ss_sp.addr()..stack.ss_sp.addr() + stack.ss_size;
            ROOM.store(usize::from(!alternate), Ordering::SeqCst);
            let flags = if alternate { libc::SA_ONSTACK } else { 0 };
            set(libc::SIGSEGV, needy as *const () as usize, libc::SA_SIGINFO | flags);
            let check = |when: &str| {
                foreign_fault();
                assert_eq!(range.contains(&STACK.load(Ordering::SeqCst)), alternate, "{when}");
                role.say(format!("handled {when}"));
            };
            check("without the library");
            let view = cut();
            assert_faults(&view);
            check("with the library");
            // The same for a handler that was replaced later.
            set(libc::SIGSEGV, libc::SIG_DFL, 0);
            set(libc::SIGSEGV, needy as *const () as usize, libc::SA_SIGINFO | flags | libc::SA_NODEFER);
            assert!(faults::rearm().is_armed());
            assert_eq!(positions(), [Position::First; 2]);
            check("after another one");
        };
        if role.argument(1) == "main" {
            play();
        } else {
            std::thread::scope(|scope| scope.spawn(play).join().unwrap());
        }
    }

    pub(crate) fn an_overflowed_stack_is_still_reported() {
        let [without, with, rearmed] = ["without", "with", "rearmed"].map(|how| {
            let output = testkit::command_for_role("handlers::role_overflow", &[how]).output().unwrap();
            let text = String::from_utf8_lossy(&output.stderr).contains("has overflowed its stack");
            (text, std::os::unix::process::ExitStatusExt::signal(&output.status))
        });
        assert_eq!(without, (true, Some(libc::SIGABRT)));
        assert_eq!(with, without);
        assert_eq!(rearmed, without);
    }

    #[allow(unconditional_recursion, reason = "what the test is about")]
    #[inline(never)]
    fn overflow(depth: u64) -> u64 {
        let room = std::hint::black_box([depth; 100]);
        overflow(depth + 1) + room[7]
    }

    pub(crate) fn role_overflow(role: &mut Role) {
        let view = (role.argument(0) != "without").then(cut);
        if role.argument(0) == "rearmed" {
            // Another handler was installed for a while and has passed everything on.
            install(1);
            another_mapping();
            FOREIGN.store(usize::MAX, Ordering::SeqCst);
        }
        if let Some(view) = &view {
            assert_faults(view);
        }
        std::thread::scope(|scope| {
            scope.spawn(|| std::hint::black_box(overflow(0)));
        });
    }

    pub(crate) fn blocked_signals_are_reported() {
        let view = cut();
        assert_faults(&view);
        // A thread of its own, because signals are blocked per thread.
        std::thread::spawn(|| {
            assert!(!faults::state().is_blocked());
            for signal in [libc::SIGSEGV, libc::SIGBUS] {
                // SAFETY: a plain C structure for which all zeros is a value.
                let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
                // SAFETY: a whole set.
                unsafe { libc::sigaddset(&mut set, signal) };
                // SAFETY: a whole set.
                unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()) };
                let state = faults::rearm();
                assert!(state.is_blocked() && !state.is_armed(), "{state}");
                assert!(state.to_string().contains("blocks"), "{state}");
                // SAFETY: a whole set.
                unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, &set, std::ptr::null_mut()) };
                assert!(faults::state().is_armed());
            }
        })
        .join()
        .unwrap();
        assert!(!faults::state().is_blocked());
    }

    pub(crate) fn a_forked_child_inherits_the_handler() {
        Peer::start("handlers::role_fork", &[]).finish();
    }

    pub(crate) fn role_fork(_: &mut Role) {
        let view = cut();
        // SAFETY: this process has no other threads; the child makes system calls and exits without
        // unwinding.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let well = std::panic::catch_unwind(|| {
                assert_faults(&view);
                set(libc::SIGBUS, libc::SIG_DFL, 0);
                another_mapping();
                assert_faults(&view);
                if let Ok(view) = view.with_kernel_copies() {
                    assert_faults(&view);
                }
            });
            // SAFETY: it has no requirements.
            unsafe { libc::_exit(i32::from(well.is_err())) };
        }
        let mut status = 0;
        // SAFETY: a child of this process, and a valid location.
        assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
        assert_eq!(status, 0, "the child did well");
        assert_faults(&view);
    }

    /// Builds the plug-in of `crates/plugin`, as `copies` that a loader takes for different libraries.
    fn plugin(copies: usize) -> Vec<PathBuf> {
        if std::env::var_os("MMF_TEST_RUNNER").is_some() {
            testkit::skip("hosts of other languages are not run by the emulator");
        }
        // …/target/debug/deps/conformance-…
        let here = std::env::current_exe().unwrap();
        let profile = here.parent().and_then(|deps| deps.parent()).unwrap();
        let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        build.args(["build", "--offline", "--quiet", "-p", "test-plugin"]);
        build.arg("--target-dir").arg(profile.parent().unwrap()).current_dir(env!("CARGO_MANIFEST_DIR"));
        if !profile.ends_with("debug") {
            build.arg("--release");
        }
        assert!(
            build.status().is_ok_and(|status| status.success()),
            "the plug-in of the tests does not build"
        );
        let name = format!("{}test_plugin{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
        let built = profile.join(name);
        (0..copies)
            .map(|number| {
                let copy = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
                    .join(format!("{}-{number}.plugin", unique_name("plugin")));
                std::fs::copy(&built, &copy).unwrap();
                copy
            })
            .collect()
    }

    fn host() -> PathBuf {
        let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/peers/plugin_host.c");
        let program = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(unique_name("plugin_host"));
        let mut compiler = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()));
        let made =
            compiler.arg("-O1").arg("-o").arg(&program).arg(source).args(["-ldl", "-lpthread"]).status();
        if !made.is_ok_and(|status| status.success()) {
            testkit::skip("there is no C compiler here");
        }
        program
    }

    fn remove(paths: &[PathBuf]) {
        for path in paths {
            let _ = std::fs::remove_file(path);
        }
    }

    pub(crate) fn a_plugin_is_unloaded() {
        let (host, plugin) = (host(), plugin(1));
        let mut peer = Peer::spawn("plugin_host", Command::new(&host).args(&plugin));
        for line in ["handled 1", "work 7", "handled 2", "closed 0", "handled 3", "work 7", "handled 4"] {
            peer.expect(line);
        }
        peer.expect("closed 0");
        peer.expect("handled 5");
        peer.finish();
        // Without a view, and so without a signal handler, the functions for fork and exit are still
        // registered.
        let mut peer = Peer::spawn("plugin_host", Command::new(&host).arg("fork").args(&plugin));
        for line in ["created 1", "closed 0", "stays 1", "forked 7"] {
            peer.expect(line);
        }
        peer.finish();
        remove(&plugin);
        remove(&[host]);
    }

    pub(crate) fn two_libraries_do_not_take_turns() {
        let (host, plugins) = (host(), plugin(2));
        let mut peer = Peer::spawn("plugin_host", Command::new(&host).args(&plugins));
        peer.expect("handled 1");
        peer.expect("turns 0");
        peer.expect("armed 2 1");
        peer.expect("handled 2");
        peer.finish();
        remove(&plugins);
        remove(&[host]);
    }

    pub(crate) fn faulthandler_enabled_later() {
        let knows = Command::new("python3").args(["-c", "import ctypes, faulthandler"]).output();
        if !knows.is_ok_and(|output| output.status.success()) {
            testkit::skip("there is no Python with ctypes and faulthandler here");
        }
        let plugin = plugin(1);
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/peers/plugin_host.py");
        for (when, name, fault) in [
            ("rearm", "Segmentation fault", libc::SIGSEGV),
            ("map", "Segmentation fault", libc::SIGSEGV),
            ("again", "Segmentation fault", libc::SIGSEGV),
            ("again", "Bus error", libc::SIGBUS),
        ] {
            let mut python = Command::new("python3");
            let output = python.arg("-u").arg(&script).arg(&plugin[0]).args([when, name]).output().unwrap();
            let errors = String::from_utf8_lossy(&output.stderr);
            assert_eq!(String::from_utf8_lossy(&output.stdout), "caught\n", "{when}: {errors}");
            // A fault of its own is reported once and ends it.
            assert_eq!(errors.matches(&format!("Fatal Python error: {name}")).count(), 1, "{when}: {errors}");
            assert_eq!(errors.matches("Fatal Python error").count(), 1, "{when}: {errors}");
            let signal = std::os::unix::process::ExitStatusExt::signal(&output.status);
            assert_eq!(signal, Some(fault), "{when}: {errors}");
        }
        remove(&plugin);
    }

    pub(crate) fn a_jvm_before_or_after_us() {
        if !cfg!(target_os = "linux") {
            testkit::skip("plug-ins are preloaded on Linux only");
        }
        if !Command::new("javac").arg("-version").output().is_ok_and(|output| output.status.success()) {
            testkit::skip("there is no JDK here");
        }
        let plugin = plugin(1);
        let classes = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(unique_name("classes"));
        let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/peers/PluginHost.java");
        let made = Command::new("javac").arg("-d").arg(&classes).arg(source).status();
        assert!(made.is_ok_and(|status| status.success()), "the host does not compile");
        for early in [false, true] {
            let mut java = Command::new("java");
            java.arg("-cp").arg(&classes).arg("PluginHost").arg(&plugin[0]);
            if early {
                java.env("LD_PRELOAD", &plugin[0]).env("MMF_TEST_PLUGIN_EARLY", "1");
            }
            let mut peer = Peer::spawn("PluginHost", &mut java);
            peer.expect("alone");
            peer.expect("threads 4");
            peer.expect("armed 1");
            peer.finish();
        }
        remove(&plugin);
        let _ = std::fs::remove_dir_all(classes);
    }
}

testkit::registry! {
    handlers
    tests {
        the_default_action_restored_later
        a_later_handler_that_does_not_chain
        a_later_handler_that_chains
        a_one_shot_handler_runs_once
        two_later_handlers
        a_reinstalled_handler_makes_no_cycle
        handlers_installed_during_faults
        more_handlers_than_can_be_taken_over
        a_replaced_handler_can_be_left_alone
        copies_need_no_handler
        a_previous_handler_has_its_own_stack
        an_overflowed_stack_is_still_reported
        blocked_signals_are_reported
        a_forked_child_inherits_the_handler
        a_plugin_is_unloaded
        two_libraries_do_not_take_turns
        faulthandler_enabled_later
        a_jvm_before_or_after_us
    }
    roles {
        role_default
        role_mute
        role_one_call
        role_chaining
        role_two
        role_again
        role_race
        role_exhaust
        role_leave
        role_kernel
        role_stack
        role_overflow
        role_fork
    }
}
