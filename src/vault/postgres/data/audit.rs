//! The chains of audit entries, their heads and their gaps.

use crate::vault::VaultError;
use crate::vault::postgres::data::{columns, row, taken};
use crate::vault::postgres::sql::{Named, Sql};
use crate::vault::postgres::value::{Bind, Columns};
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
    SELECT :chain, * FROM unnest(CAST(:numbers AS bigint[]), CAST(:times AS bigint[]), CAST(:kinds AS text[]), CAST(:bodies AS bytea[]), CAST(:macs AS bytea[]))";
const APPEND_LEGACY: &str = "INSERT INTO audit_legacy (number, at, kind, body, mac, tenant)
    SELECT number, at, kind, body, mac, nullif(tenant, -1)
    FROM unnest(CAST(:numbers AS bigint[]), CAST(:times AS bigint[]), CAST(:kinds AS text[]), CAST(:bodies AS bytea[]), CAST(:macs AS bytea[]), CAST(:tenants AS bigint[]))
      AS e (number, at, kind, body, mac, tenant)";
const DELETE: &str = "DELETE FROM audit WHERE chain = :chain AND number = ANY(:numbers)";
const DELETE_LEGACY: &str = "DELETE FROM audit_legacy WHERE number = ANY(:numbers)";

const HEAD: &str = concat!(
    "SELECT ",
    head_columns!(names),
    " FROM audit_heads WHERE chain = :chain AND number IS NOT NULL"
);
/// The layout is the version of the schema whose rules the writer follows, so that a process of an
/// older version which still runs cannot write a head.
const PUT_HEAD: &str = concat!(
    "INSERT INTO audit_heads (chain, layout, ",
    head_columns!(names),
    ") VALUES (:chain, 2, ",
    head_columns!(values),
    ") ON CONFLICT (chain) DO UPDATE SET ",
    head_columns!(changes)
);
const PRUNED_TO: &str =
    "SELECT number FROM audit_pruned WHERE chain = :chain AND tenant = :tenant AND what = :what";
const SET_PRUNED_TO: &str =
    "INSERT INTO audit_pruned (chain, tenant, what, number) VALUES (:chain, :tenant, :what, :number)
    ON CONFLICT (chain, tenant, what) DO UPDATE SET number = excluded.number";
const LAST: &str = "SELECT greatest(
    coalesce((SELECT max(number) FROM audit WHERE chain = :chain), 0),
    coalesce((SELECT last FROM audit_gaps WHERE chain = :chain ORDER BY first DESC LIMIT 1), 0))";
const LAST_LEGACY: &str = "SELECT greatest(
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
const DELETE_CHAIN: [&str; 6] = [
    "DELETE FROM audit_pending WHERE tenant = :chain",
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

pub(crate) fn head(sql: &Sql<'_>, chain: Chain) -> Result<Option<HeadRow>> {
    sql.one(HEAD, &[(":chain", &number(chain))], row)
}

pub(crate) fn put_head(sql: &Sql<'_>, chain: Chain, head: &HeadRow) {
    sql.put(PUT_HEAD, head, &[(":chain", &number(chain))]);
}

const fn pass(what: Pruned) -> &'static str {
    match what {
        Pruned::Uses => "uses",
        Pruned::Changes => "changes",
    }
}

pub(crate) fn pruned_to(sql: &Sql<'_>, chain: Chain, of: TenantRow, what: Pruned) -> Result<u64> {
    let named: [(&str, &dyn Bind); 3] = [
        (":chain", &number(chain)),
        (":tenant", &of),
        (":what", &pass(what)),
    ];
    Ok(sql.one(PRUNED_TO, &named, taken)?.unwrap_or_default())
}

pub(crate) fn set_pruned_to(sql: &Sql<'_>, chain: Chain, of: TenantRow, what: Pruned, to: u64) {
    let named: [(&str, &dyn Bind); 4] = [
        (":chain", &number(chain)),
        (":tenant", &of),
        (":what", &pass(what)),
        (":number", &to),
    ];
    sql.later(SET_PRUNED_TO, &named);
}

