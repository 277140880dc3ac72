//! The types of the objects in a segment, and how programs recognise them.

use core::fmt;
use std::borrow::Cow;

use zerocopy::{FromBytes, Immutable, IntoBytes};

/// A type whose values can be stored in a segment.
///
/// The traits of zerocopy guarantee that any bytes are a valid value, and that a value has neither padding
/// nor references outside its bytes. This trait adds a name and a version, by which all programs that use the
/// segment recognise the type. Size and alignment are compared as well.
///
/// Choose a name that identifies its owner, and raise the version when the meaning of the bytes changes. Use
/// `#[repr(C)]` and types of a fixed width, so that the layout depends neither on the compiler nor on the
/// word size of the processor.
///
/// ```
/// use mmf::SharedType;
/// use zerocopy::{FromBytes, Immutable, IntoBytes};
///
/// #[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
/// #[repr(C)]
/// struct Pose { x: f32, y: f32, heading: f32 }
///
/// impl SharedType for Pose {
///     const NAME: &'static str = "demo.Pose";
///     const VERSION: u32 = 2;
/// }
/// assert_eq!(Pose::description().to_string(), "demo.Pose version 2 (12 bytes, aligned to 4)");
/// ```
pub trait SharedType: FromBytes + IntoBytes + Immutable + Sized + 'static {
    /// The name of the type in all programs: at most 127 bytes.
    const NAME: &'static str;
    /// The version of the type: it changes when the meaning of the bytes changes.
    const VERSION: u32 = 0;

    /// Returns the description that has to be the same in all programs.
    #[must_use]
    fn description() -> TypeDescription {
        TypeDescription {
            name: Cow::Borrowed(Self::NAME),
            version: Self::VERSION,
            size: size_of::<Self>() as u64,
            align: u32::try_from(align_of::<Self>()).unwrap_or(u32::MAX),
        }
    }
}

/// The description of a type in a segment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct TypeDescription {
    /// Its name.
    pub name: Cow<'static, str>,
    /// Its version.
    pub version: u32,
    /// Its length in bytes.
    pub size: u64,
    /// Its alignment in bytes.
    pub align: u32,
}

impl fmt::Display for TypeDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} version {} ({} bytes, aligned to {})", self.name, self.version, self.size, self.align)
    }
}

macro_rules! shared {
    ($($primitive:ident)*) => {
        $(
            impl SharedType for $primitive {
                const NAME: &'static str = stringify!($primitive);
            }
        )*
    };
}
shared! { u8 u16 u32 u64 u128 i8 i16 i32 i64 i128 f32 f64 }

impl SharedType for () {
    const NAME: &'static str = "()";
}

impl<T: SharedType, const N: usize> SharedType for [T; N] {
    const NAME: &'static str = "[]";
    const VERSION: u32 = T::VERSION;

    fn description() -> TypeDescription {
        let of = T::description();
        TypeDescription {
            name: Cow::Owned(format!("[{}; {N}]", of.name)),
            version: of.version,
            size: size_of::<Self>() as u64,
            align: of.align,
        }
    }
}

/// The kind of an object in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum ObjectKind {
    /// A [`Mutex`](crate::sync::Mutex).
    Mutex,
    /// An [`RwLock`](crate::sync::RwLock).
    #[cfg_attr(feature = "serde", serde(rename = "rwlock"))]
    RwLock,
    /// A [`Latest`](crate::sync::Latest).
    Latest,
    /// An auto-reset [`Event`](crate::sync::Event).
    AutoResetEvent,
    /// A manual-reset [`Event`](crate::sync::Event).
    ManualResetEvent,
    /// A [`OnceLock`](crate::sync::OnceLock).
    OnceLock,
    /// An [`EventCount`](crate::sync::EventCount).
    EventCount,
    /// A [`Futex`](crate::sync::Futex).
    Futex,
    /// A kind that this version of the library does not know, by its number in the format.
    Unknown(u32),
}

const KINDS: [ObjectKind; 8] = [
    ObjectKind::Mutex,
    ObjectKind::RwLock,
    ObjectKind::Latest,
    ObjectKind::AutoResetEvent,
    ObjectKind::ManualResetEvent,
    ObjectKind::OnceLock,
    ObjectKind::EventCount,
    ObjectKind::Futex,
];

impl ObjectKind {
    pub(crate) fn number(self) -> u32 {
        match self {
            ObjectKind::Mutex => 1,
            ObjectKind::RwLock => 2,
            ObjectKind::Latest => 3,
            ObjectKind::AutoResetEvent => 4,
            ObjectKind::ManualResetEvent => 5,
            ObjectKind::OnceLock => 6,
            ObjectKind::EventCount => 7,
            ObjectKind::Futex => 8,
            ObjectKind::Unknown(number) => number,
        }
    }

    /// Returns its name with an article.
    pub(crate) fn with_article(self) -> String {
        let name = self.to_string();
        let article = if name.starts_with(['a', 'e', 'o', 'r']) { "an" } else { "a" };
        format!("{article} {name}")
    }

    pub(crate) fn of(number: u32) -> Self {
        KINDS.into_iter().find(|kind| kind.number() == number).unwrap_or(ObjectKind::Unknown(number))
    }
}

impl fmt::Display for ObjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ObjectKind::Mutex => "mutex",
            ObjectKind::RwLock => "rwlock",
            ObjectKind::Latest => "latest",
            ObjectKind::AutoResetEvent => "auto-reset event",
            ObjectKind::ManualResetEvent => "manual-reset event",
            ObjectKind::OnceLock => "once lock",
            ObjectKind::EventCount => "event count",
            ObjectKind::Futex => "futex",
            ObjectKind::Unknown(number) => return write!(f, "object of kind {number}"),
        })
    }
}
