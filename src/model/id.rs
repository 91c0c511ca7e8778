//! Ids of tenants, users, services and connections.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use uuid::Uuid;

use crate::model::{InvalidValue, Rule, Timestamp};
use crate::random::{self, RandomUnavailable};

/// The maximum length of an id, in bytes.
const MAX_LEN: usize = 512;

/// Checks an id that comes from outside the crate.
fn check(value: &str) -> Result<(), Rule> {
    check_stored(value)?;
    if value.chars().any(is_invisible) {
        return Err(Rule::InvisibleCharacter);
    }
    Ok(())
}

/// Checks a name that stays text; `what` names it in the error.
pub(crate) fn check_name(what: &'static str, value: &str) -> Result<(), InvalidValue> {
    check(value).map_err(|rule| InvalidValue::new(what, rule))
}

/// Returns whether this is an invisible format character (Unicode category Cf): a zero-width
/// character, a direction mark or a tag. Visible format characters are excluded.
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

/// A name that a vault can contain. Names that were stored before the check for invisible
/// characters existed remain readable.
pub(crate) trait StoredName: Sized {
    /// Returns a name that was read from the vault.
    fn stored(value: impl Into<Arc<str>>) -> Result<Self, InvalidValue>;
}

/// Checks a name that was read from the vault.
fn check_stored(value: &str) -> Result<(), Rule> {
    if value.is_empty() {
        Err(Rule::Empty)
    } else if value.len() > MAX_LEN {
        Err(Rule::TooLong)
    } else if value
        .chars()
        .any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'))
    {
        Err(Rule::ControlCharacter)
    } else {
        Ok(())
    }
}

macro_rules! id {
    ($(#[$meta:meta])* $name:ident, $what:literal) => {
        $(#[$meta])*
        ///
        /// 1 to 512 bytes of UTF-8 without control characters and invisible characters. Names are
        /// compared byte by byte: "Ada" and "ada" differ, and so do a composed and a decomposed é.
        /// A host whose names have several spellings must normalize them first.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[derive(serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks and returns the name.
            ///
            /// # Errors
            ///
            /// [`InvalidValue`] if it is empty, longer than 512 bytes, or contains a control
            /// character or an invisible character.
            pub fn new(value: impl Into<String>) -> Result<Self, InvalidValue> {
                let value = value.into();
                check(&value).map_err(|rule| InvalidValue::new($what, rule))?;
                Ok(Self(value.into()))
            }

            /// Returns the name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl StoredName for $name {
            fn stored(value: impl Into<Arc<str>>) -> Result<Self, InvalidValue> {
                let value = value.into();
                check_stored(&value).map_err(|rule| InvalidValue::new($what, rule))?;
                Ok(Self(value))
            }
        }

        impl FromStr for $name {
            type Err = InvalidValue;
            fn from_str(value: &str) -> Result<Self, InvalidValue> {
                Self::new(value)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidValue;
            fn try_from(value: String) -> Result<Self, InvalidValue> {
                Self::new(value)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = InvalidValue;
            fn try_from(value: &str) -> Result<Self, InvalidValue> {
                Self::new(value)
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.as_str().to_owned()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        // Order, equality and hash equal those of the text, so a `&str` can look up a map that is
        // keyed by the id.
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
    /// The id of a tenant (workspace). Each tenant has its own data key, and tenants are isolated
    /// from each other.
    TenantId, "tenant id"
}
id! {
    /// The id of a user within a tenant, assigned by the host.
    UserId, "user id"
}
id! {
    /// The id of a service that can be connected, such as `gmail`.
    ProviderId, "provider id"
}
id! {
    /// The id of an authorization server, such as `google`. Several providers can share one.
    ServerId, "server id"
}
id! {
    /// A name that distinguishes several connections of one user to one provider, such as `work`.
    Label, "label"
}

macro_rules! uuid_id {
    ($(#[$meta:meta])* $name:ident, $what:literal) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        #[cfg_attr(feature = "serde", serde(transparent))]
        pub struct $name(Uuid);

        impl $name {
            /// Returns a new id: a version 7 UUID, which sorts by creation time
            /// ([RFC 9562 §5.7](https://www.rfc-editor.org/rfc/rfc9562#section-5.7)).
            ///
            /// # Errors
            ///
            /// [`RandomUnavailable`] if the operating system returns no random numbers.
            pub(crate) fn generate(now: Timestamp) -> Result<Self, RandomUnavailable> {
                random::uuid_v7(now.as_unix_millis()).map(Self::from_bytes)
            }

            /// Returns the id with these bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// Returns the sixteen bytes of the id.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl FromStr for $name {
            type Err = InvalidValue;
            fn from_str(value: &str) -> Result<Self, InvalidValue> {
                Uuid::parse_str(value).map(Self).map_err(|_| InvalidValue::new($what, Rule::NotAUuid))
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
    /// The id of a connection. A new consent keeps it, so history and references remain valid.
    ConnectionId, "connection id"
}
uuid_id! {
    /// The id of a pending consent. It identifies the consent to users and in logs, and is useless
    /// without `state` and binding.
    ConsentId, "consent id"
}
uuid_id! {
    /// The id of a grant: one set of tokens, used by one or several connections.
    GrantId, "grant id"
}
uuid_id! {
    /// The id of a revocation that the provider has not confirmed yet.
    #[allow(unnameable_types, reason = "the operations of a vault are sealed")]
    RevocationId, "revocation id"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_ids_are_refused_without_an_echo() {
        for (value, error) in [
            (String::new(), Rule::Empty),
            ("x".repeat(513), Rule::TooLong),
            ("x".repeat(10_240), Rule::TooLong),
            ("a\r\nb".into(), Rule::ControlCharacter),
            ("a\0b".into(), Rule::ControlCharacter),
            ("a\u{7f}b".into(), Rule::ControlCharacter),
            ("a\u{85}b".into(), Rule::ControlCharacter),
            ("a\u{2028}b".into(), Rule::ControlCharacter),
        ] {
            let error = InvalidValue::new("tenant id", error);
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
                let error = |what| InvalidValue::new(what, Rule::InvisibleCharacter);
                assert_eq!(
                    UserId::new(name.clone()),
                    Err(error("user id")),
                    "{:x}",
                    u32::from(hidden)
                );
                assert_eq!(Label::try_from(name.clone()), Err(error("label")));
                assert_eq!(name.parse::<TenantId>(), Err(error("tenant id")));
                // A vault that holds such a name stays readable.
                assert_eq!(UserId::stored(name.clone()).unwrap().as_str(), name);
            }
        }
        let control = InvalidValue::new("user id", Rule::ControlCharacter);
        assert_eq!(UserId::stored("a\nb"), Err(control));
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
        assert_eq!(
            "no-uuid".parse::<ConnectionId>().unwrap_err().rule(),
            "not_a_uuid"
        );
    }
}
