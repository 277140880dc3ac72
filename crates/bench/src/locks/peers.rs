//! Other implementations of locks and wake-ups, in plain shared memory or in the kernel.

#[cfg(unix)]
pub(super) use unix::{Peers, Signal};
#[cfg(windows)]
pub(super) use windows::{Peers, Signal};

/// A mutex of another implementation.
pub(super) trait Peer {
    fn name(&self) -> &'static str;
    fn locked(&self, call: &mut dyn FnMut());
}

/// One of these mutexes.
pub(super) struct Lock(Box<dyn Peer>);

impl Lock {
    pub(super) fn name(&self) -> &'static str {
        self.0.name()
    }

    pub(super) fn locked(&self, mut call: impl FnMut()) {
        self.0.locked(&mut call);
    }
}

#[cfg(unix)]
mod unix {
    use std::sync::atomic::{AtomicU32, Ordering};

    use mmf::View;
    use raw_sync::locks::{LockImpl, LockInit, Mutex};

    use super::{Lock, Peer};

    /// Their offsets in the region.
    const PTHREAD: usize = 512;
    const RAW: usize = 1024;
    const SIGNAL: usize = 2048;

    pub(in crate::locks) struct Peers {
        mutexes: [Lock; 2],
    }

    impl Peers {
        pub(in crate::locks) fn make(plain: &View, _name: &str) -> Self {
            Pthread::make(plain);
            let place = plain.as_mut_ptr().wrapping_add(RAW);
            // SAFETY: the place is inside the view, has room for both, and nothing else uses it.
            let raw = unsafe { Mutex::new(place, place.wrapping_add(512)) }.expect("to make").0;
            Peers { mutexes: [Lock(Box::new(Pthread::of(plain))), Lock(Box::new(Raw(raw)))] }
        }

        pub(in crate::locks) fn open(plain: &View, _name: &str) -> Self {
            let place = plain.as_mut_ptr().wrapping_add(RAW);
            // SAFETY: `make` has created a mutex at this place.
            let raw = unsafe { Mutex::from_existing(place, place.wrapping_add(512)) }.expect("to open").0;
            Peers { mutexes: [Lock(Box::new(Pthread::of(plain))), Lock(Box::new(Raw(raw)))] }
        }

        pub(in crate::locks) fn mutexes(self) -> [Lock; 2] {
            self.mutexes
        }
    }

    /// A robust, process-shared mutex of the C library.
    struct Pthread(*mut libc::pthread_mutex_t);

    impl Pthread {
        fn of(plain: &View) -> Self {
            Pthread(plain.as_mut_ptr().wrapping_add(PTHREAD).cast())
        }

        fn make(plain: &View) {
            let mutex = Pthread::of(plain);
            // SAFETY: the structure consists of integers, for which all zeros is a valid value.
            let mut attributes: libc::pthread_mutexattr_t = unsafe { std::mem::zeroed() };
            // SAFETY: the attributes are valid to write.
            unsafe { libc::pthread_mutexattr_init(&mut attributes) };
            // SAFETY: the attributes are initialised.
            unsafe { libc::pthread_mutexattr_setpshared(&mut attributes, libc::PTHREAD_PROCESS_SHARED) };
            // SAFETY: as above.
            unsafe { libc::pthread_mutexattr_setrobust(&mut attributes, libc::PTHREAD_MUTEX_ROBUST) };
            // SAFETY: the place is inside the view, aligned to 64 bytes, and nothing else uses it.
            assert_eq!(unsafe { libc::pthread_mutex_init(mutex.0, &attributes) }, 0);
        }
    }

    impl Peer for Pthread {
        fn name(&self) -> &'static str {
            "pthread robust mutex"
        }

        fn locked(&self, call: &mut dyn FnMut()) {
            // SAFETY: the mutex is initialised, and its view is mapped.
            assert_eq!(unsafe { libc::pthread_mutex_lock(self.0) }, 0);
            call();
            // SAFETY: this thread has locked the mutex.
            unsafe { libc::pthread_mutex_unlock(self.0) };
        }
    }

    /// The mutex of the crate `raw_sync`.
    struct Raw(Box<dyn LockImpl>);

    impl Peer for Raw {
        fn name(&self) -> &'static str {
            "raw_sync's mutex"
        }

        fn locked(&self, call: &mut dyn FnMut()) {
            let guard = self.0.lock().expect("to lock");
            call();
            drop(guard);
        }
    }

    /// The bare wake-up of the system: a futex whose word is set and waited for in turn.
    pub(in crate::locks) struct Signal {
        word: *const AtomicU32,
    }

    impl Signal {
        pub(in crate::locks) const NAME: &'static str = "bare futex";

        pub(in crate::locks) fn new(plain: &View, _name: &str) -> Self {
            Signal { word: plain.as_mut_ptr().wrapping_add(SIGNAL).cast() }
        }

        fn word(&self) -> &AtomicU32 {
            // SAFETY: the word is inside a view that outlives `self`, and all its accesses are atomic.
            unsafe { &*self.word }
        }

        pub(in crate::locks) fn set(&self) {
            self.word().store(1, Ordering::Release);
            // SAFETY: the word is mapped; the call wakes one waiter.
            unsafe { libc::syscall(libc::SYS_futex, self.word, libc::FUTEX_WAKE, 1) };
        }

        pub(in crate::locks) fn wait(&self) {
            while self.word().swap(0, Ordering::Acquire) == 0 {
                let none = std::ptr::null::<libc::timespec>();
                // SAFETY: the word is mapped; the time-out is null, which the call permits.
                unsafe { libc::syscall(libc::SYS_futex, self.word, libc::FUTEX_WAIT, 0, none) };
            }
        }
    }
}

