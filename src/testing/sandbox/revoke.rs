//! The revocation endpoint ([RFC 7009](https://www.rfc-editor.org/rfc/rfc7009)).

use http::StatusCode;

use super::World;
use super::client::{Refused, authenticate, parameter};
use super::log::Received;
use crate::http::HttpResponse;

/// Answers a revocation request: 200 for every token, known or not.
pub(super) fn answer(world: &mut World, received: &Received) -> HttpResponse {
    if let Some(outage) = &world.personality.revocation_outage {
        return outage.answer("server_error");
    }
    match revoke(world, received) {
        Ok(()) => HttpResponse::new(StatusCode::OK, ""),
        Err(refused) => refused.answer(world),
    }
}

fn revoke(world: &mut World, received: &Received) -> Result<(), Refused> {
    authenticate(world, received)?;
    let token = parameter(received, "token")?.ok_or(Refused::InvalidRequest)?;
    // Only a hint (RFC 7009 §2.1): looked at for repetition, never believed.
    parameter(received, "token_type_hint")?;
    let whole_grant = world.personality.revocation_ends_grant;
    world.grants.revoke(token, whole_grant);
    Ok(())
}
