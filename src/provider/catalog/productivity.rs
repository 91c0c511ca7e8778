//! Productivity: Todoist, Asana, Jira Cloud, ClickUp and GitLab, each with its own authorization
//! server.

use std::time::Duration;

use super::build::{account, days, field, provider, provider_id, scopes, server, server_id};
use super::words::name_scopes;
use crate::provider::{
    ApiHost, AuthorizationServer, DeadGrant, Discovery, Loopback, ParameterKind, ParameterRule,
    ParameterSource, Pick, Pkce, Pointer, Provider, Revocation, RevocationAuth, RevocationTokens,
    RotationClass, ScopeModes,
};

/// Todoist, the service and its authorization server.
pub const TODOIST: &str = "todoist";
/// Todoist for apps registered before mid-2026.
pub const TODOIST_LEGACY: &str = "todoist-legacy";
/// Asana, the service and its authorization server.
pub const ASANA: &str = "asana";
/// Jira Cloud; its authorization server is [`ATLASSIAN`].
pub const JIRA: &str = "jira";
/// Atlassian's authorization server.
pub const ATLASSIAN: &str = "atlassian";
/// ClickUp, the service and its authorization server.
pub const CLICKUP: &str = "clickup";
/// GitLab, the service and its authorization server: gitlab.com or a self-managed instance.
pub const GITLAB: &str = "gitlab";

/// The group under which the services are displayed.
const GROUP: &str = "Productivity";

/// Todoist's authorization server.
#[must_use]
pub fn todoist_server() -> AuthorizationServer {
    // https://developer.todoist.com/api/v1/#tag/Authorization The guide's hosts; the discovery
    // document and the official SDK still name todoist.com for both.
    let mut server = server(
        TODOIST,
        "https://app.todoist.com/oauth/authorize",
        "https://api.todoist.com/oauth/access_token",
    );
    // https://todoist.com/.well-known/oauth-authorization-server. Only one copy of it says that
    // `iss` is present.
    server.issuer = Some("https://todoist.com".into());
    // The request requires commas; the answer has spaces.
    server.scope_separator = ",".into();
    // New apps (from mid-2026) have tokens of one hour and single-use refresh tokens. Reuse within
    // about 60 s returns the same access token and no refresh token (only one source documents the
    // grace period). Older apps have tokens that do not expire and no refresh token.
    server.rotation = RotationClass::Grace(Duration::from_secs(60));
    // https://developer.todoist.com/api/v1/: RFC 7009 with Basic; the endpoint answers a refresh
    // token with 403.
    server.revocation = Revocation::Endpoint {
        url: "https://api.todoist.com/api/v1/revoke".into(),
        authentication: RevocationAuth::Basic,
        tokens: RevocationTokens::Access,
        grant_wide: false,
    };
    // `localhost` is documented for testing; IP addresses are not mentioned.
    server.redirects.loopback = Loopback::Localhost;
    server.access_page = Some("https://app.todoist.com/app/settings/integrations".into());
    server.register_at = Some("https://developer.todoist.com/appconsole.html".into());
    server.notes = vec![
        "Apps created since mid-2026 have expiring tokens; for an older app, the answer may lack expiry and refresh token, \
         which also works."
            .into(),
    ];
    AuthorizationServer(server)
}

/// Todoist's hosts for older clients, with tokens that do not expire. For grants from these hosts:
/// tokens stay with the endpoint that issued them.
#[must_use]
pub fn todoist_legacy_server() -> AuthorizationServer {
    let AuthorizationServer(mut server) = todoist_server();
    server.id = server_id(TODOIST_LEGACY);
    server.authorization_endpoint = "https://todoist.com/oauth/authorize".into();
    server.token_endpoint = "https://todoist.com/oauth/access_token".into();
    server.rotation = RotationClass::Static;
    server.notes = vec!["For apps registered before mid-2026, whose tokens do not expire.".into()];
    AuthorizationServer(server)
}

/// Todoist at [`todoist_legacy_server`].
#[must_use]
pub fn todoist_legacy() -> Provider {
    let Provider(mut provider) = todoist();
    provider.id = provider_id(TODOIST_LEGACY);
    provider.server = server_id(TODOIST_LEGACY);
    provider.name = "Todoist (app from before 2026)".into();
    name_scopes(&mut provider);
    Provider(provider)
}

