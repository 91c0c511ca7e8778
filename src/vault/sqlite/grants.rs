//! Storing what a consent has brought.

use rusqlite::{Connection as Database, params};

use crate::model::{Connection, ConnectionId, Timestamp};
use crate::vault::envelope::{Context, Kind};
use crate::vault::lifecycle::{self, Keep, Lifecycle};
use crate::vault::sqlite::connections::{Stored, clear_default, find, find_lifecycle};
use crate::vault::sqlite::failure::{failed, is_unique_violation};
use crate::vault::sqlite::forget::DELETE_CONNECTION;
use crate::vault::sqlite::keys::Tenant;
use crate::vault::sqlite::rows::{self, bind};
use crate::vault::sqlite::slots;
use crate::vault::sqlite::store::Step;
use crate::vault::sqlite::{SqliteVault, audit, consents};
use crate::vault::{AuditEntry, AuditKind, Grant, StoreOutcome, Tokens, VaultError};

pub(super) const INSERT: &str = "INSERT INTO connections (uuid, tenant, owner, provider, label, is_default, account_id,
    account_email, account_label, requested, granted, parameters, server, token_endpoint, client_id, created_at,
    refreshed_at, used_at, expires_at, status, generation, refreshable, fence, holder, held_fence, held_since,
    held_until, unknown_generation, failures, not_before, last_failure, failed_at, quarantined_until, slot,
    consented_at, key_version, shares, is_keeper) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22,
    ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32, ?33, ?34, ?35, ?36, ?37, ?38)";
pub(super) const REPLACE: &str = "UPDATE connections SET label = ?5, is_default = ?6, account_id = ?7,
    account_email = ?8, account_label = ?9, requested = ?10, granted = ?11, parameters = ?12, server = ?13,
    token_endpoint = ?14, client_id = ?15, created_at = ?16, refreshed_at = ?17, used_at = ?18, expires_at = ?19,
    status = ?20, generation = ?21, refreshable = ?22, fence = ?23, holder = ?24, held_fence = ?25,
    held_since = ?26, held_until = ?27, unknown_generation = ?28, failures = ?29, not_before = ?30,
    last_failure = ?31, failed_at = ?32, quarantined_until = ?33, slot = ?34, consented_at = ?35,
    key_version = ?36, shares = ?37
    WHERE uuid = ?1 AND tenant = ?2 AND owner = ?3 AND provider = ?4";

pub(super) const SOMEBODY_SHARES: &str =
    "SELECT min(uuid) FROM connections WHERE tenant = ?1 AND shares = ?2";

/// The two records of a connection's tokens, padded for their slot.
pub(super) struct SealedTokens {
    access: Vec<u8>,
    rest: Vec<u8>,
}

impl SealedTokens {
    pub(super) const fn seals(&self) -> u32 {
        if self.rest.is_empty() { 1 } else { 2 }
    }

    /// Stores them in place of those in `slot`; returns where they are now.
    pub(super) fn store(&self, db: &Database, slot: Option<i64>) -> Result<i64, VaultError> {
        slots::store(db, slot, &self.access, &self.rest)
    }
}

impl SqliteVault {
    /// Seals tokens for a connection as it will be with this generation.
    pub(super) fn seal_tokens(
        &self,
        tenant: &Tenant,
        connection: &Connection,
        generation: u64,
        tokens: &Tokens,
    ) -> Result<SealedTokens, VaultError> {
        let context = self.context(connection, Kind::AccessToken, generation);
        let access = tokens.access_token.expose_secret().as_bytes();
        let access = tenant.key().seal(&context, &[access])?;
        let refresh_token = tokens
            .refresh_token
            .as_ref()
            .map(|token| token.expose_secret().as_bytes());
        let id_token = tokens
            .id_token
            .as_ref()
            .map(|token| token.expose_secret().as_bytes());
        let rest = if refresh_token.is_some() || id_token.is_some() {
            let context = Context {
                kind: Kind::Rest,
                ..context
            };
            let fields = [refresh_token.unwrap_or_default(), id_token.unwrap_or_default()];
            tenant.key().seal(&context, &fields)?
        } else {
            Vec::new()
        };
        Ok(SealedTokens {
            access: slots::pad(&access)?,
            rest: slots::pad(&rest)?,
        })
    }

