//! Sends the access token in an API request
//! ([RFC 6750 §2.1](https://www.rfc-editor.org/rfc/rfc6750#section-2.1)).

use crate::secret::{AccessToken, SecretBytes};

/// Returns the value of the header that carries the token: the prefix and the token.
#[must_use]
pub fn bearer_value(prefix: &str, access_token: &AccessToken) -> SecretBytes {
    let token = access_token.expose_secret();
    let mut value = Vec::with_capacity(prefix.len() + token.len());
    value.extend_from_slice(prefix.as_bytes());
    value.extend_from_slice(token.as_bytes());
    SecretBytes::new(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_stands_behind_its_prefix() {
        let token = AccessToken::new("at");
        for (prefix, value) in [("Bearer ", "Bearer at"), ("", "at")] {
            assert_eq!(bearer_value(prefix, &token).expose_secret(), value.as_bytes());
        }
    }
}
