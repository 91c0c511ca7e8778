//! Checks a client registration against its server.

use crate::provider::problem::{DescriptorProblem, InvalidDescriptor};
use crate::provider::registered_base::RegisteredBase;
use crate::provider::{ClientAuthentication, ClientRegistration, RedirectRules, ServerDescriptor, Transport};

/// Checks a client registration. Returns the base URLs at which it is registered.
pub(in crate::provider) fn registration(
    server: &ServerDescriptor,
    registration: &ClientRegistration,
    transport: Transport,
) -> Result<Vec<RegisteredBase>, InvalidDescriptor> {
    let invalid = |field, problem| InvalidDescriptor::new(server.id.as_str(), field, problem);
    if registration.client_id.is_empty() {
        return Err(invalid("client_id", DescriptorProblem::Empty));
    }
    // A value from a file or an environment variable often has a line break or quotes around it.
    // The server would refuse it only after the user has consented.
    if is_wrapped(&registration.client_id) {
        return Err(invalid("client_id", DescriptorProblem::Wrapped));
    }
    if let Some(secret) = &registration.client_secret
        && is_wrapped(secret.expose_secret())
    {
        return Err(invalid("client_secret", DescriptorProblem::Wrapped));
    }
    let bases = registration.base_urls.iter();
    let bases: Option<Vec<_>> = bases.map(|base| RegisteredBase::parse(base, transport)).collect();
    let bases = bases.ok_or_else(|| invalid("base_urls", DescriptorProblem::BaseUrl))?;
    let is_confidential = registration.client_secret.is_some() || registration.key.is_some();
    let check = if is_confidential {
        RedirectRules::check
    } else {
        RedirectRules::check_public
    };
    check(&server.redirects, &registration.redirect_uri)
        .map_err(|problem| invalid("redirect_uri", problem.into()))?;
    let needs_key = server.client_authentication == ClientAuthentication::PrivateKeyJwt;
    if registration.key.is_some() != needs_key {
        return Err(invalid(
            "private_key",
            DescriptorProblem::PrivateKey { needs_key },
        ));
    }
    let has_secret = registration
        .client_secret
        .as_ref()
        .is_some_and(|secret| !secret.expose_secret().is_empty());
    let needs_secret = match server.client_authentication {
        ClientAuthentication::None | ClientAuthentication::PrivateKeyJwt => false,
        ClientAuthentication::Post
        | ClientAuthentication::Basic
        | ClientAuthentication::BasicUnencoded
        | ClientAuthentication::BasicWithClientId
        | ClientAuthentication::SecretAsUser => true,
    };
    if has_secret == needs_secret && has_secret == registration.client_secret.is_some() {
        Ok(bases)
    } else {
        Err(invalid(
            "client_secret",
            DescriptorProblem::ClientSecret { needs_secret },
        ))
    }
}

/// Returns whether a value has whitespace or quotes around it, from the place that it was read
/// from.
fn is_wrapped(value: &str) -> bool {
    let is_quoted = |quote: char| value.len() > 1 && value.starts_with(quote) && value.ends_with(quote);
    value.trim() != value || is_quoted('"') || is_quoted('\'')
}
