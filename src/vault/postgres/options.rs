//! The address of the database, and the limits of its use.

use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

use crate::vault::VaultError;

/// The setting that holds the mark of a session.
pub(super) const MARK: &str = "valetkey.session";

/// The address of a database, and the limits of its use.
///
/// ```no_run
/// use std::time::Duration;
///
/// use valetkey::vault::{MasterKey, PostgresOptions};
///
/// let key = MasterKey::from_file("/run/secrets/master_key")?;
/// let vault = PostgresOptions::new("host=db1,db2 user=agent dbname=agent")?
///     .password(std::fs::read_to_string("/run/secrets/password").unwrap_or_default())
///     .max_sessions(16)
///     .connect(key)?;
/// # Ok::<(), valetkey::vault::VaultError>(())
/// ```
#[derive(Clone)]
pub struct PostgresOptions {
    config: Config,
    schema: String,
    is_encrypted: bool,
    roots: Vec<Vec<u8>>,
    pub(super) statements: Statements,
    pub(super) names_tenants: bool,
    pub(super) sessions: usize,
    pub(super) pool_wait: Duration,
    pub(super) deadline: Duration,
    pub(super) max_staleness: Duration,
}

/// The largest value of [`PostgresOptions::max_staleness`].
const MOST_STALENESS: Duration = Duration::from_secs(5);

/// The way in which statements are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Statements {
    /// Each is prepared once on each session.
    Prepared,
    /// Each is parsed whenever it runs, within a transaction that brings its own settings: the next
    /// transaction may run on another session of the server.
    Unnamed,
}

impl PostgresOptions {
    /// Reads the address from a URL (`postgresql://agent@db.example/agent`) or from keys and values
    /// (`host=db.example user=agent dbname=agent`), as `libpq` does.
    ///
    /// Several hosts are tried in turn, and only one that accepts writes is used.
    ///
    /// # Errors
    ///
    /// [`VaultError::Unsupported`] if the text is not such an address. The error does not repeat
    /// it.
    pub fn new(address: &str) -> Result<Self, VaultError> {
        let mut config: Config = address.parse().map_err(|_| {
            VaultError::Unsupported("the address of the database is neither a URL nor keys and values")
        })?;
        if config.get_hosts().is_empty() {
            return Err(VaultError::Unsupported(
                "the address of the database names no host",
            ));
        }
        config
            .application_name("valetkey")
            .target_session_attrs(TargetSessionAttrs::ReadWrite)
            .keepalives_idle(Duration::from_secs(30));
        Ok(Self {
            config,
            schema: "valetkey".to_owned(),
            is_encrypted: true,
            roots: Vec::new(),
            statements: Statements::Prepared,
            names_tenants: false,
            sessions: 8,
            pool_wait: Duration::from_secs(5),
            deadline: Duration::from_secs(10),
            max_staleness: Duration::from_secs(1),
        })
    }

    /// Sets the password, so that it need not be part of the address. A line break at its end is
    /// ignored.
    #[must_use]
    pub fn password(mut self, password: impl AsRef<str>) -> Self {
        let password = password.as_ref();
        self.config.password(password.trim_end_matches(['\r', '\n']));
        self
    }

    /// Sets the schema that contains the tables of the vault. It is created if it does not exist.
    /// Default: `valetkey`.
    ///
    /// # Errors
    ///
    /// [`VaultError::Unsupported`] if the name has characters other than lower-case letters, digits
    /// and `_`, or more than 63 of them.
    pub fn schema(mut self, schema: impl Into<String>) -> Result<Self, VaultError> {
        let schema = schema.into();
        let is_name = !schema.is_empty()
            && schema.len() <= 63
            && !schema.starts_with(|first: char| first.is_ascii_digit())
            && schema
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if !is_name {
            return Err(VaultError::Unsupported(
                "the name of a schema consists of lower-case letters, digits and `_`",
            ));
        }
        self.schema = schema;
        Ok(self)
    }

    /// Trusts a certificate authority in addition to Mozilla's: a DER certificate, such as that of
    /// a private authority or of a hosting provider.
    #[must_use]
    pub fn root(mut self, certificate: impl Into<Vec<u8>>) -> Self {
        self.roots.push(certificate.into());
        self
    }

    /// Connects without TLS.
    ///
    /// # Security
    ///
    /// Every host on the way can read and change the rows. Tokens stay sealed, but names and times
    /// are visible, and the password may be. Connections over Unix sockets are not affected: they
    /// have no TLS.
    #[must_use]
    pub fn dangerous_without_tls(mut self) -> Self {
        self.is_encrypted = false;
        self
    }

    /// Sets the number of sessions that are open at most, at least 1. Default: 8.
    #[must_use]
    pub fn max_sessions(mut self, sessions: usize) -> Self {
        self.sessions = sessions.max(1);
        self
    }

