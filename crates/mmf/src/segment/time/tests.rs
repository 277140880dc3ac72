use std::time::{Duration, UNIX_EPOCH};

use super::rfc3339;

#[test]
fn times_are_in_utc() {
    for (seconds, text) in [
        (0, "1970-01-01T00:00:00Z"),
        (951_782_399, "2000-02-28T23:59:59Z"),
        (951_782_400, "2000-02-29T00:00:00Z"),
        (1_709_251_199, "2024-02-29T23:59:59Z"),
        (4_107_542_400, "2100-03-01T00:00:00Z"),
    ] {
        assert_eq!(rfc3339(UNIX_EPOCH + Duration::from_secs(seconds)).as_deref(), Some(text));
    }
    assert_eq!(rfc3339(UNIX_EPOCH - Duration::from_secs(1)), None);
}
