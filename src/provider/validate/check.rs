//! A descriptor that is being checked, and the names that no descriptor may use.

use crate::provider::problem::{DescriptorProblem, InvalidDescriptor};
use crate::provider::{ServerDescriptor, Transport};

/// Names that only the protocol code may set, in a query or a body.
const PROTOCOL_PARAMETERS: [&str; 15] = [
    "response_type",
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "redirect_uri",
    "state",
    "code",
    "code_verifier",
    "code_challenge",
    "code_challenge_method",
    "scope",
    "resource",
    "grant_type",
    "refresh_token",
];

/// Names of credentials, which no template may contain.
const CREDENTIALS: [&str; 7] = [
    "access_token",
    "client_assertion",
    "client_secret",
    "code",
    "code_verifier",
    "id_token",
    "refresh_token",
];

/// Headers with which HTTP itself frames or routes the message.
pub(super) const RESERVED_HEADERS: [&str; 8] = [
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "host",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// A descriptor that is being checked.
pub(super) struct Check<'a> {
    pub(super) descriptor: &'a str,
    pub(super) server: &'a ServerDescriptor,
    pub(super) transport: Transport,
}

impl Check<'_> {
    pub(super) fn error(&self, field: &'static str, problem: DescriptorProblem) -> InvalidDescriptor {
        InvalidDescriptor::new(self.descriptor, field, problem)
    }
}

pub(super) fn is_protocol(name: &str) -> bool {
    PROTOCOL_PARAMETERS
        .iter()
        .any(|protocol| protocol.eq_ignore_ascii_case(name))
}

pub(super) fn is_credential(name: &str) -> bool {
    CREDENTIALS
        .iter()
        .any(|credential| credential.eq_ignore_ascii_case(name))
}
