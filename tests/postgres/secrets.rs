//! No secret is readable in the database, in its files or in its log.

use std::fs;

use valetkey::testing::Host;

use crate::support::postgres::Cluster;
use crate::support::world::person;
use crate::vault;

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
    let mut files = 0;
    let mut open = vec![cluster.directory()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if let Ok(content) = fs::read(&path) {
                files += 1;
                for token in &tokens {
                    let found = content
                        .windows(token.len())
                        .any(|window| window == token.as_bytes());
                    assert!(!found, "a token is in {}", path.display());
                }
            }
        }
    }
    assert!(files > 100, "{files} files were searched");
}