    /// What the audit tells of new tokens.
    pub(super) fn token_entry(
        &self,
        kind: AuditKind,
        at: Timestamp,
        connection: &Connection,
        generation: u64,
        tokens: &Tokens,
    ) -> Result<AuditEntry, VaultError> {
        let mut entry = AuditEntry::new(kind, at).user(connection.owner.user()).about(
            connection.id,
            &connection.provider,
            generation,
        );
        entry.fingerprint = Some(self.keyring.audit_key()?.fingerprint(&[
            connection.tenant.as_str().as_bytes(),
            connection.id.as_bytes(),
            &generation.to_be_bytes(),
            tokens.access_token.expose_secret().as_bytes(),
        ]));
        Ok(entry)
    }

    /// What the records of a connection are bound to.
    pub(super) const fn context<'a>(
        &self,
        connection: &'a Connection,
        kind: Kind,
        generation: u64,
    ) -> Context<'a> {
        Context {
            kind,
            vault: self.keyring.vault,
            tenant: &connection.tenant,
            owner: connection.owner.user(),
            provider: &connection.provider,
            id: connection.id.as_bytes(),
            generation,
        }
    }

    pub(super) fn write_grant(&self, grant: &Grant<'_>) -> Result<StoreOutcome, VaultError> {
        let new = grant.connection;
        let refreshable = grant.tokens.refresh_token.is_some();
        let texts = Texts::of(new)?;
        let members = grant
            .members
            .iter()
            .map(|member| Ok((member, Texts::of(member)?)))
            .collect::<Result<Vec<_>, VaultError>>()?;
        // A record that keeps tokens for several is nothing that people were told of: they are.
        let told = if new.is_keeper {
            grant.members
        } else {
            std::slice::from_ref(new)
        };
        let entries = told
            .iter()
            .map(|connection| {
                let (kind, at) = (AuditKind::ConsentCompleted, new.refreshed_at);
                self.token_entry(kind, at, connection, new.generation, grant.tokens)
            })
            .collect::<Result<Vec<_>, VaultError>>()?;
        let completed = grant.members.first().unwrap_or(new).id;
        self.write_sealed(
            &new.tenant,
            |tenant| self.seal_tokens(tenant, new, new.generation, grant.tokens),
            |db, tenant, sealed| {
                let conflict = Step::Abandon(Some(StoreOutcome::Conflict));
                let Some(stored) = Replaced::find(db, tenant.row, new)? else {
                    return Ok(conflict);
                };
                let mut shown = stored.shown;
                let mut joining = Vec::with_capacity(members.len());
                for (member, texts) in &members {
                    let Some(replaced) = Replaced::find(db, tenant.row, member)? else {
                        return Ok(conflict);
                    };
                    shown = shown.max(replaced.shown);
                    joining.push((*member, texts, replaced));
                }
                let decided = lifecycle::grant(stored.lifecycle(), shown, new.generation, refreshable);
                let Some(lifecycle) = decided else {
                    return Ok(conflict);
                };
                if !tenant.count_seals(db, &self.keyring, sealed.seals())? {
                    return Ok(Step::Abandon(None));
                }
                let slot = sealed.store(db, stored.slot())?;
                if !put(db, tenant, new, &texts, &stored, &lifecycle, Some(slot))? {
                    return Ok(conflict);
                }
                for (member, texts, replaced) in &joining {
                    slots::wipe(db, replaced.slot(), Keep::Nothing)?;
                    let lifecycle = lifecycle::share(replaced.lifecycle(), new.generation);
                    if !put(db, tenant, member, texts, replaced, &lifecycle, None)? {
                        return Ok(conflict);
                    }
                }
                let left = joining.iter().map(|(_, _, replaced)| replaced).chain([&stored]);
                for keeper in left
                    .filter_map(|replaced| replaced.left)
                    .filter(|id| *id != new.id)
                {
                    delete_unshared(db, tenant.row, keeper)?;
                }
                let user = consents::complete(db, tenant.row, grant.consent, completed)?;
                for entry in &entries {
                    let entry = entry.clone().user(user.as_ref().or(new.owner.user()));
                    if !audit::append(db, &self.keyring, tenant, &entry)? {
                        return Ok(Step::Abandon(None));
                    }
                }
                Ok(Step::Commit(Some(StoreOutcome::Stored)))
            },
        )
    }
}

/// The columns of a connection that are put together from its fields, before the transaction.
struct Texts {
    requested: String,
    granted: String,
    parameters: String,
}

impl Texts {
    fn of(connection: &Connection) -> Result<Self, VaultError> {
        Ok(Self {
            requested: connection.requested.to_string(),
            granted: connection.granted.to_string(),
            parameters: rows::parameters_text(&connection.parameters)?,
        })
    }
}