pub(crate) fn last_number(sql: &Sql<'_>, chain: Chain) -> Result<u64> {
    let statement = match chain {
        Chain::Of(_) => LAST,
        Chain::Legacy => LAST_LEGACY,
    };
    let found = sql.one(statement, &[(":chain", &number(chain))], taken)?;
    Ok(found.unwrap_or_default())
}

pub(crate) fn entries(
    sql: &Sql<'_>,
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

pub(crate) fn append_entries(sql: &Sql<'_>, chain: Chain, entries: &[AuditRow]) {
    if entries.is_empty() {
        return;
    }
    let numbers: Vec<i64> = numbers(entries.iter().map(|entry| entry.number));
    let times: Vec<i64> = entries.iter().map(|entry| entry.at).collect();
    let kinds: Vec<String> = entries.iter().map(|entry| entry.kind.clone()).collect();
    let bodies: Vec<Vec<u8>> = entries.iter().map(|entry| entry.body.clone()).collect();
    let macs: Vec<Vec<u8>> = entries.iter().map(|entry| entry.mac.to_vec()).collect();
    let tenants: Vec<i64> = entries.iter().map(|entry| entry.tenant.unwrap_or(-1)).collect();
    let columns: [(&str, &dyn Bind); 5] = [
        (":numbers", &numbers),
        (":times", &times),
        (":kinds", &kinds),
        (":bodies", &bodies),
        (":macs", &macs),
    ];
    let [a, b, c, d, e] = columns;
    match chain {
        Chain::Of(chain) => sql.later(APPEND, &[a, b, c, d, e, (":chain", &chain)]),
        Chain::Legacy => sql.later(APPEND_LEGACY, &[a, b, c, d, e, (":tenants", &tenants)]),
    }
}

/// Returns numbers for the server. Numbers of entries are far below its highest one.
fn numbers(numbers: impl Iterator<Item = u64>) -> Vec<i64> {
    numbers
        .map(|number| i64::try_from(number).unwrap_or(i64::MAX))
        .collect()
}

pub(crate) fn delete_entries(sql: &Sql<'_>, chain: Chain, doomed: &[u64]) {
    let doomed = numbers(doomed.iter().copied());
    match chain {
        Chain::Of(chain) => sql.later(DELETE, &[(":chain", &chain), (":numbers", &doomed)]),
        Chain::Legacy => sql.later(DELETE_LEGACY, &[(":numbers", &doomed)]),
    }
}

pub(crate) fn gaps(sql: &Sql<'_>, chain: Chain) -> Result<Vec<GapRow>> {
    sql.all(GAPS, &[(":chain", &number(chain))], row)
}

pub(crate) fn put_gap(sql: &Sql<'_>, chain: Chain, gap: &GapRow) {
    let chain = number(chain);
    sql.later(
        DELETE_GAPS,
        &[(":chain", &chain), (":first", &gap.first), (":last", &gap.last)],
    );
    sql.put(PUT_GAP, gap, &[(":chain", &chain)]);
}

pub(crate) fn checkpoint(sql: &Sql<'_>, chain: Chain, at: u64) -> Result<Option<CheckpointRow>> {
    sql.one(CHECKPOINT, &[(":chain", &number(chain)), (":number", &at)], row)
}

pub(crate) fn checkpoints_after(
    sql: &Sql<'_>,
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

pub(crate) fn put_checkpoint(sql: &Sql<'_>, chain: Chain, row: &CheckpointRow) {
    sql.put(PUT_CHECKPOINT, row, &[(":chain", &number(chain))]);
}

/// Deletes the chain of a tenant with its head, gaps and checkpoints. Entries of schemas 1 and 2
/// stay in their common chain.
pub(crate) fn delete_chain(sql: &Sql<'_>, tenant: TenantRow) {
    for statement in DELETE_CHAIN {
        sql.later(statement, &[(":chain", &tenant)]);
    }
}
