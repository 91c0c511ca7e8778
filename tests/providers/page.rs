//! Compares `docs/providers.md` with the descriptors.
//! `VALETKEY_WRITE_DOCS=1 cargo test --test providers page` regenerates it.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use valetkey::catalog;
use valetkey::internals::provider::{
    ClientAuthentication, ParameterSource, Pkce, RefreshWith, Revocation, RevocationTokens, RotationClass,
};
use valetkey::model::Scopes;
use valetkey::provider::{AuthorizationServer, Provider};

fn page() -> String {
    let mut page = String::from(
        "# Services\n\nA test generates this page from the descriptors; edit those. The descriptors follow the services' documentation and \
         observations. They were not tested against the live services. If a descriptor relies on one source, a comment in its \
         source code says so.\n\n\
         Register one client for each authorization server; it serves all services of that server:\n\n\
         ```rust,ignore\nConnections::builder(vault).client(\"google\", ClientRegistration::new(id, secret, redirect_uri))\n```\n",
    );
    let (servers, providers) = (catalog::servers(), catalog::providers());
    let mut groups: Vec<&str> = Vec::new();
    for provider in &providers {
        if !groups.contains(&provider.group.as_str()) {
            groups.push(&provider.group);
        }
    }
    for group in groups {
        let _ = writeln!(page, "\n## {group}");
        for provider in providers.iter().filter(|provider| provider.group == group) {
            let server = servers
                .iter()
                .find(|server| server.id == provider.server)
                .unwrap();
            section(&mut page, provider, server);
        }
    }
    page.push_str("\n## Authorization servers\n");
    for server in &servers {
        server_section(&mut page, server);
    }
    page
}

fn line(page: &mut String, name: &str, text: &str) {
    if !text.is_empty() {
        let _ = writeln!(page, "- **{name}**: {text}");
    }
}

fn scopes(scopes: &Scopes) -> String {
    scopes
        .iter()
        .map(|scope| format!("`{scope}`"))
        .collect::<Vec<_>>()
        .join(" ")
}

fn section(page: &mut String, provider: &Provider, server: &AuthorizationServer) {
    let _ = writeln!(page, "\n### {} (`{}`)\n", provider.name, provider.id);
    line(page, "Client", &format!("[`{}`](#{})", server.id, server.id));
    line(page, "Scopes", &scopes(&provider.default_scopes));
    if provider.default_scopes.is_empty() {
        line(page, "Scopes", "none: the service has no scopes");
    }
    line(page, "Always requested", &scopes(&provider.required_scopes));
    for (name, tier) in [
        ("Read only", &provider.tiers.read_only),
        ("Least privilege", &provider.tiers.least_privilege),
    ] {
        if let Some(tier) = tier.as_ref().filter(|tier| **tier != provider.default_scopes) {
            line(page, name, &scopes(tier));
        }
    }
    if let Some(modes) = &provider.scope_modes {
        for (value, tier) in &modes.scopes {
            line(
                page,
                &format!("With `{}` = `{value}`", modes.parameter),
                &scopes(tier),
            );
        }
    }
    let hosts: Vec<String> = provider
        .api_hosts
        .iter()
        .map(|host| format!("`{}{}`", host.origin, host.path_prefix.trim_end_matches('/')))
        .collect();
    line(page, "The token is sent to", &hosts.join(", "));
    let account = match (&provider.account, &provider.account_in_answer) {
        (Some(account), _) => format!("`GET {}`", account.url),
        (None, Some(_)) => "in the token answer".into(),
        (None, None) => String::new(),
    };
    line(page, "Account", &account);
    if let Some(discovery) = &provider.discovery {
        line(
            page,
            "Discovery after the consent",
            &format!("`GET {}`", discovery.url),
        );
    }
    for note in &provider.notes {
        let _ = writeln!(page, "- {note}");
    }
}

