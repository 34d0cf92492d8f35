-- What deploying in earnest needs: jobs, secrets, routes, releases, CI deliveries. A section a room.
-- SQLite cannot change a CHECK: a table whose words grow is made anew and its rows are carried over.

-- jobs
-- `fence` rises with each taking: whoever holds an older number can no longer write. `interrupted` counts tries that the
-- hub itself ended, which are not held against the job.
CREATE TABLE jobs_new (
    id VARCHAR(255) PRIMARY KEY,
    kind VARCHAR(50) NOT NULL,
    arguments TEXT NOT NULL,
    state VARCHAR(20) NOT NULL CHECK (state IN ('waiting', 'running', 'done', 'failed', 'cancelled')),
    lease_owner VARCHAR(255),
    lease_expires_at BIGINT,
    fence BIGINT NOT NULL DEFAULT 0,
    attempt INTEGER NOT NULL DEFAULT 0,
    interrupted INTEGER NOT NULL DEFAULT 0,
    next_run_at BIGINT NOT NULL,
    deadline_at BIGINT NOT NULL,
    cancel_requested_at BIGINT,
    schedule VARCHAR(100),
    reason TEXT,
    created_at BIGINT NOT NULL,
    started_at BIGINT,
    ended_at BIGINT,
    updated_at BIGINT NOT NULL
);
INSERT INTO jobs_new (id, kind, arguments, state, lease_owner, lease_expires_at, attempt, next_run_at, deadline_at, reason,
                      created_at, ended_at, updated_at)
SELECT id, kind, arguments, state, lease_owner, lease_expires_at, attempt, next_run_at, deadline_at, reason, created_at,
       CASE WHEN state IN ('done', 'failed') THEN updated_at END, updated_at
FROM jobs;
DROP TABLE jobs;
ALTER TABLE jobs_new RENAME TO jobs;
CREATE INDEX idx_jobs_next ON jobs(state, next_run_at);
CREATE INDEX idx_jobs_kind ON jobs(kind, id);

CREATE TABLE job_schedules (
    name VARCHAR(100) PRIMARY KEY,
    kind VARCHAR(50) NOT NULL,
    arguments TEXT NOT NULL,
    cron VARCHAR(200),
    every_ms BIGINT,
    time_zone VARCHAR(64) NOT NULL,
    next_at BIGINT NOT NULL,
    last_at BIGINT,
    last_job_id VARCHAR(255),
    skipped BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CHECK ((cron IS NULL) <> (every_ms IS NULL))
);

-- volumes
-- Volumes outlive their service: whose they were, and with which image one can be read (names, separated by spaces).
CREATE TABLE volume_images (
    node_id VARCHAR(255) NOT NULL,
    volume VARCHAR(255) NOT NULL,
    service VARCHAR(511) NOT NULL,
    images TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (node_id, volume)
);
-- Copies of volumes' files; each is DATA/snapshots/<id>.tar.zst.
CREATE TABLE volume_snapshots (
    id VARCHAR(255) PRIMARY KEY,
    volume VARCHAR(255) NOT NULL,
    node_id VARCHAR(255) NOT NULL,
    service VARCHAR(511),
    bytes BIGINT NOT NULL,
    raw_bytes BIGINT NOT NULL,
    sha256 VARCHAR(64) NOT NULL,
    in_use INTEGER NOT NULL,
    for_removal INTEGER NOT NULL,
    created_by VARCHAR(255) NOT NULL,
    created_at BIGINT NOT NULL
);

