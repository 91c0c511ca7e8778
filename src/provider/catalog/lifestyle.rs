//! Health and lifestyle: Oura Ring, Spotify and Samsung SmartThings. Fitbit is one of Google's
//! services.

use super::build::{account, days, provider, provider_id, scopes, server, server_id};
use super::words::name_scopes;
use crate::provider::{
    AccountPointers, ApiHost, AuthorizationServer, ClientAuthentication, Loopback, ParameterKind,
    ParameterRule, ParameterSource, Pkce, Provider, Revocation, RevocationAuth, RevocationTokens,
    RotationClass,
};

/// Spotify, the service and its authorization server.
pub const SPOTIFY: &str = "spotify";

/// Oura Ring, the service and its authorization server.
pub const OURA: &str = "oura";
/// Oura Ring for apps registered in the old portal.
pub const OURA_LEGACY: &str = "oura-legacy";
/// Samsung SmartThings, the service and its authorization server.
pub const SMARTTHINGS: &str = "smartthings";

/// The group under which the services are displayed.
const GROUP: &str = "Health & lifestyle";

/// Oura's authorization server, for apps registered in the current portal. The old endpoints refuse
/// those apps.
#[must_use]
pub fn oura_server() -> AuthorizationServer {
    // The discovery document of this host (read in September 2026); Oura's own page still shows the
    // old endpoints.
    let mut server = server(
        OURA,
        "https://moi.ouraring.com/oauth/v2/ext/oauth-authorize",
        "https://moi.ouraring.com/oauth/v2/ext/oauth-token",
    );
    server.issuer = Some("https://moi.ouraring.com/oauth/v2/ext/oauth-anonymous".into());
    server.rotation = RotationClass::SingleUse;
    // The same document: RFC 7009.
    server.revocation = Revocation::Endpoint {
        url: "https://moi.ouraring.com/oauth/v2/ext/oauth-revoke".into(),
        authentication: RevocationAuth::Post,
        tokens: RevocationTokens::Either,
        grant_wide: false,
    };
    // The answer adds the prefix to granted scopes even if the request omits it (observed).
    server.scope_prefix = Some("extapi:".into());
    server.redirects.loopback = Loopback::Localhost;
    // The page is not documented (general knowledge).
    server.access_page = Some("https://cloud.ouraring.com/".into());
    server.register_at = Some("https://developer.ouraring.com".into());
    server.notes = vec![
        "Enable each scope in the portal: others are silently removed from the grant.".into(),
        "An app from the old portal works only with oura-legacy; tokens cannot be migrated between the two."
            .into(),
    ];
    AuthorizationServer(server)
}

/// Oura's old authorization server, for apps registered at cloud.ouraring.com.
#[must_use]
pub fn oura_legacy_server() -> AuthorizationServer {
    // https://cloud.ouraring.com/docs/authentication
    let mut server = server(
        OURA_LEGACY,
        "https://cloud.ouraring.com/oauth/authorize",
        "https://api.ouraring.com/oauth/token",
    );
    server.rotation = RotationClass::SingleUse;
    server.scope_prefix = Some("extapi:".into());
    // Its revocation accepts the token only in the URL, which appears in logs, so the user must
    // revoke access.
    server.revocation = Revocation::ByUser {
        url: "https://cloud.ouraring.com/".into(),
    };
    server.redirects.loopback = Loopback::Localhost;
    server.register_at = Some("https://cloud.ouraring.com/oauth/applications".into());
    AuthorizationServer(server)
}

