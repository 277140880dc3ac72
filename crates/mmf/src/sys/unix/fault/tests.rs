use super::*;

/// Returns the `siginfo_t` that the kernel delivers for memory errors.
fn memory_error(code: c_int, address: usize, bits: u16) -> siginfo_t {
    // SAFETY: `siginfo_t` consists of integers and pointers, for which all zeros is a valid value.
    let mut info: siginfo_t = unsafe { mem::zeroed() };
    info.si_code = code;
    let bytes = (&raw mut info).cast::<u8>();
    // SAFETY: the field of the address is inside the structure and aligned.
    unsafe { bytes.wrapping_add(16).cast::<usize>().write(address) };
    // SAFETY: the next field is inside the structure and aligned, too.
    unsafe { bytes.wrapping_add(24).cast::<u16>().write(bits) };
    info
}

#[test]
fn a_memory_error_concerns_its_whole_block() {
    const HUGE: usize = 0x7f00_0020_0000;
    let here = memory_error(4, HUGE, 21);
    assert_eq!(place(libc::SIGBUS, &here), Place::block(HUGE, 21));
    // An address in the middle identifies the same block.
    assert_eq!(place(libc::SIGBUS, &memory_error(4, HUGE + 0x1_2345, 21)), Place::block(HUGE, 21));
    // The extent is meaningless for other faults, where the field can be a part of something else.
    for (signal, code) in [(libc::SIGBUS, 2), (libc::SIGSEGV, 4), (libc::SIGSEGV, 1)] {
        assert_eq!(place(signal, &memory_error(code, HUGE, 21)), Place::at(HUGE));
    }
    // Errors that no instruction has met yet interrupt none.
    assert!(is_sent(libc::SIGBUS, 5));
    assert!(!is_sent(libc::SIGBUS, 4));
}
