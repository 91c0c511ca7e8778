//! Servers that cannot be used: each cause is a typed error, and nothing is changed.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use valetkey::connections::{ConnectionFilter, Settings};
use valetkey::testing::Host;
use valetkey::vault::{MasterKey, PostgresOptions, VaultError};
use valetkey::{ConsentOptions, Error};

use crate::support::postgres::Cluster;
use crate::support::world::person;
use crate::{options, vault};

fn refused(options: PostgresOptions) -> VaultError {
    let error = options.connect(MasterKey::generate().unwrap()).unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(!text.contains("s3cret") && !text.contains("valetkey@"), "{text}");
    error
}

#[test]
fn an_address_that_is_none_is_refused_without_repeating_it() {
    for address in [
        "",
        "s3cret",
        "postgresql://valetkey@:s3cret",
        "user=valetkey",
        "host=a port=s3cret",
    ] {
        let error = PostgresOptions::new(address).unwrap_err();
        assert!(
            matches!(error, VaultError::Unsupported(_)),
            "{address}: {error:?}"
        );
        assert!(!error.to_string().contains("s3cret"));
    }
    let address = "host=/tmp user=valetkey";
    for schema in ["", "Vault", "a b", "a;DROP", "1a", "\"", "ä"] {
        assert!(
            PostgresOptions::new(address).unwrap().schema(schema).is_err(),
            "{schema}"
        );
    }
}

#[test]
fn a_wrong_password_and_an_unknown_user_are_denied() {
    let Some(cluster) = Cluster::start() else { return };
    cluster.sql("CREATE ROLE guest LOGIN PASSWORD 's3cret'");
    cluster.require_passwords();
    let address = cluster.address().replace("user=valetkey", "user=guest");
    let wrong = PostgresOptions::new(&address).unwrap().password("wr0ng");
    assert!(matches!(refused(wrong), VaultError::AccessDenied(_)));
    let none = PostgresOptions::new(&address).unwrap();
    assert!(matches!(refused(none), VaultError::AccessDenied(_)));
    // The password is right, but the role may not create a schema.
    let right = PostgresOptions::new(&address).unwrap().password("s3cret\n");
    assert!(matches!(refused(right), VaultError::AccessDenied(_)));
}

#[test]
fn a_wrong_password_over_the_network_is_denied() {
    let Some(cluster) = Cluster::start_on_tcp() else {
        return;
    };
    cluster.sql("CREATE ROLE guest LOGIN PASSWORD 's3cret'; GRANT CREATE ON DATABASE postgres TO guest");
    cluster.require_passwords();
    let address = cluster.tcp_address().replace("user=valetkey", "user=guest");
    let options = || PostgresOptions::new(&address).unwrap().dangerous_without_tls();
    assert!(matches!(
        refused(options().password("wr0ng")),
        VaultError::AccessDenied(_)
    ));
    assert_eq!(
        cluster.sql("SELECT count(*) FROM pg_namespace WHERE nspname = 'valetkey'"),
        "0"
    );
    let vault = options()
        .password("s3cret")
        .connect(MasterKey::generate().unwrap());
    assert!(vault.is_ok());
}

#[test]
fn a_server_without_tls_is_refused_unless_the_host_says_so() {
    let Some(cluster) = Cluster::start_on_tcp() else {
        return;
    };
    let address = cluster.tcp_address();
    let error = refused(PostgresOptions::new(&address).unwrap());
    assert!(error.to_string().contains("the server offers no TLS"), "{error}");
    let plain = PostgresOptions::new(&address).unwrap().dangerous_without_tls();
    assert!(plain.connect(MasterKey::generate().unwrap()).is_ok());
}

#[test]
fn a_certificate_is_verified_and_each_fault_is_named() {
    let Some((cluster, root)) = Cluster::start_with_tls(|_| {}) else {
        return;
    };
    let address = cluster.tcp_address();
    let says = |error: &VaultError, text| assert!(error.to_string().contains(text), "{error}");
    says(
        &refused(PostgresOptions::new(&address).unwrap()),
        "add its authority",
    );
    // The certificate is for `localhost`, not for the address.
    let elsewhere = address.replace("host=localhost", "host=127.0.0.1");
    let elsewhere = PostgresOptions::new(&elsewhere).unwrap().root(root.clone());
    says(&refused(elsewhere), "is for another name");
    let trusted = PostgresOptions::new(&address).unwrap().root(root);
    trusted.connect(MasterKey::generate().unwrap()).unwrap();

    let expired = |it: &mut rcgen::CertificateParams| it.not_after = rcgen::date_time_ymd(2001, 1, 1);
    let Some((cluster, root)) = Cluster::start_with_tls(expired) else {
        return;
    };
    let expired = PostgresOptions::new(&cluster.tcp_address()).unwrap().root(root);
    says(&refused(expired), "has expired");
}

