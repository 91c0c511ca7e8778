//! A request sent as a person, with a token that the caller never sees.

use std::borrow::Cow;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderMap;
use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH, HeaderValue};
use http::request::Parts;
use url::Url;

use crate::error::{AnswerRefused, Error, Misconfigured, RequestRefused, Result, Unavailable};
use crate::http::{Body, Delivery, HttpError, HttpErrorKind, HttpRequest, HttpResponse, TooLarge};
use crate::model::{ActingUser, FailureCode};
use crate::protocol::TokenFailure;
use crate::resolver::ledger::Ledger;
use crate::resolver::redact::{MASK, SharedMasks};
use crate::resolver::request::remove_clients_headers;
use crate::resolver::stream::{Download, Upload, Watch};
use crate::resolver::{Redactor, ResolveOptions, ResolvedToken, Resolver};
use crate::trace::{self, Seam};

/// One exchange: on whose behalf, by when, and how its answer is wanted.
struct Errand<'a> {
    ledger: &'a Ledger,
    acting_user: &'a ActingUser,
    provider: &'a str,
    options: &'a ResolveOptions,
    /// When all of it must have ended.
    ends: Instant,
    /// How long each request may take besides.
    each: Duration,
    delivery: Delivery,
}

/// Gives the body for one request, and what is seen of it on its way; `None` if it cannot be sent again.
type Bodies<'a> = dyn FnMut() -> Result<Option<(Body, Option<Arc<Watch>>)>> + 'a;

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
        let settings = &self.connections.inner().settings;
        let errand = Errand {
            ledger,
            acting_user,
            provider,
            options,
            ends: options.ends(
                Instant::now(),
                settings.resolve_deadline + 2 * settings.send_timeout,
            ),
            each: settings.send_timeout,
            delivery: Delivery::Whole,
        };
        let (parts, body) = request.into_parts();
        let mut upload = || Ok(Some((Body::from(body.clone()), None)));
        let answer = self.exchange(&errand, &parts, &mut upload)?;
        Ok(hand_back(answer, ledger))
    }

    /// As [`send_stream`](Self::send_stream), with a label, required scopes, or a least lifetime.
    ///
    /// # Errors
    ///
    /// As [`send_stream`](Self::send_stream).
    pub fn send_stream_with(
        &self,
        acting_user: &ActingUser,
        provider: &str,
        request: http::Request<Upload>,
        options: &ResolveOptions,
    ) -> Result<http::Response<Download>> {
        self.stream_into(&Ledger::default(), acting_user, provider, request, options)
    }

    /// As [`send_stream_with`](Self::send_stream_with), for this turn.
    pub(super) fn stream_into(
        &self,
        ledger: &Ledger,
        acting_user: &ActingUser,
        provider: &str,
        request: http::Request<Upload>,
        options: &ResolveOptions,
    ) -> Result<http::Response<Download>> {
        let settings = &self.connections.inner().settings;
        let errand = Errand {
            ledger,
            acting_user,
            provider,
            options,
            ends: options.ends(Instant::now(), settings.stream_timeout),
            each: settings.stream_timeout,
            delivery: Delivery::Streamed,
        };
        let (parts, mut body) = request.into_parts();
        let mut upload = || Ok(body.open()?.map(|(body, watch)| (body, Some(watch))));
        let answer = self.exchange(&errand, &parts, &mut upload)?;
        let HttpResponse {
            status,
            mut headers,
            body,
        } = answer;
        redact_headers(&mut headers, &ledger.masks());
        // What is read may be shorter or longer: `Download::announced` says what was announced.
        headers.remove(CONTENT_LENGTH);
        let mut response =
            http::Response::new(Download::new(body, Redactor::new(ledger.masks()), errand.ends));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }

    /// Sends the request, and once more if its token is refused and can be refreshed and its body sent again.
    fn exchange(&self, errand: &Errand<'_>, parts: &Parts, upload: &mut Bodies<'_>) -> Result<HttpResponse> {
        let &Errand {
            ledger,
            acting_user,
            provider,
            options,
            ..
        } = errand;
        let about = || self.connections.inner().about(acting_user, provider);
        trace::within(Seam::Send, about, || {
            self.check_request(provider, parts)?;
            let token = self.resolve_into(ledger, acting_user, provider, options)?;
            let url = address(&token, &parts.uri)?;
            let body = upload()?.ok_or(RequestRefused::Upload(ErrorKind::UnexpectedEof))?;
            let answer = self.dispatch(errand, parts, body, &url, &token)?;
            let another = self.another_after(acting_user, &token, answer.status, errand.ends)?;
            let Some(another) = another else {
                return self.finish(acting_user, &token, answer, ledger);
            };
            ledger.note(&another.access_token);
            let Some(body) = upload()? else {
                return Ok(answer);
            };
            let refused = token.provider.refuses_token(answer.status.as_u16());
            let answer = self.dispatch(errand, parts, body, &url, &another)?;
            if refused && another.provider.refuses_token(answer.status.as_u16()) {
                self.note_refused(acting_user, &another)?;
            }
            self.finish(acting_user, &another, answer, ledger)
        })
    }

    fn dispatch(
        &self,
        errand: &Errand<'_>,
        parts: &Parts,
        (body, watch): (Body, Option<Arc<Watch>>),
        url: &Url,
        token: &ResolvedToken,
    ) -> Result<HttpResponse> {
        let settings = &self.connections.inner().settings;
        let left = errand.ends.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Unavailable::new(FailureCode::TimedOut, None).into());
        }
        let (name, value) = token.header();
        if parts.headers.contains_key(&name) {
            return Err(RequestRefused::ForeignCredentials.into());
        }
        let mut outgoing = HttpRequest::new(parts.method.clone(), url.clone());
        outgoing.headers = parts.headers.clone();
        // A compressed answer would carry an echo of the token past the masks.
        outgoing
            .headers
            .insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        remove_clients_headers(&mut outgoing.headers);
        self.add_to_request(errand.acting_user, token, &mut outgoing)?;
        outgoing.timeout = errand.each.min(left);
        outgoing.idle_timeout = Some(settings.send_timeout);
        outgoing.delivery = errand.delivery;
        outgoing.max_response_bytes = settings.send_max_bytes;
        let outgoing = outgoing
            .with_body(body)
            .with_secret_header(name, value)
            .map_err(|_| RequestRefused::Header)?;
        let answered = self.transmit(outgoing);
        if let Some(watch) = watch {
            if let Some(kind) = watch.failed() {
                return Err(RequestRefused::Upload(kind).into());
            }
            if !watch.touched() && answered.as_ref().is_ok_and(|answer| answer.status.is_success()) {
                return Err(Misconfigured::NoUploads.into());
            }
        }
        answered
    }

    /// What the provider wants in every request to its API.
    pub(super) fn add_to_request(
        &self,
        acting_user: &ActingUser,
        token: &ResolvedToken,
        request: &mut HttpRequest,
    ) -> Result<()> {
        let inner = self.connections.inner();
        let service = inner.service(acting_user.tenant(), token.provider.id.as_str())?;
        service.add_to_request(&token.parameters, request);
        Ok(())
    }

    /// Puts a request on the wire. Whoever calls this has checked where it goes.
    pub(super) fn transmit(&self, outgoing: HttpRequest) -> Result<HttpResponse> {
        let (delivery, most) = (outgoing.delivery, outgoing.max_response_bytes);
        let http = &self.connections.inner().http;
        let mut answer = http.send(outgoing).map_err(|error| unanswered(error, most))?;
        if delivery == Delivery::Whole && answer.body.is_reader() {
            // The client did not keep to what was wanted. Returning an empty body would hide that.
            let reader = std::mem::take(&mut answer.body).into_reader();
            answer.body = Body::read_from(reader, most).map_err(|error| {
                let too_large = error.get_ref().is_some_and(|inner| inner.is::<TooLarge>());
                let kind = if too_large {
                    HttpErrorKind::TooLarge
                } else {
                    HttpErrorKind::Interrupted
                };
                unanswered(kind.into(), most)
            })?;
        }
        Ok(answer)
    }
}

/// Why there is no answer. Refusals and limits of this side are told apart from failures of the provider: trying again
/// changes nothing.
fn unanswered(error: HttpError, limit: usize) -> Error {
    match error.kind {
        HttpErrorKind::Refused => RequestRefused::Client.into(),
        HttpErrorKind::TooLarge => AnswerRefused::TooLarge { limit }.into(),
        HttpErrorKind::HeadTooLarge => AnswerRefused::HeadTooLarge.into(),
        _ => Unavailable::new(TokenFailure::from(error).code, None).into(),
    }
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
        // What does not begin a path would lengthen the last part of the base, which may be its host.
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

/// The answer as the caller may see it: an API that repeats the token repeats it to nobody.
pub(super) fn hand_back(answer: HttpResponse, ledger: &Ledger) -> http::Response<Vec<u8>> {
    let HttpResponse {
        status,
        mut headers,
        body,
    } = answer;
    let names = headers.keys().map(|name| name.as_str().as_bytes());
    let values = headers.values().map(HeaderValue::as_bytes);
    let masks = ledger.masks_for(names.chain(values).chain([body.as_bytes()]));
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

/// Masks tokens in the values of headers, and leaves out headers that repeat a token in their name.
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
