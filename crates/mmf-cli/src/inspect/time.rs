//! Times as text. (The standard library knows no calendar.)

use std::time::{SystemTime, UNIX_EPOCH};

/// Returns a time for people.
pub(super) fn moment(time: Option<SystemTime>) -> String {
    stamp(time).map_or("unknown".to_owned(), |stamp| stamp.replace('T', " ").replace('Z', " UTC"))
}

/// Returns a time in UTC, to the second, as in RFC 3339.
pub(super) fn stamp(time: Option<SystemTime>) -> Option<String> {
    let seconds = time?.duration_since(UNIX_EPOCH).ok()?.as_secs();
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Counted from March, the leap day is the last of a year, and 400 years always have the same length.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let march = (5 * day + 2) / 153;
    let day = day - (153 * march + 2) / 5 + 1;
    let month = if march < 10 { march + 3 } else { march - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"))
}

#[cfg(test)]
mod tests;
