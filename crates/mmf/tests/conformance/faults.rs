//! Faults in shared memory are error values; all other faults reach their own handlers.

use std::panic::catch_unwind;
use std::sync::atomic::{AtomicBool, Ordering};

use mmf::{Error, ErrorKind, ReadWrite, SharedMemory, View};
use testkit::{Peer, Protection, Role, inaccessible_page, page_size, protect, unique_name};

fn anonymous(len: usize) -> View<ReadWrite> {
    SharedMemory::anonymous(len as u64).unwrap().view().unwrap()
}

/// Returns a view of four pages, the third of which has this protection.
fn with_third_page(protection: Protection) -> View<ReadWrite> {
    let page = page_size();
    let view = anonymous(4 * page);
    view.fill(0x77, 0..4 * page).unwrap();
    // SAFETY: the page belongs to this view alone, and only guarded routines access it.
    unsafe { protect(view.as_mut_ptr().wrapping_add(2 * page), page, protection) };
    view
}

fn assert_fault(result: Result<(), Error>, offset: usize) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fault, "{error}");
    let fault = error.fault().unwrap();
    assert_eq!(fault.offset(), offset, "{error}");
    if cfg!(windows) {
        assert_eq!(fault.code(), 0xC000_0005);
    } else {
        assert!(matches!(fault.code(), 7 | 10 | 11), "{error}");
    }
    assert!(format!("{error:#}").contains(&format!("byte {offset}")), "{error}");
}

pub(crate) fn an_inaccessible_page() {
    let page = page_size();
    let view = with_third_page(Protection::None);
    for len in [1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 63, 64, 65, 100, 128, 129, 255, 256, 300, 1000, page] {
        let mut bytes = vec![0; len];
        // Completely inside, and from the previous page across the boundary.
        assert_fault(view.read_exact_at(&mut bytes, 2 * page + 5 - 5), 2 * page);
        assert_fault(view.write_all_at(&bytes, 2 * page), 2 * page);
        assert_fault(view.fill(1, 2 * page..2 * page + len), 2 * page);
        // A copy may touch any of its bytes first, so only the page is compared.
        for error in [
            view.read_exact_at(&mut vec![0; len + 1], 2 * page - 1).unwrap_err(),
            view.write_all_at(&vec![0; len + 1], 2 * page - 1).unwrap_err(),
            view.fill(0x77, 2 * page - 1..2 * page + len).unwrap_err(),
        ] {
            assert!((2 * page..2 * page + len).contains(&error.fault().unwrap().offset()), "{error}");
        }
        // The neighbouring pages are accessible.
        view.read_exact_at(&mut bytes, 2 * page - len).unwrap();
        view.read_exact_at(&mut bytes, 3 * page).unwrap();
    }
    assert_eq!(view.read::<u64>(2 * page + 8).unwrap_err().fault().unwrap().offset(), 2 * page + 8);
    assert_eq!(view.write(&1_u64, 2 * page + 8).unwrap_err().fault().unwrap().offset(), 2 * page + 8);
    let other = anonymous(4 * page);
    // Between views, on either side: the offset is in the view that faulted.
    assert_fault(view.copy_to(2 * page..2 * page + 100, &other, 0), 2 * page);
    assert_fault(other.copy_to(0..100, &view, 2 * page), 2 * page);
    assert_fault(view.subview(2 * page - 50, 200).unwrap().read_exact_at(&mut [0; 10], 50), 50);
    // The same pages, once they are accessible again.
    // SAFETY: as above.
    unsafe { protect(view.as_mut_ptr().wrapping_add(2 * page), page, Protection::ReadWrite) };
    assert!(view.read_exact_at(&mut vec![0; 4 * page], 0).is_ok());
}

