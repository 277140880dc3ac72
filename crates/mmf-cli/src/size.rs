//! Sizes in the notation of the command line.

/// Parses a number of bytes: `4096`, `64K`, `1MiB`, `0x1000`.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let examples = "write a number of bytes, such as 4096, 64K, 1M or 2G";
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return parse_digits(digits, 16)
            .map_err(|()| format!("invalid size: {examples}"))?
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
            return Err(format!("{unit} is ambiguous: write {}, a power of 1024", &unit[..1]));
        }
        _ => return Err(format!("invalid size: {examples}")),
    };
    let number = parse_digits(digits, 10).map_err(|()| format!("invalid size: {examples}"))?;
    number.and_then(|number| number.checked_mul(1 << shift)).ok_or_else(too_large)
}

/// Returns `None` for a number that does not fit.
fn parse_digits(digits: &str, radix: u32) -> Result<Option<u64>, ()> {
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return Err(());
    }
    Ok(u64::from_str_radix(digits, radix).ok())
}

fn too_large() -> String {
    format!("size out of range: write at most {}", u64::MAX)
}

/// Formats a size, such as `1.50 MiB`; exact multiples and plain bytes without a fraction.
#[allow(clippy::cast_precision_loss, reason = "rounded to three digits")]
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
mod tests;
