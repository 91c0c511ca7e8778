//! The dependency tree stays small and does not contain forbidden crates.

use std::collections::BTreeSet;
use std::process::Command;

/// Returns the crates of the normal dependency tree with these features.
fn tree(arguments: &[&str]) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--edges", "normal", "--prefix", "none", "--format", "{p}"])
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            Some(format!("{} {}", words.next()?, words.next()?))
        })
        .collect()
}

#[test]
fn the_default_tree_is_small_and_synchronous() {
    let crates = tree(&[]);
    assert!(
        crates.iter().any(|name| name.starts_with("ureq ")),
        "the tree was not read: {crates:?}"
    );
    assert!(crates.len() <= 110, "{} crates", crates.len());
    for banned in [
        "tokio",
        "reqwest",
        "hyper",
        "openssl",
        "openssl-sys",
        "native-tls",
        "async-std",
    ] {
        let prefix = format!("{banned} ");
        assert!(
            !crates.iter().any(|name| name.starts_with(&prefix)),
            "{banned} is in the tree"
        );
    }
}

#[test]
fn without_an_http_client_the_tree_is_smaller() {
    let crates = tree(&["--no-default-features", "--features", "sqlite"]);
    assert!(
        crates.iter().any(|name| name.starts_with("rusqlite ")),
        "the tree was not read: {crates:?}"
    );
    assert!(crates.len() <= 90, "{} crates", crates.len());
}