    /// Sets the time for which a caller waits for a session while all are in use. Default: 5 s.
    /// [`VaultError::Busy`] follows.
    #[must_use]
    pub fn session_wait(mut self, wait: Duration) -> Self {
        self.pool_wait = wait;
        self
    }

    /// Sets the time within which the server must answer each request. Default: 10 s. After that
    /// the session is closed, and the caller gets [`VaultError::Unreachable`].
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets the time for which a token may be used again without asking the server, at most 5 s.
    /// Default: 1 s. With zero, each resolve asks the server.
    ///
    /// When a revocation on another machine has returned, no resolve that begins `max_staleness`
    /// later returns the token. The same applies to every other change, and to the providers and
    /// client registrations that tenants add. Changes of this vault handle count at once. Tokens
    /// are remembered as the server stores them, sealed, in at most 2 MiB; that a user is not
    /// connected is not remembered.
    ///
    /// [`Turn::peek`](crate::resolver::Turn::peek) knows only tokens that are remembered.
    ///
    /// # Errors
    ///
    /// [`VaultError::Unsupported`] if the time is longer than 5 s.
    pub fn max_staleness(mut self, bound: Duration) -> Result<Self, VaultError> {
        if bound > MOST_STALENESS {
            return Err(VaultError::Unsupported(
                "max_staleness is longer than 5 s; choose a shorter time",
            ));
        }
        self.max_staleness = bound;
        Ok(self)
    }

    /// Uses only what a pooler in transaction mode supports, such as pgbouncer or the pooled
    /// address of a hosting provider: no prepared statements, and no settings of a session.
    ///
    /// Each statement is then parsed and planned whenever it runs, which makes it several times as
    /// expensive for the server. Prefer an address that leads to the server itself. Without this
    /// option, [`connect`](Self::connect) refuses the address of such a pooler.
    #[must_use]
    pub fn transaction_pooling(mut self) -> Self {
        self.statements = Statements::Unnamed;
        self
    }

    /// Names the tenant of each statement to the server, in the setting `valetkey.tenant`, for
    /// policies of row-level security. The setting holds the number of the tenant until the end of
    /// the transaction, and is sent with the statement, in the same round trip.
    ///
    /// The guide *Hosts on several machines* has the policies and the roles. A role that is subject
    /// to them serves users; upkeep, rotations and transfers need one that sees all rows.
    #[must_use]
    pub fn row_level_security(mut self) -> Self {
        self.names_tenants = true;
        self
    }

    /// Returns the settings of a session. The server ends what the client no longer waits for.
    fn settings(&self) -> [(&'static str, String); 4] {
        let millis = self.deadline.as_millis();
        [
            ("search_path", self.schema.clone()),
            ("statement_timeout", millis.to_string()),
            ("lock_timeout", millis.to_string()),
            ("idle_in_transaction_session_timeout", millis.to_string()),
        ]
    }

    /// Returns the statements that begin a transaction, with the settings that the session lacks.
    pub(super) fn begin(&self, begin: &str) -> String {
        let mut text = begin.to_owned();
        if self.statements == Statements::Unnamed {
            for (name, value) in self.settings() {
                text.push_str(&format!("; SET LOCAL {name} = {value}"));
            }
        }
        text
    }

    pub(super) fn schema_name(&self) -> &str {
        &self.schema
    }

    pub(super) fn roots(&self) -> &[Vec<u8>] {
        &self.roots
    }

    /// Returns whether connections need TLS.
    pub(super) fn needs_tls(&self) -> bool {
        let is_local = self.config.get_hosts().iter().all(|host| match host {
            Host::Tcp(_) => false,
            #[cfg(unix)]
            Host::Unix(_) => true,
        });
        self.is_encrypted && !is_local
    }

    /// Returns the parameters of a session with this mark, which a session of the server shows only
    /// if it got its settings from this client.
    pub(super) fn session_config(&self, mark: &str) -> Config {
        let mut config = self.config.clone();
        config
            .ssl_mode(if self.needs_tls() {
                SslMode::Require
            } else {
                SslMode::Disable
            })
            .connect_timeout(self.deadline);
        if self.statements == Statements::Prepared {
            let mut options = format!("-c {MARK}={mark}");
            for (name, value) in self.settings() {
                options.push_str(&format!(" -c {name}={value}"));
            }
            config.options(options);
        }
        config
    }
}

impl std::fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresOptions")
            .field("schema", &self.schema)
            .field("is_encrypted", &self.is_encrypted)
            .field("sessions", &self.sessions)
            .field("deadline", &self.deadline)
            .field("max_staleness", &self.max_staleness)
            .finish_non_exhaustive()
    }
}
