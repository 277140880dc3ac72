use super::*;

#[test]
fn buffers_grow_until_the_reply_fits_or_the_limit_is_reached() {
    let mut lens = Vec::new();
    let result = with_buffer(3, |buffer: &mut [u16]| {
        lens.push(buffer.len());
        if buffer.len() < 10 { Err(LastError(ERROR_INSUFFICIENT_BUFFER)) } else { Ok(7) }
    });
    assert_eq!(lens, [3, 6, 12]);
    assert!(matches!(result, Ok((units, 7)) if units == [0; 12]));
    let mut calls = 0;
    let result = with_buffer(1, |_: &mut [u8]| -> Result<(), _> {
        calls += 1;
        Err(LastError(ERROR_INSUFFICIENT_BUFFER))
    });
    assert_eq!((result.err(), calls), (Some(LastError(ERROR_INSUFFICIENT_BUFFER)), 21));
}

#[test]
fn pointers_out_of_the_reply_are_not_followed() {
    let make = |pointer: usize| {
        let mut reply = TokenInformation(vec![0; 4]);
        let to = reply.0.as_ptr().addr().wrapping_add(pointer);
        let bytes = reply.0.as_mut_bytes();
        bytes[..size_of::<usize>()].copy_from_slice(&to.to_ne_bytes());
        bytes[20..32].copy_from_slice(&sid::WORLD);
        reply
    };
    assert_eq!(make(20).sid_at(0), Ok(Some(sid::WORLD.to_vec())));
    for wrong in [0usize.wrapping_sub(8), 8, 24, 32, 33, usize::MAX / 2] {
        assert_eq!(make(wrong).sid_at(0), Err(malformed()), "{wrong:#x}");
    }
    assert_eq!(TokenInformation(vec![0; 4]).sid_at(0), Ok(None));
    assert_eq!(make(20).sid_at(30), Err(malformed()));
    assert_eq!(make(20).u32_at(28), Ok(0));
    assert_eq!(make(20).u32_at(29), Err(malformed()));
    assert_eq!(make(20).u32_at(99), Err(malformed()));
}
