//! What the child does, step by step, and what it begins with.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use valetkey::model::{
    Connection, ConnectionId, ConsentId, FailureCode, IssuedBy, Label, Owner, Parameters, ProviderId, Scopes,
    ServerId, TenantId, Timestamp, UserId,
};
use valetkey::secret::{AccessToken, PkceVerifier, RefreshToken, State};
use valetkey::vault::envelope::MasterKey;
use valetkey::vault::{
    Attempt, Claim, ClaimOutcome, ClaimRequest, CommitOutcome, ConsentStatus, Erasure, Grant, Holder,
    PendingConsent, Purpose, RefreshFailure, Renewed, SqliteVault, StateHash, StoreOutcome, Tokens, Vault,
    VaultError,
};

/// One call of the vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Open,
    InsertConsent,
    TakeConsent,
    /// Stores the first or the next tokens of a connection; the consent, if it was taken, is completed by it.
    Grant {
        number: u8,
        generation: u64,
    },
    Claim {
        number: u8,
        generation: u64,
    },
    Commit {
        number: u8,
        generation: u64,
    },
    Fail {
        number: u8,
    },
    Revoke {
        number: u8,
    },
    /// A new data key; and the records sealed anew under it, two at a time.
    Rotate,
    Reseal,
    Clear,
    Close,
}

pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) begins_with: Beginning,
    pub(crate) steps: &'static [Step],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beginning {
    Nothing,
    /// A vault with connections, closed.
    Closed,
    /// The same, as a crash leaves it: all of it in the log.
    Crashed,
}

/// The connections of a vault that is there at the beginning, by number. All but [`REVOKED`] are active in generation 1.
pub(crate) const ACTIVE: [u8; 4] = [1, 2, 3, HELD];
/// Its refresh was claimed, and the claim never ended.
pub(crate) const HELD: u8 = 4;
pub(crate) const REVOKED: u8 = 5;
/// Those that a scenario may add.
pub(crate) const NEW: [u8; 2] = [6, 7];

pub(crate) const CREATE: Scenario = Scenario {
    name: "create",
    begins_with: Beginning::Nothing,
    steps: &[
        Step::Open,
        Step::Grant {
            number: 6,
            generation: 1,
        },
        Step::Close,
    ],
};

pub(crate) const CONNECT: Scenario = Scenario {
    name: "connect",
    begins_with: Beginning::Closed,
    steps: &[
        Step::Open,
        Step::InsertConsent,
        Step::TakeConsent,
        Step::Grant {
            number: 6,
            generation: 1,
        },
        Step::Grant {
            number: 1,
            generation: 2,
        },
        Step::Close,
    ],
};

pub(crate) const REFRESH: Scenario = Scenario {
    name: "refresh",
    begins_with: Beginning::Closed,
    steps: &[
        Step::Open,
        Step::Claim {
            number: 1,
            generation: 1,
        },
        Step::Commit {
            number: 1,
            generation: 2,
        },
        Step::Claim {
            number: 2,
            generation: 1,
        },
        Step::Fail { number: 2 },
        Step::Claim {
            number: 2,
            generation: 1,
        },
        Step::Commit {
            number: 2,
            generation: 2,
        },
        Step::Close,
    ],
};

pub(crate) const REVOKE: Scenario = Scenario {
    name: "revoke",
    begins_with: Beginning::Closed,
    steps: &[
        Step::Open,
        Step::Revoke { number: 3 },
        Step::Clear,
        Step::Claim {
            number: 1,
            generation: 1,
        },
        Step::Revoke { number: 1 },
        Step::Clear,
        // Its tokens lie where those of the revoked ones did.
        Step::Grant {
            number: 7,
            generation: 1,
        },
        Step::Close,
    ],
};

pub(crate) const ROTATE: Scenario = Scenario {
    name: "rotate",
    begins_with: Beginning::Closed,
    steps: &[
        Step::Open,
        Step::Rotate,
        Step::Reseal,
        Step::Reseal,
        Step::Reseal,
        Step::Clear,
        Step::Close,
    ],
};

pub(crate) const RECOVER: Scenario = Scenario {
    name: "recover",
    begins_with: Beginning::Crashed,
    steps: &[
        Step::Open,
        Step::Revoke { number: 3 },
        Step::Clear,
        Step::Grant {
            number: 6,
            generation: 1,
        },
        Step::Close,
    ],
};

const ALL: [&Scenario; 6] = [&CREATE, &CONNECT, &REFRESH, &REVOKE, &ROTATE, &RECOVER];

pub(crate) fn open(path: &Path) -> Result<SqliteVault, VaultError> {
    SqliteVault::open(path, MasterKey::from_base64(&STANDARD.encode([1; 32])).unwrap())
}

pub(crate) fn tenant() -> TenantId {
    TenantId::new("acme").unwrap()
}