/// Todoist: tasks and projects, read and write, not delete.
#[must_use]
pub fn todoist() -> Provider {
    let hosts = vec![ApiHost::origin("https://api.todoist.com")];
    let mut provider = provider(TODOIST, TODOIST, "Todoist", GROUP, hosts);
    // https://developer.todoist.com/api/v1/
    provider.api_base = Some("https://api.todoist.com/api/v1".into());
    provider.default_scopes = scopes(&["data:read_write"]);
    provider.tiers.read_write = Some(scopes(&["data:read_write"]));
    provider.tiers.read_only = Some(scopes(&["data:read"]));
    provider.tiers.least_privilege = Some(scopes(&["task:add"]));
    provider.account = Some(account(
        "https://api.todoist.com/api/v1/user",
        &["/id"],
        &["/email"],
        &["/full_name"],
    ));
    provider.notes = vec![
        "A connection with the scope task:add alone (least privilege) cannot read its account: it stays unverified, and two \
         accounts of a user cannot be distinguished."
            .into(),
    ];
    name_scopes(&mut provider);
    Provider(provider)
}

/// Asana's authorization server. The parameter `scope_mode` describes the registration of the app:
/// `granular` (the default, for new apps) or `full`. The server refuses the wrong one with
/// `forbidden_scopes` in both cases.
#[must_use]
pub fn asana_server() -> AuthorizationServer {
    // https://developers.asana.com/docs/oauth
    let mut server = server(
        ASANA,
        "https://app.asana.com/-/oauth_authorize",
        "https://app.asana.com/-/oauth_token",
    );
    // https://app.asana.com/.well-known/oauth-authorization-server: `iss` is not advertised.
    server.issuer = Some("https://app.asana.com".into());
    let modes = ["granular", "full"].map(Into::into).into();
    server.parameters = vec![field(
        ParameterRule::new("scope_mode", ParameterKind::OneOf(modes)).default_value("granular"),
        "Permissions of the app",
        "granular",
        "Depends on how this application is registered at Asana. Ask an administrator if connecting fails.",
    )];
    // Documented as valid until the user removes it; the refresh returns no refresh token.
    server.rotation = RotationClass::Static;
    // https://developers.asana.com/docs/oauth#token-deauthorization-endpoint: credentials in the
    // body, only refresh tokens; their access tokens are revoked with them.
    server.revocation = Revocation::Endpoint {
        url: "https://app.asana.com/-/oauth_revoke".into(),
        authentication: RevocationAuth::Post,
        tokens: RevocationTokens::Refresh,
        grant_wide: false,
    };
    // The documentation requires https except for native apps; plain http to loopback is not
    // documented.
    server.redirects.loopback = Loopback::Refused;
    server.access_page = Some("https://app.asana.com/0/my-apps".into());
    server.register_at = Some("https://app.asana.com/0/my-apps".into());
    server.notes =
        vec!["Register every requested scope, or choose full permissions and set scope_mode to full.".into()];
    AuthorizationServer(server)
}

/// Asana: tasks and their comments, read and write; projects and workspaces, read.
#[must_use]
pub fn asana() -> Provider {
    let hosts = vec![ApiHost::under("https://app.asana.com", "/api/1.0")];
    let mut provider = provider(ASANA, ASANA, "Asana", GROUP, hosts);
    provider.api_base = Some("https://app.asana.com/api/1.0".into());
    // https://developers.asana.com/docs/oauth-scopes
    let read_write = scopes(&[
        "tasks:read",
        "tasks:write",
        "projects:read",
        "stories:read",
        "stories:write",
        "users:read",
        "workspaces:read",
    ]);
    provider.default_scopes = read_write.clone();
    provider.tiers.read_write = Some(read_write);
    provider.tiers.read_only = Some(scopes(&[
        "tasks:read",
        "projects:read",
        "stories:read",
        "users:read",
        "workspaces:read",
    ]));
    provider.tiers.least_privilege = Some(scopes(&[
        "tasks:read",
        "tasks:write",
        "users:read",
        "workspaces:read",
    ]));
    // Required by the account request below.
    provider.required_scopes = scopes(&["users:read"]);
    provider.scope_modes = Some(ScopeModes {
        parameter: "scope_mode".into(),
        scopes: [("full".into(), scopes(&["default"]))].into(),
    });
    provider.account = Some(account(
        "https://app.asana.com/api/1.0/users/me?opt_fields=name,email",
        &["/data/gid"],
        &["/data/email"],
        &["/data/name"],
    ));
    name_scopes(&mut provider);
    Provider(provider)
}

