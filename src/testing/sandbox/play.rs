//! Handlers of the sandbox when it plays a service.

use http::StatusCode;

use super::log::Received;
use super::state::World;
use super::surface::Role;
use super::{authorize, resource, revoke, token};
use crate::http::HttpResponse;
use crate::model::Timestamp;

/// Answers a request to an address of the service.
pub(super) fn answer(world: &mut World, received: &Received, role: Role, now: Timestamp) -> HttpResponse {
    let issuer = world.issuer();
    match role {
        Role::Authorization => authorize::ask(world, received, &issuer, now),
        Role::Token => token::answer(world, received, &issuer, now),
        Role::Revocation => revoke::answer(world, received, &issuer, now),
        Role::Deletion(id) => resource::delete_grant(world, received, &id, now),
        Role::Resource(words) => resource::about_account(world, received, &words, now),
        Role::Nothing => HttpResponse::new(StatusCode::NOT_FOUND, ""),
    }
}
