//! Google: one authorization server, seven services.

use super::build::{account, days, provider, scopes, server};
use super::words::name_scopes;
use crate::model::Scopes;
use crate::provider::{
    AccountEndpoint, ApiHost, AuthorizationServer, Loopback, Provider, Revocation, RevocationAuth,
    RevocationTokens, RotationClass,
};

/// The authorization server of Google's services.
pub const GOOGLE: &str = "google";
/// Gmail.
pub const GMAIL: &str = "gmail";
/// Google Calendar.
pub const GOOGLE_CALENDAR: &str = "google-calendar";
/// Google Contacts.
pub const GOOGLE_CONTACTS: &str = "google-contacts";
/// Google Tasks.
pub const GOOGLE_TASKS: &str = "google-tasks";
/// Google Drive.
pub const GOOGLE_DRIVE: &str = "google-drive";
/// YouTube.
pub const YOUTUBE: &str = "youtube";
/// Fitbit, through the Google Health API.
pub const FITBIT: &str = "fitbit";

/// The group under which the services are displayed.
const GROUP: &str = "Google";

/// The shared host of several Google APIs: they differ only by path.
const SHARED: &str = "https://www.googleapis.com";

/// Google's authorization server.
///
/// While the consent screen has the status *Testing*, refresh tokens expire after seven days,
/// regardless of this descriptor.
#[must_use]
pub fn google() -> AuthorizationServer {
    // https://developers.google.com/identity/protocols/oauth2/web-server
    let mut server = server(
        GOOGLE,
        "https://accounts.google.com/o/oauth2/v2/auth",
        "https://oauth2.googleapis.com/token",
    );
    // https://accounts.google.com/.well-known/openid-configuration `iss` is present since 2026
    // without being advertised, and not for every account (observed). It is therefore compared if
    // present, but not required.
    server.issuer = Some("https://accounts.google.com".into());
    // https://developers.google.com/identity/protocols/oauth2/web-server#offline
    // Without `prompt=consent`, a second consent of the same user returns no refresh token.
    server.authorization_parameters = [("access_type", "offline"), ("prompt", "consent")]
        .map(|(name, value)| (name.into(), value.into()))
        .into();
    // https://developers.google.com/identity/protocols/oauth2/web-server#incrementalAuth Sent only
    // to extend a grant, because it combines all scopes that the account granted to this client.
    server.extending_parameters = [("include_granted_scopes".into(), "true".into())].into();
    // https://developers.google.com/identity/protocols/oauth2#expiration: expires after six months
    // without use.
    server.rotation = RotationClass::Static;
    server.refresh_token_idle = Some(days(180));
    // https://developers.google.com/identity/protocols/oauth2/web-server#tokenrevoke Removes the
    // user's grant for this client, so other connections of the same account end too (the effect is
    // documented, its exact extent is not).
    server.revocation = Revocation::Endpoint {
        url: "https://oauth2.googleapis.com/revoke".into(),
        authentication: RevocationAuth::None,
        tokens: RevocationTokens::Either,
        grant_wide: true,
    };
    // https://developers.google.com/identity/protocols/oauth2/scopes#openid-connect The answer
    // names `email` and `profile` as `https://www.googleapis.com/auth/userinfo.…` (observed).
    server.unechoed_scopes = vec!["email".into(), "profile".into()];
    // https://developers.google.com/identity/protocols/oauth2/native-app#redirect-uri_loopback
    server.redirects.loopback = Loopback::Any;
    server.access_page = Some("https://myaccount.google.com/connections".into());
    server.register_at = Some("https://console.cloud.google.com/auth/clients".into());
    server.notes = vec![
        "One client serves all seven services; enable each API in the project.".into(),
        "While the consent screen has the status Testing, refresh tokens expire after seven days.".into(),
        "Restricted scopes (all of Gmail except sending, all of Drive, all of Google Health) require a review of the app.".into(),
    ];
    AuthorizationServer(server)
}

// https://developers.google.com/identity/openid-connect/openid-connect#obtaininguserprofileinformation
/// Returns the account endpoint, which all services share.
fn userinfo() -> AccountEndpoint {
    account(
        "https://openidconnect.googleapis.com/v1/userinfo",
        &["/sub"],
        &["/email"],
        &["/email"],
    )
}