/// Atlassian's authorization server, for three-legged OAuth apps.
///
/// The parameter `site_url` selects one of several sites; `cloud_id` is found after the consent.
#[must_use]
pub fn atlassian() -> AuthorizationServer {
    // https://developer.atlassian.com/cloud/jira/platform/oauth-2-3lo-apps/
    let mut server = server(
        ATLASSIAN,
        "https://auth.atlassian.com/authorize",
        "https://auth.atlassian.com/oauth/token",
    );
    server.authorization_parameters = [("audience", "api.atlassian.com"), ("prompt", "consent")]
        .map(|(name, value)| (name.into(), value.into()))
        .into();
    // PKCE is accepted but not documented for these apps: it is sent in addition to the secret.
    server.parameters = vec![
        field(
            ParameterRule::new("site_url", ParameterKind::Origin)
                .optional()
                .pattern(r"^https://[a-z0-9-]+\.(atlassian\.net|jira\.com)$"),
            "Jira site",
            "https://acme.atlassian.net",
            "The address of your Jira. Leave it empty to choose among your sites after you sign in.",
        ),
        ParameterRule::new("cloud_id", ParameterKind::Word).source(ParameterSource::Discovery),
    ];
    // For ten minutes, the server still accepts the old refresh token, while the old access token
    // is already invalid; 90 days unused, 365 days in total (Atlassian's staff).
    server.rotation = RotationClass::Grace(Duration::from_secs(600));
    server.refresh_token_idle = Some(days(90));
    server.refresh_token_lifetime = Some(days(365));
    // The server answers a dead refresh token with 403, `unauthorized_client` or `invalid_grant`
    // (observed). The firewall in front of the server also answers with this status.
    server.dead_grants = ["unauthorized_client", "invalid_grant"]
        .map(|code| DeadGrant {
            status: Some(403),
            error: Some(code.into()),
        })
        .into();
    // From the metadata of another Atlassian issuer, not from the documentation of these apps: best
    // effort.
    server.revocation = Revocation::Endpoint {
        url: "https://auth.atlassian.com/oauth/revoke".into(),
        authentication: RevocationAuth::Post,
        tokens: RevocationTokens::Refresh,
        grant_wide: false,
    };
    server.revocation_is_best_effort = true;
    server.access_page = Some("https://id.atlassian.com/manage-profile/apps".into());
    // One exact callback URL for each app; loopback addresses are accepted in practice.
    server.redirects.loopback = Loopback::Any;
    server.register_at = Some("https://developer.atlassian.com/console/myapps/".into());
    server.notes = vec![
        "An app has one callback URL. Scopes are enabled for each API in the console; offline_access is not listed there.".into(),
        "A refresh invalidates the previous access token at once, even while the old refresh token is still accepted.".into(),
    ];
    AuthorizationServer(server)
}

/// Jira Cloud: issues, read and write.
///
/// A user may have several sites. Select one with the parameter `site_url`; otherwise the consent
/// fails if there are several.
#[must_use]
pub fn jira() -> Provider {
    let mut provider = provider(JIRA, ATLASSIAN, "Jira Cloud", GROUP, Vec::new());
    provider.api_hosts = vec![ApiHost::under("https://api.atlassian.com", "/ex/jira/{cloud_id}")];
    // Tokens do not work at the site's own host.
    provider.api_base = Some("https://api.atlassian.com/ex/jira/{cloud_id}/rest/api/3".into());
    // https://developer.atlassian.com/cloud/jira/platform/scopes-for-oauth-2-3LO-and-forge-apps/:
    // the classic scopes.
    provider.default_scopes = scopes(&["read:jira-work", "write:jira-work"]);
    provider.tiers.read_write = Some(scopes(&["read:jira-work", "write:jira-work"]));
    provider.tiers.read_only = Some(scopes(&["read:jira-work"]));
    provider.tiers.least_privilege = Some(scopes(&["read:jira-work", "write:jira-work"]));
    // `read:jira-user` is required by the account request below; `offline_access` for a refresh
    // token.
    provider.required_scopes = scopes(&["read:jira-user", "offline_access"]);
    // https://developer.atlassian.com/cloud/jira/platform/oauth-2-3lo-apps/#3-1--get-the-cloudid-for-your-site
    provider.discovery = Some(Discovery {
        url: "https://api.atlassian.com/oauth/token/accessible-resources".into(),
        entries: Pointer::default(),
        pick: Some(Pick {
            parameter: "site_url".into(),
            pointer: "/url".into(),
        }),
        values: [("cloud_id".into(), "/id".into())].into(),
    });
    provider.account = Some(account(
        "https://api.atlassian.com/ex/jira/{cloud_id}/rest/api/3/myself",
        &["/accountId"],
        &["/emailAddress"],
        &["/displayName"],
    ));
    name_scopes(&mut provider);
    Provider(provider)
}