pub(crate) fn a_read_only_page() {
    let page = page_size();
    let view = with_third_page(Protection::Read);
    assert_eq!(view.read::<u8>(2 * page).unwrap(), 0x77);
    assert_fault(view.write_all_at(&[1; 100], 2 * page), 2 * page);
    assert_fault(view.fill(1, 2 * page..2 * page + page), 2 * page);
    assert_eq!(view.read::<u8>(2 * page).unwrap(), 0x77);
    assert_eq!(view.atomic_u32(2 * page).unwrap().load(Ordering::SeqCst).unwrap(), 0x7777_7777);
    let error = view.atomic_u32(2 * page).unwrap().fetch_add(1, Ordering::SeqCst).unwrap_err();
    assert_eq!(error.fault().unwrap().offset(), 2 * page);
}

#[cfg(windows)]
pub(crate) fn uncommitted_memory() {
    let name = unique_name("reserved");
    let mut peer = crate::foreign::c_peer();
    peer.say(&format!(r"reserve Local\{name} 1048576"));
    peer.expect("created");
    let memory = SharedMemory::open(&name).unwrap();
    assert_eq!(memory.capacity(), 1 << 20);
    // The peer has committed 64 KiB, and the system reports that; the pages beyond cannot be touched.
    assert_eq!(memory.len(), 65_536);
    let view = memory.view().unwrap();
    view.write(&1_u64, 65_528).unwrap();
    assert_eq!(view.write_all_at(&[1; 10], 65_530).unwrap_err().kind(), ErrorKind::OutOfBounds);
    assert_eq!(memory.grow(100_000).unwrap(), 102_400);
    view.write_all_at(&[1; 10], 99_990).unwrap();
}

#[cfg(unix)]
pub(crate) fn uncommitted_memory() {
    testkit::skip("Unix has no reserved, uncommitted pages; pages past the end are tested as truncated");
}

pub(crate) fn in_many_threads_at_once() {
    let page = page_size();
    let view = with_third_page(Protection::None);
    std::thread::scope(|scope| {
        for thread in 0..8_usize {
            let view = &view;
            scope.spawn(move || {
                for round in 0..500 {
                    let at = 2 * page + (thread * 97 + round) % (page - 200);
                    assert_fault(view.read_exact_at(&mut [0; 150], at), at);
                    assert_fault(view.write_all_at(&[0; 9], at), at);
                    assert_eq!(view.read::<u8>(round).unwrap(), 0x77);
                }
            });
        }
    });
}

pub(crate) fn in_atomics() {
    let page = page_size();
    let view = with_third_page(Protection::None);
    let offset = 2 * page + 64;
    macro_rules! check {
        ($($method:ident)*) => {$(
            let atomic = view.$method(offset).unwrap();
            let order = Ordering::SeqCst;
            for error in [
                atomic.load(order).unwrap_err(),
                atomic.store(1, order).unwrap_err(),
                atomic.store(1, Ordering::Release).unwrap_err(),
                atomic.swap(1, order).unwrap_err(),
                atomic.fetch_add(1, order).unwrap_err(),
                atomic.compare_exchange(1, 2, order, order).unwrap_err(),
                atomic.fetch_and(1, order).unwrap_err(),
            ] {
                assert_eq!(error.kind(), ErrorKind::Fault);
                assert_eq!(error.fault().unwrap().offset(), offset);
            }
            assert_eq!(format!("{atomic:?}"), "<fault>");
        )*};
    }
    check!(atomic_u8 atomic_u16 atomic_u32 atomic_u64);
}

pub(crate) fn with_another_handler_before() {
    let mut peer = Peer::start("faults::role_handler_before", &[]);
    peer.expect("fault is an error");
    assert_eq!(peer.wait().code(), Some(42), "its own fault went to its own handler");
}

pub(crate) fn role_handler_before(role: &mut Role) {
    handler::install();
    let view = with_third_page(Protection::None);
    assert_fault(view.read_exact_at(&mut [0; 100], 2 * page_size()), 2 * page_size());
    assert!(!handler::CALLED_FOR_OURS.load(Ordering::SeqCst));
    role.say("fault is an error");
    handler::provoke();
}

pub(crate) fn with_another_handler_after() {
    let mut peer = Peer::start("faults::role_handler_after", &[]);
    peer.expect("fault is an error");
    assert_eq!(peer.wait().code(), Some(42), "its own fault went to its own handler");
}

