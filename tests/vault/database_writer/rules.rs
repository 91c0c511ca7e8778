//! The effects that an edit of each column may have.

/// The effects that an edit of a column may have, in addition to the rules that hold for every
/// edit.
#[derive(Debug, Clone, Copy)]
#[allow(dead_code, reason = "the reasons are for whoever reads the table")]
pub(crate) enum Rule {
    /// A call fails with one of these errors, or a verification reports one.
    MustFail(&'static [&'static str]),
    /// Every call ends as without the edit.
    Harmless(&'static str),
    /// Calls may fail, and requested operations may not happen.
    DenialOnly(&'static str),
}

use Rule::{DenialOnly, Harmless, MustFail};

/// A column, and the rows to which the rule applies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    pub(crate) table: &'static str,
    pub(crate) name: &'static str,
    pub(crate) rule: Rule,
    pub(crate) rows: &'static str,
}

/// The row was authenticated, or names a key or a slot that does not exist.
const ROW: Rule = MustFail(&["Tampered", "Damaged", "UnknownMasterKey", "WrongMasterKey"]);
/// Like [`ROW`], or a verification reports that the tenant lacks the row.
const MISSED: Rule = MustFail(&["Tampered", "Damaged", "Broken"]);
/// A verification of the chain fails, or the proof of an exported head.
const CHAIN: Rule = MustFail(&["Broken", "Missing", "Tampered", "Damaged"]);

const ALL: &str = "1";
/// Consents that have not ended.
const PENDING: &str = "status = 'pending'";
/// Grants that a connection uses and that hold tokens.
const USED: &str = "slot IN (SELECT g.slot FROM grants g JOIN connections c
    ON c.tenant = g.tenant AND c.grant_id = g.uuid WHERE g.status = 'active')";
const MOVED: &str = "the row is missed, as if it had been deleted";
const SLOT: &str = "other records do not open there, and zeros are written to another slot";
const GIVEN_UP: &str = "the tokens do not open, and the revocation is given up";

const fn of(table: &'static str, name: &'static str, rule: Rule, rows: &'static str) -> Column {
    Column {
        table,
        name,
        rule,
        rows,
    }
}

