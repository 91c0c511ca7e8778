//! The cost of simpler designs: a vault that is reopened, a file without an index, and a separate
//! server.
//!
//! `cargo bench --bench naive`. The floor is `resolve` itself.

#[allow(unreachable_pub, reason = "a module of the bench")]
mod harness;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use harness::Scenario;
use harness::people::{self, TOKEN_BYTES, step};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use valetkey::Resolver;

const PEOPLE: usize = 100;

fn main() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("vault.db");
    people::connect_all(&people::vault(&path), PEOPLE);
    let resolver = Resolver::new(people::connections(people::vault(&path)));
    let file = WholeFile::new(&directory.path().join("tokens.sealed"));
    let sidecar = Sidecar::new(resolver.clone());
    let next = Cell::new(0);
    let person = || people::person(step(&next, PEOPLE));

    harness::run(
        &mut [
            Scenario::new("resolve", || {
                resolver.resolve(&person(), "sandbox").expect("a token")
            }),
            Scenario::new("one sealed file of 100 tokens", || file.read(step(&next, PEOPLE))),
            Scenario::new("open the vault at each call", || {
                let resolver = Resolver::new(people::connections(people::vault(&path)));
                resolver.resolve(&person(), "sandbox").expect("a token")
            }),
            Scenario::new("a sidecar over loopback HTTP", || {
                sidecar.ask(step(&next, PEOPLE))
            }),
        ],
        |run| {
            run();
            0
        },
    );
}

/// Stores all tokens in one file, which is opened and searched for each request.
struct WholeFile {
    path: PathBuf,
    key: LessSafeKey,
}

impl WholeFile {
    fn new(path: &Path) -> Self {
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).expect("a key"));
        let all: BTreeMap<_, _> = (0..PEOPLE)
            .map(|number| (people::user(number), "x".repeat(TOKEN_BYTES)))
            .collect();
        let mut sealed = serde_json::to_vec(&all).expect("text");
        key.seal_in_place_append_tag(
            Nonce::assume_unique_for_key([0; 12]),
            Aad::from([0; 43]),
            &mut sealed,
        )
        .expect("sealing");
        std::fs::write(path, sealed).expect("a file");
        Self {
            path: path.into(),
            key,
        }
    }

    fn read(&self, number: usize) -> String {
        let mut sealed = std::fs::read(&self.path).expect("a file");
        let open = self
            .key
            .open_in_place(
                Nonce::assume_unique_for_key([0; 12]),
                Aad::from([0; 43]),
                &mut sealed,
            )
            .expect("opens");
        let mut all: BTreeMap<String, String> = serde_json::from_slice(open).expect("text");
        all.remove(&people::user(number)).expect("a token")
    }
}

/// Serves the same resolver from a small server.
struct Sidecar {
    server: Arc<tiny_http::Server>,
    agent: ureq::Agent,
    url: String,
}

impl Sidecar {
    fn new(resolver: Resolver) -> Self {
        let server = Arc::new(tiny_http::Server::http("127.0.0.1:0").expect("a port"));
        let port = server.server_addr().to_ip().expect("an address").port();
        let serving = Arc::clone(&server);
        thread::spawn(move || {
            for request in serving.incoming_requests() {
                let number = request.url().trim_start_matches('/').parse().unwrap_or(0);
                let token = resolver
                    .resolve(&people::person(number), "sandbox")
                    .expect("a token");
                let header = token.dangerous_header();
                let body = header.to_str().unwrap_or_default();
                drop(request.respond(tiny_http::Response::from_string(body)));
            }
        });
        Self {
            server,
            agent: ureq::Agent::new_with_defaults(),
            url: format!("http://127.0.0.1:{port}/"),
        }
    }

    fn ask(&self, number: usize) -> String {
        let mut answer = self
            .agent
            .get(format!("{}{number}", self.url))
            .call()
            .expect("an answer");
        answer.body_mut().read_to_string().expect("a body")
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        self.server.unblock();
    }
}
