//! No secret is readable in the database, in its files or in its log.

use std::fs;
use std::path::{Path, PathBuf};

use valetkey::connections::Budget;
use valetkey::testing::Host;
use valetkey::vault::Erasure;

use crate::support::postgres::Cluster;
use crate::support::processes::key;
use crate::support::world::person;
use crate::{options, vault};

#[test]
fn promise_01_no_plaintext_in_the_files_of_the_server() {
    let settings = ["fsync=off", "log_statement=all", "log_parameter_max_length=-1"];
    let Some(cluster) = Cluster::with(&settings) else {
        return;
    };
    let host = Host::builder().vault(vault(&cluster)).build().unwrap();
    let alice = person("alice");
    let mut tokens = Vec::new();
    host.connect(&alice, "notes");
    for _ in 0..3 {
        let token = host.resolver.resolve(&alice, "notes").unwrap();
        tokens.push(token.access_token().expose_secret().to_owned());
        host.expire();
    }
    cluster.sql("CHECKPOINT");
    for token in &tokens {
        let found = files_with(&cluster.directory(), token.as_bytes());
        assert!(found.is_empty(), "a token is in {found:?}");
    }
}

/// Returns the files below a directory that contain these bytes.
fn files_with(directory: &Path, bytes: &[u8]) -> Vec<PathBuf> {
    let mut searched = 0;
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if let Ok(content) = fs::read(&path) {
                searched += 1;
                if content.windows(bytes.len()).any(|window| window == bytes) {
                    found.push(path);
                }
            }
        }
    }
    assert!(searched > 100, "{searched} files were searched");
    found
}

#[test]
fn erased_tokens_remain_sealed_where_the_guide_says() {
    let Some(cluster) = Cluster::start() else { return };
    let options = options(&cluster);
    let host = Host::builder()
        .vault(options.connect(key()).unwrap())
        .build()
        .unwrap();
    let alice = person("alice");
    let connection = host.connect(&alice, "notes");
    let schema = cluster.sql("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'vault_%'");
    let sealed = cluster.sql(&format!("SELECT encode(access, 'hex') FROM {schema}.grants"));
    let sealed: Vec<u8> = (0..sealed.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&sealed[at..at + 2], 16).unwrap())
        .collect();
    // The part that is not a header.
    let sealed = &sealed[sealed.len() - 32..];
    let report = host.connections.revoke(&alice, connection.id).unwrap();
    assert_eq!(report.here, Erasure::Pending);
    let left = || {
        cluster.sql("CHECKPOINT");
        let files = files_with(&cluster.directory().join("data"), sealed);
        let is_in = |part: &str| files.iter().any(|file| file.to_str().unwrap().contains(part));
        (is_in("/base/"), is_in("/pg_wal/"))
    };
    // In the table until its space is reused, and in the log of the server.
    assert_eq!(left(), (true, true));
    cluster.sql(&format!("VACUUM FULL {schema}.grants"));
    assert_eq!(left(), (false, true));
    host.connections.maintain(Budget::default()).unwrap();
    assert_eq!(left(), (false, true));
}
