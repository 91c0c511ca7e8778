//! Reads the body of an answer from a token endpoint in any of its forms.

use std::borrow::Cow;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::http::HttpResponse;
use crate::model::{Scope, Scopes};
use crate::protocol::expiry;
use crate::protocol::form::pairs;
use crate::protocol::json::{find, is_nothing, member, plain, text};
use crate::provider::{AnswerShape, Pointer, ServerDescriptor};

/// The most common name of the refresh token's lifetime.
const REFRESH_LIFETIME: &str = "refresh_token_expires_in";

/// The members of the body that are used. Everything else in it is ignored.
#[derive(Default)]
pub(super) struct Answer {
    pub(super) access_token: Option<Zeroizing<String>>,
    pub(super) refresh_token: Option<Zeroizing<String>>,
    pub(super) id_token: Option<Zeroizing<String>>,
    pub(super) token_type: Option<Zeroizing<String>>,
    pub(super) expires_in: Option<Duration>,
    pub(super) refresh_token_expires_in: Option<Duration>,
    pub(super) scopes: Option<Scopes>,
    /// The error code. Empty if the body reports an error without a code.
    pub(super) error: Option<Zeroizing<String>>,
}

/// The members of the body, each as a reference: nothing is copied until it is known to be needed.
#[derive(Default)]
struct Members<'a> {
    access_token: Option<&'a RawValue>,
    refresh_token: Option<&'a RawValue>,
    id_token: Option<&'a RawValue>,
    token_type: Option<&'a RawValue>,
    expires_in: Option<&'a RawValue>,
    refresh_token_expires_in: Option<&'a RawValue>,
    scope: Option<&'a RawValue>,
    error: Option<&'a RawValue>,
    // Errors in the formats of Fitbit, ClickUp and Slack.
    errors: Option<&'a RawValue>,
    err: Option<&'a RawValue>,
    ecode: Option<&'a RawValue>,
    ok: Option<&'a RawValue>,
}

impl<'a> Members<'a> {
    /// Returns the slot of the member with this name, if it is one of these.
    fn place(&mut self, name: &str) -> Option<&mut Option<&'a RawValue>> {
        Some(match name {
            "access_token" => &mut self.access_token,
            "refresh_token" => &mut self.refresh_token,
            "id_token" => &mut self.id_token,
            "token_type" => &mut self.token_type,
            "expires_in" => &mut self.expires_in,
            REFRESH_LIFETIME | "x_refresh_token_expires_in" | "refresh_expires_in" => {
                &mut self.refresh_token_expires_in
            }
            "scope" => &mut self.scope,
            "error" => &mut self.error,
            "errors" => &mut self.errors,
            "err" => &mut self.err,
            "ECODE" => &mut self.ecode,
            "ok" => &mut self.ok,
            _ => return None,
        })
    }
}

/// A duplicate member must not invalidate the tokens. As in most parsers, the last one counts,
/// unless it is empty.
impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Members::default();
                while let Some(name) = map.next_key::<Cow<'de, str>>()? {
                    let Some(place) = members.place(&name) else {
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    };
                    let value = map.next_value::<&RawValue>()?;
                    let says_something = || match &*name {
                        "access_token" | "refresh_token" | "id_token" => text(value).is_some(),
                        _ => !is_nothing(value),
                    };
                    if place.is_none() || says_something() {
                        *place = Some(value);
                    }
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// A nested error object.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct ErrorMembers<'a> {
    #[serde(borrow, rename = "errorType")]
    error_type: Option<&'a RawValue>,
    #[serde(borrow)]
    code: Option<&'a RawValue>,
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
}

impl Answer {
    /// Reads the body: a JSON object, or a form if the content type says so. `None` if it is
    /// neither.
    pub(super) fn read(response: &HttpResponse) -> Option<Self> {
        let body = body(response);
        let is_object = body.trim_ascii_start().starts_with(b"{");
        if is_object {
            // Some servers label their JSON as `text/plain` or `text/html`.
            serde_json::from_slice(body).ok().map(Self::from_members)
        } else if is_form(response) {
            Self::from_form(body)
        } else {
            None
        }
    }

    /// Reads the body with the places that this server's descriptor lists.
    pub(super) fn read_as(server: &ServerDescriptor, response: &HttpResponse) -> Option<Self> {
        let shape = &server.answer;
        if *shape == AnswerShape::default() {
            return Self::read(response);
        }
        let Ok(root) = serde_json::from_slice::<&RawValue>(body(response)) else {
            return Self::read(response);
        };
        let members = |raw: &RawValue| serde_json::from_str(raw.get()).ok().map(Self::from_members);
        let outer = members(root)?;
        let inner = shape.envelope.as_ref().and_then(|pointer| find(root, pointer));
        let mut answer = inner.and_then(members).unwrap_or_default();
        if shape.envelope.is_none() {
            answer = outer;
        } else if answer.error.is_none() {
            answer.error = outer.error;
        }
        let at = |pointer: &Option<Pointer>| find(root, pointer.as_ref()?);
        if shape.access_token.is_some() {
            answer.access_token = at(&shape.access_token).and_then(text);
        }
        if shape.refresh_token.is_some() {
            answer.refresh_token = at(&shape.refresh_token).and_then(text);
        }
        if shape.scope.is_some() {
            answer.scopes = at(&shape.scope).and_then(scopes);
        }
        if let Some(found) = at(&shape.error)
            && !is_nothing(found)
        {
            answer.error = Some(code(found));
        }
        let expires = match &shape.expires {
            Some(pointer) => find(root, pointer),
            None if shape.envelope.is_none() => member(root, "expires_in"),
            None => inner.and_then(|inner| member(inner, "expires_in")),
        };
        answer.expires_in = expiry::lifetime(expires, server, response);
        if let Some(flag) = &shape.success {
            let found = find(root, &flag.pointer).and_then(plain);
            if !found.is_some_and(|found| flag.values.contains(&found)) {
                answer.error = Some(answer.error.unwrap_or_default());
            }
        }
        Some(answer)
    }

