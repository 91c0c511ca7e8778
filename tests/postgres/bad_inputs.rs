//! Everything that can be wrong with a database or a key service when a vault is opened, as one
//! table: each cause is a typed error that is safe to show and says what to do, and nothing is
//! changed.

use std::error::Error as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::StatusCode;
use valetkey::http::{Body, HttpError, HttpRequest, HttpResponse};
use valetkey::vault::kms::{AwsCredentials, AwsKms};
use valetkey::vault::{KeyServiceError, MasterKey, MasterKeys, PostgresOptions, VaultError};

use crate::failures::Disk;
use crate::options;
use crate::support::postgres::Cluster;
use crate::support::processes::key;

/// A case: its name, the error that is expected, and the advice in its text.
struct Case {
    name: &'static str,
    is_expected: fn(&VaultError) -> bool,
    advice: &'static str,
    /// Returns the database whose content is compared, what is tried, and what to keep until then.
    /// `None` if the case cannot be made on this machine.
    prepare: fn() -> Option<Prepared>,
}

struct Prepared {
    cluster: Cluster,
    options: PostgresOptions,
    keys: MasterKeys,
    keep: Vec<Box<dyn std::any::Any>>,
}

impl Prepared {
    fn new(cluster: Cluster, options: PostgresOptions) -> Self {
        Self {
            cluster,
            options,
            keys: key().into(),
            keep: Vec::new(),
        }
    }

    fn keep(mut self, what: impl std::any::Any) -> Self {
        self.keep.push(Box::new(what));
        self
    }
}

