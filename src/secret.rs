//! Values that must not be printed, copied or left in memory.
//!
//! Each secret has its own type, which is wiped when dropped and can be read only through
//! `expose_secret`. No secret implements `Display`, `Clone`, `PartialEq`, `Deref` or `Serialize`:
//! copying a secret must be visible in code review.
//!
//! Wiping is best effort. The crate overwrites what it puts on the heap before freeing it; it
//! cannot reach the stack, the buffers of the TLS library or a core dump.

use std::fmt;

use zeroize::Zeroizing;

macro_rules! secret {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[allow(unnameable_types, reason = "some kinds stand only in the sealed operations of a vault")]
        pub struct $name(Zeroizing<String>);

        impl $name {
            /// Takes ownership of the value. A string is moved, not copied.
            pub fn new(value: impl Into<String>) -> Self {
                Self(Zeroizing::new(value.into()))
            }

            /// Returns the secret value.
            ///
            /// # Security
            ///
            /// Keep the exposed value only as long as needed; never log it or put it into an error.
            #[must_use]
            pub fn expose_secret(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "([redacted])"))
            }
        }
    };
}

secret! {
    /// An access token ([RFC 6749 §1.4](https://www.rfc-editor.org/rfc/rfc6749#section-1.4)).
    AccessToken
}
secret! {
    /// A refresh token ([RFC 6749 §1.5](https://www.rfc-editor.org/rfc/rfc6749#section-1.5)).
    RefreshToken
}
secret! {
    /// The host's client secret at an authorization server
    /// ([RFC 6749 §2.3.1](https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1)).
    ClientSecret
}
secret! {
    /// An authorization code
    /// ([RFC 6749 §1.3.1](https://www.rfc-editor.org/rfc/rfc6749#section-1.3.1)).
    AuthorizationCode
}
secret! {
    /// The `state` of a consent
    /// ([RFC 6749 §10.12](https://www.rfc-editor.org/rfc/rfc6749#section-10.12)): 256 random bits,
    /// valid for one callback.
    State
}
secret! {
    /// A PKCE code verifier ([RFC 7636 §4.1](https://www.rfc-editor.org/rfc/rfc7636#section-4.1)).
    PkceVerifier
}
secret! {
    /// Binds a consent to the browser that started it.
    ///
    /// The host keeps the value in a cookie (`__Host-` prefix, `Secure`, `HttpOnly`,
    /// `SameSite=Lax`) from `start` to `complete`. A user who is lured into another user's consent
    /// link does not have it.
    Binding
}
secret! {
    /// Identifies a consent that was prepared for a user: the last part of a one-time link.
    ///
    /// Another user who opens the link is refused, and the link stays valid. Treat the ticket as a
    /// secret all the same: the host's sign-in is the only other protection.
    Ticket
}
secret! {
    /// An assertion of an identity provider about a user, for another authorization server. It is
    /// sent once and never stored.
    IdentityAssertion
}
secret! {
    /// An OpenID Connect id token, stored encrypted with the refresh token. The crate never uses it
    /// as a credential.
    IdToken
}

impl AccessToken {
    /// Returns a copy of the token as a type of the [`oauth2`] crate, for libraries that accept its
    /// types.
    ///
    /// # Security
    ///
    /// The copy can be cloned and serialized, and it is not wiped when dropped.
    #[must_use]
    pub fn expose_to_oauth2(&self) -> oauth2::AccessToken {
        oauth2::AccessToken::new(self.expose_secret().to_owned())
    }
}

/// Bytes that are or contain a secret: wiped when dropped, redacted in `Debug`.
#[derive(Default)]
pub struct SecretBytes(Zeroizing<Vec<u8>>);

impl SecretBytes {
    /// Takes ownership of the bytes.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Returns the secret bytes.
    ///
    /// # Security
    ///
    /// Keep the exposed bytes only as long as needed; never log them or put them into an error.
    #[must_use]
    pub fn expose_secret(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for SecretBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self::new(bytes)
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBytes([redacted])")
    }
}

/// Text that may contain a secret and leaves no copy behind when it grows. A `String` would move
/// and free its old buffer without wiping it.
#[derive(Default)]
pub(crate) struct SecretText(Zeroizing<String>);

impl SecretText {
    pub(crate) fn push_str(&mut self, text: &str) {
        let needed = self.0.len() + text.len();
        if self.0.capacity() < needed {
            let mut grown = Zeroizing::new(String::with_capacity(needed.max(2 * self.0.capacity())));
            grown.push_str(&self.0);
            self.0 = grown;
        }
        self.0.push_str(text);
    }

    /// Returns the text, which the caller must wipe.
    pub(crate) fn into_string(mut self) -> String {
        std::mem::take(&mut *self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_says_what_it_is_and_nothing_of_it() {
        assert_eq!(
            format!("{:?}", AccessToken::new("tok-123")),
            "AccessToken([redacted])"
        );
        assert_eq!(
            format!("{:?}", SecretBytes::new(b"tok-123".to_vec())),
            "SecretBytes([redacted])"
        );
        assert_eq!(
            format!("{:#?}", Some(RefreshToken::new("tok-123"))),
            "Some(\n    RefreshToken([redacted]),\n)"
        );
    }

    #[test]
    fn the_value_is_kept_exactly() {
        let mut value = String::with_capacity(4096);
        value.push_str("tök en");
        assert_eq!(AccessToken::new(value).expose_secret(), "tök en");
    }
}