-- configuration
-- A secret's versions are never changed; `latest` outlives them, so that no number is ever used for another value.
CREATE TABLE secrets (
    name VARCHAR(128) PRIMARY KEY,
    latest BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE TABLE secret_versions (
    name VARCHAR(128) NOT NULL REFERENCES secrets(name),
    version BIGINT NOT NULL,
    value_sealed BYTEA NOT NULL,
    created_by VARCHAR(255) NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (name, version)
);
-- Which kept release needs which version: that one cannot be deleted.
CREATE TABLE secret_uses (
    release_id VARCHAR(255) NOT NULL,
    name VARCHAR(128) NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (release_id, name, version)
);
CREATE INDEX idx_secret_uses_version ON secret_uses(name, version);
CREATE TABLE registry_logins (
    host VARCHAR(255) PRIMARY KEY,
    username VARCHAR(255) NOT NULL,
    password_sealed BYTEA NOT NULL,
    updated_by VARCHAR(255) NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- gateway
-- A service's route as it is wanted, and the router's last word on it.
CREATE TABLE gateway_routes (
    service_id VARCHAR(255) PRIMARY KEY,
    name VARCHAR(255) NOT NULL,
    domains TEXT NOT NULL,
    networking TEXT NOT NULL,
    slots BIGINT NOT NULL,
    judged BIGINT NOT NULL,
    accepted BIGINT NOT NULL,
    reason TEXT NOT NULL,
    updated_at BIGINT NOT NULL
);
-- Who this hub is to a service registry: what carries it is its own.
CREATE TABLE gateway_identity (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    id VARCHAR(36) NOT NULL
);
-- What a service registry is to know; what it does know is asked of it.
CREATE TABLE gateway_registrations (
    id VARCHAR(255) PRIMARY KEY,
    document TEXT NOT NULL,
    updated_at BIGINT NOT NULL
);
-- A certificate that a route's domain has shown: a row a renewal. Times of the first and of the last look.
CREATE TABLE gateway_certificates (
    domain VARCHAR(253) NOT NULL,
    serial VARCHAR(64) NOT NULL,
    issuer TEXT NOT NULL,
    document TEXT NOT NULL,
    first_seen_at BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    PRIMARY KEY (domain, serial)
);

-- runtime

-- A row an instance. Of a service's rows the first says what is wanted of all: how many, and where.
CREATE TABLE service_instances_new (
    id VARCHAR(255) PRIMARY KEY,
    service_id VARCHAR(511) NOT NULL,
    ordinal INTEGER NOT NULL DEFAULT 1,
    wanted INTEGER NOT NULL DEFAULT 1,
    name VARCHAR(255) NOT NULL,
    type VARCHAR(20) NOT NULL CHECK (type IN ('web', 'api', 'database', 'cache', 'monitoring', 'utility')),
    node_id VARCHAR(255) NOT NULL REFERENCES infrastructure_nodes(id),
    managed INTEGER NOT NULL,
    environment VARCHAR(20) CHECK (environment IN ('development', 'staging', 'production')),
    placement TEXT,
    container_config TEXT NOT NULL,
    networking_config TEXT NOT NULL,
    monitoring_config TEXT NOT NULL,
    status TEXT NOT NULL,
    metadata TEXT NOT NULL,
    labels TEXT NOT NULL,
    version BIGINT NOT NULL DEFAULT 1,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (service_id, ordinal)
);
INSERT INTO service_instances_new (id, service_id, ordinal, name, type, node_id, managed, environment, container_config,
                                   networking_config, monitoring_config, status, metadata, labels, version, created_at,
                                   updated_at)
SELECT id, service_id, ROW_NUMBER() OVER (PARTITION BY service_id ORDER BY created_at, id), name, type, node_id, managed,
       environment, container_config, networking_config, monitoring_config, status, metadata, labels, version, created_at,
       updated_at
FROM service_instances;
DROP TABLE service_instances;
ALTER TABLE service_instances_new RENAME TO service_instances;
CREATE INDEX idx_service_instances_node_id ON service_instances(node_id);
CREATE INDEX idx_service_instances_service_id ON service_instances(service_id);

-- Instances that were given up while their node was lost: their containers are removed when it returns.
CREATE TABLE abandoned_instances (
    id VARCHAR(255) PRIMARY KEY,
    node_id VARCHAR(255) NOT NULL,
    created_at BIGINT NOT NULL
);

-- How the hub reaches a node's container engine; secrets by name or file, never here.
ALTER TABLE infrastructure_nodes ADD COLUMN engine TEXT;

-- deployment

-- States that end a deployment before its turn, the receipt of the switch, and who wanted it cancelled.
CREATE TABLE deployment_events_new (
    id VARCHAR(255) PRIMARY KEY,
    service_instance_id VARCHAR(255) NOT NULL,
    service_id VARCHAR(511) NOT NULL,
    service_name VARCHAR(255) NOT NULL,
    trigger_kind VARCHAR(30) NOT NULL CHECK (trigger_kind IN ('github_actions', 'travis_ci', 'manual', 'rollback')),
    environment VARCHAR(20) NOT NULL CHECK (environment IN ('development', 'staging', 'production')),
    state VARCHAR(20) NOT NULL CHECK (state IN ('initiated', 'building', 'deploying', 'testing', 'completed', 'failed',
                                                'rolled_back', 'cancelled', 'superseded')),
    node_id VARCHAR(255),
    release_id VARCHAR(255),
    deployment_config TEXT NOT NULL,
    changes TEXT NOT NULL,
    status TEXT NOT NULL,
    timing TEXT NOT NULL,
    monitoring_impact TEXT NOT NULL,
    git_metadata TEXT,
    receipt TEXT,
    cancelled_by VARCHAR(255),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
INSERT INTO deployment_events_new (id, service_instance_id, service_id, service_name, trigger_kind, environment, state,
                                   node_id, release_id, deployment_config, changes, status, timing, monitoring_impact,
                                   git_metadata, created_at, updated_at)
SELECT id, service_instance_id, service_id, service_name, trigger_kind, environment, state, node_id, release_id,
       deployment_config, changes, status, timing, monitoring_impact, git_metadata, created_at, updated_at
FROM deployment_events;
DROP TABLE deployment_events;
ALTER TABLE deployment_events_new RENAME TO deployment_events;
CREATE INDEX idx_deployment_events_service ON deployment_events(service_instance_id);
CREATE INDEX idx_deployment_events_timestamp ON deployment_events(created_at);
CREATE INDEX idx_deployment_events_state ON deployment_events(state);

-- `kept`: its image is pinned on the node and its secrets' versions are held, so that it can be deployed again.
ALTER TABLE service_releases ADD COLUMN created_by VARCHAR(255);
ALTER TABLE service_releases ADD COLUMN kept INTEGER NOT NULL DEFAULT 0;

-- CI
-- What a CI service sent: one row for ever, so that each is worked once. The payload is kept until it is worked.
CREATE TABLE webhook_deliveries (
    source VARCHAR(20) NOT NULL,
    id VARCHAR(64) NOT NULL,
    event VARCHAR(64) NOT NULL,
    body_hash VARCHAR(64) NOT NULL,
    payload_sealed BYTEA,
    verdict VARCHAR(20) NOT NULL CHECK (verdict IN ('waiting', 'tracked', 'ignored', 'failed')),
    reason VARCHAR(512),
    repository VARCHAR(255),
    received_at BIGINT NOT NULL,
    worked_at BIGINT,
    PRIMARY KEY (source, id)
);
CREATE INDEX idx_webhook_deliveries_body ON webhook_deliveries(source, body_hash);
CREATE INDEX idx_webhook_deliveries_received ON webhook_deliveries(received_at);
-- The newest attempt of each run; state only rises within an attempt (0 queued, 1 waiting, 2 in progress, 3 completed).
CREATE TABLE ci_runs (
    source VARCHAR(20) NOT NULL,
    id VARCHAR(24) NOT NULL,
    attempt BIGINT NOT NULL,
    state INTEGER NOT NULL,
    conclusion VARCHAR(20),
    is_foreign INTEGER NOT NULL,
    repository VARCHAR(255) NOT NULL,
    branch VARCHAR(255),
    commit_sha VARCHAR(64),
    name VARCHAR(255),
    event VARCHAR(64),
    number BIGINT NOT NULL,
    message TEXT,
    author VARCHAR(255),
    url VARCHAR(2048),
    service VARCHAR(255),
    environment VARCHAR(20),
    deployment_id VARCHAR(36),
    began_at BIGINT NOT NULL,
    started_at BIGINT,
    ended_at BIGINT,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (source, id)
);
CREATE INDEX idx_ci_runs_began ON ci_runs(began_at);
CREATE INDEX idx_ci_runs_repository ON ci_runs(repository, began_at);
CREATE TABLE ci_jobs (
    source VARCHAR(20) NOT NULL,
    run_id VARCHAR(24) NOT NULL,
    id VARCHAR(24) NOT NULL,
    attempt BIGINT NOT NULL,
    state INTEGER NOT NULL,
    conclusion VARCHAR(20),
    name VARCHAR(255),
    started_at BIGINT,
    ended_at BIGINT,
    PRIMARY KEY (source, run_id, id)
);
-- Verdicts and figures of a commit, by name: what gates ask for.
CREATE TABLE ci_checks (
    repository VARCHAR(255) NOT NULL,
    commit_sha VARCHAR(64) NOT NULL,
    name VARCHAR(255) NOT NULL,
    attempt BIGINT NOT NULL,
    state INTEGER NOT NULL,
    conclusion VARCHAR(20),
    url VARCHAR(2048),
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (repository, commit_sha, name)
);
CREATE TABLE ci_figures (
    repository VARCHAR(255) NOT NULL,
    commit_sha VARCHAR(64) NOT NULL,
    name VARCHAR(255) NOT NULL,
    value DOUBLE PRECISION NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (repository, commit_sha, name)
);
-- What was pushed where: the words of a commit, and whether a name was a branch's or a tag's.
CREATE TABLE ci_pushes (
    repository VARCHAR(255) NOT NULL,
    commit_sha VARCHAR(64) NOT NULL,
    name VARCHAR(255) NOT NULL,
    is_tag INTEGER NOT NULL,
    message TEXT,
    author VARCHAR(255),
    pushed_at BIGINT NOT NULL,
    PRIMARY KEY (repository, commit_sha, name, is_tag)
);
CREATE TABLE ci_rules (
    id VARCHAR(36) PRIMARY KEY,
    document TEXT NOT NULL,
    created_by VARCHAR(255) NOT NULL,
    created_at BIGINT NOT NULL
);
-- Up to when the runs of a repository are known from a source's API.
CREATE TABLE ci_looks (
    source VARCHAR(20) NOT NULL,
    repository VARCHAR(255) NOT NULL,
    known_until BIGINT NOT NULL,
    PRIMARY KEY (source, repository)
);
-- What rules want deployed: waits for a person, then for gates, then is asked of deployment under its own id.
CREATE TABLE ci_wanted (
    id VARCHAR(36) PRIMARY KEY,
    rule_id VARCHAR(36) NOT NULL,
    cause VARCHAR(400) NOT NULL,
    state VARCHAR(20) NOT NULL CHECK (state IN ('approval', 'gates', 'deploying', 'requested', 'refused', 'rejected', 'expired', 'superseded')),
    reason VARCHAR(512),
    service VARCHAR(255) NOT NULL,
    environment VARCHAR(20) NOT NULL,
    image VARCHAR(512) NOT NULL,
    source VARCHAR(20) NOT NULL,
    pipeline VARCHAR(255),
    git TEXT,
    gates TEXT NOT NULL,
    gate_ms BIGINT NOT NULL,
    order_key BIGINT NOT NULL,
    deployment_id VARCHAR(36),
    decided_by VARCHAR(255),
    decided_at BIGINT,
    deadline_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (rule_id, cause)
);
CREATE INDEX idx_ci_wanted_state ON ci_wanted(state);
-- The last that was told of a deployment, and the name that the one who was told has for it.
CREATE TABLE ci_told (
    deployment_id VARCHAR(36) PRIMARY KEY,
    state VARCHAR(20) NOT NULL,
    remote_id VARCHAR(24) NOT NULL,
    at BIGINT NOT NULL
);
