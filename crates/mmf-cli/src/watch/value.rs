//! Bytes as numbers.

use std::fmt;

use clap::ValueEnum;
use serde_json::{Value as Json, json};

/// What a column of numbers is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(clippy::doc_markdown, reason = "what the help says")]
pub(crate) enum Type {
    /// No numbers
    None,
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F32,
    F64,
}

/// Which byte of a number comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Little,
    Big,
}

impl Order {
    pub(super) fn other(self) -> Self {
        match self {
            Order::Little => Order::Big,
            Order::Big => Order::Little,
        }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Order::Little => "little-endian",
            Order::Big => "big-endian",
        })
    }
}

/// One number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    Unsigned(u64),
    Signed(i64),
    Single(f32),
    Double(f64),
}

macro_rules! number {
    ($type:ty, $bytes:expr, $order:expr) => {{
        let bytes = $bytes.try_into().ok()?;
        match $order {
            Order::Little => <$type>::from_le_bytes(bytes),
            Order::Big => <$type>::from_be_bytes(bytes),
        }
    }};
}

impl Type {
    /// Bytes in one number; 0 for none.
    pub(super) fn size(self) -> usize {
        match self {
            Type::None => 0,
            Type::U8 | Type::I8 => 1,
            Type::U16 | Type::I16 => 2,
            Type::U32 | Type::I32 | Type::F32 => 4,
            Type::U64 | Type::I64 | Type::F64 => 8,
        }
    }

    /// The most characters that one number takes.
    pub(super) fn width(self) -> usize {
        match self {
            Type::None => 0,
            Type::U8 => 3,
            Type::I8 => 4,
            Type::U16 => 5,
            Type::I16 => 6,
            Type::U32 => 10,
            Type::I32 => 11,
            Type::U64 | Type::I64 => 20,
            Type::F32 => 14,
            Type::F64 => 24,
        }
    }

    pub(super) fn next(self) -> Self {
        let all = Self::value_variants();
        let here = all.iter().position(|one| *one == self).unwrap_or(0);
        all[(here + 1) % all.len()]
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Type::None => "none",
            Type::U8 => "u8",
            Type::I8 => "i8",
            Type::U16 => "u16",
            Type::I16 => "i16",
            Type::U32 => "u32",
            Type::I32 => "i32",
            Type::U64 => "u64",
            Type::I64 => "i64",
            Type::F32 => "f32",
            Type::F64 => "f64",
        }
    }

    /// The number in these bytes; none if they are not as many as it has.
    pub(super) fn read(self, bytes: &[u8], order: Order) -> Option<Value> {
        Some(match self {
            Type::None => return None,
            Type::U8 => Value::Unsigned(number!(u8, bytes, order).into()),
            Type::U16 => Value::Unsigned(number!(u16, bytes, order).into()),
            Type::U32 => Value::Unsigned(number!(u32, bytes, order).into()),
            Type::U64 => Value::Unsigned(number!(u64, bytes, order)),
            Type::I8 => Value::Signed(number!(i8, bytes, order).into()),
            Type::I16 => Value::Signed(number!(i16, bytes, order).into()),
            Type::I32 => Value::Signed(number!(i32, bytes, order).into()),
            Type::I64 => Value::Signed(number!(i64, bytes, order)),
            Type::F32 => Value::Single(number!(f32, bytes, order)),
            Type::F64 => Value::Double(number!(f64, bytes, order)),
        })
    }
}

impl Value {
    /// JSON has no infinity and nothing that is no number.
    pub(super) fn to_json(self) -> Json {
        match self {
            Value::Unsigned(number) => json!(number),
            Value::Signed(number) => json!(number),
            Value::Single(number) => json!(number),
            Value::Double(number) => json!(number),
        }
    }
}

/// Written out where that is short, else with an exponent. All digits that tell it from its neighbours.
macro_rules! float {
    ($f:expr, $number:expr) => {{
        let size = $number.abs();
        if size == 0.0 || !size.is_finite() || (1e-4..1e7).contains(&size) {
            write!($f, "{}", $number)
        } else {
            write!($f, "{:e}", $number)
        }
    }};
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Unsigned(number) => write!(f, "{number}"),
            Value::Signed(number) => write!(f, "{number}"),
            Value::Single(number) => float!(f, *number),
            Value::Double(number) => float!(f, *number),
        }
    }
}

#[cfg(test)]
mod tests {
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
    fn floats_are_short_and_whole() {
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
    fn nothing_is_wider_than_its_column() {
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
    fn types_go_round() {
        let mut kind = Type::None;
        for _ in 0..11 {
            kind = kind.next();
        }
        assert_eq!((kind, Type::F64.next()), (Type::None, Type::None));
        for kind in Type::value_variants() {
            assert_eq!(kind.to_possible_value().unwrap().get_name(), kind.name());
        }
    }
}
