//! Bytes read as numbers.

use std::fmt;

use clap::ValueEnum;
use serde::Serialize;

/// The type of a column of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
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

/// The byte order of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Little,
    Big,
}

impl Order {
    pub(crate) fn other(self) -> Self {
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

/// One number. JSON has no infinity and no NaN: these are serialised as null.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Value {
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
    /// The size of a number in bytes; 0 for no numbers.
    pub(crate) fn size(self) -> usize {
        match self {
            Type::None => 0,
            Type::U8 | Type::I8 => 1,
            Type::U16 | Type::I16 => 2,
            Type::U32 | Type::I32 | Type::F32 => 4,
            Type::U64 | Type::I64 | Type::F64 => 8,
        }
    }

    /// The width of the longest number in characters.
    pub(crate) fn width(self) -> usize {
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

    pub(crate) fn next(self) -> Self {
        let all = Self::value_variants();
        let here = all.iter().position(|one| *one == self).unwrap_or(0);
        all[(here + 1) % all.len()]
    }

    pub(crate) fn name(self) -> &'static str {
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

    /// Reads the number in `bytes`, or `None` if their count is not its size.
    pub(crate) fn read(self, bytes: &[u8], order: Order) -> Option<Value> {
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

/// Plain notation where that is short, else with an exponent; with all digits that distinguish the number
/// from its neighbours.
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
mod tests;
