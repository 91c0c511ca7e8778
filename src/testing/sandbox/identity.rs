//! The identity provider of an organization: issues assertions for other authorization servers
//! ([RFC 8693](https://www.rfc-editor.org/rfc/rfc8693)), which accept them in place of a consent
//! ([RFC 7523 §2.1](https://www.rfc-editor.org/rfc/rfc7523#section-2.1)).

use std::time::Duration;

use serde_json::json;

use super::grant::{Grant, GrantId, fresh};
use super::log::Received;
use super::pending::Assertion;
use super::refusal::json as answer;
use super::refused::{Refused, parameter};
use super::state::World;
use crate::http::HttpResponse;
use crate::model::{Scopes, Timestamp};

pub(super) const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
pub(super) const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const ID_JAG: &str = "urn:ietf:params:oauth:token-type:id-jag";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";

/// The lifetime of an assertion.
const LIFETIME: Duration = Duration::from_secs(300);

/// Exchanges the ID token of a user for an assertion for another authorization server.
pub(super) fn exchange(
    world: &mut World,
    received: &Received,
    client: &str,
    now: Timestamp,
) -> Result<HttpResponse, Refused> {
    let is_expected = parameter(received, "requested_token_type")? == Some(ID_JAG)
        && parameter(received, "subject_token_type")? == Some(ID_TOKEN);
    if !is_expected {
        return Err(Refused::InvalidRequest);
    }
    let subject = parameter(received, "subject_token")?.ok_or(Refused::InvalidRequest)?;
    let account = *world.identities.get(subject).ok_or(Refused::InvalidGrant)?;
    let audience = parameter(received, "audience")?.ok_or(Refused::InvalidTarget)?;
    let resource = world
        .granted_resource(audience, parameter(received, "resource")?)
        .map_err(|_| Refused::InvalidTarget)?;
    if !world.is_mcp_issuer(audience) {
        return Err(Refused::InvalidTarget);
    }
    let scopes = parameter(received, "scope")?.unwrap_or_default();
    let scopes: Scopes = scopes.parse().map_err(|_| Refused::InvalidScope)?;
    let assertion = fresh("sbx-jag-");
    let issued = Assertion {
        account,
        client: client.to_owned(),
        issuer: audience.to_owned(),
        resource,
        scopes: scopes.clone(),
        expires_at: now + LIFETIME,
    };
    world.other_secrets.push(assertion.clone());
    world.assertions.insert(assertion.clone(), issued);
    Ok(answer(
        200,
        &json!({
            "access_token": assertion,
            "issued_token_type": ID_JAG,
            "token_type": "N_A",
            "scope": scopes.join(" "),
            "expires_in": LIFETIME.as_secs(),
        }),
    ))
}

/// Accepts an assertion, once, and returns the new grant.
pub(super) fn accept(
    world: &mut World,
    received: &Received,
    (client, issuer): (&str, &str),
    now: Timestamp,
) -> Result<GrantId, Refused> {
    let presented = parameter(received, "assertion")?.ok_or(Refused::InvalidRequest)?;
    let assertion = world.assertions.remove(presented).ok_or(Refused::InvalidGrant)?;
    let is_for_this = assertion.issuer == issuer && assertion.client == client;
    if !is_for_this || now >= assertion.expires_at {
        return Err(Refused::InvalidGrant);
    }
    let named = parameter(received, "resource")?;
    if assertion.resource.is_some() && named != assertion.resource.as_deref() {
        return Err(Refused::InvalidTarget);
    }
    Ok(world.grants.add(Grant {
        client: assertion.client,
        account: assertion.account,
        scopes: assertion.scopes,
        issuer: assertion.issuer,
        resource: assertion.resource,
    }))
}
