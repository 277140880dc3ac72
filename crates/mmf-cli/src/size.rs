//! Sizes as people write them.

/// Reads a number of bytes: `4096`, `64K`, `1MiB`, `0x1000`.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let examples = "write a number of bytes, such as 4096, 64K, 1M or 2G";
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return parse_digits(digits, 16)
            .map_err(|()| format!("this is not a size: {examples}"))?
            .ok_or_else(too_large);
    }
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kib" => 10,
        "m" | "mib" => 20,
        "g" | "gib" => 30,
        "t" | "tib" => 40,
        "kb" | "mb" | "gb" | "tb" => {
            return Err(format!("{unit} can mean two things: write {}, a power of 1024", &unit[..1]));
        }
        _ => return Err(format!("this is not a size: {examples}")),
    };
    let number = parse_digits(digits, 10).map_err(|()| format!("this is not a size: {examples}"))?;
    number.and_then(|number| number.checked_mul(1 << shift)).ok_or_else(too_large)
}

/// None if there are digits, but for a number that is too large.
fn parse_digits(digits: &str, radix: u32) -> Result<Option<u64>, ()> {
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return Err(());
    }
    Ok(u64::from_str_radix(digits, radix).ok())
}

fn too_large() -> String {
    format!("no memory has so many bytes: write at most {}", u64::MAX)
}

/// `1.50 MiB`; exact multiples and plain bytes without a fraction.
#[allow(clippy::cast_precision_loss, reason = "it is rounded to three digits")]
pub(crate) fn show(bytes: u64) -> String {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    for (shift, unit) in units {
        let one = 1u64 << shift;
        if bytes >= one {
            if bytes % one == 0 {
                return format!("{} {unit}", bytes >> shift);
            }
            return format!("{:.2} {unit}", bytes as f64 / one as f64);
        }
    }
    if bytes == 1 { "1 byte".into() } else { format!("{bytes} bytes") }
}

#[cfg(test)]
mod tests {
    use super::{parse, show};

    #[test]
    fn units_are_powers_of_1024() {
        let cases = [
            ("0", 0),
            ("1", 1),
            ("4096", 4096),
            ("4096b", 4096),
            ("64K", 65_536),
            ("64k", 65_536),
            ("64KiB", 65_536),
            ("1M", 1 << 20),
            ("1mib", 1 << 20),
            ("2G", 2 << 30),
            ("3T", 3 << 40),
            ("0x1000", 4096),
            ("18446744073709551615", u64::MAX),
            ("16777215T", 0xff_ffff << 40),
        ];
        for (text, bytes) in cases {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_does_not_fit_is_not_cut() {
        for text in ["18446744073709551616", "16777216T", "18014398509481984K", "0x10000000000000000"] {
            let message = parse(text).unwrap_err();
            assert!(message.contains("at most"), "{text}: {message}");
        }
    }

    #[test]
    fn what_is_no_size_says_what_is() {
        for text in ["", "K", "abc", "-1", "1.5M", "1 K", "+1", "0x", "0xg", "4096X", "K4", "0x+1"] {
            let message = parse(text).unwrap_err();
            assert!(message.contains("64K"), "{text}: {message}");
        }
        assert!(parse("64KB").unwrap_err().contains("write K"));
        assert!(parse("1gb").unwrap_err().contains("write g"));
    }

    #[test]
    fn sizes_are_shown_in_the_largest_unit() {
        let cases = [
            (0, "0 bytes"),
            (1, "1 byte"),
            (1023, "1023 bytes"),
            (1024, "1 KiB"),
            (1536, "1.50 KiB"),
            (64 << 10, "64 KiB"),
            ((1 << 30) + 1, "1.00 GiB"),
            (5 << 40, "5 TiB"),
        ];
        for (bytes, text) in cases {
            assert_eq!(show(bytes), text);
        }
    }
}
