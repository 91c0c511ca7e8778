//! The revocation endpoint ([RFC 7009](https://www.rfc-editor.org/rfc/rfc7009)).

use http::StatusCode;

use super::client::authenticate;
use super::log::Received;
use super::refused::{Refused, parameter};
use super::state::World;
use crate::http::HttpResponse;
use crate::model::Timestamp;
use crate::provider::{ClientAuthentication, RevocationAuth, RevocationTokens};

/// Answers a revocation request: 200 for every token, known or not.
pub(super) fn answer(world: &mut World, received: &Received, issuer: &str, now: Timestamp) -> HttpResponse {
    if let Some(outage) = &world.personality.revocation_outage {
        return outage.answer("server_error");
    }
    match revoke(world, received, issuer, now) {
        Ok(()) => HttpResponse::new(StatusCode::OK, ""),
        Err(refused) => refused.answer(world),
    }
}

fn revoke(world: &mut World, received: &Received, issuer: &str, now: Timestamp) -> Result<(), Refused> {
    let authentication = match world.personality.described.revocation_authentication {
        RevocationAuth::SameAsToken => Some(world.personality.described.client_authentication),
        RevocationAuth::Post => Some(ClientAuthentication::Post),
        RevocationAuth::Basic => Some(ClientAuthentication::Basic),
        RevocationAuth::None => None,
    };
    let client = match authentication {
        Some(authentication) => Some(authenticate(world, received, issuer, authentication, now)?),
        None => None,
    };
    let token = parameter(received, "token")?.ok_or(Refused::InvalidRequest)?;
    // RFC 7009 §2.1: a token issued to another client is not revoked.
    let owner = world.grants.client_of(token);
    if client.is_some() && owner.is_some() && client.as_deref() != owner {
        return Err(Refused::InvalidRequest);
    }
    // Only a hint (RFC 7009 §2.1): it must not be repeated, and it is otherwise ignored.
    parameter(received, "token_type_hint")?;
    let takes = match world.personality.described.revocation_takes {
        RevocationTokens::Both | RevocationTokens::Either => true,
        RevocationTokens::Access => !world.grants.is_refresh_token(token),
        RevocationTokens::Refresh => world.grants.is_refresh_token(token),
    };
    if !takes {
        return Err(Refused::InvalidRequest);
    }
    if world.personality.revocation_ends_account
        && let Some(account) = world.grants.account_of(token)
    {
        world.grants.end_all_of(account);
    }
    if world.personality.revocation_spares_family {
        world.grants.revoke_alone(token);
    } else {
        let whole_grant = world.personality.revocation_ends_grant;
        world.grants.revoke(token, whole_grant);
    }
    Ok(())
}
