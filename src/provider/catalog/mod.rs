//! The services that are included in the crate.
//!
//! The descriptors follow the vendors' documentation, to which their source code has links, and
//! were not tested against the live services. To change one, serialize it with serde, edit a
//! member, deserialize it, call `replaces_builtin`, and add it with
//! [`ConnectionsBuilder::provider`](crate::connections::ConnectionsBuilder::provider).
//!
//! ```
//! use valetkey::catalog;
//! use valetkey::provider::Provider;
//!
//! let mut document = serde_json::to_value(catalog::gmail())?;
//! document["default_scopes"] = ["https://www.googleapis.com/auth/gmail.send"].into();
//! let provider: Provider = serde_json::from_value(document)?;
//! let provider = provider.replaces_builtin();
//! # Ok::<(), serde_json::Error>(())
//! ```

mod build;
mod google;
mod lifestyle;
mod microsoft;
mod productivity;
mod words;

pub use google::{
    FITBIT, GMAIL, GOOGLE, GOOGLE_CALENDAR, GOOGLE_CONTACTS, GOOGLE_DRIVE, GOOGLE_TASKS, YOUTUBE, fitbit,
    gmail, google, google_calendar, google_contacts, google_drive, google_tasks, youtube,
};
pub use lifestyle::{
    OURA, OURA_LEGACY, SMARTTHINGS, SPOTIFY, oura, oura_legacy, oura_legacy_server, oura_server, smartthings,
    smartthings_server, spotify, spotify_accounts,
};
pub use microsoft::{
    MICROSOFT, MICROSOFT_TODO, ONEDRIVE, OUTLOOK_CALENDAR, OUTLOOK_MAIL, microsoft, microsoft_todo, onedrive,
    outlook_calendar, outlook_mail,
};
pub use productivity::{
    ASANA, ATLASSIAN, CLICKUP, GITLAB, JIRA, TODOIST, TODOIST_LEGACY, asana, asana_server, atlassian,
    clickup, clickup_server, gitlab, gitlab_server, jira, todoist, todoist_legacy, todoist_legacy_server,
    todoist_server,
};

use crate::provider::{AuthorizationServer, Provider};

/// Returns every authorization server of the catalog.
#[must_use]
pub fn servers() -> Vec<AuthorizationServer> {
    vec![
        google(),
        microsoft(),
        todoist_server(),
        todoist_legacy_server(),
        asana_server(),
        atlassian(),
        clickup_server(),
        gitlab_server(),
        oura_server(),
        oura_legacy_server(),
        spotify_accounts(),
        smartthings_server(),
    ]
}

/// Returns every provider of the catalog.
#[must_use]
pub fn providers() -> Vec<Provider> {
    vec![
        gmail(),
        google_calendar(),
        google_contacts(),
        google_tasks(),
        google_drive(),
        youtube(),
        fitbit(),
        outlook_mail(),
        outlook_calendar(),
        onedrive(),
        microsoft_todo(),
        todoist(),
        todoist_legacy(),
        asana(),
        jira(),
        clickup(),
        gitlab(),
        oura(),
        oura_legacy(),
        spotify(),
        smartthings(),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::model::{Scopes, ServerId};
    use crate::provider::compiled::CompiledServer;
    use crate::provider::{Pkce, Revocation};

    #[test]
    fn ids_are_unique_and_every_provider_asks_for_something() {
        let servers: BTreeSet<_> = servers().into_iter().map(|server| server.0.id).collect();
        let providers = providers();
        let ids: BTreeSet<_> = providers.iter().map(|provider| &provider.id).collect();
        assert_eq!(servers.len(), super::servers().len());
        assert_eq!(ids.len(), providers.len());
        for provider in &providers {
            assert!(servers.contains(&provider.server), "{}", provider.id);
            let has_no_scopes = provider.id.as_str() == CLICKUP;
            assert_eq!(
                provider.default_scopes.is_empty(),
                has_no_scopes,
                "{}",
                provider.id
            );
            assert!(!provider.group.is_empty(), "{}", provider.id);
        }
    }

    /// An additional opt-out must change this list visibly, with the reason in the descriptor.
    #[test]
    fn pkce_is_sent_everywhere_but_here() {
        let refused: Vec<_> = servers()
            .into_iter()
            .filter(|server| server.pkce != Pkce::S256)
            .map(|server| server.0.id)
            .collect();
        let refused: Vec<_> = refused.iter().map(ServerId::as_str).collect();
        assert_eq!(refused, [CLICKUP, SMARTTHINGS]);
    }

    /// Invariants of all descriptors, whatever the service.
    #[test]
    fn every_descriptor_keeps_the_invariants() {
        for server in servers() {
            let id = &server.id;
            assert!(
                server.register_at.is_some(),
                "{id} does not say where to register"
            );
            let compiled = CompiledServer::compile(server.clone()).unwrap();
            let pages = compiled.revocation_page(&crate::model::Parameters::from([(
                "base_url".into(),
                "https://gitlab.com".into(),
            )]));
            assert!(
                pages.is_some(),
                "{id} names no page where the person can remove access"
            );
            for rule in &server.parameters {
                let askable = rule.source == crate::provider::ParameterSource::Host;
                assert!(
                    !askable || rule.default.is_some() || rule.optional,
                    "{id} needs {} from the host",
                    rule.name
                );
            }
        }
        for provider in providers() {
            let id = &provider.id;
            let tiers = &provider.tiers;
            let writes = |scopes: &Scopes| {
                let words = ["write", "Write", "modify", "x:", "insert"];
                scopes
                    .iter()
                    .any(|scope| words.iter().any(|word| scope.as_str().contains(word)))
            };
            if let Some(read_only) = &tiers.read_only {
                assert!(
                    !read_only.is_empty() && !writes(read_only),
                    "{id}: read-only scopes that write"
                );
            }
            for tier in [&tiers.read_only, &tiers.read_write, &tiers.least_privilege]
                .into_iter()
                .flatten()
            {
                assert!(!tier.is_empty(), "{id}");
                assert!(
                    tier.iter().all(|scope| scope.as_str() != "offline_access"),
                    "{id}: offline is required, not chosen"
                );
            }
            let named = tiers.read_write.as_ref().or(tiers.read_only.as_ref());
            assert_eq!(named.is_none(), provider.default_scopes.is_empty(), "{id}");
            assert!(
                !provider.api_hosts.is_empty() && provider.api_base.is_some(),
                "{id}"
            );
            assert!(
                provider.account.is_some() || provider.account_in_answer.is_some(),
                "{id}"
            );
            assert_eq!(
                provider.token_header,
                crate::provider::TokenHeader::default(),
                "{id}"
            );
        }
    }

    #[test]
    fn every_server_says_how_a_grant_ends() {
        for server in servers() {
            assert_ne!(server.revocation, Revocation::Unsupported, "{}", server.id);
        }
    }

    #[test]
    fn one_grant_behind_several_services_is_said_so() {
        for server in servers() {
            let wide = matches!(server.revocation, Revocation::Endpoint { grant_wide: true, .. });
            assert_eq!(wide, server.id.as_str() == GOOGLE, "{}", server.id);
        }
    }
}
