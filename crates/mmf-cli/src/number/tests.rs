use super::{Order, Type};
use clap::ValueEnum;

#[test]
fn bytes_are_read_in_both_orders() {
    let bytes = [0xff, 0xfe, 0x80, 0x40, 0, 0, 0xf0, 0x3f];
    let cases = [
        (Type::U8, "255", "255"),
        (Type::I8, "-1", "-1"),
        (Type::U16, "65279", "65534"),
        (Type::I16, "-257", "-2"),
        (Type::U32, "1082195711", "4294869056"),
        (Type::I32, "1082195711", "-98240"),
        (Type::F32, "4.0311275", "NaN"),
        (Type::U64, "4607182419882213119", "18446322136122454079"),
        (Type::I64, "4607182419882213119", "-421937587097537"),
    ];
    for (kind, little, big) in cases {
        let read = |order| kind.read(&bytes[..kind.size()], order).unwrap().to_string();
        assert_eq!((read(Order::Little).as_str(), read(Order::Big).as_str()), (little, big), "{kind:?}");
    }
    assert_eq!(Type::U32.read(&bytes[..3], Order::Little), None);
    assert_eq!(Type::None.read(&[], Order::Little), None);
}

#[test]
fn floats_are_short_and_exact() {
    let show = |number: f32| Type::F32.read(&number.to_le_bytes(), Order::Little).unwrap().to_string();
    assert_eq!(show(0.0), "0");
    assert_eq!(show(-0.0), "-0");
    assert_eq!(show(212.5), "212.5");
    assert_eq!(show(0.1), "0.1");
    assert_eq!(show(f32::MAX), "3.4028235e38");
    assert_eq!(show(f32::INFINITY), "inf");
    assert_eq!(show(1e-5), "1e-5");
}

#[test]
fn numbers_fit_their_column() {
    let extremes: [u64; 10] = [
        0,
        u64::MAX,
        1 << 63,
        (-1.234_567_890_123_456_7e-308_f64).to_bits(),
        (-1.797_693_134_862_315_7e308_f64).to_bits(),
        (-0.000_123_456_789_012_345_68_f64).to_bits(),
        u64::from((-1.234_567_9e-38_f32).to_bits()),
        u64::from((-0.000_123_456_79_f32).to_bits()),
        u64::from((-9_999_999.0_f32).to_bits()),
        0x8080_8080_8080_8080,
    ];
    for kind in Type::value_variants().iter().skip(1) {
        for bits in extremes {
            let text = kind.read(&bits.to_le_bytes()[..kind.size()], Order::Little).unwrap().to_string();
            assert!(text.len() <= kind.width(), "{kind:?} {text}");
        }
    }
}

#[test]
fn types_cycle() {
    let mut kind = Type::None;
    for _ in 0..11 {
        kind = kind.next();
    }
    assert_eq!((kind, Type::F64.next()), (Type::None, Type::None));
    for kind in Type::value_variants() {
        assert_eq!(kind.to_possible_value().unwrap().get_name(), kind.name());
    }
}
