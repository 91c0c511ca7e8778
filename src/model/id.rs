//! Names of tenants, people, services and connections.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::model::Timestamp;
use crate::random;

/// The longest id, in bytes.
const MAX_LEN: usize = 512;

/// Why a string cannot be an id. Never repeats the string: it may be hostile or a secret put there by mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidId {
    /// The string is empty.
    #[error("is empty")]
    Empty,
    /// The string is longer than 512 bytes.
    #[error("is longer than 512 bytes")]
    TooLong,
    /// The string has a control character (C0, DEL, C1) or a line separator in it.
    #[error("has a control character in it")]
    ControlCharacter,
    /// The string has a character in it that is not seen, or that changes the order in which others are seen: a zero-width
    /// space, a joiner, a direction mark. Two names that look alike would be two people.
    #[error("has an invisible character in it")]
    InvisibleCharacter,
    /// The string is no UUID.
    #[error("is not a UUID")]
    NotAUuid,
}

/// An id that is typed already needs no check. This lets a function take text and typed ids alike.
impl From<std::convert::Infallible> for InvalidId {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

/// Checks a name that comes from outside.
fn check(value: &str) -> Result<(), InvalidId> {
    check_stored(value)?;
    if value.chars().any(is_invisible) {
        return Err(InvalidId::InvisibleCharacter);
    }
    Ok(())
}

/// Format characters (Unicode's category Cf): zero-width characters, direction marks, tags. Those that are seen are left out.
const fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

/// A name that a vault can hold: one that was stored before names were checked for invisible characters is still read.
pub(crate) trait StoredName: Sized {
    /// Takes a name that was stored.
    fn stored(value: impl Into<String>) -> Result<Self, InvalidId>;
}

/// Checks a name that was stored.
fn check_stored(value: &str) -> Result<(), InvalidId> {
    if value.is_empty() {
        Err(InvalidId::Empty)
    } else if value.len() > MAX_LEN {
        Err(InvalidId::TooLong)
    } else if value
        .chars()
        .any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'))
    {
        Err(InvalidId::ControlCharacter)
    } else {
        Ok(())
    }
}

macro_rules! id {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        ///
        /// 1 to 512 bytes of UTF-8 without control characters and invisible characters. Names are compared byte by byte: "Ada"
        /// and "ada" are two names, and so are an é that is composed and one that is decomposed. A host whose names come in
        /// several spellings brings them into one before it passes them on.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        #[cfg_attr(feature = "serde", serde(try_from = "String", into = "String"))]
        pub struct $name(Box<str>);

        impl $name {
            /// Checks and takes the name.
            ///
            /// # Errors
            ///
            /// [`InvalidId`] if it is empty, longer than 512 bytes, or has a control character or an invisible one.
            pub fn new(value: impl Into<String>) -> Result<Self, InvalidId> {
                let value = value.into();
                check(&value)?;
                Ok(Self(value.into_boxed_str()))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl StoredName for $name {
            fn stored(value: impl Into<String>) -> Result<Self, InvalidId> {
                let value = value.into();
                check_stored(&value)?;
                Ok(Self(value.into_boxed_str()))
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(value: &str) -> Result<Self, InvalidId> {
                Self::new(value)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(value: String) -> Result<Self, InvalidId> {
                Self::new(value)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = InvalidId;
            fn try_from(value: &str) -> Result<Self, InvalidId> {
                Self::new(value)
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0.into_string()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        // Same order, equality and hash as the text: a map keyed by the id can be asked with a `&str`.
        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:?})"), &self.0)
            }
        }
    };
}

id! {
    /// A workspace. It has its own data key, and nothing crosses from one to another.
    TenantId
}
id! {
    /// A person within a tenant, by the name that the host gives them.
    UserId
}
id! {
    /// A service that can be connected, such as `gmail`.
    ProviderId
}
id! {
    /// An authorization server, such as `google`; several providers may share one.
    ServerId
}
id! {
    /// The name that tells several connections of one person to one provider apart, such as `work`.
    Label
}
id! {
    /// A tool of an agent, such as `send_mail`, by the name that the host gives it: what a policy goes by.
    ToolName
}
id! {
    /// A turn of an agent, by the name that the host's runtime gives it. For the audit; it opens nothing.
    TurnId
}
id! {
    /// What a turn is for, in a few words of the host's. For the audit; put no secret and no message of a person in it.
    TurnPurpose
}

macro_rules! uuid_id {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        #[cfg_attr(feature = "serde", serde(transparent))]
        pub struct $name(Uuid);

        impl $name {
            /// A new id: a UUID of version 7, whose order is the order of creation
            /// ([RFC 9562 §5.7](https://www.rfc-editor.org/rfc/rfc9562#section-5.7)).
            ///
            /// # Errors
            ///
            /// [`RandomUnavailable`](crate::error::RandomUnavailable) if the operating system has no random numbers.
            pub fn generate(now: Timestamp) -> Result<Self, crate::error::RandomUnavailable> {
                let mut bytes = [0_u8; 10];
                random::fill(&mut bytes)?;
                let millis = u64::try_from(now.as_unix_millis()).unwrap_or(0);
                Ok(Self(uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()))
            }

            /// The id with these bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// The sixteen bytes of the id.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(value: &str) -> Result<Self, InvalidId> {
                Uuid::parse_str(value).map(Self).map_err(|_| InvalidId::NotAUuid)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0.hyphenated(), f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    };
}

uuid_id! {
    /// The id of a connection. It survives a new consent: history and pins stay with it.
    ConnectionId
}
uuid_id! {
    /// The id of a pending consent: names it to people and logs; useless without `state` and binding.
    ConsentId
}
uuid_id! {
    /// The id of a grant: one set of tokens, which one or several connections use.
    GrantId
}
uuid_id! {
    /// The id of a revocation that the provider has not confirmed yet.
    #[allow(unnameable_types, reason = "the operations of a vault are sealed")]
    RevocationId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_ids_are_refused_without_an_echo() {
        for (value, error) in [
            (String::new(), InvalidId::Empty),
            ("x".repeat(513), InvalidId::TooLong),
            ("x".repeat(10_240), InvalidId::TooLong),
            ("a\r\nb".into(), InvalidId::ControlCharacter),
            ("a\0b".into(), InvalidId::ControlCharacter),
            ("a\u{7f}b".into(), InvalidId::ControlCharacter),
            ("a\u{85}b".into(), InvalidId::ControlCharacter),
            ("a\u{2028}b".into(), InvalidId::ControlCharacter),
        ] {
            assert_eq!(TenantId::new(value.clone()), Err(error));
            assert!(value.is_empty() || !error.to_string().contains(&value));
        }
        assert!(UserId::new("x".repeat(512)).is_ok());
        assert!(UserId::new("Ålice O'Neill <a@b>").is_ok());
    }

    #[test]
    fn names_that_only_look_alike_are_refused() {
        for hidden in [
            '\u{ad}',
            '\u{61c}',
            '\u{180e}',
            '\u{200b}',
            '\u{200c}',
            '\u{200d}',
            '\u{200e}',
            '\u{200f}',
            '\u{202a}',
            '\u{202d}',
            '\u{202e}',
            '\u{2060}',
            '\u{2066}',
            '\u{2069}',
            '\u{feff}',
            '\u{e0041}',
        ] {
            for name in [
                format!("ali{hidden}ce"),
                format!("alice{hidden}"),
                format!("{hidden}alice"),
            ] {
                let error = InvalidId::InvisibleCharacter;
                assert_eq!(UserId::new(name.clone()), Err(error), "{:x}", u32::from(hidden));
                assert_eq!(Label::try_from(name.clone()), Err(error));
                assert_eq!(name.parse::<TenantId>(), Err(error));
                // A vault that holds such a name stays readable.
                assert_eq!(UserId::stored(name.clone()).unwrap().as_str(), name);
            }
        }
        assert_eq!(UserId::stored("a\nb"), Err(InvalidId::ControlCharacter));
        for visible in ["Ålice", "אליס", "أليس", "アリス", "Ali ce", "e\u{301}", "😀"] {
            assert!(UserId::new(visible).is_ok(), "{visible}");
        }
    }

    #[test]
    fn connection_ids_are_version_7_and_ordered_by_time() {
        let early = ConnectionId::generate(Timestamp::from_unix_millis(1_000)).unwrap();
        let late = ConnectionId::generate(Timestamp::from_unix_millis(2_000)).unwrap();
        assert!(early < late);
        assert_eq!(Uuid::from_bytes(*early.as_bytes()).get_version_num(), 7);
        assert_eq!(early.to_string().parse(), Ok(early));
        assert_eq!("no-uuid".parse::<ConnectionId>(), Err(InvalidId::NotAUuid));
    }
}
