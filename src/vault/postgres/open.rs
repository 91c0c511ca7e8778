//! Checks the server, and creates the schema in an empty database.

use crate::vault::postgres::io::Io;
use crate::vault::postgres::options::PostgresOptions;
use crate::vault::postgres::pool::Pool;
use crate::vault::{VaultError, VaultWarning};

/// The first version of the schema.
const SCHEMA: &str = include_str!("schema.sql");
/// The steps from each version to the next. A new vault takes all of them.
///
/// Version 2 has entries of the audit that wait to be linked. A process that knows only version 1
/// would link its entries before older ones that wait, so it must not write any more: it refuses to
/// open the schema, and one that is open already cannot write the head of a chain.
const STEPS: [&str; 1] = [include_str!("schema_2.sql")];
/// The newest version of the schema.
const VERSION: usize = STEPS.len() + 1;

/// Processes that open the same new database at once follow one another.
const LOCK: &str = "SELECT pg_advisory_xact_lock(8607110411)";

const SETTINGS: &str = "SELECT pg_is_in_recovery(), current_setting('synchronous_commit'),
    (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p')),
    to_regclass('valetkey_schema') IS NOT NULL,
    (SELECT count(*) FROM pg_stat_replication)::bigint,
    current_setting('synchronous_standby_names') = '' OR current_setting('synchronous_commit') = 'local'";
const FOUND: &str = "SELECT version FROM valetkey_schema WHERE single = 1";

/// Checks the server and opens the schema, or creates it. Returns warnings about the server.
pub(super) fn open(io: &Io, pool: &Pool, options: &PostgresOptions) -> Result<Vec<VaultWarning>, VaultError> {
    let lent = pool.session()?;
    let session = lent.session();
    let schema = options.schema_name().to_owned();
    let begin = pool.begin("BEGIN");
    let opened = io.run(options.deadline, async move {
        session.batch(&begin).await.map_err(|error| failed(&error))?;
        session.batch(LOCK).await.map_err(|error| failed(&error))?;
        let state = state(&session).await?;
        if state.is_replica {
            return Err(VaultError::ReadOnly);
        }
        if state.is_asynchronous {
            return Err(VaultError::Unsupported(
                "the server commits asynchronously; set synchronous_commit to on for the vault's user",
            ));
        }
        match state.version {
            Some(version) if version > VERSION => {
                return Err(VaultError::NewerVersion {
                    found: u32::try_from(version).unwrap_or(u32::MAX),
                    supported: u32::try_from(VERSION).unwrap_or(u32::MAX),
                });
            }
            Some(version) => {
                let steps: Vec<_> = STEPS.into_iter().skip(version.saturating_sub(1)).collect();
                let upgrade = format!("{} COMMIT", steps.concat());
                session.batch(&upgrade).await.map_err(|error| failed(&error))?;
            }
            None if state.tables > 0 => return Err(VaultError::NotAVault),
            None => {
                let create = format!(
                    "CREATE SCHEMA IF NOT EXISTS {schema}; {SCHEMA} {} COMMIT",
                    STEPS.concat()
                );
                session.batch(&create).await.map_err(|error| failed(&error))?;
            }
        }
        Ok(state.warnings())
    });
    if opened.is_err() {
        lent.discard();
    }
    opened
}

/// The state of a server and its schema.
struct State {
    is_replica: bool,
    is_asynchronous: bool,
    tables: i64,
    version: Option<usize>,
    standbys: i64,
    waits_for_no_standby: bool,
}

impl State {
    fn warnings(&self) -> Vec<VaultWarning> {
        if self.standbys > 0 && self.waits_for_no_standby {
            vec![VaultWarning::AsynchronousStandbys]
        } else {
            Vec::new()
        }
    }
}

async fn state(session: &crate::vault::postgres::session::Session) -> Result<State, VaultError> {
    let row = session.row(SETTINGS).await.map_err(|error| failed(&error))?;
    let column = || VaultError::Damaged;
    let commit: &str = row.try_get(1).map_err(|_| column())?;
    let is_vault: bool = row.try_get(3).map_err(|_| column())?;
    let version = if is_vault {
        let row = session.row(FOUND).await.map_err(|error| failed(&error))?;
        let version: i64 = row.try_get(0).map_err(|_| column())?;
        Some(usize::try_from(version).map_err(|_| column())?)
    } else {
        None
    };
    Ok(State {
        is_replica: row.try_get(0).map_err(|_| column())?,
        is_asynchronous: commit == "off",
        tables: row.try_get(2).map_err(|_| column())?,
        version,
        standbys: row.try_get(4).map_err(|_| column())?,
        waits_for_no_standby: row.try_get(5).map_err(|_| column())?,
    })
}

fn failed(error: &tokio_postgres::Error) -> VaultError {
    crate::vault::postgres::failure::meaning(error).into()
}
