//! The audit: entries that commit with what they tell of, each authenticated together with all before it.
//!
//! An entry's body is sealed inside the transaction: only there is it known what happened and which number it has. That
//! is a few hundred bytes and a microsecond.

use std::collections::HashMap;

use rusqlite::{Connection as Database, Row, params};

use crate::model::{Actor, ConnectionId, ProviderId, Timestamp, UserId};
use crate::vault::envelope::{AuditKey, Fields, Link, VaultId};
use crate::vault::sqlite::SqliteVault;
use crate::vault::sqlite::connections::record_use;
use crate::vault::sqlite::failure::failed;
use crate::vault::sqlite::keys::{Keyring, Tenant};
use crate::vault::sqlite::rows::{get, signed};
use crate::vault::sqlite::store::Step;
use crate::vault::{
    AuditEntry, AuditFilter, AuditHead, AuditKind, AuditOrder, AuditReport, Handout, VaultError,
};

/// How many entries are read at a time.
const CHUNK: usize = 1_000;

pub(super) const HEAD: &str = "SELECT number, mac, broken, seal, (SELECT max(number) FROM audit)
    FROM audit_head WHERE only = 1";
const LAST: &str = "SELECT max(number) FROM audit";
const SET_HEAD: &str = "INSERT INTO audit_head (only, number, mac, broken, seal) VALUES (1, ?1, ?2, ?3, ?4)
    ON CONFLICT (only) DO UPDATE SET number = ?1, mac = ?2, broken = ?3, seal = ?4";
const APPEND: &str =
    "INSERT INTO audit (number, at, tenant, kind, body, mac) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
pub(super) const PAGE: &str = "SELECT number, at, kind, body FROM audit WHERE tenant = ?1 AND number > ?2
    ORDER BY number LIMIT ?3";
pub(super) const PAGE_BACK: &str =
    "SELECT number, at, kind, body FROM audit WHERE tenant = ?1 AND number < ?2
    ORDER BY number DESC LIMIT ?3";
pub(super) const CHAIN: &str = "SELECT number, at, kind, body, tenant, mac FROM audit
    WHERE number > ?1 AND number <= ?2 ORDER BY number LIMIT 1000";
pub(super) const MAC: &str = "SELECT mac FROM audit WHERE number = ?1";