fn server_section(page: &mut String, server: &AuthorizationServer) {
    let _ = writeln!(page, "\n### {}\n", server.id);
    line(
        page,
        "Register at",
        server.register_at.as_deref().unwrap_or_default(),
    );
    line(page, "Redirect URI", &server.redirects.to_string());
    line(
        page,
        "Client authentication",
        match server.client_authentication {
            ClientAuthentication::Post => "id and secret in the body",
            ClientAuthentication::Basic => "HTTP Basic",
            ClientAuthentication::BasicWithClientId => "HTTP Basic, and the id in the body",
            _ => "another way",
        },
    );
    line(
        page,
        "PKCE",
        if server.pkce == Pkce::S256 {
            "S256"
        } else {
            "not sent: the service does not document it"
        },
    );
    let parameters: Vec<String> = server
        .parameters
        .iter()
        .map(|rule| match (&rule.source, &rule.default) {
            (ParameterSource::Host, Some(default)) => format!("`{}` (default: `{default}`)", rule.name),
            (ParameterSource::Host, None) if rule.optional => format!("`{}` (optional)", rule.name),
            (ParameterSource::Host, None) => format!("`{}`", rule.name),
            _ => format!("`{}` (provided by the consent)", rule.name),
        })
        .collect();
    line(page, "Parameters of a connection", &parameters.join(", "));
    line(page, "Refresh", &refresh(server));
    line(page, "Revocation", &revoking(server));
    for note in &server.notes {
        let _ = writeln!(page, "- {note}");
    }
}

fn days(time: Duration) -> String {
    format!("{} days", time.as_secs() / 86_400)
}

fn refresh(server: &AuthorizationServer) -> String {
    let mut text = match server.rotation {
        _ if server.refresh_with == RefreshWith::Nothing => "never".into(),
        RotationClass::Static => "the refresh token, if any, stays the same".to_owned(),
        RotationClass::OldStaysValid => "a new refresh token each time; the old one stays valid".into(),
        RotationClass::Grace(grace) => {
            format!(
                "a new refresh token each time; the old one remains valid for {} s",
                grace.as_secs()
            )
        }
        _ => "a new refresh token each time; the old one becomes invalid at once".into(),
    };
    if let Some(idle) = server.refresh_token_idle {
        let _ = write!(text, "; expires after {} without use", days(idle));
    }
    if let Some(lifetime) = server.refresh_token_lifetime {
        let _ = write!(text, "; the user must consent again after {}", days(lifetime));
    }
    text
}

fn revoking(server: &AuthorizationServer) -> String {
    let mut text = match &server.revocation {
        Revocation::Endpoint {
            tokens, grant_wide, ..
        } => {
            let mut text = String::from(match tokens {
                RevocationTokens::Both => "revokes both tokens at the provider",
                RevocationTokens::Access => {
                    "revokes the access token at the provider; the refresh token is erased locally"
                }
                RevocationTokens::Refresh | RevocationTokens::Either => "revokes the grant at the provider",
                _ => "revokes the tokens at the provider",
            });
            if *grant_wide {
                text.push_str(", which ends all connections of the same account to this server's services");
            }
            text
        }
        Revocation::DeleteWithBearer { .. } => "deletes the app that the user installed".into(),
        Revocation::ByUser { url } => {
            return format!("erases the tokens locally; the user revokes access at {url}");
        }
        _ => return "erases the tokens locally; access at the provider cannot be revoked".into(),
    };
    if server.revocation_is_best_effort {
        text.push_str(" (attempted; not documented)");
    }
    if let Some(page) = &server.access_page {
        let _ = write!(text, ". The user can also revoke access at {page}");
    }
    text
}

#[test]
fn the_page_says_what_the_descriptors_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/providers.md");
    let page = page();
    if std::env::var_os("VALETKEY_WRITE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "docs/providers.md is stale: VALETKEY_WRITE_DOCS=1 cargo test --test providers page"
    );
}