#[test]
fn a_server_without_a_free_connection_is_busy() {
    let Some(cluster) = Cluster::start() else { return };
    cluster.sql("CREATE ROLE guest LOGIN CONNECTION LIMIT 1; GRANT CREATE ON DATABASE postgres TO guest");
    let address = cluster.address().replace("user=valetkey", "user=guest");
    let options = || PostgresOptions::new(&address).unwrap().max_sessions(1);
    let first = options().connect(MasterKey::generate().unwrap()).unwrap();
    let error = refused(options());
    assert!(matches!(error, VaultError::Busy), "{error:?}");
    assert!(error.is_retryable());
    drop(first);
}

#[test]
fn a_full_disk_is_reported_and_changes_nothing() {
    let Some(cluster) = Cluster::start() else { return };
    let Some(disk) = Disk::mount() else { return };
    let path = disk.path().display();
    cluster.sql(&format!("CREATE TABLESPACE small LOCATION '{path}'"));
    cluster.sql("ALTER ROLE valetkey SET default_tablespace = small");
    // The space of a full disk does not come back by waiting, as it would in production.
    let impatient = Settings::default()
        .store_patience(Duration::ZERO)
        .refresh_lease(Duration::from_millis(1));
    let host = Host::builder()
        .vault(vault(&cluster))
        .connections(move |_, builder| builder.settings(impatient))
        .build()
        .unwrap();
    host.connect(&person("alice"), "notes");
    let filler = disk.fill();
    // The space that is free within pages comes first.
    let failed = (0..5_000).find_map(|number| {
        let user = person(&format!("user-{number}"));
        let connected = host.connect_with(&user, "notes", "ada", ConsentOptions::default());
        connected.err().map(|error| (user, error))
    });
    let (user, error) = failed.unwrap();
    assert!(matches!(error, Error::Vault(VaultError::DiskFull)), "{error:?}");
    assert!(error.is_retryable());
    let stored = host
        .connections
        .list(&user, &ConnectionFilter::default())
        .unwrap();
    assert_eq!(stored, []);
    fs::remove_file(filler).unwrap();
    host.connect(&user, "notes");
    assert_eq!(host.resolver.resolve(&user, "notes").unwrap().generation(), 1);
}

/// A file system of 16 MiB, which only root can mount.
pub(crate) struct Disk(tempfile::TempDir);

impl Disk {
    #[expect(clippy::print_stderr, reason = "a test that did not run must say so")]
    pub(crate) fn mount() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=16m,mode=700,uid=postgres", "none"])
            .arg(directory.path())
            .stderr(Stdio::null())
            .status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self(directory));
        }
        eprintln!("skipped: no file system can be mounted here, so that no disk can be filled");
        None
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes until nothing fits. Returns the file that takes the space.
    pub(crate) fn fill(&self) -> PathBuf {
        let filler = self.path().join("filler");
        let mut file = fs::File::create(&filler).unwrap();
        while file.write_all(&[1; 4096]).is_ok() {}
        filler
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // The server still has files open there.
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn settings_that_lose_commits_are_refused() {
    let Some(cluster) = Cluster::start() else { return };
    cluster.sql("ALTER ROLE valetkey SET synchronous_commit = off");
    assert!(matches!(refused(options(&cluster)), VaultError::Unsupported(_)));
    cluster.sql("ALTER ROLE valetkey RESET synchronous_commit");
    cluster.sql("ALTER ROLE valetkey SET default_transaction_read_only = on");
    let error = refused(options(&cluster));
    assert!(matches!(error, VaultError::ReadOnly), "{error:?}");
}

#[test]
fn other_tables_and_newer_schemas_are_left_alone() {
    let Some(cluster) = Cluster::start() else { return };
    cluster.sql("CREATE SCHEMA other; CREATE TABLE other.accounts (id bigint)");
    let address = cluster.address();
    let options = |schema: &str| PostgresOptions::new(&address).unwrap().schema(schema).unwrap();
    assert!(matches!(refused(options("other")), VaultError::NotAVault));
    assert_eq!(
        cluster.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'other'"),
        "1"
    );

    let key = || MasterKey::from_base64("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap();
    drop(options("newer").connect(key()).unwrap());
    cluster.sql("UPDATE newer.valetkey_schema SET version = 7");
    let error = options("newer").connect(key()).unwrap_err();
    assert!(
        matches!(error, VaultError::NewerVersion { found: 7, .. }),
        "{error:?}"
    );
    cluster.sql("UPDATE newer.valetkey_schema SET version = 2");
    let error = options("newer")
        .connect(MasterKey::generate().unwrap())
        .unwrap_err();
    assert!(matches!(error, VaultError::WrongMasterKey), "{error:?}");
    assert!(options("newer").connect(key()).is_ok());
}

#[test]
fn processes_that_create_the_same_vault_at_once_create_one() {
    let Some(cluster) = Cluster::start() else { return };
    let (address, schema) = (cluster.address(), cluster.schema());
    let key = || MasterKey::from_base64("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let options = PostgresOptions::new(&address)
                    .unwrap()
                    .schema(schema.as_str())
                    .unwrap();
                options.connect(key()).unwrap();
            });
        }
    });
    assert_eq!(cluster.sql(&format!("SELECT count(*) FROM {schema}.vault")), "1");
}
