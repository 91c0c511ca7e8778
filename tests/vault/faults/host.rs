//! The child: takes one step after another, and reports the result of each.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use valetkey::internals::model::RevocationId;
use valetkey::internals::secret::PkceVerifier;
use valetkey::internals::vault::{
    Claim, ClaimOutcome, CommitOutcome, ConnectionQuery, ConsentStore as _, Forget, GrantStore as _,
    Housekeeping as _, LateTokens, RefreshFailure, RefreshStore as _, RevocationStore as _, RevokeWhat,
    Rotation, Settlement, Taken,
};
use valetkey::model::FailureCode;
use valetkey::vault::{Erasure, SqliteVault, VaultError};

use crate::faults::reading::{Reading, answers_are_current};
use crate::faults::scenario::{ALL, FAMILY, Name, Step, of};
use crate::faults::world::{
    GIVE_UP, alice, at, claim, consent, grant, grant_id, id, keys, name_of, refresh, refreshed, revoke,
    state, store, tenant, tokens,
};

const VERIFIER: &str = "MARKER-verifier-of-the-consent-of-this-scenario";

/// Runs the scenario that the parent has named, and reports each step before and after it.
pub(crate) fn run_if_asked() {
    let Some(name) = std::env::var_os("VALETKEY_FAULT_SCENARIO") else {
        return;
    };
    let scenario = ALL.iter().find(|scenario| name == scenario.name).unwrap();
    let path = PathBuf::from(std::env::var_os("VALETKEY_FAULT_VAULT").unwrap());
    let reading = std::env::var_os("VALETKEY_FAULT_READING").unwrap();
    let reading = Reading::ALL.into_iter().find(|known| reading == known.name());
    let report = std::env::var_os("VALETKEY_FAULT_REPORT").unwrap();
    let mut report = OpenOptions::new().append(true).open(report).unwrap();
    let mut say = |text: String| writeln!(report, "{text}").unwrap();

    let mut host = Host {
        path,
        reading: reading.unwrap(),
        vault: None,
        claim: None,
        taken: BTreeMap::new(),
        takes: 0,
    };
    for (index, step) in scenario.steps.iter().enumerate() {
        say(format!("begin {index}"));
        // A failed step is tried once more, as a host would.
        let done = host.take(*step).or_else(|error| {
            say(format!("failed {index} {}", kind(&error)));
            host.take(*step)
        });
        if let Some(vault) = &host.vault {
            answers_are_current(vault);
        }
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

/// Returns only the variant: the source of a storage error is for users.
fn kind(error: &VaultError) -> String {
    let debug = format!("{error:?}");
    debug.split(['(', ' ']).next().unwrap().to_owned()
}

struct Host {
    path: PathBuf,
    reading: Reading,
    vault: Option<SqliteVault>,
    claim: Option<Claim>,
    /// The pending revocations that were taken, by the grants whose tokens wait.
    taken: BTreeMap<Name, RevocationId>,
    takes: i64,
}

impl Host {
    fn take(&mut self, step: Step) -> Result<&'static str, VaultError> {
        let backup = self.path.with_file_name("backup.db");
        match step {
            Step::Open => self.vault = Some(self.reading.open(&self.path, [1, 2])?),
            Step::OpenWithNextKey => self.vault = Some(self.reading.open(&self.path, [2, 1])?),
            Step::Close => self.vault = None,
            Step::Restore => SqliteVault::restore(backup, &self.path, keys([1, 2]))?,
            Step::Take => self.take_revocations()?,
            Step::Clear => {
                return Ok(match self.vault().clear_residue()? {
                    Erasure::Cleared => "cleared",
                    Erasure::Pending => "pending",
                });
            }
            Step::Claim(name, generation) => self.claim = Some(self.claim(name, generation)?),
            Step::Backup => self.vault().backup(&backup)?,
            _ => self.write(step)?,
        }
        Ok("")
    }

    fn vault(&self) -> &SqliteVault {
        self.vault.as_ref().unwrap()
    }

    fn write(&self, step: Step) -> Result<(), VaultError> {
        let (vault, tenant) = (self.vault(), tenant());
        match step {
            Step::InsertConsent => vault.insert_consent(&consent(), Some(&PkceVerifier::new(VERIFIER)))?,
            Step::TakeConsent => {
                let Taken::Consent(_, Some(verifier)) = vault.take_consent(&tenant, &state(), at(1))? else {
                    panic!("it is taken once, with its verifier");
                };
                assert!(verifier.expose_secret() == VERIFIER);
            }
            Step::Grant(name) => store(vault, name, &[name.number])?,
            Step::Share { first, joining } => self.share(first, joining)?,
            Step::Commit(name, generation) => self.commit(name, generation, CommitOutcome::Stored)?,
            Step::CommitLate(name, generation) => self.commit(name, generation, CommitOutcome::Former)?,
            Step::Fail(name) => self.fail(name)?,
            Step::Revoke(number) | Step::Leave(number) => {
                let revoked = revoke(vault, &tenant, RevokeWhat::Connection(id(number)), None)?;
                let ends = !revoked.expect("it is active").ended.is_empty();
                assert_eq!(ends, matches!(step, Step::Revoke(_)));
            }
            Step::End(name) => {
                let ended = revoke(vault, &tenant, RevokeWhat::Grant(grant_id(name)), None)?;
                assert_eq!(ended.expect("it has tokens").ended.len(), 1);
            }
            Step::Queue(number) => {
                let what = RevokeWhat::Connection(id(number));
                let revoked = revoke(vault, &tenant, what, Some(GIVE_UP))?.expect("it is active");
                assert!(revoked.ended.iter().all(|ended| ended.pending.is_some()));
            }
            Step::QueueLate(name) => self.queue_late(name)?,
            Step::TryLater(name) => {
                let again = Settlement::Again {
                    at: at(1_000 * self.takes + 40),
                };
                vault.settle_revocation(&tenant, self.taken[&name], again, at(13))?;
            }
            Step::Settle(name) => {
                vault.settle_revocation(&tenant, self.taken[&name], Settlement::Confirmed, at(13))?;
            }
            _ => return self.keep_house(step),
        }
        Ok(())
    }

    fn keep_house(&self, step: Step) -> Result<(), VaultError> {
        let tenant = tenant();
        let user = Some(alice()).filter(|_| step == Step::ForgetUser);
        let rotation = match step {
            Step::RotateDataKey => Rotation::DataKey(&tenant),
            Step::Reseal => Rotation::Tokens { limit: 2 },
            Step::Rewrap => Rotation::MasterKey { limit: 1_000 },
            _ => {
                let forget = Forget {
                    tenant: &tenant,
                    user: user.as_ref(),
                    by: None,
                    now: at(13),
                };
                return self.vault().forget(&forget).map(drop);
            }
        };
        self.vault().rotate(rotation, at(13)).map(drop)
    }

    fn claim(&self, name: Name, generation: u64) -> Result<Claim, VaultError> {
        match claim(self.vault(), name, generation, at(10))? {
            ClaimOutcome::Granted(claimed) => {
                assert!(claimed.refresh_token.expose_secret() == refresh(name, generation));
                Ok(claimed.claim)
            }
            other => panic!("{other:?}"),
        }
    }

    fn commit(&self, name: Name, generation: u64, expected: CommitOutcome) -> Result<(), VaultError> {
        let outcome = self.vault().commit_refresh(
            &tenant(),
            grant_id(name),
            &self.claim.unwrap(),
            &refreshed(&tokens(name, generation), at(11)),
        )?;
        assert_eq!(outcome, expected);
        Ok(())
    }

    fn fail(&self, name: Name) -> Result<(), VaultError> {
        let failure = RefreshFailure::Transient {
            setup: None,
            code: FailureCode::TimedOut,
            at: at(11),
            not_before: at(41),
        };
        let outcome = self
            .vault()
            .fail_refresh(&tenant(), grant_id(name), &self.claim.unwrap(), &failure)?;
        assert_eq!(outcome, CommitOutcome::Stored);
        Ok(())
    }

    /// Stores a grant for all connections that share the former one, and for those that join.
    fn share(&self, first: u8, joining: &[u8]) -> Result<(), VaultError> {
        let before = of(FAMILY, first - 1);
        let tenant = tenant();
        let mut query = ConnectionQuery::of(&tenant);
        query.grant = Some(grant_id(before));
        let mut numbers: Vec<u8> = self
            .vault()
            .connections(&query)?
            .iter()
            .map(|connection| connection.id.as_bytes()[0])
            .collect();
        numbers.extend(joining);
        store(self.vault(), of(FAMILY, first), &numbers)
    }

    fn queue_late(&self, name: Name) -> Result<(), VaultError> {
        let is_kept = self.vault().queue_revocation(&LateTokens {
            grant: &grant(name),
            connection: id(name.number),
            tokens: &tokens(name, name.first.into()),
            now: at(12),
            give_up_at: GIVE_UP,
        })?;
        assert!(is_kept);
        Ok(())
    }

    fn take_revocations(&mut self) -> Result<(), VaultError> {
        self.takes += 1;
        let now = at(1_000 * self.takes);
        let pending = self.vault().take_revocations(now, Duration::from_secs(30), 9)?;
        for pending in pending {
            self.taken.insert(name_of(pending.grant.id), pending.id);
        }
        Ok(())
    }
}