pub(crate) fn role_handler_after(role: &mut Role) {
    let view = with_third_page(Protection::None);
    handler::install();
    for _ in 0..3 {
        assert_fault(view.read_exact_at(&mut [0; 100], 2 * page_size()), 2 * page_size());
    }
    role.say("fault is an error");
    handler::provoke();
}

/// A foreign handler: it ends the process with status 42 for a certain page, and passes on everything else.
#[cfg(unix)]
mod handler {
    use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};

    pub(crate) static CALLED_FOR_OURS: AtomicBool = AtomicBool::new(false);
    static PAGE: AtomicUsize = AtomicUsize::new(0);
    static FORMER: AtomicPtr<libc::sigaction> = AtomicPtr::new(std::ptr::null_mut());

    pub(crate) fn install() {
        // SAFETY: a plain C structure for which all zeros is a value.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = on_signal as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        let former = Box::into_raw(Box::new(action));
        FORMER.store(former, Ordering::SeqCst);
        // SAFETY: whole actions.
        assert_eq!(unsafe { libc::sigaction(libc::SIGSEGV, &action, former) }, 0);
    }

    pub(crate) fn provoke() {
        let page = testkit::inaccessible_page();
        PAGE.store(page.addr(), Ordering::SeqCst);
        // SAFETY: none: the handler ends the process.
        unsafe { page.read_volatile() };
    }

    extern "C" fn on_signal(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
        // SAFETY: the kernel gives a valid siginfo.
        let address = unsafe { (*info).si_addr() }.addr();
        if address == PAGE.load(Ordering::SeqCst) {
            // SAFETY: allowed in a handler.
            unsafe { libc::_exit(42) };
        }
        CALLED_FOR_OURS.store(true, Ordering::SeqCst);
        // SAFETY: stored before this handler was installed, and never freed.
        let former = unsafe { (*FORMER.load(Ordering::SeqCst)).sa_sigaction };
        assert!(former > 1, "another handler was installed before");
        // SAFETY: it is a function of this type: mmf's, or the standard library's.
        let former = unsafe {
            std::mem::transmute::<usize, extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void)>(
                former,
            )
        };
        former(signal, info, context);
    }
}

/// A foreign handler: Windows calls it first, for every exception.
#[cfg(windows)]
mod handler {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use windows_sys::Win32::System::Diagnostics::Debug::{AddVectoredExceptionHandler, EXCEPTION_POINTERS};

    pub(crate) static CALLED_FOR_OURS: AtomicBool = AtomicBool::new(false);
    static PAGE: AtomicUsize = AtomicUsize::new(0);

    pub(crate) fn install() {
        // SAFETY: the handler touches only its arguments.
        assert!(!unsafe { AddVectoredExceptionHandler(1, Some(on_exception)) }.is_null());
    }

    pub(crate) fn provoke() {
        let page = testkit::inaccessible_page();
        PAGE.store(page.addr(), Ordering::SeqCst);
        // SAFETY: none: the handler ends the process.
        unsafe { page.read_volatile() };
    }

    unsafe extern "system" fn on_exception(pointers: *mut EXCEPTION_POINTERS) -> i32 {
        // SAFETY: Windows gives valid pointers.
        let record = unsafe { (*pointers).ExceptionRecord };
        // SAFETY: as above.
        let address = unsafe { (*record).ExceptionInformation[1] };
        if address == PAGE.load(Ordering::SeqCst) {
            std::process::exit(42);
        }
        0 // EXCEPTION_CONTINUE_SEARCH
    }
}

pub(crate) fn outside_the_view_ends_the_process() {
    let mut peer = Peer::start("faults::role_outside", &[]);
    peer.expect("trying");
    let ending = peer.wait();
    assert!(ending.is_memory_fault(), "{ending:?}");
}

pub(crate) fn role_outside(role: &mut Role) {
    let view = with_third_page(Protection::None);
    assert!(view.read::<u8>(2 * page_size()).is_err());
    role.say("trying");
    // SAFETY: none: this ends the process, which is what the test verifies.
    unsafe { inaccessible_page().read_volatile() };
    role.say("survived");
}

