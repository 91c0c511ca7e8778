//! The child: takes one step after the other, and says what came of each.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use valetkey::model::FailureCode;
use valetkey::secret::PkceVerifier;
use valetkey::vault::{
    Claim, ClaimOutcome, CommitOutcome, Erasure, RefreshFailure, Renewed, Settlement, SqliteVault,
    Vault as _, VaultError,
};

use crate::scenario::{ALL, Step};
use crate::world::{
    GIVE_UP, alice, at, claim, connection, consent, grant, id, open, refresh, share, state, tenant, tokens,
};

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
        taken: BTreeMap::new(),
        takes: 0,
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
    /// The numbers of the pending revocations that it was given, by connection.
    taken: BTreeMap<u8, u64>,
    takes: i64,
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
                    by: None,
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
                let revoked = vault
                    .revoke(&tenant(), id(number), None, at(12))?
                    .expect("active");
                assert!(revoked.tokens.is_some());
            }
            Step::Share { generation, joining } => share(vault, generation, joining)?,
            Step::Leave { number } => {
                let left = vault
                    .revoke(&tenant(), id(number), None, at(12))?
                    .expect("active");
                assert!(left.tokens.is_none() && !left.still_used_by.is_empty());
            }
            Step::Queue { number } => {
                let revoked = vault.revoke_and_queue(&tenant(), id(number), None, at(12), GIVE_UP)?;
                // None: it failed after it was done, and was tried again.
                assert!(revoked.is_none_or(|revoked| revoked.queued.is_some()));
            }
            Step::QueueLate { number } => {
                assert!(vault.queue_revocation(
                    &connection(number, 1),
                    &tokens(number, 1),
                    at(12),
                    GIVE_UP
                )?);
            }
            Step::Take => {
                self.takes += 1;
                let pending = vault.take_revocations(at(1_000 * self.takes), Duration::from_secs(30), 9)?;
                for pending in pending {
                    self.taken.insert(pending.connection.as_bytes()[0], pending.id);
                }
            }
            Step::TryLater { number } => {
                let again = Settlement::Again {
                    at: at(1_000 * self.takes + 40),
                };
                vault.settle_revocation(&tenant(), self.taken[&number], again, at(13))?;
            }
            Step::Settle { number } => {
                vault.settle_revocation(&tenant(), self.taken[&number], Settlement::Confirmed, at(13))?;
            }
            Step::ForgetUser => {
                vault.forget_user(&tenant(), &alice(), None, at(13))?;
            }
            Step::ForgetTenant => {
                vault.forget_tenant(&tenant(), at(13))?;
            }
            Step::Backup => vault.backup(self.path.with_file_name("backup.db"))?,
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
