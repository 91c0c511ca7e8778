//! The chains of audit entries, their heads and their gaps.

use crate::vault::VaultError;
use crate::vault::sqlite::data::connection::hex;
use crate::vault::sqlite::data::{columns, row, taken};
use crate::vault::sqlite::sql::{Named, Sql};
use crate::vault::sqlite::value::{Bind, Columns};
use crate::vault::tables::{
    AuditRow, Chain, CheckpointRow, Direction, GapRow, HeadRow, Pruned, TenantRow, VAULT_CHAIN,
};

type Result<T> = std::result::Result<T, VaultError>;

macro_rules! head_columns {
    ($($form:tt)+) => {
        columns! {$($form)+; HeadRow; number = number, mac = mac, broken = broken, seal = seal}
    };
}
head_columns!(stored);

macro_rules! gap_columns {
    ($($form:tt)+) => {
        columns! {$($form)+; GapRow; first = first, last = last, before = before, mac = mac, seal = seal}
    };
}
gap_columns!(stored);

macro_rules! checkpoint_columns {
    ($($form:tt)+) => {
        columns! {$($form)+; CheckpointRow; number = number, mac = mac, seal = seal}
    };
}
checkpoint_columns!(stored);

/// A run of entries in one direction.
macro_rules! entries {
    ($table:literal, $tenant:literal, $where:literal, forward) => {
        concat!(
            "SELECT number, at, ",
            $tenant,
            ", kind, body, mac FROM ",
            $table,
            " WHERE ",
            $where,
            "number > :after ORDER BY number LIMIT :limit"
        )
    };
    ($table:literal, $tenant:literal, $where:literal, backward) => {
        concat!(
            "SELECT number, at, ",
            $tenant,
            ", kind, body, mac FROM ",
            $table,
            " WHERE ",
            $where,
            "number < :after ORDER BY number DESC LIMIT :limit"
        )
    };
}

const FORWARD: &str = entries!("audit", "chain", "chain = :chain AND ", forward);
const BACKWARD: &str = entries!("audit", "chain", "chain = :chain AND ", backward);
const LEGACY_FORWARD: &str = entries!("audit_legacy", "tenant", "", forward);
const LEGACY_BACKWARD: &str = entries!("audit_legacy", "tenant", "", backward);
const LEGACY_FORWARD_OF: &str = entries!("audit_legacy", "tenant", "tenant = :tenant AND ", forward);
const LEGACY_BACKWARD_OF: &str = entries!("audit_legacy", "tenant", "tenant = :tenant AND ", backward);

const APPEND: &str = "INSERT INTO audit (chain, number, at, kind, body, mac)
    VALUES (:chain, :number, :at, :kind, :body, :mac)";
const APPEND_LEGACY: &str = "INSERT INTO audit_legacy (number, at, kind, body, mac, tenant)
    SELECT value ->> 0, value ->> 1, value ->> 2, unhex(value ->> 3), unhex(value ->> 4), value ->> 5
    FROM json_each(:entries)";
const DELETE: &str = "DELETE FROM audit WHERE chain = :chain
    AND number IN (SELECT value FROM json_each(:numbers))";
const DELETE_LEGACY: &str =
    "DELETE FROM audit_legacy WHERE number IN (SELECT value FROM json_each(:numbers))";

const HEAD: &str = concat!(
    "SELECT ",
    head_columns!(names),
    " FROM audit_heads WHERE chain = :chain AND number IS NOT NULL"
);
const PUT_HEAD: &str = concat!(
    "INSERT INTO audit_heads (chain, ",
    head_columns!(names),
    ") VALUES (:chain, ",
    head_columns!(values),
    ") ON CONFLICT (chain) DO UPDATE SET ",
    head_columns!(changes)
);
const PRUNED_TO: &str =
    "SELECT number FROM audit_pruned WHERE chain = :chain AND tenant = :tenant AND what = :what";
const SET_PRUNED_TO: &str =
    "INSERT INTO audit_pruned (chain, tenant, what, number) VALUES (:chain, :tenant, :what, :number)
    ON CONFLICT (chain, tenant, what) DO UPDATE SET number = excluded.number";
const LAST: &str = "SELECT max(
    coalesce((SELECT max(number) FROM audit WHERE chain = :chain), 0),
    coalesce((SELECT last FROM audit_gaps WHERE chain = :chain ORDER BY first DESC LIMIT 1), 0))";
const LAST_LEGACY: &str = "SELECT max(
    coalesce((SELECT max(number) FROM audit_legacy), 0),
    coalesce((SELECT last FROM audit_gaps WHERE chain = :chain ORDER BY first DESC LIMIT 1), 0))";
