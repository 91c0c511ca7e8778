//! Reads when an access token expires, in the format of this server's answers.

use std::time::Duration;

use http::header::DATE;
use serde_json::value::RawValue;

use crate::http::HttpResponse;
use crate::protocol::json::{is_nothing, text};
use crate::protocol::retry_after::date_seconds;
use crate::protocol::rfc3339;
use crate::provider::{Expiry, ServerDescriptor};

/// The lifetime of a token whose expiry is present but unreadable, if the descriptor has no
/// default: the token is kept, and refreshed soon.
const UNREADABLE: Duration = Duration::from_secs(300);

/// Three thousand years, in seconds; the longest lifetime in use is ten years. A longer one is in
/// another unit.
const ABSURD: f64 = 1e11;

/// Returns the lifetime in a member of the answer, in the format that the descriptor names. `None`
/// if the answer says that the token does not expire (absent, null, zero or negative).
pub(super) fn lifetime(
    raw: Option<&RawValue>,
    server: &ServerDescriptor,
    response: &HttpResponse,
) -> Option<Duration> {
    let raw = raw.filter(|raw| !is_nothing(raw))?;
    let written = number(raw);
    if written.is_some_and(|number| number < 1.0) {
        return None;
    }
    let shape = &server.answer;
    let lifetime = match shape.expiry {
        Expiry::Seconds => written.and_then(seconds),
        Expiry::Milliseconds => written.and_then(|number| seconds(number / 1000.0)),
        Expiry::UnixSeconds => written.and_then(seconds).and_then(|end| left(end, response)),
        Expiry::UnixMilliseconds => written
            .and_then(|number| seconds(number / 1000.0))
            .and_then(|end| left(end, response)),
        Expiry::Rfc3339 => text(raw)
            .and_then(|text| rfc3339::unix_seconds(&text))
            .and_then(|end| left(Duration::from_secs(end), response)),
    };
    // The descriptor names the member, so it has a meaning. Treating it as absent would keep an
    // expired token in use.
    let is_named = shape.expires.is_some() || shape.expiry != Expiry::Seconds;
    lifetime.or_else(|| is_named.then(|| server.default_expires_in.unwrap_or(UNREADABLE)))
}

/// Parses a number, or a numeric string.
fn number(raw: &RawValue) -> Option<f64> {
    let number: f64 = raw.get().trim_matches('"').trim().parse().ok()?;
    number.is_finite().then_some(number)
}

/// Returns whole seconds, at least one, of a lifetime below the limit.
fn seconds(number: f64) -> Option<Duration> {
    (number < ABSURD).then(|| Duration::from_secs_f64(number.trunc().max(1.0)))
}

/// Returns the time until `end`, a time since 1970. This module has no clock and uses the
/// answer's `Date`.
fn left(end: Duration, response: &HttpResponse) -> Option<Duration> {
    let date = response.headers.get(DATE)?.to_str().ok()?;
    let left = end.checked_sub(Duration::from_secs(date_seconds(date)?))?;
    (!left.is_zero()).then_some(left)
}
