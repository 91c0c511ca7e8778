CREATE INDEX connections_by_provider ON connections (tenant, provider, uuid);

CREATE INDEX connections_revoked ON connections (tenant, uuid) WHERE revoked = 1;

CREATE INDEX grants_ended ON grants (tenant, uuid)
    WHERE status NOT IN ('active', 'revoked') AND former_of IS NULL;

CREATE INDEX grants_unrefreshable ON grants (tenant, expires_at)
    WHERE status = 'active' AND refreshable = 0 AND former_of IS NULL AND expires_at IS NOT NULL;
