//! The access token in an API request ([RFC 6750 §2.1](https://www.rfc-editor.org/rfc/rfc6750#section-2.1)).

use http::header::{AUTHORIZATION, HeaderName};

use crate::provider::TokenHeader;
use crate::secret::{AccessToken, SecretBytes};

/// The header that carries the token: never a query, never a body.
#[must_use]
pub fn bearer_header(header: &TokenHeader, access_token: &AccessToken) -> (HeaderName, SecretBytes) {
    // A name that is none does not pass the descriptor's validation.
    let name = HeaderName::from_bytes(header.name.as_bytes()).unwrap_or(AUTHORIZATION);
    let token = access_token.expose_secret();
    let mut value = Vec::with_capacity(header.prefix.len() + token.len());
    value.extend_from_slice(header.prefix.as_bytes());
    value.extend_from_slice(token.as_bytes());
    (name, SecretBytes::new(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_header_and_anothers() {
        let token = AccessToken::new("at");
        let other = TokenHeader {
            name: "X-Shop-Token".into(),
            prefix: String::new(),
        };
        for (header, name, value) in [
            (TokenHeader::default(), "authorization", "Bearer at"),
            (other, "x-shop-token", "at"),
        ] {
            let (found, secret) = bearer_header(&header, &token);
            assert_eq!(found.as_str(), name);
            assert_eq!(secret.expose_secret(), value.as_bytes());
        }
    }
}
