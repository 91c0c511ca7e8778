//! The known behavior of each service in the catalog, written by hand from the services'
//! documentation and from observation, never from the descriptors.

use std::time::Duration;

use super::personality::{Described, ExpiresIn, IssuerEcho, Personality, RefreshTokenEcho, ScopeEcho};
use super::refusal::Refusal;
use super::surface::Surface;
use crate::provider::{ClientAuthentication, Pkce, RevocationAuth, RevocationTokens, RotationClass};

/// The services that the sandbox can play.
pub(super) const ALL: [&str; 21] = [
    "gmail",
    "google-calendar",
    "google-contacts",
    "google-tasks",
    "google-drive",
    "youtube",
    "fitbit",
    "outlook-mail",
    "outlook-calendar",
    "onedrive",
    "microsoft-todo",
    "todoist",
    "todoist-legacy",
    "asana",
    "jira",
    "clickup",
    "gitlab",
    "oura",
    "oura-legacy",
    "spotify",
    "smartthings",
];

const ATLASSIAN_SITES: &str =
    r#"[{"id":"cloud-1","url":"https://acme.atlassian.net","name":"acme","scopes":[]}]"#;

/// Returns the addresses and the behavior of a service.
pub(super) fn service(id: &str) -> Option<(Surface, Personality)> {
    Some(match id {
        "gmail" => google("https://gmail.googleapis.com/gmail/v1"),
        "google-calendar" => google("https://www.googleapis.com/calendar/v3"),
        "google-contacts" => google("https://people.googleapis.com/v1"),
        "google-tasks" => google("https://tasks.googleapis.com/tasks/v1"),
        "google-drive" => google("https://www.googleapis.com/drive/v3"),
        "youtube" => google("https://www.googleapis.com/youtube/v3"),
        "fitbit" => google("https://health.googleapis.com/v4"),
        "outlook-mail" | "outlook-calendar" | "onedrive" | "microsoft-todo" => microsoft(),
        "todoist" => todoist(),
        "todoist-legacy" => todoist_legacy(),
        "asana" => asana(),
        "jira" => jira(),
        "clickup" => clickup(),
        "gitlab" => gitlab(),
        "oura" => oura(),
        "oura-legacy" => oura_legacy(),
        "spotify" => spotify(),
        "smartthings" => smartthings(),
        _ => return None,
    })
}

fn words(pairs: &[(&str, &str)]) -> std::collections::BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()))
        .collect()
}

fn google(api: &str) -> (Surface, Personality) {
    let mut surface = Surface::new(
        "https://accounts.google.com/o/oauth2/v2/auth",
        "https://oauth2.googleapis.com/token",
        api,
    );
    surface.issuer = Some("https://accounts.google.com".into());
    surface.revocation = Some("https://oauth2.googleapis.com/revoke".into());
    surface.resources = vec![(
        "https://openidconnect.googleapis.com/v1/userinfo".into(),
        r#"{"sub":"{id}","email":"{email}","email_verified":true}"#.into(),
    )];
    let personality = Personality {
        static_refresh_token: RefreshTokenEcho::Omit,
        issuer: IssuerEcho::Always,
        id_token: true,
        uniting_parameter: Some(("include_granted_scopes".into(), "true".into())),
        required_parameters: words(&[("access_type", "offline"), ("prompt", "consent")]),
        scope_names: words(&[("email", "https://www.googleapis.com/auth/userinfo.email")]),
        revocation_ends_account: true,
        described: Described {
            rotation: RotationClass::Static,
            revocation_authentication: RevocationAuth::None,
            ..Described::default()
        },
        ..Personality::default()
    };
    (surface, personality)
}

fn microsoft() -> (Surface, Personality) {
    let mut surface = Surface::new(
        "https://login.microsoftonline.com/common/oauth2/v2.0/authorize",
        "https://login.microsoftonline.com/common/oauth2/v2.0/token",
        "https://graph.microsoft.com/v1.0",
    );
    surface.resources = vec![(
        "https://graph.microsoft.com/v1.0/me".into(),
        r#"{"id":"{id}","displayName":"{name}","mail":null,"userPrincipalName":"{email}"}"#.into(),
    )];
    let graph = [
        "Mail.ReadWrite",
        "Mail.Send",
        "Calendars.ReadWrite",
        "Files.ReadWrite",
        "Tasks.ReadWrite",
    ];
    let mut scope_names: std::collections::BTreeMap<String, String> = graph
        .iter()
        .map(|scope| {
            (
                (*scope).to_owned(),
                format!("https://graph.microsoft.com/{scope}"),
            )
        })
        .collect();
    scope_names.insert("User.Read".into(), "https://graph.microsoft.com/user.read".into());
    scope_names.insert("offline_access".into(), String::new());
    let personality = Personality {
        issuer: IssuerEcho::Never,
        offline_scope: Some("offline_access".into()),
        refresh_requires: vec!["scope".into()],
        scope_names,
        described: Described {
            rotation: RotationClass::OldStaysValid,
            ..Described::default()
        },
        ..Personality::default()
    };
    (surface, personality)
}

