//! Refusals of requests.

use std::borrow::Cow;
use std::time::Duration;

use http::{Method, StatusCode};

use super::caller::Refused;
use crate::error::{ConsentError, ConsentReason, Error};
use crate::model::{FailureCode, InvalidValue};
use crate::provider::InvalidParameter;
use crate::random::RandomUnavailable;
use crate::vault::VaultError;

/// A refusal of a request. Its text is fixed: it never repeats input of the caller or of a server.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) said: Said,
    pub(super) allow: Option<&'static [Method]>,
    pub(super) retry_after: Option<Duration>,
    pub(super) sign_in: Option<Box<SignIn>>,
    /// The mistake in a form that the user can correct.
    pub(super) mistake: Option<Box<Mistake>>,
}

/// The reason of a refusal, which each language puts into words.
#[derive(Debug, Clone)]
pub(super) enum Said {
    NotFound,
    Forbidden,
    OutsideMount,
    /// With the address to open.
    ForeignOrigin(String),
    Csrf,
    Prefetch,
    InvalidGrant,
    Denied,
    BeingCompleted,
    Method,
    Internal,
    Vault,
    SignIn,
    NotOneGrant,
    Misconfigured,
    UnknownProvider,
    NotAResponse,
    ProviderDown,
    LinkRefused,
    LinkExpired,
    NoProvider,
    NoParameter,
    UnknownUser,
    NoReadOnly,
    NoAccess,
    NoSelection,
    ReturnTo,
    Need(ConsentReason),
    Unavailable(FailureCode),
    Exchange(FailureCode),
    Unchanged(ConsentError),
    Label(InvalidValue),
    Value(InvalidValue),
    Parameter(InvalidParameter),
    /// With the name of the parameter.
    Choice(String),
    /// A mistake that only programs make, in English.
    Program(Cow<'static, str>),
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
    /// The host's directory does not know the user, or knows several of that name.
    User,
    /// The chosen values allow no reading without changing.
    Access,
}

impl Refusal {
    const fn new(status: StatusCode, code: &'static str, said: Said) -> Self {
        Self {
            status,
            code,
            said,
            allow: None,
            retry_after: None,
            sign_in: None,
            mistake: None,
        }
    }

    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", Said::NotFound)
    }

