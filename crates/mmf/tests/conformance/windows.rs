//! The kernel objects of a segment, seen by processes without rights to the segment; and sections that other
//! programs create.

#[cfg(windows)]
pub(crate) use here::*;
#[cfg(not(windows))]
pub(crate) use skipped::*;

#[cfg(not(windows))]
mod skipped {
    use testkit::Role;

    fn skip() {
        testkit::skip("only Windows has these objects");
    }

    pub(crate) fn object_names_cannot_be_derived_from_each_other() {
        skip();
    }

    pub(crate) fn foreign_events_keep_no_participant_out() {
        skip();
    }

    pub(crate) fn readers_can_neither_wait_nor_wake() {
        skip();
    }

    pub(crate) fn objects_are_owned_by_their_creator() {
        skip();
    }

    pub(crate) fn a_section_of_a_file_has_one_length() {
        skip();
    }

    pub(crate) fn a_reserved_section_without_pages_is_unfinished() {
        skip();
    }

    pub(crate) fn listed_names_can_be_opened() {
        skip();
    }

    pub(crate) fn role_squat(_: &mut Role) {}

    pub(crate) fn role_hold_until_killed(_: &mut Role) {}
}

#[cfg(windows)]
mod here {
    #[allow(deprecated, reason = "the format names the algorithm")]
    use std::hash::{Hasher, SipHasher};
    use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};

    use mmf::diagnosis::Cause;
    use mmf::security::Security;
    use mmf::sync::LockError;
    use mmf::{Name, OpenOptions, Segment, SegmentOptions, SharedMemory};
    use testkit::{Peer, Role, unique_name};
    use windows_sys::Wdk::Foundation::OBJECT_ATTRIBUTES;
    use windows_sys::Wdk::Storage::FileSystem::{NtOpenDirectoryObject, NtQueryDirectoryObject};
    use windows_sys::Win32::Foundation::{GetLastError, INVALID_HANDLE_VALUE, UNICODE_STRING};
    use windows_sys::Win32::Security::{
        DACL_SECURITY_INFORMATION, GetKernelObjectSecurity, OWNER_SECURITY_INFORMATION,
    };
    use windows_sys::Win32::System::Memory::{
        CreateFileMappingW, FILE_MAP_WRITE, MEM_COMMIT, MEMORY_MAPPED_VIEW_ADDRESS, MapViewOfFile,
        PAGE_READWRITE, SEC_RESERVE, UnmapViewOfFile, VirtualAlloc,
    };
    use windows_sys::Win32::System::RemoteDesktop::ProcessIdToSessionId;
    use windows_sys::Win32::System::Threading::{CreateEventW, CreateSemaphoreW, OpenEventW, OpenSemaphoreW};

    const LEN: u64 = 64 * 1024;
    const READ_CONTROL: u32 = 0x2_0000;
    const SYNCHRONIZE: u32 = 0x10_0000;
    const MODIFY_STATE: u32 = 2;

    fn identity(segment: &Segment) -> [u8; 16] {
        segment.memory().view().unwrap().read(32).unwrap()
    }

    /// The name of an object of a segment by `docs/segment.md`. Any process that can read the region can
    /// compute it.
    #[allow(deprecated, reason = "the format names the algorithm")]
    fn object(identity: [u8; 16], kind: char, number: u64) -> Vec<u16> {
        let (first, second) = identity.split_at(8);
        let key = |half: &[u8]| u64::from_le_bytes(half.try_into().unwrap());
        let half = |which: u8| {
            let mut hasher = SipHasher::new_with_keys(key(first), key(second));
            hasher.write(&number.to_le_bytes());
            hasher.write(&[kind as u8, which]);
            hasher.finish()
        };
        format!("Local\\mmf.{:016x}{:016x}\0", half(0), half(1)).encode_utf16().collect()
    }

    fn text(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn owned(handle: *mut core::ffi::c_void) -> Result<OwnedHandle, u32> {
        if handle.is_null() {
            // SAFETY: the call has no requirements.
            return Err(unsafe { GetLastError() });
        }
        // SAFETY: the callers pass a handle that a call has just returned, which has no other owner.
        Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
    }

    fn open_event(access: u32, name: &[u16]) -> Result<OwnedHandle, u32> {
        // SAFETY: the name is zero-terminated.
        owned(unsafe { OpenEventW(access, 0, name.as_ptr()) })
    }

    fn open_semaphore(access: u32, name: &[u16]) -> Result<OwnedHandle, u32> {
        // SAFETY: the name is zero-terminated.
        owned(unsafe { OpenSemaphoreW(access, 0, name.as_ptr()) })
    }

    fn security_of(handle: &OwnedHandle) -> Security {
        let (mut bytes, mut needed) = ([0_u64; 64], 0);
        let what = OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION;
        // SAFETY: the handle is open; the buffer is aligned and has the length that is passed.
        let result = unsafe {
            GetKernelObjectSecurity(handle.as_raw_handle(), what, bytes.as_mut_ptr().cast(), 512, &mut needed)
        };
        assert_ne!(result, 0);
        let bytes: Vec<u8> = bytes.iter().flat_map(|word| word.to_le_bytes()).take(needed as usize).collect();
        Security::from_descriptor(&bytes).unwrap()
    }

    /// Lists the names of all objects of this session.
    fn names() -> Vec<String> {
        let mut session = 0;
        // SAFETY: the reply goes to a local variable.
        assert_ne!(unsafe { ProcessIdToSessionId(std::process::id(), &mut session) }, 0);
        let path = if session == 0 {
            r"\BaseNamedObjects".to_owned()
        } else {
            format!(r"\Sessions\{session}\BaseNamedObjects")
        };
        let path: Vec<u16> = path.encode_utf16().collect();
        let bytes = (path.len() * 2) as u16;
        let path = UNICODE_STRING { Length: bytes, MaximumLength: bytes, Buffer: path.as_ptr().cast_mut() };
        let attributes = OBJECT_ATTRIBUTES {
            Length: size_of::<OBJECT_ATTRIBUTES>() as u32,
            RootDirectory: std::ptr::null_mut(),
            ObjectName: &path,
            Attributes: 0,
            SecurityDescriptor: std::ptr::null(),
            SecurityQualityOfService: std::ptr::null(),
        };
        let mut directory = std::ptr::null_mut();
        // SAFETY: the attributes outlive the call; the reply goes to a local variable.
        assert!(unsafe { NtOpenDirectoryObject(&mut directory, 1, &attributes) } >= 0);
        let directory = owned(directory).unwrap();
        let mut reply = vec![0_u64; 1 << 17];
        let (mut context, mut returned) = (0, 0);
        // SAFETY: the handle is open; the buffer has the length that is passed.
        let status = unsafe {
            NtQueryDirectoryObject(
                directory.as_raw_handle(),
                reply.as_mut_ptr().cast(),
                1 << 20,
                false,
                true,
                &mut context,
                &mut returned,
            )
        };
        assert!(status >= 0, "{status:#x}");
        let mut found = Vec::new();
        let mut entry = reply.as_ptr().cast::<[UNICODE_STRING; 2]>();
        loop {
            // SAFETY: the reply is an array of pairs that ends with an empty pair.
            let [name, _] = unsafe { entry.read() };
            if name.Buffer.is_null() {
                return found;
            }
            // SAFETY: the text of the string is in the reply.
            let units = unsafe { std::slice::from_raw_parts(name.Buffer, usize::from(name.Length) / 2) };
            found.push(String::from_utf16_lossy(units));
            // SAFETY: this pair was not the empty pair at the end, so another pair follows.
            entry = unsafe { entry.add(1) };
        }
    }

    pub(crate) fn object_names_cannot_be_derived_from_each_other() {
        let segment = Segment::create(unique_name("secret"), LEN).unwrap();
        let _objects = (segment.auto_reset_event("go").unwrap(), segment.mutex::<u64>("m").unwrap());
        let identity = identity(&segment);
        let slot = String::from_utf16(&object(identity, 'p', 0)).unwrap();
        let slot = slot.trim_end_matches('\0').trim_start_matches(r"Local\");
        let all = names();
        assert!(all.iter().any(|name| name == slot), "{slot} is not in {all:?}");
        let revealing: Vec<_> = all.iter().filter(|name| name.contains(&text(&identity))).collect();
        assert!(revealing.is_empty(), "{revealing:?}");
    }

    pub(crate) fn foreign_events_keep_no_participant_out() {
        let name = unique_name("squatted");
        let segment = SegmentOptions::new().len(LEN).participants(8).create(&name).unwrap();
        let mutex = segment.mutex::<u64>("held").unwrap();
        // A process without rights cannot do this, because it does not know the identity.
        let mut squatter = Peer::start("windows::role_squat", &[&text(&identity(&segment))]);
        squatter.expect("squatted 511");
        // Its events neither fill the segment nor make dead participants appear alive.
        for _ in 0..9 {
            let mut peer = Peer::start("windows::role_hold_until_killed", &[&name]);
            peer.expect("held");
            assert!(matches!(mutex.try_lock(), Err(LockError::WouldBlock(_))), "its owner lives");
            peer.kill();
            drop(peer);
            let LockError::OwnerDied(owner) = mutex.lock().unwrap_err() else { panic!("no death detected") };
            owner.into_guard().declare_consistent().unwrap();
        }
        squatter.finish();
        // Once its events are gone, the kernel holds slots again.
        let other = Segment::open(&name).unwrap();
        assert_eq!(other.participants().unwrap().iter().filter(|one| one.alive).count(), 2);
    }

    /// Creates the events of all slots, except for those that exist.
    pub(crate) fn role_squat(role: &mut Role) {
        let digits = role.argument(0).as_bytes();
        let identity: Vec<u8> = digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect();
        let identity = identity.try_into().unwrap();
        let held: Vec<_> = (0..512)
            .filter(|slot| open_event(SYNCHRONIZE, &object(identity, 'p', *slot)).is_err())
            .filter_map(|slot| {
                // SAFETY: there are no attributes; the name is zero-terminated.
                owned(unsafe { CreateEventW(std::ptr::null(), 1, 0, object(identity, 'p', slot).as_ptr()) })
                    .ok()
            })
            .collect();
        role.say(format!("squatted {}", held.len()));
        role.stay();
    }

    pub(crate) fn role_hold_until_killed(role: &mut Role) {
        let segment = Segment::open(role.argument(0)).unwrap();
        let mutex = segment.mutex::<u64>("held").unwrap();
        let _guard = mutex.lock().unwrap();
        role.say("held");
        role.stay();
    }

    pub(crate) fn readers_can_neither_wait_nor_wake() {
        // Everyone, including this process, may read, and another user may write.
        let sddl = "D:P(A;;0x20007;;;S-1-5-21-7-8-9-1234)(A;;0x20005;;;WD)";
        let security = Security::from_sddl(sddl).unwrap();
        let name = unique_name("readers");
        let segment = SegmentOptions::new().len(LEN).security(security).create(&name).unwrap();
        let event = segment.auto_reset_event("go").unwrap();
        let at = segment.inspect().unwrap().objects[0].offset;
        let (slot, semaphore) = (object(identity(&segment), 'p', 0), object(identity(&segment), 'b', at));
        const DENIED: Option<u32> = Some(5);
        for access in [SYNCHRONIZE, MODIFY_STATE, 1] {
            // Wine grants SYNCHRONIZE to everyone, regardless of the list.
            let expected = if access == SYNCHRONIZE && testkit::under_wine() { None } else { DENIED };
            assert_eq!(open_semaphore(access, &semaphore).err(), expected, "{access:#x}");
            assert_eq!(open_event(access, &slot).err(), expected, "{access:#x}");
        }
        for object in [open_semaphore(READ_CONTROL, &semaphore), open_event(READ_CONTROL, &slot)] {
            let sddl = security_of(&object.unwrap()).to_sddl().unwrap();
            let rights: Vec<_> = sddl.split('(').filter(|ace| ace.ends_with(";WD)")).collect();
            assert_eq!(rights, ["A;;;;;WD)"], "{sddl}");
        }
        // A reader nevertheless sees the participants.
        let observer = Segment::open_read_only(&name).unwrap();
        let participants = observer.participants().unwrap();
        assert_eq!(participants.len(), 1);
        assert!(participants[0].alive);
        drop((segment, event));
        assert!(observer.participants().unwrap().iter().all(|one| !one.alive));
    }

    pub(crate) fn objects_are_owned_by_their_creator() {
        let security = Security::from_sddl("O:S-1-5-21-7-8-9-1234D:P(A;;GA;;;WD)").unwrap();
        let name = unique_name("owners");
        let memory = match OpenOptions::new().len(LEN).security(security).create(&name) {
            Ok(memory) => memory,
            Err(error) => {
                testkit::skip(format!("this user cannot create a region that another user owns: {error}"))
            }
        };
        let theirs = memory.security().unwrap().owner().unwrap();
        let me = Security::current_user().owner().unwrap();
        assert_ne!(theirs, me);
        let segment = Segment::create_in(&memory).unwrap();
        let _event = segment.auto_reset_event("go").unwrap();
        let at = segment.inspect().unwrap().objects[0].offset;
        let slot = open_event(READ_CONTROL, &object(identity(&segment), 'p', 0)).unwrap();
        assert_eq!(security_of(&slot).owner(), Some(me.clone()));
        let semaphore = open_semaphore(READ_CONTROL, &object(identity(&segment), 'b', at)).unwrap();
        assert_eq!(security_of(&semaphore).owner(), Some(me));
        // The kernel also holds the slot by the event that was created, not only by the process.
        // SAFETY: there are no attributes; the name is zero-terminated.
        let again =
            unsafe { CreateSemaphoreW(std::ptr::null(), 0, 1, object(identity(&segment), 'p', 0).as_ptr()) };
        assert_eq!(owned(again).err(), Some(6), "the name belongs to an event");
    }

    fn section(name: &str, file: Option<&std::fs::File>, kind: u32, len: u32) -> OwnedHandle {
        let name: Vec<u16> = name.encode_utf16().chain([0]).collect();
        let file = file.map_or(INVALID_HANDLE_VALUE, |file| file.as_raw_handle());
        let protection = PAGE_READWRITE | kind;
        // SAFETY: there are no attributes; the name is zero-terminated; the handle is open, or stands for the
        // page file.
        owned(unsafe { CreateFileMappingW(file, std::ptr::null(), protection, 0, len, name.as_ptr()) })
            .unwrap()
    }

    /// The length by every way to determine it.
    fn lengths(name: &str) -> Vec<Option<u64>> {
        let exists = SharedMemory::create(name, 10).unwrap_err();
        let exists = exists.diagnosis().unwrap().causes().find_map(|cause| match cause {
            Cause::Exists { len, .. } => Some(*len),
            _ => None,
        });
        vec![
            SharedMemory::open(name).ok().map(|memory| memory.len()),
            SharedMemory::open_read_only(name).ok().map(|memory| memory.len()),
            mmf::diagnosis::examine(name).unwrap().len(),
            exists.unwrap(),
        ]
    }

    pub(crate) fn a_section_of_a_file_has_one_length() {
        let path = std::env::temp_dir().join(unique_name("file"));
        std::fs::write(&path, vec![7; 5000]).unwrap();
        let file = std::fs::File::options().read(true).write(true).open(&path).unwrap();
        for (len, expected) in [(0, 5000), (3000, 3000), (20_000, 20_000)] {
            let name = unique_name("of-file");
            let section = section(&name, Some(&file), 0, len);
            assert_eq!(lengths(&name), [Some(expected); 4]);
            drop(section);
        }
        drop(file);
        std::fs::remove_file(path).unwrap();
    }

    /// A program can reserve a section and commit its pages later. Until then, all calls report the same
    /// cause.
    pub(crate) fn a_reserved_section_without_pages_is_unfinished() {
        let name = unique_name("reserved");
        let section = section(&name, None, SEC_RESERVE, 1 << 20);
        let report = mmf::diagnosis::examine(&name).unwrap();
        assert!(report.exists() && report.is_empty() && report.is_troubled(), "{report:?}");
        assert_eq!(report.len(), None);
        let unfinished = |diagnosis: Option<&mmf::diagnosis::Diagnosis>, what: &str| {
            let found = diagnosis.unwrap_or_else(|| panic!("{what}: no diagnosis")).findings();
            assert!(found.iter().any(|f| matches!(f.cause(), Cause::Unfinished { .. })), "{what}: {found:?}");
        };
        unfinished(Some(report.diagnosis()), "examine");
        unfinished(Some(&OpenOptions::new().check_open(&name)), "check_open");
        let create = SharedMemory::create(&name, 4096).unwrap_err();
        unfinished(create.diagnosis(), "create");
        let errors = [
            SharedMemory::open(&name).map(drop).unwrap_err(),
            SharedMemory::open_read_only(&name).map(drop).unwrap_err(),
            OpenOptions::new().len(4096).open_or_create(&name).map(drop).unwrap_err(),
        ];
        for error in errors {
            unfinished(error.diagnosis(), &error.to_string());
        }
        // The creator commits a part.
        // SAFETY: the handle is open; the system chooses the addresses.
        let view = unsafe { MapViewOfFile(section.as_raw_handle(), FILE_MAP_WRITE, 0, 0, 0) }.Value;
        // SAFETY: the pages belong to the view.
        assert!(!unsafe { VirtualAlloc(view, 65536, MEM_COMMIT, PAGE_READWRITE) }.is_null());
        assert_eq!(SharedMemory::open(&name).unwrap().len(), 65536);
        assert_eq!(mmf::diagnosis::examine(&name).unwrap().len(), Some(65536));
        // SAFETY: no address of the view is used any more.
        assert_ne!(unsafe { UnmapViewOfFile(MEMORY_MAPPED_VIEW_ADDRESS { Value: view }) }, 0);
    }

    /// Programs that were ported from POSIX create names with a slash. Every name in the list can be passed
    /// to every call.
    pub(crate) fn listed_names_can_be_opened() {
        let unique = unique_name("listed");
        let texts = ["/", "", "a/b ", ".", "Session ", "\u{fc}", "*?<>|", "Local", "con:"];
        let texts = texts.map(|text| format!("{text}{unique}"));
        let _sections: Vec<_> = texts.iter().map(|text| section(text, None, 0, 4096)).collect();
        let mut seen = 0;
        for entry in mmf::inspect::list().unwrap() {
            // (Names of other programs can be longer than this library allows.)
            let Ok(name) = entry.name() else { continue };
            assert_eq!(name.to_string().parse::<Name>().ok(), Some(name.clone()), "{name:?}");
            if texts.iter().any(|text| text == entry.text()) {
                seen += 1;
                assert_eq!(SharedMemory::open(name.to_string()).unwrap().len(), 4096);
                assert!(mmf::diagnosis::examine(name.to_string()).unwrap().may_write());
                // The same name without the prefix.
                assert_eq!(SharedMemory::open(name.text()).unwrap().len(), 4096);
            }
        }
        assert_eq!(seen, texts.len());
    }
}

testkit::registry! {
    windows
    tests {
        object_names_cannot_be_derived_from_each_other
        foreign_events_keep_no_participant_out
        readers_can_neither_wait_nor_wake
        objects_are_owned_by_their_creator
        a_section_of_a_file_has_one_length
        a_reserved_section_without_pages_is_unfinished
        listed_names_can_be_opened
    }
    roles {
        role_squat
        role_hold_until_killed
    }
}
