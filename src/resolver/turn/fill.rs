//! Creates placeholders and replaces them by tokens.

use std::sync::PoisonError;

use http::HeaderMap;
use http::header::{ACCEPT_ENCODING, HeaderValue};
use zeroize::Zeroizing;

use crate::engine::Context;
use crate::error::{RequestRefused, Result};
use crate::http::HttpRequest;
use crate::provider::ProviderDescriptor;
use crate::random;
use crate::resolver::options::ResolveOptions;
use crate::resolver::placeholder::{LENGTH, MARK, MOST, Promise, find};
use crate::resolver::request::{check_headers, check_method, remove_clients_headers};
use crate::resolver::send::{add_to_request, address, hand_back, transmit};
use crate::resolver::turn::Turn;
use crate::secret::SecretBytes;

impl Turn {
    /// Returns a placeholder for the token of this user, to be put into a header:
    /// `Authorization: Bearer vkp_…`. The same options in the same turn give the same placeholder.
    ///
    /// A placeholder is random text that is valid only in the turn that created it. It is not a
    /// secret: a model may see it and a log may contain it. Only [`fill`](Self::fill) and
    /// [`send_filled`](Self::send_filled) replace it by a token, and only in requests to the
    /// provider's API.
    ///
    /// # Errors
    ///
    /// [`UnknownProvider`](crate::Error::UnknownProvider),
    /// [`RandomUnavailable`](crate::Error::RandomUnavailable), and
    /// [`TooManyPlaceholders`](RequestRefused::TooManyPlaceholders) after 1,024 different ones. A
    /// missing connection is reported when the placeholder is filled.
    pub fn placeholder<'a>(&self, options: impl Into<ResolveOptions<'a>>) -> Result<String> {
        let options = options.into().into_owned();
        self.common
            .engine
            .find(self.acting_user.tenant(), &options.provider)?;
        let mut promises = self.placeholders.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |promise: &&Promise| promise.options == options;
        if let Some(promise) = promises.iter().find(same) {
            return Ok(promise.placeholder.clone());
        }
        if promises.len() >= MOST {
            return Err(RequestRefused::TooManyPlaceholders.into());
        }
        let placeholder = format!("{MARK}{}", random::token_256()?.as_str());
        promises.push(Promise {
            placeholder: placeholder.clone(),
            options,
        });
        Ok(placeholder)
    }

    /// Returns the request with tokens in place of the placeholders in its headers, for the host to
    /// send.
    ///
    /// # Errors
    ///
    /// [`Request`](crate::Error::Request) if the address does not belong to the API of every
    /// provider whose placeholder is in the request, if a placeholder belongs to another turn or is
    /// in the address, or if the request contains other credentials; and those of
    /// [`resolve`](Self::resolve).
    ///
    /// # Security
    ///
    /// The response must not be returned to the tool, because it may echo the token. Do not follow
    /// redirects. [`send_filled`](Self::send_filled) takes care of both.
    pub fn fill(&self, request: http::Request<Vec<u8>>) -> Result<HttpRequest> {
        let (mut parts, body) = request.into_parts();
        check_method(&parts.method)?;
        // As in `send`, the checked address determines the host.
        remove_clients_headers(&mut parts.headers);
        if parts.uri.to_string().contains(MARK) {
            return Err(RequestRefused::Placeholder.into());
        }
        let mut headers = HeaderMap::new();
        let mut secrets = Vec::new();
        let mut lent = Vec::new();
        let mut url = None;
        for (name, value) in &parts.headers {
            let Some(at) = find(value.as_bytes()) else {
                headers.append(name, value.clone());
                continue;
            };
            // If a header has two values, servers differ in which one they read.
            if parts.headers.get_all(name).iter().count() > 1 {
                return Err(RequestRefused::Placeholder.into());
            }
            let promise = self.promise(&value.as_bytes()[at..])?;
            let token = self.resolve(&promise.options)?;
            // The first provider's base resolves a relative address; every provider must allow the
            // result.
            let target = match &url {
                Some(url) if token.allows(url) => url.clone(),
                Some(_) => return Err(RequestRefused::Address.into()),
                None => address(&token, &parts.uri)?,
            };
            url = Some(target);
            lent.push(token);
            let token = lent[lent.len() - 1].access_token().expose_secret().as_bytes();
            let around = value.as_bytes();
            let (before, after) = (&around[..at], &around[at + LENGTH..]);
            if find(after).is_some() {
                return Err(RequestRefused::Placeholder.into());
            }
            let mut filled = Zeroizing::new(Vec::with_capacity(before.len() + token.len() + after.len()));
            for part in [before, token, after] {
                filled.extend_from_slice(part);
            }
            secrets.push((name.clone(), SecretBytes::new(std::mem::take(&mut *filled))));
        }
        // Without a placeholder there is no token to send, and no provider to check the address.
        let url = url.ok_or(RequestRefused::Placeholder)?;
        check_headers(
            &headers,
            lent.iter()
                .map(|token| -> &ProviderDescriptor { &token.provider }),
        )?;
        if lent.iter().any(|token| headers.contains_key(token.header_name())) {
            return Err(RequestRefused::ForeignCredentials.into());
        }
        let cx: &Context = &self.common.engine;
        let settings = &cx.settings;
        let mut outgoing = HttpRequest::new(parts.method, url).with_body(body);
        outgoing.headers = headers;
        for token in &lent {
            add_to_request(cx, &self.acting_user, token, &mut outgoing)?;
        }
        outgoing.timeout = settings.send_timeout;
        outgoing.max_response_bytes = Some(settings.send_max_bytes);
        for (name, value) in secrets {
            outgoing = outgoing
                .with_secret_header(name, value)
                .map_err(|_| RequestRefused::Header)?;
        }
        Ok(outgoing)
    }

    /// Fills the request and sends it. Redirects are not followed, nothing is retried, and tokens
    /// of the turn are masked in the response.
    ///
    /// # Errors
    ///
    /// Those of [`fill`](Self::fill), and [`Unavailable`](crate::Error::Unavailable) if there is no
    /// response.
    pub fn send_filled(&self, request: http::Request<Vec<u8>>) -> Result<http::Response<Vec<u8>>> {
        let mut outgoing = self.fill(request)?;
        outgoing
            .headers
            .insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        Ok(hand_back(transmit(&self.common.engine, outgoing)?, &self.ledger))
    }

    fn promise(&self, value: &[u8]) -> Result<Promise, RequestRefused> {
        let text = value.get(..LENGTH).ok_or(RequestRefused::Placeholder)?;
        self.placeholders
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .find(|promise| promise.placeholder.as_bytes() == text)
            .cloned()
            .ok_or(RequestRefused::Placeholder)
    }
}