fn todoist() -> (Surface, Personality) {
    let mut surface = Surface::new(
        "https://app.todoist.com/oauth/authorize",
        "https://api.todoist.com/oauth/access_token",
        "https://api.todoist.com/api/v1",
    );
    surface.issuer = Some("https://todoist.com".into());
    surface.revocation = Some("https://api.todoist.com/api/v1/revoke".into());
    surface.resources = vec![(
        "https://api.todoist.com/api/v1/user".into(),
        r#"{"id":"{id}","email":"{email}","full_name":"{name}"}"#.into(),
    )];
    let personality = Personality {
        reuse_repeats_access_token: true,
        issuer: IssuerEcho::Never,
        scope_separator: ",".into(),
        described: Described {
            rotation: RotationClass::Grace(Duration::from_secs(60)),
            revocation_authentication: RevocationAuth::Basic,
            revocation_takes: RevocationTokens::Access,
            ..Described::default()
        },
        ..Personality::default()
    };
    (surface, personality)
}

fn todoist_legacy() -> (Surface, Personality) {
    let (mut surface, mut personality) = todoist();
    surface.authorization = "https://todoist.com/oauth/authorize".into();
    surface.token = "https://todoist.com/oauth/access_token".into();
    personality.issues_refresh_tokens = false;
    personality.access_token_lifetime = None;
    personality.expires_in = ExpiresIn::Literal("315360000".into());
    (surface, personality)
}

fn asana() -> (Surface, Personality) {
    let mut surface = Surface::new(
        "https://app.asana.com/-/oauth_authorize",
        "https://app.asana.com/-/oauth_token",
        "https://app.asana.com/api/1.0",
    );
    surface.revocation = Some("https://app.asana.com/-/oauth_revoke".into());
    surface.resources = vec![(
        "https://app.asana.com/api/1.0/users/me".into(),
        r#"{"data":{"gid":"{id}","email":"{email}","name":"{name}"}}"#.into(),
    )];
    let personality = Personality {
        issuer: IssuerEcho::Never,
        token_type: Some("bearer".into()),
        more_members: words(&[(
            "data",
            r#"{"id":1,"gid":"{id}","name":"{name}","email":"{email}"}"#,
        )]),
        revocation_ends_grant: true,
        described: Described {
            rotation: RotationClass::Static,
            revocation_authentication: RevocationAuth::Post,
            revocation_takes: RevocationTokens::Refresh,
            ..Described::default()
        },
        ..Personality::default()
    };
    (surface, personality)
}

fn jira() -> (Surface, Personality) {
    let mut surface = Surface::new(
        "https://auth.atlassian.com/authorize",
        "https://auth.atlassian.com/oauth/token",
        "https://api.atlassian.com/ex/jira/cloud-1/rest/api/3",
    );
    surface.revocation = Some("https://auth.atlassian.com/oauth/revoke".into());
    surface.resources = vec![
        (
            "https://api.atlassian.com/oauth/token/accessible-resources".into(),
            ATLASSIAN_SITES.into(),
        ),
        (
            "https://api.atlassian.com/ex/jira/cloud-1/rest/api/3/myself".into(),
            r#"{"accountId":"{id}","emailAddress":"{email}","displayName":"{name}"}"#.into(),
        ),
    ];
    let personality = Personality {
        issuer: IssuerEcho::Never,
        offline_scope: Some("offline_access".into()),
        required_parameters: words(&[("audience", "api.atlassian.com"), ("prompt", "consent")]),
        dead_grant: Refusal::Code {
            status: 403,
            error: "unauthorized_client".into(),
        },
        revocation_ends_grant: true,
        described: Described {
            rotation: RotationClass::Grace(Duration::from_secs(600)),
            ..Described::default()
        },
        ..Personality::default()
    };
    (surface, personality)
}

fn clickup() -> (Surface, Personality) {
    let mut surface = Surface::new(
        "https://app.clickup.com/api",
        "https://api.clickup.com/api/v2/oauth/token",
        "https://api.clickup.com/api/v2",
    );
    surface.resources = vec![(
        "https://api.clickup.com/api/v2/user".into(),
        r#"{"user":{"id":"{id}","email":"{email}","username":"{name}"}}"#.into(),
    )];
    let personality = Personality {
        access_token_lifetime: None,
        issues_refresh_tokens: false,
        issuer: IssuerEcho::Never,
        refuses_scopes: true,
        scope_echo: ScopeEcho::Absent,
        token_type: None,
        expires_in: ExpiresIn::Absent,
        described: Described {
            pkce: Pkce::Refused,
            ..Described::default()
        },
        ..Personality::default()
    };
    (surface, personality)
}