const GAPS: &str = concat!(
    "SELECT ",
    gap_columns!(names),
    " FROM audit_gaps WHERE chain = :chain ORDER BY first"
);
const PUT_GAP: &str = concat!(
    "INSERT INTO audit_gaps (chain, ",
    gap_columns!(names),
    ") VALUES (:chain, ",
    gap_columns!(values),
    ")"
);
const DELETE_GAPS: &str = "DELETE FROM audit_gaps
    WHERE chain = :chain AND first >= :first AND first <= :last AND last <= :last";
const CHECKPOINT: &str = concat!(
    "SELECT ",
    checkpoint_columns!(names),
    " FROM audit_checkpoints WHERE chain = :chain AND number = :number"
);
const CHECKPOINTS_AFTER: &str = concat!(
    "SELECT ",
    checkpoint_columns!(names),
    " FROM audit_checkpoints WHERE chain = :chain AND number > :after ORDER BY number LIMIT :limit"
);
const PUT_CHECKPOINT: &str = concat!(
    "INSERT INTO audit_checkpoints (chain, ",
    checkpoint_columns!(names),
    ") VALUES (:chain, ",
    checkpoint_columns!(values),
    ") ON CONFLICT (chain, number) DO UPDATE SET ",
    checkpoint_columns!(changes)
);
const DELETE_CHAIN: [&str; 5] = [
    "DELETE FROM audit_pruned WHERE tenant = :chain",
    "DELETE FROM audit WHERE chain = :chain",
    "DELETE FROM audit_heads WHERE chain = :chain",
    "DELETE FROM audit_gaps WHERE chain = :chain",
    "DELETE FROM audit_checkpoints WHERE chain = :chain",
];

/// Returns the number of a chain in the tables that all chains share. Tenants never have negative
/// numbers.
const fn number(chain: Chain) -> TenantRow {
    match chain {
        Chain::Of(tenant) => tenant,
        Chain::Legacy => -1,
    }
}

pub(crate) fn head(sql: Sql<'_>, chain: Chain) -> Result<Option<HeadRow>> {
    sql.one(HEAD, &[(":chain", &number(chain))], row)
}

pub(crate) fn put_head(sql: Sql<'_>, chain: Chain, head: &HeadRow) -> Result<()> {
    sql.put(PUT_HEAD, head, &[(":chain", &number(chain))])
}

const fn pass(what: Pruned) -> &'static str {
    match what {
        Pruned::Uses => "uses",
        Pruned::Changes => "changes",
    }
}

pub(crate) fn pruned_to(sql: Sql<'_>, chain: Chain, of: TenantRow, what: Pruned) -> Result<u64> {
    let named: [(&str, &dyn Bind); 3] = [
        (":chain", &number(chain)),
        (":tenant", &of),
        (":what", &pass(what)),
    ];
    Ok(sql.one(PRUNED_TO, &named, taken)?.unwrap_or_default())
}

pub(crate) fn set_pruned_to(sql: Sql<'_>, chain: Chain, of: TenantRow, what: Pruned, to: u64) -> Result<()> {
    let named: [(&str, &dyn Bind); 4] = [
        (":chain", &number(chain)),
        (":tenant", &of),
        (":what", &pass(what)),
        (":number", &to),
    ];
    sql.execute(SET_PRUNED_TO, &named)?;
    Ok(())
}

pub(crate) fn last_number(sql: Sql<'_>, chain: Chain) -> Result<u64> {
    let statement = match chain {
        Chain::Of(_) => LAST,
        Chain::Legacy => LAST_LEGACY,
    };
    let found = sql.one(statement, &[(":chain", &number(chain))], taken)?;
    Ok(found.unwrap_or_default())
}

pub(crate) fn entries(
    sql: Sql<'_>,
    chain: Chain,
    of: Option<TenantRow>,
    after: u64,
    direction: Direction,
    limit: usize,
) -> Result<Vec<AuditRow>> {
    let (after, limit) = ((":after", &after as _), (":limit", &limit as _));
    let legacy = |columns: &mut Columns<'_>| entry(columns, |tenant| tenant);
    match (chain, of) {
        (Chain::Of(chain), _) => {
            let named: &Named<'_> = &[(":chain", &chain), after, limit];
            let read = |columns: &mut Columns<'_>| {
                entry(columns, |chain| chain.filter(|chain| *chain != VAULT_CHAIN))
            };
            match direction {
                Direction::Forward => sql.all(FORWARD, named, read),
                Direction::Backward => sql.all(BACKWARD, named, read),
            }
        }
        (Chain::Legacy, Some(tenant)) => {
            let named: &Named<'_> = &[(":tenant", &tenant), after, limit];
            match direction {
                Direction::Forward => sql.all(LEGACY_FORWARD_OF, named, legacy),
                Direction::Backward => sql.all(LEGACY_BACKWARD_OF, named, legacy),
            }
        }
        (Chain::Legacy, None) => match direction {
            Direction::Forward => sql.all(LEGACY_FORWARD, &[after, limit], legacy),
            Direction::Backward => sql.all(LEGACY_BACKWARD, &[after, limit], legacy),
        },
    }
}

