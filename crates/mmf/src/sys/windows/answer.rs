//! Answers of variable size, read without trust in what they say about themselves.

use std::os::windows::io::BorrowedHandle;

use windows_sys::Win32::Foundation::{ERROR_INSUFFICIENT_BUFFER, ERROR_INVALID_DATA};
use windows_sys::Win32::Security::TOKEN_INFORMATION_CLASS;
use zerocopy::IntoBytes;

use super::{LastError, api, sid};

/// No true answer is longer: a limit for a system that never finds the room enough.
const MOST: usize = 1 << 20;

/// Asks with more and more room until the answer fits.
pub(super) fn with_room<U: Copy + Default, T>(
    first: usize,
    mut ask: impl FnMut(&mut [U]) -> Result<T, LastError>,
) -> Result<(Vec<U>, T), LastError> {
    let mut room = first;
    loop {
        let mut answer = vec![U::default(); room];
        match ask(&mut answer) {
            Err(LastError(ERROR_INSUFFICIENT_BUFFER)) if room < MOST => room *= 2,
            Err(error) => return Err(error),
            Ok(said) => return Ok((answer, said)),
        }
    }
}

/// For an answer that contradicts itself.
pub(super) fn bad() -> LastError {
    LastError(ERROR_INVALID_DATA)
}

/// What a token says about one matter. It may point into itself, so its words stay where they are.
pub(super) struct Answer(Vec<u64>);

impl Answer {
    /// Asks the token of whoever this thread acts for.
    pub(super) fn of_token(class: TOKEN_INFORMATION_CLASS) -> Result<Self, LastError> {
        let (words, ()) = with_room(64, |room| api::query_token(class, room))?;
        Ok(Answer(words))
    }

    /// Asks a token.
    pub(super) fn of(token: BorrowedHandle<'_>, class: TOKEN_INFORMATION_CLASS) -> Result<Self, LastError> {
        let (words, ()) = with_room(64, |room| api::query_token_of(token, class, room))?;
        Ok(Answer(words))
    }

    /// The number at this offset.
    pub(super) fn number(&self, at: usize) -> Result<u32, LastError> {
        let bytes = self.0.as_bytes().get(at..).and_then(<[u8]>::first_chunk);
        bytes.map(|bytes| u32::from_ne_bytes(*bytes)).ok_or_else(bad)
    }

    /// The SID that the pointer at this offset leads to: `None` if the pointer is null.
    pub(super) fn sid(&self, at: usize) -> Result<Option<Vec<u8>>, LastError> {
        let bytes = self.0.as_bytes();
        let pointer = bytes.get(at..).and_then(<[u8]>::first_chunk).ok_or_else(bad)?;
        let address = usize::from_ne_bytes(*pointer);
        if address == 0 {
            return Ok(None);
        }
        let rest = address.checked_sub(bytes.as_ptr().addr()).and_then(|offset| bytes.get(offset..));
        let rest = rest.ok_or_else(bad)?;
        let sid = sid::len(rest).and_then(|len| rest.get(..len)).ok_or_else(bad)?;
        Ok(Some(sid.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_grows_until_it_is_enough_and_not_for_ever() {
        let mut rooms = Vec::new();
        let answer = with_room(3, |room: &mut [u16]| {
            rooms.push(room.len());
            if room.len() < 10 { Err(LastError(ERROR_INSUFFICIENT_BUFFER)) } else { Ok(7) }
        });
        assert_eq!(rooms, [3, 6, 12]);
        assert!(matches!(answer, Ok((units, 7)) if units == [0; 12]));
        let mut times = 0;
        let answer = with_room(1, |_: &mut [u8]| -> Result<(), _> {
            times += 1;
            Err(LastError(ERROR_INSUFFICIENT_BUFFER))
        });
        assert_eq!((answer.err(), times), (Some(LastError(ERROR_INSUFFICIENT_BUFFER)), 21));
    }

    #[test]
    fn pointers_out_of_the_answer_are_not_followed() {
        let make = |pointer: usize| {
            let mut answer = Answer(vec![0; 4]);
            let to = answer.0.as_ptr().addr().wrapping_add(pointer);
            let bytes = answer.0.as_mut_bytes();
            bytes[..size_of::<usize>()].copy_from_slice(&to.to_ne_bytes());
            bytes[20..32].copy_from_slice(&[1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]);
            answer
        };
        assert_eq!(make(20).sid(0), Ok(Some(vec![1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0])));
        for wrong in [0usize.wrapping_sub(8), 8, 24, 32, 33, usize::MAX / 2] {
            assert_eq!(make(wrong).sid(0), Err(bad()), "{wrong:#x}");
        }
        assert_eq!(Answer(vec![0; 4]).sid(0), Ok(None));
        assert_eq!(make(20).sid(30), Err(bad()));
        assert_eq!(make(20).number(28), Ok(0));
        assert_eq!(make(20).number(29), Err(bad()));
        assert_eq!(make(20).number(99), Err(bad()));
    }
}