/// The end of the chain as it is stored.
struct Head {
    number: u64,
    mac: [u8; 32],
    /// The first number that was not as it should be when something was written.
    broken: Option<u64>,
    /// The highest number that is stored, whatever the head says.
    last: u64,
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// Reads the head and checks its seal. One that is missing or altered counts as a break after what is stored: the
/// vault goes on, because a token that cannot be stored is lost, and the break stays on record.
fn head(db: &Database, key: &AuditKey, vault: VaultId) -> Result<Head, VaultError> {
    let mut statement = db.prepare_cached(HEAD).map_err(failed)?;
    let mut rows = statement.query([]).map_err(failed)?;
    let Some(row) = rows.next().map_err(failed)? else {
        let last: Option<i64> = db.query_row(LAST, [], |row| row.get(0)).map_err(failed)?;
        let last = last.map_or(0, unsigned);
        return Ok(Head {
            number: last,
            mac: [0; 32],
            broken: Some(last.saturating_add(1)),
            last,
        });
    };
    let number = unsigned(get(row, 0)?);
    let mac = get::<Vec<u8>>(row, 1)?.try_into().unwrap_or([0; 32]);
    let mut broken = get::<Option<i64>>(row, 2)?.map(unsigned);
    let last = get::<Option<i64>>(row, 4)?.map_or(0, unsigned);
    if get::<Vec<u8>>(row, 3)? != key.head(vault, number, &mac, broken) {
        broken = Some(broken.unwrap_or(u64::MAX).min(number.min(last).saturating_add(1)));
    }
    if number != last {
        broken = Some(broken.unwrap_or(u64::MAX).min(number.min(last).saturating_add(1)));
    }
    Ok(Head {
        number,
        mac,
        broken,
        last,
    })
}

fn set_head(db: &Database, key: &AuditKey, vault: VaultId, head: &Head) -> Result<(), VaultError> {
    let seal = key.head(vault, head.number, &head.mac, head.broken);
    db.prepare_cached(SET_HEAD)
        .and_then(|mut statement| {
            statement.execute(params![
                signed(head.number),
                head.mac,
                head.broken.map(signed),
                seal
            ])
        })
        .map_err(failed)?;
    Ok(())
}

/// Begins the chain of a new vault.
pub(super) fn begin(db: &Database, key: &AuditKey, vault: VaultId) -> Result<(), VaultError> {
    let head = Head {
        number: 0,
        mac: [0; 32],
        broken: None,
        last: 0,
    };
    set_head(db, key, vault, &head)
}

/// Adds an entry about a tenant, in the transaction of what it tells. `false` if the tenant's audit key is used up or
/// gone: then nothing of the transaction may be stored.
pub(super) fn append(
    db: &Database,
    keyring: &Keyring,
    tenant: &Tenant,
    entry: &AuditEntry,
) -> Result<bool, VaultError> {
    if !tenant.count_entry(db, keyring)? {
        return Ok(false);
    }
    let generation = entry.generation.map(u64::to_be_bytes);
    let text = |text: &Option<String>| text.as_deref().unwrap_or_default().to_owned();
    let (detail, purpose, turn) = (text(&entry.detail), text(&entry.purpose), text(&entry.turn));
    let actor = entry.actor.as_ref().map(actor_text).unwrap_or_default();
    let fields: [&[u8]; 10] = [
        entry.user.as_ref().map_or(&[], |user| user.as_str().as_bytes()),
        entry.connection.as_ref().map_or(&[], |id| id.as_bytes()),
        entry
            .provider
            .as_ref()
            .map_or(&[], |provider| provider.as_str().as_bytes()),
        generation
            .as_ref()
            .map_or(&[], |generation| generation.as_slice()),
        entry
            .fingerprint
            .as_ref()
            .map_or(&[], |fingerprint| fingerprint.as_slice()),
        detail.as_bytes(),
        purpose.as_bytes(),
        turn.as_bytes(),
        if entry.shared { b"1" } else { b"" },
        actor.as_bytes(),
    ];
    let key = tenant.audit_key(keyring)?;
    extend(db, keyring, entry, Some(tenant.row), |number| {
        key.seal_audit(keyring.vault, &tenant.name, number, &fields)
    })?;
    Ok(true)
}

/// Who acted, as one field: the role, a colon, the name.
fn actor_text(actor: &Actor) -> String {
    format!("{}:{}", actor.role(), actor.user().as_str())
}

/// Who acted, out of what [`actor_text`] wrote.
fn actor(text: &str) -> Result<Actor, VaultError> {
    let (role, user) = text.split_once(':').ok_or(VaultError::Tampered)?;
    let user = UserId::try_from(user).map_err(|_| VaultError::Tampered)?;
    match role {
        "user" => Ok(Actor::User(user)),
        "operator" => Ok(Actor::Operator(user)),
        _ => Err(VaultError::Tampered),
    }
}

/// Adds an entry whose body is not sealed under a tenant's key, because there is none: it names nothing.
pub(super) fn append_bare(
    db: &Database,
    keyring: &Keyring,
    tenant: Option<i64>,
    entry: &AuditEntry,
    body: Vec<u8>,
) -> Result<AuditHead, VaultError> {
    extend(db, keyring, entry, tenant, |_| Ok(body))
}

/// The entry that was added last, in the transaction that added it.
pub(super) fn stored_head(db: &Database) -> Result<AuditHead, VaultError> {
    let mut statement = db.prepare_cached(HEAD).map_err(failed)?;
    let mut rows = statement.query([]).map_err(failed)?;
    let row = rows.next().map_err(failed)?.ok_or(VaultError::Damaged)?;
    Ok(AuditHead {
        number: unsigned(get(row, 0)?),
        mac: get(row, 1)?,
    })
}

fn extend(
    db: &Database,
    keyring: &Keyring,
    entry: &AuditEntry,
    tenant: Option<i64>,
    body: impl FnOnce(u64) -> Result<Vec<u8>, VaultError>,
) -> Result<AuditHead, VaultError> {
    let (key, vault) = (keyring.audit_key()?, keyring.vault);
    let before = head(db, key, vault)?;
    let number = before.number.max(before.last).saturating_add(1);
    let body = body(number)?;
    let (at, kind) = (entry.at.as_unix_millis(), entry.kind.as_str());
    let mac = key.link(
        vault,
        &Link {
            number,
            before: &before.mac,
            at,
            tenant,
            kind,
            body: &body,
        },
    );
    db.prepare_cached(APPEND)
        .and_then(|mut statement| statement.execute(params![signed(number), at, tenant, kind, body, mac]))
        .map_err(failed)?;
    let after = Head {
        number,
        mac,
        broken: before.broken,
        last: number,
    };
    set_head(db, key, vault, &after)?;
    Ok(AuditHead { number, mac })
}

/// An entry whose body is still sealed.
struct Sealed {
    number: u64,
    at: Timestamp,
    kind: String,
    body: Vec<u8>,
}

fn sealed(row: &Row<'_>) -> Result<Sealed, VaultError> {
    Ok(Sealed {
        number: unsigned(get(row, 0)?),
        at: Timestamp::from_unix_millis(get(row, 1)?),
        kind: get(row, 2)?,
        body: get(row, 3)?,
    })
}

fn opened(sealed: &Sealed, mut fields: Fields) -> Result<AuditEntry, VaultError> {
    let kind = AuditKind::from_code(&sealed.kind).ok_or(VaultError::Tampered)?;
    let mut entry = AuditEntry::new(kind, sealed.at);
    entry.number = sealed.number;
    let tampered = |_| VaultError::Tampered;
    entry.user = match fields.expose_next_text()? {
        Some(user) => Some(UserId::try_from(user).map_err(tampered)?),
        None => None,
    };
    let connection = fields.expose_next()?;
    entry.connection = match connection.len() {
        0 => None,
        _ => Some(ConnectionId::from_bytes(
            connection.try_into().map_err(|_| VaultError::Tampered)?,
        )),
    };
    entry.provider = match fields.expose_next_text()? {
        Some(provider) => Some(ProviderId::try_from(provider).map_err(tampered)?),
        None => None,
    };
    entry.generation = fields
        .expose_next()?
        .first_chunk()
        .map(|generation| u64::from_be_bytes(*generation));
    entry.fingerprint = fields.expose_next()?.first_chunk().copied();
    entry.detail = fields.expose_next_text()?.map(str::to_owned);
    entry.purpose = fields.expose_next_text()?.map(str::to_owned);
    entry.turn = fields.expose_next_text()?.map(str::to_owned);
    entry.shared = !fields.expose_next()?.is_empty();
    // The first entries ended here.
    if !fields.is_finished() {
        entry.actor = fields.expose_next_text()?.map(actor).transpose()?;
    }
    fields.finish()?;
    Ok(entry)
}

impl SqliteVault {
    pub(super) fn read_audit(&self, filter: &AuditFilter<'_>) -> Result<Vec<AuditEntry>, VaultError> {
        let Some(tenant) = self.tenant(filter.tenant)? else {
            return Ok(Vec::new());
        };
        let (sql, start) = match filter.order {
            AuditOrder::OldestFirst => (PAGE, 0),
            AuditOrder::NewestFirst => (PAGE_BACK, u64::MAX),
        };
        let mut after = if filter.after == 0 { start } else { filter.after };
        let mut wanted = Vec::new();
        // What the index does not know (the connection, the person) is sealed: such pages may read on.
        let mut chunk = filter.limit.min(CHUNK);
        while wanted.len() < filter.limit {
            let page = self.store.read(|db| {
                let mut statement = db.prepare_cached(sql).map_err(failed)?;
                let mut rows = statement
                    .query(params![
                        tenant.row,
                        signed(after),
                        i64::try_from(chunk).unwrap_or(i64::MAX)
                    ])
                    .map_err(failed)?;
                let mut page = Vec::new();
                while let Some(row) = rows.next().map_err(failed)? {
                    page.push(sealed(row)?);
                }
                Ok(page)
            })?;
            let Some(last) = page.last() else { break };
            after = last.number;
            chunk = CHUNK;
            for mut sealed in page {
                let body = std::mem::take(&mut sealed.body);
                let fields = self
                    .keyring
                    .open_entry(&self.store, &tenant, sealed.number, body)?;
                let entry = opened(&sealed, fields)?;
                if filter.wants(&entry) && wanted.len() < filter.limit {
                    wanted.push(entry);
                }
            }
        }
        Ok(wanted)
    }

