-- What deploying in earnest needs: jobs, secrets, routes, releases, CI deliveries. A section a room.
-- SQLite cannot change a CHECK: a table whose words grow is made anew and its rows are carried over.

-- jobs

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

-- How the hub reaches a node's container engine; secrets by name or file, never here.
ALTER TABLE infrastructure_nodes ADD COLUMN engine TEXT;

-- deployment

-- CI