fn entry(
    columns: &mut Columns<'_>,
    tenant: impl FnOnce(Option<TenantRow>) -> Option<TenantRow>,
) -> Result<AuditRow> {
    Ok(AuditRow {
        number: columns.take()?,
        at: columns.take()?,
        tenant: tenant(columns.take()?),
        kind: columns.take()?,
        body: columns.take()?,
        mac: columns.take()?,
    })
}

pub(crate) fn append_entries(sql: Sql<'_>, chain: Chain, entries: &[AuditRow]) -> Result<()> {
    match (chain, entries) {
        (_, []) => {}
        // A compiled statement for each row takes less time than one that parses all rows.
        (Chain::Of(chain), entries) => {
            for entry in entries {
                sql.execute(
                    APPEND,
                    &[
                        (":chain", &chain),
                        (":number", &entry.number),
                        (":at", &entry.at),
                        (":kind", &entry.kind),
                        (":body", &entry.body),
                        (":mac", &entry.mac),
                    ],
                )?;
            }
        }
        (Chain::Legacy, entries) => {
            sql.execute(APPEND_LEGACY, &[(":entries", &json(entries)?)])?;
        }
    }
    Ok(())
}

fn json(entries: &[AuditRow]) -> Result<String> {
    let rows: Vec<_> = entries
        .iter()
        .map(|entry| {
            let (body, mac) = (hex(&entry.body), hex(&entry.mac));
            (entry.number, entry.at, &entry.kind, body, mac, entry.tenant)
        })
        .collect();
    serde_json::to_string(&rows).map_err(VaultError::storage)
}

pub(crate) fn delete_entries(sql: Sql<'_>, chain: Chain, numbers: &[u64]) -> Result<()> {
    let numbers = serde_json::to_string(numbers).map_err(VaultError::storage)?;
    match chain {
        Chain::Of(chain) => sql.execute(DELETE, &[(":chain", &chain), (":numbers", &numbers)])?,
        Chain::Legacy => sql.execute(DELETE_LEGACY, &[(":numbers", &numbers)])?,
    };
    Ok(())
}

pub(crate) fn gaps(sql: Sql<'_>, chain: Chain) -> Result<Vec<GapRow>> {
    sql.all(GAPS, &[(":chain", &number(chain))], row)
}

pub(crate) fn put_gap(sql: Sql<'_>, chain: Chain, gap: &GapRow) -> Result<()> {
    let chain = number(chain);
    sql.execute(
        DELETE_GAPS,
        &[(":chain", &chain), (":first", &gap.first), (":last", &gap.last)],
    )?;
    sql.put(PUT_GAP, gap, &[(":chain", &chain)])
}

pub(crate) fn checkpoint(sql: Sql<'_>, chain: Chain, at: u64) -> Result<Option<CheckpointRow>> {
    sql.one(CHECKPOINT, &[(":chain", &number(chain)), (":number", &at)], row)
}

pub(crate) fn checkpoints_after(
    sql: Sql<'_>,
    chain: Chain,
    after: u64,
    limit: usize,
) -> Result<Vec<CheckpointRow>> {
    sql.all(
        CHECKPOINTS_AFTER,
        &[(":chain", &number(chain)), (":after", &after), (":limit", &limit)],
        row,
    )
}

pub(crate) fn put_checkpoint(sql: Sql<'_>, chain: Chain, row: &CheckpointRow) -> Result<()> {
    sql.put(PUT_CHECKPOINT, row, &[(":chain", &number(chain))])
}

/// Deletes the chain of a tenant with its head, gaps and checkpoints. Entries of schemas 1 and 2
/// stay in their common chain.
pub(crate) fn delete_chain(sql: Sql<'_>, tenant: TenantRow) -> Result<()> {
    for statement in DELETE_CHAIN {
        sql.execute(statement, &[(":chain", &tenant)])?;
    }
    Ok(())
}
