//! A process forks during a refresh, or its lock file is deleted: neither leads to a second request
//! with the same refresh token.

#![cfg(unix)]
#![allow(clippy::print_stdout, reason = "how the child tells its parent where it is")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::OnceLock;
use std::time::Duration;

use fork::Fork;
use valetkey::connections::{ConnectionFilter, Settings};
use valetkey::http::{HttpClient as _, HttpError, HttpRequest, HttpResponse, UreqClient};
use valetkey::internals::provider::RotationClass;
use valetkey::internals::vault::RefreshStore as _;
use valetkey::vault::{MasterKey, SqliteVault, VaultError};
use valetkey::{Connections, Error, Resolver};

use crate::support::processes::{self, Part, Scene, alice, consent, renew};

const ANSWERED: &str = "the server has answered";
const DELETED: &str = "forks_and_missing_signs::promise_40_a_missing_sign_of_life_causes_no_second_request";
const FORKED: &str = "forks_and_missing_signs::promise_40_a_fork_during_a_refresh_causes_no_second_request";

/// A caller gives up long before the claim of another process lapses.
fn impatient() -> Settings {
    let mut settings = Settings::default();
    settings.resolve_deadline = Duration::from_millis(300);
    settings
}

fn signs(file: &Path) -> Vec<PathBuf> {
    let mut signs: Vec<_> = fs::read_dir(file.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().contains("-holder-"))
        .collect();
    signs.sort();
    signs
}

/// Reads the token response, calls `then`, and waits for a message from the parent.
fn pausing(request: HttpRequest, then: impl FnOnce()) -> Result<HttpResponse, HttpError> {
    let is_refresh = request.url.path() == "/token";
    let response = UreqClient::new().dangerous_loopback_http().send(request)?;
    if is_refresh {
        then();
        println!("{ANSWERED}");
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).unwrap();
    }
    Ok(response)
}

/// A child that has received the server's response but has not stored it.
struct Waiting {
    scene: Scene,
    connections: Connections,
    child: Child,
}

impl Waiting {
    fn start(test: &str) -> Self {
        let scene = Scene::new(|it| it.rotation = RotationClass::SingleUseRevokesFamily);
        let connections = scene.connections_with(impatient());
        consent(&scene, &connections);
        let mut child = scene.spawn_talking(test);
        let output = BufReader::new(child.stdout.take().unwrap());
        assert!(
            output.lines().any(|line| line.unwrap().contains(ANSWERED)),
            "the child never refreshed"
        );
        Self {
            scene,
            connections,
            child,
        }
    }

    /// Another process needs the same token meanwhile: it gets a specific error and sends no
    /// request.
    fn nobody_else_dials(&self) {
        let before = self.scene.token_requests();
        let error = renew(&Resolver::new(self.connections.clone())).unwrap_err();
        assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
        assert!(error.is_retryable());
        assert_eq!(self.scene.token_requests(), before, "a second request");
    }

    fn finish(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
        let token = Resolver::new(self.connections)
            .resolve(&alice(), "notes")
            .unwrap();
        assert_eq!(token.generation(), 2);
        let is_live = self.scene.sandbox.is_live(token.access_token().expose_secret());
        assert!(is_live, "the grant was lost");
    }
}

#[test]
fn promise_40_a_missing_sign_of_life_causes_no_second_request() {
    if let Some(part) = Part::of(DELETED) {
        let client = |request| pausing(request, || {});
        renew(&Resolver::new(part.connections_with(impatient(), client))).unwrap();
        std::process::exit(0);
    }
    let waiting = Waiting::start(DELETED);
    let all = signs(&waiting.scene.file);
    assert_eq!(all.len(), 2, "one of each process");
    for sign in all {
        fs::remove_file(sign).unwrap();
    }
    waiting.nobody_else_dials();
    waiting.finish();
}

/// Every handle recognizes a killed process as dead, however many handles were opened since.
#[test]
fn promise_40_the_claim_of_a_killed_process_does_not_have_to_lapse() {
    let mut waiting = Waiting::start(DELETED);
    waiting.child.kill().unwrap();
    waiting.child.wait().unwrap();
    for _ in 0..2 {
        drop(waiting.scene.connections());
    }
    let error = renew(&Resolver::new(waiting.connections.clone())).unwrap_err();
    // Its response was lost, and the server treats the second use of the token as theft, which the
    // error reports. A caller that waited for the claim to lapse would have given up with another
    // error.
    assert!(error.consent_required().is_some(), "{error:?}");
}

/// The state that the child of a fork has inherited.
static INHERITED: OnceLock<(Connections, PathBuf)> = OnceLock::new();

/// The forked child: everything is refused, and nothing of its parent is touched.
fn in_a_forked_child(extra: SqliteVault) -> i32 {
    let (connections, file) = INHERITED.get().unwrap();
    let is_forked = |result: Result<(), Error>| matches!(result, Err(Error::Vault(VaultError::Forked)));
    let used = renew(&Resolver::new(connections.clone())).map(drop);
    let read = connections.list(&alice(), &ConnectionFilter::default()).map(drop);
    let opened = SqliteVault::open(file, MasterKey::generate().unwrap()).map(drop);
    let backed_up = extra.backup(&file.with_extension("copy"));
    drop(extra);
    let checks = [
        is_forked(used),
        is_forked(read),
        is_forked(opened.map_err(Error::Vault)),
        is_forked(backed_up.map_err(Error::Vault)),
    ];
    println!("{checks:?}");
    i32::from(checks.contains(&false))
}

#[test]
fn promise_40_a_fork_during_a_refresh_causes_no_second_request() {
    if let Some(part) = Part::of(FORKED) {
        let file = part.file.clone();
        let client = move |request| {
            pausing(request, || {
                let extra = SqliteVault::open(&file, processes::key()).unwrap();
                extra.holder().unwrap();
                let before = signs(&file);
                match fork::fork().unwrap() {
                    Fork::Child => std::process::exit(in_a_forked_child(extra)),
                    Fork::Parent(child) => {
                        let status = fork::waitpid(child).unwrap();
                        assert_eq!(status, 0, "the forked child did something");
                        assert_eq!(signs(&file), before, "the forked child removed a sign of life");
                        extra.integrity_check().unwrap();
                    }
                }
            })
        };
        let connections = part.connections_with(impatient(), client);
        INHERITED.set((connections.clone(), part.file)).unwrap();
        renew(&Resolver::new(connections)).unwrap();
        std::process::exit(0);
    }
    let waiting = Waiting::start(FORKED);
    waiting.nobody_else_dials();
    waiting.finish();
}
