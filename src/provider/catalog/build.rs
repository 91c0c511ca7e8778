//! Helpers that build the descriptors of the catalog.

use std::time::Duration;

use crate::model::{ProviderId, Scopes, ServerId};
use crate::provider::{AccountEndpoint, ApiHost, ParameterRule, ProviderDescriptor, ServerDescriptor};

pub(super) fn server(id: &str, authorization_endpoint: &str, token_endpoint: &str) -> ServerDescriptor {
    ServerDescriptor::new(server_id(id), authorization_endpoint, token_endpoint)
}

pub(super) fn server_id(id: &str) -> ServerId {
    // Ids are constants of this module; a test builds them all.
    ServerId::new(id).expect("an id of the catalog")
}

pub(super) fn provider_id(id: &str) -> ProviderId {
    // The same applies here.
    ProviderId::new(id).expect("an id of the catalog")
}

pub(super) fn provider(
    id: &str,
    server: &str,
    name: &str,
    group: &str,
    api_hosts: Vec<ApiHost>,
) -> ProviderDescriptor {
    let mut provider = ProviderDescriptor::new(provider_id(id), server_id(server), name, api_hosts);
    provider.group = group.into();
    provider
}

pub(super) fn scopes(scopes: &[&str]) -> Scopes {
    // Scopes are constants of this module; a test builds them all.
    Scopes::new(scopes.iter().copied()).expect("scopes of the catalog")
}

pub(super) fn account(url: &str, id: &[&str], email: &[&str], label: &[&str]) -> AccountEndpoint {
    let pointers = |pointers: &[&str]| pointers.iter().map(|&pointer| pointer.into()).collect();
    AccountEndpoint {
        url: url.into(),
        id: pointers(id),
        email: pointers(email),
        label: pointers(label),
    }
}

pub(super) const fn days(days: u64) -> Duration {
    Duration::from_secs(days * 24 * 60 * 60)
}

/// Adds the words for the form field of a parameter.
pub(super) fn field(rule: ParameterRule, title: &str, example: &str, help: &str) -> ParameterRule {
    ParameterRule {
        title: Some(title.into()),
        example: Some(example.into()),
        help: Some(help.into()),
        ..rule
    }
}