pub(crate) fn a_private_buffer_ends_the_process() {
    let mut peer = Peer::start("faults::role_private_buffer", &[]);
    peer.expect("trying");
    let ending = peer.wait();
    assert!(ending.is_memory_fault(), "{ending:?}");
}

pub(crate) fn role_private_buffer(role: &mut Role) {
    let view = anonymous(4096);
    // SAFETY: none: such a slice violates the contract. A fault in it is the caller's bug, and not an error
    // of the view.
    let buffer = unsafe { std::slice::from_raw_parts_mut(inaccessible_page(), 100) };
    role.say("trying");
    let result = view.read_exact_at(buffer, 0);
    role.say(format!("survived: {result:?}"));
}

#[cfg(target_os = "linux")]
fn path_of(text: &str) -> String {
    format!("/dev/shm/{text}")
}

#[cfg(target_os = "linux")]
pub(crate) fn truncated_by_another_process() {
    let text = unique_name("cut");
    let page = page_size();
    let view = SharedMemory::create(format!(r"Global\{text}"), 8 * page as u64).unwrap().view().unwrap();
    view.fill(5, 0..view.len()).unwrap();
    let mut peer = Peer::start("faults::role_truncate", &[&path_of(&text), "once"]);
    peer.expect("cut");
    assert_eq!(view.read::<u8>(page - 1).unwrap(), 5);
    assert_fault(view.read_exact_at(&mut [0; 64], page), page);
    assert_fault(view.write_all_at(&[0; 64], 3 * page), 3 * page);
    assert_fault(view.fill(1, page..page + 7 * page), page);
    assert_eq!(view.atomic_u32(page).unwrap().load(Ordering::SeqCst).unwrap_err().kind(), ErrorKind::Fault);
    let error = view.read_exact_at(&mut vec![0; 8 * page], 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fault);
    peer.say("restore");
    peer.expect("restored");
    assert_eq!(view.read::<u8>(page).unwrap(), 0);
    peer.finish();
}

#[cfg(target_os = "linux")]
pub(crate) fn truncated_repeatedly_during_copies() {
    let text = unique_name("saw");
    let page = page_size();
    let memory = SharedMemory::create(format!(r"Global\{text}"), 64 * page as u64).unwrap();
    let view = memory.view().unwrap();
    let peer = Peer::start("faults::role_truncate", &[&path_of(&text), "again and again"]);
    let (faulted, went_well) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut buffer = vec![1; 60 * page];
                testkit::wait_until("both outcomes were seen", || {
                    for result in [
                        view.read_exact_at(&mut buffer, 100),
                        view.write_all_at(&buffer, 50),
                        view.fill(3, 9..9 + 60 * page),
                    ] {
                        match result {
                            Ok(()) => went_well.store(true, Ordering::Relaxed),
                            Err(error) if error.kind() == ErrorKind::Fault => {
                                faulted.store(true, Ordering::Relaxed)
                            }
                            Err(error) => panic!("{error}"),
                        }
                    }
                    faulted.load(Ordering::Relaxed) && went_well.load(Ordering::Relaxed)
                });
            });
        }
    });
    peer.finish();
}

#[cfg(unix)]
pub(crate) fn a_mapped_file_truncated_by_another_process() {
    use mmf::os::unix::SharedMemoryExt;
    let page = page_size();
    let path = std::env::temp_dir().join(unique_name("file"));
    let file = std::fs::File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    file.set_len(8 * page as u64).unwrap();
    let view = SharedMemory::<ReadWrite>::from_fd(file.into()).unwrap().view().unwrap();
    view.fill(5, 0..view.len()).unwrap();
    let mut peer = Peer::start("faults::role_truncate", &[path.to_str().unwrap(), "once"]);
    peer.expect("cut");
    assert_eq!(view.read::<u8>(page - 1).unwrap(), 5);
    assert_fault(view.read_exact_at(&mut [0; 64], page), page);
    assert_fault(view.write_all_at(&[0; 64], 3 * page), 3 * page);
    peer.say("restore");
    peer.expect("restored");
    assert_eq!(view.read::<u8>(page).unwrap(), 0);
    peer.finish();
    std::fs::remove_file(path).unwrap();
}