    pub(super) fn write_handouts(&self, handouts: &[Handout]) -> Result<(), VaultError> {
        for _ in 0..4 {
            let mut tenants = HashMap::new();
            for handout in handouts {
                if let Some(tenant) = self.tenant(&handout.tenant)? {
                    tenants.insert(&handout.tenant, tenant);
                }
            }
            let spent = self.store.write(|db| {
                for handout in handouts {
                    let Some(tenant) = tenants.get(&handout.tenant) else {
                        continue;
                    };
                    record_use(db, tenant.row, handout.connection, handout.at)?;
                    if !append(db, &self.keyring, tenant, &handout.entry())? {
                        return Ok(Step::Abandon(Some(tenant)));
                    }
                }
                Ok(Step::Commit(None))
            })?;
            match spent {
                Some(tenant) => self.keyring.renew(&self.store, tenant)?,
                None => return Ok(()),
            }
        }
        Err(VaultError::Busy)
    }

    /// The end of the audit's chain, for the host to keep elsewhere.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if the store cannot be read.
    pub fn audit_head(&self) -> Result<AuditHead, VaultError> {
        let key = self.keyring.audit_key()?;
        let head = self.store.read(|db| head(db, key, self.keyring.vault))?;
        Ok(AuditHead {
            number: head.number,
            mac: head.mac,
        })
    }

