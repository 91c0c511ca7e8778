//! HTTP Basic with client credentials
//! ([RFC 6749 §2.3.1](https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1)).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::protocol::form::encode;
use crate::secret::{ClientSecret, SecretBytes};

/// The encoding of the client id and secret before base64.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// Form-encoded, as RFC 6749 requires.
    Form,
    /// Unencoded, for servers that do not decode.
    Plain,
    /// The secret as the user name, without a password.
    SecretAsUser,
}

/// Returns the value of the `Authorization` header.
pub(super) fn basic(client_id: &str, secret: &ClientSecret, encoding: Encoding) -> SecretBytes {
    let secret = secret.expose_secret();
    let mut pair = Zeroizing::new(String::with_capacity(3 * (client_id.len() + secret.len()) + 1));
    match encoding {
        Encoding::Form => {
            encode(client_id, &mut pair);
            pair.push(':');
            encode(secret, &mut pair);
        }
        Encoding::Plain => {
            pair.push_str(client_id);
            pair.push(':');
            pair.push_str(secret);
        }
        Encoding::SecretAsUser => {
            pair.push_str(secret);
            pair.push(':');
        }
    }
    // Reserves enough space, so that nothing is moved: six bytes for `Basic `, four for each three
    // bytes.
    let mut header = String::with_capacity(6 + pair.len().div_ceil(3) * 4);
    header.push_str("Basic ");
    STANDARD.encode_string(pair.as_bytes(), &mut header);
    SecretBytes::new(header.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_characters_in_both_encodings() {
        let secret = ClientSecret::new("a:b%c+d é");
        for (encoding, plain) in [
            (Encoding::Form, "cl%3Aent:a%3Ab%25c%2Bd+%C3%A9"),
            (Encoding::Plain, "cl:ent:a:b%c+d é"),
        ] {
            let header = basic("cl:ent", &secret, encoding);
            let header = std::str::from_utf8(header.expose_secret()).unwrap().to_owned();
            let decoded = STANDARD.decode(header.strip_prefix("Basic ").unwrap()).unwrap();
            assert_eq!(String::from_utf8(decoded).unwrap(), plain);
        }
        assert_eq!(
            basic("client", &secret, Encoding::Form).expose_secret(),
            b"Basic Y2xpZW50OmElM0FiJTI1YyUyQmQrJUMzJUE5"
        );
    }
}
