//! Numbers, times and accounts in words.

use core::fmt;
use std::time::SystemTime;

use crate::security::Account;

/// A number of bytes, with large ones also in a common unit.
pub(super) struct Bytes(pub(super) u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0)?;
        let units = [(40, "TiB"), (30, "GiB"), (20, "MiB")];
        match units.iter().find(|(bits, _)| self.0 >> bits > 0) {
            // Cut to a tenth, not rounded up: it is often what is left.
            Some((bits, unit)) => {
                let tenths = (u128::from(self.0) * 10) >> bits;
                write!(f, " ({}.{} {unit})", tenths / 10, tenths % 10)
            }
            None => Ok(()),
        }
    }
}

/// A number of bytes in the largest unit that makes it a number of few digits.
pub(super) struct Short(pub(super) u64);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
        match units.iter().find(|(bits, _)| self.0 >> bits > 0) {
            Some((bits, unit)) if self.0 % (1 << bits) == 0 => write!(f, "{} {unit}", self.0 >> bits),
            Some((bits, unit)) => {
                let tenths = (u128::from(self.0) * 10) >> bits;
                write!(f, "{}.{} {unit}", tenths / 10, tenths % 10)
            }
            None => write!(f, "{} bytes", self.0),
        }
    }
}

/// A time, in UTC.
pub(super) struct Time(pub(super) SystemTime);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let (days, rest) = (seconds / 86400, seconds % 86400);
        // The calendar repeats every 400 years of 146097 days; counted from a March, leap days come last.
        let (era, day) = ((days + 719_468) / 146_097, (days + 719_468) % 146_097);
        let year_of_era = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month = (5 * day + 2) / 153;
        let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
        let year = era * 400 + year_of_era + u64::from(month <= 2);
        let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
        write!(f, "{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
    }
}

/// Writes an account, if there is one, between two texts.
pub(super) fn write_account(
    f: &mut fmt::Formatter<'_>,
    before: &str,
    account: Option<&Account>,
    after: &str,
) -> fmt::Result {
    account.map_or(Ok(()), |account| write!(f, "{before}{account}{after}"))
}
