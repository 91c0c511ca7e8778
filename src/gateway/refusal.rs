//! Refusals: as RFC 6749 error JSON to programs, as a page to people.

use std::borrow::Cow;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use serde::Serialize;
use url::form_urlencoded;

use super::answer;
use super::caller::Refused;
use super::{Caller, Inner, request};
use crate::error::{ConsentError, Error, RandomUnavailable};
use crate::model::{FailureCode, InvalidId};
use crate::provider::InvalidParameter;
use crate::vault::VaultError;

/// Whom an answer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Html,
}

impl Format {
    /// By the path; where pages and programs share one, by the body.
    pub(super) fn of(path: &str, headers: &HeaderMap) -> Self {
        let api = path.starts_with("/v1/") || path == "/healthz";
        if api || (path == "/connect" && request::is_json(headers)) {
            Self::Json
        } else {
            Self::Html
        }
    }
}

/// Why a request is refused, in closed words: never the caller's, never a server's.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    code: &'static str,
    pub(super) text: Cow<'static, str>,
    allow: Option<&'static [Method]>,
    retry_after: Option<Duration>,
    sign_in: Option<SignIn>,
    /// What of a form can be corrected.
    pub(super) mistake: Option<Mistake>,
}

/// Where a browser signs in, and how it comes back.
#[derive(Debug, Clone)]
struct SignIn {
    address: String,
    return_parameter: String,
}

/// A mistake in a form that its page can show beside the field.
#[derive(Debug, Clone)]
pub(super) enum Mistake {
    Label(InvalidId),
    Parameter(InvalidParameter),
}

/// The error shape of [RFC 6749 §5.2](https://www.rfc-editor.org/rfc/rfc6749#section-5.2).
#[derive(Serialize)]
struct ErrorBody<'a> {
    error: &'a str,
    error_description: &'a str,
}

impl Refusal {
    fn new(status: StatusCode, code: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            code,
            text: text.into(),
            allow: None,
            retry_after: None,
            sign_in: None,
            mistake: None,
        }
    }

    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "There is nothing here.")
    }

    pub(super) fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "You may not do this.")
    }

    pub(super) fn outside_mount() -> Self {
        let text = "The address is not below the place where the gateway is mounted.";
        Self::new(StatusCode::NOT_FOUND, "outside_mount", text)
    }

    /// A page under another address than that of the mount, such as `localhost` in place of `127.0.0.1`, or of another
    /// site.
    pub(super) fn foreign_origin(origin: &str, base: &str) -> Self {
        let text =
            format!("The request was made from another address. Open {origin}{base}/ and try it there.");
        Self::new(StatusCode::FORBIDDEN, "forbidden", text)
    }

    pub(super) fn csrf() -> Self {
        let text = "The page is too old, or was made for somebody else. Load it again.";
        Self::new(StatusCode::FORBIDDEN, "forbidden", text)
    }

    pub(super) fn prefetch() -> Self {
        let text = "This address is not fetched ahead.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", text)
    }

    pub(super) fn invalid(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", text)
    }

    pub(super) fn grant_type() -> Self {
        let text = "The only grant type is authorization_code.";
        Self::new(StatusCode::BAD_REQUEST, "unsupported_grant_type", text)
    }

    /// A consent that is unknown, used, expired, somebody else's or another browser's: one answer for all.
    pub(super) fn invalid_grant() -> Self {
        let text = "This consent is not valid here, or not valid any more. Start again.";
        Self::new(StatusCode::BAD_REQUEST, "invalid_grant", text)
    }

    pub(super) fn denied() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "access_denied", "Access was declined.")
    }

    /// The same code came before, and is being exchanged.
    pub(super) fn being_completed(again: Duration) -> Self {
        let text = "This consent is being completed. Ask again.";
        Self {
            retry_after: Some(again),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", text)
        }
    }

    /// A label that cannot be one.
    pub(super) fn label(error: InvalidId) -> Self {
        Self {
            mistake: Some(Mistake::Label(error)),
            ..Self::invalid(format!("The name {error}."))
        }
    }

    pub(super) fn media_type() -> Self {
        let text = "The body must be application/x-www-form-urlencoded or application/json.";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "invalid_request", text)
    }

    pub(super) fn body_too_large() -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "invalid_request",
            "The body is too large.",
        )
    }

    pub(super) fn target_too_long() -> Self {
        Self::new(
            StatusCode::URI_TOO_LONG,
            "invalid_request",
            "The address is too long.",
        )
    }

    pub(super) fn method(allowed: &'static [Method]) -> Self {
        let text = "This cannot be done here.";
        Self {
            allow: Some(allowed),
            ..Self::new(StatusCode::METHOD_NOT_ALLOWED, "invalid_request", text)
        }
    }

    pub(super) fn internal() -> Self {
        let text = "Something is wrong on this side. Nothing was changed.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", text)
    }

    pub(super) fn vault() -> Self {
        let text = "The connections cannot be read or written at the moment.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", text)
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        let unauthenticated = || Self::new(StatusCode::UNAUTHORIZED, "invalid_client", "Sign in first.");
        match refused {
            Refused::Unauthenticated => unauthenticated(),
            Refused::SignIn {
                address,
                return_parameter,
            } => Self {
                sign_in: Some(SignIn {
                    address,
                    return_parameter,
                }),
                ..unauthenticated()
            },
            Refused::Forbidden => Self::forbidden(),
        }
    }
}

impl From<RandomUnavailable> for Refusal {
    fn from(_: RandomUnavailable) -> Self {
        Self::internal()
    }
}

