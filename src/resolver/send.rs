//! Sends requests as a user, with a token that the caller never sees.

use std::borrow::Cow;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderMap;
use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH, HeaderValue};
use http::request::Parts;
use url::Url;

use crate::engine::Context;
use crate::error::{Error, Misconfigured, NamedProvider, RequestRefused, Result};
use crate::http::{Body, HttpError, HttpRequest, HttpResponse};
use crate::model::{ActingUser, FailureCode};
use crate::protocol::TokenFailure;
use crate::resolver::access::Access;
use crate::resolver::ledger::Ledger;
#[cfg(feature = "mcp")]
use crate::resolver::moved;
use crate::resolver::redact::{MASK, Redactor, SharedMasks};
use crate::resolver::refused::{another_after, note_refused};
use crate::resolver::request::{check_request, remove_clients_headers};
use crate::resolver::resolve::resolve;
use crate::resolver::step_up::finish;
use crate::resolver::stream::{Download, Upload, Watch};
use crate::resolver::token::ResolvedToken;
use crate::trace::{self, Seam};

/// One exchange: the access, the deadline and the limits of the response.
struct Exchange<'a> {
    access: &'a Access<'a>,
    /// The deadline of the whole exchange.
    ends: Instant,
    /// The time limit of each request, in addition to the deadline.
    each: Duration,
    /// The maximum size of the response body; `None` if it is streamed.
    most: Option<usize>,
}

/// Returns the body for one request and the progress of sending it; `None` if it cannot be sent
/// again.
type Bodies<'a> = dyn FnMut() -> Result<Option<(Body, Option<Arc<Watch>>)>> + 'a;

/// Sends a request and returns the whole response with the turn's tokens masked.
pub(super) fn send(access: &Access<'_>, request: http::Request<Vec<u8>>) -> Result<http::Response<Vec<u8>>> {
    let settings = &access.cx().settings;
    let bound = settings.resolve_deadline + 2 * settings.send_timeout;
    let exchange = Exchange {
        access,
        ends: access.options.ends(Instant::now(), bound),
        each: settings.send_timeout,
        most: Some(settings.send_max_bytes),
    };
    let (parts, body) = request.into_parts();
    let answer = exchange.run(&parts, &mut || Ok(Some((Body::from(body.clone()), None))))?;
    Ok(hand_back(answer, access.ledger))
}

/// Sends a request whose body is read while it is sent, and returns a response that is read while
/// it arrives.
pub(super) fn send_stream(
    access: &Access<'_>,
    request: http::Request<Upload>,
) -> Result<http::Response<Download>> {
    let settings = &access.cx().settings;
    let exchange = Exchange {
        access,
        ends: access.options.ends(Instant::now(), settings.stream_timeout),
        each: settings.stream_timeout,
        most: None,
    };
    let (parts, mut body) = request.into_parts();
    let answer = exchange.run(&parts, &mut || {
        Ok(body.open()?.map(|(body, watch)| (body, Some(watch))))
    })?;
    let HttpResponse {
        status,
        mut headers,
        body,
    } = answer;
    let ledger = access.ledger;
    let masks = ledger.masks_for(texts_of(&headers));
    redact_headers(&mut headers, &masks);
    // Masking can change the length of the body; `Download::announced` returns the announced
    // length.
    headers.remove(CONTENT_LENGTH);
    let mut response = http::Response::new(Download::new(
        body,
        Redactor::new(ledger.secrets()),
        exchange.ends,
    ));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

impl Exchange<'_> {
    /// Sends the request. If its token is refused and can be refreshed, and its body can be sent
    /// again, sends it once more.
    fn run(&self, parts: &Parts, upload: &mut Bodies<'_>) -> Result<HttpResponse> {
        let access = self.access;
        trace::within(
            Seam::Send,
            || access.about(),
            || {
                check_request(access, parts)?;
                let token = resolve(access)?;
                access.ledger.note(&token.access_token);
                let url = address(&token, &parts.uri)?;
                let body = upload()?.ok_or(RequestRefused::Upload(ErrorKind::UnexpectedEof))?;
                let answer = self.dispatch(parts, body, &url, &token)?;
                #[cfg(feature = "mcp")]
                moved::check_server(access, &token, &answer)?;
                let Some(another) = another_after(access, &token, answer.status, self.ends)? else {
                    return finish(access, &token, parts, answer);
                };
                access.ledger.note(&another.access_token);
                let Some(body) = upload()? else {
                    return Ok(answer);
                };
                let refused = token.provider.refuses_token(answer.status.as_u16());
                let answer = self.dispatch(parts, body, &url, &another)?;
                if refused && another.provider.refuses_token(answer.status.as_u16()) {
                    note_refused(access, &another)?;
                }
                finish(access, &another, parts, answer)
            },
        )
    }

    fn dispatch(
        &self,
        parts: &Parts,
        (body, watch): (Body, Option<Arc<Watch>>),
        url: &Url,
        token: &ResolvedToken,
    ) -> Result<HttpResponse> {
        let settings = &self.access.cx().settings;
        let named = || NamedProvider::of(&token.provider);
        let left = self.ends.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Error::unavailable(FailureCode::TimedOut).of_provider(named));
        }
        let (name, value) = token.header();
        if parts.headers.contains_key(&name) {
            return Err(RequestRefused::ForeignCredentials.into());
        }
        let mut outgoing = HttpRequest::new(parts.method.clone(), url.clone());
        outgoing.headers = parts.headers.clone();
        // The masks cannot find a token that is echoed in a compressed response.
        outgoing
            .headers
            .insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        remove_clients_headers(&mut outgoing.headers);
        add_to_request(self.access.cx(), self.access.acting_user, token, &mut outgoing)?;
        outgoing.timeout = self.each.min(left);
        outgoing.idle_timeout = Some(settings.send_timeout);
        outgoing.max_response_bytes = self.most;
        let outgoing = outgoing
            .with_body(body)
            .with_secret_header(name, value)
            .map_err(|_| RequestRefused::Header)?;
        let answered = transmit(self.access.cx(), token.provider.bounded(outgoing));
        if let Some(watch) = watch {
            if let Some(kind) = watch.failed() {
                return Err(RequestRefused::Upload(kind).into());
            }
            if !watch.touched() && answered.as_ref().is_ok_and(|answer| answer.status.is_success()) {
                return Err(Misconfigured::NoUploads.into());
            }
        }
        answered.map_err(|error| error.of_provider(named))
    }
}

