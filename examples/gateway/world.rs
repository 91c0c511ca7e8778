//! The parts of the demonstration, and the connections that exist at its start.

use std::error::Error;

use valetkey::gateway::{Gateway, Mount};
use valetkey::http::UreqClient;
use valetkey::model::Connection;
use valetkey::testing::Sandbox;
use valetkey::vault::{MasterKey, SqliteVault};
use valetkey::{
    ActingUser, AuthorizationResponse, Connections, Consent, ConsentOptions, Operator, Resolver, SystemClock,
    TenantId,
};

use crate::MOUNTED_AT;
use crate::host::{Host, Sessions};

/// The users of the demonstration: the name with which they sign in, and whether they are
/// operators.
pub const PEOPLE: [(&str, &str, bool); 3] = [
    ("ada", "Ada, who works here", false),
    ("grace", "Grace, who works here too", false),
    ("olga", "Olga, who looks after the connections", true),
];

pub struct World {
    pub host: Host,
    pub sandbox: Sandbox,
    pub seeds: Seeds,
}

impl World {
    /// A host at one origin and a provider at another.
    pub fn build(origin: &str, provider: &str) -> Result<Self, Box<dyn Error>> {
        let mount = Mount::dangerous_loopback_http(origin)?.under(MOUNTED_AT)?;
        let sandbox = Sandbox::at(provider, SystemClock);
        let mut builder = Connections::builder(SqliteVault::in_memory(MasterKey::generate()?)?)
            .server(sandbox.server())
            .client("sandbox", sandbox.registration(&mount.callback_url("sandbox")))
            .http_client(UreqClient::new().dangerous_loopback_http())
            .dangerous_loopback_http();
        for (id, name, group) in [
            ("notes", "Sandbox Notes", "Productivity"),
            ("tasks", "Sandbox Tasks", "Productivity"),
            ("mail", "Sandbox Mail", "Mail & calendar"),
            ("calendar", "Sandbox Calendar", "Mail & calendar"),
            ("steps", "Sandbox Steps", "Health & lifestyle"),
        ] {
            // A descriptor is a document: the sandbox's own, with three members changed.
            let mut provider = serde_json::to_value(sandbox.provider(id))?;
            provider["name"] = name.into();
            provider["group"] = group.into();
            provider["scope_names"] = serde_json::json!([
                {"scope": "notes.read", "text": {"en": "See your data", "ru": "Видеть ваши данные"}},
                {"scope": "notes.write", "writes": true,
                 "text": {"en": "Create and change data", "ru": "Создавать и менять данные"}},
            ]);
            builder = builder.provider(serde_json::from_value(provider)?);
        }
        let connections = builder.build()?;
        let sessions = Sessions::default();
        let gateway = Gateway::new(connections.clone(), mount, sessions.clone())
            .title("Acme Assistant")
            .account_link("Switch user", "/sign-in")?;
        Ok(Self {
            host: Host {
                gateway,
                connections: connections.clone(),
                resolver: Resolver::new(connections.clone()),
                sessions,
            },
            sandbox: sandbox.clone(),
            seeds: Seeds { connections, sandbox },
        })
    }
}

/// Makes a healthy workspace connection, and one of Grace that needs consent.
pub struct Seeds {
    connections: Connections,
    sandbox: Sandbox,
}

impl Seeds {
    pub fn sow(&self) -> Result<(), Box<dyn Error>> {
        let grace = acting_user("grace")?;
        let consent = self
            .connections
            .start(&grace, "mail", ConsentOptions::default())?;
        let mail = self.give(&grace, &consent, "grace")?;
        // She revokes the access at the provider; the next refresh detects it.
        self.sandbox.revoke_at_server("grace");
        let _ = self.connections.refresh(&grace, mail.id);

        let olga = Operator::authenticated(tenant()?, "olga")?;
        let options = ConsentOptions::default().label(valetkey::model::Label::new("team")?);
        let consent = self.connections.start_workspace(&olga, "calendar", options)?;
        self.give(olga.acting_user(), &consent, "ada")?;
        Ok(())
    }

    fn give(
        &self,
        person: &ActingUser,
        consent: &Consent,
        account: &str,
    ) -> Result<Connection, Box<dyn Error>> {
        let callback = self.sandbox.approve(consent.authorization_url(), account);
        let response = AuthorizationResponse::parse(&callback)?;
        Ok(self.connections.complete(person, response, consent.binding())?)
    }
}

pub fn tenant() -> Result<TenantId, Box<dyn Error>> {
    Ok(TenantId::new("acme")?)
}

pub fn acting_user(name: &str) -> Result<ActingUser, Box<dyn Error>> {
    Ok(ActingUser::authenticated(tenant()?, name)?)
}
