//! Reads the account from an id token
//! ([OpenID Connect Core 1.0 §2](https://openid.net/specs/openid-connect-core-1_0.html#IDToken)).

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::model::Account;
use crate::protocol::account::is_usable;
use crate::secret::IdToken;

/// The maximum length of a payload, in bytes of base64.
const MAX_PAYLOAD: usize = 64 * 1024;

/// Base64url as in id tokens, with or without padding.
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A reason why an id token does not identify an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdTokenError {
    /// The token is not a signed JWT in compact form: it is encrypted, or something else under that
    /// name.
    #[error("the id token is not a signed JWT")]
    NotSigned,
    /// The payload is not JSON of reasonable size, or its `sub` is missing or not usable.
    #[error("the id token cannot be read")]
    Unreadable,
    /// The `iss` is not the issuer of the server that sent the token.
    #[error("the id token names another issuer")]
    OtherIssuer,
    /// The `aud` does not contain the client.
    #[error("the id token is for another client")]
    OtherAudience,
}

/// The members of the payload that are read. Borrows from it if the JSON has no escapes.
#[derive(Deserialize)]
struct Claims<'a> {
    #[serde(borrow)]
    iss: Option<Text<'a>>,
    #[serde(borrow)]
    sub: Option<Text<'a>>,
    #[serde(borrow)]
    aud: Option<Audience<'a>>,
    #[serde(borrow)]
    email: Option<Lenient<'a>>,
}

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] std::borrow::Cow<'a, str>);

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience<'a> {
    #[serde(borrow)]
    One(Text<'a>),
    Several(#[serde(borrow)] Vec<Text<'a>>),
}

/// A string, or any other value, which is ignored.
#[derive(Deserialize)]
#[serde(untagged)]
enum Lenient<'a> {
    #[serde(borrow)]
    Text(Text<'a>),
    Other(serde::de::IgnoredAny),
}

impl Audience<'_> {
    fn contains(&self, client_id: &str) -> bool {
        match self {
            Self::One(one) => one.0 == client_id,
            Self::Several(several) => several.iter().any(|one| one.0 == client_id),
        }
    }
}

/// Reads the account from an id token: `sub` as its id, and `email`.
///
/// The signature is not verified, because the token came directly from the token endpoint over TLS
/// ([OpenID Connect Core 1.0 §3.1.3.7](https://openid.net/specs/openid-connect-core-1_0.html#IDTokenValidation),
/// point 6). Never pass a token from another source. `iss` is compared if the token has one and
/// `issuer` is known; `aud` must contain the client.
///
/// # Errors
///
/// [`IdTokenError`] if the token does not reliably identify an account.
pub fn account_in_id_token(
    id_token: &IdToken,
    issuer: Option<&str>,
    client_id: &str,
) -> Result<Account, IdTokenError> {
    let payload = payload(id_token.expose_secret())?;
    let claims: Claims<'_> = serde_json::from_slice(&payload).map_err(|_| IdTokenError::Unreadable)?;
    if let (Some(claimed), Some(issuer)) = (&claims.iss, issuer)
        && claimed.0 != issuer
    {
        return Err(IdTokenError::OtherIssuer);
    }
    if !claims.aud.is_some_and(|audience| audience.contains(client_id)) {
        return Err(IdTokenError::OtherAudience);
    }
    let usable = |text: Text<'_>| is_usable(&text.0).then(|| text.0.into_owned());
    let email = claims.email.and_then(|email| match email {
        Lenient::Text(text) => usable(text),
        Lenient::Other(_) => None,
    });
    Ok(Account {
        id: claims.sub.and_then(usable).ok_or(IdTokenError::Unreadable)?,
        email,
        label: None,
    })
}

