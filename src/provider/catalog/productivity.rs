//! Productivity: Todoist and GitLab, each with its own authorization server.

use std::time::Duration;

use super::{account, provider, scopes, server};
use crate::provider::{
    ApiHost, AuthorizationServer, Loopback, ParameterKind, ParameterRule, Provider, Revocation,
    RevocationAuth, RevocationTokens, RotationClass,
};

/// Todoist, the service and its authorization server.
pub const TODOIST: &str = "todoist";
/// GitLab, the service and its authorization server: gitlab.com or the host's own.
pub const GITLAB: &str = "gitlab";

/// The group that the services are shown under.
const GROUP: &str = "Productivity";

/// Todoist's authorization server.
#[must_use]
pub fn todoist_server() -> AuthorizationServer {
    // https://developer.todoist.com/api/v1/#tag/Authorization
    // The guide's hosts; the discovery document and the official SDK still name todoist.com for both.
    let mut server = server(
        TODOIST,
        "https://app.todoist.com/oauth/authorize",
        "https://api.todoist.com/oauth/access_token",
    );
    // https://todoist.com/.well-known/oauth-authorization-server. That `iss` comes back rests on one copy of it.
    server.issuer = Some("https://todoist.com".into());
    // The request wants commas; the answer has spaces.
    server.scope_separator = ",".into();
    // New apps (mid-2026 on) have tokens of one hour and single-use refresh tokens; one used again within about 60 s
    // answers with the same access token and no refresh token (the grace period rests on one source). Older apps
    // have tokens that do not expire and no refresh token.
    server.rotation = RotationClass::Grace(Duration::from_secs(60));
    // https://developer.todoist.com/api/v1/: RFC 7009 with Basic; a refresh token is answered with 403.
    server.revocation = Revocation::Endpoint {
        url: "https://api.todoist.com/api/v1/revoke".into(),
        authentication: RevocationAuth::Basic,
        tokens: RevocationTokens::Access,
        grant_wide: false,
    };
    // `localhost` is documented for testing; nothing is said of IP addresses.
    server.redirects.loopback = Loopback::Localhost;
    server
}

/// Todoist: tasks and projects, read and write, not delete.
#[must_use]
pub fn todoist() -> Provider {
    let hosts = vec![ApiHost::origin("https://api.todoist.com")];
    let mut provider = provider(TODOIST, TODOIST, "Todoist", GROUP, hosts);
    // https://developer.todoist.com/api/v1/
    provider.api_base = Some("https://api.todoist.com/api/v1".into());
    provider.default_scopes = scopes(&["data:read_write"]);
    provider.account = Some(account(
        "https://api.todoist.com/api/v1/user",
        &["/id"],
        &["/email"],
        &["/full_name"],
    ));
    provider
}

/// A GitLab instance. The parameter `base_url` names it; `https://gitlab.com` unless set.
#[must_use]
pub fn gitlab_server() -> AuthorizationServer {
    // https://docs.gitlab.com/api/oauth2/
    let mut server = server(GITLAB, "{base_url}/oauth/authorize", "{base_url}/oauth/token");
    server.parameters = vec![ParameterRule {
        name: "base_url".into(),
        kind: ParameterKind::BaseUrl,
        default: Some("https://gitlab.com".into()),
    }];
    // https://docs.gitlab.com/api/oauth2/#authorization-code-with-proof-key-for-code-exchange-pkce
    // The refresh must repeat the redirect URI, the page says (most clients get away without it).
    server.refresh_parameters = [("redirect_uri".into(), "{redirect_uri}".into())].into();
    // Same page: a refresh invalidates both tokens of the old pair.
    server.rotation = RotationClass::SingleUse;
    // https://docs.gitlab.com/api/oauth2/#revoke-a-token. Doorkeeper ends the record of the token it is given;
    // whether the other one of the pair dies is not documented, so both are sent.
    server.revocation = Revocation::Endpoint {
        url: "{base_url}/oauth/revoke".into(),
        authentication: RevocationAuth::Post,
        tokens: RevocationTokens::Both,
        grant_wide: false,
    };
    server.redirects.loopback = Loopback::Any;
    server
}

/// GitLab: all of the API. `read_api` is the read-only choice.
#[must_use]
pub fn gitlab() -> Provider {
    let hosts = vec![ApiHost::origin("{base_url}")];
    let mut provider = provider(GITLAB, GITLAB, "GitLab", GROUP, hosts);
    // https://docs.gitlab.com/api/rest/
    provider.api_base = Some("{base_url}/api/v4".into());
    // https://docs.gitlab.com/integration/oauth_provider/#view-all-authorized-applications
    provider.default_scopes = scopes(&["api"]);
    // https://docs.gitlab.com/api/users/#get-the-current-user; `api` and `read_api` cover it.
    provider.account = Some(account(
        "{base_url}/api/v4/user",
        &["/id"],
        &["/email"],
        &["/username"],
    ));
    provider
}
