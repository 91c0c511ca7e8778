//! Refusals of requests.

use std::borrow::Cow;
use std::time::Duration;

use http::{Method, StatusCode};

use super::caller::Refused;
use crate::error::{ConsentError, Error};
use crate::model::{FailureCode, InvalidValue};
use crate::provider::InvalidParameter;
use crate::random::RandomUnavailable;
use crate::vault::VaultError;

/// A refusal of a request. Its text is fixed: it never repeats input of the caller or of a server.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) text: Cow<'static, str>,
    pub(super) allow: Option<&'static [Method]>,
    pub(super) retry_after: Option<Duration>,
    pub(super) sign_in: Option<Box<SignIn>>,
    /// The mistake in a form that the user can correct.
    pub(super) mistake: Option<Box<Mistake>>,
}

/// The sign-in page for a browser, and the parameter for the way back.
#[derive(Debug, Clone)]
pub(super) struct SignIn {
    pub(super) address: String,
    pub(super) return_parameter: String,
}

/// A mistake in a form, which the page shows beside the field.
#[derive(Debug, Clone)]
pub(super) enum Mistake {
    Label(InvalidValue),
    Parameter(InvalidParameter),
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

    /// Returns the refusal of a page at another address than that of the mount, such as `localhost`
    /// in place of `127.0.0.1`, or of another site.
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

    /// Returns the refusal of a consent that is unknown, used, expired, or belongs to another user
    /// or browser. All cases look the same.
    pub(super) fn invalid_grant() -> Self {
        let text = "This consent is not valid here, or not valid any more. Start again.";
        Self::new(StatusCode::BAD_REQUEST, "invalid_grant", text)
    }

    pub(super) fn denied() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "access_denied", "Access was declined.")
    }

    /// Returns the refusal of a repeated code that is still being exchanged.
    pub(super) fn being_completed(again: Duration) -> Self {
        let text = "This consent is being completed. Ask again.";
        Self {
            retry_after: Some(again),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", text)
        }
    }

    /// Returns the refusal of an invalid label.
    pub(super) fn label(error: InvalidValue) -> Self {
        Self {
            mistake: Some(Box::new(Mistake::Label(error))),
            ..Self::invalid(format!("The name {}.", error.problem()))
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

/// Returns the error of a value as a complete sentence.
fn sentence(error: &InvalidValue) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).chain(['.']).collect()
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
                sign_in: Some(Box::new(SignIn {
                    address,
                    return_parameter,
                })),
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
            Error::NotPermitted | Error::Denied(_) | Error::LabelRequired(_) => Self::forbidden(),
            Error::NotOneGrant(_) => Self::invalid("These services cannot share one consent."),
            Error::ConsentRequired(need) => Self::new(
                StatusCode::CONFLICT,
                "consent_required",
                format!("A new consent is needed: {}.", need.reason),
            ),
            Error::Unavailable { failure, retry_after } => Self {
                retry_after,
                ..Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "temporarily_unavailable",
                    format!("It could not be done for now: {failure}."),
                )
            },
            Error::Misconfigured(_) => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "server_error",
                "This service is not configured correctly. Ask an administrator.",
            ),
            Error::Vault(_) => Self::vault(),
            Error::UnknownProvider { .. } => Self::invalid("There is no such service."),
            Error::InvalidValue(error) if error.is_callback() => {
                Self::invalid("This is not an answer of an authorization server.")
            }
            Error::InvalidValue(error) => Self::invalid(sentence(&error)),
            Error::Parameter(error) => Self {
                mistake: Some(Box::new(Mistake::Parameter(error.clone()))),
                ..Self::invalid(format!("The service needs more: {error}."))
            },
            Error::ChoiceRequired { parameter, .. } => Self::invalid(format!(
                "The account has several sites. Start again with one of them as the parameter {parameter}."
            )),
            Error::Consent(error) => Self::from(error),
            Error::Ambiguous(_)
            | Error::Request(_)
            | Error::AnswerTooLarge { .. }
            | Error::RandomUnavailable => Self::internal(),
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