fn gitlab() -> (Surface, Personality) {
    let mut surface = Surface::new(
        "https://gitlab.com/oauth/authorize",
        "https://gitlab.com/oauth/token",
        "https://gitlab.com/api/v4",
    );
    surface.revocation = Some("https://gitlab.com/oauth/revoke".into());
    surface.resources = vec![(
        "https://gitlab.com/api/v4/user".into(),
        r#"{"id":"{id}","email":"{email}","username":"{name}"}"#.into(),
    )];
    let personality = Personality {
        access_token_lifetime: Some(Duration::from_secs(7200)),
        refresh_kills_old_access_token: true,
        issuer: IssuerEcho::Never,
        refresh_requires: vec!["redirect_uri".into()],
        more_members: words(&[("created_at", "1764000000")]),
        described: Described {
            rotation: RotationClass::SingleUse,
            ..Described::default()
        },
        ..Personality::default()
    };
    (surface, personality)
}

fn oura() -> (Surface, Personality) {
    let mut surface = Surface::new(
        "https://moi.ouraring.com/oauth/v2/ext/oauth-authorize",
        "https://moi.ouraring.com/oauth/v2/ext/oauth-token",
        "https://api.ouraring.com/v2",
    );
    surface.revocation = Some("https://moi.ouraring.com/oauth/v2/ext/oauth-revoke".into());
    surface.resources = vec![(
        "https://api.ouraring.com/v2/usercollection/personal_info".into(),
        r#"{"id":"{id}","email":"{email}","age":36}"#.into(),
    )];
    let personality = Personality {
        access_token_lifetime: Some(Duration::from_secs(86_400)),
        issuer: IssuerEcho::Never,
        revocation_ends_grant: true,
        described: Described {
            rotation: RotationClass::SingleUse,
            ..Described::default()
        },
        ..Personality::default()
    };
    (surface, personality)
}

fn oura_legacy() -> (Surface, Personality) {
    let (mut surface, mut personality) = oura();
    surface.authorization = "https://cloud.ouraring.com/oauth/authorize".into();
    surface.token = "https://api.ouraring.com/oauth/token".into();
    surface.revocation = None;
    let bare = [
        "personal",
        "daily",
        "heartrate",
        "workout",
        "session",
        "tag",
        "spo2",
        "stress",
        "heart_health",
    ];
    personality.scope_names = bare
        .iter()
        .map(|scope| ((*scope).to_owned(), format!("extapi:{scope}")))
        .collect();
    (surface, personality)
}

fn spotify() -> (Surface, Personality) {
    let mut surface = Surface::new(
        "https://accounts.spotify.com/authorize",
        "https://accounts.spotify.com/api/token",
        "https://api.spotify.com/v1",
    );
    surface.revocation = Some("https://accounts.spotify.com/oauth2/revoke/v1".into());
    surface.resources = vec![(
        "https://api.spotify.com/v1/me".into(),
        r#"{"account_id":"{id}","id":"old-{id}","display_name":"{name}"}"#.into(),
    )];
    let personality = Personality {
        issuer: IssuerEcho::Never,
        revocation_ends_grant: true,
        described: Described {
            client_authentication: ClientAuthentication::Basic,
            rotation: RotationClass::Static,
            ..Described::default()
        },
        ..Personality::default()
    };
    (surface, personality)
}

fn smartthings() -> (Surface, Personality) {
    let mut surface = Surface::new(
        "https://api.smartthings.com/v1/oauth/authorize",
        "https://api.smartthings.com/v1/oauth/token",
        "https://api.smartthings.com/v1",
    );
    surface.deletion = Some("https://api.smartthings.com/v1/installedapps".into());
    let personality = Personality {
        access_token_lifetime: Some(Duration::from_secs(86_399)),
        issuer: IssuerEcho::Never,
        dead_grant: Refusal::JsonWith(401),
        more_members: words(&[
            ("installed_app_id", r#""app-{id}""#),
            ("access_tier", "0"),
            ("owner_account_id", r#""{id}""#),
        ]),
        described: Described {
            client_authentication: ClientAuthentication::BasicWithClientId,
            pkce: Pkce::Refused,
            rotation: RotationClass::SingleUse,
            ..Described::default()
        },
        ..Personality::default()
    };
    (surface, personality)
}
