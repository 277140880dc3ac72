//! A plug-in that contains the library, for hosts in other languages that load it and may unload it. The
//! tests are in `crates/mmf/tests/conformance/handlers.rs`.
#![allow(missing_docs, reason = "a test")]
#![allow(unreachable_pub, reason = "exported by name, without a mangled one")]
#![allow(clippy::unwrap_used, reason = "a test")]

#[cfg(unix)]
mod plugin {
    use std::ffi::c_void;
    use std::sync::Mutex;

    use mmf::faults::{self, Position};
    use mmf::os::unix::SharedMemoryExt;
    use mmf::{ErrorKind, ReadWrite, SharedMemory, View};

    static CUT: Mutex<Option<View<ReadWrite>>> = Mutex::new(None);

    /// Uses the library once.
    #[unsafe(no_mangle)]
    pub extern "C" fn work() -> i32 {
        let view = SharedMemory::anonymous(4096).unwrap().view().unwrap();
        view.write(&7_i32, 0).unwrap();
        view.read::<i32>(0).unwrap()
    }

    /// Creates a named region and keeps it without mapping it.
    #[unsafe(no_mangle)]
    pub extern "C" fn create() -> i32 {
        static KEPT: Mutex<Option<SharedMemory>> = Mutex::new(None);
        let memory = SharedMemory::create(format!("mmf-plugin-{}", std::process::id()).as_str(), 4096);
        let created = i32::from(memory.is_ok());
        *KEPT.lock().unwrap() = memory.ok();
        created
    }

    /// Maps a view whose second half is then truncated.
    #[unsafe(no_mangle)]
    pub extern "C" fn prepare() {
        let path =
            std::env::temp_dir().join(format!("mmf-plugin-{}-{:p}", std::process::id(), &raw const CUT));
        let file = std::fs::File::options().read(true).write(true).create_new(true).open(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        file.set_len(1 << 20).unwrap();
        let view =
            SharedMemory::<ReadWrite>::from_fd(file.try_clone().unwrap().into()).unwrap().view().unwrap();
        file.set_len(1 << 19).unwrap();
        *CUT.lock().unwrap() = Some(view);
    }

    /// Reads the truncated part. Returns 1 if the read fails with a fault, as it should.
    #[unsafe(no_mangle)]
    pub extern "C" fn touch() -> i32 {
        let view = CUT.lock().unwrap().clone().unwrap();
        match view.read::<u64>(1 << 19) {
            Err(error) if error.kind() == ErrorKind::Fault => 1,
            _ => 0,
        }
    }

    /// Reads the truncated part with a plain load, as a program without the library does. The fault is not
    /// the library's.
    #[unsafe(no_mangle)]
    pub extern "C" fn touch_plainly() -> i32 {
        let view = CUT.lock().unwrap().clone().unwrap();
        // SAFETY: the address is mapped. Its page is gone, so the access faults instead of reading anything,
        // which is meant to end the process.
        i32::from(unsafe { view.as_ptr().wrapping_add(1 << 19).read_volatile() })
    }

    /// Returns 1 if the handler is in place for both signals, 2 if it is behind another one, 0 if faults
    /// would not reach it.
    #[unsafe(no_mangle)]
    pub extern "C" fn armed() -> i32 {
        let state = faults::state();
        match (state.is_armed(), state.bus()) {
            (false, _) => 0,
            (true, Position::Behind) => 2,
            (true, _) => 1,
        }
    }

    /// Dispatches to the functions above for `PluginHost.java`, by the symbol that a JVM looks up.
    #[unsafe(no_mangle)]
    #[allow(non_snake_case, reason = "a JVM looks for this name")]
    pub extern "C" fn Java_PluginHost_call(_: *mut c_void, _: *mut c_void, what: i32) -> i32 {
        match what {
            0 => work(),
            1 => {
                prepare();
                0
            }
            2 => touch(),
            _ => armed(),
        }
    }

    /// The function that runs before the host's main function if the plug-in is preloaded, so that the host
    /// installs its handlers later.
    #[cfg(target_os = "linux")]
    #[used]
    #[unsafe(link_section = ".init_array")]
    static EARLY: extern "C" fn() = early;

    #[cfg(target_os = "linux")]
    extern "C" fn early() {
        if std::env::var_os("MMF_TEST_PLUGIN_EARLY").is_some() {
            prepare();
        }
    }

    #[unsafe(no_mangle)]
    pub extern "C" fn rearm() -> i32 {
        i32::from(faults::rearm().is_armed())
    }
}
