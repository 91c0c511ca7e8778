//! Checks descriptors once, before they are used.

mod added;
mod check;
mod deviations;
mod provider;
mod registration;
mod rules;
mod server;
mod urls;

pub(super) use registration::registration;

use crate::provider::problem::InvalidDescriptor;
use crate::provider::validate::check::Check;
use crate::provider::{ProviderDescriptor, ServerDescriptor, Transport};

/// Returns the mistakes of a server: the first one of each field.
pub(super) fn server(server: &ServerDescriptor, transport: Transport) -> Vec<InvalidDescriptor> {
    let check = Check {
        descriptor: server.id.as_str(),
        server,
        transport,
    };
    let refresh = server.refresh_endpoint.as_deref();
    let pushed = server.pushed_authorization_request_endpoint.as_deref();
    let rules = check.rules();
    let found = [
        check.id(server.id.as_str()),
        check.early_endpoint("authorization_endpoint", &server.authorization_endpoint),
        check.early_endpoint("token_endpoint", &server.token_endpoint),
        refresh.map_or(Ok(()), |endpoint| {
            check.early_endpoint("refresh_endpoint", endpoint)
        }),
        pushed.map_or(Ok(()), |endpoint| {
            check.early_endpoint("pushed_authorization_request_endpoint", endpoint)
        }),
        check.revocation(),
        check.separate_grants(),
        check.issuer(),
        check.scope_separator(),
        check.scopes_of_server(),
        check.dead_grants(),
        check.already_revoked(),
    ];
    let problems = rules
        .chain(found)
        .chain(check.deviations())
        .chain(check.added_parameters());
    let mut mistakes: Vec<_> = problems.filter_map(Result::err).collect();
    if mistakes.is_empty() {
        mistakes.extend(check.defaults().err());
    }
    mistakes
}

/// Returns the mistakes of a provider at its server: the first one of each field.
pub(super) fn provider(
    provider: &ProviderDescriptor,
    server: &ServerDescriptor,
    transport: Transport,
) -> Vec<InvalidDescriptor> {
    let check = Check {
        descriptor: provider.id.as_str(),
        server,
        transport,
    };
    let found = check.provider(provider);
    found.into_iter().filter_map(Result::err).collect()
}
