//! The past of the company: its connections, in every state that they can have.

use std::error::Error;
use std::time::Duration;

use http::Request;
use valetkey::connections::Budget;
use valetkey::model::{Connection, ConnectionId, Label};
use valetkey::testing::Sandbox;
use valetkey::testing::sandbox::Refusal;
use valetkey::{ActingUser, AuthorizationResponse, Connections, Consent, ConsentOptions, Resolver};

use crate::people::{acting_user, operator};
use crate::world::Calendar;

type Done<T = ()> = Result<T, Box<dyn Error>>;

pub struct Seeds {
    pub connections: Connections,
    pub resolver: Resolver,
    pub sandbox: Sandbox,
    pub calendar: Calendar,
}

/// Users, the services they have connected, the days since, and the hours since the last use.
#[rustfmt::skip]
const CONNECTED: [(&str, &str, u64, Option<u64>); 22] = [
    ("grace", "gmail", 61, Some(2)), ("grace", "google-calendar", 61, Some(2)), ("grace", "gitlab", 48, Some(5)),
    ("grace", "todoist", 12, None), ("alan", "gmail", 55, Some(30)), ("alan", "jira", 54, Some(3)),
    ("alan", "youtube", 9, None), ("sofia", "outlook-mail", 40, Some(1)), ("sofia", "outlook-calendar", 40, Some(1)),
    ("sofia", "onedrive", 39, Some(26)), ("sofia", "oura", 21, None), ("katherine", "outlook-mail", 33, Some(8)),
    ("katherine", "asana", 31, Some(4)), ("katherine", "fitbit", 30, Some(50)), ("edsger", "google-tasks", 26, Some(90)),
    ("edsger", "clickup", 25, None), ("radia", "gmail", 19, Some(1)), ("radia", "smartthings", 18, Some(70)),
    ("radia", "google-contacts", 17, None), ("hubert", "microsoft-todo", 11, Some(6)), ("hubert", "spotify", 10, Some(12)),
    ("olga", "google-drive", 8, Some(1)),
];

const DAY: u64 = 24 * 3_600;

impl Seeds {
    pub fn sow(&self) -> Done {
        let mut connected = Vec::new();
        for (user, service, days, used) in CONNECTED {
            self.calendar.go_to(Duration::from_secs(days * DAY));
            let id = self.connect(user, service, ConsentOptions::default())?.id;
            connected.push((user, service, id, used));
        }
        self.special()?;
        for (user, service, _, used) in &connected {
            if let Some(hours) = used {
                self.calendar.go_to(Duration::from_secs(hours * 3_600));
                self.use_once(user, service, "Daily summary")?;
            }
        }
        self.connections.maintain(Budget::default())?;
        let of = |user: &str, service: &str| {
            let found = connected
                .iter()
                .find(|(who, what, ..)| *who == user && *what == service);
            found.map(|(.., id, _)| *id).ok_or("there is no such connection")
        };
        self.trouble(
            of("sofia", "oura")?,
            of("hubert", "spotify")?,
            of("edsger", "clickup")?,
        )?;
        self.calendar.go_to(Duration::ZERO);
        self.connections.maintain(Budget::default())?;
        self.links()
    }

    /// Connections that differ from the rest: for the workspace, for reading only, with fewer
    /// scopes than requested, and a second account.
    fn special(&self) -> Done {
        let olga = operator("olga")?;
        for (service, label, days) in [("google-calendar", "Team", 58), ("jira", "Support", 44)] {
            self.calendar.go_to(Duration::from_secs(days * DAY));
            let options = ConsentOptions::default().label(Label::new(label)?);
            let consent = self.connections.start_workspace(&olga, service, options)?;
            self.give(olga.acting_user(), &consent, "olga")?;
        }
        self.calendar.go_to(Duration::from_secs(6 * DAY));
        let gmail = self
            .connections
            .providers()
            .into_iter()
            .find(|it| it.id().as_str() == "gmail");
        let reads = gmail
            .and_then(|gmail| gmail.read_only_scopes())
            .cloned()
            .ok_or("Gmail can be read")?;
        self.connect("katherine", "gmail", ConsentOptions::default().scopes(reads))?;
        self.calendar.go_to(Duration::from_secs(3 * DAY));
        let radia = acting_user("radia")?;
        let consent = self
            .connections
            .start(&radia, "asana", ConsentOptions::default())?;
        let scopes = ["tasks:read", "projects:read", "users:read"];
        let callback = self
            .sandbox
            .approve_some(consent.authorization_url(), "radia", &scopes);
        self.complete(&radia, &consent, &callback)?;
        let second = ConsentOptions::default().label(Label::new("Club")?);
        let alan = acting_user("alan")?;
        let consent = self.connections.start(&alan, "google-calendar", second)?;
        self.give(&alan, &consent, "edsger")?;
        Ok(())
    }

    /// Connections that need attention, or have ended.
    fn trouble(&self, lost: ConnectionId, waiting: ConnectionId, over: ConnectionId) -> Done {
        self.calendar.go_to(Duration::from_secs(5 * 3_600));
        // The user removes the access at the provider, and the next refresh finds out.
        self.sandbox.revoke_at_server("sofia");
        let _ = self.connections.refresh(&acting_user("sofia")?, lost);
        self.calendar.go_to(Duration::ZERO);
        self.sandbox
            .adjust(|it| it.token_outage = Some(Refusal::Empty(503)));
        let _ = self.connections.refresh(&acting_user("hubert")?, waiting);
        self.sandbox.adjust(|it| it.token_outage = None);
        self.connections.revoke(&acting_user("edsger")?, over)?;
        Ok(())
    }

    /// Links that were sent and not used yet.
    fn links(&self) -> Done {
        for (user, service) in [("alan", "onedrive"), ("radia", "spotify")] {
            self.connections
                .prepare(&acting_user(user)?, service, ConsentOptions::default())?;
        }
        Ok(())
    }

    fn connect(&self, user: &str, service: &str, options: ConsentOptions) -> Done<Connection> {
        let person = acting_user(user)?;
        let consent = self.connections.start(&person, service, options)?;
        self.give(&person, &consent, user)
    }

    fn give(&self, person: &ActingUser, consent: &Consent, account: &str) -> Done<Connection> {
        let callback = self.sandbox.approve(consent.authorization_url(), account);
        self.complete(person, consent, &callback)
    }

    fn complete(&self, person: &ActingUser, consent: &Consent, callback: &str) -> Done<Connection> {
        let response = AuthorizationResponse::parse(callback)?;
        Ok(self.connections.complete(person, response, consent.binding())?)
    }

    fn use_once(&self, user: &str, service: &str, purpose: &str) -> Done {
        let turn = self.resolver.turn(acting_user(user)?).purpose(purpose)?;
        let request = Request::get("/notes").body(Vec::new())?;
        let _ = turn.send(service, request);
        Ok(())
    }
}