/// What a record takes the place of, if anything.
struct Replaced {
    stored: Option<Stored>,
    /// The record that it shared until now.
    left: Option<ConnectionId>,
    /// The generation that it shows; 0 for a new one.
    shown: u64,
}

impl Replaced {
    /// `None` if what is stored under its id is something else.
    fn find(db: &Database, tenant: i64, new: &Connection) -> Result<Option<Self>, VaultError> {
        let stored = find(db, tenant, &new.tenant, new.id)?;
        let Some(before) = &stored else {
            return Ok(Some(Self {
                stored,
                left: None,
                shown: 0,
            }));
        };
        let known = &before.connection;
        if known.owner != new.owner || known.provider != new.provider || known.is_keeper != new.is_keeper {
            return Ok(None);
        }
        let left = known.shares;
        let keeper = match left {
            Some(keeper) => find_lifecycle(db, tenant, keeper)?,
            None => None,
        };
        let shown = keeper.map_or(0, |keeper| keeper.lifecycle.generation);
        Ok(Some(Self {
            shown: shown.max(before.lifecycle.generation),
            left,
            stored,
        }))
    }

    fn lifecycle(&self) -> Option<&Lifecycle> {
        self.stored.as_ref().map(|stored| &stored.lifecycle)
    }

    fn slot(&self) -> Option<i64> {
        self.stored.as_ref().and_then(|stored| stored.slot)
    }
}

/// Stores a connection's row. `false` if another has its label or its account.
fn put(
    db: &Database,
    tenant: &Tenant,
    new: &Connection,
    texts: &Texts,
    replaced: &Replaced,
    lifecycle: &Lifecycle,
    slot: Option<i64>,
) -> Result<bool, VaultError> {
    if new.is_default {
        clear_default(db, tenant.row, &new.owner, &new.provider)?;
    }
    let is_new = replaced.stored.is_none();
    let sql = if is_new { INSERT } else { REPLACE };
    let mut statement = db.prepare_cached(sql).map_err(failed)?;
    let account = new.account.as_ref();
    let values: [&dyn rusqlite::ToSql; 19] = [
        new.id.as_bytes(),
        &tenant.row,
        &rows::owner_text(&new.owner),
        &new.provider.as_str(),
        &new.label.as_ref().map(AsRef::<str>::as_ref),
        &new.is_default,
        &account.map(|account| account.id.as_str()),
        &account.and_then(|account| account.email.as_deref()),
        &account.and_then(|account| account.label.as_deref()),
        &texts.requested,
        &texts.granted,
        &texts.parameters,
        &new.issued_by.server.as_str(),
        &new.issued_by.token_endpoint,
        &new.issued_by.client_id,
        &new.created_at.as_unix_millis(),
        &new.refreshed_at.as_unix_millis(),
        &new.used_at.map(|time| time.as_unix_millis()),
        &new.expires_at.map(|time| time.as_unix_millis()),
    ];
    for (at, value) in (1..).zip(values) {
        bind(&mut statement, at, value)?;
    }
    rows::bind_lifecycle(&mut statement, 20, lifecycle)?;
    bind(&mut statement, 34, &slot)?;
    bind(&mut statement, 35, &new.consented_at.as_unix_millis())?;
    bind(&mut statement, 36, &tenant.key().version())?;
    bind(&mut statement, 37, &new.shares.map(|keeper| *keeper.as_bytes()))?;
    if is_new {
        bind(&mut statement, 38, &new.is_keeper)?;
    }
    match statement.raw_execute() {
        Ok(_) => Ok(true),
        Err(error) if is_unique_violation(&error) => Ok(false),
        Err(error) => Err(failed(error)),
    }
}

/// Deletes a record that kept tokens for several, if nobody shares it any more.
fn delete_unshared(db: &Database, tenant: i64, keeper: ConnectionId) -> Result<(), VaultError> {
    let somebody: Option<[u8; 16]> = db
        .prepare_cached(SOMEBODY_SHARES)
        .and_then(|mut statement| statement.query_row(params![tenant, keeper.as_bytes()], |row| row.get(0)))
        .map_err(failed)?;
    if somebody.is_none()
        && let Some(unshared) = find_lifecycle(db, tenant, keeper)?
    {
        slots::wipe(db, unshared.slot, Keep::Nothing)?;
        delete(db, unshared.row)?;
    }
    Ok(())
}

/// Deletes the row of a record whose tokens are gone.
pub(super) fn delete(db: &Database, row: i64) -> Result<(), VaultError> {
    db.prepare_cached(DELETE_CONNECTION)
        .and_then(|mut statement| statement.execute([row]))
        .map_err(failed)?;
    Ok(())
}
