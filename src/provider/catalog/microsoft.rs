//! Microsoft: one authorization server, four services, all behind Microsoft Graph.

use super::build::{account, days, field, provider, scopes, server};
use super::words::name_scopes;
use crate::provider::{
    ApiHost, AuthorizationServer, DeadGrant, IssuerPolicy, Loopback, ParameterKind, ParameterRule, Provider,
    Revocation, RotationClass,
};

/// The Microsoft identity platform.
pub const MICROSOFT: &str = "microsoft";
/// Outlook Mail.
pub const OUTLOOK_MAIL: &str = "outlook-mail";
/// Outlook Calendar.
pub const OUTLOOK_CALENDAR: &str = "outlook-calendar";
/// OneDrive.
pub const ONEDRIVE: &str = "onedrive";
/// Microsoft To Do.
pub const MICROSOFT_TODO: &str = "microsoft-todo";

/// The Microsoft identity platform, in the global cloud. The parameter `tenant` determines who may
/// sign in: `common` (every account, the default), `organizations`, `consumers`, or a tenant's id
/// or domain.
#[must_use]
pub fn microsoft() -> AuthorizationServer {
    // https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow
    let mut server = server(
        MICROSOFT,
        "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/authorize",
        "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token",
    );
    // https://learn.microsoft.com/entra/identity-platform/v2-protocols#endpoints
    server.parameters = vec![field(
        ParameterRule::new("tenant", ParameterKind::Word).default_value("common"),
        "Organization",
        "contoso.com",
        "The domain or ID of your organization at Microsoft. Leave it empty to choose the account when you sign in.",
    )];
    // The issuer of `common` is the literal `https://login.microsoftonline.com/{tenantid}/v2.0`,
    // not a fixed string.
    server.issuer_policy = IssuerPolicy::Ignored;
    // No `prompt`: offline access needs only a scope here, and `prompt=consent` locks out users
    // whose administrator consented for them.
    server.authorization_parameters = [("response_mode".into(), "query".into())].into();
    // https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow#refresh-the-access-token
    server.refresh_parameters = [("scope".into(), "{scope}".into())].into();
    // https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow#error-codes-for-token-endpoint-errors
    // If a new policy applies to a refresh (a second factor, a new consent), only the user can
    // resolve it.
    server.dead_grants = ["interaction_required", "consent_required"]
        .map(|code| DeadGrant {
            status: None,
            error: Some(code.into()),
        })
        .into();
    // https://learn.microsoft.com/entra/identity-platform/refresh-tokens: 90 days, restarted by
    // each use; the old one is not revoked. (24 hours, not restarted, for single-page redirect
    // URIs.)
    server.rotation = RotationClass::OldStaysValid;
    server.refresh_token_idle = Some(days(90));
    // There is no RFC 7009 endpoint. `revokeSignInSessions` ends every session of the user in every
    // app.
    server.revocation = Revocation::ByUser {
        url: "https://myapps.microsoft.com".into(),
    };
    // https://learn.microsoft.com/entra/identity-platform/scopes-oidc The answer may add the
    // resource to scopes and change their letter case; it omits these four (observed).
    server.scope_prefix = Some("https://graph.microsoft.com/".into());
    server.scopes_ignore_case = true;
    server.unechoed_scopes = ["offline_access", "openid", "profile", "email"]
        .map(Into::into)
        .into();
    // https://learn.microsoft.com/entra/identity-platform/reply-url#localhost-exceptions The port
    // is ignored for `localhost`; `127.0.0.1` needs an edit of the manifest, `[::1]` is not
    // supported.
    server.redirects.loopback = Loopback::Localhost;
    server.register_at = Some("https://entra.microsoft.com".into());
    server.notes = vec![
        "One client serves all four services.".into(),
        "Personal accounts remove access at https://account.live.com/consent/Manage, not at the page for work accounts.".into(),
        "Apps for several organizations need publisher verification; an organization may require approval by its administrator.".into(),
    ];
    AuthorizationServer(server)
}

fn service(id: &str, name: &str, [wanted, read_only, least]: [&[&str]; 3]) -> Provider {
    let hosts = vec![ApiHost::origin("https://graph.microsoft.com")];
    let mut provider = provider(id, MICROSOFT, name, "Microsoft", hosts);
    // https://learn.microsoft.com/graph/use-the-api
    provider.api_base = Some("https://graph.microsoft.com/v1.0".into());
    // https://learn.microsoft.com/graph/permissions-reference
    provider.default_scopes = scopes(wanted);
    provider.tiers.read_write = Some(scopes(wanted));
    provider.tiers.read_only = Some(scopes(read_only));
    provider.tiers.least_privilege = Some(scopes(least));
    // `User.Read` is required by the account request below; `offline_access` for a refresh token.
    provider.required_scopes = scopes(&["User.Read", "offline_access"]);
    // https://learn.microsoft.com/graph/api/user-get. Personal accounts may have no `mail`.
    provider.account = Some(account(
        "https://graph.microsoft.com/v1.0/me?$select=id,displayName,mail,userPrincipalName",
        &["/id"],
        &["/mail", "/userPrincipalName"],
        // A guest's principal name is a rewritten name of another organization.
        &["/displayName", "/userPrincipalName"],
    ));
    name_scopes(&mut provider);
    Provider(provider)
}

/// Outlook Mail: read, write and send. The `.Shared` scopes are omitted, because personal accounts
/// refuse them.
#[must_use]
pub fn outlook_mail() -> Provider {
    service(
        OUTLOOK_MAIL,
        "Outlook Mail",
        [
            &["Mail.ReadWrite", "Mail.Send"],
            &["Mail.Read"],
            &["Mail.ReadBasic", "Mail.Send"],
        ],
    )
}

/// Outlook Calendar: read and write.
#[must_use]
pub fn outlook_calendar() -> Provider {
    service(
        OUTLOOK_CALENDAR,
        "Outlook Calendar",
        [
            &["Calendars.ReadWrite"],
            &["Calendars.Read"],
            &["Calendars.ReadBasic"],
        ],
    )
}

/// OneDrive: the user's own files, read and write.
///
/// Downloads and upload sessions return URLs on other hosts that contain their own authorization.
/// The token is not sent there.
#[must_use]
pub fn onedrive() -> Provider {
    service(
        ONEDRIVE,
        "OneDrive",
        [
            &["Files.ReadWrite"],
            &["Files.Read"],
            &["Files.ReadWrite.AppFolder"],
        ],
    )
}

/// Microsoft To Do: lists and tasks, read and write.
#[must_use]
pub fn microsoft_todo() -> Provider {
    service(
        MICROSOFT_TODO,
        "Microsoft To Do",
        [&["Tasks.ReadWrite"], &["Tasks.Read"], &["Tasks.ReadWrite"]],
    )
}
