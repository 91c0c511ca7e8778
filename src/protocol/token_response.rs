//! Reads tokens from the answers of servers
//! ([RFC 6749 §5.1](https://www.rfc-editor.org/rfc/rfc6749#section-5.1)).

use std::time::Duration;

use zeroize::Zeroizing;

use crate::http::HttpResponse;
use crate::model::{FailureCode, Scopes};
use crate::protocol::answer::Answer;
use crate::protocol::registered::is_bearer;
use crate::protocol::revocation::Revocable;
use crate::protocol::token_error::{TokenFailure, classify, refusal};
use crate::provider::{RefreshWith, ServerDescriptor};
use crate::secret::{AccessToken, IdToken, RefreshToken};

/// The maximum length of a token, in bytes. Tokens of several kilobytes are common.
const MAX_TOKEN: usize = 64 * 1024;

/// The answer of a token endpoint.
#[derive(Debug)]
#[non_exhaustive]
pub struct TokenResponse {
    /// The access token: visible ASCII, so that it is valid in a header.
    pub access_token: AccessToken,
    /// A new refresh token. `None`: the stored one remains valid, if there is one.
    pub refresh_token: Option<RefreshToken>,
    /// An id token.
    pub id_token: Option<IdToken>,
    /// The lifetime of the access token in the answer, from when the request was sent.
    pub expires_in: Option<Duration>,
    /// The lifetime of the refresh token, if the answer contains it in one of the known formats.
    pub refresh_token_expires_in: Option<Duration>,
    /// The scopes that the answer names. `None`: the requested scopes
    /// ([`granted_scopes`](super::granted_scopes) combines both).
    pub scopes: Option<Scopes>,
}

impl TokenResponse {
    /// Returns the tokens in the form that a revocation needs.
    #[must_use]
    pub const fn tokens(&self) -> Revocable<'_> {
        Revocable {
            access_token: Some(&self.access_token),
            refresh_token: self.refresh_token.as_ref(),
        }
    }
}

/// Reads the answer of a token endpoint.
///
/// Any 2xx status is accepted, with JSON or, if the content type says so, a form. `token_type` may
/// be missing, or `bearer` in any letter case. Unknown members are ignored. The body and every copy
/// of it are wiped.
///
/// # Errors
///
/// [`TokenFailure`] if the server refused, with any status, or if there is no usable access token:
/// it is missing, longer than 64 KiB, of another type than `bearer`, or not valid in a header.
pub fn parse_token_response(
    server: &ServerDescriptor,
    response: &HttpResponse,
) -> Result<TokenResponse, TokenFailure> {
    parse(server, response, || None)
}

/// Reads the answer to a refresh, like [`parse_token_response`]. If the descriptor says that a
/// refresh returns no access token, the `held` one remains in use.
///
/// # Errors
///
/// [`TokenFailure`] under the same conditions as [`parse_token_response`].
pub fn parse_refresh_response(
    server: &ServerDescriptor,
    response: &HttpResponse,
    held: impl FnOnce() -> Option<AccessToken>,
) -> Result<TokenResponse, TokenFailure> {
    parse(server, response, || {
        server.answer.refresh_without_token.then(held).flatten()
    })
}

fn parse(
    server: &ServerDescriptor,
    response: &HttpResponse,
    held: impl FnOnce() -> Option<AccessToken>,
) -> Result<TokenResponse, TokenFailure> {
    if !response.status.is_success() {
        return Err(classify(server, response));
    }
    let unreadable = || TokenFailure::new(FailureCode::UnreadableAnswer);
    let mut answer = Answer::read_as(server, response).ok_or_else(unreadable)?;
    if let Some(code) = &answer.error {
        return Err(refusal(server, response, Some(code)));
    }
    if answer.access_token.is_none() {
        let held = held();
        answer.access_token = held.map(|token| Zeroizing::new(token.expose_secret().to_owned()));
    }
    let is_kept = |token: &&mut Zeroizing<String>| token.len() <= MAX_TOKEN;
    if answer
        .access_token
        .as_ref()
        .is_some_and(|token| token.len() > MAX_TOKEN)
    {
        return Err(TokenFailure::new(FailureCode::AnswerTooLarge));
    }
    let access_token = answer
        .access_token
        .as_mut()
        .filter(|token| token.bytes().all(|byte| byte.is_ascii_graphic()))
        .ok_or_else(unreadable)?;
    // An unusable refresh token must not invalidate the access token: without a new one, the stored
    // one remains in use.
    let refresh_token = answer.refresh_token.as_mut().filter(is_kept);
    let id_token = answer.id_token.as_mut().filter(is_kept);
    let other_type = answer.token_type.as_ref().is_some_and(|kind| !is_bearer(kind));
    if other_type && !server.answer.any_token_type {
        return Err(TokenFailure::new(FailureCode::UnknownTokenType));
    }
    // Each secret type wipes the string that it receives.
    let answered = refresh_token.map(|token| RefreshToken::new(std::mem::take(&mut **token)));
    let refresh_token = match server.refresh_with {
        RefreshWith::RefreshToken => answered,
        RefreshWith::AccessToken => Some(RefreshToken::new(access_token.as_str())),
        RefreshWith::Nothing => None,
    };
    Ok(TokenResponse {
        access_token: AccessToken::new(std::mem::take(&mut **access_token)),
        refresh_token,
        id_token: id_token.map(|token| IdToken::new(std::mem::take(&mut **token))),
        expires_in: answer.expires_in,
        refresh_token_expires_in: answer.refresh_token_expires_in,
        scopes: answer.scopes,
    })
}

#[cfg(test)]
mod tests;
