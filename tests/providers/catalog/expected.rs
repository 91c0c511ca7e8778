//! The expected behavior of each service, from its documentation.

/// The client authentication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    Post,
    Basic,
    BasicAndId,
    Nothing,
}

/// The effect of a refresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refresh {
    Never,
    KeepsToken,
    NewToken,
}

/// The effect of a revocation.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    /// Revokes tokens with these hints, in this order, with this client authentication.
    Post(&'static str, Proof, &'static [&'static str]),
    /// Revokes tokens as `Post` does, and reports an attempt.
    Attempt(&'static str, Proof, &'static [&'static str], &'static str),
    Delete(&'static str),
    ByUser(&'static str),
}

pub(super) struct Expected {
    pub(super) id: &'static str,
    pub(super) server: &'static str,
    pub(super) redirect: &'static str,
    pub(super) authorize: &'static str,
    pub(super) added: &'static [(&'static str, &'static str)],
    pub(super) scopes: &'static str,
    pub(super) separator: char,
    pub(super) pkce: bool,
    pub(super) token: &'static str,
    pub(super) proof: Proof,
    pub(super) lifetime: Option<u64>,
    pub(super) refresh: Refresh,
    pub(super) refresh_added: &'static [&'static str],
    pub(super) asks: &'static [&'static str],
    pub(super) account: (&'static str, Option<&'static str>),
    pub(super) api: &'static str,
    pub(super) end: End,
}

pub(super) const HTTPS: &str = "https://app.test/callback";

pub(super) const fn google(id: &'static str, scopes: &'static str, api: &'static str) -> Expected {
    Expected {
        id,
        server: "google",
        redirect: "http://127.0.0.1:8080/callback",
        authorize: "https://accounts.google.com/o/oauth2/v2/auth",
        added: &[("access_type", "offline"), ("prompt", "consent")],
        scopes,
        separator: ' ',
        pkce: true,
        token: "https://oauth2.googleapis.com/token",
        proof: Proof::Post,
        lifetime: Some(3600),
        refresh: Refresh::KeepsToken,
        refresh_added: &[],
        asks: &["https://openidconnect.googleapis.com/v1/userinfo"],
        account: ("ada", Some("ada@example.test")),
        api,
        end: End::Post(
            "https://oauth2.googleapis.com/revoke",
            Proof::Nothing,
            &["refresh_token"],
        ),
    }
}

pub(super) const fn microsoft(id: &'static str, scopes: &'static str) -> Expected {
    Expected {
        id,
        server: "microsoft",
        redirect: "http://localhost:8080/callback",
        authorize: "https://login.microsoftonline.com/common/oauth2/v2.0/authorize",
        added: &[("response_mode", "query")],
        scopes,
        separator: ' ',
        pkce: true,
        token: "https://login.microsoftonline.com/common/oauth2/v2.0/token",
        proof: Proof::Post,
        lifetime: Some(3600),
        refresh: Refresh::NewToken,
        refresh_added: &["scope"],
        asks: &["https://graph.microsoft.com/v1.0/me"],
        account: ("ada", Some("ada@example.test")),
        api: "https://graph.microsoft.com/v1.0/me/anything",
        end: End::ByUser("https://myapps.microsoft.com/"),
    }
}

pub(super) const NINETEEN: [Expected; 19] = [
    google(
        "gmail",
        "openid email https://www.googleapis.com/auth/gmail.modify",
        "https://gmail.googleapis.com/gmail/v1/users/me/messages",
    ),
    google(
        "google-calendar",
        "openid email https://www.googleapis.com/auth/calendar.events https://www.googleapis.com/auth/calendar.calendarlist.readonly",
        "https://www.googleapis.com/calendar/v3/calendars/primary/events",
    ),
    google(
        "google-contacts",
        "openid email https://www.googleapis.com/auth/contacts",
        "https://people.googleapis.com/v1/people/me",
    ),
    google(
        "google-tasks",
        "openid email https://www.googleapis.com/auth/tasks",
        "https://tasks.googleapis.com/tasks/v1/users/@me/lists",
    ),
    google(
        "google-drive",
        "openid email https://www.googleapis.com/auth/drive",
        "https://www.googleapis.com/drive/v3/files",
    ),
    google(
        "youtube",
        "openid email https://www.googleapis.com/auth/youtube.force-ssl",
        "https://www.googleapis.com/youtube/v3/channels",
    ),
    google(
        "fitbit",
        "openid email \
         https://www.googleapis.com/auth/googlehealth.activity_and_fitness.readonly \
         https://www.googleapis.com/auth/googlehealth.activity_and_fitness.writeonly \
         https://www.googleapis.com/auth/googlehealth.health_metrics_and_measurements.readonly \
         https://www.googleapis.com/auth/googlehealth.sleep.readonly \
         https://www.googleapis.com/auth/googlehealth.nutrition.readonly \
         https://www.googleapis.com/auth/googlehealth.nutrition.writeonly \
         https://www.googleapis.com/auth/googlehealth.profile.readonly",
        "https://health.googleapis.com/v4/users/me/dataTypes",
    ),
    microsoft(
        "outlook-mail",
        "Mail.ReadWrite Mail.Send User.Read offline_access",
    ),
    microsoft("outlook-calendar", "Calendars.ReadWrite User.Read offline_access"),
    microsoft("onedrive", "Files.ReadWrite User.Read offline_access"),
    microsoft("microsoft-todo", "Tasks.ReadWrite User.Read offline_access"),
    Expected {
        id: "todoist",
        server: "todoist",
        redirect: HTTPS,
        authorize: "https://app.todoist.com/oauth/authorize",
        added: &[],
        scopes: "data:read_write",
        separator: ',',
        pkce: true,
        token: "https://api.todoist.com/oauth/access_token",
        proof: Proof::Post,
        lifetime: Some(3600),
        refresh: Refresh::NewToken,
        refresh_added: &[],
        asks: &["https://api.todoist.com/api/v1/user"],
        account: ("ada", Some("ada@example.test")),
        api: "https://api.todoist.com/api/v1/tasks",
        // The endpoint accepts only the access token; the documentation does not say that it also
        // ends the refresh token.
        end: End::Attempt(
            "https://api.todoist.com/api/v1/revoke",
            Proof::Basic,
            &["access_token"],
            "https://app.todoist.com/app/settings/integrations",
        ),
    },
    Expected {
        id: "asana",
        server: "asana",
        redirect: HTTPS,
        authorize: "https://app.asana.com/-/oauth_authorize",
        added: &[],
        scopes: "tasks:read tasks:write projects:read stories:read stories:write users:read workspaces:read",
        separator: ' ',
        pkce: true,
        token: "https://app.asana.com/-/oauth_token",
        proof: Proof::Post,
        lifetime: Some(3600),
        refresh: Refresh::KeepsToken,
        refresh_added: &[],
        asks: &["https://app.asana.com/api/1.0/users/me"],
        account: ("ada", Some("ada@example.test")),
        api: "https://app.asana.com/api/1.0/tasks",
        end: End::Post(
            "https://app.asana.com/-/oauth_revoke",
            Proof::Post,
            &["refresh_token"],
        ),
    },
    Expected {
        id: "jira",
        server: "atlassian",
        redirect: "http://localhost:8080/callback",
        authorize: "https://auth.atlassian.com/authorize",
        added: &[("audience", "api.atlassian.com"), ("prompt", "consent")],
        scopes: "read:jira-work write:jira-work read:jira-user offline_access",
        separator: ' ',
        pkce: true,
        token: "https://auth.atlassian.com/oauth/token",
        proof: Proof::Post,
        lifetime: Some(3600),
        refresh: Refresh::NewToken,
        refresh_added: &[],
        asks: &[
            "https://api.atlassian.com/oauth/token/accessible-resources",
            "https://api.atlassian.com/ex/jira/cloud-1/rest/api/3/myself",
        ],
        account: ("ada", Some("ada@example.test")),
        api: "https://api.atlassian.com/ex/jira/cloud-1/rest/api/3/search/jql",
        end: End::Attempt(
            "https://auth.atlassian.com/oauth/revoke",
            Proof::Post,
            &["refresh_token"],
            "https://id.atlassian.com/manage-profile/apps",
        ),
    },
    Expected {
        id: "clickup",
        server: "clickup",
        redirect: "http://localhost:8080/callback",
        authorize: "https://app.clickup.com/api",
        added: &[],
        scopes: "",
        separator: ' ',
        pkce: false,
        token: "https://api.clickup.com/api/v2/oauth/token",
        proof: Proof::Post,
        lifetime: None,
        refresh: Refresh::Never,
        refresh_added: &[],
        asks: &["https://api.clickup.com/api/v2/user"],
        account: ("ada", Some("ada@example.test")),
        api: "https://api.clickup.com/api/v2/team",
        end: End::ByUser("https://app.clickup.com/settings/apps"),
    },
    Expected {
        id: "gitlab",
        server: "gitlab",
        redirect: "http://127.0.0.1:8080/callback",
        authorize: "https://gitlab.com/oauth/authorize",
        added: &[],
        scopes: "api",
        separator: ' ',
        pkce: true,
        token: "https://gitlab.com/oauth/token",
        proof: Proof::Post,
        lifetime: Some(7200),
        refresh: Refresh::NewToken,
        refresh_added: &["redirect_uri"],
        asks: &["https://gitlab.com/api/v4/user"],
        account: ("ada", Some("ada@example.test")),
        api: "https://gitlab.com/api/v4/projects",
        end: End::Post(
            "https://gitlab.com/oauth/revoke",
            Proof::Post,
            &["refresh_token", "access_token"],
        ),
    },
    Expected {
        id: "oura",
        server: "oura",
        redirect: "http://localhost:8080/callback",
        authorize: "https://moi.ouraring.com/oauth/v2/ext/oauth-authorize",
        added: &[],
        scopes: "email extapi:personal extapi:daily extapi:heartrate extapi:workout extapi:session extapi:tag extapi:spo2 \
                 extapi:stress extapi:heart_health",
        separator: ' ',
        pkce: true,
        token: "https://moi.ouraring.com/oauth/v2/ext/oauth-token",
        proof: Proof::Post,
        lifetime: Some(86_400),
        refresh: Refresh::NewToken,
        refresh_added: &[],
        asks: &["https://api.ouraring.com/v2/usercollection/personal_info"],
        account: ("ada", Some("ada@example.test")),
        api: "https://api.ouraring.com/v2/usercollection/sleep",
        end: End::Post(
            "https://moi.ouraring.com/oauth/v2/ext/oauth-revoke",
            Proof::Post,
            &["refresh_token"],
        ),
    },
    Expected {
        id: "spotify",
        server: "spotify",
        redirect: "http://127.0.0.1:8080/callback",
        authorize: "https://accounts.spotify.com/authorize",
        added: &[],
        scopes: "user-read-playback-state user-modify-playback-state user-read-currently-playing \
                 user-read-recently-played playlist-read-private playlist-read-collaborative playlist-modify-public \
                 playlist-modify-private user-library-read user-library-modify",
        separator: ' ',
        pkce: true,
        token: "https://accounts.spotify.com/api/token",
        proof: Proof::Basic,
        lifetime: Some(3600),
        refresh: Refresh::KeepsToken,
        refresh_added: &[],
        asks: &["https://api.spotify.com/v1/me"],
        account: ("ada", None),
        api: "https://api.spotify.com/v1/me/player",
        end: End::Attempt(
            "https://accounts.spotify.com/oauth2/revoke/v1",
            Proof::Basic,
            &["refresh_token"],
            "https://www.spotify.com/account/apps/",
        ),
    },
    Expected {
        id: "smartthings",
        server: "smartthings",
        redirect: HTTPS,
        authorize: "https://api.smartthings.com/v1/oauth/authorize",
        added: &[],
        scopes: "r:devices:* x:devices:* r:locations:* r:scenes:* x:scenes:*",
        separator: ' ',
        pkce: false,
        token: "https://api.smartthings.com/v1/oauth/token",
        proof: Proof::BasicAndId,
        lifetime: Some(86_399),
        refresh: Refresh::NewToken,
        refresh_added: &[],
        asks: &[],
        account: ("ada", None),
        api: "https://api.smartthings.com/v1/devices",
        end: End::Delete("https://api.smartthings.com/v1/installedapps/app-ada"),
    },
];
