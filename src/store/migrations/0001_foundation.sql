-- The seed's six tables, by name, with its checks (as supersets) and indexes, and what the foundation adds.
-- JSON columns are TEXT here and JSONB where PostgreSQL is used; times are milliseconds since 1970.
CREATE TABLE infrastructure_nodes (
    id VARCHAR(255) PRIMARY KEY,
    name VARCHAR(255) NOT NULL UNIQUE,
    type VARCHAR(20) NOT NULL CHECK (type IN ('hub', 'spoke', 'experimentation')),
    provider VARCHAR(20) NOT NULL CHECK (provider IN ('hetzner', 'digitalocean', 'azure', 'local', 'other')),
    region VARCHAR(50),
    resources TEXT NOT NULL,
    networking TEXT NOT NULL,
    status VARCHAR(20) NOT NULL DEFAULT 'offline' CHECK (status IN ('active', 'maintenance', 'degraded', 'offline')),
    monitoring TEXT NOT NULL,
    metadata TEXT NOT NULL,
    labels TEXT NOT NULL,
    version BIGINT NOT NULL DEFAULT 1,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE service_instances (
    id VARCHAR(255) PRIMARY KEY,
    service_id VARCHAR(255) NOT NULL,
    name VARCHAR(255) NOT NULL,
    type VARCHAR(20) NOT NULL CHECK (type IN ('web', 'api', 'database', 'cache', 'monitoring', 'utility')),
    node_id VARCHAR(255) NOT NULL REFERENCES infrastructure_nodes(id),
    managed INTEGER NOT NULL,
    environment VARCHAR(20) CHECK (environment IN ('development', 'staging', 'production')),
    container_config TEXT NOT NULL,
    networking_config TEXT NOT NULL,
    monitoring_config TEXT NOT NULL,
    status TEXT NOT NULL,
    metadata TEXT NOT NULL,
    labels TEXT NOT NULL,
    version BIGINT NOT NULL DEFAULT 1,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (node_id, name)
);

-- The wanted state of a managed service: the whole request it was last deployed with.
-- `serving_at` is when it last became the one that serves. Values of environment variables are secrets: sealed (XChaCha20-Poly1305), never in `specification`.
CREATE TABLE service_releases (
    id VARCHAR(255) PRIMARY KEY,
    service_id VARCHAR(255) NOT NULL,
    number INTEGER NOT NULL,
    specification TEXT NOT NULL,
    environment_sealed BYTEA,
    image_digest VARCHAR(255),
    serving_at BIGINT,
    created_at BIGINT NOT NULL,
    UNIQUE (service_id, number)
);

-- The latest value of each series, kept by upsert; there is no row per sample.
CREATE TABLE monitoring_metrics (
    id VARCHAR(255) PRIMARY KEY,
    source VARCHAR(50) NOT NULL CHECK (source IN ('datadog', 'newrelic', 'sentry', 'consul', 'portainer', 'caddy',
                                                  'docker', 'host', 'agent', 'hbcloud', 'prometheus', 'otlp')),
    type VARCHAR(50) NOT NULL CHECK (type IN ('infrastructure', 'application', 'business', 'security')),
    entity_id VARCHAR(255),
    entity_type VARCHAR(20) CHECK (entity_type IN ('node', 'service', 'container', 'endpoint')),
    metric_data TEXT NOT NULL,
    dimensions TEXT NOT NULL,
    thresholds TEXT,
    correlation TEXT,
    timestamp BIGINT NOT NULL
);

-- Events outlive their service: no reference to service_instances.
CREATE TABLE deployment_events (
    id VARCHAR(255) PRIMARY KEY,
    service_instance_id VARCHAR(255) NOT NULL,
    service_id VARCHAR(255) NOT NULL,
    service_name VARCHAR(255) NOT NULL,
    trigger_kind VARCHAR(30) NOT NULL CHECK (trigger_kind IN ('github_actions', 'travis_ci', 'manual', 'rollback')),
    environment VARCHAR(20) NOT NULL CHECK (environment IN ('development', 'staging', 'production')),
    state VARCHAR(20) NOT NULL CHECK (state IN ('initiated', 'building', 'deploying', 'testing', 'completed', 'failed', 'rolled_back')),
    node_id VARCHAR(255),
    release_id VARCHAR(255),
    deployment_config TEXT NOT NULL,
    changes TEXT NOT NULL,
    status TEXT NOT NULL,
    timing TEXT NOT NULL,
    monitoring_impact TEXT NOT NULL,
    git_metadata TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- A deployment's steps, before and after each: what a hub that starts again goes on from.
CREATE TABLE deployment_journal (
    deployment_id VARCHAR(255) NOT NULL,
    seq INTEGER NOT NULL,
    step VARCHAR(20) NOT NULL,
    mark VARCHAR(20) NOT NULL CHECK (mark IN ('begin', 'done', 'failed', 'undone')),
    facts TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (deployment_id, seq)
);

CREATE TABLE configuration_templates (
    id VARCHAR(255) PRIMARY KEY,
    name VARCHAR(255) NOT NULL,
    environment VARCHAR(20) CHECK (environment IN ('development', 'staging', 'production')),
    scope VARCHAR(20) CHECK (scope IN ('global', 'service', 'node')),
    doppler_config TEXT,
    variables TEXT,
    validation_rules TEXT,
    metadata TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE learning_milestones (
    id VARCHAR(255) PRIMARY KEY,
    category VARCHAR(100) NOT NULL,
    milestone VARCHAR(255) NOT NULL,
    description TEXT,
    completed_at BIGINT,
    evidence TEXT,
    related_services TEXT,
    difficulty_level INTEGER CHECK (difficulty_level BETWEEN 1 AND 5),
    time_invested_hours DECIMAL(5,2),
    created_at BIGINT NOT NULL
);

CREATE TABLE jobs (
    id VARCHAR(255) PRIMARY KEY,
    kind VARCHAR(50) NOT NULL,
    arguments TEXT NOT NULL,
    state VARCHAR(20) NOT NULL CHECK (state IN ('waiting', 'running', 'done', 'failed')),
    lease_owner VARCHAR(255),
    lease_expires_at BIGINT,
    attempt INTEGER NOT NULL DEFAULT 0,
    next_run_at BIGINT NOT NULL,
    deadline_at BIGINT NOT NULL,
    reason TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE api_keys (
    id VARCHAR(255) PRIMARY KEY,
    name VARCHAR(128) NOT NULL,
    prefix VARCHAR(20) NOT NULL UNIQUE,
    hash BYTEA NOT NULL,
    role VARCHAR(20) NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
    created_by VARCHAR(255) NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    last_used_at BIGINT,
    revoked_at BIGINT
);

CREATE TABLE sessions (
    id VARCHAR(255) PRIMARY KEY,
    token_hash BYTEA NOT NULL UNIQUE,
    key_id VARCHAR(255) NOT NULL,
    name VARCHAR(128) NOT NULL,
    role VARCHAR(20) NOT NULL,
    csrf VARCHAR(64) NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE TABLE signing_keys (
    kid VARCHAR(64) PRIMARY KEY,
    algorithm VARCHAR(20) NOT NULL,
    key_sealed BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    retired_at BIGINT
);

CREATE TABLE audit_log (
    seq INTEGER PRIMARY KEY,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    address VARCHAR(64) NOT NULL,
    request_id VARCHAR(64) NOT NULL,
    operation VARCHAR(64) NOT NULL,
    entity_type VARCHAR(32) NOT NULL,
    entity_id VARCHAR(255) NOT NULL,
    outcome VARCHAR(20) NOT NULL,
    before_state TEXT,
    after_state TEXT,
    previous_hash VARCHAR(64) NOT NULL,
    hash VARCHAR(64) NOT NULL
);

CREATE TABLE idempotency_keys (
    key_hash VARCHAR(64) PRIMARY KEY,
    request_hash VARCHAR(64) NOT NULL,
    status INTEGER,
    body_sealed BYTEA,
    created_at BIGINT NOT NULL
);

CREATE INDEX idx_service_instances_node_id ON service_instances(node_id);
CREATE INDEX idx_service_instances_service_id ON service_instances(service_id);
CREATE INDEX idx_monitoring_metrics_entity ON monitoring_metrics(entity_id, entity_type);
CREATE INDEX idx_monitoring_metrics_timestamp ON monitoring_metrics(timestamp);
CREATE INDEX idx_deployment_events_service ON deployment_events(service_instance_id);
CREATE INDEX idx_deployment_events_timestamp ON deployment_events(created_at);
CREATE INDEX idx_learning_milestones_category ON learning_milestones(category);
CREATE INDEX idx_jobs_next ON jobs(state, next_run_at);
CREATE INDEX idx_audit_log_entity ON audit_log(entity_type, entity_id);
CREATE INDEX idx_idempotency_created ON idempotency_keys(created_at);