    pub(super) fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", Said::Forbidden)
    }

    pub(super) fn outside_mount() -> Self {
        Self::new(StatusCode::NOT_FOUND, "outside_mount", Said::OutsideMount)
    }

    /// Returns the refusal of a page at another address than that of the mount, such as `localhost`
    /// in place of `127.0.0.1`, or of another site.
    pub(super) fn foreign_origin(origin: &str, base: &str) -> Self {
        let said = Said::ForeignOrigin(format!("{origin}{base}/"));
        Self::new(StatusCode::FORBIDDEN, "forbidden", said)
    }

    pub(super) fn csrf() -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", Said::Csrf)
    }

    pub(super) fn prefetch() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "temporarily_unavailable",
            Said::Prefetch,
        )
    }

    /// Returns the refusal of a mistake that only programs make.
    pub(super) fn invalid(text: impl Into<Cow<'static, str>>) -> Self {
        Self::bad(Said::Program(text.into()))
    }

    /// Returns the refusal of a request that is not valid.
    pub(super) const fn bad(said: Said) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", said)
    }

    /// Returns the refusal of a one-time link.
    pub(super) const fn link(said: Said) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", said)
    }

    pub(super) fn grant_type() -> Self {
        let said = Said::Program("The only grant type is authorization_code.".into());
        Self::new(StatusCode::BAD_REQUEST, "unsupported_grant_type", said)
    }

    /// Returns the refusal of a consent that is unknown, used, expired, or belongs to another user
    /// or browser. All cases look the same.
    pub(super) fn invalid_grant() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_grant", Said::InvalidGrant)
    }

    pub(super) fn denied() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "access_denied", Said::Denied)
    }

    /// Returns the refusal of a repeated code that is still being exchanged.
    pub(super) fn being_completed(again: Duration) -> Self {
        Self {
            retry_after: Some(again),
            ..Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "temporarily_unavailable",
                Said::BeingCompleted,
            )
        }
    }

    /// Returns the refusal of an invalid label.
    pub(super) fn label(error: InvalidValue) -> Self {
        Self {
            mistake: Some(Box::new(Mistake::Label(error))),
            ..Self::bad(Said::Label(error))
        }
    }

    /// Returns the refusal of a user whom the host's directory does not know.
    pub(super) fn unknown_user() -> Self {
        Self {
            mistake: Some(Box::new(Mistake::User)),
            ..Self::bad(Said::UnknownUser)
        }
    }

    /// Returns the refusal of reading only where the service or its values do not allow it.
    pub(super) fn no_read_only() -> Self {
        Self {
            mistake: Some(Box::new(Mistake::Access)),
            ..Self::bad(Said::NoReadOnly)
        }
    }

    pub(super) fn media_type() -> Self {
        let text = "The body must be application/x-www-form-urlencoded or application/json.";
        let said = Said::Program(text.into());
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "invalid_request", said)
    }

    pub(super) fn body_too_large() -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "invalid_request",
            Said::Program("The body is too large.".into()),
        )
    }

    pub(super) fn target_too_long() -> Self {
        Self::new(
            StatusCode::URI_TOO_LONG,
            "invalid_request",
            Said::Program("The address is too long.".into()),
        )
    }

    pub(super) fn method(allowed: &'static [Method]) -> Self {
        Self {
            allow: Some(allowed),
            ..Self::new(StatusCode::METHOD_NOT_ALLOWED, "invalid_request", Said::Method)
        }
    }

    pub(super) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", Said::Internal)
    }

    pub(super) fn vault() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "temporarily_unavailable",
            Said::Vault,
        )
    }
}

/// Returns the error of a value as a complete sentence.
pub(super) fn sentence(error: &InvalidValue) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).chain(['.']).collect()
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        let unauthenticated = || Self::new(StatusCode::UNAUTHORIZED, "invalid_client", Said::SignIn);
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
            Error::NotPermitted | Error::Denied { .. } | Error::LabelRequired(_) => Self::forbidden(),
            Error::NotOneGrant(_) => Self::bad(Said::NotOneGrant),
            Error::InUse(_) => Self::forbidden(),
            #[cfg(feature = "mcp")]
            Error::Mcp(_) => Self::bad(Said::UnknownProvider),
            Error::ConsentRequired(need) => {
                Self::new(StatusCode::CONFLICT, "consent_required", Said::Need(need.reason))
            }
            Error::Unavailable {
                failure, retry_after, ..
            } => Self {
                retry_after,
                ..Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "temporarily_unavailable",
                    Said::Unavailable(failure),
                )
            },
            Error::Misconfigured(_) => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "server_error",
                Said::Misconfigured,
            ),
            Error::Vault(_) => Self::vault(),
            Error::UnknownProvider { .. } => Self::bad(Said::UnknownProvider),
            Error::InvalidValue(error) if error.is_callback() => Self::bad(Said::NotAResponse),
            Error::InvalidValue(error) => Self::bad(Said::Value(error)),
            Error::Parameter(error) => Self {
                mistake: Some(Box::new(Mistake::Parameter(error.clone()))),
                ..Self::bad(Said::Parameter(error))
            },
            Error::ChoiceRequired { parameter, .. } => Self::bad(Said::Choice(parameter)),
            Error::Consent(error) => Self::from(error),
            Error::Ambiguous { .. }
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
                Said::ProviderDown,
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
                Said::Exchange(failure),
            ),
            ConsentError::AccountMismatch | ConsentError::AccountUnknown | ConsentError::Conflict => {
                Self::new(StatusCode::CONFLICT, "invalid_grant", Said::Unchanged(error))
            }
        }
    }
}
