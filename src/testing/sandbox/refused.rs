//! Errors of the endpoints that clients call.

use http::{HeaderValue, header};

use super::log::{Received, single};
use super::refusal::json;
use super::state::World;
use crate::http::HttpResponse;

/// The error of a request to the token or the revocation endpoint, in terms of
/// [RFC 6749 §5.2](https://www.rfc-editor.org/rfc/rfc6749#section-5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    InvalidRequest,
    InvalidClient,
    InvalidGrant,
    InvalidScope,
    InvalidTarget,
    UnsupportedGrantType,
}

impl Refused {
    pub(super) fn answer(self, world: &World) -> HttpResponse {
        let personality = &world.personality;
        match self {
            Self::InvalidClient if personality.hides_invalid_client => Self::InvalidGrant.answer(world),
            Self::InvalidClient => json(401, &serde_json::json!({ "error": "invalid_client" })).with_header(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Basic realm=\"sandbox\""),
            ),
            Self::InvalidGrant => personality.dead_grant.answer("invalid_grant"),
            Self::InvalidRequest => json(400, &serde_json::json!({ "error": "invalid_request" })),
            Self::InvalidScope => json(400, &serde_json::json!({ "error": "invalid_scope" })),
            Self::InvalidTarget => json(400, &serde_json::json!({ "error": "invalid_target" })),
            Self::UnsupportedGrantType => {
                json(400, &serde_json::json!({ "error": "unsupported_grant_type" }))
            }
        }
    }
}

/// Returns the value of a parameter that must not be repeated.
pub(super) fn parameter<'a>(received: &'a Received, name: &str) -> Result<Option<&'a str>, Refused> {
    single(&received.form, name).map_err(|_| Refused::InvalidRequest)
}