pub(crate) fn id(number: u8) -> ConnectionId {
    ConnectionId::from_bytes([number; 16])
}

pub(crate) const fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_millis(seconds * 1_000)
}

/// Some are small, some have pages of their own.
fn repeats(number: u8) -> usize {
    if number.is_multiple_of(2) { 500 } else { 5 }
}

pub(crate) fn access(number: u8, generation: u64) -> String {
    format!("MARKER-access-{number}-{generation}.").repeat(repeats(number))
}

pub(crate) fn refresh(number: u8, generation: u64) -> String {
    format!("MARKER-refresh-{number}-{generation}.").repeat(repeats(number + 1))
}

pub(crate) fn tokens(number: u8, generation: u64) -> Tokens {
    Tokens {
        access_token: AccessToken::new(access(number, generation)),
        refresh_token: Some(RefreshToken::new(refresh(number, generation))),
        id_token: None,
    }
}

pub(crate) fn state() -> StateHash {
    StateHash::of(&State::new("the state"))
}

fn owner() -> Owner {
    Owner::Personal(UserId::new("alice").unwrap())
}

fn consent() -> PendingConsent {
    PendingConsent {
        id: ConsentId::from_bytes([1; 16]),
        state: state(),
        binding: StateHash::of(&State::new("the binding")),
        tenant: tenant(),
        user: UserId::new("alice").unwrap(),
        owner: owner(),
        provider: ProviderId::new("gmail").unwrap(),
        server: ServerId::new("google").unwrap(),
        issuer: None,
        token_endpoint: "https://issuer.test/token".into(),
        client_id: "client".into(),
        redirect_uri: "https://host.test/".into(),
        scopes: Scopes::default(),
        services: std::collections::BTreeMap::new(),
        parameters: Parameters::new(),
        label: None,
        purpose: Purpose::Connect,
        return_to: None,
        created_at: at(0),
        expires_at: at(600),
        status: ConsentStatus::Pending,
    }
}

pub(crate) fn claim(
    vault: &SqliteVault,
    number: u8,
    generation: u64,
    now: Timestamp,
) -> Result<ClaimOutcome, VaultError> {
    vault.claim_refresh(&ClaimRequest {
        tenant: &tenant(),
        connection: id(number),
        holder: Holder::from_bytes([1; 16]),
        generation,
        attempt: Attempt::Forced,
        now,
        lease: Duration::from_secs(30),
    })
}

fn grant(vault: &SqliteVault, number: u8, generation: u64) -> Result<(), VaultError> {
    let issued_by = IssuedBy {
        server: ServerId::new("google").unwrap(),
        token_endpoint: "https://issuer.test/token".into(),
        client_id: "client".into(),
    };
    let provider = ProviderId::new("gmail").unwrap();
    let mut connection = Connection::new(id(number), tenant(), owner(), provider, issued_by, at(0));
    connection.generation = generation;
    connection.label = Some(Label::new(format!("label-{number}")).unwrap());
    let outcome = vault.store_grant(&Grant {
        consent: &state(),
        connection: &connection,
        tokens: &tokens(number, generation),
        members: &[],
    })?;
    assert_eq!(outcome, StoreOutcome::Stored);
    Ok(())
}

/// The files that a scenario begins with.
pub(crate) struct Template {
    directory: tempfile::TempDir,
    /// The sealed records of each connection, as they lie in its slot.
    pub(crate) sealed: Vec<(u8, Vec<u8>)>,
}

impl Template {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut template = Self {
            directory,
            sealed: Vec::new(),
        };
        if scenario.begins_with == Beginning::Nothing {
            return template;
        }
        let making = tempfile::tempdir().unwrap();
        let path = making.path().join("vault.db");
        let vault = open(&path).unwrap();
        for number in ACTIVE.into_iter().chain([REVOKED]) {
            grant(&vault, number, 1).unwrap();
        }
        assert!(matches!(
            claim(&vault, HELD, 1, at(1)),
            Ok(ClaimOutcome::Granted(_))
        ));
        vault.revoke(&tenant(), id(REVOKED), at(1)).unwrap();
        assert_eq!(vault.clear_residue().unwrap(), Erasure::Cleared);
        if scenario.begins_with == Beginning::Crashed {
            // So that there is something in the log.
            grant(&vault, 1, 2).unwrap();
            template.take(&path);
        }
        template.sealed = sealed(&path);
        drop(vault);
        if scenario.begins_with == Beginning::Closed {
            template.take(&path);
        }
        template
    }

    fn take(&self, path: &Path) {
        for file in files(path.parent().unwrap()) {
            let name = file.file_name().unwrap();
            // The index of the log is no file that a crash keeps: it is made anew.
            if name != "vault.db-shm" {
                fs::copy(&file, self.directory.path().join(name)).unwrap();
            }
        }
    }

    pub(crate) fn copy_to(&self, directory: &Path) {
        for file in files(self.directory.path()) {
            fs::copy(&file, directory.join(file.file_name().unwrap())).unwrap();
        }
    }
}

