CREATE TABLE audit_pending (
    tenant bigint NOT NULL,
    position bigint GENERATED ALWAYS AS IDENTITY,
    at bigint NOT NULL,
    kind text NOT NULL,
    body bytea NOT NULL,
    mac bytea NOT NULL CHECK (length(mac) = 32),
    PRIMARY KEY (tenant, position)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

ALTER TABLE audit_heads ADD COLUMN layout smallint NOT NULL DEFAULT 2 CHECK (layout = 2);

ALTER TABLE audit_heads ALTER COLUMN layout DROP DEFAULT;

UPDATE valetkey_schema SET version = 2 WHERE single = 1;
