//! Tokens out of an answer ([RFC 6749 §5.1](https://www.rfc-editor.org/rfc/rfc6749#section-5.1)),
//! as servers write it.

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

/// The longest token, in bytes. Tokens of several kilobytes are common.
const MAX_TOKEN: usize = 64 * 1024;

/// What a token endpoint answered.
#[derive(Debug)]
#[non_exhaustive]
pub struct TokenResponse {
    /// The access token: visible ASCII, so that it fits a header.
    pub access_token: AccessToken,
    /// A new refresh token. Absent: the one that is held goes on, if there is one.
    pub refresh_token: Option<RefreshToken>,
    /// An id token.
    pub id_token: Option<IdToken>,
    /// The time for which the access token lives, from when the request was sent, as the answer
    /// says.
    pub expires_in: Option<Duration>,
    /// The time for which the refresh token lives, if the answer says so, in the way of one of the
    /// servers that do.
    pub refresh_token_expires_in: Option<Duration>,
    /// The scopes that the answer names. Absent: those asked for
    /// ([`granted_scopes`](super::granted_scopes) puts the two together).
    pub scopes: Option<Scopes>,
}

impl TokenResponse {
    /// Returns the tokens as they are given back.
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
/// Any 2xx will do, and JSON or, where the content type says so, a form. `token_type` may be
/// missing or be `bearer` in any case. Members that are not known are ignored; the body and every
/// copy made of it are wiped.
///
/// # Errors
///
/// [`TokenFailure`] if the server refused, in whatever status, or if there is no usable access
/// token: it is missing, longer than 64 KiB, of another type than `bearer`, or would not fit a
/// header.
pub fn parse_token_response(
    server: &ServerDescriptor,
    response: &HttpResponse,
) -> Result<TokenResponse, TokenFailure> {
    parse(server, response, || None)
}

/// Reads the answer to a refresh, as [`parse_token_response`] does. Where the descriptor says that
/// a refresh brings no access token, the one that is `held` lives on.
///
/// # Errors
///
/// As [`parse_token_response`].
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
    // What cannot be kept must not cost what can: without a new refresh token the one that is held
    // goes on.
    let refresh_token = answer.refresh_token.as_mut().filter(is_kept);
    let id_token = answer.id_token.as_mut().filter(is_kept);
    let other_type = answer.token_type.as_ref().is_some_and(|kind| !is_bearer(kind));
    if other_type && !server.answer.any_token_type {
        return Err(unreadable());
    }
    // Each secret type wipes the string that it is given.
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