/// Oura Ring: all measurements of the ring. The API is read-only.
#[must_use]
pub fn oura() -> Provider {
    let hosts = vec![ApiHost::origin("https://api.ouraring.com")];
    let mut provider = provider(OURA, OURA, "Oura Ring", GROUP, hosts);
    provider.api_base = Some("https://api.ouraring.com/v2".into());
    provider.api_hosts = vec![ApiHost::under("https://api.ouraring.com", "/v2")];
    // Names as in the discovery document; `spo2Daily`, in some lists, is wrong.
    let all = scopes(&[
        "extapi:personal",
        "extapi:daily",
        "extapi:heartrate",
        "extapi:workout",
        "extapi:session",
        "extapi:tag",
        "extapi:spo2",
        "extapi:stress",
        "extapi:heart_health",
    ]);
    provider.default_scopes = all.clone();
    provider.tiers.read_only = Some(all);
    provider.tiers.least_privilege = Some(scopes(&["extapi:daily", "extapi:personal"]));
    // Required by the account request below.
    provider.required_scopes = scopes(&["extapi:personal", "email"]);
    provider.account = Some(account(
        "https://api.ouraring.com/v2/usercollection/personal_info",
        &["/id"],
        &["/email"],
        &["/email"],
    ));
    name_scopes(&mut provider);
    Provider(provider)
}

/// Oura Ring at [`oura_legacy_server`], where scopes have no prefix.
#[must_use]
pub fn oura_legacy() -> Provider {
    let Provider(mut provider) = oura();
    provider.id = provider_id(OURA_LEGACY);
    provider.server = server_id(OURA_LEGACY);
    provider.name = "Oura Ring (app from the old portal)".into();
    let all = scopes(&[
        "personal",
        "daily",
        "heartrate",
        "workout",
        "session",
        "tag",
        "spo2",
        "stress",
        "heart_health",
    ]);
    provider.default_scopes = all.clone();
    provider.tiers.read_only = Some(all);
    provider.tiers.least_privilege = Some(scopes(&["daily", "personal"]));
    provider.required_scopes = scopes(&["personal", "email"]);
    name_scopes(&mut provider);
    Provider(provider)
}

/// SmartThings' authorization server.
#[must_use]
pub fn smartthings_server() -> AuthorizationServer {
    // https://developer.smartthings.com/docs/service-integrations/oauth. Two older addresses lead
    // to the same server.
    let mut server = server(
        SMARTTHINGS,
        "https://api.smartthings.com/v1/oauth/authorize",
        "https://api.smartthings.com/v1/oauth/token",
    );
    server.client_authentication = ClientAuthentication::BasicWithClientId;
    // PKCE is not documented for these apps.
    server.pkce = Pkce::Refused;
    // https://developer.smartthings.com/docs/service-integrations/token-management: 30 days, and
    // each refresh returns two new tokens.
    server.rotation = RotationClass::SingleUse;
    server.refresh_token_idle = Some(days(30));
    server.parameters = vec![
        ParameterRule::new("installed_app_id", ParameterKind::Word)
            .source(ParameterSource::TokenAnswer("/installed_app_id".into())),
    ];
    // There is no RFC 7009 endpoint: deleting the installed app ends the grant (the official sample
    // does it; whether `w:installedapps` is needed is not documented).
    server.revocation = Revocation::DeleteWithBearer {
        url: "https://api.smartthings.com/v1/installedapps/{installed_app_id}".into(),
    };
    // The answer for an installed app that the user has removed.
    server.already_revoked = vec![403];
    server.access_page = Some("https://account.smartthings.com".into());
    server.redirects.loopback = Loopback::Refused;
    server.register_at = Some("https://developer.smartthings.com/workspace".into());
    server.notes = vec![
        "Only public https callbacks; request only scopes that the app was created with.".into(),
        "An idle connection must be refreshed within 30 days.".into(),
        "Each location that a user adds counts towards the app's limit of installs.".into(),
    ];
    AuthorizationServer(server)
}

/// SmartThings: read and control devices and scenes; read locations.
#[must_use]
pub fn smartthings() -> Provider {
    let hosts = vec![ApiHost::under("https://api.smartthings.com", "/v1")];
    let mut provider = provider(SMARTTHINGS, SMARTTHINGS, "Samsung SmartThings", GROUP, hosts);
    provider.api_base = Some("https://api.smartthings.com/v1".into());
    let read_write = [
        "r:devices:*",
        "x:devices:*",
        "r:locations:*",
        "r:scenes:*",
        "x:scenes:*",
    ];
    provider.default_scopes = scopes(&read_write);
    provider.tiers.read_write = Some(scopes(&read_write));
    provider.tiers.read_only = Some(scopes(&["r:devices:*", "r:locations:*", "r:scenes:*"]));
    provider.tiers.least_privilege = Some(scopes(&["r:devices:*", "x:devices:*"]));
    // There is no account endpoint. Only one source says that every kind of account has this
    // member.
    provider.account_in_answer = Some(AccountPointers {
        id: vec!["/owner_account_id".into(), "/installed_app_id".into()],
        email: Vec::new(),
        label: Vec::new(),
    });
    name_scopes(&mut provider);
    Provider(provider)
}

