//! A request sent as a person, with a token that the caller never sees.

use std::borrow::Cow;
use std::time::Instant;

use http::StatusCode;
use http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, COOKIE, HOST, HeaderName, HeaderValue,
    PROXY_AUTHORIZATION,
};
use url::Url;
use zeroize::Zeroizing;

use crate::error::{ConsentReason, ConsentRequired, Error, RequestRefused, Result, Unavailable};
use crate::http::{HttpErrorKind, HttpRequest, HttpResponse};
use crate::manager::refresh::Wanted;
use crate::model::{ActingUser, FailureCode, Scopes};
use crate::protocol::{BearerError, bearer_error};
use crate::resolver::ledger::Ledger;
use crate::resolver::redact::MASK;
use crate::resolver::{ResolveOptions, ResolvedToken, Resolver};
use crate::trace::{self, Seam};
use crate::vault::Attempt;

impl Resolver {
    /// As [`send`](Self::send), with a label, required scopes, or a least lifetime.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_with(
        &self,
        acting_user: &ActingUser,
        provider: &str,
        request: http::Request<Vec<u8>>,
        options: &ResolveOptions,
    ) -> Result<http::Response<Vec<u8>>> {
        self.send_into(&Ledger::default(), acting_user, provider, request, options)
    }

    /// As [`send_with`](Self::send_with); every token used is written down, and none of those written down comes back.
    pub(super) fn send_into(
        &self,
        ledger: &Ledger,
        acting_user: &ActingUser,
        provider: &str,
        request: http::Request<Vec<u8>>,
        options: &ResolveOptions,
    ) -> Result<http::Response<Vec<u8>>> {
        let about = || self.connections.inner().about(acting_user, provider);
        trace::within(Seam::Send, about, || {
            self.carry(ledger, acting_user, provider, request, options)
        })
    }

    fn carry(
        &self,
        ledger: &Ledger,
        acting_user: &ActingUser,
        provider: &str,
        request: http::Request<Vec<u8>>,
        options: &ResolveOptions,
    ) -> Result<http::Response<Vec<u8>>> {
        let began = Instant::now();
        refuse_foreign_credentials(&request)?;
        let token = self.resolve_into(ledger, acting_user, provider, options)?;
        let url = address(&token, request.uri())?;
        let settings = &self.connections.inner().settings;
        let ends = options.ends(began, settings.resolve_deadline + 2 * settings.send_timeout);
        let answer = self.dispatch(&request, &url, &token, ends)?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return finish(&token, answer, ledger);
        }
        let Some(token) = self.renew_refused(acting_user, token, ends)? else {
            return Ok(hand_back(answer, ledger));
        };
        ledger.note(&token.access_token);
        let answer = self.dispatch(&request, &url, &token, ends)?;
        if answer.status == StatusCode::UNAUTHORIZED {
            return Err(need(
                &token,
                ConsentReason::RejectedAfterRefresh,
                Scopes::default(),
            ));
        }
        finish(&token, answer, ledger)
    }

    fn dispatch(
        &self,
        request: &http::Request<Vec<u8>>,
        url: &Url,
        token: &ResolvedToken,
        ends: Instant,
    ) -> Result<HttpResponse> {
        let inner = self.connections.inner();
        let left = ends.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Unavailable::new(FailureCode::TimedOut, None).into());
        }
        let (name, value) = token.header();
        if request.headers().contains_key(&name) {
            return Err(RequestRefused::ForeignCredentials.into());
        }
        let mut outgoing = HttpRequest::new(request.method().clone(), url.clone());
        outgoing.headers = request.headers().clone();
        // A compressed answer would carry an echo of the token past the masks.
        outgoing
            .headers
            .insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        // One front end serves many hosts: this header would send the token past the check of the address.
        outgoing.headers.remove(HOST);
        outgoing.timeout = inner.settings.send_timeout.min(left);
        outgoing.max_response_bytes = inner.settings.send_max_bytes;
        let outgoing = outgoing
            .with_body(request.body().clone())
            .with_secret_header(name, value)
            .map_err(|_| RequestRefused::Header)?;
        self.transmit(outgoing)
    }

    /// Puts a request on the wire. Whoever calls this has checked where it goes.
    pub(super) fn transmit(&self, outgoing: HttpRequest) -> Result<HttpResponse> {
        self.connections.inner().http.send(outgoing).map_err(|error| {
            let code = match error.kind {
                HttpErrorKind::Connect | HttpErrorKind::Refused => FailureCode::Unreachable,
                HttpErrorKind::Timeout => FailureCode::TimedOut,
                HttpErrorKind::TooLarge => FailureCode::UnreadableAnswer,
                HttpErrorKind::Interrupted | HttpErrorKind::Protocol => FailureCode::Interrupted,
            };
            Unavailable::new(code, None).into()
        })
    }

    /// Renews the token that the API refused. If a newer one is stored already, that one is taken. `None` if there is
    /// nothing to renew it by.
    fn renew_refused(
        &self,
        acting_user: &ActingUser,
        refused: ResolvedToken,
        ends: Instant,
    ) -> Result<Option<ResolvedToken>> {
        let inner = self.connections.inner();
        let renewed = inner.renew(Wanted {
            tenant: acting_user.tenant(),
            connection: refused.connection,
            generation: refused.generation,
            attempt: Attempt::Forced,
            deadline: ends.min(Instant::now() + inner.settings.resolve_deadline),
        });
        match renewed {
            Ok(renewed) => Ok(Some(ResolvedToken {
                access_token: renewed.access_token,
                generation: renewed.generation,
                expires_at: renewed.expires_at,
                ..refused
            })),
            Err(Error::ConsentRequired(need)) if need.reason == ConsentReason::Expired => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Headers by which a request acts as somebody.
pub(super) const CREDENTIALS: [HeaderName; 3] = [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE];

/// A request that brings credentials of its own would act as two people at once.
fn refuse_foreign_credentials(request: &http::Request<Vec<u8>>) -> Result<(), RequestRefused> {
    if CREDENTIALS
        .iter()
        .any(|name| request.headers().contains_key(name))
    {
        return Err(RequestRefused::ForeignCredentials);
    }
    Ok(())
}

/// The absolute address of a request, if the token may go there.
pub(super) fn address(token: &ResolvedToken, uri: &http::Uri) -> Result<Url, RequestRefused> {
    let url = if uri.authority().is_some() {
        Url::parse(&uri.to_string()).map_err(|_| RequestRefused::Malformed)?
    } else {
        let base = token
            .provider
            .api_base(&token.parameters)
            .ok_or(RequestRefused::NoBase)?;
        let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        Url::parse(&format!("{}{path}", base.as_str().trim_end_matches('/')))
            .map_err(|_| RequestRefused::Malformed)?
    };
    if token.allows(&url) {
        Ok(url)
    } else {
        Err(RequestRefused::Address)
    }
}

/// Hands the answer on, unless the API says that the grant does not cover the request.
fn finish(token: &ResolvedToken, answer: HttpResponse, ledger: &Ledger) -> Result<http::Response<Vec<u8>>> {
    if answer.status == StatusCode::FORBIDDEN
        && let Some(BearerError::InsufficientScope(scopes)) = bearer_error(&answer.headers)
    {
        // An API that repeats the token repeats it to nobody, as a scope neither.
        let named = |scopes: &Scopes| Zeroizing::new(scopes.join(" "));
        let masks = ledger.masks();
        let scopes =
            scopes.filter(|scopes| masks.is_none_or(|masks| masks.find(named(scopes).as_bytes()).is_empty()));
        return Err(need(
            token,
            ConsentReason::MissingScopes,
            scopes.unwrap_or_default(),
        ));
    }
    Ok(hand_back(answer, ledger))
}

/// The answer as the caller may see it: an API that repeats the token repeats it to nobody.
pub(super) fn hand_back(answer: HttpResponse, ledger: &Ledger) -> http::Response<Vec<u8>> {
    let HttpResponse {
        status,
        mut headers,
        body,
    } = answer;
    let masks = ledger.masks();
    let clean = match &masks {
        Some(masks) => masks.redact_bytes(body.as_bytes()),
        None => Cow::Borrowed(body.as_bytes()),
    };
    if let Some(masks) = &masks {
        for value in headers.values_mut() {
            if let Cow::Owned(clean) = masks.redact_bytes(value.as_bytes()) {
                *value = HeaderValue::from_bytes(&clean).unwrap_or(HeaderValue::from_static(MASK));
            }
        }
    }
    if matches!(clean, Cow::Owned(_)) && headers.contains_key(CONTENT_LENGTH) {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(clean.len()));
    }
    let mut response = http::Response::new(clean.into_owned());
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn need(token: &ResolvedToken, reason: ConsentReason, missing: Scopes) -> Error {
    ConsentRequired::new(token.provider.id.clone(), reason)
        .renewing(token.connection)
        .missing(missing)
        .into()
}
