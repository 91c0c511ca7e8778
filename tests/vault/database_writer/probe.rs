//! Uses every operation of a vault after its file was edited, and checks the results.

use std::collections::BTreeMap;
use std::time::Duration;

use valetkey::connections::{AuditPage, Budget, ConnectionFilter};
use valetkey::error::Error;
use valetkey::internals::model::issued_by;
use valetkey::internals::vault::{AuditLog as _, GrantStore as _, Housekeeping as _, Rotation, chain_of};
use valetkey::model::{Connection, Label, Owner, Scopes};
use valetkey::resolver::{ResolveOptions, ResolvedToken};
use valetkey::vault::{AuditEntry, VaultError};
use valetkey::{AuthorizationResponse, Binding, Clock as _};

use crate::database_writer::definitions;
use crate::database_writer::edit::Effect;
use crate::database_writer::servers::{HONEST, HOSTILE, Seen, read_token};
use crate::database_writer::world::{ACME, ELSEWHERE, Host, PEOPLE, World, operator, person, tenant};

/// The account of each user at each service. If there are several, any of them is right.
const ACCOUNTS: [(usize, &str, &str, &[&str]); 11] = [
    (0, "notes", "honest", &["ada", "adawork"]),
    (0, "game", "robber", &["adaplays"]),
    (0, "mail", "honest", &["adamail"]),
    (1, "notes", "honest", &["bobby"]),
    (1, "mail", "honest", &["bobmail"]),
    (2, "notes", "honest", &["carla"]),
    (2, "mail", "honest", &["carla"]),
    (3, "notes", "honest", &["davy"]),
    (6, "notes", "honest", &["malnotes"]),
    (6, "game", "robber", &["mal"]),
    (7, "notes", "honest", &["anna"]),
];

/// The results of the calls: the name of the vault's error, or of another outcome.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) calls: BTreeMap<String, String>,
    /// The vault's errors, and the findings of a verification.
    pub(crate) alarms: BTreeMap<String, String>,
    /// Violations of rules that hold for every edit.
    pub(crate) broken: Vec<String>,
}

impl Outcome {
    pub(crate) fn is_detected(&self) -> bool {
        !self.alarms.is_empty()
    }

    /// The file was not opened.
    pub(crate) fn refused(error: &VaultError) -> Self {
        let mut outcome = Self::default();
        outcome.alarm("open", name(error));
        outcome
    }

    fn alarm(&mut self, label: &str, what: impl Into<String>) {
        self.alarms.insert(label.to_owned(), what.into());
    }

    fn call<T>(&mut self, label: &str, result: Result<T, impl Into<Error>>) -> Option<T> {
        let word = match result {
            Ok(value) => {
                self.calls.insert(label.to_owned(), "ok".into());
                return Some(value);
            }
            Err(error) => match error.into() {
                Error::Vault(error) => {
                    self.alarm(label, name(&error));
                    name(&error)
                }
                error => name(&error),
            },
        };
        self.calls.insert(label.to_owned(), word);
        None
    }

    fn never(&mut self, what: impl Into<String>) {
        self.broken.push(what.into());
    }
}

/// Returns the first word of an error: its variant.
pub(crate) fn name(error: &impl std::fmt::Debug) -> String {
    let text = format!("{error:?}");
    text.split(|c: char| !c.is_alphanumeric())
        .next()
        .unwrap_or_default()
        .to_owned()
}

pub(crate) struct Probe<'a> {
    pub(crate) host: &'a Host,
    pub(crate) world: &'a World,
    pub(crate) outcome: Outcome,
    effect: Effect,
}

impl<'a> Probe<'a> {
    pub(crate) fn new(host: &'a Host, world: &'a World) -> Self {
        Self {
            host,
            world,
            outcome: Outcome::default(),
            effect: Effect::Change,
        }
    }

    /// Sets the effect that the edit may have.
    pub(crate) const fn after(mut self, effect: Effect) -> Self {
        self.effect = effect;
        self
    }

