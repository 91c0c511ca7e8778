CREATE TABLE pulse (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    beat BLOB NOT NULL CHECK (length(beat) = 72)
) STRICT;

CREATE TABLE vault (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    id BLOB NOT NULL CHECK (length(id) = 16),
    master_key BLOB NOT NULL CHECK (length(master_key) = 16),
    key_check BLOB NOT NULL CHECK (length(key_check) = 32),
    audit_key BLOB NOT NULL
) STRICT;

CREATE TABLE tenants (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT UNIQUE
) STRICT;

CREATE TABLE tenant_keys (
    tenant INTEGER NOT NULL REFERENCES tenants (id),
    version INTEGER NOT NULL,
    master_key BLOB NOT NULL CHECK (length(master_key) = 16),
    slot INTEGER NOT NULL,
    seals INTEGER NOT NULL DEFAULT 0,
    retired INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, version)
) STRICT, WITHOUT ROWID;

CREATE INDEX tenant_keys_by_master ON tenant_keys (master_key);

CREATE INDEX tenant_keys_retired ON tenant_keys (tenant, version) WHERE retired = 1;

CREATE TABLE connections (
    tenant INTEGER NOT NULL REFERENCES tenants (id),
    uuid BLOB NOT NULL CHECK (length(uuid) = 16),
    owner TEXT NOT NULL,
    provider TEXT NOT NULL,
    label TEXT,
    is_default INTEGER NOT NULL,
    revoked INTEGER NOT NULL,
    grant_id BLOB NOT NULL CHECK (length(grant_id) = 16),
    account TEXT,
    details BLOB NOT NULL,
    mac BLOB NOT NULL CHECK (length(mac) = 32),
    PRIMARY KEY (tenant, uuid)
) STRICT, WITHOUT ROWID;

CREATE INDEX connections_current ON connections (tenant, owner, provider, is_default DESC)
    WHERE revoked = 0;

CREATE INDEX connections_owned ON connections (tenant, owner, uuid);

CREATE INDEX connections_by_grant ON connections (tenant, grant_id);

CREATE UNIQUE INDEX connections_labelled ON connections (tenant, owner, provider, label)
    WHERE label IS NOT NULL AND revoked = 0;

CREATE UNIQUE INDEX connections_of_account ON connections (tenant, owner, provider, account)
    WHERE account IS NOT NULL AND revoked = 0;

CREATE UNIQUE INDEX connections_default ON connections (tenant, owner, provider)
    WHERE is_default = 1 AND revoked = 0;

CREATE TABLE grants (
    tenant INTEGER NOT NULL REFERENCES tenants (id),
    uuid BLOB NOT NULL CHECK (length(uuid) = 16),
    former_of BLOB CHECK (length(former_of) = 16),
    status TEXT NOT NULL,
    generation INTEGER NOT NULL,
    refreshable INTEGER NOT NULL,
    server TEXT NOT NULL,
    expires_at INTEGER,
    refreshed_at INTEGER NOT NULL,
    not_before INTEGER,
    held_until INTEGER,
    quarantined_until INTEGER,
    dead_at INTEGER,
    route BLOB NOT NULL,
    state BLOB NOT NULL,
    slot INTEGER,
    key_version INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    mac BLOB NOT NULL CHECK (length(mac) = 32),
    PRIMARY KEY (tenant, uuid)
) STRICT, WITHOUT ROWID;

CREATE INDEX grants_by_expiry ON grants (server, expires_at)
    WHERE status = 'active' AND refreshable = 1 AND former_of IS NULL AND expires_at IS NOT NULL;

CREATE INDEX grants_by_refresh ON grants (server, refreshed_at)
    WHERE status = 'active' AND refreshable = 1 AND former_of IS NULL;

CREATE INDEX grants_by_quarantine ON grants (quarantined_until) WHERE quarantined_until IS NOT NULL;

CREATE INDEX grants_by_death ON grants (dead_at) WHERE dead_at IS NOT NULL;

CREATE INDEX grants_former ON grants (tenant, former_of) WHERE former_of IS NOT NULL;

CREATE INDEX grants_by_key ON grants (tenant, key_version) WHERE slot IS NOT NULL;

CREATE TABLE uses (
    tenant INTEGER NOT NULL,
    uuid BLOB NOT NULL CHECK (length(uuid) = 16),
    used_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, uuid)
) STRICT, WITHOUT ROWID;

