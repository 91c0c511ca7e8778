//! Client authentication at the sandbox
//! ([RFC 6749 §2.3](https://www.rfc-editor.org/rfc/rfc6749#section-2.3)).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header;
use url::form_urlencoded;

use super::assertion::proven;
use super::log::Received;
use super::refused::{Refused, parameter};
use super::state::World;
use crate::model::Timestamp;
use crate::provider::ClientAuthentication;

/// Checks that a client authenticates only in the way that it registered, or else in the `usual`
/// one. Returns its id.
pub(super) fn authenticate(
    world: &mut World,
    received: &Received,
    issuer: &str,
    usual: ClientAuthentication,
    now: Timestamp,
) -> Result<String, Refused> {
    // Credentials in a URL end up in logs: rejected, even if they are correct.
    if !received.query.is_empty() {
        return Err(Refused::InvalidRequest);
    }
    let in_header = received.header(&header::AUTHORIZATION);
    let id = parameter(received, "client_id")?;
    let secret = parameter(received, "client_secret")?;
    if in_header.is_some() && secret.is_some() {
        return Err(Refused::InvalidRequest);
    }
    let presented = in_header
        .and_then(|value| credentials(value, usual != ClientAuthentication::BasicUnencoded))
        .map(|(id, _)| id);
    let client = match id {
        Some(id) => id.to_owned(),
        None => presented
            .filter(|id| world.client(issuer, id).is_some())
            .unwrap_or_else(|| world.client_id.clone()),
    };
    let known = world.client(issuer, &client).ok_or(Refused::InvalidClient)?;
    if known.secret_expires_at.is_some_and(|end| now >= end) {
        return Err(Refused::InvalidClient);
    }
    let expected_secret = known.secret.unwrap_or_default().to_owned();
    let expected_secret = expected_secret.as_str();
    let authentication = known.authentication.unwrap_or(usual);
    let named = id == Some(client.as_str());
    let basic = |encoded: bool| {
        let credentials = in_header.and_then(|value| credentials(value, encoded));
        credentials.is_some_and(|(id, secret)| id == client && secret == expected_secret)
    };
    let proven = match authentication {
        ClientAuthentication::Post => in_header.is_none() && named && secret == Some(expected_secret),
        ClientAuthentication::Basic => basic(true),
        ClientAuthentication::BasicUnencoded => basic(false),
        ClientAuthentication::BasicWithClientId => basic(true) && named,
        ClientAuthentication::SecretAsUser => {
            let expected = STANDARD.encode(format!("{expected_secret}:"));
            in_header == Some(format!("Basic {expected}").as_str()) && id.is_none()
        }
        ClientAuthentication::PrivateKeyJwt => {
            if in_header.is_some() || secret.is_some() {
                return Err(Refused::InvalidRequest);
            }
            let id = proven(world, received, issuer, &client, now)?;
            world.used_assertions.insert(id);
            true
        }
        ClientAuthentication::None => in_header.is_none() && named && secret.is_none(),
    };
    if proven {
        Ok(client)
    } else {
        Err(Refused::InvalidClient)
    }
}

/// Parses the id and secret in a Basic header, form-decoding them if they were form-encoded.
fn credentials(header: &str, encoded: bool) -> Option<(String, String)> {
    let (scheme, value) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(value.trim()).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    if encoded {
        Some((decoded(id)?, decoded(secret)?))
    } else {
        Some((id.to_owned(), secret.to_owned()))
    }
}

fn decoded(part: &str) -> Option<String> {
    // A remaining reserved character was not encoded: `&` and `=` would split the field.
    if part.contains(['&', '=', ':', ' ']) {
        return None;
    }
    let pair = format!("v={part}");
    let (_, value) = form_urlencoded::parse(pair.as_bytes()).next()?;
    Some(value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_credentials_split_at_the_first_colon_and_are_decoded_only_when_encoded() {
        let header = |text: &str| format!("Basic {}", STANDARD.encode(text));
        assert_eq!(
            credentials(&header("id:a%3Ab%25c%2Bd+%C3%A9"), true),
            Some(("id".into(), "a:b%c+d é".into()))
        );
        assert_eq!(
            credentials(&header("id:a:b%c"), false),
            Some(("id".into(), "a:b%c".into()))
        );
        assert_eq!(credentials(&header("id:a:b"), true), None);
        assert_eq!(credentials("Bearer abc", true), None);
    }
}
