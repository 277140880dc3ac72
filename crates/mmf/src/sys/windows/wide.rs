//! Text as the calls want it and give it: zero-terminated UTF-16.

/// Text without a NUL inside, and with one behind it.
#[derive(Clone, Debug)]
pub(super) struct Wide(Vec<u16>);

impl Wide {
    /// `None` if there is a NUL in the text: the system would take what stands before it for the whole.
    pub(super) fn new(text: &str) -> Option<Self> {
        if text.contains('\0') { None } else { Some(Wide(text.encode_utf16().chain([0]).collect())) }
    }

    pub(super) fn as_ptr(&self) -> *const u16 {
        self.0.as_ptr()
    }
}

/// What stands before the first NUL, or all.
pub(super) fn text(units: &[u16]) -> String {
    let end = units.iter().position(|&unit| unit == 0).unwrap_or(units.len());
    String::from_utf16_lossy(&units[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_ends_where_the_system_thinks_it_ends() {
        assert!(Wide::new("a\0b").is_none());
        assert_eq!(Wide::new("ä𝄞").map(|wide| wide.0), Some(vec![0xE4, 0xD834, 0xDD1E, 0]));
        assert_eq!(text(&[0x61, 0, 0x62]), "a");
        assert_eq!(text(&[0x61, 0x62]), "ab");
        assert_eq!(text(&[]), "");
    }
}