pub(crate) fn files(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect()
}

fn sealed(path: &Path) -> Vec<(u8, Vec<u8>)> {
    let db = rusqlite::Connection::open(path).unwrap();
    let mut statement = db
        .prepare("SELECT uuid, access, rest FROM connections JOIN secrets USING (slot)")
        .unwrap();
    let rows = statement
        .query_map([], |row| {
            let id: [u8; 16] = row.get(0)?;
            Ok([(id[0], row.get(1)?), (id[0], row.get(2)?)])
        })
        .unwrap();
    rows.flat_map(Result::unwrap).collect()
}

/// Runs the scenario that the parent has named, and reports each step before and after it.
pub(crate) fn run_if_asked() {
    let Some(name) = std::env::var_os("VALETKEY_FAULT_SCENARIO") else {
        return;
    };
    let scenario = ALL.iter().find(|scenario| name == scenario.name).unwrap();
    let path = PathBuf::from(std::env::var_os("VALETKEY_FAULT_VAULT").unwrap());
    let report = std::env::var_os("VALETKEY_FAULT_REPORT").unwrap();
    let mut report = OpenOptions::new().append(true).open(report).unwrap();
    let mut say = |text: String| writeln!(report, "{text}").unwrap();

    let mut host = Host {
        path,
        vault: None,
        claim: None,
    };
    for (index, step) in scenario.steps.iter().enumerate() {
        say(format!("begin {index}"));
        // What failed once is tried once more, as a host would.
        let done = host.take(*step).or_else(|error| {
            say(format!("failed {index} {}", kind(&error)));
            host.take(*step)
        });
        match done {
            Ok(what) => say(format!("done {index} {what}")),
            Err(error) => {
                say(format!("failed {index} {}", kind(&error)));
                break;
            }
        }
    }
    drop(host);
    say("end".into());
}

/// The variant alone: what a storage error has inside is for people.
fn kind(error: &VaultError) -> String {
    let debug = format!("{error:?}");
    debug.split(['(', ' ']).next().unwrap().to_owned()
}

struct Host {
    path: PathBuf,
    vault: Option<SqliteVault>,
    claim: Option<Claim>,
}

impl Host {
    fn take(&mut self, step: Step) -> Result<&'static str, VaultError> {
        match step {
            Step::Open => self.vault = Some(open(&self.path)?),
            Step::Close => self.vault = None,
            _ => return self.call(step),
        }
        Ok("")
    }

    fn call(&mut self, step: Step) -> Result<&'static str, VaultError> {
        let vault = self.vault.as_ref().unwrap();
        match step {
            Step::InsertConsent => {
                vault.insert_consent(&consent(), Some(&PkceVerifier::new("MARKER-verifier".repeat(4))))?;
            }
            Step::TakeConsent => {
                let taken = vault.take_consent(&tenant(), &state(), at(1))?;
                let verifier = taken.expect("taken once").expect("with its verifier");
                assert!(verifier.expose_secret() == "MARKER-verifier".repeat(4));
            }
            Step::Grant { number, generation } => grant(vault, number, generation)?,
            Step::Claim { number, generation } => match claim(vault, number, generation, at(10))? {
                ClaimOutcome::Granted(claimed) => {
                    assert!(claimed.refresh_token.expose_secret() == refresh(number, generation));
                    self.claim = Some(claimed.claim);
                }
                other => panic!("{other:?}"),
            },
            Step::Commit { number, generation } => {
                let tokens = tokens(number, generation);
                let renewed = Renewed {
                    tokens: &tokens,
                    granted: None,
                    expires_at: None,
                    at: at(11),
                };
                let claim = self.claim.unwrap();
                let outcome = vault.commit_refresh(&tenant(), id(number), &claim, &renewed)?;
                assert_eq!(outcome, CommitOutcome::Stored);
            }
            Step::Fail { number } => {
                let failure = RefreshFailure::Transient {
                    code: FailureCode::TimedOut,
                    at: at(11),
                    not_before: at(41),
                };
                let claim = self.claim.unwrap();
                let outcome = vault.fail_refresh(&tenant(), id(number), &claim, &failure)?;
                assert_eq!(outcome, CommitOutcome::Stored);
            }
            Step::Revoke { number } => {
                let revoked = vault.revoke(&tenant(), id(number), at(12))?.expect("active");
                assert!(revoked.tokens.is_some());
            }
            Step::Rotate => {
                vault.rotate_data_key(&tenant())?;
            }
            Step::Reseal => {
                vault.reseal(2)?;
            }
            Step::Clear => {
                return Ok(match vault.clear_residue()? {
                    Erasure::Cleared => "cleared",
                    Erasure::Pending => "pending",
                });
            }
            Step::Open | Step::Close => {}
        }
        Ok("")
    }
}