    /// Checks the whole chain and names the first link that is broken: an entry that was edited, deleted, inserted,
    /// moved or doubled, or that is missing at the end.
    ///
    /// Sealed bodies are not opened: the entries of a workspace that was forgotten are checked as well.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if the store cannot be read. A broken chain is no error but in the report.
    ///
    /// # Security
    ///
    /// Whoever can write the file can put back an older copy of it, whole. Only a head that is kept elsewhere shows
    /// that: see [`verify_against`](Self::verify_against).
    pub fn verify_audit(&self) -> Result<AuditReport, VaultError> {
        let (key, vault) = (self.keyring.audit_key()?, self.keyring.vault);
        let end = self.store.read(|db| head(db, key, vault))?;
        let (mut after, mut before, mut checked) = (i64::MIN, [0; 32], 0_u64);
        let broken = loop {
            let step = self.store.read(|db| {
                let mut statement = db.prepare_cached(CHAIN).map_err(failed)?;
                let mut rows = statement
                    .query(params![after, signed(end.number)])
                    .map_err(failed)?;
                let mut read = 0;
                while let Some(row) = rows.next().map_err(failed)? {
                    after = get(row, 0)?;
                    read += 1;
                    let expected = checked + 1;
                    let entry = sealed(row)?;
                    let link = Link {
                        number: expected,
                        before: &before,
                        at: entry.at.as_unix_millis(),
                        tenant: get(row, 4)?,
                        kind: &entry.kind,
                        body: &entry.body,
                    };
                    let mac = key.link(vault, &link);
                    if after != signed(expected) || get::<Vec<u8>>(row, 5)? != mac {
                        return Ok(Err(expected));
                    }
                    (before, checked) = (mac, expected);
                }
                Ok(Ok(read))
            })?;
            match step {
                Err(number) => break Some(number),
                Ok(0) => break None,
                Ok(_) => {}
            }
        };
        let cut = (broken.is_none() && (checked != end.number || before != end.mac)).then_some(checked + 1);
        let first = [broken, cut, end.broken].into_iter().flatten().min();
        Ok(AuditReport::new(checked, first))
    }

    /// As [`verify_audit`](Self::verify_audit), and checks that the chain still leads through a head that was
    /// exported before. If it does not, the vault was rolled back, or is another one.
    ///
    /// # Errors
    ///
    /// As for [`verify_audit`](Self::verify_audit).
    pub fn verify_against(&self, exported: &AuditHead) -> Result<AuditReport, VaultError> {
        let report = self.verify_audit()?;
        if self.proves(exported)? {
            return Ok(report);
        }
        let missing = exported.number.min(report.checked.saturating_add(1));
        let first = report.first_broken.unwrap_or(missing).min(missing);
        Ok(AuditReport::new(report.checked, Some(first)))
    }

    /// Whether the chain has this very entry: the proof of a receipt, or an exported head.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if the store cannot be read.
    pub fn proves(&self, proof: &AuditHead) -> Result<bool, VaultError> {
        if proof.number == 0 {
            return Ok(proof.mac == [0; 32]);
        }
        self.store.read(|db| {
            let mut statement = db.prepare_cached(MAC).map_err(failed)?;
            let mut rows = statement.query([signed(proof.number)]).map_err(failed)?;
            match rows.next().map_err(failed)? {
                Some(row) => Ok(get::<Vec<u8>>(row, 0)? == proof.mac),
                None => Ok(false),
            }
        })
    }
}
