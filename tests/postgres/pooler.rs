//! The pooler pgbouncer in transaction mode.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use valetkey::testing::Host;
use valetkey::testing::vault_contract::check;
use valetkey::vault::{MasterKey, PostgresOptions, VaultError};

use crate::support::postgres::{Cluster, is_root};
use crate::support::processes::key;
use crate::support::world::person;

/// A pooler that runs until this is dropped.
struct Pooler {
    directory: tempfile::TempDir,
    process: Child,
}

impl Pooler {
    /// Starts a pooler that shares two sessions of the server among all clients.
    fn start(cluster: &Cluster, ignored: &str) -> Option<Self> {
        let program = "/usr/sbin/pgbouncer";
        if !fs::exists(program).unwrap() {
            let is_required = std::env::var_os("VALETKEY_PG").is_some_and(|value| value == "required");
            assert!(!is_required, "pgbouncer is not installed");
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().display().to_string();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let server = cluster.directory().display().to_string();
        let settings = format!(
            "[databases]\npostgres = host={server} port={} user=valetkey\n[pgbouncer]\nlisten_addr =\n\
             unix_socket_dir = {path}\nauth_type = any\npool_mode = transaction\ndefault_pool_size = 2\n\
             min_pool_size = 2\nignore_startup_parameters = extra_float_digits{ignored}\n\
             logfile = {path}/log\npidfile = {path}/pid\n",
            cluster.port()
        );
        let file = directory.path().join("pgbouncer.ini");
        fs::write(&file, settings).unwrap();
        let mut command = if is_root() {
            // The pooler refuses to run as root.
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", program]);
            command
        } else {
            Command::new(program)
        };
        let process = command
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut pooler = Self { directory, process };
        // The socket exists before the pooler listens on it.
        let socket = pooler.directory.path().join(".s.PGSQL.6432");
        while UnixStream::connect(&socket).is_err() {
            assert!(
                pooler.process.try_wait().unwrap().is_none(),
                "pgbouncer has ended"
            );
            std::thread::yield_now();
        }
        Some(pooler)
    }

    fn options(&self, schema: &str) -> PostgresOptions {
        let path = self.directory.path().display();
        let address = format!("host={path} port=6432 user=valetkey dbname=postgres");
        PostgresOptions::new(&address).unwrap().schema(schema).unwrap()
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn the_contract_of_vaults_holds_behind_a_pooler() {
    let Some(cluster) = Cluster::start() else { return };
    let Some(pooler) = Pooler::start(&cluster, "") else {
        return;
    };
    let options = |schema: &str| pooler.options(schema).transaction_pooling();
    check(&|| {
        let vault = options(&cluster.schema()).connect(MasterKey::generate().unwrap());
        Arc::new(vault.unwrap())
    });
}

#[test]
fn hosts_behind_a_pooler_keep_their_schemas_and_statements_apart() {
    let Some(cluster) = Cluster::start() else { return };
    let Some(pooler) = Pooler::start(&cluster, "") else {
        return;
    };
    let names = ["one", "two", "three", "four"];
    std::thread::scope(|scope| {
        for name in names {
            let (cluster, pooler) = (&cluster, &pooler);
            scope.spawn(move || {
                let options = pooler.options(&format!("vault_{name}")).transaction_pooling();
                let host = Host::builder()
                    .vault(options.connect(key()).unwrap())
                    .build()
                    .unwrap();
                let user = person(name);
                host.connect(&user, "notes");
                for generation in 2..12 {
                    host.expire();
                    let token = host.resolver.resolve(&user, "notes").unwrap();
                    assert_eq!(token.generation(), generation);
                }
                assert_eq!(host.sandbox.live_grants().len(), 1);
                let owners = format!("SELECT string_agg(owner, ' ') FROM vault_{name}.connections");
                assert!(cluster.sql(&owners).ends_with(name), "{}", cluster.sql(&owners));
            });
        }
    });
}

#[test]
fn a_pooler_without_the_option_is_refused_and_nothing_is_created() {
    let Some(cluster) = Cluster::start() else { return };
    // A pooler that refuses settings of a session, one that drops them, and one that drops them
    // where the server would supply the schema.
    for (ignored, role) in [
        ("", ""),
        (", options", ""),
        (", options", "ALTER ROLE valetkey SET search_path = pooled"),
    ] {
        if !role.is_empty() {
            cluster.sql(role);
        }
        let Some(pooler) = Pooler::start(&cluster, ignored) else {
            return;
        };
        let error = pooler.options("pooled").connect(key()).unwrap_err();
        assert!(
            matches!(error, VaultError::Unsupported(_)),
            "{ignored}: {error:?}"
        );
        let text = error.to_string();
        assert!(text.contains("transaction_pooling"), "{text}");
        assert!(!error.is_retryable());
        let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname = 'pooled'";
        assert_eq!(cluster.sql(schemas), "0");
        let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
        assert_eq!(cluster.sql(tables), "0");
    }
}