/// ClickUp's authorization server.
#[must_use]
pub fn clickup_server() -> AuthorizationServer {
    // https://developer.clickup.com/docs/authentication
    let mut server = server(
        CLICKUP,
        "https://app.clickup.com/api",
        "https://api.clickup.com/api/v2/oauth/token",
    );
    // PKCE is not documented; it would protect nothing.
    server.pkce = Pkce::Refused;
    // No refresh token, and access tokens that do not expire ("subject to change").
    server.rotation = RotationClass::Static;
    // No endpoint: the user removes the app in their settings.
    server.revocation = Revocation::ByUser {
        url: "https://app.clickup.com/settings/apps".into(),
    };
    server.redirects.loopback = Loopback::Localhost;
    server.register_at = Some("https://app.clickup.com/settings/team/integrations".into());
    AuthorizationServer(server)
}

/// ClickUp: everything that the user may do in the workspaces that they select. There are no
/// scopes, so none is sent.
#[must_use]
pub fn clickup() -> Provider {
    let hosts = vec![ApiHost::under("https://api.clickup.com", "/api")];
    let mut provider = provider(CLICKUP, CLICKUP, "ClickUp", GROUP, hosts);
    provider.api_base = Some("https://api.clickup.com/api/v2".into());
    provider.account = Some(account(
        "https://api.clickup.com/api/v2/user",
        &["/user/id"],
        &["/user/email"],
        &["/user/username"],
    ));
    provider.notes = vec![
        "There are no scopes and no read-only mode: the host must limit what an agent may do.".into(),
        "A 401 with the code OAUTH_023 means that the user did not select the workspace, not that the token is invalid."
            .into(),
    ];
    name_scopes(&mut provider);
    Provider(provider)
}

/// A GitLab instance. The parameter `base_url` names it. Default: `https://gitlab.com`.
#[must_use]
pub fn gitlab_server() -> AuthorizationServer {
    // https://docs.gitlab.com/api/oauth2/
    let mut server = server(GITLAB, "{base_url}/oauth/authorize", "{base_url}/oauth/token");
    server.parameters = vec![field(
        ParameterRule::new("base_url", ParameterKind::BaseUrl).default_value("https://gitlab.com"),
        "GitLab address",
        "https://gitlab.example.com",
        "The address of your GitLab server. Leave it empty for gitlab.com.",
    )];
    // https://docs.gitlab.com/api/oauth2/#authorization-code-with-proof-key-for-code-exchange-pkce
    // The page says that the refresh must repeat the redirect URI (most clients work without it).
    server.refresh_parameters = [("redirect_uri".into(), "{redirect_uri}".into())].into();
    // The same page: a refresh invalidates both tokens of the old pair.
    server.rotation = RotationClass::SingleUse;
    // https://docs.gitlab.com/api/oauth2/#revoke-a-token. Doorkeeper revokes the record of the
    // given token; it is not documented whether the other token of the pair is revoked, so both are
    // sent.
    server.revocation = Revocation::Endpoint {
        url: "{base_url}/oauth/revoke".into(),
        authentication: RevocationAuth::Post,
        tokens: RevocationTokens::Both,
        grant_wide: false,
    };
    server.redirects.loopback = Loopback::Any;
    server.access_page = Some("{base_url}/-/user_settings/applications".into());
    server.register_at = Some("{base_url}/-/user_settings/applications".into());
    server.notes = vec![
        "The application's scopes must cover the requested ones.".into(),
        "List a self-managed instance in ClientRegistration::for_base_urls: a client is registered at one instance."
            .into(),
    ];
    AuthorizationServer(server)
}

/// GitLab: the whole API. `read_api` is the read-only choice.
#[must_use]
pub fn gitlab() -> Provider {
    let hosts = vec![ApiHost::origin("{base_url}")];
    let mut provider = provider(GITLAB, GITLAB, "GitLab", GROUP, hosts);
    // https://docs.gitlab.com/api/rest/
    provider.api_base = Some("{base_url}/api/v4".into());
    // https://docs.gitlab.com/integration/oauth_provider/#view-all-authorized-applications
    provider.default_scopes = scopes(&["api"]);
    provider.tiers.read_write = Some(scopes(&["api"]));
    provider.tiers.read_only = Some(scopes(&["read_api"]));
    provider.tiers.least_privilege = Some(scopes(&["read_user", "read_repository", "write_repository"]));
    // https://docs.gitlab.com/api/users/#get-the-current-user; `api` and `read_api` cover it.
    provider.account = Some(account(
        "{base_url}/api/v4/user",
        &["/id"],
        &["/email"],
        &["/username"],
    ));
    name_scopes(&mut provider);
    Provider(provider)
}
