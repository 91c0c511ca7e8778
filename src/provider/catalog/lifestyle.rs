//! Health and lifestyle: Spotify.

use super::{account, days, provider, scopes, server};
use crate::provider::{
    ApiHost, AuthorizationServer, ClientAuthentication, Loopback, Provider, Revocation, RevocationAuth,
    RevocationTokens, RotationClass,
};

/// Spotify, the service and its authorization server.
pub const SPOTIFY: &str = "spotify";

/// Spotify's accounts service.
#[must_use]
pub fn spotify_accounts() -> AuthorizationServer {
    // https://developer.spotify.com/documentation/web-api/tutorials/code-flow
    // The discovery document names another authorization endpoint, for OpenID Connect; this is the Web API's.
    let mut server = server(
        SPOTIFY,
        "https://accounts.spotify.com/authorize",
        "https://accounts.spotify.com/api/token",
    );
    server.issuer = Some("https://accounts.spotify.com".into());
    server.client_authentication = ClientAuthentication::Basic;
    // https://developer.spotify.com/blog/2026-06-18-refresh-token-expiration: six months from the consent,
    // whatever is done; the refresh answers without a refresh token.
    server.rotation = RotationClass::Static;
    server.refresh_token_lifetime = Some(days(180));
    // https://accounts.spotify.com/.well-known/openid-configuration; not on the developer site, so one source. The
    // person can do it at https://www.spotify.com/account/apps/.
    server.revocation = Revocation::Endpoint {
        url: "https://accounts.spotify.com/oauth2/revoke/v1".into(),
        authentication: RevocationAuth::Basic,
        tokens: RevocationTokens::Either,
        grant_wide: false,
    };
    // https://developer.spotify.com/documentation/web-api/concepts/redirect_uri: no `localhost`.
    server.redirects.loopback = Loopback::IpLiteral;
    server
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
    // https://developer.spotify.com/documentation/web-api/references/changes/may-2026: `account_id` is the stable
    // one. No scope is needed for id and name; without `user-read-email` there is no e-mail address.
    provider.account = Some(account(
        "https://api.spotify.com/v1/me",
        &["/account_id", "/id"],
        &["/email"],
        &["/display_name"],
    ));
    provider
}