    /// Fills the caches of a handle: keys, statements, pages.
    pub(crate) fn warm(&self) {
        for who in PEOPLE {
            for service in ["notes", "mail", "game"] {
                let _ = self.host.resolver.peek(&person(who), service);
            }
        }
        for workspace in [ACME, ELSEWHERE] {
            let page = AuditPage::default().limit(1);
            self.host.connections.audit(&operator(workspace), &page).unwrap();
        }
        for head in &self.world.heads {
            self.host.vault.proves(head).unwrap();
        }
        for of in [ACME, ELSEWHERE] {
            for key in definitions::KEYS {
                definitions::read(&self.host.vault, &tenant(of), key).unwrap();
            }
        }
    }

    /// Runs all operations, in an order in which each step has data to work on.
    pub(crate) fn run(mut self) -> Outcome {
        self.look();
        self.consents();
        self.use_tokens("fresh");
        self.host.clock.advance(Duration::from_secs(2 * 3_600));
        self.use_tokens("expired");
        self.upkeep("maintain");
        self.rotate();
        self.host.clock.advance(Duration::from_secs(2 * 3_600));
        self.revoke();
        self.host.clock.advance(Duration::from_secs(8 * 24 * 3_600));
        self.upkeep("late maintain");
        self.shown("last list");
        self.requests();
        self.outcome
    }

    /// Reads without changing anything. All results must be true.
    pub(crate) fn look(&mut self) {
        self.shown("list");
        self.definitions();
        for (workspace, id) in &self.world.grants {
            let read = self.host.vault.grant(workspace, *id);
            self.outcome.call(&format!("grant {id}"), read);
        }
        for head in &self.world.heads {
            let proved = self.host.vault.proves(head);
            if self.outcome.call(&format!("proves {:?}", chain_of(head)), proved) == Some(false) {
                self.outcome.alarm("proves", "Missing");
            }
        }
        for chain in Host::chains() {
            let report = self.host.vault.verify_chain(&chain, &mut |_, _| {});
            if let Some(report) = self.outcome.call(&format!("verify {chain:?}"), report)
                && !report.is_intact()
            {
                self.outcome.alarm("verify", "Broken");
            }
        }
        for workspace in [ACME, ELSEWHERE] {
            let entries = self
                .host
                .connections
                .audit(&operator(workspace), &AuditPage::default());
            let entries: Option<Vec<AuditEntry>> = self.outcome.call(&format!("audit {workspace}"), entries);
            drop(entries);
        }
    }

    /// A definition that is read has the content that was stored in its place.
    fn definitions(&mut self) {
        for of in [ACME, ELSEWHERE] {
            for key in definitions::KEYS {
                let read = definitions::read(&self.host.vault, &tenant(of), key);
                let label = format!("definition {of} {key:?}");
                let Some(Some(found)) = self.outcome.call(&label, read) else {
                    continue;
                };
                let is_right = |version| found == definitions::text(&definitions::content(of, key, version));
                if !(is_right(2) || self.effect == Effect::Rollback && is_right(1)) {
                    self.outcome.never(format!("{label} is another one: {found}"));
                }
            }
        }
    }

    fn shown(&mut self, label: &str) {
        for workspace in [ACME, ELSEWHERE] {
            let filter = ConnectionFilter::default().include_revoked();
            let listed = self.host.connections.list(&operator(workspace), &filter);
            let listed = self.outcome.call(&format!("{label} {workspace}"), listed);
            for connection in listed.unwrap_or_default() {
                self.check_shown(&connection);
            }
        }
        for known in &self.world.connections {
            let read = self.host.vault.connection(&known.tenant, known.id);
            if let Some(Some(connection)) = self.outcome.call(&format!("{label} {}", known.id), read) {
                self.check_shown(&connection);
            }
        }
    }

