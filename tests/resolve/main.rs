//! From the acting user to a token, a request or a turn.

mod acting_user;
mod closures;
mod consistent_state;
mod own_commits;
mod send;
mod stream;
#[path = "../support/mod.rs"]
mod support;
mod turn;
mod turn_again;
mod turn_audit;
mod turn_consent;
mod turn_placeholder;
mod turn_policy;
mod turn_request_state;
mod turn_safety;
mod use_recording;