const CASES: [Case; 17] = [
    Case {
        name: "a wrong password",
        is_expected: |error| matches!(error, VaultError::AccessDenied("the database server")),
        advice: "grant its user access",
        prepare: || {
            let cluster = Cluster::start_on_tcp()?;
            cluster.sql("CREATE ROLE guest LOGIN PASSWORD 's3cret'");
            cluster.require_passwords();
            let options = guest(&cluster.tcp_address())
                .dangerous_without_tls()
                .password("wr0ng-s3cret");
            Some(Prepared::new(cluster, options))
        },
    },
    Case {
        name: "a role without rights",
        is_expected: |error| matches!(error, VaultError::AccessDenied(_)),
        advice: "grant its user access",
        prepare: || {
            let cluster = Cluster::start()?;
            cluster.sql("CREATE ROLE guest LOGIN");
            let options = guest(&cluster.address());
            Some(Prepared::new(cluster, options))
        },
    },
    Case {
        name: "a host that cannot be reached",
        is_expected: |error| matches!(error, VaultError::Unreachable),
        advice: "retry",
        prepare: || {
            let cluster = Cluster::start()?;
            let address = "host=127.0.0.1 port=1 user=guest dbname=postgres";
            let options = PostgresOptions::new(address).unwrap().password("s3cret");
            Some(Prepared::new(cluster, options.deadline(Duration::from_secs(5))))
        },
    },
    Case {
        name: "a server without TLS",
        is_expected: |error| matches!(error, VaultError::Unsupported(_)),
        advice: "turn it on",
        prepare: || {
            let cluster = Cluster::start_on_tcp()?;
            let options = PostgresOptions::new(&cluster.tcp_address()).unwrap();
            Some(Prepared::new(cluster, options))
        },
    },
    Case {
        name: "an expired certificate",
        is_expected: |error| matches!(error, VaultError::Unsupported(_)),
        advice: "renew it",
        prepare: || {
            let (cluster, root) =
                Cluster::start_with_tls(|it| it.not_after = rcgen::date_time_ymd(2001, 1, 1))?;
            let options = PostgresOptions::new(&cluster.tcp_address()).unwrap().root(root);
            Some(Prepared::new(cluster, options))
        },
    },
    Case {
        name: "a certificate of an unknown authority",
        is_expected: |error| matches!(error, VaultError::Unsupported(_)),
        advice: "add its authority",
        prepare: || {
            let (cluster, _) = Cluster::start_with_tls(|_| {})?;
            let options = PostgresOptions::new(&cluster.tcp_address()).unwrap();
            Some(Prepared::new(cluster, options))
        },
    },
    Case {
        name: "a database that does not exist",
        is_expected: |error| matches!(error, VaultError::NotAVault),
        advice: "name another one",
        prepare: || {
            let cluster = Cluster::start()?;
            let address = cluster.address().replace("dbname=postgres", "dbname=s3cret");
            let options = PostgresOptions::new(&address).unwrap();
            Some(Prepared::new(cluster, options))
        },
    },
    Case {
        name: "a schema with other tables",
        is_expected: |error| matches!(error, VaultError::NotAVault),
        advice: "name another one",
        prepare: || {
            let cluster = Cluster::start()?;
            cluster.sql("CREATE SCHEMA valetkey; CREATE TABLE valetkey.accounts AS SELECT 1 AS id");
            let options = PostgresOptions::new(&cluster.address()).unwrap();
            Some(Prepared::new(cluster, options))
        },
    },
    Case {
        name: "a newer schema",
        is_expected: |error| matches!(error, VaultError::NewerVersion { found: 7, .. }),
        advice: "upgrade valetkey",
        prepare: || {
            let cluster = with_vault(key())?;
            cluster.sql("UPDATE valetkey.valetkey_schema SET version = 7");
            let options = PostgresOptions::new(&cluster.address()).unwrap();
            Some(Prepared::new(cluster, options))
        },
    },
    Case {
        name: "a replica",
        is_expected: |error| matches!(error, VaultError::ReadOnly),
        advice: "name the primary",
        prepare: || {
            let cluster = with_vault(key())?;
            let standby = cluster.standby();
            let options = PostgresOptions::new(&standby.address()).unwrap();
            Some(Prepared::new(cluster, options).keep(standby))
        },
    },
    Case {
        name: "commits that the server may lose",
        is_expected: |error| matches!(error, VaultError::Unsupported(_)),
        advice: "set synchronous_commit to on",
        prepare: || {
            let cluster = Cluster::start()?;
            cluster.sql("ALTER ROLE valetkey SET synchronous_commit = off");
            let options = options(&cluster);
            Some(Prepared::new(cluster, options))
        },
    },
    Case {
        name: "a full disk",
        is_expected: |error| matches!(error, VaultError::DiskFull),
        advice: "free some space",
        prepare: || {
            let cluster = Cluster::start()?;
            let disk = Disk::mount()?;
            cluster.sql(&format!(
                "CREATE TABLESPACE small LOCATION '{}'",
                disk.path().display()
            ));
            cluster.sql("ALTER ROLE valetkey SET default_tablespace = small");
            disk.fill();
            let options = options(&cluster);
            Some(Prepared::new(cluster, options).keep(disk))
        },
    },
    Case {
        name: "a server without a free connection",
        is_expected: |error| matches!(error, VaultError::Busy),
        advice: "retry",
        prepare: || {
            let settings = ["fsync=off", "max_wal_senders=0", "max_connections=6"];
            let cluster = Cluster::with(&settings)?;
            cluster.sql("CREATE ROLE guest LOGIN; GRANT CREATE ON DATABASE postgres TO guest");
            // Three of six connections are reserved for superusers.
            let hold = || guest(&cluster.address()).max_sessions(1).connect(key()).unwrap();
            let held = [hold(), hold(), hold()];
            let options = guest(&cluster.address());
            Some(Prepared::new(cluster, options).keep(held))
        },
    },
    Case {
        name: "another master key",
        is_expected: |error| matches!(error, VaultError::WrongMasterKey),
        advice: "use the key that it was created with",
        prepare: || {
            let cluster = with_vault(key())?;
            let options = PostgresOptions::new(&cluster.address()).unwrap();
            let mut prepared = Prepared::new(cluster, options);
            prepared.keys = MasterKey::generate().unwrap().into();
            Some(prepared)
        },
    },
    Case {
        name: "a key that the service does not have",
        is_expected: |error| matches!(error, VaultError::KeyService(KeyServiceError::UnknownKey)),
        advice: "check its name",
        prepare: || with_service(|| said(400, r#"{"__type":"NotFoundException","message":"m4rker"}"#)),
    },
    Case {
        name: "a disabled key of a service",
        is_expected: |error| matches!(error, VaultError::KeyService(KeyServiceError::Disabled)),
        advice: "enable it",
        prepare: || with_service(|| said(400, r#"{"__type":"DisabledException","message":"m4rker"}"#)),
    },
    Case {
        name: "a key service that cannot be reached",
        is_expected: |error| {
            matches!(error, VaultError::KeyService(KeyServiceError::Unavailable { .. }))
                && error.is_retryable()
        },
        advice: "retry",
        prepare: || with_service(|| Err(HttpError::Timeout)),
    },
];

fn guest(address: &str) -> PostgresOptions {
    PostgresOptions::new(&address.replace("user=valetkey", "user=guest")).unwrap()
}

/// Returns a server with a vault in the default schema.
fn with_vault(keys: impl Into<MasterKeys>) -> Option<Cluster> {
    let cluster = Cluster::start()?;
    let options = PostgresOptions::new(&cluster.address()).unwrap();
    options.connect(keys).unwrap();
    Some(cluster)
}

type Answer = Result<HttpResponse, HttpError>;

/// The answer of a service to every call, once it fails.
type Fails = Mutex<Option<fn() -> Answer>>;

fn said(status: u16, body: &'static str) -> Answer {
    Ok(HttpResponse::new(
        StatusCode::from_u16(status).unwrap(),
        Body::from(body),
    ))
}

/// Returns a vault whose keys a service wraps, which then answers each call in this way.
fn with_service(then: fn() -> Answer) -> Option<Prepared> {
    let fails: Arc<Fails> = Arc::default();
    let keys = || {
        let fails = Arc::clone(&fails);
        let http = move |request: HttpRequest| {
            if let Some(answer) = *fails.lock().unwrap() {
                return answer();
            }
            // A service that wraps nothing is enough here.
            let asked: serde_json::Value = serde_json::from_slice(request.body.as_bytes()).unwrap();
            let (from, to) = match asked.get("Plaintext") {
                Some(_) => ("Plaintext", "CiphertextBlob"),
                None => ("CiphertextBlob", "Plaintext"),
            };
            let answer = format!(r#"{{"{to}":{}}}"#, asked[from]);
            Ok(HttpResponse::new(StatusCode::OK, Body::from(answer)))
        };
        let credentials = || Ok(AwsCredentials::new("m4rker", "s3cret"));
        let arn = "arn:aws:kms:eu-central-1:111122223333:key/m4rker-1";
        MasterKeys::wrapped_by(AwsKms::new(arn, credentials, http).unwrap())
    };
    let cluster = with_vault(keys())?;
    *fails.lock().unwrap() = Some(then);
    let options = PostgresOptions::new(&cluster.address()).unwrap();
    let mut prepared = Prepared::new(cluster, options);
    prepared.keys = keys();
    Some(prepared)
}

/// Returns all schemas and tables of the database, with their rows.
fn content(cluster: &Cluster) -> String {
    let schemas = "nspname !~ '^pg_' AND nspname <> 'information_schema'";
    cluster.sql(&format!(
        "SELECT nspname FROM pg_namespace WHERE {schemas} ORDER BY 1;
         SELECT format('%I.%I ', nspname, relname)
             || query_to_xml(format('SELECT * FROM %I.%I t ORDER BY t', nspname, relname), true, true, '')
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE relkind IN ('r', 'p') AND {schemas} ORDER BY 1"
    ))
}

#[test]
fn each_bad_input_is_a_typed_error_that_is_safe_and_helpful_and_changes_nothing() {
    let mut checked = 0;
    for case in CASES {
        let Some(prepared) = (case.prepare)() else {
            continue;
        };
        checked += 1;
        let before = content(&prepared.cluster);
        let error = prepared.options.connect(prepared.keys).unwrap_err();
        assert!((case.is_expected)(&error), "{}: {error:?}", case.name);
        let mut shown = format!("{error} {error:?}");
        let mut source = error.source();
        while let Some(cause) = source {
            shown.push_str(&format!(" {cause} {cause:?}"));
            source = cause.source();
        }
        // Passwords, names of hosts and roles, names of keys, and words of the servers.
        let directory = prepared.cluster.directory();
        let directory = directory.to_str().unwrap();
        let port = prepared.cluster.port().to_string();
        for private in [
            "s3cret",
            "localhost",
            "127.0.0.1",
            "guest",
            "dbname",
            "m4rker",
            "arn:",
            "FATAL",
            "ERROR",
            "role",
            "pg_",
            directory,
            &port,
        ] {
            assert!(!shown.contains(private), "{}: {private} is in {shown}", case.name);
        }
        assert!(error.to_string().contains(case.advice), "{}: {error}", case.name);
        assert_eq!(content(&prepared.cluster), before, "{}", case.name);
        drop(prepared.keep);
    }
    let is_skipped = CASES.len() - checked;
    // A developer may lack the server, or the right to mount a file system.
    assert!(
        is_skipped <= 1 || checked == 0,
        "{is_skipped} cases were not made"
    );
}