#[cfg(not(unix))]
pub(crate) fn a_mapped_file_truncated_by_another_process() {
    testkit::skip("a file that is mapped cannot be made shorter here");
}

#[cfg(unix)]
pub(crate) fn role_truncate(role: &mut Role) {
    let file = std::fs::File::options().write(true).open(role.argument(0)).unwrap();
    let len = file.metadata().unwrap().len();
    if role.argument(1) == "once" {
        file.set_len(page_size() as u64).unwrap();
        role.say("cut");
        assert_eq!(role.hear(), "restore");
        file.set_len(len).unwrap();
        role.say("restored");
        role.stay();
        return;
    }
    let done = std::thread::spawn(|| std::io::stdin().read_line(&mut String::new()));
    while !done.is_finished() {
        file.set_len(0).unwrap();
        file.set_len(len).unwrap();
        // Long enough for a copy to succeed.
        std::thread::yield_now();
    }
}

#[cfg(not(target_os = "linux"))]
const NO_TRUNCATION: &str = "regions cannot be truncated here";

#[cfg(not(target_os = "linux"))]
pub(crate) fn truncated_by_another_process() {
    testkit::skip(NO_TRUNCATION);
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn truncated_repeatedly_during_copies() {
    testkit::skip(NO_TRUNCATION);
}

#[cfg(not(unix))]
pub(crate) fn role_truncate(_: &mut Role) {}

#[cfg(unix)]
pub(crate) fn a_sent_signal_is_not_ours() {
    // A signal that was sent has the same effect with and without a view, and faults are still caught after
    // it.
    let [without, with] = ["without", "with"].map(|how| {
        let mut peer = Peer::start("faults::role_sent_signal", &[how]);
        let first = peer.hear();
        (first, peer.wait().signal())
    });
    assert_eq!(with, without);
    assert_eq!(with.1, Some(libc::SIGSEGV));
}

#[cfg(unix)]
pub(crate) fn role_sent_signal(role: &mut Role) {
    let view = (role.argument(0) == "with").then(|| with_third_page(Protection::None));
    // The standard library's own handler ignores the first one, and installs the default action for the next.
    // SAFETY: it has no requirements.
    unsafe { libc::raise(libc::SIGSEGV) };
    if let Some(view) = &view {
        assert_fault(view.read_exact_at(&mut [0; 100], 2 * page_size()), 2 * page_size());
    }
    role.say("survived the first");
    // SAFETY: it has no requirements.
    unsafe { libc::raise(libc::SIGSEGV) };
    role.say("survived the second");
}

#[cfg(not(unix))]
pub(crate) fn a_sent_signal_is_not_ours() {
    testkit::skip("there are no signals here");
}

#[cfg(not(unix))]
pub(crate) fn role_sent_signal(_: &mut Role) {}

pub(crate) fn panics_still_unwind() {
    struct Dropped<'a>(&'a AtomicBool);
    impl Drop for Dropped<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let dropped = AtomicBool::new(false);
    let view = with_third_page(Protection::None);
    let result = catch_unwind(|| {
        let _guard = Dropped(&dropped);
        let error = view.read::<u64>(2 * page_size()).unwrap_err();
        std::panic::resume_unwind(Box::new(error.kind()));
    });
    assert_eq!(*result.unwrap_err().downcast::<ErrorKind>().unwrap(), ErrorKind::Fault);
    assert!(dropped.load(Ordering::SeqCst));
}

testkit::registry! {
    faults
    tests {
        an_inaccessible_page
        a_read_only_page
        uncommitted_memory
        in_many_threads_at_once
        in_atomics
        with_another_handler_before
        with_another_handler_after
        outside_the_view_ends_the_process
        a_private_buffer_ends_the_process
        truncated_by_another_process
        a_mapped_file_truncated_by_another_process
        truncated_repeatedly_during_copies
        a_sent_signal_is_not_ours
        panics_still_unwind
    }
    roles {
        role_handler_before
        role_handler_after
        role_outside
        role_private_buffer
        role_sent_signal
        role_truncate
    }
}