    /// The fields that identify a connection never change; those that a refresh changes agree with
    /// the token.
    fn check_shown(&mut self, shown: &Connection) {
        let known = self.world.connections.iter().find(|known| known.id == shown.id);
        let Some(known) = known else {
            let is_new = matches!(&shown.account, Some(account) if ["adamail", "bobmail"].contains(&account.id.as_str()));
            if !is_new {
                self.outcome
                    .never(format!("a connection that nobody made: {shown:?}"));
            }
            return;
        };
        let facts = |of: &Connection| {
            (
                of.tenant.clone(),
                of.owner.clone(),
                of.provider.clone(),
                of.label.clone(),
                of.account.clone(),
                of.requested.clone(),
                of.granted.clone(),
                of.parameters.clone(),
                issued_by(of).clone(),
                of.created_at,
            )
        };
        if facts(shown) != facts(known) {
            self.outcome
                .never(format!("wrong facts are shown: {shown:?} for {known:?}"));
        }
        if self.effect == Effect::Rollback {
            return;
        }
        if shown.generation < known.generation
            || shown.generation == known.generation && shown.expires_at != known.expires_at
        {
            self.outcome
                .never(format!("a wrong time is shown: {shown:?} for {known:?}"));
        }
    }

    fn options(service: &str) -> [(&'static str, ResolveOptions<'_>); 2] {
        let work = ResolveOptions::new(service).label(Label::new("work").unwrap());
        [("", ResolveOptions::new(service)), ("work", work)]
    }

    fn use_tokens(&mut self, when: &str) {
        for (at, who) in PEOPLE.into_iter().enumerate() {
            for service in ["notes", "mail", "game"] {
                for (label, options) in Self::options(service) {
                    if label == "work" && (at != 0 || service != "notes") {
                        continue;
                    }
                    let call = format!("{when} {who:?} {service} {label}");
                    let token = self.host.resolver.resolve(&person(who), &options);
                    if let Some(token) = self.outcome.call(&call, token) {
                        self.check_token(at, service, label, &token);
                    }
                }
                let scopes = Scopes::new(["admin.root"]).unwrap();
                let more = ResolveOptions::new(service).scopes(scopes);
                if self.host.resolver.resolve(&person(who), &more).is_ok() {
                    self.outcome.never(format!(
                        "{who:?} was given a scope of {service} that nobody granted"
                    ));
                }
                let request = http::Request::get("/items").body(Vec::new()).unwrap();
                let sent = self.host.resolver.send(&person(who), service, request);
                self.outcome.call(&format!("{when} send {who:?} {service}"), sent);
            }
        }
    }

    fn check_token(&mut self, at: usize, service: &str, label: &str, token: &ResolvedToken) {
        let (server, account, expires_at) = read_token(token.access_token().expose_secret());
        let team = match PEOPLE[at].0 {
            ACME => "team",
            _ => "otherteam",
        };
        let own = ACCOUNTS
            .iter()
            .find(|(who, provider, ..)| *who == at && *provider == service);
        let is_right = if token.is_workspace() {
            service == "mail" && server == "honest" && account == team
        } else {
            own.is_some_and(|(_, _, issuer, accounts)| {
                *issuer == server && accounts.contains(&account.as_str())
            })
        };
        let is_named = label != "work" || account == "adawork";
        if !is_right || !is_named {
            self.outcome.never(format!(
                "{:?} was given {account} of {server} for {service} {label}",
                PEOPLE[at]
            ));
        }
        if token.expires_at() != Some(expires_at) || expires_at <= self.host.clock.now() {
            self.outcome
                .never(format!("a token of {account} with a wrong expiry"));
        }
        let elsewhere = if server == "honest" { HOSTILE } else { HONEST };
        if token.allows(&format!("{elsewhere}/api/items").parse().unwrap()) {
            self.outcome
                .never(format!("the token of {account} may be sent to {elsewhere}"));
        }
    }