impl From<VaultError> for Refusal {
    fn from(_: VaultError) -> Self {
        Self::vault()
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound => Self::not_found(),
            Error::NotPermitted | Error::Denied(_) => Self::forbidden(),
            Error::NotOneGrant(_) => Self::invalid("These services cannot share one consent."),
            Error::ConsentRequired(need) => Self::new(
                StatusCode::CONFLICT,
                "consent_required",
                format!("A new consent is needed: {}.", need.reason),
            ),
            Error::Unavailable(unavailable) => Self {
                retry_after: unavailable.retry_after,
                ..Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "temporarily_unavailable",
                    format!("It could not be done for now: {}.", unavailable.failure),
                )
            },
            Error::Misconfigured(_) => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "server_error",
                "This service is not configured correctly. Ask an administrator.",
            ),
            Error::Vault(_) => Self::vault(),
            Error::UnknownProvider(_) => Self::invalid("There is no such service."),
            Error::Callback(_) => Self::invalid("This is not an answer of an authorization server."),
            Error::Parameter(error) => Self {
                mistake: Some(Mistake::Parameter(error.clone())),
                ..Self::invalid(format!("The service needs more: {error}."))
            },
            Error::ChoiceRequired(choice) => Self::invalid(format!(
                "The account has several sites. Start again with one of them as the parameter {}.",
                choice.parameter
            )),
            Error::Id(error) => Self::invalid(format!("A name {error}.")),
            Error::Scope(error) => Self::invalid(format!("Not a scope: {error}.")),
            Error::Consent(error) => Self::from(error),
            Error::Ambiguous(_) | Error::Request(_) | Error::Answer(_) | Error::Random(_) => Self::internal(),
        }
    }
}

impl From<ConsentError> for Refusal {
    fn from(error: ConsentError) -> Self {
        match error {
            ConsentError::Denied(error) if error.is_retryable() => Self::new(
                StatusCode::BAD_GATEWAY,
                "temporarily_unavailable",
                "The provider could not answer. Start again.",
            ),
            ConsentError::Denied(_) => Self::denied(),
            ConsentError::ExchangeFailed(FailureCode::GrantRejected)
            | ConsentError::Unknown
            | ConsentError::Used(_)
            | ConsentError::Expired
            | ConsentError::WrongUser
            | ConsentError::WrongBrowser
            | ConsentError::IssuerMismatch => Self::invalid_grant(),
            ConsentError::ExchangeFailed(failure) => Self::new(
                StatusCode::BAD_GATEWAY,
                "temporarily_unavailable",
                format!("The code could not be exchanged: {failure}. Start again."),
            ),
            ConsentError::AccountMismatch | ConsentError::AccountUnknown | ConsentError::Conflict => {
                Self::new(
                    StatusCode::CONFLICT,
                    "invalid_grant",
                    format!("Nothing was changed: {error}."),
                )
            }
        }
    }
}

impl Inner {
    pub(super) fn refuse(
        &self,
        head: &Parts,
        path: &str,
        format: Format,
        refusal: &Refusal,
        caller: Option<&Caller>,
    ) -> Response<Vec<u8>> {
        let navigates = format == Format::Html && head.method == Method::GET;
        if let (Some(sign_in), true) = (&refusal.sign_in, navigates)
            && let Ok(response) = answer::see_other(&self.sign_in_location(sign_in, head, path))
        {
            return response;
        }
        let mut response = match format {
            Format::Json => {
                // RFC 6749 allows no quotation marks in a description.
                let text = refusal.text.replace(['"', '\\'], "'");
                let body = ErrorBody {
                    error: refusal.code,
                    error_description: &text,
                };
                answer::json(refusal.status, &body).unwrap_or_default()
            }
            Format::Html => self.refusal_page(refusal, caller),
        };
        let headers = response.headers_mut();
        if let Some(allowed) = refusal.allow {
            let names: Vec<&str> = allowed.iter().map(Method::as_str).collect();
            if let Ok(value) = HeaderValue::from_str(&names.join(", ")) {
                headers.insert(header::ALLOW, value);
            }
        }
        if let Some(wait) = refusal.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        if refusal.status == StatusCode::UNAUTHORIZED {
            // RFC 9110 wants a challenge; how the host authenticates is not ours to name.
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Session"));
        }
        response
    }

    /// The host's sign-in address, with the way back to this request.
    fn sign_in_location(&self, sign_in: &SignIn, head: &Parts, path: &str) -> String {
        let address = sign_in.address.as_str();
        let is_path = address.starts_with('/') && !address.starts_with("//");
        let same_host = is_path
            || address
                .strip_prefix(self.mount.origin())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']));
        // A callback has a code in it, which concerns nobody at another address.
        let back = if path.starts_with("/callback/") && !same_host {
            self.path("/")
        } else {
            let query = head.uri.query().map(|query| format!("?{query}"));
            self.path(path) + &query.unwrap_or_default()
        };
        let origin = if is_path { "" } else { self.mount.origin() };
        let mut field = form_urlencoded::Serializer::new(String::new());
        field.append_pair(&sign_in.return_parameter, &format!("{origin}{back}"));
        let (address, fragment) = match address.split_once('#') {
            Some((address, fragment)) => (address, format!("#{fragment}")),
            None => (address, String::new()),
        };
        let separator = if address.contains('?') { '&' } else { '?' };
        format!("{address}{separator}{}{fragment}", field.finish())
    }
}