/// Returns the payload of a JWT in compact form: header, payload and signature, separated by dots.
fn payload(token: &str) -> Result<Zeroizing<Vec<u8>>, IdTokenError> {
    let mut parts = token.split('.');
    let (Some(_), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(IdTokenError::NotSigned);
    };
    if payload.len() > MAX_PAYLOAD {
        return Err(IdTokenError::Unreadable);
    }
    // The buffer has its maximum size from the start: a buffer that grows leaves copies behind.
    let mut decoded = Zeroizing::new(vec![0; payload.len()]);
    let length = BASE64URL
        .decode_slice(payload, &mut decoded)
        .map_err(|_| IdTokenError::Unreadable)?;
    decoded.truncate(length);
    Ok(decoded)
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};

    use super::*;

    const ISSUER: &str = "https://as.test";

    fn read(token: &str) -> Result<(String, Option<String>), IdTokenError> {
        let account = account_in_id_token(&IdToken::new(token), Some(ISSUER), "client")?;
        assert_eq!(account.label, None);
        Ok((account.id, account.email))
    }

    fn with_payload(json: &str) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(json))
    }

    fn read_payload(json: &str) -> Result<(String, Option<String>), IdTokenError> {
        read(&with_payload(json))
    }

    #[test]
    fn the_subject_is_the_account() {
        let some = |id: &str, email: Option<&str>| Ok((id.to_owned(), email.map(str::to_owned)));
        for (payload, expected) in [
            (
                r#"{"iss":"https://as.test","sub":"248","aud":"client","email":"a@b"}"#,
                some("248", Some("a@b")),
            ),
            (r#"{"sub":"248","aud":["other","client"]}"#, some("248", None)),
            // Escapes, and members that are not used.
            (
                r#"{"sub":"A\u00e9","aud":"client","x":[{"y":1}],"email":7}"#,
                some("Aé", None),
            ),
            (
                r#"{"sub":"248","aud":"client","email":"a\nb"}"#,
                some("248", None),
            ),
        ] {
            assert_eq!(read_payload(payload), expected, "{payload}");
        }
        let padded = format!("e30.{}.c2ln", URL_SAFE.encode(r#"{"sub":"2","aud":"client"}"#));
        assert!(padded.contains('='));
        assert_eq!(read(&padded), some("2", None));
        let anywhere = IdToken::new(with_payload(
            r#"{"iss":"https://b.test","sub":"1","aud":"client"}"#,
        ));
        assert!(account_in_id_token(&anywhere, None, "client").is_ok());
    }

    #[test]
    fn another_issuer_or_audience_is_refused() {
        for (payload, expected) in [
            (
                r#"{"iss":"https://as.test/","sub":"1","aud":"client"}"#,
                IdTokenError::OtherIssuer,
            ),
            (
                r#"{"iss":"","sub":"1","aud":"client"}"#,
                IdTokenError::OtherIssuer,
            ),
            (r#"{"sub":"1","aud":"other"}"#, IdTokenError::OtherAudience),
            (r#"{"sub":"1","aud":[]}"#, IdTokenError::OtherAudience),
            (r#"{"sub":"1"}"#, IdTokenError::OtherAudience),
        ] {
            assert_eq!(read_payload(payload), Err(expected), "{payload}");
        }
    }

    #[test]
    fn a_malformed_token_is_refused_without_a_panic() {
        let deep = format!(r#"{{"sub":"1","aud":"client","x":{}}}"#, "[".repeat(100_000));
        let long = format!(r#"{{"sub":"{}","aud":"client"}}"#, "x".repeat(513));
        for payload in [
            "",
            "null",
            "[]",
            "{",
            r#"{"aud":"client"}"#,
            r#"{"sub":"","aud":"client"}"#,
            r#"{"sub":7,"aud":"client"}"#,
            r#"{"sub":null,"aud":"client"}"#,
            r#"{"sub":"a\u0000b","aud":"client"}"#,
            r#"{"sub":"1","sub":"2","aud":"client"}"#,
            r#"{"sub":"1","aud":7}"#,
            r#"{"iss":7,"sub":"1","aud":"client"}"#,
            &deep,
            &long,
        ] {
            assert_eq!(
                read_payload(payload),
                Err(IdTokenError::Unreadable),
                "{payload:.60}"
            );
        }
        let huge = with_payload(&format!(
            r#"{{"sub":"1","aud":"client","x":"{}"}}"#,
            "x".repeat(64 * 1024)
        ));
        for token in ["..", "e30.!!!.c2ln", "e30.é.c2ln", "e30.a.c2ln", &huge] {
            assert_eq!(read(token), Err(IdTokenError::Unreadable), "{token:.60}");
        }
        for token in ["", "opaque", "a.b", "e30.e30.c2ln.x", "a.b.c.d.e"] {
            assert_eq!(read(token), Err(IdTokenError::NotSigned), "{token}");
        }
    }

    #[test]
    fn the_payload_must_be_utf_8() {
        let token = format!(
            "e30.{}.c2ln",
            URL_SAFE_NO_PAD.encode(b"{\"sub\":\"\xff\",\"aud\":\"client\"}")
        );
        assert_eq!(read(&token), Err(IdTokenError::Unreadable));
    }
}
