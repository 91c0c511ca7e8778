//! Servers that cannot be used: each cause is a typed error, and nothing is changed.

use std::time::Duration;

use valetkey::vault::{MasterKey, PostgresOptions, VaultError};

use crate::options;
use crate::support::postgres::Cluster;

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
fn a_server_that_is_not_there_is_unreachable() {
    for address in [
        "host=127.0.0.1 port=1 user=valetkey",
        "host=/no/such/directory user=valetkey",
    ] {
        let options = PostgresOptions::new(address)
            .unwrap()
            .password("s3cret")
            .deadline(Duration::from_secs(5));
        let error = refused(options);
        assert!(matches!(error, VaultError::Unreachable), "{error:?}");
        assert!(error.is_retryable());
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
fn a_server_without_tls_is_refused_unless_the_host_says_so() {
    let Some(cluster) = Cluster::start_on_tcp() else {
        return;
    };
    let (address, port) = (cluster.tcp_address(), cluster.port());
    let error = refused(PostgresOptions::new(&address).unwrap());
    assert!(
        matches!(error, VaultError::Unsupported(_)),
        "port {port}: {error:?}"
    );
    let plain = PostgresOptions::new(&address).unwrap().dangerous_without_tls();
    assert!(plain.connect(MasterKey::generate().unwrap()).is_ok());
}

#[test]
fn a_certificate_is_verified() {
    let Some((cluster, root)) = Cluster::start_with_tls() else {
        return;
    };
    let address = cluster.tcp_address();
    let error = refused(PostgresOptions::new(&address).unwrap());
    assert!(matches!(error, VaultError::Unsupported(_)), "{error:?}");
    let trusted = PostgresOptions::new(&address).unwrap().root(root.clone());
    trusted.connect(MasterKey::generate().unwrap()).unwrap();
    // The certificate is for `localhost`, not for the address.
    let elsewhere = address.replace("host=localhost", "host=127.0.0.1");
    let error = refused(PostgresOptions::new(&elsewhere).unwrap().root(root));
    assert!(matches!(error, VaultError::Unsupported(_)), "{error:?}");
}

#[test]
fn settings_that_lose_commits_are_refused() {
    let Some(cluster) = Cluster::start() else { return };
    cluster.sql("ALTER ROLE valetkey SET synchronous_commit = off");
    assert!(matches!(refused(options(&cluster)), VaultError::Unsupported(_)));
    cluster.sql("ALTER ROLE valetkey RESET synchronous_commit");
    cluster.sql("ALTER ROLE valetkey SET default_transaction_read_only = on");
    let error = refused(options(&cluster));
    assert!(
        matches!(error, VaultError::ReadOnly | VaultError::Unreachable),
        "{error:?}"
    );
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
    cluster.sql("UPDATE newer.valetkey_schema SET version = 1");
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
