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
fn sizes_that_do_not_fit_are_errors() {
    for text in ["18446744073709551616", "16777216T", "18014398509481984K", "0x10000000000000000"] {
        let message = parse(text).unwrap_err();
        assert!(message.contains("at most"), "{text}: {message}");
    }
}

#[test]
fn errors_contain_examples() {
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