/// Spotify's accounts service.
#[must_use]
pub fn spotify_accounts() -> AuthorizationServer {
    // https://developer.spotify.com/documentation/web-api/tutorials/code-flow The discovery
    // document names another authorization endpoint, for OpenID Connect; this is the Web API's.
    let mut server = server(
        SPOTIFY,
        "https://accounts.spotify.com/authorize",
        "https://accounts.spotify.com/api/token",
    );
    server.issuer = Some("https://accounts.spotify.com".into());
    server.client_authentication = ClientAuthentication::Basic;
    // https://developer.spotify.com/blog/2026-06-18-refresh-token-expiration: six months from the
    // consent, regardless of use; the refresh returns no refresh token.
    server.rotation = RotationClass::Static;
    server.refresh_token_lifetime = Some(days(180));
    // https://accounts.spotify.com/.well-known/openid-configuration; not on the developer site, so
    // only one source. The user can revoke access at https://www.spotify.com/account/apps/.
    server.revocation = Revocation::Endpoint {
        url: "https://accounts.spotify.com/oauth2/revoke/v1".into(),
        authentication: RevocationAuth::Basic,
        tokens: RevocationTokens::Either,
        grant_wide: false,
    };
    // https://developer.spotify.com/documentation/web-api/concepts/redirect_uri: no `localhost`.
    server.redirects.loopback = Loopback::IpLiteral;
    server.revocation_is_best_effort = true;
    server.access_page = Some("https://www.spotify.com/account/apps/".into());
    server.register_at = Some("https://developer.spotify.com/dashboard".into());
    server.notes = vec![
        "Register the loopback callback without a port and with the address, not with localhost.".into(),
        "In development mode, an app may have five users, and its owner needs Premium.".into(),
        "Six months after the consent, the user must consent again.".into(),
    ];
    AuthorizationServer(server)
}

/// Spotify: playback, playlists and library, read and write.
#[must_use]
pub fn spotify() -> Provider {
    let hosts = vec![ApiHost::origin("https://api.spotify.com")];
    let mut provider = provider(SPOTIFY, SPOTIFY, "Spotify", "Health & lifestyle", hosts);
    provider.api_base = Some("https://api.spotify.com/v1".into());
    // https://developer.spotify.com/documentation/web-api/concepts/scopes
    provider.default_scopes = scopes(&[
        "user-read-playback-state",
        "user-modify-playback-state",
        "user-read-currently-playing",
        "user-read-recently-played",
        "playlist-read-private",
        "playlist-read-collaborative",
        "playlist-modify-public",
        "playlist-modify-private",
        "user-library-read",
        "user-library-modify",
    ]);
    provider.tiers.read_write = Some(provider.default_scopes.clone());
    provider.tiers.read_only = Some(scopes(&[
        "user-read-playback-state",
        "user-read-currently-playing",
        "user-read-recently-played",
        "playlist-read-private",
        "playlist-read-collaborative",
        "user-library-read",
    ]));
    provider.tiers.least_privilege = Some(scopes(&[
        "user-read-playback-state",
        "user-modify-playback-state",
    ]));
    // https://developer.spotify.com/documentation/web-api/references/changes/may-2026: `account_id`
    // is the stable id. Id and name need no scope; without `user-read-email` there is no e-mail
    // address.
    provider.account = Some(account(
        "https://api.spotify.com/v1/me",
        &["/account_id", "/id"],
        &["/email"],
        &["/display_name"],
    ));
    name_scopes(&mut provider);
    Provider(provider)
}
