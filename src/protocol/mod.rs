//! Builds requests to authorization servers and interprets their answers.
//!
//! Pure functions: no I/O, no clock, no storage. Each takes a descriptor and returns a request, or
//! takes an answer and returns its meaning in closed enums. A server's free text ends here: no
//! error, `Debug` output or event contains it.
//!
//! In the order of a connection's life:
//!
//! * `authorization` builds the URL that the browser is sent to; `callback` reads the response;
//! * `token_request`, `token_response`, `token_error` and `granted` exchange codes and refresh
//!   tokens for tokens;
//! * `account` and `id_token` identify the account;
//! * `bearer` and `challenge` send the token in an API request and read why the API refused it;
//! * `revocation` ends the grant;
//! * `mcp` finds the authorization server of an MCP server and registers a client there.

mod account;
mod answer;
mod authorization;
mod bearer;
mod callback;
mod challenge;
mod client_assertion;
mod client_auth;
mod discovery;
mod expiry;
mod form;
mod granted;
mod hints;
mod id_token;
mod identity_grant;
mod json;
#[cfg(feature = "mcp")]
pub mod mcp;
mod pasted;
mod pointer;
mod pushed;
mod registered;
mod request_error;
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
#[cfg(feature = "mcp")]
pub use challenge::{ResourceChallenge, resource_challenge};
pub use discovery::{discovery_choices, parse_discovery};
pub use granted::{granted_scopes, with_offline_access};
pub use hints::{Hints, Prompt};
pub use id_token::{IdTokenError, account_in_id_token};
pub(crate) use identity_grant::{Target, parse_identity};
pub use pointer::value_in_answer;
pub(crate) use pushed::pushed_url;
#[cfg(feature = "_internals")]
pub use request_error::RequestError;
pub use revocation::{Revocable, RevocationVerdict, revocation_requests, revocation_verdict};
pub use token_error::TokenFailure;
#[cfg(feature = "_internals")]
pub use token_error::{TokenErrorCode, classify};
pub use token_request::TokenClient;
pub use token_response::{TokenResponse, parse_refresh_response, parse_token_response};
