-- The metric engine (src/monitoring/metrics.h). There is no row per sample: the open chunk of each sender is
-- metric_log, finished ones are metric_times (once a sender) and metric_blocks (a series).

CREATE TABLE metric_series (
    id BIGINT PRIMARY KEY,
    source TEXT NOT NULL,
    type TEXT NOT NULL,
    category TEXT NOT NULL,
    entity_id TEXT NOT NULL,
    entity_type TEXT NOT NULL,
    name TEXT NOT NULL,
    unit TEXT NOT NULL,
    tags TEXT NOT NULL,
    first_at BIGINT NOT NULL
);

-- A group is a sender: the samples of one body of it share their time.
CREATE TABLE metric_groups (
    id BIGINT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    interval_ms BIGINT NOT NULL
);

CREATE TABLE metric_log (
    id BIGINT PRIMARY KEY,
    group_id BIGINT NOT NULL,
    at BIGINT NOT NULL,
    bytes BYTEA NOT NULL
);

CREATE TABLE metric_times (
    id BIGINT PRIMARY KEY,
    group_id BIGINT NOT NULL,
    first_at BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    count INTEGER NOT NULL,
    bytes BYTEA NOT NULL
);

-- sums: 5-minute sums beside a day's block; NULL for smaller blocks.
CREATE TABLE metric_blocks (
    series_id BIGINT NOT NULL,
    first_at BIGINT NOT NULL,
    times_id BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    count INTEGER NOT NULL,
    min DOUBLE PRECISION NOT NULL,
    max DOUBLE PRECISION NOT NULL,
    sum DOUBLE PRECISION NOT NULL,
    codec INTEGER NOT NULL,
    bytes BYTEA NOT NULL,
    sums BYTEA,
    PRIMARY KEY (series_id, first_at, times_id)
);

CREATE INDEX idx_metric_log_group ON metric_log(group_id, id);
CREATE INDEX idx_metric_times_group ON metric_times(group_id, first_at);
CREATE INDEX idx_metric_blocks_times ON metric_blocks(times_id);
