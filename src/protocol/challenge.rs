//! Reads why an API refused the token: `WWW-Authenticate`
//! ([RFC 9110 §11.6.1](https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1),
//! [RFC 6750 §3](https://www.rfc-editor.org/rfc/rfc6750#section-3)).

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;

use crate::model::Scopes;

/// A reason why an API refused the access token.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BearerError {
    /// `invalid_token`: expired, revoked or malformed. Another token may be accepted.
    InvalidToken,
    /// `insufficient_scope`: the call needs more scopes, which the API may name. This is neither a
    /// reason to refresh nor to end the connection.
    InsufficientScope(Option<Scopes>),
    /// `insufficient_user_authentication`: the user must sign in again, or with a stronger method
    /// ([RFC 9470 §3](https://www.rfc-editor.org/rfc/rfc9470#section-3)).
    InsufficientUserAuthentication,
    /// Another error, or none.
    Other,
}

/// The facts that a challenge states about the resource
/// ([RFC 9728 §5.1](https://www.rfc-editor.org/rfc/rfc9728#section-5.1)).
#[cfg(feature = "mcp")]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResourceChallenge {
    /// The URL of the resource's metadata.
    pub metadata: Option<String>,
    /// The scopes that the request needs; empty if the challenge names none.
    pub scopes: Scopes,
}

/// Returns what the answer's `Bearer` challenges state about the resource.
#[cfg(feature = "mcp")]
#[must_use]
pub fn resource_challenge(headers: &HeaderMap) -> ResourceChallenge {
    let mut found = ResourceChallenge::default();
    for challenge in bearers(headers) {
        if found.metadata.is_none() {
            found.metadata = challenge.get("resource_metadata").map(str::to_owned);
        }
        if found.scopes.is_empty() {
            let scopes = challenge.get("scope").and_then(|scopes| scopes.parse().ok());
            found.scopes = scopes.unwrap_or_default();
        }
    }
    found
}

fn bearers(headers: &HeaderMap) -> Vec<Challenge> {
    headers
        .get_all(WWW_AUTHENTICATE)
        .iter()
        .flat_map(|value| Parser::new(value.as_bytes()).challenges())
        .filter(|challenge| challenge.scheme.eq_ignore_ascii_case("bearer"))
        .collect()
}

/// Returns the error in the answer's `Bearer` challenges; `None` without such a challenge. The
/// server's free text is dropped.
#[must_use]
pub fn bearer_error(headers: &HeaderMap) -> Option<BearerError> {
    let bearers = bearers(headers);
    let with_error = bearers.iter().find(|challenge| challenge.get("error").is_some());
    let challenge = with_error.or_else(|| bearers.first())?;
    Some(match challenge.get("error") {
        Some("invalid_token") => BearerError::InvalidToken,
        Some("insufficient_scope") => {
            let scopes: Option<Scopes> = challenge.get("scope").and_then(|scopes| scopes.parse().ok());
            BearerError::InsufficientScope(scopes.filter(|scopes| !scopes.is_empty()))
        }
        Some("insufficient_user_authentication") => BearerError::InsufficientUserAuthentication,
        _ => BearerError::Other,
    })
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Challenge {
    scheme: String,
    parameters: Vec<(String, String)>,
}

impl Challenge {
    /// Returns the value of a parameter, if it appears once: two different values are both
    /// unreliable.
    fn get(&self, name: &str) -> Option<&str> {
        let mut values = self
            .parameters
            .iter()
            .filter(|(found, _)| found.eq_ignore_ascii_case(name));
        let (_, value) = values.next()?;
        values.next().is_none().then_some(value)
    }
}

/// A parser of one header line. Text that violates the grammar is skipped up to the next comma.
struct Parser<'a> {
    rest: &'a [u8],
}

impl<'a> Parser<'a> {
    const fn new(line: &'a [u8]) -> Self {
        Self { rest: line }
    }

    fn challenges(mut self) -> Vec<Challenge> {
        let mut challenges: Vec<Challenge> = Vec::new();
        loop {
            self.take_while(|byte| matches!(byte, b' ' | b'\t' | b','));
            if self.rest.is_empty() {
                return challenges;
            }
            let word = self.token();
            if word.is_empty() {
                self.skip_to_comma();
                continue;
            }
            // A comma separates both the parameters of one challenge and two challenges: the text
            // after it decides.
            if let Some(value) = self.value() {
                if let Some(challenge) = challenges.last_mut() {
                    challenge.parameters.push((word, value));
                }
                continue;
            }
            challenges.push(Challenge {
                scheme: word,
                parameters: Vec::new(),
            });
            self.skip_token68();
        }
    }

    /// Parses `= value` after a parameter's name, with optional whitespace around the sign.
    fn value(&mut self) -> Option<String> {
        let start = self.rest;
        self.blanks();
        if !self.eat(b'=') {
            self.rest = start;
            return None;
        }
        self.blanks();
        Some(if self.eat(b'"') {
            self.quoted()
        } else {
            self.token()
        })
    }

    /// Parses the rest of a quoted string after its opening quote. An unclosed string ends with the
    /// line.
    fn quoted(&mut self) -> String {
        let mut text = Vec::new();
        let mut bytes = self.rest.iter();
        while let Some(&byte) = bytes.next() {
            match byte {
                b'"' => break,
                b'\\' => text.extend(bytes.next()),
                _ => text.push(byte),
            }
        }
        self.rest = bytes.as_slice();
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Skips `dG9rZW4=` after a scheme, if nothing else follows up to the next comma or the end.
    fn skip_token68(&mut self) {
        let start = self.rest;
        self.blanks();
        self.take_while(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte));
        self.take_while(|byte| byte == b'=');
        self.blanks();
        if !matches!(self.rest.first(), None | Some(b',')) {
            self.rest = start;
        }
    }