    /// Completes alice's consent and bob's link. Other users try first.
    fn consents(&mut self) {
        let [alice, bob, .., mallory, namesake] = PEOPLE.map(person);
        for (label, who) in [("alice", &alice), ("mallory", &mallory)] {
            for (name, id) in [("consent", self.world.pending.0), ("link", self.world.link)] {
                let polled = self.host.connections.poll(who, id);
                self.outcome.call(&format!("poll {name} {label}"), polled);
            }
        }
        let polled = self.host.connections.poll(&bob, self.world.link);
        self.outcome.call("poll link bob", polled);
        for (label, who) in [("mallory", &mallory), ("namesake", &namesake), ("bob", &bob)] {
            let completed = self
                .host
                .connections
                .complete(who, self.response(), &self.world.binding());
            if completed.is_ok() {
                self.outcome
                    .never(format!("{label} completed the consent of alice"));
            }
        }
        let elsewhere =
            self.host
                .connections
                .complete(&alice, self.response(), &Binding::new("another-browser"));
        if elsewhere.is_ok() {
            self.outcome.never("the consent was completed in another browser");
        }
        let completed = self
            .host
            .connections
            .complete(&alice, self.response(), &self.world.binding());
        if let Some(connection) = self.outcome.call("complete", completed) {
            self.check_new(&connection, "alice", "adamail");
        }
        for (label, who) in [("mallory", &mallory), ("alice", &alice)] {
            if self.host.connections.open_link(who, &self.world.ticket()).is_ok() {
                self.outcome.never(format!("{label} opened the link for bob"));
            }
        }
        let opened = self.host.connections.open_link(&bob, &self.world.ticket());
        let Some(consent) = self.outcome.call("open", opened) else {
            return;
        };
        let is_right = consent.authorization_url().origin().ascii_serialization() == HONEST
            && consent.provider().as_str() == "mail"
            && consent.scopes().to_string() == "mail.read";
        if !is_right {
            self.outcome
                .never(format!("the link leads elsewhere: {consent:?}"));
            return;
        }
        let callback = AuthorizationResponse::parse(&self.host.callback(&consent, "bobmail")).unwrap();
        let completed = self.host.connections.complete(&bob, callback, consent.binding());
        if let Some(connection) = self.outcome.call("complete link", completed) {
            self.check_new(&connection, "bob", "bobmail");
        }
    }

    fn response(&self) -> AuthorizationResponse {
        AuthorizationResponse::parse(&self.world.pending.1).unwrap()
    }

    fn check_new(&mut self, connection: &Connection, user: &str, account: &str) {
        let is_right = connection.tenant == tenant(ACME)
            && connection.owner == Owner::Personal(person((ACME, user)).user().clone())
            && connection.provider.as_str() == "mail"
            && issued_by(connection).token_endpoint == format!("{HONEST}/token")
            && connection.requested.to_string() == "mail.read"
            && connection.granted.to_string() == "mail.read"
            && connection.account.as_ref().is_some_and(|it| it.id == account);
        if !is_right {
            self.outcome
                .never(format!("a consent led to a wrong connection: {connection:?}"));
        }
    }

    fn upkeep(&mut self, label: &str) {
        let done = self.host.connections.maintain(Budget::default());
        self.outcome.call(label, done);
        let retried = self
            .host
            .connections
            .retry_rejected(&operator(ACME), "notes", None, 10);
        self.outcome.call(&format!("{label}: retry"), retried);
    }

    fn rotate(&mut self) {
        let now = self.host.clock.now();
        let acme = tenant(ACME);
        for rotation in [
            Rotation::MasterKey { limit: 100 },
            Rotation::DataKey(&acme),
            Rotation::Tokens { limit: 100 },
        ] {
            let rotated = self.host.vault.rotate(rotation, now);
            self.outcome.call(&format!("rotate {rotation:?}"), rotated);
        }
    }

    /// Ends one of each kind: a connection, a family, one with a former grant, one that is pending
    /// already.
    fn revoke(&mut self) {
        let known: Vec<_> = self.world.connections.clone();
        for connection in known {
            let operator = operator(connection.tenant.as_str());
            let label = format!("revoke {}", connection.id);
            if connection.id == self.world.family {
                let revoked = self.host.connections.revoke_grant(&operator, connection.id);
                self.outcome.call(&label, revoked);
            } else {
                let revoked = self.host.connections.revoke(&operator, connection.id);
                self.outcome.call(&label, revoked);
            }
        }
    }

    /// Checks that no server saw a secret of the other.
    fn requests(&mut self) {
        for Seen { origin, path, text } in self.host.network.seen() {
            let other = match origin.as_str() {
                HONEST => "-robber",
                HOSTILE => "-honest",
                _ => "",
            };
            // All verifiers of this vault belong to the honest server.
            let verifier = origin != HONEST && text.contains("code_verifier");
            if other.is_empty() || text.contains(other) || verifier {
                self.outcome.never(format!("sent to {origin}{path}: {text}"));
            }
        }
    }
}
