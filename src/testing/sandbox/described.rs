//! The addresses of a service, taken from its descriptors.

use serde_json::{Value, json};
use url::Url;

use super::surface::Surface;
use crate::error::Result;
use crate::model::Parameters;
use crate::provider::compiled::{CompiledProvider, CompiledServer};
use crate::provider::transport::Transport;
use crate::provider::{AuthorizationServer, Discovery, InvalidParameter, ParameterProblem, Provider};

/// The value of every parameter that a discovery provides.
const FOUND: &str = "found-1";

impl Surface {
    /// Creates a sandbox at the addresses in a service's descriptors, for a connection with these
    /// parameters. The account endpoint returns the sandbox's account; a discovery finds one entry.
    ///
    /// # Errors
    ///
    /// [`Misconfigured`](crate::Error::Misconfigured) if a descriptor cannot be read, or
    /// [`Parameter`](crate::Error::Parameter) if a parameter is missing, unknown or malformed.
    pub fn described(
        server: &AuthorizationServer,
        provider: &Provider,
        parameters: &Parameters,
    ) -> Result<Self> {
        let server = CompiledServer::compile(server.clone())?;
        let provider = CompiledProvider::compile(provider.clone())?;
        let mut values = server.complete_parameters(parameters, Transport::HttpsOrLoopback)?;
        let checked = server.check(&values).map_err(|unfit| InvalidParameter {
            name: unfit.name,
            problem: ParameterProblem::Malformed,
        })?;
        let endpoints = checked.endpoints();
        let picked = provider
            .discovery
            .as_ref()
            .map(|discovery| entry(discovery, &values));
        if let Some(discovery) = &provider.discovery {
            let found = discovery.values.keys().map(|name| (name.clone(), FOUND.into()));
            values.extend(found);
        }
        let api = provider
            .api_base(&values)
            .unwrap_or_else(|| endpoints.token.clone());
        let mut surface = Self::new(
            plain(&endpoints.authorization),
            plain(&endpoints.token),
            plain(&api),
        );
        surface.issuer.clone_from(&server.issuer);
        surface.revocation = endpoints.revocation.as_ref().map(plain);
        if let (Some(account), Some(url)) = (&provider.account, provider.account_url(&values)) {
            let places = [
                (account.id.first(), "{id}"),
                (account.email.first(), "{email}"),
                (account.label.first(), "{name}"),
            ];
            let places = places
                .into_iter()
                .filter_map(|(pointer, text)| Some((pointer?.as_str(), text)));
            surface.resources.push((plain(&url), shaped(places).to_string()));
        }
        let discovery = provider
            .discovery_template()
            .and_then(|template| template.expand(&values).ok());
        if let (Some(url), Some(picked)) = (discovery, picked) {
            surface.resources.push((plain(&url), picked));
        }
        Ok(surface)
    }
}

/// Returns the address without its query.
fn plain(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

/// Builds an object with these texts at the pointers.
fn shaped<'a>(places: impl IntoIterator<Item = (&'a str, &'a str)>) -> Value {
    let mut root = json!({});
    for (pointer, text) in places {
        let mut at = &mut root;
        for name in pointer.split('/').skip(1) {
            if !at.is_object() {
                *at = json!({});
            }
            at = &mut at[name];
        }
        *at = text.into();
    }
    root
}

/// Returns the response to a discovery: a list with the one entry that the parameters select.
fn entry(discovery: &Discovery, parameters: &Parameters) -> String {
    let filled = discovery.values.values().map(|pointer| (pointer.as_str(), FOUND));
    let chosen = discovery.pick.as_ref().and_then(|pick| {
        let wanted = parameters.get(&pick.parameter)?;
        Some((pick.pointer.as_str(), wanted.as_str()))
    });
    let list = json!([shaped(filled.chain(chosen))]);
    match discovery.entries.as_str().strip_prefix('/') {
        Some(name) => json!({ name: list }).to_string(),
        None => list.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::catalog;

    #[test]
    fn a_service_with_an_account_and_one_with_a_discovery_are_played_at_their_addresses() {
        let none = Parameters::new();
        let google = Surface::described(&catalog::google(), &catalog::gmail(), &none).unwrap();
        assert_eq!(google.token, "https://oauth2.googleapis.com/token");
        assert_eq!(google.resources.len(), 1);
        assert!(google.resources[0].1.contains("{id}"), "{:?}", google.resources);

        let site = Parameters::from([("site_url".into(), "https://acme.atlassian.net".into())]);
        let jira = Surface::described(&catalog::atlassian(), &catalog::jira(), &site).unwrap();
        assert!(jira.api.contains(FOUND), "{}", jira.api);
        let (_, entries) = jira.resources.last().unwrap();
        assert!(
            entries.contains(FOUND) && entries.contains("acme.atlassian.net"),
            "{entries}"
        );

        let other = Parameters::from([("nothing".into(), "x".into())]);
        assert!(Surface::described(&catalog::google(), &catalog::gmail(), &other).is_err());
    }
}