fn google_scopes(names: &[&str]) -> Scopes {
    let names: Vec<String> = names
        .iter()
        .map(|name| format!("https://www.googleapis.com/auth/{name}"))
        .collect();
    scopes(&names.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Returns a service whose default scopes are those for reading and writing.
fn service(
    id: &str,
    name: &str,
    base: &str,
    hosts: Vec<ApiHost>,
    [wanted, read_only, least]: [&[&str]; 3],
) -> Provider {
    let mut provider = provider(id, GOOGLE, name, GROUP, hosts);
    provider.api_base = Some(base.into());
    provider.default_scopes = google_scopes(wanted);
    provider.tiers.read_write = Some(google_scopes(wanted));
    provider.tiers.read_only = Some(google_scopes(read_only));
    provider.tiers.least_privilege = Some(google_scopes(least));
    // Required by `userinfo`.
    provider.required_scopes = scopes(&["openid", "email"]);
    provider.account = Some(userinfo());
    name_scopes(&mut provider);
    Provider(provider)
}

/// Gmail: read, write, send and label, but not permanently delete. The scope is *restricted*:
/// Google reviews the app.
#[must_use]
pub fn gmail() -> Provider {
    service(
        GMAIL,
        "Gmail",
        // https://developers.google.com/workspace/gmail/api/reference/rest
        "https://gmail.googleapis.com/gmail/v1",
        vec![
            ApiHost::origin("https://gmail.googleapis.com"),
            ApiHost::under(SHARED, "/gmail/v1"),
            ApiHost::under(SHARED, "/upload/gmail/v1"),
            ApiHost::under(SHARED, "/batch/gmail/v1"),
        ],
        // https://developers.google.com/workspace/gmail/api/auth/scopes
        [
            &["gmail.modify"],
            &["gmail.readonly"],
            &["gmail.readonly", "gmail.compose"],
        ],
    )
}

/// Google Calendar: events of all calendars, and the list of calendars.
#[must_use]
pub fn google_calendar() -> Provider {
    service(
        GOOGLE_CALENDAR,
        "Google Calendar",
        // https://developers.google.com/workspace/calendar/api/v3/reference
        "https://www.googleapis.com/calendar/v3",
        vec![
            ApiHost::under(SHARED, "/calendar/v3"),
            ApiHost::under(SHARED, "/batch/calendar/v3"),
            ApiHost::origin("https://calendar.googleapis.com"),
        ],
        // https://developers.google.com/workspace/calendar/api/auth
        [
            &["calendar.events", "calendar.calendarlist.readonly"],
            &["calendar.events.readonly", "calendar.calendarlist.readonly"],
            &["calendar.events.owned"],
        ],
    )
}

/// Google Contacts, through the People API.
#[must_use]
pub fn google_contacts() -> Provider {
    service(
        GOOGLE_CONTACTS,
        "Google Contacts",
        // https://developers.google.com/people/api/rest
        "https://people.googleapis.com/v1",
        vec![ApiHost::origin("https://people.googleapis.com")],
        [&["contacts"], &["contacts.readonly"], &["contacts"]],
    )
}

/// Google Tasks.
#[must_use]
pub fn google_tasks() -> Provider {
    service(
        GOOGLE_TASKS,
        "Google Tasks",
        // https://developers.google.com/workspace/tasks/reference/rest
        "https://tasks.googleapis.com/tasks/v1",
        vec![
            ApiHost::origin("https://tasks.googleapis.com"),
            ApiHost::under(SHARED, "/tasks/v1"),
            ApiHost::under(SHARED, "/batch/tasks/v1"),
        ],
        [&["tasks"], &["tasks.readonly"], &["tasks"]],
    )
}

/// Google Drive, all files: a *restricted* scope. `drive.file` alone reaches only files that the
/// app created or the user opened with it, and needs no review.
#[must_use]
pub fn google_drive() -> Provider {
    service(
        GOOGLE_DRIVE,
        "Google Drive",
        // https://developers.google.com/workspace/drive/api/reference/rest/v3
        "https://www.googleapis.com/drive/v3",
        vec![
            ApiHost::under(SHARED, "/drive/v3"),
            ApiHost::under(SHARED, "/upload/drive/v3"),
            ApiHost::under(SHARED, "/batch/drive/v3"),
            // `exportLinks` of a file point there.
            ApiHost::under("https://docs.google.com", "/feeds/download"),
            ApiHost::under("https://docs.google.com", "/spreadsheets/export"),
            // The scopes of Drive also open the files in these APIs.
            ApiHost::origin("https://docs.googleapis.com"),
            ApiHost::origin("https://sheets.googleapis.com"),
            ApiHost::origin("https://slides.googleapis.com"),
        ],
        // https://developers.google.com/workspace/drive/api/guides/api-specific-auth
        [&["drive"], &["drive.readonly"], &["drive.file"]],
    )
}

/// YouTube: the user's channel, videos, ratings, comments and captions.
#[must_use]
pub fn youtube() -> Provider {
    service(
        YOUTUBE,
        "YouTube",
        // https://developers.google.com/youtube/v3/docs
        "https://www.googleapis.com/youtube/v3",
        vec![
            ApiHost::under(SHARED, "/youtube/v3"),
            ApiHost::under(SHARED, "/upload/youtube/v3"),
            ApiHost::under(SHARED, "/batch/youtube/v3"),
            ApiHost::origin("https://youtube.googleapis.com"),
        ],
        [&["youtube.force-ssl"], &["youtube.readonly"], &["youtube.upload"]],
    )
}

/// Fitbit data, through the Google Health API: Fitbit's own API and OAuth server were shut down in
/// November 2026.
#[must_use]
pub fn fitbit() -> Provider {
    // https://developers.google.com/health/scopes: reading and writing are separate scopes.
    let Provider(mut provider) = service(
        FITBIT,
        "Fitbit",
        // https://developers.google.com/health/migration
        "https://health.googleapis.com/v4",
        vec![ApiHost::origin("https://health.googleapis.com")],
        [
            &[
                "googlehealth.activity_and_fitness.readonly",
                "googlehealth.activity_and_fitness.writeonly",
                "googlehealth.health_metrics_and_measurements.readonly",
                "googlehealth.nutrition.readonly",
                "googlehealth.nutrition.writeonly",
                "googlehealth.profile.readonly",
                "googlehealth.sleep.readonly",
            ],
            &[
                "googlehealth.activity_and_fitness.readonly",
                "googlehealth.health_metrics_and_measurements.readonly",
                "googlehealth.nutrition.readonly",
                "googlehealth.profile.readonly",
                "googlehealth.sleep.readonly",
            ],
            &[
                "googlehealth.activity_and_fitness.readonly",
                "googlehealth.activity_and_fitness.writeonly",
            ],
        ],
    );
    provider.group = "Health & lifestyle".into();
    provider.notes = vec![
        "Fitbit's own OAuth server has answered 410 since November 2026: users connect with their Google account, and old \
         tokens cannot be migrated."
            .into(),
        "The API answers 400 for an account without a Google Health profile, and 403 for a project without access.".into(),
    ];
    name_scopes(&mut provider);
    Provider(provider)
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;
    use crate::model::Parameters;
    use crate::provider::Provider;
    use crate::provider::compiled::CompiledProvider;

    fn allows(provider: &Provider, url: &Url) -> bool {
        let provider = CompiledProvider::compile(provider.clone()).unwrap();
        provider.allows(url, &Parameters::new())
    }

    #[test]
    fn services_on_the_shared_host_do_not_reach_each_other() {
        let url = Url::parse("https://www.googleapis.com/drive/v3/files").unwrap();
        for provider in [gmail(), google_calendar(), google_tasks(), youtube(), fitbit()] {
            assert!(!allows(&provider, &url), "{}", provider.id);
        }
        assert!(allows(&google_drive(), &url));
    }

    /// Addresses that client libraries and answers of the services use.
    #[test]
    fn batches_and_downloads_are_reached_by_their_service_alone() {
        let all = [
            gmail(),
            google_calendar(),
            google_contacts(),
            google_tasks(),
            google_drive(),
            youtube(),
            fitbit(),
        ];
        for (address, service) in [
            ("https://www.googleapis.com/batch/gmail/v1", Some(GMAIL)),
            (
                "https://www.googleapis.com/batch/calendar/v3",
                Some(GOOGLE_CALENDAR),
            ),
            ("https://www.googleapis.com/batch/drive/v3", Some(GOOGLE_DRIVE)),
            ("https://www.googleapis.com/batch/tasks/v1", Some(GOOGLE_TASKS)),
            ("https://www.googleapis.com/batch/youtube/v3", Some(YOUTUBE)),
            ("https://people.googleapis.com/batch", Some(GOOGLE_CONTACTS)),
            (
                "https://docs.google.com/feeds/download/documents/export/Export?id=1&exportFormat=pdf",
                Some(GOOGLE_DRIVE),
            ),
            (
                "https://docs.google.com/spreadsheets/export?id=1&exportFormat=csv",
                Some(GOOGLE_DRIVE),
            ),
            ("https://docs.googleapis.com/v1/documents/1", Some(GOOGLE_DRIVE)),
            (
                "https://sheets.googleapis.com/v4/spreadsheets/1",
                Some(GOOGLE_DRIVE),
            ),
            (
                "https://slides.googleapis.com/v1/presentations/1",
                Some(GOOGLE_DRIVE),
            ),
            ("https://docs.google.com/forms/d/1", None),
            ("https://www.googleapis.com/batch", None),
            ("https://www.googleapis.com/batch/drive/v30", None),
        ] {
            let url = Url::parse(address).unwrap();
            let reached = all.iter().filter(|it| allows(it, &url));
            let reached: Vec<&str> = reached.map(|it| it.id.as_str()).collect();
            assert_eq!(reached, Vec::from_iter(service), "{address}");
        }
    }
}
