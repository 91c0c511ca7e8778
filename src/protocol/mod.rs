//! What is said to an authorization server, and what its answers mean.
//!
//! Pure functions: no I/O, no clock, no storage. Each takes a descriptor and returns a request to
//! be sent, or takes an answer and returns what it means in closed enums. A server's free text ends
//! here: no error, no `Debug` and no event carries it on.
//!
//! In the order of a connection's life:
//!
//! * `authorization`: the URL the browser is sent to; `callback`: what comes back;
//! * `token_request`, `token_response`, `token_error`, `granted`: codes and refresh tokens for
//!   tokens;
//! * `account`, `id_token`: whose tokens they are;
//! * `bearer`, `challenge`: the token in an API request, and why the API refused it;
//! * `revocation`: the end.

mod account;
mod answer;
mod authorization;
mod bearer;
mod callback;
mod challenge;
mod client_auth;
mod discovery;
mod expiry;
mod form;
mod granted;
mod hints;
mod id_token;
mod json;
mod pasted;
mod pointer;
mod registered;
mod retry_after;
mod revocation;
mod rfc3339;
mod token_error;
mod token_request;
mod token_response;

pub use account::{account_in_answer, account_request, parse_account};
pub use authorization::AuthorizationRequest;
pub(crate) use authorization::{new_binding, new_state, new_verifier};
pub use bearer::bearer_value;
pub use callback::{AuthorizationError, AuthorizationResponse, Outcome, check_issuer};
#[cfg(feature = "_internals")]
pub use callback::{IssuerMismatch, parts};
pub use challenge::{BearerError, bearer_error};
pub use discovery::{discovery_choices, parse_discovery};
pub use granted::{granted_scopes, with_offline_access};
pub use hints::{Hints, Prompt};
pub use id_token::{IdTokenError, account_in_id_token};
pub use pointer::value_in_answer;
pub use revocation::{Revocable, RevocationVerdict, revocation_requests, revocation_verdict};
pub use token_error::TokenFailure;
#[cfg(feature = "_internals")]
pub use token_error::{TokenErrorCode, classify};
#[cfg(feature = "_internals")]
pub use token_request::RequestError;
pub use token_request::TokenClient;
pub use token_response::{TokenResponse, parse_refresh_response, parse_token_response};
