//! The parts of the demonstration.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use valetkey::gateway::{Gateway, Mount};
use valetkey::http::UreqClient;
use valetkey::model::Timestamp;
use valetkey::testing::Sandbox;
use valetkey::vault::{MasterKey, SqliteVault};
use valetkey::{Clock, Connections, Resolver, SystemClock};

use crate::host::{Host, Sessions};
use crate::people::{self, MEMBERS};
use crate::seeds::Seeds;
use crate::services::{Descriptors, descriptors};

/// A clock that is behind while the past of the company is made up.
#[derive(Debug, Clone, Default)]
pub struct Calendar(Arc<AtomicU64>);

impl Calendar {
    /// Goes to a time before the present.
    pub fn go_to(&self, ago: Duration) {
        self.0.store(ago.as_secs(), Ordering::Relaxed);
    }
}

impl Clock for Calendar {
    fn now(&self) -> Timestamp {
        let behind = Duration::from_secs(self.0.load(Ordering::Relaxed));
        let behind = i64::try_from(behind.as_millis()).unwrap_or_default();
        Timestamp::from_unix_millis(SystemClock.now().as_unix_millis() - behind)
    }
}

pub struct World {
    pub host: Host,
    pub sandbox: Sandbox,
    pub seeds: Seeds,
}

impl World {
    /// A host at one origin and a provider at another.
    pub fn build(origin: &str, provider: &str) -> Result<Self, Box<dyn Error>> {
        // At the root, the token endpoint is `POST /v1/oauth/token`.
        let mount = Mount::dangerous_loopback_http(origin)?;
        let calendar = Calendar::default();
        let sandbox = Sandbox::at(provider, calendar.clone());
        for member in MEMBERS
            .iter()
            .filter(|member| !matches!(member.id, "ada" | "grace"))
        {
            sandbox.add_account(member.account());
        }
        let Descriptors { servers, providers } = descriptors(&sandbox)?;
        let mut builder = Connections::builder(SqliteVault::in_memory(MasterKey::generate()?)?)
            .http_client(UreqClient::new().dangerous_loopback_http())
            .clock(calendar.clone())
            .dangerous_loopback_http();
        for server in servers {
            let id = server.id().to_string();
            let client = sandbox.registration(&mount.callback_url(&id));
            builder = builder.server(server).client(id, client);
        }
        for provider in providers {
            builder = builder.provider(provider);
        }
        let connections = builder.build()?;
        let resolver = Resolver::new(connections.clone());
        let sessions = Sessions::default();
        let gateway = Gateway::new(connections.clone(), mount, sessions.clone())
            .title("Acme Assistant")
            .directory(people::directory)
            .account_link("Switch user", "/sign-in")?
            .switch_user("/sign-in", crate::host::RETURN_TO)?
            .allow_embedding_in(origin)?;
        let seeds = Seeds {
            connections: connections.clone(),
            resolver: resolver.clone(),
            sandbox: sandbox.clone(),
            calendar,
        };
        Ok(Self {
            host: Host {
                gateway,
                connections,
                resolver,
                sessions,
            },
            sandbox,
            seeds,
        })
    }
}