#[cfg(windows)]
mod windows {
    use std::ptr;

    use mmf::View;
    use windows_sys::Win32::Foundation::{CloseHandle, HANDLE, WAIT_OBJECT_0};
    use windows_sys::Win32::System::Threading::{
        CreateEventW, CreateMutexW, CreateSemaphoreW, INFINITE, ReleaseMutex, ReleaseSemaphore, SetEvent,
        WaitForSingleObject,
    };

    use super::{Lock, Peer};

    fn wide(name: &str) -> Vec<u16> {
        name.encode_utf16().chain([0]).collect()
    }

    struct Handle(HANDLE);

    impl Handle {
        fn wait(&self) {
            // SAFETY: the handle is open.
            assert_eq!(unsafe { WaitForSingleObject(self.0, INFINITE) }, WAIT_OBJECT_0);
        }
    }

    impl Drop for Handle {
        fn drop(&mut self) {
            // SAFETY: the handle is open, and closed only here.
            unsafe { CloseHandle(self.0) };
        }
    }

    pub(in crate::locks) struct Peers {
        mutexes: [Lock; 2],
    }

    impl Peers {
        pub(in crate::locks) fn make(_plain: &View, name: &str) -> Self {
            let full = wide(&format!("{name}-mutex"));
            // SAFETY: the name is zero-terminated, and null attributes are permitted.
            let mutex = Handle(unsafe { CreateMutexW(ptr::null(), 0, full.as_ptr()) });
            let full = wide(&format!("{name}-semaphore"));
            // SAFETY: as above.
            let semaphore = Handle(unsafe { CreateSemaphoreW(ptr::null(), 1, 1, full.as_ptr()) });
            assert!(!mutex.0.is_null() && !semaphore.0.is_null());
            Peers { mutexes: [Lock(Box::new(Mutex(mutex))), Lock(Box::new(Semaphore(semaphore)))] }
        }

        pub(in crate::locks) fn open(plain: &View, name: &str) -> Self {
            Peers::make(plain, name)
        }

        pub(in crate::locks) fn mutexes(self) -> [Lock; 2] {
            self.mutexes
        }
    }

    struct Mutex(Handle);

    impl Peer for Mutex {
        fn name(&self) -> &'static str {
            "named kernel mutex"
        }

        fn locked(&self, call: &mut dyn FnMut()) {
            self.0.wait();
            call();
            // SAFETY: this thread owns the mutex.
            unsafe { ReleaseMutex(self.0.0) };
        }
    }

    struct Semaphore(Handle);

    impl Peer for Semaphore {
        fn name(&self) -> &'static str {
            "named kernel semaphore"
        }

        fn locked(&self, call: &mut dyn FnMut()) {
            self.0.wait();
            call();
            // SAFETY: the handle is open.
            unsafe { ReleaseSemaphore(self.0.0, 1, ptr::null_mut()) };
        }
    }

    /// The bare wake-up of the system: a named auto-reset event.
    pub(in crate::locks) struct Signal(Handle);

    impl Signal {
        pub(in crate::locks) const NAME: &'static str = "bare kernel event";

        pub(in crate::locks) fn new(_plain: &View, name: &str) -> Self {
            let full = wide(&format!("{name}-event"));
            // SAFETY: the name is zero-terminated, and null attributes are permitted.
            let event = Handle(unsafe { CreateEventW(ptr::null(), 0, 0, full.as_ptr()) });
            assert!(!event.0.is_null());
            Signal(event)
        }

        pub(in crate::locks) fn set(&self) {
            // SAFETY: the handle is open.
            unsafe { SetEvent(self.0.0) };
        }

        pub(in crate::locks) fn wait(&self) {
            self.0.wait();
        }
    }
}