    fn token(&mut self) -> String {
        let token =
            self.take_while(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
        String::from_utf8_lossy(token).into_owned()
    }

    fn skip_to_comma(&mut self) {
        self.take_while(|byte| !matches!(byte, b',' | b'"'));
        if self.eat(b'"') {
            self.quoted();
        }
    }

    fn blanks(&mut self) {
        self.take_while(|byte| matches!(byte, b' ' | b'\t'));
    }

    fn eat(&mut self, wanted: u8) -> bool {
        match self.rest.split_first() {
            Some((&byte, rest)) if byte == wanted => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self
            .rest
            .iter()
            .position(|&byte| !wanted(byte))
            .unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn error(lines: &[&str]) -> Option<BearerError> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(
                WWW_AUTHENTICATE,
                HeaderValue::from_bytes(line.as_bytes()).unwrap(),
            );
        }
        bearer_error(&headers)
    }

    #[test]
    fn challenges_in_every_arrangement() {
        use BearerError::{InsufficientScope, InsufficientUserAuthentication, InvalidToken, Other};
        let scopes = |scopes: &str| InsufficientScope(Some(scopes.parse().unwrap()));
        for (lines, expected) in [
            (&[][..], None),
            (&["Bearer"], Some(Other)),
            (&[r#"Bearer realm="x""#], Some(Other)),
            (&[r#"Bearer error="invalid_token""#], Some(InvalidToken)),
            (&[r"bEaReR ErRoR=invalid_token"], Some(InvalidToken)),
            (
                &[r#"Bearer realm="x", error = "invalid_token" ,error_description="a, b=c, Bearer error=x""#],
                Some(InvalidToken),
            ),
            (
                &[r#"Bearer error="invalid_token", DPoP algs="ES256""#],
                Some(InvalidToken),
            ),
            (
                &[r#"DPoP algs="ES256", error="use_dpop_nonce", Bearer error="invalid_token""#],
                Some(InvalidToken),
            ),
            (&[r#"DPoP error="invalid_token""#], None),
            (
                &["Negotiate YWJj==, Bearer error=invalid_token"],
                Some(InvalidToken),
            ),
            (
                &["Negotiate YWJj==", "Bearer", r#"Bearer error="invalid_token""#],
                Some(InvalidToken),
            ),
            (
                &[
                    "Basic, Bearer",
                    r#"Digest realm="a\"b, Bearer error=\"invalid_token", qop=auth"#,
                ],
                Some(Other),
            ),
            (&[r#"Bearer error="inv\alid_token""#], Some(InvalidToken)),
            (
                &[r#"Bearer error="insufficient_scope", scope="b a""#],
                Some(scopes("a b")),
            ),
            (
                &[r#"Bearer scope="a", error="insufficient_scope""#],
                Some(scopes("a")),
            ),
            (
                &["Bearer error=insufficient_scope"],
                Some(InsufficientScope(None)),
            ),
            (
                &[r#"Bearer error="insufficient_scope", scope="é""#],
                Some(InsufficientScope(None)),
            ),
            (
                &[r#"Bearer error="insufficient_user_authentication", max_age="5""#],
                Some(InsufficientUserAuthentication),
            ),
            (
                &[r#"Bearer error="invalid_token", error="insufficient_scope""#],
                Some(Other),
            ),
            (&[r#"Bearer error="something""#], Some(Other)),
            (&[", ,,Bearer error=invalid_token,, "], Some(InvalidToken)),
            (&[r#"Bearer error="invalid_token"#], Some(InvalidToken)),
            (
                &[r#"<junk "a, b">, Bearer error=invalid_token"#],
                Some(InvalidToken),
            ),
            (&["=,=,\"", "\\"], None),
        ] {
            assert_eq!(error(lines), expected, "{lines:?}");
        }
    }

    #[cfg(feature = "mcp")]
    #[test]
    fn a_challenge_names_the_metadata_and_the_scopes_of_its_resource() {
        let found = |lines: &[&str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(WWW_AUTHENTICATE, HeaderValue::from_str(line).unwrap());
            }
            let found = resource_challenge(&headers);
            (found.metadata.unwrap_or_default(), found.scopes.to_string())
        };
        let place = "https://mcp.example/.well-known/oauth-protected-resource";
        let with = |more: &str| format!(r#"Bearer {more}resource_metadata="{place}""#);
        assert_eq!(found(&[&with("")]), (place.to_owned(), String::new()));
        let scoped = with(r#"error="invalid_token", scope="b a", "#);
        assert_eq!(found(&[&scoped]), (place.to_owned(), "a b".to_owned()));
        assert_eq!(found(&["Basic realm=x", &with("")]).0, place);
        assert_eq!(found(&[r#"DPoP resource_metadata="https://evil.example""#]).0, "");
        assert_eq!(found(&["Bearer"]), Default::default());
        let twice = with(r#"resource_metadata="https://evil.example", "#);
        assert_eq!(found(&[&twice]).0, "", "two different values are both unreliable");
    }

    #[test]
    fn the_servers_words_end_here() {
        let found = error(&[r#"Bearer error="m4rker", error_description="m4rker""#]);
        assert!(!format!("{found:?}").contains("m4rker"));
    }

    proptest::proptest! {
        #[test]
        fn any_line_is_read_to_its_end(line in proptest::collection::vec(
            proptest::sample::select(&b"Bearer error=\"invalid_token\\,; \t\xff"[..]), 0..60,
        )) {
            let _ = Parser::new(&line).challenges();
        }
    }
}
