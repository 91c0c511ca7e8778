//! `resolve` compared with another crate on the same work: a valid access token of one user.
//!
//! `cargo run --release --manifest-path peers/Cargo.toml`. The scenarios run interleaved in one
//! process, and each ratio is taken within a round. The designs differ: `yup-oauth2` keeps the
//! tokens of one user in plaintext in memory, and its file is not shared between processes.

#[allow(unreachable_pub, reason = "a module of the benches")]
#[path = "../../benches/harness/mod.rs"]
mod harness;

use std::cell::Cell;

use harness::Scenario;
use harness::people::{self, TOKEN_BYTES, step};
use valetkey::Resolver;
use yup_oauth2::authenticator::DefaultAuthenticator;
use yup_oauth2::{ApplicationSecret, InstalledFlowAuthenticator, InstalledFlowReturnMethod};

const PEOPLE: usize = 100;
const SCOPE: &str = "https://www.googleapis.com/auth/gmail.modify";

fn main() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("vault.db");
    people::connect_all(&people::vault(&path), PEOPLE);
    let resolver = Resolver::new(people::connections(people::vault(&path)));
    let turn = resolver.turn(people::person(0));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let yup = runtime.block_on(warm(&directory.path().join("tokens.json")));
    let next = Cell::new(0);

    harness::run(
        &mut [
            Scenario::new("resolve, one of 100 users", || {
                let person = people::person(step(&next, PEOPLE));
                resolver.resolve(&person, "sandbox").expect("a token")
            }),
            Scenario::new("resolve, again in the same turn", || {
                turn.resolve("sandbox").expect("a token")
            }),
            Scenario::new("yup-oauth2, one user, plaintext", || {
                runtime.block_on(yup.token(&[SCOPE])).expect("a token")
            }),
        ],
        |run| {
            run();
            0
        },
    );
}

/// Returns an authenticator with a valid token in its file.
async fn warm(path: &std::path::Path) -> DefaultAuthenticator {
    let stored = serde_json::json!([{
        "scopes": [SCOPE],
        "token": {
            "access_token": "x".repeat(TOKEN_BYTES),
            "refresh_token": "refresh",
            "expires_at": [2099, 1, 0, 0, 0, 0, 0, 0, 0],
            "id_token": null,
        },
    }]);
    std::fs::write(path, stored.to_string()).expect("a file");
    let secret = ApplicationSecret {
        client_id: "id".into(),
        client_secret: "secret".into(),
        auth_uri: "https://as.test/authorize".into(),
        token_uri: "https://as.test/token".into(),
        ..ApplicationSecret::default()
    };
    InstalledFlowAuthenticator::builder(secret, InstalledFlowReturnMethod::Interactive)
        .persist_tokens_to_disk(path)
        .build()
        .await
        .expect("an authenticator")
}