CREATE TABLE secrets (
    slot INTEGER PRIMARY KEY,
    access BLOB NOT NULL,
    rest BLOB NOT NULL
) STRICT;

CREATE TABLE free_slots (
    access INTEGER NOT NULL,
    rest INTEGER NOT NULL,
    slot INTEGER NOT NULL,
    PRIMARY KEY (access, rest, slot)
) STRICT, WITHOUT ROWID;

CREATE TABLE consents (
    tenant INTEGER NOT NULL REFERENCES tenants (id),
    state BLOB NOT NULL CHECK (length(state) = 32),
    id BLOB NOT NULL CHECK (length(id) = 16),
    user TEXT NOT NULL,
    owner TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    status TEXT NOT NULL,
    completed BLOB CHECK (length(completed) = 16),
    body BLOB NOT NULL,
    slot INTEGER,
    key_version INTEGER NOT NULL,
    mac BLOB NOT NULL CHECK (length(mac) = 32),
    PRIMARY KEY (tenant, state)
) STRICT, WITHOUT ROWID;

CREATE INDEX consents_by_user ON consents (tenant, user);

CREATE INDEX consents_by_owner ON consents (tenant, owner);

CREATE INDEX consents_expiring ON consents (expires_at);

CREATE INDEX consents_sealed ON consents (tenant, key_version) WHERE slot IS NOT NULL;

CREATE TABLE definitions (
    tenant INTEGER NOT NULL REFERENCES tenants (id),
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    version BLOB NOT NULL CHECK (length(version) = 16),
    revision INTEGER NOT NULL,
    slot INTEGER NOT NULL,
    key_version INTEGER NOT NULL,
    PRIMARY KEY (tenant, kind, name)
) STRICT, WITHOUT ROWID;

CREATE INDEX definitions_by_name ON definitions (kind, name);

CREATE INDEX definitions_by_key ON definitions (tenant, key_version);

CREATE TABLE revocations (
    tenant INTEGER NOT NULL REFERENCES tenants (id),
    uuid BLOB NOT NULL CHECK (length(uuid) = 16),
    connection BLOB NOT NULL CHECK (length(connection) = 16),
    owner TEXT NOT NULL,
    not_before INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    give_up_at INTEGER NOT NULL,
    body BLOB NOT NULL,
    slot INTEGER,
    key_version INTEGER NOT NULL,
    PRIMARY KEY (tenant, uuid)
) STRICT, WITHOUT ROWID;

CREATE INDEX revocations_by_time ON revocations (not_before);

CREATE INDEX revocations_by_connection ON revocations (tenant, connection);

CREATE INDEX revocations_by_owner ON revocations (tenant, owner);

CREATE INDEX revocations_by_key ON revocations (tenant, key_version);

CREATE TABLE audit (
    chain INTEGER NOT NULL,
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    body BLOB NOT NULL,
    mac BLOB NOT NULL CHECK (length(mac) = 32),
    PRIMARY KEY (chain, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit_legacy (
    number INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    tenant INTEGER,
    kind TEXT NOT NULL,
    body BLOB NOT NULL,
    mac BLOB NOT NULL CHECK (length(mac) = 32)
) STRICT;

CREATE INDEX audit_legacy_by_tenant ON audit_legacy (tenant, number);

CREATE TABLE audit_heads (
    chain INTEGER PRIMARY KEY,
    number INTEGER,
    mac BLOB CHECK (length(mac) = 32),
    broken INTEGER,
    seal BLOB CHECK (length(seal) = 32)
) STRICT;

CREATE TABLE audit_pruned (
    chain INTEGER NOT NULL,
    tenant INTEGER NOT NULL,
    what TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (tenant, chain, what)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit_gaps (
    chain INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    before BLOB NOT NULL CHECK (length(before) = 32),
    mac BLOB NOT NULL CHECK (length(mac) = 32),
    seal BLOB NOT NULL CHECK (length(seal) = 32),
    PRIMARY KEY (chain, first)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit_checkpoints (
    chain INTEGER NOT NULL,
    number INTEGER NOT NULL,
    mac BLOB NOT NULL CHECK (length(mac) = 32),
    seal BLOB NOT NULL CHECK (length(seal) = 32),
    PRIMARY KEY (chain, number)
) STRICT, WITHOUT ROWID;