pub(crate) const COLUMNS: &[Column] = &[
    of("pulse", "only", ROW, ALL),
    of(
        "pulse",
        "beat",
        DenialOnly("it names transactions, nothing in them"),
        ALL,
    ),
    of("vault", "only", ROW, ALL),
    of("vault", "id", ROW, ALL),
    of("vault", "master_key", ROW, ALL),
    of("vault", "key_check", ROW, ALL),
    of("vault", "audit_key", ROW, ALL),
    of("tenants", "id", CHAIN, ALL),
    of("tenants", "name", CHAIN, ALL),
    of(
        "sqlite_sequence",
        "name",
        DenialOnly("numbers of workspaces to come"),
        ALL,
    ),
    of(
        "sqlite_sequence",
        "seq",
        DenialOnly("numbers of workspaces to come"),
        ALL,
    ),
    of("tenant_keys", "tenant", ROW, ALL),
    of("tenant_keys", "version", ROW, ALL),
    of(
        "tenant_keys",
        "master_key",
        DenialOnly("the wrapped key names its master key itself"),
        ALL,
    ),
    of("tenant_keys", "slot", ROW, ALL),
    of(
        "tenant_keys",
        "seals",
        DenialOnly("the count is the writer's"),
        ALL,
    ),
    of(
        "tenant_keys",
        "retired",
        DenialOnly("a key is replaced early or late"),
        ALL,
    ),
    of("connections", "tenant", MISSED, ALL),
    of("connections", "uuid", MISSED, ALL),
    of("connections", "owner", ROW, ALL),
    of("connections", "provider", ROW, ALL),
    of("connections", "label", ROW, ALL),
    of("connections", "is_default", ROW, ALL),
    of("connections", "revoked", ROW, ALL),
    of("connections", "grant_id", ROW, ALL),
    of("connections", "account", ROW, ALL),
    of("connections", "details", ROW, ALL),
    of("connections", "mac", ROW, ALL),
    of("grants", "tenant", ROW, USED),
    of("grants", "uuid", ROW, USED),
    of("grants", "former_of", ROW, ALL),
    of("grants", "status", ROW, ALL),
    of("grants", "generation", ROW, ALL),
    of("grants", "refreshable", ROW, ALL),
    of("grants", "server", ROW, ALL),
    of("grants", "expires_at", ROW, ALL),
    of("grants", "refreshed_at", ROW, ALL),
    of("grants", "not_before", ROW, ALL),
    of("grants", "held_until", ROW, ALL),
    of("grants", "quarantined_until", ROW, ALL),
    of("grants", "dead_at", ROW, ALL),
    of("grants", "route", ROW, ALL),
    of("grants", "state", ROW, ALL),
    of("grants", "slot", ROW, USED),
    of("grants", "key_version", ROW, ALL),
    of("grants", "revision", ROW, ALL),
    of("grants", "mac", ROW, ALL),
    of(
        "uses",
        "tenant",
        Harmless("times of use are shown and decide nothing"),
        ALL,
    ),
    of(
        "uses",
        "uuid",
        Harmless("times of use are shown and decide nothing"),
        ALL,
    ),
    of(
        "uses",
        "used_at",
        Harmless("times of use are shown and decide nothing"),
        ALL,
    ),
    of("secrets", "slot", ROW, USED),
    of("secrets", "access", ROW, USED),
    of("secrets", "rest", ROW, USED),
    of(
        "free_slots",
        "access",
        DenialOnly("a slot that is used is overwritten"),
        ALL,
    ),
    of(
        "free_slots",
        "rest",
        DenialOnly("a slot that is used is overwritten"),
        ALL,
    ),
    of(
        "free_slots",
        "slot",
        DenialOnly("a slot that is used is overwritten"),
        ALL,
    ),
    of("consents", "tenant", DenialOnly(MOVED), ALL),
    of("consents", "state", DenialOnly(MOVED), ALL),
    of("consents", "id", ROW, PENDING),
    of("consents", "user", ROW, PENDING),
    of("consents", "owner", ROW, PENDING),
    of("consents", "expires_at", ROW, PENDING),
    of(
        "consents",
        "status",
        DenialOnly("a wrong status is shown; without a verifier nothing is pending"),
        ALL,
    ),
    of(
        "consents",
        "completed",
        DenialOnly("a wrong result is shown"),
        ALL,
    ),
    of("consents", "body", ROW, PENDING),
    of("consents", "slot", DenialOnly(SLOT), ALL),
    of(
        "consents",
        "key_version",
        DenialOnly("a key is destroyed early or late"),
        ALL,
    ),
    of("consents", "mac", ROW, PENDING),
    of("definitions", "tenant", MISSED, ALL),
    of("definitions", "kind", MISSED, ALL),
    of("definitions", "name", MISSED, ALL),
    of("definitions", "version", ROW, ALL),
    of("definitions", "revision", ROW, ALL),
    of("definitions", "slot", ROW, ALL),
    of("definitions", "key_version", ROW, ALL),
    of("revocations", "tenant", DenialOnly(MOVED), ALL),
    of("revocations", "uuid", DenialOnly(GIVEN_UP), ALL),
    of("revocations", "connection", DenialOnly(GIVEN_UP), ALL),
    of("revocations", "owner", DenialOnly(GIVEN_UP), ALL),
    of(
        "revocations",
        "not_before",
        DenialOnly("it is tried sooner, later or never"),
        ALL,
    ),
    of(
        "revocations",
        "attempts",
        DenialOnly("it is tried sooner, later or never"),
        ALL,
    ),
    of("revocations", "give_up_at", DenialOnly(GIVEN_UP), ALL),
    of("revocations", "body", DenialOnly(GIVEN_UP), ALL),
    of("revocations", "slot", DenialOnly(SLOT), ALL),
    of(
        "revocations",
        "key_version",
        DenialOnly("a key is destroyed early or late"),
        ALL,
    ),
    of("audit", "chain", CHAIN, ALL),
    of("audit", "number", CHAIN, ALL),
    of("audit", "at", CHAIN, ALL),
    of("audit", "kind", CHAIN, ALL),
    of("audit", "body", CHAIN, ALL),
    of("audit", "mac", CHAIN, ALL),
    of("audit_legacy", "number", CHAIN, ALL),
    of("audit_legacy", "at", CHAIN, ALL),
    of("audit_legacy", "tenant", CHAIN, ALL),
    of("audit_legacy", "kind", CHAIN, ALL),
    of("audit_legacy", "body", CHAIN, ALL),
    of("audit_legacy", "mac", CHAIN, ALL),
    of("audit_heads", "chain", CHAIN, ALL),
    of("audit_heads", "number", CHAIN, ALL),
    of("audit_heads", "mac", CHAIN, ALL),
    of("audit_heads", "broken", CHAIN, ALL),
    of("audit_heads", "seal", CHAIN, ALL),
    of(
        "audit_pruned",
        "chain",
        DenialOnly("entries are pruned late"),
        ALL,
    ),
    of(
        "audit_pruned",
        "tenant",
        DenialOnly("entries are pruned late"),
        ALL,
    ),
    of("audit_pruned", "what", DenialOnly("entries are pruned late"), ALL),
    of(
        "audit_pruned",
        "number",
        DenialOnly("entries are pruned late"),
        ALL,
    ),
    of("audit_gaps", "chain", CHAIN, ALL),
    of("audit_gaps", "first", CHAIN, ALL),
    of("audit_gaps", "last", CHAIN, ALL),
    of("audit_gaps", "before", CHAIN, ALL),
    of("audit_gaps", "mac", CHAIN, ALL),
    of("audit_gaps", "seal", CHAIN, ALL),
    of(
        "audit_checkpoints",
        "chain",
        DenialOnly("an exported head is not recognised after pruning"),
        ALL,
    ),
    of(
        "audit_checkpoints",
        "number",
        DenialOnly("an exported head is not recognised after pruning"),
        ALL,
    ),
    of(
        "audit_checkpoints",
        "mac",
        DenialOnly("an exported head is not recognised after pruning"),
        ALL,
    ),
    of(
        "audit_checkpoints",
        "seal",
        DenialOnly("an exported head is not recognised after pruning"),
        ALL,
    ),
];

/// The tables that an open handle has read already and does not read again.
pub(crate) const REMEMBERED: [&str; 3] = ["vault", "tenants", "tenant_keys"];