/// Adds the headers that the provider requires in every API request.
pub(super) fn add_to_request(
    cx: &Context,
    acting_user: &ActingUser,
    token: &ResolvedToken,
    request: &mut HttpRequest,
) -> Result<()> {
    let service = cx.service(acting_user.tenant(), token.provider.id.as_str())?;
    service.add_to_request(&token.parameters, request);
    Ok(())
}

/// Sends a request. The caller has checked its address.
pub(super) fn transmit(cx: &Context, outgoing: HttpRequest) -> Result<HttpResponse> {
    let limit = outgoing.max_response_bytes;
    let http = &cx.http;
    let mut answer = http.send(outgoing).map_err(|error| unanswered(error, limit))?;
    if let Some(most) = limit.filter(|_| answer.body.is_reader()) {
        // The client ignored the streaming request. Returning an empty body would hide that.
        let reader = std::mem::take(&mut answer.body).into_reader();
        answer.body = Body::read_from(reader, most).map_err(|error| unanswered(error, limit))?;
    }
    Ok(answer)
}

/// Returns why there is no response. Refusals and limits on this side are distinguished from
/// failures of the provider, because retrying them is useless.
fn unanswered(error: HttpError, limit: Option<usize>) -> Error {
    match error {
        HttpError::Refused | HttpError::PrivateAddress => RequestRefused::Client.into(),
        HttpError::TooLarge => Error::AnswerTooLarge { limit },
        HttpError::HeadTooLarge => Error::AnswerTooLarge { limit: None },
        _ => Error::unavailable(TokenFailure::from(error).code),
    }
}

/// Returns the absolute address of a request, if the token may be sent there.
pub(super) fn address(token: &ResolvedToken, uri: &http::Uri) -> Result<Url, RequestRefused> {
    let url = if uri.authority().is_some() {
        Url::parse(&uri.to_string()).map_err(|_| RequestRefused::Malformed)?
    } else {
        let base = token
            .provider
            .api_base(&token.parameters)
            .ok_or(RequestRefused::NoBase)?;
        let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        // A relative address that does not begin with a slash would extend the last part of the
        // base, which may be the host.
        if !path.starts_with(['/', '?']) {
            return Err(RequestRefused::Malformed);
        }
        Url::parse(&format!("{}{path}", base.as_str().trim_end_matches('/')))
            .map_err(|_| RequestRefused::Malformed)?
    };
    if token.allows(&url) {
        Ok(url)
    } else {
        Err(RequestRefused::Address)
    }
}

/// Returns the response for the caller, with echoed tokens masked.
pub(super) fn hand_back(answer: HttpResponse, ledger: &Ledger) -> http::Response<Vec<u8>> {
    let HttpResponse {
        status,
        mut headers,
        body,
    } = answer;
    let masks = ledger.masks_for(texts_of(&headers).chain([body.as_bytes()]));
    let clean = match &masks {
        Some(masks) => masks.redact_bytes(body.as_bytes()),
        None => Cow::Borrowed(body.as_bytes()),
    };
    redact_headers(&mut headers, &masks);
    if matches!(clean, Cow::Owned(_)) && headers.contains_key(CONTENT_LENGTH) {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(clean.len()));
    }
    let mut response = http::Response::new(clean.into_owned());
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// Returns the names and the values of headers.
fn texts_of(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let names = headers.keys().map(|name| name.as_str().as_bytes());
    names.chain(headers.values().map(HeaderValue::as_bytes))
}

/// Masks tokens in header values, and removes headers whose name contains a token.
fn redact_headers(headers: &mut HeaderMap, masks: &SharedMasks) {
    let Some(masks) = masks else { return };
    let names = headers
        .keys()
        .filter(|name| !masks.find(name.as_str().as_bytes()).is_empty());
    for name in names.cloned().collect::<Vec<_>>() {
        headers.remove(name);
    }
    for value in headers.values_mut() {
        if let Cow::Owned(clean) = masks.redact_bytes(value.as_bytes()) {
            *value = HeaderValue::from_bytes(&clean).unwrap_or(HeaderValue::from_static(MASK));
        }
    }
}
