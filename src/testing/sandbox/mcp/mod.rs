//! MCP servers with authorization: the server itself, the metadata that leads from it to its
//! authorization server, and the registration of clients there.

mod client_document;
mod control;
mod documents;
pub(super) mod places;
mod register;
mod server;

use http::{Method, StatusCode};

use self::places::{Endpoint, Role};
use super::log::Received;
use super::state::World;
use super::{authorize, pushed, resource, revoke, token};
use crate::http::HttpResponse;
use crate::model::Timestamp;

/// Answers a request to an address of an MCP server or of its authorization server.
pub(super) fn answer(world: &mut World, received: &Received, role: &Role, now: Timestamp) -> HttpResponse {
    let is_get = received.method == Method::GET;
    let is_post = received.method == Method::POST;
    match role {
        Role::Server(resource) => server::answer(world, received, resource, now),
        Role::ResourceMetadata(resource) if is_get => documents::resource(world, resource),
        Role::ServerMetadata(issuer) if is_get => documents::authorization_server(world, issuer),
        Role::Registration(issuer, id) => register::manage(world, received, issuer, id),
        Role::Endpoint(issuer, endpoint) => match endpoint {
            Endpoint::Authorization if is_get => authorize::ask(world, received, issuer, now),
            Endpoint::Token if is_post => token::answer(world, received, issuer, now),
            Endpoint::Revocation if is_post => revoke::answer(world, received, issuer, now),
            Endpoint::Pushed if is_post => pushed::push(world, received, issuer, now),
            Endpoint::Register if is_post => register::register(world, received, issuer, now),
            Endpoint::Account if is_get => resource::signed_in(world, received, now),
            Endpoint::Keys if is_get => documents::keys(),
            _ => HttpResponse::new(StatusCode::METHOD_NOT_ALLOWED, ""),
        },
        Role::ResourceMetadata(_) | Role::ServerMetadata(_) => {
            HttpResponse::new(StatusCode::METHOD_NOT_ALLOWED, "")
        }
        Role::Nothing => HttpResponse::new(StatusCode::NOT_FOUND, ""),
    }
}
