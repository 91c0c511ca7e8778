//! Runs whole lifetimes of connections under an allocator that keeps every freed block unchanged,
//! and searches all blocks for every secret. A match is a secret that was freed without being
//! wiped, and fails the program.

#![deny(unsafe_code)]

#[allow(unsafe_code, reason = "an allocator cannot do without")]
mod allocator;
#[allow(dead_code, reason = "a part of it is used here")]
#[path = "../../tests/support/format.rs"]
mod format;
mod keys;
mod secrets;
mod server;
mod walk;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use valetkey::internals::provider::{BodyFormat, ClientAuthentication, RefreshWith};
use valetkey::testing::ManualClock;
use valetkey::vault::{MasterKey, MasterKeys, Rotated, SealedVault, SqliteVault, VaultError};
use valetkey::{Clock as _, TenantId, Timestamp};

use crate::allocator::{Keeper, apart, keeping};
use crate::server::{Answer, Server};
use crate::walk::{Kind, RevocationKind, TENANT, walk};

#[global_allocator]
static KEEPER: Keeper = Keeper;

const FIRST: format::Key = *b"\xd1\x07first master key \xf3 of this run";
const SECOND: format::Key = *b"\x93\xeesecond master key\x01 of this run";

fn kinds() -> Vec<Kind> {
    let usual = |name| Kind {
        name,
        authentication: ClientAuthentication::Post,
        body: BodyFormat::Form,
        answer: Answer::Json,
        revocation: RevocationKind::Post,
        refresh_with: RefreshWith::RefreshToken,
        code: None,
        renamed: false,
    };
    vec![
        usual("client_secret_post"),
        Kind {
            authentication: ClientAuthentication::Basic,
            answer: Answer::EscapedJson,
            ..usual("client_secret_basic")
        },
        Kind {
            authentication: ClientAuthentication::BasicUnencoded,
            answer: Answer::Form,
            revocation: RevocationKind::Delete,
            ..usual("a form for an answer")
        },
        Kind {
            authentication: ClientAuthentication::BasicWithClientId,
            body: BodyFormat::Json,
            ..usual("a body of JSON")
        },
        Kind {
            authentication: ClientAuthentication::SecretAsUser,
            refresh_with: RefreshWith::AccessToken,
            ..usual("the access token renews")
        },
        Kind {
            code: Some("auth_code"),
            renamed: true,
            ..usual("other names")
        },
        Kind {
            authentication: ClientAuthentication::None,
            ..usual("a public client")
        },
    ]
}

fn over_memory(kind: &Kind, server: &Server) {
    keeping(|| walk(kind, server, SealedVault::in_memory(), &|| {}));
}

fn over_sqlite(kind: &Kind, server: &Server) {
    let directory = tempfile::tempdir().expect("a directory");
    let (path, copy) = (
        directory.path().join("vault.db"),
        directory.path().join("copy.db"),
    );
    let (first, second) = (STANDARD.encode(FIRST), STANDARD.encode(SECOND));
    keys::learn_master(server, &FIRST, &first);
    keys::learn_master(server, &SECOND, &second);
    let learn = |vault: &SqliteVault| {
        vault.backup(&copy).expect("a copy");
        apart(|| {
            keys::learn(server, &copy, &[FIRST, SECOND]);
            std::fs::remove_file(&copy).expect("the copy goes");
        });
    };
    let tenant = TenantId::new(TENANT).expect("a name");
    let keys = |active: &str, former: &str| {
        let key = |text| MasterKey::from_base64(text).expect("32 bytes");
        MasterKeys::new(key(active), [key(former)])
    };
    keeping(|| {
        let vault = SqliteVault::open(&path, keys(&first, &second)).expect("a vault");
        let vault = Arc::new(vault);
        walk(kind, server, Arc::clone(&vault), &|| {
            learn(&vault);
            rotated(vault.rotate_data_key(&tenant, now()));
            learn(&vault);
            rotated(vault.reseal_tokens(1_000, now()));
            // Twice, so that the keys of the vault are those of the first master key again.
            for [active, former] in [[&second, &first], [&first, &second]] {
                let other = SqliteVault::open(&path, keys(active, former)).expect("another handle");
                rotated(other.rotate_master_key(1_000, now()));
            }
        });
        drop(vault);
        let key = MasterKey::from_base64(&first).expect("32 bytes");
        drop(SqliteVault::open(&path, key).expect("it opens with the first key alone"));
    });
}

/// Checks that a step of a rotation changed something.
#[track_caller]
fn rotated(step: Result<Rotated, VaultError>) {
    let rotated = step.expect("rotated");
    assert!(rotated.done > 0, "{rotated:?}");
}

fn now() -> Timestamp {
    ManualClock::default().now()
}

fn main() -> ExitCode {
    let (mut blocks, mut bytes, mut all, mut hits) = (0_u64, 0_u64, 0, 0_u64);
    for kind in kinds() {
        for (store, live) in [
            ("memory", over_memory as fn(&Kind, &Server)),
            ("SQLite", over_sqlite),
        ] {
            let server = Server::new(kind.name, kind.answer);
            live(&kind, &server);
            let requests = server.requests();
            let secrets = server.into_secrets();
            let pieces = secrets.pieces();
            let mut found: BTreeMap<String, u64> = BTreeMap::new();
            let mut inspected = 0_u64;
            allocator::search(|block| {
                inspected += 1;
                bytes += block.bytes.len() as u64;
                let Some(find) = pieces.find(block) else {
                    return;
                };
                let line = format!(
                    "{} ({}) at {} of {} bytes{}",
                    find.secret,
                    find.form,
                    find.at,
                    block.bytes.len(),
                    place(block.frames)
                );
                *found.entry(line).or_default() += 1;
            });
            println!(
                "{:<24} {store:<7} {requests:>3} requests, {inspected:>7} blocks, {:>3} secrets in {:>6} pieces, {} found",
                kind.name,
                secrets.len(),
                pieces.len(),
                found.values().sum::<u64>()
            );
            for (line, count) in &found {
                println!("    {count:>4} x {line}");
            }
            blocks += inspected;
            all += secrets.len();
            hits += found.values().sum::<u64>();
        }
    }
    println!("{blocks} freed blocks ({bytes} bytes), {all} secrets: {hits} found");
    if hits == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

#[cfg(not(feature = "trace"))]
fn place(_: &[usize]) -> String {
    String::new()
}

/// Returns the places in this repository that freed the block, the innermost first.
#[cfg(feature = "trace")]
fn place(frames: &[usize]) -> String {
    let mut places = Vec::new();
    for frame in frames.iter().filter(|frame| **frame != 0) {
        backtrace::resolve(*frame as *mut _, |symbol| {
            let file = symbol
                .filename()
                .and_then(|file| file.to_str())
                .unwrap_or_default();
            let foreign = [
                "/rustc/",
                "/registry/",
                "heap/src/allocator.rs",
                "heap/src/main.rs",
            ];
            if !file.is_empty() && !foreign.iter().any(|foreign| file.contains(foreign)) {
                places.push(format!("{file}:{}", symbol.lineno().unwrap_or_default()));
            }
        });
    }
    places.truncate(6);
    format!("\n           {}", places.join("\n           "))
}