    fn from_members(members: Members<'_>) -> Self {
        Self {
            error: error(&members),
            access_token: members.access_token.and_then(text),
            refresh_token: members.refresh_token.and_then(text),
            id_token: members.id_token.and_then(text),
            token_type: members.token_type.and_then(text),
            expires_in: members.expires_in.and_then(|raw| seconds(raw.get())),
            refresh_token_expires_in: members
                .refresh_token_expires_in
                .and_then(|raw| seconds(raw.get())),
            scopes: members.scope.and_then(scopes),
        }
    }

    /// Reads a form. As in JSON, the last of several members with one name counts, unless it is
    /// empty.
    fn from_form(body: &[u8]) -> Option<Self> {
        let mut answer = Self::default();
        let mut known = false;
        for (name, value) in pairs(body) {
            if value.is_empty() {
                continue;
            }
            match name.as_str() {
                "access_token" => answer.access_token = Some(value),
                "refresh_token" => answer.refresh_token = Some(value),
                "id_token" => answer.id_token = Some(value),
                "token_type" => answer.token_type = Some(value),
                "expires_in" => answer.expires_in = seconds(&value),
                REFRESH_LIFETIME => answer.refresh_token_expires_in = seconds(&value),
                "scope" => answer.scopes = split(&value),
                "error" => answer.error = Some(value),
                _ => continue,
            }
            known = true;
        }
        known.then_some(answer)
    }
}

/// Returns the body without the byte order mark that some servers put before JSON.
fn body(response: &HttpResponse) -> &[u8] {
    let body = response.body.as_bytes();
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)
}

fn is_form(response: &HttpResponse) -> bool {
    response
        .headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(str::trim)
        .is_some_and(|media_type| {
            media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded")
                || media_type.eq_ignore_ascii_case("text/plain")
        })
}

/// Returns the error code, if the body reports an error.
fn error(members: &Members<'_>) -> Option<Zeroizing<String>> {
    let says_no = |raw: &&RawValue| !is_nothing(raw);
    if let Some(raw) = members.error.filter(says_no) {
        return Some(code(raw));
    }
    if let Some(raw) = members.errors.filter(says_no) {
        let first = serde_json::from_str::<Vec<&RawValue>>(raw.get()).ok();
        let first = first.and_then(|errors| errors.first().copied());
        return Some(first.map(code).unwrap_or_default());
    }
    if members.err.filter(says_no).is_some() {
        return Some(members.ecode.and_then(text).unwrap_or_default());
    }
    let failed = members.ok.is_some_and(|ok| ok.get() == "false");
    failed.then(Zeroizing::default)
}

/// Returns the code of an error that is a string or an object.
fn code(raw: &RawValue) -> Zeroizing<String> {
    if let Some(code) = text(raw) {
        return code;
    }
    let members: ErrorMembers<'_> = serde_json::from_str(raw.get()).unwrap_or_default();
    [members.error_type, members.code, members.kind]
        .into_iter()
        .flatten()
        .find_map(text)
        .unwrap_or_default()
}

/// Parses a lifetime in seconds: a number or a numeric string, whole or not. Returns `None` for
/// values that are zero, negative, absurd or not numbers: servers write 0 for tokens that do not
/// expire.
fn seconds(text: &str) -> Option<Duration> {
    /// Three thousand years; the largest value in use is 315 360 000, ten years.
    const ABSURD: f64 = 1e11;
    let seconds: f64 = text.trim_matches('"').trim().parse().ok()?;
    (1.0..ABSURD)
        .contains(&seconds)
        .then(|| Duration::from_secs_f64(seconds.trunc()))
}

/// Parses scopes in a string, separated by spaces or commas, or in an array. An empty list counts
/// as absent.
fn scopes(raw: &RawValue) -> Option<Scopes> {
    if let Some(text) = text(raw) {
        return split(&text);
    }
    let items: Vec<&RawValue> = serde_json::from_str(raw.get()).ok()?;
    let scopes: Scopes = items
        .into_iter()
        .filter_map(text)
        .filter_map(|scope| Scope::new(scope.as_str()).ok())
        .collect();
    (!scopes.is_empty()).then_some(scopes)
}

fn split(text: &str) -> Option<Scopes> {
    let scopes: Scopes = text
        .split([' ', ','])
        .filter_map(|scope| Scope::new(scope).ok())
        .collect();
    (!scopes.is_empty()).then_some(scopes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> &RawValue {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn lifetimes_in_every_spelling() {
        for (json, expected) in [
            ("3600", Some(3600)),
            ("\"3600\"", Some(3600)),
            ("3599.7", Some(3599)),
            ("3.6e3", Some(3600)),
            ("315360000", Some(315_360_000)),
            ("0", None),
            ("-1", None),
            ("1e400", None),
            ("1e12", None),
            ("\"NaN\"", None),
            ("\"inf\"", None),
            ("\"soon\"", None),
            ("{}", None),
            ("true", None),
        ] {
            let found = seconds(raw(json).get());
            assert_eq!(found, expected.map(Duration::from_secs), "{json}");
        }
    }
}
